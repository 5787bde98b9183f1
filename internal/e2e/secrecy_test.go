package e2e_test

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/belaytest"
)

func readAll(t *testing.T, r *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// readFolder is all that the files of a folder hold.
func readFolder(t *testing.T, folder string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// Values that nobody may see are planted, used and looked for everywhere: database, write-ahead log, logs of manager and
// delegate, metrics, and the answer of every call that could know them.
func TestSecretsStayHidden(t *testing.T) {
	t.Parallel()
	moto := belaytest.SharedMoto(t)
	const canary, second, session = "canary-secret-key-9d2f71", "canary-replaced-key-5c08aa", "canary-session-token-77e1b3"
	m := startManager(t, "AWS_ENDPOINT_URL="+moto.URL, "BELAY_LOG_LEVEL=debug")
	d := m.delegate("d1", "AWS_ENDPOINT_URL="+moto.URL, "LOGGING_LEVEL=TRACE")
	m.secret("sk", canary)
	m.secret("st", session)
	manual := map[string]any{"type": "ManualConfig", "spec": map[string]any{"accessKey": "AKIAIOSFODNN7EXAMPLE", "secretKeyRef": "account.sk", "sessionTokenRef": "account.st"}}
	m.connector("c1", manual, nil)
	m.connector("c2", manual, map[string]any{"executeOnDelegate": false})
	green(t, m.test("c1", nil))
	green(t, m.test("c2", nil))
	m.must(http.MethodPut, "/ng/api/v2/secrets/sk", map[string]any{"secret": map[string]any{
		"type": "SecretText", "name": "sk", "identifier": "sk",
		"spec": map[string]any{"secretManagerIdentifier": "harnessSecretManager", "valueType": "Inline", "value": second},
	}}, nil)
	green(t, m.test("c1", nil))

	seen := map[string]string{"the manager's output": m.said.String(), "the delegate's output": d.said.String()}
	for _, path := range []string{
		"/ng/api/v2/secrets/sk", "/ng/api/v2/secrets", "/ng/api/connectors/c1", "/ng/api/connectors",
		"/belay/v1/connectors/c1/tests", "/belay/v1/audit", "/belay/v1/api-keys", "/belay/v1/delegates", "/metrics",
	} {
		status, text, err := m.call(t.Context(), http.MethodGet, path, nil)
		if err != nil || status != http.StatusOK {
			t.Errorf("GET %s: %d %v", path, status, err)
		}
		seen["GET "+path] = string(text)
	}
	for _, body := range []string{`{"secret":{"spec":{"value":"` + canary + `"`, `{"secret":{"type":"SecretText","name":"x","identifier":"1 x","spec":{"valueType":"Inline","value":"` + canary + `"}}}`} {
		_, text, err := m.call(t.Context(), http.MethodPost, "/ng/api/v2/secrets", body)
		if err != nil {
			t.Fatal(err)
		}
		seen["the answer to bad input"] += string(text)
	}
	seen["the manager's output"] = m.said.String()
	m.stop(waitForEnd)
	err := filepath.WalkDir(m.data, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		seen[filepath.Base(path)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := seen["belay.db"]; !ok {
		t.Fatal("the database was not looked at")
	}
	for _, value := range []string{canary, second, session} {
		for where, text := range seen {
			for form, hidden := range map[string]string{
				"in plain": value, "in base64": base64.StdEncoding.EncodeToString([]byte(value)), "in hex": hex.EncodeToString([]byte(value)),
			} {
				if strings.Contains(text, hidden) {
					t.Errorf("%s holds %q %s", where, value, form)
				}
			}
		}
	}
	for where, text := range map[string]string{"database": seen["belay.db"], "manager": seen["the manager's output"], "delegate": d.said.String()} {
		if strings.Contains(text, m.token) {
			t.Errorf("the delegate token is in plain in: %s", where)
		}
		if parts := strings.Split(m.key, "."); where == "database" && strings.Contains(text, parts[3]) {
			t.Error("the administrator's key is in plain in the database")
		}
	}
}
