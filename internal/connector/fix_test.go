package connector_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/connector"
)

// on asks about actions on one resource.
func on(resource string, actions ...string) []connector.Asked {
	var out []connector.Asked
	for _, a := range actions {
		out = append(out, connector.Asked{Action: a, Resource: resource})
	}
	return out
}

// mend judges and mends.
func mend(p connector.Permissions, asked []connector.Asked) (*connector.Fix, []connector.Fix) {
	judge := p.Judge("eu-west-1")
	var denied []*connector.Judgement
	for _, a := range asked {
		if j := judge.May(a); j.Answer == connector.MayNotDo {
			denied = append(denied, &j)
		}
	}
	return p.Mend(denied)
}

func TestMend(t *testing.T) {
	t.Parallel()
	const object, bucket = "arn:aws:s3:::b/*", "arn:aws:s3:::b"
	asUser := func(p *connector.Permissions) { p.Principal, p.Role = ciUser, "" }
	inGroup := func(p *connector.Permissions) {
		asUser(p)
		p.Identity[len(p.Identity)-1].Via = "group ops"
	}
	managed := func(arn string) func(p *connector.Permissions) {
		return func(p *connector.Permissions) {
			last := &p.Identity[len(p.Identity)-1]
			last.Via, last.ARN = "managed", arn
		}
	}
	for name, tt := range map[string]struct {
		known   connector.Permissions
		asked   []connector.Asked
		grant   *connector.Fix
		blocked []connector.Fix
	}{
		"a role gets an inline policy, a statement for each set of resources": {
			ofRole(), append(on(object, "s3:GetObject", "s3:PutObject"), on(bucket, "s3:ListBucket")...),
			&connector.Fix{
				What: `Allow it in a policy of the identity: {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::b/*"},{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::b"}]}`,
				Command: `aws iam put-role-policy --role-name deploy --policy-name belay-connector --policy-document ` +
					`'{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::b/*"},{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::b"}]}'`,
			}, nil,
		},
		"a user, too": {
			but(ofRole(), asUser), on(object, "s3:GetObject"),
			&connector.Fix{
				What:    `Allow it in a policy of the identity: {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}`,
				Command: `aws iam put-user-policy --user-name ci --policy-name belay-connector --policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}'`,
			}, nil,
		},
		"what an earlier grant allows stays": {
			but(ofRole(), func(p *connector.Permissions) { p.Identity = []connector.PolicyText{text("belay-connector", allowEC2)} }), on(object, "s3:GetObject"),
			&connector.Fix{
				What:    `Allow it in a policy of the identity: {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"},{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}`,
				Command: `aws iam put-role-policy --role-name deploy --policy-name belay-connector --policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"},{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}'`,
			}, nil,
		},
		"the conditions of a question are those of its grant": {
			ofRole(),
			[]connector.Asked{
				{Action: "iam:PassRole", Resource: "*", Context: "iam:PassedToService=ecs.amazonaws.com"}, {Action: "iam:PassRole", Resource: "*", Context: "iam:PassedToService=lambda*"},
			},
			&connector.Fix{
				What: `Allow it in a policy of the identity: {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringEquals":{"iam:PassedToService":"ecs.amazonaws.com"}}},{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringLike":{"iam:PassedToService":"lambda*"}}}]}`,
				Command: `aws iam put-role-policy --role-name deploy --policy-name belay-connector --policy-document '{"Version":"2012-10-17","Statement":[` +
					`{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringEquals":{"iam:PassedToService":"ecs.amazonaws.com"}}},{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringLike":{"iam:PassedToService":"lambda*"}}}]}'`,
			}, nil,
		},
		"actions are taken out of a statement together": {
			ofRole(allowAll, `{"Statement":[{"Sid":"No","Effect":"Deny","Action":["s3:GetObject","s3:PutObject","s3:DeleteObject"],"Resource":"*"}]}`), on(object, "s3:GetObject", "s3:PutObject"),
			nil,
			[]connector.Fix{{
				What:    `Take s3:GetObject, s3:PutObject out of statement 1 ("No") of the inline policy p2.`,
				Command: `aws iam put-role-policy --role-name deploy --policy-name p2 --policy-document '{"Statement":[{"Sid":"No","Effect":"Deny","Action":"s3:DeleteObject","Resource":"*"}]}'`,
			}},
		},
		"a statement that denies nothing else goes, the others stay": {
			ofRole(allowAll, `{"Statement":[{"Effect":"Deny","Action":"s3:GetObject","Resource":"*"},{"Effect":"Deny","Action":"s3:PutObject","Resource":"*"},{"Effect":"Deny","Action":"iam:*","Resource":"*"}]}`),
			on(object, "s3:GetObject", "s3:PutObject"),
			nil,
			[]connector.Fix{{
				What:    `Remove statement 1 of the inline policy p2: it denies nothing else. Remove statement 2 of the inline policy p2: it denies nothing else.`,
				Command: `aws iam put-role-policy --role-name deploy --policy-name p2 --policy-document '{"Statement":[{"Effect":"Deny","Action":"iam:*","Resource":"*"}]}'`,
			}},
		},
		"a policy without a statement is taken away": {
			ofRole(allowAll, denyGet), on(object, "s3:GetObject"),
			nil,
			[]connector.Fix{{`Remove statement 1 ("No") of the inline policy p2: it denies nothing else.`, `aws iam delete-role-policy --role-name deploy --policy-name p2`}},
		},
		"a policy of a group, too": {
			but(ofRole(allowAll, denyGet), inGroup), on(object, "s3:GetObject"),
			nil,
			[]connector.Fix{{`Remove statement 1 ("No") of the policy p2 of group ops: it denies nothing else.`, `aws iam delete-group-policy --group-name ops --policy-name p2`}},
		},
		"a managed policy is detached": {
			but(ofRole(allowAll, denyGet), managed("arn:aws:iam::123456789012:policy/Guard")), on(object, "s3:GetObject"),
			nil,
			[]connector.Fix{{`Remove statement 1 ("No") of arn:aws:iam::123456789012:policy/Guard: it denies nothing else.`, `aws iam detach-role-policy --role-name deploy --policy-arn arn:aws:iam::123456789012:policy/Guard`}},
		},
		"from a pattern the identity is exempted, by the role's ARN": {
			but(ofRole(allowAll, `{"Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]}`), managed("arn:aws:iam::123456789012:policy/Guard")), on(object, "s3:GetObject", "s3:PutObject"),
			nil,
			[]connector.Fix{{
				`Exempt this identity from statement 1 of arn:aws:iam::123456789012:policy/Guard.`,
				`aws iam create-policy-version --policy-arn arn:aws:iam::123456789012:policy/Guard --set-as-default --policy-document '{"Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"ArnNotEquals":{"aws:PrincipalArn":"` + deployRole + `"}}}]}'`,
			}},
		},
		"beside those that are exempt already, whatever its path is": {
			but(ofRole(allowAll, `{"Statement":[{"Effect":"Deny","NotAction":"iam:*","Resource":"*","Condition":{"ArnNotLike":{"aws:principalarn":"arn:aws:iam::123456789012:role/admin"}}}]}`), func(p *connector.Permissions) {
				p.Principal = "arn:aws:sts::123456789012:assumed-role/deploy/x"
			}), on(object, "s3:GetObject"),
			nil,
			[]connector.Fix{{
				`Exempt this identity from statement 1 of the inline policy p2.`,
				`aws iam put-role-policy --role-name deploy --policy-name p2 --policy-document '{"Statement":[{"Effect":"Deny","NotAction":"iam:*","Resource":"*","Condition":{"ArnNotLike":{"aws:principalarn":["arn:aws:iam::123456789012:role/admin","` + deployRole + `"]}}}]}'`,
			}},
		},
		"a boundary is widened once": {
			but(ofRole(allowAll), boundary(allowEC2)), on(object, "s3:GetObject", "s3:PutObject"),
			nil,
			[]connector.Fix{{
				`Allow s3:GetObject, s3:PutObject in the permissions boundary arn:aws:iam::123456789012:policy/B too.`,
				`aws iam create-policy-version --policy-arn arn:aws:iam::123456789012:policy/B --set-as-default --policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"},{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::b/*"}]}'`,
			}},
		},
		"AWS's own boundary cannot be changed": {
			but(ofRole(allowAll), func(p *connector.Permissions) {
				p.Boundary = &connector.PolicyText{Name: "PowerUserAccess", ARN: "arn:aws:iam::aws:policy/PowerUserAccess", Via: "boundary", Document: allowEC2}
			}), on(object, "s3:GetObject"),
			nil,
			[]connector.Fix{{`Set another permissions boundary, one that allows s3:GetObject: nobody can change arn:aws:iam::aws:policy/PowerUserAccess, which is AWS's own.`, ""}},
		},
		"the organization's policy is widened, and the identity's own too": {
			but(ofRole(), scp(allowEC2)), on(object, "s3:GetObject"),
			&connector.Fix{
				What:    `Allow it in a policy of the identity: {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}`,
				Command: `aws iam put-role-policy --role-name deploy --policy-name belay-connector --policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}'`,
			},
			[]connector.Fix{{
				`Allow s3:GetObject in the service control policy at 123456789012, arn:aws:organizations::210987654321:policy/o-1/service_control_policy/p-guard too.`,
				`aws organizations update-policy --policy-id p-guard --content '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"},{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}'`,
			}},
		},
		"a refusal by what could not be read names whom to ask, not a grant that would not help": {
			but(ofRole(allowAll), all(reading(connector.PartSCP, "organizations:DescribeOrganization"), said(false, connector.Simulated, "explicitDeny"))),
			[]connector.Asked{getObject},
			nil,
			[]connector.Fix{{What: "Ask who administers the organization for a service control policy that denies it, or does not allow it. It is about s3:GetObject."}},
		},
		"an explicit denial that could not be read, too": {
			but(ofRole(), all(reading(connector.PartIdentity, "iam:GetRolePolicy"), said(false, connector.Simulated, "explicitDeny"))),
			[]connector.Asked{getObject},
			nil,
			[]connector.Fix{{What: "Ask who administers the account for a policy that denies it: none of those that could be read does. It is about s3:GetObject."}},
		},
		"a grant beside policies that could not be read does not take the place of one": {
			but(ofRole(), all(reading(connector.PartIdentity, "iam:GetRolePolicy"), said(false, connector.Simulated, "implicitDeny"))),
			[]connector.Asked{getObject},
			&connector.Fix{
				What:    `Allow it in a policy of the identity: {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/x"}]}`,
				Command: `aws iam put-role-policy --role-name deploy --policy-name belay-connector-HASH --policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/x"}]}'`,
			}, nil,
		},
		"what has no holder has no command": {
			but(ofRole(), func(p *connector.Permissions) {
				p.Principal, p.Role = "arn:aws:sts::123456789012:federated-user/bob", ""
			}), on(object, "s3:GetObject"),
			&connector.Fix{What: `Allow it in a policy of the identity: {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}`}, nil,
		},
		"nothing denied": {ofRole(allowAll), on(object, "s3:GetObject"), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			grant, blocked := mend(tt.known, tt.asked)
			if grant != nil {
				grant.Command = hashed(grant.Command)
			}
			if diff := cmp.Diff(tt.grant, grant); diff != "" {
				t.Errorf("grant (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(tt.blocked, blocked); diff != "" {
				t.Errorf("blocked (-want +got)\n%s", diff)
			}
		})
	}
}

// hashed writes HASH for the eight digits behind the policy's name.
func hashed(command string) string {
	before, after, ok := strings.Cut(command, "belay-connector-")
	if !ok || len(after) < 8 || strings.Trim(after[:8], "0123456789abcdef") != "" {
		return command
	}
	return before + "belay-connector-HASH" + after[8:]
}

// TestMendTooLong: an inline policy that IAM would refuse is not proposed.
func TestMendTooLong(t *testing.T) {
	t.Parallel()
	var asked []connector.Asked
	for i := range 150 {
		asked = append(asked, connector.Asked{Action: "s3:" + strings.Repeat("a", i+1), Resource: "*"})
	}
	for _, p := range []connector.Permissions{ofRole(), {Principal: ciUser}} {
		grant, _ := mend(p, asked)
		if grant == nil || grant.Command != "" || !strings.Contains(grant.What, "`belay policy for`") {
			t.Errorf("%+v", grant)
		}
	}
}

// TestMendQuotes: names that AWS, or a delegate, tells are words of the command, whatever they hold.
func TestMendQuotes(t *testing.T) {
	t.Parallel()
	const nasty = `x';echo $(id) "&`
	p := ofRole(allowAll, denyGet)
	p.Principal, p.Role = "arn:aws:sts::123456789012:assumed-role/"+nasty+"/s", ""
	p.Identity[1].Name = nasty
	p.Boundary = &connector.PolicyText{Name: "B", ARN: "arn:aws:iam::123456789012:policy/" + nasty, Via: "boundary", Document: allowEC2}
	grant, blocked := mend(p, on("arn:aws:s3:::b/"+nasty, "s3:GetObject"))
	if grant != nil || len(blocked) != 2 {
		t.Fatalf("%v %v", grant, blocked)
	}
	for _, fix := range blocked {
		out, err := exec.Command("sh", "-c", "aws() { for one; do printf '%s\\n' \"$one\"; done; }; "+fix.Command).Output()
		if err != nil {
			t.Fatalf("%s: %v", fix.Command, err)
		}
		words := strings.Split(strings.TrimSpace(string(out)), "\n")
		if words[0] != "iam" || !strings.Contains(string(out), nasty) || strings.Contains(string(out), "uid=") || len(words) > 7 {
			t.Errorf("%q", words)
		}
	}
}
