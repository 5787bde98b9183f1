package ng

import (
	"context"
	"fmt"
	"strings"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/infra"
	"github.com/belay-dev/belay/internal/nextgen"
	"github.com/belay-dev/belay/internal/scope"
)

type definitions interface {
	Create(ctx context.Context, who audit.Caller, d infra.Definition) (infra.Definition, error)
	Update(ctx context.Context, who audit.Caller, d infra.Definition) (infra.Definition, error)
	Definition(ctx context.Context, who audit.Caller, key infra.Definition) (infra.Definition, error)
	Definitions(ctx context.Context, who audit.Caller, f infra.Filter) ([]infra.Definition, int, error)
	Delete(ctx context.Context, who audit.Caller, key infra.Definition) error
}

// definitionRoutes are the calls of services, environments and infrastructure definitions, which differ in little.
func (s *Server) definitionRoutes(r *api.Router) {
	for _, one := range []struct {
		path string
		kind infra.Kind
		ids  string // the word of the query that names some
	}{
		{"/ng/api/servicesV2", infra.Service, "serviceIdentifiers"},
		{"/ng/api/environmentsV2", infra.Environment, "envIdentifiers"},
		{"/ng/api/infrastructures", infra.Infrastructure, "infraIdentifiers"},
	} {
		save := func(do func(ctx context.Context, who audit.Caller, d infra.Definition) (infra.Definition, error)) api.Endpoint {
			return api.Body(func(ctx context.Context, c api.Call, in nextgen.Definition) (nextgen.DefinitionResponse, error) {
				sent := in.Domain(c.At.Account, one.kind)
				if err := bounded(sent.Scope); err != nil {
					return nextgen.DefinitionResponse{}, err
				}
				stored, err := do(ctx, c.Who, sent)
				return nextgen.FromStoredDefinition(stored), err
			})
		}
		key := func(c api.Call) (infra.Definition, error) {
			d := infra.Definition{Kind: one.kind, Scope: c.At, ID: c.Path("id")}
			if one.kind == infra.Infrastructure {
				d.Environment = c.Query("environmentIdentifier")
				if d.Environment == "" {
					return d, fault.Problems{{Path: "environmentIdentifier", Message: "is required: the environment that it belongs to"}}
				}
			}
			return d, nil
		}
		r.Handle("POST "+one.path, save(func(ctx context.Context, who audit.Caller, d infra.Definition) (infra.Definition, error) {
			return s.Definitions.Create(ctx, who, d)
		}))
		r.Handle("PUT "+one.path, save(func(ctx context.Context, who audit.Caller, d infra.Definition) (infra.Definition, error) {
			return s.Definitions.Update(ctx, who, d)
		}))
		r.Handle("GET "+one.path+"/{id}", api.Bare(func(ctx context.Context, c api.Call) (nextgen.DefinitionResponse, error) {
			d, err := key(c)
			if err == nil {
				d, err = s.Definitions.Definition(ctx, c.Who, d)
			}
			return nextgen.FromStoredDefinition(d), err
		}))
		r.Handle("DELETE "+one.path+"/{id}", api.Bare(func(ctx context.Context, c api.Call) (bool, error) {
			d, err := key(c)
			if err != nil {
				return false, err
			}
			return true, s.Definitions.Delete(ctx, c.Who, d)
		}))
		r.Handle("GET "+one.path, api.Bare(func(ctx context.Context, c api.Call) (nextgen.Page[nextgen.DefinitionResponse], error) {
			f := infra.Filter{Kind: one.kind, Scope: c.At, Search: c.Query("searchTerm"), IDs: c.QueryAll(one.ids)}
			if one.kind == infra.Infrastructure {
				f.Environment, f.Deployment = c.Query("environmentIdentifier"), c.Query("deploymentType") // no environment: all of them
			}
			return s.definitionPage(ctx, c, f)
		}))
	}
}

// bounded refuses a scope that is too long for the audit log.
func bounded(at scope.Scope) error {
	var problems fault.Problems
	for field, id := range map[string]string{"orgIdentifier": at.Org, "projectIdentifier": at.Project} {
		if !fits(id) {
			problems.Add(field, fmt.Sprintf("has %d characters, at most %d are allowed", len(id), scope.MaxIdentifier))
		}
	}
	return problems.Err()
}

func (s *Server) definitionPage(ctx context.Context, c api.Call, f infra.Filter) (nextgen.Page[nextgen.DefinitionResponse], error) {
	p, err := pageNamed(c, "page", "size")
	if err != nil {
		return nextgen.Page[nextgen.DefinitionResponse]{}, err
	}
	f.Offset, f.Limit = p.offset(), p.size
	// sort is field,ASC or field,DESC; what it does not know it leaves to the name.
	field, direction, _ := strings.Cut(c.Query("sort"), ",")
	f.Sort, f.Descending = infra.Sort(field), strings.EqualFold(direction, "DESC")
	list, total, err := s.Definitions.Definitions(ctx, c.Who, f)
	return dressed(list, total, p, nextgen.FromStoredDefinition), err
}
