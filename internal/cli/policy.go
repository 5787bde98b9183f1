package cli

type policyCmd struct {
	Actions policyActions `cmd:"" help:"List the actions that a pattern stands for, with resource types and condition keys."`
}
