package store

import (
	"context"

	"github.com/belay-dev/belay/internal/fault"
)

// Meta reads a fact about this installation. It fails with NotFound when it was never set.
func (s *Store) Meta(ctx context.Context, key string) (value string, err error) {
	defer fault.Wrap(&err, "read the fact %q", key)
	err = s.reads.row(ctx, `SELECT value FROM meta WHERE key = $1`, key).Scan(&value)
	return value, found(err, "the fact %q is not set", key)
}

// SetMeta keeps a fact about this installation.
func (s *Store) SetMeta(ctx context.Context, key, value string) (err error) {
	defer fault.Wrap(&err, "keep the fact %q", key)
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		_, err := tx.exec(ctx, `INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
		return err
	})
}
