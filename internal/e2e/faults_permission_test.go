package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/sandbox"
)

// permissionFaults are those of the identity's own side: what it may do.
func permissionFaults() map[string]fault {
	allow := statement("Allow", anyRegions, "*")
	organization := func(policy, attach string) string {
		return fmt.Sprintf(`
organizations:
- management: %q
  policies: [{name: guard, document: %s}]
  units: [{name: workloads, attach: %s, accounts: [{id: %q}]}]
`, management, policy, attach, home)
	}
	const guarded = "[FullAWSAccess, guard]"
	onlyS3 := statement("Allow", `"s3:*"`, "*")
	return map[string]fault{
		"no statement allows DescribeRegions": {
			scene: user("attach: [" + readsItself + "]"),
			code:  connector.PermissionMissing,
			names: []string{"No policy of the identity allows ec2:DescribeRegions"},
		},
		"nothing is allowed, not even to read oneself": {
			scene: user(),
			code:  connector.PermissionMissing,
			names: []string{"may not call ec2:DescribeRegions"},
			shown: "Not read: identity policies: iam:ListUserPolicies answered AccessDenied",
			apply: attachStatement,
		},
		"DescribeRegions on an ARN instead of a star": {
			scene: user("attach: ["+readsItself+"]", "inline: {regions: "+statement("Allow", anyRegions, "arn:aws:ec2:us-east-1:111111111111:instance/*")+"}"),
			code:  connector.PermissionMissing,
			names: []string{"statement 1 of the inline policy regions", `arn:aws:ec2:us-east-1:111111111111:instance/*`},
		},
		"DescribeRegions misspelt": {
			scene: user("attach: ["+readsItself+"]", "inline: {regions: "+statement("Allow", `"ec2:DescribeRegion"`, "*")+"}"),
			code:  connector.PermissionMissing,
			names: []string{"No policy of the identity allows ec2:DescribeRegions"},
		},
		"allowed in another Region only": {
			scene: user("attach: ["+readsItself+"]", "inline: {regions: "+statement("Allow", anyRegions, "*", `Condition: {StringEquals: {"aws:RequestedRegion": eu-west-1}}`)+"}"),
			code:  connector.PermissionMissing,
			names: []string{"the inline policy regions", "aws:RequestedRegion"},
		},
		"one of ten policies denies": {
			scene: sceneOf(home, "  policies:\n"+tenPolicies()) + tail(user("attach: [p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, "+readsItself+"]", "inline: {regions: "+allow+"}")),
			code:  connector.PermissionMissing,
			names: []string{`statement 2 ("Freeze") of arn:aws:iam::111111111111:policy/p7`, "denies ec2:DescribeRegions"},
		},
		"two policies deny": {
			scene: user("attach: ["+readsItself+"]", "inline:", "  regions: "+allow, "  one: "+statement("Deny", anyRegions, "*"), "  two: "+statement("Deny", `["ec2:DescribeRegions", "ec2:DescribeVpcs"]`, "*")),
			code:  connector.PermissionMissing,
			names: []string{"statement 1 of the inline policy one", "statement 1 of the inline policy two", "deny ec2:DescribeRegions"},
		},
		"a wildcard denies": {
			scene: user("attach: ["+readsItself+"]", "inline: {regions: "+allow+", frozen: "+statement("Deny", `"ec2:Describe*"`, "*")+"}"),
			code:  connector.PermissionMissing,
			names: []string{"statement 1 of the inline policy frozen"},
		},
		"NotAction denies": {
			scene: user("inline:", "  regions: "+allow, `  only-iam: {Version: "2012-10-17", Statement: [{Effect: Deny, NotAction: ["iam:*", "organizations:*"], Resource: "*"}]}`, "attach: ["+readsItself+"]"),
			code:  connector.PermissionMissing,
			names: []string{"statement 1 of the inline policy only-iam"},
		},
		"a Region denies": {
			scene: user("attach: ["+readsItself+"]", "inline: {regions: "+allow+", europe: "+statement("Deny", `"ec2:*"`, "*", `Condition: {StringNotEquals: {"aws:RequestedRegion": eu-west-1}}`)+"}"),
			code:  connector.PermissionMissing,
			names: []string{"statement 1 of the inline policy europe"},
		},
		"an inline policy of a group denies": {
			scene: sceneOf(home, "  groups: [{name: interns, inline: {careful: "+statement("Deny", anyRegions, "*")+"}}]\n") +
				tail(user("groups: [interns]", "attach: ["+readsItself+"]", "inline: {regions: "+allow+"}")),
			code:  connector.PermissionMissing,
			names: []string{"statement 1 of the policy careful of group interns"},
		},
		"a managed policy of a group denies": {
			scene: sceneOf(home, "  policies: [{name: careful, document: "+statement("Deny", `["ec2:DescribeRegions", "ec2:RunInstances"]`, "*")+"}]\n  groups: [{name: interns, attach: [careful]}]\n") +
				tail(user("groups: [interns]", "attach: ["+readsItself+"]", "inline: {regions: "+allow+"}")),
			code:  connector.PermissionMissing,
			names: []string{"statement 1", "careful", "group interns"},
		},
		"a managed policy does nothing but deny": {
			scene: sceneOf(home, "  policies: [{name: frozen, document: "+statement("Deny", anyRegions, "*")+"}]\n") +
				tail(user("attach: [frozen, "+readsItself+"]", "inline: {regions: "+allow+"}")),
			code:  connector.PermissionMissing,
			names: []string{"statement 1 of arn:aws:iam::111111111111:policy/frozen"},
		},
		"a policy of AWS denies everything": {
			scene: user("attach: [AWSDenyAll]", "inline: {regions: "+allow+"}"),
			code:  connector.PermissionMissing,
			names: []string{"arn:aws:iam::aws:policy/AWSDenyAll"},
		},
		"a policy of AWS in a group denies everything": {
			scene: sceneOf(home, "  groups: [{name: frozen, attach: [AWSDenyAll]}]\n") + tail(user("groups: [frozen]", "inline: {regions: "+allow+"}")),
			code:  connector.PermissionMissing,
			names: []string{"arn:aws:iam::aws:policy/AWSDenyAll"},
			apply: told("group", func(w *world) {
				w.done(w.iam(home).DetachGroupPolicy(w.t.Context(), &iam.DetachGroupPolicyInput{GroupName: aws.String("frozen"), PolicyArn: aws.String("arn:aws:iam::aws:policy/AWSDenyAll")}))
			}),
		},
		"the boundary does not include it": {
			scene: sceneOf(home, "  policies: [{name: limit, document: "+statement("Allow", `["s3:*", "iam:*"]`, "*")+"}]\n") +
				tail(user("boundary: limit", "attach: ["+readsItself+"]", "inline: {regions: "+allow+"}")),
			code:  connector.PermissionMissing,
			names: []string{"The permissions boundary arn:aws:iam::111111111111:policy/limit does not allow ec2:DescribeRegions"},
		},
		"neither boundary nor policy include it": {
			scene: sceneOf(home, "  policies: [{name: limit, document: "+statement("Allow", `["s3:*", "iam:*"]`, "*")+"}]\n") + tail(user("boundary: limit", "attach: ["+readsItself+"]")),
			code:  connector.PermissionMissing,
			names: []string{"No policy of the identity allows ec2:DescribeRegions", "The permissions boundary arn:aws:iam::111111111111:policy/limit does not allow"},
		},
		"the boundary denies": {
			scene: sceneOf(home, `  policies: [{name: limit, document: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "*", Resource: "*"}, {Sid: NoEC2, Effect: Deny, Action: "ec2:*", Resource: "*"}]}}]`+"\n") +
				tail(user("boundary: limit", "attach: ["+readsItself+"]", "inline: {regions: "+allow+"}")),
			code:  connector.PermissionMissing,
			names: []string{`statement 2 ("NoEC2") of arn:aws:iam::111111111111:policy/limit`},
		},
		"a policy of AWS is the boundary": {
			scene: user("boundary: IAMReadOnlyAccess", "attach: ["+readsItself+"]", "inline: {regions: "+allow+"}"),
			code:  connector.PermissionMissing,
			names: []string{"The permissions boundary arn:aws:iam::aws:policy/IAMReadOnlyAccess does not allow ec2:DescribeRegions"},
			apply: told("Set another permissions boundary", func(w *world) {
				w.seed(sceneOf(home, "  policies: [{name: wider, document: "+statement("Allow", `["ec2:*", "iam:*"]`, "*")+"}]\n"))
				w.done(w.iam(home).PutUserPermissionsBoundary(w.t.Context(), &iam.PutUserPermissionsBoundaryInput{UserName: aws.String("belay"), PermissionsBoundary: aws.String("arn:aws:iam::111111111111:policy/wider")}))
			}),
		},
		"a service control policy does not include it": {
			scene: user("attach: [IAMReadOnlyAccess, AWSOrganizationsReadOnlyAccess]", "inline: {regions: "+allow+"}") +
				organization(statement("Allow", `["s3:*", "iam:*", "organizations:*"]`, "*"), "[guard]"),
			code:  connector.PermissionMissing,
			names: []string{"No service control policy at ou-", "allows ec2:DescribeRegions"},
		},
		"a service control policy denies": {
			scene: user("attach: [IAMReadOnlyAccess, AWSOrganizationsReadOnlyAccess]", "inline: {regions: "+allow+"}") + organization(statement("Deny", `"ec2:*"`, "*"), guarded),
			code:  connector.PermissionMissing,
			names: []string{"statement 1 of arn:aws:organizations::999999999999:policy/", "at ou-"},
		},
		"a service control policy that cannot be read does not include it": {
			scene: user("attach: [IAMReadOnlyAccess]", "inline: {regions: "+allow+"}") + organization(statement("Allow", `["s3:*", "iam:*"]`, "*"), "[guard]"),
			code:  connector.PermissionMissing,
			names: []string{"No service control policy allows ec2:DescribeRegions"},
			apply: told("Ask who administers the organization", func(w *world) {
				w.seed(organization(statement("Allow", `["s3:*", "iam:*", "ec2:DescribeRegions"]`, "*"), "[guard]"))
			}),
		},
		"a service control policy that cannot be read denies": {
			scene: user("attach: [IAMReadOnlyAccess]", "inline: {regions: "+allow+"}") + organization(statement("Deny", `"ec2:*"`, "*"), guarded),
			code:  connector.PermissionMissing,
			names: []string{"service control policy arn:aws:organizations::999999999999:policy/"},
			apply: told("Change the statement with Effect Deny in arn:aws:organizations::999999999999:policy/", func(w *world) {
				w.seed(organization(statement("Deny", `"ec2:RunInstances"`, "*"), guarded))
			}),
		},
		"a session policy does not include it": {
			scene: sessionScene(allow),
			set:   func(w *world) { w.session(sessionPolicy(`"s3:*","iam:*"`)) },
			code:  connector.PermissionMissing,
			names: []string{"session policy", "ec2:DescribeRegions"},
			apply: told("session policy", func(w *world) { w.session(sessionPolicy(`"s3:*","ec2:DescribeRegions"`)) }),
		},
		"a session policy denies": {
			scene: sessionScene(allow),
			set: func(w *world) {
				w.session(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"ec2:*","Resource":"*"}]}`)
			},
			code:  connector.PermissionMissing,
			names: []string{"session policy", "ec2:DescribeRegions"},
			apply: told("session policy", func(w *world) { w.session() }),
		},
		"a role's own policies do not include it": {
			scene: sessionScene(onlyS3),
			set:   func(w *world) { w.session() },
			code:  connector.PermissionMissing,
			names: []string{"No policy of the identity allows ec2:DescribeRegions"},
		},
		"the policy was changed two minutes ago": {
			scene: user("attach: [" + readsItself + "]"),
			set: func(w *world) {
				w.settings(func(s *sandbox.Settings) { s.Propagation = sandbox.Duration(5 * time.Minute) })
				w.later(time.Hour)
				w.grant("ec2:DescribeRegions", "*")
				w.later(2 * time.Minute)
			},
			code:  connector.PermissionMissing,
			names: []string{"the policies that could be read allow it", "up to five minutes"},
			apply: told("five minutes", func(w *world) { w.later(4 * time.Minute) }),
		},
	}
}

// tail is what follows the account's line in a scene, to be put behind another part of the same account.
func tail(scene string) string {
	_, after, _ := strings.Cut(scene, fmt.Sprintf("- id: %q\n", home))
	return after
}

// tenPolicies are p1 to p10. The seventh denies.
func tenPolicies() string {
	var b strings.Builder
	for i := 1; i <= 10; i++ {
		deny := ""
		if i == 7 {
			deny = `, {Sid: Freeze, Effect: Deny, Action: ["ec2:TerminateInstances", "ec2:DescribeRegions"], Resource: "*"}`
		}
		fmt.Fprintf(&b, "  - {name: p%d, document: {Version: \"2012-10-17\", Statement: [{Effect: Allow, Action: \"s3:Get*\", Resource: \"arn:aws:s3:::bucket-%d/*\"}%s]}}\n", i, i, deny)
	}
	return b.String()
}

// attachStatement attaches the statement that the remedy gives.
func attachStatement(w *world, d *connector.Diagnosis) {
	w.t.Helper()
	for _, remedy := range d.Remedy {
		if given, ok := strings.CutPrefix(remedy, "Attach this statement to the identity: "); ok {
			var one any
			if err := json.Unmarshal([]byte(given), &one); err != nil {
				w.t.Fatal(err)
			}
			w.done(w.iam(home).PutUserPolicy(w.t.Context(), &iam.PutUserPolicyInput{
				UserName: aws.String("belay"), PolicyName: aws.String("regions"), PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[` + given + `]}`),
			}))
			return
		}
	}
	w.t.Fatalf("the remedy has no statement: %q", d.Remedy)
}

// sessionScene has a role with a policy, which the administrator may assume.
func sessionScene(policy string) string {
	return sceneOf(home, "  roles:\n  - name: deployer\n    path: /ci/\n    attach: ["+readsItself+"]\n    inline: {own: "+policy+"}\n"+
		`    trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "111111111111"}, Action: "sts:AssumeRole"}]}`+"\n")
}

func sessionPolicy(actions string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[` + actions + `],"Resource":"*"}]}`
}

// session stores a new session of the role in the connector: its three parts.
func (w *world) session(policy ...string) {
	w.t.Helper()
	in := &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::" + home + ":role/ci/deployer"), RoleSessionName: aws.String("given")}
	if len(policy) > 0 {
		in.Policy = &policy[0]
	}
	out, err := sts.NewFromConfig(w.admin(home)).AssumeRole(w.t.Context(), in)
	if err != nil {
		w.t.Fatal(err)
	}
	w.secrets["account.secret"], w.secrets["account.token"] = *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken
	w.connector.Credential = connector.ManualConfig{AccessKey: *out.Credentials.AccessKeyId, SecretKeyRef: "account.secret", SessionTokenRef: "account.token"}
}
