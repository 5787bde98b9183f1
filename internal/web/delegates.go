package web

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/awstask"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/task"
)

// delegateRow is a delegate in a list.
type delegateRow struct {
	Key                            string // of the element in the page
	To                             string
	Name, Host, Version, Old, Here string // Old says what it should be updated to, Here where it lives
	Mark                           mark
	Why                            string
	Tags                           []string
	Seen                           ago
	CPU, Memory                    gauge
	Tasks                          string // "3 of 10"
}

// gauge is a share of a whole. Percent is below 0 where it is not known.
type gauge struct {
	Name    string
	Percent int
}

// Known says whether there is something to draw.
func (g gauge) Known() bool { return g.Percent >= 0 }

// Hot says whether it is drawn as too much.
func (g gauge) Hot() bool { return g.Percent > 80 }

// Width is how far the figure is filled, of 56.
func (g gauge) Width() string { return strconv.Itoa(g.Percent * 56 / 100) }

// Words are the share as text.
func (g gauge) Words() string { return strconv.Itoa(g.Percent) + "%" }

// Label is the share for those who do not see the figure.
func (g gauge) Label() string { return g.Name + " " + strconv.Itoa(g.Percent) + " percent" }

// delegateRows are the delegates, those with trouble first.
func delegateRows(v *visit, all []delegate.Delegate) []delegateRow {
	return rowsOf(v, ranked(v.now, all))
}

func rowsOf(v *visit, all []placed) []delegateRow {
	rows := make([]delegateRow, 0, len(all))
	for _, p := range all {
		rows = append(rows, delegateRowOf(v, *p.Delegate))
	}
	return rows
}

// placed is a delegate with its place in lists: by rank, then by name.
type placed struct {
	*delegate.Delegate
	rank int
}

// ranked are the delegates in the order of lists.
func ranked(now time.Time, all []delegate.Delegate) []placed {
	out := make([]placed, 0, len(all))
	for i := range all {
		_, _, rank := delegateMark(now, all[i])
		out = append(out, placed{&all[i], rank})
	}
	slices.SortFunc(out, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), strings.Compare(a.Name, b.Name), strings.Compare(string(a.ID), string(b.ID)))
	})
	return out
}

func delegateRowOf(v *visit, d delegate.Delegate) delegateRow {
	r := delegateRow{
		Key: "d-" + string(d.ID), To: delegateURL(v, d.ID), Name: d.Name, Host: d.HostName, Here: d.Scope.String(), Tags: d.Tags, Seen: since(v.now, d.LastSeen),
		CPU: gauge{"CPU", -1}, Memory: gauge{"Memory", -1},
	}
	if d.Version != (delegate.Version{}) {
		r.Version = d.Version.String()
		if newest := delegate.Current(); d.Version.Before(newest) {
			r.Old = newest.String()
		}
	}
	r.Mark, r.Why, _ = delegateMark(v.now, d)
	if l := d.Load; l != nil && d.Alive(v.now) {
		r.CPU.Percent, r.Memory.Percent = l.CPU, l.Memory
		r.Tasks = strconv.Itoa(l.Tasks)
		if l.Limit > 0 {
			r.Tasks += " of " + strconv.Itoa(l.Limit)
		}
	}
	return r
}

// delegateMark is a delegate's state, why, and its place in lists.
func delegateMark(now time.Time, d delegate.Delegate) (m mark, why string, rank int) {
	switch {
	case d.Revoked:
		return mark{"fail", "Revoked"}, "Cut off: install it again with a token that is active", 1
	case !d.Alive(now):
		return mark{"fail", "Silent"}, "Takes no work until it is heard again", 0
	case d.Busy != "":
		return mark{"warn", "At its limit"}, d.Busy, 2
	case d.Draining:
		return mark{"run", "Draining"}, "Finishes what it has and takes nothing new", 3
	}
	return mark{"ok", "Live"}, "", 4
}

// delegateStates are the states in addresses, in the order of lists.
func delegateStates() []pair {
	return []pair{{"silent", "Silent"}, {"revoked", "Revoked"}, {"limit", "At its limit"}, {"draining", "Draining"}, {"live", "Live"}}
}

// delegateURL is the address of a delegate's page.
func delegateURL(v *visit, id delegate.ID) string {
	return v.url("/ui/delegates/" + url.PathEscape(string(id)))
}

// fleetSize is how many delegates a page of the list has.
const fleetSize = 50

// fleet is the list of delegates as an address asks for it.
type fleet struct {
	v                  *visit
	Search, State, Tag string
	number             int
	Sum                fleetSum
	Rows               []delegateRow // of the page
	order              []placed      // of all that the filter leaves
	Total, Any         int
	TagNames           []string
	Pages              pages
	Tokens, Install    bool // the caller may see them
	Waiting            []waitingTask
	MoreWaiting        bool
	Stream             string
}

// fleetSum is what the delegates of the scope do together.
type fleetSum struct {
	Live, Silent, Limit int
	Tasks, Slots        int
}

// To is the address of the list with another choice; pairs replace what there is.
func (f fleet) To(pairs ...string) string {
	all := map[string]string{"search": f.Search, "state": f.State, "tag": f.Tag}
	for i := 0; i+1 < len(pairs); i += 2 {
		all[pairs[i]] = pairs[i+1]
	}
	return f.v.url("/ui/delegates", "search", all["search"], "state", all["state"], "tag", all["tag"], "page", all["page"])
}

// Here is the address of the list as it is, to be read again.
func (f fleet) Here() string {
	page := ""
	if f.number > 1 {
		page = strconv.Itoa(f.number)
	}
	return f.To("page", page)
}

// Filtered says whether something is left out.
func (f fleet) Filtered() bool { return f.Search != "" || f.State != "" || f.Tag != "" }

// fleet reads the list that an address asks for.
func (s *Server) fleet(ctx context.Context, v *visit) (fleet, error) {
	all, err := s.Delegates.List(ctx, v.who, v.at)
	if err != nil {
		return fleet{}, err
	}
	f := fleet{
		v: v, Search: v.search(), State: v.query.Get("state"), Tag: v.word("tag"), Any: len(all), number: v.pageNumber(),
	}
	if !slices.ContainsFunc(delegateStates(), func(o pair) bool { return o.Value == f.State }) {
		f.State = ""
	}
	tags := map[string]int{}
	for _, d := range all {
		f.Sum.add(v.now, d)
		for _, t := range d.Tags {
			tags[t]++
		}
	}
	f.TagNames = mostUsed(tags, f.Tag)
	kept := slices.DeleteFunc(all, func(d delegate.Delegate) bool { return !f.keeps(d) })
	f.order = ranked(v.now, kept)
	f.Total = len(f.order)
	first := min((f.number-1)*fleetSize, f.Total)
	f.Rows = rowsOf(v, f.order[first:min(first+fleetSize, f.Total)])
	f.Pages = pagesBy(fleetSize, f.number, len(f.Rows), f.Total, "delegate", "delegates", func(page string) string { return f.To("page", page) })
	return f, nil
}

func (sum *fleetSum) add(now time.Time, d delegate.Delegate) {
	switch m, _, _ := delegateMark(now, d); m.Word {
	case "Silent":
		sum.Silent++
		return
	case "Revoked":
		return
	case "At its limit":
		sum.Limit++
	}
	sum.Live++
	if d.Load != nil {
		sum.Tasks += d.Load.Tasks
		sum.Slots += d.Load.Limit
	}
}

// keeps says whether the filter leaves a delegate.
func (f *fleet) keeps(d delegate.Delegate) bool {
	if f.State != "" {
		m, _, _ := delegateMark(f.v.now, d)
		if i := slices.IndexFunc(delegateStates(), func(o pair) bool { return o.Words == m.Word }); i < 0 || delegateStates()[i].Value != f.State {
			return false
		}
	}
	if f.Tag != "" && !d.HasTag(f.Tag) {
		return false
	}
	if f.Search == "" {
		return true
	}
	term := strings.ToLower(f.Search)
	return string(d.ID) == f.Search || slices.ContainsFunc(append([]string{d.Name, d.HostName}, d.Tags...), func(text string) bool {
		return strings.Contains(strings.ToLower(text), term)
	})
}

// mostTagNames is how many tags the list offers to choose from.
const mostTagNames = 40

// mostUsed are the tags that most delegates have, by name, and the chosen one.
func mostUsed(tags map[string]int, chosen string) []string {
	names := make([]string, 0, len(tags))
	for t := range tags {
		names = append(names, t)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(tags[b], tags[a]), cmp.Compare(a, b)) })
	names = names[:min(len(names), mostTagNames)]
	if chosen != "" && !slices.Contains(names, chosen) {
		names = append(names, chosen)
	}
	slices.Sort(names)
	return names
}

func (s *Server) delegateList(ctx context.Context, v *visit) (reply, error) {
	f, err := s.fleet(ctx, v)
	if err != nil {
		return reply{}, err
	}
	f.Tokens, f.Install = v.may(audit.DelegateTokenRead, v.at), true
	f.Stream = f.stream()
	if f.Waiting, f.MoreWaiting, err = s.waiting(ctx, v); err != nil {
		return reply{}, err
	}
	return reply{title: "Delegates", here: "Delegates", body: delegatesView(f)}, nil
}

// waitingTask is a task that waits for a delegate, and why none takes it.
type waitingTask struct {
	Title, For string
	Says       string
	Needs      []string
	Opinions   []opinionRow
	Others     int
	Remedy     string
	To         string // where more is said; "" when there is no such place
}

const (
	mostWaiting  = 3
	mostOpinions = 5
	// waitsAfter is when a task that nobody took yet is worth a word.
	waitsAfter = 3 * time.Second
)

// waiting are the tasks that wait here, the oldest first.
func (s *Server) waiting(ctx context.Context, v *visit) ([]waitingTask, bool, error) {
	const look = 20
	list, err := s.Tasks.Waiting(ctx, v.who, v.at, look)
	if fault.KindOf(err) == fault.Denied {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	var out []waitingTask
	for _, t := range list {
		if v.now.Sub(t.CreatedAt) < waitsAfter {
			continue
		}
		if len(out) == mostWaiting {
			return out, true, nil
		}
		c, err := s.Delegates.Explain(ctx, v.who, t.Need())
		if err != nil {
			return nil, false, err
		}
		w := waitingTask{
			Title: kindWord(t.Kind) + " of " + t.Subject, For: span(v.now.Sub(t.CreatedAt)), Says: c.Sentence(), Needs: t.Selectors,
			Others: c.Hidden + max(0, len(c.Opinions)-mostOpinions),
		}
		if w.Says == "" {
			w.Says = "A delegate that fits is live and has not taken it yet."
		}
		for _, o := range c.Opinions[:min(len(c.Opinions), mostOpinions)] {
			w.Opinions = append(w.Opinions, opinionOf(v, o))
		}
		if r := c.Remedies(); len(r) > 0 {
			w.Remedy = r[0]
		}
		if ofConnector(t) {
			w.To = connectorURL(v, "/delegates", t.Scope, t.Subject)
		} else {
			w.Title = kindWord(t.Kind)
		}
		out = append(out, w)
	}
	return out, false, nil
}

// opinionRow is why a delegate was or was not chosen.
type opinionRow struct {
	Name, Host, To string
	Mark           mark
	Reason         string
	Tags           []string
	Lacks          []string
	Version        string
	Seen           ago
}

func opinionOf(v *visit, o delegate.Opinion) opinionRow {
	d := o.Delegate
	row := opinionRow{
		Name: d.Name, Host: d.HostName, To: delegateURL(v, d.ID), Mark: verdictMark(o.Verdict), Reason: sentence(o.Reason), Tags: d.Tags, Lacks: o.Lacks,
		Seen: since(v.now, d.LastSeen),
	}
	if !d.Scope.Contains(v.at) && !v.at.Contains(d.Scope) {
		row.To = "" // its page is in another scope
	}
	if d.Version != (delegate.Version{}) {
		row.Version = d.Version.String()
	}
	return row
}

func verdictMark(v delegate.Verdict) mark {
	switch v {
	case delegate.Eligible:
		return mark{"ok", "Can take it"}
	case delegate.OverItsLimit:
		return mark{"warn", "At its limit"}
	case delegate.IsDraining:
		return mark{"run", "Draining"}
	case delegate.GaveBack:
		return mark{"warn", "Gave it back"}
	case delegate.TooOld:
		return mark{"warn", "Too old"}
	case delegate.CannotDo:
		return mark{"idle", "Cannot do it"}
	case delegate.LacksTag:
		return mark{"idle", "Lacks a tag"}
	case delegate.Silent:
		return mark{"fail", "Silent"}
	case delegate.TokenRevoked:
		return mark{"fail", "Revoked"}
	case delegate.OtherScope:
	}
	return mark{"idle", "Elsewhere"}
}

// whoPage is who is asked to work with a connector.
type whoPage struct {
	connectorPage
	Sentence  string
	Eligible  int
	Needs     []string
	Version   string // that the work needs, and why
	Rows      []opinionRow
	Left      int // rows that are not shown
	Hidden    int
	Remedies  []string
	Failed    *connector.Test // the last test, when no delegate took it
	FailedAt  ago
	Install   string
	ByManager bool
}

const mostAsked = 50

// whoIsAsked says which delegates may work with a connector, and why the others may not. It is the same choice that a test
// makes, made now.
func (s *Server) whoIsAsked(ctx context.Context, v *visit) (reply, error) {
	p, err := s.connectorPage(ctx, v, "delegates")
	if err != nil || p.Kept {
		return reply{to: p.stayed()}, err
	}
	w := whoPage{connectorPage: p, ByManager: !p.c.OnDelegate(), Needs: p.c.Selectors}
	if t := p.c.LastTest; foundNobody(t) {
		w.Failed, w.FailedAt = t, since(v.now, t.EndedAt)
	}
	if !w.ByManager {
		c, err := s.asked(ctx, v, p.c.Connector)
		if err != nil {
			return reply{}, err
		}
		w.Sentence, w.Eligible, w.Hidden, w.Remedies = c.Sentence(), len(c.Eligible()), c.Hidden, c.Remedies()
		if c.Need.MinReason != "" {
			w.Version = c.Need.MinVersion.String() + " or later, for " + c.Need.MinReason
		}
		for _, o := range c.Opinions[:min(len(c.Opinions), mostAsked)] {
			w.Rows = append(w.Rows, opinionOf(v, o))
		}
		w.Left = len(c.Opinions) - len(w.Rows)
		w.Install = v.url("/ui/delegates/install", "tags", strings.Join(p.c.Selectors, ","))
	}
	return reply{title: p.c.Name + ", delegates", here: "Connectors", body: whoView(w)}, nil
}

// foundNobody says whether no delegate took a test.
func foundNobody(t *connector.Test) bool {
	return t != nil && t.Diagnosis != nil && (t.Diagnosis.Code == connector.NoEligibleDelegate || t.Diagnosis.Code == connector.NoDelegateTookIt)
}

// asked judges the delegates for the connection test of a connector.
func (s *Server) asked(ctx context.Context, v *visit, c connector.Connector) (delegate.Choice, error) {
	return s.Delegates.Explain(ctx, v.who, awstask.NeedOf(c, protocol.TypeAWSValidate))
}

// matching is how many delegates may work with a connector now, in words; "" when the manager does.
func (s *Server) matching(ctx context.Context, v *visit, c connector.Connector) (string, error) {
	if !c.OnDelegate() {
		return "", nil
	}
	n, err := s.Delegates.Fitting(ctx, v.who, awstask.NeedOf(c, protocol.TypeAWSValidate))
	if err != nil {
		return "", err
	}
	if n > 0 {
		return count(n, "matches", "match"), nil
	}
	return "none can take it", nil
}

// kindWord is a type of task as people say it.
func kindWord(kind string) string {
	switch kind {
	case protocol.TypeAWSValidate:
		return "Connection test"
	case protocol.TypeAWSSurvey:
		return "Preflight"
	case protocol.TypePing:
		return "Ping"
	}
	return kind
}

// ofConnector says whether a task is about a connector, which its subject then names.
func ofConnector(t task.Task) bool {
	return t.Kind == protocol.TypeAWSValidate || t.Kind == protocol.TypeAWSSurvey
}

// selectionOf are the connectors that a delegate may work for, as far as the page looks.
func selectionOf(v *visit, d delegate.Delegate) connector.Selection {
	return connector.Selection{Serves: d.Scope, Within: v.at, Tags: append([]string{d.Name}, d.Tags...)}
}
