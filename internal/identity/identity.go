// Package identity knows who calls: API keys, their roles, and how often they may.
//
// A key is shown once, as pat.<account>.<id>.<secret>; only a hash of its secret is kept. The secret has 256 random
// bits, so one round of SHA-256 is enough: there is nothing to guess.
package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

// Key is an API key as it is kept.
type Key struct {
	ID        string
	Account   string
	Name      string
	Hash      string // hex SHA-256 of the secret part
	Grants    []audit.Grant
	CreatedBy string
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
	RevokedAt time.Time // zero: not revoked
	// LastUsedAt is when it was used, as it was last written down: at most usedEvery too early. Zero: never.
	LastUsedAt time.Time
	// Elsewhere is how many roles KeysIn left out of Grants, because its caller may not see them.
	Elsewhere int
}

// Good reports whether the key opens anything at a moment.
func (k Key) Good(now time.Time) bool {
	return k.RevokedAt.IsZero() && (k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt))
}

type store interface {
	SaveKey(ctx context.Context, k Key) error
	Key(ctx context.Context, account, id string) (Key, error)
	Keys(ctx context.Context, account string) ([]Key, error)
	// KeysIn lists a page, newest first, and counts all pages.
	KeysIn(ctx context.Context, f Filter) ([]Key, int, error)
	// UseKey keeps when a key was used.
	UseKey(ctx context.Context, account, id string, at time.Time) error
	RevokeKey(ctx context.Context, account, id string, at time.Time) error
}

// Service makes, checks and revokes keys.
type Service struct {
	Store store
	Audit *audit.Trail
	Log   *slog.Logger
	Now   func() time.Time

	mu   sync.Mutex
	used map[string]time.Time // by account and id: when the use of a key was written down
}

// ErrUnauthenticated says that a token is none of ours, revoked or expired. Which of these it was is not told to the
// one who shows it.
const ErrUnauthenticated fault.Kind = "unauthenticated"

// Create makes a key. The caller must be an administrator wherever the key gets a role.
func (s *Service) Create(ctx context.Context, who audit.Caller, name string, grants []audit.Grant, expires time.Time) (Key, secret.Value, error) {
	var problems fault.Problems
	if p := scope.CheckName(name); p != "" {
		problems.Add("name", p)
	}
	if len(grants) == 0 {
		problems.Add("role", "is required: viewer, editor or admin")
	}
	if !expires.IsZero() && !expires.After(s.Now()) {
		problems.Add("expires", "lies in the past")
	}
	if err := problems.Err(); err != nil {
		return Key{}, secret.Value{}, err
	}
	for _, g := range grants {
		if err := s.Audit.AllowWith(ctx, who, audit.KeyCreate, g.Scope, "api-key/"+name, string(g.Role)+" at "+g.Scope.String()); err != nil {
			return Key{}, secret.Value{}, err
		}
	}
	return s.mint(ctx, who.Account, who.Name, name, grants, expires)
}

// Bootstrap makes the first administrator's key of a new account; nobody is there yet who could ask for it.
func (s *Service) Bootstrap(ctx context.Context, account, name string) (Key, secret.Value, error) {
	grants := []audit.Grant{{Scope: scope.Scope{Account: account}, Role: audit.Admin}}
	return s.mint(ctx, account, "belay", name, grants, time.Time{})
}

func (s *Service) mint(ctx context.Context, account, by, name string, grants []audit.Grant, expires time.Time) (Key, secret.Value, error) {
	random := make([]byte, sha256.Size)
	_, _ = rand.Read(random) // never fails, see crypto/rand
	plain := base64.RawURLEncoding.EncodeToString(random)
	k := Key{
		ID: strings.ToLower(rand.Text()), Account: account, Name: name, Hash: hash(plain), Grants: grants,
		CreatedBy: by, CreatedAt: s.Now().UTC(), ExpiresAt: expires,
	}
	if err := s.Store.SaveKey(ctx, k); err != nil {
		return Key{}, secret.Value{}, err
	}
	return k, secret.NewValue(strings.Join([]string{"pat", account, k.ID, plain}, ".")), nil
}

// Authenticate finds the caller behind a token. It fails with ErrUnauthenticated when the token is not good, whatever
// the reason, and takes the same time for each.
func (s *Service) Authenticate(ctx context.Context, token string) (audit.Caller, error) {
	k, standing, err := s.look(ctx, token)
	switch {
	case err != nil:
		return audit.Caller{}, err
	case standing != Valid:
		return audit.Caller{}, &fault.Error{Kind: ErrUnauthenticated, Message: "the API key is unknown, revoked or expired; send a valid one in the header x-api-key"}
	}
	s.note(ctx, k)
	return audit.Caller{Account: k.Account, ID: k.ID, Name: k.Name, Grants: k.Grants}, nil
}

// Standing is what a token is worth.
type Standing string

// The standings. Only whoever shows the whole of a key hears that it was revoked or has expired.
const (
	Stranger Standing = "unknown"
	Valid    Standing = "valid"
	Revoked  Standing = "revoked"
	Expired  Standing = "expired"
)

// Standing says what a token is worth. It takes the same time for every answer.
func (s *Service) Standing(ctx context.Context, token string) (Standing, error) {
	_, standing, err := s.look(ctx, token)
	return standing, err
}

func (s *Service) look(ctx context.Context, token string) (Key, Standing, error) {
	const most = 512
	parts := strings.Split(token, ".")
	if len(token) > most || len(parts) != 4 || parts[0] != "pat" {
		return Key{}, Stranger, nil
	}
	account, id, sum := parts[1], parts[2], hash(parts[3])
	k, err := s.Store.Key(ctx, account, id)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		k = Key{Hash: hash("")} // compared all the same, so that a wrong id takes as long as a wrong secret
	case err != nil:
		return Key{}, "", fault.Because(fault.Unavailable, err, "the keys cannot be read; try again")
	}
	same := subtle.ConstantTimeCompare([]byte(k.Hash), []byte(sum)) == 1
	switch {
	case !same || k.ID == "":
		return Key{}, Stranger, nil
	case !k.RevokedAt.IsZero():
		return k, Revoked, nil
	case !k.Good(s.Now()):
		return k, Expired, nil
	}
	return k, Valid, nil
}

// usedEvery is how often the use of one key is written down, so that a key that calls all the time costs no writing.
const usedEvery = 5 * time.Minute

// note writes down that a key is used. A use is not refused because that failed.
func (s *Service) note(ctx context.Context, k Key) {
	now, name := s.Now().UTC(), k.Account+"/"+k.ID
	s.mu.Lock()
	if s.used == nil {
		s.used = map[string]time.Time{}
	}
	last, known := s.used[name]
	if !known {
		last = k.LastUsedAt
	}
	due := now.Sub(last) >= usedEvery
	if due {
		s.used[name] = now
	}
	s.mu.Unlock()
	if !due {
		return
	}
	if err := s.Store.UseKey(ctx, k.Account, k.ID, now); err != nil && ctx.Err() == nil {
		s.Log.WarnContext(ctx, "use of an api key not written down", slog.String("key", k.ID), slog.Any("error", err))
	}
}

// Keys lists the account's keys, without their secrets.
func (s *Service) Keys(ctx context.Context, who audit.Caller) ([]Key, error) {
	if err := s.Audit.Allow(ctx, who, audit.KeyRead, scope.Scope{Account: who.Account}, "api-key"); err != nil {
		return nil, err
	}
	return s.Store.Keys(ctx, who.Account)
}

// Filter narrows a listing of keys.
type Filter struct {
	Scope scope.Scope // with a role in it or inside it
	// GoodAt leaves out keys that were revoked, or have expired by then; zero leaves out none.
	GoodAt time.Time
	Offset int
	Limit  int
}

// KeysIn lists a page of the keys that have a role in a scope or inside it, newest first, and counts all pages. Unlike
// Keys it is for the administrators of narrower scopes, too: roles that a key has where the caller may not see keys are
// counted and not named.
func (s *Service) KeysIn(ctx context.Context, who audit.Caller, f Filter) ([]Key, int, error) {
	if err := s.Audit.Allow(ctx, who, audit.KeyRead, f.Scope, "api-key"); err != nil {
		return nil, 0, err
	}
	list, total, err := s.Store.KeysIn(ctx, f)
	for i := range list {
		k := &list[i]
		all := len(k.Grants)
		k.Grants = slices.DeleteFunc(k.Grants, func(g audit.Grant) bool { return !who.May(audit.KeyRead, g.Scope) })
		k.Elsewhere = all - len(k.Grants)
	}
	return list, total, err
}

// Key reads one. The caller must be an administrator wherever the key has a role.
func (s *Service) Key(ctx context.Context, who audit.Caller, id string) (Key, error) {
	return s.governed(ctx, who, audit.KeyRead, id)
}

// Revoke ends a key at once. A revoked key stays in the list. The caller must be an administrator wherever it has a role.
func (s *Service) Revoke(ctx context.Context, who audit.Caller, id string) error {
	if _, err := s.governed(ctx, who, audit.KeyRevoke, id); err != nil {
		return err
	}
	return s.Store.RevokeKey(ctx, who.Account, id, s.Now().UTC())
}

// governed is a key for whoever may do an action wherever it has a role. Who may not is answered as if there were no such key:
// in the words of the account, which name none of the places where it has a role.
func (s *Service) governed(ctx context.Context, who audit.Caller, a audit.Action, id string) (Key, error) {
	k, missing := s.Store.Key(ctx, who.Account, id)
	if missing != nil && fault.KindOf(missing) != fault.NotFound {
		return Key{}, missing
	}
	places := []scope.Scope{{Account: who.Account}}
	elsewhere := func(g audit.Grant) bool { return !who.May(a, g.Scope) }
	if !who.May(a, places[0]) && len(k.Grants) > 0 && !slices.ContainsFunc(k.Grants, elsewhere) {
		places = nil
		for _, g := range k.Grants {
			places = append(places, g.Scope)
		}
	}
	for _, at := range places {
		if err := s.Audit.Allow(ctx, who, a, at, "api-key/"+id); err != nil {
			return Key{}, err
		}
	}
	return k, missing
}

func hash(plain string) string {
	sum := sha256.Sum256([]byte(plain))
	return hex.EncodeToString(sum[:])
}
