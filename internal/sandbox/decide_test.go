package sandbox_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// one is a scene with a user ann in an account of an organization, and what a case puts in.
func one(ann, more string) string {
	return `
accounts:
  - id: "999999999999"
    name: management
    users: [{name: boss, attach: [AdministratorAccess], keys: [{id: AKIABOSS000000000000, secret: secret-of-boss}]}]
  - id: "111111111111"
    policies:
      - {name: regions, document: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: ec2:DescribeRegions, Resource: "*"}]}}
      - {name: narrow, document: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:*", Resource: "*"}]}}
      - {name: no-regions, path: /guard/, document: {Version: "2012-10-17", Statement: [{Sid: No, Effect: Deny, Action: "ec2:Describe*", Resource: "*"}]}}
    groups: [{name: readers, attach: [regions]}, {name: forbidden, attach: [no-regions]}]
    users:
      - {name: ann, keys: [{id: AKIAANN000000000000, secret: secret-of-ann}], ` + ann + `}
` + more
}

const (
	notAllowed  = "UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:iam::111111111111:user/ann is not authorized to perform: ec2:DescribeRegions"
	becauseNone = " because no identity-based policy allows the ec2:DescribeRegions action. Encoded authorization failure message: …"
	encodedTail = ". Encoded authorization failure message: …"
)

func organized(attach, policies string) string {
	return `
organizations:
  - management: "999999999999"
    policies:
      - {name: guard, document: {Version: "2012-10-17", Statement: [{Effect: Deny, Action: "ec2:*", Resource: "*", Condition: {StringEquals: {"aws:RequestedRegion": us-east-1}}}]}}
      - {name: only-s3, document: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:*", Resource: "*"}]}}
` + policies + `
    units:
      - name: prod
        accounts: [{id: "111111111111"}]
        attach: [` + attach + `]
`
}

// TestDecisions asks for DescribeRegions, the call that every connection test makes.
func TestDecisions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ ann, more, want string }{
		"nothing":                    {`tags: {}`, "", notAllowed + becauseNone},
		"a managed policy":           {`attach: [regions]`, "", ""},
		"a policy of AWS":            {`attach: [AmazonEC2ReadOnlyAccess]`, "", ""},
		"an inline policy":           {`inline: {p: {Statement: [{Effect: Allow, Action: "ec2:describeregions", Resource: "*"}]}}`, "", ""},
		"a group":                    {`groups: [readers]`, "", ""},
		"on an ARN":                  {`inline: {p: {Statement: [{Effect: Allow, Action: "ec2:DescribeRegions", Resource: "arn:aws:ec2:*:*:*"}]}}`, "", notAllowed + becauseNone},
		"a Region's":                 {`inline: {p: {Statement: [{Effect: Allow, Action: "ec2:*", Resource: "*", Condition: {StringEquals: {"aws:RequestedRegion": eu-west-1}}}]}}`, "", notAllowed + becauseNone},
		"with a variable":            {`inline: {p: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "ec2:*", Resource: "*", Condition: {StringEquals: {"aws:username": "${aws:PrincipalTag/me}"}}}]}}, tags: {me: ann}`, "", ""},
		"a deny":                     {`attach: [regions, no-regions]`, "", notAllowed + " with an explicit deny in an identity-based policy: arn:aws:iam::111111111111:policy/guard/no-regions" + encodedTail},
		"a deny in a group":          {`attach: [regions], groups: [forbidden]`, "", notAllowed + " with an explicit deny in an identity-based policy: arn:aws:iam::111111111111:policy/guard/no-regions" + encodedTail},
		"a deny in line":             {`attach: [regions], inline: {p: {Statement: [{Effect: Deny, Action: "ec2:*", Resource: "*"}]}}`, "", notAllowed + " with an explicit deny in an identity-based policy" + encodedTail},
		"a boundary":                 {`attach: [regions], boundary: narrow`, "", notAllowed + " because no permissions boundary allows the ec2:DescribeRegions action" + encodedTail},
		"a wide boundary":            {`attach: [regions], boundary: AdministratorAccess`, "", ""},
		"a denying boundary":         {`attach: [regions], boundary: no-regions`, "", notAllowed + " with an explicit deny in a permissions boundary: arn:aws:iam::111111111111:policy/guard/no-regions" + encodedTail},
		"an SCP that denies":         {`attach: [regions]`, organized("FullAWSAccess, guard", ""), notAllowed + " with an explicit deny in a service control policy: arn:aws:organizations::999999999999:policy/o-*"},
		"an SCP that lacks":          {`attach: [regions]`, organized("only-s3", ""), notAllowed + " because no service control policy allows the ec2:DescribeRegions action" + encodedTail},
		"by the organization's path": {`inline: {p: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "ec2:*", Resource: "*", Condition: {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-*/r-*/ou-*/"}}}]}}`, organized("FullAWSAccess", ""), ""},
		"SCPs that allow":            {`attach: [regions]`, organized("FullAWSAccess, only-s3", ""), ""},
		"SCPs that are off":          {`attach: [regions]`, organized("only-s3", "    enabled: []"), ""},
		"a plain denial":             {`tags: {}`, "settings: {plainDenials: true}", notAllowed + " because no identity-based policy allows the ec2:DescribeRegions action"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, one(tt.ann, tt.more))
			_, err := p.ec2(keyOf("ann")).DescribeRegions(t.Context(), nil)
			check(t, said(t, err), tt.want)
			if _, err := p.sts(keyOf("ann")).GetCallerIdentity(t.Context(), nil); err != nil {
				t.Errorf("who one is cannot be denied: %v", err)
			}
		})
	}
}

func TestManagementAccountStandsUnderNoSCP(t *testing.T) {
	t.Parallel()
	p := start(t, one(`attach: [regions]`, strings.Replace(organized("only-s3", ""), "    units:", "    attach: [only-s3]\n    units:", 1)))
	if _, err := p.ec2(keyOf("boss")).DescribeRegions(t.Context(), nil); err != nil {
		t.Error(err)
	}
	_, err := p.ec2(keyOf("ann")).DescribeRegions(t.Context(), nil)
	check(t, said(t, err), notAllowed+" because no service control policy*")
}

func TestDenialsOfIAM(t *testing.T) {
	t.Parallel()
	p := start(t, one(`inline: {p: {Version: "2012-10-17", Statement: [
		{Effect: Allow, Action: "iam:GetUser", Resource: "arn:aws:iam::111111111111:user/${aws:username}"},
		{Effect: Allow, Action: "iam:ListUsers", Resource: "*"},
		{Effect: Allow, Action: "iam:AddRoleToInstanceProfile", Resource: "*"},
		{Effect: Deny, Action: "iam:GetRole", Resource: "*"}]}}`, ""))
	ann := p.iam(keyOf("ann"))
	ctx := t.Context()
	for name, tt := range map[string]struct {
		call func() error
		want string
	}{
		"oneself":  {func() error { _, err := ann.GetUser(ctx, nil); return err }, ""},
		"all":      {func() error { _, err := ann.ListUsers(ctx, nil); return err }, ""},
		"somebody": {func() error { _, err := ann.GetUser(ctx, &iam.GetUserInput{UserName: aws.String("bob")}); return err }, "AccessDenied: User: arn:aws:iam::111111111111:user/ann is not authorized to perform: iam:GetUser on resource: arn:aws:iam::111111111111:user/bob because no identity-based policy allows the iam:GetUser action"},
		"a list":   {func() error { _, err := ann.ListRoles(ctx, nil); return err }, "AccessDenied: User: arn:aws:iam::111111111111:user/ann is not authorized to perform: iam:ListRoles on resource: arn:aws:iam::111111111111:role/ because no identity-based policy allows the iam:ListRoles action"},
		"a deny":   {func() error { _, err := ann.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("r")}); return err }, "AccessDenied: User: arn:aws:iam::111111111111:user/ann is not authorized to perform: iam:GetRole on resource: arn:aws:iam::111111111111:role/r with an explicit deny in an identity-based policy"},
		"Organizations": {func() error {
			_, err := p.organizations(keyOf("ann")).ListRoots(ctx, nil)
			return err
		}, "AccessDeniedException: User: arn:aws:iam::111111111111:user/ann is not authorized to perform: organizations:ListRoots on resource: * because no identity-based policy allows the organizations:ListRoots action"},
		"passing a role": {func() error {
			_, err := ann.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: aws.String("i"), RoleName: aws.String("r")})
			return err
		}, "AccessDenied: User: arn:aws:iam::111111111111:user/ann is not authorized to perform: iam:PassRole on resource: arn:aws:iam::111111111111:role/r because no identity-based policy allows the iam:PassRole action"},
		"decoding": {func() error {
			_, err := p.sts(keyOf("ann")).DecodeAuthorizationMessage(ctx, &sts.DecodeAuthorizationMessageInput{EncodedMessage: aws.String("x")})
			return err
		}, "AccessDenied: User: arn:aws:iam::111111111111:user/ann is not authorized to perform: sts:DecodeAuthorizationMessage on resource: * because no identity-based policy allows the sts:DecodeAuthorizationMessage action"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, said(t, tt.call()), tt.want)
		})
	}
}

func TestEncodedMessage(t *testing.T) {
	t.Parallel()
	p := start(t, one(`attach: [regions, no-regions]`, ""))
	_, err := p.ec2(keyOf("ann")).DescribeRegions(t.Context(), nil)
	_, encoded, _ := strings.Cut(said(t, err), "message: ")
	decode := func(message string) (string, error) {
		out, err := p.sts(p.admin()).DecodeAuthorizationMessage(t.Context(), &sts.DecodeAuthorizationMessageInput{EncodedMessage: &message})
		if err != nil {
			return "", err
		}
		return *out.DecodedMessage, nil
	}
	text, err := decode(encoded)
	if err != nil {
		t.Fatal(err)
	}
	var message struct {
		Allowed           bool `json:"allowed"`
		ExplicitDeny      bool `json:"explicitDeny"`
		MatchedStatements struct {
			Items []struct {
				StatementID string `json:"statementId"`
			} `json:"items"`
		} `json:"matchedStatements"`
		Context struct {
			Action    string `json:"action"`
			Principal struct {
				ARN string `json:"arn"`
			} `json:"principal"`
		} `json:"context"`
	}
	if err := json.Unmarshal([]byte(text), &message); err != nil {
		t.Fatal(err)
	}
	if message.Allowed || !message.ExplicitDeny || message.Context.Action != "ec2:DescribeRegions" || message.Context.Principal.ARN != "arn:aws:iam::111111111111:user/ann" ||
		len(message.MatchedStatements.Items) != 1 || message.MatchedStatements.Items[0].StatementID != "No" {
		t.Errorf("decoded: %s", text)
	}
	_, err = decode("AAAA" + encoded[4:])
	check(t, said(t, err), "InvalidAuthorizationMessageException: The message is not one that this sandbox encoded.")
}

func TestDescribeRegions(t *testing.T) {
	t.Parallel()
	p := start(t, keysScene)
	text := func(k key, region string, in *ec2.DescribeRegionsInput) string {
		t.Helper()
		out, err := ec2.NewFromConfig(p.config(k, region)).DescribeRegions(t.Context(), in)
		if err != nil {
			return said(t, err)
		}
		var all []string
		for _, r := range out.Regions {
			all = append(all, *r.RegionName+" "+*r.Endpoint+" "+*r.OptInStatus)
		}
		return strings.Join(all, "\n")
	}
	if got := strings.Count(text(keyOf("ann"), "us-east-1", nil), "\n") + 1; got != 17 {
		t.Errorf("%d Regions are enabled, want 17", got)
	}
	if got := strings.Count(text(keyOf("ann"), "us-east-1", &ec2.DescribeRegionsInput{AllRegions: aws.Bool(true)}), "not-opted-in"); got != 17 {
		t.Errorf("%d Regions are not opted in to, want 17", got)
	}
	for name, tt := range map[string]struct {
		user, region string
		in           *ec2.DescribeRegionsInput
		want         string
	}{
		"GovCloud":         {"gov", "us-gov-west-1", nil, "us-gov-west-1 ec2.us-gov-west-1.amazonaws.com opt-in-not-required\nus-gov-east-1 ec2.us-gov-east-1.amazonaws.com opt-in-not-required"},
		"China":            {"chn", "cn-north-1", nil, "cn-north-1 ec2.cn-north-1.amazonaws.com.cn opt-in-not-required\ncn-northwest-1 ec2.cn-northwest-1.amazonaws.com.cn opt-in-not-required"},
		"by name":          {"ann", "us-east-1", &ec2.DescribeRegionsInput{RegionNames: []string{"eu-west-1"}}, "eu-west-1 ec2.eu-west-1.amazonaws.com opt-in-not-required"},
		"opted in":         {"far", "us-east-1", &ec2.DescribeRegionsInput{Filters: []ec2types.Filter{{Name: aws.String("opt-in-status"), Values: []string{"opted-in"}}}}, "af-south-1 ec2.af-south-1.amazonaws.com opted-in"},
		"a filter":         {"ann", "us-east-1", &ec2.DescribeRegionsInput{Filters: []ec2types.Filter{{Name: aws.String("region-name"), Values: []string{"us-*-2"}}}}, "us-east-2 ec2.us-east-2.amazonaws.com opt-in-not-required\nus-west-2 ec2.us-west-2.amazonaws.com opt-in-not-required"},
		"another's":        {"ann", "us-east-1", &ec2.DescribeRegionsInput{RegionNames: []string{"us-gov-west-1"}}, "InvalidParameterValue: Invalid region names: [us-gov-west-1]"},
		"a dry run":        {"ann", "us-east-1", &ec2.DescribeRegionsInput{DryRun: aws.Bool(true)}, "DryRunOperation: Request would have succeeded, but DryRun flag is set."},
		"a filter of ours": {"ann", "us-east-1", &ec2.DescribeRegionsInput{Filters: []ec2types.Filter{{Name: aws.String("colour"), Values: []string{"red"}}}}, "InvalidParameterValue: The filter 'colour' is invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, text(keyOf(tt.user), tt.region, tt.in), tt.want)
		})
	}
	_, err := p.ec2(keyOf("ann")).DescribeInstances(t.Context(), nil)
	check(t, said(t, err), "InvalidAction: The action DescribeInstances is not valid for this web service.*")
}
