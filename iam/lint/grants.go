package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/service"
)

// grants looks for an Allow that gives more than is good. Boundaries, SCPs and endpoint policies give nothing by
// themselves: there a wide Allow is usual.
func (l *linter) grants() {
	s := l.statement
	if s.Effect != iam.Allow || l.kind != Identity && l.kind != Resource {
		return
	}
	l.negations()
	if l.kind != Identity || s.Action.Negated || s.Resource.Negated || !slices.ContainsFunc(s.Resource.Values, broad) {
		return
	}
	everything := slices.Contains(s.Resource.Values, "*")
	restricted := slices.ContainsFunc(s.Conditions, restricts)
	var escalating []string
	var whole []service.Service
	for i, pattern := range s.Action.Values {
		where := value(&s.Action, "Action", i)
		prefix, name, _ := strings.Cut(pattern, ":")
		switch {
		case !known(pattern):
		case pattern == "*" || pattern == "*:*":
			if everything && !restricted {
				l.report("BLP-501", where, "The statement allows every action on every resource: whoever has this policy is an administrator of the account.", "Name the actions and resources that are needed.")
				return
			}
		case strings.Trim(name, "*") == "" && name != "":
			if s, ok := l.reference.Service(prefix); ok && everything && !restricted && writes(s) {
				whole = append(whole, s)
			}
		default:
			l.passRole(where, pattern)
			if !restricted {
				escalating = append(escalating, l.escalations(pattern)...)
			}
		}
	}
	l.wholeServices(whole)
	if len(escalating) > 0 {
		slices.Sort(escalating)
		escalating = slices.Compact(escalating)
		verb := "lets"
		if len(escalating) > 1 {
			verb = "let"
		}
		l.report("BLP-506", value(&s.Action, "Action", l.indexOf(escalating[0])), fmt.Sprintf("%s on %s %s the holder of this policy give itself, or a principal whose credentials it can get, any permission of the account.",
			list(escalating), list(s.Resource.Values), verb),
			"Name the users, roles or policies in Resource, or bind them to a permissions boundary with the condition key iam:PermissionsBoundary.")
	}
}

// indexOf is which of the statement's patterns matches an action.
func (l *linter) indexOf(action string) int {
	return max(0, slices.IndexFunc(l.statement.Action.Values, func(pattern string) bool { return iam.MatchAction(pattern, action) }))
}

func (l *linter) negations() {
	s := l.statement
	if s.Action.Negated && !slices.ContainsFunc(s.Conditions, restricts) && (len(s.Resource.Values) == 0 || slices.ContainsFunc(s.Resource.Values, broad)) {
		l.report("BLP-503", value(&s.Action, "Action", -1), fmt.Sprintf("Allow with NotAction allows all that AWS has and will have, but for %s. It denies nothing: another statement can still allow those.", list(s.Action.Values)),
			"List what is allowed under Action; to take something away, add a Deny.")
	}
	if s.Resource.Negated {
		l.report("BLP-504", value(&s.Resource, "Resource", -1), fmt.Sprintf("Allow with NotResource allows the actions on everything but %s, that of other accounts and services included. It denies nothing.", list(s.Resource.Values)),
			"List what is allowed under Resource; to take something away, add a Deny.")
	}
}

// restricts says whether a condition takes requests away.
func restricts(c iam.Condition) bool { return !holdsWithout(&c) }

// broad tells resources that are all of a type, or everything.
func broad(resource string) bool {
	if resource == "*" {
		return true
	}
	parts := strings.SplitN(resource, ":", segments)
	if len(parts) < segments || !known(resource) {
		return false
	}
	_, name, typed := strings.Cut(parts[5], "/")
	return parts[5] == "*" || typed && strings.Trim(name, "*/") == ""
}

func writes(s service.Service) bool {
	return slices.ContainsFunc(s.Actions, func(a service.Action) bool { return a.Access != service.Read && a.Access != service.List })
}

func (l *linter) wholeServices(whole []service.Service) {
	if len(whole) == 0 {
		return
	}
	grave := ""
	names := make([]string, len(whole))
	for i, s := range whole {
		names[i] = s.Name
		if s.Prefix == "iam" || s.Prefix == "organizations" || s.Prefix == "sso" {
			grave = fmt.Sprintf(" Who may do all of %s can become an administrator.", s.Name)
		}
	}
	first := max(0, slices.IndexFunc(l.statement.Action.Values, func(p string) bool { return strings.HasPrefix(strings.ToLower(p), whole[0].Prefix+":") }))
	l.report("BLP-502", value(&l.statement.Action, "Action", first), fmt.Sprintf("The statement allows every action of %s on every resource, deleting and sharing included, and those that AWS adds later.%s", list(names), grave),
		"Name the actions that are needed, and their resources.")
}

func (l *linter) passRole(where at, pattern string) {
	s := l.statement
	if !iam.MatchAction(pattern, "iam:PassRole") || slices.ContainsFunc(s.Conditions, func(c iam.Condition) bool {
		return strings.EqualFold(c.Key, "iam:PassedToService") || strings.EqualFold(c.Key, "iam:AssociatedResourceArn")
	}) {
		return
	}
	l.report("BLP-505", where, "The statement lets every role be passed to every service: who may start a function, a task or an instance can do what the strongest role of the account can.",
		"Name the roles in Resource, and add \"StringEquals\": {\"iam:PassedToService\": \"ecs-tasks.amazonaws.com\"} with the service that is meant.")
}

// escalating are actions of which each alone makes an administrator of whoever may do them to any user, group, role or
// policy.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-vs-inline.html and what the actions do
// by https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html
var escalating = [...]string{ //nolint:gochecknoglobals // a table
	"iam:AddUserToGroup", "iam:AttachGroupPolicy", "iam:AttachRolePolicy", "iam:AttachUserPolicy", "iam:CreateAccessKey", "iam:CreateLoginProfile",
	"iam:CreatePolicyVersion", "iam:PutGroupPolicy", "iam:PutRolePolicy", "iam:PutUserPolicy", "iam:SetDefaultPolicyVersion",
	"iam:UpdateAssumeRolePolicy", "iam:UpdateLoginProfile",
}

func (l *linter) escalations(pattern string) []string {
	var all []string
	for _, action := range escalating {
		if iam.MatchAction(pattern, action) {
			all = append(all, action)
		}
	}
	return all
}
