package v1

import (
	"context"
	"encoding/json"
	"time"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/oidc"
	"github.com/belay-dev/belay/internal/scope"
)

type issuer interface {
	View(ctx context.Context, who audit.Caller) (oidc.View, error)
	Configure(ctx context.Context, who audit.Caller, set oidc.Settings) (oidc.View, error)
	Rotate(ctx context.Context, who audit.Caller, r oidc.Rotation) (oidc.View, error)
	MintFor(ctx context.Context, who audit.Caller, at scope.Scope, id string, purpose oidc.Context) (oidc.Token, error)
	TrustPolicy(ctx context.Context, who audit.Caller, at scope.Scope, id string) (oidc.Trust, error)
}

// Issuer is an account's OIDC issuer.
type Issuer struct {
	Issuer          string       `json:"issuer"`          // the iss of its tokens
	ManagerIssuer   string       `json:"managerIssuer"`   // where the manager itself serves the documents
	Hosted          bool         `json:"hosted"`          // the documents are hosted elsewhere than at the manager
	Audience        string       `json:"audience"`        // the aud of its tokens
	EnhancedSubject bool         `json:"enhancedSubject"` // the sub names organization and project
	Keys            []SigningKey `json:"keys"`            // by age, oldest first
}

// SigningKey is a key that is published.
type SigningKey struct {
	ID        string     `json:"id"`
	Algorithm string     `json:"algorithm"`
	State     string     `json:"state"` // next, active, retiring
	CreatedAt time.Time  `json:"createdAt"`
	SignsFrom time.Time  `json:"signsFrom"`
	GoneAt    *time.Time `json:"goneAt"` // null: not yet known
}

func issuerOf(v oidc.View) Issuer {
	i := Issuer{
		Issuer: v.Issuer.URL, ManagerIssuer: v.Issuer.Own, Hosted: v.Issuer.Hosted(), Audience: v.Issuer.Audience,
		EnhancedSubject: v.Issuer.Enhanced, Keys: []SigningKey{},
	}
	for _, k := range v.Keys {
		i.Keys = append(i.Keys, SigningKey{
			ID: k.Key.ID, Algorithm: string(k.Key.Algorithm), State: string(k.State), CreatedAt: k.Key.CreatedAt.UTC(),
			SignsFrom: k.Key.SignsFrom.UTC(), GoneAt: moment(k.Until),
		})
	}
	return i
}

func (s *Server) issuer(ctx context.Context, c api.Call) (Issuer, error) {
	v, err := s.Issuer.View(ctx, c.Who)
	return issuerOf(v), err
}

// IssuerSettings are what can be set of an issuer. What is empty is as it is without a setting.
type IssuerSettings struct {
	Issuer   string `json:"issuer"`
	Audience string `json:"audience"`
}

func (s *Server) setIssuer(ctx context.Context, c api.Call, in IssuerSettings) (Issuer, error) {
	v, err := s.Issuer.Configure(ctx, c.Who, oidc.Settings{Issuer: in.Issuer, Audience: in.Audience})
	return issuerOf(v), err
}

// Rotation is how signing keys are changed at once.
type Rotation struct {
	Algorithm string `json:"algorithm,omitempty"` // RS256 or ES256; as before when it is absent
	Revoke    bool   `json:"revoke,omitempty"`    // take every present key out of the key set
}

func (s *Server) rotateKeys(ctx context.Context, c api.Call, in Rotation) (Issuer, error) {
	v, err := s.Issuer.Rotate(ctx, c.Who, oidc.Rotation{Algorithm: oidc.Algorithm(in.Algorithm), Revoke: in.Revoke})
	return issuerOf(v), err
}

// TokenRequest asks for a token of a connector.
type TokenRequest struct {
	Context string `json:"context,omitempty"` // CONNECTOR_VALIDATION when it is absent
}

// Token is a token of a connector.
type Token struct {
	Token     string          `json:"token"`
	KeyID     string          `json:"keyId"`
	ExpiresAt time.Time       `json:"expiresAt"`
	Claims    json.RawMessage `json:"claims"`
}

func (s *Server) oidcToken(ctx context.Context, c api.Call, in TokenRequest) (Token, error) {
	t, err := s.Issuer.MintFor(ctx, c.Who, c.At, c.Path("id"), oidc.Context(in.Context))
	if err != nil {
		return Token{}, err
	}
	return Token{Token: t.Text.Reveal(), KeyID: t.KeyID, ExpiresAt: t.ExpiresAt, Claims: t.Claims}, nil //nolint:forbidigo // for the administrator who asked
}

// Trust is what AWS needs so that a connector gets the session of its role.
type Trust struct {
	Role     string          `json:"role"`
	Provider string          `json:"provider"` // ARN of the OpenID Connect provider
	Issuer   string          `json:"issuer"`
	Audience string          `json:"audience"`
	Subject  string          `json:"subject"`
	Policy   json.RawMessage `json:"policy"` // the role's trust policy
	Notes    []string        `json:"notes"`
}

func (s *Server) trustPolicy(ctx context.Context, c api.Call) (Trust, error) {
	t, err := s.Issuer.TrustPolicy(ctx, c.Who, c.At, c.Path("id"))
	if err != nil {
		return Trust{}, err
	}
	return Trust{
		Role: t.Role, Provider: t.Provider, Issuer: t.Issuer, Audience: t.Audience, Subject: t.Subject, Policy: t.Policy, Notes: orEmpty(t.Notes),
	}, nil
}
