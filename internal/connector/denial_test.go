package connector_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/connector"
)

func TestParseDenial(t *testing.T) {
	t.Parallel()
	const user = "arn:aws:iam::111122223333:user/ci"
	for name, tt := range map[string]struct {
		message string
		want    connector.Denial
	}{
		"EC2 puts a prefix before the sentence and names no resource": {
			"You are not authorized to perform this operation. User: " + user + " is not authorized to perform: ec2:DescribeRegions because no identity-based policy allows the ec2:DescribeRegions action",
			connector.Denial{Principal: user, Action: "ec2:DescribeRegions", Layer: "identity-based policy"},
		},
		"EC2 adds an encoded message": {
			"You are not authorized to perform this operation. User: " + user + " is not authorized to perform: ec2:CreateVpc on resource: arn:aws:ec2:eu-west-1:111122223333:vpc/* because no identity-based policy allows the ec2:CreateVpc action. Encoded authorization failure message: abc_DEF-123",
			connector.Denial{Principal: user, Action: "ec2:CreateVpc", Resource: "arn:aws:ec2:eu-west-1:111122223333:vpc/*", Layer: "identity-based policy", Encoded: "abc_DEF-123"},
		},
		"S3 quotes the resource": {
			`User: ` + user + ` is not authorized to perform: s3:ListBucket on resource: "arn:aws:s3:::bucket" because no identity-based policy allows the s3:ListBucket action`,
			connector.Denial{Principal: user, Action: "s3:ListBucket", Resource: "arn:aws:s3:::bucket", Layer: "identity-based policy"},
		},
		"a service control policy denies and is named": {
			"User: " + user + " is not authorized to perform: ec2:DescribeRegions with an explicit deny in a service control policy: arn:aws:organizations::987654321098:policy/o-1/service_control_policy/p-1",
			connector.Denial{Principal: user, Action: "ec2:DescribeRegions", Explicit: true, Layer: "service control policy", PolicyARN: "arn:aws:organizations::987654321098:policy/o-1/service_control_policy/p-1"},
		},
		"an identity-based policy denies, is named, and an encoded message follows": {
			"User: " + user + " is not authorized to perform: ec2:RunInstances on resource: arn:aws:ec2:us-east-1:1:instance/* with an explicit deny in an identity-based policy: arn:aws:iam::111122223333:policy/Guard. Encoded authorization failure message: xyz",
			connector.Denial{Principal: user, Action: "ec2:RunInstances", Resource: "arn:aws:ec2:us-east-1:1:instance/*", Explicit: true, Layer: "identity-based policy", PolicyARN: "arn:aws:iam::111122223333:policy/Guard", Encoded: "xyz"},
		},
		"the explicit form of a session policy is spelled in another way": {
			"User: " + user + " is not authorized to perform: s3:GetObject with an explicit deny in a sessions policy",
			connector.Denial{Principal: user, Action: "s3:GetObject", Explicit: true, Layer: "session policy"},
		},
		"a trust policy denies": {
			"User: " + user + " is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::1:role/r with an explicit deny in the role trust policy",
			connector.Denial{Principal: user, Action: "sts:AssumeRole", Resource: "arn:aws:iam::1:role/r", Explicit: true, Layer: "role trust policy"},
		},
		"an explicit deny without its kind": {
			"User: " + user + " is not authorized to perform: iam:GetRole on resource: role deployer with an explicit deny",
			connector.Denial{Principal: user, Action: "iam:GetRole", Resource: "role deployer", Explicit: true},
		},
		"the old form has no reason": {
			"User: " + user + " is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::444455556666:role/NAME",
			connector.Denial{Principal: user, Action: "sts:AssumeRole", Resource: "arn:aws:iam::444455556666:role/NAME"},
		},
		"a resource that is a star": {
			"User: " + user + " is not authorized to perform: ecr:GetAuthorizationToken on resource: * because no permissions boundary allows the ecr:GetAuthorizationToken action",
			connector.Denial{Principal: user, Action: "ecr:GetAuthorizationToken", Resource: "*", Layer: "permissions boundary"},
		},
		"lines broken by a proxy, other letter case": {
			"User: " + user + " IS NOT AUTHORIZED to\nperform: ec2:DescribeRegions because no\n identity-based policy ALLOWS the ec2:DescribeRegions action.",
			connector.Denial{Principal: user, Action: "ec2:DescribeRegions", Layer: "identity-based policy"},
		},
		"an authorization id": {
			"User: " + user + " is not authorized to perform: iam:ListRoles on resource: * because no identity-based policy allows the iam:ListRoles action. Go to https://us-east-1.console.aws.amazon.com/iam/home for complete details, or call the GetRequestAuthorizationDetails API with the following authorization id: 7f1c",
			connector.Denial{Principal: user, Action: "iam:ListRoles", Resource: "*", Layer: "identity-based policy", DetailID: "7f1c"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := connector.ParseDenial(tt.message)
			if !ok {
				t.Fatal("not read as a denial")
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestParseDenialOfOtherTexts(t *testing.T) {
	t.Parallel()
	for name, message := range map[string]string{
		"web identity gives no details": "Not authorized to perform sts:AssumeRoleWithWebIdentity",
		"S3 from another organization":  "Access Denied",
		"nothing":                       "",
		"the sentence without an end":   "User: x is not authorized to perform: ",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if d, ok := connector.ParseDenial(message); ok {
				t.Fatalf("read as a denial: %+v", d)
			}
		})
	}
}

func FuzzParseDenial(f *testing.F) {
	f.Add("User: a is not authorized to perform: s3:GetObject on resource: \"b\" with an explicit deny in an identity-based policy: arn:aws:iam::1:policy/x. Encoded authorization failure message: m")
	f.Add("is not authorized to perform: x because no y allows the z")
	f.Fuzz(func(t *testing.T, message string) {
		d, ok := connector.ParseDenial(message)
		if !ok {
			return
		}
		folded := strings.Join(strings.Fields(message), " ")
		for _, part := range []string{d.Principal, d.Action, d.Resource, d.PolicyARN, d.Encoded, d.DetailID} {
			if !strings.Contains(folded, part) {
				t.Fatalf("%q was not in the message %q", part, message)
			}
		}
	})
}
