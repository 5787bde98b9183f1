package store_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
	"github.com/belay-dev/belay/internal/task"
)

// A statement that looks through a whole table is fast in every test and slow in every installation. Here each method that
// is called often runs once, and SQLite tells how it goes about each statement that was run.
func TestNothingThatIsCalledOftenLooksThroughAWholeTable(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "belay.db"))
	ctx, now := t.Context(), time.Now()
	in := scope.Scope{Account: account, Org: "org1", Project: "prj1"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.CreateOrganization(ctx, org.Organization{Account: account, ID: in.Org}))
	must(s.CreateProject(ctx, org.Project{Account: account, Org: in.Org, ID: in.Project}))
	must(s.CreateConnector(ctx, connector.Connector{Scope: in, ID: "aws", Name: "n", Credential: connector.IRSA{}, Tags: map[string]string{"a": "b"}}, now))
	must(s.SaveTest(ctx, connector.Test{ID: "t1", Scope: in, Connector: "aws", EndedAt: now, Status: connector.Success}))
	for _, f := range []connector.Filter{
		{Scope: in},
		{Scope: in, Search: "aws"},
		{Scope: in, Wider: true},
		{Scope: scope.Scope{Account: account}, SubScopes: true, Limit: 50},
		{Scope: scope.Scope{Account: account}, SubScopes: true, Statuses: []connector.Status{connector.Success}, Types: []string{connector.TypeAWS}, Limit: 25, Uncounted: true},
		{Scope: scope.Scope{Account: account}, SubScopes: true, Search: "aws", Statuses: []connector.Status{connector.Success}, Limit: 25, Uncounted: true},
		{Scope: scope.Scope{Account: account}, SubScopes: true, Names: []string{"n"}},
		{Scope: scope.Scope{Account: account}, SubScopes: true, Keys: []string{in.Path("aws")}},
		{Scope: scope.Scope{Account: account}, SubScopes: true, Tags: map[string]string{"a": "b"}},
	} {
		if list, _, err := s.Connectors(ctx, f); err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
	}
	_, err := s.Tests(ctx, in, "aws", 10)
	must(err)
	_, err = s.TallyConnectors(ctx, connector.Filter{Scope: scope.Scope{Account: account}, SubScopes: true, Search: "aws", Types: []string{connector.TypeAWS}})
	must(err)
	_, err = s.TestsSince(ctx, now.Add(-time.Second), 10)
	must(err)
	_, err = s.Histories(ctx, []connector.Connector{{Scope: in, ID: "aws"}}, 24)
	must(err)
	_, _ = s.Finding(ctx, in, "aws", "t1")
	_, err = s.DefinitionsWith(ctx, in, "aws", 10)
	must(err)
	_, err = s.FailingConnectors(ctx, scope.Scope{Account: account})
	must(err)
	_, err = s.LastTested(ctx, scope.Scope{Account: account})
	must(err)
	_, err = s.Needing(ctx, scope.Scope{Account: account}, 10)
	must(err)
	_, err = s.TallyConnectors(ctx, connector.Filter{Scope: scope.Scope{Account: account}, SubScopes: true, Types: []string{connector.TypeAWS}})
	must(err)
	_, err = s.Turns(ctx, scope.Scope{Account: account}, 10)
	must(err)
	_, err = s.CountSecretUsers(ctx, []secret.Secret{{Scope: in, ID: "sk"}})
	must(err)
	must(s.SaveTest(ctx, connector.Test{ID: "t2", Scope: in, Connector: "aws", EndedAt: now, Status: connector.Success, Identity: &connector.Identity{Account: "123456789012"}}))
	if list, _, err := s.Reached(ctx, scope.Scope{Account: account}, now, 10); err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	_, err = s.DueForTest(ctx, now.Add(time.Hour), time.Now, 10)
	must(err)
	_, err = s.SecretUsers(ctx, in, "sk")
	must(err)
	must(s.InsertTask(ctx, task.Task{ID: "t1", Scope: in, State: task.Queued, CreatedAt: now, Deadline: now.Add(time.Hour)}))
	_, err = s.QueuedTasks(ctx, account, false, task.Task{}, 10)
	must(err)
	_, err = s.OpenTasks(ctx, "aws.validate", now, 10)
	must(err)
	_, err = s.LeaseTask(ctx, "t1", "d1", now, now.Add(time.Minute))
	must(err)
	_, err = s.LeaseAgain(ctx, task.Task{ID: "t1", LeasedBy: "d1", Fence: 1}, now, now.Add(time.Minute))
	must(err)
	must(s.RenewLeases(ctx, "d1", nil, now.Add(time.Minute)))
	must(s.RenewLeases(ctx, "d1", []task.ID{"t1"}, now.Add(time.Minute)))
	_, err = s.Overdue(ctx, now, 10)
	must(err)
	_, err = s.TasksOf(ctx, "d1", 10)
	must(err)
	_, _, err = s.ConnectorsSelecting(ctx, connector.Selection{Serves: scope.Scope{Account: account}, Within: in, Tags: []string{"a"}}, 10)
	must(err)
	_, err = s.FinishTask(ctx, "t1", "d1", 2, task.End{State: task.Succeeded, At: now})
	must(err)
	_, err = s.Unsettled(ctx, 10)
	must(err)
	must(s.SettleTask(ctx, "t1"))
	must(s.DeleteTasks(ctx, now))
	must(s.AppendAudit(ctx, audit.Entry{ID: "e1", At: now, Scope: in}))
	for _, f := range []audit.Filter{{Scope: in}, {Scope: in, Before: "e1", Limit: 10}, {Scope: in, Targets: []string{"connector/aws"}, Limit: 10}} {
		_, err = s.AuditEntries(ctx, f)
		must(err)
	}
	must(s.DeleteAudit(ctx, now))
	must(s.SaveSeen(ctx, map[delegate.ID]time.Time{"d1": now}))
	_, err = s.TokensToRevoke(ctx, now)
	must(err)
	_, _ = s.Key(ctx, account, "k1")
	_, _ = s.OIDCSettings(ctx, account)
	_, err = s.OIDCKeys(ctx, account)
	must(err)
	_ = s.AccountExists(ctx, account)
	must(s.DeleteConnector(ctx, in, "aws"))

	texts := s.Texts()
	if len(texts) < 30 {
		t.Fatalf("only %d statements were seen", len(texts))
	}
	for _, text := range texts {
		if text == "SELECT 1" || strings.HasPrefix(text, "BEGIN") || strings.HasPrefix(text, "SAVEPOINT") || strings.HasPrefix(text, "RELEASE") || strings.HasPrefix(text, "COMMIT") {
			continue
		}
		steps, err := s.Plan(ctx, text)
		if err != nil {
			t.Errorf("%s\n%v", text, err)
		}
		for _, step := range steps {
			if strings.HasPrefix(step, "SCAN ") && !strings.Contains(step, "VALUES CLAUSE") && !strings.HasPrefix(step, "SCAN (subquery") && !strings.Contains(step, "CONSTANT ROW") {
				t.Errorf("%s\n\t%s", text, strings.Join(steps, "\n\t"))
			}
			if strings.Contains(text, "state = 'queued' ORDER BY") && strings.Contains(step, "TEMP B-TREE") {
				t.Errorf("queued tasks are sorted anew at every poll:\n\t%s", strings.Join(steps, "\n\t"))
			}
		}
	}
}
