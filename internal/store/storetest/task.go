package storetest

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/store"
	"github.com/belay-dev/belay/internal/task"
)

func queued(id string, created int) task.Task {
	return task.Task{
		ID: task.ID(id), Scope: prj1(), Kind: "aws.validate", Subject: prj1().Path("aws"), Params: []byte(`{"a":1}`), Selectors: []string{"b", "a"},
		MinVersion: delegate.SessionTokenSince(), MinReason: "a session token", RetrySafe: true, Lease: 20 * time.Second, State: task.Queued, CreatedAt: at(created), Deadline: at(created + 600),
	}
}

func taskID(x task.Task) string { return string(x.ID) }

func tasks() checks {
	//nolint:thelper // these are the tests themselves
	return checks{
		"a task comes back as it was inserted": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			full := queued("t1", 0)
			full.Platform, full.State, full.LeasedBy, full.LeaseUntil, full.Fence, full.Attempts = true, task.Failed, "d1", at(60), 3, 2
			full.Tried, full.Result, full.Settled, full.FinishedAt = []delegate.ID{"d2"}, []byte(`{"r":"ö"}`), true, at(61)
			full.Failure = task.Failure{Cause: task.CauseNoDelegate, Message: "nobody\x00", Reasons: []string{"a", "b"}}
			bare := task.Task{ID: "t2", Scope: account(), State: task.Queued}
			for _, want := range []task.Task{full, bare} {
				must(t, s.InsertTask(ctx, want))
				got, err := s.Task(ctx, want.ID)
				must(t, err)
				same(t, got, want)
			}
			fails(t, s.InsertTask(ctx, full), fault.Conflict, "t1")
			_, err := s.Task(ctx, "none")
			fails(t, err, fault.NotFound, "none")
		},
		"the tasks of a delegate are those that it has or had, newest first": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for i := range 4 {
				must(t, s.InsertTask(ctx, queued(fmt.Sprint("t", i), i)))
			}
			for _, id := range []task.ID{"t0", "t1", "t3"} {
				_, err := s.LeaseTask(ctx, id, "d1", at(5), at(65))
				must(t, err)
			}
			_, err := s.FinishTask(ctx, "t1", "d1", 0, task.End{State: task.Succeeded, At: at(6)})
			must(t, err)
			list, err := s.TasksOf(ctx, "d1", 2)
			must(t, err)
			same(t, each(list, taskID), []string{"t3", "t1"})
			for _, nobody := range []delegate.ID{"", "d2"} {
				list, err = s.TasksOf(ctx, nobody, 9)
				must(t, err)
				same(t, len(list), 0)
			}
		},
		"open tasks are those of a kind that are not finished and have time left": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for id, change := range map[string]func(*task.Task){
				"t1": func(*task.Task) {}, "t2": func(x *task.Task) { x.Deadline = at(50) }, "late": func(x *task.Task) { x.Deadline = at(10) },
				"other": func(x *task.Task) { x.Kind = "x" }, "done": func(x *task.Task) { x.State, x.FinishedAt = task.Succeeded, at(5) },
			} {
				x := queued(id, 0)
				x.Kind, x.Deadline = "k", at(60)
				change(&x)
				must(t, s.InsertTask(ctx, x))
			}
			_, err := s.LeaseTask(ctx, "t1", "d1", at(5), at(65))
			must(t, err)
			list, err := s.OpenTasks(ctx, "k", at(20), 10)
			must(t, err)
			same(t, each(list, taskID), []string{"t2", "t1"})
			same(t, list[1].LeasedBy, delegate.ID("d1"))
			list, err = s.OpenTasks(ctx, "k", at(20), 1)
			must(t, err)
			same(t, len(list), 1)
		},
		"queued tasks are those of the account, oldest first": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for i, created := range []int{3, 1, 2, 0} {
				must(t, s.InsertTask(ctx, queued(fmt.Sprint("t", i), created)))
			}
			other := queued("other", 0)
			other.Scope = scope.Scope{Account: "other"}
			must(t, s.InsertTask(ctx, other))
			_, err := s.LeaseTask(ctx, "t3", "d1", at(5), at(65))
			must(t, err)
			list, err := s.QueuedTasks(ctx, acct, false, task.Task{}, 2)
			must(t, err)
			same(t, each(list, taskID), []string{"t1", "t2"})
			list, err = s.QueuedTasks(ctx, acct, false, task.Task{}, 10)
			must(t, err)
			same(t, each(list, taskID), []string{"t1", "t2", "t0"})
		},
		"queued tasks are for delegates or for the platform, and are read on behind one, in one moment too": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for i := range 7 {
				x := queued(fmt.Sprint("t", i), i/4)
				x.Platform = i == 2
				must(t, s.InsertTask(ctx, x))
			}
			list, err := s.QueuedTasks(ctx, acct, true, task.Task{}, 10)
			must(t, err)
			same(t, each(list, taskID), []string{"t2"})
			var seen []string
			for after := (task.Task{}); ; after = list[len(list)-1] {
				list, err = s.QueuedTasks(ctx, acct, false, after, 2)
				must(t, err)
				if len(list) == 0 {
					break
				}
				seen = append(seen, each(list, taskID)...)
			}
			same(t, seen, []string{"t0", "t1", "t3", "t4", "t5", "t6"})
		},
		"a lease counts fence and attempts up and keeps others out": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.InsertTask(ctx, queued("t1", 0)))
			got, err := s.LeaseTask(ctx, "t1", "d1", at(1), at(61))
			must(t, err)
			want := queued("t1", 0)
			want.State, want.LeasedBy, want.LeaseUntil, want.Fence, want.Attempts = task.Leased, "d1", at(61), 1, 1
			same(t, got, want)
			_, err = s.LeaseTask(ctx, "t1", "d2", at(60), at(120))
			fails(t, err, fault.NotFound)
			_, err = s.LeaseTask(ctx, "none", "d2", at(60), at(120))
			fails(t, err, fault.NotFound)
		},
		"the holder of a lease may have it anew, once for each fence": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.InsertTask(ctx, queued("t1", 0)))
			first, err := s.LeaseTask(ctx, "t1", "d1", at(1), at(61))
			must(t, err)
			got, err := s.LeaseAgain(ctx, first, at(2), at(62))
			must(t, err)
			want := first
			want.Fence, want.LeaseUntil = first.Fence+1, at(62)
			same(t, got, want)
			_, err = s.LeaseAgain(ctx, first, at(3), at(63)) // another was faster
			fails(t, err, fault.NotFound)
			other := got
			other.LeasedBy = "d2"
			_, err = s.LeaseAgain(ctx, other, at(3), at(63))
			fails(t, err, fault.NotFound)
			_, err = s.LeaseAgain(ctx, got, at(600), at(660)) // its deadline has come
			fails(t, err, fault.NotFound)
		},
		"a lease that ended is leased again, under a new fence": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.InsertTask(ctx, queued("t1", 0)))
			_, err := s.LeaseTask(ctx, "t1", "d1", at(1), at(61))
			must(t, err)
			got, err := s.LeaseTask(ctx, "t1", "d2", at(61), at(121))
			must(t, err)
			same(t, got.Fence, int64(2))
			same(t, got.Attempts, 2)
			same(t, got.LeasedBy, delegate.ID("d2"))
			_, err = s.FinishTask(ctx, "t1", "d1", 1, task.End{State: task.Succeeded, At: at(62)})
			fails(t, err, fault.NotFound)
		},
		"a lease that ended of a task that must not be done twice stays": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			once := queued("t1", 0)
			once.RetrySafe = false
			must(t, s.InsertTask(ctx, once))
			_, err := s.LeaseTask(ctx, "t1", "d1", at(1), at(61))
			must(t, err)
			_, err = s.LeaseTask(ctx, "t1", "d2", at(100), at(160))
			fails(t, err, fault.NotFound)
		},
		"a task whose deadline has come is not leased": func(t *testing.T, s *store.Store) {
			must(t, s.InsertTask(t.Context(), queued("t1", 0)))
			_, err := s.LeaseTask(t.Context(), "t1", "d1", at(600), at(660))
			fails(t, err, fault.NotFound)
		},
		"only the holder of the present lease finishes a task, once": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			end := task.End{State: task.Succeeded, Result: []byte(`{"ok":true}`), At: at(10), Settled: true}
			must(t, s.InsertTask(ctx, queued("t1", 0)))
			_, err := s.FinishTask(ctx, "t1", "", 0, end)
			fails(t, err, fault.NotFound)
			_, err = s.LeaseTask(ctx, "t1", "d1", at(1), at(61))
			must(t, err)
			for _, wrong := range []struct {
				by    delegate.ID
				fence int64
			}{{"d2", 1}, {"d2", 0}, {"d1", 2}, {"d1", 1 << 40}} {
				_, err = s.FinishTask(ctx, "t1", wrong.by, wrong.fence, end)
				fails(t, err, fault.NotFound)
			}
			got, err := s.FinishTask(ctx, "t1", "d1", 1, end)
			must(t, err)
			want := queued("t1", 0)
			want.State, want.LeasedBy, want.LeaseUntil, want.Fence, want.Attempts = task.Succeeded, "d1", at(61), 1, 1
			want.Result, want.FinishedAt, want.Settled = end.Result, at(10), true
			same(t, got, want)
			_, err = s.FinishTask(ctx, "t1", "d1", 1, end)
			fails(t, err, fault.NotFound)
		},
		"fence 0 accepts whatever lease the delegate holds": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.InsertTask(ctx, queued("t1", 0)))
			_, err := s.LeaseTask(ctx, "t1", "d1", at(1), at(2))
			must(t, err)
			_, err = s.LeaseTask(ctx, "t1", "d1", at(3), at(63))
			must(t, err)
			failure := task.Failure{Cause: task.CauseReported, Message: "no", Reasons: []string{"r"}}
			got, err := s.FinishTask(ctx, "t1", "d1", 0, task.End{State: task.Failed, Failure: failure, At: at(4)})
			must(t, err)
			same(t, got.State, task.Failed)
			same(t, got.Failure, failure)
			same(t, got.Settled, false)
		},
		"a task is ended only as it was seen": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.InsertTask(ctx, queued("t1", 0)))
			seen, err := s.Task(ctx, "t1")
			must(t, err)
			leased, err := s.LeaseTask(ctx, "t1", "d1", at(1), at(61))
			must(t, err)
			end := task.End{State: task.Expired, At: at(70)}
			_, err = s.EndTask(ctx, seen, end)
			fails(t, err, fault.NotFound)
			must(t, s.RenewLeases(ctx, "d1", nil, at(70)))
			_, err = s.EndTask(ctx, leased, end)
			fails(t, err, fault.NotFound)
			_, err = s.ReleaseTask(ctx, leased, nil)
			fails(t, err, fault.NotFound)
			renewed, err := s.Task(ctx, "t1")
			must(t, err)
			same(t, renewed.LeaseUntil, at(90))
			got, err := s.EndTask(ctx, renewed, end)
			must(t, err)
			same(t, got.State, task.Expired)
			_, err = s.EndTask(ctx, got, end)
			fails(t, err, fault.NotFound)
		},
		"a task that is put back is queued again and remembers who had it": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.InsertTask(ctx, queued("t1", 0)))
			leased, err := s.LeaseTask(ctx, "t1", "d1", at(1), at(61))
			must(t, err)
			got, err := s.ReleaseTask(ctx, leased, []delegate.ID{"d1"})
			must(t, err)
			want := queued("t1", 0)
			want.Fence, want.Attempts, want.Tried = 1, 1, []delegate.ID{"d1"}
			same(t, got, want)
			_, err = s.FinishTask(ctx, "t1", "d1", 1, task.End{State: task.Succeeded, At: at(2)})
			fails(t, err, fault.NotFound)
			leased, err = s.LeaseTask(ctx, "t1", "d2", at(3), at(63))
			must(t, err)
			same(t, leased.Fence, int64(2))
		},
		"leases are renewed by holder, all or those named": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for i := range 4 {
				id := task.ID(fmt.Sprint("t", i))
				must(t, s.InsertTask(ctx, queued(string(id), 0)))
				_, err := s.LeaseTask(ctx, id, delegate.ID(fmt.Sprint("d", i/3)), at(1), at(61))
				must(t, err)
			}
			until := func() []time.Time {
				var list []time.Time
				for i := range 4 {
					x, err := s.Task(ctx, task.ID(fmt.Sprint("t", i)))
					must(t, err)
					list = append(list, x.LeaseUntil)
				}
				return list
			}
			must(t, s.RenewLeases(ctx, "d0", []task.ID{"t1", "t3", "none"}, at(50))) // a lease of theirs lasts 20 s
			same(t, until(), []time.Time{at(61), at(70), at(61), at(61)})
			must(t, s.RenewLeases(ctx, "d0", nil, at(60)))
			same(t, until(), []time.Time{at(80), at(80), at(80), at(61)})
			must(t, s.EndLeases(ctx, "d1", at(5))) // a delegate that left
			must(t, s.EndLeases(ctx, "nobody", at(1)))
			must(t, s.RenewLeases(ctx, "nobody", nil, at(90)))
			same(t, until(), []time.Time{at(80), at(80), at(80), at(5)})
		},
		"overdue tasks are those whose lease or deadline has come": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for i, created := range []int{0, 10, 20, 30} {
				must(t, s.InsertTask(ctx, queued(fmt.Sprint("t", i), created)))
			}
			_, err := s.LeaseTask(ctx, "t2", "d1", at(30), at(90))
			must(t, err)
			_, err = s.LeaseTask(ctx, "t3", "d1", at(30), at(90))
			must(t, err)
			_, err = s.FinishTask(ctx, "t3", "d1", 0, task.End{State: task.Succeeded, At: at(40)})
			must(t, err)
			for when, want := range map[int]string{89: "[]", 90: "[t2]", 600: "[t0 t2]", 610: "[t0 t1 t2]", 9999: "[t0 t1 t2]"} {
				list, err := s.Overdue(ctx, at(when), 10)
				must(t, err)
				same(t, fmt.Sprint(each(list, taskID)), want)
			}
			list, err := s.Overdue(ctx, at(9999), 2)
			must(t, err)
			same(t, len(list), 2)
		},
		"finished tasks are unsettled until they are settled": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for i := range 3 {
				id := task.ID(fmt.Sprint("t", i))
				must(t, s.InsertTask(ctx, queued(string(id), 0)))
				_, err := s.LeaseTask(ctx, id, "d1", at(1), at(61))
				must(t, err)
				if i < 2 {
					_, err = s.FinishTask(ctx, id, "d1", 0, task.End{State: task.Succeeded, At: at(10 - i)})
					must(t, err)
				}
			}
			list, err := s.Unsettled(ctx, 10)
			must(t, err)
			same(t, each(list, taskID), []string{"t1", "t0"})
			must(t, s.SettleTask(ctx, "t1"))
			must(t, s.SettleTask(ctx, "t1"))
			fails(t, s.SettleTask(ctx, "t2"), fault.NotFound, "t2")
			fails(t, s.SettleTask(ctx, "none"), fault.NotFound, "none")
			list, err = s.Unsettled(ctx, 10)
			must(t, err)
			same(t, each(list, taskID), []string{"t0"})
		},
		"old finished tasks are forgotten, unsettled and running ones are not": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for i := range 4 {
				x := queued(fmt.Sprint("t", i), 0)
				if i < 3 {
					x.State, x.FinishedAt, x.Settled = task.Succeeded, at(i*10+1), i != 0
				}
				must(t, s.InsertTask(ctx, x))
			}
			must(t, s.DeleteTasks(ctx, at(21)))
			var left []string
			for i := range 4 {
				if _, err := s.Task(ctx, task.ID(fmt.Sprint("t", i))); err == nil {
					left = append(left, fmt.Sprint("t", i))
				}
			}
			same(t, left, []string{"t0", "t2", "t3"})
		},
	}
}

func races() checks {
	//nolint:thelper // these are the tests themselves
	return checks{
		"two delegates race for 1,000 tasks and each is leased exactly once": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			const many = 1000
			together(many, func(i int) {
				if err := s.InsertTask(ctx, queued(fmt.Sprint("t", i), 0)); err != nil {
					t.Error(err)
				}
			})
			var won, lost atomic.Int64
			together(2, func(who int) {
				together(8, func(hand int) {
					for i := hand; i < many; i += 8 {
						id := task.ID(fmt.Sprint("t", i))
						switch got, err := s.LeaseTask(ctx, id, delegate.ID(fmt.Sprint("d", who)), at(1), at(61)); {
						case err == nil && got.Fence == 1:
							won.Add(1)
							if _, err := s.FinishTask(ctx, id, got.LeasedBy, got.Fence, task.End{State: task.Succeeded, At: at(2)}); err != nil {
								t.Error(err)
							}
						case fault.KindOf(err) == fault.NotFound:
							lost.Add(1)
						default:
							t.Errorf("fence %d, %v", got.Fence, err)
						}
					}
				})
			})
			same(t, won.Load(), int64(many))
			same(t, lost.Load(), int64(many))
			list, err := s.Unsettled(ctx, many+1)
			must(t, err)
			same(t, len(list), many)
		},
		"a change that fails does not disturb those it is committed with": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			var created, refused atomic.Int64
			together(200, func(i int) {
				id := fmt.Sprint("new", i)
				if i%4 == 0 {
					id = "same"
				}
				switch err := s.CreateOrganization(ctx, organization(id, id)); fault.KindOf(err) {
				case "":
					if err != nil {
						t.Error(err)
					}
					created.Add(1)
					if _, err := s.Organization(ctx, acct, id); err != nil {
						t.Errorf("acknowledged and not there: %v", err)
					}
				case fault.Conflict:
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
			same(t, created.Load(), int64(151))
			same(t, refused.Load(), int64(49))
		},
		"a change that fails halfway leaves nothing": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			together(40, func(i int) {
				c := aws(prj1(), fmt.Sprint("c", i), "n")
				if i%2 == 0 {
					c.Tags = map[string]string{"a": "fine", "b": "a\x00b"} // the second tag is refused, after the row is in
				}
				err := s.CreateConnector(ctx, c, at(0))
				if wrong := fault.KindOf(err) == fault.Invalid; wrong != (i%2 == 0) {
					t.Errorf("connector %d: %v", i, err)
				}
			})
			for i := range 40 {
				_, err := s.Connector(ctx, prj1(), fmt.Sprint("c", i))
				if (err == nil) == (i%2 == 0) {
					t.Errorf("connector %d: %v", i, err)
				}
			}
		},
		"updates of one row at once lose nothing": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.CreateConnector(ctx, aws(prj1(), "aws", "n"), at(0)))
			together(50, func(int) { bump(ctx, t, s) })
			got, err := s.Connector(ctx, prj1(), "aws")
			must(t, err)
			same(t, got.Revision, int64(51))
		},
		"a change that panics does so in its caller, and the store works on": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.CreateConnector(ctx, aws(prj1(), "aws", "n"), at(0)))
			together(20, func(i int) {
				if i%5 != 0 {
					bump(ctx, t, s)
					return
				}
				defer func() {
					if recover() == nil {
						t.Error("the panic was swallowed")
					}
				}()
				panicking(ctx, s)
			})
			got, err := s.Connector(ctx, prj1(), "aws")
			must(t, err)
			same(t, got.Revision, int64(17))
		},
	}
}
