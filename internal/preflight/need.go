package preflight

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/iam/service"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
)

// need is what a capability needs of the identity.
type need struct {
	capability catalogue.Capability
	asked      []connector.Asked
}

const (
	// mostNeeds bounds how many questions one preflight has. The whole catalogue has some 30,000.
	mostNeeds = 100_000
	// everything is from when on a capability counts as needing all of AWS (AdministratorAccess): it must be named.
	everything = 10_000
)

// needs are the actions and resources behind capabilities: every Allow of their policies, narrowed to what the user named,
// with patterns of actions written out.
func needs(o Options) ([]need, error) {
	reference, err := service.Load()
	if err != nil {
		return nil, err
	}
	var problems fault.Problems
	var chosen []catalogue.Capability
	for _, id := range o.Capabilities {
		c, ok := catalogue.Find(id)
		switch {
		case !ok:
			problems.Add("capabilities", fmt.Sprintf("has no capability %.60q; `belay policy list` shows all", id))
		case c.Holder != catalogue.Connector:
			problems.Add("capabilities", fmt.Sprintf("%s is for %s, not for a connector's identity", id, c.Holder))
		case !slices.ContainsFunc(chosen, func(other catalogue.Capability) bool { return other.ID == c.ID }):
			chosen = append(chosen, c)
		}
	}
	if len(o.Capabilities) == 0 {
		chosen = slices.DeleteFunc(catalogue.Capabilities(), func(c catalogue.Capability) bool { return c.Holder != catalogue.Connector })
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	var all []need
	count := 0
	for _, c := range chosen {
		statements, err := catalogue.Needs(c, o.Narrowing)
		if input, ok := errors.AsType[*catalogue.InputError](err); ok {
			for _, p := range input.Problems {
				problems.Add("narrowing", p)
			}
			return nil, problems.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("read what %s needs: %w", c.ID, err)
		}
		one := need{capability: c, asked: asked(reference, statements)}
		if len(o.Capabilities) == 0 && len(one.asked) >= everything {
			continue
		}
		if count += len(one.asked); count > mostNeeds {
			return nil, fault.New(fault.Invalid, "these capabilities ask about more than %d actions; name fewer, or fewer resources", mostNeeds)
		}
		all = append(all, one)
	}
	return all, nil
}

// asked writes out what the Allow statements allow: each action, on each resource that it can work on, under each value of
// a condition.
func asked(reference *service.Reference, statements []iam.Statement) []connector.Asked {
	var all []connector.Asked
	seen := map[connector.Asked]bool{}
	add := func(action, resource string, contexts []string) {
		for _, context := range contexts {
			if a := (connector.Asked{Action: action, Resource: resource, Context: context}); !seen[a] {
				seen[a] = true
				all = append(all, a)
			}
		}
	}
	for _, s := range statements {
		if s.Effect != iam.Allow || s.Action.Negated || s.Resource.Negated {
			continue // what is denied or left out is no need
		}
		contexts := contexts(s.Conditions)
		for _, pattern := range s.Action.Values {
			actions := reference.Actions(pattern)
			if len(actions) == 0 { // newer than the reference
				for _, r := range s.Resource.Values {
					add(pattern, r, contexts)
				}
			}
			for _, action := range actions {
				if action.Resourceless() {
					add(action.String(), "*", contexts)
					continue
				}
				for _, r := range s.Resource.Values {
					if r == "*" || action.FitsPattern(r) {
						add(action.String(), r, contexts)
					}
				}
			}
		}
	}
	return all
}

// contexts are requests that meet conditions, as Asked writes them: one for each value of the first condition that has
// several, with the first value of the others. A wildcard in a value is filled with a letter.
func contexts(conditions []iam.Condition) []string {
	out := []string{""}
	several := false
	for _, c := range conditions {
		values := c.Values
		if !positive(c) || len(values) == 0 {
			continue // the absence of the key meets it, or nothing does
		}
		if several {
			values = values[:1]
		}
		several = several || len(values) > 1
		var longer []string
		for _, before := range out {
			for _, v := range values {
				longer = append(longer, connector.WithKey(before, c.Key, strings.NewReplacer("*", "x", "?", "x").Replace(v)))
			}
		}
		out = longer
	}
	return out
}

// positive reports whether a condition needs its key to have one of its values.
func positive(c iam.Condition) bool {
	switch c.Operator {
	case "StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "Bool", "NumericEquals", "DateEquals":
		return !c.IfExists && c.Quantifier == iam.Single
	}
	return false
}
