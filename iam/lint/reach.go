package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
)

// reach looks for an Allow that changes nothing: all of it is denied anyway, or allowed by others. Only what is certain
// is reported.
func (l *linter) reach() {
	const most = 400 // the time grows with the square; no policy within the quotas has as many
	all := l.document.Statements
	if len(all) > most {
		return
	}
	for i := range all {
		s := &all[i]
		if s.Effect != iam.Allow || len(s.Action.Values) == 0 || s.Principal != nil && s.Principal.Negated {
			continue
		}
		l.index, l.statement = i, s
		if by := l.covered(i, iam.Deny); len(by) > 0 {
			l.report("BLP-701", here(), fmt.Sprintf("All that this statement allows is denied by %s, whatever the conditions: it never has an effect.", numbers(by)), "Remove it, or narrow the Deny.")
		} else if by := l.covered(i, iam.Allow); len(by) > 0 {
			l.report("BLP-702", here(), fmt.Sprintf("All that this statement allows is allowed by %s, too.", numbers(by)), "Remove it, or narrow the other one if it is wider than was meant.")
		}
	}
	l.index, l.statement = -1, nil
}

func numbers(indices []int) string {
	names := make([]string, len(indices))
	for i, n := range indices {
		names[i] = fmt.Sprintf("Statement[%d]", n)
	}
	return list(names)
}

// covered are the statements of an effect that together match every request that statement i matches, or none.
func (l *linter) covered(i int, effect iam.Effect) []int {
	s := &l.document.Statements[i]
	var by []int
	for _, pattern := range s.Action.Values {
		found := -1
		for j := range l.document.Statements {
			other := &l.document.Statements[j]
			if j == i || other.Effect != effect || !sameReach(other, s) || !coversAction(other, s, pattern) || !coversResources(other, s) {
				continue
			}
			// Of two that say the same, the later one is the redundant one.
			if effect == iam.Allow && j > i && coversAll(s, other) {
				continue
			}
			found = j
			break
		}
		if found < 0 {
			return nil
		}
		if !slices.Contains(by, found) {
			by = append(by, found)
		}
	}
	return by
}

func coversAll(s, other *iam.Statement) bool {
	return sameReach(s, other) && coversResources(s, other) &&
		!slices.ContainsFunc(other.Action.Values, func(p string) bool { return !coversAction(s, other, p) })
}

// sameReach says whether a statement matches whoever and whenever another does: it has no conditions, or the same ones.
func sameReach(wide, narrow *iam.Statement) bool {
	if !sameConditions(wide.Conditions, narrow.Conditions) {
		return false
	}
	switch a, b := wide.Principal, narrow.Principal; {
	case a == nil && b == nil:
		return true
	case a == nil || b == nil || a.Negated || b.Negated:
		return false
	case a.Any || slices.Contains(a.AWS, "*"):
		return true
	default:
		return !b.Any && within(b.AWS, a.AWS) && within(b.Service, a.Service) && within(b.Federated, a.Federated) && within(b.CanonicalUser, a.CanonicalUser)
	}
}

func within(some, all []string) bool {
	return !slices.ContainsFunc(some, func(one string) bool { return !slices.Contains(all, one) })
}

// sameConditions says whether what meets the conditions of narrow meets those of wide, in the plainest case: each of
// wide is also in narrow.
func sameConditions(wide, narrow []iam.Condition) bool {
	return !slices.ContainsFunc(wide, func(c iam.Condition) bool {
		return !slices.ContainsFunc(narrow, func(d iam.Condition) bool {
			return c.Name() == d.Name() && strings.EqualFold(c.Key, d.Key) && slices.Equal(c.Values, d.Values) && !slices.ContainsFunc(c.Values, func(v string) bool { return !known(v) })
		})
	})
}

// coversAction says whether a statement matches every action of a pattern of another.
func coversAction(wide, narrow *iam.Statement, pattern string) bool {
	switch {
	case !known(pattern):
		return slices.Contains(wide.Action.Values, "*") && !wide.Action.Negated
	case narrow.Action.Negated:
		return !wide.Action.Negated && slices.Contains(wide.Action.Values, "*") || wide.Action.Negated && within(wide.Action.Values, narrow.Action.Values)
	case wide.Action.Negated:
		// Certain only where neither is a pattern.
		return !wild(pattern) && !slices.ContainsFunc(wide.Action.Values, func(p string) bool { return !known(p) || iam.MatchAction(p, pattern) })
	}
	return slices.ContainsFunc(wide.Action.Values, func(p string) bool {
		return p == "*" || known(p) && strings.Contains(pattern, ":") && coversPattern(strings.ToLower(p), strings.ToLower(pattern))
	})
}

// coversResources says whether a statement matches every resource of another.
func coversResources(wide, narrow *iam.Statement) bool {
	if len(wide.Resource.Values) == 0 && len(narrow.Resource.Values) == 0 {
		return true
	}
	if wide.Resource.Negated {
		return narrow.Resource.Negated && within(wide.Resource.Values, narrow.Resource.Values) && !slices.ContainsFunc(wide.Resource.Values, func(r string) bool { return !known(r) })
	}
	if narrow.Resource.Negated || len(narrow.Resource.Values) == 0 {
		return slices.Contains(wide.Resource.Values, "*")
	}
	return !slices.ContainsFunc(narrow.Resource.Values, func(r string) bool {
		return !slices.ContainsFunc(wide.Resource.Values, func(w string) bool { return coversResource(w, r) })
	})
}

// coversResource says whether a Resource matches all that another does, part by part as AWS does.
func coversResource(wide, narrow string) bool {
	switch {
	case wide == "*":
		return true
	case !known(wide) || !known(narrow) || strings.Contains(wide, "${"):
		return wide == narrow && known(wide)
	case strings.Contains(narrow, "${") && strings.Contains(wide, "?"):
		return false
	}
	narrow = plainARN(narrow)
	a, b := strings.SplitN(wide, ":", segments), strings.SplitN(narrow, ":", segments)
	if len(a) < segments || len(b) < segments {
		return wide == narrow
	}
	for i := range a {
		if !coversPattern(a[i], b[i]) {
			return false
		}
	}
	return true
}

// coversPattern says whether a pattern matches every text that another pattern does. Taking the other's wildcards for
// characters that only a star takes, it may say no where the answer is yes, and never the reverse.
func coversPattern(wide, narrow string) bool {
	star, tried := -1, 0
	w, n := 0, 0
	for n < len(narrow) {
		switch {
		case w < len(wide) && wide[w] == '*':
			star, tried = w, n
			w++
		case w < len(wide) && (wide[w] == narrow[n] && narrow[n] != '*' || wide[w] == '?' && narrow[n] != '*'):
			w++
			n++
		case star >= 0:
			tried++
			w, n = star+1, tried
		default:
			return false
		}
	}
	return strings.Trim(wide[w:], "*") == ""
}
