package oidc_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	verifier "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/hashicorp/cap/jwt"

	"github.com/belay-dev/belay/internal/api/apitest"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/oidc"
	"github.com/belay-dev/belay/internal/scope"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

const role = "arn:aws:iam::123456789012:role/belay"

// world is an issuer whose documents are served, and a connector of it.
type world struct {
	*apitest.World
	url string // of the issuer
}

func serve(tb testing.TB) *world {
	tb.Helper()
	w := &world{World: apitest.New(tb)}
	text := func(get func(context.Context, string) ([]byte, error)) http.HandlerFunc {
		return func(answer http.ResponseWriter, r *http.Request) {
			body, err := get(r.Context(), r.PathValue("account"))
			if err != nil {
				http.Error(answer, err.Error(), http.StatusNotFound)
				return
			}
			_, _ = answer.Write(body)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+oidc.Path("{account}")+oidc.DiscoveryPath, text(w.Issuer.Discovery))
	mux.Handle("GET "+oidc.Path("{account}")+oidc.KeySetPath, text(w.Issuer.KeySet))
	server := httptest.NewServer(mux)
	tb.Cleanup(server.Close)
	w.Issuer.URL = func() string { return server.URL }
	w.url = server.URL + oidc.Path(w.Account)
	return w
}

func (w *world) at() scope.Scope { return scope.Scope{Account: w.Account} }

func (w *world) admin() audit.Caller { return w.caller(audit.Admin) }

func (w *world) caller(r audit.Role) audit.Caller {
	return audit.Caller{Account: w.Account, ID: string(r), Name: string(r), Grants: []audit.Grant{{Scope: w.at(), Role: r}}}
}

// use is a use of a connector of the account.
func (w *world) use() oidc.Use {
	return oidc.Use{Scope: w.at(), ConnectorID: "aws", ConnectorName: "AWS", Context: oidc.ConnectorValidation}
}

// connector saves an OIDC connector.
func (w *world) connector(tb testing.TB, at scope.Scope, change func(*connector.Connector)) {
	tb.Helper()
	c := connector.Connector{Scope: at, ID: "aws", Name: "AWS", Credential: connector.OIDC{RoleARN: role}}
	if change != nil {
		change(&c)
	}
	if _, err := w.Connectors.Create(tb.Context(), w.admin(), c); err != nil {
		tb.Fatal(err)
	}
}

func (w *world) mint(tb testing.TB) oidc.Token {
	tb.Helper()
	t, err := w.Issuer.Mint(tb.Context(), w.use())
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func (w *world) tend(tb testing.TB) {
	tb.Helper()
	if err := w.Issuer.Tend(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// states are the keys that are published, by state.
func (w *world) states(tb testing.TB) map[oidc.State][]oidc.Published {
	tb.Helper()
	v, err := w.Issuer.View(tb.Context(), w.admin())
	if err != nil {
		tb.Fatal(err)
	}
	all := map[oidc.State][]oidc.Published{}
	for _, k := range v.Keys {
		all[k.State] = append(all[k.State], k)
	}
	return all
}

// published are the ids in the key set as it is served.
func (w *world) published(tb testing.TB) []string {
	tb.Helper()
	text, err := w.Issuer.KeySet(tb.Context(), w.Account)
	if err != nil {
		tb.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(text, &set); err != nil {
		tb.Fatal(err)
	}
	var ids []string
	for _, k := range set.Keys {
		if !k.IsPublic() || !k.Valid() || k.Use != "sig" {
			tb.Fatalf("the key set holds %+v", k)
		}
		ids = append(ids, k.KeyID)
	}
	return ids
}

// accepts are what the two verifiers say of a token, by their name; nil is yes. Both read the live documents anew.
func (w *world) accepts(tb testing.TB, token, issuer, audience, subject string) map[string]error {
	tb.Helper()
	return map[string]error{"go-oidc": w.goOIDC(tb, token, issuer, audience, subject), "cap": w.cap(tb, token, issuer, audience, subject)}
}

func (w *world) goOIDC(tb testing.TB, token, issuer, audience, subject string) error {
	tb.Helper()
	p, err := verifier.NewProvider(tb.Context(), w.url)
	if err != nil {
		tb.Fatal(err)
	}
	if issuer != w.url {
		p = (&verifier.ProviderConfig{IssuerURL: issuer, JWKSURL: w.url + oidc.KeySetPath, Algorithms: []string{"RS256", "ES256"}}).NewProvider(tb.Context())
	}
	t, err := p.Verifier(&verifier.Config{ClientID: audience, Now: w.Clock.Now}).Verify(tb.Context(), token)
	if err == nil && t.Subject != subject {
		err = errSubject
	}
	return err
}

var errSubject = &refusedSubject{}

type refusedSubject struct{}

func (*refusedSubject) Error() string { return "another subject" }

func (w *world) cap(tb testing.TB, token, issuer, audience, subject string) error {
	tb.Helper()
	keys, err := jwt.NewOIDCDiscoveryKeySet(tb.Context(), w.url, "")
	if err != nil {
		tb.Fatal(err)
	}
	v, err := jwt.NewValidator(keys)
	if err != nil {
		tb.Fatal(err)
	}
	_, err = v.Validate(tb.Context(), token, jwt.Expected{
		Issuer: issuer, Subject: subject, Audiences: []string{audience}, SigningAlgorithms: []jwt.Alg{jwt.RS256, jwt.ES256}, Now: w.Clock.Now,
	})
	return err
}

// holds fails the test unless both verifiers take the token.
func (w *world) holds(tb testing.TB, token oidc.Token) {
	tb.Helper()
	for who, err := range w.accepts(tb, token.Text.Reveal(), w.url, oidc.DefaultAudience, oidc.Subject(w.at(), true)) {
		if err != nil {
			tb.Errorf("%s refuses the token: %v", who, err)
		}
	}
}

// breaks fails the test unless both verifiers refuse the token.
func (w *world) breaks(tb testing.TB, token oidc.Token) {
	tb.Helper()
	for who, err := range w.accepts(tb, token.Text.Reveal(), w.url, oidc.DefaultAudience, oidc.Subject(w.at(), true)) {
		if err == nil {
			tb.Errorf("%s takes the token", who)
		}
	}
}

// stolen is the private key behind a kid, as whoever has database and master key could take it.
func (w *world) stolen(tb testing.TB, kid string) any {
	tb.Helper()
	keys, err := w.Store.OIDCKeys(tb.Context(), w.Account)
	if err != nil {
		tb.Fatal(err)
	}
	for _, k := range keys {
		if k.ID != kid {
			continue
		}
		plain, err := w.Issuer.Keyring.Open(k.Sealed, "oidc-key/"+w.Account+"/"+kid)
		if err != nil {
			tb.Fatal(err)
		}
		der, err := base64.StdEncoding.DecodeString(plain.Reveal())
		if err != nil {
			tb.Fatal(err)
		}
		private, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			tb.Fatal(err)
		}
		return private
	}
	tb.Fatalf("there is no key %s", kid)
	return nil
}

// sign makes a token of claims.
func sign(tb testing.TB, algorithm jose.SignatureAlgorithm, key any, kid string, claims map[string]any) string {
	tb.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		tb.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		tb.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		tb.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func encoded(v string) string { return base64.RawURLEncoding.EncodeToString([]byte(v)) }

// header is the first part of a token.
func header(tb testing.TB, token string) map[string]any {
	tb.Helper()
	first, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		tb.Fatal(err)
	}
	var h map[string]any
	if err := json.Unmarshal(text, &h); err != nil {
		tb.Fatal(err)
	}
	return h
}

// days is a span of the calendar.
func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }
