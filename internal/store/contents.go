package store

import (
	"context"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/identity"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
)

// Contents counts what ends with an organization or a project.
func (s *Store) Contents(ctx context.Context, at scope.Scope) (c org.Contents, err error) {
	defer fault.Wrap(&err, "count what lies inside %s", at)
	tables := map[string]*int{
		"connectors": &c.Connectors, "secrets": &c.Secrets, "tokens": &c.Tokens, "delegates": &c.Delegates, "definitions": &c.Definitions,
	}
	for _, table := range scoped() {
		var w where
		w.inside(at)
		n, known := tables[table]
		if !known {
			continue
		}
		if err := s.reads.row(ctx, `SELECT count(*) FROM `+table+w.text(), w.args...).Scan(n); err != nil {
			return org.Contents{}, err
		}
	}
	if at.Level() == scope.Organization {
		err := s.reads.row(ctx, `SELECT count(*) FROM projects WHERE account = $1 AND org = $2`, at.Account, at.Org).Scan(&c.Projects)
		if err != nil {
			return org.Contents{}, err
		}
	}
	w := keysWhere(identity.Filter{Scope: at})
	w.and(`revoked_at = 0`)
	err = s.reads.row(ctx, `SELECT count(*) FROM api_keys`+w.text(), w.args...).Scan(&c.Keys)
	return c, err
}
