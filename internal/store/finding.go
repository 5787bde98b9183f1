package store

import (
	"context"
	"time"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// storedFinding is the JSON of a finding.
type storedFinding struct {
	Action    string         `json:"action"`
	Region    string         `json:"region,omitempty"`
	Layer     string         `json:"layer,omitempty"`
	Explicit  bool           `json:"explicit,omitempty"`
	Said      string         `json:"said,omitempty"`
	RequestID string         `json:"requestId,omitempty"`
	Quotes    []quote        `json:"quotes,omitempty"`
	Changes   []policyChange `json:"changes,omitempty"`
	Rest      []string       `json:"rest,omitempty"`
}

type quote struct {
	Policy   policyText `json:"policy"`
	Layer    string     `json:"layer,omitempty"`
	Deciding []int      `json:"deciding,omitempty"`
	Near     []int      `json:"near,omitempty"`
	Why      string     `json:"why,omitempty"`
}

type policyChange struct {
	What    string     `json:"what"`
	Policy  policyText `json:"policy"`
	After   string     `json:"after,omitempty"`
	Command string     `json:"command,omitempty"`
	Trust   string     `json:"trust,omitempty"`
	Setting string     `json:"setting,omitempty"`
	Value   string     `json:"value,omitempty"`
}

type policyText struct {
	Name     string `json:"name,omitempty"`
	ARN      string `json:"arn,omitempty"`
	Via      string `json:"via,omitempty"`
	Version  string `json:"version,omitempty"`
	Document string `json:"document,omitempty"`
}

func findingText(f *connector.Finding) string {
	d := storedFinding{Action: f.Action, Region: f.Region, Layer: string(f.Layer), Explicit: f.Explicit, Said: f.Said, RequestID: f.RequestID, Rest: f.Rest}
	for _, q := range f.Quotes {
		d.Quotes = append(d.Quotes, quote{policyText(q.Policy), string(q.Layer), q.Deciding, q.Near, q.Why})
	}
	for _, c := range f.Changes {
		d.Changes = append(d.Changes, policyChange{c.What, policyText(c.Policy), c.After, c.Command, c.Trust, string(c.Setting), c.Value})
	}
	return encoded(d)
}

func (d storedFinding) domain() connector.Finding {
	f := connector.Finding{Action: d.Action, Region: d.Region, Layer: iam.Layer(d.Layer), Explicit: d.Explicit, Said: d.Said, RequestID: d.RequestID, Rest: d.Rest}
	for _, q := range d.Quotes {
		f.Quotes = append(f.Quotes, connector.Quote{Policy: connector.PolicyText(q.Policy), Layer: iam.Layer(q.Layer), Deciding: q.Deciding, Near: q.Near, Why: q.Why})
	}
	for _, c := range d.Changes {
		f.Changes = append(f.Changes, connector.Change{
			What: c.What, Policy: connector.PolicyText(c.Policy), After: c.After, Command: c.Command, Trust: c.Trust, Setting: connector.Setting(c.Setting), Value: c.Value,
		})
	}
	return f
}

// saveFinding keeps what the last test of a connector was judged by, in place of what was kept before.
func saveFinding(ctx context.Context, tx *session, t connector.Test) error {
	key := []any{t.Scope.Account, t.Scope.Org, t.Scope.Project, t.Connector}
	if t.Diagnosis == nil || t.Diagnosis.Finding == nil {
		_, err := tx.exec(ctx, `DELETE FROM findings WHERE account = $1 AND org = $2 AND project = $3 AND connector = $4`, key...)
		return err
	}
	_, err := tx.exec(ctx, `INSERT INTO findings (account, org, project, connector, test, detail) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (account, org, project, connector) DO UPDATE SET test = excluded.test, detail = excluded.detail`,
		append(key, t.ID, findingText(t.Diagnosis.Finding))...)
	return err
}

// Finding reads what a connector's last test was judged by. It fails with NotFound when that is not known of this test.
func (s *Store) Finding(ctx context.Context, at scope.Scope, id, test string) (_ connector.Finding, err error) {
	defer fault.Wrap(&err, "read finding of connector %q", id)
	var text string
	err = s.reads.row(ctx, `SELECT detail FROM findings WHERE account = $1 AND org = $2 AND project = $3 AND connector = $4 AND test = $5`,
		at.Account, at.Org, at.Project, id, test).Scan(&text)
	if err != nil {
		return connector.Finding{}, found(err, "no policies are kept of that test of connector %q", id)
	}
	var d storedFinding
	err = decoded(text, &d)
	return d.domain(), err
}

// TestsSince lists tests of all accounts that ended at a time or later, oldest first, each with the status of the test before
// it. A limit of 0 is none.
func (s *Store) TestsSince(ctx context.Context, from time.Time, limit int) (_ []connector.Ended, err error) {
	defer fault.Wrap(&err, "list tests that ended")
	var w where
	w.and("t.ended_at >= " + w.arg(micros(from)))
	return all(ctx, s.reads, func(row scanner) (e connector.Ended, err error) {
		var ended int64
		err = row.Scan(&e.Scope.Account, &e.Scope.Org, &e.Scope.Project, &e.Connector, &e.Test, &ended, &e.Status, &e.Before)
		e.At = moment(ended)
		return e, err
	}, `SELECT t.account, t.org, t.project, t.connector, t.id, t.ended_at, t.status, COALESCE((SELECT b.status FROM tests b
		WHERE b.account = t.account AND b.org = t.org AND b.project = t.project AND b.connector = t.connector AND b.ended_at < t.ended_at
		ORDER BY b.ended_at DESC, b.id DESC LIMIT 1), '') FROM tests t`+w.text()+` ORDER BY t.ended_at, t.id`+w.page(0, limit), w.args...)
}

// Histories reads the newest tests of each connector, newest first.
func (s *Store) Histories(ctx context.Context, of []connector.Connector, limit int) (_ [][]connector.Brief, err error) {
	defer fault.Wrap(&err, "list the tests of %d connectors", len(of))
	out := make([][]connector.Brief, len(of))
	for i, c := range of { // one after the other: each is a few steps in an index, all at once is a sort of all tests
		var w where
		w.at(c.Scope)
		w.equal("connector", c.ID)
		out[i], err = all(ctx, s.reads, func(row scanner) (b connector.Brief, err error) {
			var started, ended int64
			err = row.Scan(&b.Status, &started, &ended)
			b.At, b.Took = moment(ended), time.Duration(ended-started)*time.Microsecond
			return b, err
		}, `SELECT status, started_at, ended_at FROM tests`+w.text()+` ORDER BY ended_at DESC, id DESC`+w.page(0, limit), w.args...)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
