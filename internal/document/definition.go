package document

import (
	"bytes"
	"encoding/json"
	"maps"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/belay-dev/belay/internal/firstgen"
	"github.com/belay-dev/belay/internal/infra"
	"github.com/belay-dev/belay/internal/nextgen"
	"github.com/belay-dev/belay/internal/scope"
)

// infraKind is the domain's word for a kind, or "" for one that is no definition.
func infraKind(k Kind) infra.Kind {
	switch k {
	case Service:
		return infra.Service
	case Environment:
		return infra.Environment
	case Infrastructure:
		return infra.Infrastructure
	case Connector, Secret, Organization, Project:
	}
	return ""
}

// whole reports whether a document is a definition's own, which the manager keeps byte for byte, rather than the fields of
// the API with that document under yaml.
func whole(kind Kind, body *yaml.Node) bool {
	if infraKind(kind) == "" || body.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i+1 < len(body.Content); i += 2 {
		if body.Content[i].Value == "yaml" {
			return false
		}
	}
	return true
}

// definition reads a definition's own document.
func (d *doc) definition(kind Kind, body pair, given scope.Scope) (Entity, bool) {
	text := d.text0
	if first, rest, _ := bytes.Cut(text, []byte("\n")); marker(text) && len(bytes.TrimSpace(first)) == len("---") {
		text = rest // the line that parts it from the document before belongs to neither
	}
	values := map[string]any{"yaml": string(text)}
	read := infra.Definition{Kind: infraKind(kind), YAML: string(text)}
	_ = read.Complete() // problems are found by check
	if read.Scope.Org != "" {
		values["orgIdentifier"] = read.Scope.Org
	}
	if read.Scope.Project != "" {
		values["projectIdentifier"] = read.Scope.Project
	}
	e := Entity{Kind: kind, Name: read.Name, ID: read.ID, File: d.file, Line: body.key.Line, Column: body.key.Column}
	e.Scope = d.scope(kind, values, given)
	d.checkDefinition(&e, values)
	return d.finished(e, values)
}

// checkDefinition asks the domain, and fills in what the document says.
func (d *doc) checkDefinition(e *Entity, values map[string]any) {
	var wire nextgen.Definition
	if err := through(values, &wire); err != nil {
		d.under(string(e.Kind), "cannot be translated: "+err.Error())
		return
	}
	def := wire.Domain("", infraKind(e.Kind))
	problems := def.Complete()
	problems = append(problems, def.Check()...)
	for _, p := range problems {
		at := string(e.Kind) + "." + p.Path
		if inner, ok := strings.CutPrefix(p.Path, "yaml."); ok {
			at = inner
		}
		if !d.reported(at) {
			d.under(at, p.Message)
		}
	}
	e.Name, e.ID, e.Within = def.Name, def.ID, def.Environment
	var all map[string]any
	if err := through(nextgen.FromDefinition(def), &all); err != nil {
		return
	}
	maps.Copy(values, all)
}

// firstGen reads the cloud provider of an older client. Its name is that of its file.
func (d *doc) firstGen(root *yaml.Node, given scope.Scope) (Entity, bool) {
	file := path.Base(strings.ReplaceAll(d.file, `\`, "/"))
	name := strings.TrimSuffix(strings.TrimSuffix(file, ".yaml"), ".yml")
	provider, problems := firstgen.Parse(d.text0, true)
	if name == file {
		d.at(root, "", "a FirstGen document has the name of its file, NAME.yaml")
	}
	if given.Org != "" {
		d.at(root, "", "a FirstGen document belongs to the account, but %s was asked for outside of the file", given)
	}
	for _, p := range problems {
		d.under(strings.TrimPrefix(p.Path, "yamlContent"), p.Message)
	}
	if len(d.problems) > 0 {
		return Entity{}, false
	}
	c := provider.Connector("", name, firstgen.SecretID)
	for _, p := range c.Check() {
		d.under("", p.Path+" "+p.Message)
	}
	var values map[string]any
	if err := through(nextgen.FromConnector(c), &values); err != nil {
		d.under("", "cannot be translated: "+err.Error())
		return Entity{}, false
	}
	return d.finished(Entity{
		Kind: Connector, ID: c.ID, Name: name, Connector: &c, Warnings: c.Warnings(), File: d.file, Line: root.Line, Column: root.Column,
	}, values)
}

// finished gives an entity its body.
func (d *doc) finished(e Entity, values map[string]any) (Entity, bool) {
	var err error
	if e.Body, err = json.Marshal(values); err != nil {
		d.under(string(e.Kind), "cannot be written as JSON: "+err.Error())
		return Entity{}, false
	}
	return e, true
}

// older reports whether a document is one of FirstGen.
func older(root *yaml.Node) bool {
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == "harnessApiVersion" {
			return true
		}
	}
	return false
}
