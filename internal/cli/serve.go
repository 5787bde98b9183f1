package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/belay-dev/belay/internal/agent"
	"github.com/belay-dev/belay/internal/awsops"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/manager"
	"github.com/belay-dev/belay/internal/oidc"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/secret"
)

// serveFlags are how a manager runs.
type serveFlags struct {
	Data         string        `help:"Folder for the database, the master key and logs; $XDG_DATA_HOME/belay by default." type:"path" placeholder:"FOLDER"`
	Listen       string        `help:"Host and port." default:"127.0.0.1:7990"`
	PublicURL    string        `help:"Address under which others reach the manager; that of the listener by default." name:"public-url" placeholder:"URL"`
	Database     string        `help:"postgres://…; a SQLite file in the data folder by default." placeholder:"URL"`
	TLSCert      string        `help:"PEM file with the certificate." name:"tls-cert" type:"path" placeholder:"FILE"`
	TLSKey       string        `help:"PEM file with the certificate's key." name:"tls-key" type:"path" placeholder:"FILE"`
	ClientCA     string        `help:"PEM file with an authority; delegates must then show a certificate of it." name:"client-ca" type:"path" placeholder:"FILE"`
	InsecureHTTP bool          `help:"Listen without TLS on addresses that others can reach, behind a proxy that does TLS."`
	KeyLost      bool          `help:"Start although the master key does not open what the database holds. Every secret must then be set anew, and delegates need new tokens." name:"master-key-lost"`
	RateLimit    float64       `help:"Calls a second that each API key may make, in bursts of twice as many; 0 means 200, below 0 no limit." default:"0"`
	KeepTasks    time.Duration `help:"How long finished tasks are remembered." default:"168h"`
	KeepTests    time.Duration `help:"How long tests of connections are remembered; of each connector the newest 500 at most." default:"720h"`
	KeepAudit    time.Duration `help:"How long audit entries are remembered." default:"9600h"`
	RotateEvery  time.Duration `help:"How long a signing key of the OIDC issuer signs before the next one does; below 0 only belay oidc rotate changes them." name:"oidc-rotate-every" default:"2160h"`
	Overlap      time.Duration `help:"How long a signing key stays published after that, 1h at least." name:"oidc-overlap" default:"24h"`
	Ahead        time.Duration `help:"How long a signing key is published before it signs, at least." name:"oidc-ahead" default:"24h"`
	TestEvery    time.Duration `help:"How often each connection is tested on its own; 0s means never." default:"30m"`
}

// Validate refuses to remember for no time: to the manager a zero means its default.
func (f *serveFlags) Validate() error {
	var all []error
	for _, one := range []struct {
		flag string
		keep time.Duration
	}{{"--keep-tasks", f.KeepTasks}, {"--keep-tests", f.KeepTests}, {"--keep-audit", f.KeepAudit}} {
		if one.keep <= 0 {
			all = append(all, fmt.Errorf("%s is %s; it must be longer", one.flag, one.keep))
		}
	}
	return errors.Join(all...)
}

// config is what the manager is started with.
func (f serveFlags) config(a *app, log *slog.Logger) (manager.Config, error) {
	data, err := f.where()
	if err != nil {
		return manager.Config{}, err
	}
	every := f.TestEvery
	if every <= 0 {
		every = -1
	}
	return manager.Config{
		Data: data, Listen: f.Listen, PublicURL: f.PublicURL, Database: f.Database, TLSCert: f.TLSCert, TLSKey: f.TLSKey, ClientCA: f.ClientCA,
		Insecure: f.InsecureHTTP, MasterKey: secret.NewValue(os.Getenv("BELAY_MASTER_KEY")), KeyLost: f.KeyLost, Keep: manager.Keep{Tasks: f.KeepTasks, Tests: f.KeepTests, Audit: f.KeepAudit},
		TestEvery: every, RateLimit: f.RateLimit, OIDC: oidc.Periods{RotateEvery: f.RotateEvery, Overlap: f.Overlap, Ahead: f.Ahead},
		Version: a.Version, Log: log, Env: os.Getenv,
	}, nil
}

// where is the data folder.
func (f serveFlags) where() (string, error) {
	if f.Data != "" {
		return f.Data, nil
	}
	return folder("XDG_DATA_HOME", filepath.Join(".local", "share"))
}

// folder makes the data folder.
func (f serveFlags) folder() (string, error) {
	data, err := f.where()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return "", misusef("the data folder cannot be made: %w", err)
	}
	return data, nil
}

func (a *app) level() slog.Level {
	if a.Debug {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

type managerCmd struct {
	serveFlags `embed:""`
}

// Run runs a manager until it is asked to end.
func (cmd *managerCmd) Run(ctx context.Context, a *app) error {
	log := slog.New(slog.NewJSONHandler(a.Err, &slog.HandlerOptions{Level: a.level()}))
	if _, err := cmd.folder(); err != nil {
		return err
	}
	c, err := cmd.config(a, log)
	if err != nil {
		return err
	}
	c.Started = func(s manager.Started) {
		a.line("Belay serves at %s", s.URL)
		if !s.AdminKey.IsZero() {
			a.line("Account    %s", s.Account)
			a.line("Admin key  %s", s.AdminKey.Reveal())
			a.line("The key is shown this once. Set BELAY_ENDPOINT and BELAY_API_KEY to use it.")
		}
	}
	return ended(ctx, manager.Run(ctx, c))
}

// ended is how a manager ended: one that was told to end while it was still starting has done what it was told.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return withCause(err)
}

// withCause tells the cause too, where the database or another part is away: who runs a manager reads its log.
func withCause(err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.Unavailable {
		return errors.New(f.Error())
	}
	return err
}

type delegateRun struct{}

// Help names the variables.
func (*delegateRun) Help() string {
	return "A delegate is configured by its environment: ACCOUNT_ID, DELEGATE_TOKEN, MANAGER_HOST_AND_PORT and DELEGATE_NAME are needed; " +
		"DELEGATE_TAGS, DELEGATE_HTTP_PORT, LOGGING_LEVEL and the others of the sample manifests are honoured. It writes its log as JSON to standard error. " +
		"Asked to end, it finishes the tasks that it has; asked a second time, it ends at once."
}

// Run runs a delegate until it is asked to end and has finished what it was doing.
func (*delegateRun) Run(ctx context.Context, a *app) error {
	c, err := agent.ConfigFromEnv(os.Getenv)
	if err != nil {
		return misuse(err)
	}
	log := slog.New(slog.NewJSONHandler(a.Err, &slog.HandlerOptions{Level: c.LogLevel}))
	abort := make(chan struct{})
	finished := make(chan struct{})
	defer close(finished)
	go func() {
		select {
		case <-ctx.Done():
		case <-finished:
			return
		}
		again := make(chan os.Signal, 1)
		signal.Notify(again, os.Interrupt, syscall.SIGTERM)
		defer signal.Stop(again)
		select {
		case <-again:
			close(abort)
		case <-finished:
		}
	}()
	sessions := &awsops.Sessions{Env: c.AWSEnv(os.Getenv), Proxy: c.Proxy.For, Log: log}
	d := &agent.Agent{
		Config: c, Log: log, Abort: abort,
		Listening: func(addr string) {
			log.InfoContext(ctx, "health and metrics are served", slog.String("address", addr))
		},
		Runners: map[string]agent.Runner{
			protocol.TypePing:        agent.PingRunner{HostName: c.HostName},
			protocol.TypeAWSValidate: agent.AWSRunner{Validator: sessions},
			protocol.TypeAWSSurvey:   agent.AWSSurveyRunner{Surveyor: sessions},
		},
	}
	return d.Run(ctx)
}
