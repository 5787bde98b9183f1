package sandbox

import (
	"maps"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
)

func simulateOperations() map[string]operation {
	return map[string]operation{
		"SimulatePrincipalPolicy": {resource: func(c *call) string { return c.params.text("PolicySourceArn") }, run: (*call).simulatePrincipalPolicy},
		"SimulateCustomPolicy":    {run: (*call).simulateCustomPolicy},
	}
}

// documents reads a list of policies that a simulation brings along.
func (c *call) documents(param string) ([]iam.Policy, error) {
	var out []iam.Policy
	for i, text := range c.params.list(param) {
		d, err := readPolicy(identityPolicy, text)
		if err != nil {
			f := asFailure(err)
			return nil, fail(400, "InvalidInput", "%s.%d: %s", param, i+1, f.message)
		}
		out = append(out, iam.Policy{Name: param + "." + number("", i+1).text, Document: d.parsed})
	}
	return out, nil
}

func (c *call) simulatePrincipalPolicy() ([]node, error) {
	source := c.params.text("PolicySourceArn")
	st := c.s.effective(c.now)
	a := st.Accounts[accountIn(source)]
	if a == nil || a.ID != c.caller.account {
		return nil, invalid("Invalid Entity Arn: %s does not clearly define entity type and name.", clip(source))
	}
	var p iam.Policies
	who, ok := a.holderByARN(source)
	if g := a.Groups[strings.ToLower(lastPart(source))]; !ok && g != nil && a.groupARN(g) == source {
		var err error
		if p.Identity, _, err = c.s.held(a, g.holder, "group "+g.Name); err != nil {
			return nil, err
		}
		who = &caller{account: a.ID, arn: a.arn("user/simulated"), userID: g.ID}
		ok = true
	} else if ok {
		var err error
		if p, err = c.s.policies(st, question{who: who, action: "sts:AssumeRole", account: a.ID}); err != nil {
			return nil, err
		}
		p.RCP = nil // AWS's simulator does not know them
	}
	if !ok {
		return nil, noSuchEntity("The entity %s cannot be found.", clip(source))
	}
	more, err := c.documents("PolicyInputList")
	if err != nil {
		return nil, err
	}
	p.Identity = append(p.Identity, more...)
	return c.simulate(st, who, p)
}

func (c *call) simulateCustomPolicy() ([]node, error) {
	var p iam.Policies
	var err error
	if p.Identity, err = c.documents("PolicyInputList"); err != nil {
		return nil, err
	}
	who := &caller{account: c.caller.account, arn: c.account().arn("user/simulated")}
	return c.simulate(c.s.effective(c.now), who, p)
}

// maxSimulated bounds one simulation: actions by resources.
const maxSimulated = 1000

// simulate asks the engine about each action on each resource.
func (c *call) simulate(st *state, who *caller, p iam.Policies) ([]node, error) {
	boundary, err := c.documents("PermissionsBoundaryPolicyInputList")
	if err != nil {
		return nil, err
	}
	if boundary != nil {
		p.Boundary = boundary
	}
	if text := c.params.text("ResourcePolicy"); text != "" {
		d, err := iam.Parse([]byte(text))
		if err != nil {
			return nil, fail(400, "InvalidInput", "ResourcePolicy: %s", err)
		}
		p.Resource = &iam.Policy{Name: "ResourcePolicy", Document: d}
	}
	actions, resources := c.params.list("ActionNames"), c.params.list("ResourceArns")
	if len(actions) == 0 {
		return nil, invalid("1 validation error detected: Value null at 'actionNames' failed to satisfy constraint: Member must not be null")
	}
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	if len(actions)*len(resources) > maxSimulated {
		return nil, fail(400, "InvalidInput", "%d actions on %d resources are more than one simulation takes.", len(actions), len(resources))
	}
	if one := c.params.text("CallerArn"); one != "" {
		who = &caller{account: accountIn(one), arn: one}
	}
	set, err := iam.Compile(p, iam.Settings{})
	if err != nil {
		return nil, err
	}
	context := c.simulatedContext(st, who)
	type result struct {
		action, resource string
		e                iam.Explanation
	}
	var results []result
	for _, action := range actions {
		for _, resource := range resources {
			q := question{who: who, action: action, resource: resource, account: c.params.text("ResourceOwner"), context: context}
			if q.account == "" {
				if q.account = accountIn(resource); q.account == "" {
					q.account = who.account
				}
			}
			q.resourceless = resource == "*" && resourceless(action)
			r, err := q.request(st)
			if err != nil {
				return nil, invalid("%s", err)
			}
			results = append(results, result{action, resource, set.Explain(r)})
		}
	}
	return page(c, "EvaluationResults", results, func(r result) []node {
		return c.evaluation(p, r.action, r.resource, r.e)
	})
}

// simulatedContext is what AWS's simulator fills in by itself, and what the call gives.
func (c *call) simulatedContext(st *state, who *caller) map[string][]string {
	context := map[string][]string{}
	st.principalContext(who, func(key string, values ...string) {
		if len(values) > 0 && values[0] != "" {
			context[key] = values
		}
	})
	for _, one := range c.params.structs("ContextEntries") {
		name := one.text("ContextKeyName")
		maps.DeleteFunc(context, func(k string, _ []string) bool { return strings.EqualFold(k, name) })
		context[name] = one.list("ContextKeyValues")
	}
	return context
}

// evaluation is one answer of a simulation, or the one that was scripted for the action.
func (c *call) evaluation(p iam.Policies, action, resource string, e iam.Explanation) []node {
	decision := map[iam.Decision]string{iam.Allowed: "allowed", iam.ImplicitlyDenied: "implicitDeny", iam.ExplicitlyDenied: "explicitDeny"}[e.Decision]
	for name, scripted := range c.state().Settings.Simulations {
		if strings.EqualFold(name, action) {
			decision = scripted
		}
	}
	out := []node{
		leaf("EvalActionName", action), leaf("EvalResourceName", resource), leaf("EvalDecision", decision),
		list("MatchedStatements", ofTheAccount(e.Statements), func(r iam.Reference) []node {
			end := r.Pos
			if d := documentNamed(p, r.Policy); d != nil && r.Index < len(d.Statements) {
				end = d.Statements[r.Index].End
			}
			return []node{
				leaf("SourcePolicyId", r.Policy), leaf("SourcePolicyType", sourceType(r)),
				tree("StartPosition", number("Line", r.Pos.Line), number("Column", r.Pos.Column)),
				tree("EndPosition", number("Line", end.Line), number("Column", end.Column)),
			}
		}),
		texts("MissingContextValues", nil),
	}
	stops := func(layer iam.Layer) bool {
		return slices.Contains(e.Missing, layer) || slices.Contains(e.BlockedBy, layer)
	}
	if p.SCP != nil {
		out = append(out, tree("OrganizationsDecisionDetail", flag("AllowedByOrganizations", !stops(iam.LayerSCP))))
	}
	if p.Boundary != nil {
		out = append(out, tree("PermissionsBoundaryDecisionDetail", flag("AllowedByPermissionsBoundary", !stops(iam.LayerBoundary))))
	}
	return out
}

// ofTheAccount leaves out the statements of control policies, of which AWS's simulator tells only the verdict.
func ofTheAccount(all []iam.Reference) []iam.Reference {
	return slices.DeleteFunc(slices.Clone(all), func(r iam.Reference) bool { return r.Layer == iam.LayerSCP || r.Layer == iam.LayerRCP })
}

func sourceType(r iam.Reference) string {
	switch {
	case r.Layer == iam.LayerResource:
		return "resource"
	case strings.Contains(r.Policy, ":iam::aws:policy/"):
		return "aws-managed"
	case strings.HasPrefix(r.Policy, "arn:"):
		return "user-managed"
	}
	for _, kind := range []string{"user", "group", "role"} {
		if strings.Contains(r.Policy, " of "+kind+" ") {
			return kind
		}
	}
	return "none"
}

// documentNamed finds a policy by the name that results use.
func documentNamed(p iam.Policies, name string) *iam.Document {
	all := slices.Concat(p.Identity, p.Boundary, p.Session)
	for _, l := range p.SCP {
		all = append(all, l.Policies...)
	}
	if p.Resource != nil {
		all = append(all, *p.Resource)
	}
	for _, one := range all {
		if one.Name == name {
			return one.Document
		}
	}
	return nil
}
