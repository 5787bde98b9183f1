package awsops_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/belaytest"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/secret"
)

// ask calls moto without a signature, to prepare users and policies. It is for before enforcement.
func ask(t *testing.T, moto *belaytest.MotoServer, service string, form url.Values) string {
	t.Helper()
	form.Set("Version", "2010-05-08")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, moto.URL, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s %v", form.Get("Action"), answer.StatusCode, body, err)
	}
	return string(body)
}

// newUser makes a user with a policy that allows some actions, and a key of it.
func newUser(t *testing.T, moto *belaytest.MotoServer, name string, actions ...string) connector.StaticKeys {
	t.Helper()
	name += "-" + strings.ToLower(rand.Text()) // the same moto serves every run of -count
	ask(t, moto, "iam", url.Values{"Action": {"CreateUser"}, "UserName": {name}})
	statement, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{"Effect": "Allow", "Action": actions, "Resource": "*"}}})
	if err != nil {
		t.Fatal(err)
	}
	ask(t, moto, "iam", url.Values{"Action": {"PutUserPolicy"}, "UserName": {name}, "PolicyName": {"p"}, "PolicyDocument": {string(statement)}})
	body := ask(t, moto, "iam", url.Values{"Action": {"CreateAccessKey"}, "UserName": {name}})
	find := func(element string) string {
		return regexp.MustCompile("<" + element + ">([^<]*)<").FindStringSubmatch(body)[1]
	}
	return connector.StaticKeys{AccessKey: find("AccessKeyId"), SecretKey: secret.NewValue(find("SecretAccessKey"))}
}

// The AWS CLI, a client that is not ours, agrees with the identity that was found.
func cliAgrees(t *testing.T, moto *belaytest.MotoServer, env variables, got *connector.Identity) {
	t.Helper()
	list := []string{"AWS_ENDPOINT_URL=" + moto.URL, "AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region}
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	text, err := belaytest.AWSCLI(t, list, "sts", "get-caller-identity", "--output", "json")
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		ARN     string `json:"Arn"`
		Account string `json:"Account"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		t.Fatal(err)
	}
	if got == nil || got.Account != said.Account || withoutSession(got.ARN) != withoutSession(said.ARN) {
		t.Fatalf("we found %+v, the AWS CLI %+v", got, said)
	}
}

// withoutSession drops the name of the session, which is each client's own.
func withoutSession(arn string) string {
	if before, after, ok := strings.Cut(arn, ":assumed-role/"); ok {
		role, _, _ := strings.Cut(after, "/")
		return before + ":assumed-role/" + role
	}
	return arn
}

// Each way to a credential, against services that others wrote. moto checks no trust and no web identity token; what it
// is asked for is tested beside this, and here that the whole way works.
func TestEachCredentialAgainstRealCounterparts(t *testing.T) {
	t.Parallel()
	moto := belaytest.SharedMoto(t)
	base := variables{"AWS_ENDPOINT_URL": moto.URL}
	t.Run("access key", func(t *testing.T) {
		t.Parallel()
		key := newUser(t, moto, "awsops-access-key", "*")
		evidence := passed(t, sessions(base), check(key))
		if !strings.Contains(evidence.Identity.ARN, ":user/awsops-access-key") || !slices.Contains(evidence.Regions, "eu-central-1") {
			t.Fatalf("got %+v", evidence)
		}
		cliAgrees(t, moto, variables{"AWS_ACCESS_KEY_ID": key.AccessKey, "AWS_SECRET_ACCESS_KEY": key.SecretKey.Reveal()}, evidence.Identity)
	})
	t.Run("environment", func(t *testing.T) {
		t.Parallel()
		key := newUser(t, moto, "awsops-environment", "*")
		env := variables{"AWS_ACCESS_KEY_ID": key.AccessKey, "AWS_SECRET_ACCESS_KEY": key.SecretKey.Reveal()}
		evidence := passed(t, sessions(base.with(env)), check(connector.DelegateRole{}))
		cliAgrees(t, moto, env, evidence.Identity)
	})
	t.Run("instance metadata", func(t *testing.T) {
		t.Parallel()
		service := belaytest.MetadataMock(t)
		env := variables{"AWS_EC2_METADATA_SERVICE_ENDPOINT": service.URL, "AWS_EC2_METADATA_DISABLED": "false"}
		evidence := passed(t, sessions(base.with(env)), check(connector.DelegateRole{}))
		cliAgrees(t, moto, env, evidence.Identity)
	})
	t.Run("container endpoint with a token file", func(t *testing.T) {
		t.Parallel()
		agent := container(t, "pod-identity-token")
		env := variables{
			"AWS_CONTAINER_CREDENTIALS_FULL_URI":     agent.URL + "/v1/credentials",
			"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": file(t, "token", "pod-identity-token"),
		}
		evidence := passed(t, sessions(base.with(env)), check(connector.DelegateRole{}))
		cliAgrees(t, moto, env, evidence.Identity)
	})
	t.Run("IRSA", func(t *testing.T) {
		t.Parallel()
		env := variables{"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/irsa", "AWS_WEB_IDENTITY_TOKEN_FILE": file(t, "token", "header.payload.signature")}
		evidence := passed(t, sessions(base.with(env)), check(connector.WebIdentityFile{}))
		if !strings.Contains(evidence.Identity.ARN, ":assumed-role/irsa/belay-aws") {
			t.Fatalf("got %+v", evidence.Identity)
		}
		cliAgrees(t, moto, env, evidence.Identity)
	})
	t.Run("cross-account", func(t *testing.T) {
		t.Parallel()
		key := newUser(t, moto, "awsops-cross-account", "*")
		one := check(key)
		one.Access.CrossAccount = &connector.CrossAccount{RoleARN: role, ExternalID: "shared"}
		evidence := passed(t, sessions(base), one)
		if evidence.Identity.Account != "222222222222" || evidence.Identity.ARN != "arn:aws:sts::222222222222:assumed-role/deploy/belay-aws" {
			t.Fatalf("got %+v", evidence.Identity)
		}
		cliAgrees(t, moto, variables{
			"AWS_CONFIG_FILE":             file(t, "config", fmt.Sprintf("[profile deploy]\nrole_arn = %s\nexternal_id = shared\nsource_profile = base\n", role)),
			"AWS_SHARED_CREDENTIALS_FILE": file(t, "credentials", fmt.Sprintf("[base]\naws_access_key_id = %s\naws_secret_access_key = %s\n", key.AccessKey, key.SecretKey.Reveal())),
			"AWS_PROFILE":                 "deploy",
		}, evidence.Identity)
	})
	t.Run("GovCloud", func(t *testing.T) {
		t.Parallel()
		one := check(keys())
		one.Access.Region = "us-gov-west-1"
		evidence := passed(t, sessions(base), one)
		if !strings.HasPrefix(evidence.Identity.ARN, "arn:aws-us-gov:") {
			t.Fatalf("got %+v", evidence.Identity)
		}
	})
}

// Where moto checks truthfully: keys, secrets, and an action that no policy allows.
func TestRefusalsOfARealCounterpart(t *testing.T) {
	t.Parallel()
	moto := belaytest.Moto(t)
	allowed := newUser(t, moto, "allowed", "sts:*", "ec2:DescribeRegions")
	identityOnly := newUser(t, moto, "identity-only", "sts:*")
	moto.Enforce(t)
	s := sessions(variables{"AWS_ENDPOINT_URL": moto.URL})

	evidence := passed(t, s, check(allowed))
	if len(evidence.Regions) == 0 {
		t.Fatalf("got %+v", evidence)
	}
	f := failed(t, s, check(identityOnly))
	// AWS says UnauthorizedOperation here; moto has AccessDenied.
	if f.Step != connector.StepRegions || f.Operation != "DescribeRegions" || f.Code != "AccessDenied" || f.Status != 403 || !strings.Contains(f.Message, "is not authorized to perform: ec2:DescribeRegions") {
		t.Fatalf("without permission: %+v", f)
	}
	one := check(identityOnly)
	one.IdentityOnly = true
	passed(t, s, one)

	wrong := allowed
	wrong.SecretKey = secret.NewValue(secretKey)
	if f := failed(t, s, check(wrong)); f.Step != connector.StepIdentity || f.Code != "SignatureDoesNotMatch" || f.Status != 403 || f.Attempts != 2 {
		t.Fatalf("with a wrong secret: %+v", f)
	}
	if f := failed(t, s, check(keys())); f.Step != connector.StepIdentity || f.Code != "InvalidClientTokenId" || f.Status != 403 || f.Reason != connector.ReasonNone {
		t.Fatalf("with an unknown key: %+v", f)
	}
}
