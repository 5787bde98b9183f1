package nextgen

import (
	"github.com/belay-dev/belay/internal/infra"
	"github.com/belay-dev/belay/internal/scope"
)

// Definition is a service, an environment or an infrastructure definition as it is sent, without an outer key.
type Definition struct {
	AccountID         string            `json:"accountId,omitempty"` // in answers only
	Identifier        string            `json:"identifier"`
	OrgIdentifier     string            `json:"orgIdentifier,omitempty"`
	ProjectIdentifier string            `json:"projectIdentifier,omitempty"`
	EnvironmentRef    string            `json:"environmentRef,omitempty"` // of an infrastructure definition
	Name              string            `json:"name"`
	Description       string            `json:"description,omitempty"`
	Tags              map[string]string `json:"tags,omitzero"`
	Color             string            `json:"color,omitempty"`          // of an environment
	Type              string            `json:"type,omitempty"`           // of an environment and of an infrastructure definition
	DeploymentType    string            `json:"deploymentType,omitempty"` // of an infrastructure definition
	YAML              string            `json:"yaml,omitempty"`           // as it was sent
}

// Domain translates a definition. Fields of other kinds are passed over.
func (b Definition) Domain(account string, kind infra.Kind) infra.Definition {
	d := infra.Definition{
		Kind: kind, Scope: scope.Scope{Account: account, Org: b.OrgIdentifier, Project: b.ProjectIdentifier},
		ID: b.Identifier, Name: b.Name, Description: b.Description, Tags: b.Tags, YAML: b.YAML,
	}
	switch kind {
	case infra.Environment:
		d.Color, d.Type = b.Color, b.Type
	case infra.Infrastructure:
		d.Environment, d.Type, d.Deployment = b.EnvironmentRef, b.Type, b.DeploymentType
	case infra.Service:
	}
	return d
}

// FromDefinition is the definition as it was sent.
func FromDefinition(d infra.Definition) Definition {
	return Definition{
		AccountID: d.Scope.Account, Identifier: d.ID, OrgIdentifier: d.Scope.Org, ProjectIdentifier: d.Scope.Project,
		EnvironmentRef: d.Environment, Name: d.Name, Description: d.Description, Tags: d.Tags, Color: d.Color, Type: d.Type,
		DeploymentType: d.Deployment, YAML: d.YAML,
	}
}

// DefinitionResponse is a definition with its times. One of the three is set.
type DefinitionResponse struct {
	Service        *Definition `json:"service,omitempty"`
	Environment    *Definition `json:"environment,omitempty"`
	Infrastructure *Definition `json:"infrastructure,omitempty"`
	CreatedAt      int64       `json:"createdAt"`
	LastModifiedAt int64       `json:"lastModifiedAt"`
	Validity       any         `json:"entityValidityDetails"` // always null
	Governance     any         `json:"governanceMetadata"`    // always null
}

// FromStoredDefinition is a definition with its times.
func FromStoredDefinition(d infra.Definition) DefinitionResponse {
	r := DefinitionResponse{CreatedAt: millis(d.CreatedAt), LastModifiedAt: millis(d.UpdatedAt)}
	body := FromDefinition(d)
	switch d.Kind {
	case infra.Service:
		r.Service = &body
	case infra.Environment:
		r.Environment = &body
	case infra.Infrastructure:
		r.Infrastructure = &body
	}
	return r
}
