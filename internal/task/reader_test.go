package task_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/task"
)

// A reader shows the tasks of the scopes in which the caller has a role, and no others.
func TestReader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := &task.Reader{Store: w.store, Audit: &audit.Trail{Store: w.store, Log: slog.New(slog.DiscardHandler), Now: w.Now}}
	mine, theirs := scope.Scope{Account: account, Org: "o", Project: "mine"}, scope.Scope{Account: account, Org: "o", Project: "theirs"}
	insert := func(id string, at scope.Scope, state task.State, by delegate.ID) {
		t.Helper()
		x := task.Task{ID: task.ID(id), Scope: at, Kind: safe, State: state, LeasedBy: by, CreatedAt: w.Now(), Deadline: w.Now().Add(time.Hour)}
		if err := w.store.InsertTask(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}
	insert("t1", mine, task.Queued, "")
	insert("t2", theirs, task.Queued, "")
	insert("t3", mine, task.Leased, "d1")
	insert("t4", theirs, task.Succeeded, "d1")
	insert("t5", scope.Scope{Account: "other"}, task.Queued, "")
	viewer := audit.Caller{Account: account, ID: "k", Grants: []audit.Grant{{Scope: mine, Role: audit.Viewer}}}
	admin := audit.System(account, "test")
	ids := func(list []task.Task, err error) []string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, one := range list {
			out = append(out, string(one.ID))
		}
		return out
	}
	for name, tt := range map[string]struct{ got, want []string }{
		"waiting, in the viewer's project":  {ids(r.Waiting(t.Context(), viewer, mine, 9)), []string{"t1"}},
		"waiting, for the whole account":    {ids(r.Waiting(t.Context(), admin, scope.Scope{Account: account}, 9)), []string{"t1", "t2"}},
		"waiting, no more than asked for":   {ids(r.Waiting(t.Context(), admin, scope.Scope{Account: account}, 1)), []string{"t1"}},
		"of a delegate, as the viewer sees": {ids(r.OfDelegate(t.Context(), viewer, "d1", 9)), []string{"t3"}},
		"of another delegate":               {ids(r.OfDelegate(t.Context(), admin, "d2", 9)), nil},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if _, err := r.Waiting(t.Context(), viewer, scope.Scope{Account: account}, 9); fault.KindOf(err) != fault.Denied {
		t.Errorf("the whole account for a viewer of a project: %v", err)
	}
	if _, err := r.Task(t.Context(), viewer, "t2"); fault.KindOf(err) != fault.Denied {
		t.Errorf("a task of another project: %v", err)
	}
	if _, err := r.Task(t.Context(), viewer, "t5"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a task of another account: %v", err)
	}
}
