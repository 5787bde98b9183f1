package iam

import (
	"fmt"
	"slices"
	"strings"
)

// Difference is something that one set of documents allows and another does not.
type Difference struct {
	Action string
	// Resource is the pattern of the statement that allows it. With Except set, it is everything but these patterns.
	Resource   string
	Except     []string
	Conditions []Condition // under which it is allowed
	Statement  Reference   // that allows it
	// Why says what the other documents have instead.
	Why string
}

// Diff gives what the documents in b allow and those in a do not, action by action and pattern by pattern, in the order of
// b's statements. actions are the names that the patterns of both stand for, such as those of the service reference.
//
// Both are taken as identity policies. A pattern counts as allowed by a when one of its statements covers it wholly,
// under no condition that b's statement lacks, and no Deny of a that b lacks touches it. Policy variables are compared as
// they stand.
func Diff(a, b []Policy, actions []string) ([]Difference, error) {
	old, err := Compile(Policies{Identity: a}, Settings{})
	if err != nil {
		return nil, err
	}
	current, err := Compile(Policies{Identity: b}, Settings{})
	if err != nil {
		return nil, err
	}
	d := differ{}
	for _, name := range actions {
		service, rest, _ := strings.Cut(lowerASCII(name), ":")
		d.action, d.service, d.name = name, []byte(service), []byte(rest)
		d.old, d.current = d.about(old), d.about(current)
		d.compare()
	}
	slices.SortStableFunc(d.found, func(x, y Difference) int { return x.Statement.order - y.Statement.order })
	return d.found, nil
}

// differ compares what two sets say about one action.
type differ struct {
	action        string
	service, name []byte
	old, current  []*statement
	found         []Difference
}

// about are the statements of a set whose action matches.
func (d *differ) about(s *Set) []*statement {
	var all []*statement
	for _, list := range [...][]*statement{s.byService[string(d.service)], s.anyService} {
		for _, one := range list {
			matched := slices.ContainsFunc(one.actions, func(p actionPattern) bool { return p.match(d.service, d.name) })
			if matched != one.notAction {
				all = append(all, one)
			}
		}
	}
	return all
}

func (d *differ) compare() {
	for _, s := range d.current {
		if s.effect != Allow || s.badRes {
			continue
		}
		if s.notRes {
			d.check(s, region{except: s.from.Resource.Values})
			continue
		}
		for i := range s.resources {
			if k := s.resources[i].kind; k == arnPattern || k == allPattern {
				d.check(s, region{pattern: s.resources[i].from})
			}
		}
	}
}

// check reports a region that a statement allows, unless the old documents allow it too, or the new ones deny it.
func (d *differ) check(s *statement, r region) {
	for _, deny := range d.current {
		if deny.effect == Deny && len(deny.conditions) == 0 && regions(deny).cover(r) {
			return
		}
	}
	why := fmt.Sprintf("no statement allows %s", d.action)
	for _, one := range d.old {
		if one.effect == Deny {
			continue
		}
		switch {
		case !regions(one).cover(r):
			if regions(one).overlap(r) {
				why = fmt.Sprintf("%s allows it on %s only", one.reference(), one.from.Resource.describe())
			} else if strings.HasPrefix(why, "no ") {
				why = fmt.Sprintf("%s allows it on %s", one.reference(), one.from.Resource.describe())
			}
		case !subset(one.from.Conditions, s.from.Conditions):
			why = fmt.Sprintf("%s allows it under a condition only: %s", one.reference(), describeConditions(one.from.Conditions))
		default:
			why = ""
		}
		if why == "" {
			break
		}
	}
	for _, deny := range d.old {
		if why == "" && deny.effect == Deny && regions(deny).overlap(r) && !d.keeps(deny) {
			why = fmt.Sprintf("%s denies it", deny.reference())
		}
	}
	if why != "" {
		d.found = append(d.found, Difference{
			Action: d.action, Resource: r.pattern, Except: r.except, Conditions: s.from.Conditions, Statement: s.reference(), Why: why,
		})
	}
}

// keeps reports whether the new documents have a Deny that is as wide as an old one.
func (d *differ) keeps(old *statement) bool {
	return slices.ContainsFunc(d.current, func(s *statement) bool {
		if s.effect != Deny || !subset(s.from.Conditions, old.from.Conditions) {
			return false
		}
		return !slices.ContainsFunc(regions(old), func(r region) bool { return !regions(s).cover(r) })
	})
}

// region is a set of resources: those of a pattern, or all but those of some.
type region struct {
	pattern string
	except  []string
}

// union is what a statement is about.
type union []region

func regions(s *statement) union {
	if s.notRes {
		return union{{except: s.from.Resource.Values}}
	}
	var all union
	for i := range s.resources {
		if k := s.resources[i].kind; k == arnPattern || k == allPattern {
			all = append(all, region{pattern: s.resources[i].from})
		}
	}
	return all
}

// cover reports whether one of the regions holds another wholly.
func (u union) cover(r region) bool {
	return slices.ContainsFunc(u, func(wide region) bool {
		switch {
		case wide.pattern == "*" || wide.pattern == "" && len(wide.except) == 0:
			return true
		case wide.pattern != "" && r.pattern != "":
			return coverResource(wide.pattern, r.pattern)
		case wide.pattern != "":
			return false
		case r.pattern != "":
			return !slices.ContainsFunc(wide.except, func(p string) bool { return OverlapResource(p, r.pattern) })
		}
		return !slices.ContainsFunc(wide.except, func(p string) bool {
			return !slices.ContainsFunc(r.except, func(q string) bool { return coverResource(q, p) })
		})
	})
}

// overlap reports whether a region has something in common with one of the regions.
func (u union) overlap(r region) bool {
	return slices.ContainsFunc(u, func(one region) bool {
		switch {
		case one.pattern != "" && r.pattern != "":
			return OverlapResource(one.pattern, r.pattern)
		case one.pattern != "":
			return !slices.ContainsFunc(r.except, func(p string) bool { return coverResource(p, one.pattern) })
		case r.pattern != "":
			return !slices.ContainsFunc(one.except, func(p string) bool { return coverResource(p, r.pattern) })
		}
		return true
	})
}

// coverResource reports whether a pattern matches all that another does.
func coverResource(wide, narrow string) bool {
	if wide == "*" || wide == narrow {
		return true
	}
	// A ? of the narrow one is any character: a star, which is more, stands for it.
	t := wildTarget(encodeRequest(strings.ReplaceAll(narrow, "?", "*")))
	p := compilePattern(wide, false, shortFills)
	found, _ := p.match(&evaluation{}, &t, true)
	return found
}

// subset reports whether each condition of one list is in another.
func subset(few, many []Condition) bool {
	return !slices.ContainsFunc(few, func(c Condition) bool {
		return !slices.ContainsFunc(many, func(o Condition) bool {
			return c.Name() == o.Name() && strings.EqualFold(c.Key, o.Key) && slices.Equal(sorted(c.Values), sorted(o.Values))
		})
	})
}

func sorted(values []string) []string {
	out := slices.Clone(values)
	slices.Sort(out)
	return out
}

func (p Patterns) describe() string {
	if p.Negated {
		return "all but " + list(p.Values)
	}
	if p.Values == nil {
		return "*"
	}
	return list(p.Values)
}

func describeConditions(all []Condition) string {
	var out []string
	for _, c := range all {
		out = append(out, fmt.Sprintf("%s of %s is %s", c.Name(), c.Key, list(c.Values)))
	}
	return strings.Join(out, ", ")
}
