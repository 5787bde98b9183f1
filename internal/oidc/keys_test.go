package oidc_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/oidc"
	"github.com/belay-dev/belay/internal/secret"
	"github.com/belay-dev/belay/internal/store"
)

// Over a year in steps of half a day, whatever is minted verifies until it expires, and no key signs that was not in the key
// set for a day at least.
func TestAYearOfRotations(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.Issuer.Periods = oidc.Periods{RotateEvery: days(30)}
	first := w.mint(t).KeyID
	w.rotate(t, oidc.Rotation{Algorithm: oidc.ES256, Revoke: true}) // they are made a thousand times as fast
	seen, signed := map[string]time.Time{}, map[string]bool{}
	began := w.mint(t).KeyID
	if began == first {
		t.Fatal("the revoked key signs")
	}
	var before oidc.Token
	most := 0
	for range 365 * 2 {
		w.tend(t)
		published := w.published(t)
		most = max(most, len(published))
		for _, kid := range published {
			if _, ok := seen[kid]; !ok {
				seen[kid] = w.Clock.Now()
			}
		}
		if before.KeyID != "" && !slices.Contains(published, before.KeyID) {
			t.Fatalf("the key of a token that is half a day old is no longer published")
		}
		before = w.mint(t)
		if !slices.Contains(published, before.KeyID) {
			t.Fatalf("at %s the key that signs was not published", w.Clock.Now())
		}
		if since := w.Clock.Now().Sub(seen[before.KeyID]); !signed[before.KeyID] && before.KeyID != began && since < oidc.DefaultAhead {
			t.Fatalf("a key signs that was published %s before", since)
		}
		signed[before.KeyID] = true
		w.Clock.Move(12 * time.Hour)
	}
	if len(signed) < 12 || len(signed) > 14 {
		t.Errorf("%d keys signed in a year of months", len(signed))
	}
	if most > 3 {
		t.Errorf("%d keys were published at once", most)
	}
	keys, err := w.Store.OIDCKeys(t.Context(), w.Account)
	if err != nil || len(keys) > 3 {
		t.Errorf("%d keys are left, %v", len(keys), err)
	}
}

func (w *world) rotate(tb testing.TB, r oidc.Rotation) oidc.View {
	tb.Helper()
	v, err := w.Issuer.Rotate(tb.Context(), w.admin(), r)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func TestTheNextKeyTakesOverWhenItsTimeHasCome(t *testing.T) {
	t.Parallel()
	w := serve(t)
	old := w.mint(t)
	if got := w.states(t); len(got[oidc.Active]) != 1 || len(got[oidc.Next]) != 0 {
		t.Fatalf("after the first token: %v", got)
	}
	w.tend(t)
	w.tend(t)
	next := w.states(t)[oidc.Next]
	if len(next) != 1 || !next[0].Key.SignsFrom.Equal(w.Clock.Now().Add(oidc.DefaultRotateEvery)) {
		t.Fatalf("the next key: %+v", next)
	}
	w.holds(t, old)
	w.Clock.Move(oidc.DefaultRotateEvery - time.Minute)
	last := w.mint(t)
	if last.KeyID != old.KeyID {
		t.Fatal("the next key signs too early")
	}
	w.Clock.Move(time.Minute) // nobody has to do anything
	if fresh := w.mint(t); fresh.KeyID != next[0].Key.ID {
		t.Fatal("the next key does not sign")
	}
	w.holds(t, w.mint(t))
	w.holds(t, last)
	got := w.states(t)
	if r := got[oidc.Retiring]; len(r) != 1 || r[0].Key.ID != old.KeyID || !r[0].Until.Equal(w.Clock.Now().Add(oidc.DefaultOverlap)) {
		t.Fatalf("the old key: %+v", r)
	}
	w.Clock.Move(oidc.DefaultOverlap - time.Second)
	if !slices.Contains(w.published(t), old.KeyID) {
		t.Fatal("the old key went before the overlap was over")
	}
	w.Clock.Move(time.Second)
	if slices.Contains(w.published(t), old.KeyID) {
		t.Fatal("the old key is published after the overlap")
	}
	w.tend(t)
	keys, err := w.Store.OIDCKeys(t.Context(), w.Account)
	if err != nil || len(keys) != 2 {
		t.Fatalf("%d rows are left, %v", len(keys), err)
	}
}

func TestRotateLetsTheNextKeySign(t *testing.T) {
	t.Parallel()
	w := serve(t)
	old := w.mint(t)
	w.tend(t)
	next := w.states(t)[oidc.Next][0].Key.ID
	w.Clock.Move(time.Minute)
	w.rotate(t, oidc.Rotation{})
	fresh := w.mint(t)
	if fresh.KeyID != next {
		t.Fatal("another key than the next one signs")
	}
	w.holds(t, fresh)
	w.holds(t, old)
	if got := w.states(t); len(got[oidc.Next]) != 1 || len(got[oidc.Retiring]) != 1 {
		t.Fatalf("got %v", got)
	}
}

// A key that nobody has seen does not sign at once.
func TestRotateWithoutANextKeyPublishesOneFirst(t *testing.T) {
	t.Parallel()
	w := serve(t)
	old := w.mint(t)
	v := w.rotate(t, oidc.Rotation{})
	if n := v.Keys[len(v.Keys)-1]; n.State != oidc.Next || !n.Key.SignsFrom.Equal(w.Clock.Now().Add(oidc.DefaultAhead)) {
		t.Fatalf("got %+v", n)
	}
	if w.mint(t).KeyID != old.KeyID {
		t.Fatal("a key signs that nobody has seen")
	}
}

func TestRevokeTakesEveryKeyOut(t *testing.T) {
	t.Parallel()
	w := serve(t)
	old := w.mint(t)
	w.tend(t)
	next := w.states(t)[oidc.Next][0].Key.ID
	w.rotate(t, oidc.Rotation{Revoke: true})
	w.breaks(t, old)
	w.holds(t, w.mint(t))
	if ids := w.published(t); slices.Contains(ids, old.KeyID) || slices.Contains(ids, next) {
		t.Fatalf("revoked keys are published: %v", ids)
	}
}

func TestAnotherAlgorithmTakesOverAfterItWasPublished(t *testing.T) {
	t.Parallel()
	w := serve(t)
	old := w.mint(t)
	w.tend(t)
	w.rotate(t, oidc.Rotation{Algorithm: oidc.ES256})
	if w.mint(t).KeyID != old.KeyID {
		t.Fatal("the new key signs at once")
	}
	if got := w.states(t); len(got[oidc.Next]) != 1 || got[oidc.Next][0].Key.Algorithm != oidc.ES256 {
		t.Fatalf("got %+v", got)
	}
	w.Clock.Move(oidc.DefaultAhead)
	token := w.mint(t)
	if h := header(t, token.Text.Reveal()); h["alg"] != "ES256" {
		t.Fatalf("got %v", h)
	}
	w.holds(t, token)
	w.tend(t)
	if next := w.states(t)[oidc.Next]; len(next) != 1 || next[0].Key.Algorithm != oidc.ES256 {
		t.Fatalf("the key after it: %+v", next)
	}
}

func TestAKeySetStaysSmall(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.rotate(t, oidc.Rotation{Algorithm: oidc.ES256, Revoke: true})
	var err error
	for range 30 {
		w.Clock.Move(time.Second)
		if _, err = w.Issuer.Rotate(t.Context(), w.admin(), oidc.Rotation{}); err != nil {
			break
		}
	}
	if fault.KindOf(err) != fault.Invalid {
		t.Fatalf("got %v", err)
	}
	if n := len(w.published(t)); n > 20 {
		t.Fatalf("%d keys are published", n)
	}
	w.Clock.Move(oidc.DefaultOverlap)
	w.tend(t)
	w.rotate(t, oidc.Rotation{})
}

func TestAManagerThatSleptForAYear(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.mint(t)
	w.tend(t)
	next := w.states(t)[oidc.Next][0].Key.ID
	w.Clock.Move(days(365))
	if w.mint(t).KeyID != next {
		t.Fatal("the key that was published all the time does not sign")
	}
	w.tend(t)
	got := w.states(t)
	if len(got[oidc.Active]) != 1 || len(got[oidc.Next]) != 1 || len(got[oidc.Retiring]) != 0 {
		t.Fatalf("got %v", got)
	}
	if ahead := got[oidc.Next][0].Key.SignsFrom.Sub(w.Clock.Now()); ahead < oidc.DefaultAhead {
		t.Fatalf("the key after it signs in %s", ahead)
	}
}

func TestKeysThatRotateByHandOnly(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.Issuer.Periods.RotateEvery = -1
	first := w.mint(t)
	w.tend(t)
	w.Clock.Move(10 * days(365))
	w.tend(t)
	if w.mint(t).KeyID != first.KeyID {
		t.Fatal("another key signs")
	}
	w.rotate(t, oidc.Rotation{})
	if w.mint(t).KeyID == first.KeyID {
		t.Fatal("the key still signs")
	}
}

// Two managers share a database: they make one first key, one next key, and one of two rotations at once is told.
func TestTwoManagersOnOneDatabase(t *testing.T) {
	t.Parallel()
	w := serve(t)
	a := w.Issuer
	b := &oidc.Service{
		Store: w.Store, Flags: w.Orgs, Connectors: w.Connectors, Keyring: a.Keyring, Audit: w.Trail, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return w.Clock.Now().Add(-2 * time.Second) }, URL: a.URL, // its clock is behind
	}
	both := func(do func(s *oidc.Service) error) []error {
		errs := make([]error, 8)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() { errs[i] = do([]*oidc.Service{a, b}[i%2]) })
		}
		all.Wait()
		return errs
	}
	rows := func() []oidc.Key {
		keys, err := w.Store.OIDCKeys(t.Context(), w.Account)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	kids := make(chan string, 8)
	for _, err := range both(func(s *oidc.Service) error {
		token, err := s.Mint(t.Context(), w.use())
		kids <- token.KeyID
		return err
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	close(kids)
	for kid := range kids {
		if kid != rows()[0].ID {
			t.Fatal("two first keys")
		}
	}
	for _, err := range both(func(s *oidc.Service) error { return s.Tend(t.Context()) }) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := len(rows()); n != 2 {
		t.Fatalf("%d keys after both tended", n)
	}
	w.Clock.Move(time.Minute)
	done := 0
	for _, err := range both(func(s *oidc.Service) error {
		_, err := s.Rotate(t.Context(), w.admin(), oidc.Rotation{})
		return err
	}) {
		switch {
		case err == nil:
			done++
		case fault.KindOf(err) != fault.Conflict:
			t.Fatal(err)
		}
	}
	if done == 0 {
		t.Fatal("nobody rotated")
	}
	w.Clock.Move(time.Minute)
	for _, s := range []*oidc.Service{a, b} {
		token, err := s.Mint(t.Context(), w.use())
		if err != nil {
			t.Fatal(err)
		}
		w.holds(t, token)
	}
}

// noticing tells of each change of keys.
type noticing struct {
	*store.Store
	changed chan struct{}
}

func (n noticing) ChangeOIDCKeys(ctx context.Context, account string, c oidc.Change) error {
	err := n.Store.ChangeOIDCKeys(ctx, account, c)
	n.changed <- struct{}{}
	return err
}

func TestRunMakesTheNextKeyAndEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.mint(t)
	changed := make(chan struct{}, 1)
	w.Issuer.Store = noticing{w.Store, changed}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Issuer.Run(ctx) }()
	<-changed
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if len(w.states(t)[oidc.Next]) != 1 {
		t.Fatal("there is no next key")
	}
}

func TestKeysOfALostMasterKey(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.mint(t)
	w.tend(t)
	key, err := secret.NewMasterKey()
	if err != nil {
		t.Fatal(err)
	}
	ring, err := secret.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	w.Issuer = &oidc.Service{
		Store: w.Store, Flags: w.Orgs, Connectors: w.Connectors, Keyring: ring, Audit: w.Trail, Log: slog.New(slog.DiscardHandler), Now: w.Clock.Now, URL: w.Issuer.URL,
	}
	if _, err := w.Issuer.Mint(t.Context(), w.use()); fault.KindOf(err) != fault.Unavailable {
		t.Fatalf("got %v", err)
	}
	w.rotate(t, oidc.Rotation{Revoke: true})
	w.mint(t)
}

func TestPeriods(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		p     oidc.Periods
		wrong int
	}{
		"the defaults":           {oidc.Periods{}, 0},
		"never":                  {oidc.Periods{RotateEvery: -1}, 0},
		"the shortest":           {oidc.Periods{RotateEvery: time.Hour, Overlap: time.Hour, Ahead: time.Second}, 0},
		"each of them too short": {oidc.Periods{RotateEvery: time.Minute, Overlap: time.Minute, Ahead: -1}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var problems fault.Problems
			if err := tt.p.Check(); err != nil && !errors.As(err, &problems) {
				t.Fatal(err)
			}
			if len(problems) != tt.wrong {
				t.Errorf("got %v", problems)
			}
		})
	}
}

// Only an administrator rotates, sets and gets a token; all of it is in the audit log, no token is.
func TestWhoMay(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.connector(t, w.at(), nil)
	ctx := t.Context()
	for action, do := range map[string]func(who audit.Caller) error{
		"oidc.rotate": func(who audit.Caller) error {
			_, err := w.Issuer.Rotate(ctx, who, oidc.Rotation{})
			return err
		},
		"oidc.set": func(who audit.Caller) error {
			_, err := w.Issuer.Configure(ctx, who, oidc.Settings{})
			return err
		},
		"oidc.token": func(who audit.Caller) error {
			_, err := w.Issuer.MintFor(ctx, who, w.at(), "aws", "")
			return err
		},
	} {
		for _, r := range []audit.Role{audit.Viewer, audit.Editor} {
			if err := do(w.caller(r)); fault.KindOf(err) != fault.Denied {
				t.Errorf("%s as %s: %v", action, r, err)
			}
		}
		if err := do(w.admin()); err != nil {
			t.Errorf("%s: %v", action, err)
		}
		entries, err := w.Trail.Entries(ctx, w.admin(), audit.Filter{Scope: w.at(), Action: action})
		if err != nil || len(entries) != 3 {
			t.Errorf("%s is in the log %d times, %v", action, len(entries), err)
		}
	}
	for what, do := range map[string]func(who audit.Caller) error{
		"the issuer":       func(who audit.Caller) error { _, err := w.Issuer.View(ctx, who); return err },
		"the trust policy": func(who audit.Caller) error { _, err := w.Issuer.TrustPolicy(ctx, who, w.at(), "aws"); return err },
		"the trust policy of a draft": func(who audit.Caller) error {
			_, err := w.Issuer.TrustFor(ctx, who, connector.Connector{Scope: w.at(), ID: "draft", Credential: connector.OIDC{RoleARN: role}})
			return err
		},
	} {
		if err := do(w.caller(audit.Viewer)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if err := do(audit.Caller{Account: w.Account, Name: "nobody"}); fault.KindOf(err) != fault.Denied {
			t.Errorf("%s for nobody: %v", what, err)
		}
	}
}
