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
		plain = joinResources(joinActions(plain))
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

// joinActions makes one block of all that have the same resources under the same condition.
func joinActions(all []block) []block {
	joined := group(all, func(b block) string { return key(b.resources, false) }, func(into *block, b block) {
		into.actions = append(into.actions, b.actions...)
	})
	for i := range joined {
		joined[i].actions = leastCover(joined[i].actions, CoversAction)
	}
	return joined
}

// joinResources makes one block of all that have the same actions under the same condition.
func joinResources(all []block) []block {
	joined := group(all, func(b block) string { return key(b.actions, true) }, func(into *block, b block) {
		into.resources = append(into.resources, b.resources...)
	})
	for i := range joined {
		joined[i].resources = leastCover(joined[i].resources, CoversResource)
	}
	return joined
}

// group makes one block of all with the same key and the same condition.
func group(all []block, by func(block) string, join func(into *block, b block)) []block {
	at := map[string]int{}
	var joined []block
	for _, b := range all {
		k := b.condition + "\x00" + by(b)
		if i, known := at[k]; known {
			join(&joined[i], b)
			continue
		}
		at[k] = len(joined)
		joined = append(joined, b)
	}
	return joined
}

// leastCover drops what another value covers, and sorts.
func leastCover(values []string, covers func(wide, narrow string) bool) []string {
	slices.SortFunc(values, func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a), strings.ToLower(b)), cmp.Compare(a, b))
	})
	values = slices.Compact(values)
	wide := slices.DeleteFunc(slices.Clone(values), func(v string) bool { return literal(v) == v }) // only these cover another
	var kept []string
	for _, v := range values {
		if len(kept) > 0 && covers(kept[len(kept)-1], v) { // such as the same in other letters
			continue
		}
		if !slices.ContainsFunc(wide, func(w string) bool { return covers(w, v) && (!covers(v, w) || w < v) }) {
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
	for range arnSegments - 1 {
		w, wideRest, ok1 := strings.Cut(wide, ":")
		n, narrowRest, ok2 := strings.Cut(narrow, ":")
		if !ok1 || !ok2 { // what a short pattern means depends on the kind of policy
			return false
		}
		if !covers(w, n) {
			return false
		}
		wide, narrow = wideRest, narrowRest
	}
	return covers(wide, narrow)
}

// arnSegments is how many parts an ARN has between colons; the last may hold more colons.
const arnSegments = 6

// covers says whether the pattern wide matches all that narrow matches: narrow is matched as a text in which only a star
// of wide can stand for a star, and only a star or a question mark for a question mark.
func covers(wide, narrow string) bool {
	if wide == narrow {
		return true
	}
	if wide != "*" && (!ascii(wide) || !ascii(narrow)) {
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
	for i := range len(text) {
		if text[i] > unicode.MaxASCII {
			return false
		}
	}
	return true
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
