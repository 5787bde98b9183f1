package document

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/belay-dev/belay/internal/scope"
)

// readOnly are what the API answers beside an entity. They are passed over, so that what `get -o yaml` wrote can be
// applied again.
func readOnly() []string {
	return []string{
		"createdAt", "lastModifiedAt", "updatedAt", "status", "activityDetails", "harnessManaged", "gitDetails",
		"entityValidityDetails", "governanceMetadata", "draft",
	}
}

// entity reads the tree of one document.
func (d *doc) entity(root *yaml.Node, at scope.Scope) (Entity, bool) {
	root, ok := d.follow(root, "", 0)
	if !ok {
		return Entity{}, false
	}
	d.positions[""] = position{root.Line, root.Column}
	if root.Kind != yaml.MappingNode {
		d.at(root, "", "%s; a document has one of the keys %s", typeOf(root), or(kinds()))
		return Entity{}, false
	}
	if older(root) {
		return d.firstGen(root, at)
	}
	kind, body, ok := d.kind(root)
	if !ok {
		return Entity{}, false
	}
	if whole(kind, body.value) {
		d.positions[string(kind)] = position{body.key.Line, body.key.Column}
		return d.definition(kind, body, at)
	}
	shape, _ := schema(kind)
	path := string(kind)
	d.positions[path] = position{body.key.Line, body.key.Column}
	if body.value.Kind == yaml.ScalarNode && body.value.Tag == "!!null" {
		d.at(body.key, path, "is empty; name is required")
		return Entity{}, false
	}
	values := d.object(body.value, path, shape, 1)
	if values == nil {
		return Entity{}, false
	}
	e := Entity{Kind: kind, File: d.file, Line: body.key.Line, Column: body.key.Column}
	e.Name, _ = values["name"].(string)
	e.ID, _ = values["identifier"].(string)
	if e.ID == "" {
		e.ID = scope.IdentifierFromName(e.Name)
	}
	if e.ID != "" {
		values["identifier"] = e.ID
	}
	e.Scope = d.scope(kind, values, at)
	d.check(&e, values)
	return d.finished(e, values)
}

// kind finds the one key that says what the document describes.
func (d *doc) kind(root *yaml.Node) (Kind, pair, bool) {
	var found []pair
	for _, p := range d.pairs(root, "") {
		switch {
		case slices.Contains(kinds(), p.key.Value):
			found = append(found, p)
		case slices.Contains(readOnly(), p.key.Value):
		default:
			d.at(p.key, clip(p.key.Value), "is not known; a document has one of the keys %s%s", or(kinds()), suggestion(p.key.Value, kinds()))
		}
	}
	switch len(found) {
	case 0:
		if len(d.problems) == 0 {
			d.at(root, "", "says not what it describes; it has one of the keys %s", or(kinds()))
		}
		return "", pair{}, false
	case 1:
		return Kind(found[0].key.Value), found[0], true
	}
	d.at(found[1].key, found[1].key.Value, "stands beside %s on line %d; put each in a document of its own, with --- between", found[0].key.Value, found[0].key.Line)
	return "", pair{}, false
}

// scope is where the entity lives: what it says itself, else what was given from outside. The two may not differ.
func (d *doc) scope(kind Kind, values map[string]any, given scope.Scope) scope.Scope {
	if kind == Organization {
		return scope.Scope{}
	}
	say := func(key, from string) string {
		said, _ := values[key].(string)
		switch {
		case said == "" && from != "":
			values[key] = from
			return from
		case said != "" && from != "" && said != from:
			path := string(kind) + "." + key
			d.under(path, "is "+said+", but "+from+" was asked for outside of the file")
			d.settled(path)
		}
		return said
	}
	at := scope.Scope{Org: say("orgIdentifier", given.Org)}
	if kind != Project {
		at.Project = say("projectIdentifier", given.Project)
	}
	return at
}

// check asks the domain, and leaves out what was reported already.
func (d *doc) check(e *Entity, values map[string]any) {
	path := string(e.Kind)
	add := func(at, message string) {
		if message != "" && !d.reported(at) {
			d.under(at, message)
		}
	}
	if e.ID == "" && d.reported(path+".name") {
		d.settled(path + ".identifier") // it would be made from the name
	}
	switch e.Kind {
	case Connector:
		d.moveRegion(values)
		if _, ok := values["spec"].(map[string]any); !ok {
			add(path+".spec", "is required: it holds the credential")
			return
		}
		if spec, _ := values["spec"].(map[string]any); spec["credential"] == nil {
			add(path+".spec.credential", "is required: how the connector gets its credentials")
			d.settled(path + ".spec.credential")
		}
		c, problems := d.connector(values)
		for _, p := range problems {
			add(p.Path, p.Message)
		}
		if len(problems) == 0 {
			e.Connector, e.Warnings = c, c.Warnings()
		}
	case Secret:
		add(path+".name", scope.CheckName(e.Name))
		add(path+".identifier", idProblem(e, scope.CheckSecretIdentifier))
		if e.Scope.Project != "" && e.Scope.Org == "" {
			add(path+".orgIdentifier", "is required: project "+e.Scope.Project+" belongs to an organization")
		}
		d.checkSecret(values)
	case Service, Environment, Infrastructure:
		d.checkDefinition(e, values)
	case Organization, Project:
		add(path+".name", scope.CheckName(e.Name))
		add(path+".identifier", idProblem(e, scope.CheckIdentifier))
		if e.Kind == Project && e.Scope.Org == "" {
			add(path+".orgIdentifier", "is required: a project belongs to an organization, such as default")
		}
	}
}

// idProblem says nothing of the identifier where the name is what lacks.
func idProblem(e *Entity, check func(string) string) string {
	if e.ID == "" && strings.TrimSpace(e.Name) == "" {
		return ""
	}
	if e.ID == "" {
		return "is required: none can be made from the name " + e.Name + ", which has no letter a-z or digit"
	}
	return check(e.ID)
}

// moveRegion puts a region that stands directly under a spec, the connector's or the credential's, where the API has it.
// Some published samples write it so.
func (d *doc) moveRegion(values map[string]any) {
	spec, _ := values["spec"].(map[string]any)
	credential, _ := spec["credential"].(map[string]any)
	inner, _ := credential["spec"].(map[string]any)
	const belongs = "connector.spec.credential.region"
	for _, from := range []struct {
		path string
		in   map[string]any
	}{{"connector.spec.credential.spec.region", inner}, {"connector.spec.region", spec}} {
		region, there := from.in["region"]
		if !there {
			continue
		}
		delete(from.in, "region")
		switch {
		case credential == nil:
		case credential["region"] == nil:
			credential["region"] = region
			d.positions[belongs] = d.positions[from.path]
		default:
			d.under(from.path, "stands beside "+belongs+"; keep that one")
		}
	}
}

// checkSecret refuses a value: what lies in a file gets committed, mailed and logged.
func (d *doc) checkSecret(values map[string]any) {
	spec, _ := values["spec"].(map[string]any)
	const value = "secret.spec.value"
	kind, _ := spec["valueType"].(string)
	switch {
	case kind == "Reference":
		if spec["value"] == nil && !d.reported(value) {
			d.under(value, "is required: the path in the other secret manager")
		}
	case kind == "CustomSecretManagerValues":
	case kind != "" && kind != "Inline":
		if !d.reported("secret.spec.valueType") {
			d.under("secret.spec.valueType", "is "+clip(kind)+"; use Inline, Reference or CustomSecretManagerValues")
		}
	case spec["value"] != nil && !d.values:
		d.under(value, "a secret's value does not belong in a file; remove it, and set it with `belay secret set`")
	}
}

// settled remembers that a field was reported, so that the domain does not report it again.
func (d *doc) settled(path string) {
	if d.done == nil {
		d.done = map[string]bool{}
	}
	d.done[path] = true
}

func (d *doc) reported(path string) bool {
	for {
		if d.done[path] {
			return true
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return false
		}
		path = path[:cut]
	}
}
