package manager

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// handler places every path: NextGen and Belay's own API, the delegates' protocol, documentation, and what operators ask.
type handler struct {
	manager   *Manager
	ng        http.Handler
	v1        http.Handler
	link      http.Handler
	metrics   http.Handler
	publicURL string
}

// gateway is the prefix that clients of the system Belay stands in for put before every path; it means nothing.
const gateway = "/gateway"

// ServeHTTP does not use a ServeMux, whose redirects and own texts the clients do not understand.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if rest, ok := strings.CutPrefix(path, gateway); ok && strings.HasPrefix(rest, "/") {
		path = rest
		u := *r.URL
		u.Path, u.RawPath = rest, strings.TrimPrefix(u.RawPath, gateway)
		clone := *r
		clone.URL = &u
		r = &clone
	}
	switch {
	case under(path, "/ng/api"):
		h.ng.ServeHTTP(w, r)
	case under(path, "/api/agent"), under(path, "/api/executions"), under(path, "/api/account"):
		h.delegates(w, r)
	case path == "/healthz":
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	case path == "/readyz":
		h.ready(w, r)
	case path == "/metrics":
		h.metrics.ServeHTTP(w, r)
	default:
		h.v1.ServeHTTP(w, r) // and the JSON answer for whatever there is not
	}
}

func under(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }

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

// metricsHandler answers Prometheus.
func (m *Manager) metricsHandler() http.Handler {
	return promhttp.HandlerFor(m.prometheus, promhttp.HandlerOpts{Registry: m.prometheus})
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
	m.endPolls()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := server.Shutdown(stopping)
	if errors.Is(err, context.DeadlineExceeded) {
		hangUp()
		err = server.Close()
	}
	<-done
	return err
}
