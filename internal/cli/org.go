package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/belay-dev/belay/internal/nextgen"
)

type orgCmd struct {
	List   orgList   `cmd:"" help:"List organizations."`
	Get    orgGet    `cmd:"" help:"Show an organization."`
	Create orgCreate `cmd:"" help:"Make an organization."`
	Delete orgDelete `cmd:"" help:"Delete an organization with everything inside it."`
}

// described are the flags of what has a name.
type described struct {
	Name        string            `help:"Name; the identifier by default." placeholder:"TEXT"`
	Description string            `help:"What it is for." placeholder:"TEXT"`
	Tag         map[string]string `help:"Tag. May be given more than once." placeholder:"KEY=VALUE"`
}

func (d described) name(id string) string {
	if d.Name == "" {
		return id
	}
	return d.Name
}

type orgList struct {
	Search string `help:"Part of name, identifier or description." placeholder:"TEXT"`
}

// Run lists organizations.
func (cmd *orgList) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	q := url.Values{}
	if cmd.Search != "" {
		q.Set("searchTerm", cmd.Search)
	}
	all, err := pages[nextgen.OrganizationResponse](ctx, c, http.MethodGet, "/organizations", q, nil)
	if err != nil {
		return err
	}
	return a.print(all, func() {
		var rows [][]cell
		for _, o := range all {
			rows = append(rows, plain(o.Organization.Identifier, o.Organization.Name, o.Organization.Description, ago(milliseconds(o.CreatedAt))))
		}
		none := "There is no organization."
		if cmd.Search != "" {
			none = "No organization fits."
		}
		a.table(none, []string{"Identifier", "Name", "Description", "Made"}, rows)
	})
}

type orgGet struct {
	ID string `arg:"" name:"organization" help:"Identifier."`
}

// Run shows an organization.
func (cmd *orgGet) Run(ctx context.Context, a *app) error {
	return showOne(ctx, a, "/organizations/"+url.PathEscape(cmd.ID), nil, func(o nextgen.OrganizationResponse) {
		a.fields([2]string{"Name", o.Organization.Name}, [2]string{"Identifier", o.Organization.Identifier},
			[2]string{"Description", o.Organization.Description}, [2]string{"Tags", tagWords(o.Organization.Tags)}, [2]string{"Made", ago(milliseconds(o.CreatedAt))})
	})
}

// showOne gets a thing and prints it.
func showOne[T any](ctx context.Context, a *app, path string, q url.Values, table func(T)) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := c.ng(ctx, http.MethodGet, path, q, nil, &raw); err != nil {
		return err
	}
	var thing T
	if err := json.Unmarshal(raw, &thing); err != nil {
		return fmt.Errorf("the manager's answer cannot be read: %w", err)
	}
	return a.print(raw, func() { table(thing) })
}

func tagWords(tags map[string]string) string {
	words := make([]string, 0, len(tags))
	for _, k := range sorted(tags) {
		words = append(words, strings.TrimSuffix(k+":"+tags[k], ":"))
	}
	return strings.Join(words, ", ")
}

type orgCreate struct {
	ID string `arg:"" name:"organization" help:"Identifier."`
	described
}

// Run makes an organization.
func (cmd *orgCreate) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	body := nextgen.OrganizationEnvelope{Organization: nextgen.Organization{
		Identifier: cmd.ID, Name: cmd.name(cmd.ID), Description: cmd.Description, Tags: cmd.Tag,
	}}
	var raw json.RawMessage
	if err := c.ng(ctx, http.MethodPost, "/organizations", nil, body, &raw); err != nil {
		return err
	}
	return a.print(raw, func() { a.note("Made organization %s.", cmd.ID) })
}

type orgDelete struct {
	ID  string `arg:"" name:"organization" help:"Identifier."`
	Yes bool   `help:"Do not ask."`
}

// Run deletes an organization.
func (cmd *orgDelete) Run(ctx context.Context, a *app) error {
	if err := a.sure(ctx, cmd.Yes, "organization", cmd.ID, "all its projects, connectors, secrets and delegate tokens"); err != nil {
		return err
	}
	a.Org, a.Project = "", ""
	return a.deleteEach(ctx, "organization", "/organizations/", []string{cmd.ID}, nil)
}

// sure asks before a thing goes with all that lies inside it.
func (a *app) sure(ctx context.Context, yes bool, kind, id, with string) error {
	if yes {
		return nil
	}
	if !terminal(a.In) {
		return misusef("this deletes %s %s with %s. Add --yes", kind, id, with)
	}
	_, _ = fmt.Fprintf(a.Err, "Delete %s %s with %s? Type its identifier: ", kind, id, with)
	answer, err := bufio.NewReader(input{ctx, a.In}).ReadString('\n')
	if errors.Is(err, errInterrupted) {
		a.note("")
		return err
	}
	if strings.TrimSpace(answer) != id {
		a.note("Nothing was deleted.")
		return exit{Failed}
	}
	return nil
}

type projectCmd struct {
	List   projectList   `cmd:"" help:"List projects."`
	Get    projectGet    `cmd:"" help:"Show a project."`
	Create projectCreate `cmd:"" help:"Make a project."`
	Delete projectDelete `cmd:"" help:"Delete a project with everything inside it."`
}

type projectList struct {
	Search string `help:"Part of name, identifier or description." placeholder:"TEXT"`
}

// Run lists projects, of --org or of all organizations.
func (cmd *projectList) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	q := url.Values{}
	if a.Org != "" {
		q.Set("orgIdentifier", a.Org)
	}
	if cmd.Search != "" {
		q.Set("searchTerm", cmd.Search)
	}
	all, err := pages[nextgen.ProjectResponse](ctx, c, http.MethodGet, "/projects", q, nil)
	if err != nil {
		return err
	}
	a.Project = "" // projects lie in no project
	if err := a.inhabited(ctx, len(all)); err != nil {
		return err
	}
	return a.print(all, func() {
		var rows [][]cell
		for _, p := range all {
			rows = append(rows, plain(p.Project.OrgIdentifier, p.Project.Identifier, p.Project.Name, p.Project.Description, ago(milliseconds(p.CreatedAt))))
		}
		none := "There is no project. `belay project create NAME --org default` makes one."
		if cmd.Search != "" {
			none = "No project fits."
		}
		a.table(none, []string{"Organization", "Identifier", "Name", "Description", "Made"}, rows)
	})
}

// owner is the organization of a project that a command names.
func (a *app) owner() (url.Values, error) {
	if a.Org == "" {
		return nil, misusef("a project belongs to an organization; name it with --org, such as --org default")
	}
	return url.Values{"orgIdentifier": {a.Org}}, nil
}

type projectGet struct {
	ID string `arg:"" name:"project" help:"Identifier."`
}

// Run shows a project.
func (cmd *projectGet) Run(ctx context.Context, a *app) error {
	q, err := a.owner()
	if err != nil {
		return err
	}
	return showOne(ctx, a, "/projects/"+url.PathEscape(cmd.ID), q, func(p nextgen.ProjectResponse) {
		a.fields([2]string{"Name", p.Project.Name}, [2]string{"Identifier", p.Project.Identifier}, [2]string{"Organization", p.Project.OrgIdentifier},
			[2]string{"Description", p.Project.Description}, [2]string{"Tags", tagWords(p.Project.Tags)}, [2]string{"Made", ago(milliseconds(p.CreatedAt))})
	})
}

type projectCreate struct {
	ID string `arg:"" name:"project" help:"Identifier."`
	described
}

// Run makes a project.
func (cmd *projectCreate) Run(ctx context.Context, a *app) error {
	q, err := a.owner()
	if err != nil {
		return err
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	body := nextgen.ProjectEnvelope{Project: nextgen.Project{
		OrgIdentifier: a.Org, Identifier: cmd.ID, Name: cmd.name(cmd.ID), Description: cmd.Description, Tags: cmd.Tag,
	}}
	var raw json.RawMessage
	if err := c.ng(ctx, http.MethodPost, "/projects", q, body, &raw); err != nil {
		return err
	}
	return a.print(raw, func() { a.note("Made project %s in organization %s.", cmd.ID, a.Org) })
}

type projectDelete struct {
	ID  string `arg:"" name:"project" help:"Identifier."`
	Yes bool   `help:"Do not ask."`
}

// Run deletes a project.
func (cmd *projectDelete) Run(ctx context.Context, a *app) error {
	if _, err := a.owner(); err != nil {
		return err
	}
	if err := a.sure(ctx, cmd.Yes, "project", cmd.ID, "all its connectors, secrets and delegate tokens"); err != nil {
		return err
	}
	a.Project = ""
	return a.deleteEach(ctx, "project", "/projects/", []string{cmd.ID}, nil)
}
