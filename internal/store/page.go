package store

import "context"

// listing is what a page is cut from.
type listing struct {
	table   string
	columns string
	search  string // what exact matches are measured by, empty for none
	order   string // columns that make an order without ties
	offset  int
	limit   int // 0 is none
	// uncounted leaves the count of all rows out, which costs as much as the page.
	uncounted bool
}

// page counts the rows that the conditions leave and reads those of one page.
func page[T any](ctx context.Context, s *session, w *where, l listing, scan func(scanner) (T, error)) ([]T, int, error) {
	var total int
	if !l.uncounted {
		if err := s.row(ctx, `SELECT count(*) FROM `+l.table+w.text(), w.args...).Scan(&total); err != nil {
			return nil, 0, err
		}
		if l.offset >= total {
			return nil, total, nil
		}
	}
	text := `SELECT ` + l.columns + ` FROM ` + l.table + w.text() + ` ORDER BY ` + w.matches(l.search) + l.order
	text += w.page(l.offset, l.limit)
	list, err := all(ctx, s, scan, text, w.args...)
	return list, total, err
}
