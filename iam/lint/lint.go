package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/service"
)

// Unknown stands in a document for text that is not known, such as what Terraform fills in later. Rules take it as
// fitting anything. It is a character for private use, which AWS allows in no name.
const Unknown = "\ue000"

// Kind is what a document is used for. It decides which elements belong into it, and which grants are unusual.
type Kind string

// The kinds of documents.
const (
	Guessed  Kind = ""         // told by the elements that the document has, see KindOf
	Identity Kind = "identity" // of a user, group or role, managed or inline
	Boundary Kind = "boundary" // a permissions boundary, or a session policy
	Trust    Kind = "trust"    // who may assume a role
	Resource Kind = "resource" // of a bucket, queue, key, function …
	Endpoint Kind = "endpoint" // of a VPC endpoint
	SCP      Kind = "scp"      // service control policy
	RCP      Kind = "rcp"      // resource control policy
)

// Kinds are all kinds that can be named, in the order in which they are explained.
func Kinds() []Kind { return []Kind{Identity, Boundary, Trust, Resource, Endpoint, SCP, RCP} }

// KindOf tells the kind of a document by its elements: with principals it is a trust policy if all that it speaks of is
// assuming roles, and a resource policy otherwise. What has no principals is an identity policy.
func KindOf(d *iam.Document) Kind {
	principals, assuming, resources := false, true, false
	for i := range d.Statements {
		s := &d.Statements[i]
		principals = principals || s.Principal != nil
		resources = resources || s.Resource.Values != nil
		assuming = assuming && len(s.Action.Values) > 0 && !slices.ContainsFunc(s.Action.Values, func(action string) bool {
			return !isAssuming(action)
		})
	}
	switch {
	case len(d.Statements) > 0 && assuming && !resources:
		return Trust
	case principals:
		return Resource
	}
	return Identity
}

// isAssuming tells the actions that a trust policy speaks of.
func isAssuming(action string) bool {
	action = strings.ToLower(action)
	return strings.HasPrefix(action, "sts:assumerole") || action == "sts:tagsession" || action == "sts:setsourceidentity" || action == "sts:setcontext"
}

// Severity is how bad a finding is.
type Severity string

// The severities, the worst first.
const (
	Error   Severity = "error"   // AWS refuses the document, or what it says never has an effect, or it lets strangers in
	Warning Severity = "warning" // it has an effect that is hardly meant
	Note    Severity = "note"    // it could be said better
)

// AtLeast says whether a severity is as bad as another, or worse.
func (s Severity) AtLeast(other Severity) bool { return s.rank() <= other.rank() }

func (s Severity) rank() int { return slices.Index([]Severity{Error, Warning, Note}, s) }

// Finding is one thing that a rule found.
type Finding struct {
	Rule      string // "BLP-301"
	Severity  Severity
	Pos       iam.Position // zero for a document that was made in code
	Statement int          // from 0; -1 for the document itself
	Path      string       // where in the document: Statement[0].Action[1]; "" for the document itself
	Message   string       // what is wrong, and why that matters
	Fix       string       // what to do
}

// Subject is what is known of a document besides its text.
type Subject struct {
	Kind Kind
	// Name is that of the role or policy, "" when it is not known. A role named for ECS that EC2 may assume is a finding.
	Name string
}

// Document finds what is wrong with a document, in the order of its text. The error says that the embedded reference data
// is damaged, see [service.Load].
func Document(d *iam.Document, about Subject) ([]Finding, error) {
	reference, err := service.Load()
	if err != nil {
		return nil, err
	}
	if about.Kind == Guessed {
		about.Kind = KindOf(d)
	}
	l := &linter{document: d, subject: about, kind: about.Kind, reference: reference, expanded: map[string][]service.Action{}, keys: map[string][]service.ConditionKey{}}
	l.structure()
	for i := range d.Statements {
		l.index, l.statement = i, &d.Statements[i]
		l.principals()
		l.actions()
		l.resources()
		l.conditions()
		l.grants()
		l.trust()
	}
	l.index, l.statement = -1, nil
	l.reach()
	slices.SortStableFunc(l.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Pos.Offset, b.Pos.Offset), cmp.Compare(a.Statement, b.Statement), strings.Compare(a.Rule, b.Rule))
	})
	return l.findings, nil
}

// linter is the work on one document.
type linter struct {
	document  *iam.Document
	subject   Subject
	kind      Kind
	reference *service.Reference
	expanded  map[string][]service.Action       // what patterns stand for
	keys      map[string][]service.ConditionKey // of actions, by their names
	findings  []Finding

	index     int // of the statement at hand
	statement *iam.Statement
	bad       map[int]bool // Resource values of the statement that are found wrong in themselves
}

// at is a place in the document.
type at struct {
	pos  iam.Position
	path string // below the statement, "" for the statement itself
}

// report adds a finding with the severity that its rule has.
func (l *linter) report(rule string, where at, message, fix string) {
	l.reportAs(rule, severityOf(rule), where, message, fix)
}

func (l *linter) reportAs(rule string, severity Severity, where at, message, fix string) {
	path := where.path
	if l.statement != nil {
		path = strings.TrimSuffix(fmt.Sprintf("Statement[%d].%s", l.index, where.path), ".")
		if where.pos == (iam.Position{}) {
			where.pos = l.statement.Pos
		}
	}
	l.findings = append(l.findings, Finding{
		Rule: rule, Severity: severity, Pos: where.pos, Statement: l.index, Path: path, Message: message, Fix: fix,
	})
}

// here is the statement itself.
func here() at { return at{} }

// value is the place of a value of Action or Resource.
func value(p *iam.Patterns, name string, i int) at {
	if p.Negated {
		name = "Not" + name
	}
	where := at{path: name}
	if i < 0 {
		if len(p.Pos) > 0 {
			where.pos = p.Pos[0]
		}
		return where
	}
	if len(p.Values) > 1 {
		where.path = fmt.Sprintf("%s[%d]", name, i)
	}
	if i < len(p.Pos) {
		where.pos = p.Pos[i]
	}
	return where
}

// actionsOf are the actions that a pattern stands for.
func (l *linter) actionsOf(pattern string) []service.Action {
	key := strings.ToLower(pattern)
	all, done := l.expanded[key]
	if !done {
		all = l.reference.Actions(pattern)
		l.expanded[key] = all
	}
	return all
}

func known(text string) bool { return !strings.Contains(text, Unknown) }

func wild(text string) bool { return strings.ContainsAny(text, "*?") }

// list names a few things in a sentence.
func list(names []string) string {
	const most = 4
	switch n := len(names); {
	case n == 0:
		return "nothing"
	case n == 1:
		return names[0]
	case n > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most-1], ", "), n-most+1)
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

// show is a value in a message: quoted, with a mark where it is not known.
func show(text string) string {
	return fmt.Sprintf("%q", strings.ReplaceAll(text, Unknown, "…"))
}
