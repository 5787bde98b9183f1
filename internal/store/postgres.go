package store

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/belay-dev/belay/internal/fault"
)

const (
	// mostConnections is what one manager takes of a server that commonly allows 100.
	mostConnections = 20
	// mostTries of a transaction that PostgreSQL gave up for another.
	mostTries = 8
)

func openPostgres(ctx context.Context, c Config) (_ *Store, err error) {
	config, err := pgx.ParseConfig(c.URL)
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, "the address of the database is not understood; it looks like postgres://user@host:5432/database")
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "belay"
	}
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(mostConnections)
	pool.SetMaxIdleConns(mostConnections / 2)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(translate(err), pool.Close())
	}
	if err := migrate(ctx, c, pool, goose.DialectPostgres); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	reads := &session{db: pool}
	return &Store{reads: reads, writer: &transactor{pool, reads}, closers: []func() error{pool.Close}}, nil
}

// transactor runs each change in a transaction of its own; PostgreSQL commits those of the same moment together.
type transactor struct {
	pool  *sql.DB
	reads *session // knows when the store was closed
}

func (t *transactor) write(ctx context.Context, do func(ctx context.Context, tx *session) error) error {
	for try := 1; ; try++ {
		err := t.attempt(ctx, do)
		if err == nil || !again(err) || try == mostTries {
			return err
		}
		wait := time.NewTimer(rand.N(time.Duration(1<<try) * time.Millisecond)) //nolint:gosec // jitter, no secret
		select {
		case <-ctx.Done():
			wait.Stop()
			return context.Cause(ctx)
		case <-wait.C:
		}
	}
}

func (t *transactor) attempt(ctx context.Context, do func(ctx context.Context, tx *session) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if t.reads.closed.Load() {
		return errClosed()
	}
	// Once begun it runs to its end, as on SQLite: a commit that was interrupted may have happened or not.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeLimit)
	defer cancel()
	tx, err := t.pool.BeginTx(ctx, nil)
	if err != nil {
		return translate(err)
	}
	defer func() { _ = tx.Rollback() }() // nothing after a commit
	if err := do(ctx, &session{db: tx}); err != nil {
		return err
	}
	return translate(tx.Commit())
}
