package catalogue_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/iam/service"
)

// set compiles statements as the identity policy of one principal.
func set(t *rapid.T, statements []iam.Statement) *iam.Set {
	d := &iam.Document{Version: "2012-10-17", Statements: statements}
	s, err := iam.Compile(iam.Policies{Identity: []iam.Policy{{Name: "p", Document: d}}}, iam.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask makes a request of a user in the account of the resource.
func ask(t *rapid.T, action, resource string, context map[string]string) *iam.Request {
	user, err := iam.ParsePrincipal("arn:aws:iam::123456789012:user/b")
	if err != nil {
		t.Fatal(err)
	}
	return &iam.Request{
		Principal: user, Action: action, Resource: resource, ResourceAccount: "123456789012", Resourceless: resource == "*",
		Context: iam.Keys(context),
	}
}

func someOf(t *rapid.T, label string, most int, from ...string) []string {
	return rapid.SliceOfN(rapid.SampledFrom(from), 1, most).Draw(t, label)
}

func drawStatement(t *rapid.T) iam.Statement {
	s := iam.Statement{
		Effect: rapid.SampledFrom([]iam.Effect{iam.Allow, iam.Allow, iam.Allow, iam.Deny}).Draw(t, "effect"),
		Action: iam.Patterns{
			Negated: rapid.IntRange(0, 5).Draw(t, "not action") == 0,
			Values:  someOf(t, "actions", 4, "*", "s3:*", "s3:Get*", "s3:GetObject", "S3:getobject", "s3:?etObject", "s3:*Object", "s?:*", "ec2:*", "ec2:Describe*"),
		},
		Resource: iam.Patterns{
			Negated: rapid.IntRange(0, 5).Draw(t, "not resource") == 0,
			Values: someOf(t, "resources", 4, "*", "arn:aws:s3:::b", "arn:aws:s3:::b/*", "arn:aws:s3:::*", "arn:aws:s3:::b/?", "arn:aws:s3:::b/é", "arn:aws:s3:::b/??",
				"arn:aws:*:::b", "arn:*:s3:::b/x", "arn:aws:s3:::${aws:username}/*", "arn:aws:s3:::b?x", "arn:aws:ec2:*:1:instance/*"),
		},
	}
	for range rapid.IntRange(0, 2).Draw(t, "conditions") {
		s.Conditions = append(s.Conditions, iam.Condition{
			Operator: rapid.SampledFrom([]string{"StringEquals", "StringNotEquals"}).Draw(t, "operator"),
			Key:      rapid.SampledFrom([]string{"aws:x", "AWS:X", "aws:y"}).Draw(t, "key"), Values: someOf(t, "values", 2, "1", "2"),
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
		was, is := set(t, before), set(t, after)
		for _, context := range []map[string]string{{}, {"aws:x": "1", "aws:username": "b"}, {"aws:x": "2", "aws:y": "1"}, {"aws:y": "2", "aws:username": "c"}} {
			for _, a := range actions {
				for _, r := range resources {
					q := ask(t, a, r, context)
					if x, y := was.Decide(q), is.Decide(q); x != y {
						t.Fatalf("%s on %s in %v was %s and is %s:\n%s\n%s", a, r, context, x, y, text(before), text(after))
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
		if catalogue.CoversResource(arn(wide), arn(narrow)) && iam.MatchResource(arn(narrow), arn(w)) && !iam.MatchResource(arn(wide), arn(w)) {
			t.Fatalf("%q does not cover %q: only the second matches %q", wide, narrow, w)
		}
		if catalogue.CoversAction("s3:"+wide, "s3:"+narrow) && iam.MatchAction("s3:"+narrow, "s3:"+w) && !iam.MatchAction("s3:"+wide, "s3:"+w) {
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
	for _, a := range r.Attachments {
		d, err := policyOf(a.Name).Current()
		if err != nil {
			t.Fatal(err)
		}
		statements = append(statements, d.Statements...)
	}
	return statements
}

func policyOf(id string) catalogue.Policy {
	all := catalogue.Policies()
	return all[slices.IndexFunc(all, func(p catalogue.Policy) bool { return p.ID == id })]
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

// drawContext gives some of the condition keys of the statements a value that they ask for.
func drawContext(t *rapid.T, statements []iam.Statement) map[string]string {
	context := map[string]string{}
	for _, s := range statements {
		for _, c := range s.Conditions {
			if rapid.Bool().Draw(t, c.Key) {
				context[c.Key] = rapid.SampledFrom(c.Values).Draw(t, "value")
			}
		}
	}
	return context
}

// drawQuestion asks about an action that a statement speaks of, on a resource that fits. meant says that the resource is
// one that was named, or that the action's service has nothing that was.
func drawQuestion(t *rapid.T, statements []iam.Statement, n catalogue.Narrowing) (action, resource string, meant bool) {
	reference, err := service.Load()
	if err != nil {
		t.Fatal(err)
	}
	s := rapid.SampledFrom(statements).Draw(t, "statement")
	actions := reference.Actions(rapid.SampledFrom(s.Action.Values).Draw(t, "pattern"))
	if len(actions) == 0 {
		return "tag:GetTags", "*", true
	}
	a := rapid.SampledFrom(actions).Draw(t, "action")
	if a.Resourceless() {
		return a.String(), "*", true
	}
	use := rapid.SampledFrom(a.Resources).Draw(t, "type")
	meant = true
	pinned, could := false, slices.ContainsFunc(a.Resources, func(u service.ResourceUse) bool {
		return slices.ContainsFunc(variable.FindAllStringSubmatch(u.Type.ARNs[0], -1), func(m []string) bool { return pins(a.Service, m[1]) })
	})
	template := rapid.SampledFrom(use.Type.ARNs).Draw(t, "template")
	resource = variable.ReplaceAllStringFunc(template, func(v string) string {
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
	parts := strings.SplitN(resource, ":", 6)
	if n.Region != "" && parts[3] != "" && parts[3] != n.Region || n.Account != "" && parts[4] != "" && parts[4] != n.Account {
		meant = false
	}
	if could && !pinned || a.Service == "s3" && !pinned || a.Service == "s3-object-lambda" || a.String() == "iam:CreateServiceLinkedRole" {
		meant = false // another kind of resource than what was named, or one that AWS names
	}
	return a.String(), resource, meant
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
		capabilities := someOf(t, "capabilities", 3, ids...)
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
		wideSet, narrowSet, context := set(t, before), set(t, after), drawContext(t, before)
		for range 50 {
			action, resource, meant := drawQuestion(t, before, narrowing)
			q := ask(t, action, resource, context)
			was, is := wideSet.Decide(q), narrowSet.Decide(q)
			switch {
			case is == iam.Allowed && was != iam.Allowed:
				t.Fatalf("%s on %s in %v was %s and is %s for %q", action, resource, context, was, is, capabilities)
			case meant && was != is:
				t.Fatalf("%s on %s in %v is meant; it was %s and is %s for %q:\n%s", action, resource, context, was, is, capabilities, text(after))
			case was != is:
				less++
			case was == iam.Allowed:
				same++
			}
		}
	})
	if same == 0 || less == 0 {
		t.Errorf("the law was not tried: %d questions with the same answer, %d with less", same, less)
	}
}

// TestNothingIsAdded compares each capability as it is with what narrowing makes of it, by all actions that it speaks of.
func TestNothingIsAdded(t *testing.T) {
	t.Parallel()
	reference, err := service.Load()
	if err != nil {
		t.Fatal(err)
	}
	narrowing := catalogue.Narrowing{
		Buckets: []string{"a", "b-*"}, Clusters: []string{"c"}, Repositories: []string{"r/*"}, Functions: []string{"f"}, Roles: []string{"ops/*"},
		Account: "123456789012", Region: "eu-west-1",
	}
	narrowed := 0
	for _, c := range catalogue.Capabilities() {
		var wide, narrow []iam.Policy
		actions := map[string]bool{}
		for n, to := range map[*catalogue.Narrowing]*[]iam.Policy{{}: &wide, &narrowing: &narrow} {
			r, err := catalogue.For([]string{c.ID}, *n, catalogue.Placement{Expand: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range r.Documents {
				*to = append(*to, iam.Policy{Name: d.Name, Document: d.Document})
				for _, s := range d.Document.Statements {
					for _, pattern := range s.Action.Values {
						for _, a := range reference.Actions(pattern) {
							actions[a.String()] = true
						}
					}
				}
			}
		}
		names := slices.Sorted(maps.Keys(actions))
		more, err := iam.Diff(wide, narrow, names)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range more {
			t.Errorf("%s: narrowed, it allows %s on %s, which it did not: %s", c.ID, d.Action, d.Resource, d.Why)
		}
		less, err := iam.Diff(narrow, wide, names)
		if err != nil {
			t.Fatal(err)
		}
		if len(less) > 0 {
			narrowed++
		}
	}
	if narrowed < 10 {
		t.Errorf("only %d capabilities became narrower", narrowed)
	}
}
