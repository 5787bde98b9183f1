// Package document reads and writes the files that describe entities: connectors, secrets without their values,
// organizations, projects, services, environments and infrastructure definitions, in YAML or JSON (which is YAML), several to a file.
//
// A file is untrusted text, so it is bounded, and everything that is wrong with it is found in one reading: each problem
// has file, line, column and the path of the field. The shapes are those of the NextGen API, so that a file holds what
// the API would be sent; what one of those shapes does not know is a problem here, though the API lets it pass, because
// a misspelt key in a file would otherwise be lost without a word. Of a service, an environment or an infrastructure
// definition the whole document is kept, so it is read no further than the manager reads it. The YAML of an older client's
// cloud provider (package firstgen) is read as the connector that it becomes.
//
// Two features of YAML are left out. A key may not be there twice, and << does not merge. Aliases work, until what they
// stand for grows over the bounds.
package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// The bounds of a file.
const (
	MaxDocument = 1 << 20  // bytes of one document, the most that the API takes
	MaxFile     = 64 << 20 // bytes of one file
	maxNodes    = 20_000   // of one document, with what its aliases stand for
	maxDepth    = 32       // levels inside a document
	maxProblems = 200      // of one file; who made more has another problem
)

// Kind is what a document describes; it is the document's only key.
type Kind string

// The kinds.
const (
	Connector    Kind = "connector"
	Secret       Kind = "secret"
	Organization Kind = "organization"
	Project      Kind = "project"
	// The kinds whose own document the manager keeps byte for byte.
	Service        Kind = "service"
	Environment    Kind = "environment"
	Infrastructure Kind = "infrastructureDefinition"
)

// Entity is one thing that a file describes. It has passed every check that needs no manager.
type Entity struct {
	Kind  Kind
	Scope scope.Scope // without its account: a file does not know it. An organization and a project lie in what holds them
	ID    string      // as it was written, or made from the name
	Name  string
	// Within is the environment of an infrastructure definition.
	Within string
	// Body is the entity as the API takes it, without the outer key: what was written, with identifier and scope filled in.
	Body json.RawMessage
	// Connector is the entity in the domain's words, when it is one. Its scope has no account.
	Connector *connector.Connector
	// Warnings are what will not work as it stands, though it may be saved.
	Warnings []string

	File         string
	Line, Column int
}

// Key names the entity among all: its kind, its scope and its identifier.
func (e Entity) Key() string {
	id := e.ID
	if e.Within != "" {
		id = e.Within + "/" + id
	}
	return strings.Join([]string{string(e.Kind), e.Scope.Org, e.Scope.Project, id}, "/")
}

// Problem is one thing wrong with a file.
type Problem struct {
	File    string
	Line    int    // from 1; 0: the file as a whole
	Column  int    // from 1, in characters; 0: the line as a whole
	Path    string // of the field, as fault.Problem has it; empty: no field is meant
	Message string
}

// String is the problem as compilers write theirs: file:line:col: path: message.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	for _, n := range []int{p.Line, p.Column} {
		if n == 0 {
			break
		}
		fmt.Fprintf(&b, ":%d", n)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Problems is everything wrong with some files. It is an error of kind Invalid.
type Problems []Problem

// Error is one problem a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes the problems an Invalid fault.
func (p Problems) Unwrap() error { return fault.Invalid }

// Err is the problems as an error, or nil when there are none.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// Reader reads files. Its zero value is ready for use.
type Reader struct {
	// Scope is where entities live that do not say it. One that says another is a problem.
	Scope scope.Scope
	// MaxDocument bounds one document, in bytes; 0 means the constant of that name.
	MaxDocument int
	// Values lets secrets have their values with them, which do not belong in a file.
	Values bool
}

// Read reads a file with a zero Reader.
func Read(name string, r io.Reader) ([]Entity, Problems) { return Reader{}.Read(name, r) }

// Read reads every document of a file. name is how problems call it. The entities are those without a problem; when there
// are problems, they are all there.
func (o Reader) Read(name string, r io.Reader) ([]Entity, Problems) {
	whole := func(format string, args ...any) Problems {
		return Problems{{File: name, Message: fmt.Sprintf(format, args...)}}
	}
	text, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	switch {
	case err != nil:
		return nil, whole("cannot be read: %v", err)
	case len(text) > MaxFile:
		return nil, whole("is larger than %d MiB; split it", MaxFile>>20)
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(text) {
		return nil, whole("is not UTF-8 text")
	}
	most := o.MaxDocument
	if most == 0 {
		most = MaxDocument
	}
	var entities []Entity
	var problems Problems
	for _, part := range split(text) {
		if len(part.text) > most {
			problems = append(problems, Problem{File: name, Line: part.line + 1, Message: fmt.Sprintf("the document has %d bytes, at most %d are read", len(part.text), most)})
			continue
		}
		found, wrong := o.document(name, part)
		entities = append(entities, found...)
		problems = append(problems, wrong...)
		if len(problems) > maxProblems {
			return entities, append(problems[:maxProblems], whole("has more than %d problems; the rest is not shown", maxProblems)...)
		}
	}
	if len(entities) == 0 && len(problems) == 0 {
		return nil, whole("holds no document")
	}
	return entities, problems
}

// document reads one part of a file. An empty one is nothing, as after a last ---.
func (o Reader) document(name string, part part) ([]Entity, Problems) {
	root, wrong := parse(part)
	d := &doc{file: name, values: o.Values, text0: part.text, positions: map[string]position{}}
	if wrong != nil {
		d.problems = append(d.problems, Problem{File: name, Line: wrong.line, Column: wrong.column, Message: wrong.message})
		return nil, d.problems
	}
	if root == nil || root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	e, ok := d.entity(root, o.Scope)
	slices.SortStableFunc(d.problems, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	if !ok || len(d.problems) > 0 {
		return nil, d.problems
	}
	return []Entity{e}, nil
}

// Duplicates finds the entities that are described twice, in whatever files.
func Duplicates(entities []Entity) Problems {
	first := map[string]Entity{}
	var problems Problems
	for _, e := range entities {
		before, there := first[e.Key()]
		if !there {
			first[e.Key()] = e
			continue
		}
		problems = append(problems, Problem{
			File: e.File, Line: e.Line, Column: e.Column, Path: string(e.Kind) + ".identifier",
			Message: fmt.Sprintf("%s %s is described twice; the first time at %s:%d", e.Kind, describe(e), before.File, before.Line),
		})
	}
	return problems
}

func describe(e Entity) string {
	if e.Scope.Org == "" {
		return e.ID
	}
	return e.ID + " of " + e.Scope.String()
}
