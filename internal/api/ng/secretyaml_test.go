package ng_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/nextgen"
)

const secretYAML = `# of the team
secret:
  type: SecretText
  name: db password
  identifier: db-password
  description: d
  tags: {team: core, solo: ""}
  spec:
    secretManagerIdentifier: harnessSecretManager
    valueType: Inline
    value: ` + canary + `
`

// asYAML sends YAML as clients do.
const asYAML = "application/yaml"

func TestSecretsAsYAML(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	send := func(method, path, text string) nextgen.SecretResponse {
		t.Helper()
		a := c.Send(w.Editor, method, "/ng/api/v2/secrets"+path, asYAML, text)
		if a.Status != http.StatusOK || strings.Contains(a.Body, canary) {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		return data[nextgen.SecretResponse](t, a)
	}
	c.Golden("secret-yaml-created", c.Send(w.Editor, http.MethodPost, "/ng/api/v2/secrets/yaml"+project1, asYAML, secretYAML))
	if got := data[nextgen.SecretResponse](t, c.Must(http.MethodGet, "/ng/api/v2/secrets/db-password"+project1, "")).Secret; got.Name != "db password" || got.ProjectIdentifier != "prj1" {
		t.Errorf("read back %+v", got)
	}
	without := strings.Replace(secretYAML, "    value: "+canary+"\n", "", 1) // keeps the value
	if got := send(http.MethodPut, "/yaml"+project1, strings.Replace(without, "db password", "two", 1)).Secret; got.Name != "two" {
		t.Errorf("changed to %+v", got)
	}
	if got := send(http.MethodPut, "/db-password/yaml"+project1, without).Secret; got.Identifier != "db-password" || got.Name != "db password" {
		t.Errorf("changed to %+v", got)
	}
	// JSON is YAML, and the junk of the SDK is passed over in it; a secret may even have the identifier yaml.
	send(http.MethodPost, "/yaml"+account, secretText)
	c.Must(http.MethodPost, "/ng/api/v2/secrets"+account, strings.ReplaceAll(secretText, `"ak"`, `"yaml"`))
	changed := strings.Replace(strings.ReplaceAll(secretText, `"ak"`, `"yaml"`), `"identifier":"yaml",`, "", 1)
	if got := send(http.MethodPut, "/yaml"+account, strings.Replace(changed, `"name":"yaml"`, `"name":"seven"`, 1)).Secret; got.Identifier != "yaml" || got.Name != "seven" {
		t.Errorf("changed to %+v", got)
	}
	if strings.Contains(w.Log.String(), canary) {
		t.Error("the log has the value")
	}
}

func TestSecretsAsYAMLThatCannotBeSaved(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Send(w.Editor, http.MethodPost, "/ng/api/v2/secrets/yaml"+account, asYAML, secretYAML)
	for name, tt := range map[string]struct {
		key, method, path, text string
		status                  int
		says                    string
	}{
		"twice the same":           {w.Admin, http.MethodPost, "/yaml", secretYAML, 400, "exists"},
		"an update of none":        {w.Admin, http.MethodPut, "/yaml", strings.ReplaceAll(secretYAML, "db-password", "none"), 404, "none"},
		"by another identifier":    {w.Admin, http.MethodPut, "/other/yaml", secretYAML, 400, "other"},
		"nothing":                  {w.Admin, http.MethodPost, "/yaml", "", 400, "empty"},
		"no YAML":                  {w.Admin, http.MethodPost, "/yaml", "secret: [" + canary, 400, "line"},
		"a misspelt key":           {w.Admin, http.MethodPost, "/yaml", strings.Replace(secretYAML, "description:", "descript:", 1), 400, "did you mean description? (line 6)"},
		"a value of another type":  {w.Admin, http.MethodPost, "/yaml", strings.Replace(secretYAML, "value: "+canary, "value: ["+canary+"]", 1), 400, "secret.spec.value"},
		"an alias to nowhere":      {w.Admin, http.MethodPost, "/yaml", strings.Replace(secretYAML, "value: "+canary, "value: *"+canary, 1), 400, "not YAML"},
		"another kind of document": {w.Admin, http.MethodPost, "/yaml", "organization: {name: o}\n", 400, "with the key secret"},
		"two documents":            {w.Admin, http.MethodPost, "/yaml", secretYAML + "---\n" + strings.Replace(secretYAML, "db-", "db2-", 1), 400, "one document"},
		"another organization":     {w.Admin, http.MethodPost, "/yaml", strings.Replace(secretYAML, "  type:", "  orgIdentifier: nowhere\n  type:", 1), 400, "nowhere"},
		"a secret of another type": {w.Admin, http.MethodPost, "/yaml", strings.Replace(secretYAML, "SecretText", "SSHKey", 1), 400, "SSHKey"},
		"by a viewer":              {w.Viewer, http.MethodPost, "/yaml", strings.ReplaceAll(secretYAML, "db-", "v-"), 403, "needs editor"},
		"by nobody":                {"", http.MethodPost, "/yaml", secretYAML, 401, "API key"},
	} {
		a := c.Send(tt.key, tt.method, "/ng/api/v2/secrets"+tt.path+account, asYAML, tt.text)
		got := failure(t, a)
		if a.Status != tt.status || !strings.Contains(a.Body, tt.says) || tt.status == 404 && got.Code != nextgen.NotFoundCode {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
		if strings.Contains(a.Body, canary) {
			t.Errorf("%s: the answer quotes the secret: %s", name, a.Body)
		}
	}
}
