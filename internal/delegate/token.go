package delegate

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

// TokenBytes is the length of a token: a key for AES-128.
const TokenBytes = 16

// DefaultToken is the name of the token that an account starts with.
const DefaultToken = "default_token"

// revokeGrace is how long after a token's end the manager ends it: clients may set an end that has passed already and
// expect the token to work for the first minutes.
const revokeGrace = 10 * time.Minute

// Token is what a delegate proves itself with. Its value is sealed, not hashed: it is the key of the delegate's own
// encrypted claims, and whoever installs a delegate must be able to read it.
type Token struct {
	ID          string
	Scope       scope.Scope
	Name        string
	Sealed      string
	CreatedBy   string
	CreatedAt   time.Time
	RevokeAfter time.Time // zero: never
	RevokedAt   time.Time // zero: active
}

// Active reports whether delegates may use the token.
func (t Token) Active() bool { return t.RevokedAt.IsZero() }

// ParseToken reads a token value as a manifest holds it: 32 hex digits, or base64 of them.
func ParseToken(v secret.Value) ([]byte, error) {
	text := strings.TrimSpace(v.Reveal()) //nolint:forbidigo // a token is a key, and this makes the key of it
	if key, err := hex.DecodeString(text); err == nil && len(key) == TokenBytes {
		return key, nil
	}
	if decoded, err := base64.StdEncoding.DecodeString(text); err == nil {
		if key, err := hex.DecodeString(strings.TrimSpace(string(decoded))); err == nil && len(key) == TokenBytes {
			return key, nil
		}
	}
	return nil, fmt.Errorf("the delegate token is neither %d hex digits nor base64 of them", 2*TokenBytes)
}

type tokenStore interface {
	CreateToken(ctx context.Context, t Token) error // Conflict when the name is taken in its scope, revoked or not
	Token(ctx context.Context, at scope.Scope, name string) (Token, error)
	TokenByID(ctx context.Context, account, id string) (Token, error)
	Tokens(ctx context.Context, at scope.Scope) ([]Token, error)
	ActiveTokens(ctx context.Context, account string) ([]Token, error)
	RevokeToken(ctx context.Context, at scope.Scope, name string, when time.Time) error
	DeleteToken(ctx context.Context, at scope.Scope, name string) error
	TokensToRevoke(ctx context.Context, before time.Time) ([]Token, error)
}

type scopes interface {
	Exists(ctx context.Context, at scope.Scope) error
}

// Tokens makes, shows and revokes delegate tokens.
type Tokens struct {
	Store   tokenStore
	Scopes  scopes
	Keyring *secret.Keyring
	Audit   *audit.Trail
	Log     *slog.Logger
	Now     func() time.Time
	// Revoked is told of each token that ends, so that its delegates are cut off at once.
	Revoked func(Token)
}

// Create makes a token.
func (s *Tokens) Create(ctx context.Context, who audit.Caller, at scope.Scope, name string, revokeAfter time.Time) (Token, secret.Value, error) {
	if err := s.Audit.Allow(ctx, who, audit.DelegateTokenCreate, at, "delegate-token/"+name); err != nil {
		return Token{}, secret.Value{}, err
	}
	if p := scope.CheckName(name); p != "" {
		return Token{}, secret.Value{}, fault.Problems{{Path: "tokenName", Message: p}}
	}
	if err := s.Scopes.Exists(ctx, at); err != nil {
		return Token{}, secret.Value{}, err
	}
	return s.mint(ctx, at, name, who.Name, revokeAfter)
}

// Bootstrap makes the token that a new account starts with.
func (s *Tokens) Bootstrap(ctx context.Context, account string) (Token, secret.Value, error) {
	return s.mint(ctx, scope.Scope{Account: account}, DefaultToken, "belay", time.Time{})
}

func (s *Tokens) mint(ctx context.Context, at scope.Scope, name, by string, revokeAfter time.Time) (Token, secret.Value, error) {
	key := make([]byte, TokenBytes)
	_, _ = rand.Read(key) // never fails, see crypto/rand
	value := secret.NewValue(hex.EncodeToString(key))
	t := Token{ID: "tok_" + strings.ToLower(rand.Text()), Scope: at, Name: name, CreatedBy: by, CreatedAt: s.Now().UTC(), RevokeAfter: revokeAfter}
	sealed, err := s.Keyring.Seal(value, tokenLabel(t))
	if err != nil {
		return Token{}, secret.Value{}, err
	}
	t.Sealed = sealed
	return t, value, s.Store.CreateToken(ctx, t)
}

// Token reads one by name, revoked ones too.
func (s *Tokens) Token(ctx context.Context, who audit.Caller, at scope.Scope, name string) (Token, error) {
	if err := s.Audit.Allow(ctx, who, audit.DelegateTokenRead, at, "delegate-token/"+name); err != nil {
		return Token{}, err
	}
	return s.Store.Token(ctx, at, name)
}

// Tokens lists those of a scope, revoked ones too.
func (s *Tokens) Tokens(ctx context.Context, who audit.Caller, at scope.Scope) ([]Token, error) {
	if err := s.Audit.Allow(ctx, who, audit.DelegateTokenRead, at, "delegate-token"); err != nil {
		return nil, err
	}
	return s.Store.Tokens(ctx, at)
}

// Reveal gives a token's value to an administrator who is about to install a delegate; it is audited.
func (s *Tokens) Reveal(ctx context.Context, who audit.Caller, t Token) (secret.Value, error) {
	if err := s.Audit.Allow(ctx, who, audit.DelegateTokenReveal, t.Scope, "delegate-token/"+t.Name); err != nil {
		return secret.Value{}, err
	}
	return s.open(t)
}

// Revoke ends a token and cuts its delegates off at once. The name stays taken.
func (s *Tokens) Revoke(ctx context.Context, who audit.Caller, at scope.Scope, name string) (Token, error) {
	if err := s.Audit.Allow(ctx, who, audit.DelegateTokenRevoke, at, "delegate-token/"+name); err != nil {
		return Token{}, err
	}
	if err := s.Store.RevokeToken(ctx, at, name, s.Now().UTC()); err != nil {
		return Token{}, err
	}
	t, err := s.Store.Token(ctx, at, name)
	if err == nil && s.Revoked != nil {
		s.Revoked(t)
	}
	return t, err
}

// Delete removes a token that was revoked before.
func (s *Tokens) Delete(ctx context.Context, who audit.Caller, at scope.Scope, name string) error {
	if err := s.Audit.Allow(ctx, who, audit.DelegateTokenDelete, at, "delegate-token/"+name); err != nil {
		return err
	}
	t, err := s.Store.Token(ctx, at, name)
	if err != nil {
		return err
	}
	if t.Active() {
		return fault.New(fault.Invalid, "delegate token %q is active; revoke it first, which cuts its delegates off", name)
	}
	return s.Store.DeleteToken(ctx, at, name)
}

// ActiveKey is an active token with its key, for the one who checks delegates' claims.
type ActiveKey struct {
	Token Token
	Key   []byte
}

// ActiveKeys opens every active token of an account. A token that the master key does not open is left out and logged.
func (s *Tokens) ActiveKeys(ctx context.Context, account string) ([]ActiveKey, error) {
	tokens, err := s.Store.ActiveTokens(ctx, account)
	if err != nil {
		return nil, err
	}
	keys := make([]ActiveKey, 0, len(tokens))
	for _, t := range tokens {
		value, err := s.open(t)
		if err != nil {
			s.Log.ErrorContext(ctx, "delegate token cannot be opened", slog.String("token", t.Name), slog.Any("error", err))
			continue
		}
		key, err := ParseToken(value)
		if err != nil {
			s.Log.ErrorContext(ctx, "delegate token is damaged", slog.String("token", t.Name), slog.Any("error", err))
			continue
		}
		keys = append(keys, ActiveKey{t, key})
	}
	return keys, nil
}

// StillActive reports whether a token may be used, by its row.
func (s *Tokens) StillActive(ctx context.Context, account, id string) (bool, error) {
	t, err := s.Store.TokenByID(ctx, account, id)
	if fault.KindOf(err) == fault.NotFound {
		return false, nil
	}
	return err == nil && t.Active(), err
}

// Expire revokes the tokens whose end has come. The manager calls it every minute.
func (s *Tokens) Expire(ctx context.Context) error {
	now := s.Now()
	due, err := s.Store.TokensToRevoke(ctx, now.Add(-revokeGrace))
	if err != nil {
		return err
	}
	for _, t := range due {
		if now.Sub(t.CreatedAt) < revokeGrace {
			continue
		}
		if _, err := s.Revoke(ctx, audit.System(t.Scope.Account, "token expiry"), t.Scope, t.Name); err != nil {
			return err
		}
	}
	return nil
}

func (s *Tokens) open(t Token) (secret.Value, error) {
	value, err := s.Keyring.Open(t.Sealed, tokenLabel(t))
	if err != nil {
		return secret.Value{}, fault.Because(fault.Unavailable, err, "delegate token %q cannot be opened with the present master key", t.Name)
	}
	return value, nil
}

func tokenLabel(t Token) string { return "delegate-token/" + t.Scope.Account + "/" + t.ID }
