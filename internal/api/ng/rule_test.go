package ng_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/identity"
	"github.com/belay-dev/belay/internal/nextgen"
)

// everyRoute is one call of each route, of things that are not there.
func everyRoute() [][2]string {
	return [][2]string{
		{"POST", "/connectors"},
		{"PUT", "/connectors"},
		{"GET", "/connectors"},
		{"GET", "/connectors/none"},
		{"DELETE", "/connectors/none"},
		{"POST", "/connectors/listV2"},
		{"POST", "/connectors/listbyfqn"},
		{"POST", "/connectors/testConnection/none"},
		{"GET", "/connectors/validateUniqueIdentifier"},
		{"GET", "/connectors/catalogue"},
		{"GET", "/connectors/stats"},
		{"GET", "/connectors/fieldValues"},
		{"POST", "/v2/secrets"},
		{"PUT", "/v2/secrets/none"},
		{"GET", "/v2/secrets/none"},
		{"DELETE", "/v2/secrets/none"},
		{"GET", "/v2/secrets"},
		{"POST", "/v2/secrets/list"},
		{"GET", "/v2/secrets/validateUniqueIdentifier/none"},
		{"POST", "/organizations"},
		{"PUT", "/organizations/none"},
		{"GET", "/organizations/none"},
		{"DELETE", "/organizations/none"},
		{"GET", "/organizations"},
		{"POST", "/projects"},
		{"PUT", "/projects/none"},
		{"GET", "/projects/none"},
		{"DELETE", "/projects/none"},
		{"GET", "/projects"},
		{"GET", "/projects/list"},
		{"POST", "/delegate-token-ng"},
		{"GET", "/delegate-token-ng"},
		{"GET", "/delegate-token-ng/none"},
		{"PUT", "/delegate-token-ng"},
		{"DELETE", "/delegate-token-ng"},
		{"POST", "/delegate-setup/listDelegates"},
		{"GET", "/delegate-setup/latest-supported-version"},
		{"POST", "/delegate-setup/generate-helm-values"},
		{"POST", "/download-delegates/kubernetes"},
		{"POST", "/download-delegates/docker"},
	}
}

// Clients crash on a 404 without one of two codes, and say "undefined response type" of all that is not JSON.
func TestEveryAnswerIsJSONAndEvery404HasTheCode(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	calls := append(everyRoute(),
		[2]string{"GET", ""}, [2]string{"GET", "/"}, [2]string{"GET", "/nowhere"}, [2]string{"POST", "/servicesV2"}, [2]string{"GET", "/connectors/"},
		[2]string{"GET", "/connectors//c1"}, [2]string{"GET", "//connectors"}, [2]string{"GET", "/connectors/../organizations"}, [2]string{"GET", "/connectors/a/b"},
		[2]string{"PATCH", "/connectors"}, [2]string{"DELETE", "/connectors"}, [2]string{"POST", "/organizations/org1"}, [2]string{"OPTIONS", "/connectors"},
		[2]string{"GET", "/connectors/" + strings.Repeat("x", 3000)}, [2]string{"GET", "/v2/secrets/%00"}, [2]string{"GET", "/connectors/%2F"},
	)
	for _, prefix := range []string{"/ng/api", "/gateway/ng/api"} {
		for _, call := range calls {
			for _, key := range []string{w.Admin, ""} {
				for _, body := range []string{"", "{}", "{"} {
					a := c.Do(key, call[0], prefix+call[1]+account, body)
					name := fmt.Sprintf("%s %s%.60s %q", call[0], prefix, call[1], body)
					if !strings.Contains(a.Header.Get("Content-Type"), "application/json") || a.Header.Get("Location") != "" || a.Body == "" {
						t.Errorf("%s: %d %v %s", name, a.Status, a.Header, a.Body)
						continue
					}
					if a.Status >= 300 {
						f := failure(t, a)
						if (a.Status == http.StatusNotFound || a.Status == http.StatusMethodNotAllowed) && f.Code != nextgen.NotFoundCode {
							t.Errorf("%s: %d with the code %s", name, a.Status, f.Code)
						}
					}
					if a.Status >= 500 {
						t.Errorf("%s: %d %s", name, a.Status, a.Body)
					}
				}
			}
		}
	}
}

func TestUnknownRouteAndWrongMethod(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Golden("unknown-route", c.Do(w.Admin, http.MethodGet, "/ng/api/nowhere", ""))
	c.Golden("wrong-method", c.Do(w.Admin, http.MethodPatch, "/gateway/ng/api/connectors", ""))
	c.Golden("invalid", c.Do(w.Admin, http.MethodPost, "/ng/api/connectors"+account, `{"connector":{"type":"Aws","spec":{"credential":{"type":"ManualConfig"}}}}`))
	c.Golden("unauthenticated", c.Do("", http.MethodGet, "/ng/api/connectors"+account, ""))
	c.Golden("denied", c.Do(w.Viewer, http.MethodPost, "/ng/api/connectors"+account, irsa))
}

// Clients join endpoint and path as they are, so an endpoint that ends in a slash makes two.
func TestAnEndpointThatEndsInASlash(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, "//ng/api/connectors"+account, irsa)
	c.Must(http.MethodGet, "/gateway//ng/api/connectors/c1"+account, "")
	a := c.Do(w.Admin, http.MethodGet, "/harness/ng/api/connectors/c1"+account, "")
	if got := failure(t, a); a.Status != http.StatusBadRequest || got.Code != nextgen.InvalidCode || !strings.Contains(got.Message, "/harness") {
		t.Errorf("below another word: %d %s", a.Status, a.Body)
	}
}

// List data sources use the correlation id as their own id.
func TestListsHaveACorrelationID(t *testing.T) {
	t.Parallel()
	_, c := serve(t)
	for _, path := range []string{"/connectors", "/v2/secrets", "/organizations", "/projects", "/projects/list"} {
		a := c.Must(http.MethodGet, "/ng/api"+path+account, "")
		data[nextgen.Page[map[string]any]](t, a) // fails when it is empty
	}
}

// Clients retry 5xx, 429 and broken connections for minutes.
func TestWhatTheClientDidWrongIsNever5xxOr429(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/connectors"+account, irsa)
	for name, a := range map[string]int{
		"a duplicate":                    c.Do(w.Admin, http.MethodPost, "/ng/api/connectors"+account, irsa).Status,
		"a body that is too long":        c.Do(w.Admin, http.MethodPost, "/ng/api/connectors"+account, `{"x":"`+strings.Repeat("x", 10<<20)+`"}`).Status,
		"a test of nothing":              c.Do(w.Admin, http.MethodPost, "/ng/api/connectors/testConnection/none"+account, "").Status,
		"a search as long as it may be":  c.Do(w.Admin, http.MethodGet, "/ng/api/connectors"+account+"&searchTerm="+strings.Repeat("%25", 8000), "").Status,
		"a search with a NUL":            c.Do(w.Admin, http.MethodGet, "/ng/api/connectors"+account+"&searchTerm=%00", "").Status,
		"an organization with a NUL":     c.Do(w.Admin, http.MethodGet, "/ng/api/connectors"+account+"&orgIdentifier=%00%ff", "").Status,
		"two thousand identifiers":       c.Do(w.Admin, http.MethodPost, "/ng/api/connectors/listV2"+account, `{"connectorIdentifiers":["a`+strings.Repeat(`","a`, 2000)+`"]}`).Status,
		"a project without organization": c.Do(w.Admin, http.MethodGet, "/ng/api/connectors"+account+"&projectIdentifier=p", "").Status,
	} {
		if a >= 500 || a == http.StatusTooManyRequests {
			t.Errorf("%s: %d", name, a)
		}
	}
}

func TestAFailingConnectionIsAnAnswer(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/connectors"+account, irsa)
	w.Runner.Answer = func(connector.Request) connector.Result {
		return connector.Result{NotRun: &connector.NotRun{Cause: connector.NoDelegate, Message: "No delegate is registered."}, StartedAt: w.Clock.Now(), EndedAt: w.Clock.Now()}
	}
	got := data[nextgen.ValidationResult](t, c.Must(http.MethodPost, "/ng/api/connectors/testConnection/c1"+account, ""))
	if got.Status != "FAILURE" || got.ErrorSummary == nil || len(got.Errors) != 1 || got.Errors[0].Code != nextgen.TestErrorNoDelegate {
		t.Errorf("got %+v", got)
	}
}

// A GET after POST, PUT and DELETE sees it at once.
func TestWhatWasWrittenIsReadAtOnce(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	for i := range 20 {
		body := strings.Replace(irsa, `"name":"c1"`, fmt.Sprintf(`"name":"round %d"`, i), 1)
		c.Must(http.MethodPost, "/ng/api/connectors"+account, body)
		if got := data[nextgen.ConnectorResponse](t, c.Must(http.MethodGet, "/ng/api/connectors/c1"+account, "")); got.Connector.Name != fmt.Sprintf("round %d", i) {
			t.Fatalf("got %s", got.Connector.Name)
		}
		c.Must(http.MethodDelete, "/ng/api/connectors/c1"+account, "")
		if a := c.Do(w.Admin, http.MethodGet, "/ng/api/connectors/c1"+account, ""); a.Status != http.StatusNotFound {
			t.Fatalf("after delete: %d", a.Status)
		}
	}
}

func TestDeletingAProjectDeletesWhatIsInIt(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/connectors"+account, manual)
	c.Must(http.MethodPost, "/ng/api/v2/secrets"+project1, secretReference)
	c.Must(http.MethodDelete, "/ng/api/projects/prj1"+account+"&orgIdentifier=org1", "")
	c.Must(http.MethodPost, "/ng/api/projects"+account+"&orgIdentifier=org1", `{"project":{"identifier":"prj1","name":"again"}}`)
	for _, path := range []string{"/connectors/prod_aws", "/v2/secrets/path-1"} {
		if a := c.Do(w.Admin, http.MethodGet, "/ng/api"+path+project1, ""); a.Status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.Status)
		}
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/connectors"+account, irsa)
	c.Must(http.MethodPost, "/ng/api/connectors"+account, manual)
	other := func(name string) string {
		return strings.Replace(irsa, `"identifier":"c1"`, `"identifier":"`+name+`"`, 1)
	}
	for name, tt := range map[string]struct {
		key, method, path, body string
		want                    int
	}{
		"no key":                                    {"", http.MethodGet, "/connectors" + account, "", 401},
		"an unknown key":                            {"pat.x.y.z", http.MethodGet, "/connectors" + account, "", 401},
		"a key that is none":                        {"hunter2", http.MethodGet, "/connectors" + account, "", 401},
		"a revoked key":                             {w.Revoked, http.MethodGet, "/connectors" + account, "", 401},
		"a key of another account":                  {w.Stranger, http.MethodGet, "/connectors" + account, "", 403},
		"a key of another account sees its own":     {w.Stranger, http.MethodGet, "/connectors/c1", "", 404},
		"no account is the key's own":               {w.Admin, http.MethodGet, "/connectors/c1", "", 200},
		"a viewer reads":                            {w.Viewer, http.MethodGet, "/connectors/c1" + account, "", 200},
		"a viewer does not create":                  {w.Viewer, http.MethodPost, "/connectors" + account, other("v1"), 403},
		"a viewer does not update":                  {w.Viewer, http.MethodPut, "/connectors" + account, irsa, 403},
		"a viewer does not delete":                  {w.Viewer, http.MethodDelete, "/connectors/c1" + account, "", 403},
		"a viewer does not test":                    {w.Viewer, http.MethodPost, "/connectors/testConnection/c1" + account, "", 403},
		"a viewer does not keep secrets":            {w.Viewer, http.MethodPost, "/v2/secrets" + account, secretText, 403},
		"an editor creates":                         {w.Editor, http.MethodPost, "/connectors" + account, other("e1"), 200},
		"an editor makes no organization":           {w.Editor, http.MethodPost, "/organizations" + account, `{"organization":{"name":"o"}}`, 403},
		"an editor makes no token":                  {w.Editor, http.MethodPost, "/delegate-token-ng" + account + "&tokenName=t", "", 403},
		"an editor revokes no token":                {w.Editor, http.MethodPut, "/delegate-token-ng" + account + "&tokenName=t", "", 403},
		"a project's key reads its project":         {w.Project, http.MethodGet, "/connectors/prod_aws" + project1, "", 200},
		"a project's key writes in its project":     {w.Project, http.MethodPost, "/connectors" + account, strings.Replace(manual, "prod_aws", "p1", 1), 200},
		"a project's key reads nothing wider":       {w.Project, http.MethodGet, "/connectors/c1" + account, "", 403},
		"a project's key writes nothing wider":      {w.Project, http.MethodPost, "/connectors" + account, other("p1"), 403},
		"a project's key reads no other project":    {w.Project, http.MethodGet, "/connectors" + account + "&orgIdentifier=org1&projectIdentifier=prj9", "", 403},
		"a project's key lists no organizations":    {w.Project, http.MethodGet, "/organizations" + account, "", 403},
		"a project's key reads its project's entry": {w.Project, http.MethodGet, "/projects/prj1" + account + "&orgIdentifier=org1", "", 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := c.Do(tt.key, tt.method, "/ng/api"+tt.path, tt.body)
			if a.Status != tt.want {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			if a.Status >= 300 {
				failure(t, a)
			}
			if strings.Contains(a.Body, "hunter2") {
				t.Error("the answer quotes the key")
			}
		})
	}
}

func TestAKeyThatCallsTooOftenIsToldWhenToComeBack(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	w.Edge.Limiter = &identity.Limiter{Rate: 1, Burst: 1}
	c.Must(http.MethodGet, "/ng/api/connectors"+account, "")
	a := c.Do(w.Admin, http.MethodGet, "/ng/api/connectors"+account, "")
	if got := failure(t, a); a.Status != http.StatusTooManyRequests || got.Code != nextgen.TooManyCode || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
	}
	if a := c.Do(w.Viewer, http.MethodGet, "/ng/api/connectors"+account, ""); a.Status != http.StatusOK {
		t.Errorf("another key: %d", a.Status)
	}
}

// The values of secrets go in and never come out, and neither do they reach the log.
func TestSecretValuesNeverComeBack(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	const second = "canary-second-77aa"
	var said []string
	do := func(method, path, body string) {
		a := c.Do(w.Admin, method, "/ng/api"+path, body)
		said = append(said, method+" "+path+" "+a.Body+fmt.Sprint(a.Header))
	}
	do(http.MethodPost, "/v2/secrets"+account, secretText)
	do(http.MethodPost, "/v2/secrets"+account, secretText) // a duplicate
	do(http.MethodPut, "/v2/secrets/ak"+account, strings.Replace(secretText, canary, second, 1))
	do(http.MethodPut, "/v2/secrets/other"+account, secretText)
	do(http.MethodPost, "/v2/secrets"+account, strings.Replace(secretText, `"type":"SecretText"`, `"type":"`+canary[:0]+`SecretFile"`, 1))
	do(http.MethodPost, "/v2/secrets"+account, strings.Replace(secretText, `"name":"ak"`, `"name":5`, 1))
	do(http.MethodPost, "/v2/secrets"+account, secretText+"x")
	do(http.MethodPost, "/v2/secrets"+account, secretText[:len(secretText)-3])
	do(http.MethodPost, "/v2/secrets"+account, `"`+canary+`"`)
	do(http.MethodGet, "/v2/secrets/ak"+account, "")
	do(http.MethodGet, "/v2/secrets"+account, "")
	do(http.MethodPost, "/v2/secrets/list"+account, "")
	do(http.MethodGet, "/connectors"+account, "")
	do(http.MethodDelete, "/v2/secrets/ak"+account, "")
	said = append(said, "the log: "+w.Log.String())
	for _, text := range said {
		for _, value := range []string{canary, second, w.Admin} {
			if strings.Contains(text, value) {
				t.Errorf("%q is in: %.300s", value, text)
			}
		}
	}
}

func TestTheCorrelationIDIsInTheLog(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	a := c.Do(w.Admin, http.MethodGet, "/ng/api/connectors/none"+account, "")
	id := failure(t, a).CorrelationID
	if id != a.Header.Get(api.HeaderCorrelation) || !strings.Contains(w.Log.String(), id) {
		t.Errorf("%s is not in the log:\n%s", id, w.Log)
	}
}

func TestADatabaseThatIsAwayIsWorthAnotherTry(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	if err := w.Store.Close(); err != nil {
		t.Fatal(err)
	}
	a := c.Do(w.Admin, http.MethodGet, "/ng/api/connectors"+account, "")
	if got := failure(t, a); a.Status != http.StatusServiceUnavailable || got.Code != nextgen.UnavailableCode || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
	}
}
