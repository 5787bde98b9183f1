package store

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// mostListed bounds the identifiers that one listing may name.
const mostListed = 1000

// mostSearched is the longest term of a search, in bytes; SQLite refuses patterns that are much longer. Nothing that can
// be searched through has a longer one.
const mostSearched = 16 << 10

// where puts the conditions of a listing together. All of them must hold.
type where struct {
	conditions []string
	args       []any
}

// arg adds a value and gives its ordinal.
func (w *where) arg(v any) string {
	w.args = append(w.args, v)
	return "$" + strconv.Itoa(len(w.args))
}

func (w *where) and(condition string) { w.conditions = append(w.conditions, condition) }

func (w *where) equal(column, value string) { w.and(column + " = " + w.arg(value)) }

// in holds when the column is one of the values; no values do not narrow.
func (w *where) in(column string, values []string) {
	if len(values) == 0 {
		return
	}
	ordinals := make([]string, 0, len(values))
	for _, v := range slices.Compact(slices.Sorted(slices.Values(values))) {
		ordinals = append(ordinals, w.arg(v))
	}
	w.and(column + " IN (" + strings.Join(ordinals, ", ") + ")")
}

// contains holds when what is searched through has the term somewhere, in upper or lower case.
func (w *where) contains(term string) {
	switch {
	case term == "":
	case len(term) > mostSearched:
		w.and("1 = 0")
	default:
		w.and(`search LIKE ` + w.arg("%"+escapeLike(strings.ToLower(term))+"%") + ` ESCAPE '\'`)
	}
}

// at holds in one scope.
func (w *where) at(s scope.Scope) {
	w.equal("account", s.Account)
	w.equal("org", s.Org)
	w.equal("project", s.Project)
}

// inside holds in a scope and in all that lies inside it.
func (w *where) inside(s scope.Scope) {
	w.equal("account", s.Account)
	if s.Org != "" {
		w.equal("org", s.Org)
	}
	if s.Project != "" {
		w.equal("project", s.Project)
	}
}

// around holds in a scope and in the wider ones that it can use.
func (w *where) around(s scope.Scope, inside bool) {
	w.equal("account", s.Account)
	switch s.Level() {
	case scope.Account:
		if !inside {
			w.and("org = '' AND project = ''")
		}
	case scope.Organization:
		org := w.arg(s.Org)
		if inside {
			w.and("(org = '' OR org = " + org + ")")
			return
		}
		w.and("(org = '' OR org = " + org + ") AND project = ''")
	case scope.Project:
		org, project := w.arg(s.Org), w.arg(s.Project)
		w.and("(org = '' AND project = '' OR org = " + org + " AND (project = '' OR project = " + project + "))")
	}
}

func (w *where) text() string { return " WHERE " + strings.Join(w.conditions, " AND ") }

// page is the end of a listing's text. A limit of 0 is none.
func (w *where) page(offset, limit int) string {
	const endless = math.MaxInt32
	if limit <= 0 {
		limit = endless
	}
	return " LIMIT " + w.arg(int64(limit)) + " OFFSET " + w.arg(int64(max(offset, 0)))
}

// matches puts exact names first, then exact identifiers, then names that differ in case only. It is "" without a search.
func (w *where) matches(search string) string {
	if search == "" {
		return ""
	}
	exact := w.arg(search)
	return "CASE WHEN name = " + exact + " THEN 0 WHEN id = " + exact + " THEN 1 WHEN name_lower = " + w.arg(strings.ToLower(search)) + " THEN 2 ELSE 3 END, "
}

// tagged holds when the column tags, JSON of texts, has all of them. What is looked for is cut from JSON with its quotes,
// which a text inside of it cannot have.
func (w *where) tagged(tags map[string]string) {
	for _, tag := range sortedKeys(tags) {
		one := encoded(map[string]string{tag: tags[tag]})
		w.and("REPLACE(tags, " + w.arg(one[1:len(one)-1]) + ", '') <> tags")
	}
}

// few refuses lists that are too long for one statement.
func few(lists ...[]string) error {
	for _, l := range lists {
		if len(l) > mostListed {
			return fault.New(fault.Invalid, "%d are asked for by name; ask for at most %d at once", len(l), mostListed)
		}
	}
	return nil
}

// escapeLike makes a term mean itself in LIKE … ESCAPE '\'.
func escapeLike(term string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(term)
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// folded is a condition: the column has the term somewhere, in upper or lower case as far as the engine knows them.
func (w *where) folded(column, term string) string {
	if len(term) > mostSearched {
		return "1 = 0"
	}
	return `LOWER(` + column + `) LIKE LOWER(` + w.arg("%"+escapeLike(term)+"%") + `) ESCAPE '\'`
}

// each is a list with one text for every element.
func each[T any](list []T, text func(T) string) []string {
	texts := make([]string, 0, len(list))
	for _, one := range list {
		texts = append(texts, text(one))
	}
	return texts
}
