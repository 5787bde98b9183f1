package sandbox_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/trust"
)

// What package trust says of an attempt is what the sandbox does, request by request: it derives the condition keys of a
// request by itself, as the sandbox does.
func TestTrustExplainsWhatHappens(t *testing.T) {
	t.Parallel()
	const role = "arn:aws:iam::222222222222:role/deploy"
	trusts := map[string]string{
		"the account":              `{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole"}`,
		"the user":                 `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:user/ci"},"Action":"sts:AssumeRole"}`,
		"another user":             `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:user/intern"},"Action":"sts:*"}`,
		"another account":          `{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"sts:AssumeRole"}`,
		"with an external id":      `{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"Belay-7"}}}`,
		"with tags":                `{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":["sts:AssumeRole","sts:TagSession"],"Condition":{"StringEquals":{"aws:RequestTag/team":"a"}}}`,
		"by name and kind":         `{"Effect":"Allow","Principal":"*","Action":"sts:*","Condition":{"StringEquals":{"aws:PrincipalAccount":"111111111111","aws:username":"ci","aws:PrincipalType":"User"}}}`,
		"by ARN":                   `{"Effect":"Allow","Principal":"*","Action":"sts:*","Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111111111111:user/c*"}}}`,
		"denied without a source":  `{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:*"},{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole","Condition":{"Null":{"sts:SourceIdentity":"true"}}}`,
		"for a service":            `{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}`,
		"everybody but the caller": `{"Effect":"Allow","Principal":"*","Action":"sts:*"},{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::111111111111:user/ci"},"Action":"sts:AssumeRole"}`,
	}
	own := map[string]string{
		"all":   `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:*","Resource":"*"}]}`,
		"main":  `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"` + role + `"}]}`,
		"other": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"` + role + `2"}]}`,
	}
	attempts := []trust.Question{
		{},
		{ExternalID: "Belay-7"},
		{ExternalID: "belay-7"},
		{SourceIdentity: "me"},
		{Tags: map[string]string{"team": "a"}},
		{Tags: map[string]string{"team": "b"}, ExternalID: "Belay-7"},
	}
	parse := func(text string) *iam.Document {
		d, err := iam.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	caller, err := iam.ParsePrincipal("arn:aws:iam::111111111111:user/ci")
	if err != nil {
		t.Fatal(err)
	}
	for name, statements := range trusts {
		for holds, policy := range own {
			t.Run(name+", own policies: "+holds, func(t *testing.T) {
				t.Parallel()
				document := `{"Version":"2012-10-17","Statement":[` + statements + `]}`
				p := start(t, fmt.Sprintf(`accounts:
  - id: "111111111111"
    users:
      - {name: ci, inline: {own: %s}, keys: [{id: AKIACI00000000000000, secret: secret-of-ci}]}
      - {name: intern}
  - id: "222222222222"
    roles:
      - {name: deploy, trust: %s}
`, policy, document))
				for _, q := range attempts {
					in := &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("x1")}
					if q.ExternalID != "" {
						in.ExternalId = &q.ExternalID
					}
					if q.SourceIdentity != "" {
						in.SourceIdentity = &q.SourceIdentity
					}
					for k, v := range q.Tags {
						in.Tags = append(in.Tags, types.Tag{Key: &k, Value: &v})
					}
					_, err := p.sts(key{"AKIACI00000000000000", "secret-of-ci", ""}).AssumeRole(t.Context(), in)
					q.Role, q.Trust, q.Caller, q.Policies = role, parse(document), caller, []iam.Policy{{Name: "own", Document: parse(policy)}}
					a, explainErr := trust.Explain(q)
					if explainErr != nil {
						t.Fatal(explainErr)
					}
					if (a.Outcome == trust.Succeeds) != (err == nil) {
						t.Errorf("%+v: it %s, and the sandbox says %v: %+v", in, a.Outcome, err, a.Reasons)
					}
				}
			})
		}
	}
}
