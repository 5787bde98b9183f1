package document

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/belay-dev/belay/internal/nextgen"
)

// shape is what a field may hold.
//
//sumtype:decl
type shape interface{ isShape() }

type (
	// text is a string. A number that is written without quotes is taken as it is written: 0123 stays 0123.
	text struct{}
	// number is a whole number.
	number struct{}
	// flag is true or false.
	flag struct{}
	// list is a list of texts.
	list struct{}
	// tags are keys with a text each.
	tags struct{}
	// anything is kept as it is.
	anything struct{}
	// object has fields, in the order in which they are written. Where types is set, it also has a field type with one of
	// those names, and a field spec whose shape the type decides.
	object struct {
		fields []field
		types  []variant
		// free objects have whatever fields they have, kept as they are.
		free bool
	}
)

// field is one field of an object.
type field struct {
	name  string
	shape shape
	// dropped fields are known, since other programs write them, and mean nothing.
	dropped bool
	// misplaced fields are read, since some documentation has them there, but nobody is told to write them.
	misplaced bool
}

// variant is one type of an object. Without a spec it has none.
type variant struct {
	name string
	spec *object
}

func (text) isShape()     {}
func (number) isShape()   {}
func (flag) isShape()     {}
func (list) isShape()     {}
func (tags) isShape()     {}
func (anything) isShape() {}
func (object) isShape()   {}

// schema is the shape of a kind.
func schema(k Kind) (object, bool) {
	switch k {
	case Connector:
		return object{fields: common(true), types: []variant{{"Aws", awsSpec()}, {"K8sCluster", &object{free: true}}}}, true
	case Secret:
		spec := &object{fields: []field{
			{name: "secretManagerIdentifier", shape: text{}},
			{name: "valueType", shape: text{}},
			{name: "value", shape: text{}},
			{name: "additionalMetadata", shape: anything{}},
			{name: "type", shape: anything{}, dropped: true},
		}}
		return object{fields: append(common(true), field{name: "privateSecret", shape: flag{}}), types: []variant{{"SecretText", spec}}}, true
	case Service, Environment, Infrastructure:
		fields := append(common(true), field{name: "yaml", shape: text{}}, field{name: "accountId", shape: text{}, dropped: true})
		if k != Service {
			fields = append(fields, field{name: "type", shape: text{}})
		}
		switch k {
		case Environment:
			fields = append(fields, field{name: "color", shape: text{}})
		case Infrastructure:
			fields = append(fields, field{name: "environmentRef", shape: text{}}, field{name: "deploymentType", shape: text{}})
		case Connector, Secret, Organization, Project, Service:
		}
		return object{fields: fields}, true
	case Organization:
		return object{fields: common(false)}, true
	case Project:
		fields := append(common(false), field{name: "orgIdentifier", shape: text{}}, field{name: "color", shape: text{}}, field{name: "modules", shape: list{}})
		return object{fields: fields}, true
	}
	return object{}, false
}

func kinds() []string {
	return []string{string(Connector), string(Secret), string(Organization), string(Project), string(Service), string(Environment), string(Infrastructure)}
}

func common(scoped bool) []field {
	fields := []field{
		{name: "name", shape: text{}},
		{name: "identifier", shape: text{}},
		{name: "description", shape: text{}},
		{name: "tags", shape: tags{}},
		{name: "_", shape: anything{}, dropped: true},
	}
	if scoped {
		fields = slices.Insert(fields, 3, field{name: "orgIdentifier", shape: text{}}, field{name: "projectIdentifier", shape: text{}})
	}
	return fields
}

func awsSpec() *object {
	manual := &object{fields: []field{
		{name: "accessKey", shape: text{}},
		{name: "accessKeyRef", shape: text{}},
		{name: "secretKeyRef", shape: text{}},
		{name: "sessionTokenRef", shape: text{}},
		{name: "region", shape: text{}, misplaced: true}, // see moveRegion
	}}
	oidc := &object{fields: []field{
		{name: "iamRoleArn", shape: text{}}, {name: "oidcSessionTagKeys", shape: list{}}, {name: "region", shape: text{}, misplaced: true},
	}}
	cross := object{fields: []field{
		{name: "crossAccountRoleArn", shape: text{}}, {name: "externalId", shape: text{}}, {name: "assumeRoleSessionDuration", shape: number{}},
	}}
	credential := object{
		fields: []field{{name: "crossAccountAccess", shape: cross}, {name: "region", shape: text{}}},
		types:  []variant{{"ManualConfig", manual}, {"InheritFromDelegate", nil}, {"Irsa", nil}, {"OidcAuthentication", oidc}},
	}
	fixed := &object{fields: []field{{name: "fixedBackoff", shape: number{}}, {name: "retryCount", shape: number{}}}}
	jitter := &object{fields: []field{{name: "baseDelay", shape: number{}}, {name: "maxBackoffTime", shape: number{}}, {name: "retryCount", shape: number{}}}}
	backoff := object{types: []variant{{"FixedDelayBackoffStrategy", fixed}, {"EqualJitterBackoffStrategy", jitter}, {"FullJitterBackoffStrategy", jitter}}}
	return &object{fields: []field{
		{name: "credential", shape: credential},
		{name: "awsSdkClientBackOffStrategyOverride", shape: backoff},
		{name: "delegateSelectors", shape: list{}},
		{name: "executeOnDelegate", shape: flag{}},
		{name: "proxy", shape: flag{}},
		{name: "proxyUrl", shape: text{}},
		{name: "ignoreTestConnection", shape: flag{}},
		{name: "connectorType", shape: anything{}, dropped: true},
		{name: "region", shape: text{}, misplaced: true}, // see moveRegion
	}}
}

// all are the fields of the object, given which of its types it has.
func (o object) all(chosen *variant) []field {
	fields := slices.Clone(o.fields)
	if len(o.types) == 0 {
		return fields
	}
	fields = append(fields, field{name: "type", shape: text{}})
	switch {
	case chosen == nil:
		fields = append(fields, field{name: "spec", shape: anything{}})
	case chosen.spec == nil:
		fields = append(fields, field{name: "spec", shape: object{}})
	default:
		fields = append(fields, field{name: "spec", shape: *chosen.spec})
	}
	return fields
}

// object reads a mapping by its shape. What is wrong with it is reported and left out.
func (d *doc) object(n *yaml.Node, path string, shape object, depth int) map[string]any {
	n, ok := d.follow(n, path, depth)
	if !ok {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		d.wrong(n, path, "fields below it are")
		return nil
	}
	if shape.free {
		kept, _ := d.anything(n, path, depth).(map[string]any)
		return kept
	}
	pairs := d.pairs(n, path)
	chosen := d.choose(n, pairs, path, shape)
	fields := shape.all(chosen)
	values := map[string]any{}
	for _, p := range pairs {
		at := join(path, p.key.Value)
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == p.key.Value })
		if i < 0 {
			d.unknown(p.key, path, fields, chosen)
			continue
		}
		d.positions[at] = position{p.value.Line, p.value.Column}
		if p.value.Kind == yaml.MappingNode || p.value.Kind == yaml.SequenceNode {
			d.positions[at] = position{p.key.Line, p.key.Column} // the value of a block starts a line below its key
		}
		if fields[i].dropped {
			continue
		}
		if v := d.value(p.value, at, fields[i].shape, depth+1); v != nil {
			values[p.key.Value] = v
		}
	}
	return values
}

// choose finds the type of an object that has types.
func (d *doc) choose(n *yaml.Node, pairs []pair, path string, shape object) *variant {
	if len(shape.types) == 0 {
		return nil
	}
	names := make([]string, len(shape.types))
	for i, t := range shape.types {
		names[i] = t.name
	}
	i := slices.IndexFunc(pairs, func(p pair) bool { return p.key.Value == "type" })
	if i < 0 || pairs[i].value.Tag == "!!null" {
		d.at(n, path+".type", "is required: %s", or(names))
		d.settled(path + ".type")
		return nil
	}
	value := pairs[i].value
	if value.Kind == yaml.AliasNode && value.Alias != nil {
		value = value.Alias
	}
	if value.Kind != yaml.ScalarNode {
		return nil // reported as text that is none
	}
	for i := range shape.types {
		if shape.types[i].name == value.Value {
			return &shape.types[i]
		}
	}
	if value.Value == nextgen.CredentialBroker {
		d.at(pairs[i].value, path+".type", "CredentialBroker is not supported: Belay gets credentials itself; use %s", or(names))
		d.settled(path + ".type")
		return nil
	}
	d.at(pairs[i].value, path+".type", "%q is not known; use %s%s", clip(value.Value), or(names), suggestion(value.Value, names))
	d.settled(path + ".type")
	return nil
}

// unknown reports a key that no field has.
func (d *doc) unknown(key *yaml.Node, path string, fields []field, chosen *variant) {
	var names []string
	for _, f := range fields {
		if !f.dropped && !f.misplaced {
			names = append(names, f.name)
		}
	}
	at := join(path, clip(key.Value))
	switch {
	case len(names) == 0 && chosen == nil:
		d.at(key, at, "is not known; nothing belongs here")
		return
	case nearest(key.Value, names) == "":
		slices.Sort(names)
		d.at(key, at, "is not known; what belongs here: %s", strings.Join(names, ", "))
		return
	}
	meant := nearest(key.Value, names)
	d.at(key, at, "is not known; did you mean %s?", meant)
	d.settled(join(path, meant))
}

// value reads a value by its shape, nil where it is absent or wrong.
func (d *doc) value(n *yaml.Node, path string, s shape, depth int) any {
	n, ok := d.follow(n, path, depth)
	if !ok || n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	switch s := s.(type) {
	case object:
		if v := d.object(n, path, s, depth); v != nil {
			return v
		}
		return nil
	case list:
		return d.list(n, path, depth)
	case tags:
		return d.tags(n, path, depth)
	case text:
		if v, ok := d.text(n, path); ok {
			return v
		}
		return nil
	case number:
		var v int64
		if n.Kind != yaml.ScalarNode || n.Tag != "!!int" {
			d.wrong(n, path, "a whole number is")
			return nil
		}
		if err := n.Decode(&v); err != nil {
			d.at(n, path, "%s is not a number that can be read", clip(n.Value))
			d.settled(path)
			return nil
		}
		return v
	case flag:
		var v bool
		if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" || n.Decode(&v) != nil {
			d.wrong(n, path, "true or false is")
			return nil
		}
		return v
	case anything:
		return d.anything(n, path, depth)
	}
	return nil
}

func (d *doc) text(n *yaml.Node, path string) (string, bool) {
	if n.Kind == yaml.ScalarNode {
		switch n.Tag {
		case "!!str", "!!int", "!!float", "!!timestamp":
			return n.Value, true
		}
	}
	d.wrong(n, path, "text is")
	return "", false
}

func (d *doc) list(n *yaml.Node, path string, depth int) any {
	if n.Kind != yaml.SequenceNode {
		d.wrong(n, path, "a list is")
		return nil
	}
	all := []string{}
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		item, ok := d.follow(item, at, depth+1)
		if !ok {
			return nil
		}
		d.positions[at] = position{item.Line, item.Column}
		if item.Kind == yaml.ScalarNode && item.Tag == "!!null" {
			d.at(item, at, "is empty")
			continue
		}
		if v, ok := d.text(item, at); ok {
			all = append(all, v)
		}
	}
	return all
}

func (d *doc) tags(n *yaml.Node, path string, depth int) any {
	if n.Kind != yaml.MappingNode {
		d.wrong(n, path, "keys with a text each are")
		return nil
	}
	all := map[string]string{}
	for _, p := range d.pairs(n, path) {
		at := join(path, p.key.Value)
		value, ok := d.follow(p.value, at, depth+1)
		switch {
		case !ok:
			return nil
		case value.Kind == yaml.ScalarNode && value.Tag == "!!null":
			all[p.key.Value] = ""
		case value.Kind == yaml.ScalarNode && value.Tag == "!!bool":
			all[p.key.Value] = value.Value
		default:
			if v, ok := d.text(value, at); ok {
				all[p.key.Value] = v
			}
		}
	}
	return all
}

func (d *doc) anything(n *yaml.Node, path string, depth int) any {
	n, ok := d.follow(n, path, depth)
	if !ok {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		all := map[string]any{}
		for _, p := range d.pairs(n, path) {
			all[p.key.Value] = d.anything(p.value, join(path, p.key.Value), depth+1)
		}
		return all
	case yaml.SequenceNode:
		all := make([]any, len(n.Content))
		for i, item := range n.Content {
			all[i] = d.anything(item, fmt.Sprintf("%s[%d]", path, i), depth+1)
		}
		return all
	case yaml.ScalarNode:
		return scalar(n)
	case yaml.DocumentNode, yaml.AliasNode:
	}
	return nil
}

// scalar is a value that JSON can hold: infinities and numbers that do not fit stay text.
func scalar(n *yaml.Node) any {
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		var v bool
		if n.Decode(&v) == nil {
			return v
		}
	case "!!int":
		var v int64
		if n.Decode(&v) == nil {
			return v
		}
	}
	return n.Value
}

// wrong reports a value of another type than its field has.
func (d *doc) wrong(n *yaml.Node, path, wanted string) {
	d.at(n, path, "%s; %s expected", typeOf(n), wanted)
	d.settled(path)
}

func typeOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "has fields below it"
	case yaml.SequenceNode:
		return "is a list"
	case yaml.ScalarNode:
		switch n.Tag {
		case "!!null":
			return "is empty"
		case "!!bool":
			return "is the value " + clip(n.Value) + " of type boolean"
		case "!!int", "!!float":
			return "is the number " + clip(n.Value)
		case "!!str", "!!timestamp":
			return fmt.Sprintf("is the text %q", clip(n.Value))
		}
		return "has the tag " + clip(n.Tag)
	case yaml.DocumentNode, yaml.AliasNode:
	}
	return "cannot be read"
}

func or(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

func clip(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
