package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belay-dev/belay/internal/manager"
	"github.com/belay-dev/belay/internal/secret"
)

type upCmd struct {
	serveFlags `embed:""`

	StandIn string `help:"A stand-in for AWS: auto, always or never; auto starts one where this machine has no AWS credentials." enum:"auto,always,never" default:"auto"`
	Sandbox bool   `help:"Take Belay's own sandbox for that stand-in, which checks what AWS checks, instead of moto."`
	Tags    string `help:"Tags of the local delegate, with commas." default:"local"`
}

// Help says what it is not for.
func (*upCmd) Help() string {
	return "Everything runs on this machine and ends with Ctrl-C; the data stays in the data folder. In production a manager runs as `belay manager`, and delegates as `belay delegate run` where they can reach AWS."
}

// Run runs a manager, a delegate and, where it is wanted, a stand-in for AWS, until it is asked to end.
func (cmd *upCmd) Run(ctx context.Context, a *app) (err error) {
	data, err := cmd.folder()
	if err != nil {
		return err
	}
	logs := filepath.Join(data, "logs")
	file, err := openLog(filepath.Join(logs, "manager.log"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	c, err := cmd.config(a, slog.New(upLog(file, a)))
	if err != nil {
		return err
	}
	var aws atomic.Pointer[map[string]string] // variables of the stand-in, once it runs
	c.Env = func(name string) string {
		if over := aws.Load(); over != nil {
			if value, ok := (*over)[name]; ok {
				return value
			}
		}
		return os.Getenv(name)
	}
	started := make(chan manager.Started, 1)
	c.Started = func(s manager.Started) { started <- s }

	// The manager ends last, so that the delegate can still report.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	end := make(chan error, 1)
	go func() { end <- ended(serving, manager.Run(serving, c)) }()
	var children sync.WaitGroup
	keeping, release := context.WithCancel(ctx)
	running := true
	defer func() {
		release()
		children.Wait()
		stop()
		if running {
			err = errors.Join(err, <-end)
		}
	}()
	beside := func(run func(context.Context)) { children.Go(func() { run(keeping) }) }
	keep := func(c *child) { beside(func(ctx context.Context) { c.keep(ctx, a) }) }

	var s manager.Started
	select {
	case s = <-started:
	case err := <-end:
		running = false
		return err
	case <-ctx.Done():
		return nil
	}
	if note := cmd.greet(a, s, data); note != nil {
		return note
	}
	env := cmd.amazon(ctx, a, s, data, logs, beside)
	if ctx.Err() != nil {
		return nil
	}
	aws.Store(&env)
	if s.DelegateToken.IsZero() {
		a.note("No delegate is started: the account's token default_token was revoked, or the master key does not open it. `belay delegate token create` makes another, for a delegate that you run yourself.")
	} else {
		keep(cmd.delegate(ctx, s, logs, env))
	}
	a.line("")
	a.line("Ready. Ctrl-C stops all of it. Logs are in %s", logs)
	select {
	case <-ctx.Done():
		a.note("Stopping.")
		return nil
	case err := <-end:
		running = false
		return err
	}
}

// upLog writes the manager's log to its file, and what an operator must know to standard error too.
func upLog(file io.Writer, a *app) slog.Handler {
	all := slog.NewJSONHandler(file, &slog.HandlerOptions{Level: a.level()})
	loud := slog.LevelError
	if a.Debug {
		loud = slog.LevelDebug
	}
	return slog.NewMultiHandler(all, slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: loud}))
}

// greet prints what one needs to begin, and writes the profile. The admin key is printed at the first start only.
func (cmd *upCmd) greet(a *app, s manager.Started, data string) error {
	path, err := a.configFile()
	if err != nil {
		return err
	}
	a.line("Belay serves at %s", a.painted(bold, s.URL))
	a.line("")
	key, note := s.AdminKey, ""
	if key.IsZero() {
		key = keyFor(path, s.Account)
	}
	if !key.IsZero() {
		note, err = saveProfile(path, profile{Endpoint: s.URL, Account: s.Account, APIKey: key.Reveal(), CACert: cmd.TLSCert})
		if err != nil {
			a.note("The profile was not written: %s. Set BELAY_ENDPOINT=%s and BELAY_API_KEY for commands.", strings.TrimSuffix(sentence(err), "."), s.URL)
		}
	}
	pairs := [][2]string{{"Account", s.Account}}
	if !s.AdminKey.IsZero() {
		pairs = append(pairs, [2]string{"Admin key", s.AdminKey.Reveal() + "\nshown this once; keep it"})
	}
	if !key.IsZero() && err == nil {
		pairs = append(pairs, [2]string{"Profile", path})
	}
	a.fields(append(pairs, [2]string{"Pages", s.URL + "/ui/\nopen them in a browser and sign in with the admin key"}, [2]string{"Data", data})...)
	if note != "" {
		a.note("%s", note)
	}
	if key.IsZero() {
		a.note("No profile holds a key for this account. Set BELAY_API_KEY, or stop this and make a key with `belay account admin-key --data %s`.", data)
	}
	a.line("")
	a.line("Try, in another terminal:")
	for _, command := range tries() {
		a.line("  %s %s", called(), command)
	}
	return nil
}

// tries are commands for a beginning: with the examples, where they are at hand.
func tries() []string {
	if _, err := os.Stat(filepath.Join("examples", "delegate_role.yaml")); err == nil {
		return []string{"connector apply -f examples/", "connector test delegate_role", "connector list"}
	}
	return []string{"whoami", "delegate list", "delegate ping local"}
}

// called is how this program can be called: by its name where that is on PATH, else as it was called now.
func called() string {
	name := filepath.Base(os.Args[0])
	if _, err := exec.LookPath(name); err == nil {
		return name
	}
	return os.Args[0]
}

// keyFor is a key of the account in the profiles.
func keyFor(path, account string) secret.Value {
	all, err := readProfiles(path)
	if err != nil {
		return secret.Value{}
	}
	for _, name := range sorted(all.Profiles) {
		if p := all.Profiles[name]; p != nil && p.Account == account {
			return secret.NewValue(p.APIKey)
		}
	}
	return secret.Value{}
}

// amazon decides whether a stand-in takes AWS's place, starts it, and gives the variables that lead to it.
func (cmd *upCmd) amazon(ctx context.Context, a *app, m manager.Started, data, logs string, beside func(func(context.Context))) map[string]string {
	none := map[string]string{}
	a.line("")
	if endpoint := os.Getenv("AWS_ENDPOINT_URL"); endpoint != "" && cmd.StandIn != "always" {
		a.line("AWS calls go to AWS_ENDPOINT_URL, %s.", endpoint)
		return none
	}
	if cmd.StandIn == "never" {
		return none
	}
	if cmd.StandIn == "auto" {
		if from := credentials(ctx, os.Getenv); from != "" {
			a.line("The local delegate uses this machine's AWS credentials, from %s.", from)
			return none
		}
	}
	if cmd.Sandbox {
		env, err := ownSandbox(ctx, a, m, data, logs, beside)
		if err != nil {
			a.note("The sandbox does not start: %s. Belay goes on without; connection tests will say what is missing.", err)
			return none
		}
		return env
	}
	s, err := findStandIn(ctx, a, data)
	if err == nil {
		s.port, err = freePort(ctx)
	}
	var env map[string]string
	if err == nil {
		env, err = s.env()
	}
	switch {
	case ctx.Err() != nil:
		return none
	case err != nil:
		a.note("This machine has no AWS credentials, and a stand-in for AWS cannot be had: %s. Belay goes on without; connection tests will say what is missing.", err)
		return none
	}
	moto := &child{name: "The stand-in for AWS", log: filepath.Join(logs, "stand-in.log"), command: s.command} // no grace: it keeps nothing
	beside(func(ctx context.Context) { moto.keep(ctx, a) })
	switch err := s.wait(ctx); {
	case ctx.Err() != nil:
		return none
	case err != nil:
		a.note("The stand-in for AWS does not start: %s. Its log: %s", err, filepath.Join(logs, "stand-in.log"))
		return none
	}
	a.line("This machine has no AWS credentials, so a stand-in for AWS (moto) answers at %s.", s.url())
	a.line("It takes any key and any role: it checks no secret, trust policy, external id or permission, and no token's")
	a.line("signature or expiry. A green test against it shows that Belay works, not that your AWS account is set up.")
	return env
}

// delegate is the local delegate, a process of its own as in production.
func (cmd *upCmd) delegate(ctx context.Context, s manager.Started, logs string, aws map[string]string) *child {
	set := map[string]string{
		"ACCOUNT_ID": s.Account, "DELEGATE_TOKEN": s.DelegateToken.Reveal(), "MANAGER_HOST_AND_PORT": near(s.URL, cmd.Listen),
		"DELEGATE_NAME": "local", "DELEGATE_TAGS": cmd.Tags, "DELEGATE_DESCRIPTION": "Started by belay up", "DELEGATE_TYPE": "DOCKER",
		"BELAY_DRAIN_SECONDS": "5",
	}
	if cmd.TLSCert != "" {
		set["BELAY_CA_FILE"] = cmd.TLSCert
	}
	maps.Copy(set, aws)
	return &child{
		name: "The delegate", log: filepath.Join(logs, "delegate.log"), grace: 10 * time.Second,
		command: func() (*exec.Cmd, error) {
			self, err := os.Executable()
			if err != nil {
				return nil, err
			}
			set["BELAY_DELEGATE_HTTP_ADDR"] = healthAddress(ctx)
			var base []string
			for _, e := range os.Environ() { // what belongs to this command is not the delegate's
				if !strings.HasPrefix(e, "BELAY_") && !strings.HasPrefix(e, "DELEGATE_") && !strings.HasPrefix(e, "ACCOUNT_SECRET=") {
					base = append(base, e)
				}
			}
			cmd := exec.Command(self, "delegate", "run") //nolint:gosec,noctx // this program; child ends it
			cmd.Env = overlay(base, set)
			return cmd, nil
		},
	}
}

// healthAddress is 3460 on this machine only, or any port when another delegate has that one.
func healthAddress(ctx context.Context) string {
	const usual = "127.0.0.1:3460"
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", usual)
	if err != nil {
		return "127.0.0.1:0"
	}
	_ = l.Close() // it was opened to see whether it can be
	return usual
}

// near is how a process of the same machine reaches the manager: its public address may be behind a proxy, and a
// listener of all addresses has none of its own.
func near(public, listen string) string {
	u, err := url.Parse(public)
	if err != nil {
		return public
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsUnspecified() {
		u.Host = net.JoinHostPort("127.0.0.1", u.Port())
		return u.String()
	}
	host, port, err := net.SplitHostPort(listen)
	if err == nil && u.Scheme == "http" && port != "0" {
		if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
			return "http://" + net.JoinHostPort(host, port)
		}
	}
	return public
}
