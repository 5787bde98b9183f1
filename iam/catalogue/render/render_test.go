package render_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/iam/catalogue/render"
	"github.com/belay-dev/belay/internal/belaytest"
)

// odd is a document with whatever makes a quoting go wrong.
const odd = `{"Version":"2012-10-17","Statement":[
  {"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::home/${aws:username}/%{x}/$${y}/'\"\\é/*",
   "Condition":{"StringEquals":{"aws:PrincipalTag/team":["a","b"],"aws:x":"POLICY"},"ForAnyValue:StringLike":{"aws:TagKeys":"q\t\n<&>"},"Bool":{"aws:SecureTransport":"true"}}},
  {"Sid":"Last","Effect":"Deny","NotAction":"iam:*","NotResource":["*"],"Condition":{"Null":{"aws:MultiFactorAuthAge":"true","k":"false"}}},
  {"Effect":"Allow","Action":[],"Resource":"*"}]}`

// results are a result of each shape.
func results(t *testing.T) map[string]catalogue.Result {
	t.Helper()
	document, err := iam.Parse([]byte(odd))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]catalogue.Result{"everything that must be quoted": {
		Capabilities: []string{"odd"}, Partition: "aws", Placement: catalogue.Placement{To: catalogue.User},
		Documents: []catalogue.Document{{Name: "it's=odd", Document: document}, {Name: "it's-odd", Document: document}},
		Notes:     []string{"one\nline\u2028only"},
	}}
	for name, ask := range map[string]struct {
		capabilities []string
		narrowing    catalogue.Narrowing
		placement    catalogue.Placement
	}{
		"managed policies on a role":        {[]string{"s3-read-write", "ecs", "s3-cross-account"}, catalogue.Narrowing{Buckets: []string{"b"}, Clusters: []string{"c"}}, catalogue.Placement{Expand: true}},
		"more than one document":            {[]string{"cloudformation-eks-full", "serverless-framework", "lambda"}, catalogue.Narrowing{Roles: []string{"r"}, Functions: []string{"f"}}, catalogue.Placement{Expand: true}},
		"an inline policy on a group":       {[]string{"s3-read-write"}, catalogue.Narrowing{}, catalogue.Placement{To: catalogue.Group, Inline: true}},
		"AWS-managed policies are attached": {[]string{"s3-read", "codedeploy"}, catalogue.Narrowing{}, catalogue.Placement{To: catalogue.User}},
		"only AWS-managed policies":         {[]string{"lambda-execution"}, catalogue.Narrowing{}, catalogue.Placement{}},
	} {
		if all[name], err = catalogue.For(ask.capabilities, ask.narrowing, ask.placement); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return all
}

// same compares a document with what a renderer made of it, as JSON values.
func same(t *testing.T, want *iam.Document, got any) {
	t.Helper()
	text, err := want.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var wanted any
	if err := json.Unmarshal(text, &wanted); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Error(diff)
	}
}

func TestJSONHoldsTheResult(t *testing.T) {
	t.Parallel()
	for name, r := range results(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := render.JSON(r)
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Documents []struct {
					Document any `json:"document"`
				} `json:"documents"`
			}
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			if len(got.Documents) != len(r.Documents) {
				t.Fatalf("%d documents, want %d", len(got.Documents), len(r.Documents))
			}
			for i, d := range r.Documents {
				same(t, d.Document, got.Documents[i].Document)
			}
		})
	}
}

// terraform runs the real program. Where it is not installed the test is skipped, or fails in CI.
func terraform(t *testing.T, dir, stdin string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("terraform")
	belaytest.Require(t, "terraform", err)
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "TF_CLI_CONFIG_FILE=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("terraform %s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
	}
	return string(out)
}

func TestTerraformIsFormatted(t *testing.T) {
	t.Parallel()
	for name, r := range results(t) {
		for _, target := range []string{"", "deployer"} {
			t.Run(name+" "+target, func(t *testing.T) {
				t.Parallel()
				text := string(render.Terraform(r, target))
				if formatted := terraform(t, t.TempDir(), text, "fmt", "-"); formatted != text {
					t.Error(cmp.Diff(text, formatted))
				}
				terraform(t, t.TempDir(), text, "fmt", "-check", "-")
			})
		}
	}
}

// TestTerraformMeansTheSame has Terraform evaluate each document: the expressions are taken out of the resources, so that
// no provider is needed.
func TestTerraformMeansTheSame(t *testing.T) {
	t.Parallel()
	all := results(t)
	var config strings.Builder
	want := map[string]*iam.Document{}
	for name, r := range all {
		rest := string(render.Terraform(r, ""))
		for i, d := range r.Documents {
			_, after, found := strings.Cut(rest, "policy = jsonencode(")
			expression, behind, ended := strings.Cut(after, "\n  })\n}\n")
			if !found || !ended {
				t.Fatalf("%s: document %d is not there:\n%s", name, i, rest)
			}
			rest = behind
			key := fmt.Sprintf("%s %d", name, i)
			want[key] = d.Document
			fmt.Fprintf(&config, "%q = jsonencode(%s\n})\n", key, expression)
		}
		if strings.Contains(rest, "jsonencode") {
			t.Errorf("%s: there are more documents than in the result", name)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte("locals {\n  all = {\n"+config.String()+"}\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var printed string // console prints a string as a quoted literal, and jsonencode twice makes that JSON in JSON
	if err := json.Unmarshal([]byte(terraform(t, dir, "jsonencode(local.all)\n", "console")), &printed); err != nil {
		t.Fatal(err)
	}
	var texts map[string]string
	if err := json.Unmarshal([]byte(printed), &texts); err != nil {
		t.Fatal(err)
	}
	if len(texts) != len(want) {
		t.Fatalf("%d documents, want %d", len(texts), len(want))
	}
	for key, text := range texts {
		var got any
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		same(t, want[key], got)
	}
}

func TestTerraformAttaches(t *testing.T) {
	t.Parallel()
	r := results(t)["AWS-managed policies are attached"]
	text := string(render.Terraform(r, "bob"))
	for _, want := range []string{
		"\nresource \"aws_iam_user_policy_attachment\" \"belay\" {\n  user       = \"bob\"\n  policy_arn = aws_iam_policy.belay.arn\n}\n",
		"\nresource \"aws_iam_user_policy_attachment\" \"AWSCodeDeployRole\" {\n  user       = \"bob\"\n  policy_arn = \"arn:aws:iam::aws:policy/service-role/AWSCodeDeployRole\"\n}\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("this is missing:\n%s\nin:\n%s", want, text)
		}
	}
}

func TestCloudFormation(t *testing.T) {
	t.Parallel()
	type template struct {
		Parameters map[string]any `yaml:"Parameters"`
		Resources  map[string]struct {
			Properties map[string]any `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	for name, r := range results(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := render.CloudFormation(r, "")
			if len(r.Attachments) > 0 {
				if !errors.Is(err, render.ErrAttachments) {
					t.Errorf("the error is %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got template
			if err := yaml.Unmarshal(text, &got); err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
			if len(got.Resources) != len(r.Documents) || len(got.Parameters) != 1 {
				t.Fatalf("%d resources and %d parameters for %d documents:\n%s", len(got.Resources), len(got.Parameters), len(r.Documents), text)
			}
			for _, d := range r.Documents {
				found := false
				for _, one := range got.Resources {
					if one.Properties["ManagedPolicyName"] == d.Name || one.Properties["PolicyName"] == d.Name {
						found = true
						same(t, d.Document, one.Properties["PolicyDocument"])
					}
				}
				if !found {
					t.Errorf("%s is not there:\n%s", d.Name, text)
				}
			}
		})
	}
}

func TestCloudFormationNames(t *testing.T) {
	t.Parallel()
	r := results(t)["an inline policy on a group"]
	text, err := render.CloudFormation(r, "it: 'x'")
	if err != nil {
		t.Fatal(err)
	}
	var got any
	if err := yaml.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	want := "  PolicyBelay:\n    Type: AWS::IAM::GroupPolicy\n    Properties:\n      PolicyName: \"belay\"\n      GroupName: \"it: 'x'\"\n      PolicyDocument:\n        Version: \"2012-10-17\"\n"
	if !strings.Contains(string(text), want) {
		t.Errorf("this is missing:\n%s\nin:\n%s", want, text)
	}
}

// TestShellRuns runs the script with a stand-in for aws that writes down what it is given.
func TestShellRuns(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal("there is no shell, which the commands are for")
	}
	for name, r := range results(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			aws := "#!/bin/sh\ncase \"$1 $2\" in\n'sts get-caller-identity') echo 123456789012; exit;;\nesac\nn=$(ls \"$CALLS\" | wc -l)\nn=$(printf %03d \"$n\")\n" +
				"for a in \"$@\"; do printf '%s\\n' \"$a\"; done >\"$CALLS/$n\"\ncase \"$*\" in *file:///dev/stdin*) cat >\"$CALLS/$n.in\";; esac\n"
			calls := filepath.Join(dir, "calls")
			if err := os.MkdirAll(calls, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "aws"), []byte(aws), 0o700); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), sh, "-s", "the'target")
			cmd.Stdin = bytes.NewReader(render.Shell(r, ""))
			cmd.Env = append(os.Environ(), "PATH="+dir+string(filepath.ListSeparator)+os.Getenv("PATH"), "CALLS="+calls)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s\n%s", err, out, render.Shell(r, ""))
			}
			documents, err := filepath.Glob(filepath.Join(calls, "*.in"))
			if err != nil || len(documents) != len(r.Documents) {
				t.Fatalf("%d documents were made, want %d", len(documents), len(r.Documents))
			}
			var given strings.Builder
			for i, file := range documents {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				var got any
				if err := json.Unmarshal(text, &got); err != nil {
					t.Fatal(err)
				}
				same(t, r.Documents[i].Document, got)
			}
			all, err := filepath.Glob(filepath.Join(calls, "*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range all {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.HasSuffix(file, ".in") {
					given.Write(text)
				}
			}
			for _, d := range r.Documents {
				want := "--policy-name\n" + d.Name + "\n"
				if !r.Placement.Inline {
					want = "\nthe'target\n--policy-arn\narn:aws:iam::123456789012:policy/" + d.Name + "\n"
				}
				if !strings.Contains(given.String(), want) {
					t.Errorf("%q is missing in\n%s", want, given.String())
				}
			}
			for _, a := range r.Attachments {
				if want := "\nthe'target\n--policy-arn\n" + a.ARN + "\n"; !strings.Contains(given.String(), want) {
					t.Errorf("%q is missing in\n%s", want, given.String())
				}
			}
		})
	}
}
