package store

import (
	"context"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/firstgen"
)

// firstGenTable is where the texts of a kind lie.
func firstGenTable(kind firstgen.Kind) string {
	if kind == firstgen.Secret {
		return "firstgen_secrets"
	}
	return "firstgen_providers"
}

// SaveFirstGen keeps a text beside the connector or secret of its identifier, in place of the one before. It goes with
// that entity, and fails with NotFound when there is none.
func (s *Store) SaveFirstGen(ctx context.Context, kind firstgen.Kind, account string, t firstgen.Text) (err error) {
	defer fault.Wrap(&err, "keep the FirstGen text of %q", t.ID)
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		table, of := firstGenTable(kind), map[bool]string{true: "secrets", false: "connectors"}[kind == firstgen.Secret]
		n, err := tx.exec(ctx, `
			INSERT INTO `+table+` (account, org, project, id, text, revision)
			SELECT account, org, project, id, $3, $4 FROM `+of+` WHERE account = $1 AND org = '' AND project = '' AND id = $2
			ON CONFLICT (account, org, project, id) DO UPDATE SET text = $3, revision = $4`, account, t.ID, t.Text, t.Revision)
		return changed(n, err, "%q is gone; its FirstGen text is not kept", t.ID)
	})
}

// FirstGen are all texts of a kind by identifier.
func (s *Store) FirstGen(ctx context.Context, kind firstgen.Kind, account string) (_ map[string]firstgen.Text, err error) {
	defer fault.Wrap(&err, "list FirstGen texts")
	texts := map[string]firstgen.Text{}
	err = s.reads.each(ctx, `SELECT id, text, revision FROM `+firstGenTable(kind)+` WHERE account = $1`, []any{account}, func(row scanner) error {
		var t firstgen.Text
		err := row.Scan(&t.ID, &t.Text, &t.Revision)
		texts[t.ID] = t
		return err
	})
	return texts, err
}
