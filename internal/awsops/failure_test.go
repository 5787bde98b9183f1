package awsops_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/belay-dev/belay/internal/awsops"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/secret"
)

// What AWS itself says: its envelope, code, words, status and request id arrive in the evidence, of the operation that
// failed and not of the one that was waiting for it.
func TestWhatAWSSays(t *testing.T) {
	t.Parallel()
	const (
		identity = "GetCallerIdentity"
		regions  = "DescribeRegions"
		assume   = "AssumeRole"
		exchange = "AssumeRoleWithWebIdentity"
	)
	for name, tt := range map[string]struct {
		action        string
		status        int
		code, message string
		attempts      int // 1 when the code is on neither of the retry lists
	}{
		"an unknown access key":                       {identity, 403, "InvalidClientTokenId", "The security token included in the request is invalid", 1},
		"a wrong secret key":                          {identity, 403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.", 2},
		"an expired session":                          {identity, 403, "ExpiredToken", "The security token included in the request is expired", 1},
		"STS throttles":                               {identity, 400, "Throttling", "Rate exceeded", 2},
		"STS has a fault of its own":                  {identity, 500, "InternalFailure", "An internal error has occurred", 2},
		"a role that may not be assumed":              {assume, 403, "AccessDenied", "User: " + user + " is not authorized to perform: sts:AssumeRole on resource: " + role, 1},
		"an external id that AWS does not take":       {assume, 400, "ValidationError", "1 validation error detected: Value 'é' at 'externalId' failed to satisfy constraint", 1},
		"STS is deactivated in the Region":            {assume, 403, "RegionDisabledException", "STS is not activated in this region for account:222222222222.", 1},
		"assuming a role is throttled":                {assume, 400, "ThrottlingException", "Rate exceeded", 2},
		"a web identity token that AWS refuses":       {exchange, 400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://oidc.example", 2},
		"a web identity token that has expired":       {exchange, 400, "ExpiredTokenException", "Token expired: current date/time 1700000000 must be before the expiration date/time 1699999999", 1},
		"a web identity that the role does not trust": {exchange, 403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 1},
		"an issuer that AWS cannot reach":             {exchange, 400, "IDPCommunicationError", "Could not reach the issuer", 2},
		"a key that EC2 does not take":                {regions, 401, "AuthFailure", "AWS was not able to validate the provided access credentials", 2},
		"no permission to list Regions":               {regions, 403, "UnauthorizedOperation", "You are not authorized to perform this operation. User: " + user + " is not authorized to perform: ec2:DescribeRegions because no identity-based policy allows the ec2:DescribeRegions action", 1},
		"a session that has expired for EC2":          {regions, 400, "RequestExpired", "Request has expired.", 2},
		"EC2 throttles with a status of 503":          {regions, 503, "RequestLimitExceeded", "Request limit exceeded.", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := connector.Failure{
				Service: "sts", Operation: tt.action, Code: tt.code, Message: tt.message, Status: tt.status, RequestID: "request-1",
				Attempts: tt.attempts, Region: region,
			}
			one, answer, env := check(keys()), stsError(tt.status, tt.code, tt.message), variables{}
			switch tt.action {
			case identity:
				want.Step = connector.StepIdentity
			case regions:
				want.Step, want.Service, want.Partition = connector.StepRegions, "ec2", "aws"
				answer = ec2Error(tt.status, tt.code, tt.message)
			case assume:
				want.Step = connector.StepAssumeRole
				one.Access.CrossAccount = &connector.CrossAccount{RoleARN: role, ExternalID: "shared"}
			case exchange:
				want.Step, want.Partition = connector.StepWebIdentity, "aws"
				one.Access.Source = connector.WebIdentityFile{}
				env = variables{"AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": file(t, "token", "header."+base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"https://oidc.example","sub":"app","aud":["sts.amazonaws.com"],"exp":1700000000}`))+".signature")}
				want.Role, want.Token = role, &connector.TokenClaims{Issuer: "https://oidc.example", Subject: "app", Audience: []string{"sts.amazonaws.com"}, Expires: time.Unix(1700000000, 0).UTC()}
			}
			aws := newStub(t, answers{tt.action: answer})
			got := failed(t, sessions(aws.env(env)), one)
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(connector.Failure{}, "Text")); diff != "" {
				t.Fatalf("the evidence differs (-want +got):\n%s\n%s", diff, got.Text)
			}
			asked := tt.attempts
			if tt.code == "InvalidClientTokenId" {
				asked += 2 // the two other partitions, once each
			}
			if n := len(aws.seen(tt.action)); n != asked {
				t.Fatalf("AWS was asked %d times, want %d", n, asked)
			}
			if !strings.Contains(got.Text, tt.code) {
				t.Fatalf("the text lacks the code: %s", got.Text)
			}
		})
	}
}

// A stand-in, or a gateway, may answer every service in one envelope.
func TestErrorsInTheWrongEnvelopeAreRead(t *testing.T) {
	t.Parallel()
	const code, message = "InvalidClientTokenId", "The security token included in the request is invalid."
	t.Run("STS answers as EC2 does", func(t *testing.T) {
		t.Parallel()
		aws := newStub(t, answers{"GetCallerIdentity": ec2Error(403, code, message)})
		if f := failed(t, sessions(aws.env(nil)), check(keys())); f.Code != code || f.Message != message || f.RequestID != "request-1" || f.Reason != connector.ReasonNone {
			t.Fatalf("got %+v", f)
		}
	})
	t.Run("EC2 answers as STS does", func(t *testing.T) {
		t.Parallel()
		aws := newStub(t, answers{"DescribeRegions": stsError(403, code, message)})
		if f := failed(t, sessions(aws.env(nil)), check(keys())); f.Code != code || f.Message != message || f.RequestID != "request-1" {
			t.Fatalf("got %+v", f)
		}
	})
}

// What cannot work is found before any call.
func TestNothingIsCalledForWhatCannotWork(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*connector.Access)
		env    variables
		want   connector.Failure
	}{
		"a Region that is none": {
			change: func(a *connector.Access) { a.Region = "us east 1" },
			want:   connector.Failure{Step: connector.StepPrepare, Region: "us east 1", Reason: connector.ReasonRegion, Message: `"us east 1" is not a Region of AWS`},
		},
		"no Region": {
			change: func(a *connector.Access) { a.Region = "" },
			want:   connector.Failure{Step: connector.StepPrepare, Reason: connector.ReasonRegion, Message: "no Region is given"},
		},
		"a role of another partition": {
			change: func(a *connector.Access) {
				a.CrossAccount = &connector.CrossAccount{RoleARN: "arn:aws-us-gov:iam::222222222222:role/deploy"}
			},
			want: connector.Failure{
				Step: connector.StepPrepare, Region: region, Reason: connector.ReasonPartition, Partition: "aws-us-gov",
				Message: "the role arn:aws-us-gov:iam::222222222222:role/deploy lies in partition aws-us-gov, the Region us-east-1 in aws; no credentials cross partitions",
			},
		},
		"a role that is a user": {
			change: func(a *connector.Access) { a.CrossAccount = &connector.CrossAccount{RoleARN: user} },
			want: connector.Failure{
				Step: connector.StepPrepare, Region: region, Reason: connector.ReasonConfiguration,
				Message: fmt.Sprintf("%q names no IAM role; one looks like arn:aws:iam::123456789012:role/name", user),
			},
		},
		"an empty access key": {
			change: func(a *connector.Access) { a.Source = connector.StaticKeys{SecretKey: secret.NewValue("x")} },
			want:   connector.Failure{Step: connector.StepPrepare, Region: region, Reason: connector.ReasonConfiguration, Message: "the access key is empty"},
		},
		"an empty secret key": {
			change: func(a *connector.Access) { a.Source = connector.StaticKeys{AccessKey: "AKIA"} },
			want:   connector.Failure{Step: connector.StepPrepare, Region: region, Reason: connector.ReasonConfiguration, Message: "the secret key is empty"},
		},
		"a secret key with a line break at its end": {
			change: func(a *connector.Access) {
				a.Source = connector.StaticKeys{AccessKey: "AKIA", SecretKey: secret.NewValue(secretKey + "\n")}
			},
			want: connector.Failure{Step: connector.StepPrepare, Region: region, Reason: connector.ReasonConfiguration, Message: "the secret key holds a blank, a line break or a character that no key of AWS has"},
		},
		"an empty web identity token": {
			change: func(a *connector.Access) { a.Source = connector.WebIdentityToken{RoleARN: role} },
			want:   connector.Failure{Step: connector.StepPrepare, Region: region, Reason: connector.ReasonConfiguration, Message: "the web identity token is empty"},
		},
		"no credentials at all": {
			change: func(a *connector.Access) { a.Source = nil },
			want:   connector.Failure{Step: connector.StepPrepare, Region: region, Reason: connector.ReasonConfiguration, Message: "the connector names no credentials"},
		},
		"IRSA without its variables": {
			change: func(a *connector.Access) { a.Source = connector.WebIdentityFile{} },
			want: connector.Failure{
				Step: connector.StepCredentials, Region: region, Reason: connector.ReasonVariablesAbsent,
				Missing: []string{"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"},
			},
		},
		"IRSA without one of its variables": {
			change: func(a *connector.Access) { a.Source = connector.WebIdentityFile{} },
			env:    variables{"AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token"},
			want:   connector.Failure{Step: connector.StepCredentials, Region: region, Reason: connector.ReasonVariablesAbsent, Missing: []string{"AWS_ROLE_ARN"}},
		},
		"IRSA with a role of another partition": {
			change: func(a *connector.Access) { a.Source, a.Region = connector.WebIdentityFile{}, "cn-north-1" },
			env:    variables{"AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token"},
			want: connector.Failure{
				Step: connector.StepPrepare, Region: "cn-north-1", Reason: connector.ReasonPartition, Partition: "aws",
				Message: "the role " + role + " lies in partition aws, the Region cn-north-1 in aws-cn; no credentials cross partitions",
			},
		},
		"IRSA whose token file is not there": {
			change: func(a *connector.Access) { a.Source = connector.WebIdentityFile{} },
			env:    variables{"AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere/token"},
			want:   connector.Failure{Step: connector.StepCredentials, Region: region, Reason: connector.ReasonTokenFile},
		},
		"a file of certificate authorities that is not there": {
			change: func(*connector.Access) {},
			env:    variables{"AWS_CA_BUNDLE": "/nowhere/ca.pem"},
			want: connector.Failure{
				Step: connector.StepPrepare, Region: region, Reason: connector.ReasonConfiguration,
				Message: "the certificate authorities named by AWS_CA_BUNDLE cannot be read: stat /nowhere/ca.pem: no such file or directory",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aws := newStub(t, nil)
			one := check(keys())
			tt.change(&one.Access)
			got := failed(t, sessions(aws.env(tt.env)), one)
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(connector.Failure{}, "Text")); diff != "" {
				t.Fatalf("the evidence differs (-want +got):\n%s\n%s", diff, got.Text)
			}
			if got.Text == "" {
				t.Fatal("there is no text")
			}
			if len(aws.calls) > 0 {
				t.Fatalf("AWS was called: %v", aws.calls)
			}
		})
	}
}

func TestAnEmptyTokenFileIsToldFromAMissingOne(t *testing.T) {
	t.Parallel()
	env := variables{"AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": file(t, "token", " \n")}
	f := failed(t, sessions(env), check(connector.WebIdentityFile{}))
	if f.Reason != connector.ReasonTokenFile || !strings.Contains(f.Text, "is empty") {
		t.Fatalf("got %+v", f)
	}
}

// What happens on the way to AWS, each against a real listener that is faulty in that way.
func TestWhatHappensOnTheWay(t *testing.T) {
	t.Parallel()
	secure := func(t *testing.T, handler http.HandlerFunc) *httptest.Server {
		t.Helper()
		server := httptest.NewUnstartedServer(handler)
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		t.Cleanup(server.Close)
		return server
	}
	proxy := func(status int) func(*testing.T) (variables, string) {
		return func(t *testing.T) (variables, string) {
			t.Helper()
			server := httptest.NewServer(page(status, "text/plain", "no"))
			t.Cleanup(server.Close)
			return variables{"proxy": server.URL}, server.Listener.Addr().String()
		}
	}
	plain := func(handler http.HandlerFunc) func(*testing.T) (variables, string) {
		return func(t *testing.T) (variables, string) {
			t.Helper()
			aws := newStub(t, answers{"GetCallerIdentity": handler})
			return variables{"AWS_ENDPOINT_URL": aws.URL}, strings.TrimPrefix(aws.URL, "http://")
		}
	}
	for name, tt := range map[string]struct {
		server   func(*testing.T) (variables, string) // gives the environment and the host of the evidence
		timeout  time.Duration
		reason   connector.Reason
		status   int
		attempts int
		text     string
	}{
		"a certificate of an unknown authority": {
			server: func(t *testing.T) (variables, string) {
				t.Helper()
				server := secure(t, nil)
				return variables{"AWS_ENDPOINT_URL": server.URL}, server.Listener.Addr().String()
			},
			reason: connector.ReasonTLS, attempts: 1, text: "unknown authority",
		},
		"a certificate for another name": {
			server: func(t *testing.T) (variables, string) {
				t.Helper()
				server := secure(t, nil)
				_, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
				return variables{"AWS_ENDPOINT_URL": "https://localhost:" + port, "AWS_CA_BUNDLE": bundle(t, server)}, "localhost:" + port
			},
			reason: connector.ReasonTLS, attempts: 1, text: "certificate is valid for",
		},
		"plain HTTP where TLS is expected": {
			server: func(t *testing.T) (variables, string) {
				t.Helper()
				aws := newStub(t, nil)
				return variables{"AWS_ENDPOINT_URL": strings.Replace(aws.URL, "http:", "https:", 1)}, strings.TrimPrefix(aws.URL, "http://")
			},
			reason: connector.ReasonTLS, attempts: 1, text: "HTTP response to HTTPS client",
		},
		"a proxy that wants credentials": {server: proxy(407), reason: connector.ReasonProxy, attempts: 1, text: "Proxy Authentication Required"},
		"a proxy that forbids the host":  {server: proxy(403), reason: connector.ReasonProxy, attempts: 1, text: "403 Forbidden"},
		"a proxy that is down": {
			server: func(t *testing.T) (variables, string) {
				t.Helper()
				address := refusing(t)
				return variables{"proxy": "http://" + address}, address
			},
			reason: connector.ReasonProxy, attempts: 2, text: "proxyconnect",
		},
		"a port where nobody listens": {
			server: func(t *testing.T) (variables, string) {
				t.Helper()
				address := refusing(t)
				return variables{"AWS_ENDPOINT_URL": "http://" + address}, address
			},
			reason: connector.ReasonConnect, attempts: 2, text: "connection refused",
		},
		"a name without an address": {
			server: func(*testing.T) (variables, string) {
				return variables{"AWS_ENDPOINT_URL": "https://sts.belay.invalid"}, "sts.belay.invalid"
			},
			reason: connector.ReasonDNS, text: "lookup sts.belay.invalid",
		},
		"a connection that is reset": {server: plain(reset), reason: connector.ReasonConnect, attempts: 2, text: "connection reset"},
		"a server that does not answer": {
			server: plain(hang), timeout: time.Second, reason: connector.ReasonTimeout, attempts: 1, text: "deadline exceeded",
		},
		"an answer that breaks off": {
			server: plain(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "1000")
				_, _ = w.Write([]byte("<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:"))
			}),
			reason: connector.ReasonConnect, status: 200, attempts: 2, text: "unexpected EOF",
		},
		"a load balancer's page": {
			server: plain(page(503, "text/html", "<html><head><title>503 Service Unavailable</title></head><body>secret=1</body></html>")),
			reason: connector.ReasonNotAWS, status: 503, attempts: 2, text: `begins "503 Service Unavailable"`,
		},
		"a captive portal's page": {
			server: plain(page(200, "text/html", "<html><body>Welcome to the airport</body></html>")),
			reason: connector.ReasonNotAWS, status: 200, attempts: 1, text: "GetCallerIdentity",
		},
		"a redirect to a captive portal": {
			server: plain(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "https://portal.example/login?password=hunter22")
				w.WriteHeader(http.StatusFound)
			}),
			reason: connector.ReasonNotAWS, status: 302, attempts: 1, text: "the answer has no body",
		},
		"a success without an identity": {
			server: plain(page(200, "text/xml", "<GetCallerIdentityResponse><GetCallerIdentityResult></GetCallerIdentityResult></GetCallerIdentityResponse>")),
			reason: connector.ReasonNotAWS, text: "names no identity",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, host := tt.server(t)
			s := sessions(env)
			if proxy := env["proxy"]; proxy != "" {
				s.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy) }
			}
			one := check(keys())
			if tt.timeout != 0 {
				one.Timeout = tt.timeout
			}
			got := failed(t, s, one)
			want := connector.Failure{
				Step: connector.StepIdentity, Service: "sts", Operation: "GetCallerIdentity", Region: region,
				Reason: tt.reason, Status: tt.status, Attempts: tt.attempts, Host: host,
			}
			ignore := []string{"Text"}
			if tt.attempts == 0 {
				ignore = append(ignore, "Attempts")
			}
			if name == "a success without an identity" { // the call itself did not fail
				want.Service, want.Operation, want.Host = "", "", ""
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(connector.Failure{}, ignore...)); diff != "" {
				t.Fatalf("the evidence differs (-want +got):\n%s\n%s", diff, got.Text)
			}
			if !strings.Contains(got.Text, tt.text) {
				t.Fatalf("the text lacks %q: %s", tt.text, got.Text)
			}
		})
	}
}

func TestAPrivateCAIsTrusted(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		succeed(w, r.Form)
	}))
	t.Cleanup(server.Close)
	evidence := passed(t, sessions(variables{"AWS_ENDPOINT_URL": server.URL, "AWS_CA_BUNDLE": bundle(t, server)}), check(keys()))
	if evidence.Identity == nil || evidence.Identity.ARN != user {
		t.Fatalf("got %+v", evidence)
	}
}

func TestTheCallersEndIsNoTimeOut(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	aws := newStub(t, answers{"GetCallerIdentity": func(w http.ResponseWriter, r *http.Request) {
		cancel()
		hang(w, r)
	}})
	evidence := sessions(aws.env(nil)).Validate(ctx, check(keys()))
	if f := evidence.Failure; f == nil || f.Reason != connector.ReasonNone || f.Code != "" {
		t.Fatalf("got %+v", f)
	}
}

// A test that ends while the SDK waits for its next try tells what the last try met.
func TestATimeOutBetweenTriesTellsTheLastAnswer(t *testing.T) {
	t.Parallel()
	aws := newStub(t, answers{"GetCallerIdentity": stsError(400, "Throttling", "Rate exceeded")})
	one := check(keys())
	one.Access.Backoff, one.Timeout = patient(), 2*time.Second
	f := failed(t, sessions(aws.env(nil)), one)
	if f.Code != "Throttling" || f.Reason != connector.ReasonNone || f.Status != 400 || f.Attempts != 1 || !strings.Contains(f.Text, "deadline exceeded") {
		t.Fatalf("got %+v", f)
	}
}

// An endpoint that repeats what it was sent must not bring it into the evidence.
func TestNoSecretGetsIntoTheEvidence(t *testing.T) {
	t.Parallel()
	const token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJiZWxheSJ9.c2lnbmF0dXJl"
	session := strings.Repeat("FwoGZXIvYXdzEBYaD+/=", 20)
	repeat := func(leaks []string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprintf(w, "%s Authorization: %s\nX-Amz-Security-Token: %s", strings.Join(leaks, " "), r.Header.Get("Authorization"), r.Header.Get("X-Amz-Security-Token"))
		}
	}
	inError := func(leaks []string) http.HandlerFunc {
		return stsError(403, "AccessDenied", "you sent "+strings.Join(leaks, " and "))
	}
	static := connector.StaticKeys{AccessKey: "ASIA", SecretKey: secret.NewValue(secretKey), SessionToken: secret.NewValue(session)}
	for name, tt := range map[string]struct {
		source connector.Source
		leaks  []string
		answer func([]string) http.HandlerFunc
		env    variables
	}{
		"a page that repeats a static key":            {static, []string{secretKey, url.QueryEscape(secretKey), session}, repeat, nil},
		"an error of AWS that repeats it":             {static, []string{secretKey, session}, inError, nil},
		"an error that repeats a web identity token":  {connector.WebIdentityToken{RoleARN: role, Token: secret.NewValue(token)}, []string{token}, inError, nil},
		"a container endpoint that repeats its token": {connector.DelegateRole{}, []string{"container-token"}, repeat, variables{"AWS_CONTAINER_AUTHORIZATION_TOKEN": "container-token"}},
		"a page that repeats a key of the process": {
			connector.DelegateRole{},
			[]string{secretKey, session},
			repeat,
			variables{"AWS_ACCESS_KEY_ID": "ASIA", "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_SESSION_TOKEN": session},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := tt.answer(tt.leaks)
			aws := newStub(t, answers{"GetCallerIdentity": answer, "AssumeRoleWithWebIdentity": answer, "": answer})
			env := aws.env(tt.env).with(variables{"AWS_CONTAINER_CREDENTIALS_FULL_URI": aws.URL})
			f := failed(t, sessions(env), check(tt.source))
			whole := fmt.Sprintf("%+v", f)
			for _, leak := range append(tt.leaks, "Signature=") {
				if strings.Contains(whole, leak) {
					t.Fatalf("%q is in the evidence: %s", leak, whole)
				}
			}
			if f.Text == "" || len(f.Text) > 2<<10 || len(f.Message) > 2<<10 {
				t.Fatalf("the texts are %d and %d bytes long", len(f.Text), len(f.Message))
			}
		})
	}
}

func TestALongAnswerIsCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for n := range 4 {
		got := awsops.Clean(strings.Repeat("x", n)+strings.Repeat("é€𝄞", 2000), nil)
		if len(got) > 2<<10 || !strings.HasSuffix(got, "…") || strings.ContainsRune(got, '\uFFFD') {
			t.Fatalf("%d bytes, ends %q", len(got), got[len(got)-8:])
		}
	}
}
