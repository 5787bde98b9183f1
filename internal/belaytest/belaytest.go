// Package belaytest runs the real counterparts that Belay's tests talk to: moto for AWS services,
// amazon-ec2-metadata-mock for instance metadata, PostgreSQL, the AWS CLI, and a proxy that answers as AWS does on a
// bad day. Only tests import it.
//
// Each counterpart is a program written by somebody else, started as a child on a free port of 127.0.0.1. Before a test
// gets the address, the listener is checked to be that child, so that a test never talks to a stranger. Children end
// with the test, or with the test binary however that ends.
//
// A counterpart that is not installed skips the test, and fails it when CI=true. When BELAY_COUNTERPARTS names a file,
// each test binary appends to it which counterparts took part; `make test` prints the list.
package belaytest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// startTimeout is generous: moto takes six seconds on a busy two-core machine when nothing else happens.
	startTimeout = 90 * time.Second
	// callTimeout bounds one request to a counterpart that is up.
	callTimeout = 30 * time.Second
)

// Require says that a test needs the counterpart called name. With a nil err the counterpart is there and is noted as
// having taken part; then the name carries its version. With an err it is missing: the test is skipped, or fails when
// CI=true, where a missing counterpart would hide what was not tested.
func Require(tb testing.TB, name string, err error) {
	tb.Helper()
	switch {
	case err == nil:
		tookPart(tb, name)
	case os.Getenv("CI") == "true":
		tb.Fatalf("%s is missing, and with CI=true that is a failure: %v", name, err)
	default:
		tb.Skipf("%s is missing: %v (`make test` installs what it can)", name, err)
	}
}

// noted holds the counterparts that this test binary has written down already.
var noted sync.Map //nolint:gochecknoglobals // one test binary writes each name once

func tookPart(tb testing.TB, name string) {
	tb.Helper()
	path := os.Getenv("BELAY_COUNTERPARTS")
	if path == "" {
		return
	}
	if _, done := noted.LoadOrStore(name, true); done {
		return
	}
	// Test binaries run side by side: O_APPEND with one short write keeps their lines whole.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the path is the one the test run chose
	if err != nil {
		tb.Fatalf("note that %s took part: %v", name, err)
	}
	_, err = f.WriteString(name + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		tb.Fatalf("note that %s took part: %v", name, err)
	}
}

// reporting says whether the versions of counterparts are wanted: finding them costs a process each.
func reporting() bool { return os.Getenv("BELAY_COUNTERPARTS") != "" }

// program finds an installed counterpart: on PATH, else where `make test` installs it. The error matches
// exec.ErrNotFound when there is none.
func program(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return filepath.Abs(path)
	}
	root, rootErr := moduleRoot()
	if rootErr != nil {
		return "", rootErr
	}
	for _, dir := range []string{".tools/bin", ".tools/venv/bin"} {
		if path, err := exec.LookPath(filepath.Join(root, dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("find %s: %w", name, exec.ErrNotFound)
}

// moduleRoot is the folder of go.mod above the test's working directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the module's root: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find the module's root: there is no go.mod above the working directory")
		}
		dir = parent
	}
}

// cleanEnv is the whole environment of a counterpart, apart from what it is given on purpose. AWS_CA_BUNDLE, a profile
// or a proxy of the developer's machine must not decide a test.
func cleanEnv(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LANG=C.UTF-8"}
}

// versionOf is the first line that a program prints, or "" when it prints none.
func versionOf(ctx context.Context, path string, args ...string) string {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // a counterpart that was just looked up
	cmd.Env = cleanEnv(os.TempDir())
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

// eventually calls check until it returns nil, or until ctx ends or gone reports that waiting is useless. It returns
// what check said last.
func eventually(ctx context.Context, gone func() error, check func(context.Context) error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if goneErr := gone(); goneErr != nil {
			return errors.Join(goneErr, err)
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}
