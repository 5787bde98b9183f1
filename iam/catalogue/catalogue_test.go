package catalogue_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/iam/service"
)

// excerpt is a policy as a page prints it.
type excerpt struct {
	policy string
	at     catalogue.Citation
	text   string
}

var heading = regexp.MustCompile(`^== (S\d):(\d+-\d+) (\S+): (.+)$`)

// excerpts reads the test data: what the pages print, with a heading that says where.
func excerpts(t *testing.T) []excerpt {
	t.Helper()
	files, err := filepath.Glob("testdata/seeds/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []excerpt
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		inside := false
		for line := range strings.Lines(string(text)) {
			if m := heading.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
				all = append(all, excerpt{policy: m[3], at: catalogue.Citation{Source: m[1], Lines: m[2], Section: m[4]}})
				inside = true
			} else if inside {
				all[len(all)-1].text += line
			}
		}
	}
	return all
}

func jsonValue(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return v
}

func file(t *testing.T, name string) any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("data", name))
	if err != nil {
		t.Fatal(err)
	}
	return jsonValue(t, string(text))
}

// TestDocumentsAreThoseOfThePages compares every document that the pages print with the one in the catalogue.
func TestDocumentsAreThoseOfThePages(t *testing.T) {
	t.Parallel()
	printed := map[string][]catalogue.Citation{}
	perSource := map[string]int{}
	for _, e := range excerpts(t) {
		printed[e.policy] = append(printed[e.policy], e.at)
		perSource[e.at.Source]++
		t.Run(e.at.Source+":"+e.at.Lines, func(t *testing.T) {
			t.Parallel()
			p := policy(t, e.policy)
			name, text := e.policy+".json", e.text
			if p.AsWritten != nil {
				name = "as-written/" + name
			}
			if !strings.Contains(text, `"Statement"`) { // statements without a document around them
				text = `{"Version": "2012-10-17", "Statement": [` + text + `]}`
			}
			if diff := cmp.Diff(jsonValue(t, text), file(t, name)); diff != "" {
				t.Errorf("page (-) and catalogue (+) differ:\n%s", diff)
			}
		})
	}
	if diff := cmp.Diff(map[string]int{"S0": 1, "S1": 13, "S2": 14, "S4": 1}, perSource); diff != "" {
		t.Errorf("the number of documents by source differs:\n%s", diff)
	}
	for _, p := range catalogue.Policies() {
		if diff := cmp.Diff(printed[p.ID], p.Printed); diff != "" {
			t.Errorf("%s: where it is printed by the test data (-) and by the index (+) differ:\n%s", p.ID, diff)
		}
	}
}

func policy(t *testing.T, id string) catalogue.Policy {
	t.Helper()
	all := catalogue.Policies()
	i := slices.IndexFunc(all, func(p catalogue.Policy) bool { return p.ID == id })
	if i < 0 {
		t.Fatalf("there is no policy %s", id)
	}
	return all[i]
}

func TestMendedDocuments(t *testing.T) {
	t.Parallel()
	p := policy(t, "lambda-logs")
	got := [][]string{p.AsWritten.Statements[0].Action.Values, p.AsWritten.Statements[0].Resource.Values, p.Document.Statements[0].Action.Values, p.Document.Statements[0].Resource.Values}
	want := [][]string{
		{"logs: CreateLogGroup", "logs: CreateLogStream", "logs:PutLogEvents", "logs: DescribeLogStreams"},
		{"arn:aws: logs:*:*:*"},
		{"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"},
		{"arn:aws:logs:*:*:*"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, p := range catalogue.Policies() {
		if (p.AsWritten != nil || p.WrittenARN != "") && len(p.Mended) == 0 {
			t.Errorf("%s differs from its page and does not say why", p.ID)
		}
		if p.WrittenARN != "" && p.WrittenARN == p.ARN {
			t.Errorf("%s: the ARN of the page is the right one", p.ID)
		}
	}
}

func TestCapabilities(t *testing.T) {
	t.Parallel()
	want := []string{
		"connection", "cross-account-role", "iam-read", "s3-read", "s3-write", "s3-read-write", "s3-objects", "s3-cross-account",
		"ecr-pull", "ecr-push", "cloudformation-eks-full", "cloudformation-eks-limited", "ecs", "ecs-autoscaling", "ami-asg", "ami-tagging",
		"codedeploy", "ec2", "lambda", "serverless-dashboard", "serverless-framework", "serverless-framework-admin", "eks", "eks-node",
		"fargate-pod-execution", "lambda-execution", "lambda-execution-logs", "lambda-execution-kinesis", "lambda-execution-dynamodb",
		"lambda-execution-sqs", "lambda-execution-s3", "lambda-execution-vpc", "lambda-execution-xray",
	}
	var got []string
	used := map[string]bool{}
	for _, c := range catalogue.Capabilities() {
		got = append(got, c.ID)
		found, ok := catalogue.Find(c.ID)
		if !ok || found.Title != c.Title {
			t.Errorf("%s is not found", c.ID)
		}
		if c.Title == "" || !strings.HasSuffix(c.Use, ".") || len(c.Policies) == 0 {
			t.Errorf("%s lacks a title, a sentence on its use or a policy", c.ID)
		}
		for kind, all := range map[string][]catalogue.Policy{"identity": c.Policies, "trust": c.Trust, "resource": c.Resource} {
			for _, p := range all {
				used[p.ID] = true
				identity := p.Kind == catalogue.AWSManaged || p.Kind == catalogue.CustomerManaged
				if identity != (kind == "identity") || !identity && string(p.Kind) != kind {
					t.Errorf("%s: %s is of kind %s and stands among the %s policies", c.ID, p.ID, p.Kind, kind)
				}
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, p := range catalogue.Policies() {
		if !used[p.ID] {
			t.Errorf("no capability has %s", p.ID)
		}
	}
	if _, ok := catalogue.Find("s3"); ok {
		t.Error("there is a capability s3")
	}
}

func TestPoliciesAreSound(t *testing.T) {
	t.Parallel()
	managed, err := service.LoadManaged()
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]bool{}
	for _, s := range catalogue.Sources() {
		sources[s.ID] = true
	}
	for _, p := range catalogue.Policies() {
		t.Run(p.ID, func(t *testing.T) {
			t.Parallel()
			if p.Kind == catalogue.AWSManaged {
				if m, ok := managed.Policy(p.ARN); !ok || m.ARN("aws") != p.ARN || m.Name != p.ID {
					t.Errorf("AWS has no policy %s at %s", p.ID, p.ARN)
				}
			} else if p.ARN != "" || p.Document == nil {
				t.Error("it needs a document and has no ARN")
			}
			if p.Title == "" || len(p.Printed)+len(p.Mentions) == 0 || p.Ours && len(p.Printed) > 0 || !p.Ours && p.Kind != catalogue.AWSManaged && len(p.Printed) == 0 {
				t.Error("it lacks a title or a source, or is ours although it is printed, or is neither")
			}
			for _, c := range slices.Concat(p.Printed, p.Mentions) {
				if !sources[c.Source] || c.Section == "" {
					t.Errorf("there is no source %s, or no section is named", c.Source)
				}
			}
			if p.Document != nil {
				text, _ := p.Document.MarshalJSON()
				for placeholder := range p.Placeholders {
					if !strings.Contains(string(text), placeholder) {
						t.Errorf("the placeholder %s is not in it", placeholder)
					}
				}
				for i := range p.Document.Statements {
					check(t, p, &p.Document.Statements[i])
				}
			}
		})
	}
}

// unknown are actions of the documents that AWS does not list.
var unknown = []string{"tag:GetTags"}

// check looks at one statement: the actions exist, and who may do it is said exactly where it must be.
func check(t *testing.T, p catalogue.Policy, s *iam.Statement) {
	t.Helper()
	reference, err := service.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range s.Action.Values {
		if known := len(reference.Actions(a)) > 0; known == slices.Contains(unknown, a) {
			t.Errorf("whether AWS knows %s: %v", a, known)
		}
	}
	identity := p.Kind == catalogue.AWSManaged || p.Kind == catalogue.CustomerManaged
	if identity != (s.Principal == nil) {
		t.Errorf("a policy of kind %s with the principal %v", p.Kind, s.Principal)
	}
	if (p.Kind == catalogue.Trust) != (len(s.Resource.Values) == 0) {
		t.Errorf("a policy of kind %s with the resources %v", p.Kind, s.Resource.Values)
	}
}

// What is handed out can be changed without changing the catalogue's own lists.
func TestListsAreTheCallersOwn(t *testing.T) {
	t.Parallel()
	catalogue.Capabilities()[0].ID = "x"
	catalogue.Policies()[0].ID = "x"
	catalogue.Sources()[0].ID = "x"
	if catalogue.Capabilities()[0].ID == "x" || catalogue.Policies()[0].ID == "x" || catalogue.Sources()[0].ID == "x" {
		t.Error("the catalogue was changed")
	}
}

func TestCurrent(t *testing.T) {
	t.Parallel()
	for _, p := range catalogue.Policies() {
		d, err := p.Current()
		if err != nil || d == nil || len(d.Statements) == 0 || p.Kind != catalogue.AWSManaged && d != p.Document {
			t.Errorf("%s: %v, %v", p.ID, d, err)
		}
	}
	printed, today := policy(t, "AmazonS3ReadOnlyAccess"), []string{"s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*", "s3-object-lambda:List*"}
	d, err := printed.Current()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{{"s3:Get*", "s3:List*"}, today}, [][]string{printed.Document.Statements[0].Action.Values, d.Statements[0].Action.Values}); diff != "" {
		t.Error(diff)
	}
}

func ExampleFor() {
	result, err := catalogue.For([]string{"s3-objects"}, catalogue.Narrowing{Buckets: []string{"artifacts"}}, catalogue.Placement{Name: "deployer"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, d := range result.Documents {
		text, _ := d.Document.MarshalJSON()
		fmt.Println(d.Name, d.Size)
		fmt.Println(string(text))
	}
	// Output:
	// deployer 299
	// {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:DescribeRegions","Resource":"*"},{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::artifacts"},{"Effect":"Allow","Action":["s3:DeleteObject","s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::artifacts/*"}]}
}

func ExampleFind() {
	c, _ := catalogue.Find("ecr-pull")
	fmt.Println(c.Title)
	fmt.Println(c.Policies[0].ARN)
	// Output:
	// ECR: pull
	// arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly
}
