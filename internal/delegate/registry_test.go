package delegate_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
	"github.com/belay-dev/belay/internal/store"
)

// memory is a store for presence that counts its writes, and can be slow.
type memory struct {
	mu     sync.Mutex
	rows   map[delegate.ID]delegate.Delegate
	writes int
	block  chan struct{} // nil: not slow
}

func (m *memory) SaveDelegate(_ context.Context, d delegate.Delegate) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows[d.ID] = d
	return nil
}

func (m *memory) SaveSeen(ctx context.Context, seen map[delegate.ID]time.Time) error {
	if m.block != nil {
		select {
		case <-m.block:
		case <-ctx.Done():
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes += len(seen)
	return nil
}

func (m *memory) Delegates(context.Context) ([]delegate.Delegate, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []delegate.Delegate
	for _, d := range m.rows {
		all = append(all, d)
	}
	return all, nil
}

func (*memory) AppendAudit(context.Context, audit.Entry) error { return nil }

func (*memory) AuditEntries(context.Context, audit.Filter) ([]audit.Entry, error) { return nil, nil }

func (*memory) SaveGroup(context.Context, delegate.Group) error { return nil }

func (*memory) Groups(context.Context) ([]delegate.Group, error) { return nil, nil }

func (m *memory) DeleteDelegates(_ context.Context, ids []delegate.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		delete(m.rows, id)
	}
	return nil
}

func registry(t *testing.T, m *memory) *delegate.Registry {
	t.Helper()
	r := &delegate.Registry{Store: m, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	if err := r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// Heartbeats come every ten seconds; presence is written at most once a minute.
func TestPresenceIsWrittenAtMostOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{rows: map[delegate.ID]delegate.Delegate{}}
		r := registry(t, m)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		d, err := r.Register(ctx, one("d1", func(d *delegate.Delegate) { d.ID = "" }))
		if err != nil {
			t.Fatal(err)
		}
		for range 60 { // ten minutes
			time.Sleep(delegate.HeartbeatEvery)
			if _, err := r.Seen("a", d.ID, nil); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if m.writes < 8 || m.writes > 10 {
			t.Fatalf("%d writes in ten minutes", m.writes)
		}
	})
}

// A database that does not answer must not make a live delegate look dead.
func TestASlowDatabaseDoesNotMakeDelegatesLookDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{rows: map[delegate.ID]delegate.Delegate{}, block: make(chan struct{})}
		r := registry(t, m)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		d, err := r.Register(ctx, one("d1", func(d *delegate.Delegate) { d.ID = "" }))
		if err != nil {
			t.Fatal(err)
		}
		for range 60 {
			time.Sleep(delegate.HeartbeatEvery)
			if _, err := r.Seen("a", d.ID, nil); err != nil {
				t.Fatal(err)
			}
			if c := r.Choose(delegate.Need{Scope: scope.Scope{Account: "a"}}); len(c.Eligible()) != 1 {
				t.Fatalf("it looks dead: %v", c.Reasons())
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestPresenceAfterARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{rows: map[delegate.ID]delegate.Delegate{}}
		first := registry(t, m)
		lately, err := first.Register(t.Context(), one("lately", func(d *delegate.Delegate) { d.ID = "" }))
		if err != nil {
			t.Fatal(err)
		}
		old := one("old", func(d *delegate.Delegate) { d.LastSeen = time.Now().Add(-time.Hour) })
		m.rows[old.ID] = old
		time.Sleep(90 * time.Second) // the manager is away
		again := registry(t, m)
		if _, err := again.Delegate("a", lately.ID); err != nil {
			t.Fatal(err)
		}
		choice := again.Choose(delegate.Need{Scope: scope.Scope{Account: "a"}})
		if got := choice.Eligible(); len(got) != 1 || got[0].Name != "lately" {
			t.Fatalf("got %v", choice.Reasons())
		}
		time.Sleep(delegate.SilentAfter) // it did not show itself
		if got := again.Choose(delegate.Need{Scope: scope.Scope{Account: "a"}}).Eligible(); len(got) != 0 {
			t.Fatalf("a delegate that never came back counts as live: %v", got)
		}
	})
}

// Clients register without an id when they start: the one that was there before is theirs, once it cannot live any more.
func TestADelegateThatComesBackWithoutItsID(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	r := &delegate.Registry{Store: &memory{rows: map[delegate.ID]delegate.Delegate{}}, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }}
	if err := r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	join := func(token, name, host string) delegate.Delegate {
		t.Helper()
		d, err := r.Register(t.Context(), delegate.Delegate{Scope: scope.Scope{Account: "a"}, TokenID: token, Name: name, HostName: host})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	first := join("t1", "eks", "h1")
	now = now.Add(delegate.PollHeld) // it may be held by a poll
	second := join("t1", "eks", "h1")
	if second.ID == first.ID {
		t.Error("two replicas on one host were taken for one")
	}
	now = now.Add(delegate.PollHeld + delegate.HeartbeatEvery + time.Second)
	for name, other := range map[string]delegate.Delegate{
		"another host": join("t1", "eks", "h2"), "another name": join("t1", "vm", "h1"), "another token": join("t2", "eks", "h1"), "no host": join("t1", "eks", ""),
	} {
		if other.ID == first.ID || other.ID == second.ID {
			t.Errorf("%s: got the id of another", name)
		}
	}
	if back := join("t1", "eks", "h1"); back.ID != second.ID || !back.RegisteredAt.Equal(second.RegisteredAt) {
		t.Errorf("came back as %s, registered at %s", back.ID, back.RegisteredAt)
	}
	if next := join("t1", "eks", "h1"); next.ID != first.ID {
		t.Errorf("the second came back as %s", next.ID)
	}
}

func TestAnotherTokenCannotTakeADelegatesID(t *testing.T) {
	t.Parallel()
	r := registry(t, &memory{rows: map[delegate.ID]delegate.Delegate{}})
	mine, err := r.Register(t.Context(), one("mine", func(d *delegate.Delegate) { d.ID = ""; d.TokenID = "t1" }))
	if err != nil {
		t.Fatal(err)
	}
	thief, err := r.Register(t.Context(), one("thief", func(d *delegate.Delegate) { d.ID = mine.ID; d.TokenID = "t2" }))
	if err != nil || thief.ID == mine.ID {
		t.Fatalf("got %s, %v", thief.ID, err)
	}
	if _, err := r.Seen("other-account", mine.ID, nil); !errors.Is(err, fault.NotFound) {
		t.Fatalf("got %v", err)
	}
	if ids := r.CutOff("t1"); len(ids) != 1 || ids[0] != mine.ID {
		t.Fatalf("got %v", ids)
	}
	if d, err := r.Delegate("a", mine.ID); err != nil || !d.Revoked {
		t.Errorf("its token was revoked: %+v %v", d, err)
	}
	back, err := r.Register(t.Context(), one("mine", func(d *delegate.Delegate) { d.ID = ""; d.TokenID = "t3" }))
	if err != nil || back.Revoked {
		t.Errorf("it came with another token: %+v %v", back, err)
	}
}

func tokens(t *testing.T, now func() time.Time) *delegate.Tokens {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: filepath.Join(t.TempDir(), "belay.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	master, err := secret.NewMasterKey()
	if err != nil {
		t.Fatal(err)
	}
	ring, err := secret.NewKeyring(master)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	trail := &audit.Trail{Store: s, Log: log, Now: now}
	return &delegate.Tokens{Store: s, Scopes: &org.Service{Store: s, Audit: trail, Log: log, Now: now}, Keyring: ring, Audit: trail, Log: log, Now: now}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := tokens(t, func() time.Time { return now })
	var revoked []string
	s.Revoked = func(token delegate.Token) { revoked = append(revoked, token.Name) }
	who, at := audit.System("a", "test"), scope.Scope{Account: "a"}
	made, value, err := s.Create(t.Context(), who, at, "eks", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	key, err := delegate.ParseToken(value)
	if err != nil || len(key) != delegate.TokenBytes {
		t.Fatalf("got %v, %v", len(key), err)
	}
	if active, err := s.ActiveKeys(t.Context(), "a"); err != nil || len(active) != 1 || string(active[0].Key) != string(key) {
		t.Fatalf("got %d, %v", len(active), err)
	}
	if _, _, err := s.Create(t.Context(), who, at, "eks", time.Time{}); !errors.Is(err, fault.Conflict) {
		t.Fatalf("a second one of the name: %v", err)
	}
	if err := s.Delete(t.Context(), who, at, "eks"); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "revoke it first") {
		t.Fatalf("an active one was deleted: %v", err)
	}
	if _, err := s.Revoke(t.Context(), who, at, "eks"); err != nil {
		t.Fatal(err)
	}
	if active, err := s.StillActive(t.Context(), "a", made.ID); err != nil || active {
		t.Fatalf("still active: %v %v", active, err)
	}
	if _, _, err := s.Create(t.Context(), who, at, "eks", time.Time{}); !errors.Is(err, fault.Conflict) {
		t.Fatalf("the name of a revoked one was given away: %v", err)
	}
	if err := s.Delete(t.Context(), who, at, "eks"); err != nil {
		t.Fatal(err)
	}
	if len(revoked) != 1 {
		t.Fatalf("told of %v", revoked)
	}
}

// Clients set an end that has passed already and use the token at once: it lives for the first minutes, then a job ends it.
func TestATokenWhoseEndHasPassedLivesForItsFirstMinutes(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := tokens(t, func() time.Time { return now })
	who, at := audit.System("a", "test"), scope.Scope{Account: "a"}
	if _, _, err := s.Create(t.Context(), who, at, "past", time.UnixMilli(1765689600000)); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after  time.Duration
		active bool
	}{{time.Minute, true}, {time.Hour, false}} {
		now = now.Add(step.after)
		if err := s.Expire(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Token(t.Context(), who, at, "past"); err != nil || got.Active() != step.active {
			t.Fatalf("after %s: active %v, %v", step.after, got.Active(), err)
		}
	}
}

func TestParseToken(t *testing.T) {
	t.Parallel()
	const hexed = "00112233445566778899aabbccddeeff"
	for name, tt := range map[string]struct {
		text string
		ok   bool
	}{
		"32 hex digits":            {hexed, true},
		"base64 of them":           {"MDAxMTIyMzM0NDU1NjY3Nzg4OTlhYWJiY2NkZGVlZmY=", true},
		"with a line break":        {hexed + "\n", true},
		"31 digits":                {hexed[1:], false},
		"base64 of something else": {"aGVsbG8=", false},
		"nothing":                  {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, err := delegate.ParseToken(secret.NewValue(tt.text))
			if (err == nil) != tt.ok || tt.ok && len(key) != delegate.TokenBytes {
				t.Fatalf("got %d bytes, %v", len(key), err)
			}
			if err != nil && tt.text != "" && strings.Contains(err.Error(), tt.text) {
				t.Fatal("the error quotes the token")
			}
		})
	}
}
