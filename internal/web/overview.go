package web

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// tally is how many connectors have each status.
type tally struct {
	Failing, Attention, Untested, Connected int
	Kept                                    int // of clusters, which no test is made of
}

// All are all of them that can be tested.
func (t tally) All() int { return t.Failing + t.Attention + t.Untested + t.Connected }

// order is that of lists: trouble first.
func order() []connector.Status {
	return []connector.Status{connector.Failing, connector.Partial, connector.Unknown, connector.Success}
}

func (t tally) of(s connector.Status) int {
	switch s {
	case connector.Failing:
		return t.Failing
	case connector.Partial:
		return t.Attention
	case connector.Success:
		return t.Connected
	case connector.Unknown:
	}
	return t.Untested
}

// add counts one.
func (t *tally) add(c connector.Stored) {
	switch {
	case c.Type() == connector.TypeKubernetes:
		t.Kept++
	case c.Status == connector.Failing:
		t.Failing++
	case c.Status == connector.Partial:
		t.Attention++
	case c.Status == connector.Success:
		t.Connected++
	default:
		t.Untested++
	}
}

// tally counts the connectors that a filter leaves.
func (s *Server) tally(ctx context.Context, v *visit, f connector.Filter) (tally, error) {
	n, err := s.Connectors.Tally(ctx, v.who, f)
	return tally{
		Failing: n[connector.Failing], Attention: n[connector.Partial], Untested: n[connector.Unknown], Connected: n[connector.Success],
	}, err
}

// What the first steps tell newcomers to type: values of the scene that belay up --sandbox begins with.
const (
	sandboxRole       = "arn:aws:iam::210987654321:role/belay-deploy"
	sandboxExternalID = "example-external-id"
)

type overviewPage struct {
	v         *visit
	tally     tally
	trouble   []connectorRow
	more      int
	delegates []delegateRow
	live      int
	create    bool // the caller may make connectors
	stream    live
	every     string
	last      ago
	accounts  []accountRow
	left      int // accounts that are left out
	recent    []recentRow
	audit     string // address of the log; "" when the caller may not see it
}

// accountRow is an AWS account that connectors reach.
type accountRow struct {
	ID, To      string
	Connectors  int
	Mark        mark
	Credentials string
	Chart       chart
}

func (s *Server) overview(ctx context.Context, v *visit) (reply, error) {
	p := overviewPage{v: v, create: v.may(audit.ConnectorCreate, v.at), audit: auditURL(v, v.at, "")}
	var err error
	if p.tally, err = s.tally(ctx, v, connector.Filter{Scope: v.at, SubScopes: true, Types: []string{connector.TypeAWS}}); err != nil {
		return reply{}, err
	}
	const shown = 8
	list, err := s.Connectors.Needing(ctx, v.who, v.at, shown)
	if err != nil {
		return reply{}, err
	}
	for _, c := range list {
		p.trouble = append(p.trouble, rowOf(v, c))
	}
	p.more = max(0, p.tally.Failing+p.tally.Attention-len(list))
	p.stream = liveOfPage(v, viewOverview, p.trouble...)
	all, err := s.Delegates.List(ctx, v.who, v.at)
	if err != nil && fault.KindOf(err) != fault.Denied {
		return reply{}, err
	}
	p.live = liveOf(all, v)
	rows := delegateRows(v, all)
	p.delegates = rows[:min(len(rows), 6)]
	if p.tally.All() > 0 {
		if err := s.summarize(ctx, v, &p); err != nil {
			return reply{}, err
		}
	}
	return reply{title: "Overview", here: "Overview", body: overviewView(p, len(all))}, nil
}

// doOf is what a connector that fails or needs attention asks of somebody: one action, where its cause can be seen.
func doOf(v *visit, c connector.Stored) (label, to string) {
	to = connectorURL(v, "", c.Scope, c.ID)
	if c.Status == connector.Success {
		return "Open", to
	}
	code := ""
	if t := c.LastTest; t != nil && t.Diagnosis != nil {
		code = t.Diagnosis.Code
	}
	switch {
	case c.Status == connector.Partial:
		return "See preflight", connectorURL(v, "/preflight", c.Scope, c.ID)
	case code == connector.NoEligibleDelegate, code == connector.NoDelegateTookIt:
		return "See who was asked", connectorURL(v, "/delegates", c.Scope, c.ID)
	}
	return "See the fix", to
}

// makeFirst makes the connector of the first steps and tests it: one that uses the role of whichever delegate there is.
func (s *Server) makeFirst(ctx context.Context, v *visit) (reply, error) {
	made, err := s.Connectors.Create(ctx, v.who, connector.Connector{Scope: v.at, ID: "first", Name: "first", Credential: connector.InheritFromDelegate{}})
	if err != nil {
		return reply{}, err
	}
	// It is saved. When the test cannot be done, its page says that it was not tested.
	if _, err := s.Connectors.Test(ctx, v.who, made.Scope, made.ID, connector.Options{Trigger: connector.OnSave}); err != nil && fault.KindOf(err) == "" {
		return reply{}, err
	}
	return reply{to: connectorURL(v, "", made.Scope, made.ID)}, nil
}

// everyWords say how often connectors are tested on their own.
func everyWords(d time.Duration) string {
	if d <= 0 {
		return "Tested by hand only"
	}
	return "Tested every " + span(d)
}

// summarize fills in what is known of all connectors together.
func (s *Server) summarize(ctx context.Context, v *visit, p *overviewPage) error {
	sum, err := s.Connectors.Summary(ctx, v.who, v.at)
	if err != nil {
		return err
	}
	p.every = everyWords(sum.TestEvery)
	p.last = since(v.now, sum.LastTested)
	p.left = sum.Accounts - len(sum.Reached)
	for _, r := range sum.Reached {
		row := accountRowOf(r)
		row.To = v.url("/ui/connectors", "account", r.Account)
		p.accounts = append(p.accounts, row)
	}
	p.recent, err = s.recent(ctx, v, sum.Turns)
	return err
}

func accountRowOf(r connector.Reached) accountRow {
	row := accountRow{ID: r.Account, Connectors: r.Connectors, Mark: mark{"ok", "All hold"}, Chart: hoursOf(r)}
	if r.Failing > 0 {
		row.Mark = mark{"fail", grouped(r.Failing) + " failing"}
	}
	var kinds []string
	for _, k := range []pair{{connector.KindOIDC, "OIDC"}, {connector.KindIRSA, "IRSA"}, {connector.KindInherit, "delegate's role"}, {connector.KindManual, "access key"}} {
		if n := r.Credentials[k.Value]; n > 0 {
			kinds = append(kinds, k.Words+" "+grouped(n))
		}
	}
	row.Credentials = strings.Join(kinds, ", ")
	if row.Credentials != "" {
		row.Credentials = strings.ToUpper(row.Credentials[:1]) + row.Credentials[1:]
	}
	return row
}

// hoursOf draws the tests of a day by the hour: what passed stands on the base line, what failed hangs below it.
func hoursOf(r connector.Reached) chart {
	c := chart{Width: strconv.Itoa(len(r.Hours)*6 - 2), Height: "24"}
	most, bad := 0, 0
	for _, h := range r.Hours {
		most = max(most, h.Passed, h.Failed)
		if h.Failed > 0 {
			bad++
		}
	}
	for i, h := range r.Hours {
		x := strconv.Itoa(i * 6)
		if h == (connector.Hour{}) {
			c.Bars = append(c.Bars, bar{"na", x, "14", "2"})
			continue
		}
		if h.Passed > 0 {
			n := 4 + 9*h.Passed/most
			c.Bars = append(c.Bars, bar{"up", x, strconv.Itoa(16 - n), strconv.Itoa(n)})
		}
		if h.Failed > 0 {
			c.Bars = append(c.Bars, bar{"dn", x, "18", strconv.Itoa(2 + 4*h.Failed/most)})
		}
	}
	c.Label = r.Account + ": " + strconv.Itoa(bad) + " of the last " + strconv.Itoa(len(r.Hours)) + " hours had failed tests"
	return c
}

// recentRow is something that happened.
type recentRow struct {
	Class string // ok, fail or ""
	By    string // who did it, with the verb
	What  string
	Then  string // what became of it
	To    string // where it can be seen, or ""
	Note  string
	When  ago
	at    time.Time
}

// What is recent: this many, looked for among this many entries of the log.
const (
	mostRecent = 6
	lookedAt   = 100
)

// recent is what turned, which everyone sees who sees connectors, and what was done, for those who see the log.
func (s *Server) recent(ctx context.Context, v *visit, turns []connector.Turn) ([]recentRow, error) {
	var rows []recentRow
	for _, t := range turns {
		row := recentRow{Class: "ok", What: t.Name, Then: "holds again", To: connectorURL(v, "", t.Scope, t.ID), Note: placeUnlike(v.at, t.Scope), at: t.At}
		switch {
		case t.Failing:
			row.Class, row.Then = "fail", "began to fail"
		case t.For > 0:
			row.Then = "recovered after " + span(t.For)
		}
		rows = append(rows, row)
	}
	if v.may(audit.AuditRead, v.at) {
		list, err := s.Trail.Entries(ctx, v.who, audit.Filter{Scope: v.at, Outcome: audit.Allowed, Limit: lookedAt})
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			if row, ok := deed(v.at, e); ok {
				rows = append(rows, row)
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b recentRow) int { return b.at.Compare(a.at) })
	rows = rows[:min(len(rows), mostRecent)]
	for i := range rows {
		rows[i].When = since(v.now, rows[i].at)
	}
	return rows, nil
}

// placeUnlike names a scope unless it is the one that the page shows.
func placeUnlike(here, at scope.Scope) string {
	if at == here {
		return ""
	}
	return placeName(at)
}

// deed is an entry of the log as the overview tells it; false for what is done all the time.
func deed(here scope.Scope, e audit.Entry) (recentRow, bool) {
	kind, id, _ := strings.Cut(e.Target, "/")
	_, verb, _ := strings.Cut(string(e.Action), ".")
	row := recentRow{What: id, Note: placeUnlike(here, e.Scope), at: e.At}
	thing := strings.ToLower(kindName(kind)[:min(len(kindName(kind)), 1)]) + kindName(kind)[min(len(kindName(kind)), 1):]
	switch e.Action {
	case audit.OIDCRotate:
		row.By, row.What = e.CallerName+" rotated", "the signing keys"
		return row, true
	case audit.OIDCSet:
		row.By, row.What = e.CallerName+" changed", "the OIDC issuer"
		return row, true
	case audit.FlagSet:
		row.By, row.Then = e.CallerName+" turned flag", e.Detail
		return row, true
	case audit.KeyCreate, audit.KeyRevoke:
		thing = "API key"
	default:
	}
	done := map[string]string{"create": "created", "update": "changed", "delete": "deleted", "revoke": "revoked", "reveal": "looked at the value of"}[verb]
	if done == "" || id == "" {
		return row, false
	}
	row.By = e.CallerName + " " + done + " " + thing
	return row, true
}

// countFailing counts for the navigation. A page is not refused because that failed.
func (s *Server) countFailing(ctx context.Context, v *visit) {
	if !v.may(audit.ConnectorRead, v.at) {
		return
	}
	n, err := s.Connectors.FailingCount(ctx, v.who, v.at)
	if err != nil {
		s.Log.WarnContext(ctx, "failing connectors not counted", slog.Any("error", err))
		return
	}
	v.failing = n
}

// Work is how many tasks a delegate has, in words.
func (d delegateRow) Work() string {
	n, _, _ := strings.Cut(d.Tasks, " ")
	if n == "1" {
		return "1 task"
	}
	return n + " tasks"
}

func liveOf(all []delegate.Delegate, v *visit) int {
	n := 0
	for _, d := range all {
		if d.Alive(v.now) {
			n++
		}
	}
	return n
}

// Width is that of all segments.
func (p overviewPage) Width() int {
	all := p.Segments()
	if len(all) == 0 {
		return 1
	}
	last := all[len(all)-1]
	return last.X + last.W
}

// Segments are the parts of the bar that shows the tally.
func (p overviewPage) Segments() []segment {
	total := p.tally.All()
	if total == 0 {
		return nil
	}
	var out []segment
	x := 0
	for _, s := range []connector.Status{connector.Success, connector.Partial, connector.Failing, connector.Unknown} {
		n := p.tally.of(s)
		if n == 0 {
			continue
		}
		w := max(3, 420*n/total) // what is rare is seen too
		out = append(out, segment{markOf(s).Class, x, w})
		x += w + 3
	}
	return out
}

type segment struct {
	Class string
	X, W  int
}
