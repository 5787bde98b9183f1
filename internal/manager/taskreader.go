package manager

import (
	"context"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/store"
	"github.com/belay-dev/belay/internal/task"
)

// taskReader shows tasks to those who may read what they belong to.
type taskReader struct {
	Store *store.Store
	Audit *audit.Trail
}

// Task reads one. A task of another account is not there.
func (r *taskReader) Task(ctx context.Context, who audit.Caller, id task.ID) (task.Task, error) {
	t, err := r.Store.Task(ctx, id)
	if err == nil && t.Scope.Account != who.Account {
		err = fault.New(fault.NotFound, "task %s does not exist", id)
	}
	if err != nil {
		return task.Task{}, err
	}
	return t, r.Audit.Allow(ctx, who, audit.TaskRead, t.Scope, "task/"+string(id))
}
