package awsops_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/belay-dev/belay/internal/connector"
)

// metadata is an instance metadata service whose answers a test replaces.
type metadata struct {
	token, list, role http.HandlerFunc // nil: the right answer
}

func (m metadata) start(t *testing.T) string {
	t.Helper()
	or := func(given, right http.HandlerFunc) http.HandlerFunc {
		if given != nil {
			return given
		}
		return right
	}
	wantsToken := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Aws-Ec2-Metadata-Token") != "metadata-token" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next(w, r)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /latest/api/token", or(m.token, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds"))
		_, _ = io.WriteString(w, "metadata-token")
	}))
	mux.HandleFunc("GET /latest/meta-data/iam/security-credentials/{$}", wantsToken(or(m.list, page(200, "text/plain", "instance-role"))))
	mux.HandleFunc("GET /latest/meta-data/iam/security-credentials/instance-role", wantsToken(or(m.role, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"ASIAINSTANCE","SecretAccessKey":"s","Token":"t","Expiration":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	})))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// silent is an address that takes connections and never answers.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var open []net.Conn
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range open {
			_ = conn.Close()
		}
	})
	return listener.Addr().String()
}

func TestInstanceMetadata(t *testing.T) {
	t.Parallel()
	aws := newStub(t, nil)
	env := variables{"AWS_ENDPOINT_URL": aws.URL, "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata{}.start(t)}
	passed(t, sessions(env), check(connector.DelegateRole{}))
	if got := aws.seen("GetCallerIdentity")[0].header.Get("Authorization"); !strings.Contains(got, "ASIAINSTANCE") {
		t.Fatalf("signed with %s", got)
	}
}

func TestWhatInstanceMetadataAnswersInstead(t *testing.T) {
	t.Parallel()
	refuse := func(status int) http.HandlerFunc { return page(status, "text/plain", "") }
	for name, tt := range map[string]struct {
		service metadata
		env     func(*testing.T) variables // instead of service
		reason  connector.Reason
		answer  string
		status  int
		code    string
	}{
		"nothing, because it is turned off in the environment": {
			env:    func(*testing.T) variables { return variables{"AWS_EC2_METADATA_DISABLED": "true"} },
			reason: connector.ReasonNoCredentials, answer: "turned off by AWS_EC2_METADATA_DISABLED",
		},
		"a refused connection": {
			env: func(t *testing.T) variables {
				t.Helper()
				return variables{"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://" + refusing(t)}
			},
			reason: connector.ReasonNoCredentials, answer: "connection refused",
		},
		"silence": {
			env: func(t *testing.T) variables {
				t.Helper()
				return variables{"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://" + silent(t)}
			},
			reason: connector.ReasonNoCredentials, answer: "no answer in time",
		},
		"400 to the request for a token":                {service: metadata{token: refuse(400)}, reason: connector.ReasonNoCredentials, answer: "HTTP 400 to the request for a token", status: 400},
		"no token, and 401 without one":                 {service: metadata{token: refuse(403)}, reason: connector.ReasonMetadataHopLimit, answer: "it wants a token (HTTP 401), and the request for one had HTTP 403", status: 401},
		"a token that never arrives, but 401":           {service: metadata{token: hang}, reason: connector.ReasonMetadataHopLimit, answer: "it wants a token (HTTP 401), and the request for one had no answer in time", status: 401},
		"no role":                                       {service: metadata{list: refuse(404)}, reason: connector.ReasonNoCredentials, answer: "HTTP 404: the instance has no role", status: 404},
		"403, as when it is turned off on the instance": {service: metadata{list: refuse(403)}, reason: connector.ReasonNoCredentials, answer: "HTTP 403: the service is turned off", status: 403},
		"an empty list of roles":                        {service: metadata{list: page(200, "text/plain", "")}, reason: connector.ReasonNoCredentials, answer: "HTTP 200, but no credentials: unexpected empty EC2 IMDS role list", status: 200},
		"a role that EC2 may not assume": {
			service: metadata{role: page(200, "text/plain", `{"Code":"AssumeRoleUnauthorizedAccess","Message":"EC2 cannot assume the role instance-role."}`)},
			reason:  connector.ReasonNoCredentials, status: 200, code: "AssumeRoleUnauthorizedAccess",
			answer: "AssumeRoleUnauthorizedAccess: EC2 cannot assume the role instance-role.",
		},
		"null": {service: metadata{role: page(200, "text/plain", "null")}, reason: connector.ReasonNoCredentials, answer: "HTTP 200, but no credentials", status: 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aws := newStub(t, nil)
			env := variables{"AWS_ENDPOINT_URL": aws.URL}
			if tt.env != nil {
				env = env.with(tt.env(t))
			} else {
				env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = tt.service.start(t)
			}
			began := time.Now()
			f := failed(t, sessions(env), check(connector.DelegateRole{}))
			if took := time.Since(began); took > 5*time.Second { // 1.5 s, and a busy machine
				t.Fatalf("it took %v", took)
			}
			asked := env["AWS_EC2_METADATA_SERVICE_ENDPOINT"]
			if asked == "" {
				asked = "http://169.254.169.254"
			}
			want := connector.Failure{
				Step: connector.StepCredentials, Region: region, Reason: tt.reason, Status: tt.status, Code: tt.code,
				Host: strings.TrimPrefix(env["AWS_EC2_METADATA_SERVICE_ENDPOINT"], "http://"),
				Sources: []connector.SourceTried{
					{Name: "environment", Asked: "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY", Answer: "not set"},
					{Name: "web identity", Asked: "AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE", Answer: "not set"},
					{Name: "profile default", Answer: "not set up: no such file"},
					{Name: "container endpoint", Asked: "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, AWS_CONTAINER_CREDENTIALS_FULL_URI", Answer: "not set"},
					{Name: "instance metadata v2", Asked: asked, Answer: tt.answer},
				},
			}
			if diff := cmp.Diff(want, f, cmpopts.IgnoreFields(connector.Failure{}, "Text", "Message", "Attempts")); diff != "" {
				t.Fatalf("the evidence differs (-want +got):\n%s\n%s", diff, f.Text)
			}
			if len(aws.seen("GetCallerIdentity")) > 0 {
				t.Fatal("AWS was called without credentials")
			}
		})
	}
}

// Without version 1 the SDK does not ask without a token; that the connection came about is then the sign.
func TestATokenThatNeverArrivesWithoutVersion1(t *testing.T) {
	t.Parallel()
	env := variables{
		"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata{token: hang}.start(t),
		"AWS_EC2_METADATA_V1_DISABLED":      "true",
	}
	f := failed(t, sessions(env), check(connector.DelegateRole{}))
	if f.Reason != connector.ReasonMetadataHopLimit {
		t.Fatalf("got %+v", f)
	}
}

func TestAProxyIsNotAskedForInstanceMetadata(t *testing.T) {
	t.Parallel()
	aws := newStub(t, nil)
	s := sessions(variables{"AWS_ENDPOINT_URL": aws.URL, "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata{}.start(t)})
	direct := s.Proxy
	s.Proxy = func(r *http.Request) (*url.URL, error) {
		if !strings.HasPrefix(aws.URL, "http://"+r.URL.Host) {
			t.Errorf("a proxy was asked for %s", r.URL)
		}
		return direct(r)
	}
	passed(t, s, check(connector.DelegateRole{}))
}
