package web

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/preflight"
)

// evidencePage is the policy that mends what a connector was seen to lack.
type evidencePage struct {
	v         *visit
	Connector formField
	Suggested []suggestion

	Found    bool
	Name     string
	To       string // the connector's own page
	Test     *connector.Diagnosis
	TestAt   ago
	Run      *preflight.Preflight
	RunAt    ago
	Missing  []string // capabilities with how many of their actions are denied
	Policy   []codeLine
	Command  []codeLine
	Blocked  []step
	Remedies []step
	Builder  string // all that was asked about, in the builder
}

type suggestion struct {
	Name, Why, To string
	Mark          mark
}

// evidence makes a policy of what the last test and the last preflight of a connector found missing.
func (s *Server) evidence(ctx context.Context, v *visit) (reply, error) {
	p := evidencePage{v: v, Connector: formField{
		Name: "connector", Label: "Connector", Hint: "org1/prj1/checkout_prod", Help: "ID, ORG/ID or ORG/PROJECT/ID.", Mono: true,
		Value: cut(strings.TrimSpace(v.query.Get("connector")), longestField),
	}}
	if p.Connector.Value == "" {
		return s.suggest(ctx, p)
	}
	at, id, err := connectorAt(v.who.Account, p.Connector.Value)
	var c connector.Stored
	if err == nil {
		c, err = s.Connectors.Connector(ctx, v.who, at, id)
	}
	if shown(err) {
		p.Connector.Error, p.Connector.Focus = sentence(fault.Sentence(err)), true
		return s.suggest(ctx, p)
	}
	if err != nil {
		return reply{}, err
	}
	list, err := s.Preflights.Preflights(ctx, v.who, at, id, 1)
	if err != nil {
		return reply{}, err
	}
	p.Found, p.Name, p.To = true, c.Name, connectorURL(v, "/preflight", at, id)
	if t := c.LastTest; t != nil && t.Diagnosis != nil {
		p.Test, p.TestAt, p.Remedies = t.Diagnosis, since(v.now, t.EndedAt), stepsOf(t.Diagnosis.Remedy)
	}
	if len(list) > 0 {
		p.fill(&list[0])
	}
	return reply{title: "From evidence", here: "Permissions", body: evidenceView(p)}, nil
}

// suggest asks for a connector, and names those that fail.
func (s *Server) suggest(ctx context.Context, p evidencePage) (reply, error) {
	const most = 10
	list, _, err := s.Connectors.Connectors(ctx, p.v.who, connector.Filter{
		Scope: p.v.at, SubScopes: true, Types: []string{connector.TypeAWS}, Statuses: []connector.Status{connector.Failing, connector.Partial}, Limit: most,
	})
	if err != nil {
		return reply{}, err
	}
	for _, c := range list {
		one := suggestion{Name: c.Name, Mark: markOf(connector.Failing), To: p.v.url("/ui/permissions/evidence", "connector", pathOf(c.Scope, c.ID))}
		if t := c.LastTest; t != nil {
			one.Mark = markOf(t.Status)
			if t.Diagnosis != nil {
				one.Why = t.Diagnosis.Cause
			}
		}
		p.Suggested = append(p.Suggested, one)
	}
	return reply{title: "From evidence", here: "Permissions", body: evidenceView(p)}, nil
}

func (p *evidencePage) fill(f *preflight.Preflight) {
	p.Run, p.RunAt = f, since(p.v.now, f.EndedAt)
	q := url.Values{}
	for _, r := range f.Results {
		if len(r.Missing) > 0 {
			p.Missing = append(p.Missing, r.Title+": "+count(len(r.Missing), "action", "actions"))
			q.Add("capability", r.Capability)
		}
	}
	if len(q) > 0 {
		n := f.Options.Narrowing
		for name, values := range map[string][]string{"buckets": n.Buckets, "clusters": n.Clusters, "repositories": n.Repositories, "functions": n.Functions, "roles": n.Roles} {
			if len(values) > 0 {
				q.Set(name, strings.Join(values, ", "))
			}
		}
		p.Builder = withQuery(p.v.url("/ui/permissions/builder"), q, "account", n.Account, "region", n.Region)
	}
	if f.Fix != nil {
		st := stepOf(f.Fix.What)
		p.Policy = st.Code
		if len(st.Code) == 0 {
			p.Blocked = append(p.Blocked, step{Text: st.Text})
		}
		if f.Fix.Command != "" {
			p.Command = linesOf(f.Fix.Command)
		}
	}
	for _, one := range f.Blocked {
		st := step{Text: one.What}
		if one.Command != "" {
			st.Code = linesOf(one.Command)
		}
		p.Blocked = append(p.Blocked, st)
	}
}

// Nothing reports that nothing is missing, as far as it is known.
func (p evidencePage) Nothing() bool {
	return p.Run != nil && p.Run.Diagnosis == nil && len(p.Missing) == 0 && !slices.ContainsFunc(p.Run.Results, func(r preflight.Result) bool { return len(r.Unknown) > 0 })
}
