package connector

import (
	"fmt"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/service"
)

// Answer is whether an identity may do something. What is not known is no "no".
type Answer string

// The answers.
const (
	MayDo    Answer = "allowed"
	MayNotDo Answer = "denied"
	NotKnown Answer = "unknown"
)

// Judgement is the answer for one action on one resource, and its reasons.
type Judgement struct {
	Asked
	Answer Answer
	// Why says what decided: the statements, the layers without an Allow, or what could not be read.
	Why []string
	// Caveats are what an "allowed" does not cover, such as an organization's policies that could not be read.
	Caveats []string
	// Elsewhere says whom to ask, or where to look, when what denies it is in none of the policies that were read.
	Elsewhere string
	// Explanation is the policy engine's; its zero value when it was not asked.
	Explanation iam.Explanation
}

// Judge decides what an identity may do, by the policies that were read, by what AWS said, and by nothing else: what neither
// tells is unknown, with the reason. It is made once for many questions.
type Judge struct {
	known    *Permissions
	who      iam.Principal
	region   string
	keys     iam.Context
	sets     sets
	shared   sets // for roles and keys, whose own policies decide too: those are taken to let it in
	services *service.Reference
	probes   map[Asked]Probe // what AWS itself said
	unread   struct{ identity, boundary, scp string }
	cannot   string // why nothing can be decided by policies
}

// sets are the policies, for deciding in two ways.
type sets struct {
	best   *iam.Set // takes what the context lacks in favour of the request
	strict *iam.Set // takes it as absent
}

func compile(policies iam.Policies) (s sets, err error) {
	if s.best, err = iam.Compile(policies, iam.Settings{Discover: true}); err == nil {
		s.strict, err = iam.Compile(policies, iam.Settings{})
	}
	return s, err
}

// delegating is a resource's policy that leaves the decision to an account: a role's trust policy, or a key's policy.
func delegating(account string) *iam.Policy {
	return &iam.Policy{Name: "the resource's policy", Document: &iam.Document{Version: "2012-10-17", Statements: []iam.Statement{{
		Effect: iam.Allow, Principal: &iam.Principals{AWS: []string{account}}, Action: iam.Patterns{Values: []string{"sts:*", "kms:*"}},
	}}}}
}

// Judge reads the policies for deciding. region is where the requests go.
func (p *Permissions) Judge(region string) *Judge {
	j := &Judge{known: p, region: region, keys: p.Keys(region, ""), probes: make(map[Asked]Probe, len(p.Probed))}
	j.unread.identity, j.unread.boundary, j.unread.scp = p.Unknown(PartIdentity), p.Unknown(PartBoundary), p.Unknown(PartSCP)
	for _, one := range p.Probed {
		if a := (Asked{one.Action, one.Resource, one.Context}); j.probes[a].How == "" {
			j.probes[a] = one
		}
	}
	policies, err := p.Policies()
	if err != nil {
		j.cannot = "a policy that was read is not one: " + err.Error()
		return j
	}
	if j.who, err = p.Caller(); err == nil {
		j.sets, err = compile(policies)
	}
	if err == nil {
		policies.Resource = delegating(j.who.Account())
		j.shared, err = compile(policies)
	}
	if err == nil {
		j.services, err = service.Load()
	}
	if err != nil {
		j.cannot = err.Error()
	}
	return j
}

// otherSide is what must allow an action besides the identity's own policies, "" when nothing must.
func otherSide(a Asked) string {
	if name, ofSTS := strings.CutPrefix(a.Action, "sts:"); ofSTS {
		if strings.EqualFold(name, "AssumeRole") || strings.EqualFold(name, "TagSession") || strings.EqualFold(name, "SetSourceIdentity") {
			return "whether a role lets it in is decided by the role's trust policy, too"
		}
		return ""
	}
	if strings.HasPrefix(a.Action, "kms:") && strings.Contains(a.Resource, ":key/") {
		return "whether a key may be used is decided by the key's policy, too"
	}
	return ""
}

// May decides one question.
func (j *Judge) May(a Asked) Judgement {
	if a.Resource != "*" || j.services == nil {
		return j.Decide(a, false)
	}
	action, known := j.services.Action(a.Action)
	return j.Decide(a, known && action.Resourceless())
}

// Decide is May for an action of which it is known whether it takes no resource.
func (j *Judge) Decide(a Asked, resourceless bool) Judgement {
	one := j.decide(a, resourceless)
	if other := otherSide(a); other != "" && one.Answer == MayDo {
		one.Caveats = append(one.Caveats, other)
	}
	return one
}

func (j *Judge) decide(a Asked, resourceless bool) Judgement {
	one := Judgement{Asked: a}
	if j.cannot != "" {
		return j.byProbe(one, j.cannot, "")
	}
	request := iam.Request{Principal: j.who, Action: a.Action, Resource: a.Resource, Resourceless: resourceless, Context: j.keys}
	if a.Context != "" {
		request.Context = j.known.Keys(j.region, "")
		for _, k := range a.Keys() {
			request.Context.Set(k[0], k[1])
		}
	}
	use := j.sets
	if otherSide(a) != "" {
		use = j.shared
	}
	if j.unread.identity == "" && j.unread.boundary == "" && use.strict.Decide(&request) == iam.Allowed {
		one.Answer = MayDo
		return j.crossChecked(one)
	}
	best := use.best.Explain(&request)
	one.Explanation = best
	switch {
	case best.Decision == iam.ExplicitlyDenied:
		one.Answer, one.Why = MayNotDo, best.Lines()[1:]
	case j.unread.identity != "":
		elsewhere := ""
		if best.Decision == iam.Allowed {
			elsewhere = unreadDenies
		}
		return j.byProbe(one, "the identity's policies could not all be read: "+j.unread.identity, elsewhere)
	case best.Decision == iam.ImplicitlyDenied:
		one.Answer, one.Why = MayNotDo, best.Lines()[1:]
	case j.unread.boundary != "":
		return j.byProbe(one, "whether the identity has a permissions boundary could not be read: "+j.unread.boundary,
			"Ask who administers the account for the identity's permissions boundary: it could not be read, and may not allow it.")
	default:
		sure := use.strict.Explain(&request)
		if j.probes[a].How == Simulated { // by a request that lacks the same keys
			one.Answer, one.Why = NotKnown, []string{"it depends on the request: " + strings.Join(conditions(sure), "; ")}
			return one
		}
		return j.byProbe(one, "it depends on the request: "+strings.Join(conditions(sure), "; "),
			"Look at the conditions under which it is allowed: a request from here does not meet them.")
	}
	return j.crossChecked(one)
}

const unreadDenies = "Ask who administers the account for a policy that denies it: none of those that could be read does."

// conditions are the reasons of a denial that hangs on conditions.
func conditions(x iam.Explanation) []string {
	var out []string
	for _, n := range x.Near {
		if n.Miss == iam.MissCondition {
			out = append(out, n.String()+" "+n.Why)
		}
	}
	for _, s := range x.Statements {
		if s.Effect == iam.Deny {
			out = append(out, s.String()+" denies it under a condition")
		}
	}
	if out == nil {
		return []string{"a condition key that is not known before"}
	}
	return out
}

// byProbe answers by what AWS said, or says why the answer is unknown. elsewhere is where to look for a denial when a grant
// does not help.
func (j *Judge) byProbe(one Judgement, why, elsewhere string) Judgement {
	probe, asked := j.probes[one.Asked]
	switch {
	case !asked:
		one.Answer, one.Why = NotKnown, []string{why}
	case len(probe.Lacks) > 0:
		one.Answer, one.Why = NotKnown, []string{why, "iam:SimulatePrincipalPolicy cannot tell without " + strings.Join(probe.Lacks, ", ")}
	case probe.Allowed:
		one.Answer, one.Why = MayDo, []string{"AWS allows it: " + probe.what()}
	default:
		one.Answer, one.Why, one.Elsewhere = MayNotDo, []string{"AWS refuses it: " + probe.what()}, elsewhere
		if probe.Code == explicitDeny {
			one.Elsewhere = unreadDenies
		}
	}
	return one
}

// explicitDeny is how iam:SimulatePrincipalPolicy answers when a statement denies.
const explicitDeny = "explicitDeny"

func (p Probe) what() string {
	if p.How == Simulated {
		return "iam:SimulatePrincipalPolicy answers " + p.Code
	}
	if p.Code == "" {
		return p.How
	}
	return fmt.Sprintf("%s, and the answer was %s", p.How, p.Code)
}

// crossChecked compares the engine's answer with what AWS said.
func (j *Judge) crossChecked(one Judgement) Judgement {
	probe, asked := j.probes[one.Asked]
	asked = asked && len(probe.Lacks) == 0
	switch {
	case !asked && one.Answer == MayDo && j.unread.scp != "":
		one.Caveats = append(one.Caveats, "the organization's service control policies could not be read: "+j.unread.scp)
	case !asked || probe.Allowed == (one.Answer == MayDo):
	case one.Answer == MayDo && j.unread.scp != "":
		one.Answer = MayNotDo
		one.Why = []string{
			"AWS refuses it: " + probe.what(),
			"the policies that could be read allow it, so one that could not denies it: the organization's service control policies (" + j.unread.scp + ")",
		}
		one.Elsewhere = "Ask who administers the organization for a service control policy that denies it, or does not allow it."
	case one.Answer == MayDo:
		one.Answer = NotKnown
		one.Why = []string{"AWS refuses it (" + probe.what() + "), although the policies that were read allow it: a change may not have arrived everywhere, or a policy of the resource denies it"}
	default:
		one.Answer = NotKnown
		one.Why = append([]string{"AWS allows it (" + probe.what() + "), although no policy that was read does: a policy of the resource may"}, one.Why...)
	}
	return one
}
