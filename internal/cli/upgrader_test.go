package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/belaytest"
	"github.com/belay-dev/belay/internal/cli"
	"github.com/belay-dev/belay/internal/manager"
)

// The program, a real manager, and a stand-in for the API server that checks what a real one checks of these calls.
func TestUpgrader(t *testing.T) {
	m, err := manager.New(t.Context(), manager.Config{Data: t.TempDir(), Listen: "127.0.0.1:0", TestEvery: -1, Log: quiet(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	started := m.Started()
	k := belaytest.NewKube(t, "delegates", "eks-prod", "delegate", "belay/delegate:24.03.82603")
	settings := filepath.Join(t.TempDir(), "config.yaml")
	text := "mode: Delegate\ndryRun: false\nworkloadName: eks-prod\nnamespace: delegates\ncontainerName: delegate\n" +
		"delegateConfig:\n  accountId: " + started.Account + "\n  managerHost: " + started.URL + "\n"
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", k.Host)
	t.Setenv("KUBERNETES_SERVICE_PORT", k.Port)
	t.Setenv("UPGRADER_TOKEN", started.DelegateToken.Reveal())
	run := func(want int, says string, args ...string) {
		t.Helper()
		var out, log bytes.Buffer
		args = append([]string{"upgrader", "--settings", settings, "--service-account-folder", k.Folder}, args...)
		if code := cli.Main(t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &log}); code != want || !strings.Contains(out.String()+log.String(), says) {
			t.Errorf("%v: code %d\n%s%s", args, code, &out, &log)
		}
	}
	run(cli.Done, "belay/delegate:24.03.82603 would be belay/delegate:26.11.90000: 24.03.82603 is older", "--dry-run")
	if got := k.Image("delegate"); got != "belay/delegate:24.03.82603" {
		t.Errorf("a dry run made it %s", got)
	}
	run(cli.Done, `"patched": true`, "-o", "json")
	if got := k.Image("delegate"); got != "belay/delegate:26.11.90000" {
		t.Errorf("it is %s", got)
	}
	run(cli.Done, "belay/delegate:26.11.90000 stays: it is the manager's version")
	t.Setenv("UPGRADER_TOKEN", strings.Repeat("0", 32))
	run(cli.Failed, "the manager answered 401")
	t.Setenv("UPGRADER_TOKEN", "")
	run(cli.Misused, "DELEGATE_TOKEN")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("UPGRADER_TOKEN", started.DelegateToken.Reveal())
	run(cli.Misused, "KUBERNETES_SERVICE_HOST")
}
