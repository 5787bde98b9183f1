// Package manager is the wiring: it builds the services from their parts, in one literal, and runs them until its context
// ends. It holds no rules of its own beyond the first start, see bootstrap.
package manager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/belay-dev/belay/internal/agent"
	"github.com/belay-dev/belay/internal/api/link"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/awsops"
	"github.com/belay-dev/belay/internal/bell"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/identity"
	"github.com/belay-dev/belay/internal/infra"
	"github.com/belay-dev/belay/internal/oidc"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/preflight"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/secret"
	"github.com/belay-dev/belay/internal/store"
	"github.com/belay-dev/belay/internal/task"
	"github.com/belay-dev/belay/internal/web"
)

// Config is how a manager runs.
type Config struct {
	Data      string        // folder for database and master key; made with mode 0700
	Listen    string        // host:port; empty means DefaultListen
	PublicURL string        // how others reach it; empty means the listener's address
	Database  string        // postgres://… ; empty means SQLite in Data
	TLSCert   string        // PEM files; empty means plain HTTP, which only loopback may have
	TLSKey    string        //
	ClientCA  string        // PEM file; delegates must then show a certificate of this authority
	Insecure  bool          // plain HTTP on other addresses than loopback too
	MasterKey secret.Value  // empty: the file master.key in Data
	KeyLost   bool          // start although the master key does not open what the database holds
	TestEvery time.Duration // see connector.Service
	RateLimit float64       // calls a second of each API key, see identity.Limiter
	Keep      Keep          // how long what is done is remembered
	OIDC      oidc.Periods  // how the issuers' signing keys follow one another
	Version   string        // of the product
	Log       *slog.Logger
	// Env looks up the variables that the manager's own AWS calls follow.
	Env func(name string) string
	// Started is told once, when the manager serves.
	Started func(Started)
}

// Keep is how long what is done is remembered. Zero fields take the defaults.
type Keep struct {
	Tasks time.Duration // finished tasks; 0 means task.KeepFinished
	Tests time.Duration // tests of a connector, of which the newest connector.KeepTests stay; 0 means connector.KeepTestsFor
	Audit time.Duration // audit entries; 0 means 400 days
}

// keepAudit is how long audit entries are kept unless it is said.
const keepAudit = 400 * 24 * time.Hour

// DefaultListen is the address unless another is given.
const DefaultListen = "127.0.0.1:7990"

// Started is what the one who started the manager needs to know.
type Started struct {
	URL           string
	Account       string       // the first account
	AdminKey      secret.Value // of the first account; zero unless this start made it
	DelegateToken secret.Value // 32 hex digits; zero when no token of the account is active
	First         bool         // this start made the account
}

// Manager is the built services. Tests reach into it; the program only runs it.
type Manager struct {
	Store       *store.Store
	Bell        *bell.Local
	Trail       *audit.Trail
	Identity    *identity.Service
	Orgs        *org.Service
	Secrets     *secret.Service
	Tokens      *delegate.Tokens
	Registry    *delegate.Registry
	Queue       *task.Queue
	Connectors  *connector.Service
	Definitions *infra.Keeper
	Preflights  *preflight.Service
	Issuer      *oidc.Service
	config      Config
	platform    *platform
	prometheus  *prometheus.Registry
	listener    net.Listener
	handler     *handler
	link        *link.Server
	pages       *web.Server
	firstStart  Started
	certificate certificate
}

// Run builds a manager and runs it until ctx ends. It returns nil when it was asked to end.
func Run(ctx context.Context, c Config) error {
	m, err := New(ctx, c)
	if err != nil {
		return err
	}
	return errors.Join(m.Run(ctx), m.Close())
}

// New opens the database, builds the services and the listener, and makes the first account where there is none.
func New(ctx context.Context, c Config) (_ *Manager, err error) {
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Env == nil {
		c.Env = func(string) string { return "" }
	}
	m := &Manager{config: c}
	defer func() {
		if store.Damaged(err) {
			err = fmt.Errorf("the database %s is damaged; restore it from a backup: %w", c.sqlite(), err)
		}
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	if m.certificate, err = loadCertificate(c); err != nil {
		return nil, err
	}
	if err := checkAddresses(ctx, c); err != nil {
		return nil, err
	}
	if err := c.OIDC.Check(); err != nil {
		return nil, err
	}
	keyring, err := openKeyring(c)
	if err != nil {
		return nil, err
	}
	database := c.Database
	if database == "" {
		database = c.sqlite()
	}
	if m.Store, err = store.Open(ctx, store.Config{URL: database, Log: c.Log}); err != nil {
		return nil, err
	}
	if err := m.checkKey(ctx, keyring); err != nil {
		return nil, err
	}
	m.build(keyring)
	if err := m.Registry.Load(ctx); err != nil {
		return nil, err
	}
	// The address comes first: a start that fails for it must not have made a key that nobody saw.
	if m.listener, err = listen(ctx, c.Listen); err != nil {
		return nil, err
	}
	if m.firstStart, err = m.bootstrap(ctx); err != nil {
		return nil, err
	}
	m.firstStart.URL = m.url()
	return m, nil
}

// build is the wiring.
func (m *Manager) build(keyring *secret.Keyring) {
	c, now := m.config, time.Now
	m.prometheus = prometheus.NewRegistry()
	m.prometheus.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	m.Bell = &bell.Local{}
	m.Trail = &audit.Trail{Store: m.Store, Log: c.Log, Now: now}
	m.Identity = &identity.Service{Store: m.Store, Audit: m.Trail, Log: c.Log, Now: now}
	m.Orgs = &org.Service{Store: m.Store, Audit: m.Trail, Log: c.Log, Now: now}
	m.Secrets = &secret.Service{Store: m.Store, Scopes: m.Orgs, Keyring: keyring, Audit: m.Trail, Log: c.Log, Now: now}
	m.Tokens = &delegate.Tokens{Store: m.Store, Scopes: m.Orgs, Keyring: keyring, Audit: m.Trail, Log: c.Log, Now: now}
	m.Registry = &delegate.Registry{Store: m.Store, Audit: m.Trail, Log: c.Log, Now: now}

	tests := &validation{Store: m.Store, Secrets: m.Secrets, Fleet: m.Registry, Log: c.Log}
	preflights := &surveys{validation: tests}
	m.Queue = &task.Queue{
		Store: m.Store, Bell: m.Bell, Fleet: m.Registry, Log: c.Log, Now: now, Keep: c.Keep.Tasks,
		Kinds:    []task.Kind{validationKind(), surveyKind(), pingKind()},
		Handlers: map[string]task.Handler{protocol.TypeAWSValidate: tests, protocol.TypeAWSSurvey: preflights},
	}
	m.Connectors = &connector.Service{Store: m.Store, Scopes: m.Orgs, Runner: tests, Audit: m.Trail, Log: c.Log, Now: now, TestEvery: c.TestEvery, Keep: c.Keep.Tests}
	m.Issuer = &oidc.Service{
		Store: m.Store, Flags: m.Orgs, Connectors: m.Connectors, Keyring: keyring, Audit: m.Trail, Metrics: oidc.NewMetrics(m.prometheus),
		Log: c.Log, Now: now, URL: m.url, Periods: c.OIDC,
	}
	m.Definitions = &infra.Keeper{Store: m.Store, Scopes: m.Orgs, Audit: m.Trail, Log: c.Log, Now: now}
	tests.Queue, tests.Connectors, tests.Issuer = m.Queue, m.Connectors, m.Issuer
	m.Preflights = &preflight.Service{Store: m.Store, Gate: m.Connectors, Runner: preflights, Audit: m.Trail, Log: c.Log, Now: now}
	preflights.Preflights = m.Preflights

	sessions := &awsops.Sessions{Env: c.Env, Log: c.Log}
	m.platform = &platform{
		Queue: m.Queue, Accounts: m.Orgs, Bell: m.Bell, Log: c.Log,
		Runners: map[string]agent.Runner{
			protocol.TypeAWSValidate: agent.AWSRunner{Validator: sessions},
			protocol.TypeAWSSurvey:   agent.AWSSurveyRunner{Surveyor: sessions},
		},
	}
	m.handler = m.newHandler()
}

// Run serves until ctx ends. What it runs ends together: the first failure ends all.
func (m *Manager) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for name, loop := range map[string]func(context.Context) error{
		"presence of delegates": m.Registry.Run,
		"tasks":                 m.Queue.Run,
		"periodic tests":        m.Connectors.Run,
		"platform tasks":        m.platform.Run,
		"signing keys":          m.Issuer.Run,
		"housekeeping":          m.housekeeping,
		"http":                  m.serve,
	} {
		group.Go(func() error {
			if err := loop(ctx); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	m.config.Log.InfoContext(ctx, "manager serves", slog.String("url", m.firstStart.URL), slog.String("version", m.config.Version))
	if m.config.Started != nil {
		m.config.Started(m.firstStart)
	}
	return group.Wait()
}

// Started is what New found and made.
func (m *Manager) Started() Started { return m.firstStart }

// Close closes what New opened. It is called when Run has returned.
func (m *Manager) Close() error {
	var errs []error
	if m.listener != nil {
		if err := m.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if m.Store != nil {
		errs = append(errs, m.Store.Close())
	}
	return errors.Join(errs...)
}

// housekeeping ends tokens whose end has come, and deletes old audit entries.
func (m *Manager) housekeeping(ctx context.Context) error {
	const every = time.Minute
	keep := cmp.Or(m.config.Keep.Audit, keepAudit)
	tick := time.NewTicker(every)
	defer tick.Stop()
	var cleaned time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := m.Tokens.Expire(ctx); err != nil && ctx.Err() == nil {
			m.config.Log.ErrorContext(ctx, "delegate tokens not expired", slog.Any("error", err))
		}
		if now := time.Now(); now.Sub(cleaned) > time.Hour {
			cleaned = now
			if err := m.Store.DeleteAudit(ctx, now.Add(-keep)); err != nil && ctx.Err() == nil {
				m.config.Log.ErrorContext(ctx, "old audit entries not deleted", slog.Any("error", err))
			}
		}
	}
}

func (m *Manager) url() string {
	if m.config.PublicURL != "" {
		return strings.TrimRight(m.config.PublicURL, "/")
	}
	scheme := "http"
	if m.certificate.tls != nil {
		scheme = "https"
	}
	return scheme + "://" + m.listener.Addr().String()
}
