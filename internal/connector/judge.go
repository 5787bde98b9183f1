package connector

import (
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
)

// Answer is whether an identity may do something. What is not known is no "no".
type Answer string

// The answers.
const (
	MayDo     Answer = "allowed"
	MayNotDo  Answer = "denied"
	NotKnown  Answer = "unknown"
	notJudged Answer = ""
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

// Judge decides whether the identity may do something, by the policies that were read, by what AWS said, and by nothing
// else: what neither tells is unknown, with the reason.
func (p *Permissions) Judge(a Asked, region string) Judgement {
	j := Judgement{Asked: a}
	policies, err := p.Policies()
	if err != nil {
		return p.byProbe(j, "a policy that was read is not one: "+err.Error())
	}
	who, err := p.Caller()
	if err != nil {
		return p.byProbe(j, err.Error())
	}
	request := iam.Request{Principal: who, Action: a.Action, Resource: a.Resource, Context: p.Keys(region, "")}
	if a.Resource == "*" {
		request.Resourceless = true
	}
	best, sure, err := bestAndSure(policies, &request)
	if err != nil {
		return p.byProbe(j, err.Error())
	}
	j.Explanation = sure
	switch {
	case best.Decision == iam.ExplicitlyDenied:
		j.Explanation, j.Answer, j.Why = best, MayNotDo, best.Lines()[1:]
	case p.Unknown(PartIdentity) != "":
		return p.byProbe(j, "the identity's policies could not all be read: "+p.Unknown(PartIdentity))
	case best.Decision == iam.ImplicitlyDenied:
		j.Explanation, j.Answer, j.Why = best, MayNotDo, best.Lines()[1:]
	case p.Unknown(PartBoundary) != "":
		return p.byProbe(j, "whether the identity has a permissions boundary could not be read: "+p.Unknown(PartBoundary))
	case sure.Decision == iam.Allowed:
		j.Answer, j.Why = MayDo, sure.Lines()[1:]
	default:
		return p.byProbe(j, "it depends on the request: "+strings.Join(conditions(sure), "; "))
	}
	return p.crossChecked(j)
}

// bestAndSure decides twice: with what the context lacks in favour of the request, and with it taken as absent.
func bestAndSure(policies iam.Policies, r *iam.Request) (best, sure iam.Explanation, err error) {
	discovering, err := iam.Compile(policies, iam.Settings{Discover: true})
	if err != nil {
		return best, sure, err
	}
	strict, err := iam.Compile(policies, iam.Settings{})
	if err != nil {
		return best, sure, err
	}
	return discovering.Explain(r), strict.Explain(r), nil
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
	i := slices.IndexFunc(p.Probed, func(one Probe) bool { return strings.EqualFold(one.Action, a.Action) && one.Resource == a.Resource })
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
