package v1

import (
	"context"
	"time"

	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/preflight"
)

// PreflightOptions are what a preflight asks for.
type PreflightOptions struct {
	Capabilities []string            `json:"capabilities,omitempty"` // ids of the catalogue; none means all
	Narrowing    catalogue.Narrowing `json:"narrowing,omitzero"`     // the resources that are meant
	Fresh        bool                `json:"fresh,omitempty"`        // use no cached session
}

// Preflight is one preflight and what it found.
type Preflight struct {
	ID           string              `json:"id"`
	Connector    string              `json:"connector"`
	Org          string              `json:"org"`
	Project      string              `json:"project"`
	Answer       string              `json:"answer"` // allowed, denied, unknown: of all capabilities together
	By           string              `json:"by"`
	StartedAt    time.Time           `json:"startedAt"`
	EndedAt      time.Time           `json:"endedAt"`
	Delegate     string              `json:"delegate"`
	DelegateID   string              `json:"delegateId"`
	Region       string              `json:"region"`
	Identity     *Identity           `json:"identity"`
	Asked        []string            `json:"asked"` // capabilities by id; empty: all
	Narrowing    catalogue.Narrowing `json:"narrowing"`
	Diagnosis    *Diagnosis          `json:"diagnosis"` // why nothing could be asked; null: it could
	Capabilities []CapabilityAnswer  `json:"capabilities"`
	Unread       []UnreadPart        `json:"unread"`
	Fix          *Fix                `json:"fix"`     // grants all that is missing; null: nothing is
	Blocked      []Fix               `json:"blocked"` // what other layers deny, and how that changes
}

// CapabilityAnswer is the answer for one capability.
type CapabilityAnswer struct {
	ID      string    `json:"id"`
	Title   string    `json:"title"`
	Answer  string    `json:"answer"`
	Allowed int       `json:"allowed"` // how many actions are allowed
	Missing []Finding `json:"missing"`
	Unknown []Finding `json:"unknown"`
	Caveats []string  `json:"caveats"`
}

// Finding is an action on a resource and why it is not allowed, or not known.
type Finding struct {
	Action   string   `json:"action"`
	Resource string   `json:"resource"`
	Why      []string `json:"why"`
}

// UnreadPart is something that could not be read.
type UnreadPart struct {
	What   string `json:"what"`
	Action string `json:"action"` // the permission that would settle it
	Code   string `json:"code"`
}

// Fix is a change of policies.
type Fix struct {
	What    string `json:"what"`
	Command string `json:"command"` // the same for the AWS CLI; "" when no single command does it
}

func preflightOf(p preflight.Preflight) Preflight {
	out := Preflight{
		ID: p.ID, Connector: p.Connector, Org: p.Scope.Org, Project: p.Scope.Project, Answer: string(p.Answer()), By: p.By,
		StartedAt: p.StartedAt.UTC(), EndedAt: p.EndedAt.UTC(), Delegate: p.Delegate, DelegateID: p.DelegateID, Region: p.Region,
		Asked: orEmpty(p.Options.Capabilities), Narrowing: p.Options.Narrowing, Diagnosis: diagnosisOf(p.Diagnosis),
		Capabilities: []CapabilityAnswer{}, Unread: []UnreadPart{}, Blocked: []Fix{},
	}
	if i := p.Identity; i != nil {
		out.Identity = &Identity{ARN: i.ARN, Account: i.Account, UserID: i.UserID}
	}
	for _, r := range p.Results {
		out.Capabilities = append(out.Capabilities, CapabilityAnswer{
			ID: r.Capability, Title: r.Title, Answer: string(r.Answer), Allowed: r.Allowed, Missing: findings(r.Missing), Unknown: findings(r.Unknown),
			Caveats: orEmpty(r.Caveats),
		})
	}
	for _, u := range p.Unread {
		out.Unread = append(out.Unread, UnreadPart{What: string(u.What), Action: u.Action, Code: u.Code})
	}
	if p.Fix != nil {
		out.Fix = &Fix{What: p.Fix.What, Command: p.Fix.Command}
	}
	for _, f := range p.Blocked {
		out.Blocked = append(out.Blocked, Fix(f))
	}
	return out
}

func findings(list []preflight.Finding) []Finding {
	out := []Finding{}
	for _, f := range list {
		out = append(out, Finding{Action: f.Action, Resource: f.Resource, Why: orEmpty(f.Why)})
	}
	return out
}

// preflight asks what a connector's identity may do. What is missing is an answer, not a failure.
func (s *Server) preflight(ctx context.Context, c api.Call, in PreflightOptions) (Preflight, error) {
	p, err := s.Preflights.Run(ctx, c.Who, c.At, c.Path("id"), preflight.Options(in))
	return preflightOf(p), err
}

// listPreflights lists the preflights of a connector, newest first.
func (s *Server) listPreflights(ctx context.Context, c api.Call) (List[Preflight], error) {
	limit, err := c.Number("limit", 10, 1, preflight.Keep)
	if err != nil {
		return List[Preflight]{}, err
	}
	list, err := s.Preflights.Preflights(ctx, c.Who, c.At, c.Path("id"), limit)
	return listed(list, preflightOf), err
}
