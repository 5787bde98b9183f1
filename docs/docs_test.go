// Package docs_test holds the documents to what they speak of: codes, files, commands, dependencies.
package docs_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/docs"
	"github.com/belay-dev/belay/internal/connector"
)

// sections are those of every page under errors, in this order.
var sections = []string{"What happened", "How it looks", "Why", "Mend it", "Check that it holds", "Sources"}

func TestEveryCodeHasAPage(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(docs.Errors(), "BLY-*.md")
	if err != nil {
		t.Fatal(err)
	}
	var pages []string
	for _, name := range names {
		pages = append(pages, strings.TrimSuffix(name, ".md"))
	}
	codes := connector.Codes()
	slices.Sort(codes)
	if diff := cmp.Diff(codes, pages); diff != "" {
		t.Errorf("codes (-) and pages (+) differ:\n%s", diff)
	}
}

func TestEveryPageHasItsSections(t *testing.T) {
	t.Parallel()
	for _, code := range connector.Codes() {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			text, err := fs.ReadFile(docs.Errors(), code+".md")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range prose(string(text)) {
				if title, ok := strings.CutPrefix(l.text, "## "); ok {
					got = append(got, title)
				}
			}
			if diff := cmp.Diff(sections, got); diff != "" {
				t.Error(diff)
			}
			if first, _, _ := strings.Cut(string(text), "\n"); !strings.HasPrefix(first, "# "+code+": ") || first == "# "+code+": " {
				t.Errorf("the title is %q, it should be %q and a short name", first, "# "+code+": ")
			}
		})
	}
}

// The index names every page with the title that the page has.
func TestIndexOfErrors(t *testing.T) {
	t.Parallel()
	index, err := fs.ReadFile(docs.Errors(), "README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range connector.Codes() {
		text, err := fs.ReadFile(docs.Errors(), code+".md")
		if err != nil {
			t.Error(err)
			continue
		}
		title, _, _ := strings.Cut(strings.TrimPrefix(string(text), "# "+code+": "), "\n")
		if row := "| [" + code + "](" + code + ".md) | " + title + " |"; !strings.Contains(string(index), row) {
			t.Errorf("README.md lacks the row %s", row)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for name, text := range documents(t) {
		for _, l := range prose(text) {
			for _, found := range link.FindAllStringSubmatch(l.text, -1) {
				target, anchor, _ := strings.Cut(found[1], "#")
				if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
					continue
				}
				to := name
				if target != "" {
					to = path.Join(path.Dir(name), target)
				}
				body, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(to)))
				if err != nil {
					if about, statErr := os.Stat(filepath.Join("..", filepath.FromSlash(to))); statErr != nil || !about.IsDir() {
						t.Errorf("%s:%d: %s leads nowhere", name, l.number, found[1])
					}
					continue
				}
				if anchor != "" && !slices.Contains(anchors(string(body)), anchor) {
					t.Errorf("%s:%d: %s has no heading #%s", name, l.number, to, anchor)
				}
			}
		}
	}
}

// commands are what the command line knows: a word, and the words that may follow it where it is a group.
var commands = map[string][]string{
	"up": nil, "manager": nil, "upgrader": nil, "apply": nil, "export": nil, "whoami": nil, "version": nil, "completion": nil, "man": nil,
	"delegate":  {"run", "list", "tag", "ping", "choose", "token", "manifest"},
	"connector": {"list", "get", "apply", "delete", "test", "history", "preflight", "preflights", "export"},
	"policy":    {"actions", "simulate", "diff", "list", "show", "for", "lint", "trust"},
	"secret":    {"list", "get", "set", "delete"},
	"org":       {"list", "get", "create", "delete"},
	"project":   {"list", "get", "create", "delete"},
	"api-key":   {"list", "create", "revoke"},
	"flag":      {"list", "set"},
	"audit":     {"list"},
	"account":   {"list", "create", "admin-key"},
	"sandbox":   {"run", "seed", "settings", "token"},
	"oidc":      {"show", "set", "trust-policy", "token", "jwks", "rotate", "export", "check"},
}

func TestCommandsExist(t *testing.T) {
	t.Parallel()
	for name, text := range documents(t) {
		for _, c := range quotedCommands(text) {
			words := strings.FieldsFunc(c.text, func(r rune) bool { return strings.ContainsRune(" \t|;&()<>\"'`", r) })
			first := ""
			if len(words) > 1 {
				first = words[1]
			}
			next, known := commands[first]
			switch {
			case first == "" || strings.HasPrefix(first, "-"):
			case !known:
				t.Errorf("%s:%d: %q: there is no command %q", name, c.number, c.text, first)
			case next != nil && len(words) > 2 && !strings.HasPrefix(words[2], "-") && !slices.Contains(next, words[2]):
				t.Errorf("%s:%d: %q: %s has no command %q", name, c.number, c.text, first, words[2])
			}
		}
	}
}

// Every direct requirement of go.mod has a row of its own in dependencies.md, and no other module has one.
func TestDependenciesHaveAReason(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile(filepath.Join("..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	inside := false
	for line := range strings.Lines(string(mod)) {
		line = strings.TrimSpace(line)
		single, isSingle := strings.CutPrefix(line, "require ")
		switch {
		case line == "require (":
			inside = true
		case line == ")":
			inside = false
		case (inside || isSingle) && !strings.Contains(line, "// indirect") && line != "":
			module, _, _ := strings.Cut(strings.TrimSpace(single), " ")
			want = append(want, module)
		}
	}
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")
	for _, found := range row.FindAllStringSubmatch(string(text), -1) {
		got = append(got, found[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("go.mod (-) and dependencies.md (+) differ:\n%s", diff)
	}
}

// Decisions are numbered without a gap, and the index lists each.
func TestDecisionsAreListed(t *testing.T) {
	t.Parallel()
	index, err := os.ReadFile(filepath.Join("adr", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join("adr", "[0-9]*.md"))
	if err != nil || len(names) == 0 {
		t.Fatal("no decisions", err)
	}
	for i, name := range names {
		base := filepath.Base(name)
		if n := base[:4]; n != number(i+1) {
			t.Errorf("%s should be number %s", base, number(i+1))
		}
		if !strings.Contains(string(index), "("+base+")") {
			t.Errorf("adr/README.md does not list %s", base)
		}
	}
}

func number(n int) string {
	digits := []byte("0000")
	for i := 3; n > 0; i, n = i-1, n/10 {
		digits[i] = byte('0' + n%10)
	}
	return string(digits)
}

// documents are the Markdown files of this folder and of the root, by their path from the root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	add := func(name string) {
		text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(text)
	}
	root, err := filepath.Glob(filepath.Join("..", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range root {
		add(filepath.Base(name))
	}
	err = filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(name) == ".md" {
			add(path.Join("docs", filepath.ToSlash(name)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

type line struct {
	number int
	text   string
}

// split sorts the lines of a document into prose and what stands in fences.
func split(text string) (prose, fenced []line) {
	inside, n := false, 0
	for one := range strings.Lines(text) {
		n++
		one = strings.TrimRight(one, "\r\n")
		switch {
		case strings.HasPrefix(strings.TrimSpace(one), "```"):
			inside = !inside
		case inside:
			fenced = append(fenced, line{n, one})
		default:
			prose = append(prose, line{n, one})
		}
	}
	return prose, fenced
}

func prose(text string) []line {
	outside, _ := split(text)
	return outside
}

var code = regexp.MustCompile("`([^`]+)`")

// quotedCommands are the command lines of the program: in fences from the start of a line, with or without a prompt, and
// in code spans that begin with the program's name.
func quotedCommands(text string) []line {
	outside, fenced := split(text)
	var all []line
	for _, l := range fenced {
		one := strings.TrimPrefix(strings.TrimSpace(l.text), "$ ")
		one = strings.TrimPrefix(one, "bin/")
		if strings.HasPrefix(one, "belay ") {
			all = append(all, line{l.number, one})
		}
	}
	for _, l := range outside {
		for _, found := range code.FindAllStringSubmatch(l.text, -1) {
			if one := strings.TrimPrefix(found[1], "bin/"); strings.HasPrefix(one, "belay ") {
				all = append(all, line{l.number, one})
			}
		}
	}
	return all
}

// anchors are the names that a Markdown page gives its headings.
func anchors(text string) []string {
	var all []string
	for _, l := range prose(text) {
		title := strings.TrimLeft(l.text, "#")
		if title == l.text {
			continue
		}
		var b strings.Builder
		for _, r := range strings.ToLower(strings.TrimSpace(title)) {
			switch {
			case r == ' ':
				b.WriteByte('-')
			case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
				b.WriteRune(r)
			}
		}
		all = append(all, b.String())
	}
	return all
}
