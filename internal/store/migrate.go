package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/belay-dev/belay/internal/fault"
)

// The steps from an empty database to the present tables. One that was released never changes.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the tables up to date. Several managers may start on one PostgreSQL at once: one does it, the others
// wait.
func migrate(ctx context.Context, c Config, db *sql.DB, dialect goose.Dialect) (err error) {
	defer fault.Wrap(&err, "bring the tables up to date")
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if dialect == goose.DialectPostgres {
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(dialect, db, folder, options...)
	if err != nil {
		return err
	}
	have, want, err := provider.GetVersions(ctx)
	if err != nil {
		return translate(err)
	}
	if have > want {
		return fault.New(fault.Invalid, "the database has version %d and this program knows %d: it was used by a newer Belay; start that one, or restore a backup", have, want)
	}
	done, err := provider.Up(ctx)
	if err != nil {
		return fmt.Errorf("from version %d to %d: %w", have, want, translate(err))
	}
	if len(done) > 0 {
		c.Log.InfoContext(ctx, "database tables brought up to date", slog.Int64("from", have), slog.Int64("to", want))
	}
	return nil
}
