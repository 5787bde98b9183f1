package policysource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/lint"
)

// maxDepth is how deep JSON and Terraform may nest. A plan needs some twenty levels.
const maxDepth = 200

// json reads a file of JSON. A document that is the whole file is parsed as it stands, so that all that the parser says
// about it is true of the file.
func (r *reader) json() {
	root, err := parseJSON(r.file.text)
	if err != nil {
		r.fail(err.offset, "this is not JSON: %s", err.message)
		return
	}
	if _, statements := root.member("Statement"); statements {
		r.add(r.file.text, "", lint.Subject{}, func(p iam.Position) int { return p.Offset })
		return
	}
	before := len(r.Problems)
	r.search(root, "", lint.Subject{})
	if len(r.Policies) == 0 && len(r.Problems) == before {
		r.fail(0, "there is no policy document in it: nothing has a Statement")
	}
}

// search looks for documents in what another program printed.
func (r *reader) search(n node, where string, about lint.Subject) {
	switch n.kind {
	case object:
		if where != "" && n.isPolicy() {
			if filled, ok := r.fill(intrinsics(n), where); ok {
				document, place := filled.print()
				r.add(document, where, about, place)
			}
			return
		}
		for _, name := range []string{"RoleName", "PolicyName", "UserName", "GroupName", "role_name", "name", "Name"} {
			if v, ok := n.member(name); ok && v.kind == text {
				about.Name = v.text
				break
			}
		}
		for _, m := range n.members {
			inner := about
			if trusting(m.name) {
				inner.Kind = lint.Trust
			}
			r.search(m.value, join(where, m.name), inner)
		}
	case array:
		for i, item := range n.items {
			r.search(item, where+"["+strconv.Itoa(i)+"]", about)
		}
	case text:
		r.embedded(n, where, about)
	case null, number, boolean, unknown:
	}
}

// trusting tells names under which a role's trust policy stands.
func trusting(name string) bool {
	return strings.EqualFold(strings.ReplaceAll(name, "_", ""), "assumeRolePolicyDocument") || strings.EqualFold(strings.ReplaceAll(name, "_", ""), "assumeRolePolicy")
}

// embedded looks for a document in a string. Its places are all that of the string: what is escaped, or encoded as AWS
// encodes it in a URL, has no columns that a reader could count.
func (r *reader) embedded(n node, where string, about lint.Subject) {
	document := strings.TrimSpace(n.text)
	if strings.HasPrefix(document, "%7B") || strings.HasPrefix(document, "%7b") {
		decoded, err := url.QueryUnescape(document)
		if err != nil {
			return
		}
		document = decoded
	}
	if !strings.HasPrefix(document, "{") || !strings.Contains(document, `"Statement"`) {
		return
	}
	if inner, err := parseJSON([]byte(document)); err != nil || !inner.isPolicy() {
		return
	}
	r.add([]byte(document), where, about, func(iam.Position) int { return n.offset })
}

func join(where, name string) string {
	if where == "" {
		return name
	}
	return where + "." + name
}

// intrinsics replaces the functions of CloudFormation by what is known of their result.
func intrinsics(n node) node {
	switch {
	case n.kind == object && len(n.members) == 1 && (n.members[0].name == "Ref" || strings.HasPrefix(n.members[0].name, "Fn::")):
		out := node{kind: unknown, text: lint.Unknown, offset: n.offset, end: n.end}
		if v := n.members[0].value; n.members[0].name == "Fn::Sub" && v.kind == text {
			out.kind, out.text = text, substitute(v.text)
		}
		return out
	case n.kind == object:
		out := n
		out.members = make([]member, len(n.members))
		for i, m := range n.members {
			out.members[i] = m
			out.members[i].value = intrinsics(m.value)
		}
		return out
	case n.kind == array:
		out := n
		out.items = make([]node, len(n.items))
		for i, item := range n.items {
			out.items[i] = intrinsics(item)
		}
		return out
	}
	return n
}

// substitute is a text of Fn::Sub: ${Name} is filled in, ${!Name} is ${Name}.
func substitute(s string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		inside, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(before)
		if literal, ok := strings.CutPrefix(inside, "!"); ok {
			b.WriteString("${" + literal + "}")
		} else {
			b.WriteString(lint.Unknown)
		}
		s = after
	}
}

// syntax is what is wrong with JSON, and where.
type syntax struct {
	offset  int
	message string
}

// parseJSON reads one value and nothing behind it.
func parseJSON(text []byte) (node, *syntax) {
	p := jsonParser{text: text, tokens: json.NewDecoder(bytes.NewReader(text))}
	p.tokens.UseNumber()
	root, err := p.value(0)
	if err == nil {
		if _, end := p.tokens.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("something stands behind the end of the value")
		}
	}
	if err == nil {
		return root, nil
	}
	out := &syntax{p.skip(int(p.tokens.InputOffset())), strings.TrimPrefix(err.Error(), "json: ")}
	var wrong *json.SyntaxError
	switch {
	case errors.As(err, &wrong):
		out.offset = max(out.offset, int(wrong.Offset)-1)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		out.offset, out.message = len(text), "it ends too early"
	}
	return node{}, out
}

type jsonParser struct {
	text   []byte
	tokens *json.Decoder
}

func (p *jsonParser) skip(from int) int {
	for from < len(p.text) && strings.IndexByte(" \t\r\n,:", p.text[from]) >= 0 {
		from++
	}
	return from
}

func (p *jsonParser) value(depth int) (node, error) {
	n := node{offset: p.skip(int(p.tokens.InputOffset()))}
	token, err := p.tokens.Token()
	if err != nil {
		return n, err
	}
	switch token := token.(type) {
	case string:
		n.kind, n.text = text, token
	case json.Number:
		n.kind, n.text = number, token.String()
	case bool:
		n.kind, n.text = boolean, strconv.FormatBool(token)
	case json.Delim:
		if depth >= maxDepth {
			return n, fmt.Errorf("it nests deeper than %d levels", maxDepth)
		}
		n.kind = array
		if token == '{' {
			n.kind = object
		}
		err = p.inside(&n, depth)
	}
	n.end = int(p.tokens.InputOffset())
	return n, err
}

func (p *jsonParser) inside(n *node, depth int) error {
	for p.tokens.More() {
		if n.kind == array {
			item, err := p.value(depth + 1)
			if err != nil {
				return err
			}
			n.items = append(n.items, item)
			continue
		}
		at := p.skip(int(p.tokens.InputOffset()))
		name, err := p.tokens.Token()
		if err != nil {
			return err
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		n.members = append(n.members, member{fmt.Sprint(name), at, v})
	}
	_, err := p.tokens.Token()
	return err
}
