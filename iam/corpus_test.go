package iam_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belay-dev/belay/iam/scenario"
)

// corpus reads the scenario files, by name.
func corpus(tb testing.TB) map[string]*scenario.File {
	tb.Helper()
	paths, err := filepath.Glob("testdata/scenarios/*.json")
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no scenarios: %v", err)
	}
	files := map[string]*scenario.File{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		f, err := scenario.Parse(text)
		if err != nil {
			tb.Fatalf("%s: %v", path, err)
		}
		files[filepath.Base(path)] = f
	}
	return files
}

// Every scenario of the corpus has the answer that it expects; those whose policy is malformed are errors.
func TestCorpus(t *testing.T) {
	t.Parallel()
	count := 0
	seen := map[string]string{}
	for name, f := range corpus(t) {
		count += len(f.Scenarios)
		for i := range f.Scenarios {
			s := &f.Scenarios[i]
			if other, twice := seen[s.ID]; twice {
				t.Errorf("the id %s is in %s and in %s", s.ID, other, name)
			}
			seen[s.ID] = name
			if !strings.Contains(s.Name, "https://docs.aws.amazon.com/") && !strings.HasSuffix(s.Name, "]") {
				t.Errorf("%s: its name does not tell what it rests on: %s", s.ID, s.Name)
			}
			a := s.Run()
			switch {
			case strings.HasPrefix(s.ID, "malformed-"):
				if a.Error == nil || a.Error.Reason != "malformed-policy" {
					t.Errorf("%s: %s: it was decided: %s", name, s.ID, a.Decision)
				}
			case a.Error != nil:
				t.Errorf("%s: %s: %+v", name, s.ID, *a.Error)
			case a.Pass == nil:
				t.Errorf("%s: %s: it expects nothing", name, s.ID)
			case !*a.Pass:
				want, err := json.Marshal(s.Expect)
				if err != nil {
					t.Fatal(err)
				}
				t.Errorf("%s: %s: %s %v, want %s\n%s\n  %s", name, s.ID, a.Decision, a.BlockedBy, want, s.Name, strings.Join(a.Explanation, "\n  "))
			}
		}
	}
	if count < 300 {
		t.Errorf("there are %d scenarios, want 300", count)
	}
}
