package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// part is one document of a file as text, and how many lines come before it.
type part struct {
	text []byte
	line int
}

// split cuts a file at its --- lines, so that a syntax error in one document does not hide what is wrong with the others.
// YAML makes that safe: a line that starts with --- and a blank, or with nothing after it, ends whatever comes before,
// inside a string too. A part that has no content but directives and comments stays with the one after it.
func split(text []byte) []part {
	var parts []part
	start, startLine, line, content := 0, 0, 0, false
	for at := 0; at < len(text); {
		end := len(text)
		if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		this := text[at:end]
		if !content && bytes.HasPrefix(this, []byte("%YAML 1.")) {
			this[0] = '#' // the library knows 1.1 only, and nothing that is read here differs in 1.2
		}
		if marker(this) {
			if content {
				parts = append(parts, part{text[start:at], startLine})
				start, startLine = at, line
			}
			content = true
		} else if t := bytes.TrimSpace(this); len(t) > 0 && t[0] != '#' && t[0] != '%' {
			content = true
		}
		at = end
		line++
	}
	if start < len(text) {
		parts = append(parts, part{text[start:], startLine})
	}
	return parts
}

func marker(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("---"))
	return ok && (len(rest) == 0 || strings.ContainsRune(" \t\r\n", rune(rest[0])))
}

// syntaxError is why a part is not YAML.
type syntaxError struct {
	line, column int
	message      string
}

// parse makes the tree of a part, nil when it is empty. Line numbers are those of the file.
func parse(p part) (root *yaml.Node, wrong *syntaxError) {
	defer func() {
		// The library gives up with a panic on a few odd inputs. They are the input's fault, not the program's.
		if r := recover(); r != nil {
			root, wrong = nil, &syntaxError{line: p.line + 1, message: "is not YAML that can be read"}
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(p.text))
	var node yaml.Node
	switch err := decoder.Decode(&node); {
	case errors.Is(err, io.EOF):
		return nil, nil // an empty part is neither a tree nor a mistake
	case err != nil:
		return nil, syntax(p, err)
	}
	var rest yaml.Node
	switch err := decoder.Decode(&rest); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, syntax(p, err)
	default:
		return nil, &syntaxError{line: p.line + rest.Line, column: rest.Column, message: "a second document starts here; put --- on a line of its own before it"}
	}
	if len(node.Content) == 0 {
		return nil, nil
	}
	shift(&node, p.line)
	return node.Content[0], nil
}

// shift makes line numbers those of the file.
func shift(n *yaml.Node, by int) {
	n.Line += by
	for _, child := range n.Content {
		shift(child, by)
	}
}

// syntax translates the library's message: "yaml: line 3: mapping values are not allowed in this context".
func syntax(p part, err error) *syntaxError {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		number, after, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			line, text = n, after
		}
	}
	message := "is not YAML: " + text
	if strings.HasPrefix(text, "did not find expected") {
		line = min(line+1, bytes.Count(bytes.TrimRight(p.text, "\n"), []byte("\n"))+1) // of these the library counts from 0
	}
	switch {
	case strings.Contains(text, "mapping values are not allowed"):
		message = "is not YAML: a colon follows a value that has ended; check the indentation, and quote text that holds a colon"
	case strings.Contains(text, "cannot start any token") && hasTab(p.text, line):
		message = "is not YAML: a tab indents this line or the next; use blanks"
	case strings.Contains(text, "did not find expected key"):
		message = "is not YAML: no key where one belongs; check the indentation from this line on"
	case strings.Contains(text, "unknown anchor"):
		message = "is not YAML: " + text + ", which must stand before its use, in the same document"
	}
	return &syntaxError{line: p.line + max(line, 1), message: message}
}

func hasTab(text []byte, line int) bool {
	lines := bytes.Split(text, []byte("\n"))
	for _, n := range []int{line - 2, line - 1, line} {
		if n >= 0 && n < len(lines) && bytes.HasPrefix(bytes.TrimLeft(lines[n], " "), []byte("\t")) {
			return true
		}
	}
	return false
}

// position is a place in a file.
type position struct{ line, column int }

// doc is one document while it is read.
type doc struct {
	file      string
	values    bool   // secrets may have them
	text0     []byte // of the document, with what stands before it
	problems  Problems
	positions map[string]position // of each field that is there, by its path
	done      map[string]bool     // the fields that were reported
	nodes     int
}

// at reports a problem at a node.
func (d *doc) at(n *yaml.Node, path, format string, args ...any) {
	d.problems = append(d.problems, Problem{File: d.file, Line: n.Line, Column: n.Column, Path: path, Message: fmt.Sprintf(format, args...)})
}

// under reports a problem of a path: where the field stands, or else what would hold it.
func (d *doc) under(path, message string) {
	p := d.place(path)
	d.problems = append(d.problems, Problem{File: d.file, Line: p.line, Column: p.column, Path: path, Message: message})
}

// place is where a field stands, or the nearest of its parents that is there.
func (d *doc) place(path string) position {
	for {
		if p, ok := d.positions[path]; ok {
			return p
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return d.positions[""]
		}
		path = path[:cut]
	}
}

// follow replaces an alias by what it stands for, and refuses what grows over the bounds.
func (d *doc) follow(n *yaml.Node, path string, depth int) (*yaml.Node, bool) {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		if d.nodes++; d.nodes > maxNodes {
			break
		}
		n = n.Alias
	}
	d.nodes++
	switch {
	case d.nodes > maxNodes:
		if d.nodes < 2*maxNodes { // once
			d.nodes = 2 * maxNodes
			d.at(n, path, "the document has more than %d values, aliases counted by what they stand for", maxNodes)
		}
		return nil, false
	case depth > maxDepth:
		d.at(n, path, "lies more than %d levels deep", maxDepth)
		return nil, false
	}
	return n, true
}

// pair is a key of a mapping with its value.
type pair struct{ key, value *yaml.Node }

// pairs are the keys of a mapping, each once.
func (d *doc) pairs(n *yaml.Node, path string) []pair {
	seen := map[string]int{}
	var all []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Tag == "!!merge":
			d.at(key, path, "<< is not supported; write the keys out, or use an alias for the whole value")
			continue
		case key.Kind != yaml.ScalarNode:
			d.at(key, path, "a key must be text")
			continue
		}
		if line, there := seen[key.Value]; there {
			d.at(key, join(path, key.Value), "is there twice; the first is on line %d", line)
			continue
		}
		seen[key.Value] = key.Line
		all = append(all, pair{key, value})
	}
	return all
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
