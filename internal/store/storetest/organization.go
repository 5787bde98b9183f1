package storetest

import (
	"errors"
	"testing"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/secret"
	"github.com/belay-dev/belay/internal/store"
)

func organization(id, name string) org.Organization {
	return org.Organization{Account: acct, ID: id, Name: name, Description: "d", Tags: map[string]string{"team": "core", "solo": ""}, CreatedAt: at(0), UpdatedAt: at(1)}
}

func project(organization, id, name string) org.Project {
	return org.Project{
		Account: acct, Org: organization, ID: id, Name: name, Description: "d", Color: "#0063F7", Modules: []string{"CD", "CI"},
		Tags: map[string]string{"a": "b"}, CreatedAt: at(0), UpdatedAt: at(1),
	}
}

func organizationID(o org.Organization) string { return o.ID }

func projectPath(p org.Project) string { return p.Org + "/" + p.ID }

func organizations() checks {
	//nolint:thelper // these are the tests themselves
	return checks{
		"accounts are listed oldest first, and saving one again renames it": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.SaveAccount(ctx, org.Account{ID: "b", Name: "second", CreatedAt: at(2)}))
			must(t, s.SaveAccount(ctx, org.Account{ID: "c", Name: "first", CreatedAt: at(1)}))
			must(t, s.SaveAccount(ctx, org.Account{ID: "b", Name: "renamed", CreatedAt: at(9)}))
			got, err := s.Accounts(ctx)
			must(t, err)
			same(t, got, []org.Account{{ID: "c", Name: "first", CreatedAt: at(1)}, {ID: "b", Name: "renamed", CreatedAt: at(2)}})
		},
		"flags are those that were set, per account": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.SetFlag(ctx, acct, "A", true))
			must(t, s.SetFlag(ctx, acct, "B", true))
			must(t, s.SetFlag(ctx, acct, "B", false))
			must(t, s.SetFlag(ctx, "other", "C", true))
			got, err := s.Flags(ctx, acct)
			must(t, err)
			same(t, got, map[string]bool{"A": true, "B": false})
		},
		"an organization comes back as it was created": func(t *testing.T, s *store.Store) {
			o := organization("org1", "Größe 東京")
			must(t, s.CreateOrganization(t.Context(), o))
			got, err := s.Organization(t.Context(), acct, "org1")
			must(t, err)
			same(t, got, o)
		},
		"an organization's identifier is unique in its account and case matters": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.CreateOrganization(ctx, organization("org1", "n")))
			fails(t, s.CreateOrganization(ctx, organization("org1", "m")), fault.Conflict, `"org1"`, "exists already")
			must(t, s.CreateOrganization(ctx, organization("Org1", "n")))
			other := organization("org1", "n")
			other.Account = "other"
			must(t, s.CreateOrganization(ctx, other))
		},
		"an update of an organization sees the present one and keeps its identifier": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.CreateOrganization(ctx, organization("org1", "n")))
			got, err := s.UpdateOrganization(ctx, acct, "org1", func(o org.Organization) (org.Organization, error) {
				same(t, o, organization("org1", "n"))
				o.ID, o.Account, o.Name, o.Tags, o.UpdatedAt = "x", "y", "new", nil, at(5)
				return o, nil
			})
			must(t, err)
			want := organization("org1", "new")
			want.Tags, want.UpdatedAt = nil, at(5)
			same(t, got, want)
			got, err = s.Organization(ctx, acct, "org1")
			must(t, err)
			same(t, got, want)
			_, err = s.UpdateOrganization(ctx, acct, "none", func(o org.Organization) (org.Organization, error) { return o, nil })
			fails(t, err, fault.NotFound, `organization "none" does not exist`)
		},
		"an update that fails changes nothing and gives its error": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.CreateOrganization(ctx, organization("org1", "n")))
			mine := errors.New("mine")
			_, err := s.UpdateOrganization(ctx, acct, "org1", func(o org.Organization) (org.Organization, error) { return o, mine })
			if !errors.Is(err, mine) {
				t.Fatalf("got %v", err)
			}
			got, err := s.Organization(ctx, acct, "org1")
			must(t, err)
			same(t, got, organization("org1", "n"))
		},
		"organizations are listed by name, exact matches of a search first, and paged": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for id, name := range map[string]string{"a1": "platform team", "a2": "Platform", "a3": "alpha platform", "a4": "platform", "platform": "zeta", "a5": "100%", "a6": "other"} {
				must(t, s.CreateOrganization(ctx, organization(id, name)))
			}
			list, total, err := s.Organizations(ctx, org.Filter{Account: acct, Search: "platform"})
			must(t, err)
			same(t, total, 5)
			same(t, each(list, organizationID), []string{"a4", "platform", "a2", "a3", "a1"})
			list, total, err = s.Organizations(ctx, org.Filter{Account: acct, Search: "0%"})
			must(t, err)
			same(t, total, 1)
			same(t, each(list, organizationID), []string{"a5"})
			list, total, err = s.Organizations(ctx, org.Filter{Account: acct, Offset: 2, Limit: 2})
			must(t, err)
			same(t, total, 7)
			same(t, each(list, organizationID), []string{"a6", "a2"})
			list, total, err = s.Organizations(ctx, org.Filter{Account: acct, Offset: 100, Limit: 2})
			must(t, err)
			same(t, total, 7)
			same(t, len(list), 0)
			list, _, err = s.Organizations(ctx, org.Filter{Account: acct, IDs: []string{"a6", "a1", "a1", "none"}})
			must(t, err)
			same(t, each(list, organizationID), []string{"a6", "a1"})
		},
		"a project comes back as it was created, with no modules and with an empty list": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.CreateOrganization(ctx, organization("org1", "n")))
			for i, modules := range [][]string{nil, {}, {"CD"}} {
				p := project("org1", "prj"+string(rune('a'+i)), "n")
				p.Modules = modules
				must(t, s.CreateProject(ctx, p))
				got, err := s.Project(ctx, acct, "org1", p.ID)
				must(t, err)
				same(t, got, p)
			}
			_, err := s.Project(ctx, acct, "org1", "none")
			fails(t, err, fault.NotFound, `project "none" does not exist in organization "org1"`)
		},
		"a project's identifier is unique in its organization": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.CreateOrganization(ctx, organization("org1", "n")))
			must(t, s.CreateOrganization(ctx, organization("org2", "n")))
			must(t, s.CreateProject(ctx, project("org1", "p", "n")))
			fails(t, s.CreateProject(ctx, project("org1", "p", "n")), fault.Conflict, `"p"`)
			must(t, s.CreateProject(ctx, project("org2", "p", "n")))
			got, err := s.UpdateProject(ctx, acct, "org2", "p", func(p org.Project) (org.Project, error) { p.Name = "new"; return p, nil })
			must(t, err)
			same(t, got, project("org2", "p", "new"))
			first, err := s.Project(ctx, acct, "org1", "p")
			must(t, err)
			same(t, first.Name, "n")
			_, err = s.UpdateProject(ctx, acct, "org3", "p", func(p org.Project) (org.Project, error) { return p, nil })
			fails(t, err, fault.NotFound, `"p"`, `"org3"`)
		},
		"projects are narrowed by organization, organizations and identifiers": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for _, id := range []string{"org1", "org2", "org3"} {
				must(t, s.CreateOrganization(ctx, organization(id, "n")))
			}
			for _, p := range []org.Project{project("org1", "p1", "a"), project("org1", "p2", "b"), project("org2", "p1", "c"), project("org3", "p3", "B")} {
				must(t, s.CreateProject(ctx, p))
			}
			for _, tt := range []struct {
				f    org.Filter
				want []string
			}{
				{org.Filter{}, []string{"org1/p1", "org1/p2", "org3/p3", "org2/p1"}},
				{org.Filter{Org: "org1"}, []string{"org1/p1", "org1/p2"}},
				{org.Filter{Orgs: []string{"org2", "org3"}}, []string{"org3/p3", "org2/p1"}},
				{org.Filter{IDs: []string{"p1"}}, []string{"org1/p1", "org2/p1"}},
				{org.Filter{Search: "B"}, []string{"org3/p3", "org1/p2", "org1/p1", "org2/p1"}}, // the tag a:b is searched, too
				{org.Filter{Org: "none"}, []string{}},
			} {
				tt.f.Account = acct
				list, total, err := s.Projects(ctx, tt.f)
				must(t, err)
				same(t, each(list, projectPath), tt.want)
				same(t, total, len(tt.want))
			}
		},
		"deleting an organization takes all inside it and nothing else": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			inhabit(t, s)
			must(t, s.DeleteOrganization(ctx, acct, "org1"))
			fails(t, s.DeleteOrganization(ctx, acct, "org1"), fault.NotFound, `"org1"`)
			same(t, inhabitants(t, s), []string{
				"connector /", "connector org2/", "test /", "test org2/", "secret /", "secret org2/", "token /", "token org2/", "delegate /", "delegate org2/", "group /", "group org2/",
			})
			list, _, err := s.Projects(ctx, org.Filter{Account: acct})
			must(t, err)
			same(t, each(list, projectPath), []string{"org2/prj1"})
		},
		"deleting a project takes all inside it and nothing else": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			inhabit(t, s)
			must(t, s.DeleteProject(ctx, acct, "org1", "prj1"))
			fails(t, s.DeleteProject(ctx, acct, "org1", "prj1"), fault.NotFound, `"prj1"`, `"org1"`)
			want := []string{}
			for _, kind := range []string{"connector", "test", "secret", "token", "delegate", "group"} {
				want = append(want, kind+" /", kind+" org1/", kind+" org1/prj2", kind+" org2/")
			}
			same(t, inhabitants(t, s), want)
			_, err := s.Organization(ctx, acct, "org1")
			must(t, err)
		},
	}
}

// inhabit puts one of everything into every scope.
func inhabit(t *testing.T, s *store.Store) {
	t.Helper()
	ctx := t.Context()
	for _, id := range []string{"org1", "org2"} {
		must(t, s.CreateOrganization(ctx, organization(id, id)))
	}
	for _, p := range []org.Project{project("org1", "prj1", "p"), project("org1", "prj2", "p"), project("org2", "prj1", "p")} {
		must(t, s.CreateProject(ctx, p))
	}
	for i, in := range everywhere() {
		must(t, s.CreateConnector(ctx, aws(in, "aws", "aws"), at(0)))
		must(t, s.SaveTest(ctx, passed(in, "aws", string(rune('a'+i)), 1)))
		must(t, s.CreateSecret(ctx, secret.Secret{Scope: in, ID: "sk", Name: "sk", Kind: secret.Inline}))
		must(t, s.CreateToken(ctx, delegate.Token{ID: string(rune('a' + i)), Scope: in, Name: "tok", CreatedAt: at(i)}))
		must(t, s.SaveDelegate(ctx, delegate.Delegate{ID: delegate.ID(string(rune('a' + i))), Scope: in}))
		must(t, s.SaveGroup(ctx, delegate.Group{Scope: in, Name: "eks", Given: []string{"a"}}))
	}
}

func inhabitants(t *testing.T, s *store.Store) []string {
	t.Helper()
	ctx := t.Context()
	list := []string{}
	connectors, _, err := s.Connectors(ctx, connector.Filter{Scope: account(), SubScopes: true})
	must(t, err)
	list = append(list, each(connectors, func(c connector.Stored) string { return "connector " + c.Scope.Org + "/" + c.Scope.Project })...)
	for i, in := range everywhere() {
		got, err := s.Test(ctx, acct, string(rune('a'+i)))
		if fault.KindOf(err) == fault.NotFound {
			continue
		}
		must(t, err)
		same(t, got.Scope, in)
		list = append(list, "test "+in.Org+"/"+in.Project)
	}
	secrets, _, err := s.Secrets(ctx, secret.Filter{Scope: account(), SubScopes: true})
	must(t, err)
	list = append(list, each(secrets, func(x secret.Secret) string { return "secret " + x.Scope.Org + "/" + x.Scope.Project })...)
	tokens, err := s.ActiveTokens(ctx, acct)
	must(t, err)
	list = append(list, each(tokens, func(x delegate.Token) string { return "token " + x.Scope.Org + "/" + x.Scope.Project })...)
	fleet, err := s.Delegates(ctx)
	must(t, err)
	list = append(list, each(fleet, func(d delegate.Delegate) string { return "delegate " + d.Scope.Org + "/" + d.Scope.Project })...)
	groups, err := s.Groups(ctx)
	must(t, err)
	return append(list, each(groups, func(g delegate.Group) string { return "group " + g.Scope.Org + "/" + g.Scope.Project })...)
}
