package storetest

import (
	"encoding/json"
	"testing"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
	"github.com/belay-dev/belay/internal/store"
)

func text(in scope.Scope, id, name string) secret.Secret {
	return secret.Secret{
		Scope: in, ID: id, Name: name, Description: "d", Tags: map[string]string{"t": "v"}, Manager: secret.BuiltInManager, Kind: secret.Inline,
		Metadata: map[string]json.RawMessage{"kmsKeyId": json.RawMessage(`"k"`), "version": json.RawMessage(`3`)}, Sealed: "c2VhbGVk", CreatedAt: at(0), UpdatedAt: at(1),
	}
}

func secrets() checks {
	//nolint:thelper // these are the tests themselves
	return checks{
		"a secret comes back as it was created, with its ciphertext": func(t *testing.T, s *store.Store) {
			for _, in := range everywhere() {
				x := text(in, "sk-1", "Schlüssel")
				must(t, s.CreateSecret(t.Context(), x))
				got, err := s.Secret(t.Context(), in, "sk-1")
				must(t, err)
				same(t, got, x)
			}
			_, err := s.Secret(t.Context(), prj1(), "none")
			fails(t, err, fault.NotFound, `secret "none" does not exist at org1/prj1`)
			_, err = s.Secret(t.Context(), account(), "SK-1")
			fails(t, err, fault.NotFound)
		},
		"a secret's identifier is unique in its scope": func(t *testing.T, s *store.Store) {
			must(t, s.CreateSecret(t.Context(), text(org1(), "a", "n")))
			fails(t, s.CreateSecret(t.Context(), text(org1(), "a", "n")), fault.Conflict, `"a"`, "org1")
		},
		"an update of a secret sees its ciphertext and keeps its key": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.CreateSecret(ctx, text(org1(), "a", "n")))
			want := text(org1(), "a", "new")
			want.Sealed, want.Metadata, want.Path = "bmV3", nil, "vault/x"
			got, err := s.UpdateSecret(ctx, org1(), "a", func(old secret.Secret) (secret.Secret, error) {
				same(t, old, text(org1(), "a", "n"))
				x := want
				x.ID, x.Scope = "b", prj2()
				return x, nil
			})
			must(t, err)
			same(t, got, want)
			got, err = s.Secret(ctx, org1(), "a")
			must(t, err)
			same(t, got, want)
			_, err = s.UpdateSecret(ctx, account(), "a", func(x secret.Secret) (secret.Secret, error) { return x, nil })
			fails(t, err, fault.NotFound, `secret "a" does not exist at account`)
		},
		"secrets are listed without ciphertext, in one scope or with those inside": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for _, x := range []secret.Secret{text(account(), "a", "one"), text(account(), "b", "Two"), text(org1(), "c", "three"), text(prj1(), "d", "four")} {
				must(t, s.CreateSecret(ctx, x))
			}
			id := func(x secret.Secret) string { return x.ID }
			for _, tt := range []struct {
				f    secret.Filter
				want []string
			}{
				{secret.Filter{Scope: account()}, []string{"a", "b"}},
				{secret.Filter{Scope: account(), SubScopes: true}, []string{"d", "a", "c", "b"}},
				{secret.Filter{Scope: org1(), SubScopes: true}, []string{"d", "c"}},
				{secret.Filter{Scope: account(), SubScopes: true, Search: "tWO"}, []string{"b"}},
				{secret.Filter{Scope: account(), IDs: []string{"b", "d"}}, []string{"b"}},
			} {
				list, total, err := s.Secrets(ctx, tt.f)
				must(t, err)
				same(t, each(list, id), tt.want)
				same(t, total, len(tt.want))
				for _, x := range list {
					same(t, x.Sealed, "")
				}
			}
		},
		"a secret that is deleted is gone": func(t *testing.T, s *store.Store) {
			must(t, s.CreateSecret(t.Context(), text(org1(), "a", "n")))
			fails(t, s.DeleteSecret(t.Context(), account(), "a"), fault.NotFound, `"a"`)
			must(t, s.DeleteSecret(t.Context(), org1(), "a"))
			fails(t, s.DeleteSecret(t.Context(), org1(), "a"), fault.NotFound, `"a"`, "org1")
		},
		"a secret's users are the connectors whose references lead to it": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			uses := func(in scope.Scope, id string, ref scope.Ref) connector.Connector {
				c := aws(in, id, id)
				c.Credential = connector.ManualConfig{AccessKeyRef: ref, SecretKeyRef: ref}
				return c
			}
			must(t, s.CreateConnector(ctx, uses(account(), "a", "sk"), at(0)))
			must(t, s.CreateConnector(ctx, uses(org1(), "b", "account.sk"), at(0)))
			must(t, s.CreateConnector(ctx, uses(prj1(), "c", "account.sk"), at(0)))
			must(t, s.CreateConnector(ctx, uses(prj1(), "d", "org.sk"), at(0)))
			must(t, s.CreateConnector(ctx, uses(prj1(), "e", "sk"), at(0)))
			must(t, s.CreateConnector(ctx, uses(account(), "f", "org.sk"), at(0))) // leads nowhere
			users := func(in scope.Scope) []string {
				list, err := s.SecretUsers(ctx, in, "sk")
				must(t, err)
				return list
			}
			same(t, users(account()), []string{"a", "org1/b", "org1/prj1/c"})
			same(t, users(org1()), []string{"org1/prj1/d"})
			same(t, users(prj1()), []string{"org1/prj1/e"})
			_, err := s.UpdateConnector(ctx, prj1(), "c", func(c connector.Connector) (connector.Connector, error) {
				return uses(prj1(), "c", "sk"), nil
			})
			must(t, err)
			must(t, s.DeleteConnector(ctx, org1(), "b"))
			same(t, users(account()), []string{"a"})
			same(t, users(prj1()), []string{"org1/prj1/c", "org1/prj1/e"})
		},
	}
}
