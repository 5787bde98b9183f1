package awsops_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/awsops"
	"github.com/belay-dev/belay/internal/backoff"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/secret"
)

const (
	region    = "us-east-1"
	user      = "arn:aws:iam::111111111111:user/belay"
	role      = "arn:aws:iam::222222222222:role/deploy"
	secretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

// variables is an environment of a test's own.
type variables map[string]string

// with is the environment and some more.
func (v variables) with(more variables) variables {
	all := variables{}
	maps.Copy(all, v)
	maps.Copy(all, more)
	return all
}

// sessions has the given environment, no proxy and nothing of the machine.
func sessions(env variables) *awsops.Sessions {
	return &awsops.Sessions{
		Env:   func(name string) string { return env[name] },
		Proxy: func(*http.Request) (*url.URL, error) { return nil, nil },
	}
}

// quick tries a second time at once.
func quick() backoff.Strategy { return backoff.Fixed{Wait: time.Millisecond, Count: 1} }

func keys() connector.StaticKeys {
	return connector.StaticKeys{AccessKey: "AKIAIOSFODNN7EXAMPLE", SecretKey: secret.NewValue(secretKey)}
}

func access(source connector.Source) connector.Access {
	return connector.Access{Key: "acct/default/shop/aws", Revision: 1, Name: "aws", Source: source, Region: region, Backoff: quick()}
}

func check(source connector.Source) connector.Check {
	return connector.Check{Access: access(source), Timeout: 30 * time.Second}
}

// stub is an AWS endpoint for every service, which answers an action as the test says and counts the calls.
type stub struct {
	URL string

	mu    sync.Mutex
	calls map[string][]call
}

type call struct {
	at     time.Time
	form   url.Values
	header http.Header
}

// answers maps an action to what answers it; what is missing succeeds.
type answers map[string]http.HandlerFunc

func newStub(t *testing.T, answer answers) *stub {
	t.Helper()
	s := &stub{calls: map[string][]call{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		action := form.Get("Action")
		s.mu.Lock()
		s.calls[action] = append(s.calls[action], call{time.Now(), form, r.Header.Clone()})
		s.mu.Unlock()
		if handler := answer[action]; handler != nil {
			handler(w, r)
			return
		}
		succeed(w, form)
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

func (s *stub) seen(action string) []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[action]
}

func (s *stub) env(more variables) variables {
	return variables{"AWS_ENDPOINT_URL": s.URL, "AWS_EC2_METADATA_DISABLED": "true"}.with(more)
}

func succeed(w http.ResponseWriter, form url.Values) {
	w.Header().Set("X-Amzn-Requestid", "request-1")
	w.Header().Set("Content-Type", "text/xml")
	credentials := func(action, arn string) string {
		return fmt.Sprintf(`<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><Credentials><AccessKeyId>ASIA%[1]s</AccessKeyId><SecretAccessKey>session-secret</SecretAccessKey><SessionToken>session-token</SessionToken><Expiration>%[3]s</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>AROA:belay</AssumedRoleId><Arn>%[2]s</Arn></AssumedRoleUser></%[1]sResult></%[1]sResponse>`,
			action, arn, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}
	switch action := form.Get("Action"); action {
	case "GetCallerIdentity":
		_, _ = io.WriteString(w, identity(user))
	case "DescribeRegions":
		_, _ = io.WriteString(w, `<DescribeRegionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><regionInfo><item><regionName>us-west-2</regionName></item><item><regionName>us-east-1</regionName></item></regionInfo></DescribeRegionsResponse>`)
	case "AssumeRole", "AssumeRoleWithWebIdentity":
		_, _ = io.WriteString(w, credentials(action, "arn:aws:sts::222222222222:assumed-role/deploy/belay-aws"))
	default:
		http.NotFound(w, nil)
	}
}

func identity(arn string) string {
	account := strings.Split(arn, ":")[4]
	return fmt.Sprintf(`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>%s</Arn><UserId>AIDA</UserId><Account>%s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, arn, account)
}

// stsError answers in the envelope of STS, as AWS prints it.
func stsError(status int, code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-Requestid", "request-1")
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    <Type>Sender</Type>\n    <Code>%s</Code>\n    <Message>%s</Message>\n  </Error>\n  <RequestId>request-1</RequestId>\n</ErrorResponse>\n", code, message)
	}
}

// ec2Error answers in the envelope of EC2.
func ec2Error(status int, code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>request-1</RequestID></Response>", code, message)
	}
}

// page answers as something that is not AWS.
func page(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// hang answers nothing until the client gives up.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// reset ends the connection with a TCP reset.
func reset(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// inOrder answers the first call with the first handler, and all after the last with the last.
func inOrder(handlers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		next := handlers[0]
		if len(handlers) > 1 {
			handlers = handlers[1:]
		}
		mu.Unlock()
		next(w, r)
	}
}

// refusing is an address where nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// bundle is the certificate of a test server as AWS_CA_BUNDLE wants it.
func bundle(t *testing.T, server *httptest.Server) string {
	t.Helper()
	return file(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
}

// failed runs a check that must fail and gives what was seen.
func failed(t *testing.T, s *awsops.Sessions, c connector.Check) connector.Failure {
	t.Helper()
	evidence := s.Validate(t.Context(), c)
	if evidence.Failure == nil {
		t.Fatalf("the check succeeded: %+v", evidence)
	}
	return *evidence.Failure
}

// passed runs a check that must succeed.
func passed(t *testing.T, s *awsops.Sessions, c connector.Check) connector.Evidence {
	t.Helper()
	evidence := s.Validate(t.Context(), c)
	if evidence.Failure != nil {
		t.Fatalf("the check failed: %+v", *evidence.Failure)
	}
	return evidence
}

// patient waits longer than any test.
func patient() backoff.Strategy { return backoff.Fixed{Wait: time.Hour, Count: 3} }

// through sends every request through one proxy.
func through(proxy string) func(*http.Request) (*url.URL, error) {
	return func(*http.Request) (*url.URL, error) { return url.Parse(proxy) }
}
