package link_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/task"
)

func TestATaskGoesRoundAsExistingClientsSpeak(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		path string
		data string // as the client sends it
	}{
		"legacy result":      {protocol.PathResult, `{"text":"hi"}`},
		"runner's response":  {protocol.PathRunnerResult + "?delegateId={delegate}", `"` + base64.StdEncoding.EncodeToString([]byte(`{"text":"hi"}`)) + `"`},
		"runner's second":    {protocol.PathRunnerResultV2 + "?runnerId={delegate}", `"` + base64.StdEncoding.EncodeToString([]byte(`{"text":"hi"}`)) + `"`},
		"runner's plain one": {protocol.PathRunnerResultV2 + "?runnerId={delegate}", `{"text":"hi"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.join("one")
			submitted := w.submit(pingKind)
			var offered protocol.Events
			w.call(http.MethodGet, events(id), nil).into(t, &offered)
			want := []protocol.Event{{AccountID: w.account, DelegateTaskID: string(submitted.ID), TaskType: pingKind}}
			if diff := cmp.Diff(want, offered.DelegateTaskEvents); diff != "" {
				t.Fatal(diff)
			}
			got := w.acquire(id, submitted.ID)
			if got.Fence != 1 || string(got.Data) != `{"text":"hello"}` || got.Type != pingKind || got.RunnerResponse {
				t.Fatalf("acquired %+v", got)
			}
			if got.Timeout < 50_000 || got.Timeout > 60_000 {
				t.Errorf("time-out %d ms", got.Timeout)
			}
			path := work(tt.path, id, submitted.ID)
			body := `{"id":"` + string(submitted.ID) + `","type":"BELAY_PING","code":"OK","data":` + tt.data + `}`
			for range 3 { // repeated, as after a lost answer
				if a := w.call(http.MethodPost, path, body); a.status != http.StatusNoContent {
					t.Fatalf("result: %d %s", a.status, a.text)
				}
			}
			if done := w.task(submitted.ID); done.State != task.Succeeded || string(done.Result) != `{"text":"hi"}` {
				t.Fatalf("task %s: %s", done.State, done.Result)
			}
		})
	}
}

func TestTheSecretOfARegistrationIsNeitherLoggedNorAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.join("one")
	beat := w.registration("one")
	beat.DelegateID = id
	a := w.call(http.MethodPost, protocol.PathHeartbeat, beat)
	bad := w.call(http.MethodPost, protocol.PathRegister, `{"delegateRandomToken":"`+hex.EncodeToString(w.key)+`","tags":"`+hex.EncodeToString(w.key)+`"}`)
	if bad.status != http.StatusBadRequest {
		t.Errorf("%d %s", bad.status, bad.text)
	}
	for what, text := range map[string]string{"log": w.log.String(), "answer": a.text, "refusal": bad.text} {
		if strings.Contains(text, hex.EncodeToString(w.key)) {
			t.Errorf("the %s holds the token", what)
		}
	}
}

func TestBadInputIsRefusedWithASentence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.join("one")
	waiting := w.submit(pingKind)
	for name, tt := range map[string]struct {
		method, path string
		body         any
		status       int
		says         string
	}{
		"a body of 10 MB":         {http.MethodPost, protocol.PathRegister, `{"delegateName":"` + strings.Repeat("x", 10<<20) + `"}`, 413, "1024 KiB"},
		"no JSON":                 {http.MethodPost, protocol.PathRegister, `hello`, 400, "byte 1"},
		"half of a JSON":          {http.MethodPost, protocol.PathRegister, `{"delegateName":"a`, 400, "ends too early"},
		"an empty body":           {http.MethodPost, protocol.PathRegister, nil, 400, "empty"},
		"a field of another type": {http.MethodPost, protocol.PathRegister, `{"tags":"a"}`, 400, `"tags"`},
		"no name":                 {http.MethodPost, protocol.PathRegister, `{}`, 400, "delegateName"},
		"another account inside":  {http.MethodPost, protocol.PathRegister, `{"accountId":"other","delegateName":"a"}`, 400, "accountId"},
		"no account":              {http.MethodPost, protocol.PathRegister + "?accountId=", `{}`, 400, "accountId"},
		"heartbeat without id":    {http.MethodPost, protocol.PathHeartbeat, `{"delegateName":"a"}`, 400, "delegateId"},
		"heartbeat of a made-up id": {
			http.MethodPost, protocol.PathHeartbeat, `{"delegateName":"a","delegateId":"../platform"}`, 404, "register again",
		},
		"poll of an unknown id":  {http.MethodGet, events("dlg_none"), nil, 404, "register again"},
		"poll of the platform":   {http.MethodGet, events("platform"), nil, 404, "register again"},
		"a task that is not":     {http.MethodPut, work(protocol.PathAcquire, id, "tsk_none"), nil, 409, "no longer on offer"},
		"a result without lease": {http.MethodPost, work(protocol.PathResult, id, waiting.ID), `{"code":"OK"}`, 409, "too late"},
		"an unknown code":        {http.MethodPost, work(protocol.PathResult, id, waiting.ID), `{"code":"FINE"}`, 400, `"FINE"`},
		"result of another task": {http.MethodPost, work(protocol.PathResult, id, waiting.ID), `{"id":"x","code":"OK"}`, 400, "path"},
		"a log that is not one":  {http.MethodPost, work(protocol.PathLogs, id, waiting.ID) + "?delegateId=" + id, "{}\nx\n", 400, "line 2"},
		"an unknown path":        {http.MethodGet, "/api/agent/nothing", nil, 404, "no GET"},
		"an unclean path":        {http.MethodGet, "/api//agent/../agent/delegates", nil, 404, "no GET"},
		"an unknown method":      {http.MethodPatch, protocol.PathRegister, nil, 404, "no PATCH"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := w.call(tt.method, tt.path, tt.body)
			if a.status != tt.status || !strings.Contains(a.text, tt.says) {
				t.Errorf("%d %q, want %d with %q", a.status, a.text, tt.status, tt.says)
			}
			if got := a.header.Get("Content-Type"); !strings.HasPrefix(got, "text/plain") {
				t.Errorf("content type %q", got)
			}
		})
	}
}

func TestSmallCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.join("one")
	waiting := w.submit(pingKind)
	for _, tt := range []struct {
		name, method, path string
		body               any
		status             int
	}{
		{"capacity", http.MethodPost, strings.Replace(protocol.PathCapacity, "{delegate}", id, 1), `{"maximumNumberOfBuilds":3}`, 204},
		{"log lines", http.MethodPost, work(protocol.PathLogs, id, waiting.ID) + "?delegateId=" + id, "{\"level\":\"INFO\",\"message\":\"hello\"}\n\n{}\n", 204},
		{"status of the account", http.MethodGet, "/api/account/" + w.account + "/status", nil, 200},
		{"status of an unknown account", http.MethodGet, "/api/account/nobody/status", nil, 401},
		{"good-bye", http.MethodDelete, strings.Replace(protocol.PathUnregister, "{delegate}", id, 1), nil, 204},
		{"good-bye again", http.MethodDelete, strings.Replace(protocol.PathUnregister, "{delegate}", id, 1), nil, 204},
		{"a poll after it", http.MethodGet, events(id), nil, 404},
	} {
		proof := w.proof()
		if strings.Contains(tt.path, "/status") {
			proof = "" // the one call without a proof
		}
		if a := w.callAs(t.Context(), proof, tt.method, tt.path, tt.body); a.status != tt.status {
			t.Errorf("%s: %d %s, want %d", tt.name, a.status, a.text, tt.status)
		}
	}
	if !strings.Contains(w.log.String(), `line=hello`) {
		t.Error("the line is not in the log")
	}
}

func TestADelegateIsAdoptedByItsHeartbeat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.join("one")
	if err := w.registry.Forget(t.Context(), "dlg_none"); err != nil {
		t.Fatal(err)
	}
	path := strings.Replace(protocol.PathUnregister, "{delegate}", id, 1)
	if a := w.call(http.MethodDelete, path, nil); a.status != 204 {
		t.Fatal(a)
	}
	beat := w.registration("one")
	beat.DelegateID = id
	var out protocol.Registered
	w.call(http.MethodPost, protocol.PathHeartbeat, beat).into(t, &out)
	if out.Resource.DelegateID != id {
		t.Errorf("id %q, want %q", out.Resource.DelegateID, id)
	}
	d, err := w.registry.Delegate(w.account, "dlg_none")
	if err == nil {
		t.Error("a delegate from nowhere: ", d)
	}
	var none protocol.Events
	w.call(http.MethodGet, events(id), nil).into(t, &none)
	if none.DelegateTaskEvents == nil || len(none.DelegateTaskEvents) != 0 {
		t.Errorf("events %v, want an empty list", none.DelegateTaskEvents)
	}
}

func TestACallThatIsPutOffIsToldWhenToComeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.Stop()
	id := w.join("one") // registering goes on: only polls end
	a := w.call(http.MethodGet, events(id), nil)
	if a.status != http.StatusServiceUnavailable {
		t.Fatalf("%d %s", a.status, a.text)
	}
	ms, err := strconv.Atoi(a.header.Get(protocol.HeaderRetryAfter))
	if err != nil || ms < 0 || ms > 30_000 {
		t.Errorf("%s: %q", protocol.HeaderRetryAfter, a.header.Get(protocol.HeaderRetryAfter))
	}
	if s, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || s*1000 < ms || s*1000 >= ms+1000 {
		t.Errorf("Retry-After %q for %d ms", a.header.Get("Retry-After"), ms)
	}
}

// slowRegistry is the real one, whose registrations wait.
type slowRegistry struct {
	*delegate.Registry
	entered, open chan struct{}
}

func (s slowRegistry) Register(ctx context.Context, d delegate.Delegate) (delegate.Delegate, error) {
	s.entered <- struct{}{}
	<-s.open
	return s.Registry.Register(ctx, d)
}

func TestRegistrationsBeyondTheBoundArePutOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slow := slowRegistry{w.registry, make(chan struct{}, 1), make(chan struct{})}
	w.server.Delegates = slow
	first := make(chan answer, 1)
	proof := w.proof()
	for range w.server.Joins {
		go func() {
			a := w.callAs(t.Context(), proof, http.MethodPost, protocol.PathRegister, w.registration("one"))
			select {
			case first <- a:
			default:
			}
		}()
		<-slow.entered
	}
	if a := w.call(http.MethodPost, protocol.PathRegister, w.registration("two")); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.status, a.text)
	}
	close(slow.open)
	if a := <-first; a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.text)
	}
}

func TestAPanicIsAnAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.Delegates = slowRegistry{} // whose methods all panic
	if a := w.call(http.MethodGet, events("dlg_x"), nil); a.status != http.StatusInternalServerError || !strings.Contains(a.text, "internal error") {
		t.Errorf("%d %s", a.status, a.text)
	}
	w.server.Delegates = w.registry
	w.join("one")
}

func TestFailuresKeepTheirReason(t *testing.T) {
	t.Parallel()
	const runner = protocol.PathRunnerResult + "?delegateId={delegate}"
	for name, tt := range map[string]struct{ path, body, want string }{
		"error of a runner":    {protocol.PathResult, `{"code":"FAILED","error":"no disk"}`, "no disk"},
		"text as data":         {protocol.PathResult, `{"code":"FAILED","data":"no disk"}`, "no disk"},
		"field errorMessage":   {protocol.PathResult, `{"code":"FAILED","data":{"errorMessage":"no disk"}}`, "no disk"},
		"a runner's text":      {runner, `{"code":"FAILED","data":"bm8gZGlzaw=="}`, "no disk"},
		"a runner's field":     {runner, `{"code":"FAILED","error":"","data":"eyJtZXNzYWdlIjoibm8gZGlzayJ9"}`, "no disk"},
		"a runner's error":     {runner, `{"code":"FAILED","error":"no disk","data":"bm8gZGV2aWNl"}`, "no disk"},
		"nothing said":         {protocol.PathResult, `{"code":"FAILED"}`, "the delegate gave no reason"},
		"out of time":          {protocol.PathResult, `{"code":"TIMEOUT"}`, "the task ran out of time on the delegate"},
		"nobody left to retry": {protocol.PathResult, `{"code":"RETRY_ON_OTHER_DELEGATE","error":"cannot"}`, "no other delegate is left to try: cannot"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.join("one")
			submitted := w.submit(onceKind)
			w.acquire(id, submitted.ID)
			if a := w.call(http.MethodPost, work(tt.path, id, submitted.ID), tt.body); a.status != 204 {
				t.Fatal(a)
			}
			if done := w.task(submitted.ID); done.State != task.Failed || done.Failure.Message != tt.want {
				t.Errorf("%s: %q, want %q", done.State, done.Failure.Message, tt.want)
			}
		})
	}
}

func FuzzRegistration(f *testing.F) {
	w := newWorld(f)
	good, err := json.Marshal(w.registration("one"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good))
	f.Add(`{"delegateName":"a","tags":[null,"\u0000"],"version":"1.2","ip":"::1"}`)
	f.Add(`[]`)
	proof := w.proof()
	f.Fuzz(func(t *testing.T, body string) {
		if code, text := direct(t, w, proof, body); code != 200 && code != 400 && code != 413 {
			t.Errorf("%d %s", code, text)
		}
	})
}

func TestUpgradeCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for tag, tt := range map[string]struct {
		should bool
		reason string
	}{
		"24.03.82603":         {true, "24.03.82603 is older than the manager's 26.11.90000"},
		"24.03.82603.minimal": {true, "24.03.82603 is older"},
		"26.11.90000":         {false, "it is the manager's version"},
		"99.01.00001":         {false, "newer than the manager's"},
		"latest":              {false, `the tag "latest" is not a version`},
		"":                    {false, "is not a version"},
	} {
		var got protocol.UpgradeCheck
		w.call(http.MethodGet, protocol.PathUpgradeCheck+"?currentDelegateImageTag="+tag, nil).into(t, &got)
		if got.ShouldUpgrade != tt.should || !strings.Contains(got.Reason, tt.reason) || got.TargetVersion != delegate.Current().String() {
			t.Errorf("%q: %+v", tag, got)
		}
	}
	if a := w.callAs(t.Context(), "", http.MethodGet, protocol.PathUpgradeCheck+"?currentDelegateImageTag=1", nil); a.status != http.StatusUnauthorized {
		t.Errorf("without a proof: %+v", a)
	}
}
