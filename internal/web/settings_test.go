package web_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

// lacks fails where a page has what it must not have.
func lacks(t *testing.T, page string, words ...string) {
	t.Helper()
	for _, w := range words {
		if strings.Contains(page, w) {
			t.Errorf("%q is there", w)
		}
	}
}

// What the role may not see is not there, and what it may not do is refused, whatever is sent.
func TestSettingsByRole(t *testing.T) {
	t.Parallel()
	p := serve(t)
	account := scope.Scope{Account: p.Account}
	project := scope.Scope{Account: p.Account, Org: "org1", Project: "prj1"}
	boss := p.Key(t, "boss of the project", audit.Admin, project)
	if _, err := p.Secrets.Create(t.Context(), audit.System(p.Account, "test"), secret.Secret{Scope: account, ID: "s1", Name: "s1", Manager: secret.BuiltInManager, Kind: secret.Inline}, secret.NewValue("x")); err != nil {
		t.Fatal(err)
	}
	keyOf := func(token string) string { return strings.Split(token, ".")[2] }
	changes := map[string]url.Values{
		"/ui/new/organization":                                 {"name": {"New"}},
		"/ui/settings/organizations/org1":                      {"name": {"Renamed"}},
		"/ui/settings/organizations/org1/delete":               {"confirm": {"org1"}},
		"/ui/new/project?in=org1":                              {"name": {"New"}},
		"/ui/settings/organizations/org1/projects/prj1":        {"name": {"Renamed"}},
		"/ui/settings/organizations/org1/projects/prj1/delete": {"confirm": {"prj1"}},
		"/ui/new/key": {"name": {"k"}, "role": {"admin"}, "scope": {""}, "expires": {"30"}},
		"/ui/settings/keys/" + keyOf(p.Viewer) + "/revoke": {},
		"/ui/settings/flags/CDS_AWS_OIDC_AUTHENTICATION":   {"on": {"false"}},
		"/ui/settings/oidc/rotate":                         {"how": {"next"}},
		"/ui/new/secret":                                   {"name": {"New"}, "value": {"v"}},
		"/ui/secrets/s1":                                   {"name": {"s1"}, "value": {"v"}},
		"/ui/secrets/s1/delete":                            {},
	}
	for name, tt := range map[string]struct {
		key         string
		tabs, lacks []string
		forbidden   []string // pages
		may         []string // changes that are not refused
	}{
		"a viewer": {
			p.Viewer,
			[]string{"Organizations", "Roles", "Feature flags", "OIDC issuer", "About"},
			[]string{"API keys"},
			[]string{"/ui/settings/keys", "/ui/new/key", "/ui/new/organization", "/ui/new/project?in=org1", "/ui/settings/organizations/org1/delete", "/ui/settings/flags/CDS_AWS_OIDC_AUTHENTICATION", "/ui/settings/oidc/rotate", "/ui/new/secret", "/ui/secrets/s1/delete", "/ui/audit/download"},
			nil,
		},
		"an editor": {
			p.Editor,
			[]string{"Organizations", "Roles", "Feature flags", "OIDC issuer", "About"},
			[]string{"API keys"},
			[]string{"/ui/settings/keys", "/ui/new/key", "/ui/settings/oidc/rotate", "/ui/audit/download", "/ui/settings/organizations/org1/projects/prj1/delete"},
			[]string{"/ui/new/secret", "/ui/secrets/s1", "/ui/secrets/s1/delete"},
		},
		"an editor of a project": {
			p.Project,
			[]string{"Roles", "About"},
			[]string{"API keys", "Organizations", "Feature flags", "OIDC issuer"},
			[]string{"/ui/settings/organizations", "/ui/settings/organizations/org1", "/ui/settings/keys", "/ui/settings/flags", "/ui/settings/oidc", "/ui/secrets/s1"},
			[]string{"/ui/new/secret"}, // in its own project
		},
		"an administrator of a project": {
			boss,
			[]string{"API keys", "Roles", "About"},
			[]string{"Organizations", "Feature flags", "OIDC issuer"},
			[]string{"/ui/settings/organizations", "/ui/settings/flags", "/ui/settings/oidc", "/ui/settings/keys/" + keyOf(p.Viewer) + "/revoke"},
			[]string{"/ui/new/secret", "/ui/settings/organizations/org1/projects/prj1", "/ui/settings/organizations/org1/projects/prj1/delete"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := p.signIn(t, tt.key)
			page := b.get("/ui/settings").body
			inOrder(t, page, append([]string{`aria-label="Settings"`}, tt.tabs...)...)
			_, tabs, _ := strings.Cut(page, `<nav class="tabs`)
			tabs, rest, _ := strings.Cut(tabs, "</nav>")
			lacks(t, rest, "New organization", "Delete…")
			lacks(t, tabs, tt.lacks...)
			for _, path := range tt.forbidden {
				if got := b.get(path); got.status != http.StatusForbidden {
					t.Errorf("GET %s: %d", path, got.status)
				}
			}
			for path, form := range changes {
				if slices.Contains(tt.may, path) {
					continue
				}
				if got := b.post(path, form); got.status != http.StatusForbidden {
					t.Errorf("POST %s: %d", path, got.status)
				}
			}
			if _, err := p.Orgs.Project(t.Context(), audit.System(p.Account, "test"), "org1", "prj1"); err != nil {
				t.Fatal(err)
			}
		})
	}
	b := p.signIn(t, p.Editor)
	if got := b.post("/ui/secrets/s1/delete", nil); got.status != http.StatusSeeOther {
		t.Errorf("an editor deletes a secret: %d", got.status)
	}
}

func TestOrganizationsAndProjects(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Admin)
	got := b.post("/ui/new/organization", url.Values{"name": {""}, "identifier": {"not an identifier"}, "description": {"kept"}})
	if got.status != http.StatusBadRequest {
		t.Fatalf("%d", got.status)
	}
	inOrder(t, got.body, "Not saved", `href="#identifier"`, `href="#name"`, `value="not an identifier"`, `value="kept"`)
	if n := strings.Count(got.body, " autofocus"); n != 1 {
		t.Errorf("%d fields have the focus", n)
	}
	got = b.post("/ui/new/organization", url.Values{"name": {"Payments"}, "description": {"cards"}})
	if got.header.Get("Location") != "/ui/settings/organizations/Payments" {
		t.Fatalf("%d %s", got.status, got.header.Get("Location"))
	}
	if got := b.post("/ui/new/organization", url.Values{"name": {"Payments"}, "identifier": {"Payments"}}); got.status != http.StatusConflict || !strings.Contains(got.body, `id="identifier-e"`) {
		t.Errorf("the same again: %d", got.status)
	}
	inOrder(t, b.get("/ui/settings/organizations?search=cards").body, "Payments", "1 to 1 of 1 organization")
	got = b.post("/ui/settings/organizations/Payments", url.Values{"name": {"Payments EU"}, "description": {"cards and more"}})
	if got.status != http.StatusSeeOther {
		t.Fatalf("%d %s", got.status, got.body)
	}
	inOrder(t, b.get("/ui/settings/organizations/Payments").body, "Payments EU", "cards and more", "Projects", "No projects yet")
	if got := b.post("/ui/settings/organizations/Payments", url.Values{"name": {" "}}); got.status != http.StatusBadRequest || !strings.Contains(got.body, `id="name-e"`) {
		t.Errorf("no name: %d", got.status)
	}
	got = b.post("/ui/new/project?in=Payments", url.Values{"name": {"Checkout"}, "identifier": {"checkout"}})
	if got.header.Get("Location") != "/ui/settings/organizations/Payments/projects/checkout" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	const project = "/ui/settings/organizations/Payments/projects/checkout"
	if got := b.post(project, url.Values{"name": {"Checkout two"}}); got.status != http.StatusSeeOther {
		t.Errorf("%d %s", got.status, got.body)
	}
	inOrder(t, b.get(project).body, "Checkout two")

	// Nothing is in it: no name need be typed. Then something is.
	if page := b.get(project + "/delete").body; strings.Contains(page, `id="confirm"`) || !strings.Contains(page, "Nothing lies inside it") {
		t.Error("the name of an empty project must be typed")
	}
	at := scope.Scope{Account: p.Account, Org: "Payments", Project: "checkout"}
	p.add(t, connector.Connector{ID: "c1", Scope: at})
	p.Delegate(t, delegate.Delegate{Name: "d1", HostName: "h1", Scope: at})
	p.Key(t, "of checkout", audit.Viewer, at)
	inOrder(t, b.get("/ui/settings/organizations/Payments/delete").body, "Delete organization Payments EU?", "1 project", "1 connector with its tests", "1 delegate", "1 API key has a role in it", "Type Payments to confirm")
	if got := b.post("/ui/settings/organizations/Payments/delete", url.Values{"confirm": {"Payments EU"}}); got.status != http.StatusBadRequest || !strings.Contains(got.body, `aria-invalid="true"`) {
		t.Errorf("the wrong name: %d", got.status)
	}
	if got := b.post(project+"/delete", url.Values{"confirm": {"checkout"}}); got.header.Get("Location") != "/ui/settings/organizations/Payments" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := b.get(project); got.status != http.StatusNotFound {
		t.Errorf("afterwards: %d", got.status)
	}
	if got := b.post("/ui/settings/organizations/Payments/delete", url.Values{"confirm": {"Payments"}}); got.status != http.StatusSeeOther {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := b.get("/ui/settings/organizations/default/delete"); got.status != http.StatusOK {
		t.Errorf("the default: %d", got.status)
	}
	if got := b.post("/ui/settings/organizations/default/delete", nil); got.status != http.StatusBadRequest {
		t.Errorf("the default is deleted: %d", got.status)
	}
}

func TestManyOrganizations(t *testing.T) {
	t.Parallel()
	p := serve(t)
	for i := range 30 {
		if _, err := p.Orgs.CreateOrganization(t.Context(), audit.System(p.Account, "test"), org.Organization{Account: p.Account, ID: fmt.Sprintf("o%02d", i), Name: fmt.Sprintf("O %02d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	b := p.signIn(t, p.Viewer)
	inOrder(t, b.get("/ui/settings/organizations").body, "1 to 25 of 32 organizations", "Next")
	inOrder(t, b.get("/ui/settings/organizations?page=2").body, "26 to 32 of 32 organizations", "Previous")
}

var made = regexp.MustCompile(`pat\.[\w-]{22}\.[a-z2-7]{26}\.[\w-]{43}`)

func TestKeys(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Admin)
	got := b.post("/ui/new/key", url.Values{"name": {""}, "role": {"emperor"}, "scope": {"org1/absent"}, "expires": {"soon"}})
	if got.status != http.StatusBadRequest {
		t.Fatalf("%d", got.status)
	}
	inOrder(t, got.body, "Not made", `href="#name"`, `href="#role"`, `href="#scope"`, `href="#expires"`)
	got = b.post("/ui/new/key", url.Values{"name": {"pipeline"}, "role": {"editor"}, "scope": {"org1/prj1"}, "expires": {"30"}})
	token := made.FindString(got.body)
	if got.status != http.StatusOK || token == "" || got.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	inOrder(t, got.body, "API key pipeline is made", "shown this once", "Editor", "org1/prj1", "Ends", "in 30 days")
	list := b.get("/ui/settings/keys").body
	inOrder(t, list, "pipeline", "Active", "Editor", "org1/prj1", "by admin", "never", "in 30 days", "admin", "this session")
	inOrder(t, list, "/ui/audit?who="+strings.Split(token, ".")[2])
	lacks(t, list, token, strings.Split(token, ".")[3])

	// Who signs in with it sees the project and nothing else, until it is revoked.
	mine := p.signIn(t, token)
	inOrder(t, mine.get("/ui/").body, "org1/prj1", "project")
	if got := mine.get("/ui/?org=org1"); got.status != http.StatusForbidden {
		t.Errorf("the organization: %d", got.status)
	}
	inOrder(t, b.get("/ui/settings/keys").body, "pipeline", "just now", "in 30 days")
	id := strings.Split(token, ".")[2]
	inOrder(t, b.get("/ui/settings/keys/"+id+"/revoke").body, "Revoke API key pipeline?", "sessions in the browser that began with it end", id)
	if got := b.post("/ui/settings/keys/"+id+"/revoke", nil); got.status != http.StatusSeeOther {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if got := mine.get("/ui/"); got.header.Get("Location") != "/ui/signin" {
		t.Errorf("the session goes on: %d", got.status)
	}
	lacks(t, b.get("/ui/settings/keys").body, "pipeline")
	inOrder(t, b.get("/ui/settings/keys?show=all").body, "pipeline", "Revoked")
	if got := b.get("/ui/settings/keys/" + id + "/revoke"); got.status != http.StatusConflict {
		t.Errorf("again: %d", got.status)
	}

	// A key that does not end, and one's own.
	got = b.post("/ui/new/key", url.Values{"name": {"for good"}, "role": {"viewer"}, "scope": {""}, "expires": {"never"}})
	inOrder(t, got.body, "Whole account", "when revoked")
	own := strings.Split(p.Admin, ".")[2]
	inOrder(t, b.get("/ui/settings/keys/"+own+"/revoke").body, "This session began with it")
	if got := b.post("/ui/settings/keys/"+own+"/revoke", nil); got.status != http.StatusSeeOther {
		t.Fatalf("%d", got.status)
	}
	if got := b.get("/ui/settings/keys"); !strings.HasPrefix(got.header.Get("Location"), "/ui/signin") {
		t.Errorf("one's own key is revoked and the session goes on: %d", got.status)
	}
}

// The administrator of a project sees and makes the keys of the project, and no others.
func TestKeysOfAProject(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Key(t, "boss", audit.Admin, scope.Scope{Account: p.Account, Org: "org1", Project: "prj1"}))
	list := b.get("/ui/settings/keys").body
	inOrder(t, list, "boss", "project", "1 to 2 of 2 keys")
	lacks(t, list, ">viewer<", ">editor<")
	form := b.get("/ui/new/key").body
	inOrder(t, form, `name="scope"`, "org1/prj1")
	lacks(t, form, "Whole account")
	if got := b.post("/ui/new/key", url.Values{"name": {"inner"}, "role": {"viewer"}, "scope": {"org1/prj1"}, "expires": {"365"}}); got.status != http.StatusOK {
		t.Errorf("%d", got.status)
	}
	for _, place := range []string{"", "org1", "org1/other", "../.."} {
		if got := b.post("/ui/new/key", url.Values{"name": {"outer"}, "role": {"viewer"}, "scope": {place}, "expires": {"365"}}); got.status != http.StatusForbidden {
			t.Errorf("scope %q: %d", place, got.status)
		}
	}
	id := strings.Split(p.Project, ".")[2]
	if got := b.post("/ui/settings/keys/"+id+"/revoke", nil); got.status != http.StatusSeeOther {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// The table of roles says what the code does: each verb stands with the weakest role that may do it.
func TestRolesTable(t *testing.T) {
	t.Parallel()
	p := serve(t)
	page := p.signIn(t, p.Viewer).get("/ui/settings/roles").body
	row := regexp.MustCompile(`(?s)<tr role="row"><th role="rowheader"[^>]*>([^<]+)</th>(.*?)</tr>`)
	cells := map[string][]string{}
	for _, found := range row.FindAllStringSubmatch(page, -1) {
		cells[found[1]] = strings.Split(found[2], "</td>")
	}
	names := map[string]string{
		"connector": "Connector", "secret": "Secret", "organization": "Organization", "project": "Project", "service": "Service", "environment": "Environment",
		"infrastructure": "Infrastructure", "delegate": "Delegate", "delegate-token": "Delegate token", "api-key": "API key", "flag": "Feature flag", "audit": "Audit log",
		"task": "Task", "oidc": "OIDC issuer",
	}
	for _, a := range audit.Actions() {
		kind, verb, _ := strings.Cut(string(a), ".")
		name, ok := names[kind]
		if !ok { // one that is new, named by the rule
			name = strings.ToUpper(kind[:1]) + strings.ReplaceAll(kind[1:], "-", " ")
		}
		if len(cells[name]) < 3 {
			t.Errorf("%s has no row", kind)
			continue
		}
		for i, role := range audit.Roles() {
			if there := strings.Contains(cells[name][i], ">"+verb+"<"); there != (role == a.Needs()) {
				t.Errorf("%s stands with %s: %t", a, role, there)
			}
		}
	}
}

func TestFlagPages(t *testing.T) {
	t.Parallel()
	p := serve(t)
	const path = "/ui/settings/flags/" + org.FlagOIDC
	lacks(t, p.signIn(t, p.Viewer).get("/ui/settings/flags").body, "Turn off")
	b := p.signIn(t, p.Admin)
	inOrder(t, b.get("/ui/settings/flags").body, org.FlagOIDC, "Turn off…")
	inOrder(t, b.get(path).body, "Turn off "+org.FlagOIDC+"?", "OIDC credentials are refused", "Keep it on")
	if got := b.post(path, url.Values{"on": {"perhaps"}}); got.status != http.StatusBadRequest {
		t.Errorf("neither on nor off: %d", got.status)
	}
	for _, on := range []bool{false, true} {
		if got := b.post(path, url.Values{"on": {strconv.FormatBool(on)}}); got.status != http.StatusSeeOther {
			t.Fatalf("%d %s", got.status, got.body)
		}
		if is, err := p.Orgs.On(t.Context(), p.Account, org.FlagOIDC); err != nil || is != on {
			t.Errorf("it is %t, %v", is, err)
		}
	}
	for _, got := range []answer{b.get("/ui/settings/flags/NO_SUCH"), b.post("/ui/settings/flags/NO_SUCH", url.Values{"on": {"true"}})} {
		if got.status != http.StatusNotFound {
			t.Errorf("a flag that there is not: %d", got.status)
		}
	}
}

func TestIssuerPage(t *testing.T) {
	t.Parallel()
	p := serve(t)
	viewer := p.signIn(t, p.Viewer).get("/ui/settings/oidc").body
	lacks(t, viewer, "Rotate keys…")
	b := p.signIn(t, p.Admin)
	page := b.get("/ui/settings/oidc").body
	inOrder(t, page, "https://belay.example.com/ng/api/oidc/account/"+p.Account, "sts.amazonaws.com", ".well-known/openid-configuration", ".wellknown/jwks", "Rotate keys…", "Active", "RS256",
		"aws iam create-open-id-connect-provider", "belay oidc check")
	lacks(t, page, "AWS cannot use this issuer")
	inOrder(t, b.get("/ui/settings/oidc/rotate").body, "Rotate signing keys?", "Revoke every key", "Keep the keys")
	before, err := p.Issuer.View(t.Context(), audit.System(p.Account, "test"))
	if err != nil {
		t.Fatal(err)
	}
	if got := b.post("/ui/settings/oidc/rotate", url.Values{"how": {"revoke"}, "algorithm": {"ES256"}}); got.status != http.StatusSeeOther {
		t.Fatalf("%d %s", got.status, got.body)
	}
	page = b.get("/ui/settings/oidc").body
	inOrder(t, page, "Active", "ES256", "Next")
	for _, k := range before.Keys {
		lacks(t, page, k.Key.ID)
	}
	if got := b.post("/ui/settings/oidc/rotate", url.Values{"algorithm": {"none"}}); got.status != http.StatusBadRequest {
		t.Errorf("an algorithm that there is not: %d", got.status)
	}
}

func TestAbout(t *testing.T) {
	t.Parallel()
	p := serve(t)
	inOrder(t, p.signIn(t, p.Project).get("/ui/settings/about").body, "1.2.3", p.Account, "SQLite", "200 a second", "8 hours", "1 hour", "each connector about every 30 minutes")
}

func TestSecretPages(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Editor)
	account := scope.Scope{Account: p.Account}
	resolve := func(id string) string {
		t.Helper()
		v, err := p.Secrets.Resolve(t.Context(), account, scope.Ref("account."+id))
		if err != nil {
			t.Fatal(err)
		}
		return v.Reveal()
	}
	got := b.post("/ui/new/secret", url.Values{"name": {""}, "identifier": {"a b"}, "value": {"first-value"}})
	if got.status != http.StatusBadRequest {
		t.Fatalf("%d", got.status)
	}
	inOrder(t, got.body, "Not saved", `href="#identifier"`, `href="#name"`)
	lacks(t, got.body, "first-value")
	if got := b.post("/ui/new/secret", url.Values{"name": {"Deploy key"}}); got.status != http.StatusBadRequest || !strings.Contains(got.body, `id="value-e"`) {
		t.Errorf("no value: %d", got.status)
	}
	got = b.post("/ui/new/secret", url.Values{"name": {"Deploy key"}, "description": {"of ci"}, "value": {" first-value "}})
	if got.header.Get("Location") != "/ui/secrets/Deploy_key" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if v := resolve("Deploy_key"); v != " first-value " {
		t.Errorf("the value became %q", v) // blanks may belong to it
	}
	if got := b.post("/ui/new/secret", url.Values{"name": {"Deploy key"}, "value": {"x"}}); got.status != http.StatusConflict {
		t.Errorf("the same again: %d", got.status)
	}
	if got := b.post("/ui/secrets/Deploy_key", url.Values{"name": {"Deploy key of ci"}, "value": {""}}); got.status != http.StatusSeeOther {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if v := resolve("Deploy_key"); v != " first-value " {
		t.Errorf("an empty field changed the value to %q", v)
	}
	if got := b.post("/ui/secrets/Deploy_key", url.Values{"name": {"Deploy key of ci"}, "value": {"second-value"}}); got.status != http.StatusSeeOther {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if v := resolve("Deploy_key"); v != "second-value" {
		t.Errorf("the value is %q", v)
	}
	for i := range 25 {
		p.add(t, connector.Connector{ID: fmt.Sprintf("user_%02d", i), Credential: connector.ManualConfig{AccessKey: "AKIAEXAMPLE", SecretKeyRef: "account.Deploy_key"}})
	}
	inOrder(t, b.get("/ui/secrets").body, "Deploy key of ci", "25 connectors")
	page := b.get("/ui/secrets/Deploy_key").body
	inOrder(t, page, "Deploy key of ci", `type="password"`, "Set. Left empty", "account.Deploy_key", "25 connectors", "user_00", "5 more are left out")
	lacks(t, page, "second-value", "first-value")
	viewer := p.signIn(t, p.Viewer).get("/ui/secrets/Deploy_key").body
	inOrder(t, viewer, "Deploy key of ci", "Your role does not let you change it", "user_00")
	lacks(t, viewer, `name="value"`, "Delete…")
	inOrder(t, b.get("/ui/secrets/Deploy_key/delete").body, "25 connectors use it and fail", "Type Deploy_key to confirm")
	if got := b.post("/ui/secrets/Deploy_key/delete", url.Values{"confirm": {"deploy"}}); got.status != http.StatusBadRequest || !strings.Contains(got.body, `aria-invalid="true"`) {
		t.Errorf("the wrong name: %d", got.status)
	}
	if got := b.post("/ui/secrets/Deploy_key/delete", url.Values{"confirm": {"Deploy_key"}}); got.header.Get("Location") != "/ui/secrets" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := b.get("/ui/secrets/Deploy_key"); got.status != http.StatusNotFound {
		t.Errorf("afterwards: %d", got.status)
	}
	for path := range map[string]bool{"/ui/secrets": true, "/ui/audit": true} {
		lacks(t, p.signIn(t, p.Admin).get(path).body, "second-value", "first-value")
	}
}

func TestAuditPages(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.add(t, connector.Connector{ID: "c1"})
	p.Clock.Move(time.Hour)
	p.add(t, connector.Connector{ID: "c2"})
	p.Clock.Move(time.Second)
	if err := p.Trail.Note(t.Context(), audit.Caller{Account: p.Account, Name: `=HYPERLINK("https://evil.example")`}, audit.ConnectorUse, scope.Scope{Account: p.Account}, "connector/c2", audit.Allowed, "-1"); err != nil {
		t.Fatal(err)
	}
	b := p.signIn(t, p.Admin)
	hour := p.Clock.Now().UTC().Add(-30 * time.Minute).Format("2006-01-02T15:04")
	late := b.get("/ui/audit?action=connector.create&since=" + hour).body
	inOrder(t, late, "connector/c2")
	lacks(t, late, "connector/c1")
	early := b.get("/ui/audit?action=connector.create&until=" + hour).body
	inOrder(t, early, `value="`+hour+`"`, "connector/c1")
	lacks(t, early, "connector/c2")
	inOrder(t, b.get("/ui/audit?since=yesterday").body, "A time is not one")
	inOrder(t, b.get("/ui/audit?since=2026-01-02&until=2026-01-01").body, "It ends before it begins", "Nothing matches")

	got := b.get("/ui/audit/download?format=csv&target=connector/c2")
	if got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Disposition"), `attachment; filename="audit-2026-11-`) {
		t.Fatalf("%d %v", got.status, got.header)
	}
	rows, err := csv.NewReader(strings.NewReader(got.body)).ReadAll()
	if err != nil || len(rows) != 3 || rows[1][4] != `'=HYPERLINK("https://evil.example")` || rows[1][9] != "'-1" || rows[2][6] != "connector.create" {
		t.Errorf("%v, %v", rows, err)
	}
	var entries []struct {
		Target string `json:"target"`
	}
	if err := json.Unmarshal([]byte(b.get("/ui/audit/download?format=json&action=connector.create").body), &entries); err != nil || len(entries) != 2 || entries[0].Target != "connector/c2" {
		t.Errorf("%v, %v", entries, err)
	}
	// What a page of the log leads to: what else was done to the same thing.
	inOrder(t, b.get("/ui/settings/organizations/org1").body, "/ui/audit?org=org1&target=organization%2Forg1")
}

// A download has what the log has, beyond what one reading of it gives.
func TestLongDownload(t *testing.T) {
	t.Parallel()
	p := serve(t)
	const many = 1203
	for i := range many {
		if err := p.Trail.Note(t.Context(), audit.System(p.Account, "test"), audit.ConnectorUse, scope.Scope{Account: p.Account}, fmt.Sprintf("connector/%04d", i), audit.Allowed, ""); err != nil {
			t.Fatal(err)
		}
	}
	got := p.signIn(t, p.Admin).get("/ui/audit/download?action=connector.use")
	rows, err := csv.NewReader(strings.NewReader(got.body)).ReadAll()
	if err != nil || len(rows) != many+1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	seen := map[string]bool{}
	for _, r := range rows[1:] {
		seen[r[7]] = true
	}
	if len(seen) != many {
		t.Errorf("%d different ones", len(seen))
	}
}

// Why a key is refused is told to whoever has the whole of it.
func TestWhySignInIsRefused(t *testing.T) {
	t.Parallel()
	p := serve(t)
	who := audit.System(p.Account, "test")
	_, short, err := p.Identity.Create(t.Context(), who, "short", []audit.Grant{{Scope: scope.Scope{Account: p.Account}, Role: audit.Viewer}}, p.Clock.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	p.Clock.Move(time.Hour)
	for name, tt := range map[string]struct{ key, says string }{
		"revoked":               {p.Revoked, "This key was revoked"},
		"expired":               {short.Reveal(), "This key has expired"},
		"revoked, one wrong":    {p.Revoked[:len(p.Revoked)-2], "This key is not known here"},
		"expired, one wrong":    {short.Reveal()[:len(short.Reveal())-2], "This key is not known here"},
		"of nobody":             {"pat.x.y.z", "This key is not known here"},
		"good, but one is more": {p.Admin + "A", "This key is not known here"},
	} {
		b := p.browser(t)
		got := b.do(http.MethodPost, "/ui/signin", url.Values{"key": {tt.key}, "token": {b.get("/ui/signin").token(t)}}, nil)
		if got.status != http.StatusUnauthorized || !strings.Contains(got.body, tt.says) {
			t.Errorf("%s: %d, not %q", name, got.status, tt.says)
		}
		lacks(t, got.body, tt.key)
	}
}

func TestOverviewTellsWhatHappened(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.populate(t)
	p.test(t, connector.Connector{ID: "payments_prod", Scope: scope.Scope{Account: p.Account, Org: "org1", Project: "prj1"}}, p.holds)
	viewer := p.signIn(t, p.Viewer).get("/ui/").body
	inOrder(t, viewer, "failing: </span>1<", "7 of 9 connectors hold", "Tested every 30 min, last", "Needs you", "risk batch", "/ui/connectors/risk_batch/delegates", "See who was asked",
		"Accounts", "444455556666", "All hold", "IRSA 7", "1 of the last 24 hours", "Recent", "payments prod", "recovered after", "risk batch", "began to fail")
	lacks(t, viewer, "created connector", "Audit log")
	p.Clock.Move(time.Minute)
	p.add(t, connector.Connector{ID: "made_last"})
	inOrder(t, p.signIn(t, p.Admin).get("/ui/").body, "Recent", "Audit log", "test created connector", "made_last")
	inOrder(t, viewer, `href="/ui/connectors?account=444455556666"`)
	reached := p.signIn(t, p.Viewer).get("/ui/connectors?account=444455556666").body
	inOrder(t, reached, `value="444455556666"`, "orders_eu_0", "1 to 7 of 7 connectors")
	lacks(t, reached, "risk batch")
	inOrder(t, p.signIn(t, p.Viewer).get("/ui/connectors?account=000000000000").body, "Nothing matches")
	inner := p.signIn(t, p.Project).get("/ui/").body
	inOrder(t, inner, "1 of 1 connector holds", "Recent", "payments prod")
	lacks(t, inner, "risk batch", "failing: </span>")
}

// The overview says how much each delegate does, and where another can be installed.
func TestOverviewOfDelegates(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.add(t, connector.Connector{ID: "c1"})
	d := p.Delegate(t, delegate.Delegate{Name: "eks-1", HostName: "h1"})
	if _, err := p.Registry.Seen(p.Account, d.ID, &delegate.Report{Load: &delegate.Load{CPU: 31, Memory: 20, Tasks: 3, Limit: 10}}); err != nil {
		t.Fatal(err)
	}
	inOrder(t, p.signIn(t, p.Viewer).get("/ui/").body, `href="/ui/delegates/install"`, "1 of 1 live", "eks-1", "3 tasks", "CPU 31 percent")
}

// A test of today stands in the chart of its hour.
func TestAccountChart(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.populate(t)
	got := p.signIn(t, p.Viewer).get("/ui/").body
	inOrder(t, got, "444455556666", "1 failing", "1 of the last 24 hours had failed tests", `class="up"`, `class="dn"`)
}

// The first steps end in a connector that holds: one form that is there already, and one test.
func TestFirstSteps(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Editor)
	lacks(t, b.get("/ui/").body, "Make and test it") // no delegate could
	p.Delegate(t, delegate.Delegate{Name: "local", HostName: "h1"})
	page := b.get("/ui/").body
	inOrder(t, page, "A delegate that lives", "1 delegate answers", "Delegate's role</b>", "arn:aws:iam::210987654321:role/belay-deploy", "example-external-id", "Make and test it")
	_, form, _ := strings.Cut(page, `action="/ui/new/first"`)
	form, _, _ = strings.Cut(form, "</form>")
	values := url.Values{}
	for _, found := range regexp.MustCompile(`name="(\w+)" value="([^"]*)"`).FindAllStringSubmatch(form, -1) {
		values.Set(found[1], found[2])
	}
	got := b.post("/ui/new/first", values)
	if got.header.Get("Location") != "/ui/connectors/first" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	inOrder(t, b.get("/ui/connectors/first").body, "first", "Connected")
	viewer := p.signIn(t, p.Viewer)
	lacks(t, viewer.get("/ui/").body, "Make and test it")
	if got := viewer.post("/ui/new/first", nil); got.status != http.StatusForbidden {
		t.Errorf("a viewer makes it: %d", got.status)
	}
	if got := b.post("/ui/new/first", nil); got.status != http.StatusConflict {
		t.Errorf("a second first: %d", got.status)
	}
}

// What newcomers are told to type is what the sandbox of belay up has.
func TestSandboxValues(t *testing.T) {
	t.Parallel()
	scene, err := os.ReadFile("../cli/sandboxup.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`id: "123456789012"`, `id: "210987654321"`, "belay-deploy", "example-external-id"} {
		if !strings.Contains(string(scene), want) {
			t.Errorf("the scene of belay up has no %s any more; the first steps name it", want)
		}
	}
}

// What people choose is text in these pages and nothing else.
func TestNothingInjectsIntoSettings(t *testing.T) {
	t.Parallel()
	p := serve(t)
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>'`
	who := audit.System(p.Account, "test")
	account := scope.Scope{Account: p.Account}
	if _, err := p.Orgs.CreateOrganization(t.Context(), who, org.Organization{Account: p.Account, ID: "e1", Name: "e1", Description: evil}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Orgs.CreateProject(t.Context(), who, org.Project{Account: p.Account, Org: "e1", ID: "p1", Name: "p1", Description: evil}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Secrets.Create(t.Context(), who, secret.Secret{Scope: account, ID: "s1", Name: "s1", Description: evil, Manager: evil, Kind: secret.Reference, Path: evil}, secret.Value{}); err != nil {
		t.Fatal(err)
	}
	if err := p.Trail.Note(t.Context(), audit.Caller{Account: p.Account, ID: evil, Name: evil}, audit.ConnectorCreate, account, "connector/"+evil, audit.Allowed, evil); err != nil {
		t.Fatal(err)
	}
	p.add(t, connector.Connector{ID: "c1"}) // so that the overview tells what happened
	b := p.signIn(t, p.Admin)
	q := url.QueryEscape(evil)
	for _, path := range []string{
		"/ui/", "/ui/settings?search=" + q, "/ui/settings/organizations?search=" + q + "&page=" + q, "/ui/settings/organizations/e1?search=" + q, "/ui/settings/organizations/" + url.PathEscape(evil),
		"/ui/settings/organizations/e1/projects/p1", "/ui/settings/organizations/e1/delete", "/ui/settings/organizations/e1/projects/" + url.PathEscape(evil), "/ui/new/project?in=" + q,
		"/ui/settings/keys?show=" + q, "/ui/settings/keys/" + url.PathEscape(evil) + "/revoke", "/ui/settings/flags/" + url.PathEscape(evil),
		"/ui/secrets/s1", "/ui/secrets/s1/delete", "/ui/secrets/s1?at=" + q, "/ui/secrets/" + url.PathEscape(evil),
		"/ui/audit?since=" + q + "&until=" + q + "&target=" + q, "/ui/audit", "/ui/connectors?account=" + q,
	} {
		harmless(t, path, b.get(path))
	}
	for path, fields := range map[string][]string{
		"/ui/new/organization":                      {"name", "identifier", "description"},
		"/ui/settings/organizations/e1":             {"name", "description"},
		"/ui/settings/organizations/e1/delete":      {"confirm"},
		"/ui/new/project?in=e1":                     {"name", "identifier", "description"},
		"/ui/settings/organizations/e1/projects/p1": {"name", "description"},
		"/ui/new/key":                               {"name", "role", "expires"},
		"/ui/settings/oidc/rotate":                  {"algorithm", "how"},
		"/ui/new/secret":                            {"name", "identifier", "description", "value"},
		"/ui/secrets/s1":                            {"name", "description", "value"},
		"/ui/secrets/s1/delete":                     {"confirm"},
	} {
		form := url.Values{}
		for _, f := range fields {
			form.Set(f, evil)
		}
		harmless(t, path, b.post(path, form))
	}
	harmless(t, "a key", b.post("/ui/new/key", url.Values{"name": {"k"}, "role": {"viewer"}, "scope": {evil}, "expires": {"30"}}))
}
