package infra

import (
	"context"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/scope"
)

// mostUsers bounds how many definitions are looked through for a reference.
const mostUsers = 500

// Users are the definitions whose documents name a connector in a field connectorRef, by kind and name; whole says that
// there are no more than were looked at.
func (k *Keeper) Users(ctx context.Context, who audit.Caller, at scope.Scope, connector string) (_ []Definition, whole bool, err error) {
	if err := k.Audit.Allow(ctx, who, audit.ConnectorRead, at, "connector/"+connector); err != nil {
		return nil, false, err
	}
	list, err := k.Store.DefinitionsWith(ctx, at, connector, mostUsers+1)
	if err != nil {
		return nil, false, err
	}
	whole = len(list) <= mostUsers
	return slices.DeleteFunc(list, func(d Definition) bool { return !d.Names(at, connector) || !who.May(action(d.Kind, read), d.Scope) }), whole, nil
}

// Names reports whether the document refers to a connector. One that cannot be read refers to nothing.
func (d Definition) Names(at scope.Scope, connector string) bool {
	var root yaml.Node
	if len(d.YAML) > maxYAML || yaml.Unmarshal([]byte(d.YAML), &root) != nil {
		return false
	}
	return anyRef(&root, func(ref string) bool {
		home, id, err := scope.Ref(ref).In(d.Scope)
		return err == nil && id == connector && home == at
	})
}

// anyRef looks through a document for a connectorRef. Aliases are not followed: what they stand for is looked at where it is.
func anyRef(n *yaml.Node, is func(ref string) bool) bool {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == "connectorRef" && n.Content[i+1].Kind == yaml.ScalarNode && is(n.Content[i+1].Value) {
				return true
			}
		}
	}
	return slices.ContainsFunc(n.Content, func(inside *yaml.Node) bool { return anyRef(inside, is) })
}
