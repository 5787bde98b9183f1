package store

import (
	"context"
	"strings"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
)

const (
	projectColumns = `account, org, id, name, description, color, modules, tags, created_at, updated_at`
	noProject      = "project %q does not exist in organization %q"
)

func scanProject(row scanner) (p org.Project, err error) {
	var modules, tags string
	var created, updated int64
	if err := row.Scan(&p.Account, &p.Org, &p.ID, &p.Name, &p.Description, &p.Color, &modules, &tags, &created, &updated); err != nil {
		return p, err
	}
	p.CreatedAt, p.UpdatedAt = moment(created), moment(updated)
	if err := decoded(modules, &p.Modules); err != nil {
		return p, err
	}
	err = decoded(tags, &p.Tags)
	return p, err
}

// CreateProject adds a project. It fails with Conflict when its identifier is taken in its organization.
func (s *Store) CreateProject(ctx context.Context, p org.Project) (err error) {
	defer fault.Wrap(&err, "create project %q", p.ID)
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		if err := inside(ctx, tx, scope.Scope{Account: p.Account, Org: p.Org}); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `
			INSERT INTO projects (account, org, id, name, name_lower, search, description, color, modules, tags, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			p.Account, p.Org, p.ID, p.Name, strings.ToLower(p.Name), searchable(p.Tags, p.Name, p.ID, p.Description), p.Description, p.Color,
			encoded(p.Modules), encoded(p.Tags), micros(p.CreatedAt), micros(p.UpdatedAt))
		return taken(err, "a project with the identifier %q exists already in organization %q; choose another identifier", p.ID, p.Org)
	})
}

// UpdateProject changes a project in one transaction. Its identifier stays.
func (s *Store) UpdateProject(ctx context.Context, account, organization, id string, change func(org.Project) (org.Project, error)) (p org.Project, err error) {
	defer fault.Wrap(&err, "update project %q", id)
	err = s.write(ctx, func(ctx context.Context, tx *session) error {
		old, err := scanProject(tx.row(ctx, `
			UPDATE projects SET id = id WHERE account = $1 AND org = $2 AND id = $3 RETURNING `+projectColumns, account, organization, id))
		if err != nil {
			return found(err, noProject, id, organization)
		}
		if p, err = change(old); err != nil {
			return err
		}
		p.Account, p.Org, p.ID = account, organization, id
		_, err = tx.exec(ctx, `
			UPDATE projects SET name = $4, name_lower = $5, search = $6, description = $7, color = $8, modules = $9, tags = $10,
				created_at = $11, updated_at = $12
			WHERE account = $1 AND org = $2 AND id = $3`,
			account, organization, id, p.Name, strings.ToLower(p.Name), searchable(p.Tags, p.Name, p.ID, p.Description), p.Description, p.Color,
			encoded(p.Modules), encoded(p.Tags), micros(p.CreatedAt), micros(p.UpdatedAt))
		return err
	})
	if err != nil {
		return org.Project{}, err
	}
	return p, nil
}

// Project reads one.
func (s *Store) Project(ctx context.Context, account, organization, id string) (_ org.Project, err error) {
	defer fault.Wrap(&err, "read project %q", id)
	p, err := scanProject(s.reads.row(ctx, `
		SELECT `+projectColumns+` FROM projects WHERE account = $1 AND org = $2 AND id = $3`, account, organization, id))
	return p, found(err, noProject, id, organization)
}

// Projects lists a page by name, exact names first, and counts all pages. A limit of 0 is none.
func (s *Store) Projects(ctx context.Context, f org.Filter) (_ []org.Project, total int, err error) {
	defer fault.Wrap(&err, "list projects")
	if err := few(f.IDs, f.Orgs); err != nil {
		return nil, 0, err
	}
	var w where
	w.equal("account", f.Account)
	if f.Org != "" {
		w.equal("org", f.Org)
	}
	w.in("org", f.Orgs)
	w.in("id", f.IDs)
	w.contains(f.Search)
	if f.Module != "" {
		name := w.arg(encoded(f.Module)) // with its quotes, which a module cannot hold
		w.and("REPLACE(modules, " + name + ", '') " + map[bool]string{false: "<>", true: "="}[f.Without] + " modules")
	}
	return page(ctx, s.reads, &w, listing{
		table: "projects", columns: projectColumns, search: f.Search, order: "name_lower, org, id", offset: f.Offset, limit: f.Limit,
	}, scanProject)
}

// DeleteProject removes a project with everything inside it.
func (s *Store) DeleteProject(ctx context.Context, account, organization, id string) (err error) {
	defer fault.Wrap(&err, "delete project %q", id)
	defer s.forgetAll()
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		n, err := tx.exec(ctx, `DELETE FROM projects WHERE account = $1 AND org = $2 AND id = $3`, account, organization, id)
		if err := changed(n, err, noProject, id, organization); err != nil {
			return err
		}
		for _, table := range scoped() {
			_, err := tx.exec(ctx, `DELETE FROM `+table+` WHERE account = $1 AND org = $2 AND project = $3`, account, organization, id)
			if err != nil {
				return err
			}
		}
		return dropGrants(ctx, tx, scope.Scope{Account: account, Org: organization, Project: id})
	})
}
