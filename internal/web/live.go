package web

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/a-h/templ"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/task"
)

type ended interface {
	// TestsSince lists tests of all accounts that ended at a time or later, oldest first.
	TestsSince(ctx context.Context, from time.Time, limit int) ([]connector.Ended, error)
	// OpenTasks lists tasks of a kind, of all accounts, that are queued or leased and have time left.
	OpenTasks(ctx context.Context, kind string, now time.Time, limit int) ([]task.Task, error)
}

// feed is the tests that ended, as the open pages hear of them. The database is asked, because another manager may have
// recorded a test; however many pages are open, one looks for all, and not more often than feedEvery.
type feed struct {
	mu     sync.Mutex
	looked time.Time // by the real clock
	// From covered on, log holds every test that ended. Times are the database's.
	covered time.Time
	newest  time.Time
	seen    map[string]time.Time
	log     []connector.Ended
	first   int // place of log[0] among all that there ever were
	// open are the tests that are under way. It is replaced, never changed.
	open map[openKey]delegate.ID
}

// openKey is a connector that is being tested; openKey and who has the test, "" when nobody took it yet, is all that is known
// of a test before it ends.
type openKey struct {
	at scope.Scope
	id string
}

// mostOpen bounds the tests under way that pages hear of.
const mostOpen = 1000

const (
	feedEvery = 150 * time.Millisecond
	// overlap is how much later than another a test may be recorded that ended before it: managers' clocks differ.
	overlap = 10 * time.Second
	// mostEnded bounds the log, and one look.
	mostEnded = 2000
)

// look asks the database, unless that was just done, and gives what is new since a place.
func (f *feed) look(ctx context.Context, tests ended, now time.Time, place int) (n news, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.looked) >= feedEvery {
		if err := f.askLocked(ctx, tests, now); err != nil {
			return news{next: place, whole: true}, err
		}
		f.looked = time.Now()
	}
	return news{f.log[max(place-f.first, 0):], f.open, f.first + len(f.log), place >= f.first}, nil
}

// news is what a page has not heard yet. Whole is false when some of it is no longer known.
type news struct {
	ended []connector.Ended
	open  map[openKey]delegate.ID
	next  int // where to go on
	whole bool
}

// place finds where to begin to hear of what ended at a time or later.
func (f *feed) place(ctx context.Context, tests ended, now, from time.Time) (place int, whole bool, err error) {
	if _, err := f.look(ctx, tests, now, 0); err != nil {
		return 0, false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for place < len(f.log) && f.log[place].At.Before(from) {
		place++
	}
	return f.first + place, !from.Before(f.covered), nil
}

func (f *feed) askLocked(ctx context.Context, tests ended, now time.Time) error {
	from := f.newest.Add(-overlap)
	if idle := now.Add(-6 * overlap); f.newest.IsZero() || from.Before(idle) {
		// Nobody looked for a while: what was missed is not worth reading.
		from = idle
		f.covered, f.seen = idle, map[string]time.Time{}
		f.first += len(f.log)
		f.log = nil
	}
	list, err := tests.TestsSince(ctx, from, mostEnded)
	if err != nil {
		return err
	}
	// Those under way come second: what is among those that ended is no longer under way then.
	tasks, err := tests.OpenTasks(ctx, protocol.TypeAWSValidate, now, mostOpen)
	if err != nil {
		return err
	}
	f.open = make(map[openKey]delegate.ID, len(tasks))
	for _, t := range tasks {
		f.open[openKey{t.Scope, t.Subject}] = t.LeasedBy
	}
	for _, e := range list {
		if _, known := f.seen[e.Test]; known {
			continue
		}
		f.seen[e.Test] = e.At
		f.log = append(f.log, e)
		if e.At.After(f.newest) {
			f.newest = e.At
		}
	}
	if f.newest.Before(now.Add(-overlap)) {
		f.newest = now.Add(-overlap) // nothing ended, which is known now
	}
	for id, at := range f.seen {
		if at.Before(f.newest.Add(-2 * overlap)) {
			delete(f.seen, id)
		}
	}
	if over := len(f.log) - mostEnded; over > 0 {
		f.covered = f.log[over].At
		f.log, f.first = append([]connector.Ended(nil), f.log[over:]...), f.first+over
	}
	return nil
}

// live is what a page needs to open its stream: the connectors that it shows, and since when it is to hear of them.
type live struct{ view, to string }

// The views that a stream can be of.
const (
	viewList     = "list"
	viewOverview = "overview"
	viewDetail   = "detail"
)

// liveOfPage makes the address of a stream.
func liveOfPage(v *visit, view string, shown ...connectorRow) live {
	// What ended within the last second may not have been recorded when the page was read.
	pairs := []string{"view", view, "after", strconv.FormatInt(v.now.Add(-time.Second).UnixMicro(), 10)}
	to := v.url("/ui/live/connectors", pairs...)
	var rows strings.Builder
	for _, r := range shown {
		rows.WriteString("&row=" + r.query)
	}
	return live{view, to + rows.String()}
}

// mostShown bounds the connectors that a stream is asked about: a page has 25.
const mostShown = 100

// connectorEvents tells what becomes of the connectors that a page shows: event row with the id of an element and its HTML,
// event list with how many others changed their status.
func (s *Server) connectorEvents(ctx context.Context, v *visit) (string, teller, error) {
	place, whole, err := s.feed.place(ctx, s.Ended, s.Now(), resumed(v))
	if err != nil {
		return "", nil, err
	}
	one := watcher{s: s, v: v, view: v.query.Get("view"), shown: map[string]bool{}, testing: map[openKey]progress{}}
	for _, row := range v.query["row"][:min(len(v.query["row"]), mostShown)] {
		one.shown[row] = true
	}
	missed := ""
	if !whole {
		if missed, err = one.everything(ctx); err != nil {
			return "", nil, err
		}
	}
	return missed, func(ctx context.Context) (string, error) {
		news, err := s.feed.look(ctx, s.Ended, s.Now(), place)
		if err != nil {
			return "", err
		}
		place = news.next
		return one.news(ctx, news)
	}, nil
}

// resumed is since when a stream is to tell: from the page on, or from the last event of a stream that was lost.
func resumed(v *visit) time.Time {
	for _, text := range []string{v.r.Header.Get("Last-Event-ID"), v.query.Get("after")} {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
			return time.UnixMicro(n)
		}
	}
	return v.now
}

// watcher tells one page.
type watcher struct {
	s       *Server
	v       *visit
	view    string
	shown   map[string]bool
	changed map[string]bool // of those whose place in the list may be another by now
	// early are tests that were heard of before their connector showed them; they are told of at the next look.
	early map[string]int
	again []connector.Ended
	// testing is how far the tests of what the page shows have come, as it was told.
	testing map[openKey]progress
}

// progress is how far a test has come.
type progress struct {
	by   delegate.ID // "" when nobody took it yet
	gone int         // looks since it is no longer under way and its end was not heard of
}

// news makes the events of what the page has not heard yet.
func (o *watcher) news(ctx context.Context, n news) (string, error) {
	text, err := o.tell(ctx, n.ended)
	if err != nil {
		return "", err
	}
	under, err := o.underWay(ctx, n.open)
	if err != nil || n.whole {
		return text + under, err
	}
	missed, err := o.everything(ctx)
	return text + under + missed, err
}

// everything tells all that the page shows as it is now, for a page that missed something.
func (o *watcher) everything(ctx context.Context) (string, error) {
	var text strings.Builder
	o.v.now = o.s.Now()
	for _, key := range sortedKeys(o.shown) {
		org, rest, _ := strings.Cut(key, "/")
		project, id, _ := strings.Cut(rest, "/")
		at := scope.Scope{Account: o.v.who.Account, Org: org, Project: project}
		if at.Valid() != nil || !o.v.who.May(audit.ConnectorRead, at) {
			continue
		}
		c, err := o.s.Connectors.Connector(ctx, o.v.who, at, id)
		if fault.KindOf(err) == fault.NotFound {
			continue
		}
		if err == nil {
			err = o.draw(ctx, &text, c, "")
		}
		if err != nil {
			return "", err
		}
	}
	text.WriteString(event("list", "", -1))
	return text.String(), nil
}

// tell makes the events of what ended.
func (o *watcher) tell(ctx context.Context, list []connector.Ended) (string, error) {
	var text strings.Builder
	o.v.now = o.s.Now()
	list = append(o.again, list...)
	o.again = nil
	turned := false
	told := map[string]bool{}
	for _, e := range slices.Backward(list) { // the newest of each says it all
		key := rowKey(e.Scope, e.Connector)
		if told[key] || e.Scope.Account != o.v.who.Account || !o.v.who.May(audit.ConnectorRead, e.Scope) {
			continue
		}
		told[key] = true
		// A detail page shows its connector, whatever scope is chosen.
		if o.view != viewDetail && !o.v.at.Contains(e.Scope) {
			continue
		}
		if o.early[e.Test] == 0 && e.Status != e.Before && o.view != viewDetail {
			turned = true
			if o.changed == nil {
				o.changed = map[string]bool{}
			}
			if len(o.changed) < mostEnded {
				o.changed[key] = true
			}
		}
		if !o.shown[key] {
			continue
		}
		delete(o.testing, openKey{e.Scope, e.Connector})
		if err := o.part(ctx, &text, e); err != nil {
			return "", err
		}
	}
	if turned {
		if o.view == viewOverview {
			if err := o.tally(ctx, &text, list); err != nil {
				return "", err
			}
		}
		text.WriteString(event("list", stamp(list), len(o.changed)))
	}
	return text.String(), nil
}

// part tells of one connector that the page shows.
func (o *watcher) part(ctx context.Context, text *strings.Builder, e connector.Ended) error {
	c, err := o.s.Connectors.Connector(ctx, o.v.who, e.Scope, e.Connector)
	if fault.KindOf(err) == fault.NotFound || fault.KindOf(err) == fault.Denied {
		return nil // it is gone
	}
	if err != nil {
		return err
	}
	const tries = 5
	if c.LastTestedAt.Before(e.At) && o.early[e.Test] < tries {
		if o.early == nil {
			o.early = map[string]int{}
		}
		o.early[e.Test]++
		o.again = append(o.again, e)
		return nil
	}
	delete(o.early, e.Test)
	return o.draw(ctx, text, c, stamp([]connector.Ended{e}))
}

// draw writes the elements of one connector as it is now.
func (o *watcher) draw(ctx context.Context, text *strings.Builder, c connector.Stored, id string) error {
	var parts map[string]templ.Component
	switch o.view {
	case viewDetail:
		b, err := o.s.health(ctx, o.v, c)
		if err != nil {
			return err
		}
		parts = b.parts()
	case viewOverview:
		row := rowOf(o.v, c)
		parts = map[string]templ.Component{"n-" + row.Key: needItem(row)}
	default:
		rows, err := o.s.connectorRows(ctx, o.v, []connector.Stored{c})
		if err != nil {
			return err
		}
		parts = map[string]templ.Component{"c-" + rows[0].Key: connectorTr(o.v, rows[0])}
	}
	return writeParts(ctx, text, parts, id)
}

// underWay tells of tests that began, and of those that a delegate took.
func (o *watcher) underWay(ctx context.Context, open map[openKey]delegate.ID) (string, error) {
	var text strings.Builder
	for k, by := range open {
		if k.at.Account != o.v.who.Account || !o.shown[rowKey(k.at, k.id)] || !o.v.who.May(audit.ConnectorRead, k.at) {
			continue
		}
		if told, known := o.testing[k]; known && told.by == by {
			continue
		}
		o.testing[k] = progress{by: by}
		if err := o.begun(ctx, &text, k, by); err != nil {
			return "", err
		}
	}
	// Its end is heard of a moment after it is no longer under way. If it is not, it was given up: what was before is shown.
	const patience = 20
	for k, told := range o.testing {
		if _, under := open[k]; under {
			continue
		}
		if told.gone++; told.gone < patience {
			o.testing[k] = told
			continue
		}
		delete(o.testing, k)
		c, err := o.s.Connectors.Connector(ctx, o.v.who, k.at, k.id)
		if fault.KindOf(err) == fault.NotFound {
			continue
		}
		if err == nil {
			err = o.draw(ctx, &text, c, "")
		}
		if err != nil {
			return "", err
		}
	}
	return text.String(), nil
}

// begun tells that a connector is being tested, and who does it.
func (o *watcher) begun(ctx context.Context, text *strings.Builder, k openKey, by delegate.ID) error {
	c, err := o.s.Connectors.Connector(ctx, o.v.who, k.at, k.id)
	if fault.KindOf(err) == fault.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	parts := map[string]templ.Component{}
	switch o.view {
	case viewDetail:
		hops := running(c.Connector)
		if by != "" {
			name, err := o.name(ctx, k.at, by)
			if err != nil {
				return err
			}
			hops[0].State, hops[1].State = "ok", "run"
			hops[0].What = name
		}
		parts["line"] = lineBody(lineOf(c.Connector, c.LastTest), hops, true)
	case viewList:
		rows, err := o.s.connectorRows(ctx, o.v, []connector.Stored{c})
		if err != nil {
			return err
		}
		rows[0].Mark = mark{"run", "Testing"}
		parts["c-"+rows[0].Key] = connectorTr(o.v, rows[0])
	}
	return writeParts(ctx, text, parts, "")
}

// name is that of the delegate that has a test.
func (o *watcher) name(ctx context.Context, at scope.Scope, by delegate.ID) (string, error) {
	if by == delegate.PlatformID {
		return "this manager", nil
	}
	all, err := o.s.Delegates.List(ctx, o.v.who, at)
	if err != nil && fault.KindOf(err) != fault.Denied {
		return "", err
	}
	for _, d := range all {
		if d.ID == by {
			return d.Name, nil
		}
	}
	return "has it", nil
}

// tally tells how many have each status.
func (o *watcher) tally(ctx context.Context, text *strings.Builder, list []connector.Ended) error {
	t, err := o.s.tally(ctx, o.v, connector.Filter{Scope: o.v.at, SubScopes: true, Types: []string{connector.TypeAWS}})
	if err != nil {
		return err
	}
	p := overviewPage{v: o.v, tally: t, every: everyWords(o.s.About.TestEvery)}
	for _, e := range list {
		p.last = since(o.s.Now(), e.At)
	}
	return writeParts(ctx, text, map[string]templ.Component{"tally": tallyView(p), "needs": needCount(p)}, stamp(list))
}

// writeParts writes elements, each as one event.
func writeParts(ctx context.Context, text *strings.Builder, parts map[string]templ.Component, id string) error {
	for _, name := range sortedKeys(parts) {
		var html strings.Builder
		if err := parts[name].Render(ctx, &html); err != nil {
			return err
		}
		body, err := json.Marshal(map[string]string{"id": name, "html": html.String()})
		if err != nil {
			return err
		}
		text.WriteString("event: row\n" + id + "data: " + string(body) + "\n\n")
	}
	return nil
}

// stamp is the line that lets a browser take a lost stream up again: when the last of what it tells ended.
func stamp(list []connector.Ended) string {
	var last time.Time
	for _, e := range list {
		if e.At.After(last) {
			last = e.At
		}
	}
	if last.IsZero() {
		return ""
	}
	return "id: " + strconv.FormatInt(last.UnixMicro(), 10) + "\n"
}

// event tells how many changed; below 0: nobody knows how many.
func event(name, id string, changed int) string {
	return fmt.Sprintf("event: %s\n%sdata: %d\n\n", name, id, changed)
}

// rowKey names a connector in a page and in the address of its stream.
func rowKey(at scope.Scope, id string) string { return at.Org + "/" + at.Project + "/" + id }
