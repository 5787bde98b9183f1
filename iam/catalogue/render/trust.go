package render

import (
	"fmt"
	"strings"

	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/iam/trust"
)

// TrustJSON is the trust policy alone, indented, as AWS takes it.
func TrustJSON(p trust.Policy) []byte { return append(p.Document.Indent(), '\n') }

// trustComments are the notes, each behind a #.
func trustComments(p trust.Policy, also ...string) string {
	var b strings.Builder
	b.WriteString("# A role and who may assume it.\n")
	for _, note := range append(also, p.Notes...) {
		fmt.Fprintf(&b, "# - %s\n", oneLine(note))
	}
	return b.String()
}

// instanceProfile reports whether EC2 assumes the role, which then needs an instance profile.
func instanceProfile(p trust.Policy) bool {
	for _, one := range p.Document.Statements {
		for _, name := range one.Principal.Service {
			if strings.HasPrefix(name, "ec2.amazonaws.com") {
				return true
			}
		}
	}
	return false
}

// TrustTerraform writes a role with its trust policy, laid out as terraform fmt does, and an instance profile where EC2
// assumes it. name is the role's; when it is "" the configuration has a variable for it.
func TrustTerraform(p trust.Policy, name string) []byte {
	var b strings.Builder
	b.WriteString(trustComments(p))
	id, to := "role", "var.role"
	if name == "" {
		b.WriteString("\nvariable \"role\" {\n  description = \"Name of the role.\"\n  type        = string\n}\n")
	} else {
		id, to = label(name), quoted(name)
	}
	fmt.Fprintf(&b, "\nresource \"aws_iam_role\" %q {\n", id)
	attributes(&b, [2]string{"name", to})
	b.WriteString("  assume_role_policy = jsonencode(")
	values(p.Document).terraform(&b, "  ")
	b.WriteString(")\n}\n")
	if instanceProfile(p) {
		fmt.Fprintf(&b, "\nresource \"aws_iam_instance_profile\" %q {\n", id)
		attributes(&b, [2]string{"name", to}, [2]string{"role", "aws_iam_role." + id + ".name"})
		b.WriteString("}\n")
	}
	return []byte(b.String())
}

// TrustCloudFormation writes a template in YAML with a role and its trust policy. name is the role's; when it is "" the
// template has a parameter for it.
func TrustCloudFormation(p trust.Policy, name string) []byte {
	var b strings.Builder
	b.WriteString(trustComments(p, "The template names what it makes: deploy it with --capabilities CAPABILITY_NAMED_IAM."))
	b.WriteString("AWSTemplateFormatVersion: \"2010-09-09\"\nDescription: \"A role and who may assume it\"\n")
	to := yamlText(name)
	if name == "" {
		to = "!Ref RoleName"
		b.WriteString("Parameters:\n  RoleName:\n    Type: String\n    Description: Name of the role.\n")
	}
	fmt.Fprintf(&b, "Resources:\n  Role:\n    Type: AWS::IAM::Role\n    Properties:\n      RoleName: %s\n      AssumeRolePolicyDocument:\n", to)
	values(p.Document).yaml(&b, "        ")
	if instanceProfile(p) {
		fmt.Fprintf(&b, "  InstanceProfile:\n    Type: AWS::IAM::InstanceProfile\n    Properties:\n      InstanceProfileName: %s\n      Roles:\n        - !Ref Role\n", to)
	}
	return []byte(b.String())
}

// TrustShell writes a script of AWS CLI commands for a POSIX shell: it makes the role, or replaces the trust policy of one
// that is there. name is the role's; when it is "" the script takes it as its argument.
func TrustShell(p trust.Policy, name string) []byte {
	var b strings.Builder
	b.WriteString("#!/bin/sh\n" + trustComments(p, "The trust policy of a role that is there already is replaced: keep the statements that others need.") + "set -eu\n\n")
	if name == "" {
		b.WriteString("role=${1:?give the name of the role}\n")
	} else {
		fmt.Fprintf(&b, "role=%s\n", single(name))
	}
	document := strings.TrimSuffix(here(catalogue.Document{Document: p.Document}), "POLICY\n")
	fmt.Fprintf(&b, "trust=$(cat %sPOLICY\n)\n", document)
	b.WriteString("if aws iam get-role --role-name \"$role\" >/dev/null 2>&1; then\n" +
		"  aws iam update-assume-role-policy --role-name \"$role\" --policy-document \"$trust\"\n" +
		"else\n  aws iam create-role --role-name \"$role\" --assume-role-policy-document \"$trust\"\n")
	if instanceProfile(p) {
		b.WriteString("  aws iam create-instance-profile --instance-profile-name \"$role\"\n" +
			"  aws iam add-role-to-instance-profile --instance-profile-name \"$role\" --role-name \"$role\"\n")
	}
	b.WriteString("fi\n")
	return []byte(b.String())
}
