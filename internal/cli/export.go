package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/belay-dev/belay/internal/document"
	"github.com/belay-dev/belay/internal/scope"
)

type exportCmd struct {
	To string `placeholder:"FOLDER" type:"path" help:"Write one file for each entity into this folder, rather than all to standard output."`
}

// exported is one entity of the manager.
type exported struct {
	kind document.Kind
	file string // its place in a folder
	body json.RawMessage
}

// Run writes what there is in the scope and inside of it, or in the whole account, in the order in which it can be applied.
// Values of secrets are not in it: nobody gets them.
func (cmd *exportCmd) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	all, err := everything(ctx, c, scope.Scope{Org: a.Org, Project: a.Project})
	if err != nil {
		return err
	}
	var out bytes.Buffer
	bodies := []map[string]any{}
	for i, e := range all {
		var one bytes.Buffer
		if err := document.Write(&one, e.kind, e.body); err != nil {
			return err
		}
		if cmd.To != "" {
			if err := place(filepath.Join(cmd.To, e.file), one.Bytes()); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			out.WriteString("---\n")
		}
		out.Write(one.Bytes())
		var body map[string]any
		if err := json.Unmarshal(e.body, &body); err != nil {
			return err
		}
		bodies = append(bodies, map[string]any{string(e.kind): document.Prune(body)})
	}
	switch {
	case cmd.To != "":
		a.note("%s written below %s. Values of secrets are not in it.", count(len(all), "entity was", "entities were"), cmd.To)
		return nil
	case a.Output == "json":
		return a.print(bodies, nil)
	}
	_, err = a.Out.Write(out.Bytes())
	return err
}

// place writes a file and the folders that it lies in.
func place(path string, text []byte) error {
	const folder, file = 0o750, 0o640
	if err := os.MkdirAll(filepath.Dir(path), folder); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.WriteFile(path, text, file); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// everything lists the entities of a scope and of all that lies inside it.
func everything(ctx context.Context, c *client, within scope.Scope) ([]exported, error) {
	var all []exported
	scopes := []scope.Scope{within}
	type ids struct {
		ID  string `json:"identifier"`
		Org string `json:"orgIdentifier"`
		Env string `json:"environmentRef"`
	}
	list := func(kind document.Kind, word, method, path string, at scope.Scope, body any) ([]ids, error) {
		found, err := pages[map[string]json.RawMessage](ctx, c, method, path, query(at), body)
		var named []ids
		for _, one := range found {
			var id ids
			if err := json.Unmarshal(one[word], &id); err != nil {
				return nil, fmt.Errorf("the manager's list of %s cannot be read: %w", path, err)
			}
			named = append(named, id)
			all = append(all, exported{kind, filepath.Join(at.Org, at.Project, string(kind), id.Env, id.ID+".yaml"), one[word]})
		}
		return named, err
	}
	if within.Org == "" {
		found, err := list(document.Organization, "organization", http.MethodGet, "/organizations", scope.Scope{}, nil)
		if err != nil {
			return nil, err
		}
		for _, o := range found {
			scopes = append(scopes, scope.Scope{Org: o.ID})
		}
	}
	if within.Project == "" {
		for _, at := range scopes {
			if at.Org == "" {
				continue
			}
			found, err := list(document.Project, "project", http.MethodGet, "/projects", at, nil)
			if err != nil {
				return nil, err
			}
			for _, p := range found {
				scopes = append(scopes, scope.Scope{Org: at.Org, Project: p.ID})
			}
		}
	}
	for _, one := range []struct {
		kind               document.Kind
		word, method, path string
		body               any
	}{
		{document.Secret, "secret", http.MethodGet, "/v2/secrets", nil},
		{document.Connector, "connector", http.MethodPost, "/connectors/listV2", map[string]any{"filterType": "Connector"}},
		{document.Service, "service", http.MethodGet, "/servicesV2", nil},
		{document.Environment, "environment", http.MethodGet, "/environmentsV2", nil},
		{document.Infrastructure, "infrastructure", http.MethodGet, "/infrastructures", nil},
	} {
		for _, at := range scopes {
			if _, err := list(one.kind, one.word, one.method, one.path, at, one.body); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}
