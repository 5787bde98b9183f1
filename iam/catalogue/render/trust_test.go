package render_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/catalogue/render"
	"github.com/belay-dev/belay/iam/trust"
)

// trusts are trust policies of each shape, and one with whatever makes a quoting go wrong.
func trusts(t *testing.T) map[string]trust.Policy {
	t.Helper()
	odd, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111111111111:oidc-provider/x"},"Action":"sts:AssumeRoleWithWebIdentity",
		"Condition":{"StringLike":{"x:sub":["${aws:username}/%{x}/$${y}/'\"\\é)/*","q\t\n<&>"]},"Null":{"x:amr":"false"}}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]trust.Policy{"everything that must be quoted": {Partition: "aws", Document: odd, Notes: []string{"one\nline\u2028only"}}}
	for name, ask := range map[string]trust.Ask{
		"EC2 in China":    {For: trust.EC2, Partition: "aws-cn"},
		"another account": {For: trust.CrossAccount, Principals: []string{"222222222222", "arn:aws:iam::333333333333:role/r"}, ExternalID: "a/b", Tags: true},
		"Pod Identity":    {For: trust.PodIdentity, Namespace: "ci", ServiceAccount: "delegate"},
	} {
		if all[name], err = trust.For(ask); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return all
}

func TestTrustJSONIsTheDocument(t *testing.T) {
	t.Parallel()
	for name, p := range trusts(t) {
		var got any
		if err := json.Unmarshal(render.TrustJSON(p), &got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		same(t, p.Document, got)
	}
}

func TestTrustTerraform(t *testing.T) {
	t.Parallel()
	for name, p := range trusts(t) {
		for _, role := range []string{"", "it's.deploy"} {
			t.Run(name+" "+role, func(t *testing.T) {
				t.Parallel()
				text := string(render.TrustTerraform(p, role))
				if formatted := terraform(t, t.TempDir(), text, "fmt", "-"); formatted != text {
					t.Error(cmp.Diff(text, formatted))
				}
				_, after, found := strings.Cut(text, "assume_role_policy = jsonencode(")
				expression, _, ended := strings.Cut(after, "\n  })\n}\n")
				if !found || !ended {
					t.Fatalf("the policy is not there:\n%s", text)
				}
				dir := t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte("locals {\n  all = jsonencode("+expression+"\n})\n}\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				var printed string // console prints a string as a quoted literal, and jsonencode twice makes that JSON in JSON
				if err := json.Unmarshal([]byte(terraform(t, dir, "jsonencode(local.all)", "console")), &printed); err != nil {
					t.Fatal(err)
				}
				var once string
				if err := json.Unmarshal([]byte(printed), &once); err != nil {
					t.Fatal(err)
				}
				var got any
				if err := json.Unmarshal([]byte(once), &got); err != nil {
					t.Fatal(err)
				}
				same(t, p.Document, got)
				if profile := strings.Contains(text, "aws_iam_instance_profile"); profile != strings.HasPrefix(name, "EC2") {
					t.Errorf("instance profile: %v", profile)
				}
			})
		}
	}
}

func TestTrustCloudFormation(t *testing.T) {
	t.Parallel()
	for name, p := range trusts(t) {
		for _, role := range []string{"", "it: 'x'"} {
			t.Run(name+" "+role, func(t *testing.T) {
				t.Parallel()
				var got struct {
					Parameters map[string]any `yaml:"Parameters"`
					Resources  map[string]struct {
						Properties map[string]any `yaml:"Properties"`
					} `yaml:"Resources"`
				}
				text := render.TrustCloudFormation(p, role)
				if err := yaml.Unmarshal(text, &got); err != nil {
					t.Fatalf("%v in\n%s", err, text)
				}
				properties := got.Resources["Role"].Properties
				same(t, p.Document, properties["AssumeRolePolicyDocument"])
				want := role
				if role == "" {
					want = "RoleName" // what !Ref names
				}
				if properties["RoleName"] != want || len(got.Parameters) != map[bool]int{true: 1}[role == ""] {
					t.Errorf("the role is %v, the parameters are %v", properties["RoleName"], got.Parameters)
				}
			})
		}
	}
}

// TestTrustShellRuns runs the script with a stand-in for aws, for a role that is there and for one that is not.
func TestTrustShellRuns(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal("there is no shell, which the commands are for")
	}
	for name, p := range trusts(t) {
		for _, there := range []string{"yes", "no"} {
			t.Run(name+" "+there, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				aws := "#!/bin/sh\nif [ \"$2\" = get-role ]; then test \"$THERE\" = yes; exit; fi\nprintf '%s\\n' \"$1 $2\" >>\"$DIR/calls\"\n" +
					"while [ $# -gt 0 ]; do case \"$1\" in --policy-document|--assume-role-policy-document) printf %s \"$2\" >\"$DIR/document\";; --role-name) printf %s \"$2\" >\"$DIR/role\";; esac; shift; done\n"
				if err := os.WriteFile(filepath.Join(dir, "aws"), []byte(aws), 0o700); err != nil {
					t.Fatal(err)
				}
				cmd := exec.CommandContext(t.Context(), sh, "-s", "the'role")
				cmd.Stdin = bytes.NewReader(render.TrustShell(p, ""))
				cmd.Env = append(os.Environ(), "PATH="+dir+string(filepath.ListSeparator)+os.Getenv("PATH"), "DIR="+dir, "THERE="+there)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				read := func(file string) []byte {
					text, err := os.ReadFile(filepath.Join(dir, file))
					if err != nil {
						t.Fatal(err)
					}
					return text
				}
				var got any
				if err := json.Unmarshal(read("document"), &got); err != nil {
					t.Fatal(err)
				}
				same(t, p.Document, got)
				want := "iam update-assume-role-policy\n"
				if there == "no" {
					want = "iam create-role\n"
					if strings.HasPrefix(name, "EC2") {
						want += "iam create-instance-profile\niam add-role-to-instance-profile\n"
					}
				}
				if calls := string(read("calls")); calls != want || string(read("role")) != "the'role" {
					t.Errorf("for %s:\n%s", read("role"), calls)
				}
			})
		}
	}
}
