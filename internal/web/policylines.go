package web

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// jsonValue is a JSON value whose members keep their order, to be laid out for people.
type jsonValue struct {
	text    string // of what is neither array nor object, as JSON
	items   []jsonValue
	members []jsonMember
	kind    json.Delim // '[', '{' or 0
}

type jsonMember struct {
	name  string // as JSON
	value jsonValue
}

// deepest bounds how deep a document may nest that is laid out. A policy needs six levels.
const deepest = 24

// readValue reads JSON. It is not ok when it is none, or nests too deep.
func readValue(text string) (jsonValue, bool) {
	if len(text) > maxForm || !json.Valid([]byte(text)) {
		return jsonValue{}, false
	}
	tokens := json.NewDecoder(strings.NewReader(text))
	tokens.UseNumber()
	return nextValue(tokens, 0)
}

func nextValue(tokens *json.Decoder, depth int) (v jsonValue, ok bool) {
	token, err := tokens.Token()
	if err != nil || depth > deepest {
		return v, false
	}
	open, nested := token.(json.Delim)
	if !nested {
		v.text = jsonText(token)
		return v, true
	}
	v.kind = open
	for tokens.More() {
		if open == '[' {
			item, ok := nextValue(tokens, depth+1)
			if !ok {
				return v, false
			}
			v.items = append(v.items, item)
			continue
		}
		name, err := tokens.Token()
		if err != nil {
			return v, false
		}
		value, ok := nextValue(tokens, depth+1)
		if !ok {
			return v, false
		}
		v.members = append(v.members, jsonMember{jsonText(name), value})
	}
	_, err = tokens.Token()
	return v, err == nil
}

// jsonText is a value as JSON, in which < and & stand for themselves: a policy is to be read.
func jsonText(v any) string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return "null"
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// inline is the value in one line.
func (v jsonValue) inline() string {
	var parts []string
	switch v.kind {
	case '[':
		for _, item := range v.items {
			parts = append(parts, item.inline())
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case '{':
		if len(v.members) == 0 {
			return "{}"
		}
		for _, m := range v.members {
			parts = append(parts, m.name+": "+m.value.inline())
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	}
	return v.text
}

// member finds one by its name, in any case: IAM reads them so.
func (v jsonValue) member(name string) (jsonValue, bool) {
	for _, m := range v.members {
		if strings.EqualFold(strings.Trim(m.name, `"`), name) {
			return m.value, true
		}
	}
	return jsonValue{}, false
}

// widest is how wide a line may be for what is folded into it.
const widest = 92

// printer writes lines. Open says which values are never folded into one line.
type printer struct {
	lines []codeLine
	open  func(v jsonValue) bool
	tall  bool // lists of texts have a line for each
}

func (l *printer) add(text string) { l.lines = append(l.lines, codeLine{Text: text}) }

// value writes one; before stands in front of its first line and behind after its last.
func (l *printer) value(v jsonValue, indent, before, behind string) {
	text := v.inline()
	texts := v.kind == '[' && !slices.ContainsFunc(v.items, func(item jsonValue) bool { return item.kind != 0 })
	fold := v.kind == 0 || len(v.items)+len(v.members) == 0 || len([]rune(indent+before+text)) <= widest && !l.open(v) && (!l.tall || !texts || len(v.items) < 2)
	if fold {
		l.add(indent + before + text + behind)
		return
	}
	deeper := indent + "  "
	closing := "]"
	if v.kind == '{' {
		closing = "}"
	}
	l.add(indent + before + v.kind.String())
	comma := func(i, n int) string {
		if i < n-1 {
			return ","
		}
		return ""
	}
	for i, m := range v.members {
		l.value(m.value, deeper, m.name+": ", comma(i, len(v.members)))
	}
	switch {
	case texts && !l.tall:
		l.filled(v.items, deeper)
	default:
		for i, item := range v.items {
			l.value(item, deeper, "", comma(i, len(v.items)))
		}
	}
	l.add(indent + closing + behind)
}

// filled writes texts, as many in a line as fit.
func (l *printer) filled(items []jsonValue, indent string) {
	line := indent
	for i, item := range items {
		word := item.text
		if i < len(items)-1 {
			word += ","
		}
		if line != indent && len([]rune(line+word))+1 > widest {
			l.add(line)
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	l.add(line)
}

// policyLines lay a policy out. Statements are folded to one line where they are short, but for those that are pointed at,
// whose lines are told: from and to, from 1. It is not ok when the text is no JSON object.
func policyLines(document string, pointed []int, class string) (lines []codeLine, from, to int, ok bool) {
	root, ok := readValue(document)
	if !ok || root.kind != '{' {
		return nil, 0, 0, false
	}
	l := printer{open: func(jsonValue) bool { return false }}
	l.add("{")
	for i, m := range root.members {
		behind := ","
		if i == len(root.members)-1 {
			behind = ""
		}
		if !strings.EqualFold(strings.Trim(m.name, `"`), "Statement") {
			l.value(m.value, "  ", m.name+": ", behind)
			continue
		}
		statements := m.value.items
		indent, list := "    ", m.value.kind == '['
		if !list { // one statement may stand without a list
			statements, indent = []jsonValue{m.value}, "  "
		} else {
			l.add("  " + m.name + ": [")
		}
		for k, s := range statements {
			begin := len(l.lines)
			before, end := "", ""
			if !list {
				before, end = m.name+": ", behind
			} else if k < len(statements)-1 {
				end = ","
			}
			here := slices.Contains(pointed, k)
			l.open = func(v jsonValue) bool { return here && v.kind == '{' && len(v.members) > 2 }
			l.value(s, indent, before, end)
			l.open = func(jsonValue) bool { return false }
			if !here {
				continue
			}
			for n := begin; n < len(l.lines); n++ {
				l.lines[n].Class = class
			}
			if from == 0 {
				from, to = begin+1, len(l.lines)
			}
		}
		if list {
			l.add("  ]" + behind)
		}
	}
	l.add("}")
	return l.lines, from, to, true
}

// grownLines lay out what a policy becomes: statements that it has now are folded, and lines that are new are marked.
func grownLines(before, after string) ([]codeLine, bool) {
	now, ok := readValue(after)
	if !ok || now.kind != '{' {
		return nil, false
	}
	old, _ := readValue(before)
	statements := func(v jsonValue) []string {
		s, _ := v.member("Statement")
		if s.kind != '[' {
			return []string{s.inline()}
		}
		var out []string
		for _, one := range s.items {
			out = append(out, one.inline())
		}
		return out
	}
	have := map[string]bool{}
	both := func(list, other []string) {
		for _, s := range list {
			have[s] = slices.Contains(other, s)
		}
	}
	is, was := statements(now), statements(old)
	both(is, was)
	both(was, is)
	draw := func(v jsonValue) []codeLine {
		l := printer{tall: true, open: func(v jsonValue) bool {
			known, statement := have[v.inline()]
			return statement && !known || v.kind == '[' && len(v.items) > 0 && v.items[0].kind == '{'
		}}
		l.open = openRoot(l.open, v)
		l.value(v, "", "", "")
		return l.lines
	}
	lines := draw(now)
	if old.kind != '{' {
		return lines, true
	}
	return marked(draw(old), lines), true
}

// openRoot never folds the root.
func openRoot(open func(jsonValue) bool, root jsonValue) func(jsonValue) bool {
	whole := root.inline()
	return func(v jsonValue) bool { return v.kind == '{' && v.inline() == whole || open(v) }
}
