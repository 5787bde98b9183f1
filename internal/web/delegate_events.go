package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
)

// The stream looks at the registry, which is in memory, this often; a change of what the page shows is seen within it. What
// else changed in the list is looked for less often, because then all delegates are read.
const (
	lookEvery  = 250 * time.Millisecond
	countEvery = 8 // looks
)

// picture is what an open page shows that may change: elements by id, and what its button says of the rest.
type picture struct {
	parts map[string]string // HTML
	moved int               // delegates that came, went, or would stand elsewhere; elsewhere is what nobody counted
	sum   string            // of the parts as the page was made of them
}

// view looks at what a page shows. round counts the looks, from 0.
type view func(ctx context.Context, round int) (picture, error)

// views finds the view that an address asks for: one delegate, those of a name that is waited for, or a list.
func (s *Server) views(v *visit) view {
	switch q := v.query; {
	case q.Get("only") != "":
		return s.viewOfOne(v, delegate.ID(q.Get("only")))
	case q.Get("listen") != "":
		return s.viewOfName(v, bounded(q.Get("listen")))
	}
	return s.viewOfList(v)
}

// stream is the address of the list's stream. It holds sums of what the page shows and of its order, so that what changes
// before the stream is open is not lost.
func (f fleet) stream() string {
	page := ""
	if f.number > 1 {
		page = strconv.Itoa(f.number)
	}
	return f.v.url("/ui/delegates/events", "search", f.Search, "state", f.State, "tag", f.Tag, "page", page, "v", sumOf(f.Rows), "o", orderSum(f.order))
}

// orderSum changes when delegates come, go or get another rank.
func orderSum(order []placed) string {
	h := fnv.New64a()
	for _, p := range order {
		_, _ = h.Write([]byte(p.ID)) // never fails
		_, _ = h.Write([]byte("/" + strconv.Itoa(p.rank) + " "))
	}
	return strconv.FormatUint(h.Sum64(), 36)
}

func sumOf(what any) string {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%+v", what) // never fails
	return strconv.FormatUint(h.Sum64(), 36)
}

// viewOfList shows the rows of a page of the list, and counts what came, went or has another state since the first look.
func (s *Server) viewOfList(v *visit) view {
	var first map[delegate.ID]int // ranks
	var last fleet
	var moved int
	stale := false // the page came with another order
	return func(ctx context.Context, round int) (picture, error) {
		v.now = s.Now()
		if round%countEvery == 0 {
			now, err := s.fleet(ctx, v)
			if err != nil {
				return picture{}, err
			}
			if round == 0 {
				first, last = ranksOf(now.order), now
				last.order = nil
				o := v.query.Get("o")
				stale = o != "" && o != orderSum(now.order)
			}
			last.Sum = now.Sum
			if moved = movedOf(first, now.order); stale {
				moved = elsewhere
			}
		}
		// The rows keep their places: only what they say is new.
		for i, row := range last.Rows {
			d, err := s.Delegates.Find(ctx, v.who, v.at, delegate.ID(row.Key[len("d-"):]))
			switch {
			case err == nil:
				last.Rows[i] = delegateRowOf(v, d)
			case fault.KindOf(err) != fault.NotFound:
				return picture{}, err
			default:
				last.Rows[i].Mark, last.Rows[i].Why = mark{"idle", "Gone"}, "It said good-bye"
			}
		}
		p := picture{parts: map[string]string{}, moved: moved, sum: sumOf(last.Rows)}
		for _, row := range last.Rows {
			if err := p.add(ctx, row.Key, delegateTr(row)); err != nil {
				return picture{}, err
			}
		}
		return p, p.add(ctx, "fleet", fleetSumView(last.Sum))
	}
}

func ranksOf(order []placed) map[delegate.ID]int {
	ranks := make(map[delegate.ID]int, len(order))
	for _, p := range order {
		ranks[p.ID] = p.rank
	}
	return ranks
}

// elsewhere says that the page came with another order than the stream began with.
const elsewhere = -1

// movedOf is how many delegates came, went, or would stand elsewhere.
func movedOf(before map[delegate.ID]int, after []placed) int {
	n, stayed := 0, 0
	for _, p := range after {
		switch old, ok := before[p.ID]; {
		case !ok:
			n++
		case old != p.rank:
			n++
			stayed++
		default:
			stayed++
		}
	}
	return n + len(before) - stayed
}

func (p *picture) add(ctx context.Context, id string, c templ.Component) error {
	var text bytes.Buffer
	err := c.Render(ctx, &text)
	p.parts[id] = text.String()
	return err
}

// viewOfOne shows the state of one delegate.
func (s *Server) viewOfOne(v *visit, id delegate.ID) view {
	return func(ctx context.Context, _ int) (picture, error) {
		v.now = s.Now()
		d, err := s.Delegates.Find(ctx, v.who, v.at, id)
		if err != nil {
			return picture{}, err
		}
		row := delegateRowOf(v, d)
		p := picture{parts: map[string]string{}, sum: sumOf(row)}
		return p, errors.Join(p.add(ctx, "state", stateBadge(row)), p.add(ctx, "now", delegateNow(row)))
	}
}

// viewOfName shows whether a delegate of a name was heard.
func (s *Server) viewOfName(v *visit, name string) view {
	began := s.Now()
	return func(ctx context.Context, _ int) (picture, error) {
		l, err := s.listening(ctx, v, name)
		if err != nil {
			return picture{}, err
		}
		l.Late = v.now.Sub(began) > lateAfter
		p := picture{parts: map[string]string{}, sum: l.sum()}
		return p, p.add(ctx, "listen", listenView(l))
	}
}

// delegateEvents tells what changes in an open page: event row with the id of an element and its HTML, event list with how
// many delegates changed their place, 0 when none did after all, and below 0 when that is not known.
func (s *Server) delegateEvents(ctx context.Context, v *visit) (string, teller, error) {
	look := s.views(v)
	known, err := look(ctx, 0)
	if err != nil {
		return "", nil, err
	}
	missed := ""
	if shown := v.query.Get("v"); shown != "" && shown != known.sum { // it changed while the page came
		missed = changes(picture{}, known)
	}
	round := 0
	return missed, func(ctx context.Context) (string, error) {
		round++
		now, err := look(ctx, round)
		if err != nil {
			return "", err
		}
		text := changes(known, now)
		known = now
		return text, nil
	}, nil
}

// changes are the events that lead from one picture to the next, in the order of their ids.
func changes(before, after picture) string {
	var out bytes.Buffer
	event := func(name string, data any) {
		body, err := json.Marshal(data)
		if err == nil {
			_, _ = fmt.Fprintf(&out, "event: %s\ndata: %s\n\n", name, body)
		}
	}
	ids := make([]string, 0, len(after.parts))
	for id := range after.parts {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		if text := after.parts[id]; text != before.parts[id] {
			event("row", struct {
				ID   string `json:"id"`
				HTML string `json:"html"`
			}{id, text})
		}
	}
	if before.moved != after.moved {
		event("list", after.moved)
	}
	return out.String()
}
