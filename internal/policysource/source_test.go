package policysource_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/iam/lint"
	"github.com/belay-dev/belay/internal/policysource"
)

const encoded = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22ec2.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D"

const plain = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`

func TestRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		file, text string
		policies   []string // where: kind name: document, with … for what is not known
		problems   []string
		notes      []string
	}{
		"a document":             {"p.json", plain, []string{": : " + plain}, nil, nil},
		"with a byte order mark": {"p.json", "\ufeff" + plain, []string{": : " + plain}, nil, nil},
		"from standard input":    {"", " \n" + plain, []string{": : " + plain}, nil, nil},
		"get-role":               {"r.json", `{"Role":{"RoleName":"deployer","AssumeRolePolicyDocument":` + trustText + `}}`, []string{"Role.AssumeRolePolicyDocument: trust deployer: " + trustText}, nil, nil},
		"URL-encoded":            {"r.json", `{"Role":{"RoleName":"deployer","AssumeRolePolicyDocument":"` + encoded + `"}}`, []string{"Role.AssumeRolePolicyDocument: trust deployer: " + trustText}, nil, nil},
		"get-policy-version":     {"v.json", `{"PolicyVersion":{"Document":` + plain + `,"VersionId":"v1"}}`, []string{"PolicyVersion.Document: : " + plain}, nil, nil},
		"get-bucket-policy":      {"b.json", `{"Policy":"` + strings.ReplaceAll(plain, `"`, `\"`) + `"}`, []string{"Policy: : " + plain}, nil, nil},
		"a list":                 {"l.json", `[` + plain + `]`, []string{"[0]: : " + plain}, nil, nil},
		"each document of a plan once": {"plan.json", `{"planned":{"name":"r","assume_role_policy":"` + strings.ReplaceAll(trustText, `"`, `\"`) + `"},"changes":{"name":"r","assume_role_policy":"` +
			strings.ReplaceAll(trustText, `"`, `\"`) + `"}}`, []string{"planned.assume_role_policy: trust r: " + trustText}, nil, nil},
		"CloudFormation": {
			"t.json", `{"Resources":{"R":{"Properties":{"PolicyDocument":{"Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":[{"Fn::Sub":"arn:${AWS::Partition}:s3:::b/${!aws:username}"},{"Ref":"X"}]}}}}}}`,
			[]string{`Resources.R.Properties.PolicyDocument: : {"Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":["arn:…:s3:::b/${aws:username}","…"]}]}`},
			nil, nil,
		},
		"no policy":         {"x.json", `{"a":[1,true,null,"{}"]}`, nil, []string{"1:1: there is no policy document in it: nothing has a Statement"}, nil},
		"no JSON":           {"x.json", "{\n  \"a\": tru\n}", nil, []string{"2:8: this is not JSON: invalid character '\\n' in literal true (expecting 'e')"}, nil},
		"two values":        {"x.json", plain + "x", nil, []string{fmt.Sprintf("1:%d: this is not JSON: something stands behind the end of the value", len(plain)+1)}, nil},
		"empty":             {"x.json", " \n", nil, []string{"1:1: the file is empty"}, nil},
		"too deep":          {"x.json", strings.Repeat("[", 300), nil, []string{"1:202: this is not JSON: it nests deeper than 200 levels"}, nil},
		"malformed":         {"x.json", "{\"Statement\":[\n{\"Effect\":\"Perhaps\",\"Action\":\"*\"}]}", nil, []string{`2:11: Statement[0].Effect: is Allow or Deny, not "Perhaps"`}, nil},
		"malformed, inside": {"x.json", "{\"a\":\n{\"Statement\":[{\"Action\":\"*\",\"Resource\":\"*\"}]}}", nil, []string{`2:15: a: Statement[0]: Effect is missing`}, nil},

		"jsonencode": {"m.tf", `resource "aws_iam_role_policy" "p" {
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", "Action" = ["s3:GetObject"], Resource = "${aws_s3_bucket.my_logs.arn}/*", Condition = { Bool = { "aws:SecureTransport" = true }, NumericLessThan = { "aws:MultiFactorAuthAge" = 3600 } } }] })
}`, []string{`aws_iam_role_policy.p.policy: identity p: {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::my-logs/*","Condition":{"Bool":{"aws:SecureTransport":"true"},"NumericLessThan":{"aws:MultiFactorAuthAge":"3600"}}}]}`}, nil, nil},
		"escaped variable": {
			"m.tf", `x = jsonencode({ Statement = { Effect = "Allow", Action = "s3:*", Resource = "arn:aws:s3:::b/$${aws:username}" } })`,
			[]string{`x: : {"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}"}]}`},
			nil, nil,
		},
		"trust": {"m.tf", `resource "aws_iam_role" "r" {
  name               = "task-${var.env}"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Principal = { Service = "ec2.amazonaws.com" }, Action = "sts:AssumeRole" }] })
}`, []string{"aws_iam_role.r.assume_role_policy: trust r task-: " + trustText}, nil, nil},
		"not known": {"m.tf", `x = jsonencode({ Version = var.v, Statement = concat([
  { Effect = "Allow", Principal = local.p, Action = local.a, Resource = "${var.b}/*", Condition = local.c },
  { Effect = var.e, Action = "s3:*", Resource = "*" },
  var.one,
  { Effect = "Deny", Action = "s3:*", Resource = "*", Condition = { (var.op) = { (var.k) = var.v }, Bool = var.x }, Sid = null },
], var.more) })`, []string{
			`x: : {"Version":"…","Statement":[{"Effect":"Allow","Principal":{"AWS":"…"},"Action":"…","Resource":"…/*","Condition":{"StringEquals":{"…":"…"}}},` +
				`{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"…":"…"},"Bool":{"…":"…"}}}]}`,
		}, nil, []string{
			"3:14: x: it is not known whether a statement allows or denies; it is not looked at",
			"4:3: x: a statement is made by an expression that is not understood; it is not looked at",
			"6:4: x: a statement is made by an expression that is not understood; it is not looked at",
		}},
		"statements not known": {
			"m.tf", `x = jsonencode({ Version = "2012-10-17", Statement = local.s })`, nil, nil,
			[]string{"1:54: x: the statements are made by an expression that is not understood; the policy is not looked at"},
		},
		"policy not known": {"m.tf", `resource "aws_iam_policy" "p" {
  policy = jsonencode(local.policy)
}`, nil, nil, []string{"2:12: aws_iam_policy.p.policy: what jsonencode is given is not understood; it is not looked at"}},
		"no policy in jsonencode": {"m.tf", `x = jsonencode([{ name = "web" }])`, nil, nil, nil},
		"heredoc": {
			"m.tf", "resource \"aws_s3_bucket_policy\" \"b\" {\n  policy = <<-EOT\n    {\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\n      \"Principal\":\"*\",\"Action\":\"s3:GetObject\",\"Resource\":\"${aws_s3_bucket.b.arn}/*\"}]}\n  EOT\n}\n",
			[]string{`aws_s3_bucket_policy.b.policy: resource b: {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}`},
			nil, nil,
		},
		"in quotes": {
			"m.tf", `x = "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"*\"}}"`,
			[]string{`x: : {"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`},
			nil, nil,
		},
		"aws_iam_policy_document": {
			"m.tf", `data "aws_iam_policy_document" "d" {
  source_policy_documents = [var.other]
  statement {
    sid       = "A"
    actions   = ["s3:GetObject"]
    resources = ["arn:aws:s3:::b/&{aws:username}"]
    principals {
      type        = "AWS"
      identifiers = ["111111111111"]
    }
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:PrincipalOrgID"
      values   = ["o-1"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceVpc"
      values   = var.vpcs
    }
  }
  statement {
    effect      = "Deny"
    not_actions = ["iam:*"]
    resources   = ["*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
  }
}`,
			[]string{`data.aws_iam_policy_document.d: d: {"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Principal":{"AWS":"111111111111","Service":"ec2.amazonaws.com"},"Action":"s3:GetObject",` +
				`"Resource":"arn:aws:s3:::b/${aws:username}","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1","aws:SourceVpc":"…"}}},{"Effect":"Deny","Principal":"*","NotAction":"iam:*","Resource":"*"}]}`},
			nil,
			[]string{"2:3: data.aws_iam_policy_document.d: what source_policy_documents adds is not looked at"},
		},
		"SCP":                        {"m.tf", "resource \"aws_organizations_policy\" \"s\" {\n  content = jsonencode({ Statement = { Effect = \"Deny\", Action = \"*\", Resource = \"*\" } })\n}", []string{`aws_organizations_policy.s.content: scp s: {"Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`}, nil, nil},
		"no Terraform":               {"m.tf", "resource {", nil, []string{"1:10: this is not Terraform: unclosed configuration block: There is no closing brace for this block before the end of the file. This may be caused by incorrect brace nesting elsewhere in this file."}, nil},
		"brackets":                   {"m.tf", "x = " + strings.Repeat("[", 300), nil, []string{"1:205: the text nests deeper than 200 levels"}, nil},
		"only Terraform by its text": {"", `x = jsonencode({ Statement = { Effect = "Allow", Action = "s3:*", Resource = "*" } })`, []string{`x: : {"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := policysource.Read(tt.file, []byte(tt.text))
			var policies []string
			for _, p := range f.Policies {
				text, err := p.Document.MarshalJSON()
				if err != nil {
					t.Fatal(err)
				}
				about := strings.TrimSpace(string(p.Subject.Kind) + " " + p.Subject.Name)
				policies = append(policies, p.Where+": "+about+": "+strings.ReplaceAll(string(text), lint.Unknown, "…"))
			}
			if diff := cmp.Diff(tt.policies, policies); diff != "" {
				t.Error("policies", diff)
			}
			if diff := cmp.Diff(tt.problems, sentences(f.Problems)); diff != "" {
				t.Error("problems", diff)
			}
			if diff := cmp.Diff(tt.notes, sentences(f.Notes)); diff != "" {
				t.Error("notes", diff)
			}
		})
	}
}

const trustText = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

func sentences(problems []policysource.Problem) []string {
	var all []string
	for _, p := range problems {
		all = append(all, fmt.Sprintf("%d:%d: %s", p.Pos.Line, p.Pos.Column, p.Message))
	}
	return all
}

// Places in a document are those where the file says the same.
func TestPlaces(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ file, text string }{
		"document":   {"p.json", "{\n  \"Statement\": [\n    {\"Effect\": \"Allow\", \"Action\": [\"a:B\",\n      \"^c:D\"], \"Resource\": \"*\"}]}"},
		"inside":     {"p.json", "{\"Policies\": [\n\t{\"Document\": {\"Statement\": [{\"Effect\": \"Allow\", \"Action\": [ \"a:B\",\n \"^c:D\" ], \"Resource\": \"*\"}]}}]}"},
		"jsonencode": {"m.tf", "# Grüße\nx = jsonencode({\n  Statement = [{\n    Effect = \"Allow\"\n    Action = [\n      \"a:B\", \"^c:D\",\n    ]\n    Resource = \"*\"\n  }]\n})\n"},
		"heredoc":    {"m.tf", "x = <<EOT\n{ \"Statement\": {\"Effect\": \"Allow\",\n  \"Action\": [\"a:B\", \"^c:D\"], \"Resource\": \"${var.x}\"}}\nEOT\n"},
		"indented":   {"m.tf", "x = {\n  y = <<-EOT\n      {\"Statement\": {\"Effect\": \"Allow\",\n        \"Action\": [\"a:B\", \"^c:D\"], \"Resource\": \"*\"}}\n    EOT\n}\n"},
		"block":      {"m.tf", "data \"aws_iam_policy_document\" \"d\" {\n  statement {\n    actions = [\n      \"a:B\",\n      \"^c:D\"]\n    resources = [\"*\"]\n  }\n}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := strings.Index(tt.text, "^") - 1
			text := strings.Replace(tt.text, "^", "", 1)
			f := policysource.Read(tt.file, []byte(text))
			if len(f.Policies) != 1 {
				t.Fatalf("%+v", f)
			}
			p := f.Policies[0]
			pos := p.At(p.Document.Statements[0].Action.Pos[1])
			if pos.Offset != want {
				t.Errorf("offset %d, want %d", pos.Offset, want)
			}
			if line := p.Line(pos.Line); !strings.HasPrefix(line[pos.Column-1:], `"c:D"`) {
				t.Errorf("line %d, column %d: %s", pos.Line, pos.Column, line)
			}
		})
	}
}

func FuzzTerraform(f *testing.F) {
	for _, seed := range []string{
		`x = jsonencode({ Statement = [{ Effect = "Allow", Action = ["s3:*"], Resource = "${a.b.arn}/*" }] })`,
		"x = <<-EOT\n  {\"Statement\": {\"Effect\": \"Allow\", \"Action\": \"a:B\", \"Resource\": \"${x}\"}}\n  EOT\n",
		`data "aws_iam_policy_document" "d" { statement { actions = ["a:B"] } }`,
		`x = jsonencode({ (a) = 1e400, "b" : null, c = [for x in y : x], Statement = flatten([[], z...]) })`,
		`x = "{\"Statement\":{}}"`, `x = jsonencode({Statement = {Condition = {(a) = {(b) = c}, d = e}}, Version = 007})`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) { readAll(t, "m.tf", text) })
}

func FuzzJSON(f *testing.F) {
	for _, seed := range []string{plain, `{"a":"` + encoded + `"}`, `[{"PolicyDocument":{"Statement":{"Fn::If":[1]}}}]`, `{"a":{"Statement":[null,1,{"Condition":{"x":1}}],"Version":{"Ref":"x"}}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) { readAll(t, "x.json", text) })
}

// readAll reads a text, and asks for the place of everything: none lies outside of the file.
func readAll(t *testing.T, name, text string) {
	t.Helper()
	f := policysource.Read(name, []byte(text))
	for _, p := range f.Policies {
		findings, err := lint.Document(p.Document, p.Subject)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range findings {
			if pos := p.At(one.Pos); pos.Offset < 0 || pos.Offset > len(text) || pos.Line < 1 || pos.Column < 1 {
				t.Fatalf("%+v lies outside", pos)
			}
		}
	}
	for _, p := range append(f.Problems, f.Notes...) {
		if p.Pos.Offset < 0 || p.Pos.Offset > len(text) || p.Message == "" {
			t.Fatalf("%+v", p)
		}
	}
}
