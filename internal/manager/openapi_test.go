package manager_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/manager"
)

// serve runs a manager until the test ends and gives its address.
func serve(t *testing.T) string {
	t.Helper()
	m, err := manager.New(t.Context(), manager.Config{Data: filepath.Join(t.TempDir(), "data"), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m.Started().URL
}

func ask(t *testing.T, method, address string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// The document is whole in itself, and every operation in it is served: a path that nothing is at says so in words that
// none of them has. That every route is in it follows from how it is made, and a route without a line fails it.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	base := serve(t)
	status, text := ask(t, http.MethodGet, base+"/openapi.json")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	var document struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Summary     string `json:"summary"`
			Parameters  []struct {
				In string `json:"in"`
			} `json:"parameters"`
			Responses map[string]any `json:"responses"`
		} `json:"paths"`
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	if document.OpenAPI != "3.1.0" || len(document.Paths) < 50 {
		t.Fatalf("OpenAPI %q with %d paths", document.OpenAPI, len(document.Paths))
	}
	for _, ref := range regexp.MustCompile(`"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(text, -1) {
		if document.Components.Schemas[ref[1]] == nil {
			t.Errorf("the schema %s is not there", ref[1])
		}
	}
	ids := map[string]bool{}
	variable := regexp.MustCompile(`\{(\w+)\}`)
	for path, operations := range document.Paths {
		for method, op := range operations {
			if ids[op.OperationID] || op.OperationID == "" || op.Summary == "" || len(op.Responses) == 0 {
				t.Errorf("%s %s: %+v", method, path, op)
			}
			ids[op.OperationID] = true
			declared := 0
			for _, p := range op.Parameters {
				if p.In == "path" {
					declared++
				}
			}
			if n := len(variable.FindAllString(path, -1)); n != declared {
				t.Errorf("%s %s declares %d of %d words of the path", method, path, declared, n)
			}
			if path == "/metrics" {
				continue // long
			}
			_, said := ask(t, strings.ToUpper(method), base+variable.ReplaceAllString(path, "x"))
			for _, nothing := range []string{"there is nothing at", "does not take", "the delegate protocol has no"} {
				if strings.Contains(said, nothing) {
					t.Errorf("%s %s is not served: %s", method, path, said)
				}
			}
		}
	}
}
