package awsops_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/secret"
)

const containerKeys = `{"AccessKeyId":"ASIACONTAINER","SecretAccessKey":"s","Token":"t","Expiration":%q}`

// container is a credentials endpoint that gives keys to who sends the token.
func container(t *testing.T, token string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != token {
			page(400, "text/plain", "Service account token cannot be empty")(w, r)
			return
		}
		_, _ = fmt.Fprintf(w, containerKeys, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	t.Cleanup(server.Close)
	return server
}

// signer is the access key that signed the only call of an action.
func signer(t *testing.T, aws *stub, action string) string {
	t.Helper()
	calls := aws.seen(action)
	if len(calls) != 1 {
		t.Fatalf("%s was called %d times", action, len(calls))
	}
	_, after, _ := strings.Cut(calls[0].header.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(after, "/")
	return key
}

// The first source that is configured is used, in the order of the AWS SDKs.
func TestTheChainHasTheSDKsOrder(t *testing.T) {
	t.Parallel()
	endpoint := container(t, "")
	instance := metadata{}.start(t)
	environment := variables{"AWS_ACCESS_KEY_ID": "AKIAENVIRONMENT", "AWS_SECRET_ACCESS_KEY": "s"}
	web := variables{"AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": file(t, "token", "a.b.c")}
	profile := variables{"AWS_SHARED_CREDENTIALS_FILE": file(t, "credentials", "[default]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = s\n")}
	box := variables{"AWS_CONTAINER_CREDENTIALS_FULL_URI": endpoint.URL}
	last := variables{"AWS_EC2_METADATA_SERVICE_ENDPOINT": instance, "AWS_EC2_METADATA_DISABLED": ""}
	for name, tt := range map[string]struct {
		env  variables
		want string
	}{
		"environment before web identity":  {environment.with(web).with(profile).with(box).with(last), "AKIAENVIRONMENT"},
		"web identity before the profile":  {web.with(profile).with(box).with(last), "ASIAAssumeRoleWithWebIdentity"},
		"the profile before the container": {profile.with(box).with(last), "AKIAPROFILE"},
		"the container before metadata":    {box.with(last), "ASIACONTAINER"},
		"instance metadata last":           {last, "ASIAINSTANCE"},
		"half a key does not count":        {variables{"AWS_ACCESS_KEY_ID": "AKIAENVIRONMENT"}.with(box), "ASIACONTAINER"},
		"the names of old SDKs count":      {variables{"AWS_ACCESS_KEY": "AKIAOLD", "AWS_SECRET_KEY": "s"}.with(box), "AKIAOLD"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aws := newStub(t, nil)
			passed(t, sessions(aws.env(tt.env)), check(connector.DelegateRole{}))
			if got := signer(t, aws, "GetCallerIdentity"); got != tt.want {
				t.Fatalf("signed with %s, want %s", got, tt.want)
			}
		})
	}
}

// A source that is configured and fails is the failure; later ones are not tried.
func TestAConfiguredSourceThatFailsEndsTheChain(t *testing.T) {
	t.Parallel()
	agent := container(t, "right")
	refused := refusing(t)
	for name, tt := range map[string]struct {
		env    variables
		reason connector.Reason
		source string // of the last one tried
		answer string
		status int
		host   string
	}{
		"a container endpoint where nobody listens": {
			variables{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://" + refused + "/v1"},
			connector.ReasonNoCredentials, "container endpoint", "connection refused", 0, refused,
		},
		"a container endpoint that refuses": {
			variables{"AWS_CONTAINER_CREDENTIALS_FULL_URI": agent.URL},
			connector.ReasonNoCredentials, "container endpoint", "HTTP 400: Service account token cannot be empty", 400, agent.Listener.Addr().String(),
		},
		"a container endpoint that refuses with a code": {
			variables{"AWS_CONTAINER_CREDENTIALS_FULL_URI": serve(t, page(404, "application/json", `{"code":"ResourceNotFound","message":"No association for this pod"}`))},
			connector.ReasonNoCredentials, "container endpoint", "HTTP 404: ResourceNotFound No association for this pod", 404, "",
		},
		"a container endpoint that answers null": {
			variables{"AWS_CONTAINER_CREDENTIALS_FULL_URI": serve(t, page(200, "application/json", "null"))},
			connector.ReasonNoCredentials, "container endpoint", "HTTP 200, without credentials", 200, "",
		},
		"a container endpoint that refuses with null": {
			variables{"AWS_CONTAINER_CREDENTIALS_FULL_URI": serve(t, page(400, "application/json", "null"))},
			connector.ReasonNoCredentials, "container endpoint", "HTTP 400:", 400, "",
		},
		"a container endpoint elsewhere over plain HTTP": {
			variables{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://10.1.2.3/v1"},
			connector.ReasonNoCredentials, "container endpoint", "the host 10.1.2.3 is not allowed over plain HTTP: only this machine and the endpoints of ECS and EKS are", 0, "-",
		},
		"a container endpoint that is no URL": {
			variables{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://[::1"},
			connector.ReasonNoCredentials, "container endpoint", "it is no URL", 0, "-",
		},
		"a token file of the container that is not there": {
			variables{"AWS_CONTAINER_CREDENTIALS_FULL_URI": agent.URL, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/nowhere/token"},
			connector.ReasonNoCredentials, "container endpoint", "its authorization token cannot be read: open /nowhere/token: no such file or directory", 0, agent.Listener.Addr().String(),
		},
		"a web identity token file that is not there": {
			variables{"AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere/token"},
			connector.ReasonTokenFile, "web identity", "web identity token: open /nowhere/token: no such file or directory", 0, "-",
		},
		"a web identity without a role": {
			variables{"AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere/token"},
			connector.ReasonVariablesAbsent, "web identity", "the environment lacks AWS_ROLE_ARN", 0, "-",
		},
		"a profile that was named and is not there": {
			variables{"AWS_PROFILE": "work", "AWS_CONFIG_FILE": file(t, "config", "[default]\nregion = eu-west-1\n")},
			connector.ReasonNoCredentials, "profile work", "failed to get shared config profile, work", 0, "-",
		},
		"a profile that was named without files": {
			variables{"AWS_PROFILE": "work"},
			connector.ReasonNoCredentials, "profile work", `AWS_PROFILE names the profile "work", but there is no such file`, 0, "-",
		},
		"a profile whose process fails": {
			variables{"AWS_CONFIG_FILE": file(t, "config", "[default]\ncredential_process = false\n")},
			connector.ReasonNoCredentials, "profile default", "", 0, "-",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aws := newStub(t, nil)
			env := aws.env(tt.env).with(variables{"AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": serve(t, func(http.ResponseWriter, *http.Request) {
				t.Error("instance metadata was asked, though an earlier source is configured")
			})})
			f := failed(t, sessions(env), check(connector.DelegateRole{}))
			if f.Step != connector.StepCredentials || f.Reason != tt.reason || f.Status != tt.status || len(f.Sources) == 0 {
				t.Fatalf("got %+v", f)
			}
			if last := f.Sources[len(f.Sources)-1]; last.Name != tt.source || tt.answer != "" && last.Answer != tt.answer {
				t.Fatalf("the last source is %+v\n%s", last, f.Text)
			}
			switch {
			case tt.host == "-" && f.Host != "":
				t.Fatalf("the host is %q", f.Host)
			case tt.host != "-" && tt.host != "" && f.Host != tt.host:
				t.Fatalf("the host is %q, want %q", f.Host, tt.host)
			}
			if len(aws.seen("GetCallerIdentity")) > 0 {
				t.Fatal("AWS was called without credentials")
			}
		})
	}
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func TestTheContainersTokenFileIsReadAnew(t *testing.T) {
	t.Parallel()
	agent, aws := container(t, "pod-token"), newStub(t, nil)
	env := aws.env(variables{
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": agent.URL + "/v1/credentials",
		// A line break at the end is no part of a token. The SDK alone refuses it.
		"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": file(t, "token", "pod-token\n"),
	})
	passed(t, sessions(env), check(connector.DelegateRole{}))
	if got := signer(t, aws, "DescribeRegions"); got != "ASIACONTAINER" {
		t.Fatalf("signed with %s", got)
	}
}

// A stale key in the environment hides every later source: the evidence of its refusal says where it came from.
func TestARefusedKeyOfTheDelegateTellsItsSource(t *testing.T) {
	t.Parallel()
	aws := newStub(t, answers{"GetCallerIdentity": stsError(403, "InvalidClientTokenId", "The security token included in the request is invalid.")})
	f := failed(t, sessions(aws.env(variables{"AWS_ACCESS_KEY_ID": "AKIASTALE", "AWS_SECRET_ACCESS_KEY": "stale"})), check(connector.DelegateRole{}))
	want := []connector.SourceTried{{Name: "environment", Asked: "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY", Answer: "gave credentials"}}
	if diff := cmp.Diff(want, f.Sources); diff != "" || f.Code != "InvalidClientTokenId" {
		t.Fatalf("got %+v\n%s", f, diff)
	}
}

// A profile can have a role of its own; the SDK makes the STS client for it, and that one must find the endpoint too.
func TestAProfilesRoleIsAssumedAtTheConfiguredEndpoint(t *testing.T) {
	t.Parallel()
	aws := newStub(t, nil)
	env := aws.env(variables{
		"AWS_PROFILE":                 "work",
		"AWS_SHARED_CREDENTIALS_FILE": file(t, "credentials", "[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = s\n"),
		"AWS_CONFIG_FILE":             file(t, "config", "[profile work]\nrole_arn = "+role+"\nsource_profile = base\n"),
	})
	passed(t, sessions(env), check(connector.DelegateRole{}))
	if got := signer(t, aws, "AssumeRole"); got != "AKIABASE" {
		t.Fatalf("the role was assumed with %s", got)
	}
	t.Run("and its refusal is of the first credentials", func(t *testing.T) {
		t.Parallel()
		aws := newStub(t, answers{"AssumeRole": stsError(403, "AccessDenied", "no")})
		f := failed(t, sessions(env.with(variables{"AWS_ENDPOINT_URL": aws.URL})), check(connector.DelegateRole{}))
		if f.Step != connector.StepCredentials || f.Operation != "AssumeRole" || f.Code != "AccessDenied" || f.Attempts != 1 {
			t.Fatalf("got %+v", f)
		}
	})
}

func TestEveryClientFindsItsEndpoint(t *testing.T) {
	t.Parallel()
	broken := serve(t, page(500, "text/plain", "this is not the endpoint"))
	for name, env := range map[string]func(sts, ec2 string) variables{
		"one of each service": func(sts, ec2 string) variables {
			return variables{"AWS_ENDPOINT_URL_STS": sts, "AWS_ENDPOINT_URL_EC2": ec2}
		},
		"its own before the common one": func(sts, ec2 string) variables {
			return variables{"AWS_ENDPOINT_URL_STS": sts, "AWS_ENDPOINT_URL_EC2": ec2, "AWS_ENDPOINT_URL": broken}
		},
		"the common one": func(sts, ec2 string) variables {
			return variables{"AWS_ENDPOINT_URL_STS": sts, "AWS_ENDPOINT_URL": ec2}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sts, ec2 := newStub(t, nil), newStub(t, nil)
			one := check(connector.WebIdentityFile{})
			one.Access.CrossAccount = &connector.CrossAccount{RoleARN: role}
			env := env(sts.URL, ec2.URL).with(variables{"AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": file(t, "token", "a.b.c")})
			passed(t, sessions(env), one)
			for _, action := range []string{"AssumeRoleWithWebIdentity", "AssumeRole", "GetCallerIdentity"} {
				if len(sts.seen(action)) != 1 {
					t.Fatalf("%s did not reach the endpoint of STS", action)
				}
			}
			if len(ec2.seen("DescribeRegions")) != 1 {
				t.Fatal("DescribeRegions did not reach the endpoint of EC2")
			}
		})
	}
}

// Which host is called without any endpoint set: regional always, and FIPS or dual-stack if the environment says so.
func TestTheSDKsOwnEndpoints(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		region string
		env    variables
		want   string
	}{
		"regional":                       {"eu-west-1", nil, "sts.eu-west-1.amazonaws.com:443"},
		"regional in us-east-1 too":      {"us-east-1", nil, "sts.us-east-1.amazonaws.com:443"},
		"FIPS":                           {"us-east-1", variables{"AWS_USE_FIPS_ENDPOINT": "true"}, "sts-fips.us-east-1.amazonaws.com:443"},
		"dual-stack":                     {"us-east-1", variables{"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "sts.us-east-1.api.aws:443"},
		"another partition":              {"cn-north-1", nil, "sts.cn-north-1.amazonaws.com.cn:443"},
		"configured ones can be ignored": {"us-east-1", variables{"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, "sts.us-east-1.amazonaws.com:443"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan string, 1)
			proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
				asked <- r.Host
				w.WriteHeader(http.StatusForbidden)
			})
			s := sessions(tt.env)
			s.Proxy = through(proxy)
			one := check(keys())
			one.Access.Region = tt.region
			failed(t, s, one)
			if got := <-asked; got != tt.want {
				t.Fatalf("%s was called, want %s", got, tt.want)
			}
		})
	}
}

func TestWhatSTSIsAskedFor(t *testing.T) {
	t.Parallel()
	aws := newStub(t, nil)
	one := check(connector.WebIdentityToken{RoleARN: role, Token: secret.NewValue("a.b.c")})
	one.Access.Name = "my connector/é"
	one.Access.CrossAccount = &connector.CrossAccount{RoleARN: role, ExternalID: "shared", SessionDuration: 20 * time.Minute}
	passed(t, sessions(aws.env(nil)), one)
	exchange, assume := aws.seen("AssumeRoleWithWebIdentity")[0].form, aws.seen("AssumeRole")[0].form
	for what, pair := range map[string][2]string{
		"the token":                  {exchange.Get("WebIdentityToken"), "a.b.c"},
		"the role of the exchange":   {exchange.Get("RoleArn"), role},
		"the session of the token":   {exchange.Get("RoleSessionName"), "belay-my-connector--"},
		"the role":                   {assume.Get("RoleArn"), role},
		"the external id":            {assume.Get("ExternalId"), "shared"},
		"the session":                {assume.Get("RoleSessionName"), "belay-my-connector--"},
		"the duration":               {assume.Get("DurationSeconds"), "1200"},
		"who signs the second call":  {signer(t, aws, "AssumeRole"), "ASIAAssumeRoleWithWebIdentity"},
		"who signs the call of test": {signer(t, aws, "GetCallerIdentity"), "ASIAAssumeRole"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", what, pair[0], pair[1])
		}
	}
	if got := aws.seen("AssumeRoleWithWebIdentity")[0].header.Get("Authorization"); got != "" {
		t.Errorf("the exchange of the token is signed: %s", got)
	}
}
