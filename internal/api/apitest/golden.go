package apitest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// made are what is new in each run: ids, keys and tokens.
var made = []struct { //nolint:gochecknoglobals // a table
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`pat\.[\w-]{22}\.[a-z2-7]{26}\.[\w-]{43}`), "KEY"},
	{regexp.MustCompile(`\b(req|tok|dlg|tst|tsk|aud|pfl)_[a-z2-7]{26}`), "${1}_ID"},
	{regexp.MustCompile(`"[a-z2-7]{26}"`), `"KEY_ID"`},
	{regexp.MustCompile(`api-key/[a-z2-7]{26}`), `api-key/KEY_ID`},
	{regexp.MustCompile(`"[0-9a-f]{32}"`), `"HEX"`},
	{regexp.MustCompile(`"[A-Za-z0-9+/]{43}="`), `"BASE64_OF_HEX"`},
	{regexp.MustCompile(`"[\w-]{43}"`), `"KEY_ID"`},
	{regexp.MustCompile(`"eyJ[\w-]+\.[\w-]+\.[\w-]+"`), `"TOKEN"`},
	{regexp.MustCompile(`"[\w-]{342}"`), `"MODULUS"`},
}

// Golden compares an answer with testdata/<name>.json, after replacing what is new in each run.
func (c *Client) Golden(name string, a Answer) {
	c.tb.Helper()
	var text bytes.Buffer
	if err := json.Indent(&text, []byte(a.Body), "", "  "); err != nil {
		c.tb.Fatalf("%s is not JSON: %v\n%s", name, err, a.Body)
	}
	got := text.String()
	for _, m := range made {
		got = m.pattern.ReplaceAllString(got, m.name)
	}
	got = strings.ReplaceAll(got, c.world.Account, "ACCOUNT")
	compare(c.tb, filepath.Join("testdata", name+".json"), got, c.world.Update)
}

func compare(tb testing.TB, path, got string, update bool) {
	tb.Helper()
	if update {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			tb.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path) //nolint:gosec // a file of the test
	if err != nil {
		tb.Fatalf("%v; run the test with -update to write it", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		tb.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}
