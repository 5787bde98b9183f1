package render_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/catalogue/render"
)

// places are one of each kind, with names that must be quoted.
func places() map[string]render.Place {
	return map[string]render.Place{
		"a managed policy":         {Kind: render.Managed, Name: "it's-a boundary"},
		"an inline policy":         {Kind: render.Inline, Name: "belay-connector", Entity: "role", Holder: "deploy \"x\""},
		"an organization's policy": {Kind: render.Organizational, Name: "guard"},
		"a trust policy":           {Kind: render.TrustOf, Holder: "belay-deploy"},
	}
}

func TestPolicyTerraformIsFormatted(t *testing.T) {
	t.Parallel()
	document, err := iam.Parse([]byte(odd))
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range places() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := string(render.PolicyTerraform(document, at))
			if formatted := terraform(t, t.TempDir(), text, "fmt", "-"); formatted != text {
				t.Error(cmp.Diff(text, formatted))
			}
		})
	}
}

func TestPolicyCloudFormationHoldsTheDocument(t *testing.T) {
	t.Parallel()
	document, err := iam.Parse([]byte(odd))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct{ kind, property, holder string }{
		"a managed policy":         {"AWS::IAM::ManagedPolicy", "PolicyDocument", ""},
		"an inline policy":         {"AWS::IAM::RolePolicy", "PolicyDocument", `deploy "x"`},
		"an organization's policy": {"AWS::Organizations::Policy", "Content", ""},
		"a trust policy":           {"AWS::IAM::Role", "AssumeRolePolicyDocument", "belay-deploy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got map[string]struct {
				Type       string         `yaml:"Type"`
				Properties map[string]any `yaml:"Properties"`
			}
			text := render.PolicyCloudFormation(document, places()[name])
			if err := yaml.Unmarshal(text, &got); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			for _, one := range got {
				if one.Type != want.kind || want.holder != "" && one.Properties["RoleName"] != want.holder {
					t.Errorf("got %s %v", one.Type, one.Properties)
				}
				same(t, document, one.Properties[want.property])
			}
			if len(got) != 1 {
				t.Errorf("it makes %d resources", len(got))
			}
		})
	}
	if text := string(render.PolicyTerraform(document, places()["an inline policy"])); !strings.Contains(text, "resource \"aws_iam_role_policy\" \"belay_connector\"") {
		t.Errorf("%s", text)
	}
}
