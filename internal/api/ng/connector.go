package ng

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/nextgen"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

func (s *Server) createConnector(ctx context.Context, c api.Call, in nextgen.ConnectorEnvelope) (nextgen.ConnectorResponse, error) {
	sent, err := readConnector(c, in)
	if err != nil {
		return nextgen.ConnectorResponse{}, err
	}
	stored, err := s.Connectors.Create(ctx, c.Who, sent)
	return nextgen.FromStored(stored), err
}

func (s *Server) updateConnector(ctx context.Context, c api.Call, in nextgen.ConnectorEnvelope) (nextgen.ConnectorResponse, error) {
	sent, err := readConnector(c, in)
	if err != nil {
		return nextgen.ConnectorResponse{}, err
	}
	stored, err := s.Connectors.Update(ctx, c.Who, sent)
	return nextgen.FromStored(stored), err
}

// readConnector translates a connector. Its scope is that of the body, never that of the query. When it holds something
// that the domain has no word for, the rest is checked here, so that all problems are told at once.
func readConnector(c api.Call, in nextgen.ConnectorEnvelope) (connector.Connector, error) {
	sent, problems := in.Connector.Domain(c.At.Account)
	if len(problems) == 0 && fits(sent.Scope.Org, sent.Scope.Project, sent.ID) {
		return sent, nil
	}
	ofType := slices.ContainsFunc(problems, func(p fault.Problem) bool { return p.Path == "connector.type" })
	for _, p := range sent.Check() {
		if ofType && strings.HasPrefix(p.Path, "connector.spec.") {
			continue // what a spec of another type holds cannot be judged
		}
		if !slices.ContainsFunc(problems, func(other fault.Problem) bool { return other.Path == p.Path }) {
			problems = append(problems, p)
		}
	}
	problems = append(problems, tooLong("connector", sent.Scope)...)
	return connector.Connector{}, problems.Err()
}

// fits reports whether identifiers are short enough to be kept in the audit log, which happens before services check them.
func fits(ids ...string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { return len(id) > scope.MaxIdentifier })
}

// tooLong are the problems of a scope whose identifiers do not fit.
func tooLong(kind string, at scope.Scope) fault.Problems {
	var problems fault.Problems
	for _, one := range []struct{ field, id string }{{"orgIdentifier", at.Org}, {"projectIdentifier", at.Project}} {
		if !fits(one.id) {
			problems.Add(kind+"."+one.field, fmt.Sprintf("has %d characters, at most %d are allowed", len(one.id), scope.MaxIdentifier))
		}
	}
	return problems
}

func (s *Server) connector(ctx context.Context, c api.Call) (nextgen.ConnectorResponse, error) {
	stored, err := s.Connectors.Connector(ctx, c.Who, c.At, c.Path("id"))
	return nextgen.FromStored(stored), err
}

func (s *Server) deleteConnector(ctx context.Context, c api.Call) (bool, error) {
	return true, s.Connectors.Delete(ctx, c.Who, c.At, c.Path("id"))
}

func (s *Server) testConnector(ctx context.Context, c api.Call) (nextgen.ValidationResult, error) {
	test, err := s.Connectors.Test(ctx, c.Who, c.At, c.Path("id"), connector.Options{Trigger: connector.OnDemand})
	return nextgen.FromTest(test), err
}

// connectorFilter narrows a list; all that is set must hold.
type connectorFilter struct {
	ConnectorNames       []string          `json:"connectorNames"`
	ConnectorIdentifiers []string          `json:"connectorIdentifiers"`
	Description          string            `json:"description"`
	Types                []string          `json:"types"`
	Categories           []string          `json:"categories"`
	Statuses             []string          `json:"connectivityStatuses"`
	Inheriting           *bool             `json:"inheritingCredentialsFromDelegate"`
	Tags                 map[string]string `json:"tags"`
}

func (s *Server) filterConnectors(ctx context.Context, c api.Call, in connectorFilter) (nextgen.Page[nextgen.ConnectorResponse], error) {
	if c.Query("filterIdentifier") != "" {
		return nextgen.Page[nextgen.ConnectorResponse]{}, fault.Problems{{Path: "filterIdentifier", Message: "saved filters are not supported; send the filter in the body"}}
	}
	return s.connectorPage(ctx, c, in, c.Flag("includeAllConnectorsAvailableAtScope"))
}

func (s *Server) listConnectors(ctx context.Context, c api.Call) (nextgen.Page[nextgen.ConnectorResponse], error) {
	f := connectorFilter{Types: c.QueryAll("type"), Categories: append(c.QueryAll("category"), c.QueryAll("source_category")...)}
	return s.connectorPage(ctx, c, f, c.Flag("includeAllConnectorsAvailableAtScope"))
}

func (s *Server) connectorPage(ctx context.Context, c api.Call, in connectorFilter, wider bool) (nextgen.Page[nextgen.ConnectorResponse], error) {
	p, err := page(c)
	if err != nil {
		return nextgen.Page[nextgen.ConnectorResponse]{}, err
	}
	f := connector.Filter{
		Scope: c.At, Wider: wider, Search: c.Query("searchTerm"), IDs: in.ConnectorIdentifiers, Names: in.ConnectorNames,
		Tags: in.Tags, Description: in.Description, Inheriting: in.Inheriting, Types: in.Types, Offset: p.offset(), Limit: p.size,
	}
	for _, status := range in.Statuses {
		f.Statuses = append(f.Statuses, connector.Status(status))
	}
	// There is one category. A list of others is empty, and the caller must be allowed to see that too.
	none := !includes(in.Categories, nextgen.CategoryCloud)
	if none {
		f.IDs, f.Limit = nil, 1
	}
	list, total, err := s.Connectors.Connectors(ctx, c.Who, f)
	if none {
		list, total = nil, 0
	}
	return dressed(list, total, p, nextgen.FromStored), err
}

// includes reports whether a filter lets a word through; an empty one lets all through.
func includes(filter []string, word string) bool {
	return len(filter) == 0 || slices.Contains(filter, word)
}

// connectorsByName finds connectors by account/org/project/identifier, or with fewer words for the wider scopes. Those
// that are not there are left out.
func (s *Server) connectorsByName(ctx context.Context, c api.Call, names []string) ([]nextgen.ConnectorResponse, error) {
	const most = 1000
	if len(names) > most {
		return nil, fault.New(fault.Invalid, "%d connectors are asked for by name; ask for at most %d at once", len(names), most)
	}
	type place struct {
		at scope.Scope
		id string
	}
	places := make([]place, len(names))
	ids := map[scope.Scope][]string{}
	for i, name := range names {
		at, id, ok := parseName(name)
		switch {
		case !ok:
			return nil, fault.Problems{{Path: fmt.Sprintf("[%d]", i), Message: fmt.Sprintf("%.80q is not account/org/project/identifier", name)}}
		case at.Account != c.At.Account:
			return nil, fault.New(fault.Denied, "%.80q belongs to another account", name)
		}
		places[i] = place{at, id}
		ids[at] = append(ids[at], id)
	}
	found := map[place]connector.Stored{}
	for at, wanted := range ids {
		list, _, err := s.Connectors.Connectors(ctx, c.Who, connector.Filter{Scope: at, IDs: wanted})
		if err != nil {
			return nil, err
		}
		for _, one := range list {
			found[place{at, one.ID}] = one
		}
	}
	out := []nextgen.ConnectorResponse{}
	for _, p := range places {
		if one, ok := found[p]; ok {
			out = append(out, nextgen.FromStored(one))
		}
	}
	return out, nil
}

func parseName(name string) (scope.Scope, string, bool) {
	words := strings.Split(name, "/")
	n := len(words)
	if n < 2 || n > 4 || words[0] == "" || words[n-1] == "" || !fits(words...) {
		return scope.Scope{}, "", false
	}
	at := scope.Scope{Account: words[0]}
	if n > 2 {
		at.Org = words[1]
	}
	if n > 3 {
		at.Project = words[2]
	}
	return at, words[n-1], at.Valid() == nil
}

func (s *Server) connectorIsNew(ctx context.Context, c api.Call) (bool, error) {
	id := c.Query("identifier")
	if p := scope.CheckIdentifier(id); p != "" {
		return false, fault.Problems{{Path: "identifier", Message: p}}
	}
	_, err := s.Connectors.Connector(ctx, c.Who, c.At, id)
	free, err := isNew(err)
	return free && id != secret.BuiltInManager, err
}

// isNew tells from a look-up whether an identifier is free.
func isNew(err error) (bool, error) {
	if fault.KindOf(err) == fault.NotFound {
		return true, nil
	}
	return false, err
}

// catalogue is the types of connectors there are.
type catalogue struct {
	Catalogue []category `json:"catalogue"`
}

type category struct {
	Category   string   `json:"category"`
	Connectors []string `json:"connectors"`
}

func (*Server) catalogue(context.Context, api.Call) (catalogue, error) {
	return catalogue{[]category{{nextgen.CategoryCloud, []string{nextgen.TypeAWS, nextgen.TypeKubernetes}}}}, nil
}

// stats counts connectors by type and by status.
type stats struct {
	Types    []typeCount   `json:"typeStats"`
	Statuses []statusCount `json:"statusStats"`
}

type typeCount struct {
	Type  string `json:"type"`
	Count int    `json:"count"`
}

type statusCount struct {
	Status string `json:"status"`
	Count  int    `json:"count"`
}

func (s *Server) connectorStats(ctx context.Context, c api.Call) (stats, error) {
	out := stats{Types: []typeCount{}, Statuses: []statusCount{}}
	for _, status := range []connector.Status{connector.Success, connector.Failing, connector.Partial, connector.Unknown} {
		_, n, err := s.Connectors.Connectors(ctx, c.Who, connector.Filter{Scope: c.At, Statuses: []connector.Status{status}, Limit: 1})
		if err != nil {
			return stats{}, err
		}
		if n > 0 {
			out.Statuses = append(out.Statuses, statusCount{string(status), n})
		}
	}
	for _, kind := range []string{nextgen.TypeAWS, nextgen.TypeKubernetes} {
		_, n, err := s.Connectors.Connectors(ctx, c.Who, connector.Filter{Scope: c.At, Types: []string{kind}, Limit: 1})
		if err != nil {
			return stats{}, err
		}
		if n > 0 {
			out.Types = append(out.Types, typeCount{kind, n})
		}
	}
	return out, nil
}

// values are what a field of a connector may hold.
type values struct {
	Fields map[string][]string `json:"fieldValues"`
}

func (*Server) fieldValues(_ context.Context, c api.Call) (values, error) {
	if c.Query("connectorType") != nextgen.TypeAWS {
		return values{map[string][]string{}}, nil
	}
	return values{map[string][]string{
		"credentialType": {nextgen.CredentialManual, nextgen.CredentialInherit, nextgen.CredentialIRSA, nextgen.CredentialOIDC},
		"awsSdkClientBackOffStrategyOverrideType": {nextgen.BackoffFixed, nextgen.BackoffEqualJitter, nextgen.BackoffFullJitter},
	}}, nil
}
