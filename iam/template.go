package iam

import "strings"

// template is a pattern with policy variables.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
type template []part

// part is literal text, or a variable with the value it has when the request lacks the key.
type part struct {
	text       string // encoded where wildcards count
	variable   string // in small letters; "" for text
	fallback   string
	hasDefault bool
}

// splitter says how the text between variables is encoded.
type splitter func(string) string

// asIs is the splitter for operators that know no wildcards.
func asIs(s string) string { return s }

// parseTemplate reads the variables in s. With enabled false, or when there are none, it gives one encoded text.
func parseTemplate(s string, enabled bool, encode splitter) (string, template) {
	if !enabled || !strings.Contains(s, "${") {
		return encode(s), nil
	}
	var parts template
	text := "" // encoded text that is not yet in parts
	for s != "" {
		before, rest, found := strings.Cut(s, "${")
		inside, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			text += encode(s)
			break
		}
		text += encode(before)
		s = after
		switch inside {
		case "*", "?", "$":
			text += inside // literally, so not encoded
			continue
		}
		if text != "" {
			parts = append(parts, part{text: text})
			text = ""
		}
		name, fallback, hasDefault := strings.Cut(inside, ",")
		one := part{variable: lowerASCII(strings.TrimSpace(name)), hasDefault: hasDefault}
		one.fallback = strings.TrimSpace(fallback)
		if n := len(one.fallback); n >= 2 && one.fallback[0] == '\'' && one.fallback[n-1] == '\'' {
			one.fallback = one.fallback[1 : n-1]
		}
		parts = append(parts, one)
	}
	if len(parts) == 0 {
		return text, nil
	}
	if text != "" {
		parts = append(parts, part{text: text})
	}
	return "", parts
}

// variables are the names that must be in a request: those without a default.
func (t template) variables() []string {
	var names []string
	for _, p := range t {
		if p.variable != "" && !p.hasDefault {
			names = append(names, p.variable)
		}
	}
	return names
}

// splitARN cuts a pattern into its six segments; what is in a variable does not count as a separator. It gives fewer
// when there are fewer.
func splitARN(s string) []string {
	segments := make([]string, 0, 6)
	depth, from := 0, 0
	for i := 0; i < len(s) && len(segments) < 5; i++ {
		switch {
		case strings.HasPrefix(s[i:], "${") && strings.IndexByte(s[i:], '}') >= 0:
			depth++
		case s[i] == '}' && depth > 0:
			depth--
		case s[i] == ':' && depth == 0:
			segments = append(segments, s[from:i])
			from = i + 1
		}
	}
	return append(segments, s[from:])
}
