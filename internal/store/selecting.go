package store

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
)

// mostForms is the most spellings of tags that the database looks for; with more, all connectors are looked at one by one.
const mostForms = 24

// errEnough ends a reading that has what it wants.
var errEnough = errors.New("enough rows were read")

// ConnectorsSelecting are the connectors that a delegate with some tags may work for, by name, and whether there are more
// than limit. The database leaves out those whose selectors, in the text of the spec, hold another tag; what is left is
// looked at one by one. Of letters beyond ASCII, SQLite knows no other case than those of the tag itself, its lower and its upper one.
func (s *Store) ConnectorsSelecting(ctx context.Context, sel connector.Selection, limit int) (_ []connector.Stored, more bool, err error) {
	defer fault.Wrap(&err, "list the connectors of a delegate")
	in := sel.Within
	if in.Contains(sel.Serves) {
		in = sel.Serves
	}
	if !sel.Serves.Contains(in) {
		return nil, false, nil
	}
	has := map[string]bool{}
	var forms []string
	for _, tag := range sel.Tags {
		has[strings.ToLower(tag)] = true
		for _, form := range []string{tag, strings.ToLower(tag), strings.ToUpper(tag)} {
			forms = append(forms, asciiLower(encoded(form)))
		}
	}
	slices.Sort(forms)
	var w where
	w.inside(in)
	w.equal("type", connector.TypeAWS)
	if forms = slices.Compact(forms); len(forms) <= mostForms {
		// A list is empty once the tags that the delegate has, with the comma or the bracket behind each, are taken out.
		text := "LOWER(spec)"
		for _, form := range forms {
			text = "REPLACE(" + text + ", " + w.arg(form+",") + ", '')"
			text = "REPLACE(" + text + ", " + w.arg(form+"]") + ", ']')"
		}
		w.and(`(spec LIKE ` + w.arg(`%"selectors":null%`) + ` OR ` + text + ` LIKE ` + w.arg(`%"selectors":[]%`) + `)`)
	}
	var keys []key
	err = s.reads.each(ctx, `SELECT account, org, project, id, spec FROM connectors`+w.text()+` ORDER BY name_lower, id, org, project`, w.args, func(row scanner) error {
		var k key
		var spec string
		if err := row.Scan(&k.at.Account, &k.at.Org, &k.at.Project, &k.id, &spec); err != nil {
			return err
		}
		var kept connectorSpec
		if err := decoded(spec, &kept); err != nil {
			return err
		}
		var c connector.Connector
		if err := kept.into(&c); err != nil || !c.OnDelegate() {
			return err
		}
		for _, one := range c.Selectors {
			if !has[strings.ToLower(one)] {
				return nil
			}
		}
		if len(keys) == limit {
			more = true
			return errEnough
		}
		keys = append(keys, k)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, false, err
	}
	list, err := s.stored(ctx, keys)
	return list, more, err
}

// asciiLower is a text as SQLite's LOWER makes it.
func asciiLower(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, text)
}
