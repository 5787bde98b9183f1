//go:build e2e

package web_test

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"io"
	"testing"

	"github.com/chromedp/chromedp"
)

// axe is axe-core 4.14.1 (npm axe-core, MPL-2.0), as it was published but for the compression.
//
//go:embed testdata/axe.min.js.gz
var axe []byte

// axeCode is the text of axe-core.
func axeCode(t *testing.T) string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(axe))
	if err != nil {
		t.Fatal(err)
	}
	code, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(code)
}

// inspector gives what looks at the page that is open, in both themes, wide and narrow: nothing sticks out, and axe-core finds no
// violation, whatever its impact.
func inspector(ctx context.Context, t *testing.T) func(what string) {
	t.Helper()
	code := axeCode(t)
	return func(what string) {
		t.Helper()
		for _, theme := range []string{"light", "dark"} {
			for _, width := range []int64{1440, 390} {
				drive(ctx, t, chromedp.EmulateViewport(width, 900))
				ask(ctx, t, chromedp.Evaluate[string](`document.documentElement.dataset.theme = "`+theme+`"`))
				if over := ask(ctx, t, chromedp.Evaluate[int](sticksOut)); over > 0 {
					t.Errorf("%s, %s, %d wide: %d pixels stick out", what, theme, width, over)
				}
				if found := violations(ctx, t, code); found != "none" {
					t.Errorf("%s, %s, %d wide: %s", what, theme, width, found)
				}
			}
		}
	}
}

// No page has a violation of the rules of axe-core.
func TestE2EAccessibility(t *testing.T) {
	p := serve(t)
	p.populate(t)
	ctx := chromium(t)
	check := inspector(ctx, t)
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/signin"))
	check("sign in")
	p.enter(ctx, t, p.Admin)
	for _, path := range every() {
		drive(ctx, t, chromedp.Navigate(p.url+path))
		check(path)
	}
	// What forms answer with.
	const button = ".page form[method=post] button[type=submit]"
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/permissions/simulate"), chromedp.Click(button), chromedp.WaitVisible(".rope"))
	check("a decision")
	drive(ctx, t,
		chromedp.Navigate(p.url+"/ui/permissions/lint"), chromedp.SendKeys("#policy", `{"Statement":{"Effect":"Allow","Action":"s3:GetObjekt","Resource":"*"}}`),
		chromedp.Click(button), chromedp.WaitVisible(".find"),
	)
	check("findings")
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/permissions/trust/explain"), chromedp.Click(".page form[method=post] button[type=submit]"), chromedp.WaitVisible("#trust-e"))
	check("an attempt that is refused")
	drive(ctx, t,
		chromedp.Evaluate[chromedp.Void](`const set = (id, v) => { document.getElementById(id).value = v; }; set("caller", "arn:aws:iam::111122223333:role/delegate"); set("externalId", "x-2");
			set("trust", '{"Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"x-1"}}}}')`),
		chromedp.Click(".page form[method=post] button[type=submit]"), chromedp.WaitVisible(".letters"),
	)
	check("an attempt that is explained")
	p.surveyed = hardlyAllowed()
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/connectors/orders_eu_1/preflight"), chromedp.Click(button), chromedp.WaitVisible(".pre"))
	check("a preflight")
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/new/connector"), chromedp.Click("#next"), chromedp.WaitVisible("#name-e"))
	check("a form that is refused")
	if on := ask(ctx, t, chromedp.Evaluate[string](`document.activeElement.id`)); on != "name" {
		t.Errorf("the focus is on %q, and not on the first field that is wrong", on)
	}
}

// violations are what axe-core finds in the page: none, or a line each.
func violations(ctx context.Context, t *testing.T, code string) string {
	t.Helper()
	ask(ctx, t, chromedp.Evaluate[bool](code+`;
		window.found = null;
		axe.run().then((r) => {
			const said = (v) => v.impact + " " + v.id + ": " + v.nodes.slice(0, 3).map((n) => n.target.join(" ") + " " + (n.any[0]?.message || "")).join(" | ");
			window.found = r.violations.map(said).join("\n") || "none";
		});
		true`))
	return ask(ctx, t, chromedp.Poll[string](`window.found`))
}
