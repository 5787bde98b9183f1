package lint

import "slices"

// Rule is something that is looked for.
type Rule struct {
	ID       string // "BLP-301"
	Name     string // in words with hyphens, for people: wrong-resource-type
	Severity Severity
	Title    string // a sentence without its full stop
}

// Rules are all rules, sorted by ID.
func Rules() []Rule { return slices.Clone(rules[:]) }

// RuleByID finds a rule.
func RuleByID(id string) (Rule, bool) {
	i := slices.IndexFunc(rules[:], func(r Rule) bool { return r.ID == id })
	if i < 0 {
		return Rule{}, false
	}
	return rules[i], true
}

func severityOf(id string) Severity {
	r, _ := RuleByID(id)
	return r.Severity
}

var rules = [...]Rule{ //nolint:gochecknoglobals // a table
	{"BLP-101", "missing-version", Warning, "Version is missing, so policy variables are taken literally"},
	{"BLP-102", "variable-in-old-version", Error, "A policy variable in a document of version 2008-10-17 is taken literally"},
	{"BLP-103", "unknown-version", Error, "There is no such version of the policy language"},
	{"BLP-104", "duplicate-sid", Error, "Two statements have the same Sid"},
	{"BLP-105", "sid-characters", Error, "A Sid holds characters that IAM refuses"},
	{"BLP-106", "unexpected-principal", Error, "A policy of this kind has no Principal"},
	{"BLP-107", "missing-principal", Error, "A policy of this kind needs a Principal"},
	{"BLP-108", "empty-list", Error, "A list is empty, so the statement never matches"},
	{"BLP-109", "over-quota", Error, "The policy is longer than AWS allows"},
	{"BLP-110", "missing-resource", Error, "A policy of this kind needs a Resource"},
	{"BLP-111", "unexpected-resource", Error, "A trust policy has no Resource"},
	{"BLP-112", "no-statement", Warning, "The policy has no statement"},
	{"BLP-113", "old-version", Note, "The version is 2008-10-17, which knows no policy variables"},

	{"BLP-201", "malformed-action", Error, "An action is not of the form service:Name"},
	{"BLP-202", "unknown-service", Warning, "There is no service with this prefix"},
	{"BLP-203", "unknown-action", Warning, "The service has no such action"},
	{"BLP-204", "pattern-matches-nothing", Warning, "No action matches the pattern"},

	{"BLP-301", "wrong-resource-type", Error, "The action works on no resource of the types that the statement names"},
	{"BLP-302", "resourceless-action", Error, "The action supports no resources, so only Resource \"*\" matches it"},
	{"BLP-303", "malformed-arn", Error, "A resource is no ARN"},
	{"BLP-304", "unknown-partition", Error, "There is no such partition"},
	{"BLP-305", "malformed-account", Error, "The account in an ARN is not of twelve digits"},
	{"BLP-306", "region-or-account-of-global-arn", Error, "The ARN names a Region or an account where ARNs of its type have none"},
	{"BLP-307", "unknown-arn-form", Warning, "The service has no resource type whose ARNs look like this"},
	{"BLP-308", "unused-resource", Note, "No action of the statement works on this resource"},

	{"BLP-401", "unknown-condition-key", Warning, "There is no such condition key"},
	{"BLP-402", "key-not-carried", Warning, "Requests for the action do not carry the condition key"},
	{"BLP-403", "operator-of-other-type", Warning, "The operator compares values of another type than the key has"},
	{"BLP-404", "for-all-values-without-null", Warning, "ForAllValues holds for requests without the key"},
	{"BLP-405", "single-operator-on-many-values", Warning, "An operator for one value is used on a key of several"},
	{"BLP-406", "unreadable-value", Error, "The operator cannot read the value"},
	{"BLP-407", "literal-wildcard", Warning, "The operator takes the wildcard literally"},
	{"BLP-408", "unknown-variable", Warning, "There is no such policy variable"},
	{"BLP-409", "private-source-address", Warning, "aws:SourceIp is never an address of a private network"},

	{"BLP-501", "full-access", Warning, "The statement allows everything on everything"},
	{"BLP-502", "full-service-access", Warning, "The statement allows a whole service on everything"},
	{"BLP-503", "allow-not-action", Warning, "Allow with NotAction grants every action of AWS but those named"},
	{"BLP-504", "allow-not-resource", Warning, "Allow with NotResource grants every resource but those named"},
	{"BLP-505", "pass-any-role", Warning, "iam:PassRole on every role to every service"},
	{"BLP-506", "privilege-escalation", Warning, "The action lets its holder gain any permission of the account"},
	{"BLP-507", "public-principal", Warning, "The statement allows everybody, without a condition"},

	{"BLP-601", "oidc-without-subject", Error, "The trust does not say which subjects of the identity provider it means"},
	{"BLP-602", "oidc-without-audience", Warning, "The trust does not say for which audience tokens are made"},
	{"BLP-603", "wrong-service-principal", Warning, "The service principal is that of another service than the one meant"},
	{"BLP-604", "malformed-service-principal", Error, "A service principal has a form that no service has"},
	{"BLP-605", "confused-deputy", Warning, "A service may act on behalf of any AWS customer"},
	{"BLP-606", "empty-external-id", Error, "The external id is empty, or anything"},
	{"BLP-607", "wrong-assume-action", Error, "The principal never calls the actions that the statement names"},
	{"BLP-608", "malformed-principal", Error, "A principal is of a form that AWS refuses"},

	{"BLP-701", "denied-allow", Error, "Whatever the statement allows, another denies"},
	{"BLP-702", "redundant-allow", Note, "Whatever the statement allows, another allows, too"},
}
