package sandbox_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"github.com/belay-dev/belay/internal/sandbox"
)

// began is when every test begins, by the sandbox's clock and by the client's.
var began = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// plane is a sandbox that listens.
type plane struct {
	*sandbox.Server

	t   *testing.T
	url string
}

// start runs a sandbox with a scene, whose real time is the machine's: the SDKs have no other.
func start(t *testing.T, scene string) *plane {
	t.Helper()
	return startWith(t, sandbox.Config{}, scene)
}

func startWith(t *testing.T, c sandbox.Config, scene string) *plane {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	c.Base = "http://" + server.Listener.Addr().String()
	s, err := sandbox.New(c)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = s
	server.Start()
	t.Cleanup(server.Close)
	if scene != "" {
		if _, err := s.Seed([]byte(scene)); err != nil {
			t.Fatal(err)
		}
	}
	return &plane{s, t, server.URL}
}

// key is who calls.
type key struct{ id, secret, token string }

// of the users of scenes: the id says whose it is.
func keyOf(name string) key {
	return key{"AKIA" + strings.ToUpper(name) + "000000000000", "secret-of-" + name, ""}
}

func (p *plane) admin() key {
	p.t.Helper()
	k, ok := p.Admin()
	if !ok {
		p.t.Fatal("the first account has no administrator")
	}
	return key{k.ID, k.Secret, ""}
}

// config leads an SDK to the sandbox. It does not try again: what the sandbox says first is what is tested.
func (p *plane) config(k key, region string) aws.Config {
	return aws.Config{
		Region: region, BaseEndpoint: aws.String(p.url), HTTPClient: http.DefaultClient,
		Credentials: credentials.NewStaticCredentialsProvider(k.id, k.secret, k.token),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
	}
}

func (p *plane) sts(k key) *sts.Client { return sts.NewFromConfig(p.config(k, "us-east-1")) }
func (p *plane) ec2(k key) *ec2.Client { return ec2.NewFromConfig(p.config(k, "us-east-1")) }
func (p *plane) iam(k key) *iam.Client { return iam.NewFromConfig(p.config(k, "us-east-1")) }
func (p *plane) organizations(k key) *organizations.Client {
	return organizations.NewFromConfig(p.config(k, "us-east-1"))
}

// temporary are the credentials that STS gave.
func temporary(c *types.Credentials) key {
	return key{*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken}
}

// assume assumes a role, or ends the test.
func (p *plane) assume(k key, in *sts.AssumeRoleInput) key {
	p.t.Helper()
	if in.RoleSessionName == nil {
		in.RoleSessionName = aws.String("test")
	}
	out, err := p.sts(k).AssumeRole(p.t.Context(), in)
	if err != nil {
		p.t.Fatal(err)
	}
	return temporary(out.Credentials)
}

// said is an error of AWS as "Code: message", or "" for none.
func said(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Fatalf("not an answer of AWS: %v", err)
	}
	return api.ErrorCode() + ": " + api.ErrorMessage()
}

// encodedMessage is different each time.
var encodedMessage = regexp.MustCompile(`Encoded authorization failure message: [\w-]+`)

// check compares what was said with what is wanted. With a star at its end, only the beginning counts.
func check(t *testing.T, got, want string) {
	t.Helper()
	got = encodedMessage.ReplaceAllString(got, "Encoded authorization failure message: …")
	if begin, ok := strings.CutSuffix(want, "*"); ok && strings.HasPrefix(got, begin) {
		return
	}
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// request is a signed request that a test may then break.
type request struct {
	*http.Request

	body string
}

const (
	identityCall = "Action=GetCallerIdentity&Version=2011-06-15"
	regionsCall  = "Action=DescribeRegions&Version=2016-11-15"
)

// sign makes a request as an SDK would at a time.
func (p *plane) sign(k key, service, region, body string, at time.Time) *request {
	p.t.Helper()
	return &request{signed(p.t, p.url, k, service, region, body, at), body}
}

func signed(tb testing.TB, to string, k key, service, region, body string, at time.Time) *http.Request {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, to+"/", strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if service == "organizations" {
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
		req.Header.Set("X-Amz-Target", "AWSOrganizationsV20161128.ListRoots")
	}
	sum := sha256.Sum256([]byte(body))
	creds := aws.Credentials{AccessKeyID: k.id, SecretAccessKey: k.secret, SessionToken: k.token}
	if err := v4.NewSigner().SignHTTP(context.Background(), creds, req, hex.EncodeToString(sum[:]), service, region, at); err != nil {
		tb.Fatal(err)
	}
	return req
}

// send gives status and body of the answer.
func (p *plane) send(r *request) (int, string) {
	p.t.Helper()
	r.Body = io.NopCloser(bytes.NewReader([]byte(r.body)))
	r.ContentLength = int64(len(r.body))
	res, err := http.DefaultClient.Do(r.Request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.Header.Get("X-Belay-Sandbox") != "true" {
		p.t.Error("the answer does not say that it is a sandbox's")
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}
