package fg_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/api/apitest"
)

// leaf is the cloud provider of a path in the tree, as clients look for it.
func leaf(t *testing.T, c *apitest.Client, path string) (rest, uuid string) {
	t.Helper()
	type node struct {
		RestName string `json:"restName"`
		UUID     string `json:"uuid"`
		Path     struct {
			Path string `json:"path"`
		} `json:"directoryPath"`
		Children []node `json:"children"`
	}
	var root struct {
		Resource node `json:"resource"`
	}
	if err := json.Unmarshal([]byte(c.Must(http.MethodGet, tree, "").Body), &root); err != nil {
		t.Fatal(err)
	}
	var find func(n node) (string, string)
	find = func(n node) (string, string) {
		if n.Path.Path == path && n.UUID != "" {
			return n.RestName, n.UUID
		}
		for _, child := range n.Children {
			if rest, uuid := find(child); uuid != "" {
				return rest, uuid
			}
		}
		return "", ""
	}
	return find(root.Resource)
}

// TestLifeCycleOfACloudProvider does what Terraform does: upsert, find in the tree, read, upsert again without a
// difference, change, delete. What is read is the text that was sent, to the last byte.
func TestLifeCycleOfACloudProvider(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, graphPath, ask(t, create, newSecret("my secret", "v")))
	forms := map[string]string{
		"keys":         "harnessApiVersion: \"1.0\"\ntype: AWS\naccessKey: AKIAEXAMPLE\nsecretKey: secretName:my secret\nusageRestrictions: {}\n",
		"keys by name": "harnessApiVersion: '1.0'\ntype: AWS\naccessKeySecretId: secretName:my secret\nsecretKey: secretName:my secret\n",
		"a role":       "harnessApiVersion: '1.0'\ntype: AWS\nuseEc2IamCredentials: true\ntag: vm\n",
		"IRSA":         "harnessApiVersion: '1.0'\ntype: AWS\nuseIRSA: true\ntag: eks\n\n",
		"another role": "harnessApiVersion: '1.0'\ntype: AWS\nuseIRSA: true\nassumeCrossAccountRole: true\ncrossAccountAttributes:\n  crossAccountRoleArn: arn:aws:iam::111122223333:role/r\n  externalId: ext-1\nusageRestrictions:\n  appEnvRestrictions:\n  - appFilter: {filterType: ALL}\n",
	}
	read := func(name, want string) string {
		t.Helper()
		rest, uuid := leaf(t, c, "Setup/Cloud Providers/"+name+".yaml")
		var got struct {
			Resource struct {
				YAML string `json:"yaml"`
			} `json:"resource"`
		}
		if err := json.Unmarshal([]byte(c.Must(http.MethodGet, "/gateway/api/setup-as-code/yaml/"+rest+"/"+uuid+"?accountId=ACCOUNT", "").Body), &got); err != nil || got.Resource.YAML != want {
			t.Errorf("%s: %v: read as %q, sent as %q", name, err, got.Resource.YAML, want)
		}
		return uuid
	}
	for name, text := range forms {
		write := func(text string) {
			t.Helper()
			if a := upsert(c, w.Editor, "Setup/Cloud Providers/"+name+".yaml", text); !strings.Contains(a.Body, `"status":"SUCCESS"`) || !strings.Contains(a.Body, `"errorMssg":""`) {
				t.Fatalf("%s: %s", name, a.Body)
			}
		}
		write(text)
		first := read(name, text)
		write(text) // a second apply
		if again := read(name, text); again != first {
			t.Errorf("%s: it became another, %s", name, again)
		}
		if a := c.Must(http.MethodPost, graphPath, ask(t, `query($id: String!) { cloudProvider(cloudProviderId: $id) { id name type } }`, object{"id": first})); !strings.Contains(a.Body, `"name":"`+name+`","type":"AWS"`) {
			t.Errorf("%s by its id: %s", name, a.Body)
		}
		changed := strings.Replace(text, "type: AWS", "type: AWS # changed", 1)
		write(changed)
		if again := read(name, changed); again != first {
			t.Errorf("%s: changed, it became another, %s", name, again)
		}
		c.Must(http.MethodPost, graphPath, ask(t, `mutation($input: DeleteCloudProviderInput!) { deleteCloudProvider(input: $input) { clientMutationId } }`, object{"input": object{"cloudProviderId": first}}))
		if _, uuid := leaf(t, c, "Setup/Cloud Providers/"+name+".yaml"); uuid != "" {
			t.Errorf("%s: deleted, and yet in the tree", name)
		}
		if a := c.Must(http.MethodPost, graphPath, ask(t, `mutation($input: DeleteCloudProviderInput!) { deleteCloudProvider(input: $input) { clientMutationId } }`, object{"input": object{"cloudProviderId": first}})); !strings.Contains(a.Body, "no cloud provider exists") {
			t.Errorf("%s: deleted twice: %s", name, a.Body)
		}
	}
}

// A secret that a cloud provider refers to stays: clients look for these words and try once more, 5 s later.
func TestASecretOfACloudProviderIsInUse(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, graphPath, ask(t, create, newSecret("my secret", "v")))
	upsert(c, w.Editor, "Setup/Cloud Providers/p.yaml", keys)
	a := c.Must(http.MethodPost, graphPath, ask(t, remove, object{"input": object{"secretId": "my_secret", "secretType": "ENCRYPTED_TEXT"}}))
	if !strings.Contains(a.Body, "still being used") {
		t.Error(a.Body)
	}
}
