package preflight_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/preflight"
)

func questions(t *testing.T, o preflight.Options) preflight.Evaluation {
	t.Helper()
	all, err := preflight.Questions(o)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		capability string
		narrowing  catalogue.Narrowing
		has, not   []connector.Asked
	}{
		"an action without resources is asked about on a star": {
			"connection", catalogue.Narrowing{}, []connector.Asked{{Action: "ec2:DescribeRegions", Resource: "*"}}, nil,
		},
		"patterns of actions are written out, each on what it can work on": {
			"s3-objects",
			catalogue.Narrowing{Buckets: []string{"b"}},
			[]connector.Asked{{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/*"}, {Action: "s3:ListBucket", Resource: "arn:aws:s3:::b"}},
			[]connector.Asked{{Action: "s3:ListBucket", Resource: "arn:aws:s3:::b/*"}, {Action: "s3:GetObject", Resource: "arn:aws:s3:::b"}, {Action: "s3:GetObject", Resource: "*"}},
		},
		"what is named narrows": {
			"lambda",
			catalogue.Narrowing{Functions: []string{"f"}, Account: "123456789012", Region: "eu-west-1"},
			[]connector.Asked{{Action: "lambda:UpdateFunctionCode", Resource: "arn:aws:lambda:eu-west-1:123456789012:function:f"}},
			[]connector.Asked{{Action: "lambda:UpdateFunctionCode", Resource: "*"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := questions(t, preflight.Options{Capabilities: []string{tt.capability}, Narrowing: tt.narrowing}).Of(tt.capability)
			for _, a := range tt.has {
				if !slices.Contains(got, a) {
					t.Errorf("it does not ask %+v: %+v", a, got)
				}
			}
			for _, a := range tt.not {
				if slices.Contains(got, a) {
					t.Errorf("it asks %+v", a)
				}
			}
			for _, a := range got {
				if strings.ContainsAny(a.Action, "*?") {
					t.Errorf("it asks about a pattern, %+v", a)
				}
			}
		})
	}
}

// TestQuestionsWithConditions: a permission under a condition is asked about as it will be used.
func TestQuestionsWithConditions(t *testing.T) {
	t.Parallel()
	all := questions(t, preflight.Options{Capabilities: []string{"lambda", "codedeploy"}})
	if a := (connector.Asked{Action: "iam:PassRole", Resource: "*", Context: "iam:PassedToService=lambda.amazonaws.com"}); !slices.Contains(all.Of("lambda"), a) {
		t.Errorf("it does not ask %+v", a)
	}
	pattern := connector.Asked{
		Action: "codestar-notifications:CreateNotificationRule", Resource: "*", Context: "codestar-notifications:NotificationsForResource=arn:aws:codedeploy:*:*:application:*",
	}
	if !slices.Contains(all.Of("codedeploy"), pattern) {
		t.Errorf("it does not ask %+v", pattern)
	}
	if got := pattern.Keys(); len(got) != 1 || got[0] != [2]string{"codestar-notifications:NotificationsForResource", "arn:aws:codedeploy:x:x:application:x"} {
		t.Errorf("as a request it has %q", got)
	}
	// What is granted is the pattern, not the request that stands for it.
	but := role(`{"Statement":[{"Effect":"Allow","NotAction":"codestar-notifications:*","Resource":"*"}]}`)
	if p := all.Judge(but, "eu-west-1"); p.Fix == nil || !strings.Contains(p.Fix.What, `{"StringLike":{"codestar-notifications:NotificationsForResource":"arn:aws:codedeploy:*:*:application:*"}}`) {
		t.Errorf("%+v", p.Fix)
	}
}

// TestQuestionsOfAll: without names it is all that a connector's own identity can need, save all of AWS.
func TestQuestionsOfAll(t *testing.T) {
	t.Parallel()
	all := questions(t, preflight.Options{})
	for _, c := range catalogue.Capabilities() {
		n := len(all.Of(c.ID))
		everything := slices.ContainsFunc(c.Policies, func(p catalogue.Policy) bool { return p.ID == "AdministratorAccess" })
		if want := c.Holder == catalogue.Connector && !everything; (n > 0) != want {
			t.Errorf("%s of %s: %d questions", c.ID, c.Holder, n)
		}
		if everything && c.Holder == catalogue.Connector {
			if n := questions(t, preflight.Options{Capabilities: []string{c.ID}}).Len(); n < 10_000 {
				t.Errorf("%s by its name: %d questions", c.ID, n)
			}
		}
	}
	asked, err := preflight.Asked(preflight.Options{})
	if err != nil || len(asked) != 1000 || !slices.Contains(asked, connector.Asked{Action: "ec2:DescribeRegions", Resource: "*"}) {
		t.Errorf("AWS is asked %d questions: %v", len(asked), err)
	}
}

// TestBadOptions: all that is wrong is said at once.
func TestBadOptions(t *testing.T) {
	t.Parallel()
	other := catalogue.Capabilities()[slices.IndexFunc(catalogue.Capabilities(), func(c catalogue.Capability) bool { return c.Holder != catalogue.Connector })]
	_, err := preflight.Questions(preflight.Options{
		Capabilities: []string{"s3-raed", "lambda", other.ID}, Narrowing: catalogue.Narrowing{Buckets: []string{"B_"}, Account: "12"},
	})
	var problems fault.Problems
	if !errors.As(err, &problems) {
		t.Fatal(err)
	}
	var paths []string
	for _, p := range problems {
		paths = append(paths, p.Path)
	}
	if diff := cmp.Diff([]string{"capabilities", "capabilities", "narrowing", "narrowing"}, paths); diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, word := range []string{`"s3-raed"`, "belay policy list", other.ID + " is for", `"B_"`, `"12"`} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("it does not say %s: %v", word, err)
		}
	}
	_, err = preflight.Questions(preflight.Options{Capabilities: slices.Repeat([]string{"no such"}, 100_000)})
	if !errors.As(err, &problems) || len(problems) > 101 || !strings.Contains(err.Error(), "at most 100") {
		t.Errorf("%d problems", len(problems))
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	const objects = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","ec2:DescribeRegions"],"Resource":"*"}]}`
	o := preflight.Options{Capabilities: []string{"connection", "s3-objects"}, Narrowing: catalogue.Narrowing{Buckets: []string{"b"}}}
	answers := func(p preflight.Preflight) map[string]connector.Answer {
		all := map[string]connector.Answer{"": p.Answer()}
		for _, r := range p.Results {
			all[r.Capability] = r.Answer
			if (len(r.Missing) > 0) != (r.Answer == connector.MayNotDo) || r.Answer == connector.MayDo && (len(r.Unknown) > 0 || r.Allowed == 0) {
				t.Errorf("%+v", r)
			}
		}
		return all
	}
	all := questions(t, o)

	p := all.Judge(role(objects), "eu-west-1")
	if diff := cmp.Diff(map[string]connector.Answer{"": "denied", "connection": "allowed", "s3-objects": "denied"}, answers(p)); diff != "" {
		t.Error(diff)
	}
	if p.Fix == nil || len(p.Blocked) > 0 {
		t.Fatalf("%+v %+v", p.Fix, p.Blocked)
	}
	// Its own remedy mends it.
	_, quoted, _ := strings.Cut(p.Fix.Command, "--policy-document ")
	if got := answers(all.Judge(role(objects, strings.Trim(quoted, "'")), "eu-west-1")); got[""] != connector.MayDo {
		t.Errorf("after the remedy: %v", got)
	}

	unread := role(objects)
	unread.Unread = []connector.Unread{{What: connector.PartIdentity, Action: "iam:GetRolePolicy", Code: "AccessDenied"}}
	p = all.Judge(unread, "eu-west-1")
	if diff := cmp.Diff(map[string]connector.Answer{"": "unknown", "connection": "unknown", "s3-objects": "unknown"}, answers(p)); diff != "" {
		t.Error(diff)
	}
	if p.Fix != nil || len(p.Unread) != 1 || !strings.Contains(strings.Join(p.Results[0].Unknown[0].Why, " "), "iam:GetRolePolicy") {
		t.Errorf("%+v", p)
	}

	scp := role(`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	scp.Unread = []connector.Unread{{What: connector.PartSCP, Action: "organizations:DescribeOrganization", Code: "AccessDenied"}}
	p = all.Judge(scp, "eu-west-1")
	if p.Answer() != connector.MayDo || len(p.Results[0].Caveats) != 1 || len(p.Results[1].Caveats) != 1 {
		t.Errorf("%+v", p)
	}

	denied := role(`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`, `{"Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]}`)
	p = all.Judge(denied, "eu-west-1")
	if p.Fix != nil || len(p.Blocked) != 1 || p.Blocked[0].Command == "" {
		t.Errorf("one fix for all that a statement denies: %+v %+v", p.Fix, p.Blocked)
	}
}

// TestAnswer: what could not be asked is unknown.
func TestAnswer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		p    preflight.Preflight
		want connector.Answer
	}{
		"nothing asked":            {preflight.Preflight{}, connector.NotKnown},
		"no connection":            {preflight.Preflight{Diagnosis: &connector.Diagnosis{}}, connector.NotKnown},
		"unknown does not hide no": {preflight.Preflight{Results: []preflight.Result{{Answer: connector.NotKnown}, {Answer: connector.MayNotDo}, {Answer: connector.MayDo}}}, connector.MayNotDo},
		"one unknown":              {preflight.Preflight{Results: []preflight.Result{{Answer: connector.MayDo}, {Answer: connector.NotKnown}}}, connector.NotKnown},
		"all":                      {preflight.Preflight{Results: []preflight.Result{{Answer: connector.MayDo}}}, connector.MayDo},
	} {
		if got := tt.p.Answer(); got != tt.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
