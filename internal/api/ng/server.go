// Package ng is the NextGen REST API that existing clients speak: the Terraform provider and the Go SDK of the system that
// Belay stands in for work against it unchanged. The shapes are package nextgen's; here are the routes, the envelopes and
// the rules that clients depend on:
//
//   - every answer is JSON, whatever was asked, and has a correlation id: list data sources use it as their id;
//   - a 404 carries RESOURCE_NOT_FOUND_EXCEPTION, on unknown routes too: clients crash on another code, and take that one
//     for "gone";
//   - what the client did wrong is never 5xx or 429, because those are retried for minutes; a duplicate is 400;
//   - what was saved is read back at once, and is what was sent.
package ng

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/manifest"
	"github.com/belay-dev/belay/internal/oidc"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

type connectors interface {
	Create(ctx context.Context, who audit.Caller, c connector.Connector) (connector.Stored, error)
	Update(ctx context.Context, who audit.Caller, c connector.Connector) (connector.Stored, error)
	Connector(ctx context.Context, who audit.Caller, at scope.Scope, id string) (connector.Stored, error)
	Connectors(ctx context.Context, who audit.Caller, f connector.Filter) ([]connector.Stored, int, error)
	Delete(ctx context.Context, who audit.Caller, at scope.Scope, id string) error
	Test(ctx context.Context, who audit.Caller, at scope.Scope, id string, o connector.Options) (connector.Test, error)
}

type secrets interface {
	Create(ctx context.Context, who audit.Caller, sec secret.Secret, value secret.Value) (secret.Secret, error)
	Update(ctx context.Context, who audit.Caller, sec secret.Secret, value secret.Value) (secret.Secret, error)
	Secret(ctx context.Context, who audit.Caller, at scope.Scope, id string) (secret.Secret, error)
	Secrets(ctx context.Context, who audit.Caller, f secret.Filter) ([]secret.Secret, int, error)
	Delete(ctx context.Context, who audit.Caller, at scope.Scope, id string, force bool) error
}

type organizations interface {
	CreateOrganization(ctx context.Context, who audit.Caller, o org.Organization) (org.Organization, error)
	UpdateOrganization(ctx context.Context, who audit.Caller, o org.Organization) (org.Organization, error)
	Organization(ctx context.Context, who audit.Caller, id string) (org.Organization, error)
	Organizations(ctx context.Context, who audit.Caller, f org.Filter) ([]org.Organization, int, error)
	DeleteOrganization(ctx context.Context, who audit.Caller, id string) error
	CreateProject(ctx context.Context, who audit.Caller, p org.Project) (org.Project, error)
	UpdateProject(ctx context.Context, who audit.Caller, p org.Project) (org.Project, error)
	Project(ctx context.Context, who audit.Caller, org, id string) (org.Project, error)
	Projects(ctx context.Context, who audit.Caller, f org.Filter) ([]org.Project, int, error)
	DeleteProject(ctx context.Context, who audit.Caller, org, id string) error
}

type tokens interface {
	Create(ctx context.Context, who audit.Caller, at scope.Scope, name string, revokeAfter time.Time) (delegate.Token, secret.Value, error)
	Token(ctx context.Context, who audit.Caller, at scope.Scope, name string) (delegate.Token, error)
	Tokens(ctx context.Context, who audit.Caller, at scope.Scope) ([]delegate.Token, error)
	Reveal(ctx context.Context, who audit.Caller, t delegate.Token) (secret.Value, error)
	Revoke(ctx context.Context, who audit.Caller, at scope.Scope, name string) (delegate.Token, error)
	Delete(ctx context.Context, who audit.Caller, at scope.Scope, name string) error
}

type delegates interface {
	List(ctx context.Context, who audit.Caller, at scope.Scope) ([]delegate.Delegate, error)
	Group(ctx context.Context, who audit.Caller, at scope.Scope, id string) (delegate.Group, error)
	Groups(ctx context.Context, who audit.Caller, at scope.Scope, tags []string) ([]delegate.Grouped, error)
	Tag(ctx context.Context, who audit.Caller, at scope.Scope, id string, change func(tags []string) []string) (delegate.Group, error)
}

type issuer interface {
	Discovery(ctx context.Context, account string) ([]byte, error)
	KeySet(ctx context.Context, account string) ([]byte, error)
}

// Server is the API's dependencies. Fill the fields, then call Handler.
type Server struct {
	Edge          *api.Edge
	Connectors    connectors
	Secrets       secrets
	Organizations organizations
	Tokens        tokens
	Delegates     delegates
	Definitions   definitions
	Issuer        issuer
	URL           func() string // how others reach the manager
	Now           func() time.Time
}

// Handler answers every path below /ng/api, with /gateway before it or without.
func (s *Server) Handler() http.Handler { return s.router() }

func (s *Server) router() *api.Router {
	r := s.Edge.NewRouter(words())

	r.Handle("POST /ng/api/connectors", api.Body(s.createConnector))
	r.Handle("PUT /ng/api/connectors", api.Body(s.updateConnector))
	r.Handle("GET /ng/api/connectors", api.Bare(s.listConnectors))
	r.Handle("GET /ng/api/connectors/{id}", api.Bare(s.connector))
	r.Handle("DELETE /ng/api/connectors/{id}", api.Bare(s.deleteConnector))
	r.Handle("POST /ng/api/connectors/listV2", api.MaybeBody(s.filterConnectors))
	r.Handle("POST /ng/api/connectors/listbyfqn", api.Body(s.connectorsByName))
	r.Handle("POST /ng/api/connectors/testConnection/{id}", api.Bare(s.testConnector))
	r.Handle("GET /ng/api/connectors/validateUniqueIdentifier", api.Bare(s.connectorIsNew))
	r.Handle("GET /ng/api/connectors/catalogue", api.Bare(s.catalogue))
	r.Handle("GET /ng/api/connectors/stats", api.Bare(s.connectorStats))
	r.Handle("GET /ng/api/connectors/fieldValues", api.Bare(s.fieldValues))

	r.Handle("POST /ng/api/v2/secrets", api.Body(s.createSecret))
	r.Handle("PUT /ng/api/v2/secrets/{id}", api.Body(s.updateSecret))
	r.Handle("GET /ng/api/v2/secrets/{id}", api.Bare(s.secret))
	r.Handle("DELETE /ng/api/v2/secrets/{id}", api.Bare(s.deleteSecret))
	r.Handle("GET /ng/api/v2/secrets", api.Bare(s.listSecrets))
	r.Handle("POST /ng/api/v2/secrets/list", api.MaybeBody(s.filterSecrets))
	r.Handle("POST /ng/api/v2/secrets/yaml", api.Raw(api.MaxBody, s.createSecretYAML))
	r.Handle("PUT /ng/api/v2/secrets/yaml", api.Raw(api.MaxBody, s.updateSecretYAML))
	r.Handle("PUT /ng/api/v2/secrets/{id}/yaml", api.Raw(api.MaxBody, s.updateSecretYAML)) // clients differ in where they name it
	r.Handle("GET /ng/api/v2/secrets/validateUniqueIdentifier/{id}", api.Bare(s.secretIsNew))

	r.Handle("POST /ng/api/organizations", api.Body(s.createOrganization))
	r.Handle("PUT /ng/api/organizations/{id}", api.Body(s.updateOrganization))
	r.Handle("GET /ng/api/organizations/{id}", api.Bare(s.organization))
	r.Handle("DELETE /ng/api/organizations/{id}", api.Bare(s.deleteOrganization))
	r.Handle("GET /ng/api/organizations", api.Bare(s.listOrganizations))

	r.Handle("POST /ng/api/projects", api.Body(s.createProject))
	r.Handle("PUT /ng/api/projects/{id}", api.Body(s.updateProject))
	r.Handle("GET /ng/api/projects/{id}", api.Bare(s.project))
	r.Handle("DELETE /ng/api/projects/{id}", api.Bare(s.deleteProject))
	r.Handle("GET /ng/api/projects", api.Bare(s.listProjects))
	r.Handle("GET /ng/api/projects/list", api.Bare(s.listProjects))

	s.definitionRoutes(r)

	for _, path := range []string{"/ng/api/delegate-token-ng", "/ng/api/delegate-token-ng/{name}"} { // clients differ in where they name the token
		r.Handle("POST "+path, api.Bare(s.createToken))
		r.Handle("GET "+path, api.Bare(s.listTokens))
		r.Handle("PUT "+path, api.Bare(s.revokeToken))
		r.Handle("DELETE "+path, api.Bare(s.deleteToken))
	}
	r.Handle("GET /ng/api/delegate-token-ng/delegate-groups", api.Bare(s.delegatesOfToken))
	r.Handle("POST /ng/api/delegate-setup/listDelegates", api.MaybeBody(s.listDelegates))
	r.Handle("GET /ng/api/delegate-group-tags/{id}", api.Bare(s.groupTags))
	r.Handle("POST /ng/api/delegate-group-tags/{id}", api.Body(s.addGroupTags))
	r.Handle("PUT /ng/api/delegate-group-tags/{id}", api.Body(s.setGroupTags))
	r.Handle("DELETE /ng/api/delegate-group-tags/{id}", api.Bare(s.deleteGroupTags))
	r.Handle("POST /ng/api/delegate-group-tags/delegate-groups", api.MaybeBody(s.groupsWithTags))
	r.Handle("GET /ng/api/delegate-setup/latest-supported-version", api.Bare(s.latestVersion))
	r.Handle("POST /ng/api/delegate-setup/generate-helm-values", api.Body(s.download(manifest.Helm)))
	r.Handle("POST /ng/api/download-delegates/kubernetes", api.Body(s.download(manifest.Kubernetes)))
	r.Handle("POST /ng/api/download-delegates/docker", api.Body(s.download(manifest.Docker)))

	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		r.HandleOpen(method+" /{prefix}/ng/api/{rest...}", api.Bare(wrongEndpoint))
	}

	// AWS asks without a key. The path without the hyphen is the one that the discovery document names.
	const issuer = "GET /ng/api/oidc/account/{account}"
	r.HandleOpen(issuer+oidc.DiscoveryPath, api.Bare(s.discovery))
	r.HandleOpen(issuer+oidc.KeySetPath, api.Bare(s.keySet))
	r.HandleOpen(issuer+oidc.KeySetHyphenPath, api.Bare(s.keySet))
	return r
}

// Others answers what clients of this API call besides, see IsOther.
func (s *Server) Others() http.Handler {
	r := s.Edge.NewRouter(words())
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		for _, other := range otherAPIs() {
			r.HandleOpen(method+" /"+other+"/{rest...}", api.Bare(notServed))
		}
	}
	return r
}

// otherAPIs are the first words of the paths of what clients of this API call besides, and Belay does not have.
func otherAPIs() []string {
	return []string{
		"pipeline", "template", "authz", "resourcegroup", "audit", "ccm", "cv", "cf", "gitops", "iacm", "har", "code", "chaos", "dbops", "idp", "sto", "ssca", "v1",
	}
}

// IsOther reports whether a path is one of those, for the one who places paths.
func IsOther(path string) bool {
	first, _, found := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return found && slices.Contains(otherAPIs(), first)
}

// notServed answers clients that use more than Belay has, in words that they show. It is 400 for the same reason as
// below.
func notServed(_ context.Context, c api.Call) (bool, error) {
	return false, fault.New(fault.Invalid,
		"Belay does not serve this call (%.100s): it has connectors, secrets, organizations, projects, delegates, services, environments and infrastructure definitions", c.Path("rest"))
}

// wrongEndpoint answers clients whose endpoint has a path that leads nowhere. It is 400, because they take a 404 with the
// code for "gone", and crash on one without.
func wrongEndpoint(_ context.Context, c api.Call) (bool, error) {
	return false, fault.New(fault.Invalid,
		"no API is served below /%.60s: set the client's endpoint to the address of the manager, followed by nothing or by /gateway", c.Path("prefix"))
}
