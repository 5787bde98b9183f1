// Package service is AWS's service authorization reference as data: which actions each service has, on which resource
// types they work, which condition keys they may carry, and the AWS managed policies. It is embedded, needs no network,
// and is read on first use.
//
// The data is a copy of what AWS publishes, of the day that Source names: an action that is not in it may be new, so its
// absence is a hint and no proof.
//
// Everything here may be used by many goroutines at once. Slices and pointers that are handed out are shared and must not
// be written to. Names compare without regard to letter case, as IAM compares them.
//
// Sources: https://docs.aws.amazon.com/service-authorization/latest/reference/ for actions, resource types and condition
// keys, and https://docs.aws.amazon.com/aws-managed-policy/latest/reference/ for managed policies.
package service

import (
	_ "embed" // the tables
	"slices"
	"strings"
	"sync"
)

//go:embed data/NOTICE
var notice string

// Notice is the licences of the packages that the tables are made from, which go with every copy of them.
func Notice() string { return notice }

//go:embed data/services.gz
var services string

// Load gives the reference. The first call reads it, which takes some ten milliseconds; an error says that the program
// was built from a damaged table.
func Load() (*Reference, error) { return load() }

var load = sync.OnceValues(read) //nolint:gochecknoglobals // read once a process

func read() (*Reference, error) {
	text, err := gunzip(services)
	if err != nil {
		return nil, err
	}
	return decode(text)
}

// Reference is the service authorization reference.
type Reference struct {
	source   string
	services []Service
	actions  int
}

// Source says what the reference was made from: a package and its version, which holds the day.
func (r *Reference) Source() string { return r.source }

// Services are all services, sorted by prefix.
func (r *Reference) Services() []Service { return r.services }

// Service finds a service by its prefix, "s3".
func (r *Reference) Service(prefix string) (Service, bool) {
	i, found := slices.BinarySearchFunc(r.services, prefix, func(s Service, prefix string) int { return compareFold(s.Prefix, prefix) })
	if !found {
		return Service{}, false
	}
	return r.services[i], true
}

// Action finds an action by its full name, "s3:GetObject".
func (r *Reference) Action(name string) (Action, bool) {
	prefix, name, _ := strings.Cut(name, ":")
	s, _ := r.Service(prefix)
	return s.Action(name)
}

// Actions are the actions that a pattern stands for, sorted by service and name: "s3:Get*", "*". A star stands for any
// letters, a question mark for one; neither crosses the colon, save that a single "*" is every action. The service, too,
// may be a pattern, which IAM itself does not allow.
func (r *Reference) Actions(pattern string) []Action {
	prefix, name, full := strings.Cut(pattern, ":")
	switch {
	case pattern == "*":
		name = "*"
	case !full:
		return nil
	}
	var all []Action
	for i := range r.services {
		s := &r.services[i]
		if !matchFold(prefix, s.Prefix) {
			continue
		}
		for j := range s.Actions {
			if matchFold(name, s.Actions[j].Name) {
				if all == nil && name == "*" && prefix == "*" {
					all = make([]Action, 0, r.actions)
				}
				all = append(all, s.Actions[j])
			}
		}
	}
	return all
}

// Service is an AWS service as IAM knows it: one prefix of actions.
type Service struct {
	Prefix string // "s3"
	Name   string // "Amazon S3"
	// RCP is true where resource control policies reach the service's resources.
	RCP bool

	Actions       []Action       // sorted by name
	ResourceTypes []ResourceType // sorted by name
	ConditionKeys []ConditionKey // those that its actions and resource types name, sorted by name
}

// Action finds an action by its name without the prefix, "GetObject".
func (s Service) Action(name string) (Action, bool) {
	i, found := slices.BinarySearchFunc(s.Actions, name, func(a Action, name string) int { return compareFold(a.Name, name) })
	if !found {
		return Action{}, false
	}
	return s.Actions[i], true
}

// ResourceType finds a resource type by its name, "bucket".
func (s Service) ResourceType(name string) (*ResourceType, bool) {
	i, found := slices.BinarySearchFunc(s.ResourceTypes, name, func(t ResourceType, name string) int { return compareFold(t.Name, name) })
	if !found {
		return nil, false
	}
	return &s.ResourceTypes[i], true
}

// TypesOf are the resource types that an ARN can be of, the most specific first.
func (s Service) TypesOf(arn string) []*ResourceType {
	var all []*ResourceType
	for i := range s.ResourceTypes {
		if s.ResourceTypes[i].Matches(arn) {
			all = append(all, &s.ResourceTypes[i])
		}
	}
	slices.SortStableFunc(all, func(a, b *ResourceType) int { return b.fixed(arn) - a.fixed(arn) })
	return all
}

// Access is the access level of an action.
type Access string

// The access levels. Tagging and permissions management are writing of a particular kind.
const (
	Read        Access = "Read"
	Write       Access = "Write"
	List        Access = "List"
	Tagging     Access = "Tagging"
	Permissions Access = "Permissions management"
)

// Action is an action of a service.
type Action struct {
	Service string // prefix
	Name    string // without the prefix
	Access  Access
	// Resources are the resource types that it works on. Where none is Required, each request names one of them.
	Resources []ResourceUse
	// ConditionKeys are the keys that it may carry whatever the resource. Reference.ConditionKeys has all of an action.
	ConditionKeys []string
	// DependentActions are full names of what the caller needs besides, for all that the action can do. AWS gave them in
	// an older form of the reference only: newer actions have none here.
	DependentActions []string
}

// String is the full name, "s3:GetObject".
func (a Action) String() string { return a.Service + ":" + a.Name }

// Resourceless says that the action supports no resource-level permission: only a statement with Resource "*" allows it.
func (a Action) Resourceless() bool { return len(a.Resources) == 0 }

// Fits says whether an ARN can be of one of the resource types that the action works on. An ARN of none is an ARN that a
// request for this action never has.
func (a Action) Fits(arn string) bool {
	return slices.ContainsFunc(a.Resources, func(u ResourceUse) bool { return u.Type.Matches(arn) })
}

// FitsPattern says whether a Resource of a policy, with its wildcards, can name a resource that the action works on. A
// resourceless action fits "*" and nothing else.
func (a Action) FitsPattern(pattern string) bool {
	if a.Resourceless() {
		return pattern == "*"
	}
	return slices.ContainsFunc(a.Resources, func(u ResourceUse) bool { return u.Type.Overlaps(pattern) })
}

// ResourceUse is a resource type that an action works on.
type ResourceUse struct {
	Type *ResourceType
	// Required says that each request for the action names a resource of this type.
	Required bool
	// ConditionKeys are keys that the action may carry with this type.
	ConditionKeys []string
}

// ResourceType is a type of resource of a service.
type ResourceType struct {
	Name string
	// ARNs are the forms of its ARN, with variables as ${BucketName}. There is nearly always one.
	ARNs          []string
	ConditionKeys []string
}

// compareFold orders names as strings.Compare orders their lower case, for ASCII, which all names are.
func compareFold(a, b string) int {
	for i := range min(len(a), len(b)) {
		if c, d := lower(a[i]), lower(b[i]); c != d {
			return int(c) - int(d)
		}
	}
	return len(a) - len(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// matchFold matches a name with a pattern of stars and question marks. Only the last star is ever tried again, so that
// the time is at most the product of the lengths.
func matchFold(pattern, name string) bool {
	star, tried := -1, 0
	p, n := 0, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, tried = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || lower(pattern[p]) == lower(name[n])):
			p++
			n++
		case star >= 0:
			tried++
			p, n = star+1, tried
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
