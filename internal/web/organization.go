package web

import (
	"context"

	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
)

// scopeRow is a scope to choose.
type scopeRow struct {
	Name, ID, To string
	Inner        bool // a project
	Here         bool
}

// scopes lists the account, its organizations and their projects, as far as the caller has a role in them.
func (s *Server) scopes(ctx context.Context, v *visit) (reply, error) {
	account := v.account()
	var rows []scopeRow
	add := func(name, id string, at scope.Scope) {
		rows = append(rows, scopeRow{name, id, within("/ui/", at), at.Level() == scope.Project, at == v.at})
	}
	search := v.search()
	if v.who.RoleAt(account) == "" { // then the grants are all that there is to see
		for _, g := range v.who.Grants {
			add(g.Scope.String(), "", g.Scope)
		}
		return reply{title: "Scope", body: scopesView(v, rows, search, false, 0)}, nil
	}
	const most = 200
	if search == "" {
		add("Whole account", account.Account, account)
	}
	orgs, total, err := s.Organizations.Organizations(ctx, v.who, org.Filter{Account: account.Account, Limit: most, Search: search})
	if err != nil {
		return reply{}, err
	}
	projects, inner, err := s.Organizations.Projects(ctx, v.who, org.Filter{Account: account.Account, Limit: most, Search: search})
	if err != nil {
		return reply{}, err
	}
	left := total - len(orgs) + inner - len(projects)
	shown := map[string]bool{}
	for _, o := range orgs {
		add(o.Name, o.ID, scope.Scope{Account: o.Account, Org: o.ID})
		shown[o.ID] = true
		for _, p := range projects {
			if p.Org == o.ID {
				add(p.Name, p.Org+"/"+p.ID, scope.Scope{Account: o.Account, Org: p.Org, Project: p.ID})
			}
		}
	}
	for _, p := range projects {
		if !shown[p.Org] {
			add(p.Name, p.Org+"/"+p.ID, scope.Scope{Account: p.Account, Org: p.Org, Project: p.ID})
		}
	}
	return reply{title: "Scope", body: scopesView(v, rows, search, true, left)}, nil
}
