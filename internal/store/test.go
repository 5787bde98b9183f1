package store

import (
	"context"
	"time"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// testDetail is what a test says beside its columns.
type testDetail struct {
	Revision   int64         `json:"revision"`
	Trigger    string        `json:"trigger"`
	By         string        `json:"by,omitempty"`
	Region     string        `json:"region,omitempty"`
	Identity   *testIdentity `json:"identity,omitempty"`
	Regions    []string      `json:"regions,omitempty"`
	Delegate   string        `json:"delegate,omitempty"`
	DelegateID string        `json:"delegateId,omitempty"`
	Took       time.Duration `json:"took,omitempty"` // ns
	Calls      []testCall    `json:"calls,omitempty"`
	Proven     bool          `json:"externalIdProven,omitempty"`
	Warnings   []string      `json:"warnings,omitempty"`
	Diagnosis  *diagnosis    `json:"diagnosis,omitempty"`
}

type testCall struct {
	Step string        `json:"step"`
	Took time.Duration `json:"took,omitempty"` // ns
	Kept bool          `json:"kept,omitempty"`
}

type testIdentity struct {
	ARN     string `json:"arn"`
	Account string `json:"account"`
	UserID  string `json:"userId"`
}

type diagnosis struct {
	Code     string   `json:"code"`
	Cause    string   `json:"cause"`
	Evidence []fact   `json:"evidence,omitempty"`
	Remedy   []string `json:"remedy,omitempty"`
}

type fact struct {
	Label string `json:"label"`
	Text  string `json:"text"`
}

func detailOf(t connector.Test) testDetail {
	d := testDetail{
		Revision: t.Revision, Trigger: string(t.Trigger), By: t.By, Region: t.Region, Regions: t.Regions, Delegate: t.Delegate,
		DelegateID: t.DelegateID, Took: t.Took, Warnings: t.Warnings, Proven: t.ExternalIDProven,
	}
	for _, c := range t.Calls {
		d.Calls = append(d.Calls, testCall{string(c.Step), c.Took, c.Kept})
	}
	if i := t.Identity; i != nil {
		d.Identity = &testIdentity{i.ARN, i.Account, i.UserID}
	}
	d.Diagnosis = storedDiagnosis(t.Diagnosis)
	return d
}

func storedDiagnosis(g *connector.Diagnosis) *diagnosis {
	if g == nil {
		return nil
	}
	d := &diagnosis{Code: g.Code, Cause: g.Cause, Remedy: g.Remedy}
	for _, f := range g.Evidence {
		d.Evidence = append(d.Evidence, fact{f.Label, f.Text})
	}
	return d
}

func (g *diagnosis) domain() *connector.Diagnosis {
	if g == nil {
		return nil
	}
	d := &connector.Diagnosis{Code: g.Code, Cause: g.Cause, Remedy: g.Remedy}
	for _, f := range g.Evidence {
		d.Evidence = append(d.Evidence, connector.Fact{Label: f.Label, Text: f.Text})
	}
	return d
}

// readDetail puts what a column says into a test.
func readDetail(text string, t *connector.Test) error {
	var d testDetail
	if err := decoded(text, &d); err != nil {
		return err
	}
	t.Revision, t.Trigger, t.By, t.Region, t.Regions = d.Revision, connector.Trigger(d.Trigger), d.By, d.Region, d.Regions
	t.Delegate, t.DelegateID, t.Took, t.Warnings, t.ExternalIDProven = d.Delegate, d.DelegateID, d.Took, d.Warnings, d.Proven
	for _, c := range d.Calls {
		t.Calls = append(t.Calls, connector.Call{Step: connector.Step(c.Step), Took: c.Took, Kept: c.Kept})
	}
	if i := d.Identity; i != nil {
		t.Identity = &connector.Identity{ARN: i.ARN, Account: i.Account, UserID: i.UserID}
	}
	t.Diagnosis = d.Diagnosis.domain()
	return nil
}

const testColumns = `account, org, project, connector, id, started_at, ended_at, status, detail`

func scanTest(row scanner) (t connector.Test, err error) {
	var started, ended int64
	var detail string
	err = row.Scan(&t.Scope.Account, &t.Scope.Org, &t.Scope.Project, &t.Connector, &t.ID, &started, &ended, &t.Status, &detail)
	if err != nil {
		return t, err
	}
	t.StartedAt, t.EndedAt = moment(started), moment(ended)
	err = readDetail(detail, &t)
	return t, err
}

// SaveTest keeps a test and makes it its connector's status, unless a later one is there. The same test again changes
// nothing, and nothing is kept when the connector is gone.
func (s *Store) SaveTest(ctx context.Context, t connector.Test) (err error) {
	defer fault.Wrap(&err, "save test %s", t.ID)
	defer s.tested(key{t.Scope, t.Connector})
	ended := micros(t.EndedAt)
	key := []any{t.Scope.Account, t.Scope.Org, t.Scope.Project, t.Connector}
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		// Touching the row keeps it there until the test is in.
		n, err := tx.exec(ctx, `UPDATE connectors SET last_activity = CASE WHEN last_activity < $5 THEN $5 ELSE last_activity END`+oneConnector,
			append(key, ended)...)
		if err != nil || n == 0 {
			return err
		}
		n, err = tx.exec(ctx, `INSERT INTO tests (`+testColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
			append(key, t.ID, micros(t.StartedAt), ended, string(t.Status), encoded(detailOf(t)))...)
		if err != nil || n == 0 {
			return err
		}
		if err := countTest(ctx, tx, t, key); err != nil {
			return err
		}
		if !t.RetryAt.IsZero() {
			_, err := tx.exec(ctx, `UPDATE connectors SET next_test_at = $5`+oneConnector+` AND next_test_at > $5`, append(key, micros(t.RetryAt))...)
			if err != nil {
				return err
			}
		}
		if t.Status == connector.Success || t.Status == connector.Partial {
			_, err := tx.exec(ctx, `UPDATE connectors SET last_connected = $5`+oneConnector+` AND last_connected < $5`, append(key, ended)...)
			if err != nil {
				return err
			}
		}
		n, err = tx.exec(ctx, `UPDATE connectors SET last_test = $5, last_tested_at = $6`+oneConnector+` AND last_tested_at < $6`, append(key, t.ID, ended)...)
		if err != nil || n == 0 {
			return err
		}
		if err := saveFinding(ctx, tx, t); err != nil {
			return err
		}
		status := string(t.Status)
		if t.Status != connector.Success {
			_, err = tx.exec(ctx, `UPDATE connectors SET status = $5`+oneConnector+` AND status <> $5`, append(key, status)...)
			return err
		}
		// It connects, but perhaps the last preflight found that it may not do all that was asked for. An index holds the
		// status, so that it is written only when it is another.
		const now = `CASE WHEN preflight_denied THEN $6 ELSE $5 END`
		_, err = tx.exec(ctx, `UPDATE connectors SET status = `+now+oneConnector+` AND status <> `+now, append(key, status, string(connector.Partial))...)
		return err
	})
}

// Test reads one.
func (s *Store) Test(ctx context.Context, account, id string) (_ connector.Test, err error) {
	defer fault.Wrap(&err, "read test %s", id)
	t, err := scanTest(s.reads.row(ctx, `SELECT `+testColumns+` FROM tests WHERE account = $1 AND id = $2`, account, id))
	return t, found(err, "test %s does not exist; its connector may have been deleted", id)
}

// Tests lists those of a connector, newest first. A limit of 0 is none.
func (s *Store) Tests(ctx context.Context, at scope.Scope, id string, limit int) (_ []connector.Test, err error) {
	defer fault.Wrap(&err, "list tests of connector %q", id)
	var w where
	w.at(at)
	w.equal("connector", id)
	return all(ctx, s.reads, scanTest, `SELECT `+testColumns+` FROM tests`+w.text()+` ORDER BY ended_at DESC, id DESC`+w.page(0, limit), w.args...)
}

// DeleteTests forgets tests that ended before a time, and all but the newest of each connector. A connector's last test
// stays: it explains the status.
func (s *Store) DeleteTests(ctx context.Context, keep int, before time.Time) (err error) {
	defer fault.Wrap(&err, "delete old tests")
	const notLast = ` NOT EXISTS (SELECT 1 FROM connectors c WHERE c.account = tests.account AND c.org = tests.org
		AND c.project = tests.project AND c.id = tests.connector AND c.last_test = tests.id)`
	err = s.deleteInParts(ctx, `DELETE FROM tests WHERE (account, id) IN (
		SELECT account, id FROM tests WHERE ended_at < $1 AND`+notLast+` ORDER BY ended_at LIMIT $2)`, micros(before), int64(atOnce))
	if err != nil {
		return err
	}
	err = s.write(ctx, func(ctx context.Context, tx *session) error {
		_, err := tx.exec(ctx, `DELETE FROM test_hours WHERE hour < $1`, hourOf(before))
		return err
	})
	if err != nil {
		return err
	}
	crowded, err := all(ctx, s.reads, scanKeyOf, `
		SELECT account, org, project, connector FROM tests GROUP BY account, org, project, connector HAVING count(*) > $1`, int64(keep))
	if err != nil {
		return err
	}
	for _, k := range crowded {
		err := s.deleteInParts(ctx, `DELETE FROM tests WHERE (account, id) IN (
			SELECT account, id FROM tests WHERE account = $1 AND org = $2 AND project = $3 AND connector = $4
			ORDER BY ended_at DESC, id DESC LIMIT $6 OFFSET $5) AND`+notLast,
			k.at.Account, k.at.Org, k.at.Project, k.id, int64(keep), int64(atOnce))
		if err != nil {
			return err
		}
	}
	return nil
}
