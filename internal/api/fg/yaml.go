package fg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"slices"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/firstgen"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

// upserted is what became of a document.
type upserted struct {
	Path         string `json:"yamlFilePath"`
	Status       string `json:"status"`
	ErrorMessage string `json:"errorMssg"` // spelt so
	EntityID     string `json:"entityId"`
}

// upsert makes or changes the cloud provider that the path names.
func (s *Server) upsert(ctx context.Context, c api.Call, body []byte) (upserted, error) {
	path := c.Query("yamlFilePath")
	name := firstgen.NameOf(path)
	if name == "" {
		return upserted{}, fault.Problems{{Path: "yamlFilePath", Message: fmt.Sprintf("%.200q is not supported; cloud providers are, as %s", path, firstgen.Path("NAME"))}}
	}
	if p := scope.CheckName(name); p != "" {
		return upserted{}, fault.Problems{{Path: "yamlFilePath", Message: "the name in it " + p}}
	}
	text, err := field(c.Header("Content-Type"), body, "yamlContent")
	if err != nil {
		return upserted{}, err
	}
	parsed, problems := firstgen.Parse(text, false)
	if err := problems.Err(); err != nil {
		return upserted{}, err
	}
	account := scope.Scope{Account: c.At.Account}
	ids, err := s.secretIDs(ctx, c.Who, account)
	if err != nil {
		return upserted{}, err
	}
	known, err := s.providers(ctx, c.Who, c.At.Account)
	if err != nil {
		return upserted{}, err
	}
	sent := parsed.Connector(c.At.Account, name, ids)
	if i := slices.IndexFunc(known, func(p provider) bool { return p.Name == name }); i >= 0 {
		sent.ID = known[i].ID // it was renamed since it was made
	}
	stored, err := s.Connectors.Connector(ctx, c.Who, account, sent.ID)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		stored, err = s.Connectors.Create(ctx, c.Who, sent)
	case err != nil:
	case stored.Name != name:
		err = fault.New(fault.Conflict, "the connector %q has the name %q; choose a name that does not make the same identifier", sent.ID, stored.Name)
	default:
		stored, err = s.Connectors.Update(ctx, c.Who, sent)
	}
	if err != nil {
		return upserted{}, err
	}
	if err := s.Texts.SaveFirstGen(ctx, firstgen.Provider, c.At.Account, firstgen.Text{ID: stored.ID, Text: string(text), Revision: stored.Revision}); err != nil {
		return upserted{}, err
	}
	return upserted{Path: path, Status: "SUCCESS", EntityID: stored.ID}, nil
}

// field finds a field of a form.
func field(contentType string, body []byte, name string) ([]byte, error) {
	kind, words, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/form-data" || words["boundary"] == "" {
		return nil, fault.New(fault.Invalid, "the body is not multipart/form-data with the field %s", name)
	}
	form := multipart.NewReader(bytes.NewReader(body), words["boundary"])
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, fault.Problems{{Path: name, Message: "is required"}}
		}
		if err != nil {
			return nil, fault.Because(fault.Invalid, err, "the body is not a whole form")
		}
		if part.FormName() != name {
			continue
		}
		text, err := io.ReadAll(part)
		if err != nil {
			return nil, fault.Because(fault.Invalid, err, "the body is not a whole form")
		}
		return text, nil
	}
}

// secretIDs gives the identifier of a secret by its name. One that is not there yet gets the identifier that its name
// makes.
func (s *Server) secretIDs(ctx context.Context, who audit.Caller, at scope.Scope) (func(name string) string, error) {
	list, _, err := s.Secrets.Secrets(ctx, who, secret.Filter{Scope: at})
	return func(name string) string {
		for _, sec := range list {
			if sec.Name == name {
				return sec.ID
			}
		}
		return firstgen.SecretID(name)
	}, err
}

// provider is a cloud provider with the text that it came as.
type provider struct {
	connector.Stored
	text firstgen.Text
}

// providers are the connectors that came as cloud providers, by name.
func (s *Server) providers(ctx context.Context, who audit.Caller, account string) ([]provider, error) {
	kept, err := s.Texts.FirstGen(ctx, firstgen.Provider, account)
	if err != nil {
		return nil, err
	}
	list, _, err := s.Connectors.Connectors(ctx, who, connector.Filter{Scope: scope.Scope{Account: account}, Types: []string{connector.TypeAWS}})
	if err != nil {
		return nil, err
	}
	var out []provider
	for _, c := range list {
		if t, ok := kept[c.ID]; ok {
			out = append(out, provider{c, t})
		}
	}
	return out, nil
}

// node is a folder or a file of the tree.
type node struct {
	Type     string `json:"type"` // folder, yaml
	Name     string `json:"name"`
	RestName string `json:"restName,omitempty"`
	UUID     string `json:"uuid,omitempty"`
	Path     place  `json:"directoryPath"`
	Children []node `json:"children"`
}

type place struct {
	Path string `json:"path"`
}

// restName is what cloud providers are called in the path that reads them.
const restName = "settings"

func (s *Server) directory(ctx context.Context, c api.Call) (node, error) {
	list, err := s.providers(ctx, c.Who, c.At.Account)
	folder := node{Type: "folder", Name: "Cloud Providers", Path: place{firstgen.Folder}, Children: []node{}}
	for _, p := range list {
		folder.Children = append(folder.Children, node{
			Type: "yaml", Name: p.Name + ".yaml", RestName: restName, UUID: p.ID, Path: place{firstgen.Path(p.Name)}, Children: []node{},
		})
	}
	return node{Type: "folder", Name: "Setup", Path: place{"Setup"}, Children: []node{folder}}, err
}

// document is the YAML of a thing.
type document struct {
	YAML string `json:"yaml"`
}

// yaml reads a cloud provider: as it came, unless its connector was changed by other means since.
func (s *Server) yaml(ctx context.Context, c api.Call) (document, error) {
	list, err := s.providers(ctx, c.Who, c.At.Account)
	if err != nil {
		return document{}, err
	}
	i := slices.IndexFunc(list, func(p provider) bool { return p.ID == c.Path("uuid") })
	if i < 0 || c.Path("rest") != restName {
		return document{}, fault.New(fault.NotFound, "no entity exists with the id %.100q under %.40q", c.Path("uuid"), c.Path("rest"))
	}
	if p := list[i]; p.Revision == p.text.Revision {
		return document{p.text.Text}, nil
	}
	text, err := s.written(ctx, c, list[i].Connector)
	return document{text}, err
}
