package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

// client asks a manager. It knows both of its APIs: /ng/api with its envelopes, and /belay/v1.
type client struct {
	endpoint string // without a slash at the end
	key      secret.Value
	account  string
	http     *http.Client
	version  string
	timeout  time.Duration // of one call; 0: none
	debug    io.Writer     // nil: say nothing
}

// refusal is an answer of the manager that is no success.
type refusal struct {
	status   int
	message  string
	id       string    // BLY-nnnn, where there is a page
	gone     bool      // the thing is not there
	problems []problem // of single fields
	endpoint string
}

type problem struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

func (r *refusal) Error() string {
	var b strings.Builder
	switch r.status {
	case http.StatusUnauthorized:
		b.WriteString("the manager at " + r.endpoint + " does not know this API key, or it was revoked or has expired. Set BELAY_API_KEY to a valid one, or choose another --profile.")
	default:
		b.WriteString(strings.TrimSuffix(r.message, "."))
	}
	for _, p := range r.problems {
		b.WriteString("\n  " + strings.TrimPrefix(p.Path+": "+p.Message, ": "))
	}
	if r.id != "" {
		b.WriteString("\n  " + r.endpoint + "/docs/errors/" + r.id)
	}
	return b.String()
}

func (r *refusal) code() int {
	switch {
	case r.status == http.StatusUnauthorized, r.status == http.StatusForbidden:
		return Refused
	case r.status == http.StatusBadRequest && len(r.problems) > 0, r.status == http.StatusRequestEntityTooLarge:
		return Misused
	}
	return Failed
}

// absent reports whether a thing that was asked for is not there.
func absent(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.gone
}

// client finds the manager: flags and variables first, then the profile.
func (a *app) client() (*client, error) {
	if a.found != nil {
		return a.found, nil
	}
	c := &client{endpoint: a.Endpoint, key: secret.NewValue(strings.TrimSpace(a.APIKey)), account: a.Account, version: a.Version, timeout: a.Timeout}
	if c.endpoint != "" {
		if err := checkEndpoint(c.endpoint); err != nil {
			return nil, err
		}
	}
	if c.endpoint == "" || c.key.IsZero() {
		p, err := a.profile()
		if err != nil {
			return nil, err
		}
		switch {
		case p == nil && c.endpoint == "":
			return nil, misusef("no manager is named. Start one with `belay up`, which also writes a profile, or set BELAY_ENDPOINT and BELAY_API_KEY.")
		case p == nil:
			return nil, misusef("no API key is given for %s. Set BELAY_API_KEY.", c.endpoint)
		}
		// A key belongs to one manager: it is not sent to another.
		switch {
		case c.endpoint == "":
			c.endpoint = p.Endpoint
		case strings.TrimRight(c.endpoint, "/") != strings.TrimRight(p.Endpoint, "/"):
			return nil, misusef("no API key is given for %s; the one in the profile belongs to %s. Set BELAY_API_KEY.", c.endpoint, p.Endpoint)
		}
		if a.CACert == "" {
			a.CACert = p.CACert
		}
		if c.key.IsZero() {
			c.key = secret.NewValue(strings.TrimSpace(p.APIKey))
			if c.account == "" {
				c.account = p.Account
			}
		}
	}
	if err := checkEndpoint(c.endpoint); err != nil {
		return nil, err
	}
	if strings.ContainsFunc(c.key.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, misusef("the API key is none: it holds a character that no key has. Check BELAY_API_KEY.")
	}
	var err error
	c.endpoint = strings.TrimRight(c.endpoint, "/")
	if c.account == "" {
		c.account = accountOf(c.key)
	}
	if c.http, err = a.transport(); err != nil {
		return nil, err
	}
	if a.Debug {
		c.debug = a.Err
	}
	a.found = c
	return c, nil
}

func checkEndpoint(text string) error {
	at, err := url.Parse(text)
	if err == nil && at.User != nil { // not repeated
		return misusef("the address of the manager holds a user or a password; a manager takes nothing but an API key")
	}
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" {
		return misusef("%q is not the address of a manager; one looks like http://127.0.0.1:7990", text)
	}
	return nil
}

// accountOf is the account inside a key: pat.<account>.<id>.<secret>.
func accountOf(key secret.Value) string {
	parts := strings.Split(key.Reveal(), ".")
	if len(parts) != 4 {
		return ""
	}
	return parts[1]
}

func (a *app) transport() (*http.Client, error) {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultClient, nil
	}
	t = t.Clone()
	if a.CACert != "" {
		pem, err := os.ReadFile(a.CACert)
		if err != nil {
			return nil, misusef("the certificate of --ca-cert or of the profile cannot be read: %w", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, misusef("%s holds no certificate in PEM", a.CACert)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	// A redirect could carry the key elsewhere.
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// at is the scope of the flags as a query.
func (a *app) at() url.Values {
	q := url.Values{}
	if a.Org != "" {
		q.Set("orgIdentifier", a.Org)
	}
	if a.Project != "" {
		q.Set("projectIdentifier", a.Project)
	}
	return q
}

// scoped refuses a project without its organization.
func (a *app) scoped() error {
	if a.Project != "" && a.Org == "" {
		return misusef("--project %s needs --org: a project belongs to an organization", a.Project)
	}
	return nil
}

// inhabited fails when a list is empty because its scope is not there. The lists of the API do not say so.
func (a *app) inhabited(ctx context.Context, n int) error {
	if n > 0 || a.Org == "" {
		return nil
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	path, q := "/organizations/"+url.PathEscape(a.Org), url.Values{}
	if a.Project != "" {
		path = "/projects/" + url.PathEscape(a.Project)
		q.Set("orgIdentifier", a.Org)
	}
	if err := c.ng(ctx, http.MethodGet, path, q, nil, nil); absent(err) {
		return err
	}
	return nil // it is there, or this key may not see it
}

func query(at scope.Scope) url.Values {
	return (&app{options: options{Org: at.Org, Project: at.Project}}).at()
}

// largest bounds an answer that is kept in memory.
const largest = 64 << 20

// ng calls the NextGen API and gives what its envelope holds.
func (c *client) ng(ctx context.Context, method, path string, q url.Values, body, out any) error {
	if q == nil {
		q = url.Values{}
	}
	q.Set("accountIdentifier", c.account)
	var envelope struct {
		Data     json.RawMessage `json:"data"`
		Resource json.RawMessage `json:"resource"`
	}
	if err := c.call(ctx, method, "/ng/api"+path, q, body, &envelope); err != nil {
		return err
	}
	if out == nil {
		return nil
	}
	inner := envelope.Data
	if inner == nil {
		inner = envelope.Resource
	}
	if err := json.Unmarshal(inner, out); err != nil {
		return fmt.Errorf("the manager's answer to %s %s cannot be read: %w", method, path, err)
	}
	return nil
}

// v1 calls Belay's own API.
func (c *client) v1(ctx context.Context, method, path string, q url.Values, body, out any) error {
	return c.call(ctx, method, "/belay/v1"+path, q, body, out)
}

func (c *client) call(ctx context.Context, method, path string, q url.Values, body, out any) error {
	var text io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		text = bytes.NewReader(encoded)
	}
	at := c.endpoint + path
	if len(q) > 0 {
		at += "?" + q.Encode()
	}
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("%w within %s", errNoAnswer, c.timeout))
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, method, at, text)
	if err != nil {
		return misuse(err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "belay/"+c.version)
	req.Header.Set("X-Api-Key", c.key.Reveal())
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return c.unreached(ctx, err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, largest))
	if err != nil {
		return c.unreached(ctx, err)
	}
	if c.debug != nil {
		_, _ = fmt.Fprintf(c.debug, "%s %s: %s, %d bytes\n", method, at, res.Status, len(answer))
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return c.refused(res, answer)
	}
	if out == nil || len(answer) == 0 {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s answers, but not as a manager does: %w. Check the address", c.endpoint, err)
	}
	return nil
}

// unreached says in a sentence why there is no answer.
func (c *client) unreached(ctx context.Context, err error) error {
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var record tls.RecordHeaderError
	switch {
	case ctx.Err() != nil:
		if cause := context.Cause(ctx); errors.Is(cause, errNoAnswer) {
			return fmt.Errorf("%w; %s is still at work or cannot be reached. --timeout sets how long to wait", cause, c.endpoint)
		}
		return errInterrupted
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no manager answers at %s. Start one with `belay up`, or set BELAY_ENDPOINT to where it is", c.endpoint)
	case errors.As(err, &dns):
		return fmt.Errorf("the host %s has no address. Check BELAY_ENDPOINT", dns.Name)
	case errors.As(err, &unknown):
		return fmt.Errorf("the certificate of %s is signed by an authority that this machine does not trust. Give its certificate with --ca-cert", c.endpoint)
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("%s does not speak TLS. Use http:// in BELAY_ENDPOINT", c.endpoint)
	}
	return fmt.Errorf("the manager at %s cannot be reached: %w", c.endpoint, err)
}

// refused reads why: the error of the NextGen API, or a problem of Belay's own.
func (c *client) refused(res *http.Response, answer []byte) error {
	var body struct {
		Message string `json:"message"`
		Detail  string `json:"detail"`
		Title   string `json:"title"`
		Code    string `json:"code"`
		Errors  []struct {
			Field string `json:"fieldId"`
			Error string `json:"error"`
		} `json:"errors"`
		Problems []problem `json:"problems"`
	}
	r := &refusal{status: res.StatusCode, endpoint: c.endpoint}
	if json.Unmarshal(answer, &body) != nil {
		r.message = fmt.Sprintf("%s answers %s, but not as a manager does. Check the address", c.endpoint, res.Status)
		return r
	}
	for _, text := range []string{body.Detail, body.Message, body.Title, res.Status} {
		if text != "" {
			r.message = text
			break
		}
	}
	r.problems = body.Problems
	for _, e := range body.Errors {
		r.problems = append(r.problems, problem{e.Field, e.Error})
	}
	if len(r.problems) > 0 { // which the detail repeats in one line
		r.message = "the manager refuses the input:"
	}
	if strings.HasPrefix(body.Code, "BLY-") {
		r.id = body.Code
	}
	r.gone = res.StatusCode == http.StatusNotFound || body.Code == "RESOURCE_NOT_FOUND_EXCEPTION" || body.Code == "ENTITY_NOT_FOUND"
	return r
}

// page is a page of the NextGen API.
type page[T any] struct {
	Content    []T `json:"content"`
	TotalPages int `json:"totalPages"`
}

// pages reads all pages of a listing.
func pages[T any](ctx context.Context, c *client, method, path string, q url.Values, body any) ([]T, error) {
	const size = "100"
	all := []T{}
	for i := 0; ; i++ {
		q.Set("pageIndex", strconv.Itoa(i))
		q.Set("pageSize", size)
		q.Set("page", q.Get("pageIndex")) // some lists call it so
		q.Set("size", size)
		var p page[T]
		if err := c.ng(ctx, method, path, q, body, &p); err != nil {
			return nil, err
		}
		all = append(all, p.Content...)
		if len(p.Content) == 0 || i+1 >= p.TotalPages {
			return all, nil
		}
	}
}

// cursor is a page of Belay's own API.
type cursor[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// items reads a listing of Belay's own API, at most so many; 0 means all.
func items[T any](ctx context.Context, c *client, path string, q url.Values, most int) ([]T, error) {
	all := []T{}
	for {
		if most > 0 {
			q.Set("limit", strconv.Itoa(min(most-len(all), 100)))
		}
		var p cursor[T]
		if err := c.v1(ctx, http.MethodGet, path, q, nil, &p); err != nil {
			return nil, err
		}
		all = append(all, p.Items...)
		if p.Next == "" || len(p.Items) == 0 || most > 0 && len(all) >= most {
			return all, nil
		}
		q.Set("cursor", p.Next)
	}
}
