package iam

import (
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// condition is a compiled Condition.
type condition struct {
	key        string // in small letters
	kind       opKind
	negated    bool
	relation   relation
	quantifier Quantifier
	ifExists   bool
	values     []operand
	from       *Condition
}

// operand is one value of a condition, read as its operator reads it.
type operand struct {
	text     string   // what a string is compared with; "true" or "false"; the decoded bytes
	parts    template // instead of text, with variables
	glob     glob
	number   float64
	date     time.Time
	prefix   netip.Prefix
	arn      pattern
	readable bool // the text is what the operator needs
}

func compileCondition(from *Condition, variables bool) condition {
	c := condition{key: lowerASCII(from.Key), quantifier: from.Quantifier, ifExists: from.IfExists, from: from}
	c.values = make([]operand, 0, len(from.Values))
	for _, op := range operators {
		if op.name == from.Operator {
			c.kind, c.negated, c.relation = op.kind, op.negated, op.relation
		}
	}
	for _, value := range from.Values {
		c.values = append(c.values, c.operand(value, variables))
	}
	return c
}

func (c *condition) operand(value string, variables bool) operand {
	o := operand{readable: true}
	var err error
	switch c.kind {
	case opString, opStringFold:
		o.text, o.parts = parseTemplate(value, variables, asIs)
	case opStringLike:
		o.text, o.parts = parseTemplate(value, variables, encodeGlob)
		o.glob = newGlob(o.text)
	case opARN:
		o.arn = compilePattern(value, variables, shortNever)
	case opNumber:
		o.number, o.readable = parseNumber(value)
	case opDate:
		o.date, o.readable = parseDate(value)
	case opBool, opNull:
		o.text = lowerASCII(value)
		o.readable = o.text == "true" || o.text == "false"
	case opBinary:
		var raw []byte
		raw, err = base64.StdEncoding.DecodeString(value)
		o.text = string(raw)
	case opIP:
		o.prefix, o.readable = parsePrefix(value)
	}
	o.readable = o.readable && err == nil
	return o
}

// parseNumber reads an integer or a decimal. What else Go has for a number (0x10, 1_000, Inf, NaN) is none to AWS.
func parseNumber(s string) (float64, bool) {
	s = strings.TrimSpace(s)
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && strings.IndexByte("+-.eE", c) < 0 {
			return 0, false
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil
}

// parsePrefix reads an address or a range of addresses; a bare address is a range of one.
func parsePrefix(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}

// variables are the names that the request must have for the condition to be evaluated at all.
func (c *condition) variables() []string {
	var names []string
	for i := range c.values {
		names = append(names, c.values[i].parts.variables()...)
		names = append(names, c.values[i].arn.variables()...)
	}
	return names
}

// holds reports whether the condition is met, for a statement of the given effect. Keys that a discovery does not know
// are in favour of the request: they meet the condition of an Allow and miss that of a Deny.
func (c *condition) holds(e *evaluation, effect Effect) bool {
	v, present := e.request.Context.get(c.key)
	if !e.set.discover {
		return c.test(e, v, present, effect)
	}
	presenceKnown, valueKnown := present, present
	if k, listed := e.set.knowledge[c.key]; listed {
		presenceKnown, valueKnown = k.PresenceKnown, k.ValueKnown
	}
	switch {
	case presenceKnown && (!present || valueKnown || c.kind == opNull):
		return c.test(e, v, present, effect)
	case !presenceKnown && present && valueKnown: // this value or none
		with, without := c.test(e, v, true, effect), c.test(e, keyValue{}, false, effect)
		if effect == Allow {
			return with || without
		}
		return with && without
	}
	return effect == Allow
}

// test evaluates the condition for a value that is known.
func (c *condition) test(e *evaluation, v keyValue, present bool, effect Effect) bool {
	if c.kind == opNull {
		for i := range c.values {
			if o := &c.values[i]; o.readable && (o.text == "true") == !present {
				return true
			}
		}
		return false
	}
	if !present {
		switch {
		case c.ifExists || c.quantifier == ForAllValues:
			return true
		case c.quantifier == ForAnyValue:
			return false
		}
		return c.negated
	}
	if c.quantifier == Single {
		// AWS leaves undefined what an operator for one value does with several.
		return !v.multi && c.satisfied(e, v.single, effect)
	}
	if !v.multi {
		return c.satisfied(e, v.single, effect)
	}
	for _, one := range v.list {
		if ok := c.satisfied(e, one, effect); ok != (c.quantifier == ForAllValues) {
			return ok
		}
	}
	return c.quantifier == ForAllValues
}

// satisfied compares one value of the request: it must match one of the policy's values, or, for a negated operator,
// none. A value that cannot be read as what the operator compares makes the condition false, negated or not.
func (c *condition) satisfied(e *evaluation, value string, effect Effect) bool {
	var in operand
	if in.readable = true; c.kind == opNumber || c.kind == opDate || c.kind == opIP || c.kind == opBool || c.kind == opBinary {
		in = c.read(value)
		if !in.readable {
			return false
		}
	}
	unknown := false
	for i := range c.values {
		o := &c.values[i]
		if !o.readable {
			if c.negated {
				return false
			}
			continue
		}
		found, known := c.compare(e, o, &in, value)
		if found {
			return !c.negated
		}
		unknown = unknown || !known
	}
	if unknown {
		return effect == Allow
	}
	return c.negated
}

// read reads a value of the request.
func (c *condition) read(value string) operand {
	var o operand
	var err error
	switch c.kind {
	case opNumber:
		o.number, o.readable = parseNumber(value)
	case opDate:
		o.date, o.readable = parseDate(value)
	case opIP:
		var a netip.Addr
		a, err = netip.ParseAddr(value)
		if err == nil {
			o.prefix, o.readable = netip.PrefixFrom(a.WithZone(""), a.BitLen()), true
		}
	case opBool:
		switch {
		case strings.EqualFold(value, "true"):
			o.text, o.readable = "true", true
		case strings.EqualFold(value, "false"):
			o.text, o.readable = "false", true
		}
	case opBinary:
		var raw []byte
		raw, err = base64.StdEncoding.DecodeString(value)
		o.text, o.readable = string(raw), err == nil
	case opString, opStringFold, opStringLike, opARN, opNull:
	}
	return o
}

// compare reports whether the request's value matches one value of the policy. It is not known when the policy's value
// holds a variable that a discovery does not know.
func (c *condition) compare(e *evaluation, o, in *operand, value string) (found, known bool) {
	var filled []byte
	if o.parts != nil {
		if filled, known = e.expand(o.parts); !known {
			return false, false
		}
	}
	switch c.kind {
	case opString:
		if o.parts != nil {
			return string(filled) == value, true
		}
		return o.text == value, true
	case opStringFold:
		return strings.EqualFold(o.text+string(filled), value), true
	case opStringLike:
		if o.parts != nil {
			return matchGlob(filled, value), true
		}
		return o.glob.match(value), true
	case opARN:
		return o.arn.matchARN(e, value)
	case opNumber:
		return c.relation.of(order(in.number, o.number)), true
	case opDate:
		return c.relation.of(in.date.Compare(o.date)), true
	case opBool, opBinary:
		return in.text == o.text, true
	case opIP:
		return o.prefix.Contains(in.prefix.Addr()), true
	case opNull:
	}
	return false, true
}

func order(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// of reports whether an order of request value and policy value is the one that is wanted.
func (r relation) of(order int) bool {
	switch r {
	case equal:
		return order == 0
	case less:
		return order < 0
	case lessOrEqual:
		return order <= 0
	case greater:
		return order > 0
	case greaterOrEqual:
		return order >= 0
	}
	return false
}

// parseDate reads a date of ISO 8601 as the W3C's profile has it (a year, a month, a day, or a time to the minute, second
// or fraction with its zone), or seconds since 1970.
// Source: https://www.w3.org/TR/NOTE-datetime
func parseDate(s string) (time.Time, bool) {
	s = strings.TrimSpace(s)
	if len(s) != 4 || strings.Trim(s, "0123456789") != "" { // four digits are a year
		if n, ok := epoch(s); ok {
			return n, true
		}
	}
	for _, layout := range [...]struct {
		length int
		text   string
	}{{4, "2006"}, {7, "2006-01"}, {10, "2006-01-02"}} {
		if len(s) == layout.length {
			t, err := time.Parse(layout.text, s)
			return t, err == nil
		}
	}
	if len(s) < 17 || s[13] != ':' { // package time takes an hour of one digit
		return time.Time{}, false
	}
	if s[16] == 'Z' || s[16] == '+' || s[16] == '-' {
		t, err := time.Parse("2006-01-02T15:04Z07:00", s)
		return t, err == nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, err == nil
}

// epoch reads seconds since 1970, with an optional fraction.
func epoch(s string) (time.Time, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	digits := strings.TrimPrefix(whole, "-")
	if digits == "" || len(digits) > 15 {
		return time.Time{}, false
	}
	for _, part := range [...]string{digits, fraction} {
		for _, c := range []byte(part) {
			if c < '0' || c > '9' {
				return time.Time{}, false
			}
		}
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	return time.Unix(n, 0).UTC(), err == nil
}

// Reads reports whether a value is one that the condition's operator can compare: an address or a range for IpAddress, a
// date for DateLessThan, true or false for Bool and Null. A value that it cannot compare never matches. Strings and ARNs
// are always read.
func (c Condition) Reads(value string) bool {
	compiled := compileCondition(&Condition{Operator: c.Operator}, true)
	return compiled.operand(value, true).readable
}
