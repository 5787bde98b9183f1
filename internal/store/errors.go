package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlitecodes "modernc.org/sqlite/lib"

	"github.com/belay-dev/belay/internal/fault"
)

// The SQLSTATEs of PostgreSQL that mean something here.
const (
	pgUniqueViolation   = "23505"
	pgUnholdableText    = "22021"
	pgSerialization     = "40001"
	pgDeadlock          = "40P01"
	pgConnection        = "08" // a class
	pgShortOfResources  = "53" // a class
	pgOperatorIntervene = "57" // a class: shutting down, starting up, cancelled
)

// unique reports whether a row was refused because its key is taken.
func unique(err error) bool {
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		return lite.Code() == sqlitecodes.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == sqlitecodes.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == pgUniqueViolation
}

// Damaged reports whether a failure says that SQLite's file is broken, or was never one.
func Damaged(err error) bool {
	lite, ok := errors.AsType[*sqlite.Error](err)
	return ok && (lite.Code()&0xff == sqlitecodes.SQLITE_CORRUPT || lite.Code()&0xff == sqlitecodes.SQLITE_NOTADB)
}

// again reports whether PostgreSQL gave a transaction up so that another could go on.
func again(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == pgSerialization || pg.Code == pgDeadlock)
}

// translate gives the failures that are nobody's mistake their kind. Those of a single row get theirs where the row is
// known.
func translate(err error) error {
	switch {
	case err == nil, fault.KindOf(err) != "", errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, sql.ErrConnDone), errors.Is(err, driver.ErrBadConn):
		return unavailable(err)
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		switch lite.Code() & 0xff {
		case sqlitecodes.SQLITE_FULL:
			return fault.Because(fault.Unavailable, err, "the disk of the database is full; make room and try again")
		case sqlitecodes.SQLITE_BUSY, sqlitecodes.SQLITE_IOERR, sqlitecodes.SQLITE_READONLY, sqlitecodes.SQLITE_CANTOPEN,
			sqlitecodes.SQLITE_INTERRUPT, sqlitecodes.SQLITE_NOMEM, sqlitecodes.SQLITE_LOCKED:
			return unavailable(err)
		}
		return err
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case pg.Code == pgUnholdableText:
			return fault.Because(fault.Invalid, err, "a text holds a character that the database cannot keep")
		case again(err), hasClass(pg.Code, pgConnection), hasClass(pg.Code, pgShortOfResources), hasClass(pg.Code, pgOperatorIntervene):
			return unavailable(err)
		}
		return err
	}
	_, connect := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[net.Error](err)
	if connect || network || pgconn.SafeToRetry(err) {
		return unavailable(err)
	}
	return err
}

func hasClass(code, class string) bool { return len(code) == 5 && code[:2] == class }

func unavailable(err error) error {
	return fault.Because(fault.Unavailable, err, "the database does not answer as it should; try again")
}
