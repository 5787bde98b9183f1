package e2e_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/belay-dev/belay/internal/belaytest"
)

// The manager is killed while a delegate calls AWS. After a restart the delegate's report still ends the task, the
// connector has its status, and nothing was done twice.
func TestManagerKilledDuringATest(t *testing.T) {
	t.Parallel()
	moto := belaytest.SharedMoto(t)
	upstream, err := url.Parse(moto.URL)
	if err != nil {
		t.Fatal(err)
	}
	arrived, proceed := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var identities atomic.Int32
	forward := httputil.NewSingleHostReverseProxy(upstream)
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Authorization"), "/sts/") {
			identities.Add(1)
		}
		once.Do(func() { close(arrived) })
		<-proceed
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(aws.Close)

	m := startManager(t)
	m.delegate("d1", "AWS_ENDPOINT_URL="+aws.URL, "AWS_ACCESS_KEY_ID=AKIAENVIRONMENT", "AWS_SECRET_ACCESS_KEY=s")
	m.connector("own", map[string]any{"type": "InheritFromDelegate"}, nil)

	asked := make(chan error, 1)
	go func() {
		_, _, err := m.call(context.WithoutCancel(t.Context()), http.MethodPost, "/belay/v1/connectors/own/test", nil)
		asked <- err
	}()
	<-arrived // the task is leased, and its delegate waits for AWS
	m.kill()
	if err := <-asked; err == nil {
		t.Fatal("the caller got an answer from a manager that was killed")
	}
	m.restart()
	close(proceed)

	var history struct{ Items []tested }
	m.eventually("the test that was under way is in the history", func() bool {
		m.must(http.MethodGet, "/belay/v1/connectors/own/tests", nil, &history)
		return len(history.Items) > 0
	})
	if len(history.Items) != 1 || history.Items[0].Status != "SUCCESS" || history.Items[0].Delegate != "d1" {
		t.Fatalf("got %+v", history.Items)
	}
	if n := identities.Load(); n != 1 {
		t.Fatalf("AWS was asked %d times who the caller is; once was enough", n)
	}
	var stored struct {
		Data struct{ Status struct{ Status string } }
	}
	m.must(http.MethodGet, "/ng/api/connectors/own", nil, &stored)
	if stored.Data.Status.Status != "SUCCESS" {
		t.Fatalf("the connector's status is %q", stored.Data.Status.Status)
	}
}

// The delegate that does a test is killed. The test goes to another delegate and is told once.
func TestDelegateKilledDuringATest(t *testing.T) {
	t.Parallel()
	moto := belaytest.SharedMoto(t)
	arrived := make(chan struct{})
	var once sync.Once
	black := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client hangs up
		once.Do(func() { close(arrived) })
		<-r.Context().Done() // until the delegate is dead
	}))
	t.Cleanup(black.Close)

	m := startManager(t)
	keys := []string{"AWS_ACCESS_KEY_ID=AKIAENVIRONMENT", "AWS_SECRET_ACCESS_KEY=s", "DELEGATE_TAGS=aws"}
	dead := m.delegate("dies", append(keys, "AWS_ENDPOINT_URL="+black.URL)...)
	m.connector("own", map[string]any{"type": "InheritFromDelegate"}, map[string]any{"delegateSelectors": []string{"aws"}})
	result := make(chan tested, 1)
	go func() { result <- m.test("own", nil) }()
	<-arrived
	m.delegate("lives", append(keys, "AWS_ENDPOINT_URL="+moto.URL)...)
	dead.kill()
	got := <-result
	green(t, got)
	if got.Delegate != "lives" {
		t.Fatalf("done by %s: %s", got.Delegate, got)
	}
	var history struct{ Items []tested }
	m.must(http.MethodGet, "/belay/v1/connectors/own/tests", nil, &history)
	if len(history.Items) != 1 {
		t.Fatalf("%d tests in the history, one was asked for", len(history.Items))
	}
}

// Revoking a token cuts its delegates off at once: they get no further task, and say so in their log.
func TestRevokedTokenStopsItsDelegates(t *testing.T) {
	t.Parallel()
	m := startManager(t)
	p := m.delegate("d1")
	m.ping(t, "d1")
	m.must(http.MethodPut, "/ng/api/delegate-token-ng?tokenName=default_token", nil, nil)
	m.connected("d1", 0)
	status, text, err := m.call(t.Context(), http.MethodPost, "/belay/v1/delegates/d1/ping", nil)
	if err != nil || status < 400 {
		t.Fatalf("a delegate of a revoked token still works: %d %s %v", status, text, err)
	}
	p.find(`(?i)(revoked|unauthorized|401)`)
}

func (m *manager) ping(t *testing.T, name string) {
	t.Helper()
	m.must(http.MethodPost, "/belay/v1/delegates/"+name+"/ping", nil, nil)
}

// Two delegates race for 1,000 tasks: every task is done, and none of them twice.
func TestTwoDelegatesRaceForAThousandTasks(t *testing.T) {
	t.Parallel()
	const tasks, callers = 1000, 32
	m := startManager(t, "BELAY_RATE_LIMIT=-1")
	one := m.delegate("racer")
	two := m.delegateProcess("racer")
	m.connected("racer", 2)

	work := make(chan int)
	var failed atomic.Int32
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() {
			for range work {
				status, text, err := m.call(t.Context(), http.MethodPost, "/belay/v1/delegates/racer/ping", nil)
				if err != nil || status != http.StatusOK {
					failed.Add(1)
					t.Errorf("ping: %d %v %s", status, err, text)
				}
			}
		})
	}
	for i := range tasks {
		work <- i
	}
	close(work)
	wait.Wait()

	const done = "io_harness_custom_metric_task_completed_total"
	first, second := metric(t, one, done), metric(t, two, done)
	lost := sample(t, m.url+"/metrics", `belay_link_acquires_total{result="lost"}`)
	t.Logf("%d tasks: %d failed, %d done by the first delegate, %d by the second, %d races lost", tasks, failed.Load(), first, second, lost)
	if first+second != tasks {
		t.Fatalf("the delegates finished %d tasks, %d were asked for", first+second, tasks)
	}
	if min(first, second) == 0 && lost == 0 {
		t.Fatal("one delegate never tried, so there was no race")
	}
}

// metric reads one of a delegate's own metrics.
func metric(t *testing.T, p *process, name string) int {
	t.Helper()
	return sample(t, "http://"+p.find(`"address":"([^"]+)"`)+"/api/metrics", name)
}

// sample reads a metric by its name and labels; one that is not there yet is 0.
func sample(t *testing.T, url, name string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	for line := range strings.Lines(readAll(t, answer)) {
		value, ok := strings.CutPrefix(line, name+" ")
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			t.Fatal(err)
		}
		return int(n)
	}
	return 0
}

// Throttling is waited out with the connector's own strategy, seen from AWS's side.
func TestThrottlingIsWaitedOut(t *testing.T) {
	t.Parallel()
	proxy := belaytest.FaultProxy(t, belaytest.SharedMoto(t).URL)
	proxy.Next(belaytest.Throttling, belaytest.Throttling, belaytest.InternalError)
	m := startManager(t)
	m.delegate("d1", "AWS_ENDPOINT_URL="+proxy.URL, "AWS_ACCESS_KEY_ID=AKIAENVIRONMENT", "AWS_SECRET_ACCESS_KEY=s")
	m.connector("own", map[string]any{"type": "InheritFromDelegate"}, map[string]any{
		"awsSdkClientBackOffStrategyOverride": map[string]any{"type": "FixedDelayBackoffStrategy", "spec": map[string]any{"fixedBackoff": 50, "retryCount": 3}},
	})
	green(t, m.test("own", nil))
	requests := proxy.Requests()
	if len(requests) < 4 {
		t.Fatalf("%d requests: %+v", len(requests), requests)
	}
	for i := range 3 {
		if waited := requests[i+1].At.Sub(requests[i].At).Milliseconds(); waited < 50 {
			t.Errorf("waited %d ms before try %d, the strategy says 50", waited, i+2)
		}
	}

	proxy.Next(belaytest.Throttling, belaytest.Throttling, belaytest.Throttling, belaytest.Throttling)
	got := m.test("own", map[string]any{"fresh": true})
	if got.Diagnosis == nil || got.Diagnosis.Code != "BLY-2111" {
		t.Fatalf("got %s", got)
	}
	text, _ := json.Marshal(got)
	if !strings.Contains(string(text), "after 4 tries") {
		t.Fatalf("the number of tries is not told: %s", text)
	}
}
