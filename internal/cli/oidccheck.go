package cli

import (
	"context"
	"crypto/sha1" //nolint:gosec // the thumbprint that IAM asks for is a SHA-1
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/oidc"
)

type oidcCheck struct {
	Issuer string `help:"Address to look at; the issuer's own by default." placeholder:"URL"`
}

// Help says what it cannot see.
func (*oidcCheck) Help() string {
	return "It asks from this machine. Where a name or a firewall answers the internet otherwise, run it from outside. " +
		"--ca-cert adds an authority to those of this machine; AWS trusts public authorities only, or the thumbprint of the provider."
}

// The outcomes of a step.
const (
	stepHolds  = "ok"
	stepWarns  = "warning"
	stepBreaks = "failed"
)

// checkStep is one thing that AWS does.
type checkStep struct {
	Step    string `json:"step"`
	Outcome string `json:"outcome"`
	Detail  string `json:"detail"`
	Remedy  string `json:"remedy,omitempty"`
}

type checkReport struct {
	Issuer     string      `json:"issuer"`
	Holds      bool        `json:"holds"`
	Thumbprint string      `json:"thumbprint,omitempty"` // of the certificate authority, as IAM wants it
	Steps      []checkStep `json:"steps"`
}

func (r *checkReport) add(step, outcome, detail, remedy string) {
	r.Steps = append(r.Steps, checkStep{step, outcome, detail, remedy})
}

// Run fetches discovery and key set as AWS does.
func (cmd *oidcCheck) Run(ctx context.Context, a *app) error {
	i, err := a.issuer(ctx, http.MethodGet, "/oidc", nil)
	if err != nil {
		return err
	}
	if cmd.Issuer != "" {
		i.Issuer = cmd.Issuer
	}
	own, err := a.keySet(ctx)
	if err != nil {
		return err
	}
	roots, err := a.roots()
	if err != nil {
		return err
	}
	r := lookAt(ctx, i, own, roots)
	if err := a.print(r, func() { a.showCheck(r) }); err != nil {
		return err
	}
	if !r.Holds {
		return exit{Different}
	}
	return nil
}

func (a *app) showCheck(r *checkReport) {
	a.line("%s", r.Issuer)
	for _, s := range r.Steps {
		sign, ink := "●", holds
		switch s.Outcome {
		case stepWarns:
			sign, ink = "!", warns
		case stepBreaks:
			sign, ink = "✗", breaks
		}
		a.line("  %s %s  %s", a.painted(ink, sign), s.Step, s.Detail)
		if s.Remedy != "" {
			a.line("    %s", s.Remedy)
		}
	}
	if r.Thumbprint != "" {
		a.line("  Thumbprint  %s", r.Thumbprint)
	}
}

// roots are the authorities of this machine, with that of --ca-cert.
func (a *app) roots() (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if a.CACert == "" {
		return pool, nil
	}
	pem, err := os.ReadFile(a.CACert)
	if err != nil {
		return nil, misusef("the file of --ca-cert cannot be read: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, misusef("%s holds no certificate in PEM", a.CACert)
	}
	return pool, nil
}

// lookAt does what AWS does with an issuer. It goes on after a failure where that can tell more.
func lookAt(ctx context.Context, i issuerBody, own json.RawMessage, roots *x509.CertPool) *checkReport {
	r := &checkReport{Issuer: i.Issuer}
	defer func() {
		r.Holds = !slices.ContainsFunc(r.Steps, func(s checkStep) bool { return s.Outcome == stepBreaks })
	}()
	if p := oidc.CheckIssuer(i.Issuer); p == "" {
		r.add("address", stepHolds, "AWS takes it as the URL of a provider", "")
	} else {
		r.add("address", stepBreaks, "AWS does not take it: it "+p, "Give the manager a --public-url such as https://belay.example.com, or host the documents: belay oidc export FOLDER --issuer URL")
	}
	if u, err := url.Parse(i.Issuer); err == nil {
		reachable(ctx, r, u)
	}
	f := &fetcher{roots: roots}
	defer f.close()

	text, err := f.get(ctx, i.Issuer+oidc.DiscoveryPath)
	f.certificate(r)
	if err != nil {
		r.add("discovery", stepBreaks, err.Error(), "AWS asks for "+i.Issuer+oidc.DiscoveryPath+" without a key; it must answer 200 with the document.")
		return r
	}
	var found struct {
		Issuer string `json:"issuer"`
		KeySet string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(text, &found); err != nil {
		r.add("discovery", stepBreaks, "it answers, but not with JSON", "Something else answers at this address: a login page, or a proxy.")
		return r
	}
	r.add("discovery", stepHolds, "it answers", "")
	if found.Issuer == i.Issuer {
		r.add("issuer", stepHolds, "the document names the same issuer", "")
	} else {
		r.add("issuer", stepBreaks, fmt.Sprintf("the document names %.200q", found.Issuer), "AWS compares it letter by letter. Set --public-url of the manager, or `belay oidc set --issuer`, to the address that AWS uses; an export has it in --issuer.")
	}
	keySet(ctx, r, f, found.KeySet, own, i.Keys)
	return r
}

// reachable warns of addresses that the internet does not reach.
func reachable(ctx context.Context, r *checkReport, issuer *url.URL) {
	const limit = 10 * time.Second
	host := issuer.Hostname()
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: issuer}); err == nil && proxy != nil {
		r.add("name", stepWarns, "asked through the proxy "+proxy.Host+", so what the internet sees may differ", "")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		r.add("name", stepBreaks, "the host "+host+" has no address", "Make a record for it in a public DNS zone.")
		return
	}
	for _, a := range addresses {
		if a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsUnspecified() {
			r.add("name", stepWarns, host+" is "+a.String()+" from here, which AWS cannot reach", "If the internet sees the same address, host the documents elsewhere: belay oidc export FOLDER --issuer URL")
			return
		}
	}
	r.add("name", stepHolds, host+" has a public address", "")
}

func keySet(ctx context.Context, r *checkReport, f *fetcher, at string, own json.RawMessage, keys []signingKey) {
	if u, err := url.Parse(at); err != nil || u.Scheme != "https" {
		r.add("key set address", stepBreaks, fmt.Sprintf("jwks_uri is %.200q, and AWS fetches over https only", at), "")
	}
	text, err := f.get(ctx, at)
	if err != nil {
		r.add("key set", stepBreaks, err.Error(), "AWS asks for "+at+" without a key; it must answer 200 with the key set.")
		return
	}
	served, err := keysOf(text)
	if err != nil {
		r.add("key set", stepBreaks, err.Error(), "")
		return
	}
	wanted, err := keysOf(own)
	if err != nil {
		r.add("key set", stepBreaks, "the manager's own key set cannot be read: "+err.Error(), "")
		return
	}
	r.add("key set", stepHolds, "it answers with "+count(len(served), "key", "keys"), "")
	const again = "Upload the documents again: belay oidc export FOLDER"
	outcome := stepHolds
	for _, k := range keys {
		if want, ok := wanted[k.ID]; ok && served[k.ID] != want {
			if k.State == "active" {
				outcome = stepBreaks
				r.add("keys", stepBreaks, "the key that signs now, "+k.ID+", is not there or is another: AWS refuses every token", again)
				continue
			}
			if outcome == stepHolds {
				outcome = stepWarns
			}
			r.add("keys", stepWarns, "the "+k.State+" key "+k.ID+" is not there", again)
		}
	}
	for id := range served {
		if _, ok := wanted[id]; !ok {
			outcome = stepWarns
			r.add("keys", stepWarns, "the key "+id+" is there and no longer the manager's", again)
		}
	}
	if outcome == stepHolds {
		r.add("keys", stepHolds, "they are the manager's", "")
	}
}

// keysOf are the keys of a set by their id, each as text that is the same for the same key.
func keysOf(set []byte) (map[string]string, error) {
	var all struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(set, &all); err != nil {
		return nil, errors.New("the key set is no JSON")
	}
	byID := map[string]string{}
	for _, k := range all.Keys {
		id, _ := k["kid"].(string)
		text, err := json.Marshal(k) // with its fields in order
		if err != nil {
			return nil, err
		}
		byID[id] = string(text)
	}
	return byID, nil
}

// fetcher gets documents over TLS and remembers the certificates that were shown. A chain that does not hold is told, and
// the document read all the same: both answers help, and nothing secret is sent.
type fetcher struct {
	roots  *x509.CertPool
	chain  []*x509.Certificate
	reason error // why the chain does not hold
	client *http.Client
}

func (f *fetcher) get(ctx context.Context, at string) ([]byte, error) {
	const limit, largestDocument = 10 * time.Second, 1 << 20
	if f.client == nil {
		f.client = &http.Client{
			// AWS is not known to follow redirects.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment,
				TLSClientConfig: &tls.Config{
					MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, VerifyConnection: f.verify, //nolint:gosec // verify does it, and reports
				},
			},
		}
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, fmt.Errorf("%.200q is no address", at)
	}
	res, err := f.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("it does not answer: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, largestDocument))
	switch {
	case err != nil:
		return nil, fmt.Errorf("its answer broke off: %w", err)
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("it answers %s", res.Status)
	}
	return text, nil
}

func (f *fetcher) verify(c tls.ConnectionState) error {
	if len(c.PeerCertificates) == 0 {
		f.reason = errors.New("no certificate was shown")
		return nil
	}
	f.chain = c.PeerCertificates
	between := x509.NewCertPool()
	for _, one := range c.PeerCertificates[1:] {
		between.AddCert(one)
	}
	_, f.reason = c.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: c.ServerName, Roots: f.roots, Intermediates: between})
	return nil
}

// certificate says what the certificates are worth.
func (f *fetcher) certificate(r *checkReport) {
	if len(f.chain) == 0 {
		return
	}
	leaf, top := f.chain[0], f.chain[len(f.chain)-1]
	sum := sha1.Sum(top.Raw) //nolint:gosec // the thumbprint that IAM asks for is a SHA-1
	r.Thumbprint = hex.EncodeToString(sum[:])
	var unknown x509.UnknownAuthorityError
	switch soon := 14 * 24 * time.Hour; {
	case errors.As(f.reason, &unknown):
		r.add("certificate", stepWarns, "signed by "+name(top)+", which this machine does not trust", "AWS does not trust it either, unless the provider in IAM has the thumbprint below.")
	case f.reason != nil:
		r.add("certificate", stepBreaks, f.reason.Error(), "Renew or correct the certificate.")
	case time.Until(leaf.NotAfter) < soon:
		r.add("certificate", stepWarns, "it expires "+ago(leaf.NotAfter), "Renew it.")
	default:
		r.add("certificate", stepHolds, "trusted here, signed by "+name(top)+", expires "+ago(leaf.NotAfter), "")
	}
}

func name(c *x509.Certificate) string {
	if text := strings.TrimSpace(c.Issuer.CommonName); text != "" {
		return text
	}
	return c.Issuer.String()
}

func (f *fetcher) close() {
	if f.client != nil {
		f.client.CloseIdleConnections()
	}
}
