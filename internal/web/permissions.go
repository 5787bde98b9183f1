package web

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/iam/service"
	"github.com/belay-dev/belay/internal/fault"
)

func permissionTabs(v *visit, here string) []tab {
	tabs := []tab{
		{"Catalogue", 0, v.url("/ui/permissions"), false},
		{"Builder and simulator", 0, v.url("/ui/permissions/builder"), false},
		{"Lint", 0, v.url("/ui/permissions/lint"), false},
		{"Trust policies", 0, v.url("/ui/permissions/trust"), false},
		{"From evidence", 0, v.url("/ui/permissions/evidence"), false},
	}
	for i := range tabs {
		tabs[i].Here = tabs[i].Name == here
	}
	return tabs
}

// cataloguePage is the capabilities that a search finds.
type cataloguePage struct {
	v      *visit
	Search string
	Groups []capabilityGroup
	Total  int
}

// capabilityGroup is capabilities that the same kind of role holds.
type capabilityGroup struct {
	Title, Text string
	List        []capabilityCard
}

type capabilityCard struct{ ID, Title, Use, Size, To, Build string }

// Words say how many were found.
func (p cataloguePage) Words() string {
	return count(p.Total, "capability", "capabilities")
}

func holders() []catalogue.Holder {
	return []catalogue.Holder{catalogue.Connector, catalogue.Function, catalogue.Node, catalogue.Pod}
}

// holderName is whose role a capability's policies belong to, in words.
func holderName(h catalogue.Holder) (title, text string) {
	switch h {
	case catalogue.Connector:
		return "A connector's role or user", "what the identity behind a connector needs"
	case catalogue.Function:
		return "A Lambda function's execution role", "what the function itself needs"
	case catalogue.Node:
		return "An EKS worker node's role", "what the node needs"
	case catalogue.Pod:
	}
	return "A Fargate pod execution role", "what starts the pod needs"
}

// capabilities shows the catalogue.
func (s *Server) capabilities(_ context.Context, v *visit) (reply, error) {
	known, err := uses()
	if err != nil {
		return reply{}, err
	}
	p := cataloguePage{v: v, Search: v.search()}
	for _, h := range holders() {
		title, text := holderName(h)
		p.Groups = append(p.Groups, capabilityGroup{Title: title, Text: text})
	}
	for _, c := range catalogue.Capabilities() {
		i := slices.Index(holders(), c.Holder)
		if i < 0 || !speaksOf(c, p.Search) {
			continue
		}
		p.Total++
		p.Groups[i].List = append(p.Groups[i].List, capabilityCard{
			ID: c.ID, Title: c.Title, Use: c.Use, Size: count(known[c.ID].actions, "action", "actions"),
			To: v.url("/ui/permissions/capabilities/" + c.ID), Build: v.url("/ui/permissions/builder", "capability", c.ID),
		})
	}
	return reply{title: "Permissions", here: "Permissions", body: catalogueView(p)}, nil
}

// cut bounds a text that people typed.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}

// speaksOf reports whether each word of a search is in a capability: in its names, its policies or the actions in them.
func speaksOf(c catalogue.Capability, search string) bool {
	words := []string{c.ID, c.Title, c.Use}
	for _, p := range slices.Concat(c.Policies, c.Resource) {
		words = append(words, p.Title, p.ARN)
		if p.Document == nil {
			continue
		}
		for _, s := range p.Document.Statements {
			words = append(words, s.Action.Values...)
		}
	}
	text := strings.ToLower(strings.Join(words, " "))
	for word := range strings.FieldsSeq(strings.ToLower(search)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// capabilityPage is one capability: its policies, what their actions do, and what they can be narrowed to.
type capabilityPage struct {
	v               *visit
	c               catalogue.Capability
	Holder          string
	Policies        []capabilityPolicy
	Actions         []actionRow
	More            int // actions that are not told
	Narrows         []formField
	Build, Simulate string
	Trust           []capabilityPolicy
	Total           int
}

type capabilityPolicy struct {
	Title, Kind, ARN string
	Lines            []codeLine
	Mended           []string
	Ours             bool
	Sources          []string
}

// actionRow is an action as AWS's reference explains it.
type actionRow struct {
	Name, Access string
	On           string // the types of resources that it works on
	Keys         string
	Known        bool
}

// mostActions bounds how many actions a page explains.
const mostActions = 150

// capability shows one capability.
func (s *Server) capability(_ context.Context, v *visit) (reply, error) {
	c, ok := catalogue.Find(v.r.PathValue("id"))
	if !ok {
		return reply{}, fault.New(fault.NotFound, "there is no such capability in the catalogue of this version")
	}
	known, err := uses()
	if err != nil {
		return reply{}, err
	}
	reference, err := service.Load()
	if err != nil {
		return reply{}, err
	}
	statements, err := catalogue.Needs(c, catalogue.Narrowing{})
	if err != nil {
		return reply{}, err
	}
	title, _ := holderName(c.Holder)
	p := capabilityPage{
		v: v, c: c, Holder: title, Build: v.url("/ui/permissions/builder", "capability", c.ID),
		Simulate: v.url("/ui/permissions/builder", "capability", c.ID, "simulate", "built") + "#sim",
	}
	for _, one := range slices.Concat(c.Policies, c.Resource) {
		p.Policies = append(p.Policies, policyOf(one))
	}
	for _, one := range c.Trust {
		p.Trust = append(p.Trust, policyOf(one))
	}
	all := actionsOf(reference, statements)
	p.Total, p.More = len(all), max(0, len(all)-mostActions)
	for _, name := range all[:len(all)-p.More] {
		p.Actions = append(p.Actions, explained(reference, name))
	}
	for _, f := range narrowNames() {
		if slices.Contains(known[c.ID].fields, f.Name) {
			p.Narrows = append(p.Narrows, f)
		}
	}
	return reply{title: c.Title, here: "Permissions", body: capabilityView(p)}, nil
}

func policyOf(p catalogue.Policy) capabilityPolicy {
	out := capabilityPolicy{Title: p.Title, ARN: p.ARN, Mended: p.Mended, Ours: p.Ours}
	switch p.Kind {
	case catalogue.AWSManaged:
		out.Kind = "kept by AWS"
	case catalogue.CustomerManaged:
		out.Kind = "to be made in the account"
	case catalogue.Trust:
		out.Kind = "who may assume the role"
	case catalogue.ResourceBased:
		out.Kind = "on the side of the resource"
	}
	if d, err := p.Current(); err == nil && d != nil {
		out.Lines = linesOf(string(d.Indent()))
	}
	titles := map[string]string{}
	for _, s := range catalogue.Sources() {
		titles[s.ID] = s.Title
	}
	for _, cited := range slices.Concat(p.Printed, p.Mentions) {
		if title := cmp.Or(titles[cited.Source], cited.Source); !slices.Contains(out.Sources, title) {
			out.Sources = append(out.Sources, title)
		}
	}
	return out
}

// explained looks an action up.
func explained(reference *service.Reference, name string) actionRow {
	a, ok := reference.Action(name)
	row := actionRow{Name: name, Known: ok}
	if !ok {
		return row
	}
	row.Access = string(a.Access)
	var types, keys []string
	for _, u := range a.Resources {
		types = append(types, u.Type.Name)
	}
	const most = 6
	for _, k := range reference.OwnConditionKeys(a) {
		keys = append(keys, k.Name)
	}
	if n := len(keys) - most; n > 0 {
		keys = append(keys[:most], count(n, "more", "more"))
	}
	row.On, row.Keys = strings.Join(types, ", "), strings.Join(keys, ", ")
	if a.Resourceless() {
		row.On = "no resource: needs *"
	}
	return row
}
