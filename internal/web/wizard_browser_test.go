//go:build e2e

package web_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/scope"
)

// No state of the wizard has a violation of the rules of axe-core, nor any that is no address by itself.
func TestE2EWizardAccessibility(t *testing.T) {
	p := serve(t)
	p.populate(t)
	ctx := chromium(t)
	p.enter(ctx, t, p.Admin)
	check := inspector(ctx, t)
	const role = "arn:aws:iam::444455556666:role/belay-deploy"
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/new/connector"), chromedp.SendKeys("#name", "a wizard"), chromedp.SendKeys("#tags", "team: checkout"), chromedp.Click("#next"), chromedp.WaitVisible("#iamRoleArn"))
	drive(ctx, t, chromedp.SendKeys("#iamRoleArn", role), chromedp.WaitVisible("#b-trust"))
	check("the wizard, OIDC")
	for value, shows := range map[string]string{"ManualConfig": "#accessKey", "Irsa": "#clusterIssuer", "InheritFromDelegate": "#runsOn"} {
		drive(ctx, t, chromedp.Click("[value="+value+"]"), chromedp.WaitVisible(shows))
		comes(ctx, t, `document.querySelector("#file").textContent.includes("`+value+`")`)
		if value == "ManualConfig" {
			drive(ctx, t, chromedp.Click("details:has(#newSecret) summary"), chromedp.WaitVisible("#newSecretValue"))
		}
		check("the wizard, " + value)
	}
	drive(ctx, t, chromedp.Click("[value=OidcAuthentication]"), chromedp.Click("#next"), chromedp.WaitVisible("#crossAccountRoleArn"))
	drive(ctx, t,
		chromedp.SendKeys("#crossAccountRoleArn", "arn:aws:iam::777788889999:role/deploy"), chromedp.SetValue("#backoff", "EqualJitterBackoffStrategy"), chromedp.SendKeys("#baseDelay", "100"),
		chromedp.SendKeys("#maxBackoffTime", "5000"), chromedp.Click("button[value=external]"), chromedp.WaitVisible("#b-assume"),
	)
	check("the wizard, a role")
	drive(ctx, t, chromedp.Click("#next"), chromedp.WaitVisible("#delegateSelectors"), chromedp.SendKeys("#delegateSelectors", "eks"))
	comes(ctx, t, `document.querySelector("#file").textContent.includes("- eks")`)
	check("the wizard, delegates")
	drive(ctx, t, chromedp.Click("#next"), chromedp.WaitVisible("#line"))
	check("the wizard, to be saved")
	p.Runner.Answer = func(r connector.Request) connector.Result { return p.breaks(r) }
	drive(ctx, t, chromedp.Click("#next"), chromedp.WaitVisible("#outcome .note.fail"))
	check("the wizard, a test that fails")
	p.Runner.Answer = p.holds
	p.Clock.Move(time.Second)
	drive(ctx, t, chromedp.Click("#next"), chromedp.WaitNotPresent("#outcome .note.fail"))
	check("the wizard, a test that holds")
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/connectors/a_wizard/edit/yaml"), chromedp.SetValue("#yaml", "connector:\n  nam: x"), chromedp.Click("#next"), chromedp.WaitVisible(".note.fail"))
	check("the wizard, a file that is refused")
}

// through is the pages at another address, where requests pass a gate that may answer itself.
func (p *pages) through(t *testing.T, gate func(w http.ResponseWriter, r *http.Request) (answered bool)) *pages {
	t.Helper()
	to, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(to)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !gate(w, r) {
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	other := *p
	other.url = server.URL
	return &other
}

// The value of a secret that is typed goes to the manager with the button, and never with what is posted while one types.
func TestE2EWizardPreviewsNoSecret(t *testing.T) {
	const value = "wJalrXUtnFEMI-typed"
	var previews, leaks atomic.Int32
	p := serve(t)
	p = p.through(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || !strings.Contains(r.URL.Path, "/new/connector") {
			return false
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return false
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if strings.Contains(string(body), "do=preview") {
			previews.Add(1)
			if strings.Contains(string(body), value) || strings.Contains(string(body), "newSecretValue") {
				leaks.Add(1)
			}
		}
		return false
	})
	ctx := chromium(t)
	p.enter(ctx, t, p.Editor)
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/new/connector"), chromedp.SendKeys("#name", "n"), chromedp.Click("#next"), chromedp.WaitVisible("#credential"))
	drive(ctx, t, chromedp.Click("[value=ManualConfig]"), chromedp.Click("details:has(#newSecret) summary"), chromedp.SendKeys("#newSecretValue", value), chromedp.SendKeys("#accessKey", "AKIATYPED"))
	comes(ctx, t, `document.querySelector("#file").textContent.includes("AKIATYPED")`)
	if previews.Load() == 0 || leaks.Load() > 0 {
		t.Errorf("%d previews, of which %d hold the value", previews.Load(), leaks.Load())
	}
	drive(ctx, t, chromedp.SendKeys("#newSecret", "typed"), chromedp.Click("#next"), chromedp.WaitVisible("#region"))
	stored, err := p.Secrets.Resolve(ctx, scope.Scope{Account: p.Account}, "typed")
	if err != nil || stored.Reveal() != value {
		t.Errorf("it was not stored: %v", err)
	}
}

// Without a script the wizard works by plain forms and links: back, forward and reload find every answer.
func TestE2EWizardWithoutScript(t *testing.T) {
	p := serve(t)
	p.populate(t)
	p = p.through(t, func(w http.ResponseWriter, r *http.Request) bool {
		script := strings.HasSuffix(r.URL.Path, ".js")
		if script {
			http.NotFound(w, r)
		}
		return script
	})
	ctx := chromium(t)
	p.enter(ctx, t, p.Editor)
	drive(ctx, t, chromedp.Navigate(p.url+"/ui/new/connector"), chromedp.SendKeys("#name", "plain"), chromedp.Click("#next"), chromedp.WaitVisible("#iamRoleArn"))
	drive(ctx, t, chromedp.Click("[value=Irsa]"), chromedp.WaitVisible("#namespace"), chromedp.Click("#next"), chromedp.WaitVisible("#region"), chromedp.SendKeys("#region", "eu-central-1"))
	drive(ctx, t, chromedp.Click("#next"), chromedp.WaitVisible("#delegateSelectors"))
	history := func(where, shows string) {
		t.Helper()
		ask(ctx, t, chromedp.Evaluate[bool](where+", true"))
		drive(ctx, t, chromedp.WaitVisible(shows))
	}
	history("history.back()", "#region")
	if got := ask(ctx, t, chromedp.Value("#region")); got != "eu-central-1" {
		t.Errorf("gone back, the Region is %q", got)
	}
	history("history.back()", "#namespace")
	history("history.forward()", "#region")
	drive(ctx, t, chromedp.Reload(), chromedp.WaitVisible("#region"))
	if got := ask(ctx, t, chromedp.Value("#region")); got != "eu-central-1" {
		t.Errorf("gone forward and reloaded, the Region is %q", got)
	}
	drive(ctx, t, chromedp.Click("#next"), chromedp.WaitVisible("#delegateSelectors"), chromedp.SendKeys("#delegateSelectors", "eks"), chromedp.Click("#next"), chromedp.WaitVisible("#line"))
	drive(ctx, t, chromedp.Click("#next"), chromedp.WaitVisible("#outcome"))
	if title := ask(ctx, t, chromedp.Text("#h-line")); title != "It holds" {
		t.Errorf("saved and tested, it says %q", title)
	}
}
