package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// stuckAfter is how long a loop may take for a round before the delegate says that it is stuck. The longest round is a
// minute of waiting and the call after it.
const stuckAfter = 5 * time.Minute

// Health is the answer of /api/health.
type Health struct {
	Status   string    `json:"status"`           // OK, or STUCK with 503
	Reason   string    `json:"reason,omitempty"` // why it is stuck
	State    string    `json:"state"`            // starting, connected, disconnected, draining
	Link     string    `json:"link,omitempty"`   // what the last call to the manager failed with
	LastCall time.Time `json:"lastContact,omitzero"`
	Delegate string    `json:"delegateId,omitempty"`
	Tasks    int       `json:"tasks"`
	Busy     string    `json:"busy,omitempty"` // why it takes no new task
}

// The states in Health.
const (
	stateStarting     = "starting"
	stateConnected    = "connected"
	stateDisconnected = "disconnected"
	stateDraining     = "draining"
)

// listen opens the listener of health and metrics. It is open before INIT_SCRIPT runs, so that probes see a delegate that
// starts.
func (a *Agent) listen(ctx context.Context) (net.Listener, error) {
	if a.Config.HTTPAddr == "" {
		return nil, nil //nolint:nilnil // none is wanted
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", a.Config.HTTPAddr)
	if err != nil {
		return nil, fmt.Errorf("serve health and metrics on %s: %w; set DELEGATE_HTTP_PORT to a port that is free", a.Config.HTTPAddr, err)
	}
	if a.Listening != nil {
		a.Listening(listener.Addr().String())
	}
	return listener, nil
}

// serve answers on the listener until ctx ends.
func (p *process) serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: p.routes(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: 60 * time.Second, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(p.Log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // nobody needs the end of an answer
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve health and metrics: %w", err)
	}
	return nil
}

func (p *process) routes() http.Handler {
	mux := http.NewServeMux()
	shown := promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{DisableCompression: true})
	mux.HandleFunc("/api/health", get(p.health))
	mux.HandleFunc("/api/metrics", get(shown.ServeHTTP))
	return mux
}

// get refuses every method but GET and HEAD.
func get(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET is answered here", http.StatusMethodNotAllowed)
			return
		}
		h(w, r)
	}
}

// health is 503 only when a loop of the delegate itself is stuck, which a restart mends. While the manager is away it
// stays 200 and says so: ending a delegate for that would end its running tasks and mend nothing.
func (p *process) health(w http.ResponseWriter, _ *http.Request) {
	h := p.condition()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if h.Reason != "" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(h) // the caller may be gone
}

func (p *process) condition() Health {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := Health{
		Status: "OK", State: stateStarting, Link: p.failure, LastCall: p.contact, Delegate: p.id, Tasks: len(p.running), Busy: p.busy,
	}
	switch {
	case p.draining:
		h.State = stateDraining
	case p.failure != "":
		h.State = stateDisconnected
	case p.id != "":
		h.State = stateConnected
	}
	now := p.now()
	for name, last := range p.rounds {
		if late := now.Sub(last); late > stuckAfter {
			h.Status, h.Reason = "STUCK", fmt.Sprintf("the loop of %s has not come round for %s", name, late.Round(time.Second))
		}
	}
	return h
}

// round notes that a loop lives; done that it ended as it should or waits on purpose.
func (p *process) round(loop string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rounds[loop] = p.now()
}

func (p *process) rest(loop string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.rounds, loop)
}
