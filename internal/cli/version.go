package cli

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

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

// powershell asks the program as bash does: with the line up to the cursor in COMP_LINE it prints what may stand there.
// PowerShell leaves blanks at the end out of the line, which is how a word that has not begun is told.
const powershell = `Register-ArgumentCompleter -Native -CommandName 'belay', 'belay.exe' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $length = $cursorPosition - $commandAst.Extent.StartOffset
    $line = $commandAst.Extent.Text
    if ($line.Length -gt $length) { $line = $line.Substring(0, $length) }
    $env:COMP_LINE = $line.PadRight($length)
    try {
        & 'PROGRAM' | Where-Object { $_ } | ForEach-Object {
            [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
        }
    } finally {
        Remove-Item Env:COMP_LINE
    }
}`

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish,powershell,pwsh" help:"bash, zsh, fish or powershell."`
}

// Help says how it is used.
func (*completionCmd) Help() string {
	return "For bash: source <(belay completion bash). For zsh the same with zsh. For fish: belay completion fish | source. " +
		"For PowerShell: belay completion powershell | Out-String | Invoke-Expression"
}

// Run prints the code that a shell runs.
func (cmd *completionCmd) Run(a *app, k *kong.Context) error {
	if cmd.Shell == "powershell" || cmd.Shell == "pwsh" {
		program, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find the program that completes: %w", err)
		}
		a.line("%s", strings.ReplaceAll(powershell, "PROGRAM", strings.ReplaceAll(program, "'", "''")))
		return nil
	}
	return (&completion.Completion{Shell: cmd.Shell, Code: true}).Run(k)
}
