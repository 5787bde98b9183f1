// Package preflight answers whether a connector's identity has what named capabilities need, before anything is deployed.
// A connection test asks who the identity is; a preflight asks what it may do, action by action, and names what is missing,
// why, and the smallest policy that mends it.
//
// A delegate, or the manager, surveys the identity: it reads its policies, lets IAM simulate them, and makes harmless calls
// where neither is allowed. The answers are decided here, by the policy engine: allowed, denied, or unknown with the
// permission that would settle it. Unknown is never counted as either.
package preflight

import (
	"slices"
	"time"

	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/scope"
)

// Options are what a preflight asks for.
type Options struct {
	// Capabilities are ids of the catalogue; none means all that a connector's own identity can need.
	Capabilities []string
	Narrowing    catalogue.Narrowing
	Fresh        bool // bypass every cached session
}

// Preflight is one preflight and what it found.
type Preflight struct {
	ID         string
	Scope      scope.Scope
	Connector  string
	Revision   int64
	By         string
	Options    Options
	StartedAt  time.Time
	EndedAt    time.Time
	Delegate   string
	DelegateID string

	// Diagnosis is why nothing could be asked: the connection itself does not hold. nil: it does.
	Diagnosis *connector.Diagnosis
	Identity  *connector.Identity
	Region    string
	Results   []Result
	Unread    []connector.Unread
	// Fix grants all that is missing and can be granted in the identity's own policies; nil when nothing is.
	Fix *connector.Fix
	// Blocked are the fixes of what another layer denies: a statement with Effect Deny, a boundary, an organization.
	Blocked []connector.Fix
}

// Result is the answer for one capability.
type Result struct {
	Capability string
	Title      string
	Answer     connector.Answer
	Allowed    int // how many actions are allowed
	// Missing and Unknown are the actions that are denied, and those that nothing told of.
	Missing []Finding
	Unknown []Finding
	Caveats []string
}

// Finding is one action on one resource and why it is not allowed, or not known.
type Finding struct {
	Action   string
	Resource string
	Why      []string
}

// Answer is the answer for all capabilities together: denied when one is, else unknown when one is, else allowed.
func (p *Preflight) Answer() connector.Answer {
	answer := connector.MayDo
	for _, r := range p.Results {
		switch r.Answer {
		case connector.MayNotDo:
			return connector.MayNotDo
		case connector.NotKnown:
			answer = connector.NotKnown
		case connector.MayDo:
		}
	}
	if p.Diagnosis != nil || len(p.Results) == 0 {
		return connector.NotKnown
	}
	return answer
}

// judge decides what the survey tells of each capability.
func (p *Preflight) judge(found *connector.Permissions, all questions) {
	p.Unread = found.Unread
	judge := found.Judge(p.Region)
	judged := make([]connector.Judgement, len(all.asked))
	var denied []*connector.Judgement
	for i, q := range all.asked {
		judged[i] = judge.Decide(q.Asked, q.resourceless)
		if judged[i].Answer == connector.MayNotDo {
			denied = append(denied, &judged[i])
		}
	}
	for _, n := range all.needs {
		r := Result{Capability: n.capability.ID, Title: n.capability.Title, Answer: connector.MayDo}
		for _, i := range n.asked {
			j := &judged[i]
			f := Finding{Action: j.Action, Resource: j.Resource, Why: j.Why}
			switch j.Answer {
			case connector.MayDo:
				r.Allowed++
				for _, c := range j.Caveats {
					if !slices.Contains(r.Caveats, c) {
						r.Caveats = append(r.Caveats, c)
					}
				}
			case connector.MayNotDo:
				r.Missing = append(r.Missing, f)
			case connector.NotKnown:
				r.Unknown = append(r.Unknown, f)
			}
		}
		switch {
		case len(r.Missing) > 0:
			r.Answer = connector.MayNotDo
		case len(r.Unknown) > 0:
			r.Answer = connector.NotKnown
		}
		p.Results = append(p.Results, r)
	}
	p.Fix, p.Blocked = found.Mend(denied)
}
