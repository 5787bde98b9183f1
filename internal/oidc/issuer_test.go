package oidc_test

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/oidc"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
	"github.com/belay-dev/belay/internal/store"
)

func TestDiscovery(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.Issuer.URL = func() string { return "https://belay.example.com" }
	text, err := w.Issuer.Discovery(t.Context(), w.Account)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "discovery.json", json.RawMessage(bytes.ReplaceAll(text, []byte(w.Account), []byte("ACCOUNT"))))
	if keys, err := w.Store.OIDCKeys(t.Context(), w.Account); err != nil || len(keys) != 0 {
		t.Errorf("the document made %d keys, %v", len(keys), err)
	}
	for what, get := range map[string]func() error{
		"discovery": func() error { _, err := w.Issuer.Discovery(t.Context(), "nobody"); return err },
		"keys":      func() error { _, err := w.Issuer.KeySet(t.Context(), "nobody"); return err },
	} {
		if err := get(); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s of an account that is not there: %v", what, err)
		}
	}
	if keys, err := w.Store.OIDCKeys(t.Context(), "nobody"); err != nil || len(keys) != 0 {
		t.Errorf("an account that is not there got %d keys, %v", len(keys), err)
	}
}

func TestAKeySetHasTheFieldsThatAWSReads(t *testing.T) {
	t.Parallel()
	w := serve(t)
	text, err := w.Issuer.KeySet(t.Context(), w.Account)
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("%v\n%s", err, text)
	}
	k := set.Keys[0]
	want := map[string]string{"kty": "RSA", "use": "sig", "alg": "RS256", "e": "AQAB", "kid": w.mint(t).KeyID, "n": k["n"]}
	if diff := cmp.Diff(want, k); diff != "" || len(k["n"]) != 342 {
		t.Error(diff, len(k["n"]))
	}
}

func TestTokensNameTheIssuerAndTheAudienceThatAreSet(t *testing.T) {
	t.Parallel()
	w := serve(t)
	v, err := w.Issuer.Configure(t.Context(), w.admin(), oidc.Settings{Issuer: "https://cdn.example.com/belay", Audience: "sts.amazonaws.com.cn"})
	if err != nil {
		t.Fatal(err)
	}
	if !v.Issuer.Hosted() || v.Issuer.Own != w.url {
		t.Errorf("got %+v", v.Issuer)
	}
	var claims struct {
		Iss string `json:"iss"`
		Aud string `json:"aud"`
	}
	if err := json.Unmarshal(w.mint(t).Claims, &claims); err != nil || claims.Iss != "https://cdn.example.com/belay" || claims.Aud != "sts.amazonaws.com.cn" {
		t.Errorf("%v %+v", err, claims)
	}
	text, err := w.Issuer.Discovery(t.Context(), w.Account)
	if err != nil || !strings.Contains(string(text), `"jwks_uri": "https://cdn.example.com/belay/.wellknown/jwks"`) {
		t.Errorf("%v\n%s", err, text)
	}
	if v, err = w.Issuer.Configure(t.Context(), w.admin(), oidc.Settings{}); err != nil || v.Issuer.Hosted() || v.Issuer.Audience != oidc.DefaultAudience {
		t.Errorf("%v %+v", err, v.Issuer)
	}
}

func TestConfigureRefusesWhatAWSRefuses(t *testing.T) {
	t.Parallel()
	w := serve(t)
	for name, tt := range map[string]struct {
		set   oidc.Settings
		paths []string
	}{
		"no https":            {oidc.Settings{Issuer: "http://a.example"}, []string{"issuer"}},
		"no host":             {oidc.Settings{Issuer: "https:///x"}, []string{"issuer"}},
		"a port":              {oidc.Settings{Issuer: "https://a.example:8443"}, []string{"issuer"}},
		"a query":             {oidc.Settings{Issuer: "https://a.example/?x=y"}, []string{"issuer"}},
		"a user":              {oidc.Settings{Issuer: "https://u:p@a.example"}, []string{"issuer"}},
		"a slash":             {oidc.Settings{Issuer: "https://a.example/x/"}, []string{"issuer"}},
		"too long":            {oidc.Settings{Issuer: "https://a.example/" + strings.Repeat("x", 255)}, []string{"issuer"}},
		"a blank and nothing": {oidc.Settings{Issuer: "x", Audience: "a b"}, []string{"issuer", "audience"}},
		"a long audience":     {oidc.Settings{Audience: strings.Repeat("x", 256)}, []string{"audience"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := w.Issuer.Configure(t.Context(), w.admin(), tt.set)
			var got []string
			if problems, ok := err.(fault.Problems); ok { //nolint:errorlint // it is returned as it is
				for _, p := range problems {
					got = append(got, p.Path)
				}
			}
			if diff := cmp.Diff(tt.paths, got); diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func TestTrustPolicy(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.Issuer.URL = func() string { return "https://belay.example.com" }
	all := map[string]any{}
	for name, tt := range map[string]struct {
		at     scope.Scope
		change func(*connector.Connector)
	}{
		"of an account": {w.at(), nil},
		"of a project in GovCloud": {scope.Scope{Account: w.Account, Org: "org1", Project: "prj1"}, func(c *connector.Connector) {
			c.Credential = connector.OIDC{RoleARN: "arn:aws-us-gov:iam::123456789012:role/path/belay"}
		}},
		"with session tags": {scope.Scope{Account: w.Account, Org: "org1"}, func(c *connector.Connector) {
			c.Name, c.CrossAccount = "AWS (prod)", &connector.CrossAccount{RoleARN: role}
			c.Credential = connector.OIDC{RoleARN: role, SessionTagKeys: []string{"connector_name", "account_id"}}
		}},
	} {
		w.connector(t, tt.at, tt.change)
		trust, err := w.Issuer.TrustPolicy(t.Context(), w.caller(audit.Viewer), tt.at, "aws")
		if err != nil {
			t.Fatal(err)
		}
		// It is the same before the connector is saved.
		stored, err := w.Connectors.Connector(t.Context(), w.admin(), tt.at, "aws")
		if err != nil {
			t.Fatal(err)
		}
		if draft, err := w.Issuer.TrustFor(t.Context(), w.caller(audit.Viewer), stored.Connector); err != nil || !reflect.DeepEqual(draft, trust) {
			t.Errorf("%s: of a draft: %+v, %v", name, draft, err)
		}
		policy := json.RawMessage(bytes.ReplaceAll(trust.Policy, []byte(w.Account), []byte("ACCOUNT")))
		anonymous := func(text string) string { return strings.ReplaceAll(text, w.Account, "ACCOUNT") }
		all[name] = map[string]any{
			"role": trust.Role, "provider": anonymous(trust.Provider), "issuer": anonymous(trust.Issuer), "audience": trust.Audience,
			"subject": anonymous(trust.Subject), "policy": policy, "notes": trust.Notes,
		}
	}
	golden(t, "trust.json", all)
}

// The subject of the policy is the one that the token has, in both forms.
func TestTrustPolicyFitsTheToken(t *testing.T) {
	t.Parallel()
	w := serve(t)
	at := scope.Scope{Account: w.Account, Org: "org1", Project: "prj1"}
	w.connector(t, at, nil)
	for _, enhanced := range []bool{true, false} {
		if err := w.Orgs.SetFlag(t.Context(), w.admin(), "PL_OIDC_ENHANCED_SUBJECT_FIELD", enhanced); err != nil {
			t.Fatal(err)
		}
		trust, err := w.Issuer.TrustPolicy(t.Context(), w.admin(), at, "aws")
		if err != nil {
			t.Fatal(err)
		}
		token, err := w.Issuer.MintFor(t.Context(), w.admin(), at, "aws", oidc.PipelineExecution)
		if err != nil {
			t.Fatal(err)
		}
		for who, err := range w.accepts(t, token.Text.Reveal(), trust.Issuer, trust.Audience, trust.Subject) {
			if err != nil {
				t.Errorf("enhanced %t: %s: %v", enhanced, who, err)
			}
		}
	}
}

func TestConnectorsThatHaveNoToken(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.connector(t, w.at(), nil)
	w.connector(t, scope.Scope{Account: w.Account, Org: "org1"}, func(c *connector.Connector) { c.Credential = connector.IRSA{} })
	w.connector(t, w.at(), func(c *connector.Connector) { c.ID, c.Credential = "placeholder", connector.OIDC{RoleARN: "test"} })
	ctx := t.Context()
	_, err := w.Issuer.MintFor(ctx, w.admin(), scope.Scope{Account: w.Account, Org: "org1"}, "aws", "")
	refused(t, err, fault.Invalid, "OidcAuthentication")
	_, err = w.Issuer.TrustPolicy(ctx, w.admin(), scope.Scope{Account: w.Account, Org: "org1"}, "aws")
	refused(t, err, fault.Invalid, "OidcAuthentication")
	_, err = w.Issuer.TrustPolicy(ctx, w.admin(), w.at(), "placeholder")
	refused(t, err, fault.Invalid, "iamRoleArn")
	_, err = w.Issuer.MintFor(ctx, w.admin(), w.at(), "nowhere", "")
	refused(t, err, fault.NotFound, "nowhere")
	_, err = w.Issuer.MintFor(ctx, w.admin(), w.at(), "aws", "SOMETHING")
	refused(t, err, fault.Invalid, "PERPETUAL_TASK")
	if err := w.Orgs.SetFlag(ctx, w.admin(), "CDS_AWS_OIDC_AUTHENTICATION", false); err != nil {
		t.Fatal(err)
	}
	_, err = w.Issuer.MintFor(ctx, w.admin(), w.at(), "aws", "")
	refused(t, err, fault.Invalid, "CDS_AWS_OIDC_AUTHENTICATION")
}

func refused(t *testing.T, err error, kind fault.Kind, words string) {
	t.Helper()
	if fault.KindOf(err) != kind || !strings.Contains(fault.Sentence(err), words) {
		t.Errorf("got %v, want %s with %q", err, kind, words)
	}
}

// A copy of the database is no use to whoever has no master key: neither the keys nor the tokens are in it.
func TestPrivateKeysAreNotReadableInTheDatabase(t *testing.T) {
	t.Parallel()
	w := serve(t)
	path := filepath.Join(t.TempDir(), "copy.db")
	s, err := store.Open(t.Context(), store.Config{URL: path})
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := w.Store.Accounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts {
		if err := s.SaveAccount(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	w.Store, w.Issuer.Store = s, s
	hidden := map[string][]byte{}
	note := func(what string, raw []byte) {
		hidden[what] = raw
		hidden[what+" in base64"] = []byte(base64.StdEncoding.EncodeToString(raw))
		hidden[what+" in base64url"] = []byte(base64.RawURLEncoding.EncodeToString(raw))
		hidden[what+" in hex"] = []byte(hex.EncodeToString(raw))
	}
	token := w.mint(t)
	w.tend(t)
	keys, err := s.OIDCKeys(t.Context(), w.Account)
	if err != nil || len(keys) != 2 {
		t.Fatal(len(keys), err)
	}
	for _, k := range keys {
		private, ok := w.stolen(t, k.ID).(*rsa.PrivateKey)
		if !ok {
			t.Fatal("no RSA key")
		}
		note("the exponent of "+k.ID, private.D.Bytes())
		note("a prime of "+k.ID, private.Primes[0].Bytes())
	}
	hidden["a token"] = []byte(token.Text.Reveal())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(keys[0].ID)) {
		t.Fatal("this is not the database: the id of the key is not in it")
	}
	for what, value := range hidden {
		if bytes.Contains(text, value) {
			t.Errorf("the database holds %s", what)
		}
		if strings.Contains(w.Log.String(), string(value)) {
			t.Errorf("the log holds %s", what)
		}
	}
	// A sealed key that is copied to another row does not open.
	if _, err := w.Issuer.Keyring.Open(keys[0].Sealed, "oidc-key/"+w.Account+"/"+keys[1].ID); err == nil {
		t.Error("a key opens in another's row")
	}
}

func BenchmarkMint(b *testing.B) {
	for _, algorithm := range []oidc.Algorithm{oidc.RS256, oidc.ES256} {
		b.Run(string(algorithm), func(b *testing.B) {
			w := serve(b)
			if _, err := w.Issuer.Rotate(b.Context(), w.admin(), oidc.Rotation{Algorithm: algorithm, Revoke: true}); err != nil {
				b.Fatal(err)
			}
			w.tend(b)
			use := w.use()
			use.TagKeys = connector.SessionTagKeys()
			began := time.Now()
			for b.Loop() {
				if _, err := w.Issuer.Mint(b.Context(), use); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "tokens/s")
		})
	}
}

func BenchmarkKeySet(b *testing.B) {
	w := serve(b)
	w.mint(b)
	w.tend(b)
	for b.Loop() {
		if _, err := w.Issuer.KeySet(b.Context(), w.Account); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFirstKey is what the first token of an account waits for.
func BenchmarkFirstKey(b *testing.B) {
	w := serve(b)
	key, err := secret.NewMasterKey()
	if err != nil {
		b.Fatal(err)
	}
	if w.Issuer.Keyring, err = secret.NewKeyring(key); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		a, err := w.Orgs.CreateAccount(b.Context(), "b")
		if err != nil {
			b.Fatal(err)
		}
		use := w.use()
		use.Scope.Account = a.ID
		if _, err := w.Issuer.Mint(b.Context(), use); err != nil {
			b.Fatal(err)
		}
	}
}
