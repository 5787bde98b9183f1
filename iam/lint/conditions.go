package lint

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/service"
)

// condition is the place of a condition.
func condition(c *iam.Condition) at { return at{c.Pos, "Condition." + c.Name() + "." + c.Key} }

// conditions looks at the conditions of the statement, and at the variables that are compared with.
func (l *linter) conditions() {
	s := l.statement
	for i := range s.Conditions {
		c := &s.Conditions[i]
		l.values(c)
		if !known(c.Key) {
			continue
		}
		key, ok := l.reference.ConditionKey(c.Key)
		if !ok {
			l.unknownKey(c)
			continue
		}
		l.operator(c, key)
		l.quantifier(c, key)
		l.carried(c)
	}
	for i, r := range s.Resource.Values {
		l.variables(value(&s.Resource, "Resource", i), r)
	}
}

func (l *linter) unknownKey(c *iam.Condition) {
	fix := "Look the key up in the service authorization reference."
	if near := l.nearKey(c.Key); near != "" {
		fix = fmt.Sprintf("Did you mean %q?", near)
	}
	l.report("BLP-401", condition(c), fmt.Sprintf("There is no condition key %s in %s. A request without the key %s.", show(c.Key), l.reference.Source(), without(c)), fix)
}

// without says what a condition does with a request that lacks its key.
func without(c *iam.Condition) string {
	if holdsWithout(c) {
		return "meets this condition, so it restricts nothing"
	}
	return "does not meet this condition, so the statement never matches"
}

// holdsWithout says whether a condition holds for a request without its key.
func holdsWithout(c *iam.Condition) bool {
	switch {
	case c.Operator == "Null":
		return slices.ContainsFunc(c.Values, func(v string) bool { return strings.EqualFold(v, "true") })
	case c.IfExists || c.Quantifier == iam.ForAllValues:
		return true
	case c.Quantifier == iam.ForAnyValue:
		return false
	}
	return strings.Contains(c.Operator, "Not")
}

// nearKey is a key that is spelled nearly as one that is none.
func (l *linter) nearKey(name string) string {
	const least = 3
	best, far := "", least
	try := func(keys []service.ConditionKey) {
		for _, k := range keys {
			if d := distance(strings.ToLower(name), strings.ToLower(k.Name), far); d < far {
				best, far = k.Name, d
			}
		}
	}
	try(service.GlobalKeys())
	prefix, rest, _ := strings.Cut(name, ":")
	if s, ok := l.reference.Service(prefix); ok {
		try(s.ConditionKeys)
	}
	if best == "" {
		if _, ok := l.reference.ConditionKey("aws:" + rest); ok {
			return "aws:" + rest
		}
	}
	return best
}

// family is what an operator compares.
func family(operator string) string {
	operator = strings.TrimPrefix(operator, "Not")
	for _, f := range []string{"String", "Numeric", "Date", "Bool", "Binary", "IpAddress", "Arn"} {
		if strings.HasPrefix(operator, f) {
			return f
		}
	}
	return ""
}

// operator compares the type of a key with what the operator compares.
func (l *linter) operator(c *iam.Condition, key service.ConditionKey) {
	have := family(c.Operator)
	var right []string
	switch key.Type {
	case service.String:
		right = []string{"String"}
		if have == "Arn" && (!isGlobal(key.Name) || !slices.ContainsFunc(c.Values, func(v string) bool { return known(v) && !strings.HasPrefix(v, "arn:") && v != "*" })) {
			right = append(right, "Arn") // AWS's reference calls many keys strings whose values are ARNs
		}
	case service.ARN:
		right = []string{"Arn", "String"}
	case service.Bool:
		right = []string{"Bool"}
	case service.Numeric:
		right = []string{"Numeric"}
	case service.Date:
		right = []string{"Date", "Numeric"}
	case service.IP:
		right = []string{"IpAddress"}
	case service.Binary:
		right = []string{"Binary", "String"}
	}
	if have == "" || len(right) == 0 || slices.Contains(right, have) {
		return
	}
	l.report("BLP-403", condition(c), fmt.Sprintf("%s compares %s, and %s holds %s, which such an operator does not understand.", c.Operator, operands(have), c.Key, holds(key.Type)),
		fmt.Sprintf("Use %s.", suggestion(right[0], c.Operator)))
}

func isGlobal(key string) bool { return strings.HasPrefix(key, "aws:") }

func operands(family string) string {
	return map[string]string{
		"String": "strings", "Numeric": "numbers", "Date": "dates", "Bool": "true and false", "Binary": "bytes", "IpAddress": "addresses", "Arn": "ARNs",
	}[family]
}

func holds(t service.KeyType) string {
	return map[service.KeyType]string{
		service.String: "a string", service.ARN: "an ARN", service.Bool: "true or false", service.Numeric: "a number", service.Date: "a date",
		service.IP: "an address", service.Binary: "bytes",
	}[t]
}

// suggestion is the operator of another family that does the same.
func suggestion(family, operator string) string {
	negated := strings.Contains(operator, "Not")
	switch {
	case family == "IpAddress" && negated:
		return "NotIpAddress"
	case family == "IpAddress", family == "Bool":
		return family
	case family == "Binary":
		return "BinaryEquals"
	case negated:
		return family + "NotEquals"
	}
	return family + "Equals"
}

// quantifier compares how many values a key has with how the operator takes them.
func (l *linter) quantifier(c *iam.Condition, key service.ConditionKey) {
	switch {
	case c.Operator == "Null":
	case key.Multivalued && c.Quantifier == iam.Single:
		l.report("BLP-405", condition(c), fmt.Sprintf("%s has several values in a request, and AWS does not say what %s does with them.", c.Key, c.Operator),
			fmt.Sprintf("Say ForAnyValue:%s if one value must match, ForAllValues:%s if all must.", c.Operator, c.Operator))
	case c.Quantifier == iam.ForAllValues && l.statement.Effect == iam.Allow && !l.present(c.Key):
		severity := Warning
		if strings.EqualFold(c.Key, "aws:TagKeys") {
			severity = Note // a request without tags is mostly welcome
		}
		l.reportAs("BLP-404", severity, condition(c), fmt.Sprintf("ForAllValues also holds for a request that has no %s at all, so this Allow is wider than it looks.", c.Key),
			fmt.Sprintf("Add \"Null\": {%q: \"false\"} to the Condition.", c.Key))
	}
}

// present says whether another condition of the statement holds only if a key is there.
func (l *linter) present(key string) bool {
	return slices.ContainsFunc(l.statement.Conditions, func(c iam.Condition) bool {
		switch {
		case strings.EqualFold(c.Key, key):
			return !holdsWithout(&c) && len(c.Values) > 0
		case strings.EqualFold(key, "aws:TagKeys"): // a request with a tag has its key
			return len(c.Key) > len("aws:RequestTag/") && strings.EqualFold(c.Key[:len("aws:RequestTag/")], "aws:RequestTag/") && !holdsWithout(&c)
		}
		return false
	})
}

// carried reports a key that requests for the actions of the statement do not have.
func (l *linter) carried(c *iam.Condition) {
	s := l.statement
	if s.Action.Negated || !l.allKnown() || everywhere(c.Key) {
		return
	}
	var lack, have []string
	for _, pattern := range s.Action.Values {
		all := l.actionsOf(pattern)
		if pattern == "*" || slices.ContainsFunc(all, func(a service.Action) bool { return l.carries(a, c.Key) }) {
			have = append(have, pattern)
		} else if !strings.EqualFold(pattern, "sts:TagSession") && !strings.EqualFold(pattern, "sts:SetSourceIdentity") { // they come with another action, and its keys
			lack = append(lack, pattern)
		}
	}
	switch {
	case len(lack) == 0 || c.Operator == "Null":
	case len(have) == 0:
		l.report("BLP-402", condition(c), fmt.Sprintf("AWS lists %s for none of the statement's actions (%s). A request without the key %s.", c.Key, list(lack), without(c)),
			fmt.Sprintf("Look up with `belay policy actions %s` which keys it carries.", lack[0]))
	case !holdsWithout(c):
		l.reportAs("BLP-402", Note, condition(c), fmt.Sprintf("AWS does not list %s for %s, so the statement never matches requests for that.", c.Key, list(lack)),
			"Move what does not carry the key to a statement without this condition.")
	}
}

// everywhere tells the global keys that any request may carry.
func everywhere(key string) bool {
	return !aboutTags(key) && slices.ContainsFunc(service.GlobalKeys(), func(k service.ConditionKey) bool { return k.Matches(key) })
}

func aboutTags(key string) bool {
	key = strings.ToLower(key)
	return strings.HasPrefix(key, "aws:requesttag/") || strings.HasPrefix(key, "aws:resourcetag/") || key == "aws:tagkeys"
}

// carries is what Reference.Carries says of a key that is not everywhere, without collecting the global keys each time.
func (l *linter) carries(a service.Action, key string) bool {
	if a.Service == "sts" { // which knows the keys of any OIDC provider
		_, ok := l.reference.Carries(a, key)
		return ok
	}
	name := a.String()
	own, done := l.keys[name]
	if !done {
		own = l.reference.OwnConditionKeys(a)
		l.keys[name] = own
	}
	return slices.ContainsFunc(own, func(k service.ConditionKey) bool { return k.Matches(key) })
}

// allKnown says whether the reference has every action of the statement.
func (l *linter) allKnown() bool {
	return !slices.ContainsFunc(l.statement.Action.Values, func(pattern string) bool {
		return !known(pattern) || pattern != "*" && len(l.actionsOf(pattern)) == 0
	})
}

// values looks at what the condition compares with.
func (l *linter) values(c *iam.Condition) {
	where := condition(c)
	for _, v := range c.Values {
		l.variables(where, v)
		switch {
		case !known(v) || hasVariable(v):
		case !c.Reads(v):
			l.report("BLP-406", where, fmt.Sprintf("%s cannot read %s as %s, so the value never matches.", c.Operator, show(v), readable(c.Operator)), example(c.Operator))
		case family(c.Operator) == "Arn" && strings.Trim(v, "*") != "" && strings.Count(v, ":") < segments-1 && !strings.HasSuffix(v, "*"):
			l.report("BLP-406", where, fmt.Sprintf("%s compares ARNs part by part, and %s has not the six parts of one, so it never matches.", c.Operator, show(v)), "Write the whole ARN, with * for the parts that do not matter.")
		case literalStar(c, v):
			l.report("BLP-407", where, fmt.Sprintf("%s takes %s literally: the star is a star, and no value has one.", c.Name(), show(v)), fmt.Sprintf("Use %s.", strings.NewReplacer("EqualsIgnoreCase", "Like", "Equals", "Like").Replace(c.Name())))
		case strings.EqualFold(c.Key, "aws:SourceIp") && family(c.Operator) == "IpAddress" && private(v):
			l.report("BLP-409", where, fmt.Sprintf("%s is a range of private addresses, and aws:SourceIp is the public address from which a request comes, or is not there at all when it comes through a VPC endpoint.", show(v)),
				"Use aws:SourceVpc, aws:SourceVpce or aws:VpcSourceIp.")
		}
	}
}

// literalStar tells a wildcard that is compared literally. A lone "*" is a value that some keys have, and so is one in a
// string where nothing else would be sensible.
func literalStar(c *iam.Condition, v string) bool {
	return strings.HasPrefix(c.Operator, "String") && strings.Contains(c.Operator, "Equals") && strings.Contains(v, "*") && v != "*" && !strings.Contains(v, "${*}")
}

func private(v string) bool {
	p, err := netip.ParsePrefix(v)
	if err != nil {
		a, err := netip.ParseAddr(v)
		return err == nil && (a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast())
	}
	a := p.Addr()
	least := 8 // 10.0.0.0/8
	if a.Is6() {
		least = 7
	}
	return p.Bits() >= least && (a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast())
}

func readable(operator string) string {
	return map[string]string{
		"Numeric": "a number", "Date": "a date", "Bool": "true or false", "Binary": "base64", "IpAddress": "an address or a range of addresses", "": "true or false",
	}[family(operator)]
}

func example(operator string) string {
	return map[string]string{
		"Numeric": "Write a number, such as 3600.", "Date": "Write a date of ISO 8601, such as 2026-11-26T00:00:00Z, or seconds since 1970.",
		"Bool": "Write true or false.", "Binary": "Encode the bytes in base64.", "IpAddress": "Write an address or a range, such as 203.0.113.0/24 or 2001:db8::/32.", "": "Write true or false.",
	}[family(operator)]
}

func hasVariable(text string) bool {
	for range variables(text) {
		return true
	}
	return false
}

// variables reports policy variables that AWS does not have.
func (l *linter) variables(where at, text string) {
	if l.document.Version != current {
		return
	}
	for name := range variables(text) {
		if _, ok := l.reference.ConditionKey(name); ok || !known(name) {
			continue
		}
		fix := "Name a condition key that requests carry, such as ${aws:username}."
		if near := l.nearKey(name); near != "" {
			fix = fmt.Sprintf("Did you mean ${%s}?", near)
		}
		l.report("BLP-408", where, fmt.Sprintf("${%s} names no condition key. A statement with a variable that a request cannot fill never matches.", name), fix)
	}
}
