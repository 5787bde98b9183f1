// Package store keeps everything that Belay must remember: in a SQLite file by default, in PostgreSQL when several
// managers share the work. It is the only truth; what wakes and what is held in memory may be lost at any time.
//
// One text of SQL serves both engines: ordinals as $1, RETURNING, ON CONFLICT; columns of text, bigint (microseconds
// since 1970, UTC, 0 for no time) and boolean; lists and nested values as JSON text. What lives at account scope has ”
// for organization and project, so that uniqueness works. Package storetest is the contract that both engines keep.
//
// # Durability
//
// A method that changes something returns when the change is on disk. SQLite runs with a write-ahead log and
// synchronous=FULL. Syncing is what costs, so one goroutine collects the changes that wait and commits them together,
// each in a savepoint of its own: a change that fails does not disturb its neighbours, and nobody is answered before the
// commit. PostgreSQL groups commits by itself; there each change is a transaction, repeated when the engine asks for it.
//
// A change that was begun runs to its end even when its caller hangs up, because interrupting it would hit its
// neighbours; one that still waits is dropped.
//
// What was read of SQLite is remembered until it changes, see memory.go: nobody else writes to the file.
//
// # Errors
//
// What is not there is fault.NotFound and what is there already fault.Conflict, each with a sentence that may be shown;
// a database that is full, locked or away is fault.Unavailable; text that a database cannot hold is fault.Invalid.
package store

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/belay-dev/belay/internal/fault"
)

// Config says which database to open.
type Config struct {
	// URL is postgres://… or postgresql://…, or else the path of a SQLite file, which is made with its folder where it
	// is missing.
	URL string
	// Log is told of what an operator can act on; nil is silent.
	Log *slog.Logger
}

// Store is an open database.
type Store struct {
	reads *session
	writer
	memories
	closers []func() error // in their order
}

// writer runs changes.
type writer interface {
	// write runs change in a transaction and returns when it is durable, or was undone. change may be run again.
	write(ctx context.Context, change func(ctx context.Context, tx *session) error) error
}

// Open opens a database and brings its tables up to date. It fails with Conflict when another process works with the
// SQLite file, and with Invalid when the database was made by a newer program.
func Open(ctx context.Context, c Config) (_ *Store, err error) {
	defer fault.Wrap(&err, "open the database")
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	kind, _, found := strings.Cut(c.URL, "://")
	switch {
	case c.URL == "":
		return nil, fault.New(fault.Invalid, "no database is named; give the path of a file, or postgres://user@host/database")
	case found && (kind == "postgres" || kind == "postgresql"):
		return openPostgres(ctx, c)
	case found:
		return nil, fault.New(fault.Invalid, "databases of the kind %q are not supported; give the path of a file, or postgres://user@host/database", kind)
	}
	return openSQLite(ctx, c)
}

// Ping fails when the database does not answer.
func (s *Store) Ping(ctx context.Context) (err error) {
	defer fault.Wrap(&err, "ask the database")
	var one int
	return s.reads.row(ctx, `SELECT 1`).Scan(&one)
}

// Close finishes the changes that wait and closes the database. Later calls fail with Unavailable.
func (s *Store) Close() error {
	if s.reads != nil {
		s.reads.closed.Store(true)
	}
	var all error
	for _, closer := range s.closers {
		all = errors.Join(all, closer())
	}
	s.closers = nil
	return all
}
