package v1_test

import (
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/api/apitest"
	v1 "github.com/belay-dev/belay/internal/api/v1"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/task"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// pinger answers for the delegate d1.
type pinger struct{}

func (pinger) Ping(_ context.Context, who audit.Caller, at scope.Scope, name string) (protocol.Pong, time.Duration, error) {
	if !who.RoleAt(at).Includes(audit.Editor) {
		return protocol.Pong{}, 0, fault.New(fault.Denied, "no role")
	}
	if name != "d1" {
		return protocol.Pong{}, 0, fault.New(fault.Unavailable, "No delegate has the tag %s.; d1 (h1): lacks %s", name, name)
	}
	return protocol.Pong{HostName: "h1", Version: "26.11.90000"}, 1500 * time.Microsecond, nil
}

// tasks are by id.
type tasks map[task.ID]task.Task

func (all tasks) Task(_ context.Context, who audit.Caller, id task.ID) (task.Task, error) {
	if t, ok := all[id]; ok && t.Scope.Account == who.Account {
		return t, nil
	}
	return task.Task{}, fault.New(fault.NotFound, "there is no task %q", id)
}

type world struct {
	*apitest.World
	*apitest.Client
	tasks tasks
}

func serve(t *testing.T) world {
	t.Helper()
	w := world{World: apitest.New(t), tasks: tasks{}}
	w.Update = *update
	s := &v1.Server{
		Edge: w.Edge, Connectors: w.Connectors, Preflights: w.Preflights, Keys: w.Identity, Trail: w.Trail, Accounts: w.Orgs, Tokens: w.Tokens, Delegates: w.Registry,
		Pinger: pinger{}, Tasks: w.tasks, Issuer: w.Issuer, Version: "0.1.0", Now: w.Clock.Now,
		URL:   func() string { return "https://belay.example.com" },
		Pages: fstest.MapFS{"BLY-2104.md": {Data: []byte("# BLY-2104\n\nü\n")}, "README.md": {Data: []byte("index")}},
	}
	w.Client = w.Serve(t, s.Handler())
	return w
}

func read[T any](t *testing.T, a apitest.Answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(a.Body), &v); err != nil {
		t.Fatalf("%d %v\n%s", a.Status, err, a.Body)
	}
	return v
}

// problem reads a failure, which must be one of RFC 9457.
func problem(t *testing.T, a apitest.Answer) v1.Problem {
	t.Helper()
	p := read[v1.Problem](t, a)
	if a.Header.Get("Content-Type") != "application/problem+json" || p.Status != a.Status || p.Title == "" || p.Type == "" || p.Detail == "" {
		t.Errorf("%d %s is no problem: %s", a.Status, a.Header.Get("Content-Type"), a.Body)
	}
	return p
}

func TestWhoami(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.Golden("whoami", w.Must(http.MethodGet, "/belay/v1/whoami?accountIdentifier=ACCOUNT", ""))
	w.Golden("whoami-project", w.Do(w.Project, http.MethodGet, "/belay/v1/whoami", ""))
	w.Golden("version", w.Do("", http.MethodGet, "/belay/v1/version", ""))
}

func (w world) connector(t *testing.T, at scope.Scope, id string) {
	t.Helper()
	at.Account = w.Account
	_, err := w.Connectors.Create(t.Context(), audit.System(w.Account, "test"), connector.Connector{Scope: at, ID: id, Name: id, Credential: connector.IRSA{}, Selectors: []string{"eks"}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestConnectionTests(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.connector(t, scope.Scope{Org: "org1", Project: "prj1"}, "c1")
	const at = "?orgIdentifier=org1&projectIdentifier=prj1"
	var asked []connector.Options
	w.Runner.Answer = func(r connector.Request) connector.Result {
		asked = append(asked, r.Options)
		return connector.Result{
			StartedAt: w.Clock.Now(), EndedAt: w.Clock.Now().Add(time.Second), Delegate: "eks-1", DelegateID: "dlg_1",
			Evidence: &connector.Evidence{
				Region: "eu-central-1", Took: 321 * time.Millisecond, Regions: []string{"eu-central-1", "us-east-1"},
				Identity: &connector.Identity{ARN: "arn:aws:sts::123456789012:assumed-role/deploy/x", Account: "123456789012", UserID: "AROA:x"},
			},
		}
	}
	w.Golden("test-passed", w.Do(w.Editor, http.MethodPost, "/belay/v1/connectors/c1/test"+at, ""))
	w.Clock.Move(time.Minute)
	w.Runner.Answer = func(r connector.Request) connector.Result {
		asked = append(asked, r.Options)
		return connector.Result{
			StartedAt: w.Clock.Now(), EndedAt: w.Clock.Now(), NotRun: &connector.NotRun{Cause: connector.NoDelegate, Message: "No delegate has the tag eks.", Reasons: []string{"d1 (h1): lacks eks"}},
		}
	}
	w.Golden("test-failed", w.Must(http.MethodPost, "/belay/v1/connectors/c1/test"+at, `{"identityOnly":true,"fresh":true,"trigger":"on-save"}`))
	w.Golden("tests", w.Do(w.Viewer, http.MethodGet, "/belay/v1/connectors/c1/tests"+at, ""))
	w.Golden("tests-last", w.Must(http.MethodGet, "/belay/v1/connectors/c1/tests"+at+"&limit=1", ""))
	w.Clock.Move(time.Minute)
	w.Runner.Answer = func(r connector.Request) connector.Result {
		asked = append(asked, r.Options)
		refused := connector.Attempt{Answer: connector.Refused}
		return connector.Result{StartedAt: w.Clock.Now(), EndedAt: w.Clock.Now(), Delegate: "eks-1", Evidence: &connector.Evidence{
			Region: "eu-central-1", Identity: &connector.Identity{ARN: "arn:aws:sts::123456789012:assumed-role/deploy/x", Account: "123456789012"},
			Proof: &connector.Proof{Without: refused, Wrong: refused},
		}}
	}
	if _, err := w.Connectors.Create(t.Context(), audit.System(w.Account, "test"), connector.Connector{
		Scope: scope.Scope{Account: w.Account, Org: "org1", Project: "prj1"}, ID: "cross", Name: "cross", Credential: connector.IRSA{}, Selectors: []string{"eks"},
		CrossAccount: &connector.CrossAccount{RoleARN: "arn:aws:iam::123456789012:role/deploy", ExternalID: "belay-1"},
	}); err != nil {
		t.Fatal(err)
	}
	w.Golden("test-proof", w.Must(http.MethodPost, "/belay/v1/connectors/cross/test"+at, `{"proveExternalId":true}`))
	want := []connector.Options{
		{Trigger: connector.OnDemand}, {IdentityOnly: true, Fresh: true, Trigger: connector.OnSave}, {ProveExternalID: true, Trigger: connector.OnDemand},
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error(diff)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	w := serve(t)
	created := w.Do(w.Admin, http.MethodPost, "/belay/v1/api-keys", `{"name":"ci","role":"editor","orgIdentifier":"org1","projectIdentifier":"prj1","expiresAt":"2026-12-01T01:00:00+01:00"}`)
	if created.Status != http.StatusCreated {
		t.Fatalf("%d %s", created.Status, created.Body)
	}
	w.Golden("key-created", created)
	k := read[v1.CreatedKey](t, created)
	if a := w.Do(k.Token, http.MethodGet, "/belay/v1/whoami", ""); a.Status != http.StatusOK {
		t.Errorf("the new key: %d %s", a.Status, a.Body)
	}
	w.Golden("keys", w.Must(http.MethodGet, "/belay/v1/api-keys", ""))
	if a := w.Do(w.Admin, http.MethodDelete, "/belay/v1/api-keys/"+k.Key.ID, ""); a.Status != http.StatusNoContent || a.Body != "" {
		t.Errorf("revocation: %d %s", a.Status, a.Body)
	}
	problem(t, w.Do(k.Token, http.MethodGet, "/belay/v1/whoami", ""))
	for _, one := range read[v1.List[v1.Key]](t, w.Must(http.MethodGet, "/belay/v1/api-keys", "")).Items {
		if one.ID == k.Key.ID && one.RevokedAt == nil {
			t.Error("the list does not say that the key is revoked")
		}
	}
	if text := w.Must(http.MethodGet, "/belay/v1/api-keys", "").Body; strings.Contains(text, k.Token) || strings.Contains(strings.ToLower(text), "hash") {
		t.Errorf("the list holds more than it may: %s", text)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.Golden("flags", w.Do(w.Viewer, http.MethodGet, "/belay/v1/flags", ""))
	w.Golden("flag-set", w.Must(http.MethodPut, "/belay/v1/flags/CDS_AWS_OIDC_AUTHENTICATION", `{"on":false}`))
	for _, f := range read[v1.List[v1.Flag]](t, w.Must(http.MethodGet, "/belay/v1/flags", "")).Items {
		if f.On == (f.Name == "CDS_AWS_OIDC_AUTHENTICATION") {
			t.Errorf("got %+v", f)
		}
	}
}

func TestAudit(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.Must(http.MethodPut, "/belay/v1/flags/CDS_AWS_OIDC_AUTHENTICATION", `{"on":false}`)
	w.Clock.Move(time.Minute)
	w.Do(w.Viewer, http.MethodPut, "/belay/v1/flags/CDS_AWS_OIDC_AUTHENTICATION", `{"on":true}`)
	w.Clock.Move(time.Minute)
	w.connector(t, scope.Scope{Org: "org1", Project: "prj1"}, "c1")
	w.Golden("audit", w.Must(http.MethodGet, "/belay/v1/audit?limit=3", ""))
	w.Golden("audit-denied", w.Must(http.MethodGet, "/belay/v1/audit?outcome=denied&caller=viewer&action=flag.&target=OIDC&since=2026-11-23T10:01:00Z&until=2026-11-23T10:02:00Z", ""))
	w.Golden("audit-project", w.Must(http.MethodGet, "/belay/v1/audit?orgIdentifier=org1&projectIdentifier=prj1&action=connector", ""))

	whole := read[v1.List[v1.Entry]](t, w.Must(http.MethodGet, "/belay/v1/audit", ""))
	var paged []v1.Entry
	for cursor, pages := "", 0; ; pages++ {
		page := read[v1.List[v1.Entry]](t, w.Must(http.MethodGet, "/belay/v1/audit?limit=2&cursor="+cursor, ""))
		if paged = append(paged, page.Items...); page.Next == "" || pages > 100 {
			break
		}
		cursor = page.Next
	}
	if diff := cmp.Diff(whole.Items, paged); diff != "" || whole.Next != "" {
		t.Errorf("page by page it is another log: %s", diff)
	}
}

func TestDelegates(t *testing.T) {
	t.Parallel()
	w := serve(t)
	project := scope.Scope{Account: w.Account, Org: "org1", Project: "prj1"}
	d := w.Delegate(t, delegate.Delegate{Name: "eks-1", HostName: "h1", IP: "10.0.0.1", Type: "KUBERNETES", Description: "one", Tags: []string{"eks"}, Version: delegate.Current(), TokenID: "tok_" + strings.Repeat("a", 26)})
	w.Delegate(t, delegate.Delegate{Name: "vm-1", HostName: "h2", Scope: project})
	w.Delegate(t, delegate.Delegate{Name: "hidden", HostName: "h3", Scope: scope.Scope{Account: w.Account, Org: "default"}})
	w.Golden("delegates", w.Do(w.Viewer, http.MethodGet, "/belay/v1/delegates", ""))
	w.Golden("choice-none", w.Must(http.MethodGet, "/belay/v1/delegates/choice?selector=eks&selector=frankfurt&orgIdentifier=org1&projectIdentifier=prj1", ""))
	w.Golden("choice", w.Must(http.MethodGet, "/belay/v1/delegates/choice?selector=EKS", ""))
	// A caller of one project sees what serves it, and not what belongs to others.
	w.Golden("choice-project", w.Do(w.Project, http.MethodGet, "/belay/v1/delegates/choice?orgIdentifier=org1&projectIdentifier=prj1", ""))

	w.Golden("ping", w.Do(w.Editor, http.MethodPost, "/belay/v1/delegates/d1/ping", ""))
	failed := w.Do(w.Admin, http.MethodPost, "/belay/v1/delegates/d9/ping", "")
	if p := problem(t, failed); p.Status != http.StatusServiceUnavailable || !strings.Contains(p.Detail, "lacks d9") {
		t.Errorf("got %+v", p)
	}

	queued, failedTask, done := task.NewID(), task.NewID(), task.NewID()
	w.tasks[queued] = task.Task{ID: queued, Scope: scope.Scope{Account: w.Account}, Kind: protocol.TypeAWSValidate, Subject: "c1", State: task.Queued, Selectors: []string{"frankfurt"}, CreatedAt: w.Clock.Now()}
	w.tasks[failedTask] = task.Task{
		ID: failedTask, Scope: scope.Scope{Account: w.Account}, Kind: protocol.TypePing, Subject: "d9", State: task.Failed, CreatedAt: w.Clock.Now(), FinishedAt: w.Clock.Now(),
		Failure: task.Failure{Cause: task.CauseNoDelegate, Message: "No delegate has the tag d9.", Reasons: []string{"eks-1 (h1): lacks d9"}},
	}
	w.tasks[done] = task.Task{ID: done, Scope: scope.Scope{Account: w.Account}, Kind: protocol.TypePing, Subject: "eks-1", State: task.Succeeded, LeasedBy: d.ID, Attempts: 1, CreatedAt: w.Clock.Now(), FinishedAt: w.Clock.Now()}
	w.Golden("task-queued", w.Must(http.MethodGet, "/belay/v1/tasks/"+string(queued), ""))
	w.Golden("task-failed", w.Must(http.MethodGet, "/belay/v1/tasks/"+string(failedTask), ""))
	w.Golden("task-done", w.Must(http.MethodGet, "/belay/v1/tasks/"+string(done), ""))
	for by, want := range map[delegate.ID]string{delegate.PlatformID: "platform", "dlg_gone": "dlg_gone", "": ""} {
		one := w.tasks[done]
		one.LeasedBy = by
		w.tasks[done] = one
		if got := read[v1.Task](t, w.Must(http.MethodGet, "/belay/v1/tasks/"+string(done), "")).Delegate; got != want {
			t.Errorf("done by %q: %q", by, got)
		}
	}
}

func TestTokenValue(t *testing.T) {
	t.Parallel()
	w := serve(t)
	_, value, err := w.Tokens.Bootstrap(t.Context(), w.Account)
	if err != nil {
		t.Fatal(err)
	}
	a := w.Must(http.MethodGet, "/belay/v1/delegate-tokens/default_token/value", "")
	w.Golden("token-value", a)
	if got := read[v1.TokenValue](t, a); got.Value != value.Reveal() {
		t.Error("it is another value")
	}
	entries := read[v1.List[v1.Entry]](t, w.Must(http.MethodGet, "/belay/v1/audit?action=delegate-token.reveal", ""))
	if len(entries.Items) != 1 || entries.Items[0].Target != "delegate-token/default_token" {
		t.Errorf("the audit log says %+v", entries.Items)
	}
	if a := w.Do(w.Editor, http.MethodGet, "/belay/v1/delegate-tokens/default_token/value", ""); a.Status != http.StatusForbidden || strings.Contains(a.Body, value.Reveal()) {
		t.Errorf("an editor: %d %s", a.Status, a.Body)
	}
	if strings.Contains(w.Log.String(), value.Reveal()) {
		t.Error("the value is in the log")
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	w := serve(t)
	a := w.Do("", http.MethodGet, "/docs/errors/BLY-2104", "")
	if a.Status != http.StatusOK || a.Body != "# BLY-2104\n\nü\n" || a.Header.Get("Content-Type") != "text/markdown; charset=utf-8" {
		t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
	}
	for _, path := range []string{"BLY-9999", "README", "BLY-2104.md", "BLY-21", "%2e%2e", "BLY-2104%2f..%2fREADME", "BLY-٢١٠٤", ""} {
		if p := problem(t, w.Do("", http.MethodGet, "/docs/errors/"+path, "")); p.Status != http.StatusNotFound {
			t.Errorf("%s: %+v", path, p)
		}
	}
}

func TestFailuresAreProblems(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.connector(t, scope.Scope{}, "c1")
	for name, tt := range map[string]struct {
		key, method, path, body string
		status                  int
		fields                  []string
	}{
		"nothing lives there":                  {w.Admin, "GET", "/belay/v1/nowhere", "", 404, nil},
		"nothing lives at the root":            {"", "GET", "/", "", 404, nil},
		"nothing lives there without a key":    {"", "GET", "/favicon.ico", "", 404, nil},
		"two slashes":                          {w.Admin, "GET", "/belay//v1/whoami", "", 404, nil},
		"a slash at the end":                   {w.Admin, "GET", "/belay/v1/whoami/", "", 404, nil},
		"another method":                       {w.Admin, "DELETE", "/belay/v1/whoami", "", 405, nil},
		"no key":                               {"", "GET", "/belay/v1/whoami", "", 401, nil},
		"a revoked key":                        {w.Revoked, "GET", "/belay/v1/whoami", "", 401, nil},
		"another account":                      {w.Stranger, "GET", "/belay/v1/whoami?accountIdentifier=ACCOUNT", "", 403, nil},
		"a project without its organization":   {w.Admin, "GET", "/belay/v1/delegates?projectIdentifier=p", "", 400, []string{"orgIdentifier"}},
		"a test of nothing":                    {w.Admin, "POST", "/belay/v1/connectors/none/test", "", 404, nil},
		"a test with an odd trigger":           {w.Admin, "POST", "/belay/v1/connectors/c1/test", `{"trigger":"periodic"}`, 400, []string{"trigger"}},
		"a test with no JSON":                  {w.Admin, "POST", "/belay/v1/connectors/c1/test", `{"fresh":`, 400, nil},
		"a test with text for a switch":        {w.Admin, "POST", "/belay/v1/connectors/c1/test", `{"fresh":"yes"}`, 400, []string{"fresh"}},
		"a viewer does not test":               {w.Viewer, "POST", "/belay/v1/connectors/c1/test", "", 403, nil},
		"the history of nothing":               {w.Admin, "GET", "/belay/v1/connectors/none/tests", "", 404, nil},
		"a history of an odd length":           {w.Admin, "GET", "/belay/v1/connectors/c1/tests?limit=all", "", 400, []string{"limit"}},
		"a key without anything":               {w.Admin, "POST", "/belay/v1/api-keys", `{}`, 400, []string{"name", "role"}},
		"a key of an odd role":                 {w.Admin, "POST", "/belay/v1/api-keys", `{"name":"k","role":"king"}`, 400, []string{"role"}},
		"a key of the past":                    {w.Admin, "POST", "/belay/v1/api-keys", `{"name":"k","role":"viewer","expiresAt":"2020-01-01T00:00:00Z"}`, 400, []string{"expiresAt"}},
		"a key with an odd end":                {w.Admin, "POST", "/belay/v1/api-keys", `{"name":"k","role":"viewer","expiresAt":"soon"}`, 400, nil},
		"a key in no organization":             {w.Admin, "POST", "/belay/v1/api-keys", `{"name":"k","role":"viewer","orgIdentifier":"none"}`, 400, []string{"orgIdentifier"}},
		"a key in a project only":              {w.Admin, "POST", "/belay/v1/api-keys", `{"name":"k","role":"viewer","projectIdentifier":"prj1"}`, 400, []string{"orgIdentifier"}},
		"an editor makes no key":               {w.Editor, "POST", "/belay/v1/api-keys", `{"name":"k","role":"viewer"}`, 403, nil},
		"an editor lists no keys":              {w.Editor, "GET", "/belay/v1/api-keys", "", 403, nil},
		"an editor revokes no key":             {w.Editor, "DELETE", "/belay/v1/api-keys/x", "", 403, nil},
		"no key to revoke":                     {w.Admin, "DELETE", "/belay/v1/api-keys/none", "", 404, nil},
		"an editor reads no audit log":         {w.Editor, "GET", "/belay/v1/audit", "", 403, nil},
		"a log since an odd time":              {w.Admin, "GET", "/belay/v1/audit?since=yesterday", "", 400, []string{"since"}},
		"a log until an odd time":              {w.Admin, "GET", "/belay/v1/audit?until=1", "", 400, []string{"until"}},
		"a log with an odd outcome":            {w.Admin, "GET", "/belay/v1/audit?outcome=maybe", "", 400, []string{"outcome"}},
		"a log of an odd length":               {w.Admin, "GET", "/belay/v1/audit?limit=0", "", 400, []string{"limit"}},
		"a flag that is none":                  {w.Admin, "PUT", "/belay/v1/flags/none", `{"on":true}`, 404, nil},
		"a flag neither on nor off":            {w.Admin, "PUT", "/belay/v1/flags/CDS_AWS_OIDC_AUTHENTICATION", `{}`, 400, []string{"on"}},
		"a viewer sets no flag":                {w.Viewer, "PUT", "/belay/v1/flags/CDS_AWS_OIDC_AUTHENTICATION", `{"on":true}`, 403, nil},
		"a project's key sees no others":       {w.Project, "GET", "/belay/v1/delegates", "", 403, nil},
		"a project's key chooses for no other": {w.Project, "GET", "/belay/v1/delegates/choice", "", 403, nil},
		"no token":                             {w.Admin, "GET", "/belay/v1/delegate-tokens/none/value", "", 404, nil},
		"no task":                              {w.Admin, "GET", "/belay/v1/tasks/none", "", 404, nil},
		"too long a body":                      {w.Admin, "POST", "/belay/v1/api-keys", `{"name":"` + strings.Repeat("x", 2<<20) + `"}`, 413, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := problem(t, w.Do(tt.key, tt.method, tt.path, tt.body))
			var fields []string
			for _, one := range p.Problems {
				fields = append(fields, one.Path)
			}
			if diff := cmp.Diff(tt.fields, fields); p.Status != tt.status || diff != "" {
				t.Errorf("%+v\n%s", p, diff)
			}
		})
	}
}

// A failure with a documented code points at its page.
func TestACodeLeadsToItsPage(t *testing.T) {
	t.Parallel()
	w := serve(t)
	s := &v1.Server{Edge: w.Edge, Tasks: coded{}, Now: w.Clock.Now}
	w.Golden("problem-with-code", w.Serve(t, s.Handler()).Do(w.Admin, http.MethodGet, "/gateway/belay/v1/tasks/x", ""))
}

type coded struct{}

func (coded) Task(context.Context, audit.Caller, task.ID) (task.Task, error) {
	return task.Task{}, fault.New(fault.Invalid, "it cannot be").WithCode("BLY-2104")
}
