package connector

import (
	"errors"
	"fmt"
	"strings"

	"github.com/belay-dev/belay/iam"
)

// Permissions is what a runner could read of the policies that bear on an identity: facts only, no judgement.
type Permissions struct {
	Principal string // the caller's ARN, as sts:GetCallerIdentity has it
	Role      string // ARN of the role behind a session, with its path; "" when it was not read
	// Identity are the policies attached to it: inline, managed, and of its groups.
	Identity []PolicyText
	Boundary *PolicyText   // nil: there is none, or it was not read
	SCP      []PolicyLevel // from the root down; empty: they do not apply, or were not read
	Target   *RoleTrust    // the role that was to be assumed, when it could be read
	// Decoded is what an encoded authorization message says, as AWS's JSON; "" when there was none, or it may not be decoded.
	Decoded string
	Unread  []Unread // what could not be read; whoever judges must not take it for absent
	Probed  []Probe
}

// inline is how a policy was come by that belongs to the identity alone.
const inline = "inline"

// PolicyText is a policy document as it was read.
type PolicyText struct {
	Name     string
	ARN      string // of a managed policy
	Via      string // "inline", "managed", or "group NAME"
	Version  string // of a managed policy, such as v7; "" when it was not told
	Document string // JSON
}

// PolicyLevel is a level of an organization with the policies attached to it.
type PolicyLevel struct {
	Name     string
	Policies []PolicyText
}

// RoleTrust is a role and who may assume it.
type RoleTrust struct {
	ARN      string
	Document string // the trust policy, as JSON
}

// Unread is something that could not be read.
type Unread struct {
	What   Part
	Action string // the permission that was missing, such as iam:GetRole
	Code   string // AWS's code
}

// Part is a part of what decides on a request.
type Part string

// The parts that can be read.
const (
	PartIdentity Part = "identity policies"
	PartBoundary Part = "permissions boundary"
	PartSCP      Part = "service control policies"
	PartTrust    Part = "trust policy"
	PartMessage  Part = "encoded message"
	// PartSimulation is what IAM itself says when it simulates the identity's policies.
	PartSimulation Part = "simulation"
)

// Simulated is how a Probe came about that IAM answered by iam:SimulatePrincipalPolicy.
const Simulated = "simulated"

// Probe is one action that AWS itself was asked about: by a harmless call, or by iam:SimulatePrincipalPolicy.
type Probe struct {
	Action   string
	Resource string
	Context  string // as Asked has it
	How      string // "simulated", or the call that was made
	Allowed  bool
	Code     string // of a call that was refused
	Message  string
	// Lacks are condition keys that the policies use and a simulation did not have: then its answer settles nothing.
	Lacks []string
}

// Unknown is why a part is not known, or "" when it is.
func (p *Permissions) Unknown(part Part) string {
	var why []string
	for _, u := range p.Unread {
		if u.What == part {
			why = append(why, fmt.Sprintf("%s (%s)", u.Action, u.Code))
		}
	}
	return strings.Join(why, ", ")
}

// Caller is the identity as the policy engine takes it.
func (p *Permissions) Caller() (iam.Principal, error) {
	who, err := iam.ParsePrincipal(p.Principal)
	if err == nil && p.Role != "" && who.Kind() == iam.KindSession {
		return who.WithRole(p.Role)
	}
	return who, err
}

// Policies are the documents that were read, for the policy engine. A document that cannot be read as a policy is an error:
// without it no answer would be sure.
func (p *Permissions) Policies() (iam.Policies, error) {
	var problems []error
	parse := func(t PolicyText) iam.Policy {
		d, err := iam.Parse([]byte(t.Document))
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", t.Title(), err))
		}
		return iam.Policy{Name: t.Title(), Document: d}
	}
	out := iam.Policies{Identity: []iam.Policy{}}
	for _, t := range p.Identity {
		out.Identity = append(out.Identity, parse(t))
	}
	if p.Boundary != nil {
		out.Boundary = []iam.Policy{parse(*p.Boundary)}
	}
	for _, l := range p.SCP {
		level := iam.Level{Name: l.Name}
		for _, t := range l.Policies {
			level.Policies = append(level.Policies, parse(t))
		}
		out.SCP = append(out.SCP, level)
	}
	return out, errors.Join(problems...)
}

// Title names the policy for people.
func (t PolicyText) Title() string {
	switch {
	case t.Via == inline:
		return "the inline policy " + t.Name
	case strings.HasPrefix(t.Via, "group "):
		return fmt.Sprintf("the policy %s of %s", t.Name, t.Via)
	case t.ARN != "":
		return t.ARN
	}
	return t.Name
}

// Keys are the condition keys that a request of the identity is known to carry.
func (p *Permissions) Keys(region, resourceAccount string) iam.Context {
	keys := iam.Keys(map[string]string{"aws:SecureTransport": "true"})
	if region != "" {
		keys.Set("aws:RequestedRegion", region)
	}
	who, err := p.Caller()
	if err != nil {
		return keys
	}
	principal := p.Principal
	kind := "User"
	switch who.Kind() {
	case iam.KindUser:
		keys.Set("aws:username", p.Principal[strings.LastIndexByte(p.Principal, '/')+1:])
	case iam.KindSession, iam.KindRole:
		kind = "AssumedRole"
		if p.Role != "" {
			principal = p.Role
		}
	case iam.KindRoot:
		kind = "Account"
	case iam.KindFederatedUser:
		kind = "FederatedUser"
	case iam.KindService, iam.KindFederated, iam.KindAnonymous:
	}
	if resourceAccount == "" {
		resourceAccount = who.Account()
	}
	if who.Kind() != iam.KindSession || p.Role != "" {
		keys.Set("aws:PrincipalArn", principal)
	}
	keys.Set("aws:PrincipalAccount", who.Account())
	keys.Set("aws:PrincipalType", kind)
	keys.Set("aws:ResourceAccount", resourceAccount)
	return keys
}
