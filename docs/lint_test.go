package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/lint"
)

// lintSections are those of every page under lint, in this order.
var lintSections = []string{"What it finds", "Example", "Why", "Mend it", "Source"}

// policyBlock is a policy in a fence; behind json stand the kind of the policy and, perhaps, the name of its role.
var policyBlock = regexp.MustCompile("(?ms)^```json ([a-z]+) ?([A-Za-z]*)\n(.*?)^```$")

// Every rule of the linter has a page with its title, and there is no page of another. What the page has under Example
// is found, and what it has under Mend it is not.
func TestEveryRuleHasAPage(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob(filepath.Join("lint", "BLP-*.md"))
	if err != nil {
		t.Fatal(err)
	}
	var pages, ids []string
	for _, name := range names {
		pages = append(pages, strings.TrimSuffix(filepath.Base(name), ".md"))
	}
	index, err := os.ReadFile(filepath.Join("lint", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range lint.Rules() {
		ids = append(ids, rule.ID)
		t.Run(rule.ID, func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(filepath.Join("lint", rule.ID+".md"))
			if err != nil {
				t.Fatal(err)
			}
			text := string(body)
			if title, _, _ := strings.Cut(text, "\n"); title != "# "+rule.ID+": "+rule.Title {
				t.Errorf("the title is %q", title)
			}
			if !strings.Contains(text, "`"+rule.Name+"`, a") || !strings.Contains(text, " "+string(rule.Severity)+".\n") {
				t.Errorf("the page does not say that it is %s, %s", rule.Name, rule.Severity)
			}
			if row := "| [" + rule.ID + "](" + rule.ID + ".md) | " + rule.Title + " | " + string(rule.Severity) + " |"; !strings.Contains(string(index), row) {
				t.Errorf("README.md lacks the row %s", row)
			}
			var got []string
			for _, l := range prose(text) {
				if title, ok := strings.CutPrefix(l.text, "## "); ok {
					got = append(got, title)
				}
			}
			if diff := cmp.Diff(lintSections, got); diff != "" {
				t.Error(diff)
			}
			if rule.ID == "BLP-109" {
				return // an example would be as long as the quota
			}
			blocks := policyBlock.FindAllStringSubmatch(text, -1)
			if len(blocks) != 2 {
				t.Fatalf("%d policies, want one that is wrong and one that is mended", len(blocks))
			}
			for i, block := range blocks {
				if got := finds(t, rule.ID, block); got != (i == 0) {
					t.Errorf("policy %d: found is %t", i, got)
				}
			}
		})
	}
	if diff := cmp.Diff(ids, pages); diff != "" {
		t.Errorf("rules (-) and pages (+) differ:\n%s", diff)
	}
}

// finds says whether a rule finds something in a block.
func finds(t *testing.T, id string, block []string) bool {
	t.Helper()
	if !slices.Contains(lint.Kinds(), lint.Kind(block[1])) {
		t.Fatalf("there is no kind %q", block[1])
	}
	d, err := iam.Parse([]byte(block[3]))
	if err != nil {
		t.Fatal(err)
	}
	findings, err := lint.Document(d, lint.Subject{Kind: lint.Kind(block[1]), Name: block[2]})
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(findings, func(f lint.Finding) bool { return f.Rule == id })
}
