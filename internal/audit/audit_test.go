package audit_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/store"
)

func trail(t *testing.T) *audit.Trail {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: filepath.Join(t.TempDir(), "belay.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &audit.Trail{Store: s, Log: slog.New(slog.DiscardHandler), Now: time.Now}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	account, project := scope.Scope{Account: "a"}, scope.Scope{Account: "a", Org: "o", Project: "p"}
	grant := func(at scope.Scope, r audit.Role) audit.Caller {
		return audit.Caller{Account: "a", ID: "k", Name: "ci", Grants: []audit.Grant{{Scope: at, Role: r}}}
	}
	for name, tt := range map[string]struct {
		who    audit.Caller
		action audit.Action
		at     scope.Scope
		denied string // part of the sentence; empty: allowed
	}{
		"a viewer reads":                                    {grant(account, audit.Viewer), audit.ConnectorRead, project, ""},
		"a viewer does not write":                           {grant(account, audit.Viewer), audit.ConnectorCreate, project, `"ci" is viewer at project o/p; connector.create needs editor`},
		"a viewer does not test":                            {grant(account, audit.Viewer), audit.ConnectorTest, account, "needs editor"},
		"an editor writes inside its scope":                 {grant(project, audit.Editor), audit.ConnectorDelete, project, ""},
		"an editor of a project is nobody above it":         {grant(project, audit.Editor), audit.ConnectorCreate, account, `has no role at the account`},
		"an editor makes no keys":                           {grant(account, audit.Editor), audit.KeyCreate, account, "needs admin"},
		"an editor reads no audit log":                      {grant(account, audit.Editor), audit.AuditRead, account, "needs admin"},
		"an administrator does all":                         {grant(account, audit.Admin), audit.FlagSet, account, ""},
		"another account is another world":                  {grant(account, audit.Admin), audit.ConnectorRead, scope.Scope{Account: "b"}, "belongs to another account"},
		"Belay itself":                                      {audit.System("a", "periodic test"), audit.ConnectorTest, project, ""},
		"an action that has no place is for administrators": {grant(account, audit.Editor), audit.Action("thing.explode"), account, "needs admin"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := trail(t)
			err := log.Allow(t.Context(), tt.who, tt.action, tt.at, "connector/x")
			if tt.denied == "" && err != nil || tt.denied != "" && (!errors.Is(err, fault.Denied) || !strings.Contains(err.Error(), tt.denied)) {
				t.Fatalf("got %v, want %q", err, tt.denied)
			}
			entries, err := log.Store.AuditEntries(t.Context(), audit.Filter{Scope: scope.Scope{Account: tt.at.Account}, Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			kept := tt.denied != "" || !strings.HasSuffix(string(tt.action), ".read")
			if (len(entries) == 1) != kept {
				t.Fatalf("kept %d entries", len(entries))
			}
			if kept && (entries[0].Outcome == audit.Denied) != (tt.denied != "") {
				t.Fatalf("kept as %s", entries[0].Outcome)
			}
		})
	}
}

// When the log cannot be written, nothing is done: an action that leaves no trace must not happen.
func TestNothingHappensWithoutATrace(t *testing.T) {
	t.Parallel()
	log := trail(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	who := audit.System("a", "x")
	if err := log.Allow(ctx, who, audit.ConnectorCreate, scope.Scope{Account: "a"}, "connector/x"); !errors.Is(err, fault.Unavailable) {
		t.Fatalf("got %v", err)
	}
}

func TestAStrongerRoleMayAllThatAWeakerMay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		weak := rapid.SampledFrom(audit.Roles()).Draw(t, "weak")
		strong := rapid.SampledFrom(audit.Roles()).Draw(t, "strong")
		at := scope.Scope{Account: "a", Org: "o"}
		c := audit.Caller{Account: "a", Grants: []audit.Grant{{Scope: scope.Scope{Account: "a"}, Role: weak}, {Scope: at, Role: strong}}}
		got := c.RoleAt(scope.Scope{Account: "a", Org: "o", Project: "p"})
		if !got.Includes(weak) || !got.Includes(strong) || got != weak && got != strong {
			t.Fatalf("%s and %s make %s", weak, strong, got)
		}
	})
}
