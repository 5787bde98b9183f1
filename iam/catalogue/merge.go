package catalogue

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	"github.com/belay-dev/belay/iam"
)

// version is the language version of every document that is made here.
const version = "2012-10-17"

// Merge joins statements so that they say the same in fewer words: statements that differ only in their actions or only
// in their resources become one, and what another statement allows already is dropped. It changes no decision. Only
// statements that allow listed actions on listed resources are joined; any other is kept as it is, but not twice.
// Statements that were joined lose their Sid.
func Merge(statements []iam.Statement) []iam.Statement {
	var plain []block
	var others []iam.Statement
	for _, s := range statements {
		if !joinable(s) {
			others = append(others, s)
			continue
		}
		plain = append(plain, block{
			actions: slices.Clone(s.Action.Values), resources: slices.Clone(s.Resource.Values),
			conditions: s.Conditions, condition: conditionKey(s.Conditions),
		})
	}
	for before := -1; before != weight(plain); {
		before = weight(plain)
		plain = joinBy(plain, func(b block) string { return b.condition + "\x00" + key(b.resources, false) })
		plain = joinBy(plain, func(b block) string { return b.condition + "\x00" + key(b.actions, true) })
		plain = dropCovered(plain)
	}
	slices.SortFunc(plain, func(a, b block) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), slices.Compare(a.resources, b.resources),
			cmp.Compare(a.condition, b.condition), slices.Compare(a.actions, b.actions))
	})
	merged := make([]iam.Statement, 0, len(plain)+len(others))
	for _, b := range plain {
		merged = append(merged, b.statement())
	}
	return append(merged, distinct(others)...)
}

// joinable says whether a statement's lists can be joined with another's, and cut. With a policy variable among the
// resources they cannot: where the variable has no value, the whole statement matches nothing.
func joinable(s iam.Statement) bool {
	return s.Effect == iam.Allow && s.Principal == nil && !s.Action.Negated && !s.Resource.Negated &&
		len(s.Action.Values) > 0 && len(s.Resource.Values) > 0 &&
		!slices.ContainsFunc(s.Resource.Values, func(r string) bool { return strings.Contains(r, "${") })
}

// block is a statement that can be joined.
type block struct {
	actions, resources []string
	conditions         []iam.Condition
	condition          string // the same for conditions that mean the same
}

func (b block) statement() iam.Statement {
	return iam.Statement{
		Effect: iam.Allow, Conditions: b.conditions,
		Action: iam.Patterns{Values: b.actions}, Resource: iam.Patterns{Values: b.resources},
	}
}

// rank puts statements on everything first and those with conditions last.
func (b block) rank() int {
	switch {
	case b.condition != "":
		return 2
	case slices.Contains(b.resources, "*"):
		return 0
	}
	return 1
}

func weight(all []block) int {
	n := 0
	for _, b := range all {
		n += 1 + len(b.actions) + len(b.resources)
	}
	return n
}

// key is the same for lists that hold the same values.
func key(values []string, foldCase bool) string {
	values = slices.Clone(values)
	if foldCase {
		for i, v := range values {
			values[i] = strings.ToLower(v)
		}
	}
	slices.Sort(values)
	return strings.Join(values, "\x00")
}

// conditionKey is the same for conditions that hold the same operators, keys and values, in whatever order.
func conditionKey(conditions []iam.Condition) string {
	all := make([]string, len(conditions))
	for i, c := range conditions {
		all[i] = c.Name() + "\x02" + strings.ToLower(c.Key) + "\x02" + key(c.Values, false)
	}
	slices.Sort(all)
	return strings.Join(all, "\x01")
}

// joinBy makes one block of all that have the same key. One of the two lists is the same in all of them.
func joinBy(all []block, by func(block) string) []block {
	at := map[string]int{}
	var joined []block
	for _, b := range all {
		k := by(b)
		i, known := at[k]
		if !known {
			at[k] = len(joined)
			joined = append(joined, b)
			continue
		}
		joined[i].actions = append(joined[i].actions, b.actions...)
		joined[i].resources = append(joined[i].resources, b.resources...)
	}
	for i := range joined {
		joined[i].actions = leastCover(joined[i].actions, CoversAction)
		joined[i].resources = leastCover(joined[i].resources, CoversResource)
	}
	return joined
}

// leastCover drops what another value covers, and sorts.
func leastCover(values []string, covers func(wide, narrow string) bool) []string {
	slices.SortFunc(values, func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a), strings.ToLower(b)), cmp.Compare(a, b))
	})
	var kept []string
	for i, v := range values {
		if !slices.ContainsFunc(kept, func(k string) bool { return covers(k, v) }) &&
			!slices.ContainsFunc(values[i+1:], func(later string) bool { return covers(later, v) && !covers(v, later) }) {
			kept = append(kept, v)
		}
	}
	return kept
}

// dropCovered takes away the actions that another block allows on all the resources, under the same conditions or none.
func dropCovered(all []block) []block {
	for i := range all {
		b := &all[i]
		for j, other := range all {
			if i == j || other.condition != "" && other.condition != b.condition || !coversEach(other.resources, b.resources) {
				continue
			}
			b.actions = slices.DeleteFunc(b.actions, func(action string) bool {
				return slices.ContainsFunc(other.actions, func(a string) bool { return CoversAction(a, action) })
			})
		}
	}
	return slices.DeleteFunc(all, func(b block) bool { return len(b.actions) == 0 })
}

func coversEach(wide, narrow []string) bool {
	for _, n := range narrow {
		if !slices.ContainsFunc(wide, func(w string) bool { return CoversResource(w, n) }) {
			return false
		}
	}
	return true
}

func distinct(statements []iam.Statement) []iam.Statement {
	seen := map[string]bool{}
	var kept []iam.Statement
	for _, s := range statements {
		s.SID = ""
		text := string(compact([]iam.Statement{s}))
		if !seen[text] {
			seen[text] = true
			kept = append(kept, s)
		}
	}
	return kept
}

func compact(statements []iam.Statement) []byte {
	text, _ := (&iam.Document{Version: version, Statements: statements}).MarshalJSON() // has no error
	return text
}

// CoversAction says whether every action that the pattern narrow matches is matched by wide. Where that depends on more
// than the two texts it says no.
func CoversAction(wide, narrow string) bool {
	if wide == "*" || strings.EqualFold(wide, narrow) {
		return true
	}
	if !strings.ContainsAny(wide, "*?") {
		return false
	}
	wide, narrow = strings.ToLower(wide), strings.ToLower(narrow)
	wideService, wideName, ok1 := strings.Cut(wide, ":")
	narrowService, narrowName, ok2 := strings.Cut(narrow, ":")
	return ok1 && ok2 && covers(wideService, narrowService) && covers(wideName, narrowName)
}

// CoversResource says whether every ARN that the pattern narrow matches is matched by wide. Where that depends on more
// than the two texts, such as the value of a policy variable, it says no.
func CoversResource(wide, narrow string) bool {
	if wide == "*" || wide == narrow {
		return true
	}
	start := literal(wide)
	if start == wide || !strings.HasPrefix(narrow, start) || strings.Contains(wide, "${") || strings.Contains(narrow, "${") {
		return false
	}
	w, n := strings.SplitN(wide, ":", arnSegments), strings.SplitN(narrow, ":", arnSegments)
	if len(w) != arnSegments || len(n) != arnSegments {
		return false // what a short pattern means depends on the kind of policy
	}
	for i := range w {
		if !covers(w[i], n[i]) {
			return false
		}
	}
	return true
}

// arnSegments is how many parts an ARN has between colons; the last may hold more colons.
const arnSegments = 6

// covers says whether the pattern wide matches all that narrow matches: narrow is matched as a text in which only a star
// of wide can stand for a star, and only a star or a question mark for a question mark.
func covers(wide, narrow string) bool {
	if wide != "*" && wide != narrow && (!ascii(wide) || !ascii(narrow)) {
		return false // a question mark is a character, what is compared here are bytes
	}
	w, n, star, from := 0, 0, -1, 0
	for n < len(narrow) {
		switch {
		case w < len(wide) && wide[w] == '*':
			star, from = w, n
			w++
		case w < len(wide) && narrow[n] != '*' && (wide[w] == narrow[n] || wide[w] == '?'):
			w++
			n++
		case star >= 0:
			from++
			w, n = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(wide[w:], "*") == ""
}

func ascii(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r > unicode.MaxASCII }) < 0
}

// overlapping says whether some ARN may be matched by both patterns. In doubt it says yes.
func overlapping(a, b string) bool {
	if strings.Contains(a, "${") || strings.Contains(b, "${") {
		return true
	}
	x, y := literal(a), literal(b)
	return (strings.HasPrefix(x, y) || strings.HasPrefix(y, x)) && iam.OverlapResource(a, b)
}

// literal is a pattern up to its first wildcard.
func literal(pattern string) string {
	if i := strings.IndexAny(pattern, "*?"); i >= 0 {
		return pattern[:i]
	}
	return pattern
}
