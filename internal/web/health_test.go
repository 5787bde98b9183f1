package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/infra"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/task"
)

func project(p *pages) scope.Scope {
	return scope.Scope{Account: p.Account, Org: "org1", Project: "prj1"}
}

// The page says the cause, then what shows it, then what mends it, smallest change first.
func TestCauseEvidenceRemedy(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.populate(t)
	page := p.signIn(t, p.Editor).get("/ui/connectors/payments_prod?at=org1/prj1").body
	inOrder(t, page,
		"payments prod", "Failing", "IRSA, then role", "444455556666", "Failing ", "since ", "Where it breaks", "hand-over 18 ms", "212 ms", "148 ms", "96 ms", "188 ms",
		"A permissions boundary denies the call.", "DenyOutsideEurope", "platform-boundary", "ec2:DescribeRegions", "us-east-1",
		"Evidence", "platform-boundary", "v7, lines 5 to 13", "Read by", "eks-prod-1", "iam:GetPolicyVersion", "AWS agrees: “explicit deny in a permissions boundary”", "b5c1e0f2-7d1e",
		"Remedy", "Test in eu-central-1 instead", "Smallest change", "Change and test", "Or: ", "Exempt this identity", "Affects every identity that carries this boundary",
		"Policy", "Terraform", "CloudFormation", "AWS CLI", "aws_iam_policy", "AWS::IAM::ManagedPolicy", "aws iam create-policy-version", "--identity-only",
		"Passed", "7 of 9", "Typical", "214 ms", "What changed", "First failure", "Last success",
	)
	if n := strings.Count(page, `<mark class="l">`); n != 9 {
		t.Errorf("%d lines of the blocking statement are marked, want 9", n)
	}
	if !strings.Contains(page, `<mark class="l add">`) {
		t.Error("no line of the remedy is marked as new")
	}
	// A statement that decides nothing is folded to one line.
	if text := plain(page); !strings.Contains(text, `{ "Sid": "AllowAllInside", "Effect": "Allow", "Action": "*", "Resource": "*" },`) {
		t.Error("a short statement is not folded")
	}
	viewer := p.signIn(t, p.Viewer).get("/ui/connectors/payments_prod?at=org1/prj1").body
	inOrder(t, viewer, "Test in eu-central-1 instead", "What changed", "Made")
	if strings.Contains(viewer, "Change and test") || strings.Contains(viewer, "More actions") || strings.Contains(viewer, ">Audit<") {
		t.Error("a viewer is offered what it may not do")
	}
}

// What the page proposes for the connector is done by a press of its button, by those who may, and only while it is true.
func TestChangeAndTest(t *testing.T) {
	t.Parallel()
	p := serve(t)
	c := p.add(t, connector.Connector{ID: "c1", Credential: connector.IRSA{}})
	p.test(t, c, p.bounded)
	const to = "/ui/connectors/c1/remedy"
	b := p.signIn(t, p.Editor)
	found := regexp.MustCompile(`name="test" value="([^"]+)"`).FindStringSubmatch(b.get("/ui/connectors/c1").body)
	if found == nil {
		t.Fatal("the page has no button that changes the connector")
	}
	if got := b.do(http.MethodPost, to, url.Values{"test": {found[1]}, "change": {"0"}}, nil); got.status != http.StatusForbidden {
		t.Errorf("without the token of the session: %d", got.status)
	}
	for name, tt := range map[string]struct {
		key  string
		form url.Values
		want int
	}{
		"a viewer":             {p.Viewer, url.Values{"test": {found[1]}, "change": {"0"}}, http.StatusForbidden},
		"another test":         {p.Editor, url.Values{"test": {"tst_other"}, "change": {"0"}}, http.StatusConflict},
		"no such change":       {p.Editor, url.Values{"test": {found[1]}, "change": {"9"}}, http.StatusBadRequest},
		"no number":            {p.Editor, url.Values{"test": {found[1]}, "change": {"<script>"}}, http.StatusBadRequest},
		"a change of a policy": {p.Editor, url.Values{"test": {found[1]}, "change": {"1"}}, http.StatusBadRequest},
	} {
		if got := p.signIn(t, tt.key).post(to, tt.form); got.status != tt.want {
			t.Errorf("%s: %d, want %d", name, got.status, tt.want)
		}
	}
	who := audit.System(p.Account, "test")
	if now, err := p.Connectors.Connector(t.Context(), who, c.Scope, c.ID); err != nil || now.Region != "" || now.Revision != 1 {
		t.Fatalf("a refused change changed it: %+v %v", now.Connector, err)
	}
	p.Clock.Move(time.Second)
	if got := b.post(to, url.Values{"test": {found[1]}, "change": {"0"}}); got.status != http.StatusSeeOther || got.header.Get("Location") != "/ui/connectors/c1" {
		t.Fatalf("%d %s", got.status, got.header.Get("Location"))
	}
	now, err := p.Connectors.Connector(t.Context(), who, c.Scope, c.ID)
	if err != nil || now.Region != "eu-central-1" || now.Status != connector.Success || now.LastTest.Trigger != connector.OnSave {
		t.Fatalf("it is %+v %v", now, err)
	}
	inOrder(t, b.get("/ui/connectors/c1").body, "Connected", "It holds", "eu-central-1")
	if got := b.post(to, url.Values{"test": {found[1]}, "change": {"0"}}); got.status != http.StatusConflict {
		t.Errorf("again: %d", got.status)
	}
}

// Policies are whatever somebody wrote. What cannot be laid out is shown as it came, and nothing of it is markup.
func TestPoliciesOfEveryShape(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Admin)
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>'`
	quoted, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	for i, document := range []string{
		`{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`,
		`{"Version":"2012-10-17","Id":` + string(quoted) + `,"Statement":[{"Sid":` + string(quoted) + `,"Effect":"Deny","Action":["ec2:*"],"Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalTag/x":[` + string(quoted) + `]}}}]}`,
		`{"Statement":[{"Effect":"Deny","NotAction":["` + strings.Repeat(`s3:Get`, 40) + `","iam:*"],"Resource":"*"}]}`,
		`not JSON`, `[]`, `{}`, strings.Repeat("[", 500),
	} {
		c := p.add(t, connector.Connector{ID: fmt.Sprintf("c%d", i)})
		p.test(t, c, func(r connector.Request) connector.Result {
			result := p.bounded(r)
			known := *result.Evidence.Permissions
			known.Boundary = &connector.PolicyText{Name: evil, ARN: "arn:aws:iam::444455556666:policy/" + evil, Via: "boundary", Version: evil, Document: document}
			result.Evidence.Permissions, result.Delegate = &known, evil
			result.Evidence.Failure.RequestID = evil
			result.Evidence.Calls = append(result.Evidence.Calls, connector.Call{Step: connector.Step(evil), Took: -time.Second})
			return result
		})
		harmless(t, document, b.get("/ui/connectors/"+c.ID))
		for _, part := range p.parts(t, c) {
			if strings.Contains(part, "<script>alert") || strings.Contains(part, "<img src=x") {
				t.Errorf("%s: markup in what is streamed", document)
			}
		}
	}
	for _, path := range []string{"/ui/connectors", "/ui/", "/ui/connectors?sort=" + url.QueryEscape(evil), "/ui/connectors?sort=name"} {
		harmless(t, path, b.get(path))
	}
	if _, err := p.Definitions.Create(t.Context(), audit.System(p.Account, "test"), infra.Definition{
		Kind: infra.Service, Scope: scope.Scope{Account: p.Account}, ID: "evil", Name: evil, YAML: "service:\n  identifier: evil\n  spec: {connectorRef: account.c0}\n",
	}); err != nil {
		t.Fatal(err)
	}
	for _, tab := range []string{"settings", "used", "audit", "delete"} {
		harmless(t, tab, b.get("/ui/connectors/c0/"+tab))
	}
}

// parts are what an open page of a connector is sent when it is tested.
func (p *pages) parts(t *testing.T, c connector.Connector) []string {
	t.Helper()
	b := p.signIn(t, p.Admin)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lines := b.stream(ctx, liveOf(t, b.get(connectorPath(c)).body), "")
	p.Clock.Move(time.Second)
	p.test(t, c, p.breaks)
	var out []string
	for range 6 {
		out = append(out, lines.next(t, "row").HTML)
	}
	return out
}

func connectorPath(c connector.Connector) string {
	path := "/ui/connectors/" + c.ID
	if c.Scope.Project != "" {
		path += "?at=" + c.Scope.Org + "/" + c.Scope.Project
	}
	return path
}

var streamed = regexp.MustCompile(`data-stream="([^"]+)"`)

// liveOf is the address of the stream of a page.
func liveOf(t *testing.T, page string) string {
	t.Helper()
	found := streamed.FindStringSubmatch(page)
	if found == nil {
		t.Fatal("the page has no stream")
	}
	return html.UnescapeString(found[1])
}

// events reads a stream.
type events struct{ lines *bufio.Reader }

type eventOf struct {
	Name, ID, Data string // of the event
	Part, HTML     string // of one that sends an element
}

func (b *browser) stream(ctx context.Context, to, last string) events {
	b.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.pages.url+to, http.NoBody)
	if err != nil {
		b.t.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	got, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = got.Body.Close() })
	if got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != "text/event-stream" {
		b.t.Fatalf("%s: %d %v", to, got.StatusCode, got.Header)
	}
	lines := bufio.NewReader(got.Body)
	if line, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, "retry:") {
		b.t.Fatalf("the stream begins with %q %v", line, err)
	}
	return events{lines}
}

// next is the next event of a name.
func (e events) next(t *testing.T, name string) eventOf {
	t.Helper()
	var one eventOf
	for {
		line, err := e.lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ended before %q: %v", name, err)
		}
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "event":
			one = eventOf{Name: value}
		case "id":
			one.ID = value
		case "data":
			one.Data = value
			if one.Name == name {
				if name == "row" {
					var sent struct {
						ID   string `json:"id"`
						HTML string `json:"html"`
					}
					if err := json.Unmarshal([]byte(value), &sent); err != nil {
						t.Fatal(err)
					}
					one.Part, one.HTML = sent.ID, sent.HTML
				}
				return one
			}
		}
	}
}

// Open pages hear of a test that ended: the row that they show, how many others changed, and nothing of what their caller
// may not see.
func TestConnectorsLive(t *testing.T) {
	t.Parallel()
	p := serve(t)
	inside, other := p.add(t, connector.Connector{ID: "inside", Scope: project(p)}), p.add(t, connector.Connector{ID: "other"})
	p.test(t, inside, p.holds)
	p.Clock.Move(time.Second)
	p.test(t, other, p.holds)
	p.Clock.Move(2 * time.Second)
	admin, editor := p.signIn(t, p.Admin), p.signIn(t, p.Project)
	list := admin.stream(t.Context(), liveOf(t, admin.get("/ui/connectors").body), "")
	failing := admin.stream(t.Context(), liveOf(t, admin.get("/ui/connectors?status=failing").body), "")
	overview := admin.stream(t.Context(), liveOf(t, admin.get("/ui/").body), "")
	detail := admin.stream(t.Context(), liveOf(t, admin.get(connectorPath(inside)).body), "")
	narrow := editor.stream(t.Context(), liveOf(t, editor.get("/ui/connectors").body), "")

	p.Clock.Move(time.Second)
	p.test(t, other, p.breaks)
	p.Clock.Move(time.Second)
	began := time.Now()
	p.test(t, inside, p.breaks)
	row := narrow.next(t, "row") // whoever has a role in the project only does not hear of the other
	t.Logf("a change reached the page in %s", time.Since(began).Round(time.Millisecond))
	if row.Part != "c-org1/prj1/inside" || !strings.Contains(row.HTML, "Failing") || !strings.Contains(row.HTML, `id="c-org1/prj1/inside"`) {
		t.Errorf("the row is %+v", row)
	}
	if got := narrow.next(t, "list").Data; got != "1" {
		t.Errorf("%s changed for whom one is all there is", got)
	}
	seen := map[string]bool{list.next(t, "row").Part: true, list.next(t, "row").Part: true}
	if !seen["c-//other"] || !seen["c-org1/prj1/inside"] {
		t.Errorf("the list was sent %v", seen)
	}
	// A list that does not show them is told how many wait to be shown.
	for {
		if got := failing.next(t, "list").Data; got == "2" {
			break
		}
	}
	for _, want := range []string{"needs", "tally"} {
		if part := overview.next(t, "row"); part.Part != want {
			t.Errorf("the overview is sent %s, want %s", part.Part, want)
		}
	}
	var last eventOf
	for _, want := range []string{"c-cause", "c-events", "c-history", "c-line", "c-sub", "c-title"} {
		if last = detail.next(t, "row"); last.Part != want {
			t.Errorf("the page of one is sent %s, want %s", last.Part, want)
		}
	}
	inOrder(t, last.HTML, "c-title", "inside: Failing", "Failing")
	// A stream that was lost goes on where it was.
	if n, err := strconv.ParseInt(last.ID, 10, 64); err != nil || !time.UnixMicro(n).Equal(p.Clock.Now()) {
		t.Errorf("the last event has the id %q", last.ID)
	}
	p.Clock.Move(time.Second)
	p.test(t, inside, p.holds)
	again := editor.stream(t.Context(), liveOf(t, editor.get("/ui/connectors").body), last.ID)
	if row := again.next(t, "row"); !strings.Contains(row.HTML, "Connected") {
		t.Errorf("after the stream was lost: %+v", row)
	}
	// One that was lost for long is told to look again.
	long := editor.stream(t.Context(), liveOf(t, editor.get("/ui/connectors").body), strconv.FormatInt(p.Clock.Now().Add(-time.Hour).UnixMicro(), 10))
	if row := long.next(t, "row"); row.Part != "c-org1/prj1/inside" {
		t.Errorf("after an hour: %+v", row)
	}
	if got := long.next(t, "list").Data; got != "-1" {
		t.Errorf("the list changed by %s", got)
	}
	// The manager ends: so do the streams.
	p.server.Stop()
	if _, err := narrow.lines.ReadString(0); err == nil {
		t.Error("the stream goes on")
	}
	if got := editor.get(liveOf(t, editor.get("/ui/connectors").body)); got.status != http.StatusServiceUnavailable {
		t.Errorf("another stream: %d", got.status)
	}
	if got := p.browser(t).get("/ui/live/connectors"); got.status != http.StatusNoContent {
		t.Errorf("without a session: %d", got.status)
	}
}

func TestAspectsOfAConnector(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.populate(t)
	p.add(t, connector.Connector{ID: "payments_prod"}) // another of that name, in the account
	b := p.signIn(t, p.Admin)
	const at = "?at=org1/prj1"
	settings := b.get("/ui/connectors/payments_prod/settings" + at).body
	inOrder(t, settings, "payments_prod", "IRSA", "eks", "arn:aws:iam::444455556666:role/belay-deploy", "External id", "set", "us-east-1", "SDK default")
	if strings.Contains(settings, "x-1") {
		t.Error("the external id is in the page")
	}
	used := b.get("/ui/connectors/payments_prod/used" + at).body
	inOrder(t, used, "checkout", "service", "org1/prj1", "1 definition")
	if strings.Contains(used, "ledger") {
		t.Error("what names no connector is said to use one")
	}
	inOrder(t, b.get("/ui/connectors/payments_prod/delete"+at).body, "1 definition names it", "service checkout", "Type payments_prod")
	inOrder(t, b.get("/ui/connectors/payments_prod/used").body, "No definition names it")
	entries := b.get("/ui/connectors/payments_prod/audit" + at).body
	inOrder(t, entries, "connector.test", "connector.create")
	if n := strings.Count(entries, "connector.create"); n != 1 {
		t.Errorf("%d entries of making it", n)
	}
	for range 3 {
		for range 10 {
			b.post("/ui/connectors/payments_prod/test"+at, nil)
		}
	}
	older := regexp.MustCompile(`href="([^"]*before=[^"]*)"`).FindStringSubmatch(b.get("/ui/connectors/payments_prod/audit" + at).body)
	if older == nil {
		t.Fatal("no way to older entries")
	}
	inOrder(t, b.get(html.UnescapeString(older[1])).body, "connector.test", "connector.create")
	viewer := p.signIn(t, p.Viewer)
	if got := viewer.get("/ui/connectors/payments_prod/audit" + at); got.status != http.StatusForbidden {
		t.Errorf("a viewer reads the audit log: %d", got.status)
	}
	for _, tab := range []string{"settings", "used", "yaml"} {
		if got := viewer.get("/ui/connectors/payments_prod/" + tab + at); got.status != http.StatusOK {
			t.Errorf("%s: %d", tab, got.status)
		}
	}
}

func TestOrderOfConnectors(t *testing.T) {
	t.Parallel()
	p := serve(t)
	for _, id := range []string{"b", "a", "c"} {
		p.add(t, connector.Connector{ID: "x" + id})
	}
	p.Clock.Move(time.Minute)
	p.test(t, connector.Connector{Scope: scope.Scope{Account: p.Account}, ID: "xc"}, p.breaks)
	p.Clock.Move(time.Minute)
	p.test(t, connector.Connector{Scope: scope.Scope{Account: p.Account}, ID: "xb"}, p.holds)
	b := p.signIn(t, p.Viewer)
	for path, want := range map[string][]string{
		"/ui/connectors":                              {"trouble first", ">xc<", ">xa<", ">xb<", "1 to 3 of 3"},
		"/ui/connectors?sort=name":                    {"by name", ">xa<", ">xb<", ">xc<", "1 to 3 of 3"},
		"/ui/connectors?sort=activity":                {"changed last first", ">xb<", ">xc<", ">xa<", "1 to 3 of 3"},
		"/ui/connectors?sort=name&search=x":           {">xa<", ">xb<", ">xc<", "1 to 3 of 3"},
		"/ui/connectors?sort=name&status=failing":     {">xc<", "1 to 1 of 1"},
		"/ui/connectors?sort=nonsense":                {"trouble first", ">xc<"},
		"/ui/connectors?sort=name&credential=given":   {"Nothing matches"},
		"/ui/connectors?search=xb&status=connected":   {">xb<", "0 of the last 1 test failed", "1 to 1 of 1"},
		"/ui/connectors?sort=activity&credential=own": {">xb<", ">xc<", ">xa<", "1 to 3 of 3"},
	} {
		inOrder(t, b.get(path).body, want...)
	}
}

// Every diagnosis has its few words, so that a row that begins to fail stays as high as it was.
func TestReasonsInFewWords(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Viewer)
	why := regexp.MustCompile(`(?s)<small class="soft why">(.*?)</small>`)
	for _, code := range connector.Codes() {
		c := p.add(t, connector.Connector{ID: "c" + strings.ToLower(strings.ReplaceAll(code, "-", "_"))})
		now := p.Clock.Now()
		test := connector.Test{
			ID: connector.NewTestID(), Scope: c.Scope, Connector: c.ID, StartedAt: now, EndedAt: now, Status: connector.Failing,
			Diagnosis: &connector.Diagnosis{Code: code, Cause: strings.Repeat("A cause of many words ", 10)},
		}
		if err := p.Store.SaveTest(t.Context(), test); err != nil {
			t.Fatal(err)
		}
	}
	for _, page := range []string{"1", "2"} {
		for _, found := range why.FindAllStringSubmatch(b.get("/ui/connectors?page="+page).body, -1) {
			if text := strings.TrimSpace(plain(found[1])); text == "" || len(text) > 34 {
				t.Errorf("the reason is %q", text)
			}
		}
	}
}

// A test that runs is drawn as far as it is known to have come: asked for, taken by a delegate, ended.
func TestProgress(t *testing.T) {
	t.Parallel()
	p := serve(t)
	c := p.add(t, connector.Connector{ID: "c1", Credential: connector.IRSA{}})
	p.test(t, c, p.holds)
	d := p.Delegate(t, delegate.Delegate{Name: "eks-prod-1", HostName: "h"})
	p.Clock.Move(5 * time.Second)
	b := p.signIn(t, p.Viewer)
	detail := b.stream(t.Context(), liveOf(t, b.get("/ui/connectors/c1").body), "")
	list := b.stream(t.Context(), liveOf(t, b.get("/ui/connectors").body), "")
	now := p.Clock.Now()
	one := task.Task{ID: task.NewID(), Scope: c.Scope, Kind: protocol.TypeAWSValidate, Subject: c.ID, State: task.Queued, CreatedAt: now, Deadline: now.Add(time.Minute)}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(p.Store.InsertTask(t.Context(), one))
	part := detail.next(t, "row")
	if part.Part != "line" || !strings.Contains(part.HTML, `class="body line testing"`) || strings.Contains(part.HTML, "eks-prod-1</small>\n") {
		t.Errorf("asked for: %+v", part)
	}
	inOrder(t, part.HTML, "now", "Running", "Delegate", "Nothing is known", "IRSA")
	inOrder(t, list.next(t, "row").HTML, "c-//c1", "Testing")
	_, err := p.Store.LeaseTask(t.Context(), one.ID, d.ID, now, now.Add(time.Minute))
	must(err)
	inOrder(t, detail.next(t, "row").HTML, `class="now"`, "Holds", "Delegate", "eks-prod-1", "Running", "IRSA", "Nothing is known", "Identity")
	// Given up without an outcome: what was before is shown again.
	_, err = p.Store.FinishTask(t.Context(), one.ID, d.ID, 1, task.End{State: task.Succeeded, At: now})
	must(err)
	for detail.next(t, "row").Part != "c-line" {
	}
	for row := list.next(t, "row").HTML; !strings.Contains(row, "Connected"); row = list.next(t, "row").HTML {
	}
	// With an outcome it is shown at once.
	two := one
	two.ID = task.NewID()
	must(p.Store.InsertTask(t.Context(), two))
	inOrder(t, list.next(t, "row").HTML, "c-//c1", "Testing")
	_, err = p.Store.LeaseTask(t.Context(), two.ID, d.ID, now, now.Add(time.Minute))
	must(err)
	_, err = p.Store.FinishTask(t.Context(), two.ID, d.ID, 1, task.End{State: task.Succeeded, At: now})
	must(err)
	p.Clock.Move(time.Second)
	p.test(t, c, p.breaks)
	for row := list.next(t, "row").HTML; !strings.Contains(row, "Failing"); row = list.next(t, "row").HTML {
	}
}

// A search that leaves few is read in another way than one that leaves many: both must say the same.
func TestSearchesOfFewAndOfMany(t *testing.T) {
	t.Parallel()
	p := serve(t)
	for i := range 130 {
		c := connector.Connector{ID: fmt.Sprintf("n%03d", i)}
		if i%10 == 7 {
			c.Credential = connector.Kubernetes{Spec: []byte(`{"credential":{"type":"InheritFromDelegate"}}`)}
		}
		c = p.add(t, c)
		p.Clock.Move(time.Second)
		switch {
		case c.Type() == connector.TypeKubernetes:
		case i%3 == 0:
			p.test(t, c, p.breaks)
		case i%3 == 1:
			p.test(t, c, p.holds)
		}
	}
	b := p.signIn(t, p.Viewer)
	link, counts := regexp.MustCompile(`<tr role="row" id="c-//(\w+)"`), regexp.MustCompile(`class="count">([\d,]+)<`)
	// rows are all pages of a list.
	rows := func(query string) (ids []string) {
		for page := 1; ; page++ {
			found := link.FindAllStringSubmatch(b.get("/ui/connectors?page="+strconv.Itoa(page)+"&"+query).body, -1)
			for _, one := range found {
				ids = append(ids, one[1])
			}
			if len(found) < 25 {
				return ids
			}
		}
	}
	for _, more := range []string{"", "&status=failing", "&status=stored", "&sort=name", "&sort=activity", "&sort=activity&status=connected", "&credential=own", "&status=nonsense", "&credential=given"} {
		var want []string
		many := rows("search=n" + more)
		for _, id := range many {
			if strings.HasPrefix(id, "n04") || strings.HasPrefix(id, "n05") {
				want = append(want, id)
			}
		}
		var got []string
		for _, few := range []string{"n04", "n05"} {
			got = append(got, rows("search="+few+more)...)
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: few and many differ (-many +few)\n%s", more, diff)
		}
		// The order, too.
		var inMany []string
		few := rows("search=n04" + more)
		for _, id := range many {
			if slices.Contains(few, id) {
				inMany = append(inMany, id)
			}
		}
		if diff := cmp.Diff(inMany, few); diff != "" {
			t.Errorf("%s: the order of few and many differs (-many +few)\n%s", more, diff)
		}
	}
	if len(rows("search=n")) != 130 || len(rows("search=n04")) != 10 {
		t.Fatal("the searches are not of many and of few")
	}
	// 42, 45 and 48 fail, 41 and 44 were not tested, 47 is a cluster's.
	var all []string
	for _, found := range counts.FindAllStringSubmatch(b.get("/ui/connectors?search=n04").body, -1) {
		all = append(all, found[1])
	}
	if want := []string{"10", "3", "0", "2", "4", "1"}; !slices.Equal(all, want) {
		t.Errorf("all, failing, attention, untested, connected and stored are %v, want %v", all, want)
	}
}
