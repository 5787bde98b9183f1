package secret

import (
	"context"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/scope"
)

// User is a connector that refers to a secret.
type User struct {
	Scope scope.Scope
	ID    string
}

// Users are the first connectors that refer to a secret, and how many there are. Whoever may read a secret may read the
// connectors that can refer to it: they live in its scope or inside it.
func (s *Service) Users(ctx context.Context, who audit.Caller, at scope.Scope, id string, limit int) ([]User, int, error) {
	if err := s.Audit.Allow(ctx, who, audit.SecretRead, at, "secret/"+id); err != nil {
		return nil, 0, err
	}
	return s.Store.SecretUsersPage(ctx, at, id, limit)
}

// List is Secrets with the number of connectors that refer to each.
func (s *Service) List(ctx context.Context, who audit.Caller, f Filter) (list []Secret, users []int, total int, err error) {
	if list, total, err = s.Secrets(ctx, who, f); err != nil || len(list) == 0 {
		return nil, nil, total, err
	}
	users, err = s.Store.CountSecretUsers(ctx, list)
	return list, users, total, err
}
