// Package belay_test holds the test of the architecture: which package lies in which ring, and who may import whom.
package belay_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/belay-dev/belay"

// ring places every package of the module; one that is not here fails the test. Imports go down, never up.
var ring = map[string]int{
	// public: the IAM engine, standard library only
	"iam":                           0,
	"iam/scenario":                  0,
	"iam/catalogue":                 0,
	"iam/catalogue/render":          0,
	"iam/trust":                     0,
	"iam/service":                   0,
	"iam/lint":                      0,
	"iam/service/internal/generate": 0, // a program: makes the tables of iam/service

	// 0, words: standard library only
	"internal/fault":    0,
	"internal/scope":    0,
	"internal/arn":      0,
	"internal/backoff":  0,
	"internal/protocol": 0,
	"internal/markdown": 0,
	"docs":              0, // the documentation, embedded

	// 1, domain: knows neither HTTP nor SQL nor AWS; who may import whom is in arrows
	"internal/secret":    1,
	"internal/audit":     1,
	"internal/identity":  1,
	"internal/org":       1,
	"internal/connector": 1,
	"internal/delegate":  1,
	"internal/task":      1,
	"internal/awstask":   1,
	"internal/preflight": 1,
	"internal/oidc":      1,
	"internal/infra":     1,
	"internal/firstgen":  1,
	"internal/manifest":  1,

	// 2, technology: packages that do not know one another
	"internal/store":           2,
	"internal/store/storetest": 2,
	"internal/bell":            2,
	"internal/awsops":          2,

	// 3, edges: reach ring 2 through interfaces
	"internal/nextgen":      3, // JSON shapes that edges share; imports no edge itself
	"internal/policysource": 3, // policies in files of other programs
	"internal/api":          3,
	"internal/api/ng":       3,
	"internal/api/openapi":  3,
	"internal/api/v1":       3,
	"internal/api/link":     3,
	"internal/api/fg":       3,
	"internal/agent":        3,
	"internal/document":     3,
	"internal/web":          3,
	"internal/sandbox":      3,
	"internal/upgrader":     3,

	// 4, wiring: sees everything
	"internal/manager":     4,
	"internal/cli":         4,
	"internal/belaytest":   4,
	"internal/api/apitest": 4,
	"internal/bench":       4,
	"internal/e2e":         4, // tests only
	"deploy":               4, // tests only
	"cmd/belay":            4,
}

// shared are packages of ring 1 that its others may import.
var shared = []string{"internal/secret", "internal/audit"}

// arrows are the other imports allowed inside rings 1 and 2, and the one upward import. Rings 1 and 2 have no more; in
// rings 0, 3 and 4 packages may import their neighbours.
var arrows = map[string][]string{
	"internal/task": {"internal/delegate"},
	// work with a connector asks something of a delegate
	"internal/awstask": {"internal/connector", "internal/delegate"},

	// a preflight is a question about a connector's identity
	"internal/preflight": {"internal/connector"},
	"internal/oidc":      {"internal/connector"},

	// a cloud provider becomes a connector
	"internal/firstgen": {"internal/connector"},

	// the contract of every store is a test library
	"internal/store/storetest": {"internal/store", "internal/belaytest"},
}

// skips are rings that a ring does not import although they are lower: edges reach technology through interfaces.
var skips = map[int]int{3: 2}

// testOnly are packages that only tests import, apart from the arrows.
var testOnly = []string{"internal/belaytest", "internal/store/storetest", "internal/api/apitest"}

// transports are what rings 0 and 1 do not know, each with everything below it.
var transports = []string{"net/http", "database/sql", "github.com/aws", "github.com/nats-io", "k8s.io"}

// vague are folder names that say nothing about what is inside.
var vague = []string{"util", "utils", "common", "helper", "helpers", "models", "types", "pkg"}

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath string   `json:"ImportPath"`
	Imports    []string `json:"Imports"` // of the code, not of its tests: tests may look up
}

// path is the package's path inside the module.
func (p pkg) path() string { return inModule(p.ImportPath) }

// inModule is the path of an import inside the module, or "" for one from elsewhere and for the root.
func inModule(importPath string) string {
	path, ok := strings.CutPrefix(importPath, module+"/")
	if !ok {
		return ""
	}
	return path
}

func TestArchitecture(t *testing.T) {
	t.Parallel()
	for _, problem := range violations(list(t)) {
		t.Error(problem)
	}
}

func TestFoldersSayWhatIsInside(t *testing.T) {
	t.Parallel()
	for _, problem := range vagueFolders(folders(t)) {
		t.Error(problem)
	}
}

// list asks the go command for the module's packages; -e lets it answer while one of them does not compile.
func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
}

// folders walks the module. Besides giving the names it makes the go command run these tests again after a change
// anywhere in the tree, which it would not notice through `go list`.
func folders(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !d.IsDir() || path == ".":
			return nil
		case strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"bin", "node_modules", "testdata"}, d.Name()):
			return fs.SkipDir
		}
		all = append(all, filepath.ToSlash(path))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// violations are the sentences about what breaks the rules.
func violations(all []pkg) []string {
	var problems []string
	for _, p := range all {
		from := p.path()
		if from == "" {
			continue // the root holds this test only
		}
		level, listed := place(from)
		if !listed {
			problems = append(problems, from+" is in no ring: add it to ring in arch_test.go")
			continue
		}
		for _, imported := range p.Imports {
			if problem := judge(from, level, imported); problem != "" {
				problems = append(problems, problem)
			}
		}
	}
	return problems
}

// place is the ring of a package. A service's package below awsops is technology without being named.
func place(path string) (level int, listed bool) {
	if strings.HasPrefix(path, "internal/awsops/") {
		return 2, true
	}
	level, listed = ring[path]
	return level, listed
}

// judge says what is wrong with one import, or nothing.
func judge(from string, level int, imported string) string {
	to := inModule(imported)
	if to == "" {
		return judgeForeign(from, level, imported)
	}
	target, listed := place(to)
	switch {
	case !listed || slices.Contains(arrows[from], to):
		return "" // an unlisted package is reported for itself
	case strings.HasPrefix(from, "iam"):
		if strings.HasPrefix(to, "iam") {
			return ""
		}
		return fmt.Sprintf("%s imports %s: the public library stands alone", from, to)
	case slices.Contains(testOnly, to):
		return fmt.Sprintf("%s imports %s outside its tests", from, to)
	case target > level:
		return fmt.Sprintf("%s (ring %d) imports %s (ring %d): imports go down", from, level, to, target)
	case target == 0 && level == 0 && strings.HasPrefix(to, "iam"):
		return fmt.Sprintf("%s imports %s: words know no IAM", from, to)
	case skips[level] != 0 && skips[level] == target:
		return fmt.Sprintf("%s (ring %d) imports %s (ring %d): edges reach technology through interfaces", from, level, to, target)
	case level == 1 && slices.Contains(shared, to):
		return ""
	case level == 2 && target == 2 && strings.HasPrefix(from, to+"/"):
		return "" // awsops/s3 builds on awsops
	case level == target && (level == 1 || level == 2):
		return fmt.Sprintf("%s imports its neighbour %s in ring %d: there is no such arrow", from, to, level)
	}
	return ""
}

// judgeForeign says what is wrong with an import from outside the module.
func judgeForeign(from string, level int, imported string) string {
	first, _, _ := strings.Cut(imported, "/")
	if level == 0 && strings.Contains(first, ".") {
		return fmt.Sprintf("%s (ring 0) imports %s: the standard library only", from, imported)
	}
	for _, t := range transports {
		if level <= 1 && (imported == t || strings.HasPrefix(imported, t+"/")) {
			return fmt.Sprintf("%s (ring %d) imports %s: rings 0 and 1 do not know their transports", from, level, imported)
		}
	}
	return ""
}

// vagueFolders are the sentences about folders with a name that says nothing.
func vagueFolders(all []string) []string {
	var problems []string
	for _, path := range all {
		if name := path[strings.LastIndexByte(path, '/')+1:]; slices.Contains(vague, name) {
			problems = append(problems, path+": name the folder after what is inside")
		}
	}
	return problems
}

// TestTheRulesCanFail gives each rule something that breaks it.
func TestTheRulesCanFail(t *testing.T) {
	t.Parallel()
	const in = module + "/"
	for name, tt := range map[string]struct {
		from, imports string
		want          []string
	}{
		"down is fine":                    {"internal/store", in + "internal/task", nil},
		"an arrow is fine":                {"internal/task", in + "internal/delegate", nil},
		"all may use secrets":             {"internal/identity", in + "internal/secret", nil},
		"a word may use a word":           {"internal/scope", in + "internal/fault", nil},
		"a service builds on awsops":      {"internal/awsops/s3", in + "internal/awsops", nil},
		"the domain may use the engine":   {"internal/connector", in + "iam", nil},
		"the contract may start programs": {"internal/store/storetest", in + "internal/belaytest", nil},
		"wiring sees technology":          {"internal/manager", in + "internal/store", nil},
		"an edge may speak HTTP":          {"internal/api", "net/http", nil},

		"up":                        {"internal/connector", in + "internal/store", []string{"internal/connector (ring 1) imports internal/store (ring 2): imports go down"}},
		"against the arrow":         {"internal/delegate", in + "internal/task", []string{"internal/delegate imports its neighbour internal/task in ring 1: there is no such arrow"}},
		"technology to technology":  {"internal/store", in + "internal/bell", []string{"internal/store imports its neighbour internal/bell in ring 2: there is no such arrow"}},
		"service to service":        {"internal/awsops/ecs", in + "internal/awsops/s3", []string{"internal/awsops/ecs imports its neighbour internal/awsops/s3 in ring 2: there is no such arrow"}},
		"an edge to technology":     {"internal/api", in + "internal/store", []string{"internal/api (ring 3) imports internal/store (ring 2): edges reach technology through interfaces"}},
		"product to test library":   {"internal/manager", in + "internal/belaytest", []string{"internal/manager imports internal/belaytest outside its tests"}},
		"unlisted":                  {"internal/surprise", "fmt", []string{"internal/surprise is in no ring: add it to ring in arch_test.go"}},
		"HTTP in the domain":        {"internal/task", "net/http/httptest", []string{"internal/task (ring 1) imports net/http/httptest: rings 0 and 1 do not know their transports"}},
		"SQL in the domain":         {"internal/task", "database/sql", []string{"internal/task (ring 1) imports database/sql: rings 0 and 1 do not know their transports"}},
		"AWS in the domain":         {"internal/awstask", "github.com/aws/smithy-go", []string{"internal/awstask (ring 1) imports github.com/aws/smithy-go: rings 0 and 1 do not know their transports"}},
		"a module in the words":     {"internal/arn", "golang.org/x/text", []string{"internal/arn (ring 0) imports golang.org/x/text: the standard library only"}},
		"the library looking in":    {"iam", in + "internal/fault", []string{"iam imports internal/fault: the public library stands alone"}},
		"a word that knows the IAM": {"internal/arn", in + "iam", []string{"internal/arn imports iam: words know no IAM"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := violations([]pkg{{ImportPath: in + tt.from, Imports: []string{tt.imports}}})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	want := []string{"internal/util: name the folder after what is inside"}
	if diff := cmp.Diff(want, vagueFolders([]string{"internal/util", "internal/utility"})); diff != "" {
		t.Error(diff)
	}
}
