package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/belaytest"
)

// TestAWSCLI sets a scene and breaks it with the AWS CLI alone.
func TestAWSCLI(t *testing.T) {
	t.Parallel()
	p := start(t, "")
	as := func(k key) func(args ...string) string {
		return func(args ...string) string {
			t.Helper()
			env := []string{"AWS_ENDPOINT_URL=" + p.url, "AWS_ACCESS_KEY_ID=" + k.id, "AWS_SECRET_ACCESS_KEY=" + k.secret, "AWS_SESSION_TOKEN=" + k.token, "AWS_DEFAULT_REGION=eu-west-1", "AWS_MAX_ATTEMPTS=1"}
			out, err := belaytest.AWSCLI(t, env, append(args, "--output", "json")...)
			if err != nil {
				_, text, _ := strings.Cut(err.Error(), "An error occurred ")
				return text
			}
			return strings.TrimSpace(string(out))
		}
	}
	read := func(text string, into any) {
		t.Helper()
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	admin := as(p.admin())
	done := func(args ...string) {
		t.Helper()
		if out := admin(args...); out != "" && out[0] != '{' {
			t.Fatalf("aws %s: %s", strings.Join(args, " "), out)
		}
	}
	done("iam", "create-user", "--user-name", "ci", "--tags", "Key=team,Value=blue")
	var made struct {
		AccessKey struct{ AccessKeyID, SecretAccessKey string }
	}
	read(admin("iam", "create-access-key", "--user-name", "ci"), &made)
	ci := as(key{made.AccessKey.AccessKeyID, made.AccessKey.SecretAccessKey, ""})
	check(t, ci("ec2", "describe-regions"), "(UnauthorizedOperation) when calling the DescribeRegions operation: You are not authorized to perform this operation. User: arn:aws:iam::123456789012:user/ci is not authorized to perform: ec2:DescribeRegions because no identity-based policy allows*")
	done("iam", "put-user-policy", "--user-name", "ci", "--policy-name", "assume", "--policy-document", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}`)
	done("iam", "create-role", "--role-name", "deploy", "--assume-role-policy-document", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/ci"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"x-1"}}}]}`)
	done("iam", "attach-role-policy", "--role-name", "deploy", "--policy-arn", "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess")
	assume := []string{"sts", "assume-role", "--role-arn", "arn:aws:iam::123456789012:role/deploy", "--role-session-name", "cli"}
	check(t, ci(assume...), "(AccessDenied) when calling the AssumeRole operation: User: arn:aws:iam::123456789012:user/ci is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/deploy")
	var session struct {
		Credentials struct{ AccessKeyID, SecretAccessKey, SessionToken string }
	}
	read(ci(append(assume, "--external-id", "x-1")...), &session)
	role := as(key{session.Credentials.AccessKeyID, session.Credentials.SecretAccessKey, session.Credentials.SessionToken})
	var who struct{ Arn string }
	read(role("sts", "get-caller-identity"), &who)
	if who.Arn != "arn:aws:sts::123456789012:assumed-role/deploy/cli" {
		t.Errorf("it is %s", who.Arn)
	}
	var regions struct{ Regions []struct{ RegionName string } }
	read(role("ec2", "describe-regions"), &regions)
	if len(regions.Regions) != 17 {
		t.Errorf("%d Regions", len(regions.Regions))
	}
	var simulated struct {
		EvaluationResults []struct{ EvalDecision string }
	}
	read(admin("iam", "simulate-principal-policy", "--policy-source-arn", "arn:aws:iam::123456789012:role/deploy", "--action-names", "ec2:DescribeInstances", "ec2:RunInstances"), &simulated)
	if len(simulated.EvaluationResults) != 2 || simulated.EvaluationResults[0].EvalDecision != "allowed" || simulated.EvaluationResults[1].EvalDecision != "implicitDeny" {
		t.Errorf("simulated: %+v", simulated)
	}
	var details struct {
		RoleDetailList []struct {
			RoleName                 string
			AssumeRolePolicyDocument struct{ Statement []any }
		}
	}
	read(admin("iam", "get-account-authorization-details", "--filter", "Role"), &details)
	if len(details.RoleDetailList) != 1 || len(details.RoleDetailList[0].AssumeRolePolicyDocument.Statement) != 1 {
		t.Errorf("details: %+v", details)
	}
	done("organizations", "create-organization")
	var roots struct{ Roots []struct{ ID string } }
	read(admin("organizations", "list-roots"), &roots)
	if len(roots.Roots) != 1 || !strings.HasPrefix(roots.Roots[0].ID, "r-") {
		t.Errorf("roots: %+v", roots)
	}
	done("iam", "update-access-key", "--user-name", "ci", "--access-key-id", made.AccessKey.AccessKeyID, "--status", "Inactive")
	check(t, ci("sts", "get-caller-identity"), "(InvalidClientTokenId) when calling the GetCallerIdentity operation: The security token included in the request is invalid.")
}

// both are the clients of one of two counterparts.
type both struct {
	url   string
	admin key
}

func (b both) config(k key, region string) aws.Config {
	return aws.Config{
		Region: region, BaseEndpoint: &b.url, HTTPClient: http.DefaultClient, Credentials: credentials.NewStaticCredentialsProvider(k.id, k.secret, k.token),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
}

// TestAgreesWithMoto plays the same scenes to moto, which somebody else wrote, and to the sandbox. Only what moto does as
// AWS does is asked: its texts, its codes for a denial and much else are its own.
func TestAgreesWithMoto(t *testing.T) {
	t.Parallel()
	moto := belaytest.Moto(t)
	p := start(t, "")
	theirs := scene(t, both{moto.URL, key{"AKIAEXAMPLE000000000", "x", ""}}, func() { moto.Enforce(t) })
	ours := scene(t, both{p.url, p.admin()}, func() {})
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("moto (-) and the sandbox (+) differ:\n%s", diff)
	}
	if len(ours) < 25 {
		t.Errorf("only %d cases", len(ours))
	}
}

// scene sets a scene as administrator, has enforce called, and notes what each call is answered.
func scene(t *testing.T, b both, enforce func()) map[string]string {
	t.Helper()
	ctx := t.Context()
	c := iam.NewFromConfig(b.config(b.admin, "us-east-1"))
	got := map[string]string{}
	note := func(name string, err error) {
		t.Helper()
		got[name] = "done"
		if api, ok := errors.AsType[smithy.APIError](err); ok {
			got[name] = api.ErrorCode()
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	// allowed notes only whether, for denials, whose codes differ.
	allowed := func(name string, err error) {
		t.Helper()
		note(name, err)
		if got[name] != "done" {
			got[name] = "denied"
		}
	}
	document := func(statements string) *string {
		return aws.String(`{"Version":"2012-10-17","Statement":[` + statements + `]}`)
	}
	make := func(name, policy string) key {
		t.Helper()
		_, err := c.CreateUser(ctx, &iam.CreateUserInput{UserName: &name})
		note("create user "+name, err)
		if policy != "" {
			_, err = c.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: &name, PolicyName: aws.String("p"), PolicyDocument: document(policy)})
			note("policy of "+name, err)
		}
		made, err := c.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &name})
		if err != nil {
			t.Fatal(err)
		}
		return key{*made.AccessKey.AccessKeyId, *made.AccessKey.SecretAccessKey, ""}
	}
	nobody := make("nobody", "")
	reader := make("reader", `{"Effect":"Allow","Action":"ec2:DescribeRegions","Resource":"*"}`)
	torn := make("torn", `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"ec2:DescribeRegions","Resource":"*"}`)
	boss := make("boss", `{"Effect":"Allow","Action":"*","Resource":"*"}`)
	who, err := c.GetUser(ctx, &iam.GetUserInput{UserName: aws.String("boss")})
	if err != nil {
		t.Fatal(err)
	}
	role := func(name, principal, condition string) *string {
		t.Helper()
		out, err := c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: document(`{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"sts:AssumeRole"` + condition + `}`)})
		note("create role "+name, err)
		return out.Role.Arn
	}
	forBoss := role("for-boss", *who.User.Arn, "")
	forReader := role("for-reader", strings.Replace(*who.User.Arn, "boss", "reader", 1), "")
	withID := role("with-id", *who.User.Arn, `,"Condition":{"StringEquals":{"sts:ExternalId":"right"}}`)

	// IAM's own rules.
	_, err = c.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("boss")})
	note("a user twice", err)
	_, err = c.GetUser(ctx, &iam.GetUserInput{UserName: aws.String("none")})
	note("no such user", err)
	_, err = c.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("none")})
	note("no such role", err)
	_, err = c.GetUserPolicy(ctx, &iam.GetUserPolicyInput{UserName: aws.String("boss"), PolicyName: aws.String("none")})
	note("no such policy", err)
	_, err = c.GetGroup(ctx, &iam.GetGroupInput{GroupName: aws.String("none")})
	note("no such group", err)
	_, err = c.DeleteUser(ctx, &iam.DeleteUserInput{UserName: aws.String("boss")})
	note("a user with a policy goes", err)
	for name, text := range map[string]*string{
		"no statement": aws.String(`{"Version":"2012-10-17"}`), "no JSON": aws.String("{"), "no effect": document(`{"Action":"s3:*","Resource":"*"}`), "no action": document(`{"Effect":"Allow","Resource":"*"}`),
		"no resource": document(`{"Effect":"Allow","Action":"s3:*"}`), "no vendor": document(`{"Effect":"Allow","Action":"Get","Resource":"*"}`), "a resource of ours": document(`{"Effect":"Allow","Action":"s3:*","Resource":"bucket"}`),
		"ids alike": document(`{"Sid":"a","Effect":"Allow","Action":"s3:*","Resource":"*"},{"Sid":"a","Effect":"Allow","Action":"s3:*","Resource":"*"}`),
	} {
		_, err = c.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("bad"), PolicyDocument: text})
		note("a policy with "+name, err)
	}
	managed, err := c.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("managed"), PolicyDocument: document(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)})
	note("a policy", err)
	_, err = c.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("managed"), PolicyDocument: document(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)})
	note("a policy twice", err)
	_, err = c.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: managed.Policy.Arn, VersionId: aws.String("v1")})
	note("the default version goes", err)
	_, err = c.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: aws.String("prof")})
	note("an instance profile", err)
	_, err = c.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: aws.String("prof"), RoleName: aws.String("for-boss")})
	note("with a role", err)
	_, err = c.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("for-boss")})
	note("a role in a profile goes", err)
	_, err = c.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: aws.String("boss"), AccessKeyId: aws.String("AKIANOBODY0000000000"), Status: types.StatusTypeInactive})
	note("a key that is not there", err)

	// What policies and signatures decide.
	enforce()
	regions := func(k key, region string) error {
		_, err := ec2.NewFromConfig(b.config(k, region)).DescribeRegions(context.WithoutCancel(ctx), nil)
		return err
	}
	allowed("regions for nobody", regions(nobody, "us-east-1"))
	allowed("regions for the reader", regions(reader, "us-east-1"))
	allowed("regions for the torn", regions(torn, "us-east-1"))
	allowed("regions for the boss", regions(boss, "us-east-1"))
	note("an unknown key at EC2", regions(key{"AKIANOBODY0000000000", "x", ""}, "us-east-1"))
	note("a wrong secret at EC2", regions(key{boss.id, "x", ""}, "us-east-1"))
	note("a session token that is none", regions(key{boss.id, boss.secret, "x"}, "us-east-1"))
	note("a standard key in GovCloud", regions(boss, "us-gov-west-1"))
	assume := func(k key, role *string, external string) error {
		in := &sts.AssumeRoleInput{RoleArn: role, RoleSessionName: aws.String("test")}
		if external != "" {
			in.ExternalId = &external
		}
		_, err := sts.NewFromConfig(b.config(k, "us-east-1")).AssumeRole(context.WithoutCancel(ctx), in)
		return err
	}
	allowed("a role for the boss", assume(boss, forBoss, ""))
	allowed("a role for another", assume(boss, forReader, ""))
	allowed("the right external id", assume(boss, withID, "right"))
	allowed("a wrong external id", assume(boss, withID, "wrong"))
	return got
}
