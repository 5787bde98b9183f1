package scenario

import (
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/service"
)

// Change is something that one set of identity policies allows and another does not: the actions of one statement on one
// pattern of resources.
type Change struct {
	Actions    []string            `json:"actions"`
	Resource   string              `json:"resource,omitempty"`
	Except     []string            `json:"allResourcesBut,omitempty"` // instead of Resource
	Conditions map[string][]string `json:"conditions,omitempty"`      // operator and key, with the values
	Policy     string              `json:"policy"`
	Statement  int                 `json:"statement"` // that allows it, from 0
	SID        string              `json:"sid,omitempty"`
	Why        string              `json:"why"` // what the other side has instead
}

// Compare gives what after allows and before does not, and the reverse, over all actions that the reference knows.
func Compare(before, after []iam.Policy, reference *service.Reference) (more, less []Change, err error) {
	var names []string
	for _, action := range reference.Actions("*") {
		names = append(names, action.String())
	}
	added, err := iam.Diff(before, after, names)
	if err != nil {
		return nil, nil, err
	}
	gone, err := iam.Diff(after, before, names)
	return grouped(added), grouped(gone), err
}

// grouped puts the actions of one statement and resource together.
func grouped(all []iam.Difference) []Change {
	out := []Change{}
	for _, d := range all {
		// That there is no statement at all is said with the action's name.
		why := strings.Replace(d.Why, "no statement allows "+d.Action, "no statement allows it", 1)
		i := slices.IndexFunc(out, func(c Change) bool {
			return c.Policy == d.Statement.Policy && c.Statement == d.Statement.Index && c.Resource == d.Resource && slices.Equal(c.Except, d.Except) && c.Why == why
		})
		if i < 0 {
			one := Change{Resource: d.Resource, Except: d.Except, Policy: d.Statement.Policy, Statement: d.Statement.Index, SID: d.Statement.SID, Why: why}
			for _, c := range d.Conditions {
				if one.Conditions == nil {
					one.Conditions = map[string][]string{}
				}
				one.Conditions[c.Name()+" "+c.Key] = c.Values
			}
			out, i = append(out, one), len(out)
		}
		out[i].Actions = append(out[i].Actions, d.Action)
	}
	return out
}
