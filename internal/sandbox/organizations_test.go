package sandbox_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// TestOrganization builds one by its calls, and shows that its policies count.
func TestOrganization(t *testing.T) {
	t.Parallel()
	p := start(t, "")
	c, ctx := p.organizations(p.admin()), t.Context()
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	_, err := c.ListRoots(ctx, nil)
	check(t, said(t, err), "AWSOrganizationsNotInUseException: Your account is not a member of an organization.")
	_, err = c.CreateOrganization(ctx, nil)
	must("create organization", err)
	_, err = c.CreateOrganization(ctx, nil)
	check(t, said(t, err), "AlreadyInOrganizationException: The provided account is already a member of an organization.")
	roots, err := c.ListRoots(ctx, nil)
	must("list roots", err)
	root := roots.Roots[0].Id
	made, err := c.CreateAccount(ctx, &organizations.CreateAccountInput{AccountName: aws.String("dev"), Email: aws.String("dev@example.com")})
	must("create account", err)
	status, err := c.DescribeCreateAccountStatus(ctx, &organizations.DescribeCreateAccountStatusInput{CreateAccountRequestId: made.CreateAccountStatus.Id})
	must("status", err)
	dev := status.CreateAccountStatus.AccountId
	unit, err := c.CreateOrganizationalUnit(ctx, &organizations.CreateOrganizationalUnitInput{Name: aws.String("workloads"), ParentId: root})
	must("create unit", err)
	ou := unit.OrganizationalUnit.Id
	_, err = c.MoveAccount(ctx, &organizations.MoveAccountInput{AccountId: dev, SourceParentId: root, DestinationParentId: ou})
	must("move account", err)
	parents, err := c.ListParents(ctx, &organizations.ListParentsInput{ChildId: dev})
	must("parents", err)
	if *parents.Parents[0].Id != *ou {
		t.Errorf("the account lies in %s", *parents.Parents[0].Id)
	}

	// The management account gets in, as with AWS, until a policy says otherwise.
	inside := p.assume(p.admin(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::" + *dev + ":role/OrganizationAccountAccessRole")})
	regions := func() string {
		_, err := p.ec2(inside).DescribeRegions(ctx, nil)
		return said(t, err)
	}
	check(t, regions(), "")
	scp, err := c.CreatePolicy(ctx, &organizations.CreatePolicyInput{
		Name: aws.String("no-ec2"), Description: aws.String(""), Type: types.PolicyTypeServiceControlPolicy,
		Content: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"ec2:*","Resource":"*"}]}`),
	})
	must("create policy", err)
	id := scp.Policy.PolicySummary.Id
	_, err = c.AttachPolicy(ctx, &organizations.AttachPolicyInput{PolicyId: id, TargetId: ou})
	must("attach", err)
	const denied = "UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:sts::"
	check(t, regions(), denied+*dev+":assumed-role/OrganizationAccountAccessRole/test is not authorized to perform: ec2:DescribeRegions with an explicit deny in a service control policy: "+*scp.Policy.PolicySummary.Arn+encodedTail)
	targets, err := c.ListTargetsForPolicy(ctx, &organizations.ListTargetsForPolicyInput{PolicyId: id})
	must("targets", err)
	attached, err := c.ListPoliciesForTarget(ctx, &organizations.ListPoliciesForTargetInput{TargetId: ou, Filter: types.PolicyTypeServiceControlPolicy})
	must("policies", err)
	if len(targets.Targets) != 1 || *targets.Targets[0].Name != "workloads" || len(attached.Policies) != 2 {
		t.Errorf("targets %+v, policies %+v", targets.Targets, attached.Policies)
	}
	_, err = c.DeletePolicy(ctx, &organizations.DeletePolicyInput{PolicyId: id})
	check(t, said(t, err), "PolicyInUseException: *")
	_, err = c.DetachPolicy(ctx, &organizations.DetachPolicyInput{PolicyId: id, TargetId: ou})
	must("detach", err)
	check(t, regions(), "")
	_, err = c.DetachPolicy(ctx, &organizations.DetachPolicyInput{PolicyId: aws.String("p-FullAWSAccess"), TargetId: ou})
	check(t, said(t, err), "ConstraintViolationException: You cannot remove the last policy*")

	// Resource control policies bear on who comes from outside, too.
	_, err = c.CreatePolicy(ctx, &organizations.CreatePolicyInput{Name: aws.String("r"), Description: aws.String(""), Type: types.PolicyTypeResourceControlPolicy, Content: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:*","Resource":"*"}]}`)})
	check(t, said(t, err), "MalformedPolicyDocumentException: *")
	rcp, err := c.CreatePolicy(ctx, &organizations.CreatePolicyInput{
		Name: aws.String("nobody"), Description: aws.String(""), Type: types.PolicyTypeResourceControlPolicy,
		Content: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole","Resource":"*"}]}`),
	})
	must("create RCP", err)
	_, err = c.AttachPolicy(ctx, &organizations.AttachPolicyInput{PolicyId: rcp.Policy.PolicySummary.Id, TargetId: dev})
	check(t, said(t, err), "PolicyTypeNotEnabledException: *")
	_, err = c.EnablePolicyType(ctx, &organizations.EnablePolicyTypeInput{RootId: root, PolicyType: types.PolicyTypeResourceControlPolicy})
	must("enable", err)
	_, err = c.AttachPolicy(ctx, &organizations.AttachPolicyInput{PolicyId: rcp.Policy.PolicySummary.Id, TargetId: dev})
	must("attach RCP", err)
	_, err = p.sts(p.admin()).AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::" + *dev + ":role/OrganizationAccountAccessRole"), RoleSessionName: aws.String("test")})
	check(t, said(t, err), "AccessDenied: User: arn:aws:iam::123456789012:user/admin is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::"+*dev+":role/OrganizationAccountAccessRole with an explicit deny in a resource control policy: "+*rcp.Policy.PolicySummary.Arn)

	_, err = p.organizations(inside).CreateOrganizationalUnit(ctx, &organizations.CreateOrganizationalUnitInput{Name: aws.String("x"), ParentId: root})
	check(t, said(t, err), "AccessDeniedException: You don't have permissions to access this resource.")
	all, err := c.ListAccounts(ctx, nil)
	must("accounts", err)
	if len(all.Accounts) != 2 {
		t.Errorf("%d accounts", len(all.Accounts))
	}
}
