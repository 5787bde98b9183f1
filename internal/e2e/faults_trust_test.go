package e2e_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/sandbox"
)

// trustFaults are those of a role in this or another account: whether the identity may assume it, and whether the role lets
// it in.
func trustFaults() map[string]fault {
	const (
		foreign = "arn:aws:iam::" + elsewhere + ":role/deploy"
		own     = "arn:aws:iam::" + home + ":role/deploy"
		belay   = "arn:aws:iam::" + home + ":user/belay"
	)
	// roleIn is the part of a scene with a role that may list Regions.
	roleIn := func(trust string) string {
		return "  roles: [{name: deploy, trust: " + trust + ", inline: {regions: " + statement("Allow", anyRegions, "*") + "}}]\n"
	}
	trusts := func(principal string, more ...string) string {
		text := strings.Join(append([]string{""}, more...), ", ")
		return fmt.Sprintf(`{Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: %q}, Action: "sts:AssumeRole"%s}]}`, principal, text)
	}
	mayAssume := func(role string) string {
		return user("attach: ["+readsItself+"]", "inline: {assume: "+statement("Allow", `"sts:AssumeRole"`, role)+"}")
	}
	// across is the scene with the role in the other account, within the one with it in the same.
	across := func(who, trust string) string { return who + fmt.Sprintf("- id: %q\n", elsewhere) + roleIn(trust) }
	within := func(who, trust string) string { return sceneOf(home, roleIn(trust)) + tail(who) }
	assume := func(role, external string) func(*world) {
		return func(w *world) {
			w.connector.CrossAccount = &connector.CrossAccount{RoleARN: role, ExternalID: external}
		}
	}
	rightExternalID := func(w *world) { w.connector.CrossAccount.ExternalID = "ext-42" }
	const asksFor42 = `Condition: {StringEquals: {"sts:ExternalId": ext-42}}`
	resourceControl := func(action string) string {
		return fmt.Sprintf(`
organizations:
- management: %q
  enabled: [SERVICE_CONTROL_POLICY, RESOURCE_CONTROL_POLICY]
  policies: [{name: perimeter, type: RESOURCE_CONTROL_POLICY, document: {Version: "2012-10-17", Statement: [{Effect: Deny, Principal: "*", Action: %q, Resource: "*"}]}}]
  units: [{name: data, attach: [FullAWSAccess, RCPFullAWSAccess, perimeter], accounts: [{id: %q}]}]
`, management, action, elsewhere)
	}
	return map[string]fault{
		"wrong external id, role in another account": {
			scene: across(mayAssume(foreign), trusts(belay, asksFor42)),
			set:   assume(foreign, "ext-24"),
			code:  connector.RoleNotAssumable,
			names: []string{foreign, "the external id", "on the other side"},
			apply: told("Compare the connector's external id with sts:ExternalId in the trust policy", rightExternalID),
		},
		"no external id, role in another account": {
			scene: across(mayAssume(foreign), trusts(belay, asksFor42)),
			set:   assume(foreign, ""),
			code:  connector.RoleNotAssumable,
			names: []string{foreign, "the external id"},
			apply: told("set externalId in the connector: it sends none now", rightExternalID),
		},
		"wrong external id, role in the same account": {
			scene: within(mayAssume(own), trusts(belay, asksFor42)),
			set:   assume(own, "ext-24"),
			code:  connector.RoleNotAssumable,
			names: []string{"external id", `the connector sends "ext-24"`},
			not:   "update-assume-role-policy",
			apply: told(`Set externalId in the connector to "ext-42"`, rightExternalID),
		},
		"no external id, role in the same account": {
			scene: within(mayAssume(own), trusts(belay, asksFor42)),
			set:   assume(own, ""),
			code:  connector.RoleNotAssumable,
			names: []string{"external id", "the connector sends none"},
			apply: told(`Set externalId in the connector to "ext-42"`, rightExternalID),
		},
		"the role trusts another account": {
			scene: across(mayAssume(foreign), trusts(stranger)),
			set:   assume(foreign, "ext-42"),
			code:  connector.RoleNotAssumable,
			names: []string{"Its own policies allow it, so what refuses is on the other side: the role's trust policy"},
			shown: "the inline policy assume allows it",
		},
		"the role trusts the whole account, but the identity may not": {
			scene: across(user("attach: ["+readsItself+"]"), trusts("arn:aws:iam::"+home+":root")),
			set:   assume(foreign, ""),
			code:  connector.RoleNotAssumable,
			names: []string{"No policy of the identity allows sts:AssumeRole"},
		},
		"the identity may not, and cannot read why": {
			scene: across(user(), trusts("arn:aws:iam::"+home+":root")),
			set:   assume(foreign, ""),
			code:  connector.RoleNotAssumable,
			names: []string{"Its own policies do not allow it"},
			apply: told(`{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "`+foreign+`"}`, func(w *world) {
				w.grant("sts:AssumeRole", foreign)
			}),
		},
		"the identity may assume another role": {
			scene: across(mayAssume("arn:aws:iam::"+elsewhere+":role/deployer"), trusts(belay)),
			set:   assume(foreign, ""),
			code:  connector.RoleNotAssumable,
			names: []string{"statement 1 of the inline policy assume", ":role/deployer"},
		},
		"one of the identity's policies denies the role": {
			scene: across(user("attach: ["+readsItself+"]", "inline:", "  assume: "+statement("Allow", `"sts:AssumeRole"`, "*"), "  fence: "+statement("Deny", `"sts:AssumeRole"`, "arn:aws:iam::"+elsewhere+":role/*")), trusts(belay)),
			set:   assume(foreign, ""),
			code:  connector.RoleNotAssumable,
			names: []string{"statement 1 of the inline policy fence denies sts:AssumeRole"},
		},
		"the role trusts another user of the account": {
			scene: within(mayAssume(own), trusts("arn:aws:iam::"+home+":user/admin")),
			set:   assume(own, ""),
			code:  connector.RoleNotAssumable,
			names: []string{"The role's trust policy does not let it in", "arn:aws:iam::" + home + ":user/admin"},
			shown: "Trust policy: ",
		},
		"the role trusts a service": {
			scene: within(mayAssume(own), `{Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: "sts:AssumeRole"}]}`),
			set:   assume(own, ""),
			code:  connector.RoleNotAssumable,
			names: []string{"The role's trust policy does not let it in", "ec2.amazonaws.com"},
		},
		"the trust policy asks for a tag that the identity lacks": {
			scene: within(mayAssume(own), trusts(belay, `Condition: {StringEquals: {"aws:PrincipalTag/team": payments}}`)),
			set:   assume(own, ""),
			code:  connector.RoleNotAssumable,
			names: []string{"The role's trust policy does not let it in", "aws:PrincipalTag/team"},
		},
		"the trust policy denies": {
			scene: within(mayAssume(own), `{Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "111111111111"}, Action: "sts:AssumeRole"}, {Sid: NoUsers, Effect: Deny, Principal: "*", Action: "sts:AssumeRole", Condition: {ArnLike: {"aws:PrincipalArn": "arn:aws:iam::*:user/*"}}}]}`),
			set:   assume(own, ""),
			code:  connector.RoleNotAssumable,
			names: []string{"The role's trust policy denies it: statement 2", `statement 2 ("NoUsers")`},
		},
		"there is no such role in the same account": {
			scene: mayAssume(own),
			set:   assume(own, ""),
			code:  connector.RoleNotAssumable,
			names: []string{"There is no such role in account " + home},
			apply: func(w *world, d *connector.Diagnosis) {
				commands(w, d)
				told("it needs policies of its own", func(w *world) {
					w.grantRole(home, "deploy", "ec2:DescribeRegions", "*")
				})(w, d)
			},
		},
		"the role has a path that the connector leaves out": {
			scene: sceneOf(home, "  roles: [{name: deploy, path: /ci/, trust: "+trusts(belay)+", inline: {regions: "+statement("Allow", anyRegions, "*")+"}}]\n") + tail(mayAssume("arn:aws:iam::"+home+":role/*")),
			set:   assume(own, ""),
			code:  connector.RoleNotAssumable,
			names: []string{"arn:aws:iam::" + home + ":role/ci/deploy"},
			apply: told("Set crossAccountRoleArn in the connector to arn:aws:iam::"+home+":role/ci/deploy", assume("arn:aws:iam::"+home+":role/ci/deploy", "")),
		},
		"there is no such role in the other account": {
			scene: across(mayAssume("arn:aws:iam::"+elsewhere+":role/*"), trusts(belay)),
			set:   assume("arn:aws:iam::"+elsewhere+":role/deplyo", ""),
			code:  connector.RoleNotAssumable,
			names: []string{"the role is not there under this ARN"},
			apply: told("Check that the role exists under exactly this ARN", assume(foreign, "")),
		},
		"a resource control policy denies STS": {
			scene: across(mayAssume(foreign), trusts(belay)) + resourceControl("sts:AssumeRole"),
			set:   assume(foreign, ""),
			code:  connector.RoleNotAssumable,
			names: []string{"resource control policy arn:aws:organizations::999999999999:policy/"},
			not:   "update-assume-role-policy",
			apply: told("Change the statement with Effect Deny in arn:aws:organizations::999999999999:policy/", func(w *world) { w.seed(resourceControl("s3:GetObject")) }),
		},
		"a service control policy denies STS": {
			scene: across(mayAssume(foreign), trusts(belay)) + `
organizations:
- management: "999999999999"
  policies: [{name: guard, document: {Version: "2012-10-17", Statement: [{Effect: Deny, Action: "sts:AssumeRole", Resource: "*"}]}}]
  units: [{name: workloads, attach: [FullAWSAccess, guard], accounts: [{id: "111111111111"}]}]
`,
			set:   assume(foreign, ""),
			code:  connector.RoleNotAssumable,
			names: []string{"service control policy arn:aws:organizations::999999999999:policy/"},
			apply: told("Ask who administers the organization", func(w *world) {
				w.seed("organizations: [{management: \"999999999999\", units: [{name: workloads, accounts: [{id: \"111111111111\"}]}]}]")
			}),
		},
		"the boundary does not include sts:AssumeRole": {
			scene: across(sceneOf(home, "  policies: [{name: limit, document: "+statement("Allow", `["s3:*", "iam:*"]`, "*")+"}]\n")+
				tail(user("boundary: limit", "attach: ["+readsItself+"]", "inline: {assume: "+statement("Allow", `"sts:AssumeRole"`, "*")+"}")), trusts(belay)),
			set:   assume(foreign, ""),
			code:  connector.RoleNotAssumable,
			names: []string{"The permissions boundary arn:aws:iam::111111111111:policy/limit does not allow sts:AssumeRole"},
		},
		"the role's own policies lack DescribeRegions": {
			scene: mayAssume(foreign) + fmt.Sprintf("- id: %q\n  roles: [{name: deploy, trust: %s}]\n", elsewhere, trusts(belay)),
			set:   assume(foreign, ""),
			code:  connector.PermissionMissing,
			names: []string{"may not call ec2:DescribeRegions"},
			shown: "Refused identity: arn:aws:sts::222222222222:assumed-role/deploy/belay-aws",
			apply: told(`Attach this statement to the identity: {"Effect": "Allow", "Action": "ec2:DescribeRegions", "Resource": "*"}`, func(w *world) {
				w.grantRole(elsewhere, "deploy", "ec2:DescribeRegions", "*")
			}),
		},
		"the trust policy was changed two minutes ago": {
			scene: within(mayAssume(own), trusts("arn:aws:iam::"+home+":user/admin")),
			set: func(w *world) {
				assume(own, "")(w)
				w.settings(func(s *sandbox.Settings) { s.Propagation = sandbox.Duration(5 * time.Minute) })
				w.later(time.Hour)
				w.done(w.iam(home).UpdateAssumeRolePolicy(w.t.Context(), &iam.UpdateAssumeRolePolicyInput{
					RoleName: aws.String("deploy"), PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + belay + `"},"Action":"sts:AssumeRole"}]}`),
				}))
				w.later(2 * time.Minute)
			},
			code:  connector.RoleNotAssumable,
			names: []string{"Both its own policies and the role's trust policy allow it", "up to five minutes"},
			apply: told("up to five minutes", func(w *world) { w.later(4 * time.Minute) }),
		},
		"a session longer than an hour by role chaining": {
			scene: across(sessionScene(statement("Allow", `"sts:AssumeRole"`, "*")), trusts(home)),
			set: func(w *world) {
				w.session()
				w.connector.CrossAccount = &connector.CrossAccount{RoleARN: foreign, SessionDuration: 2 * time.Hour}
			},
			code:  connector.ConfigurationRefused,
			names: []string{"role chaining"},
			apply: told("Set assumeRoleSessionDuration to 3600 or less", func(w *world) { w.connector.CrossAccount.SessionDuration = time.Hour }),
		},
		"a session longer than the role allows": {
			scene: across(mayAssume(foreign), trusts(belay)),
			set: func(w *world) {
				w.connector.CrossAccount = &connector.CrossAccount{RoleARN: foreign, SessionDuration: 2 * time.Hour}
			},
			code:  connector.ConfigurationRefused,
			names: []string{"MaxSessionDuration"},
			apply: told("raise the role's maximum session duration", func(w *world) {
				w.done(w.iam(elsewhere).UpdateRole(w.t.Context(), &iam.UpdateRoleInput{RoleName: aws.String("deploy"), MaxSessionDuration: aws.Int32(7200)}))
			}),
		},
		"a role of another partition": {
			scene: across(mayAssume(foreign), trusts(belay)),
			set:   assume("arn:aws-us-gov:iam::"+elsewhere+":role/deploy", ""),
			code:  connector.WrongPartition,
			names: []string{"arn:aws-us-gov:iam::" + elsewhere + ":role/deploy", "us-east-1"},
			apply: told("roles whose ARN begins with arn:aws:", assume(foreign, "")),
		},
	}
}
