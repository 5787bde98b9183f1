package storetest

import (
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/identity"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
	"github.com/belay-dev/belay/internal/store"
)

func summaries() checks {
	//nolint:thelper // these are the tests themselves
	return checks{
		"what a connector reaches is known from its role, then from its identity": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			cross := aws(prj1(), "cross", "cross")
			cross.CrossAccount = &connector.CrossAccount{RoleARN: "arn:aws:iam::222222222222:role/r"}
			must(t, s.CreateConnector(ctx, cross, at(0)))
			oidc := aws(org1(), "oidc", "oidc")
			oidc.Credential = connector.OIDC{RoleARN: "arn:aws:iam::222222222222:role/r"}
			must(t, s.CreateConnector(ctx, oidc, at(0)))
			must(t, s.CreateConnector(ctx, aws(account(), "own", "own"), at(0)))
			odd := aws(account(), "odd", "odd")
			odd.CrossAccount = &connector.CrossAccount{RoleARN: "arn:aws:iam::${account}:role/r"}
			must(t, s.CreateConnector(ctx, odd, at(0)))
			got, total, err := s.Reached(ctx, account(), at(0), 10)
			must(t, err)
			same(t, got, []connector.Reached{{Account: "222222222222", Connectors: 2, Credentials: map[string]int{"irsa": 1, "oidc": 1}}})
			same(t, total, 1)

			must(t, s.SaveTest(ctx, passed(account(), "own", "t1", 10)))
			must(t, s.SaveTest(ctx, failed(prj1(), "cross", "t2", 20)))
			must(t, s.SaveTest(ctx, failed(prj1(), "cross", "t2", 20))) // the same again counts once
			must(t, s.SaveTest(ctx, failed(account(), "odd", "t3", 20)))
			must(t, s.SaveTest(ctx, passed(org1(), "oidc", "t4", 30)))
			strange := passed(account(), "odd", "t5", 30)
			strange.Identity = &connector.Identity{Account: `"><b>`}
			must(t, s.SaveTest(ctx, strange))
			now := connector.Hours - 1
			failing := connector.Reached{Account: "222222222222", Connectors: 1, Failing: 1, Credentials: map[string]int{"irsa": 1}}
			failing.Hours[now].Failed = 1
			holding := connector.Reached{Account: "123456789012", Connectors: 2, Credentials: map[string]int{"irsa": 1, "oidc": 1}}
			holding.Hours[now].Passed = 2
			got, total, err = s.Reached(ctx, account(), at(40), 10)
			must(t, err)
			same(t, got, []connector.Reached{failing, holding})
			same(t, total, 2)
			got, total, err = s.Reached(ctx, account(), at(40), 1)
			must(t, err)
			same(t, got, []connector.Reached{failing})
			same(t, total, 2)
			got, _, err = s.Reached(ctx, org2(), at(40), 10)
			must(t, err)
			same(t, len(got), 0)

			only, n, err := s.Connectors(ctx, connector.Filter{Scope: account(), SubScopes: true, Reaches: "123456789012", Limit: 10})
			must(t, err)
			same(t, each(only, shortID), []string{"oidc", "own"})
			same(t, n, 2)
			must(t, s.SaveTest(ctx, passed(account(), "odd", "t6", 31)))
			_, n, err = s.Connectors(ctx, connector.Filter{Scope: account(), SubScopes: true, Reaches: "123456789012", Limit: 10})
			must(t, err)
			same(t, n, 3)

			// Two hours later the tests stand two hours to the left, and a day later nowhere.
			got, _, err = s.Reached(ctx, prj1(), at(40).Add(2*time.Hour), 10)
			must(t, err)
			same(t, got[0].Hours[now-2], connector.Hour{Failed: 1})
			got, _, err = s.Reached(ctx, prj1(), at(40).Add(connector.Hours*time.Hour), 10)
			must(t, err)
			same(t, got[0].Hours, [connector.Hours]connector.Hour{})

			// A changed role is believed at once; no role says nothing.
			_, err = s.UpdateConnector(ctx, prj1(), "cross", func(c connector.Connector) (connector.Connector, error) {
				c.CrossAccount = &connector.CrossAccount{RoleARN: "arn:aws:iam::333333333333:role/r"}
				c.Credential = connector.ManualConfig{AccessKey: "AKIA", SecretKeyRef: "account.sk"}
				return c, nil
			})
			must(t, err)
			got, _, err = s.Reached(ctx, prj1(), at(40), 10)
			must(t, err)
			same(t, got, []connector.Reached{{Account: "333333333333", Connectors: 1, Failing: 1, Credentials: map[string]int{"manual": 1}}})
			must(t, s.DeleteTests(ctx, 100, at(40).Add(time.Hour)))
			got, _, err = s.Reached(ctx, org1(), at(40), 10)
			must(t, err)
			for _, r := range got {
				same(t, r.Hours, [connector.Hours]connector.Hour{})
			}
		},
		"connectors that begin to fail or to hold again are remembered by when they turned": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for _, id := range []string{"a", "b", "c"} {
				must(t, s.CreateConnector(ctx, aws(prj1(), id, "name of "+id), at(0)))
			}
			last, err := s.LastTested(ctx, account())
			must(t, err)
			same(t, last, time.Time{})
			must(t, s.SaveTest(ctx, passed(prj1(), "a", "a1", 10)))
			turns, err := s.Turns(ctx, account(), 10)
			must(t, err)
			same(t, len(turns), 0) // its first test held: nothing turned
			must(t, s.SaveTest(ctx, failed(prj1(), "a", "a2", 20)))
			must(t, s.SaveTest(ctx, failed(prj1(), "a", "a3", 30)))
			must(t, s.SaveTest(ctx, failed(prj1(), "b", "b1", 25)))
			must(t, s.SaveTest(ctx, passed(prj1(), "a", "a4", 50)))
			must(t, s.SaveTest(ctx, passed(prj1(), "a", "a5", 60)))
			must(t, s.SaveTest(ctx, failed(prj1(), "a", "a0", 5))) // late, and so it decides nothing
			want := []connector.Turn{
				{Scope: prj1(), ID: "a", Name: "name of a", At: at(50), For: 30 * time.Second},
				{Scope: prj1(), ID: "b", Name: "name of b", At: at(25), Failing: true},
			}
			turns, err = s.Turns(ctx, account(), 10)
			must(t, err)
			same(t, turns, want)
			turns, err = s.Turns(ctx, org1(), 1)
			must(t, err)
			same(t, turns, want[:1])
			turns, err = s.Turns(ctx, prj2(), 10)
			must(t, err)
			same(t, len(turns), 0)
			needing, err := s.Needing(ctx, account(), 10)
			must(t, err)
			same(t, each(needing, shortID), []string{"b"})
			must(t, s.SaveTest(ctx, failed(prj1(), "c", "c1", 70)))
			needing, err = s.Needing(ctx, account(), 10)
			must(t, err)
			same(t, each(needing, shortID), []string{"c", "b"})
			must(t, s.SaveTest(ctx, passed(prj1(), "c", "c2", 71)))
			last, err = s.LastTested(ctx, org1())
			must(t, err)
			same(t, last, at(71))
			for in, want := range map[scope.Scope]int{account(): 1, prj1(): 1, prj2(): 0} {
				n, err := s.FailingConnectors(ctx, in)
				must(t, err)
				same(t, n, want)
			}
		},
		"what ends with an organization or a project is counted": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for i, in := range everywhere() {
				must(t, s.CreateConnector(ctx, aws(in, "aws", "aws"), at(0)))
				must(t, s.CreateSecret(ctx, secret.Secret{Scope: in, ID: "sk", Name: "sk", Kind: secret.Inline}))
				must(t, s.CreateToken(ctx, delegate.Token{ID: string(rune('a' + i)), Scope: in, Name: "tok", CreatedAt: at(i)}))
				must(t, s.SaveDelegate(ctx, delegate.Delegate{ID: delegate.ID(string(rune('a' + i))), Scope: in}))
				k := apiKey(string(rune('a'+i)), i)
				k.Grants = []audit.Grant{{Scope: in, Role: audit.Viewer}}
				must(t, s.SaveKey(ctx, k))
			}
			must(t, s.RevokeKey(ctx, acct, "d", at(9)))
			got, err := s.Contents(ctx, org1())
			must(t, err)
			same(t, got, org.Contents{Projects: 2, Connectors: 3, Secrets: 3, Delegates: 3, Tokens: 3, Keys: 2})
			got, err = s.Contents(ctx, prj1())
			must(t, err)
			same(t, got, org.Contents{Connectors: 1, Secrets: 1, Delegates: 1, Tokens: 1, Keys: 1})
			got, err = s.Contents(ctx, scope.Scope{Account: acct, Org: "org"}) // no organization of which the other is a part
			must(t, err)
			same(t, got.Empty(), true)
		},
		"API keys are listed by the scope of their roles, page by page, and their use is kept": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for i, in := range everywhere() {
				k := apiKey(string(rune('a'+i)), i)
				k.Grants = []audit.Grant{{Scope: in, Role: audit.Viewer}}
				must(t, s.SaveKey(ctx, k))
			}
			must(t, s.RevokeKey(ctx, acct, "b", at(9)))
			for _, tt := range []struct {
				f     identity.Filter
				want  []string
				total int
			}{
				{identity.Filter{Scope: account()}, []string{"e", "d", "c", "b", "a"}, 5},
				{identity.Filter{Scope: account(), Offset: 1, Limit: 2}, []string{"d", "c"}, 5},
				{identity.Filter{Scope: org1()}, []string{"d", "c", "b"}, 3},
				{identity.Filter{Scope: org1(), GoodAt: at(10)}, []string{"d", "c"}, 2},
				{identity.Filter{Scope: account(), GoodAt: at(102)}, []string{"e", "d"}, 2}, // they end 100 s after they were made
				{identity.Filter{Scope: prj2()}, []string{"d"}, 1},
			} {
				list, total, err := s.KeysIn(ctx, tt.f)
				must(t, err)
				same(t, each(list, func(k identity.Key) string { return k.ID }), tt.want)
				same(t, total, tt.total)
			}
			must(t, s.UseKey(ctx, acct, "a", at(20)))
			must(t, s.UseKey(ctx, acct, "a", at(10))) // by another manager, a moment before
			k, err := s.Key(ctx, acct, "a")
			must(t, err)
			same(t, k.LastUsedAt, at(20))
		},
		"the connectors that refer to a secret are counted and paged": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			sk, other := secret.Secret{Scope: account(), ID: "sk", Name: "sk", Kind: secret.Inline}, secret.Secret{Scope: prj1(), ID: "sk", Name: "sk", Kind: secret.Inline}
			must(t, s.CreateSecret(ctx, sk))
			must(t, s.CreateSecret(ctx, other))
			for _, in := range []scope.Scope{account(), prj1(), org2()} {
				c := aws(in, "c", "c")
				c.Credential = connector.ManualConfig{AccessKey: "AKIA", SecretKeyRef: "account.sk"}
				must(t, s.CreateConnector(ctx, c, at(0)))
			}
			users, total, err := s.SecretUsersPage(ctx, account(), "sk", 2)
			must(t, err)
			same(t, users, []secret.User{{Scope: account(), ID: "c"}, {Scope: prj1(), ID: "c"}})
			same(t, total, 3)
			n, err := s.CountSecretUsers(ctx, []secret.Secret{other, sk})
			must(t, err)
			same(t, n, []int{0, 3})
			n, err = s.CountSecretUsers(ctx, nil)
			must(t, err)
			same(t, len(n), 0)
		},
	}
}
