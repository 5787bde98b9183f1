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
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/secret"
	"github.com/belay-dev/belay/internal/task"
)

// foreign is a delegate as others write one: paths, bodies and proof are spelt out here from what is known of the protocol,
// and nothing is shared with Belay's own delegate.
type foreign struct {
	t       testing.TB
	base    string
	http    http.Client
	account string
	token   []byte // 16 bytes
	clock   func() time.Time
	id      string
	proof   string
	made    time.Time
}

func newForeign(w *world) *foreign {
	return &foreign{
		t: w.t, base: w.http.URL, account: w.account, token: w.key, clock: time.Now,
		http: http.Client{
			Transport: w.http.Client().Transport, Timeout: 30 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// authorization is a compact JWE that lives 20 minutes, made anew after 10.
func (f *foreign) authorization() string {
	f.t.Helper()
	now := f.clock()
	if f.proof != "" && now.Sub(f.made) < 10*time.Minute {
		return "Delegate " + f.proof
	}
	block, err := aes.NewCipher(f.token)
	if err != nil {
		f.t.Fatal(err)
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		f.t.Fatal(err)
	}
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"dir","enc":"A128GCM","typ":"JWT"}`))
	nonce := make([]byte, 12)
	_, _ = rand.Read(nonce)
	claims := fmt.Sprintf(`{"aud":["audience"],"exp":%d,"iat":%d,"iss":"issuer","jti":%q,"sub":%q}`,
		now.Add(20*time.Minute).Unix(), now.Unix(), rand.Text(), f.account)
	out := seal.Seal(nil, nonce, []byte(claims), []byte(head))
	body, tag := out[:len(out)-16], out[len(out)-16:]
	f.proof = head + ".." + base64.RawURLEncoding.EncodeToString(nonce) + "." + base64.RawURLEncoding.EncodeToString(body) + "." + base64.RawURLEncoding.EncodeToString(tag)
	f.made = now
	return "Delegate " + f.proof
}

// send gives status and text. More than 299 is a failure whose text is its message; 204 is a success without a body.
func (f *foreign) send(method, path string, body any) (int, string) {
	f.t.Helper()
	text := []byte{}
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			f.t.Fatal(err)
		}
	}
	sign := "?"
	if strings.Contains(path, "?") {
		sign = "&"
	}
	r, err := http.NewRequestWithContext(context.Background(), method, f.base+path+sign+"accountId="+f.account, bytes.NewReader(text))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("Authorization", f.authorization())
	r.Header.Set("Content-Type", "application/json")
	answer, err := f.http.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was read
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer.StatusCode, string(said)
}

// must sends what has to succeed.
func (f *foreign) must(method, path string, body, out any) {
	f.t.Helper()
	status, text := f.send(method, path, body)
	if status > 299 {
		f.t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	if out == nil || status == http.StatusNoContent {
		return
	}
	if err := json.Unmarshal([]byte(text), out); err != nil {
		f.t.Fatalf("%s %s: %v in %q", method, path, err, text)
	}
}

func (f *foreign) self() map[string]any {
	return map[string]any{
		"accountId": f.account, "delegateName": "runner-1", "delegateRandomToken": hex.EncodeToString(f.token), "lastHeartBeat": f.clock().UnixMilli(),
		"delegateType": "DOCKER", "ng": true, "pollingModeEnabled": true, "hostName": "dlite-host1", "connected": true, "keepAlivePacket": true,
		"sequenceNum": 1, "ip": "10.0.0.9", "supportedTaskTypes": []string{pingKind, onceKind}, "tags": []string{"vm"}, "heartbeatAsObject": true,
	}
}

func (f *foreign) register() {
	f.t.Helper()
	var out struct {
		Resource struct {
			ID string `json:"delegateId"`
		} `json:"resource"`
	}
	f.must(http.MethodPost, "/api/agent/delegates/register", f.self(), &out)
	if f.id = out.Resource.ID; f.id == "" {
		f.t.Fatal("no delegateId")
	}
}

func (f *foreign) heartbeat() (int, string) {
	f.t.Helper()
	self := f.self()
	self["delegateId"] = f.id
	return f.send(http.MethodPost, "/api/agent/delegates/heartbeat-with-polling", self)
}

type foreignEvents struct {
	Events []struct {
		Account string `json:"accountId"`
		Task    string `json:"delegateTaskId"`
		Sync    bool   `json:"sync"`
		Type    string `json:"taskType"`
	} `json:"delegateTaskEvents"`
}

// poll waits until there is work and gives the ids of the tasks.
func (f *foreign) poll() []string {
	f.t.Helper()
	var out foreignEvents
	f.must(http.MethodGet, "/api/agent/delegates/"+f.id+"/task-events", nil, &out)
	var ids []string
	for _, e := range out.Events {
		if e.Account != f.account || e.Type == "" {
			f.t.Errorf("event %+v", e)
		}
		ids = append(ids, e.Task)
	}
	return ids
}

type foreignTask struct {
	ID      string          `json:"id"`
	Type    string          `json:"type"`
	Data    json.RawMessage `json:"data"`
	Timeout int             `json:"timeout"`
}

func (f *foreign) acquirePath(id string) string {
	return "/api/agent/v2/delegates/" + f.id + "/tasks/" + id + "/acquire?delegateInstanceId=" + f.id
}

func (f *foreign) acquire(id string) foreignTask {
	f.t.Helper()
	var out foreignTask
	f.must(http.MethodPut, f.acquirePath(id), nil, &out)
	if out.ID != id || out.Type == "" || out.Timeout <= 0 {
		f.t.Fatalf("task %+v", out)
	}
	return out
}

func (f *foreign) report(id, code, data string) (int, string) {
	f.t.Helper()
	return f.send(http.MethodPost, "/api/agent/v2/tasks/"+id+"/delegates/"+f.id, map[string]any{"id": id, "type": pingKind, "code": code, "data": json.RawMessage(data)})
}

func TestAForeignDelegateDoesItsWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newForeign(w)
	f.register()
	f.must(http.MethodPost, "/api/agent/delegates/register-delegate-capacity/"+f.id, map[string]any{"maximumNumberOfBuilds": 4}, nil)
	if status, text := f.heartbeat(); status > 299 {
		t.Fatal(text)
	}
	if d, err := w.registry.Delegate(w.account, delegate.ID(f.id)); err != nil || d.Name != "runner-1" || d.HostName != "dlite-host1" || !d.HasTag("vm") {
		t.Errorf("%+v %v", d, err)
	}
	for name, report := range map[string]func(id string) (int, string){
		"as itself": func(id string) (int, string) { return f.report(id, "OK", `{"by":"foreign"}`) },
		"as a runner": func(id string) (int, string) {
			return f.send(http.MethodPost, "/api/executions/"+id+"/response?delegateId="+f.id, map[string]any{"id": id, "code": "OK", "data": base64.StdEncoding.EncodeToString([]byte(`{"by":"foreign"}`))})
		},
		"as a newer runner": func(id string) (int, string) {
			return f.send(http.MethodPost, "/api/executions/"+id+"/task-response?runnerId="+f.id, map[string]any{"id": id, "code": "OK", "data": base64.StdEncoding.EncodeToString([]byte(`{"by":"foreign"}`))})
		},
	} {
		submitted := w.submit(pingKind)
		ids := f.poll()
		if len(ids) != 1 || ids[0] != string(submitted.ID) {
			t.Fatalf("%s: %v is on offer", name, ids)
		}
		if got := f.acquire(ids[0]); string(got.Data) != `{"text":"hello"}` {
			t.Errorf("%s: data %s", name, got.Data)
		}
		for range 3 { // the answer to a report may be lost, so it is sent again
			if status, text := report(ids[0]); status > 299 {
				t.Errorf("%s: %d %s", name, status, text)
			}
		}
		if done := w.task(submitted.ID); done.State != task.Succeeded || string(done.Result) != `{"by":"foreign"}` {
			t.Errorf("%s: %s %s", name, done.State, done.Result)
		}
	}
	failed := w.submit(onceKind)
	f.acquire(f.poll()[0])
	if status, text := f.report(string(failed.ID), "FAILED", `{"errorMessage":"disk full"}`); status > 299 {
		t.Error(text)
	}
	if done := w.task(failed.ID); done.State != task.Failed || !strings.Contains(done.Failure.Message, "disk full") {
		t.Errorf("%s %+v", done.State, done.Failure)
	}
	if strings.Contains(w.log.String(), hex.EncodeToString(f.token)) {
		t.Error("the log has the token")
	}
}

// The answer to an acquire is lost: the delegate asks again and gets what it holds, of every kind of task.
func TestAForeignDelegateLosesTheAnswerToAnAcquire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newForeign(w)
	f.register()
	for _, kind := range []string{pingKind, onceKind} {
		submitted := w.submit(kind)
		f.poll()
		f.acquire(string(submitted.ID)) // nobody reads it
		if got := f.acquire(string(submitted.ID)); len(got.Data) == 0 {
			t.Errorf("%s: the second answer is empty", kind)
		}
		if status, text := f.report(string(submitted.ID), "OK", `1`); status > 299 {
			t.Errorf("%s: %d %s", kind, status, text)
		}
		if done := w.task(submitted.ID); done.State != task.Succeeded || done.Attempts != 1 {
			t.Errorf("%s: %s after %d attempts", kind, done.State, done.Attempts)
		}
		// What has ended is refused with a number and a reason: an empty success would read as an empty task.
		if status, text := f.send(http.MethodPut, f.acquirePath(string(submitted.ID)), nil); status <= 299 || text == "" {
			t.Errorf("%s: an ended task: %d %q", kind, status, text)
		}
		if status, text := f.report(string(submitted.ID), "FAILED", `2`); status <= 299 && w.task(submitted.ID).State != task.Succeeded {
			t.Errorf("%s: another result afterwards: %d %s", kind, status, text)
		}
	}
}

// It starts again without its id and gets the one that it had, and what it held is on offer again.
func TestAForeignDelegateStartsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.registry.Now = func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }
	f := newForeign(w)
	f.register()
	before := f.id
	submitted := w.submit(pingKind)
	f.poll()
	f.acquire(string(submitted.ID))
	w.ahead.Store(int64(delegate.PollHeld + delegate.HeartbeatEvery + time.Second))
	f.register()
	if f.id != before {
		t.Errorf("it was %s and is now %s", before, f.id)
	}
	if ended := w.queue.Sweep(t.Context()); ended != nil {
		t.Fatal(ended)
	}
	if ids := f.poll(); len(ids) != 1 || ids[0] != string(submitted.ID) {
		t.Errorf("%v is on offer", ids)
	}
}

func TestAForeignDelegatesClockAndToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, value, err := w.tokens.Create(t.Context(), w.who, w.token.Scope, "second", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		off  time.Duration
		good bool
		says string
	}{
		"right":             {0, true, ""},
		"half a minute on":  {30 * time.Second, true, ""},
		"ten minutes late":  {-10 * time.Minute, true, ""}, // its proof still lives ten minutes
		"ten minutes early": {10 * time.Minute, false, "clock"},
		"an hour late":      {-time.Hour, false, "clock"},
	} {
		f := newForeign(w)
		f.clock = func() time.Time { return time.Now().Add(tt.off) }
		status, text := f.send(http.MethodPost, "/api/agent/delegates/register", f.self())
		if good := status <= 299; good != tt.good || !strings.Contains(text, tt.says) || !good && status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}

	// A proof that has ended is refused; the next one is good.
	f := newForeign(w)
	f.clock = func() time.Time { return time.Now().Add(-22 * time.Minute) }
	if status, text := f.send(http.MethodPost, "/api/agent/delegates/register", f.self()); status != http.StatusUnauthorized {
		t.Errorf("an old proof: %d %s", status, text)
	}
	f.clock = time.Now
	f.register()

	// A second token stands beside the first; when it is revoked, it ends at once and the first goes on.
	second := newForeign(w)
	if second.token, err = delegate.ParseToken(value); err != nil {
		t.Fatal(err)
	}
	second.register()
	if _, err := w.tokens.Revoke(t.Context(), w.who, w.token.Scope, "second"); err != nil {
		t.Fatal(err)
	}
	if status, text := second.heartbeat(); status != http.StatusUnauthorized || text == "" {
		t.Errorf("a revoked token: %d %s", status, text)
	}
	if status, _ := second.send(http.MethodGet, "/api/agent/delegates/"+second.id+"/task-events", nil); status != http.StatusUnauthorized {
		t.Errorf("its poll: %d", status)
	}
	if status, text := f.heartbeat(); status > 299 {
		t.Errorf("the other token: %d %s", status, text)
	}

	// One that nobody made.
	stranger := newForeign(w)
	if stranger.token, err = delegate.ParseToken(secret.NewValue(strings.Repeat("0f", 16))); err != nil {
		t.Fatal(err)
	}
	if status, text := stranger.send(http.MethodPost, "/api/agent/delegates/register", stranger.self()); status != http.StatusUnauthorized {
		t.Errorf("an unknown token: %d %s", status, text)
	}
}
