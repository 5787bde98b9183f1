package connector

import (
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/service"
	"github.com/belay-dev/belay/internal/arn"
)

// refine makes a diagnosis of a refusal exact by the policies that could be read: it names the statements, and the change
// that mends it. What could not be read is said in the evidence.
func (p *Permissions) refine(d Diagnosis, code string, f Failure, c Connector) Diagnosis {
	switch code {
	case PermissionMissing:
		d = p.refinePermission(d, f, c)
	case RoleNotAssumable:
		d = p.refineAssumeRole(d, c)
	default:
		return d
	}
	for _, u := range p.Unread {
		d.Evidence = append(d.Evidence, Fact{"Not read", fmt.Sprintf("%s: %s answered %s", u.What, u.Action, u.Code)})
	}
	return d
}

func (p *Permissions) refinePermission(d Diagnosis, f Failure, c Connector) Diagnosis {
	denial, _ := ParseDenial(f.Message)
	a := Asked{Action: denial.Action, Resource: "*"}
	if a.Action == "" {
		a.Action = f.Service + ":" + f.Operation
	}
	if denial.Resource != "" {
		a.Resource = denial.Resource
	}
	if reference, err := service.Load(); err == nil {
		if action, known := reference.Action(a.Action); known && action.Resourceless() {
			a.Resource = "*"
		}
	}
	region := f.Region
	if region == "" {
		region = c.TestRegion()
	}
	j := p.Judge(region).May(a)
	if p.Decoded != "" {
		d.Evidence = append(d.Evidence, Fact{"AWS's message, decoded", p.Decoded})
	}
	switch j.Answer {
	case MayNotDo:
		d.Cause = p.cause(a, j)
		d.Evidence = append(d.Evidence, p.quoted(j.Explanation)...)
		if fixes := p.mend(&j); len(fixes) > 0 {
			d.Remedy = append(said(fixes), afterwards(d.Remedy)...)
		}
	case MayDo:
		d.Cause = fmt.Sprintf("AWS refuses %s, although the policies that could be read allow it.", a.Action)
		if scp := p.Unknown(PartSCP); scp != "" {
			d.Cause += " The organization's service control policies could not be read and are the likeliest to deny it."
		} else {
			d.Cause += " A changed policy may not have arrived everywhere yet."
		}
		if scp := p.Unknown(PartSCP); scp != "" {
			d.Remedy = append([]string{"Ask who administers the organization for a service control policy that denies " + a.Action + ", or does not allow it."}, afterwards(d.Remedy)...)
		}
	case NotKnown:
		for _, why := range j.Why {
			d.Evidence = append(d.Evidence, Fact{"Unknown, because", why})
		}
	}
	return d
}

// cause says in a sentence or two what stands in the way.
func (p *Permissions) cause(a Asked, j Judgement) string {
	x := j.Explanation
	if x.Decision == iam.ExplicitlyDenied {
		var all []string
		for _, s := range x.Statements {
			all = append(all, s.String())
		}
		verb := "denies"
		if len(all) > 1 {
			verb = "deny"
		}
		return fmt.Sprintf("%s %s %s.", upper(strings.Join(all, " and ")), verb, a.Action)
	}
	var out []string
	for _, layer := range x.Missing {
		switch layer {
		case iam.LayerIdentity:
			out = append(out, fmt.Sprintf("No policy of the identity allows %s.", a.Action))
		case iam.LayerBoundary:
			name := "the permissions boundary"
			if p.Boundary != nil {
				name += " " + p.Boundary.Title()
			}
			out = append(out, fmt.Sprintf("%s does not allow %s.", upper(name), a.Action))
		case iam.LayerSCP:
			out = append(out, fmt.Sprintf("No service control policy at %s allows %s.", strings.Join(x.Levels, ", "), a.Action))
		case iam.LayerResource, iam.LayerSession, iam.LayerRCP, iam.LayerEndpoint, iam.LayerPublicBuckets:
			out = append(out, fmt.Sprintf("The %s does not allow %s.", layer, a.Action))
		}
	}
	if len(x.Near) > 0 {
		near := x.Near[0]
		out = append(out, fmt.Sprintf("The nearest is %s: it %s.", near.Reference, near.Why))
	}
	if len(out) == 0 {
		return strings.Join(j.Why, ". ") + "."
	}
	return strings.Join(out, " ")
}

// quoted are the statements that decided, or came nearest, as they stand in their policies.
func (p *Permissions) quoted(x iam.Explanation) []Fact {
	refs := slices.Clone(x.Statements)
	if x.Decision != iam.ExplicitlyDenied {
		refs = nil
	}
	for _, n := range x.Near {
		refs = append(refs, n.Reference)
	}
	var out []Fact
	for _, s := range refs {
		t, ok := p.text(s)
		if !ok {
			continue
		}
		d, err := iam.Parse([]byte(t.Document))
		if err != nil || s.Index >= len(d.Statements) {
			continue
		}
		text := compact(&iam.Document{Statements: d.Statements[s.Index : s.Index+1]})
		text = strings.TrimSuffix(strings.TrimPrefix(text, `{"Statement":[`), `]}`)
		out = append(out, Fact{upper(s.String()), text})
	}
	return out
}

// said writes fixes as remedies: what to change, and the command that does.
func said(fixes []Fix) []string {
	var out []string
	for _, f := range fixes {
		out = append(out, f.What)
		if f.Command != "" {
			out = append(out, f.Command)
		}
	}
	return out
}

// afterwards keeps of a general remedy what comes after the change: waiting, and the way around.
func afterwards(remedy []string) []string {
	return slices.DeleteFunc(slices.Clone(remedy), func(r string) bool {
		return !strings.Contains(r, "--fresh") && !strings.Contains(r, "--identity-only")
	})
}

// refineAssumeRole looks at both sides of an AssumeRole: what the identity may, and whom the role lets in.
func (p *Permissions) refineAssumeRole(d Diagnosis, c Connector) Diagnosis {
	if c.CrossAccount == nil {
		return d
	}
	role, region := c.CrossAccount.RoleARN, c.TestRegion()
	a := Asked{Action: "sts:AssumeRole", Resource: role}
	who, err := p.Caller()
	if err != nil {
		return d
	}
	mine := p.ownSide(a, who, region)
	theirs, trust := p.trustSide(who, c, region)
	var fixes []Fix
	var causes []string
	if mine.Answer == MayNotDo {
		causes = append(causes, p.cause(a, mine))
		fixes = append(fixes, p.mend(&mine)...)
		d.Evidence = append(d.Evidence, p.quoted(mine.Explanation)...)
	}
	target, _ := arn.Parse(role)
	foreign := target.Account != who.Account()
	switch {
	case theirs.Answer == MayNotDo:
		cause := "The role's trust policy does not let it in."
		if trust.Decision == iam.ExplicitlyDenied {
			cause = "The role's trust policy denies it."
		}
		causes = append(causes, cause)
		for _, n := range trust.Near {
			causes = append(causes, fmt.Sprintf("Its statement %d %s.", n.Index+1, n.Why))
		}
		d.Evidence = append(d.Evidence, Fact{"Trust policy", p.Target.Document})
		fixes = append(fixes, p.trusted(who, c))
	case theirs.Answer == NotKnown && mine.Answer == MayDo:
		causes = append(causes, "Its own policies allow it, so what refuses is on the other side: the role's trust policy, the external id, or the role is not there under this ARN.")
		fixes = append(fixes, p.trusted(who, c))
		d.Evidence = append(d.Evidence, Fact{"Policies", strings.Join(mine.Why, "; ")})
	case theirs.Answer == NotKnown && foreign && mine.Answer == MayNotDo:
		causes = append(causes, "Whether the role in the other account would let it in cannot be read from here.")
	}
	if len(causes) == 0 {
		return d
	}
	d.Cause = fmt.Sprintf("%s may not assume %s. %s", p.Principal, role, strings.Join(causes, " "))
	keep := d.Remedy
	d.Remedy = said(fixes)
	for _, r := range keep {
		if strings.Contains(r, "external id") || strings.Contains(r, "externalId") || strings.Contains(r, "Check that the role exists") {
			d.Remedy = append(d.Remedy, r)
		}
	}
	return d
}

// ownSide is whether the identity's own policies allow it, whatever the role says.
func (p *Permissions) ownSide(a Asked, who iam.Principal, region string) Judgement {
	policies, err := p.Policies()
	if err != nil {
		return Judgement{Asked: a, Answer: NotKnown, Why: []string{err.Error()}}
	}
	// A trust policy that delegates to the whole account leaves the decision to the identity's side.
	policies.Resource = delegating(who.Account())
	r := iam.Request{Principal: who, Action: a.Action, Resource: a.Resource, Context: p.Keys(region, "")}
	set, err := iam.Compile(policies, iam.Settings{Discover: true})
	if err != nil {
		return Judgement{Asked: a, Answer: NotKnown, Why: []string{err.Error()}}
	}
	best := set.Explain(&r)
	j := Judgement{Asked: a, Explanation: best}
	switch {
	case best.Decision == iam.ExplicitlyDenied:
		j.Answer = MayNotDo
	case p.Unknown(PartIdentity) != "":
		j.Answer, j.Why = NotKnown, []string{"the identity's policies could not all be read: " + p.Unknown(PartIdentity)}
	case best.Decision == iam.Allowed:
		j.Answer = MayDo
		for _, s := range best.Statements {
			if s.Layer == iam.LayerIdentity {
				j.Why = append(j.Why, s.String()+" allows it")
			}
		}
	default:
		j.Answer = MayNotDo
	}
	return j
}

// trustSide is whether the role's trust policy lets the identity in, with the external id that the connector sends.
func (p *Permissions) trustSide(who iam.Principal, c Connector, region string) (Judgement, iam.Explanation) {
	a := Asked{Action: "sts:AssumeRole", Resource: c.CrossAccount.RoleARN}
	if p.Target == nil {
		return Judgement{Asked: a, Answer: NotKnown, Why: []string{p.Unknown(PartTrust)}}, iam.Explanation{}
	}
	d, err := iam.Parse([]byte(p.Target.Document))
	if err != nil {
		return Judgement{Asked: a, Answer: NotKnown, Why: []string{err.Error()}}, iam.Explanation{}
	}
	set, err := iam.Compile(iam.Policies{
		// The identity's side is looked at by itself.
		Identity: []iam.Policy{{Name: "everything", Document: &iam.Document{Statements: []iam.Statement{{
			Effect: iam.Allow, Action: iam.Patterns{Values: []string{"*"}}, Resource: iam.Patterns{Values: []string{"*"}},
		}}}}},
		Resource: &iam.Policy{Name: "the trust policy", Document: d},
	}, iam.Settings{Discover: true, Knowledge: []iam.Knowledge{{Key: "sts:ExternalId", PresenceKnown: true, ValueKnown: true}}})
	if err != nil {
		return Judgement{Asked: a, Answer: NotKnown, Why: []string{err.Error()}}, iam.Explanation{}
	}
	r := iam.Request{Principal: who, Action: a.Action, Resource: a.Resource, Context: p.Keys(region, "")}
	if c.CrossAccount.ExternalID != "" {
		r.Context.Set("sts:ExternalId", c.CrossAccount.ExternalID)
	}
	x := set.Explain(&r)
	j := Judgement{Asked: a, Answer: MayNotDo, Why: x.Lines()[1:], Explanation: x}
	if x.Decision == iam.Allowed {
		j.Answer = MayDo
	}
	return j, x
}

// trusted lets the identity in by the role's trust policy: with a statement of its own beside those that are known.
func (p *Permissions) trusted(who iam.Principal, c Connector) Fix {
	principal := p.Principal
	if p.Role != "" {
		principal = p.Role
	} else if a, err := arn.Parse(principal); err == nil && who.Kind() == iam.KindSession {
		words := strings.Split(a.Resource, "/")
		principal = fmt.Sprintf("arn:%s:iam::%s:role/%s", a.Partition, a.Account, words[1])
	}
	one := iam.Statement{
		SID: "BelayConnector", Effect: iam.Allow, Principal: &iam.Principals{AWS: []string{principal}}, Action: iam.Patterns{Values: []string{"sts:AssumeRole"}},
	}
	if c.CrossAccount.ExternalID != "" {
		one.Conditions = []iam.Condition{{Operator: "StringEquals", Key: "sts:ExternalId", Values: []string{c.CrossAccount.ExternalID}}}
	}
	d := &iam.Document{Version: "2012-10-17"}
	what := "Let the identity in by the role's trust policy"
	if p.Target != nil {
		if old, err := iam.Parse([]byte(p.Target.Document)); err == nil {
			d = old
			d.Statements = slices.DeleteFunc(d.Statements, func(s iam.Statement) bool { return s.SID == one.SID })
		}
		what += ": a statement more"
	} else {
		what += ", in the role's account. The command replaces the trust policy: keep the statements that others need"
	}
	d.Statements = append(d.Statements, one)
	name := c.CrossAccount.RoleARN[strings.LastIndexByte(c.CrossAccount.RoleARN, '/')+1:]
	return Fix{
		What:    what + ".",
		Command: fmt.Sprintf("aws iam update-assume-role-policy --role-name %s --policy-document %s", shellQuote(name), shellQuote(compact(d))),
	}
}
