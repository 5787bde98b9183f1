package document

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/nextgen"
)

// connector asks the domain what is wrong with a connector.
func (d *doc) connector(values map[string]any) (*connector.Connector, fault.Problems) {
	var wire nextgen.Connector
	if err := through(values, &wire); err != nil {
		return nil, fault.Problems{{Path: "connector", Message: "cannot be translated: " + err.Error()}}
	}
	c, problems := wire.Domain("")
	for _, p := range c.Check() {
		if p.Path == "connector.spec.credential.type" && c.Credential == nil && len(problems) > 0 {
			continue // said already, and better
		}
		problems = append(problems, p)
	}
	return &c, problems
}

// Canonical is an entity in the one form in which two can be compared: every field that means something, and no other.
// What a file leaves to the manager, such as a project's colour, is in it only when it is in body.
func Canonical(kind Kind, body json.RawMessage) (map[string]any, error) {
	var wire any
	switch kind {
	case Connector:
		var c nextgen.Connector
		if err := json.Unmarshal(body, &c); err != nil {
			return nil, fmt.Errorf("read %s: %w", kind, err)
		}
		domain, problems := c.Domain("")
		if err := problems.Err(); err != nil {
			return nil, err
		}
		wire = nextgen.FromConnector(domain)
	case Secret:
		s := &nextgen.Secret{}
		if err := json.Unmarshal(body, s); err != nil {
			return nil, fmt.Errorf("read %s: a field has another type than expected", kind) // the cause could quote a value
		}
		domain, _, _ := s.Domain("")
		wire = nextgen.FromSecret(domain)
	case Service, Environment, Infrastructure:
		var b nextgen.Definition
		if err := json.Unmarshal(body, &b); err != nil {
			return nil, fmt.Errorf("read %s: %w", kind, err)
		}
		domain := b.Domain("", infraKind(kind))
		_ = domain.Complete() // what is wrong with it is found elsewhere
		wire = nextgen.FromDefinition(domain)
	case Organization:
		wire = &nextgen.Organization{}
	case Project:
		wire = &nextgen.Project{}
	default:
		return nil, fmt.Errorf("%q is no kind of entity", kind)
	}
	if kind == Organization || kind == Project {
		if err := json.Unmarshal(body, wire); err != nil {
			return nil, fmt.Errorf("read %s: %w", kind, err)
		}
	}
	var values map[string]any
	if err := through(wire, &values); err != nil {
		return nil, err
	}
	return Prune(values), nil
}

// through turns a value into another by way of JSON.
func through(from, to any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(to)
}
