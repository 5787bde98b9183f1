// Package markdown turns the project's own documentation into HTML. It knows the part of Markdown that is written there:
// headings, paragraphs, lists, tables, fences, code spans, links and bold words. Anything else stays text, and all text is
// escaped: no page can hold markup of its own.
//
// Source of what the marks mean: https://github.github.com/gfm/
package markdown

import (
	"html"
	"regexp"
	"strconv"
	"strings"
)

// Page is a document as HTML.
type Page struct {
	Title string // the text of the heading of the first level, without marks; "" when the page does not begin with one
	HTML  string // what follows it
}

// Renderer says how links and code become HTML. The zero value leaves links out and shows code as pre.
type Renderer struct {
	// Link is where a target leads; with "" the link's text stands there without one.
	Link func(target string) string
	// Code is the HTML of a fence; it must escape the text.
	Code func(language, text string) string
}

// deepest is how far lists may nest; what is deeper is text.
const deepest = 6

// Render makes a page of a text.
func (r Renderer) Render(text string) Page {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	var p Page
	for len(lines) > 0 && strings.TrimSpace(lines[0]) == "" {
		lines = lines[1:]
	}
	if len(lines) > 0 {
		if level, title := heading(lines[0]); level == 1 {
			p.Title, lines = plain(title), lines[1:]
		}
	}
	w := writer{Renderer: r}
	w.blocks(lines, 0, false)
	p.HTML = w.out.String()
	return p
}

// Anchor is the name by which links reach a heading, as code hosts make it.
func Anchor(title string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(strings.TrimSpace(title)) {
		switch {
		case c == ' ':
			b.WriteByte('-')
		case c == '-' || c == '_' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			b.WriteRune(c)
		}
	}
	return b.String()
}

type writer struct {
	Renderer

	out    strings.Builder
	tables int
}

func (w *writer) put(parts ...string) {
	for _, p := range parts {
		w.out.WriteString(p)
	}
}

// heading is the level and text of a heading, or 0.
func heading(line string) (int, string) {
	rest := strings.TrimLeft(line, "#")
	level := len(line) - len(rest)
	if level == 0 || level > 6 || !strings.HasPrefix(rest, " ") {
		return 0, ""
	}
	return level, strings.TrimSpace(rest)
}

var itemForm = regexp.MustCompile(`^( {0,3})([-*]|[0-9]{1,4}\.) +`)

// blocks writes the blocks of lines. In a tight list item a paragraph has no tags.
func (w *writer) blocks(lines []string, depth int, tight bool) {
	for i := 0; i < len(lines); {
		line := lines[i]
		switch {
		case strings.TrimSpace(line) == "":
			i++
		case strings.HasPrefix(strings.TrimLeft(line, " "), "```"):
			i = w.fence(lines, i)
		case itemForm.MatchString(line) && depth < deepest:
			i = w.list(lines, i, depth)
		case strings.HasPrefix(line, "|") && i+1 < len(lines) && separates(lines[i+1]):
			i = w.table(lines, i)
		default:
			if level, title := heading(line); level > 0 {
				level = max(level, 2) // the page has one of the first level
				n := strconv.Itoa(level)
				w.put("<h", n, ` id="`, html.EscapeString(Anchor(title)), `">`, w.inline(title), "</h", n, ">\n")
				i++
				continue
			}
			end := i + 1
			for end < len(lines) && !starts(lines, end, depth) {
				end++
			}
			text := w.inline(strings.Join(trimmed(lines[i:end]), "\n"))
			if text != "" && tight {
				w.put(text, "\n")
			} else if text != "" {
				w.put("<p>", text, "</p>\n")
			}
			i = end
		}
	}
}

// starts reports whether a line ends the paragraph before it.
func starts(lines []string, i, depth int) bool {
	line := lines[i]
	level, _ := heading(line)
	return strings.TrimSpace(line) == "" || level > 0 || strings.HasPrefix(strings.TrimLeft(line, " "), "```") ||
		itemForm.MatchString(line) && depth < deepest || strings.HasPrefix(line, "|") && i+1 < len(lines) && separates(lines[i+1])
}

func trimmed(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = strings.TrimSpace(l)
	}
	return out
}

// fence writes a fence and gives the line behind it. One that is not closed reaches to the end.
func (w *writer) fence(lines []string, i int) int {
	indent := len(lines[i]) - len(strings.TrimLeft(lines[i], " "))
	language, _, _ := strings.Cut(strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(lines[i]), "`")), " ")
	var code []string
	for i++; i < len(lines); i++ {
		if strings.HasPrefix(strings.TrimSpace(lines[i]), "```") {
			i++
			break
		}
		code = append(code, unindented(lines[i], indent))
	}
	text := strings.Join(code, "\n")
	if w.Code != nil {
		w.put(w.Code(language, text), "\n")
	} else {
		w.put("<pre><code>", html.EscapeString(text), "</code></pre>\n")
	}
	return i
}

// unindented takes up to n blanks from the front of a line.
func unindented(line string, n int) string {
	for n > 0 && strings.HasPrefix(line, " ") {
		line, n = line[1:], n-1
	}
	return line
}

// list writes a list and gives the line behind it. An item goes on in lines that are indented as its text is, and in those
// that end no paragraph.
func (w *writer) list(lines []string, i, depth int) int {
	mark := itemForm.FindStringSubmatch(lines[i])[2]
	tag := "ul"
	if len(mark) > 1 {
		tag = "ol"
	}
	w.put("<", tag, ">\n")
	for i < len(lines) {
		found := itemForm.FindStringSubmatch(lines[i])
		if found == nil || (len(found[2]) > 1) != (tag == "ol") {
			break
		}
		width := len(found[0])
		item := []string{lines[i][width:]}
		blank := false // the line before is
		for i++; i < len(lines); i++ {
			line := lines[i]
			inside := strings.HasPrefix(line, strings.Repeat(" ", width))
			if !inside && strings.TrimSpace(line) != "" && (blank || starts(lines, i, depth)) {
				break
			}
			blank = strings.TrimSpace(line) == ""
			item = append(item, unindented(line, width))
		}
		w.put("<li>")
		w.blocks(item, depth+1, true)
		w.put("</li>\n")
	}
	w.put("</", tag, ">\n")
	return i
}

// separates reports whether a line is the one between a table's head and its body.
func separates(line string) bool {
	return strings.HasPrefix(line, "|") && strings.Contains(line, "-") && strings.Trim(line, "|-: ") == ""
}

func (w *writer) table(lines []string, i int) int {
	head := cells(lines[i])
	w.tables++ // regions of a page have different names
	w.put(`<div class="scroll" tabindex="0" role="region" aria-label="Table `, strconv.Itoa(w.tables), `"><table><thead><tr>`)
	for _, c := range head {
		w.put(`<th scope="col">`, w.inline(c), "</th>")
	}
	w.put("</tr></thead><tbody>\n")
	for i += 2; i < len(lines) && strings.HasPrefix(lines[i], "|"); i++ {
		row := cells(lines[i])
		w.put("<tr>")
		for k := range head {
			c := ""
			if k < len(row) {
				c = row[k]
			}
			w.put("<td>", w.inline(c), "</td>")
		}
		w.put("</tr>\n")
	}
	w.put("</tbody></table></div>\n")
	return i
}

// cells are those of a row. A bar behind a backslash is none between cells.
func cells(line string) []string {
	line = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "|"), "|")
	var out []string
	var cell strings.Builder
	for i := 0; i < len(line); i++ {
		switch {
		case strings.HasPrefix(line[i:], `\|`):
			cell.WriteByte('|')
			i++
		case line[i] == '|':
			out = append(out, strings.TrimSpace(cell.String()))
			cell.Reset()
		default:
			cell.WriteByte(line[i])
		}
	}
	return append(out, strings.TrimSpace(cell.String()))
}

var (
	linkForm = regexp.MustCompile(`^(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]*)\)`)
	autoForm = regexp.MustCompile(`^<(https?://[^<>\s]+)>`)
)

// inline writes the marks inside a line. What is open and never closed is text.
func (w *writer) inline(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		rest := text[i:]
		switch {
		case rest[0] == '`':
			fence := rest[:len(rest)-len(strings.TrimLeft(rest, "`"))]
			code, _, closed := strings.Cut(rest[len(fence):], fence)
			if !closed {
				b.WriteString(fence)
				i += len(fence)
				continue
			}
			b.WriteString("<code>" + html.EscapeString(trimmedCode(code)) + "</code>")
			i += len(code) + 2*len(fence)
		case strings.HasPrefix(rest, "**"):
			bold, _, closed := strings.Cut(rest[2:], "**")
			if !closed || bold == "" {
				b.WriteString("**")
				i += 2
				continue
			}
			b.WriteString("<strong>" + w.inline(bold) + "</strong>")
			i += len(bold) + 4
		case rest[0] == '\\' && len(rest) > 1 && strings.IndexByte("\\`*_{}[]()#+-.!|<>", rest[1]) >= 0:
			b.WriteString(html.EscapeString(rest[1:2]))
			i += 2
		case rest[0] == '<' && autoForm.MatchString(rest):
			found := autoForm.FindStringSubmatch(rest)
			b.WriteString(w.link(found[1], html.EscapeString(found[1])))
			i += len(found[0])
		case (rest[0] == '[' || rest[0] == '!') && linkForm.MatchString(rest):
			found := linkForm.FindStringSubmatch(rest)
			if found[1] == "" { // pictures are not shown
				b.WriteString(w.link(found[3], w.inline(found[2])))
			}
			i += len(found[0])
		default:
			n := 1 + len(rest[1:]) // up to the next that may be a mark
			if k := strings.IndexAny(rest[1:], "`*\\<[!"); k >= 0 {
				n = 1 + k
			}
			b.WriteString(html.EscapeString(rest[:n]))
			i += n
		}
	}
	return b.String()
}

// trimmedCode is a code span without the blank that sets it off from a backtick.
func trimmedCode(code string) string {
	if len(code) > 2 && code[0] == ' ' && code[len(code)-1] == ' ' {
		return code[1 : len(code)-1]
	}
	return strings.ReplaceAll(code, "\n", " ")
}

func (w *writer) link(target, text string) string {
	to := ""
	if w.Link != nil {
		to = w.Link(target)
	}
	if to == "" {
		return text
	}
	return `<a href="` + html.EscapeString(to) + `">` + text + "</a>"
}

// plain is a title without its marks.
func plain(title string) string { return strings.NewReplacer("`", "", "**", "").Replace(title) }
