package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
)

// Connectors lists a page and counts all pages. A limit of 0 is none. Where a search is given, exact names come first, then
// exact identifiers, then the order that was asked for; identifier and scope settle what is equal.
func (s *Store) Connectors(ctx context.Context, f connector.Filter) (_ []connector.Stored, total int, err error) {
	defer fault.Wrap(&err, "list connectors")
	w, err := connectorsWhere(f)
	if err != nil {
		return nil, 0, err
	}
	l := listing{
		table: "connectors", columns: `account, org, project, id`, search: f.Search, order: connectorOrder(f), offset: f.Offset, limit: f.Limit,
		uncounted: f.Uncounted,
	}
	read := func() (p keyPage, err error) {
		p.keys, p.total, err = page(ctx, s.reads, &w, l, scanKeyOf)
		return p, err
	}
	var p keyPage
	if lasting(f) {
		p, err = s.pages.recall(fmt.Sprintf("%q %q %v", w.conditions, w.args, l), read)
	} else {
		p, err = read()
	}
	if err != nil {
		return nil, 0, err
	}
	list, err := s.stored(ctx, p.keys)
	return list, p.total, err
}

// TallyConnectors counts those that a filter leaves by status, in one reading.
func (s *Store) TallyConnectors(ctx context.Context, f connector.Filter) (_ map[connector.Status]int, err error) {
	defer fault.Wrap(&err, "count connectors")
	w, err := connectorsWhere(f)
	if err != nil {
		return nil, err
	}
	if slices.Equal(f.Types, []string{connector.TypeAWS}) {
		w.and(isAWS) // says nothing new, but has an index
	}
	tally := map[connector.Status]int{}
	err = s.reads.each(ctx, `SELECT status, count(*) FROM connectors`+w.text()+` GROUP BY status`, w.args, func(row scanner) error {
		var status string
		var n int
		err := row.Scan(&status, &n)
		tally[connector.Status(status)] += n
		return err
	})
	return tally, err
}

// connectorsWhere is what a filter asks of a row.
func connectorsWhere(f connector.Filter) (w where, err error) {
	statuses := each(f.Statuses, func(status connector.Status) string { return string(status) })
	if err := few(f.IDs, f.Names, f.Keys, f.Types, statuses, sortedKeys(f.Tags)); err != nil {
		return where{}, err
	}
	switch {
	case f.Wider:
		w.around(f.Scope, f.SubScopes)
	case f.SubScopes:
		w.inside(f.Scope)
	default:
		w.at(f.Scope)
	}
	w.in("id", f.IDs)
	w.in("name", f.Names)
	w.in("name_lower", each(f.Names, strings.ToLower)) // says nothing new, but has an index
	w.in("status", statuses)
	w.in("type", f.Types)
	if f.Reaches != "" {
		w.equal("reaches", f.Reaches)
	}
	if len(f.Keys) > 0 {
		w.keys(f.Scope.Account, f.Keys)
	}
	w.contains(f.Search)
	if f.Description != "" {
		w.and(w.folded("description", f.Description))
	}
	if f.Inheriting != nil {
		w.and("inheriting = " + w.arg(*f.Inheriting))
	}
	for _, tag := range sortedKeys(f.Tags) {
		w.and(`(org, project, id) IN (SELECT org, project, connector FROM connector_tags
			WHERE account = ` + w.arg(f.Scope.Account) + ` AND tag = ` + w.arg(tag) + ` AND value = ` + w.arg(f.Tags[tag]) + `)`)
	}
	return w, nil
}

func connectorOrder(f connector.Filter) string {
	direction := ""
	if f.Descending {
		direction = " DESC"
	}
	column := "name_lower"
	switch f.Sort {
	case connector.ByUpdated:
		column = "updated_at"
	case connector.ByCreated:
		column = "created_at"
	case connector.ByActivity:
		column = "last_activity"
	case connector.ByName:
	}
	return column + direction + ", id" + direction + ", org" + direction + ", project" + direction
}

// keys holds for the connectors of the account that the paths name; a path that is none names nothing.
func (w *where) keys(account string, paths []string) {
	var rows []string
	for _, path := range paths {
		parts := strings.Split(path, "/")
		if len(parts) == 4 && parts[0] == account {
			rows = append(rows, "("+w.arg(parts[1])+", "+w.arg(parts[2])+", "+w.arg(parts[3])+")")
		}
	}
	if len(rows) == 0 {
		w.and("1 = 0")
		return
	}
	w.and("(org, project, id) IN (VALUES " + strings.Join(rows, ", ") + ")")
}

// stored reads connectors by key, in the order of the keys. Sorting whole rows would cost more than reading those of one
// page a second time. One that was deleted in between is left out.
func (s *Store) stored(ctx context.Context, keys []key) ([]connector.Stored, error) {
	found, turn := s.connectors.known(keys)
	var missing []key
	for _, k := range keys {
		if _, ok := found[k]; !ok {
			missing = append(missing, k)
		}
	}
	for chunk := range slices.Chunk(missing, atOnce) {
		var w where
		account := w.arg(chunk[0].at.Account)
		rows := make([]string, 0, len(chunk))
		for _, k := range chunk {
			rows = append(rows, "("+w.arg(k.at.Org)+", "+w.arg(k.at.Project)+", "+w.arg(k.id)+")")
		}
		err := s.reads.each(ctx, `SELECT `+storedColumns+fromStored+` WHERE c.account = `+account+`
			AND (c.org, c.project, c.id) IN (VALUES `+strings.Join(rows, ", ")+`)`, w.args, func(row scanner) error {
			c, err := scanStored(row)
			if err == nil {
				found[key{c.Scope, c.ID}] = &c
				s.connectors.keep(key{c.Scope, c.ID}, &c, turn)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	list := make([]connector.Stored, 0, len(keys))
	for _, k := range keys {
		if c, ok := found[k]; ok {
			list = append(list, own(c))
		}
	}
	return list, nil
}
