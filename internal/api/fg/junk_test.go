package fg_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/api/apitest"
	"github.com/belay-dev/belay/internal/api/openapi"
)

// fit says what an older client could not make sense of in an answer, or nothing.
func fit(a apitest.Answer) string {
	var read struct {
		Errors []struct {
			Message string `json:"message"`
		} `json:"errors"`
		Data     json.RawMessage `json:"data"`
		Resource json.RawMessage `json:"resource"`
	}
	err := json.Unmarshal([]byte(a.Body), &read)
	answered := len(read.Errors) > 0 && read.Errors[0].Message != "" || len(read.Data) > 4 || len(read.Resource) > 4 // more than null
	if err != nil || !answered || a.Status != http.StatusOK && a.Status != http.StatusRequestEntityTooLarge || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
		return fmt.Sprintf("%v: %d %v %.300s", err, a.Status, a.Header, a.Body)
	}
	return ""
}

// questions are the calls of GraphQL as clients send them.
func questions(tb testing.TB) openapi.Group {
	tb.Helper()
	text := func(query string, variables any) string {
		body, err := json.Marshal(map[string]any{"query": query, "variables": variables, "operationName": nil})
		if err != nil {
			tb.Fatal(err)
		}
		return string(body)
	}
	updated := map[string]any{"input": map[string]any{"secretId": "sk", "secretType": "ENCRYPTED_TEXT", "encryptedText": map[string]any{"name": "sk two", "scopedToAccount": true}}}
	aws := cloudProvider(object{"name": "p", "credentialsType": "IRSA", "irsaCredentials": object{"delegateSelector": "eks"}})
	changed := cloudProvider(object{"defaultRegion": "eu-west-1"})
	changed["cloudProvider"].(object)["cloudProviderId"] = "p"
	var g openapi.Group
	for _, body := range []string{
		text(create, newSecret("sk", "v")), text(change, updated), text(byName, object{"name": "sk"}), text(byID, nil), text(createProvider, aws), text(updateProvider, changed),
		text(`{ cloudProviders(limit: 10, offset: 0) { nodes { `+providerPart+` } pageInfo { limit offset total hasMore } } }`, nil),
		text(remove, object{"input": object{"secretId": "sk", "secretType": "ENCRYPTED_TEXT"}}),
	} {
		g.Notes = append(g.Notes, openapi.Note{Route: "POST /api/graphql", Example: &openapi.Example{Body: body}})
	}
	return g
}

func TestJunkInEveryQuestionIsAnswered(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Junk(w.Admin, questions(t), fit)
}

func TestJunkInAFormIsAnswered(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	const path = "/api/setup-as-code/yaml/upsert-entity?accountId=ACCOUNT&yamlFilePath=Setup%2FCloud+Providers%2Fp.yaml"
	part := func(name, text string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + text + "\r\n"
	}
	for _, kind := range []string{"multipart/form-data; boundary=b", "multipart/form-data", "multipart/mixed; boundary=b", "", "nonsense", "application/json"} {
		for _, body := range []string{
			"", "--b", "--b--", part("other", keys) + "--b--\r\n", part("yamlContent", ""), part("yamlContent", "\x00") + "--b--\r\n", part("yamlContent", "a: &a [*a]") + "--b--\r\n",
			part("yamlContent", "type: AWS\ntype: AWS\n") + "--b--\r\n", part("yamlContent", strings.Repeat("[", 20_000)) + "--b--\r\n", part("yamlContent", "[]") + "--b--\r\n",
			part("yamlContent", "harnessApiVersion: {}\ntype: [AWS]\n") + "--b--\r\n", part("yamlContent", "type: AWS\nuseIRSA: maybe\n") + "--b--\r\n", part("yamlContent", "type: AWS\nuseIRSA: true\ntag: [a]\n") + "--b--\r\n",
			part("yamlContent", "---\ntype: AWS\nuseIRSA: true\n---\ntype: AWS\n") + "--b--\r\n", "{}", "\xff",
		} {
			if wrong := fit(c.Send(w.Admin, http.MethodPost, path, kind, body)); wrong != "" {
				t.Errorf("%q %.100q: %s", kind, body, wrong)
			}
		}
	}
}

// Clients name operations, rename fields, spread fragments and ask for type names.
func TestGraphQLIsReadAsAWhole(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c = c.With("User-Agent", "terraform-provider-harness-0.99.0")
	c.Must(http.MethodPost, graphPath, ask(t, create, newSecret("sk", "v")))
	for name, tt := range map[string]struct {
		query string
		vars  any
		want  string
	}{
		"an alias":                  {`{ mine: secretByName(name: "sk", secretType: ENCRYPTED_TEXT) { key: id } }`, nil, `{"data":{"mine":{"key":"sk"}}}`},
		"an inline fragment":        {`{ secret(secretId: "sk", secretType: ENCRYPTED_TEXT) { id ... on EncryptedText { secretManagerId } } }`, nil, `{"data":{"secret":{"id":"sk","secretManagerId":"harnessSecretManager"}}}`},
		"a named fragment":          {`query q { secret(secretId: "sk", secretType: ENCRYPTED_TEXT) { ...f } } fragment f on EncryptedText { id name }`, nil, `{"data":{"secret":{"id":"sk","name":"sk"}}}`},
		"the name of a type":        {`{ secret(secretId: "sk", secretType: ENCRYPTED_TEXT) { __typename id } }`, nil, `{"data":{"secret":{"__typename":"EncryptedText","id":"sk"}}}`},
		"a variable with a default": {`query($name: String = "sk", $type: SecretType = ENCRYPTED_TEXT) { secretByName(name: $name, secretType: $type) { id } }`, object{}, `{"data":{"secretByName":{"id":"sk"}}}`},
		"a variable of a type":      {`query($type: SecretType!) { secret(secretId: "sk", secretType: $type) { id } }`, object{"type": "ENCRYPTED_TEXT"}, `{"data":{"secret":{"id":"sk"}}}`},
		"a comment and commas":      {"# mine\n{ secret(secretId: \"sk\", secretType: ENCRYPTED_TEXT,) { id, name } }", nil, `{"data":{"secret":{"id":"sk","name":"sk"}}}`},
		"a condition":               {`query($no: Boolean!) { secret(secretId: "sk", secretType: ENCRYPTED_TEXT) { id name @include(if: $no) } }`, object{"no": false}, `{"data":{"secret":{"id":"sk"}}}`},
		"two questions at once":     {`{ a: secretManager(secretManagerId: "harnessSecretManager") { id } b: cloudProviders(limit: 5) { nodes { id } } }`, nil, `{"data":{"a":{"id":"harnessSecretManager"},"b":{"nodes":[]}}}`},
		"one of them fails":         {`{ a: secretManager(secretManagerId: "none") { id } b: cloudProviders(limit: 5) { nodes { id } } }`, nil, `"data":{"a":null,"b":{"nodes":[]}}`},
	} {
		a := c.Send(w.Admin, http.MethodPost, graphPath, "application/json; charset=utf-8", ask(t, tt.query, tt.vars))
		if a.Status != http.StatusOK || !strings.Contains(a.Body, tt.want) {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	named := `{"operationName":"b","query":"query a { secret(secretId: \"none\", secretType: ENCRYPTED_TEXT) { id } } query b { secret(secretId: \"sk\", secretType: ENCRYPTED_TEXT) { id } }","variables":null,"extensions":{}}`
	if a := c.Must(http.MethodPost, graphPath, named); !strings.Contains(a.Body, `{"data":{"secret":{"id":"sk"}}}`) {
		t.Errorf("one of two operations: %s", a.Body)
	}
}

func FuzzQuestions(f *testing.F) {
	w := apitest.New(f)
	handler := server(w).Handler()
	for _, n := range questions(f).Notes {
		f.Add(n.Example.Body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/graphql", strings.NewReader(body))
		request.Header.Set(api.HeaderKey, w.Admin)
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		if wrong := fit(apitest.Answer{Status: answer.Code, Header: answer.Header(), Body: answer.Body.String()}); wrong != "" {
			t.Errorf("%q: %s", body, wrong)
		}
	})
}
