package trust_test

import (
	"strings"
	"testing"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/trust"
)

// lets is a trust policy of one statement that allows sts:AssumeRole.
func lets(principal, condition string) string {
	return statement(principal, `"sts:AssumeRole"`, condition)
}

func statement(principal, action, condition string) string {
	text := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":` + principal + `,"Action":` + action
	if condition != "" {
		text += `,"Condition":` + condition
	}
	return text + `}]}`
}

func TestExplain(t *testing.T) {
	t.Parallel()
	const (
		jump    = "arn:aws:iam::222222222222:role/team/jump"
		session = "arn:aws:sts::222222222222:assumed-role/jump/me"
		local   = "arn:aws:iam::111111111111:user/dev"
		account = `{"AWS":"arn:aws:iam::222222222222:root"}`
		withID  = `{"StringEquals":{"sts:ExternalId":"Belay-7"}}`
	)
	may := `{"Statement":{"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession"],"Resource":"` + roleARN + `"}}`
	web := func(subject string) string {
		return statement(`{"Federated":"`+providerEKS+`"}`, `"sts:AssumeRoleWithWebIdentity"`,
			`{"StringEquals":{"`+hostEKS+`:aud":"sts.amazonaws.com","`+hostEKS+`:sub":"`+subject+`"}}`)
	}
	for name, tt := range map[string]struct {
		trust    string
		caller   string
		policies string // "": none; "?": not known
		more     trust.Question
		want     trust.Outcome
		says     []string
	}{
		"the role is named, and its own policies allow it": {trust: lets(`{"AWS":"`+jump+`"}`, ""), caller: jump, policies: may, want: trust.Succeeds, says: []string{"Statement 1 of the trust policy lets the caller in."}},
		"a session of the role that is named":              {trust: lets(`{"AWS":"`+jump+`"}`, ""), caller: session, policies: may, want: trust.Succeeds, says: []string{"lets the caller in"}},
		"the own policies are not known, and the role is of another account": {
			trust: lets(`{"AWS":"`+jump+`"}`, ""), caller: jump, policies: "?", want: trust.Depends,
			says: []string{"the role is of another account, 111111111111: the caller's own policies must allow sts:AssumeRole on " + roleARN + "; they are not known here"},
		},
		"a user of the account that is named itself needs no policy": {trust: lets(`{"AWS":"`+local+`"}`, ""), caller: local, policies: "?", want: trust.Succeeds, says: []string{"lets the caller in"}},
		"the account's root without the own permission": {
			trust: lets(`"*"`, `{"StringEquals":{"aws:PrincipalAccount":"222222222222"}}`), caller: jump, want: trust.Fails,
			says: []string{"the caller's own policies must allow sts:AssumeRole", "and none does"},
		},
		":root of the role's own account without the own permission": {
			trust: lets(`{"AWS":"111111111111"}`, ""), caller: local, want: trust.Fails,
			says: []string{"trusts account 111111111111, which leaves it to that account", "and none does"},
		},
		"the own permission is for another role": {
			trust: lets(account, ""), caller: jump, policies: strings.Replace(may, "deploy", "deploj", 1), want: trust.Fails,
			says: []string{"and none does", "Near: statement 1 of own allows it on arn:aws:iam::111111111111:role/deploj, not on"},
		},
		"the own policies deny it": {
			trust: lets(account, ""), caller: jump, policies: `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"no","Effect":"Deny","Action":"sts:*","Resource":"*"}]}`, want: trust.Fails,
			says: []string{`The caller's own policies deny sts:AssumeRole: statement 2 ("no") of own.`},
		},
		"the wrong account":       {trust: lets(`{"AWS":"333333333333"}`, ""), caller: jump, policies: may, want: trust.Fails, says: []string{"333333333333 of account 333333333333, while the caller is of account 222222222222"}},
		"another role":            {trust: lets(`{"AWS":"arn:aws:iam::222222222222:role/leap"}`, ""), caller: jump, policies: may, want: trust.Fails, says: []string{"for another role, arn:aws:iam::222222222222:role/leap"}},
		"another path":            {trust: lets(`{"AWS":"arn:aws:iam::222222222222:role/jump"}`, ""), caller: jump, policies: may, want: trust.Fails, says: []string{"which has another path"}},
		"a user instead":          {trust: lets(`{"AWS":"arn:aws:iam::222222222222:user/jump"}`, ""), caller: jump, policies: may, want: trust.Fails, says: []string{"a user, while the caller is a role"}},
		"a user in another case":  {trust: lets(`{"AWS":"arn:aws:iam::111111111111:user/Dev"}`, ""), caller: local, policies: may, want: trust.Fails, says: []string{"whose name differs in letter case"}},
		"another session":         {trust: lets(`{"AWS":"arn:aws:sts::222222222222:assumed-role/jump/you"}`, ""), caller: session, policies: may, want: trust.Fails, says: []string{"another session: name the role instead"}},
		"a principal was deleted": {trust: lets(`{"AWS":"AROAABCDEFGHIJKLMNOPQ"}`, ""), caller: jump, policies: may, want: trust.Fails, says: []string{"the unique id of a user or role"}},
		"the external id is missing": {
			trust: lets(account, withID), caller: jump, policies: may, want: trust.Fails, says: []string{`wants StringEquals of sts:ExternalId to be "Belay-7", and no external id is sent`},
		},
		"the external id in another case": {
			trust: lets(account, withID), caller: jump, policies: may, more: trust.Question{ExternalID: "belay-7"}, want: trust.Fails,
			says: []string{`it is "belay-7": they differ in letter case, first at letter 1: 'B' is wanted, 'b' is sent`},
		},
		"the external id with a blank": {
			trust: lets(account, withID), caller: jump, policies: may, more: trust.Question{ExternalID: "Belay-7 "}, want: trust.Fails, says: []string{"what is sent has white space at its end"},
		},
		"the external id":                     {trust: lets(account, withID), caller: jump, policies: may, more: trust.Question{ExternalID: "Belay-7"}, want: trust.Succeeds, says: []string{"lets the caller in"}},
		"an external id too many is no fault": {trust: lets(account, ""), caller: jump, policies: may, more: trust.Question{ExternalID: "x"}, want: trust.Succeeds, says: []string{"lets the caller in"}},
		"ec2 where ecs-tasks is needed": {
			trust: lets(`{"Service":"ec2.amazonaws.com"}`, ""), caller: "ecs-tasks.amazonaws.com", want: trust.Fails,
			says: []string{"lets ec2.amazonaws.com (EC2 instances) in, and the caller comes as ecs-tasks.amazonaws.com (ECS tasks"},
		},
		"the action for tags is missing": {
			trust: lets(account, ""), caller: jump, policies: may, more: trust.Question{Tags: map[string]string{"team": "a"}}, want: trust.Fails,
			says: []string{"allows sts:AssumeRole, not sts:TagSession: a session with tags needs it besides sts:AssumeRole"},
		},
		"Pod Identity without sts:TagSession": {
			trust: lets(`{"Service":"pods.eks.amazonaws.com"}`, ""), caller: "pods.eks.amazonaws.com", want: trust.Fails, says: []string{"not sts:TagSession: EKS Pod Identity tags every session"},
		},
		"the action for a source identity is missing": {
			trust: lets(`{"AWS":"`+local+`"}`, ""), caller: local, more: trust.Question{SourceIdentity: "me"}, want: trust.Fails, says: []string{"not sts:SetSourceIdentity: a session with a source identity needs it"},
		},
		"a token": {
			trust: web("system:serviceaccount:ci:delegate"), caller: providerEKS, more: trust.Question{Claims: map[string]string{"aud": "sts.amazonaws.com", "sub": "system:serviceaccount:ci:delegate"}},
			want: trust.Succeeds, says: []string{"lets the caller in"},
		},
		"a token with another audience and subject": {
			trust: web("system:serviceaccount:ci:delegate"), caller: providerEKS, more: trust.Question{Claims: map[string]string{"aud": "sts.amazonaws.co", "sub": "system:serviceaccount:ci:delegates"}},
			want: trust.Fails, says: []string{`it is "sts.amazonaws.co": what is sent lacks "m" at its end; and it wants StringEquals of ` + hostEKS + `:sub`, `what is sent has "s" more at its end`},
		},
		"a pattern under StringEquals": {
			trust: web("system:serviceaccount:ci:*"), caller: providerEKS, more: trust.Question{Claims: map[string]string{"aud": "sts.amazonaws.com", "sub": "system:serviceaccount:ci:delegate"}},
			want: trust.Fails, says: []string{"a pattern needs StringLike"},
		},
		"a provider with a slash more": {
			trust: web("s"), caller: providerEKS + "/", more: trust.Question{Claims: map[string]string{"aud": "sts.amazonaws.com", "sub": "s"}},
			want: trust.Fails, says: []string{"they differ in a slash at the end", "the keys of this provider's tokens begin with " + hostEKS + "/:"},
		},
		"a token where roles are let in": {trust: lets(account, ""), caller: providerEKS, want: trust.Fails, says: []string{"is for arn:aws:iam::222222222222:root, not for " + providerEKS, "allows sts:AssumeRole, not sts:AssumeRoleWithWebIdentity"}},
		"a provider of another account":  {trust: web("s"), caller: strings.Replace(providerEKS, "111111111111", "222222222222", 1), want: trust.Fails, says: []string{"the provider must be in the role's own account"}},
		"the trust policy denies it": {
			trust:  `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"},{"Sid":"id","Effect":"Deny","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringNotEquals":{"sts:ExternalId":"x1"}}}]}`,
			caller: jump, policies: may, want: trust.Fails, says: []string{`Statement 2 ("id") of the trust policy denies it, since it wants StringNotEquals of sts:ExternalId to be "x1", and no external id is sent.`},
		},
		"nobody":              {trust: `{"Statement":[]}`, caller: jump, want: trust.Fails, says: []string{"No statement of the trust policy allows anything"}},
		"the root user":       {trust: lets(`"*"`, ""), caller: "arn:aws:iam::111111111111:root", want: trust.Fails, says: []string{"cannot assume roles"}},
		"another partition":   {trust: lets(`"*"`, ""), caller: "arn:aws-cn:iam::222222222222:user/a", want: trust.Fails, says: []string{"no credentials cross partitions"}},
		"claims of a service": {trust: lets(`"*"`, ""), caller: "ec2.amazonaws.com", more: trust.Question{Claims: map[string]string{"a": "b"}}, want: trust.Fails, says: []string{"takes no token"}},
		"a variable that nothing fills": {
			trust: lets(`"*"`, `{"StringEquals":{"aws:PrincipalTag/x":"${aws:PrincipalTag/y}"}}`), caller: jump, policies: may, want: trust.Fails, says: []string{"wants StringEquals of aws:PrincipalTag/x"},
		},
		"the nearest statement comes first": {
			trust: `{"Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"},{"Effect":"Allow","Principal":` + account + `,"Action":"sts:AssumeRole","Condition":` + withID + `}]}`, caller: jump, policies: may, want: trust.Fails,
			says: []string{"Statement 2 of the trust policy wants", "Statement 1 of the trust policy is for ec2.amazonaws.com, not for"},
		},
		"everybody but": {trust: strings.Replace(lets(account, ""), "Principal", "NotPrincipal", 1), caller: jump, policies: may, want: trust.Fails, says: []string{"everybody but those it names"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := tt.more
			q.Role, q.Trust, q.Policies = roleARN, document(t, tt.trust), []iam.Policy{}
			switch {
			case strings.HasSuffix(tt.caller, ".amazonaws.com"):
				q.Caller = iam.ServicePrincipal(tt.caller)
			case strings.Contains(tt.caller, "oidc-provider"):
				q.Caller = iam.FederatedPrincipal(tt.caller)
			default:
				q.Caller = principal(t, tt.caller)
			}
			switch tt.policies {
			case "":
			case "?":
				q.Policies = nil
			default:
				q.Policies = policies(t, tt.policies)
			}
			a, err := trust.Explain(q)
			if err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, r := range a.Reasons {
				all = append(all, r.Text)
			}
			text := strings.Join(all, "\n")
			if a.Outcome != tt.want {
				t.Errorf("%s, want %s:\n%s", a.Outcome, tt.want, text)
			}
			for rest, i := text, 0; i < len(tt.says); i++ { // in this order
				_, after, found := strings.Cut(rest, tt.says[i])
				if !found {
					t.Errorf("%q is missing in\n%s", tt.says[i], text)
				}
				rest = after
			}
		})
	}
}

func TestExplainWithoutTheRole(t *testing.T) {
	t.Parallel()
	a, err := trust.Explain(trust.Question{Trust: document(t, lets(`{"AWS":"222222222222"}`, "")), Caller: principal(t, "arn:aws-cn:iam::222222222222:role/r")})
	if err != nil {
		t.Fatal(err)
	}
	if a.Outcome != trust.Depends || len(a.Notes) != 1 || !strings.Contains(a.Notes[0], "taken for one of account 222222222222") {
		t.Errorf("%+v", a)
	}
	for name, q := range map[string]trust.Question{
		"no trust policy":     {Caller: iam.ServicePrincipal("ec2.amazonaws.com")},
		"nobody calls":        {Trust: &iam.Document{}},
		"a role that is none": {Trust: &iam.Document{}, Caller: iam.ServicePrincipal("ec2.amazonaws.com"), Role: "deploy"},
	} {
		if _, err := trust.Explain(q); err == nil {
			t.Errorf("%s: there is no error", name)
		}
	}
}

func TestDifference(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ want, sent, says string }{
		"the same":            {"abc", "abc", ""},
		"nothing in common":   {"abcdefgh", "12345678", ""},
		"a letter other":      {"belay-17", "belay-18", `they differ at letter 8: "7" is wanted, "8" is sent`},
		"a dash that is none": {"belay-17", "belay–17", `they differ at letter 6: "-" is wanted, "\u2013" is sent`},
		"a letter less":       {"belay-17", "elay-17", `what is sent lacks "b" at its beginning`},
		"letters more":        {"belay-17", "belay-0017", `what is sent has "00" more after letter 6`},
		"a line break":        {"belay-17", "belay-17\n", "what is sent has white space at its end"},
		"a blank is wanted":   {" belay-17", "belay-17", "what is wanted has white space at its beginning"},
		"quotation marks":     {"belay-17", `"belay-17"`, "what is sent stands in quotation marks, which count as letters"},
		"letter case":         {"belay-aB", "belay-ab", `they differ in letter case, first at letter 8: 'B' is wanted, 'b' is sent`},
		"a letter doubled":    {"aab", "aaab", `what is sent has "a" more after letter 2`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := trust.Difference(tt.want, tt.sent); got != tt.says {
				t.Errorf("got  %s\nwant %s", got, tt.says)
			}
		})
	}
}

func TestFindings(t *testing.T) {
	t.Parallel()
	web := func(condition string) string {
		return statement(`{"Federated":"`+providerEKS+`"}`, `"sts:AssumeRoleWithWebIdentity"`, condition)
	}
	for name, tt := range map[string]struct {
		trust string
		want  []trust.Code
	}{
		"everybody":                        {lets(`"*"`, ""), []trust.Code{trust.AnyPrincipal}},
		"everybody in a list":              {lets(`{"AWS":"*"}`, ""), []trust.Code{trust.AnyPrincipal}},
		"everybody of an organization":     {lets(`"*"`, `{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}`), nil},
		"everybody, if there is a key":     {lets(`"*"`, `{"StringEqualsIfExists":{"aws:PrincipalOrgID":"o-1"}}`), []trust.Code{trust.AnyPrincipal}},
		"everybody but one":                {strings.Replace(lets(`{"AWS":"222222222222"}`, ""), "Principal", "NotPrincipal", 1), []trust.Code{trust.NotPrincipal}},
		"a foreign account":                {lets(`{"AWS":["111111111111","222222222222"]}`, ""), []trust.Code{trust.NoExternalID}},
		"a foreign account with its id":    {lets(`{"AWS":"222222222222"}`, `{"StringEquals":{"sts:ExternalId":"x1"}}`), nil},
		"an id that may be left out":       {lets(`{"AWS":"222222222222"}`, `{"StringEqualsIfExists":{"sts:ExternalId":"x1"}}`), []trust.Code{trust.OptionalID, trust.NoExternalID}},
		"any id":                           {lets(`{"AWS":"222222222222"}`, `{"StringLike":{"sts:ExternalId":"*"}}`), []trust.Code{trust.OptionalID, trust.NoExternalID}},
		"who was deleted":                  {lets(`{"AWS":"AIDAABCDEFGHIJKLMNOPQ"}`, ""), []trust.Code{trust.DeletedPrincipal}},
		"a principal of another partition": {lets(`{"AWS":"arn:aws-cn:iam::111111111111:root"}`, ""), []trust.Code{trust.OtherPartition}},
		"a cluster for all":                {web(""), []trust.Code{trust.NoSubject, trust.NoAudience}},
		"a namespace":                      {web(`{"StringEquals":{"` + hostEKS + `:aud":"sts.amazonaws.com"},"StringLike":{"` + hostEKS + `:sub":"system:serviceaccount:ci:*"}}`), nil},
		"a subject of all":                 {web(`{"StringEquals":{"` + hostEKS + `:aud":"sts.amazonaws.com"},"StringLike":{"` + hostEKS + `:sub":"*"}}`), []trust.Code{trust.NoSubject}},
		"a pattern that is none":           {web(`{"StringEquals":{"` + hostEKS + `:aud":"sts.amazonaws.com","` + hostEKS + `:sub":"system:serviceaccount:ci:*"}}`), []trust.Code{trust.StarInEquals}},
		"a provider elsewhere":             {strings.ReplaceAll(web(`{"StringEquals":{"`+hostEKS+`:aud":"a","`+hostEKS+`:sub":"s"}}`), "111111111111", "222222222222"), []trust.Code{trust.OtherProvider}},
		"a token to AssumeRole":            {lets(`{"Federated":"`+providerEKS+`"}`, `{"StringEquals":{"`+hostEKS+`:aud":"a","`+hostEKS+`:sub":"s"}}`), []trust.Code{trust.MismatchedAction}},
		"a role with a token":              {statement(`{"AWS":"111111111111"}`, `"sts:AssumeRoleWithWebIdentity"`, ""), []trust.Code{trust.MismatchedAction}},
		"pods without tags":                {lets(`{"Service":"pods.eks.amazonaws.com"}`, ""), []trust.Code{trust.NoTagSession}},
		"pods with all of STS":             {statement(`{"Service":"pods.eks.amazonaws.com"}`, `"sts:*"`, ""), nil},
		"ECS of old":                       {lets(`{"Service":"ecs.amazonaws.com"}`, ""), []trust.Code{trust.LegacyECS}},
		"EC2 of China":                     {lets(`{"Service":"ec2.amazonaws.com.cn"}`, ""), []trust.Code{trust.OtherPartition}},
		"a resource":                       {strings.Replace(lets(`{"AWS":"111111111111"}`, ""), `"Action"`, `"Resource":"*","Action"`, 1), []trust.Code{trust.HasResource}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []trust.Code
			found := trust.Findings(document(t, tt.trust), roleARN)
			for _, f := range found {
				got = append(got, f.Code)
				if f.Statement != 1 || !strings.HasSuffix(f.Text, ".") {
					t.Errorf("%+v", f)
				}
			}
			if len(got) != len(tt.want) {
				t.Fatalf("%v, want %v", got, tt.want)
			}
			for i := range got {
				if got[i] != tt.want[i] {
					t.Errorf("%v, want %v", got, tt.want)
				}
			}
		})
	}
}
