package connector_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/connector"
)

const (
	deployRole    = "arn:aws:iam::123456789012:role/team/deploy"
	deploySession = "arn:aws:sts::123456789012:assumed-role/deploy/belay"
	ciUser        = "arn:aws:iam::123456789012:user/ci"
	allowAll      = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	allowObjects  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::b/*"}]}`
)

// text is an inline policy.
func text(name, document string) connector.PolicyText {
	return connector.PolicyText{Name: name, Via: "inline", Document: document}
}

// ofRole is a role's session whose inline policies were all read.
func ofRole(documents ...string) connector.Permissions {
	p := connector.Permissions{Principal: deploySession, Role: deployRole}
	for i, d := range documents {
		p.Identity = append(p.Identity, text("p"+string(rune('1'+i)), d))
	}
	return p
}

// but changes a copy.
func but(p connector.Permissions, change func(p *connector.Permissions)) connector.Permissions {
	change(&p)
	return p
}

func unread(part connector.Part, action string) connector.Unread {
	return connector.Unread{What: part, Action: action, Code: "AccessDenied"}
}

var getObject = connector.Asked{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/x"}

// said is what AWS answered to getObject.
func said(allowed bool, how, code string, lacks ...string) func(p *connector.Permissions) {
	return func(p *connector.Permissions) {
		p.Probed = append(p.Probed, connector.Probe{
			Action: getObject.Action, Resource: getObject.Resource, How: how, Allowed: allowed, Code: code, Lacks: lacks,
		})
	}
}

func boundary(document string) func(p *connector.Permissions) {
	return func(p *connector.Permissions) {
		p.Boundary = &connector.PolicyText{Name: "B", ARN: "arn:aws:iam::123456789012:policy/B", Via: "boundary", Document: document}
	}
}

// scp gives the root FullAWSAccess, and the account another document.
func scp(document string) func(p *connector.Permissions) {
	return func(p *connector.Permissions) {
		p.SCP = []connector.PolicyLevel{
			{Name: "r-1", Policies: []connector.PolicyText{{Name: "FullAWSAccess", ARN: "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess", Via: "organization", Document: allowAll}}},
			{Name: "123456789012", Policies: []connector.PolicyText{{Name: "guard", ARN: "arn:aws:organizations::210987654321:policy/o-1/service_control_policy/p-guard", Via: "organization", Document: document}}},
		}
	}
}

func reading(part connector.Part, action string) func(p *connector.Permissions) {
	return func(p *connector.Permissions) { p.Unread = append(p.Unread, unread(part, action)) }
}

func all(changes ...func(p *connector.Permissions)) func(p *connector.Permissions) {
	return func(p *connector.Permissions) {
		for _, one := range changes {
			one(p)
		}
	}
}

const (
	denyGet     = `{"Version":"2012-10-17","Statement":[{"Sid":"No","Effect":"Deny","Action":"s3:GetObject","Resource":"*"}]}`
	denyOutside = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}]}`
	allowEC2    = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}`
)

func TestJudge(t *testing.T) {
	t.Parallel()
	const (
		simulated = connector.Simulated
		called    = "called s3:GetObject"
	)
	for name, tt := range map[string]struct {
		known  connector.Permissions
		answer connector.Answer
		why    string // words of Why, with | between
		caveat string
		not    string // what Why does not say
	}{
		"the identity's own policy allows":              {ofRole(allowObjects), connector.MayDo, "", "", ""},
		"a user's, too":                                 {but(ofRole(allowObjects), func(p *connector.Permissions) { p.Principal, p.Role = ciUser, "" }), connector.MayDo, "", "", ""},
		"the account's root needs no policy":            {connector.Permissions{Principal: "arn:aws:iam::123456789012:root"}, connector.MayDo, "", "", ""},
		"no policy allows":                              {ofRole(), connector.MayNotDo, "identity policies: no statement allows it", "", ""},
		"a policy of the identity denies":               {ofRole(allowAll, denyGet), connector.MayNotDo, `statement 1 ("No") of the inline policy p2`, "", ""},
		"the boundary does not allow":                   {but(ofRole(allowAll), boundary(allowEC2)), connector.MayNotDo, "boundary", "", ""},
		"the boundary denies":                           {but(ofRole(allowAll), boundary(denyGet)), connector.MayNotDo, "arn:aws:iam::123456789012:policy/B", "", ""},
		"a level of the organization does not allow":    {but(ofRole(allowAll), scp(allowEC2)), connector.MayNotDo, "123456789012", "", ""},
		"a service control policy denies":               {but(ofRole(allowAll), scp(denyGet)), connector.MayNotDo, "p-guard|123456789012", "", ""},
		"the organization could not be read":            {but(ofRole(allowAll), reading(connector.PartSCP, "organizations:DescribeOrganization")), connector.MayDo, "", "organizations:DescribeOrganization (AccessDenied)", ""},
		"not read, but what was read denies":            {but(ofRole(denyGet), reading(connector.PartIdentity, "iam:GetRolePolicy")), connector.MayNotDo, `"No"`, "", ""},
		"not read, and what was read allows":            {but(ofRole(allowAll), reading(connector.PartIdentity, "iam:GetRolePolicy")), connector.NotKnown, "iam:GetRolePolicy (AccessDenied)", "", ""},
		"nothing was read":                              {but(ofRole(), reading(connector.PartIdentity, "iam:ListRolePolicies")), connector.NotKnown, "iam:ListRolePolicies", "", ""},
		"the boundary was not read":                     {but(ofRole(allowAll), reading(connector.PartBoundary, "iam:GetRole")), connector.NotKnown, "boundary|iam:GetRole", "", ""},
		"the boundary was not read, but nothing grants": {but(ofRole(), reading(connector.PartBoundary, "iam:GetRole")), connector.MayNotDo, "identity policies: no statement allows it", "", ""},
		"under a condition whose key is not known":      {ofRole(denyOutside), connector.NotKnown, "depends on the request|aws:SourceIp", "", ""},
		"a policy that is none":                         {ofRole("{"), connector.NotKnown, "the inline policy p1", "", ""},
		"a policy that is none, and a simulation":       {but(ofRole("{"), said(true, simulated, "allowed")), connector.MayDo, "AWS allows it|SimulatePrincipalPolicy", "", ""},

		"unread, and a simulation allows":      {but(ofRole(), all(reading(connector.PartIdentity, "iam:GetRolePolicy"), said(true, simulated, "allowed"))), connector.MayDo, "SimulatePrincipalPolicy answers allowed", "", ""},
		"unread, and a simulation refuses":     {but(ofRole(), all(reading(connector.PartIdentity, "iam:GetRolePolicy"), said(false, simulated, "implicitDeny"))), connector.MayNotDo, "SimulatePrincipalPolicy answers implicitDeny", "", ""},
		"unread, and a call is allowed":        {but(ofRole(), all(reading(connector.PartIdentity, "iam:GetRolePolicy"), said(true, called, ""))), connector.MayDo, "AWS allows it: called s3:GetObject", "", ""},
		"unread, and a call is refused":        {but(ofRole(), all(reading(connector.PartIdentity, "iam:GetRolePolicy"), said(false, called, "AccessDenied"))), connector.MayNotDo, "called s3:GetObject, and the answer was AccessDenied", "", ""},
		"a simulation without the keys":        {but(ofRole(), all(reading(connector.PartIdentity, "iam:GetRolePolicy"), said(false, simulated, "implicitDeny", "aws:SourceIp"))), connector.NotKnown, "iam:GetRolePolicy|cannot tell without aws:SourceIp", "", ""},
		"a condition, and a simulation":        {but(ofRole(denyOutside), said(false, simulated, "implicitDeny")), connector.NotKnown, "aws:SourceIp", "", "AWS refuses"},
		"a condition, and a call is allowed":   {but(ofRole(denyOutside), said(true, called, "")), connector.MayDo, "AWS allows it", "", ""},
		"a condition, and a call is refused":   {but(ofRole(denyOutside), said(false, called, "AccessDenied")), connector.MayNotDo, "AWS refuses it", "", ""},
		"a simulation agrees":                  {but(ofRole(allowObjects), said(true, simulated, "allowed")), connector.MayDo, "", "", ""},
		"a simulation agrees that it may not":  {but(ofRole(), said(false, simulated, "implicitDeny")), connector.MayNotDo, "identity policies: no statement allows it", "", ""},
		"a simulation refuses what is allowed": {but(ofRole(allowObjects), said(false, simulated, "explicitDeny")), connector.NotKnown, "AWS refuses it|explicitDeny|although the policies", "", ""},
		"a simulation allows what is not":      {but(ofRole(), said(true, simulated, "allowed")), connector.NotKnown, "AWS allows it|a policy of the resource may|identity policies: no statement allows it", "", ""},
		"it refuses, and the organization was not read": {
			but(ofRole(allowObjects), all(reading(connector.PartSCP, "organizations:DescribeOrganization"), said(false, simulated, "explicitDeny"))),
			connector.MayNotDo, "AWS refuses it|service control policies (organizations:DescribeOrganization", "", "",
		},
		"it allows, and the organization was not read": {
			but(ofRole(allowObjects), all(reading(connector.PartSCP, "organizations:DescribeOrganization"), said(true, simulated, "allowed"))), connector.MayDo, "", "", "",
		},
		"it refuses without the keys what is allowed": {but(ofRole(allowObjects), said(false, simulated, "implicitDeny", "aws:SourceIp")), connector.MayDo, "", "", ""},
		"it was asked about something else": {but(ofRole(), all(reading(connector.PartIdentity, "iam:GetRolePolicy"), func(p *connector.Permissions) {
			p.Probed = []connector.Probe{
				{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/y", How: called, Allowed: true},
				{Action: "s3:GetObject", Resource: getObject.Resource, Context: "aws:SourceIp=192.0.2.1", How: called, Allowed: true},
			}
		})), connector.NotKnown, "iam:GetRolePolicy", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := tt.known.Judge("eu-west-1").May(getObject)
			why := strings.Join(j.Why, "\n")
			if j.Answer != tt.answer {
				t.Errorf("%s, want %s: %s", j.Answer, tt.answer, why)
			}
			for word := range strings.SplitSeq(tt.why, "|") {
				if !strings.Contains(why, word) {
					t.Errorf("it does not say %q: %s", word, why)
				}
			}
			if (tt.why == "") != (why == "") || tt.not != "" && strings.Contains(why, tt.not) {
				t.Errorf("it says %q", why)
			}
			if caveats := strings.Join(j.Caveats, "\n"); (tt.caveat == "") != (caveats == "") || !strings.Contains(caveats, tt.caveat) {
				t.Errorf("caveats %q", caveats)
			}
		})
	}
}

// TestJudgeContext: a question brings the condition keys under which it is meant.
func TestJudgeContext(t *testing.T) {
	t.Parallel()
	p := ofRole(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringLike":{"iam:PassedToService":"ecs*.amazonaws.com"}}}]}`)
	judge := p.Judge("eu-west-1")
	for context, want := range map[string]connector.Answer{
		"": connector.NotKnown,
		"iam:PassedToService=ecs-tasks.amazonaws.com": connector.MayDo,
		"iam:PassedToService=ecs*.amazonaws.com":      connector.MayDo,
		"iam:PassedToService=ec2.amazonaws.com":       connector.MayNotDo,
	} {
		if got := judge.May(connector.Asked{Action: "iam:PassRole", Resource: "arn:aws:iam::123456789012:role/r", Context: context}); got.Answer != want {
			t.Errorf("%q: %s, want %s: %s", context, got.Answer, want, got.Why)
		}
	}
}

// TestJudgeRegion: the Region and who calls are known to every question.
func TestJudgeRegion(t *testing.T) {
	t.Parallel()
	p := ofRole(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{
		"StringEquals":{"aws:RequestedRegion":"eu-west-1","aws:PrincipalAccount":"123456789012","aws:PrincipalType":"AssumedRole"},
		"ArnEquals":{"aws:PrincipalArn":"` + deployRole + `"},"Bool":{"aws:SecureTransport":"true"}}}]}`)
	for region, want := range map[string]connector.Answer{"eu-west-1": connector.MayDo, "us-east-1": connector.MayNotDo} {
		if got := p.Judge(region).May(getObject); got.Answer != want {
			t.Errorf("%s: %s: %s", region, got.Answer, got.Why)
		}
	}
	p.Role = "" // then its path is not known, and no guess is made
	if got := p.Judge("eu-west-1").May(getObject); got.Answer != connector.NotKnown || !slices.ContainsFunc(got.Why, func(w string) bool { return strings.Contains(w, "aws:PrincipalArn") }) {
		t.Errorf("%s: %s", got.Answer, got.Why)
	}
}

// TestJudgeAssumeRole: of a role it is said what the identity's own side allows, and that the role has a say.
func TestJudgeAssumeRole(t *testing.T) {
	t.Parallel()
	asked := connector.Asked{Action: "sts:AssumeRole", Resource: "arn:aws:iam::210987654321:role/other"}
	for name, tt := range map[string]struct {
		known connector.Permissions
		want  connector.Answer
	}{
		"allowed":     {ofRole(allowAll), connector.MayDo},
		"not allowed": {ofRole(allowObjects), connector.MayNotDo},
		"denied":      {ofRole(allowAll, `{"Statement":[{"Effect":"Deny","Action":"sts:*","Resource":"*"}]}`), connector.MayNotDo},
		"a boundary":  {but(ofRole(allowAll), boundary(allowEC2)), connector.MayNotDo},
	} {
		j := tt.known.Judge("eu-west-1").May(asked)
		if j.Answer != tt.want || (len(j.Caveats) == 1 && strings.Contains(j.Caveats[0], "trust policy")) != (tt.want == connector.MayDo) {
			t.Errorf("%s: %s %q %q", name, j.Answer, j.Why, j.Caveats)
		}
	}
	grant, blocked := mend(ofRole(), []connector.Asked{asked})
	if grant == nil || !strings.Contains(grant.Command, "sts:AssumeRole") || len(blocked) > 0 {
		t.Errorf("%+v %+v", grant, blocked)
	}
}

// Of a key it is said what the identity's own side allows, and that the key's policy has a say. A list of keys has no key.
func TestJudgeKey(t *testing.T) {
	t.Parallel()
	decrypt := connector.Asked{Action: "kms:Decrypt", Resource: "arn:aws:kms:eu-west-1:123456789012:key/0f"}
	known, without := ofRole(allowAll), ofRole(allowObjects)
	if j := known.Judge("eu-west-1").May(decrypt); j.Answer != connector.MayDo || len(j.Caveats) != 1 || !strings.Contains(j.Caveats[0], "key's policy") {
		t.Errorf("%s %q %q", j.Answer, j.Why, j.Caveats)
	}
	if j := without.Judge("eu-west-1").May(decrypt); j.Answer != connector.MayNotDo {
		t.Errorf("without a permission: %s %q", j.Answer, j.Why)
	}
	if j := known.Judge("eu-west-1").May(connector.Asked{Action: "kms:ListKeys", Resource: "*"}); j.Answer != connector.MayDo || len(j.Caveats) > 0 {
		t.Errorf("a list: %s %q %q", j.Answer, j.Why, j.Caveats)
	}
}
