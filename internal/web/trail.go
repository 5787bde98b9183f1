package web

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

type auditRow struct {
	At                   ago
	By, Action, Target   string
	Where, Detail, Exact string
	Mark                 mark
	Same                 string // the address of what else was done to the same thing
}

// auditFilter is what the address narrows the log by. Times are those of UTC, as a field of a form has them.
type auditFilter struct {
	v                                          *visit
	Who, Action, Target, Outcome, Since, Until string
	Problem                                    string // of the times
}

const formTime = "2006-01-02T15:04"

func auditFilterOf(v *visit) auditFilter {
	f := auditFilter{
		v: v, Who: v.word("who"), Action: v.word("action"), Target: v.word("target"), Outcome: v.query.Get("outcome"), Since: v.word("since"), Until: v.word("until"),
	}
	if o := audit.Outcome(f.Outcome); o != audit.Allowed && o != audit.Denied {
		f.Outcome = ""
	}
	return f
}

// pairs are the parameters of the filter, for addresses.
func (f auditFilter) pairs(more ...string) []string {
	return append([]string{"who", f.Who, "action", f.Action, "target", f.Target, "outcome", f.Outcome, "since", f.Since, "until", f.Until}, more...)
}

// To is an address with the same filter.
func (f auditFilter) To(path string, more ...string) string {
	return f.v.url(path, f.pairs(more...)...)
}

// Narrow reports whether something is left out.
func (f auditFilter) Narrow() bool {
	return f.Who+f.Action+f.Target+f.Outcome+f.Since+f.Until != ""
}

// domain is the filter as the service takes it. A time that is none narrows nothing, and Problem says so.
func (f *auditFilter) domain() audit.Filter {
	out := audit.Filter{Scope: f.v.at, Caller: f.Who, Action: f.Action, Target: f.Target, Outcome: audit.Outcome(f.Outcome)}
	read := func(text string) time.Time {
		for _, layout := range []string{formTime, "2006-01-02T15:04:05", time.DateOnly, time.RFC3339} {
			if t, err := time.Parse(layout, text); err == nil {
				return t.UTC()
			}
		}
		if text != "" {
			f.Problem = "A time is not one: write it as 2026-11-23T09:30, in UTC."
		}
		return time.Time{}
	}
	out.Since, out.Until = read(f.Since), read(f.Until)
	if !out.Since.IsZero() && !out.Until.IsZero() && !out.Since.Before(out.Until) {
		f.Problem = "It ends before it begins."
	}
	return out
}

type auditPage struct {
	auditFilter
	Rows    []auditRow
	Older   string
	Later   bool // it does not begin with the newest
	Actions []string
}

// auditURL is the address of what was done to one thing, or of all when target is ""; "" when the caller may not see it.
func auditURL(v *visit, at scope.Scope, target string) string {
	if !v.may(audit.AuditRead, at) {
		return ""
	}
	return withQuery(within("/ui/audit", at), nil, "target", target)
}

func (s *Server) auditLog(ctx context.Context, v *visit) (reply, error) {
	p := auditPage{auditFilter: auditFilterOf(v), Later: v.query.Get("before") != ""}
	f := p.domain()
	f.Before, f.Limit = v.query.Get("before"), pageSize+1
	list, err := s.Trail.Entries(ctx, v.who, f)
	if err != nil {
		return reply{}, err
	}
	if len(list) > pageSize {
		list = list[:pageSize]
		p.Older = p.To("/ui/audit", "before", list[pageSize-1].ID)
	}
	for _, e := range list {
		row := auditRowOf(v.now, e)
		row.Same = auditURL(v, v.at, e.Target)
		p.Rows = append(p.Rows, row)
	}
	for _, r := range roleRows() {
		p.Actions = append(p.Actions, r.Kind+".")
	}
	for _, a := range audit.Actions() {
		if !strings.HasSuffix(string(a), ".read") {
			p.Actions = append(p.Actions, string(a))
		}
	}
	return reply{title: "Audit log", here: "Audit log", body: auditView(p)}, nil
}

func auditRowOf(now time.Time, e audit.Entry) auditRow {
	row := auditRow{
		At: since(now, e.At), By: e.CallerName, Action: string(e.Action), Target: e.Target, Where: placeName(e.Scope), Detail: e.Detail, Mark: mark{"ok", "Allowed"},
	}
	if e.Outcome == audit.Denied {
		row.Mark = mark{"fail", "Denied"}
	}
	return row
}

// mostDownloaded is the longest download, in entries; those that come after are asked for with a later end.
const mostDownloaded = 10_000

// entryLine is an entry in a download.
type entryLine struct {
	ID       string    `json:"id"`
	At       time.Time `json:"at"`
	Org      string    `json:"org"`
	Project  string    `json:"project"`
	Caller   string    `json:"caller"`
	CallerID string    `json:"callerId"`
	Action   string    `json:"action"`
	Target   string    `json:"target"`
	Outcome  string    `json:"outcome"`
	Detail   string    `json:"detail"`
}

// auditDownload gives the entries that the filter leaves as a file, newest first.
func (s *Server) auditDownload(ctx context.Context, v *visit) (reply, error) {
	filter := auditFilterOf(v)
	f := filter.domain()
	if filter.Problem != "" { // a file has no place to say that it holds more than was asked for
		return reply{}, fault.New(fault.Invalid, "%s", filter.Problem)
	}
	const atOnce = 1000
	f.Limit = atOnce
	lines := []entryLine{}
	for len(lines) < mostDownloaded {
		list, err := s.Trail.Entries(ctx, v.who, f)
		if err != nil {
			return reply{}, err
		}
		for _, e := range list {
			lines = append(lines, entryLine{
				e.ID, e.At.UTC(), e.Scope.Org, e.Scope.Project, e.CallerName, e.CallerID, string(e.Action), e.Target, string(e.Outcome), e.Detail,
			})
		}
		if len(list) < atOnce {
			break
		}
		f.Before = list[len(list)-1].ID
	}
	name := "audit-" + v.now.UTC().Format("2006-01-02T150405Z")
	if v.query.Get("format") == "json" {
		text, err := json.MarshalIndent(lines, "", "  ")
		return reply{file: &file{name + ".json", "application/json", append(text, '\n')}}, err
	}
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	_ = w.Write([]string{"id", "at", "org", "project", "caller", "callerId", "action", "target", "outcome", "detail"}) // a buffer takes all
	for _, l := range lines {
		_ = w.Write([]string{
			l.ID, l.At.Format(time.RFC3339Nano), cell(l.Org), cell(l.Project), cell(l.Caller), cell(l.CallerID), cell(l.Action), cell(l.Target), l.Outcome, cell(l.Detail),
		})
	}
	w.Flush()
	return reply{file: &file{name + ".csv", "text/csv", text.Bytes()}}, w.Error()
}

// cell keeps programs for tables from taking a text that somebody chose for a formula.
func cell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}
