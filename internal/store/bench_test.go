package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/backoff"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/store"
	"github.com/belay-dev/belay/internal/task"
)

const account = "kmpySmUISimoRrJL6NL73w"

// BenchmarkGroupCommit compares durable rows a second with what the disk does: one append and fdatasync after another. The
// ratio is printed where the first sub-benchmark took part in the run.
func BenchmarkGroupCommit(b *testing.B) {
	var syncs float64
	rate := func(b *testing.B, unit string) float64 {
		b.Helper()
		n := float64(b.N) / b.Elapsed().Seconds()
		b.ReportMetric(n, unit)
		return n
	}
	b.Run("fdatasync", func(b *testing.B) {
		file, err := os.Create(filepath.Join(b.TempDir(), "log"))
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = file.Close() }()
		row := make([]byte, 512)
		b.ResetTimer()
		for range b.N {
			if _, err := file.Write(row); err != nil {
				b.Fatal(err)
			}
			if err := syscall.Fdatasync(int(file.Fd())); err != nil {
				b.Fatal(err)
			}
		}
		syncs = rate(b, "fdatasyncs/s")
	})
	insert := func(b *testing.B, s *store.Store, i int64) {
		b.Helper()
		now := time.Now()
		err := s.InsertTask(b.Context(), task.Task{
			ID: task.NewID(), Scope: scope.Scope{Account: account}, Kind: "aws.validate", Subject: strconv.FormatInt(i, 10), Params: []byte(`{"connector":"a"}`),
			State: task.Queued, CreatedAt: now, Deadline: now.Add(time.Hour),
		})
		if err != nil {
			b.Error(err)
		}
	}
	outstanding := func(callers int) func(b *testing.B) {
		return func(b *testing.B) {
			b.Helper()
			s := open(b, filepath.Join(b.TempDir(), "belay.db"))
			var next atomic.Int64
			var all sync.WaitGroup
			b.ResetTimer()
			for range callers {
				all.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						insert(b, s, i)
					}
				})
			}
			all.Wait()
			rows := rate(b, "rows/s")
			if syncs > 0 {
				b.ReportMetric(rows/syncs, "rows/fdatasync")
			}
		}
	}
	b.Run("one at a time", outstanding(1))
	b.Run("128 outstanding", outstanding(128))
}

// BenchmarkTaskLife is a task from insertion to settlement: four durable changes.
func BenchmarkTaskLife(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "belay.db"))
	for b.Loop() {
		now := time.Now()
		t := task.Task{ID: task.NewID(), Scope: scope.Scope{Account: account}, Kind: "aws.validate", State: task.Queued, CreatedAt: now, Deadline: now.Add(time.Hour)}
		if err := s.InsertTask(b.Context(), t); err != nil {
			b.Fatal(err)
		}
		if _, err := s.LeaseTask(b.Context(), t.ID, "d1", now, now.Add(time.Minute)); err != nil {
			b.Fatal(err)
		}
		if _, err := s.FinishTask(b.Context(), t.ID, "d1", 1, task.End{State: task.Succeeded, Result: []byte(`{}`), At: now}); err != nil {
			b.Fatal(err)
		}
		if err := s.SettleTask(b.Context(), t.ID); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkConnectorPages lists pages of 50 out of 10,000 connectors, with their total and last tests.
func BenchmarkConnectorPages(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "belay.db"))
	const many = 10_000
	for i := range 100 {
		if i < 10 {
			if err := s.CreateOrganization(b.Context(), org.Organization{Account: account, ID: fmt.Sprint("org", i)}); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.CreateProject(b.Context(), org.Project{Account: account, Org: fmt.Sprint("org", i%10), ID: fmt.Sprint("prj", i)}); err != nil {
			b.Fatal(err)
		}
	}
	var next atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for i := next.Add(1); i <= many; i = next.Add(1) {
				in := scope.Scope{Account: account, Org: fmt.Sprint("org", i%10), Project: fmt.Sprint("prj", i%100)}
				c := connector.Connector{
					Scope: in, ID: fmt.Sprint("aws_", i), Name: fmt.Sprint("Production AWS ", (i*7919)%many), Description: "the account of a team", Revision: 1,
					Tags: map[string]string{"team": fmt.Sprint("t", i%50), "env": "prod"}, Credential: connector.ManualConfig{AccessKey: "AKIAIOSFODNN7EXAMPLE", SecretKeyRef: "account.sk"},
					CrossAccount: &connector.CrossAccount{RoleARN: "arn:aws:iam::123456789012:role/deploy"}, Backoff: backoff.Fixed{Wait: time.Second, Count: 3},
					CreatedAt: time.UnixMicro(i), UpdatedAt: time.UnixMicro(i),
				}
				if err := s.CreateConnector(b.Context(), c, time.Now()); err != nil {
					b.Error(err)
				}
				err := s.SaveTest(b.Context(), connector.Test{
					ID: connector.NewTestID(), Scope: in, Connector: c.ID, EndedAt: time.UnixMicro(i * 3), Status: connector.Success, Regions: make([]string, 17),
				})
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	whole := connector.Filter{Scope: scope.Scope{Account: account}, SubScopes: true, Limit: 50}
	with := func(change func(f *connector.Filter)) connector.Filter {
		f := whole
		change(&f)
		return f
	}
	for _, bb := range []struct {
		name string
		f    connector.Filter
	}{
		{"the first page", whole},
		{"the last page", with(func(f *connector.Filter) { f.Offset = many - 50 })},
		{"of one project", with(func(f *connector.Filter) { f.Scope.Org, f.Scope.Project, f.SubScopes = "org3", "prj33", false })},
		{"by last change", with(func(f *connector.Filter) { f.Sort, f.Descending = connector.ByUpdated, true })},
		{"by activity", with(func(f *connector.Filter) { f.Sort, f.Descending = connector.ByActivity, true })},
		{"searched", with(func(f *connector.Filter) { f.Search = "aws 77" })},
		{"by name", with(func(f *connector.Filter) { f.Names = []string{"Production AWS 77"} })},
		{"by tag", with(func(f *connector.Filter) { f.Tags = map[string]string{"team": "t7"} })},
		{"by status", with(func(f *connector.Filter) { f.Statuses = []connector.Status{connector.Success} })},
		{"by key", with(func(f *connector.Filter) { f.Keys = []string{account + "/org7/prj77/aws_77"} })},
		{"usable in a project", with(func(f *connector.Filter) {
			f.Scope.Org, f.Scope.Project, f.SubScopes, f.Wider = "org3", "prj33", false, true
		})},
	} {
		b.Run(bb.name, func(b *testing.B) {
			for b.Loop() {
				if _, total, err := s.Connectors(b.Context(), bb.f); err != nil || total == 0 {
					b.Fatal(total, err)
				}
			}
		})
	}
	b.Run("due for a test, none", func(b *testing.B) {
		for b.Loop() {
			if due, err := s.DueForTest(b.Context(), time.UnixMicro(1), time.Now, 20); err != nil || len(due) > 0 {
				b.Fatal(due, err)
			}
		}
	})
}

// BenchmarkIdleHeartbeat is what each heartbeat of a delegate without work asks.
func BenchmarkIdleHeartbeat(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "belay.db"))
	for b.Loop() {
		if err := s.RenewLeases(b.Context(), "d1", nil, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}
