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
	"strings"
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
}

type store interface {
	SaveKey(ctx context.Context, k Key) error
	Key(ctx context.Context, account, id string) (Key, error)
	Keys(ctx context.Context, account string) ([]Key, error)
	RevokeKey(ctx context.Context, account, id string, at time.Time) error
}

// Service makes, checks and revokes keys.
type Service struct {
	Store store
	Audit *audit.Trail
	Log   *slog.Logger
	Now   func() time.Time
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
	refused := &fault.Error{Kind: ErrUnauthenticated, Message: "the API key is unknown, revoked or expired; send a valid one in the header x-api-key"}
	const most = 512
	parts := strings.Split(token, ".")
	if len(token) > most || len(parts) != 4 || parts[0] != "pat" {
		return audit.Caller{}, refused
	}
	account, id, sum := parts[1], parts[2], hash(parts[3])
	k, err := s.Store.Key(ctx, account, id)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		k = Key{Hash: hash("")} // compared all the same, so that a wrong id takes as long as a wrong secret
	case err != nil:
		return audit.Caller{}, fault.Because(fault.Unavailable, err, "the keys cannot be read; try again")
	}
	good := subtle.ConstantTimeCompare([]byte(k.Hash), []byte(sum)) == 1
	now := s.Now()
	if !good || k.ID == "" || !k.RevokedAt.IsZero() || !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) {
		return audit.Caller{}, refused
	}
	return audit.Caller{Account: k.Account, ID: k.ID, Name: k.Name, Grants: k.Grants}, nil
}

// Keys lists the account's keys, without their secrets.
func (s *Service) Keys(ctx context.Context, who audit.Caller) ([]Key, error) {
	if err := s.Audit.Allow(ctx, who, audit.KeyRead, scope.Scope{Account: who.Account}, "api-key"); err != nil {
		return nil, err
	}
	return s.Store.Keys(ctx, who.Account)
}

// Revoke ends a key at once. A revoked key stays in the list.
func (s *Service) Revoke(ctx context.Context, who audit.Caller, id string) error {
	if err := s.Audit.Allow(ctx, who, audit.KeyRevoke, scope.Scope{Account: who.Account}, "api-key/"+id); err != nil {
		return err
	}
	return s.Store.RevokeKey(ctx, who.Account, id, s.Now().UTC())
}

func hash(plain string) string {
	sum := sha256.Sum256([]byte(plain))
	return hex.EncodeToString(sum[:])
}
