package org

import (
	"context"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// Contents is how much lies inside an organization or a project, and what loses its place when that is deleted.
type Contents struct {
	Projects    int // of an organization
	Connectors  int
	Secrets     int
	Delegates   int
	Tokens      int // of delegates, revoked ones too
	Definitions int // services, environments and infrastructure definitions
	Keys        int // API keys that are not revoked and have a role in it or inside it
}

// Empty reports whether nothing would be lost.
func (c Contents) Empty() bool { return c == Contents{} }

// Contents counts what lies inside an organization or a project, for whoever may delete it.
func (s *Service) Contents(ctx context.Context, who audit.Caller, at scope.Scope) (Contents, error) {
	if at.Level() == scope.Account {
		return Contents{}, fault.New(fault.Invalid, "an account is not deleted with what lies in it; name an organization or a project")
	}
	action, allowed, target := audit.ProjectDelete, at, "project/"+at.Project
	if at.Level() == scope.Organization {
		action, allowed, target = audit.OrganizationDelete, scope.Scope{Account: at.Account}, "organization/"+at.Org
	}
	if !who.May(action, allowed) { // who may has deleted nothing yet, so that only the refusal is kept
		return Contents{}, s.Audit.Allow(ctx, who, action, allowed, target)
	}
	return s.Store.Contents(ctx, at)
}
