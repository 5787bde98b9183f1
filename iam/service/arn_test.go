package service_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/iam/service"
)

func TestTypesOf(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		service, arn string
		want         []string
	}{
		"a bucket":                             {"s3", "arn:aws:s3:::logs", []string{"bucket"}},
		"an object is no bucket":               {"s3", "arn:aws:s3:::logs/2026/11/26", []string{"object"}},
		"a key may hold colons":                {"s3", "arn:aws:s3:::logs/a:b:c", []string{"object"}},
		"a bucket's name ends with no slash":   {"s3", "arn:aws:s3:::logs/", nil},
		"an access point":                      {"s3", "arn:aws:s3:eu-central-1:111122223333:accesspoint/ap", []string{"accesspoint"}},
		"one of several Regions":               {"s3", "arn:aws:s3::111122223333:accesspoint/ap", []string{"multiregionaccesspoint"}},
		"another partition":                    {"s3", "arn:aws-us-gov:s3:::logs", []string{"bucket"}},
		"of another service":                   {"s3", "arn:aws:sqs:eu-central-1:111122223333:queue", nil},
		"no ARN":                               {"s3", "logs", nil},
		"a star is no ARN":                     {"s3", "*", nil},
		"nothing":                              {"s3", "", nil},
		"a role with a path":                   {"iam", "arn:aws:iam::111122223333:role/team/deployer", []string{"role"}},
		"a provider":                           {"iam", "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/0A1B", []string{"oidc-provider"}},
		"a function":                           {"lambda", "arn:aws:lambda:eu-central-1:111122223333:function:f", []string{"function"}},
		"an alias is no function":              {"lambda", "arn:aws:lambda:eu-central-1:111122223333:function:f:live", []string{"function alias", "function version"}},
		"a log group":                          {"logs", "arn:aws:logs:eu-central-1:111122223333:log-group:/aws/lambda/f", []string{"log-group"}},
		"a log group as AWS writes it":         {"logs", "arn:aws:logs:eu-central-1:111122223333:log-group:/aws/lambda/f:*", []string{"log-group"}},
		"a log stream":                         {"logs", "arn:aws:logs:eu-central-1:111122223333:log-group:/aws/lambda/f:log-stream:2026/11/26/[$LATEST]0a", []string{"log-stream"}},
		"a repository with a slash":            {"ecr", "arn:aws:ecr:eu-central-1:111122223333:repository/team/app", []string{"repository"}},
		"a secret with slashes":                {"secretsmanager", "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/db-AbCdEf", []string{"Secret"}},
		"a parameter":                          {"ssm", "arn:aws:ssm:eu-central-1:111122223333:parameter/prod/db/password", []string{"parameter"}},
		"a table":                              {"dynamodb", "arn:aws:dynamodb:eu-central-1:111122223333:table/t", []string{"table"}},
		"an index is no table":                 {"dynamodb", "arn:aws:dynamodb:eu-central-1:111122223333:table/t/index/i", []string{"index"}},
		"the more letters, the more specific":  {"ec2", "arn:aws:ec2:eu-central-1:111122223333:security-group-rule/sgr-1", []string{"security-group-rule"}},
		"an alias of a key":                    {"kms", "arn:aws:kms:eu-central-1:111122223333:alias/aws/s3", []string{"alias"}},
		"the second form of two":               {"apigateway", "arn:aws:apigateway:eu-central-1::/restapis/a1/stages/prod", []string{"Stage"}},
		"an account in the place of a Region":  {"sqs", "arn:aws:sqs:111122223333:queue", nil},
		"a form with a star in it":             {"dms", "arn:aws:dms:eu-central-1:111122223333:task:ABC", []string{"ReplicationTask"}},
		"a session is not the role in another": {"sts", "arn:aws:iam::111122223333:role/deployer", []string{"role"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ok := load(t).Service(tt.service)
			if !ok {
				t.Fatalf("there is no service %s", tt.service)
			}
			var got []string
			for _, x := range s.TypesOf(tt.arn) {
				got = append(got, x.Name)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		action, resource string
		arn, pattern     bool // what Fits and FitsPattern say
	}{
		"an object action on an object":             {"s3:GetObject", "arn:aws:s3:::logs/a", true, true},
		"an object action on a bucket":              {"s3:GetObject", "arn:aws:s3:::logs", false, false},
		"a bucket action on a bucket":               {"s3:ListBucket", "arn:aws:s3:::logs", true, true},
		"a bucket action on objects":                {"s3:ListBucket", "arn:aws:s3:::logs/*", false, false},
		"an object action on all objects":           {"s3:GetObject", "arn:aws:s3:::logs/*", true, true},
		"a star may hold a slash":                   {"s3:GetObject", "arn:aws:s3:::logs*", false, true},
		"a question mark is one letter":             {"s3:GetObject", "arn:aws:s3:::logs?a", false, true},
		"and not two":                               {"s3:GetObject", "arn:aws:s3:::logs?", false, false},
		"everything":                                {"s3:GetObject", "*", false, true},
		"everything of a service":                   {"s3:GetObject", "arn:aws:s3:::*", false, true},
		"a star crosses no colon":                   {"s3:GetObject", "arn:*:logs/a", false, false},
		"missing parts stand for anything":          {"s3:GetObject", "arn:aws:s3*", false, true},
		"but not for another service":               {"s3:GetObject", "arn:aws:sqs", false, false},
		"stars in every part":                       {"sqs:SendMessage", "arn:*:sqs:*:*:*", true, true},
		"another service":                           {"sqs:SendMessage", "arn:aws:sns:eu-central-1:111122223333:topic", false, false},
		"no resource-level permission":              {"s3:ListAllMyBuckets", "arn:aws:s3:::*", false, false},
		"no resource-level permission and a star":   {"ec2:DescribeRegions", "*", false, true},
		"a log group with its star":                 {"logs:PutRetentionPolicy", "arn:aws:logs:*:*:log-group:/aws/lambda/*:*", true, true},
		"a log stream by its group":                 {"logs:PutLogEvents", "arn:aws:logs:*:*:log-group:/aws/lambda/f:*", false, true},
		"a log stream, not by its group alone":      {"logs:PutLogEvents", "arn:aws:logs:*:*:log-group:/aws/lambda/f", false, false},
		"an alias is not the function that is made": {"lambda:CreateFunction", "arn:aws:lambda:*:*:function:f:live", false, false},
		"a role of any name":                        {"iam:PassRole", "arn:aws:iam::*:role/*", true, true},
		"a role and its path":                       {"iam:PassRole", "arn:aws:iam::111122223333:role/team/*", true, true},
		"a user is no role":                         {"iam:PassRole", "arn:aws:iam::111122223333:user/*", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, ok := load(t).Action(tt.action)
			if !ok {
				t.Fatalf("there is no action %s", tt.action)
			}
			if got := a.Fits(tt.resource); got != tt.arn {
				t.Errorf("as an ARN it fits: %v", got)
			}
			if got := a.FitsPattern(tt.resource); got != tt.pattern {
				t.Errorf("as a pattern it fits: %v", got)
			}
		})
	}
}

// words are all texts of up to n of the letters.
func words(letters []string, n int) []string {
	all := []string{""}
	for from := 0; n > 0; n-- {
		end := len(all)
		for _, w := range all[from:end] {
			for _, l := range letters {
				all = append(all, w+l)
			}
		}
		from = end
	}
	return all
}

// Every short form is compared with every short pattern: they overlap if one of all short texts fits both, each by a
// regular expression.
func TestOverlapAgainstEveryText(t *testing.T) {
	t.Parallel()
	texts := words([]string{"a", "b", "/"}, 6)
	fitting := func(expression string) []bool {
		r := regexp.MustCompile("^" + expression + "$")
		fits := make([]bool, len(texts))
		for i, text := range texts {
			fits[i] = r.MatchString(text)
		}
		return fits
	}
	forms, patterns := map[string][]bool{}, map[string][]bool{}
	for _, w := range words([]string{"a", "/", "V", "*"}, 3) {
		forms[strings.ReplaceAll(w, "V", "${V}")] = fitting(strings.NewReplacer("V", "[^/:]+", "*", ".*").Replace(w))
	}
	for _, w := range words([]string{"a", "/", "*", "?"}, 3) {
		patterns[w] = fitting(strings.NewReplacer("?", ".", "*", ".*").Replace(w))
	}
	for form, fits := range forms {
		for pattern, also := range patterns {
			want := false
			for i := range texts {
				want = want || fits[i] && also[i]
			}
			if got := service.Overlap(form, pattern, true); got != want {
				t.Errorf("%q and %q overlap: %v", form, pattern, got)
			}
		}
		for i, text := range texts {
			if got := service.Overlap(form, text, false); got != fits[i] {
				t.Errorf("%q fits %q: %v", form, text, got)
			}
		}
	}
}

// The time is a product of lengths, whatever the pattern.
func TestOverlapDoesNotExplode(t *testing.T) {
	t.Parallel()
	a, _ := load(t).Action("s3:GetObject")
	if !a.FitsPattern("arn:aws:s3:::" + strings.Repeat("a*", 1000) + "/b") {
		t.Error("stars do not fit an object")
	}
	if a.Fits("arn:aws:s3:::" + strings.Repeat("a", 1<<16)) {
		t.Error("a bucket is an object")
	}
	if n := len(load(t).Actions("s3:" + strings.Repeat("*e", 500))); n != 0 {
		t.Errorf("%d actions have five hundred letters", n)
	}
}
