package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/scenario"
	"github.com/belay-dev/belay/iam/service"
)

type policyDiff struct {
	Old string `arg:"" help:"File with the policy as it was; - is standard input."`
	New string `arg:"" help:"File with the policy as it is to be."`
}

// Help says what counts as a difference.
func (*policyDiff) Help() string {
	return `Shows what the new policy allows and the old one does not (+), and what the old one allows and the new one does not (-), by action and resource. ` +
		`Both count as identity policies; a condition that comes is less, one that falls is more. The exit code is 3 when there is a difference.`
}

// differenceBody is a comparison in JSON and YAML.
type differenceBody struct {
	Allowed         []scenario.Change `json:"allowed"`
	NoLongerAllowed []scenario.Change `json:"noLongerAllowed"`
}

// Run compares two policies.
func (cmd *policyDiff) Run(a *app) error {
	var policies [2][]iam.Policy
	var problems []string
	for i, name := range []string{cmd.Old, cmd.New} {
		text, err := a.readFile(name)
		if err != nil {
			return err
		}
		d, err := iam.Parse(text)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", named(name), err))
			continue
		}
		policies[i] = []iam.Policy{{Name: []string{"the old policy", "the new policy"}[i], Document: d}}
	}
	if len(problems) > 0 {
		return misusef("%s", strings.Join(problems, "\n"))
	}
	reference, err := service.Load()
	if err != nil {
		return err
	}
	more, less, err := scenario.Compare(policies[0], policies[1], reference)
	if err != nil {
		return err
	}
	err = a.print(differenceBody{more, less}, func() {
		a.changes(a.painted(added, "+"), more, reference)
		a.changes(a.painted(breaks, "-"), less, reference)
		if len(more)+len(less) == 0 {
			a.note("Both policies allow the same.")
		}
	})
	if err == nil && len(more)+len(less) > 0 {
		return exit{Different}
	}
	return err
}

// changes shows what is more, or less.
func (a *app) changes(sign inked, changes []scenario.Change, reference *service.Reference) {
	for _, c := range changes {
		resource := c.Resource
		if resource == "" {
			resource = "all but " + strings.Join(c.Except, ", ")
		}
		a.line("%s %s on %s", sign, a.painted(bold, some(shortened(c.Actions, reference))), resource)
		for _, condition := range slices.Sorted(maps.Keys(c.Conditions)) {
			a.line("    when %s is %s", condition, strings.Join(c.Conditions[condition], " or "))
		}
		a.line("    %s", c.Why)
	}
}

// shortened writes service:* for all actions of a service.
func shortened(actions []string, reference *service.Reference) []string {
	byService := map[string][]string{}
	var order []string
	for _, name := range actions {
		prefix, _, _ := strings.Cut(name, ":")
		if byService[prefix] == nil {
			order = append(order, prefix)
		}
		byService[prefix] = append(byService[prefix], name)
	}
	var out []string
	for _, prefix := range order {
		if s, ok := reference.Service(prefix); ok && len(s.Actions) == len(byService[prefix]) && len(s.Actions) > 1 {
			out = append(out, prefix+":*")
			continue
		}
		out = append(out, byService[prefix]...)
	}
	if len(order) == len(reference.Services()) {
		return []string{"*"}
	}
	return out
}
