package cli_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/cli"
)

// TestInterruptedInput: Ctrl-C ends a command that waits for input which does not come.
func TestInterruptedInput(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"the value of a secret": {"secret", "set", "s"},
		"a document":            {"apply", "-f", "-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, feed := io.Pipe()
			t.Cleanup(func() { _ = feed.Close() }) // a pipe has nothing to lose
			ctx, cancel := context.WithCancel(t.Context())
			// The interrupt comes when the command has begun to read.
			go func() {
				_, _ = feed.Write([]byte("x"))
				cancel()
			}()
			var out, errs bytes.Buffer
			code := cli.Main(ctx, append(args, "--endpoint", "http://127.0.0.1:1", "--api-key", "pat.a.b.c"), cli.Streams{In: in, Out: &out, Err: &errs})
			if code != cli.Failed || errs.String() != "belay: interrupted\n" || out.Len() > 0 {
				t.Errorf("code %d: %q %q", code, &out, &errs)
			}
		})
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// TestUnwrittenOutput: what could not be written is no success, however it is printed.
func TestUnwrittenOutput(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"a line": {"version"}, "JSON": {"version", "--json"}, "YAML": {"version", "-o", "yaml"}, "help": {"--help"}, "a completion": {"completion", "bash"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var errs bytes.Buffer
			code := cli.Main(t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: full{}, Err: &errs, Version: "1"})
			if want := "belay: the output could not be written: no space left on device\n"; code != cli.Failed || errs.String() != want {
				t.Errorf("code %d: %q", code, &errs)
			}
		})
	}
}

// TestInterruptedStart: a manager that is told to end while it starts has done what it was told.
func TestInterruptedStart(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"up": {"up", "--stand-in", "never"}, "manager": {"manager"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			var out, errs bytes.Buffer
			code := cli.Main(ctx, append(args, "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--config", filepath.Join(t.TempDir(), "c.yaml")), cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
			if code != cli.Done || errs.Len() > 0 || out.Len() > 0 {
				t.Errorf("code %d: %q %q", code, &out, &errs)
			}
		})
	}
}
