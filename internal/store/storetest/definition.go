package storetest

import (
	"testing"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/infra"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/store"
)

func definition(kind infra.Kind, in scope.Scope, id, name string) infra.Definition {
	d := infra.Definition{
		Kind: kind, Scope: in, ID: id, Name: name, Description: "d", Tags: map[string]string{"a": "b", "solo": ""},
		YAML: string(kind) + ":\r\n  name: Größe \t\n\n", CreatedAt: at(0), UpdatedAt: at(1),
	}
	switch kind {
	case infra.Environment:
		d.Type, d.Color = "Production", "#0063F7"
	case infra.Infrastructure:
		d.Type, d.Deployment, d.Environment = "ECS", "ECS", "dev"
	case infra.Service:
	}
	return d
}

func definitions() checks {
	//nolint:thelper // these are the tests themselves
	return checks{
		"a definition comes back as it was created, its document byte for byte": func(t *testing.T, s *store.Store) {
			for _, kind := range []infra.Kind{infra.Service, infra.Environment, infra.Infrastructure} {
				for _, in := range everywhere() {
					d := definition(kind, in, "x", "n") // the same identifier in every kind and scope
					must(t, s.CreateDefinition(t.Context(), d))
					got, err := s.Definition(t.Context(), infra.Definition{Kind: kind, Scope: in, Environment: d.Environment, ID: "x"})
					must(t, err)
					same(t, got, d)
					fails(t, s.CreateDefinition(t.Context(), d), fault.Conflict, `"x"`, string(kind))
				}
			}
			_, err := s.Definition(t.Context(), infra.Definition{Kind: infra.Service, Scope: prj1(), ID: "none"})
			fails(t, err, fault.NotFound, `service "none" does not exist at org1/prj1`)
			nowhere := definition(infra.Service, scope.Scope{Account: acct, Org: "none"}, "x", "n")
			fails(t, s.CreateDefinition(t.Context(), nowhere), fault.Invalid, "none")
		},
		"definitions are found by a text of their documents, inside a scope": func(t *testing.T, s *store.Store) {
			for _, in := range []scope.Scope{org1(), prj1(), org2()} {
				d := definition(infra.Service, in, "x", "n")
				d.YAML = "service:\n  connectorRef: org.prod_aws\n"
				must(t, s.CreateDefinition(t.Context(), d))
			}
			got, err := s.DefinitionsWith(t.Context(), org1(), "prod_aws", 10)
			must(t, err)
			same(t, []scope.Scope{got[0].Scope, got[1].Scope}, []scope.Scope{org1(), prj1()})
			same(t, len(got), 2)
			got, err = s.DefinitionsWith(t.Context(), org1(), "prodXaws", 10) // _ means itself
			must(t, err)
			same(t, len(got), 0)
			got, err = s.DefinitionsWith(t.Context(), account(), "prod_aws", 1)
			must(t, err)
			same(t, len(got), 1)
		},
		"an update of a definition keeps what names it": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			old := definition(infra.Infrastructure, prj1(), "x", "n")
			must(t, s.CreateDefinition(ctx, old))
			want := old
			want.Name, want.YAML, want.Tags, want.UpdatedAt = "new", "", nil, at(9)
			got, err := s.UpdateDefinition(ctx, old, func(d infra.Definition) (infra.Definition, error) {
				same(t, d, old)
				changed := want
				changed.ID, changed.Scope, changed.Environment, changed.Kind = "y", org2(), "prod", infra.Service
				return changed, nil
			})
			must(t, err)
			same(t, got, want)
			got, err = s.Definition(ctx, old)
			must(t, err)
			same(t, got, want)
			other := old
			other.Environment = "prod"
			_, err = s.UpdateDefinition(ctx, other, func(d infra.Definition) (infra.Definition, error) { return d, nil })
			fails(t, err, fault.NotFound, `infrastructure "x" does not exist`)
		},
		"definitions are listed by kind, scope and environment": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for i, d := range []infra.Definition{
				definition(infra.Service, prj1(), "b", "two"), definition(infra.Service, prj1(), "a", "Three"), definition(infra.Service, org1(), "c", "one"),
				definition(infra.Infrastructure, prj1(), "a", "dev one"), definition(infra.Infrastructure, prj1(), "z", "dev two"),
			} {
				d.CreatedAt = at(i)
				if d.ID == "z" {
					d.Environment, d.Deployment = "prod", "AwsLambda"
				}
				must(t, s.CreateDefinition(ctx, d))
			}
			for _, tt := range []struct {
				f    infra.Filter
				want []string
			}{
				{infra.Filter{Kind: infra.Service, Scope: prj1()}, []string{"a", "b"}},
				{infra.Filter{Kind: infra.Service, Scope: prj1(), Sort: infra.ByID, Descending: true}, []string{"b", "a"}},
				{infra.Filter{Kind: infra.Service, Scope: prj1(), Sort: infra.ByCreated}, []string{"b", "a"}},
				{infra.Filter{Kind: infra.Service, Scope: org1()}, []string{"c"}},
				{infra.Filter{Kind: infra.Service, Scope: prj1(), Search: "TWO"}, []string{"b"}},
				{infra.Filter{Kind: infra.Service, Scope: prj1(), IDs: []string{"a", "c"}}, []string{"a"}},
				{infra.Filter{Kind: infra.Infrastructure, Scope: prj1()}, []string{"a", "z"}},
				{infra.Filter{Kind: infra.Infrastructure, Scope: prj1(), Environment: "prod"}, []string{"z"}},
				{infra.Filter{Kind: infra.Infrastructure, Scope: prj1(), Deployment: "ECS"}, []string{"a"}},
			} {
				list, total, err := s.Definitions(ctx, tt.f)
				must(t, err)
				same(t, each(list, func(d infra.Definition) string { return d.ID }), tt.want)
				same(t, total, len(tt.want))
			}
		},
		"an environment is deleted with what lies in it, a scope with all of them": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			dev, inside, beside := definition(infra.Environment, prj1(), "dev", "n"), definition(infra.Infrastructure, prj1(), "x", "n"), definition(infra.Infrastructure, prj2(), "x", "n")
			service := definition(infra.Service, prj1(), "dev", "n")
			for _, d := range []infra.Definition{dev, inside, beside, service} {
				must(t, s.CreateDefinition(ctx, d))
			}
			must(t, s.DeleteDefinition(ctx, dev))
			fails(t, s.DeleteDefinition(ctx, dev), fault.NotFound)
			_, err := s.Definition(ctx, inside)
			fails(t, err, fault.NotFound)
			_, err = s.Definition(ctx, beside)
			must(t, err)
			must(t, s.DeleteProject(ctx, acct, "org1", "prj1"))
			_, err = s.Definition(ctx, service)
			fails(t, err, fault.NotFound)
			must(t, s.DeleteOrganization(ctx, acct, "org1"))
			_, err = s.Definition(ctx, beside)
			fails(t, err, fault.NotFound)
		},
	}
}
