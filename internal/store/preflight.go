package store

import (
	"context"

	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/preflight"
	"github.com/belay-dev/belay/internal/scope"
)

// preflightDetail is what a preflight says beside its columns.
type preflightDetail struct {
	Revision     int64               `json:"revision"`
	By           string              `json:"by,omitempty"`
	Capabilities []string            `json:"capabilities,omitempty"`
	Narrowing    catalogue.Narrowing `json:"narrowing"`
	Fresh        bool                `json:"fresh,omitempty"`
	Delegate     string              `json:"delegate,omitempty"`
	DelegateID   string              `json:"delegateId,omitempty"`
	Diagnosis    *diagnosis          `json:"diagnosis,omitempty"`
	Identity     *testIdentity       `json:"identity,omitempty"`
	Region       string              `json:"region,omitempty"`
	Results      []preflightResult   `json:"results,omitempty"`
	Unread       []unread            `json:"unread,omitempty"`
	Fix          *fix                `json:"fix,omitempty"`
	Blocked      []fix               `json:"blocked,omitempty"`
}

type preflightResult struct {
	Capability string    `json:"capability"`
	Title      string    `json:"title"`
	Answer     string    `json:"answer"`
	Allowed    int       `json:"allowed"`
	Missing    []finding `json:"missing,omitempty"`
	Unknown    []finding `json:"unknown,omitempty"`
	Caveats    []string  `json:"caveats,omitempty"`
}

type finding struct {
	Action   string   `json:"action"`
	Resource string   `json:"resource"`
	Why      []string `json:"why,omitempty"`
}

type unread struct {
	What   string `json:"what"`
	Action string `json:"action"`
	Code   string `json:"code"`
}

type fix struct {
	What    string `json:"what"`
	Command string `json:"command,omitempty"`
}

func detailOfPreflight(p preflight.Preflight) preflightDetail {
	d := preflightDetail{
		Revision: p.Revision, By: p.By, Capabilities: p.Options.Capabilities, Narrowing: p.Options.Narrowing, Fresh: p.Options.Fresh,
		Delegate: p.Delegate, DelegateID: p.DelegateID, Diagnosis: storedDiagnosis(p.Diagnosis), Region: p.Region,
	}
	if i := p.Identity; i != nil {
		d.Identity = &testIdentity{i.ARN, i.Account, i.UserID}
	}
	for _, r := range p.Results {
		one := preflightResult{Capability: r.Capability, Title: r.Title, Answer: string(r.Answer), Allowed: r.Allowed, Caveats: r.Caveats}
		for _, f := range r.Missing {
			one.Missing = append(one.Missing, finding(f))
		}
		for _, f := range r.Unknown {
			one.Unknown = append(one.Unknown, finding(f))
		}
		d.Results = append(d.Results, one)
	}
	for _, u := range p.Unread {
		d.Unread = append(d.Unread, unread{string(u.What), u.Action, u.Code})
	}
	if f := p.Fix; f != nil {
		d.Fix = &fix{f.What, f.Command}
	}
	for _, f := range p.Blocked {
		d.Blocked = append(d.Blocked, fix(f))
	}
	return d
}

func (d preflightDetail) into(p *preflight.Preflight) {
	p.Revision, p.By, p.Delegate, p.DelegateID, p.Region = d.Revision, d.By, d.Delegate, d.DelegateID, d.Region
	p.Options = preflight.Options{Capabilities: d.Capabilities, Narrowing: d.Narrowing, Fresh: d.Fresh}
	p.Diagnosis = d.Diagnosis.domain()
	if i := d.Identity; i != nil {
		p.Identity = &connector.Identity{ARN: i.ARN, Account: i.Account, UserID: i.UserID}
	}
	for _, r := range d.Results {
		one := preflight.Result{Capability: r.Capability, Title: r.Title, Answer: connector.Answer(r.Answer), Allowed: r.Allowed, Caveats: r.Caveats}
		for _, f := range r.Missing {
			one.Missing = append(one.Missing, preflight.Finding(f))
		}
		for _, f := range r.Unknown {
			one.Unknown = append(one.Unknown, preflight.Finding(f))
		}
		p.Results = append(p.Results, one)
	}
	for _, u := range d.Unread {
		p.Unread = append(p.Unread, connector.Unread{What: connector.Part(u.What), Action: u.Action, Code: u.Code})
	}
	if f := d.Fix; f != nil {
		p.Fix = &connector.Fix{What: f.What, Command: f.Command}
	}
	for _, f := range d.Blocked {
		p.Blocked = append(p.Blocked, connector.Fix(f))
	}
}

const preflightColumns = `account, org, project, connector, id, started_at, ended_at, detail`

func scanPreflight(row scanner) (p preflight.Preflight, err error) {
	var started, ended int64
	var detail string
	if err = row.Scan(&p.Scope.Account, &p.Scope.Org, &p.Scope.Project, &p.Connector, &p.ID, &started, &ended, &detail); err != nil {
		return p, err
	}
	p.StartedAt, p.EndedAt = moment(started), moment(ended)
	var d preflightDetail
	if err = decoded(detail, &d); err == nil {
		d.into(&p)
	}
	return p, err
}

// SavePreflight keeps a preflight, forgets all but the newest of its connector, and marks the connector: one that is denied
// a capability is only partly connected. The same preflight again changes nothing, and nothing is kept when the connector
// is gone.
func (s *Store) SavePreflight(ctx context.Context, p preflight.Preflight, keep int) (err error) {
	defer fault.Wrap(&err, "save preflight %s", p.ID)
	defer s.tested(key{p.Scope, p.Connector})
	ended := micros(p.EndedAt)
	key := []any{p.Scope.Account, p.Scope.Org, p.Scope.Project, p.Connector}
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		// Touching the row keeps it there until the preflight is in.
		n, err := tx.exec(ctx, `UPDATE connectors SET last_activity = CASE WHEN last_activity < $5 THEN $5 ELSE last_activity END`+oneConnector,
			append(key, ended)...)
		if err != nil || n == 0 {
			return err
		}
		n, err = tx.exec(ctx, `INSERT INTO preflights (`+preflightColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
			append(key, p.ID, micros(p.StartedAt), ended, encoded(detailOfPreflight(p)))...)
		if err != nil || n == 0 {
			return err
		}
		_, err = tx.exec(ctx, `
			DELETE FROM preflights WHERE account = $1 AND org = $2 AND project = $3 AND connector = $4 AND id NOT IN (
				SELECT id FROM preflights WHERE account = $1 AND org = $2 AND project = $3 AND connector = $4
				ORDER BY ended_at DESC, id DESC LIMIT $5)`, append(key, int64(keep))...)
		if err != nil || p.Diagnosis != nil { // it says nothing of permissions
			return err
		}
		denied := p.Answer() == connector.MayNotDo
		from, to := connector.Partial, connector.Success
		if denied {
			from, to = to, from
		}
		// One that comes late does not decide.
		n, err = tx.exec(ctx, `UPDATE connectors SET preflight_denied = $5`+oneConnector+` AND NOT EXISTS (
			SELECT 1 FROM preflights p WHERE p.account = $1 AND p.org = $2 AND p.project = $3 AND p.connector = $4 AND p.ended_at > $6)`,
			append(key, denied, ended)...)
		if err != nil || n == 0 {
			return err
		}
		_, err = tx.exec(ctx, `UPDATE connectors SET status = $5`+oneConnector+` AND status = $6`, append(key, string(to), string(from))...)
		return err
	})
}

// Preflight reads one.
func (s *Store) Preflight(ctx context.Context, account, id string) (_ preflight.Preflight, err error) {
	defer fault.Wrap(&err, "read preflight %s", id)
	p, err := scanPreflight(s.reads.row(ctx, `SELECT `+preflightColumns+` FROM preflights WHERE account = $1 AND id = $2`, account, id))
	return p, found(err, "preflight %s does not exist; its connector may have been deleted", id)
}

// Preflights lists those of a connector, newest first. A limit of 0 is none.
func (s *Store) Preflights(ctx context.Context, at scope.Scope, id string, limit int) (_ []preflight.Preflight, err error) {
	defer fault.Wrap(&err, "list preflights of connector %q", id)
	var w where
	w.at(at)
	w.equal("connector", id)
	return all(ctx, s.reads, scanPreflight, `SELECT `+preflightColumns+` FROM preflights`+w.text()+` ORDER BY ended_at DESC, id DESC`+w.page(0, limit), w.args...)
}
