// Package openapi makes the OpenAPI 3.1 document of what the manager serves: from the routes themselves and the types that
// they read and answer, with a sentence and an example for each from a table beside the routes. A route without a line in the
// table, or a line without a route, fails a test.
//
// Source: https://spec.openapis.org/oas/v3.1.0
package openapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/belay-dev/belay/internal/api"
)

// Note is what the document says of a route beside what its code tells.
type Note struct {
	Route   string // as the router has it: GET /ng/api/connectors/{id}
	Summary string
	Query   []Parameter // beside account, organization and project
	Example *Example
	Takes   string // content type of the body, when it is no JSON
}

// Parameter is a word of the query.
type Parameter struct{ Name, Meaning string }

// Example is a request that works after those of the lines before it.
type Example struct {
	Path  map[string]string // what each {…} stands for
	Query map[string]string // of the query
	Body  string            // "" for none
}

// Group is an API: its routes and what they have in common.
type Group struct {
	Tag     string
	About   string
	Routes  []api.Route
	Notes   []Note
	Wrap    func(answer reflect.Type) reflect.Type // the envelope around an answer; nil: none
	Failure reflect.Type
	Type    string // content type of a failure
}

// Extra is a path that no router has: served by the manager itself, or another protocol.
type Extra struct {
	Method, Path, Summary, Tag string
	Open                       bool
}

type object = map[string]any

// Document is the document as JSON.
func Document(version, server string, groups []Group, extras []Extra) ([]byte, error) {
	s := schemas{known: map[reflect.Type]string{}, components: object{}}
	paths := object{}
	tags := []object{}
	for _, g := range groups {
		tags = append(tags, object{"name": g.Tag, "description": g.About})
		for _, r := range g.Routes {
			i := slices.IndexFunc(g.Notes, func(n Note) bool { return n.Route == r.Method+" "+r.Path })
			if i < 0 {
				return nil, fmt.Errorf("the route %s %s has no line in the table of %s", r.Method, r.Path, g.Tag)
			}
			put(paths, r.Path, r.Method, s.operation(g, r, g.Notes[i]))
		}
	}
	for _, e := range extras {
		op := object{"summary": e.Summary, "tags": []string{e.Tag}, "operationId": id(e.Method, e.Path), "responses": object{"2XX": object{"description": "done"}}}
		if e.Open {
			op["security"] = []object{}
		}
		if p := pathParameters(e.Path); len(p) > 0 {
			op["parameters"] = p
		}
		if !slices.ContainsFunc(tags, func(t object) bool { return t["name"] == e.Tag }) {
			tags = append(tags, object{"name": e.Tag})
		}
		put(paths, e.Path, e.Method, op)
	}
	return json.MarshalIndent(object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Belay", "version": version, "summary": "Connects delivery tools to AWS accounts.",
			"license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers":  []object{{"url": server}},
		"security": []object{{"key": []string{}}},
		"tags":     tags,
		"paths":    paths,
		"components": object{
			"schemas":         s.components,
			"securitySchemes": object{"key": object{"type": "apiKey", "in": "header", "name": "x-api-key"}},
		},
	}, "", " ")
}

func put(paths object, path, method string, op object) {
	entry, ok := paths[path].(object)
	if !ok {
		entry = object{}
		paths[path] = entry
	}
	entry[strings.ToLower(method)] = op
}

// operation is one route.
func (s *schemas) operation(g Group, r api.Route, n Note) object {
	parameters := pathParameters(r.Path)
	query := n.Query
	if !r.Open {
		query = append([]Parameter{
			{"accountIdentifier", "the account; the API key's own by default"},
			{"orgIdentifier", "the organization; none means the account"},
			{"projectIdentifier", "the project of that organization"},
		}, query...)
	}
	for _, p := range query {
		one := object{"name": p.Name, "in": "query", "description": p.Meaning, "schema": object{"type": "string"}}
		if n.Example != nil && n.Example.Query[p.Name] != "" {
			one["example"] = n.Example.Query[p.Name]
		}
		parameters = append(parameters, one)
	}
	answer := object{"description": "done"}
	if r.Out != nil && r.Out != reflect.TypeFor[api.Text]() {
		out := r.Out
		if g.Wrap != nil {
			out = g.Wrap(out)
		}
		answer["content"] = object{"application/json": object{"schema": s.of(out)}}
	}
	op := object{
		"summary": n.Summary, "tags": []string{g.Tag}, "operationId": id(r.Method, r.Path), "parameters": parameters,
		"responses": object{
			"2XX":     answer,
			"default": object{"description": "refused, or failed", "content": object{g.Type: object{"schema": s.of(g.Failure)}}},
		},
	}
	if r.Open {
		op["security"] = []object{}
	}
	if r.In != nil {
		kind, content := "application/json", object{"schema": s.of(r.In)}
		if n.Takes != "" {
			kind, content = n.Takes, object{"schema": object{"type": "string"}}
		}
		if n.Example != nil && n.Example.Body != "" {
			content["example"] = n.Example.Body
			if n.Takes == "" {
				content["example"] = json.RawMessage(n.Example.Body)
			}
		}
		op["requestBody"] = object{"required": r.Required, "content": object{kind: content}}
	}
	return op
}

var variable = regexp.MustCompile(`\{([a-zA-Z]+)\}`)

func pathParameters(path string) []object {
	all := []object{}
	for _, found := range variable.FindAllStringSubmatch(path, -1) {
		all = append(all, object{"name": found[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	return all
}

// id is the name of an operation for programs that are generated from the document.
func id(method, path string) string {
	words := []string{strings.ToLower(method)}
	for word := range strings.FieldsFuncSeq(path, func(r rune) bool { return strings.ContainsRune("/{}-.", r) }) {
		words = append(words, strings.ToUpper(word[:1])+word[1:])
	}
	return strings.Join(words, "")
}
