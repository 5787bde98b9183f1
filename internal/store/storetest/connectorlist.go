package storetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/store"
)

// diff compares with Tags nil and empty alike: a client cannot tell them apart.
func diff(want, got any) string {
	return cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Tags" },
		cmp.Comparer(func(a, b map[string]string) bool {
			return len(a) == len(b) && (len(a) == 0 || cmp.Equal(a, b))
		})))
}

func shortID(c connector.Stored) string { return c.ID }

func connectorLists() checks {
	//nolint:thelper // these are the tests themselves
	return checks{
		"a delegate may work for the connectors that ask for no tag which it has not": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			off := false
			for i, c := range []connector.Connector{
				{Scope: account(), Name: "any"},
				{Scope: account(), Name: "none", Selectors: []string{}},
				{Scope: prj1(), Name: "One", Selectors: []string{"EKS"}},
				{Scope: org1(), Name: "two", Selectors: []string{"eks", "a\"b%_"}},
				{Scope: org1(), Name: "more", Selectors: []string{"eks", "frankfurt"}},
				{Scope: org1(), Name: "other", Selectors: []string{"ec2"}},
				{Scope: org2(), Name: "elsewhere"},
				{Scope: org1(), Name: "manager", Credential: connector.OIDC{}, ExecuteOnDelegate: &off},
				{Scope: org1(), Name: "cluster", Credential: connector.Kubernetes{Spec: []byte(`{}`)}},
			} {
				c.ID = fmt.Sprint("c", i)
				if c.Credential == nil {
					c.Credential = connector.IRSA{}
				}
				must(t, s.CreateConnector(ctx, c, at(0)))
			}
			name := func(c connector.Stored) string { return c.Name }
			for what, tt := range map[string]struct {
				sel  connector.Selection
				want string
			}{
				"all that it serves": {connector.Selection{Serves: account(), Within: account(), Tags: []string{"eks", `A"b%_`}}, "any elsewhere none One two"},
				"in an organization": {connector.Selection{Serves: account(), Within: org1(), Tags: []string{"Eks"}}, "One"},
				"it serves one only": {connector.Selection{Serves: org1(), Within: account(), Tags: []string{"eks", "frankfurt"}}, "more One"},
				"it serves another":  {connector.Selection{Serves: org2(), Within: org1(), Tags: []string{"eks"}}, ""},
				"without a tag":      {connector.Selection{Serves: account(), Within: account()}, "any elsewhere none"},
				"with more tags than are looked for by the database": {connector.Selection{Serves: account(), Within: org1(), Tags: append(strings.Split("abcdefghijklmnopqrstuvwxyz", ""), "EKS")}, "One"},
				"a pattern is a text like any":                       {connector.Selection{Serves: account(), Within: org1(), Tags: []string{"%"}}, ""},
			} {
				list, more, err := s.ConnectorsSelecting(ctx, tt.sel, 9)
				must(t, err)
				if got := strings.Join(each(list, name), " "); got != tt.want || more {
					t.Errorf("%s: got %q, want %q; more: %t", what, got, tt.want, more)
				}
			}
			list, more, err := s.ConnectorsSelecting(ctx, connector.Selection{Serves: account(), Within: account()}, 2)
			must(t, err)
			same(t, each(list, name), []string{"any", "elsewhere"})
			same(t, more, true)
		},
		"connectors are narrowed by each field of the filter, and by all at once": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			crowd(t, s)
			for name, tt := range map[string]struct {
				f    connector.Filter
				want string
			}{
				"its own scope only":              {connector.Filter{Scope: org1()}, "o1 o2"},
				"with those inside":               {connector.Filter{Scope: org1(), SubScopes: true}, "o1 o2 p1 p2 p3"},
				"with those around":               {connector.Filter{Scope: prj1(), Wider: true}, "a1 a2 o1 o2 p1 p2"},
				"around an organization":          {connector.Filter{Scope: org1(), Wider: true}, "a1 a2 o1 o2"},
				"inside and around":               {connector.Filter{Scope: org1(), Wider: true, SubScopes: true}, "a1 a2 o1 o2 p1 p2 p3"},
				"around the account":              {connector.Filter{Scope: account(), Wider: true}, "a1 a2"},
				"around and inside the account":   {connector.Filter{Scope: account(), Wider: true, SubScopes: true}, "a1 a2 o1 o2 p1 p2 p3 x1"},
				"another account":                 {connector.Filter{Scope: scope.Scope{Account: "other"}, SubScopes: true}, "z1"},
				"identifiers":                     {connector.Filter{Scope: account(), SubScopes: true, IDs: []string{"p1", "a1", "p1", "z1", "none"}}, "a1 p1"},
				"identifiers in another case":     {connector.Filter{Scope: account(), SubScopes: true, IDs: []string{"P1"}}, ""},
				"names":                           {connector.Filter{Scope: account(), SubScopes: true, Names: []string{"n p1", "N p2"}}, "p1"},
				"keys":                            {connector.Filter{Scope: account(), SubScopes: true, Keys: []string{prj1().Path("p1"), account().Path("a2"), prj1().Path("a1"), "other///z1", "junk"}}, "a2 p1"},
				"keys outside the scope":          {connector.Filter{Scope: prj1(), Keys: []string{account().Path("a2"), prj1().Path("p2")}}, "p2"},
				"keys that name nothing":          {connector.Filter{Scope: account(), SubScopes: true, Keys: []string{"junk"}}, ""},
				"statuses":                        {connector.Filter{Scope: account(), SubScopes: true, Statuses: []connector.Status{connector.Failing, connector.Success}}, "o2 p2"},
				"never tested":                    {connector.Filter{Scope: org1(), SubScopes: true, Statuses: []connector.Status{connector.Unknown}}, "o1 p1 p3"},
				"a tag":                           {connector.Filter{Scope: account(), SubScopes: true, Tags: map[string]string{"team": "core"}}, "a1 p1"},
				"two tags":                        {connector.Filter{Scope: account(), SubScopes: true, Tags: map[string]string{"team": "core", "env": ""}}, "p1"},
				"a tag in another case":           {connector.Filter{Scope: account(), SubScopes: true, Tags: map[string]string{"team": "Core"}}, ""},
				"part of the description":         {connector.Filter{Scope: account(), SubScopes: true, Description: "100%_SURE"}, "o1"},
				"a wildcard in the description":   {connector.Filter{Scope: account(), SubScopes: true, Description: "100_"}, ""},
				"delegate's own credentials":      {connector.Filter{Scope: account(), SubScopes: true, Inheriting: new(true)}, "a1 o1 o2 p1 p2 p3"},
				"other credentials":               {connector.Filter{Scope: account(), SubScopes: true, Inheriting: new(false)}, "a2 x1"},
				"search in the name":              {connector.Filter{Scope: account(), SubScopes: true, Search: "N O"}, "o1 o2"},
				"search in the identifier":        {connector.Filter{Scope: account(), SubScopes: true, Search: "X1"}, "x1"},
				"search in the description":       {connector.Filter{Scope: account(), SubScopes: true, Search: "sure"}, "o1"},
				"search beyond ASCII":             {connector.Filter{Scope: account(), SubScopes: true, Search: "zürich"}, "p3"},
				"search for a tag":                {connector.Filter{Scope: account(), SubScopes: true, Search: "team:core"}, "a1 p1"},
				"search with a wildcard":          {connector.Filter{Scope: account(), SubScopes: true, Search: "%"}, "o1"},
				"search with a backslash":         {connector.Filter{Scope: account(), SubScopes: true, Search: `\`}, ""},
				"search for too much":             {connector.Filter{Scope: account(), SubScopes: true, Search: strings.Repeat("a", 100_000)}, ""},
				"everything at once":              {connector.Filter{Scope: prj1(), Wider: true, Search: "n p", IDs: []string{"p1", "p2"}, Names: []string{"n p1"}, Tags: map[string]string{"env": ""}, Inheriting: new(true), Description: "d", Statuses: []connector.Status{connector.Unknown}, Keys: []string{prj1().Path("p1")}}, "p1"},
				"quotes and statements as values": {connector.Filter{Scope: account(), SubScopes: true, Search: `'; DROP TABLE connectors; --`, Names: []string{`" OR 1=1`}}, ""},
			} {
				list, total, err := s.Connectors(ctx, tt.f)
				must(t, err)
				if got := strings.Join(each(list, shortID), " "); got != tt.want || total != len(list) {
					t.Errorf("%s: got %q of %d, want %q", name, got, total, tt.want)
				}
				want := map[connector.Status]int{}
				for _, c := range list {
					want[c.Status]++
				}
				tally, err := s.TallyConnectors(ctx, tt.f)
				must(t, err)
				if diff := cmp.Diff(want, tally); diff != "" {
					t.Errorf("%s: counted by status:\n%s", name, diff)
				}
			}
		},
		"a search puts exact names first, then exact identifiers, whatever the order": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for id, name := range map[string]string{"c1": "prod aws 2", "c2": "prod", "c3": "a prod", "prod": "zz", "c4": "PROD", "c5": "prod", "c6": "b prod"} {
				must(t, s.CreateConnector(ctx, aws(prj1(), id, name), at(0)))
			}
			list, total, err := s.Connectors(ctx, connector.Filter{Scope: prj1(), Search: "prod"})
			must(t, err)
			same(t, total, 7)
			same(t, each(list, shortID), []string{"c2", "c5", "prod", "c4", "c3", "c6", "c1"})
			list, _, err = s.Connectors(ctx, connector.Filter{Scope: prj1(), Search: "prod", Descending: true, Sort: connector.ByName})
			must(t, err)
			same(t, each(list, shortID), []string{"c5", "c2", "prod", "c4", "c1", "c6", "c3"})
		},
		"connectors are sorted by each order, both ways, equals by identifier": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for i, id := range []string{"d", "b", "c", "a"} {
				c := aws(prj1(), id, "Same")
				c.CreatedAt, c.UpdatedAt = at(i/2), at(10-i/2)
				must(t, s.CreateConnector(ctx, c, at(0)))
			}
			must(t, s.SaveTest(ctx, passed(prj1(), "c", "t1", 100)))
			for _, tt := range []struct {
				sort       connector.Sort
				descending bool
				want       string
			}{
				{"", false, "a b c d"},
				{connector.ByName, false, "a b c d"},
				{connector.ByName, true, "d c b a"},
				{connector.ByCreated, false, "b d a c"},
				{connector.ByCreated, true, "c a d b"},
				{connector.ByUpdated, false, "a c b d"},
				{connector.ByUpdated, true, "d b c a"},
				{connector.ByActivity, true, "c d b a"},
			} {
				list, _, err := s.Connectors(ctx, connector.Filter{Scope: prj1(), Sort: tt.sort, Descending: tt.descending})
				must(t, err)
				if got := strings.Join(each(list, shortID), " "); got != tt.want {
					t.Errorf("%s descending %v: got %s, want %s", tt.sort, tt.descending, got, tt.want)
				}
			}
		},
		"pages of connectors join, and past the end there is nothing but the total": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for i := range 23 {
				must(t, s.CreateConnector(ctx, aws(prj1(), fmt.Sprintf("c%02d", i), fmt.Sprint("n", i%3)), at(0)))
			}
			all, _, err := s.Connectors(ctx, connector.Filter{Scope: prj1()})
			must(t, err)
			joined := []string{}
			for offset := 0; offset < 40; offset += 5 {
				list, total, err := s.Connectors(ctx, connector.Filter{Scope: prj1(), Offset: offset, Limit: 5})
				must(t, err)
				same(t, total, 23)
				joined = append(joined, each(list, shortID)...)
				uncounted, none, err := s.Connectors(ctx, connector.Filter{Scope: prj1(), Offset: offset, Limit: 5, Uncounted: true})
				must(t, err)
				same(t, none, 0)
				same(t, each(uncounted, shortID), each(list, shortID))
			}
			same(t, joined, each(all, shortID))
		},
		"a list that names too many is invalid": func(t *testing.T, s *store.Store) {
			_, _, err := s.Connectors(t.Context(), connector.Filter{Scope: prj1(), IDs: make([]string, 1001)})
			fails(t, err, fault.Invalid, "1001", "1000")
		},
		"a list has every connector's last test": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			crowd(t, s)
			list, _, err := s.Connectors(ctx, connector.Filter{Scope: account(), SubScopes: true})
			must(t, err)
			for _, c := range list {
				one, err := s.Connector(ctx, c.Scope, c.ID)
				must(t, err)
				same(t, c, one)
			}
		},
	}
}

// crowd makes connectors whose identifiers tell their scope: a(ccount), o(rg1), p(rj1; p3 is in prj2), x is org2.
func crowd(t *testing.T, s *store.Store) {
	t.Helper()
	ctx := t.Context()
	add := func(in scope.Scope, id string, change func(c *connector.Connector)) {
		c := aws(in, id, "n "+id)
		c.Description = "d"
		if change != nil {
			change(&c)
		}
		must(t, s.CreateConnector(ctx, c, at(0)))
	}
	add(account(), "a1", func(c *connector.Connector) { c.Tags = map[string]string{"team": "core"} })
	add(account(), "a2", func(c *connector.Connector) {
		c.Credential = connector.ManualConfig{AccessKey: "AKIA", SecretKeyRef: "sk"}
	})
	add(org1(), "o1", func(c *connector.Connector) { c.Description = "I am 100%_sure" })
	add(org1(), "o2", func(c *connector.Connector) { c.Credential = connector.InheritFromDelegate{} })
	add(prj1(), "p1", func(c *connector.Connector) { c.Tags = map[string]string{"team": "core", "env": ""} })
	add(prj1(), "p2", nil)
	add(prj2(), "p3", func(c *connector.Connector) { c.Name = "n pZÜRICH" })
	add(org2(), "x1", func(c *connector.Connector) { c.Credential = connector.OIDC{RoleARN: "r"} })
	add(scope.Scope{Account: "other"}, "z1", nil)
	must(t, s.SaveTest(ctx, passed(org1(), "o2", "t1", 5)))
	must(t, s.SaveTest(ctx, failed(prj1(), "p2", "t2", 6)))
}
