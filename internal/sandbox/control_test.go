package sandbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/belay-dev/belay/internal/sandbox"
)

// control asks for a control, as `belay sandbox` does.
func (p *plane) control(method, what, body string, headers ...string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+"/_belay/"+what, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, strings.TrimSpace(string(text))
}

func TestControls(t *testing.T) {
	t.Parallel()
	p := startWith(t, sandbox.Config{Now: func() time.Time { return began }}, "")
	for name, tt := range map[string]struct {
		method, what, body string
		headers            []string
		status             int
		want               string
	}{
		"health":              {"GET", "health", "", nil, 200, `{"status":"ok"}`},
		"a clock by offset":   {"PUT", "clock", `{"offset":"-20m"}`, nil, 200, `{"now":"2026-11-23T11:40:00Z"}`},
		"neither":             {"PUT", "clock", `{}`, nil, 400, "give either now"},
		"a setting of ours":   {"PUT", "settings", `{"colour":"red"}`, nil, 400, "unknown field"},
		"a span that is none": {"PUT", "settings", `{"propagation":"soon"}`, nil, 400, "invalid duration"},
		"below nothing":       {"PUT", "settings", `{"rate":-1}`, nil, 400, "rate and burst are not negative"},
		"an answer of ours":   {"PUT", "settings", `{"simulations":{"s3:GetObject":"maybe"}}`, nil, 400, `is \"maybe\"; it is allowed, implicitDeny or explicitDeny`},
		"a control of ours":   {"GET", "colour", "", nil, 404, "the controls are"},
		"a page's":            {"GET", "health", "", []string{"Origin", "https://example.com"}, 403, "pages in a browser"},
		"another name":        {"GET", "health", "", []string{"Host", "example.com"}, 403, "as localhost or 127.0.0.1 only"},
		"a token of nobody":   {"POST", "token", `{"issuer":"x","subject":"y"}`, nil, 404, `there is no issuer`},
		"a scene":             {"POST", "seed", `{accounts: [{id: "777777777777"}]}`, nil, 200, `{"accounts":["777777777777"],"keys":[]}`},
		"too much":            {"POST", "seed", strings.Repeat("#", 1<<20+1), nil, 413, "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, text := p.control(tt.method, tt.what, tt.body, tt.headers...)
			if status != tt.status || !strings.Contains(text, tt.want) {
				t.Errorf("%d %s, want %d %s", status, text, tt.status, tt.want)
			}
		})
	}
}

// TestClock shows the warning sign that a test with a wrong clock has: the SDK corrects itself by the answer's Date.
func TestClock(t *testing.T) {
	t.Parallel()
	p := start(t, "")
	if status, text := p.control("PUT", "clock", fmt.Sprintf(`{"now":%q}`, time.Now().Add(-20*time.Minute).UTC().Format(time.RFC3339))); status != 200 {
		t.Fatal(text)
	}
	c := p.config(p.admin(), "us-east-1")
	_, err := sts.NewFromConfig(c).GetCallerIdentity(t.Context(), nil)
	check(t, said(t, err), "SignatureDoesNotMatch: Signature not yet current: *")
	c.Retryer = nil
	if _, err := sts.NewFromConfig(c).GetCallerIdentity(t.Context(), nil); err != nil {
		t.Errorf("the SDK did not correct its clock: %v", err)
	}
}

func TestPropagation(t *testing.T) {
	t.Parallel()
	now := began
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	pass := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	p := startWith(t, sandbox.Config{Now: clock}, one(`tags: {}`, ""))
	ask := func() string {
		t.Helper()
		return summary(p.send(p.sign(keyOf("ann"), "ec2", "us-east-1", regionsCall, clock())))
	}
	if err := p.Set(sandbox.Settings{Propagation: sandbox.Duration(10 * time.Second), PlainDenials: true}); err != nil {
		t.Fatal(err)
	}
	const denied = "403 UnauthorizedOperation: You are not authorized*"
	pass(time.Minute)
	check(t, ask(), denied)
	admin := "Action=AttachUserPolicy&Version=2010-05-08&UserName=ann&PolicyArn=arn%3Aaws%3Aiam%3A%3A111111111111%3Apolicy%2Fregions"
	boss := p.sign(keyOf("boss"), "iam", "us-east-1", admin, clock())
	if got := summary(p.send(boss)); !strings.HasPrefix(got, "404 NoSuchEntity") {
		t.Fatalf("boss is of another account: %s", got)
	}
	if _, err := p.Seed([]byte(`{accounts: [{id: "111111111111", users: [{name: root, attach: [AdministratorAccess], keys: [{id: AKIAADM000000000000, secret: secret-of-adm}]}]}]}`)); err != nil {
		t.Fatal(err)
	}
	attach := func() string {
		t.Helper()
		return summary(p.send(p.sign(keyOf("adm"), "iam", "us-east-1", admin, clock())))
	}
	check(t, attach(), "403 AccessDenied: *") // who was just made may do nothing yet
	pass(11 * time.Second)
	check(t, attach(), "200")
	check(t, ask(), denied)
	pass(9 * time.Second)
	check(t, ask(), denied)
	pass(2 * time.Second)
	check(t, ask(), "200")
	detach := strings.Replace(admin, "Attach", "Detach", 1)
	check(t, summary(p.send(p.sign(keyOf("adm"), "iam", "us-east-1", detach, clock()))), "200")
	pass(5 * time.Second)
	check(t, ask(), "200")
	pass(6 * time.Second)
	check(t, ask(), denied)
}

func TestThrottling(t *testing.T) {
	t.Parallel()
	now := began
	p := startWith(t, sandbox.Config{Now: func() time.Time { return now }}, keysScene+"settings: {rate: 1, burst: 2}")
	ask := func(service string) string {
		t.Helper()
		body := map[string]string{"sts": identityCall, "ec2": regionsCall, "organizations": "{}"}[service]
		return summary(p.send(p.sign(keyOf("ann"), service, "us-east-1", body, now)))
	}
	check(t, ask("sts"), "200")
	check(t, ask("ec2"), "200")
	check(t, ask("sts"), "400 Throttling: Rate exceeded")
	check(t, ask("ec2"), "503 RequestLimitExceeded: Request limit exceeded.")
	check(t, ask("organizations"), "400 ThrottlingException: Rate exceeded")
	if got := summary(p.send(p.sign(keyOf("far"), "sts", "us-east-1", identityCall, now))); got != "200" {
		t.Errorf("another account is throttled too: %s", got)
	}
	now = now.Add(time.Second)
	check(t, ask("sts"), "200")
	check(t, ask("sts"), "400 Throttling: Rate exceeded")
}

func TestStateFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	p := startWith(t, sandbox.Config{StateFile: file}, rolesScene+"\nissuers: [cluster]")
	admin := p.admin()
	session := p.assume(keyOf("ann"), &sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "account")})
	if _, err := p.iam(admin).CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("bob")}); err != nil {
		t.Fatal(err)
	}
	about, err := os.Stat(file)
	if err != nil || about.Mode().Perm() != 0o600 {
		t.Errorf("the file with the keys is %v, %v", about.Mode(), err)
	}

	again := startWith(t, sandbox.Config{StateFile: file}, "")
	if again.admin() != admin {
		t.Error("the administrator has another key")
	}
	if _, err := again.iam(admin).GetUser(t.Context(), &iam.GetUserInput{UserName: aws.String("bob")}); err != nil {
		t.Errorf("bob is forgotten: %v", err)
	}
	if _, err := again.ec2(session).DescribeRegions(t.Context(), nil); err != nil {
		t.Errorf("the session is forgotten: %v", err)
	}
	if _, err := again.Token(sandbox.TokenRequest{Issuer: "cluster", Subject: "x"}); err != nil {
		t.Errorf("the issuer is forgotten: %v", err)
	}
	left, err := filepath.Glob(file + ".*")
	if err != nil || len(left) > 0 {
		t.Errorf("it left %v behind", left)
	}

	for name, text := range map[string]string{"no JSON": "{", "no key": `{"accounts":{},"seal":"AAAA"}`, "a policy that is none": strings.Replace(mustRead(t, file), `\"Statement\"`, `\"Sentence\"`, 1)} {
		bad := filepath.Join(t.TempDir(), "state.json")
		if err := os.WriteFile(bad, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := sandbox.New(sandbox.Config{StateFile: bad}); err == nil || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := sandbox.New(sandbox.Config{StateFile: filepath.Join(t.TempDir(), "there", "is", "none")}); err == nil {
		t.Error("a state that cannot be written was no error")
	}
}

func mustRead(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestScenesSayAllThatIsWrong(t *testing.T) {
	t.Parallel()
	s, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Seed([]byte(`
issuers: ["a b"]
accounts:
  - id: 12
  - id: "111111111111"
    regions: [us-east-1]
    users:
      - {name: "a b", attach: [Nothing], groups: [nobody], keys: [{id: "!"}]}
    roles:
      - {name: r, maxSession: 13h, trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "arn:aws:iam::111111111111:user/nobody"}, Action: "sts:AssumeRole"}]}}
      - {name: q, trust: {Statement: []}}
    profiles: [{name: p, role: none}]
    providers: [{url: "ftp://x"}]
organizations: [{management: "222222222222"}]
instances: [{id: i-1, account: "111111111111", region: cn-north-1, profile: none}]
settings: {propagation: -1s}
`))
	for _, want := range []string{
		`issuers: "a b"`, `accounts[0].id: an account has 12 digits`, `accounts[1].regions: "us-east-1"`, `accounts[1].users[0].name: "a b" is no name`,
		`accounts[1].users[0].attach[0]: neither the account nor AWS has a policy "Nothing"`, `accounts[1].users[0].groups[0]`, `accounts[1].users[0].keys[0].id`,
		`accounts[1].roles[0].maxSession`, `accounts[1].roles[0].trust: Invalid principal`, `accounts[1].roles[1].trust: Syntax errors`, `accounts[1].profiles[0].role`,
		`accounts[1].providers[0]`, `organizations[0].management`, `instances[0].id`, `instances[0].region`, `instances[0].profile`, `settings: propagation`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %s", want)
		}
	}
	if _, ok := s.Admin(); !ok {
		t.Error("the first account is gone")
	}
	if _, err := s.Seed([]byte("accounts: [{id: '111111111111', colour: red}]")); err == nil || !strings.Contains(err.Error(), "colour") {
		t.Errorf("a field of ours: %v", err)
	}
	if _, err := s.Seed([]byte("a: &a [b, b, b, b, b, b, b, b, b]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d]\naccounts: [*e, *e, *e, *e, *e]")); err == nil {
		t.Error("a scene that grows without bounds was read")
	}
}

// TestManyAtOnce changes and asks at the same time; the race detector has its say in `make race`.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	p := start(t, one(`attach: [regions]`, ""))
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			name := aws.String(fmt.Sprint("user", i))
			if _, err := p.iam(p.admin()).CreateUser(t.Context(), &iam.CreateUserInput{UserName: name}); err != nil {
				t.Error(err)
			}
			if _, err := p.ec2(keyOf("ann")).DescribeRegions(t.Context(), nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	users, err := p.iam(p.admin()).ListUsers(t.Context(), nil)
	if err != nil || len(users.Users) != 9 {
		t.Errorf("%d users, %v", len(users.Users), err)
	}
}

func TestListensOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{"127.0.0.1:0": true, "localhost:1": true, "[::1]:1": true, "0.0.0.0:1": false, ":1": false, "10.0.0.1:1": false, "x": false} {
		if err := sandbox.CheckListen(address, false); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := sandbox.CheckListen("0.0.0.0:1", true); err != nil {
		t.Error(err)
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- sandbox.Serve(ctx, l, s) }()
	res, err := http.Get("http://" + l.Addr().String() + "/_belay/health")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestSettingsAsJSON(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(sandbox.Settings{ClockOffset: sandbox.Duration(-20 * time.Minute)})
	if err != nil || !strings.Contains(string(raw), `"clockOffset":"-20m0s"`) {
		t.Errorf("%s, %v", raw, err)
	}
}
