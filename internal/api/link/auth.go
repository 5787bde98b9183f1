package link

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/scope"
)

const (
	leeway      = 60 * time.Second       // by how much a delegate's clock may be off
	recheck     = 10 * time.Second       // how old the knowledge that a token is active may be
	keysFresh   = 5 * time.Second        // how long an account's opened keys are kept
	keysAtLeast = 100 * time.Millisecond // a proof that no key opens makes the keys be read again, but not more often
	maxProof    = 4 << 10                // bytes of an Authorization header
	maxPasses   = 1 << 16                // proofs that are remembered; 10,000 delegates have two each at most
	shrinkEvery = 5 * time.Minute
)

// gate remembers who proved what. A proof that was opened once is known again by its SHA-256 until it ends, so that the
// trial over the account's tokens (a proof does not say which it was made with) is done once in ten minutes a delegate.
//
// A pass points at its token's credential, and that at whether the token has ended: a revocation needs no search.
// With several managers, one that was not told of a revocation learns of it within recheck, by the token's row.
type gate struct {
	mu          sync.Mutex
	passes      map[[sha256.Size]byte]pass
	credentials map[string]*credential // by token id
	revoked     map[string]struct{}    // token ids: a trial that began before the end must not let one in after it
	keys        map[string]keyset      // by account
	shrunk      time.Time              // when passes that are over were dropped last
	loading     sync.Mutex             // one reader of keys at a time
}

type pass struct {
	*credential
	until time.Time
}

type keyset struct {
	keys []delegate.ActiveKey
	read time.Time
}

// credential is a token that delegates have proved.
type credential struct {
	token   delegate.Token
	ended   chan struct{} // closed when the token is revoked
	checked atomic.Int64  // when its row was read last, Unix nanoseconds
}

func (c *credential) over() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

func unauthorized(format string, args ...any) error {
	return refuse(http.StatusUnauthorized, format, args...)
}

func errRevoked(t delegate.Token) error {
	return unauthorized("the delegate token %q was revoked; install the delegate again with a token that is active", t.Name)
}

// authenticate finds the token that a header was made with.
func (s *Server) authenticate(ctx context.Context, account, header string) (*credential, error) {
	c, how, err := s.admit(ctx, account, header)
	if err == nil {
		err = s.stillActive(ctx, c)
	}
	if err != nil {
		how = proofRefused
	}
	s.metrics.proofs.WithLabelValues(how).Inc()
	return c, err
}

func (s *Server) admit(ctx context.Context, account, header string) (_ *credential, how string, _ error) {
	if len(header) < len(protocol.AuthScheme) || !strings.EqualFold(header[:len(protocol.AuthScheme)], protocol.AuthScheme) {
		return nil, "", unauthorized("the header Authorization must be \"Delegate\" and a token made with the delegate token of the account")
	}
	if len(header) > maxProof {
		return nil, "", unauthorized("the header Authorization is longer than %d bytes", maxProof)
	}
	sum, now := sha256.Sum256([]byte(header)), s.Now()
	if p, ok := s.gate.pass(sum); ok && p.token.Scope.Account == account && now.Before(p.until) {
		if p.over() {
			return nil, "", errRevoked(p.token)
		}
		return p.credential, proofKnown, nil
	}
	proof, err := jose.ParseEncryptedCompact(strings.TrimSpace(header[len(protocol.AuthScheme):]),
		[]jose.KeyAlgorithm{jose.DIRECT}, []jose.ContentEncryption{jose.A128GCM})
	if err != nil {
		return nil, "", unauthorized("the delegate's proof of identity is not a compact JWE with alg dir and enc A128GCM")
	}
	token, claims, err := s.open(ctx, account, proof)
	if err != nil {
		return nil, "", err
	}
	until, err := check(claims, account, now)
	if err != nil {
		return nil, "", err
	}
	c, err := s.gate.admit(sum, token, until, now)
	return c, proofOpened, err
}

// open tries the account's active tokens. Each try is a GCM tag, compared in constant time.
func (s *Server) open(ctx context.Context, account string, proof *jose.JSONWebEncryption) (delegate.Token, []byte, error) {
	for _, age := range []time.Duration{keysFresh, keysAtLeast} {
		set, err := s.activeKeys(ctx, account, age)
		if err != nil {
			return delegate.Token{}, nil, err
		}
		for _, k := range set.keys {
			if claims, err := proof.Decrypt(k.Key); err == nil {
				return k.Token, claims, nil
			}
		}
		if s.Now().Sub(set.read) < keysAtLeast {
			break
		}
	}
	return delegate.Token{}, nil, unauthorized(
		"no active delegate token of account %q made this proof of identity: the account id or the token is wrong, or the token was revoked", clean(account, 100),
	)
}

// activeKeys are the opened tokens of an account, read no longer than age ago. The answer for an account without any is
// not kept, since anybody can ask for any account.
func (s *Server) activeKeys(ctx context.Context, account string, age time.Duration) (keyset, error) {
	if found, ok := s.gate.keyset(account, s.Now().Add(-age)); ok {
		return found, nil
	}
	s.gate.loading.Lock()
	defer s.gate.loading.Unlock()
	if found, ok := s.gate.keyset(account, s.Now().Add(-age)); ok {
		return found, nil
	}
	if ctx.Err() != nil {
		return keyset{}, errHungUp
	}
	read := s.Now()
	keys, err := s.Tokens.ActiveKeys(ctx, account)
	if err != nil {
		return keyset{}, fault.Because(fault.Unavailable, err, "the account's delegate tokens cannot be read now")
	}
	set := keyset{keys, read}
	if len(keys) > 0 {
		s.gate.keep(account, set)
	}
	return set, nil
}

// check judges what a proof says, and gives the time until which it may be believed again.
func check(text []byte, account string, now time.Time) (until time.Time, _ error) {
	var claims struct {
		Expires json.Number `json:"exp"`
		Issued  json.Number `json:"iat"`
		Subject string      `json:"sub"`
	}
	if json.Unmarshal(text, &claims) != nil {
		return time.Time{}, unauthorized("the delegate's proof of identity holds no claims in JSON with sub, iat and exp")
	}
	exp, expErr := claims.Expires.Float64() // seconds, which some clients write with a fraction
	iat, iatErr := claims.Issued.Float64()
	const most = 1 << 40
	switch {
	case claims.Subject != account:
		return time.Time{}, unauthorized("the delegate's proof of identity was made for another account than %q; check ACCOUNT_ID", clean(account, 100))
	case expErr != nil || exp <= 0 || exp > most:
		return time.Time{}, unauthorized("the delegate's proof of identity has no end (exp)")
	case claims.Issued != "" && (iatErr != nil || iat < 0 || iat > most):
		return time.Time{}, unauthorized("the delegate's proof of identity has no time (iat)")
	}
	ends, made := time.Unix(int64(exp), 0), time.Unix(int64(iat), 0)
	const clock = "2006-01-02 15:04:05 UTC"
	switch {
	case now.After(ends.Add(leeway)):
		return time.Time{}, unauthorized("the delegate's proof of identity ended at %s, and the manager's clock says %s. "+
			"The delegate's clock said %s when it made the proof: if that was now, its clock is %s behind; set it by NTP",
			ends.UTC().Format(clock), now.UTC().Format(clock), made.UTC().Format(clock), now.Sub(made).Round(time.Second))
	case claims.Issued != "" && made.After(now.Add(leeway)):
		return time.Time{}, unauthorized("the delegate's clock is %s ahead of the manager's: it made its proof of identity at %s, and the manager's clock says %s; set it by NTP",
			made.Sub(now).Round(time.Second), made.UTC().Format(clock), now.UTC().Format(clock))
	}
	return ends, nil
}

// stillActive reads the token's row again when that was not done lately. While the database does not answer, what was
// known stays true: a slow database must not cut delegates off.
func (s *Server) stillActive(ctx context.Context, c *credential) error {
	now, last := s.Now().UnixNano(), c.checked.Load()
	if now-last < int64(recheck) || !c.checked.CompareAndSwap(last, now) {
		return nil
	}
	active, err := s.Tokens.StillActive(ctx, c.token.Scope.Account, c.token.ID)
	if err != nil {
		if ctx.Err() != nil {
			c.checked.Store(last) // the next call reads it
		} else {
			s.Log.WarnContext(ctx, "delegate token not checked again", slog.String("token", c.token.Name), slog.Any("error", err))
		}
		return nil
	}
	if !active {
		s.Revoke(c.token) //nolint:contextcheck // it must be done whether or not this caller waits
		return errRevoked(c.token)
	}
	return nil
}

// Revoke cuts the delegates of a token off at once: what they proved is forgotten, their parked polls end, they count as
// silent, and the tasks that they hold are offered again or fail. delegate.Tokens calls it by its field Revoked.
func (s *Server) Revoke(token delegate.Token) {
	s.gate.revoke(token)
	ids := s.Delegates.CutOff(token.ID)
	s.Log.Info("delegate token revoked", slog.String("token", token.Name), slog.String("account", token.Scope.Account), slog.Int("delegates", len(ids)))
	// A lease that is not let go in this time ends by itself after task.LeaseFor.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, id := range ids {
		s.visits.forget(id)
		if err := s.Queue.DelegateGone(ctx, id); err != nil {
			s.Log.ErrorContext(ctx, "tasks of a revoked delegate not let go; their leases end by themselves",
				slog.String("delegate", string(id)), slog.Any("error", err))
			if ctx.Err() != nil {
				return
			}
		}
	}
}

// Deleted cuts the delegates of a scope that was deleted off at once, and forgets them: they must not appear in the next
// organization or project of that name. org.Service calls it by its field Deleted.
func (s *Server) Deleted(at scope.Scope) {
	for _, token := range s.gate.inside(at) {
		s.Revoke(token)
	}
	s.Delegates.Drop(at)
}

// inside are the tokens of a scope and of all inside it that a delegate may still prove.
func (g *gate) inside(at scope.Scope) []delegate.Token {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []delegate.Token
	for _, c := range g.credentials {
		if at.Contains(c.token.Scope) {
			out = append(out, c.token)
		}
	}
	for _, k := range g.keys[at.Account].keys {
		if _, known := g.credentials[k.Token.ID]; !known && at.Contains(k.Token.Scope) {
			out = append(out, k.Token)
		}
	}
	return out
}

func (g *gate) pass(sum [sha256.Size]byte) (pass, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p, ok := g.passes[sum]
	return p, ok
}

// admit remembers a proof that was opened, unless its token ended meanwhile.
func (g *gate) admit(sum [sha256.Size]byte, token delegate.Token, until, now time.Time) (*credential, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.revoked[token.ID]; ok {
		return nil, errRevoked(token)
	}
	c, ok := g.credentials[token.ID]
	if !ok {
		c = &credential{token: token, ended: make(chan struct{})}
		c.checked.Store(now.UnixNano())
		if g.credentials == nil {
			g.credentials = map[string]*credential{}
		}
		g.credentials[token.ID] = c
	}
	if g.passes == nil {
		g.passes = map[[sha256.Size]byte]pass{}
	}
	if len(g.passes) >= maxPasses || now.Sub(g.shrunk) > shrinkEvery {
		g.shrinkLocked(now)
		g.shrunk = now
	}
	g.passes[sum] = pass{c, until}
	return c, nil
}

// shrinkLocked drops passes that are over, and an eighth of the others, by chance, when all are good.
func (g *gate) shrinkLocked(now time.Time) {
	for sum, p := range g.passes {
		if p.over() || !now.Before(p.until) {
			delete(g.passes, sum)
		}
	}
	if len(g.passes) < maxPasses {
		return
	}
	for sum := range g.passes {
		if len(g.passes) < maxPasses-maxPasses/8 {
			return
		}
		delete(g.passes, sum)
	}
}

func (g *gate) keyset(account string, since time.Time) (keyset, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	k, ok := g.keys[account]
	return k, ok && k.read.After(since)
}

func (g *gate) keep(account string, k keyset) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.keys == nil {
		g.keys = map[string]keyset{}
	}
	g.keys[account] = k
}

func (g *gate) revoke(token delegate.Token) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.keys, token.Scope.Account)
	if g.revoked == nil {
		g.revoked = map[string]struct{}{}
	}
	g.revoked[token.ID] = struct{}{}
	if c, ok := g.credentials[token.ID]; ok {
		delete(g.credentials, token.ID)
		close(c.ended)
	}
	for sum, p := range g.passes {
		if p.token.ID == token.ID {
			delete(g.passes, sum)
		}
	}
}
