package openapi

import (
	"encoding"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// schemas are the types that the document describes, each once.
type schemas struct {
	known      map[reflect.Type]string
	components object
}

// of is the schema of a type as encoding/json writes it.
func (s *schemas) of(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return object{} // any JSON
	case t.Kind() == reflect.Pointer:
		return s.orNull(t.Elem())
	case writes[json.Marshaler](t): // its form is its own
		return s.own(t)
	case writes[encoding.TextMarshaler](t):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Slice, reflect.Array:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.named(t, s.structure)
	default:
		return object{} // an interface holds anything
	}
}

// orNull is a value that may be null.
func (s *schemas) orNull(t reflect.Type) object {
	one := s.of(t)
	if kind, ok := one["type"].(string); ok {
		one["type"] = []string{kind, "null"}
		return one
	}
	if len(one) == 0 {
		return one
	}
	return object{"anyOf": []object{one, {"type": "null"}}}
}

// own is a type that writes itself. Where it is a struct whose fields say how they are written, those are what it writes;
// else it is an object, or anything.
func (s *schemas) own(t reflect.Type) object {
	if t.Kind() != reflect.Struct {
		return object{}
	}
	if spelt(t) {
		return s.named(t, s.structure)
	}
	return s.named(t, func(reflect.Type) object { return object{"type": "object"} })
}

// spelt reports whether every field of a struct says how it is written.
func spelt(t reflect.Type) bool {
	for f := range t.Fields() {
		if _, ok := f.Tag.Lookup("json"); !ok {
			return false
		}
	}
	return t.NumField() > 0
}

func writes[T any](t reflect.Type) bool {
	want := reflect.TypeFor[T]()
	return t.Kind() != reflect.Interface && (t.Implements(want) || reflect.PointerTo(t).Implements(want))
}

var notName = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

// named refers to a component, which is made when it is new.
func (s *schemas) named(t reflect.Type, build func(reflect.Type) object) object {
	name, ok := s.known[t]
	if !ok {
		name = t.Name()
		if name == "" { // a struct without a name stands where it is
			return build(t)
		}
		// Of a generic type only the last words of what it is made with: Page[….Connector] is Page_Connector.
		if open := strings.IndexByte(name, '['); open >= 0 {
			inner := name[open+1 : len(name)-1]
			name = name[:open] + "_" + inner[strings.LastIndexAny(inner, "./")+1:]
		}
		name = strings.Trim(notName.ReplaceAllString(name, "_"), "_")
		pkg := t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:]
		for taken := true; taken; {
			if _, taken = s.components[name]; taken {
				name = pkg + "." + name
			}
		}
		s.known[t], s.components[name] = name, object{}
		s.components[name] = build(t)
	}
	return object{"$ref": "#/components/schemas/" + name}
}

// structure is an object with the fields of a struct.
func (s *schemas) structure(t reflect.Type) object {
	properties := object{}
	required := []string{}
	var fields func(t reflect.Type)
	fields = func(t reflect.Type) {
		for f := range t.Fields() {
			name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case name == "-" || !f.IsExported() && !f.Anonymous:
			case f.Anonymous && name == "":
				inner := f.Type
				if inner.Kind() == reflect.Pointer {
					inner = inner.Elem()
				}
				if inner.Kind() == reflect.Struct {
					fields(inner)
				}
			default:
				if name == "" {
					name = f.Name
				}
				properties[name] = s.of(f.Type)
				options := strings.Split(rest, ",")
				if !slices.Contains(options, "omitempty") && !slices.Contains(options, "omitzero") {
					required = append(required, name)
				}
			}
		}
	}
	fields(t)
	slices.Sort(required)
	out := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		out["x-always"] = required // present in every answer; a request may leave most of them out
	}
	return out
}
