package web

import (
	"context"
	"net/http"
	"strings"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
)

const organizationsPath = "/ui/settings/organizations"

// placeRow is an organization or a project in a list.
type placeRow struct {
	Name, ID, Description string
	To, Look              string // its page, and the pages that show what is in it
	Made                  ago
	Delete                string // address; "" when the caller may not, or it stays
}

type organizationsPage struct {
	v      *visit
	Search string
	Rows   []placeRow
	Pages  pages
	Create bool
}

func (s *Server) organizationList(ctx context.Context, v *visit) (reply, error) {
	p := organizationsPage{v: v, Search: v.search(), Create: v.may(audit.OrganizationCreate, v.account())}
	number := v.pageNumber()
	list, total, err := s.Organizations.Organizations(ctx, v.who, org.Filter{Search: p.Search, Offset: (number - 1) * pageSize, Limit: pageSize})
	if err != nil {
		return reply{}, err
	}
	for _, o := range list {
		row := placeRow{
			Name: o.Name, ID: o.ID, Description: o.Description, To: v.url(organizationPath(o.ID)), Made: since(v.now, o.CreatedAt),
			Look: within("/ui/", scope.Scope{Account: o.Account, Org: o.ID}),
		}
		if o.ID != org.DefaultOrganization && v.may(audit.OrganizationDelete, v.account()) {
			row.Delete = v.url(organizationPath(o.ID) + "/delete")
		}
		p.Rows = append(p.Rows, row)
	}
	p.Pages = pagesOf(number, len(list), total, "organization", "organizations", func(page string) string {
		return v.url(organizationsPath, "search", p.Search, "page", page)
	})
	return reply{title: "Organizations", here: "Settings", body: organizationsView(p)}, nil
}

func organizationPath(id string) string { return organizationsPath + "/" + id }

func projectPath(organization, id string) string {
	return organizationPath(organization) + "/projects/" + id
}

// placeForm makes or changes an organization or a project.
type placeForm struct {
	sheet
	v        *visit
	Kind     string // organization or project
	At       scope.Scope
	New      bool
	Change   bool // the caller may
	Name     string
	Back     []parent
	To       string // where the form goes
	Delete   string
	Stays    string // why it cannot be deleted
	Audit    string // address of its entries; "" when the caller may not
	Projects []placeRow
	Search   string
	Pages    pages
	Create   bool // the caller may make projects here
}

// Title is what the page is about.
func (p placeForm) Title() string {
	if p.New {
		return "New " + p.Kind
	}
	return p.Name
}

// Cancel is where one goes who makes none.
func (p placeForm) Cancel() string { return p.Back[len(p.Back)-1].To }

func settingsCrumbs(v *visit, more ...parent) []parent {
	return append([]parent{{"Settings", v.url("/ui/settings")}, {"Organizations", v.url(organizationsPath)}}, more...)
}

func (s *Server) newOrganization(_ context.Context, v *visit) (reply, error) {
	if err := denied(v.may(audit.OrganizationCreate, v.account()), "make organizations", v.account()); err != nil {
		return reply{}, err
	}
	return placeReply(placeForm{v: v, Kind: "organization", At: v.account(), New: true, Change: true, Back: settingsCrumbs(v), To: v.url("/ui/new/organization")}, 0), nil
}

func placeReply(p placeForm, status int) reply {
	return reply{title: p.Title(), here: "Settings", status: status, body: placeView(p)}
}

func (s *Server) createOrganization(ctx context.Context, v *visit) (reply, error) {
	f, err := sheetOf(v.r, "name", "identifier", "description")
	if err != nil {
		return reply{}, err
	}
	o, err := s.Organizations.CreateOrganization(ctx, v.who, org.Organization{
		Account: v.who.Account, ID: f.Value("identifier"), Name: f.Value("name"), Description: f.Value("description"),
	})
	if err == nil {
		return reply{to: v.url(organizationPath(o.ID))}, nil
	}
	status, err := f.refused(err, "identifier")
	if err != nil {
		return reply{}, err
	}
	return placeReply(placeForm{
		sheet: f, v: v, Kind: "organization", At: v.account(), New: true, Change: true, Back: settingsCrumbs(v), To: v.url("/ui/new/organization"),
	}, status), nil
}

// organizationForm is the page of an organization that there is.
func (s *Server) organizationForm(ctx context.Context, v *visit) (placeForm, org.Organization, error) {
	o, err := s.Organizations.Organization(ctx, v.who, v.r.PathValue("org"))
	if err != nil {
		return placeForm{}, o, err
	}
	at := scope.Scope{Account: o.Account, Org: o.ID}
	p := placeForm{
		v: v, Kind: "organization", At: at, Change: v.may(audit.OrganizationUpdate, v.account()), Name: o.Name, Back: settingsCrumbs(v),
		To: v.url(organizationPath(o.ID)), Search: v.search(), Create: v.may(audit.ProjectCreate, at), Audit: auditURL(v, at, "organization/"+o.ID),
	}
	switch {
	case !v.may(audit.OrganizationDelete, v.account()):
	case o.ID == org.DefaultOrganization:
		p.Stays = "It stays: what names no organization belongs to it."
	default:
		p.Delete = v.url(organizationPath(o.ID) + "/delete")
	}
	number := v.pageNumber()
	list, total, err := s.Organizations.Projects(ctx, v.who, org.Filter{Org: o.ID, Search: p.Search, Offset: (number - 1) * pageSize, Limit: pageSize})
	if err != nil {
		return placeForm{}, o, err
	}
	for _, one := range list {
		inside := scope.Scope{Account: one.Account, Org: one.Org, Project: one.ID}
		row := placeRow{
			Name: one.Name, ID: one.ID, Description: one.Description, To: v.url(projectPath(one.Org, one.ID)), Made: since(v.now, one.CreatedAt), Look: within("/ui/", inside),
		}
		if v.may(audit.ProjectDelete, inside) {
			row.Delete = v.url(projectPath(one.Org, one.ID) + "/delete")
		}
		p.Projects = append(p.Projects, row)
	}
	p.Pages = pagesOf(number, len(list), total, "project", "projects", func(page string) string {
		return v.url(organizationPath(o.ID), "search", p.Search, "page", page)
	})
	return p, o, nil
}

func (s *Server) organizationPage(ctx context.Context, v *visit) (reply, error) {
	p, o, err := s.organizationForm(ctx, v)
	if err != nil {
		return reply{}, err
	}
	p.Values = map[string]string{"name": o.Name, "identifier": o.ID, "description": o.Description}
	return placeReply(p, 0), nil
}

func (s *Server) updateOrganization(ctx context.Context, v *visit) (reply, error) {
	f, err := sheetOf(v.r, "name", "description")
	if err != nil {
		return reply{}, err
	}
	p, o, err := s.organizationForm(ctx, v)
	if err != nil {
		return reply{}, err
	}
	o.Name, o.Description = f.Value("name"), f.Value("description")
	if _, err = s.Organizations.UpdateOrganization(ctx, v.who, o); err == nil {
		return reply{to: v.url(organizationPath(o.ID))}, nil
	}
	status, err := f.refused(err, "")
	if err != nil {
		return reply{}, err
	}
	f.Values["identifier"] = o.ID
	p.sheet = f
	return placeReply(p, status), nil
}

func (s *Server) newProject(ctx context.Context, v *visit) (reply, error) {
	p, err := s.projectDraft(ctx, v, v.query.Get("in"))
	if err != nil {
		return reply{}, err
	}
	return placeReply(p, 0), nil
}

// projectDraft is the form of a new project in an organization.
func (s *Server) projectDraft(ctx context.Context, v *visit, in string) (placeForm, error) {
	at := scope.Scope{Account: v.who.Account, Org: in}
	if err := denied(v.may(audit.ProjectCreate, at), "make projects", at); err != nil {
		return placeForm{}, err
	}
	o, err := s.Organizations.Organization(ctx, v.who, in)
	if err != nil {
		return placeForm{}, err
	}
	return placeForm{
		v: v, Kind: "project", At: at, New: true, Change: true, To: v.url("/ui/new/project", "in", in),
		Back: settingsCrumbs(v, parent{o.Name, v.url(organizationPath(o.ID))}),
	}, nil
}

func (s *Server) createProject(ctx context.Context, v *visit) (reply, error) {
	f, err := sheetOf(v.r, "name", "identifier", "description")
	if err != nil {
		return reply{}, err
	}
	p, err := s.projectDraft(ctx, v, v.query.Get("in"))
	if err != nil {
		return reply{}, err
	}
	made, err := s.Organizations.CreateProject(ctx, v.who, org.Project{
		Account: v.who.Account, Org: p.At.Org, ID: f.Value("identifier"), Name: f.Value("name"), Description: f.Value("description"),
	})
	if err == nil {
		return reply{to: v.url(projectPath(made.Org, made.ID))}, nil
	}
	status, err := f.refused(err, "identifier")
	if err != nil {
		return reply{}, err
	}
	p.sheet = f
	return placeReply(p, status), nil
}

// projectForm is the page of a project that there is.
func (s *Server) projectForm(ctx context.Context, v *visit) (placeForm, org.Project, error) {
	one, err := s.Organizations.Project(ctx, v.who, v.r.PathValue("org"), v.r.PathValue("project"))
	if err != nil {
		return placeForm{}, one, err
	}
	at := scope.Scope{Account: one.Account, Org: one.Org, Project: one.ID}
	p := placeForm{
		v: v, Kind: "project", At: at, Change: v.may(audit.ProjectUpdate, at), Name: one.Name, To: v.url(projectPath(one.Org, one.ID)),
		Back: settingsCrumbs(v, parent{one.Org, v.url(organizationPath(one.Org))}), Audit: auditURL(v, at, "project/"+one.ID),
	}
	if v.may(audit.ProjectDelete, at) {
		p.Delete = v.url(projectPath(one.Org, one.ID) + "/delete")
	}
	return p, one, nil
}

func (s *Server) projectPage(ctx context.Context, v *visit) (reply, error) {
	p, one, err := s.projectForm(ctx, v)
	if err != nil {
		return reply{}, err
	}
	p.Values = map[string]string{"name": one.Name, "identifier": one.ID, "description": one.Description}
	return placeReply(p, 0), nil
}

func (s *Server) updateProject(ctx context.Context, v *visit) (reply, error) {
	f, err := sheetOf(v.r, "name", "description")
	if err != nil {
		return reply{}, err
	}
	p, one, err := s.projectForm(ctx, v)
	if err != nil {
		return reply{}, err
	}
	one.Name, one.Description = f.Value("name"), f.Value("description")
	if _, err = s.Organizations.UpdateProject(ctx, v.who, one); err == nil {
		return reply{to: v.url(projectPath(one.Org, one.ID))}, nil
	}
	status, err := f.refused(err, "")
	if err != nil {
		return reply{}, err
	}
	f.Values["identifier"] = one.ID
	p.sheet = f
	return placeReply(p, status), nil
}

// removal is what goes with an organization or a project.
type removal struct {
	v            *visit
	Kind, ID     string
	Name         string
	Back         []parent
	To, Keep     string
	Goes         []string // what goes with it, counted
	Keys         int      // API keys that lose their role
	Mine         bool     // the caller's own key is one of them
	Problem      string
	MustBeTyped  bool
	Organization bool
}

func (s *Server) removalOf(ctx context.Context, v *visit, at scope.Scope) (removal, error) {
	c, err := s.Organizations.Contents(ctx, v.who, at)
	if err != nil {
		return removal{}, err
	}
	r := removal{v: v, Keys: c.Keys, MustBeTyped: !c.Empty()}
	for _, one := range []struct {
		n         int
		one, many string
	}{
		{c.Projects, "project", "projects"},
		{c.Connectors, "connector with its tests", "connectors with their tests"},
		{c.Secrets, "secret", "secrets"},
		{c.Delegates, "delegate", "delegates"},
		{c.Tokens, "delegate token", "delegate tokens"},
		{c.Definitions, "service, environment or infrastructure definition", "services, environments and infrastructure definitions"},
	} {
		if one.n > 0 {
			r.Goes = append(r.Goes, count(one.n, one.one, one.many))
		}
	}
	for _, g := range v.who.Grants {
		r.Mine = r.Mine || at.Contains(g.Scope)
	}
	return r, nil
}

func (s *Server) organizationRemoval(ctx context.Context, v *visit) (removal, error) {
	o, err := s.Organizations.Organization(ctx, v.who, v.r.PathValue("org"))
	if err != nil {
		return removal{}, err
	}
	if err := denied(v.may(audit.OrganizationDelete, v.account()), "delete organizations", v.account()); err != nil {
		return removal{}, err
	}
	r, err := s.removalOf(ctx, v, scope.Scope{Account: o.Account, Org: o.ID})
	r.Kind, r.ID, r.Name, r.Organization = "organization", o.ID, o.Name, true
	r.To, r.Keep = v.url(organizationPath(o.ID)+"/delete"), v.url(organizationPath(o.ID))
	r.Back = settingsCrumbs(v, parent{o.Name, r.Keep})
	return r, err
}

func (s *Server) projectRemoval(ctx context.Context, v *visit) (removal, error) {
	one, err := s.Organizations.Project(ctx, v.who, v.r.PathValue("org"), v.r.PathValue("project"))
	if err != nil {
		return removal{}, err
	}
	at := scope.Scope{Account: one.Account, Org: one.Org, Project: one.ID}
	if err := denied(v.may(audit.ProjectDelete, at), "delete this project", at); err != nil {
		return removal{}, err
	}
	r, err := s.removalOf(ctx, v, at)
	r.Kind, r.ID, r.Name = "project", one.ID, one.Name
	r.To, r.Keep = v.url(projectPath(one.Org, one.ID)+"/delete"), v.url(projectPath(one.Org, one.ID))
	r.Back = settingsCrumbs(v, parent{one.Org, v.url(organizationPath(one.Org))}, parent{one.Name, r.Keep})
	return r, err
}

func removalReply(r removal, status int) reply {
	return reply{title: "Delete " + r.Name, here: "Settings", status: status, body: removalView(r)}
}

func (s *Server) confirmOrganization(ctx context.Context, v *visit) (reply, error) {
	r, err := s.organizationRemoval(ctx, v)
	return removalReply(r, 0), err
}

func (s *Server) confirmProject(ctx context.Context, v *visit) (reply, error) {
	r, err := s.projectRemoval(ctx, v)
	return removalReply(r, 0), err
}

// typed checks the name that must be typed where something would be lost.
func (r *removal) typed() bool {
	if r.MustBeTyped && strings.TrimSpace(r.v.r.PostFormValue("confirm")) != r.ID {
		r.Problem = "Type " + r.ID + " exactly, or keep the " + r.Kind + "."
		return false
	}
	return true
}

func (s *Server) deleteOrganization(ctx context.Context, v *visit) (reply, error) {
	r, err := s.organizationRemoval(ctx, v)
	if err != nil {
		return reply{}, err
	}
	if !r.typed() {
		return removalReply(r, http.StatusBadRequest), nil
	}
	if err := s.Organizations.DeleteOrganization(ctx, v.who, r.ID); err != nil {
		return reply{}, err
	}
	return reply{to: organizationsPath}, nil // the scope of the page may have gone with it
}

func (s *Server) deleteProject(ctx context.Context, v *visit) (reply, error) {
	r, err := s.projectRemoval(ctx, v)
	if err != nil {
		return reply{}, err
	}
	if !r.typed() {
		return removalReply(r, http.StatusBadRequest), nil
	}
	organization := v.r.PathValue("org")
	if err := s.Organizations.DeleteProject(ctx, v.who, organization, r.ID); err != nil {
		return reply{}, err
	}
	return reply{to: organizationPath(organization)}, nil
}
