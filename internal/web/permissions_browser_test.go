//go:build e2e

package web_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/scope"
)

// arrives waits until an expression holds in the page that a click leads to. While one page goes and the next comes there is
// none to ask.
func arrives(ctx context.Context, t *testing.T, expression string) {
	t.Helper()
	var err error
	for range 20 {
		if _, err = chromedp.Run(ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(5*time.Second))); err == nil {
			return
		}
		if text := err.Error(); !strings.Contains(text, "context") && !strings.Contains(text, "navigated") {
			break
		}
	}
	t.Fatalf("%s: %v", expression, err)
}

// From capabilities to a policy, to the simulator, to the decision and what would allow the request.
func TestE2EBuilderToDecision(t *testing.T) {
	p := serve(t)
	ctx := chromium(t)
	p.enter(ctx, t, p.Viewer)
	said := complaints(ctx)
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/permissions/builder"), chromedp.WaitVisible("#made"))
	// No field is shown before something is chosen that uses it.
	if shown := ask(ctx, t, chromedp.Evaluate[int](`[...document.querySelectorAll(".fields .field")].filter((f) => f.offsetParent).length`)); shown != 0 {
		t.Errorf("%d fields are shown, and nothing is chosen", shown)
	}
	drive(ctx, t, chromedp.Click(`input[value="s3-read-write"]`), chromedp.WaitVisible("#buckets"))
	comes(ctx, t, `document.getElementById("chosen").textContent.startsWith("1 of") && location.search.includes("capability=s3-read-write")`)
	if seen := ask(ctx, t, chromedp.Evaluate[bool](`document.getElementById("clusters").offsetParent === null`)); !seen {
		t.Error("a field is shown that no chosen capability uses")
	}
	drive(ctx, t, chromedp.SendKeys("#buckets", "payments-artifacts"))
	comes(ctx, t, `document.querySelector("#made pre").textContent.includes("arn:aws:s3:::payments-artifacts/*")`)
	if !ask(ctx, t, chromedp.Evaluate[bool](`document.activeElement.id === "buckets" && document.activeElement.value === "payments-artifacts"`)) {
		t.Error("the field lost the focus, or letters, while one types")
	}
	if marked := ask(ctx, t, chromedp.Text("#made mark.l.warn")); !strings.Contains(marked, `"*"`) {
		t.Errorf("the line that must stay is %q", marked)
	}
	// The formats are addresses.
	drive(ctx, t, chromedp.Click(`#made nav a:nth-child(2)`))
	arrives(ctx, t, `document.querySelector("#made pre").textContent.includes("aws_iam_policy") && location.search.includes("format=terraform")`)
	drive(ctx, t, chromedp.SendKeys("#buckets", "x"))
	comes(ctx, t, `document.querySelector("#made pre").textContent.includes("payments-artifactsx") && location.search.includes("format=terraform")`)
	drive(ctx, t, chromedp.Click(`#made nav a:nth-child(1)`))
	arrives(ctx, t, `!location.search.includes("format") && document.querySelector("#made pre").textContent.startsWith("{")`)

	// It goes over, with a question that it allows.
	const answer = `document.querySelector("#decision .note")`
	drive(ctx, t, chromedp.Click(`#made a[href*="simulate=built"]`), chromedp.WaitVisible("#sim"))
	arrives(ctx, t, `document.getElementById("identity").value.includes("payments-artifactsx/*")`)
	drive(ctx, t, chromedp.Click(`#sim button.primary`))
	arrives(ctx, t, answer+`?.textContent.includes("Allowed")`)
	if kept := ask(ctx, t, chromedp.Evaluate[bool](`document.querySelector("input[value=s3-read-write]").checked && document.getElementById("buckets").value === "payments-artifactsx"`)); !kept {
		t.Error("the builder lost what was chosen")
	}
	// Another bucket is not in it: the line breaks there, and the remedy is a line to add.
	drive(ctx, t, chromedp.Evaluate[chromedp.Void](`const set = (id, v) => { document.getElementById(id).value = v; }; set("action", "s3:ListBucket"); set("resource", "arn:aws:s3:::payments-artifactsx/a"); ""`), chromedp.Click(`#sim button.primary`))
	arrives(ctx, t, answer+`?.textContent.includes("Denied")`)
	if broken := ask(ctx, t, chromedp.Text(".rope > li.fail")); !strings.Contains(broken, "Identity policies") {
		t.Errorf("it breaks at %q", broken)
	}
	if remedy := ask(ctx, t, chromedp.Text("#decision mark.l.add")); remedy == "" {
		t.Error("nothing would allow it")
	}
	// The link shows the same again.
	drive(ctx, t, chromedp.Click(`#decision a[href*="ask=1"]`))
	arrives(ctx, t, `location.search.includes("ask=1")`)
	arrives(ctx, t, answer+`?.textContent.includes("Denied")`)
	for _, one := range said() {
		t.Errorf("the browser says: %s", one)
	}
}

// A trust policy of each kind is made while one types, and the one of a connector lets its token in.
func TestE2ETrust(t *testing.T) {
	p := serve(t)
	p.add(t, connector.Connector{ID: "checkout", Scope: scope.Scope{Account: p.Account, Org: "org1", Project: "prj1"}, Credential: connector.OIDC{RoleARN: "arn:aws:iam::444455556666:role/checkout"}})
	ctx := chromium(t)
	p.enter(ctx, t, p.Viewer)
	said := complaints(ctx)
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/permissions/trust"), chromedp.Click("#for-cross-account"), chromedp.WaitVisible("#principals"))
	comes(ctx, t, `document.activeElement.id === "for-cross-account" && location.search.includes("for=cross-account")`)
	drive(ctx, t, chromedp.SendKeys("#principals", "arn:aws:iam::111122223333:role/delegate"))
	comes(ctx, t, `document.querySelector("#made pre")?.textContent.includes("role/delegate")`)
	drive(ctx, t, chromedp.Click(`button[name="new"]`))
	arrives(ctx, t, `document.getElementById("externalId")?.value.startsWith("belay-") && document.querySelector("#made pre").textContent.includes("sts:ExternalId")`)
	drive(ctx, t, chromedp.Click(`#made nav a:nth-child(4)`))
	arrives(ctx, t, `document.querySelector("#made pre").textContent.includes("aws iam create-role")`)
	drive(ctx, t, chromedp.Click("#for-belay"), chromedp.WaitVisible("#connector"), chromedp.SendKeys("#connector", "org1/prj1/checkout"))
	comes(ctx, t, `document.querySelector("#made pre")?.textContent.includes("org/org1:project/prj1")`)
	drive(ctx, t, chromedp.Click(`#made a[href*="/explain"]`), chromedp.WaitVisible("#trust"))
	drive(ctx, t, chromedp.Click(`form[method=post] .primary`))
	arrives(ctx, t, `document.querySelector("#answer .note.ok")?.textContent.includes("Let in")`)
	// One letter less in the token.
	drive(ctx, t, chromedp.Evaluate[chromedp.Void](`const c = document.getElementById("claims"); c.value = c.value.slice(0, -1); ""`), chromedp.Click(`form[method=post] .primary`))
	arrives(ctx, t, `document.querySelector("#answer .note.fail")?.textContent.includes("Refused")`)
	if wanted := ask(ctx, t, chromedp.Text(".letters dd mark")); wanted != "1" {
		t.Errorf("the letter that is missing is %q", wanted)
	}
	for _, one := range said() {
		t.Errorf("the browser says: %s", one)
	}
}

// Findings stand below their lines, and lead to the page of the rule.
func TestE2ELint(t *testing.T) {
	p := serve(t)
	ctx := chromium(t)
	p.enter(ctx, t, p.Viewer)
	drive(ctx, t,
		chromedp.Navigate(p.url+"/ui/permissions/lint"), chromedp.SendKeys("#policy", "{\"Version\":\"2012-10-17\",\n\"Statement\":{\"Effect\":\"Allow\",\n\"Action\":\"s3:GetObjekt\",\"Resource\":\"*\"}}"),
		chromedp.Click(".page form[method=post] .primary"), chromedp.WaitVisible(".find"),
	)
	if !ask(ctx, t, chromedp.Evaluate[bool](`(() => { const line = document.querySelector("mark.l"), note = document.querySelector(".lines .find"); return line.textContent.includes("GetObjekt") && note.getBoundingClientRect().top >= line.getBoundingClientRect().bottom; })()`)) {
		t.Error("the finding does not stand below its line")
	}
	drive(ctx, t, chromedp.Click(".find a"), chromedp.WaitVisible(".doc"))
	if title := ask(ctx, t, chromedp.Text("h1")); !strings.HasPrefix(title, "BLP-203") {
		t.Errorf("it leads to %q", title)
	}
}

// Nothing that is typed becomes markup, in the browser too: no dialog opens and no script runs.
func TestE2EPermissionsInjection(t *testing.T) {
	p := serve(t)
	ctx := chromium(t)
	p.enter(ctx, t, p.Admin)
	said := complaints(ctx)
	const fill = `document.querySelectorAll(".page form[method=post] :is(input:not([type=hidden]), textarea)").forEach((f) => { f.value = '"><script>window.hurt = 1</script><img src=x onerror="window.hurt = 1">'; }); ""`
	for _, path := range []string{"/ui/permissions/simulate", "/ui/permissions/lint", "/ui/permissions/trust/explain"} {
		drive(ctx, t, chromedp.Navigate(p.url+path), chromedp.Evaluate[chromedp.Void](fill), chromedp.Click(".page form[method=post] .primary"), chromedp.WaitVisible("[role=alert] b"))
		if ask(ctx, t, chromedp.Evaluate[bool](`window.hurt === 1 || !!document.querySelector("main script, main img")`)) {
			t.Errorf("%s: what was typed is markup", path)
		}
	}
	for _, one := range said() {
		t.Errorf("the browser says: %s", one)
	}
}

// A role sees what it may: without an account-wide role the issuer of the account is not told.
func TestE2EPermissionsOfAProject(t *testing.T) {
	p := serve(t)
	ctx := chromium(t)
	p.enter(ctx, t, p.Project)
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/permissions/trust?account=444455556666&make=1"), chromedp.WaitVisible("#made .note"))
	if text := ask(ctx, t, chromedp.Text("main")); strings.Contains(text, "belay.example.com") || !strings.Contains(text, "Name a connector") {
		t.Error("an editor of a project sees the issuer of the account")
	}
}
