package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/lint"
)

// lintPage is a policy and what is wrong with it.
type lintPage struct {
	v        *visit
	Policy   string
	Kind     string
	Problems []string
	Whole    []lintRow     // findings about the document as a whole
	Parts    []lintSegment // the document, cut behind each line with a finding
	Findings []lintRow     // all, in the order of the text
	Done     bool
}

// lintSegment is lines of a document and what was found in the last of them.
type lintSegment struct {
	First    int
	Lines    []codeLine
	Findings []lintRow
}

// Label names the lines.
func (s lintSegment) Label() string {
	if len(s.Lines) == 1 {
		return fmt.Sprintf("Line %d", s.First)
	}
	return fmt.Sprintf("Lines %d to %d", s.First, s.First+len(s.Lines)-1)
}

type lintRow struct {
	ID            string // of the finding in the page
	Mark          mark
	Rule          string
	Line          int
	Message       string
	Fix, Path     string
	Code          string // what of the fix is to be copied
	Documentation string
}

// Where is the line.
func (r lintRow) Where() string {
	if r.Line == 0 {
		return "The document"
	}
	return fmt.Sprintf("Line %d", r.Line)
}

// Words say the outcome.
func (p lintPage) Words() string {
	switch {
	case len(p.Problems) > 0:
		return "This is no policy document"
	case len(p.Findings) == 0:
		return "Nothing is wrong with it"
	}
	return count(len(p.Findings), "finding", "findings")
}

func (s *Server) lintForm(_ context.Context, v *visit) (reply, error) {
	return reply{title: "Lint", here: "Permissions", body: lintView(lintPage{v: v})}, nil
}

const longestPolicy = 64 << 10

// lintPolicy looks for what is wrong with a policy. The policy is not kept.
func (s *Server) lintPolicy(_ context.Context, v *visit) (reply, error) {
	if err := v.r.ParseForm(); err != nil {
		return reply{}, badForm(err)
	}
	p := lintPage{v: v, Policy: v.r.PostForm.Get("policy"), Kind: v.r.PostForm.Get("kind"), Done: true}
	p.lint()
	status := http.StatusOK
	if len(p.Problems) > 0 {
		status = http.StatusBadRequest
	}
	return reply{title: "Lint", here: "Permissions", body: lintView(p), status: status}, nil
}

func (p *lintPage) lint() {
	if !slices.Contains(lint.Kinds(), lint.Kind(p.Kind)) {
		p.Kind = ""
	}
	p.Policy = strings.ReplaceAll(p.Policy, "\r\n", "\n")
	document, problems := readPolicy(p.Policy)
	if p.Problems = problems; len(problems) > 0 {
		return
	}
	findings, err := lint.Document(document, lint.Subject{Kind: lint.Kind(p.Kind)})
	if err != nil {
		p.Problems = []string{err.Error()}
		return
	}
	lines := linesOf(p.Policy)
	at := map[int][]lintRow{}
	for i, f := range findings {
		row := lintRow{
			ID: fmt.Sprintf("finding-%d", i+1), Rule: f.Rule, Line: f.Pos.Line, Message: f.Message, Fix: f.Fix, Path: f.Path,
			Code: codeOf(f.Fix), Documentation: documentOf("lint/" + f.Rule), Mark: severity(f.Severity),
		}
		p.Findings = append(p.Findings, row)
		if n := f.Pos.Line; n < 1 || n > len(lines) {
			p.Whole = append(p.Whole, row)
			continue
		}
		line := &lines[f.Pos.Line-1]
		switch {
		case f.Severity == lint.Error:
			line.Class = "bad"
		case line.Class == "":
			line.Class = "warn"
		}
		at[f.Pos.Line] = append(at[f.Pos.Line], row)
	}
	start := 0
	for i := range lines {
		if rows := at[i+1]; len(rows) > 0 || i == len(lines)-1 {
			p.Parts = append(p.Parts, lintSegment{start + 1, lines[start : i+1], rows})
			start = i + 1
		}
	}
}

func severity(s lint.Severity) mark {
	switch s {
	case lint.Error:
		return mark{"fail", "Error"}
	case lint.Warning:
		return mark{"warn", "Warning"}
	case lint.Note:
	}
	return mark{"idle", "Note"}
}

var (
	memberForm = regexp.MustCompile(`"[^"]+": (?:\{[^{}]*\}|\[[^\[\]]*\]|"[^"]*")`)
	quotedForm = regexp.MustCompile(`"([^"]+)"`)
)

// codeOf is what of a fix can be copied: a member of the document, or a value.
func codeOf(fix string) string {
	if found := memberForm.FindString(fix); found != "" {
		return found
	}
	if found := quotedForm.FindAllStringSubmatch(fix, -1); len(found) == 1 {
		return found[0][0]
	}
	return ""
}

// readPolicy reads a policy, or says all that is wrong with it.
func readPolicy(text string) (*iam.Document, []string) {
	if strings.TrimSpace(text) == "" {
		return nil, []string{"There is no policy. Paste one."}
	}
	if len(text) > longestPolicy {
		return nil, []string{fmt.Sprintf("The policy has %s bytes; IAM takes far less, and this page up to %s.", grouped(len(text)), grouped(longestPolicy))}
	}
	document, err := iam.Parse([]byte(text))
	if wrong, ok := errors.AsType[*iam.ParseError](err); ok {
		var out []string
		for _, problem := range wrong.Problems {
			out = append(out, problem.String())
		}
		return nil, out
	}
	if err != nil {
		return nil, []string{err.Error()}
	}
	return document, nil
}
