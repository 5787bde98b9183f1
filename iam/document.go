package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Effect is what a statement does with the requests that it matches.
type Effect string

// The effects.
const (
	Allow Effect = "Allow"
	Deny  Effect = "Deny"
)

// Position is a place in a text. The zero Position stands for something that was made in code.
type Position struct {
	Offset int // in bytes, from 0
	Line   int // from 1
	Column int // in bytes, from 1
}

// Document is a policy document.
type Document struct {
	Version    string // "" when absent: AWS then takes 2008-10-17, which knows no policy variables
	ID         string // "" when absent
	Statements []Statement

	VersionPos Position
}

// Statement is one statement of a document.
type Statement struct {
	SID       string // "" when absent
	Effect    Effect
	Principal *Principals // nil when neither Principal nor NotPrincipal is there
	Action    Patterns    // Action or NotAction; one of them is always there
	Resource  Patterns    // Resource or NotResource; Values is nil when neither is there
	// Conditions are in the order of the text. All must hold.
	Conditions []Condition

	Pos Position // of the opening brace
	End Position // behind the closing brace
}

// Patterns are the values of Action, NotAction, Resource or NotResource.
type Patterns struct {
	Negated bool // NotAction or NotResource
	Values  []string
	Pos     []Position // of each value; empty for a statement that was made in code
}

// Principals are the values of Principal or NotPrincipal.
type Principals struct {
	Negated       bool     // NotPrincipal
	Any           bool     // "*" instead of an object
	AWS           []string // accounts, ARNs of users, roles and sessions, "*"
	Service       []string // such as ec2.amazonaws.com
	Federated     []string // ARNs of identity providers, or names such as accounts.google.com
	CanonicalUser []string // S3's ids of accounts
	Pos           Position
}

// Quantifier says how an operator takes a key of several values.
type Quantifier string

// The quantifiers. The names are those of the policy language.
const (
	Single       Quantifier = ""
	ForAllValues Quantifier = "ForAllValues"
	ForAnyValue  Quantifier = "ForAnyValue"
)

// Condition is one key under one operator, with the values of which one must match.
type Condition struct {
	Quantifier Quantifier
	Operator   string // in AWS's spelling, without quantifier and IfExists: StringEquals
	IfExists   bool
	Key        string   // as written; letter case makes no difference
	Values     []string // numbers and booleans as text

	Pos Position // of the key
}

// Name is the operator as it stands in a document: ForAnyValue:StringLikeIfExists.
func (c Condition) Name() string {
	name := c.Operator
	if c.Quantifier != Single {
		name = string(c.Quantifier) + ":" + name
	}
	if c.IfExists {
		name += "IfExists"
	}
	return name
}

// Problem is one thing that is wrong with a document.
type Problem struct {
	Pos     Position
	Path    string // where in the document, such as Statement[1].Effect; "" for the document itself
	Message string
}

// String is the problem with its place.
func (p Problem) String() string {
	where := p.Path
	if p.Pos.Line > 0 {
		where = strings.TrimSpace(fmt.Sprintf("%s (line %d, column %d)", where, p.Pos.Line, p.Pos.Column))
	}
	if where == "" {
		return p.Message
	}
	return where + ": " + p.Message
}

// ErrMalformed is what every [ParseError] is.
var ErrMalformed = errors.New("malformed policy document")

// ParseError holds all that is wrong with a document. errors.Is finds [ErrMalformed] in it.
type ParseError struct{ Problems []Problem }

// Error is all problems, separated by semicolons.
func (e *ParseError) Error() string {
	all := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		all[i] = p.String()
	}
	return strings.Join(all, "; ")
}

// Is reports whether target is ErrMalformed.
func (e *ParseError) Is(target error) bool { return target == ErrMalformed }

// MarshalJSON prints the document compactly and always in the same way: Version, Id, Statement; in a statement Sid,
// Effect, Principal, Action, Resource, Condition; a single value as a string, several as an array, and a list that is
// empty as an empty array. What Parse reads of it is the same document, but for positions.
func (d *Document) MarshalJSON() ([]byte, error) {
	var w writer
	w.open('{')
	if d.Version != "" {
		w.member("Version", func() { w.text(d.Version) })
	}
	if d.ID != "" {
		w.member("Id", func() { w.text(d.ID) })
	}
	w.member("Statement", func() {
		w.open('[')
		for i := range d.Statements {
			w.item(func() { w.statement(&d.Statements[i]) })
		}
		w.close(']')
	})
	w.close('}')
	return w.out, nil
}

// Indent is MarshalJSON over several lines, two spaces a level.
func (d *Document) Indent() []byte {
	compact, _ := d.MarshalJSON() // has no error
	var out bytes.Buffer
	_ = json.Indent(&out, compact, "", "  ")
	return out.Bytes()
}

// writer makes compact JSON in an order of its own; encoding/json would sort or need a struct for each choice.
type writer struct {
	out   []byte
	first bool // nothing stands behind the last opening brace or bracket
}

func (w *writer) open(c byte)  { w.out, w.first = append(w.out, c), true }
func (w *writer) close(c byte) { w.out, w.first = append(w.out, c), false }

func (w *writer) item(value func()) {
	if !w.first {
		w.out = append(w.out, ',')
	}
	w.first = false
	value()
}

func (w *writer) member(name string, value func()) {
	w.item(func() {
		w.text(name)
		w.out = append(w.out, ':')
		value()
	})
}

// text writes a string. Policies are no HTML: <, > and & stay as they are.
func (w *writer) text(s string) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	w.out = append(w.out, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

func (w *writer) texts(values []string) {
	if len(values) == 1 {
		w.text(values[0])
		return
	}
	w.open('[')
	for _, v := range values {
		w.item(func() { w.text(v) })
	}
	w.close(']')
}

func (w *writer) statement(s *Statement) {
	w.open('{')
	if s.SID != "" {
		w.member("Sid", func() { w.text(s.SID) })
	}
	w.member("Effect", func() { w.text(string(s.Effect)) })
	if p := s.Principal; p != nil {
		w.member(negated("Principal", p.Negated), func() { w.principals(p) })
	}
	w.member(negated("Action", s.Action.Negated), func() { w.texts(s.Action.Values) })
	if s.Resource.Values != nil {
		w.member(negated("Resource", s.Resource.Negated), func() { w.texts(s.Resource.Values) })
	}
	if len(s.Conditions) > 0 {
		w.member("Condition", func() { w.conditions(s.Conditions) })
	}
	w.close('}')
}

func negated(name string, not bool) string {
	if not {
		return "Not" + name
	}
	return name
}

func (w *writer) principals(p *Principals) {
	if p.Any {
		w.text("*")
		return
	}
	w.open('{')
	for _, kind := range []struct {
		name   string
		values []string
	}{{"AWS", p.AWS}, {"Service", p.Service}, {"Federated", p.Federated}, {"CanonicalUser", p.CanonicalUser}} {
		if kind.values != nil {
			w.member(kind.name, func() { w.texts(kind.values) })
		}
	}
	w.close('}')
}

// conditions groups what is under one operator, in the order in which the operators first come.
func (w *writer) conditions(all []Condition) {
	w.open('{')
	for i, c := range all {
		name := c.Name()
		if slices.ContainsFunc(all[:i], func(before Condition) bool { return before.Name() == name }) {
			continue
		}
		w.member(name, func() {
			w.open('{')
			for _, other := range all[i:] {
				if other.Name() == name {
					w.member(other.Key, func() { w.texts(other.Values) })
				}
			}
			w.close('}')
		})
	}
	w.close('}')
}
