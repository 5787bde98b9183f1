// Package apitest is a manager without its process, for tests of the HTTP APIs: the real services on the real SQLite
// store, a clock that stands still, and callers of every role. Only the one who would call AWS is scripted.
package apitest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/identity"
	"github.com/belay-dev/belay/internal/infra"
	"github.com/belay-dev/belay/internal/oidc"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/preflight"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
	"github.com/belay-dev/belay/internal/store"
)

// World is a manager's services with one account, the organization org1 and its project prj1.
type World struct {
	Account     string
	Store       *store.Store
	Trail       *audit.Trail
	Identity    *identity.Service
	Orgs        *org.Service
	Secrets     *secret.Service
	Tokens      *delegate.Tokens
	Registry    *delegate.Registry
	Connectors  *connector.Service
	Definitions *infra.Keeper
	Issuer      *oidc.Service // at https://belay.example.com
	Runner      *Runner
	Preflights  *preflight.Service
	// Survey answers preflights; it must be set before one is made.
	Survey func(r preflight.Request) preflight.Outcome
	Edge   *api.Edge
	Clock  *Clock
	Log    *Log
	// Admin, Editor and Viewer have their role in the whole account, Project is an editor of org1/prj1 only. Revoked and
	// Stranger (an administrator of another account) may do nothing here.
	Admin, Editor, Viewer, Project, Revoked, Stranger string
	// Update writes golden files instead of comparing with them.
	Update bool
}

// Start is the time on the clock when New returns.
var Start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // Go has no constant times

// Clock stands still until it is moved.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now is the time on the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Move moves the clock.
func (c *Clock) Move(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// Log keeps everything that was logged.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends to the log.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String is all of it.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Runner answers connection tests as its script says.
type Runner struct {
	Answer  func(r connector.Request) connector.Result
	service *connector.Service
}

// Start records the scripted result at once.
func (r *Runner) Start(ctx context.Context, request connector.Request) error {
	result := r.Answer(request)
	result.Request = request
	return r.service.Record(ctx, result)
}

// Wait returns: the result is there.
func (*Runner) Wait(context.Context, string) error { return nil }

// surveyor answers preflights as the world's script says.
type surveyor struct{ world *World }

func (s surveyor) Start(ctx context.Context, r preflight.Request) error {
	o := s.world.Survey(r)
	o.Request = r
	return s.world.Preflights.Record(ctx, o)
}

func (surveyor) Wait(context.Context, string) error { return nil }

// New makes a world. It ends with the test.
func New(tb testing.TB) *World {
	tb.Helper()
	ctx := tb.Context()
	w := &World{Clock: &Clock{now: Start.Add(-7 * time.Second)}, Log: &Log{}}
	log := slog.New(slog.NewJSONHandler(w.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	var err error
	w.Store, err = store.Open(ctx, store.Config{URL: filepath.Join(tb.TempDir(), "belay.db"), Log: log})
	must(err)
	tb.Cleanup(func() {
		if err := w.Store.Close(); err != nil {
			tb.Error(err)
		}
	})
	key, err := secret.LoadMasterKey(filepath.Join(tb.TempDir(), "master.key"))
	must(err)
	keyring, err := secret.NewKeyring(key)
	must(err)
	now := w.Clock.Now
	w.Trail = &audit.Trail{Store: w.Store, Log: log, Now: now}
	w.Identity = &identity.Service{Store: w.Store, Audit: w.Trail, Log: log, Now: now}
	w.Orgs = &org.Service{Store: w.Store, Audit: w.Trail, Log: log, Now: now}
	w.Secrets = &secret.Service{Store: w.Store, Scopes: w.Orgs, Keyring: keyring, Audit: w.Trail, Log: log, Now: now}
	w.Tokens = &delegate.Tokens{Store: w.Store, Scopes: w.Orgs, Keyring: keyring, Audit: w.Trail, Log: log, Now: now}
	w.Registry = &delegate.Registry{Store: w.Store, Audit: w.Trail, Log: log, Now: now}
	must(w.Registry.Load(ctx))
	w.Runner = &Runner{}
	w.Connectors = &connector.Service{Store: w.Store, Scopes: w.Orgs, Runner: w.Runner, Audit: w.Trail, Log: log, Now: now}
	w.Runner.service = w.Connectors
	w.Preflights = &preflight.Service{Store: w.Store, Gate: w.Connectors, Runner: surveyor{w}, Audit: w.Trail, Log: log, Now: now}
	w.Definitions = &infra.Keeper{Store: w.Store, Scopes: w.Orgs, Audit: w.Trail, Log: log, Now: now}
	w.Issuer = &oidc.Service{
		Store: w.Store, Flags: w.Orgs, Connectors: w.Connectors, Keyring: keyring, Audit: w.Trail, Log: log, Now: now,
		URL: func() string { return "https://belay.example.com" },
	}
	w.Edge = &api.Edge{Keys: w.Identity, Log: log, Now: now}
	w.populate(tb)
	return w
}

func (w *World) populate(tb testing.TB) {
	tb.Helper()
	ctx := tb.Context()
	account, err := w.Orgs.CreateAccount(ctx, "main")
	if err != nil {
		tb.Fatal(err)
	}
	other, err := w.Orgs.CreateAccount(ctx, "other")
	if err != nil {
		tb.Fatal(err)
	}
	w.Account = account.ID
	who := audit.System(w.Account, "test")
	if _, err := w.Orgs.CreateOrganization(ctx, who, org.Organization{Account: w.Account, ID: "org1", Name: "Org 1"}); err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Orgs.CreateProject(ctx, who, org.Project{Account: w.Account, Org: "org1", ID: "prj1", Name: "Prj 1"}); err != nil {
		tb.Fatal(err)
	}
	w.Admin = w.Key(tb, "admin", audit.Admin, scope.Scope{Account: w.Account})
	w.Editor = w.Key(tb, "editor", audit.Editor, scope.Scope{Account: w.Account})
	w.Viewer = w.Key(tb, "viewer", audit.Viewer, scope.Scope{Account: w.Account})
	w.Project = w.Key(tb, "project", audit.Editor, scope.Scope{Account: w.Account, Org: "org1", Project: "prj1"})
	w.Stranger = w.Key(tb, "stranger", audit.Admin, scope.Scope{Account: other.ID})
	w.Revoked = w.Key(tb, "revoked", audit.Admin, scope.Scope{Account: w.Account})
	if err := w.Identity.Revoke(ctx, who, strings.Split(w.Revoked, ".")[2]); err != nil {
		tb.Fatal(err)
	}
	w.Clock.Move(time.Second)
}

// Key makes an API key.
func (w *World) Key(tb testing.TB, name string, role audit.Role, at scope.Scope) string {
	tb.Helper()
	_, token, err := w.Identity.Create(tb.Context(), audit.System(at.Account, "test"), name, []audit.Grant{{Scope: at, Role: role}}, time.Time{})
	if err != nil {
		tb.Fatal(err)
	}
	w.Clock.Move(time.Second) // so that lists by time have one order
	return token.Reveal()     //nolint:forbidigo // a test calls with it
}

// Delegate registers a delegate.
func (w *World) Delegate(tb testing.TB, d delegate.Delegate) delegate.Delegate {
	tb.Helper()
	if d.Scope.Account == "" {
		d.Scope.Account = w.Account
	}
	registered, err := w.Registry.Register(tb.Context(), d)
	if err != nil {
		tb.Fatal(err)
	}
	return registered
}

// Client calls a handler over a real connection.
type Client struct {
	tb    testing.TB
	world *World
	url   string
	http  *http.Client
	extra http.Header // of every request
}

// With is the client that sends a header with every request.
func (c *Client) With(name, value string) *Client {
	other := *c
	if other.extra = c.extra.Clone(); other.extra == nil {
		other.extra = http.Header{}
	}
	other.extra.Set(name, value)
	return &other
}

// Serve serves a handler until the test ends. The client follows no redirects.
func (w *World) Serve(tb testing.TB, h http.Handler) *Client {
	tb.Helper()
	server := httptest.NewServer(h)
	tb.Cleanup(server.Close)
	client := server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{tb: tb, world: w, url: server.URL, http: client}
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Do calls with a key (none when it is empty) and a body (none when it is empty). In path and body ACCOUNT stands for the
// world's account.
func (c *Client) Do(key, method, path, body string) Answer {
	c.tb.Helper()
	return c.Send(key, method, path, "application/json", body)
}

// Send is Do with a body of another type.
func (c *Client) Send(key, method, path, contentType, body string) Answer {
	c.tb.Helper()
	named := strings.NewReplacer("ACCOUNT", c.world.Account)
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(named.Replace(body))
	}
	r, err := http.NewRequestWithContext(c.tb.Context(), method, c.url+named.Replace(path), reader)
	if err != nil {
		c.tb.Fatal(err)
	}
	maps.Copy(r.Header, c.extra)
	if key != "" {
		r.Header.Set(api.HeaderKey, key)
	}
	if body != "" {
		r.Header.Set("Content-Type", contentType)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		c.tb.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		c.tb.Fatal(err)
	}
	return Answer{Status: answer.StatusCode, Header: answer.Header, Body: string(text)}
}

// Must calls as the administrator and fails the test unless the answer is 200.
func (c *Client) Must(method, path, body string) Answer {
	c.tb.Helper()
	a := c.Do(c.world.Admin, method, path, body)
	if a.Status != http.StatusOK {
		c.tb.Fatalf("%s %s: %d %s", method, path, a.Status, a.Body)
	}
	return a
}
