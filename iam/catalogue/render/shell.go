package render

import (
	"fmt"
	"strings"

	"github.com/belay-dev/belay/iam/catalogue"
)

// Shell writes a script of AWS CLI commands for a POSIX shell. target is the name of the role, user or group; when it is
// "" the script takes it as its argument. Documents go through here-documents with a quoted delimiter, in which a shell
// replaces nothing.
func Shell(r catalogue.Result, target string) []byte {
	var b strings.Builder
	b.WriteString("#!/bin/sh\n" + comments(r, "A policy that exists already stops the script: give it another version with aws iam create-policy-version.") + "set -eu\n\n")
	entity := string(r.Placement.To)
	if target == "" {
		fmt.Fprintf(&b, "%s=${1:?give the name of the %s}\n", entity, entity)
	} else {
		fmt.Fprintf(&b, "%s=%s\n", entity, single(target))
	}
	to := fmt.Sprintf("--%s-name \"$%s\"", entity, entity)
	if r.Placement.Inline {
		for _, d := range r.Documents {
			fmt.Fprintf(&b, "\naws iam put-%s-policy %s --policy-name %s --policy-document file:///dev/stdin %s", entity, to, single(d.Name), here(d))
		}
	} else if len(r.Documents) > 0 {
		b.WriteString("account=$(aws sts get-caller-identity --query Account --output text)\n")
		for _, d := range r.Documents {
			fmt.Fprintf(&b, "\naws iam create-policy --policy-name %s --policy-document file:///dev/stdin %s", single(d.Name), here(d))
			fmt.Fprintf(&b, "aws iam attach-%s-policy %s --policy-arn \"arn:%s:iam::$account:policy/\"%s\n", entity, to, r.Partition, single(d.Name))
		}
	}
	if len(r.Attachments) > 0 {
		b.WriteString("\n")
	}
	for _, a := range r.Attachments {
		fmt.Fprintf(&b, "aws iam attach-%s-policy %s --policy-arn %s\n", entity, to, single(a.ARN))
	}
	return []byte(b.String())
}

// here is a here-document. No line of indented JSON is the delimiter: each holds a bracket, a quote or a comma.
func here(d catalogue.Document) string {
	return "<<'POLICY'\n" + string(d.Document.Indent()) + "\nPOLICY\n"
}

// single is a word in single quotes, in which a shell replaces nothing.
func single(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
