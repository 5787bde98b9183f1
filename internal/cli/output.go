package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/width"

	"github.com/belay-dev/belay/internal/document"
)

// print writes what a command was asked for: value as JSON or YAML, or what table does for people.
func (a *app) print(value any, table func()) error {
	switch a.Output {
	case "json":
		e := json.NewEncoder(a.Out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(value)
	case "yaml":
		return document.WriteYAML(a.Out, value)
	}
	table()
	return nil
}

// note writes for people, beside what was asked for.
func (a *app) note(format string, args ...any) {
	_, _ = fmt.Fprintln(a.Err, printable(fmt.Sprintf(format, args...)))
}

// line writes what was asked for. Texts among args are made printable; what painted made is kept.
func (a *app) line(format string, args ...any) {
	for i, arg := range args {
		switch v := arg.(type) {
		case string:
			args[i] = printable(v)
		case inked:
			args[i] = string(v)
		}
	}
	_, _ = fmt.Fprintf(a.Out, format+"\n", args...)
}

// inked is text that was made printable and may hold the codes of colours.
type inked string

// paint is a way to show a word on a terminal.
type paint string

// The paints: the same roles as in the pages.
const (
	bold   paint = "1"
	faint  paint = "2"
	holds  paint = "36"
	breaks paint = "31"
	warns  paint = "33"
	added  paint = "32"
)

// painted is text for standard output, in colour where that is a terminal and the user has nothing against it.
func (a *app) painted(p paint, text string) inked {
	text = printable(text)
	if p == "" || !coloured(a.Out) {
		return inked(text)
	}
	return inked("\x1b[" + string(p) + "m" + text + "\x1b[0m")
}

// coloured follows NO_COLOR and CLICOLOR_FORCE.
func coloured(w io.Writer) bool {
	if os.Getenv("NO_COLOR") != "" {
		return false
	}
	if force := os.Getenv("CLICOLOR_FORCE"); force != "" && force != "0" {
		return true
	}
	return terminal(w) && os.Getenv("TERM") != "dumb"
}

// cell is a text in a table and how it is painted.
type cell struct {
	text  string
	paint paint
}

func plain(texts ...string) []cell {
	cells := make([]cell, len(texts))
	for i, t := range texts {
		cells[i] = cell{text: t}
	}
	return cells
}

// table writes aligned columns. Where there is no row, it says so on standard error.
func (a *app) table(none string, head []string, rows [][]cell) {
	if len(rows) == 0 {
		a.note("%s", none)
		return
	}
	all := make([][]cell, 0, len(rows)+1)
	top := make([]cell, len(head))
	for i, h := range head {
		top[i] = cell{h, faint}
	}
	all = append(append(all, top), rows...)
	widths := make([]int, len(head))
	for _, row := range all {
		for i := range row {
			row[i].text = oneLine(row[i].text)
			if row[i].text == "" {
				row[i].text = "-"
			}
			widths[i] = max(widths[i], columns(row[i].text))
		}
	}
	for _, row := range all {
		var b strings.Builder
		for i, c := range row {
			b.WriteString(string(a.painted(c.paint, c.text)))
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-columns(c.text)+2))
			}
		}
		_, _ = fmt.Fprintln(a.Out, b.String())
	}
}

// fields writes names with a value each, without those that have none.
func (a *app) fields(pairs ...[2]string) {
	widest := 0
	for _, p := range pairs {
		if p[1] != "" {
			widest = max(widest, columns(p[0]))
		}
	}
	for _, p := range pairs {
		if p[1] == "" {
			continue
		}
		indent := strings.Repeat(" ", widest+2)
		text := strings.ReplaceAll(printable(p[1]), "\n", "\n"+indent)
		_, _ = fmt.Fprintln(a.Out, string(a.painted(faint, p[0]))+strings.Repeat(" ", widest-columns(p[0])+2)+text)
	}
}

// columns is how many columns of a terminal a text takes.
func columns(text string) int {
	n := 0
	for _, r := range text {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		default:
			n++
			if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
				n++
			}
		}
	}
	return n
}

// printable replaces what could steer a terminal: names and answers come from other machines.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

func oneLine(text string) string {
	return printable(strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' || r == '\t' }), " "))
}

// ago says how long ago something was, as people do.
func ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := time.Since(t)
	switch {
	case d < -time.Minute:
		return "in " + span(-d)
	case d < time.Second:
		return "now"
	}
	return span(d) + " ago"
}

func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 2*day:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d/day))
}

// milliseconds is a time of the NextGen API.
func milliseconds(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// count is a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
