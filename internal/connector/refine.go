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
		d = p.refineAssumeRole(d, f, c)
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
	a := askedOf(f)
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
		d = p.refusedAllTheSame(d, a, denial)
	case NotKnown:
		for _, why := range j.Why {
			d.Evidence = append(d.Evidence, Fact{"Unknown, because", why})
		}
	}
	return d
}

// askedOf is what a refused call asked for.
func askedOf(f Failure) Asked {
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
	return a
}

// refusedAllTheSame is what is left when the policies that were read allow what AWS refuses: a layer that nobody can read from
// here, or a change that has not arrived everywhere.
func (p *Permissions) refusedAllTheSame(d Diagnosis, a Asked, denial Denial) Diagnosis {
	scp := p.Unknown(PartSCP)
	switch read := denial.Layer == "identity-based policy" || denial.Layer == "permissions boundary" || denial.Layer == "service control policy" && scp == ""; {
	case denial.Layer != "" && !read:
		d.Cause += " The policies that could be read allow it."
	case denial.Layer == "" && scp != "":
		d.Cause = fmt.Sprintf("AWS refuses %s, although the policies that could be read allow it. The organization's service control policies could not be read and are the likeliest to deny it.", a.Action)
		d.Remedy = append([]string{"Ask who administers the organization for a service control policy that denies " + a.Action + ", or does not allow it."}, afterwards(d.Remedy)...)
	default:
		d.Cause = fmt.Sprintf("AWS refuses %s, although the policies that could be read allow it: a change of the last minutes has not arrived everywhere yet. AWS can take up to five minutes.", a.Action)
		d.Remedy = append([]string{"Wait, up to five minutes from the change, and test again with --fresh. If it stays after that, show AWS's words to whoever changed the policy."}, onlyAround(d.Remedy)...)
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

// onlyAround keeps of a general remedy the way around.
func onlyAround(remedy []string) []string {
	return slices.DeleteFunc(slices.Clone(remedy), func(r string) bool { return !strings.Contains(r, "--identity-only") })
}

// refineAssumeRole looks at both sides of an AssumeRole: what the identity may, and whom the role lets in.
func (p *Permissions) refineAssumeRole(d Diagnosis, f Failure, c Connector) Diagnosis {
	if c.CrossAccount == nil {
		return d
	}
	role, region := c.CrossAccount.RoleARN, c.TestRegion()
	denial, _ := ParseDenial(f.Message)
	a := Asked{Action: "sts:AssumeRole", Resource: role}
	who, err := p.Caller()
	if err != nil {
		return d
	}
	mine := p.ownSide(a, who, region)
	theirs, trust := p.trustSide(who, c, region, false)
	if mine.Answer == MayDo && theirs.Answer == MayDo {
		// AWS refused it all the same: a condition on what is not known from here does not hold.
		theirs, trust = p.trustSide(who, c, region, true)
	}
	absent, elsewhere := p.absent(role)
	var fixes []Fix
	var causes []string
	if mine.Answer == MayNotDo {
		causes = append(causes, p.cause(a, mine))
		fixes = append(fixes, p.mend(&mine)...)
		d.Evidence = append(d.Evidence, p.quoted(mine.Explanation)...)
	}
	target, _ := arn.Parse(role)
	foreign := target.Account != who.Account()
	switch named := namedLayer(denial, a.Action); {
	case elsewhere != "":
		causes = append(causes, fmt.Sprintf("The account has a role of that name, but under the ARN %s.", elsewhere))
		fixes = append(fixes, Fix{What: fmt.Sprintf("Set crossAccountRoleArn in the connector to %s.", elsewhere)})
	case absent:
		causes = append(causes, fmt.Sprintf("There is no such role in account %s.", target.Account))
		fixes = append(fixes, Fix{What: "Correct crossAccountRoleArn in the connector, or create the role; it needs policies of its own, too."}, p.created(who, c))
	case mine.Answer == MayDo && theirs.Answer != MayNotDo && named.cause != "":
		// AWS names a layer that is on neither side, so neither is to be changed.
		d.Cause = fmt.Sprintf("%s may not assume %s. %s", p.Principal, role, named.cause)
		d.Remedy = named.remedy
		return d
	case theirs.Answer == MayDo && mine.Answer == MayDo:
		causes = append(causes, "Both its own policies and the role's trust policy allow it: a change of the last minutes has not arrived everywhere yet. AWS can take up to five minutes.")
		fixes = append(fixes, Fix{What: "Wait, up to five minutes from the change, and test again with --fresh."})
	case theirs.Answer == MayNotDo && p.wantedExternalID(who, c, region) != "":
		sent := "the connector sends none"
		if c.CrossAccount.ExternalID != "" {
			sent = fmt.Sprintf("the connector sends %q", c.CrossAccount.ExternalID)
		}
		causes = append(causes, fmt.Sprintf("The role's trust policy asks for another external id: %s.", sent))
		fixes = append(fixes, Fix{What: fmt.Sprintf("Set externalId in the connector to %q, which the trust policy asks for.", p.wantedExternalID(who, c, region))})
		d.Evidence = append(d.Evidence, Fact{"Trust policy", p.Target.Document})
	case theirs.Answer == MayNotDo:
		causes = append(causes, trustCause(trust))
		for _, n := range trust.Near {
			causes = append(causes, fmt.Sprintf("Its statement %d %s.", n.Index+1, n.Why))
		}
		d.Evidence = append(d.Evidence, Fact{"Trust policy", p.Target.Document})
		if trust.Decision == iam.ExplicitlyDenied {
			fixes = append(fixes, p.exempted(who, c, trust))
		} else {
			fixes = append(fixes, p.trusted(who, c))
		}
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
	if theirs.Answer != NotKnown || absent || elsewhere != "" {
		return d // all is known: nothing is left to compare
	}
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

// trustCause says how the trust policy refuses.
func trustCause(trust iam.Explanation) string {
	if trust.Decision != iam.ExplicitlyDenied {
		return "The role's trust policy does not let it in."
	}
	var by []string
	for _, s := range trust.Statements {
		by = append(by, s.String())
	}
	return fmt.Sprintf("The role's trust policy denies it: %s.", strings.Join(by, " and "))
}

// exempted takes the identity out of the statements of the trust policy that deny.
func (p *Permissions) exempted(who iam.Principal, c Connector, trust iam.Explanation) Fix {
	d, err := iam.Parse([]byte(p.Target.Document))
	if err != nil {
		return Fix{What: "Narrow the statement with Effect Deny in the role's trust policy."}
	}
	for _, s := range trust.Statements {
		if s.Index < len(d.Statements) {
			one := &d.Statements[s.Index]
			one.Conditions = append(one.Conditions, iam.Condition{Operator: "ArnNotEquals", Key: "aws:PrincipalArn", Values: p.letIn(who, c).Principal.AWS})
		}
	}
	return Fix{What: "Exempt the identity from what the role's trust policy denies.", Command: trustCommand(c, d)}
}

func trustCommand(c Connector, d *iam.Document) string {
	name := c.CrossAccount.RoleARN[strings.LastIndexByte(c.CrossAccount.RoleARN, '/')+1:]
	return fmt.Sprintf("aws iam update-assume-role-policy --role-name %s --policy-document %s", shellQuote(name), shellQuote(compact(d)))
}

// trustSide is whether the role's trust policy lets the identity in, with the external id that the connector sends. Strictly,
// what the request carries and is not known here is taken to be absent; else it is taken in favour of the request.
func (p *Permissions) trustSide(who iam.Principal, c Connector, region string, strictly bool) (Judgement, iam.Explanation) {
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
	}, iam.Settings{Discover: !strictly, Knowledge: []iam.Knowledge{{Key: "sts:ExternalId", PresenceKnown: true, ValueKnown: true}}})
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

// absent reports that the role is not there, as far as the identity can see: only roles of its own account. Where there is one
// of the same name under another path, its ARN is given.
func (p *Permissions) absent(role string) (absent bool, elsewhere string) {
	if p.Target != nil && p.Target.ARN != role {
		return false, p.Target.ARN
	}
	return slices.ContainsFunc(p.Unread, func(u Unread) bool { return u.What == PartTrust && u.Code == "NoSuchEntity" }), ""
}

// created makes the role, with a trust policy that lets the identity in.
func (p *Permissions) created(who iam.Principal, c Connector) Fix {
	_, path, _ := strings.Cut(c.CrossAccount.RoleARN, ":role/")
	path, name := path[:strings.LastIndexByte(path, '/')+1], path[strings.LastIndexByte(path, '/')+1:]
	command := "aws iam create-role --role-name " + shellQuote(name)
	if path != "" {
		command += " --path " + shellQuote("/"+path)
	}
	d := &iam.Document{Version: "2012-10-17", Statements: []iam.Statement{p.letIn(who, c)}}
	return Fix{What: "This creates it, and lets the identity in.", Command: command + " --assume-role-policy-document " + shellQuote(compact(d))}
}

// wantedExternalID is the external id with which the trust policy would let the identity in, or "" when it would not for
// that reason.
func (p *Permissions) wantedExternalID(who iam.Principal, c Connector, region string) string {
	d, err := iam.Parse([]byte(p.Target.Document))
	if err != nil {
		return ""
	}
	const most = 20 // each is a whole decision
	tried := 0
	for _, s := range d.Statements {
		for _, condition := range s.Conditions {
			if !strings.EqualFold(condition.Key, "sts:ExternalId") {
				continue
			}
			for _, value := range condition.Values {
				if tried++; tried > most || value == "" || strings.ContainsAny(value, "*?$") {
					continue
				}
				with, cross := c, *c.CrossAccount
				cross.ExternalID = value
				with.CrossAccount = &cross
				if j, _ := p.trustSide(who, with, region, false); j.Answer == MayDo {
					return value
				}
			}
		}
	}
	return ""
}

// letIn is the statement of a trust policy that lets the identity in.
func (p *Permissions) letIn(who iam.Principal, c Connector) iam.Statement {
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
	return one
}

// trusted lets the identity in by the role's trust policy: with a statement of its own beside those that are known.
func (p *Permissions) trusted(who iam.Principal, c Connector) Fix {
	one := p.letIn(who, c)
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
	return Fix{What: what + ".", Command: trustCommand(c, d)}
}
