package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

type tokenRow struct {
	Name, Where, By string
	Mark            mark
	Made, Ends      ago
	HasEnd          bool
	Users           string // "used by 3"
	Revoke          string // address; "" when the caller may not, or it is revoked
}

// tokensPage is the tokens of a scope, and the form for a new one.
type tokensPage struct {
	v      *visit
	Rows   []tokenRow
	Pages  pages
	Create bool // the caller may make one
	Name   string
	Ends   string
	Error  string // what is wrong with the name
	Made   *madeToken
}

// madeToken is a token that was made by this request: the only time that a page holds its value unasked.
type madeToken struct {
	Name    string
	Value   []codeLine
	Install string
}

// lifetimes are when a new token may end, in days, "" for never.
func lifetimes() []pair {
	return []pair{{"", "when it is revoked"}, {"30", "in 30 days"}, {"90", "in 90 days"}, {"365", "in a year"}}
}

func (s *Server) tokenList(ctx context.Context, v *visit) (reply, error) {
	return s.tokensReply(ctx, tokensPage{v: v}, http.StatusOK)
}

func (s *Server) tokensReply(ctx context.Context, p tokensPage, status int) (reply, error) {
	v := p.v
	list, err := s.Tokens.Tokens(ctx, v.who, v.at)
	if err != nil {
		return reply{}, err
	}
	all, err := s.Delegates.List(ctx, v.who, v.at)
	if err != nil {
		return reply{}, err
	}
	users := map[string]int{}
	for _, d := range all {
		if d.Alive(v.now) {
			users[d.TokenID]++
		}
	}
	// Those that work come first; the name settles the rest.
	slices.SortStableFunc(list, func(a, b delegate.Token) int {
		switch {
		case a.Active() == b.Active():
			return 0
		case a.Active():
			return -1
		}
		return 1
	})
	number := v.pageNumber()
	first := min((number-1)*pageSize, len(list))
	for _, t := range list[first:min(first+pageSize, len(list))] {
		row := tokenRow{Name: t.Name, Where: placeName(t.Scope), By: t.CreatedBy, Made: since(v.now, t.CreatedAt), Mark: mark{"ok", "Active"}}
		switch {
		case !t.RevokedAt.IsZero():
			row.Mark, row.Ends, row.HasEnd = mark{"idle", "Revoked"}, since(v.now, t.RevokedAt), true
		case !t.RevokeAfter.IsZero():
			row.Ends, row.HasEnd = since(v.now, t.RevokeAfter), true
		}
		if n := users[t.ID]; n > 0 {
			row.Users = count(n, "live delegate", "live delegates")
		}
		if t.Active() && v.may(audit.DelegateTokenRevoke, t.Scope) {
			row.Revoke = tokenURL(v, t.Scope, t.Name)
		}
		p.Rows = append(p.Rows, row)
	}
	p.Pages = pagesOf(number, len(p.Rows), len(list), "token", "tokens", func(page string) string { return v.url("/ui/delegates/tokens", "page", page) })
	p.Create = v.may(audit.DelegateTokenCreate, v.at)
	return reply{title: "Delegate tokens", here: "Delegates", body: tokensView(p), status: status}, nil
}

// createToken makes a token and answers with its value, which no page shows again. It does not lead elsewhere: the value
// would have to be kept for that.
func (s *Server) createToken(ctx context.Context, v *visit) (reply, error) {
	if err := v.r.ParseForm(); err != nil {
		return reply{}, badForm(err)
	}
	p := tokensPage{v: v, Name: bounded(v.r.PostForm.Get("name")), Ends: v.r.PostForm.Get("ends")}
	var until time.Time
	if days, err := strconv.Atoi(p.Ends); err == nil && slices.ContainsFunc(lifetimes(), func(o pair) bool { return o.Value == p.Ends }) {
		until = v.now.AddDate(0, 0, days)
	} else {
		p.Ends = ""
	}
	made, value, err := s.Tokens.Create(ctx, v.who, v.at, p.Name, until)
	if err != nil {
		status, text := refusedToken(err)
		if status == 0 {
			return reply{}, err
		}
		p.Error = text
		return s.tokensReply(ctx, p, status)
	}
	p.Made = &madeToken{
		Name: made.Name, Value: linesOf(value.Reveal()), //nolint:forbidigo // shown once to the one who made it
		Install: v.url("/ui/delegates/install", "token", made.Name),
	}
	p.Name, p.Ends = "", ""
	return s.tokensReply(ctx, p, http.StatusOK)
}

// refusedToken is what is wrong with the name of a new token; a status of 0 is another failure.
func refusedToken(err error) (status int, text string) {
	if problems, ok := errors.AsType[fault.Problems](err); ok && len(problems) > 0 {
		return http.StatusBadRequest, sentence("the name " + problems[0].Message)
	}
	if fault.KindOf(err) == fault.Conflict {
		return http.StatusConflict, sentence(fault.Sentence(err))
	}
	return 0, ""
}

func tokenURL(v *visit, at scope.Scope, name string) string {
	return v.url("/ui/delegates/tokens/"+url.PathEscape(name)+"/revoke", "at", homeOf(at))
}

// ofToken finds a token that is not revoked, and the delegates that use it.
func (s *Server) ofToken(ctx context.Context, v *visit) (delegate.Token, []string, error) {
	at, err := v.home()
	if err != nil {
		return delegate.Token{}, nil, err
	}
	list, err := s.Tokens.Tokens(ctx, v.who, at)
	if err != nil {
		return delegate.Token{}, nil, err
	}
	name := v.r.PathValue("name")
	i := slices.IndexFunc(list, func(t delegate.Token) bool { return t.Name == name && t.Scope == at })
	if i < 0 {
		return delegate.Token{}, nil, fault.New(fault.NotFound, "there is no delegate token %q at %s", name, at)
	}
	if !list[i].RevokedAt.IsZero() {
		return delegate.Token{}, nil, fault.New(fault.Conflict, "the delegate token %q is revoked already", name)
	}
	all, err := s.Delegates.List(ctx, v.who, at)
	if err != nil {
		return delegate.Token{}, nil, err
	}
	var users []string
	for _, d := range all {
		if d.TokenID == list[i].ID && d.Alive(v.now) {
			users = append(users, d.Name+" ("+d.HostName+")")
		}
	}
	return list[i], users, nil
}

func (s *Server) confirmRevoke(ctx context.Context, v *visit) (reply, error) {
	t, users, err := s.ofToken(ctx, v)
	if err != nil {
		return reply{}, err
	}
	if err := denied(v.may(audit.DelegateTokenRevoke, t.Scope), "revoke this token", t.Scope); err != nil {
		return reply{}, err
	}
	return reply{title: "Revoke " + t.Name, here: "Delegates", body: revokeView(v, t.Name, tokenURL(v, t.Scope, t.Name), users)}, nil
}

func (s *Server) revokeToken(ctx context.Context, v *visit) (reply, error) {
	at, err := v.home()
	if err != nil {
		return reply{}, err
	}
	if _, err := s.Tokens.Revoke(ctx, v.who, at, v.r.PathValue("name")); err != nil {
		return reply{}, err
	}
	return reply{to: v.url("/ui/delegates/tokens")}, nil
}
