package awsops

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/belay-dev/belay/iam/service"
	"github.com/belay-dev/belay/internal/arn"
	"github.com/belay-dev/belay/internal/connector"
)

const (
	// readTime bounds the reading of policies, which comes on top of a call that was refused.
	readTime = 20 * time.Second
	// mostPolicies bounds how many documents are read of one identity. IAM's own quotas lie far below.
	mostPolicies = 100
	// mostDocument is the longest document that is kept, in bytes; AWS's own are below 11,000 characters.
	mostDocument = 32 << 10
)

// permissions reads what bears on an identity, as far as the identity itself may: its policies, its boundary, its
// organization's policies. It never fails: what could not be read is said in the answer.
func permissions(ctx context.Context, cfg aws.Config, principal string) *connector.Permissions {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	r := &policyReader{client: iam.NewFromConfig(cfg), found: &connector.Permissions{Principal: principal}}
	name, err := arn.Parse(principal)
	if err != nil {
		r.unread(connector.PartIdentity, "sts:GetCallerIdentity", err)
		return r.found
	}
	kind, rest, _ := strings.Cut(name.Resource, "/")
	switch {
	case name.Resource == "root": // no policy bears on it but the organization's
	case name.Service == "iam" && kind == "user":
		r.user(ctx, rest[strings.LastIndexByte(rest, '/')+1:])
	case name.Service == "sts" && kind == "assumed-role":
		role, _, _ := strings.Cut(rest, "/")
		r.role(ctx, role)
	default: // a federated user: the user behind it is not told
		r.found.Unread = append(r.found.Unread, connector.Unread{What: connector.PartIdentity, Action: "iam:GetUser", Code: "the user behind the session is not known"})
	}
	r.organization(ctx, cfg, name.Account)
	return r.found
}

// policyReader reads policies into found.
type policyReader struct {
	client *iam.Client
	found  *connector.Permissions
}

// unread notes what could not be read and why, once.
func (r *policyReader) unread(part connector.Part, action string, err error) {
	one := connector.Unread{What: part, Action: action, Code: codeOf(err)}
	if one.Code == "" {
		one.Code = "no answer"
	}
	if !slices.Contains(r.found.Unread, one) {
		r.found.Unread = append(r.found.Unread, one)
	}
}

func (r *policyReader) user(ctx context.Context, name string) {
	if got, err := r.client.GetUser(ctx, &iam.GetUserInput{UserName: &name}); err != nil {
		r.unread(connector.PartBoundary, "iam:GetUser", err)
	} else if b := got.User.PermissionsBoundary; b != nil {
		r.boundary(ctx, aws.ToString(b.PermissionsBoundaryArn))
	}
	for pages := iam.NewListUserPoliciesPaginator(r.client, &iam.ListUserPoliciesInput{UserName: &name}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			r.unread(connector.PartIdentity, "iam:ListUserPolicies", err)
			break
		}
		for _, policy := range page.PolicyNames {
			got, err := r.client.GetUserPolicy(ctx, &iam.GetUserPolicyInput{UserName: &name, PolicyName: &policy})
			if err != nil {
				r.unread(connector.PartIdentity, "iam:GetUserPolicy", err)
				continue
			}
			r.add(connector.PolicyText{Name: policy, Via: "inline"}, aws.ToString(got.PolicyDocument))
		}
	}
	for pages := iam.NewListAttachedUserPoliciesPaginator(r.client, &iam.ListAttachedUserPoliciesInput{UserName: &name}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			r.unread(connector.PartIdentity, "iam:ListAttachedUserPolicies", err)
			break
		}
		for _, policy := range page.AttachedPolicies {
			r.managed(ctx, "managed", aws.ToString(policy.PolicyName), aws.ToString(policy.PolicyArn))
		}
	}
	for pages := iam.NewListGroupsForUserPaginator(r.client, &iam.ListGroupsForUserInput{UserName: &name}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			r.unread(connector.PartIdentity, "iam:ListGroupsForUser", err)
			break
		}
		for _, group := range page.Groups {
			r.group(ctx, aws.ToString(group.GroupName))
		}
	}
}

func (r *policyReader) group(ctx context.Context, name string) {
	for pages := iam.NewListGroupPoliciesPaginator(r.client, &iam.ListGroupPoliciesInput{GroupName: &name}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			r.unread(connector.PartIdentity, "iam:ListGroupPolicies", err)
			break
		}
		for _, policy := range page.PolicyNames {
			got, err := r.client.GetGroupPolicy(ctx, &iam.GetGroupPolicyInput{GroupName: &name, PolicyName: &policy})
			if err != nil {
				r.unread(connector.PartIdentity, "iam:GetGroupPolicy", err)
				continue
			}
			r.add(connector.PolicyText{Name: policy, Via: "group " + name}, aws.ToString(got.PolicyDocument))
		}
	}
	for pages := iam.NewListAttachedGroupPoliciesPaginator(r.client, &iam.ListAttachedGroupPoliciesInput{GroupName: &name}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			r.unread(connector.PartIdentity, "iam:ListAttachedGroupPolicies", err)
			break
		}
		for _, policy := range page.AttachedPolicies {
			r.managed(ctx, "group "+name, aws.ToString(policy.PolicyName), aws.ToString(policy.PolicyArn))
		}
	}
}

func (r *policyReader) role(ctx context.Context, name string) {
	if got, err := r.client.GetRole(ctx, &iam.GetRoleInput{RoleName: &name}); err != nil {
		r.unread(connector.PartBoundary, "iam:GetRole", err)
	} else {
		r.found.Role = aws.ToString(got.Role.Arn)
		if b := got.Role.PermissionsBoundary; b != nil {
			r.boundary(ctx, aws.ToString(b.PermissionsBoundaryArn))
		}
	}
	for pages := iam.NewListRolePoliciesPaginator(r.client, &iam.ListRolePoliciesInput{RoleName: &name}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			r.unread(connector.PartIdentity, "iam:ListRolePolicies", err)
			break
		}
		for _, policy := range page.PolicyNames {
			got, err := r.client.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &name, PolicyName: &policy})
			if err != nil {
				r.unread(connector.PartIdentity, "iam:GetRolePolicy", err)
				continue
			}
			r.add(connector.PolicyText{Name: policy, Via: "inline"}, aws.ToString(got.PolicyDocument))
		}
	}
	for pages := iam.NewListAttachedRolePoliciesPaginator(r.client, &iam.ListAttachedRolePoliciesInput{RoleName: &name}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			r.unread(connector.PartIdentity, "iam:ListAttachedRolePolicies", err)
			break
		}
		for _, policy := range page.AttachedPolicies {
			r.managed(ctx, "managed", aws.ToString(policy.PolicyName), aws.ToString(policy.PolicyArn))
		}
	}
}

// add keeps a document that IAM gave, in its URL encoding.
func (r *policyReader) add(of connector.PolicyText, encoded string) {
	text, ok := policyDocument(encoded)
	if !ok || len(r.found.Identity) == mostPolicies {
		r.found.Unread = append(r.found.Unread, connector.Unread{What: connector.PartIdentity, Action: "policy " + of.Name, Code: "too long, or too many"})
		return
	}
	of.Document = text
	r.found.Identity = append(r.found.Identity, of)
}

// policyDocument undoes IAM's URL encoding and the white space in a document.
func policyDocument(encoded string) (string, bool) {
	text := encoded
	if decoded, err := url.PathUnescape(encoded); err == nil && strings.HasPrefix(strings.TrimSpace(encoded), "%") {
		text = decoded
	}
	var compact bytes.Buffer
	if json.Compact(&compact, []byte(text)) == nil {
		text = compact.String()
	}
	return text, len(text) <= mostDocument
}

func (r *policyReader) managed(ctx context.Context, via, name, policyARN string) {
	text, version, action, err := r.document(ctx, policyARN)
	if err != nil {
		r.unread(connector.PartIdentity, action, err)
		return
	}
	r.add(connector.PolicyText{Name: name, ARN: policyARN, Via: via, Version: version}, text)
}

func (r *policyReader) boundary(ctx context.Context, policyARN string) {
	encoded, version, action, err := r.document(ctx, policyARN)
	if err != nil {
		r.unread(connector.PartBoundary, action, err)
		return
	}
	text, ok := policyDocument(encoded)
	if !ok { // without a word it would be taken for none
		r.found.Unread = append(r.found.Unread, connector.Unread{What: connector.PartBoundary, Action: "policy " + policyARN, Code: "too long"})
		return
	}
	r.found.Boundary = &connector.PolicyText{Name: policyARN[strings.LastIndexByte(policyARN, '/')+1:], ARN: policyARN, Via: "boundary", Version: version, Document: text}
}

// document reads the version of a managed policy that is in force, and its id. One of AWS's own that may not be read is taken from the
// copy that is part of this program.
func (r *policyReader) document(ctx context.Context, policyARN string) (text, id, action string, err error) {
	got, err := r.client.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &policyARN})
	action = "iam:GetPolicy"
	if err == nil {
		action = "iam:GetPolicyVersion"
		var version *iam.GetPolicyVersionOutput
		version, err = r.client.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: &policyARN, VersionId: got.Policy.DefaultVersionId})
		if err == nil {
			return aws.ToString(version.PolicyVersion.Document), aws.ToString(got.Policy.DefaultVersionId), "", nil
		}
	}
	if all, loadErr := service.LoadManaged(); loadErr == nil {
		if policy, ok := all.Policy(policyARN); ok {
			return string(policy.Document), "", "", nil
		}
	}
	return "", "", action, err
}

// decode asks AWS what an encoded authorization message says.
func (r *policyReader) decode(ctx context.Context, cfg aws.Config, encoded string) {
	if encoded == "" {
		return
	}
	got, err := sts.NewFromConfig(cfg).DecodeAuthorizationMessage(ctx, &sts.DecodeAuthorizationMessageInput{EncodedMessage: &encoded})
	if err != nil {
		r.unread(connector.PartMessage, "sts:DecodeAuthorizationMessage", err)
		return
	}
	if text := aws.ToString(got.DecodedMessage); len(text) <= mostDocument {
		r.found.Decoded = text
	}
}

// trust reads who may assume a role of the same account; that of another account is not to be read from outside.
func (r *policyReader) trust(ctx context.Context, role string) {
	target, err := arn.Parse(role)
	caller, callerErr := arn.Parse(r.found.Principal)
	if err != nil || callerErr != nil {
		return
	}
	if target.Account != caller.Account {
		r.found.Unread = append(r.found.Unread, connector.Unread{What: connector.PartTrust, Action: "iam:GetRole", Code: "the role is of another account"})
		return
	}
	name := target.Resource[strings.LastIndexByte(target.Resource, '/')+1:]
	got, err := r.client.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
	if err != nil {
		r.unread(connector.PartTrust, "iam:GetRole", err)
		return
	}
	if text, ok := policyDocument(aws.ToString(got.Role.AssumeRolePolicyDocument)); ok {
		r.found.Target = &connector.RoleTrust{ARN: aws.ToString(got.Role.Arn), Document: text}
	}
}

// denied reports whether AWS refused a call for want of a permission.
func denied(err error) bool {
	var coded smithy.APIError
	if !errors.As(err, &coded) {
		return false
	}
	return slices.Contains([]string{"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}, coded.ErrorCode())
}

// refusal reads, after AWS refused a step, what the identity that was refused may read about itself and about the role that
// it could not assume. It is nil when the failure is no refusal, or there are no credentials to read with.
func refusal(ctx context.Context, cfg aws.Config, access connector.Access, evidence *connector.Evidence, err error) *connector.Permissions {
	if evidence.Failure == nil || !denied(err) || ctx.Err() != nil {
		return nil
	}
	principal, role := "", ""
	switch evidence.Failure.Step {
	case connector.StepRegions:
		principal = evidence.Identity.ARN
	case connector.StepAssumeRole:
		outer, ok := cfg.Credentials.(*kept)
		if !ok {
			return nil
		}
		cross, ok := outer.from.(crossAccount)
		if !ok {
			return nil
		}
		cfg = cfg.Copy()
		cfg.Credentials, role = cross.first, access.CrossAccount.RoleARN
		who, whoErr := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if whoErr != nil {
			return nil
		}
		principal = aws.ToString(who.Arn)
	case connector.StepPrepare, connector.StepCredentials, connector.StepWebIdentity, connector.StepIdentity:
		return nil
	}
	found := permissions(ctx, cfg, principal)
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	r := &policyReader{client: iam.NewFromConfig(cfg), found: found}
	if denial, ok := connector.ParseDenial(evidence.Failure.Message); ok {
		r.decode(ctx, cfg, denial.Encoded)
	}
	if role != "" {
		r.trust(ctx, role)
	}
	return found
}
