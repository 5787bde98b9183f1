package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/scope"
)

// entry is one place of the navigation, and group some of them.
type (
	entry struct {
		Name, Icon, Path string
		Failing          int // 0 is not shown
	}
	group struct {
		Title   string
		Entries []entry
	}
)

// navigation holds what the caller may see.
func (v *visit) navigation() []group {
	first := group{"", []entry{
		{"Overview", "home", "/ui/", 0},
		{"Connectors", "link", "/ui/connectors", v.failing},
		{"Delegates", "server", "/ui/delegates", 0},
		{"Permissions", "shield", "/ui/permissions", 0},
	}}
	second := group{"Organization", []entry{{"Secrets", "key", "/ui/secrets", 0}}}
	if v.may(audit.AuditRead, v.at) {
		second.Entries = append(second.Entries, entry{"Audit log", "log", "/ui/audit", 0})
	}
	second.Entries = append(second.Entries, entry{"Settings", "gear", "/ui/settings", 0})
	return []group{first, second}
}

func (v *visit) scopeName() string { return placeName(v.at) }

func (v *visit) scopeKind() string {
	switch v.at.Level() {
	case scope.Organization:
		return "organization"
	case scope.Project:
		return "project"
	case scope.Account:
	}
	return v.who.Account
}

// mark is a status: class, icon and word, always together.
type mark struct{ Class, Word string }

// Icon is the shape of the class.
func (m mark) Icon() string { return m.Class }

func markOf(s connector.Status) mark {
	switch s {
	case connector.Success:
		return mark{"ok", "Connected"}
	case connector.Failing:
		return mark{"fail", "Failing"}
	case connector.Partial:
		return mark{"warn", "Attention"}
	case connector.Unknown:
	}
	return mark{"idle", "Not tested"}
}

// part is a piece of a sentence.
type part struct {
	Text string
	Code bool
}

// lower is a word of ours inside a sentence.
func lower(text string) string { return strings.ToLower(text) }

// spans cuts a text of ours at its backticks.
func spans(text string) []part {
	pieces := strings.Split(text, "`")
	if len(pieces)%2 == 0 { // one is not closed: then it means nothing
		return []part{{Text: text}}
	}
	var out []part
	for i, p := range pieces {
		if p != "" {
			out = append(out, part{p, i%2 == 1})
		}
	}
	return out
}

// codeLine is a line of code; Class marks it: "", "add", "warn", or "bad" for the line at fault.
type codeLine struct{ Text, Class string }

func linesOf(text string) []codeLine {
	var out []codeLine
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		out = append(out, codeLine{Text: strings.TrimSuffix(line, "\r")})
	}
	return out
}

// codeLines is code. It is written by hand because in pre every blank counts.
func codeLines(title string, lines []codeLine) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		var b strings.Builder
		paint := html.EscapeString
		if len(lines) > 0 {
			switch first := strings.TrimSpace(lines[0].Text); {
			case strings.IndexAny(first+" ", `{}[]"`) == 0:
				paint = colouredJSON
			case strings.HasSuffix(first, ":") && !strings.Contains(first, " "):
				paint = colouredYAML
			}
		}
		b.WriteString(`<pre tabindex="0" role="region" aria-label="` + html.EscapeString(title) + `"><code>`)
		for _, l := range lines {
			tag, class := "span", "l"
			switch l.Class {
			case "":
			case "bad":
				tag = "mark"
			default:
				tag, class = "mark", "l "+l.Class
			}
			b.WriteString("<" + tag + ` class="` + class + `">` + paint(l.Text) + "\n</" + tag + ">")
		}
		b.WriteString("</code></pre>")
		_, err := io.WriteString(w, b.String())
		return err
	})
}

// colouredYAML tells the key of a line from its value. It knows what document.Write writes; another line stays as it is.
func colouredYAML(line string) string {
	rest := strings.TrimLeft(line, " ")
	indent := line[:len(line)-len(rest)]
	if item, ok := strings.CutPrefix(rest, "- "); ok {
		return indent + "- " + inSpan("s", item)
	}
	key, value, ok := strings.Cut(rest, ":")
	if !ok || strings.ContainsAny(key, " \"'") || value != "" && !strings.HasPrefix(value, " ") {
		return html.EscapeString(line)
	}
	return indent + inSpan("k", key) + ":" + inSpan("s", value)
}

func inSpan(class, text string) string {
	if text == "" {
		return ""
	}
	return `<span class="` + class + `">` + html.EscapeString(text) + "</span>"
}

// colouredJSON gives names and strings in a line their colours.
func colouredJSON(line string) string {
	var b strings.Builder
	rest := line
	for {
		start := strings.IndexByte(rest, '"')
		if start < 0 {
			break
		}
		end := start + 1
		for end < len(rest) && rest[end] != '"' {
			if rest[end] == '\\' {
				end++
			}
			end++
		}
		end = min(end+1, len(rest))
		class := "s"
		if strings.HasPrefix(strings.TrimLeft(rest[end:], " "), ":") {
			class = "k"
		}
		b.WriteString(html.EscapeString(rest[:start]) + inSpan(class, rest[start:end]))
		rest = rest[end:]
	}
	return b.String() + html.EscapeString(rest)
}

// pretty indents a text that is JSON; others stay as they are.
func pretty(text string) (string, bool) {
	if t := strings.TrimSpace(text); !strings.HasPrefix(t, "{") && !strings.HasPrefix(t, "[") {
		return text, false
	}
	var out bytes.Buffer
	if json.Indent(&out, []byte(text), "", "  ") != nil {
		return text, false
	}
	return out.String(), true
}

// pages is where in a long list a page is.
type pages struct {
	First, Last, Total int
	Previous, Next     string
	Start              string // the address of the first page
	One, Many          string
}

// Past reports whether an address asks for a page behind the last.
func (p pages) Past() bool { return p.Total > 0 && p.Last < p.First }

// Words say which of them are shown.
func (p pages) Words() string {
	if p.Total == 0 {
		return "No " + p.Many
	}
	return fmt.Sprintf("%s to %s of %s", grouped(p.First), grouped(p.Last), count(p.Total, p.One, p.Many))
}

const pageSize = 25

// pagesOf finds the neighbours of a page; to makes the address of one.
func pagesOf(number, shown, total int, one, many string, to func(page string) string) pages {
	return pagesBy(pageSize, number, shown, total, one, many, to)
}

// pagesBy is pagesOf for pages of another size.
func pagesBy(size, number, shown, total int, one, many string, to func(page string) string) pages {
	p := pages{First: (number-1)*size + 1, Last: (number-1)*size + shown, Total: total, Start: to(""), One: one, Many: many}
	switch {
	case number == 2:
		p.Previous = to("")
	case number > 2:
		p.Previous = to(strconv.Itoa(number - 1))
	}
	if p.Last < total && shown > 0 {
		p.Next = to(strconv.Itoa(number + 1))
	}
	return p
}

// hop is one knot of the line. State is ok, fail, run or idle.
type hop struct{ State, Name, What, Note string }

// Label says the state.
func (h hop) Label() string {
	switch h.State {
	case "ok":
		return "Holds"
	case "fail":
		return "Breaks"
	case "run":
		return "Running"
	}
	return "Nothing is known"
}

// hopsOf are the knots of a connector, before any test.
func hopsOf(c connector.Connector) []hop {
	first := hop{"idle", "Manager", "calls AWS itself", ""}
	if c.OnDelegate() {
		first = hop{"idle", "Delegate", "any", ""}
		if len(c.Selectors) > 0 {
			first.What = "with " + strings.Join(c.Selectors, ", ")
		}
	}
	hops := []hop{first, {"idle", credentialOf(c), "first credentials", ""}}
	if c.CrossAccount != nil {
		hops = append(hops, hop{"idle", "Cross-account role", lastOf(c.CrossAccount.RoleARN), ""})
	}
	return append(hops, hop{"idle", "Identity", "GetCallerIdentity", ""}, hop{"idle", "Regions", "DescribeRegions in " + c.TestRegion(), ""})
}

// credentialOf says how a connector gets its credentials.
func credentialOf(c connector.Connector) string {
	switch c.Credential.(type) {
	case connector.ManualConfig:
		return "Access key"
	case connector.InheritFromDelegate:
		return "Delegate's role"
	case connector.IRSA:
		return "IRSA"
	case connector.OIDC:
		return "OIDC"
	case connector.Kubernetes:
		return "Kubernetes cluster"
	case nil:
	}
	return "None"
}

func lastOf(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// lineOf draws a test: what held, where it broke, what was not reached.
func lineOf(c connector.Connector, t *connector.Test) []hop {
	hops := hopsOf(c)
	if t == nil {
		return hops
	}
	last := len(hops) - 1
	at := breakOf(c, t, last)
	for i := range hops {
		switch {
		case i < at:
			hops[i].State = "ok"
		case i == at:
			hops[i].State = "fail"
		}
	}
	timed(hops, c, t)
	if t.Delegate != "" && t.Delegate != delegate.PlatformName {
		hops[0].What = t.Delegate
	}
	if waited := t.EndedAt.Sub(t.StartedAt) - t.Took; t.Took > 0 && waited > 0 {
		hops[0].Note = "hand-over " + took(waited)
	}
	if t.Region != "" {
		hops[last].What = "DescribeRegions in " + t.Region
	}
	switch n := len(t.Regions); {
	case at <= last:
	case n > 0:
		hops[last].Note = strings.TrimPrefix(hops[last].Note+", ", ", ") + count(n, "Region", "Regions") + " enabled"
	case n == 0 && t.Diagnosis == nil:
		hops[last].State, hops[last].Note = "idle", "not asked for"
	}
	return hops
}

// place of a step in the line whose last hop is given.
func placeOfStep(s connector.Step, last int) int {
	switch s {
	case connector.StepAssumeRole:
		return last - 2
	case connector.StepIdentity:
		return last - 1
	case connector.StepRegions:
		return last
	case connector.StepPrepare, connector.StepCredentials, connector.StepWebIdentity:
	}
	return 1
}

// breakOf is the hop at which a test broke, behind the last when it did not. Where the delegate did not time its calls, the
// place is found by the class of the diagnosis.
func breakOf(c connector.Connector, t *connector.Test, last int) int {
	d := t.Diagnosis
	switch {
	case d == nil && t.Status == connector.Failing:
		return last
	case d == nil:
		return last + 1
	case strings.HasPrefix(d.Code, "BLY-31"), strings.HasPrefix(d.Code, "BLY-23"), d.Code == connector.SecretUnavailable:
		return 0
	case len(t.Calls) > 0:
		return placeOfStep(t.Calls[len(t.Calls)-1].Step, last)
	case d.Code == connector.RoleNotAssumable && c.CrossAccount != nil:
		return 2
	case d.Code == connector.WrongPartition && t.Identity != nil:
		return last - 1
	case t.Identity != nil, d.Code == connector.RegionUnavailable:
		return last
	}
	return 1
}

// timed notes beside the hops what is known of each.
func timed(hops []hop, c connector.Connector, t *connector.Test) {
	last := len(hops) - 1
	for _, call := range t.Calls {
		i := placeOfStep(call.Step, last)
		if call.Step == connector.StepAssumeRole && c.CrossAccount == nil {
			continue
		}
		hops[i].Note = took(call.Took)
		if call.Kept {
			hops[i].Note = "session kept"
		}
	}
	if t.Identity != nil {
		hops[last-1].Note = strings.TrimPrefix(hops[last-1].Note+", ", ", ") + t.Identity.Account
	}
}

// running is the line while a test runs: nothing grows when it ends.
func running(c connector.Connector) []hop {
	hops := hopsOf(c)
	hops[0].State = "run"
	return hops
}

// chart is the last tests: passes stand on the base line, as high as they took, failures hang below it.
type chart struct {
	Label         string
	Bars          []bar
	Width, Height string
}

type bar struct{ Class, X, Y, H string }

// sparkTests are how many tests a row of a list draws.
const sparkTests = 24

// step is one remedy: what to do, and what to copy for it.
type step struct {
	Text string
	Code []codeLine
}

// stepOf finds the command or document in a remedy.
func stepOf(text string) step {
	if head, rest, ok := strings.Cut(text, "\n"); ok && strings.TrimSpace(rest) != "" {
		body, _ := pretty(rest)
		return step{head, linesOf(body)}
	}
	if i := strings.Index(text, ": {"); i > 0 {
		if body, ok := pretty(text[i+2:]); ok {
			return step{text[:i+1], linesOf(body)}
		}
	}
	for _, program := range []string{"aws ", "kubectl ", "belay "} {
		if strings.HasPrefix(text, program) {
			return step{"Run:", linesOf(text)}
		}
		if i := strings.Index(text, ": "+program); i > 0 {
			return step{text[:i+1], linesOf(text[i+2:])}
		}
	}
	return step{Text: text}
}

func stepsOf(remedies []string) []step {
	var out []step
	for _, r := range remedies {
		out = append(out, stepOf(r))
	}
	return out
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
