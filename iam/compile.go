package iam

import (
	"fmt"
	"slices"
	"strings"
)

// Policy is a document under the name by which results refer to it.
type Policy struct {
	Name     string
	Document *Document
}

// Level is a level of an organization: its root, an organizational unit or an account, with the policies attached there.
type Level struct {
	Name     string
	Policies []Policy
}

// Policies are all policies that bear on a principal and a resource.
type Policies struct {
	// Identity is all that is attached to the principal: inline and managed, and of a user's groups.
	Identity []Policy
	// Resource is the policy of the resource: of a bucket, a function, a key, a queue, or the trust policy of a role.
	Resource *Policy
	// Boundary is the permissions boundary. nil means there is none; one without policies denies everything.
	Boundary []Policy
	// Session are the policies passed when the session was made. nil means there are none.
	Session []Policy
	// SCP are the levels from the root to the principal's account. None means that SCPs do not apply.
	SCP []Level
	// RCP are the levels from the root to the resource's account. RCPFullAWSAccess need not be given.
	RCP []Level
	// Endpoint are the policies of the VPC endpoint that the request goes through. nil means it goes through none.
	Endpoint []Policy
}

// Settings say how requests are decided. The zero value is right for a request whose context is complete.
type Settings struct {
	// Discover takes keys that the context lacks for unknown instead of absent, and decides in favour of the request
	// wherever they matter: the answer is the best that some context can give.
	Discover bool
	// Knowledge lists the exceptions to what Discover assumes.
	Knowledge []Knowledge
	// RestrictPublicBuckets says that S3 Block Public Access, RestrictPublicBuckets, is in force for the bucket.
	RestrictPublicBuckets bool
}

// Knowledge says what is certain of a condition key: whether the context is right about its presence, and about its value.
type Knowledge struct {
	Key           string
	PresenceKnown bool
	ValueKnown    bool
}

// Layer is a kind of policy, or of a check, that a request must pass.
type Layer string

// The layers. The names are those of the scenario format.
const (
	LayerIdentity      Layer = "identity"
	LayerResource      Layer = "resource"
	LayerBoundary      Layer = "boundary"
	LayerSession       Layer = "session"
	LayerSCP           Layer = "scp"
	LayerRCP           Layer = "rcp"
	LayerEndpoint      Layer = "vpcEndpoint"
	LayerPublicBuckets Layer = "s3BlockPublicAccess"
)

// Set is a compiled set of policies. It is immutable: many goroutines may use it at the same time.
type Set struct {
	identity layer
	resource layer
	boundary layer
	session  layer
	scp      layer
	levels   []layer // the Allow statements of scp, level by level
	rcp      layer
	endpoint layer

	discover     bool
	knowledge    map[string]Knowledge
	publicBucket bool // the bucket policy is public, and public policies are restricted
	statements   []*statement
	byService    map[string][]*statement // those with an action of one service; the rest are in anyService
	anyService   []*statement
	warnings     []string
}

// layer is what one kind of policy says.
type layer struct {
	present bool
	name    string // of a level
	deny    index
	allow   index
}

// Compile reads policies for deciding. It fails on a policy without a document only; what is odd in a document but has a
// meaning is in Warnings.
func Compile(p Policies, settings Settings) (*Set, error) {
	s := &Set{discover: settings.Discover}
	for _, k := range settings.Knowledge {
		if s.knowledge == nil {
			s.knowledge = map[string]Knowledge{}
		}
		s.knowledge[lowerASCII(k.Key)] = k
	}
	var resource []Policy
	if p.Resource != nil {
		resource = []Policy{*p.Resource}
	}
	for _, one := range []struct {
		layer    *layer
		kind     Layer
		policies []Policy
	}{
		{&s.identity, LayerIdentity, p.Identity},
		{&s.resource, LayerResource, resource},
		{&s.boundary, LayerBoundary, p.Boundary},
		{&s.session, LayerSession, p.Session},
		{&s.endpoint, LayerEndpoint, p.Endpoint},
	} {
		one.layer.present = one.policies != nil
		if err := s.add(one.layer, nil, one.kind, "", one.policies); err != nil {
			return nil, err
		}
	}
	for _, level := range p.SCP {
		s.levels = append(s.levels, layer{present: true, name: level.Name})
		s.scp.present = true
		if err := s.add(&s.scp, &s.levels[len(s.levels)-1], LayerSCP, level.Name, level.Policies); err != nil {
			return nil, err
		}
	}
	for _, level := range p.RCP {
		s.rcp.present = true
		if err := s.add(&s.rcp, nil, LayerRCP, level.Name, level.Policies); err != nil {
			return nil, err
		}
	}
	s.publicBucket = settings.RestrictPublicBuckets && p.Resource != nil && publicPolicy(p.Resource.Document)
	return s, nil
}

// Warnings say what in the policies is odd: AWS would refuse to store it, or it has no effect.
func (s *Set) Warnings() []string { return s.warnings }

// add compiles policies into a layer; their Allow statements go to allows when that is given.
func (s *Set) add(to, allows *layer, kind Layer, level string, policies []Policy) error {
	if allows == nil {
		allows = to
	}
	for _, p := range policies {
		if p.Document == nil {
			return fmt.Errorf("compile the %s policy %q: it has no document", kind, p.Name)
		}
		for i := range p.Document.Statements {
			one := s.statement(&p.Document.Statements[i], kind, p.Document.Version == "2012-10-17")
			one.policy, one.level, one.index, one.order = p.Name, level, i, len(s.statements)
			s.statements = append(s.statements, one)
			s.file(one)
			s.warn(one)
			if one.effect == Deny {
				to.deny.add(one)
			} else {
				allows.allow.add(one)
			}
		}
	}
	return nil
}

// file notes a statement under the services whose actions it names.
func (s *Set) file(one *statement) {
	if one.notAction || slices.ContainsFunc(one.actions, func(a actionPattern) bool { return !a.bare && a.service.kind != literalGlob }) {
		s.anyService = append(s.anyService, one)
		return
	}
	if s.byService == nil {
		s.byService = map[string][]*statement{}
	}
	for _, a := range one.actions {
		if list := s.byService[a.service.text]; len(list) == 0 || list[len(list)-1] != one {
			s.byService[a.service.text] = append(list, one)
		}
	}
}

func (s *Set) statement(from *Statement, kind Layer, variables bool) *statement {
	one := &statement{from: from, layer: kind, effect: from.Effect, notAction: from.Action.Negated, notRes: from.Resource.Negated}
	one.actions = make([]actionPattern, 0, len(from.Action.Values))
	one.resources = make([]pattern, 0, max(1, len(from.Resource.Values)))
	for _, a := range from.Action.Values {
		one.actions = append(one.actions, newActionPattern(a))
	}
	if one.notAction {
		one.listed = newActionList(one.actions)
	}
	rule := shortFills
	switch kind {
	case LayerResource, LayerEndpoint:
		rule = shortIfStar
	case LayerSCP:
		rule = shortEndStar
	case LayerRCP:
		rule = shortInvalid
	case LayerIdentity, LayerBoundary, LayerSession, LayerPublicBuckets:
	}
	if from.Resource.Values == nil { // the role itself in a trust policy; elsewhere AWS would not store it
		one.resources = append(one.resources, pattern{kind: allPattern, from: "*"})
	}
	for _, r := range from.Resource.Values {
		p := compilePattern(r, variables, rule)
		one.badRes = one.badRes || one.notRes && p.kind == invalidPattern
		one.resources = append(one.resources, p)
		one.variables = append(one.variables, p.variables()...)
	}
	switch kind {
	case LayerResource, LayerRCP, LayerEndpoint:
		switch {
		case from.Principal != nil:
			one.who = compilePrincipals(from.Principal)
		case kind == LayerResource:
			one.who = &principals{}
		}
	case LayerIdentity, LayerBoundary, LayerSession, LayerSCP, LayerPublicBuckets:
	}
	if len(from.Conditions) > 0 {
		one.conditions = make([]condition, 0, len(from.Conditions))
	}
	for i := range from.Conditions {
		c := compileCondition(&from.Conditions[i], variables)
		one.variables = append(one.variables, c.variables()...)
		one.conditions = append(one.conditions, c)
	}
	return one
}

// warn notes what AWS would have refused.
func (s *Set) warn(one *statement) {
	note := func(format string, args ...any) {
		s.warnings = append(s.warnings, fmt.Sprintf("%s: ", one.reference())+fmt.Sprintf(format, args...))
	}
	from := one.from
	switch one.layer {
	case LayerIdentity, LayerBoundary, LayerSession, LayerSCP:
		if from.Principal != nil {
			note("its Principal counts for nothing: a policy of this kind has none")
		}
	case LayerResource:
		if from.Principal == nil {
			note("it has no Principal, so it matches nobody")
		}
	case LayerRCP, LayerEndpoint:
		if from.Principal == nil {
			note("it has no Principal, so it matches everybody")
		}
	case LayerPublicBuckets:
	}
	if from.Resource.Values == nil && one.layer != LayerResource {
		note(`it has no Resource, which counts as "*"`)
	}
	for _, a := range from.Action.Values {
		if strings.ContainsAny(a, ", \t\r\n") {
			note("the action %q holds a blank or a comma, so it is no action's name", a)
		}
	}
	for i := range one.resources {
		if one.resources[i].kind == invalidPattern {
			note("the resource %q is too short for an ARN, so the statement's Resource or NotResource does not take it", one.resources[i].from)
		}
	}
}
