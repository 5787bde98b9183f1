// Package v1 is Belay's own API, under /belay/v1: what the NextGen API has no word for. It speaks JSON in camelCase, times
// in RFC 3339 UTC, failures as RFC 9457 problems, and long lists in pages with a cursor. Its handler also serves the pages
// of error codes under /docs/errors, and answers every path that nothing lives at.
package v1

import (
	"context"
	"io/fs"
	"net/http"
	"time"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/identity"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/preflight"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
	"github.com/belay-dev/belay/internal/task"
)

type connectors interface {
	Test(ctx context.Context, who audit.Caller, at scope.Scope, id string, o connector.Options) (connector.Test, error)
	Tests(ctx context.Context, who audit.Caller, at scope.Scope, id string, limit int) ([]connector.Test, error)
}

type preflights interface {
	Run(ctx context.Context, who audit.Caller, at scope.Scope, id string, o preflight.Options) (preflight.Preflight, error)
	Preflights(ctx context.Context, who audit.Caller, at scope.Scope, id string, limit int) ([]preflight.Preflight, error)
}

type keys interface {
	Create(ctx context.Context, who audit.Caller, name string, grants []audit.Grant, expires time.Time) (identity.Key, secret.Value, error)
	Keys(ctx context.Context, who audit.Caller) ([]identity.Key, error)
	Revoke(ctx context.Context, who audit.Caller, id string) error
}

type trail interface {
	Entries(ctx context.Context, who audit.Caller, f audit.Filter) ([]audit.Entry, error)
}

type accounts interface {
	// Exists fails with Invalid when the scope's organization or project is not there.
	Exists(ctx context.Context, at scope.Scope) error
	Flags(ctx context.Context, who audit.Caller) ([]org.Flag, error)
	SetFlag(ctx context.Context, who audit.Caller, name string, on bool) error
}

type tokens interface {
	Token(ctx context.Context, who audit.Caller, at scope.Scope, name string) (delegate.Token, error)
	Reveal(ctx context.Context, who audit.Caller, t delegate.Token) (secret.Value, error)
}

type delegates interface {
	List(ctx context.Context, who audit.Caller, at scope.Scope) ([]delegate.Delegate, error)
	Choose(need delegate.Need) delegate.Choice
	Delegate(account string, id delegate.ID) (delegate.Delegate, error)
}

type pinger interface {
	// Ping asks a delegate to answer and says how long that took. It fails with the reasons of every delegate.
	Ping(ctx context.Context, who audit.Caller, at scope.Scope, name string) (protocol.Pong, time.Duration, error)
}

type tasks interface {
	// Task reads one that the caller may see; NotFound is said of the others too.
	Task(ctx context.Context, who audit.Caller, id task.ID) (task.Task, error)
}

// Server is the API's dependencies. Fill the fields, then call Handler.
type Server struct {
	Edge       *api.Edge
	Connectors connectors
	Preflights preflights
	Keys       keys
	Trail      trail
	Accounts   accounts
	Tokens     tokens
	Delegates  delegates
	Pinger     pinger
	Tasks      tasks
	Issuer     issuer
	URL        func() string // how others reach the manager
	Pages      fs.FS         // the pages of error codes: BLY-2104.md
	Version    string        // of the product
	Now        func() time.Time
}

// Handler answers every path, those of this API and those that nothing lives at.
func (s *Server) Handler() http.Handler { return s.router() }

func (s *Server) router() *api.Router {
	r := s.Edge.NewRouter(words())

	r.Handle("GET /belay/v1/whoami", api.Bare(s.whoami))
	r.HandleOpen("GET /belay/v1/version", api.Bare(s.version))
	r.HandleOpen("GET /docs/errors/{page}", api.Bare(s.page))

	r.Handle("POST /belay/v1/connectors/{id}/test", api.MaybeBody(s.test))
	r.Handle("GET /belay/v1/connectors/{id}/tests", api.Bare(s.tests))
	r.Handle("POST /belay/v1/connectors/{id}/preflight", api.MaybeBody(s.preflight))
	r.Handle("GET /belay/v1/connectors/{id}/preflights", api.Bare(s.listPreflights))

	r.Handle("POST /belay/v1/connectors/{id}/oidc-token", api.MaybeBody(s.oidcToken))
	r.Handle("GET /belay/v1/connectors/{id}/trust-policy", api.Bare(s.trustPolicy))
	r.Handle("GET /belay/v1/oidc", api.Bare(s.issuer))
	r.Handle("PUT /belay/v1/oidc", api.Body(s.setIssuer))
	r.Handle("POST /belay/v1/oidc/rotate", api.MaybeBody(s.rotateKeys))

	r.Handle("GET /belay/v1/api-keys", api.Bare(s.listKeys))
	r.Handle("POST /belay/v1/api-keys", api.Body(s.createKey))
	r.Handle("DELETE /belay/v1/api-keys/{id}", api.Bare(s.revokeKey))
	r.Handle("GET /belay/v1/audit", api.Bare(s.audit))
	r.Handle("GET /belay/v1/flags", api.Bare(s.flags))
	r.Handle("PUT /belay/v1/flags/{name}", api.Body(s.setFlag))

	r.Handle("GET /belay/v1/delegates", api.Bare(s.listDelegates))
	r.Handle("GET /belay/v1/delegates/choice", api.Bare(s.choice))
	r.Handle("POST /belay/v1/delegates/{name}/ping", api.Bare(s.ping))
	r.Handle("POST /belay/v1/delegates/manifest", api.Body(s.manifest))
	r.Handle("GET /belay/v1/delegate-tokens/{name}/value", api.Bare(s.tokenValue))
	r.Handle("GET /belay/v1/tasks/{id}", api.Bare(s.task))

	r.Handle("POST /belay/v1/simulations", api.Raw(maxSimulation, s.simulate))
	r.Handle("POST /belay/v1/policies/diff", api.Body(s.diff))
	r.Handle("POST /belay/v1/policies/lint", api.Body(s.lint))
	r.Handle("GET /belay/v1/capabilities", api.Bare(s.capabilities))
	r.Handle("POST /belay/v1/policies", api.Body(s.makePolicies))
	r.Handle("POST /belay/v1/policies/trust", api.Body(s.makeTrust))
	r.Handle("POST /belay/v1/policies/trust/explain", api.Body(s.explainTrust))
	return r
}
