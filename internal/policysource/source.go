// Package policysource finds IAM policies in files: policy documents as JSON, what AWS's command line and `terraform show
// -json` print, where documents lie inside other JSON, as objects or as strings, URL-encoded or not, and Terraform, where
// they are arguments of jsonencode, heredocs and aws_iam_policy_document blocks.
//
// Every place in a document is told as a place in the file. What a file does not say, because Terraform or CloudFormation
// fills it in later, is [lint.Unknown] in the document.
package policysource

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/lint"
)

// The sizes of what is read, in bytes. Terraform is bounded more closely since its parser recurses as deeply as the text
// nests.
const (
	MaxJSON      = 64 << 20
	MaxTerraform = 1 << 20
)

// Policy is a document that was found.
type Policy struct {
	// Where it is in the file: aws_iam_role.deployer.assume_role_policy, Role.AssumeRolePolicyDocument; "" for the whole.
	Where    string
	Subject  lint.Subject
	Document *iam.Document

	place func(iam.Position) int // to an offset in the file
	file  *lines
}

// At is the place in the file of a place in the document; the zero Position for something that has none.
func (p Policy) At(in iam.Position) iam.Position {
	if in == (iam.Position{}) {
		in.Line, in.Column = 1, 1
	}
	return p.file.position(p.place(in))
}

// Problem is something that could not be read, or was not understood.
type Problem struct {
	Pos     iam.Position
	Message string
}

// File is what was found in a file.
type File struct {
	Policies []Policy
	Problems []Problem // for which the file counts as unreadable
	Notes    []Problem // parts that were not understood, and were left out or taken for anything
}

// Read finds the policies of a file. The name decides whether it is Terraform: it ends in .tf or .tofu, or, for a name
// without an extension such as that of standard input, the text does not begin as JSON does.
func Read(name string, text []byte) File {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	r := &reader{file: newLines(text), seen: map[string]bool{}}
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		r.fail(0, "the file is empty")
	case isTerraform(name, text):
		if len(text) > MaxTerraform {
			r.fail(0, "the file has more than %d bytes", MaxTerraform)
			break
		}
		r.terraform(r.file.text, name)
	case len(text) > MaxJSON:
		r.fail(0, "the file has more than %d bytes", MaxJSON)
	default:
		r.json()
	}
	return r.File
}

func isTerraform(name string, text []byte) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".tf", ".tofu":
		return true
	case "":
		first := bytes.TrimSpace(text)[0]
		return first != '{' && first != '['
	}
	return false
}

// reader is the work on one file.
type reader struct {
	File
	file *lines
	seen map[string]bool // documents by their text: a plan holds each several times
}

func (r *reader) fail(offset int, format string, args ...any) {
	r.Problems = append(r.Problems, Problem{r.file.position(offset), fmt.Sprintf(format, args...)})
}

func (r *reader) note(offset int, format string, args ...any) {
	r.Notes = append(r.Notes, Problem{r.file.position(offset), fmt.Sprintf(format, args...)})
}

// add parses a document that was found.
func (r *reader) add(text []byte, where string, about lint.Subject, place func(iam.Position) int) {
	key := string(about.Kind) + about.Name + string(text)
	if r.seen[key] {
		return
	}
	r.seen[key] = true
	d, err := iam.Parse(text)
	if err != nil {
		var parse *iam.ParseError
		if !asParse(err, &parse) {
			r.fail(0, "%s", err)
			return
		}
		for _, p := range parse.Problems {
			message := strings.TrimPrefix(strings.TrimPrefix(p.Path+": "+p.Message, ": "), " ")
			if where != "" {
				message = where + ": " + message
			}
			r.fail(place(p.Pos), "%s", strings.ReplaceAll(message, lint.Unknown, "…"))
		}
		return
	}
	r.Policies = append(r.Policies, Policy{Where: where, Subject: about, Document: d, place: place, file: r.file})
}

// Line is the text of a line of the file, from 1, without its end.
func (p Policy) Line(n int) string { return p.file.line(n) }

// lines knows where the lines of a text begin.
type lines struct {
	text   []byte
	starts []int
}

func newLines(text []byte) *lines {
	l := &lines{text: text, starts: []int{0}}
	for i, c := range text {
		if c == '\n' {
			l.starts = append(l.starts, i+1)
		}
	}
	return l
}

func (l *lines) position(offset int) iam.Position {
	offset = max(0, min(offset, len(l.text)))
	low, high := 0, len(l.starts)
	for high-low > 1 {
		if middle := (low + high) / 2; l.starts[middle] <= offset {
			low = middle
		} else {
			high = middle
		}
	}
	return iam.Position{Offset: offset, Line: low + 1, Column: offset - l.starts[low] + 1}
}

// line is the text of a line, from 1, without its end.
func (l *lines) line(n int) string {
	if n < 1 || n > len(l.starts) {
		return ""
	}
	end := len(l.text)
	if n < len(l.starts) {
		end = l.starts[n] - 1
	}
	return strings.TrimSuffix(string(l.text[l.starts[n-1]:end]), "\r")
}
