package awsops_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/awsops"
	"github.com/belay-dev/belay/internal/belaytest"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/sandbox"
	"github.com/belay-dev/belay/internal/secret"
)

// readers is what an identity needs to read its own policies.
const readers = `{Version: "2012-10-17", Statement: [{Effect: Allow, Action: ["iam:Get*", "iam:List*"], Resource: "*"}]}`

// surveyScene has a user in a group and a role, in an account of an organization.
const surveyScene = `
accounts:
  - id: "999999999999"
    name: management
    users:
      - name: boss
        inline: {read: ` + readers + `, org: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "organizations:*", Resource: "*"}]}}
        keys: [{id: AKIABOSS000000000000, secret: secret-of-boss}]
  - id: "111111111111"
    policies:
      - {name: narrow, document: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: ["ec2:*", "iam:*", "organizations:*"], Resource: "*"}]}}
      - {name: buckets, document: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:ListAllMyBuckets", Resource: "*"}]}}
    groups:
      - {name: ops, attach: [buckets], inline: {regions: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "ec2:DescribeRegions", Resource: "*"}]}}}
    users:
      - name: ann
        groups: [ops]
        attach: [AmazonEC2ReadOnlyAccess]
        boundary: narrow
        inline: {read: ` + readers + `}
        keys: [{id: AKIAANN0000000000000, secret: secret-of-ann}]
      - name: sim
        inline: {simulate: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: ["iam:SimulatePrincipalPolicy", "ec2:DescribeRegions"], Resource: "*"}]}}
        keys: [{id: AKIASIM0000000000000, secret: secret-of-sim}]
      - name: blind
        inline: {few: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "ec2:DescribeRegions", Resource: "*"}]}}
        keys: [{id: AKIABLIND00000000000, secret: secret-of-blind}]
    roles:
      - name: deploy
        path: /team/
        boundary: narrow
        inline: {read: ` + readers + `}
        attach: [buckets]
        trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "111111111111"}, Action: "sts:AssumeRole"}]}
  - id: "222222222222"
    users:
      - name: delegated
        inline: {read: ` + readers + `, org: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "organizations:*", Resource: "*"}]}}
        keys: [{id: AKIADELEGATED0000000, secret: secret-of-delegated}]
  - id: "333333333333"
    users:
      - name: lone
        inline: {read: ` + readers + `, org: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "organizations:*", Resource: "*"}]}}
        keys: [{id: AKIALONE000000000000, secret: secret-of-lone}]
organizations:
  - management: "999999999999"
    policies:
      - {name: guard, document: {Version: "2012-10-17", Statement: [{Effect: Deny, Action: "s3:*", Resource: "*"}]}}
    units:
      - name: prod
        accounts: [{id: "111111111111"}, {id: "222222222222"}]
        attach: [FullAWSAccess, guard]
`

// rehearsal is a sandbox with a scene, and its address.
func rehearsal(t *testing.T, scene string) string {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	s, err := sandbox.New(sandbox.Config{Base: "http://" + server.Listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = s
	server.Start()
	t.Cleanup(server.Close)
	if _, err := s.Seed([]byte(scene)); err != nil {
		t.Fatal(err)
	}
	return server.URL
}

func keysOf(name string) connector.StaticKeys {
	id := "AKIA" + strings.ToUpper(name)
	return connector.StaticKeys{AccessKey: id + strings.Repeat("0", 20-len(id)), SecretKey: secret.NewValue("secret-of-" + name)}
}

// survey asks at an address.
func survey(t *testing.T, url string, a connector.Access, ask ...connector.Asked) *connector.Permissions {
	t.Helper()
	e := sessions(variables{"AWS_ENDPOINT_URL": url}).Survey(t.Context(), connector.Survey{Access: a, Timeout: 30 * time.Second, Ask: ask})
	if e.Failure != nil || e.Identity == nil || e.Permissions == nil {
		t.Fatalf("%+v", e)
	}
	return e.Permissions
}

// read is what was read, a line each.
func read(p *connector.Permissions) []string {
	lines := []string{"caller " + p.Principal}
	if p.Role != "" {
		lines = append(lines, "role "+p.Role)
	}
	for _, t := range p.Identity {
		lines = append(lines, t.Via+": "+t.Name)
	}
	if p.Boundary != nil {
		lines = append(lines, "boundary: "+p.Boundary.Name)
	}
	for i, l := range p.SCP {
		var names []string
		for _, t := range l.Policies {
			names = append(names, t.Name)
		}
		lines = append(lines, "level "+string(rune('1'+i))+": "+strings.Join(names, ", "))
	}
	for _, u := range p.Unread {
		lines = append(lines, "not "+string(u.What)+": "+u.Action+" "+u.Code)
	}
	for _, one := range p.Probed {
		lines = append(lines, strings.Join([]string{one.How, one.Action, one.Resource, one.Code}, " "))
	}
	return lines
}

func TestSurvey(t *testing.T) {
	t.Parallel()
	url := rehearsal(t, surveyScene)
	regions, bucket := connector.Asked{Action: "ec2:DescribeRegions", Resource: "*"}, connector.Asked{Action: "s3:ListBucket", Resource: "arn:aws:s3:::b"}
	for name, tt := range map[string]struct {
		access connector.Access
		ask    []connector.Asked
		want   []string
	}{
		"a user with a group, a boundary, and an organization that it may not read": {
			access(keysOf("ann")),
			[]connector.Asked{regions},
			[]string{
				"caller arn:aws:iam::111111111111:user/ann", "inline: read", "managed: AmazonEC2ReadOnlyAccess", "group ops: regions", "group ops: buckets", "boundary: narrow",
				"not service control policies: organizations:DescribeOrganization AccessDeniedException", "not simulation: iam:SimulatePrincipalPolicy AccessDenied",
			},
		},
		"one that may have AWS simulate": {
			access(keysOf("sim")),
			[]connector.Asked{regions, bucket, {Action: "ec2:RunInstances", Resource: "*"}},
			[]string{
				"caller arn:aws:iam::111111111111:user/sim", "not permissions boundary: iam:GetUser AccessDenied", "not identity policies: iam:ListUserPolicies AccessDenied",
				"not identity policies: iam:ListAttachedUserPolicies AccessDenied", "not identity policies: iam:ListGroupsForUser AccessDenied",
				"not service control policies: organizations:DescribeOrganization AccessDeniedException",
				"simulated ec2:DescribeRegions * allowed", "simulated ec2:RunInstances * implicitDeny", "simulated s3:ListBucket arn:aws:s3:::b explicitDeny",
			},
		},
		"one that may neither makes harmless calls": {
			access(keysOf("blind")),
			[]connector.Asked{regions, {Action: "ec2:DescribeVpcs", Resource: "*"}, {Action: "ec2:RunInstances", Resource: "*"}},
			[]string{
				"caller arn:aws:iam::111111111111:user/blind", "not permissions boundary: iam:GetUser AccessDenied", "not identity policies: iam:ListUserPolicies AccessDenied",
				"not identity policies: iam:ListAttachedUserPolicies AccessDenied", "not identity policies: iam:ListGroupsForUser AccessDenied",
				"not service control policies: organizations:DescribeOrganization AccessDeniedException", "not simulation: iam:SimulatePrincipalPolicy AccessDenied",
				"called ec2:DescribeRegions ec2:DescribeRegions * ",
			},
		},
		"the management account's own": {
			access(keysOf("boss")), nil,
			[]string{"caller arn:aws:iam::999999999999:user/boss", "inline: org", "inline: read"},
		},
		"an account in no organization": {
			access(keysOf("lone")), nil,
			[]string{"caller arn:aws:iam::333333333333:user/lone", "inline: org", "inline: read"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, read(survey(t, url, tt.access, tt.ask...))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSurveyOfARole: what bears on a session is the role's.
func TestSurveyOfARole(t *testing.T) {
	t.Parallel()
	a := access(keysOf("ann"))
	a.CrossAccount = &connector.CrossAccount{RoleARN: "arn:aws:iam::111111111111:role/team/deploy"}
	scene := strings.Replace(surveyScene, "inline: {read: "+readers+"}\n        keys: [{id: AKIAANN",
		"inline: {read: "+readers+`, assume: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "sts:AssumeRole", Resource: "*"}]}}`+"\n        keys: [{id: AKIAANN", 1)
	scene = strings.Replace(scene, `["ec2:*", "iam:*", "organizations:*"]`, `["ec2:*", "iam:*", "organizations:*", "sts:*"]`, 1)
	want := []string{
		"caller arn:aws:sts::111111111111:assumed-role/deploy/belay-aws", "role arn:aws:iam::111111111111:role/team/deploy", "inline: read", "managed: buckets", "boundary: narrow",
		"not service control policies: organizations:DescribeOrganization AccessDeniedException", "not simulation: iam:SimulatePrincipalPolicy AccessDenied",
	}
	if diff := cmp.Diff(want, read(survey(t, rehearsal(t, scene), a, connector.Asked{Action: "ec2:RunInstances", Resource: "*"}))); diff != "" {
		t.Error(diff)
	}
}

// TestSurveyThatCannotBegin: credentials that are refused are a failure with its step, and no policies.
func TestSurveyThatCannotBegin(t *testing.T) {
	t.Parallel()
	url := rehearsal(t, surveyScene)
	wrong := keysOf("ann")
	wrong.SecretKey = secret.NewValue("another")
	e := sessions(variables{"AWS_ENDPOINT_URL": url}).Survey(t.Context(), connector.Survey{Access: access(wrong), Timeout: 30 * time.Second})
	if e.Failure == nil || e.Failure.Step != connector.StepIdentity || e.Failure.Code != "SignatureDoesNotMatch" || e.Permissions != nil {
		t.Errorf("%+v", e)
	}
}

// questions are those that the harmless calls answer.
func questions() []connector.Asked {
	var ask []connector.Asked
	for action, onBucket := range awsops.Harmless() {
		one := connector.Asked{Action: action, Resource: "*"}
		if onBucket {
			one.Resource = "arn:aws:s3:::belay-probe"
		}
		ask = append(ask, one)
	}
	slices.SortFunc(ask, func(a, b connector.Asked) int { return strings.Compare(a.Action, b.Action) })
	return ask
}

// makeBucket makes the bucket of the questions in moto.
func makeBucket(t *testing.T, moto *belaytest.MotoServer) {
	t.Helper()
	env := []string{"AWS_ENDPOINT_URL=" + moto.URL, "AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region, "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x"}
	if text, err := belaytest.AWSCLI(t, env, "s3api", "create-bucket", "--bucket", "belay-probe"); err != nil {
		t.Fatalf("%s %v", text, err)
	}
}

// probed checks what the calls at an address told.
func probed(t *testing.T, url string, key connector.StaticKeys, allowed bool, but ...string) {
	t.Helper()
	ask := slices.DeleteFunc(questions(), func(a connector.Asked) bool { return slices.Contains(but, a.Action) })
	got := map[string]connector.Probe{}
	for _, p := range survey(t, url, access(key), ask...).Probed {
		got[p.Action] = p
	}
	for _, a := range ask {
		p, ok := got[a.Action]
		if !ok || p.Allowed != allowed || p.How != "called "+a.Action || p.Resource != a.Resource || allowed != (p.Code == "") {
			t.Errorf("allowed %v, %s: %v %+v", allowed, a.Action, ok, p)
		}
	}
}

// TestHarmlessCalls makes each of them against services that others wrote: with all permissions each succeeds, so it is well
// formed; with none each is refused, and the refusal is understood.
func TestHarmlessCalls(t *testing.T) {
	t.Parallel()
	moto := belaytest.Moto(t)
	var actions []string
	for action := range awsops.Harmless() {
		actions = append(actions, action)
	}
	// moto takes the service of an action from the signature, which is not CloudWatch's name in IAM.
	all := newUser(t, moto, "all", append(actions, "sts:*", "monitoring:ListMetrics")...)
	none := newUser(t, moto, "none", "sts:*")
	makeBucket(t, moto)
	moto.Enforce(t)
	// It cannot verify the signature of a query other than S3's: see below.
	probed(t, moto.URL, all, true, "eks:ListClusters", "lambda:ListFunctions")
	probed(t, moto.URL, none, false, "eks:ListClusters", "lambda:ListFunctions", "cloudwatch:ListMetrics")
}

// TestHarmlessCallsAtTheSandbox: it verifies every signature, decides, and forwards to moto what it allows.
func TestHarmlessCallsAtTheSandbox(t *testing.T) {
	t.Parallel()
	moto := belaytest.Moto(t)
	makeBucket(t, moto)
	server := httptest.NewServer(nil)
	t.Cleanup(server.Close)
	s, err := sandbox.New(sandbox.Config{Base: server.URL, Forward: moto.URL})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = s
	if _, err := s.Seed([]byte(`accounts: [{id: "111111111111", users: [
		{name: all, keys: [{id: AKIAALL0000000000000, secret: secret-of-all}], inline: {p: {Statement: [{Effect: Allow, NotAction: ["iam:*"], Resource: "*"}]}}},
		{name: none, keys: [{id: AKIANONE000000000000, secret: secret-of-none}]}]}]`)); err != nil {
		t.Fatal(err)
	}
	notForwarded := []string{
		"autoscaling:DescribeAutoScalingGroups", "cloudwatch:ListMetrics", "codedeploy:ListApplications", "elasticloadbalancing:DescribeLoadBalancers",
		"elasticloadbalancing:DescribeTargetGroups", "logs:DescribeLogGroups", "ec2:DescribeInstances", "ec2:DescribeSubnets", "ec2:DescribeVpcs",
	}
	probed(t, server.URL, keysOf("all"), true, notForwarded...)
	probed(t, server.URL, keysOf("none"), false, notForwarded...)
}

// TestHarmlessCallsSettleNoOtherQuestion: a call that cannot name the resource, or carry the condition keys, is not made.
func TestHarmlessCallsSettleNoOtherQuestion(t *testing.T) {
	t.Parallel()
	url := rehearsal(t, surveyScene)
	got := survey(
		t, url, access(keysOf("blind")),
		connector.Asked{Action: "ecr:DescribeRepositories", Resource: "arn:aws:ecr:us-east-1:111111111111:repository/a"},
		connector.Asked{Action: "ec2:DescribeRegions", Resource: "*", Context: "aws:SourceIp=192.0.2.1"},
		connector.Asked{Action: "s3:ListBucket", Resource: "arn:aws:s3:::b*"},
		connector.Asked{Action: "s3:ListBucket", Resource: "*"},
		connector.Asked{Action: "ec2:RunInstances", Resource: "*"},
	)
	if len(got.Probed) != 0 {
		t.Errorf("%+v", got.Probed)
	}
}

// TestHarmlessCallRefusedForAnother: the sentence of a refusal names the action that was missing; another one tells nothing.
func TestHarmlessCallRefusedForAnother(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"cloudformation:ListStacks": 0, "cloudformation:DescribeStacks": 1} {
		mux := http.NewServeMux()
		mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			if err := r.ParseForm(); err != nil || r.Form.Get("Action") == "GetCallerIdentity" {
				_, _ = fmt.Fprint(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::111111111111:user/u</Arn><Account>111111111111</Account><UserId>A</UserId></GetCallerIdentityResult></GetCallerIdentityResponse>`)
				return
			}
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprintf(w, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::111111111111:user/u is not authorized to perform: %s because no identity-based policy allows the %s action</Message></Error></ErrorResponse>`, name, name)
		})
		server := httptest.NewServer(mux)
		t.Cleanup(server.Close)
		if got := survey(t, server.URL, access(keys()), connector.Asked{Action: "cloudformation:DescribeStacks", Resource: "*"}).Probed; len(got) != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestSimulationLacksKeys: IAM says which condition keys a simulation had not; without them its answer settles nothing.
// A question that it does not take leaves the others be.
func TestSimulationLacksKeys(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		switch action := r.Form.Get("Action"); {
		case action == "GetCallerIdentity":
			_, _ = fmt.Fprint(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::111111111111:user/u</Arn><Account>111111111111</Account><UserId>A</UserId></GetCallerIdentityResult></GetCallerIdentityResponse>`)
		case action == "SimulatePrincipalPolicy" && r.Form.Get("ActionNames.member.1") == "new:Action":
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprint(w, `<ErrorResponse><Error><Code>InvalidInput</Code><Message>Invalid Input Actions: new:Action</Message></Error></ErrorResponse>`)
		case action == "SimulatePrincipalPolicy":
			_, _ = fmt.Fprint(w, `<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated><EvaluationResults><member>
				<EvalActionName>S3:getobject</EvalActionName><EvalResourceName>*</EvalResourceName><EvalDecision>implicitDeny</EvalDecision>
				<MissingContextValues><member>aws:SourceIp</member></MissingContextValues></member></EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>`)
		default:
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprint(w, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`)
		}
	}))
	t.Cleanup(server.Close)
	got := survey(t, server.URL, access(keys()), connector.Asked{Action: "new:Action", Resource: "arn:aws:new:::x"}, connector.Asked{Action: "s3:GetObject", Resource: "*"})
	want := []connector.Probe{{Action: "s3:GetObject", Resource: "*", How: connector.Simulated, Code: "implicitDeny", Lacks: []string{"aws:SourceIp"}}}
	if diff := cmp.Diff(want, got.Probed); diff != "" {
		t.Error(diff)
	}
	if why := got.Unknown(connector.PartSimulation); why != "iam:SimulatePrincipalPolicy (InvalidInput)" {
		t.Errorf("simulation: %q", why)
	}
}
