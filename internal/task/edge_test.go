package task_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/store"
	"github.com/belay-dev/belay/internal/task"
)

// renewing is the real store, where a heartbeat comes in just before a task is put back or ended.
type renewing struct {
	*store.Store
	heartbeat func()
}

func (r *renewing) ReleaseTask(ctx context.Context, t task.Task, tried []delegate.ID) (task.Task, error) {
	r.heartbeat()
	return r.Store.ReleaseTask(ctx, t, tried)
}

func (r *renewing) EndTask(ctx context.Context, t task.Task, end task.End) (task.Task, error) {
	r.heartbeat()
	return r.Store.EndTask(ctx, t, end)
}

// once renews the leases of a delegate one time.
func (w *world) once(t *testing.T, by delegate.ID) {
	t.Helper()
	done := false
	w.Store = &renewing{w.store, func() {
		if done {
			return
		}
		done = true
		w.pass(time.Second)
		if err := w.Renew(t.Context(), by, nil); err != nil {
			t.Error(err)
		}
	}}
}

func TestAHeartbeatDoesNotUndoAGiveBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.register(t, "a"), w.register(t, "b")
	id := w.submit(t, safe).ID
	lease := w.acquire(t, id, a.ID)
	w.once(t, a.ID)
	if err := w.Finish(t.Context(), account, id, a.ID, task.Report{Fence: lease.Fence, GivenBack: true}); err != nil {
		t.Fatal(err)
	}
	if got := w.state(t, id); got.State != task.Queued || len(got.Tried) != 1 {
		t.Fatalf("%s, tried %v", got.State, got.Tried)
	}
	w.acquire(t, id, b.ID)
}

func TestAHeartbeatDoesNotUndoACancellation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(t, "a")
	id := w.submit(t, safe).ID
	w.acquire(t, id, a.ID)
	w.once(t, a.ID)
	if err := w.Cancel(t.Context(), id, "nobody wants it any more"); err != nil {
		t.Fatal(err)
	}
	if got := w.state(t, id); got.State != task.Cancelled {
		t.Fatal(got.State)
	}
}

// An acknowledged report that changed nothing would be a lost result.
func TestAReportThatComesAfterTheEndIsRefused(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(t *testing.T, w *world, id task.ID){
		"the deadline has passed": func(t *testing.T, w *world, _ task.ID) {
			t.Helper()
			w.pass(task.DefaultTimeout + time.Second)
			w.sweep(t)
		},
		"it was cancelled": func(t *testing.T, w *world, id task.ID) {
			t.Helper()
			if err := w.Cancel(t.Context(), id, "x"); err != nil {
				t.Fatal(err)
			}
		},
		"the delegate was lost": func(t *testing.T, w *world, _ task.ID) {
			t.Helper()
			w.pass(task.LeaseFor + time.Second)
			w.sweep(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.register(t, "a")
			id := w.submit(t, unsafe).ID
			lease := w.acquire(t, id, a.ID)
			end(t, w, id)
			before := w.state(t, id)
			if !before.State.Done() {
				t.Fatal(before.State)
			}
			err := w.Finish(t.Context(), account, id, a.ID, task.Report{Fence: lease.Fence, OK: true, Result: []byte(`1`)})
			if !errors.Is(err, task.ErrGone) {
				t.Fatalf("got %v", err)
			}
			if after := w.state(t, id); after.State != before.State || after.Result != nil {
				t.Fatalf("%s with %s", after.State, after.Result)
			}
		})
	}
}

// hangingUp prepares while the one who asked hangs up.
type hangingUp struct{ hangUp func() }

func (h hangingUp) Prepare(ctx context.Context, _ task.Task, _ delegate.ID) ([]byte, error) {
	h.hangUp()
	return nil, ctx.Err()
}

func (hangingUp) Settle(context.Context, task.Task) error { return nil }

func TestATaskWhoseAcquirerHangsUpIsOfferedAgainAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(t, "a")
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	w.Handlers = map[string]task.Handler{handled: hangingUp{hangUp}}
	id := w.submit(t, handled).ID
	rings, stop := w.Bell.Listen(task.DelegateTopic(a.ID))
	defer stop()
	if _, _, err := w.Acquire(ctx, account, id, a.ID); !errors.Is(err, fault.Unavailable) {
		t.Fatalf("got %v", err)
	}
	if got := w.state(t, id); got.State != task.Queued {
		t.Fatalf("%s: %+v", got.State, got.Failure)
	}
	select {
	case <-rings:
	default:
		t.Fatal("nobody was woken")
	}
}

func TestATaskThatIsPutBackWakesThoseWhoMayTakeIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.register(t, "a"), w.register(t, "b")
	w.handler.prepare = fault.New(fault.Unavailable, "the secrets cannot be read now")
	id := w.submit(t, handled).ID
	rings, stop := w.Bell.Listen(task.DelegateTopic(b.ID)) // rung for the submission already, before it listened
	defer stop()
	if _, _, err := w.Acquire(t.Context(), account, id, a.ID); !errors.Is(err, fault.Unavailable) {
		t.Fatalf("got %v", err)
	}
	select {
	case <-rings:
	default:
		t.Fatal("nobody was woken")
	}
}

func TestADelegateThatWasLostMayTryAgainWhenTheOthersAreLostToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.register(t, "a"), w.register(t, "b")
	live := func(ids ...delegate.ID) {
		for _, id := range ids {
			if _, err := w.fleet.Seen(account, id, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	id := w.submit(t, safe).ID
	w.acquire(t, id, a.ID)
	w.pass(task.LeaseFor + time.Second)
	live(b.ID)
	w.sweep(t)
	if got := w.state(t, id); len(got.Tried) != 1 || got.Tried[0] != a.ID {
		t.Fatalf("%s, tried %v", got.State, got.Tried)
	}
	// b is lost before it takes the task, a is back.
	w.pass(delegate.SilentAfter + time.Second)
	live(a.ID)
	offers, err := w.Offers(t.Context(), mustSeen(t, w, a.ID))
	if err != nil || len(offers) != 1 {
		t.Fatalf("offered %d, %v", len(offers), err)
	}
	w.acquire(t, id, a.ID)
	// And both are tried again after both were lost with it.
	w.pass(task.LeaseFor + time.Second)
	w.sweep(t)
	live(a.ID)
	w.acquire(t, id, a.ID)
}

func mustSeen(t *testing.T, w *world, id delegate.ID) delegate.Delegate {
	t.Helper()
	d, err := w.fleet.Seen(account, id, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOneTaskThatCannotBeDealtWithDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(t, "a")
	first := w.submit(t, handled).ID
	w.acquire(t, first, a.ID)
	w.pass(time.Second)
	second := w.submit(t, handled).ID
	w.handler.settle = func(t task.Task) error {
		if t.ID == first {
			return errors.New("broken")
		}
		return nil
	}
	w.pass(task.DefaultTimeout + time.Second)
	w.sweep(t)
	if got := w.state(t, second); got.State != task.Expired || !got.Settled {
		t.Fatalf("%s, settled %v", got.State, got.Settled)
	}
}

// What a task's failure tells goes to whoever may see the task; other projects' delegates are none of their business.
func TestReasonsDoNotNameDelegatesOfOtherProjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := scope.Scope{Account: account, Org: "o", Project: "hidden"}
	if _, err := w.fleet.Register(t.Context(), delegate.Delegate{Name: "covert", HostName: "h", Scope: other, TokenID: "tok"}); err != nil {
		t.Fatal(err)
	}
	got, err := w.Submit(t.Context(), task.Task{Scope: scope.Scope{Account: account, Org: "o", Project: "mine"}, Kind: safe})
	if err != nil || got.Failure.Cause != task.CauseNoDelegate {
		t.Fatalf("%+v, %v", got.Failure, err)
	}
	all := strings.Join(append(got.Failure.Reasons, got.Failure.Message), "\n")
	if strings.Contains(all, "covert") || strings.Contains(all, "hidden") {
		t.Fatal(all)
	}
	if !strings.Contains(all, "1 delegate of other organizations or projects") {
		t.Fatal(all)
	}
}
