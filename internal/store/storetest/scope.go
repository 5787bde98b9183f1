package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
	"github.com/belay-dev/belay/internal/store"
)

// additions are the ways to add something to a scope.
func additions(ctx context.Context, s *store.Store, id string, in scope.Scope) []error {
	return []error{
		s.CreateConnector(ctx, connector.Connector{Scope: in, ID: id, Name: "n", Credential: connector.IRSA{}}, at(0)),
		s.CreateSecret(ctx, secret.Secret{Scope: in, ID: id, Name: "n", Kind: secret.Inline, Sealed: "x"}),
		s.CreateToken(ctx, delegate.Token{ID: "tok_" + id, Scope: in, Name: id, CreatedAt: at(0)}),
	}
}

func scopes() checks {
	//nolint:thelper // these are the tests themselves
	return checks{
		"nothing is added to a scope that is not there": func(t *testing.T, s *store.Store) {
			settle(t, s)
			for words, in := range map[string]scope.Scope{
				`organization "none" does not exist`:                   {Account: acct, Org: "none"},
				`project "prj1" does not exist in organization "org2"`: {Account: acct, Org: "org2", Project: "prj1"},
			} {
				for _, err := range additions(t.Context(), s, "a", in) {
					fails(t, err, fault.Invalid, words, "create it first")
				}
			}
			fails(t, s.CreateProject(t.Context(), project("none", "p", "n")), fault.Invalid, `"none"`)
		},
		"what is added while its scope is deleted does not outlive it": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for _, what := range []string{"organization", "project"} {
				for round := range 5 {
					if what == "organization" || round == 0 {
						settle(t, s)
					} else {
						must(t, s.CreateProject(ctx, project("org1", "prj1", "n")))
					}
					together(9, func(i int) {
						switch {
						case i != 4:
							for _, err := range additions(ctx, s, fmt.Sprint("c", i), prj1()) {
								if err != nil && fault.KindOf(err) != fault.Invalid {
									t.Error(err)
								}
							}
						case what == "organization":
							if err := s.DeleteOrganization(ctx, acct, "org1"); err != nil {
								t.Error(err)
							}
						default:
							if err := s.DeleteProject(ctx, acct, "org1", "prj1"); err != nil {
								t.Error(err)
							}
						}
					})
					_, left, err := s.Connectors(ctx, connector.Filter{Scope: prj1()})
					must(t, err)
					_, secretsLeft, err := s.Secrets(ctx, secret.Filter{Scope: prj1()})
					must(t, err)
					tokensLeft, err := s.Tokens(ctx, prj1())
					must(t, err)
					if left != 0 || secretsLeft != 0 || len(tokensLeft) != 0 {
						t.Fatalf("the %s is gone; left are %d connectors, %d secrets, %d tokens", what, left, secretsLeft, len(tokensLeft))
					}
					if what == "organization" {
						must(t, s.DeleteOrganization(ctx, acct, "org2"))
					}
				}
			}
		},
	}
}
