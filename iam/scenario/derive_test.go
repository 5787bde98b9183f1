package scenario_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/iam/scenario"
)

func TestPrincipalOf(t *testing.T) {
	t.Parallel()
	for who, want := range map[string]scenario.Principal{
		"anonymous":                            {Type: "anonymous"},
		"*":                                    {Type: "anonymous"},
		"lambda.amazonaws.com":                 {Type: "service", Service: "lambda.amazonaws.com"},
		"ec2.amazonaws.com.cn":                 {Type: "service", Service: "ec2.amazonaws.com.cn"},
		"arn:aws:iam::111111111111:user/dev":   {Type: "aws", ARN: "arn:aws:iam::111111111111:user/dev"},
		"arn:aws:iam::1:oidc-provider/a.b/c":   {Type: "federated", ID: "arn:aws:iam::1:oidc-provider/a.b/c"},
		"arn:aws:iam::1:saml-provider/company": {Type: "federated", ID: "arn:aws:iam::1:saml-provider/company"},
	} {
		if diff := cmp.Diff(want, scenario.PrincipalOf(who)); diff != "" {
			t.Errorf("%s: %s", who, diff)
		}
	}
}

// What follows from principal and resource is filled in, and what the context has stays.
func TestDerive(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		request scenario.Request
		want    map[string]string
	}{
		"a user": {
			scenario.Request{Principal: scenario.PrincipalOf("arn:aws:iam::111111111111:user/team/dev"), Resource: scenario.Resource{ARN: "arn:aws:sqs:us-east-1:222222222222:q"}},
			map[string]string{"aws:username": "dev", "aws:PrincipalArn": "arn:aws:iam::111111111111:user/team/dev", "aws:PrincipalAccount": "111111111111", "aws:PrincipalType": "User", "aws:ResourceAccount": "222222222222"},
		},
		"a session": {
			scenario.Request{Principal: scenario.PrincipalOf("arn:aws:sts::111111111111:assumed-role/deploy/s"), Resource: scenario.Resource{ARN: "arn:aws:s3:::b"}},
			map[string]string{"aws:PrincipalArn": "arn:aws:iam::111111111111:role/deploy", "aws:PrincipalAccount": "111111111111", "aws:PrincipalType": "AssumedRole", "aws:ResourceAccount": "111111111111"},
		},
		"what is given": {
			scenario.Request{
				Principal: scenario.PrincipalOf("arn:aws:iam::111111111111:root"), Resource: scenario.Resource{ARN: "arn:aws:s3:::b", Account: "333333333333"},
				Context: map[string]scenario.Value{"AWS:principaltype": {Single: "mine"}},
			},
			map[string]string{"AWS:principaltype": "mine", "aws:PrincipalArn": "arn:aws:iam::111111111111:root", "aws:PrincipalAccount": "111111111111", "aws:ResourceAccount": "333333333333"},
		},
		"a service": {scenario.Request{Principal: scenario.PrincipalOf("lambda.amazonaws.com")}, map[string]string{}},
	} {
		tt.request.Derive()
		got := map[string]string{}
		for key, v := range tt.request.Context {
			got[key] = v.Single
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
