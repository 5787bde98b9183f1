package iam

import "strings"

// MatchAction reports whether an Action pattern, such as s3:Get*, matches an action. Letter case makes no difference; a
// star does not cross the colon, but "*" alone matches every action.
func MatchAction(pattern, action string) bool {
	p := newActionPattern(pattern)
	service, name, _ := strings.Cut(lowerASCII(action), ":")
	return p.match([]byte(service), []byte(name))
}

// MatchResource reports whether a Resource pattern matches an ARN, segment by segment, letter case included. Policy
// variables in it are taken literally, and a pattern that is too short for an ARN matches nothing; "*" matches everything.
func MatchResource(pattern, arn string) bool {
	p := compilePattern(pattern, false, shortNever)
	t := target{}
	t.segments, t.isARN = cutARN(arn)
	found, _ := p.match(&evaluation{}, &t, false)
	return found
}

// OverlapResource reports whether some resource is matched by both of two Resource patterns.
func OverlapResource(pattern, other string) bool {
	if other == "*" {
		pattern, other = other, pattern
	}
	p := compilePattern(pattern, false, shortFills)
	t := wildTarget(encodeGlob(other))
	found, _ := p.match(&evaluation{}, &t, false)
	return found
}
