package e2e_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// Clients join their endpoint and a path as they are. Whatever comes of that is answered in the words of the API that the
// client means, and never by a redirect.
func TestPathsAsClientsJoinThem(t *testing.T) {
	t.Parallel()
	m := startManager(t)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	const gone = `"code":"RESOURCE_NOT_FOUND_EXCEPTION"`
	for name, tt := range map[string]struct {
		path   string
		status int
		kind   string // of the content
		holds  string
	}{
		"as it should be":                       {"/ng/api/connectors/stats", 200, "application/json", `"typeStats"`},
		"behind the gateway":                    {"/gateway/ng/api/connectors/stats", 200, "application/json", `"typeStats"`},
		"an endpoint that ends in a slash":      {"//ng/api/connectors/stats", 200, "application/json", `"typeStats"`},
		"a gateway that ends in a slash":        {"/gateway//ng/api/connectors/stats", 200, "application/json", `"typeStats"`},
		"nothing there":                         {"//ng/api/nowhere", 404, "application/json", gone},
		"below a word that leads nowhere":       {"/harness/ng/api/connectors/stats", 400, "application/json", `"code":"INVALID_REQUEST"`},
		"the API twice":                         {"/ng/api/ng/api/connectors/stats", 404, "application/json", gone},
		"a delegate's manager ends in a slash":  {"//api/account/ACCOUNT/status", 200, "application/json", "ACTIVE"},
		"a delegate behind the gateway":         {"/gateway/api/account/ACCOUNT/status", 200, "application/json", "ACTIVE"},
		"a delegate's call that there is not":   {"/gateway//api/agent/nowhere", 404, "text/plain", "has no GET /api/agent/nowhere"},
		"what no API has":                       {"/nowhere", 404, "application/problem+json", "there is nothing at /nowhere"},
		"a word that only begins like an API's": {"/ng/apis", 404, "application/problem+json", "there is nothing at /ng/apis"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.url+strings.Replace(tt.path, "ACCOUNT", m.account, 1), http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Api-Key", m.key)
			answer, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = answer.Body.Close() }()
			text, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != tt.status || !strings.HasPrefix(answer.Header.Get("Content-Type"), tt.kind) || !strings.Contains(string(text), tt.holds) {
				t.Errorf("%d %s %s", answer.StatusCode, answer.Header.Get("Content-Type"), text)
			}
		})
	}
}
