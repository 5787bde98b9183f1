package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver called sqlite

	"github.com/belay-dev/belay/internal/fault"
)

// The memory of page caches, in KiB a connection: enough to keep the upper pages of every index, little enough for a
// manager on a small machine.
const (
	writerCache = 8 << 10
	readerCache = 4 << 10
)

// openSQLite opens a file for this process alone.
func openSQLite(ctx context.Context, c Config) (_ *Store, err error) {
	path, err := filepath.Abs(c.URL)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fault.Because(fault.Invalid, err, "the folder of the database cannot be made; choose one that this user may write to")
	}
	s := &Store{memories: newMemories()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	unlock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, unlock)
	// SQLite gives its side files the mode of the database, so it is made for the owner only before SQLite opens it.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the path is the operator's
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, "the database file cannot be opened; choose a folder that this user may write to")
	}
	if err := file.Close(); err != nil {
		return nil, err
	}

	single, err := sql.Open("sqlite", dsn(path, writerCache))
	if err != nil {
		return nil, err
	}
	single.SetMaxOpenConns(1)
	s.closers = append([]func() error{single.Close}, s.closers...)
	if err := migrate(ctx, c, single, goose.DialectSQLite3); err != nil {
		return nil, err
	}
	conn, err := single.Conn(ctx)
	if err != nil {
		return nil, err
	}
	committer := newCommitter(conn) //nolint:contextcheck // it outlives the opening
	s.writer = committer

	pool, err := sql.Open("sqlite", dsn(path, readerCache)+"&_pragma=query_only(1)")
	if err != nil {
		return nil, errors.Join(err, committer.close())
	}
	readers := min(max(runtime.GOMAXPROCS(0), 2), 8)
	pool.SetMaxOpenConns(readers)
	pool.SetMaxIdleConns(readers)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	s.reads = &session{db: pool, prepared: newStatements(pool.PrepareContext)}
	// The writer closes last of the two, so that SQLite tidies the log away.
	s.closers = append([]func() error{s.reads.prepared.close, pool.Close, committer.close}, s.closers...)
	return s, nil
}

// dsn makes the address of a file for the driver. Whatever stands in the path, it is escaped.
func dsn(path string, cacheKiB int) string {
	pragmas := url.Values{"_pragma": {
		"busy_timeout(5000)", // first: the others may have to wait, for a backup that reads the file
		"journal_mode(WAL)",
		"synchronous(FULL)",
		"foreign_keys(1)",
		"temp_store(MEMORY)",
		"journal_size_limit(67108864)",
		fmt.Sprintf("cache_size(-%d)", cacheKiB),
	}}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: pragmas.Encode()}).String()
}
