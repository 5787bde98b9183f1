package catalogue_test

import (
	"hash/fnv"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/iam/service"
)

// question is a request whose conditions are settled by a seed: each condition holds or not, the same for all documents.
type question struct {
	action, resource string
	seed             uint32
}

// decide is a slow and obvious evaluation of identity policies, which knows no more than these laws need.
func decide(statements []iam.Statement, q question) string {
	decision := "implicitly denied"
	for _, s := range statements {
		if !matchesOne(s.Action, func(p string) bool { return actionMatches(p, q.action) }) ||
			!matchesOne(s.Resource, func(p string) bool { return resourceMatches(p, q.resource) }) ||
			slices.ContainsFunc(s.Conditions, func(c iam.Condition) bool { return !q.holds(c) }) {
			continue
		}
		if s.Effect == iam.Deny {
			return "explicitly denied"
		}
		decision = "allowed"
	}
	return decision
}

func matchesOne(p iam.Patterns, match func(string) bool) bool {
	return slices.ContainsFunc(p.Values, match) != p.Negated
}

func (q question) holds(c iam.Condition) bool {
	h := fnv.New32()
	values := slices.Clone(c.Values)
	slices.Sort(values)
	_, _ = h.Write([]byte(c.Name() + strings.ToLower(c.Key) + strings.Join(values, ",")))
	return (h.Sum32()^q.seed)%3 != 0
}

func actionMatches(pattern, action string) bool {
	pattern, action = strings.ToLower(pattern), strings.ToLower(action)
	if pattern == "*" {
		return true
	}
	p, a := strings.SplitN(pattern, ":", 2), strings.SplitN(action, ":", 2)
	return len(p) == 2 && len(a) == 2 && glob(p[0], a[0]) && glob(p[1], a[1])
}

func resourceMatches(pattern, arn string) bool {
	if pattern == "*" {
		return true
	}
	p, a := strings.SplitN(pattern, ":", 6), strings.SplitN(arn, ":", 6)
	if len(p) != len(a) {
		return false
	}
	for i := range p {
		if !glob(strings.ReplaceAll(p[i], "${aws_username}", "b"), a[i]) {
			return false
		}
	}
	return true
}

func glob(pattern, text string) bool {
	if pattern == "" {
		return text == ""
	}
	p, size := utf8.DecodeRuneInString(pattern)
	rest := pattern[size:]
	if p == '*' && glob(rest, text) {
		return true
	}
	if text == "" {
		return false
	}
	c, n := utf8.DecodeRuneInString(text)
	if p == '*' {
		return glob(pattern, text[n:])
	}
	return (p == '?' || p == c) && glob(rest, text[n:])
}

func someOf(t *rapid.T, label string, least, most int, from ...string) []string {
	return rapid.SliceOfN(rapid.SampledFrom(from), least, most).Draw(t, label)
}

func drawStatement(t *rapid.T) iam.Statement {
	s := iam.Statement{
		Effect: rapid.SampledFrom([]iam.Effect{iam.Allow, iam.Allow, iam.Allow, iam.Deny}).Draw(t, "effect"),
		Action: iam.Patterns{
			Negated: rapid.IntRange(0, 5).Draw(t, "not action") == 0,
			Values:  someOf(t, "actions", 1, 4, "*", "s3:*", "s3:Get*", "s3:GetObject", "S3:getobject", "s3:?etObject", "s3:*Object", "s?:*", "ec2:*", "ec2:Describe*"),
		},
		Resource: iam.Patterns{
			Negated: rapid.IntRange(0, 5).Draw(t, "not resource") == 0,
			Values: someOf(t, "resources", 1, 4, "*", "arn:aws:s3:::b", "arn:aws:s3:::b/*", "arn:aws:s3:::*", "arn:aws:s3:::b/?", "arn:aws:s3:::b/é", "arn:aws:s3:::b/??",
				"arn:aws:*:::b", "arn:*:s3:::b/x", "arn:aws:s3:::${aws_username}/*", "arn:aws:s3:::b?x", "arn:aws:ec2:*:1:instance/*"),
		},
	}
	for range rapid.IntRange(0, 2).Draw(t, "conditions") {
		s.Conditions = append(s.Conditions, iam.Condition{
			Operator: rapid.SampledFrom([]string{"StringEquals", "Bool"}).Draw(t, "operator"),
			Key:      rapid.SampledFrom([]string{"aws:x", "AWS:X", "aws:y"}).Draw(t, "key"), Values: someOf(t, "values", 1, 2, "1", "2"),
		})
	}
	return s
}

func TestMergingChangesNoDecision(t *testing.T) {
	t.Parallel()
	actions := []string{"s3:GetObject", "s3:PutObject", "s3:GetBucketAcl", "ec2:DescribeRegions", "ec2:RunInstances", "sq:x"}
	resources := []string{"*", "arn:aws:s3:::b", "arn:aws:s3:::b/x", "arn:aws:s3:::b/é", "arn:aws:s3:::b/xy", "arn:aws:s3:::c", "arn:aws-cn:s3:::b/x", "arn:aws:sqs:::b", "arn:aws:ec2:r:1:instance/i"}
	rapid.Check(t, func(t *rapid.T) {
		before := rapid.SliceOfN(rapid.Custom(drawStatement), 0, 6).Draw(t, "statements")
		after := catalogue.Merge(before)
		if len(after) > len(before) {
			t.Fatalf("%d statements became %d", len(before), len(after))
		}
		if again := catalogue.Merge(after); text(again) != text(after) {
			t.Fatalf("merged twice:\n%s\n%s", text(after), text(again))
		}
		for _, a := range actions {
			for _, r := range resources {
				for seed := range uint32(3) {
					q := question{a, r, seed}
					if was, is := decide(before, q), decide(after, q); was != is {
						t.Fatalf("%v was %s and is %s:\n%s\n%s", q, was, is, text(before), text(after))
					}
				}
			}
		}
	})
}

func text(statements []iam.Statement) string {
	return string((&iam.Document{Statements: statements}).Indent())
}

// TestCovering: what a covered pattern matches, the covering one matches.
func TestCovering(t *testing.T) {
	t.Parallel()
	pattern := rapid.StringOfN(rapid.SampledFrom([]rune("ab*?é:")), 0, 7, -1)
	word := rapid.StringOfN(rapid.SampledFrom([]rune("abé:")), 0, 7, -1)
	rapid.Check(t, func(t *rapid.T) {
		wide, narrow, w := pattern.Draw(t, "wide"), pattern.Draw(t, "narrow"), word.Draw(t, "text")
		arn := func(s string) string { return "arn:aws:s3:::" + s }
		if catalogue.CoversResource(arn(wide), arn(narrow)) && resourceMatches(arn(narrow), arn(w)) && !resourceMatches(arn(wide), arn(w)) {
			t.Fatalf("%q does not cover %q: only the second matches %q", wide, narrow, w)
		}
		if catalogue.CoversAction("s3:"+wide, "s3:"+narrow) && actionMatches("s3:"+narrow, "s3:"+w) && !actionMatches("s3:"+wide, "s3:"+w) {
			t.Fatalf("%q does not cover %q: only the second matches %q", wide, narrow, w)
		}
	})
	for name, tt := range map[string]struct {
		wide, narrow string
		want         bool
	}{
		"a star covers all":                       {"*", "arn:aws:s3:::b", true},
		"a prefix":                                {"arn:aws:s3:::b*", "arn:aws:s3:::b/*", true},
		"a question mark is no star":              {"arn:aws:s3:::b?", "arn:aws:s3:::b*", false},
		"a star covers a question mark":           {"arn:aws:s3:::b*", "arn:aws:s3:::b?", true},
		"a star in the account":                   {"arn:aws:iam::*:role/r", "arn:aws:iam::123456789012:role/r", true},
		"a star does not cross colons in front":   {"arn:aws:*:role/r", "arn:aws:iam::1:role/r", false},
		"it does behind the fifth":                {"arn:aws:lambda:r:1:function:*", "arn:aws:lambda:r:1:function:f:live", true},
		"the resource part keeps its letter case": {"arn:aws:s3:::B", "arn:aws:s3:::b", false},
		"a variable has no known value":           {"arn:aws:s3:::b/*", "arn:aws:s3:::b/${aws:username}", false},
	} {
		if got := catalogue.CoversResource(tt.wide, tt.narrow); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// all are the statements of everything that a result makes the holder have.
func all(t *rapid.T, r catalogue.Result) (statements []iam.Statement) {
	for _, d := range r.Documents {
		statements = append(statements, d.Document.Statements...)
	}
	managed, err := service.LoadManaged()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range r.Attachments {
		m, _ := managed.Policy(a.ARN)
		d, err := iam.Parse(m.Document)
		if err != nil {
			t.Fatal(err)
		}
		statements = append(statements, d.Statements...)
	}
	return statements
}

// names are what the laws name of each variable of an ARN, and something else.
var names = map[string][2][]string{
	"BucketName":       {{"artifacts", "logs-1", "logs-2"}, {"other", "artifacts2"}},
	"ClusterName":      {{"prod", "dev-x"}, {"other"}},
	"RepositoryName":   {{"team/app"}, {"other", "team/apps"}},
	"FunctionName":     {{"api"}, {"other", "api2"}},
	"RoleNameWithPath": {{"deploy", "ops/run"}, {"other", "deploy/x", "aws-service-role/x"}},
}

var variable = regexp.MustCompile(`\$\{([^}]+)\}`)

// pins says whether the name of a resource in an ARN of a service is one that a Narrowing names.
func pins(prefix, name string) bool {
	_, known := names[name]
	return known && slices.Contains([]string{"s3 BucketName", "ecs ClusterName", "eks ClusterName", "ecr RepositoryName", "lambda FunctionName", "iam RoleNameWithPath", "sts RoleNameWithPath"}, prefix+" "+name)
}

// drawQuestion asks about an action that a statement speaks of, on a resource that fits. meant says that the resource is
// one that was named, or that the action's service has nothing that was.
func drawQuestion(t *rapid.T, statements []iam.Statement, n catalogue.Narrowing) (q question, meant bool) {
	reference, err := service.Load()
	if err != nil {
		t.Fatal(err)
	}
	s := rapid.SampledFrom(statements).Draw(t, "statement")
	actions := reference.Actions(rapid.SampledFrom(s.Action.Values).Draw(t, "pattern"))
	if len(actions) == 0 {
		return question{"tag:GetTags", "*", 0}, true
	}
	a := rapid.SampledFrom(actions).Draw(t, "action")
	q = question{a.String(), "*", rapid.Uint32Range(0, 5).Draw(t, "seed")}
	if a.Resourceless() {
		return q, true
	}
	use := rapid.SampledFrom(a.Resources).Draw(t, "type")
	meant = true
	pinned, any := false, slices.ContainsFunc(a.Resources, func(u service.ResourceUse) bool {
		return slices.ContainsFunc(variable.FindAllStringSubmatch(u.Type.ARNs[0], -1), func(m []string) bool { return pins(a.Service, m[1]) })
	})
	template := rapid.SampledFrom(use.Type.ARNs).Draw(t, "template")
	q.resource = variable.ReplaceAllStringFunc(template, func(v string) string {
		switch name := v[2 : len(v)-1]; {
		case name == "Partition":
			return "aws"
		case name == "Region":
			return rapid.SampledFrom([]string{"eu-west-1", "us-east-1"}).Draw(t, "region")
		case name == "Account":
			return rapid.SampledFrom([]string{"123456789012", "210987654321"}).Draw(t, "account")
		case pins(a.Service, name):
			pinned = true
			which := rapid.IntRange(0, 1).Draw(t, "other name")
			meant = meant && which == 0
			return rapid.SampledFrom(names[name][which]).Draw(t, "name")
		}
		return rapid.SampledFrom([]string{"x", "y/z"}).Draw(t, "word")
	})
	parts := strings.SplitN(q.resource, ":", 6)
	if n.Region != "" && parts[3] != "" && parts[3] != n.Region || n.Account != "" && parts[4] != "" && parts[4] != n.Account {
		meant = false
	}
	if any && !pinned || a.Service == "s3" && !pinned || a.Service == "s3-object-lambda" || q.action == "iam:CreateServiceLinkedRole" {
		meant = false // another kind of resource than what was named, or one that AWS names
	}
	return q, meant
}

// TestNarrowedAllowsASubset: what is narrowed allows nothing that the wide policy does not, and on what was named it
// allows the same.
func TestNarrowedAllowsASubset(t *testing.T) {
	t.Parallel()
	var ids []string
	for _, c := range catalogue.Capabilities() {
		if c.ID != "serverless-framework-admin" {
			ids = append(ids, c.ID)
		}
	}
	named := catalogue.Narrowing{
		Buckets: []string{"artifacts", "logs-*"}, Clusters: []string{"prod", "dev-?"}, Repositories: []string{"team/app"},
		Functions: []string{"api"}, Roles: []string{"deploy", "ops/*"},
	}
	same, less := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		capabilities := someOf(t, "capabilities", 1, 3, ids...)
		narrowing := named
		narrowing.Region = rapid.SampledFrom([]string{"", "eu-west-1"}).Draw(t, "in region")
		narrowing.Account = rapid.SampledFrom([]string{"", "123456789012"}).Draw(t, "in account")
		placement := catalogue.Placement{Expand: rapid.Bool().Draw(t, "expand"), MaxAttached: 20}
		wide, err := catalogue.For(capabilities, catalogue.Narrowing{}, placement)
		if err != nil {
			t.Fatal(err)
		}
		narrow, err := catalogue.For(capabilities, narrowing, placement)
		if err != nil {
			t.Fatal(err)
		}
		before, after := all(t, wide), all(t, narrow)
		for range 50 {
			q, meant := drawQuestion(t, before, narrowing)
			was, is := decide(before, q), decide(after, q)
			switch {
			case is == "allowed" && was != "allowed":
				t.Fatalf("%v was %s and is %s for %q", q, was, is, capabilities)
			case meant && was != is:
				t.Fatalf("%v is meant; it was %s and is %s for %q:\n%s", q, was, is, capabilities, text(after))
			case was != is:
				less++
			case was == "allowed":
				same++
			}
		}
	})
	if same == 0 || less == 0 {
		t.Errorf("the law was not tried: %d questions with the same answer, %d with less", same, less)
	}
}
