// Package oidc is Belay's OpenID Connect issuer: AWS trusts it, so that a connector needs no key at all. Each account has
// an issuer of its own, at /ng/api/oidc/account/<ACCOUNT_ID> below the manager's public address. It serves two public
// documents, discovery and the key set, and signs short-lived tokens that name a connector and what it is used for. AWS
// exchanges a token for a session of the role that trusts the issuer (sts:AssumeRoleWithWebIdentity).
//
// # Keys
//
// A key is a row. Its state is not kept: it follows from the rows and the time, so that managers which share a database
// agree without talking to each other.
//
//	       made, one rotation ahead            signsFrom                    successor's signsFrom + overlap
//	───────────────► next ───────────────────────► active ──────► retiring ──────────────► gone
//	                  │ published, does not sign     │ signs        │ published, no longer    deleted
//	                  │                              │              │ signs
//	                  └─ Rotate: signsFrom = now ────┘              └─ Rotate with Revoke: all are gone at once, and
//	                                                                   a new key is active
//
// The newest key whose time has come is active; those before it retire, the one behind it is next. Whoever is first inserts
// a generation and the others find it taken, so two managers never make two successors. Every key that signs was in the key
// set for a whole rotation before, except an account's first: whoever caches the key set, or hosts a copy of it, has had the
// time to see it. A key that was made for another algorithm is published Ahead before it signs.
//
// An account's first key is made when it is first needed, by a token or by whoever asks for the key set; an account that
// never uses OIDC has none. Private keys are sealed like secrets (package secret), each for its row.
package oidc

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

// The periods unless others are set.
const (
	DefaultRotateEvery = 90 * 24 * time.Hour
	DefaultOverlap     = 24 * time.Hour
	DefaultAhead       = 24 * time.Hour
)

// The life of a token. MinLifetime lets the manager's clock be some minutes behind AWS's.
const (
	MinLifetime = 10 * time.Minute
	MaxLifetime = time.Hour
)

// Periods are how keys follow one another. Zero fields take the defaults.
type Periods struct {
	// RotateEvery is how long a key signs; below 0 keys follow one another only when Rotate is called.
	RotateEvery time.Duration
	// Overlap is how long a key stays in the key set after it signed for the last time; at least MaxLifetime.
	Overlap time.Duration
	// Ahead is how long a key is in the key set, at least, before it signs.
	Ahead time.Duration
}

// Check reports every period that would break a token that is under way.
func (p Periods) Check() error {
	var problems fault.Problems
	p = p.orDefault()
	if p.RotateEvery >= 0 && p.RotateEvery < MaxLifetime {
		problems.Add("oidc-rotate-every", "is "+p.RotateEvery.String()+"; at least "+MaxLifetime.String()+" is needed, the longest life of a token, or below 0 for never")
	}
	if p.Overlap < MaxLifetime {
		problems.Add("oidc-overlap", "is "+p.Overlap.String()+"; at least "+MaxLifetime.String()+" is needed, the longest life of a token")
	}
	if p.Ahead < 0 {
		problems.Add("oidc-ahead", "is "+p.Ahead.String()+"; it cannot be negative")
	}
	return problems.Err()
}

func (p Periods) orDefault() Periods {
	return Periods{
		RotateEvery: cmp.Or(p.RotateEvery, DefaultRotateEvery), Overlap: cmp.Or(p.Overlap, DefaultOverlap), Ahead: cmp.Or(p.Ahead, DefaultAhead),
	}
}

// Change is what happens to an account's keys in one step: all of it, or nothing.
type Change struct {
	Insert  *Key      // fails with Conflict when its generation is there
	Promote int64     // the generation that signs from At on; fails with Conflict unless it is still to come
	Replace int64     // a generation that is deleted; fails with Conflict unless it is still to come
	Drop    []int64   // generations that are deleted
	At      time.Time // now
}

type store interface {
	// AccountExists fails with NotFound when there is no such account.
	AccountExists(ctx context.Context, account string) error
	// OIDCKeys are an account's keys by generation; all accounts' when account is empty.
	OIDCKeys(ctx context.Context, account string) ([]Key, error)
	ChangeOIDCKeys(ctx context.Context, account string, c Change) error
	// OIDCSettings fails with NotFound when they were never set.
	OIDCSettings(ctx context.Context, account string) (Settings, error)
	SaveOIDCSettings(ctx context.Context, s Settings) error
}

type flags interface {
	On(ctx context.Context, account, flag string) (bool, error)
}

type connectors interface {
	Connector(ctx context.Context, who audit.Caller, at scope.Scope, id string) (connector.Stored, error)
}

// Service is the issuers of all accounts.
type Service struct {
	Store      store
	Flags      flags
	Connectors connectors
	Keyring    *secret.Keyring
	Audit      *audit.Trail
	Metrics    *Metrics // nil: none are kept
	Log        *slog.Logger
	Now        func() time.Time
	// URL is the manager's public address, without a slash at its end.
	URL     func() string
	Periods Periods

	making  sync.Mutex // one key is made at a time: it takes a processor
	mu      sync.Mutex
	signers map[string]jose.Signer // by key id: opening and parsing a key costs more than a signature with ES256
}

// mostSigners bounds the keys that are kept opened.
const mostSigners = 1024

// every is how often Run looks.
const every = time.Minute

// Run makes the keys that come next and deletes those that are gone, until ctx ends. Any number of managers may run it.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := s.Tend(ctx); err != nil && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "signing keys of the oidc issuers not tended", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Tend does once what Run does.
func (s *Service) Tend(ctx context.Context) error {
	all, err := s.Store.OIDCKeys(ctx, "")
	if err != nil {
		return err
	}
	byAccount := map[string][]Key{}
	for _, k := range all {
		byAccount[k.Account] = append(byAccount[k.Account], k)
	}
	var errs []error
	for account, keys := range byAccount {
		errs = append(errs, s.tend(ctx, account, keys))
	}
	return errors.Join(errs...)
}

func (s *Service) tend(ctx context.Context, account string, keys []Key) error {
	now := s.Now().UTC()
	c := Change{At: now}
	for _, p := range s.publish(keys, now) {
		if p.State == Gone {
			c.Drop = append(c.Drop, p.Key.Generation)
		}
	}
	if len(c.Drop) > 0 {
		if err := s.Store.ChangeOIDCKeys(ctx, account, c); err != nil {
			return err
		}
		s.Log.InfoContext(ctx, "retired signing keys deleted", slog.String("account", account), slog.Int("count", len(c.Drop)))
	}
	return s.provide(ctx, account, keys)
}

// provide makes the key that comes after the active one, where there is none.
func (s *Service) provide(ctx context.Context, account string, keys []Key) error {
	now := s.Now().UTC()
	newest := keys[len(keys)-1]
	if active(keys, now).Generation != newest.Generation {
		return nil
	}
	p := s.Periods.orDefault()
	from := newest.SignsFrom.Add(p.RotateEvery)
	if p.RotateEvery < 0 {
		const never = 100 * 365 * 24 * time.Hour
		from = now.Add(never)
	}
	if earliest := now.Add(p.Ahead); from.Before(earliest) {
		from = earliest
	}
	err := s.add(ctx, account, newest.Generation+1, newest.Algorithm, from, Change{At: now})
	if fault.KindOf(err) == fault.Conflict {
		return nil // another manager was quicker
	}
	return err
}

// add makes a key and does the rest of a change with it.
func (s *Service) add(ctx context.Context, account string, generation int64, a Algorithm, from time.Time, c Change) error {
	k, err := newKey(s.Keyring, account, generation, a)
	if err != nil {
		return err
	}
	k.CreatedAt, k.SignsFrom = s.Now().UTC(), from
	c.Insert = &k
	if err := s.Store.ChangeOIDCKeys(ctx, account, c); err != nil {
		return err
	}
	s.Log.InfoContext(ctx, "signing key published", slog.String("account", account), slog.String("key", k.ID), slog.String("algorithm", string(a)), slog.Time("signs_from", from))
	return nil
}

// keys are those of an account, with its first one, which is made here when it is not there yet.
func (s *Service) keys(ctx context.Context, account string) ([]Key, error) {
	keys, err := s.Store.OIDCKeys(ctx, account)
	if err != nil || len(keys) > 0 {
		return keys, err
	}
	if err := s.Store.AccountExists(ctx, account); err != nil {
		return nil, err
	}
	s.making.Lock()
	defer s.making.Unlock()
	if keys, err = s.Store.OIDCKeys(ctx, account); err != nil || len(keys) > 0 {
		return keys, err
	}
	now := s.Now().UTC()
	if err := s.add(ctx, account, 1, RS256, now, Change{At: now}); err != nil && fault.KindOf(err) != fault.Conflict {
		return nil, err
	}
	return s.Store.OIDCKeys(ctx, account)
}

// mostPublished is how many keys a key set may have before another rotation must wait: AWS refuses one with more than 100.
const mostPublished = 20

// Rotation is how keys are changed at once.
type Rotation struct {
	// Algorithm of the new key; empty means as before. Another algorithm takes over after Periods.Ahead.
	Algorithm Algorithm
	// Revoke takes every key there is out of the key set, the next one too, for when they may be known to others, and lets
	// a new one sign at once. What the old ones signed is refused by whoever asks for the key set anew, and what the new one
	// signs by whoever does not.
	Revoke bool
}

// Rotate lets the next key sign from now on and makes its successor.
func (s *Service) Rotate(ctx context.Context, who audit.Caller, r Rotation) (View, error) {
	account := who.Account
	var words []string
	if r.Revoke {
		words = append(words, "revoke")
	}
	if r.Algorithm.known() {
		words = append(words, string(r.Algorithm))
	}
	if err := s.Audit.AllowWith(ctx, who, audit.OIDCRotate, scope.Scope{Account: account}, "oidc", strings.Join(words, ", ")); err != nil {
		return View{}, err
	}
	if r.Algorithm != "" && !r.Algorithm.known() {
		return View{}, fault.Problems{{Path: "algorithm", Message: "is not known; use RS256 or ES256"}}
	}
	keys, err := s.keys(ctx, account)
	if err != nil {
		return View{}, err
	}
	if err := s.rotate(ctx, account, keys, r); fault.KindOf(err) == fault.Conflict {
		return View{}, fault.Because(fault.Conflict, err, "another rotation took place at the same moment; look at the keys before you rotate again")
	} else if err != nil {
		return View{}, err
	}
	if keys, err = s.Store.OIDCKeys(ctx, account); err != nil {
		return View{}, err
	}
	if err := s.provide(ctx, account, keys); err != nil {
		return View{}, err
	}
	return s.view(ctx, account)
}

func (s *Service) rotate(ctx context.Context, account string, keys []Key, r Rotation) error {
	now := s.Now().UTC()
	signs, newest := active(keys, now), keys[len(keys)-1]
	algorithm := cmp.Or(r.Algorithm, newest.Algorithm)
	c := Change{At: now}
	if r.Revoke {
		for _, k := range keys {
			c.Drop = append(c.Drop, k.Generation)
		}
		return s.add(ctx, account, newest.Generation+1, algorithm, now, c)
	}
	if len(keys) >= mostPublished {
		return fault.New(fault.Invalid, "%d keys are published already; wait until the retiring ones are gone, or revoke them", len(keys))
	}
	waits := newest.Generation != signs.Generation
	if waits && newest.Algorithm == algorithm {
		c.Promote = newest.Generation
		return s.Store.ChangeOIDCKeys(ctx, account, c)
	}
	if waits {
		c.Replace = newest.Generation
	}
	// Nobody knows the new key yet, so the active one goes on for a while.
	return s.add(ctx, account, newest.Generation+1, algorithm, now.Add(s.Periods.orDefault().Ahead), c)
}
