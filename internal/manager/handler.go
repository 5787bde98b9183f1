package manager

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/belay-dev/belay/docs"
	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/api/fg"
	"github.com/belay-dev/belay/internal/api/link"
	"github.com/belay-dev/belay/internal/api/ng"
	"github.com/belay-dev/belay/internal/api/openapi"
	v1 "github.com/belay-dev/belay/internal/api/v1"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/identity"
	"github.com/belay-dev/belay/internal/task"
	"github.com/belay-dev/belay/internal/web"
)

// handler places every path: NextGen, FirstGen and Belay's own API, the delegates' protocol, pages for people, documentation,
// and what operators ask.
type handler struct {
	manager  *Manager
	document func() ([]byte, error) // of OpenAPI
	ng       http.Handler
	others   http.Handler
	fg       http.Handler
	v1       http.Handler
	link     http.Handler
	pages    http.Handler
	metrics  http.Handler
}

// newHandler builds the edges.
func (m *Manager) newHandler() *handler {
	c, now := m.config, time.Now
	limiter := &identity.Limiter{Rate: c.RateLimit}
	edge := &api.Edge{
		Keys: m.Identity, Limiter: limiter, Metrics: api.NewMetrics(m.prometheus), Log: c.Log, Now: now,
	}
	m.link = &link.Server{
		Tokens: m.Tokens, Delegates: m.Registry, Queue: m.Queue, Accounts: m.Orgs, Bell: m.Bell, Log: c.Log, Now: now, Metrics: m.prometheus,
	}
	m.Tokens.Revoked, m.Orgs.Deleted = m.link.Revoke, m.link.Deleted
	m.Registry.Tagged = func(ids []delegate.ID) {
		for _, id := range ids {
			m.Bell.Ring(task.DelegateTopic(id)) // its parked poll looks at what it may take now
		}
	}
	nextGen := &ng.Server{
		Edge: edge, Connectors: m.Connectors, Secrets: m.Secrets, Organizations: m.Orgs, Tokens: m.Tokens, Delegates: m.Registry,
		Definitions: m.Definitions, Issuer: m.Issuer, URL: m.url, Now: now,
	}
	older := &fg.Server{Edge: edge, Connectors: m.Connectors, Secrets: m.Secrets, Texts: m.Store, Log: c.Log}
	work := &task.Reader{Store: m.Store, Audit: m.Trail}
	own := &v1.Server{
		Edge: edge, Connectors: m.Connectors, Preflights: m.Preflights, Keys: m.Identity, Trail: m.Trail, Accounts: m.Orgs, Tokens: m.Tokens, Delegates: m.Registry,
		Pinger: &pinger{Queue: m.Queue, Fleet: m.Registry, Audit: m.Trail}, Tasks: work, Issuer: m.Issuer,
		URL: m.url, Pages: docs.Errors(), Version: c.Version, Now: now,
	}
	m.pages = &web.Server{
		Keys: m.Identity, Limiter: limiter, Connectors: m.Connectors, Preflights: m.Preflights, Definitions: m.Definitions, Ended: m.Store,
		Tasks: work, URL: m.url, Delegates: m.Registry, Tokens: m.Tokens, Organizations: m.Orgs, Secrets: m.Secrets, Trail: m.Trail, Issuer: m.Issuer,
		About: m.about(), Secure: m.certificate.tls != nil || strings.HasPrefix(c.PublicURL, "https://"), Version: c.Version, Log: c.Log, Now: now,
	}
	groups := []openapi.Group{nextGen.Group(), own.Group()}
	return &handler{
		document: sync.OnceValues(func() ([]byte, error) { return openapi.Document(c.Version, m.url(), groups, others()) }),
		manager:  m, ng: nextGen.Handler(), others: nextGen.Others(), fg: older.Handler(), v1: own.Handler(), link: m.link.Handler(), pages: m.pages.Handler(),
		metrics: promhttp.HandlerFor(m.prometheus, promhttp.HandlerOpts{Registry: m.prometheus}),
	}
}

// ServeHTTP does not use a ServeMux, whose redirects and own texts the clients do not understand.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = api.Rooted(r)
	path := r.URL.Path
	switch {
	case under(path, "/ng/api"), misplaced(path):
		h.ng.ServeHTTP(w, r)
	case ng.IsOther(path):
		h.others.ServeHTTP(w, r)
	case path == "/api/graphql", under(path, "/api/setup-as-code"):
		h.fg.ServeHTTP(w, r)
	case under(path, "/api/agent"), under(path, "/api/executions"), under(path, "/api/account"):
		h.delegates(w, r)
	case path == "/healthz":
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	case path == "/readyz":
		h.ready(w, r)
	case path == "/metrics":
		h.metrics.ServeHTTP(w, r)
	case path == "/", under(path, "/ui"):
		h.pages.ServeHTTP(w, r)
	case path == "/openapi.json" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		h.openAPI(w, r)
	default:
		h.v1.ServeHTTP(w, r) // and the JSON answer for whatever there is not
	}
}

func under(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }

// misplaced reports whether a path is one of the NextGen API below a word that is not the gateway's. It has the words for
// clients that are set up so.
func misplaced(path string) bool {
	_, rest, found := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return found && strings.HasPrefix(rest, "ng/api/")
}

// delegates refuses whoever shows no certificate, where an authority for them is set.
func (h *handler) delegates(w http.ResponseWriter, r *http.Request) {
	if h.manager.config.ClientCA != "" && (r.TLS == nil || len(r.TLS.VerifiedChains) == 0) {
		http.Error(w, "this manager asks delegates for a client certificate; set DELEGATE_CLIENT_CERTIFICATE_PATH and DELEGATE_CLIENT_CERTIFICATE_KEY_PATH", http.StatusForbidden)
		return
	}
	h.link.ServeHTTP(w, r)
}

// ready says whether the manager can do its work: the database answers.
func (h *handler) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := h.manager.Store.Ping(ctx); err != nil {
		h.manager.config.Log.WarnContext(ctx, "database does not answer", slog.Any("error", err))
		answer(w, http.StatusServiceUnavailable, map[string]string{"status": "unavailable", "reason": "the database does not answer"})
		return
	}
	answer(w, http.StatusOK, map[string]string{"status": "ready"})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the other side hung up
}

// serve answers until ctx ends, and then gives calls under way a moment. It speaks HTTP/1.1 only: ten thousand parked
// polls cost less on it than on HTTP/2, where each delegate would have a connection of its own all the same.
func (m *Manager) serve(ctx context.Context) error {
	const idle, headers, grace = 2 * time.Minute, 10 * time.Second, 5 * time.Second
	// Calls end with the server, not with ctx: those under way may finish within the grace.
	calls, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	server := &http.Server{
		Handler: m.handler, TLSConfig: m.certificate.tls, Protocols: &protocols,
		ReadHeaderTimeout: headers, ReadTimeout: 2 * time.Minute, IdleTimeout: idle, MaxHeaderBytes: 32 << 10,
		ErrorLog:    slog.NewLogLogger(m.config.Log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return calls },
	}
	done := make(chan error, 1)
	go func() {
		if m.certificate.tls != nil {
			done <- server.ServeTLS(m.listener, "", "")
			return
		}
		done <- server.Serve(m.listener)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	m.link.Stop()
	m.pages.Stop()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := server.Shutdown(stopping)
	if errors.Is(err, context.DeadlineExceeded) {
		hangUp()
		err = server.Close()
	}
	if ended := <-done; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// openAPI serves the OpenAPI document of all that is served here. It is made when it is first asked for.
func (h *handler) openAPI(w http.ResponseWriter, r *http.Request) {
	text, err := h.document()
	if err != nil {
		h.manager.config.Log.ErrorContext(r.Context(), "the OpenAPI document cannot be made", slog.Any("error", err))
		answer(w, http.StatusInternalServerError, map[string]string{"message": "the OpenAPI document cannot be made; the manager's log has the cause"})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(text) // the other side hung up
}

// others are the paths that no router of an API has.
func others() []openapi.Extra {
	var all []openapi.Extra
	for _, c := range link.Calls() { // a token of the delegate's own proves who it is
		all = append(all, openapi.Extra{Method: c.Method, Path: c.Path, Summary: c.Summary, Tag: "delegates", Open: true})
	}
	operator := func(path, summary string) openapi.Extra {
		return openapi.Extra{Method: http.MethodGet, Path: path, Summary: summary, Tag: "operators", Open: true}
	}
	older := func(method, path, summary string) openapi.Extra {
		return openapi.Extra{Method: method, Path: path, Summary: summary, Tag: "firstgen"}
	}
	return append(all,
		older(http.MethodPost, "/api/graphql", "GraphQL of older clients, for secrets and cloud providers"),
		older(http.MethodPost, "/api/setup-as-code/yaml/upsert-entity", "Create or change a cloud provider by its YAML"),
		older(http.MethodGet, "/api/setup-as-code/yaml/directory", "The tree of what older clients wrote"),
		older(http.MethodGet, "/api/setup-as-code/yaml/{rest}/{uuid}", "The YAML of a cloud provider"),
		operator("/healthz", "The manager lives"),
		operator("/readyz", "The manager can do its work: the database answers"),
		operator("/metrics", "Metrics, as Prometheus reads them"),
		operator("/openapi.json", "This document"),
	)
}
