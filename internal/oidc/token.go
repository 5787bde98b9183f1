package oidc

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

// The flags that the tokens follow.
const (
	flagOIDC     = "CDS_AWS_OIDC_AUTHENTICATION"
	flagEnhanced = "PL_OIDC_ENHANCED_SUBJECT_FIELD"
)

// Context is what a token is used for.
type Context string

// The contexts.
const (
	ConnectorValidation   Context = "CONNECTOR_VALIDATION"   // a connector is set up or tested
	PipelineConfiguration Context = "PIPELINE_CONFIGURATION" // a deployment is being described: names are listed
	PipelineExecution     Context = "PIPELINE_EXECUTION"     // a deployment runs
	PerpetualTask         Context = "PERPETUAL_TASK"         // Belay does it on its own, now and again
)

// Contexts are all of them.
func Contexts() []Context {
	return []Context{ConnectorValidation, PipelineConfiguration, PipelineExecution, PerpetualTask}
}

// Use is what a token is minted for: one connector, one purpose, one task.
type Use struct {
	Scope         scope.Scope
	ConnectorID   string
	ConnectorName string
	Context       Context
	TagKeys       []string  // the claims that become session tags
	Selectors     []string  // the delegate selectors of the connector
	By            string    // who caused it
	Until         time.Time // when the task is over at the latest; zero: not known
}

// UseOf is a use of a connector. ok is false when its credentials do not come from the issuer.
func UseOf(c connector.Connector, context Context, by string, until time.Time) (_ Use, ok bool) {
	credential, ok := c.Credential.(connector.OIDC)
	return Use{
		Scope: c.Scope, ConnectorID: c.ID, ConnectorName: c.Name, Context: context, TagKeys: credential.SessionTagKeys,
		Selectors: c.Selectors, By: by, Until: until,
	}, ok
}

// Token is a signed token.
type Token struct {
	Text      secret.Value
	Claims    []byte // JSON, as they are in the token
	Says      string // the same for tokens that say the same but for their times
	KeyID     string
	ExpiresAt time.Time
}

// claims are a token's, in the order that readers know.
type claims struct {
	Subject       string  `json:"sub"`
	Issuer        string  `json:"iss"`
	Audience      string  `json:"aud"`
	ExpiresAt     int64   `json:"exp"`
	IssuedAt      int64   `json:"iat"`
	Account       string  `json:"account_id"`
	Organization  string  `json:"organization_id,omitempty"`
	Project       string  `json:"project_id,omitempty"`
	ConnectorID   string  `json:"connector_id"`
	ConnectorName string  `json:"connector_name"`
	Context       Context `json:"context"`
	Tags          *tags   `json:"https://aws.amazon.com/tags,omitempty"`
}

// tags are session tags as AWS reads them in a web identity token. Every tag is transitive: it goes on to the role that is
// assumed next.
type tags struct {
	Principal  map[string][]string `json:"principal_tags"`
	Transitive []string            `json:"transitive_tag_keys"`
}

// Subject is the sub of a scope's tokens.
func Subject(at scope.Scope, enhanced bool) string {
	if !enhanced {
		return at.Account
	}
	return "account/" + at.Account + ":org/" + at.Org + ":project/" + at.Project
}

// What AWS takes of a subject, in characters.
const minSubject, maxSubject = 6, 255

// Mint signs a token. Authorization and audit belong to what the token is for.
func (s *Service) Mint(ctx context.Context, u Use) (_ Token, err error) {
	began := time.Now()
	defer func() { s.Metrics.minted(time.Since(began), err) }()
	defer fault.Wrap(&err, "mint an OIDC token for connector %s", u.Scope.Path(u.ConnectorID))
	issuer, err := s.issuer(ctx, u.Scope.Account)
	if err != nil {
		return Token{}, err
	}
	now := s.Now().UTC().Truncate(time.Second)
	c, err := u.claims(issuer, now)
	if err != nil {
		return Token{}, err
	}
	keys, err := s.keys(ctx, u.Scope.Account)
	if err != nil {
		return Token{}, err
	}
	key := active(keys, s.Now())
	signer, err := s.signer(key)
	if err != nil {
		return Token{}, err
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return Token{}, err
	}
	says, err := c.says()
	if err != nil {
		return Token{}, err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return Token{}, err
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		return Token{}, err
	}
	// AWS's limit; claims are bounded by the bounds of a connector, so this is for the day when they are not.
	const longest = 20_000
	if len(text) > longest {
		return Token{}, fault.New(fault.Invalid, "the token has %d characters and AWS takes %d; choose fewer session tags", len(text), longest)
	}
	t := Token{Text: secret.NewValue(text), Claims: payload, Says: says, KeyID: key.ID, ExpiresAt: time.Unix(c.ExpiresAt, 0).UTC()}
	s.Log.DebugContext(ctx, "oidc token minted", slog.String("connector", u.Scope.Path(u.ConnectorID)), slog.String("context", string(u.Context)),
		slog.String("key", key.ID), slog.Time("expires", t.ExpiresAt))
	return t, nil
}

func (u Use) claims(issuer Issuer, now time.Time) (claims, error) {
	if !slices.Contains(Contexts(), u.Context) {
		return claims{}, fault.New(fault.Invalid, "%q is no context of a token; use one of %s", string(u.Context), contextWords())
	}
	subject := Subject(u.Scope, issuer.Enhanced)
	if n := len(subject); u.Scope.Account == "" || u.ConnectorID == "" || n < minSubject || n > maxSubject {
		return claims{}, fault.New(fault.Invalid, "the subject %.60q… has %d characters, and AWS takes %d to %d; shorten the identifiers of organization and project, or turn the flag %s off", subject, n, minSubject, maxSubject, flagEnhanced)
	}
	until := u.Until
	if least := now.Add(MinLifetime); until.Before(least) {
		until = least
	}
	if most := now.Add(MaxLifetime); until.After(most) {
		until = most
	}
	c := claims{
		Subject: subject, Issuer: issuer.URL, Audience: issuer.Audience, IssuedAt: now.Unix(), ExpiresAt: until.Unix(),
		Account: u.Scope.Account, Organization: u.Scope.Org, Project: u.Scope.Project,
		ConnectorID: u.ConnectorID, ConnectorName: u.ConnectorName, Context: u.Context,
	}
	if principal, _ := u.tags(); len(principal) > 0 {
		t := &tags{Principal: map[string][]string{}}
		for _, key := range u.TagKeys {
			if value, ok := principal[key]; ok {
				t.Principal[key], t.Transitive = []string{value}, append(t.Transitive, key)
			}
		}
		c.Tags = t
	}
	return c, nil
}

// says is a digest of everything but the times.
func (c claims) says() (string, error) {
	c.IssuedAt, c.ExpiresAt = 0, 0
	text, err := json.Marshal(c)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), err
}

// tags are the values of the chosen keys, without those that have none here, and the keys that AWS would refuse for their
// value. Those are left out rather than mended: two values that differ must not become one tag, and a condition on a tag
// that is not there denies.
func (u Use) tags() (principal map[string]string, refused []string) {
	values := map[string]string{
		"account_id": u.Scope.Account, "organization_id": u.Scope.Org, "project_id": u.Scope.Project,
		"connector_id": u.ConnectorID, "connector_name": u.ConnectorName, "context": string(u.Context), "triggered_by_name": u.By,
	}
	if len(u.Selectors) > 0 {
		values["delegate_selectors"] = "+" + strings.Join(u.Selectors, "+") + "+"
	}
	principal = map[string]string{}
	for _, key := range u.TagKeys {
		switch value := values[key]; {
		case value == "":
		case taggable(value):
			principal[key] = value
		default:
			refused = append(refused, key)
		}
	}
	return principal, refused
}

// taggable reports whether AWS takes a text as the value of a session tag.
func taggable(value string) bool {
	const most = 256
	n := 0
	for _, r := range value {
		n++
		if !unicode.In(r, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", r) {
			return false
		}
	}
	return n <= most
}

// MintFor gives a token of a connector to an administrator, who looks at it or tries it by hand.
func (s *Service) MintFor(ctx context.Context, who audit.Caller, at scope.Scope, id string, purpose Context) (Token, error) {
	purpose = cmp.Or(purpose, ConnectorValidation)
	detail, known := string(purpose), slices.Contains(Contexts(), purpose)
	if !known {
		detail = ""
	}
	if err := s.Audit.AllowWith(ctx, who, audit.OIDCToken, at, "connector/"+id, detail); err != nil {
		return Token{}, err
	}
	if !known {
		return Token{}, fault.Problems{{Path: "context", Message: fmt.Sprintf("%.40q is not known; use one of %s", string(purpose), contextWords())}}
	}
	c, err := s.connector(ctx, who, at, id)
	if err != nil {
		return Token{}, err
	}
	on, err := s.Flags.On(ctx, at.Account, flagOIDC)
	if err != nil {
		return Token{}, err
	}
	if !on {
		return Token{}, fault.New(fault.Invalid, "OIDC is off for this account; an administrator can turn on %s", flagOIDC)
	}
	u, _ := UseOf(c, purpose, who.Name, time.Time{})
	return s.Mint(ctx, u)
}

// connector reads one whose credentials come from the issuer.
func (s *Service) connector(ctx context.Context, who audit.Caller, at scope.Scope, id string) (connector.Connector, error) {
	stored, err := s.Connectors.Connector(ctx, who, at, id)
	if err != nil {
		return connector.Connector{}, err
	}
	if _, ok := stored.Credential.(connector.OIDC); !ok {
		return connector.Connector{}, fault.New(fault.Invalid, "connector %q does not use OIDC: its credential type is not OidcAuthentication", id)
	}
	return stored.Connector, nil
}

func contextWords() string {
	words := make([]string, 0, len(Contexts()))
	for _, c := range Contexts() {
		words = append(words, string(c))
	}
	return strings.Join(words, ", ")
}
