package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
)

// principals looks at whom a statement of a resource or trust policy speaks of.
func (l *linter) principals() {
	s := l.statement
	if s.Principal == nil || l.kind != Trust && l.kind != Resource {
		return
	}
	where := at{s.Principal.Pos, principalName(s)}
	for _, name := range s.Principal.AWS {
		if why := malformedPrincipal(name); known(name) && why != "" {
			l.report("BLP-608", where, fmt.Sprintf("%s is no principal: %s. AWS refuses the document.", show(name), why),
				"Name an account by its twelve digits, or a user or role by its whole ARN; for many, take the account and the condition key aws:PrincipalArn.")
		}
	}
	for _, name := range s.Principal.Service {
		l.servicePrincipal(where, name)
	}
	if s.Effect != iam.Allow {
		return
	}
	l.public(where)
	l.deputy(where)
}

func malformedPrincipal(name string) string {
	parts := strings.SplitN(name, ":", segments)
	switch {
	case name == "*" || isAccount(name):
		return ""
	case len(parts) == 1 && len(name) > 12 && strings.IndexFunc(name, notOf("")) < 0:
		return "" // the unique id that AWS shows for a user or role that was deleted
	case len(parts) == 1 && strings.Trim(name, "0123456789") == "":
		return "an account has twelve digits"
	case wild(name):
		return "a principal is named whole, without wildcards, or \"*\" is everybody"
	case len(parts) < segments || parts[0] != "arn":
		return "it is neither an account nor an ARN"
	case parts[2] == "iam" && parts[3] == "" && strings.HasPrefix(parts[5], "group/"):
		return "a group is no principal, since nobody signs in as one"
	}
	if parts[2] == "iam" && parts[4] == "cloudfront" { // an origin access identity
		return ""
	}
	if _, err := iam.ParsePrincipal(name); err != nil {
		return "it is no user, role, session or root of an account of twelve digits"
	}
	return ""
}

// public reports a statement that lets everybody in.
func (l *linter) public(where at) {
	s := l.statement
	p := s.Principal
	everybody := p.Any || slices.Contains(p.AWS, "*") || p.Negated
	if !everybody || slices.ContainsFunc(s.Conditions, restricts) {
		return
	}
	whom := "everybody, with or without an AWS account"
	if p.Negated {
		whom = "everybody but those it names, with or without an AWS account"
	}
	severity := Warning
	message := fmt.Sprintf("The statement allows %s.", whom)
	if l.kind == Trust {
		severity = Error
		message = fmt.Sprintf("The role may be assumed by %s: whoever knows its ARN gets its permissions.", strings.Replace(whom, "with or without an AWS account", "in any AWS account", 1))
	}
	l.reportAs("BLP-507", severity, where, message, "Name accounts, roles or services, or add a condition such as \"StringEquals\": {\"aws:PrincipalOrgID\": \"o-…\"}.")
}

// sources are the keys by which a service says for whom it acts.
var sources = [...]string{"aws:SourceArn", "aws:SourceAccount", "aws:SourceOrgID", "aws:SourceOrgPaths", "aws:SourceOwner"} //nolint:gochecknoglobals // a table

// telling are services that say in the request to assume a role for whom they act, by the pages of each about the
// confused deputy. Others do not, and a condition would lock them out.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
var telling = [...]string{ //nolint:gochecknoglobals // a table
	"bedrock", "codebuild", "ecs-tasks", "pipes", "scheduler", "ssm", "states", "vpc-flow-logs",
}

// deputy reports services that others could send.
func (l *linter) deputy(where at) {
	s := l.statement
	if slices.ContainsFunc(s.Conditions, func(c iam.Condition) bool {
		return restricts(c) && (!known(c.Key) || slices.ContainsFunc(sources[:], func(key string) bool { return strings.EqualFold(key, c.Key) }))
	}) {
		return
	}
	for _, name := range s.Principal.Service {
		short, _, _ := strings.Cut(name, ".")
		fix := "Add \"StringEquals\": {\"aws:SourceAccount\": \"your account\"}, or \"ArnLike\": {\"aws:SourceArn\": \"the ARN that it acts for\"}."
		switch {
		case !known(name):
		case l.kind == Resource:
			l.report("BLP-605", where, fmt.Sprintf("%s acts for all customers of AWS. Without a condition on aws:SourceArn or aws:SourceAccount another account can have it do this for them.", name), fix)
		case slices.Contains(telling[:], short):
			l.reportAs("BLP-605", Note, where, fmt.Sprintf("%s tells for which resource it assumes the role, and the trust policy does not ask.", name), fix)
		}
	}
}

// misspelled are service principals that people write, and the ones that they mean.
var misspelled = map[string]string{ //nolint:gochecknoglobals // a table
	"ecs-task.amazonaws.com": "ecs-tasks.amazonaws.com", "ecs.tasks.amazonaws.com": "ecs-tasks.amazonaws.com", "ecs-tasks.aws.amazon.com": "ecs-tasks.amazonaws.com",
	"ecstasks.amazonaws.com": "ecs-tasks.amazonaws.com", "fargate.amazonaws.com": "ecs-tasks.amazonaws.com", "ecr.tasks.amazonaws.com": "ecs-tasks.amazonaws.com",
	"lambdas.amazonaws.com": "lambda.amazonaws.com", "lambda.aws.com": "lambda.amazonaws.com", "ec2.aws.com": "ec2.amazonaws.com",
	"api-gateway.amazonaws.com": "apigateway.amazonaws.com", "cloudwatch-events.amazonaws.com": "events.amazonaws.com", "eventbridge.amazonaws.com": "events.amazonaws.com",
	"step-functions.amazonaws.com": "states.amazonaws.com", "stepfunctions.amazonaws.com": "states.amazonaws.com", "code-build.amazonaws.com": "codebuild.amazonaws.com",
	"code-deploy.amazonaws.com": "codedeploy.amazonaws.com", "application-autoscaling.amazonaws.com": "",
}

func (l *linter) servicePrincipal(where at, name string) {
	if !known(name) {
		return
	}
	if right := misspelled[strings.ToLower(name)]; right != "" {
		l.report("BLP-604", where, fmt.Sprintf("There is no service principal %s; AWS refuses the document.", show(name)), fmt.Sprintf("Write %q.", right))
		return
	}
	suffix := slices.ContainsFunc([]string{".amazonaws.com", ".amazonaws.com.cn", ".amazon.com", ".aws.internal", ".aws.com", ".amazonaws.eu"}, func(s string) bool { return strings.HasSuffix(name, s) })
	if !suffix || strings.IndexFunc(name, notOf(".-_")) >= 0 {
		fix := "Write the service's name in small letters and .amazonaws.com, such as \"ec2.amazonaws.com\"."
		if short, _, _ := strings.Cut(strings.ToLower(name), "."); short != "" && strings.IndexFunc(short, notOf("-")) < 0 {
			fix = fmt.Sprintf("Did you mean %q?", short+".amazonaws.com")
		}
		l.report("BLP-604", where, fmt.Sprintf("%s is no service principal: those end in .amazonaws.com. AWS refuses the document.", show(name)), fix)
	}
}
