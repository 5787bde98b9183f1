package store

import (
	"context"
	"slices"
	"strings"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

const (
	secretColumns = `account, org, project, id, name, description, tags, manager, kind, path, metadata, sealed, created_at, updated_at` //nolint:gosec // no credential
	// listedSecret leaves the ciphertext out, which no list needs and which may be long.
	listedSecret = `account, org, project, id, name, description, tags, manager, kind, path, metadata, '', created_at, updated_at` //nolint:gosec // no credential
	noSecret     = "secret %q does not exist at %s"                                                                                //nolint:gosec // no credential
)

func scanSecret(row scanner) (x secret.Secret, err error) {
	var tags, metadata string
	var created, updated int64
	err = row.Scan(&x.Scope.Account, &x.Scope.Org, &x.Scope.Project, &x.ID, &x.Name, &x.Description, &tags, &x.Manager, &x.Kind, &x.Path,
		&metadata, &x.Sealed, &created, &updated)
	if err != nil {
		return x, err
	}
	x.CreatedAt, x.UpdatedAt = moment(created), moment(updated)
	if err := decoded(tags, &x.Tags); err != nil {
		return x, err
	}
	err = decoded(metadata, &x.Metadata)
	return x, err
}

// CreateSecret adds a secret. It fails with Conflict when its identifier is taken in its scope.
func (s *Store) CreateSecret(ctx context.Context, x secret.Secret) (err error) {
	defer fault.Wrap(&err, "create secret %q", x.ID)
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		if err := inside(ctx, tx, x.Scope); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `
			INSERT INTO secrets (account, org, project, id, name, name_lower, search, description, tags, manager, kind, path, metadata,
				sealed, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`, secretArgs(x)...)
		return taken(err, "a secret with the identifier %q exists already at %s; choose another identifier", x.ID, x.Scope)
	})
}

func secretArgs(x secret.Secret) []any {
	return []any{
		x.Scope.Account, x.Scope.Org, x.Scope.Project, x.ID, x.Name, strings.ToLower(x.Name), searchable(x.Tags, x.Name, x.ID, x.Description),
		x.Description, encoded(x.Tags), x.Manager, string(x.Kind), x.Path, encoded(x.Metadata), x.Sealed, micros(x.CreatedAt), micros(x.UpdatedAt),
	}
}

// UpdateSecret changes a secret in one transaction. Its scope and identifier stay.
func (s *Store) UpdateSecret(ctx context.Context, at scope.Scope, id string, change func(secret.Secret) (secret.Secret, error)) (x secret.Secret, err error) {
	defer fault.Wrap(&err, "update secret %q", id)
	err = s.write(ctx, func(ctx context.Context, tx *session) error {
		old, err := scanSecret(tx.row(ctx, `
			UPDATE secrets SET id = id WHERE account = $1 AND org = $2 AND project = $3 AND id = $4 RETURNING `+secretColumns,
			at.Account, at.Org, at.Project, id))
		if err != nil {
			return found(err, noSecret, id, at)
		}
		if x, err = change(old); err != nil {
			return err
		}
		x.Scope, x.ID = at, id
		_, err = tx.exec(ctx, `
			UPDATE secrets SET name = $5, name_lower = $6, search = $7, description = $8, tags = $9, manager = $10, kind = $11, path = $12,
				metadata = $13, sealed = $14, created_at = $15, updated_at = $16
			WHERE account = $1 AND org = $2 AND project = $3 AND id = $4`, secretArgs(x)...)
		return err
	})
	if err != nil {
		return secret.Secret{}, err
	}
	return x, nil
}

// Secret reads one, with its ciphertext.
func (s *Store) Secret(ctx context.Context, at scope.Scope, id string) (_ secret.Secret, err error) {
	defer fault.Wrap(&err, "read secret %q", id)
	x, err := scanSecret(s.reads.row(ctx, `
		SELECT `+secretColumns+` FROM secrets WHERE account = $1 AND org = $2 AND project = $3 AND id = $4`,
		at.Account, at.Org, at.Project, id))
	return x, found(err, noSecret, id, at)
}

// Secrets lists a page by name, exact names first, without ciphertexts, and counts all pages. A limit of 0 is none.
func (s *Store) Secrets(ctx context.Context, f secret.Filter) (_ []secret.Secret, total int, err error) {
	defer fault.Wrap(&err, "list secrets")
	if err := few(f.IDs, sortedKeys(f.Tags)); err != nil {
		return nil, 0, err
	}
	var w where
	if f.SubScopes {
		w.inside(f.Scope)
	} else {
		w.at(f.Scope)
	}
	w.in("id", f.IDs)
	w.contains(f.Search)
	if f.Description != "" {
		w.and(w.folded("description", f.Description))
	}
	w.tagged(f.Tags)
	return page(ctx, s.reads, &w, listing{
		table: "secrets", columns: listedSecret, search: f.Search, order: "name_lower, id, org, project", offset: f.Offset, limit: f.Limit,
	}, scanSecret)
}

// DeleteSecret removes a secret.
func (s *Store) DeleteSecret(ctx context.Context, at scope.Scope, id string) (err error) {
	defer fault.Wrap(&err, "delete secret %q", id)
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		n, err := tx.exec(ctx, `DELETE FROM secrets WHERE account = $1 AND org = $2 AND project = $3 AND id = $4`,
			at.Account, at.Org, at.Project, id)
		return changed(n, err, noSecret, id, at)
	})
}

// SecretUsers names the connectors that refer to a secret, as org/project/identifier without what is empty.
func (s *Store) SecretUsers(ctx context.Context, at scope.Scope, id string) (_ []string, err error) {
	defer fault.Wrap(&err, "find what uses secret %q", id)
	return all(ctx, s.reads, func(row scanner) (string, error) {
		var organization, project, connector string
		err := row.Scan(&organization, &project, &connector)
		return joined(organization, project, connector), err
	}, `
		SELECT org, project, connector FROM connector_secrets
		WHERE account = $1 AND secret_org = $2 AND secret_project = $3 AND secret = $4
		ORDER BY org, project, connector`, at.Account, at.Org, at.Project, id)
}

// SecretUsersPage are the first connectors that refer to a secret, and how many there are. A limit of 0 is none.
func (s *Store) SecretUsersPage(ctx context.Context, at scope.Scope, id string, limit int) (_ []secret.User, total int, err error) {
	defer fault.Wrap(&err, "find what uses secret %q", id)
	var w where
	w.equal("account", at.Account)
	w.equal("secret_org", at.Org)
	w.equal("secret_project", at.Project)
	w.equal("secret", id)
	return page(ctx, s.reads, &w, listing{table: "connector_secrets", columns: "account, org, project, connector", order: "org, project, connector", limit: limit},
		func(row scanner) (secret.User, error) {
			k, err := scanKeyOf(row)
			return secret.User{Scope: k.at, ID: k.id}, err
		})
}

// CountSecretUsers counts the connectors that refer to each secret of one account, in the order of the list.
func (s *Store) CountSecretUsers(ctx context.Context, list []secret.Secret) (_ []int, err error) {
	defer fault.Wrap(&err, "count what uses secrets")
	users := make([]int, len(list))
	if len(list) == 0 {
		return users, nil
	}
	if len(list) > mostListed {
		return nil, fault.New(fault.Invalid, "%d secrets are asked about; ask about at most %d at once", len(list), mostListed)
	}
	var w where
	w.equal("account", list[0].Scope.Account)
	rows := make([]string, 0, len(list))
	for _, x := range list {
		rows = append(rows, "("+w.arg(x.Scope.Org)+", "+w.arg(x.Scope.Project)+", "+w.arg(x.ID)+")")
	}
	w.and("(secret_org, secret_project, secret) IN (VALUES " + strings.Join(rows, ", ") + ")")
	err = s.reads.each(ctx, `SELECT secret_org, secret_project, secret, count(*) FROM connector_secrets`+w.text()+`
		GROUP BY secret_org, secret_project, secret`, w.args, func(row scanner) error {
		var organization, project, id string
		var n int
		err := row.Scan(&organization, &project, &id, &n)
		for i, x := range list {
			if x.Scope.Org == organization && x.Scope.Project == project && x.ID == id {
				users[i] = n
			}
		}
		return err
	})
	return users, err
}

// joined is a path without its empty parts.
func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), "/")
}
