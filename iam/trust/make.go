package trust

import (
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
)

// Kind is who is to assume a role.
type Kind string

// The kinds. ECS has two: ECSTasks is for the task role and for the task execution role, ECSService for the legacy service
// role, with which the ECS scheduler registers targets at a load balancer.
const (
	EC2          Kind = "ec2"
	ECSTasks     Kind = "ecs-tasks"
	ECSService   Kind = "ecs"
	Lambda       Kind = "lambda"
	CrossAccount Kind = "cross-account"
	IRSA         Kind = "irsa"
	PodIdentity  Kind = "pod-identity"
	OIDC         Kind = "oidc"
)

// Kinds are all kinds, in the order in which they are told.
func Kinds() []Kind {
	return []Kind{EC2, ECSTasks, ECSService, Lambda, CrossAccount, IRSA, PodIdentity, OIDC}
}

// The actions that trust policies allow.
const (
	AssumeRole                = "sts:AssumeRole"
	AssumeRoleWithWebIdentity = "sts:AssumeRoleWithWebIdentity"
	TagSession                = "sts:TagSession"
	SetSourceIdentity         = "sts:SetSourceIdentity"
)

// maxExternalID is the length of the longest external id, in characters.
const maxExternalID = 1224

// DefaultAudience is the audience of tokens that are made for AWS.
const DefaultAudience = "sts.amazonaws.com"

// Ask is what a trust policy is made for. What a kind does not use must be left empty.
type Ask struct {
	For       Kind   `json:"for"`
	Partition string `json:"partition,omitempty"` // of the role: aws (the default, or that of an ARN below), aws-cn, aws-us-gov, …
	// Principals are who is let in, of CrossAccount: account ids, and ARNs of accounts' roots, roles and users.
	Principals []string `json:"principals,omitempty"`
	// ExternalID is what the caller must send, of CrossAccount: 2 to 1,224 letters, digits and _ + = , . @ : / -.
	ExternalID string `json:"externalId,omitempty"`
	// Provider is the ARN of the OpenID Connect provider in the role's account, of IRSA and OIDC.
	Provider string `json:"provider,omitempty"`
	// Issuer and Account give the Provider in other words: the issuer's address, and the role's account.
	Issuer  string `json:"issuer,omitempty"`
	Account string `json:"account,omitempty"`
	// Namespace and ServiceAccount are the Kubernetes service account, of IRSA and PodIdentity. With PodIdentity they may
	// be left out: the association in the cluster says which service account gets the role.
	Namespace      string `json:"namespace,omitempty"`
	ServiceAccount string `json:"serviceAccount,omitempty"`
	Audience       string `json:"audience,omitempty"` // of IRSA and OIDC; DefaultAudience by default
	Subject        string `json:"subject,omitempty"`  // of OIDC; a star in it makes it a pattern
	// SourceAccount limits ECSTasks to tasks of one account, against the confused deputy.
	SourceAccount string `json:"sourceAccount,omitempty"`
	// Tags lets the session have tags, SourceIdentity a source identity: each needs an action more.
	Tags           bool `json:"tags,omitempty"`
	SourceIdentity bool `json:"sourceIdentity,omitempty"`
}

// Policy is a trust policy.
type Policy struct {
	Partition string        `json:"partition"`
	Document  *iam.Document `json:"document"`
	Notes     []string      `json:"notes"` // what to know, sentences
}

// ErrInput is what an [InputError] is.
var ErrInput = errors.New("the request for a trust policy is wrong")

// InputError holds all that is wrong with what was asked for.
type InputError struct{ Problems []string }

// Error is all problems, separated by semicolons.
func (e *InputError) Error() string { return strings.Join(e.Problems, "; ") }

// Is reports whether target is ErrInput.
func (*InputError) Is(target error) bool { return target == ErrInput }

// NewExternalID makes an external id by chance: belay- and 26 letters and digits, 130 bits. It is no secret, but each customer, or
// each connection, should have one of its own, given by who assumes the role and not by who owns it.
func NewExternalID() string { return "belay-" + strings.ToLower(rand.Text()) }

// maker collects what is wrong with an Ask.
type maker struct {
	Ask

	problems []string
}

func (m *maker) report(format string, args ...any) {
	m.problems = append(m.problems, fmt.Sprintf(format, args...))
}

// field is a field of an Ask as its kinds use it.
type field struct {
	name string
	set  bool
	of   []Kind
}

func (a *Ask) fields() []field {
	web, pods := []Kind{IRSA, OIDC}, []Kind{IRSA, PodIdentity}
	return []field{
		{"principals", len(a.Principals) > 0, []Kind{CrossAccount}},
		{"externalId", a.ExternalID != "", []Kind{CrossAccount}},
		{"provider", a.Provider != "", web},
		{"issuer", a.Issuer != "", web},
		{"account", a.Account != "", web},
		{"audience", a.Audience != "", web},
		{"namespace", a.Namespace != "", pods},
		{"serviceAccount", a.ServiceAccount != "", pods},
		{"subject", a.Subject != "", []Kind{OIDC}},
		{"sourceAccount", a.SourceAccount != "", []Kind{ECSTasks}},
	}
}

// For makes a trust policy. The error is an [InputError] with all that is wrong.
func For(a Ask) (Policy, error) {
	m := &maker{Ask: a}
	if !slices.Contains(Kinds(), a.For) {
		var names []string
		for _, k := range Kinds() {
			names = append(names, string(k))
		}
		m.report("for %q: it is one of %s", a.For, strings.Join(names, ", "))
		return Policy{}, &InputError{m.problems}
	}
	for _, f := range a.fields() {
		if f.set && !slices.Contains(f.of, a.For) {
			m.report("%s: a trust policy for %s has none", f.name, a.For)
		}
	}
	m.partition()
	one := iam.Statement{Effect: iam.Allow, Principal: &iam.Principals{}, Action: iam.Patterns{Values: []string{AssumeRole}}}
	p := Policy{Notes: []string{}}
	switch a.For {
	case EC2, ECSTasks, ECSService, Lambda, PodIdentity:
		p.Notes = m.service(&one)
	case CrossAccount:
		p.Notes = m.crossAccount(&one)
	case IRSA, OIDC:
		p.Notes = m.web(&one)
	}
	if len(m.problems) > 0 {
		return Policy{}, &InputError{m.problems}
	}
	if a.Tags && a.For != PodIdentity {
		one.Action.Values = append(one.Action.Values, TagSession)
	}
	if a.SourceIdentity {
		one.Action.Values = append(one.Action.Values, SetSourceIdentity)
	}
	p.Partition, p.Document = m.Partition, &iam.Document{Version: "2012-10-17", Statements: []iam.Statement{one}}
	return p, nil
}

// partition finds the role's partition: what is given, or that of the ARNs, which must agree. No credentials cross
// partitions.
func (m *maker) partition() {
	if m.Partition != "" && !partitionForm.MatchString(m.Partition) {
		m.report("partition %q: it is aws, aws-cn, aws-us-gov or another that begins with aws", m.Partition)
		return
	}
	for _, arn := range append([]string{m.Provider}, m.Principals...) {
		segments := strings.SplitN(arn, ":", 6)
		switch {
		case len(segments) != 6 || !partitionForm.MatchString(segments[1]): // it is reported where it is read
		case m.Partition == "":
			m.Partition = segments[1]
		case segments[1] != m.Partition:
			m.report("%s lies in partition %s, the role in %s: no credentials cross partitions", arn, segments[1], m.Partition)
		}
	}
	if m.Partition == "" {
		m.Partition = "aws"
	}
}

// principalOf is the service principal of a kind. In China EC2 alone has one of its own.
// Source: https://docs.amazonaws.cn/en_us/aws/latest/userguide/iam.html
func principalOf(k Kind, partition string) string {
	switch k {
	case EC2:
		if partition == "aws-cn" {
			return "ec2.amazonaws.com.cn"
		}
		return "ec2.amazonaws.com"
	case ECSTasks:
		return "ecs-tasks.amazonaws.com"
	case ECSService:
		return "ecs.amazonaws.com"
	case Lambda:
		return "lambda.amazonaws.com"
	case PodIdentity:
		return "pods.eks.amazonaws.com"
	case CrossAccount, IRSA, OIDC:
	}
	return ""
}

func (m *maker) service(one *iam.Statement) []string {
	one.Principal.Service = []string{principalOf(m.For, m.Partition)}
	switch m.For {
	case EC2:
		return []string{"An instance gets the role by an instance profile that holds it."}
	case ECSTasks:
		if m.SourceAccount != "" {
			m.account("sourceAccount", m.SourceAccount)
			one.Conditions = []iam.Condition{equals("aws:SourceAccount", m.SourceAccount)}
		}
		return []string{"ecs-tasks.amazonaws.com is for the task role and the task execution role. The legacy service role of ECS needs ecs.amazonaws.com, an EC2 container instance ec2.amazonaws.com."}
	case ECSService:
		return []string{"ecs.amazonaws.com is for the legacy service role of ECS only. The task role and the task execution role need ecs-tasks.amazonaws.com."}
	case Lambda:
		return []string{"This is for the execution role of a function. Who may invoke the function is said by the function's own policy."}
	case PodIdentity:
		one.Action.Values = append(one.Action.Values, TagSession)
		// The tags that EKS sets on the session.
		for _, tag := range [][2]string{{"kubernetes-namespace", m.Namespace}, {"kubernetes-service-account", m.ServiceAccount}} {
			if tag[1] != "" {
				m.kubernetesName(tag[1])
				one.Conditions = append(one.Conditions, equals("aws:RequestTag/"+tag[0], tag[1]))
			}
		}
		if m.ServiceAccount != "" && m.Namespace == "" {
			m.report("namespace: a service account is one of a namespace")
		}
		return []string{"EKS Pod Identity tags each session, so sts:TagSession is needed. Which service account gets the role is said by a pod identity association in the cluster."}
	case CrossAccount, IRSA, OIDC:
	}
	return nil
}

func equals(key, value string) iam.Condition {
	return iam.Condition{Operator: "StringEquals", Key: key, Values: []string{value}}
}

// like is equals, or StringLike where the value is a pattern.
func like(key, value string) iam.Condition {
	c := equals(key, value)
	if strings.ContainsAny(value, "*?") {
		c.Operator = "StringLike"
	}
	return c
}

var (
	partitionForm  = regexp.MustCompile(`^aws(-[a-z]+)*$`)
	accountForm    = regexp.MustCompile(`^[0-9]{12}$`)
	externalIDForm = regexp.MustCompile(`^[\w+=,.@:/-]{2,}$`)
	kubernetesForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
	hostForm       = regexp.MustCompile(`^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?(/[\w.~%+=:@/-]*)?$`)
)

func (m *maker) account(name, id string) {
	if !accountForm.MatchString(id) {
		m.report("%s %q: an AWS account is 12 digits", name, id)
	}
}

func (m *maker) kubernetesName(name string) {
	if len(name) > 253 || !kubernetesForm.MatchString(name) {
		m.report("%q is no name in Kubernetes: small letters, digits, dots and hyphens", name)
	}
}

func (m *maker) crossAccount(one *iam.Statement) []string {
	var notes []string
	if len(m.Principals) == 0 {
		m.report("principals: say who is let in, by account id or by the ARN of a role or user")
	}
	for _, name := range m.Principals {
		root := ""
		p, err := iam.ParsePrincipal(name)
		switch {
		case accountForm.MatchString(name):
			name = "arn:" + m.Partition + ":iam::" + name + ":root"
			root = name
		case err != nil:
			m.report("principal %q: it is an account id of 12 digits, or the ARN of an account's root, a role or a user", name)
		case p.Kind() == iam.KindRoot:
			root = name
		case p.Kind() == iam.KindSession:
			m.report("principal %q is one session of a role: name the role itself, arn:%s:iam::%s:role/…", name, m.Partition, p.Account())
		}
		if root != "" {
			notes = append(notes, root+" lets nobody in by itself: whom that account allows sts:AssumeRole on this role, by policies of its own, gets in.")
		}
		if !slices.Contains(one.Principal.AWS, name) {
			one.Principal.AWS = append(one.Principal.AWS, name)
		}
	}
	switch {
	case m.ExternalID == "":
		notes = append(notes, "There is no external id. Where the caller serves several customers, anybody who knows the role's ARN can have it assumed in their name (the confused deputy): ask for one.")
	case !externalIDForm.MatchString(m.ExternalID) || len(m.ExternalID) > maxExternalID:
		m.report("externalId %q: it has 2 to 1224 letters, digits and _ + = , . @ : / -", clipped(m.ExternalID))
	default:
		one.Conditions = []iam.Condition{equals("sts:ExternalId", m.ExternalID)}
	}
	return notes
}

func clipped(s string) string {
	const most = 80
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// web makes a statement for tokens of an OpenID Connect provider.
func (m *maker) web(one *iam.Statement) []string {
	var notes []string
	one.Action.Values = []string{AssumeRoleWithWebIdentity}
	host := m.provider()
	one.Principal.Federated = []string{m.Provider}
	audience, subject := m.Audience, m.Subject
	if audience == "" {
		audience = DefaultAudience
	}
	if m.For == IRSA {
		for _, part := range [][2]string{{"namespace", m.Namespace}, {"serviceAccount", m.ServiceAccount}} {
			switch {
			case part[1] == "":
				m.report("%s: which service account is meant", part[0])
			case part[0] == "serviceAccount" && part[1] == "*":
				notes = append(notes, "Every service account of the namespace "+m.Namespace+" gets in, those that are made later too.")
			default:
				m.kubernetesName(part[1])
			}
		}
		subject = "system:serviceaccount:" + m.Namespace + ":" + m.ServiceAccount
		notes = append(notes, "The service account needs the annotation eks.amazonaws.com/role-arn with the role's ARN.")
	}
	switch {
	case subject == "":
		m.report("subject: whose tokens are meant. Without, every token of the issuer gets in")
	case strings.Trim(subject, "*?") == "":
		m.report("subject %q: every token of the issuer would get in", subject)
	case strings.ContainsAny(subject, "*?") && m.For == OIDC:
		notes = append(notes, fmt.Sprintf("The subject is a pattern: whoever can get a token with a subject like %q from the issuer gets in.", subject))
	}
	one.Conditions = []iam.Condition{equals(host+":aud", audience), like(host+":sub", subject)}
	return notes
}

// hostOf is an issuer's address as AWS writes it in names: without the scheme.
func hostOf(issuer string) string {
	if _, host, found := strings.Cut(issuer, "://"); found {
		issuer = host
	}
	return strings.TrimSuffix(issuer, "/")
}

// provider completes the provider and gives its host and path: the prefix of its condition keys.
func (m *maker) provider() string {
	if m.Provider == "" {
		if m.Issuer == "" || m.Account == "" {
			m.report("provider: give the ARN of the OpenID Connect provider, or issuer and account")
			return ""
		}
		m.account("account", m.Account)
		host := hostOf(m.Issuer)
		if strings.Contains(m.Issuer, "://") && !strings.HasPrefix(m.Issuer, "https://") || !hostForm.MatchString(host) {
			m.report("issuer %q: it is an address such as https://oidc.example.com/path", clipped(m.Issuer))
		}
		m.Provider = "arn:" + m.Partition + ":iam::" + m.Account + ":oidc-provider/" + host
		return host
	}
	segments := strings.SplitN(m.Provider, ":", 6)
	host, ok := "", false
	if len(segments) == 6 {
		host, ok = strings.CutPrefix(segments[5], "oidc-provider/")
	}
	if !ok || segments[0] != "arn" || segments[2] != "iam" || segments[3] != "" || !accountForm.MatchString(segments[4]) || !hostForm.MatchString(host) {
		m.report("provider %q: it is an ARN such as arn:aws:iam::111111111111:oidc-provider/oidc.example.com/path", clipped(m.Provider))
		return host
	}
	if m.Account != "" && m.Account != segments[4] {
		m.report("account %q: the provider is of account %s, and it must be of the role's own", m.Account, segments[4])
	}
	if m.Issuer != "" && hostOf(m.Issuer) != host {
		m.report("issuer %q: the provider is for %s", clipped(m.Issuer), host)
	}
	return host
}
