package agent

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/protocol"
)

// How long a call to the manager may take. A poll is held for 22 s there.
const (
	callTimeout   = 15 * time.Second
	pollTimeout   = 30 * time.Second
	resultTimeout = 60 * time.Second
	dialTimeout   = 10 * time.Second
)

const (
	proofLife    = 20 * time.Minute
	proofRefresh = 10 * time.Minute
	maxAnswer    = 16 << 20 // bytes
)

// Refusal is an answer of the manager that is not a success.
type Refusal struct {
	Status     int
	Text       string
	RetryAfter time.Duration // when to come back, as the manager tells it; 0: it does not
}

// Error is the manager's sentence.
func (e *Refusal) Error() string { return fmt.Sprintf("the manager answered %d: %s", e.Status, e.Text) }

// refusedWith reports whether err is the manager's answer with a status.
func refusedWith(err error, status int) bool {
	refusal, ok := errors.AsType[*Refusal](err)
	return ok && refusal.Status == status
}

// Link is the way to the manager: each method is one call of the protocol, tried once. It may be used from many
// goroutines.
type Link struct {
	manager *url.URL
	account string
	key     []byte
	client  *http.Client
	now     func() time.Time

	mu    sync.Mutex
	proof string
	made  time.Time
}

// newLink makes the way to the manager. It speaks HTTP/1.1, since a poll parked on HTTP/2 costs the manager more, and it
// follows no redirect: one would carry results of tasks elsewhere. transport nil means the network.
func newLink(c Config, transport http.RoundTripper, now func() time.Time) (*Link, error) {
	key, err := delegate.ParseToken(c.Token)
	if err != nil {
		return nil, err
	}
	if transport == nil {
		var protocols http.Protocols
		protocols.SetHTTP1(true)
		dialer := net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}
		transport = &http.Transport{
			Proxy: c.Proxy.For, DialContext: dialer.DialContext, TLSClientConfig: c.tls(), TLSHandshakeTimeout: dialTimeout,
			Protocols: &protocols, MaxIdleConnsPerHost: 16, IdleConnTimeout: 90 * time.Second, DisableCompression: true,
			OnProxyConnectResponse: refusedByProxy,
		}
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &Link{manager: c.Manager, account: c.Account, key: key, client: client, now: now}, nil
}

// NewLink makes the way to the manager for others than a running delegate, such as its upgrader.
func NewLink(c Config) (*Link, error) { return newLink(c, nil, time.Now) }

// UpgradeCheck asks which version suits the manager, in the place of an image's tag.
func (l *Link) UpgradeCheck(ctx context.Context, tag string) (protocol.UpgradeCheck, error) {
	var out protocol.UpgradeCheck
	return out, l.call(ctx, http.MethodGet, protocol.PathUpgradeCheck, url.Values{"currentDelegateImageTag": {tag}}, callTimeout, nil, &out)
}

func refusedByProxy(_ context.Context, proxy *url.URL, _ *http.Request, answer *http.Response) error {
	switch answer.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusProxyAuthRequired:
		return fmt.Errorf("the proxy %s asks for a user and password; set PROXY_USER and PROXY_PASSWORD, or correct them", proxy.Host)
	}
	return fmt.Errorf("the proxy %s refused the way to the manager with %d %s", proxy.Host, answer.StatusCode, http.StatusText(answer.StatusCode))
}

// Register introduces the delegate and gives the id that it has from now on.
func (l *Link) Register(ctx context.Context, r protocol.Registration) (protocol.Registered, error) {
	var out protocol.Registered
	err := l.call(ctx, http.MethodPost, protocol.PathRegister, nil, callTimeout, r, &out)
	if err == nil && out.Resource.DelegateID == "" {
		err = errors.New("the manager's answer to the registration holds no delegate id; is there another program at that address?")
	}
	return out, err
}

// Heartbeat says that the delegate lives, and what it is doing.
func (l *Link) Heartbeat(ctx context.Context, r protocol.Registration) (protocol.Registered, error) {
	var out protocol.Registered
	return out, l.call(ctx, http.MethodPost, protocol.PathHeartbeat, nil, callTimeout, r, &out)
}

// Events waits at the manager for tasks on offer; none after its time is no error.
func (l *Link) Events(ctx context.Context, id string) ([]protocol.Event, error) {
	var out protocol.Events
	err := l.call(ctx, http.MethodGet, fill(protocol.PathEvents, id, ""), nil, pollTimeout, nil, &out)
	return out.DelegateTaskEvents, err
}

// Acquire leases a task. Who comes too late gets a Refusal with 409.
func (l *Link) Acquire(ctx context.Context, id, task string) (protocol.Task, error) {
	var out protocol.Task
	return out, l.call(ctx, http.MethodPut, fill(protocol.PathAcquire, id, task), url.Values{"delegateInstanceId": {id}}, callTimeout, nil, &out)
}

// Report ends a task.
func (l *Link) Report(ctx context.Context, id string, r protocol.Result) error {
	return l.call(ctx, http.MethodPost, fill(protocol.PathResult, id, r.ID), nil, resultTimeout, r, nil)
}

// Log sends lines of a task's log.
func (l *Link) Log(ctx context.Context, id, task string, lines []protocol.LogLine) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	for _, line := range lines {
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	return l.send(ctx, http.MethodPost, fill(protocol.PathLogs, id, task), url.Values{"delegateId": {id}}, callTimeout, body.Bytes(), nil)
}

// Unregister says good-bye.
func (l *Link) Unregister(ctx context.Context, id string) error {
	return l.call(ctx, http.MethodDelete, fill(protocol.PathUnregister, id, ""), nil, callTimeout, nil, nil)
}

// Precheck asks whether the manager is there and knows the account.
func (l *Link) Precheck(ctx context.Context) error {
	path := strings.Replace(protocol.PathAccountStatus, "{account}", url.PathEscape(l.account), 1)
	err := l.call(ctx, http.MethodGet, path, nil, callTimeout, nil, nil)
	if refusedWith(err, http.StatusUnauthorized) {
		return fmt.Errorf("the manager %s does not know the account %s; check ACCOUNT_ID and MANAGER_HOST_AND_PORT: %w", l.manager.Redacted(), l.account, err)
	}
	return err
}

func fill(path, id, task string) string {
	return strings.NewReplacer("{delegate}", url.PathEscape(id), "{task}", url.PathEscape(task)).Replace(path)
}

func (l *Link) call(ctx context.Context, method, path string, query url.Values, timeout time.Duration, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("write the call %s as JSON: %w", path, err)
		}
	}
	return l.send(ctx, method, path, query, timeout, body, out)
}

func (l *Link) send(ctx context.Context, method, path string, query url.Values, timeout time.Duration, body []byte, out any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("the manager did not answer within %s", timeout))
	defer cancel()
	if query == nil {
		query = url.Values{}
	}
	query.Set("accountId", l.account)
	target := strings.TrimRight(l.manager.String(), "/") + path + "?" + query.Encode()
	r, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("call the manager: %w", err)
	}
	if len(body) == 0 {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	proof, err := l.prove()
	if err != nil {
		return fmt.Errorf("make the proof of identity: %w", err)
	}
	r.Header.Set("Authorization", protocol.AuthScheme+proof)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "belay-delegate/"+delegate.Current().String())
	answer, err := l.client.Do(r)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return fmt.Errorf("call the manager %s: %w", l.manager.Redacted(), cause)
		}
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err // its own text repeats the address with the query
		}
		return fmt.Errorf("call the manager %s: %w", l.manager.Redacted(), err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was read
	return l.understand(answer, out)
}

func (l *Link) understand(answer *http.Response, out any) error {
	const longest = 2 << 10
	switch code := answer.StatusCode; {
	case code >= 300 && code < 400:
		return &Refusal{Status: code, Text: fmt.Sprintf("it is elsewhere (%s); set MANAGER_HOST_AND_PORT to its address itself", answer.Header.Get("Location"))}
	case code >= 300:
		text, _ := io.ReadAll(io.LimitReader(answer.Body, longest)) // whatever there is
		if code == http.StatusUnauthorized {
			l.forget()
		}
		return &Refusal{Status: code, Text: strings.TrimSpace(string(text)), RetryAfter: told(answer.Header)}
	case out == nil || code == http.StatusNoContent:
		_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, longest)) // lets the connection be used again
		return nil
	}
	// A payload can hold secrets: what is wrong with it is said without quoting it.
	if json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(out) != nil {
		return fmt.Errorf("the manager %s answered with something that is not the JSON of the protocol; is there another program at that address?", l.manager.Redacted())
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, longest)) // the end of the body, so that the connection can be used again
	return nil
}

// told is when the manager wants to be asked again.
func told(h http.Header) time.Duration {
	const most = 5 * time.Minute
	if ms, err := strconv.ParseInt(h.Get(protocol.HeaderRetryAfter), 10, 64); err == nil && ms >= 0 {
		return min(time.Duration(min(ms, most.Milliseconds()))*time.Millisecond, most)
	}
	if s, err := strconv.ParseInt(h.Get("Retry-After"), 10, 64); err == nil && s >= 0 {
		return time.Duration(min(s, int64(most/time.Second))) * time.Second
	}
	return 0
}

// prove gives the encrypted claims, made anew every ten minutes.
func (l *Link) prove() (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if age := now.Sub(l.made); l.proof != "" && age >= 0 && age < proofRefresh {
		return l.proof, nil
	}
	encrypter, err := jose.NewEncrypter(jose.A128GCM, jose.Recipient{Algorithm: jose.DIRECT, Key: l.key}, (&jose.EncrypterOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(protocol.Claims{
		Audience: []string{"audience"}, Issuer: "issuer", Subject: l.account,
		Issued: now.Unix(), Expires: now.Add(proofLife).Unix(), ID: newProofID(),
	})
	if err != nil {
		return "", err
	}
	sealed, err := encrypter.Encrypt(claims)
	if err != nil {
		return "", err
	}
	l.proof, err = sealed.CompactSerialize()
	l.made = now
	return l.proof, err
}

// forget makes the next call prove itself anew: the clock may have been set since.
func (l *Link) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proof = ""
}

func newProofID() string { return strings.ToLower(rand.Text()) }
