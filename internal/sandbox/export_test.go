package sandbox

import (
	"net/http"
	"time"
)

// ParseSignature reads the proof of a request, and gives back what it found of it.
func ParseSignature(r *http.Request) (keyID string, at time.Time, err error) {
	s, err := parseSignature(r)
	return s.KeyID, s.At, err
}

// CanonicalQuery is what is signed of a query.
func CanonicalQuery(raw string) string { return canonicalQuery(raw) }

// ParseForm reads a form and its lists.
func ParseForm(raw, list string) (items []string, structs int, err error) {
	p, err := parseParams(raw)
	return p.list(list), len(p.structs(list)), err
}

// AccountOfKey is the account that a key id holds.
func AccountOfKey(id string) (string, bool) { return accountOfKey(id) }

// NewKeyID makes a key id.
func NewKeyID(account string) string { return accessKeyID("AKIA", account) }
