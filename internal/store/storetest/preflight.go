package storetest

import (
	"strconv"
	"testing"

	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/preflight"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/store"
)

// answered is a preflight of the connector with one answer, n seconds after the beginning of time.
func answered(at0 scope.Scope, id string, n int, answer connector.Answer) preflight.Preflight {
	r := preflight.Result{Capability: "s3-read", Title: "Read", Answer: answer}
	f := []preflight.Finding{{Action: "s3:GetObject", Resource: "*", Why: []string{"because"}}}
	switch answer {
	case connector.MayDo:
		r.Allowed = 1
	case connector.MayNotDo:
		r.Missing = f
	case connector.NotKnown:
		r.Unknown = f
	}
	return preflight.Preflight{ID: id, Scope: at0, Connector: "c", StartedAt: at(n - 1), EndedAt: at(n), Results: []preflight.Result{r}}
}

func preflights() checks {
	const keep = 50
	save := func(t *testing.T, s *store.Store, list ...preflight.Preflight) {
		t.Helper()
		for _, p := range list {
			must(t, s.SavePreflight(t.Context(), p, keep))
		}
	}
	status := func(t *testing.T, s *store.Store, want connector.Status) {
		t.Helper()
		got, err := s.Connector(t.Context(), prj1(), "c")
		must(t, err)
		same(t, got.Status, want)
	}
	ids := func(t *testing.T, s *store.Store, where scope.Scope, limit int) []string {
		t.Helper()
		list, err := s.Preflights(t.Context(), where, "c", limit)
		must(t, err)
		return each(list, func(p preflight.Preflight) string { return p.ID })
	}
	//nolint:thelper // these are the tests themselves
	return checks{
		"a preflight comes back as it was saved": func(t *testing.T, s *store.Store) {
			must(t, s.CreateConnector(t.Context(), aws(prj1(), "c", "n"), at(0)))
			want := answered(prj1(), "pfl_1", 5, connector.MayNotDo)
			want.Revision, want.By, want.Delegate, want.DelegateID, want.Region = 3, "ann", "eks-1", "dlg_1", "eu-west-1"
			want.Options = preflight.Options{
				Capabilities: []string{"s3-read", "lambda"}, Fresh: true,
				Narrowing: catalogue.Narrowing{Buckets: []string{"b"}, Functions: []string{"f"}, Account: "123456789012", Region: "eu-west-1"},
			}
			want.Identity = &connector.Identity{ARN: "arn:aws:iam::123456789012:user/ci", Account: "123456789012", UserID: "AIDA1"}
			want.Unread = []connector.Unread{{What: connector.PartSCP, Action: "organizations:DescribeOrganization", Code: "AccessDenied"}}
			want.Fix = &connector.Fix{What: "Allow it.", Command: "aws iam put-user-policy"}
			want.Blocked = []connector.Fix{{What: "Ask."}, {What: "Take it out.", Command: "aws"}}
			want.Results = append(want.Results, preflight.Result{Capability: "lambda", Title: "Lambda", Answer: connector.MayDo, Allowed: 7, Caveats: []string{"a caveat"}})
			save(t, s, want)
			got, err := s.Preflight(t.Context(), acct, "pfl_1")
			must(t, err)
			same(t, got, want)
			list, err := s.Preflights(t.Context(), prj1(), "c", 0)
			must(t, err)
			same(t, list, []preflight.Preflight{want})
		},
		"a preflight that could ask nothing comes back with why": func(t *testing.T, s *store.Store) {
			must(t, s.CreateConnector(t.Context(), aws(prj1(), "c", "n"), at(0)))
			want := preflight.Preflight{
				ID: "pfl_1", Scope: prj1(), Connector: "c", StartedAt: at(1), EndedAt: at(2),
				Diagnosis: &connector.Diagnosis{Code: "BLY-2104", Cause: "c", Remedy: []string{"r"}, Evidence: []connector.Fact{{Label: "l", Text: "t"}}},
			}
			save(t, s, want)
			got, err := s.Preflight(t.Context(), acct, "pfl_1")
			must(t, err)
			same(t, got, want)
		},
		"the same preflight again changes nothing": func(t *testing.T, s *store.Store) {
			must(t, s.CreateConnector(t.Context(), aws(prj1(), "c", "n"), at(0)))
			must(t, s.SaveTest(t.Context(), passed(prj1(), "c", "tst_1", 1)))
			first := answered(prj1(), "pfl_1", 5, connector.MayNotDo)
			save(t, s, first, answered(prj1(), "pfl_2", 6, connector.MayDo), first, answered(prj1(), "pfl_1", 9, connector.NotKnown))
			same(t, ids(t, s, prj1(), 0), []string{"pfl_2", "pfl_1"})
			got, err := s.Preflight(t.Context(), acct, "pfl_1")
			must(t, err)
			same(t, got, first)
			status(t, s, connector.Success)
		},
		"of a connector the newest preflights are kept, and listed first": func(t *testing.T, s *store.Store) {
			must(t, s.CreateConnector(t.Context(), aws(prj1(), "c", "n"), at(0)))
			must(t, s.CreateConnector(t.Context(), aws(prj2(), "c", "n"), at(0)))
			save(t, s, answered(prj2(), "other", 0, connector.MayDo))
			var want []string
			for i := range keep + 3 {
				id := "pfl_" + strconv.Itoa(100+i)
				save(t, s, answered(prj1(), id, i, connector.MayDo))
				want = append([]string{id}, want...)
			}
			same(t, ids(t, s, prj1(), 0), want[:keep])
			same(t, ids(t, s, prj1(), 2), want[:2])
			same(t, ids(t, s, prj2(), 0), []string{"other"})
			same(t, ids(t, s, org1(), 0), []string{})
			_, err := s.Preflight(t.Context(), acct, want[keep])
			fails(t, err, fault.NotFound, want[keep])
		},
		"a preflight is of its account only": func(t *testing.T, s *store.Store) {
			must(t, s.CreateConnector(t.Context(), aws(prj1(), "c", "n"), at(0)))
			save(t, s, answered(prj1(), "pfl_1", 1, connector.MayDo))
			_, err := s.Preflight(t.Context(), "other", "pfl_1")
			fails(t, err, fault.NotFound)
		},
		"nothing is kept of a preflight whose connector is gone": func(t *testing.T, s *store.Store) {
			save(t, s, answered(prj1(), "pfl_1", 1, connector.MayDo))
			_, err := s.Preflight(t.Context(), acct, "pfl_1")
			fails(t, err, fault.NotFound, "pfl_1", "may have been deleted")
		},
		"a connector's preflights go with it": func(t *testing.T, s *store.Store) {
			must(t, s.CreateConnector(t.Context(), aws(prj1(), "c", "n"), at(0)))
			save(t, s, answered(prj1(), "pfl_1", 1, connector.MayDo))
			must(t, s.DeleteConnector(t.Context(), prj1(), "c"))
			_, err := s.Preflight(t.Context(), acct, "pfl_1")
			fails(t, err, fault.NotFound)
		},
		"a connector that is denied something is worth attention until it is not": func(t *testing.T, s *store.Store) {
			must(t, s.CreateConnector(t.Context(), aws(prj1(), "c", "n"), at(0)))
			must(t, s.SaveTest(t.Context(), passed(prj1(), "c", "tst_1", 1)))
			status(t, s, connector.Success)
			save(t, s, answered(prj1(), "pfl_1", 2, connector.NotKnown))
			status(t, s, connector.Success)
			save(t, s, answered(prj1(), "pfl_2", 3, connector.MayNotDo))
			status(t, s, connector.Partial)
			must(t, s.SaveTest(t.Context(), passed(prj1(), "c", "tst_2", 4)))
			status(t, s, connector.Partial)
			save(t, s, answered(prj1(), "pfl_3", 5, connector.MayDo))
			status(t, s, connector.Success)
		},
		"an earlier preflight that comes late is kept but does not decide": func(t *testing.T, s *store.Store) {
			must(t, s.CreateConnector(t.Context(), aws(prj1(), "c", "n"), at(0)))
			must(t, s.SaveTest(t.Context(), passed(prj1(), "c", "tst_1", 1)))
			save(t, s, answered(prj1(), "pfl_2", 5, connector.MayDo), answered(prj1(), "pfl_1", 2, connector.MayNotDo))
			status(t, s, connector.Success)
			same(t, ids(t, s, prj1(), 0), []string{"pfl_2", "pfl_1"})
		},
		"a preflight that could ask nothing leaves the status": func(t *testing.T, s *store.Store) {
			must(t, s.CreateConnector(t.Context(), aws(prj1(), "c", "n"), at(0)))
			must(t, s.SaveTest(t.Context(), passed(prj1(), "c", "tst_1", 1)))
			save(t, s, answered(prj1(), "pfl_1", 2, connector.MayNotDo))
			failed := preflight.Preflight{ID: "pfl_2", Scope: prj1(), Connector: "c", StartedAt: at(3), EndedAt: at(3), Diagnosis: &connector.Diagnosis{Code: "BLY-2104"}}
			save(t, s, failed)
			status(t, s, connector.Partial)
		},
		"a connector that fails stays failing, and is worth attention when it connects again": func(t *testing.T, s *store.Store) {
			must(t, s.CreateConnector(t.Context(), aws(prj1(), "c", "n"), at(0)))
			must(t, s.SaveTest(t.Context(), failed(prj1(), "c", "tst_1", 1)))
			save(t, s, answered(prj1(), "pfl_1", 2, connector.MayNotDo))
			status(t, s, connector.Failing)
			must(t, s.SaveTest(t.Context(), passed(prj1(), "c", "tst_2", 3)))
			status(t, s, connector.Partial)
		},
		"a connector that was never tested is not, whatever a preflight says": func(t *testing.T, s *store.Store) {
			must(t, s.CreateConnector(t.Context(), aws(prj1(), "c", "n"), at(0)))
			before, err := s.Connector(t.Context(), prj1(), "c")
			must(t, err)
			save(t, s, answered(prj1(), "pfl_1", 2, connector.MayNotDo))
			status(t, s, before.Status)
		},
	}
}
