package awsops

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/belay-dev/belay/internal/connector"
)

// mostLevels bounds how far up an organization is followed. AWS allows five levels of units.
const mostLevels = 8

// organization reads the service control policies of an account. Only the management account and those it trusts may;
// for the others they are unread, unless the account is in no organization.
func (r *policyReader) organization(ctx context.Context, cfg aws.Config, account string) {
	client := organizations.NewFromConfig(cfg)
	about, err := client.DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{})
	var none *types.AWSOrganizationsNotInUseException
	switch {
	case errors.As(err, &none):
		return
	case err != nil:
		r.unread(connector.PartSCP, "organizations:DescribeOrganization", err)
		return
	case aws.ToString(about.Organization.MasterAccountId) == account:
		return // they never bear on the management account
	case about.Organization.FeatureSet == types.OrganizationFeatureSetConsolidatedBilling:
		return // such an organization has none
	}
	var levels []connector.PolicyLevel
	for target := account; target != "" && len(levels) < mostLevels; {
		level, action, err := scps(ctx, client, target)
		if err != nil {
			r.unread(connector.PartSCP, action, err)
			return
		}
		levels = append(levels, level)
		parents, err := client.ListParents(ctx, &organizations.ListParentsInput{ChildId: &target})
		if err != nil && target[0] != 'r' {
			r.unread(connector.PartSCP, "organizations:ListParents", err)
			return
		}
		target = ""
		if err == nil && len(parents.Parents) > 0 {
			target = aws.ToString(parents.Parents[0].Id)
		}
	}
	if !slices.ContainsFunc(levels, func(l connector.PolicyLevel) bool { return len(l.Policies) > 0 }) {
		return // where they are in force, AWS keeps at least one at each level
	}
	slices.Reverse(levels)
	r.found.SCP = levels
}

// scps are the policies attached to a root, a unit or an account.
func scps(ctx context.Context, client *organizations.Client, target string) (level connector.PolicyLevel, action string, err error) {
	level.Name = target
	pages := organizations.NewListPoliciesForTargetPaginator(client, &organizations.ListPoliciesForTargetInput{
		TargetId: &target, Filter: types.PolicyTypeServiceControlPolicy,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return level, "organizations:ListPoliciesForTarget", err
		}
		for _, one := range page.Policies {
			got, err := client.DescribePolicy(ctx, &organizations.DescribePolicyInput{PolicyId: one.Id})
			if err != nil {
				return level, "organizations:DescribePolicy", err
			}
			text, ok := policyDocument(aws.ToString(got.Policy.Content))
			if !ok {
				return level, "organizations:DescribePolicy", errors.New("the policy is too long")
			}
			level.Policies = append(level.Policies, connector.PolicyText{Name: aws.ToString(one.Name), ARN: aws.ToString(one.Arn), Via: "organization", Document: text})
		}
	}
	return level, "", nil
}
