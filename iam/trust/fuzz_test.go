package trust_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/trust"
)

// Whatever the trust policy is, an answer has a reason, names statements that are there, and agrees with the engine.
func FuzzExplain(f *testing.F) {
	f.Add(lets(`{"AWS":["222222222222","AROAABCDEFGHIJKLMNOPQ"]}`, `{"StringEquals":{"sts:ExternalId":"a"}}`), "arn:aws:sts::222222222222:assumed-role/ci/x", "b")
	f.Add(statement(`{"Federated":"`+providerEKS+`"}`, `["sts:AssumeRoleWithWebIdentity","sts:TagSession"]`, `{"StringLike":{"`+hostEKS+`:sub":"${aws:x}*"}}`), providerEKS, "s")
	f.Add(`{"Statement":[{"Effect":"Deny","NotPrincipal":{"Service":"ec2.amazonaws.com"},"NotAction":"*","Condition":{"Null":{"sts:ExternalId":"true"}}}]}`, "ec2.amazonaws.com", "")
	f.Add(strings.Replace(lets(`"*"`, ""), `"Action"`, `"Resource":"arn:aws:s3:::b","Action"`, 1), "arn:aws:iam::111111111111:user/a/b", "x y")
	f.Fuzz(func(t *testing.T, text, caller, sent string) {
		d, err := iam.Parse([]byte(text))
		if err != nil {
			t.Skip()
		}
		who, err := trust.ParseCaller(caller)
		if err != nil {
			t.Skip()
		}
		q := trust.Question{Role: roleARN, Trust: d, Caller: who, Policies: []iam.Policy{}, ExternalID: sent}
		if who.Kind() == iam.KindFederated {
			q.Claims = map[string]string{"sub": sent}
		}
		a, err := trust.Explain(q)
		if err != nil {
			t.Skip()
		}
		if a.Outcome == trust.Depends || len(a.Reasons) == 0 {
			t.Errorf("%s: %+v", a.Outcome, a.Reasons)
		}
		for _, r := range a.Reasons {
			if r.Statement > len(d.Statements) || r.Text == "" {
				t.Errorf("%+v", r)
			}
		}
		set, err := iam.Compile(iam.Policies{Identity: []iam.Policy{}, Resource: &iam.Policy{Name: "trust", Document: d}}, iam.Settings{Discover: true})
		if err != nil {
			t.Fatal(err)
		}
		r := iam.Request{Principal: who, Action: a.Actions[0], Resource: roleARN}
		if a.Outcome == trust.Succeeds && set.Decide(&r) != iam.Allowed {
			t.Errorf("it succeeds, and no context lets the engine allow it")
		}
	})
}

// A difference is told of two texts only, and it is a sentence.
func FuzzDifference(f *testing.F) {
	f.Add("Belay-7", "belay-7 ")
	f.Add("aaa", "aa")
	f.Add("\xff", "\ufffd")
	f.Add("\xff\u2013", "\xfe-")
	f.Add("K", "\u212a")
	f.Fuzz(func(t *testing.T, want, sent string) {
		text := trust.Difference(want, sent)
		if want == sent && text != "" {
			t.Errorf("the same: %q", text)
		}
		if !utf8.ValidString(text) {
			t.Errorf("%q", text)
		}
	})
}
