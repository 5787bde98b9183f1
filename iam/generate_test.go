package iam_test

import (
	"pgregory.net/rapid"

	"github.com/belay-dev/belay/iam"
)

// The generators draw from small alphabets, so that policies and requests meet often.

const (
	home    = "111111111111"
	abroad  = "222222222222"
	user    = "arn:aws:iam::" + home + ":user/x"
	role    = "arn:aws:iam::" + home + ":role/team/r"
	session = "arn:aws:sts::" + home + ":assumed-role/r/s"
	key     = "arn:aws:kms:eu-west-1:" + home + ":key/k"
	trusted = "arn:aws:iam::" + home + ":role/t"
)

func pick[T any](t *rapid.T, label string, from ...T) T {
	return rapid.SampledFrom(from).Draw(t, label)
}

// some draws between least and most of the values, each at most once.
func some(t *rapid.T, label string, least, most int, from ...string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(from), least, most, rapid.ID[string]).Draw(t, label)
}

func drawActions(t *rapid.T) iam.Patterns {
	return iam.Patterns{
		Negated: pick(t, "not action", false, false, false, true),
		Values: some(t, "actions", 1, 3, "*", "*:*", "s3:*", "s3:Get*", "s3:GetObject", "S3:getobject", "s3:?utObject", "s3:PutObject",
			"kms:*", "kms:Decrypt", "sts:AssumeRole", "sts:*Session", "s?:*", "s3", "sqs:SendMessage"),
	}
}

func drawResources(t *rapid.T) iam.Patterns {
	return iam.Patterns{
		Negated: pick(t, "not resource", false, false, false, true),
		Values: some(t, "resources", 1, 3, "*", "arn:*", "arn:aws:s3:::*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/x", "arn:aws:s3:::b", "arn:aws:s3:::?/y",
			"arn:aws:s3:::b/${aws:username}", "arn:aws:s3:::b/${aws:PrincipalTag/team, 'x'}", "arn:aws:s3:::b/${*}", "arn:aws:kms:*:"+home+":key/*", key,
			"arn:aws:iam::*:role/?", "arn:*:*:*:*:*x", "arn:aws:s3"),
	}
}

func drawPrincipals(t *rapid.T) *iam.Principals {
	p := &iam.Principals{Negated: pick(t, "not principal", false, false, false, true)}
	switch pick(t, "principals", "any", "aws", "aws", "aws", "service", "federated", "all") {
	case "any":
		p.Any = true
	case "service":
		p.Service = some(t, "services", 1, 2, "lambda.amazonaws.com", "ec2.amazonaws.com")
	case "federated":
		p.Federated = some(t, "providers", 1, 2, "arn:aws:iam::"+home+":oidc-provider/o", "accounts.google.com")
	case "aws":
		p.AWS = drawCallers(t)
	case "all":
		p.AWS, p.Service, p.Federated = drawCallers(t), []string{"lambda.amazonaws.com"}, []string{"arn:aws:iam::" + home + ":oidc-provider/o"}
	}
	return p
}

func drawCallers(t *rapid.T) []string {
	return some(t, "callers", 1, 3, "*", home, abroad, "arn:aws:iam::"+home+":root", user, role, "arn:aws:iam::"+home+":role/r", session,
		"arn:aws:sts::"+home+":assumed-role/r/other", "arn:aws:sts::"+home+":federated-user/f", "arn:aws:iam::"+abroad+":user/x", "AIDAEXAMPLE")
}

// keys are the condition keys with the values that requests have.
var keys = map[string][]string{
	"aws:username":          {"x", "y", "X", "*"},
	"aws:PrincipalTag/team": {"x", "y"},
	"aws:SourceIp":          {"10.0.0.1", "10.1.0.1", "2001:db8::1", "nonsense"},
	"aws:SecureTransport":   {"true", "false", "TRUE"},
	"aws:CurrentTime":       {"2026-01-01T00:00:00Z", "2026-06-01", "1767225600", "never"},
	"s3:max-keys":           {"9", "10", "10.0", "many"},
	"aws:SourceArn":         {"arn:aws:s3:::b", "arn:aws:s3:::b/x", "b"},
	"aws:TagKeys":           {"x", "y", "z"},
}

var keyNames = []string{ // the names in keys, in a fixed order
	"aws:username", "aws:PrincipalTag/team", "aws:SourceIp", "aws:SecureTransport", "aws:CurrentTime", "s3:max-keys", "aws:SourceArn", "aws:TagKeys",
}

func drawConditions(t *rapid.T) []iam.Condition {
	var all []iam.Condition
	seen := map[string]bool{}
	for range pick(t, "conditions", 0, 0, 0, 1, 1, 2) {
		c := drawCondition(t)
		if name := c.Name() + " " + c.Key; !seen[name] {
			seen[name] = true
			all = append(all, c)
		}
	}
	return all
}

func drawCondition(t *rapid.T) iam.Condition {
	key := pick(t, "condition key", keyNames...)
	c := iam.Condition{Key: key}
	operators := []string{"StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "Null"}
	values := append([]string{"${aws:username}", "${aws:PrincipalTag/team,'x'}", "?", "*"}, keys[key]...)
	switch key {
	case "aws:SourceIp":
		operators, values = []string{"IpAddress", "NotIpAddress", "Null"}, []string{"10.0.0.0/16", "10.0.0.1", "2001:db8::/32", "0.0.0.0/0", "nonsense"}
	case "aws:SecureTransport":
		operators, values = []string{"Bool", "Null"}, []string{"true", "false", "True", "yes"}
	case "aws:CurrentTime":
		operators, values = []string{"DateLessThan", "DateGreaterThanEquals", "DateEquals", "DateNotEquals"}, []string{"2026-01-01", "2026-03-01T12:00:00Z", "0", "x"}
	case "s3:max-keys":
		operators, values = []string{"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericGreaterThanEquals"}, []string{"10", "9.5", "x"}
	case "aws:SourceArn":
		operators, values = []string{"ArnLike", "ArnNotLike", "ArnEquals", "ArnNotEquals", "Null"}, []string{"arn:aws:s3:::*", "arn:aws:s3:::b", "arn:*", "arn:aws:s3:::b/${aws:username}"}
	}
	c.Operator = pick(t, "operator", operators...)
	if c.Operator == "Null" {
		c.Values = []string{pick(t, "null", "true", "false")}
		return c
	}
	c.Values = some(t, "condition values", 1, 3, values...)
	c.IfExists = pick(t, "if exists", false, false, true)
	c.Quantifier = pick(t, "quantifier", iam.Single, iam.Single, iam.Single, iam.ForAllValues, iam.ForAnyValue)
	return c
}

// drawStatement makes a statement of the kind of policy that has a principal, or of the other.
func drawStatement(t *rapid.T, effect iam.Effect, principal bool) iam.Statement {
	s := iam.Statement{Effect: effect, Action: drawActions(t), Resource: drawResources(t), Conditions: drawConditions(t)}
	if principal {
		s.Principal = drawPrincipals(t)
	}
	return s
}

func drawEffect(t *rapid.T) iam.Effect { return pick(t, "effect", iam.Allow, iam.Allow, iam.Deny) }

// full allows everything, so that some layers do not hide the others.
func full(principal bool) *iam.Document {
	s := iam.Statement{Effect: iam.Allow, Action: iam.Patterns{Values: []string{"*"}}, Resource: iam.Patterns{Values: []string{"*"}}}
	if principal {
		s.Principal = &iam.Principals{Any: true}
	}
	return &iam.Document{Version: "2012-10-17", Statements: []iam.Statement{s}}
}

func drawPolicies(t *rapid.T, least, most int, principal bool) []iam.Policy {
	all := []iam.Policy{}
	for range rapid.IntRange(least, most).Draw(t, "policies") {
		d := &iam.Document{Version: "2012-10-17", Statements: []iam.Statement{}}
		if pick(t, "full", true, false, false, false) {
			d = full(principal)
		}
		for range rapid.IntRange(0, 3).Draw(t, "statements") {
			d.Statements = append(d.Statements, drawStatement(t, drawEffect(t), principal))
		}
		all = append(all, iam.Policy{Name: "p", Document: d})
	}
	return all
}

func drawLevels(t *rapid.T, principal bool) []iam.Level {
	var all []iam.Level
	for range pick(t, "levels", 0, 0, 0, 1, 2) {
		l := iam.Level{Name: "l", Policies: drawPolicies(t, 0, 2, principal)}
		if pick(t, "full level", true, true, false) {
			l.Policies = append(l.Policies, iam.Policy{Name: "full", Document: full(principal)})
		}
		all = append(all, l)
	}
	return all
}

// drawLayers makes all layers; each that may be absent sometimes is.
func drawLayers(t *rapid.T) iam.Policies {
	p := iam.Policies{Identity: drawPolicies(t, 0, 2, false), SCP: drawLevels(t, false), RCP: drawLevels(t, true)}
	absent := func(label string) bool { return pick(t, label, true, true, true, false) }
	if !absent("no resource policy") || pick(t, "resource policy", true, false) {
		p.Resource = &drawPolicies(t, 1, 1, true)[0]
	}
	if !absent("no boundary") {
		p.Boundary = drawPolicies(t, 0, 2, false)
	}
	if !absent("no session policies") {
		p.Session = drawPolicies(t, 0, 2, false)
	}
	if !absent("no endpoint policies") {
		p.Endpoint = drawPolicies(t, 0, 2, true)
	}
	return p
}

func mustPrincipal(arn string) iam.Principal {
	p, err := iam.ParsePrincipal(arn)
	if err != nil {
		panic(err)
	}
	return p
}

func drawPrincipal(t *rapid.T) iam.Principal {
	switch name := pick(t, "caller", user, user, role, session, "full session", "arn:aws:iam::"+home+":root", "arn:aws:sts::"+home+":federated-user/f",
		"arn:aws:iam::"+abroad+":user/x", "arn:aws:iam::"+home+":role/aws-service-role/ec2.amazonaws.com/r", "service", "federated", "anonymous"); name {
	case "service":
		return iam.ServicePrincipal("lambda.amazonaws.com")
	case "federated":
		return iam.FederatedPrincipal("arn:aws:iam::" + home + ":oidc-provider/o")
	case "anonymous":
		return iam.Anonymous()
	case "full session":
		p, err := mustPrincipal(session).WithRole(role)
		if err != nil {
			panic(err)
		}
		return p
	default:
		return mustPrincipal(name)
	}
}

// pair is an action with a resource that it works on.
type pair struct {
	action, resource string
	resourceless     bool
}

func drawRequest(t *rapid.T, wild bool) iam.Request {
	pairs := []pair{
		{action: "s3:GetObject", resource: "arn:aws:s3:::b/x"},
		{action: "s3:GetObject", resource: "arn:aws:s3:::b/y"},
		{action: "s3:PutObject", resource: "arn:aws:s3:::b/x"},
		{action: "s3:ListBucket", resource: "arn:aws:s3:::b"},
		{action: "s3:ListAllMyBuckets", resource: "*", resourceless: true},
		{action: "kms:Decrypt", resource: key},
		{action: "sts:AssumeRole", resource: trusted},
		{action: "sts:TagSession", resource: trusted},
		{action: "sts:GetCallerIdentity", resource: "*", resourceless: true},
	}
	if wild {
		pairs = append(pairs, pair{action: "s3:GetObject", resource: "arn:aws:s3:::b/*"}, pair{action: "s3:GetObject", resource: "*"},
			pair{action: "s3:GetObject", resource: "arn:aws:s3:::*/x"})
	}
	one := pick(t, "request", pairs...)
	r := iam.Request{
		Principal: drawPrincipal(t), Action: one.action, Resource: one.resource, Resourceless: one.resourceless,
		ResourceAccount: pick(t, "owner", home, home, abroad),
	}
	for _, k := range some(t, "keys", 0, len(keyNames), keyNames...) {
		drawKey(t, &r.Context, k)
	}
	return r
}

// drawKey gives a key one of its values, or several.
func drawKey(t *rapid.T, c *iam.Context, k string) {
	if k == "aws:TagKeys" || pick(t, "several", true, false, false, false, false, false, false) {
		c.SetList(k, some(t, k, 0, 2, keys[k]...))
		return
	}
	c.Set(k, pick(t, k, keys[k]...))
}

func drawRequests(t *rapid.T) []iam.Request {
	all := make([]iam.Request, requestsPerSet)
	for i := range all {
		all[i] = drawRequest(t, true)
	}
	return all
}

func compile(t *rapid.T, p iam.Policies, s iam.Settings) *iam.Set {
	t.Helper()
	set, err := iam.Compile(p, s)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// rank orders decisions from the worst to the best for the caller.
func rank(d iam.Decision) int {
	switch d {
	case iam.ExplicitlyDenied:
		return 0
	case iam.ImplicitlyDenied:
		return 1
	case iam.Allowed:
		return 2
	}
	panic("no decision: " + d)
}
