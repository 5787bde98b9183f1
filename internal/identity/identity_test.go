package identity_test

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/identity"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/store"
)

func service(t *testing.T, now func() time.Time) *identity.Service {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: filepath.Join(t.TempDir(), "belay.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.CreateOrganization(t.Context(), org.Organization{Account: "acct", ID: "o", Name: "o"}); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateProject(t.Context(), org.Project{Account: "acct", Org: "o", ID: "p", Name: "p"}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	return &identity.Service{Store: s, Audit: &audit.Trail{Store: s, Log: log, Now: now}, Log: log, Now: now}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s := service(t, func() time.Time { return now })
	_, adminToken, err := s.Bootstrap(t.Context(), "acct", "admin")
	if err != nil {
		t.Fatal(err)
	}
	admin, err := s.Authenticate(t.Context(), adminToken.Reveal())
	if err != nil || admin.RoleAt(scope.Scope{Account: "acct"}) != audit.Admin {
		t.Fatalf("got %+v, %v", admin, err)
	}
	project := scope.Scope{Account: "acct", Org: "o", Project: "p"}
	key, token, err := s.Create(t.Context(), admin, "ci", []audit.Grant{{Scope: project, Role: audit.Editor}}, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(token.Reveal(), "pat.acct."+key.ID+".") || strings.Contains(token.Reveal(), key.Hash) {
		t.Fatal("the token has another form")
	}
	ci, err := s.Authenticate(t.Context(), token.Reveal())
	if err != nil || ci.RoleAt(project) != audit.Editor || ci.RoleAt(scope.Scope{Account: "acct"}) != "" {
		t.Fatalf("got %+v, %v", ci, err)
	}
	// A key cannot make one that is stronger than itself.
	if _, _, err := s.Create(t.Context(), ci, "mine", []audit.Grant{{Scope: project, Role: audit.Admin}}, time.Time{}); !errors.Is(err, fault.Denied) {
		t.Fatalf("got %v", err)
	}

	good := token.Reveal()
	for name, bad := range map[string]string{
		"nothing":             "",
		"another secret":      good[:len(good)-1] + "A",
		"another id":          strings.Replace(good, key.ID, "nobody", 1),
		"another account":     strings.Replace(good, "acct", "other", 1),
		"the hash itself":     "pat.acct." + key.ID + "." + key.Hash,
		"five parts":          good + ".x",
		"an empty secret":     "pat.acct." + key.ID + ".",
		"no key, empty":       "pat.acct.nobody.",
		"something very long": "pat." + strings.Repeat("a", 10_000) + ".b.c",
	} {
		if bad == good {
			continue
		}
		if _, err := s.Authenticate(t.Context(), bad); !errors.Is(err, identity.ErrUnauthenticated) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	now = now.Add(2 * time.Hour)
	if _, err := s.Authenticate(t.Context(), good); !errors.Is(err, identity.ErrUnauthenticated) {
		t.Errorf("an expired key still works: %v", err)
	}
	if err := s.Revoke(t.Context(), admin, admin.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authenticate(t.Context(), adminToken.Reveal()); !errors.Is(err, identity.ErrUnauthenticated) {
		t.Errorf("a revoked key still works: %v", err)
	}
}

func TestCreateReportsAllProblems(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := service(t, func() time.Time { return now })
	_, _, err := s.Create(t.Context(), audit.System("acct", "test"), " ", nil, now.Add(-time.Hour))
	problems, ok := errors.AsType[fault.Problems](err)
	if !ok || len(problems) != 3 {
		t.Fatalf("got %v", err)
	}
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	l := &identity.Limiter{Rate: 10, Burst: 2}
	now := time.Now()
	for i, want := range []bool{true, true, false} {
		if ok, wait := l.Allow("k", now); ok != want || !ok && wait <= 0 {
			t.Fatalf("call %d: %v after %v", i, ok, wait)
		}
	}
	if ok, _ := l.Allow("other", now); !ok {
		t.Fatal("one key's calls count against another")
	}
	if ok, _ := l.Allow("k", now.Add(100*time.Millisecond)); !ok {
		t.Fatal("the limit does not refill")
	}
	if ok, _ := (&identity.Limiter{Rate: -1}).Allow("k", now); !ok {
		t.Fatal("no limit limits")
	}
}

// Why a key is refused is told to whoever has the whole of it, and to nobody else.
func TestStanding(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s := service(t, func() time.Time { return now })
	_, adminToken, err := s.Bootstrap(t.Context(), "acct", "admin")
	if err != nil {
		t.Fatal(err)
	}
	admin, err := s.Authenticate(t.Context(), adminToken.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	grants := []audit.Grant{{Scope: scope.Scope{Account: "acct"}, Role: audit.Viewer}}
	_, short, err := s.Create(t.Context(), admin, "short", grants, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	gone, goneToken, err := s.Create(t.Context(), admin, "gone", grants, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Revoke(t.Context(), admin, gone.ID); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	for name, tt := range map[string]struct {
		token string
		want  identity.Standing
	}{
		"a good key":                        {adminToken.Reveal(), identity.Valid},
		"an expired key":                    {short.Reveal(), identity.Expired},
		"a revoked key":                     {goneToken.Reveal(), identity.Revoked},
		"the id of a revoked key":           {"pat.acct." + gone.ID + ".guess", identity.Stranger},
		"the hash of a revoked key":         {"pat.acct." + gone.ID + "." + gone.Hash, identity.Stranger},
		"an expired key of another account": {strings.Replace(short.Reveal(), "acct", "other", 1), identity.Stranger},
		"no key":                            {"", identity.Stranger},
	} {
		if got, err := s.Standing(t.Context(), tt.token); err != nil || got != tt.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// The use of a key is written down, and not at every call.
func TestLastUse(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	now := start
	s := service(t, func() time.Time { return now })
	k, token, err := s.Bootstrap(t.Context(), "acct", "admin")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ after, want time.Duration }{
		{0, 0}, {time.Minute, 0}, {4 * time.Minute, 0}, {5 * time.Minute, 5 * time.Minute}, {9 * time.Minute, 5 * time.Minute}, {time.Hour, time.Hour},
	} {
		now = start.Add(tt.after)
		who, err := s.Authenticate(t.Context(), token.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Key(t.Context(), who, k.ID)
		if err != nil || !got.LastUsedAt.Equal(start.Add(tt.want)) {
			t.Errorf("after %s it was used at %s, %v", tt.after, got.LastUsedAt, err)
		}
	}
}

// The administrator of a project keeps the project's keys and no others.
func TestKeysOfAScope(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s := service(t, func() time.Time { now = now.Add(time.Second); return now })
	account, project := scope.Scope{Account: "acct"}, scope.Scope{Account: "acct", Org: "o", Project: "p"}
	who := audit.System("acct", "test")
	made := func(name string, at ...scope.Scope) identity.Key {
		t.Helper()
		var grants []audit.Grant
		for _, one := range at {
			grants = append(grants, audit.Grant{Scope: one, Role: audit.Admin})
		}
		k, _, err := s.Create(t.Context(), who, name, grants, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	wide, inner, both := made("wide", account), made("inner", project), made("both", project, scope.Scope{Account: "acct", Org: "o"})
	admin := audit.Caller{Account: "acct", ID: inner.ID, Name: "inner", Grants: inner.Grants}
	list, total, err := s.KeysIn(t.Context(), admin, identity.Filter{Scope: project})
	if err != nil || total != 2 || list[0].ID != both.ID || list[1].ID != inner.ID {
		t.Errorf("%v, %d, %v", list, total, err)
	}
	// Where else a key has a role is counted, and not said.
	if len(list) != 2 || len(list[0].Grants) != 1 || list[0].Grants[0].Scope != project || list[0].Elsewhere != 1 || list[1].Elsewhere != 0 {
		t.Errorf("%+v", list)
	}
	if all, _, err := s.KeysIn(t.Context(), who, identity.Filter{Scope: project}); err != nil || len(all) != 2 || len(all[0].Grants) != 2 || all[0].Elsewhere != 0 {
		t.Errorf("for who may see it all: %+v, %v", all, err)
	}
	if _, _, err := s.KeysIn(t.Context(), admin, identity.Filter{Scope: account}); !errors.Is(err, fault.Denied) {
		t.Errorf("the whole account: %v", err)
	}
	said := map[string]bool{} // of all of them the same: who may not learns nothing
	for _, id := range []string{wide.ID, both.ID, "absent"} {
		_, err := s.Key(t.Context(), admin, id)
		if !errors.Is(err, fault.Denied) {
			t.Errorf("read %s: %v", id, err)
		}
		said[fault.Sentence(err)] = true
		if err := s.Revoke(t.Context(), admin, id); !errors.Is(err, fault.Denied) {
			t.Errorf("revoke %s: %v", id, err)
		}
	}
	if len(said) != 1 {
		t.Errorf("refused in different words: %v", said)
	}
	if err := s.Revoke(t.Context(), admin, inner.ID); err != nil {
		t.Error(err)
	}
	if err := s.Revoke(t.Context(), who, "absent"); !errors.Is(err, fault.NotFound) {
		t.Errorf("a key that there is not: %v", err)
	}
	if got, _, err := s.KeysIn(t.Context(), who, identity.Filter{Scope: project, GoodAt: now}); err != nil || len(got) != 1 || got[0].ID != both.ID {
		t.Errorf("the good ones: %v, %v", got, err)
	}
}
