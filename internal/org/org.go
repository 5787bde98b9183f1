// Package org keeps what everything else lives in: accounts, their organizations and projects, and their feature flags.
package org

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// DefaultOrganization exists in every account.
const DefaultOrganization = "default"

// Account is a tenant.
type Account struct {
	ID        string // 22 URL-safe characters
	Name      string
	CreatedAt time.Time
}

// Organization groups projects.
type Organization struct {
	Account     string
	ID          string
	Name        string
	Description string
	Tags        map[string]string
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Project is the narrowest scope.
type Project struct {
	Account     string
	Org         string
	ID          string
	Name        string
	Description string
	Color       string
	Modules     []string
	Tags        map[string]string
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// DefaultColor is a project's colour when none is given.
const DefaultColor = "#0063F7"

// Filter narrows a listing of organizations or projects.
type Filter struct {
	Account string
	Org     string   // of projects; empty means all organizations
	Orgs    []string // of projects: any of these
	Search  string   // part of name, identifier or description; exact names come first
	IDs     []string
	// Module narrows to projects that have it, or with Without to those that have it not. Empty narrows nothing.
	Module  string
	Without bool
	Offset  int
	Limit   int
}

type store interface {
	SaveAccount(ctx context.Context, a Account) error
	Accounts(ctx context.Context) ([]Account, error)

	CreateOrganization(ctx context.Context, o Organization) error // Conflict when it is there
	UpdateOrganization(ctx context.Context, account, id string, change func(Organization) (Organization, error)) (Organization, error)
	Organization(ctx context.Context, account, id string) (Organization, error)
	Organizations(ctx context.Context, f Filter) ([]Organization, int, error)
	DeleteOrganization(ctx context.Context, account, id string) error // with all inside it

	CreateProject(ctx context.Context, p Project) error
	UpdateProject(ctx context.Context, account, org, id string, change func(Project) (Project, error)) (Project, error)
	Project(ctx context.Context, account, org, id string) (Project, error)
	Projects(ctx context.Context, f Filter) ([]Project, int, error)
	DeleteProject(ctx context.Context, account, org, id string) error // with all inside it

	// Contents counts what ends with an organization or a project.
	Contents(ctx context.Context, at scope.Scope) (Contents, error)

	Flags(ctx context.Context, account string) (map[string]bool, error) // those that were set
	SetFlag(ctx context.Context, account, flag string, on bool) error
}

// Service is accounts, organizations, projects and flags with their rules.
type Service struct {
	Store store
	Audit *audit.Trail
	Log   *slog.Logger
	Now   func() time.Time
	// Deleted is told of each organization and project that is gone, so that its delegates are cut off at once.
	Deleted func(scope.Scope)
}

// CreateAccount makes an account with its default organization. It is for the one who runs the manager, so no caller
// is asked for.
func (s *Service) CreateAccount(ctx context.Context, name string) (Account, error) {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails, see crypto/rand
	a := Account{ID: base64.RawURLEncoding.EncodeToString(random), Name: name, CreatedAt: s.Now().UTC()}
	if err := s.Store.SaveAccount(ctx, a); err != nil {
		return Account{}, err
	}
	now := s.Now().UTC()
	o := Organization{Account: a.ID, ID: DefaultOrganization, Name: "Default", Description: "The organization that every account has", CreatedAt: now, UpdatedAt: now}
	return a, s.Store.CreateOrganization(ctx, o)
}

// Accounts lists every account of this manager, for the one who runs it.
func (s *Service) Accounts(ctx context.Context) ([]Account, error) { return s.Store.Accounts(ctx) }

// Exists fails with Invalid when the scope's organization or project is not there.
func (s *Service) Exists(ctx context.Context, at scope.Scope) error {
	if err := at.Valid(); err != nil {
		return err
	}
	if at.Org != "" {
		if _, err := s.Store.Organization(ctx, at.Account, at.Org); fault.KindOf(err) == fault.NotFound {
			return fault.New(fault.Invalid, "organization %q does not exist; create it first", at.Org)
		} else if err != nil {
			return err
		}
	}
	if at.Project != "" {
		if _, err := s.Store.Project(ctx, at.Account, at.Org, at.Project); fault.KindOf(err) == fault.NotFound {
			return fault.New(fault.Invalid, "project %q does not exist in organization %q; create it first", at.Project, at.Org)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// CreateOrganization adds an organization.
func (s *Service) CreateOrganization(ctx context.Context, who audit.Caller, o Organization) (Organization, error) {
	o.ID = orMade(o.ID, o.Name)
	if err := s.Audit.Allow(ctx, who, audit.OrganizationCreate, scope.Scope{Account: o.Account}, "organization/"+o.ID); err != nil {
		return Organization{}, err
	}
	if err := check("organization", o.ID, o.Name, o.Tags).Err(); err != nil {
		return Organization{}, err
	}
	o.CreatedAt = s.Now().UTC()
	o.UpdatedAt = o.CreatedAt
	return o, s.Store.CreateOrganization(ctx, o)
}

// UpdateOrganization changes what an organization says of itself.
func (s *Service) UpdateOrganization(ctx context.Context, who audit.Caller, o Organization) (Organization, error) {
	if err := s.Audit.Allow(ctx, who, audit.OrganizationUpdate, scope.Scope{Account: o.Account}, "organization/"+o.ID); err != nil {
		return Organization{}, err
	}
	if err := check("organization", o.ID, o.Name, o.Tags).Err(); err != nil {
		return Organization{}, err
	}
	return s.Store.UpdateOrganization(ctx, o.Account, o.ID, func(old Organization) (Organization, error) {
		o.CreatedAt, o.UpdatedAt = old.CreatedAt, s.Now().UTC()
		return o, nil
	})
}

// Organization reads one.
func (s *Service) Organization(ctx context.Context, who audit.Caller, id string) (Organization, error) {
	if err := s.Audit.Allow(ctx, who, audit.OrganizationRead, scope.Scope{Account: who.Account, Org: id}, "organization/"+id); err != nil {
		return Organization{}, err
	}
	return s.Store.Organization(ctx, who.Account, id)
}

// Organizations lists those that the caller may read.
func (s *Service) Organizations(ctx context.Context, who audit.Caller, f Filter) ([]Organization, int, error) {
	f.Account = who.Account
	if err := s.Audit.Allow(ctx, who, audit.OrganizationRead, scope.Scope{Account: who.Account}, "organization"); err != nil {
		return nil, 0, err
	}
	return s.Store.Organizations(ctx, f)
}

// DeleteOrganization removes an organization with everything inside it.
func (s *Service) DeleteOrganization(ctx context.Context, who audit.Caller, id string) error {
	if err := s.Audit.Allow(ctx, who, audit.OrganizationDelete, scope.Scope{Account: who.Account}, "organization/"+id); err != nil {
		return err
	}
	if id == DefaultOrganization {
		return fault.New(fault.Invalid, "the organization %q stays: entities that name no organization belong to it", id)
	}
	return s.deleted(scope.Scope{Account: who.Account, Org: id}, s.Store.DeleteOrganization(ctx, who.Account, id))
}

// CreateProject adds a project to an organization.
func (s *Service) CreateProject(ctx context.Context, who audit.Caller, p Project) (Project, error) {
	at := scope.Scope{Account: p.Account, Org: p.Org}
	p.ID = orMade(p.ID, p.Name)
	if err := s.Audit.Allow(ctx, who, audit.ProjectCreate, at, "project/"+p.ID); err != nil {
		return Project{}, err
	}
	if err := check("project", p.ID, p.Name, p.Tags).Err(); err != nil {
		return Project{}, err
	}
	if err := s.Exists(ctx, at); err != nil {
		return Project{}, err
	}
	if p.Color == "" {
		p.Color = DefaultColor
	}
	p.CreatedAt = s.Now().UTC()
	p.UpdatedAt = p.CreatedAt
	return p, s.Store.CreateProject(ctx, p)
}

// UpdateProject changes what a project says of itself. A colour or modules that are not sent stay as they are.
func (s *Service) UpdateProject(ctx context.Context, who audit.Caller, p Project) (Project, error) {
	at := scope.Scope{Account: p.Account, Org: p.Org, Project: p.ID}
	if err := s.Audit.Allow(ctx, who, audit.ProjectUpdate, at, "project/"+p.ID); err != nil {
		return Project{}, err
	}
	if err := check("project", p.ID, p.Name, p.Tags).Err(); err != nil {
		return Project{}, err
	}
	return s.Store.UpdateProject(ctx, p.Account, p.Org, p.ID, func(old Project) (Project, error) {
		if p.Color == "" {
			p.Color = old.Color
		}
		if p.Modules == nil {
			p.Modules = old.Modules
		}
		p.CreatedAt, p.UpdatedAt = old.CreatedAt, s.Now().UTC()
		return p, nil
	})
}

// Project reads one.
func (s *Service) Project(ctx context.Context, who audit.Caller, org, id string) (Project, error) {
	at := scope.Scope{Account: who.Account, Org: org, Project: id}
	if err := s.Audit.Allow(ctx, who, audit.ProjectRead, at, "project/"+id); err != nil {
		return Project{}, err
	}
	return s.Store.Project(ctx, who.Account, org, id)
}

// Projects lists those of one organization, or of all.
func (s *Service) Projects(ctx context.Context, who audit.Caller, f Filter) ([]Project, int, error) {
	f.Account = who.Account
	if err := s.Audit.Allow(ctx, who, audit.ProjectRead, scope.Scope{Account: who.Account, Org: f.Org}, "project"); err != nil {
		return nil, 0, err
	}
	return s.Store.Projects(ctx, f)
}

// DeleteProject removes a project with everything inside it.
func (s *Service) DeleteProject(ctx context.Context, who audit.Caller, org, id string) error {
	at := scope.Scope{Account: who.Account, Org: org, Project: id}
	if err := s.Audit.Allow(ctx, who, audit.ProjectDelete, at, "project/"+id); err != nil {
		return err
	}
	return s.deleted(at, s.Store.DeleteProject(ctx, who.Account, org, id))
}

func (s *Service) deleted(at scope.Scope, err error) error {
	if err == nil && s.Deleted != nil {
		s.Deleted(at)
	}
	return err
}

func orMade(id, name string) string {
	if id == "" {
		return scope.IdentifierFromName(name)
	}
	return id
}

func check(kind, id, name string, tags map[string]string) fault.Problems {
	var problems fault.Problems
	if p := scope.CheckIdentifier(id); p != "" {
		problems.Add(kind+".identifier", p)
	}
	if p := scope.CheckName(name); p != "" {
		problems.Add(kind+".name", p)
	}
	if len(tags) > scope.MaxTags {
		problems.Add(kind+".tags", fmt.Sprintf("has %d tags, at most %d are allowed", len(tags), scope.MaxTags))
	}
	return problems
}
