package web_test

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
)

// began sends the first step of a new connector, and gives the address that it leads to.
func (b *browser) began(name string) string {
	b.t.Helper()
	to := b.post("/ui/new/connector", url.Values{"name": {name}}).header.Get("Location")
	if to == "" {
		b.t.Fatalf("%s was not begun", name)
	}
	return to
}

// A draft is of its session: no other reads it, it ends with it, and who begins many loses their own and nobody else's.
func TestDraftsOfASession(t *testing.T) {
	t.Parallel()
	p := serve(t)
	mine, other := p.signIn(t, p.Editor), p.signIn(t, p.Editor)
	there := func(b *browser, draft string) bool { return b.get(draft).status == http.StatusOK }
	first, theirs := mine.began("first"), other.began("theirs")
	if !there(mine, first) || there(other, first) {
		t.Error("another session reads a draft, or its own does not")
	}
	p.Clock.Move(time.Second)
	const more = 50
	last := ""
	for range more {
		last = mine.began("more")
	}
	if there(mine, first) || !there(mine, last) || !there(other, theirs) {
		t.Errorf("the first is there: %t, the last: %t, another's: %t", there(mine, first), there(mine, last), there(other, theirs))
	}
	root, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	cookies := mine.http.Jar.Cookies(root)
	if got := mine.post("/ui/signout", nil); got.status != http.StatusSeeOther {
		t.Fatalf("%d", got.status)
	}
	mine.http.Jar.SetCookies(root, cookies)
	if there(mine, last) {
		t.Error("a draft outlives its session")
	}
}

// A page that is left open, whose browser opens lost streams again, does not keep its session.
func TestAStreamIsNoUse(t *testing.T) {
	t.Parallel()
	p := serve(t)
	for _, path := range []string{listStream, "/ui/live/connectors"} {
		b := p.signIn(t, p.Viewer)
		p.Clock.Move(40 * time.Minute)
		got, lines := b.open(t.Context(), path)
		if got.status != http.StatusOK {
			t.Fatalf("%s: %d", path, got.status)
		}
		until(t, lines, "retry:")
		p.Clock.Move(40 * time.Minute)
		if got := b.get("/ui/"); got.status != http.StatusSeeOther {
			t.Errorf("%s keeps the session: %d", path, got.status)
		}
	}
}

// An external id that is stored is in no file that a page shows, however the file is written.
func TestExternalIDStaysHidden(t *testing.T) {
	t.Parallel()
	p := serve(t)
	c := p.add(t, connector.Connector{
		ID: "c1", Credential: connector.IRSA{}, CrossAccount: &connector.CrossAccount{RoleARN: "arn:aws:iam::444455556666:role/d", ExternalID: "ext-42"},
	})
	viewer, b := p.signIn(t, p.Viewer), p.signIn(t, p.Editor)
	file := viewer.get("/ui/connectors/c1/yaml").body
	inOrder(t, file, "(set)", "The external id is set, and not shown")
	lacks(t, file, "ext-42")
	form := theForm(t, b.get("/ui/connectors/c1/edit/yaml").body)
	text := strings.Replace(form.Get("yaml"), "  type: Aws", "  description: |\n    externalId: (set)\n  type: Aws", 1)
	got := b.post("/ui/connectors/c1/edit/yaml", url.Values{"do": {"use"}, "yaml": {text}})
	to := got.header.Get("Location")
	if got.status != http.StatusSeeOther || !strings.Contains(text, "description") {
		t.Fatalf("%d %s", got.status, got.body)
	}
	page := b.get(strings.Replace(to, "/test?", "/name?", 1)).body
	inOrder(t, html.UnescapeString(page), "externalId: (set)")
	lacks(t, page, "ext-42")
	if got = b.post(to, url.Values{"do": {"save"}}); got.status != http.StatusSeeOther {
		t.Fatalf("%d %s", got.status, got.body)
	}
	now, err := p.Connectors.Connector(t.Context(), audit.System(p.Account, "test"), c.Scope, "c1")
	if err != nil || now.CrossAccount.ExternalID != "ext-42" || now.Description != "externalId: (set)\n" && now.Description != "externalId: (set)" {
		t.Errorf("%+v %q %v", now.CrossAccount, now.Description, err)
	}
}

// Where else a key has a role is not told to who may not see keys there.
func TestKeysWithRolesElsewhere(t *testing.T) {
	t.Parallel()
	p := serve(t)
	who := audit.System(p.Account, "test")
	if _, err := p.Orgs.CreateOrganization(t.Context(), who, org.Organization{Account: p.Account, ID: "hushed", Name: "hushed"}); err != nil {
		t.Fatal(err)
	}
	inside := scope.Scope{Account: p.Account, Org: "org1", Project: "prj1"}
	both, _, err := p.Identity.Create(t.Context(), who, "both", []audit.Grant{{Scope: inside, Role: audit.Viewer}, {Scope: scope.Scope{Account: p.Account, Org: "hushed"}, Role: audit.Viewer}}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	b := p.signIn(t, p.Key(t, "boss", audit.Admin, inside))
	list := b.get("/ui/settings/keys").body
	inOrder(t, list, "both", "Viewer", "org1/prj1", "1 role elsewhere")
	lacks(t, list, "hushed", "/ui/settings/keys/"+both.ID+"/revoke")
	got := b.get("/ui/settings/keys/" + both.ID + "/revoke")
	if got.status != http.StatusForbidden {
		t.Errorf("%d", got.status)
	}
	lacks(t, got.body, "hushed")
	inOrder(t, p.signIn(t, p.Admin).get("/ui/settings/keys").body, "both", "org1/prj1", "hushed")
}

// A file of the audit log holds what was asked for, or is not sent.
func TestDownloadOfWrongTimes(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Admin)
	for _, query := range []string{"since=yesterday", "since=2026-11-24&until=2026-11-23"} {
		if got := b.get("/ui/audit/download?" + query); got.status != http.StatusBadRequest || got.header.Get("Content-Disposition") != "" {
			t.Errorf("%s: %d", query, got.status)
		}
	}
}
