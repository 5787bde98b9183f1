package store

import (
	"context"
	"strings"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/infra"
	"github.com/belay-dev/belay/internal/scope"
)

const (
	definitionColumns = `account, org, project, kind, environment, id, name, description, tags, color, type, deployment, yaml, created_at, updated_at`
	oneDefinition     = ` WHERE account = $1 AND org = $2 AND project = $3 AND kind = $4 AND environment = $5 AND id = $6`
	noDefinition      = "%s %q does not exist at %s"
)

func scanDefinition(row scanner) (d infra.Definition, err error) {
	var tags string
	var created, updated int64
	err = row.Scan(&d.Scope.Account, &d.Scope.Org, &d.Scope.Project, &d.Kind, &d.Environment, &d.ID, &d.Name, &d.Description, &tags,
		&d.Color, &d.Type, &d.Deployment, &d.YAML, &created, &updated)
	if err != nil {
		return d, err
	}
	d.CreatedAt, d.UpdatedAt = moment(created), moment(updated)
	err = decoded(tags, &d.Tags)
	return d, err
}

func definitionKey(d infra.Definition) []any {
	return []any{d.Scope.Account, d.Scope.Org, d.Scope.Project, string(d.Kind), d.Environment, d.ID}
}

func definitionArgs(d infra.Definition) []any {
	return append(definitionKey(d), d.Name, strings.ToLower(d.Name), searchable(d.Tags, d.Name, d.ID, d.Description), d.Description,
		encoded(d.Tags), d.Color, d.Type, d.Deployment, d.YAML, micros(d.CreatedAt), micros(d.UpdatedAt))
}

// CreateDefinition adds a service, an environment or an infrastructure definition. It fails with Conflict when its
// identifier is taken in its scope and environment.
func (s *Store) CreateDefinition(ctx context.Context, d infra.Definition) (err error) {
	defer fault.Wrap(&err, "create %s %q", d.Kind, d.ID)
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		if err := inside(ctx, tx, d.Scope); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `
			INSERT INTO definitions (account, org, project, kind, environment, id, name, name_lower, search, description, tags, color, type,
				deployment, yaml, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`, definitionArgs(d)...)
		return taken(err, "%s with the identifier %q exists already at %s; choose another identifier", a(string(d.Kind)), d.ID, d.Scope)
	})
}

// a is a word with its article.
func a(word string) string {
	if strings.ContainsAny(word[:1], "aeiou") {
		return "an " + word
	}
	return "a " + word
}

// UpdateDefinition changes a definition in one transaction. What names it stays.
func (s *Store) UpdateDefinition(ctx context.Context, key infra.Definition, change func(infra.Definition) (infra.Definition, error)) (d infra.Definition, err error) {
	defer fault.Wrap(&err, "update %s %q", key.Kind, key.ID)
	err = s.write(ctx, func(ctx context.Context, tx *session) error {
		old, err := scanDefinition(tx.row(ctx, `UPDATE definitions SET id = id`+oneDefinition+` RETURNING `+definitionColumns, definitionKey(key)...))
		if err != nil {
			return found(err, noDefinition, key.Kind, key.ID, key.Scope)
		}
		if d, err = change(old); err != nil {
			return err
		}
		d.Kind, d.Scope, d.Environment, d.ID = old.Kind, old.Scope, old.Environment, old.ID
		_, err = tx.exec(ctx, `
			UPDATE definitions SET name = $7, name_lower = $8, search = $9, description = $10, tags = $11, color = $12, type = $13,
				deployment = $14, yaml = $15, created_at = $16, updated_at = $17`+oneDefinition, definitionArgs(d)...)
		return err
	})
	if err != nil {
		return infra.Definition{}, err
	}
	return d, nil
}

// Definition reads one.
func (s *Store) Definition(ctx context.Context, key infra.Definition) (_ infra.Definition, err error) {
	defer fault.Wrap(&err, "read %s %q", key.Kind, key.ID)
	d, err := scanDefinition(s.reads.row(ctx, `SELECT `+definitionColumns+` FROM definitions`+oneDefinition, definitionKey(key)...))
	return d, found(err, noDefinition, key.Kind, key.ID, key.Scope)
}

// Definitions lists a page, exact names first, and counts all pages. A limit of 0 is none.
func (s *Store) Definitions(ctx context.Context, f infra.Filter) (_ []infra.Definition, total int, err error) {
	defer fault.Wrap(&err, "list definitions")
	if err := few(f.IDs); err != nil {
		return nil, 0, err
	}
	var w where
	w.at(f.Scope)
	w.equal("kind", string(f.Kind))
	if f.Environment != "" {
		w.equal("environment", f.Environment)
	}
	if f.Deployment != "" {
		w.equal("deployment", f.Deployment)
	}
	w.in("id", f.IDs)
	w.contains(f.Search)
	direction := ""
	if f.Descending {
		direction = " DESC"
	}
	column := "name_lower"
	switch f.Sort {
	case infra.ByID:
		column = "id"
	case infra.ByUpdated:
		column = "updated_at"
	case infra.ByCreated:
		column = "created_at"
	case infra.ByName:
	}
	return page(ctx, s.reads, &w, listing{
		table: "definitions", columns: definitionColumns, search: f.Search,
		order: column + direction + ", id" + direction + ", environment" + direction, offset: f.Offset, limit: f.Limit,
	}, scanDefinition)
}

// DefinitionsWith lists those in a scope and inside it whose documents hold a text somewhere. A limit of 0 is none.
func (s *Store) DefinitionsWith(ctx context.Context, in scope.Scope, text string, limit int) (_ []infra.Definition, err error) {
	defer fault.Wrap(&err, "list definitions with %q", text)
	var w where
	w.inside(in)
	w.and(`yaml LIKE ` + w.arg("%"+escapeLike(text)+"%") + ` ESCAPE '\'`)
	return all(ctx, s.reads, scanDefinition, `SELECT `+definitionColumns+` FROM definitions`+w.text()+
		` ORDER BY org, project, kind, environment, id`+w.page(0, limit), w.args...)
}

// DeleteDefinition removes a definition, an environment with the infrastructure definitions in it.
func (s *Store) DeleteDefinition(ctx context.Context, key infra.Definition) (err error) {
	defer fault.Wrap(&err, "delete %s %q", key.Kind, key.ID)
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		n, err := tx.exec(ctx, `DELETE FROM definitions`+oneDefinition, definitionKey(key)...)
		if err := changed(n, err, noDefinition, key.Kind, key.ID, key.Scope); err != nil || key.Kind != infra.Environment {
			return err
		}
		_, err = tx.exec(ctx, `
			DELETE FROM definitions WHERE account = $1 AND org = $2 AND project = $3 AND kind = $4 AND environment = $5`,
			key.Scope.Account, key.Scope.Org, key.Scope.Project, string(infra.Infrastructure), key.ID)
		return err
	})
}
