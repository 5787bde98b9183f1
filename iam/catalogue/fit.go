package catalogue

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/belay-dev/belay/iam"
)

// size is the length of a document as IAM counts it: in characters, without white space.
func size(d *iam.Document) int {
	text, _ := d.MarshalJSON() // has no error
	n := 0
	for _, c := range string(text) {
		if !unicode.IsSpace(c) {
			n++
		}
	}
	return n
}

// fit arranges statements in documents. If there would be more managed policies than can be attached, AWS-managed ones
// are written out, the smallest first, until there are not.
func (r *Result) fit(own []iam.Statement, w *narrower) error {
	var expanded []string
	for {
		documents, err := r.arrange(Merge(own))
		if err != nil {
			return err
		}
		attached := len(r.Attachments)
		if !r.Placement.Inline {
			attached += len(documents)
		}
		if attached <= r.Placement.MaxAttached {
			r.Documents = documents
			break
		}
		if len(r.Attachments) == 0 {
			return &FitError{
				Quota: fmt.Sprintf("managed policies on one %s", r.Placement.To), Limit: r.Placement.MaxAttached, Need: attached,
				Advice: "name fewer capabilities, narrow them less finely, or ask AWS for a higher quota and give it",
			}
		}
		i, err := r.smallest()
		if err != nil {
			return err
		}
		expanded = append(expanded, r.Attachments[i].Name)
		if own, err = r.expand(i, own, w); err != nil {
			return err
		}
	}
	if len(expanded) > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("More than %d managed policies would be attached. The statements of %s are therefore written out; AWS no longer keeps them up to date.",
			r.Placement.MaxAttached, strings.Join(expanded, ", ")))
	}
	return nil
}

// smallest is the attachment that takes the least room when it is written out.
func (r *Result) smallest() (int, error) {
	best, least := 0, 0
	for i, a := range r.Attachments {
		d, err := policy(a.Name).Current()
		if err != nil {
			return 0, err
		}
		if n := size(d); i == 0 || n < least {
			best, least = i, n
		}
	}
	return best, nil
}

// arrange spreads statements over documents.
func (r *Result) arrange(statements []iam.Statement) ([]Document, error) {
	if len(statements) == 0 {
		return []Document{}, nil
	}
	if !r.Placement.Inline {
		bins, err := pack(statements, MaxManaged)
		if err != nil {
			return nil, err
		}
		documents := make([]Document, len(bins))
		for i, b := range bins {
			documents[i] = newDocument(r.Placement.Name, i, b)
		}
		return documents, nil
	}
	limit := map[Entity]int{Role: MaxInlineRole, User: MaxInlineUser, Group: MaxInlineGroup}[r.Placement.To]
	d := newDocument(r.Placement.Name, 0, statements)
	if d.Size > limit {
		return nil, &FitError{
			Quota: fmt.Sprintf("characters in all inline policies of one %s", r.Placement.To), Limit: limit, Need: d.Size,
			Advice: "use managed policies instead of an inline one, or name fewer capabilities",
		}
	}
	return []Document{d}, nil
}

func newDocument(name string, i int, statements []iam.Statement) Document {
	if i > 0 {
		name = fmt.Sprintf("%s-%d", name, i+1)
	}
	d := &iam.Document{Version: version, Statements: statements}
	return Document{Name: name, Size: size(d), Document: d}
}

// pack puts statements into as few documents of at most limit characters as first fit, the largest first, finds. A
// statement that is larger than a document is cut.
func pack(statements []iam.Statement, limit int) ([][]iam.Statement, error) {
	type piece struct {
		order, size int
		iam.Statement
	}
	frame := len(compact(nil))
	var pieces []piece
	for _, s := range statements {
		cut, err := cutToFit(s, limit-frame)
		if err != nil {
			return nil, err
		}
		for _, c := range cut {
			pieces = append(pieces, piece{len(pieces), length(c), c})
		}
	}
	slices.SortStableFunc(pieces, func(a, b piece) int { return cmp.Compare(b.size, a.size) })
	var bins [][]piece
	var free []int
	for _, p := range pieces {
		i := slices.IndexFunc(free, func(room int) bool { return room >= p.size+1 }) // and a comma
		if i < 0 {
			i = len(bins)
			bins, free = append(bins, nil), append(free, limit-frame+1) // the first has no comma
		}
		bins[i] = append(bins[i], p)
		free[i] -= p.size + 1
	}
	out := make([][]iam.Statement, len(bins))
	for i, b := range bins {
		slices.SortFunc(b, func(x, y piece) int { return cmp.Compare(x.order, y.order) })
		for _, p := range b {
			out[i] = append(out[i], p.Statement)
		}
	}
	return out, nil
}

// length is how many characters a statement adds to a document.
func length(s iam.Statement) int {
	return size(&iam.Document{Version: version, Statements: []iam.Statement{s}}) - len(compact(nil))
}

// cutToFit halves the longer of a statement's lists until each part fits. Statements whose lists cannot be joined cannot
// be cut either.
func cutToFit(s iam.Statement, room int) ([]iam.Statement, error) {
	n := length(s)
	if n <= room {
		return []iam.Statement{s}, nil
	}
	a, b := s, s
	actions, resources := len(strings.Join(s.Action.Values, "")), len(strings.Join(s.Resource.Values, ""))
	switch {
	case joinable(s) && len(s.Action.Values) > 1 && (actions >= resources || len(s.Resource.Values) < 2):
		half := len(s.Action.Values) / 2
		a.Action.Values, b.Action.Values = s.Action.Values[:half], s.Action.Values[half:]
	case joinable(s) && len(s.Resource.Values) > 1:
		half := len(s.Resource.Values) / 2
		a.Resource.Values, b.Resource.Values = s.Resource.Values[:half], s.Resource.Values[half:]
	default:
		return nil, &FitError{
			Quota: "characters of a statement that cannot be cut", Limit: room, Need: n,
			Advice: "name fewer capabilities",
		}
	}
	first, err := cutToFit(a, room)
	if err != nil {
		return nil, err
	}
	second, err := cutToFit(b, room)
	return append(first, second...), err
}
