package trust

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
)

// Question is an attempt to assume a role.
type Question struct {
	// Role is the role's ARN. Without, it is taken for one of the caller's account.
	Role   string
	Trust  *iam.Document
	Caller iam.Principal // a user, a role or a session; a service; or the identity provider whose token is shown
	// Policies are the caller's own identity policies. nil means that they are not known; an empty list that there are none.
	Policies   []iam.Policy
	ExternalID string // "": none is sent
	// Claims are those of the token: aud, sub, amr and others.
	Claims         map[string]string
	Tags           map[string]string // of the session
	SourceIdentity string
	// Keys are further condition keys of the request, such as aws:SourceIp.
	Keys map[string]string
}

// Outcome is what becomes of the attempt.
type Outcome string

// The outcomes.
const (
	Succeeds Outcome = "succeeds"
	Fails    Outcome = "fails"
	// Depends means that the trust policy lets the caller in if the caller's own policies, which are not known, allow it.
	Depends Outcome = "depends"
)

// Reason is why, in a sentence.
type Reason struct {
	Action    string `json:"action"`              // that it is about
	Statement int    `json:"statement,omitempty"` // of the trust policy, from 1; 0: none of it
	SID       string `json:"sid,omitempty"`
	Text      string `json:"text"`
}

// Answer is what becomes of an attempt, and why.
type Answer struct {
	Outcome  Outcome   `json:"outcome"`
	Actions  []string  `json:"actions"` // that must be allowed, in the order in which AWS looks
	Reasons  []Reason  `json:"reasons"` // the nearest first
	Findings []Finding `json:"findings"`
	Notes    []string  `json:"notes"`
}

// ParseCaller reads who calls: the ARN of a user, role or session, the name of a service such as ecs-tasks.amazonaws.com, or
// the ARN of an OpenID Connect provider whose token is shown.
func ParseCaller(who string) (iam.Principal, error) {
	switch {
	case strings.Contains(who, ":oidc-provider/"), who == "accounts.google.com", who == "cognito-identity.amazonaws.com":
		return iam.FederatedPrincipal(who), nil
	case strings.HasSuffix(who, ".amazonaws.com"), strings.HasSuffix(who, ".amazonaws.com.cn"):
		return iam.ServicePrincipal(who), nil
	}
	return iam.ParsePrincipal(who)
}

const trustPolicy = "the trust policy"

// Explain decides an attempt by package iam. The error says that the question is incomplete or contradicts itself.
func Explain(q Question) (Answer, error) {
	s, err := newSide(q)
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Outcome: Succeeds, Actions: s.actions(), Reasons: []Reason{}, Notes: []string{}}
	if q.Role == "" && s.caller.Account() != "" {
		a.Notes = append(a.Notes, "No role was named, so it is taken for one of account "+s.caller.Account()+". The caller's own policies must allow it too where the role is of another account.")
	}
	a.Findings = Findings(q.Trust, q.Role)
	if text := s.never(); text != "" {
		a.Outcome, a.Reasons = Fails, append(a.Reasons, Reason{Action: a.Actions[0], Text: text})
		return a, nil
	}
	for _, action := range a.Actions {
		outcome, reasons, err := s.explain(action)
		if err != nil {
			return Answer{}, err
		}
		a.Reasons = append(a.Reasons, reasons...)
		switch {
		case outcome == Fails:
			a.Outcome = Fails
		case a.Outcome == Succeeds:
			a.Outcome = outcome
		}
		if outcome == Fails {
			// A condition or principal that stops the first action stops the others for the same reason.
			break
		}
	}
	if a.Outcome == Fails {
		a.Reasons = slices.DeleteFunc(a.Reasons, func(r Reason) bool { return strings.HasSuffix(r.Text, letsIn) })
	}
	return a, nil
}

// letsIn ends the sentence about a statement that allows.
const letsIn = "lets the caller in."

// side is a question made ready.
type side struct {
	Question

	caller  iam.Principal
	account string // of the role
	part    string // its partition
	context iam.Context
}

func newSide(q Question) (*side, error) {
	s := &side{Question: q, caller: q.Caller, account: q.Caller.Account()}
	switch {
	case q.Trust == nil:
		return nil, errors.New("explain a trust policy: there is none")
	case q.Caller.Kind() == iam.KindAnonymous:
		return nil, errors.New("explain a trust policy: the caller is a user, a role, a session, a service or the ARN of an identity provider")
	case q.Role == "":
		s.Role = "arn:aws:iam::" + cmp.Or(s.account, "123456789012") + ":role/*"
		if p := strings.SplitN(q.Caller.String(), ":", 3); len(p) == 3 && p[0] == "arn" {
			s.Role = strings.Replace(s.Role, "arn:aws:", "arn:"+p[1]+":", 1)
		}
	default:
		role, err := iam.ParsePrincipal(q.Role)
		if err != nil || role.Kind() != iam.KindRole {
			return nil, fmt.Errorf("role %q: it is the ARN of a role, such as arn:aws:iam::111111111111:role/name", clipped(q.Role))
		}
		s.account = role.Account()
	}
	s.part = strings.SplitN(s.Role, ":", 3)[1]
	s.keys()
	return s, nil
}

// keys are the condition keys of the request.
func (s *side) keys() {
	if s.ExternalID != "" {
		s.context.Set("sts:ExternalId", s.ExternalID)
	}
	if s.SourceIdentity != "" {
		s.context.Set("sts:SourceIdentity", s.SourceIdentity)
	}
	host := providerHost(s.caller.String())
	for name, value := range s.Claims {
		if name == "amr" { // the one claim that is a key of several values
			s.context.SetList(host+":amr", strings.Split(value, ","))
			continue
		}
		s.context.Set(host+":"+name, value)
	}
	var names []string
	for name, value := range s.Tags {
		names = append(names, name)
		s.context.Set("aws:RequestTag/"+name, value)
	}
	if len(names) > 0 {
		slices.Sort(names)
		s.context.SetList("aws:TagKeys", names)
	}
	s.callerKeys()
	for name, value := range s.Keys {
		s.context.Set(name, value)
	}
}

// callerKeys are the keys that follow from who calls.
func (s *side) callerKeys() {
	s.context.Set("aws:SecureTransport", "true")
	if s.account != "" {
		s.context.Set("aws:ResourceAccount", s.account)
	}
	arn := s.caller.String()
	segments := strings.SplitN(arn, ":", 6)
	switch s.caller.Kind() {
	case iam.KindUser, iam.KindRole, iam.KindSession, iam.KindRoot, iam.KindFederatedUser:
		if s.caller.Kind() == iam.KindSession {
			arn = fmt.Sprintf("arn:%s:iam::%s:role/%s", segments[1], segments[4], strings.Split(segments[5], "/")[1])
		}
		if s.caller.Kind() == iam.KindUser {
			s.context.Set("aws:username", arn[strings.LastIndexByte(arn, '/')+1:])
		}
		s.context.Set("aws:PrincipalArn", arn)
		s.context.Set("aws:PrincipalAccount", s.caller.Account())
		s.context.Set("aws:PrincipalType", map[iam.PrincipalKind]string{
			iam.KindUser: "User", iam.KindRole: "AssumedRole", iam.KindSession: "AssumedRole", iam.KindRoot: "Account", iam.KindFederatedUser: "FederatedUser",
		}[s.caller.Kind()])
	case iam.KindFederated:
		s.context.Set("aws:FederatedProvider", arn)
	case iam.KindService, iam.KindAnonymous:
	}
}

// providerHost is what the condition keys of a provider begin with.
func providerHost(id string) string {
	if _, host, found := strings.Cut(id, ":oidc-provider/"); found {
		return host
	}
	return id
}

func (s *side) web() bool { return s.caller.Kind() == iam.KindFederated }

// pods is the service that hands out roles by EKS Pod Identity. It tags every session.
const pods = "pods.eks.amazonaws.com"

// actions are what the attempt needs, the main one first.
func (s *side) actions() []string {
	all := []string{AssumeRole}
	if s.web() {
		all[0] = AssumeRoleWithWebIdentity
	}
	if len(s.Tags) > 0 || s.caller.String() == pods {
		all = append(all, TagSession)
	}
	if s.SourceIdentity != "" {
		all = append(all, SetSourceIdentity)
	}
	return all
}

// never is what no policy can allow.
func (s *side) never() string {
	segments := strings.SplitN(s.caller.String(), ":", 6)
	switch {
	case s.caller.Kind() == iam.KindRoot:
		return "The root user of an account cannot assume roles, whatever a trust policy says: use a user or a role."
	case len(segments) == 6 && segments[0] == "arn" && segments[1] != s.part:
		return fmt.Sprintf("%s lies in partition %s, the role in %s: no credentials cross partitions.", s.caller, segments[1], s.part)
	case s.web() && len(segments) == 6 && s.caller.Account() != s.account:
		return fmt.Sprintf("The provider %s is of account %s, the role of %s: the provider must be in the role's own account.", s.caller, s.caller.Account(), s.account)
	case !s.web() && len(s.Claims) > 0:
		return fmt.Sprintf("%s calls sts:AssumeRole, which takes no token: claims belong to the ARN of an OpenID Connect provider as the caller.", s.caller)
	}
	return ""
}

// set compiles the trust policy with the caller's side.
func set(trust *iam.Document, identity []iam.Policy) (*iam.Set, error) {
	return iam.Compile(iam.Policies{Identity: identity, Resource: &iam.Policy{Name: trustPolicy, Document: trust}}, iam.Settings{})
}

// everything allows all, where the caller's side is not looked at.
func everything() []iam.Policy {
	return []iam.Policy{{Name: "everything", Document: &iam.Document{Version: "2012-10-17", Statements: []iam.Statement{{
		Effect: iam.Allow, Action: iam.Patterns{Values: []string{"*"}}, Resource: iam.Patterns{Values: []string{"*"}},
	}}}}}
}

func (s *side) request(action string) *iam.Request {
	return &iam.Request{Principal: s.caller, Action: action, Resource: s.Role, ResourceAccount: s.account, Context: s.context}
}

// explain decides one action.
func (s *side) explain(action string) (Outcome, []Reason, error) {
	best, err := s.decide(action, everything())
	if err != nil {
		return "", nil, err
	}
	if best.Decision != iam.Allowed {
		// The trust policy itself does not let the caller in.
		return Fails, s.refusal(action, &best), nil
	}
	own := s.Policies
	mine, err := s.decide(action, own)
	if err != nil {
		return "", nil, err
	}
	let := Reason{Action: action, Text: "The trust policy " + letsIn}
	for _, one := range mine.Statements {
		if one.Layer == iam.LayerResource && one.Effect == iam.Allow {
			let = s.reason(action, one.Index, letsIn)
		}
	}
	switch {
	case mine.Decision == iam.Allowed:
		return Succeeds, []Reason{let}, nil
	case s.Policies == nil:
		return Depends, []Reason{s.delegated(action, &best, "; they are not known here")}, nil
	case mine.Decision == iam.ExplicitlyDenied:
		var all []Reason
		for _, one := range mine.Statements {
			all = append(all, Reason{Action: action, Text: fmt.Sprintf("The caller's own policies deny %s: %s.", action, one)})
		}
		return Fails, all, nil
	}
	r := s.delegated(action, &best, ", and none does")
	for _, n := range mine.Near {
		if n.Layer == iam.LayerIdentity {
			r.Text += fmt.Sprintf(" Near: %s %s.", n.Reference, n.Why)
		}
	}
	return Fails, []Reason{r}, nil
}

func (s *side) decide(action string, identity []iam.Policy) (iam.Explanation, error) {
	compiled, err := set(s.Trust, identity)
	if err != nil {
		return iam.Explanation{}, err
	}
	return compiled.Explain(s.request(action)), nil
}

// delegated says that the trust policy leaves the decision to the caller's side.
func (s *side) delegated(action string, best *iam.Explanation, end string) Reason {
	index := -1
	for _, one := range best.Statements {
		if one.Layer == iam.LayerResource {
			index = one.Index
			break
		}
	}
	r := s.reason(action, max(index, 0), "")
	why := fmt.Sprintf("trusts account %s, which leaves it to that account whom it lets in", s.caller.Account())
	switch {
	case s.caller.Account() != s.account:
		why = fmt.Sprintf("lets the caller in, but the role is of another account, %s", s.account)
	case action != AssumeRole:
		why = "allows it, but this action needs both sides"
	}
	r.Text = strings.TrimSpace(r.Text) + fmt.Sprintf(" %s: the caller's own policies must allow %s on %s%s.", why, action, s.shown(), end)
	return r
}

// shown is the role as it is told.
func (s *side) shown() string {
	if strings.HasSuffix(s.Role, ":role/*") {
		return "the role"
	}
	return s.Role
}

// reason names a statement of the trust policy.
func (s *side) reason(action string, index int, text string) Reason {
	r := Reason{Action: action, Statement: index + 1}
	if index < len(s.Trust.Statements) {
		r.SID = s.Trust.Statements[index].SID
	}
	name := fmt.Sprintf("Statement %d", r.Statement)
	if r.SID != "" {
		name += fmt.Sprintf(" (%q)", r.SID)
	}
	r.Text = strings.TrimSpace(name + " of the trust policy " + text)
	return r
}

// refusal says why the trust policy does not let the caller in.
func (s *side) refusal(action string, x *iam.Explanation) []Reason {
	var all []Reason
	if x.Decision == iam.ExplicitlyDenied {
		for _, one := range x.Statements {
			text := "denies it" + s.denyWhy(one.Index)
			all = append(all, s.reason(action, one.Index, text+"."))
		}
		return all
	}
	type near struct {
		index  int
		misses []string
		weight int
	}
	var found []near
	for i := range s.Trust.Statements {
		if s.Trust.Statements[i].Effect != iam.Allow {
			continue
		}
		misses, weight := s.misses(action, &s.Trust.Statements[i])
		found = append(found, near{i, misses, weight})
	}
	if len(found) == 0 {
		return []Reason{{Action: action, Text: "No statement of the trust policy allows anything, so nobody can assume the role."}}
	}
	slices.SortStableFunc(found, func(a, b near) int { return cmp.Compare(a.weight, b.weight) })
	const most = 5
	for _, n := range found[:min(most, len(found))] {
		all = append(all, s.reason(action, n.index, strings.Join(n.misses, "; and it ")+"."))
	}
	return all
}

// denyWhy tells the conditions of a Deny that hold, for those are what can be mended.
func (s *side) denyWhy(index int) string {
	var all []string
	for _, c := range s.Trust.Statements[index].Conditions {
		all = append(all, s.condition(c))
	}
	if len(all) == 0 {
		return ""
	}
	return ", since it " + strings.Join(all, " and it ")
}

// misses asks the engine about each element of a statement by itself: with the others wide open, does it still stop the
// caller? weight orders statements by how far they are from letting the caller in.
func (s *side) misses(action string, from *iam.Statement) (why []string, weight int) {
	open := iam.Statement{Effect: iam.Allow, Principal: &iam.Principals{Any: true}, Action: iam.Patterns{Values: []string{"*"}}}
	stops := func(one iam.Statement) bool {
		compiled, err := set(&iam.Document{Version: s.Trust.Version, Statements: []iam.Statement{one}}, everything())
		if err != nil {
			return true
		}
		return compiled.Decide(s.request(action)) != iam.Allowed
	}
	one := open
	if one.Principal = from.Principal; from.Principal == nil {
		one.Principal = &iam.Principals{}
	}
	if stops(one) {
		text, far := s.principal(one.Principal)
		why, weight = append(why, text), weight+far
	}
	one = open
	if one.Action = from.Action; stops(one) {
		why, weight = append(why, s.action(action, from)), weight+1
	}
	one = open
	if one.Resource = from.Resource; one.Resource.Values != nil && stops(one) {
		why, weight = append(why, "has a Resource, which a trust policy must not have"), weight+1
	}
	for i := range from.Conditions {
		one = open
		if one.Conditions = from.Conditions[i : i+1]; stops(one) {
			why, weight = append(why, s.condition(from.Conditions[i])), weight+1
		}
	}
	if len(why) == 0 { // the elements hold one by one: only a policy variable in one of them stops the whole
		why, weight = []string{"uses a policy variable that the request has no value for"}, 1
	}
	return why, weight
}

func (s *side) action(action string, from *iam.Statement) string {
	text := fmt.Sprintf("allows %s, not %s", listed(from.Action.Values), action)
	if from.Action.Negated {
		text = fmt.Sprintf("leaves out %s, and so %s", listed(from.Action.Values), action)
	}
	switch {
	case action == AssumeRoleWithWebIdentity:
		return text + ", with which a token of an OpenID Connect provider is exchanged"
	case action == TagSession && s.caller.String() == pods:
		return text + ": EKS Pod Identity tags every session"
	case action == TagSession:
		return text + ": a session with tags needs it besides " + s.actions()[0]
	case action == SetSourceIdentity:
		return text + ": a session with a source identity needs it besides " + s.actions()[0]
	}
	return text
}

func listed(values []string) string {
	const most = 4
	if len(values) > most {
		return strings.Join(values[:most], ", ") + fmt.Sprintf(" and %d more", len(values)-most)
	}
	return strings.Join(values, ", ")
}
