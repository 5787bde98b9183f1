package catalogue

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/service"
)

// Entity is what policies are attached to.
type Entity string

// The entities.
const (
	Role  Entity = "role"
	User  Entity = "user"
	Group Entity = "group"
)

// Placement says where the policies go. Its zero value means managed policies on a role, with AWS-managed policies
// attached as they are.
type Placement struct {
	To     Entity `json:"to,omitempty"`     // a role by default
	Inline bool   `json:"inline,omitempty"` // one inline policy instead of managed ones
	Name   string `json:"name,omitempty"`   // of the policy, or what the names begin with; "belay" by default
	// Expand writes the statements of AWS-managed policies out, so that they can be narrowed and joined; they then no
	// longer change when AWS changes the policy.
	Expand      bool `json:"expand,omitempty"`
	MaxAttached int  `json:"maxAttached,omitempty"` // how many managed policies the entity can have: 10 by default, which AWS raises on request
}

// The quotas of IAM, in characters without white space, and how many managed policies can be attached by default.
const (
	MaxManaged     = 6144
	MaxInlineRole  = 10240
	MaxInlineUser  = 2048
	MaxInlineGroup = 5120
	MaxAttached    = 10
)

// Result is what an entity needs.
type Result struct {
	Capabilities []string   `json:"capabilities"` // with those that were added
	Placement    Placement  `json:"placement"`
	Partition    string     `json:"partition"`
	Documents    []Document `json:"documents"`
	// Attachments are AWS-managed policies that stay as they are.
	Attachments []Attachment `json:"attachments"`
	// Resources are policies that belong on the side of the resource.
	Resources []ResourcePolicy `json:"resourcePolicies,omitempty"`
	Notes     []string         `json:"notes,omitempty"` // what to know or to look at, sentences
}

// Document is a policy to be made.
type Document struct {
	Name     string        `json:"name"`
	Size     int           `json:"size"` // in characters, as IAM counts them
	Document *iam.Document `json:"document"`
}

// Attachment is an AWS-managed policy to be attached.
type Attachment struct {
	Name string   `json:"name"`
	ARN  string   `json:"arn"` // in the partition of the result
	For  []string `json:"for"` // the capabilities that need it
}

// ResourcePolicy is a policy on the side of a resource.
type ResourcePolicy struct {
	On       string        `json:"on"` // the resource: bucket NAME, function NAME
	Document *iam.Document `json:"document"`
}

// ErrInput is what an [InputError] is, ErrDoesNotFit what a [FitError] is.
var (
	ErrInput      = errors.New("the request for a policy is wrong")
	ErrDoesNotFit = errors.New("the policies do not fit the quotas of IAM")
)

// InputError holds all that is wrong with what was asked for.
type InputError struct{ Problems []string }

// Error is all problems, separated by semicolons.
func (e *InputError) Error() string { return strings.Join(e.Problems, "; ") }

// Is reports whether target is ErrInput.
func (*InputError) Is(target error) bool { return target == ErrInput }

// FitError says which quota stands in the way.
type FitError struct {
	Quota  string // what is limited
	Limit  int
	Need   int
	Advice string
}

// Error says what is needed, what the quota is, and what to do.
func (e *FitError) Error() string {
	return fmt.Sprintf("%s: %d needed, at most %d; %s", e.Quota, e.Need, e.Limit, e.Advice)
}

// Is reports whether target is ErrDoesNotFit.
func (*FitError) Is(target error) bool { return target == ErrDoesNotFit }

var policyName = regexp.MustCompile(`^[\w+=,.@-]+$`)

// For makes the policies for a set of capabilities, narrowed to what is named. What every connection needs is added
// unless all capabilities are for another holder, such as the execution role of a function. What it makes allows
// nothing that it would not allow with an empty Narrowing of the same partition.
//
// The error is an [InputError] when something that was asked for is not known or badly written, a [FitError] when no
// arrangement fits the quotas.
func For(capabilities []string, n Narrowing, to Placement) (Result, error) {
	w, problems := n.narrower()
	chosen, unknown := choose(capabilities)
	problems = append(append(unknown, problems...), to.complete()...)
	if len(problems) > 0 {
		return Result{}, &InputError{problems}
	}
	var err error
	if w.data, err = service.Load(); err != nil {
		return Result{}, fmt.Errorf("read the service reference: %w", err)
	}
	r := Result{Placement: to, Partition: w.partition, Attachments: []Attachment{}}
	var own []iam.Statement
	holders := map[Holder]bool{}
	for _, c := range chosen {
		r.Capabilities = append(r.Capabilities, c.ID)
		holders[c.Holder] = true
		for _, p := range c.Policies {
			if p.Kind == AWSManaged {
				r.attach(p, c.ID)
			} else {
				own = append(own, w.document(p)...)
			}
		}
		for _, p := range c.Resource {
			policies, open := n.resourcePolicies(p, w)
			r.Resources, r.Notes = append(r.Resources, policies...), append(r.Notes, open...)
		}
	}
	if to.Expand {
		for len(r.Attachments) > 0 {
			if own, err = r.expand(0, own, w); err != nil {
				return Result{}, err
			}
		}
	}
	if err := r.fit(own, w); err != nil {
		return Result{}, err
	}
	r.Notes = append(r.Notes, notes(&r, n, w, holders)...)
	return r, nil
}

// maxCapabilities bounds how many capabilities can be named at once.
const maxCapabilities = 100

// choose looks capabilities up, each once, with the one that every connection needs in front.
func choose(ids []string) (chosen []Capability, problems []string) {
	switch {
	case len(ids) == 0:
		return nil, []string{"no capability is named"}
	case len(ids) > maxCapabilities:
		return nil, []string{fmt.Sprintf("%d capabilities: at most %d can be named", len(ids), maxCapabilities)}
	}
	seen := map[string]bool{}
	connector := false
	for _, id := range ids {
		c, ok := Find(id)
		if !ok {
			problems = append(problems, fmt.Sprintf("there is no capability %q; there are %s", id, strings.Join(known(), ", ")))
			continue
		}
		if !seen[id] {
			seen[id] = true
			chosen = append(chosen, c)
			connector = connector || c.Holder == Connector
		}
	}
	if connector && !seen[Connection] {
		every, _ := Find(Connection)
		chosen = slices.Insert(chosen, 0, every)
	}
	return chosen, problems
}

func known() []string {
	var all []string
	for _, c := range load().capabilities {
		all = append(all, c.ID)
	}
	return all
}

// complete fills in the defaults.
func (p *Placement) complete() (problems []string) {
	if p.To == "" {
		p.To = Role
	}
	if p.Name == "" {
		p.Name = "belay"
	}
	if p.MaxAttached == 0 {
		p.MaxAttached = MaxAttached
	}
	if !slices.Contains([]Entity{Role, User, Group}, p.To) {
		problems = append(problems, fmt.Sprintf("policies are attached to a role, user or group, not to a %q", p.To))
	}
	if len(p.Name) > 120 || !policyName.MatchString(p.Name) {
		problems = append(problems, fmt.Sprintf("the policy name %q: it is 1 to 120 letters, digits and +=,.@_-", p.Name))
	}
	if p.MaxAttached < 1 || p.MaxAttached > 100 {
		problems = append(problems, fmt.Sprintf("%d attached policies: it is a number from 1 to 100", p.MaxAttached))
	}
	return problems
}

func (r *Result) attach(p Policy, capability string) {
	for i := range r.Attachments {
		if r.Attachments[i].Name == p.ID {
			r.Attachments[i].For = append(r.Attachments[i].For, capability)
			return
		}
	}
	arn := "arn:" + r.Partition + strings.TrimPrefix(p.ARN, "arn:aws")
	r.Attachments = append(r.Attachments, Attachment{Name: p.ID, ARN: arn, For: []string{capability}})
}

// expand turns an attachment into statements of our own.
func (r *Result) expand(i int, own []iam.Statement, w *narrower) ([]iam.Statement, error) {
	p := policy(r.Attachments[i].Name)
	d, err := p.Current()
	if err != nil {
		return nil, err
	}
	p.Document = d
	r.Attachments = slices.Delete(r.Attachments, i, i+1)
	return append(own, w.document(p)...), nil
}

func policy(id string) Policy {
	for _, p := range load().policies {
		if p.ID == id {
			return p
		}
	}
	return Policy{}
}

// document narrows the statements of a policy. Where a placeholder stands for something that was not named, all of its
// kind is meant.
func (w *narrower) document(p Policy) []iam.Statement {
	var all []iam.Statement
	for _, s := range p.Document.Statements {
		if len(p.Placeholders) > 0 {
			s.Resource.Values = w.replaced(s.Resource.Values, p.Placeholders)
		}
		all = append(all, w.statement(s)...)
	}
	return all
}

// replaced puts names in the place of a placeholder, or a star.
func (w *narrower) replaced(values []string, placeholders map[string]string) []string {
	for placeholder, of := range placeholders {
		names := w.names[kind(of)]
		if len(names) == 0 {
			names = []name{{name: "*"}}
		}
		var all []string
		for _, v := range values {
			if !strings.Contains(v, placeholder) {
				all = append(all, v)
				continue
			}
			for _, n := range names {
				all = append(all, strings.ReplaceAll(v, placeholder, n.name))
			}
		}
		values = all
	}
	return values
}

// resourcePolicies are a policy of the resource's side, one for each resource, with the placeholders that are known
// filled in. What is still open is said in notes.
func (n Narrowing) resourcePolicies(p Policy, w *narrower) (all []ResourcePolicy, notes []string) {
	on := bucket
	if slices.Contains(slices.Collect(maps.Values(p.Placeholders)), string(function)) {
		on = function
	}
	targets := slices.DeleteFunc(slices.Clone(w.names[on]), func(one name) bool { return strings.ContainsAny(one.name, "*?") })
	w.used[on] = w.used[on] || len(targets) > 0
	if len(targets) == 0 {
		targets = []name{{}}
	}
	for _, one := range targets {
		filled := map[string]string{
			"principal": n.Principal, "account": cmp.Or(one.account, n.Account), "region": cmp.Or(one.region, n.Region), string(on): one.name,
		}
		if on == function && len(w.names[bucket]) == 1 {
			filled[string(bucket)] = w.names[bucket][0].name
			w.used[bucket] = true
		}
		var pairs, open []string
		for _, placeholder := range slices.Sorted(maps.Keys(p.Placeholders)) {
			of := p.Placeholders[placeholder]
			if value := filled[of]; value != "" && value != "*" {
				pairs = append(pairs, placeholder, value)
			} else {
				open = append(open, fmt.Sprintf("%s stands for the %s", w.inPartition(placeholder), of))
			}
		}
		d := &iam.Document{Version: version}
		for _, s := range p.Document.Statements {
			d.Statements = append(d.Statements, w.moved(replaceAll(s, strings.NewReplacer(pairs...))))
		}
		target := string(on) + " " + cmp.Or(one.name, string(on)+"-name")
		all = append(all, ResourcePolicy{On: target, Document: d})
		if len(open) > 0 {
			notes = append(notes, fmt.Sprintf("Something is to be filled in in the policy of %s: %s.", target, strings.Join(open, ", ")))
		}
	}
	return all, notes
}

func replaceAll(s iam.Statement, by *strings.Replacer) iam.Statement {
	each := func(values []string) []string {
		if values == nil {
			return nil
		}
		out := make([]string, len(values))
		for i, v := range values {
			out[i] = by.Replace(v)
		}
		return out
	}
	s.Resource.Values = each(s.Resource.Values)
	s.Conditions = slices.Clone(s.Conditions)
	for i := range s.Conditions {
		s.Conditions[i].Values = each(s.Conditions[i].Values)
	}
	if s.Principal != nil {
		p := *s.Principal
		p.AWS = each(p.AWS)
		s.Principal = &p
	}
	return s
}
