package ng_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/nextgen"
)

const (
	secretText = `{"secret":{"type":"SecretText","name":"ak","identifier":"ak","tags":{"foo":"bar"},"description":"test",
 "spec":{"type":"","secretManagerIdentifier":"harnessSecretManager","valueType":"Inline","value":"` + canary + `","additionalMetadata":{"values":{"kmsKeyId":"k1"}}}}}`
	secretReference = `{"secret":{"type":"SecretText","name":"path","identifier":"path-1","orgIdentifier":"org1","projectIdentifier":"prj1",
 "spec":{"secretManagerIdentifier":"account.vault","valueType":"Reference","value":"/kv/prod#key"}}}`
	canary = "canary-9b1c-hunter2"
)

func TestSecretAnswers(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Golden("secret-created", c.Must(http.MethodPost, "/ng/api/v2/secrets"+account+"&privateSecret=false", secretText))
	c.Golden("secret-reference", c.Must(http.MethodPost, "/ng/api/v2/secrets"+project1, secretReference))
	c.Golden("secret", c.Must(http.MethodGet, "/ng/api/v2/secrets/ak"+account, ""))
	w.Clock.Move(time.Minute)
	c.Golden("secret-updated", c.Must(http.MethodPut, "/ng/api/v2/secrets/ak"+account, `{"secret":{"type":"SecretText","name":"ak 2","identifier":"ak","spec":{"secretManagerIdentifier":"harnessSecretManager","valueType":"Inline"}}}`))
	c.Golden("secrets", c.Must(http.MethodGet, "/ng/api/v2/secrets"+account+"&includeSecretsFromEverySubScope=true&type=SecretText", ""))
	c.Golden("secrets-list", c.Must(http.MethodPost, "/ng/api/v2/secrets/list"+account, `{"identifiers":["ak"],"filterType":"Secret"}`))
	c.Must(http.MethodPost, "/ng/api/connectors"+account, strings.Replace(manual, "account.sk", "account.ak", 1))
	c.Golden("secret-in-use", c.Do(w.Admin, http.MethodDelete, "/ng/api/v2/secrets/ak"+account, ""))
	c.Golden("secret-deleted", c.Must(http.MethodDelete, "/ng/api/v2/secrets/ak"+account+"&forceDelete=true", ""))
	c.Golden("secret-gone", c.Do(w.Admin, http.MethodGet, "/ng/api/v2/secrets/ak"+account, ""))
}

func TestASecretInUseIsSaidToBeStillUsed(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/v2/secrets"+account, secretText)
	c.Must(http.MethodPost, "/ng/api/connectors"+account, strings.Replace(manual, "account.sk", "account.ak", 1))
	a := c.Do(w.Admin, http.MethodDelete, "/ng/api/v2/secrets/ak"+account, "")
	if got := failure(t, a); a.Status != http.StatusBadRequest || got.Code != nextgen.InUseCode || !strings.Contains(got.Message, "still being used") {
		t.Errorf("%d %+v", a.Status, got)
	}
}

// A client that deletes what was deleted already must hear that it is gone, or it never gets rid of it.
func TestASecretThatIsGoneIsGoneThoughStillReferredTo(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/v2/secrets"+account, secretText)
	c.Must(http.MethodPost, "/ng/api/connectors"+account, strings.Replace(manual, "account.sk", "account.ak", 1))
	c.Must(http.MethodDelete, "/ng/api/v2/secrets/ak"+account+"&forceDelete=true", "")
	for _, query := range []string{"", "&forceDelete=true"} {
		a := c.Do(w.Admin, http.MethodDelete, "/ng/api/v2/secrets/ak"+account+query, "")
		if got := failure(t, a); a.Status != http.StatusNotFound || got.Code != nextgen.NotFoundCode {
			t.Errorf("%s: %d %+v", query, a.Status, got)
		}
	}
}

func TestAllThatIsWrongWithASecretIsToldAtOnce(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	for body, want := range map[string]string{
		"{}": "secret.type,secret.identifier,secret.name",
		`{"secret":{"type":"SSHKey","identifier":"9","spec":{"valueType":"Odd"}}}`:                    "secret.type,secret.identifier,secret.name,secret.spec.valueType",
		`{"secret":{"type":"SecretText","identifier":"9","orgIdentifier":"nowhere","name":"n"}}`:      "secret.identifier,secret.spec.value,secret.orgIdentifier",
		`{"secret":{"type":"SecretText","name":"n","projectIdentifier":"prj1","spec":{"value":"v"}}}`: "secret.orgIdentifier",
	} {
		var fields []string
		for _, e := range failure(t, c.Do(w.Admin, http.MethodPost, "/ng/api/v2/secrets"+account, body)).Errors {
			fields = append(fields, e.FieldID)
		}
		if got := strings.Join(fields, ","); got != want {
			t.Errorf("%s: %s", body, got)
		}
	}
}

func TestListsOfSecrets(t *testing.T) {
	t.Parallel()
	_, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/v2/secrets"+account, secretText)
	c.Must(http.MethodPost, "/ng/api/v2/secrets"+account, strings.ReplaceAll(secretText, `"ak"`, `"ak-2"`))
	c.Must(http.MethodPost, "/ng/api/v2/secrets"+project1, secretReference)
	for path, want := range map[string]string{
		account: "ak,ak-2", account + "&identifiers=ak&identifiers=none": "ak", account + "&searchTerm=ak": "ak,ak-2",
		account + "&types=SecretText": "ak,ak-2", account + "&type=SecretFile": "", account + "&pageIndex=1&pageSize=1": "ak-2",
		account + "&includeSecretsFromEverySubScope=true": "ak,ak-2,path-1", project1: "path-1",
	} {
		if got := secretIDs(data[nextgen.Page[nextgen.SecretResponse]](t, c.Must(http.MethodGet, "/ng/api/v2/secrets"+path, ""))); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
	for body, want := range map[string]string{
		"": "ak,ak-2", `{"identifiers":["ak-2"]}`: "ak-2", `{"secretTypes":["SecretFile"]}`: "", `{"secretName":"ak-2"}`: "ak-2",
		`{"searchTerm":"path","includeSecretsFromEverySubScope":true}`: "path-1",
	} {
		if got := secretIDs(data[nextgen.Page[nextgen.SecretResponse]](t, c.Must(http.MethodPost, "/ng/api/v2/secrets/list"+account, body))); got != want {
			t.Errorf("%s: %s", body, got)
		}
	}
}

func secretIDs(p nextgen.Page[nextgen.SecretResponse]) string {
	var ids []string
	for _, one := range p.Content {
		ids = append(ids, one.Secret.Identifier)
	}
	return strings.Join(ids, ",")
}

func TestOrganizationAnswers(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Golden("organization-created", c.Must(http.MethodPost, "/ng/api/organizations"+account, `{"organization":{"identifier":"org2","name":"Org 2","description":"d","tags":{"a":"b"}}}`))
	w.Clock.Move(time.Minute)
	c.Golden("organization-updated", c.Must(http.MethodPut, "/ng/api/organizations/org2"+account, `{"organization":{"name":"Org two"}}`))
	c.Golden("organization", c.Must(http.MethodGet, "/ng/api/organizations/org2"+account, ""))
	c.Golden("organizations", c.Must(http.MethodGet, "/ng/api/organizations"+account+"&searchTerm=o&pageSize=2", ""))
	c.Golden("organizations-named", c.Must(http.MethodGet, "/ng/api/organizations"+account+"&identifiers=default,org2", ""))
	c.Golden("organization-deleted", c.Must(http.MethodDelete, "/ng/api/organizations/org2"+account, ""))
	c.Golden("organization-gone", c.Do(w.Admin, http.MethodGet, "/ng/api/organizations/org2"+account, ""))
}

func TestProjectAnswers(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Golden("project-created", c.Must(http.MethodPost, "/ng/api/projects"+account+"&orgIdentifier=org1", `{"project":{"orgIdentifier":"org1","identifier":"prj2","name":"Prj","color":"#472848","modules":["CD"],"description":"d","tags":{}}}`))
	c.Golden("project-created-default", c.Must(http.MethodPost, "/ng/api/projects"+account, `{"project":{"name":"Prj three"}}`))
	w.Clock.Move(time.Minute)
	c.Golden("project-updated", c.Must(http.MethodPut, "/ng/api/projects/prj2"+account+"&orgIdentifier=org1", `{"project":{"name":"Prj two"}}`))
	c.Golden("project", c.Must(http.MethodGet, "/ng/api/projects/Prj_three"+account, ""))
	c.Golden("projects", c.Must(http.MethodGet, "/ng/api/projects"+account+"&orgIdentifier=org1&hasModule=true&moduleType=CD", ""))
	c.Golden("projects-list", c.Must(http.MethodGet, "/ng/api/projects/list"+account+"&orgIdentifiers=default&orgIdentifiers=org1", ""))
	c.Golden("project-deleted", c.Must(http.MethodDelete, "/ng/api/projects/prj2"+account+"&orgIdentifier=org1", ""))
	c.Golden("project-gone", c.Do(w.Admin, http.MethodGet, "/ng/api/projects/prj2"+account+"&orgIdentifier=org1", ""))
}

func TestEntitiesThatCannotBeSaved(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/v2/secrets"+account, secretText)
	long := strings.Repeat("x", 5000)
	for name, tt := range map[string]struct {
		method, path, body string
		status             int
		code, field        string
	}{
		"the same secret":                    {http.MethodPost, "/v2/secrets" + account, secretText, 400, "DUPLICATE_FIELD", ""},
		"a secret of another type":           {http.MethodPost, "/v2/secrets" + account, strings.Replace(secretText, "SecretText", "SSHKey", 1), 400, "INVALID_REQUEST", "secret.type"},
		"a secret without a value":           {http.MethodPost, "/v2/secrets" + account, strings.Replace(secretText, `"value":"`+canary+`",`, "", 1), 400, "INVALID_REQUEST", "secret.spec.value"},
		"a secret with a number for a value": {http.MethodPost, "/v2/secrets" + account, strings.Replace(secretText, `"`+canary+`"`, `12345`, 1), 400, "INVALID_REQUEST", "secret.spec.value"},
		"a secret kept elsewhere":            {http.MethodPost, "/v2/secrets" + account, strings.Replace(secretText, "Inline", "Odd", 1), 400, "INVALID_REQUEST", "secret.spec.valueType"},
		"a secret in two organizations":      {http.MethodPost, "/v2/secrets" + account + "&orgIdentifier=org2&projectIdentifier=prj1", secretReference, 400, "INVALID_REQUEST", "secret.orgIdentifier"},
		"a secret in no organization":        {http.MethodPost, "/v2/secrets" + account + "&orgIdentifier=nowhere", secretText, 400, "INVALID_REQUEST", "secret.orgIdentifier"},
		"a secret in no project":             {http.MethodPost, "/v2/secrets" + account + "&orgIdentifier=org1&projectIdentifier=nowhere", secretText, 400, "INVALID_REQUEST", "secret.projectIdentifier"},
		"a reference that leads nowhere":     {http.MethodPost, "/v2/secrets" + account, `{"secret":{"type":"SecretText","name":"p","identifier":"p","spec":{"secretManagerIdentifier":"vault","valueType":"Reference"}}}`, 400, "INVALID_REQUEST", "secret.spec.value"},
		"a value that turns into no path":    {http.MethodPut, "/v2/secrets/ak" + account, `{"secret":{"type":"SecretText","name":"ak","spec":{"secretManagerIdentifier":"vault","valueType":"Reference"}}}`, 400, "INVALID_REQUEST", "secret.spec.value"},
		"a secret with too long a name":      {http.MethodPost, "/v2/secrets" + account, strings.ReplaceAll(secretText, `"identifier":"ak"`, `"identifier":"`+long+`"`), 400, "INVALID_REQUEST", "secret.identifier"},
		"a secret in too long a project":     {http.MethodPost, "/v2/secrets" + account, strings.ReplaceAll(secretReference, `"prj1"`, `"`+long+`"`), 400, "INVALID_REQUEST", "secret.projectIdentifier"},
		"too large a value":                  {http.MethodPost, "/v2/secrets" + account, strings.Replace(strings.ReplaceAll(secretText, `"ak"`, `"big"`), canary, strings.Repeat("x", 64<<10+1), 1), 400, "INVALID_REQUEST", "secret.spec.value"},
		"a secret by another identifier":     {http.MethodPut, "/v2/secrets/other" + account, secretText, 400, "INVALID_REQUEST", "secret.identifier"},
		"an update of no secret":             {http.MethodPut, "/v2/secrets/none" + account, strings.ReplaceAll(secretText, `"ak"`, `"none"`), 404, nextgen.NotFoundCode, ""},
		"the same organization":              {http.MethodPost, "/organizations" + account, `{"organization":{"identifier":"org1","name":"Org"}}`, 400, "DUPLICATE_FIELD", ""},
		"an organization without a name":     {http.MethodPost, "/organizations" + account, `{"organization":{"identifier":"org9"}}`, 400, "INVALID_REQUEST", "organization.name"},
		"an organization with a long id":     {http.MethodPost, "/organizations" + account, `{"organization":{"identifier":"` + long + `","name":"n"}}`, 400, "INVALID_REQUEST", "organization.identifier"},
		"an organization by another name":    {http.MethodPut, "/organizations/org1" + account, `{"organization":{"identifier":"org9","name":"n"}}`, 400, "INVALID_REQUEST", "organization.identifier"},
		"an update of no organization":       {http.MethodPut, "/organizations/org9" + account, `{"organization":{"name":"n"}}`, 404, nextgen.NotFoundCode, ""},
		"the default organization stays":     {http.MethodDelete, "/organizations/default" + account, "", 400, "INVALID_REQUEST", ""},
		"the same project":                   {http.MethodPost, "/projects" + account + "&orgIdentifier=org1", `{"project":{"identifier":"prj1","name":"Prj"}}`, 400, "DUPLICATE_FIELD", ""},
		"a project in no organization":       {http.MethodPost, "/projects" + account + "&orgIdentifier=nowhere", `{"project":{"name":"Prj"}}`, 400, "INVALID_REQUEST", ""},
		"a project in two organizations":     {http.MethodPost, "/projects" + account + "&orgIdentifier=org1", `{"project":{"orgIdentifier":"default","name":"Prj"}}`, 400, "INVALID_REQUEST", "project.orgIdentifier"},
		"a project with a long id":           {http.MethodPost, "/projects" + account, `{"project":{"identifier":"` + long + `","name":"Prj"}}`, 400, "INVALID_REQUEST", "project.identifier"},
		"a project with text for modules":    {http.MethodPost, "/projects" + account, `{"project":{"name":"Prj","modules":"CD"}}`, 400, "INVALID_REQUEST", "project.modules"},
		"a project by another name":          {http.MethodPut, "/projects/prj1" + account + "&orgIdentifier=org1", `{"project":{"identifier":"prj9","name":"Prj"}}`, 400, "INVALID_REQUEST", "project.identifier"},
		"an update of no project":            {http.MethodPut, "/projects/prj9" + account + "&orgIdentifier=org1", `{"project":{"name":"Prj"}}`, 404, nextgen.NotFoundCode, ""},
		"no project to delete":               {http.MethodDelete, "/projects/prj9" + account + "&orgIdentifier=org1", "", 404, nextgen.NotFoundCode, ""},
		"a token without a name":             {http.MethodPost, "/delegate-token-ng" + account, "", 400, "INVALID_REQUEST", "tokenName"},
		"a token with a long name":           {http.MethodPost, "/delegate-token-ng" + account + "&tokenName=" + long, "", 400, "INVALID_REQUEST", "tokenName"},
		"a look at a token with a long name": {http.MethodGet, "/delegate-token-ng" + account + "&name=" + long, "", 400, "INVALID_REQUEST", "name"},
		"a token in no organization":         {http.MethodPost, "/delegate-token-ng" + account + "&tokenName=t&orgIdentifier=nowhere", "", 400, "INVALID_REQUEST", ""},
		"a token with an odd end":            {http.MethodPost, "/delegate-token-ng" + account + "&tokenName=t&revokeAfter=tomorrow", "", 400, "INVALID_REQUEST", "revokeAfter"},
		"a token with an endless end":        {http.MethodPost, "/delegate-token-ng" + account + "&tokenName=t&revokeAfter=9223372036854775807", "", 400, "INVALID_REQUEST", "revokeAfter"},
		"no token to revoke":                 {http.MethodPut, "/delegate-token-ng" + account + "&tokenName=none", "", 404, nextgen.NotFoundCode, ""},
		"no token to delete":                 {http.MethodDelete, "/delegate-token-ng" + account + "&tokenName=none", "", 404, nextgen.NotFoundCode, ""},
		"delegates of a status unheard of":   {http.MethodPost, "/delegate-setup/listDelegates" + account, `{"status":"ASLEEP"}`, 400, "INVALID_REQUEST", "status"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := c.Do(w.Admin, tt.method, "/ng/api"+tt.path, tt.body)
			got := failure(t, a)
			field := ""
			if len(got.Errors) > 0 {
				field = got.Errors[0].FieldID
			}
			if a.Status != tt.status || got.Code != tt.code || field != tt.field {
				t.Errorf("%d %s %q: %s", a.Status, got.Code, field, got.Message)
			}
			if strings.Contains(a.Body, canary) {
				t.Error("the answer quotes the secret")
			}
		})
	}
}

func TestNamesOfThePublicTestsAreAccepted(t *testing.T) {
	t.Parallel()
	_, c := serve(t)
	for i, id := range []string{"TestAccResourceConnectorAws_executeOnDelegate_UpdateConnector_AbCdE", "a$b_9", "_x"} {
		c.Must(http.MethodPost, "/ng/api/connectors"+account, strings.Replace(irsa, `"identifier":"c1"`, fmt.Sprintf(`"identifier":%q`, id), 1))
		c.Must(http.MethodPost, "/ng/api/organizations"+account, fmt.Sprintf(`{"organization":{"identifier":%q,"name":"the same name"}}`, id))
		c.Must(http.MethodPost, "/ng/api/delegate-token-ng"+account+fmt.Sprintf("&tokenName=tok-en_%d", i), "")
	}
}
