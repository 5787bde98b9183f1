package web

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/scenario"
)

// remedy is a change that lets a request get further: what to change, and the lines to add.
type remedy struct {
	Title string
	Lines []codeLine
}

// remediesOf finds the changes that allow a denied request. Each is tried: only what brings the request past the layer that
// stopped it is told, and Then says what the answer is with all of them. A Deny is not taken back.
func remediesOf(sc *scenario.Scenario, x *iam.Explanation) (list []remedy, then string) {
	if x.Decision != iam.ImplicitlyDenied || len(x.Missing) == 0 {
		return nil, ""
	}
	now, at := clone(sc), *x
	for range len(evaluation()) {
		if len(at.Missing) == 0 || at.Decision != iam.ImplicitlyDenied {
			break
		}
		layer := at.Missing[0]
		var done *remedy
		for _, try := range []func(*scenario.Scenario, *iam.Explanation, iam.Layer) *remedy{widened, contextSet, added} {
			next := clone(now)
			r := try(next, &at, layer)
			if r == nil {
				continue
			}
			q, failure := next.Question()
			if failure != nil {
				continue
			}
			if y := q.Explain(); y.Decision == iam.Allowed || y.Decision == iam.ImplicitlyDenied && !slices.Contains(y.Missing, layer) {
				done, now, at = r, next, y
				break
			}
		}
		if done == nil {
			break
		}
		list = append(list, *done)
	}
	switch {
	case len(list) == 0:
		return nil, ""
	case at.Decision == iam.Allowed && len(list) == 1:
		return list, "With it the request is allowed."
	case at.Decision == iam.Allowed:
		return list, "With all of them the request is allowed."
	case at.Decision == iam.ExplicitlyDenied:
		return list, "Then a statement denies it."
	}
	return list, "Then it is still denied."
}

// policiesAt are the places of the policies of a layer, to be changed.
func policiesAt(sc *scenario.Scenario, l iam.Layer) []*scenario.Policy {
	var out []*scenario.Policy
	each := func(list []scenario.Policy) {
		for i := range list {
			out = append(out, &list[i])
		}
	}
	optional := func(list *[]scenario.Policy) {
		if list != nil {
			each(*list)
		}
	}
	switch l {
	case iam.LayerIdentity:
		each(sc.IdentityPolicies)
	case iam.LayerResource:
		if sc.ResourcePolicy != nil {
			out = append(out, sc.ResourcePolicy)
		}
	case iam.LayerBoundary:
		optional(sc.PermissionBoundary)
	case iam.LayerSession:
		optional(sc.SessionPolicies)
	case iam.LayerEndpoint:
		optional(sc.VPCEndpointPolicies)
	case iam.LayerSCP:
		for i := range sc.ServiceControlPolicies {
			each(sc.ServiceControlPolicies[i].Policies)
		}
	case iam.LayerRCP, iam.LayerPublicBuckets:
	}
	return out
}

// change changes a document of a layer.
func change(sc *scenario.Scenario, l iam.Layer, policy string, do func(*iam.Document)) bool {
	for _, p := range policiesAt(sc, l) {
		if p.Name != policy {
			continue
		}
		d, err := iam.Parse(p.Document)
		if err != nil {
			return false
		}
		do(d)
		text, err := d.MarshalJSON()
		p.Document = text
		return err == nil
	}
	return false
}

// nearIn is the near miss of a layer in one of the elements.
func nearIn(x *iam.Explanation, l iam.Layer, misses ...iam.Miss) *iam.Near {
	for i := range x.Near {
		if x.Near[i].Layer == l && slices.Contains(misses, x.Near[i].Miss) {
			return &x.Near[i]
		}
	}
	return nil
}

// widened adds the action or the resource to the statement that came nearest.
func widened(sc *scenario.Scenario, x *iam.Explanation, l iam.Layer) *remedy {
	n := nearIn(x, l, iam.MissAction, iam.MissResource)
	if n == nil {
		return nil
	}
	var r *remedy
	original, _ := textOf(given(sc), &n.Reference)
	ok := change(sc, l, n.Policy, func(d *iam.Document) {
		s := &d.Statements[n.Index]
		name, list, with := "Resource", &s.Resource, sc.Request.Resource.ARN
		if n.Miss == iam.MissAction {
			name, list, with = "Action", &s.Action, sc.Request.Action
		}
		if list.Negated {
			return
		}
		old := list.Values
		list.Values = append(slices.Clone(old), with)
		if sc.Request.Resourceless && n.Miss == iam.MissResource {
			list.Values = []string{"*"} // nothing else is left to say
		}
		r = &remedy{Title: placeOf(original, n, name), Lines: memberLines(name, list.Values)}
	})
	if !ok {
		return nil
	}
	return r
}

// placeOf says what is replaced: a line, where the member stands in one of its own.
func placeOf(d *iam.Document, n *iam.Near, name string) string {
	if d != nil {
		list := d.Statements[n.Index].Resource
		if name == "Action" {
			list = d.Statements[n.Index].Action
		}
		if len(list.Pos) > 0 && list.Pos[0].Line > d.Statements[n.Index].Pos.Line && list.Pos[0].Line == list.Pos[len(list.Pos)-1].Line {
			return fmt.Sprintf("Replace line %d of %s", list.Pos[0].Line, n.Policy)
		}
	}
	return fmt.Sprintf("%s of statement %d of %s", name, n.Index+1, n.Policy)
}

func memberLines(name string, values []string) []codeLine {
	var value any = values
	if len(values) == 1 {
		value = values[0]
	}
	const wide = 64
	compact, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	text := `"` + name + `": ` + strings.ReplaceAll(string(compact), `","`, `", "`)
	if len(text) > wide {
		if laid, err := json.MarshalIndent(value, "", "  "); err == nil {
			text = `"` + name + `": ` + string(laid)
		}
	}
	return addedLines(text)
}

func addedLines(text string) []codeLine {
	lines := linesOf(text)
	for i := range lines {
		lines[i].Class = "add"
	}
	return lines
}

// contextSet gives the request the value that a condition wants.
func contextSet(sc *scenario.Scenario, x *iam.Explanation, l iam.Layer) *remedy {
	n := nearIn(x, l, iam.MissCondition)
	if n == nil {
		return nil
	}
	d, _ := textOf(given(sc), &n.Reference)
	if d == nil {
		return nil
	}
	var lines []string
	for _, c := range d.Statements[n.Index].Conditions {
		if _, has := sc.Request.Context[c.Key]; len(c.Values) == 0 || strings.Contains(c.Operator, "Not") || c.Operator == "Null" || strings.Contains(c.Values[0], "${") || has && len(lines) > 0 {
			continue
		}
		value := strings.NewReplacer("*", "x", "?", "x").Replace(c.Values[0])
		if c.Operator == "IpAddress" {
			value, _, _ = strings.Cut(value, "/")
		}
		v := scenario.Value{Single: value}
		if c.Quantifier != iam.Single {
			v = scenario.Value{Multi: true, List: []string{value}}
		}
		if old, has := sc.Request.Context[c.Key]; has && old.Single == value {
			continue
		}
		sc.Request.Context[c.Key] = v
		lines = append(lines, c.Key+"="+value)
	}
	if len(lines) == 0 {
		return nil
	}
	return &remedy{Title: fmt.Sprintf("In the request: %s of %s asks for it", fmt.Sprintf("statement %d", n.Index+1), n.Policy), Lines: addedLines(strings.Join(lines, "\n"))}
}

// added adds a statement that allows the request and nothing else.
func added(sc *scenario.Scenario, x *iam.Explanation, l iam.Layer) *remedy {
	one := iam.Statement{Effect: iam.Allow, Action: iam.Patterns{Values: []string{sc.Request.Action}}, Resource: iam.Patterns{Values: []string{sc.Request.Resource.ARN}}}
	if l == iam.LayerResource || l == iam.LayerEndpoint {
		one.Principal = principalsOf(sc.Request.Principal)
	}
	text := statementText(one)
	list := policiesAt(sc, l)
	if len(list) == 0 {
		whole := &iam.Document{Version: "2012-10-17", Statements: []iam.Statement{one}}
		p := scenario.Policy{Name: strings.ToLower(layerName(l)), Document: whole.Indent()}
		switch l {
		case iam.LayerIdentity:
			sc.IdentityPolicies = []scenario.Policy{p}
		case iam.LayerResource:
			sc.ResourcePolicy = &p
		case iam.LayerBoundary, iam.LayerSession, iam.LayerSCP, iam.LayerRCP, iam.LayerEndpoint, iam.LayerPublicBuckets:
			return nil // they stop nothing where there are none
		}
		name := map[iam.Layer]string{iam.LayerIdentity: "An identity policy", iam.LayerResource: "A resource policy"}[l]
		return &remedy{name, addedLines(string(whole.Indent()))}
	}
	targets := list[:1]
	title := "Add to " + list[0].Name
	if l == iam.LayerSCP {
		targets = nil
		for i := range sc.ServiceControlPolicies {
			level := &sc.ServiceControlPolicies[i]
			if slices.Contains(x.Levels, level.Level) && len(level.Policies) > 0 {
				targets = append(targets, &level.Policies[0])
			}
		}
		var names []string
		for _, p := range targets {
			names = append(names, p.Name)
		}
		title = "Add to " + listed(names)
	}
	for _, p := range targets {
		if !change(sc, l, p.Name, func(d *iam.Document) { d.Statements = append(d.Statements, one) }) {
			return nil
		}
	}
	return &remedy{title, addedLines(text)}
}

// statementText is a statement by itself.
func statementText(s iam.Statement) string {
	compact, _ := (&iam.Document{Statements: []iam.Statement{s}}).MarshalJSON() // has no error
	var d struct {
		Statement []json.RawMessage `json:"Statement"`
	}
	if json.Unmarshal(compact, &d) != nil || len(d.Statement) != 1 {
		return string(compact)
	}
	text, _ := pretty(string(d.Statement[0]))
	return text
}

// principalsOf names the caller in a policy: of a session its role.
func principalsOf(p scenario.Principal) *iam.Principals {
	switch p.Type {
	case "service":
		return &iam.Principals{Service: []string{p.Service}}
	case "federated":
		return &iam.Principals{Federated: []string{p.ID}}
	case "anonymous":
		return &iam.Principals{Any: true}
	}
	parts := strings.SplitN(p.ARN, ":", 6)
	if len(parts) == 6 && strings.HasPrefix(parts[5], "assumed-role/") {
		if words := strings.Split(parts[5], "/"); len(words) > 2 {
			return &iam.Principals{AWS: []string{strings.Join([]string{"arn", parts[1], "iam", "", parts[4], "role/" + strings.Join(words[1:len(words)-1], "/")}, ":")}}
		}
	}
	return &iam.Principals{AWS: []string{p.ARN}}
}
