package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/belay-dev/belay/internal/belaytest"
	"github.com/belay-dev/belay/internal/connector"
)

// TestFaultsAgainstMoto plays to moto, which somebody else wrote, those faults where it does as AWS does. Its words are its
// own, so the causes come from the policies that are read.
func TestFaultsAgainstMoto(t *testing.T) {
	t.Parallel()
	moto := belaytest.Moto(t)
	w := newWorld(t)
	w.url, w.env["AWS_ENDPOINT_URL"] = moto.URL, moto.URL
	w.administrator = func(string) (string, string) { return "AKIAEXAMPLE000000000", "x" } // before it enforces, anybody is
	ctx := t.Context()
	everything := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	reads := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:Get*","iam:List*"],"Resource":"*"}]}`
	denies := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:Get*","iam:List*","ec2:Describe*"],"Resource":"*"},{"Sid":"Freeze","Effect":"Deny","Action":["ec2:DescribeRegions","ec2:RunInstances"],"Resource":"*"}]}`
	made := map[string][2]string{}
	for name, policy := range map[string]string{"admin": everything, "poor": reads, "torn": denies, "good": everything} {
		w.done(w.iam(home).CreateUser(ctx, &iam.CreateUserInput{UserName: &name}))
		w.done(w.iam(home).PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: &name, PolicyName: aws.String("own"), PolicyDocument: &policy}))
		key, err := w.iam(home).CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &name})
		w.done(key, err)
		made[name] = [2]string{*key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey}
	}
	moto.Enforce(t)
	w.administrator = func(string) (string, string) { return made["admin"][0], made["admin"][1] }
	as := func(id, secret string) func(*world) {
		return func(w *world) {
			w.connector.Credential = connector.ManualConfig{AccessKey: id, SecretKeyRef: "account.secret"}
			w.secrets["account.secret"] = secret
		}
	}
	user := func(name string) func(*world) { return as(made[name][0], made[name][1]) }
	for name, f := range map[string]fault{ // one after the other: they share the connector
		"no statement allows DescribeRegions": {
			set: user("poor"), code: connector.PermissionMissing, names: []string{"No policy of the identity allows ec2:DescribeRegions"},
		},
		"a statement denies": {
			set: user("torn"), code: connector.PermissionMissing, names: []string{`statement 2 ("Freeze") of the inline policy own denies ec2:DescribeRegions`},
		},
		"the secret of another key": {
			set: as(made["good"][0], made["poor"][1]), code: connector.SecretKeyWrong, names: []string{"does not belong to this access key id"},
			apply: told("Store the secret access key again", user("good")),
		},
		"a mistyped key id": {
			set: as("AKIAMISTYPED00000000", made["good"][1]), code: connector.AccessKeyUnknown, names: []string{"AKIAMISTYPED00000000"},
			apply: told("Compare the access key id", user("good")),
		},
	} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // see above
			one := *w
			one.t = t
			f.inject(t, &one)
		})
	}
}
