package storetest

import (
	"testing"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/firstgen"
	"github.com/belay-dev/belay/internal/store"
)

func firstGens() checks {
	//nolint:thelper // these are the tests themselves
	return checks{
		"what a FirstGen client wrote is kept beside what it became, and goes with it": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.CreateConnector(ctx, aws(account(), "a", "n"), at(0)))
			must(t, s.CreateConnector(ctx, aws(org1(), "b", "n"), at(0)))
			must(t, s.CreateSecret(ctx, text(account(), "a", "n")))
			one, two := firstgen.Text{ID: "a", Text: "type: AWS\r\n\n", Revision: 1}, firstgen.Text{ID: "a", Text: "", Revision: 7}
			must(t, s.SaveFirstGen(ctx, firstgen.Provider, acct, one))
			must(t, s.SaveFirstGen(ctx, firstgen.Secret, acct, two))
			got, err := s.FirstGen(ctx, firstgen.Provider, acct)
			must(t, err)
			same(t, got, map[string]firstgen.Text{"a": one})
			must(t, s.SaveFirstGen(ctx, firstgen.Provider, acct, two))
			got, err = s.FirstGen(ctx, firstgen.Provider, acct)
			must(t, err)
			same(t, got, map[string]firstgen.Text{"a": two})
			for _, id := range []string{"none", "b"} { // at account scope alone
				fails(t, s.SaveFirstGen(ctx, firstgen.Provider, acct, firstgen.Text{ID: id}), fault.NotFound)
			}
			must(t, s.DeleteConnector(ctx, account(), "a"))
			got, err = s.FirstGen(ctx, firstgen.Provider, acct)
			must(t, err)
			same(t, got, map[string]firstgen.Text{})
			got, err = s.FirstGen(ctx, firstgen.Secret, acct)
			must(t, err)
			same(t, got, map[string]firstgen.Text{"a": two})
		},
	}
}
