package v1

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/iam/catalogue/render"
	"github.com/belay-dev/belay/iam/trust"
	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/fault"
)

// What these calls answer is part of the program: they read nothing of the account, so every key may ask.

// capabilities lists what policies can be made for.
func (*Server) capabilities(context.Context, api.Call) (List[catalogue.Capability], error) {
	return List[catalogue.Capability]{Items: catalogue.Capabilities()}, nil
}

// mostNames is how many resources of one kind can be named in one call. With that, making the policies of the whole
// catalogue takes a quarter of a second; the work grows faster than the number.
const mostNames = 50

// policiesBody is what policies are made for.
type policiesBody struct {
	Capabilities []string            `json:"capabilities"`
	Narrowing    catalogue.Narrowing `json:"narrowing"`
	Placement    catalogue.Placement `json:"placement"`
	AttachTo     string              `json:"attachTo"` // name of the role, user or group; left open by default
}

// policiesAnswer are the policies, and the same for the tools that put them in place.
type policiesAnswer struct {
	catalogue.Result

	Renderings  map[string]string `json:"renderings"`            // by format: terraform, cloudformation, cli
	NotRendered map[string]string `json:"notRendered,omitempty"` // why a format is missing
}

var entityName = regexp.MustCompile(`^[\w+=,.@-]{1,128}$`)

// makePolicies makes the policies for capabilities.
func (*Server) makePolicies(ctx context.Context, _ api.Call, in policiesBody) (policiesAnswer, error) {
	var problems fault.Problems
	if in.AttachTo != "" && !entityName.MatchString(in.AttachTo) {
		problems.Add("attachTo", "the name of a role, user or group is letters, digits and +=,.@_-, without its path")
	}
	n := in.Narrowing
	for _, one := range []struct {
		name string
		list []string
	}{{"buckets", n.Buckets}, {"clusters", n.Clusters}, {"repositories", n.Repositories}, {"functions", n.Functions}, {"roles", n.Roles}} {
		if len(one.list) > mostNames {
			problems.Add("narrowing."+one.name, fmt.Sprintf("%d names, at most %d are taken; use wildcards", len(one.list), mostNames))
		}
	}
	if err := problems.Err(); err != nil {
		return policiesAnswer{}, err
	}
	result, err := catalogue.For(in.Capabilities, n, in.Placement)
	switch {
	case errors.Is(err, catalogue.ErrInput):
		return policiesAnswer{}, fault.New(fault.Invalid, "%s", err)
	case errors.Is(err, catalogue.ErrDoesNotFit):
		return policiesAnswer{}, fault.New(fault.Invalid, "the policies do not fit: %s", err)
	case err != nil:
		return policiesAnswer{}, err
	case ctx.Err() != nil:
		return policiesAnswer{}, context.Cause(ctx)
	}
	out := policiesAnswer{Result: result, Renderings: map[string]string{
		"terraform": string(render.Terraform(result, in.AttachTo)), "cli": string(render.Shell(result, in.AttachTo)),
	}}
	text, err := render.CloudFormation(result, in.AttachTo)
	if err != nil {
		out.NotRendered = map[string]string{"cloudformation": err.Error() + ": set placement.expand"}
	} else {
		out.Renderings["cloudformation"] = string(text)
	}
	return out, nil
}

// trustBody is what a trust policy is made for.
type trustBody struct {
	trust.Ask

	NewExternalID bool   `json:"newExternalId"` // make one by chance
	RoleName      string `json:"roleName"`      // left open by default
}

// trustAnswer is a trust policy, and the same for the tools that put it in place.
type trustAnswer struct {
	trust.Policy

	ExternalID string            `json:"externalId,omitempty"`
	Renderings map[string]string `json:"renderings"` // by format: terraform, cloudformation, cli
}

// makeTrust makes a trust policy.
func (*Server) makeTrust(_ context.Context, _ api.Call, in trustBody) (trustAnswer, error) {
	var problems fault.Problems
	if in.RoleName != "" && !entityName.MatchString(in.RoleName) {
		problems.Add("roleName", "the name of a role is letters, digits and +=,.@_-, without its path")
	}
	if len(in.Principals) > mostNames {
		problems.Add("principals", fmt.Sprintf("%d principals, at most %d are taken", len(in.Principals), mostNames))
	}
	if in.NewExternalID && in.ExternalID != "" {
		problems.Add("newExternalId", "an external id is given already")
	}
	if err := problems.Err(); err != nil {
		return trustAnswer{}, err
	}
	if in.NewExternalID {
		in.ExternalID = trust.NewExternalID()
	}
	p, err := trust.For(in.Ask)
	if errors.Is(err, trust.ErrInput) {
		return trustAnswer{}, fault.New(fault.Invalid, "%s", err)
	} else if err != nil {
		return trustAnswer{}, err
	}
	return trustAnswer{Policy: p, ExternalID: in.ExternalID, Renderings: map[string]string{
		"terraform":      string(render.TrustTerraform(p, in.RoleName)),
		"cloudformation": string(render.TrustCloudFormation(p, in.RoleName)),
		"cli":            string(render.TrustShell(p, in.RoleName)),
	}}, nil
}

// attemptBody is an attempt to assume a role.
type attemptBody struct {
	Trust          json.RawMessage   `json:"trust"` // the role's trust policy
	Role           string            `json:"role"`  // its ARN; by default one of the caller's account
	Principal      string            `json:"principal"`
	Policies       []json.RawMessage `json:"policies"` // of the caller; null: they are not known
	ExternalID     string            `json:"externalId"`
	Claims         map[string]string `json:"claims"`
	Tags           map[string]string `json:"tags"`
	SourceIdentity string            `json:"sourceIdentity"`
	Context        map[string]string `json:"context"` // further condition keys
}

// explainTrust says whether a trust policy lets a caller in, and why not.
func (*Server) explainTrust(_ context.Context, _ api.Call, in attemptBody) (trust.Answer, error) {
	var problems fault.Problems
	q := trust.Question{
		Role: in.Role, ExternalID: in.ExternalID, Claims: in.Claims, Tags: in.Tags, SourceIdentity: in.SourceIdentity, Keys: in.Context,
	}
	var err error
	if q.Caller, err = trust.ParseCaller(in.Principal); err != nil {
		problems.Add("principal", err.Error())
	}
	parse := func(name string, text json.RawMessage) *iam.Document {
		d, err := iam.Parse(text)
		if err != nil {
			problems.Add(name, err.Error())
		}
		return d
	}
	q.Trust = parse("trust", in.Trust)
	if in.Policies != nil {
		q.Policies = []iam.Policy{}
	}
	for i, text := range in.Policies {
		name := fmt.Sprintf("policies[%d]", i)
		q.Policies = append(q.Policies, iam.Policy{Name: name, Document: parse(name, text)})
	}
	if err := problems.Err(); err != nil {
		return trust.Answer{}, err
	}
	a, err := trust.Explain(q)
	if err != nil {
		return trust.Answer{}, fault.New(fault.Invalid, "%s", strings.TrimPrefix(err.Error(), "explain a trust policy: "))
	}
	return a, nil
}
