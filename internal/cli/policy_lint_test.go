package cli_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/belay-dev/belay/iam/lint"
	"github.com/belay-dev/belay/internal/cli"
)

// sarifOf lints a policy and reads what is printed, held against the schema of SARIF.
func sarifOf(t *testing.T, file, text string) *sarif.Report {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, notes bytes.Buffer
	if code := cli.Main(t.Context(), []string{"policy", "lint", file, "--sarif", "--severity", "note"}, cli.Streams{Out: &out, Err: &notes, Version: "1.2.3"}); code != cli.Different {
		t.Fatalf("exit code %d: %s", code, &notes)
	}
	report, err := sarif.FromBytes(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Validate(); err != nil {
		t.Fatalf("SARIF: %v\n%s", err, &out)
	}
	return report
}

const sarifPolicy = `{"Version": "2012-10-17", "Statement": [
  {"Sid": "Grüße", "Effect": "Allow", "Action": ["s3:GetObject", "ecr:GetAuthorizationToken"], "Resource": "arn:aws:s3:::logs"},
  {
    "Effect": "Allow",
    "Action": "s3:ListBucket"
  }
]}`

func TestSARIF(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "my policy.json")
	report := sarifOf(t, file, sarifPolicy)
	if len(report.Runs) != 1 {
		t.Fatalf("%d runs", len(report.Runs))
	}
	run := report.Runs[0]
	driver := run.Tool.Driver
	if *driver.Version != "1.2.3" || len(driver.Rules) != len(lint.Rules()) {
		t.Errorf("version %s, %d rules", *driver.Version, len(driver.Rules))
	}
	for i, r := range lint.Rules() {
		if got := driver.Rules[i]; *got.ID != r.ID || !strings.HasSuffix(*got.HelpURI, "/docs/lint/"+r.ID+".md") {
			t.Errorf("rule %d is %s with %s", i, *got.ID, *got.HelpURI)
		}
	}
	var ids []string
	for _, result := range run.Results {
		ids = append(ids, *result.RuleID)
		if *driver.Rules[result.RuleIndex].ID != *result.RuleID {
			t.Errorf("%s has the index of %s", *result.RuleID, *driver.Rules[result.RuleIndex].ID)
		}
		place := result.Locations[0].PhysicalLocation
		if uri := *place.ArtifactLocation.URI; !strings.HasPrefix(uri, "file:///") || !strings.HasSuffix(uri, "/my%20policy.json") {
			t.Errorf("URI %s", uri)
		}
		switch *result.RuleID {
		case "BLP-110": // about a whole statement, which is of several lines
			if *place.Region.StartLine != 3 || *place.Region.EndLine != 6 {
				t.Errorf("lines %d to %d", *place.Region.StartLine, *place.Region.EndLine)
			}
		case "BLP-302": // behind letters that are one unit of UTF-16 and two bytes
			if want := strings.Index(strings.Split(sarifPolicy, "\n")[1], `"ecr:`) + 1 - len("üß") + 2; *place.Region.StartColumn != want {
				t.Errorf("column %d, want %d", *place.Region.StartColumn, want)
			}
		}
	}
	if want := []string{"BLP-105", "BLP-301", "BLP-302", "BLP-110"}; !slices.Equal(want, ids) {
		t.Errorf("results %v, want %v", ids, want)
	}
}

// A finding keeps its fingerprint when its lines move, and no other has it.
func TestSARIFFingerprints(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	prints := func(text string) map[string]string {
		all := map[string]string{}
		for _, result := range sarifOf(t, filepath.Join(dir, "p.json"), text).Runs[0].Results {
			all[result.PartialFingerprints["belayPolicyLint/v1"]] = *result.RuleID
		}
		return all
	}
	before, after := prints(sarifPolicy), prints("\n\n"+strings.ReplaceAll(sarifPolicy, `"Action"`, "\n\"Action\""))
	if !maps.Equal(before, after) || len(before) != 4 {
		t.Errorf("%v became %v", before, after)
	}
}
