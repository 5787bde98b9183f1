package iam

import "strings"

// Request is one request to decide.
type Request struct {
	Principal Principal
	Action    string // service:Action, in any letter case
	// Resource is the ARN of what is acted on, or "*". With a star in it, it means some resource of that shape.
	Resource string
	// ResourceAccount is the account that owns the resource; "" takes it from the ARN, or else the principal's.
	ResourceAccount string
	// Resourceless says that the action takes no resource: only the pattern "*" matches it.
	Resourceless bool
	Context      Context
}

// Decision is the answer to a request.
type Decision string

// The decisions.
const (
	Allowed          Decision = "Allowed"
	ImplicitlyDenied Decision = "ImplicitlyDenied" // nothing allows it, or a layer that must does not
	ExplicitlyDenied Decision = "ExplicitlyDenied" // a statement denies it
)

// evaluation is the state of one decision. It lives on the stack.
type evaluation struct {
	set     *Set
	request *Request
	target  target

	action [128]byte // in small letters; a longer one is none that AWS has
	colon  int
	length int

	unknownStar bool // an unknown variable matches anything, instead of nothing
	scratch     [256]byte
}

// Decide answers a request. It does not allocate, unless a policy variable's value is longer than 256 bytes or the resource
// holds a star.
func (s *Set) Decide(r *Request) Decision {
	var e evaluation
	e.begin(s, r)
	o := e.outcome(true)
	return o.decision()
}

func (e *evaluation) begin(s *Set, r *Request) {
	e.set, e.request = s, r
	e.target = newTarget(r.Resource)
	if len(r.Action) > len(e.action) {
		return
	}
	e.length = len(r.Action)
	for i := range e.length {
		e.action[i] = lowerByte(r.Action[i])
	}
	e.colon = max(0, strings.IndexByte(r.Action, ':'))
}

// service is the part of the action before the colon, name the one behind it.
func (e *evaluation) service() []byte { return e.action[:e.colon] }
func (e *evaluation) name() []byte    { return e.action[min(e.colon+1, e.length):e.length] }

// expand fills in the variables of a template. It fails when one has no value.
func (e *evaluation) expand(t template) ([]byte, bool) {
	out := e.scratch[:0]
	for i := range t {
		p := &t[i]
		if p.variable == "" {
			out = append(out, p.text...)
			continue
		}
		v, present := e.request.Context.get(p.variable)
		switch {
		case present && !v.multi && e.certain(p.variable):
			out = append(out, v.single...)
		case e.set.discover && e.unknownStar && !e.certain(p.variable):
			out = append(out, anyRun)
		case p.hasDefault && e.certain(p.variable):
			out = append(out, p.fallback...)
		default:
			return nil, false
		}
	}
	return out, true
}

// certain reports whether the context is the truth for a key.
func (e *evaluation) certain(key string) bool {
	if !e.set.discover {
		return true
	}
	_, present := e.request.Context.get(key)
	if k, listed := e.set.knowledge[key]; listed {
		return k.PresenceKnown && (!present || k.ValueKnown)
	}
	return present
}

// matches reports whether a statement whose action matches also matches in all else, and in which way it names the
// caller.
func (e *evaluation) matches(s *statement) grant {
	found := grantDirect
	if s.who != nil {
		found = s.who.grants(s.effect, &e.request.Principal, e.set.discover, e.set.boundary.present)
		if found == 0 {
			return 0
		}
	}
	if len(s.variables) > 0 && !e.resolved(s) || !e.matchesResource(s) {
		return 0
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(e, s.effect) {
			return 0
		}
	}
	return found
}

// resolved reports whether every variable without a default has a value; without, AWS takes the whole statement as not
// matching. One that a discovery does not know has a value for an Allow, and none for a Deny.
func (e *evaluation) resolved(s *statement) bool {
	for _, name := range s.variables {
		v, present := e.request.Context.get(name)
		if certain := e.certain(name); certain && (!present || v.multi) || !certain && s.effect == Deny {
			return false
		}
	}
	return true
}

func (e *evaluation) matchesResource(s *statement) bool {
	if e.request.Resourceless {
		for i := range s.resources {
			if s.resources[i].kind == allPattern {
				return !s.notRes
			}
		}
		return s.notRes && !s.badRes
	}
	if s.badRes {
		return false
	}
	// What must be true of all resources that the request may mean, for a Deny, need only be true of one for an Allow.
	cover := (s.effect == Deny) != s.notRes
	e.unknownStar = s.effect == Allow && !s.notRes
	listed := false
	for i := 0; i < len(s.resources) && !listed; i++ {
		found, known := s.resources[i].match(e, &e.target, cover)
		// What may be left out of a Deny is left out.
		listed = found || !known && s.effect == Deny && s.notRes
	}
	e.unknownStar = false // in conditions what is unknown is told from what matches
	return listed != s.notRes
}

// first is the first statement of an index that matches, or nil.
func (e *evaluation) first(x *index) *statement {
	c := x.candidates(e)
	for s := c.next(e); s != nil; s = c.next(e) {
		if e.matches(s) != 0 {
			return s
		}
	}
	return nil
}

// outcome is what the layers say, each for itself.
type outcome struct {
	applies struct{ identity, scp, rcp bool } // which layers bear on the caller at all
	denied  struct{ identity, resource, boundary, session, scp, rcp, endpoint bool }

	identity, boundary, session, scp, endpoint bool
	grant                                      grant // what the resource's policy gives
	public                                     bool  // its grants do not count, for it is a public bucket's

	signed     bool
	foreign    bool // the resource is of another account
	needs      need
	undeniable bool // sts:GetCallerIdentity
	protected  bool // AWS keeps the resource from being changed
}

// need is how an action's permission comes about.
type need byte

const (
	needEither   need = iota // the caller's policies or the resource's
	needResource             // the resource's policy must agree: role trust, KMS keys
	needBoth                 // both must agree, also in one account: what is passed along when a role is assumed
	needIdentity             // no resource policy counts: KMS without a key
)

// outcome asks every layer. With quick it stops at the first denial.
func (e *evaluation) outcome(quick bool) outcome {
	var o outcome
	s, r := e.set, e.request
	p := &r.Principal
	o.signed = p.signed()
	o.applies.identity = o.signed
	o.applies.scp = o.signed && s.scp.present && !p.serviceLinked()
	o.applies.rcp = s.rcp.present && !p.serviceLinked() && rcpSupports(string(e.service()))
	o.needs = e.need()
	o.foreign = o.signed && e.account() != p.account
	o.undeniable = (o.signed || p.kind == KindService) && e.is("sts", "getcalleridentity")
	o.protected = e.protected()
	o.public = s.publicBucket && string(e.service()) == "s3" && (!o.signed && p.kind != KindService || o.foreign)
	if o.undeniable && quick {
		return o
	}

	for _, one := range [...]struct {
		layer  *layer
		active bool
		denied *bool
	}{
		{&s.identity, o.signed, &o.denied.identity},
		{&s.boundary, o.signed && p.kind != KindRoot, &o.denied.boundary},
		{&s.session, o.signed, &o.denied.session},
		{&s.scp, o.applies.scp, &o.denied.scp},
		{&s.resource, o.needs != needIdentity, &o.denied.resource},
		{&s.rcp, o.applies.rcp, &o.denied.rcp},
		{&s.endpoint, true, &o.denied.endpoint},
	} {
		if one.active && !one.layer.deny.empty() && e.first(&one.layer.deny) != nil {
			*one.denied = true
			if quick {
				return o
			}
		}
	}
	o.identity = o.signed && (p.kind == KindRoot || e.first(&s.identity.allow) != nil)
	o.boundary = !s.boundary.present || p.kind == KindRoot || e.first(&s.boundary.allow) != nil
	o.session = !s.session.present || e.first(&s.session.allow) != nil
	o.endpoint = !s.endpoint.present || e.first(&s.endpoint.allow) != nil
	o.scp = true
	for i := range s.levels {
		o.scp = o.scp && (!o.applies.scp || e.first(&s.levels[i].allow) != nil)
	}
	if o.needs != needIdentity {
		o.grant = e.grants(&s.resource.allow)
	}
	return o
}

// grants is all that the Allow statements of the resource's policy give.
func (e *evaluation) grants(x *index) grant {
	var all grant
	c := x.candidates(e)
	for s := c.next(e); s != nil && all&grantDirect == 0; s = c.next(e) {
		all |= e.matches(s)
	}
	return all
}

func (e *evaluation) is(service, name string) bool {
	return string(e.service()) == service && string(e.name()) == name
}

// account is the account that owns the resource.
func (e *evaluation) account() string {
	switch {
	case e.request.ResourceAccount != "":
		return e.request.ResourceAccount
	case e.target.isARN && isAccount(e.target.segments[4]):
		return e.target.segments[4]
	}
	return e.request.Principal.account
}

// need is how the permission for the action comes about.
//
// Sources: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html,
// https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html,
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
func (e *evaluation) need() need {
	switch string(e.service()) {
	case "sts":
		switch string(e.name()) {
		case "assumerole", "assumerolewithsaml", "assumerolewithwebidentity":
			return needResource
		case "tagsession", "setsourceidentity":
			return needBoth
		}
	case "kms":
		if e.request.Resourceless || !strings.HasPrefix(e.target.segments[5], "key/") {
			return needIdentity
		}
		return needResource
	}
	return needEither
}

// grants reports whether identity, session and resource policies together give the permission, with or without the
// permissions boundary and S3's restriction of public buckets.
func (o *outcome) grants(boundary, public bool) bool {
	given := o.grant
	if public && o.public {
		given = 0
	}
	bounded := (!boundary || o.boundary) && o.session && !o.denied.session
	switch {
	case !o.signed:
		return given&grantDirect != 0
	case o.needs == needIdentity:
		return !o.foreign && o.identity && bounded
	case o.foreign || o.needs == needBoth:
		return given != 0 && o.identity && bounded
	case given&grantDirect != 0:
		// A grant to the caller itself comes in addition to what boundary and session policies leave.
		return true
	case o.needs == needResource:
		return (given&grantRole != 0 || given&grantAccount != 0 && o.identity) && bounded
	}
	return (o.identity || given&grantRole != 0) && bounded
}

func (o *outcome) explicit() bool {
	d := &o.denied
	return d.identity || d.resource || d.boundary || d.session || d.scp || d.rcp || d.endpoint
}

func (o *outcome) decision() Decision {
	switch {
	case o.undeniable:
		return Allowed
	case o.explicit():
		return ExplicitlyDenied
	case o.grants(true, true) && o.scp && o.endpoint && !o.protected:
		return Allowed
	}
	return ImplicitlyDenied
}
