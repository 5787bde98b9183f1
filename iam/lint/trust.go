package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
)

// trust looks at the statements of a role's trust policy.
func (l *linter) trust() {
	s := l.statement
	if l.kind != Trust || s.Effect != iam.Allow || s.Principal == nil || s.Principal.Negated {
		return
	}
	where := at{s.Principal.Pos, principalName(s)}
	l.assuming(where)
	l.externalID()
	l.meant(where)
	if l.allows("sts:AssumeRoleWithWebIdentity") {
		for _, provider := range s.Principal.Federated {
			if !strings.Contains(provider, ":saml-provider/") {
				l.oidc(where, provider)
			}
		}
	}
}

// allows says whether the statement names an action.
func (l *linter) allows(action string) bool {
	return !l.statement.Action.Negated && slices.ContainsFunc(l.statement.Action.Values, func(pattern string) bool { return iam.MatchAction(pattern, action) })
}

// assuming compares the kinds of principals with the actions by which they assume a role.
func (l *linter) assuming(where at) {
	p := l.statement.Principal
	if slices.ContainsFunc(l.statement.Action.Values, func(a string) bool { return !known(a) }) {
		return
	}
	for _, kind := range []struct {
		names  []string
		called string
		action string
	}{
		{append(slices.Clone(p.AWS), p.Service...), "calls with its own credentials", "sts:AssumeRole"},
		{p.Federated, "", ""},
	} {
		for _, name := range kind.names {
			called, action := kind.called, kind.action
			switch {
			case action != "" || !known(name):
			case strings.Contains(name, ":saml-provider/"):
				called, action = "hands out SAML assertions", "sts:AssumeRoleWithSAML"
			default:
				called, action = "hands out tokens", "sts:AssumeRoleWithWebIdentity"
			}
			if action != "" && !l.allows(action) {
				l.report("BLP-607", where, fmt.Sprintf("%s %s, which takes %s, and the statement allows %s only: nobody can assume the role this way.", show(name), called, action, list(l.statement.Action.Values)),
					fmt.Sprintf("Say \"Action\": %q.", action))
				return
			}
		}
	}
}

func (l *linter) externalID() {
	for i := range l.statement.Conditions {
		c := &l.statement.Conditions[i]
		if !strings.EqualFold(c.Key, "sts:ExternalId") || c.Operator == "Null" || holdsWithout(c) {
			continue
		}
		for _, v := range c.Values {
			any := strings.HasSuffix(c.Operator, "Like") && strings.Trim(v, "*") == "" && v != ""
			if strings.TrimSpace(v) == "" || any {
				l.report("BLP-606", condition(c), fmt.Sprintf("The external id %s is %s. It is there so that a service that acts for many customers cannot be sent by another one.", show(v),
					map[bool]string{true: "met by anything", false: "empty, which AWS does not accept: an external id has two characters at least"}[any]),
					"Write the external id that the other side gave you.")
				break
			}
		}
	}
}

// meant reports a service that is trusted where the role's name says that another one is meant.
func (l *linter) meant(where at) {
	services := l.statement.Principal.Service
	if slices.Contains(services, "ecs-tasks.amazonaws.com") {
		return
	}
	name := strings.ToLower(l.subject.Name + " " + l.document.ID + " " + l.statement.SID)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(name, word) })
	}
	const tasks = "Tasks and their execution role are assumed by ecs-tasks.amazonaws.com"
	fix := "Say \"Service\": \"ecs-tasks.amazonaws.com\"."
	switch {
	case slices.Contains(services, "ec2.amazonaws.com") && has("ecs", "fargate") && !has("instance", "ec2", "host", "node", "cluster"):
		l.report("BLP-603", where, fmt.Sprintf("The role is for ECS by its name, and ec2.amazonaws.com is trusted. %s; ec2.amazonaws.com is for the instances of a cluster only, and a task with this role does not start.", tasks), fix)
	case slices.Contains(services, "ec2.amazonaws.com") && has("lambda") && !slices.Contains(services, "lambda.amazonaws.com") && !has("ec2", "instance"):
		l.report("BLP-603", where, "The role is for Lambda by its name, and ec2.amazonaws.com is trusted, not lambda.amazonaws.com: a function cannot have this role.", "Say \"Service\": \"lambda.amazonaws.com\".")
	case slices.Contains(services, "ecs.amazonaws.com") && has("task", "execution", "fargate"):
		l.report("BLP-603", where, fmt.Sprintf("The role is for tasks by its name, and ecs.amazonaws.com is trusted. %s; ecs.amazonaws.com is the ECS service itself.", tasks), fix)
	case slices.Contains(services, "ecs.amazonaws.com"):
		l.reportAs("BLP-603", Note, where, fmt.Sprintf("ecs.amazonaws.com is the ECS service itself, for its service and infrastructure roles. %s.", tasks), "If the role is for tasks, say \"Service\": \"ecs-tasks.amazonaws.com\".")
	}
}

// oidc asks whose tokens, and made for whom, the trust takes.
func (l *linter) oidc(where at, provider string) {
	_, host, found := strings.Cut(provider, "oidc-provider/")
	if !found {
		host = provider // accounts.google.com and the like have no ARN
	}
	var subject, audience bool
	for i := range l.statement.Conditions {
		c := &l.statement.Conditions[i]
		colon := strings.LastIndexByte(c.Key, ':')
		if holdsWithout(c) || c.Operator == "Null" || anything(c) {
			continue
		}
		if !known(c.Key) && colon < 0 { // it may be any key
			subject, audience = true, true
			continue
		}
		if colon < 0 || known(host) && known(c.Key) && !strings.EqualFold(c.Key[:colon], host) {
			continue
		}
		switch claim := strings.ToLower(c.Key[colon+1:]); claim {
		case "aud", "oaud", "app_id", "azp":
			audience = true
		case "iss", "amr":
		default:
			subject = true
		}
	}
	name, key := host, host
	if !known(host) {
		name, key = "the provider", "PROVIDER"
	}
	if !subject && host != "cognito-identity.amazonaws.com" { // whose audience is one's own identity pool
		sub := "the subject, such as \"system:serviceaccount:namespace:name\""
		if host == "token.actions.githubusercontent.com" {
			sub = "the repository, such as \"repo:owner/name:ref:refs/heads/main\""
		}
		whose := "everybody to whom it gives a token"
		switch {
		case strings.HasPrefix(host, "oidc.eks."):
			whose = "every service account of the cluster"
		case host == "token.actions.githubusercontent.com":
			whose = "every workflow of every repository on GitHub"
		}
		l.report("BLP-601", where, fmt.Sprintf("No condition on %s:sub restricts the trust in %s: the role may be assumed by %s.", key, name, whose),
			fmt.Sprintf("Add \"StringEquals\": {\"%s:sub\": …} with %s.", key, sub))
	}
	if !audience {
		l.report("BLP-602", where, fmt.Sprintf("No condition on %s:aud says for whom tokens must be made. A token that was made for another party, and taken from it, would do.", key),
			fmt.Sprintf("Add \"StringEquals\": {\"%s:aud\": \"sts.amazonaws.com\"}, or the audience that the tokens have.", key))
	}
}

// anything says whether a condition takes any value.
func anything(c *iam.Condition) bool {
	return strings.HasSuffix(c.Operator, "Like") && slices.ContainsFunc(c.Values, func(v string) bool {
		return strings.Trim(v, "*:") == "" || strings.Trim(v, "*") == "repo:"
	})
}
