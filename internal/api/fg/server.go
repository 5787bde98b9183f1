// Package fg is what older clients speak: GraphQL for secrets and cloud providers, and config-as-code for the latter.
//
// Everything lives at account scope. A cloud provider is a connector, so it is seen, tested and used like any other; the
// YAML that it came as lies beside it, because clients read it back at once and compare. When the connector was changed by
// other means since, the YAML is made anew from it. The uuid of a thing is its identifier.
//
// Older clients lose the message of an answer whose number is not 200. So what they did wrong is said in an answer of 200,
// in responseMessages and in errors, of which each kind of call reads one.
package fg

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/graph-gophers/graphql-go"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/firstgen"
	"github.com/belay-dev/belay/internal/identity"
	"github.com/belay-dev/belay/internal/nextgen"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

type connectors interface {
	Create(ctx context.Context, who audit.Caller, c connector.Connector) (connector.Stored, error)
	Update(ctx context.Context, who audit.Caller, c connector.Connector) (connector.Stored, error)
	Connector(ctx context.Context, who audit.Caller, at scope.Scope, id string) (connector.Stored, error)
	Connectors(ctx context.Context, who audit.Caller, f connector.Filter) ([]connector.Stored, int, error)
	Delete(ctx context.Context, who audit.Caller, at scope.Scope, id string) error
}

type secrets interface {
	Create(ctx context.Context, who audit.Caller, sec secret.Secret, value secret.Value) (secret.Secret, error)
	Update(ctx context.Context, who audit.Caller, sec secret.Secret, value secret.Value) (secret.Secret, error)
	Secret(ctx context.Context, who audit.Caller, at scope.Scope, id string) (secret.Secret, error)
	Secrets(ctx context.Context, who audit.Caller, f secret.Filter) ([]secret.Secret, int, error)
	Delete(ctx context.Context, who audit.Caller, at scope.Scope, id string, force bool) error
}

// texts keeps what clients wrote. Whoever calls it has asked connectors or secrets first, which authorize and audit.
type texts interface {
	SaveFirstGen(ctx context.Context, kind firstgen.Kind, account string, t firstgen.Text) error
	FirstGen(ctx context.Context, kind firstgen.Kind, account string) (map[string]firstgen.Text, error)
}

// Server is the API's dependencies. Fill the fields, then call Handler.
type Server struct {
	Edge       *api.Edge
	Connectors connectors
	Secrets    secrets
	Texts      texts
	Log        *slog.Logger

	schema *graphql.Schema
}

// Handler answers /api/graphql and /api/setup-as-code, with /gateway before it or without.
func (s *Server) Handler() http.Handler {
	s.schema = newSchema()
	return s.router()
}

// Routes are the calls that are served.
func (s *Server) Routes() []api.Route { return s.router().Routes() }

func (s *Server) router() *api.Router {
	r := s.Edge.NewRouter(api.Words{Answer: answer, Refuse: refuse, ErrorType: "application/json"})
	r.Handle("POST /api/graphql", api.Body(s.graphql))
	r.Handle("POST /api/setup-as-code/yaml/upsert-entity", api.Raw(api.MaxBody, s.upsert))
	r.Handle("GET /api/setup-as-code/yaml/directory", api.Bare(s.directory))
	r.Handle("GET /api/setup-as-code/yaml/{rest}/{uuid}", api.Bare(s.yaml))
	return r
}

// graph is an answer of GraphQL, which has no envelope.
type graph struct{ response *graphql.Response }

func answer(value any, _ string) (int, any) {
	if g, ok := value.(graph); ok {
		return http.StatusOK, g.response
	}
	return http.StatusOK, nextgen.RestResponse[any]{MetaData: map[string]any{}, Resource: value, ResponseMessages: []nextgen.Message{}}
}

// failed has what both kinds of call read.
type failed struct {
	MetaData         map[string]any    `json:"metaData"`
	Resource         any               `json:"resource"` // always null
	ResponseMessages []nextgen.Message `json:"responseMessages"`
	Data             any               `json:"data"` // always null
	Errors           []graphError      `json:"errors"`
}

type graphError struct {
	Message string `json:"message"`
}

// status is the numbers that clients act on; everything else is 200.
var status = []struct {
	kind fault.Kind
	http int
	code string
}{
	{identity.ErrUnauthenticated, http.StatusUnauthorized, nextgen.UnauthenticatedCode},
	{fault.Denied, http.StatusForbidden, nextgen.DeniedCode},
	{fault.Unavailable, http.StatusServiceUnavailable, nextgen.UnavailableCode},
	{api.NoRoute, http.StatusNotFound, nextgen.NotFoundCode},
	{api.WrongMethod, http.StatusMethodNotAllowed, nextgen.NotFoundCode},
	{api.TooLarge, http.StatusRequestEntityTooLarge, nextgen.TooLargeCode},
	{api.TooMany, http.StatusTooManyRequests, nextgen.TooManyCode},
	{fault.NotFound, http.StatusOK, nextgen.NotFoundCode},
	{fault.Conflict, http.StatusOK, nextgen.DuplicateCode},
	{fault.InUse, http.StatusOK, nextgen.InUseCode},
	{fault.Invalid, http.StatusOK, nextgen.InvalidCode},
}

func refuse(f api.Failure) (int, any) {
	number, code := http.StatusInternalServerError, nextgen.InternalCode
	for _, one := range status {
		if one.kind == f.Kind {
			number, code = one.http, one.code
		}
	}
	lines := []string{f.Message}
	for _, p := range f.Problems {
		if line := strings.TrimPrefix(p.Path+": "+p.Message, ": "); !strings.Contains(f.Message, line) {
			lines = append(lines, line)
		}
	}
	message := strings.Join(lines, "\n")
	return number, failed{
		MetaData: map[string]any{}, ResponseMessages: []nextgen.Message{{Code: code, Level: "ERROR", Message: message, FailureTypes: []string{}}},
		Errors: []graphError{{message}},
	}
}
