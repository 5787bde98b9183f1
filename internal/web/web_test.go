package web_test

import (
	"bytes"
	"compress/gzip"
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
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

// every is an address of every page, once populate was called.
func every() []string {
	return []string{
		"/ui/", "/ui/?org=org1", "/ui/scope", "/ui/scope?search=prj", "/ui/scope?search=nothing-has-this",
		"/ui/connectors", "/ui/connectors?search=orders&status=connected&credential=own", "/ui/connectors?search=nothing-has-this", "/ui/connectors?page=7",
		"/ui/connectors/payments_prod?at=org1%2Fprj1", "/ui/connectors/payments_prod/preflight?at=org1%2Fprj1", "/ui/connectors/payments_prod/yaml?at=org1%2Fprj1",
		"/ui/connectors/payments_prod/settings?at=org1%2Fprj1", "/ui/connectors/payments_prod/used?at=org1%2Fprj1", "/ui/connectors/payments_prod/audit?at=org1%2Fprj1",
		"/ui/connectors/shop_cluster", "/ui/connectors/search_dev/used", "/ui/connectors?sort=name&status=failing", "/ui/connectors?status=stored", "/ui/connectors?sort=activity",
		"/ui/connectors/payments_prod/delete?at=org1%2Fprj1", "/ui/connectors/search_dev", "/ui/connectors/risk_batch", "/ui/connectors/orders_eu_1",
		"/ui/new/connector/name", "/ui/new/connector/name?org=org1&project=prj1", "/ui/new/connector/yaml", "/ui/connectors/payments_prod/edit/name?at=org1%2Fprj1", "/ui/connectors/payments_prod/edit/credentials?at=org1%2Fprj1",
		"/ui/connectors/payments_prod/edit/access?at=org1%2Fprj1&format=terraform", "/ui/connectors/payments_prod/edit/connectivity?at=org1%2Fprj1", "/ui/connectors/payments_prod/edit/test?at=org1%2Fprj1",
		"/ui/connectors/payments_prod/edit/yaml?at=org1%2Fprj1", "/ui/connectors/risk_batch/edit/test", "/ui/connectors/orders_eu_1/edit/test", "/ui/connectors/search_dev/edit/test",
		"/ui/delegates", "/ui/delegates/tokens", "/ui/permissions", "/ui/permissions/builder", "/ui/permissions/lint", "/ui/permissions/simulate",
		"/ui/permissions/builder?capability=s3-read&buckets=artifacts&format=terraform", "/ui/permissions/builder?capability=s3-cross-account&buckets=artifacts&account=12&simulate=built",
		"/ui/permissions?search=nothing-has-this", "/ui/permissions/capabilities/lambda", "/ui/permissions/simulate?ask=1&principal=arn:aws:iam::111122223333:role/x&action=s3:GetObject&resource=arn:aws:s3:::a/b",
		"/ui/permissions/trust", "/ui/permissions/trust?for=irsa&make=1", "/ui/permissions/trust/explain", "/ui/permissions/trust/explain?connector=org1/prj1/payments_prod",
		"/ui/permissions/evidence", "/ui/permissions/evidence?connector=org1/prj1/payments_prod", "/ui/docs", "/ui/docs/errors", "/ui/docs/errors/BLY-2105", "/ui/secrets", "/ui/secrets?search=x", "/ui/audit", "/ui/audit?action=connector.&outcome=allowed",
		"/ui/delegates?search=eks&state=live&tag=eks", "/ui/delegates?search=nothing-has-this", "/ui/delegates?page=7", "/ui/delegates/eks-prod-1",
		"/ui/delegates/install", "/ui/delegates/install?kind=statefulset&name=eks-prod&tags=eks,prod&roleArn=arn:aws:iam::111122223333:role/belay&tool=awscli&replicas=2",
		"/ui/delegates/install?kind=helm&proxy=proxy.example.com&autoscaleMax=1", "/ui/delegates/install?kind=docker", "/ui/delegates/install?kind=ecs", "/ui/delegates/install?kind=shell",
		"/ui/connectors/payments_prod/delegates?at=org1%2Fprj1", "/ui/connectors/risk_batch/delegates", "/ui/connectors/search_dev/delegates",
		"/ui/new/secret", "/ui/secrets/deploy_key", "/ui/secrets/deploy_key/delete", "/ui/audit?since=2026-11-23T09:00&until=2026-11-22T09:00",
		"/ui/settings", "/ui/settings/organizations?search=nothing-has-this", "/ui/settings/organizations/org1", "/ui/settings/organizations/org1/delete",
		"/ui/new/organization", "/ui/new/project?in=org1", "/ui/settings/organizations/org1/projects/prj1", "/ui/settings/organizations/org1/projects/prj1/delete",
		"/ui/settings/keys", "/ui/settings/keys?show=all", "/ui/new/key", "/ui/settings/roles", "/ui/settings/flags", "/ui/settings/flags/CDS_AWS_OIDC_AUTHENTICATION",
		"/ui/settings/oidc", "/ui/settings/oidc/rotate", "/ui/settings/about",
		"/ui/nowhere", "/ui/connectors/absent", "/ui/connectors/payments_prod?org=absent",
	}
}

// Every page is well formed, has one heading of the first level, names for all that is asked for and no inline code, and
// its links lead to pages that there are.
func TestEveryPage(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.populate(t)
	b := p.signIn(t, p.Admin)
	seen := map[string]bool{}
	check := func(path string, wantOK bool) {
		if seen[path] {
			return
		}
		seen[path] = true
		got := b.get(path)
		if to := got.header.Get("Location"); got.status == http.StatusSeeOther && to != "" { // a name leads to an id
			got = b.get(to)
		}
		if wantOK && got.status != http.StatusOK {
			t.Errorf("%s: %d", path, got.status)
		}
		if got.header.Get("Content-Disposition") != "" { // a file to keep
			return
		}
		for _, problem := range faults(got.body) {
			t.Errorf("%s: %s", path, problem)
		}
		headers(t, path, got.header)
	}
	for _, path := range every() {
		check(path, !strings.Contains(path, "nowhere") && !strings.Contains(path, "absent"))
	}
	for _, path := range every() {
		for _, to := range links(b.get(path).body) {
			if strings.HasPrefix(to, "/ui/static/") {
				if got := b.get(to); got.status != http.StatusOK {
					t.Errorf("%s links to %s: %d", path, to, got.status)
				}
				continue
			}
			if strings.HasPrefix(to, "/ui") && !strings.HasPrefix(to, "/ui/audit/download") { // which are no pages
				check(to, true)
			}
		}
	}
	signIn := p.browser(t).get("/ui/signin")
	for _, problem := range faults(signIn.body) {
		t.Errorf("sign in: %s", problem)
	}
	headers(t, "sign in", signIn.header)
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	p := serve(t)
	for name, tt := range map[string]struct {
		key    string
		status int
	}{
		"a good key":           {p.Viewer, http.StatusSeeOther},
		"blanks around it":     {" " + p.Viewer + "\n", http.StatusSeeOther},
		"a key with one wrong": {p.Viewer[:len(p.Viewer)-1] + "!", http.StatusUnauthorized},
		"a revoked key":        {p.Revoked, http.StatusUnauthorized},
		"no key":               {"", http.StatusUnauthorized},
		"markup":               {"<script>alert(1)</script>", http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := p.browser(t)
			got := b.do(http.MethodPost, "/ui/signin", url.Values{"key": {tt.key}, "token": {b.get("/ui/signin").token(t)}}, nil)
			if got.status != tt.status {
				t.Fatalf("%d %s", got.status, got.body)
			}
			if tt.status != http.StatusSeeOther && strings.Contains(got.body, "script>alert") {
				t.Error("what was typed is in the page")
			}
			cookie := strings.Join(got.header.Values("Set-Cookie"), "\n")
			if signed := strings.Contains(cookie, "belay_session="); signed != (tt.status == http.StatusSeeOther) {
				t.Errorf("cookies %q", cookie)
			}
			if strings.Contains(cookie, "belay_session=") {
				for _, want := range []string{"HttpOnly", "SameSite=Lax", "Path=/"} {
					if !strings.Contains(cookie, want) {
						t.Errorf("no %s in %q", want, cookie)
					}
				}
				if strings.Contains(cookie, strings.TrimSpace(tt.key)) {
					t.Error("the key is in the cookie")
				}
			}
		})
	}
}

func TestCookiesOverTLS(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.server.Secure = true
	cookie := p.browser(t).get("/ui/signin").header.Get("Set-Cookie")
	if !strings.HasPrefix(cookie, "__Host-belay_form=") || !strings.Contains(cookie, "Secure") {
		t.Errorf("the cookie is %q", cookie)
	}
}

func TestWhereSignInLeads(t *testing.T) {
	t.Parallel()
	p := serve(t)
	if got := p.browser(t).get("/ui/connectors?search=a&status=failing"); got.header.Get("Location") != "/ui/signin?next=%2Fui%2Fconnectors%3Fsearch%3Da%26status%3Dfailing" {
		t.Errorf("%d %s", got.status, got.header.Get("Location"))
	}
	for next, want := range map[string]string{
		"/ui/connectors?search=a": "/ui/connectors?search=a", "": "/ui/", "https://evil.example/ui/": "/ui/", "//evil.example/ui/": "/ui/",
		`/\evil.example/ui/`: "/ui/", `/ui/\evil.example`: "/ui/", "/ng/api/connectors": "/ui/", "javascript:alert(1)": "/ui/", "/ui/signin": "/ui/", "\x00": "/ui/",
	} {
		b := p.browser(t)
		got := b.do(http.MethodPost, "/ui/signin", url.Values{"key": {p.Viewer}, "next": {next}, "token": {b.get("/ui/signin").token(t)}}, nil)
		if to := got.header.Get("Location"); to != want {
			t.Errorf("next %q leads to %q, want %q", next, to, want)
		}
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	p := serve(t)
	signedIn := func(b *browser) bool { return b.get("/ui/").status == http.StatusOK }

	b := p.signIn(t, p.Viewer)
	root, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	stolen := b.http.Jar.Cookies(root)
	if got := b.post("/ui/signout", nil); got.status != http.StatusSeeOther || signedIn(b) {
		t.Errorf("sign out: %d", got.status)
	}
	thief := p.browser(t)
	thief.http.Jar.SetCookies(root, stolen)
	if signedIn(thief) {
		t.Error("a copy of the cookie outlives the session")
	}

	b = p.signIn(t, p.Viewer)
	p.Clock.Move(59 * time.Minute)
	if !signedIn(b) {
		t.Error("a session ended that was used an hour ago")
	}
	p.Clock.Move(60 * time.Minute)
	if signedIn(b) {
		t.Error("a session lives that was not used for an hour")
	}

	b = p.signIn(t, p.Viewer)
	for range 16 {
		p.Clock.Move(30 * time.Minute)
		b.get("/ui/")
	}
	if signedIn(b) {
		t.Error("a session lives that is older than eight hours")
	}

	b = p.signIn(t, p.Viewer)
	if err := p.Identity.Revoke(t.Context(), audit.System(p.Account, "test"), strings.Split(p.Viewer, ".")[2]); err != nil {
		t.Fatal(err)
	}
	if signedIn(b) {
		t.Error("a session outlives its key")
	}
}

// Changes need the token of the session and must come from our own pages.
func TestForgery(t *testing.T) {
	t.Parallel()
	p := serve(t)
	c := p.add(t, connector.Connector{ID: "c1"})
	b := p.signIn(t, p.Editor)
	other := p.signIn(t, p.Viewer).get("/ui/").token(t)
	token := b.get("/ui/").token(t)
	for name, tt := range map[string]struct {
		token  string
		header map[string]string
		status int
	}{
		"another site":                  {token, map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"another host of the site":      {token, map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		"an older browser, other site":  {token, map[string]string{"Sec-Fetch-Site": "", "Origin": "https://evil.example"}, 403},
		"an older browser, no origin":   {token, map[string]string{"Sec-Fetch-Site": ""}, 403},
		"an older browser, null origin": {token, map[string]string{"Sec-Fetch-Site": "", "Origin": "null"}, 403},
		"no token":                      {"", nil, 403},
		"the token of another session":  {other, nil, 403},
		"an older browser, our page":    {token, map[string]string{"Sec-Fetch-Site": "", "Origin": p.url}, 303},
		"our page":                      {token, nil, 303},
	} {
		for _, path := range []string{"/ui/connectors/c1/test", "/ui/connectors/c1/preflight", "/ui/connectors/c1/edit/test"} {
			before := p.trail(t)
			p.Clock.Move(time.Second)
			if got := b.do(http.MethodPost, path, url.Values{"token": {tt.token}, "do": {"retest"}}, tt.header); got.status != tt.status {
				t.Errorf("%s: %s: %d, want %d", name, path, got.status, tt.status)
			}
			if changed := p.trail(t) != before; changed != (tt.status == 303) {
				t.Errorf("%s: %s: it was done: %t", name, path, changed)
			}
		}
	}
	if got := b.do(http.MethodPost, "/ui/signout", url.Values{"token": {""}}, nil); got.status != http.StatusForbidden {
		t.Errorf("sign out without a token: %d", got.status)
	}
	for header, status := range map[string]int{"cross-site": 403, "same-origin": 403} { // with the token of no session
		if got := p.browser(t).do(http.MethodPost, "/ui/signin", url.Values{"key": {p.Admin}}, map[string]string{"Sec-Fetch-Site": header}); got.status != status {
			t.Errorf("sign in, %s: %d", header, got.status)
		}
	}
	for _, path := range []string{"/ui/connectors/c1/delete", "/ui/connectors/c1/test"} {
		if got := b.do(http.MethodDelete, path, nil, nil); got.status != http.StatusNotFound {
			t.Errorf("DELETE %s: %d", path, got.status)
		}
	}
	if _, err := p.Connectors.Connector(t.Context(), audit.System(p.Account, "test"), c.Scope, c.ID); err != nil {
		t.Error(err)
	}
}

// trail is the newest entry of the audit log.
func (p *pages) trail(t *testing.T) string {
	t.Helper()
	list, err := p.Trail.Entries(t.Context(), audit.System(p.Account, "test"), audit.Filter{Scope: scope.Scope{Account: p.Account}, Limit: 1})
	if err != nil || len(list) == 0 {
		t.Fatal(list, err)
	}
	return list[0].ID
}

// A role sees the buttons of what it may do, and is refused what it may not, whatever it sends.
func TestRoles(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.add(t, connector.Connector{ID: "c1"})
	p.add(t, connector.Connector{ID: "untested"}) // by those who run beside, too
	project := scope.Scope{Account: p.Account, Org: "org1", Project: "prj1"}
	p.add(t, connector.Connector{ID: "c2", Scope: project})
	for name, tt := range map[string]struct {
		key         string
		path        string
		sees, lacks []string
		posts       map[string]int // path and status
	}{
		"a viewer": {
			p.Viewer, "/ui/connectors/untested",
			[]string{"Not tested", "Your role reads only"},
			[]string{"Test now", "Delete…", "Audit log"},
			map[string]int{"/ui/connectors/c1/test": 403, "/ui/connectors/c1/delete": 403, "/ui/connectors/c1/preflight": 403, "/ui/new/connector": 403, "/ui/delegates/tokens/default_token/revoke": 403},
		},
		"an editor": {
			p.Editor, "/ui/connectors/c1",
			[]string{"Test now", "Delete…"},
			[]string{"Audit log"},
			map[string]int{"/ui/connectors/c1/test": 303, "/ui/delegates/tokens/default_token/revoke": 403},
		},
		"an administrator": {p.Admin, "/ui/connectors/c1", []string{"Test now", "Delete…", "Audit log"}, nil, map[string]int{"/ui/connectors/c1/test": 303}},
		"an editor of a project": {
			p.Project, "/ui/connectors/c2?at=org1/prj1",
			[]string{"Test now", "org1/prj1"},
			[]string{"Whole account"},
			map[string]int{"/ui/connectors/c1/test": 403, "/ui/connectors/c2/test?at=org1/prj1": 303},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := p.signIn(t, tt.key)
			got := b.get(tt.path)
			for _, want := range tt.sees {
				if !strings.Contains(got.body, want) {
					t.Errorf("%q is not there", want)
				}
			}
			for _, no := range tt.lacks {
				if strings.Contains(got.body, no) {
					t.Errorf("%q is there", no)
				}
			}
			for path, status := range tt.posts {
				if got := b.post(path, url.Values{"confirm": {"c1"}}); got.status != status {
					t.Errorf("%s: %d, want %d", path, got.status, status)
				}
			}
		})
	}
	viewer := p.signIn(t, p.Viewer)
	for _, path := range []string{"/ui/", "/ui/connectors"} {
		if strings.Contains(viewer.get(path).body, "New connector") || !strings.Contains(p.signIn(t, p.Editor).get(path).body, "New connector") {
			t.Errorf("%s: who may make connectors is not who is offered it", path)
		}
	}
	for _, path := range []string{"/ui/audit", "/ui/delegates/tokens", "/ui/connectors/c1/delete"} {
		if got := viewer.get(path); got.status != http.StatusForbidden {
			t.Errorf("viewer, %s: %d", path, got.status)
		}
	}
	inside := p.signIn(t, p.Project)
	for _, path := range []string{"/ui/connectors/c1", "/ui/?org=org1", "/ui/connectors?org=org1&project=other"} {
		if got := inside.get(path); got.status != http.StatusForbidden {
			t.Errorf("project, %s: %d", path, got.status)
		}
	}
	if got := inside.get("/ui/connectors").body; strings.Contains(got, ">c1<") || !strings.Contains(got, ">c2<") {
		t.Error("the list of a project is not what the project has")
	}
	if got := p.signIn(t, p.Stranger).get("/ui/connectors/c1"); got.status != http.StatusNotFound {
		t.Errorf("a stranger: %d", got.status)
	}
}

// What people choose, and what others say, is text in a page and nothing else.
func TestNothingInjects(t *testing.T) {
	t.Parallel()
	p := serve(t)
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>'`
	who := audit.System(p.Account, "test")
	account := scope.Scope{Account: p.Account}
	if _, err := p.Orgs.CreateOrganization(t.Context(), who, org.Organization{Account: p.Account, ID: "evil", Name: evil, Description: evil}); err != nil {
		t.Log("organization:", err)
	}
	if _, err := p.Secrets.Create(t.Context(), who, secret.Secret{Scope: account, ID: "s1", Name: evil, Description: evil, Manager: "harnessSecretManager", Kind: secret.Inline}, secret.NewValue("x")); err != nil {
		t.Log("secret:", err)
	}
	p.Delegate(t, delegate.Delegate{Name: evil, HostName: evil, Tags: []string{evil}, Busy: evil})
	c, err := p.Connectors.Create(t.Context(), who, connector.Connector{
		Scope: account, ID: "c1", Name: "c1", Description: evil, Credential: connector.InheritFromDelegate{}, Selectors: []string{evil}, Tags: map[string]string{"t": evil},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.test(t, c.Connector, func(connector.Request) connector.Result {
		return connector.Result{StartedAt: p.Clock.Now(), EndedAt: p.Clock.Now(), Delegate: evil, Evidence: &connector.Evidence{
			Region: evil, Identity: &connector.Identity{ARN: evil, Account: evil},
			Failure: &connector.Failure{Step: connector.StepRegions, Service: "ec2", Operation: evil, Code: evil, Message: "first\n" + evil, RequestID: evil, Text: evil},
		}}
	})
	b := p.signIn(t, p.Admin)
	q := url.QueryEscape(evil)
	for _, path := range []string{
		"/ui/", "/ui/scope", "/ui/scope?search=" + q, "/ui/connectors", "/ui/connectors?search=" + q + "&status=" + q + "&credential=" + q,
		"/ui/connectors/c1", "/ui/connectors/c1/yaml", "/ui/connectors/c1/delete", "/ui/connectors/c1/preflight", "/ui/connectors/" + url.PathEscape(evil), "/ui/connectors/c1?at=" + q,
		"/ui/?org=" + q, "/ui/delegates", "/ui/delegates/tokens/" + url.PathEscape(evil) + "/revoke", "/ui/secrets", "/ui/secrets?search=" + q,
		"/ui/audit?who=" + q + "&action=" + q + "&target=" + q + "&outcome=" + q, "/ui/audit", "/ui/" + url.PathEscape(evil), "/ui/signin?next=" + q,
		"/ui/permissions/builder?capability=" + q, "/ui/permissions/builder?capability=connection&buckets=" + q + "&account=" + q + "&region=" + q + "&format=" + q,
		"/ui/permissions/builder/file?capability=" + q, "/ui/permissions/builder/file?capability=ecs&account=" + q, "/ui/permissions?search=" + q, "/ui/permissions/capabilities/" + url.PathEscape(evil),
		"/ui/permissions/builder?capability=s3-cross-account&user=" + q + "&buckets=" + q + "&clusters=" + q + "&repositories=" + q + "&functions=" + q + "&roles=" + q + "&simulate=" + q + "&expand=" + q,
		"/ui/permissions/simulate?ask=1&principal=" + q + "&action=" + q + "&resource=" + q + "&identity=" + q + "&owner=" + q + "&session=" + q + "&rcp=" + q + "&endpoint=" + q + "&context=" + q,
		"/ui/permissions/trust?for=" + q + "&connector=" + q + "&account=" + q + "&audience=" + q + "&role=" + q, "/ui/permissions/trust?for=cross-account&principals=" + q + "&externalId=" + q + "&partition=" + q + "&format=" + q + "&tags=" + q,
		"/ui/permissions/trust?for=irsa&provider=" + q + "&issuer=" + q + "&namespace=" + q + "&serviceAccount=" + q, "/ui/permissions/trust?for=oidc&subject=" + q + "&provider=arn:aws:iam::444455556666:oidc-provider/x.example.com&role=x",
		"/ui/permissions/trust?for=ecs-tasks&sourceAccount=" + q, "/ui/permissions/trust/file?connector=" + q, "/ui/permissions/trust/explain?connector=" + q, "/ui/permissions/evidence?connector=" + q, "/ui/permissions/evidence?connector=c1", "/ui/docs/" + url.PathEscape(evil),
	} {
		page := b.get(path)
		harmless(t, path, page)
	}
	for _, path := range []string{
		"/ui/delegates?search=" + q + "&state=" + q + "&tag=" + q, "/ui/delegates/" + url.PathEscape(evil), "/ui/delegates/" + string(p.Registry.InAccount(p.Account)[0].ID),
		"/ui/connectors/c1/delegates", "/ui/delegates/tokens?page=" + q,
	} {
		harmless(t, path, b.get(path))
	}
	install := url.Values{"chosen": {evil}, "newToken": {evil}, "tool": {evil}}
	for _, field := range []string{
		"kind", "name", "tags", "token", "replicas", "namespace", "roleArn", "executionRoleArn", "tokenSecret", "upgrader", "autoscaleMax", "autoscaleCpu",
		"serviceAccount", "clusterRole", "inNamespace", "initScript", "proxy", "noProxy", "proxySecret", "manager", "image", "description",
	} {
		install.Set(field, evil)
	}
	for _, kind := range []string{"kubernetes", "helm", "docker", "ecs", "shell", evil} {
		install.Set("kind", kind)
		harmless(t, "install "+kind, b.get("/ui/delegates/install?"+install.Encode()))
		harmless(t, "install "+kind, b.get("/ui/delegates/install/file?"+install.Encode()))
	}
	// What the file takes as it is stands in the page as text.
	free := url.Values{"name": {"eks"}, "tags": {evil}, "description": {evil}, "initScript": {evil}, "noProxy": {evil}, "proxy": {"http://proxy:1"}}
	harmless(t, "install", b.get("/ui/delegates/install?"+free.Encode()))
	for _, do := range []string{"show", "make"} {
		install.Set("do", do)
		harmless(t, "install, "+do, b.post("/ui/delegates/install", install))
		free.Set("do", do)
		free.Set("newToken", evil+do)
		harmless(t, "install, "+do, b.post("/ui/delegates/install", free))
	}
	harmless(t, "a token", b.post("/ui/delegates/tokens", url.Values{"name": {evil}, "ends": {evil}}))
	harmless(t, "a token again", b.post("/ui/delegates/tokens", url.Values{"name": {evil}, "ends": {evil}}))
	harmless(t, "tokens", b.get("/ui/delegates/tokens"))
	document := `{"Statement":{"Sid":"` + strings.ReplaceAll(evil, `"`, `\"`) + `","Effect":"Allow","Action":"s3:Get","Resource":"*"}}`
	for _, policy := range []string{evil, document} {
		harmless(t, "lint", b.post("/ui/permissions/lint", url.Values{"policy": {policy}, "kind": {evil}}))
		harmless(t, "simulate", b.post("/ui/permissions/simulate", url.Values{
			"identity": {policy}, "boundary": {policy}, "scp": {policy}, "resource_policy": {policy}, "principal": {evil}, "action": {evil}, "resource": {evil}, "context": {evil},
			"session": {policy}, "rcp": {policy}, "endpoint": {policy}, "owner": {evil}, "builder": {evil}, "do": {evil},
		}))
		harmless(t, "simulate", b.post("/ui/permissions/simulate", url.Values{"identity": {policy}, "do": {"save"}, "principal": {evil}, "action": {evil}}))
		harmless(t, "simulate", b.post("/ui/permissions/simulate", url.Values{
			"identity": {policy}, "principal": {"arn:aws:iam::111122223333:role/x"}, "action": {"s3:GetObject"}, "resource": {"arn:aws:s3:::" + evil}, "context": {evil + "=" + evil},
		}))
	}
	for _, trusted := range []string{evil, document, `{"Statement":{"Effect":"Allow","Principal":{"AWS":"` + strings.ReplaceAll(evil, `"`, `\"`) + `"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"` + strings.ReplaceAll(evil, `"`, `\"`) + `x"}}}}`} {
		form := url.Values{"trust": {trusted}, "caller": {evil}, "role": {evil}, "externalId": {evil}, "claims": {evil}, "tags": {evil}, "sourceIdentity": {evil}, "keys": {evil}, "policies": {evil}}
		harmless(t, "explain", b.post("/ui/permissions/trust/explain", form))
		harmless(t, "explain", b.post("/ui/permissions/trust/explain", url.Values{
			"trust": {trusted}, "caller": {"arn:aws:iam::111122223333:role/x"}, "externalId": {evil}, "claims": {evil + "=" + evil}, "tags": {evil + "=" + evil}, "sourceIdentity": {evil},
		}))
	}
	wizardInjects(t, b, evil)
	harmless(t, "delete", b.post("/ui/connectors/c1/delete", url.Values{"confirm": {evil}}))
	stranger := p.browser(t)
	harmless(t, "sign in", stranger.get("/ui/signin?next="+q))
}

func TestConnectors(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.populate(t)
	b := p.signIn(t, p.Editor)
	list := b.get("/ui/connectors").body
	inOrder(t, list, "payments prod", "risk batch", "search dev", "orders_eu_0", "orders_eu_5", "shop_cluster", "1 to 10 of 10 connectors")
	if got := b.get("/ui/connectors?status=failing").body; strings.Contains(got, "orders_eu_0") || !strings.Contains(got, "payments prod") {
		t.Error("the status does not narrow the list")
	}
	if got := b.get("/ui/connectors?search=ORDERS_eu_3").body; strings.Contains(got, "orders_eu_0") || !strings.Contains(got, "orders_eu_3") {
		t.Error("the search does not narrow the list")
	}
	detail := b.get("/ui/connectors/payments_prod?at=org1/prj1").body
	inOrder(t, detail, "payments prod", "Failing", "Where it breaks", "Delegate", "Identity", "Cross-account role", "Region", "Diagnosis", "BLY-2104",
		"ec2:DescribeRegions", "Evidence", "b5c1e0f2-7d1e", "Remedy", "2 of the last 9 tests failed")
	if strings.Contains(detail, "x-1") {
		t.Error("the external id is in the page")
	}
	// The test is done, and the page then says what came of it.
	got := b.post("/ui/connectors/payments_prod/test?at=org1/prj1", nil)
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/ui/connectors/payments_prod?at=org1%2Fprj1" {
		t.Fatalf("%d %s", got.status, got.header.Get("Location"))
	}
	inOrder(t, b.get(got.header.Get("Location")).body, "payments prod", "Connected", "It holds", "3 Regions enabled", "What AWS says", "444455556666")
	inOrder(t, b.get("/ui/connectors/payments_prod/yaml?at=org1/prj1").body, "connector</span>:", "payments_prod", "orgIdentifier</span>:", "org1", "type</span>:", "Aws", "Irsa")
}

func TestManyConnectors(t *testing.T) {
	t.Parallel()
	p := serve(t)
	for i := range 60 {
		c := p.add(t, connector.Connector{ID: "c" + string(rune('a'+i/26)) + string(rune('a'+i%26))})
		switch {
		case i < 10:
			p.test(t, c, p.breaks)
		case i < 30:
			p.test(t, c, p.holds)
		}
	}
	b := p.signIn(t, p.Viewer)
	name := regexp.MustCompile(`title="(c[a-z]{2})"`)
	var all []string
	for path := "/ui/connectors"; path != ""; {
		page := b.get(path).body
		for _, found := range name.FindAllStringSubmatch(page, -1) {
			all = append(all, found[1])
		}
		next := regexp.MustCompile(`<a class="btn sm" href="([^"]+)">Next`).FindStringSubmatch(page)
		if path = ""; next != nil {
			path = html.UnescapeString(next[1])
		}
	}
	if len(all) != 60 || all[0] != "caa" || all[10] != "cbe" || all[40] != "cak" {
		t.Errorf("%d connectors in the order %v", len(all), all)
	}
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != 60 {
		t.Errorf("%d different ones", n)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	p := serve(t)
	c := p.add(t, connector.Connector{ID: "c1", Name: "prod"})
	p.test(t, c, p.holds)
	b := p.signIn(t, p.Editor)
	inOrder(t, b.get("/ui/connectors/c1/delete").body, "Delete connector prod?", "1 test of its history", "Type c1 to confirm", "Keep it")
	if got := b.post("/ui/connectors/c1/delete", url.Values{"confirm": {"c2"}}); got.status != http.StatusBadRequest || !strings.Contains(got.body, `aria-invalid="true"`) {
		t.Errorf("the wrong name: %d", got.status)
	}
	if got := b.post("/ui/connectors/c1/delete", url.Values{"confirm": {"c1"}}); got.header.Get("Location") != "/ui/connectors" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := b.get("/ui/connectors/c1"); got.status != http.StatusNotFound {
		t.Errorf("afterwards: %d", got.status)
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	p := serve(t)
	c := p.add(t, connector.Connector{ID: "c1"})
	p.test(t, c, p.holds)
	p.surveyed = hardlyAllowed()
	b := p.signIn(t, p.Editor)
	page := b.get("/ui/connectors/c1/preflight").body
	inOrder(t, page, "No preflight yet", "Ask anew", "Run preflight")
	if got := b.post("/ui/connectors/c1/preflight", url.Values{"capability": {"no-such"}}); got.status != http.StatusBadRequest {
		t.Errorf("a capability that there is not: %d", got.status)
	}
	ids := regexp.MustCompile(`name="capability" value="([^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(ids) < 5 {
		t.Fatalf("%d capabilities", len(ids))
	}
	got := b.post("/ui/connectors/c1/preflight", url.Values{"capability": {ids[1][1], ids[2][1]}})
	if got.status != http.StatusSeeOther {
		t.Fatalf("%d %s", got.status, got.body)
	}
	inOrder(t, b.get(got.header.Get("Location")).body, "Capability", ids[1][1], "denied", "Denied, ", "The smallest policy that mends it")
}

func TestOverviewOfNothing(t *testing.T) {
	t.Parallel()
	p := serve(t)
	inOrder(t, p.signIn(t, p.Admin).get("/ui/").body, "No connectors yet", "A delegate that lives", "InheritFromDelegate", "belay connector apply -f first.yaml --test")
	viewer := p.signIn(t, p.Viewer).get("/ui/").body
	if strings.Contains(viewer, "InheritFromDelegate") || !strings.Contains(viewer, "Your role reads only") {
		t.Error("a viewer is told to make a connector")
	}
	inOrder(t, p.signIn(t, p.Project).get("/ui/").body, "orgIdentifier</span>:", "org1", "projectIdentifier</span>:", "prj1")
}

func TestOverview(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.populate(t)
	inOrder(t, p.signIn(t, p.Viewer).get("/ui/").body, "6 of 9 connectors hold", "Needs you", "risk batch", "No delegate has frankfurt", "2 of 3 live", "ec2-frankfurt", "Silent")
}

func TestTokens(t *testing.T) {
	t.Parallel()
	p := serve(t)
	made, _, err := p.Tokens.Create(t.Context(), audit.System(p.Account, "test"), scope.Scope{Account: p.Account}, "frankfurt", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	p.Delegate(t, delegate.Delegate{Name: "ec2-frankfurt", HostName: "i-1", TokenID: made.ID})
	b := p.signIn(t, p.Admin)
	inOrder(t, b.get("/ui/delegates/tokens").body, "frankfurt", "Active", "Revoke…")
	const path = "/ui/delegates/tokens/frankfurt/revoke"
	inOrder(t, b.get(path).body, "Revoke token frankfurt?", "1 live delegate uses it", "ec2-frankfurt (i-1)", "Keep it")
	if got := b.post(path, nil); got.status != http.StatusSeeOther {
		t.Fatalf("%d %s", got.status, got.body)
	}
	inOrder(t, b.get("/ui/delegates/tokens").body, "frankfurt", "Revoked")
	if got := b.get(path); got.status != http.StatusConflict {
		t.Errorf("again: %d", got.status)
	}
	if got := p.signIn(t, p.Editor).get("/ui/delegates/tokens").body; strings.Contains(got, "Revoke…") || !strings.Contains(got, "frankfurt") {
		t.Error("an editor sees a button to revoke, or no tokens")
	}
}

func TestOrganization(t *testing.T) {
	t.Parallel()
	p := serve(t)
	value := secret.NewValue("never-in-a-page")
	if _, err := p.Secrets.Create(t.Context(), audit.System(p.Account, "test"), secret.Secret{
		Scope: scope.Scope{Account: p.Account}, ID: "prod_key", Name: "prod key", Manager: "harnessSecretManager", Kind: secret.Inline,
	}, value); err != nil {
		t.Fatal(err)
	}
	b := p.signIn(t, p.Admin)
	got := b.get("/ui/secrets").body
	inOrder(t, got, "prod key", "prod_key", "1 to 1 of 1 secret")
	if strings.Contains(got, "never-in-a-page") {
		t.Error("the value of a secret is in the page")
	}
	inOrder(t, b.get("/ui/audit?action=secret.&who=test").body, "Allowed", "secret.create", "secret/prod_key")
	if got := b.get("/ui/audit?action=connector.").body; strings.Contains(got, "<code>secret.create") {
		t.Error("the filter does not narrow the log")
	}
	inOrder(t, b.get("/ui/scope").body, "Whole account", "Org 1", "Prj 1")
	inOrder(t, b.get("/ui/?org=org1&project=prj1").body, "org1/prj1", `href="/ui/connectors?org=org1&project=prj1"`)
}

// htmx asks for parts: what fails is shown in the page that asked, and the end of a session moves the whole page.
func TestPartsOfPages(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Viewer)
	got := b.do(http.MethodGet, "/ui/connectors/absent", nil, map[string]string{"HX-Request": "true"})
	if got.status != http.StatusNotFound || got.header.Get("HX-Retarget") != "#alert" || !strings.Contains(got.body, `id="trouble"`) {
		t.Errorf("%d %v", got.status, got.header)
	}
	got = p.browser(t).do(http.MethodGet, "/ui/connectors", nil, map[string]string{"HX-Request": "true"})
	if got.status != http.StatusNoContent || got.header.Get("HX-Redirect") != "/ui/signin?next=%2Fui%2Fconnectors" {
		t.Errorf("%d %v", got.status, got.header)
	}
}

// What a first visit loads stays under 100 kB compressed.
func TestFirstLoad(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.populate(t)
	b := p.signIn(t, p.Admin)
	page := b.get("/ui/")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(page.body))
	_ = z.Close()
	total := len(page.body) // pages are not compressed
	for _, to := range links(page.body) {
		if !strings.HasPrefix(to, "/ui/static/") {
			continue
		}
		got := b.do(http.MethodGet, to, nil, map[string]string{"Accept-Encoding": "gzip"})
		if got.header.Get("Content-Encoding") != "gzip" || !strings.Contains(got.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %v", to, got.header)
		}
		total += len(got.body)
	}
	t.Logf("the overview: %d bytes, %d compressed; with its files %d", len(page.body), packed.Len(), total)
	if total > 100_000 {
		t.Errorf("the first load is %d bytes", total)
	}
	if got := b.get("/ui/static/0/absent.js"); got.status != http.StatusNotFound {
		t.Errorf("a file that there is not: %d", got.status)
	}
	if got := p.browser(t).get("/"); got.header.Get("Location") != "/ui/" {
		t.Errorf("the root: %d %v", got.status, got.header)
	}
}

// Connectors of clusters are kept for other clients: the pages show what they say, and offer no more.
func TestClustersAreKept(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.add(t, connector.Connector{ID: "cluster", Credential: connector.Kubernetes{Spec: []byte(`{"credential":{"type":"InheritFromDelegate"},"delegateSelectors":["eks"]}`)}})
	b := p.signIn(t, p.Editor)
	p.add(t, connector.Connector{ID: "aws_one"})
	if got := b.get("/ui/connectors/cluster/preflight"); got.header.Get("Location") != "/ui/connectors/cluster" {
		t.Errorf("preflight: %d %s", got.status, got.header.Get("Location"))
	}
	page := b.get("/ui/connectors/cluster/yaml").body
	inOrder(t, page, "Kubernetes cluster", "type</span>:", "K8sCluster")
	health := b.get("/ui/connectors/cluster").body
	inOrder(t, health, "Stored", "Stored, not tested", "Kubernetes cluster")
	if strings.Contains(page, "Test now") || strings.Contains(page, "Preflight") || strings.Contains(health, "Test now") {
		t.Error("a cluster is offered what only AWS connectors have")
	}
	list := b.get("/ui/connectors").body
	inOrder(t, list, "aws_one", ">cluster<", "Stored", "Belay keeps it for its clients", "1 to 2 of 2 connectors")
	if strings.Contains(list, "/ui/connectors/cluster/test") {
		t.Error("a cluster can be tested from the list")
	}
	inOrder(t, b.get("/ui/connectors?status=stored").body, ">cluster<", "1 to 1 of 1 connector")
	if got := b.get("/ui/connectors?status=untested").body; strings.Contains(got, ">cluster<") || !strings.Contains(got, "aws_one") {
		t.Error("a cluster is among those that were not tested")
	}
	if got := b.get("/ui/").body; strings.Contains(got, "cluster") {
		t.Error("the overview speaks of a cluster")
	}
}
