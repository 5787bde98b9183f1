package sandbox_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/google/go-cmp/cmp"
)

const (
	allowRegions = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:DescribeRegions","Resource":"*"}]}`
	trustAccount = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"sts:AssumeRole"}]}`
)

// TestLifeOfAUser makes all that belongs to a user, reads it back, and takes it away in an order that IAM accepts.
func TestLifeOfAUser(t *testing.T) {
	t.Parallel()
	p := start(t, "")
	c, ctx := p.iam(p.admin()), t.Context()
	name, group, policy := aws.String("Bob"), aws.String("readers"), aws.String("arn:aws:iam::123456789012:policy/team/regions")
	ok := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	_, err := c.CreateUser(ctx, &iam.CreateUserInput{UserName: name, Path: aws.String("/team/"), Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b & c")}}})
	ok("create user", err)
	_, err = c.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("BOB")})
	check(t, said(t, err), "EntityAlreadyExists: User with name BOB already exists.")
	_, err = c.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: group})
	ok("create group", err)
	_, err = c.AddUserToGroup(ctx, &iam.AddUserToGroupInput{UserName: name, GroupName: group})
	ok("add user to group", err)
	_, err = c.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("regions"), Path: aws.String("/team/"), PolicyDocument: aws.String(allowRegions)})
	ok("create policy", err)
	_, err = c.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: name, PolicyArn: policy})
	ok("attach", err)
	_, err = c.AttachGroupPolicy(ctx, &iam.AttachGroupPolicyInput{GroupName: group, PolicyArn: aws.String("arn:aws:iam::aws:policy/ReadOnlyAccess")})
	ok("attach to group", err)
	_, err = c.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: name, PolicyName: aws.String("own"), PolicyDocument: aws.String(allowRegions)})
	ok("put", err)
	_, err = c.PutUserPermissionsBoundary(ctx, &iam.PutUserPermissionsBoundaryInput{UserName: name, PermissionsBoundary: policy})
	ok("boundary", err)

	user, err := c.GetUser(ctx, &iam.GetUserInput{UserName: aws.String("bob")})
	ok("get user", err)
	if u := user.User; *u.UserName != "Bob" || *u.Arn != "arn:aws:iam::123456789012:user/team/Bob" || *u.PermissionsBoundary.PermissionsBoundaryArn != *policy || *u.Tags[0].Value != "b & c" {
		t.Errorf("the user is %+v", u)
	}
	inline, err := c.GetUserPolicy(ctx, &iam.GetUserPolicyInput{UserName: name, PolicyName: aws.String("own")})
	ok("get user policy", err)
	if text, err := url.QueryUnescape(*inline.PolicyDocument); err != nil || text != allowRegions {
		t.Errorf("the document is %s, %v", text, err)
	}
	attached, err := c.ListAttachedUserPolicies(ctx, &iam.ListAttachedUserPoliciesInput{UserName: name})
	ok("list attached", err)
	groups, err := c.ListGroupsForUser(ctx, &iam.ListGroupsForUserInput{UserName: name})
	ok("list groups", err)
	if *attached.AttachedPolicies[0].PolicyArn != *policy || *groups.Groups[0].GroupName != "readers" {
		t.Errorf("attached %v, in %v", attached.AttachedPolicies, groups.Groups)
	}
	entities, err := c.ListEntitiesForPolicy(ctx, &iam.ListEntitiesForPolicyInput{PolicyArn: policy})
	ok("list entities", err)
	if len(entities.PolicyUsers) != 1 || *entities.PolicyUsers[0].UserName != "Bob" {
		t.Errorf("the policy is used by %+v", entities)
	}
	details, err := c.GetAccountAuthorizationDetails(ctx, nil)
	ok("details", err)
	if len(details.UserDetailList) != 2 || len(details.GroupDetailList) != 1 || len(details.Policies) != 3 || *details.UserDetailList[1].UserPolicyList[0].PolicyName != "own" {
		t.Errorf("details: %d users, %d groups, %d policies", len(details.UserDetailList), len(details.GroupDetailList), len(details.Policies))
	}

	remove := func() error {
		_, err := c.DeleteUser(ctx, &iam.DeleteUserInput{UserName: name})
		return err
	}
	_, err = c.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: policy})
	check(t, said(t, err), "DeleteConflict: Cannot delete a policy attached to entities.")
	check(t, said(t, remove()), "DeleteConflict: Cannot delete entity, must detach all policies first.")
	_, err = c.DetachUserPolicy(ctx, &iam.DetachUserPolicyInput{UserName: name, PolicyArn: policy})
	ok("detach", err)
	check(t, said(t, remove()), "DeleteConflict: Cannot delete entity, must delete policies first.")
	_, err = c.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{UserName: name, PolicyName: aws.String("own")})
	ok("delete user policy", err)
	check(t, said(t, remove()), "DeleteConflict: Cannot delete entity, must remove users from group first.")
	_, err = c.RemoveUserFromGroup(ctx, &iam.RemoveUserFromGroupInput{UserName: name, GroupName: group})
	ok("remove from group", err)
	ok("delete user", remove())
	check(t, said(t, remove()), "NoSuchEntity: The user with name Bob cannot be found.")
	_, err = c.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: policy})
	ok("delete policy", err)
}

func TestLifeOfARole(t *testing.T) {
	t.Parallel()
	p := start(t, "")
	c, ctx := p.iam(p.admin()), t.Context()
	name := aws.String("deploy")
	ok := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	_, err := c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(trustAccount), MaxSessionDuration: aws.Int32(7200), Description: aws.String("deploys")})
	ok("create role", err)
	_, err = c.TagRole(ctx, &iam.TagRoleInput{RoleName: name, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("blue")}}})
	ok("tag role", err)
	_, err = c.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: name, PolicyName: aws.String("p"), PolicyDocument: aws.String(allowRegions)})
	ok("put", err)
	_, err = c.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: name})
	ok("create profile", err)
	_, err = c.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: name, RoleName: name})
	ok("add to profile", err)
	_, err = c.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: name, RoleName: name})
	check(t, said(t, err), "LimitExceeded: Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
	role, err := c.GetRole(ctx, &iam.GetRoleInput{RoleName: name})
	ok("get role", err)
	text, err := url.QueryUnescape(*role.Role.AssumeRolePolicyDocument)
	ok("unescape", err)
	if text != trustAccount || *role.Role.MaxSessionDuration != 7200 || *role.Role.Description != "deploys" || *role.Role.Tags[0].Value != "blue" {
		t.Errorf("the role is %+v", role.Role)
	}
	profiles, err := c.ListInstanceProfilesForRole(ctx, &iam.ListInstanceProfilesForRoleInput{RoleName: name})
	ok("profiles", err)
	if len(profiles.InstanceProfiles) != 1 || *profiles.InstanceProfiles[0].Roles[0].RoleName != "deploy" {
		t.Errorf("profiles %+v", profiles.InstanceProfiles)
	}
	_, err = c.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: aws.String(strings.Replace(trustAccount, "root", "user/nobody", 1))})
	check(t, said(t, err), `MalformedPolicyDocument: Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:user/nobody"`)
	_, err = c.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: aws.String(strings.Replace(trustAccount, "root", "user/admin", 1))})
	ok("update trust", err)
	_, err = c.UpdateRole(ctx, &iam.UpdateRoleInput{RoleName: name, MaxSessionDuration: aws.Int32(3600)})
	ok("update role", err)
	remove := func() error {
		_, err := c.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: name})
		return err
	}
	check(t, said(t, remove()), "DeleteConflict: Cannot delete entity, must remove roles from instance profile first.")
	_, err = c.RemoveRoleFromInstanceProfile(ctx, &iam.RemoveRoleFromInstanceProfileInput{InstanceProfileName: name, RoleName: name})
	ok("remove from profile", err)
	check(t, said(t, remove()), "DeleteConflict: Cannot delete entity, must delete policies first.")
	_, err = c.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: name, PolicyName: aws.String("p")})
	ok("delete policy", err)
	ok("delete role", remove())
}

func TestPolicyVersions(t *testing.T) {
	t.Parallel()
	p := start(t, one(`attach: [regions]`, ""))
	c, ctx := p.iam(keyOf("boss")), t.Context()
	_, err := c.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: aws.String("arn:aws:iam::aws:policy/AdministratorAccess"), VersionId: aws.String("v1")})
	if err != nil {
		t.Error(err)
	}
	_, err = c.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: aws.String("arn:aws:iam::aws:policy/AdministratorAccess")})
	if err == nil {
		t.Error("a policy of AWS was deleted")
	}

	p = start(t, "")
	c = p.iam(p.admin())
	made, err := c.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("p"), PolicyDocument: aws.String(allowRegions)})
	if err != nil {
		t.Fatal(err)
	}
	arn := made.Policy.Arn
	for range 4 {
		if _, err := c.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: aws.String(allowRegions), SetAsDefault: true}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = c.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: aws.String(allowRegions)})
	check(t, said(t, err), "LimitExceeded: A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.")
	_, err = c.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v5")})
	check(t, said(t, err), "DeleteConflict: Cannot delete the default version of a policy.")
	if _, err = c.SetDefaultPolicyVersion(ctx, &iam.SetDefaultPolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v2")}); err != nil {
		t.Error(err)
	}
	if _, err = c.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v5")}); err != nil {
		t.Error(err)
	}
	all, err := c.ListPolicyVersions(ctx, &iam.ListPolicyVersionsInput{PolicyArn: arn})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range all.Versions {
		got = append(got, fmt.Sprint(*v.VersionId, v.IsDefaultVersion))
	}
	if diff := cmp.Diff([]string{"v4false", "v3false", "v2true", "v1false"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestMalformedPolicies(t *testing.T) {
	t.Parallel()
	p := start(t, "")
	c, ctx := p.iam(p.admin()), t.Context()
	statement := func(s string) string { return `{"Version":"2012-10-17","Statement":[` + s + `]}` }
	for name, tt := range map[string]struct{ document, want string }{
		"no JSON":            {`{`, "Syntax errors in policy.*"},
		"two of a key":       {`{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}`, "Syntax errors in policy.*"},
		"a version":          {`{"Version":"2020-01-01","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`, "Policy document must be version 2012-10-17 or greater."},
		"no resource":        {statement(`{"Effect":"Allow","Action":"s3:*"}`), "Policy statement must contain resources."},
		"a resource":         {statement(`{"Effect":"Allow","Action":"s3:*","Resource":"bucket"}`), `Resource bucket must be in ARN format or "*".`},
		"a principal":        {statement(`{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}`), "Policy document should not specify a principal."},
		"an action":          {statement(`{"Effect":"Allow","Action":"GetObject","Resource":"*"}`), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."},
		"an action's colons": {statement(`{"Effect":"Allow","Action":"s3:Get:Object","Resource":"*"}`), "Actions/Condition can contain only one colon."},
		"a vendor":           {statement(`{"Effect":"Allow","Action":"s 3:GetObject","Resource":"*"}`), "Vendor s 3 is not valid"},
		"ids that are alike": {statement(`{"Sid":"a","Effect":"Allow","Action":"s3:*","Resource":"*"},{"Sid":"a","Effect":"Allow","Action":"s3:*","Resource":"*"}`), "Statement IDs (SID) in a single policy must be unique."},
		"an operator":        {statement(`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEqual":{"a":"b"}}}`), "Syntax errors in policy.*"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("p"), PolicyDocument: &tt.document})
			check(t, said(t, err), "MalformedPolicyDocument: "+tt.want)
		})
	}
	for name, tt := range map[string]struct{ document, want string }{
		"a resource":   {strings.Replace(trustAccount, `"Action"`, `"Resource":"*","Action"`, 1), "MalformedPolicyDocument: Has prohibited field Resource"},
		"no principal": {statement(`{"Effect":"Allow","Action":"sts:AssumeRole"}`), "MalformedPolicyDocument: Missing required field Principal"},
		"an action":    {strings.Replace(trustAccount, "sts:AssumeRole", "s3:GetObject", 1), "MalformedPolicyDocument: AssumeRole policy may only specify STS AssumeRole actions."},
		"a service":    {statement(`{"Effect":"Allow","Principal":{"Service":"ec2"},"Action":"sts:AssumeRole"}`), `MalformedPolicyDocument: Invalid principal in policy: "SERVICE":"ec2"`},
		"a provider":   {statement(`{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::123456789012:oidc-provider/x"},"Action":"sts:AssumeRoleWithWebIdentity"}`), "MalformedPolicyDocument: Invalid principal in policy: *"},
		"too long":     {strings.Replace(trustAccount, "root", "role/"+strings.Repeat("x", 2048), 1), "LimitExceeded: Cannot exceed quota for ACLSizePerRole: 2048"},
	} {
		t.Run("trust: "+name, func(t *testing.T) {
			t.Parallel()
			_, err := c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("r"), AssumeRolePolicyDocument: &tt.document})
			check(t, said(t, err), tt.want)
		})
	}
}

func TestRefusalsOfIAM(t *testing.T) {
	t.Parallel()
	p := start(t, "")
	c, ctx := p.iam(p.admin()), t.Context()
	long := strings.Replace(allowRegions, "ec2:DescribeRegions", "ec2:"+strings.Repeat("x", 6144), 1)
	for name, tt := range map[string]struct {
		call func() error
		want string
	}{
		"a role":  {func() error { _, err := c.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("r")}); return err }, "NoSuchEntity: The role with name r cannot be found."},
		"a group": {func() error { _, err := c.GetGroup(ctx, &iam.GetGroupInput{GroupName: aws.String("g")}); return err }, "NoSuchEntity: The group with name g cannot be found."},
		"a policy": {func() error {
			_, err := c.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: aws.String("arn:aws:iam::123456789012:policy/none")})
			return err
		}, "NoSuchEntity: Policy arn:aws:iam::123456789012:policy/none was not found."},
		"a policy to attach": {func() error {
			_, err := c.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: aws.String("admin"), PolicyArn: aws.String("arn:aws:iam::aws:policy/None")})
			return err
		}, "NoSuchEntity: Policy arn:aws:iam::aws:policy/None does not exist or is not attachable."},
		"a policy of another partition": {func() error {
			_, err := c.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: aws.String("admin"), PolicyArn: aws.String("arn:aws-cn:iam::aws:policy/ReadOnlyAccess")})
			return err
		}, "NoSuchEntity: Policy arn:aws-cn:iam::aws:policy/ReadOnlyAccess does not exist or is not attachable."},
		"a policy that is too long": {func() error {
			_, err := c.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("p"), PolicyDocument: &long})
			return err
		}, "LimitExceeded: Cannot exceed quota for PolicySize: 6144"},
		"an inline policy that is too long": {func() error {
			_, err := c.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: aws.String("admin"), PolicyName: aws.String("p"), PolicyDocument: &long})
			return err
		}, "LimitExceeded: Maximum policy size of 2048 bytes exceeded for user admin"},
		"a name": {func() error {
			_, err := c.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("a b")})
			return err
		}, `ValidationError: 1 validation error detected: Value 'a b' at 'userName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]+`},
		"a boundary": {func() error {
			_, err := c.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("c"), PermissionsBoundary: aws.String("arn:aws:iam::123456789012:policy/none")})
			return err
		}, "NoSuchEntity: Scope ARN: arn:aws:iam::123456789012:policy/none does not exist or is not attachable."},
		"a third key": {func() error {
			_, err := c.CreateAccessKey(ctx, nil)
			if err != nil {
				return err
			}
			_, err = c.CreateAccessKey(ctx, nil)
			return err
		}, "LimitExceeded: Cannot exceed quota for AccessKeysPerUser: 2"},
		"a provider without TLS": {func() error {
			_, err := c.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: aws.String("http://example.com")})
			return err
		}, "ValidationError: Invalid Open ID Connect Provider URL"},
		"a call that is not served": {func() error {
			_, err := c.ListVirtualMFADevices(ctx, nil)
			return err
		}, "InvalidAction: Could not find operation ListVirtualMFADevices for version 2010-05-08 (the sandbox serves only a part of this service)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, said(t, tt.call()), tt.want)
		})
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	p := start(t, "")
	c, ctx := p.iam(p.admin()), t.Context()
	for i := range 5 {
		if _, err := c.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String(fmt.Sprint("user", i))}); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	pages := iam.NewListUsersPaginator(c, &iam.ListUsersInput{MaxItems: aws.Int32(4)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range page.Users {
			names = append(names, *u.UserName)
		}
	}
	if diff := cmp.Diff([]string{"admin", "user0", "user1", "user2", "user3", "user4"}, names); diff != "" {
		t.Error(diff)
	}
	managed := 0
	policies := iam.NewListPoliciesPaginator(c, &iam.ListPoliciesInput{Scope: types.PolicyScopeTypeAws, MaxItems: aws.Int32(1000)})
	for policies.HasMorePages() {
		page, err := policies.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		managed += len(page.Policies)
	}
	if managed < 1400 {
		t.Errorf("AWS has %d policies", managed)
	}
}

func TestProviders(t *testing.T) {
	t.Parallel()
	p := start(t, "")
	c, ctx := p.iam(p.admin()), t.Context()
	made, err := c.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{
		Url: aws.String("https://oidc.eks.eu-west-1.amazonaws.com/id/ABC"), ClientIDList: []string{"sts.amazonaws.com"}, ThumbprintList: []string{strings.Repeat("a", 40)},
	})
	if err != nil {
		t.Fatal(err)
	}
	arn := made.OpenIDConnectProviderArn
	if *arn != "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ABC" {
		t.Errorf("its ARN is %s", *arn)
	}
	if _, err := c.AddClientIDToOpenIDConnectProvider(ctx, &iam.AddClientIDToOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, ClientID: aws.String("x")}); err != nil {
		t.Error(err)
	}
	if _, err := c.UpdateOpenIDConnectProviderThumbprint(ctx, &iam.UpdateOpenIDConnectProviderThumbprintInput{OpenIDConnectProviderArn: arn, ThumbprintList: []string{strings.Repeat("b", 40)}}); err != nil {
		t.Error(err)
	}
	got, err := c.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"sts.amazonaws.com", "x", strings.Repeat("b", 40), "oidc.eks.eu-west-1.amazonaws.com/id/ABC"}, append(got.ClientIDList, got.ThumbprintList[0], *got.Url)); diff != "" {
		t.Error(diff)
	}
	if _, err := c.DeleteOpenIDConnectProvider(ctx, &iam.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn}); err != nil {
		t.Error(err)
	}
	_, err = c.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn})
	check(t, said(t, err), "NoSuchEntity: OpenIDConnect Provider not found for arn "+*arn)
}

func TestSimulation(t *testing.T) {
	t.Parallel()
	p := start(t, one(`attach: [regions, no-regions], inline: {own: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:*", Resource: "arn:aws:s3:::mine/*"}, {Effect: Allow, Action: "iam:Simulate*", Resource: "*"}]}}`,
		organized("FullAWSAccess, guard", "")+"settings: {simulations: {\"lambda:InvokeFunction\": allowed}}"))
	c, ctx := p.iam(keyOf("ann")), t.Context()
	out, err := c.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{
		PolicySourceArn: aws.String("arn:aws:iam::111111111111:user/ann"), ActionNames: []string{"s3:GetObject", "ec2:DescribeRegions", "sqs:SendMessage", "lambda:InvokeFunction"}, ResourceArns: []string{"arn:aws:s3:::mine/x"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range out.EvaluationResults {
		line := []string{*r.EvalActionName, string(r.EvalDecision)}
		for _, m := range r.MatchedStatements {
			line = append(line, fmt.Sprintf("%s (%s)", *m.SourcePolicyId, m.SourcePolicyType))
		}
		got = append(got, strings.Join(line, " "))
	}
	want := []string{
		"s3:GetObject allowed own of user ann (user)",
		"ec2:DescribeRegions explicitDeny arn:aws:iam::111111111111:policy/guard/no-regions (user-managed)",
		"sqs:SendMessage implicitDeny",
		"lambda:InvokeFunction allowed", // it was scripted
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	out2, err := c.SimulateCustomPolicy(ctx, &iam.SimulateCustomPolicyInput{
		PolicyInputList: []string{`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"eu-west-1"}}}]}`},
		ActionNames:     []string{"s3:GetObject"}, ContextEntries: []types.ContextEntry{{ContextKeyName: aws.String("aws:RequestedRegion"), ContextKeyValues: []string{"eu-west-1"}, ContextKeyType: types.ContextKeyTypeEnumString}},
	})
	if err != nil || out2.EvaluationResults[0].EvalDecision != types.PolicyEvaluationDecisionTypeAllowed {
		t.Errorf("%+v, %v", out2, err)
	}
	_, err = c.SimulateCustomPolicy(ctx, &iam.SimulateCustomPolicyInput{PolicyInputList: []string{"{}"}, ActionNames: []string{"s3:GetObject"}})
	check(t, said(t, err), "InvalidInput: PolicyInputList.1: *")
}
