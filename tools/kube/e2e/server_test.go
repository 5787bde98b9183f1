//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	startWithin = 3 * time.Minute // of a busy machine; 5 to 8 seconds of an idle one
	stopWithin  = 30 * time.Second
	pollEvery   = 100 * time.Millisecond
)

// server is etcd and an API server in front of it, on ports of their own on loopback.
type server struct {
	folder    string // for everything
	port      int    // of the API server
	processes []*process
}

// process is a running program.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string // file
	done chan struct{}
}

// authority is the file with the certificate that the API server is known by.
func (s *server) authority() string { return filepath.Join(s.folder, "certificates", "apiserver.crt") }

func (s *server) config() string { return filepath.Join(s.folder, "kubeconfig") }

// start starts both and returns when the API server says that it is ready.
func (s *server) start() error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	s.port = ports[2]
	if err := s.write(); err != nil {
		return err
	}
	store, peers := fmt.Sprintf("http://127.0.0.1:%d", ports[0]), fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	etcd, err := s.run("etcd", "--data-dir", filepath.Join(s.folder, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls", store, "--advertise-client-urls", store,
		"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", "default="+peers)
	if err != nil {
		return err
	}
	issuer, key := fmt.Sprintf("https://127.0.0.1:%d", s.port), filepath.Join(s.folder, "accounts.key")
	api, err := s.run("kube-apiserver", "--etcd-servers", store, "--cert-dir", filepath.Dir(s.authority()),
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port", strconv.Itoa(s.port), "--endpoint-reconciler-type=none",
		"--service-account-issuer", issuer, "--service-account-signing-key-file", key, "--service-account-key-file", key,
		"--service-cluster-ip-range=10.0.0.0/24", "--allow-privileged=true", "--authorization-mode=Node,RBAC", "--token-auth-file", filepath.Join(s.folder, "tokens.csv"))
	if err != nil {
		return err
	}
	return s.ready(etcd, api)
}

// configIn is a file like config, for objects that name no namespace.
func (s *server) configIn(t *testing.T, namespace string) string {
	t.Helper()
	text, err := os.ReadFile(s.config())
	if err != nil {
		t.Fatal(err)
	}
	const context = `"user":"admin"}`
	if strings.Count(string(text), context) != 1 {
		t.Fatalf("no context in %s", text)
	}
	return file(t, strings.Replace(string(text), context, `"user":"admin","namespace":"`+namespace+`"}`, 1))
}

// write writes the key of the service accounts' tokens, the token of the admin, and the file with which kubectl finds the
// server.
func (s *server) write() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	admin := rand.Text()
	config, err := json.Marshal(map[string]any{ // JSON is YAML
		"apiVersion": "v1", "kind": "Config", "current-context": "e2e",
		"clusters": []any{map[string]any{"name": "e2e", "cluster": map[string]any{
			"server": fmt.Sprintf("https://127.0.0.1:%d", s.port), "certificate-authority": s.authority(),
		}}},
		"users":    []any{map[string]any{"name": "admin", "user": map[string]any{"token": admin}}},
		"contexts": []any{map[string]any{"name": "e2e", "context": map[string]any{"cluster": "e2e", "user": "admin"}}},
	})
	if err != nil {
		return err
	}
	for path, text := range map[string][]byte{
		filepath.Join(s.folder, "accounts.key"): pem.EncodeToMemory(block),
		filepath.Join(s.folder, "tokens.csv"):   []byte(admin + ",admin,admin,system:masters\n"),
		s.config():                              config,
	} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// run starts a program of the folder programs; what it says goes into a file.
func (s *server) run(name string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(filepath.Join(programs, name), args...), log: filepath.Join(s.folder, name+".log"), done: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the program has its own
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = clean(), log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	s.processes = append(s.processes, p)
	go func() {
		_ = p.cmd.Wait() // how it ended is told by its log
		close(p.done)
	}()
	return p, nil
}

// ready waits for the server's word. A program that ends before it is the failure.
func (s *server) ready(all ...*process) error {
	ctx, stop := context.WithTimeout(context.Background(), startWithin)
	defer stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if _, err := os.Stat(s.authority()); err == nil {
			if out, err := s.command(ctx, nil, "get", "--raw=/readyz").Output(); err == nil && string(out) == "ok" {
				return nil
			}
		}
		for _, p := range all {
			select {
			case <-p.done:
				return fmt.Errorf("%s ended: %s", p.name, p.tail())
			default:
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it was not ready within %s: %s", startWithin, all[len(all)-1].tail())
		case <-tick.C:
		}
	}
}

// tail is the end of what a process said.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// stop ends all that was started, the API server before its store.
func (s *server) stop() {
	for _, p := range slices.Backward(s.processes) {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
		select {
		case <-p.done:
		case <-time.After(stopWithin):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	}
}

// command is kubectl as the admin, reading input.
func (s *server) command(ctx context.Context, input []byte, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(programs, "kubectl"), args...)
	cmd.Env = clean("KUBECONFIG="+s.config(), "HOME="+s.folder)
	cmd.Stdin = bytes.NewReader(input)
	return cmd
}

// answer is what kubectl said.
type answer struct {
	out, err string
	code     int
}

// kubectl runs it, whatever comes of it.
func kubectl(t *testing.T, input string, args ...string) answer {
	t.Helper()
	var out, said bytes.Buffer
	cmd := cluster.command(t.Context(), []byte(input), args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return answer{out.String(), said.String(), cmd.ProcessState.ExitCode()}
}

// does runs kubectl, which must succeed without a warning, and returns what it printed.
func does(t *testing.T, input string, args ...string) string {
	t.Helper()
	a := kubectl(t, input, args...)
	if a.code != 0 || a.err != "" {
		t.Fatalf("kubectl %s: code %d\n%s%s", strings.Join(args, " "), a.code, a.err, a.out)
	}
	return a.out
}

// into runs kubectl and decodes the JSON that it prints.
func into(t *testing.T, out any, input string, args ...string) {
	t.Helper()
	if err := json.Unmarshal([]byte(does(t, input, args...)), out); err != nil {
		t.Fatal(err)
	}
}

// runBelay runs the built program, which must end with a code, and returns what it wrote.
func runBelay(t *testing.T, code int, env []string, args ...string) (out, said string) {
	t.Helper()
	var o, e bytes.Buffer
	cmd := exec.CommandContext(t.Context(), belay, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = clean(env...), &o, &e
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("belay %s: code %d, want %d\n%s%s", strings.Join(args, " "), got, code, &e, &o)
	}
	return o.String(), e.String()
}

// freePorts are ports of loopback that nobody listens on.
func freePorts(n int) ([]int, error) {
	var all []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() //nolint:errcheck // it was only asked for its port
		all = append(all, l.Addr().(*net.TCPAddr).Port)
	}
	return all, nil
}
