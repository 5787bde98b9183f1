package ng_test

import (
	"net/http"
	"testing"

	"github.com/belay-dev/belay/internal/nextgen"
)

// The documents of the issuer have no envelope and need no key. An account that is not there has none.
func TestIssuerDocuments(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	const issuer = "/ng/api/oidc/account/"
	get := func(path string) func(key string) string {
		return func(key string) string {
			a := c.Do(key, http.MethodGet, path, "")
			if a.Status != http.StatusOK || a.Header.Get("Content-Type") != "application/json" {
				t.Fatalf("%s: %d %v", path, a.Status, a.Header)
			}
			return a.Body
		}
	}
	c.Golden("oidc-discovery", c.Do("", http.MethodGet, issuer+"ACCOUNT/.well-known/openid-configuration", ""))
	c.Golden("oidc-keys", c.Do("", http.MethodGet, issuer+"ACCOUNT/.wellknown/jwks", ""))
	one := get(issuer + "ACCOUNT/.wellknown/jwks")("")
	for what, other := range map[string]string{
		"with the hyphen":        get(issuer + "ACCOUNT/.well-known/jwks")(""),
		"with a stranger's key":  get(issuer + "ACCOUNT/.wellknown/jwks")(w.Stranger),
		"with a revoked key":     get(issuer + "ACCOUNT/.wellknown/jwks")(w.Revoked),
		"behind the gateway":     get("/gateway" + issuer + "ACCOUNT/.wellknown/jwks")(""),
		"with something behind?": get(issuer + "ACCOUNT/.wellknown/jwks?accountIdentifier=other")(""),
	} {
		if other != one {
			t.Errorf("%s the key set is another", what)
		}
	}
	for _, path := range []string{"nobody/.wellknown/jwks", "nobody/.well-known/openid-configuration", "ACCOUNT", "ACCOUNT/.well-known", "ACCOUNT/.wellknown/openid-configuration"} {
		a := c.Do("", http.MethodGet, issuer+path, "")
		if e := failure(t, a); a.Status != http.StatusNotFound || e.Code != nextgen.NotFoundCode || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if a := c.Do("", http.MethodPost, issuer+"ACCOUNT/.wellknown/jwks", "{}"); a.Status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", a.Status)
	}
}
