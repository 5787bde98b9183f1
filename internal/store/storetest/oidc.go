package storetest

import (
	"strconv"
	"testing"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/oidc"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/store"
)

// signing is a key of a generation that signs from a moment on.
func signing(account string, generation int64, from int) oidc.Key {
	n := strconv.FormatInt(generation, 10)
	return oidc.Key{
		Account: account, Generation: generation, ID: "kid-" + n, Algorithm: oidc.RS256, Public: `{"kid":"kid-` + n + `"}`, Sealed: "c2VhbGVk" + n,
		CreatedAt: at(0), SignsFrom: at(from),
	}
}

func insert(t *testing.T, s *store.Store, keys ...oidc.Key) {
	t.Helper()
	for _, k := range keys {
		must(t, s.ChangeOIDCKeys(t.Context(), k.Account, oidc.Change{Insert: &k, At: at(0)}))
	}
}

func issuers() checks {
	//nolint:thelper // these are the tests themselves
	return checks{
		"signing keys come back by generation, those of one account or of all": func(t *testing.T, s *store.Store) {
			one, two, other := signing(acct, 1, 0), signing(acct, 2, 90), signing("zother", 1, 0)
			insert(t, s, two, other, one)
			got, err := s.OIDCKeys(t.Context(), acct)
			must(t, err)
			same(t, got, []oidc.Key{one, two})
			got, err = s.OIDCKeys(t.Context(), "")
			must(t, err)
			same(t, got, []oidc.Key{one, two, other})
			got, err = s.OIDCKeys(t.Context(), "nobody")
			must(t, err)
			same(t, len(got), 0)
		},
		"a generation of signing keys is made once": func(t *testing.T, s *store.Store) {
			insert(t, s, signing(acct, 1, 0))
			k := signing(acct, 1, 5)
			fails(t, s.ChangeOIDCKeys(t.Context(), acct, oidc.Change{Insert: &k, At: at(0)}), fault.Conflict, "someone else")
		},
		"a signing key is promoted once, and only before its time": func(t *testing.T, s *store.Store) {
			insert(t, s, signing(acct, 1, 0), signing(acct, 2, 90))
			must(t, s.ChangeOIDCKeys(t.Context(), acct, oidc.Change{Promote: 2, At: at(10)}))
			fails(t, s.ChangeOIDCKeys(t.Context(), acct, oidc.Change{Promote: 2, At: at(11)}), fault.Conflict)
			fails(t, s.ChangeOIDCKeys(t.Context(), acct, oidc.Change{Promote: 7, At: at(11)}), fault.Conflict)
			got, err := s.OIDCKeys(t.Context(), acct)
			must(t, err)
			same(t, got, []oidc.Key{signing(acct, 1, 0), signing(acct, 2, 10)})
		},
		"a signing key that waits is replaced, one that signs is not": func(t *testing.T, s *store.Store) {
			insert(t, s, signing(acct, 1, 0), signing(acct, 2, 90))
			k := signing(acct, 3, 50)
			must(t, s.ChangeOIDCKeys(t.Context(), acct, oidc.Change{Replace: 2, Insert: &k, At: at(10)}))
			later := signing(acct, 4, 99)
			fails(t, s.ChangeOIDCKeys(t.Context(), acct, oidc.Change{Replace: 3, Insert: &later, At: at(60)}), fault.Conflict)
			got, err := s.OIDCKeys(t.Context(), acct)
			must(t, err)
			same(t, got, []oidc.Key{signing(acct, 1, 0), k})
		},
		"a change of signing keys that fails changes nothing": func(t *testing.T, s *store.Store) {
			insert(t, s, signing(acct, 1, 0), signing(acct, 2, 90))
			taken := signing(acct, 2, 95)
			fails(t, s.ChangeOIDCKeys(t.Context(), acct, oidc.Change{Promote: 2, Drop: []int64{1}, Insert: &taken, At: at(10)}), fault.Conflict)
			got, err := s.OIDCKeys(t.Context(), acct)
			must(t, err)
			same(t, got, []oidc.Key{signing(acct, 1, 0), signing(acct, 2, 90)})
		},
		"signing keys are dropped together with the insert of another": func(t *testing.T, s *store.Store) {
			insert(t, s, signing(acct, 1, 0), signing(acct, 2, 90), signing("other", 1, 0))
			k := signing(acct, 3, 10)
			must(t, s.ChangeOIDCKeys(t.Context(), acct, oidc.Change{Drop: []int64{1, 2, 8}, Insert: &k, At: at(10)}))
			got, err := s.OIDCKeys(t.Context(), "")
			must(t, err)
			same(t, got, []oidc.Key{k, signing("other", 1, 0)})
		},
		"of many who make the same signing key one succeeds": func(t *testing.T, s *store.Store) {
			errs := make([]error, 8)
			together(len(errs), func(i int) {
				k := signing(acct, 1, i)
				errs[i] = s.ChangeOIDCKeys(t.Context(), acct, oidc.Change{Insert: &k, At: at(0)})
			})
			made := 0
			for _, err := range errs {
				if err == nil {
					made++
					continue
				}
				fails(t, err, fault.Conflict)
			}
			same(t, made, 1)
		},
		"of many who promote the same signing key one succeeds": func(t *testing.T, s *store.Store) {
			insert(t, s, signing(acct, 1, 0), signing(acct, 2, 90))
			errs := make([]error, 8)
			together(len(errs), func(i int) {
				errs[i] = s.ChangeOIDCKeys(t.Context(), acct, oidc.Change{Promote: 2, At: at(10)})
			})
			done := 0
			for _, err := range errs {
				if err == nil {
					done++
					continue
				}
				fails(t, err, fault.Conflict)
			}
			same(t, done, 1)
		},
		"the settings of an issuer are those that were saved last": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			_, err := s.OIDCSettings(ctx, acct)
			fails(t, err, fault.NotFound)
			must(t, s.SaveOIDCSettings(ctx, oidc.Settings{Account: acct, Issuer: "https://a.example", UpdatedAt: at(0)}))
			want := oidc.Settings{Account: acct, Audience: "aud", UpdatedAt: at(1)}
			must(t, s.SaveOIDCSettings(ctx, want))
			got, err := s.OIDCSettings(ctx, acct)
			must(t, err)
			same(t, got, want)
			_, err = s.OIDCSettings(ctx, "other")
			fails(t, err, fault.NotFound)
		},
		"an account exists once it was saved": func(t *testing.T, s *store.Store) {
			fails(t, s.AccountExists(t.Context(), acct), fault.NotFound, acct)
			must(t, s.SaveAccount(t.Context(), org.Account{ID: acct, Name: "n", CreatedAt: at(0)}))
			must(t, s.AccountExists(t.Context(), acct))
		},
	}
}
