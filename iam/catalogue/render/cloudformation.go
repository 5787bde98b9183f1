package render

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam/catalogue"
)

// CloudFormation writes a template in YAML. target is the name of the role, user or group; when it is "" the template has
// a parameter for it. The error is ErrAttachments when the result holds AWS-managed policies.
func CloudFormation(r catalogue.Result, target string) ([]byte, error) {
	if len(r.Attachments) > 0 {
		return nil, ErrAttachments
	}
	var b strings.Builder
	b.WriteString(comments(r, "The template names what it makes: deploy it with --capabilities CAPABILITY_NAMED_IAM."))
	fmt.Fprintf(&b, "AWSTemplateFormatVersion: \"2010-09-09\"\nDescription: %s\n", yamlText("IAM policies for "+strings.Join(r.Capabilities, ", ")))
	entity := strings.ToUpper(string(r.Placement.To)[:1]) + string(r.Placement.To)[1:]
	to := yamlText(target)
	if target == "" {
		to = "!Ref " + entity
		fmt.Fprintf(&b, "Parameters:\n  %s:\n    Type: String\n    Description: Name of the %s that the policies are attached to.\n", entity, r.Placement.To)
	}
	b.WriteString("Resources:\n")
	used := map[string]bool{}
	for _, d := range r.Documents {
		kind, nameOf := "ManagedPolicy", "ManagedPolicyName"
		if r.Placement.Inline {
			kind, nameOf = entity+"Policy", "PolicyName"
		}
		id := strings.ReplaceAll(unique(used, logicalID(d.Name)), "_", "x")
		fmt.Fprintf(&b, "  %s:\n    Type: AWS::IAM::%s\n    Properties:\n      %s: %s\n", id, kind, nameOf, yamlText(d.Name))
		if r.Placement.Inline {
			fmt.Fprintf(&b, "      %sName: %s\n", entity, to)
		} else {
			fmt.Fprintf(&b, "      %ss:\n        - %s\n", entity, to)
		}
		b.WriteString("      PolicyDocument:\n")
		values(d.Document).yaml(&b, "        ")
	}
	return []byte(b.String()), nil
}

// yaml writes an object or an array that is not empty, each line with its indent.
func (v value) yaml(b *strings.Builder, indent string) {
	for _, m := range v.members {
		b.WriteString(indent + yamlKey(m.name) + ":")
		m.value.yamlBehind(b, indent)
	}
	for _, item := range v.items {
		if item.kind == '{' && !item.empty() { // its first member stands behind the dash
			var inner strings.Builder
			item.yaml(&inner, indent+"  ")
			b.WriteString(indent + "- " + strings.TrimPrefix(inner.String(), indent+"  "))
			continue
		}
		b.WriteString(indent + "-")
		item.yamlBehind(b, indent)
	}
}

// yamlBehind writes a value behind a key or a dash.
func (v value) yamlBehind(b *strings.Builder, indent string) {
	switch {
	case v.kind == 0:
		b.WriteString(" " + yamlText(v.text) + "\n")
	case v.empty():
		b.WriteString(" " + string(v.kind) + map[json.Delim]string{'[': "]", '{': "}"}[v.kind] + "\n")
	default:
		b.WriteString("\n")
		v.yaml(b, indent+"  ")
	}
}

// yamlKey is a key, in quotes where it is no plain word: Null is a condition operator, and YAML's nothing.
func yamlKey(name string) string {
	words := []string{"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
	if identifier.MatchString(name) && !slices.Contains(words, strings.ToLower(name)) {
		return name
	}
	return yamlText(name)
}

// yamlText is a string in double quotes, where YAML takes what JSON takes.
func yamlText(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}
