package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/belay-dev/belay/internal/belaytest"
)

func oidcCredential(more map[string]any) map[string]any {
	c := map[string]any{"type": "OidcAuthentication", "spec": map[string]any{
		"iamRoleArn": "arn:aws:iam::" + motoAccount + ":role/belay-oidc", "oidcSessionTagKeys": []string{"connector_id", "context"},
	}}
	maps.Copy(c, more)
	return c
}

func TestOIDCOnADelegateAndThroughThePlatform(t *testing.T) {
	t.Parallel()
	moto := belaytest.SharedMoto(t) // moto does not read the token: only the way of it is proved here
	m := startManager(t, "AWS_ENDPOINT_URL="+moto.URL)
	m.delegate("d1", "AWS_ENDPOINT_URL="+moto.URL)
	m.connector("on_delegate", oidcCredential(nil), nil)
	m.connector("on_platform", oidcCredential(nil), map[string]any{"executeOnDelegate": false})
	m.connector("cross", oidcCredential(map[string]any{
		"crossAccountAccess": map[string]any{"crossAccountRoleArn": "arn:aws:iam::" + otherAccount + ":role/deploy"},
	}), nil)
	for id, tt := range map[string]struct{ by, account, session string }{
		"on_delegate": {"d1", motoAccount, ":assumed-role/belay-oidc/belay-on_delegate"},
		"on_platform": {"platform", motoAccount, ":assumed-role/belay-oidc/belay-on_platform"},
		"cross":       {"d1", otherAccount, ":assumed-role/deploy/belay-cross"},
	} {
		got := m.test(id, nil)
		green(t, got)
		if got.Delegate != tt.by || got.Identity.Account != tt.account || !strings.HasSuffix(got.Identity.ARN, tt.session) {
			t.Errorf("%s: got %s", id, got)
		}
	}
	m.must(http.MethodPut, "/belay/v1/flags/CDS_AWS_OIDC_AUTHENTICATION", map[string]any{"on": false}, nil)
	got := m.test("on_delegate", nil)
	if got.Diagnosis == nil || got.Diagnosis.Code != "BLY-2301" || !strings.Contains(got.Diagnosis.Cause, "CDS_AWS_OIDC_AUTHENTICATION") {
		t.Fatalf("got %s", got)
	}
}

// strictSTS is moto with an STS before it that reads web identity tokens as AWS does: by discovery and key set of the
// issuer that it was told to trust.
type strictSTS struct {
	*httptest.Server
	mu       sync.Mutex
	issuer   string
	provider *oidc.Provider
	tokens   []string
	subjects []string
	contexts []string
}

func newStrictSTS(t *testing.T) *strictSTS {
	t.Helper()
	upstream, err := url.Parse(belaytest.SharedMoto(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(upstream)
	s := &strictSTS{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") == "AssumeRoleWithWebIdentity" {
			if err := s.check(r, form.Get("WebIdentityToken")); err != nil {
				refusal := "Couldn't retrieve verification key from your identity provider"
				switch {
				case strings.Contains(err.Error(), "audience"):
					refusal = "Incorrect token audience"
				case strings.Contains(err.Error(), "different provider"):
					refusal = "No OpenIDConnect provider found in your account for it"
				}
				w.Header().Set("Content-Type", "text/xml")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code><Message>%s</Message></Error><RequestId>r</RequestId></ErrorResponse>`, refusal)
				return
			}
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// trust tells it of an issuer.
func (s *strictSTS) trust(t *testing.T, issuer string) {
	t.Helper()
	provider, err := oidc.NewProvider(t.Context(), issuer)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issuer, s.provider = issuer, provider
}

func (s *strictSTS) check(r *http.Request, token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = append(s.tokens, token)
	verified, err := s.provider.Verifier(&oidc.Config{ClientID: "sts.amazonaws.com"}).Verify(r.Context(), token)
	if err != nil {
		return err
	}
	var claims struct {
		Context string `json:"context"`
		Tags    struct {
			Principal map[string][]string `json:"principal_tags"`
		} `json:"https://aws.amazon.com/tags"`
	}
	if err := verified.Claims(&claims); err != nil {
		return err
	}
	s.subjects = append(s.subjects, verified.Subject)
	s.contexts = append(s.contexts, claims.Context, strings.Join(claims.Tags.Principal["connector_id"], ","))
	return nil
}

// An STS that trusts the issuer by its live documents takes the tokens, before and after a rotation, and refuses another
// audience and another issuer. No token is left anywhere.
func TestOIDCTokensAreVerifiedByWhoeverTrustsTheIssuer(t *testing.T) {
	t.Parallel()
	sts := newStrictSTS(t)
	m := startManager(t, "AWS_ENDPOINT_URL="+sts.URL, "BELAY_LOG_LEVEL=debug")
	d := m.delegate("d1", "AWS_ENDPOINT_URL="+sts.URL, "LOGGING_LEVEL=TRACE")
	sts.trust(t, m.url+"/ng/api/oidc/account/"+m.account)
	m.connector("on_delegate", oidcCredential(nil), nil)
	m.connector("on_platform", oidcCredential(nil), map[string]any{"executeOnDelegate": false})
	fresh := map[string]any{"fresh": true}
	green(t, m.test("on_delegate", nil))
	green(t, m.test("on_platform", nil))
	m.must(http.MethodPost, "/belay/v1/oidc/rotate", map[string]any{"revoke": true}, nil)
	green(t, m.test("on_delegate", fresh))
	m.must(http.MethodPost, "/belay/v1/oidc/rotate", map[string]any{"algorithm": "ES256", "revoke": true}, nil)
	green(t, m.test("on_platform", fresh))

	subject := "account/" + m.account + ":org/:project/"
	if len(sts.subjects) != 4 || slices.ContainsFunc(sts.subjects, func(s string) bool { return s != subject }) {
		t.Errorf("the subjects were %v", sts.subjects)
	}
	if want := []string{"CONNECTOR_VALIDATION", "on_delegate", "CONNECTOR_VALIDATION", "on_platform"}; !slices.Equal(sts.contexts[:4], want) {
		t.Errorf("contexts and tags were %v", sts.contexts)
	}

	for what, tt := range map[string]struct {
		set   map[string]any
		words string
	}{
		"audience": {map[string]any{"audience": "sts.example.com"}, "does not list the audience"},
		"issuer":   {map[string]any{"issuer": "https://cdn.example.com/belay"}, "has no OpenID Connect provider for Belay's issuer"},
	} {
		m.must(http.MethodPut, "/belay/v1/oidc", tt.set, nil)
		got := m.test("on_delegate", fresh)
		if got.Status != "FAILURE" || got.Diagnosis == nil || got.Diagnosis.Code != "BLY-2110" || !strings.Contains(got.Diagnosis.Cause, tt.words) {
			t.Errorf("another %s: got %s", what, got)
		}
	}
	m.must(http.MethodPut, "/belay/v1/oidc", map[string]any{}, nil)
	green(t, m.test("on_delegate", fresh))

	var shown strings.Builder
	for _, path := range []string{"/belay/v1/oidc", "/belay/v1/audit", "/belay/v1/connectors/on_delegate/tests", "/metrics"} {
		status, text, err := m.call(t.Context(), http.MethodGet, path, nil)
		if err != nil || status != http.StatusOK {
			t.Fatal(path, status, err)
		}
		shown.Write(text)
	}
	m.stop(waitForEnd)
	shown.WriteString(readFolder(t, m.data))
	shown.WriteString(m.said.String() + d.said.String())
	if len(sts.tokens) < 6 {
		t.Fatalf("only %d tokens were seen", len(sts.tokens))
	}
	for _, token := range sts.tokens {
		parts := strings.Split(token, ".")
		if strings.Contains(shown.String(), parts[2]) || strings.Contains(shown.String(), parts[1]) {
			t.Error("a token is left in the database, a log or an answer")
		}
	}
}

// Whoever asks without a key gets the two public documents of an account, and nothing of one that is not there.
func TestOIDCDocumentsAreOpen(t *testing.T) {
	t.Parallel()
	m := startManager(t)
	for path, want := range map[string]struct {
		status int
		cache  string
	}{
		"/ng/api/oidc/account/" + m.account + "/.well-known/openid-configuration":         {200, "public, max-age=3600"},
		"/ng/api/oidc/account/" + m.account + "/.wellknown/jwks":                          {200, "public, max-age=300"},
		"/ng/api/oidc/account/" + m.account + "/.well-known/jwks":                         {200, "public, max-age=300"},
		"/gateway/ng/api/oidc/account/" + m.account + "/.well-known/openid-configuration": {200, "public, max-age=3600"},
		"/ng/api/oidc/account/nobody/.wellknown/jwks":                                     {404, "no-store"},
		"/ng/api/oidc/account/nobody/.well-known/openid-configuration":                    {404, "no-store"},
		"/ng/api/oidc/account/" + m.account:                                               {404, "no-store"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text := readAll(t, answer)
		_ = answer.Body.Close()
		if answer.StatusCode != want.status || answer.Header.Get("Cache-Control") != want.cache {
			t.Errorf("%s: %d, %q\n%s", path, answer.StatusCode, answer.Header.Get("Cache-Control"), text)
		}
	}
}
