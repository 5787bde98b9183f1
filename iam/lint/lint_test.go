package lint_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/lint"
	"github.com/belay-dev/belay/iam/service"
)

// check lints a document; all that a test knows of it is its text.
func check(t *testing.T, text string, about lint.Subject) []lint.Finding {
	t.Helper()
	d, err := iam.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	findings, err := lint.Document(d, about)
	if err != nil {
		t.Fatal(err)
	}
	return findings
}

// statements wraps statements in a document of the current version.
func statements(all string) string { return `{"Version":"2012-10-17","Statement":[` + all + `]}` }

func rulesOf(findings []lint.Finding) []string {
	var ids []string
	for _, f := range findings {
		ids = append(ids, f.Rule)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// example is a document with what a rule finds in it, or does not.
type example struct {
	text  string
	about lint.Subject
	want  string // part of the message or of the fix; "" when the rule must stay silent
	path  string
}

var (
	identity = lint.Subject{Kind: lint.Identity}
	trust    = lint.Subject{Kind: lint.Trust}
	resource = lint.Subject{Kind: lint.Resource}
	scp      = lint.Subject{Kind: lint.SCP}
)

// document gives a document as it is.
func document(text string) string { return text }

const fill = `{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::logs/*"}`

// trusted is a trust policy with a principal, an action and a condition.
func trusted(principal, action, condition string) string {
	return statements(`{"Effect":"Allow","Principal":` + principal + `,"Action":"` + action + `","Condition":` + condition + `}`)
}

// allowed is an identity policy with one action, one resource and a condition.
func allowed(action, resource, condition string) string {
	return statements(`{"Effect":"Allow","Action":` + action + `,"Resource":` + resource + `,"Condition":` + condition + `}`)
}

const (
	github = `{"Federated":"arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com"}`
	eks    = `{"Federated":"arn:aws:iam::111111111111:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/0A1B"}`
	web    = "sts:AssumeRoleWithWebIdentity"
)

// examples are positive and negative ones of every rule; TestRulesHaveExamples counts them.
var examples = map[string]map[string]example{
	"BLP-101": {
		"absent":  {document(`{"Statement":[` + fill + `]}`), identity, `"Version": "2012-10-17"`, "Version"},
		"current": {statements(fill), identity, "", ""},
	},
	"BLP-102": {
		"variable, version absent": {document(`{"Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/${aws:username}"}]}`), identity, "${aws:username}", "Version"},
		"variable, old version":    {document(`{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/${aws:username}"}]}`), identity, "those very characters", "Version"},
		"variable, current":        {statements(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/${aws:username}"}`), identity, "", ""},
		"a literal star":           {document(`{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/${*}"}]}`), identity, "", ""},
	},
	"BLP-103": {
		"a date of one's own": {document(`{"Version":"2026-11-26","Statement":[` + fill + `]}`), identity, "not a date of your own", "Version"},
		"old":                 {document(`{"Version":"2008-10-17","Statement":[` + fill + `]}`), identity, "", ""},
	},
	"BLP-104": {
		"twice":     {statements(`{"Sid":"A","Effect":"Allow","Action":"s3:GetObject","Resource":"*"},{"Sid":"A","Effect":"Allow","Action":"s3:PutObject","Resource":"*"}`), identity, "statement 0", "Statement[1].Sid"},
		"different": {statements(`{"Sid":"A","Effect":"Allow","Action":"s3:GetObject","Resource":"*"},{"Sid":"a","Effect":"Allow","Action":"s3:PutObject","Resource":"*"}`), identity, "", ""},
		"both none": {statements(fill + "," + fill), identity, "", ""},
	},
	"BLP-105": {
		"blank and hyphen":   {statements(`{"Sid":"read - logs","Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`), identity, `"readlogs"`, "Statement[0].Sid"},
		"in a bucket policy": {statements(`{"Sid":"read logs","Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}`), resource, "", ""},
	},
	"BLP-106": {
		"in an identity policy": {statements(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}`), identity, "policy of the resource", "Statement[0].Principal"},
		"in a bucket policy":    {statements(`{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}`), resource, "", ""},
	},
	"BLP-107": {
		"trust":    {statements(`{"Effect":"Allow","Action":"sts:AssumeRole"}`), trust, "Principal is missing", "Statement[0]"},
		"identity": {statements(fill), identity, "", ""},
	},
	"BLP-108": {
		"no action":    {statements(`{"Effect":"Allow","Action":[],"Resource":"*"}`), identity, "Action is an empty list", "Statement[0].Action"},
		"no resource":  {statements(`{"Effect":"Allow","Action":"s3:GetObject","Resource":[]}`), identity, "Resource is an empty list", "Statement[0].Resource"},
		"no value":     {allowed(`"s3:GetObject"`, `"*"`, `{"StringEquals":{"aws:PrincipalOrgID":[]}}`), identity, "empty list", "Statement[0].Condition.StringEquals.aws:PrincipalOrgID"},
		"no principal": {statements(`{"Effect":"Allow","Principal":{},"Action":"sts:AssumeRole"}`), trust, "empty list", "Statement[0].Principal"},
		"all there":    {statements(fill), identity, "", ""},
	},
	"BLP-109": {
		"longer than a role takes":      {statements(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/` + strings.Repeat("x", 10240) + `"}`), identity, "6144", ""},
		"longer than a managed policy":  {statements(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/` + strings.Repeat("x", 6144) + `"}`), identity, "inline", ""},
		"trust":                         {trusted(`{"AWS":"111111111111"}`, "sts:AssumeRole", `{"StringEquals":{"sts:ExternalId":"`+strings.Repeat("x", 2048)+`"}}`), trust, "2048", ""},
		"service control policy":        {statements(`{"Effect":"Deny","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/` + strings.Repeat("x", 5120) + `"}`), scp, "5120", ""},
		"white space does not count":    {statements(fill + strings.Repeat(" ", 7000)), identity, "", ""},
		"quotas of services are others": {statements(`{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/` + strings.Repeat("x", 6144) + `"}`), resource, "", ""},
	},
	"BLP-110": {
		"identity": {statements(`{"Effect":"Allow","Action":"s3:GetObject"}`), identity, "Resource is missing", "Statement[0]"},
		"ECR":      {statements(`{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"ecr:BatchGetImage"}`), resource, "", ""},
	},
	"BLP-111": {
		"trust":    {statements(`{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole","Resource":"*"}`), trust, "Remove Resource", "Statement[0].Resource"},
		"identity": {statements(fill), identity, "", ""},
	},
	"BLP-112": {
		"none": {statements(""), identity, "no statement", "Statement"},
		"one":  {statements(fill), identity, "", ""},
	},
	"BLP-113": {
		"old":     {document(`{"Version":"2008-10-17","Statement":[` + fill + `]}`), identity, "first one", "Version"},
		"current": {statements(fill), identity, "", ""},
	},

	"BLP-201": {
		"comma":           {allowed(`"s3:GetObject,s3:PutObject"`, `"*"`, `{}`), identity, "comma", "Statement[0].Action"},
		"blank":           {allowed(`["s3:PutObject","s3:GetObject "]`, `"*"`, `{}`), identity, `Write "s3:GetObject"`, "Statement[0].Action[1]"},
		"no service":      {allowed(`"GetObject"`, `"*"`, `{}`), identity, "before a colon", "Statement[0].Action"},
		"service pattern": {allowed(`"s*:GetObject"`, `"*"`, `{}`), identity, "only the name may be one", "Statement[0].Action"},
		"strange letters": {allowed(`"s3:Get/Object"`, `"*"`, `{}`), identity, "characters", "Statement[0].Action"},
		"a pattern":       {allowed(`"s3:Get?bject*"`, `"*"`, `{}`), identity, "", ""},
		"everything":      {allowed(`"*"`, `"*"`, `{}`), identity, "", ""},
	},
	"BLP-202": {
		"misspelled":    {allowed(`"lamda:InvokeFunction"`, `"*"`, `{}`), identity, `"lambda:InvokeFunction"`, "Statement[0].Action"},
		"no such thing": {allowed(`"harness:Deploy"`, `"*"`, `{}`), identity, `no service "harness"`, "Statement[0].Action"},
		"known":         {allowed(`"LAMBDA:invokefunction"`, `"*"`, `{}`), identity, "", ""},
	},
	"BLP-203": {
		"misspelled": {allowed(`"s3:GetObjcet"`, `"*"`, `{}`), identity, `"s3:GetObject"`, "Statement[0].Action"},
		"plural":     {allowed(`"s3:ListBuckets"`, `"*"`, `{}`), identity, `"s3:ListBucket"`, "Statement[0].Action"},
		"known":      {allowed(`"s3:getobject"`, `"*"`, `{}`), identity, "", ""},
	},
	"BLP-204": {
		"nothing":   {allowed(`"s3:Gte*"`, `"*"`, `{}`), identity, "No action of Amazon S3", "Statement[0].Action"},
		"something": {allowed(`"s3:Get*"`, `"*"`, `{}`), identity, "", ""},
	},

	"BLP-301": {
		"object action on a bucket":   {allowed(`["s3:ListBucket","s3:GetObject"]`, `"arn:aws:s3:::logs"`, `{}`), identity, `Add "arn:aws:s3:::logs/*"`, "Statement[0].Action[1]"},
		"bucket action on objects":    {allowed(`"s3:ListBucket"`, `"arn:aws:s3:::logs/*"`, `{}`), identity, `Add "arn:aws:s3:::logs"`, "Statement[0].Action"},
		"another service's resource":  {allowed(`"lambda:InvokeFunction"`, `"arn:aws:iam::111111111111:role/x"`, `{}`), identity, ":function:${FunctionName}", "Statement[0].Action"},
		"a deny without effect":       {statements(`{"Effect":"Deny","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::logs"}`), identity, "does not deny it", "Statement[0].Action"},
		"one finding for many":        {allowed(`["s3:GetObject","s3:PutObject","s3:DeleteObject"]`, `"arn:aws:s3:::logs"`, `{}`), identity, "s3:GetObject, s3:PutObject and s3:DeleteObject work on object", "Statement[0].Action[0]"},
		"both":                        {allowed(`["s3:ListBucket","s3:GetObject"]`, `["arn:aws:s3:::logs","arn:aws:s3:::logs/*"]`, `{}`), identity, "", ""},
		"a pattern that is both":      {allowed(`["s3:ListBucket","s3:GetObject"]`, `"arn:aws:s3:::logs*"`, `{}`), identity, "", ""},
		"a variable":                  {allowed(`"s3:GetObject"`, `"arn:aws:s3:::home/${aws:username}/*"`, `{}`), identity, "", ""},
		"an action pattern of both":   {allowed(`"s3:*"`, `"arn:aws:s3:::logs"`, `{}`), identity, "", ""},
		"not known":                   {allowed(`"s3:GetObject"`, `"`+lint.Unknown+`/*"`, `{}`), identity, "", ""},
		"a newer load balancer":       {allowed(`"elasticloadbalancing:AddTags"`, `"arn:aws:elasticloadbalancing:*:*:loadbalancer/app/*/*"`, `{}`), identity, "", ""},
		"a log group, as AWS does it": {allowed(`["logs:DescribeLogGroups","logs:DescribeLogStreams"]`, `"arn:aws:logs:*:*:log-group:x:log-stream:*"`, `{}`), identity, "", ""},
		"owned by AWS":                {allowed(`"ssm:SendCommand"`, `"arn:aws:ssm:*::document/AWS-RunShellScript"`, `{}`), identity, "", ""},
	},
	"BLP-302": {
		"the token of ECR":  {allowed(`"ecr:GetAuthorizationToken"`, `"arn:aws:ecr:*:*:repository/x"`, `{}`), identity, `of its own with "Resource": "*"`, "Statement[0].Action"},
		"a pattern":         {allowed(`"ec2:DescribeReg*"`, `"arn:aws:ec2:*:*:instance/*"`, `{}`), identity, "no resource-level permissions", "Statement[0].Action"},
		"several":           {allowed(`["s3:ListAllMyBuckets","ec2:DescribeRegions"]`, `"arn:aws:s3:::x"`, `{}`), identity, "Move them", "Statement[0].Action[0]"},
		"on everything":     {allowed(`"ecr:GetAuthorizationToken"`, `"*"`, `{}`), identity, "", ""},
		"beside everything": {allowed(`"ecr:GetAuthorizationToken"`, `["arn:aws:ecr:*:*:repository/x","*"]`, `{}`), identity, "", ""},
	},
	"BLP-303": {
		"a bucket's name":     {allowed(`"s3:ListBucket"`, `"logs"`, `{}`), identity, `"arn:aws:s3:::logs"`, "Statement[0].Resource"},
		"too few colons":      {allowed(`"s3:ListBucket"`, `["*","arn:aws:s3:logs"]`, `{}`), identity, `"arn:aws:s3:::logs"`, "Statement[0].Resource[1]"},
		"ends early":          {allowed(`"s3:ListBucket"`, `"arn:aws:s3:::"`, `{}`), identity, "ends before", "Statement[0].Resource"},
		"blank":               {allowed(`"s3:ListBucket"`, `"arn:aws:s3:::logs "`, `{}`), identity, `"arn:aws:s3:::logs"`, "Statement[0].Resource"},
		"a star in the front": {allowed(`"s3:ListBucket"`, `"arn:*:s3:logs"`, `{}`), identity, "six parts", "Statement[0].Resource"},
		"whole":               {allowed(`"s3:ListBucket"`, `"arn:aws:s3:::logs"`, `{}`), identity, "", ""},
		"filled up by AWS":    {allowed(`"s3:ListBucket"`, `"arn:aws:s3*"`, `{}`), identity, "", ""},
	},
	"BLP-304": {
		"unknown": {allowed(`"s3:ListBucket"`, `"arn:amazon:s3:::logs"`, `{}`), identity, `partition "amazon"`, "Statement[0].Resource"},
		"China":   {allowed(`"s3:ListBucket"`, `"arn:aws-cn:s3:::logs"`, `{}`), identity, "", ""},
		"any":     {allowed(`"s3:ListBucket"`, `"arn:*:s3:::logs"`, `{}`), identity, "", ""},
	},
	"BLP-305": {
		"eleven digits": {allowed(`"lambda:InvokeFunction"`, `"arn:aws:lambda:eu-central-1:11111111111:function:x"`, `{}`), identity, "twelve digits", "Statement[0].Resource"},
		"twelve":        {allowed(`"lambda:InvokeFunction"`, `"arn:aws:lambda:eu-central-1:111111111111:function:x"`, `{}`), identity, "", ""},
		"of AWS":        {allowed(`"iam:AttachRolePolicy"`, `"arn:aws:iam::aws:policy/ReadOnlyAccess"`, `{}`), identity, "", ""},
	},
	"BLP-306": {
		"IAM with a Region":           {allowed(`"iam:GetRole"`, `"arn:aws:iam:eu-central-1:111111111111:role/x"`, `{}`), identity, `"arn:aws:iam::111111111111:role/x"`, "Statement[0].Resource"},
		"bucket with an account":      {allowed(`"s3:GetObject"`, `"arn:aws:s3::111111111111:logs/*"`, `{}`), identity, `"arn:aws:s3:::logs/*"`, "Statement[0].Resource"},
		"bucket with Region, account": {allowed(`"s3:GetObject"`, `"arn:aws:s3:eu-central-1:111111111111:logs/*"`, `{}`), identity, `"arn:aws:s3:::logs/*"`, "Statement[0].Resource"},
		"an access point has both":    {allowed(`"s3:ListBucket"`, `"arn:aws:s3:eu-central-1:111111111111:accesspoint/x"`, `{}`), identity, "", ""},
		"a pattern":                   {allowed(`"iam:GetRole"`, `"arn:aws:iam:*:111111111111:role/x"`, `{}`), identity, "", ""},
	},
	"BLP-307": {
		"no such type":        {allowed(`"states:StartExecution"`, `"arn:aws:states:*:*:statemachine:x"`, `{}`), identity, "stateMachine:${StateMachineName}", "Statement[0].Resource"},
		"no Region":           {allowed(`"lambda:InvokeFunction"`, `"arn:aws:lambda:::function:x"`, `{}`), identity, `"arn:aws:lambda:*:*:function:x"`, "Statement[0].Resource"},
		"right":               {allowed(`"states:StartExecution"`, `"arn:aws:states:*:*:stateMachine:x"`, `{}`), identity, "", ""},
		"longer than listed":  {allowed(`"config:DescribeConfigRules"`, `"arn:aws:config:*:*:config-rule/aws-service-rule/x/y"`, `{}`), identity, "", ""},
		"no service is known": {allowed(`"s3:GetObject"`, `["arn:aws:s3:::x/*","arn:aws:nosuch:*:*:x"]`, `{}`), identity, "", ""},
	},
	"BLP-308": {
		"one of two": {allowed(`"s3:GetObject"`, `["arn:aws:s3:::logs","arn:aws:s3:::logs/*"]`, `{}`), identity, "None of the statement's actions", "Statement[0].Resource[0]"},
		"both":       {allowed(`["s3:GetObject","s3:ListBucket"]`, `["arn:aws:s3:::logs","arn:aws:s3:::logs/*"]`, `{}`), identity, "", ""},
		"newer":      {allowed(`["s3:GetObject","s3:ListAllOfIt"]`, `["arn:aws:s3:::logs","arn:aws:s3:::logs/*"]`, `{}`), identity, "", ""},
	},

	"BLP-401": {
		"misspelled":            {allowed(`"s3:GetObject"`, `"*"`, `{"IpAddress":{"aws:SourceIpp":"203.0.113.0/24"}}`), identity, `"aws:SourceIp"`, "Statement[0].Condition.IpAddress.aws:SourceIpp"},
		"restricts nothing":     {allowed(`"s3:GetObject"`, `"*"`, `{"StringNotEquals":{"aws:Regoin":"x"}}`), identity, "restricts nothing", "Statement[0].Condition.StringNotEquals.aws:Regoin"},
		"another prefix":        {allowed(`"s3:GetObject"`, `"*"`, `{"StringEquals":{"iam:PrincipalOrgID":"o-1"}}`), identity, `"aws:PrincipalOrgID"`, "Statement[0].Condition.StringEquals.iam:PrincipalOrgID"},
		"known":                 {allowed(`"s3:GetObject"`, `"*"`, `{"IpAddress":{"AWS:sourceip":"203.0.113.0/24"}}`), identity, "", ""},
		"a tag":                 {allowed(`"secretsmanager:GetSecretValue"`, `"*"`, `{"StringEquals":{"secretsmanager:ResourceTag/team":"x"}}`), identity, "", ""},
		"of a provider of OIDC": {trusted(eks, web, `{"StringEquals":{"oidc.eks.eu-central-1.amazonaws.com/id/0A1B:sub":"system:serviceaccount:a:b"}}`), trust, "", ""},
	},
	"BLP-402": {
		"none carries it":    {allowed(`"s3:GetObject"`, `"*"`, `{"StringEquals":{"s3:prefix":"x/"}}`), identity, "belay policy actions s3:GetObject", "Statement[0].Condition.StringEquals.s3:prefix"},
		"some do not":        {allowed(`["s3:ListBucket","s3:GetObject"]`, `"*"`, `{"StringEquals":{"s3:prefix":"x/"}}`), identity, "for s3:GetObject", "Statement[0].Condition.StringEquals.s3:prefix"},
		"some, if it exists": {allowed(`["s3:ListBucket","s3:GetObject"]`, `"*"`, `{"StringEqualsIfExists":{"s3:prefix":"x/"}}`), identity, "", ""},
		"carried":            {allowed(`"s3:ListBucket"`, `"*"`, `{"StringEquals":{"s3:prefix":"x/"}}`), identity, "", ""},
		"global":             {allowed(`"s3:GetObject"`, `"*"`, `{"StringEquals":{"aws:PrincipalTag/team":"x"}}`), identity, "", ""},
		"comes with another": {statements(`{"Effect":"Allow","Principal":` + github + `,"Action":["sts:AssumeRoleWithWebIdentity","sts:TagSession"],"Condition":{"StringEquals":{"token.actions.githubusercontent.com:sub":"repo:o/r:ref:refs/heads/main"}}}`), trust, "", ""},
	},
	"BLP-403": {
		"address as string": {allowed(`"s3:GetObject"`, `"*"`, `{"StringEquals":{"aws:SourceIp":"203.0.113.7"}}`), identity, "Use IpAddress", "Statement[0].Condition.StringEquals.aws:SourceIp"},
		"boolean as string": {allowed(`"s3:GetObject"`, `"*"`, `{"StringEquals":{"aws:SecureTransport":"true"}}`), identity, "Use Bool", "Statement[0].Condition.StringEquals.aws:SecureTransport"},
		"number as string":  {allowed(`"s3:ListBucket"`, `"*"`, `{"StringNotEquals":{"s3:max-keys":"10"}}`), identity, "Use NumericNotEquals", "Statement[0].Condition.StringNotEquals.s3:max-keys"},
		"string as number":  {allowed(`"s3:GetObject"`, `"*"`, `{"NumericEquals":{"aws:PrincipalAccount":"111111111111"}}`), identity, "Use StringEquals", "Statement[0].Condition.NumericEquals.aws:PrincipalAccount"},
		"ARN as string":     {allowed(`"s3:GetObject"`, `"*"`, `{"StringLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/x"}}`), identity, "", ""},
		"date as number":    {allowed(`"s3:GetObject"`, `"*"`, `{"NumericLessThan":{"aws:EpochTime":"1800000000"}}`), identity, "", ""},
		"only whether":      {allowed(`"s3:GetObject"`, `"*"`, `{"Null":{"aws:SourceIp":"false"}}`), identity, "", ""},
	},
	"BLP-404": {
		"without":               {allowed(`"ec2:CreateTags"`, `"*"`, `{"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}`), identity, `"Null": {"aws:TagKeys": "false"}`, "Statement[0].Condition.ForAllValues:StringEquals.aws:TagKeys"},
		"with Null":             {allowed(`"ec2:CreateTags"`, `"*"`, `{"ForAllValues:StringEquals":{"aws:TagKeys":["team"]},"Null":{"aws:TagKeys":"false"}}`), identity, "", ""},
		"with a tag of its own": {allowed(`"ec2:CreateTags"`, `"*"`, `{"ForAllValues:StringEquals":{"aws:TagKeys":["team"]},"StringEquals":{"aws:RequestTag/team":"x"}}`), identity, "", ""},
		"in a Deny":             {statements(`{"Effect":"Deny","Action":"ec2:CreateTags","Resource":"*","Condition":{"ForAllValues:StringNotEquals":{"aws:TagKeys":["team"]}}}`), identity, "", ""},
	},
	"BLP-405": {
		"single":   {allowed(`"ec2:CreateTags"`, `"*"`, `{"StringEquals":{"aws:TagKeys":"team"}}`), identity, "ForAnyValue:StringEquals", "Statement[0].Condition.StringEquals.aws:TagKeys"},
		"any":      {allowed(`"ec2:CreateTags"`, `"*"`, `{"ForAnyValue:StringEquals":{"aws:TagKeys":"team"}}`), identity, "", ""},
		"presence": {allowed(`"ec2:CreateTags"`, `"*"`, `{"Null":{"aws:TagKeys":"true"}}`), identity, "", ""},
	},
	"BLP-406": {
		"address":    {allowed(`"s3:GetObject"`, `"*"`, `{"IpAddress":{"aws:SourceIp":"203.0.113.0/33"}}`), identity, "203.0.113.0/33", "Statement[0].Condition.IpAddress.aws:SourceIp"},
		"date":       {allowed(`"s3:GetObject"`, `"*"`, `{"DateLessThan":{"aws:CurrentTime":"26.11.2026"}}`), identity, "ISO 8601", "Statement[0].Condition.DateLessThan.aws:CurrentTime"},
		"number":     {allowed(`"s3:GetObject"`, `"*"`, `{"NumericLessThan":{"aws:MultiFactorAuthAge":"1h"}}`), identity, "3600", "Statement[0].Condition.NumericLessThan.aws:MultiFactorAuthAge"},
		"boolean":    {allowed(`"s3:GetObject"`, `"*"`, `{"Bool":{"aws:SecureTransport":"yes"}}`), identity, "true or false", "Statement[0].Condition.Bool.aws:SecureTransport"},
		"presence":   {allowed(`"s3:GetObject"`, `"*"`, `{"Null":{"aws:SourceIp":"0"}}`), identity, "true or false", "Statement[0].Condition.Null.aws:SourceIp"},
		"ARN":        {allowed(`"s3:GetObject"`, `"*"`, `{"ArnEquals":{"aws:PrincipalArn":"deployer"}}`), identity, "six parts", "Statement[0].Condition.ArnEquals.aws:PrincipalArn"},
		"all right":  {allowed(`"s3:GetObject"`, `"*"`, `{"IpAddress":{"aws:SourceIp":["203.0.113.7","2001:db8::/32"]},"DateLessThan":{"aws:CurrentTime":"2026-11-26T00:00:00Z"},"Bool":{"aws:SecureTransport":"TRUE"},"ArnLike":{"aws:PrincipalArn":"*"}}`), identity, "", ""},
		"a variable": {allowed(`"s3:GetObject"`, `"*"`, `{"NumericLessThan":{"aws:MultiFactorAuthAge":"${aws:PrincipalTag/age}"}}`), identity, "", ""},
	},
	"BLP-407": {
		"a star under Equals": {trusted(github, web, `{"StringEquals":{"token.actions.githubusercontent.com:sub":"repo:o/r:*"}}`), trust, "Use StringLike", "Statement[0].Condition.StringEquals.token.actions.githubusercontent.com:sub"},
		"under Like":          {trusted(github, web, `{"StringLike":{"token.actions.githubusercontent.com:sub":"repo:o/r:*"}}`), trust, "", ""},
	},
	"BLP-408": {
		"in a resource":  {allowed(`"s3:GetObject"`, `"arn:aws:s3:::b/${aws:usrname}/*"`, `{}`), identity, "${aws:username}", "Statement[0].Resource"},
		"in a condition": {allowed(`"s3:ListBucket"`, `"*"`, `{"StringLike":{"s3:prefix":"${user}/*"}}`), identity, "${user}", "Statement[0].Condition.StringLike.s3:prefix"},
		"known":          {allowed(`"s3:GetObject"`, `"arn:aws:s3:::b/${aws:PrincipalTag/team, 'none'}/${*}"`, `{}`), identity, "", ""},
	},
	"BLP-409": {
		"private":  {allowed(`"s3:GetObject"`, `"*"`, `{"IpAddress":{"aws:SourceIp":"10.1.0.0/16"}}`), identity, "aws:VpcSourceIp", "Statement[0].Condition.IpAddress.aws:SourceIp"},
		"public":   {allowed(`"s3:GetObject"`, `"*"`, `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`), identity, "", ""},
		"in a VPC": {allowed(`"s3:GetObject"`, `"*"`, `{"IpAddress":{"aws:VpcSourceIp":"10.1.0.0/16"}}`), identity, "", ""},
	},

	"BLP-501": {
		"everything":       {allowed(`"*"`, `"*"`, `{}`), identity, "administrator", "Statement[0].Action"},
		"with a condition": {allowed(`"*"`, `"*"`, `{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`), identity, "", ""},
		"a boundary":       {allowed(`"*"`, `"*"`, `{}`), lint.Subject{Kind: lint.Boundary}, "", ""},
		"an SCP":           {allowed(`"*"`, `"*"`, `{}`), scp, "", ""},
	},
	"BLP-502": {
		"a service":     {allowed(`["s3:*","iam:*"]`, `"*"`, `{}`), identity, "Who may do all of AWS Identity and Access Management", "Statement[0].Action[0]"},
		"one bucket":    {allowed(`"s3:*"`, `["arn:aws:s3:::b","arn:aws:s3:::b/*"]`, `{}`), identity, "", ""},
		"reading alone": {allowed(`"s3:Get*"`, `"*"`, `{}`), identity, "", ""},
	},
	"BLP-503": {
		"allow": {statements(`{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`), identity, "denies nothing", "Statement[0].NotAction"},
		"deny":  {statements(`{"Effect":"Deny","NotAction":"iam:*","Resource":"*"}`), identity, "", ""},
	},
	"BLP-504": {
		"allow": {statements(`{"Effect":"Allow","Action":"s3:GetObject","NotResource":"arn:aws:s3:::b/*"}`), identity, "denies nothing", "Statement[0].NotResource"},
		"deny":  {statements(`{"Effect":"Deny","Action":"s3:GetObject","NotResource":"arn:aws:s3:::b/*"}`), identity, "", ""},
	},
	"BLP-505": {
		"any role":    {allowed(`"iam:PassRole"`, `"*"`, `{}`), identity, "iam:PassedToService", "Statement[0].Action"},
		"by pattern":  {allowed(`"iam:Pass*"`, `"arn:aws:iam::111111111111:role/*"`, `{}`), identity, "every role", "Statement[0].Action"},
		"one service": {allowed(`"iam:PassRole"`, `"*"`, `{"StringEquals":{"iam:PassedToService":"ecs-tasks.amazonaws.com"}}`), identity, "", ""},
		"one role":    {allowed(`"iam:PassRole"`, `"arn:aws:iam::111111111111:role/task"`, `{}`), identity, "", ""},
	},
	"BLP-506": {
		"attaches a policy": {allowed(`["iam:GetUser","iam:AttachUserPolicy"]`, `"*"`, `{}`), identity, "iam:PermissionsBoundary", "Statement[0].Action[1]"},
		"with a boundary":   {allowed(`"iam:AttachUserPolicy"`, `"*"`, `{"StringEquals":{"iam:PermissionsBoundary":"arn:aws:iam::111111111111:policy/b"}}`), identity, "", ""},
		"one's own key":     {allowed(`"iam:CreateAccessKey"`, `"arn:aws:iam::111111111111:user/${aws:username}"`, `{}`), identity, "", ""},
	},
	"BLP-507": {
		"a bucket":         {statements(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}`), resource, "everybody", "Statement[0].Principal"},
		"in an object":     {statements(`{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}`), resource, "everybody", "Statement[0].Principal"},
		"all but":          {statements(`{"Effect":"Allow","NotPrincipal":{"AWS":"111111111111"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}`), resource, "everybody but", "Statement[0].NotPrincipal"},
		"a role":           {statements(`{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}`), trust, "whoever knows its ARN", "Statement[0].Principal"},
		"an organization":  {trusted(`"*"`, "sts:AssumeRole", `{"StringEquals":{"aws:PrincipalOrgID":"o-1234567890"}}`), trust, "", ""},
		"a deny":           {statements(`{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}`), resource, "", ""},
		"a VPC's endpoint": {statements(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}`), lint.Subject{Kind: lint.Endpoint}, "", ""},
	},

	"BLP-601": {
		"IRSA":            {trusted(eks, web, `{"StringEquals":{"oidc.eks.eu-central-1.amazonaws.com/id/0A1B:aud":"sts.amazonaws.com"}}`), trust, "every service account of the cluster", "Statement[0].Principal"},
		"GitHub":          {trusted(github, web, `{"StringEquals":{"token.actions.githubusercontent.com:aud":"sts.amazonaws.com"}}`), trust, "every workflow", "Statement[0].Principal"},
		"any subject":     {trusted(github, web, `{"StringLike":{"token.actions.githubusercontent.com:sub":"repo:*"}}`), trust, ":sub", "Statement[0].Principal"},
		"only if it is":   {trusted(github, web, `{"StringEqualsIfExists":{"token.actions.githubusercontent.com:sub":"repo:o/r:ref:x"}}`), trust, ":sub", "Statement[0].Principal"},
		"of another host": {trusted(eks, web, `{"StringEquals":{"oidc.eks.eu-central-1.amazonaws.com/id/FFFF:sub":"system:serviceaccount:a:b"}}`), trust, "0A1B:sub", "Statement[0].Principal"},
		"subject":         {trusted(eks, web, `{"StringLike":{"oidc.eks.eu-central-1.amazonaws.com/id/0A1B:sub":"system:serviceaccount:a:*"}}`), trust, "", ""},
		"another claim":   {trusted(github, web, `{"StringEquals":{"token.actions.githubusercontent.com:repository":"o/r"}}`), trust, "", ""},
		"not known":       {trusted(`{"Federated":"`+lint.Unknown+`"}`, web, `{"StringEquals":{"`+lint.Unknown+`:sub":"system:serviceaccount:a:b"}}`), trust, "", ""},
		"identity pool":   {trusted(`{"Federated":"cognito-identity.amazonaws.com"}`, web, `{"StringEquals":{"cognito-identity.amazonaws.com:aud":"eu-central-1:x"}}`), trust, "", ""},
	},
	"BLP-602": {
		"no audience": {trusted(eks, web, `{"StringEquals":{"oidc.eks.eu-central-1.amazonaws.com/id/0A1B:sub":"system:serviceaccount:a:b"}}`), trust, "sts.amazonaws.com", "Statement[0].Principal"},
		"audience":    {trusted(eks, web, `{"StringEquals":{"oidc.eks.eu-central-1.amazonaws.com/id/0A1B:aud":"sts.amazonaws.com"}}`), trust, "", ""},
	},
	"BLP-603": {
		"ECS, by the role's name":   {trusted(`{"Service":"ec2.amazonaws.com"}`, "sts:AssumeRole", `{}`), lint.Subject{Kind: lint.Trust, Name: "ecsTaskExecutionRole"}, `"Service": "ecs-tasks.amazonaws.com"`, "Statement[0].Principal"},
		"Fargate, by the Sid":       {statements(`{"Sid":"Fargate","Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}`), trust, "ecs-tasks", "Statement[0].Principal"},
		"the service, for tasks":    {trusted(`{"Service":"ecs.amazonaws.com"}`, "sts:AssumeRole", `{}`), lint.Subject{Kind: lint.Trust, Name: "task-role"}, "the ECS service itself", "Statement[0].Principal"},
		"the service":               {trusted(`{"Service":"ecs.amazonaws.com"}`, "sts:AssumeRole", `{}`), trust, "for its service", "Statement[0].Principal"},
		"Lambda, by the name":       {trusted(`{"Service":"ec2.amazonaws.com"}`, "sts:AssumeRole", `{}`), lint.Subject{Kind: lint.Trust, Name: "my-lambda"}, "lambda.amazonaws.com", "Statement[0].Principal"},
		"instances of a cluster":    {trusted(`{"Service":"ec2.amazonaws.com"}`, "sts:AssumeRole", `{}`), lint.Subject{Kind: lint.Trust, Name: "ecsInstanceRole"}, "", ""},
		"tasks":                     {trusted(`{"Service":"ecs-tasks.amazonaws.com"}`, "sts:AssumeRole", `{}`), lint.Subject{Kind: lint.Trust, Name: "ecsTaskExecutionRole"}, "", ""},
		"EC2, and nothing tells it": {trusted(`{"Service":"ec2.amazonaws.com"}`, "sts:AssumeRole", `{}`), trust, "", ""},
	},
	"BLP-604": {
		"singular":     {trusted(`{"Service":"ecs-task.amazonaws.com"}`, "sts:AssumeRole", `{}`), trust, `"ecs-tasks.amazonaws.com"`, "Statement[0].Principal"},
		"bare":         {trusted(`{"Service":"Lambda"}`, "sts:AssumeRole", `{}`), trust, `"lambda.amazonaws.com"`, "Statement[0].Principal"},
		"right":        {trusted(`{"Service":["lambda.amazonaws.com","eks.amazonaws.com"]}`, "sts:AssumeRole", `{}`), trust, "", ""},
		"of a Region":  {trusted(`{"Service":"logs.eu-central-1.amazonaws.com"}`, "sts:AssumeRole", `{}`), trust, "", ""},
		"of China too": {trusted(`{"Service":"ec2.amazonaws.com.cn"}`, "sts:AssumeRole", `{}`), trust, "", ""},
	},
	"BLP-605": {
		"a queue":     {statements(`{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"arn:aws:sqs:eu-central-1:111111111111:q"}`), resource, "aws:SourceAccount", "Statement[0].Principal"},
		"tasks":       {trusted(`{"Service":"ecs-tasks.amazonaws.com"}`, "sts:AssumeRole", `{}`), trust, "does not ask", "Statement[0].Principal"},
		"a condition": {statements(`{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"arn:aws:sqs:eu-central-1:111111111111:q","Condition":{"ArnLike":{"AWS:SourceArn":"arn:aws:sns:*:111111111111:*"}}}`), resource, "", ""},
		"EC2":         {trusted(`{"Service":"ec2.amazonaws.com"}`, "sts:AssumeRole", `{}`), trust, "", ""},
	},
	"BLP-606": {
		"empty":    {trusted(`{"AWS":"111111111111"}`, "sts:AssumeRole", `{"StringEquals":{"sts:ExternalId":""}}`), trust, "two characters", "Statement[0].Condition.StringEquals.sts:ExternalId"},
		"anything": {trusted(`{"AWS":"111111111111"}`, "sts:AssumeRole", `{"StringLike":{"sts:ExternalId":"*"}}`), trust, "met by anything", "Statement[0].Condition.StringLike.sts:ExternalId"},
		"one":      {trusted(`{"AWS":"111111111111"}`, "sts:AssumeRole", `{"StringEquals":{"sts:ExternalId":"belay-42"}}`), trust, "", ""},
	},
	"BLP-607": {
		"OIDC with AssumeRole":    {trusted(eks, "sts:AssumeRole", `{}`), trust, web, "Statement[0].Principal"},
		"service with web":        {trusted(`{"Service":"ec2.amazonaws.com"}`, web, `{}`), trust, `"sts:AssumeRole"`, "Statement[0].Principal"},
		"SAML with web":           {trusted(`{"Federated":"arn:aws:iam::111111111111:saml-provider/x"}`, web, `{}`), trust, "sts:AssumeRoleWithSAML", "Statement[0].Principal"},
		"right":                   {trusted(`{"Federated":"arn:aws:iam::111111111111:saml-provider/x"}`, "sts:AssumeRoleWithSAML", `{}`), trust, "", ""},
		"all that assumes a role": {trusted(eks, "sts:AssumeRole*", `{}`), trust, "", ""},
	},
	"BLP-608": {
		"wildcard":      {statements(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/*"},"Action":"sts:AssumeRole"}`), trust, "without wildcards", "Statement[0].Principal"},
		"group":         {statements(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:group/x"},"Action":"sts:AssumeRole"}`), trust, "a group is no principal", "Statement[0].Principal"},
		"short account": {statements(`{"Effect":"Allow","Principal":{"AWS":"1111"},"Action":"sts:AssumeRole"}`), trust, "twelve digits", "Statement[0].Principal"},
		"right":         {statements(`{"Effect":"Allow","Principal":{"AWS":["111111111111","arn:aws:iam::111111111111:root","arn:aws:sts::111111111111:assumed-role/r/s","AROAEXAMPLEEXAMPLE123"]},"Action":"sts:AssumeRole"}`), trust, "", ""},
	},

	"BLP-701": {
		"by everything":       {statements(fill + `,{"Effect":"Deny","Action":"s3:*","Resource":"*"}`), identity, "Statement[1]", "Statement[0]"},
		"by two":              {statements(`{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::b/*"},{"Effect":"Deny","Action":"s3:Get*","Resource":"*"},{"Effect":"Deny","Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*"}`), identity, "Statement[1] and Statement[2]", "Statement[0]"},
		"by NotAction":        {statements(fill + `,{"Effect":"Deny","NotAction":"iam:*","Resource":"*"}`), identity, "Statement[1]", "Statement[0]"},
		"under a condition":   {statements(fill + `,{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`), identity, "", ""},
		"in part":             {statements(`{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::b/*"},{"Effect":"Deny","Action":"s3:Get*","Resource":"*"}`), identity, "", ""},
		"another resource":    {statements(fill + `,{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::other/*"}`), identity, "", ""},
		"for other callers":   {statements(`{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"},{"Effect":"Deny","Principal":{"AWS":"222222222222"},"Action":"s3:*","Resource":"*"}`), resource, "", ""},
		"a wider allow stays": {statements(`{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"s3:DeleteObject","Resource":"*"}`), identity, "", ""},
	},
	"BLP-702": {
		"by a wider one":    {statements(fill + `,{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}`), identity, "Statement[1]", "Statement[0]"},
		"the same again":    {statements(fill + "," + fill), identity, "Statement[0]", "Statement[1]"},
		"under a condition": {statements(fill + `,{"Effect":"Allow","Action":"s3:Get*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}`), identity, "", ""},
		"a star in a part":  {statements(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"},{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/?"}`), identity, "Statement[0]", "Statement[1]"},
		"others":            {statements(fill + `,{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}`), identity, "", ""},
	},
}

func TestRules(t *testing.T) {
	t.Parallel()
	for id, all := range examples {
		for name, tt := range all {
			t.Run(id+" "+name, func(t *testing.T) {
				t.Parallel()
				var found []lint.Finding
				for _, f := range check(t, tt.text, tt.about) {
					if f.Rule == id {
						found = append(found, f)
					}
				}
				switch {
				case tt.want == "" && len(found) == 0:
				case tt.want == "":
					t.Errorf("found %+v", found)
				case len(found) != 1:
					t.Errorf("found %d times: %+v", len(found), found)
				default:
					f := found[0]
					if !strings.Contains(f.Message+" "+f.Fix, tt.want) {
						t.Errorf("%q is in neither of\n%s\n%s", tt.want, f.Message, f.Fix)
					}
					if f.Path != tt.path {
						t.Errorf("path %s, want %s", f.Path, tt.path)
					}
				}
			})
		}
	}
}

func TestRulesHaveExamples(t *testing.T) {
	t.Parallel()
	var ids, have []string
	for _, r := range lint.Rules() {
		ids = append(ids, r.ID)
		if strings.TrimSpace(r.Name) == "" || strings.HasSuffix(r.Title, ".") {
			t.Errorf("%s: name %q, title %q", r.ID, r.Name, r.Title)
		}
	}
	for id, all := range examples {
		have = append(have, id)
		positive, negative := false, false
		for _, e := range all {
			positive, negative = positive || e.want != "", negative || e.want == ""
		}
		if !positive || !negative {
			t.Errorf("%s has not both a positive and a negative example", id)
		}
	}
	slices.Sort(have)
	if diff := cmp.Diff(ids, have); diff != "" {
		t.Error(diff)
	}
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		want lint.Kind
	}{
		"identity":                {statements(fill), lint.Identity},
		"nothing":                 {statements(""), lint.Identity},
		"trust":                   {trusted(eks, web, `{}`), lint.Trust},
		"trust without principal": {statements(`{"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession"]}`), lint.Trust},
		"a bucket's":              {statements(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}`), lint.Resource},
		"may assume roles":        {statements(`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}`), lint.Identity},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := iam.Parse([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := lint.KindOf(d); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// Findings come in the order of the text and say where they are; severities can differ from that of the rule.
func TestFindings(t *testing.T) {
	t.Parallel()
	text := `{
  "Version": "2012-10-17",
  "Statement": [
    {"Effect": "Allow", "Action": ["s3:GetObject", "ecr:GetAuthorizationToken"], "Resource": "arn:aws:s3:::logs"},
    {"Effect": "Allow", "Action": "*", "Resource": "*"}
  ]
}`
	type place struct {
		Rule         string
		Severity     lint.Severity
		Line, Column int
		Statement    int
	}
	var got []place
	for _, f := range check(t, text, lint.Subject{}) {
		got = append(got, place{f.Rule, f.Severity, f.Pos.Line, f.Pos.Column, f.Statement})
	}
	want := []place{
		{"BLP-702", lint.Note, 4, 5, 0},
		{"BLP-301", lint.Error, 4, 36, 0},
		{"BLP-302", lint.Error, 4, 52, 0},
		{"BLP-501", lint.Warning, 5, 35, 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A document that was made in code has no places, and is looked at all the same.
func TestMadeInCode(t *testing.T) {
	t.Parallel()
	d := &iam.Document{Version: "2012-10-17", Statements: []iam.Statement{{
		Effect: iam.Allow, Action: iam.Patterns{Values: []string{"s3:GetObject"}}, Resource: iam.Patterns{Values: []string{"arn:aws:s3:::logs"}},
	}}}
	findings, err := lint.Document(d, identity)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"BLP-301"}, rulesOf(findings)); diff != "" {
		t.Error(diff)
	}
}

// What AWS itself publishes is mostly right. The number of policies that each rule finds something in is held here, so
// that a rule that begins to cry wolf is noticed; a sample of each was read and found to be as the rule says.
func TestManagedPolicies(t *testing.T) {
	t.Parallel()
	managed, err := service.LoadManaged()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for p := range managed.All() {
		for _, id := range rulesOf(check(t, string(p.Document), identity)) {
			got[id]++
		}
	}
	if diff := cmp.Diff(managedFindings, got); diff != "" {
		t.Error(diff)
	}
}

var managedFindings = map[string]int{
	"BLP-109": 81, "BLP-202": 24, "BLP-203": 7, "BLP-301": 53, "BLP-302": 175, "BLP-303": 1, "BLP-307": 37, "BLP-308": 73, "BLP-401": 4, "BLP-402": 47,
	"BLP-403": 2, "BLP-404": 93, "BLP-405": 3, "BLP-501": 1, "BLP-502": 281, "BLP-503": 2, "BLP-504": 8, "BLP-505": 5, "BLP-506": 1, "BLP-702": 21,
}

func FuzzDocument(f *testing.F) {
	for _, all := range examples {
		for _, e := range all {
			f.Add(e.text, string(e.about.Kind))
		}
	}
	f.Fuzz(func(t *testing.T, text, kind string) {
		d, err := iam.Parse([]byte(text))
		if err != nil {
			return
		}
		findings, err := lint.Document(d, lint.Subject{Kind: lint.Kind(kind)})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			if _, ok := lint.RuleByID(f.Rule); !ok || f.Message == "" || f.Fix == "" || f.Statement >= len(d.Statements) {
				t.Fatalf("%+v", f)
			}
		}
	})
}
