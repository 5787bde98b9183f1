package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/belaytest"
)

const (
	motoAccount  = "123456789012" // of keys that moto does not know
	otherAccount = "222222222222"
)

// identity is what the AWS CLI says of the same credentials.
func identity(t *testing.T, env ...string) string {
	t.Helper()
	out, err := belaytest.AWSCLI(t, append([]string{"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1"}, env...), "sts", "get-caller-identity", "--output", "json")
	if err != nil {
		t.Fatal(err)
	}
	var who struct{ Arn string }
	if err := json.Unmarshal(out, &who); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return who.Arn
}

func green(t *testing.T, got tested) {
	t.Helper()
	if got.Status != "SUCCESS" || got.Identity == nil || got.RegionCount == 0 {
		t.Fatalf("not green: %s", got)
	}
}

func TestAccessKeyOnADelegateAndThroughThePlatform(t *testing.T) {
	t.Parallel()
	moto := belaytest.SharedMoto(t)
	m := startManager(t, "AWS_ENDPOINT_URL="+moto.URL)
	m.delegate("d1", "AWS_ENDPOINT_URL="+moto.URL)
	m.secret("sk", "secret-key-of-the-test")
	manual := map[string]any{"type": "ManualConfig", "spec": map[string]any{"accessKey": "AKIAIOSFODNN7EXAMPLE", "secretKeyRef": "account.sk"}}
	m.connector("on_delegate", manual, nil)
	m.connector("on_platform", manual, map[string]any{"executeOnDelegate": false})

	want := identity(t, "AWS_ENDPOINT_URL="+moto.URL, "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=secret-key-of-the-test")
	for id, by := range map[string]string{"on_delegate": "d1", "on_platform": "platform"} {
		got := m.test(id, nil)
		green(t, got)
		if got.Identity.ARN != want || got.Delegate != by {
			t.Errorf("%s: identity %s by %s; the AWS CLI says %s", id, got.Identity.ARN, got.Delegate, want)
		}
	}
}

func TestDelegatesOwnRoleFromInstanceMetadata(t *testing.T) {
	t.Parallel()
	moto, metadata := belaytest.SharedMoto(t), belaytest.MetadataMock(t)
	m := startManager(t)
	m.delegate("ec2", "AWS_ENDPOINT_URL="+moto.URL, "AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT="+metadata.URL)
	m.connector("own", map[string]any{"type": "InheritFromDelegate"}, map[string]any{"delegateSelectors": []string{"ec2"}})
	got := m.test("own", nil)
	green(t, got)
	// The CLI refuses what the mock hands out, because it expired in 2020; the SDK prolongs it as on a real instance when
	// metadata is down. So the CLI gets the same keys without their date.
	want := identity(t, append([]string{"AWS_ENDPOINT_URL=" + moto.URL}, instanceKeys(t, metadata.URL)...)...)
	if got.Identity.ARN != want {
		t.Errorf("identity %s; the AWS CLI says %s", got.Identity.ARN, want)
	}
}

// instanceKeys asks instance metadata for the role's keys, as version 2 of it wants to be asked.
func instanceKeys(t *testing.T, url string) []string {
	t.Helper()
	ask := func(method, path, header, value string) string {
		r, err := http.NewRequestWithContext(t.Context(), method, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(header, value)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		return readAll(t, answer)
	}
	const token, role = "X-aws-ec2-metadata-token", "/latest/meta-data/iam/security-credentials/"
	session := ask(http.MethodPut, "/latest/api/token", token+"-ttl-seconds", "60")
	var keys struct{ AccessKeyId, SecretAccessKey, Token string }
	if err := json.Unmarshal([]byte(ask(http.MethodGet, role+ask(http.MethodGet, role, token, session), token, session)), &keys); err != nil {
		t.Fatal(err)
	}
	return []string{"AWS_ACCESS_KEY_ID=" + keys.AccessKeyId, "AWS_SECRET_ACCESS_KEY=" + keys.SecretAccessKey, "AWS_SESSION_TOKEN=" + keys.Token}
}

func TestDelegatesOwnRoleFromTheContainerEndpoint(t *testing.T) {
	t.Parallel()
	moto := belaytest.SharedMoto(t)
	const token = "pod-identity-token-of-the-test"
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != token {
			http.Error(w, "Access Denied.", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"AccessKeyId":"ASIAPODIDENTITY","SecretAccessKey":"s","Token":"t","AccountId":%q,"Expiration":%q}`,
			motoAccount, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	t.Cleanup(endpoint.Close)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	m := startManager(t)
	container := []string{"AWS_ENDPOINT_URL=" + moto.URL, "AWS_CONTAINER_CREDENTIALS_FULL_URI=" + endpoint.URL + "/v1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=" + file}
	m.delegate("eks", container...)
	m.connector("own", map[string]any{"type": "InheritFromDelegate"}, nil)
	got := m.test("own", nil)
	green(t, got)
	if want := identity(t, container...); got.Identity.ARN != want {
		t.Errorf("identity %s; the AWS CLI says %s", got.Identity.ARN, want)
	}
}

func TestDelegatesOwnRoleFromTheEnvironment(t *testing.T) {
	t.Parallel()
	moto := belaytest.SharedMoto(t)
	m := startManager(t)
	env := []string{"AWS_ENDPOINT_URL=" + moto.URL, "AWS_ACCESS_KEY_ID=AKIAENVIRONMENT", "AWS_SECRET_ACCESS_KEY=s"}
	m.delegate("vm", env...)
	m.connector("own", map[string]any{"type": "InheritFromDelegate"}, nil)
	got := m.test("own", nil)
	green(t, got)
	if want := identity(t, env...); got.Identity.ARN != want {
		t.Errorf("identity %s; the AWS CLI says %s", got.Identity.ARN, want)
	}
}

func TestIRSAWithATokenFile(t *testing.T) {
	t.Parallel()
	moto := belaytest.SharedMoto(t) // moto does not read the token: what AWS refuses is not proved here
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("header.claims.signature"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := startManager(t)
	env := []string{"AWS_ENDPOINT_URL=" + moto.URL, "AWS_ROLE_ARN=arn:aws:iam::" + motoAccount + ":role/delegate", "AWS_WEB_IDENTITY_TOKEN_FILE=" + file, "AWS_ROLE_SESSION_NAME=e2e"}
	m.delegate("irsa", env...)
	m.connector("irsa", map[string]any{"type": "Irsa"}, map[string]any{"delegateSelectors": []string{"irsa"}})
	got := m.test("irsa", nil)
	green(t, got)
	if want := identity(t, env...); got.Identity.ARN != want || !strings.Contains(want, "assumed-role/delegate/") {
		t.Errorf("identity %s; the AWS CLI says %s", got.Identity.ARN, want)
	}
}

func TestIRSAWithoutItsVariablesNamesThem(t *testing.T) {
	t.Parallel()
	m := startManager(t)
	m.delegate("plain")
	m.connector("irsa", map[string]any{"type": "Irsa"}, nil)
	got := m.test("irsa", nil)
	if got.Status != "FAILURE" || got.Diagnosis.Code != "BLY-2109" || !strings.Contains(got.Diagnosis.Cause, "AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE are not set on delegate plain") {
		t.Fatalf("got %s", got)
	}
}

func TestCrossAccount(t *testing.T) {
	t.Parallel()
	moto := belaytest.SharedMoto(t) // moto does not check trust across accounts: only who one becomes is proved here
	m := startManager(t)
	m.delegate("d1", "AWS_ENDPOINT_URL="+moto.URL, "AWS_ACCESS_KEY_ID=AKIAENVIRONMENT", "AWS_SECRET_ACCESS_KEY=s")
	m.connector("cross", map[string]any{
		"type":               "InheritFromDelegate",
		"crossAccountAccess": map[string]any{"crossAccountRoleArn": "arn:aws:iam::" + otherAccount + ":role/deploy", "externalId": "ext-42"},
	}, nil)
	got := m.test("cross", nil)
	green(t, got)
	if got.Identity.Account != otherAccount || !strings.Contains(got.Identity.ARN, ":assumed-role/deploy/belay-cross") {
		t.Fatalf("got %s", got)
	}
}

// With enforcement on, moto tells the truth about keys, secrets and permissions.
func TestRefusalsAgainstMotoWithEnforcement(t *testing.T) {
	t.Parallel()
	moto := belaytest.Moto(t)
	admin := []string{"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_ENDPOINT_URL=" + moto.URL, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test"}
	aws := func(args ...string) string {
		t.Helper()
		out, err := belaytest.AWSCLI(t, admin, args...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	user := func(name, policy string) (key, secret string) {
		t.Helper()
		aws("iam", "create-user", "--user-name", name)
		if policy != "" {
			aws("iam", "put-user-policy", "--user-name", name, "--policy-name", "p", "--policy-document", policy)
		}
		fields := strings.Fields(aws("iam", "create-access-key", "--user-name", name, "--query", "AccessKey.[AccessKeyId,SecretAccessKey]", "--output", "text"))
		return fields[0], fields[1]
	}
	good, goodSecret := user("good", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:DescribeRegions","Resource":"*"}]}`)
	poor, poorSecret := user("poor", "")
	moto.Enforce(t)

	m := startManager(t)
	m.delegate("d1", "AWS_ENDPOINT_URL="+moto.URL)
	m.secret("good", goodSecret)
	m.secret("poor", poorSecret)
	m.secret("wrong", "this-is-not-the-secret-of-anyone")
	connector := func(id, key, ref, region string) {
		m.connector(id, map[string]any{"type": "ManualConfig", "region": region, "spec": map[string]any{"accessKey": key, "secretKeyRef": "account." + ref}}, map[string]any{
			"awsSdkClientBackOffStrategyOverride": map[string]any{"type": "FixedDelayBackoffStrategy", "spec": map[string]any{"fixedBackoff": 10, "retryCount": 1}},
		})
	}
	connector("good", good, "good", "us-east-1")
	connector("no_describe_regions", poor, "poor", "us-east-1")
	connector("wrong_secret", good, "wrong", "us-east-1")
	connector("unknown_key", "AKIANOBODYHASTHIS000", "good", "us-east-1")
	connector("other_partition", good, "good", "us-gov-west-1")

	green(t, m.test("good", nil))
	green2 := m.test("no_describe_regions", map[string]any{"identityOnly": true})
	if green2.Status != "SUCCESS" {
		t.Errorf("without DescribeRegions the identity alone must do: %s", green2)
	}
	for id, want := range map[string]string{
		"no_describe_regions": "BLY-2104", "wrong_secret": "BLY-2102", "unknown_key": "BLY-2101", "other_partition": "BLY-2106",
	} {
		got := m.test(id, nil)
		if got.Status != "FAILURE" || got.Diagnosis.Code != want {
			t.Errorf("%s: want %s, got %s", id, want, got)
		}
	}
}
