package agent_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/pem"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/agent"
	"github.com/belay-dev/belay/internal/api/link"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/bell"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
	"github.com/belay-dev/belay/internal/store"
	"github.com/belay-dev/belay/internal/task"
)

// hub is a manager as far as delegates see it: the real server of the protocol on the real store.
type hub struct {
	account  string
	token    string
	tokens   *delegate.Tokens
	registry *delegate.Registry
	queue    *task.Queue
	server   *link.Server
	handler  http.Handler
	log      *lines
}

const (
	waitKind  = "WAIT"
	panicKind = "PANIC"
)

func newHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{log: &lines{}}
	log := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	db, err := store.Open(t.Context(), store.Config{URL: filepath.Join(t.TempDir(), "belay.db"), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	master, err := secret.NewMasterKey()
	if err != nil {
		t.Fatal(err)
	}
	keyring, err := secret.NewKeyring(master)
	if err != nil {
		t.Fatal(err)
	}
	trail := &audit.Trail{Store: db, Log: log, Now: time.Now}
	orgs := &org.Service{Store: db, Audit: trail, Log: log, Now: time.Now}
	account, err := orgs.CreateAccount(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	h.account = account.ID
	h.registry = &delegate.Registry{Store: db, Audit: trail, Log: log, Now: time.Now}
	if err := h.registry.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	bells := &bell.Local{}
	h.queue = &task.Queue{
		Store: db, Bell: bells, Fleet: h.registry, Log: log, Now: time.Now,
		Kinds: []task.Kind{
			{Name: protocol.TypePing, RetrySafe: true, Timeout: time.Minute},
			{Name: waitKind, Timeout: time.Minute},
			{Name: panicKind, Timeout: time.Minute},
		},
	}
	h.tokens = &delegate.Tokens{Store: db, Scopes: orgs, Keyring: keyring, Audit: trail, Log: log, Now: time.Now}
	h.server = &link.Server{Tokens: h.tokens, Delegates: h.registry, Queue: h.queue, Accounts: orgs, Bell: bells, Log: log, Now: time.Now}
	h.tokens.Revoked = h.server.Revoke
	h.handler = h.server.Handler()
	_, value, err := h.tokens.Bootstrap(t.Context(), h.account)
	if err != nil {
		t.Fatal(err)
	}
	key, err := delegate.ParseToken(value)
	if err != nil {
		t.Fatal(err)
	}
	h.token = hex.EncodeToString(key)
	t.Cleanup(h.server.Stop)
	return h
}

// serve is the hub over TLS, and the file of the certificate that it shows.
func (h *hub) serve(t *testing.T, change func(*httptest.Server)) (url, ca string) {
	t.Helper()
	server := httptest.NewUnstartedServer(h.handler)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	if change != nil {
		change(server)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	t.Cleanup(h.server.Stop)
	return server.URL, write(t, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

func write(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// environment is what an install form sets, changed by the test.
func (h *hub) environment(url, ca string, more map[string]string) func(string) string {
	all := map[string]string{
		"ACCOUNT_ID": h.account, "DELEGATE_TOKEN": h.token, "MANAGER_HOST_AND_PORT": url, "DELEGATE_NAME": "eks-test-new",
		"DELEGATE_TYPE": "KUBERNETES", "DELEGATE_TAGS": "eu, prod", "BELAY_CA_FILE": ca, "BELAY_DELEGATE_HTTP_ADDR": "127.0.0.1:0",
	}
	maps.Copy(all, more)
	return func(name string) string { return all[name] }
}

// running is a delegate in this process.
type running struct {
	id   string
	log  *lines
	web  string // of health and metrics
	stop context.CancelFunc
	done chan error
}

// start runs a delegate and waits until the manager knows it.
func (h *hub) start(t *testing.T, env func(string) string, change func(*agent.Agent)) *running {
	t.Helper()
	r := h.begin(t, env, change)
	d := h.eventually(t, func(d delegate.Delegate) bool { return d.Alive(time.Now()) })
	r.id = string(d.ID)
	return r
}

func (h *hub) begin(t *testing.T, env func(string) string, change func(*agent.Agent)) *running {
	t.Helper()
	c, err := agent.ConfigFromEnv(env)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{log: &lines{}, done: make(chan error, 1)}
	web := make(chan string, 1)
	a := &agent.Agent{
		Config: c, Runners: map[string]agent.Runner{protocol.TypePing: agent.PingRunner{HostName: "here"}},
		Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Listening: func(addr string) { web <- addr },
	}
	if change != nil {
		change(a)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	r.stop = stop
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.done <- a.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		if t.Failed() {
			t.Logf("the delegate's log:\n%s", r.log)
		}
	})
	select {
	case addr := <-web:
		r.web = "http://" + addr
	case <-ended:
	}
	return r
}

// eventually waits until a delegate of the account is as the test wants it.
func (h *hub) eventually(t *testing.T, is func(delegate.Delegate) bool) delegate.Delegate {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); ; {
		for _, d := range h.registry.InAccount(h.account) {
			if is(d) {
				return d
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no delegate is as it should be: %+v", h.registry.InAccount(h.account))
		}
	}
}

func (h *hub) submit(t *testing.T, kind string) task.ID {
	t.Helper()
	got, err := h.queue.Submit(t.Context(), task.Task{Scope: scope.Scope{Account: h.account}, Kind: kind, Params: []byte(`{"text":"hello"}`)})
	if err != nil {
		t.Fatal(err)
	}
	return got.ID
}

func (h *hub) wait(t *testing.T, id task.ID) task.Task {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	got, err := h.queue.Wait(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// lines is a log that tests read.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// waitRunner does a task until the test lets it, or until it is told to stop.
type waitRunner struct{ began, end chan struct{} }

func newWaitRunner() waitRunner { return waitRunner{make(chan struct{}, 10), make(chan struct{})} }

func (w waitRunner) Run(ctx context.Context, _ []byte, log agent.LineWriter) ([]byte, error) {
	log.Line(agent.LineInfo, "waiting")
	w.began <- struct{}{}
	select {
	case <-w.end:
		return []byte(`"done"`), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

type panicRunner struct{}

func (panicRunner) Run(_ context.Context, payload []byte, _ agent.LineWriter) ([]byte, error) {
	panic(string(payload))
}
