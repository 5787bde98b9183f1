package web

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"github.com/belay-dev/belay/internal/fault"
)

// sheet is a form that is being filled in: what stands in its fields, and what is wrong with them.
type sheet struct {
	Values  map[string]string
	Errors  map[string]string // by field
	Summary []problem
}

// problem is what is wrong with a field of a form, or with the whole when Field is "". Label is how a list of problems calls
// the field.
type problem struct{ Field, Label, Text string }

// sheetOf reads the fields of a form that was sent.
func sheetOf(r *http.Request, fields ...string) (sheet, error) {
	if err := r.ParseForm(); err != nil {
		return sheet{}, badForm(err)
	}
	f := sheet{Values: map[string]string{}}
	for _, name := range fields {
		f.Values[name] = cut(strings.TrimSpace(r.PostForm.Get(name)), longestField)
	}
	return f, nil
}

// Value is what stands in a field.
func (f sheet) Value(name string) string { return f.Values[name] }

// wrong notes what is wrong with a field, or with the whole when field is "".
func (f *sheet) wrong(field, text string) {
	if f.Errors == nil {
		f.Errors = map[string]string{}
	}
	if field != "" {
		f.Errors[field] = strings.TrimSpace(f.Errors[field] + " " + text)
	}
	f.Summary = append(f.Summary, problem{field, kindName(field), text})
}

// refused puts what a service refused beside the fields; taken is the field that an identifier in use belongs to. What the
// one who typed cannot mend is given back.
func (f *sheet) refused(err error, taken string) (int, error) {
	status, _ := statusOf(err)
	if status != http.StatusBadRequest && status != http.StatusConflict {
		return 0, err
	}
	problems, ok := errors.AsType[fault.Problems](err)
	if !ok {
		if status != http.StatusConflict {
			taken = ""
		}
		f.wrong(taken, sentence(fault.Sentence(err)))
		return status, nil
	}
	for _, p := range problems {
		field := p.Path[strings.LastIndexByte(p.Path, '.')+1:]
		if name, asked := f.Values["name"]; field == "identifier" && f.Values[field] == "" && asked && name == "" {
			continue // it is made from the name, which is asked for
		}
		if _, known := f.Values[field]; known {
			f.wrong(field, sentence(p.Message))
		} else {
			f.wrong("", sentence(p.Path+": "+p.Message))
		}
	}
	return status, nil
}

// described are the attributes that tie a field to its help, or to what is wrong with it. The first wrong one has the focus,
// and the one named first when nothing is wrong yet.
func (f sheet) described(name, first string) templ.Attributes {
	if f.Errors[name] == "" {
		return tied(name, false, len(f.Summary) == 0 && name == first)
	}
	is := func(p problem) bool { return p.Field == name }
	return tied(name, true, slices.IndexFunc(f.Summary, func(p problem) bool { return p.Field != "" }) == slices.IndexFunc(f.Summary, is))
}

// tied are the attributes that tie a field to its help, whose id is NAME-h, or to what is wrong with it, NAME-e.
func tied(name string, wrong, focus bool) templ.Attributes {
	if wrong {
		return templ.Attributes{"aria-describedby": name + "-e", "aria-invalid": "true", "autofocus": focus}
	}
	return templ.Attributes{"aria-describedby": name + "-h", "autofocus": focus}
}

// pair is one choice of a field: its value and its words.
type pair struct{ Value, Words string }

// parent is one step of the way to a page.
type parent struct{ Name, To string }
