package web_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/api/apitest"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/infra"
	"github.com/belay-dev/belay/internal/preflight"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
	"github.com/belay-dev/belay/internal/task"
	"github.com/belay-dev/belay/internal/web"
)

// pages is the pages on the real services, served over a real connection.
type pages struct {
	*apitest.World
	url    string
	server *web.Server
	// surveyed is the evidence of the next preflight.
	surveyed *connector.Evidence
}

// surveyor answers preflights as the fixture says.
type surveyor struct {
	pages   *pages
	service *preflight.Service
}

func (s *surveyor) Start(ctx context.Context, r preflight.Request) error {
	now := s.pages.Clock.Now()
	return s.service.Record(ctx, preflight.Outcome{Request: r, StartedAt: now, EndedAt: now, Delegate: "eks-prod-1", Evidence: s.pages.surveyed})
}

func (*surveyor) Wait(context.Context, string) error { return nil }

func serve(tb testing.TB) *pages {
	tb.Helper()
	w := apitest.New(tb)
	p := &pages{World: w}
	log := slog.New(slog.NewTextHandler(w.Log, nil))
	runner := &surveyor{pages: p}
	runner.service = &preflight.Service{Store: w.Store, Gate: w.Connectors, Runner: runner, Audit: w.Trail, Log: log, Now: w.Clock.Now}
	p.server = &web.Server{
		Keys: w.Identity, Connectors: w.Connectors, Preflights: runner.service, Definitions: w.Definitions, Ended: w.Store, Delegates: w.Registry, Tokens: w.Tokens, Organizations: w.Orgs,
		Tasks: &task.Reader{Store: w.Store, Audit: w.Trail}, URL: func() string { return "https://belay.example.com" },
		Secrets: w.Secrets, Trail: w.Trail, Issuer: w.Issuer, About: web.About{Store: "SQLite", TestEvery: 30 * time.Minute, RateLimit: "200 a second"}, Version: "1.2.3", Log: log, Now: w.Clock.Now,
	}
	server := httptest.NewServer(p.server.Handler())
	tb.Cleanup(server.Close)
	tb.Cleanup(p.server.Stop) // before, so that no stream holds the server up
	p.url = server.URL
	w.Runner.Answer = p.holds
	return p
}

// holds is the answer of a connection that holds.
func (p *pages) holds(r connector.Request) connector.Result {
	now := p.Clock.Now()
	return connector.Result{StartedAt: now.Add(-230 * time.Millisecond), EndedAt: now, Delegate: "eks-prod-1", Evidence: &connector.Evidence{
		Region: r.Connector.TestRegion(), Took: 214 * time.Millisecond, Regions: []string{"eu-central-1", "eu-west-1", "us-east-1"},
		Identity: &connector.Identity{ARN: "arn:aws:sts::444455556666:assumed-role/belay-deploy/belay", Account: "444455556666", UserID: "AROAEXAMPLE:belay"},
	}}
}

// breaks is the answer of one that AWS refuses.
func (p *pages) breaks(connector.Request) connector.Result {
	now := p.Clock.Now()
	return connector.Result{StartedAt: now, EndedAt: now, Delegate: "eks-prod-1", Evidence: &connector.Evidence{
		Region: "us-east-1", Took: 96 * time.Millisecond,
		Identity: &connector.Identity{ARN: "arn:aws:sts::444455556666:assumed-role/belay-deploy/belay", Account: "444455556666", UserID: "AROAEXAMPLE:belay"},
		Failure: &connector.Failure{
			Step: connector.StepRegions, Service: "ec2", Operation: "DescribeRegions", Code: "UnauthorizedOperation", Status: 403, Region: "us-east-1", RequestID: "b5c1e0f2-7d1e",
			Message: "You are not authorized to perform this operation. User: arn:aws:sts::444455556666:assumed-role/belay-deploy/belay is not authorized to perform: ec2:DescribeRegions because no identity-based policy allows the ec2:DescribeRegions action",
		},
	}}
}

// bounded is the answer of one that a permissions boundary keeps out of the Region in which it is tested.
func (p *pages) bounded(r connector.Request) connector.Result {
	result := p.breaks(r)
	result.StartedAt = result.EndedAt.Add(-662 * time.Millisecond)
	e := result.Evidence
	e.Took = 644 * time.Millisecond
	e.Calls = []connector.Call{
		{Step: connector.StepCredentials, Took: 212 * time.Millisecond},
		{Step: connector.StepAssumeRole, Took: 148 * time.Millisecond},
		{Step: connector.StepIdentity, Took: 96 * time.Millisecond},
		{Step: connector.StepRegions, Took: 188 * time.Millisecond},
	}
	e.Failure.Message = "You are not authorized to perform this operation. User: arn:aws:sts::444455556666:assumed-role/belay-deploy/belay is not authorized to perform: ec2:DescribeRegions " +
		"with an explicit deny in a permissions boundary: arn:aws:iam::444455556666:policy/platform-boundary"
	e.Permissions = &connector.Permissions{
		Principal: "arn:aws:sts::444455556666:assumed-role/belay-deploy/belay", Role: "arn:aws:iam::444455556666:role/belay-deploy",
		Identity: []connector.PolicyText{{Name: "deploy", Via: "inline", Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}`}},
		Boundary: &connector.PolicyText{Name: "platform-boundary", ARN: "arn:aws:iam::444455556666:policy/platform-boundary", Via: "boundary", Version: "v7", Document: boundary},
		Unread:   []connector.Unread{{What: connector.PartSCP, Action: "organizations:ListPoliciesForTarget", Code: "AccessDenied"}},
	}
	return result
}

const boundary = `{"Version":"2012-10-17","Statement":[{"Sid":"AllowAllInside","Effect":"Allow","Action":"*","Resource":"*"},` +
	`{"Sid":"DenyOutsideEurope","Effect":"Deny","NotAction":["iam:*","sts:*","cloudfront:*","route53:*"],"Resource":"*",` +
	`"Condition":{"StringNotEquals":{"aws:RequestedRegion":["eu-central-1","eu-west-1"]}}}]}`

// hardlyAllowed is the evidence of an identity that may see the Regions and nothing else.
func hardlyAllowed() *connector.Evidence {
	return &connector.Evidence{
		Region: "us-east-1", Identity: &connector.Identity{ARN: "arn:aws:iam::444455556666:user/deploy", Account: "444455556666"},
		Permissions: &connector.Permissions{Principal: "arn:aws:iam::444455556666:user/deploy", Identity: []connector.PolicyText{
			{Name: "deploy", Via: "inline", Document: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:DescribeRegions","Resource":"*"}}`},
		}},
	}
}

// add makes a connector.
func (p *pages) add(tb testing.TB, c connector.Connector) connector.Connector {
	tb.Helper()
	if c.Scope.Account == "" {
		c.Scope.Account = p.Account
	}
	if c.Name == "" {
		c.Name = c.ID
	}
	if c.Credential == nil {
		c.Credential = connector.InheritFromDelegate{}
	}
	stored, err := p.Connectors.Create(tb.Context(), audit.System(p.Account, "test"), c)
	if err != nil {
		tb.Fatal(err)
	}
	return stored.Connector
}

// test tests a connector, with the answer given.
func (p *pages) test(tb testing.TB, c connector.Connector, answer func(connector.Request) connector.Result) {
	tb.Helper()
	p.Runner.Answer = answer
	if _, err := p.Connectors.Test(tb.Context(), audit.System(p.Account, "test"), c.Scope, c.ID, connector.Options{Trigger: connector.OnDemand}); err != nil {
		tb.Fatal(err)
	}
	p.Runner.Answer = p.holds
}

// populate makes what a page has to show: connectors of every status and delegates in trouble and out of it.
func (p *pages) populate(tb testing.TB) {
	tb.Helper()
	project := scope.Scope{Account: p.Account, Org: "org1", Project: "prj1"}
	for i := range 6 {
		p.test(tb, p.add(tb, connector.Connector{ID: fmt.Sprintf("orders_eu_%d", i), Credential: connector.IRSA{}, Selectors: []string{"eks"}}), p.holds)
	}
	broken := p.add(tb, connector.Connector{
		ID: "payments_prod", Name: "payments prod", Scope: project, Credential: connector.IRSA{}, Selectors: []string{"eks"},
		CrossAccount: &connector.CrossAccount{RoleARN: "arn:aws:iam::444455556666:role/belay-deploy", ExternalID: "x-1"},
	})
	for i := range 9 {
		answer := p.holds
		if i > 6 {
			answer = p.bounded
		}
		p.test(tb, broken, answer)
		p.Clock.Move(10 * time.Minute)
	}
	nobody := p.add(tb, connector.Connector{ID: "risk_batch", Name: "risk batch", Selectors: []string{"frankfurt"}})
	p.test(tb, nobody, func(connector.Request) connector.Result {
		now := p.Clock.Now()
		return connector.Result{StartedAt: now, EndedAt: now, NotRun: &connector.NotRun{Cause: connector.NoDelegate, Message: "No delegate has frankfurt.", Reasons: []string{"eks-prod-1: lacks frankfurt"}}}
	})
	p.add(tb, connector.Connector{ID: "search_dev", Name: "search dev"})
	if _, err := p.Secrets.Create(tb.Context(), audit.System(p.Account, "test"), secret.Secret{
		Scope: scope.Scope{Account: p.Account}, ID: "deploy_key", Name: "deploy key", Manager: secret.BuiltInManager, Kind: secret.Inline,
	}, secret.NewValue("never-in-a-page")); err != nil {
		tb.Fatal(err)
	}
	p.add(tb, connector.Connector{ID: "shop_cluster", Credential: connector.Kubernetes{Spec: []byte(`{"credential":{"type":"InheritFromDelegate"},"delegateSelectors":["eks"]}`)}})
	for id, text := range map[string]string{"checkout": "connectorRef: payments_prod", "ledger": "connectorRef: <+input>"} {
		if _, err := p.Definitions.Create(tb.Context(), audit.System(p.Account, "test"), infra.Definition{
			Kind: infra.Service, Scope: project, ID: id, Name: id, YAML: "service:\n  name: " + id + "\n  identifier: " + id + "\n  orgIdentifier: org1\n  projectIdentifier: prj1\n  serviceDefinition: {spec: {artifacts: {" + text + "}}}\n",
		}); err != nil {
			tb.Fatal(err)
		}
	}
	p.Delegate(tb, delegate.Delegate{Name: "ec2-frankfurt", HostName: "i-0a41f97c2d", Tags: []string{"ec2"}, Version: delegate.Current()})
	p.Clock.Move(22 * time.Minute)
	p.Delegate(tb, delegate.Delegate{Name: "eks-prod-1", HostName: "eks-prod-1-6d9f", Tags: []string{"eks", "prod"}, Version: delegate.Current()})
	busy := p.Delegate(tb, delegate.Delegate{Name: "ecs-shared", HostName: "task-7f3c", Tags: []string{"ecs"}, Version: delegate.Current()})
	if _, err := p.Registry.Seen(p.Account, busy.ID, &delegate.Report{Busy: "CPU at 93 %, threshold 80 %"}); err != nil {
		tb.Fatal(err)
	}
}

// browser is one who visits the pages: it keeps cookies and says where its requests come from, as browsers do.
type browser struct {
	t     testing.TB
	pages *pages
	http  *http.Client
}

func (p *pages) browser(tb testing.TB) *browser {
	tb.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return &browser{tb, p, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// answer is a page.
type answer struct {
	status int
	header http.Header
	body   string
}

func (b *browser) do(method, path string, form url.Values, header map[string]string) answer {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.pages.url+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	got, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer got.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(got.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{got.StatusCode, got.Header, string(text)}
}

func (b *browser) get(path string) answer {
	b.t.Helper()
	return b.do(http.MethodGet, path, nil, nil)
}

var hidden = regexp.MustCompile(`name="token" value="([0-9a-f]+)"`)

// token is that of the forms of a page.
func (a answer) token(tb testing.TB) string {
	tb.Helper()
	found := hidden.FindStringSubmatch(a.body)
	if found == nil {
		tb.Fatalf("the page has no form with a token: %d %.400s", a.status, a.body)
	}
	return found[1]
}

// post sends a form as its page would: with the token of the session.
func (b *browser) post(path string, form url.Values) answer {
	b.t.Helper()
	if form == nil {
		form = url.Values{}
	}
	form.Set("token", b.get("/ui/").token(b.t))
	return b.do(http.MethodPost, path, form, nil)
}

// signIn signs in with a key, for as long as the test lasts.
func (p *pages) signIn(tb testing.TB, key string) *browser {
	tb.Helper()
	b := p.browser(tb)
	got := b.do(http.MethodPost, "/ui/signin", url.Values{"key": {key}, "token": {b.get("/ui/signin").token(tb)}}, nil)
	if got.status != http.StatusSeeOther {
		tb.Fatalf("sign in: %d %s", got.status, got.body)
	}
	return b
}
