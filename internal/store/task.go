package store

import (
	"context"
	"time"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/task"
)

const taskColumns = `id, account, org, project, kind, subject, params, selectors, min_version, min_reason, platform, retry_safe, lease,
	state, leased_by, lease_until, fence, attempts, tried, result, failure, settled, created_at, deadline, finished_at`

// failure is a task.Failure as a column holds it.
type failure struct {
	Cause   string   `json:"cause"`
	Message string   `json:"message,omitempty"`
	Reasons []string `json:"reasons,omitempty"`
}

func failureText(f task.Failure) string {
	if f.Cause == task.CauseNone && f.Message == "" && len(f.Reasons) == 0 {
		return ""
	}
	return encoded(failure{string(f.Cause), f.Message, f.Reasons})
}

func scanTask(row scanner) (t task.Task, err error) {
	var params, selectors, version, tried, result, failed string
	var until, created, deadline, finished, lease int64
	err = row.Scan(&t.ID, &t.Scope.Account, &t.Scope.Org, &t.Scope.Project, &t.Kind, &t.Subject, &params, &selectors, &version, &t.MinReason,
		&t.Platform, &t.RetrySafe, &lease, &t.State, &t.LeasedBy, &until, &t.Fence, &t.Attempts, &tried, &result, &failed, &t.Settled,
		&created, &deadline, &finished)
	if err != nil {
		return t, err
	}
	t.Params, t.Result, t.Lease = bytesOf(params), bytesOf(result), time.Duration(lease)*time.Microsecond
	t.LeaseUntil, t.CreatedAt, t.Deadline, t.FinishedAt = moment(until), moment(created), moment(deadline), moment(finished)
	if t.MinVersion, err = versionOf(version); err != nil {
		return t, err
	}
	if err := decoded(selectors, &t.Selectors); err != nil {
		return t, err
	}
	if err := decoded(tried, &t.Tried); err != nil {
		return t, err
	}
	var f failure
	if err := decoded(failed, &f); err != nil {
		return t, err
	}
	t.Failure = task.Failure{Cause: task.Cause(f.Cause), Message: f.Message, Reasons: f.Reasons}
	return t, nil
}

// InsertTask adds a task as it stands. It fails with Conflict when its id is taken.
func (s *Store) InsertTask(ctx context.Context, t task.Task) (err error) {
	defer fault.Wrap(&err, "insert task %s", t.ID)
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		_, err := tx.exec(ctx, `
			INSERT INTO tasks (`+taskColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
				$20, $21, $22, $23, $24, $25)`,
			string(t.ID), t.Scope.Account, t.Scope.Org, t.Scope.Project, t.Kind, t.Subject, string(t.Params), encoded(t.Selectors),
			versionText(t.MinVersion), t.MinReason, t.Platform, t.RetrySafe, t.Lease.Microseconds(), string(t.State), string(t.LeasedBy), micros(t.LeaseUntil), t.Fence,
			int64(t.Attempts), encoded(t.Tried), string(t.Result), failureText(t.Failure), t.Settled, micros(t.CreatedAt), micros(t.Deadline),
			micros(t.FinishedAt))
		return taken(err, "a task with the id %s exists already", t.ID)
	})
}

// Task reads one.
func (s *Store) Task(ctx context.Context, id task.ID) (_ task.Task, err error) {
	defer fault.Wrap(&err, "read task %s", id)
	t, err := scanTask(s.reads.row(ctx, `SELECT `+taskColumns+` FROM tasks WHERE id = $1`, string(id)))
	return t, found(err, "task %s does not exist", id)
}

// QueuedTasks are the tasks of an account that wait for a delegate, or for the platform, oldest first, behind after.
func (s *Store) QueuedTasks(ctx context.Context, account string, platform bool, after task.Task, limit int) (_ []task.Task, err error) {
	defer fault.Wrap(&err, "list queued tasks")
	return all(ctx, s.reads, scanTask, `
		SELECT `+taskColumns+` FROM tasks
		WHERE account = $1 AND platform = $2 AND state = 'queued' AND (created_at, id) > ($3, $4)
		ORDER BY created_at, id LIMIT $5`, account, platform, micros(after.CreatedAt), string(after.ID), int64(limit))
}

// TasksOf are the tasks that a delegate has or had last, newest first.
func (s *Store) TasksOf(ctx context.Context, by delegate.ID, limit int) (_ []task.Task, err error) {
	defer fault.Wrap(&err, "list tasks of %s", by)
	if by == "" {
		return nil, nil
	}
	return all(ctx, s.reads, scanTask, `
		SELECT `+taskColumns+` FROM tasks WHERE leased_by = $1 AND leased_by <> '' ORDER BY created_at DESC LIMIT $2`, string(by), int64(limit))
}

// LeaseTask leases a queued task, or a retry-safe one whose lease has ended, and counts its fence up. It fails with
// NotFound when another was faster or the task's deadline has come.
func (s *Store) LeaseTask(ctx context.Context, id task.ID, by delegate.ID, now, until time.Time) (_ task.Task, err error) {
	defer fault.Wrap(&err, "lease task %s for %s", id, by)
	return s.changeTask(ctx, `
		UPDATE tasks SET state = 'leased', leased_by = $1, lease_until = $2, fence = fence + 1, attempts = attempts + 1
		WHERE id = $3 AND deadline > $4 AND (state = 'queued' OR state = 'leased' AND lease_until <= $4 AND retry_safe = true)`,
		string(by), micros(until), string(id), micros(now))
}

// LeaseAgain gives a lease anew to the delegate that holds it, if it is still the one of t, and counts its fence up. It
// fails with NotFound otherwise.
func (s *Store) LeaseAgain(ctx context.Context, t task.Task, now, until time.Time) (_ task.Task, err error) {
	defer fault.Wrap(&err, "lease task %s again for %s", t.ID, t.LeasedBy)
	return s.changeTask(ctx, `
		UPDATE tasks SET lease_until = $1, fence = fence + 1
		WHERE id = $2 AND deadline > $3 AND state = 'leased' AND leased_by = $4 AND fence = $5`,
		micros(until), string(t.ID), micros(now), string(t.LeasedBy), t.Fence)
}

// FinishTask ends a task that a delegate holds; fence 0 accepts whatever lease it is.
func (s *Store) FinishTask(ctx context.Context, id task.ID, by delegate.ID, fence int64, end task.End) (_ task.Task, err error) {
	defer fault.Wrap(&err, "finish task %s", id)
	return s.changeTask(ctx, endTask+` WHERE id = $6 AND state = 'leased' AND leased_by = $7 AND (fence = $8 OR $8 = 0)`,
		append(endArgs(end), string(id), string(by), fence)...)
}

// EndTask ends a task if its state, fence and lease are still those of t.
func (s *Store) EndTask(ctx context.Context, t task.Task, end task.End) (_ task.Task, err error) {
	defer fault.Wrap(&err, "end task %s", t.ID)
	return s.changeTask(ctx, endTask+` WHERE id = $6 AND finished_at = 0 AND state = $7 AND fence = $8 AND lease_until = $9`,
		append(endArgs(end), string(t.ID), string(t.State), t.Fence, micros(t.LeaseUntil))...)
}

// endTask takes endArgs.
const endTask = `UPDATE tasks SET state = $1, result = $2, failure = $3, settled = $4, finished_at = $5`

func endArgs(end task.End) []any {
	return []any{string(end.State), string(end.Result), failureText(end.Failure), end.Settled, micros(end.At)}
}

// ReleaseTask puts a leased task back if its fence and lease are still those of t, and remembers who had it.
func (s *Store) ReleaseTask(ctx context.Context, t task.Task, tried []delegate.ID) (_ task.Task, err error) {
	defer fault.Wrap(&err, "release task %s", t.ID)
	return s.changeTask(ctx, `
		UPDATE tasks SET state = 'queued', leased_by = '', lease_until = 0, tried = $1
		WHERE id = $2 AND state = 'leased' AND fence = $3 AND lease_until = $4`,
		encoded(tried), string(t.ID), t.Fence, micros(t.LeaseUntil))
}

// changeTask runs an update of one task and gives the task as it is now. It fails with NotFound when the task is not in the
// state that the update needs.
func (s *Store) changeTask(ctx context.Context, update string, args ...any) (t task.Task, err error) {
	err = s.write(ctx, func(ctx context.Context, tx *session) (err error) {
		t, err = scanTask(tx.row(ctx, update+` RETURNING `+taskColumns, args...))
		return found(err, "the task is no longer in the state that this needs: it was taken, ended or put back")
	})
	if err != nil {
		return task.Task{}, err
	}
	return t, nil
}

// RenewLeases begins the leases that a delegate holds anew; no ids means all of them. A delegate that holds none costs no
// write.
func (s *Store) RenewLeases(ctx context.Context, by delegate.ID, ids []task.ID, now time.Time) (err error) {
	defer fault.Wrap(&err, "renew leases of %s", by)
	names := make([]string, 0, len(ids))
	for _, id := range ids {
		names = append(names, string(id))
	}
	if err := few(names); err != nil {
		return err
	}
	var w where
	return s.moveLeases(ctx, `UPDATE tasks SET lease_until = lease + `+w.arg(micros(now)), by, names, w)
}

// EndLeases ends all leases that a delegate holds.
func (s *Store) EndLeases(ctx context.Context, by delegate.ID, now time.Time) (err error) {
	defer fault.Wrap(&err, "end leases of %s", by)
	var w where
	return s.moveLeases(ctx, `UPDATE tasks SET lease_until = `+w.arg(micros(now)), by, nil, w)
}

// moveLeases runs an update of the leases that a delegate holds; no names means all of them.
func (s *Store) moveLeases(ctx context.Context, update string, by delegate.ID, names []string, w where) error {
	var held int
	err := s.reads.row(ctx, `SELECT count(*) FROM tasks WHERE leased_by = $1 AND state = 'leased'`, string(by)).Scan(&held)
	if err != nil || held == 0 {
		return err
	}
	w.equal("leased_by", string(by))
	w.and("state = 'leased'")
	w.in("id", names)
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		_, err := tx.exec(ctx, update+w.text(), w.args...)
		return err
	})
}

// OpenTasks lists tasks of a kind that are queued or leased and have time left, of all accounts, those with the least first.
func (s *Store) OpenTasks(ctx context.Context, kind string, now time.Time, limit int) (_ []task.Task, err error) {
	defer fault.Wrap(&err, "list open tasks")
	return all(ctx, s.reads, scanTask, `SELECT `+taskColumns+` FROM tasks WHERE finished_at = 0 AND deadline > $1 AND kind = $2
		ORDER BY deadline, id LIMIT $3`, micros(now), kind, int64(limit))
}

// Overdue are tasks whose lease ended or whose deadline has come, the most urgent first.
func (s *Store) Overdue(ctx context.Context, now time.Time, limit int) (_ []task.Task, err error) {
	defer fault.Wrap(&err, "list overdue tasks")
	return all(ctx, s.reads, scanTask, `
		SELECT `+taskColumns+` FROM tasks WHERE id IN (
			SELECT id FROM tasks WHERE state = 'leased' AND lease_until <= $1
			UNION ALL
			SELECT id FROM tasks WHERE finished_at = 0 AND deadline <= $1)
		ORDER BY deadline, id LIMIT $2`, micros(now), int64(limit))
}

// Unsettled are finished tasks whose outcome was not dealt with, oldest first.
func (s *Store) Unsettled(ctx context.Context, limit int) (_ []task.Task, err error) {
	defer fault.Wrap(&err, "list unsettled tasks")
	return all(ctx, s.reads, scanTask, `
		SELECT `+taskColumns+` FROM tasks WHERE settled = false AND finished_at > 0 ORDER BY finished_at, id LIMIT $1`, int64(limit))
}

// SettleTask notes that the outcome of a finished task was dealt with. Doing so again is fine.
func (s *Store) SettleTask(ctx context.Context, id task.ID) (err error) {
	defer fault.Wrap(&err, "settle task %s", id)
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		n, err := tx.exec(ctx, `UPDATE tasks SET settled = true WHERE id = $1 AND finished_at > 0`, string(id))
		return changed(n, err, "task %s does not exist or is not finished", id)
	})
}

// DeleteTasks forgets tasks that finished before a time and whose outcome was dealt with.
func (s *Store) DeleteTasks(ctx context.Context, finishedBefore time.Time) (err error) {
	defer fault.Wrap(&err, "delete old tasks")
	return s.deleteInParts(ctx, `DELETE FROM tasks WHERE id IN (
		SELECT id FROM tasks WHERE settled = true AND finished_at > 0 AND finished_at < $1 ORDER BY finished_at LIMIT $2)`,
		micros(finishedBefore), int64(atOnce))
}
