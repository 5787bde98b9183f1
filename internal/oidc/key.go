package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/secret"
)

// Algorithm is how a token is signed. AWS takes both.
type Algorithm string

// The algorithms.
const (
	RS256 Algorithm = "RS256" // RSA with 2,048 bits: what everyone verifies
	ES256 Algorithm = "ES256" // ECDSA on P-256: twenty times as fast to sign
)

func (a Algorithm) known() bool { return a == RS256 || a == ES256 }

// Key is a signing key.
type Key struct {
	Account    string
	Generation int64  // from 1 in each account; a gap is a key that never signed
	ID         string // the kid: the key's thumbprint of RFC 7638, in base64url
	Algorithm  Algorithm
	Public     string // a JWK
	Sealed     string // PKCS #8 in base64, sealed
	CreatedAt  time.Time
	SignsFrom  time.Time
}

// State is where a key is in its life.
type State string

// The states.
const (
	Next     State = "next"
	Active   State = "active"
	Retiring State = "retiring"
	Gone     State = "gone" // no longer published; its row is about to be deleted
)

// Published is a key with its state at a moment.
type Published struct {
	Key   Key
	State State
	Until time.Time // when it goes; zero for a key that is active or next
}

// publish gives each key its state. Keys come by generation.
func (s *Service) publish(keys []Key, now time.Time) []Published {
	all := make([]Published, len(keys))
	if len(keys) == 0 {
		return all
	}
	overlap, signs := s.Periods.orDefault().Overlap, active(keys, now).Generation
	for i, k := range keys {
		p := Published{Key: k, State: Next}
		switch {
		case k.Generation == signs:
			p.State = Active
		case k.Generation < signs:
			p.State, p.Until = Retiring, keys[i+1].SignsFrom.Add(overlap)
			if !now.Before(p.Until) {
				p.State = Gone
			}
		}
		all[i] = p
	}
	return all
}

// active is the newest key whose time has come, or the oldest when none has: the clock of another manager may be ahead.
func active(keys []Key, now time.Time) Key {
	signs := keys[0]
	for _, k := range keys {
		if !k.SignsFrom.After(now) {
			signs = k
		}
	}
	return signs
}

const rsaBits = 2048

// newKey makes a key pair and seals its private half. An RSA key takes some tenths of a second.
func newKey(ring *secret.Keyring, account string, generation int64, a Algorithm) (Key, error) {
	var private crypto.Signer
	var err error
	switch a {
	case ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256:
		private, err = rsa.GenerateKey(rand.Reader, rsaBits)
	default:
		err = fmt.Errorf("the algorithm %q is not known", a)
	}
	if err != nil {
		return Key{}, fmt.Errorf("make a signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Key{}, fmt.Errorf("write a signing key: %w", err)
	}
	jwk := jose.JSONWebKey{Key: private.Public(), Algorithm: string(a), Use: "sig"}
	thumbprint, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return Key{}, fmt.Errorf("name a signing key: %w", err)
	}
	jwk.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	public, err := json.Marshal(jwk)
	if err != nil {
		return Key{}, fmt.Errorf("write a public key: %w", err)
	}
	k := Key{Account: account, Generation: generation, ID: jwk.KeyID, Algorithm: a, Public: string(public)}
	k.Sealed, err = ring.Seal(secret.NewValue(base64.StdEncoding.EncodeToString(der)), k.label())
	return k, err
}

// label binds a sealed key to its row.
func (k Key) label() string { return "oidc-key/" + k.Account + "/" + k.ID }

// signer opens a key, or finds it opened.
func (s *Service) signer(k Key) (jose.Signer, error) {
	s.mu.Lock()
	signer, ok := s.signers[k.ID]
	s.mu.Unlock()
	if ok {
		return signer, nil
	}
	signer, err := openKey(s.Keyring, k)
	if err != nil {
		return nil, fault.Because(fault.Unavailable, err, "the signing key %s of the OIDC issuer cannot be opened with the present master key; start the manager with the key that sealed it, or make new signing keys with `belay oidc rotate --revoke`", k.ID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.signers == nil || len(s.signers) >= mostSigners {
		s.signers = map[string]jose.Signer{}
	}
	s.signers[k.ID] = signer
	return signer, nil
}

func openKey(ring *secret.Keyring, k Key) (jose.Signer, error) {
	plain, err := ring.Open(k.Sealed, k.label())
	if err != nil {
		return nil, err
	}
	// The causes below could quote the key.
	der, err := base64.StdEncoding.DecodeString(plain.Reveal()) //nolint:forbidigo // a key, for the signer that is made of it
	if err != nil {
		return nil, errors.New("the signing key is damaged")
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("the signing key is damaged")
	}
	return jose.NewSigner(
		jose.SigningKey{Algorithm: jose.SignatureAlgorithm(k.Algorithm), Key: jose.JSONWebKey{Key: private, KeyID: k.ID}},
		(&jose.SignerOptions{}).WithType("JWT"))
}
