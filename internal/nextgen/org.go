package nextgen

import "github.com/belay-dev/belay/internal/org"

// OrganizationEnvelope is an organization as it is sent.
type OrganizationEnvelope struct {
	Organization Organization `json:"organization"`
}

// Organization groups projects.
type Organization struct {
	Identifier  string            `json:"identifier"`
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Tags        map[string]string `json:"tags,omitzero"`
}

// Domain translates an organization.
func (b Organization) Domain(account string) org.Organization {
	return org.Organization{Account: account, ID: b.Identifier, Name: b.Name, Description: b.Description, Tags: b.Tags}
}

// FromOrganization is the organization as it was sent.
func FromOrganization(o org.Organization) Organization {
	return Organization{Identifier: o.ID, Name: o.Name, Description: o.Description, Tags: o.Tags}
}

// OrganizationResponse is an organization with its times.
type OrganizationResponse struct {
	Organization   Organization `json:"organization"`
	CreatedAt      int64        `json:"createdAt"`
	LastModifiedAt int64        `json:"lastModifiedAt"`
	HarnessManaged bool         `json:"harnessManaged"` // true for the organization that every account has
}

// FromStoredOrganization is an organization with its times.
func FromStoredOrganization(o org.Organization) OrganizationResponse {
	return OrganizationResponse{
		Organization: FromOrganization(o), CreatedAt: millis(o.CreatedAt), LastModifiedAt: millis(o.UpdatedAt),
		HarnessManaged: o.ID == org.DefaultOrganization,
	}
}

// ProjectEnvelope is a project as it is sent.
type ProjectEnvelope struct {
	Project Project `json:"project"`
}

// Project is the narrowest scope.
type Project struct {
	OrgIdentifier string            `json:"orgIdentifier"`
	Identifier    string            `json:"identifier"`
	Name          string            `json:"name"`
	Color         string            `json:"color,omitempty"`
	Modules       []string          `json:"modules,omitzero"`
	Description   string            `json:"description,omitempty"`
	Tags          map[string]string `json:"tags,omitzero"`
}

// Domain translates a project.
func (b Project) Domain(account string) org.Project {
	return org.Project{
		Account: account, Org: b.OrgIdentifier, ID: b.Identifier, Name: b.Name, Description: b.Description,
		Color: b.Color, Modules: b.Modules, Tags: b.Tags,
	}
}

// FromProject is the project as it was sent, with the colour that it got.
func FromProject(p org.Project) Project {
	modules := p.Modules
	if modules == nil {
		modules = []string{}
	}
	return Project{
		OrgIdentifier: p.Org, Identifier: p.ID, Name: p.Name, Color: p.Color, Modules: modules, Description: p.Description, Tags: p.Tags,
	}
}

// ProjectResponse is a project with its times.
type ProjectResponse struct {
	Project        Project `json:"project"`
	CreatedAt      int64   `json:"createdAt"`
	LastModifiedAt int64   `json:"lastModifiedAt"`
}

// FromStoredProject is a project with its times.
func FromStoredProject(p org.Project) ProjectResponse {
	return ProjectResponse{Project: FromProject(p), CreatedAt: millis(p.CreatedAt), LastModifiedAt: millis(p.UpdatedAt)}
}
