package cli

import (
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
)

type manCmd struct{}

// Help says how it is used.
func (*manCmd) Help() string {
	return "To read it: belay man | man -l -. To install it: belay man > /usr/local/share/man/man1/belay.1"
}

// Run prints the manual page, made of the same texts as --help.
func (*manCmd) Run(k *kong.Context, a *app) error {
	m := roff{}
	root := k.Model.Node
	m.macro("TH", "BELAY", "1", "", "belay "+a.Version, "")
	m.macro("SH", "NAME")
	m.text("belay - connections between delivery tools and AWS")
	m.macro("SH", "SYNOPSIS")
	m.text("belay <command> [flags]")
	m.macro("SH", "DESCRIPTION")
	m.text(root.Help)
	m.text("What a command was asked for goes to standard output and nothing else does; notes, logs and errors go to standard error.")
	m.macro("SH", "COMMANDS")
	for _, leaf := range root.Leaves(true) {
		m.macro("SS", leaf.FullPath()+arguments(leaf))
		m.text(leaf.Help)
		m.text(leaf.Detail)
		for _, p := range leaf.Positional {
			m.item("<"+p.Name+">", p.Help)
		}
		for group := leaf; group != root; group = group.Parent {
			m.flags(group.Flags)
		}
	}
	m.macro("SH", "FLAGS OF EVERY COMMAND")
	m.flags(root.Flags)
	m.macro("SH", "EXIT STATUS")
	for _, e := range []struct {
		code int
		text string
	}{
		{Done, "done"},
		{Failed, "not done"},
		{Misused, "the command or its input is wrong; nothing was done"},
		{Different, "a finding: a connection fails, a dry run found changes, no delegate fits"},
		{Refused, "the manager refuses the key, or its role is too weak"},
		{TimedOut, "no answer within --timeout"},
	} {
		m.item(strconv.Itoa(e.code), e.text)
	}
	m.macro("SH", "ENVIRONMENT")
	m.text("Every flag can be set by the variable that stands beside it; an empty one counts as not set.")
	m.item("NO_COLOR, CLICOLOR_FORCE", "No colour; colour also without a terminal.")
	m.item("XDG_CONFIG_HOME, XDG_DATA_HOME", "Where profiles and data are.")
	m.macro("SH", "FILES")
	m.item("$XDG_CONFIG_HOME/belay/config.yaml", "Profiles: managers and API keys, for its owner only. belay up writes one.")
	m.item("$XDG_DATA_HOME/belay", "Database, master key and logs of a manager.")
	a.line("%s", strings.TrimSuffix(m.b.String(), "\n"))
	return nil
}

// arguments are what a command takes besides flags, as its usage shows them.
func arguments(n *kong.Node) string {
	var b strings.Builder
	for _, p := range n.Positional {
		b.WriteString(" " + p.Summary())
	}
	return b.String()
}

// roff writes the macros of man(7).
type roff struct{ b strings.Builder }

// macro writes a request with its arguments.
func (m *roff) macro(name string, args ...string) {
	m.b.WriteString("." + name)
	for _, arg := range args {
		m.b.WriteString(` "` + strings.ReplaceAll(plainRoff(arg), `"`, `\(dq`) + `"`)
	}
	m.b.WriteString("\n")
}

// text writes a paragraph.
func (m *roff) text(text string) {
	if text != "" {
		m.b.WriteString(".PP\n" + `\&` + plainRoff(text) + "\n")
	}
}

// item writes a term and what it means.
func (m *roff) item(term, text string) {
	m.b.WriteString(".TP\n" + `\fB` + plainRoff(term) + `\fR` + "\n" + `\&` + plainRoff(text) + "\n")
}

func (m *roff) flags(flags []*kong.Flag) {
	for _, f := range flags {
		if f.Hidden {
			continue
		}
		help := f.Help
		if len(f.Envs) > 0 {
			help += " ($" + f.Envs[0] + ")"
		}
		m.item(strings.TrimSpace(f.String()), help)
	}
}

// plainRoff is a text on one line in which nothing is a request or an escape, and a hyphen is what can be typed.
func plainRoff(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "…", `\[u2026]`).Replace(text)
}
