package task

import (
	"context"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

type readerStore interface {
	Task(ctx context.Context, id ID) (Task, error)
	QueuedTasks(ctx context.Context, account string, platform bool, after Task, limit int) ([]Task, error)
	// TasksOf are the tasks that a delegate has or had last, newest first.
	TasksOf(ctx context.Context, by delegate.ID, limit int) ([]Task, error)
}

// Reader shows tasks to those who may read what they belong to.
type Reader struct {
	Store readerStore
	Audit *audit.Trail
}

// Task reads one. A task of another account is not there.
func (r *Reader) Task(ctx context.Context, who audit.Caller, id ID) (Task, error) {
	t, err := r.Store.Task(ctx, id)
	if err == nil && t.Scope.Account != who.Account {
		err = fault.New(fault.NotFound, "task %s does not exist", id)
	}
	if err != nil {
		return Task{}, err
	}
	return t, r.Audit.Allow(ctx, who, audit.TaskRead, t.Scope, "task/"+string(id))
}

// OfDelegate are the tasks that a delegate of the caller's account has or had last, newest first. Those that the caller may
// not see are left out, so there may be fewer than limit.
func (r *Reader) OfDelegate(ctx context.Context, who audit.Caller, by delegate.ID, limit int) ([]Task, error) {
	list, err := r.Store.TasksOf(ctx, by, limit)
	return seen(who, list), err
}

// lookWaiting is how many of the tasks that wait, the oldest, Waiting looks at.
const lookWaiting = 200

// Waiting are the tasks of a scope, and of all that lies inside it, that wait for a delegate, oldest first; the scopes
// around it are left out. It looks at the oldest two hundred of the account.
func (r *Reader) Waiting(ctx context.Context, who audit.Caller, at scope.Scope, limit int) ([]Task, error) {
	if err := r.Audit.Allow(ctx, who, audit.TaskRead, at, "task"); err != nil {
		return nil, err
	}
	list, err := r.Store.QueuedTasks(ctx, at.Account, false, Task{}, lookWaiting)
	if err != nil {
		return nil, err
	}
	var out []Task
	for _, t := range seen(who, list) {
		if at.Contains(t.Scope) && len(out) < limit {
			out = append(out, t)
		}
	}
	return out, nil
}

// seen leaves out what a caller may not read.
func seen(who audit.Caller, list []Task) []Task {
	var out []Task
	for _, t := range list {
		if who.May(audit.TaskRead, t.Scope) {
			out = append(out, t)
		}
	}
	return out
}
