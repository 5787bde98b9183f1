package sandbox_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/google/go-cmp/cmp"
)

const rolesScene = `
accounts:
  - id: "111111111111"
    rootKeys: [{id: AKIAROOT000000000000, secret: secret-of-root}]
    users:
      - name: ann
        keys: [{id: AKIAANN000000000000, secret: secret-of-ann}]
        inline: {assume: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"], Resource: "*"}]}}
      - {name: poor, keys: [{id: AKIAPOOR000000000000, secret: secret-of-poor}]}
      - name: bad
        keys: [{id: AKIABAD000000000000, secret: secret-of-bad}]
        inline: {assume: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "sts:*", Resource: "*"}, {Effect: Deny, Action: "sts:AssumeRole", Resource: "*"}]}}
    roles:
      - {name: account, trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "arn:aws:iam::111111111111:root"}, Action: ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]}]}, attach: [AdministratorAccess]}
      - {name: untagged, trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "111111111111"}, Action: "sts:AssumeRole"}]}}
      - {name: named, path: /team/, trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: ["arn:aws:iam::111111111111:user/ann", "arn:aws:iam::111111111111:user/poor"]}, Action: "sts:AssumeRole"}]}}
      - {name: machine, trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: "sts:AssumeRole"}]}}
      - {name: forbidden, trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "111111111111"}, Action: "sts:AssumeRole"}, {Effect: Deny, Principal: "*", Action: "sts:AssumeRole"}]}}
      - {name: long, maxSession: 4h, trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "111111111111"}, Action: "sts:AssumeRole"}]}, attach: [AdministratorAccess]}
  - id: "222222222222"
    roles:
      - name: shared
        trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "arn:aws:iam::111111111111:root"}, Action: "sts:AssumeRole", Condition: {StringEquals: {"sts:ExternalId": right}}}]}
        attach: [AdministratorAccess]
      - {name: wrong-account, trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "arn:aws:iam::333333333333:root"}, Action: "sts:AssumeRole"}]}}
  - id: "444444444444"
    partition: aws-us-gov
    roles: [{name: gov, trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "*"}, Action: "sts:AssumeRole"}]}}]
`

func roleARN(account, name string) *string {
	return aws.String("arn:aws:iam::" + account + ":role/" + name)
}

func TestAssumeRole(t *testing.T) {
	t.Parallel()
	p := start(t, rolesScene)
	denied := func(user, role string) string {
		return "AccessDenied: User: arn:aws:iam::111111111111:user/" + user + " is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::" + role
	}
	tag := []types.Tag{{Key: aws.String("team"), Value: aws.String("blue")}}
	for name, tt := range map[string]struct {
		user string
		in   sts.AssumeRoleInput
		want string
	}{
		"trust of the account, and leave to":         {"ann", sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "account")}, ""},
		"trust of the account alone":                 {"poor", sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "account")}, denied("poor", "111111111111:role/account because no identity-based policy allows the sts:AssumeRole action")},
		"trust of the user by name":                  {"poor", sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "team/named")}, ""},
		"without the path":                           {"ann", sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "named")}, denied("ann", "111111111111:role/named")},
		"trust of a service":                         {"ann", sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "machine")}, denied("ann", "111111111111:role/machine")},
		"a role that there is not":                   {"ann", sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "nobody")}, denied("ann", "111111111111:role/nobody")},
		"an account that there is not":               {"ann", sts.AssumeRoleInput{RoleArn: roleARN("555555555555", "nobody")}, denied("ann", "555555555555:role/nobody")},
		"a deny of the caller":                       {"bad", sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "account")}, denied("bad", "111111111111:role/account with an explicit deny in an identity-based policy")},
		"a deny of the trust policy":                 {"ann", sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "forbidden")}, denied("ann", "111111111111:role/forbidden with an explicit deny in the role trust policy")},
		"the right external id":                      {"ann", sts.AssumeRoleInput{RoleArn: roleARN("222222222222", "shared"), ExternalId: aws.String("right")}, ""},
		"a wrong external id":                        {"ann", sts.AssumeRoleInput{RoleArn: roleARN("222222222222", "shared"), ExternalId: aws.String("wrong")}, denied("ann", "222222222222:role/shared")},
		"no external id":                             {"ann", sts.AssumeRoleInput{RoleArn: roleARN("222222222222", "shared")}, denied("ann", "222222222222:role/shared")},
		"another account, without leave to":          {"poor", sts.AssumeRoleInput{RoleArn: roleARN("222222222222", "shared"), ExternalId: aws.String("right")}, denied("poor", "222222222222:role/shared because no identity-based policy allows the sts:AssumeRole action")},
		"trust of another account":                   {"ann", sts.AssumeRoleInput{RoleArn: roleARN("222222222222", "wrong-account")}, denied("ann", "222222222222:role/wrong-account")},
		"another partition":                          {"ann", sts.AssumeRoleInput{RoleArn: aws.String("arn:aws-us-gov:iam::444444444444:role/gov")}, "AccessDenied: User: arn:aws:iam::111111111111:user/ann is not authorized to perform: sts:AssumeRole on resource: arn:aws-us-gov:iam::444444444444:role/gov"},
		"the root user":                              {"root", sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "account")}, "AccessDenied: Roles may not be assumed by root accounts."},
		"a user for a role":                          {"ann", sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::111111111111:user/ann")}, "ValidationError: Request ARN is invalid"},
		"no ARN":                                     {"ann", sts.AssumeRoleInput{RoleArn: aws.String("just-some-role-for-you")}, "ValidationError: just-some-role-for-you is invalid"},
		"too short":                                  {"ann", sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "account"), DurationSeconds: aws.Int32(60)}, "ValidationError: 1 validation error detected: Value '60' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900"},
		"longer than the role allows":                {"ann", sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "account"), DurationSeconds: aws.Int32(7200)}, "ValidationError: The requested DurationSeconds exceeds the MaxSessionDuration set for this role."},
		"as long as the role allows":                 {"ann", sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "long"), DurationSeconds: aws.Int32(14400)}, ""},
		"a name with a blank":                        {"ann", sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "account"), RoleSessionName: aws.String("a b")}, `ValidationError: 1 validation error detected: Value 'a b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`},
		"tags":                                       {"ann", sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "account"), Tags: tag}, ""},
		"tags that the trust policy does not allow":  {"ann", sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "untagged"), Tags: tag}, "AccessDenied: User: arn:aws:iam::111111111111:user/ann is not authorized to perform: sts:TagSession on resource: arn:aws:iam::111111111111:role/untagged"},
		"a source identity":                          {"ann", sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "account"), SourceIdentity: aws.String("Ann")}, ""},
		"a source identity that is not allowed":      {"ann", sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "untagged"), SourceIdentity: aws.String("Ann")}, "AccessDenied: User: arn:aws:iam::111111111111:user/ann is not authorized to perform: sts:SetSourceIdentity on resource: arn:aws:iam::111111111111:role/untagged"},
		"a session policy that is none":              {"ann", sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "account"), Policy: aws.String("{}")}, "MalformedPolicyDocument: Syntax errors in policy.*"},
		"a managed session policy that there is not": {"ann", sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "account"), PolicyArns: []types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::111111111111:policy/none")}}}, "NoSuchEntity: Policy arn:aws:iam::111111111111:policy/none does not exist or is not attachable."},
		"an MFA code":                                {"ann", sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "account"), SerialNumber: aws.String("arn:aws:iam::111111111111:mfa/ann"), TokenCode: aws.String("123456")}, "AccessDenied: MultiFactorAuthentication failed with invalid MFA one time pass code. "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.in.RoleSessionName == nil {
				tt.in.RoleSessionName = aws.String("test")
			}
			_, err := p.sts(keyOf(tt.user)).AssumeRole(t.Context(), &tt.in)
			check(t, said(t, err), tt.want)
		})
	}
}

func TestSessionOfARole(t *testing.T) {
	t.Parallel()
	p := start(t, rolesScene)
	out, err := p.sts(keyOf("ann")).AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: roleARN("111111111111", "team/named"), RoleSessionName: aws.String("deploy@1"), DurationSeconds: aws.Int32(900),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := *out.AssumedRoleUser.Arn; got != "arn:aws:sts::111111111111:assumed-role/named/deploy@1" {
		t.Errorf("the session is %s", got)
	}
	if left := time.Until(*out.Credentials.Expiration); left > 15*time.Minute || left < 14*time.Minute {
		t.Errorf("it ends in %s", left)
	}
	who, err := p.sts(temporary(out.Credentials)).GetCallerIdentity(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{*out.AssumedRoleUser.Arn, *out.AssumedRoleUser.AssumedRoleId, "111111111111"}, []string{*who.Arn, *who.UserId, *who.Account}); diff != "" {
		t.Error(diff)
	}
	account, err := p.sts(p.admin()).GetAccessKeyInfo(t.Context(), &sts.GetAccessKeyInfoInput{AccessKeyId: out.Credentials.AccessKeyId})
	if err != nil || *account.Account != "111111111111" {
		t.Errorf("whose key it is: %v, %v", account, err)
	}
	_, err = p.sts(temporary(out.Credentials)).GetSessionToken(t.Context(), nil)
	check(t, said(t, err), "AccessDenied: Cannot call GetSessionToken with session credentials")

	// A role that is made again is another one.
	admin := start(t, "")
	iamAdmin := admin.iam(admin.admin())
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"}]}`
	create := func() {
		t.Helper()
		if _, err := iamAdmin.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("r"), AssumeRolePolicyDocument: &trust}); err != nil {
			t.Fatal(err)
		}
	}
	create()
	session := admin.assume(admin.admin(), &sts.AssumeRoleInput{RoleArn: roleARN("123456789012", "r")})
	if _, err := iamAdmin.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: aws.String("r")}); err != nil {
		t.Fatal(err)
	}
	create()
	_, err = admin.sts(session).GetCallerIdentity(t.Context(), nil)
	check(t, said(t, err), "InvalidClientTokenId: The security token included in the request is invalid.")
}

func TestChaining(t *testing.T) {
	t.Parallel()
	p := start(t, rolesScene)
	first := p.assume(keyOf("ann"), &sts.AssumeRoleInput{
		RoleArn: roleARN("111111111111", "account"), SourceIdentity: aws.String("Ann"), TransitiveTagKeys: []string{"team"},
		Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("blue")}, {Key: aws.String("brief"), Value: aws.String("x")}},
	})
	again := func(in sts.AssumeRoleInput) (*sts.AssumeRoleOutput, string) {
		t.Helper()
		in.RoleSessionName = aws.String("second")
		if in.RoleArn == nil {
			in.RoleArn = roleARN("111111111111", "account")
		}
		out, err := p.sts(first).AssumeRole(t.Context(), &in)
		return out, said(t, err)
	}
	out, got := again(sts.AssumeRoleInput{})
	check(t, got, "")
	if aws.ToString(out.SourceIdentity) != "Ann" {
		t.Errorf("the source identity became %q", aws.ToString(out.SourceIdentity))
	}
	_, got = again(sts.AssumeRoleInput{Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("red")}}})
	check(t, got, "InvalidParameterValue: One of the specified transitive tag keys can't be set*")
	_, got = again(sts.AssumeRoleInput{SourceIdentity: aws.String("Bob")})
	check(t, got, "AccessDenied: SourceIdentity cannot be changed*")

	plain := p.assume(keyOf("ann"), &sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "account")})
	_, err := p.sts(plain).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "long"), RoleSessionName: aws.String("test"), DurationSeconds: aws.Int32(7200)})
	check(t, said(t, err), "ValidationError: The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	p.assume(plain, &sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "long"), DurationSeconds: aws.Int32(3600)})
}

func TestSessionPolicies(t *testing.T) {
	t.Parallel()
	p := start(t, rolesScene)
	const regions = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:DescribeRegions","Resource":"*"}]}`
	const none = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`
	const deny = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"ec2:*","Resource":"*"}]}`
	const begin = "UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:sts::111111111111:assumed-role/account/test is not authorized to perform: ec2:DescribeRegions"
	arns := func(arn string) []types.PolicyDescriptorType { return []types.PolicyDescriptorType{{Arn: &arn}} }
	for name, tt := range map[string]struct {
		policy string
		arns   []types.PolicyDescriptorType
		want   string
	}{
		"none":             {"", nil, ""},
		"that allows":      {regions, nil, ""},
		"that does not":    {none, nil, begin + " because no session policy allows the ec2:DescribeRegions action*"},
		"that denies":      {deny, nil, begin + " with an explicit deny in a sessions policy. *"},
		"managed":          {"", arns("arn:aws:iam::aws:policy/AmazonS3FullAccess"), begin + " because no session policy*"},
		"either is enough": {none, arns("arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := &sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "account"), RoleSessionName: aws.String("test"), PolicyArns: tt.arns}
			if tt.policy != "" {
				in.Policy = &tt.policy
			}
			out, err := p.sts(keyOf("ann")).AssumeRole(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			packed := aws.ToInt32(out.PackedPolicySize) //nolint:staticcheck // what takes its place has no value of its own here
			if (packed > 0) != (tt.policy != "" || tt.arns != nil) {
				t.Errorf("%d %% were packed", packed)
			}
			_, err = p.ec2(temporary(out.Credentials)).DescribeRegions(t.Context(), nil)
			check(t, said(t, err), tt.want)
		})
	}
}

func TestSTSOfARegionIsNotActivated(t *testing.T) {
	t.Parallel()
	p := start(t, rolesScene+"\nsettings: {stsDisabled: [eu-west-1]}")
	_, err := sts.NewFromConfig(p.config(keyOf("ann"), "eu-west-1")).GetCallerIdentity(t.Context(), nil)
	check(t, said(t, err), "RegionDisabledException: STS is not activated in this region for account:111111111111. Your account administrator can activate STS in this region using the IAM Console.")
	if _, err := p.sts(keyOf("ann")).GetCallerIdentity(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestTooManyTags(t *testing.T) {
	t.Parallel()
	p := start(t, rolesScene)
	var tags []types.Tag
	for i := range 50 {
		tags = append(tags, types.Tag{Key: aws.String("key-number-" + string(rune('a'+i%26)) + string(rune('a'+i/26))), Value: aws.String("a value that is not so very short, all things considered")})
	}
	_, err := p.sts(keyOf("ann")).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: roleARN("111111111111", "account"), RoleSessionName: aws.String("test"), Tags: tags})
	check(t, said(t, err), "PackedPolicyTooLarge: Packed size of session tags consumes *")
}
