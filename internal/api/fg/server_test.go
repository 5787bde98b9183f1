package fg_test

import (
	"encoding/json"
	"flag"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/api/apitest"
	"github.com/belay-dev/belay/internal/api/fg"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/scope"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

func serve(t *testing.T) (*apitest.World, *apitest.Client) {
	t.Helper()
	w := apitest.New(t)
	w.Update = *update
	return w, w.Serve(t, server(w).Handler())
}

// server is the API of a world.
func server(w *apitest.World) *fg.Server {
	return &fg.Server{Edge: w.Edge, Connectors: w.Connectors, Secrets: w.Secrets, Texts: w.Store, Log: slog.New(slog.DiscardHandler)}
}

const graphPath = "/api/graphql?accountId=ACCOUNT"

// ask is a question of GraphQL as clients send it.
func ask(t *testing.T, query string, variables any) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const canary = "canary-77aa-hunter2"

const (
	secretFields = `id name secretType secretManagerId usageScope { appEnvScopes { application { filterType appId } environment { filterType envId } } } inheritScopesFromSM scopedToAccount`
	create       = `mutation createSecret($input: CreateSecretInput!) { createSecret(input: $input) { secret { id name ... on EncryptedText { ` + secretFields + ` } } } }`
	change       = `mutation($input: UpdateSecretInput!) { updateSecret(input: $input) { secret { ... on EncryptedText { ` + secretFields + ` } } } }`
	byName       = `query($name: String!) { secret: secretByName(name: $name, secretType: ENCRYPTED_TEXT) { id name secretType ... on EncryptedText { ` + secretFields + ` } } }`
	byID         = `{ secret(secretId: "sk", secretType: ENCRYPTED_TEXT) { ... on EncryptedText { ` + secretFields + ` } } }`
	remove       = `mutation($input: DeleteSecretInput!) { deleteSecret(input: $input) { clientMutationId } }`
	providerPart = `id name description createdAt createdBy { id name } type isContinuousEfficiencyEnabled ... on AwsCloudProvider { ceHealthStatus { isHealthy isCEConnector messages clusterHealthStatusList { clusterId clusterName errors lastEventTimestamp messages } } }`
)

func newSecret(name, value string) map[string]any {
	return map[string]any{"input": map[string]any{"secretType": "ENCRYPTED_TEXT", "encryptedText": map[string]any{
		"name": name, "value": value,
		"usageScope": map[string]any{"appEnvScopes": []any{map[string]any{
			"application": map[string]any{"filterType": "ALL"}, "environment": map[string]any{"filterType": "NON_PRODUCTION_ENVIRONMENTS"},
		}}},
	}}}
}

func TestSecretsInGraphQL(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Golden("secret-created", c.Must(http.MethodPost, graphPath, ask(t, create, newSecret("sk", canary))))
	c.Golden("secret-by-name", c.Must(http.MethodPost, "/gateway"+graphPath, ask(t, byName, map[string]any{"name": "sk"})))
	c.Golden("secret-by-id", c.Must(http.MethodPost, graphPath, ask(t, byID, nil)))
	c.Golden("secret-twice", c.Must(http.MethodPost, graphPath, ask(t, create, newSecret("sk", canary))))
	updated := map[string]any{"input": map[string]any{"secretId": "sk", "secretType": "ENCRYPTED_TEXT", "encryptedText": map[string]any{"name": "sk two", "scopedToAccount": true}}}
	c.Golden("secret-updated", c.Must(http.MethodPost, graphPath, ask(t, change, updated)))
	c.Golden("secret-unknown", c.Must(http.MethodPost, graphPath, ask(t, byName, map[string]any{"name": "none"})))
	c.Golden("secret-deleted", c.Must(http.MethodPost, graphPath, ask(t, remove, map[string]any{"input": map[string]any{"secretId": "sk", "secretType": "ENCRYPTED_TEXT"}})))
	if a := c.Must(http.MethodPost, graphPath, ask(t, byID, nil)); !strings.Contains(a.Body, "No secret exists") || !strings.Contains(a.Body, `"data":{"secret":null}`) {
		t.Error(a.Body)
	}
	if strings.Contains(w.Log.String(), canary) {
		t.Error("the log has the value")
	}
}

// Clients find the default secret manager by making a secret without one.
func TestTheDefaultSecretManagerIsFound(t *testing.T) {
	t.Parallel()
	_, c := serve(t)
	a := c.Must(http.MethodPost, graphPath, ask(t, create, newSecret("__temp__a1b2c3", "x")))
	if !strings.Contains(a.Body, `"secretManagerId":"harnessSecretManager"`) {
		t.Error(a.Body)
	}
	c.Golden("secret-managers", c.Must(http.MethodPost, graphPath, ask(t, `{ secretManager(secretManagerId: "harnessSecretManager") { id name } named: secretManagerByName(name: "harnessSecretManager") { id name } }`, nil)))
}

const keys = "harnessApiVersion: \"1.0\"\ntype: AWS\naccessKey: AKIAEXAMPLE\nsecretKey: secretName:my secret\nassumeCrossAccountRole: true\ncrossAccountAttributes:\n  crossAccountRoleArn: arn:aws:iam::111122223333:role/r\n  externalId: ext-1\nusageRestrictions: {}\nunknown: 1\n\n"

// upsert sends the YAML of a cloud provider in a form.
func upsert(c *apitest.Client, key, path, yaml string) apitest.Answer {
	body := "--b\r\nContent-Disposition: form-data; name=\"yamlContent\"\r\n\r\n" + yaml + "\r\n--b--\r\n"
	return c.Send(key, http.MethodPost, "/api/setup-as-code/yaml/upsert-entity?accountId=ACCOUNT&yamlFilePath="+url.QueryEscape(path), "multipart/form-data; boundary=b", body)
}

const tree = "/api/setup-as-code/yaml/directory?accountId=ACCOUNT"

func TestCloudProviders(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, graphPath, ask(t, create, newSecret("my secret", canary)))
	const path = "Setup/Cloud Providers/prod aws.yaml"
	c.Golden("provider-upserted", upsert(c, w.Editor, path, keys))
	c.Golden("directory", c.Must(http.MethodGet, tree, ""))
	const read = "/api/setup-as-code/yaml/settings/prod_aws?accountId=ACCOUNT"
	c.Golden("provider-yaml", c.Must(http.MethodGet, read, ""))
	c.Golden("provider-by-name", c.Must(http.MethodPost, graphPath, ask(t, `query($name: String!) { cloudProviderByName(name: $name) { `+providerPart+` } }`, map[string]any{"name": "prod aws"})))
	c.Golden("providers", c.Must(http.MethodPost, graphPath, ask(t, `{ cloudProviders(limit: 1, offset: 0) { nodes { id name type } pageInfo { limit offset total hasMore } } none: cloudProvider(cloudProviderId: "x") { id } }`, nil)))

	// It is a connector like any other.
	at, who := scope.Scope{Account: w.Account}, audit.System(w.Account, "test")
	stored, err := w.Connectors.Connector(t.Context(), who, at, "prod_aws")
	if err != nil {
		t.Fatal(err)
	}
	if manual, ok := stored.Credential.(connector.ManualConfig); !ok || manual.AccessKey != "AKIAEXAMPLE" || manual.SecretKeyRef != "account.my_secret" || stored.CrossAccount.ExternalID != "ext-1" {
		t.Errorf("%+v", stored.Connector)
	}

	// A change by other means is seen, and one that is upserted again is kept as it came.
	changed := stored.Connector
	changed.Credential, changed.CrossAccount, changed.Selectors = connector.IRSA{}, nil, []string{"eks"}
	if _, err := w.Connectors.Update(t.Context(), who, changed); err != nil {
		t.Fatal(err)
	}
	c.Golden("provider-yaml-changed", c.Must(http.MethodGet, read, ""))
	const again = "harnessApiVersion: '1.0'\r\ntype: AWS\r\nuseEc2IamCredentials: true\r\ntag: vm # mine\r\n"
	if a := upsert(c, w.Editor, path, again); !strings.Contains(a.Body, `"SUCCESS"`) {
		t.Error(a.Body)
	}
	var got struct {
		Resource struct {
			YAML string `json:"yaml"`
		} `json:"resource"`
	}
	if err := json.Unmarshal([]byte(c.Must(http.MethodGet, read, "").Body), &got); err != nil || got.Resource.YAML != again {
		t.Errorf("%v: came back as %q", err, got.Resource.YAML)
	}

	c.Golden("provider-deleted", c.Must(http.MethodPost, graphPath, ask(t, `mutation($input: DeleteCloudProviderInput!) { deleteCloudProvider(input: $input) { clientMutationId } }`, map[string]any{"input": map[string]any{"cloudProviderId": "prod_aws"}})))
	c.Golden("directory-empty", c.Must(http.MethodGet, tree, ""))
	c.Golden("provider-gone", c.Do(w.Admin, http.MethodGet, read, ""))
}

func TestCloudProvidersThatCannotBeSaved(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	const path = "Setup/Cloud Providers/p.yaml"
	for name, tt := range map[string]struct{ path, yaml, want string }{
		"another place":        {"Setup/Applications/a/Index.yaml", keys, "yamlFilePath"},
		"a deeper place":       {"Setup/Cloud Providers/a/b.yaml", keys, "yamlFilePath"},
		"another cloud":        {path, "harnessApiVersion: '1.0'\ntype: GCP\n", "GCP"},
		"nothing":              {path, "", "is empty"},
		"no YAML":              {path, "type: [", "cannot be read"},
		"no credentials":       {path, "type: AWS\n", "one way to get credentials"},
		"two ways":             {path, "type: AWS\nuseIRSA: true\nuseEc2IamCredentials: true\n", "one way to get credentials"},
		"two access keys":      {path, "type: AWS\naccessKey: a\naccessKeySecretId: secretName:b\nsecretKey: secretName:c\n", "accessKeySecretId"},
		"a role that is none":  {path, "type: AWS\nuseIRSA: true\nassumeCrossAccountRole: true\n", "crossAccountRoleArn"},
		"no access key at all": {path, "type: AWS\nsecretKey: secretName:c\n", "accessKey"},
	} {
		a := upsert(c, w.Admin, tt.path, tt.yaml)
		var got struct {
			Resource any `json:"resource"`
			Messages []struct {
				Message string `json:"message"`
			} `json:"responseMessages"`
		}
		// The number is 200: clients lose the message with any other.
		if err := json.Unmarshal([]byte(a.Body), &got); err != nil || a.Status != http.StatusOK || len(got.Messages) != 1 || got.Resource != nil || !strings.Contains(got.Messages[0].Message, tt.want) {
			t.Errorf("%s: %v %d %s", name, err, a.Status, a.Body)
		}
	}
	if a := c.Send(w.Admin, http.MethodPost, "/api/setup-as-code/yaml/upsert-entity?accountId=ACCOUNT&yamlFilePath="+url.QueryEscape(path), "text/plain", keys); !strings.Contains(a.Body, "multipart/form-data") {
		t.Error(a.Body)
	}
}

func TestOlderClientsAreAuthorizedToo(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	const path = "Setup/Cloud Providers/p.yaml"
	const role = "type: AWS\nuseIRSA: true\n"
	for key, status := range map[string]int{"": 401, w.Revoked: 401, w.Stranger: 403, w.Viewer: 403, w.Project: 403, w.Editor: 200} {
		if a := upsert(c, key, path, role); a.Status != status {
			t.Errorf("%d, want %d: %s", a.Status, status, a.Body)
		}
	}
	if a := c.Do(w.Viewer, http.MethodPost, graphPath, ask(t, create, newSecret("x", "v"))); !strings.Contains(a.Body, "needs editor") {
		t.Error(a.Body)
	}
}

func TestQuestionsThatAreNone(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	for name, body := range map[string]string{
		"no body":           "",
		"no JSON":           "{",
		"no query":          "{}",
		"no GraphQL":        ask(t, "{ nonsense", nil),
		"an unknown field":  ask(t, "{ pipelines { id } }", nil),
		"a missing input":   ask(t, create, map[string]any{}),
		"another type":      ask(t, `{ secret(secretId: "x", secretType: SSH_CREDENTIAL) { id } }`, nil),
		"a very long query": ask(t, "{ "+strings.Repeat("a ", 70<<10/2)+"}", nil),
	} {
		a := c.Do(w.Admin, http.MethodPost, graphPath, body)
		var got struct {
			Data   any `json:"data"`
			Errors []struct {
				Message string `json:"message"`
			} `json:"errors"`
		}
		if err := json.Unmarshal([]byte(a.Body), &got); err != nil || a.Status != http.StatusOK || len(got.Errors) == 0 || got.Errors[0].Message == "" {
			t.Errorf("%s: %v %d %s", name, err, a.Status, a.Body)
		}
	}
	if a := c.Do(w.Admin, http.MethodGet, "/api/setup-as-code/nonsense", ""); a.Status != http.StatusNotFound || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestThePageOfCompatibilityIsTrue(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Compatibility("../../../docs/compatibility.md", "/api/", server(w).Routes())
}
