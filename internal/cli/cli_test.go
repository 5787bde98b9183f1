package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/belay-dev/belay/internal/agent"
	"github.com/belay-dev/belay/internal/awsops"
	"github.com/belay-dev/belay/internal/belaytest"
	"github.com/belay-dev/belay/internal/cli"
	"github.com/belay-dev/belay/internal/manager"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/sandbox"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"belay": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		os.Exit(cli.Main(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Version: "0.0.0-test"}))
	}})
}

// canary is the value of the secrets in the scripts. No output may hold it.
const canary = "canary-4f1d"

// TestScripts runs the real program, each script against a real manager of its own. A script whose name begins with
// aws- also gets a delegate, and moto in the place of AWS; one that begins with sandbox- has Belay's own sandbox there, and
// the AWS CLI. What the program prints is searched for the canary by the
// command `clean`.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, ".home")
			env.Setenv("HOME", home)
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(home, "config"))
			env.Setenv("XDG_DATA_HOME", filepath.Join(home, "data"))
			env.Setenv("CANARY", canary)
			examples, err := filepath.Abs("../../examples")
			if err != nil {
				return err
			}
			env.Setenv("EXAMPLES", examples)
			t, ok := env.T().(testing.TB)
			if !ok {
				return fmt.Errorf("%T is no testing.TB", env.T())
			}
			name := filepath.Base(t.Name())
			switch {
			case strings.HasPrefix(name, "up-"):
				belaytest.SharedMoto(t) // which says whether there is one to start
				tools, err := filepath.Abs("../../.tools/venv/bin")
				if err != nil {
					return err
				}
				env.Setenv("PATH", env.Getenv("PATH")+string(filepath.ListSeparator)+tools)
				env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
				return nil
			case strings.HasPrefix(name, "alone-"):
				env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
				free, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
				if err != nil {
					return err
				}
				env.Setenv("FREE", free.Addr().String())
				return free.Close()
			}
			s := serve(t, env)
			switch {
			case strings.HasPrefix(name, "aws-"):
				delegate(t, env, s, belaytest.SharedMoto(t).URL)
			case strings.HasPrefix(name, "sandbox-"):
				delegate(t, env, s, rehearsal(t, env))
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":  code,
			"json":  validJSON,
			"clean": clean,
			"until": until,
			"env-file": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
			},
		},
	})
}

// serve runs a manager until the script ends.
func serve(tb testing.TB, env *testscript.Env) manager.Started {
	tb.Helper()
	m, err := manager.New(context.Background(), manager.Config{
		Data: filepath.Join(env.WorkDir, ".manager"), Listen: "127.0.0.1:0", Version: "0.0.0-test", TestEvery: -1, Log: quiet(tb),
	})
	if err != nil {
		tb.Fatal(err)
	}
	during(tb, env, m.Run, m.Close)
	s := m.Started()
	env.Setenv("BELAY_ENDPOINT", s.URL)
	env.Setenv("BELAY_API_KEY", s.AdminKey.Reveal())
	env.Setenv("ACCOUNT", s.Account)
	env.Setenv("TOKEN", s.DelegateToken.Reveal())
	return s
}

// rehearsal runs a sandbox with the script's file scene.yaml until the script ends, and makes the user admin of
// its scene the AWS CLI's.
func rehearsal(tb testing.TB, env *testscript.Env) string {
	tb.Helper()
	version, err := belaytest.AWSCLI(tb, nil, "--version") // which says whether there is one to start
	if err != nil {
		tb.Fatalf("%s: %v", version, err)
	}
	tools, err := filepath.Abs("../../.tools/venv/bin")
	if err != nil {
		tb.Fatal(err)
	}
	server := httptest.NewServer(nil)
	env.Defer(server.Close)
	plane, err := sandbox.New(sandbox.Config{Base: server.URL})
	if err != nil {
		tb.Fatal(err)
	}
	server.Config.Handler = plane
	scene, err := os.ReadFile(filepath.Join(env.WorkDir, "scene.yaml"))
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := plane.Seed(scene); err != nil {
		tb.Fatal(err)
	}
	env.Setenv("PATH", env.Getenv("PATH")+string(filepath.ListSeparator)+tools)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "AKIAADMIN00000000000", "AWS_SECRET_ACCESS_KEY": "secret-of-admin", "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		env.Setenv(name, value)
	}
	return server.URL
}

// delegate runs a delegate whose AWS is at a given address.
func delegate(tb testing.TB, env *testscript.Env, s manager.Started, aws string) {
	tb.Helper()
	at, err := url.Parse(s.URL)
	if err != nil {
		tb.Fatal(err)
	}
	token := filepath.Join(env.WorkDir, ".token")
	if err := os.WriteFile(token, []byte("a.b.c"), 0o600); err != nil {
		tb.Fatal(err)
	}
	vars := map[string]string{
		"AWS_ENDPOINT_URL": aws, "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE000000000", "AWS_SECRET_ACCESS_KEY": "x",
		"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/delegate", "AWS_WEB_IDENTITY_TOKEN_FILE": token,
	}
	sessions := &awsops.Sessions{Env: func(name string) string { return vars[name] }}
	a := &agent.Agent{
		Config: agent.Config{Account: s.Account, Token: s.DelegateToken, Manager: at, Name: "local", Tags: []string{"local"}, HostName: "host", Drain: -1},
		Log:    quiet(tb),
		Runners: map[string]agent.Runner{
			protocol.TypePing:        agent.PingRunner{HostName: "host"},
			protocol.TypeAWSValidate: agent.AWSRunner{Validator: sessions},
			protocol.TypeAWSSurvey:   agent.AWSSurveyRunner{Surveyor: sessions},
		},
	}
	during(tb, env, a.Run, func() error { return nil })
}

// during runs a loop until the script ends, and waits for it.
func during(tb testing.TB, env *testscript.Env, run func(context.Context) error, closer func() error) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var loop sync.WaitGroup
	loop.Go(func() {
		if err := run(ctx); err != nil {
			tb.Errorf("it ended: %v", err)
		}
	})
	env.Defer(func() {
		cancel()
		loop.Wait()
		if err := closer(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
}

func quiet(tb testing.TB) *slog.Logger {
	tb.Helper()
	return slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// code runs a command and checks its exit code: code 3 belay connector test x.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command…")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if err != nil {
		var n int
		if _, scanErr := fmt.Sscanf(err.Error(), "exit status %d", &n); scanErr != nil {
			ts.Fatalf("%v", err)
		}
		got = n
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// until runs a command again and again until its output fits: until '^local +Live' belay delegate list.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until EXPRESSION command…")
	}
	fits := regexp.MustCompile("(?m)" + args[0])
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(60 * time.Second)
	for {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && fits.MatchString(ts.ReadFile("stdout")) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("it never printed that: %v", err)
		}
	}
}

// validJSON checks that the last command wrote one JSON value on standard output and nothing else. With arguments it
// also checks what lies at a path: json .0.connector.identifier prod.
func validJSON(ts *testscript.TestScript, neg bool, args []string) {
	decoder := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		ts.Fatalf("standard output is not JSON: %v", err)
	}
	if decoder.More() {
		ts.Fatalf("standard output holds more than one JSON value")
	}
	if len(args) != 2 {
		return
	}
	for step := range strings.SplitSeq(strings.TrimPrefix(args[0], "."), ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[step]
		case []any:
			var i int
			if step == "length" {
				value = len(v)
			} else if _, err := fmt.Sscan(step, &i); err != nil || i >= len(v) {
				ts.Fatalf("there is no element %s among %d", step, len(v))
			} else {
				value = v[i]
			}
		default:
			ts.Fatalf("there is no %s in %v", step, value)
		}
	}
	if got := fmt.Sprint(value); (got == args[1]) == neg {
		ts.Fatalf("%s is %s", args[0], got)
	}
}

// clean fails when the last command printed the canary, or colour.
func clean(ts *testscript.TestScript, _ bool, _ []string) {
	for _, stream := range []string{"stdout", "stderr"} {
		text := ts.ReadFile(stream)
		if strings.Contains(text, canary) {
			ts.Fatalf("%s holds the secret", stream)
		}
		if strings.Contains(text, "\x1b[") {
			ts.Fatalf("%s is coloured, and is no terminal", stream)
		}
	}
}

// TestVersionIsTheSameBothWays keeps the short way for `belay version` in step with the long one.
func TestVersionIsTheSameBothWays(t *testing.T) {
	t.Parallel()
	run := func(args ...string) string {
		var out, errs bytes.Buffer
		if code := cli.Main(t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs, Version: "1.2.3"}); code != 0 {
			t.Fatalf("%v: exit code %d: %s", args, code, &errs)
		}
		return out.String()
	}
	for long, short := range map[string][]string{"table": {"version"}, "json": {"version", "--json"}} {
		if a, b := run("-o", long, "version"), run(short...); a != b || !strings.Contains(a, "1.2.3") {
			t.Errorf("%q\n%q", a, b)
		}
	}
	if text := run("version", "-o", "yaml"); !regexp.MustCompile(`(?m)^version: 1\.2\.3$`).MatchString(text) {
		t.Error(text)
	}
}

// TestNoAnswer: a manager that does not answer is not waited for longer than --timeout, and the code says so.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	silence, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := silence.Close(); err != nil {
			t.Error(err)
		}
	})
	var out, errs bytes.Buffer
	began := time.Now()
	code := cli.Main(t.Context(), []string{"whoami", "--endpoint", "http://" + silence.Addr().String(), "--api-key", "pat.a.b.c", "--timeout", "100ms"},
		cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	if code != cli.TimedOut || !strings.Contains(errs.String(), "no answer within 100ms") || out.Len() > 0 {
		t.Errorf("code %d after %s: %s", code, time.Since(began), &errs)
	}
}

// TestUpTLS: the profile that `belay up` writes trusts the certificate that it was given.
func TestUpTLS(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	server := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	server.Close()
	pair := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert := filepath.Join(home, "cert.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, filepath.Join(home, "key.pem"): {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	belay := func(args ...string) *exec.Cmd {
		cmd := exec.Command("belay", args...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}
		cmd.Dir = home
		return cmd
	}
	up := belay("up", "--listen", "127.0.0.1:0", "--tls-cert", "cert.pem", "--tls-key", "key.pem", "--stand-in", "never")
	out, err := up.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Ready.") {
	}
	if said, err := belay("whoami").CombinedOutput(); err != nil || !strings.Contains(string(said), "admin at account") {
		t.Errorf("%v: %s", err, said)
	}
	if said, err := belay("whoami", "--ca-cert", "key.pem").CombinedOutput(); err == nil || !strings.Contains(string(said), "holds no certificate") {
		t.Errorf("the flag does not come first: %v: %s", err, said)
	}
	if err := up.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // to its end, before Wait closes it
	}
	if err := up.Wait(); err != nil {
		t.Error(err)
	}
}

// TestUpKilled: nothing that `belay up` started outlives it, not even when it is killed.
func TestUpKilled(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can end a child whose parent was killed")
	}
	home := t.TempDir()
	up := exec.Command("belay", "up", "--listen", "127.0.0.1:0", "--data", filepath.Join(home, "data"), "--stand-in", "never")
	up.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}
	out, err := up.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Ready.") {
	}
	// The delegate is started in its own time.
	var child string
	for deadline := time.Now().Add(30 * time.Second); child == "" && time.Now().Before(deadline); runtime.Gosched() {
		child = childOf(t, up.Process.Pid)
	}
	if child == "" {
		t.Fatal("no delegate was started")
	}
	if err := up.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = up.Wait() // it was killed
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		state, err := os.ReadFile("/proc/" + child + "/stat")
		if err != nil || bytes.Contains(state, []byte(") Z ")) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %s lives on", child)
		}
	}
}

// childOf is a child of a process, "" while there is none.
func childOf(t *testing.T, pid int) string {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && len(bytes.Fields(text)) > 0 { // a thread may have ended
			return string(bytes.Fields(text)[0])
		}
	}
	return ""
}
