package store

import (
	"context"
	"slices"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/identity"
	"github.com/belay-dev/belay/internal/scope"
)

const (
	keyColumns = `account, id, name, hash, grants, created_by, created_at, expires_at, revoked_at, last_used_at`
	noKey      = "API key %q does not exist"
)

// grant is an audit.Grant as a column holds it. Its account is that of the key's row unless it says otherwise.
type grant struct {
	Account string `json:"account"`
	Org     string `json:"org,omitempty"`
	Project string `json:"project,omitempty"`
	Role    string `json:"role"`
}

func scanKey(row scanner) (k identity.Key, err error) {
	var grants string
	var created, expires, revoked, used int64
	if err := row.Scan(&k.Account, &k.ID, &k.Name, &k.Hash, &grants, &k.CreatedBy, &created, &expires, &revoked, &used); err != nil {
		return k, err
	}
	k.CreatedAt, k.ExpiresAt, k.RevokedAt, k.LastUsedAt = moment(created), moment(expires), moment(revoked), moment(used)
	var kept []grant
	if err := decoded(grants, &kept); err != nil {
		return k, err
	}
	for _, g := range kept {
		k.Grants = append(k.Grants, audit.Grant{Scope: scope.Scope{Account: g.Account, Org: g.Org, Project: g.Project}, Role: audit.Role(g.Role)})
	}
	return k, nil
}

// SaveKey adds an API key. It fails with Conflict when its id is taken: a key is never replaced; and with Invalid when it
// has a role where there is nothing: whoever made something there later would not know of it.
func (s *Store) SaveKey(ctx context.Context, k identity.Key) (err error) {
	defer fault.Wrap(&err, "save API key %q", k.ID)
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		for _, g := range k.Grants {
			if err := inside(ctx, tx, g.Scope); err != nil {
				return err
			}
		}
		_, err := tx.exec(ctx, `INSERT INTO api_keys (`+keyColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			k.Account, k.ID, k.Name, k.Hash, encodedGrants(k.Grants), k.CreatedBy, micros(k.CreatedAt), micros(k.ExpiresAt), micros(k.RevokedAt), micros(k.LastUsedAt))
		return taken(err, "an API key with the id %q exists already", k.ID)
	})
}

func encodedGrants(list []audit.Grant) string {
	grants := make([]grant, 0, len(list))
	for _, g := range list {
		grants = append(grants, grant{g.Scope.Account, g.Scope.Org, g.Scope.Project, string(g.Role)})
	}
	return encoded(grants)
}

// dropGrants takes the roles inside a scope from the account's keys, and removes the keys that have none left: a key would
// otherwise work again in the next organization or project of that name.
func dropGrants(ctx context.Context, tx *session, in scope.Scope) error {
	keys, err := all(ctx, tx, scanKey, `SELECT `+keyColumns+` FROM api_keys WHERE account = $1 ORDER BY id`, in.Account)
	if err != nil {
		return err
	}
	for _, k := range keys {
		left := slices.DeleteFunc(slices.Clone(k.Grants), func(g audit.Grant) bool { return in.Contains(g.Scope) })
		switch {
		case len(left) == len(k.Grants):
			continue
		case len(left) == 0:
			_, err = tx.exec(ctx, `DELETE FROM api_keys WHERE account = $1 AND id = $2`, k.Account, k.ID)
		default:
			_, err = tx.exec(ctx, `UPDATE api_keys SET grants = $3 WHERE account = $1 AND id = $2`, k.Account, k.ID, encodedGrants(left))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Key reads one, revoked ones too.
func (s *Store) Key(ctx context.Context, account, id string) (_ identity.Key, err error) {
	defer fault.Wrap(&err, "read API key %q", id)
	k, err := s.keys.recall(accountKey{account, id}, func() (identity.Key, error) {
		return scanKey(s.reads.row(ctx, `SELECT `+keyColumns+` FROM api_keys WHERE account = $1 AND id = $2`, account, id))
	})
	return k, found(err, noKey, id)
}

// Keys lists those of an account, newest first, revoked ones too.
func (s *Store) Keys(ctx context.Context, account string) (_ []identity.Key, err error) {
	defer fault.Wrap(&err, "list API keys")
	return all(ctx, s.reads, scanKey, `SELECT `+keyColumns+` FROM api_keys WHERE account = $1 ORDER BY created_at DESC, id`, account)
}

// KeysIn lists a page of the keys that have a role in a scope or inside it, newest first, and counts all pages.
func (s *Store) KeysIn(ctx context.Context, f identity.Filter) (_ []identity.Key, total int, err error) {
	defer fault.Wrap(&err, "list API keys")
	w := keysWhere(f)
	return page(ctx, s.reads, &w, listing{table: "api_keys", columns: keyColumns, order: "created_at DESC, id", offset: f.Offset, limit: f.Limit}, scanKey)
}

func keysWhere(f identity.Filter) (w where) {
	w.equal("account", f.Scope.Account)
	if f.Scope.Org != "" {
		// The columns of a grant stand in this order, and an identifier has no quote that could end it.
		part := `"org":` + encoded(f.Scope.Org)
		if f.Scope.Project != "" {
			part += `,"project":` + encoded(f.Scope.Project)
		}
		w.and("REPLACE(grants, " + w.arg(part+`,"`) + ", '') <> grants")
	}
	if !f.GoodAt.IsZero() {
		w.and("revoked_at = 0 AND (expires_at = 0 OR expires_at > " + w.arg(micros(f.GoodAt)) + ")")
	}
	return w
}

// UseKey keeps when a key was used last.
func (s *Store) UseKey(ctx context.Context, account, id string, at time.Time) (err error) {
	defer fault.Wrap(&err, "write down the use of API key %q", id)
	defer s.keys.forget(accountKey{account, id})
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		_, err := tx.exec(ctx, `UPDATE api_keys SET last_used_at = $3 WHERE account = $1 AND id = $2 AND last_used_at < $3`, account, id, micros(at))
		return err
	})
}

// RevokeKey ends a key. One that was revoked before keeps its time.
func (s *Store) RevokeKey(ctx context.Context, account, id string, at time.Time) (err error) {
	defer fault.Wrap(&err, "revoke API key %q", id)
	defer s.keys.forget(accountKey{account, id})
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		n, err := tx.exec(ctx, `
			UPDATE api_keys SET revoked_at = CASE WHEN revoked_at = 0 THEN $3 ELSE revoked_at END WHERE account = $1 AND id = $2`,
			account, id, micros(at))
		return changed(n, err, noKey, id)
	})
}
