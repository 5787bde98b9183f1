package trust_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/trust"
)

const (
	roleARN     = "arn:aws:iam::111111111111:role/deploy"
	hostEKS     = "oidc.eks.eu-west-1.amazonaws.com/id/ABC"
	providerEKS = "arn:aws:iam::111111111111:oidc-provider/" + hostEKS
)

func TestForWrites(t *testing.T) {
	t.Parallel()
	statement := func(text string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",` + text + `}]}`
	}
	for name, tt := range map[string]struct {
		ask  trust.Ask
		want string
	}{
		"EC2":          {trust.Ask{For: trust.EC2}, `"Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"`},
		"EC2 in China": {trust.Ask{For: trust.EC2, Partition: "aws-cn"}, `"Principal":{"Service":"ec2.amazonaws.com.cn"},"Action":"sts:AssumeRole"`},
		"ECS tasks, the same in China": {
			trust.Ask{For: trust.ECSTasks, Partition: "aws-cn", SourceAccount: "111111111111"},
			`"Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:SourceAccount":"111111111111"}}`,
		},
		"the legacy service role of ECS": {trust.Ask{For: trust.ECSService}, `"Principal":{"Service":"ecs.amazonaws.com"},"Action":"sts:AssumeRole"`},
		"Lambda":                         {trust.Ask{For: trust.Lambda}, `"Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"`},
		"another account": {
			trust.Ask{For: trust.CrossAccount, Principals: []string{"222222222222"}, ExternalID: "id/1"},
			`"Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"id/1"}}`,
		},
		"roles and users of GovCloud, with tags and source identity": {
			trust.Ask{For: trust.CrossAccount, Principals: []string{"arn:aws-us-gov:iam::222222222222:role/a/b", "333333333333"}, Tags: true, SourceIdentity: true},
			`"Principal":{"AWS":["arn:aws-us-gov:iam::222222222222:role/a/b","arn:aws-us-gov:iam::333333333333:root"]},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]`,
		},
		"IRSA": {
			trust.Ask{For: trust.IRSA, Provider: providerEKS, Namespace: "ci", ServiceAccount: "delegate"},
			`"Principal":{"Federated":"` + providerEKS + `"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"` + hostEKS + `:aud":"sts.amazonaws.com","` + hostEKS + `:sub":"system:serviceaccount:ci:delegate"}}`,
		},
		"IRSA for a namespace": {
			trust.Ask{For: trust.IRSA, Issuer: "https://" + hostEKS, Account: "111111111111", Namespace: "ci", ServiceAccount: "*"},
			`"Principal":{"Federated":"` + providerEKS + `"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"` + hostEKS + `:aud":"sts.amazonaws.com"},"StringLike":{"` + hostEKS + `:sub":"system:serviceaccount:ci:*"}}`,
		},
		"Pod Identity": {
			trust.Ask{For: trust.PodIdentity, Namespace: "ci", ServiceAccount: "delegate"},
			`"Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"],"Condition":{"StringEquals":{"aws:RequestTag/kubernetes-namespace":"ci","aws:RequestTag/kubernetes-service-account":"delegate"}}`,
		},
		"any issuer": {
			trust.Ask{For: trust.OIDC, Provider: "arn:aws-cn:iam::111111111111:oidc-provider/ci.example.com/a:8443", Audience: "me", Subject: "repo:a/b:*"},
			`"Principal":{"Federated":"arn:aws-cn:iam::111111111111:oidc-provider/ci.example.com/a:8443"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"ci.example.com/a:8443:aud":"me"},"StringLike":{"ci.example.com/a:8443:sub":"repo:a/b:*"}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := trust.For(tt.ask)
			if err != nil {
				t.Fatal(err)
			}
			text, err := p.Document.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(statement(tt.want), string(text)); diff != "" {
				t.Error(diff)
			}
			if _, err := iam.Parse(text); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestForTellsAllThatIsWrong(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		ask  trust.Ask
		want []string
	}{
		"no such kind":         {trust.Ask{For: "ecs-task"}, []string{`for "ecs-task": it is one of ec2, ecs-tasks, ecs, lambda`}},
		"what a kind has none": {trust.Ask{For: trust.EC2, ExternalID: "x1", Subject: "s"}, []string{"externalId: a trust policy for ec2 has none", "subject: a trust policy for ec2 has none"}},
		"no such partition":    {trust.Ask{For: trust.EC2, Partition: "china"}, []string{`partition "china"`}},
		"across partitions":    {trust.Ask{For: trust.CrossAccount, Partition: "aws", Principals: []string{"arn:aws-cn:iam::222222222222:root"}}, []string{"no credentials cross partitions"}},
		"nobody":               {trust.Ask{For: trust.CrossAccount}, []string{"principals: say who is let in"}},
		"no principals": {
			trust.Ask{For: trust.CrossAccount, Principals: []string{"*", "2222", "arn:aws:sts::222222222222:assumed-role/a/b"}, ExternalID: "a b"},
			[]string{`principal "*"`, `principal "2222"`, "is one session of a role", `externalId "a b"`},
		},
		"IRSA without anything": {trust.Ask{For: trust.IRSA}, []string{"provider: give the ARN", "namespace: which", "serviceAccount: which"}},
		"a provider that is none, and a subject for all": {
			trust.Ask{For: trust.OIDC, Provider: "arn:aws:iam::111111111111:saml-provider/x", Subject: "*"},
			[]string{"provider ", `subject "*": every token`},
		},
		"an issuer without TLS":    {trust.Ask{For: trust.OIDC, Issuer: "http://x.example.com", Account: "1", Subject: "s"}, []string{`account "1"`, `issuer "http://x`}},
		"provider against issuer":  {trust.Ask{For: trust.OIDC, Provider: providerEKS, Issuer: "https://other", Account: "222222222222", Subject: "s"}, []string{"account \"222222222222\": the provider is of", `issuer "https://other": the provider is for`}},
		"a service account at all": {trust.Ask{For: trust.PodIdentity, ServiceAccount: "X"}, []string{`"X" is no name in Kubernetes`, "namespace: a service account"}},
		"no account":               {trust.Ask{For: trust.ECSTasks, SourceAccount: "x"}, []string{`sourceAccount "x"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := trust.For(tt.ask)
			input, ok := errors.AsType[*trust.InputError](err)
			if !ok || !errors.Is(err, trust.ErrInput) {
				t.Fatalf("the error is %v", err)
			}
			if len(input.Problems) != len(tt.want) {
				t.Errorf("%d problems, want %d: %s", len(input.Problems), len(tt.want), err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is missing in %s", want, err)
				}
			}
		})
	}
}

func TestExternalIDsAreTaken(t *testing.T) {
	t.Parallel()
	one, other := trust.NewExternalID(), trust.NewExternalID()
	if one == other || len(one) < 26 {
		t.Errorf("%s and %s", one, other)
	}
	if _, err := trust.For(trust.Ask{For: trust.CrossAccount, Principals: []string{"222222222222"}, ExternalID: one}); err != nil {
		t.Error(err)
	}
}

// What is made lets in whom it is made for, nobody near them, and nothing is found fault with.
func TestWhatIsMadeFits(t *testing.T) {
	t.Parallel()
	for _, partition := range []string{"aws", "aws-cn", "aws-us-gov"} {
		role := "arn:" + partition + ":iam::111111111111:role/deploy"
		provider := "arn:" + partition + ":iam::111111111111:oidc-provider/" + hostEKS
		friend := principal(t, "arn:"+partition+":iam::222222222222:role/friend")
		allow := policies(t, `{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"`+role+`"}}`)
		ec2 := "ec2.amazonaws.com"
		if partition == "aws-cn" {
			ec2 += ".cn"
		}
		subject := map[string]string{"aud": "sts.amazonaws.com", "sub": "system:serviceaccount:ci:delegate"}
		for name, tt := range map[string]struct {
			ask trust.Ask
			yes trust.Question
			no  []trust.Question
		}{
			"ec2":       {trust.Ask{For: trust.EC2}, trust.Question{Caller: iam.ServicePrincipal(ec2)}, []trust.Question{{Caller: iam.ServicePrincipal("ecs-tasks.amazonaws.com")}}},
			"ecs-tasks": {trust.Ask{For: trust.ECSTasks}, trust.Question{Caller: iam.ServicePrincipal("ecs-tasks.amazonaws.com")}, []trust.Question{{Caller: iam.ServicePrincipal(ec2)}}},
			"ecs":       {trust.Ask{For: trust.ECSService}, trust.Question{Caller: iam.ServicePrincipal("ecs.amazonaws.com")}, []trust.Question{{Caller: iam.ServicePrincipal("ecs-tasks.amazonaws.com")}}},
			"lambda":    {trust.Ask{For: trust.Lambda}, trust.Question{Caller: iam.ServicePrincipal("lambda.amazonaws.com")}, []trust.Question{{Caller: friend, Policies: allow}}},
			"pods": {
				trust.Ask{For: trust.PodIdentity, Namespace: "ci"},
				trust.Question{Caller: iam.ServicePrincipal("pods.eks.amazonaws.com"), Tags: map[string]string{"kubernetes-namespace": "ci"}},
				[]trust.Question{{Caller: iam.ServicePrincipal("pods.eks.amazonaws.com"), Tags: map[string]string{"kubernetes-namespace": "x"}}},
			},
			"another account": {
				trust.Ask{For: trust.CrossAccount, Principals: []string{friend.String()}, ExternalID: "belay-1"},
				trust.Question{Caller: friend, Policies: allow, ExternalID: "belay-1"},
				[]trust.Question{{Caller: friend, Policies: allow}, {Caller: friend, Policies: allow, ExternalID: "belay-2"}, {Caller: friend, Policies: []iam.Policy{}, ExternalID: "belay-1"}},
			},
			"irsa": {
				trust.Ask{For: trust.IRSA, Provider: provider, Namespace: "ci", ServiceAccount: "delegate"},
				trust.Question{Caller: iam.FederatedPrincipal(provider), Claims: subject},
				[]trust.Question{
					{Caller: iam.FederatedPrincipal(provider), Claims: map[string]string{"aud": "sts.amazonaws.com", "sub": "system:serviceaccount:ci:default"}},
					{Caller: iam.FederatedPrincipal(provider + "D"), Claims: subject},
					{Caller: iam.FederatedPrincipal(provider), Claims: map[string]string{"aud": "other", "sub": subject["sub"]}},
				},
			},
		} {
			t.Run(partition+" "+name, func(t *testing.T) {
				t.Parallel()
				tt.ask.Partition = partition
				p, err := trust.For(tt.ask)
				if err != nil {
					t.Fatal(err)
				}
				for i, q := range append([]trust.Question{tt.yes}, tt.no...) {
					want := trust.Fails
					if i == 0 {
						want = trust.Succeeds
					}
					q.Role, q.Trust = role, p.Document
					a, err := trust.Explain(q)
					if err != nil {
						t.Fatal(err)
					}
					if a.Outcome != want || len(a.Reasons) == 0 {
						t.Errorf("question %d: %s, want %s: %v", i, a.Outcome, want, a.Reasons)
					}
				}
				found := trust.Findings(p.Document, role)
				if found = slices.DeleteFunc(found, func(f trust.Finding) bool { return f.Code == trust.LegacyECS }); len(found) > 0 {
					t.Errorf("%+v", found)
				}
			})
		}
	}
}

func principal(t *testing.T, arn string) iam.Principal {
	t.Helper()
	p, err := iam.ParsePrincipal(arn)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func document(t *testing.T, text string) *iam.Document {
	t.Helper()
	d, err := iam.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func policies(t *testing.T, text string) []iam.Policy {
	t.Helper()
	return []iam.Policy{{Name: "own", Document: document(t, text)}}
}
