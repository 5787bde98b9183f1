package render

import (
	"fmt"
	"strings"

	"github.com/belay-dev/belay/iam"
)

// Place is where a policy is that is there already, or is to be made.
type Place struct {
	// Kind is Managed, Inline, Organizational or TrustOf.
	Kind   PlaceKind
	Name   string // of the policy
	Entity string // of an inline policy: role, user or group
	Holder string // name of the role, user or group of an inline policy; name of the role of a trust policy
}

// PlaceKind is a kind of policy.
type PlaceKind string

// The kinds.
const (
	Managed        PlaceKind = "managed"        // a customer-managed policy, which a permissions boundary is too
	Inline         PlaceKind = "inline"         // of one role, user or group
	Organizational PlaceKind = "organizational" // a service control policy
	TrustOf        PlaceKind = "trust"          // who may assume a role
)

// PolicyTerraform writes the resource that holds a document in a place, laid out as terraform fmt does. It is to be put in the
// place of the one that is there, or imported.
func PolicyTerraform(d *iam.Document, at Place) []byte {
	var b strings.Builder
	argument := "policy"
	switch at.Kind {
	case Inline:
		fmt.Fprintf(&b, "resource \"aws_iam_%s_policy\" %q {\n", at.Entity, label(at.Name))
		attributes(&b, [2]string{"name", quoted(at.Name)}, [2]string{at.Entity, quoted(at.Holder)})
	case Organizational:
		fmt.Fprintf(&b, "resource \"aws_organizations_policy\" %q {\n", label(at.Name))
		attributes(&b, [2]string{"name", quoted(at.Name)})
		argument = "content"
	case TrustOf:
		fmt.Fprintf(&b, "resource \"aws_iam_role\" %q {\n", label(at.Holder))
		attributes(&b, [2]string{"name", quoted(at.Holder)})
		argument = "assume_role_policy"
	default:
		fmt.Fprintf(&b, "resource \"aws_iam_policy\" %q {\n", label(at.Name))
		attributes(&b, [2]string{"name", quoted(at.Name)})
	}
	b.WriteString("  " + argument + " = jsonencode(")
	values(d).terraform(&b, "  ")
	b.WriteString(")\n}\n")
	return []byte(b.String())
}

// PolicyCloudFormation writes the resource that holds a document in a place, in YAML: a part of a template, for the one that
// has it.
func PolicyCloudFormation(d *iam.Document, at Place) []byte {
	var b strings.Builder
	write := func(id, kind, document string, properties ...[2]string) {
		fmt.Fprintf(&b, "%s:\n  Type: %s\n  Properties:\n", id, kind)
		for _, p := range properties {
			fmt.Fprintf(&b, "    %s: %s\n", p[0], yamlText(p[1]))
		}
		fmt.Fprintf(&b, "    %s:\n", document)
	}
	id := strings.ReplaceAll(logicalID(at.Name), "_", "x")
	switch at.Kind {
	case Inline:
		entity := strings.ToUpper(at.Entity[:1]) + at.Entity[1:]
		write(id, "AWS::IAM::"+entity+"Policy", "PolicyDocument", [2]string{"PolicyName", at.Name}, [2]string{entity + "Name", at.Holder})
	case Organizational:
		write(id, "AWS::Organizations::Policy", "Content", [2]string{"Name", at.Name}, [2]string{"Type", "SERVICE_CONTROL_POLICY"})
	case TrustOf:
		write("Role", "AWS::IAM::Role", "AssumeRolePolicyDocument", [2]string{"RoleName", at.Holder})
	default:
		write(id, "AWS::IAM::ManagedPolicy", "PolicyDocument", [2]string{"ManagedPolicyName", at.Name})
	}
	values(d).yaml(&b, "      ")
	return []byte(b.String())
}
