package connector

import (
	"fmt"
	"strings"
	"time"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/internal/arn"
)

// refusedToken is a web identity token that AWS refused, and the role that it was for, in the words of a diagnosis. What is
// not known has a general name or, in a command, a placeholder in capitals.
type refusedToken struct {
	role     string // the role with its ARN
	account  string // of the role
	issuer   string
	audience string
	subject  string
	provider string // ARN of the provider that the issuer has in the role's account

	url, client, host, arn string // for commands: of the issuer, its audience, the issuer without its scheme, the role
	claims                 *TokenClaims
}

func tokenOf(f Failure) refusedToken {
	w := refusedToken{
		role: "the role", account: "the role's account", issuer: "the issuer of the token", audience: "the token's audience", subject: "this token",
		provider: "ARN", url: "ISSUER", client: "sts.amazonaws.com", host: "ISSUER", arn: f.Role, claims: f.Token,
	}
	role, err := arn.Parse(f.Role)
	if err == nil {
		w.role, w.account = "the role "+f.Role, "account "+role.Account+" of the role"
	}
	if f.Token == nil {
		return w
	}
	if f.Token.Issuer != "" {
		w.issuer, w.url = "the issuer "+f.Token.Issuer, shellQuote(f.Token.Issuer)
		w.host = strings.TrimPrefix(strings.TrimPrefix(f.Token.Issuer, "https://"), "http://")
		if err == nil {
			w.provider = fmt.Sprintf("arn:%s:iam::%s:oidc-provider/%s", role.Partition, role.Account, w.host)
		}
	}
	if len(f.Token.Audience) > 0 {
		w.audience, w.client = "the token's audience "+strings.Join(f.Token.Audience, ", "), f.Token.Audience[0]
	}
	if f.Token.Subject != "" {
		w.subject = "the token of " + f.Token.Subject
	}
	return w
}

// facts are what the token says of itself.
func (w refusedToken) facts() []Fact {
	var out []Fact
	add := func(label, text string) {
		if text != "" {
			out = append(out, Fact{label, text})
		}
	}
	add("Role", w.arn)
	if w.claims != nil {
		add("Token's issuer", w.claims.Issuer)
		add("Token's audience", strings.Join(w.claims.Audience, ", "))
		add("Token's subject", w.claims.Subject)
		if !w.claims.Expires.IsZero() {
			add("Token expires", w.claims.Expires.Format(time.RFC3339))
		}
	}
	return out
}

func (w refusedToken) expired() string {
	if w.claims == nil || w.claims.Expires.IsZero() {
		return ""
	}
	return ", at " + w.claims.Expires.Format(time.RFC3339)
}

func (w refusedToken) createProvider() string {
	return "aws iam create-open-id-connect-provider --url " + w.url + " --client-id-list " + shellQuote(w.client)
}

func (w refusedToken) addAudience() string {
	return "aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn " + shellQuote(w.provider) + " --client-id " + shellQuote(w.client)
}

// letIn is the trust policy that the token asks for.
func (w refusedToken) letIn() []string {
	out := []string{
		"Compare the trust policy with the token: Principal.Federated is the provider's ARN, Action is sts:AssumeRoleWithWebIdentity, and for a service account the condition on :sub is system:serviceaccount:NAMESPACE:NAME.",
		"Check that AWS_ROLE_ARN names a role that exists.",
	}
	if w.claims == nil || w.claims.Subject == "" || len(w.claims.Audience) == 0 || w.provider == "ARN" {
		return out
	}
	d := &iam.Document{Version: "2012-10-17", Statements: []iam.Statement{{
		Effect: iam.Allow, Principal: &iam.Principals{Federated: []string{w.provider}}, Action: iam.Patterns{Values: []string{"sts:AssumeRoleWithWebIdentity"}},
		Conditions: []iam.Condition{
			{Operator: "StringEquals", Key: w.host + ":aud", Values: []string{w.client}},
			{Operator: "StringEquals", Key: w.host + ":sub", Values: []string{w.claims.Subject}},
		},
	}}}
	return append([]string{
		"Let this token in by the role's trust policy, in the role's account. The command replaces the trust policy: keep the statements that others need.",
		fmt.Sprintf("aws iam update-assume-role-policy --role-name %s --policy-document %s", shellQuote(w.arn[strings.LastIndexByte(w.arn, '/')+1:]), shellQuote(compact(d))),
	}, out...)
}
