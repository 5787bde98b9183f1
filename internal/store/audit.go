package store

import (
	"context"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
)

const auditColumns = `id, at, account, org, project, caller_id, caller_name, action, target, outcome, detail`

func scanEntry(row scanner) (e audit.Entry, err error) {
	var at int64
	err = row.Scan(&e.ID, &at, &e.Scope.Account, &e.Scope.Org, &e.Scope.Project, &e.CallerID, &e.CallerName, &e.Action, &e.Target, &e.Outcome, &e.Detail)
	e.At = moment(at)
	return e, err
}

// AppendAudit keeps an entry, whatever its texts hold: characters that a database cannot keep are replaced.
func (s *Store) AppendAudit(ctx context.Context, e audit.Entry) (err error) {
	defer fault.Wrap(&err, "append to the audit log")
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		_, err := tx.exec(ctx, `INSERT INTO audit (`+auditColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			e.ID, micros(e.At), printable(e.Scope.Account), printable(e.Scope.Org), printable(e.Scope.Project), printable(e.CallerID),
			printable(e.CallerName), printable(string(e.Action)), printable(e.Target), string(e.Outcome), printable(e.Detail))
		return taken(err, "an audit entry with the id %q exists already", e.ID)
	})
}

// AuditEntries lists the log of a scope and of all that lies inside it, newest first. A limit of 0 is none.
func (s *Store) AuditEntries(ctx context.Context, f audit.Filter) (_ []audit.Entry, err error) {
	defer fault.Wrap(&err, "list the audit log")
	var w where
	w.inside(f.Scope)
	if f.Caller != "" {
		w.and(`(caller_id = ` + w.arg(f.Caller) + ` OR ` + w.folded("caller_name", f.Caller) + `)`)
	}
	if f.Action != "" {
		action := w.arg(f.Action)
		w.and(`substr(action, 1, length(` + action + `)) = ` + action)
	}
	if f.Target != "" {
		w.and(w.folded("target", f.Target))
	}
	w.in("target", f.Targets)
	w.in("substr(target, 1, 200)", each(f.Targets, func(target string) string { // says nothing new, but has an index
		const indexed = 200
		runes := []rune(target)
		return string(runes[:min(len(runes), indexed)])
	}))
	w.in("action", each(f.Actions, func(a audit.Action) string { return string(a) }))
	if f.Outcome != "" {
		w.equal("outcome", string(f.Outcome))
	}
	if !f.Since.IsZero() {
		w.and(`at >= ` + w.arg(micros(f.Since)))
	}
	if !f.Until.IsZero() {
		w.and(`at < ` + w.arg(micros(f.Until)))
	}
	if f.Before != "" {
		// Once the entry itself is gone, all that is older is gone too.
		w.and(`(at, id) < (SELECT b.at, b.id FROM audit b WHERE b.account = ` + w.arg(f.Scope.Account) + ` AND b.id = ` + w.arg(f.Before) + `)`)
	}
	text := `SELECT ` + auditColumns + ` FROM audit` + w.text() + ` ORDER BY at DESC, id DESC` + w.page(0, f.Limit)
	return all(ctx, s.reads, scanEntry, text, w.args...)
}

// DeleteAudit forgets entries that are older than a time.
func (s *Store) DeleteAudit(ctx context.Context, before time.Time) (err error) {
	defer fault.Wrap(&err, "delete old audit entries")
	return s.deleteInParts(ctx, `DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < $1 ORDER BY at LIMIT $2)`, micros(before), int64(atOnce))
}

// deleteInParts repeats a statement that deletes at most atOnce rows until it finds fewer.
func (s *Store) deleteInParts(ctx context.Context, text string, args ...any) error {
	for {
		var n int64
		err := s.write(ctx, func(ctx context.Context, tx *session) (err error) {
			n, err = tx.exec(ctx, text, args...)
			return err
		})
		if err != nil || n < atOnce {
			return err
		}
	}
}
