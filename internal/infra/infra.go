// Package infra keeps what deployments speak of: services, environments and infrastructure definitions.
//
// Each is a few fields and a YAML document, which is kept byte for byte, because clients compare what they read with what
// they wrote. What the fields do not say is taken from the document. An infrastructure definition of a type that belongs
// to AWS is checked for what that type needs (the public entity schema); one of another type is kept as it is.
package infra

import (
	"context"
	"log/slog"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// Kind is one of the three.
type Kind string

// The kinds.
const (
	Service        Kind = "service"
	Environment    Kind = "environment"
	Infrastructure Kind = "infrastructure"
)

// Definition is a service, an environment or an infrastructure definition.
type Definition struct {
	Kind  Kind
	Scope scope.Scope
	// Environment is where an infrastructure definition lies, as it was written; empty for the other kinds.
	Environment string
	ID          string // unique in its kind, scope and environment; immutable
	Name        string
	Description string
	Tags        map[string]string
	Color       string // of an environment
	// Type is PreProduction or Production for an environment; for an infrastructure definition what it runs on, such as ECS.
	Type       string
	Deployment string // of an infrastructure definition: its deployment type
	YAML       string // as it came; empty when none did
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Filter narrows a listing. Zero fields do not narrow; those that are set must all hold.
type Filter struct {
	Kind        Kind
	Scope       scope.Scope
	Environment string // of infrastructure definitions
	Search      string
	IDs         []string
	Deployment  string
	Sort        Sort
	Descending  bool
	Offset      int
	Limit       int
}

// Sort is the order of a listing. Where a search is given, exact names come first in any order.
type Sort string

// The orders.
const (
	ByName    Sort = "name"
	ByID      Sort = "identifier"
	ByUpdated Sort = "lastModifiedAt"
	ByCreated Sort = "createdAt"
)

type store interface {
	CreateDefinition(ctx context.Context, d Definition) error // Conflict when it is there
	UpdateDefinition(ctx context.Context, key Definition, change func(Definition) (Definition, error)) (Definition, error)
	Definition(ctx context.Context, key Definition) (Definition, error)
	Definitions(ctx context.Context, f Filter) ([]Definition, int, error)
	// DefinitionsWith are those inside a scope whose documents hold a text.
	DefinitionsWith(ctx context.Context, in scope.Scope, text string, limit int) ([]Definition, error)
	DeleteDefinition(ctx context.Context, key Definition) error // an environment with what lies in it
}

type scopes interface {
	Exists(ctx context.Context, at scope.Scope) error
}

// Keeper is definitions with their rules.
type Keeper struct {
	Store  store
	Scopes scopes
	Audit  *audit.Trail
	Log    *slog.Logger
	Now    func() time.Time
}

// verb is what is done to a definition.
type verb int

const (
	read verb = iota
	create
	update
	remove
)

func action(k Kind, v verb) audit.Action {
	switch k {
	case Service:
		return [...]audit.Action{audit.ServiceRead, audit.ServiceCreate, audit.ServiceUpdate, audit.ServiceDelete}[v]
	case Environment:
		return [...]audit.Action{audit.EnvironmentRead, audit.EnvironmentCreate, audit.EnvironmentUpdate, audit.EnvironmentDelete}[v]
	case Infrastructure:
	}
	return [...]audit.Action{audit.InfrastructureRead, audit.InfrastructureCreate, audit.InfrastructureUpdate, audit.InfrastructureDelete}[v]
}

func (k *Keeper) allow(ctx context.Context, who audit.Caller, v verb, d Definition) error {
	return k.Audit.Allow(ctx, who, action(d.Kind, v), d.Scope, string(d.Kind)+"/"+d.ID)
}

// Create adds a definition, with what its YAML says where the fields do not.
func (k *Keeper) Create(ctx context.Context, who audit.Caller, d Definition) (Definition, error) {
	problems := d.Complete()
	if err := k.allow(ctx, who, create, d.bounded()); err != nil {
		return Definition{}, err
	}
	if err := k.check(ctx, d, problems); err != nil {
		return Definition{}, err
	}
	d.CreatedAt = k.Now().UTC()
	d.UpdatedAt = d.CreatedAt
	if err := k.Store.CreateDefinition(ctx, d); err != nil {
		return Definition{}, err
	}
	return k.Store.Definition(ctx, d)
}

// Update replaces a definition.
func (k *Keeper) Update(ctx context.Context, who audit.Caller, d Definition) (Definition, error) {
	problems := d.Complete()
	if err := k.allow(ctx, who, update, d.bounded()); err != nil {
		return Definition{}, err
	}
	if err := k.check(ctx, d, problems); err != nil {
		return Definition{}, err
	}
	return k.Store.UpdateDefinition(ctx, d, func(old Definition) (Definition, error) {
		d.CreatedAt, d.UpdatedAt = old.CreatedAt, k.Now().UTC()
		return d, nil
	})
}

// check reports every problem of the input, and the scope's absence among them.
func (k *Keeper) check(ctx context.Context, d Definition, problems fault.Problems) error {
	problems = append(problems, d.Check()...)
	if err := k.Scopes.Exists(ctx, d.Scope); fault.KindOf(err) == fault.Invalid {
		path := "orgIdentifier"
		if d.Scope.Project != "" && d.Scope.Org != "" {
			path = "projectIdentifier"
		}
		problems.Add(path, fault.Sentence(err))
	} else if err != nil {
		return err
	}
	return problems.Err()
}

// Definition reads one by kind, scope, environment and identifier.
func (k *Keeper) Definition(ctx context.Context, who audit.Caller, key Definition) (Definition, error) {
	if err := k.allow(ctx, who, read, key.bounded()); err != nil {
		return Definition{}, err
	}
	return k.Store.Definition(ctx, key)
}

// Definitions lists those that the filter leaves, and how many there are without paging.
func (k *Keeper) Definitions(ctx context.Context, who audit.Caller, f Filter) ([]Definition, int, error) {
	if err := k.Audit.Allow(ctx, who, action(f.Kind, read), f.Scope, string(f.Kind)); err != nil {
		return nil, 0, err
	}
	return k.Store.Definitions(ctx, f)
}

// Delete removes a definition; an environment goes with the infrastructure definitions in it.
func (k *Keeper) Delete(ctx context.Context, who audit.Caller, key Definition) error {
	if err := k.allow(ctx, who, remove, key.bounded()); err != nil {
		return err
	}
	return k.Store.DeleteDefinition(ctx, key)
}

// bounded is the definition with an identifier that the audit log can keep.
func (d Definition) bounded() Definition {
	if len(d.ID) > scope.MaxIdentifier {
		d.ID = d.ID[:scope.MaxIdentifier]
	}
	return d
}
