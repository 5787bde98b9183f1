package trust

import (
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
)

// Code is what a finding is about.
type Code string

// The codes.
const (
	AnyPrincipal     Code = "any-principal"        // everybody is let in
	NotPrincipal     Code = "not-principal"        // everybody but a few is let in
	NoSubject        Code = "no-subject"           // every token of an issuer is let in
	NoAudience       Code = "no-audience"          // tokens for others than AWS are let in
	NoExternalID     Code = "no-external-id"       // a foreign account is let in without one
	OptionalID       Code = "optional-external-id" // who sends none is let in
	DeletedPrincipal Code = "deleted-principal"    // a unique id stands where a name was
	OtherProvider    Code = "provider-elsewhere"   // of another account than the role
	NoTagSession     Code = "no-tag-session"       // Pod Identity cannot use the role
	StarInEquals     Code = "star-in-equals"       // a pattern that is none
	LegacyECS        Code = "legacy-ecs"           // for no task
	OtherPartition   Code = "other-partition"      // a name of another partition
	MismatchedAction Code = "mismatched-action"    // an action that the principal cannot use
	HasResource      Code = "resource"             // a Resource, which AWS refuses
)

// Finding is something in a trust policy that lets in more than was meant, or nobody.
type Finding struct {
	Code      Code   `json:"code"`
	Statement int    `json:"statement"` // from 1
	SID       string `json:"sid,omitempty"`
	Text      string `json:"text"`
}

// Findings looks a trust policy through. role is the role's ARN; without, what depends on its account or partition is not
// looked at.
func Findings(d *iam.Document, role string) []Finding {
	all := []Finding{}
	if d == nil {
		return all
	}
	owner, err := iam.ParsePrincipal(role)
	known := err == nil
	for i := range d.Statements {
		one := &d.Statements[i]
		if one.Effect != iam.Allow || one.Principal == nil {
			continue
		}
		note := func(code Code, format string, args ...any) {
			all = append(all, Finding{Code: code, Statement: i + 1, SID: one.SID, Text: fmt.Sprintf(format, args...)})
		}
		people(one, owner, known, note)
		tokens(one, owner, known, note)
		services(one, owner, known, note)
		for _, c := range one.Conditions {
			if strings.HasPrefix(c.Operator, "StringEquals") && slices.ContainsFunc(c.Values, func(v string) bool { return strings.ContainsAny(v, "*?") }) {
				note(StarInEquals, "%s of %s takes a star or question mark for itself, so the pattern matches no value: use StringLike.", c.Name(), c.Key)
			}
		}
		if one.Resource.Values != nil {
			note(HasResource, "A trust policy has no Resource: AWS does not take one with it.")
		}
	}
	return all
}

type noter func(code Code, format string, args ...any)

// limits reports whether a condition narrows who gets in: it fails for a request without the key, or with a value that it
// does not list.
func limits(c iam.Condition) bool {
	switch {
	case c.IfExists, c.Quantifier == iam.ForAllValues, c.Operator == "Null", strings.Contains(c.Operator, "Not"):
		return false
	}
	return !slices.ContainsFunc(c.Values, func(v string) bool { return strings.Contains(c.Operator, "Like") && strings.Trim(v, "*?") == "" })
}

func limited(one *iam.Statement, keys ...string) bool {
	return slices.ContainsFunc(one.Conditions, func(c iam.Condition) bool {
		return limits(c) && slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, c.Key) })
	})
}

// callerIs are keys that say who the caller is.
var callerIs = []string{ //nolint:gochecknoglobals // a lookup table
	"aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:userid", "aws:username",
	"aws:SourceAccount", "aws:SourceArn", "aws:SourceOrgID",
}

func people(one *iam.Statement, owner iam.Principal, known bool, note noter) {
	p := one.Principal
	everybody := p.Any || slices.Contains(p.AWS, "*")
	switch {
	case p.Negated:
		note(NotPrincipal, "NotPrincipal with Allow lets in everybody but those it names, accounts of strangers too.")
		return
	case everybody && !limited(one, callerIs...):
		note(AnyPrincipal, "The principal \"*\" lets in every caller of every AWS account: name who is meant, or limit it by aws:PrincipalOrgID.")
	}
	for _, c := range one.Conditions {
		if strings.EqualFold(c.Key, "sts:ExternalId") && !limits(c) && !strings.Contains(c.Operator, "Not") && c.Operator != "Null" {
			note(OptionalID, "%s of sts:ExternalId lets in who sends no external id, or any: use StringEquals.", c.Name())
		}
	}
	foreign := ""
	for _, name := range p.AWS {
		account := name
		if !accountForm.MatchString(name) {
			other, err := iam.ParsePrincipal(name)
			switch {
			case err != nil && uniqueID(name):
				note(DeletedPrincipal, "%s is a unique id: who was named there is deleted, and one of the same name that is made anew does not get in. Name it again.", name)
				continue
			case err != nil:
				continue
			case known && partition(other) != partition(owner):
				note(OtherPartition, "%s lies in partition %s, the role in %s: no credentials cross partitions.", name, partition(other), partition(owner))
				continue
			}
			account = other.Account()
		}
		if known && account != owner.Account() && foreign == "" {
			foreign = account
		}
	}
	if foreign != "" && !limited(one, "sts:ExternalId") && !limited(one, "aws:PrincipalOrgID", "aws:PrincipalOrgPaths") {
		note(NoExternalID, "Account %s gets in without an external id. If it serves several customers, anybody who knows the role's ARN can have it assumed in their name (the confused deputy): ask for sts:ExternalId.", foreign)
	}
	if (everybody || len(p.AWS) > 0) && len(p.Federated) == 0 && only(one, AssumeRoleWithWebIdentity) {
		note(MismatchedAction, "sts:AssumeRoleWithWebIdentity takes a token of a provider under Federated; a user or role needs sts:AssumeRole.")
	}
}

// only reports whether a statement allows an action but not that of the other kind of caller.
func only(one *iam.Statement, action string) bool {
	allows := func(a string) bool {
		return slices.ContainsFunc(one.Action.Values, func(pattern string) bool { return iam.MatchAction(pattern, a) }) != one.Action.Negated
	}
	other := AssumeRole
	if action == AssumeRole {
		other = AssumeRoleWithWebIdentity
	}
	return allows(action) && !allows(other)
}

func tokens(one *iam.Statement, owner iam.Principal, known bool, note noter) {
	for _, provider := range one.Principal.Federated {
		if strings.Contains(provider, ":saml-provider/") || strings.HasPrefix(provider, "cognito-identity.") {
			continue // they have conditions of their own
		}
		host := providerHost(provider)
		if !limited(one, host+":sub") {
			if strings.Contains(host, "oidc.eks.") {
				note(NoSubject, "Every service account of the cluster gets in: limit %s:sub to system:serviceaccount:NAMESPACE:NAME.", host)
			} else {
				note(NoSubject, "Every token that %s makes gets in: limit %s:sub.", host, host)
			}
		}
		if !limited(one, host+":aud", host+":azp", host+":oaud") {
			note(NoAudience, "Tokens that %s makes for others than AWS get in: limit %s:aud to %s.", host, host, DefaultAudience)
		}
		if account := iam.FederatedPrincipal(provider).Account(); known && account != "" && account != owner.Account() {
			note(OtherProvider, "The provider %s is of account %s, and it must be of the role's own, %s.", provider, account, owner.Account())
		}
		if only(one, AssumeRole) {
			note(MismatchedAction, "Tokens of %s are exchanged by sts:AssumeRoleWithWebIdentity, which the statement does not allow.", host)
		}
	}
}

func services(one *iam.Statement, owner iam.Principal, known bool, note noter) {
	for _, name := range one.Principal.Service {
		switch {
		case name == pods && !slices.ContainsFunc(one.Action.Values, func(a string) bool { return iam.MatchAction(a, TagSession) }):
			note(NoTagSession, "EKS Pod Identity tags each session: allow sts:TagSession besides sts:AssumeRole.")
		case name == "ecs.amazonaws.com":
			note(LegacyECS, "ecs.amazonaws.com is for the legacy service role of ECS. The task role and the task execution role need ecs-tasks.amazonaws.com.")
		case known && name == "ec2.amazonaws.com" && partition(owner) == "aws-cn":
			note(OtherPartition, "In China EC2 instances come as ec2.amazonaws.com.cn.")
		case known && name == "ec2.amazonaws.com.cn" && partition(owner) != "aws-cn":
			note(OtherPartition, "ec2.amazonaws.com.cn is EC2 in China only: use ec2.amazonaws.com.")
		}
	}
}
