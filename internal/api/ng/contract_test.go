package ng_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/api/apitest"
	"github.com/belay-dev/belay/internal/api/ng"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/nextgen"
)

// Clients join their endpoint, with /gateway by default, and the path.
func TestEveryRouteAnswersBelowGatewayToo(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	word := regexp.MustCompile(`\{\w+\}`)
	for _, r := range server(w).Group().Routes {
		path := word.ReplaceAllString(r.Path, "x") + account
		bare, below := c.Do(w.Viewer, r.Method, path, ""), c.Do(w.Viewer, r.Method, "/gateway"+path, "")
		if strings.Contains(below.Body, "there is nothing at") || below.Status != bare.Status || below.Header.Get("Content-Type") != bare.Header.Get("Content-Type") {
			t.Errorf("%s %s: %d, and with /gateway %d %s", r.Method, r.Path, bare.Status, below.Status, below.Body)
		}
	}
}

func TestTheHeadersOfClientsAreUnderstood(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c = c.With("Accept", "application/json").With("User-Agent", "terraform-provider-harness-platform-0.99.0").With("Accept-Encoding", "gzip")
	for _, kind := range []string{"application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8", "text/plain"} {
		a := c.Send(w.Admin, http.MethodPost, "/ng/api/connectors/listV2"+account, kind, `{"filterType":"Connector"}`)
		if a.Status != http.StatusOK || a.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %d %v", kind, a.Status, a.Header)
		}
	}
}

// kind is how entities of a kind are made and found.
type kind struct {
	path, word, page string
	list             func(name string) (method, path, body string)
	body             func(id, name, fields string) string // to create one; fields is more of the body
}

// kinds are all that have a list with a search, by its name.
func kinds() map[string]kind {
	get := func(path, more string) func(name string) (string, string, string) {
		return func(name string) (string, string, string) {
			return http.MethodGet, path + account + more + "&searchTerm=" + url.QueryEscape(name), ""
		}
	}
	flat := func(more string) func(id, name, at string) string {
		return func(id, name, at string) string {
			return fmt.Sprintf(`{"identifier":%q,"name":%q%s%s}`, id, name, at, more)
		}
	}
	wrapped := func(word, more string) func(id, name, at string) string {
		return func(id, name, at string) string {
			return fmt.Sprintf(`{%q:{"identifier":%q,"name":%q%s%s}}`, word, id, name, at, more)
		}
	}
	const older, newer = "&pageIndex=%d&pageSize=%d", "&page=%d&size=%d"
	aws := wrapped("connector", `,"type":"Aws","spec":{"credential":{"type":"Irsa"}}`)
	text := wrapped("secret", `,"type":"SecretText","spec":{"type":"","secretManagerIdentifier":"harnessSecretManager","valueType":"Inline","value":"v"}`)
	return map[string]kind{
		"connectors": {"/connectors", "connector", older, get("/connectors", ""), aws},
		"connectors by a filter": {"/connectors", "connector", older, func(name string) (string, string, string) {
			return http.MethodPost, "/connectors/listV2" + account + "&searchTerm=" + url.QueryEscape(name), `{"types":["Aws"],"filterType":"Connector"}`
		}, aws},
		"secrets": {"/v2/secrets", "secret", older, get("/v2/secrets", "&type=SecretText&source_category=SECRET_MANAGER"), text},
		"secrets by a filter": {"/v2/secrets", "secret", older, func(name string) (string, string, string) {
			return http.MethodPost, "/v2/secrets/list" + account, fmt.Sprintf(`{"searchTerm":%q,"filterType":"Secret"}`, name)
		}, text},
		"organizations":   {"/organizations", "organization", older, get("/organizations", ""), wrapped("organization", "")},
		"projects":        {"/projects", "project", older, get("/projects", "&orgIdentifier=org1&hasModule=true"), wrapped("project", `,"orgIdentifier":"org1"`)},
		"services":        {"/servicesV2", "service", newer, get("/servicesV2", ""), flat("")},
		"environments":    {"/environmentsV2", "environment", newer, get("/environmentsV2", ""), flat(`,"type":"Production"`)},
		"infrastructures": {"/infrastructures", "infrastructure", newer, get("/infrastructures", "&environmentIdentifier=dev"), flat(`,"environmentRef":"dev","type":"KubernetesGcp"`)},
	}
}

// named are the names on a page of a list.
func named(t *testing.T, word string, a apitest.Answer) (nextgen.Page[map[string]any], string) {
	t.Helper()
	if a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	p := data[nextgen.Page[map[string]any]](t, a)
	var names []string
	for _, one := range p.Content {
		entity, _ := one[word].(map[string]any)
		names = append(names, fmt.Sprint(entity["name"]))
	}
	return p, strings.Join(names, "|")
}

// A client that looks for a name asks for pages of two and then for the pages 0, 2, 4 and so on, until one is empty: it
// would never see what lies on page 1, and takes only a name that is exactly the one.
func TestListsWithASearchHaveTheExactNameFirst(t *testing.T) {
	t.Parallel()
	for kind, k := range kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w, c := serve(t)
			for i, name := range []string{"a prod", "Prod", "PROD", "b prod", "prod two", "prod", "other"} {
				query := map[bool]string{true: "&orgIdentifier=org1"}[kind == "projects"]
				c.Must(http.MethodPost, "/ng/api"+k.path+account+query, k.body(fmt.Sprint("id_", i), name, ""))
			}
			method, path, body := k.list("prod")
			at := func(page, size int) (nextgen.Page[map[string]any], string) {
				t.Helper()
				return named(t, k.word, c.Do(w.Admin, method, "/ng/api"+path+fmt.Sprintf(k.page, page, size), body))
			}
			first, names := at(0, 2)
			if !strings.HasPrefix(names, "prod|") || first.TotalItems != 6 || first.TotalPages != 3 || first.PageIndex != 0 || first.PageSize != 2 || first.PageItemCount != 2 || first.Empty {
				t.Errorf("the first page: %s, %+v", names, first)
			}
			if p, names := at(2, 2); len(p.Content) != 2 || p.PageIndex != 2 {
				t.Errorf("page 2: %s, %+v", names, p)
			}
			for _, page := range []int{3, 4, 1_000_000_000} {
				if p, _ := at(page, 2); len(p.Content) != 0 || !p.Empty || p.Content == nil || p.TotalItems != 6 {
					t.Errorf("page %d, behind the end: %+v", page, p)
				}
			}
			for _, size := range []int{6, 10_000, 2_000_000_000, 9_000_000_000_000} {
				if p, names := at(0, size); len(p.Content) != 6 || !strings.HasPrefix(names, "prod|") {
					t.Errorf("%d on a page: %s", size, names)
				}
			}
			// Words that this list has no meaning for change nothing.
			junk := "&sort=&sort=nonsense,SIDEWAYS&unheardOf=1&branch=main&repoIdentifier=r&getDefaultFromOtherRepo=true&=&%00=1&include=null&routingId=ACCOUNT"
			if p, names := named(t, k.word, c.Do(w.Admin, method, "/ng/api"+path+fmt.Sprintf(k.page, 0, 2)+junk, body)); !strings.HasPrefix(names, "prod|") || p.TotalItems != 6 {
				t.Errorf("with unknown words: %s, %+v", names, p)
			}
			if _, names := named(t, k.word, c.Do(w.Admin, method, "/ng/api"+path+"&pageIndex=&pageSize=&page=&size=", body)); !strings.HasPrefix(names, "prod|") {
				t.Errorf("with empty words: %s", names)
			}
		})
	}
}

// A duplicate is 400 with a code, whatever it is, and so is what lies in an organization or project that is not there.
func TestDuplicatesAndPlacesThatAreNotThere(t *testing.T) {
	t.Parallel()
	for kind, k := range kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w, c := serve(t)
			query := map[bool]string{true: "&orgIdentifier=org1"}[kind == "projects"]
			path := "/ng/api" + k.path + account
			c.Must(http.MethodPost, path+query, k.body("one", "one", ""))
			again := c.Do(w.Admin, http.MethodPost, path+query, k.body("one", "another name", ""))
			if got := failure(t, again); again.Status != http.StatusBadRequest || got.Code != nextgen.DuplicateCode {
				t.Errorf("a duplicate: %d %s", again.Status, again.Body)
			}
			c.Must(http.MethodPost, path+query, k.body("two", "one", "")) // names need not be unique
			if kind == "organizations" || kind == "projects" {
				return
			}
			for query, fields := range map[string]string{
				"&orgIdentifier=none":                         `,"orgIdentifier":"none"`,
				"&orgIdentifier=org1&projectIdentifier=none":  `,"orgIdentifier":"org1","projectIdentifier":"none"`,
				"&orgIdentifier=default&projectIdentifier=p1": `,"orgIdentifier":"default","projectIdentifier":"p1"`,
			} {
				a := c.Do(w.Admin, http.MethodPost, path+query, k.body("three", "three", fields))
				if got := failure(t, a); a.Status != http.StatusBadRequest || got.Code != nextgen.InvalidCode || !strings.Contains(a.Body, "does not exist") {
					t.Errorf("%s: %d %s", query, a.Status, a.Body)
				}
			}
		})
	}
	w, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/delegate-token-ng"+account+"&tokenName=t", "")
	if a := c.Do(w.Admin, http.MethodPost, "/ng/api/delegate-token-ng"+account+"&tokenName=t", ""); a.Status != http.StatusBadRequest || failure(t, a).Code != nextgen.DuplicateCode {
		t.Errorf("a token: %d %s", a.Status, a.Body)
	}
}

// Identifiers may be long and odd, in every kind and scope.
func TestIdentifiersOfEveryForm(t *testing.T) {
	t.Parallel()
	_, c := serve(t)
	for kind, k := range kinds() {
		for _, id := range []string{"TestAccResourceConnectorAws_executeOnDelegate_UpdateConnector_AbCdE", strings.Repeat("x", 128), "a$b_9", "_x", "A"} {
			if strings.HasSuffix(kind, "a filter") {
				continue
			}
			query := map[bool]string{true: "&orgIdentifier=org1"}[kind == "projects"]
			a := c.Must(http.MethodPost, "/ng/api"+k.path+account+query, k.body(id, "TestAcc_name - with _ and -", ""))
			entity, _ := data[map[string]any](t, a)[k.word].(map[string]any)
			if entity["identifier"] != id || entity["name"] != "TestAcc_name - with _ and -" {
				t.Errorf("%s %s: came back as %v", kind, id, entity)
			}
			within := map[bool]string{true: "&environmentIdentifier=dev"}[kind == "infrastructures"]
			c.Must(http.MethodGet, "/ng/api"+k.path+"/"+url.PathEscape(id)+account+query+within, "")
		}
	}
}

// The words of Git Experience and other options of clients are in the query of any call, and mean nothing here.
func TestTheQueryOfClientsIsPassedOver(t *testing.T) {
	t.Parallel()
	const git = "&storeType=REMOTE&connectorRef=account.git&repoName=r&repoIdentifier=r&rootFolder=f&filePath=.harness%2Fa.yaml&branch=main&baseBranch=main&isNewBranch=true&commitMsg=m&isHarnessCodeRepo=false&loadFromFallbackBranch=true&privateSecret=false"
	for kind, k := range kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			_, c := serve(t)
			query := git + map[bool]string{true: "&orgIdentifier=org1"}[kind == "projects"]
			path := "/ng/api" + k.path
			one := path + "/one" + account + query + "&environmentIdentifier=dev"
			c.Must(http.MethodPost, path+account+query, k.body("one", "one", ""))
			change := path + account + query
			if kind == "organizations" || kind == "projects" || strings.HasPrefix(kind, "secrets") {
				change = one
			}
			c = c.With("If-Match", "7") // of the SDK, and of no version that there is
			c.Must(http.MethodPut, change, k.body("one", "two", ""))
			c.Must(http.MethodGet, one, "")
			if !data[bool](t, c.Must(http.MethodDelete, one+"&forceDelete=true", "")) {
				t.Error("the answer to DELETE is not true")
			}
		})
	}
}

// Every connector is without a status until its first test, in every answer.
func TestAConnectorHasNoStatusUntilItsFirstTest(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	created := c.Must(http.MethodPost, "/ng/api/connectors"+account, irsa)
	calls := map[string]func() apitest.Answer{
		"read":   func() apitest.Answer { return c.Must(http.MethodGet, "/ng/api/connectors/c1"+account, "") },
		"list":   func() apitest.Answer { return c.Must(http.MethodGet, "/ng/api/connectors"+account, "") },
		"listV2": func() apitest.Answer { return c.Must(http.MethodPost, "/ng/api/connectors/listV2"+account, "{}") },
		"by name": func() apitest.Answer {
			return c.Must(http.MethodPost, "/ng/api/connectors/listbyfqn"+account, `["ACCOUNT/c1"]`)
		},
		"update": func() apitest.Answer { return c.Must(http.MethodPut, "/ng/api/connectors"+account, irsa) },
	}
	tested := func(a apitest.Answer) bool {
		t.Helper()
		_, status, found := strings.Cut(a.Body, `"lastModifiedAt":`)
		if !found {
			t.Fatal(a.Body)
		}
		return strings.Contains(status, `"status":{"status":"SUCCESS"`)
	}
	if tested(created) {
		t.Error("it is created with a status")
	}
	for name, call := range calls {
		if a := call(); tested(a) || !strings.Contains(a.Body, `"status":null`) && strings.Count(a.Body, `"status":`) > 1 {
			t.Errorf("%s before the test: %s", name, a.Body)
		}
	}
	w.Runner.Answer = func(connector.Request) connector.Result {
		return connector.Result{StartedAt: w.Clock.Now(), EndedAt: w.Clock.Now(), Evidence: &connector.Evidence{}}
	}
	c.Must(http.MethodPost, "/ng/api/connectors/testConnection/c1"+account, "")
	for name, call := range calls {
		if name == "update" {
			continue // an update may ask for another test
		}
		if a := call(); !tested(a) {
			t.Errorf("%s after the test: %s", name, a.Body)
		}
	}
}

// Clients crash on a connector of a type that they do not know, such as the built-in secret manager's.
func TestNoListHasATypeThatClientsDoNotKnow(t *testing.T) {
	t.Parallel()
	_, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/connectors"+account, irsa)
	c.Must(http.MethodPost, "/ng/api/connectors"+account, cluster)
	for _, a := range []apitest.Answer{
		c.Must(http.MethodGet, "/ng/api/connectors"+account+"&source_category=SECRET_MANAGER&category=SECRET_MANAGER&type=Local", ""),
		c.Must(http.MethodGet, "/ng/api/connectors"+account+"&searchTerm=harnessSecretManager", ""),
		c.Must(http.MethodPost, "/ng/api/connectors/listV2"+account, `{"connectorIdentifiers":["harnessSecretManager"]}`),
		c.Must(http.MethodPost, "/ng/api/connectors/listV2"+account+"&includeAllConnectorsAvailableAtScope=true", `{"categories":["SECRET_MANAGER","CLOUD_PROVIDER"],"types":["Aws","K8sCluster","Local"]}`),
		c.Must(http.MethodPost, "/ng/api/connectors/listbyfqn"+account, `["ACCOUNT/harnessSecretManager","ACCOUNT/eks"]`),
	} {
		var p struct {
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal([]byte(a.Body), &p); err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`"connector":\{.*?"type":"(\w+)"`).FindAllStringSubmatch(string(p.Data), -1) {
			if found[1] != "Aws" && found[1] != "K8sCluster" {
				t.Errorf("a type %s: %s", found[1], a.Body)
			}
		}
	}
}

// The built-in secret manager is there in every scope, under its name alone and with that of a wider scope.
func TestTheBuiltInSecretManagerIsInEveryScope(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	n := 0
	for _, at := range []struct{ query, fields string }{
		{"", ""}, {"&orgIdentifier=org1", `,"orgIdentifier":"org1"`}, {"&orgIdentifier=org1&projectIdentifier=prj1", `,"orgIdentifier":"org1","projectIdentifier":"prj1"`},
	} {
		for _, manager := range []string{"harnessSecretManager", "account.harnessSecretManager", "org.harnessSecretManager"} {
			n++
			id := fmt.Sprint("s", n)
			a := c.Must(http.MethodPost, "/ng/api/v2/secrets"+account+at.query, fmt.Sprintf(`{"secret":{"type":"SecretText","name":"s","identifier":%q%s,"spec":{"secretManagerIdentifier":%q,"valueType":"Inline","value":"v"}}}`, id, at.fields, manager))
			if got := data[nextgen.SecretResponse](t, a).Secret.Spec.SecretManagerIdentifier; got != manager {
				t.Errorf("%s at %q came back as %q", manager, at.query, got)
			}
		}
	}
	if free := data[bool](t, c.Must(http.MethodGet, "/ng/api/connectors/validateUniqueIdentifier"+account+"&identifier=harnessSecretManager", "")); free {
		t.Error("its identifier is said to be free")
	}
	a := c.Do(w.Admin, http.MethodPost, "/ng/api/connectors"+account, strings.Replace(irsa, `"identifier":"c1"`, `"identifier":"harnessSecretManager"`, 1))
	if got := failure(t, a); a.Status != http.StatusBadRequest || got.Code != nextgen.DuplicateCode {
		t.Errorf("a connector with its identifier: %d %s", a.Status, a.Body)
	}
}

func TestTheDefaultOrganizationIsThere(t *testing.T) {
	t.Parallel()
	_, c := serve(t)
	got := data[nextgen.OrganizationResponse](t, c.Must(http.MethodGet, "/ng/api/organizations/default"+account, "")).Organization
	if got.Identifier != "default" || got.Name == "" {
		t.Errorf("%+v", got)
	}
}

// Every key of a session tag that clients know comes back, in order; documents and clients spell one of them differently.
func TestEveryKeyOfASessionTagIsKept(t *testing.T) {
	t.Parallel()
	_, c := serve(t)
	const keys = `["account_id","organization_id","project_id","environment_id","environment_type","pipeline_id","connector_id","connector_name","delegate_selectors","context","step_type","stage_type","triggered_by_email","triggered_by_name","service_name","service_id"]`
	for i, list := range []string{keys, `["trigger_by_email"]`, `["service_id","account_id"]`, `[]`} {
		a := c.Must(http.MethodPost, "/ng/api/connectors"+account, fmt.Sprintf(`{"connector":{"name":"o","identifier":"o%d","type":"Aws","spec":{"credential":{"type":"OidcAuthentication","spec":{"iamRoleArn":"test","oidcSessionTagKeys":%s}},"delegateSelectors":[],"proxy":false,"executeOnDelegate":false,"ignoreTestConnection":false}}}`, i, list))
		if !strings.Contains(a.Body, `"oidcSessionTagKeys":`+list) && list != "[]" {
			t.Errorf("%s came back as %s", list, a.Body)
		}
	}
}

// Every way to reach a cluster comes back byte for byte.
func TestEveryWayToReachAClusterIsKept(t *testing.T) {
	t.Parallel()
	_, c := serve(t)
	manualCluster := func(auth string) string {
		return `{"credential":{"type":"ManualConfig","spec":{"masterUrl":"https://k.example.com","auth":` + auth + `}},"delegateSelectors":["eks","z"]}`
	}
	for name, spec := range map[string]string{
		"inherited":        `{"credential":{"type":"InheritFromDelegate"},"delegateSelectors":["eks"]}`,
		"inherited_null":   `{"credential":{"type":"InheritFromDelegate","spec":null},"delegateSelectors":["eks"],"ignoreTestConnection":false}`,
		"a_password":       manualCluster(`{"type":"UsernamePassword","spec":{"username":"admin","passwordRef":"account.pw"}}`),
		"a_password_name":  manualCluster(`{"type":"UsernamePassword","spec":{"usernameRef":"account.user","passwordRef":"pw"}}`),
		"a_token":          manualCluster(`{"type":"ServiceAccount","spec":{"serviceAccountTokenRef":"account.tok","caCertRef":"account.ca"}}`),
		"a_certificate":    manualCluster(`{"type":"ClientKeyCert","spec":{"caCertRef":"account.ca","clientCertRef":"account.crt","clientKeyRef":"account.key","clientKeyPassphraseRef":"account.pass","clientKeyAlgo":"RSA"}}`),
		"an_identity":      manualCluster(`{"type":"OpenIdConnect","spec":{"oidcIssuerUrl":"https://i.example.com","oidcUsername":"u","oidcClientIdRef":"account.id","oidcPasswordRef":"account.pw","oidcSecretRef":"account.s","oidcScopes":"a b"}}`),
		"with_a_new_field": manualCluster(`{"type":"ServiceAccount","spec":{"serviceAccountTokenRef":"tok","unheardOf":[1,null,{"a":"b"}]}}`),
	} {
		for what, a := range map[string]apitest.Answer{
			"create": c.Must(http.MethodPost, "/ng/api/connectors"+account, fmt.Sprintf(`{"connector":{"name":"k","identifier":%q,"type":"K8sCluster","_":null,"spec":%s}}`, name, spec)),
			"read":   c.Must(http.MethodGet, "/ng/api/connectors/"+name+account, ""),
			"update": c.Must(http.MethodPut, "/ng/api/connectors"+account, fmt.Sprintf(`{"connector":{"name":"k2","identifier":%q,"type":"K8sCluster","spec":%s}}`, name, spec)),
		} {
			if !strings.Contains(a.Body, `"spec":`+spec) {
				t.Errorf("%s, %s: %s", name, what, a.Body)
			}
		}
	}
}

// What a project does not say is made by the manager, and stays.
func TestColourAndModulesOfAProjectStay(t *testing.T) {
	t.Parallel()
	_, c := serve(t)
	const path = "/ng/api/projects"
	at := account + "&orgIdentifier=org1"
	first := data[nextgen.ProjectResponse](t, c.Must(http.MethodPost, path+at, `{"project":{"orgIdentifier":"org1","identifier":"p","name":"P"}}`)).Project
	if first.Color == "" {
		t.Error("it has no colour")
	}
	for _, body := range []string{`{"project":{"orgIdentifier":"org1","identifier":"p","name":"P"}}`, `{"project":{"orgIdentifier":"org1","identifier":"p","name":"P","color":"","modules":null}}`} {
		again := data[nextgen.ProjectResponse](t, c.Must(http.MethodPut, path+"/p"+at, body)).Project
		if again.Color != first.Color || len(again.Modules) != len(first.Modules) {
			t.Errorf("it became %+v", again)
		}
	}
}

// Terraform deletes children first; who does not takes them along.
func TestAnOrganizationTakesWhatIsInItAlong(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/connectors"+account, manual)
	c.Must(http.MethodPost, "/ng/api/servicesV2"+account, service)
	key := w.Project
	if a := c.Do(key, http.MethodGet, "/ng/api/connectors/prod_aws"+project1, ""); a.Status != http.StatusOK {
		t.Fatal(a.Body)
	}
	if !data[bool](t, c.Must(http.MethodDelete, "/ng/api/organizations/org1"+account, "")) {
		t.Error("the answer to DELETE is not true")
	}
	c.Must(http.MethodPost, "/ng/api/organizations"+account, `{"organization":{"identifier":"org1","name":"again"}}`)
	c.Must(http.MethodPost, "/ng/api/projects"+account+"&orgIdentifier=org1", `{"project":{"identifier":"prj1","name":"again"}}`)
	for _, path := range []string{"/connectors/prod_aws", "/servicesV2/svc"} {
		if a := c.Do(w.Admin, http.MethodGet, "/ng/api"+path+project1, ""); a.Status != http.StatusNotFound || failure(t, a).Code != nextgen.NotFoundCode {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if a := c.Do(key, http.MethodGet, "/ng/api/connectors"+project1, ""); a.Status != http.StatusUnauthorized {
		t.Errorf("a key of the former project works again: %d %s", a.Status, a.Body)
	}
}

// Every list has a word for the identifiers that are wanted, each another one, repeated or with commas between.
func TestListsByIdentifiers(t *testing.T) {
	t.Parallel()
	for kind, word := range map[string]string{
		"secrets": "identifiers", "organizations": "identifiers", "projects": "identifiers", "services": "serviceIdentifiers",
		"environments": "envIdentifiers", "infrastructures": "infraIdentifiers",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w, c := serve(t)
			k := kinds()[kind]
			query := map[bool]string{true: "&orgIdentifier=org1"}[kind == "projects"]
			for _, id := range []string{"i1", "i2", "i3", "i"} {
				c.Must(http.MethodPost, "/ng/api"+k.path+account+query, k.body(id, "name of "+id, ""))
			}
			method, path, _ := k.list("")
			for more, want := range map[string]string{
				"&" + word + "=i3&" + word + "=i1":      "name of i1|name of i3",
				"&" + word + "=i3,i1,none":              "name of i1|name of i3",
				"&" + word + "=i":                       "name of i",
				"&" + word + "=none":                    "",
				"&" + word + "=i1,i2&searchTerm=of+i2":  "name of i2",
				"&" + word + "=" + "&searchTerm=of+i2":  "name of i2",
				"&" + word + "=i1,i1,i1,,&searchTerm=I": "name of i1",
			} {
				if _, names := named(t, k.word, c.Do(w.Admin, method, "/ng/api"+strings.TrimSuffix(path, "&searchTerm=")+more, "")); names != want {
					t.Errorf("%s: %s", more, names)
				}
			}
		})
	}
}

func TestDefinitionsInAnOrder(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"services", "environments", "infrastructures"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w, c := serve(t)
			k := kinds()[kind]
			for i, name := range []string{"b", "C", "a"} {
				c.Must(http.MethodPost, "/ng/api"+k.path+account, k.body(fmt.Sprint("x", 3-i), name, ""))
				w.Clock.Move(time.Minute)
			}
			c.Must(http.MethodPut, "/ng/api"+k.path+account, k.body("x3", "b", "")) // the oldest is changed last
			method, path, _ := k.list("")
			for sort, want := range map[string]string{
				"": "a|b|C", "name,ASC": "a|b|C", "name,DESC": "C|b|a", "identifier,ASC": "a|C|b", "createdAt,DESC": "a|C|b", "createdAt,ASC": "b|C|a",
				"lastModifiedAt,DESC": "b|a|C", "lastModifiedAt": "C|a|b", "nonsense,DESC": "C|b|a", "name": "a|b|C",
			} {
				if _, names := named(t, k.word, c.Do(w.Admin, method, "/ng/api"+path+"&sort="+url.QueryEscape(sort), "")); names != want {
					t.Errorf("%q: %s", sort, names)
				}
			}
		})
	}
}

// The scope of a secret stands in the query, in the body, or in both.
func TestTheScopeOfASecretIsSaidOnceOrTwice(t *testing.T) {
	t.Parallel()
	_, c := serve(t)
	const fields = `,"orgIdentifier":"org1","projectIdentifier":"prj1"`
	const query = "&orgIdentifier=org1&projectIdentifier=prj1"
	for i, tt := range []struct{ query, fields string }{{query, ""}, {"", fields}, {query, fields}, {query, `,"orgIdentifier":null,"projectIdentifier":""`}} {
		body := kinds()["secrets"].body(fmt.Sprint("s", i), "s", tt.fields)
		for _, call := range [][2]string{{http.MethodPost, ""}, {http.MethodPut, fmt.Sprint("/s", i)}} {
			got := data[nextgen.SecretResponse](t, c.Must(call[0], "/ng/api/v2/secrets"+call[1]+account+tt.query, body)).Secret
			if got.OrgIdentifier != "org1" || got.ProjectIdentifier != "prj1" {
				t.Errorf("%+v: %+v", tt, got)
			}
		}
	}
}

// Terraform code and SDK programs may hold more than Belay has. They show what they are told, if it is told in their words.
func TestACallOfAnotherAPIIsRefusedInWordsThatClientsShow(t *testing.T) {
	t.Parallel()
	w := apitest.New(t)
	c := w.Serve(t, server(w).Others())
	for _, path := range []string{"/belay/v1/whoami", "/ui/", "/", "/pipeline", "/pipelines/api/x", "/ng/api/v1/x"} {
		if ng.IsOther(path) {
			t.Errorf("%s is taken for another's", path)
		}
	}
	for _, path := range []string{"/pipeline/api/pipelines/v2", "/template/api/templates/t", "/authz/api/roles", "/v1/orgs/org1/connectors/c/test-connection", "/gitops/api/v1/agents/a", "/cf/admin/features/f"} {
		for _, prefix := range []string{"", "/gateway"} {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
				if !ng.IsOther(path) {
					t.Errorf("%s is not known", path)
				}
				a := c.Do(w.Admin, method, prefix+path+account, "")
				if got := failure(t, a); a.Status != http.StatusBadRequest || got.Code != nextgen.InvalidCode || !strings.Contains(got.Message, "does not serve this call") {
					t.Errorf("%s %s%s: %d %s", method, prefix, path, a.Status, a.Body)
				}
			}
		}
	}
}
