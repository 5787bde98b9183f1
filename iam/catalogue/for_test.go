package catalogue_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/iam/catalogue"
)

const regions = `{"Effect":"Allow","Action":"ec2:DescribeRegions","Resource":"*"}`

func TestFor(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		capabilities []string
		narrowing    catalogue.Narrowing
		placement    catalogue.Placement
		want         string   // the statements of the one document
		attached     []string // ARNs
	}{
		"what every connection needs is added": {
			capabilities: []string{"ecr-pull"}, want: regions,
			attached: []string{"arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"},
		},
		"and is there once": {capabilities: []string{"connection", "connection"}, want: regions},
		"the role of a function makes no connection": {
			capabilities: []string{"lambda-execution-logs"},
			want:         `{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:CreateLogStream","logs:DescribeLogStreams","logs:PutLogEvents"],"Resource":"arn:aws:logs:*:*:*"}`,
		},
		"actions on a bucket and on its objects get different resources": {
			capabilities: []string{"s3-objects"}, narrowing: catalogue.Narrowing{Buckets: []string{"artifacts"}},
			want: regions + `,{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::artifacts"},
				{"Effect":"Allow","Action":["s3:DeleteObject","s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::artifacts/*"}`,
		},
		"several buckets share a statement": {
			capabilities: []string{"s3-objects"}, narrowing: catalogue.Narrowing{Buckets: []string{"b", "arn:aws:s3:::a"}},
			want: regions + `,{"Effect":"Allow","Action":"s3:ListBucket","Resource":["arn:aws:s3:::a","arn:aws:s3:::b"]},
				{"Effect":"Allow","Action":["s3:DeleteObject","s3:GetObject","s3:PutObject"],"Resource":["arn:aws:s3:::a/*","arn:aws:s3:::b/*"]}`,
		},
		"actions without a resource keep the star, those on every bucket do not": {
			capabilities: []string{"s3-read-write"}, narrowing: catalogue.Narrowing{Buckets: []string{"artifacts"}},
			want: `{"Effect":"Allow","Action":["ec2:DescribeRegions","s3:GetAccountPublicAccessBlock","s3:ListAllMyBuckets"],"Resource":"*"},
				{"Effect":"Allow","Action":["s3:GetBucketAcl","s3:GetBucketLocation","s3:GetBucketPolicyStatus","s3:GetBucketPublicAccessBlock","s3:ListBucket"],"Resource":"arn:aws:s3:::artifacts"},
				{"Effect":"Allow","Action":"s3:*Object","Resource":"arn:aws:s3:::artifacts/*"}`,
		},
		"without a bucket it is every bucket": {
			capabilities: []string{"s3-objects"},
			want: regions + `,{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::*"},
				{"Effect":"Allow","Action":["s3:DeleteObject","s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::*/*"}`,
		},
		"ECR's token has no resource": {
			capabilities: []string{"ecr-pull"}, placement: catalogue.Placement{Expand: true},
			narrowing: catalogue.Narrowing{Repositories: []string{"team/app"}, Region: "eu-west-1", Account: "123456789012"},
			want: `{"Effect":"Allow","Action":["ec2:DescribeRegions","ecr:GetAuthorizationToken"],"Resource":"*"},
				{"Effect":"Allow","Action":["ecr:BatchCheckLayerAvailability","ecr:BatchGetImage","ecr:DescribeImages","ecr:DescribeImageScanFindings","ecr:DescribeRepositories","ecr:GetDownloadUrlForLayer","ecr:GetLifecyclePolicy","ecr:GetLifecyclePolicyPreview","ecr:GetRepositoryPolicy","ecr:ListImages","ecr:ListTagsForResource"],"Resource":"arn:aws:ecr:eu-west-1:123456789012:repository/team/app"}`,
		},
		"a cluster narrows the services and tasks in it": {
			capabilities: []string{"ecs-autoscaling"}, narrowing: catalogue.Narrowing{Clusters: []string{"prod"}, Region: "eu-west-1"},
			want: `{"Effect":"Allow","Action":["cloudwatch:DeleteAlarms","cloudwatch:DescribeAlarms","cloudwatch:PutMetricAlarm","ec2:DescribeRegions"],"Resource":"*"},
				{"Effect":"Allow","Action":["ecs:DescribeServices","ecs:UpdateService"],"Resource":"arn:aws:ecs:eu-west-1:*:service/prod/*"}`,
		},
		"a cluster of EKS": {
			capabilities: []string{"eks"}, narrowing: catalogue.Narrowing{Clusters: []string{"arn:aws:eks:eu-west-1:123456789012:cluster/prod"}},
			want: `{"Effect":"Allow","Action":["ec2:DescribeRegions","eks:ListClusters"],"Resource":"*"},
				{"Effect":"Allow","Action":"eks:DescribeCluster","Resource":"arn:aws:eks:eu-west-1:123456789012:cluster/prod"}`,
		},
		"a function has versions and aliases": {
			capabilities: []string{"lambda", "s3-read"}, narrowing: catalogue.Narrowing{Functions: []string{"api"}},
			want: regions, attached: []string{"arn:aws:iam::aws:policy/IAMReadOnlyAccess", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess", "arn:aws:iam::aws:policy/AWSLambda_FullAccess", "arn:aws:iam::aws:policy/service-role/AWSLambdaRole"},
		},
		"a role with a path": {
			capabilities: []string{"cross-account-role"}, narrowing: catalogue.Narrowing{Roles: []string{"arn:aws:iam::123456789012:role/ci/deploy", "/ops/*"}},
			want: regions + `,{"Effect":"Allow","Action":"sts:AssumeRole","Resource":["arn:aws:iam::*:role/ops/*","arn:aws:iam::123456789012:role/ci/deploy"]}`,
		},
		"another partition, by its Region": {
			capabilities: []string{"s3-objects", "ecr-pull"}, narrowing: catalogue.Narrowing{Buckets: []string{"b"}, Region: "us-gov-west-1"},
			want: regions + `,{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws-us-gov:s3:::b"},
				{"Effect":"Allow","Action":["s3:DeleteObject","s3:GetObject","s3:PutObject"],"Resource":"arn:aws-us-gov:s3:::b/*"}`,
			attached: []string{"arn:aws-us-gov:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"},
		},
		"a wildcard is kept on what was named, and what has no resource is spelled out": {
			capabilities: []string{"lambda-execution-xray", "cloudformation-eks-full", "s3-write"}, narrowing: catalogue.Narrowing{Buckets: []string{"b"}},
			want: `{"Effect":"Allow","Action":["autoscaling:*","cloudformation:*","ec2:*","eks:*","iam:*","ssm:*"],"Resource":"*"},
				{"Effect":"Allow","Action":"s3:*Object","Resource":"arn:aws:s3:::b/*"}`,
			attached: []string{"arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess"},
		},
		"conditions of an AWS-managed policy stay": {
			capabilities: []string{"ecr-push"}, narrowing: catalogue.Narrowing{Roles: []string{"r"}}, placement: catalogue.Placement{Expand: true},
			want: `{"Effect":"Allow","Action":["cloudtrail:LookupEvents","ec2:DescribeRegions","ecr:*"],"Resource":"*"},
				{"Effect":"Allow","Action":"iam:CreateServiceLinkedRole","Resource":"arn:aws:iam::*:role/aws-service-role/*","Condition":{"StringEquals":{"iam:AWSServiceName":"replication.ecr.amazonaws.com"}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := catalogue.For(tt.capabilities, tt.narrowing, tt.placement)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Documents) != 1 {
				t.Fatalf("%d documents", len(r.Documents))
			}
			text, err := r.Documents[0].Document.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			want := jsonValue(t, `{"Version":"2012-10-17","Statement":[`+tt.want+`]}`)
			if diff := cmp.Diff(want, jsonValue(t, string(text))); diff != "" {
				t.Error(diff)
			}
			if r.Documents[0].Size != len(text) || strings.ContainsAny(string(text), " \n") {
				t.Errorf("the size is %d, want %d", r.Documents[0].Size, len(text))
			}
			var arns []string
			for _, a := range r.Attachments {
				arns = append(arns, a.ARN)
			}
			if diff := cmp.Diff(tt.attached, arns); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestForFunctions(t *testing.T) {
	t.Parallel()
	r, err := catalogue.For([]string{"lambda"}, catalogue.Narrowing{Functions: []string{"api"}, Account: "123456789012"}, catalogue.Placement{Expand: true})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(r.Documents[0].Document)
	for _, want := range []string{
		`{"Effect":"Allow","Action":"lambda:*","Resource":["arn:aws:lambda:*:123456789012:function:api","arn:aws:lambda:*:123456789012:function:api:*"]}`,
		`"lambda:CreateEventSourceMapping"`, `"lambda:ListFunctions"`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	if strings.Contains(string(text), `"lambda:InvokeFunction"`) {
		t.Errorf("lambda:InvokeFunction is named although lambda:* covers it:\n%s", text)
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		capabilities []string
		narrowing    catalogue.Narrowing
		placement    catalogue.Placement
		want         []string
	}{
		"nothing to say": {[]string{"s3-objects"}, catalogue.Narrowing{Buckets: []string{"b"}}, catalogue.Placement{}, nil},
		"no bucket":      {[]string{"s3-write"}, catalogue.Narrowing{}, catalogue.Placement{}, []string{"No bucket is named: s3-write is for every bucket."}},
		"nothing bears on what was named": {[]string{"connection"}, catalogue.Narrowing{Clusters: []string{"c"}}, catalogue.Placement{}, []string{
			"No statement of these capabilities could be narrowed to the cluster that was named.",
		}},
		"attached as they are": {[]string{"ecr-pull"}, catalogue.Narrowing{Repositories: []string{"r"}}, catalogue.Placement{}, []string{
			"No statement of these capabilities could be narrowed to the repository that was named; the AWS-managed policies among them are attached as they are.",
			"AWS-managed policies are attached as they are, for all resources. Expanding them narrows them as well.",
		}},
		"left out": {[]string{"s3-read"}, catalogue.Narrowing{Buckets: []string{"b"}}, catalogue.Placement{Expand: true}, []string{
			"Actions of s3 on other things than what was named are left out (",
			"Actions of s3-object-lambda on other things than what was named are left out (objectlambdaaccesspoint).",
		}},
		"every role": {[]string{"ecs"}, catalogue.Narrowing{}, catalogue.Placement{}, []string{
			"iam:PassRole is allowed for every role: whoever holds this can hand any role to a service. Name the roles that are meant.",
		}},
		"every role that trusts": {[]string{"cross-account-role"}, catalogue.Narrowing{}, catalogue.Placement{}, []string{
			"sts:AssumeRole is allowed for every role that trusts the caller. Name the roles that are meant.",
		}},
		"two roles": {[]string{"lambda-execution-logs", "s3-objects"}, catalogue.Narrowing{Buckets: []string{"b"}}, catalogue.Placement{}, []string{
			"These capabilities belong to different roles (connector: connection, s3-objects; function: lambda-execution-logs). Ask for each role's policy by itself.",
		}},
		"the other side of a bucket": {[]string{"s3-cross-account"}, catalogue.Narrowing{Buckets: []string{"b"}}, catalogue.Placement{}, []string{
			"Something is to be filled in in the policy of bucket b: arn:aws:iam::111122223333:role/principal-name stands for the principal.",
		}},
		"another partition": {[]string{"ecr-pull"}, catalogue.Narrowing{Partition: "aws-cn"}, catalogue.Placement{Expand: true}, []string{
			"The AWS-managed policies were written out as they stand in the partition aws; in aws-cn AWS may have other versions.",
		}},
		"a Region without anything named": {[]string{"connection"}, catalogue.Narrowing{Region: "eu-west-1"}, catalogue.Placement{}, []string{
			"Account and Region stand in the ARNs of what is named, and nothing is named.",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := catalogue.For(tt.capabilities, tt.narrowing, tt.placement)
			if err != nil {
				t.Fatal(err)
			}
			ok := len(tt.want) == len(r.Notes)
			for i := range min(len(tt.want), len(r.Notes)) {
				ok = ok && strings.HasPrefix(r.Notes[i], tt.want[i])
			}
			if !ok {
				t.Error(cmp.Diff(tt.want, r.Notes))
			}
		})
	}
}

func TestPoliciesOfTheOtherSide(t *testing.T) {
	t.Parallel()
	r, err := catalogue.For([]string{"s3-cross-account", "lambda-execution-s3"}, catalogue.Narrowing{
		Buckets: []string{"b"}, Functions: []string{"arn:aws:lambda:eu-west-1:444455556666:function:f"}, Principal: "arn:aws:iam::123456789012:role/deploy",
	}, catalogue.Placement{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{}
	for _, p := range r.Resources {
		text, _ := p.Document.MarshalJSON()
		got[p.On] = jsonValue(t, string(text))
	}
	want := map[string]any{
		"bucket b": jsonValue(t, `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/deploy"},"Action":["s3:GetBucketLocation","s3:ListBucket"],"Resource":"arn:aws:s3:::b"},
			{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/deploy"},"Action":["s3:GetObject","s3:PutObject","s3:DeleteObject"],"Resource":"arn:aws:s3:::b/*"}]}`),
		"function f": jsonValue(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction",
			"Resource":"arn:aws:lambda:eu-west-1:444455556666:function:f","Condition":{"StringEquals":{"aws:SourceAccount":"444455556666"},"ArnLike":{"aws:SourceArn":"arn:aws:s3:::b"}}}]}`),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// everything is all capabilities of connectors, but for the one that allows all.
func everything() []string {
	var all []string
	for _, c := range catalogue.Capabilities() {
		if c.Holder == catalogue.Connector && c.ID != "serverless-framework-admin" {
			all = append(all, c.ID)
		}
	}
	return all
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	many := catalogue.Narrowing{}
	for i := range 100 {
		many.Buckets = append(many.Buckets, fmt.Sprintf("a-bucket-with-a-rather-long-name-so-that-it-takes-much-room-%03d", i))
	}
	t.Run("a document that is too long is split", func(t *testing.T) {
		t.Parallel()
		r, err := catalogue.For([]string{"s3-objects"}, many, catalogue.Placement{Name: "x"})
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for i, d := range r.Documents {
			text, _ := d.Document.MarshalJSON()
			if d.Size > catalogue.MaxManaged || d.Size != len(text) {
				t.Errorf("%s has %d characters, and says %d", d.Name, len(text), d.Size)
			}
			if want := fmt.Sprintf("x-%d", i+1); i > 0 && d.Name != want || i == 0 && d.Name != "x" {
				t.Errorf("document %d is called %s", i, d.Name)
			}
			total += len(text)
		}
		if least := (total + catalogue.MaxManaged - 1) / catalogue.MaxManaged; len(r.Documents) < 3 || len(r.Documents) > least+1 {
			t.Errorf("%d documents for %d characters", len(r.Documents), total)
		}
	})
	t.Run("what is attached counts, and is written out where there is too much of it", func(t *testing.T) {
		t.Parallel()
		r, err := catalogue.For(everything(), catalogue.Narrowing{}, catalogue.Placement{MaxAttached: 5})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(r.Documents) + len(r.Attachments); n > 5 || len(r.Attachments) == 0 {
			t.Errorf("%d documents and %d attachments", len(r.Documents), len(r.Attachments))
		}
		if !slices.ContainsFunc(r.Notes, func(n string) bool {
			return strings.HasPrefix(n, "More than 5 managed policies would be attached. The statements of AWSLambdaRole, ")
		}) {
			t.Errorf("the notes are %q", r.Notes)
		}
	})
	t.Run("nothing is written out where all fit", func(t *testing.T) {
		t.Parallel()
		r, err := catalogue.For([]string{"lambda", "codedeploy", "ec2"}, catalogue.Narrowing{}, catalogue.Placement{})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Documents) != 1 || len(r.Attachments) != 7 || len(r.Notes) != 0 {
			t.Errorf("%d documents, %d attachments, notes %q", len(r.Documents), len(r.Attachments), r.Notes)
		}
	})
	for name, tt := range map[string]struct {
		capabilities []string
		narrowing    catalogue.Narrowing
		placement    catalogue.Placement
		limit        int
		want         string
	}{
		"more documents than can be attached": {[]string{"s3-objects"}, many, catalogue.Placement{MaxAttached: 2}, 2, "managed policies on one role: "},
		"an inline policy of a user":          {[]string{"serverless-framework"}, catalogue.Narrowing{}, catalogue.Placement{To: catalogue.User, Inline: true}, 2048, "characters in all inline policies of one user: "},
		"an inline policy of a group":         {[]string{"s3-objects"}, many, catalogue.Placement{To: catalogue.Group, Inline: true}, 5120, "characters in all inline policies of one group: "},
		"an inline policy of a role":          {[]string{"s3-objects"}, many, catalogue.Placement{Inline: true}, 10240, "characters in all inline policies of one role: "},
	} {
		t.Run(name+" does not fit", func(t *testing.T) {
			t.Parallel()
			_, err := catalogue.For(tt.capabilities, tt.narrowing, tt.placement)
			fit, ok := errors.AsType[*catalogue.FitError](err)
			if !ok || !errors.Is(err, catalogue.ErrDoesNotFit) || fit.Limit != tt.limit || fit.Need <= fit.Limit || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("the error is %v", err)
			}
		})
	}
	t.Run("an inline policy that fits", func(t *testing.T) {
		t.Parallel()
		r, err := catalogue.For([]string{"serverless-framework"}, catalogue.Narrowing{}, catalogue.Placement{Inline: true})
		if err != nil || len(r.Documents) != 1 || r.Documents[0].Size > catalogue.MaxInlineRole {
			t.Errorf("%v, %d documents", err, len(r.Documents))
		}
	})
}

func TestInput(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		capabilities []string
		narrowing    catalogue.Narrowing
		placement    catalogue.Placement
		want         []string // how each problem begins
	}{
		"nothing": {nil, catalogue.Narrowing{}, catalogue.Placement{}, []string{"no capability is named"}},
		"all at once": {
			[]string{"s4-read", "s3-read"},
			catalogue.Narrowing{Buckets: []string{"Upper", "ok"}, Clusters: []string{"a/b"}, Account: "1", Region: "mars", Partition: "gcp", Principal: "bob"},
			catalogue.Placement{To: "machine", Name: "a b", MaxAttached: -1},
			[]string{
				`there is no capability "s4-read"; there are connection, `,
				`partition "gcp": it is aws, `, `account "1": an AWS account is 12 digits`, `region "mars": `, `principal "bob": give the ARN`,
				`bucket "Upper": the name of a bucket is `, `cluster "a/b": the name of a cluster is `,
				`policies are attached to a role, user or group, not to a "machine"`, `the policy name "a b": `, `-1 attached policies: `,
			},
		},
		"an ARN of something else":   {[]string{"s3-read"}, catalogue.Narrowing{Buckets: []string{"arn:aws:ecr:eu-west-1:123456789012:repository/x"}}, catalogue.Placement{}, []string{`bucket "arn:aws:ecr:eu-west-1:123456789012:repository/x": this is not the ARN of a bucket`}},
		"an object":                  {[]string{"s3-read"}, catalogue.Narrowing{Buckets: []string{"arn:aws:s3:::b/key"}}, catalogue.Placement{}, []string{`bucket "arn:aws:s3:::b/key": the name of a bucket is `}},
		"an ARN of another place":    {[]string{"s3-read"}, catalogue.Narrowing{Buckets: []string{"arn:aws-cn:s3:::b"}}, catalogue.Placement{}, []string{`bucket "arn:aws-cn:s3:::b": it is in partition aws-cn, and the policy is for aws; give the partition`}},
		"a short ARN":                {[]string{"s3-read"}, catalogue.Narrowing{Roles: []string{"arn:aws:iam"}}, catalogue.Placement{}, []string{`role "arn:aws:iam": this is not the ARN of a role`}},
		"a variable is no name":      {[]string{"s3-read"}, catalogue.Narrowing{Roles: []string{"${aws:username}"}}, catalogue.Placement{}, []string{`role "${aws:username}": `}},
		"an ARN with a broken place": {[]string{"s3-read"}, catalogue.Narrowing{Functions: []string{"arn:aws:lambda:x:1:function:f"}}, catalogue.Placement{}, []string{`function "arn:aws:lambda:x:1:function:f": its Region or account is not one`}},
		"too many":                   {[]string{"s3-read"}, catalogue.Narrowing{Buckets: make([]string, 101)}, catalogue.Placement{}, []string{`101 bucket names: at most 100 can be given; use wildcards`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := catalogue.For(tt.capabilities, tt.narrowing, tt.placement)
			input, ok := errors.AsType[*catalogue.InputError](err)
			if !ok || !errors.Is(err, catalogue.ErrInput) {
				t.Fatalf("the error is %v", err)
			}
			same := len(input.Problems) == len(tt.want)
			for i := range min(len(input.Problems), len(tt.want)) {
				same = same && strings.HasPrefix(input.Problems[i], tt.want[i])
			}
			if !same {
				t.Error(cmp.Diff(tt.want, input.Problems))
			}
		})
	}
}

func TestTheSameAskedTwice(t *testing.T) {
	t.Parallel()
	var first []byte
	for range 5 {
		r, err := catalogue.For(everything(), catalogue.Narrowing{Buckets: []string{"b", "a"}, Roles: []string{"r"}, Functions: []string{"f"}}, catalogue.Placement{Expand: true})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = text
		}
		if diff := cmp.Diff(string(first), string(text)); diff != "" {
			t.Fatal(diff)
		}
	}
}
