package preflight

import (
	"errors"
	"fmt"
	"slices"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/iam/service"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
)

// questions are all that capabilities need of the identity. Capabilities share many.
type questions struct {
	asked []question
	needs []need
}

// question is an action on a resource.
type question struct {
	connector.Asked
	resourceless bool // the action takes no resource
}

// need is what a capability needs.
type need struct {
	capability catalogue.Capability
	asked      []int // indexes of questions
}

const (
	// mostNeeds bounds how many questions one preflight has. All of AWS are some 25,000, the rest of the catalogue 5,000.
	mostNeeds = 100_000
	// mostCapabilities bounds how many can be named: far more than there are.
	mostCapabilities = 100
)

// everything reports whether a statement allows every action.
func everything(s iam.Statement) bool {
	return s.Effect == iam.Allow && !s.Action.Negated && slices.Contains(s.Action.Values, "*")
}

// needs are the actions and resources behind capabilities: every Allow of their policies, narrowed to what the user named,
// with patterns of actions written out.
func needs(o Options) (questions, error) {
	var all questions
	reference, err := service.Load()
	if err != nil {
		return all, err
	}
	chosen, err := choose(o)
	if err != nil {
		return all, err
	}
	index := map[connector.Asked]int{}
	count := 0
	for _, c := range chosen {
		statements, err := catalogue.Needs(c, o.Narrowing)
		if err != nil {
			return all, fmt.Errorf("read what %s needs: %w", c.ID, err)
		}
		if len(o.Capabilities) == 0 && slices.ContainsFunc(statements, everything) {
			continue // all of AWS (AdministratorAccess) must be named
		}
		one := need{capability: c}
		for _, a := range asked(reference, statements) {
			i, known := index[a.Asked]
			if !known {
				i = len(all.asked)
				index[a.Asked] = i
				all.asked = append(all.asked, a)
			}
			one.asked = append(one.asked, i)
		}
		if count += len(one.asked); count > mostNeeds {
			return all, fault.New(fault.Invalid, "these capabilities ask about more than %d actions; name fewer, or fewer resources", mostNeeds)
		}
		all.needs = append(all.needs, one)
	}
	return all, nil
}

// choose are the capabilities that are meant. All that is wrong with the options is in the error.
func choose(o Options) ([]catalogue.Capability, error) {
	var problems fault.Problems
	var chosen []catalogue.Capability
	if len(o.Capabilities) > mostCapabilities {
		problems.Add("capabilities", fmt.Sprintf("are %d; at most %d can be asked about at once", len(o.Capabilities), mostCapabilities))
	}
	for _, id := range o.Capabilities[:min(len(o.Capabilities), mostCapabilities)] {
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
	if input, ok := errors.AsType[*catalogue.InputError](o.Narrowing.Check()); ok {
		for _, p := range input.Problems {
			problems.Add("narrowing", p)
		}
	}
	return chosen, problems.Err()
}

// asked writes out what the Allow statements allow: each action, on each resource that it can work on, under each value of
// a condition.
func asked(reference *service.Reference, statements []iam.Statement) []question {
	var all []question
	seen := map[connector.Asked]bool{}
	add := func(action, resource string, contexts []string, resourceless bool) {
		for _, context := range contexts {
			if a := (connector.Asked{Action: action, Resource: resource, Context: context}); !seen[a] {
				seen[a] = true
				all = append(all, question{a, resourceless})
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
					add(pattern, r, contexts, false)
				}
			}
			for _, action := range actions {
				if action.Resourceless() {
					add(action.String(), "*", contexts, true)
					continue
				}
				for _, r := range s.Resource.Values {
					if r == "*" || action.FitsPattern(r) {
						add(action.String(), r, contexts, false)
					}
				}
			}
		}
	}
	return all
}

// contexts are requests that meet conditions, as Asked writes them: one for each value of the first condition that has
// several, with the first value of the others.
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
				longer = append(longer, connector.WithKey(before, c.Key, v))
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
