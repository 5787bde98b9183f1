// Package render writes the policies that package catalogue makes for the tools that put them in place: Terraform,
// CloudFormation, the AWS command line, and JSON for everything else. Notes of the result stand in comments. The same
// result always gives the same text.
package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/catalogue"
)

// ErrAttachments is what CloudFormation gives for a result with AWS-managed policies: a template attaches those only to
// a role, user or group that it makes itself.
var ErrAttachments = errors.New("CloudFormation attaches AWS-managed policies only to what the same template creates")

// JSON is the whole result, indented.
func JSON(r catalogue.Result) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(r)
	return out.Bytes(), err
}

// comments are the notes, each behind a #.
func comments(r catalogue.Result, also ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Policies for %s.\n", oneLine(strings.Join(r.Capabilities, ", ")))
	for _, note := range append(also, r.Notes...) {
		fmt.Fprintf(&b, "# - %s\n", oneLine(note))
	}
	for _, p := range r.Resources {
		text, _ := p.Document.MarshalJSON() // has no error
		fmt.Fprintf(&b, "# - Also to be attached, on the side of %s: %s\n", oneLine(p.On), text)
	}
	return b.String()
}

// oneLine keeps a comment a comment.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}

// value is a JSON value whose members keep their order. A policy document holds nothing else than these.
type value struct {
	text    string
	items   []value
	members []member
	kind    json.Delim // '[', '{', or 0 for a text
}

type member struct {
	name  string
	value value
}

// values reads a document as it prints itself.
func values(d *iam.Document) value {
	text, _ := d.MarshalJSON() // has no error
	tokens := json.NewDecoder(bytes.NewReader(text))
	return next(tokens)
}

func next(tokens *json.Decoder) value {
	token, _ := tokens.Token() // of a text that was just made
	v := value{}
	switch token := token.(type) {
	case string:
		v.text = token
	case json.Delim:
		v.kind = token
		for tokens.More() {
			if token == '[' {
				v.items = append(v.items, next(tokens))
				continue
			}
			name, _ := tokens.Token()
			v.members = append(v.members, member{fmt.Sprint(name), next(tokens)})
		}
		_, _ = tokens.Token()
	}
	return v
}

// empty says whether a value is an empty array or object.
func (v value) empty() bool { return v.kind != 0 && len(v.items)+len(v.members) == 0 }

var notInLabel = regexp.MustCompile(`[^A-Za-z0-9_]+`)

// label makes a name that Terraform takes for a resource.
func label(name string) string {
	l := notInLabel.ReplaceAllString(name, "_")
	if l == "" || l[0] >= '0' && l[0] <= '9' {
		l = "_" + l
	}
	return l
}

// logicalID makes a name that CloudFormation takes for a resource: letters and digits only.
func logicalID(name string) string {
	var b strings.Builder
	up := true
	for _, r := range name {
		switch {
		case r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r):
			up = true
		case up:
			b.WriteRune(unicode.ToUpper(r))
			up = false
		default:
			b.WriteRune(r)
		}
	}
	return "Policy" + b.String()
}
