package web

import (
	"context"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
)

// tally is how many connectors have each status.
type tally struct {
	Failing, Attention, Untested, Connected int
	Kept                                    int // of clusters, which no test is made of
}

// All are all of them that can be tested.
func (t tally) All() int { return t.Failing + t.Attention + t.Untested + t.Connected }

// order is that of lists: trouble first.
func order() []connector.Status {
	return []connector.Status{connector.Failing, connector.Partial, connector.Unknown, connector.Success}
}

func (t tally) of(s connector.Status) int {
	switch s {
	case connector.Failing:
		return t.Failing
	case connector.Partial:
		return t.Attention
	case connector.Success:
		return t.Connected
	case connector.Unknown:
	}
	return t.Untested
}

// add counts one.
func (t *tally) add(c connector.Stored) {
	switch {
	case c.Type() == connector.TypeKubernetes:
		t.Kept++
	case c.Status == connector.Failing:
		t.Failing++
	case c.Status == connector.Partial:
		t.Attention++
	case c.Status == connector.Success:
		t.Connected++
	default:
		t.Untested++
	}
}

// tally counts the connectors that a filter leaves.
func (s *Server) tally(ctx context.Context, v *visit, f connector.Filter) (tally, error) {
	n, err := s.Connectors.Tally(ctx, v.who, f)
	return tally{
		Failing: n[connector.Failing], Attention: n[connector.Partial], Untested: n[connector.Unknown], Connected: n[connector.Success],
	}, err
}

type overviewPage struct {
	v         *visit
	tally     tally
	trouble   []connectorRow
	more      int
	delegates []delegateRow
	live      int
	create    bool // the caller may make connectors
	stream    live
}

func (s *Server) overview(ctx context.Context, v *visit) (reply, error) {
	p := overviewPage{v: v, create: v.may(audit.ConnectorCreate, v.at)}
	f := connector.Filter{Scope: v.at, SubScopes: true, Types: []string{connector.TypeAWS}}
	var err error
	if p.tally, err = s.tally(ctx, v, f); err != nil {
		return reply{}, err
	}
	const shown = 8
	f.Statuses, f.Limit = []connector.Status{connector.Failing, connector.Partial}, shown
	f.Sort, f.Descending = connector.ByActivity, true
	list, total, err := s.Connectors.Connectors(ctx, v.who, f)
	if err != nil {
		return reply{}, err
	}
	for _, c := range list {
		p.trouble = append(p.trouble, rowOf(v, c))
	}
	p.more = total - len(list)
	p.stream = liveOfPage(v, viewOverview, p.trouble...)
	all, err := s.Delegates.List(ctx, v.who, v.at)
	if err != nil && fault.KindOf(err) != fault.Denied {
		return reply{}, err
	}
	p.live = liveOf(all, v)
	rows := delegateRows(v, all)
	p.delegates = rows[:min(len(rows), 6)]
	return reply{title: "Overview", here: "Overview", body: overviewView(p, len(all))}, nil
}

func liveOf(all []delegate.Delegate, v *visit) int {
	n := 0
	for _, d := range all {
		if d.Alive(v.now) {
			n++
		}
	}
	return n
}

// Width is that of all segments.
func (p overviewPage) Width() int {
	all := p.Segments()
	if len(all) == 0 {
		return 1
	}
	last := all[len(all)-1]
	return last.X + last.W
}

// Segments are the parts of the bar that shows the tally.
func (p overviewPage) Segments() []segment {
	total := p.tally.All()
	if total == 0 {
		return nil
	}
	var out []segment
	x := 0
	for _, s := range []connector.Status{connector.Success, connector.Partial, connector.Failing, connector.Unknown} {
		n := p.tally.of(s)
		if n == 0 {
			continue
		}
		w := max(3, 420*n/total) // what is rare is seen too
		out = append(out, segment{markOf(s).Class, x, w})
		x += w + 3
	}
	return out
}

type segment struct {
	Class string
	X, W  int
}
