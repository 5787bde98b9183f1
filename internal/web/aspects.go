package web

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/backoff"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/infra"
)

// setting is a line of a connector's settings.
type setting struct {
	Label, Text string
	Code        bool
	Tags        []string
	Link, To    string // what more there is to it, and where
}

// delegatesLabel is the setting that says who calls AWS.
const delegatesLabel = "Delegates"

// settingsOf are the settings of a connector. Values of secrets and external ids are not among them.
func settingsOf(c connector.Stored) []setting {
	all := []setting{{Label: "Identifier", Text: c.ID, Code: true}, {Label: "Lives in", Text: placeName(c.Scope)}}
	add := func(label, text string, code bool) {
		if text != "" {
			all = append(all, setting{Label: label, Text: text, Code: code})
		}
	}
	add("Description", c.Description, false)
	add("Credentials", credentialOf(c.Connector), false)
	switch credential := c.Credential.(type) {
	case connector.ManualConfig:
		add("Access key id", credential.AccessKey, true)
		add("Access key id, secret", string(credential.AccessKeyRef), true)
		add("Secret key, secret", string(credential.SecretKeyRef), true)
		add("Session token, secret", string(credential.SessionTokenRef), true)
	case connector.OIDC:
		add("Role of the token", credential.RoleARN, true)
	case connector.InheritFromDelegate, connector.IRSA:
	case connector.Kubernetes:
		if len(c.Tags) > 0 {
			all = append(all, setting{Label: "Tags", Tags: tagsOf(c.Tags)})
		}
		return all
	}
	if c.OnDelegate() {
		one := setting{Label: delegatesLabel, Text: "any"}
		if len(c.Selectors) > 0 {
			one.Text, one.Tags = "", c.Selectors
		}
		all = append(all, one)
	} else {
		add(delegatesLabel, "none: from this manager", false)
	}
	if x := c.CrossAccount; x != nil {
		add("Role", x.RoleARN, true)
		set := "not set"
		if x.ExternalID != "" {
			set = "set"
		}
		add("External id", set, false)
		if x.SessionDuration > 0 {
			add("Session", x.SessionDuration.String(), false)
		}
	}
	add("Test Region", c.TestRegion(), true)
	add("Backoff", backoffWords(c.Backoff), false)
	if c.IgnoreTestConnection {
		add("Periodic test", "off", false)
	}
	if len(c.Tags) > 0 {
		all = append(all, setting{Label: "Tags", Tags: tagsOf(c.Tags)})
	}
	return all
}

func tagsOf(tags map[string]string) []string {
	var out []string
	for _, name := range sortedKeys(tags) {
		text := name
		if tags[name] != "" {
			text += ":" + tags[name]
		}
		out = append(out, text)
	}
	return out
}

// backoffWords say how often and how long a call is tried again.
func backoffWords(s backoff.Strategy) string {
	up := func(base, most time.Duration, n int) string {
		return fmt.Sprintf("%s to %s, %s", base, most, count(n, "retry", "retries"))
	}
	switch s := s.(type) {
	case backoff.Fixed:
		return fmt.Sprintf("fixed, %s, %s", s.Wait, count(s.Count, "retry", "retries"))
	case backoff.EqualJitter:
		return "equal jitter, " + up(s.Base, s.Max, s.Count)
	case backoff.FullJitter:
		return "full jitter, " + up(s.Base, s.Max, s.Count)
	case backoff.Default, nil:
	}
	return "SDK default"
}

func (s *Server) connectorSettings(ctx context.Context, v *visit) (reply, error) {
	p, err := s.connectorPage(ctx, v, "settings")
	if err != nil {
		return reply{}, err
	}
	all := append(settingsOf(p.c), setting{Label: "Change", Text: strconv.FormatInt(p.c.Revision, 10)})
	return reply{title: p.c.Name + ", settings", here: "Connectors", body: settingsView(p, all, since(v.now, p.c.CreatedAt), since(v.now, p.c.UpdatedAt))}, nil
}

// userRow is a definition that names a connector.
type userRow struct{ Name, ID, Kind, Where, In string }

// mostUserRows bounds the list of what uses a connector.
const mostUserRows = 200

func (s *Server) connectorUsers(ctx context.Context, v *visit) (reply, error) {
	p, err := s.connectorPage(ctx, v, "used")
	if err != nil {
		return reply{}, err
	}
	rows, whole, err := s.users(ctx, v, p.c)
	if err != nil {
		return reply{}, err
	}
	total := len(rows)
	return reply{title: p.c.Name + ", used by", here: "Connectors", body: usersView(p, rows[:min(total, mostUserRows)], total, whole)}, nil
}

// users are the definitions that name a connector; whole says that there are no others.
func (s *Server) users(ctx context.Context, v *visit, c connector.Stored) (rows []userRow, whole bool, err error) {
	list, whole, err := s.Definitions.Users(ctx, v.who, c.Scope, c.ID)
	if err != nil {
		return nil, false, err
	}
	for _, d := range list {
		row := userRow{Name: d.Name, ID: d.ID, Kind: string(d.Kind), Where: placeName(d.Scope), In: d.Environment}
		if d.Kind == infra.Infrastructure {
			row.Kind = "infrastructure definition"
		}
		rows = append(rows, row)
	}
	return rows, whole, nil
}

func (s *Server) connectorAudit(ctx context.Context, v *visit) (reply, error) {
	p, err := s.connectorPage(ctx, v, "audit")
	if err != nil {
		return reply{}, err
	}
	list, err := s.Trail.Entries(ctx, v.who, audit.Filter{
		Scope: p.c.Scope, Targets: []string{"connector/" + p.c.ID}, Before: v.query.Get("before"), Limit: pageSize + 1,
	})
	if err != nil {
		return reply{}, err
	}
	older := ""
	if len(list) > pageSize {
		list = list[:pageSize]
		older = withQuery(p.To("/audit"), nil, "before", list[pageSize-1].ID)
	}
	// Inside an account there may be another of the same name.
	list = slices.DeleteFunc(list, func(e audit.Entry) bool { return e.Scope != p.c.Scope })
	rows := make([]auditRow, 0, len(list))
	for _, e := range list {
		rows = append(rows, auditRowOf(v.now, e))
	}
	return reply{title: p.c.Name + ", audit", here: "Connectors", body: connectorAuditView(p, rows, older)}, nil
}
