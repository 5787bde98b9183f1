package oidc

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// DefaultAudience is what AWS's own tools expect in a token.
const DefaultAudience = "sts.amazonaws.com"

// Where the documents lie below an issuer's address. The key set is advertised without the hyphen, as existing trust
// relationships have it.
const (
	DiscoveryPath    = "/.well-known/openid-configuration"
	KeySetPath       = "/.wellknown/jwks"
	KeySetHyphenPath = "/.well-known/jwks"
)

// How long others may keep the documents. A key set may be kept far shorter than any key is published ahead.
const (
	DiscoveryMaxAge = time.Hour
	KeySetMaxAge    = 5 * time.Minute
)

// Settings are what an administrator set for an account's issuer.
type Settings struct {
	Account   string
	Issuer    string // where the documents are hosted, when that is not the manager; empty: the manager
	Audience  string // empty: DefaultAudience
	UpdatedAt time.Time
}

// Issuer is an account's issuer in force.
type Issuer struct {
	URL      string // the iss of its tokens, without a slash at its end
	Own      string // the address at the manager; the same, unless the documents are hosted elsewhere
	Audience string
	Enhanced bool // the subject names organization and project
}

// Hosted reports whether the documents are hosted elsewhere.
func (i Issuer) Hosted() bool { return i.URL != i.Own }

// Path is where an account's issuer lies below the manager's address.
func Path(account string) string { return "/ng/api/oidc/account/" + account }

func (s *Service) issuer(ctx context.Context, account string) (Issuer, error) {
	set, err := s.Store.OIDCSettings(ctx, account)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return Issuer{}, err
	}
	enhanced, err := s.Flags.On(ctx, account, flagEnhanced)
	if err != nil {
		return Issuer{}, err
	}
	own := s.URL() + Path(account)
	return Issuer{URL: cmp.Or(set.Issuer, own), Own: own, Audience: cmp.Or(set.Audience, DefaultAudience), Enhanced: enhanced}, nil
}

// View is an account's issuer with its keys.
type View struct {
	Issuer Issuer
	Keys   []Published // by age, oldest first; without those that are gone
}

// View shows an account's issuer.
func (s *Service) View(ctx context.Context, who audit.Caller) (View, error) {
	if err := s.Audit.Allow(ctx, who, audit.OIDCRead, scope.Scope{Account: who.Account}, "oidc"); err != nil {
		return View{}, err
	}
	return s.view(ctx, who.Account)
}

func (s *Service) view(ctx context.Context, account string) (View, error) {
	issuer, err := s.issuer(ctx, account)
	if err != nil {
		return View{}, err
	}
	keys, err := s.keys(ctx, account)
	if err != nil {
		return View{}, err
	}
	v := View{Issuer: issuer}
	for _, p := range s.publish(keys, s.Now()) {
		if p.State != Gone {
			p.Key.Sealed = ""
			v.Keys = append(v.Keys, p)
		}
	}
	return v, nil
}

// Configure sets where the documents are hosted and whom tokens are for. Tokens have the new issuer from then on.
func (s *Service) Configure(ctx context.Context, who audit.Caller, set Settings) (View, error) {
	set.Account = who.Account
	var problems fault.Problems
	if set.Issuer != "" {
		if p := CheckIssuer(set.Issuer); p != "" {
			problems.Add("issuer", p)
		}
	}
	if set.Audience != "" {
		if p := checkAudience(set.Audience); p != "" {
			problems.Add("audience", p)
		}
	}
	detail := "" // what is wrong has no bound, so it stays out of the log
	if len(problems) == 0 {
		detail = "issuer " + cmp.Or(set.Issuer, "the manager") + ", audience " + cmp.Or(set.Audience, DefaultAudience)
	}
	if err := s.Audit.AllowWith(ctx, who, audit.OIDCSet, scope.Scope{Account: who.Account}, "oidc", detail); err != nil {
		return View{}, err
	}
	if err := problems.Err(); err != nil {
		return View{}, err
	}
	set.UpdatedAt = s.Now().UTC()
	if err := s.Store.SaveOIDCSettings(ctx, set); err != nil {
		return View{}, err
	}
	return s.view(ctx, who.Account)
}

// maxText is the longest issuer or audience that AWS takes, in characters.
const maxText = 255

// CheckIssuer says why AWS could not use the address of an issuer, or "".
func CheckIssuer(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return fmt.Sprintf("%.80q is no address; one looks like https://example.com/belay", text)
	case u.Scheme != "https":
		return "must begin with https://, since AWS fetches it that way"
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil:
		return "has a query, a fragment or a user, which AWS refuses"
	case u.Port() != "":
		return "has a port, which AWS refuses"
	case strings.HasSuffix(text, "/"):
		return "ends with a slash; AWS compares it letter by letter, so leave the slash out everywhere"
	case len(text) > maxText:
		return fmt.Sprintf("has %d characters, and AWS takes %d", len(text), maxText)
	}
	return ""
}

func checkAudience(text string) string {
	if len(text) > maxText {
		return fmt.Sprintf("has %d characters, and AWS takes %d", len(text), maxText)
	}
	for _, r := range text {
		if r <= ' ' || r > '~' {
			return "holds a blank or a character that is not ASCII"
		}
	}
	return ""
}

// Discovery is the document that says where the keys of an issuer are.
type Discovery struct {
	Issuer        string   `json:"issuer"`
	KeySet        string   `json:"jwks_uri"`
	SubjectTypes  []string `json:"subject_types_supported"`
	ResponseTypes []string `json:"response_types_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
	Claims        []string `json:"claims_supported"`
	Scopes        []string `json:"scopes_supported"`
}

// NewDiscovery is the document of an issuer at an address.
func NewDiscovery(issuer string) Discovery {
	return Discovery{
		Issuer: issuer, KeySet: issuer + KeySetPath, SubjectTypes: []string{"public"}, ResponseTypes: []string{"id_token"},
		Algorithms: []string{string(RS256), string(ES256)},
		Claims: []string{
			"sub", "iss", "aud", "exp", "iat", "account_id", "organization_id", "project_id", "connector_id", "connector_name",
			"context", "https://aws.amazon.com/tags",
		},
		Scopes: []string{"openid"},
	}
}

// Discovery is an account's discovery document, for everybody. It fails with NotFound when there is no such account.
func (s *Service) Discovery(ctx context.Context, account string) ([]byte, error) {
	if err := s.Store.AccountExists(ctx, account); err != nil {
		return nil, err
	}
	issuer, err := s.issuer(ctx, account)
	if err != nil {
		return nil, err
	}
	return document(NewDiscovery(issuer.URL))
}

// KeySet is an account's key set, for everybody: the keys that sign, that did and that will. It fails with NotFound when
// there is no such account.
func (s *Service) KeySet(ctx context.Context, account string) ([]byte, error) {
	keys, err := s.keys(ctx, account)
	if err != nil {
		return nil, err
	}
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: []json.RawMessage{}}
	for _, p := range s.publish(keys, s.Now()) {
		if p.State != Gone {
			set.Keys = append(set.Keys, json.RawMessage(p.Key.Public))
		}
	}
	return document(set)
}

func document(v any) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return text.Bytes(), err
}
