package store

import (
	"context"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/oidc"
)

const oidcKeyColumns = `account, generation, id, algorithm, public, sealed, created_at, signs_from`

func scanOIDCKey(row scanner) (k oidc.Key, err error) {
	var created, from int64
	err = row.Scan(&k.Account, &k.Generation, &k.ID, &k.Algorithm, &k.Public, &k.Sealed, &created, &from)
	k.CreatedAt, k.SignsFrom = moment(created), moment(from)
	return k, err
}

// OIDCKeys lists the signing keys of an account by generation. With an empty account it lists those of all, account by
// account.
func (s *Store) OIDCKeys(ctx context.Context, account string) (_ []oidc.Key, err error) {
	defer fault.Wrap(&err, "list signing keys")
	if account == "" {
		return all(ctx, s.reads, scanOIDCKey, `SELECT `+oidcKeyColumns+` FROM oidc_keys ORDER BY account, generation`)
	}
	return all(ctx, s.reads, scanOIDCKey, `SELECT `+oidcKeyColumns+` FROM oidc_keys WHERE account = $1 ORDER BY generation`, account)
}

// ChangeOIDCKeys changes the signing keys of an account in one step. It fails with Conflict, and changes nothing, when a
// generation that is to be inserted is there, or one that is to be promoted or replaced is not, or signs already.
func (s *Store) ChangeOIDCKeys(ctx context.Context, account string, c oidc.Change) (err error) {
	defer fault.Wrap(&err, "change the signing keys")
	const already = "the signing keys were changed by someone else"
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		// One that waits is dealt with first: its row is the lock for whoever has the same in mind.
		for _, one := range []struct {
			generation int64
			text       string
		}{
			{c.Promote, `UPDATE oidc_keys SET signs_from = $3 WHERE account = $1 AND generation = $2 AND signs_from > $3`},
			{c.Replace, `DELETE FROM oidc_keys WHERE account = $1 AND generation = $2 AND signs_from > $3`},
		} {
			if one.generation == 0 {
				continue
			}
			n, err := tx.exec(ctx, one.text, account, one.generation, micros(c.At))
			if err != nil {
				return err
			}
			if n == 0 {
				return fault.New(fault.Conflict, already)
			}
		}
		for _, generation := range c.Drop {
			if _, err := tx.exec(ctx, `DELETE FROM oidc_keys WHERE account = $1 AND generation = $2`, account, generation); err != nil {
				return err
			}
		}
		if k := c.Insert; k != nil {
			_, err := tx.exec(ctx, `INSERT INTO oidc_keys (`+oidcKeyColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
				account, k.Generation, k.ID, string(k.Algorithm), k.Public, k.Sealed, micros(k.CreatedAt), micros(k.SignsFrom))
			return taken(err, already)
		}
		return nil
	})
}

// OIDCSettings reads what was set for an account's issuer. It fails with NotFound when nothing was.
func (s *Store) OIDCSettings(ctx context.Context, account string) (x oidc.Settings, err error) {
	defer fault.Wrap(&err, "read the settings of the OIDC issuer")
	x.Account = account
	var updated int64
	err = s.reads.row(ctx, `SELECT issuer, audience, updated_at FROM oidc_settings WHERE account = $1`, account).Scan(&x.Issuer, &x.Audience, &updated)
	x.UpdatedAt = moment(updated)
	return x, found(err, "nothing is set for the OIDC issuer of this account")
}

// SaveOIDCSettings keeps what is set for an account's issuer.
func (s *Store) SaveOIDCSettings(ctx context.Context, x oidc.Settings) (err error) {
	defer fault.Wrap(&err, "save the settings of the OIDC issuer")
	return s.write(ctx, func(ctx context.Context, tx *session) error {
		_, err := tx.exec(ctx, `
			INSERT INTO oidc_settings (account, issuer, audience, updated_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (account) DO UPDATE SET issuer = excluded.issuer, audience = excluded.audience, updated_at = excluded.updated_at`,
			x.Account, x.Issuer, x.Audience, micros(x.UpdatedAt))
		return err
	})
}
