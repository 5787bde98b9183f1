package ng

import (
	"context"
	"fmt"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/nextgen"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

func (s *Server) createSecret(ctx context.Context, c api.Call, in nextgen.SecretEnvelope) (nextgen.SecretResponse, error) {
	sent, value, err := readSecret(c, in.Secret)
	if err != nil {
		return nextgen.SecretResponse{}, err
	}
	stored, err := s.Secrets.Create(ctx, c.Who, sent, value)
	return nextgen.FromStoredSecret(stored), err
}

func (s *Server) updateSecret(ctx context.Context, c api.Call, in nextgen.SecretEnvelope) (nextgen.SecretResponse, error) {
	return s.saveSecret(ctx, c, c.Path("id"), in)
}

// saveSecret changes the secret of an identifier.
func (s *Server) saveSecret(ctx context.Context, c api.Call, id string, in nextgen.SecretEnvelope) (nextgen.SecretResponse, error) {
	if err := sameID("secret", &in.Secret.Identifier, id); err != nil {
		return nextgen.SecretResponse{}, err
	}
	sent, value, err := readSecret(c, in.Secret)
	if err != nil {
		return nextgen.SecretResponse{}, err
	}
	stored, err := s.Secrets.Update(ctx, c.Who, sent, value)
	return nextgen.FromStoredSecret(stored), err
}

// readSecret translates a secret. Its scope stands in the query and in the body; the two may not differ.
func readSecret(c api.Call, in nextgen.Secret) (secret.Secret, secret.Value, error) {
	problems := sameScope("secret", c.At, &in.OrgIdentifier, &in.ProjectIdentifier)
	sent, value, more := in.Domain(c.At.Account)
	problems = append(problems, more...)
	problems = append(problems, tooLong("secret", sent.Scope)...)
	if len(problems) > 0 || !fits(sent.ID) { // the service would find the rest, and is not asked
		whole := sent
		if whole.ID == "" {
			whole.ID = scope.IdentifierFromName(whole.Name)
		}
		problems = append(problems, whole.Check(value)...)
	}
	return sent, value, problems.Err()
}

// sameScope fills what the body does not say from the query, and finds where the two differ.
func sameScope(kind string, query scope.Scope, organization, project *string) fault.Problems {
	var problems fault.Problems
	for _, one := range []struct {
		field string
		query string
		body  *string
	}{{"orgIdentifier", query.Org, organization}, {"projectIdentifier", query.Project, project}} {
		switch {
		case *one.body == "":
			*one.body = one.query
		case one.query != "" && one.query != *one.body:
			problems.Add(kind+"."+one.field, fmt.Sprintf("is %.60q, but the query says %.60q", *one.body, one.query))
		}
	}
	return problems
}

// sameID fills an identifier that the body does not say from the path. One that differs is refused: identifiers do not
// change.
func sameID(kind string, body *string, path string) error {
	if *body == "" {
		*body = path
	}
	if *body != path {
		return fault.Problems{{Path: kind + ".identifier", Message: fmt.Sprintf("is %.60q, but the path says %q; an identifier cannot be changed", *body, path)}}
	}
	return nil
}

func (s *Server) secret(ctx context.Context, c api.Call) (nextgen.SecretResponse, error) {
	stored, err := s.Secrets.Secret(ctx, c.Who, c.At, c.Path("id"))
	return nextgen.FromStoredSecret(stored), err
}

func (s *Server) deleteSecret(ctx context.Context, c api.Call) (bool, error) {
	return true, s.Secrets.Delete(ctx, c.Who, c.At, c.Path("id"), c.Flag("forceDelete"))
}

// secretFilter narrows a list of secrets.
type secretFilter struct {
	Name        string            `json:"secretName"`
	Identifiers []string          `json:"identifiers"`
	Types       []string          `json:"secretTypes"`
	Search      string            `json:"searchTerm"`
	Description string            `json:"description"`
	Tags        map[string]string `json:"tags"`
	SubScopes   bool              `json:"includeSecretsFromEverySubScope"`
}

func (s *Server) filterSecrets(ctx context.Context, c api.Call, in secretFilter) (nextgen.Page[nextgen.SecretResponse], error) {
	if in.Search == "" {
		in.Search = in.Name
	}
	return s.secretPage(ctx, c, in)
}

func (s *Server) listSecrets(ctx context.Context, c api.Call) (nextgen.Page[nextgen.SecretResponse], error) {
	return s.secretPage(ctx, c, secretFilter{
		Identifiers: c.QueryAll("identifiers"), Types: append(c.QueryAll("type"), c.QueryAll("types")...),
		Search: c.Query("searchTerm"), SubScopes: c.Flag("includeSecretsFromEverySubScope"),
	})
}

func (s *Server) secretPage(ctx context.Context, c api.Call, in secretFilter) (nextgen.Page[nextgen.SecretResponse], error) {
	p, err := page(c)
	if err != nil {
		return nextgen.Page[nextgen.SecretResponse]{}, err
	}
	list, total, err := s.Secrets.Secrets(ctx, c.Who, secret.Filter{
		Scope: c.At, SubScopes: in.SubScopes, IDs: in.Identifiers, Search: in.Search, Tags: in.Tags, Description: in.Description,
		Offset: p.offset(), Limit: p.size,
	})
	if !includes(in.Types, nextgen.TypeSecretText) {
		list, total = nil, 0
	}
	return dressed(list, total, p, nextgen.FromStoredSecret), err
}

func (s *Server) secretIsNew(ctx context.Context, c api.Call) (bool, error) {
	id := c.Path("id")
	if p := scope.CheckSecretIdentifier(id); p != "" {
		return false, fault.Problems{{Path: "identifier", Message: p}}
	}
	_, err := s.Secrets.Secret(ctx, c.Who, c.At, id)
	return isNew(err)
}
