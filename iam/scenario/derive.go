package scenario

import (
	"fmt"
	"strings"

	"github.com/belay-dev/belay/iam"
)

// PrincipalOf tells the kinds of principals apart by their form: the ARN of a user, role or session, the name of a service, the
// ARN of an identity provider, or anonymous.
func PrincipalOf(who string) Principal {
	switch {
	case who == "anonymous" || who == "*":
		return Principal{Type: "anonymous"}
	case strings.Contains(who, ":oidc-provider/") || strings.Contains(who, ":saml-provider/"):
		return Principal{Type: "federated", ID: who}
	case strings.HasSuffix(who, ".amazonaws.com") || strings.HasSuffix(who, ".amazonaws.com.cn"):
		return Principal{Type: "service", Service: who}
	}
	return Principal{Type: "aws", ARN: who}
}

// Derive fills in the context keys that follow from principal and resource, where the context does not have them:
// aws:PrincipalArn, aws:PrincipalAccount, aws:PrincipalType, aws:username and aws:ResourceAccount. The principals of Type aws
// have them; requests of others are left as they are.
func (r *Request) Derive() {
	p, err := iam.ParsePrincipal(r.Principal.ARN)
	if r.Principal.Type != "aws" || err != nil {
		return
	}
	if r.Context == nil {
		r.Context = map[string]Value{}
	}
	set := func(key, value string) {
		for has := range r.Context {
			if strings.EqualFold(has, key) {
				return
			}
		}
		r.Context[key] = Value{Single: value}
	}
	arn, kind := r.Principal.ARN, "User"
	segments := strings.SplitN(arn, ":", 6)
	words := strings.Split(segments[5], "/")
	switch p.Kind() {
	case iam.KindRoot:
		kind = "Account"
	case iam.KindUser:
		set("aws:username", words[len(words)-1])
	case iam.KindRole, iam.KindSession:
		kind = "AssumedRole"
		if p.Kind() == iam.KindSession {
			if arn = r.Principal.RoleARN; arn == "" {
				arn = fmt.Sprintf("arn:%s:iam::%s:role/%s", segments[1], segments[4], strings.Join(words[1:len(words)-1], "/"))
			}
		}
	case iam.KindFederatedUser:
		kind = "FederatedUser"
	case iam.KindService, iam.KindFederated, iam.KindAnonymous:
	}
	set("aws:PrincipalArn", arn)
	set("aws:PrincipalAccount", p.Account())
	set("aws:PrincipalType", kind)
	account := r.Resource.Account
	if parts := strings.SplitN(r.Resource.ARN, ":", 6); account == "" && len(parts) == 6 {
		account = parts[4]
	}
	if account == "" {
		account = p.Account()
	}
	set("aws:ResourceAccount", account)
}
