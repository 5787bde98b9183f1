package ng_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/api/apitest"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/nextgen"
	"github.com/belay-dev/belay/internal/scope"
)

// resourceKind is how a Terraform-like client deals with one kind of entity.
type resourceKind struct {
	path    string         // of the collection
	word    string         // under which the answer holds the entity
	wrapped bool           // the request holds it under the same word
	byPath  bool           // an update names it in the path too
	within  string         // what else the query says to read one
	first   map[string]any // as it is created; identifier and scope are added
	second  map[string]any // what an update changes
	find    func(at, name string) (method, path, body string)
	hidden  []string // what is sent and never given back
}

func bySearch(path, page string) func(at, name string) (string, string, string) {
	return func(at, name string) (string, string, string) {
		return http.MethodGet, path + at + "&searchTerm=" + url.QueryEscape(name) + page, ""
	}
}

func resourceKinds() map[string]resourceKind {
	const pages, older = "&page=0&size=2", "&pageIndex=0&pageSize=2"
	tags := map[string]any{"team": "core", "solo": ""}
	return map[string]resourceKind{
		"connector": {
			path: "/connectors", word: "connector", wrapped: true,
			first: map[string]any{
				"name": "prod aws", "description": "d", "tags": tags, "type": "Aws", "_": nil,
				"spec": map[string]any{
					"credential":                          map[string]any{"type": "ManualConfig", "region": "eu-west-1", "spec": map[string]any{"accessKey": "AKIAEXAMPLE", "secretKeyRef": "account.sk"}},
					"awsSdkClientBackOffStrategyOverride": map[string]any{"type": "FullJitterBackoffStrategy", "spec": map[string]any{"baseDelay": 10, "maxBackoffTime": 20, "retryCount": 0}},
					"delegateSelectors":                   []any{"b", "a"}, "executeOnDelegate": false, "proxy": false, "ignoreTestConnection": false, "connectorType": "",
				},
			},
			second: map[string]any{"name": "prod aws 2", "tags": map[string]any{}},
			find: func(at, name string) (string, string, string) {
				text, _ := json.Marshal(map[string]any{"connectorNames": []string{name}, "types": []string{"Aws"}, "filterType": "Connector"})
				return http.MethodPost, "/connectors/listV2" + at + older, string(text)
			},
			hidden: []string{"_", "connectorType"},
		},
		"cluster": {
			path: "/connectors", word: "connector", wrapped: true,
			first:  map[string]any{"name": "eks", "type": "K8sCluster", "spec": map[string]any{"credential": map[string]any{"type": "InheritFromDelegate"}, "delegateSelectors": []any{"eks"}}},
			second: map[string]any{"description": "new"},
			find: func(at, name string) (string, string, string) {
				return http.MethodPost, "/connectors/listV2" + at + older, `{"connectorNames":["` + name + `"],"types":["K8sCluster"]}`
			},
		},
		"secret": {
			path: "/v2/secrets", word: "secret", wrapped: true, byPath: true,
			first: map[string]any{
				"type": "SecretText", "name": "ak", "tags": tags, "description": "d",
				"spec": map[string]any{"type": "", "secretManagerIdentifier": "harnessSecretManager", "valueType": "Reference", "value": "/kv/a", "additionalMetadata": map[string]any{"values": map[string]any{"kmsKeyId": "k"}}},
			},
			second: map[string]any{"name": "ak two"}, find: bySearch("/v2/secrets", older),
		},
		"secret with a value": {
			path: "/v2/secrets", word: "secret", wrapped: true, byPath: true,
			first: map[string]any{
				"type": "SecretText", "name": "ak", "tags": tags,
				"spec": map[string]any{"type": "", "secretManagerIdentifier": "harnessSecretManager", "valueType": "Inline", "value": "v", "additionalMetadata": map[string]any{}},
			},
			second: map[string]any{"spec": map[string]any{"type": "", "secretManagerIdentifier": "harnessSecretManager", "valueType": "Inline"}}, // its value stays
			find:   bySearch("/v2/secrets", older), hidden: []string{"value"},
		},
		"service": {
			path: "/servicesV2", word: "service",
			first:  map[string]any{"name": "svc", "description": "d", "tags": tags, "yaml": "service:\r\n  name: svc\n  x: {}\n\n"},
			second: map[string]any{"name": "svc two", "yaml": "service:\n  name: svc two\n"}, find: bySearch("/servicesV2", pages),
		},
		"environment": {
			path: "/environmentsV2", word: "environment",
			first:  map[string]any{"name": "dev", "tags": tags, "color": "#112233", "type": "PreProduction", "yaml": "environment:\n  name: dev\n"},
			second: map[string]any{"type": "Production"}, find: bySearch("/environmentsV2", pages),
		},
		"infrastructure": {
			path: "/infrastructures", word: "infrastructure", within: "&environmentIdentifier=dev",
			first:  map[string]any{"name": "fn", "environmentRef": "dev", "type": "AwsLambda", "yaml": "infrastructureDefinition:\n  deploymentType: AwsLambda\n  type: AwsLambda\n  spec: {connectorRef: a, region: eu-west-1}\n"},
			second: map[string]any{"name": "fn two", "description": "d"}, find: bySearch("/infrastructures", pages+"&environmentIdentifier=dev"),
		},
		"organization": {
			path: "/organizations", word: "organization", wrapped: true, byPath: true,
			first: map[string]any{"name": "Org two", "description": "d", "tags": tags}, second: map[string]any{"name": "Org 2"}, find: bySearch("/organizations", older),
		},
		"project": {
			path: "/projects", word: "project", wrapped: true, byPath: true,
			first: map[string]any{"name": "Prj two", "color": "#472848", "modules": []any{"CD"}, "tags": tags}, second: map[string]any{"description": "new"},
			find: bySearch("/projects", older),
		},
	}
}

// scopesOf are the query and the fields of each scope that a kind lives in.
func scopesOf(kind string) map[string]map[string]any {
	all := map[string]map[string]any{
		"account": {}, "organization": {"orgIdentifier": "org1"}, "project": {"orgIdentifier": "org1", "projectIdentifier": "prj1"},
	}
	switch kind {
	case "organization":
		return map[string]map[string]any{"account": all["account"]}
	case "project":
		return map[string]map[string]any{"organization": all["organization"]}
	}
	return all
}

// TestLifeCycles does with every kind of entity, in every scope it lives in, what Terraform does: create, read, find by
// name, update, read, delete, read again; and after each write a read that must differ in nothing from what was written.
func TestLifeCycles(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	for kind, k := range resourceKinds() {
		for name, fields := range scopesOf(kind) {
			t.Run(kind+" at "+name, func(t *testing.T) { lifeCycle(t, w, c, k, fields) })
		}
	}
}

func lifeCycle(t *testing.T, w *apitest.World, c *apitest.Client, k resourceKind, fields map[string]any) {
	t.Helper()
	const id = "life_1"
	entity := map[string]any{"identifier": id}
	maps.Copy(entity, fields)
	query := url.Values{}
	for field, value := range fields {
		query.Set(field, value.(string))
	}
	at := strings.TrimSuffix(account+"&"+query.Encode(), "&")
	put := func(values map[string]any) { maps.Copy(entity, values) }
	write := func(method string) {
		t.Helper()
		body := any(entity)
		if k.wrapped {
			body = map[string]any{k.word: entity}
		}
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		path := "/ng/api" + k.path
		if method == http.MethodPut && k.byPath {
			path += "/" + id
		}
		k.same(t, "the answer to "+method, entity, c.Must(method, path+at, string(text)))
	}
	one := "/ng/api" + k.path + "/" + id + at + k.within
	read := func() { t.Helper(); k.same(t, "a read", entity, c.Must(http.MethodGet, one, "")) }
	find := func() {
		t.Helper()
		method, path, body := k.find(at, entity["name"].(string))
		found := data[nextgen.Page[map[string]any]](t, c.Must(method, "/ng/api"+path, body))
		if len(found.Content) == 0 {
			t.Fatal("it is not found by name")
		}
		got, _ := found.Content[0][k.word].(map[string]any)
		if got["identifier"] != id {
			t.Errorf("by name %v is found first", got)
		}
	}

	put(k.first)
	write(http.MethodPost)
	read()
	read() // a second plan
	find()
	put(k.second)
	write(http.MethodPut)
	read()
	find()
	write(http.MethodPut) // a second apply
	read()
	if deleted := data[bool](t, c.Must(http.MethodDelete, one, "")); !deleted {
		t.Error("the answer to DELETE is not true")
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		a := c.Do(w.Admin, method, one, "")
		if got := failure(t, a); a.Status != http.StatusNotFound || got.Code != nextgen.NotFoundCode {
			t.Errorf("%s afterwards: %d %s", method, a.Status, a.Body)
		}
	}
}

// same compares what was sent with what an answer holds, as clients do: what was not sent may be there too, what says
// nothing may be absent.
func (k resourceKind) same(t *testing.T, what string, sent map[string]any, a apitest.Answer) {
	t.Helper()
	got, _ := data[map[string]any](t, a)[k.word].(map[string]any)
	text, err := json.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]any
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(said(want, k.hidden, nil), said(got, nil, want)); diff != "" {
		t.Errorf("%s differs from what was sent (-sent +answered):\n%s", what, diff)
	}
}

// said is an object without what says nothing, without some fields, and without those that the other does not have.
func said(value map[string]any, without []string, only map[string]any) map[string]any {
	out := map[string]any{}
	for key, v := range value {
		if _, known := only[key]; only != nil && !known || strings.Contains(" "+strings.Join(without, " ")+" ", " "+key+" ") {
			continue
		}
		switch v := v.(type) {
		case nil:
			continue
		case string:
			if v == "" && key != "solo" {
				continue
			}
		case map[string]any:
			var other map[string]any
			if only != nil && key != "tags" && key != "values" { // a tag that was not sent is one too many
				other, _ = only[key].(map[string]any)
			}
			if inner := said(v, without, other); len(inner) > 0 {
				out[key] = inner
			}
			continue
		}
		out[key] = v
	}
	return out
}

// TestLifeCycleOfTokens does the same with delegate tokens, which Terraform revokes where it deletes others.
func TestLifeCycleOfTokens(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	for name, fields := range scopesOf("token") {
		query := url.Values{}
		for field, value := range fields {
			query.Set(field, value.(string))
		}
		at := strings.TrimSuffix(account+"&"+query.Encode(), "&")
		call := func(method, words string) nextgen.DelegateToken {
			t.Helper()
			return resource[nextgen.DelegateToken](t, c.Must(method, "/ng/api/delegate-token-ng"+at+words, ""))
		}
		read := func() nextgen.DelegateToken {
			t.Helper()
			list := resource[[]nextgen.DelegateToken](t, c.Must(http.MethodGet, "/ng/api/delegate-token-ng"+at+"&name=life&status=ACTIVE", ""))
			if len(list) != 1 {
				t.Fatalf("%s: %d tokens", name, len(list))
			}
			return list[0]
		}
		created := call(http.MethodPost, "&tokenName=life&revokeAfter=1769689600000")
		for range 2 { // a second plan finds no difference
			if diff := cmp.Diff(created, read()); diff != "" {
				t.Errorf("%s: a read differs from what was answered: %s", name, diff)
			}
		}
		if created.Status != nextgen.TokenActive || created.RevokeAfter != 1769689600000 || created.Value == nil {
			t.Errorf("%s: %+v", name, created)
		}
		revoked := call(http.MethodPut, "&tokenName=life")
		for _, one := range []nextgen.DelegateToken{revoked, read(), call(http.MethodPut, "&tokenName=life")} {
			if one.UUID != created.UUID || one.Status != nextgen.TokenRevoked {
				t.Errorf("%s, revoked: %+v", name, one)
			}
		}
		if a := c.Do(w.Admin, http.MethodPost, "/ng/api/delegate-token-ng"+at+"&tokenName=life", ""); a.Status != http.StatusBadRequest || failure(t, a).Code != nextgen.DuplicateCode {
			t.Errorf("%s: the name is given away: %d %s", name, a.Status, a.Body)
		}
		c.Must(http.MethodDelete, "/ng/api/delegate-token-ng"+at+"&tokenName=life", "")
		if a := c.Do(w.Admin, http.MethodGet, "/ng/api/delegate-token-ng"+at+"&name=life", ""); a.Status != http.StatusNotFound || failure(t, a).Code != nextgen.NotFoundCode {
			t.Errorf("%s, deleted: %d %s", name, a.Status, a.Body)
		}
	}
}

// TestLifeCycleOfGroupTags does it with the tags of a group of delegates.
func TestLifeCycleOfGroupTags(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	for name, fields := range scopesOf("tags") {
		at, place := account, scope.Scope{Account: w.Account}
		if id, ok := fields["orgIdentifier"].(string); ok {
			at, place.Org = at+"&orgIdentifier="+id, id
		}
		if id, ok := fields["projectIdentifier"].(string); ok {
			at, place.Project = at+"&projectIdentifier="+id, id
		}
		w.Delegate(t, delegate.Delegate{Name: "eks", Scope: place, Tags: []string{"own"}})
		one := groupTags + "/eks" + at
		tags := func(a apitest.Answer) string {
			t.Helper()
			return strings.Join(resource[nextgen.DelegateGroupDTO](t, a).Tags, ",")
		}
		for _, step := range []struct{ method, body, want string }{
			{http.MethodPost, `{"tags":["b","a"]}`, "b,a"}, {http.MethodPut, `{"tags":["b","c"]}`, "b,c"}, {http.MethodPut, `{"tags":["b","c"]}`, "b,c"}, {http.MethodDelete, "", ""}, {http.MethodDelete, "", ""},
		} {
			if got := tags(c.Must(step.method, one, step.body)); got != step.want {
				t.Errorf("%s, %s %s: %s", name, step.method, step.body, got)
			}
			for range 2 {
				if got := tags(c.Must(http.MethodGet, one, "")); got != step.want {
					t.Errorf("%s, read after %s %s: %s", name, step.method, step.body, got)
				}
			}
		}
	}
}
