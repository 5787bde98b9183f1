// Package e2e proves Belay as its users meet it: the built program as manager and delegate, in processes of their own,
// over real sockets, against counterparts that others wrote.
package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// belay is the built program.
var belay string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "belay-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	belay = filepath.Join(folder, "belay")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", belay, "github.com/belay-dev/belay/cmd/belay")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// clean is the environment of the test without what would change how Belay or the AWS SDK behave.
func clean(more ...string) []string {
	var env []string
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, "AWS_") && !strings.HasPrefix(name, "BELAY_") && !strings.HasPrefix(name, "DELEGATE_") && name != "HTTPS_PROXY" && name != "HTTP_PROXY" {
			env = append(env, e)
		}
	}
	return append(env, more...)
}

// process is a running program and what it has said.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	said *output
	done chan struct{}
}

// start runs the program until the test ends. What it said is logged when the test fails.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(belay, args...), said: newOutput(), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, p.said, p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is told by ProcessState
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("belay %s said:\n%s", strings.Join(args, " "), p.said.String())
		}
	})
	return p
}

// kill ends the process and its children as a power cut would.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may have ended already
	<-p.done
}

// stop asks the process to end, as an orchestrator would, and waits for it.
func (p *process) stop(within time.Duration) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(within):
		p.t.Fatalf("it did not end within %s of SIGTERM:\n%s", within, p.said.String())
	}
}

// output is what a process wrote, for reading while it runs.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed and replaced by each write
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// find waits until the output holds what the expression describes, and gives its first group.
func (p *process) find(expression string) string {
	p.t.Helper()
	re := regexp.MustCompile(expression)
	deadline := time.After(30 * time.Second)
	for {
		p.said.mu.Lock()
		found, changed := re.FindStringSubmatch(p.said.text.String()), p.said.changed
		p.said.mu.Unlock()
		if found != nil {
			return found[len(found)-1]
		}
		select {
		case <-changed:
		case <-p.done:
			p.t.Fatalf("it ended and never said %q:\n%s", expression, p.said.String())
		case <-deadline:
			p.t.Fatalf("it never said %q:\n%s", expression, p.said.String())
		}
	}
}

// waitForEnd is how long a process may take to end when it is asked to.
const waitForEnd = 15 * time.Second

// manager is a running manager and how to talk to it.
type manager struct {
	*process
	t       *testing.T
	data    string
	env     []string
	args    []string
	url     string
	account string
	key     string
	token   string // of delegates
}

// startManager starts a manager on a fresh data folder.
func startManager(t *testing.T, env ...string) *manager {
	t.Helper()
	m := &manager{t: t, data: t.TempDir(), env: clean(env...)}
	m.args = []string{"manager", "--data", m.data, "--listen", "127.0.0.1:0"}
	m.process = start(t, m.env, m.args...)
	m.url = m.find(`(https?://127\.0\.0\.1:\d+)`)
	m.key = m.find(`(pat\.[\w-]+\.\w+\.[\w-]+)`)
	m.account = strings.Split(m.key, ".")[1]
	var token struct{ Value string }
	m.must(http.MethodGet, "/belay/v1/delegate-tokens/default_token/value", nil, &token)
	m.token = token.Value
	return m
}

// restart starts the manager again on the same data and address.
func (m *manager) restart() {
	m.t.Helper()
	m.process = start(m.t, m.env, "manager", "--data", m.data, "--listen", strings.TrimPrefix(m.url, "http://"))
	m.find(`(https?://127\.0\.0\.1:\d+)`)
}

// call sends a request with the administrator's key and gives status and body.
func (m *manager) call(ctx context.Context, method, path string, body any) (int, []byte, error) {
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			return 0, nil, err
		}
		reader = bytes.NewReader(encoded)
	}
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	r, err := http.NewRequestWithContext(ctx, method, m.url+path+sep+"accountIdentifier="+m.account, reader)
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("x-api-key", m.key)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, text, err
}

// must sends a request that has to succeed, and decodes the answer.
func (m *manager) must(method, path string, body, into any) {
	m.t.Helper()
	status, text, err := m.call(m.t.Context(), method, path, body)
	if err != nil || status >= 300 {
		m.t.Fatalf("%s %s: %d %v\n%s", method, path, status, err, text)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			m.t.Fatalf("%s %s: %v\n%s", method, path, err, text)
		}
	}
}

// delegate starts a delegate and waits until it is connected.
func (m *manager) delegate(name string, env ...string) *process {
	m.t.Helper()
	p := m.delegateProcess(name, env...)
	m.connected(name, 1)
	return p
}

func (m *manager) delegateProcess(name string, env ...string) *process {
	m.t.Helper()
	return start(m.t, clean(append([]string{
		"ACCOUNT_ID=" + m.account, "DELEGATE_TOKEN=" + m.token, "MANAGER_HOST_AND_PORT=" + m.url,
		"DELEGATE_NAME=" + name, "DELEGATE_HTTP_PORT=0", "HOME=" + m.t.TempDir(),
		"AWS_EC2_METADATA_DISABLED=true",
	}, env...)...), "delegate", "run")
}

// connected waits until so many delegates of a name are connected.
func (m *manager) connected(name string, count int) {
	m.t.Helper()
	m.eventually(fmt.Sprintf("%d delegates named %s are connected", count, name), func() bool {
		var list struct {
			Items []struct {
				Name      string
				Connected bool
			}
		}
		m.must(http.MethodGet, "/belay/v1/delegates", nil, &list)
		n := 0
		for _, d := range list.Items {
			if d.Name == name && d.Connected {
				n++
			}
		}
		return n == count
	})
}

// eventually asks again and again until the answer is yes.
func (m *manager) eventually(what string, is func() bool) {
	m.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(60 * time.Second)
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			m.t.Fatalf("never: %s", what)
		}
	}
}

// secret stores a text secret at account scope.
func (m *manager) secret(id, value string) {
	m.t.Helper()
	m.must(http.MethodPost, "/ng/api/v2/secrets", map[string]any{"secret": map[string]any{
		"type": "SecretText", "name": id, "identifier": id,
		"spec": map[string]any{"secretManagerIdentifier": "harnessSecretManager", "valueType": "Inline", "value": value},
	}}, nil)
}

// connector saves an AWS connector at account scope.
func (m *manager) connector(id string, credential, more map[string]any) {
	m.t.Helper()
	spec := map[string]any{"credential": credential, "executeOnDelegate": true}
	maps.Copy(spec, more)
	m.must(http.MethodPost, "/ng/api/connectors", map[string]any{"connector": map[string]any{
		"name": id, "identifier": id, "type": "Aws", "spec": spec,
	}}, nil)
}

// tested is what a test says, in the shape of Belay's own API.
type tested struct {
	ID          string
	Status      string
	Region      string
	Identity    *struct{ ARN, Account string }
	RegionCount int
	Delegate    string
	Warnings    []string
	Diagnosis   *struct {
		Code, Cause string
		Evidence    []struct{ Label, Text string }
		Remedy      []string
	}
}

func (d tested) String() string {
	text, _ := json.MarshalIndent(d, "", "  ")
	return string(text)
}

// test tests a connector and waits for the outcome.
func (m *manager) test(id string, options map[string]any) tested {
	m.t.Helper()
	var result tested
	m.must(http.MethodPost, "/belay/v1/connectors/"+id+"/test", options, &result)
	return result
}
