package store_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/belay-dev/belay/internal/belaytest"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/store"
)

// crashVariable makes this test binary the process that is killed.
const crashVariable = "BELAY_STORE_TEST_WRITES_TO"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashVariable); path != "" {
		fmt.Fprintln(os.Stderr, writeUntilKilled(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeUntilKilled prints the name of each row once it is acknowledged.
func writeUntilKilled(path string) error {
	s, err := store.Open(context.Background(), store.Config{URL: path})
	if err != nil {
		return err
	}
	const writers = 32
	failed := make(chan error)
	var out sync.Mutex
	for w := range writers {
		go func() {
			for n := 0; ; n++ {
				name := fmt.Sprintf("row-%d-%d", w, n)
				if err := s.SetMeta(context.Background(), name, strings.Repeat(name, 20)); err != nil {
					failed <- err
					return
				}
				out.Lock()
				_, err := fmt.Println(name)
				out.Unlock()
				if err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	return <-failed
}

func TestWhatWasAcknowledgedSurvivesSIGKILL(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "belay.db")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	acknowledged := map[string]bool{}
	for round := range 3 {
		child := exec.CommandContext(t.Context(), self)
		child.Env = append(os.Environ(), crashVariable+"="+path)
		child.Stderr = t.Output()
		pipe, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines, killed := bufio.NewReader(pipe), false
		for n := 0; ; n++ {
			line, err := lines.ReadString('\n')
			if err != nil {
				break // a line without its end was not acknowledged to anyone
			}
			acknowledged[strings.TrimSuffix(line, "\n")] = true
			if n == 500*(round+1) {
				killed = true
				if err := child.Process.Signal(syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = child.Wait() // killed
		if !killed {
			t.Fatal("the child ended by itself")
		}
		s, err := store.Open(t.Context(), store.Config{URL: path})
		if err != nil {
			t.Fatal(err)
		}
		for name := range acknowledged {
			got, err := s.Meta(t.Context(), name)
			if err != nil || got != strings.Repeat(name, 20) {
				t.Fatalf("%s was acknowledged and is %q, %v", name, got, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d acknowledged rows, none lost in 3 kills", len(acknowledged))
}

func TestSecondManagerOnTheSameFileIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "belay.db")
	s, err := store.Open(t.Context(), store.Config{URL: path})
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(t.Context(), store.Config{URL: path})
	want := fmt.Sprintf("another manager (process %d) works with this data folder", os.Getpid())
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.Sentence(err), want) {
		t.Fatalf("got %v", err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Fatalf("the first was disturbed: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}

func TestDataSurviveReopening(t *testing.T) {
	t.Parallel()
	// Whatever stands in the path, it must not be read as an option or an escape.
	path := filepath.Join(t.TempDir(), "a b?mode=memory&x#y%41", "Größe.db")
	for i := range 3 {
		s, err := store.Open(t.Context(), store.Config{URL: path})
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			if got, err := s.Meta(t.Context(), "k"); err != nil || got != strconv.Itoa(i-1) {
				t.Fatalf("got %q, %v", got, err)
			}
		}
		if err := s.SetMeta(t.Context(), "k", strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Fatalf("others may read the database: %v", info.Mode())
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 2 {
		t.Fatalf("want the database and its lock, got %v, %v", files, err)
	}
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(t *testing.T) (url, driver string){
		"SQLite": func(t *testing.T) (string, string) {
			t.Helper()
			return filepath.Join(t.TempDir(), "belay.db"), "sqlite"
		},
		"PostgreSQL": func(t *testing.T) (string, string) { t.Helper(); return belaytest.Postgres(t), "pgx" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, driver := url(t)
			s, err := store.Open(t.Context(), store.Config{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			db, err := sql.Open(driver, url)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			_, err = store.Open(t.Context(), store.Config{URL: url})
			if fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.Sentence(err), "newer Belay") {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestWhatIsNoDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	junk := filepath.Join(folder, "junk.db")
	if err := os.WriteFile(junk, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		url  string
		kind fault.Kind
	}{
		"nothing":                   {"", fault.Invalid},
		"another kind":              {"mysql://root@host/db", fault.Invalid},
		"a PostgreSQL that is away": {"postgres://belay@127.0.0.1:1/belay?connect_timeout=2", fault.Unavailable},
		"a broken address":          {"postgres://belay:canary-pw@host:port/x", fault.Invalid},
		"a folder":                  {folder, fault.Invalid},
		"a file of something else":  {junk, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := store.Open(t.Context(), store.Config{URL: tt.url})
			if err == nil || fault.KindOf(err) != tt.kind || strings.Contains(err.Error(), "canary-pw") {
				t.Fatalf("got kind %q of %v", fault.KindOf(err), err)
			}
		})
	}
}

func TestClosingAnswersEveryoneWhoWaits(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "belay.db")
	s, err := store.Open(t.Context(), store.Config{URL: path})
	if err != nil {
		t.Fatal(err)
	}
	const writers = 300
	kept := make([]bool, writers)
	var all, started sync.WaitGroup
	started.Add(writers)
	for i := range writers {
		all.Go(func() {
			started.Done()
			switch err := s.SetMeta(t.Context(), strconv.Itoa(i), "v"); {
			case err == nil:
				kept[i] = true
			case fault.KindOf(err) != fault.Unavailable:
				t.Error(err)
			}
		})
	}
	started.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	s = open(t, path)
	for i := range writers {
		if _, err := s.Meta(t.Context(), strconv.Itoa(i)); (err == nil) != kept[i] {
			t.Fatalf("change %d was acknowledged: %v, and it is there: %v", i, kept[i], err)
		}
	}
}

func TestCallerWhoHangsUpWhileWaitingChangesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "belay.db"))
	if err := s.SetMeta(t.Context(), "k", "0"); err != nil {
		t.Fatal(err)
	}
	// Each caller hangs up at another moment. Whoever gets an error must find nothing, and whoever gets none the row.
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			go cancel()
			name := fmt.Sprint("hung", i)
			err := s.SetMeta(ctx, name, "v")
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if _, found := s.Meta(t.Context(), name); (found == nil) != (err == nil) {
				t.Errorf("change ended with %v, and the row's reading with %v", err, found)
			}
		})
	}
	all.Wait()
}

func TestNoGoroutineIsLeft(t *testing.T) { //nolint:paralleltest // it looks at all goroutines
	ignore := goleak.IgnoreCurrent()
	s, err := store.Open(t.Context(), store.Config{URL: filepath.Join(t.TempDir(), "belay.db")})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.SetMeta(t.Context(), "k", "v"), s.Ping(t.Context()), s.Close()); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, ignore)
}

// The texts of this package name their arguments $1, $2, …, in any order and more than once. That both drivers take the
// number for the argument, and not its first appearance, is what this test guards.
func TestOrdinalsMeanTheSameToBothDrivers(t *testing.T) {
	t.Parallel()
	for name, db := range map[string]func(t *testing.T) (driver, url string){
		"SQLite":     func(t *testing.T) (string, string) { t.Helper(); return "sqlite", filepath.Join(t.TempDir(), "x.db") },
		"PostgreSQL": func(t *testing.T) (string, string) { t.Helper(); return "pgx", belaytest.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := sql.Open(db(t))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			const text = `SELECT CAST($3 AS text) || CAST($1 AS text) || CAST($11 AS text) || CAST($3 AS text) || CAST($2 AS text)
				|| CAST($10 AS text) || CAST($4 AS text) || CAST($9 AS text) || CAST($5 AS text) || CAST($8 AS text) || CAST($6 AS text) || CAST($7 AS text)`
			args := []any{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"}
			prepared, err := db.PrepareContext(t.Context(), text)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = prepared.Close() }()
			for _, row := range []*sql.Row{db.QueryRowContext(t.Context(), text, args...), prepared.QueryRowContext(t.Context(), args...)} {
				var got string
				if err := row.Scan(&got); err != nil || got != "cakcbjdiehfg" {
					t.Fatalf("got %q, %v", got, err)
				}
			}
		})
	}
}
