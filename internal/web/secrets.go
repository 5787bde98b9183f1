package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

type secretRow struct {
	Name, ID, Where, Kind, To string
	Users                     int
	Made, Changed             ago
}

type secretsPage struct {
	v      *visit
	Search string
	Rows   []secretRow
	Pages  pages
	Create bool
}

// secretKind is where a value lies, in words.
func secretKind(k secret.Kind) string {
	switch k {
	case secret.Inline:
		return "Text, sealed here"
	case secret.Reference:
		return "Reference"
	case secret.Custom:
		return "Custom manager"
	}
	return string(k)
}

// secretURL is the address of a secret's page.
func secretURL(v *visit, at scope.Scope, id, page string) string {
	return v.url("/ui/secrets/"+url.PathEscape(id)+page, "at", homeOf(at))
}

// secretNames lists secrets. Values are nowhere in the pages.
func (s *Server) secretNames(ctx context.Context, v *visit) (reply, error) {
	p := secretsPage{v: v, Search: v.search(), Create: v.may(audit.SecretCreate, v.at)}
	number := v.pageNumber()
	list, users, total, err := s.Secrets.List(ctx, v.who, secret.Filter{Scope: v.at, SubScopes: true, Search: p.Search, Offset: (number - 1) * pageSize, Limit: pageSize})
	if err != nil {
		return reply{}, err
	}
	for i, one := range list {
		p.Rows = append(p.Rows, secretRow{
			Name: one.Name, ID: one.ID, Where: placeName(one.Scope), Kind: secretKind(one.Kind), To: secretURL(v, one.Scope, one.ID, ""), Users: users[i],
			Made: since(v.now, one.CreatedAt), Changed: since(v.now, one.UpdatedAt),
		})
	}
	p.Pages = pagesOf(number, len(list), total, "secret", "secrets", func(page string) string {
		return v.url("/ui/secrets", "search", p.Search, "page", page)
	})
	return reply{title: "Secrets", here: "Secrets", body: secretsView(p)}, nil
}

// secretPage is one secret, or a new one: everything but its value.
type secretPage struct {
	sheet
	v             *visit
	One           secret.Secret
	New           bool
	Change        bool // the caller may change it
	Kind          string
	Made, Changed ago
	Users         []namedLink
	More          int // users that are left out
	To, Delete    string
	Audit         string
	Ref           string // how a connector refers to it
}

// namedLink is a name that leads somewhere.
type namedLink struct{ Name, Where, To string }

// Title is what the page is about.
func (p secretPage) Title() string {
	if p.New {
		return "New secret"
	}
	return p.One.Name
}

func secretReply(p secretPage, status int) reply {
	return reply{title: p.Title(), here: "Secrets", status: status, body: secretView(p)}
}

// referenceTo is how a connector in the same scope or inside it refers to a secret.
func referenceTo(at scope.Scope, id string) string {
	switch at.Level() {
	case scope.Account:
		return "account." + id
	case scope.Organization:
		return "org." + id
	case scope.Project:
	}
	return id
}

// mostUsers is how many connectors the page of a secret names.
const mostUsers = 20

func (s *Server) secretOf(ctx context.Context, v *visit) (secretPage, error) {
	at, err := v.home()
	if err != nil {
		return secretPage{}, err
	}
	one, err := s.Secrets.Secret(ctx, v.who, at, v.r.PathValue("id"))
	if err != nil {
		return secretPage{}, err
	}
	users, total, err := s.Secrets.Users(ctx, v.who, at, one.ID, mostUsers)
	if err != nil {
		return secretPage{}, err
	}
	p := secretPage{
		v: v, One: one, Change: v.may(audit.SecretUpdate, at), Kind: secretKind(one.Kind), Made: since(v.now, one.CreatedAt), Changed: since(v.now, one.UpdatedAt),
		To: secretURL(v, at, one.ID, ""), More: total - len(users), Audit: auditURL(v, at, "secret/"+one.ID), Ref: referenceTo(at, one.ID),
	}
	for _, u := range users {
		p.Users = append(p.Users, namedLink{u.ID, placeName(u.Scope), connectorURL(v, "", u.Scope, u.ID)})
	}
	if v.may(audit.SecretDelete, at) {
		p.Delete = secretURL(v, at, one.ID, "/delete")
	}
	return p, nil
}

func (s *Server) showSecret(ctx context.Context, v *visit) (reply, error) {
	p, err := s.secretOf(ctx, v)
	if err != nil {
		return reply{}, err
	}
	p.Values = map[string]string{"name": p.One.Name, "identifier": p.One.ID, "description": p.One.Description}
	return secretReply(p, 0), nil
}

// valueOf is a value that was typed. It is no field of the sheet, so that no page shows it again.
func valueOf(r *http.Request) secret.Value { return secret.NewValue(r.PostFormValue("value")) }

// changeSecret saves what the page of a secret says; an empty value leaves the stored one.
func (s *Server) changeSecret(ctx context.Context, v *visit) (reply, error) {
	f, err := sheetOf(v.r, "name", "description")
	if err != nil {
		return reply{}, err
	}
	p, err := s.secretOf(ctx, v)
	if err != nil {
		return reply{}, err
	}
	f.Values["identifier"], f.Values["value"] = p.One.ID, ""
	one := p.One
	one.Name, one.Description = f.Value("name"), f.Value("description")
	value := secret.Value{}
	if one.Kind == secret.Inline {
		value = valueOf(v.r)
	}
	if _, err = s.Secrets.Update(ctx, v.who, one, value); err == nil {
		return reply{to: p.To}, nil
	}
	status, err := f.refused(err, "")
	if err != nil {
		return reply{}, err
	}
	p.sheet = f
	return secretReply(p, status), nil
}

func (s *Server) newSecret(_ context.Context, v *visit) (reply, error) {
	if err := denied(v.may(audit.SecretCreate, v.at), "make secrets", v.at); err != nil {
		return reply{}, err
	}
	return secretReply(newSecretPage(v, sheet{}), 0), nil
}

func newSecretPage(v *visit, f sheet) secretPage {
	return secretPage{sheet: f, v: v, New: true, Change: true, One: secret.Secret{Scope: v.at, Kind: secret.Inline}, To: v.url("/ui/new/secret")}
}

func (s *Server) createSecret(ctx context.Context, v *visit) (reply, error) {
	f, err := sheetOf(v.r, "name", "identifier", "description")
	if err != nil {
		return reply{}, err
	}
	f.Values["value"] = ""
	made, err := s.Secrets.Create(ctx, v.who, secret.Secret{
		Scope: v.at, ID: f.Value("identifier"), Name: f.Value("name"), Description: f.Value("description"), Manager: secret.BuiltInManager, Kind: secret.Inline,
	}, valueOf(v.r))
	if err == nil {
		return reply{to: secretURL(v, made.Scope, made.ID, "")}, nil
	}
	status, err := f.refused(err, "identifier")
	if err != nil {
		return reply{}, err
	}
	return secretReply(newSecretPage(v, f), status), nil
}

func (s *Server) secretRemoval(ctx context.Context, v *visit) (secretPage, error) {
	p, err := s.secretOf(ctx, v)
	if err != nil {
		return p, err
	}
	return p, denied(p.Delete != "", "delete this secret", p.One.Scope)
}

func secretRemovalReply(p secretPage, problem string, status int) reply {
	return reply{title: "Delete " + p.One.Name, here: "Secrets", status: status, body: secretRemovalView(p, problem)}
}

func (s *Server) confirmSecret(ctx context.Context, v *visit) (reply, error) {
	p, err := s.secretRemoval(ctx, v)
	return secretRemovalReply(p, "", 0), err
}

// deleteSecret removes a secret; one that connectors use goes only when its name was typed.
func (s *Server) deleteSecret(ctx context.Context, v *visit) (reply, error) {
	p, err := s.secretRemoval(ctx, v)
	if err != nil {
		return reply{}, err
	}
	used := len(p.Users) > 0
	if used && strings.TrimSpace(v.r.PostFormValue("confirm")) != p.One.ID {
		return secretRemovalReply(p, "Type "+p.One.ID+" exactly, or keep the secret.", http.StatusBadRequest), nil
	}
	err = s.Secrets.Delete(ctx, v.who, p.One.Scope, p.One.ID, used)
	if fault.KindOf(err) == fault.InUse { // since the page was made
		return s.confirmSecret(ctx, v)
	}
	return reply{to: v.url("/ui/secrets")}, err
}
