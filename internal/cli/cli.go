package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	completion "github.com/jotaen/kong-completion"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/manifest"
	"github.com/belay-dev/belay/internal/upgrader"
)

// The exit codes.
const (
	Done      = 0   // it was done
	Failed    = 1   // it was not
	Misused   = 2   // the command or its input is wrong; nothing was done
	Different = 3   // a finding: a connection fails, a dry run found changes, a pattern matches nothing
	Refused   = 4   // the manager refuses the key, or the key's role is too weak
	TimedOut  = 124 // no answer within --timeout
)

// Streams are where a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// Version is the version of the program.
	Version string
}

// Main runs a command and gives its exit code. args are without the name of the program.
func Main(ctx context.Context, args []string, io Streams) int {
	out := &written{Writer: io.Out}
	io.Out = out
	return out.settle(run(ctx, args, io), io)
}

func run(ctx context.Context, args []string, io Streams) int {
	args = usual(args)
	if len(args) > 0 && args[0] == "version" && os.Getenv("COMP_LINE") == "" {
		if code, done := versionAtOnce(args[1:], io); done {
			return code
		}
	}
	var root commands
	code := -1
	type exited struct{}
	parser, err := kong.New(&root,
		kong.Name("belay"),
		kong.Description("Belay keeps the connections between your delivery tools and AWS: connectors, their secrets, the delegates that use them, and the reason when one breaks."),
		kong.Writers(io.Out, io.Err),
		kong.DefaultEnvars("BELAY"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.Vars{"version": io.Version, "sandbox_listen": sandboxListen, "service_account": upgrader.ServiceAccountFolder, "tools": strings.Join(manifest.Tools(), ", ")},
		kong.Exit(func(int) { panic(exited{}) }),
	)
	if err != nil {
		return report(io, fmt.Errorf("the command line is broken: %w", err))
	}
	unset(parser.Model.Node)
	do := func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				if _, ok := r.(exited); !ok {
					panic(r)
				}
				code = Done // help was printed, or a completion
			}
		}()
		completion.Register(parser)
		k, err := parser.Parse(args)
		if err != nil {
			return mistake(err)
		}
		a := &app{Streams: io, options: root.options}
		if err := errors.Join(filled(k), a.scoped()); err != nil {
			return err
		}
		k.Bind(a)
		k.BindTo(ctx, (*context.Context)(nil))
		return k.Run()
	}
	err = do()
	if code >= 0 {
		return code
	}
	return report(io, err)
}

// usual gives what people try from habit its form here: --version and `help connector list`.
func usual(args []string) []string {
	switch {
	case len(args) > 0 && args[0] == "--version":
		return append([]string{"version"}, args[1:]...)
	case len(args) > 0 && args[0] == "help":
		return append(slices.Clone(args[1:]), "--help")
	}
	return args
}

// unset makes flags pass over variables that are empty: to set one to nothing is how shells and manifests take it away.
func unset(n *kong.Node) {
	for _, f := range n.Flags {
		f.Tag.Envs = slices.DeleteFunc(f.Tag.Envs, func(name string) bool {
			value, set := os.LookupEnv(name)
			return set && value == ""
		})
	}
	for _, child := range n.Children {
		unset(child)
	}
}

// filled refuses arguments that are empty: they come from variables that were not filled in, and name nothing.
func filled(k *kong.Context) error {
	for _, p := range k.Path {
		if p.Positional == nil {
			continue
		}
		values, many := reflect.TypeAssert[[]string](p.Positional.Target)
		if !many {
			values = []string{fmt.Sprint(p.Positional.Target.Interface())}
		}
		if slices.Contains(values, "") {
			return misusef("<%s> is empty", p.Positional.Name)
		}
	}
	return nil
}

// worse is the exit code of two that says more: a refusal outweighs a finding, and a finding what went well.
func worse(a, b int) int {
	order := []int{Done, Different, Failed, Misused, Refused, TimedOut}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}

// options are the flags that every command has.
type options struct {
	Endpoint string        `help:"Address of the manager." placeholder:"URL" group:"Manager"`
	APIKey   string        `help:"API key." name:"api-key" placeholder:"KEY" group:"Manager"`
	Account  string        `help:"Account; the API key's own by default." placeholder:"ID" group:"Manager"`
	Config   string        `help:"File with profiles; $XDG_CONFIG_HOME/belay/config.yaml by default." type:"path" placeholder:"FILE" group:"Manager"`
	Profile  string        `help:"Profile in that file; its current one by default." placeholder:"NAME" group:"Manager"`
	CACert   string        `help:"File with the certificate of the authority that signed the manager's." name:"ca-cert" type:"path" placeholder:"FILE" group:"Manager"`
	Timeout  time.Duration `help:"How long to wait for an answer." default:"90s" group:"Manager"`

	Org     string `help:"Organization; none means the account." placeholder:"ID" group:"Scope"`
	Project string `help:"Project of that organization." placeholder:"ID" group:"Scope"`

	Output string `short:"o" help:"How to print: table, json or yaml." enum:"table,json,yaml" default:"table" group:"Output"`
	Debug  bool   `help:"Say on standard error what is done." group:"Output"`
}

// commands is the command line.
type commands struct {
	options

	Up        upCmd        `cmd:"" help:"Run a manager and a delegate on this machine."`
	Manager   managerCmd   `cmd:"" help:"Run a manager."`
	Sandbox   sandboxCmd   `cmd:"" help:"Run a sandbox in the place of AWS, and set its scene."`
	Delegate  delegateCmd  `cmd:"" help:"Run a delegate, see who is there, keep delegate tokens."`
	Export    exportCmd    `cmd:"" help:"Write every entity as YAML that can be applied."`
	Upgrader  upgraderCmd  `cmd:"" help:"Keep a delegate's Deployment at the manager's version: one look, in its cluster."`
	Apply     applyCmd     `cmd:"" help:"Make entities as files describe them."`
	Connector connectorCmd `cmd:"" help:"Keep and test connectors."`
	Policy    policyCmd    `cmd:"" help:"Look into IAM: what actions, resources and policies mean."`
	Secret    secretCmd    `cmd:"" help:"Keep secrets."`
	Org       orgCmd       `cmd:"" help:"Keep organizations."`
	Project   projectCmd   `cmd:"" help:"Keep projects."`
	APIKey    keyCmd       `cmd:"" name:"api-key" help:"Keep API keys."`
	Flag      flagCmd      `cmd:"" help:"See and set feature flags."`
	OIDC      oidcCmd      `cmd:"" name:"oidc" help:"See and keep the OIDC issuer: trust policies, tokens, signing keys."`
	Audit     auditCmd     `cmd:"" help:"See who did what."`
	Account   accountCmd   `cmd:"" help:"Keep the accounts of a manager, on its own machine."`
	Whoami    whoamiCmd    `cmd:"" help:"Say whose API key is in use and what it may do."`
	Version   versionCmd   `cmd:"" help:"Print the version."`

	Man        manCmd        `cmd:"" help:"Print the manual page."`
	Completion completionCmd `cmd:"" help:"Print what makes a shell complete belay's commands."`
}

// app is what commands work with.
type app struct {
	Streams
	options
	found *client // the manager, once it was looked for
}

var errNoAnswer = errors.New("the manager gave no answer")

// exit is an error that has been told already, and the code to end with.
type exit struct{ code int }

func (e exit) Error() string { return fmt.Sprintf("exit %d", e.code) }

// misused is an error about the command line or its input.
type misused struct{ cause error }

func (m misused) Error() string { return m.cause.Error() }
func (m misused) Unwrap() error { return m.cause }

func misuse(err error) error { return misused{err} }

func misusef(format string, args ...any) error { return misused{fmt.Errorf(format, args...)} }

// mistake is an error about the arguments. It does not repeat what may be a secret.
func mistake(err error) error {
	if parse, ok := errors.AsType[*kong.ParseError](err); ok && path(parse.Context) == "secret set" && strings.HasPrefix(err.Error(), "unexpected argument") {
		return misusef("a value is not given as an argument, where others on this machine can read it. Give it on standard input, or with --value-file")
	}
	return misuse(err)
}

// report prints an error as a sentence and gives the code to end with.
func report(io Streams, err error) int {
	if err == nil {
		return Done
	}
	if e, ok := errors.AsType[exit](err); ok {
		return e.code
	}
	text := sentence(err)
	_, _ = fmt.Fprintln(io.Err, "belay: "+printable(text))
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		_, _ = fmt.Fprintf(io.Err, "`%s --help` shows what there is.\n", strings.TrimSpace("belay "+path(parse.Context)))
	}
	return codeOf(err)
}

// path is the command that was found before the mistake, without what it takes.
func path(k *kong.Context) string {
	var words []string
	for _, p := range k.Path {
		if p.Command != nil {
			words = append(words, p.Command.Name)
		}
	}
	return strings.Join(words, " ")
}

// sentence is what of an error is shown.
func sentence(err error) string {
	var r *refusal
	var f *fault.Error
	switch {
	case errors.As(err, &r):
		return r.Error()
	case errors.Is(err, errNoAnswer):
		return err.Error()
	case errors.As(err, &f):
		return f.Message
	}
	return err.Error()
}

func codeOf(err error) int {
	var m misused
	var r *refusal
	switch {
	case errors.Is(err, errNoAnswer), errors.Is(err, context.DeadlineExceeded):
		return TimedOut
	case errors.As(err, &m):
		return Misused
	case errors.As(err, &r):
		return r.code()
	case fault.KindOf(err) == fault.Invalid:
		return Misused
	case fault.KindOf(err) == fault.Denied:
		return Refused
	}
	return Failed
}
