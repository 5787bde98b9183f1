package store

import (
	"context"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/org"
)

// SaveAccount adds an account, or renames it.
func (s *Store) SaveAccount(ctx context.Context, a org.Account) (err error) {
	defer fault.Wrap(&err, "save account %q", a.ID)
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		_, err := tx.exec(ctx, `
			INSERT INTO accounts (id, name, created_at) VALUES ($1, $2, $3)
			ON CONFLICT (id) DO UPDATE SET name = excluded.name`, a.ID, a.Name, micros(a.CreatedAt))
		return err
	})
}

// Accounts lists every account, oldest first.
func (s *Store) Accounts(ctx context.Context) (_ []org.Account, err error) {
	defer fault.Wrap(&err, "list accounts")
	return all(ctx, s.reads, func(row scanner) (a org.Account, err error) {
		var created int64
		err = row.Scan(&a.ID, &a.Name, &created)
		a.CreatedAt = moment(created)
		return a, err
	}, `SELECT id, name, created_at FROM accounts ORDER BY created_at, id`)
}

// AccountExists fails with NotFound when there is no such account.
func (s *Store) AccountExists(ctx context.Context, id string) (err error) {
	defer fault.Wrap(&err, "look for an account")
	var one int
	err = s.reads.row(ctx, `SELECT 1 FROM accounts WHERE id = $1`, id).Scan(&one)
	return found(err, "there is no account %.40q", id)
}

// Flags are the feature flags that were set in an account.
func (s *Store) Flags(ctx context.Context, account string) (_ map[string]bool, err error) {
	defer fault.Wrap(&err, "read flags")
	flags := map[string]bool{}
	err = s.reads.each(ctx, `SELECT flag, enabled FROM flags WHERE account = $1`, []any{account}, func(row scanner) error {
		var flag string
		var on bool
		err := row.Scan(&flag, &on)
		flags[flag] = on
		return err
	})
	return flags, err
}

// SetFlag turns a feature flag on or off.
func (s *Store) SetFlag(ctx context.Context, account, flag string, on bool) (err error) {
	defer fault.Wrap(&err, "set flag %q", flag)
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		_, err := tx.exec(ctx, `
			INSERT INTO flags (account, flag, enabled) VALUES ($1, $2, $3)
			ON CONFLICT (account, flag) DO UPDATE SET enabled = excluded.enabled`, account, flag, on)
		return err
	})
}
