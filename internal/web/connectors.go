package web

import (
	"cmp"
	"context"
	"io/fs"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/belay-dev/belay/docs"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/scope"
)

// connectorRow is a connector in a list.
type connectorRow struct {
	Key, query                               string   // in the page, and in the address of its stream
	Name, Home, To, Why, Account, Credential string   // Why is in a few words, so that a row that changes keeps its height
	Cause                                    string   // in a sentence
	Through                                  []string // tags that a delegate must have
	Manager, Kept                            bool
	Mark                                     mark
	Tested                                   ago
	Spark                                    chart
	Test                                     string // the address that tests it; "" when the caller may not
	YAML, Drop                               string // addresses; "" when the caller may not
	Do, DoTo                                 string // what somebody has to do, and where
}

func rowOf(v *visit, c connector.Stored) connectorRow {
	r := connectorRow{
		Key: rowKey(c.Scope, c.ID), query: rowQuery(c.Scope, c.ID),
		Name: c.Name, Home: placeName(c.Scope), To: connectorURL(v, "", c.Scope, c.ID), Mark: rowMark(c), Tested: since(v.now, c.LastTestedAt),
		Credential: credentialOf(c.Connector), Through: c.Selectors, Account: accountOf(c), Kept: c.Type() == connector.TypeKubernetes,
		YAML: connectorURL(v, "/yaml", c.Scope, c.ID),
	}
	r.Manager = !r.Kept && !c.OnDelegate()
	if v.may(audit.ConnectorDelete, c.Scope) {
		r.Drop = connectorURL(v, "/delete", c.Scope, c.ID)
	}
	if r.Kept {
		r.Why = "Belay keeps it for its clients"
		return r
	}
	switch t := c.LastTest; {
	case t == nil:
	case t.Diagnosis != nil:
		r.Why, r.Cause = reasonOf(*t.Diagnosis), inShort(t.Diagnosis.Cause)
	case c.Status == connector.Partial:
		r.Why, r.Cause = "A preflight denies something", "It connects, but its last preflight denies something that was asked for."
	case len(t.Warnings) > 0:
		r.Why = count(len(t.Warnings), "warning", "warnings")
	}
	if v.may(audit.ConnectorTest, c.Scope) {
		r.Test = connectorURL(v, "/test", c.Scope, c.ID)
	}
	r.Do, r.DoTo = doOf(v, c)
	return r
}

// reasonOf is a diagnosis in a few words. Its sentence stands on the page of the connector.
func reasonOf(d connector.Diagnosis) string {
	if d.Code == connector.PermissionMissing {
		for _, f := range d.Evidence {
			if f.Label == "Action" {
				return "May not call " + f.Text
			}
		}
	}
	if words, ok := reasons()[d.Code]; ok {
		return words
	}
	return inShort(d.Cause)
}

// reasons are the diagnoses in a few words: the titles of their pages.
var reasons = sync.OnceValue(func() map[string]string { //nolint:gochecknoglobals // read-only, made once
	all := map[string]string{}
	for _, code := range connector.Codes() {
		text, err := fs.ReadFile(docs.Errors(), code+".md")
		first, _, _ := strings.Cut(string(text), "\n")
		if _, title, ok := strings.Cut(first, code+": "); ok && err == nil {
			all[code] = strings.TrimSpace(title)
		}
	}
	return all
})

// inShort is a cause for a line of a list: its first sentence, with names instead of ARNs of policies and roles.
func inShort(cause string) string {
	first, _ := firstSentence(cause)
	return named(first)
}

// named puts names in the place of ARNs of IAM.
func named(text string) string {
	return arns().ReplaceAllStringFunc(text, func(a string) string { return lastOf(a) })
}

var arns = sync.OnceValue(func() *regexp.Regexp { //nolint:gochecknoglobals // compiled once
	return regexp.MustCompile(`arn:aws[a-z-]*:(iam|organizations)::[0-9a-z]*:(policy|role|user|group)/[\w+=,.@/-]*[\w+=@]`)
})

// rowMark is the status of a connector. One of a cluster is never tested, which is no trouble.
func rowMark(c connector.Stored) mark {
	if c.Type() == connector.TypeKubernetes {
		return mark{"idle", "Stored"}
	}
	return markOf(c.Status)
}

// accountOf is the AWS account that a connector leads to, as far as that is known.
func accountOf(c connector.Stored) string {
	if t := c.LastTest; t != nil && t.Identity != nil {
		return t.Identity.Account
	}
	if x := c.CrossAccount; x != nil {
		if parts := strings.Split(x.RoleARN, ":"); len(parts) > 4 {
			return parts[4]
		}
	}
	return ""
}

// connectorRows are rows with the history of each.
func (s *Server) connectorRows(ctx context.Context, v *visit, list []connector.Stored) ([]connectorRow, error) {
	all := make([]connector.Connector, 0, len(list))
	for _, c := range list {
		all = append(all, c.Connector)
	}
	histories, err := s.Connectors.Histories(ctx, v.who, all, sparkTests)
	if err != nil {
		return nil, err
	}
	rows := make([]connectorRow, 0, len(list))
	for i, c := range list {
		row := rowOf(v, c)
		row.Spark = drawn(histories[i], sparkTests, 16, 12)
		rows = append(rows, row)
	}
	return rows, nil
}

// connectorURL is the address of a connector's page.
func connectorURL(v *visit, tab string, at scope.Scope, id string) string {
	return v.url("/ui/connectors/"+url.PathEscape(id)+tab, "at", homeOf(at))
}

// statusWord is a status in addresses.
func statusWord(s connector.Status) string {
	switch s {
	case connector.Success:
		return "connected"
	case connector.Failing:
		return "failing"
	case connector.Partial:
		return "attention"
	case connector.Unknown:
	}
	return "untested"
}

// The words of addresses beside those of the statuses.
const (
	wordKept   = "stored"
	sortByName = "name"
	sortByTime = "activity"
)

type connectorsPage struct {
	v          *visit
	Search     string
	Status     string // word of the address, "" for all
	Credential string // "", own or given
	Sort       string // "" is trouble first
	Account    string // of AWS, "" for all
	Tally      tally
	Rows       []connectorRow
	Pages      pages
	Create     bool // the caller may make one
	Live       live
}

// address is that of the list with some of its state changed, in pairs.
func (p connectorsPage) address(pairs ...string) string {
	state := map[string]string{"search": p.Search, "status": p.Status, "credential": p.Credential, "sort": p.Sort, "account": p.Account}
	for i := 0; i+1 < len(pairs); i += 2 {
		state[pairs[i]] = pairs[i+1]
	}
	var all []string
	for _, name := range []string{"search", "status", "credential", "account", "sort", "page"} {
		all = append(all, name, state[name])
	}
	return p.v.url("/ui/connectors", all...)
}

// Again is the address of what the page shows.
func (p connectorsPage) Again() string { return p.address("page", p.v.query.Get("page")) }

// Tabs are the statuses to choose from.
func (p connectorsPage) Tabs() []tab {
	tabs := []tab{{"All", p.Tally.All() + p.Tally.Kept, p.address("status", ""), p.Status == ""}}
	for _, s := range order() {
		word := statusWord(s)
		tabs = append(tabs, tab{markOf(s).Word, p.Tally.of(s), p.address("status", word), p.Status == word})
	}
	if p.Tally.Kept > 0 || p.Status == wordKept {
		tabs = append(tabs, tab{"Stored", p.Tally.Kept, p.address("status", wordKept), p.Status == wordKept})
	}
	return tabs
}

// Caption says the order of the list.
func (p connectorsPage) Caption() string {
	switch p.Sort {
	case sortByName:
		return "Connectors by name"
	case sortByTime:
		return "Connectors, those that changed last first"
	}
	return "Connectors, those with trouble first"
}

// Filtered says whether something is left out.
func (p connectorsPage) Filtered() bool {
	return p.Search != "" || p.Status != "" || p.Credential != "" || p.Account != ""
}

type tab struct {
	Name  string
	Count int
	To    string
	Here  bool
}

func (s *Server) connectorList(ctx context.Context, v *visit) (reply, error) {
	p := connectorsPage{
		v: v, Search: v.search(), Status: v.query.Get("status"), Credential: v.query.Get("credential"), Sort: v.query.Get("sort"),
		Create: v.may(audit.ConnectorCreate, v.at), Account: v.word("account"),
	}
	if p.Sort != sortByName && p.Sort != sortByTime {
		p.Sort = ""
	}
	f := connector.Filter{Scope: v.at, SubScopes: true, Search: p.Search, Types: []string{connector.TypeAWS}, Reaches: p.Account}
	switch own, given := true, false; p.Credential {
	case "own":
		f.Inheriting = &own
	case "given":
		f.Inheriting = &given
	default:
		p.Credential = ""
	}
	number := v.pageNumber()
	list, total, few, err := s.few(ctx, &p, f, number)
	if err == nil && !few {
		list, total, err = s.many(ctx, &p, f, number)
	}
	if err != nil {
		return reply{}, err
	}
	if p.Rows, err = s.connectorRows(ctx, v, list); err != nil {
		return reply{}, err
	}
	p.Pages = pagesOf(number, len(list), total, "connector", "connectors", func(page string) string { return p.address("page", page) })
	p.Live = liveOfPage(v, viewList, p.Rows...)
	return reply{title: "Connectors", here: "Connectors", body: connectorsView(p)}, nil
}

// many reads one page of a long list, and counts what it is a page of.
func (s *Server) many(ctx context.Context, p *connectorsPage, f connector.Filter, number int) (_ []connector.Stored, total int, err error) {
	if p.Tally, err = s.tally(ctx, p.v, f); err != nil {
		return nil, 0, err
	}
	if p.Credential == "" {
		kept := f
		kept.Types, kept.Statuses = []string{connector.TypeKubernetes}, []connector.Status{connector.Unknown} // they have no other
		n, err := s.Connectors.Tally(ctx, p.v.who, kept)
		if err != nil {
			return nil, 0, err
		}
		p.Tally.Kept = n[connector.Unknown]
	}
	return s.segments(ctx, p.v, p.segments(f), (number-1)*pageSize)
}

// fewest is from how many on a search is no longer read as a whole.
const fewest = 100

// few is many for a search that leaves few: all are looked through once, instead of once for each count and each status. It
// is not ok when there are more.
func (s *Server) few(ctx context.Context, p *connectorsPage, f connector.Filter, number int) (page []connector.Stored, total int, ok bool, err error) {
	if p.Search == "" {
		return nil, 0, false, nil
	}
	if f.Limit, f.Uncounted = fewest, true; p.Credential == "" {
		f.Types = nil
	}
	if p.Sort == sortByTime {
		f.Sort, f.Descending = connector.ByActivity, true
	}
	all, _, err := s.Connectors.Connectors(ctx, p.v.who, f)
	if err != nil || len(all) == fewest {
		return nil, 0, false, err
	}
	var list []connector.Stored
	known := p.Status == wordKept || slices.ContainsFunc(order(), func(status connector.Status) bool { return statusWord(status) == p.Status })
	if !known {
		p.Status = ""
	}
	for _, c := range all {
		word := statusWord(c.Status)
		if c.Type() == connector.TypeKubernetes {
			word = wordKept
		}
		p.Tally.add(c)
		if p.Status == "" || p.Status == word {
			list = append(list, c)
		}
	}
	if p.Sort == "" { // where two are equal, the order of the search stays
		slices.SortStableFunc(list, func(a, b connector.Stored) int { return cmp.Compare(place(a), place(b)) })
	}
	begin := min((number-1)*pageSize, len(list))
	return list[begin:min(begin+pageSize, len(list))], len(list), true, nil
}

// place is where a list that has trouble first has a connector: those of clusters come last.
func place(c connector.Stored) int {
	if c.Type() == connector.TypeKubernetes {
		return len(order())
	}
	return slices.Index(order(), c.Status)
}

// stretch is a part of a list, of which it is known how many there are.
type stretch struct {
	filter connector.Filter
	count  int
}

// segments are the parts of the list, one after the other. An order that is not by status is one part.
func (p *connectorsPage) segments(f connector.Filter) []stretch {
	var all []stretch
	kept := f
	kept.Types = []string{connector.TypeKubernetes}
	known := p.Status == wordKept
	for _, status := range order() {
		one := f
		one.Statuses = []connector.Status{status}
		if statusWord(status) == p.Status {
			known, all = true, nil
			all = append(all, stretch{one, p.Tally.of(status)})
			break
		}
		all = append(all, stretch{one, p.Tally.of(status)})
	}
	switch {
	case !known:
		p.Status = ""
		all = append(all, stretch{kept, p.Tally.Kept})
	case p.Status == wordKept:
		all = []stretch{{kept, p.Tally.Kept}}
	}
	if p.Sort == "" {
		return all
	}
	f.Sort = connector.ByName
	if p.Sort == sortByTime {
		f.Sort, f.Descending = connector.ByActivity, true
	}
	whole := stretch{filter: f}
	whole.filter.Types = nil
	if p.Credential != "" {
		whole.filter.Types = f.Types
	}
	if len(all) == 1 {
		whole.filter.Types, whole.filter.Statuses = all[0].filter.Types, all[0].filter.Statuses
	}
	for _, one := range all {
		whole.count += one.count
	}
	return []stretch{whole}
}

// segments reads one page of a list that has parts one after the other. How many each has is known, so that nothing is counted
// twice.
func (s *Server) segments(ctx context.Context, v *visit, parts []stretch, offset int) ([]connector.Stored, int, error) {
	var out []connector.Stored
	total := 0
	for _, part := range parts {
		total += part.count
		if offset >= part.count || len(out) >= pageSize {
			offset = max(0, offset-part.count)
			continue
		}
		f := part.filter
		f.Offset, f.Limit, f.Uncounted = offset, pageSize-len(out), true
		list, _, err := s.Connectors.Connectors(ctx, v.who, f)
		if err != nil {
			return nil, 0, err
		}
		out = append(out, list...)
		offset = 0
	}
	return out, total, nil
}
