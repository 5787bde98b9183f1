package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/scope"
)

// A page behind the last of a list says that it is, and leads to the first one of the same list.
func TestPastTheEnd(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.populate(t)
	b := p.signIn(t, p.Admin)
	b.post("/ui/delegates/tokens", url.Values{"name": {"frankfurt"}})
	for path, first := range map[string]string{
		"/ui/connectors?page=7":                          "/ui/connectors",
		"/ui/connectors?status=failing&page=7&sort=name": "/ui/connectors?sort=name&status=failing",
		"/ui/connectors?search=orders&page=7":            "/ui/connectors?search=orders",
		"/ui/delegates?page=7":                           "/ui/delegates",
		"/ui/delegates/tokens?page=7":                    "/ui/delegates/tokens",
		"/ui/secrets?page=7":                             "/ui/secrets",
		"/ui/settings/keys?page=7&show=all":              "/ui/settings/keys?show=all",
		"/ui/settings/organizations?page=7":              "/ui/settings/organizations",
		"/ui/settings/organizations/org1?page=7":         "/ui/settings/organizations/org1",
	} {
		got := b.get(path)
		if got.status != http.StatusOK {
			t.Errorf("%s: %d", path, got.status)
		}
		inOrder(t, got.body, "This page is past the end", `href="`+first+`"`, "Go to the first page")
		lacks(t, got.body, " yet</h2>", "Nothing matches", "No keys here", "No tokens here", "1 to 0")
		for _, problem := range faults(got.body) {
			t.Errorf("%s: %s", path, problem)
		}
		lacks(t, b.get(first).body, "past the end")
	}
	lacks(t, b.get("/ui/connectors?search=nothing-has-this&page=7").body, "past the end")
	entries, err := p.Trail.Entries(t.Context(), audit.System(p.Account, "test"), audit.Filter{Scope: scope.Scope{Account: p.Account}, Limit: 1000})
	if err != nil || len(entries) == 0 {
		t.Fatal(len(entries), err)
	}
	inOrder(t, b.get("/ui/audit?before="+entries[len(entries)-1].ID).body, "Nothing is older", `href="/ui/audit"`, "Go to the newest")
}

// The log names what was made, also where the identifier was made from the name; a form that lacks the name asks for that alone.
func TestIdentifierFromTheName(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Admin)
	b.post("/ui/new/organization", url.Values{"name": {"Payments EU"}})
	p.Clock.Move(time.Second)
	b.post("/ui/new/project?in=Payments_EU", url.Values{"name": {"Cards"}})
	inOrder(t, b.get("/ui/audit").body, "project.create", "project/Cards", "organization.create", "organization/Payments_EU")
	for _, path := range []string{"/ui/new/organization", "/ui/new/project?in=Payments_EU", "/ui/new/secret"} {
		got := b.post(path, url.Values{})
		inOrder(t, got.body, `href="#name">Name:</a> Is required.`, `id="name-e"`)
		lacks(t, got.body, `id="identifier-e"`)
	}
}

// Who is asked to sign in again is told why, and who signed out is not.
func TestSessionIsOver(t *testing.T) {
	t.Parallel()
	p := serve(t)
	const over = "Your session is over"
	lacks(t, p.browser(t).get("/ui/signin").body, over)
	b := p.signIn(t, p.Viewer)
	p.Clock.Move(2 * time.Hour)
	got := b.get("/ui/connectors")
	if got.status != http.StatusSeeOther {
		t.Fatalf("%d", got.status)
	}
	inOrder(t, b.get(got.header.Get("Location")).body, over, "API key")
	b = p.signIn(t, p.Viewer)
	b.do(http.MethodPost, "/ui/signout", url.Values{"token": {b.get("/ui/").token(t)}}, nil)
	lacks(t, b.get("/ui/signin").body, over)
}

// Who goes back to the first step finds what was answered there, as in every other.
func TestBackToTheFirstStep(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.add(t, connector.Connector{ID: "c1", Name: "prod"})
	b := p.signIn(t, p.Editor)
	for _, base := range []string{"/ui/new/connector", "/ui/connectors/c1/edit"} {
		first := b.get(base).header.Get("Location")
		page := b.get(first)
		if page.status != http.StatusOK || !strings.Contains(first, base+"/name?draft=") {
			t.Fatalf("%s: %q, %d", base, first, page.status)
		}
		lacks(t, page.body, "Begin again")
		form := theForm(t, page.body)
		form.Set("name", "payments")
		if got := b.post(first, form); got.status != http.StatusSeeOther {
			t.Errorf("%s: %d", base, got.status)
		}
		inOrder(t, b.get(first).body, `value="payments"`)
	}
}

// What is wrong with a field is said once: its label stands before it.
func TestTrustNamesFieldsOnce(t *testing.T) {
	t.Parallel()
	p := serve(t)
	page := p.signIn(t, p.Viewer).get("/ui/permissions/trust?for=irsa&make=1").body
	inOrder(t, page, "No trust policy was made", `href="#namespace">Namespace:</a> Which service account is meant.`)
	lacks(t, page, "Namespace: which", "ServiceAccount:", "Provider: give")
}
