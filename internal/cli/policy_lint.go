package cli

import (
	"slices"
	"strconv"
	"strings"

	"github.com/belay-dev/belay/iam/lint"
	"github.com/belay-dev/belay/internal/policysource"
)

type policyLint struct {
	Files    []string `arg:"" name:"file" help:"JSON or Terraform; - is standard input."`
	Kind     string   `help:"What the policies are used for: identity, boundary, trust, resource, endpoint, scp or rcp. Without it, it is told by what they say." enum:",identity,boundary,trust,resource,endpoint,scp,rcp" default:"" placeholder:"KIND"`
	Severity string   `help:"Show findings of this severity and worse: error, warning or note." enum:"error,warning,note" default:"warning"`
	Ignore   []string `help:"Leave out the findings of a rule, such as BLP-502. May be given more than once." placeholder:"RULE"`
	SARIF    bool     `name:"sarif" help:"Print SARIF 2.1.0, which code hosts and editors read."`
}

// Help says what is read and how the command ends.
func (*policyLint) Help() string {
	return `Policies are looked for in policy documents, in what the AWS command line and "terraform show -json" print, and in Terraform: ` +
		`jsonencode, heredocs and aws_iam_policy_document. No manager and no AWS account is asked. ` +
		`The exit code is 3 when something is found, and 2 when a file cannot be read, whatever is found in the others.`
}

// lintPages is where the pages of the rules lie.
const lintPages = "https://github.com/belay-dev/belay/blob/main/docs/lint/"

// lintFinding is a finding in JSON and YAML.
type lintFinding struct {
	File      string `json:"file"`
	Line      int    `json:"line"`
	Column    int    `json:"column"` // in bytes, from 1
	Where     string `json:"where,omitempty"`
	Path      string `json:"path,omitempty"`
	Statement int    `json:"statement"` // from 0; -1 for the document itself
	SID       string `json:"sid,omitempty"`
	Rule      string `json:"rule"`
	Name      string `json:"name"`
	Severity  string `json:"severity"`
	Message   string `json:"message"`
	Fix       string `json:"fix"`
	Help      string `json:"help"`

	source  string // the line
	endLine int    // of the statement, where the finding is about all of it
}

// linted is what came of all files.
type linted struct {
	findings   []lintFinding
	hidden     int // findings that are not severe enough
	policies   int
	unreadable bool
}

// Run looks for what is wrong.
func (cmd *policyLint) Run(a *app) error {
	for _, id := range cmd.Ignore {
		if _, ok := lint.RuleByID(strings.ToUpper(id)); !ok {
			return misusef("--ignore: there is no rule %s; the rules are %s to %s, see %s", id, lint.Rules()[0].ID, lint.Rules()[len(lint.Rules())-1].ID, lintPages)
		}
	}
	var all linted
	for _, name := range cmd.Files {
		if err := cmd.file(a, name, &all); err != nil {
			return err
		}
	}
	if err := cmd.print(a, &all); err != nil {
		return err
	}
	cmd.summary(a, &all)
	switch {
	case all.unreadable:
		return exit{Misused}
	case len(all.findings) > 0:
		return exit{Different}
	}
	return nil
}

// file looks at the policies of one file.
func (cmd *policyLint) file(a *app, name string, all *linted) error {
	text, err := a.readFile(name)
	if err != nil {
		a.note("belay: %s", err)
		all.unreadable = true
		return nil
	}
	shown := name
	if name == "-" {
		name, shown = "", "stdin"
	}
	found := policysource.Read(name, text)
	for _, p := range found.Problems {
		a.note("%s:%d:%d: %s", shown, p.Pos.Line, p.Pos.Column, p.Message)
		all.unreadable = true
	}
	for _, n := range found.Notes {
		a.note("%s:%d:%d: %s", shown, n.Pos.Line, n.Pos.Column, n.Message)
	}
	if len(found.Policies) == 0 && len(found.Problems) == 0 {
		a.note("%s: there is no policy in it.", shown)
	}
	all.policies += len(found.Policies)
	for _, p := range found.Policies {
		about := p.Subject
		if cmd.Kind != "" {
			about.Kind = lint.Kind(cmd.Kind)
		}
		findings, err := lint.Document(p.Document, about)
		if err != nil {
			return err
		}
		for _, f := range findings {
			switch {
			case slices.ContainsFunc(cmd.Ignore, func(id string) bool { return strings.EqualFold(id, f.Rule) }):
			case !f.Severity.AtLeast(lint.Severity(cmd.Severity)):
				all.hidden++
			default:
				all.findings = append(all.findings, findingOf(shown, p, f))
			}
		}
	}
	return nil
}

func findingOf(file string, p policysource.Policy, f lint.Finding) lintFinding {
	rule, _ := lint.RuleByID(f.Rule)
	pos := p.At(f.Pos)
	out := lintFinding{
		File: file, Line: pos.Line, Column: pos.Column, Where: p.Where, Path: f.Path, Statement: f.Statement, Rule: f.Rule, Name: rule.Name,
		Severity: string(f.Severity), Message: f.Message, Fix: f.Fix, Help: lintPages + f.Rule + ".md", source: p.Line(pos.Line),
	}
	if f.Statement >= 0 {
		s := p.Document.Statements[f.Statement]
		out.SID = s.SID
		if f.Pos == s.Pos {
			out.endLine = p.At(s.End).Line
		}
	}
	return out
}

func (cmd *policyLint) print(a *app, all *linted) error {
	if cmd.SARIF {
		return writeSARIF(a.Out, a.Version, all.findings)
	}
	if all.findings == nil {
		all.findings = []lintFinding{}
	}
	return a.print(all.findings, func() {
		for i, f := range all.findings {
			if i > 0 {
				a.line("")
			}
			a.finding(f)
		}
	})
}

// finding shows a finding with its line, as compilers do.
func (a *app) finding(f lintFinding) {
	colour := warns
	switch lint.Severity(f.Severity) {
	case lint.Error:
		colour = breaks
	case lint.Note:
		colour = faint
	case lint.Warning:
	}
	a.line("%s %s %s", a.painted(bold, f.File+":"+strconv.Itoa(f.Line)+":"+strconv.Itoa(f.Column)+":"), a.painted(colour, f.Severity), a.painted(faint, f.Rule+" "+f.Name))
	if place := strings.Trim(f.Where+" "+f.Path, " "); place != "" {
		a.line("  in %s", place)
	}
	if line, caret, ok := excerpt(f.source, f.Column); ok {
		number := strconv.Itoa(f.Line)
		a.line("  %s %s", a.painted(faint, number+" |"), line)
		a.line("  %s %s", a.painted(faint, strings.Repeat(" ", len(number))+" |"), a.painted(colour, caret))
	}
	a.line("  %s", f.Message)
	a.line("  %s %s", a.painted(faint, "Mend:"), f.Fix)
}

// excerpt is the part of a line around a column, without tabs, and a caret below the column.
func excerpt(line string, column int) (text, caret string, ok bool) {
	const width = 100
	if strings.TrimSpace(line) == "" || column < 1 || column > len(line)+1 {
		return "", "", false
	}
	clean := func(s string) []rune { return []rune(printable(strings.ReplaceAll(s, "\t", " "))) }
	before, after := clean(line[:column-1]), clean(line[column-1:])
	if len(before) > width/2 && len(before)+len(after) > width {
		before = append([]rune("…"), before[len(before)-width/3:]...)
	}
	if rest := width - len(before); len(after) > rest {
		after = append(slices.Clone(after[:max(1, rest)]), '…')
	}
	return string(before) + string(after), strings.Repeat(" ", columns(string(before))) + "^", true
}

// summary counts, for people.
func (cmd *policyLint) summary(a *app, all *linted) {
	var counts []string
	for _, s := range []lint.Severity{lint.Error, lint.Warning, lint.Note} {
		n := 0
		for _, f := range all.findings {
			if f.Severity == string(s) {
				n++
			}
		}
		if n > 0 {
			counts = append(counts, count(n, string(s), string(s)+"s"))
		}
	}
	if len(counts) == 0 {
		counts = []string{"nothing found"}
	}
	hidden := ""
	if all.hidden > 0 {
		hidden = " " + count(all.hidden, "lesser finding is", "lesser findings are") + " not shown; --severity note shows all."
	}
	a.note("%s in %s.%s", strings.Join(counts, ", "), count(all.policies, "policy", "policies"), hidden)
}
