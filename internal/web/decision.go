package web

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/scenario"
)

// decision is the answer to a question, as it is drawn.
type decision struct {
	Mark     mark
	Title    string
	Because  string
	Knots    []knot
	Absent   string // the layers that were not given
	Asked    []string
	Remedies []remedy
	Then     string
	Warnings []string
}

// knot is a layer of the evaluation. Label says its state for those who do not see it.
type knot struct {
	State, Label, Name, What string
	Quote                    *quote
}

// quote is a statement with the lines that matter.
type quote struct {
	Title string
	Note  string
	Lines []codeLine
}

// ask decides the question.
func (q *question) ask() {
	sc, ok := q.scenario()
	if !ok {
		return
	}
	asked, failure := sc.Question()
	if failure != nil {
		q.refuse("principal", "%s", sentence(failure.Message))
		return
	}
	x := asked.Explain()
	d := &decision{Warnings: asked.Set.Warnings(), Knots: knotsOf(sc, &x), Asked: unset(sc)}
	lines := x.Lines()
	d.Title, d.Because = titleOf(&x, d.Knots), ""
	switch x.Decision {
	case iam.Allowed:
		d.Mark, d.Because = mark{"ok", "Allowed"}, sentence(lines[len(lines)-1])
	case iam.ExplicitlyDenied:
		d.Mark, d.Because = mark{"fail", "Denied by a statement"}, "No allow overrides it."
	case iam.ImplicitlyDenied:
		d.Mark = mark{"fail", "Denied, since nothing allows it"}
		if near := nearest(&x); near != nil {
			d.Because = "One statement comes close: " + near.String() + " " + sentenceEnd(near.Why)
		} else if i := slices.IndexFunc(lines, func(l string) bool {
			return strings.HasPrefix(l, "resource policy: the resource is of another account")
		}); i >= 0 {
			d.Because = sentence(lines[i])
		}
	}
	d.Absent = absent(sc)
	d.Remedies, d.Then = remediesOf(sc, &x)
	q.Answer = d
	q.link()
}

func titleOf(x *iam.Explanation, knots []knot) string {
	switch x.Decision {
	case iam.Allowed:
		return "Allowed."
	case iam.ExplicitlyDenied:
		return "Denied: a statement forbids it."
	case iam.ImplicitlyDenied:
	}
	for _, k := range knots {
		if k.State == "fail" && k.Name != layerName(iam.LayerIdentity) {
			return "Denied: " + strings.ToLower(k.Name[:1]) + k.Name[1:] + " do" + singular(k.Name) + " not allow it."
		}
	}
	return "Denied: no statement allows it."
}

// singular is the ending of a verb whose subject is a layer.
func singular(name string) string {
	if strings.HasSuffix(name, "policies") {
		return ""
	}
	return "es"
}

// nearest is the near miss that is told: of the layer that is missing first.
func nearest(x *iam.Explanation) *iam.Near {
	for _, l := range x.Missing {
		for i := range x.Near {
			if x.Near[i].Layer == l {
				return &x.Near[i]
			}
		}
	}
	if len(x.Near) > 0 {
		return &x.Near[0]
	}
	return nil
}

// evaluation is the order in which AWS asks the layers, once no statement denies.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
func evaluation() []iam.Layer {
	return []iam.Layer{
		iam.LayerRCP, iam.LayerSCP, iam.LayerEndpoint, iam.LayerResource, iam.LayerIdentity, iam.LayerBoundary, iam.LayerSession,
	}
}

func layerName(l iam.Layer) string {
	switch l {
	case iam.LayerRCP:
		return "Resource control policies"
	case iam.LayerSCP:
		return "Service control policies"
	case iam.LayerEndpoint:
		return "VPC endpoint policy"
	case iam.LayerResource:
		return "Resource policy"
	case iam.LayerIdentity:
		return "Identity policies"
	case iam.LayerBoundary:
		return "Permissions boundary"
	case iam.LayerSession:
		return "Session policies"
	case iam.LayerPublicBuckets:
	}
	return "S3 Block Public Access"
}

// given are the policies of each layer.
func given(sc *scenario.Scenario) map[iam.Layer][]scenario.Policy {
	out := map[iam.Layer][]scenario.Policy{iam.LayerIdentity: sc.IdentityPolicies}
	if sc.ResourcePolicy != nil {
		out[iam.LayerResource] = []scenario.Policy{*sc.ResourcePolicy}
	}
	for layer, list := range map[iam.Layer]*[]scenario.Policy{
		iam.LayerBoundary: sc.PermissionBoundary, iam.LayerSession: sc.SessionPolicies, iam.LayerEndpoint: sc.VPCEndpointPolicies,
	} {
		if list != nil {
			out[layer] = *list
		}
	}
	for layer, levels := range map[iam.Layer][]scenario.Level{iam.LayerSCP: sc.ServiceControlPolicies, iam.LayerRCP: sc.ResourceControlPolicies} {
		for _, l := range levels {
			out[layer] = append(out[layer], l.Policies...)
		}
	}
	return out
}

// knotsOf draws the evaluation: first whether anything denies, then the layers that were given, up to the one that decides.
func knotsOf(sc *scenario.Scenario, x *iam.Explanation) []knot {
	all := given(sc)
	first := knot{State: "ok", Label: "Does not stop it", Name: "Explicit denies", What: statementsIn(all) + ", none denies it"}
	over := false
	if x.Decision == iam.ExplicitlyDenied {
		over = true
		first.State, first.Label, first.What = "fail", "Stops here", references(x.Statements)+" denies it"
		if len(x.Statements) > 1 {
			first.What = references(x.Statements) + " deny it"
		}
		first.Quote = quoteOf(all, &x.Statements[0], "denies it", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition")
	}
	knots := []knot{first}
	for _, l := range evaluation() {
		if len(all[l]) == 0 && (l != iam.LayerIdentity || sc.Request.Principal.Type != "aws") && !slices.Contains(x.Missing, l) {
			continue
		}
		k := knot{State: "idle", Label: "Not consulted", Name: layerName(l), What: "not consulted"}
		if !over {
			over = layerKnot(&k, l, all, x)
		}
		knots = append(knots, k)
	}
	if x.Decision != iam.Allowed && !over { // what AWS keeps to itself, whatever policies say
		what := "stops it"
		if lines := x.Lines(); len(lines) > 1 {
			what = lines[1]
		}
		knots = append(knots, knot{State: "fail", Label: "Stops here", Name: "AWS itself", What: what})
	}
	return knots
}

// layerKnot says what a layer does when nothing denies. over means that it decides.
func layerKnot(k *knot, l iam.Layer, all map[iam.Layer][]scenario.Policy, x *iam.Explanation) (over bool) {
	var allows []iam.Reference
	for _, s := range x.Statements {
		if s.Layer == l && s.Effect == iam.Allow {
			allows = append(allows, s)
		}
	}
	switch {
	case slices.Contains(x.Missing, l):
		k.State, k.Label = "fail", "Stops here"
		if len(all[l]) == 0 {
			k.What = "none is given, and one must allow it"
		} else {
			k.What = statementsIn(map[iam.Layer][]scenario.Policy{l: all[l]}) + ", none allows it"
		}
		if l == iam.LayerSCP && len(x.Levels) > 0 {
			k.What += " at " + listed(x.Levels)
		}
		for i := range x.Near {
			if x.Near[i].Layer == l {
				k.Quote = nearQuote(all, &x.Near[i])
				break
			}
		}
		return true
	case len(allows) > 0:
		k.State, k.Label = "ok", "Allows"
		k.What = references(allows) + " allows it"
		if len(allows) > 1 {
			k.What = references(allows) + " allow it"
		}
	case l == iam.LayerRCP:
		k.State, k.Label, k.What = "ok", "Does not stop it", "deny nothing here"
	default:
		k.State, k.Label, k.What = "ok", "Does not stop it", "no statement matches; its word is not needed here"
	}
	return false
}

// statementsIn counts: 3 policies, 11 statements.
func statementsIn(all map[iam.Layer][]scenario.Policy) string {
	policies, statements := 0, 0
	for _, list := range all {
		for _, p := range list {
			policies++
			if d, err := iam.Parse(p.Document); err == nil {
				statements += len(d.Statements)
			}
		}
	}
	return count(policies, "policy", "policies") + ", " + count(statements, "statement", "statements")
}

// references names statements; many are counted.
func references(list []iam.Reference) string {
	const most = 2
	var words []string
	for _, r := range list[:min(most, len(list))] {
		words = append(words, r.String())
	}
	if n := len(list) - most; n > 0 {
		words = append(words, grouped(n)+" more")
	}
	return listed(words)
}

// textOf is the document of a statement.
func textOf(all map[iam.Layer][]scenario.Policy, r *iam.Reference) (*iam.Document, []byte) {
	for _, p := range all[r.Layer] {
		if p.Name != r.Policy {
			continue
		}
		if d, err := iam.Parse(p.Document); err == nil && r.Index < len(d.Statements) {
			return d, p.Document
		}
	}
	return nil, nil
}

// quoteOf quotes a statement as it stands in its policy, laid out, with the lines of members marked.
func quoteOf(all map[iam.Layer][]scenario.Policy, r *iam.Reference, note string, members ...string) *quote {
	d, text := textOf(all, r)
	if d == nil {
		return nil
	}
	s := d.Statements[r.Index]
	body, ok := pretty(string(text[s.Pos.Offset:s.End.Offset]))
	if !ok {
		return nil
	}
	q := &quote{Title: r.Policy, Note: fmt.Sprintf("statement %d, %s", r.Index+1, note), Lines: linesOf(body)}
	marking := false
	for i := range q.Lines {
		line := q.Lines[i].Text
		if member, ok := strings.CutPrefix(line, `  "`); ok { // of the statement itself
			name, _, _ := strings.Cut(member, `"`)
			marking = slices.Contains(members, name)
		}
		if marking && line != "}" {
			q.Lines[i].Class = "bad"
		}
	}
	return q
}

func nearQuote(all map[iam.Layer][]scenario.Policy, n *iam.Near) *quote {
	var members []string
	switch n.Miss {
	case iam.MissAction:
		members = []string{"Action", "NotAction"}
	case iam.MissResource:
		members = []string{"Resource", "NotResource"}
	case iam.MissCondition:
		members = []string{"Condition"}
	case iam.MissPrincipal:
		members = []string{"Principal", "NotPrincipal"}
	}
	return quoteOf(all, &n.Reference, "nearest miss", members...)
}

// absent names the layers that were not given, for they may decide in AWS.
func absent(sc *scenario.Scenario) string {
	all := given(sc)
	var names []string
	for _, l := range evaluation() {
		if len(all[l]) == 0 {
			name := layerName(l)
			if l != iam.LayerEndpoint {
				name = strings.ToLower(name[:1]) + name[1:]
			}
			names = append(names, name)
		}
	}
	return listed(names)
}

// unset are the condition keys that the policies ask for and the request does not have.
func unset(sc *scenario.Scenario) []string {
	has := map[string]bool{}
	for key := range sc.Request.Context {
		has[strings.ToLower(key)] = true
	}
	var out []string
	for _, list := range given(sc) {
		for _, p := range list {
			d, err := iam.Parse(p.Document)
			if err != nil {
				continue
			}
			for _, s := range d.Statements {
				for _, c := range s.Conditions {
					if !has[strings.ToLower(c.Key)] {
						has[strings.ToLower(c.Key)] = true
						out = append(out, c.Key)
					}
				}
			}
		}
	}
	slices.Sort(out)
	const most = 12
	return out[:min(most, len(out))]
}

// clone is a scenario whose policies and context can be changed. Documents are not copied: a change puts another in their place.
func clone(sc *scenario.Scenario) *scenario.Scenario {
	out := *sc
	optional := func(list *[]scenario.Policy) *[]scenario.Policy {
		if list == nil {
			return nil
		}
		own := slices.Clone(*list)
		return &own
	}
	levels := func(list []scenario.Level) []scenario.Level {
		own := slices.Clone(list)
		for i := range own {
			own[i].Policies = slices.Clone(own[i].Policies)
		}
		return own
	}
	out.Request.Context = maps.Clone(sc.Request.Context)
	out.IdentityPolicies = slices.Clone(sc.IdentityPolicies)
	out.PermissionBoundary, out.SessionPolicies, out.VPCEndpointPolicies = optional(sc.PermissionBoundary), optional(sc.SessionPolicies), optional(sc.VPCEndpointPolicies)
	out.ServiceControlPolicies, out.ResourceControlPolicies = levels(sc.ServiceControlPolicies), levels(sc.ResourceControlPolicies)
	if sc.ResourcePolicy != nil {
		own := *sc.ResourcePolicy
		out.ResourcePolicy = &own
	}
	return &out
}

// sentenceEnd is the end of a sentence.
func sentenceEnd(text string) string { return strings.TrimSuffix(text, ".") + "." }
