package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/identity"
	"github.com/belay-dev/belay/internal/scope"
)

// delegateRow is a delegate in a list.
type delegateRow struct {
	Key                        string // of the element in the page
	Name, Host, Version, Where string
	Mark                       mark
	Why                        string
	Tags                       []string
	Seen                       ago
	rank                       int
}

// delegateRows are the delegates, those with trouble first.
func delegateRows(v *visit, all []delegate.Delegate) []delegateRow {
	rows := make([]delegateRow, 0, len(all))
	for _, d := range all {
		rows = append(rows, delegateRowOf(v.now, d))
	}
	slices.SortFunc(rows, func(a, b delegateRow) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Key, b.Key))
	})
	return rows
}

func delegateRowOf(now time.Time, d delegate.Delegate) delegateRow {
	r := delegateRow{
		Key: "d-" + string(d.ID), Name: d.Name, Host: d.HostName, Where: d.Scope.String(), Tags: d.Tags, Seen: since(now, d.LastSeen),
	}
	if d.Version != (delegate.Version{}) {
		r.Version = d.Version.String()
	}
	switch {
	case d.Revoked:
		r.Mark, r.rank, r.Why = mark{"fail", "Token revoked"}, 0, "Cut off: install it again with a token that is active"
	case !d.Alive(now):
		r.Mark, r.rank, r.Why = mark{"fail", "Silent"}, 0, "Takes no work until it is heard again"
	case d.Busy != "":
		r.Mark, r.rank, r.Why = mark{"warn", "At its limit"}, 1, d.Busy
	case d.Draining:
		r.Mark, r.rank, r.Why = mark{"run", "Draining"}, 2, "Finishes what it has and takes nothing new"
	default:
		r.Mark, r.rank = mark{"ok", "Live"}, 3
	}
	return r
}

type delegatesPage struct {
	v      *visit
	Rows   []delegateRow
	Live   int
	Silent int
	Tokens bool // the caller may see them
}

func (s *Server) delegateList(ctx context.Context, v *visit) (reply, error) {
	all, err := s.Delegates.List(ctx, v.who, v.at)
	if err != nil {
		return reply{}, err
	}
	p := delegatesPage{v: v, Rows: delegateRows(v, all), Live: liveOf(all, v), Tokens: v.may(audit.DelegateTokenRead, v.at)}
	p.Silent = len(all) - p.Live
	return reply{title: "Delegates", here: "Delegates", body: delegatesView(p)}, nil
}

// The stream looks at the registry, which is in memory, this often; a change is seen in the page within it.
const (
	lookEvery  = 250 * time.Millisecond
	proveEvery = 10 * time.Second // that the session still holds
	keepAlive  = 20 * time.Second
)

// delegateEvents streams the rows that change: event row with the id of an element and its HTML, event list when a
// delegate came or went.
func (s *Server) delegateEvents(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	v, err := s.visit(r)
	if errors.Is(err, identity.ErrUnauthenticated) {
		http.Error(w, "the session is over", http.StatusNoContent) // 204 tells the browser not to try again
		return
	}
	if err == nil {
		err = v.locate(ctx, s.Organizations)
	}
	if err != nil {
		s.refuse(w, r, v, err)
		return
	}
	known, err := s.rows(ctx, v)
	if err != nil {
		s.refuse(w, r, v, err)
		return
	}
	if !s.streams.join() {
		s.refuse(w, r, v, fault.New(fault.Unavailable, "too many pages are open; this one does not update itself"))
		return
	}
	defer s.streams.leave()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	out := http.NewResponseController(w)
	send := func(text string) bool {
		_, err := fmt.Fprint(w, text)
		return err == nil && out.Flush() == nil
	}
	if !send("retry: 2000\n\n") {
		return
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	proven, spoken := time.Now(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.streams.end:
			return
		case <-tick.C:
		}
		if time.Since(proven) >= proveEvery {
			if _, _, err := s.caller(ctx, r, false); err != nil {
				return
			}
			proven = time.Now()
		}
		now, err := s.rows(ctx, v)
		if err != nil {
			return
		}
		text := changes(known, now)
		if text == "" && time.Since(spoken) >= keepAlive {
			text = ": still here\n\n"
		}
		if text != "" {
			if !send(text) {
				return
			}
			spoken = time.Now()
		}
		known = now
	}
}

// rows are the rows as HTML, by id.
func (s *Server) rows(ctx context.Context, v *visit) (map[string]string, error) {
	all, err := s.Delegates.List(ctx, v.who, v.at)
	if err != nil {
		return nil, err
	}
	v.now = s.Now()
	out := make(map[string]string, len(all))
	for _, row := range delegateRows(v, all) {
		var text bytes.Buffer
		if err := delegateTr(row).Render(ctx, &text); err != nil {
			return nil, err
		}
		out[row.Key] = text.String()
	}
	return out, nil
}

// changes are the events that lead from one state to the next.
func changes(before, after map[string]string) string {
	var out bytes.Buffer
	moved := len(before) != len(after)
	for key, text := range after {
		old, ok := before[key]
		if !ok {
			moved = true
			continue
		}
		if old == text {
			continue
		}
		body, err := json.Marshal(struct {
			ID   string `json:"id"`
			HTML string `json:"html"`
		}{key, text})
		if err == nil {
			_, _ = fmt.Fprintf(&out, "event: row\ndata: %s\n\n", body)
		}
	}
	if moved {
		out.WriteString("event: list\ndata: {}\n\n")
	}
	return out.String()
}

type tokenRow struct {
	Name, Where, By string
	Mark            mark
	Made, Ends      ago
	HasEnd          bool
	Revoke          string // address; "" when the caller may not, or it is revoked
}

func (s *Server) tokenList(ctx context.Context, v *visit) (reply, error) {
	list, err := s.Tokens.Tokens(ctx, v.who, v.at)
	if err != nil {
		return reply{}, err
	}
	var rows []tokenRow
	for _, t := range list {
		row := tokenRow{Name: t.Name, Where: t.Scope.String(), By: t.CreatedBy, Made: since(v.now, t.CreatedAt), Mark: mark{"ok", "Active"}}
		switch {
		case !t.RevokedAt.IsZero():
			row.Mark, row.Ends, row.HasEnd = mark{"idle", "Revoked"}, since(v.now, t.RevokedAt), true
		case !t.RevokeAfter.IsZero():
			row.Ends, row.HasEnd = since(v.now, t.RevokeAfter), true
		}
		if t.RevokedAt.IsZero() && v.may(audit.DelegateTokenRevoke, t.Scope) {
			row.Revoke = tokenURL(v, t.Scope, t.Name)
		}
		rows = append(rows, row)
	}
	return reply{title: "Delegate tokens", here: "Delegates", body: tokensView(v, rows)}, nil
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
