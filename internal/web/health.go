package web

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/catalogue/render"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// healthBody is a test as its page shows it.
type healthBody struct {
	connectorPage
	Last      *connector.Test
	Headline  string // the cause in a sentence
	Cause     string // and what there is to say beside
	Quotes    []quoted
	ReadBy    string
	Agrees    string // what AWS says to it
	Evidence  []fact
	Remedies  []mending
	Steps     []step
	Tests     []testRow
	Oldest    ago    // of those that are drawn
	Shown     string // how many are drawn
	Chart     chart
	Passed    string
	Typical   string
	Next      string
	Hops      []hop
	Running   []hop
	LastAt    ago
	Connected ago
	Events    []happened
	Live      live
	Settings  []setting
	Nobody    bool // the last test found no delegate
}

type fact struct {
	Label, Text string
	Code        []codeLine // instead of Text
}

// quoted is a policy that decides, as it is shown.
type quoted struct {
	Name, At string // platform-boundary; v7, lines 5 to 13
	Title    string // for those who do not see the marks
	Why      string
	Lines    []codeLine
}

// mending is a change that mends.
type mending struct {
	What    string
	Help    string
	Icon    string
	First   bool
	Apply   string // the address that makes it; "" when Belay cannot, or the caller may not
	Index   string
	Key     string // of its tabs
	Formats []format
}

// tab is the id of the tab of a format.
func (r mending) tab(i int) string { return r.Key + "-" + strconv.Itoa(i) }

// format is one way to write a change.
type format struct {
	Name  string
	Lines []codeLine
}

// happened is one thing in the history of a connector.
type happened struct {
	at                time.Time
	At                ago
	Class, What, Text string
}

type testRow struct {
	At                        ago
	Mark                      mark
	Trigger, By, Through, Why string
	Took                      string
}

// Words say why it was done, how long it took and where.
func (t testRow) Words() string {
	text := t.Trigger
	if t.Took != "" {
		text += ", " + t.Took
	}
	if t.Through != "" {
		text += " on " + t.Through
	}
	return text
}

func triggerWord(t connector.Trigger) string {
	switch t {
	case connector.OnDemand:
		return "asked for"
	case connector.OnSave:
		return "after a change"
	case connector.Periodic:
		return "on its own"
	}
	return string(t)
}

func (s *Server) connectorHealth(ctx context.Context, v *visit) (reply, error) {
	p, err := s.connectorPage(ctx, v, "")
	if err != nil {
		return reply{}, err
	}
	if p.Kept {
		return reply{title: p.c.Name, here: "Connectors", body: keptView(p)}, nil
	}
	b, err := s.health(ctx, v, p.c)
	if err != nil {
		return reply{}, err
	}
	return reply{title: p.c.Name, here: "Connectors", body: healthView(b)}, nil
}

// historyTests are how many tests a page of one connector draws.
const historyTests = 48

// health reads what the page of a connector shows.
func (s *Server) health(ctx context.Context, v *visit, c connector.Stored) (healthBody, error) {
	p := s.pageOf(v, c, "")
	tests, err := s.Connectors.Tests(ctx, v.who, c.Scope, c.ID, historyTests)
	if err != nil {
		return healthBody{}, err
	}
	p.Since = failingSince(v.now, c, tests)
	b := healthBody{
		connectorPage: p, Last: c.LastTest, Chart: historyOf(tests), Hops: lineOf(c.Connector, c.LastTest), Running: running(c.Connector),
		Connected: since(v.now, c.LastConnected), Next: nextOf(v.now, c), Live: liveOfPage(v, viewDetail, connectorRow{query: rowQuery(c.Scope, c.ID)}),
	}
	b.Passed, b.Typical = summary(tests)
	matching, err := s.matching(ctx, v, c.Connector)
	if err != nil {
		return healthBody{}, err
	}
	b.Settings = settingsOf(c)
	for i := range b.Settings {
		if one := &b.Settings[i]; one.Label == delegatesLabel && matching != "" {
			one.Link, one.To = matching, p.To("/delegates")
		}
	}
	b.Shown = "Tests"
	if n := len(tests); n > 0 {
		b.Shown = "Last " + count(n, "test", "tests")
		b.Oldest = since(v.now, tests[n-1].EndedAt)
	}
	if t := b.Last; t != nil {
		b.LastAt, b.Nobody = since(v.now, t.EndedAt), foundNobody(t)
		if t.Diagnosis != nil {
			found, err := s.Connectors.Finding(ctx, v.who, c.Scope, c.ID)
			if err != nil && fault.KindOf(err) != fault.NotFound {
				return healthBody{}, err
			}
			b.diagnose(t, found)
		}
	}
	for _, t := range tests[:min(len(tests), 5)] {
		row := testRow{At: since(v.now, t.EndedAt), Mark: markOf(t.Status), Trigger: triggerWord(t.Trigger), By: t.By, Through: t.Delegate, Took: took(t.Took)}
		if t.Diagnosis != nil {
			row.Why = t.Diagnosis.Cause
		}
		b.Tests = append(b.Tests, row)
	}
	b.Events, err = s.happened(ctx, v, c, tests)
	return b, err
}

// parts are the elements that change when a test ends.
func (b healthBody) parts() map[string]templ.Component {
	return map[string]templ.Component{
		"c-title": titleView(b.connectorPage), "c-sub": subView(b.connectorPage), "c-line": lineView(b), "c-cause": causeView(b), "c-history": historyView(b), "c-events": eventsView(b),
	}
}

// failingSince is the first failure of those that go on, as far as the tests go back.
func failingSince(now time.Time, c connector.Stored, tests []connector.Test) ago {
	if c.Status != connector.Failing || len(tests) == 0 || tests[0].Status != connector.Failing {
		return ago{}
	}
	first := tests[0].EndedAt
	for _, t := range tests {
		if t.Status != connector.Failing {
			return clock(now, first, "since ")
		}
		first = t.EndedAt
	}
	if len(tests) == historyTests {
		return clock(now, first, "since before ")
	}
	return clock(now, first, "since ")
}

// clock is a time of the day with how long ago it is.
func clock(now, t time.Time, before string) ago {
	a, t := since(now, t), t.UTC()
	form := "15:04"
	if t.YearDay() != now.UTC().YearDay() || t.Year() != now.UTC().Year() {
		form = "2 Jan 15:04"
	}
	a.Words = before + t.Format(form) + ", " + a.Words
	return a
}

// summary is how many of the tests passed, and how long one takes typically.
func summary(tests []connector.Test) (passed, typical string) {
	n := 0
	var times []time.Duration
	for _, t := range tests {
		if t.Status == connector.Failing {
			continue
		}
		n++
		if t.Took > 0 {
			times = append(times, t.Took)
		}
	}
	if len(times) > 0 {
		slices.Sort(times)
		typical = took(times[len(times)/2])
	}
	return fmt.Sprintf("%d of %d", n, len(tests)), typical
}

// nextOf says when it is tested by itself.
func nextOf(now time.Time, c connector.Stored) string {
	switch {
	case c.IgnoreTestConnection:
		return "only when asked for"
	case c.NextTestAt.Before(now.Add(-time.Hour)):
		return "not planned"
	case c.NextTestAt.Before(now.Add(10 * time.Second)):
		return "in a moment"
	}
	return since(now, c.NextTestAt).Words
}

// diagnose puts together cause, evidence and remedy.
func (b *healthBody) diagnose(t *connector.Test, found *connector.Finding) {
	d := t.Diagnosis
	b.Headline, b.Cause = firstSentence(d.Cause)
	remedies := d.Remedy
	if found != nil {
		if head, text := causeOf(*found); head != "" {
			b.Headline, b.Cause = head, text
		}
		for _, q := range found.Quotes {
			if one, ok := quotedOf(q); ok {
				b.Quotes = append(b.Quotes, one)
			}
		}
		b.ReadBy, b.Agrees = readBy(*found, t), agreement(*found)
		for i, c := range found.Changes {
			b.Remedies = append(b.Remedies, b.remedyOf(i, c, t))
		}
		if len(found.Changes) > 0 {
			remedies = found.Rest
		}
	}
	b.Steps = stepsOf(remedies)
	for _, f := range d.Evidence {
		if _, document := pretty(f.Text); document && len(b.Quotes) > 0 && !strings.HasPrefix(f.Label, "AWS") {
			continue // it stands in the policy
		}
		b.Evidence = append(b.Evidence, factOf(f))
	}
}

// firstSentence cuts a text behind its first sentence.
func firstSentence(text string) (first, rest string) {
	code := false
	for i, r := range text {
		switch {
		case r == '`':
			code = !code
		case !code && r == '.' && strings.HasPrefix(text[i:], ". "):
			return text[:i+1], text[i+2:]
		}
	}
	return text, ""
}

// causeOf says what refuses, where one statement does.
func causeOf(f connector.Finding) (headline, text string) {
	if !f.Explicit {
		return "", ""
	}
	who := map[iam.Layer]string{
		iam.LayerBoundary: "A permissions boundary denies the call.", iam.LayerSCP: "A service control policy denies the call.",
		iam.LayerIdentity: "A policy of the identity denies the call.", iam.LayerResource: "The role's trust policy denies the call.",
	}[f.Layer]
	if who == "" {
		return "", ""
	}
	for _, q := range f.Quotes {
		if len(q.Deciding) == 0 {
			continue
		}
		name := "Statement " + strconv.Itoa(q.Deciding[0]+1)
		if sid := sidOf(q.Policy.Document, q.Deciding[0]); sid != "" {
			name = "Statement `" + strings.ReplaceAll(sid, "`", "'") + "`"
		}
		return who, fmt.Sprintf("%s of `%s` blocks `%s` in `%s`.", name, strings.ReplaceAll(shownName(q.Policy), "`", "'"), f.Action, f.Region)
	}
	return "", ""
}

func sidOf(document string, index int) string {
	d, err := iam.Parse([]byte(document))
	if err != nil || index >= len(d.Statements) {
		return ""
	}
	return d.Statements[index].SID
}

// shownName is a policy's name for people.
func shownName(p connector.PolicyText) string {
	switch {
	case p.Via == "trust":
		return "trust policy of " + p.Name
	case p.Name != "":
		return p.Name
	}
	return lastOf(p.ARN)
}

// quotedOf shows the policy with the lines that decide.
func quotedOf(q connector.Quote) (quoted, bool) {
	pointed, class := q.Deciding, "bad"
	if len(pointed) == 0 {
		pointed, class = q.Near, "warn"
	}
	lines, from, to, ok := policyLines(q.Policy.Document, pointed, class)
	if !ok {
		return quoted{}, false
	}
	one := quoted{Name: shownName(q.Policy), Lines: lines}
	one.At = q.Policy.Version
	place := "no statement allows it"
	switch {
	case from > 0 && from == to:
		place = "line " + strconv.Itoa(from)
	case from > 0:
		place = fmt.Sprintf("lines %d to %d", from, to)
	}
	if one.At != "" {
		one.At += ", "
	}
	one.At += place
	one.Title = "Policy " + one.Name
	switch {
	case len(q.Deciding) > 0:
		one.Title += ", blocking statement highlighted"
	case len(q.Near) > 0:
		one.Title += ", nearest statement highlighted"
		one.Why = "This statement comes nearest: it " + q.Why
	}
	return one, true
}

// readBy says who read the policies, and how.
func readBy(f connector.Finding, t *connector.Test) string {
	if len(f.Quotes) == 0 {
		return ""
	}
	who := t.Delegate
	if who == "" || who == delegate.PlatformName {
		who = "the manager"
	}
	return who + " with `" + reader(f.Quotes[0].Policy, t) + "`"
}

// reader is the permission by which a policy is read.
func reader(p connector.PolicyText, t *connector.Test) string {
	group := strings.HasPrefix(p.Via, "group ")
	switch {
	case p.Via == "trust":
		return "iam:GetRole"
	case p.Via == "organization":
		return "organizations:DescribePolicy"
	case p.ARN != "":
		return "iam:GetPolicyVersion"
	case group:
		return "iam:GetGroupPolicy"
	case t.Identity != nil && strings.Contains(t.Identity.ARN, ":user/"):
		return "iam:GetUserPolicy"
	}
	return "iam:GetRolePolicy"
}

// agreement is whether AWS says the same.
func agreement(f connector.Finding) string {
	words := map[iam.Layer]string{
		iam.LayerBoundary: "permissions boundary", iam.LayerSCP: "service control policy", iam.LayerIdentity: "identity-based policy", iam.LayerResource: "trust policy",
	}
	text := "AWS does not say which policy refuses"
	if f.Said != "" {
		text = "AWS says: “" + f.Said + "”"
		if strings.Contains(f.Said, words[f.Layer]) && strings.HasPrefix(f.Said, "explicit deny") == f.Explicit {
			text = "AWS agrees: “" + f.Said + "”"
		}
	}
	if f.RequestID != "" {
		text += ", request `" + strings.ReplaceAll(f.RequestID, "`", "'") + "`"
	}
	return text + "."
}

// remedyOf shows a change.
func (b *healthBody) remedyOf(i int, c connector.Change, t *connector.Test) mending {
	r := mending{What: sentence(c.What), Icon: "shield", First: i == 0, Index: strconv.Itoa(i), Key: "r" + strconv.Itoa(i)}
	r.What = named(strings.TrimSuffix(r.What, "."))
	if c.Setting != connector.SettingNone {
		r.Icon, r.Help = "play", "Changes only this connector."
		if c.Setting == connector.SettingRegion {
			r.Help += " By the policies that were read, the call is allowed there."
		}
		if b.Edit {
			r.Apply = b.To("/remedy")
		}
		return r
	}
	if c.After == "" && c.Command == "" {
		return r
	}
	r.Help = "IAM can take up to five minutes; Belay keeps testing until then."
	switch {
	case c.Policy.Via == "boundary":
		r.Help = "Affects every identity that carries this boundary. " + r.Help
	case c.Policy.Via == "organization":
		r.Help = "Affects every account that the policy is attached to. " + r.Help
	case c.Policy.ARN != "":
		r.Help = "Affects every identity that the policy is attached to. " + r.Help
	}
	r.Formats = formatsOf(c, t)
	return r
}

// formatsOf writes a change for each tool.
func formatsOf(c connector.Change, t *connector.Test) []format {
	var out []format
	if c.After != "" {
		if lines, ok := grownLines(c.Policy.Document, c.After); ok {
			out = append(out, format{"Policy", lines})
		}
		if d, err := iam.Parse([]byte(c.After)); err == nil {
			at := placeFor(c, t)
			var before *iam.Document
			if c.Policy.Document != "" {
				before, _ = iam.Parse([]byte(c.Policy.Document)) // it was one when it was judged
			}
			write := func(name string, to func(*iam.Document, render.Place) []byte) {
				lines := linesOf(string(to(d, at)))
				if before != nil {
					lines = marked(linesOf(string(to(before, at))), lines)
				}
				out = append(out, format{name, lines})
			}
			write("Terraform", render.PolicyTerraform)
			write("CloudFormation", render.PolicyCloudFormation)
		}
	}
	if c.Command != "" {
		out = append(out, format{"AWS CLI", linesOf(wrapped(c.Command))})
	}
	return out
}

// wrapped breaks a command before its options, so that it can be read.
func wrapped(command string) string {
	head, rest, found := strings.Cut(command, " --")
	if !found {
		return command
	}
	// Documents stand last and quoted: what is in them is no option.
	options, document, has := strings.Cut(rest, " '")
	text := head + " \\\n  --" + strings.ReplaceAll(options, " --", " \\\n  --")
	if has {
		text += " '" + document
	}
	return text
}

// placeFor is where a policy is.
func placeFor(c connector.Change, t *connector.Test) render.Place {
	p := c.Policy
	at := render.Place{Kind: render.Managed, Name: shownName(p)}
	group, inGroup := strings.CutPrefix(p.Via, "group ")
	switch {
	case c.Trust != "":
		return render.Place{Kind: render.TrustOf, Holder: c.Trust}
	case p.Via == "organization":
		at.Kind = render.Organizational
	case inGroup && p.ARN == "":
		at.Kind, at.Entity, at.Holder = render.Inline, "group", group
	case p.ARN == "" && p.Via != "boundary":
		at.Kind, at.Entity, at.Holder = render.Inline, "role", "ROLE"
		if t.Identity != nil {
			if parts := strings.Split(t.Identity.ARN, "/"); len(parts) > 1 {
				at.Holder = parts[1]
				if strings.Contains(t.Identity.ARN, ":user/") {
					at.Entity, at.Holder = "user", parts[len(parts)-1]
				}
			}
		}
	}
	return at
}

// happened is what led to the present status: tests, and changes of the connector as far as the caller may see them.
func (s *Server) happened(ctx context.Context, v *visit, c connector.Stored, tests []connector.Test) ([]happened, error) {
	var out []happened
	add := func(at time.Time, class, what, text string) {
		if !at.IsZero() {
			out = append(out, happened{at, clock(v.now, at, ""), class, what, text})
		}
	}
	add(firstFailure(c, tests))
	if i := slices.IndexFunc(tests, func(t connector.Test) bool { return t.Status != connector.Failing }); i >= 0 {
		text := triggerWord(tests[i].Trigger)
		if tests[i].Took > 0 {
			text += ", " + took(tests[i].Took)
		}
		add(tests[i].EndedAt, "ok", "Last success", text)
	} else if !c.LastConnected.IsZero() {
		add(c.LastConnected, "ok", "Last success", "")
	}
	switch {
	case v.may(audit.AuditRead, c.Scope):
		const few = 4
		entries, err := s.Trail.Entries(ctx, v.who, audit.Filter{
			Scope: c.Scope, Targets: []string{"connector/" + c.ID}, Actions: []audit.Action{audit.ConnectorCreate, audit.ConnectorUpdate}, Outcome: audit.Allowed, Limit: few,
		})
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.Scope != c.Scope || e.At.Before(c.CreatedAt.Add(-time.Minute)) {
				continue // of another of that name
			}
			what := "Edited"
			if e.Action == audit.ConnectorCreate {
				what = "Made"
			}
			add(e.At, "", what, "by "+e.CallerName)
		}
	case c.Revision > 1:
		add(c.UpdatedAt, "", "Edited", "change "+strconv.FormatInt(c.Revision-1, 10))
	default:
		add(c.CreatedAt, "", "Made", "")
	}
	slices.SortStableFunc(out, func(a, b happened) int { return b.at.Compare(a.at) })
	return out, nil
}

func firstFailure(c connector.Stored, tests []connector.Test) (at time.Time, class, what, text string) {
	if c.Status != connector.Failing || len(tests) == 0 || tests[0].Status != connector.Failing {
		return time.Time{}, "", "", ""
	}
	n := 0
	for n < len(tests) && tests[n].Status == connector.Failing {
		n++
	}
	first, what := tests[n-1], "First failure"
	if n == historyTests {
		what = "Oldest failure shown"
	}
	text = triggerWord(first.Trigger)
	if first.Delegate != "" {
		text += ", " + first.Delegate
	}
	return first.EndedAt, "fail", what, text
}

// applyRemedy makes a change of the connector that its last test proposed, and tests it.
func (s *Server) applyRemedy(ctx context.Context, v *visit) (reply, error) {
	p, err := s.connectorPage(ctx, v, "")
	if err != nil {
		return reply{}, err
	}
	if err := denied(p.Edit, "change this connector", p.c.Scope); err != nil {
		return reply{}, err
	}
	found, err := s.Connectors.Finding(ctx, v.who, p.c.Scope, p.c.ID)
	if err != nil {
		return reply{}, err
	}
	i, numberErr := strconv.Atoi(v.r.PostFormValue("change"))
	// The page may be older than the connector: what it proposed may no longer be what mends it.
	if p.c.LastTest == nil || v.r.PostFormValue("test") != p.c.LastTest.ID || p.c.LastTest.Revision != p.c.Revision || found == nil {
		return reply{}, fault.New(fault.Conflict, "%s was tested or changed since this page was made; look at it again", p.c.Name)
	}
	if numberErr != nil || i < 0 || i >= len(found.Changes) {
		return reply{}, fault.New(fault.Invalid, "there is no such change of %s", p.c.Name)
	}
	changed, ok := found.Changes[i].Apply(p.c.Connector)
	if !ok {
		return reply{}, fault.New(fault.Invalid, "that is a change of a policy, which is made in AWS")
	}
	if _, err := s.Connectors.Update(ctx, v.who, changed); err != nil {
		return reply{}, err
	}
	if _, err := s.Connectors.Test(ctx, v.who, p.c.Scope, p.c.ID, connector.Options{Trigger: connector.OnSave}); err != nil {
		return reply{}, err
	}
	return reply{to: connectorURL(v, "", p.c.Scope, p.c.ID)}, nil
}

// factOf shows documents and long texts as code, to be copied, and short ones in a line.
func factOf(f connector.Fact) fact {
	if text, ok := pretty(f.Text); ok {
		return fact{Label: f.Label, Code: linesOf(text)}
	}
	if strings.Contains(f.Text, "\n") {
		return fact{Label: f.Label, Code: linesOf(f.Text)}
	}
	return fact{Label: f.Label, Text: f.Text}
}

// runTest tests the connection and then shows its page: a connection that does not hold is no failure of the test.
func (s *Server) runTest(ctx context.Context, v *visit) (reply, error) {
	at, err := v.home()
	if err != nil {
		return reply{}, err
	}
	id := v.r.PathValue("id")
	if _, err := s.Connectors.Test(ctx, v.who, at, id, connector.Options{Trigger: connector.OnDemand}); err != nil {
		return reply{}, err
	}
	return reply{to: connectorURL(v, "", at, id)}, nil
}

// historyOf draws the last tests for the page of one connector, which come newest first: passes stand on the base line, as
// high as they took, failures hang below it.
func historyOf(tests []connector.Test) chart {
	briefs := make([]connector.Brief, 0, len(tests))
	for _, t := range tests {
		briefs = append(briefs, connector.Brief{Status: t.Status, At: t.EndedAt, Took: t.Took})
	}
	return drawn(briefs, historyTests, 38, 26)
}

// drawn draws tests as bars: base is the base line, high how high the longest stands on it.
func drawn(tests []connector.Brief, n, base, high int) chart {
	c := chart{Width: strconv.Itoa(n*6 - 2), Height: strconv.Itoa(base * 3 / 2)}
	if base == 38 {
		c.Height = "56"
	}
	tests = tests[:min(len(tests), n)]
	failed := 0
	var longest time.Duration
	for _, t := range tests {
		if t.Status != connector.Failing {
			longest = max(longest, t.Took)
		}
	}
	below, _ := strconv.Atoi(c.Height)
	for i := range n {
		at := n - 1 - i // the newest stands right
		b := bar{"na", strconv.Itoa(i * 6), strconv.Itoa(base - 2), "2"}
		if at < len(tests) {
			t := tests[at]
			if t.Status == connector.Failing {
				b.Class, b.Y, b.H = "dn", strconv.Itoa(base+2), strconv.Itoa(below-base-2)
				failed++
			} else {
				h := high * 2 / 3
				if longest > 0 {
					h = high/3 + int(int64(high-high/3)*int64(t.Took)/int64(longest))
				}
				b.Class, b.Y, b.H = "up", strconv.Itoa(base-h), strconv.Itoa(h)
			}
		}
		c.Bars = append(c.Bars, b)
	}
	c.Label = "No tests yet"
	if len(tests) > 0 {
		c.Label = fmt.Sprintf("%d of the last %s failed", failed, count(len(tests), "test", "tests"))
	}
	return c
}

// rowQuery is rowKey as a part of an address.
func rowQuery(at scope.Scope, id string) string { return url.QueryEscape(rowKey(at, id)) }
