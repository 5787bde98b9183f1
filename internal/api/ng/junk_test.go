package ng_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/api/apitest"
	"github.com/belay-dev/belay/internal/api/openapi"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/nextgen"
)

// fit says what a client could not make sense of in an answer, or nothing.
func fit(a apitest.Answer) string {
	kind := a.Header.Get("Content-Type")
	if a.Status == http.StatusOK && kind == "application/yaml" {
		return "" // an install file
	}
	if !strings.HasPrefix(kind, "application/json") || a.Body == "" {
		return fmt.Sprintf("%d of type %q: %.200s", a.Status, kind, a.Body)
	}
	if a.Status >= 500 || a.Status == http.StatusTooManyRequests {
		return fmt.Sprintf("%d, which is tried again for minutes: %.300s", a.Status, a.Body)
	}
	if a.Status < 300 {
		if !json.Valid([]byte(a.Body)) {
			return "is no JSON"
		}
		return ""
	}
	var e nextgen.ErrorBody
	codes := []string{nextgen.InvalidCode, nextgen.DuplicateCode, nextgen.InUseCode, nextgen.NotFoundCode, nextgen.DeniedCode, nextgen.UnauthenticatedCode, nextgen.TooLargeCode}
	if err := json.Unmarshal([]byte(a.Body), &e); err != nil || !slices.Contains(codes, e.Code) || e.Message == "" || e.CorrelationID == "" || len(e.ResponseMessages) == 0 {
		return fmt.Sprintf("%d is no failure that clients know: %v %.300s", a.Status, err, a.Body)
	}
	if gone := a.Status == http.StatusNotFound; gone != (e.Code == nextgen.NotFoundCode) {
		return fmt.Sprintf("%d has the code %s", a.Status, e.Code)
	}
	return ""
}

func passing(w *apitest.World) {
	w.Runner.Answer = func(connector.Request) connector.Result {
		return connector.Result{StartedAt: w.Clock.Now(), EndedAt: w.Clock.Now(), Evidence: &connector.Evidence{Region: "eu-central-1"}}
	}
}

// Whatever stands in a body, the answer is one that clients understand, and none that they try again for minutes.
func TestJunkInEveryBodyIsAnswered(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	passing(w)
	c.Junk(w.Admin, server(w).Group(), fit)
}

// What clients are known to send beside what they mean changes no answer.
func TestTheJunkOfClientsChangesNothing(t *testing.T) {
	t.Parallel()
	for name, junk := range map[string]map[string]any{
		"of the SDK":         {"_": nil, "connectorType": "", "unheardOf": map[string]any{"a": []any{1, nil}}},
		"of a newer release": {"parentUniqueId": nil, "gitDetails": nil, "entityValidityDetails": map[string]any{"valid": true}, "createdAt": 1, "accountIdentifier": "x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, c := serve(t)
			v, other := serve(t)
			passing(w)
			passing(v)
			c.Seasoned(other, server(w).Group(), junk)
		})
	}
}

func FuzzBodies(f *testing.F) {
	w := apitest.New(f)
	passing(w)
	group, handler := server(w).Group(), server(w).Handler()
	var routes []api.Route
	for _, r := range group.Routes {
		if r.In == nil {
			continue
		}
		i := slices.IndexFunc(group.Notes, func(n openapi.Note) bool { return n.Route == r.Method+" "+r.Path })
		if e := group.Notes[i].Example; e != nil && e.Body != "" {
			f.Add(uint(len(routes)), e.Body)
		}
		routes = append(routes, r)
	}
	f.Fuzz(func(t *testing.T, n uint, body string) {
		r := routes[n%uint(len(routes))]
		path := strings.NewReplacer("{id}", "x", "{name}", "x").Replace(r.Path) + "?orgIdentifier=org1&environmentIdentifier=e"
		request := httptest.NewRequestWithContext(t.Context(), r.Method, path, strings.NewReader(body))
		request.Header.Set(api.HeaderKey, w.Admin)
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		if wrong := fit(apitest.Answer{Status: answer.Code, Header: answer.Header(), Body: answer.Body.String()}); wrong != "" {
			t.Errorf("%s %s %q: %s", r.Method, r.Path, body, wrong)
		}
	})
}
