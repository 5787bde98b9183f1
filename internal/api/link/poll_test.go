package link_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/task"
)

// parked waits until n polls are parked.
func parked(t *testing.T, w *world, n float64) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for {
		families, err := w.server.Metrics.(*prometheus.Registry).Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "belay_link_parked_polls" && f.GetMetric()[0].GetGauge().GetValue() == n {
				return
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("there are not %v parked polls", n)
		}
	}
}

func TestAParkedPollIsWokenByATask(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.Held = 20 * time.Second
	id := w.join("one")
	got := make(chan answer, 1)
	go func() { got <- w.call(http.MethodGet, events(id), nil) }()
	parked(t, w, 1)
	began := time.Now()
	submitted := w.submit(pingKind)
	var out protocol.Events
	(<-got).into(t, &out)
	if len(out.DelegateTaskEvents) != 1 || out.DelegateTaskEvents[0].DelegateTaskID != string(submitted.ID) {
		t.Errorf("events %+v", out)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("woken after %s", took)
	}
}

func TestAnEmptyPollEndsWithAnEmptyList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.Held = 50 * time.Millisecond
	id := w.join("one")
	a := w.call(http.MethodGet, events(id), nil)
	if a.status != 200 || a.text != `{"delegateTaskEvents":[]}` {
		t.Errorf("%d %s", a.status, a.text)
	}
	if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
}

func TestAPollThatHangsUpIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.Held = 20 * time.Second
	id := w.join("one")
	ctx, cancel := context.WithCancel(t.Context())
	proof := w.proof()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.callAs(ctx, proof, http.MethodGet, events(id), nil)
	}()
	parked(t, w, 1)
	cancel()
	<-done
	parked(t, w, 0)
}

func TestStopEndsParkedPolls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.Held = 20 * time.Second
	id := w.join("one")
	got := make(chan answer, 1)
	go func() { got <- w.call(http.MethodGet, events(id), nil) }()
	parked(t, w, 1)
	w.server.Stop()
	if a := <-got; a.status != http.StatusServiceUnavailable || a.header.Get(protocol.HeaderRetryAfter) == "" {
		t.Errorf("%d %s", a.status, a.text)
	}
}

func TestWhatIsNotTakenIsOfferedAgainButNotInAHotLoop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.join("one")
	w.submit(pingKind)
	// On a busy machine a poll's time may be over before the pause between equal answers is: then it is empty.
	offered := func() []protocol.Event {
		for {
			var out protocol.Events
			w.call(http.MethodGet, events(id), nil).into(t, &out)
			if len(out.DelegateTaskEvents) > 0 {
				return out.DelegateTaskEvents
			}
		}
	}
	const times = 5
	began := time.Now()
	for range times {
		if got := offered(); len(got) != 1 {
			t.Fatalf("events %+v", got)
		}
	}
	if took, least := time.Since(began), (times-1)*250*time.Millisecond; took < least {
		t.Errorf("%d equal answers within %s, at least %s wanted", times, took, least)
	}
	// Another offer is made at once.
	second := w.submit(pingKind)
	if got := offered(); len(got) != 2 || got[1].DelegateTaskID != string(second.ID) {
		t.Errorf("events %+v", got)
	}
}

func TestSupportedTaskTypesAreHonoured(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.Held = 100 * time.Millisecond
	w.join("both")
	var out protocol.Registered
	narrow := w.registration("narrow")
	narrow.SupportedTaskTypes = []string{pingKind}
	w.call(http.MethodPost, protocol.PathRegister, narrow).into(t, &out)
	submitted := w.submit(onceKind)
	var none protocol.Events
	w.call(http.MethodGet, events(out.Resource.DelegateID), nil).into(t, &none)
	if len(none.DelegateTaskEvents) != 0 {
		t.Errorf("offered %+v", none)
	}
	a := w.call(http.MethodPut, work(protocol.PathAcquire, out.Resource.DelegateID, submitted.ID), nil)
	if a.status != http.StatusForbidden || !strings.Contains(a.text, "does not support") {
		t.Errorf("%d %s", a.status, a.text)
	}
}

func TestABusyDelegateIsOfferedNothingUntilItSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.Held = 20 * time.Second
	id := w.join("one")
	beat := w.registration("one")
	beat.DelegateID, beat.Busy, beat.Idle = id, "CPU at 93 %, threshold 80 %", true
	if a := w.call(http.MethodPost, protocol.PathHeartbeat, beat); a.status != 200 {
		t.Fatal(a)
	}
	submitted := w.submit(pingKind)
	got := make(chan answer, 1)
	go func() { got <- w.call(http.MethodGet, events(id), nil) }()
	parked(t, w, 1)
	beat.Busy = ""
	if a := w.call(http.MethodPost, protocol.PathHeartbeat, beat); a.status != 200 {
		t.Fatal(a)
	}
	var out protocol.Events
	(<-got).into(t, &out)
	if len(out.DelegateTaskEvents) != 1 || out.DelegateTaskEvents[0].DelegateTaskID != string(submitted.ID) {
		t.Errorf("events %+v", out)
	}
}

func TestALostAcquireAndAStaleFence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.join("one"), w.join("two")
	submitted := w.submit(pingKind)
	first := w.acquire(one, submitted.ID)
	a := w.call(http.MethodPut, work(protocol.PathAcquire, two, submitted.ID), nil)
	if a.status != http.StatusConflict || !strings.Contains(a.text, "no longer on offer") {
		t.Fatalf("second acquire: %d %s", a.status, a.text)
	}
	// The first delegate is given up, the second gets the task, and the first reports after all.
	if err := w.queue.DelegateGone(t.Context(), delegate.ID(one)); err != nil {
		t.Fatal(err)
	}
	second := w.acquire(two, submitted.ID)
	if second.Fence <= first.Fence {
		t.Errorf("fences %d, then %d", first.Fence, second.Fence)
	}
	late := protocol.Result{ID: string(submitted.ID), Code: protocol.CodeOK, Data: []byte(`{"from":"one"}`), Fence: first.Fence}
	for _, by := range []string{one, two} { // under its own name, or under the other's with its old fence
		if a := w.call(http.MethodPost, work(protocol.PathResult, by, submitted.ID), late); a.status != http.StatusConflict || !strings.Contains(a.text, "too late") {
			t.Errorf("stale result: %d %s", a.status, a.text)
		}
	}
	good := protocol.Result{ID: string(submitted.ID), Code: protocol.CodeOK, Data: []byte(`{"from":"two"}`), Fence: second.Fence}
	if a := w.call(http.MethodPost, work(protocol.PathResult, two, submitted.ID), good); a.status != 204 {
		t.Errorf("%d %s", a.status, a.text)
	}
	if done := w.task(submitted.ID); string(done.Result) != `{"from":"two"}` {
		t.Errorf("result %s", done.Result)
	}
}

func TestTwoDelegatesRaceForTasks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const tasks = 200
	ids := []string{w.join("one"), w.join("two")}
	all := make([]task.ID, tasks)
	for i := range all {
		all[i] = w.submit(pingKind).ID
	}
	var won, lost atomic.Int64
	var racing sync.WaitGroup
	stop := make(chan struct{})
	for _, id := range ids {
		racing.Go(func() {
			proof := w.proof()
			for {
				select {
				case <-stop:
					return
				default:
				}
				var out protocol.Events
				a := w.callAs(t.Context(), proof, http.MethodGet, events(id), nil)
				if a.status != 200 {
					t.Errorf("poll: %d %s", a.status, a.text)
					return
				}
				a.into(t, &out)
				for _, e := range out.DelegateTaskEvents {
					got := w.callAs(t.Context(), proof, http.MethodPut, work(protocol.PathAcquire, id, task.ID(e.DelegateTaskID)), nil)
					if got.status == http.StatusConflict {
						lost.Add(1)
						continue
					}
					var leased protocol.Task
					got.into(t, &leased)
					result := protocol.Result{ID: leased.ID, Code: protocol.CodeOK, Data: []byte(`"` + id + `"`), Fence: leased.Fence}
					if a := w.callAs(t.Context(), proof, http.MethodPost, work(protocol.PathResult, id, task.ID(leased.ID)), result); a.status != 204 {
						t.Errorf("result: %d %s", a.status, a.text)
					}
					if won.Add(1) == tasks {
						close(stop)
					}
				}
			}
		})
	}
	racing.Wait()
	if won.Load() != tasks {
		t.Errorf("%d tasks won, want %d", won.Load(), tasks)
	}
	for _, id := range all {
		if done := w.task(id); done.State != task.Succeeded || done.Attempts != 1 {
			t.Errorf("task %s: %s after %d attempts", id, done.State, done.Attempts)
		}
	}
	t.Logf("%d acquires won, %d lost", won.Load(), lost.Load())
}

// What a delegate says of its load is there at once, within bounds, and a delegate that says nothing has none.
func TestTheLoadOfADelegate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.join("one")
	known := func() *delegate.Load {
		t.Helper()
		d, err := w.registry.Delegate(w.account, delegate.ID(id))
		if err != nil {
			t.Fatal(err)
		}
		return d.Load
	}
	if l := known(); l != nil {
		t.Errorf("it said nothing, and has the load %+v", l)
	}
	beat := w.registration("one")
	beat.DelegateID = id
	beat.Load = &protocol.Load{CPU: new(250), Tasks: -3, Limit: 10}
	if a := w.call(http.MethodPost, protocol.PathHeartbeat, beat); a.status != http.StatusOK {
		t.Fatal(a)
	}
	if diff := cmp.Diff(&delegate.Load{CPU: 100, Memory: -1, Tasks: 0, Limit: 10}, known()); diff != "" {
		t.Error(diff)
	}
}
