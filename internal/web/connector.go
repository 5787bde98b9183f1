package web

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/nextgen"
	"github.com/belay-dev/belay/internal/preflight"
	"github.com/belay-dev/belay/internal/scope"
)

// connectorPage is what every page of one connector begins with.
type connectorPage struct {
	v     *visit
	c     connector.Stored
	Tab   string // "", preflight, settings, yaml, used or audit
	Mark  mark
	Since ago  // when it began to fail
	Test  bool // the caller may test it
	Edit  bool // the caller may change it
	Drop  bool // the caller may delete it
	Trail bool // the caller may see what was done to it
	Kept  bool // it is one of a cluster, which Belay keeps and neither tests nor uses
}

// To is the address of a page of this connector.
func (p connectorPage) To(tab string) string { return connectorURL(p.v, tab, p.c.Scope, p.c.ID) }

// Tabs are its pages.
func (p connectorPage) Tabs() []tab {
	var tabs []tab
	add := func(name, word string) {
		to := p.To("")
		if word != "" {
			to = p.To("/" + word)
		}
		tabs = append(tabs, tab{name, 0, to, p.Tab == word})
	}
	add("Health", "")
	if !p.Kept {
		add("Preflight", "preflight")
		add("Delegates", "delegates")
	}
	add("Settings", "settings")
	add("YAML", "yaml")
	add("Used by", "used")
	if p.Trail {
		add("Audit", "audit")
	}
	return tabs
}

// Account is the AWS account that it leads to, as far as that is known.
func (p connectorPage) Account() string { return accountOf(p.c) }

// Says is the outcome for those who do not see it.
func (p connectorPage) Says() string { return p.c.Name + ": " + p.Mark.Word }

func (s *Server) connectorPage(ctx context.Context, v *visit, tab string) (connectorPage, error) {
	at, err := v.home()
	if err != nil {
		return connectorPage{}, err
	}
	c, err := s.Connectors.Connector(ctx, v.who, at, v.r.PathValue("id"))
	if err != nil {
		return connectorPage{}, err
	}
	return s.pageOf(v, c, tab), nil
}

func (*Server) pageOf(v *visit, c connector.Stored, tab string) connectorPage {
	p := connectorPage{
		v: v, c: c, Tab: tab, Mark: rowMark(c), Edit: v.may(audit.ConnectorUpdate, c.Scope), Drop: v.may(audit.ConnectorDelete, c.Scope),
		Trail: v.may(audit.AuditRead, c.Scope), Kept: c.Type() == connector.TypeKubernetes,
	}
	p.Test = !p.Kept && v.may(audit.ConnectorTest, c.Scope)
	return p
}

// stayed is the page of a connector that is only kept, for addresses that it has no page for; "" for others.
func (p connectorPage) stayed() string {
	if !p.Kept {
		return ""
	}
	return p.To("")
}

func (s *Server) connectorYAML(ctx context.Context, v *visit) (reply, error) {
	p, err := s.connectorPage(ctx, v, "yaml")
	if err != nil {
		return reply{}, err
	}
	c := nextgen.FromConnector(p.c.Connector)
	text, err := fileOf(withExternal(c, setText))
	if err != nil {
		return reply{}, err
	}
	return reply{title: p.c.Name + ", YAML", here: "Connectors", body: yamlView(p, linesOf(text), externalOf(c) != "")}, nil
}

// confirmDelete says what goes before it goes.
func (s *Server) confirmDelete(ctx context.Context, v *visit) (reply, error) {
	p, err := s.connectorPage(ctx, v, "delete")
	if err != nil {
		return reply{}, err
	}
	if err := denied(p.Drop, "delete this connector", p.c.Scope); err != nil {
		return reply{}, err
	}
	return s.deleteReply(ctx, p, "", http.StatusOK)
}

// deleteReply asks whether the connector is to go. problem is what is wrong with the name that was typed.
func (s *Server) deleteReply(ctx context.Context, p connectorPage, problem string, status int) (reply, error) {
	tests, err := s.Connectors.Tests(ctx, p.v.who, p.c.Scope, p.c.ID, connector.KeepTests)
	if err != nil {
		return reply{}, err
	}
	users, _, err := s.users(ctx, p.v, p.c)
	if err != nil {
		return reply{}, err
	}
	return reply{title: "Delete " + p.c.Name, here: "Connectors", status: status, body: deleteView(p, len(tests), users, problem)}, nil
}

func (s *Server) deleteConnector(ctx context.Context, v *visit) (reply, error) {
	p, err := s.connectorPage(ctx, v, "delete")
	if err != nil {
		return reply{}, err
	}
	if v.r.PostFormValue("confirm") != p.c.ID && p.Drop {
		return s.deleteReply(ctx, p, "Type "+p.c.ID+" exactly, or keep the connector.", http.StatusBadRequest)
	}
	if err := s.Connectors.Delete(ctx, v.who, p.c.Scope, p.c.ID); err != nil {
		return reply{}, err
	}
	return reply{to: v.url("/ui/connectors")}, nil
}

// preflightBody is a preflight as its page shows it.
type preflightBody struct {
	connectorPage
	Last    *preflight.Preflight
	At      ago
	Rows    []capabilityRow
	Mark    mark
	Fix     []codeLine
	Blocked []step
	Unread  []string
	Steps   []step
	Choices []choice
	May     bool // the caller may run one
}

type choice struct{ ID, Title, Use string }

type capabilityRow struct {
	Title, ID string
	Mark      mark
	Words     string // 3 allowed, 1 denied, 0 unknown
	Cells     []string
	Findings  []finding
}

// finding is the actions of a capability that are denied, or unknown, for the same reason.
type finding struct {
	Mark    mark
	Why     string
	Actions []actionOn
}

type actionOn struct{ Action, Resource string }

// Words say how many they are.
func (f finding) Words() string {
	return f.Mark.Word + ", " + count(len(f.Actions), "action", "actions")
}

func (s *Server) connectorPreflight(ctx context.Context, v *visit) (reply, error) {
	p, err := s.connectorPage(ctx, v, "preflight")
	if err != nil || p.Kept {
		return reply{to: p.stayed()}, err
	}
	b := preflightBody{connectorPage: p, May: v.may(audit.ConnectorPreflight, p.c.Scope)}
	list, err := s.Preflights.Preflights(ctx, v.who, p.c.Scope, p.c.ID, 1)
	if err != nil {
		return reply{}, err
	}
	if len(list) > 0 {
		b.fill(list[0])
	}
	for _, c := range catalogue.Capabilities() {
		if c.Holder == catalogue.Connector {
			b.Choices = append(b.Choices, choice{c.ID, c.Title, c.Use})
		}
	}
	return reply{title: p.c.Name + ", preflight", here: "Connectors", body: preflightView(b)}, nil
}

func (b *preflightBody) fill(f preflight.Preflight) {
	b.Last, b.At, b.Mark = &f, since(b.v.now, f.EndedAt), answerMark(f.Answer())
	if d := f.Diagnosis; d != nil {
		b.Steps = stepsOf(d.Remedy)
	}
	for _, r := range f.Results {
		b.Rows = append(b.Rows, capabilityRowOf(r))
	}
	if f.Fix != nil {
		text, _ := pretty(f.Fix.What)
		if f.Fix.Command != "" {
			text += "\n\n" + f.Fix.Command
		}
		b.Fix = linesOf(text)
	}
	for _, one := range f.Blocked {
		st := step{Text: one.What}
		if one.Command != "" {
			st.Code = linesOf(one.Command)
		}
		b.Blocked = append(b.Blocked, st)
	}
	for _, u := range f.Unread {
		b.Unread = append(b.Unread, string(u.What)+": `"+u.Action+"` answered "+u.Code)
	}
}

const mostCells = 60

func capabilityRowOf(r preflight.Result) capabilityRow {
	row := capabilityRow{
		Title: r.Title, ID: r.Capability, Mark: answerMark(r.Answer),
		Words: count(r.Allowed, "action allowed", "actions allowed") + ", " + grouped(len(r.Missing)) + " denied, " + grouped(len(r.Unknown)) + " unknown",
	}
	add := func(n int, class string) {
		for range min(n, mostCells-len(row.Cells)) {
			row.Cells = append(row.Cells, class)
		}
	}
	add(len(r.Missing), "d")
	add(len(r.Unknown), "u")
	add(r.Allowed, "a")
	row.gather(connector.MayNotDo, r.Missing)
	row.gather(connector.NotKnown, r.Unknown)
	return row
}

// gather puts together what has one reason: a policy that cannot be read makes hundreds of actions unknown.
func (row *capabilityRow) gather(a connector.Answer, list []preflight.Finding) {
	first := len(row.Findings)
	for _, f := range list {
		why := strings.Join(f.Why, "; ")
		i := slices.IndexFunc(row.Findings[first:], func(g finding) bool { return g.Why == why })
		if i < 0 {
			i = len(row.Findings) - first
			row.Findings = append(row.Findings, finding{Mark: answerMark(a), Why: why})
		}
		g := &row.Findings[first+i]
		g.Actions = append(g.Actions, actionOn{f.Action, f.Resource})
	}
}

func answerMark(a connector.Answer) mark {
	switch a {
	case connector.MayDo:
		return mark{"ok", "Allowed"}
	case connector.MayNotDo:
		return mark{"fail", "Denied"}
	case connector.NotKnown:
	}
	return mark{"idle", "Unknown"}
}

func (s *Server) runPreflight(ctx context.Context, v *visit) (reply, error) {
	at, err := v.home()
	if err != nil {
		return reply{}, err
	}
	if err := v.r.ParseForm(); err != nil {
		return reply{}, badForm(err)
	}
	id := v.r.PathValue("id")
	if _, err := s.Preflights.Run(ctx, v.who, at, id, preflight.Options{Capabilities: v.r.PostForm["capability"]}); err != nil {
		return reply{}, err
	}
	return reply{to: connectorURL(v, "/preflight", at, id)}, nil
}

// firstConnector is the file of the first steps.
func firstConnector(at scope.Scope) string {
	text := "connector:\n  name: first\n  identifier: first\n"
	if at.Org != "" {
		text += "  orgIdentifier: " + at.Org + "\n"
	}
	if at.Project != "" {
		text += "  projectIdentifier: " + at.Project + "\n"
	}
	return text + "  type: Aws\n  spec:\n    credential:\n      type: InheritFromDelegate\n"
}
