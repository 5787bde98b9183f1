package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/agent"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/secret"
)

// scripted answers the delegate's calls inside a bubble of synctest, where no network may be.
type scripted func(r *http.Request) (*http.Response, error)

func (s scripted) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

func reply(status int, body string, header ...string) (*http.Response, error) {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// park holds a poll as the manager does.
func park(r *http.Request) (*http.Response, error) {
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-time.After(22 * time.Second):
		return reply(http.StatusOK, `{"delegateTaskEvents":[]}`)
	}
}

const registered = `{"resource":{"delegateId":"dlg_1"}}`

func scriptedAgent(s scripted) *agent.Agent {
	return &agent.Agent{
		Config: agent.Config{
			Account: "acc", Token: secret.NewValue(token), Manager: &url.URL{Scheme: "https", Host: "manager"}, Name: "d1", HostName: "host",
		},
		Runners: map[string]agent.Runner{protocol.TypePing: agent.PingRunner{}}, Log: slog.New(slog.DiscardHandler), Transport: s,
	}
}

// registerTimes runs a delegate whose registrations fail as answer says, and gives the moments of the tries.
func registerTimes(t *testing.T, tries int, answer func() (*http.Response, error)) []time.Duration {
	t.Helper()
	var times []time.Duration
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began := time.Now()
	a := scriptedAgent(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == protocol.PathRegister {
			times = append(times, time.Since(began))
			if len(times) == tries {
				cancel()
			}
		}
		return answer()
	})
	if err := a.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
	return times
}

func TestAManagerThatIsAwayIsAskedLessAndLess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const tries = 40
		times := registerTimes(t, tries, func() (*http.Response, error) { return nil, errors.New("connection refused") })
		if times[0] != 0 {
			t.Errorf("the first try came after %s", times[0])
		}
		var long int
		for i := 1; i < len(times); i++ {
			most := min(250*time.Millisecond<<min(i-1, 20), 30*time.Second)
			if gap := times[i] - times[i-1]; gap > most {
				t.Errorf("gap %d is %s, at most %s", i, gap, most)
			} else if gap > 10*time.Second {
				long++
			}
		}
		if long == 0 {
			t.Error("no gap is longer than 10 s: that is not full jitter up to 30 s")
		}
	})
}

func TestTheManagersOwnTimeIsKept(t *testing.T) {
	t.Parallel()
	for name, header := range map[string][]string{
		"in milliseconds": {protocol.HeaderRetryAfter, "17250", "Retry-After", "18"},
		"in seconds":      {"Retry-After", "17"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				want := 17 * time.Second
				if header[0] == protocol.HeaderRetryAfter {
					want = 17250 * time.Millisecond
				}
				times := registerTimes(t, 4, func() (*http.Response, error) { return reply(http.StatusServiceUnavailable, "later", header...) })
				for i := 1; i < len(times); i++ {
					if gap := times[i] - times[i-1]; gap != want {
						t.Errorf("gap %d is %s, want %s", i, gap, want)
					}
				}
			})
		})
	}
}

func TestARefusedTokenIsTriedSlowly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		times := registerTimes(t, 20, func() (*http.Response, error) { return reply(http.StatusUnauthorized, "revoked") })
		for i := 1; i < len(times); i++ {
			if gap := times[i] - times[i-1]; gap < time.Second || gap > time.Minute {
				t.Errorf("gap %d is %s, want 1 s to 60 s", i, gap)
			}
		}
	})
}

func TestHeartbeatsComeEveryTenSecondsAndWhatTheySay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var beats []time.Duration
		proofs := map[string]bool{}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Minute)
		defer cancel()
		a := scriptedAgent(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			proofs[r.Header.Get("Authorization")] = true
			mu.Unlock()
			switch {
			case r.URL.Path == protocol.PathRegister:
				return reply(http.StatusOK, registered)
			case r.URL.Path == protocol.PathHeartbeat:
				var said protocol.Registration
				if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
					t.Error(err)
				}
				if !said.Idle || said.DelegateID != "dlg_1" || said.DelegateRandomToken != "" {
					t.Errorf("heartbeat %+v", said)
				}
				if diff := cmp.Diff(&protocol.Load{Memory: new(75), Tasks: 0, Limit: agent.DefaultCapacity}, said.Load); diff != "" {
					t.Errorf("its load (-want +got):\n%s", diff)
				}
				mu.Lock()
				beats = append(beats, time.Since(began))
				mu.Unlock()
				return reply(http.StatusOK, registered)
			case r.Method == http.MethodGet:
				return park(r)
			}
			return reply(http.StatusNoContent, "")
		})
		files := &machineFiles{}
		files.set(map[string]string{"sys/fs/cgroup/memory.current": "95", "sys/fs/cgroup/memory.max": "100", "sys/fs/cgroup/memory.stat": "inactive_file 20\n"})
		a.Root = files
		if err := a.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
		if len(beats) < 149 || len(beats) > 150 {
			t.Errorf("%d heartbeats in 25 min", len(beats))
		}
		for i, at := range beats {
			if want := time.Duration(i+1) * 10 * time.Second; at != want {
				t.Errorf("heartbeat %d at %s, want %s", i, at, want)
				break
			}
		}
		if len(proofs) != 3 { // at 0, 10 and 20 min
			t.Errorf("%d proofs of identity in 25 min", len(proofs))
		}
	})
}

func TestAReportIsRepeatedUntilItIsTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var mu sync.Mutex
		polls, reports := 0, 0
		a := scriptedAgent(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case r.URL.Path == protocol.PathRegister, r.URL.Path == protocol.PathHeartbeat:
				return reply(http.StatusOK, registered)
			case strings.HasSuffix(r.URL.Path, "/task-events"):
				if polls++; polls == 1 {
					return reply(http.StatusOK, `{"delegateTaskEvents":[{"delegateTaskId":"tsk_1"},{"delegateTaskId":"tsk_1"}]}`)
				}
				mu.Unlock()
				defer mu.Lock()
				return park(r)
			case strings.HasSuffix(r.URL.Path, "/acquire"):
				return reply(http.StatusOK, `{"id":"tsk_1","type":"BELAY_PING","data":{},"timeout":1000,"fence":7}`)
			case strings.HasPrefix(r.URL.Path, "/api/agent/v2/tasks/tsk_1/delegates/"):
				var result protocol.Result
				if err := json.NewDecoder(r.Body).Decode(&result); err != nil || result.Code != protocol.CodeOK || result.Fence != 7 {
					t.Errorf("result %+v, %v", result, err)
				}
				switch reports++; reports {
				case 1:
					cancel() // told to stop: the report goes on
					return nil, errors.New("connection reset")
				case 5:
					return reply(http.StatusNoContent, "")
				}
				return reply(http.StatusServiceUnavailable, "later", "Retry-After", "20")
			}
			return reply(http.StatusNoContent, "")
		})
		if err := a.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
		if reports != 5 {
			t.Errorf("%d reports", reports)
		}
	})
}

// machineFiles is a file system that changes while it is read.
type machineFiles struct {
	mu    sync.Mutex
	files fstest.MapFS
}

func (m *machineFiles) Open(name string) (fs.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.files.Open(name)
}

func (m *machineFiles) set(files map[string]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files = fstest.MapFS{}
	for name, text := range files {
		m.files[name] = &fstest.MapFile{Data: []byte(text)}
	}
}

func TestThresholds(t *testing.T) {
	t.Parallel()
	stat := func(used, idle int) string {
		return "cpu " + strconv.Itoa(used) + " 0 0 " + strconv.Itoa(idle) + " 0 0 0 0 0 0\ncpu0 1 2 3 4\n"
	}
	for name, tt := range map[string]struct {
		cpu, memory   int
		before, after map[string]string
		want          string
	}{
		"cgroup v2 with half a core": { // 5 s at half a core are 2.5 s; 2.25 s used
			cpu:    80,
			before: map[string]string{"sys/fs/cgroup/cpu.max": "50000 100000\n", "sys/fs/cgroup/cpu.stat": "usage_usec 1000000\nuser_usec 1\n"},
			after:  map[string]string{"sys/fs/cgroup/cpu.max": "50000 100000\n", "sys/fs/cgroup/cpu.stat": "usage_usec 3250000\nuser_usec 1\n"},
			want:   "CPU at 90 %, threshold 80 %",
		},
		"cgroup v1": {
			cpu:    80,
			before: map[string]string{"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000", "sys/fs/cgroup/cpu/cpuacct.usage": "0"},
			after:  map[string]string{"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000", "sys/fs/cgroup/cpu/cpuacct.usage": "4650000000"},
			want:   "CPU at 93 %, threshold 80 %",
		},
		"no limit: the machine": {
			cpu:    80,
			before: map[string]string{"sys/fs/cgroup/cpu.max": "max 100000\n", "proc/stat": stat(100, 100)},
			after:  map[string]string{"sys/fs/cgroup/cpu.max": "max 100000\n", "proc/stat": stat(185, 115)},
			want:   "CPU at 85 %, threshold 80 %",
		},
		"memory of the container, without what can be given back": {
			memory: 70,
			before: map[string]string{"sys/fs/cgroup/memory.current": "10", "sys/fs/cgroup/memory.max": "100", "sys/fs/cgroup/memory.stat": "inactive_file 0\n"},
			after:  map[string]string{"sys/fs/cgroup/memory.current": "95", "sys/fs/cgroup/memory.max": "100", "sys/fs/cgroup/memory.stat": "anon 3\ninactive_file 20\n"},
			want:   "memory at 75 %, threshold 70 %",
		},
		"memory of the machine": {
			memory: 70,
			before: map[string]string{"sys/fs/cgroup/memory.max": "max", "sys/fs/cgroup/memory.current": "1", "proc/meminfo": "MemTotal: 100 kB\nMemAvailable: 90 kB\n"},
			after:  map[string]string{"sys/fs/cgroup/memory.max": "max", "sys/fs/cgroup/memory.current": "1", "proc/meminfo": "MemTotal: 100 kB\nMemAvailable: 20 kB\n"},
			want:   "memory at 80 %, threshold 70 %",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				files := &machineFiles{}
				files.set(tt.before)
				ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
				defer cancel()
				var mu sync.Mutex
				var busy []string
				began := time.Now()
				a := scriptedAgent(func(r *http.Request) (*http.Response, error) {
					if r.URL.Path == protocol.PathHeartbeat {
						var said protocol.Registration
						if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
							t.Error(err)
						}
						mu.Lock()
						busy = append(busy, strconv.Itoa(int(time.Since(began).Seconds()))+" "+said.Busy)
						mu.Unlock()
					}
					if strings.HasSuffix(r.URL.Path, "/task-events") {
						return park(r)
					}
					return reply(http.StatusOK, registered)
				})
				a.Config.CPUThreshold, a.Config.MemoryThreshold, a.Root = tt.cpu, tt.memory, files
				time.AfterFunc(time.Second, func() { files.set(tt.after) })
				time.AfterFunc(32*time.Second, func() { files.set(tt.before) })
				if err := a.Run(ctx); err != nil {
					t.Errorf("Run: %v", err)
				}
				if len(busy) == 0 || busy[0] != "5 "+tt.want {
					t.Errorf("heartbeats %q, want the first at once: %q", busy, "5 "+tt.want)
				}
				if last := busy[len(busy)-1]; !strings.HasSuffix(last, " ") {
					t.Errorf("the last heartbeat says %q, want nothing", last)
				}
			})
		})
	}
}

type fakeValidator struct{ got connector.Check }

func (f *fakeValidator) Validate(_ context.Context, c connector.Check) connector.Evidence {
	f.got = c
	return connector.Evidence{Region: c.Access.Region, Identity: &connector.Identity{ARN: "arn:aws:iam::123456789012:user/a", Account: "123456789012"}}
}

type noLog struct{ bytes.Buffer }

func (n *noLog) Line(_, message string) { n.WriteString(message + "\n") }

func TestTheAWSRunnerTestsAConnection(t *testing.T) {
	t.Parallel()
	validator, log := &fakeValidator{}, &noLog{}
	payload := `{"access":{"name":"c1","region":"eu-central-1","source":"static-keys","accessKey":"AKIA","secretKey":"canary"},"timeoutMs":1000}`
	result, err := agent.AWSRunner{Validator: validator}.Run(t.Context(), []byte(payload), log)
	if err != nil || !strings.Contains(string(result), `"account":"123456789012"`) {
		t.Errorf("%s %v", result, err)
	}
	if keys, ok := validator.got.Access.Source.(connector.StaticKeys); !ok || keys.SecretKey.Reveal() != "canary" {
		t.Errorf("check %+v", validator.got)
	}
	if strings.Contains(log.String(), "canary") {
		t.Error("the log holds the secret key")
	}
	if _, err := (agent.AWSRunner{Validator: validator}).Run(t.Context(), []byte(`{"access":{"source":"canary`), log); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("error %v", err)
	}
}
