package service_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/iam/service"
)

func TestConditionKey(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		ask  string
		want service.ConditionKey
	}{
		"a global one":                {"aws:SourceIp", service.ConditionKey{Name: "aws:SourceIp", Type: service.IP}},
		"in any letter case":          {"AWS:SOURCEVPCE", service.ConditionKey{Name: "aws:SourceVpce", Type: service.String}},
		"a global one with values":    {"aws:CalledVia", service.ConditionKey{Name: "aws:CalledVia", Type: service.String, Multivalued: true}},
		"a tag":                       {"aws:PrincipalTag/team", service.ConditionKey{Name: "aws:PrincipalTag/${TagKey}", Type: service.String}},
		"a tag with colon and slash":  {"aws:RequestTag/acme:cost/center", service.ConditionKey{Name: "aws:RequestTag/${TagKey}", Type: service.String}},
		"one of a service":            {"s3:prefix", service.ConditionKey{Name: "s3:prefix", Type: service.String}},
		"a number":                    {"s3:max-keys", service.ConditionKey{Name: "s3:max-keys", Type: service.Numeric}},
		"an object's tag":             {"s3:ExistingObjectTag/team", service.ConditionKey{Name: "s3:ExistingObjectTag/<key>", Type: service.String}},
		"the variable in the middle":  {"kms:EncryptionContext:app", service.ConditionKey{Name: "kms:EncryptionContext:${EncryptionContextKey}", Type: service.String}},
		"a tag, named by a word":      {"secretsmanager:ResourceTag/team", service.ConditionKey{Name: "secretsmanager:ResourceTag/tag-key", Type: service.String}},
		"a tag, without a word":       {"sagemaker:ResourceTag/team", service.ConditionKey{Name: "sagemaker:ResourceTag/", Type: service.String}},
		"with the service of another": {"token.actions.githubusercontent.com:repository", service.ConditionKey{Name: "token.actions.githubusercontent.com:repository", Type: service.String}},
		"a claim of a provider of one's own": {"oidc.eks.eu-central-1.amazonaws.com/id/0A1B:sub", service.ConditionKey{
			Name: "oidc.eks.eu-central-1.amazonaws.com/id/0A1B:sub", Type: service.String,
		}},
		"several values of a provider": {"gitlab.example.com:amr", service.ConditionKey{Name: "gitlab.example.com:amr", Type: service.String, Multivalued: true}},
		"the external id":              {"sts:ExternalId", service.ConditionKey{Name: "sts:ExternalId", Type: service.String}},
		"of a service, in any request": {"lambda:SourceFunctionArn", service.ConditionKey{Name: "lambda:SourceFunctionArn", Type: service.ARN}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := load(t).ConditionKey(tt.ask)
			if diff := cmp.Diff(tt.want, got); !ok || diff != "" {
				t.Error(ok, diff)
			}
		})
	}
	for name, ask := range map[string]string{
		"no such key": "aws:SourceIP4", "no such service": "s4:prefix", "no tag's key": "aws:RequestTag/", "the tag is missing": "aws:RequestTag", "nothing": "",
		"a claim that AWS does not hand on": "oidc.eks.eu-central-1.amazonaws.com/id/0A1B:iss", "a claim of no host": "provider:sub",
	} {
		if k, ok := load(t).ConditionKey(ask); ok {
			t.Errorf("%s: %q is %s", name, ask, k.Name)
		}
	}
}

func TestCarries(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		action, key string
		want        bool
	}{
		"its own":                                {"s3:ListBucket", "s3:prefix", true},
		"of another action":                      {"s3:GetObject", "s3:prefix", false},
		"a global one":                           {"s3:GetObject", "aws:SourceIp", true},
		"of its resource type":                   {"s3:ListBucket", "aws:ResourceTag/team", true},
		"with one of its resource types":         {"ec2:RunInstances", "ec2:InstanceType", true},
		"tags in a request that has none":        {"sts:GetCallerIdentity", "aws:RequestTag/team", false},
		"tags in a request that may have some":   {"ec2:CreateTags", "aws:RequestTag/team", true},
		"the external id":                        {"sts:AssumeRole", "sts:externalid", true},
		"the external id where there is no role": {"sts:GetCallerIdentity", "sts:ExternalId", false},
		"a claim, with the token":                {"sts:AssumeRoleWithWebIdentity", "gitlab.example.com:sub", true},
		"a claim, with no token":                 {"sts:AssumeRole", "gitlab.example.com:sub", false},
		"the service that a role is passed to":   {"iam:PassRole", "iam:PassedToService", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := load(t)
			a, ok := r.Action(tt.action)
			if !ok {
				t.Fatalf("there is no action %s", tt.action)
			}
			if k, got := r.Carries(a, tt.key); got != tt.want {
				t.Errorf("%v, %s", got, k.Name)
			}
		})
	}
}

func TestConditionKeys(t *testing.T) {
	t.Parallel()
	r := load(t)
	a, _ := r.Action("sts:GetCallerIdentity")
	var want []service.ConditionKey
	for _, k := range service.GlobalKeys() {
		if !slices.Contains([]string{"aws:RequestTag/${TagKey}", "aws:ResourceTag/${TagKey}", "aws:TagKeys"}, k.Name) {
			want = append(want, k)
		}
	}
	if diff := cmp.Diff(want, r.ConditionKeys(a)); diff != "" {
		t.Errorf("an action without keys has other than the global ones:\n%s", diff)
	}
	for _, s := range r.Services() {
		for _, a := range s.Actions {
			keys := r.ConditionKeys(a)
			for i := 1; i < len(keys); i++ {
				if strings.ToLower(keys[i-1].Name) >= strings.ToLower(keys[i].Name) {
					t.Fatalf("%s: %s comes before %s", a, keys[i-1].Name, keys[i].Name)
				}
			}
			for _, name := range a.ConditionKeys {
				if !slices.ContainsFunc(keys, func(k service.ConditionKey) bool { return k.Name == name }) {
					t.Fatalf("%s lacks its own key %s", a, name)
				}
			}
		}
	}
}

// The global keys that services repeat have the same type there.
func TestGlobalKeysAgreeWithTheTable(t *testing.T) {
	t.Parallel()
	compared := map[string]bool{}
	for _, g := range service.GlobalKeys() {
		prefix, _, _ := strings.Cut(g.Name, ":")
		for _, s := range load(t).Services() {
			if prefix != "aws" && prefix != s.Prefix {
				continue // others may see it in another way: Amazon Q has several identities
			}
			for _, k := range s.ConditionKeys {
				if strings.EqualFold(k.Name, g.Name) {
					compared[g.Name] = true
					if k.Type != g.Type || k.Multivalued != g.Multivalued {
						t.Errorf("%s is %v here and %v in %s", g.Name, g, k, s.Prefix)
					}
				}
			}
		}
	}
	if len(compared) < 10 {
		t.Errorf("only %d keys were compared", len(compared))
	}
}
