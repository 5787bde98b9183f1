package ng

import (
	"context"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/nextgen"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
)

func (s *Server) createOrganization(ctx context.Context, c api.Call, in nextgen.OrganizationEnvelope) (nextgen.OrganizationResponse, error) {
	if err := fitting("organization", in.Organization.Identifier); err != nil {
		return nextgen.OrganizationResponse{}, err
	}
	o, err := s.Organizations.CreateOrganization(ctx, c.Who, in.Organization.Domain(c.At.Account))
	return nextgen.FromStoredOrganization(o), err
}

func (s *Server) updateOrganization(ctx context.Context, c api.Call, in nextgen.OrganizationEnvelope) (nextgen.OrganizationResponse, error) {
	if err := sameID("organization", &in.Organization.Identifier, c.Path("id")); err != nil {
		return nextgen.OrganizationResponse{}, err
	}
	o, err := s.Organizations.UpdateOrganization(ctx, c.Who, in.Organization.Domain(c.At.Account))
	return nextgen.FromStoredOrganization(o), err
}

func (s *Server) organization(ctx context.Context, c api.Call) (nextgen.OrganizationResponse, error) {
	o, err := s.Organizations.Organization(ctx, c.Who, c.Path("id"))
	return nextgen.FromStoredOrganization(o), err
}

func (s *Server) deleteOrganization(ctx context.Context, c api.Call) (bool, error) {
	return true, s.Organizations.DeleteOrganization(ctx, c.Who, c.Path("id"))
}

func (s *Server) listOrganizations(ctx context.Context, c api.Call) (nextgen.Page[nextgen.OrganizationResponse], error) {
	p, err := page(c)
	if err != nil {
		return nextgen.Page[nextgen.OrganizationResponse]{}, err
	}
	list, total, err := s.Organizations.Organizations(ctx, c.Who, org.Filter{
		Account: c.At.Account, Search: c.Query("searchTerm"), IDs: c.QueryAll("identifiers"), Offset: p.offset(), Limit: p.size,
	})
	return dressed(list, total, p, nextgen.FromStoredOrganization), err
}

func (s *Server) createProject(ctx context.Context, c api.Call, in nextgen.ProjectEnvelope) (nextgen.ProjectResponse, error) {
	if err := inOrganization(c, &in.Project); err != nil {
		return nextgen.ProjectResponse{}, err
	}
	p, err := s.Organizations.CreateProject(ctx, c.Who, in.Project.Domain(c.At.Account))
	return nextgen.FromStoredProject(p), err
}

func (s *Server) updateProject(ctx context.Context, c api.Call, in nextgen.ProjectEnvelope) (nextgen.ProjectResponse, error) {
	if err := sameID("project", &in.Project.Identifier, c.Path("id")); err != nil {
		return nextgen.ProjectResponse{}, err
	}
	if err := inOrganization(c, &in.Project); err != nil {
		return nextgen.ProjectResponse{}, err
	}
	p, err := s.Organizations.UpdateProject(ctx, c.Who, in.Project.Domain(c.At.Account))
	return nextgen.FromStoredProject(p), err
}

// inOrganization settles which organization a project belongs to: that of body and query, or else the default one.
func inOrganization(c api.Call, p *nextgen.Project) error {
	var project string // the query of a project names no other
	problems := sameScope("project", scope.Scope{Org: c.At.Org}, &p.OrgIdentifier, &project)
	if p.OrgIdentifier == "" {
		p.OrgIdentifier = org.DefaultOrganization
	}
	problems = append(problems, tooLong("project", scope.Scope{Org: p.OrgIdentifier})...)
	if !fits(p.Identifier) {
		problems.Add("project.identifier", scope.CheckIdentifier(p.Identifier))
	}
	return problems.Err()
}

// organizationOf is the organization of the query, or else the default one.
func organizationOf(c api.Call) string {
	if c.At.Org == "" {
		return org.DefaultOrganization
	}
	return c.At.Org
}

func (s *Server) project(ctx context.Context, c api.Call) (nextgen.ProjectResponse, error) {
	p, err := s.Organizations.Project(ctx, c.Who, organizationOf(c), c.Path("id"))
	return nextgen.FromStoredProject(p), err
}

func (s *Server) deleteProject(ctx context.Context, c api.Call) (bool, error) {
	return true, s.Organizations.DeleteProject(ctx, c.Who, organizationOf(c), c.Path("id"))
}

// listProjects lists the projects of one organization, of several, or of all.
func (s *Server) listProjects(ctx context.Context, c api.Call) (nextgen.Page[nextgen.ProjectResponse], error) {
	p, err := page(c)
	if err != nil {
		return nextgen.Page[nextgen.ProjectResponse]{}, err
	}
	list, total, err := s.Organizations.Projects(ctx, c.Who, org.Filter{
		Account: c.At.Account, Org: c.At.Org, Orgs: c.QueryAll("orgIdentifiers"), Search: c.Query("searchTerm"),
		IDs: c.QueryAll("identifiers"), Module: c.Query("moduleType"), Without: c.Query("hasModule") == "false",
		Offset: p.offset(), Limit: p.size,
	})
	return dressed(list, total, p, nextgen.FromStoredProject), err
}

// fitting refuses an identifier that is too long for the audit log.
func fitting(kind, id string) error {
	if fits(id) {
		return nil
	}
	return fault.Problems{{Path: kind + ".identifier", Message: scope.CheckIdentifier(id)}}
}
