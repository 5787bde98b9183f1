// Package manifest writes what installs a delegate, and finds what is wrong with such files. One Spec is the model of all
// forms: Kubernetes objects with a Deployment or a StatefulSet, values of the Helm chart, a Compose file, a task definition
// of ECS and a shell script. Lint reads Kubernetes files of anybody and finds, beside what an API server refuses, what it
// takes without a word: names that point nowhere, secrets that nobody defines, rights that are wider than the work.
package manifest

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/belay-dev/belay/internal/arn"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/secret"
)

// Form is a way to install a delegate.
type Form string

// The forms.
const (
	Kubernetes  Form = "kubernetes"  // objects with a Deployment
	StatefulSet Form = "statefulset" // the same with a StatefulSet, for stable host names
	Helm        Form = "helm"        // values for the chart belay-delegate
	Docker      Form = "docker"      // a Compose file
	ECS         Form = "ecs"         // a task definition for Fargate, as --cli-input-yaml takes it
	Shell       Form = "shell"       // a bash script
)

// Forms are all forms, in the order of the documents.
func Forms() []Form { return []Form{Kubernetes, StatefulSet, Helm, Docker, ECS, Shell} }

// TokenKey is the key of a Secret under which the delegate token lies.
const TokenKey = "DELEGATE_TOKEN"

// Repository is the name of the delegate's image, without its tag.
const Repository = "belay/delegate"

// Spec is a delegate that is to be installed. Form, Name, Account, Manager and Image are needed.
type Spec struct {
	Form        Form
	Name        string // of the delegate and of what is made for it: a DNS label
	Namespace   string // empty: "belay-delegate"
	Description string
	Tags        []string
	Account     string
	Manager     string // address as delegates reach it
	Image       string // repository and tag
	Replicas    int    // 0: one

	// Token is written into the file. Where it is zero the file refers to TokenSecret.
	Token secret.Value
	// TokenSecret is what holds the token already: the name of a Secret with the key DELEGATE_TOKEN, or on ECS the ARN of a
	// secret of AWS Secrets Manager. Empty: Name-token, which the head of the file says how to make.
	TokenSecret string

	// RoleARN is the role of the delegate's work: IRSA on EKS, the task role on ECS.
	RoleARN string
	// ExecutionRoleARN lets ECS pull the image, read the secret and write the log. ECS only.
	ExecutionRoleARN string
	// ServiceAccount is one that exists already. Empty: one is made under the delegate's name.
	ServiceAccount string
	// ClusterRole is bound to the service account in the whole cluster. Empty, as it should be for AWS work: none.
	ClusterRole string
	// InNamespace binds ClusterRole in the delegate's namespace only.
	InNamespace bool

	Tools      []string // presets of Tools() that INIT_SCRIPT installs
	InitScript string   // what INIT_SCRIPT does after them

	Proxy     *Proxy     // nil: none
	Autoscale *Autoscale // nil: none
	Upgrader  bool       // a CronJob that keeps the image at the manager's version
}

// Proxy is the way out of the network.
type Proxy struct {
	Host, Scheme string // Scheme empty: http
	Port         int
	NoProxy      string
	User         string
	Password     secret.Value
	// Secret is the name of one that has the keys PROXY_USER and PROXY_PASSWORD already. Empty with a User: one is made.
	Secret string
}

// Autoscale is how the number of replicas follows their load.
type Autoscale struct {
	Max int // replicas; the least is Spec.Replicas
	CPU int // percent of the CPU that is requested; 0: 80
}

const (
	maxName     = 52 // what the parts' suffixes leave of 63 characters
	maxUpgraded = 43 // a CronJob's name has 52 characters at most, and -upgrader is nine of them
	user        = 1001
	healthPort  = 3460
	healthPath  = "/api/health"
	toolsFolder = "/opt/belay/tools"
)

func (s Spec) withDefaults() Spec {
	if s.Namespace == "" {
		s.Namespace = "belay-delegate"
	}
	if s.Replicas == 0 {
		s.Replicas = 1
	}
	if s.Form == ECS {
		return s // its secret is an ARN, which nobody can guess
	}
	if s.TokenSecret == "" {
		s.TokenSecret = s.Name + "-token"
	}
	return s
}

// label is what Kubernetes takes as a name that also is a label.
var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// image is a repository, with a registry or without, and a tag or a digest. The repository's own parts are in lower case.
var image = regexp.MustCompile(`^([A-Za-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$`)

// plainText is what names, tags and addresses are made of: nothing that could end a line of YAML, a shell or a header.
func plainText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' || r == '\ufffd' })
}

// Check names everything that is wrong with a spec. It is Invalid.
func (s Spec) Check() error {
	s = s.withDefaults()
	var p fault.Problems
	if !slices.Contains(Forms(), s.Form) {
		p.Add("kind", fmt.Sprintf("%.40q is not known; use one of %s", s.Form, strings.Join(names(Forms()), ", ")))
	}
	s.checkNames(&p)
	s.checkManager(&p)
	s.checkRights(&p)
	s.checkTools(&p)
	if s.Replicas < 1 || s.Replicas > 100 {
		p.Add("replicas", fmt.Sprintf("is %d; it must be from 1 to 100", s.Replicas))
	}
	if s.Proxy != nil {
		s.Proxy.check(&p)
	}
	if a := s.Autoscale; a != nil {
		switch {
		case a.Max <= s.Replicas || a.Max > 100:
			p.Add("autoscale.max", fmt.Sprintf("is %d; it must be above the %d replicas that run at least, and 100 at most", a.Max, s.Replicas))
		case a.CPU < 0 || a.CPU > 1000:
			p.Add("autoscale.cpu", fmt.Sprintf("is %d; it must be percent of the CPU that is requested", a.CPU))
		}
		if !slices.Contains([]Form{Kubernetes, StatefulSet, Helm}, s.Form) {
			p.Add("autoscale", fmt.Sprintf("a file of kind %s has no autoscaler", s.Form))
		}
	}
	if s.Upgrader && !slices.Contains([]Form{Kubernetes, StatefulSet, Helm}, s.Form) {
		p.Add("upgrader", fmt.Sprintf("the upgrader works in Kubernetes; in a file of kind %s a new version is a new image", s.Form))
	}
	return p.Err()
}

func (s Spec) checkNames(p *fault.Problems) {
	most := maxName
	if s.Upgrader || s.Form == Helm { // the chart leaves room for an upgrader that is switched on later
		most = maxUpgraded
	}
	switch {
	case !label.MatchString(s.Name) || len(s.Name) > most:
		p.Add("name", fmt.Sprintf("%.80q must be lower-case letters, digits and hyphens, %d characters at most", s.Name, most))
	case s.Form == StatefulSet && s.Name[0] <= '9':
		p.Add("name", fmt.Sprintf("%.80q must begin with a letter: its Service has the same name, and older versions of Kubernetes take no other", s.Name))
	}
	for _, one := range []struct{ field, text string }{{"namespace", s.Namespace}, {"serviceAccount", s.ServiceAccount}} {
		if one.text != "" && (!label.MatchString(one.text) || len(one.text) > 63) {
			p.Add(one.field, fmt.Sprintf("%.80q must be lower-case letters, digits and hyphens, 63 characters at most", one.text))
		}
	}
	if s.Account == "" || !plainText(s.Account) || len(s.Account) > 128 {
		p.Add("account", "is required: the id of the account that the delegate belongs to")
	}
	if !image.MatchString(s.Image) || len(s.Image) > 300 {
		p.Add("image", fmt.Sprintf("%.80q is not the name of an image; one looks like %s:26.11.90000", s.Image, Repository))
	}
	for i, t := range s.Tags {
		if t == "" || !plainText(t) || strings.Contains(t, ",") || len(t) > 128 {
			p.Add(fmt.Sprintf("tags[%d]", i), fmt.Sprintf("%.40q must be a word without commas", t))
		}
	}
	if !plainText(s.Description) || len(s.Description) > 1024 {
		p.Add("description", "must be one line of 1024 characters at most")
	}
	switch {
	case s.Form == ECS && s.TokenSecret == "" && s.Token.IsZero():
		p.Add("tokenSecret", "is required: the ARN of the secret in AWS Secrets Manager that holds the delegate token")
	case s.Form == ECS && s.TokenSecret != "" && !arnOf(s.TokenSecret, "secretsmanager", "ssm"):
		p.Add("tokenSecret", fmt.Sprintf("%.80q is not the ARN of a secret of Secrets Manager or of a parameter of SSM", s.TokenSecret))
	case s.Form != ECS && !label.MatchString(s.TokenSecret):
		p.Add("tokenSecret", fmt.Sprintf("%.80q must be lower-case letters, digits and hyphens", s.TokenSecret))
	}
	if t := s.Token; !t.IsZero() && (t.Len() > 128 || !plainText(t.Reveal())) { //nolint:forbidigo // only looked at
		p.Add("token", "is not the value of a delegate token: 32 hex digits, or base64 of them")
	}
}

func (s Spec) checkManager(p *fault.Problems) {
	u, err := url.Parse(s.Manager)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || !plainText(s.Manager):
		p.Add("manager", fmt.Sprintf("%.80q is not an address such as https://belay.example.com", s.Manager))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		p.Add("manager", "must hold a host, a port and a path only")
	case s.Form != Shell && local(u.Hostname()):
		p.Add("manager", fmt.Sprintf("%.80q is this machine, which a container does not reach: give the address that others use, or start the manager with --public-url", s.Manager))
	}
}

// local reports whether a host is the machine itself.
func local(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && (ip.IsLoopback() || ip.IsUnspecified())
}

func (s Spec) checkRights(p *fault.Problems) {
	for _, one := range []struct{ field, text string }{{"roleArn", s.RoleARN}, {"executionRoleArn", s.ExecutionRoleARN}} {
		if one.text != "" && (!arnOf(one.text, "iam") || !strings.Contains(one.text, ":role/")) {
			p.Add(one.field, fmt.Sprintf("%.80q is not the ARN of a role, such as arn:aws:iam::123456789012:role/delegate", one.text))
		}
	}
	if s.Form == ECS && s.ExecutionRoleARN == "" {
		p.Add("executionRoleArn", "is required on ECS: the role that pulls the image, reads the token's secret and writes the log")
	}
	if s.Form != ECS && s.ExecutionRoleARN != "" {
		p.Add("executionRoleArn", "is for ECS only")
	}
	if s.RoleARN != "" && s.ServiceAccount != "" {
		p.Add("roleArn", fmt.Sprintf("the service account %.63q exists already: put the annotation eks.amazonaws.com/role-arn on it, or leave it out here so that one is made", s.ServiceAccount))
	}
	if s.RoleARN != "" && (s.Form == Docker || s.Form == Shell) {
		p.Add("roleArn", fmt.Sprintf("a file of kind %s cannot give a role: the delegate has the credentials of the machine around it", s.Form))
	}
	if s.InNamespace && s.ClusterRole == "" {
		p.Add("clusterRole", "is required: what to bind in the namespace")
	}
	if s.ClusterRole != "" && (!plainText(s.ClusterRole) || strings.ContainsAny(s.ClusterRole, " /") || len(s.ClusterRole) > 253) {
		p.Add("clusterRole", fmt.Sprintf("%.80q is not the name of a ClusterRole", s.ClusterRole))
	}
}

func (s Spec) checkTools(p *fault.Problems) {
	for i, t := range s.Tools {
		if _, ok := tool(t); !ok {
			p.Add(fmt.Sprintf("tools[%d]", i), fmt.Sprintf("%.40q is not known; there are %s", t, strings.Join(Tools(), ", ")))
		}
	}
	const most = 64 << 10
	if len(s.InitScript) > most || strings.ContainsRune(s.InitScript, 0) {
		p.Add("initScript", fmt.Sprintf("must be a script of %d bytes at most", most))
	}
}

func (x *Proxy) check(p *fault.Problems) {
	if x.Host == "" || !plainText(x.Host) || strings.ContainsAny(x.Host, "@/ ") {
		p.Add("proxy.host", fmt.Sprintf("%.80q must be a host name or an address", x.Host))
	}
	if x.Port < 1 || x.Port > 65535 {
		p.Add("proxy.port", fmt.Sprintf("is %d; it must be from 1 to 65535", x.Port))
	}
	if !slices.Contains([]string{"", "http", "https", "socks5"}, x.Scheme) {
		p.Add("proxy.scheme", fmt.Sprintf("is %.20q; it must be http, https or socks5", x.Scheme))
	}
	if !plainText(x.NoProxy) || !plainText(x.User) || !plainText(x.Password.Reveal()) { //nolint:forbidigo // only looked at
		p.Add("proxy", "must hold no line breaks")
	}
	if x.Secret != "" && (!label.MatchString(x.Secret) || x.User != "") {
		p.Add("proxy.secret", "must be the name of a Secret that exists, instead of a user and a password")
	}
	if x.User == "" && !x.Password.IsZero() {
		p.Add("proxy.user", "is required beside a password")
	}
}

// arnOf reports whether text is an ARN of one of some services.
func arnOf(text string, services ...string) bool {
	a, err := arn.Parse(text)
	return err == nil && slices.Contains(services, a.Service) && plainText(text)
}

// plainHTTP reports whether the manager is reached without TLS, which a delegate only does when it is told to.
func (s Spec) plainHTTP() bool {
	u, err := url.Parse(s.Manager)
	return err == nil && u.Scheme == "http" && !local(u.Hostname())
}

// minute spreads upgraders over the hour, each at a minute of its own that stays the same.
func (s Spec) minute() int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s.Account + "/" + s.Namespace + "/" + s.Name)) // never fails
	return int(h.Sum32() % 60)
}

// account is the service account of the pods.
func (s Spec) serviceAccount() string {
	if s.ServiceAccount != "" {
		return s.ServiceAccount
	}
	return s.Name
}

func names[T ~string](all []T) []string {
	out := make([]string, len(all))
	for i, one := range all {
		out[i] = string(one)
	}
	return out
}
