package storetest

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/identity"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/store"
)

func apiKey(id string, created int) identity.Key {
	return identity.Key{
		ID: id, Account: acct, Name: "ci", Hash: "00ff",
		Grants:    []audit.Grant{{Scope: account(), Role: audit.Viewer}, {Scope: prj1(), Role: audit.Admin}},
		CreatedBy: "root", CreatedAt: at(created), ExpiresAt: at(created + 100),
	}
}

func identities() checks {
	//nolint:thelper // these are the tests themselves
	return checks{
		"an API key comes back as it was saved and is never replaced": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			k := apiKey("k1", 1)
			must(t, s.SaveKey(ctx, k))
			got, err := s.Key(ctx, acct, "k1")
			must(t, err)
			same(t, got, k)
			fails(t, s.SaveKey(ctx, apiKey("k1", 2)), fault.Conflict, `"k1"`)
			_, err = s.Key(ctx, "other", "k1")
			fails(t, err, fault.NotFound, `"k1"`)
		},
		"API keys are listed newest first and revoked once": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for i := range 3 {
				must(t, s.SaveKey(ctx, apiKey(fmt.Sprint("k", i), i)))
			}
			must(t, s.RevokeKey(ctx, acct, "k1", at(50)))
			must(t, s.RevokeKey(ctx, acct, "k1", at(60)))
			fails(t, s.RevokeKey(ctx, acct, "none", at(60)), fault.NotFound, `"none"`)
			list, err := s.Keys(ctx, acct)
			must(t, err)
			same(t, each(list, func(k identity.Key) string { return k.ID }), []string{"k2", "k1", "k0"})
			same(t, list[1].RevokedAt, at(50))
			same(t, list[0].RevokedAt, time.Time{})
		},
		"API keys lose their role where an organization or a project ends, for good": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for id, in := range map[string][]scope.Scope{
				"wide": {account()}, "both": {account(), prj1()}, "org": {org1()}, "inside": {prj1()}, "beside": {prj2()}, "other": {org2(), prj1()},
			} {
				k := identity.Key{ID: id, Account: acct, Name: id, CreatedAt: at(1)}
				for _, one := range in {
					k.Grants = append(k.Grants, audit.Grant{Scope: one, Role: audit.Editor})
				}
				must(t, s.SaveKey(ctx, k))
			}
			left := func() map[string][]string {
				t.Helper()
				list, err := s.Keys(ctx, acct)
				must(t, err)
				out := map[string][]string{}
				for _, k := range list {
					out[k.ID] = each(k.Grants, func(g audit.Grant) string { return g.Scope.String() })
				}
				return out
			}
			must(t, s.DeleteProject(ctx, acct, "org1", "prj1"))
			must(t, s.CreateProject(ctx, project("org1", "prj1", "again")))
			same(t, left(), map[string][]string{"wide": {"account"}, "both": {"account"}, "org": {"org1"}, "beside": {"org1/prj2"}, "other": {"org2"}})
			must(t, s.DeleteOrganization(ctx, acct, "org1"))
			must(t, s.CreateOrganization(ctx, organization("org1", "again")))
			same(t, left(), map[string][]string{"wide": {"account"}, "both": {"account"}, "other": {"org2"}})
		},
		"an API key has no role where there is nothing": func(t *testing.T, s *store.Store) {
			k := apiKey("k1", 1)
			k.Grants = append(k.Grants, audit.Grant{Scope: scope.Scope{Account: acct, Org: "none"}, Role: audit.Viewer})
			fails(t, s.SaveKey(t.Context(), k), fault.Invalid, `"none"`, "create it first")
		},
	}
}

func token(in scope.Scope, name string) delegate.Token {
	return delegate.Token{ID: "tok_" + in.String() + name, Scope: in, Name: name, Sealed: "c2VhbGVk", CreatedBy: "root", CreatedAt: at(0)}
}

func delegates() checks {
	tokenName := func(x delegate.Token) string { return x.Scope.String() + " " + x.Name }
	//nolint:thelper // these are the tests themselves
	return checks{
		"a delegate token comes back by name and by id": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			x := token(org1(), "tök en")
			x.RevokeAfter = at(10)
			must(t, s.CreateToken(ctx, x))
			got, err := s.Token(ctx, org1(), "tök en")
			must(t, err)
			same(t, got, x)
			got, err = s.TokenByID(ctx, acct, x.ID)
			must(t, err)
			same(t, got, x)
			_, err = s.Token(ctx, account(), "tök en")
			fails(t, err, fault.NotFound, "tök en", "account")
			_, err = s.TokenByID(ctx, "other", x.ID)
			fails(t, err, fault.NotFound)
		},
		"a delegate token's name stays taken in its scope, revoked or not": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.CreateToken(ctx, token(org1(), "a")))
			again := token(org1(), "a")
			again.ID = "tok_2"
			fails(t, s.CreateToken(ctx, again), fault.Conflict, `"a"`, "org1")
			must(t, s.RevokeToken(ctx, org1(), "a", at(5)))
			fails(t, s.CreateToken(ctx, again), fault.Conflict)
			must(t, s.CreateToken(ctx, token(org2(), "a")))
			must(t, s.DeleteToken(ctx, org1(), "a"))
			must(t, s.CreateToken(ctx, again))
			fails(t, s.DeleteToken(ctx, org1(), "none"), fault.NotFound, `"none"`)
		},
		"revoking a delegate token keeps its first time and takes it off the active ones": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for _, x := range []delegate.Token{token(account(), "a"), token(org1(), "b"), token(org1(), "c")} {
				must(t, s.CreateToken(ctx, x))
			}
			must(t, s.RevokeToken(ctx, org1(), "b", at(5)))
			must(t, s.RevokeToken(ctx, org1(), "b", at(9)))
			fails(t, s.RevokeToken(ctx, account(), "b", at(9)), fault.NotFound, `"b"`)
			got, err := s.Token(ctx, org1(), "b")
			must(t, err)
			same(t, got.RevokedAt, at(5))
			list, err := s.ActiveTokens(ctx, acct)
			must(t, err)
			same(t, each(list, tokenName), []string{"account a", "org1 c"})
			list, err = s.Tokens(ctx, org1())
			must(t, err)
			same(t, each(list, tokenName), []string{"org1 b", "org1 c"})
		},
		"delegate tokens to revoke are active and past their end": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for i, name := range []string{"never", "soon", "later", "done"} {
				x := token(account(), name)
				if i > 0 {
					x.RevokeAfter = at(i * 10)
				}
				must(t, s.CreateToken(ctx, x))
			}
			must(t, s.RevokeToken(ctx, account(), "done", at(1)))
			list, err := s.TokensToRevoke(ctx, at(15))
			must(t, err)
			same(t, each(list, tokenName), []string{"account soon"})
		},
		"a delegate comes back as it was saved, and saving it again replaces it": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.CreateToken(ctx, delegate.Token{ID: "tok_1", Scope: org1(), Name: "t", CreatedAt: at(0)}))
			d := delegate.Delegate{
				ID: "dlg_1", Scope: org1(), TokenID: "tok_1", Name: "eks", HostName: "h", IP: "10.0.0.1", Type: "KUBERNETES", Description: "d",
				Tags: []string{"b", "a"}, Version: delegate.Version{Year: 24, Month: 3, Build: 82603}, Kinds: nil, RegisteredAt: at(0), LastSeen: at(1),
				Draining: true, Busy: "CPU at 93 %",
			}
			must(t, s.SaveDelegate(ctx, d))
			bare := delegate.Delegate{ID: "dlg_0", Scope: account(), Kinds: []string{"aws.validate"}}
			must(t, s.SaveDelegate(ctx, bare))
			list, err := s.Delegates(ctx)
			must(t, err)
			same(t, list, []delegate.Delegate{bare, d})
			d.Name, d.Tags, d.Version, d.Busy, d.Draining = "other", []string{}, delegate.Current(), "", false
			must(t, s.SaveDelegate(ctx, d))
			list, err = s.Delegates(ctx)
			must(t, err)
			same(t, list, []delegate.Delegate{bare, d})
		},
		"a delegate whose token was revoked, or is gone, is known by that": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for _, name := range []string{"active", "revoked", "gone"} {
				must(t, s.CreateToken(ctx, delegate.Token{ID: name, Scope: org1(), Name: name, CreatedAt: at(0)}))
				must(t, s.SaveDelegate(ctx, delegate.Delegate{ID: delegate.ID(name), Scope: org1(), TokenID: name}))
			}
			must(t, s.RevokeToken(ctx, org1(), "revoked", at(1)))
			must(t, s.RevokeToken(ctx, org1(), "gone", at(1)))
			must(t, s.DeleteToken(ctx, org1(), "gone"))
			list, err := s.Delegates(ctx)
			must(t, err)
			same(t, each(list, func(d delegate.Delegate) string { return fmt.Sprint(d.ID, " ", d.Revoked) }), []string{"active false", "gone true", "revoked true"})
		},
		"presence is written for many delegates and never goes back": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			const many = 1200
			seen, ids := map[delegate.ID]time.Time{"dlg_gone": at(9)}, []delegate.ID{"dlg_gone"}
			together(many, func(i int) {
				if err := s.SaveDelegate(ctx, delegate.Delegate{ID: delegate.ID(fmt.Sprint("dlg_", i)), Scope: account(), LastSeen: at(1)}); err != nil {
					t.Error(err)
				}
			})
			for i := range many {
				id := delegate.ID(fmt.Sprint("dlg_", i))
				seen[id], ids = at(5), append(ids, id)
			}
			must(t, s.SaveSeen(ctx, seen))
			must(t, s.SaveSeen(ctx, map[delegate.ID]time.Time{"dlg_7": at(2)}))
			list, err := s.Delegates(ctx)
			must(t, err)
			same(t, len(list), many)
			for _, d := range list {
				same(t, d.LastSeen, at(5))
			}
			must(t, s.DeleteDelegates(ctx, ids[:many]))
			list, err = s.Delegates(ctx)
			must(t, err)
			same(t, len(list), 1)
			must(t, s.DeleteDelegates(ctx, nil))
		},
		"the tags of a group of delegates are the last ones, and gone when there are none": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for i, in := range everywhere() {
				must(t, s.SaveGroup(ctx, delegate.Group{Scope: in, Name: "eks 1", Given: []string{"first", strconv.Itoa(i)}}))
			}
			must(t, s.SaveGroup(ctx, delegate.Group{Scope: org1(), Name: "eks 1", Given: []string{"zwei", "a"}}))
			must(t, s.SaveGroup(ctx, delegate.Group{Scope: prj2(), Name: "eks 1"}))
			must(t, s.SaveGroup(ctx, delegate.Group{Scope: prj2(), Name: "never"}))
			fails(t, s.SaveGroup(ctx, delegate.Group{Scope: scope.Scope{Account: acct, Org: "none"}, Name: "a", Given: []string{"a"}}), fault.Invalid, `"none"`)
			list, err := s.Groups(ctx)
			must(t, err)
			same(t, each(list, func(g delegate.Group) string { return fmt.Sprint(g.Scope, " ", g.Name, " ", g.Given) }),
				[]string{"account eks 1 [first 0]", "org1 eks 1 [zwei a]", "org1/prj1 eks 1 [first 2]", "org2 eks 1 [first 4]"})
		},
	}
}
