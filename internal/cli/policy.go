package cli

type policyCmd struct {
	Simulate policySimulate `cmd:"" help:"Decide requests by policies, and say why."`
	Diff     policyDiff     `cmd:"" help:"Show what one policy allows and another does not."`
	Actions  policyActions  `cmd:"" help:"List the actions that a pattern stands for, with resource types and condition keys."`
	List     policyList     `cmd:"" help:"List the capabilities that policies can be made for."`
	Show     policyShow     `cmd:"" help:"Show what a capability needs, and from which page that is."`
	For      policyFor      `cmd:"" help:"Make the policies for capabilities, narrowed to your resources."`
	Lint     policyLint     `cmd:"" help:"Find what is wrong with policies in JSON and Terraform."`
	Trust    policyTrust    `cmd:"" help:"Make trust policies, and say why one lets a caller in or does not."`
}
