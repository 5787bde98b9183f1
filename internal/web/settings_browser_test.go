//go:build e2e

package web_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
)

// An administrator makes an organization, a project and a key for it, in the pages alone. Who signs in with the key sees
// the project and nothing else, until the key is revoked.
func TestE2EOrganizationProjectKey(t *testing.T) {
	p := serve(t)
	p.add(t, connector.Connector{ID: "of_the_account", Name: "of the account"})
	admin := chromium(t)
	said := complaints(admin)
	p.enter(admin, t, p.Admin)
	const send = ".page form[method=post] button[type=submit]"
	drive(admin, t,
		chromedp.Navigate(p.url+"/ui/settings"), chromedp.Click(".page .btn.primary"), chromedp.WaitVisible("#identifier"),
		chromedp.Click(send), chromedp.WaitVisible("#name-e"),
	)
	if on := ask(admin, t, chromedp.Evaluate[string](`document.activeElement.id`)); on != "name" && on != "identifier" {
		t.Errorf("after a refusal the focus is on %q", on)
	}
	drive(admin, t, chromedp.SendKeys("#name", "Payments"), chromedp.Click(send), chromedp.WaitVisible("#h-projects"))
	drive(
		admin, t, chromedp.Click(`a[href^="/ui/new/project"]`), chromedp.WaitVisible("#identifier"), chromedp.SendKeys("#name", "Checkout"), chromedp.Click(send),
		chromedp.WaitVisible(`a[href$="/organizations/Payments/projects/Checkout/delete"]`),
	)
	drive(admin, t, chromedp.Navigate(p.url+"/ui/settings/keys"), chromedp.Click(".page .btn.primary"), chromedp.WaitVisible("#role"), chromedp.SendKeys("#name", "checkout pipeline"))
	ask(admin, t, chromedp.Evaluate[string](`document.getElementById("role").value = "editor"`))
	if got := ask(admin, t, chromedp.Evaluate[string](`document.getElementById("scope").value = "Payments/Checkout"`)); got != "Payments/Checkout" {
		t.Fatalf("the form offers no %q", got)
	}
	drive(admin, t, chromedp.Click(send), chromedp.WaitVisible("#made"))
	key := strings.TrimSpace(ask(admin, t, chromedp.Text("#made pre")))
	if !made.MatchString(key) {
		t.Fatalf("the page shows %q", key)
	}

	user := chromium(t)
	p.enter(user, t, key)
	if nav := ask(user, t, chromedp.Evaluate[string](`document.getElementById("nav").textContent`)); !strings.Contains(nav, "Payments/Checkout") || strings.Contains(nav, "Audit log") {
		t.Errorf("the navigation is %q", nav)
	}
	drive(user, t, chromedp.Navigate(p.url+"/ui/connectors"))
	if page := ask(user, t, chromedp.Text("main")); strings.Contains(page, "of the account") {
		t.Errorf("a connector of the account is in sight: %q", page)
	}
	// The first steps: one click leads to a connector that holds.
	p.Delegate(t, delegate.Delegate{Name: "local", HostName: "h1"})
	drive(user, t, chromedp.Navigate(p.url+"/ui/"), chromedp.Click(`form[action^="/ui/new/first"] button`), chromedp.WaitVisible("#line"))
	if h1 := ask(user, t, chromedp.Text("h1")); !strings.Contains(h1, "Connected") {
		t.Errorf("the first connector is %q", h1)
	}

	drive(admin, t, chromedp.Navigate(p.url+"/ui/settings/keys"), chromedp.Click(`tr:first-child a.danger`), chromedp.WaitVisible(`form .danger`))
	if h1 := ask(admin, t, chromedp.Text("h1")); h1 != "Revoke API key checkout pipeline?" {
		t.Fatalf("it is asked %q", h1)
	}
	if on := ask(admin, t, chromedp.Evaluate[string](`document.activeElement.textContent`)); on != "Keep it" {
		t.Errorf("the focus is on %q, and not on what changes nothing", on)
	}
	drive(admin, t, chromedp.Click(`form button.danger`), chromedp.WaitVisible("nav.seg"))
	drive(user, t, chromedp.Navigate(p.url+"/ui/"), chromedp.WaitVisible("#key"))
	drive(user, t, chromedp.SendKeys("#key", key), chromedp.Click("button[type=submit]"), chromedp.WaitVisible("#key-e"))
	if why := ask(user, t, chromedp.Text("#key-e")); !strings.Contains(why, "This key was revoked") {
		t.Errorf("it is said %q", why)
	}
	for _, one := range said() {
		t.Errorf("the browser says: %s", one)
	}
}

// A search in the settings and a filter of the log answer while one types, and the address says what they show.
func TestE2ESettingsSearch(t *testing.T) {
	p := serve(t)
	p.populate(t)
	ctx := chromium(t)
	p.enter(ctx, t, p.Admin)
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/settings/organizations"), chromedp.SendKeys("#search", "org1"))
	comes(ctx, t, `document.querySelectorAll("tbody tr").length === 1 && location.search.includes("search=org1")`)
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/audit"), chromedp.SendKeys("#target", "secret/deploy_key"))
	comes(ctx, t, `document.querySelectorAll("tbody tr").length === 1 && location.search.includes("target=secret")`)
	if href := ask(ctx, t, chromedp.Evaluate[string](`document.querySelector("a[download]").href`)); !strings.Contains(href, "deploy_key") {
		t.Errorf("the download is of %s", href)
	}
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/secrets"), chromedp.SendKeys("#search", "nothing-has-this"))
	comes(ctx, t, `document.querySelector("#results h2")?.textContent.includes("Nothing matches")`)
}

// What forms answer with, and what only a state shows, has no violation either.
func TestE2ESettingsAccessibility(t *testing.T) {
	z, err := gzip.NewReader(bytes.NewReader(axe))
	if err != nil {
		t.Fatal(err)
	}
	code, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	p := serve(t)
	ctx := chromium(t)
	check := func(what string) {
		t.Helper()
		for theme, width := range map[string]int64{"light": 1440, "dark": 390} {
			drive(ctx, t, chromedp.EmulateViewport(width, 900))
			ask(ctx, t, chromedp.Evaluate[string](`document.documentElement.dataset.theme = "`+theme+`"`))
			if over := ask(ctx, t, chromedp.Evaluate[int](sticksOut)); over > 0 {
				t.Errorf("%s, %s, %d wide: %d pixels stick out", what, theme, width, over)
			}
			if found := violations(ctx, t, string(code)); found != "none" {
				t.Errorf("%s, %s, %d wide: %s", what, theme, width, found)
			}
		}
	}
	const send = ".page form[method=post] button[type=submit]"
	p.enter(ctx, t, p.Admin)
	check("first steps without a delegate")
	p.Delegate(t, delegate.Delegate{Name: "local", HostName: "h1"})
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/"))
	ask(ctx, t, chromedp.Evaluate[bool](`document.querySelectorAll("details").forEach((d) => { d.open = true; }), true`))
	check("first steps")
	for path, field := range map[string]string{"/ui/new/organization": "#name-e", "/ui/new/project?in=org1": "#name-e", "/ui/new/key": "#name-e", "/ui/new/secret": "#value-e"} {
		drive(ctx, t, chromedp.Navigate(p.url+path), chromedp.Click(send), chromedp.WaitVisible(field))
		check(path + ", refused")
	}
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/new/key"), chromedp.SendKeys("#name", "k"), chromedp.Click(send), chromedp.WaitVisible("#made"))
	check("a key that was made")
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/settings/keys"), chromedp.Click("tr:first-child a.danger"), chromedp.WaitVisible("form .danger"))
	check("a key that is to be revoked")
	p.populate(t)
	p.enter(ctx, t, p.Admin) // an hour and more went by, and the session with it
	p.test(t, p.add(t, connector.Connector{ID: "with_key", Credential: connector.ManualConfig{AccessKey: "AKIAEXAMPLE", SecretKeyRef: "account.deploy_key"}}), p.holds)
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/secrets/deploy_key/delete"), chromedp.Click(send), chromedp.WaitVisible("#confirm-e"))
	check("a secret that is used and to be deleted")
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/settings/organizations/org1/delete"), chromedp.Click(send), chromedp.WaitVisible("#confirm-e"))
	check("an organization that is to be deleted")
}
