//go:build e2e

package web_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/task"
)

// program is the built program.
func program(t *testing.T) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "belay")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", to, "github.com/belay-dev/belay/cmd/belay")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	return to
}

// words is what a process has said.
type words struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
	return w.text.Write(b)
}

// find waits until what was said matches, and gives the first group.
func (w *words) find(t *testing.T, expression string) string {
	t.Helper()
	re, deadline := regexp.MustCompile(expression), time.After(time.Minute)
	for {
		w.mu.Lock()
		found, changed, text := re.FindStringSubmatch(w.text.String()), w.changed, w.text.String()
		w.mu.Unlock()
		if found != nil {
			return found[len(found)-1]
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("it never said %q:\n%s", expression, text)
		}
	}
}

// runs starts a process that ends with the test. Its environment is what it needs and nothing of the test's.
func runs(t *testing.T, env []string, name string, args ...string) *words {
	t.Helper()
	said := &words{changed: make(chan struct{})}
	cmd := exec.Command(name, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended already
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s %s said:\n%s", name, strings.Join(args, " "), said.text.String())
		}
	})
	return said
}

// fill puts a text into a field, as one who types it would.
func fill(ctx context.Context, t *testing.T, field, text string) {
	t.Helper()
	drive(ctx, t, chromedp.WaitVisible(field))
	ask(ctx, t, chromedp.Evaluate[bool](`document.querySelector("`+field+`").select(), true`))
	drive(ctx, t, chromedp.SendKeys(field, text))
}

// From an empty fleet to a live delegate by the page alone: the file that it shows is run as it is, and the page that waits
// says so by itself. Then its token is revoked, another is made, and the delegate is started again with it.
func TestE2EInstallADelegate(t *testing.T) {
	ctx := chromium(t)
	belay := program(t)
	manager := runs(t, nil, belay, "manager", "--data", t.TempDir(), "--listen", "127.0.0.1:0")
	p := &pages{url: manager.find(t, `(http://127\.0\.0\.1:\d+)`)}
	p.enter(ctx, t, manager.find(t, `(pat\.[\w-]+\.\w+\.[\w-]+)`))
	complain := complaints(ctx)
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/delegates"), chromedp.Click(".empty .primary"), chromedp.WaitVisible("#form"))

	// The file follows the choices, and so does the address.
	drive(ctx, t, chromedp.Click("label:has(#kind-shell)"))
	comes(ctx, t, `document.querySelector("#side figcaption")?.textContent.includes("delegate.sh")`)
	fill(ctx, t, "#name", "page-made")
	fill(ctx, t, "#tags", "e2e, page")
	comes(ctx, t, `document.querySelector("#side pre")?.textContent.includes("DELEGATE_TAGS='e2e,page'") && location.search.includes("kind=shell") && location.search.includes("name=page-made")`)
	if on := ask(ctx, t, chromedp.Evaluate[string](`document.activeElement.id`)); on != "tags" {
		t.Errorf("the focus went to %q while one types", on)
	}
	if text := ask(ctx, t, chromedp.Text("#listen")); !strings.Contains(text, "Listening for page-made.") {
		t.Errorf("it waits for %q", text)
	}
	if ask(ctx, t, chromedp.Evaluate[bool](`/DELEGATE_TOKEN='[0-9a-f]{32}'/.test(document.body.textContent)`)) {
		t.Error("the token is in the page, unasked")
	}

	// With the token in it, it runs as it is.
	drive(ctx, t, chromedp.Click(`#side button[value="show"]`), chromedp.WaitVisible("#revealed"))
	start := func() {
		t.Helper()
		file := filepath.Join(t.TempDir(), "page-made.sh")
		if err := os.WriteFile(file, []byte(ask(ctx, t, chromedp.Evaluate[string](`document.querySelector("#side .code.tall code").textContent`))), 0o600); err != nil {
			t.Fatal(err)
		}
		runs(t, []string{"PATH=" + filepath.Dir(belay) + ":" + os.Getenv("PATH"), "DELEGATE_HTTP_PORT=0", "AWS_EC2_METADATA_DISABLED=true"}, "bash", file)
	}
	start()
	comes(ctx, t, `document.querySelector("#listen .note.ok")?.textContent.includes("page-made is live.")`)
	comes(ctx, t, `document.getElementById("live").textContent === "page-made is live."`)
	drive(ctx, t, chromedp.Click("#listen a"), chromedp.WaitVisible("#now"))
	comes(ctx, t, `document.querySelector("h1 .badge").textContent.includes("Live") && document.querySelector("#now").textContent.includes("0 of ")`)

	// Its token is revoked: it is cut off at once, and the list says why.
	drive(ctx, t,
		chromedp.Navigate(p.url+"/ui/delegates/tokens"), chromedp.Click("tbody a.danger"), chromedp.WaitVisible("form .danger"),
	)
	if text := ask(ctx, t, chromedp.Text("main")); !strings.Contains(text, "1 live delegate uses it") || !strings.Contains(text, "page-made") {
		t.Errorf("what it affects: %q", text)
	}
	drive(ctx, t, chromedp.Click("form button.danger"), chromedp.WaitVisible("tbody .badge.idle"), chromedp.Navigate(p.url+"/ui/delegates"))
	comes(ctx, t, `document.querySelector("tbody .badge")?.textContent.includes("Revoked")`)

	// Another token is made and written into the file in one go.
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/delegates/install?kind=shell&name=page-made&tags=again"))
	fill(ctx, t, "#newToken", "second")
	drive(ctx, t, chromedp.Click(`#side button[value="make"]`), chromedp.WaitVisible("#revealed"))
	start()
	comes(ctx, t, `document.querySelector("#listen .note.ok")?.textContent.includes("page-made is live.")`)
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/delegates"))
	comes(ctx, t, `[...document.querySelectorAll("tbody tr")].some((r) => r.textContent.includes("again") && r.textContent.includes("Live"))`)

	// A token that is made by itself is shown once.
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/delegates/tokens"))
	fill(ctx, t, "#name", "third")
	drive(ctx, t, chromedp.Click("form .primary"), chromedp.WaitVisible("#h-made"))
	value := strings.TrimSpace(ask(ctx, t, chromedp.Evaluate[string](`document.querySelector("main .code code").textContent`)))
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(value) {
		t.Errorf("the value is %q", value)
	}
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/delegates/tokens"), chromedp.WaitVisible("tbody"))
	if text := ask(ctx, t, chromedp.Evaluate[string](`document.documentElement.outerHTML`)); strings.Contains(text, value) || !strings.Contains(text, "third") {
		t.Error("the value is shown again, or the token is not listed")
	}
	for _, one := range complain() {
		t.Errorf("the browser says: %s", one)
	}
}

// Rows stay where they are while others change, and the button says how many would move.
func TestE2EListStaysInPlace(t *testing.T) {
	p := serve(t)
	p.populate(t)
	ctx := chromium(t)
	p.enter(ctx, t, p.Viewer)
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/delegates/install"), chromedp.WaitVisible("#form"))
	if offered := ask(ctx, t, chromedp.Evaluate[bool](`!!document.querySelector("#h-tok, a[href*=tokens]")`)); offered {
		t.Error("a viewer is offered the value of a token")
	}
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/delegates"), chromedp.WaitVisible("tbody"))
	order := `[...document.querySelectorAll("tbody tr")].map((r) => r.querySelector("a").textContent + "@" + Math.round(r.getBoundingClientRect().top)).join()`
	before := ask(ctx, t, chromedp.Evaluate[string](order))
	p.Clock.Move(30 * time.Second)
	for _, d := range p.Registry.InAccount(p.Account) {
		if d.Name == "ec2-frankfurt" {
			if _, err := p.Registry.Seen(p.Account, d.ID, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	comes(ctx, t, `document.querySelector("tbody tr .badge").textContent.includes("Live")`)
	comes(ctx, t, `!document.getElementById("changed").hidden && document.getElementById("changed").textContent.endsWith("changed, show")`)
	if after := ask(ctx, t, chromedp.Evaluate[string](order)); after != before {
		t.Errorf("rows moved from %q to %q", before, after)
	}
	drive(ctx, t, chromedp.Click("#changed"), chromedp.WaitVisible("tbody"))
	comes(ctx, t, `!document.querySelector("tbody tr").textContent.includes("ec2-frankfurt")`)
	// The stream is lost: after a while the page says since when, and nothing moves.
	for _, d := range p.Registry.InAccount(p.Account) {
		if _, err := p.Registry.Seen(p.Account, d.ID, &delegate.Report{Busy: "full"}); err != nil {
			t.Fatal(err)
		}
	}
	comes(ctx, t, `document.querySelectorAll("tbody .badge.warn").length === document.querySelectorAll("tbody tr").length`)
	height := ask(ctx, t, chromedp.Evaluate[int](`document.documentElement.scrollHeight`))
	p.server.Stop()
	comes(ctx, t, `!document.getElementById("paused").hidden && /last at \d+:\d\d:\d\d/.test(document.getElementById("paused").textContent)`)
	if now := ask(ctx, t, chromedp.Evaluate[int](`document.documentElement.scrollHeight`)); now != height {
		t.Errorf("the page grew from %d to %d", height, now)
	}
}

// What the pages of delegates show after something was done, or while it changes, has no violation of axe-core's rules either.
func TestE2EAccessibilityOfWhatDelegatesAnswer(t *testing.T) {
	p := serve(t)
	p.populate(t)
	p.bootstrap(t)
	p.insert(t, task.Task{ID: "tsk_1", Kind: protocol.TypeAWSValidate, Subject: "risk_batch", Selectors: []string{"eks", "frankfurt"}, State: task.Queued, CreatedAt: p.Clock.Now().Add(-time.Minute)})
	ctx := chromium(t)
	p.enter(ctx, t, p.Admin)
	inspect := inspector(ctx, t)
	check := func(what string) {
		t.Helper()
		inspect(what)
		drive(ctx, t, chromedp.EmulateViewport(1440, 900))
	}
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/delegates/install?name=eks-prod"), chromedp.WaitVisible("#form"))
	p.Delegate(t, delegate.Delegate{Name: "eks-prod", HostName: "h1", Version: delegate.Current()})
	comes(ctx, t, `!!document.querySelector("#listen .note.ok")`)
	ask(ctx, t, chromedp.Evaluate[bool](`document.querySelectorAll("details").forEach((d) => { d.open = true; }), true`))
	check("a delegate that came, all options open")
	drive(ctx, t, chromedp.Click(`#side button[value="show"]`), chromedp.WaitVisible("#revealed"))
	check("a file with the token")
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/delegates/install?kind=shell"))
	fill(ctx, t, "#newToken", delegate.DefaultToken)
	drive(ctx, t, chromedp.Click(`#side button[value="make"]`), chromedp.WaitVisible("#newToken-e"))
	check("a token that is there already")
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/delegates/tokens"))
	fill(ctx, t, "#name", "frankfurt")
	drive(ctx, t, chromedp.Click("form .primary"), chromedp.WaitVisible("#h-made"))
	check("a token that was made")
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/delegates/tokens/frankfurt/revoke"))
	check("a token to be revoked")
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/delegates"), chromedp.WaitVisible("tbody"))
	p.Delegate(t, delegate.Delegate{Name: "eks-new", HostName: "h1"})
	comes(ctx, t, `!document.getElementById("changed").hidden`)
	p.server.Stop()
	comes(ctx, t, `!document.getElementById("paused").hidden`)
	check("a list that changed, and whose stream is lost")
}
