package store_test

import (
	"path/filepath"
	"testing"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/belaytest"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/identity"
	"github.com/belay-dev/belay/internal/oidc"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/secret"
	"github.com/belay-dev/belay/internal/store"
	"github.com/belay-dev/belay/internal/store/storetest"
	"github.com/belay-dev/belay/internal/task"
)

// The one store serves every service.
var (
	_ = audit.Trail{Store: (*store.Store)(nil)}
	_ = identity.Service{Store: (*store.Store)(nil)}
	_ = org.Service{Store: (*store.Store)(nil)}
	_ = secret.Service{Store: (*store.Store)(nil)}
	_ = delegate.Tokens{Store: (*store.Store)(nil)}
	_ = connector.Service{Store: (*store.Store)(nil)}
	_ = task.Queue{Store: (*store.Store)(nil)}
)

// These two are apart, because they must not be copied.
var (
	_ = &delegate.Registry{Store: (*store.Store)(nil)}
	_ = &oidc.Service{Store: (*store.Store)(nil)}
)

func TestSQLiteKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) *store.Store {
		t.Helper()
		return open(t, filepath.Join(t.TempDir(), "belay.db"))
	})
}

func TestPostgreSQLKeepsTheContract(t *testing.T) {
	t.Parallel()
	_ = belaytest.Postgres(t) // skips here, once, when there is none
	storetest.Run(t, func(t *testing.T) *store.Store {
		t.Helper()
		return open(t, belaytest.Postgres(t))
	})
}

func open(tb testing.TB, url string) *store.Store {
	tb.Helper()
	s, err := store.Open(tb.Context(), store.Config{URL: url})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}
