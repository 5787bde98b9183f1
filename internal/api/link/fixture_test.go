package link_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

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

// world is a manager as far as delegates see it: the real server on the real store, over TLS.
type world struct {
	t        testing.TB
	account  string
	orgs     *org.Service
	tokens   *delegate.Tokens
	registry *delegate.Registry
	queue    *task.Queue
	server   *link.Server
	http     *httptest.Server
	token    delegate.Token
	key      []byte
	log      *lines
	who      audit.Caller
	store    *store.Store
	ahead    atomic.Int64 // of the server's clock
}

const (
	pingKind = protocol.TypePing
	onceKind = "ONCE" // not retry-safe
)

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{t: tb, log: &lines{}}
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	db, err := store.Open(tb.Context(), store.Config{URL: filepath.Join(tb.TempDir(), "belay.db"), Log: log})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	w.store = db
	master, err := secret.NewMasterKey()
	if err != nil {
		tb.Fatal(err)
	}
	keyring, err := secret.NewKeyring(master)
	if err != nil {
		tb.Fatal(err)
	}
	trail := &audit.Trail{Store: db, Log: log, Now: time.Now}
	orgs := &org.Service{Store: db, Audit: trail, Log: log, Now: time.Now}
	account, err := orgs.CreateAccount(tb.Context(), "test")
	if err != nil {
		tb.Fatal(err)
	}
	w.account, w.who = account.ID, audit.System(account.ID, "test")
	w.registry = &delegate.Registry{Store: db, Audit: trail, Log: log, Now: time.Now}
	if err := w.registry.Load(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	bells := &bell.Local{}
	w.queue = &task.Queue{
		Store: db, Bell: bells, Fleet: w.registry, Log: log, Now: time.Now,
		Kinds: []task.Kind{{Name: pingKind, RetrySafe: true, Timeout: time.Minute}, {Name: onceKind, Timeout: time.Minute}},
	}
	w.tokens = &delegate.Tokens{Store: db, Scopes: orgs, Keyring: keyring, Audit: trail, Log: log, Now: time.Now}
	w.server = &link.Server{
		Tokens: w.tokens, Delegates: w.registry, Queue: w.queue, Accounts: orgs, Bell: bells, Log: log,
		Now:     func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) },
		Metrics: prometheus.NewRegistry(), Held: 2 * time.Second, Joins: 3,
	}
	w.tokens.Revoked, orgs.Deleted = w.server.Revoke, w.server.Deleted
	w.orgs = orgs
	var value secret.Value
	if w.token, value, err = w.tokens.Bootstrap(tb.Context(), w.account); err != nil {
		tb.Fatal(err)
	}
	w.key, err = delegate.ParseToken(value)
	if err != nil {
		tb.Fatal(err)
	}
	w.http = httptest.NewTLSServer(w.server.Handler())
	tb.Cleanup(w.http.Close)
	tb.Cleanup(w.server.Stop) // runs first: ends the parked polls
	return w
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

// jwe makes a proof of identity as clients of the protocol do, with the standard library alone.
func jwe(tb testing.TB, key []byte, header, claims string) string {
	tb.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		tb.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		tb.Fatal(err)
	}
	iv := make([]byte, 12)
	_, _ = rand.Read(iv)
	encode := base64.RawURLEncoding.EncodeToString
	protected := encode([]byte(header))
	sealed := gcm.Seal(nil, iv, []byte(claims), []byte(protected))
	text, tag := sealed[:len(sealed)-16], sealed[len(sealed)-16:]
	return strings.Join([]string{protected, "", encode(iv), encode(text), encode(tag)}, ".")
}

const jweHeader = `{"alg":"dir","enc":"A128GCM","typ":"JWT"}`

// claims are those of existing clients.
func claims(account string, issued time.Time, life time.Duration) string {
	return fmt.Sprintf(`{"aud":["audience"],"exp":%d,"iat":%d,"iss":"issuer","jti":"0b1c2d3e-0000-4000-8000-000000000000","sub":%q}`,
		issued.Add(life).Unix(), issued.Unix(), account)
}

func (w *world) proof() string {
	w.t.Helper()
	return protocol.AuthScheme + jwe(w.t, w.key, jweHeader, claims(w.account, time.Now(), 20*time.Minute))
}

type answer struct {
	status int
	text   string
	header http.Header
}

func (a answer) into(tb testing.TB, out any) {
	tb.Helper()
	if a.status != http.StatusOK {
		tb.Fatalf("status %d: %s", a.status, a.text)
	}
	if err := json.Unmarshal([]byte(a.text), out); err != nil {
		tb.Fatalf("%v: %s", err, a.text)
	}
}

// call is a call of the protocol with a good proof.
func (w *world) call(method, path string, body any) answer {
	w.t.Helper()
	return w.callAs(w.t.Context(), w.proof(), method, path, body)
}

func (w *world) callAs(ctx context.Context, proof, method, path string, body any) answer {
	w.t.Helper()
	var reader io.Reader = http.NoBody
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			w.t.Error(err)
			return answer{}
		}
		reader = bytes.NewReader(text)
	}
	if !strings.Contains(path, "accountId=") {
		path += map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + "accountId=" + w.account
	}
	r, err := http.NewRequestWithContext(ctx, method, w.http.URL+path, reader)
	if err != nil {
		w.t.Error(err)
		return answer{}
	}
	r.Header.Set("Content-Type", "application/json")
	if proof != "" {
		r.Header.Set("Authorization", proof)
	}
	client := *w.http.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	got, err := client.Do(r)
	if err != nil {
		if ctx.Err() == nil {
			w.t.Errorf("%s %s: %v", method, path, err)
		}
		return answer{}
	}
	defer got.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(got.Body)
	if err != nil {
		w.t.Errorf("%s %s: %v", method, path, err)
	}
	return answer{got.StatusCode, string(text), got.Header}
}

// registration is what a client of the protocol sends, its secret included.
func (w *world) registration(name string) protocol.Registration {
	return protocol.Registration{
		AccountID: w.account, DelegateName: name, DelegateRandomToken: hex.EncodeToString(w.key), DelegateType: "DOCKER", NG: true,
		PollingModeEnabled: true, HostName: "dlite-host", Connected: true, KeepAlivePacket: true, SequenceNum: 1, IP: "10.1.2.3",
		SupportedTaskTypes: []string{pingKind, onceKind}, Tags: []string{"eu"}, HeartbeatAsObject: true, LastHeartbeat: time.Now().UnixMilli(),
	}
}

// join registers a delegate.
func (w *world) join(name string) string {
	w.t.Helper()
	var out protocol.Registered
	w.call(http.MethodPost, protocol.PathRegister, w.registration(name)).into(w.t, &out)
	return out.Resource.DelegateID
}

func (w *world) submit(kind string) task.Task {
	w.t.Helper()
	t, err := w.queue.Submit(w.t.Context(), task.Task{Scope: scope.Scope{Account: w.account}, Kind: kind, Params: []byte(`{"text":"hello"}`)})
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

func (w *world) task(id task.ID) task.Task {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	t, err := w.queue.Wait(ctx, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

func events(id string) string { return strings.Replace(protocol.PathEvents, "{delegate}", id, 1) }

func work(pattern, delegateID string, id task.ID) string {
	return strings.NewReplacer("{delegate}", delegateID, "{task}", string(id)).Replace(pattern)
}

func (w *world) acquire(delegateID string, id task.ID) protocol.Task {
	w.t.Helper()
	var out protocol.Task
	w.call(http.MethodPut, work(protocol.PathAcquire, delegateID, id)+"?delegateInstanceId="+delegateID, nil).into(w.t, &out)
	return out
}
