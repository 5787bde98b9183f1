package store_test

import (
	"errors"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/identity"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/preflight"
	"github.com/belay-dev/belay/internal/scope"
)

// TestWhatIsRememberedIsWhatIsThere: whatever is done in whatever order, a store that remembers answers as one that reads
// the database anew.
func TestWhatIsRememberedIsWhatIsThere(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "belay.db"))
	anew, ctx := s.Forgetful(), t.Context()
	places := []scope.Scope{{Account: account}, {Account: account, Org: "o"}, {Account: account, Org: "o", Project: "p"}}
	ids, keys := []string{"a", "b", "c"}, []string{"k1", "k2"}
	clock := time.UnixMicro(1_700_000_000_000_000).UTC()
	filters := []connector.Filter{
		{Scope: places[0], SubScopes: true, Limit: 2},
		{Scope: places[0], SubScopes: true, Limit: 2, Offset: 2},
		{Scope: places[1], SubScopes: true, Limit: 100, Sort: connector.ByUpdated, Descending: true},
		{Scope: places[2], Wider: true, Limit: 50},
		{Scope: places[0], SubScopes: true, Search: "a", Limit: 10},
		{Scope: places[0], SubScopes: true, Names: []string{"one"}, Limit: 10},
		{Scope: places[0], SubScopes: true, Tags: map[string]string{"team": "one"}, Limit: 10},
		{Scope: places[0], SubScopes: true, Statuses: []connector.Status{connector.Failing, connector.Partial}, Limit: 10},
		{Scope: places[0], SubScopes: true, Sort: connector.ByActivity, Limit: 10},
		{Scope: places[0], SubScopes: true, Types: []string{connector.TypeAWS}},
		{Scope: places[0], SubScopes: true, Reaches: "444455556666", Limit: 10},
		{Scope: places[0], SubScopes: true, Limit: 3, Uncounted: true},
	}
	compare := func(t *rapid.T) {
		for _, at := range places {
			for _, id := range ids {
				got, gotErr := s.Connector(ctx, at, id)
				want, wantErr := anew.Connector(ctx, at, id)
				if diff := cmp.Diff(want, got); diff != "" || fault.KindOf(gotErr) != fault.KindOf(wantErr) {
					t.Fatalf("%s of %s: %v, %v\n%s", id, at, gotErr, wantErr, diff)
				}
			}
		}
		first := rapid.IntRange(0, len(filters)-4).Draw(t, "filter")
		for _, f := range filters[first : first+4] { // all of them every time would take the test's time
			got, n, err := s.Connectors(ctx, f)
			want, m, wantErr := anew.Connectors(ctx, f)
			if diff := cmp.Diff(want, got); diff != "" || n != m || err != nil || wantErr != nil {
				t.Fatalf("%+v: %d and %d, %v, %v\n%s", f, n, m, err, wantErr, diff)
			}
		}
		for _, id := range keys {
			got, gotErr := s.Key(ctx, account, id)
			want, wantErr := anew.Key(ctx, account, id)
			if diff := cmp.Diff(want, got); diff != "" || fault.KindOf(gotErr) != fault.KindOf(wantErr) {
				t.Fatalf("key %s: %v, %v\n%s", id, gotErr, wantErr, diff)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := 0
		act := func(do func(at scope.Scope, id, word string) error) func(*rapid.T) {
			return func(t *rapid.T) {
				at := rapid.SampledFrom(places).Draw(t, "at")
				n++
				clock = clock.Add(time.Second)
				err := do(at, rapid.SampledFrom(ids).Draw(t, "id"), rapid.SampledFrom([]string{"one", "two"}).Draw(t, "word"))
				if err != nil && !errors.Is(err, fault.Conflict) && !errors.Is(err, fault.NotFound) && !errors.Is(err, fault.Invalid) {
					t.Fatal(err)
				}
			}
		}
		made := func(at scope.Scope, id, word string) connector.Connector {
			return connector.Connector{
				Scope: at, ID: id, Name: word, Tags: map[string]string{"team": word}, Credential: connector.IRSA{}, Selectors: []string{word}, CreatedAt: clock, UpdatedAt: clock,
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"": compare,
			"create": act(func(at scope.Scope, id, word string) error {
				return s.CreateConnector(ctx, made(at, id, word), clock)
			}),
			"update": act(func(at scope.Scope, id, word string) error {
				_, err := s.UpdateConnector(ctx, at, id, func(old connector.Connector) (connector.Connector, error) {
					c := made(at, id, word)
					c.Revision = old.Revision + 1
					return c, nil
				})
				return err
			}),
			"delete": act(func(at scope.Scope, id, _ string) error { return s.DeleteConnector(ctx, at, id) }),
			"update too late": act(func(at scope.Scope, id, _ string) error {
				_, err := s.UpdateConnector(ctx, at, id, func(old connector.Connector) (connector.Connector, error) {
					return made(at, id, "never"), fault.New(fault.Conflict, "it has revision %d", old.Revision)
				})
				return err
			}),
			"test": act(func(at scope.Scope, id, word string) error {
				x := connector.Test{ID: strconv.FormatInt(clock.UnixMicro(), 10), Scope: at, Connector: id, StartedAt: clock, EndedAt: clock, Status: connector.Success}
				x.Identity = &connector.Identity{ARN: "arn:aws:iam::444455556666:user/u", Account: "444455556666"}
				if word == "two" {
					x.Status, x.Identity, x.RetryAt = connector.Failing, nil, clock.Add(time.Second)
					x.Diagnosis = &connector.Diagnosis{Code: "BLY-2104", Cause: "c", Finding: &connector.Finding{Action: "ec2:DescribeRegions"}}
				}
				return s.SaveTest(ctx, x)
			}),
			"test that is recorded late": act(func(at scope.Scope, id, _ string) error {
				before := clock.Add(-5 * time.Second)
				return s.SaveTest(ctx, connector.Test{ID: strconv.FormatInt(clock.UnixMicro(), 10), Scope: at, Connector: id, StartedAt: before, EndedAt: before, Status: connector.Failing})
			}),
			"claim tests that are due": act(func(scope.Scope, string, string) error {
				_, err := s.DueForTest(ctx, clock, func() time.Time { return clock.Add(time.Second) }, 3)
				return err
			}),
			"delete old tests": act(func(scope.Scope, string, string) error { return s.DeleteTests(ctx, 1, clock.Add(-10*time.Second)) }),
			"preflight": act(func(at scope.Scope, id, word string) error {
				p := preflight.Preflight{ID: strconv.FormatInt(clock.UnixMicro(), 10), Scope: at, Connector: id, StartedAt: clock, EndedAt: clock}
				if word == "two" {
					p.Results = []preflight.Result{{Capability: "x", Answer: connector.MayNotDo}}
				}
				return s.SavePreflight(ctx, p, 3)
			}),
			"create scopes": act(func(scope.Scope, string, string) error {
				return errors.Join(s.CreateOrganization(ctx, org.Organization{Account: account, ID: "o"}), s.CreateProject(ctx, org.Project{Account: account, Org: "o", ID: "p"}))
			}),
			"delete project":      act(func(scope.Scope, string, string) error { return s.DeleteProject(ctx, account, "o", "p") }),
			"delete organization": act(func(scope.Scope, string, string) error { return s.DeleteOrganization(ctx, account, "o") }),
			"make a key": act(func(at scope.Scope, _, word string) error {
				return s.SaveKey(ctx, identity.Key{ID: keys[n%2], Account: account, Name: word, Grants: []audit.Grant{{Scope: at, Role: audit.Viewer}}})
			}),
			"use a key":    act(func(scope.Scope, string, string) error { return s.UseKey(ctx, account, keys[n%2], clock) }),
			"revoke a key": act(func(scope.Scope, string, string) error { return s.RevokeKey(ctx, account, keys[n%2], clock) }),
		})
	})
}

// TestNobodyReadsWhatWasBefore: whoever was told that a change is done reads it, also while others read what they may
// remember.
func TestNobodyReadsWhatWasBefore(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "belay.db"))
	ctx, at := t.Context(), scope.Scope{Account: account}
	if err := s.CreateConnector(ctx, connector.Connector{Scope: at, ID: "c", Name: "0", Credential: connector.IRSA{}, Revision: 1}, time.Now()); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for last := int64(0); ; {
				c, err := s.Connector(ctx, at, "c")
				if err != nil || c.Revision < last {
					t.Errorf("revision %d after %d: %v", c.Revision, last, err)
					return
				}
				last = c.Revision
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for range 50 {
		changed, err := s.UpdateConnector(ctx, at, "c", func(c connector.Connector) (connector.Connector, error) {
			c.Revision++
			return c, nil
		})
		if err != nil {
			t.Error(err)
		}
		c, err := s.Connector(ctx, at, "c")
		list, _, listErr := s.Connectors(ctx, connector.Filter{Scope: at, Limit: 10})
		if err != nil || listErr != nil || c.Revision != changed.Revision || list[0].Revision != changed.Revision {
			t.Errorf("changed to %d, reads %d and %d: %v, %v", changed.Revision, c.Revision, list[0].Revision, err, listErr)
		}
	}
	close(done)
	readers.Wait()
}

// TestWhatAReaderChangesIsItsOwn: a reader that changes what it was given does not change what the next one reads.
func TestWhatAReaderChangesIsItsOwn(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "belay.db"))
	ctx, at := t.Context(), scope.Scope{Account: account}
	c := connector.Connector{Scope: at, ID: "c", Name: "n", Credential: connector.IRSA{}, Tags: map[string]string{"a": "b"}, Selectors: []string{"eks"}}
	if err := errors.Join(s.CreateConnector(ctx, c, time.Now()), s.SaveTest(ctx, connector.Test{ID: "t", Scope: at, Connector: "c", EndedAt: time.Now(), Status: connector.Failing})); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		one, err := s.Connector(ctx, at, "c")
		list, _, listErr := s.Connectors(ctx, connector.Filter{Scope: at, Limit: 10})
		if err != nil || listErr != nil {
			t.Fatal(err, listErr)
		}
		for _, got := range []connector.Stored{one, list[0]} {
			if got.Tags["a"] != "b" || got.Selectors[0] != "eks" || got.LastTest.ID != "t" {
				t.Fatalf("%+v", got)
			}
			got.Tags["a"], got.Selectors[0], got.LastTest.ID = "x", "x", "x"
		}
	}
}
