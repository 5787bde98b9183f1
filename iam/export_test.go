package iam

import (
	"net/netip"
	"time"
)

// What the tests compare with slow, obvious twins.

// MatchGlob matches one segment, with the * and ? of a policy.
func MatchGlob(pattern, text string) bool {
	g := newGlob(encodeGlob(pattern))
	found := g.match(text)
	if found != g.matchBytes([]byte(text)) {
		panic("text and bytes differ")
	}
	return found
}

// OverlapGlob reports whether some text matches both patterns.
func OverlapGlob(pattern, other string) bool {
	return overlapGlob(encodeGlob(pattern), encodeGlob(other))
}

// CoversGlob reports whether pattern matches all that request, whose ? is a plain character, stands for.
func CoversGlob(pattern, request string) bool {
	return coversGlob(encodeGlob(pattern), encodeRequest(request))
}

// CutARN cuts a request's ARN.
func CutARN(s string) ([6]string, bool) { return cutARN(s) }

// SplitARN cuts a pattern.
func SplitARN(s string) []string { return splitARN(s) }

// ParseDate reads a value of a Date operator.
func ParseDate(s string) (time.Time, bool) { return parseDate(s) }

// ParsePrefix reads a value of an IpAddress operator.
func ParsePrefix(s string) (netip.Prefix, bool) { return parsePrefix(s) }

// ExpandTemplate fills in the variables of a text whose stars are no wildcards.
func ExpandTemplate(s string, c Context) (string, bool) {
	text, parts := parseTemplate(s, true, asIs)
	if parts == nil {
		return text, true
	}
	e := evaluation{set: &Set{}, request: &Request{Context: c}}
	out, ok := e.expand(parts)
	return string(out), ok
}

// Value is the value of a key: a single one, or a list.
func (c *Context) Value(name string) (single string, list []string, present bool) {
	v, present := c.get(lowerASCII(name))
	return v.single, v.list, present
}
