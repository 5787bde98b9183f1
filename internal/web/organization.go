package web

import (
	"context"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

// scopeRow is a scope to choose.
type scopeRow struct {
	Name, ID, To string
	Inner        bool // a project
	Here         bool
}

// scopes lists the account, its organizations and their projects, as far as the caller has a role in them.
func (s *Server) scopes(ctx context.Context, v *visit) (reply, error) {
	account := scope.Scope{Account: v.who.Account}
	var rows []scopeRow
	add := func(name, id string, at scope.Scope) {
		rows = append(rows, scopeRow{name, id, within("/ui/", at), at.Level() == scope.Project, at == v.at})
	}
	search := strings.TrimSpace(v.query.Get("search"))
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

type secretRow struct {
	Name, ID, Where, Kind string
	Made, Changed         ago
}

// secretNames lists secrets. Values are nowhere in the pages.
func (s *Server) secretNames(ctx context.Context, v *visit) (reply, error) {
	search := strings.TrimSpace(v.query.Get("search"))
	number := v.number("page", 1, 1_000_000)
	list, total, err := s.Secrets.Secrets(ctx, v.who, secret.Filter{Scope: v.at, SubScopes: true, Search: search, Offset: (number - 1) * pageSize, Limit: pageSize})
	if err != nil {
		return reply{}, err
	}
	var rows []secretRow
	for _, one := range list {
		rows = append(rows, secretRow{
			one.Name, one.ID, one.Scope.String(), string(one.Kind), since(v.now, one.CreatedAt), since(v.now, one.UpdatedAt),
		})
	}
	p := pagesOf(number, len(list), total, "secret", "secrets", func(page string) string {
		return v.url("/ui/secrets", "search", search, "page", page)
	})
	return reply{title: "Secrets", here: "Secrets", body: secretsView(v, rows, search, p)}, nil
}

type auditRow struct {
	At                   ago
	By, Action, Target   string
	Where, Detail, Exact string
	Mark                 mark
}

type auditPage struct {
	v                      *visit
	Who, Action, Target    string
	Outcome                string
	Rows                   []auditRow
	Older                  string
	Filtered, BeyondNewest bool
}

func (s *Server) auditLog(ctx context.Context, v *visit) (reply, error) {
	text := func(name string) string {
		t := strings.TrimSpace(v.query.Get(name))
		if r := []rune(t); len(r) > longestSearch {
			t = string(r[:longestSearch])
		}
		return t
	}
	p := auditPage{v: v, Who: text("who"), Action: text("action"), Target: text("target"), Outcome: v.query.Get("outcome")}
	if o := audit.Outcome(p.Outcome); o != audit.Allowed && o != audit.Denied {
		p.Outcome = ""
	}
	p.Filtered = p.Who != "" || p.Action != "" || p.Target != "" || p.Outcome != ""
	p.BeyondNewest = v.query.Get("before") != ""
	list, err := s.Trail.Entries(ctx, v.who, audit.Filter{
		Scope: v.at, Caller: p.Who, Action: p.Action, Target: p.Target, Outcome: audit.Outcome(p.Outcome), Before: v.query.Get("before"), Limit: pageSize + 1,
	})
	if err != nil {
		return reply{}, err
	}
	if len(list) > pageSize {
		list = list[:pageSize]
		p.Older = v.url("/ui/audit", "who", p.Who, "action", p.Action, "target", p.Target, "outcome", p.Outcome, "before", list[pageSize-1].ID)
	}
	for _, e := range list {
		p.Rows = append(p.Rows, auditRowOf(v.now, e))
	}
	return reply{title: "Audit log", here: "Audit log", body: auditView(p)}, nil
}

func auditRowOf(now time.Time, e audit.Entry) auditRow {
	row := auditRow{
		At: since(now, e.At), By: e.CallerName, Action: string(e.Action), Target: e.Target, Where: e.Scope.String(), Detail: e.Detail, Mark: mark{"ok", "Allowed"},
	}
	if e.Outcome == audit.Denied {
		row.Mark = mark{"fail", "Denied"}
	}
	return row
}
