package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
)

// Store is the durable side. Every method that changes a row is one statement, and fails with NotFound when the row is
// not in the state that it needs.
type store interface {
	InsertTask(ctx context.Context, t Task) error
	Task(ctx context.Context, id ID) (Task, error)
	// QueuedTasks are the tasks of an account that wait for a delegate, or for the platform, oldest first, behind after.
	QueuedTasks(ctx context.Context, account string, platform bool, after Task, limit int) ([]Task, error)
	// LeaseTask leases a queued task, or a retry-safe one whose lease has ended, before its deadline, and counts its fence up.
	LeaseTask(ctx context.Context, id ID, by delegate.ID, now, until time.Time) (Task, error)
	// LeaseAgain gives the lease of t anew to the delegate that holds it, and counts its fence up.
	LeaseAgain(ctx context.Context, t Task, now, until time.Time) (Task, error)
	// RenewLeases begins the leases that a delegate holds anew; ids empty means all of them.
	RenewLeases(ctx context.Context, by delegate.ID, ids []ID, now time.Time) error
	// EndLeases ends all leases that a delegate holds.
	EndLeases(ctx context.Context, by delegate.ID, now time.Time) error
	// FinishTask ends a leased task; fence 0 accepts whatever lease the delegate holds.
	FinishTask(ctx context.Context, id ID, by delegate.ID, fence int64, end End) (Task, error)
	// EndTask ends a task if state, fence and lease are still those of t.
	EndTask(ctx context.Context, t Task, end End) (Task, error)
	// ReleaseTask puts a leased task back, if its fence and lease are still those of t, and remembers who had it.
	ReleaseTask(ctx context.Context, t Task, tried []delegate.ID) (Task, error)
	// Overdue are tasks whose lease ended or whose deadline has come.
	Overdue(ctx context.Context, now time.Time, limit int) ([]Task, error)
	// Unsettled are finished tasks whose outcome was not dealt with.
	Unsettled(ctx context.Context, limit int) ([]Task, error)
	SettleTask(ctx context.Context, id ID) error
	DeleteTasks(ctx context.Context, finishedBefore time.Time) error
}

// End is how a task ends.
type End struct {
	State   State
	Result  []byte
	Failure Failure
	At      time.Time
	Settled bool
}

type bell interface {
	Ring(topic string)
	Listen(topic string) (rings <-chan struct{}, stop func())
}

type fleet interface {
	Choose(need delegate.Need) delegate.Choice
	// Fit are the eligible ones of Choose, in any order.
	Fit(need delegate.Need) []delegate.Delegate
	Delegate(account string, id delegate.ID) (delegate.Delegate, error)
}

// Handler is what a kind of task adds to the queue.
type Handler interface {
	// Prepare makes the payload that the delegate gets: references are resolved here, for this delegate, at this moment.
	Prepare(ctx context.Context, t Task, by delegate.ID) ([]byte, error)
	// Settle deals with the outcome. It may be called more than once for a task, after a crash.
	Settle(ctx context.Context, t Task) error
}

// Queue is tasks with their rules.
type Queue struct {
	Store    store
	Bell     bell
	Fleet    fleet
	Kinds    []Kind
	Handlers map[string]Handler // by kind; a kind without one has nothing to prepare or to settle
	Log      *slog.Logger
	Now      func() time.Time
	// Keep is how long finished tasks are remembered; 0 means KeepFinished.
	Keep time.Duration
}

// ErrGone is what a delegate gets that asks for a task which is no longer on offer.
var ErrGone = fault.New(fault.NotFound, "the task is no longer on offer")

// Submit queues a task and wakes delegates that may take it. When nobody may, and waiting would not help, the task is
// kept as failed with every delegate's reason: the row answers as well as a later look would. A task that comes with an id
// keeps it.
func (q *Queue) Submit(ctx context.Context, t Task) (Task, error) {
	kind, err := q.kind(t.Kind)
	if err != nil {
		return Task{}, err
	}
	now := q.Now().UTC()
	t.State, t.RetrySafe, t.Lease, t.CreatedAt = Queued, kind.RetrySafe, kind.lease(), now
	if t.ID == "" {
		t.ID = NewID()
	}
	if t.Deadline.IsZero() {
		t.Deadline = now.Add(kind.timeout())
	}
	var wake []delegate.Delegate
	if !t.Platform {
		if wake = q.Fleet.Fit(t.Need()); len(wake) == 0 {
			choice := q.Fleet.Choose(t.Need())
			if wake = choice.Eligible(); len(wake) == 0 && !choice.Waiting() {
				t.State, t.FinishedAt = Failed, now
				t.Failure = Failure{Cause: CauseNoDelegate, Message: choice.Sentence(), Reasons: choice.Reasons()}
			}
		}
	}
	if err := q.Store.InsertTask(ctx, t); err != nil {
		return Task{}, err
	}
	if t.State == Failed {
		return q.settle(ctx, t)
	}
	q.wake(t, wake)
	return t, nil
}

// wake rings for at most offersAtOnce delegates, chosen by chance so that work spreads.
func (q *Queue) wake(t Task, eligible []delegate.Delegate) {
	if t.Platform {
		q.Bell.Ring(DelegateTopic(delegate.PlatformID))
		return
	}
	//nolint:gosec // a fair share of work needs no secrecy
	rand.Shuffle(len(eligible), func(i, j int) { eligible[i], eligible[j] = eligible[j], eligible[i] })
	for _, d := range eligible[:min(len(eligible), offersAtOnce)] {
		q.Bell.Ring(DelegateTopic(d.ID))
	}
}

// wakeFor rings for those who may take a task that is on offer again.
func (q *Queue) wakeFor(t Task) {
	if t.Platform {
		q.wake(t, nil)
		return
	}
	q.wake(t, q.Fleet.Fit(t.Need()))
}

// DelegateTopic is the bell's topic for a delegate's parked poll.
func DelegateTopic(id delegate.ID) string { return "delegate/" + string(id) }

func taskTopic(id ID) string { return "task/" + string(id) }

const mostOffers = 20

// Offers are the queued tasks that a delegate may acquire, the oldest first, at most mostOffers. It looks at all that is
// queued, so tasks for others do not hide those for this one.
func (q *Queue) Offers(ctx context.Context, d delegate.Delegate) ([]Task, error) {
	const look = 200
	now := q.Now()
	var offers []Task
	for after := (Task{}); ; {
		queued, err := q.Store.QueuedTasks(ctx, d.Scope.Account, false, after, look)
		if err != nil {
			return nil, err
		}
		for _, t := range queued {
			if v, _ := delegate.Judge(q.needFor(t, d), d, now); v == delegate.Eligible {
				offers = append(offers, t)
			}
			if len(offers) == mostOffers {
				return offers, nil
			}
		}
		if len(queued) < look {
			return offers, nil
		}
		after = queued[len(queued)-1]
	}
}

// PlatformOffers are the queued tasks that the manager itself is to do, the oldest first.
func (q *Queue) PlatformOffers(ctx context.Context, account string) ([]Task, error) {
	return q.Store.QueuedTasks(ctx, account, true, Task{}, mostOffers)
}

// Acquire leases a task for a delegate and prepares its payload. Who comes too late gets ErrGone.
func (q *Queue) Acquire(ctx context.Context, account string, id ID, by delegate.ID) (Lease, []byte, error) {
	t, err := q.Store.Task(ctx, id)
	if err != nil || t.Scope.Account != account {
		return Lease{}, nil, gone(err)
	}
	if err := q.mayTake(t, by); err != nil {
		return Lease{}, nil, err
	}
	now := q.Now().UTC()
	if t.State == Leased && t.LeasedBy == by && !t.Platform {
		// The answer to its first acquire was lost: what it asks for is what it holds. The fence counts on, so that a result
		// under the lost answer is refused.
		t, err = q.Store.LeaseAgain(ctx, t, now, now.Add(t.Lease))
	} else {
		t, err = q.Store.LeaseTask(ctx, id, by, now, now.Add(t.Lease))
	}
	if err != nil {
		return Lease{}, nil, gone(err)
	}
	payload := t.Params
	if h, ok := q.Handlers[t.Kind]; ok {
		payload, err = h.Prepare(ctx, t, by)
		if err != nil {
			return Lease{}, nil, q.notPrepared(ctx, t, err)
		}
	}
	if err := context.Cause(ctx); err != nil {
		return Lease{}, nil, q.putBack(ctx, t, err) // who asked has hung up: nobody has the payload
	}
	return Lease{Task: t, Fence: t.Fence, Until: t.LeaseUntil}, payload, nil
}

func (q *Queue) mayTake(t Task, by delegate.ID) error {
	if t.Platform != (by == delegate.PlatformID) {
		return fault.New(fault.Denied, "task %s is not for this delegate", t.ID)
	}
	if t.Platform {
		return nil
	}
	d, err := q.Fleet.Delegate(t.Scope.Account, by)
	if err != nil {
		return err
	}
	if v, reason := delegate.Judge(q.needFor(t, d), d, q.Now()); v != delegate.Eligible {
		return fault.New(fault.Denied, "delegate %s may not take task %s: %s", d.Name, t.ID, reason)
	}
	return nil
}

// needFor is what a task asks of one delegate. A delegate that tried the task before is asked again when no other is left
// that could do it, now or soon: the last one that fits is never kept away.
func (q *Queue) needFor(t Task, d delegate.Delegate) delegate.Need {
	need := t.Need()
	if slices.Contains(t.Tried, d.ID) {
		if choice := q.Fleet.Choose(need); len(choice.Eligible()) == 0 && !choice.Waiting() {
			need.Tried = nil
		}
	}
	return need
}

// notPrepared ends a task whose payload could not be made. An outage puts it back instead: the next delegate may have
// more luck.
func (q *Queue) notPrepared(ctx context.Context, t Task, cause error) error {
	if ctx.Err() != nil || fault.KindOf(cause) == fault.Unavailable && t.Attempts < mostAttempts {
		return q.putBack(ctx, t, cause)
	}
	q.Log.WarnContext(ctx, "task could not be prepared", slog.String("task", string(t.ID)), slog.Any("error", cause))
	end := End{State: Failed, Failure: Failure{Cause: CausePrepare, Message: fault.Sentence(cause)}, At: q.Now().UTC(), Settled: !q.handled(t.Kind)}
	done, err := q.Store.FinishTask(ctx, t.ID, t.LeasedBy, t.Fence, end)
	if err != nil {
		return gone(err)
	}
	if _, err := q.settle(ctx, done); err != nil {
		q.Log.ErrorContext(ctx, "outcome of task not dealt with yet", slog.String("task", string(t.ID)), slog.Any("error", err))
	}
	return fault.New(fault.NotFound, "task %s was withdrawn: what it needs could not be resolved", t.ID)
}

// putBack offers a task again that was leased and not handed over, and wakes those who may take it.
func (q *Queue) putBack(ctx context.Context, t Task, cause error) error {
	// It must be offered again even when the one who asked for it has hung up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	if back, err := q.Store.ReleaseTask(ctx, t, t.Tried); err != nil {
		q.Log.ErrorContext(ctx, "task not put back; its lease ends by itself", slog.String("task", string(t.ID)), slog.Any("error", err))
	} else {
		q.wakeFor(back)
	}
	return fault.Because(fault.Unavailable, cause, "task %s could not be prepared; it is offered again", t.ID)
}

// Renew prolongs the leases of a delegate that says it lives. ids are the tasks that it is working on; a delegate that
// does not say which keeps all it holds.
func (q *Queue) Renew(ctx context.Context, by delegate.ID, ids []ID) error {
	return q.Store.RenewLeases(ctx, by, ids, q.Now().UTC())
}

// Report is what a delegate says of a task.
type Report struct {
	Fence     int64 // of its lease; 0 from clients that do not know fences
	OK        bool
	Result    []byte
	Message   string // why it failed
	GivenBack bool   // another delegate should try
}

// Finish takes a delegate's report. Reporting the same again is fine; reporting on a lease that ended is refused with
// ErrGone and changes nothing.
func (q *Queue) Finish(ctx context.Context, account string, id ID, by delegate.ID, r Report) error {
	t, err := q.Store.Task(ctx, id)
	if err != nil || t.Scope.Account != account {
		return gone(err)
	}
	if t.State.Done() {
		if t.reported() && t.LeasedBy == by && (r.Fence == 0 || r.Fence == t.Fence) {
			_, err := q.settle(ctx, t) // a repeated report, perhaps because the first answer was lost
			return err
		}
		return ErrGone
	}
	if r.GivenBack {
		return q.giveBack(ctx, t, by, r)
	}
	end := End{State: Succeeded, Result: r.Result, At: q.Now().UTC(), Settled: !q.handled(t.Kind)}
	if !r.OK {
		end.State, end.Result, end.Failure = Failed, nil, Failure{Cause: CauseReported, Message: r.Message}
	}
	done, err := q.Store.FinishTask(ctx, id, by, r.Fence, end)
	if err != nil {
		return gone(err)
	}
	if _, err := q.settle(ctx, done); err != nil {
		// The report is safe; the outcome is dealt with by the next sweep.
		q.Log.ErrorContext(ctx, "outcome of task not dealt with yet", slog.String("task", string(id)), slog.Any("error", err))
	}
	return nil
}

func (q *Queue) giveBack(ctx context.Context, t Task, by delegate.ID, r Report) error {
	if t.LeasedBy != by || r.Fence != 0 && r.Fence != t.Fence {
		return ErrGone
	}
	tried := append(t.Tried, by)
	t.Tried = tried
	choice := q.Fleet.Choose(t.Need())
	if !t.Platform && (len(choice.Eligible()) > 0 || choice.Waiting()) {
		// A heartbeat may renew the lease between the look and the release; that takes nothing from the report.
		return q.retry(ctx, t, func(t Task) error {
			back, err := q.Store.ReleaseTask(ctx, t, tried)
			if err == nil {
				q.wake(back, choice.Eligible())
			}
			return err
		})
	}
	end := End{State: Failed, At: q.Now().UTC(), Settled: !q.handled(t.Kind), Failure: Failure{
		Cause: CauseReported, Message: "no other delegate is left to try: " + r.Message, Reasons: choice.Reasons(),
	}}
	done, err := q.Store.FinishTask(ctx, t.ID, by, r.Fence, end)
	if err != nil {
		return gone(err)
	}
	_, err = q.settle(ctx, done)
	return err
}

// Cancel ends a task that is not done.
func (q *Queue) Cancel(ctx context.Context, id ID, why string) error {
	t, err := q.Store.Task(ctx, id)
	if err != nil || t.State.Done() {
		return gone(err)
	}
	return q.retry(ctx, t, func(t Task) error {
		done, err := q.Store.EndTask(ctx, t, End{
			State: Cancelled, Failure: Failure{Cause: CauseCancelled, Message: why}, At: q.Now().UTC(), Settled: !q.handled(t.Kind),
		})
		if err != nil {
			return err
		}
		_, err = q.settle(ctx, done)
		return err
	})
}

// retry repeats a change of a task that found it changed meanwhile, as long as it was only renewed: the same lease, or
// still none.
func (q *Queue) retry(ctx context.Context, t Task, change func(t Task) error) error {
	const tries = 5
	for try := 1; ; try++ {
		err := change(t)
		switch {
		case err == nil:
			return nil
		case fault.KindOf(err) != fault.NotFound || try == tries:
			return gone(err)
		}
		now, readErr := q.Store.Task(ctx, t.ID)
		if readErr != nil {
			return gone(readErr)
		}
		if now.State != t.State || now.Fence != t.Fence || now.LeasedBy != t.LeasedBy {
			return ErrGone
		}
		t = now
	}
}

// Wait returns the task when it is done and its outcome dealt with. It looks again every reread even when no bell rings,
// so a lost ring costs time, never an answer.
func (q *Queue) Wait(ctx context.Context, id ID) (Task, error) {
	const reread = 2 * time.Second
	rings, stop := q.Bell.Listen(taskTopic(id))
	defer stop()
	for {
		t, err := q.Store.Task(ctx, id)
		if err != nil {
			return Task{}, err
		}
		if t.State.Done() && t.Settled {
			return t, nil
		}
		timer := time.NewTimer(reread)
		select {
		case <-ctx.Done():
			timer.Stop()
			return t, context.Cause(ctx)
		case <-rings:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// settleLimit bounds what is done for a task although its caller has gone.
const settleLimit = 30 * time.Second

// settle hands a finished task to its kind and rings for those who wait for it.
func (q *Queue) settle(ctx context.Context, t Task) (Task, error) {
	if !t.Settled {
		// What was reported must be dealt with even when the reporter hangs up now.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
		defer cancel()
		if h, ok := q.Handlers[t.Kind]; ok {
			if err := h.Settle(ctx, t); err != nil {
				return t, fmt.Errorf("settle task %s: %w", t.ID, err)
			}
		}
		if err := q.Store.SettleTask(ctx, t.ID); err != nil {
			return t, err
		}
		t.Settled = true
	}
	q.Bell.Ring(taskTopic(t.ID))
	return t, nil
}

func (q *Queue) handled(kind string) bool { _, ok := q.Handlers[kind]; return ok }

func (q *Queue) kind(name string) (Kind, error) {
	for _, k := range q.Kinds {
		if k.Name == name {
			return k, nil
		}
	}
	return Kind{}, fault.New(fault.Invalid, "there is no task type %q", name)
}

func (k Kind) lease() time.Duration {
	if k.Lease == 0 {
		return LeaseFor
	}
	return k.Lease
}

func (k Kind) timeout() time.Duration {
	if k.Timeout == 0 {
		return DefaultTimeout
	}
	return k.Timeout
}

func gone(err error) error {
	if err == nil || fault.KindOf(err) == fault.NotFound || errors.Is(err, fault.NotFound) {
		return ErrGone
	}
	return err
}
