package cli

type policyCmd struct {
	Simulate policySimulate `cmd:"" help:"Decide requests by policies, and say why."`
	Diff     policyDiff     `cmd:"" help:"Show what one policy allows and another does not."`
	Actions  policyActions  `cmd:"" help:"List the actions that a pattern stands for, with resource types and condition keys."`
}
