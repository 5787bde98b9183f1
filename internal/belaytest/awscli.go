package belaytest

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// awsVersion is "aws-cli 1.45.11".
var awsVersion = sync.OnceValue(func() string { //nolint:gochecknoglobals // it costs a process, so it is asked once
	path, err := program("aws")
	if err != nil || !reporting() {
		return "aws-cli"
	}
	version, _, _ := strings.Cut(versionOf(context.Background(), path, "--version"), " ") // aws-cli/1.45.11 Python/3.11.7 …
	return strings.Replace(version, "/", " ", 1)
})

// AWSCLI runs the real AWS CLI and returns what it printed; the error holds what it complained about. Its environment
// is env and nothing of this machine: no profile, no keys, no certificates, no instance metadata unless env says so.
func AWSCLI(tb testing.TB, env []string, args ...string) ([]byte, error) {
	tb.Helper()
	path, err := program("aws")
	if err != nil {
		Require(tb, "aws-cli", err)
	}
	Require(tb, awsVersion(), nil)

	home := tb.TempDir()
	ctx, cancel := context.WithTimeoutCause(tb.Context(), 2*time.Minute, errors.New("the AWS CLI took over two minutes"))
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // the AWS CLI with a test's arguments
	cmd.Dir = home
	cmd.Env = slices.Concat(cleanEnv(home), []string{
		"AWS_CONFIG_FILE=" + filepath.Join(home, "config"),
		"AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(home, "credentials"),
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_PAGER=",
	}, env) // the last of equal names counts, so env may say otherwise
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("aws %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(exit.Stderr)))
	}
	return out, err
}
