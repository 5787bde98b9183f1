package store

import "context"

// Texts are the statements that were compiled so far, those of the writer and those of the readers.
func (s *Store) Texts() []string {
	var texts []string
	for _, statements := range []*statements{s.reads.prepared, s.writer.(*committer).tx.prepared} {
		statements.mu.Lock()
		for text := range statements.byText {
			texts = append(texts, text)
		}
		statements.mu.Unlock()
	}
	return texts
}

// Plan is how SQLite goes about a statement, a line for each step.
func (s *Store) Plan(ctx context.Context, text string) ([]string, error) {
	args := make([]any, 30) // SQLite takes what it needs
	for i := range args {
		args[i] = ""
	}
	var steps []string
	err := s.reads.each(ctx, `EXPLAIN QUERY PLAN `+text, args, func(row scanner) error {
		var id, parent, unused int
		var step string
		err := row.Scan(&id, &parent, &unused, &step)
		steps = append(steps, step)
		return err
	})
	return steps, err
}

// Forgetful is the same database, read anew each time.
func (s *Store) Forgetful() *Store { return &Store{reads: s.reads, writer: s.writer} }
