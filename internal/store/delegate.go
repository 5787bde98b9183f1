package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
)

// atOnce is how many rows one change touches where there may be any number, so that others get their turn between.
const atOnce = 500

const delegateColumns = `id, account, org, project, token_id, name, host_name, ip, type, description, tags, version, kinds,
	registered_at, last_seen, draining, busy`

func scanDelegate(row scanner) (d delegate.Delegate, err error) {
	var tags, kinds, version string
	var registered, seen int64
	err = row.Scan(&d.ID, &d.Scope.Account, &d.Scope.Org, &d.Scope.Project, &d.TokenID, &d.Name, &d.HostName, &d.IP, &d.Type, &d.Description,
		&tags, &version, &kinds, &registered, &seen, &d.Draining, &d.Busy, &d.Revoked)
	if err != nil {
		return d, err
	}
	d.RegisteredAt, d.LastSeen = moment(registered), moment(seen)
	if d.Version, err = versionOf(version); err != nil {
		return d, err
	}
	if err := decoded(tags, &d.Tags); err != nil {
		return d, err
	}
	err = decoded(kinds, &d.Kinds)
	return d, err
}

// SaveDelegate adds a delegate or replaces what is known of it.
func (s *Store) SaveDelegate(ctx context.Context, d delegate.Delegate) (err error) {
	defer fault.Wrap(&err, "save delegate %s", d.ID)
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		_, err := tx.exec(ctx, `
			INSERT INTO delegates (`+delegateColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
			ON CONFLICT (id) DO UPDATE SET account = excluded.account, org = excluded.org, project = excluded.project,
				token_id = excluded.token_id, name = excluded.name, host_name = excluded.host_name, ip = excluded.ip, type = excluded.type,
				description = excluded.description, tags = excluded.tags, version = excluded.version, kinds = excluded.kinds,
				registered_at = excluded.registered_at, last_seen = excluded.last_seen, draining = excluded.draining, busy = excluded.busy`,
			string(d.ID), d.Scope.Account, d.Scope.Org, d.Scope.Project, d.TokenID, d.Name, d.HostName, d.IP, d.Type, d.Description,
			encoded(d.Tags), versionText(d.Version), encoded(d.Kinds), micros(d.RegisteredAt), micros(d.LastSeen), d.Draining, d.Busy)
		return err
	})
}

// SaveSeen writes down when delegates were last heard; a time that is older than the one written stays out. Delegates that
// are gone are left out.
func (s *Store) SaveSeen(ctx context.Context, seen map[delegate.ID]time.Time) (err error) {
	defer fault.Wrap(&err, "save the presence of %d delegates", len(seen))
	// In one order always, so that two managers never wait for each other's rows.
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(seen)), atOnce) {
		err := s.write(ctx, func(ctx context.Context, tx *session) error {
			for _, id := range ids {
				if _, err := tx.exec(ctx, `UPDATE delegates SET last_seen = $2 WHERE id = $1 AND last_seen < $2`, string(id), micros(seen[id])); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Delegates lists every delegate of every account, and says whose token was revoked.
func (s *Store) Delegates(ctx context.Context) (_ []delegate.Delegate, err error) {
	defer fault.Wrap(&err, "list delegates")
	return all(ctx, s.reads, scanDelegate, `
		SELECT `+delegateColumns+`, token_id <> '' AND NOT EXISTS (
			SELECT 1 FROM tokens WHERE tokens.account = delegates.account AND tokens.id = delegates.token_id AND tokens.revoked_at = 0)
		FROM delegates ORDER BY id`)
}

// DeleteDelegates removes delegates; those that are not there are no error.
func (s *Store) DeleteDelegates(ctx context.Context, ids []delegate.ID) (err error) {
	defer fault.Wrap(&err, "delete %d delegates", len(ids))
	for chunk := range slices.Chunk(slices.Sorted(slices.Values(ids)), atOnce) {
		err := s.write(ctx, func(ctx context.Context, tx *session) error {
			for _, id := range chunk {
				if _, err := tx.exec(ctx, `DELETE FROM delegates WHERE id = $1`, string(id)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// SaveGroup keeps the tags that a group of delegates is given, or nothing of it when there are none. It fails with Invalid
// when its scope is not there.
func (s *Store) SaveGroup(ctx context.Context, g delegate.Group) (err error) {
	defer fault.Wrap(&err, "save the tags of the delegates %q", g.Name)
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		if len(g.Given) == 0 {
			_, err := tx.exec(ctx, `DELETE FROM delegate_groups WHERE account = $1 AND org = $2 AND project = $3 AND name = $4`,
				g.Scope.Account, g.Scope.Org, g.Scope.Project, g.Name)
			return err
		}
		if err := inside(ctx, tx, g.Scope); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `
			INSERT INTO delegate_groups (account, org, project, name, tags) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (account, org, project, name) DO UPDATE SET tags = excluded.tags`,
			g.Scope.Account, g.Scope.Org, g.Scope.Project, g.Name, encoded(g.Given))
		return err
	})
}

// Groups lists the groups of delegates of every account that are given tags.
func (s *Store) Groups(ctx context.Context) (_ []delegate.Group, err error) {
	defer fault.Wrap(&err, "list the tags of delegates")
	return all(ctx, s.reads, func(row scanner) (g delegate.Group, err error) {
		var tags string
		if err := row.Scan(&g.Scope.Account, &g.Scope.Org, &g.Scope.Project, &g.Name, &tags); err != nil {
			return g, err
		}
		err = decoded(tags, &g.Given)
		return g, err
	}, `SELECT account, org, project, name, tags FROM delegate_groups ORDER BY account, org, project, name`)
}
