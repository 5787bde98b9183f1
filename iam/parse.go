package iam

import (
	"fmt"
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
	d := p.document(root)
	if len(p.problems) > 0 {
		return nil, &ParseError{Problems: p.problems}
	}
	return d, nil
}

type parser struct{ problems []Problem }

func (p *parser) report(pos Position, path, format string, args ...any) {
	p.problems = append(p.problems, Problem{Pos: pos, Path: path, Message: fmt.Sprintf(format, args...)})
}

// object walks the members of an object, each name once, and hands the known ones on.
func (p *parser) object(n node, path string, known func(m member, path string) bool) {
	seen := map[string]bool{}
	for _, m := range n.members {
		at := join(path, m.name)
		switch {
		case seen[m.name]:
			p.report(m.pos, at, "is there twice; AWS keeps one of them only")
		case !known(m, at):
			p.report(m.pos, at, "the policy language has no such element here%s", spelling(m.name))
		}
		seen[m.name] = true
	}
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

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (p *parser) document(n node) *Document {
	if n.kind != objectNode {
		p.report(n.pos, "", "a policy document is an object, not %s", n.kind)
		return nil
	}
	d := &Document{}
	statements := false
	p.object(n, "", func(m member, path string) bool {
		switch m.name {
		case "Version":
			d.Version, d.VersionPos = p.text(m.value, path), m.value.pos
		case "Id":
			d.ID = p.text(m.value, path)
		case "Statement":
			statements = true
			d.Statements = p.statements(m.value)
		default:
			return false
		}
		return true
	})
	if !statements {
		p.report(n.pos, "", "Statement is missing")
	}
	return d
}

func (p *parser) statements(n node) []Statement {
	if n.kind == objectNode {
		return []Statement{p.statement(n, "Statement")}
	}
	if n.kind != arrayNode {
		p.report(n.pos, "Statement", "is an object or an array of objects, not %s", n.kind)
		return nil
	}
	all := make([]Statement, 0, len(n.items))
	for i, item := range n.items {
		all = append(all, p.statement(item, fmt.Sprintf("Statement[%d]", i)))
	}
	return all
}

func (p *parser) statement(n node, path string) Statement {
	s := Statement{Pos: n.pos, End: n.end}
	if n.kind != objectNode {
		p.report(n.pos, path, "a statement is an object, not %s", n.kind)
		return s
	}
	has := map[string]bool{}
	p.object(n, path, func(m member, path string) bool {
		has[m.name] = true
		switch m.name {
		case "Sid":
			s.SID = p.text(m.value, path)
		case "Effect":
			s.Effect = p.effect(m.value, path)
		case "Principal", "NotPrincipal":
			s.Principal = p.principals(m.value, path)
			s.Principal.Negated = m.name == "NotPrincipal"
		case "Action", "NotAction":
			s.Action = p.patterns(m.value, path)
			s.Action.Negated = m.name == "NotAction"
		case "Resource", "NotResource":
			s.Resource = p.patterns(m.value, path)
			s.Resource.Negated = m.name == "NotResource"
		case "Condition":
			s.Conditions = p.conditions(m.value, path)
		default:
			return false
		}
		return true
	})
	if !has["Effect"] {
		p.report(n.pos, path, "Effect is missing")
	}
	if !has["Action"] && !has["NotAction"] {
		p.report(n.pos, path, "Action or NotAction is missing")
	}
	for _, name := range []string{"Action", "Resource", "Principal"} {
		if has[name] && has["Not"+name] {
			p.report(n.pos, path, "%s and Not%s exclude one another", name, name)
		}
	}
	return s
}

func (p *parser) text(n node, path string) string {
	if n.kind != stringNode {
		p.report(n.pos, path, "is a string, not %s", n.kind)
	}
	return n.text
}

func (p *parser) effect(n node, path string) Effect {
	e := Effect(p.text(n, path))
	if n.kind == stringNode && e != Allow && e != Deny {
		p.report(n.pos, path, "is Allow or Deny, not %q", n.text)
	}
	return e
}

// patterns reads one string or an array of strings. An empty array is none, which is not the same as absent.
func (p *parser) patterns(n node, path string) Patterns {
	out := Patterns{Values: []string{}}
	p.each(n, path, func(item node, path string) {
		out.Values = append(out.Values, p.text(item, path))
		out.Pos = append(out.Pos, item.pos)
	})
	return out
}

// each calls visit with the one value or with each of an array.
func (p *parser) each(n node, path string, visit func(item node, path string)) {
	if n.kind != arrayNode {
		visit(n, path)
		return
	}
	for i, item := range n.items {
		visit(item, fmt.Sprintf("%s[%d]", path, i))
	}
}

func (p *parser) principals(n node, path string) *Principals {
	out := &Principals{Pos: n.pos}
	if n.kind == stringNode && n.text == "*" {
		out.Any = true
		return out
	}
	if n.kind != objectNode {
		p.report(n.pos, path, `is "*" or an object with AWS, Service, Federated or CanonicalUser`)
		return out
	}
	p.object(n, path, func(m member, path string) bool {
		values := p.patterns(m.value, path).Values
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

func (p *parser) conditions(n node, path string) []Condition {
	if n.kind != objectNode {
		p.report(n.pos, path, "is an object of operators, not %s", n.kind)
		return nil
	}
	var out []Condition
	operators := map[string]bool{}
	for _, op := range n.members {
		at := join(path, op.name)
		head, ok := parseOperator(op.name)
		if !ok {
			p.report(op.pos, at, "there is no such condition operator")
			continue
		}
		if operators[head.Name()] {
			p.report(op.pos, at, "is there twice; AWS keeps one of them only")
		}
		operators[head.Name()] = true
		if op.value.kind != objectNode {
			p.report(op.value.pos, at, "is an object of condition keys, not %s", op.value.kind)
			continue
		}
		keys := map[string]bool{}
		for _, key := range op.value.members {
			if keys[strings.ToLower(key.name)] {
				p.report(key.pos, join(at, key.name), "is there twice; AWS keeps one of them only")
			}
			keys[strings.ToLower(key.name)] = true
			one := head
			one.Key, one.Pos, one.Values = key.name, key.pos, []string{}
			p.each(key.value, join(at, key.name), func(item node, path string) {
				switch item.kind {
				case stringNode, numberNode, boolNode:
					one.Values = append(one.Values, item.text)
				case nullNode, arrayNode, objectNode:
					p.report(item.pos, path, "is a string, a number or a boolean, not %s", item.kind)
				}
			})
			out = append(out, one)
		}
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
