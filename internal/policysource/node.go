package policysource

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"sort"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/lint"
)

// node is a value of JSON or Terraform with its place in the file.
type node struct {
	kind    kind
	text    string // of a string, number or boolean
	items   []node
	members []member
	offset  int // of its first byte
	end     int // behind its last
}

type member struct {
	name   string
	offset int
	value  node
}

type kind byte

const (
	null kind = iota
	text
	number
	boolean
	array
	object
	unknown // what is filled in later; text is what is known of it
)

func (n node) member(names ...string) (node, bool) {
	for _, m := range n.members {
		if slices.Contains(names, m.name) {
			return m.value, true
		}
	}
	return node{}, false
}

// isPolicy says whether a value looks like a policy document.
func (n node) isPolicy() bool {
	s, ok := n.member("Statement")
	if !ok || n.kind != object {
		return false
	}
	_, versioned := n.member("Version")
	switch s.kind {
	case object:
		return true
	case array, unknown:
		return versioned || len(s.items) == 0 || s.items[0].kind == object
	default:
		return versioned
	}
}

// print makes JSON of a node, and says for every place in it where in the file it comes from.
func (n node) print() ([]byte, func(iam.Position) int) {
	var p printer
	p.value(n)
	return p.out, p.place
}

type printer struct {
	out   []byte
	spans []span
}

// span says that what begins at an offset of the document comes from an offset of the file.
type span struct{ document, file int }

func (p *printer) place(in iam.Position) int {
	i := sort.Search(len(p.spans), func(i int) bool { return p.spans[i].document > in.Offset })
	if i == 0 {
		return 0
	}
	return p.spans[i-1].file
}

func (p *printer) mark(offset int) { p.spans = append(p.spans, span{len(p.out), offset}) }

func (p *printer) string(s string) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	p.out = append(p.out, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

func (p *printer) value(n node) {
	p.mark(n.offset)
	switch n.kind {
	case null:
		p.out = append(p.out, "null"...)
	case text:
		p.string(n.text)
	case unknown:
		if n.text == "" {
			n.text = lint.Unknown
		}
		p.string(n.text)
	case number, boolean:
		p.out = append(p.out, n.text...)
	case array:
		p.out = append(p.out, '[')
		for i, item := range n.items {
			p.comma(i)
			p.value(item)
		}
		p.out = append(p.out, ']')
	case object:
		p.out = append(p.out, '{')
		for i, m := range n.members {
			p.comma(i)
			p.mark(m.offset)
			p.string(m.name)
			p.out = append(p.out, ':')
			p.value(m.value)
		}
		p.out = append(p.out, '}')
	}
}

func (p *printer) comma(i int) {
	if i > 0 {
		p.out = append(p.out, ',')
	}
}

// fill gives what is filled in later a form that the element needs, and leaves out statements of which too little is
// known.
func (r *reader) fill(n node, where string) (node, bool) {
	out := n
	out.members = nil
	for _, m := range n.members {
		switch {
		case m.value.kind == null:
			continue
		case m.name != "Statement":
		case m.value.kind == unknown:
			r.note(m.value.offset, "%s: the statements are made by an expression that is not understood; the policy is not looked at", where)
			return node{}, false
		case m.value.kind == object:
			m.value = node{kind: array, items: []node{m.value}, offset: m.value.offset, end: m.value.end}
			fallthrough
		case m.value.kind == array:
			var kept []node
			for _, s := range m.value.items {
				if s, ok := r.fillStatement(s, where); ok {
					kept = append(kept, s)
				}
			}
			m.value.items = kept
		}
		out.members = append(out.members, m)
	}
	return out, true
}

func (r *reader) fillStatement(n node, where string) (node, bool) {
	if n.kind == unknown {
		r.note(n.offset, "%s: a statement is made by an expression that is not understood; it is not looked at", where)
		return node{}, false
	}
	anything := func(offset int) node { return node{kind: text, text: lint.Unknown, offset: offset} }
	out := n
	out.members = nil
	for _, m := range n.members {
		v := &m.value
		switch {
		case v.kind == null:
			continue
		case m.name == "Effect" && v.kind == unknown:
			r.note(v.offset, "%s: it is not known whether a statement allows or denies; it is not looked at", where)
			return node{}, false
		case (m.name == "Principal" || m.name == "NotPrincipal") && v.kind == unknown:
			*v = node{kind: object, offset: v.offset, members: []member{{"AWS", v.offset, anything(v.offset)}}}
		case m.name == "Condition" && v.kind == unknown:
			keys := node{kind: object, offset: v.offset, members: []member{{lint.Unknown, v.offset, anything(v.offset)}}}
			*v = node{kind: object, offset: v.offset, members: []member{{"StringEquals", v.offset, keys}}}
		case m.name == "Condition" && v.kind == object:
			operators := slices.Clone(v.members)
			for i, op := range operators {
				if strings.Contains(op.name, lint.Unknown) {
					operators[i].name = "StringEquals"
					operators[i].value.kind = unknown
				}
				if operators[i].value.kind == unknown {
					operators[i].value = node{kind: object, offset: op.offset, members: []member{{lint.Unknown, op.offset, anything(op.offset)}}}
				}
			}
			v.members = operators
		}
		out.members = append(out.members, m)
	}
	return out, true
}

func asParse(err error, to **iam.ParseError) bool { return errors.As(err, to) }
