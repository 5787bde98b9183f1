package render

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/belay-dev/belay/iam/catalogue"
)

// Terraform writes resources of the AWS provider, laid out as terraform fmt does. target is the name of the role, user or
// group; when it is "" the configuration has a variable for it.
func Terraform(r catalogue.Result, target string) []byte {
	var b strings.Builder
	b.WriteString(comments(r))
	entity := string(r.Placement.To)
	to := quoted(target)
	if target == "" {
		to = "var." + entity
		fmt.Fprintf(&b, "\nvariable %q {\n  description = \"Name of the %s that the policies are attached to.\"\n  type        = string\n}\n", entity, entity)
	}
	used := map[string]bool{}
	for _, d := range r.Documents {
		name := unique(used, label(d.Name))
		if r.Placement.Inline {
			fmt.Fprintf(&b, "\nresource \"aws_iam_%s_policy\" %q {\n", entity, name)
			attributes(&b, [2]string{"name", quoted(d.Name)}, [2]string{entity, to})
		} else {
			fmt.Fprintf(&b, "\nresource \"aws_iam_policy\" %q {\n", name)
			attributes(&b, [2]string{"name", quoted(d.Name)})
		}
		b.WriteString("  policy = jsonencode(")
		values(d.Document).terraform(&b, "  ")
		b.WriteString(")\n}\n")
		if !r.Placement.Inline {
			attachment(&b, entity, name, to, "aws_iam_policy."+name+".arn")
		}
	}
	for _, a := range r.Attachments {
		attachment(&b, entity, unique(used, label(a.Name)), to, quoted(a.ARN))
	}
	return []byte(b.String())
}

func attachment(b *strings.Builder, entity, name, to, arn string) {
	fmt.Fprintf(b, "\nresource \"aws_iam_%s_policy_attachment\" %q {\n", entity, name)
	attributes(b, [2]string{entity, to}, [2]string{"policy_arn", arn})
	b.WriteString("}\n")
}

// attributes writes arguments with their signs of equality below one another.
func attributes(b *strings.Builder, pairs ...[2]string) {
	widest := 0
	for _, p := range pairs {
		widest = max(widest, len(p[0]))
	}
	for _, p := range pairs {
		fmt.Fprintf(b, "  %-*s = %s\n", widest, p[0], p[1])
	}
}

// terraform writes a value as an expression whose lines, but for the first, begin with indent. terraform fmt aligns the
// signs of equality of neighbouring lines, except of those on which a bracket stays open.
func (v value) terraform(b *strings.Builder, indent string) {
	deeper := indent + "  "
	switch {
	case v.kind == 0:
		b.WriteString(quoted(v.text))
	case v.kind == '[' && v.empty():
		b.WriteString("[]")
	case v.empty():
		b.WriteString("{}")
	case v.kind == '[':
		b.WriteString("[\n")
		for _, item := range v.items {
			b.WriteString(deeper)
			item.terraform(b, deeper)
			b.WriteString(",\n")
		}
		b.WriteString(indent + "]")
	default:
		b.WriteString("{\n")
		widths := v.widths()
		for i, m := range v.members {
			fmt.Fprintf(b, "%s%s%s = ", deeper, attribute(m.name), strings.Repeat(" ", widths[i]-columns(attribute(m.name))))
			m.value.terraform(b, deeper)
			b.WriteString("\n")
		}
		b.WriteString(indent + "}")
	}
}

// widths are how wide the name of each member is written.
func (v value) widths() []int {
	widths := make([]int, len(v.members))
	for i := 0; i < len(widths); {
		end, widest := i, 0
		for end < len(widths) && v.members[end].value.single() {
			widest = max(widest, columns(attribute(v.members[end].name)))
			end++
		}
		if end == i {
			widths[i] = columns(attribute(v.members[i].name))
			i++
			continue
		}
		for ; i < end; i++ {
			widths[i] = widest
		}
	}
	return widths
}

// single says whether a value is written on one line.
func (v value) single() bool { return v.kind == 0 || v.empty() }

func columns(text string) int { return len([]rune(text)) }

var identifier = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

// attribute is a key of an object, in quotes where it is no plain word.
func attribute(name string) string {
	if identifier.MatchString(name) && !slices.Contains([]string{"for", "if", "in", "null", "true", "false"}, name) {
		return name
	}
	return quoted(name)
}

// quoted is a string in which nothing is a template.
func quoted(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case (r == '$' || r == '%') && strings.HasPrefix(text[i+1:], "{"):
			b.WriteString(string(r) + string(r))
		case !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// unique is a label that was not used before.
func unique(used map[string]bool, name string) string {
	for i, first := 2, name; used[name]; i++ {
		name = fmt.Sprintf("%s_%d", first, i)
	}
	used[name] = true
	return name
}
