package connector

import (
	"fmt"
	"slices"
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
	best     *iam.Set // takes what the context lacks in favour of the request
	strict   *iam.Set // takes it as absent
	services *service.Reference
	cannot   string // why nothing can be decided by policies
}

// Judge reads the policies for deciding. region is where the requests go.
func (p *Permissions) Judge(region string) *Judge {
	j := &Judge{known: p, region: region, keys: p.Keys(region, "")}
	policies, err := p.Policies()
	if err != nil {
		j.cannot = "a policy that was read is not one: " + err.Error()
		return j
	}
	if j.who, err = p.Caller(); err == nil {
		// Resources' own policies are not read: whether they agree is not asked, only the identity's side is.
		policies.Resource = delegating(j.who.Account())
		j.best, err = iam.Compile(policies, iam.Settings{Discover: true})
	}
	if err == nil {
		j.strict, err = iam.Compile(policies, iam.Settings{})
	}
	if err == nil {
		j.services, err = service.Load()
	}
	if err != nil {
		j.cannot = err.Error()
	}
	return j
}

// May decides one question.
func (j *Judge) May(a Asked) Judgement {
	p, one := j.known, Judgement{Asked: a}
	if j.cannot != "" {
		return p.byProbe(one, j.cannot)
	}
	request := iam.Request{Principal: j.who, Action: a.Action, Resource: a.Resource, Context: j.keys}
	if a.Context != "" {
		request.Context = j.known.Keys(j.region, "")
		for _, k := range a.Keys() {
			request.Context.Set(k[0], k[1])
		}
	}
	if action, known := j.services.Action(a.Action); known && action.Resourceless() {
		request.Resource, request.Resourceless = "*", true
	}
	readable := p.Unknown(PartIdentity) == ""
	if readable && p.Unknown(PartBoundary) == "" && j.strict.Decide(&request) == iam.Allowed {
		one.Answer = MayDo
		return p.crossChecked(one)
	}
	best := j.best.Explain(&request)
	one.Explanation = best
	switch {
	case best.Decision == iam.ExplicitlyDenied:
		one.Answer, one.Why = MayNotDo, best.Lines()[1:]
	case !readable:
		return p.byProbe(one, "the identity's policies could not all be read: "+p.Unknown(PartIdentity))
	case best.Decision == iam.ImplicitlyDenied:
		one.Answer, one.Why = MayNotDo, best.Lines()[1:]
	case p.Unknown(PartBoundary) != "":
		return p.byProbe(one, "whether the identity has a permissions boundary could not be read: "+p.Unknown(PartBoundary))
	default:
		sure := j.strict.Explain(&request)
		return p.byProbe(one, "it depends on the request: "+strings.Join(conditions(sure), "; "))
	}
	return p.crossChecked(one)
}

// delegating is a resource's policy that leaves the decision to the policies of an account's identities.
func delegating(account string) *iam.Policy {
	return &iam.Policy{Name: "a policy that delegates to the account", Document: &iam.Document{Version: "2012-10-17", Statements: []iam.Statement{{
		Effect: iam.Allow, Principal: &iam.Principals{AWS: []string{account}}, Action: iam.Patterns{Values: []string{"*"}}, Resource: iam.Patterns{Values: []string{"*"}},
	}}}}
}

// otherSide is what must agree besides, for actions that the resource's own policy decides too.
func otherSide(a Asked) string {
	service, name, _ := strings.Cut(strings.ToLower(a.Action), ":")
	switch {
	case service == "sts" && strings.HasPrefix(name, "assumerole"):
		return "the role's trust policy must let the identity in too"
	case service == "kms" && a.Resource != "*":
		return "the key's policy must allow it too"
	}
	return ""
}

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

// probe is what AWS itself said of the action, if it was asked.
func (p *Permissions) probe(a Asked) (Probe, bool) {
	i := slices.IndexFunc(p.Probed, func(one Probe) bool {
		return strings.EqualFold(one.Action, a.Action) && one.Resource == a.Resource && one.Context == a.Context
	})
	if i < 0 {
		return Probe{}, false
	}
	return p.Probed[i], true
}

// byProbe answers by what AWS said, or says why the answer is unknown.
func (p *Permissions) byProbe(j Judgement, why string) Judgement {
	one, asked := p.probe(j.Asked)
	switch {
	case !asked:
		j.Answer, j.Why = NotKnown, []string{why}
	case one.Allowed:
		j.Answer, j.Why = MayDo, []string{"AWS allows it: " + one.what()}
	default:
		j.Answer, j.Why = MayNotDo, []string{"AWS refuses it: " + one.what()}
	}
	return j
}

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
func (p *Permissions) crossChecked(j Judgement) Judgement {
	scp := p.Unknown(PartSCP)
	one, asked := p.probe(j.Asked)
	if other := otherSide(j.Asked); other != "" && j.Answer == MayDo {
		j.Caveats = append(j.Caveats, j.Action+": "+other)
	}
	switch {
	case !asked || one.Allowed == (j.Answer == MayDo):
		if j.Answer == MayDo && scp != "" && !asked {
			j.Caveats = append(j.Caveats, "the organization's service control policies could not be read: "+scp)
		}
	case j.Answer == MayDo && scp != "":
		j.Answer = MayNotDo
		j.Why = []string{
			"AWS refuses it: " + one.what(),
			"the policies that could be read allow it, so one that could not denies it: the organization's service control policies (" + scp + ")",
		}
	case j.Answer == MayDo:
		j.Answer = NotKnown
		j.Why = append([]string{"AWS refuses it (" + one.what() + "), although the policies that were read allow it: a change may not have arrived everywhere, or a policy of the resource denies it"}, j.Why...)
	default:
		j.Answer = NotKnown
		j.Why = append([]string{"AWS allows it (" + one.what() + "), although no policy that was read does: a policy of the resource may"}, j.Why...)
	}
	return j
}
