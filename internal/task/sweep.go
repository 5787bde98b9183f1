package task

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
)

// Run looks after tasks that nobody else does, until ctx ends: leases that ended, deadlines that have come, outcomes that
// a crash left undone, and finished tasks that are old.
func (q *Queue) Run(ctx context.Context) error {
	const every, cleaning = time.Second, time.Hour
	tick := time.NewTicker(every)
	defer tick.Stop()
	var cleaned time.Time
	for {
		if err := q.Sweep(ctx); err != nil && ctx.Err() == nil {
			q.Log.ErrorContext(ctx, "tasks not swept", slog.Any("error", err))
		}
		if now := q.Now(); now.Sub(cleaned) > cleaning {
			cleaned = now
			if err := q.Store.DeleteTasks(ctx, now.Add(-cmp.Or(q.Keep, KeepFinished))); err != nil && ctx.Err() == nil {
				q.Log.ErrorContext(ctx, "old tasks not deleted", slog.Any("error", err))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Sweep does one round of what Run does.
func (q *Queue) Sweep(ctx context.Context) error {
	const atOnce = 500
	now := q.Now().UTC()
	overdue, err := q.Store.Overdue(ctx, now, atOnce)
	if err != nil {
		return err
	}
	for _, t := range overdue {
		switch err := q.overdue(ctx, t, now); {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && fault.KindOf(err) != fault.NotFound:
			// The others must not wait for this one.
			q.Log.ErrorContext(ctx, "overdue task not dealt with yet", slog.String("task", string(t.ID)), slog.Any("error", err))
		}
	}
	unsettled, err := q.Store.Unsettled(ctx, atOnce)
	if err != nil {
		return err
	}
	for _, t := range unsettled {
		// A task that was reported this moment is being settled by its reporter.
		if now.Sub(t.FinishedAt) < 2*time.Second {
			continue
		}
		if _, err := q.settle(ctx, t); err != nil {
			q.Log.ErrorContext(ctx, "outcome of task not dealt with yet", slog.String("task", string(t.ID)), slog.Any("error", err))
		}
	}
	return nil
}

func (q *Queue) overdue(ctx context.Context, t Task, now time.Time) error {
	end := End{State: Expired, At: now, Settled: !q.handled(t.Kind)}
	switch {
	case t.State == Queued: // its deadline has come
		end.Failure = q.notTaken(t)
	case !now.Before(t.Deadline):
		end.Failure = Failure{Cause: CauseTimeout, Message: fmt.Sprintf("delegate %s took the task and did not finish it within %s", q.name(t), t.Deadline.Sub(t.CreatedAt).Round(time.Second))}
	case t.RetrySafe && t.Attempts < mostAttempts:
		return q.offerAgain(ctx, t)
	default:
		end.State = Failed
		end.Failure = Failure{Cause: CauseDelegateLost, Message: q.lost(t)}
	}
	done, err := q.Store.EndTask(ctx, t, end)
	if err != nil {
		return err
	}
	_, err = q.settle(ctx, done)
	return err
}

// offerAgain puts a task back whose delegate went silent. That delegate is tried again only when no other is left: it may
// be the only one that fits.
func (q *Queue) offerAgain(ctx context.Context, t Task) error {
	tried := t.Tried
	if !slices.Contains(tried, t.LeasedBy) {
		tried = append(slices.Clone(tried), t.LeasedBy)
	}
	need := t.Need()
	need.Tried = tried
	if len(q.Fleet.Fit(need)) == 0 {
		tried = nil // whoever comes back first, of those that were lost before too
	}
	q.Log.WarnContext(ctx, "delegate lost with a task; it is offered again",
		slog.String("task", string(t.ID)), slog.String("delegate", string(t.LeasedBy)), slog.Int("attempt", t.Attempts))
	back, err := q.Store.ReleaseTask(ctx, t, tried)
	if err != nil {
		return err
	}
	q.wakeFor(back)
	return nil
}

func (q *Queue) notTaken(t Task) Failure {
	if t.Platform {
		return Failure{Cause: CauseNotTaken, Message: "the manager did not get to the task in time"}
	}
	choice := q.Fleet.Choose(t.Need())
	message := choice.Sentence()
	if message == "" {
		message = "Delegates that fit are connected, but none took the task in time."
	}
	return Failure{Cause: CauseNotTaken, Message: message, Reasons: choice.Reasons()}
}

func (q *Queue) lost(t Task) string {
	if t.RetrySafe {
		return fmt.Sprintf("%d delegates in turn stopped answering while they did the task; the last was %s", t.Attempts, q.name(t))
	}
	return fmt.Sprintf("delegate %s stopped answering while it did the task, and a task of type %s must not be done twice", q.name(t), t.Kind)
}

func (q *Queue) name(t Task) string {
	if t.LeasedBy == delegate.PlatformID {
		return delegate.PlatformName
	}
	if d, err := q.Fleet.Delegate(t.Scope.Account, t.LeasedBy); err == nil {
		return d.Name
	}
	return string(t.LeasedBy)
}

// DelegateGone ends or offers again, at once, what a delegate held that was revoked or said good-bye.
func (q *Queue) DelegateGone(ctx context.Context, by delegate.ID) error {
	if err := q.Store.EndLeases(ctx, by, q.Now().UTC()); err != nil {
		return err
	}
	return q.Sweep(ctx)
}

// Choose explains who could take a task.
func (q *Queue) Choose(t Task) delegate.Choice { return q.Fleet.Choose(t.Need()) }
