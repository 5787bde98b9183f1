package oidc_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/oidc"
	"github.com/belay-dev/belay/internal/scope"
)

// Two verifiers that others wrote take what the issuer signs, and refuse everything else.
func TestVerifiers(t *testing.T) {
	t.Parallel()
	w := serve(t)
	token := w.mint(t)
	text := token.Text.Reveal()
	if want := map[string]any{"alg": "RS256", "kid": token.KeyID, "typ": "JWT"}; !cmp.Equal(header(t, text), want) {
		t.Error(cmp.Diff(want, header(t, text)))
	}
	if len(token.KeyID) != 43 {
		t.Errorf("the kid %q is no SHA-256 in base64url", token.KeyID)
	}
	w.holds(t, token)

	key := w.stolen(t, token.KeyID)
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		t.Fatalf("the first key is %T", key)
	}
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	var good map[string]any
	if err := json.Unmarshal(token.Claims, &good); err != nil {
		t.Fatal(err)
	}
	but := func(change func(map[string]any)) map[string]any {
		c := maps.Clone(good)
		change(c)
		return c
	}
	set := func(name string, value any) map[string]any { return but(func(c map[string]any) { c[name] = value }) }
	parts := strings.Split(text, ".")
	now := w.Clock.Now()
	for name, forged := range map[string]string{
		"another issuer":                  sign(t, jose.RS256, private, token.KeyID, set("iss", "https://evil.example.com")),
		"an issuer with a slash more":     sign(t, jose.RS256, private, token.KeyID, set("iss", w.url+"/")),
		"another audience":                sign(t, jose.RS256, private, token.KeyID, set("aud", "sts.example.com")),
		"no audience":                     sign(t, jose.RS256, private, token.KeyID, but(func(c map[string]any) { delete(c, "aud") })),
		"expired":                         sign(t, jose.RS256, private, token.KeyID, set("exp", now.Add(-time.Hour).Unix())),
		"not yet valid":                   sign(t, jose.RS256, private, token.KeyID, set("nbf", now.Add(time.Hour).Unix())),
		"no subject":                      sign(t, jose.RS256, private, token.KeyID, but(func(c map[string]any) { delete(c, "sub") })),
		"another subject":                 sign(t, jose.RS256, private, token.KeyID, set("sub", "account/other:org/:project/")),
		"another key under the same id":   sign(t, jose.RS256, stranger, token.KeyID, good),
		"a key that nobody published":     sign(t, jose.RS256, stranger, "unknown", good),
		"the right key by another method": sign(t, jose.RS512, private, token.KeyID, good),
		"the public key as a secret":      sign(t, jose.HS256, public, token.KeyID, good),
		"no algorithm":                    encoded(`{"alg":"none","kid":"`+token.KeyID+`"}`) + "." + parts[1] + ".",
		"no signature":                    parts[0] + "." + parts[1] + ".",
		"a cut signature":                 text[:len(text)-8],
		"a changed payload":               parts[0] + "." + encoded(strings.Replace(string(token.Claims), "CONNECTOR_VALIDATION", "PIPELINE_EXECUTION", 1)) + "." + parts[2],
		"a changed header":                encoded(`{"alg":"RS256","kid":"`+token.KeyID+`","typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2],
		"another token's signature":       parts[0] + "." + parts[1] + "." + strings.Split(sign(t, jose.RS256, private, token.KeyID, set("context", "x")), ".")[2],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for who, err := range w.accepts(t, forged, w.url, oidc.DefaultAudience, oidc.Subject(w.at(), true)) {
				if err == nil {
					t.Errorf("%s takes it", who)
				}
			}
		})
	}
	for name, tt := range map[string]struct{ issuer, audience, subject string }{
		"a verifier of another issuer":   {"https://other.example.com", oidc.DefaultAudience, oidc.Subject(w.at(), true)},
		"a verifier of another audience": {w.url, "sts.amazonaws.com.cn", oidc.Subject(w.at(), true)},
		"a verifier of another subject":  {w.url, oidc.DefaultAudience, oidc.Subject(w.at(), false)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for who, err := range w.accepts(t, text, tt.issuer, tt.audience, tt.subject) {
				if err == nil {
					t.Errorf("%s takes it", who)
				}
			}
		})
	}
}

// What tokens say in each context, with each form of the subject, at each scope.
func TestClaims(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.Issuer.URL = func() string { return "https://belay.example.com" }
	all := map[string]json.RawMessage{}
	for form, enhanced := range map[string]bool{"plain": false, "enhanced": true} {
		if err := w.Orgs.SetFlag(t.Context(), w.admin(), "PL_OIDC_ENHANCED_SUBJECT_FIELD", enhanced); err != nil {
			t.Fatal(err)
		}
		for level, at := range map[string]scope.Scope{
			"account": w.at(), "organization": {Account: w.Account, Org: "org1"}, "project": {Account: w.Account, Org: "org1", Project: "prj1"},
		} {
			for _, purpose := range oidc.Contexts() {
				c := connector.Connector{
					Scope: at, ID: "prod_aws", Name: "Prod AWS", Selectors: []string{"eks", "frankfurt"},
					Credential: connector.OIDC{RoleARN: role, SessionTagKeys: connector.SessionTagKeys()},
				}
				use, _ := oidc.UseOf(c, purpose, "ci", w.Clock.Now().Add(30*time.Minute))
				token, err := w.Issuer.Mint(t.Context(), use)
				if err != nil {
					t.Fatal(err)
				}
				if want := w.Clock.Now().Add(30 * time.Minute); !token.ExpiresAt.Equal(want) {
					t.Errorf("it expires at %s, its task at %s", token.ExpiresAt, want)
				}
				all[level+", "+form+", "+string(purpose)] = bytes.ReplaceAll(token.Claims, []byte(w.Account), []byte("ACCOUNT"))
			}
		}
	}
	golden(t, "claims.json", all)
}

func golden(t *testing.T, name string, value any) {
	t.Helper()
	var got bytes.Buffer
	e := json.NewEncoder(&got)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(value); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run the test with -update to write it", err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

func TestATokenLivesAsLongAsItsTaskWithinBounds(t *testing.T) {
	t.Parallel()
	w := serve(t)
	for name, tt := range map[string]struct{ task, token time.Duration }{
		"a task that is not known":     {-1000 * time.Hour, oidc.MinLifetime},
		"a test of a minute":           {time.Minute, oidc.MinLifetime},
		"a deployment of half an hour": {30 * time.Minute, 30 * time.Minute},
		"a task without an end":        {48 * time.Hour, oidc.MaxLifetime},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			use := w.use()
			use.Until = w.Clock.Now().Add(tt.task)
			token, err := w.Issuer.Mint(t.Context(), use)
			if err != nil {
				t.Fatal(err)
			}
			if got := token.ExpiresAt.Sub(w.Clock.Now()); got != tt.token {
				t.Errorf("it lives for %s, want %s", got, tt.token)
			}
		})
	}
}

func TestTokensThatSayTheSameAreKnownAsSuch(t *testing.T) {
	t.Parallel()
	w := serve(t)
	first := w.mint(t)
	w.Clock.Move(time.Minute)
	if again := w.mint(t); again.Says != first.Says || bytes.Equal(again.Claims, first.Claims) {
		t.Error("a later token of the same use does not say the same")
	}
	use := w.use()
	use.Context = oidc.PerpetualTask
	other, err := w.Issuer.Mint(t.Context(), use)
	if err != nil || other.Says == first.Says {
		t.Error("a token of another use says the same", err)
	}
}

// A value that AWS refuses is left out: mended, two that differ could become the same tag.
func TestSessionTagsThatAWSRefusesAreLeftOut(t *testing.T) {
	t.Parallel()
	w := serve(t)
	for name, tt := range map[string]struct {
		change func(*oidc.Use)
		want   []string
	}{
		"what AWS takes":       {func(u *oidc.Use) { u.ConnectorName = "Zürich 東京 a_b.c:d/e=f+g-h@i" }, []string{"connector_name", "context"}},
		"a bracket":            {func(u *oidc.Use) { u.ConnectorName = "AWS (prod)" }, []string{"context"}},
		"a list that is long":  {func(u *oidc.Use) { u.Selectors = []string{strings.Repeat("a", 128), strings.Repeat("b", 128)} }, []string{"connector_name", "context"}},
		"a list that is short": {func(u *oidc.Use) { u.Selectors = []string{"a", "b"} }, []string{"connector_name", "delegate_selectors", "context"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			use := w.use()
			use.TagKeys = []string{"connector_name", "delegate_selectors", "pipeline_id", "context"}
			tt.change(&use)
			token, err := w.Issuer.Mint(t.Context(), use)
			if err != nil {
				t.Fatal(err)
			}
			var claims struct {
				Tags struct {
					Principal  map[string][]string `json:"principal_tags"`
					Transitive []string            `json:"transitive_tag_keys"`
				} `json:"https://aws.amazon.com/tags"`
			}
			if err := json.Unmarshal(token.Claims, &claims); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, claims.Tags.Transitive); diff != "" || len(claims.Tags.Principal) != len(tt.want) {
				t.Error(diff, claims.Tags.Principal)
			}
		})
	}
}

func TestATokenThatAWSWouldRefuseIsNotMinted(t *testing.T) {
	t.Parallel()
	w := serve(t)
	for name, tt := range map[string]struct {
		change func(*oidc.Use)
		words  string
	}{
		"no account":          {func(u *oidc.Use) { u.Scope.Account = "" }, "subject"},
		"no connector":        {func(u *oidc.Use) { u.ConnectorID = "" }, "subject"},
		"no context":          {func(u *oidc.Use) { u.Context = "" }, "PERPETUAL_TASK"},
		"a subject too long":  {func(u *oidc.Use) { u.Scope.Org, u.Scope.Project = strings.Repeat("o", 128), strings.Repeat("p", 128) }, "255"},
		"an unknown account":  {func(u *oidc.Use) { u.Scope.Account = "nobody" }, "no account"},
		"an unknown purpose":  {func(u *oidc.Use) { u.Context = "OTHER" }, "PIPELINE_EXECUTION"},
		"a name out of bound": {func(u *oidc.Use) { u.ConnectorName = strings.Repeat("x", 20_000) }, "fewer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			use := w.use()
			tt.change(&use)
			_, err := w.Issuer.Mint(t.Context(), use)
			if kind := fault.KindOf(err); kind != fault.Invalid && kind != fault.NotFound || !strings.Contains(fault.Sentence(err), tt.words) {
				t.Errorf("got %v", err)
			}
		})
	}
}
