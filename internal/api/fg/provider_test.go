package fg_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/scope"
)

const (
	createProvider = `mutation CreateCloudProviderMutation($cloudProvider: CreateCloudProviderInput!) { createCloudProvider(input: $cloudProvider) { clientMutationId cloudProvider { ` + providerPart + ` } } }`
	updateProvider = `mutation($cloudProvider: UpdateCloudProviderInput!) { updateCloudProvider(input: $cloudProvider) { clientMutationId cloudProvider { id name type } } }`
)

type object = map[string]any

func cloudProvider(fields object) object {
	return object{"cloudProvider": object{"clientMutationId": "m1", "cloudProviderType": "AWS", "awsCloudProvider": fields}}
}

func TestCloudProvidersInGraphQL(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, graphPath, ask(t, create, newSecret("my secret", canary)))
	c.Golden("provider-created", c.Must(http.MethodPost, graphPath, ask(t, createProvider, cloudProvider(object{
		"name": "prod aws", "credentialsType": "MANUAL", "defaultRegion": "eu-west-1",
		"manualCredentials":         object{"accessKey": "AKIAEXAMPLE", "secretKeySecretId": "my_secret"},
		"awsCrossAccountAttributes": object{"assumeCrossAccountRole": true, "crossAccountRoleArn": "arn:aws:iam::111122223333:role/r", "externalId": "ext-1"},
	}))))
	const read = "/api/setup-as-code/yaml/settings/prod_aws?accountId=ACCOUNT"
	c.Golden("provider-created-yaml", c.Must(http.MethodGet, read, ""))
	stored := func(id string) connector.Connector {
		t.Helper()
		got, err := w.Connectors.Connector(t.Context(), audit.System(w.Account, "test"), scope.Scope{Account: w.Account}, id)
		if err != nil {
			t.Fatal(err)
		}
		return got.Connector
	}
	got := stored("prod_aws")
	if manual, ok := got.Credential.(connector.ManualConfig); !ok || manual.SecretKeyRef != "account.my_secret" || got.Region != "eu-west-1" || got.CrossAccount == nil {
		t.Errorf("%+v", got)
	}

	change := func(fields object) string {
		t.Helper()
		in := cloudProvider(fields)
		in["cloudProvider"].(object)["cloudProviderId"] = "prod_aws"
		return c.Must(http.MethodPost, graphPath, ask(t, updateProvider, in)).Body
	}
	if a := change(object{"manualCredentials": object{"accessKeySecretId": "my_secret"}, "crossAccountAttributes": object{"externalId": "ext-2"}}); strings.Contains(a, "errors") {
		t.Error(a)
	}
	got = stored("prod_aws")
	if manual := got.Credential.(connector.ManualConfig); manual.AccessKey != "" || manual.AccessKeyRef != "account.my_secret" || got.CrossAccount.ExternalID != "ext-2" || got.CrossAccount.RoleARN == "" {
		t.Errorf("what was not sent did not stay: %+v", got)
	}
	if a := change(object{"name": "renamed", "credentialsType": "EC2_IAM", "ec2IamCredentials": object{"delegateSelector": "vm", "usageScope": object{"appEnvScopes": []any{}}}, "crossAccountAttributes": object{"assumeCrossAccountRole": false}}); !strings.Contains(a, `"name":"renamed"`) {
		t.Error(a)
	}
	got = stored("prod_aws")
	if _, ok := got.Credential.(connector.InheritFromDelegate); !ok || got.Selectors[0] != "vm" || got.CrossAccount != nil || got.Region != "eu-west-1" {
		t.Errorf("%+v", got)
	}
	c.Golden("provider-renamed", c.Must(http.MethodGet, tree, ""))

	// Its YAML, under its new path, is still the same cloud provider.
	if a := upsert(c, w.Editor, "Setup/Cloud Providers/renamed.yaml", "harnessApiVersion: '1.0'\ntype: AWS\nuseIRSA: true\n"); !strings.Contains(a.Body, `"entityId":"prod_aws"`) {
		t.Error(a.Body)
	}
	if _, ok := stored("prod_aws").Credential.(connector.IRSA); !ok {
		t.Errorf("%+v", stored("prod_aws"))
	}
}

func TestCloudProvidersThatGraphQLCannotSave(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	irsa := object{"name": "taken", "credentialsType": "IRSA", "irsaCredentials": object{"delegateSelector": "eks"}}
	if a := c.Must(http.MethodPost, graphPath, ask(t, createProvider, cloudProvider(irsa))); strings.Contains(a.Body, "errors") {
		t.Fatal(a.Body)
	}
	update := func(id string, fields object) object {
		in := cloudProvider(fields)
		in["cloudProvider"].(object)["cloudProviderId"] = id
		return in
	}
	gcp := cloudProvider(irsa)
	gcp["cloudProvider"].(object)["cloudProviderType"] = "GCP"
	for name, tt := range map[string]struct {
		key, query string
		in         object
		says       string
	}{
		"twice the same":             {w.Admin, createProvider, cloudProvider(irsa), "exists already"},
		"another cloud":              {w.Admin, createProvider, gcp, "GCP"},
		"none":                       {w.Admin, createProvider, cloudProvider(nil), "required"},
		"no name":                    {w.Admin, createProvider, cloudProvider(object{"credentialsType": "IRSA"}), "required"},
		"no way to get credentials":  {w.Admin, createProvider, cloudProvider(object{"name": "n"}), "required"},
		"keys beside a role":         {w.Admin, createProvider, cloudProvider(object{"name": "n", "credentialsType": "IRSA", "manualCredentials": object{"accessKey": "A"}}), "belongs to the credentialsType MANUAL"},
		"no keys":                    {w.Admin, createProvider, cloudProvider(object{"name": "n", "credentialsType": "MANUAL"}), "accessKey"},
		"two access keys":            {w.Admin, createProvider, cloudProvider(object{"name": "n", "credentialsType": "MANUAL", "manualCredentials": object{"accessKey": "A", "accessKeySecretId": "a", "secretKeySecretId": "s"}}), "accessKey"},
		"a region that is none":      {w.Admin, createProvider, cloudProvider(object{"name": "n", "credentialsType": "IRSA", "defaultRegion": "mars"}), "mars"},
		"an update of none":          {w.Admin, updateProvider, update("none", irsa), "no cloud provider exists"},
		"a viewer creates":           {w.Viewer, createProvider, cloudProvider(object{"name": "n", "credentialsType": "IRSA"}), "needs editor"},
		"a viewer changes":           {w.Viewer, updateProvider, update("taken", irsa), "needs editor"},
		"a project's editor creates": {w.Project, createProvider, cloudProvider(object{"name": "n", "credentialsType": "IRSA"}), "role"},
	} {
		a := c.Do(tt.key, http.MethodPost, graphPath, ask(t, tt.query, tt.in))
		var got struct {
			Errors []struct {
				Message string `json:"message"`
			} `json:"errors"`
		}
		if err := json.Unmarshal([]byte(a.Body), &got); err != nil || a.Status != http.StatusOK || len(got.Errors) != 1 || !strings.Contains(got.Errors[0].Message, tt.says) {
			t.Errorf("%s: %v %d %s", name, err, a.Status, a.Body)
		}
	}
}
