package store

import (
	"context"
	"strings"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
)

const (
	organizationColumns = `account, id, name, description, tags, created_at, updated_at`
	noOrganization      = "organization %q does not exist"
)

func scanOrganization(row scanner) (o org.Organization, err error) {
	var tags string
	var created, updated int64
	if err := row.Scan(&o.Account, &o.ID, &o.Name, &o.Description, &tags, &created, &updated); err != nil {
		return o, err
	}
	o.CreatedAt, o.UpdatedAt = moment(created), moment(updated)
	err = decoded(tags, &o.Tags)
	return o, err
}

// CreateOrganization adds an organization. It fails with Conflict when its identifier is taken.
func (s *Store) CreateOrganization(ctx context.Context, o org.Organization) (err error) {
	defer fault.Wrap(&err, "create organization %q", o.ID)
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		_, err := tx.exec(ctx, `
			INSERT INTO organizations (account, id, name, name_lower, search, description, tags, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			o.Account, o.ID, o.Name, strings.ToLower(o.Name), searchable(o.Tags, o.Name, o.ID, o.Description), o.Description, encoded(o.Tags),
			micros(o.CreatedAt), micros(o.UpdatedAt))
		return taken(err, "an organization with the identifier %q exists already; choose another identifier", o.ID)
	})
}

// UpdateOrganization changes an organization in one transaction. Its identifier stays.
func (s *Store) UpdateOrganization(ctx context.Context, account, id string, change func(org.Organization) (org.Organization, error)) (o org.Organization, err error) {
	defer fault.Wrap(&err, "update organization %q", id)
	err = s.write(ctx, func(ctx context.Context, tx *session) error {
		old, err := scanOrganization(tx.row(ctx, `
			UPDATE organizations SET id = id WHERE account = $1 AND id = $2 RETURNING `+organizationColumns, account, id))
		if err != nil {
			return found(err, noOrganization, id)
		}
		if o, err = change(old); err != nil {
			return err
		}
		o.Account, o.ID = account, id
		_, err = tx.exec(ctx, `
			UPDATE organizations SET name = $3, name_lower = $4, search = $5, description = $6, tags = $7, created_at = $8, updated_at = $9
			WHERE account = $1 AND id = $2`,
			account, id, o.Name, strings.ToLower(o.Name), searchable(o.Tags, o.Name, o.ID, o.Description), o.Description, encoded(o.Tags),
			micros(o.CreatedAt), micros(o.UpdatedAt))
		return err
	})
	if err != nil {
		return org.Organization{}, err
	}
	return o, nil
}

// Organization reads one.
func (s *Store) Organization(ctx context.Context, account, id string) (_ org.Organization, err error) {
	defer fault.Wrap(&err, "read organization %q", id)
	o, err := scanOrganization(s.reads.row(ctx, `SELECT `+organizationColumns+` FROM organizations WHERE account = $1 AND id = $2`, account, id))
	return o, found(err, noOrganization, id)
}

// Organizations lists a page by name, exact names first, and counts all pages. A limit of 0 is none.
func (s *Store) Organizations(ctx context.Context, f org.Filter) (_ []org.Organization, total int, err error) {
	defer fault.Wrap(&err, "list organizations")
	if err := few(f.IDs); err != nil {
		return nil, 0, err
	}
	var w where
	w.equal("account", f.Account)
	w.in("id", f.IDs)
	w.contains(f.Search)
	return page(ctx, s.reads, &w, listing{
		table: "organizations", columns: organizationColumns, search: f.Search, order: "name_lower, id", offset: f.Offset, limit: f.Limit,
	}, scanOrganization)
}

// DeleteOrganization removes an organization with everything inside it.
func (s *Store) DeleteOrganization(ctx context.Context, account, id string) (err error) {
	defer fault.Wrap(&err, "delete organization %q", id)
	defer s.forgetAll()
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		n, err := tx.exec(ctx, `DELETE FROM organizations WHERE account = $1 AND id = $2`, account, id)
		if err := changed(n, err, noOrganization, id); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `DELETE FROM projects WHERE account = $1 AND org = $2`, account, id); err != nil {
			return err
		}
		for _, table := range scoped() {
			if _, err := tx.exec(ctx, `DELETE FROM `+table+` WHERE account = $1 AND org = $2`, account, id); err != nil {
				return err
			}
		}
		return dropGrants(ctx, tx, scope.Scope{Account: account, Org: id})
	})
}

// inside fails with Invalid when a scope is not there, and keeps it there until the change ends. Whoever adds something to
// a scope begins with it: what is added while the scope is being deleted would outlive it, and come back with the next one
// of that name.
func inside(ctx context.Context, tx *session, at scope.Scope) error {
	if at.Org == "" {
		return nil
	}
	// An update locks its row in PostgreSQL, though it changes nothing; SQLite has one writer. Deleting an organization
	// begins with its row, deleting a project with the project's.
	n, err := tx.exec(ctx, `UPDATE organizations SET id = id WHERE account = $1 AND id = $2`, at.Account, at.Org)
	if err == nil && n == 0 {
		return fault.New(fault.Invalid, noOrganization+"; create it first", at.Org)
	}
	if err != nil || at.Project == "" {
		return err
	}
	n, err = tx.exec(ctx, `UPDATE projects SET id = id WHERE account = $1 AND org = $2 AND id = $3`, at.Account, at.Org, at.Project)
	if err == nil && n == 0 {
		return fault.New(fault.Invalid, noProject+"; create it first", at.Project, at.Org)
	}
	return err
}

// scoped are the tables of what lives inside organizations and projects and ends with them. Tests and what connectors
// refer to end with their connectors, and for API keys see dropGrants; the audit log and tasks tell what was, so they stay.
func scoped() []string {
	return []string{"connectors", "secrets", "tokens", "delegates", "delegate_groups", "definitions"}
}
