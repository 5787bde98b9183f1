package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// visit is one request of somebody who is signed in.
type visit struct {
	r     *http.Request
	who   audit.Caller
	at    scope.Scope // what the page shows, with all that lies inside
	now   time.Time
	token string // of the forms
	theme string // light, dark or "" for the system's
	query url.Values

	cookie  string
	failing int // connectors of the scope, for the navigation
}

// reply is a page, or where to go instead.
type reply struct {
	title  string
	here   string // the entry of the navigation
	body   templ.Component
	status int // 0 is 200
	to     string
	at     string // the address that says what the page shows, where htmx asked for it; "": the one that it asked
	file   *file  // instead of a page
}

// file is something to keep, which a browser saves under its name.
type file struct {
	name, kind string
	text       []byte
}

func (f *file) send(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", f.kind+"; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+f.name+`"`)
	h.Set("Content-Length", strconv.Itoa(len(f.text)))
	_, _ = w.Write(f.text) // the browser may be gone
}

const tooMany fault.Kind = "too many"

func (s *Server) visit(r *http.Request) (*visit, error) { return s.visitOf(r, true) }

// visitOf is visit; use says whether it counts as a use of the session.
func (s *Server) visitOf(r *http.Request, use bool) (*visit, error) {
	who, cookie, err := s.caller(r.Context(), r, use)
	if err != nil {
		return nil, err
	}
	return &visit{r: r, who: who, now: s.Now(), token: formToken(cookie), theme: themeOf(r), query: r.URL.Query(), cookie: cookie}, nil
}

// locate finds the scope of the page: the one that the address names, else the widest that the caller has a role in.
func (v *visit) locate(ctx context.Context, all organizations) error {
	v.at = v.widest()
	at := scope.Scope{Account: v.who.Account, Org: v.query.Get("org"), Project: v.query.Get("project")}
	if at.Level() == scope.Account {
		return nil
	}
	if err := at.Valid(); err != nil {
		return err
	}
	if v.who.RoleAt(at) == "" { // before looking: who may not see it learns nothing of it
		return fault.New(fault.Denied, "this key has no role in %s", at)
	}
	if err := all.Exists(ctx, at); err != nil {
		return err
	}
	v.at = at
	return nil
}

// account is the whole account of the caller.
func (v *visit) account() scope.Scope { return scope.Scope{Account: v.who.Account} }

// widest is the account, or the first scope of those who have no role in the whole of it.
func (v *visit) widest() scope.Scope {
	if v.who.RoleAt(v.account()) == "" && len(v.who.Grants) > 0 {
		return v.who.Grants[0].Scope
	}
	return v.account()
}

func (v *visit) mayChange() error {
	if err := sameOrigin(v.r); err != nil {
		return err
	}
	return rightToken(v.r, v.cookie)
}

// may reports whether a button for an action makes sense. The service decides again when it is pressed.
func (v *visit) may(a audit.Action, at scope.Scope) bool { return v.who.May(a, at) }

// url is the address of a page in the same scope, with parameters in pairs; empty ones are left out.
func (v *visit) url(path string, pairs ...string) string {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	if v.who.RoleAt(v.account()) != "" || len(v.who.Grants) > 1 {
		set("org", v.at.Org)
		set("project", v.at.Project)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		set(pairs[i], pairs[i+1])
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// within is the address of the page in another scope.
func within(path string, at scope.Scope) string {
	return withQuery(path, nil, "org", at.Org, "project", at.Project)
}

// withQuery adds parameters to an address: those of q, and others in pairs, of which an empty one takes that of q away.
func withQuery(base string, q url.Values, pairs ...string) string {
	all := url.Values{}
	for name, values := range q {
		all[name] = slices.Clone(values)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			all.Del(pairs[i])
		} else {
			all.Set(pairs[i], pairs[i+1])
		}
	}
	if len(all) == 0 {
		return base
	}
	if strings.Contains(base, "?") {
		return base + "&" + all.Encode()
	}
	return base + "?" + all.Encode()
}

// home is where a connector, or another entity, lives: at=org1/prj1 in the address, absent for the account.
func (v *visit) home() (scope.Scope, error) {
	at := scope.Scope{Account: v.who.Account}
	at.Org, at.Project, _ = strings.Cut(v.query.Get("at"), "/")
	return at, at.Valid()
}

func homeOf(at scope.Scope) string {
	if at.Project != "" {
		return at.Org + "/" + at.Project
	}
	return at.Org
}

// search is what is searched for, bounded.
func (v *visit) search() string { return v.word("search") }

// word is a parameter of the address, bounded.
func (v *visit) word(name string) string { return bounded(v.query.Get(name)) }

// longestSearch bounds, in characters, what is searched for, and names that are typed.
const longestSearch = 200

// bounded is a text that was typed within the bounds of a search.
func bounded(text string) string {
	text = strings.TrimSpace(text)
	if runes := []rune(text); len(runes) > longestSearch {
		text = string(runes[:longestSearch])
	}
	return text
}

// pageNumber is the page of a long list that the address asks for.
func (v *visit) pageNumber() int { return v.number("page", 1, 1_000_000) }

// number reads a parameter; what is none of min to max is min.
func (v *visit) number(name string, least, most int) int {
	n, err := strconv.Atoi(v.query.Get(name))
	if err != nil || n < least || n > most {
		return least
	}
	return n
}

func themeOf(r *http.Request) string {
	c, err := r.Cookie(themeCookie)
	if err != nil || c.Value != "light" && c.Value != "dark" {
		return ""
	}
	return c.Value
}

// write sends a page. It is rendered first, so that a failure on the way is not half a page.
func (s *Server) write(w http.ResponseWriter, r *http.Request, status int, c templ.Component) {
	var text bytes.Buffer
	if err := c.Render(r.Context(), &text); err != nil {
		s.Log.ErrorContext(r.Context(), "page cannot be rendered", slog.String("route", r.Pattern), slog.Any("error", err))
		http.Error(w, "the page cannot be made; the manager's log has the cause", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes()) // the browser may be gone
}

// trouble is a failure as a page tells it.
type trouble struct {
	Title   string
	Message string
	List    []string // problems, when there are several
	Code    string
}

// statusOf is the one place where a failure becomes a number.
func statusOf(err error) (int, string) {
	switch fault.KindOf(err) {
	case fault.NotFound:
		return http.StatusNotFound, "Not found"
	case fault.Invalid:
		return http.StatusBadRequest, "That cannot be done"
	case fault.Conflict, fault.InUse:
		return http.StatusConflict, "That cannot be done now"
	case fault.Denied:
		return http.StatusForbidden, "Not allowed"
	case fault.Unavailable:
		return http.StatusServiceUnavailable, "Not now"
	case tooMany:
		return http.StatusTooManyRequests, "Too fast"
	}
	return http.StatusInternalServerError, "Belay has a fault"
}

// refuse answers with a failure: a page, or the part of one when htmx asked. v is nil when nobody is known to be signed in.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, v *visit, err error) {
	status, title := statusOf(err)
	if status == http.StatusInternalServerError {
		s.Log.ErrorContext(r.Context(), "page failed", slog.String("route", r.Pattern), slog.Any("error", err))
	}
	t := trouble{Title: title, Message: sentence(fault.Sentence(err)), Code: fault.CodeOf(err)}
	if problems, ok := errors.AsType[fault.Problems](err); ok && len(problems) > 1 {
		t.Message = fmt.Sprintf("There are %d problems.", len(problems))
		for _, p := range problems {
			t.List = append(t.List, strings.TrimPrefix(p.Path+": "+p.Message, ": "))
		}
	}
	if r.Header.Get("HX-Request") != "" {
		h := w.Header()
		h.Set("HX-Retarget", "#alert")
		h.Set("HX-Reswap", "innerHTML")
		h.Set("HX-Reselect", "#trouble")
		h.Set("HX-Push-Url", "false")
	}
	if v == nil {
		s.write(w, r, status, bare(themeOf(r), title, troubleView(t, "/ui/")))
		return
	}
	s.write(w, r, status, layout(v, title, "", troubleView(t, v.url("/ui/"))))
}

// missing answers what there is not, within the pages.
func (s *Server) missing(w http.ResponseWriter, r *http.Request) {
	v, err := s.visit(r)
	if err != nil {
		v = nil
	} else {
		v.at = v.widest()
	}
	s.refuse(w, r, v, fault.New(fault.NotFound, "there is no such page; the address may be misspelt, or what it showed was deleted"))
}

// sentence makes a sentence of ours begin and end as one.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	first, rest := text[:1], text[1:]
	if end := text[len(text)-1]; end != '.' && end != '!' && end != '?' && end != '`' {
		rest += "."
	}
	return strings.ToUpper(first) + rest
}

// ago is a time as people say it, and exact.
type ago struct{ Words, Exact, Machine string }

func since(now, t time.Time) ago {
	if t.IsZero() {
		return ago{Words: "never"}
	}
	t = t.UTC()
	a := ago{Exact: t.Format("2006-01-02 15:04:05") + " UTC", Machine: t.Format(time.RFC3339)}
	d := now.Sub(t)
	switch {
	case d < 0 && d > -time.Minute:
		a.Words = "just now"
	case d < 0:
		a.Words = "in " + span(-d)
	case d < 15*time.Second:
		a.Words = "just now"
	case d >= 7*24*time.Hour:
		a.Words = t.Format("2 January 2006")
	default:
		a.Words = span(d) + " ago"
	}
	return a
}

// span is a duration in one unit.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())/10*10) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + " days"
}

func took(d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}

// grouped writes thousands apart: 10,000.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// denied refuses a page that only asks for confirmation; the service refuses the change itself.
func denied(may bool, what string, at scope.Scope) error {
	if may {
		return nil
	}
	return fault.New(fault.Denied, "your role at %s does not let you %s", at, what)
}

// badForm says why a form cannot be read.
func badForm(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fault.New(fault.Invalid, "the form is longer than %s bytes", grouped(maxForm))
	}
	return fault.Because(fault.Invalid, err, "the form cannot be read")
}
