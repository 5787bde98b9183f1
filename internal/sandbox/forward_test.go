package sandbox_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/iam/service"
	"github.com/belay-dev/belay/internal/belaytest"
	"github.com/belay-dev/belay/internal/sandbox"
)

// TestTableFitsTheReference compares every row with what AWS says of the action: that there is one, and that its
// resource can be of the form that is asked about.
func TestTableFitsTheReference(t *testing.T) {
	t.Parallel()
	reference, err := service.Load()
	if err != nil {
		t.Fatal(err)
	}
	all := sandbox.Table(map[string]any{
		"cluster": "c", "clusterName": "c", "clusters": []any{"c"}, "service": "s", "services": []any{"s"}, "serviceName": "s", "task": "0123", "tasks": []any{"0123"}, "taskDefinition": "app:1",
		"family": "app", "repositoryName": "r", "repositoryNames": []any{"r"}, "FunctionName": "f", "Name": "a", "StatementId": "s", "name": "c", "nodegroup": "n", "StackName": "s",
		"taskRoleArn": "arn:aws:iam::111111111111:role/t", "executionRoleArn": "e", "Role": "arn:aws:iam::111111111111:role/f", "roleArn": "arn:aws:iam::111111111111:role/c", "nodeRole": "arn:aws:iam::111111111111:role/n", "RoleARN": "arn:aws:iam::111111111111:role/s",
	})
	if len(all) < 150 {
		t.Errorf("the tables have %d rows", len(all))
	}
	for _, one := range all {
		action, ok := reference.Action(one.Action)
		switch {
		case !ok:
			t.Errorf("%s: there is no action %s", one.Operation, one.Action)
		case action.Resourceless() && one.Resource != "*":
			t.Errorf("%s: %s is about nothing, and not about %s", one.Operation, one.Action, one.Resource)
		case !action.Resourceless() && one.Resource == "*":
			t.Errorf("%s: %s is about something", one.Operation, one.Action)
		case !action.Resourceless() && !action.Fits(one.Resource):
			t.Errorf("%s: %s is not about %s", one.Operation, one.Action, one.Resource)
		}
	}
}

func TestWhatACallNeeds(t *testing.T) {
	t.Parallel()
	const a = "arn:aws:"
	for name, tt := range map[string]struct {
		got  []sandbox.Needs
		want string
	}{
		"a function by name":      {sandbox.RESTNeeds("lambda", "GET", "/2015-03-31/functions/f", map[string]any{}), "lambda:GetFunction " + a + "lambda:eu-west-1:111111111111:function:f"},
		"a function by ARN":       {sandbox.RESTNeeds("lambda", "GET", "/2015-03-31/functions/arn:aws:lambda:eu-west-1:111111111111:function:f:live", map[string]any{}), "lambda:GetFunction " + a + "lambda:eu-west-1:111111111111:function:f:live"},
		"with a slash at its end": {sandbox.RESTNeeds("lambda", "GET", "/2015-03-31/functions/", map[string]any{}), "lambda:ListFunctions *"},
		"a function with a role":  {sandbox.RESTNeeds("lambda", "POST", "/2015-03-31/functions", map[string]any{"FunctionName": "f", "Role": "arn:aws:iam::111111111111:role/r"}), "lambda:CreateFunction " + a + "lambda:eu-west-1:111111111111:function:f, iam:PassRole " + a + "iam::111111111111:role/r"},
		"an invocation":           {sandbox.RESTNeeds("lambda", "POST", "/2015-03-31/functions/f/invocations", map[string]any{"FunctionName": "other"}), "lambda:InvokeFunction " + a + "lambda:eu-west-1:111111111111:function:f"},
		"an empty name":           {sandbox.RESTNeeds("lambda", "GET", "/2015-03-31/functions//configuration", map[string]any{}), ""},
		"a path of ours":          {sandbox.RESTNeeds("lambda", "GET", "/2015-03-31/colours", map[string]any{}), ""},
		"a node group":            {sandbox.RESTNeeds("eks", "GET", "/clusters/c/node-groups/n", map[string]any{}), "eks:DescribeNodegroup " + a + "eks:eu-west-1:111111111111:nodegroup/c/n/*"},
		"a service":               {sandbox.CallNeeds("ecs", "UpdateService", map[string]any{"cluster": "arn:aws:ecs:eu-west-1:111111111111:cluster/c", "service": "s"}), "ecs:UpdateService " + a + "ecs:eu-west-1:111111111111:service/c/s"},
		"the default cluster":     {sandbox.CallNeeds("ecs", "DescribeServices", map[string]any{"services": []any{"s", "arn:aws:ecs:eu-west-1:111111111111:service/x/t"}}), "ecs:DescribeServices " + a + "ecs:eu-west-1:111111111111:service/default/s, ecs:DescribeServices " + a + "ecs:eu-west-1:111111111111:service/x/t"},
		"all repositories":        {sandbox.CallNeeds("ecr", "DescribeRepositories", map[string]any{}), "ecr:DescribeRepositories " + a + "ecr:eu-west-1:111111111111:repository/*"},
		"a name in braces":        {sandbox.CallNeeds("ecr", "ListImages", map[string]any{"repositoryName": "{cluster}", "cluster": "c"}), "ecr:ListImages " + a + "ecr:eu-west-1:111111111111:repository/%7Bcluster%7D"},
		"a stack by ARN":          {sandbox.CallNeeds("cloudformation", "DeleteStack", map[string]any{"StackName": "arn:aws:cloudformation:eu-west-1:111111111111:stack/s/1", "RoleARN": "arn:aws:iam::111111111111:role/r"}), "cloudformation:DeleteStack " + a + "cloudformation:eu-west-1:111111111111:stack/s/1, iam:PassRole " + a + "iam::111111111111:role/r"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, lines(tt.got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func lines(all []sandbox.Needs) string {
	var out []string
	for _, n := range all {
		out = append(out, n.Action+" "+n.Resource)
	}
	return strings.Join(out, ", ")
}

func TestWhatS3Needs(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ method, url, from, want string }{
		"all buckets":      {"GET", "/", "", "s3:ListAllMyBuckets *"},
		"a list":           {"GET", "/b?list-type=2&prefix=x%2F", "", "s3:ListBucket arn:aws:s3:::b"},
		"a bucket's head":  {"HEAD", "/b", "", "s3:ListBucket arn:aws:s3:::b"},
		"where it is":      {"GET", "/b?location", "", "s3:GetBucketLocation arn:aws:s3:::b"},
		"an object":        {"GET", "/b/a/b%20c", "", "s3:GetObject arn:aws:s3:::b/a/b c"},
		"a version":        {"GET", "/b/k?versionId=1", "", "s3:GetObjectVersion arn:aws:s3:::b/k"},
		"a copy":           {"PUT", "/b/k", "/other/a%20b?versionId=1", "s3:PutObject arn:aws:s3:::b/k, s3:GetObject arn:aws:s3:::other/a b"},
		"a part":           {"PUT", "/b/k?partNumber=1&uploadId=2", "", "s3:PutObject arn:aws:s3:::b/k"},
		"presigned":        {"GET", "/b/k?X-Amz-Signature=1", "", "s3:GetObject arn:aws:s3:::b/k"},
		"many at once":     {"POST", "/b?delete", "", "NotImplemented: The sandbox does not pass on POST delete of S3."},
		"two things":       {"GET", "/b?acl&policy", "", "NotImplemented: The sandbox does not know a call of S3 with both *"},
		"a thing of ours":  {"GET", "/b?colour", "", "NotImplemented: *"},
		"writing the root": {"PUT", "/", "", "NotImplemented: *"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(tt.method, tt.url, http.NoBody)
			if tt.from != "" {
				r.Header.Set("X-Amz-Copy-Source", tt.from)
			}
			got, err := sandbox.S3Needs(r)
			text := lines(got)
			if err != nil {
				text = err.Error()
			}
			check(t, text, tt.want)
		})
	}
}

func TestForwardNeedsAnAddress(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"moto", "ftp://x", "http://x/path", "http://x?y"} {
		if _, err := sandbox.New(sandbox.Config{Forward: bad}); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	p := startWith(t, sandbox.Config{}, "")
	check(t, summary(p.send(p.sign(p.admin(), "lambda", "us-east-1", "", time.Now()))), "400")
}

// TestForwardToMoto has the AWS CLI work on services that the sandbox authorizes and moto does.
func TestForwardToMoto(t *testing.T) {
	t.Parallel()
	moto := belaytest.SharedMoto(t)
	p := startWith(t, sandbox.Config{Forward: moto.URL}, `
accounts:
  - id: "111111111111"
    users:
      - {name: all, attach: [AdministratorAccess], keys: [{id: AKIAALL0000000000000, secret: secret-of-all}]}
      - name: few
        keys: [{id: AKIAFEW0000000000000, secret: secret-of-few}]
        inline: {p: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:GetObject", Resource: "arn:aws:s3:::sandbox-test/public/*"}, {Effect: Allow, Action: "ecs:*", Resource: "arn:aws:ecs:*:*:cluster/mine"}]}}
`)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	cli := func(who string, args ...string) string {
		t.Helper()
		env := []string{"AWS_ENDPOINT_URL=" + p.url, "AWS_ACCESS_KEY_ID=AKIA" + strings.ToUpper(who) + "0000000000000", "AWS_SECRET_ACCESS_KEY=secret-of-" + who, "AWS_DEFAULT_REGION=us-east-1", "AWS_MAX_ATTEMPTS=1"}
		out, err := belaytest.AWSCLI(t, env, append(args, "--output", "text")...)
		if err != nil {
			return fmt.Sprint(err)
		}
		return "done " + strings.TrimSpace(string(out))
	}
	for _, step := range []struct {
		who  string
		args string
		want string
	}{
		{"all", "s3api create-bucket --bucket sandbox-test", "done"},
		{"all", "s3api put-object --bucket sandbox-test --key public/a --body " + file, "done"},
		{"all", "s3api put-object --bucket sandbox-test --key secret --body " + file, "done"},
		{"few", "s3api get-object --bucket sandbox-test --key public/a " + file, "done"},
		{"few", "s3api get-object --bucket sandbox-test --key secret " + file, `not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::sandbox-test/secret" because no identity-based policy allows the s3:GetObject action`},
		{"all", "ecs create-cluster --cluster-name mine", "done"},
		{"few", "ecs describe-clusters --clusters mine other", "AccessDeniedException"},
		{"all", "ecr create-repository --repository-name app", "done"},
		{"all", "lambda list-functions", "done"},
		{"few", "lambda list-functions", "AccessDeniedException) when calling the ListFunctions operation: User: arn:aws:iam::111111111111:user/few is not authorized to perform: lambda:ListFunctions on resource: * because no identity-based policy allows the lambda:ListFunctions action"},
		{"all", "eks list-clusters", "done"},
		{"all", "cloudformation list-stacks", "done"},
	} {
		if got := cli(step.who, strings.Fields(step.args)...); !strings.Contains(got, step.want) || step.want == "done" && !strings.HasPrefix(got, "done") {
			t.Errorf("%s: %s\n got %s\nwant %s", step.who, step.args, got, step.want)
		}
	}
}
