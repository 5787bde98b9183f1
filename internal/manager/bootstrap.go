package manager

import (
	"context"
	"encoding/hex"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

// bootstrap makes the first account, its administrator's key and its delegate token where they are missing. A start that
// was cut off between them is completed by the next one.
func (m *Manager) bootstrap(ctx context.Context) (Started, error) {
	accounts, err := m.Orgs.Accounts(ctx)
	if err != nil {
		return Started{}, err
	}
	var s Started
	if len(accounts) == 0 {
		a, err := m.Orgs.CreateAccount(ctx, "main")
		if err != nil {
			return Started{}, err
		}
		s.Account, s.First = a.ID, true
	} else {
		s.Account = accounts[0].ID
	}
	keys, err := m.Store.Keys(ctx, s.Account)
	if err != nil {
		return Started{}, err
	}
	if len(keys) == 0 {
		if _, s.AdminKey, err = m.Identity.Bootstrap(ctx, s.Account, "admin"); err != nil {
			return Started{}, err
		}
	}
	s.DelegateToken, err = m.delegateToken(ctx, s.Account)
	return s, err
}

// delegateToken is the account's default token, which a delegate of the same machine may use. A token that was revoked is
// not replaced: somebody meant it.
func (m *Manager) delegateToken(ctx context.Context, account string) (secret.Value, error) {
	tokens, err := m.Store.Tokens(ctx, scope.Scope{Account: account})
	if err != nil {
		return secret.Value{}, err
	}
	if len(tokens) == 0 {
		_, value, err := m.Tokens.Bootstrap(ctx, account)
		return value, err
	}
	active, err := m.Tokens.ActiveKeys(ctx, account)
	if err != nil {
		return secret.Value{}, err
	}
	for _, t := range active {
		if t.Token.Name == delegate.DefaultToken && t.Token.Scope == (scope.Scope{Account: account}) {
			return secret.NewValue(hex.EncodeToString(t.Key)), nil
		}
	}
	return secret.Value{}, nil
}
