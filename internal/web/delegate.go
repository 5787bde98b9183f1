package web

import (
	"context"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/task"
)

// delegatePageOf is one delegate as its page shows it.
type delegatePageOf struct {
	v          *visit
	d          delegate.Delegate
	Row        delegateRow
	Token      string // its name; "" when the caller may not know
	Registered ago
	Replicas   []delegateRow // others of its name
	Work       []workRow
	Connectors []connectorRow
	More       bool   // connectors
	Again      string // the address that installs one like it
	Stream     string
}

// workRow is a task that a delegate has or had.
type workRow struct {
	Title, Subject, To string
	Mark               mark
	Why                string
	At                 ago
	Took               string
}

const (
	mostWork      = 15
	mostSelecting = 25
	mostReplicas  = 20
)

// delegatePage shows one delegate: by its id, or by its name when only one has it.
func (s *Server) delegatePage(ctx context.Context, v *visit) (reply, error) {
	id := delegate.ID(v.r.PathValue("id"))
	d, err := s.Delegates.Find(ctx, v.who, v.at, id)
	if fault.KindOf(err) == fault.NotFound {
		return s.delegateNamed(ctx, v, string(id), err)
	}
	if err != nil {
		return reply{}, err
	}
	p := delegatePageOf{v: v, d: d, Row: delegateRowOf(v, d), Registered: since(v.now, d.RegisteredAt)}
	if p.Token, err = s.tokenOf(ctx, v, d); err != nil {
		return reply{}, err
	}
	all, err := s.Delegates.List(ctx, v.who, v.at)
	if err != nil {
		return reply{}, err
	}
	for _, other := range all {
		if other.Name == d.Name && other.ID != d.ID && len(p.Replicas) < mostReplicas {
			p.Replicas = append(p.Replicas, delegateRowOf(v, other))
		}
	}
	work, err := s.Tasks.OfDelegate(ctx, v.who, d.ID, mostWork)
	if err != nil {
		return reply{}, err
	}
	for _, t := range work {
		p.Work = append(p.Work, workOf(v, t))
	}
	list, more, err := s.Connectors.Selecting(ctx, v.who, selectionOf(v, d), mostSelecting)
	if err != nil {
		return reply{}, err
	}
	p.More = more
	for _, c := range list {
		p.Connectors = append(p.Connectors, rowOf(v, c))
	}
	like := installation{v: v, Values: map[string]string{"name": d.Name, "tags": strings.Join(d.Tags, ","), "description": d.Description}}
	p.Again = like.To("/ui/delegates/install")
	p.Stream = v.url("/ui/delegates/events", "only", string(d.ID), "v", sumOf(p.Row))
	return reply{title: d.Name, here: "Delegates", body: delegateView(p)}, nil
}

// delegateNamed leads to the delegate of a name, or to the list of those that share it.
func (s *Server) delegateNamed(ctx context.Context, v *visit, name string, missing error) (reply, error) {
	all, err := s.Delegates.List(ctx, v.who, v.at)
	if err != nil {
		return reply{}, err
	}
	var found []delegate.Delegate
	for _, d := range all {
		if d.Name == name {
			found = append(found, d)
		}
	}
	switch len(found) {
	case 0:
		return reply{}, missing
	case 1:
		return reply{to: delegateURL(v, found[0].ID)}, nil
	}
	return reply{to: v.url("/ui/delegates", "search", name)}, nil
}

// tokenOf is the name of a delegate's token, as far as the caller may see tokens.
func (s *Server) tokenOf(ctx context.Context, v *visit, d delegate.Delegate) (string, error) {
	if !v.may(audit.DelegateTokenRead, d.Scope) {
		return "", nil
	}
	list, err := s.Tokens.Tokens(ctx, v.who, d.Scope)
	if err != nil {
		return "", err
	}
	for _, t := range list {
		if t.ID == d.TokenID {
			return t.Name, nil
		}
	}
	return "", nil
}

func workOf(v *visit, t task.Task) workRow {
	w := workRow{Title: kindWord(t.Kind), Mark: stateMark(t.State), At: since(v.now, t.CreatedAt)}
	if ofConnector(t) {
		w.Subject, w.To = t.Subject, connectorURL(v, "", t.Scope, t.Subject)
	}
	if t.Failure.Cause != task.CauseNone {
		w.Why = sentence(t.Failure.Message)
	}
	if t.State.Done() && !t.FinishedAt.IsZero() {
		w.Took = took(t.FinishedAt.Sub(t.CreatedAt).Round(time.Millisecond))
	}
	return w
}

// stateMark is how a task stands. That a test was done says nothing of the connection that it found.
func stateMark(s task.State) mark {
	switch s {
	case task.Queued:
		return mark{"idle", "Waits"}
	case task.Leased:
		return mark{"run", "Runs"}
	case task.Succeeded:
		return mark{"ok", "Done"}
	case task.Failed:
		return mark{"fail", "Failed"}
	case task.Expired:
		return mark{"fail", "Ran out of time"}
	case task.Cancelled:
	}
	return mark{"idle", "Cancelled"}
}
