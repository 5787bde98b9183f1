package policysource

import (
	"encoding/json"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/lint"
)

// terraform reads a file of Terraform: jsonencode({…}) with a Statement, strings and heredocs that hold a policy, and
// aws_iam_policy_document blocks. Nothing is evaluated; what a reference stands for is not known, but for the form of the
// ARN that a resource of a well-known type has.
func (r *reader) terraform(src []byte, name string) {
	if at, ok := tooDeep(src); ok {
		r.fail(at, "the text nests deeper than %d levels", maxDepth)
		return
	}
	parsed, diagnostics := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	for _, d := range diagnostics {
		if d.Severity == hcl.DiagError && d.Subject != nil {
			r.fail(d.Subject.Start.Byte, "this is not Terraform: %s", strings.ToLower(d.Summary[:min(1, len(d.Summary))])+d.Summary[min(1, len(d.Summary)):]+": "+d.Detail)
		}
	}
	if body, ok := parsed.Body.(*hclsyntax.Body); ok && !diagnostics.HasErrors() {
		r.body(body, "", lint.Subject{})
	}
}

// tooDeep bounds how deep brackets nest, roughly: those in strings count, too.
func tooDeep(src []byte) (offset int, is bool) {
	depth := 0
	for i, c := range src {
		switch c {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth = max(0, depth-1)
		}
		if depth > maxDepth {
			return i, true
		}
	}
	return 0, false
}

// body looks at the attributes of a block and at the blocks in it.
func (r *reader) body(b *hclsyntax.Body, where string, about lint.Subject) {
	if a := b.Attributes["name"]; a != nil {
		if v := convert(a.Expr); v.kind == text {
			about.Name += " " + strings.ReplaceAll(v.text, lint.Unknown, "")
		}
	}
	for _, name := range inOrder(b.Attributes) {
		inner := about
		if k := kindOf(where, name); k != lint.Guessed {
			inner.Kind = k
		}
		r.expression(b.Attributes[name].Expr, join(where, name), inner)
	}
	for _, block := range b.Blocks {
		inner, at := about, join(where, block.Type)
		if where == "" && len(block.Labels) == 2 {
			at = block.Labels[0] + "." + block.Labels[1]
			if block.Type == "data" {
				at = "data." + at
			}
			inner.Name = strings.TrimSpace(about.Name + " " + block.Labels[1])
		} else if len(block.Labels) > 0 {
			at += "." + strings.Join(block.Labels, ".")
		}
		if block.Type == "data" && len(block.Labels) == 2 && block.Labels[0] == "aws_iam_policy_document" {
			r.documentBlock(block, at, inner)
			continue
		}
		r.body(block.Body, at, inner)
	}
}

func inOrder(attributes hclsyntax.Attributes) []string {
	names := make([]string, 0, len(attributes))
	for name := range attributes {
		names = append(names, name)
	}
	for i := 1; i < len(names); i++ {
		for j := i; j > 0 && attributes[names[j]].SrcRange.Start.Byte < attributes[names[j-1]].SrcRange.Start.Byte; j-- {
			names[j], names[j-1] = names[j-1], names[j]
		}
	}
	return names
}

// kindOf tells the kind of a policy by the resource that it is an argument of.
func kindOf(where, attribute string) lint.Kind {
	resource, _, _ := strings.Cut(where, ".")
	switch {
	case attribute == "assume_role_policy":
		return lint.Trust
	case resource == "aws_organizations_policy", resource == "aws_vpc_endpoint", resource == "aws_vpc_endpoint_policy":
		if resource == "aws_organizations_policy" {
			return lint.SCP
		}
		return lint.Endpoint
	case strings.HasPrefix(resource, "aws_iam_") && (attribute == "policy" || attribute == "inline_policy"):
		return lint.Identity
	case strings.HasPrefix(resource, "aws_ssoadmin_"):
		return lint.Identity
	case strings.HasPrefix(resource, "aws_") && attribute == "policy":
		return lint.Resource
	}
	return lint.Guessed
}

// expression looks for policies in an expression, and does not look into those that it found.
func (r *reader) expression(e hclsyntax.Expression, where string, about lint.Subject) {
	var inside []hcl.Range
	_ = hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
		at := n.Range()
		for _, outer := range inside {
			if at.Start.Byte >= outer.Start.Byte && at.End.Byte <= outer.End.Byte {
				return nil
			}
		}
		switch n := n.(type) {
		case *hclsyntax.FunctionCallExpr:
			if n.Name != "jsonencode" || len(n.Args) != 1 {
				break
			}
			inside = append(inside, at)
			document := convert(n.Args[0])
			if !document.isPolicy() {
				if document.kind == unknown && strings.Contains(strings.ToLower(where), "policy") {
					r.note(at.Start.Byte, "%s: what jsonencode is given is not understood; it is not looked at", where)
				}
				break
			}
			if filled, ok := r.fill(document, where); ok {
				out, place := filled.print()
				r.add(out, where, about, place)
			}
		case *hclsyntax.TemplateExpr:
			r.template(n, where, about)
		}
		return nil
	})
}

// template looks at a string or heredoc that holds a policy as JSON.
func (r *reader) template(t *hclsyntax.TemplateExpr, where string, about lint.Subject) {
	v := convert(t)
	if v.kind != text || !strings.HasPrefix(strings.TrimSpace(v.text), "{") || !strings.Contains(v.text, `"Statement"`) {
		return
	}
	start := t.SrcRange.Start.Byte
	place := func(iam.Position) int { return start } // of a quoted string, where each quote inside is escaped
	if strings.HasPrefix(string(r.file.text[start:]), "<<") {
		first := r.file.position(start).Line
		document := strings.Split(v.text, "\n")
		place = func(p iam.Position) int {
			line := first + p.Line
			if line > len(r.file.starts) || p.Line > len(document) {
				return start
			}
			// A heredoc that begins with <<- lost the indentation that its lines have in common.
			shift := indentation(r.file.line(line)) - indentation(document[p.Line-1])
			return r.file.starts[line-1] + min(len(r.file.line(line)), max(0, shift)+p.Column-1)
		}
	}
	r.add([]byte(v.text), where, about, place)
}

func indentation(line string) int { return len(line) - len(strings.TrimLeft(line, " \t")) }

// convert makes a node of an expression. What would have to be evaluated is unknown.
func convert(e hclsyntax.Expression) node {
	at := e.Range()
	n := node{kind: unknown, offset: at.Start.Byte, end: at.End.Byte}
	switch e := e.(type) {
	case *hclsyntax.ParenthesesExpr:
		return convert(e.Expression)
	case *hclsyntax.TemplateWrapExpr:
		return convert(e.Wrapped)
	case *hclsyntax.LiteralValueExpr:
		return literal(n, e.Val)
	case *hclsyntax.ObjectConsExpr:
		n.kind = object
		for _, item := range e.Items {
			name := key(item.KeyExpr)
			n.members = append(n.members, member{name, item.KeyExpr.Range().Start.Byte, convert(item.ValueExpr)})
		}
	case *hclsyntax.TupleConsExpr:
		n.kind = array
		for _, item := range e.Exprs {
			n.items = append(n.items, convert(item))
		}
	case *hclsyntax.TemplateExpr:
		return template(n, e)
	case *hclsyntax.FunctionCallExpr:
		return call(n, e)
	case *hclsyntax.ScopeTraversalExpr:
		n.text = reference(e.Traversal)
	}
	return n
}

func literal(n node, v cty.Value) node {
	switch {
	case v.IsNull():
		n.kind = null
	case v.Type() == cty.String:
		n.kind, n.text = text, v.AsString()
	case v.Type() == cty.Bool:
		n.kind, n.text = boolean, "false"
		if v.True() {
			n.text = "true"
		}
	case v.Type() == cty.Number:
		n.kind, n.text = number, v.AsBigFloat().Text('g', 20)
		if len(n.text) > 40 || !json.Valid([]byte(n.text)) {
			n.kind, n.text = unknown, ""
		}
	}
	return n
}

// key is the name of a member of an object.
func key(e hclsyntax.Expression) string {
	if wrapped, ok := e.(*hclsyntax.ObjectConsKeyExpr); ok {
		if name := hcl.ExprAsKeyword(wrapped); name != "" && !wrapped.ForceNonLiteral {
			return name
		}
		e = wrapped.Wrapped
	}
	if v := convert(e); v.kind == text || v.kind == number || v.kind == boolean {
		return v.text
	}
	return lint.Unknown
}

func template(n node, e *hclsyntax.TemplateExpr) node {
	var b strings.Builder
	for _, part := range e.Parts {
		switch v := convert(part); {
		case v.kind == text || v.kind == number || v.kind == boolean || v.kind == unknown && v.text != "":
			b.WriteString(v.text)
		default:
			b.WriteString(lint.Unknown)
		}
	}
	n.kind, n.text = text, b.String()
	return n
}

// call knows the few functions that only put lists together.
func call(n node, e *hclsyntax.FunctionCallExpr) node {
	switch e.Name {
	case "concat", "flatten", "tolist", "toset", "distinct", "compact", "sort":
	default:
		return n
	}
	out := node{kind: array, offset: n.offset, end: n.end}
	for _, arg := range e.Args {
		v := convert(arg)
		if v.kind != array || e.ExpandFinal {
			out.items = append(out.items, node{kind: unknown, offset: v.offset, end: v.end})
			continue
		}
		for _, item := range v.items {
			if e.Name == "flatten" && item.kind == array {
				out.items = append(out.items, item.items...)
			} else {
				out.items = append(out.items, item)
			}
		}
	}
	return out
}

// arns are the forms of the ARNs of Terraform's resources, by type. The name in Terraform stands for the name in AWS.
var arns = map[string]string{ //nolint:gochecknoglobals,gosec // a table; a secret's ARN is none
	"aws_s3_bucket":             "arn:aws:s3:::NAME",
	"aws_iam_role":              "arn:aws:iam::000000000000:role/NAME",
	"aws_iam_user":              "arn:aws:iam::000000000000:user/NAME",
	"aws_iam_group":             "arn:aws:iam::000000000000:group/NAME",
	"aws_iam_policy":            "arn:aws:iam::000000000000:policy/NAME",
	"aws_lambda_function":       "arn:aws:lambda:*:000000000000:function:NAME",
	"aws_dynamodb_table":        "arn:aws:dynamodb:*:000000000000:table/NAME",
	"aws_sqs_queue":             "arn:aws:sqs:*:000000000000:NAME",
	"aws_sns_topic":             "arn:aws:sns:*:000000000000:NAME",
	"aws_kms_key":               "arn:aws:kms:*:000000000000:key/NAME",
	"aws_ecr_repository":        "arn:aws:ecr:*:000000000000:repository/NAME",
	"aws_ecs_cluster":           "arn:aws:ecs:*:000000000000:cluster/NAME",
	"aws_secretsmanager_secret": "arn:aws:secretsmanager:*:000000000000:secret:NAME-*",
	"aws_ssm_parameter":         "arn:aws:ssm:*:000000000000:parameter/NAME",
	"aws_cloudwatch_log_group":  "arn:aws:logs:*:000000000000:log-group:NAME",
	"aws_sfn_state_machine":     "arn:aws:states:*:000000000000:stateMachine:NAME",
}

// reference is what is known of a reference such as aws_s3_bucket.logs.arn.
func reference(t hcl.Traversal) string {
	if len(t) != 3 || t.IsRelative() {
		return ""
	}
	name, _ := t[1].(hcl.TraverseAttr)
	attribute, _ := t[2].(hcl.TraverseAttr)
	form, ok := arns[t.RootName()]
	if !ok || attribute.Name != "arn" || name.Name == "" {
		return ""
	}
	return strings.ReplaceAll(form, "NAME", strings.ReplaceAll(name.Name, "_", "-"))
}

// documentBlock reads data "aws_iam_policy_document", which says in blocks what a policy says in JSON. Variables of
// policies are &{…} in it.
func (r *reader) documentBlock(b *hclsyntax.Block, where string, about lint.Subject) {
	for _, name := range []string{"source_policy_documents", "override_policy_documents", "source_json", "override_json"} {
		if a := b.Body.Attributes[name]; a != nil {
			r.note(a.SrcRange.Start.Byte, "%s: what %s adds is not looked at", where, name)
		}
	}
	at := b.TypeRange.Start.Byte
	version := node{kind: text, text: "2012-10-17", offset: at}
	if a := b.Body.Attributes["version"]; a != nil {
		version = convert(a.Expr)
	}
	statements := node{kind: array, offset: at}
	for _, inner := range b.Body.Blocks {
		switch inner.Type {
		case "statement":
			statements.items = append(statements.items, r.statementBlock(inner, where))
		case "dynamic":
			r.note(inner.TypeRange.Start.Byte, "%s: a dynamic block is not understood; what it makes is not looked at", where)
		}
	}
	if len(statements.items) == 0 {
		return
	}
	document := node{kind: object, offset: at, members: []member{{"Version", version.offset, version}, {"Statement", at, statements}}}
	if filled, ok := r.fill(document, where); ok {
		out, place := filled.print()
		r.add(out, where, about, place)
	}
}

func (r *reader) statementBlock(b *hclsyntax.Block, where string) node {
	at := b.TypeRange.Start.Byte
	n := node{kind: object, offset: at, end: b.CloseBraceRange.End.Byte}
	effect := node{kind: text, text: "Allow", offset: at}
	if a := b.Body.Attributes["effect"]; a != nil {
		effect = convert(a.Expr)
	}
	n.members = append(n.members, member{"Effect", effect.offset, effect})
	for _, pair := range [...][2]string{
		{"sid", "Sid"}, {"actions", "Action"}, {"not_actions", "NotAction"}, {"resources", "Resource"}, {"not_resources", "NotResource"},
	} {
		if a := b.Body.Attributes[pair[0]]; a != nil {
			n.members = append(n.members, member{pair[1], a.SrcRange.Start.Byte, ampersands(convert(a.Expr))})
		}
	}
	var conditions []member
	for _, inner := range b.Body.Blocks {
		switch inner.Type {
		case "principals", "not_principals":
			n.members = principal(n.members, inner)
		case "condition":
			conditions = condition(conditions, inner)
		case "dynamic":
			r.note(inner.TypeRange.Start.Byte, "%s: a dynamic block is not understood; what it makes is not looked at", where)
		}
	}
	if len(conditions) > 0 {
		n.members = append(n.members, member{"Condition", conditions[0].offset, node{kind: object, offset: conditions[0].offset, members: conditions}})
	}
	return n
}

func attribute(b *hclsyntax.Block, name string) node {
	if a := b.Body.Attributes[name]; a != nil {
		return ampersands(convert(a.Expr))
	}
	return node{kind: unknown, offset: b.TypeRange.Start.Byte}
}

// principal adds a block of principals to the members of a statement.
func principal(members []member, b *hclsyntax.Block) []member {
	at := b.TypeRange.Start.Byte
	name := map[string]string{"principals": "Principal", "not_principals": "NotPrincipal"}[b.Type]
	kindOf, identifiers := attribute(b, "type"), attribute(b, "identifiers")
	everybody := node{kind: text, text: "*", offset: at}
	switch kindOf.text {
	case "AWS", "Service", "Federated", "CanonicalUser":
	case "*":
		return append(members, member{name, at, everybody})
	default:
		kindOf.text, identifiers = "AWS", node{kind: unknown, offset: at}
	}
	for i, m := range members {
		if m.name == name && m.value.kind == object {
			m.value.members = append(m.value.members, member{kindOf.text, at, identifiers})
			members[i] = m
			return members
		}
	}
	return append(members, member{name, at, node{kind: object, offset: at, members: []member{{kindOf.text, at, identifiers}}}})
}

// condition adds a block of a condition to those of a statement.
func condition(all []member, b *hclsyntax.Block) []member {
	at := b.TypeRange.Start.Byte
	test, variable, values := attribute(b, "test"), attribute(b, "variable"), attribute(b, "values")
	if test.kind != text || variable.kind != text {
		test.text, variable.text = "StringEquals", lint.Unknown
	}
	one := member{variable.text, at, values}
	for i, m := range all {
		if m.name == test.text {
			m.value.members = append(m.value.members, one)
			all[i] = m
			return all
		}
	}
	return append(all, member{test.text, at, node{kind: object, offset: at, members: []member{one}}})
}

// ampersands replaces &{, which aws_iam_policy_document takes for ${.
func ampersands(n node) node {
	n.text = strings.ReplaceAll(n.text, "&{", "${")
	items := n.items
	n.items = nil
	for _, item := range items {
		n.items = append(n.items, ampersands(item))
	}
	return n
}
