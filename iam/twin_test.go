package iam_test

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/belay-dev/belay/iam"
)

// twin decides a request by identity policies and the resource's policy, slowly and as plainly as the pages of the IAM User
// Guide put it. It knows no policy variables, no other layers, no star in the request's resource, and no action for which
// AWS has rules of its own. It shares no code with the engine.
//
// Sources, all under https://docs.aws.amazon.com/IAM/latest/UserGuide/: reference_policies_evaluation-logic.html,
// reference_policies_evaluation-logic-cross-account.html, reference_policies_elements_principal.html,
// reference_policies_elements_notprincipal.html, reference_policies_elements_condition_operators.html,
// reference_policies_condition-logic-multiple-context-keys-or-values.html.
type twin struct {
	identity []*iam.Document
	resource *iam.Document
	caller   caller
	action   string
	arn      string // "" for an action without a resource
	owner    string
	keys     map[string][]string // by names in small letters
	several  map[string]bool
}

// caller is who asks, told by ARNs.
type caller struct {
	arn, account string // "" account for a service, a provider and nobody
	role         string // the ARN of the role behind a session
	roleName     string // for a session whose role's path is not known: its account and name
	kind         string
}

func (w *twin) decide() iam.Decision {
	allowedByIdentity, allowedByResource, delegated := w.caller.kind == "root", false, false
	if w.caller.account != "" {
		for _, d := range w.identity {
			for _, s := range d.Statements {
				switch {
				case !w.matches(s):
				case s.Effect == iam.Deny:
					return iam.ExplicitlyDenied
				default:
					allowedByIdentity = true
				}
			}
		}
	}
	if w.resource != nil {
		for _, s := range w.resource.Statements {
			byAccount, byName := w.named(s)
			switch {
			case !byAccount && !byName || !w.matches(s):
			case s.Effect == iam.Deny:
				return iam.ExplicitlyDenied
			default:
				delegated = delegated || byAccount
				allowedByResource = allowedByResource || byName
			}
		}
	}
	var allowed bool
	switch w.caller.account {
	case "":
		allowed = allowedByResource
	case w.owner:
		allowed = allowedByIdentity || allowedByResource
	default:
		allowed = allowedByIdentity && (allowedByResource || delegated)
	}
	if allowed {
		return iam.Allowed
	}
	return iam.ImplicitlyDenied
}

// named reports whether a statement is for the caller: by the account it is in, or by one of its own names.
func (w *twin) named(s iam.Statement) (byAccount, byName bool) {
	p := s.Principal
	if p == nil {
		return false, false
	}
	account, identity, sessionOnly := false, false, false
	everybody := p.Any || slices.Contains(p.AWS, "*")
	for _, name := range p.AWS {
		if w.caller.account != "" && (name == w.caller.account || name == "arn:aws:iam::"+w.caller.account+":root") {
			account = true
		}
		switch {
		case name == w.caller.arn && w.caller.kind == "session":
			sessionOnly = true
		case name == w.caller.arn && w.caller.kind != "root" && w.caller.kind != "role", w.caller.role != "" && name == w.caller.role:
			identity = true
		case w.caller.roleName != "" && regexp.MustCompile(`^arn:aws:iam::`+w.caller.account+`:role/(.*/)?`+w.caller.roleName+`$`).MatchString(name):
			identity = true
		}
	}
	outside := w.caller.kind == "service" && slices.Contains(p.Service, w.caller.arn) || w.caller.kind == "federated" && slices.Contains(p.Federated, w.caller.arn)
	if !p.Negated {
		return account, everybody || identity || sessionOnly || outside
	}
	listed := account || everybody || identity || sessionOnly || outside
	if s.Effect == iam.Allow {
		return false, !listed
	}
	// Who is to be exempt from a Deny must be named in full: account, role and session.
	exempt := everybody || outside
	switch w.caller.kind {
	case "root":
		exempt = exempt || account
	case "user":
		exempt = exempt || account && identity
	case "role", "session":
		exempt = exempt || account && identity && sessionOnly
	}
	return false, !exempt
}

func (w *twin) matches(s iam.Statement) bool {
	if slices.ContainsFunc(s.Action.Values, w.matchesAction) == s.Action.Negated {
		return false
	}
	if s.Resource.Values != nil && slices.ContainsFunc(s.Resource.Values, w.matchesResource) == s.Resource.Negated {
		return false
	}
	for _, c := range s.Conditions {
		if !w.holds(c) {
			return false
		}
	}
	return true
}

// like translates a pattern into a regular expression.
func like(pattern, text string, fold bool) bool {
	flags := "(?s)"
	if fold {
		flags = "(?is)"
	}
	e := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
	return regexp.MustCompile(flags + "^(?:" + e + ")$").MatchString(text)
}

func (w *twin) matchesAction(pattern string) bool {
	if pattern == "*" {
		return true
	}
	service, name, colon := strings.Cut(pattern, ":")
	ours, its, _ := strings.Cut(w.action, ":")
	return colon && like(service, ours, true) && like(name, its, true)
}

func (w *twin) matchesResource(pattern string) bool {
	return pattern == "*" || w.arn != "" && likeARN(pattern, w.arn, true)
}

// likeARN compares ARNs segment by segment. A pattern that is too short is filled up where that is so.
func likeARN(pattern, arn string, fill bool) bool {
	these, those := strings.SplitN(pattern, ":", 6), strings.SplitN(arn, ":", 6)
	for fill && len(these) < 6 {
		these = append(these, "*")
	}
	if len(these) != 6 || len(those) != 6 {
		return false
	}
	for i := range these {
		if !like(these[i], those[i], false) {
			return false
		}
	}
	return true
}

func (w *twin) holds(c iam.Condition) bool {
	key := strings.ToLower(c.Key)
	values, present := w.keys[key]
	present = present && len(values) > 0
	negated := strings.Contains(c.Operator, "Not")
	switch {
	case c.Operator == "Null":
		return slices.Contains(c.Values, strconv.FormatBool(!present))
	case !present && c.IfExists, !present && c.Quantifier == iam.ForAllValues:
		return true
	case !present && c.Quantifier == iam.ForAnyValue:
		return false
	case !present:
		return negated
	case c.Quantifier == iam.Single && w.several[key]:
		return false
	}
	one := func(value string) bool {
		if negated {
			return w.none(c, value)
		}
		return slices.ContainsFunc(c.Values, func(want string) bool { yes, _ := w.compare(c.Operator, want, value); return yes })
	}
	if c.Quantifier == iam.ForAllValues {
		return !slices.ContainsFunc(values, func(v string) bool { return !one(v) })
	}
	return slices.ContainsFunc(values, one)
}

// none is a negated operator: no value may match, and all must be readable.
func (w *twin) none(c iam.Condition, value string) bool {
	for _, want := range c.Values {
		if yes, readable := w.compare(strings.Replace(c.Operator, "Not", "", 1), want, value); yes || !readable {
			return false
		}
	}
	// With no value to compare, the request's own must still be readable.
	_, readable := w.compare(strings.Replace(c.Operator, "Not", "", 1), value, value)
	return readable
}

func (w *twin) compare(operator, want, value string) (yes, readable bool) {
	switch {
	case operator == "StringEquals":
		return want == value, true
	case operator == "StringEqualsIgnoreCase":
		return strings.EqualFold(want, value), true
	case operator == "StringLike":
		return like(want, value, false), true
	case strings.HasPrefix(operator, "Arn"):
		return want == "*" || likeARN(want, value, false), true
	case operator == "IpAddress":
		return inside(want, value)
	case operator == "Bool":
		want, value = strings.ToLower(want), strings.ToLower(value)
		return want == value, (want == "true" || want == "false") && (value == "true" || value == "false")
	case strings.HasPrefix(operator, "Numeric"):
		a, err := strconv.ParseFloat(value, 64)
		b, other := strconv.ParseFloat(want, 64)
		return err == nil && other == nil && ordered(strings.TrimPrefix(operator, "Numeric"), a < b, a == b), err == nil && other == nil
	case strings.HasPrefix(operator, "Date"):
		a, ok := date(value)
		b, other := date(want)
		return ok && other && ordered(strings.TrimPrefix(operator, "Date"), a.Before(b), a.Equal(b)), ok && other
	}
	panic("no operator: " + operator)
}

func ordered(how string, less, equal bool) bool {
	switch how {
	case "Equals":
		return equal
	case "LessThan":
		return less
	case "LessThanEquals":
		return less || equal
	case "GreaterThan":
		return !less && !equal
	case "GreaterThanEquals":
		return !less
	}
	panic("no order: " + how)
}

func inside(network, address string) (yes, readable bool) {
	if !strings.Contains(network, "/") {
		a, err := netip.ParseAddr(network)
		b, other := netip.ParseAddr(address)
		return err == nil && a == b, err == nil && other == nil
	}
	n, err := netip.ParsePrefix(network)
	a, other := netip.ParseAddr(address)
	return err == nil && other == nil && n.Contains(a), err == nil && other == nil
}

// date reads the forms that the generator has.
func date(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, s); err == nil {
			return at, true
		}
	}
	seconds, err := strconv.Atoi(s)
	return time.Unix(int64(seconds), 0), err == nil
}

// twinOf asks the twin what the engine is asked.
func twinOf(p iam.Policies, r iam.Request) *twin {
	w := &twin{action: r.Action, arn: r.Resource, owner: r.ResourceAccount, keys: map[string][]string{}, several: map[string]bool{}}
	if r.Resourceless {
		w.arn = ""
	}
	for _, one := range p.Identity {
		w.identity = append(w.identity, one.Document)
	}
	if p.Resource != nil {
		w.resource = p.Resource.Document
	}
	for _, k := range keyNames {
		if v, list, present := r.Context.Value(k); present {
			w.keys[strings.ToLower(k)], w.several[strings.ToLower(k)] = list, list != nil
			if list == nil {
				w.keys[strings.ToLower(k)] = []string{v}
			}
		}
	}
	w.caller = caller{arn: r.Principal.String(), account: r.Principal.Account()}
	switch r.Principal.Kind() {
	case iam.KindRoot:
		w.caller.kind = "root"
	case iam.KindUser, iam.KindFederatedUser:
		w.caller.kind = "user"
	case iam.KindRole:
		w.caller.kind, w.caller.role = "role", r.Principal.String()
	case iam.KindSession:
		w.caller.kind, w.caller.roleName = "session", "r"
		if full, err := mustPrincipal(session).WithRole(role); err == nil && r.Principal == full {
			w.caller.role, w.caller.roleName = role, ""
		}
	case iam.KindService:
		w.caller.kind = "service"
	case iam.KindFederated:
		w.caller.kind, w.caller.account = "federated", ""
	case iam.KindAnonymous:
		w.caller.kind = "anonymous"
	}
	return w
}

// plain reports whether a policy keeps to what the twin knows.
func plain(p iam.Policies) bool {
	all, _ := documents(&p)
	return !slices.ContainsFunc(all, func(d *iam.Document) bool {
		return strings.Contains(show(iam.Policies{Identity: []iam.Policy{{Document: d}}}), "${")
	})
}

// withoutVariables leaves out what the twin does not know.
func withoutVariables(p iam.Policies) iam.Policies {
	all, _ := documents(&p)
	keep := func(values []string) []string {
		out := slices.DeleteFunc(slices.Clone(values), func(v string) bool { return strings.Contains(v, "${") || v == "arn:aws:s3" })
		if len(out) == 0 {
			return []string{"*"}
		}
		return out
	}
	for _, d := range all {
		for i := range d.Statements {
			s := &d.Statements[i]
			s.Resource.Values = keep(s.Resource.Values)
			for j := range s.Conditions {
				if c := &s.Conditions[j]; c.Operator != "Null" {
					c.Values = keep(c.Values)
				}
			}
		}
	}
	return p
}

func TestTheEngineDecidesLikeItsTwin(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := withoutVariables(iam.Policies{Identity: drawPolicies(t, 0, 2, false), Resource: &drawPolicies(t, 1, 1, true)[0]})
		if pick(t, "no resource policy", false, false, true) {
			p.Resource = nil
		}
		if !plain(p) {
			t.Fatalf("the twin knows no variables: %s", show(p))
		}
		set := compile(t, p, iam.Settings{})
		for range requestsPerSet {
			r := drawRequest(t, false)
			if !strings.HasPrefix(r.Action, "s3:") {
				continue
			}
			got, want := set.Decide(&r), twinOf(p, r).decide()
			if got != want {
				t.Fatalf("got %s, want %s: %+v%s", got, want, r, show(p))
			}
		}
	})
}
