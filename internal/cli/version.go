package cli

import (
	"runtime"
	"slices"

	"github.com/alecthomas/kong"
	completion "github.com/jotaen/kong-completion"

	"github.com/belay-dev/belay/internal/delegate"
)

type versionCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// versionBody is what is said of the program.
type versionBody struct {
	Version  string `json:"version"`
	Delegate string `json:"delegateVersion"` // what a delegate of this program registers with
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Run prints the version.
func (cmd *versionCmd) Run(a *app) error {
	if cmd.JSON {
		a.Output = "json"
	}
	v := versionBody{a.Version, delegate.Current().String(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
	return a.print(v, func() {
		a.line("belay %s (delegate %s, %s, %s)", v.Version, v.Delegate, v.Go, v.Platform)
	})
}

// versionAtOnce answers the usual calls of `belay version` without building the whole command line, which takes longer
// than all the rest of it.
func versionAtOnce(args []string, io Streams) (code int, done bool) {
	a := &app{Streams: io, options: options{Output: "table"}}
	switch {
	case len(args) == 0:
	case len(args) == 1 && slices.Contains([]string{"--json", "-ojson", "--output=json"}, args[0]), slices.Equal(args, []string{"-o", "json"}), slices.Equal(args, []string{"--output", "json"}):
		a.Output = "json"
	default:
		return 0, false
	}
	return report(io, (&versionCmd{}).Run(a)), true
}

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help says how it is used.
func (*completionCmd) Help() string {
	return "For bash: source <(belay completion bash). For zsh the same with zsh. For fish: belay completion fish | source."
}

// Run prints the code that a shell runs.
func (cmd *completionCmd) Run(k *kong.Context) error {
	return (&completion.Completion{Shell: cmd.Shell, Code: true}).Run(k)
}
