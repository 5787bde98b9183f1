package catalogue

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/service"
)

// Narrowing names the resources that are meant. What is not named is not narrowed. Each value is a name, which may hold
// the wildcards * and ?, or an ARN.
type Narrowing struct {
	Buckets      []string `json:"buckets,omitempty"`      // S3
	Clusters     []string `json:"clusters,omitempty"`     // ECS and EKS, with the services, tasks and node groups in them
	Repositories []string `json:"repositories,omitempty"` // ECR
	Functions    []string `json:"functions,omitempty"`    // Lambda, with their versions and aliases
	Roles        []string `json:"roles,omitempty"`        // IAM, with their path: what may be passed, changed or assumed

	// Principal is the ARN of the role or user that uses the resources, for policies on the resource's side.
	Principal string `json:"principal,omitempty"`

	Account   string `json:"account,omitempty"`   // 12 digits, in the ARNs of what is named; any by default
	Region    string `json:"region,omitempty"`    // in the ARNs of what is named; any by default
	Partition string `json:"partition,omitempty"` // that of Region by default, else aws
}

// kind is a kind of resource that can be named.
type kind string

const (
	bucket     kind = "bucket"
	cluster    kind = "cluster"
	repository kind = "repository"
	function   kind = "function"
	role       kind = "role"
)

func kinds() []kind { return []kind{bucket, cluster, repository, function, role} }

// pinned is the kind of resource whose name is a variable of the ARN templates of a service, or "".
func pinned(serviceName, variable string) kind {
	switch serviceName + " " + variable {
	case "s3 BucketName":
		return bucket
	case "ecs ClusterName", "eks ClusterName":
		return cluster
	case "ecr RepositoryName":
		return repository
	case "lambda FunctionName":
		return function
	case "iam RoleNameWithPath", "sts RoleNameWithPath":
		return role
	}
	return ""
}

// name is what a user gave: a name, with what an ARN says besides.
type name struct{ partition, region, account, name string }

// narrower makes statements narrower.
type narrower struct {
	data      *service.Reference
	partition string
	names     map[kind][]name
	used      map[kind]bool              // whether a kind that was named narrowed anything
	least     map[string][]string        // lists that were brought to their least cover: most actions of a service have the same
	left      map[string]map[string]bool // by service: types of resources that a wildcard reached and that were left out
}

// shape is how a name of a kind is written, and where it stands in an ARN.
type shape struct {
	services []string
	prefix   string
	fits     *regexp.Regexp
	most     int // characters; in the expression such a bound would cost a hundred kilobytes at every start
	rule     string
}

func (k kind) shape() shape {
	switch k {
	case bucket:
		return shape{[]string{"s3", "s3-object-lambda"}, "", bucketName, 63, "3 to 63 lower-case letters, digits, dots and hyphens"}
	case cluster:
		return shape{[]string{"ecs", "eks"}, "cluster/", clusterName, 255, "letters, digits, hyphens and underscores"}
	case repository:
		return shape{[]string{"ecr"}, "repository/", repositoryName, 256, "lower-case letters, digits and ._-/"}
	case function:
		return shape{[]string{"lambda"}, "function:", functionName, 140, "letters, digits, hyphens and underscores"}
	case role:
		return shape{[]string{"iam"}, "role/", roleName, 576, "letters, digits and +=,.@_-, with the path in front of it"}
	}
	return shape{}
}

var (
	bucketName     = regexp.MustCompile(`^[a-z0-9.*?-]+$`)
	clusterName    = regexp.MustCompile(`^[A-Za-z0-9_*?-]+$`)
	repositoryName = regexp.MustCompile(`^[a-z0-9._/*?-]+$`)
	functionName   = regexp.MustCompile(`^[A-Za-z0-9_*?-]+$`)
	roleName       = regexp.MustCompile(`^[\w+=,.@/*?-]+$`)
	accountID      = regexp.MustCompile(`^[0-9]{12}$`)
	regionName     = regexp.MustCompile(`^[a-z]{2,6}(-[a-z]{2,10})+-[0-9]{1,2}$`)
	partitionName  = regexp.MustCompile(`^aws(-[a-z]+)*$`)
	principalARN   = regexp.MustCompile(`^arn:aws[a-z-]*:(iam|sts)::[0-9]{12}:(root|(role|user|assumed-role|federated-user)/[\w+=,.@/-]+)$`)
)

// maxNames bounds how many resources of one kind can be named.
const maxNames = 100

// narrower reads what is named. All that is wrong is in problems.
func (n Narrowing) narrower() (w *narrower, problems []string) {
	report := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	w = &narrower{partition: n.Partition, names: map[kind][]name{}, used: map[kind]bool{}, least: map[string][]string{}, left: map[string]map[string]bool{}}
	if w.partition == "" {
		w.partition = partitionOf(n.Region)
	}
	if !partitionName.MatchString(w.partition) {
		report("partition %q: it is aws, aws-cn, aws-us-gov or another that begins with aws", w.partition)
	}
	if n.Account != "" && !accountID.MatchString(n.Account) {
		report("account %q: an AWS account is 12 digits", n.Account)
	}
	if n.Region != "" && !regionName.MatchString(n.Region) {
		report("region %q: a Region is written like us-east-1", n.Region)
	}
	if n.Principal != "" && (len(n.Principal) > 640 || !principalARN.MatchString(n.Principal)) {
		report("principal %q: give the ARN of a role or user, such as arn:aws:iam::111122223333:role/name", n.Principal)
	}
	given := map[kind][]string{bucket: n.Buckets, cluster: n.Clusters, repository: n.Repositories, function: n.Functions, role: n.Roles}
	for _, k := range kinds() {
		if len(given[k]) > maxNames {
			report("%d %s names: at most %d can be given; use wildcards", len(given[k]), k, maxNames)
			continue
		}
		for _, text := range given[k] {
			one, problem := k.read(text, name{w.partition, n.Region, n.Account, text})
			if problem != "" {
				report("%s %q: %s", k, text, problem)
				continue
			}
			w.names[k] = append(w.names[k], one)
		}
	}
	return w, problems
}

// read takes a name, or an ARN apart.
func (k kind) read(text string, one name) (_ name, problem string) {
	s := k.shape()
	if strings.HasPrefix(text, "arn:") {
		parts := strings.SplitN(text, ":", arnSegments)
		if len(parts) < arnSegments || !slices.Contains(s.services, parts[2]) || !strings.HasPrefix(parts[5], s.prefix) {
			return one, fmt.Sprintf("this is not the ARN of a %s", k)
		}
		if parts[1] != one.partition {
			return one, fmt.Sprintf("it is in partition %s, and the policy is for %s; give the partition", parts[1], one.partition)
		}
		one.name = strings.TrimPrefix(parts[5], s.prefix)
		if parts[3] != "" {
			one.region = parts[3]
		}
		if parts[4] != "" {
			one.account = parts[4]
		}
		if one.region != "" && one.region != "*" && !regionName.MatchString(one.region) || one.account != "" && one.account != "*" && !accountID.MatchString(one.account) {
			return one, "its Region or account is not one"
		}
	}
	if k == role {
		one.name = strings.TrimPrefix(one.name, "/")
	}
	if len(one.name) > s.most || !s.fits.MatchString(one.name) {
		return one, fmt.Sprintf("the name of a %s is %s; * and ? are wildcards", k, s.rule)
	}
	return one, ""
}

// partitionOf is the partition of a Region by how its name begins.
func partitionOf(region string) string {
	for _, p := range [...][2]string{
		{"us-gov-", "aws-us-gov"},
		{"cn-", "aws-cn"},
		{"us-isob-", "aws-iso-b"},
		{"us-isof-", "aws-iso-f"},
		{"us-iso-", "aws-iso"},
		{"eu-isoe-", "aws-iso-e"},
		{"eusc-", "aws-eusc"},
	} {
		if strings.HasPrefix(region, p[0]) {
			return p[1]
		}
	}
	return "aws"
}

// inPartition rewrites the ARNs of a document, which the catalogue has in the partition aws.
func (w *narrower) inPartition(arn string) string {
	if rest, ok := strings.CutPrefix(arn, "arn:aws:"); ok {
		return "arn:" + w.partition + ":" + rest
	}
	return arn
}

// Narrow narrows the statements of any identity policy to what is named and joins them. The error is an [InputError].
func Narrow(statements []iam.Statement, n Narrowing) ([]iam.Statement, error) {
	w, problems := n.narrower()
	if len(problems) > 0 {
		return nil, &InputError{problems}
	}
	var err error
	if w.data, err = service.Load(); err != nil {
		return nil, fmt.Errorf("read the service reference: %w", err)
	}
	var all []iam.Statement
	for _, s := range statements {
		all = append(all, w.statement(s)...)
	}
	return Merge(all), nil
}

// statement narrows one statement. Only one that allows listed actions on listed resources can become narrower.
func (w *narrower) statement(s iam.Statement) []iam.Statement {
	s = w.moved(s)
	if !joinable(s) {
		return []iam.Statement{s}
	}
	var all []iam.Statement
	add := func(actions, resources []string) {
		if len(actions) > 0 && len(resources) > 0 {
			all = append(all, iam.Statement{
				Effect: s.Effect, Conditions: s.Conditions,
				Action: iam.Patterns{Values: actions}, Resource: iam.Patterns{Values: resources},
			})
		}
	}
	for _, pattern := range s.Action.Values {
		p := w.reach(pattern)
		switch {
		case len(p.narrow) == 0 && len(p.besides) == 0 && len(p.left) == 0:
			add([]string{p.pattern}, s.Resource.Values)
		case p.wildcard:
			add([]string{p.pattern}, w.intersect(s.Resource.Values, p.narrow))
			for _, b := range p.besides {
				add(b.actions, w.intersect(s.Resource.Values, b.resources))
			}
			add(p.rest, s.Resource.Values)
			if slices.Contains(s.Resource.Values, "*") {
				add(p.resourceless, []string{"*"})
			}
		default:
			wanted := p.narrow
			for _, b := range p.besides {
				wanted = append(wanted, b.resources...)
			}
			add([]string{p.pattern}, w.intersect(s.Resource.Values, wanted))
		}
		for _, t := range p.left {
			prefix, _, _ := strings.Cut(p.pattern, ":")
			if w.left[prefix] == nil {
				w.left[prefix] = map[string]bool{}
			}
			w.left[prefix][t] = true
		}
	}
	return all
}

// moved is a statement with the ARNs of the narrower's partition.
func (w *narrower) moved(s iam.Statement) iam.Statement {
	move := func(values []string) []string {
		values = slices.Clone(values)
		for i, v := range values {
			values[i] = w.inPartition(v)
		}
		return values
	}
	s.Resource.Values = move(s.Resource.Values)
	s.Conditions = slices.Clone(s.Conditions)
	for i := range s.Conditions {
		s.Conditions[i].Values = move(s.Conditions[i].Values)
	}
	if p := s.Principal; p != nil {
		moved := *p
		moved.AWS, moved.Federated = move(p.AWS), move(p.Federated)
		if p.AWS == nil {
			moved.AWS = nil
		}
		if p.Federated == nil {
			moved.Federated = nil
		}
		s.Principal = &moved
	}
	return s
}

// reached is what an action pattern matches, sorted by what can be said of the resources.
type reached struct {
	pattern      string // in AWS's spelling where it is one action
	wildcard     bool
	narrow       []string // the ARNs of what was named, for the types that the actions work on
	besides      []block  // actions with ARNs that they need besides, of types of which nothing was named
	resourceless []string // actions that have no resource
	rest         []string // actions on other types of resources
	left         []string // types of resources of actions that were left out
}

// reach sorts the actions of a pattern. Where nothing that was named bears on them, narrow and left are empty.
func (w *narrower) reach(pattern string) (r reached) {
	r.pattern, r.wildcard = pattern, strings.ContainsAny(pattern, "*?")
	prefix, _, ok := strings.Cut(pattern, ":")
	if !r.wildcard {
		if a, known := w.data.Action(pattern); known {
			r.pattern = a.String()
		}
	}
	if !ok || !w.bears(prefix) {
		return r
	}
	closed := strings.HasPrefix(strings.ToLower(prefix), "s3") // who names buckets does not mean access points and jobs
	for _, action := range w.data.Actions(pattern) {
		full := action.String()
		arns, required, others := w.arns(action)
		switch {
		case len(arns)+len(required) > 0:
			r.narrow = append(r.narrow, arns...)
			if len(required) > 0 {
				r.besides = append(r.besides, block{actions: []string{full}, resources: required})
			}
		case action.Resourceless():
			r.resourceless = append(r.resourceless, full)
		case closed && r.wildcard:
			r.left = append(r.left, others...)
		default:
			r.rest = append(r.rest, full)
		}
	}
	r.narrow = w.leastCover(r.narrow)
	return r
}

// bears says whether something was named whose kind belongs to a service.
func (w *narrower) bears(prefix string) bool {
	for _, k := range kinds() {
		services := k.shape().services
		if len(w.names[k]) > 0 && (slices.Contains(services, strings.ToLower(prefix)) || k == role && strings.EqualFold(prefix, "sts")) {
			return true
		}
	}
	return false
}

var variable = regexp.MustCompile(`\$\{([^}]+)\}`)

// arns are the ARNs of the named resources on which an action works; required those of the other types that each request
// for it names too; others the types of which nothing was named. If nothing was named that it works on, only others is
// not empty.
func (w *narrower) arns(action service.Action) (arns, required, others []string) {
	if action.Service == "iam" && action.Name == "CreateServiceLinkedRole" {
		return nil, []string{"arn:" + w.partition + ":iam::*:role/aws-service-role/*"}, nil // AWS chooses the role's name
	}
	for _, use := range action.Resources {
		of := w.named(action.Service, use.Type)
		arns = append(arns, of...)
		if len(of) > 0 {
			continue
		}
		others = append(others, use.Type.Name)
		if use.Required {
			for _, template := range use.Type.ARNs {
				required = append(required, fill(template, "", name{partition: w.partition}))
			}
		}
	}
	if len(arns) == 0 {
		return nil, nil, others
	}
	return arns, required, others
}

// named are the ARNs of what was named, for a type of resource. There are none if its ARN does not hold such a name.
func (w *narrower) named(serviceName string, of *service.ResourceType) (arns []string) {
	for _, template := range of.ARNs {
		for _, found := range variable.FindAllStringSubmatch(template, -1) {
			k := pinned(serviceName, found[1])
			for _, one := range w.names[k] {
				w.used[k] = true
				arn := fill(template, found[1], one)
				arns = append(arns, arn)
				if k == function && strings.HasSuffix(template, found[0]) {
					arns = append(arns, arn+":*") // its versions and aliases
				}
			}
		}
	}
	return arns
}

// fill makes an ARN of a template: what is not known can be anything.
func fill(template, pinnedVariable string, one name) string {
	return variable.ReplaceAllStringFunc(template, func(v string) string {
		value := ""
		switch v {
		case "${Partition}":
			value = one.partition
		case "${Region}":
			value = one.region
		case "${Account}":
			value = one.account
		case "${" + pinnedVariable + "}":
			value = one.name
		}
		if value == "" {
			return "*"
		}
		return value
	})
}

// intersect is what both lists cover. Where two patterns overlap and neither covers the other, the original one stays:
// it is what was allowed, and a pattern for exactly the common part cannot be written.
func (w *narrower) intersect(original, wanted []string) []string {
	if slices.Contains(original, "*") {
		return w.leastCover(wanted)
	}
	var both []string
	for _, w := range wanted {
		if slices.ContainsFunc(original, func(o string) bool { return CoversResource(o, w) }) {
			both = append(both, w)
			continue
		}
		for _, o := range original {
			if CoversResource(w, o) || overlapping(o, w) {
				both = append(both, o)
			}
		}
	}
	return w.leastCover(both)
}

func (w *narrower) leastCover(values []string) []string {
	k := strings.Join(values, "\x00")
	least, known := w.least[k]
	if !known {
		least = leastCover(values, CoversResource)
		w.least[k] = least
	}
	return slices.Clone(least)
}
