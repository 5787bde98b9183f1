package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

const (
	connectorColumns = `account, org, project, id, name, description, tags, ignore_test, spec, revision, created_at, updated_at`
	oneConnector     = ` WHERE account = $1 AND org = $2 AND project = $3 AND id = $4`
	noConnector      = "connector %q does not exist at %s"
)

func scanConnector(row scanner) (connector.Connector, error) {
	return scanConnectorAnd(row)
}

// scanConnectorAnd reads connectorColumns and what stands behind them.
func scanConnectorAnd(row scanner, more ...any) (c connector.Connector, err error) {
	var tags, spec string
	var created, updated int64
	err = row.Scan(append([]any{
		&c.Scope.Account, &c.Scope.Org, &c.Scope.Project, &c.ID, &c.Name, &c.Description, &tags, &c.IgnoreTestConnection, &spec,
		&c.Revision, &created, &updated,
	}, more...)...)
	if err != nil {
		return c, err
	}
	c.CreatedAt, c.UpdatedAt = moment(created), moment(updated)
	if err := decoded(tags, &c.Tags); err != nil {
		return c, err
	}
	var kept connectorSpec
	if err := decoded(spec, &kept); err != nil {
		return c, err
	}
	err = kept.into(&c)
	return c, err
}

// storedColumns are those of a connector and of its last test. They need fromStored.
const (
	storedColumns = `c.account, c.org, c.project, c.id, c.name, c.description, c.tags, c.ignore_test, c.spec, c.revision, c.created_at, c.updated_at,
		c.status, c.last_tested_at, c.last_connected, c.last_activity, c.next_test_at, t.id, t.started_at, t.ended_at, t.status, t.detail`
	fromStored = ` FROM connectors c LEFT JOIN tests t ON t.account = c.account AND t.id = c.last_test`
)

func scanStored(row scanner) (s connector.Stored, err error) {
	var tested, connected, active, next int64
	var id, status, detail sql.NullString
	var started, ended sql.NullInt64
	s.Connector, err = scanConnectorAnd(row, &s.Status, &tested, &connected, &active, &next, &id, &started, &ended, &status, &detail)
	if err != nil {
		return s, err
	}
	s.LastTestedAt, s.LastConnected, s.LastActivity, s.NextTestAt = moment(tested), moment(connected), moment(active), moment(next)
	if id.Valid {
		t := connector.Test{
			ID: id.String, Scope: s.Scope, Connector: s.ID, StartedAt: moment(started.Int64), EndedAt: moment(ended.Int64),
			Status: connector.Status(status.String),
		}
		if err := readDetail(detail.String, &t); err != nil {
			return s, err
		}
		s.LastTest = &t
	}
	return s, nil
}

// CreateConnector adds a connector. It fails with Conflict when its identifier is taken in its scope.
func (s *Store) CreateConnector(ctx context.Context, c connector.Connector, firstTest time.Time) (err error) {
	defer fault.Wrap(&err, "create connector %q", c.ID)
	defer s.changed(key{c.Scope, c.ID})
	spec, err := specOf(c)
	if err != nil {
		return err
	}
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		if err := inside(ctx, tx, c.Scope); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `
			INSERT INTO connectors (account, org, project, id, name, name_lower, search, description, tags, inheriting, ignore_test, spec,
				revision, created_at, updated_at, next_test_at, status, type, reaches, credential, last_test, last_tested_at, last_connected, last_activity)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, '', 0, 0, $15)`,
			append(connectorArgs(c, spec), micros(firstTest), string(connector.Unknown), c.Type(), reachOf(c), spec.Credential.Type)...)
		if err != nil {
			return taken(err, "a connector with the identifier %q exists already at %s; choose another identifier", c.ID, c.Scope)
		}
		return addParts(ctx, tx, c)
	})
}

// connectorArgs are the first fifteen columns of a row.
func connectorArgs(c connector.Connector, spec connectorSpec) []any {
	return []any{
		c.Scope.Account, c.Scope.Org, c.Scope.Project, c.ID, c.Name, strings.ToLower(c.Name), searchable(c.Tags, c.Name, c.ID, c.Description),
		c.Description, encoded(c.Tags), inheriting(c), c.IgnoreTestConnection, encoded(spec), c.Revision, micros(c.CreatedAt), micros(c.UpdatedAt),
	}
}

// addParts keeps what is looked up by tag and by secret.
func addParts(ctx context.Context, tx *session, c connector.Connector) error {
	for _, tag := range sortedKeys(c.Tags) {
		_, err := tx.exec(ctx, `INSERT INTO connector_tags (account, org, project, connector, tag, value) VALUES ($1, $2, $3, $4, $5, $6)`,
			c.Scope.Account, c.Scope.Org, c.Scope.Project, c.ID, tag, c.Tags[tag])
		if err != nil {
			return err
		}
	}
	for _, ref := range c.SecretRefs() {
		at, id, err := ref.In(c.Scope)
		if err != nil {
			continue // it leads nowhere, which a connector may
		}
		_, err = tx.exec(ctx, `
			INSERT INTO connector_secrets (account, org, project, connector, secret_org, secret_project, secret)
			VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
			c.Scope.Account, c.Scope.Org, c.Scope.Project, c.ID, at.Org, at.Project, id)
		if err != nil {
			return err
		}
	}
	return nil
}

// UpdateConnector changes a connector in one transaction. Its scope and identifier stay, its status too.
func (s *Store) UpdateConnector(ctx context.Context, at scope.Scope, id string, change func(connector.Connector) (connector.Connector, error)) (c connector.Connector, err error) {
	defer fault.Wrap(&err, "update connector %q", id)
	defer s.changed(key{at, id})
	err = s.write(ctx, func(ctx context.Context, tx *session) error {
		key := []any{at.Account, at.Org, at.Project, id}
		old, err := scanConnector(tx.row(ctx, `UPDATE connectors SET revision = revision`+oneConnector+` RETURNING `+connectorColumns, key...))
		if err != nil {
			return found(err, noConnector, id, at)
		}
		if c, err = change(old); err != nil {
			return err
		}
		c.Scope, c.ID = at, id
		spec, err := specOf(c)
		if err != nil {
			return err
		}
		_, err = tx.exec(ctx, `
			UPDATE connectors SET name = $5, name_lower = $6, search = $7, description = $8, tags = $9, inheriting = $10, ignore_test = $11,
				spec = $12, type = $16, credential = $18, reaches = CASE WHEN $17 <> '' THEN $17 ELSE reaches END,
				revision = $13, created_at = $14, updated_at = $15,
				last_activity = CASE WHEN last_activity < $15 THEN $15 ELSE last_activity END`+oneConnector,
			append(connectorArgs(c, spec), c.Type(), reachOf(c), spec.Credential.Type)...)
		if err != nil {
			return err
		}
		for _, table := range []string{"connector_tags", "connector_secrets"} {
			if _, err := tx.exec(ctx, `DELETE FROM `+table+` WHERE account = $1 AND org = $2 AND project = $3 AND connector = $4`, key...); err != nil {
				return err
			}
		}
		return addParts(ctx, tx, c)
	})
	if err != nil {
		return connector.Connector{}, err
	}
	return c, nil
}

// Connector reads one with its status and last test.
func (s *Store) Connector(ctx context.Context, at scope.Scope, id string) (_ connector.Stored, err error) {
	defer fault.Wrap(&err, "read connector %q", id)
	c, err := s.connectors.recall(key{at, id}, func() (*connector.Stored, error) {
		c, err := scanStored(s.reads.row(ctx, `
			SELECT `+storedColumns+fromStored+` WHERE c.account = $1 AND c.org = $2 AND c.project = $3 AND c.id = $4`,
			at.Account, at.Org, at.Project, id))
		return &c, err
	})
	if err != nil {
		return connector.Stored{}, found(err, noConnector, id, at)
	}
	return own(c), nil
}

// DeleteConnector removes a connector and its tests.
func (s *Store) DeleteConnector(ctx context.Context, at scope.Scope, id string) (err error) {
	defer fault.Wrap(&err, "delete connector %q", id)
	defer s.changed(key{at, id})
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		n, err := tx.exec(ctx, `DELETE FROM connectors`+oneConnector, at.Account, at.Org, at.Project, id)
		return changed(n, err, noConnector, id, at)
	})
}

// DueForTest claims connectors whose periodic test has come. Each is given to one caller only, and not again before what
// next says.
func (s *Store) DueForTest(ctx context.Context, now time.Time, next func() time.Time, limit int) (due []connector.Stored, err error) {
	defer fault.Wrap(&err, "find connectors due for a test")
	// Mostly none is due, which the readers can tell without a transaction.
	keys, err := all(ctx, s.reads, scanKeyOf, `
		SELECT account, org, project, id FROM connectors WHERE ignore_test = false AND next_test_at <= $1
		ORDER BY next_test_at, account, org, project, id LIMIT $2`, micros(now), int64(limit))
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	err = s.write(ctx, func(ctx context.Context, tx *session) error {
		due = nil
		for _, k := range keys {
			n, err := tx.exec(ctx, `UPDATE connectors SET next_test_at = $5`+oneConnector+` AND ignore_test = false AND next_test_at <= $6`,
				k.at.Account, k.at.Org, k.at.Project, k.id, micros(next()), micros(now))
			if err != nil {
				return err
			}
			if n == 0 {
				continue // another was faster
			}
			c, err := scanStored(tx.row(ctx, `
				SELECT `+storedColumns+fromStored+` WHERE c.account = $1 AND c.org = $2 AND c.project = $3 AND c.id = $4`,
				k.at.Account, k.at.Org, k.at.Project, k.id))
			if err != nil {
				return err
			}
			due = append(due, c)
		}
		return nil
	})
	for _, k := range keys {
		s.tested(k) // it has another time of its next test
	}
	if err != nil {
		return nil, err
	}
	return due, nil
}

// key is where something is and what it is called.
type key struct {
	at scope.Scope
	id string
}

func scanKeyOf(row scanner) (k key, err error) {
	err = row.Scan(&k.at.Account, &k.at.Org, &k.at.Project, &k.id)
	return k, err
}
