//go:build e2e

package web_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/belay-dev/belay/internal/connector"
)

// listening waits until the page hears of what happens: what happened before is told when the stream opens.
func listening(ctx context.Context, t *testing.T) {
	t.Helper()
	comes(ctx, t, `performance.getEntriesByType("resource").length > 0 && document.querySelector("[data-stream]") !== null`)
}

// shifted is how far things moved in the page since watch was called.
const (
	watch   = `window.shift = 0; new PerformanceObserver((l) => l.getEntries().forEach((e) => { window.shift += e.value; window.moved = (window.moved || "") + e.sources.map((s) => s.node?.outerHTML?.slice(0, 80) + JSON.stringify(s.previousRect) + JSON.stringify(s.currentRect)).join(); })).observe({type: "layout-shift"}); true`
	shifted = `window.shift`
)

// A list changes while one looks at it: rows keep their place, nothing moves, and who is busy with a row is not disturbed.
func TestE2EListLive(t *testing.T) {
	p := serve(t)
	p.populate(t)
	ctx := chromium(t)
	p.enter(ctx, t, p.Editor)
	p.Clock.Move(5 * time.Second)
	said := complaints(ctx)
	drive(ctx, t, chromedp.EmulateViewport(1440, 900), chromedp.Navigate(p.url+"/ui/connectors"))
	listening(ctx, t)
	ask(ctx, t, chromedp.Evaluate[bool](watch))
	place := `[...document.querySelectorAll("tbody tr")].findIndex((r) => r.id === "c-//orders_eu_3")`
	before := ask(ctx, t, chromedp.Evaluate[int](place))
	orders := connector.Connector{Scope: p.add(t, connector.Connector{ID: "late"}).Scope, ID: "orders_eu_3"}
	p.Clock.Move(time.Second)
	began := time.Now()
	p.test(t, orders, p.breaks)
	comes(ctx, t, `document.getElementById("c-//orders_eu_3").textContent.includes("Failing")`)
	t.Logf("a change was seen in the list after %s", time.Since(began).Round(time.Millisecond))
	if now := ask(ctx, t, chromedp.Evaluate[int](place)); now != before {
		t.Errorf("the row went from place %d to %d", before, now)
	}
	comes(ctx, t, `document.getElementById("changed").hidden === false && document.getElementById("changed").textContent === "1 changed, show"`)
	if moved := ask(ctx, t, chromedp.Evaluate[float64](shifted)); moved > 0 {
		t.Errorf("the page shifted by %f: %s", moved, ask(ctx, t, chromedp.Evaluate[string](`window.moved`)))
	}
	// The row under the hand waits until it is left.
	drive(ctx, t, chromedp.Focus(`tr[id="c-//orders_eu_4"] .acts button`))
	p.Clock.Move(time.Second)
	p.test(t, connector.Connector{Scope: orders.Scope, ID: "orders_eu_4"}, p.breaks)
	comes(ctx, t, `document.getElementById("changed").textContent === "2 changed, show"`)
	if !ask(ctx, t, chromedp.Evaluate[bool](`document.getElementById("c-//orders_eu_4").contains(document.activeElement) && !document.getElementById("c-//orders_eu_4").textContent.includes("Failing")`)) {
		t.Error("a row changed that held the focus")
	}
	drive(ctx, t, chromedp.Focus("#search"))
	comes(ctx, t, `document.getElementById("c-//orders_eu_4").textContent.includes("Failing")`)
	// Who wants to see the order of now asks for it.
	drive(ctx, t, chromedp.Click("#changed"), chromedp.WaitNotVisible("#changed"))
	comes(ctx, t, `document.getElementById("changed").hidden && document.querySelector("tbody tr").textContent.includes("Failing") && [...document.querySelectorAll("tbody tr")].findIndex((r) => r.id === "c-//orders_eu_3") < 4`)
	// After a search the stream is that of what is shown.
	drive(ctx, t, chromedp.SendKeys("#search", "orders_eu_2"))
	comes(ctx, t, `document.querySelectorAll("tbody tr").length === 1`)
	p.Clock.Move(time.Second)
	p.test(t, connector.Connector{Scope: orders.Scope, ID: "orders_eu_2"}, p.breaks)
	comes(ctx, t, `document.getElementById("c-//orders_eu_2").textContent.includes("Failing")`)
	// A page that is not seen closes its stream, and takes it up when it is seen again.
	const seen = `Object.defineProperty(document, "hidden", {value: %t, configurable: true}); document.dispatchEvent(new Event("visibilitychange")); true`
	ask(ctx, t, chromedp.Evaluate[bool](fmt.Sprintf(seen, true)))
	p.Clock.Move(time.Second)
	p.test(t, connector.Connector{Scope: orders.Scope, ID: "orders_eu_2"}, p.holds)
	ask(ctx, t, chromedp.Evaluate[bool](fmt.Sprintf(seen, false)))
	comes(ctx, t, `document.getElementById("c-//orders_eu_2").textContent.includes("Connected")`)
	for _, one := range said() {
		t.Errorf("the browser says: %s", one)
	}
	// A stream that is lost is told of, with the time of what is shown.
	p.server.Stop()
	comes(ctx, t, `document.getElementById("paused").hidden === false && document.getElementById("paused").textContent.includes("paused, last at")`)
}

// The page of a connector changes when it is tested elsewhere, and what one has opened in it stays open.
func TestE2EDetailLive(t *testing.T) {
	p := serve(t)
	p.populate(t)
	ctx := chromium(t)
	p.enter(ctx, t, p.Editor)
	p.Clock.Move(5 * time.Second)
	said := complaints(ctx)
	drive(ctx, t, chromedp.EmulateViewport(1440, 900), chromedp.Navigate(p.url+"/ui/connectors/payments_prod?at=org1/prj1"))
	listening(ctx, t)
	// Formats are tabs, by hand and by keyboard.
	drive(ctx, t, chromedp.Click("#r1-1"), chromedp.WaitVisible("#r1-1p"), chromedp.WaitNotVisible("#r1-0p"))
	if text := ask(ctx, t, chromedp.Evaluate[bool](`document.getElementById("r1-1p").textContent.includes("aws_iam_policy")`)); !text {
		t.Error("the tab of Terraform shows no Terraform")
	}
	ask(ctx, t, chromedp.Evaluate[bool](`document.querySelector("#c-history details").open = true; document.activeElement.blur(); true`))
	broken := connector.Connector{Scope: project(p), ID: "payments_prod"}
	p.Clock.Move(time.Second)
	p.test(t, broken, p.bounded)
	comes(ctx, t, `document.getElementById("c-history").textContent.includes("7 of 10")`)
	comes(ctx, t, `document.getElementById("r1-1").getAttribute("aria-selected") === "true" && !document.getElementById("r1-1p").hidden`)
	if !ask(ctx, t, chromedp.Evaluate[bool](`document.querySelector("#c-history details").open`)) {
		t.Error("what was open is closed")
	}
	p.Clock.Move(time.Second)
	began := time.Now()
	p.test(t, broken, p.holds)
	comes(ctx, t, `document.querySelector("h1").textContent.includes("Connected")`)
	t.Logf("a change was seen in the page after %s", time.Since(began).Round(time.Millisecond))
	comes(ctx, t, `document.getElementById("live").textContent === "payments prod: Connected" && document.getElementById("c-cause").textContent.includes("What AWS says")`)
	p.Clock.Move(time.Second)
	p.test(t, broken, p.bounded)
	comes(ctx, t, `document.querySelector("h1").textContent.includes("Failing")`)
	// The button of the smallest change mends it.
	p.Runner.Answer = func(r connector.Request) connector.Result {
		if r.Connector.TestRegion() == "eu-central-1" {
			return p.holds(r)
		}
		return p.bounded(r)
	}
	p.Clock.Move(time.Second)
	comes(ctx, t, `[...document.querySelectorAll("#c-cause form button")].length === 1`)
	drive(ctx, t, chromedp.Click("#c-cause form button"))
	comes(ctx, t, `document.querySelector("h1").textContent.includes("Connected") && document.getElementById("line").textContent.includes("eu-central-1")`)
	for _, one := range said() {
		t.Errorf("the browser says: %s", one)
	}
}

// The overview changes too: what needs somebody, and how many hold.
func TestE2EOverviewLive(t *testing.T) {
	p := serve(t)
	p.populate(t)
	ctx := chromium(t)
	p.enter(ctx, t, p.Viewer)
	p.Clock.Move(5 * time.Second)
	drive(ctx, t, chromedp.EmulateViewport(1440, 900), chromedp.Navigate(p.url+"/ui/"))
	listening(ctx, t)
	p.Clock.Move(time.Second)
	began := time.Now()
	p.test(t, connector.Connector{Scope: project(p), ID: "payments_prod"}, p.holds)
	comes(ctx, t, `document.getElementById("n-org1/prj1/payments_prod").classList.contains("ok") && document.getElementById("tally").textContent.includes("7 of 9") && document.getElementById("needs").textContent === "1"`)
	t.Logf("a change was seen in the overview after %s", time.Since(began).Round(time.Millisecond))
}
