package storetest

import (
	"context"
	"testing"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/store"
)

func bump(ctx context.Context, t *testing.T, s *store.Store) {
	t.Helper()
	_, err := s.UpdateConnector(ctx, prj1(), "aws", func(c connector.Connector) (connector.Connector, error) {
		c.Revision++
		return c, nil
	})
	if err != nil {
		t.Error(err)
	}
}

func panicking(ctx context.Context, s *store.Store) {
	_, _ = s.UpdateConnector(ctx, prj1(), "aws", func(connector.Connector) (connector.Connector, error) { panic("mine") })
}
