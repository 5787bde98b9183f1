package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/belay-dev/belay/internal/fault"
)

// querier is a pool, a connection or a transaction of database/sql.
type querier interface {
	ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
}

// session runs statements and gives their failures a kind.
type session struct {
	db querier
	// prepared keeps compiled statements; nil where the driver does that by itself.
	prepared *statements
	// closed refuses what comes after Store.Close.
	closed atomic.Bool
}

// scanner is one row.
type scanner interface{ Scan(dest ...any) error }

// exec runs a statement and counts the rows that it changed.
func (s *session) exec(ctx context.Context, text string, args ...any) (int64, error) {
	if err := s.refuse(args); err != nil {
		return 0, err
	}
	var result sql.Result
	compiled, err := s.prepared.statement(ctx, text) //nolint:sqlclosecheck // kept for the next time
	switch {
	case err != nil:
	case compiled != nil:
		result, err = compiled.ExecContext(ctx, args...)
	default:
		result, err = s.db.ExecContext(ctx, text, args...)
	}
	if err != nil {
		return 0, translate(err)
	}
	return result.RowsAffected()
}

// each calls scan for every row of an answer.
func (s *session) each(ctx context.Context, text string, args []any, scan func(scanner) error) (err error) {
	if err := s.refuse(args); err != nil {
		return err
	}
	var rows *sql.Rows
	compiled, err := s.prepared.statement(ctx, text) //nolint:sqlclosecheck // kept for the next time
	switch {
	case err != nil:
	case compiled != nil:
		rows, err = compiled.QueryContext(ctx, args...)
	default:
		rows, err = s.db.QueryContext(ctx, text, args...)
	}
	if err != nil {
		return translate(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return translate(rows.Err())
}

// row is the only row of an answer. Scan fails with sql.ErrNoRows when there is none. The answer is read to its end,
// because SQLite finishes a statement only then.
func (s *session) row(ctx context.Context, text string, args ...any) scanner {
	return rowFunc(func(dest ...any) error {
		found := false
		err := s.each(ctx, text, args, func(row scanner) error {
			found = true
			return row.Scan(dest...)
		})
		if err == nil && !found {
			return sql.ErrNoRows
		}
		return err
	})
}

type rowFunc func(dest ...any) error

func (f rowFunc) Scan(dest ...any) error { return f(dest...) }

// all reads the rows of an answer.
func all[T any](ctx context.Context, s *session, scan func(scanner) (T, error), text string, args ...any) ([]T, error) {
	var list []T
	err := s.each(ctx, text, args, func(row scanner) error {
		one, err := scan(row)
		if err == nil {
			list = append(list, one)
		}
		return err
	})
	return list, err
}

// changed fails with NotFound and the sentence when a statement changed nothing.
func changed(n int64, err error, sentence string, args ...any) error {
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, sentence, args...)
	}
	return err
}

// found gives a row that is not there its sentence.
func found(err error, sentence string, args ...any) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fault.New(fault.NotFound, sentence, args...)
	}
	return err
}

// taken gives a row that is there already its sentence.
func taken(err error, sentence string, args ...any) error {
	if unique(err) {
		return fault.Because(fault.Conflict, err, sentence, args...)
	}
	return err
}

// refuse refuses everything after Close, and text that PostgreSQL cannot hold, on both engines alike.
func (s *session) refuse(args []any) error {
	if s.closed.Load() {
		return errClosed()
	}
	for _, arg := range args {
		if text, ok := arg.(string); ok && (!utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0) {
			return fault.New(fault.Invalid, "a text holds a NUL character or is not UTF-8")
		}
	}
	return nil
}

// printable is text made holdable, for what must be kept whatever it says.
func printable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// mostStatements bounds a statements cache. The fixed texts of this package are fewer; texts put together for a listing
// take what is left.
const mostStatements = 200

// statements are compiled statements by their text.
type statements struct {
	prepare func(ctx context.Context, text string) (*sql.Stmt, error)

	mu     sync.Mutex
	byText map[string]*sql.Stmt
}

func newStatements(prepare func(ctx context.Context, text string) (*sql.Stmt, error)) *statements {
	return &statements{prepare: prepare, byText: map[string]*sql.Stmt{}}
}

// statement is the compiled text, or nil when it is to be run as it stands.
func (s *statements) statement(ctx context.Context, text string) (*sql.Stmt, error) {
	if s == nil {
		return nil, nil //nolint:nilnil // to be run as it stands
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if compiled, ok := s.byText[text]; ok {
		return compiled, nil
	}
	if len(s.byText) >= mostStatements {
		return nil, nil //nolint:nilnil // to be run as it stands
	}
	compiled, err := s.prepare(ctx, text) //nolint:sqlclosecheck // kept for the next time
	if err == nil {
		s.byText[text] = compiled
	}
	return compiled, err
}

// close gives the compiled statements back, once nobody uses them: SQLite keeps its log beside a file that was not wholly
// closed.
func (s *statements) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all error
	for _, compiled := range s.byText {
		all = errors.Join(all, compiled.Close())
	}
	clear(s.byText)
	return all
}
