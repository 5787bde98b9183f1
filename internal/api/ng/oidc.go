package ng

import (
	"context"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/oidc"
)

// The two documents of an account's issuer go without an envelope: what reads them speaks OpenID Connect.

func (s *Server) discovery(ctx context.Context, c api.Call) (api.Text, error) {
	text, err := s.Issuer.Discovery(ctx, c.Path("account"))
	return api.Text{Type: "application/json", Text: text, MaxAge: oidc.DiscoveryMaxAge}, err
}

func (s *Server) keySet(ctx context.Context, c api.Call) (api.Text, error) {
	text, err := s.Issuer.KeySet(ctx, c.Path("account"))
	return api.Text{Type: "application/json", Text: text, MaxAge: oidc.KeySetMaxAge}, err
}
