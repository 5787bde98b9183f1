package awsops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/belay-dev/belay/internal/arn"
	"github.com/belay-dev/belay/internal/connector"
)

// Survey reads what bears on a connector's identity, asks IAM to simulate the given actions, and, where neither can be had,
// makes harmless calls. It never fails: what failed is in the evidence, and what could not be learnt is said to be unknown.
func (s *Sessions) Survey(ctx context.Context, survey connector.Survey) connector.Evidence {
	began := s.now()
	limit := survey.Timeout
	if limit <= 0 {
		limit = checkTime
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errCheckTime)
	defer cancel()
	evidence := connector.Evidence{Region: survey.Access.Region, RegionsSkipped: true}
	check := connector.Check{Access: survey.Access, Fresh: survey.Fresh, IdentityOnly: true}
	cfg, err := s.validate(ctx, check, &evidence)
	if err != nil {
		evidence.Failure = FailureOf(err, survey.Access.Region, connector.StepCredentials)
		evidence.Permissions = refusal(ctx, cfg, survey.Access, &evidence, err)
		s.Forget(survey.Access.Key)
		evidence.Took = s.now().Sub(began)
		return evidence
	}
	evidence.Permissions = permissions(ctx, cfg, evidence.Identity.ARN)
	simulated := simulate(ctx, cfg, evidence.Permissions, survey.Ask)
	if !simulated && evidence.Permissions.Unknown(connector.PartIdentity) != "" {
		s.probe(ctx, cfg, evidence.Permissions, survey.Ask)
	}
	evidence.Took = s.now().Sub(began)
	return evidence
}

// mostSimulated is how many actions are simulated in one call.
const mostSimulated = 50

// simulate asks IAM about the actions, resource by resource, and reports whether it answered. What it says includes the
// organization's policies and the boundary, which the identity itself may not be able to read. A question that IAM does not
// take leaves the others be; a refusal ends it.
func simulate(ctx context.Context, cfg aws.Config, found *connector.Permissions, asked []connector.Asked) bool {
	source := found.Principal
	if name, err := arn.Parse(source); err == nil && name.Service == "sts" {
		source = found.Role
		if kind, rest, _ := strings.Cut(name.Resource, "/"); source == "" && kind == "assumed-role" {
			role, _, _ := strings.Cut(rest, "/")
			source = fmt.Sprintf("arn:%s:iam::%s:role/%s", name.Partition, name.Account, role)
		}
	}
	client := iam.NewFromConfig(cfg)
	for _, group := range byResource(asked) {
		for actions := range slices.Chunk(group.actions, mostSimulated) {
			in := &iam.SimulatePrincipalPolicyInput{
				PolicySourceArn: &source, ActionNames: actions, ResourceArns: []string{group.resource}, ContextEntries: entries(cfg.Region, group.context),
			}
			for pages := iam.NewSimulatePrincipalPolicyPaginator(client, in); pages.HasMorePages(); {
				page, err := pages.NextPage(ctx)
				if err != nil {
					r := &policyReader{found: found}
					r.unread(connector.PartSimulation, "iam:SimulatePrincipalPolicy", err)
					if _, ok := errors.AsType[*types.InvalidInputException](err); ok {
						break
					}
					return false
				}
				for _, result := range page.EvaluationResults {
					found.Probed = append(found.Probed, connector.Probe{
						Action: asAsked(actions, aws.ToString(result.EvalActionName)), Resource: group.resource, Context: group.context, How: connector.Simulated,
						Allowed: result.EvalDecision == types.PolicyEvaluationDecisionTypeAllowed, Code: string(result.EvalDecision),
						Lacks: result.MissingContextValues,
					})
				}
			}
		}
	}
	return true
}

// asAsked is an action in the letter case in which it was asked about.
func asAsked(actions []string, action string) string {
	if i := slices.IndexFunc(actions, func(a string) bool { return strings.EqualFold(a, action) }); i >= 0 {
		return actions[i]
	}
	return action
}

// entries are the condition keys of a simulation.
func entries(region, context string) []types.ContextEntry {
	var all []types.ContextEntry
	for _, k := range append([][2]string{{"aws:RequestedRegion", region}}, connector.Asked{Context: context}.Keys()...) {
		all = append(all, types.ContextEntry{ContextKeyName: aws.String(k[0]), ContextKeyType: types.ContextKeyTypeEnumString, ContextKeyValues: []string{k[1]}})
	}
	return all
}

// resourceGroup are actions that are asked about for the same resource, in the same context.
type resourceGroup struct {
	resource string
	context  string
	actions  []string
}

// byResource groups what is asked, in its order.
func byResource(asked []connector.Asked) []resourceGroup {
	var groups []resourceGroup
	for _, a := range asked {
		i := slices.IndexFunc(groups, func(g resourceGroup) bool { return g.resource == a.Resource && g.context == a.Context })
		if i < 0 {
			i = len(groups)
			groups = append(groups, resourceGroup{resource: a.Resource, context: a.Context})
		}
		if !slices.Contains(groups[i].actions, a.Action) {
			groups[i].actions = append(groups[i].actions, a.Action)
		}
	}
	return groups
}
