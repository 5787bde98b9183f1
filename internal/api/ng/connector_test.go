package ng_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/nextgen"
)

func TestConnectorAnswers(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Golden("connector-created", c.Must(http.MethodPost, "/ng/api/connectors"+account, manual))
	c.Golden("connector-created-irsa", c.Must(http.MethodPost, "/ng/api/connectors"+account, irsa))
	w.Clock.Move(time.Minute)
	c.Golden("connector-updated", c.Must(http.MethodPut, "/ng/api/connectors"+account, strings.Replace(irsa, `"executeOnDelegate":true`, `"executeOnDelegate":false`, 1)))
	c.Golden("connector", c.Must(http.MethodGet, "/ng/api/connectors/prod_aws"+project1, ""))
	w.Runner.Answer = func(connector.Request) connector.Result {
		return connector.Result{
			StartedAt: w.Clock.Now(), EndedAt: w.Clock.Now().Add(time.Second), Delegate: "eks-1", DelegateID: "dlg_1",
			Evidence: &connector.Evidence{Region: "us-gov-west-1", Identity: &connector.Identity{ARN: "arn:aws-us-gov:sts::123456789012:assumed-role/deploy/x", Account: "123456789012", UserID: "AROA:x"}, Regions: []string{"us-gov-west-1"}},
		}
	}
	c.Golden("test-passed", c.Must(http.MethodPost, "/ng/api/connectors/testConnection/prod_aws"+project1, ""))
	w.Runner.Answer = func(connector.Request) connector.Result {
		return connector.Result{
			StartedAt: w.Clock.Now(), EndedAt: w.Clock.Now().Add(2 * time.Second), Delegate: "eks-1", DelegateID: "dlg_1",
			Evidence: &connector.Evidence{Region: "us-east-1", Failure: &connector.Failure{Step: connector.StepIdentity, Service: "sts", Operation: "GetCallerIdentity", Code: "SignatureDoesNotMatch", Message: "The request signature we calculated does not match", Status: 403}},
		}
	}
	c.Golden("test-failed", c.Must(http.MethodPost, "/ng/api/connectors/testConnection/prod_aws"+project1, ""))
	w.Runner.Answer = func(connector.Request) connector.Result {
		return connector.Result{NotRun: &connector.NotRun{Cause: connector.NoDelegate, Message: "No delegate has the tag eks.", Reasons: []string{"d1: lacks eks"}}, StartedAt: w.Clock.Now(), EndedAt: w.Clock.Now()}
	}
	c.Golden("test-no-delegate", c.Must(http.MethodPost, "/ng/api/connectors/testConnection/c1"+account, ""))
	c.Golden("connector-failing", c.Must(http.MethodGet, "/ng/api/connectors/prod_aws"+project1, ""))
	c.Golden("connectors", c.Must(http.MethodGet, "/ng/api/connectors"+account+"&pageIndex=0&pageSize=10", ""))
	c.Golden("connectors-listV2", c.Must(http.MethodPost, "/ng/api/connectors/listV2"+project1+"&includeAllConnectorsAvailableAtScope=true", `{"filterType":"Connector"}`))
	c.Golden("connectors-listbyfqn", c.Must(http.MethodPost, "/ng/api/connectors/listbyfqn"+account, `["ACCOUNT/org1/prj1/prod_aws","ACCOUNT/org1/prj1/nothing","ACCOUNT/c1"]`))
	c.Golden("stats", c.Must(http.MethodGet, "/ng/api/connectors/stats"+account, ""))
	c.Golden("stats-empty", c.Must(http.MethodGet, "/ng/api/connectors/stats"+account+"&orgIdentifier=org1", ""))
	c.Golden("catalogue", c.Must(http.MethodGet, "/ng/api/connectors/catalogue"+account, ""))
	c.Golden("field-values", c.Must(http.MethodGet, "/ng/api/connectors/fieldValues"+account+"&connectorType=Aws", ""))
	c.Golden("field-values-none", c.Must(http.MethodGet, "/ng/api/connectors/fieldValues"+account+"&connectorType=Local", ""))
	c.Golden("connector-deleted", c.Must(http.MethodDelete, "/ng/api/connectors/c1"+account+"&forceDelete=true", ""))
	c.Golden("connector-gone", c.Do(w.Admin, http.MethodGet, "/ng/api/connectors/c1"+account, ""))
}

func TestConnectorsEchoWhatWasSent(t *testing.T) {
	t.Parallel()
	_, c := serve(t)
	for name, spec := range map[string]string{
		"inherit with execute true":     `{"credential":{"type":"InheritFromDelegate"},"delegateSelectors":["eks"],"executeOnDelegate":true,"proxy":false,"ignoreTestConnection":false}`,
		"irsa with execute false":       `{"credential":{"type":"Irsa"},"delegateSelectors":["eks"],"executeOnDelegate":false,"proxy":false,"ignoreTestConnection":false}`,
		"irsa without execute":          `{"credential":{"type":"Irsa"},"proxy":false,"ignoreTestConnection":false}`,
		"an empty list of selectors":    `{"credential":{"type":"Irsa"},"delegateSelectors":[],"proxy":false,"ignoreTestConnection":false}`,
		"a placeholder for a role":      `{"credential":{"crossAccountAccess":{"crossAccountRoleArn":"test"},"type":"OidcAuthentication","spec":{"iamRoleArn":"test"}},"proxy":false,"ignoreTestConnection":true}`,
		"a session of an hour":          `{"credential":{"crossAccountAccess":{"crossAccountRoleArn":"test","assumeRoleSessionDuration":3600},"type":"Irsa"},"proxy":false,"ignoreTestConnection":false}`,
		"session tags in their order":   `{"credential":{"type":"OidcAuthentication","spec":{"iamRoleArn":"test","oidcSessionTagKeys":["triggered_by_email","account_id"]}},"proxy":false,"ignoreTestConnection":false}`,
		"references that lead nowhere":  `{"credential":{"type":"ManualConfig","spec":{"accessKeyRef":"account.gfgf","secretKeyRef":"account.nothing","sessionTokenRef":"nor_this"}},"proxy":false,"ignoreTestConnection":false}`,
		"full jitter":                   `{"credential":{"type":"Irsa"},"awsSdkClientBackOffStrategyOverride":{"type":"FullJitterBackoffStrategy","spec":{"baseDelay":10,"maxBackoffTime":100,"retryCount":3}},"proxy":false,"ignoreTestConnection":false}`,
		"equal jitter with zeros":       `{"credential":{"type":"Irsa"},"awsSdkClientBackOffStrategyOverride":{"type":"EqualJitterBackoffStrategy","spec":{"baseDelay":0,"maxBackoffTime":0,"retryCount":0}},"proxy":false,"ignoreTestConnection":false}`,
		"the region of another account": `{"credential":{"type":"ManualConfig","spec":{"accessKey":"AKIA","secretKeyRef":"s"},"region":"cn-north-1"},"proxy":true,"proxyUrl":"https://p.example.com","ignoreTestConnection":false}`,
	} {
		t.Run(name, func(t *testing.T) {
			id := "TestAccResourceConnectorAws_" + strings.ReplaceAll(name, " ", "_")
			body := fmt.Sprintf(`{"name":"ünï-c_ode name ✓","identifier":%q,"description":"Zeile\n","tags":{"a":"b"},"type":"Aws","spec":%s}`, id, spec)
			created := c.Must(http.MethodPost, "/ng/api/connectors"+account, `{"connector":`+body+`}`)
			read := c.Must(http.MethodGet, "/ng/api/connectors/"+id+account, "")
			for _, a := range []string{created.Body, read.Body} {
				var got struct {
					Data struct {
						Connector json.RawMessage `json:"connector"`
					} `json:"data"`
				}
				if err := json.Unmarshal([]byte(a), &got); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(body, string(got.Data.Connector)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestAnIdentifierIsMadeFromTheName(t *testing.T) {
	t.Parallel()
	_, c := serve(t)
	a := c.Must(http.MethodPost, "/ng/api/connectors"+account, strings.Replace(irsa, `"name":"c1","identifier":"c1"`, `"name":"prod-aws eu"`, 1))
	if id := data[nextgen.ConnectorResponse](t, a).Connector.Identifier; id != "prod_aws_eu" {
		t.Errorf("got %q", id)
	}
}

func TestConnectorScopeIsThatOfTheBody(t *testing.T) {
	t.Parallel()
	_, c := serve(t)
	a := c.Must(http.MethodPost, "/ng/api/connectors"+project1, irsa)
	if got := data[nextgen.ConnectorResponse](t, a).Connector; got.OrgIdentifier != "" || got.ProjectIdentifier != "" {
		t.Errorf("got %+v", got)
	}
	c.Must(http.MethodGet, "/ng/api/connectors/c1"+account, "")
}

func TestConnectorsThatCannotBeSaved(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/connectors"+account, irsa)
	const of = `{"connector":{"name":"n","identifier":"n","type":"Aws","spec":%s}}`
	for name, tt := range map[string]struct {
		method, body, code string
		fields             []string
	}{
		"twice the same":                  {http.MethodPost, irsa, "DUPLICATE_FIELD", nil},
		"no body":                         {http.MethodPost, "", "INVALID_REQUEST", nil},
		"no JSON":                         {http.MethodPost, "connector:\n  name: n", "INVALID_REQUEST", nil},
		"a list":                          {http.MethodPost, "[]", "INVALID_REQUEST", nil},
		"an empty object":                 {http.MethodPost, "{}", "INVALID_REQUEST", []string{"connector.type", "connector.name", "connector.identifier"}},
		"null":                            {http.MethodPost, `{"connector":null}`, "INVALID_REQUEST", []string{"connector.type", "connector.name", "connector.identifier"}},
		"a number for a name":             {http.MethodPost, `{"connector":{"name":5}}`, "INVALID_REQUEST", []string{"connector.name"}},
		"a text for a list":               {http.MethodPost, fmt.Sprintf(of, `{"credential":{"type":"Irsa"},"delegateSelectors":"eks"}`), "INVALID_REQUEST", []string{"connector.spec.delegateSelectors"}},
		"a text for a number":             {http.MethodPost, fmt.Sprintf(of, `{"credential":{"type":"Irsa"},"awsSdkClientBackOffStrategyOverride":{"type":"FixedDelayBackoffStrategy","spec":{"fixedBackoff":"100"}}}`), "INVALID_REQUEST", []string{"connector.spec.awsSdkClientBackOffStrategyOverride.spec.fixedBackoff"}},
		"another type":                    {http.MethodPost, `{"connector":{"name":"n","identifier":"n","type":"Local","spec":{}}}`, "INVALID_REQUEST", []string{"connector.type"}},
		"the credential broker":           {http.MethodPost, fmt.Sprintf(of, `{"credential":{"type":"CredentialBroker","spec":{"mapping":{"a":"$.b"}}}}`), "INVALID_REQUEST", []string{"connector.spec.credential.type"}},
		"an unknown backoff":              {http.MethodPost, fmt.Sprintf(of, `{"credential":{"type":"Irsa"},"awsSdkClientBackOffStrategyOverride":{"type":"Never","spec":{}}}`), "INVALID_REQUEST", []string{"connector.spec.awsSdkClientBackOffStrategyOverride.type"}},
		"everything wrong at once":        {http.MethodPost, `{"connector":{"name":"","identifier":"9x","projectIdentifier":"p","type":"Aws","spec":{"credential":{"type":"Magic","region":"mars"}}}}`, "INVALID_REQUEST", []string{"connector.spec.credential.type", "connector.name", "connector.identifier", "connector.orgIdentifier", "connector.spec.credential.region"}},
		"everything wrong that is known":  {http.MethodPost, `{"connector":{"name":"n","identifier":"9x","type":"Aws","spec":{"credential":{"type":"ManualConfig","spec":{}}}}}`, "INVALID_REQUEST", []string{"connector.identifier", "connector.spec.credential.spec.accessKey", "connector.spec.credential.spec.secretKeyRef"}},
		"a project without organization":  {http.MethodPost, strings.Replace(irsa, `"type":"Aws"`, `"projectIdentifier":"prj1","type":"Aws"`, 1), "INVALID_REQUEST", []string{"connector.orgIdentifier"}},
		"an organization that is not":     {http.MethodPost, strings.Replace(irsa, `"type":"Aws"`, `"orgIdentifier":"nowhere","type":"Aws"`, 1), "INVALID_REQUEST", []string{"connector.orgIdentifier"}},
		"a project that is not":           {http.MethodPost, strings.Replace(irsa, `"type":"Aws"`, `"orgIdentifier":"org1","projectIdentifier":"nowhere","type":"Aws"`, 1), "INVALID_REQUEST", []string{"connector.projectIdentifier"}},
		"too long an identifier":          {http.MethodPost, strings.Replace(irsa, `"identifier":"c1"`, `"identifier":"`+strings.Repeat("x", 129)+`"`, 1), "INVALID_REQUEST", []string{"connector.identifier"}},
		"too long an organization":        {http.MethodPost, strings.Replace(irsa, `"type":"Aws"`, `"orgIdentifier":"`+strings.Repeat("x", 5000)+`","type":"Aws"`, 1), "INVALID_REQUEST", []string{"connector.orgIdentifier"}},
		"an identifier in Unicode":        {http.MethodPost, strings.Replace(irsa, `"identifier":"c1"`, `"identifier":"größe"`, 1), "INVALID_REQUEST", []string{"connector.identifier"}},
		"a name that makes no identifier": {http.MethodPost, strings.Replace(irsa, `"name":"c1","identifier":"c1"`, `"name":"云"`, 1), "INVALID_REQUEST", []string{"connector.identifier"}},
		"a NUL in the description":        {http.MethodPost, strings.Replace(irsa, `"name":"c1","identifier":"c1"`, `"name":"n","identifier":"nul","description":"a\u0000b"`, 1), "INVALID_REQUEST", []string{"connector.description"}},
		"an update to another type":       {http.MethodPut, strings.Replace(irsa, `"type":"Aws"`, `"type":"Gcp"`, 1), "INVALID_REQUEST", []string{"connector.type"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := c.Do(w.Admin, tt.method, "/ng/api/connectors"+account, tt.body)
			got := failure(t, a)
			var fields []string
			for _, e := range got.Errors {
				fields = append(fields, e.FieldID)
			}
			if diff := cmp.Diff(tt.fields, fields); a.Status != http.StatusBadRequest || got.Code != tt.code || diff != "" {
				t.Errorf("%d %s: %s\n%s", a.Status, got.Code, got.Message, diff)
			}
		})
	}
}

func TestUpdateOfAConnectorThatIsNotThere(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	a := c.Do(w.Admin, http.MethodPut, "/ng/api/connectors"+account, irsa)
	if got := failure(t, a); a.Status != http.StatusNotFound || got.Code != nextgen.NotFoundCode {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestListsOfConnectors(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	for _, name := range []string{"beta", "alpha", "alpha two", "gamma"} {
		c.Must(http.MethodPost, "/ng/api/connectors"+account, fmt.Sprintf(`{"connector":{"name":%q,"description":"the %s","tags":{"n":%q},"type":"Aws","spec":{"credential":{"type":"Irsa"}}}}`, name, name, name))
	}
	c.Must(http.MethodPost, "/ng/api/connectors"+account, `{"connector":{"name":"keys","type":"Aws","spec":{"credential":{"type":"ManualConfig","spec":{"accessKey":"AKIA","secretKeyRef":"s"}}}}}`)
	c.Must(http.MethodPost, "/ng/api/connectors"+account, strings.Replace(manual, "prod aws", "alpha project", 1))
	w.Runner.Answer = func(connector.Request) connector.Result {
		return connector.Result{StartedAt: w.Clock.Now(), EndedAt: w.Clock.Now(), Evidence: &connector.Evidence{}}
	}
	c.Must(http.MethodPost, "/ng/api/connectors/testConnection/gamma"+account, "")
	get := func(query string) (string, string, string) {
		return http.MethodGet, "/ng/api/connectors" + account + query, ""
	}
	post := func(query, body string) (string, string, string) {
		return http.MethodPost, "/ng/api/connectors/listV2" + account + query, body
	}
	call := func(method, path, body string) [3]string { return [3]string{method, path, body} }
	for name, tt := range map[string]struct {
		call  [3]string
		want  string
		total int
	}{
		"all of the scope":                {call(get("")), "alpha,alpha two,beta,gamma,keys", 5},
		"the second page":                 {call(get("&pageIndex=1&pageSize=2")), "beta,gamma", 5},
		"past the end":                    {call(get("&pageIndex=9&pageSize=2")), "", 5},
		"far past the end":                {call(get("&pageIndex=2000000000&pageSize=1000")), "", 5},
		"a search, exact names first":     {call(get("&searchTerm=ALPHA")), "alpha,alpha two", 2},
		"of the type":                     {call(get("&type=Aws")), "alpha,alpha two,beta,gamma,keys", 5},
		"of another type":                 {call(get("&type=Local")), "", 0},
		"of the category":                 {call(get("&category=CLOUD_PROVIDER")), "alpha,alpha two,beta,gamma,keys", 5},
		"of another category":             {call(get("&source_category=SECRET_MANAGER")), "", 0},
		"without a body":                  {call(post("", "")), "alpha,alpha two,beta,gamma,keys", 5},
		"by name and type":                {call(post("&pageSize=2", `{"connectorNames":["alpha"],"types":["Aws"],"filterType":"Connector"}`)), "alpha", 1},
		"by name, two pages on":           {call(post("&pageIndex=2&pageSize=2", `{"connectorNames":["alpha"]}`)), "", 1},
		"by identifier":                   {call(post("", `{"connectorIdentifiers":["alpha_two","beta","nothing"]}`)), "alpha two,beta", 2},
		"by description":                  {call(post("", `{"description":"the al"}`)), "alpha,alpha two", 2},
		"by other types":                  {call(post("", `{"types":["K8sCluster"]}`)), "", 0},
		"by category":                     {call(post("", `{"categories":["CLOUD_PROVIDER","ARTIFACTORY"]}`)), "alpha,alpha two,beta,gamma,keys", 5},
		"by status":                       {call(post("", `{"connectivityStatuses":["SUCCESS"]}`)), "gamma", 1},
		"by two statuses":                 {call(post("", `{"connectivityStatuses":["SUCCESS","FAILURE"]}`)), "gamma", 1},
		"never tested":                    {call(post("", `{"connectivityStatuses":["UNKNOWN"]}`)), "alpha,alpha two,beta,keys", 4},
		"a status that there is not":      {call(post("", `{"connectivityStatuses":["PENDING"]}`)), "", 0},
		"with the delegate's credentials": {call(post("", `{"inheritingCredentialsFromDelegate":true}`)), "alpha,alpha two,beta,gamma", 4},
		"with other credentials":          {call(post("", `{"inheritingCredentialsFromDelegate":false}`)), "keys", 1},
		"by tag":                          {call(post("", `{"tags":{"n":"beta"}}`)), "beta", 1},
		"all at once":                     {call(post("&searchTerm=alpha", `{"connectorNames":["alpha","beta"],"tags":{"n":"alpha"},"inheritingCredentialsFromDelegate":true,"connectivityStatuses":["UNKNOWN"],"description":"the"}`)), "alpha", 1},
		"of the project":                  {call(post("&orgIdentifier=org1&projectIdentifier=prj1", "{}")), "alpha project", 1},
		"of all that the project can use": {call(post("&orgIdentifier=org1&projectIdentifier=prj1&includeAllConnectorsAvailableAtScope=true&searchTerm=alpha", "{}")), "alpha,alpha project,alpha two", 3},
		"of a project that is not there":  {call(post("&orgIdentifier=org1&projectIdentifier=nowhere", "{}")), "", 0},
		"of an organization that is not":  {call(get("&orgIdentifier=nowhere")), "", 0},
		"a search that looks like SQL":    {call(get("&searchTerm=%25'%3B--")), "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := data[nextgen.Page[nextgen.ConnectorResponse]](t, c.Must(tt.call[0], tt.call[1], tt.call[2]))
			var names []string
			for _, one := range p.Content {
				names = append(names, one.Connector.Name)
			}
			if got := strings.Join(names, ","); got != tt.want || p.TotalItems != tt.total || p.Empty != (len(names) == 0) || p.PageItemCount != len(names) || p.Content == nil {
				t.Errorf("got %s of %d: %+v", got, p.TotalItems, p)
			}
		})
	}
	for _, query := range []string{"&pageIndex=-1", "&pageSize=0", "&pageSize=x", "&filterIdentifier=mine"} {
		if a := c.Do(w.Admin, http.MethodPost, "/ng/api/connectors/listV2"+account+query, "{}"); a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, a.Status, a.Body)
		}
	}
}

func TestWhetherAnIdentifierIsFree(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/connectors"+account, irsa)
	c.Must(http.MethodPost, "/ng/api/v2/secrets"+account, secretText)
	for path, want := range map[string]bool{
		"/ng/api/connectors/validateUniqueIdentifier" + account + "&identifier=c1":  false,
		"/ng/api/connectors/validateUniqueIdentifier" + account + "&identifier=c2":  true,
		"/ng/api/connectors/validateUniqueIdentifier" + project1 + "&identifier=c1": true,
		"/ng/api/v2/secrets/validateUniqueIdentifier/ak" + account:                  false,
		"/ng/api/v2/secrets/validateUniqueIdentifier/other-one" + account:           true,
	} {
		if got := data[bool](t, c.Must(http.MethodGet, path, "")); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	for _, path := range []string{"/ng/api/connectors/validateUniqueIdentifier" + account, "/ng/api/v2/secrets/validateUniqueIdentifier/9" + account} {
		if a := c.Do(w.Admin, http.MethodGet, path, ""); a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d", path, a.Status)
		}
	}
}

func TestConnectorsByFullName(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/connectors"+account, irsa)
	c.Must(http.MethodPost, "/ng/api/connectors"+account, manual)
	for name, tt := range map[string]struct {
		key, body string
		status    int
		want      []string
	}{
		"in the order asked for":      {w.Admin, `["ACCOUNT/org1/prj1/prod_aws","ACCOUNT/c1"]`, 200, []string{"prod_aws", "c1"}},
		"with empty words":            {w.Admin, `["ACCOUNT///c1"]`, 200, []string{"c1"}},
		"none":                        {w.Admin, `[]`, 200, nil},
		"not there":                   {w.Admin, `["ACCOUNT/org1/c1"]`, 200, nil},
		"no name":                     {w.Admin, `["c1"]`, 400, nil},
		"a project without its org":   {w.Admin, `["ACCOUNT//prj1/c1"]`, 400, nil},
		"of another account":          {w.Admin, `["other/c1"]`, 403, nil},
		"no list":                     {w.Admin, `{}`, 400, nil},
		"too many":                    {w.Admin, `["` + strings.Repeat(`ACCOUNT/c1","`, 1000) + `ACCOUNT/c1"]`, 400, nil},
		"the key's own project":       {w.Project, `["ACCOUNT/org1/prj1/prod_aws"]`, 200, []string{"prod_aws"}},
		"not what the key cannot see": {w.Project, `["ACCOUNT/c1"]`, 403, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := c.Do(tt.key, http.MethodPost, "/ng/api/connectors/listbyfqn"+account, tt.body)
			if a.Status != tt.status {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			if a.Status != http.StatusOK {
				failure(t, a)
				return
			}
			var got []string
			for _, one := range data[[]nextgen.ConnectorResponse](t, a) {
				got = append(got, one.Connector.Identifier)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v", got)
			}
		})
	}
}
