package sandbox

import (
	"context"
	"crypto/sha1" //nolint:gosec // thumbprints of IAM's OIDC providers are SHA-1
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/internal/arn"
)

// webClaims are the claims of a web identity token that count.
type webClaims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	Party     string   `json:"azp"`
	Expires   *int64   `json:"exp"`
	NotBefore *int64   `json:"nbf"`
	Issued    *int64   `json:"iat"`
	Methods   []string `json:"amr"`
	Source    string   `json:"https://aws.amazon.com/source_identity"`
	Tags      struct {
		Principal map[string]audience `json:"principal_tags"`
		Lasting   audience            `json:"transitive_tag_keys"`
	} `json:"https://aws.amazon.com/tags"`
}

// flatTags reads the other form of session tags, which has a claim for each.
func (c *webClaims) flatTags(raw []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	for name, value := range all {
		key, isTag := strings.CutPrefix(name, "https://aws.amazon.com/tags/principal_tags/")
		isLasting := name == "https://aws.amazon.com/tags/transitive_tag_keys"
		var values audience
		if isTag || isLasting {
			if err := json.Unmarshal(value, &values); err != nil {
				return err
			}
		}
		switch {
		case isTag:
			if c.Tags.Principal == nil {
				c.Tags.Principal = map[string]audience{}
			}
			c.Tags.Principal[key] = values
		case isLasting:
			c.Tags.Lasting = append(c.Tags.Lasting, values...)
		}
	}
	return nil
}

// audience is one text or several.
type audience []string

// UnmarshalJSON reads both forms.
func (a *audience) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*a = audience{one}
		return nil
	}
	var several []string
	err := json.Unmarshal(raw, &several)
	*a = several
	return err
}

func badToken(format string, args ...any) *failure {
	return fail(http.StatusBadRequest, "InvalidIdentityToken", format, args...)
}

const (
	notJWT     = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
	noKey      = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements"
	wrongPrint = "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint"
)

// assumeRoleWithWebIdentity is called without a signature: the token is the proof.
func (c *call) assumeRoleWithWebIdentity() ([]node, error) {
	var check checks
	w := c.wish(&check)
	token := check.text(c.params, "WebIdentityToken", 4, 20000, nil)
	if err := check.err(); err != nil {
		return nil, err
	}
	if parsed, err := arn.Parse(w.roleARN); err == nil {
		c.partition = parsed.Partition // the endpoint's, in truth; here there is one for all
	}
	st := c.s.effective(c.now)
	a, r, err := c.s.roleToAssume(st, w.roleARN, c.partition)
	if err != nil {
		return nil, err
	}
	refused := &failure{sort: denied, message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"}
	holder := st.Accounts[accountIn(w.roleARN)]
	if holder == nil {
		return nil, refused
	}
	p, claims, err := c.identify(holder, token)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, refused
	}
	used := claims.Party
	if used == "" {
		used = claims.Audience[0]
		if i := slices.IndexFunc(claims.Audience, func(one string) bool { return slices.Contains(p.ClientIDs, one) }); i >= 0 {
			used = claims.Audience[i]
		}
	}
	w.tags, w.lasting, w.source = tags{}, claims.Tags.Lasting, claims.Source
	for k, v := range claims.Tags.Principal {
		if len(v) > 0 {
			w.tags[k] = v[0]
		}
	}
	condition := c.webContext(a, r, p, claims, w, used)
	actions := []string{"sts:AssumeRoleWithWebIdentity"}
	if len(w.tags) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	if w.source != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	for _, action := range actions {
		ok, err := st.trusts(a, r, iam.FederatedPrincipal(a.providerARN(p.URL)), action, condition)
		if err != nil {
			return nil, err
		}
		if !ok {
			refused.message = "Not authorized to perform " + action
			return nil, refused
		}
	}
	s, packed, err := c.session(a, r, w)
	if err != nil {
		return nil, err
	}
	s.Web = web{a.providerARN(p.URL), used, claims.Subject}
	keys, err := c.s.sealer.issue(s)
	if err != nil {
		return nil, err
	}
	return append(assumed(a, r, w, keys, packed),
		leaf("Provider", claims.Issuer), leaf("Audience", used), leaf("SubjectFromWebIdentityToken", claims.Subject)), nil
}

// webContext are the condition keys that a trust policy sees.
func (c *call) webContext(a *account, r *role, p *provider, claims webClaims, w wish, used string) map[string][]string {
	out := map[string][]string{
		p.URL + ":aud": {used}, p.URL + ":sub": {claims.Subject}, p.URL + ":iss": {claims.Issuer},
		"aws:FederatedProvider": {a.providerARN(p.URL)}, "sts:RoleSessionName": {w.name},
		"aws:RequestedRegion": {c.region}, "aws:CurrentTime": {c.now.Format("2006-01-02T15:04:05Z")}, "aws:SecureTransport": {"true"},
		"aws:ResourceAccount": {a.ID},
	}
	if claims.Party != "" && len(claims.Audience) > 0 {
		out[p.URL+":oaud"] = claims.Audience
	}
	if len(claims.Methods) > 0 {
		out[p.URL+":amr"] = claims.Methods
	}
	if w.source != "" {
		out["sts:SourceIdentity"] = []string{w.source}
	}
	if len(w.lasting) > 0 {
		out["sts:TransitiveTagKeys"] = w.lasting
	}
	tagContext(out, w.tags)
	for k, v := range r.Tags {
		out["aws:ResourceTag/"+k] = []string{v}
	}
	if host, _, err := net.SplitHostPort(c.r.RemoteAddr); err == nil {
		out["aws:SourceIp"] = []string{host}
	}
	return out
}

// identify checks a token against the providers of an account: issuer, audience, key, signature, times, subject.
func (c *call) identify(a *account, token string) (*provider, webClaims, error) {
	var claims webClaims
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512})
	if err != nil {
		return nil, claims, badToken(notJWT)
	}
	payload := jws.UnsafePayloadWithoutVerification() // what counts of it is verified below
	if json.Unmarshal(payload, &claims) != nil || claims.flatTags(payload) != nil {
		return nil, claims, badToken(notJWT)
	}
	p := a.providerOf(claims.Issuer)
	if p == nil {
		return nil, claims, badToken("No OpenIDConnect provider found in your account for %s", clip(claims.Issuer))
	}
	given := []string(claims.Audience)
	if claims.Party != "" {
		given = []string{claims.Party}
	}
	if !slices.ContainsFunc(given, func(one string) bool { return slices.Contains(p.ClientIDs, one) }) {
		return nil, claims, badToken("Incorrect token audience")
	}
	keys, err := c.s.verificationKeys(c.ctx(), claims.Issuer, p.Thumbprints)
	if err != nil {
		return nil, claims, err
	}
	if err := verifyToken(jws, keys); err != nil {
		return nil, claims, err
	}
	return p, claims, checkTimes(claims, c.now)
}

// providerOf finds the provider of an issuer. The two are compared letter by letter.
func (a *account) providerOf(issuer string) *provider {
	u, err := url.Parse(issuer)
	if err != nil || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil
	}
	return a.Providers[strings.TrimPrefix(strings.TrimPrefix(issuer, "https://"), "http://")]
}

// loopback says that a host is this machine: the only place where an issuer may do without TLS.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func verifyToken(jws *jose.JSONWebSignature, keys *jose.JSONWebKeySet) error {
	id := jws.Signatures[0].Header.KeyID
	candidates := keys.Keys
	if id != "" {
		if candidates = keys.Key(id); len(candidates) == 0 {
			return badToken(noKey)
		}
	}
	for _, k := range candidates {
		if _, err := jws.Verify(k); err == nil {
			return nil
		}
	}
	return badToken("The signature of the ID Token is not valid")
}

// checkTimes allows no leeway: both clocks are this machine's, or the test's that set them.
func checkTimes(claims webClaims, now time.Time) error {
	var missing []string
	for name, there := range map[string]bool{"sub": claims.Subject != "", "exp": claims.Expires != nil, "iat": claims.Issued != nil} {
		if !there {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	switch {
	case len(missing) > 0:
		return badToken("Missing a required claim: %s", strings.Join(missing, ", "))
	case now.Unix() >= *claims.Expires:
		return fail(http.StatusBadRequest, "ExpiredTokenException", "Token expired: current date/time %d must be before the expiration date/time %d", now.Unix(), *claims.Expires)
	case *claims.Issued > now.Unix():
		return badToken("Token is not yet valid: it was issued at %d, and the current date/time is %d", *claims.Issued, now.Unix())
	case claims.NotBefore != nil && *claims.NotBefore > now.Unix():
		return badToken("Token is not yet valid: it may not be used before %d, and the current date/time is %d", *claims.NotBefore, now.Unix())
	case len(claims.Subject) > 255:
		return badToken("The subject is over 255 characters")
	}
	return nil
}

const (
	issuerTimeout = 5 * time.Second
	maxDiscovery  = 1 << 20
	maxKeys       = 100 // of each kind
)

var errThumbprint = errors.New("neither an authority nor a thumbprint vouches for the issuer's certificate")

// verificationKeys fetches the keys of an issuer: every time, so that a rotation is seen at once.
func (s *Server) verificationKeys(ctx context.Context, issuer string, prints []string) (*jose.JSONWebKeySet, error) {
	ctx, cancel := context.WithTimeout(ctx, issuerTimeout)
	defer cancel()
	at, err := url.Parse(issuer)
	if err != nil {
		return nil, badToken(noKey)
	}
	host := at.Hostname()
	client := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment, TLSClientConfig: s.issuerTLS(host, prints)},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // an issuer answers for itself
		},
	}
	var discovery struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := fetch(ctx, client, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", &discovery); err != nil {
		return nil, s.unreachable(ctx, issuer, err)
	}
	where, err := url.Parse(discovery.Keys)
	elsewhere := err == nil && where.Hostname() != host && net.ParseIP(where.Hostname()) != nil // no name to check a certificate by
	if err != nil || discovery.Issuer != issuer || where.Scheme != "https" && !loopback(where.Hostname()) || elsewhere {
		return nil, badToken(noKey)
	}
	var keys jose.JSONWebKeySet
	if err := fetch(ctx, client, discovery.Keys, &keys); err != nil {
		return nil, s.unreachable(ctx, issuer, err)
	}
	count := map[string]int{}
	for _, k := range keys.Keys {
		count[fmt.Sprintf("%T", k.Key)]++
	}
	if len(keys.Keys) == 0 || slices.Max(slices.Collect(maps.Values(count))) > maxKeys {
		return nil, badToken(noKey)
	}
	return &keys, nil
}

// unreachable says in STS's words why the keys could not be had. The true reason is in the log.
func (s *Server) unreachable(ctx context.Context, issuer string, err error) error {
	s.log.WarnContext(ctx, "an issuer's keys could not be fetched", slog.String("issuer", issuer), slog.Any("error", err))
	var network net.Error
	switch {
	case errors.Is(err, errThumbprint):
		return badToken(wrongPrint)
	case errors.As(err, &network):
		return fail(http.StatusBadRequest, "IDPCommunicationError", "%s", noKey)
	}
	return badToken(noKey)
}

func fetch(ctx context.Context, client *http.Client, from string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", from, res.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxDiscovery+1))
	if err != nil {
		return err
	}
	if len(raw) > maxDiscovery {
		return fmt.Errorf("%s answers more than %d bytes", from, maxDiscovery)
	}
	return json.Unmarshal(raw, into)
}

// issuerTLS trusts whom the authorities vouch for; where they do not, whoever shows a chain that ends in a certificate
// of one of the thumbprints.
func (s *Server) issuerTLS(host string, prints []string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection does it, with the thumbprints as a second way
		VerifyConnection: func(cs tls.ConnectionState) error {
			chain := cs.PeerCertificates
			between := x509.NewCertPool()
			for _, c := range chain[1:] {
				between.AddCert(c)
			}
			name := cs.ServerName
			if name == "" { // an address is not sent as a name
				name = host
			}
			options := x509.VerifyOptions{Roots: s.config.Roots, Intermediates: between, DNSName: name}
			if _, err := chain[0].Verify(options); err == nil {
				return nil
			}
			top := chain[len(chain)-1]
			sum := sha1.Sum(top.Raw) //nolint:gosec // see the import
			if !slices.ContainsFunc(prints, func(p string) bool { return strings.EqualFold(p, hex.EncodeToString(sum[:])) }) {
				return errThumbprint
			}
			options.Roots = x509.NewCertPool()
			options.Roots.AddCert(top)
			if _, err := chain[0].Verify(options); err != nil {
				return errors.Join(errThumbprint, err)
			}
			return nil
		},
	}
}
