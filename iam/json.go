package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
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
	end     Position
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

// reader builds nodes from the tokens of encoding/json.
type reader struct {
	text   []byte
	tokens *json.Decoder
	at     Position // what place has been reached, for line and column
}

// readJSON reads one JSON value and nothing behind it.
func readJSON(text []byte) (node, *Problem) {
	r := reader{text: text, tokens: json.NewDecoder(bytes.NewReader(text)), at: Position{0, 1, 1}}
	r.tokens.UseNumber()
	root, err := r.value(0)
	if err == nil {
		if _, end := r.tokens.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("something stands behind the end of the document")
		}
	}
	if err == nil {
		return root, nil
	}
	offset := r.skip(int(r.tokens.InputOffset()))
	message := "this is not JSON: " + strings.TrimPrefix(err.Error(), "json: ")
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		offset = max(offset, int(syntax.Offset)-1) // either may lag behind the other
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		offset, message = len(text), "this is not JSON: it ends too early"
	}
	return node{}, &Problem{Pos: place(text, offset), Message: message}
}

// place is the position of an offset.
func place(text []byte, offset int) Position {
	offset = max(0, min(offset, len(text)))
	line := bytes.Count(text[:offset], []byte("\n"))
	return Position{offset, line + 1, offset - bytes.LastIndexByte(text[:offset], '\n')}
}

// moveTo moves the place forward to an offset.
func (r *reader) moveTo(offset int) Position {
	for ; r.at.Offset < offset; r.at.Offset++ {
		if r.text[r.at.Offset] == '\n' {
			r.at.Line, r.at.Column = r.at.Line+1, 1
		} else {
			r.at.Column++
		}
	}
	return r.at
}

// next reads a token and gives the place where it begins: behind what separates it from the one before.
func (r *reader) next() (json.Token, Position, error) {
	from := int(r.tokens.InputOffset())
	token, err := r.tokens.Token()
	if err != nil {
		return nil, Position{}, err
	}
	return token, r.moveTo(r.skip(from)), nil
}

// skip is the offset of what comes behind separators.
func (r *reader) skip(from int) int {
	for from < len(r.text) && strings.IndexByte(" \t\r\n,:", r.text[from]) >= 0 {
		from++
	}
	return from
}

func (r *reader) value(depth int) (node, error) {
	token, pos, err := r.next()
	if err != nil {
		return node{}, err
	}
	return r.from(token, pos, depth)
}

// from is the value that begins with a token.
func (r *reader) from(token json.Token, pos Position, depth int) (n node, err error) {
	n.pos = pos
	switch token := token.(type) {
	case string:
		n.kind, n.text = stringNode, token
	case json.Number:
		n.kind, n.text = numberNode, token.String()
	case bool:
		n.kind, n.text = boolNode, strconv.FormatBool(token)
	case json.Delim:
		if depth >= maxDepth {
			return n, fmt.Errorf("it nests deeper than %d levels", maxDepth)
		}
		n.kind = arrayNode
		if token == '{' {
			n.kind = objectNode
		}
		err = r.inside(&n, depth)
	}
	n.end = r.moveTo(int(r.tokens.InputOffset()))
	return n, err
}

// inside reads what an array or an object holds, and its end.
func (r *reader) inside(n *node, depth int) error {
	for r.tokens.More() {
		if n.kind == arrayNode {
			item, err := r.value(depth + 1)
			if err != nil {
				return err
			}
			n.items = append(n.items, item)
			continue
		}
		name, pos, err := r.next()
		if err != nil {
			return err
		}
		value, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.members = append(n.members, member{fmt.Sprint(name), pos, value})
	}
	_, err := r.tokens.Token()
	return err
}
