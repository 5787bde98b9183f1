//go:build e2e

package web_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/belay-dev/belay/internal/belaytest"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
)

// chromium starts a browser for the test. It is looked for on PATH.
func chromium(t *testing.T) context.Context {
	t.Helper()
	return belaytest.Chromium(t, 10*time.Minute)
}

// drive does actions, and fails the test where one fails.
func drive(ctx context.Context, t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// ask does one action that answers.
func ask[T any](ctx context.Context, t *testing.T, a chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// complaints are what the browser says against the pages.
func complaints(ctx context.Context) func() []string { return belaytest.Complaints(ctx) }

// enter signs in through the form.
func (p *pages) enter(ctx context.Context, t *testing.T, key string) {
	t.Helper()
	drive(ctx, t,
		chromedp.Navigate(p.url+"/ui/signin"), chromedp.SendKeys("#key", key), chromedp.Click("button[type=submit]"), chromedp.WaitVisible(".page h1"),
	)
}

// comes waits until an expression holds in the page.
func comes(ctx context.Context, t *testing.T, expression string) {
	t.Helper()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](expression)); err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
}

func TestE2ESignInSearchTest(t *testing.T) {
	p := serve(t)
	p.populate(t)
	ctx := chromium(t)
	p.enter(ctx, t, p.Editor)
	if title := ask(ctx, t, chromedp.Title()); title != "Overview · Belay" {
		t.Fatalf("signed in, the title is %q", title)
	}
	// The list answers while one types, and the address says what it shows.
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/connectors"), chromedp.SendKeys("#search", "orders_eu_3"))
	comes(ctx, t, `document.querySelectorAll("tbody tr").length === 1 && location.search.includes("search=orders_eu_3")`)
	if rows := ask(ctx, t, chromedp.Text("tbody")); !strings.Contains(rows, "orders_eu_3") {
		t.Errorf("the list has %q", rows)
	}
	if !ask(ctx, t, chromedp.Evaluate[bool](`document.activeElement.id === "search"`)) {
		t.Error("the search lost the focus while one types")
	}
	// A test is drawn while it runs; then the page says the outcome, to those who do not see it too.
	release := make(chan struct{})
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { close(release) }) })
	p.Runner.Answer = func(r connector.Request) connector.Result {
		<-release
		return p.holds(r)
	}
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/connectors/payments_prod?at=org1/prj1"))
	if h1 := ask(ctx, t, chromedp.Text("h1")); !strings.Contains(h1, "Failing") {
		t.Errorf("before the test it is %q", h1)
	}
	height := `document.getElementById("line").offsetHeight`
	before := ask(ctx, t, chromedp.Evaluate[int](height))
	drive(ctx, t, chromedp.Click(".head .primary"), chromedp.WaitVisible("#line .now"), chromedp.WaitNotVisible("#line .was"))
	if during := ask(ctx, t, chromedp.Evaluate[int](height)); during > before {
		t.Errorf("the line grows from %d to %d while the test runs", before, during)
	}
	once.Do(func() { close(release) })
	comes(ctx, t, `document.getElementById("live").textContent === "payments prod: Connected"`)
	if h1, at := ask(ctx, t, chromedp.Text("h1")), ask(ctx, t, chromedp.Location()); !strings.Contains(h1, "Connected") || strings.Contains(at, "/test") {
		t.Errorf("after the test it is %q at %s", h1, at)
	}
}

// A change of a delegate is seen in a page that is open.
func TestE2EDelegatesLive(t *testing.T) {
	p := serve(t)
	d := p.Delegate(t, delegate.Delegate{Name: "eks-1", HostName: "h1"})
	ctx := chromium(t)
	p.enter(ctx, t, p.Viewer)
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/delegates"), chromedp.WaitVisible(".badge.ok"))
	// The stream may open after the page is seen: its address says what the page shows, so nothing is lost in between.
	if _, err := p.Registry.Seen(p.Account, d.ID, &delegate.Report{Busy: "CPU at 93 %, threshold 80 %"}); err != nil {
		t.Fatal(err)
	}
	comes(ctx, t, `document.querySelector("tbody .badge").textContent.includes("At its limit")`)
}

// sticksOut is how far a page could be scrolled sideways, in pixels.
const sticksOut = `document.documentElement.scrollWidth - document.documentElement.clientWidth`

// No page scrolls sideways, from 320 to 1920 wide, and none breaks its own content security policy.
func TestE2EEveryWidth(t *testing.T) {
	p := serve(t)
	p.populate(t)
	ctx := chromium(t)
	p.enter(ctx, t, p.Admin)
	said := complaints(ctx)
	for _, path := range every() {
		drive(ctx, t, chromedp.Navigate(p.url+path))
		for _, width := range []int64{320, 768, 1440, 1920} {
			drive(ctx, t, chromedp.EmulateViewport(width, 900))
			if over := ask(ctx, t, chromedp.Evaluate[int](sticksOut)); over > 0 {
				t.Errorf("%s, %d wide: %d pixels stick out", path, width, over)
			}
		}
	}
	for _, one := range said() {
		t.Errorf("the browser says: %s", one)
	}
}
