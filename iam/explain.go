package iam

import (
	"fmt"
	"slices"
	"strings"
)

// Reference is a statement in a set.
type Reference struct {
	Policy string
	Layer  Layer
	Level  string // of an SCP or RCP
	Index  int    // in its document, from 0
	SID    string
	Effect Effect
	Pos    Position // in its document's text

	order int // in the set
}

// String names the statement for people: statement 1 ("tls") of bucket.
func (r Reference) String() string {
	name := fmt.Sprintf("statement %d", r.Index+1)
	if r.SID != "" {
		name += fmt.Sprintf(" (%q)", r.SID)
	}
	name += " of " + r.Policy
	if r.Level != "" {
		name += " at " + r.Level
	}
	return name
}

// Miss is in which element a statement misses a request.
type Miss string

// The elements. A statement that misses in several is missed in the first of them.
const (
	MissPrincipal Miss = "principal"
	MissAction    Miss = "action"
	MissResource  Miss = "resource"
	MissCondition Miss = "condition"
)

// Near is an Allow statement that would have matched but for one element.
type Near struct {
	Reference
	Miss Miss
	// Why says what the statement has and what the request has.
	Why string
}

// Explanation is a decision with its reasons.
type Explanation struct {
	Decision Decision
	// BlockedBy are the layers that stop a request which identity, session and resource policies together would grant:
	// all of them, in a fixed order. It is empty when nothing grants the request.
	BlockedBy []Layer
	// Statements are those that decided: all Deny statements that match, else all Allow statements that do.
	Statements []Reference
	// Missing are the layers that would have to allow the request and do not.
	Missing []Layer
	// Levels are the levels of the organization whose SCPs do not allow it.
	Levels []string
	// Near are the Allow statements that missed the request narrowly, for a request that is denied.
	Near []Near

	request *Request
	outcome outcome
}

// maxNear bounds how many near misses are told.
const maxNear = 8

// Explain decides like Decide and says why.
func (s *Set) Explain(r *Request) Explanation {
	var e evaluation
	e.begin(s, r)
	o := e.outcome(false)
	x := Explanation{Decision: o.decision(), request: r, outcome: o}
	x.BlockedBy = o.blockedBy()
	x.Missing = o.missing()
	effect := Allow
	if x.Decision == ExplicitlyDenied {
		effect = Deny
	}
	for _, list := range e.relevant() {
		for _, one := range list {
			if one.effect == effect && e.applies(one, &o) && one.matchesAction(&e) && e.matches(one) != 0 {
				x.Statements = append(x.Statements, one.reference())
			}
		}
	}
	slices.SortFunc(x.Statements, func(a, b Reference) int { return a.order - b.order })
	for i := range s.levels {
		if o.applies.scp && e.first(&s.levels[i].allow) == nil {
			x.Levels = append(x.Levels, s.levels[i].name)
		}
	}
	if x.Decision == ImplicitlyDenied {
		x.Near = e.near(&o, x.Missing)
	}
	return x
}

// relevant are the statements that can have to do with the request's action.
func (e *evaluation) relevant() [2][]*statement {
	return [2][]*statement{e.set.byService[string(e.service())], e.set.anyService}
}

// applies reports whether a statement's layer bears on the caller.
func (e *evaluation) applies(s *statement, o *outcome) bool {
	switch s.layer {
	case LayerIdentity, LayerSession:
		return o.signed
	case LayerBoundary:
		return o.signed && e.request.Principal.kind != KindRoot
	case LayerSCP:
		return o.applies.scp
	case LayerRCP:
		return o.applies.rcp
	case LayerResource:
		return o.needs != needIdentity
	case LayerEndpoint, LayerPublicBuckets:
	}
	return true
}

func (s *statement) reference() Reference {
	return Reference{Policy: s.policy, Layer: s.layer, Level: s.level, Index: s.index, SID: s.from.SID, Effect: s.effect, Pos: s.from.Pos, order: s.order}
}

// blockedBy is empty when the policies that grant do not.
func (o *outcome) blockedBy() []Layer {
	if o.undeniable || !o.grants(false, false) {
		return nil
	}
	var all []Layer
	for _, one := range [...]struct {
		layer  Layer
		blocks bool
	}{
		{LayerIdentity, o.denied.identity},
		{LayerResource, o.denied.resource},
		{LayerBoundary, o.denied.boundary || !o.grants(true, false)},
		{LayerSCP, o.denied.scp || !o.scp},
		{LayerRCP, o.denied.rcp},
		{LayerEndpoint, o.denied.endpoint || !o.endpoint},
		{LayerPublicBuckets, !o.grants(false, true)},
	} {
		if one.blocks {
			all = append(all, one.layer)
		}
	}
	return all
}

// missing are the layers without an Allow that the request needs.
func (o *outcome) missing() []Layer {
	if o.undeniable {
		return nil
	}
	var all []Layer
	add := func(layer Layer, missing bool) {
		if missing {
			all = append(all, layer)
		}
	}
	if !o.grants(false, false) {
		identity := o.signed && !o.identity
		resource := o.grant == 0 && o.needs != needIdentity
		switch {
		case !o.signed:
			add(LayerResource, true)
		case o.foreign || o.needs == needBoth:
			add(LayerIdentity, identity)
			add(LayerResource, resource)
		case o.needs == needResource:
			add(LayerResource, resource)
			add(LayerIdentity, !resource && identity)
		default:
			add(LayerIdentity, identity)
		}
		add(LayerSession, o.signed && !o.session)
	}
	add(LayerBoundary, o.signed && !o.boundary && !o.grants(true, false))
	add(LayerSCP, !o.scp)
	add(LayerEndpoint, !o.endpoint)
	return all
}

// near looks for the Allow statements of layers that miss one, and says in what they miss.
func (e *evaluation) near(o *outcome, missing []Layer) []Near {
	var all []Near
	for _, statements := range e.relevant() {
		for _, s := range statements {
			wanted := slices.Contains(missing, s.layer) ||
				// In one account the resource's own policy would do as well.
				s.layer == LayerResource && o.needs == needEither && slices.Contains(missing, LayerIdentity)
			if s.effect != Allow || !wanted || !e.applies(s, o) {
				continue
			}
			if one, ok := e.miss(s); ok && len(all) < maxNear {
				all = append(all, one)
			}
		}
	}
	return all
}

// miss finds the one element in which a statement misses; a statement that misses in more is not near.
func (e *evaluation) miss(s *statement) (Near, bool) {
	near := Near{Reference: s.reference()}
	misses := 0
	note := func(miss Miss, why string) {
		misses++
		near.Miss, near.Why = miss, why
	}
	r := e.request
	if !s.matchesAction(e) {
		if !s.nearAction(e) {
			return near, false
		}
		note(MissAction, fmt.Sprintf("allows %s, not %s", list(s.from.Action.Values), r.Action))
	}
	if s.who != nil && s.who.grants(s.effect, &r.Principal, e.set.discover, e.set.boundary.present) == 0 {
		note(MissPrincipal, fmt.Sprintf("is for %s, not for %s", s.from.Principal.describe(), r.Principal))
	}
	if !e.resolved(s) {
		note(MissCondition, fmt.Sprintf("uses a policy variable that the request has no value for: %s", list(s.variables)))
	} else if !e.matchesResource(s) {
		note(MissResource, e.missedResource(s))
	}
	for i := range s.conditions {
		if c := &s.conditions[i]; !c.holds(e, s.effect) {
			note(MissCondition, c.describe(e))
		}
	}
	return near, misses == 1
}

// nearAction tells an action of the same service that differs little: another letter case is none, a version of the
// same verb may be.
func (s *statement) nearAction(e *evaluation) bool {
	for i := range s.actions {
		a := &s.actions[i]
		if a.bare || a.service.kind != literalGlob || !a.service.matchBytes(e.service()) || a.name.kind != literalGlob {
			continue
		}
		if name := string(e.name()); strings.HasPrefix(name, a.name.text) || strings.HasPrefix(a.name.text, name) {
			return true
		}
	}
	return false
}

func (e *evaluation) missedResource(s *statement) string {
	r := e.request
	values := s.from.Resource.Values
	if s.notRes {
		return fmt.Sprintf("leaves out %s, and the request is for %s", list(values), r.Resource)
	}
	if r.Resourceless {
		return fmt.Sprintf(`allows it on %s, but %s works on no resource: it needs "Resource": "*"`, list(values), r.Action)
	}
	why := fmt.Sprintf("allows it on %s, not on %s", list(values), r.Resource)
	// A bucket and its objects are the pair that is confused most.
	for _, v := range values {
		switch {
		case strings.HasPrefix(r.Resource, v+"/") && strings.HasPrefix(v, "arn:"):
			return why + fmt.Sprintf("; the action works on what is inside, so it needs %s/*", v)
		case v == r.Resource+"/*":
			return why + fmt.Sprintf("; the action works on the whole, so it needs %s", r.Resource)
		}
	}
	return why
}

// describe says whom a principal element names.
func (p *Principals) describe() string {
	if p == nil {
		return "nobody, for it has no Principal"
	}
	var all []string
	for _, kind := range []struct {
		name   string
		values []string
	}{{"", p.AWS}, {"service ", p.Service}, {"provider ", p.Federated}, {"canonical user ", p.CanonicalUser}} {
		for _, v := range kind.values {
			all = append(all, kind.name+v)
		}
	}
	switch {
	case p.Any:
		all = append(all, "everybody")
	case len(all) == 0:
		all = append(all, "nobody")
	}
	if p.Negated {
		return "everybody but " + list(all)
	}
	return list(all)
}

// describe says what a condition wants and what the request has.
func (c *condition) describe(e *evaluation) string {
	has := "the request has no such key"
	if v, present := e.request.Context.get(c.key); present {
		has = fmt.Sprintf("the request has %q", v.single)
		if v.multi {
			has = fmt.Sprintf("the request has %q", v.list)
			if c.quantifier == Single && c.kind != opNull {
				has += ", several values, which need ForAnyValue or ForAllValues"
			}
		}
	}
	return fmt.Sprintf("wants %s of %s to be %s; %s", c.from.Name(), c.from.Key, list(c.from.Values), has)
}

// list joins values for people and cuts long lists.
func list(values []string) string {
	const most = 4
	if len(values) > most {
		return strings.Join(values[:most], ", ") + fmt.Sprintf(" and %d more", len(values)-most)
	}
	return strings.Join(values, ", ")
}

// Lines are the explanation in sentences for people.
func (x *Explanation) Lines() []string {
	r := x.request
	on := " on " + r.Resource
	if r.Resource == "*" || r.Resourceless {
		on = ""
	}
	what := fmt.Sprintf("%s may not do %s%s", r.Principal, r.Action, on)
	if x.Decision == Allowed {
		what = fmt.Sprintf("%s may do %s%s", r.Principal, r.Action, on)
	}
	lines := []string{what}
	if x.outcome.undeniable {
		return append(lines, "sts:GetCallerIdentity needs no permission and cannot be denied")
	}
	for _, s := range x.Statements {
		verb := "allows it"
		if s.Effect == Deny {
			verb = "denies it"
		}
		lines = append(lines, fmt.Sprintf("%s: %s %s", s.Layer.noun(), s, verb))
	}
	if x.Decision == Allowed {
		return lines
	}
	if x.outcome.protected {
		lines = append(lines, "AWS keeps this resource from being changed, whatever policies allow")
	}
	for _, l := range x.Missing {
		lines = append(lines, x.lacks(l))
	}
	if slices.Contains(x.BlockedBy, LayerPublicBuckets) {
		lines = append(lines, "S3 Block Public Access: the bucket policy is public, so it grants nothing to callers outside the bucket's account")
	}
	for _, n := range x.Near {
		lines = append(lines, fmt.Sprintf("near: %s %s", n.Reference, n.Why))
	}
	return lines
}

// lacks says what a layer lacks.
func (x *Explanation) lacks(l Layer) string {
	switch l {
	case LayerResource:
		switch {
		case x.outcome.foreign:
			return "resource policy: the resource is of another account, and its policy does not allow it"
		case x.outcome.needs == needResource || x.outcome.needs == needBoth:
			return "resource policy: no statement allows it, and for this action the resource's own policy must"
		}
		return "resource policy: no statement allows it"
	case LayerSCP:
		return fmt.Sprintf("service control policies: no statement allows it at %s", strings.Join(x.Levels, ", "))
	case LayerIdentity, LayerBoundary, LayerSession, LayerRCP, LayerEndpoint, LayerPublicBuckets:
	}
	return l.noun() + ": no statement allows it"
}

// noun is the layer in words.
func (l Layer) noun() string {
	switch l {
	case LayerIdentity:
		return "identity policies"
	case LayerResource:
		return "resource policy"
	case LayerBoundary:
		return "permissions boundary"
	case LayerSession:
		return "session policies"
	case LayerSCP:
		return "service control policies"
	case LayerRCP:
		return "resource control policies"
	case LayerEndpoint:
		return "VPC endpoint policy"
	case LayerPublicBuckets:
		return "S3 Block Public Access"
	}
	return string(l)
}
