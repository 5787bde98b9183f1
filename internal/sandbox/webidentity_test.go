package sandbox_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/go-jose/go-jose/v4"

	"github.com/belay-dev/belay/internal/sandbox"
)

// identityProvider is an issuer of web identity tokens, apart from the sandbox's own.
type identityProvider struct {
	*httptest.Server

	keys map[string]crypto.Signer // by algorithm; the id of a key is its algorithm
	jwks string                   // in the place of the true one, when set
}

func newIdentityProvider(t *testing.T, secure bool) *identityProvider {
	t.Helper()
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	es, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &identityProvider{keys: map[string]crypto.Signer{"RS256": rs, "ES256": es, "EdDSA": ed}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /issuer/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": p.issuer(), "jwks_uri": p.issuer() + "/keys"})
	})
	mux.HandleFunc("GET /liar/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": p.issuer(), "jwks_uri": p.issuer() + "/keys"})
	})
	mux.HandleFunc("GET /issuer/keys", func(w http.ResponseWriter, _ *http.Request) {
		if p.jwks != "" {
			_, _ = w.Write([]byte(p.jwks))
			return
		}
		var set jose.JSONWebKeySet
		for alg, k := range p.keys {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.Public(), KeyID: alg, Algorithm: alg, Use: "sig"})
		}
		_ = json.NewEncoder(w).Encode(set)
	})
	p.Server = httptest.NewUnstartedServer(mux)
	p.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail are what is tested
	if secure {
		p.StartTLS()
	} else {
		p.Start()
	}
	t.Cleanup(p.Close)
	return p
}

func (p *identityProvider) issuer() string { return p.URL + "/issuer" }

// token signs claims over the usual ones; a claim that is nil is left out.
func (p *identityProvider) token(t *testing.T, alg, id string, over map[string]any) string {
	t.Helper()
	now := time.Now()
	claims := map[string]any{"iss": p.issuer(), "sub": "app", "aud": "sts.amazonaws.com", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	maps.Copy(claims, over)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return p.sign(t, alg, id, p.keys[alg], claims)
}

func (p *identityProvider) sign(t *testing.T, alg, id string, k any, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: jose.JSONWebKey{Key: k, KeyID: id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(raw)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// federated is a scene with a role that trusts a provider.
func federated(url, thumbprint string) string {
	name := url[strings.Index(url, "//")+2:]
	prints := ""
	if thumbprint != "" {
		prints = ", thumbprints: [" + thumbprint + "]"
	}
	return fmt.Sprintf(`
accounts:
  - id: "111111111111"
    providers: [{url: %[1]q, clientIDs: [sts.amazonaws.com, other]%[3]s}, {url: %[4]q, clientIDs: [sts.amazonaws.com]}, {url: "http://127.0.0.1:1", clientIDs: [sts.amazonaws.com]}]
    roles:
      - name: web
        attach: [AdministratorAccess]
        trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {Federated: "arn:aws:iam::111111111111:oidc-provider/%[2]s"}, Action: ["sts:AssumeRoleWithWebIdentity", "sts:SetSourceIdentity"], Condition: {StringEquals: {"%[2]s:aud": sts.amazonaws.com, "%[2]s:sub": app}}}]}
      - name: tagged
        trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {Federated: "arn:aws:iam::111111111111:oidc-provider/%[2]s"}, Action: ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]}]}
        inline: {own: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "ec2:DescribeRegions", Resource: "*", Condition: {StringEquals: {"aws:PrincipalTag/team": blue}}}]}}
      - {name: users, trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "111111111111"}, Action: "sts:AssumeRole"}]}}
  - id: "222222222222"
    roles: [{name: web, trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {Federated: "arn:aws:iam::111111111111:oidc-provider/%[2]s"}, Action: sts:AssumeRoleWithWebIdentity}]}}]
`, url, name, prints, strings.TrimSuffix(url, "/issuer")+"/liar")
}

func (p *plane) withToken(role *string, token string) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	c := p.config(key{}, "us-east-1")
	c.Credentials = aws.AnonymousCredentials{}
	return sts.NewFromConfig(c).AssumeRoleWithWebIdentity(p.t.Context(), &sts.AssumeRoleWithWebIdentityInput{RoleArn: role, RoleSessionName: aws.String("test"), WebIdentityToken: &token})
}

func TestWebIdentity(t *testing.T) {
	t.Parallel()
	idp := newIdentityProvider(t, false)
	p := start(t, federated(idp.issuer(), ""))
	const refused = "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"
	const noJWT = "InvalidIdentityToken: The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
	const noKey = "InvalidIdentityToken: Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements"
	now := time.Now()
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tags := map[string]any{"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{"team": []string{"blue"}}, "transitive_tag_keys": []string{"team"}}}
	flat := map[string]any{"https://aws.amazon.com/tags/principal_tags/team": []string{"blue"}, "https://aws.amazon.com/tags/transitive_tag_keys": []string{"team"}}
	good := idp.token(t, "RS256", "RS256", nil)
	for name, tt := range map[string]struct {
		role  *string
		token string
		want  string
	}{
		"RS256":                           {nil, good, ""},
		"ES256":                           {nil, idp.token(t, "ES256", "ES256", nil), ""},
		"without an id of the key":        {nil, idp.token(t, "RS256", "", nil), ""},
		"several audiences":               {nil, idp.token(t, "RS256", "RS256", map[string]any{"aud": []string{"x", "sts.amazonaws.com"}}), ""},
		"a source identity":               {nil, idp.token(t, "RS256", "RS256", map[string]any{"https://aws.amazon.com/source_identity": "Ann"}), ""},
		"EdDSA":                           {nil, idp.token(t, "EdDSA", "EdDSA", nil), noJWT},
		"no token":                        {nil, "not-a-jwt", noJWT},
		"an algorithm that is none":       {nil, "eyJhbGciOiJub25lIn0." + strings.Split(good, ".")[1] + ".", noJWT},
		"another issuer":                  {nil, idp.token(t, "RS256", "RS256", map[string]any{"iss": "https://example.com"}), "InvalidIdentityToken: No OpenIDConnect provider found in your account for https://example.com"},
		"an issuer with a slash more":     {nil, idp.token(t, "RS256", "RS256", map[string]any{"iss": idp.issuer() + "/"}), "InvalidIdentityToken: No OpenIDConnect provider found in your account for " + idp.issuer() + "/"},
		"a provider of the other account": {roleARN("222222222222", "web"), good, "InvalidIdentityToken: No OpenIDConnect provider found in your account for " + idp.issuer()},
		"another audience":                {nil, idp.token(t, "RS256", "RS256", map[string]any{"aud": "x"}), "InvalidIdentityToken: Incorrect token audience"},
		"no audience":                     {nil, idp.token(t, "RS256", "RS256", map[string]any{"aud": nil}), "InvalidIdentityToken: Incorrect token audience"},
		"azp in the place of aud":         {nil, idp.token(t, "RS256", "RS256", map[string]any{"azp": "x"}), "InvalidIdentityToken: Incorrect token audience"},
		"an audience that the trust policy does not name": {nil, idp.token(t, "RS256", "RS256", map[string]any{"aud": "other"}), refused},
		"another subject":                   {nil, idp.token(t, "RS256", "RS256", map[string]any{"sub": "App"}), refused},
		"no subject":                        {nil, idp.token(t, "RS256", "RS256", map[string]any{"sub": nil}), "InvalidIdentityToken: Missing a required claim: sub"},
		"over":                              {nil, idp.token(t, "RS256", "RS256", map[string]any{"exp": now.Add(-time.Minute).Unix()}), "ExpiredTokenException: Token expired: current date/time *"},
		"without an end":                    {nil, idp.token(t, "RS256", "RS256", map[string]any{"exp": nil}), "InvalidIdentityToken: Missing a required claim: exp"},
		"not begun":                         {nil, idp.token(t, "RS256", "RS256", map[string]any{"nbf": now.Add(time.Hour).Unix()}), "InvalidIdentityToken: Token is not yet valid*"},
		"from the future":                   {nil, idp.token(t, "RS256", "RS256", map[string]any{"iat": now.Add(time.Hour).Unix()}), "InvalidIdentityToken: Token is not yet valid*"},
		"of another key":                    {nil, idp.sign(t, "RS256", "RS256", stranger, map[string]any{"iss": idp.issuer(), "sub": "app", "aud": "sts.amazonaws.com", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}), "InvalidIdentityToken: The signature of the ID Token is not valid"},
		"of a key that is not there":        {nil, idp.token(t, "RS256", "old", nil), noKey},
		"with its end cut":                  {nil, good[:len(good)-4], "InvalidIdentityToken: *"},
		"an issuer that says it is another": {nil, idp.token(t, "RS256", "RS256", map[string]any{"iss": idp.URL + "/liar"}), noKey},
		"an issuer that is away":            {nil, idp.token(t, "RS256", "RS256", map[string]any{"iss": "http://127.0.0.1:1"}), "IDPCommunicationError: *"},
		"a role for users":                  {roleARN("111111111111", "users"), good, refused},
		"a role that there is not":          {roleARN("111111111111", "nobody"), good, refused},
		"an account that there is not":      {roleARN("999999999999", "nobody"), good, refused},
		"tags":                              {roleARN("111111111111", "tagged"), idp.token(t, "RS256", "RS256", tags), ""},
		"a claim for each tag":              {roleARN("111111111111", "tagged"), idp.token(t, "RS256", "RS256", flat), ""},
		"tags that are not allowed":         {nil, idp.token(t, "RS256", "RS256", tags), "AccessDenied: Not authorized to perform sts:TagSession"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			role := tt.role
			if role == nil {
				role = roleARN("111111111111", "web")
			}
			out, err := p.withToken(role, tt.token)
			check(t, said(t, err), tt.want)
			if err == nil {
				if *out.Provider != idp.issuer() || *out.Audience != "sts.amazonaws.com" || *out.SubjectFromWebIdentityToken != "app" {
					t.Errorf("provider %s, audience %s, subject %s", *out.Provider, *out.Audience, *out.SubjectFromWebIdentityToken)
				}
				if _, err := p.ec2(temporary(out.Credentials)).DescribeRegions(t.Context(), nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestKeysOfAnIssuer(t *testing.T) {
	t.Parallel()
	const noKey = "InvalidIdentityToken: Couldn't retrieve verification key*"
	for name, jwks := range map[string]string{
		"none": `{"keys":[]}`, "no JSON": `<html>`, "no set": `[]`, "too long": `{"keys":[],"x":"` + strings.Repeat("x", 1<<20) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			idp := newIdentityProvider(t, false)
			p := start(t, federated(idp.issuer(), ""))
			idp.jwks = jwks
			_, err := p.withToken(roleARN("111111111111", "web"), idp.token(t, "ES256", "ES256", nil))
			check(t, said(t, err), noKey)
		})
	}
}

func TestCertificateOfAnIssuer(t *testing.T) {
	t.Parallel()
	idp := newIdentityProvider(t, true)
	sum := sha1.Sum(idp.Certificate().Raw)
	right := hex.EncodeToString(sum[:])
	roots := x509.NewCertPool()
	roots.AddCert(idp.Certificate())
	const mismatch = "InvalidIdentityToken: OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint"
	for name, tt := range map[string]struct {
		thumbprint string
		roots      *x509.CertPool
		want       string
	}{
		"an authority that is trusted":        {"", roots, ""},
		"the right thumbprint":                {right, x509.NewCertPool(), ""},
		"a wrong thumbprint":                  {strings.Repeat("0", 40), x509.NewCertPool(), mismatch},
		"no thumbprint":                       {"", x509.NewCertPool(), mismatch},
		"a wrong thumbprint beside authority": {strings.Repeat("0", 40), roots, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startWith(t, sandbox.Config{Roots: tt.roots}, federated(idp.issuer(), tt.thumbprint))
			_, err := p.withToken(roleARN("111111111111", "web"), idp.token(t, "ES256", "ES256", nil))
			check(t, said(t, err), tt.want)
		})
	}
}

const clusterScene = `
issuers: [cluster]
accounts:
  - id: "111111111111"
    providers: [{url: "SCHEME://{{issuer.cluster}}", clientIDs: [sts.amazonaws.com]THUMB}]
    roles:
      - name: pod
        trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {Federated: "arn:aws:iam::111111111111:oidc-provider/{{issuer.cluster}}"}, Action: sts:AssumeRoleWithWebIdentity, Condition: {StringEquals: {"{{issuer.cluster}}:sub": "system:serviceaccount:default:app"}}}]}
`

// TestOwnIssuer has the sandbox stand for the cluster, too.
func TestOwnIssuer(t *testing.T) {
	t.Parallel()
	p := start(t, strings.NewReplacer("SCHEME", "http", "THUMB", "").Replace(clusterScene))
	ownIssuer(t, p)
}

func TestOwnIssuerWithTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	s, err := sandbox.New(sandbox.Config{Base: "https://" + server.Listener.Addr().String(), Roots: x509.NewCertPool()})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = s
	if server.TLS, err = s.TLS(); err != nil {
		t.Fatal(err)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	if _, err := s.Seed([]byte(strings.NewReplacer("SCHEME", "https", "THUMB", `, thumbprints: ["{{thumbprint}}"]`).Replace(clusterScene))); err != nil {
		t.Fatal(err)
	}
	plain := httptest.NewServer(s)
	t.Cleanup(plain.Close)
	ownIssuer(t, &plane{s, t, plain.URL})
	pem, err := s.CA()
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Error("the authority's certificate is no PEM")
	}
}

func ownIssuer(t *testing.T, p *plane) {
	t.Helper()
	for name, tt := range map[string]struct {
		in   sandbox.TokenRequest
		want string
	}{
		"right":           {sandbox.TokenRequest{Subject: "system:serviceaccount:default:app"}, ""},
		"another subject": {sandbox.TokenRequest{Subject: "system:serviceaccount:default:other"}, "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		"over":            {sandbox.TokenRequest{Subject: "system:serviceaccount:default:app", Life: sandbox.Duration(-time.Hour)}, "ExpiredTokenException: *"},
		"another claim":   {sandbox.TokenRequest{Subject: "system:serviceaccount:default:app", Claims: map[string]any{"aud": "x"}}, "InvalidIdentityToken: Incorrect token audience"},
	} {
		tt.in.Issuer = "cluster"
		token, err := p.Token(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.withToken(roleARN("111111111111", "pod"), token)
		t.Log(name)
		check(t, said(t, err), tt.want)
	}
	if _, err := p.Token(sandbox.TokenRequest{Issuer: "nobody"}); err == nil {
		t.Error("an issuer that there is not made a token")
	}
}
