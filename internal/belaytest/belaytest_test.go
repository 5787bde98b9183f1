package belaytest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/belay-dev/belay/internal/belaytest"
)

const (
	stsCall = "Action=GetCallerIdentity&Version=2011-06-15"
	ec2Call = "Action=DescribeRegions&Version=2016-11-15"
)

// ask makes a request as an SDK would, its signature made up.
func ask(t *testing.T, service, to, body string) (int, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261123/us-east-1/"+service+
		"/aws4_request, SignedHeaders=host, Signature=0")
	return do(t, req)
}

func do(t *testing.T, req *http.Request) (int, string, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

func TestMoto(t *testing.T) {
	t.Parallel()
	moto := belaytest.Moto(t)
	if status, text, err := ask(t, "sts", moto.URL, stsCall); err != nil || status != 200 || !strings.Contains(text, "<Account>123456789012</Account>") {
		t.Errorf("GetCallerIdentity: %d %v\n%s", status, err, text)
	}
	moto.Enforce(t)
	if status, text, err := ask(t, "sts", moto.URL, stsCall); err != nil || status != 403 || !strings.Contains(text, "InvalidClientTokenId") {
		t.Errorf("GetCallerIdentity with an unknown key, enforced: %d %v\n%s", status, err, text)
	}
	moto.NoEnforce(t)
	moto.Reset(t)
	if status, text, err := ask(t, "sts", moto.URL, stsCall); err != nil || status != 200 {
		t.Errorf("GetCallerIdentity, no longer enforced: %d %v\n%s", status, err, text)
	}
}

func TestSharedMotoIsOne(t *testing.T) {
	t.Parallel()
	first, second := belaytest.SharedMoto(t), belaytest.SharedMoto(t)
	if first.URL != second.URL {
		t.Errorf("two servers: %s and %s", first.URL, second.URL)
	}
	runtime.GC() // it once took the server's lifeline with it
	runtime.GC()
	if status, text, err := ask(t, "ec2", first.URL, ec2Call); err != nil || status != 200 {
		t.Errorf("DescribeRegions: %d %v\n%s", status, err, text)
	}
}

func TestMetadataMock(t *testing.T) {
	t.Parallel()
	mock := belaytest.MetadataMock(t)
	request := func(method, path string, header ...string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, mock.URL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if len(header) == 2 {
			req.Header.Set(header[0], header[1])
		}
		status, text, err := do(t, req)
		if err != nil {
			t.Fatal(err)
		}
		return status, text
	}
	const role = "/latest/meta-data/iam/security-credentials/"
	if status, _ := request(http.MethodGet, role); status != 401 {
		t.Errorf("without a token: %d, want 401", status)
	}
	status, token := request(http.MethodPut, "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds", "60")
	if status != 200 {
		t.Fatalf("token: %d %s", status, token)
	}
	if status, text := request(http.MethodGet, role, "X-aws-ec2-metadata-token", token); status != 200 || text != "baskinc-role" {
		t.Errorf("with a token: %d %s", status, text)
	}
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	one, two := belaytest.Postgres(t), belaytest.Postgres(t)
	if one == two {
		t.Errorf("the same database twice: %s", one)
	}
	for _, dsn := range []string{one, two} {
		db, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		var got int
		if err := db.QueryRow(t.Context(), "SELECT 1").Scan(&got); err != nil || got != 1 {
			t.Errorf("SELECT 1 = %d, %v", got, err)
		}
		// Were the two one database, the second CREATE would fail.
		if _, err := db.Exec(t.Context(), "CREATE TABLE here (x bigint)"); err != nil {
			t.Error(err)
		}
		// A connection that a test forgot must not keep its database: this one stays open until after the drop.
		t.Cleanup(func() { _ = db.Close(context.WithoutCancel(t.Context())) })
	}
}

func TestAWSCLI(t *testing.T) {
	t.Parallel()
	moto := belaytest.SharedMoto(t)
	env := []string{"AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b", "AWS_DEFAULT_REGION=us-east-1", "AWS_ENDPOINT_URL=" + moto.URL}
	out, err := belaytest.AWSCLI(t, env, "sts", "get-caller-identity", "--query", "Account", "--output", "text")
	if err != nil || strings.TrimSpace(string(out)) != "123456789012" {
		t.Errorf("account %q, %v", out, err)
	}
	if _, err := belaytest.AWSCLI(t, nil, "sts", "get-caller-identity"); err == nil {
		t.Error("without keys it succeeded: this machine's own came through")
	}
}

func TestFaultProxyThrottlesTwiceThenForwards(t *testing.T) {
	t.Parallel()
	proxy := belaytest.FaultProxy(t, belaytest.SharedMoto(t).URL)
	proxy.Next(belaytest.Throttling, belaytest.Throttling)
	var statuses []int
	for range 3 {
		status, _, err := ask(t, "sts", proxy.URL, stsCall)
		if err != nil {
			t.Fatal(err)
		}
		statuses = append(statuses, status)
	}
	if diff := cmp.Diff([]int{400, 400, 200}, statuses); diff != "" {
		t.Error(diff)
	}
	want := []belaytest.Request{
		{Action: "GetCallerIdentity", Fault: belaytest.Throttling},
		{Action: "GetCallerIdentity", Fault: belaytest.Throttling},
		{Action: "GetCallerIdentity", Fault: belaytest.Forward},
	}
	if diff := cmp.Diff(want, proxy.Requests(), cmpopts.IgnoreFields(belaytest.Request{}, "At")); diff != "" {
		t.Error(diff)
	}
}

func TestFaultProxyAnswers(t *testing.T) {
	t.Parallel()
	upstream := upstreamSaying(t, strings.Repeat("x", 100))
	for name, tt := range map[string]struct {
		fault  belaytest.Fault
		body   string
		status int
		text   string
	}{
		"query throttling":   {belaytest.Throttling, stsCall, 400, "<Code>ThrottlingException</Code>\n    <Message>Rate exceeded</Message>"},
		"ec2 throttling":     {belaytest.RequestLimitExceeded, ec2Call, 503, "<Response><Errors><Error><Code>RequestLimitExceeded</Code>"},
		"an internal error":  {belaytest.InternalError, stsCall, 500, "<Type>Receiver</Type>"},
		"unavailable in ec2": {belaytest.Unavailable, ec2Call, 503, "<Code>ServiceUnavailable</Code>"},
		"throttling in REST": {belaytest.Throttling, "", 400, `{"message":"Rate exceeded"}`},
		"a gateway's page":   {belaytest.HTMLBadGateway, stsCall, 502, "<h1>502 Bad Gateway</h1>"},
		"no fault":           {belaytest.Forward, stsCall, 200, strings.Repeat("x", 100)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := belaytest.FaultProxy(t, upstream)
			proxy.Next(tt.fault)
			status, text, err := ask(t, "sts", proxy.URL, tt.body)
			if err != nil || status != tt.status || !strings.Contains(text, tt.text) {
				t.Errorf("%d %v\n%s", status, err, text)
			}
		})
	}
}

func TestFaultProxyResets(t *testing.T) {
	t.Parallel()
	proxy := belaytest.FaultProxy(t, upstreamSaying(t, "hello"))
	proxy.Next(belaytest.Reset)
	if _, _, err := ask(t, "sts", proxy.URL, stsCall); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v, want a reset", err)
	}
}

func TestFaultProxySlowBodyIsWholeAndLate(t *testing.T) {
	t.Parallel()
	proxy := belaytest.FaultProxy(t, upstreamSaying(t, "hello"))
	proxy.Slow = 300 * time.Millisecond
	proxy.Next(belaytest.SlowBody)
	began := time.Now()
	status, text, err := ask(t, "sts", proxy.URL, stsCall)
	if err != nil || status != 200 || text != "hello" {
		t.Errorf("%d %v %q", status, err, text)
	}
	if took := time.Since(began); took < proxy.Slow {
		t.Errorf("it took %s", took)
	}
}

func TestFaultProxyHangsUntilTheClientGivesUp(t *testing.T) {
	t.Parallel()
	proxy := belaytest.FaultProxy(t, upstreamSaying(t, "hello"))
	proxy.Next(belaytest.Hang)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, proxy.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := do(t, req); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the client's own deadline", err)
	}
}

// A counterpart that breaks its connection in the middle of an answer is asked again: the client must see the script's
// faults only.
func TestFaultProxyHidesAnUpstreamThatBreaksOff(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5")
		_, _ = io.WriteString(w, "hel")
		if asked.Add(1) == 1 {
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "lo")
	}))
	t.Cleanup(s.Close)
	proxy := belaytest.FaultProxy(t, s.URL)
	status, text, err := ask(t, "sts", proxy.URL, stsCall)
	if err != nil || status != 200 || text != "hello" || asked.Load() != 2 {
		t.Errorf("%d %v %q after %d tries", status, err, text, asked.Load())
	}
	if seen := proxy.Requests(); len(seen) != 1 {
		t.Errorf("the proxy counts %v", seen)
	}
}

// upstreamSaying is the address of a server that says one thing.
func upstreamSaying(t *testing.T, text string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
	t.Cleanup(s.Close)
	return s.URL
}

func TestMissingCounterpartSkipsAndInCIFails(t *testing.T) {
	missing := errors.New("not installed")
	for name, tt := range map[string]struct{ ci, want string }{
		"on a developer's machine": {"", "skip"},
		"in CI":                    {"true", "fatal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("CI", tt.ci)
			r := &recorder{TB: t}
			belaytest.Require(r, "moto_server", missing)
			if r.did != tt.want {
				t.Errorf("it did %q, want %q", r.did, tt.want)
			}
		})
	}
}

// recorder notes how a test would have ended.
type recorder struct {
	testing.TB

	did string
}

func (r *recorder) Skipf(string, ...any)  { r.did = "skip" }
func (r *recorder) Fatalf(string, ...any) { r.did = "fatal" }

func TestCounterpartIsWrittenDownOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "counterparts")
	t.Setenv("BELAY_COUNTERPARTS", path)
	belaytest.Require(t, "an abacus 1.0", nil)
	belaytest.Require(t, "an abacus 1.0", nil)
	got, err := os.ReadFile(path)
	if err != nil || string(got) != "an abacus 1.0\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestChildrenEndWithTheTestBinary kills a test binary that runs a counterpart, and looks whether that is gone.
func TestChildrenEndWithTheTestBinary(t *testing.T) {
	if os.Getenv("BELAYTEST_HOLD") != "" {
		_, err := os.Stdout.WriteString(belaytest.MetadataMock(t).URL + "\n")
		if err != nil {
			t.Fatal(err)
		}
		<-t.Context().Done() // never: it is killed
	}
	belaytest.MetadataMock(t) // skips when there is none
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self, "-test.run=^TestChildrenEndWithTheTestBinary$")
	child.Env = append(os.Environ(), "BELAYTEST_HOLD=1", "BELAY_COUNTERPARTS=")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 200)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(strings.TrimSpace(string(line[:n])))
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	if !belaytest.Closes(t.Context(), address.Host) {
		t.Errorf("%s still answers", address.Host)
	}
}
