package web

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
)

// About is what the manager says of itself.
type About struct {
	Store     string // what the data is kept in, without how to get in
	Bell      string // how waiting calls are woken
	RateLimit string
	TestEvery time.Duration // 0: never on their own
	KeepTests time.Duration
	KeepTasks time.Duration
	KeepAudit time.Duration
}

// settingTabs are the settings that the caller may see.
func settingTabs(v *visit, here string) []tab {
	var tabs []tab
	add := func(name, path string, may bool) {
		if may {
			tabs = append(tabs, tab{name, 0, v.url(path), name == here})
		}
	}
	add("Organizations", "/ui/settings/organizations", v.may(audit.OrganizationRead, v.account()))
	add("API keys", "/ui/settings/keys", v.may(audit.KeyRead, v.at))
	add("Roles", "/ui/settings/roles", true)
	add("Feature flags", "/ui/settings/flags", v.may(audit.FlagRead, v.account()))
	add("OIDC issuer", "/ui/settings/oidc", v.may(audit.OIDCRead, v.account()))
	add("About", "/ui/settings/about", true)
	return tabs
}

// settings shows the first of the settings that the caller may see.
func (s *Server) settings(ctx context.Context, v *visit) (reply, error) {
	switch settingTabs(v, "")[0].Name {
	case "Organizations":
		return s.organizationList(ctx, v)
	case "API keys":
		return s.keyList(ctx, v)
	}
	return s.roles(ctx, v)
}

// roleRow is one kind of thing, and what each role may do with it beyond the role before, in the order of audit.Roles.
type roleRow struct {
	Kind string
	Adds [][]string
}

func roleRows() []roleRow {
	var rows []roleRow
	for _, a := range audit.Actions() {
		kind, verb, _ := strings.Cut(string(a), ".")
		i := slices.IndexFunc(rows, func(r roleRow) bool { return r.Kind == kind })
		if i < 0 {
			i = len(rows)
			rows = append(rows, roleRow{Kind: kind, Adds: make([][]string, len(audit.Roles()))})
		}
		role := slices.Index(audit.Roles(), a.Needs())
		rows[i].Adds[role] = append(rows[i].Adds[role], verb)
	}
	return rows
}

// grantRow is a role of the caller.
type grantRow struct{ Role, Where string }

func grantRows(who audit.Caller) []grantRow {
	var rows []grantRow
	for _, g := range who.Grants {
		rows = append(rows, grantRow{roleName(g.Role), placeName(g.Scope)})
	}
	return rows
}

// placeName is a scope as a label has it, inWords as a sentence has it.
func placeName(at scope.Scope) string {
	if at.Level() == scope.Account {
		return "Whole account"
	}
	return at.String()
}

func inWords(at scope.Scope) string {
	if at.Level() == scope.Account {
		return "the whole account"
	}
	return at.String()
}

func (s *Server) roles(_ context.Context, v *visit) (reply, error) {
	return reply{title: "Roles", here: "Settings", body: rolesView(v, roleRows(), grantRows(v.who))}, nil
}

// flagRow is a feature flag.
type flagRow struct {
	org.Flag
	Effect string // of turning it off
	To     string // where it is turned; "" when the caller may not
}

// flagEffect says what turning a flag off does.
func flagEffect(name string) string {
	switch name {
	case org.FlagOIDC:
		return "Tests and use of connectors with OIDC credentials are refused, by the name of the flag. The connectors stay, and new ones can be saved."
	case org.FlagSessionToken:
		return "Tests and use of connectors whose access key has a session token are refused, by the name of the flag. The connectors stay, and new ones can be saved."
	case org.FlagOIDCSubject:
		return "New OIDC tokens have the whole account as their subject, no longer its organization and project. Trust policies that name those let nobody in, until they are changed."
	}
	return "What it opens is refused by its name."
}

func (s *Server) flags(ctx context.Context, v *visit) (reply, error) {
	list, err := s.Organizations.Flags(ctx, v.who)
	if err != nil {
		return reply{}, err
	}
	var rows []flagRow
	for _, f := range list {
		row := flagRow{Flag: f, Effect: flagEffect(f.Name)}
		if v.may(audit.FlagSet, v.account()) {
			row.To = v.url("/ui/settings/flags/" + f.Name)
		}
		rows = append(rows, row)
	}
	return reply{title: "Feature flags", here: "Settings", body: flagsView(v, rows)}, nil
}

// confirmFlag says what is refused once a flag is off.
func (s *Server) confirmFlag(ctx context.Context, v *visit) (reply, error) {
	if err := denied(v.may(audit.FlagSet, v.account()), "turn feature flags", v.account()); err != nil {
		return reply{}, err
	}
	list, err := s.Organizations.Flags(ctx, v.who)
	if err != nil {
		return reply{}, err
	}
	i := slices.IndexFunc(list, func(f org.Flag) bool { return f.Name == v.r.PathValue("name") })
	if i < 0 {
		return reply{}, fault.New(fault.NotFound, "there is no feature flag of that name")
	}
	row := flagRow{Flag: list[i], Effect: flagEffect(list[i].Name), To: v.url("/ui/settings/flags/" + list[i].Name)}
	return reply{title: "Turn off " + row.Name, here: "Settings", body: flagOffView(v, row)}, nil
}

func (s *Server) setFlag(ctx context.Context, v *visit) (reply, error) {
	on := v.r.PostFormValue("on")
	if on != "true" && on != "false" {
		return reply{}, fault.New(fault.Invalid, "the form does not say whether the flag is to be on or off")
	}
	if err := s.Organizations.SetFlag(ctx, v.who, v.r.PathValue("name"), on == "true"); err != nil {
		return reply{}, err
	}
	return reply{to: v.url("/ui/settings/flags")}, nil
}

// about shows the manager and its limits.
func (s *Server) about(_ context.Context, v *visit) (reply, error) {
	rows := []fact{
		{Label: "Version", Text: s.Version},
		{Label: "Delegates it comes with", Text: delegate.Current().String()},
	}
	add := func(label, text string) {
		if text != "" {
			rows = append(rows, fact{Label: label, Text: text})
		}
	}
	if s.URL != nil {
		add("Public address", s.URL())
	}
	add("Account", v.who.Account)
	add("Store", s.About.Store)
	add("Bell", s.About.Bell)
	limits := []fact{
		{Label: "Calls of one API key", Text: s.About.RateLimit},
		{Label: "Session in the browser", Text: "ends after " + lasting(sessionFor) + ", or " + lasting(idleFor) + " without use"},
		{Label: "A form of these pages", Text: "has at most " + grouped(maxForm>>10) + " KiB"},
		{Label: "Open pages that update themselves", Text: "at most " + grouped(mostStreams)},
	}
	switch {
	case s.About.TestEvery > 0:
		limits = append(limits, fact{Label: "Periodic tests", Text: "each connector about every " + lasting(s.About.TestEvery)})
	default:
		limits = append(limits, fact{Label: "Periodic tests", Text: "none"})
	}
	for _, k := range []struct {
		label string
		d     time.Duration
	}{{"Tests are kept", s.About.KeepTests}, {"Finished tasks are kept", s.About.KeepTasks}, {"Audit entries are kept", s.About.KeepAudit}} {
		if k.d > 0 {
			limits = append(limits, fact{Label: k.label, Text: lasting(k.d)})
		}
	}
	return reply{title: "About this manager", here: "Settings", body: aboutView(v, rows, limits)}, nil
}

// lasting is a duration in whole units.
func lasting(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return count(int(d.Hours()/24), "day", "days")
	case d >= time.Hour && d%time.Hour == 0:
		return count(int(d.Hours()), "hour", "hours")
	case d >= time.Minute:
		return count(int(d.Minutes()), "minute", "minutes")
	}
	return count(int(d.Seconds()), "second", "seconds")
}

// roleName is a role as a heading has it.
func roleName(r audit.Role) string {
	switch r {
	case audit.Viewer:
		return "Viewer"
	case audit.Editor:
		return "Editor"
	case audit.Admin:
		return "Administrator"
	}
	return string(r)
}

// kindName is a kind of thing as a heading has it: delegate-token becomes Delegate token.
func kindName(kind string) string {
	switch kind {
	case "oidc":
		return "OIDC issuer"
	case "api-key":
		return "API key"
	case "flag":
		return "Feature flag"
	case "audit":
		return "Audit log"
	case "":
		return ""
	}
	text := strings.ReplaceAll(kind, "-", " ")
	return strings.ToUpper(text[:1]) + text[1:]
}
