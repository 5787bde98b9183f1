package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/agent"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/task"
)

func TestADelegateDoesATask(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	url, ca := h.serve(t, nil)
	r := h.start(t, h.environment(url, ca, nil), func(a *agent.Agent) { a.Runners[panicKind] = panicRunner{} })
	d, err := h.registry.Delegate(h.account, delegate.ID(r.id))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"eu", "prod"}, d.Tags); diff != "" || d.Name != "eks-test-new" || d.Type != "KUBERNETES" || d.Version != delegate.Current() {
		t.Errorf("registered as %+v %s", d, diff)
	}
	done := h.wait(t, h.submit(t, protocol.TypePing))
	var pong protocol.Pong
	if err := json.Unmarshal(done.Result, &pong); err != nil {
		t.Fatalf("%v: %+v", err, done)
	}
	if diff := cmp.Diff(protocol.Pong{Text: "hello", HostName: "here", Version: delegate.Current().String()}, pong); diff != "" {
		t.Error(diff)
	}
	if done := h.wait(t, h.submit(t, panicKind)); done.State != task.Failed || !strings.Contains(done.Failure.Message, "broke down") {
		t.Errorf("after a panic: %s %+v", done.State, done.Failure)
	}
	if strings.Contains(r.log.String(), "hello") {
		t.Error("the log quotes the payload")
	}
	if done := h.wait(t, h.submit(t, protocol.TypePing)); done.State != task.Succeeded {
		t.Errorf("after a panic the delegate does nothing more: %+v", done)
	}
	for _, log := range []string{h.log.String(), r.log.String()} {
		if strings.Contains(log, h.token) {
			t.Error("a log holds the token")
		}
	}
}

func TestHealthAndMetrics(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	url, ca := h.serve(t, nil)
	r := h.start(t, h.environment(url, ca, map[string]string{"DELEGATE_CPU_THRESHOLD": "100"}), nil)
	h.wait(t, h.submit(t, protocol.TypePing))
	fetch := func(method, path string) (int, string) {
		t.Helper()
		q, err := http.NewRequestWithContext(t.Context(), method, r.web+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		a, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close() //nolint:errcheck // it was read
		text, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return a.StatusCode, string(text)
	}
	code, text := fetch(http.MethodGet, "/api/health")
	var health agent.Health
	if err := json.Unmarshal([]byte(text), &health); err != nil || code != 200 || health.Status != "OK" || health.State != "connected" || health.Delegate != r.id {
		t.Errorf("%d %s (%v)", code, text, err)
	}
	// The task counts as running until its answer was taken, which is a moment after the manager has it.
	for code, text = fetch(http.MethodGet, "/api/metrics"); code == 200 && !strings.Contains(text, "tasks_currently_executing 0"); {
		if t.Context().Err() != nil {
			t.Fatal("the task never ends")
		}
		code, text = fetch(http.MethodGet, "/api/metrics")
	}
	if code != 200 {
		t.Errorf("metrics: %d", code)
	}
	for _, want := range []string{
		"io_harness_custom_metric_task_execution_time{", "io_harness_custom_metric_tasks_currently_executing 0",
		"io_harness_custom_metric_task_timeout_total 0", "io_harness_custom_metric_task_completed_total 1", "io_harness_custom_metric_task_failed_total 0",
		"io_harness_custom_metric_task_rejected_total 0", "io_harness_custom_metric_delegate_connected 1",
		"io_harness_custom_metric_resource_consumption_above_threshold 0", "belay_delegate_task_seconds_count{",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics have no %s", want)
		}
	}
	if code, _ := fetch(http.MethodPost, "/api/health"); code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", code)
	}
}

func TestADrainFinishesWhatRuns(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	url, ca := h.serve(t, nil)
	wait := newWaitRunner()
	r := h.start(t, h.environment(url, ca, nil), func(a *agent.Agent) { a.Runners[waitKind] = wait })
	id := h.submit(t, waitKind)
	<-wait.began
	r.stop()
	h.eventually(t, func(d delegate.Delegate) bool { return d.Draining })
	if refused := h.wait(t, h.submit(t, protocol.TypePing)); refused.Failure.Cause != task.CauseNoDelegate {
		t.Errorf("a task for a draining delegate: %+v", refused)
	}
	close(wait.end)
	if err := <-r.done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if done := h.wait(t, id); done.State != task.Succeeded || string(done.Result) != `"done"` {
		t.Errorf("the running task: %s %+v", done.State, done.Failure)
	}
	if left := h.registry.InAccount(h.account); len(left) != 0 {
		t.Errorf("it did not say good-bye: %+v", left)
	}
}

func TestADrainEndsWhenItsTimeIsOverOrOnTheSecondSignal(t *testing.T) {
	t.Parallel()
	second := make(chan struct{})
	close(second)
	for name, tt := range map[string]struct {
		env   map[string]string
		abort <-chan struct{}
	}{
		"no time for it":    {map[string]string{"BELAY_DRAIN_SECONDS": "0"}, nil},
		"the second signal": {nil, second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t)
			url, ca := h.serve(t, nil)
			wait := newWaitRunner()
			r := h.start(t, h.environment(url, ca, tt.env), func(a *agent.Agent) { a.Runners[waitKind], a.Abort = wait, tt.abort })
			id := h.submit(t, waitKind)
			<-wait.began
			r.stop()
			if err := <-r.done; err != nil {
				t.Errorf("Run: %v", err)
			}
			// It must not be done twice, and nobody knows how far it came.
			if done := h.wait(t, id); done.State != task.Failed || done.Failure.Cause != task.CauseDelegateLost {
				t.Errorf("the running task: %s %+v", done.State, done.Failure)
			}
		})
	}
}

func TestADelegateComesBackAfterTheManagerRestarted(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	port := kept{listener.(*net.TCPListener)}
	// serve starts a manager on the port; stop ends it with all its connections.
	serve := func() (stop func()) {
		if err := port.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		server, ended := &http.Server{Handler: h.handler, ReadHeaderTimeout: time.Minute}, make(chan struct{})
		go func() {
			defer close(ended)
			_ = server.Serve(port)
		}()
		return func() {
			if err := server.Close(); err != nil {
				t.Error(err)
			}
			<-ended
		}
	}
	stop := serve()
	r := h.start(t, h.environment("http://"+listener.Addr().String(), "", nil), nil)
	h.wait(t, h.submit(t, protocol.TypePing))
	stop()
	stop = serve()
	if done := h.wait(t, h.submit(t, protocol.TypePing)); done.State != task.Succeeded || string(done.LeasedBy) != r.id {
		t.Errorf("%s by %s %+v, the delegate is %s", done.State, done.LeasedBy, done.Failure, r.id)
	}
	// The manager lost its database, too: the delegate keeps its id.
	if err := h.registry.Forget(t.Context(), delegate.ID(r.id)); err != nil {
		t.Fatal(err)
	}
	stop() // ends the parked poll
	stop = serve()
	t.Cleanup(func() { // before the delegate ends, which would wait for an answer
		stop()
		_ = listener.Close()
	})
	h.eventually(t, func(d delegate.Delegate) bool { return string(d.ID) == r.id })
	if done := h.wait(t, h.submit(t, protocol.TypePing)); done.State != task.Succeeded {
		t.Errorf("%s %+v", done.State, done.Failure)
	}
}

// kept is a port that stays ours between two servers: whoever listens for any free port could get it otherwise.
type kept struct{ *net.TCPListener }

// Close ends the server's wait for a connection, and nothing else.
func (k kept) Close() error { return k.SetDeadline(time.Unix(1, 0)) }

func TestARevokedTokenDoesNotEndTheProcess(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	url, ca := h.serve(t, nil)
	r := h.start(t, h.environment(url, ca, nil), nil)
	if _, err := h.tokens.Revoke(t.Context(), audit.System(h.account, "test"), scope.Scope{Account: h.account}, delegate.DefaultToken); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(15 * time.Second); !strings.Contains(r.log.String(), "the manager refuses the delegate's token"); {
		select {
		case err := <-r.done:
			t.Fatalf("the process ended: %v", err)
		case <-deadline:
			t.Fatal("the log does not say that the token is refused")
		case <-tick.C:
		}
	}
	r.stop()
	if err := <-r.done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestTheInitScriptRunsFirst(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	url, ca := h.serve(t, nil)
	t.Run("one that succeeds", func(t *testing.T) {
		t.Parallel()
		r := h.start(t, h.environment(url, ca, map[string]string{"INIT_SCRIPT": "#!/bin/bash\necho tool $((1+1)) installed\necho " + h.token + " >&2"}), nil)
		if log := r.log.String(); !strings.Contains(log, "tool 2 installed") || strings.Contains(log, h.token) {
			t.Errorf("log: %s", log)
		}
	})
	t.Run("one that fails", func(t *testing.T) {
		t.Parallel()
		h := newHub(t)
		r := h.begin(t, h.environment(url, ca, map[string]string{"INIT_SCRIPT": "echo no such package; exit 3"}), nil)
		if err := <-r.done; err == nil || !strings.Contains(err.Error(), "INIT_SCRIPT failed") || !strings.Contains(err.Error(), "exit status 3") {
			t.Errorf("Run: %v", err)
		}
		if !strings.Contains(r.log.String(), "no such package") {
			t.Error("its output is not in the log")
		}
		if len(h.registry.InAccount(h.account)) != 0 {
			t.Error("the delegate registered")
		}
	})
}

func TestThePrecheckEndsTheStart(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	url, ca := h.serve(t, nil)
	for name, tt := range map[string]struct {
		env  map[string]string
		says string
	}{
		"unknown account": {map[string]string{"ACCOUNT_ID": "nobody"}, "does not know the account nobody"},
		"no manager":      {map[string]string{"MANAGER_HOST_AND_PORT": "http://127.0.0.1:1"}, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.env["PRECHECK_CONN"] = "true"
			r := h.begin(t, h.environment(url, ca, tt.env), nil)
			if err := <-r.done; err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Run: %v", err)
			}
		})
	}
}

func TestCapacityBoundsWhatRunsAtOnce(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	url, ca := h.serve(t, nil)
	wait := newWaitRunner()
	h.start(t, h.environment(url, ca, map[string]string{"DELEGATE_TASK_CAPACITY": "2"}), func(a *agent.Agent) { a.Runners[waitKind] = wait })
	var all []task.ID
	for range 5 {
		all = append(all, h.submit(t, waitKind))
	}
	<-wait.began
	<-wait.began
	close(wait.end)
	for _, id := range all {
		if done := h.wait(t, id); done.State != task.Succeeded || done.Attempts != 1 {
			t.Errorf("%s after %d attempts %+v", done.State, done.Attempts, done.Failure)
		}
	}
}

func TestATakenPortEndsTheStart(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // the test is over
	r := h.begin(t, h.environment("http://127.0.0.1:1", "", map[string]string{"BELAY_DELEGATE_HTTP_ADDR": listener.Addr().String()}), nil)
	if err := <-r.done; err == nil || !strings.Contains(err.Error(), "DELEGATE_HTTP_PORT") {
		t.Errorf("Run: %v", err)
	}
}

func TestPingRefusesWhatIsNoPing(t *testing.T) {
	t.Parallel()
	if _, err := (agent.PingRunner{}).Run(context.Background(), []byte("secret"), nil); err == nil || strings.Contains(err.Error(), "secret") || errors.Is(err, io.EOF) {
		t.Errorf("error %v", err)
	}
}
