package nextgen_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/nextgen"
	"github.com/belay-dev/belay/internal/scope"
)

const account = "acct"

func read(tb testing.TB, text string) nextgen.Connector {
	tb.Helper()
	var b nextgen.ConnectorEnvelope
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return b.Connector
}

func TestWhatIsSentComesBack(t *testing.T) {
	t.Parallel()
	const connectorOf = `{"name":"n","identifier":"n","type":"Aws","spec":%s}`
	for name, spec := range map[string]string{
		"a plain access key":           `{"credential":{"type":"ManualConfig","spec":{"accessKey":"AKIAEXAMPLE","secretKeyRef":"account.sk"}},"executeOnDelegate":false,"proxy":false,"ignoreTestConnection":false}`,
		"an access key by reference":   `{"credential":{"type":"ManualConfig","spec":{"accessKeyRef":"ak","secretKeyRef":"sk","sessionTokenRef":"org.st"}},"proxy":false,"ignoreTestConnection":false}`,
		"the delegate's own role":      `{"credential":{"type":"InheritFromDelegate"},"delegateSelectors":["b","a"],"executeOnDelegate":true,"proxy":false,"ignoreTestConnection":false}`,
		"IRSA, with false for execute": `{"credential":{"type":"Irsa","region":"us-gov-west-1"},"delegateSelectors":["eks"],"executeOnDelegate":false,"proxy":false,"ignoreTestConnection":true}`,
		"OIDC without tags":            `{"credential":{"type":"OidcAuthentication","spec":{"iamRoleArn":"test"}},"proxy":false,"ignoreTestConnection":false}`,
		"OIDC with tags, in order":     `{"credential":{"type":"OidcAuthentication","spec":{"iamRoleArn":"test","oidcSessionTagKeys":["service_id","account_id"]}},"proxy":true,"proxyUrl":"https://proxy.example.com","ignoreTestConnection":false}`,
		"cross-account access":         `{"credential":{"crossAccountAccess":{"crossAccountRoleArn":"arn:aws-us-gov:iam::123456789012:role/deploy","externalId":"ext-42"},"type":"Irsa"},"proxy":false,"ignoreTestConnection":false}`,
		"a session duration":           `{"credential":{"crossAccountAccess":{"crossAccountRoleArn":"test","assumeRoleSessionDuration":3600},"type":"Irsa"},"proxy":false,"ignoreTestConnection":false}`,
		"a fixed delay":                `{"credential":{"type":"Irsa"},"awsSdkClientBackOffStrategyOverride":{"type":"FixedDelayBackoffStrategy","spec":{"fixedBackoff":100,"retryCount":5}},"proxy":false,"ignoreTestConnection":false}`,
		"equal jitter":                 `{"credential":{"type":"Irsa"},"awsSdkClientBackOffStrategyOverride":{"type":"EqualJitterBackoffStrategy","spec":{"baseDelay":10,"maxBackoffTime":100,"retryCount":5}},"proxy":false,"ignoreTestConnection":false}`,
		"full jitter of nothing":       `{"credential":{"type":"Irsa"},"awsSdkClientBackOffStrategyOverride":{"type":"FullJitterBackoffStrategy","spec":{"baseDelay":0,"maxBackoffTime":0,"retryCount":0}},"proxy":false,"ignoreTestConnection":false}`,
		"an empty list of selectors":   `{"credential":{"type":"Irsa"},"delegateSelectors":[],"proxy":false,"ignoreTestConnection":false}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent := fmt.Sprintf(connectorOf, spec)
			c, problems := read(t, `{"connector":`+sent+`}`).Domain(account)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			got, err := json.Marshal(nextgen.FromConnector(c))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(sent, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOuterFieldsComeBack(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string]string{
		"all of them": `{"name":"prod aws","identifier":"prod_aws","description":"línea\n","orgIdentifier":"o","projectIdentifier":"p","tags":{"solo":"","team":"core"},"type":"Aws","spec":{"credential":{"type":"Irsa"},"proxy":false,"ignoreTestConnection":false}}`,
		"no tags":     `{"name":"prod aws","identifier":"prod_aws","tags":{},"type":"Aws","spec":{"credential":{"type":"Irsa"},"proxy":false,"ignoreTestConnection":false}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, problems := read(t, `{"connector":`+sent+`}`).Domain(account)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			got, err := json.Marshal(nextgen.FromConnector(c))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(sent, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatIsReadInSeveralPlaces(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ spec, region string }{
		"beside the type":         {`{"credential":{"type":"Irsa","region":"eu-west-1"}}`, "eu-west-1"},
		"in the credential":       {`{"credential":{"type":"OidcAuthentication","spec":{"region":"eu-west-2"}}}`, "eu-west-2"},
		"under spec":              {`{"credential":{"type":"Irsa"},"region":"eu-west-3"}`, "eu-west-3"},
		"beside the type wins":    {`{"credential":{"type":"Irsa","region":"eu-west-1","spec":{"region":"eu-west-2"}},"region":"eu-west-3"}`, "eu-west-1"},
		"nowhere":                 {`{"credential":{"type":"Irsa"}}`, ""},
		"null where it could be":  {`{"credential":{"type":"Irsa","region":null,"spec":null}}`, ""},
		"junk does not hide it":   {`{"connectorType":"","_":null,"credential":{"type":"Irsa","region":"eu-west-1","_":null}}`, "eu-west-1"},
		"a spec that has no type": {`{"credential":{"type":"InheritFromDelegate","spec":{}}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, problems := read(t, `{"connector":{"type":"Aws","spec":`+tt.spec+`}}`).Domain(account)
			if len(problems) > 0 || c.Region != tt.region {
				t.Errorf("got %q and %v", c.Region, problems)
			}
		})
	}
}

func TestTypesThatBelayDoesNotHave(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		connector string
		want      fault.Problems
	}{
		"no type":            {`{"spec":{}}`, fault.Problems{{Path: "connector.type", Message: "is required; use Aws"}}},
		"another connector":  {`{"type":"Gcp","spec":{"credential":{"type":"ManualConfig","spec":{"masterUrl":"https://k"}}}}`, fault.Problems{{Path: "connector.type", Message: `"Gcp" is not supported: Belay has connectors of type Aws and K8sCluster`}}},
		"no credential type": {`{"type":"Aws","spec":{}}`, fault.Problems{{Path: "connector.spec.credential.type", Message: "is required: ManualConfig, InheritFromDelegate, Irsa or OidcAuthentication"}}},
		"the broker":         {`{"type":"Aws","spec":{"credential":{"type":"CredentialBroker","spec":{"mapping":{}}}}}`, fault.Problems{{Path: "connector.spec.credential.type", Message: "CredentialBroker is not supported: Belay gets credentials itself; use ManualConfig, InheritFromDelegate, Irsa or OidcAuthentication"}}},
		"two at once": {`{"type":"Aws","spec":{"credential":{"type":"Magic"},"awsSdkClientBackOffStrategyOverride":{"type":"Soon","spec":{}}}}`, fault.Problems{
			{Path: "connector.spec.credential.type", Message: `"Magic" is not a type of credential; use ManualConfig, InheritFromDelegate, Irsa or OidcAuthentication`},
			{Path: "connector.spec.awsSdkClientBackOffStrategyOverride.type", Message: `"Soon" is not a backoff strategy; use FixedDelayBackoffStrategy, EqualJitterBackoffStrategy or FullJitterBackoffStrategy`},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems := read(t, `{"connector":`+tt.connector+`}`).Domain(account)
			if diff := cmp.Diff(tt.want, problems); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestStatusOfATest(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_790_000_000_000).UTC()
	c := connector.Connector{Scope: scope.Scope{Account: account}, ID: "c", Name: "c", Credential: connector.IRSA{}}
	if r := nextgen.FromStored(connector.Stored{Connector: c, Status: connector.Unknown}); r.Status != nil {
		t.Errorf("never tested, and yet %+v", r.Status)
	}
	d := &connector.Diagnosis{Code: connector.NoEligibleDelegate, Cause: "No delegate has the tag eks.", Evidence: []connector.Fact{{Label: "d1", Text: "lacks eks"}}, Remedy: []string{"Start one.", "Or change the tag."}}
	failed := connector.Test{Status: connector.Failing, EndedAt: at, Diagnosis: d}
	want := []nextgen.TestError{{Reason: "BLY-3101", Message: "No delegate has the tag eks.\nd1: lacks eks\nStart one.\nOr change the tag.", Code: nextgen.TestErrorNoDelegate}}
	r := nextgen.FromStored(connector.Stored{Connector: c, Status: connector.Failing, LastTestedAt: at, LastTest: &failed})
	if diff := cmp.Diff(want, r.Status.Errors); diff != "" {
		t.Error(diff)
	}
	if v := nextgen.FromTest(failed); v.Status != "FAILURE" || *v.ErrorSummary != d.Cause || v.TestedAt != 1_790_000_000_000 {
		t.Errorf("got %+v", v)
	}
	if v := nextgen.FromTest(connector.Test{Status: connector.Success}); v.ErrorSummary != nil || v.Errors == nil || v.TestedAt != 0 {
		t.Errorf("got %+v", v)
	}
}

func FuzzConnectorTranslationIsStable(f *testing.F) {
	f.Add(`{"connector":{"name":"n","identifier":"n","type":"Aws","tags":{"a":"b"},"spec":{"credential":{"type":"ManualConfig","spec":{"accessKey":"A","secretKeyRef":"s"},"crossAccountAccess":{"crossAccountRoleArn":"r","assumeRoleSessionDuration":900}},"awsSdkClientBackOffStrategyOverride":{"type":"FixedDelayBackoffStrategy","spec":{"fixedBackoff":9223372036854775807,"retryCount":1}}}}}`)
	f.Add(`{"connector":{"name":"n","identifier":"n","type":"Aws","spec":{"credential":{"type":"OidcAuthentication","spec":{"iamRoleArn":"r","oidcSessionTagKeys":["context"]}},"delegateSelectors":["x"],"executeOnDelegate":true}}}`)
	f.Add(`{"connector":{"type":"Aws","spec":{"credential":{"type":"Irsa","region":"eu-west-1"},"awsSdkClientBackOffStrategyOverride":{"type":"EqualJitterBackoffStrategy","spec":{"baseDelay":-1}}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var b nextgen.ConnectorEnvelope
		if json.NewDecoder(strings.NewReader(text)).Decode(&b) != nil {
			return
		}
		c, problems := b.Connector.Domain(account)
		if len(problems) > 0 || len(c.Check()) > 0 {
			return
		}
		wire, err := json.Marshal(nextgen.FromConnector(c))
		if err != nil {
			t.Fatal(err)
		}
		again, problems := read(t, `{"connector":`+string(wire)+`}`).Domain(account)
		if len(problems) > 0 {
			t.Fatalf("what came back is refused: %v", problems)
		}
		if diff := cmp.Diff(c, again); diff != "" {
			t.Error(diff)
		}
	})
}
