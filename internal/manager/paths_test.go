package manager_test

import (
	"net/http"
	"strings"
	"testing"
)

// Clients put their endpoint, which may end in /gateway, before every path. What is not there is told in the words of
// the API that the path is of.
func TestEveryAPIAnswersBelowGatewayToo(t *testing.T) {
	t.Parallel()
	base := serve(t)
	for path, want := range map[string]struct {
		status int
		says   string
	}{
		"/ng/api/connectors":                   {401, `"code":"INVALID_CREDENTIAL"`},
		"/ng/api/nowhere":                      {404, `"code":"RESOURCE_NOT_FOUND_EXCEPTION"`},
		"/api/graphql":                         {405, `"responseMessages"`},
		"/api/setup-as-code/yaml/directory":    {401, `"responseMessages"`},
		"/belay/v1/whoami":                     {401, `"title"`},
		"/pipeline/api/pipelines":              {400, "Belay does not serve this call"},
		"/api/agent/delegates/dlg/task-events": {400, "accountId"},
		"/api/account/nobody/status":           {401, "nobody"},
		"/healthz":                             {200, "ok"},
		"/nowhere":                             {404, "nothing"},
	} {
		for _, prefix := range []string{"", "/gateway"} {
			status, text := ask(t, http.MethodGet, base+prefix+path)
			if status != want.status || !strings.Contains(text, want.says) {
				t.Errorf("%s%s: %d %s", prefix, path, status, text)
			}
		}
	}
}
