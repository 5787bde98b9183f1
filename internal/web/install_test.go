package web_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/manifest"
	"github.com/belay-dev/belay/internal/scope"
)

// bootstrap makes the token that an account starts with, and gives its value.
func (p *pages) bootstrap(tb testing.TB) string {
	tb.Helper()
	_, value, err := p.Tokens.Bootstrap(tb.Context(), p.Account)
	if err != nil {
		tb.Fatal(err)
	}
	return value.Reveal()
}

// shown is the text of the figure whose region has a name.
func (a answer) shown(tb testing.TB, name string) string {
	tb.Helper()
	_, rest, found := strings.Cut(a.body, `aria-label="`+html.EscapeString(name)+`"><code>`)
	if !found {
		tb.Fatalf("there is no figure %q: %d", name, a.status)
	}
	text, _, _ := strings.Cut(rest, "</code>")
	return html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(text, ""))
}

// The page shows, and sends, the file that the model of all forms makes; Belay's own lint finds nothing in it.
func TestInstallFile(t *testing.T) {
	t.Parallel()
	p := serve(t)
	value := p.bootstrap(t)
	b := p.signIn(t, p.Admin)
	const role, start = "arn:aws:iam::111122223333:role/belay", "arn:aws:iam::111122223333:role/start"
	const held = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:token-AbCdEf"
	base := func(f manifest.Form) manifest.Spec {
		return manifest.Spec{
			Form: f, Name: "eks-prod", Account: p.Account, Manager: "https://belay.example.com", Image: "belay/delegate:" + delegate.Current().String(), Tags: []string{"eks", "a b"}, Replicas: 1,
		}
	}
	spec := func(f manifest.Form, change func(*manifest.Spec)) manifest.Spec {
		s := base(f)
		change(&s)
		return s
	}
	for query, want := range map[string]manifest.Spec{
		"kind=kubernetes": base(manifest.Kubernetes),
		"":                base(manifest.Kubernetes),
		"kind=statefulset&replicas=3&upgrader=true": spec(manifest.StatefulSet, func(s *manifest.Spec) { s.Replicas, s.Upgrader = 3, true }),
		"kind=docker&roleArn=arn:ignored":           base(manifest.Docker),
		"kind=shell&tool=kubectl":                   spec(manifest.Shell, func(s *manifest.Spec) { s.Tools = []string{"kubectl"} }),
		"kind=ecs&roleArn=" + role + "&executionRoleArn=" + start + "&tokenSecret=" + held: spec(manifest.ECS, func(s *manifest.Spec) {
			s.RoleARN, s.ExecutionRoleARN, s.TokenSecret = role, start, held
		}),
		"kind=helm&namespace=ns1&roleArn=" + role + "&upgrader=true&autoscaleMax=4&autoscaleCpu=60&proxy=http://proxy.internal:3128&noProxy=10.0.0.0/8&proxySecret=login&tool=awscli&tool=kubectl&initScript=echo+1%0D%0Aecho+2": spec(manifest.Helm, func(s *manifest.Spec) {
			s.Namespace, s.RoleARN, s.Upgrader, s.Autoscale = "ns1", role, true, &manifest.Autoscale{Max: 4, CPU: 60}
			s.Proxy, s.Tools, s.InitScript = &manifest.Proxy{Host: "proxy.internal", Port: 3128, Scheme: "http", NoProxy: "10.0.0.0/8", Secret: "login"}, []string{"awscli", "kubectl"}, "echo 1\necho 2"
		}),
		"kind=kubernetes&serviceAccount=there&clusterRole=view&inNamespace=true&manager=https://other.example&image=registry.example/d:1&description=ours&tokenSecret=mine": spec(manifest.Kubernetes, func(s *manifest.Spec) {
			s.ServiceAccount, s.ClusterRole, s.InNamespace, s.Manager, s.Image, s.Description, s.TokenSecret = "there", "view", true, "https://other.example", "registry.example/d:1", "ours", "mine"
		}),
	} {
		text, err := manifest.Render(want)
		if err != nil {
			t.Fatal(err)
		}
		query = "name=eks-prod&tags=eks,+a+b&" + query
		file := b.get("/ui/delegates/install/file?" + query)
		if file.status != http.StatusOK || file.body != string(text) || !strings.HasPrefix(file.header.Get("Content-Disposition"), `attachment; filename="eks-prod`) {
			t.Errorf("%s: %d %v, it is not what the model renders:\n%s", query, file.status, file.header, file.body)
		}
		page := b.get("/ui/delegates/install?" + query)
		name := regexp.MustCompile(`filename="([^"]+)"`).FindStringSubmatch(file.header.Get("Content-Disposition"))[1]
		if got := page.shown(t, name); strings.TrimSuffix(got, "\n") != strings.TrimSuffix(string(text), "\n") {
			t.Errorf("%s: the page shows another file:\n%s", query, got)
		}
		if lint := strings.Contains(page.body, "Lint finds nothing"); lint != (want.Form == manifest.Kubernetes || want.Form == manifest.StatefulSet) {
			t.Errorf("%s: lint finds nothing: %t", query, lint)
		}
		if strings.Contains(page.body, value) || strings.Contains(file.body, value) {
			t.Errorf("%s: the token is there, unasked", query)
		}
		if marked := strings.Contains(page.body, `<mark class="l new">`); !marked {
			t.Errorf("%s: no choice is marked", query)
		}
	}
	inOrder(t, b.get("/ui/delegates/install").body, "default_token", "kubectl create secret generic delegate-token", "belay delegate token show default_token", "kubectl apply --server-side -f delegate.yaml", "Listening for delegate", "Nothing comes?")
	inOrder(t, b.get("/ui/delegates/install?org=org1&project=prj1&kind=docker").body, "belay delegate token show TOKEN --org org1 --project prj1")
}

// Everything that is wrong is said at once, beside its field, and the focus is on the first.
func TestInstallProblems(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Viewer)
	got := b.get("/ui/delegates/install?name=No!&replicas=many&proxy=proxy.example.com:3128&autoscaleMax=1&roleArn=x&tool=emacs&manager=ftp://x&token=none")
	for _, field := range []string{"name", "replicas", "proxy", "autoscaleMax", "roleArn", "manager", "token"} {
		if !strings.Contains(got.body, `id="`+field+`-e"`) || !strings.Contains(got.body, `href="#`+field+`"`) {
			t.Errorf("nothing is said of %s", field)
		}
	}
	inOrder(t, got.body, "8 things keep the file from being written", "emacs")
	if n := strings.Count(got.body, "autofocus"); n != 1 {
		t.Errorf("%d fields have the focus", n)
	}
	inOrder(t, got.body, `id="name"`, "autofocus", `id="tags"`)
	for _, problem := range faults(got.body) {
		t.Error(problem)
	}
	if file := b.get("/ui/delegates/install/file?name=No!"); file.status != http.StatusBadRequest || file.header.Get("Content-Disposition") != "" {
		t.Errorf("a file with a wrong name: %d", file.status)
	}
	// What the form did not ask yet is no mistake.
	if first := b.get("/ui/delegates/install?kind=ecs").body; !strings.Contains(first, "The file needs more") || strings.Contains(first, `aria-invalid="true"`) {
		t.Error("a form that was not filled in yet is refused")
	}
	if again := b.get("/ui/delegates/install?kind=ecs&executionRoleArn=&tokenSecret=").body; !strings.Contains(again, `id="executionRoleArn-e"`) {
		t.Error("a form that was sent without what it needs is not refused")
	}
	if got := b.do(http.MethodGet, "/ui/delegates/install?kind=helm&name=eks&description=&tags=", nil, map[string]string{"HX-Request": "true"}); got.header.Get("HX-Replace-Url") != "/ui/delegates/install?kind=helm&name=eks" {
		t.Errorf("the address is %q", got.header.Get("HX-Replace-Url"))
	}
}

// The value of a token is in the page that asked for it, in one place, and in no other. Only administrators may ask, and the
// audit log says that they did.
func TestInstallWithToken(t *testing.T) {
	t.Parallel()
	p := serve(t)
	value := p.bootstrap(t)
	const path = "/ui/delegates/install"
	form := func(more ...string) url.Values {
		f := url.Values{"kind": {"kubernetes"}, "name": {"eks-prod"}, "chosen": {"default_token"}, "do": {"show"}}
		for i := 0; i+1 < len(more); i += 2 {
			f.Set(more[i], more[i+1])
		}
		return f
	}
	for name, key := range map[string]string{"viewer": p.Viewer, "editor": p.Editor} {
		b := p.signIn(t, key)
		if page := b.get(path).body; strings.Contains(page, "With the token in the file") {
			t.Errorf("a %s is offered the value", name)
		}
		for _, do := range []string{"show", "make"} {
			for _, to := range []string{path, path + "/file"} {
				if got := b.post(to, form("do", do, "newToken", "mine")); got.status != http.StatusForbidden || strings.Contains(got.body, value) {
					t.Errorf("a %s, %s at %s: %d", name, do, to, got.status)
				}
			}
		}
	}
	b := p.signIn(t, p.Admin)
	got := b.post(path, form())
	if got.status != http.StatusOK || strings.Count(got.body, value) != 1 || !strings.Contains(got.body, "The file holds the value of default_token") {
		t.Errorf("%d, the value is there %d times", got.status, strings.Count(got.body, value))
	}
	findings, err := manifest.Lint("f", strings.NewReader(got.shown(t, "eks-prod.yaml")), nil)
	if err != nil || len(findings) > 0 {
		t.Errorf("%v %v", findings, err)
	}
	if strings.Contains(got.shown(t, "Apply it"), "token show") {
		t.Error("the file holds the token, and one is told to fetch it")
	}
	file := b.post(path+"/file", form())
	if file.status != http.StatusOK || strings.Count(file.body, value) != 1 || !strings.HasPrefix(file.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("%d %v", file.status, file.header)
	}
	if n := p.revealed(t); n != 2 {
		t.Errorf("the audit log has %d entries of who saw the value", n)
	}
	// What is wrong is said before the value is read.
	if got := b.post(path, form("name", "No!")); got.status != http.StatusBadRequest || strings.Contains(got.body, value) || p.revealed(t) != 2 {
		t.Errorf("a wrong name: %d", got.status)
	}
	if got := b.post(path, form("chosen", "")); got.status != http.StatusBadRequest || !strings.Contains(got.body, `id="token-e"`) {
		t.Errorf("no token: %d", got.status)
	}
	// A new token: nothing is made when something is wrong, and the name is taken once.
	if got := b.post(path, form("do", "make", "newToken", "frankfurt", "name", "No!")); got.status != http.StatusBadRequest {
		t.Errorf("%d", got.status)
	}
	made := b.post(path, form("do", "make", "newToken", "frankfurt"))
	inOrder(t, made.body, "Token frankfurt is made, and the file holds its value", "DELEGATE_TOKEN: ")
	if made.status != http.StatusOK || strings.Contains(made.body, value) {
		t.Errorf("%d", made.status)
	}
	for name, want := range map[string]int{"frankfurt": http.StatusConflict, "": http.StatusBadRequest} {
		got := b.post(path, form("do", "make", "newToken", name))
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, `id="newToken-e"`) {
			t.Errorf("%q: %d, want %d", name, got.status, want)
		}
	}
	if got := b.get(path + "?token=frankfurt").body; strings.Contains(got, "DELEGATE_TOKEN: ") || !strings.Contains(got, "token show frankfurt") {
		t.Error("the value is shown again, or the token cannot be chosen")
	}
}

// revealed counts who saw the value of a token.
func (p *pages) revealed(t *testing.T) int {
	t.Helper()
	list, err := p.Trail.Entries(t.Context(), audit.System(p.Account, "test"), audit.Filter{Scope: scope.Scope{Account: p.Account}, Action: string(audit.DelegateTokenReveal), Outcome: audit.Allowed, Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// The page that waits for a delegate hears of it by the stream, and of a silent one that was there before.
func TestListening(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Viewer)
	page := b.get("/ui/delegates/install?name=eks-prod").body
	inOrder(t, page, "Listening for eks-prod.")
	stream := html.UnescapeString(regexp.MustCompile(`data-stream="([^"]+)"`).FindStringSubmatch(page)[1])
	_, lines := b.open(t.Context(), stream)
	until(t, lines, "retry:")
	p.Delegate(t, delegate.Delegate{Name: "another", HostName: "h0"})
	p.Delegate(t, delegate.Delegate{Name: "eks-prod", HostName: "h1", Version: delegate.Current()})
	said := until(t, lines, "data:")
	for _, want := range []string{`"id":"listen"`, "eks-prod is live.", "h1"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in %s", want, said)
		}
	}
	// One that came while the page was on its way is told at once.
	_, late := b.open(t.Context(), stream)
	if said := until(t, late, "data:"); !strings.Contains(said, "eks-prod is live.") {
		t.Errorf("said at once: %s", said)
	}
	p.Clock.Move(delegate.SilentAfter)
	inOrder(t, b.get("/ui/delegates/install?name=eks-prod").body, "eks-prod was here and is silent")
}
