package store

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/arn"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// The literals below are those of partial indices, which an argument would not match.
const (
	isAWS     = `type = 'Aws'`
	isFailing = `status = 'FAILURE'`
)

// FailingConnectors counts the failing AWS connectors of a scope and of all scopes inside it.
func (s *Store) FailingConnectors(ctx context.Context, at scope.Scope) (n int, err error) {
	defer fault.Wrap(&err, "count failing connectors")
	var w where
	w.inside(at)
	w.and(isFailing)
	w.and(isAWS)
	err = s.reads.row(ctx, `SELECT count(*) FROM connectors`+w.text(), w.args...).Scan(&n)
	return n, err
}

// LastTested is when a connector of a scope, or of one inside it, was tested last; zero when none was.
func (s *Store) LastTested(ctx context.Context, at scope.Scope) (_ time.Time, err error) {
	defer fault.Wrap(&err, "find the last test")
	var w where
	w.inside(at)
	w.and(`last_tested_at > 0`)
	var last int64
	err = s.reads.row(ctx, `SELECT last_tested_at FROM connectors`+w.text()+` ORDER BY last_tested_at DESC`+w.page(0, 1), w.args...).Scan(&last)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return moment(last), err
}

// Turns are the AWS connectors that began to fail, or to hold again, newest first.
func (s *Store) Turns(ctx context.Context, at scope.Scope, limit int) (_ []connector.Turn, err error) {
	defer fault.Wrap(&err, "list what began to fail or to hold")
	var w where
	w.inside(at)
	w.and(`turned_at > 0`)
	w.and(isAWS)
	return all(ctx, s.reads, func(row scanner) (t connector.Turn, err error) {
		var status string
		var turned, before int64
		if err := row.Scan(&t.Scope.Account, &t.Scope.Org, &t.Scope.Project, &t.ID, &t.Name, &status, &turned, &before); err != nil {
			return t, err
		}
		t.At, t.Failing = moment(turned), connector.Status(status) == connector.Failing
		if !t.Failing && before > 0 {
			t.For = t.At.Sub(moment(before))
		}
		return t, nil
	}, `SELECT account, org, project, id, name, status, turned_at, turned_before FROM connectors`+w.text()+`
		ORDER BY turned_at DESC, id DESC, org DESC, project DESC`+w.page(0, limit), w.args...)
}

// Needing are the AWS connectors of a scope, and of those inside it, that fail or need attention, the latest first.
func (s *Store) Needing(ctx context.Context, at scope.Scope, limit int) (_ []connector.Stored, err error) {
	defer fault.Wrap(&err, "list connectors that need somebody")
	var w where
	w.inside(at)
	w.and(isAWS)
	w.and(`status IN ('FAILURE', 'PARTIAL')`)
	keys, err := all(ctx, s.reads, scanKeyOf, `SELECT account, org, project, id FROM connectors`+w.text()+`
		ORDER BY last_activity DESC, id DESC, org DESC, project DESC`+w.page(0, limit), w.args...)
	if err != nil {
		return nil, err
	}
	return s.stored(ctx, keys)
}

// Reached are the AWS accounts that connectors of a scope, and of those inside it, reach: those with failing connectors
// first, then those with the most. It counts all of them.
func (s *Store) Reached(ctx context.Context, at scope.Scope, now time.Time, limit int) (_ []connector.Reached, total int, err error) {
	defer fault.Wrap(&err, "list the AWS accounts that are reached")
	var w where
	w.inside(at)
	w.and(isAWS)
	w.and(`reaches <> ''`)
	kinds := []string{manual, inherit, irsa, issued}
	columns := strings.Join(each(kinds, func(kind string) string { return "count(CASE WHEN credential = '" + kind + "' THEN 1 END)" }), ", ")
	list, err := all(ctx, s.reads, func(row scanner) (r connector.Reached, err error) {
		var n [4]int
		if err := row.Scan(&r.Account, &r.Connectors, &r.Failing, &total, &n[0], &n[1], &n[2], &n[3]); err != nil {
			return r, err
		}
		r.Credentials = map[string]int{}
		for i, kind := range kinds {
			if n[i] > 0 {
				r.Credentials[kind] = n[i]
			}
		}
		return r, nil
	}, `SELECT reaches, count(*), count(CASE WHEN `+isFailing+` THEN 1 END), count(*) OVER (), `+columns+` FROM connectors`+w.text()+`
		GROUP BY reaches ORDER BY 3 DESC, 2 DESC, 1`+w.page(0, limit), w.args...)
	if err != nil || len(list) == 0 {
		return nil, 0, err
	}
	index := make(map[string]*connector.Reached, len(list))
	for i := range list {
		index[list[i].Account] = &list[i]
	}
	w = where{}
	w.inside(at)
	w.in("reaches", slices.Sorted(maps.Keys(index)))
	present := hourOf(now)
	w.and(`hour > ` + w.arg(present-connector.Hours))
	w.and(`hour <= ` + w.arg(present))
	err = s.reads.each(ctx, `SELECT reaches, hour, passed, failed FROM test_hours`+w.text(), w.args, func(row scanner) error {
		var account string
		var hour int64
		var passed, failed int
		err := row.Scan(&account, &hour, &passed, &failed)
		if r := index[account]; err == nil && r != nil {
			h := &r.Hours[connector.Hours-1-int(present-hour)]
			h.Passed, h.Failed = h.Passed+passed, h.Failed+failed
		}
		return err
	})
	return list, total, err
}

func hourOf(t time.Time) int64 { return t.Unix() / int64(time.Hour/time.Second) }

// reachOf is the AWS account of the role that a connector names, or "".
func reachOf(c connector.Connector) string {
	role := ""
	if o, ok := c.Credential.(connector.OIDC); ok {
		role = o.RoleARN
	}
	if c.CrossAccount != nil {
		role = c.CrossAccount.RoleARN
	}
	parsed, err := arn.Parse(role)
	if err != nil || !accountNumber(parsed.Account) {
		return ""
	}
	return parsed.Account
}

// accountNumber reports whether a text is one of AWS's: 12 digits.
func accountNumber(text string) bool {
	return len(text) == 12 && strings.Trim(text, "0123456789") == ""
}

// countTest adds a test to those of its hour, and keeps which account it reached and whether its connector turned. The
// connector still has the status that it had before.
func countTest(ctx context.Context, tx *session, t connector.Test, key []any) error {
	if i := t.Identity; i != nil && accountNumber(i.Account) {
		if _, err := tx.exec(ctx, `UPDATE connectors SET reaches = $5`+oneConnector+` AND reaches <> $5`, append(key, i.Account)...); err != nil {
			return err
		}
	}
	ended := micros(t.EndedAt)
	fails := t.Status == connector.Failing
	_, err := tx.exec(ctx, `UPDATE connectors SET turned_before = turned_at, turned_at = $5`+oneConnector+` AND last_tested_at < $5 AND (`+isFailing+`) <> $6`,
		append(key, ended, fails)...)
	if err != nil {
		return err
	}
	passed, failed := int64(1), int64(0)
	if fails {
		passed, failed = 0, 1
	}
	_, err = tx.exec(ctx, `
		INSERT INTO test_hours (account, reaches, hour, org, project, passed, failed)
		SELECT account, reaches, CAST($5 AS bigint), org, project, CAST($6 AS bigint), CAST($7 AS bigint) FROM connectors`+oneConnector+` AND reaches <> ''
		ON CONFLICT (account, reaches, hour, org, project) DO UPDATE SET passed = test_hours.passed + excluded.passed, failed = test_hours.failed + excluded.failed`,
		append(key, hourOf(t.EndedAt), passed, failed)...)
	return err
}
