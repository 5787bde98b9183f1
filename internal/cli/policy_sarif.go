package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/belay-dev/belay/iam/lint"
)

// writeSARIF prints findings as SARIF 2.1.0, with every rule, so that the indices of rules stay the same between runs.
//
// The fingerprint of a finding is made of what stays the same when lines move: the rule, the policy, the statement's Sid
// or number, and the message.
func writeSARIF(w io.Writer, version string, findings []lintFinding) error {
	report := sarif.NewReport()
	run := sarif.NewRunWithInformationURI("belay policy lint", "https://github.com/belay-dev/belay")
	run.WithColumnKind("utf16CodeUnits")
	run.Tool.Driver.WithVersion(version)
	for _, r := range lint.Rules() {
		run.AddRule(r.ID).WithName(r.Name).
			WithShortDescription(sarif.NewMultiformatMessageString().WithText(r.Title + ".")).
			WithHelpURI(lintPages + r.ID + ".md").
			WithDefaultConfiguration(sarif.NewReportingConfiguration().WithLevel(string(r.Severity)))
	}
	for _, f := range findings {
		region := sarif.NewRegion().WithStartLine(f.Line).WithStartColumn(utf16Column(f.source, f.Column))
		if f.endLine > f.Line {
			region.WithEndLine(f.endLine)
		}
		location := sarif.NewLocation().WithPhysicalLocation(
			sarif.NewPhysicalLocation().WithArtifactLocation(sarif.NewArtifactLocation().WithURI(fileURI(f.File))).WithRegion(region))
		if name := strings.Trim(f.Where+"."+f.Path, "."); name != "" {
			location.AddLogicalLocation(sarif.NewLogicalLocation().WithFullyQualifiedName(name))
		}
		run.CreateResultForRule(f.Rule).WithLevel(f.Severity).
			WithMessage(sarif.NewTextMessage(f.Message + " " + f.Fix)).
			WithLocations([]*sarif.Location{location}).
			WithPartialFingerprints(map[string]string{"belayPolicyLint/v1": fingerprint(f)})
	}
	report.AddRun(run)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(report)
}

func fingerprint(f lintFinding) string {
	statement := f.SID
	if statement == "" {
		statement = strconv.Itoa(f.Statement)
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{f.Rule, f.Where, statement, f.Message}, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// fileURI is a path as SARIF has it: relative to where the command ran, unless it is absolute.
func fileURI(name string) string {
	u := url.URL{Path: filepath.ToSlash(name)}
	if filepath.IsAbs(name) {
		u.Scheme = "file"
	}
	return u.String()
}

// utf16Column is a column in the units that SARIF counts.
func utf16Column(line string, column int) int {
	if column < 1 || column > len(line)+1 {
		return 1
	}
	return len(utf16.Encode([]rune(line[:column-1]))) + 1
}
