package iam

import "strings"

// pattern is a compiled Resource, or a value of an ARN operator. An ARN is compared segment by segment: a star does not
// cross a colon of the first five. Partition, service, Region, account and resource all respect letter case.
type pattern struct {
	kind     patternKind
	segments [6]segment
	from     string
}

type patternKind byte

const (
	arnPattern     patternKind = iota
	allPattern                 // "*": the only one that matches what has no ARN
	neverPattern               // it matches nothing
	invalidPattern             // it matches nothing, and nothing either in NotResource
)

// segment is one of the six parts of an ARN pattern.
type segment struct {
	glob  glob
	parts template // instead of glob, with variables
}

// shortRule says what an ARN pattern of fewer than six segments means.
// Source: AWS documents the form of ARNs only; what it does with shorter ones was observed, kind of policy by kind.
type shortRule byte

const (
	shortFills   shortRule = iota // missing segments count as *: identity, session and boundary policies
	shortIfStar                   // the same if there is a star, else it matches nothing: resource and endpoint policies
	shortEndStar                  // the same if the last segment ends in a star, else it is invalid: SCPs
	shortInvalid                  // RCPs
	shortNever                    // it matches nothing: ARN operators
)

func compilePattern(s string, variables bool, rule shortRule) pattern {
	p := pattern{from: s}
	if s == "*" {
		p.kind = allPattern
		return p
	}
	cut := strings.SplitN(s, ":", len(p.segments))
	if variables {
		cut = splitARN(s)
	}
	if len(cut) < len(p.segments) {
		switch {
		case rule == shortInvalid, rule == shortEndStar && !strings.HasSuffix(cut[len(cut)-1], "*"):
			p.kind = invalidPattern
			return p
		case rule == shortNever, rule == shortIfStar && !strings.Contains(s, "*"):
			p.kind = neverPattern
			return p
		}
	}
	for i := range p.segments {
		text := "*"
		if i < len(cut) {
			text = cut[i]
		}
		encoded, parts := parseTemplate(text, variables, encodeGlob)
		p.segments[i] = segment{newGlob(encoded), parts}
	}
	return p
}

func (p *pattern) variables() []string {
	var names []string
	for i := range p.segments {
		names = append(names, p.segments[i].parts.variables()...)
	}
	return names
}

// target is the resource of a request, cut into segments.
type target struct {
	segments [6]string
	isARN    bool // it has six segments
	wild     bool // it holds a star: some resource of this shape
}

func newTarget(resource string) target {
	if strings.IndexByte(resource, '*') >= 0 {
		return wildTarget(encodeRequest(resource))
	}
	t := target{}
	t.segments, t.isARN = cutARN(resource)
	return t
}

// wildTarget is a target that is an encoded pattern itself.
func wildTarget(encoded string) target {
	t := target{wild: true}
	t.segments, t.isARN = cutARN(encoded)
	for i := range t.segments {
		if t.segments[i] == "" && !t.isARN && i > 0 {
			t.segments[i] = "\xff" // * alone, or the beginning of an ARN and a star
		}
	}
	return t
}

// cutARN cuts an ARN into its six segments, without allocating.
func cutARN(s string) (segments [6]string, whole bool) {
	for i := range 5 {
		colon := strings.IndexByte(s, ':')
		if colon < 0 {
			segments[i] = s
			return segments, false
		}
		segments[i], s = s[:colon], s[colon+1:]
	}
	segments[5] = s
	return segments, true
}

// match reports whether the pattern matches a requested resource. For a resource with a star, cover asks whether the
// pattern holds all resources of that shape, otherwise any of them suffices. It is not known when the pattern holds a
// variable that a discovery does not know.
func (p *pattern) match(e *evaluation, t *target, cover bool) (found, known bool) {
	switch p.kind {
	case allPattern:
		return true, true
	case neverPattern, invalidPattern:
		return false, true
	case arnPattern:
	}
	if !t.isARN && !t.wild {
		return false, true
	}
	all := true
	for i := range p.segments {
		s := &p.segments[i]
		if s.parts == nil && !t.wild {
			if !s.glob.match(t.segments[i]) {
				return false, true
			}
			continue
		}
		var filled []byte
		if s.parts != nil {
			if filled, known = e.expand(s.parts); !known {
				all = false // another segment may still tell that it does not match
				continue
			}
		}
		switch {
		case !t.wild:
			found = matchGlob(filled, t.segments[i])
		case cover:
			found = coversGlob(s.encoded(filled), t.segments[i])
		default:
			found = overlapGlob(s.encoded(filled), t.segments[i])
		}
		if !found {
			return false, true
		}
	}
	return all, all
}

// encoded is the segment's pattern; filled is that of one with variables.
func (s *segment) encoded(filled []byte) string {
	if s.parts != nil {
		return string(filled)
	}
	return s.glob.encoded()
}

// matchARN compares with the value of a condition key.
func (p *pattern) matchARN(e *evaluation, value string) (found, known bool) {
	t := target{}
	t.segments, t.isARN = cutARN(value)
	return p.match(e, &t, false)
}
