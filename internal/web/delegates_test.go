package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/task"
)

// report is a heartbeat.
func (p *pages) report(tb testing.TB, d delegate.Delegate, r delegate.Report) {
	tb.Helper()
	if _, err := p.Registry.Seen(p.Account, d.ID, &r); err != nil {
		tb.Fatal(err)
	}
}

// insert keeps a task as it stands.
func (p *pages) insert(tb testing.TB, t task.Task) {
	tb.Helper()
	if t.Scope.Account == "" {
		t.Scope.Account = p.Account
	}
	if t.CreatedAt.IsZero() {
		t.CreatedAt = p.Clock.Now()
	}
	t.Deadline = p.Clock.Now().Add(time.Hour)
	if err := p.Store.InsertTask(tb.Context(), t); err != nil {
		tb.Fatal(err)
	}
}

func TestDelegateList(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.populate(t)
	stage := p.Delegate(t, delegate.Delegate{Name: "eks-stage", HostName: "h", Tags: []string{"eks", "staging"}, Version: delegate.SessionTokenSince()})
	p.report(t, stage, delegate.Report{Draining: true, Load: &delegate.Load{CPU: 91, Memory: 40, Tasks: 3, Limit: 10}})
	cut := p.Delegate(t, delegate.Delegate{Name: "cut-off", HostName: "h", TokenID: "tok_old"})
	p.Registry.CutOff(cut.TokenID)
	b := p.signIn(t, p.Viewer)
	page := b.get("/ui/delegates").body
	inOrder(t, page, "3 live", "1 at the limit", "1 silent", "3 of 10 task slots in use",
		"ec2-frankfurt", "Silent", "cut-off", "Revoked", "Cut off: install it again", "ecs-shared", "At its limit", "eks-stage", "Draining", "newest "+delegate.Current().String(), `aria-label="CPU 91 percent"`, "3 of 10", "eks-prod-1", "Live")
	if strings.Contains(page, ">Tokens<") {
		t.Error("a viewer is led to tokens")
	}
	for query, want := range map[string][]string{
		"search=FRANKFURT": {"ec2-frankfurt"}, "search=h": {"cut-off", "eks-stage", "ecs-shared"}, "state=silent": {"ec2-frankfurt"}, "state=revoked": {"cut-off"},
		"state=limit": {"ecs-shared"}, "state=live": {"eks-prod-1"}, "state=nonsense": {"ec2-frankfurt", "cut-off", "ecs-shared", "eks-stage", "eks-prod-1"},
		"tag=EKS": {"eks-stage", "eks-prod-1"}, "tag=eks&state=draining": {"eks-stage"}, "search=nothing": {},
	} {
		got := []string{}
		for _, found := range regexp.MustCompile(`class="cut name" href="[^"]+" title="([^"]+)"`).FindAllStringSubmatch(b.get("/ui/delegates?"+query).body, -1) {
			got = append(got, found[1])
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

func TestManyDelegates(t *testing.T) {
	t.Parallel()
	p := serve(t)
	for i := range 120 {
		p.Delegate(t, delegate.Delegate{Name: fmt.Sprintf("d-%03d", i), HostName: "h"})
	}
	b := p.signIn(t, p.Viewer)
	var all []string
	for path, n := "/ui/delegates", 0; path != ""; n++ {
		page := b.get(path).body
		for _, found := range regexp.MustCompile(`title="(d-\d+)"`).FindAllStringSubmatch(page, -1) {
			all = append(all, found[1])
		}
		next := regexp.MustCompile(`<a class="btn sm" href="([^"]+)">Next`).FindStringSubmatch(page)
		if path = ""; next != nil {
			path = html.UnescapeString(next[1])
		}
	}
	if len(all) != 120 || all[0] != "d-000" || all[50] != "d-050" || len(slices.Compact(all)) != 120 {
		t.Errorf("%d delegates in the order %v", len(all), all)
	}
}

// A task that waits says why: what it needs, and what each delegate has not.
func TestWaitingTasks(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.populate(t)
	p.insert(t, task.Task{ID: "tsk_1", Kind: protocol.TypeAWSValidate, Subject: "risk_batch", Selectors: []string{"eks", "frankfurt"}, State: task.Queued, CreatedAt: p.Clock.Now().Add(-252 * time.Second)})
	p.insert(t, task.Task{ID: "tsk_2", Kind: protocol.TypePing, Subject: "ec2", Selectors: []string{"ec2"}, State: task.Queued})
	b := p.signIn(t, p.Viewer)
	page := b.get("/ui/delegates").body
	inOrder(t, page, "A task is waiting", "Connection test of risk_batch, for 4 min", "No delegate has both eks and frankfurt.", "eks-prod-1", "Lacks frankfurt.", "ecs-shared", "Lacks eks and frankfurt.",
		"ec2-frankfurt", "Silent for 22 min, and lacks eks and frankfurt.", "Mend it:", "Add the tag frankfurt to eks-prod-1", "/ui/connectors/risk_batch/delegates")
	if strings.Contains(page, "Ping") {
		t.Error("a task that was made this moment is told to wait")
	}
	if strings.Contains(p.signIn(t, p.Project).get("/ui/delegates").body, "risk_batch") {
		t.Error("a task of the account is shown to one who may see a project")
	}
}

func TestDelegate(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.populate(t)
	value := p.bootstrap(t)
	tokens, err := p.Tokens.Tokens(t.Context(), audit.System(p.Account, "test"), scope.Scope{Account: p.Account})
	if err != nil {
		t.Fatal(err)
	}
	project := scope.Scope{Account: p.Account, Org: "org1", Project: "prj1"}
	d := p.Delegate(t, delegate.Delegate{Name: "eks-stage", HostName: "pod-1", IP: "10.1.2.3", Type: "KUBERNETES", Description: "staging", Tags: []string{"eks"}, Version: delegate.OIDCSince(), TokenID: tokens[0].ID})
	p.report(t, d, delegate.Report{Load: &delegate.Load{CPU: 12, Memory: 40, Tasks: 1, Limit: 8}})
	p.insert(t, task.Task{ID: "tsk_1", Kind: protocol.TypeAWSValidate, Subject: "orders_eu_1", State: task.Leased, LeasedBy: d.ID})
	p.insert(t, task.Task{ID: "tsk_2", Kind: protocol.TypeAWSSurvey, Subject: "payments_prod", Scope: project, State: task.Failed, LeasedBy: d.ID, CreatedAt: p.Clock.Now().Add(-time.Minute), FinishedAt: p.Clock.Now(), Failure: task.Failure{Cause: task.CauseReported, Message: "the role went away"}})
	path := "/ui/delegates/" + string(d.ID)
	b := p.signIn(t, p.Editor)
	page := b.get(path).body
	inOrder(t, page, "eks-stage", "Live", "pod-1", `aria-label="CPU 12 percent"`, `aria-label="Memory 40 percent"`, "1 of 8", "Connection test", "orders_eu_1", "Runs", "Preflight", "payments_prod", "Failed", "The role went away.", "60.0 s",
		"Connectors that may choose it", "orders_eu_0", "payments prod", "search dev", "any delegate", "24.03.82603", "older than "+delegate.Current().String(), "10.1.2.3", "KUBERNETES", delegate.DefaultToken)
	if strings.Contains(page, "risk batch") || strings.Contains(page, value) {
		t.Error("a connector that asks for another tag, or the value of the token, is there")
	}
	if got := b.get("/ui/delegates/eks-stage"); got.header.Get("Location") != path {
		t.Errorf("by its name: %d %s", got.status, got.header.Get("Location"))
	}
	p.Delegate(t, delegate.Delegate{Name: "eks-stage", HostName: "pod-2"})
	if got := b.get("/ui/delegates/eks-stage"); got.header.Get("Location") != "/ui/delegates?search=eks-stage" {
		t.Errorf("by a name that two have: %d %s", got.status, got.header.Get("Location"))
	}
	inOrder(t, b.get(path).body, "Others of its name", "pod-2")
	if strings.Contains(p.signIn(t, p.Viewer).get(path).body, delegate.DefaultToken) {
		t.Error("a viewer sees the name of the token")
	}
	// One who has a role in a project sees the delegate that serves it, and of its work what belongs there.
	inside := p.signIn(t, p.Project).get(path)
	if inside.status != http.StatusOK || strings.Contains(inside.body, "orders_eu_1") || !strings.Contains(inside.body, "payments_prod") {
		t.Errorf("in a project: %d", inside.status)
	}
	for name, b := range map[string]*browser{"a stranger": p.signIn(t, p.Stranger), "nobody": b} {
		to := path
		if name == "nobody" {
			to = "/ui/delegates/dlg_absent"
		}
		if got := b.get(to); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", name, got.status)
		}
	}
}

// Who was asked, and what keeps each delegate away: the same choice that a test makes.
func TestWhoIsAsked(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.populate(t)
	p.Delegate(t, delegate.Delegate{Name: "elsewhere", HostName: "h9", Scope: scope.Scope{Account: p.Account, Org: "org1"}, Tags: []string{"frankfurt"}})
	b := p.signIn(t, p.Viewer)
	detail := b.get("/ui/connectors/risk_batch").body
	inOrder(t, detail, "No delegate has frankfurt.", "/ui/connectors/risk_batch/delegates", "See who was asked", "none can take it")
	page := b.get("/ui/connectors/risk_batch/delegates").body
	inOrder(t, page, "The last test found nobody.", "No delegate has the tag frankfurt.", "eks-prod-1", "Lacks a tag", "Lacks frankfurt.", "ec2-frankfurt", "Silent for 22 min, and lacks frankfurt.",
		"elsewhere", "Elsewhere", "Its token belongs to org1, the work to account.", "What it asks for", "Mend it", "Add the tag frankfurt to")
	p.report(t, p.Delegate(t, delegate.Delegate{Name: "frankfurt", HostName: "h1"}), delegate.Report{})
	inOrder(t, b.get("/ui/connectors/risk_batch").body, "1 matches")
	inOrder(t, b.get("/ui/connectors/risk_batch/delegates").body, "Now somebody can take it", "1 delegate can take its work now", "Can take it")
	off := false
	p.add(t, connector.Connector{ID: "here", Credential: connector.OIDC{RoleARN: "arn:aws:iam::111122223333:role/x"}, ExecuteOnDelegate: &off})
	p.add(t, connector.Connector{ID: "oidc", Credential: connector.OIDC{RoleARN: "arn:aws:iam::111122223333:role/x"}})
	inOrder(t, b.get("/ui/connectors/here/delegates").body, "No delegate is asked")
	inOrder(t, b.get("/ui/connectors/oidc/delegates").body, "24.03.82603 or later, for OIDC")
	// Delegates of other scopes are counted, not named.
	inside := p.signIn(t, p.Project)
	p.Delegate(t, delegate.Delegate{Name: "secret-project", HostName: "h3", Scope: scope.Scope{Account: p.Account, Org: "org2"}})
	got := inside.get("/ui/connectors/payments_prod/delegates?at=org1/prj1").body
	inOrder(t, got, "eks-prod-1", "1 delegate of other organizations or projects")
	if strings.Contains(got, "secret-project") {
		t.Error("a delegate of another organization is named")
	}
	if got := inside.get("/ui/connectors/risk_batch/delegates"); got.status != http.StatusForbidden {
		t.Errorf("a connector of the account, for one of a project: %d", got.status)
	}
}

// A token is shown when it is made, and by no page after that.
func TestMakeToken(t *testing.T) {
	t.Parallel()
	p := serve(t)
	const path = "/ui/delegates/tokens"
	for name, key := range map[string]string{"viewer": p.Viewer, "editor": p.Editor} {
		b := p.signIn(t, key)
		if got := b.post(path, url.Values{"name": {"mine"}}); got.status != http.StatusForbidden {
			t.Errorf("a %s makes one: %d", name, got.status)
		}
		if strings.Contains(b.get(path).body, "Create token") {
			t.Errorf("a %s is offered to make one", name)
		}
	}
	b := p.signIn(t, p.Admin)
	got := b.post(path, url.Values{"name": {"frankfurt"}, "ends": {"90"}})
	value := strings.TrimSpace(got.shown(t, "Value of the token"))
	if got.status != http.StatusOK || !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(value) || strings.Count(got.body, value) != 1 {
		t.Fatalf("%d %q", got.status, value)
	}
	inOrder(t, got.body, "Token frankfurt is made", "Install a delegate with it", "nobody now", "in 90 days")
	for _, to := range []string{path, "/ui/delegates/install?token=frankfurt", "/ui/audit", "/ui/delegates/tokens/frankfurt/revoke"} {
		if strings.Contains(b.get(to).body, value) {
			t.Errorf("%s shows the value", to)
		}
	}
	for name, status := range map[string]int{"frankfurt": http.StatusConflict, "": http.StatusBadRequest, strings.Repeat("x", 300): http.StatusBadRequest} {
		got := b.post(path, url.Values{"name": {name}})
		if got.status != status || !strings.Contains(got.body, `aria-invalid="true"`) || !strings.Contains(got.body, "autofocus") {
			t.Errorf("%.20q: %d, want %d", name, got.status, status)
		}
	}
	if got := p.browser(t).do(http.MethodPost, path, url.Values{"name": {"x"}}, nil); got.header.Get("Location") == "" {
		t.Errorf("nobody: %d", got.status)
	}
	p.Delegate(t, delegate.Delegate{Name: "d", HostName: "h", TokenID: p.tokenID(t, "frankfurt")})
	inOrder(t, b.get(path).body, "frankfurt", "1 live delegate")
}

func (p *pages) tokenID(t *testing.T, name string) string {
	t.Helper()
	one, err := p.Tokens.Token(t.Context(), audit.System(p.Account, "test"), scope.Scope{Account: p.Account}, name)
	if err != nil {
		t.Fatal(err)
	}
	return one.ID
}

// Rows keep their places while the page is open; how many would stand elsewhere is said, and taken back when they do not.
func TestChangesOfTheList(t *testing.T) {
	t.Parallel()
	p := serve(t)
	d := p.Delegate(t, delegate.Delegate{Name: "eks-1", HostName: "h1"})
	p.Delegate(t, delegate.Delegate{Name: "eks-2", HostName: "h2"})
	b := p.signIn(t, p.Viewer)
	to := html.UnescapeString(regexp.MustCompile(`data-stream="([^"]+)"`).FindStringSubmatch(b.get("/ui/delegates").body)[1])
	p.report(t, d, delegate.Report{Busy: "CPU at 93 %"}) // while the page is on its way
	_, lines := b.open(t.Context(), to)
	until(t, lines, "CPU at 93 %")
	until(t, lines, "data: -1")
	to = html.UnescapeString(regexp.MustCompile(`data-stream="([^"]+)"`).FindStringSubmatch(b.get("/ui/delegates").body)[1])
	_, lines = b.open(t.Context(), to)
	until(t, lines, "retry:")
	p.report(t, d, delegate.Report{})
	p.Delegate(t, delegate.Delegate{Name: "eks-3", HostName: "h3"})
	until(t, lines, "event: list")
	if said := until(t, lines, "data:"); !strings.Contains(said, "data: 2\n") {
		t.Errorf("one has another state and one came: %s", said)
	}
	p.report(t, d, delegate.Report{Busy: "CPU at 93 %"})
	until(t, lines, "event: list")
	if said := until(t, lines, "data:"); !strings.Contains(said, "data: 1\n") {
		t.Errorf("the state is as it was: %s", said)
	}
	if err := p.Registry.Forget(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	if said := until(t, lines, "It said good-bye"); !strings.Contains(said, "Gone") {
		t.Error(said)
	}
	// The page of one delegate has a stream of its own.
	two := p.Delegate(t, delegate.Delegate{Name: "eks-4", HostName: "h4"})
	_, lines = b.open(t.Context(), "/ui/delegates/events?only="+string(two.ID))
	until(t, lines, "retry:")
	p.report(t, two, delegate.Report{Draining: true, Load: &delegate.Load{CPU: 55, Memory: -1, Tasks: 2, Limit: 4}})
	if said := until(t, lines, `"id":"now"`); !strings.Contains(said, "2 of 4") || !strings.Contains(said, "55%") {
		t.Error(said)
	}
	if got := p.signIn(t, p.Stranger); got.get("/ui/delegates/events?only="+string(two.ID)).status != http.StatusNotFound {
		t.Error("a stranger sees the delegate")
	}
}
