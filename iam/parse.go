package iam

import (
	"fmt"
	"slices"
	"strings"
)

// Parse reads a policy document.
//
// It is strict on structure: what is not an object, has no Statement, an element that the policy language does not have,
// an element twice, an Effect other than Allow and Deny, both or neither of Action and NotAction, both of Resource and
// NotResource or of Principal and NotPrincipal, an unknown condition operator, or a value of a kind that the element does
// not take, is an error. It is literal on content: actions, ARNs, keys and versions are taken as they stand; what AWS would
// refuse in them is for a linter.
//
// The error is a [*ParseError] with all problems.
func Parse(text []byte) (*Document, error) {
	root, problem := readJSON(text)
	if problem != nil {
		return nil, &ParseError{Problems: []Problem{*problem}}
	}
	p := parser{}
	d := p.document(&root)
	if len(p.problems) > 0 {
		return nil, &ParseError{Problems: p.problems}
	}
	return d, nil
}

// parser turns nodes into a document. It notes the way to where it is, and makes a path of it when there is a problem only.
type parser struct {
	problems []Problem
	way      []hop
}

// hop is a member's name, or the index of an item.
type hop struct {
	name  string
	index int // -1 for a name
}

func (p *parser) enter(name string) { p.way = append(p.way, hop{name, -1}) }
func (p *parser) leave()            { p.way = p.way[:len(p.way)-1] }

func (p *parser) report(pos Position, format string, args ...any) {
	var path strings.Builder
	for i, s := range p.way {
		switch {
		case s.index >= 0:
			fmt.Fprintf(&path, "[%d]", s.index)
		case i > 0:
			path.WriteString("." + s.name)
		default:
			path.WriteString(s.name)
		}
	}
	p.problems = append(p.problems, Problem{Pos: pos, Path: path.String(), Message: fmt.Sprintf(format, args...)})
}

// object walks the members of an object, each name once, and hands the known ones on.
func (p *parser) object(n *node, known func(m *member) bool) {
	var names nameSet
	for i := range n.members {
		m := &n.members[i]
		p.enter(m.name)
		switch {
		case names.has(m.name, n.members[:i], func(name string) string { return name }):
			p.report(m.pos, twice)
		case !known(m):
			p.report(m.pos, "the policy language has no such element here%s", spelling(m.name))
		}
		p.leave()
	}
}

const twice = "is there twice; AWS keeps one of them only"

// nameSet finds names that an object has twice. Few are compared one by one, which is quicker than a map.
type nameSet struct{ many map[string]bool }

const fewNames = 16

// has reports whether a name is among the members before it; fold brings names that count as the same into one form.
func (s *nameSet) has(name string, before []member, fold func(string) string) bool {
	name = fold(name)
	if len(before) < fewNames {
		for i := range before {
			if fold(before[i].name) == name {
				return true
			}
		}
		return false
	}
	if s.many == nil {
		s.many = map[string]bool{}
		for i := range before {
			s.many[fold(before[i].name)] = true
		}
	}
	if s.many[name] {
		return true
	}
	s.many[name] = true
	return false
}

// spelling points at the element that a name in a wrong letter case, or in the plural, was meant for.
func spelling(name string) string {
	for _, right := range []string{
		"Version", "Id", "Statement", "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource",
		"Condition", "AWS", "Service", "Federated", "CanonicalUser",
	} {
		if name != right && (strings.EqualFold(name, right) || strings.EqualFold(name, right+"s")) {
			return "; did you mean " + right + "?"
		}
	}
	return ""
}

func (p *parser) document(n *node) *Document {
	if n.kind != objectNode {
		p.report(n.pos, "a policy document is an object, not %s", n.kind)
		return nil
	}
	d := &Document{}
	statements := false
	p.object(n, func(m *member) bool {
		switch m.name {
		case "Version":
			d.Version, d.VersionPos = p.text(&m.value), m.value.pos
		case "Id":
			d.ID = p.text(&m.value)
		case "Statement":
			statements = true
			d.Statements = p.statements(&m.value)
		default:
			return false
		}
		return true
	})
	if !statements {
		p.report(n.pos, "Statement is missing")
	}
	return d
}

func (p *parser) statements(n *node) []Statement {
	if n.kind != arrayNode && n.kind != objectNode {
		p.report(n.pos, "is an object or an array of objects, not %s", n.kind)
		return nil
	}
	all := make([]Statement, 0, max(1, len(n.items)))
	p.each(n, func(item *node) {
		all = append(all, Statement{Pos: item.pos, End: item.end})
		p.statement(item, &all[len(all)-1])
	})
	return all
}

func (p *parser) statement(n *node, s *Statement) {
	if n.kind != objectNode {
		p.report(n.pos, "a statement is an object, not %s", n.kind)
		return
	}
	var effect bool
	var action, resource, principal either
	p.object(n, func(m *member) bool {
		switch m.name {
		case "Sid":
			s.SID = p.text(&m.value)
		case "Effect":
			effect = true
			s.Effect = p.effect(&m.value)
		case "Principal", "NotPrincipal":
			s.Principal = p.principals(&m.value)
			s.Principal.Negated = principal.note(m.name == "NotPrincipal")
		case "Action", "NotAction":
			s.Action = p.patterns(&m.value)
			s.Action.Negated = action.note(m.name == "NotAction")
		case "Resource", "NotResource":
			s.Resource = p.patterns(&m.value)
			s.Resource.Negated = resource.note(m.name == "NotResource")
		case "Condition":
			s.Conditions = p.conditions(&m.value)
		default:
			return false
		}
		return true
	})
	if !effect {
		p.report(n.pos, "Effect is missing")
	}
	if action == (either{}) {
		p.report(n.pos, "Action or NotAction is missing")
	}
	for _, one := range [...]struct {
		name string
		both bool
	}{{"Action", action.both()}, {"Resource", resource.both()}, {"Principal", principal.both()}} {
		if one.both {
			p.report(n.pos, "%s and Not%s exclude one another", one.name, one.name)
		}
	}
}

// either notes which of an element and its opposite are there.
type either struct{ plain, negated bool }

func (e *either) note(negated bool) bool {
	e.plain, e.negated = e.plain || !negated, e.negated || negated
	return negated
}

func (e *either) both() bool { return e.plain && e.negated }

func (p *parser) text(n *node) string {
	if n.kind != stringNode {
		p.report(n.pos, "is a string, not %s", n.kind)
	}
	return n.text
}

func (p *parser) effect(n *node) Effect {
	e := Effect(p.text(n))
	if n.kind == stringNode && e != Allow && e != Deny {
		p.report(n.pos, "is Allow or Deny, not %q", n.text)
	}
	return e
}

// patterns reads one string or an array of strings. An empty array is none, which is not the same as absent.
func (p *parser) patterns(n *node) Patterns {
	count := n.values()
	out := Patterns{Values: make([]string, 0, count)}
	if count > 0 {
		out.Pos = make([]Position, 0, count)
	}
	p.each(n, func(item *node) {
		out.Values = append(out.Values, p.text(item))
		out.Pos = append(out.Pos, item.pos)
	})
	return out
}

// values is how many values each visits.
func (n *node) values() int {
	if n.kind == arrayNode {
		return len(n.items)
	}
	return 1
}

// each calls visit with the one value or with each of an array.
func (p *parser) each(n *node, visit func(item *node)) {
	if n.kind != arrayNode {
		visit(n)
		return
	}
	for i := range n.items {
		p.way = append(p.way, hop{index: i})
		visit(&n.items[i])
		p.leave()
	}
}

func (p *parser) principals(n *node) *Principals {
	out := &Principals{Pos: n.pos}
	if n.kind == stringNode && n.text == "*" {
		out.Any = true
		return out
	}
	if n.kind != objectNode {
		p.report(n.pos, `is "*" or an object with AWS, Service, Federated or CanonicalUser`)
		return out
	}
	p.object(n, func(m *member) bool {
		values := p.patterns(&m.value).Values
		switch m.name {
		case "AWS":
			out.AWS = values
		case "Service":
			out.Service = values
		case "Federated":
			out.Federated = values
		case "CanonicalUser":
			out.CanonicalUser = values
		default:
			return false
		}
		return true
	})
	return out
}

func (p *parser) conditions(n *node) []Condition {
	if n.kind != objectNode {
		p.report(n.pos, "is an object of operators, not %s", n.kind)
		return nil
	}
	count := 0
	for i := range n.members {
		count += len(n.members[i].value.members)
	}
	var out []Condition
	if count > 0 {
		out = make([]Condition, 0, count)
	}
	var seen []Condition // the operators, without keys
	for i := range n.members {
		op := &n.members[i]
		p.enter(op.name)
		head, ok := parseOperator(op.name)
		switch {
		case !ok:
			p.report(op.pos, "there is no such condition operator")
		case slices.ContainsFunc(seen, head.sameOperator):
			p.report(op.pos, twice)
		default:
			seen = append(seen, head)
		}
		switch {
		case !ok:
		case op.value.kind != objectNode:
			p.report(op.value.pos, "is an object of condition keys, not %s", op.value.kind)
		default:
			out = p.keys(&op.value, head, out)
		}
		p.leave()
	}
	return out
}

func (c Condition) sameOperator(other Condition) bool {
	return c.Operator == other.Operator && c.Quantifier == other.Quantifier && c.IfExists == other.IfExists
}

// keys reads what is under one operator.
func (p *parser) keys(n *node, head Condition, out []Condition) []Condition {
	var names nameSet
	for i := range n.members {
		key := &n.members[i]
		p.enter(key.name)
		if names.has(key.name, n.members[:i], lowerASCII) {
			p.report(key.pos, twice)
		}
		one := head
		one.Key, one.Pos, one.Values = key.name, key.pos, make([]string, 0, key.value.values())
		p.each(&key.value, func(item *node) {
			switch item.kind {
			case stringNode, numberNode, boolNode:
				one.Values = append(one.Values, item.text)
			case nullNode, arrayNode, objectNode:
				p.report(item.pos, "is a string, a number or a boolean, not %s", item.kind)
			}
		})
		out = append(out, one)
		p.leave()
	}
	return out
}

// parseOperator reads ForAnyValue:StringLikeIfExists, in any letter case.
func parseOperator(name string) (Condition, bool) {
	var c Condition
	if quantifier, rest, ok := strings.Cut(name, ":"); ok {
		switch {
		case strings.EqualFold(quantifier, string(ForAllValues)):
			c.Quantifier = ForAllValues
		case strings.EqualFold(quantifier, string(ForAnyValue)):
			c.Quantifier = ForAnyValue
		default:
			return c, false
		}
		name = rest
	}
	const ifExists = "IfExists"
	if cut := len(name) - len(ifExists); cut > 0 && strings.EqualFold(name[cut:], ifExists) {
		c.IfExists, name = true, name[:cut]
	}
	for _, op := range operators {
		if strings.EqualFold(op.name, name) {
			c.Operator = op.name
			return c, op.kind != opNull || !c.IfExists && c.Quantifier == Single
		}
	}
	return c, false
}

// opKind is how an operator compares.
type opKind byte

const (
	opString opKind = iota
	opStringFold
	opStringLike
	opNumber
	opDate
	opBool
	opBinary
	opIP
	opARN
	opNull
)

// relation is which order of request value and policy value an operator wants.
type relation byte

const (
	equal relation = iota
	less
	lessOrEqual
	greater
	greaterOrEqual
)

type operator struct {
	name     string
	kind     opKind
	negated  bool
	relation relation
}

// operators are all of the policy language.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
var operators = [...]operator{ //nolint:gochecknoglobals // a table
	{name: "StringEquals", kind: opString},
	{name: "StringNotEquals", kind: opString, negated: true},
	{name: "StringEqualsIgnoreCase", kind: opStringFold},
	{name: "StringNotEqualsIgnoreCase", kind: opStringFold, negated: true},
	{name: "StringLike", kind: opStringLike},
	{name: "StringNotLike", kind: opStringLike, negated: true},
	{name: "NumericEquals", kind: opNumber},
	{name: "NumericNotEquals", kind: opNumber, negated: true},
	{name: "NumericLessThan", kind: opNumber, relation: less},
	{name: "NumericLessThanEquals", kind: opNumber, relation: lessOrEqual},
	{name: "NumericGreaterThan", kind: opNumber, relation: greater},
	{name: "NumericGreaterThanEquals", kind: opNumber, relation: greaterOrEqual},
	{name: "DateEquals", kind: opDate},
	{name: "DateNotEquals", kind: opDate, negated: true},
	{name: "DateLessThan", kind: opDate, relation: less},
	{name: "DateLessThanEquals", kind: opDate, relation: lessOrEqual},
	{name: "DateGreaterThan", kind: opDate, relation: greater},
	{name: "DateGreaterThanEquals", kind: opDate, relation: greaterOrEqual},
	{name: "Bool", kind: opBool},
	{name: "BinaryEquals", kind: opBinary},
	{name: "IpAddress", kind: opIP},
	{name: "NotIpAddress", kind: opIP, negated: true},
	{name: "ArnEquals", kind: opARN},
	{name: "ArnLike", kind: opARN},
	{name: "ArnNotEquals", kind: opARN, negated: true},
	{name: "ArnNotLike", kind: opARN, negated: true},
	{name: "Null", kind: opNull},
}
