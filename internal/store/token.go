package store

import (
	"context"
	"time"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

const (
	tokenColumns = `id, account, org, project, name, sealed, created_by, created_at, revoke_after, revoked_at` //nolint:gosec // no credential
	noToken      = "delegate token %q does not exist at %s"
)

func scanToken(row scanner) (t delegate.Token, err error) {
	var created, after, revoked int64
	err = row.Scan(&t.ID, &t.Scope.Account, &t.Scope.Org, &t.Scope.Project, &t.Name, &t.Sealed, &t.CreatedBy, &created, &after, &revoked)
	t.CreatedAt, t.RevokeAfter, t.RevokedAt = moment(created), moment(after), moment(revoked)
	return t, err
}

// CreateToken adds a delegate token. It fails with Conflict when its name is taken in its scope, by a revoked one too.
func (s *Store) CreateToken(ctx context.Context, t delegate.Token) (err error) {
	defer fault.Wrap(&err, "create delegate token %q", t.Name)
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		if err := inside(ctx, tx, t.Scope); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `INSERT INTO tokens (`+tokenColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			t.ID, t.Scope.Account, t.Scope.Org, t.Scope.Project, t.Name, t.Sealed, t.CreatedBy,
			micros(t.CreatedAt), micros(t.RevokeAfter), micros(t.RevokedAt))
		return taken(err, "a delegate token with the name %q exists already at %s, perhaps a revoked one; choose another name", t.Name, t.Scope)
	})
}

// Token reads one by name, revoked ones too.
func (s *Store) Token(ctx context.Context, at scope.Scope, name string) (_ delegate.Token, err error) {
	defer fault.Wrap(&err, "read delegate token %q", name)
	t, err := scanToken(s.reads.row(ctx, `
		SELECT `+tokenColumns+` FROM tokens WHERE account = $1 AND org = $2 AND project = $3 AND name = $4`,
		at.Account, at.Org, at.Project, name))
	return t, found(err, noToken, name, at)
}

// TokenByID reads one, revoked ones too.
func (s *Store) TokenByID(ctx context.Context, account, id string) (_ delegate.Token, err error) {
	defer fault.Wrap(&err, "read delegate token %s", id)
	t, err := scanToken(s.reads.row(ctx, `SELECT `+tokenColumns+` FROM tokens WHERE account = $1 AND id = $2`, account, id))
	return t, found(err, "delegate token %s does not exist", id)
}

// Tokens lists those of one scope by name, revoked ones too.
func (s *Store) Tokens(ctx context.Context, at scope.Scope) (_ []delegate.Token, err error) {
	defer fault.Wrap(&err, "list delegate tokens")
	return all(ctx, s.reads, scanToken, `
		SELECT `+tokenColumns+` FROM tokens WHERE account = $1 AND org = $2 AND project = $3 ORDER BY name, id`,
		at.Account, at.Org, at.Project)
}

// ActiveTokens lists those of an account and of all scopes in it.
func (s *Store) ActiveTokens(ctx context.Context, account string) (_ []delegate.Token, err error) {
	defer fault.Wrap(&err, "list active delegate tokens")
	return all(ctx, s.reads, scanToken, `
		SELECT `+tokenColumns+` FROM tokens WHERE account = $1 AND revoked_at = 0 ORDER BY created_at, id`, account)
}

// RevokeToken ends a token. One that was revoked before keeps its time.
func (s *Store) RevokeToken(ctx context.Context, at scope.Scope, name string, when time.Time) (err error) {
	defer fault.Wrap(&err, "revoke delegate token %q", name)
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		n, err := tx.exec(ctx, `
			UPDATE tokens SET revoked_at = CASE WHEN revoked_at = 0 THEN $5 ELSE revoked_at END
			WHERE account = $1 AND org = $2 AND project = $3 AND name = $4`, at.Account, at.Org, at.Project, name, micros(when))
		return changed(n, err, noToken, name, at)
	})
}

// DeleteToken removes a token.
func (s *Store) DeleteToken(ctx context.Context, at scope.Scope, name string) (err error) {
	defer fault.Wrap(&err, "delete delegate token %q", name)
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		n, err := tx.exec(ctx, `DELETE FROM tokens WHERE account = $1 AND org = $2 AND project = $3 AND name = $4`,
			at.Account, at.Org, at.Project, name)
		return changed(n, err, noToken, name, at)
	})
}

// TokensToRevoke are the active tokens whose end lies before a time.
func (s *Store) TokensToRevoke(ctx context.Context, before time.Time) (_ []delegate.Token, err error) {
	defer fault.Wrap(&err, "list delegate tokens to revoke")
	return all(ctx, s.reads, scanToken, `
		SELECT `+tokenColumns+` FROM tokens WHERE revoked_at = 0 AND revoke_after > 0 AND revoke_after < $1 ORDER BY revoke_after, id`, micros(before))
}
