package scenario

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/service"
)

// Result is the answer to a file.
type Result struct {
	Format  string   `json:"format"`
	Results []Answer `json:"results"`
	Summary Summary  `json:"summary"`
}

// Summary counts the answers.
type Summary struct {
	Scenarios int `json:"scenarios"`
	Passed    int `json:"passed"`
	Failed    int `json:"failed"`
	Errors    int `json:"errors"`
	Unchecked int `json:"unchecked"` // decided, with nothing to compare with
}

// Answer is the answer to one scenario.
type Answer struct {
	ID          string       `json:"id"`
	Decision    iam.Decision `json:"decision,omitempty"`
	BlockedBy   []iam.Layer  `json:"blockedBy"`
	Statements  []Statement  `json:"statements"`
	Explanation []string     `json:"explanation"`
	Warnings    []string     `json:"warnings,omitempty"`
	Error       *Failure     `json:"error"`
	Pass        *bool        `json:"pass,omitempty"`
}

// Statement refers to a statement that decided.
type Statement struct {
	Policy string     `json:"policy"`
	Layer  iam.Layer  `json:"layer"`
	Level  string     `json:"level,omitempty"`
	Index  int        `json:"index"`
	SID    string     `json:"sid,omitempty"`
	Effect iam.Effect `json:"effect"`
}

// Failure says why a scenario could not be decided.
type Failure struct {
	Reason  string `json:"reason"` // malformed-policy or invalid-request
	Policy  string `json:"policy,omitempty"`
	Message string `json:"message"`
}

// Run answers all scenarios of a file, unless the context ends first.
func (f *File) Run(ctx context.Context) (Result, error) {
	out := Result{Format: ResultFormat, Results: []Answer{}}
	for i := range f.Scenarios {
		if ctx.Err() != nil {
			return out, context.Cause(ctx)
		}
		a := f.Scenarios[i].Run()
		out.Results = append(out.Results, a)
		out.Summary.Scenarios++
		switch {
		case a.Error != nil:
			out.Summary.Errors++
		case a.Pass == nil:
			out.Summary.Unchecked++
		case *a.Pass:
			out.Summary.Passed++
		default:
			out.Summary.Failed++
		}
	}
	return out, nil
}

// Run answers one scenario.
func (s *Scenario) Run() Answer {
	a := Answer{ID: s.ID, BlockedBy: []iam.Layer{}, Statements: []Statement{}, Explanation: []string{}}
	q, failure := s.Question()
	if failure != nil {
		a.Error = failure
		return a
	}
	x := q.Explain()
	a.Decision, a.BlockedBy = x.Decision, append(a.BlockedBy, x.BlockedBy...)
	a.Explanation, a.Warnings = x.Lines(), q.Set.Warnings()
	for _, r := range x.Statements {
		a.Statements = append(a.Statements, Statement{Policy: r.Policy, Layer: r.Layer, Level: r.Level, Index: r.Index, SID: r.SID, Effect: r.Effect})
	}
	if s.Expect != nil {
		pass := s.Expect.met(x)
		a.Pass = &pass
	}
	return a
}

func (e *Expectation) met(x iam.Explanation) bool {
	if e.Decision != x.Decision {
		return false
	}
	if e.BlockedBy == nil {
		return true
	}
	want, got := slices.Clone(*e.BlockedBy), slices.Clone(x.BlockedBy)
	slices.Sort(want)
	slices.Sort(got)
	return slices.Equal(slices.Compact(want), got)
}

// Question is a scenario ready to be decided.
type Question struct {
	Set     *iam.Set
	Request iam.Request
	// Split are the requests that stand for one with a star in its resource, where the answer needs service data.
	Split []iam.Request
}

// Question compiles a scenario.
func (s *Scenario) Question() (*Question, *Failure) {
	var l loader
	p := iam.Policies{
		Identity: l.all(s.IdentityPolicies),
		Boundary: l.optional(s.PermissionBoundary),
		Session:  l.optional(s.SessionPolicies),
		SCP:      l.levels(s.ServiceControlPolicies),
		RCP:      l.levels(s.ResourceControlPolicies),
		Endpoint: l.optional(s.VPCEndpointPolicies),
	}
	if s.ResourcePolicy != nil {
		p.Resource = &l.all([]Policy{*s.ResourcePolicy})[0]
	}
	if l.failure != nil {
		return nil, l.failure
	}
	settings := iam.Settings{Discover: s.Mode == "discover", RestrictPublicBuckets: s.Settings.RestrictPublicBuckets}
	for _, k := range s.ContextKnowledge {
		settings.Knowledge = append(settings.Knowledge, iam.Knowledge(k))
	}
	set, err := iam.Compile(p, settings)
	if err != nil {
		return nil, &Failure{Reason: "malformed-policy", Message: err.Error()}
	}
	q := &Question{Set: set, Request: iam.Request{
		Action: s.Request.Action, Resource: s.Request.Resource.ARN, ResourceAccount: s.Request.Resource.Account, Resourceless: s.Request.Resourceless,
	}}
	if q.Request.Principal, err = s.Request.Principal.domain(); err != nil {
		return nil, &Failure{Reason: "invalid-request", Message: err.Error()}
	}
	for name, v := range s.Request.Context {
		if s.NeedsServiceData && !s.Settings.BucketABAC && bucketTag(s.Request.Action, name) {
			continue
		}
		if v.Multi {
			q.Request.Context.SetList(name, v.List)
		} else {
			q.Request.Context.Set(name, v.Single)
		}
	}
	if s.NeedsServiceData {
		return q, q.consult(p)
	}
	return q, nil
}

// bucketTag tells the keys that exist for S3's buckets and objects only when access by attributes is enabled there.
func bucketTag(action, key string) bool {
	key = strings.ToLower(key)
	return strings.HasPrefix(strings.ToLower(action), "s3:") && (strings.HasPrefix(key, "aws:resourcetag/") || strings.HasPrefix(key, "s3:buckettag/"))
}

// Explain decides the question.
func (q *Question) Explain() iam.Explanation {
	if q.Split == nil {
		return q.Set.Explain(&q.Request)
	}
	// One that is allowed suffices; all must be denied explicitly for the whole to be.
	var implicit, explicit *iam.Explanation
	for i := range q.Split {
		x := q.Set.Explain(&q.Split[i])
		switch x.Decision {
		case iam.Allowed:
			return x
		case iam.ImplicitlyDenied:
			implicit = &x
		case iam.ExplicitlyDenied:
			explicit = &x
		}
	}
	switch {
	case implicit != nil:
		return *implicit
	case explicit != nil:
		return *explicit
	}
	// No policy names a resource that fits: what none allows.
	x := q.Set.Explain(&q.Request)
	x.Decision, x.BlockedBy, x.Statements = iam.ImplicitlyDenied, nil, nil
	return x
}

// loader reads documents and keeps the first failure.
type loader struct{ failure *Failure }

func (l *loader) all(policies []Policy) []iam.Policy {
	out := make([]iam.Policy, 0, len(policies))
	for _, p := range policies {
		if text := string(p.Document); text == "" || text == "null" {
			if l.failure == nil {
				l.failure = &Failure{Reason: "malformed-policy", Policy: p.Name, Message: "the document is missing"}
			}
			out = append(out, iam.Policy{Name: p.Name})
			continue
		}
		d, err := iam.Parse(p.Document)
		if err != nil && l.failure == nil {
			l.failure = &Failure{Reason: "malformed-policy", Policy: p.Name, Message: err.Error()}
		}
		out = append(out, iam.Policy{Name: p.Name, Document: d})
	}
	return out
}

func (l *loader) optional(policies *[]Policy) []iam.Policy {
	if policies == nil {
		return nil
	}
	return l.all(*policies)
}

func (l *loader) levels(levels []Level) []iam.Level {
	var out []iam.Level
	for _, one := range levels {
		out = append(out, iam.Level{Name: one.Level, Policies: l.all(one.Policies)})
	}
	return out
}

// consult applies what only service reference data can tell: whether the action works on no resource, and what a star in
// the requested resource stands for.
func (q *Question) consult(p iam.Policies) *Failure {
	data, err := service.Load()
	if err != nil {
		return &Failure{Reason: "needs-service-data", Message: err.Error()}
	}
	action, known := data.Action(q.Request.Action)
	if !known {
		return &Failure{Reason: "needs-service-data", Message: fmt.Sprintf("the service reference (%s) has no action %s", data.Source(), q.Request.Action)}
	}
	if action.Resourceless() {
		q.Request.Resourceless, q.Request.Resource = true, "*"
		return nil
	}
	if !strings.Contains(q.Request.Resource, "*") || q.Request.Resourceless {
		return nil
	}
	q.Split = []iam.Request{}
	for _, resource := range named(p, q.Request.Resource, action) {
		one := q.Request
		one.Resource = resource
		q.Split = append(q.Split, one)
	}
	return nil
}

// named are the patterns that the policies name, as far as they fit the request and the action's kinds of resources. A
// policy that names all resources stands for the request's own pattern.
func named(p iam.Policies, request string, action service.Action) []string {
	var out []string
	add := func(policies []iam.Policy) {
		for _, one := range policies {
			for _, s := range one.Document.Statements {
				values := s.Resource.Values
				if values == nil || s.Resource.Negated {
					values = []string{"*"}
				}
				for _, v := range values {
					if v == "*" {
						v = request
					}
					fits := request == "*" || iam.OverlapResource(v, request)
					if fits && action.FitsPattern(v) && !slices.Contains(out, v) {
						out = append(out, v)
					}
				}
			}
		}
	}
	add(p.Identity)
	add(p.Boundary)
	add(p.Session)
	add(p.Endpoint)
	for _, l := range slices.Concat(p.SCP, p.RCP) {
		add(l.Policies)
	}
	if p.Resource != nil {
		add([]iam.Policy{*p.Resource})
	}
	return out
}
