package storetest

import (
	"fmt"
	"testing"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/store"
)

func entry(id string, when int, in scope.Scope) audit.Entry {
	return audit.Entry{
		ID: id, At: at(when), Scope: in, CallerID: "key1", CallerName: "Émile CI", Action: audit.ConnectorCreate, Target: "connector/prod_aws",
		Outcome: audit.Allowed, Detail: "d",
	}
}

func audits() checks {
	id := func(e audit.Entry) string { return e.ID }
	//nolint:thelper // these are the tests themselves
	return checks{
		"an audit entry comes back as it was, newest first": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for i := range 3 {
				must(t, s.AppendAudit(ctx, entry(fmt.Sprint("e", i), i, prj1())))
			}
			list, err := s.AuditEntries(ctx, audit.Filter{Scope: account()})
			must(t, err)
			same(t, list, []audit.Entry{entry("e2", 2, prj1()), entry("e1", 1, prj1()), entry("e0", 0, prj1())})
			fails(t, s.AppendAudit(ctx, entry("e1", 9, prj1())), fault.Conflict, `"e1"`)
		},
		"an audit entry is kept whatever its texts hold": func(t *testing.T, s *store.Store) {
			e := entry("e", 0, prj1())
			e.Target = "connector/a\x00b\xffc"
			must(t, s.AppendAudit(t.Context(), e))
			list, err := s.AuditEntries(t.Context(), audit.Filter{Scope: prj1()})
			must(t, err)
			same(t, list[0].Target, "connector/a\uFFFDb\uFFFDc")
		},
		"the audit log is narrowed by each field of the filter": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			entries := []audit.Entry{
				entry("e0", 0, account()), entry("e1", 1, org1()), entry("e2", 2, prj1()), entry("e3", 3, org2()), entry("e4", 4, scope.Scope{Account: "other"}),
			}
			entries[0].Action = audit.SecretCreate
			entries[1].CallerName, entries[1].CallerID = "Bob 100%", "key2"
			entries[2].Outcome, entries[2].Action = audit.Denied, audit.ConnectorTest
			entries[3].Target = "connector/Stage_AWS"
			for _, e := range entries {
				must(t, s.AppendAudit(ctx, e))
			}
			for name, tt := range map[string]struct {
				f    audit.Filter
				want []string
			}{
				"nothing":                 {audit.Filter{}, []string{"e3", "e2", "e1", "e0"}},
				"scope":                   {audit.Filter{Scope: org1()}, []string{"e2", "e1"}},
				"caller's id":             {audit.Filter{Caller: "key1"}, []string{"e3", "e2", "e0"}},
				"part of the name":        {audit.Filter{Caller: "mile ci"}, []string{"e3", "e2", "e0"}},
				"a wildcard means itself": {audit.Filter{Caller: "0%"}, []string{"e1"}},
				"action":                  {audit.Filter{Action: "secret.create"}, []string{"e0"}},
				"beginning of the action": {audit.Filter{Action: "connector."}, []string{"e3", "e2", "e1"}},
				"middle of the action":    {audit.Filter{Action: "onnector."}, []string{}},
				"part of the target":      {audit.Filter{Target: "stage_"}, []string{"e3"}},
				"outcome":                 {audit.Filter{Outcome: audit.Denied}, []string{"e2"}},
				"since":                   {audit.Filter{Since: at(2)}, []string{"e3", "e2"}},
				"until":                   {audit.Filter{Until: at(2)}, []string{"e1", "e0"}},
				"limit":                   {audit.Filter{Limit: 1}, []string{"e3"}},
				"before":                  {audit.Filter{Before: "e2"}, []string{"e1", "e0"}},
				"before a foreign entry":  {audit.Filter{Before: "e4"}, []string{}},
			} {
				if tt.f.Scope == (scope.Scope{}) {
					tt.f.Scope = account()
				}
				list, err := s.AuditEntries(ctx, tt.f)
				must(t, err)
				if got := each(list, id); fmt.Sprint(got) != fmt.Sprint(tt.want) {
					t.Errorf("%s: got %v, want %v", name, got, tt.want)
				}
			}
		},
		"pages of the audit log join without gap or repetition, in one moment too": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for i := range 25 {
				must(t, s.AppendAudit(ctx, entry(fmt.Sprintf("e%02d", i), i/10, account())))
			}
			seen, before := map[string]bool{}, ""
			for {
				list, err := s.AuditEntries(ctx, audit.Filter{Scope: account(), Limit: 4, Before: before})
				must(t, err)
				if len(list) == 0 {
					break
				}
				for _, e := range list {
					if seen[e.ID] {
						t.Fatalf("%s twice", e.ID)
					}
					seen[e.ID] = true
				}
				before = list[len(list)-1].ID
			}
			same(t, len(seen), 25)
		},
		"audit entries older than a time are forgotten, however many": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			together(1100, func(i int) {
				if err := s.AppendAudit(ctx, entry(fmt.Sprint("e", i), i, account())); err != nil {
					t.Error(err)
				}
			})
			must(t, s.DeleteAudit(ctx, at(1090)))
			list, err := s.AuditEntries(ctx, audit.Filter{Scope: account()})
			must(t, err)
			same(t, len(list), 10)
		},
	}
}
