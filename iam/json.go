package iam

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how deep a document may nest. A policy needs six levels.
const maxDepth = 16

// node is a JSON value with its place. encoding/json's own values know no places, drop all but the last of members of
// the same name, and order nothing.
type node struct {
	kind    nodeKind
	text    string // of a string, a number, true or false
	items   []node // of an array
	members []member
	pos     Position
	end     Position // of an object: behind its brace
}

// member is one member of an object.
type member struct {
	name  string
	pos   Position // of the name
	value node
}

type nodeKind byte

const (
	nullNode nodeKind = iota
	stringNode
	numberNode
	boolNode
	arrayNode
	objectNode
)

// String is the kind with its article, for messages.
func (k nodeKind) String() string {
	return [...]string{"null", "a string", "a number", "true or false", "an array", "an object"}[k]
}

// reader reads JSON in one pass. Strings without escapes are parts of the text, so that they cost nothing; what is inside
// of arrays and objects waits in items and members until its number is known.
type reader struct {
	text    string
	at      int // offset
	line    int // from 1
	begin   int // offset of the line
	items   []node
	members []member
}

// readJSON reads one JSON value and nothing behind it. It accepts what encoding/json does, up to maxDepth.
func readJSON(text []byte) (node, *Problem) {
	r := reader{text: string(text), line: 1}
	r.space()
	root, problem := r.value(0)
	if problem == nil {
		if r.space(); r.at < len(r.text) {
			problem = r.problem("something stands behind the end of the document")
		}
	}
	return root, problem
}

func (r *reader) place() Position { return Position{r.at, r.line, r.at - r.begin + 1} }

// problem says what is wrong where the reader is.
func (r *reader) problem(format string, args ...any) *Problem {
	return &Problem{Pos: r.place(), Message: "this is not JSON: " + fmt.Sprintf(format, args...)}
}

// unexpected is the problem of a character, or of the end, where there should be something else.
func (r *reader) unexpected(wanted string) *Problem {
	if r.at >= len(r.text) {
		r.at = len(r.text)
		return r.problem("it ends too early")
	}
	c, _ := utf8.DecodeRuneInString(r.text[r.at:])
	return r.problem("here is %q instead of %s", c, wanted)
}

// space skips white space. Line feeds stand nowhere else in JSON.
func (r *reader) space() {
	for ; r.at < len(r.text); r.at++ {
		switch r.text[r.at] {
		case '\n':
			r.line, r.begin = r.line+1, r.at+1
		case ' ', '\t', '\r':
		default:
			return
		}
	}
}

// is reports whether the next character is c, and steps over it.
func (r *reader) is(c byte) bool {
	if r.at < len(r.text) && r.text[r.at] == c {
		r.at++
		return true
	}
	return false
}

func (r *reader) value(depth int) (node, *Problem) {
	n := node{pos: r.place()}
	if r.at >= len(r.text) {
		return n, r.unexpected("")
	}
	var problem *Problem
	switch c := r.text[r.at]; {
	case c == '"':
		n.kind = stringNode
		n.text, problem = r.string()
	case c == '{' || c == '[':
		if depth >= maxDepth {
			return n, r.problem("it nests deeper than %d levels", maxDepth)
		}
		if c == '{' {
			problem = r.object(&n, depth)
		} else {
			problem = r.array(&n, depth)
		}
		n.end = r.place()
	case c == '-' || '0' <= c && c <= '9':
		n.kind = numberNode
		n.text, problem = r.number()
	default:
		problem = r.word(&n)
	}
	return n, problem
}

func (r *reader) object(n *node, depth int) *Problem {
	n.kind = objectNode
	r.at++
	from := len(r.members)
	if r.space(); r.is('}') {
		return nil
	}
	for {
		r.space()
		m, problem := r.member(depth)
		if problem != nil {
			return problem
		}
		r.members = append(r.members, m)
		if r.space(); r.is('}') {
			break
		}
		if !r.is(',') {
			return r.unexpected("a comma or the end of the object")
		}
	}
	n.members = append([]member(nil), r.members[from:]...)
	r.members = r.members[:from]
	return nil
}

func (r *reader) member(depth int) (m member, problem *Problem) {
	m.pos = r.place()
	if r.at >= len(r.text) || r.text[r.at] != '"' {
		return m, r.unexpected("the name of a member")
	}
	if m.name, problem = r.string(); problem != nil {
		return m, problem
	}
	if r.space(); !r.is(':') {
		return m, r.unexpected("a colon")
	}
	r.space()
	m.value, problem = r.value(depth + 1)
	return m, problem
}

func (r *reader) array(n *node, depth int) *Problem {
	n.kind = arrayNode
	r.at++
	from := len(r.items)
	if r.space(); r.is(']') {
		return nil
	}
	for {
		r.space()
		item, problem := r.value(depth + 1)
		if problem != nil {
			return problem
		}
		r.items = append(r.items, item)
		if r.space(); r.is(']') {
			break
		}
		if !r.is(',') {
			return r.unexpected("a comma or the end of the array")
		}
	}
	n.items = append([]node(nil), r.items[from:]...)
	r.items = r.items[:from]
	return nil
}

// string reads a string from its opening quote.
func (r *reader) string() (string, *Problem) {
	begin := r.at
	r.at++
	plain := true
	for ; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; {
		case c == '"':
			r.at++
			if s := r.text[begin+1 : r.at-1]; plain {
				return s, nil
			}
			return r.unescape(begin)
		case c == '\\':
			plain = false
			if r.at++; r.at < len(r.text) && r.text[r.at] < ' ' { // a line feed would spoil the count of lines
				return "", r.unexpected("an escape")
			}
		case c < ' ':
			return "", r.unexpected("a character of a string")
		case c >= utf8.RuneSelf:
			plain = false // it may be no UTF-8
		}
	}
	return "", r.unexpected("")
}

// unescape reads the string between begin and here, in which there is more than plain ASCII.
func (r *reader) unescape(begin int) (string, *Problem) {
	quoted := r.text[begin:r.at]
	if strings.IndexByte(quoted, '\\') < 0 && utf8.ValidString(quoted) {
		return quoted[1 : len(quoted)-1], nil
	}
	var s string
	if json.Unmarshal([]byte(quoted), &s) != nil { // it replaces what is no UTF-8
		r.at = begin
		return "", r.problem("this string has an escape that JSON does not know")
	}
	return s, nil
}

func (r *reader) digits() bool {
	from := r.at
	for r.at < len(r.text) && '0' <= r.text[r.at] && r.text[r.at] <= '9' {
		r.at++
	}
	return r.at > from
}

func (r *reader) number() (string, *Problem) {
	begin := r.at
	r.is('-')
	if !r.is('0') && !r.digits() {
		return "", r.unexpected("a digit")
	}
	if r.is('.') && !r.digits() {
		return "", r.unexpected("a digit")
	}
	if r.is('e') || r.is('E') {
		_ = r.is('+') || r.is('-')
		if !r.digits() {
			return "", r.unexpected("a digit")
		}
	}
	return r.text[begin:r.at], nil
}

// word reads true, false or null.
func (r *reader) word(n *node) *Problem {
	for _, word := range [...]struct {
		text string
		kind nodeKind
	}{{"true", boolNode}, {"false", boolNode}, {"null", nullNode}} {
		if !strings.HasPrefix(r.text[r.at:], word.text) {
			continue
		}
		if n.kind = word.kind; n.kind == boolNode {
			n.text = word.text
		}
		r.at += len(word.text)
		return nil
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(word, r.text[r.at:]) { // cut off in the middle
			r.at = len(r.text)
		}
	}
	return r.unexpected("a value")
}
