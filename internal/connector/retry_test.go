package connector_test

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/store"
)

// TestARefusedConnectionIsTestedAgain: within five minutes of a test that somebody asked for, every minute, and it says so.
func TestARefusedConnectionIsTestedAgain(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	refused := &connector.Failure{Step: connector.StepRegions, Code: "UnauthorizedOperation", Status: 403}
	unknown := &connector.Failure{Step: connector.StepIdentity, Code: "SignatureDoesNotMatch", Status: 403}
	type done struct {
		at      time.Duration // after began
		trigger connector.Trigger
		failure *connector.Failure
	}
	asked := func(at time.Duration, f *connector.Failure) done { return done{at, connector.OnDemand, f} }
	byItself := func(at time.Duration, f *connector.Failure) done { return done{at, connector.Periodic, f} }
	const minute = time.Minute
	for name, tt := range map[string]struct {
		change  func(*connector.Connector, *connector.Service)
		tests   []done
		retried bool // after the last of the tests
	}{
		"refused on demand":                     {nil, []done{asked(0, refused)}, true},
		"refused on save":                       {nil, []done{{0, connector.OnSave, refused}}, true},
		"refused again by itself, in time":      {nil, []done{asked(0, refused), byItself(minute, refused), byItself(4*minute, refused)}, true},
		"refused again by itself, too late":     {nil, []done{asked(0, refused), byItself(5*minute, refused)}, false},
		"asked again: the window opens anew":    {nil, []done{asked(0, refused), byItself(5*minute, refused), asked(10*minute, refused)}, true},
		"refused by itself after a green test":  {nil, []done{asked(0, nil), byItself(minute, refused)}, false},
		"refused by itself, never asked":        {nil, []done{byItself(minute, refused)}, false},
		"a wrong secret does not mend itself":   {nil, []done{asked(0, unknown)}, false},
		"a green test":                          {nil, []done{asked(0, refused), byItself(minute, nil)}, false},
		"the connector ignores tests":           {func(c *connector.Connector, _ *connector.Service) { c.IgnoreTestConnection = true }, []done{asked(0, refused)}, false},
		"the manager makes no tests of its own": {func(_ *connector.Connector, s *connector.Service) { s.TestEvery = -1 }, []done{asked(0, refused)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := store.Open(t.Context(), store.Config{URL: filepath.Join(t.TempDir(), "belay.db")})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			s := &connector.Service{Store: db, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return began }}
			c := keys()
			c.Scope.Account, c.Revision = "acct", 1
			if tt.change != nil {
				tt.change(&c, s)
			}
			if err := db.CreateConnector(t.Context(), c, began.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			var last time.Time
			for _, one := range tt.tests {
				last = began.Add(one.at)
				if err := s.Record(t.Context(), connector.Result{
					Request:   connector.Request{TestID: connector.NewTestID(), Connector: c, Options: connector.Options{Trigger: one.trigger}},
					StartedAt: last, EndedAt: last, Evidence: &connector.Evidence{Failure: one.failure}, Delegate: "eks-1",
				}); err != nil {
					t.Fatal(err)
				}
				// The loop takes the retry of the test before, and plans the usual one.
				if _, err := db.DueForTest(t.Context(), last, func() time.Time { return began.Add(time.Hour) }, 1); err != nil {
					t.Fatal(err)
				}
			}
			stored, err := db.Connector(t.Context(), c.Scope, c.ID)
			if err != nil {
				t.Fatal(err)
			}
			says := strings.Contains(strings.Join(stored.LastTest.Warnings, " "), "is tested again every minute until")
			due, err := db.DueForTest(t.Context(), last.Add(connector.RetryEvery), func() time.Time { return began.Add(time.Hour) }, 1)
			if err != nil {
				t.Fatal(err)
			}
			if says != tt.retried || (len(due) == 1) != tt.retried {
				t.Fatalf("it is due: %v, and says so: %v; want %v", len(due) == 1, says, tt.retried)
			}
		})
	}
}
