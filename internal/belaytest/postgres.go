package belaytest

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// server is the PostgreSQL of this test binary.
type server struct {
	url     url.URL // of its maintenance database
	version string
	process *process // nil with DATABASE_URL; kept: once collected, its lifeline closes and the server ends
}

// Postgres gives the address of a fresh, empty database, dropped when the test ends. The server is that of DATABASE_URL
// if set, whose user must be allowed to create databases; else one that this test binary starts from an installed
// PostgreSQL and shares among its tests, with durability off.
func Postgres(tb testing.TB) string {
	tb.Helper()
	s, err := sharedPostgres()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		Require(tb, "PostgreSQL", err)
	case err != nil:
		tb.Fatal(err)
	}
	Require(tb, "PostgreSQL "+s.version, nil)

	name := "belaytest_" + strings.ToLower(rand.Text())
	if err := s.exec(tb.Context(), "CREATE DATABASE "+name); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		// The test's context has ended by now.
		if err := s.exec(context.WithoutCancel(tb.Context()), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			tb.Error(err)
		}
	})
	fresh := s.url
	fresh.Path = "/" + name
	return fresh.String()
}

// exec runs a statement in the maintenance database.
func (s *server) exec(ctx context.Context, statement string) error {
	return withConn(ctx, s.url.String(), func(ctx context.Context, c *pgx.Conn) error {
		if _, err := c.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
		return nil
	})
}

var sharedPostgres = sync.OnceValues(func() (*server, error) { //nolint:gochecknoglobals // one a test binary
	ctx := context.Background()
	s := &server{}
	if given := os.Getenv("DATABASE_URL"); given != "" {
		u, err := url.Parse(given)
		if err != nil || u.Scheme == "" {
			return nil, errors.New("DATABASE_URL must be a URL, such as postgres://user@host/postgres")
		}
		s.url = *u
	} else {
		p, err := startPostgres(ctx)
		if err != nil {
			return nil, err
		}
		s.url, s.process = maintenance(p.port), p
	}
	err := withConn(ctx, s.url.String(), func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, "SHOW server_version").Scan(&s.version)
	})
	if err != nil {
		return nil, fmt.Errorf("ask PostgreSQL for its version: %w", err)
	}
	s.version, _, _ = strings.Cut(s.version, " ") // the rest names the distribution
	return s, nil
})

func maintenance(port int) url.URL {
	return url.URL{
		Scheme: "postgres", User: url.User("belay"), Host: "127.0.0.1:" + strconv.Itoa(port),
		Path: "/postgres", RawQuery: "sslmode=disable",
	}
}

func startPostgres(ctx context.Context) (*process, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	who, err := postgresUser()
	if err != nil {
		return nil, err
	}
	folder, err := folderFor("postgres", who)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(folder, "data")
	initCtx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	initdb := exec.CommandContext(initCtx, filepath.Join(bin, "initdb"), "-D", data, "-U", "belay", //nolint:gosec // an installed PostgreSQL
		"--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
	initdb.Dir, initdb.Env = folder, cleanEnv(folder)
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("initdb: %w: %s", err, out), os.RemoveAll(folder))
	}
	return start(ctx, spec{
		// SIGQUIT is PostgreSQL's immediate shutdown: it gives its shared memory back and writes nothing.
		name: "PostgreSQL", signal: "QUIT", folder: folder, env: cleanEnv(folder), user: who,
		args: func(port int) []string {
			return []string{
				filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(port),
				"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
				"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
				"-c", "max_connections=200", "-c", "shared_buffers=32MB", "-c", "timezone=UTC",
			}
		},
		ready: func(ctx context.Context, port int) error {
			u := maintenance(port)
			return withConn(ctx, u.String(), func(ctx context.Context, c *pgx.Conn) error { return c.Ping(ctx) })
		},
	})
}

// withConn lends a connection for the time of one function.
func withConn(ctx context.Context, dsn string, use func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	return errors.Join(use(ctx, c), c.Close(ctx))
}

// postgresBin is the folder of an installed PostgreSQL's programs. Debian keeps them off PATH, one folder a version;
// the newest is taken.
func postgresBin() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		path, err = filepath.EvalSymlinks(path) // postgres lies beside the real initdb, not beside a link to it
		return filepath.Dir(path), err
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", fmt.Errorf("find initdb on PATH or in /usr/lib/postgresql, or set DATABASE_URL: %w", exec.ErrNotFound)
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return cmp.Compare(debianVersion(a), debianVersion(b)) })
	return filepath.Dir(newest), nil
}

// debianVersion is 15 for /usr/lib/postgresql/15/bin/initdb.
func debianVersion(path string) int {
	v, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	if err != nil {
		return 0
	}
	return v
}

// postgresUser is who runs the server: nil for the user who runs the tests, but PostgreSQL refuses to run as root.
func postgresUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // no other user is an answer, not a failure
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("find a user other than root to run PostgreSQL as: %w", err)
	}
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(uidErr, gidErr)
}
