//go:build e2e

package e2e_test

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// manager is a running manager with a delegate token.
type manager struct {
	url, account, key string
	tokenName, token  string
}

var started = regexp.MustCompile(`(?s)Belay serves at (\S+).*Account\s+(\S+).*Admin key\s+(\S+)`)

// startManager runs one until the test ends.
func startManager(t *testing.T) *manager {
	t.Helper()
	said := filepath.Join(t.TempDir(), "manager.log")
	log, err := os.Create(said)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // the program has its own
	cmd := exec.Command(belay, "manager", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--test-every", "0s")
	cmd.Env, cmd.Stdout, cmd.Stderr = clean(), log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is told by its log
		close(done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
		select {
		case <-done:
		case <-time.After(stopWithin):
			_ = cmd.Process.Kill()
			<-done
		}
	})
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for late := time.After(startWithin); ; {
		text, err := os.ReadFile(said)
		if err != nil {
			t.Fatal(err)
		}
		if found := started.FindSubmatch(text); found != nil {
			m := &manager{url: string(found[1]), account: string(found[2]), key: string(found[3]), tokenName: "eks-prod"}
			runBelay(t, 0, m.env(), "delegate", "token", "create", m.tokenName)
			out, _ := runBelay(t, 0, m.env(), "delegate", "token", "show", m.tokenName)
			m.token = strings.TrimSpace(out)
			return m
		}
		select {
		case <-done:
			t.Fatalf("the manager ended:\n%s", text)
		case <-late:
			t.Fatalf("the manager does not serve:\n%s", text)
		case <-tick.C:
		}
	}
}

// env lets the command line find it.
func (m *manager) env() []string {
	return []string{"BELAY_ENDPOINT=" + m.url, "BELAY_API_KEY=" + m.key}
}

func (m *manager) token64() string { return base64.StdEncoding.EncodeToString([]byte(m.token)) }

// shell runs a script at the root of the tree as an admin of both the cluster and the manager would, who wants no warning,
// and returns what it said. m may be nil.
func (m *manager) shell(t *testing.T, script string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = root
	var env []string
	if m != nil {
		env = m.env()
	}
	cmd.Env = clean(append(env, "KUBECONFIG="+cluster.config(), "HOME="+t.TempDir(), "PATH="+strings.Join([]string{programs, filepath.Dir(belay), os.Getenv("PATH")}, string(os.PathListSeparator)))...)
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(strings.ToLower(string(out)), "warning") || strings.Contains(string(out), "would violate") {
		t.Fatalf("%v\n%s\n%s", err, script, out)
	}
	return string(out)
}
