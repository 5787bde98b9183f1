package connector_test

import (
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/connector"
)

func TestProofWarnings(t *testing.T) {
	t.Parallel()
	const role = "arn:aws:iam::222222222222:role/team/deploy"
	cross := &connector.CrossAccount{RoleARN: role, ExternalID: "belay-1"}
	refused, let := connector.Attempt{Answer: connector.Refused}, connector.Attempt{Answer: connector.LetIn}
	for name, tt := range map[string]struct {
		cross *connector.CrossAccount
		proof *connector.Proof
		want  string // "": it holds
	}{
		"both were refused":                  {cross, &connector.Proof{Without: refused, Wrong: refused}, ""},
		"no role is assumed":                 {nil, &connector.Proof{Without: refused, Wrong: refused}, "Nothing was proven of an external id: the connector assumes no role"},
		"no external id is sent":             {&connector.CrossAccount{RoleARN: role}, nil, "the connector sends none. Let the trust policy of " + role + " ask for one"},
		"the delegate is too old":            {cross, nil, "The external id was not proven: eks-1 cannot do that yet. Update it."},
		"an answer that is none":             {cross, &connector.Proof{Without: refused, Wrong: connector.Attempt{Answer: "?"}}, "(with a wrong one). Test again."},
		"one answer is missing":              {cross, &connector.Proof{Without: let, Wrong: connector.Attempt{Answer: connector.Unclear}}, "lets this connector's identity in without an external id."},
		"a trust policy that cannot be read": {cross, &connector.Proof{Without: let, Wrong: let, Caller: "arn:aws:iam::111111111111:user/ci", Trust: "{"}, `lets the identity in: "Condition": {"StringEquals":{"sts:ExternalId":"belay-1"}}.`},
		"a trust policy that lets nobody in": {cross, &connector.Proof{Without: let, Wrong: let, Caller: "arn:aws:iam::111111111111:user/ci", Trust: `{"Statement":[]}`}, "Add to the statement"},
		"the command keeps the other statements": {
			cross, &connector.Proof{
				Without: let, Wrong: let, Caller: "arn:aws:sts::111111111111:assumed-role/ci/x",
				Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"},{"Sid":"it's","Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole","Condition":{"Bool":{"aws:SecureTransport":"true"}}}]}`,
			},
			`Change statement 2 of its trust policy: "Condition": {"StringEquals":{"sts:ExternalId":"belay-1"}}.` + "\n" +
				`aws iam update-assume-role-policy --role-name deploy --policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"},` +
				`{"Sid":"it'\''s","Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole","Condition":{"Bool":{"aws:SecureTransport":"true"},"StringEquals":{"sts:ExternalId":"belay-1"}}}]}'`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := connector.ProofWarnings(connector.Connector{CrossAccount: tt.cross}, tt.proof, "eks-1")
			switch {
			case tt.want == "" && len(got) > 0:
				t.Errorf("%q", got)
			case tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)):
				t.Errorf("%q is missing in %q", tt.want, got)
			}
		})
	}
}
