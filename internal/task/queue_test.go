package task_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/bell"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/store"
	"github.com/belay-dev/belay/internal/task"
)

const (
	safe, unsafe, handled = "SAFE", "UNSAFE", "HANDLED"
	account               = "acct"
)

// world is a queue on the real store, with a clock that the test sets.
type world struct {
	*task.Queue
	store   *store.Store
	fleet   *delegate.Registry
	handler *handler
	mu      sync.Mutex
	now     time.Time
}

type handler struct {
	prepare error
	settled atomic.Int32
	settle  func(task.Task) error
}

func (h *handler) Prepare(context.Context, task.Task, delegate.ID) ([]byte, error) {
	return []byte(`{"secret":"resolved"}`), h.prepare
}

func (h *handler) Settle(_ context.Context, t task.Task) error {
	h.settled.Add(1)
	if h.settle != nil {
		return h.settle(t)
	}
	return nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: filepath.Join(t.TempDir(), "belay.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{store: s, handler: &handler{}, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	log := slog.New(slog.DiscardHandler)
	w.fleet = &delegate.Registry{Store: s, Log: log, Now: w.clock}
	if err := w.fleet.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Queue = &task.Queue{
		Store: s, Bell: &bell.Local{}, Fleet: w.fleet, Log: log, Now: w.clock,
		Kinds:    []task.Kind{{Name: safe, RetrySafe: true}, {Name: unsafe}, {Name: handled, RetrySafe: true}},
		Handlers: map[string]task.Handler{handled: w.handler},
	}
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) register(t *testing.T, name string, tags ...string) delegate.Delegate {
	t.Helper()
	d, err := w.fleet.Register(t.Context(), delegate.Delegate{Name: name, HostName: name, Scope: scope.Scope{Account: account}, TokenID: "tok", Tags: tags, Version: delegate.Current()})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (w *world) submit(t *testing.T, kind string, selectors ...string) task.Task {
	t.Helper()
	got, err := w.Submit(t.Context(), task.Task{Scope: scope.Scope{Account: account}, Kind: kind, Params: []byte(`{}`), Selectors: selectors})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (w *world) acquire(t *testing.T, id task.ID, by delegate.ID) task.Lease {
	t.Helper()
	lease, _, err := w.Acquire(t.Context(), account, id, by)
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

func (w *world) state(t *testing.T, id task.ID) task.Task {
	t.Helper()
	got, err := w.store.Task(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (w *world) sweep(t *testing.T) {
	t.Helper()
	if err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestATaskIsDoneAndWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register(t, "d1")
	submitted := w.submit(t, safe)
	offers, err := w.Offers(t.Context(), d)
	if err != nil || len(offers) != 1 || offers[0].ID != submitted.ID {
		t.Fatalf("offers %v, %v", offers, err)
	}
	lease := w.acquire(t, submitted.ID, d.ID)
	other := w.register(t, "d2")
	if _, _, err := w.Acquire(t.Context(), account, submitted.ID, other.ID); !errors.Is(err, task.ErrGone) {
		t.Fatalf("leased twice: %v", err)
	}
	report := task.Report{Fence: lease.Fence, OK: true, Result: []byte(`{"x":1}`)}
	for range 2 { // a report may come twice
		if err := w.Finish(t.Context(), account, submitted.ID, d.ID, report); err != nil {
			t.Fatal(err)
		}
	}
	done, err := w.Wait(t.Context(), submitted.ID)
	if err != nil || done.State != task.Succeeded || string(done.Result) != `{"x":1}` {
		t.Fatalf("got %+v, %v", done, err)
	}
}

// The answer to an acquire may be lost: the same delegate asks again, and what it then reports counts.
func TestALostAcquireIsAskedForAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register(t, "d1")
	submitted := w.submit(t, safe)
	lost, again := w.acquire(t, submitted.ID, d.ID), w.acquire(t, submitted.ID, d.ID)
	if again.Fence <= lost.Fence || again.Task.Attempts != 1 {
		t.Fatalf("fences %d, then %d, after %d attempts", lost.Fence, again.Fence, again.Task.Attempts)
	}
	if err := w.Finish(t.Context(), account, submitted.ID, d.ID, task.Report{Fence: lost.Fence, OK: true}); !errors.Is(err, task.ErrGone) {
		t.Fatalf("a result under the lost answer: %v", err)
	}
	if err := w.Finish(t.Context(), account, submitted.ID, d.ID, task.Report{Fence: again.Fence, OK: true}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Acquire(t.Context(), account, submitted.ID, d.ID); !errors.Is(err, task.ErrGone) {
		t.Fatalf("leased after its end: %v", err)
	}
}

func TestNobodyToDoIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(t, "eks-prod-1", "eks")
	got := w.submit(t, safe, "eks", "frankfurt")
	if got.State != task.Failed || got.Failure.Cause != task.CauseNoDelegate || got.Failure.Message != "No delegate has both eks and frankfurt." {
		t.Fatalf("got %+v", got)
	}
	if len(got.Failure.Reasons) != 1 || got.Failure.Reasons[0] != "eks-prod-1: lacks frankfurt" {
		t.Fatalf("reasons %q", got.Failure.Reasons)
	}
}

func TestABusyDelegateIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register(t, "d1")
	if _, err := w.fleet.Seen(account, d.ID, &delegate.Report{Busy: "CPU at 93 %, threshold 80 %"}); err != nil {
		t.Fatal(err)
	}
	got := w.submit(t, safe)
	if got.State != task.Queued {
		t.Fatalf("got %+v", got)
	}
	d, err := w.fleet.Seen(account, d.ID, &delegate.Report{})
	if err != nil {
		t.Fatal(err)
	}
	if offers, err := w.Offers(t.Context(), d); err != nil || len(offers) != 1 {
		t.Fatalf("not offered when it is free again: %v %v", offers, err)
	}
}

func TestALostDelegateIsReplacedIfTheKindIsSafe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lost, other := w.register(t, "lost"), w.register(t, "other")
	submitted := w.submit(t, safe)
	old := w.acquire(t, submitted.ID, lost.ID)
	w.pass(task.LeaseFor + time.Second)
	if _, err := w.fleet.Seen(account, other.ID, nil); err != nil {
		t.Fatal(err)
	}
	w.sweep(t)
	if got := w.state(t, submitted.ID); got.State != task.Queued || len(got.Tried) != 1 {
		t.Fatalf("got %+v", got)
	}
	lease := w.acquire(t, submitted.ID, other.ID)
	if lease.Fence <= old.Fence {
		t.Fatalf("the fence did not grow: %d, %d", old.Fence, lease.Fence)
	}
	// The lost one comes back late: its report must not count.
	if err := w.Finish(t.Context(), account, submitted.ID, lost.ID, task.Report{Fence: old.Fence, OK: true}); !errors.Is(err, task.ErrGone) {
		t.Fatalf("a stale report counted: %v", err)
	}
	if err := w.Finish(t.Context(), account, submitted.ID, other.ID, task.Report{Fence: lease.Fence, OK: true}); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(t.Context(), account, submitted.ID, lost.ID, task.Report{Fence: old.Fence, OK: true}); !errors.Is(err, task.ErrGone) {
		t.Fatalf("a stale report counted after the end: %v", err)
	}
}

func TestTheOnlyDelegateMayTryAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register(t, "only")
	submitted := w.submit(t, safe)
	w.acquire(t, submitted.ID, d.ID)
	w.pass(task.LeaseFor + time.Second)
	w.sweep(t)
	d, err := w.fleet.Seen(account, d.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if offers, err := w.Offers(t.Context(), d); err != nil || len(offers) != 1 {
		t.Fatalf("a sole delegate is denied: %v %v", offers, err)
	}
}

func TestALostDelegateEndsATaskThatMustNotBeRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lost := w.register(t, "lost")
	w.register(t, "other")
	submitted := w.submit(t, unsafe)
	w.acquire(t, submitted.ID, lost.ID)
	w.pass(task.LeaseFor + time.Second)
	w.sweep(t)
	got := w.state(t, submitted.ID)
	if got.State != task.Failed || got.Failure.Cause != task.CauseDelegateLost || !strings.Contains(got.Failure.Message, "delegate lost stopped answering") {
		t.Fatalf("got %+v", got)
	}
}

func TestRenewingKeepsALease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register(t, "d1")
	kept, dropped := w.submit(t, unsafe), w.submit(t, unsafe)
	w.acquire(t, kept.ID, d.ID)
	w.acquire(t, dropped.ID, d.ID)
	w.pass(task.LeaseFor - time.Second)
	if err := w.Renew(t.Context(), d.ID, []task.ID{kept.ID}); err != nil {
		t.Fatal(err)
	}
	w.pass(2 * time.Second)
	w.sweep(t)
	if got := w.state(t, kept.ID); got.State != task.Leased {
		t.Fatalf("the renewed one is %s", got.State)
	}
	if got := w.state(t, dropped.ID); got.State != task.Failed {
		t.Fatalf("the other is %s", got.State)
	}
}

func TestATaskThatNobodyTakesExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(t, "d1")
	submitted := w.submit(t, safe)
	w.pass(task.DefaultTimeout + time.Second)
	w.sweep(t)
	got := w.state(t, submitted.ID)
	if got.State != task.Expired || got.Failure.Cause != task.CauseNotTaken || got.Failure.Message != "No delegate is connected." {
		t.Fatalf("got %+v", got)
	}
}

func TestGivingBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.register(t, "one"), w.register(t, "two")
	submitted := w.submit(t, safe)
	lease := w.acquire(t, submitted.ID, one.ID)
	if err := w.Finish(t.Context(), account, submitted.ID, one.ID, task.Report{Fence: lease.Fence, GivenBack: true, Message: "cannot reach it"}); err != nil {
		t.Fatal(err)
	}
	if offers, err := w.Offers(t.Context(), one); err != nil || len(offers) != 0 {
		t.Fatalf("offered again to the one that gave it back: %v %v", offers, err)
	}
	lease = w.acquire(t, submitted.ID, two.ID)
	if err := w.Finish(t.Context(), account, submitted.ID, two.ID, task.Report{Fence: lease.Fence, GivenBack: true, Message: "neither can I"}); err != nil {
		t.Fatal(err)
	}
	got := w.state(t, submitted.ID)
	if got.State != task.Failed || !strings.Contains(got.Failure.Message, "neither can I") {
		t.Fatalf("got %+v", got)
	}
}

func TestWhatATaskNeedsCannotBeResolved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register(t, "d1")
	w.handler.prepare = fault.New(fault.NotFound, `secret "sk" does not exist at account`)
	submitted := w.submit(t, handled)
	if _, _, err := w.Acquire(t.Context(), account, submitted.ID, d.ID); !errors.Is(err, fault.NotFound) {
		t.Fatalf("got %v", err)
	}
	got, err := w.Wait(t.Context(), submitted.ID)
	if err != nil || got.Failure.Cause != task.CausePrepare || !strings.Contains(got.Failure.Message, `secret "sk"`) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if n := w.handler.settled.Load(); n != 1 {
		t.Fatalf("settled %d times", n)
	}
}

func TestAnOutageWhilePreparingPutsTheTaskBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register(t, "d1")
	w.handler.prepare = fault.New(fault.Unavailable, "the master key is not there")
	submitted := w.submit(t, handled)
	if _, _, err := w.Acquire(t.Context(), account, submitted.ID, d.ID); !errors.Is(err, fault.Unavailable) {
		t.Fatalf("got %v", err)
	}
	w.handler.prepare = nil
	lease := w.acquire(t, submitted.ID, d.ID)
	if err := w.Finish(t.Context(), account, submitted.ID, d.ID, task.Report{Fence: lease.Fence, OK: true}); err != nil {
		t.Fatal(err)
	}
}

// The manager dies between the durable report and dealing with it: the next sweep does so.
func TestAnOutcomeThatWasNotDealtWithIsDealtWithLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register(t, "d1")
	submitted := w.submit(t, handled)
	lease := w.acquire(t, submitted.ID, d.ID)
	w.handler.settle = func(task.Task) error { return errors.New("the disk is full") }
	if err := w.Finish(t.Context(), account, submitted.ID, d.ID, task.Report{Fence: lease.Fence, OK: true}); err != nil {
		t.Fatalf("the report is safe, so it must be acknowledged: %v", err)
	}
	if got := w.state(t, submitted.ID); got.State != task.Succeeded || got.Settled {
		t.Fatalf("got %+v", got)
	}
	w.handler.settle = nil
	w.pass(time.Minute)
	w.sweep(t)
	if got := w.state(t, submitted.ID); !got.Settled {
		t.Fatal("still not dealt with")
	}
}

func TestOtherAccountsSeeNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register(t, "d1")
	submitted := w.submit(t, safe)
	if _, _, err := w.Acquire(t.Context(), "other", submitted.ID, d.ID); !errors.Is(err, task.ErrGone) {
		t.Fatalf("got %v", err)
	}
	if err := w.Finish(t.Context(), "other", submitted.ID, d.ID, task.Report{OK: true}); !errors.Is(err, task.ErrGone) {
		t.Fatalf("got %v", err)
	}
}

func TestPlatformTasksAreForTheManagerOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register(t, "d1")
	submitted, err := w.Submit(t.Context(), task.Task{Scope: scope.Scope{Account: account}, Kind: safe, Platform: true})
	if err != nil {
		t.Fatal(err)
	}
	if offers, err := w.Offers(t.Context(), d); err != nil || len(offers) != 0 {
		t.Fatalf("offered to a delegate: %v %v", offers, err)
	}
	if _, _, err := w.Acquire(t.Context(), account, submitted.ID, d.ID); !errors.Is(err, fault.Denied) {
		t.Fatalf("got %v", err)
	}
	lease := w.acquire(t, submitted.ID, delegate.PlatformID)
	if err := w.Finish(t.Context(), account, submitted.ID, delegate.PlatformID, task.Report{Fence: lease.Fence, OK: true}); err != nil {
		t.Fatal(err)
	}
}

// Tasks that nobody here can take must not hide those behind them.
func TestTasksForOthersDoNotHideMine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	busy, free := w.register(t, "busy", "only-busy"), w.register(t, "free")
	if _, err := w.fleet.Seen(account, busy.ID, &delegate.Report{Busy: "full"}); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 500 {
		wait.Go(func() { w.submit(t, safe, "only-busy") })
	}
	wait.Wait()
	w.pass(time.Second)
	mine := w.submit(t, safe, "free")
	if offers, err := w.Offers(t.Context(), free); err != nil || len(offers) != 1 || offers[0].ID != mine.ID {
		t.Fatalf("offers %d, %v", len(offers), err)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(t, "d1")
	submitted := w.submit(t, safe)
	if err := w.Cancel(t.Context(), submitted.ID, "nobody needs it any more"); err != nil {
		t.Fatal(err)
	}
	if got, err := w.Wait(t.Context(), submitted.ID); err != nil || got.State != task.Cancelled {
		t.Fatalf("got %+v, %v", got, err)
	}
	if err := w.Cancel(t.Context(), submitted.ID, "again"); !errors.Is(err, task.ErrGone) {
		t.Fatalf("got %v", err)
	}
}
