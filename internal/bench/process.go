package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a running program and its output.
type process struct {
	cmd  *exec.Cmd
	mu   sync.Mutex
	text bytes.Buffer
	grew chan struct{}
	done chan struct{}
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.grew)
	p.grew = make(chan struct{})
	return p.text.Write(b)
}

func startProcess(env []string, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), grew: make(chan struct{}), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Env = p, p, env
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	return p, nil
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.done
}

// find waits until the output matches, and gives the last group.
func (p *process) find(expression string) (string, error) {
	re := regexp.MustCompile(expression)
	deadline := time.After(time.Minute)
	for {
		p.mu.Lock()
		found, grew, text := re.FindStringSubmatch(p.text.String()), p.grew, p.text.String()
		p.mu.Unlock()
		if found != nil {
			return found[len(found)-1], nil
		}
		select {
		case <-grew:
		case <-p.done:
			return "", fmt.Errorf("it ended and never said %q: %s", expression, text)
		case <-deadline:
			return "", fmt.Errorf("it never said %q: %s", expression, text)
		}
	}
}

// rss is the resident memory in bytes, cpu the processor time used so far.
func (p *process) rss() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		if value, ok := strings.CutPrefix(s.Text(), "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("no VmRSS")
}

func (p *process) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	const ticks = 100 // USER_HZ
	return time.Duration(user+system) * time.Second / ticks, errors.Join(err1, err2)
}

// manager is a manager under test.
type manager struct {
	*process
	url, account, key, token, data string
	client                         *http.Client
}

func environment(more ...string) []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "AWS_") && !strings.HasPrefix(e, "BELAY_") {
			env = append(env, e)
		}
	}
	return append(env, more...)
}

func (b *bench) startManager(ctx context.Context, client *http.Client, args ...string) (*manager, error) {
	data, err := os.MkdirTemp(b.folder, "data-")
	if err != nil {
		return nil, err
	}
	p, err := startProcess(environment("BELAY_RATE_LIMIT=-1"), b.belay, append([]string{"manager", "--data", data, "--listen", "127.0.0.1:0", "--test-every=0s"}, args...)...)
	if err != nil {
		return nil, err
	}
	m := &manager{process: p, client: client, data: data}
	if m.url, err = p.find(`(https?://127\.0\.0\.1:\d+)`); err != nil {
		return nil, err
	}
	if m.key, err = p.find(`(pat\.[\w-]+\.\w+\.[\w-]+)`); err != nil {
		return nil, err
	}
	m.account = strings.Split(m.key, ".")[1]
	var token struct{ Value string }
	if err := m.call(ctx, http.MethodGet, "/belay/v1/delegate-tokens/default_token/value", nil, &token); err != nil {
		return nil, err
	}
	m.token = token.Value
	return m, nil
}

// call sends a request as the administrator.
func (m *manager) call(ctx context.Context, method, path string, body, into any) error {
	var reader io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(encoded)
	}
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	r, err := http.NewRequestWithContext(ctx, method, m.url+path+sep+"accountIdentifier="+m.account, reader)
	if err != nil {
		return err
	}
	r.Header.Set("X-Api-Key", m.key)
	r.Header.Set("Content-Type", "application/json")
	answer, err := m.client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // read to its end
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %d %s", method, path, answer.StatusCode, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// delegate starts a real delegate.
func (b *bench) delegate(m *manager, name string, more ...string) (*process, error) {
	home, err := os.MkdirTemp(b.folder, "home-")
	if err != nil {
		return nil, err
	}
	return startProcess(environment(append([]string{
		"ACCOUNT_ID=" + m.account, "DELEGATE_TOKEN=" + m.token, "MANAGER_HOST_AND_PORT=" + m.url, "DELEGATE_NAME=" + name,
		"DELEGATE_HTTP_PORT=0", "HOME=" + home, "AWS_EC2_METADATA_DISABLED=true",
	}, more...)...), b.belay, "delegate", "run")
}

// connected waits until the manager lists a delegate as connected.
func (m *manager) connected(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		var list struct {
			Items []struct {
				Name      string
				Connected bool
			}
		}
		if err := m.call(ctx, http.MethodGet, "/belay/v1/delegates", nil, &list); err != nil {
			return err
		}
		for _, d := range list.Items {
			if d.Name == name && d.Connected {
				return nil
			}
		}
		<-tick.C
	}
}
