package iam

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// PrincipalKind is what kind of caller a request has.
type PrincipalKind string

// The kinds of principals.
const (
	KindRoot          PrincipalKind = "root"
	KindUser          PrincipalKind = "user"
	KindRole          PrincipalKind = "role"           // a role whose session is not known
	KindSession       PrincipalKind = "assumed-role"   // a session of a role
	KindFederatedUser PrincipalKind = "federated-user" // a session of GetFederationToken
	KindService       PrincipalKind = "service"
	KindFederated     PrincipalKind = "federated" // who calls with a token of an identity provider
	KindAnonymous     PrincipalKind = "anonymous"
)

// Principal is the caller of a request. It is made by ParsePrincipal, ServicePrincipal, FederatedPrincipal and Anonymous;
// the zero Principal is anonymous.
type Principal struct {
	kind      PrincipalKind
	id        string // the ARN, the service's name or the provider's ARN
	partition string
	account   string
	name      string // of the user, role or federated user
	path      string // of the role, such as / or /team/
	noPath    bool   // the ARN of a session does not tell the role's path
	session   string // the session's name
}

// errPrincipal is why an ARN is no caller.
var errPrincipal = errors.New("a principal is the ARN of a user, role, assumed-role session, federated user or of an account's root")

// ParsePrincipal reads the ARN of a caller: arn:aws:iam::111111111111:user/path/name, …:role/path/name, …:root,
// arn:aws:sts::111111111111:assumed-role/name/session or …:federated-user/name.
func ParsePrincipal(arn string) (Principal, error) {
	segments := strings.SplitN(arn, ":", 6)
	if len(segments) != 6 || segments[0] != "arn" || segments[3] != "" || !isAccount(segments[4]) {
		return Principal{}, fmt.Errorf("%q: %w", arn, errPrincipal)
	}
	p := Principal{id: valid(arn), partition: segments[1], account: segments[4]}
	kind, rest, _ := strings.Cut(segments[5], "/")
	p.kind = PrincipalKind(kind)
	slash := strings.LastIndexByte(rest, '/')
	switch service := segments[2]; {
	case service == "iam" && segments[5] == "root":
	case service == "iam" && (p.kind == KindUser || p.kind == KindRole) && rest[slash+1:] != "":
		p.path, p.name = "/"+rest[:slash+1], rest[slash+1:]
	case service == "sts" && p.kind == KindSession && slash > 0 && rest[slash+1:] != "":
		p.name, p.session, p.path, p.noPath = rest[:slash], rest[slash+1:], "/", true
	case service == "sts" && p.kind == KindFederatedUser && rest != "":
		p.name = rest
	default:
		return Principal{}, fmt.Errorf("%q: %w", arn, errPrincipal)
	}
	return p, nil
}

// WithRole gives a session its role's full ARN, whose path the session's own ARN lacks. The role must be of the same name
// and account.
func (p Principal) WithRole(arn string) (Principal, error) {
	role, err := ParsePrincipal(arn)
	switch {
	case err != nil:
		return p, err
	case p.kind != KindSession || role.kind != KindRole || role.account != p.account || !strings.EqualFold(role.name, p.name):
		return p, fmt.Errorf("%q is not the role of %q", arn, p.id)
	}
	p.path, p.noPath = role.path, false
	return p, nil
}

// ServicePrincipal is an AWS service that calls by itself, such as lambda.amazonaws.com.
func ServicePrincipal(name string) Principal { return Principal{kind: KindService, id: valid(name)} }

// FederatedPrincipal is a caller with a token of an identity provider: the provider's ARN, or its name.
func FederatedPrincipal(id string) Principal {
	p := Principal{kind: KindFederated, id: valid(id)}
	if segments := strings.SplitN(id, ":", 6); len(segments) == 6 && isAccount(segments[4]) {
		p.partition, p.account = segments[1], segments[4]
	}
	return p
}

// Anonymous is a caller without a signature.
func Anonymous() Principal { return Principal{kind: KindAnonymous} }

// Kind is what kind of caller it is.
func (p Principal) Kind() PrincipalKind {
	if p.kind == "" {
		return KindAnonymous
	}
	return p.kind
}

// Account is the account of the caller, "" when it has none.
func (p Principal) Account() string { return p.account }

// String is the ARN or name of the caller.
func (p Principal) String() string {
	if p.id == "" {
		return "anonymous"
	}
	return p.id
}

// signed reports whether the caller is of an account, so that policies of its own count.
func (p *Principal) signed() bool {
	switch p.kind {
	case KindRoot, KindUser, KindRole, KindSession, KindFederatedUser:
		return true
	case KindService, KindFederated, KindAnonymous:
	}
	return false
}

// serviceLinked reports whether the caller is a role that belongs to a service; organizations do not restrict those.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html
func (p *Principal) serviceLinked() bool {
	if p.kind != KindRole && p.kind != KindSession {
		return false
	}
	return strings.HasPrefix(p.path, "/aws-service-role/") || p.noPath && strings.HasPrefix(p.name, "AWSServiceRoleFor")
}

func isAccount(s string) bool {
	if len(s) != 12 {
		return false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// grant is by which of a caller's names a statement of a resource policy matched it. What a grant is worth depends on it.
type grant byte

const (
	grantAccount grant = 1 << iota // the account, which delegates to its own policies
	grantRole                      // the role behind a session
	grantDirect                    // the caller itself, or everybody
)

// principals is a compiled Principal or NotPrincipal.
type principals struct {
	negated   bool
	any       bool
	accounts  []Principal // account, and partition unless the policy names the bare number
	callers   []Principal // users, roles, sessions, federated users
	services  []string
	federated []string
}

func compilePrincipals(from *Principals) *principals {
	p := &principals{negated: from.Negated, any: from.Any, services: from.Service, federated: from.Federated}
	for _, name := range from.AWS {
		one, err := ParsePrincipal(name)
		switch {
		case name == "*":
			p.any = true
		case isAccount(name):
			p.accounts = append(p.accounts, Principal{account: name})
		case err != nil: // a unique id, or a pattern: it names nobody that a request can be compared with
		case one.kind == KindRoot:
			p.accounts = append(p.accounts, one)
		default:
			p.callers = append(p.callers, one)
		}
	}
	return p
}

// match is by which names of the caller the list holds it; 0 when it does not.
func (p *principals) match(c *Principal, freeSession bool) grant {
	var found grant
	if p.any {
		found |= grantDirect
	}
	switch {
	case c.kind == KindService && slices.Contains(p.services, c.id), c.kind == KindFederated && slices.Contains(p.federated, c.id):
		found |= grantDirect
	case !c.signed():
		return found
	}
	for i := range p.accounts {
		if a := &p.accounts[i]; a.account == c.account && (a.partition == "" || a.partition == c.partition) {
			found |= grantAccount
		}
	}
	for i := range p.callers {
		found |= p.callers[i].names(c, freeSession)
	}
	return found
}

// names is whether a principal that a policy names is the caller, or the role behind it.
func (p *Principal) names(c *Principal, freeSession bool) grant {
	if p.account != c.account || p.partition != c.partition {
		return 0
	}
	switch {
	case p.kind == KindUser && c.kind == KindUser, p.kind == KindFederatedUser && c.kind == KindFederatedUser:
		if p.id == c.id {
			return grantDirect
		}
	case p.kind == KindRole && (c.kind == KindRole || c.kind == KindSession):
		if strings.EqualFold(p.name, c.name) && (c.noPath || p.path == c.path) {
			return grantRole
		}
	case p.kind == KindSession && c.kind == KindSession:
		if strings.EqualFold(p.name, c.name) && p.session == c.session {
			return grantDirect
		}
	case p.kind == KindSession && c.kind == KindRole && freeSession:
		if strings.EqualFold(p.name, c.name) {
			return grantDirect
		}
	}
	return 0
}

// grants is what the element gives a statement of the given effect for a caller.
func (p *principals) grants(effect Effect, c *Principal, discover, hasBoundary bool) grant {
	if !p.negated {
		return p.match(c, discover && effect == Allow)
	}
	if effect == Allow {
		if p.match(c, false) != 0 {
			return 0
		}
		return grantDirect
	}
	// AWS evaluates a Deny with NotPrincipal as matching everybody who has a permissions boundary.
	// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
	if !hasBoundary && p.exempts(c, discover) {
		return 0
	}
	return grantDirect
}

// exempts reports whether a NotPrincipal holds every name of a caller: its account, its role and its session.
func (p *principals) exempts(c *Principal, discover bool) bool {
	if p.any {
		return true
	}
	found := p.match(c, discover)
	switch c.kind {
	case KindRoot:
		return found&grantAccount != 0
	case KindUser, KindFederatedUser:
		return found == grantAccount|grantDirect
	case KindRole, KindSession:
		return found == grantAccount|grantRole|grantDirect
	case KindService, KindFederated:
		return found != 0
	case KindAnonymous:
	}
	return false
}
