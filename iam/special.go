package iam

import (
	"net/netip"
	"slices"
	"strings"
)

// rcpServices are the services whose actions resource control policies bear on, sorted. Package service has the same list
// as data; a test compares them.
// Source: https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html
var rcpServices = [...]string{ //nolint:gochecknoglobals // a table
	"aoss", "appconfig", "appstream", "autoscaling", "autoscaling-plans", "budgets", "clouddirectory", "cloudfront", "cloudsearch",
	"cloudtrail-data", "codeartifact", "codebuild", "codecommit", "codepipeline", "cognito-identity", "cognito-idp", "comprehend",
	"comprehendmedical", "compute-optimizer", "cost-optimization-hub", "dax", "dsql", "dynamodb", "ecr", "ecr-public", "events",
	"firehose", "fis", "fms", "gamelift", "health", "inspector-scan", "kendra", "kinesisvideo", "kms", "logs", "memorydb",
	"networkmonitor", "notifications", "opensearch", "pca-connector-ad", "personalize", "polly", "pricing", "resource-groups",
	"rolesanywhere", "s3", "secretsmanager", "servicediscovery", "signin", "sqs", "sts", "support", "swf", "textract",
	"timestream-influxdb", "transcribe", "transfer", "translate", "wafv2", "workspaces", "xray",
}

func rcpSupports(service string) bool {
	_, found := slices.BinarySearch(rcpServices[:], service)
	return found
}

// protected reports whether the request would change what AWS keeps for itself, whatever policies say: its managed
// policies, the roles it reserves, and the aliases of its keys.
func (e *evaluation) protected() bool {
	resource := e.target.segments[5]
	switch string(e.service()) {
	case "iam":
		switch {
		case e.target.segments[4] == "aws" && strings.HasPrefix(resource, "policy/"):
			return slices.Contains(policyWrites[:], string(e.name()))
		case strings.HasPrefix(resource, "role/aws-reserved/"):
			return slices.Contains(roleWrites[:], string(e.name()))
		}
	case "kms":
		return strings.HasPrefix(resource, "alias/aws/") && slices.Contains(aliasWrites[:], string(e.name()))
	}
	return false
}

// What changes a policy, a role and an alias.
//
//nolint:gochecknoglobals // tables
var (
	policyWrites = [...]string{"createpolicyversion", "deletepolicy", "deletepolicyversion", "setdefaultpolicyversion", "tagpolicy", "untagpolicy"}
	roleWrites   = [...]string{
		"attachrolepolicy", "deleterole", "deleterolepermissionsboundary", "deleterolepolicy", "detachrolepolicy", "putrolepermissionsboundary",
		"putrolepolicy", "tagrole", "untagrole", "updateassumerolepolicy", "updaterole", "updateroledescription",
	}
	aliasWrites = [...]string{"createalias", "deletealias", "updatealias"}
)

// publicPolicy reports whether S3 takes a bucket policy for public: one of its Allow statements names everybody, and no
// condition holds it to fixed values of a key that S3 accepts for that.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
func publicPolicy(d *Document) bool {
	return slices.ContainsFunc(d.Statements, func(s Statement) bool {
		if s.Effect != Allow || s.Principal == nil {
			return false
		}
		everybody := s.Principal.Any || s.Principal.Negated || slices.Contains(s.Principal.AWS, "*")
		return everybody && !slices.ContainsFunc(s.Conditions, fixes)
	})
}

// fixes reports whether a condition narrows everybody to callers that are known.
func fixes(c Condition) bool {
	if c.IfExists || c.Quantifier == ForAllValues {
		return false
	}
	key := lowerASCII(c.Key)
	switch c.Operator {
	case "IpAddress":
		return key == "aws:sourceip" && !slices.ContainsFunc(c.Values, wideRange)
	case "StringEquals", "StringEqualsIgnoreCase", "ArnEquals", "StringLike", "ArnLike":
	default:
		return false
	}
	like := c.Operator == "StringLike" || strings.HasPrefix(c.Operator, "Arn")
	for _, v := range c.Values {
		wild := like && strings.ContainsAny(v, "*?")
		if strings.Contains(v, "${") || wild && !fixedDespiteStar(key, v) {
			return false
		}
	}
	return slices.Contains(fixingKeys[:], key)
}

var fixingKeys = [...]string{ //nolint:gochecknoglobals // a table
	"aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principalorgpaths", "aws:sourceaccount", "aws:sourcearn",
	"aws:sourceorgid", "aws:sourceorgpaths", "aws:sourceowner", "aws:sourcevpc", "aws:sourcevpce", "aws:userid", "s3:dataaccesspointaccount",
	"s3:dataaccesspointarn", "s3:x-amz-server-side-encryption-aws-kms-key-id",
}

// fixedDespiteStar tells values with a star that still name one account or one unit.
func fixedDespiteStar(key, value string) bool {
	switch key {
	case "s3:dataaccesspointarn", "aws:sourcearn", "aws:principalarn":
		segments := strings.SplitN(value, ":", 6)
		return len(segments) == 6 && isAccount(segments[4])
	case "aws:userid":
		id, _, found := strings.Cut(value, ":")
		return found && !strings.ContainsAny(id, "*?")
	case "aws:principalorgpaths", "aws:sourceorgpaths":
		org, _, found := strings.Cut(value, "/")
		return found && !strings.ContainsAny(org, "*?")
	}
	return false
}

// wideRange tells ranges of addresses that S3 does not take for fixed: /8 of IPv4 and /32 of IPv6 are the widest it does.
func wideRange(v string) bool {
	p, ok := parsePrefix(v)
	return !ok || p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 32 || p.Addr() == netip.IPv4Unspecified()
}
