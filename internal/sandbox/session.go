package sandbox

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// session is what temporary credentials stand for. It travels in its token.
type session struct {
	KeyID   string    `json:"k"`
	Account string    `json:"a"`
	User    string    `json:"u,omitempty"` // id of the user, for GetSessionToken; "root" for the root user
	Role    string    `json:"r,omitempty"` // id of the role
	Name    string    `json:"n,omitempty"`
	Source  string    `json:"s,omitempty"` // source identity
	Tags    tags      `json:"t,omitempty"`
	Lasting []string  `json:"l,omitempty"` // transitive tag keys
	Chained bool      `json:"c,omitempty"`
	Policy  string    `json:"p,omitempty"` // inline session policy
	ARNs    []string  `json:"m,omitempty"` // managed session policies
	Web     web       `json:"w,omitzero"`
	Issued  time.Time `json:"i"`
	Expires time.Time `json:"e"`
}

// web is what is left of a web identity token in its session.
type web struct {
	Provider string `json:"p,omitempty"` // ARN
	Audience string `json:"a,omitempty"`
	Subject  string `json:"s,omitempty"`
}

type tags map[string]string

// credentials are what STS gives out.
type credentials struct {
	KeyID, Secret, Token string
	Expires              time.Time
}

// sealer seals tokens and messages with keys that come from one.
type sealer struct {
	tokens, messages cipher.AEAD
	secrets          []byte
}

func newSealer(key []byte) (*sealer, error) {
	var s sealer
	for use, aead := range map[string]*cipher.AEAD{"session tokens": &s.tokens, "encoded messages": &s.messages} {
		derived, err := hkdf.Key(sha256.New, key, nil, "belay sandbox "+use, 32)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(derived)
		if err != nil {
			return nil, err
		}
		if *aead, err = cipher.NewGCM(block); err != nil {
			return nil, err
		}
	}
	var err error
	s.secrets, err = hkdf.Key(sha256.New, key, nil, "belay sandbox secrets", 32)
	return &s, err
}

// issue makes the credentials of a session, which gets its key id here.
func (s *sealer) issue(session session) (credentials, error) {
	session.KeyID = accessKeyID("ASIA", session.Account)
	raw, err := json.Marshal(session)
	if err != nil {
		return credentials{}, err
	}
	return credentials{session.KeyID, s.secretOf(session.KeyID), tokenPrefix + seal(s.tokens, raw), session.Expires}, nil
}

// tokenPrefix is how tokens of regional STS endpoints begin, more or less.
const tokenPrefix = "IQoJb3JpZ2luX2Vj" //nolint:gosec // no secret

// secretOf is the secret of a session's key. It follows from the id, so nothing need be kept.
func (s *sealer) secretOf(keyID string) string {
	h := hmac.New(sha256.New, s.secrets)
	h.Write([]byte(keyID))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))[:40]
}

var errToken = errors.New("the token is not one of this sandbox")

// open reads a session from its token.
func (s *sealer) open(token string) (session, error) {
	raw, err := unseal(s.tokens, strings.TrimPrefix(token, tokenPrefix))
	if err != nil {
		return session{}, errToken
	}
	var out session
	if err := json.Unmarshal(raw, &out); err != nil {
		return session{}, errToken
	}
	return out, nil
}

func seal(aead cipher.AEAD, plain []byte) string {
	nonce := make([]byte, aead.NonceSize())
	_, _ = rand.Read(nonce) // crypto/rand never fails
	return base64.RawURLEncoding.EncodeToString(aead.Seal(nonce, nonce, plain, nil))
}

func unseal(aead cipher.AEAD, text string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) < aead.NonceSize() {
		return nil, errToken
	}
	return aead.Open(nil, raw[:aead.NonceSize()], raw[aead.NonceSize():], nil)
}
