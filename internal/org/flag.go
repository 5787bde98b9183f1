package org

import (
	"context"
	"slices"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// The feature flags that the system Belay stands in for has. All are on in a new account; one that is off refuses test
// and use by its name, never creation.
const (
	FlagSessionToken = "CDS_AWS_SESSION_TOKEN_SUPPORT" //nolint:gosec // the name of a flag
	FlagOIDC         = "CDS_AWS_OIDC_AUTHENTICATION"
	FlagOIDCSubject  = "PL_OIDC_ENHANCED_SUBJECT_FIELD"
)

// Flag is a feature flag and what it opens.
type Flag struct {
	Name    string
	On      bool
	Purpose string
}

func known() []Flag {
	return []Flag{
		{FlagOIDC, true, "connectors whose credentials come from Belay's own OIDC issuer"},
		{FlagSessionToken, true, "access keys with a session token"},
		{FlagOIDCSubject, true, "the subject of OIDC tokens names account, organization and project"},
	}
}

// On reports whether a flag is on in an account.
func (s *Service) On(ctx context.Context, account, flag string) (bool, error) {
	set, err := s.Store.Flags(ctx, account)
	if err != nil {
		return false, err
	}
	if on, ok := set[flag]; ok {
		return on, nil
	}
	return true, nil
}

// Flags lists all flags as they stand.
func (s *Service) Flags(ctx context.Context, who audit.Caller) ([]Flag, error) {
	if err := s.Audit.Allow(ctx, who, audit.FlagRead, scope.Scope{Account: who.Account}, "flag"); err != nil {
		return nil, err
	}
	set, err := s.Store.Flags(ctx, who.Account)
	if err != nil {
		return nil, err
	}
	flags := known()
	for i := range flags {
		if on, ok := set[flags[i].Name]; ok {
			flags[i].On = on
		}
	}
	return flags, nil
}

// SetFlag turns a flag on or off.
func (s *Service) SetFlag(ctx context.Context, who audit.Caller, name string, on bool) error {
	detail := "off"
	if on {
		detail = "on"
	}
	if err := s.Audit.AllowWith(ctx, who, audit.FlagSet, scope.Scope{Account: who.Account}, "flag/"+name, detail); err != nil {
		return err
	}
	if !slices.ContainsFunc(known(), func(f Flag) bool { return f.Name == name }) {
		return fault.New(fault.NotFound, "there is no flag %q; `belay flag list` shows them", name)
	}
	return s.Store.SetFlag(ctx, who.Account, name, on)
}
