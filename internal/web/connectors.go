package web

import (
	"context"
	"net/url"
	"strings"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/scope"
)

// connectorRow is a connector in a list.
type connectorRow struct {
	Name, Home, To, Why, Account, Credential, Through string
	Mark                                              mark
	Tested                                            ago
	Test                                              string // the address that tests it; "" when the caller may not
}

func rowOf(v *visit, c connector.Stored) connectorRow {
	r := connectorRow{
		Name: c.Name, Home: c.Scope.String(), To: connectorURL(v, "", c.Scope, c.ID), Mark: markOf(c.Status), Tested: since(v.now, c.LastTestedAt),
		Credential: credentialOf(c.Connector), Through: strings.Join(c.Selectors, ", "),
	}
	if !c.OnDelegate() {
		r.Through = "from this manager"
	}
	if x := c.CrossAccount; x != nil {
		if parts := strings.Split(x.RoleARN, ":"); len(parts) > 4 {
			r.Account = parts[4]
		}
	}
	if t := c.LastTest; t != nil {
		if t.Identity != nil {
			r.Account = t.Identity.Account
		}
		if t.Diagnosis != nil {
			r.Why = t.Diagnosis.Cause
		} else if len(t.Warnings) > 0 {
			r.Why = t.Warnings[0]
		}
	}
	if v.may(audit.ConnectorTest, c.Scope) {
		r.Test = connectorURL(v, "/test", c.Scope, c.ID)
	}
	return r
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

type connectorsPage struct {
	v          *visit
	Search     string
	Status     string // word of the address, "" for all
	Credential string // "", own or given
	Tally      tally
	Any        int // connectors of the scope, whatever the filter
	Rows       []connectorRow
	Pages      pages
	Create     bool // the caller may make one
}

// To is the address of the list with another status.
func (p connectorsPage) To(status string) string {
	return p.v.url("/ui/connectors", "search", p.Search, "status", status, "credential", p.Credential)
}

// Tabs are the statuses to choose from.
func (p connectorsPage) Tabs() []tab {
	tabs := []tab{{"All", p.Tally.All(), p.To(""), p.Status == ""}}
	for _, s := range order() {
		word := statusWord(s)
		tabs = append(tabs, tab{markOf(s).Word, p.Tally.of(s), p.To(word), p.Status == word})
	}
	return tabs
}

// Filtered says whether something is left out.
func (p connectorsPage) Filtered() bool {
	return p.Search != "" || p.Status != "" || p.Credential != ""
}

type tab struct {
	Name  string
	Count int
	To    string
	Here  bool
}

const longestSearch = 200

func (s *Server) connectorList(ctx context.Context, v *visit) (reply, error) {
	p := connectorsPage{v: v, Search: strings.TrimSpace(v.query.Get("search")), Status: v.query.Get("status"), Credential: v.query.Get("credential"), Create: v.may(audit.ConnectorCreate, v.at)}
	if runes := []rune(p.Search); len(runes) > longestSearch {
		p.Search = string(runes[:longestSearch])
	}
	f := connector.Filter{Scope: v.at, SubScopes: true, Search: p.Search, Types: []string{connector.TypeAWS}}
	switch own, given := true, false; p.Credential {
	case "own":
		f.Inheriting = &own
	case "given":
		f.Inheriting = &given
	default:
		p.Credential = ""
	}
	var err error
	if p.Tally, err = s.tally(ctx, v, f); err != nil {
		return reply{}, err
	}
	wanted := order()
	known := false
	for _, status := range order() {
		if statusWord(status) == p.Status {
			wanted, known = []connector.Status{status}, true
		}
	}
	if !known {
		p.Status = ""
	}
	number := v.number("page", 1, 1_000_000)
	list, total, err := s.segments(ctx, v, f, p.Tally, wanted, (number-1)*pageSize)
	if err != nil {
		return reply{}, err
	}
	for _, c := range list {
		p.Rows = append(p.Rows, rowOf(v, c))
	}
	p.Pages = pagesOf(number, len(list), total, "connector", "connectors", func(page string) string {
		return v.url("/ui/connectors", "search", p.Search, "status", p.Status, "credential", p.Credential, "page", page)
	})
	return reply{title: "Connectors", here: "Connectors", body: connectorsView(p)}, nil
}

// segments reads one page of a list that has the statuses one after the other, each by name.
func (s *Server) segments(ctx context.Context, v *visit, f connector.Filter, t tally, wanted []connector.Status, offset int) ([]connector.Stored, int, error) {
	var out []connector.Stored
	total := 0
	for _, status := range wanted {
		n := t.of(status)
		total += n
		if offset >= n || len(out) >= pageSize {
			offset = max(0, offset-n)
			continue
		}
		f.Statuses, f.Offset, f.Limit = []connector.Status{status}, offset, pageSize-len(out)
		list, _, err := s.Connectors.Connectors(ctx, v.who, f)
		if err != nil {
			return nil, 0, err
		}
		out = append(out, list...)
		offset = 0
	}
	return out, total, nil
}
