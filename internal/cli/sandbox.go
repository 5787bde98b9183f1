package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/belay-dev/belay/internal/sandbox"
)

// sandboxListen is where the sandbox is found unless somebody says otherwise.
const sandboxListen = "127.0.0.1:7991"

type sandboxCmd struct {
	Run      sandboxRun      `cmd:"" default:"withargs" help:"Run a sandbox; this is what the command does without another word."`
	Seed     sandboxSeed     `cmd:"" help:"Put scenes into a running sandbox."`
	Settings sandboxSettings `cmd:"" help:"See and change the clock, delays and limits of a running sandbox."`
	Token    sandboxToken    `cmd:"" help:"Make a web identity token with one of the sandbox's issuers."`
}

type sandboxRun struct {
	Listen       string   `help:"Host and port." default:"${sandbox_listen}" placeholder:"HOST:PORT"`
	TLSListen    string   `help:"Host and port for TLS, with a certificate of the sandbox's own authority; its issuers are then found there." name:"tls-listen" placeholder:"HOST:PORT"`
	CAFile       string   `help:"File to write the certificate of that authority to." name:"ca-file" type:"path" placeholder:"FILE"`
	State        string   `help:"File to keep everything in; without it, all is forgotten at the end." type:"path" placeholder:"FILE"`
	Scene        []string `short:"f" help:"File with a scene to begin with; may be repeated." placeholder:"FILE"`
	Instance     []string `help:"Serve the metadata of an instance of a scene at an address of its own; may be repeated." placeholder:"ID=HOST:PORT"`
	Forward      string   `help:"Address of a server, such as moto, that does what the sandbox has authorized: S3, Lambda, ECS, ECR, EKS, CloudFormation." placeholder:"URL"`
	InsecureHTTP bool     `help:"Listen on addresses that others can reach."`
}

// Help says what it is not for.
func (*sandboxRun) Help() string {
	return "An AWS access plane on this machine: STS, IAM, Organizations, DescribeRegions and instance metadata. It checks signatures, sessions and policies as AWS does. " +
		"It prints the administrator's key of its first account as shell variables, for the AWS CLI in another terminal."
}

// Run runs a sandbox until it is asked to end.
func (cmd *sandboxRun) Run(ctx context.Context, a *app) error {
	scenes := make([][]byte, len(cmd.Scene))
	for i, name := range cmd.Scene {
		var err error
		if scenes[i], err = readInput(a, name); err != nil {
			return err
		}
	}
	var open listeners
	defer open.close()
	plain, err := open.add(ctx, cmd.Listen, cmd.InsecureHTTP)
	if err != nil {
		return err
	}
	at := "http://" + localAddress(plain.Addr())
	c := sandbox.Config{StateFile: cmd.State, Forward: cmd.Forward, Log: slog.New(slog.DiscardHandler), Base: at}
	if a.Debug {
		c.Log = slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	var secure net.Listener
	if cmd.TLSListen != "" {
		if secure, err = open.add(ctx, cmd.TLSListen, cmd.InsecureHTTP); err != nil {
			return err
		}
		c.Base = "https://" + localAddress(secure.Addr())
	}
	s, err := sandbox.New(c)
	if err != nil {
		return misuse(err)
	}
	for i, text := range scenes {
		if _, err := s.Seed(text); err != nil {
			return misusef("%s: %s", cmd.Scene[i], sandbox.Message(err))
		}
	}
	serve := []served{{plain, s}}
	if secure != nil {
		config, err := s.TLS()
		if err != nil {
			return err
		}
		serve = append(serve, served{tls.NewListener(secure, config), s})
	}
	for _, one := range cmd.Instance {
		id, address, ok := strings.Cut(one, "=")
		if !ok {
			return misusef("--instance %q is not an id, = and an address", one)
		}
		l, err := open.add(ctx, address, cmd.InsecureHTTP)
		if err != nil {
			return err
		}
		serve = append(serve, served{l, s.Instance(id)})
	}
	if cmd.CAFile != "" {
		pem, err := s.CA()
		if err == nil {
			err = os.WriteFile(cmd.CAFile, pem, 0o644) //nolint:gosec // a certificate is for everybody
		}
		if err != nil {
			return err
		}
	}
	cmd.greet(a, s, at)
	group, ctx := errgroup.WithContext(ctx)
	for _, one := range serve {
		group.Go(func() error { return sandbox.Serve(ctx, one.on, one.by) })
	}
	return group.Wait()
}

// served is a listener and who answers on it.
type served struct {
	on net.Listener
	by http.Handler
}

// listeners are those that a command has opened.
type listeners []net.Listener

func (all *listeners) add(ctx context.Context, address string, insecure bool) (net.Listener, error) {
	if err := sandbox.CheckListen(address, insecure); err != nil {
		return nil, misuse(err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	*all = append(*all, l)
	return l, nil
}

func (all *listeners) close() {
	for _, l := range *all {
		_ = l.Close() // most often it is closed already
	}
}

// greet prints variables for a shell, and what is for people as comments.
func (cmd *sandboxRun) greet(a *app, s *sandbox.Server, at string) {
	a.line("# A sandbox in the place of AWS: nothing of it is AWS, and nothing of it costs. Ctrl-C ends it.")
	if key, ok := s.Admin(); ok {
		a.line("# The administrator of account %s:", key.Account)
		for _, pair := range sandboxVariables(at, key) {
			a.line("export %s=%s", pair[0], pair[1])
		}
	} else {
		a.line("# Its first account has no administrator with a key any more. Keys are in the scenes that made it.")
		a.line("export AWS_ENDPOINT_URL=%s", at)
	}
	a.line("# `belay sandbox seed -f FILE` puts a scene in place, `belay sandbox settings` sets its clock.")
}

// sandboxVariables lead the AWS CLI and the SDKs to a sandbox.
func sandboxVariables(at string, key sandbox.Key) [][2]string {
	return [][2]string{
		{"AWS_ENDPOINT_URL", at},
		{"AWS_ACCESS_KEY_ID", key.ID},
		{"AWS_SECRET_ACCESS_KEY", key.Secret},
		{"AWS_DEFAULT_REGION", "us-east-1"},
		{"AWS_EC2_METADATA_SERVICE_ENDPOINT", at},
	}
}

// localAddress is how this machine reaches a listener.
func localAddress(at net.Addr) string {
	host, port, err := net.SplitHostPort(at.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return at.String()
}

// sceneSuffix is how the files of scenes end that lie among files of entities.
const sceneSuffix = ".scene.yaml"

// maxScene bounds a scene, as the sandbox does.
const maxScene = 1 << 20

// readInput reads a file, or standard input for -.
func readInput(a *app, name string) ([]byte, error) {
	from := a.In
	if name != "-" {
		f, err := os.Open(name) //nolint:gosec // the file that was asked for
		if err != nil {
			return nil, misuse(err)
		}
		defer func() { _ = f.Close() }()
		from = f
	}
	text, err := io.ReadAll(io.LimitReader(from, maxScene+1))
	switch {
	case err != nil:
		return nil, misusef("read %s: %w", name, err)
	case len(text) > maxScene:
		return nil, misusef("%s has more than %d bytes", name, maxScene)
	}
	return text, nil
}

// sandboxAt says which sandbox is meant.
type sandboxAt struct {
	At string `help:"Address of the sandbox." default:"http://${sandbox_listen}" env:"AWS_ENDPOINT_URL" placeholder:"URL"`
}

// control asks a running sandbox for something.
func (at sandboxAt) control(ctx context.Context, a *app, method, what string, body []byte, into any) error {
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(at.At, "/")+"/_belay/"+what, bytes.NewReader(body))
	if err != nil {
		return misuse(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy: it is on this machine
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no sandbox answers at %s; `belay sandbox` runs one: %w", at.At, err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.Header.Get("X-Belay-Sandbox") == "" {
		return misusef("what answers at %s is not a sandbox", at.At)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		var problem struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(raw, &problem) != nil || problem.Error == "" {
			return fmt.Errorf("the sandbox answers %s", res.Status)
		}
		return misuse(errors.New(problem.Error))
	}
	return json.Unmarshal(raw, into)
}

type sandboxSeed struct {
	sandboxAt `embed:""`

	File []string `short:"f" help:"File with a scene, - for standard input; may be repeated." required:"" placeholder:"FILE"`
}

// Run puts scenes in place and prints the keys that they made.
func (cmd *sandboxSeed) Run(ctx context.Context, a *app) error {
	var all sandbox.Seeded
	for _, name := range cmd.File {
		text, err := readInput(a, name)
		if err != nil {
			return err
		}
		var made sandbox.Seeded
		if err := cmd.control(ctx, a, http.MethodPost, "seed", text, &made); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all.Accounts, all.Keys = append(all.Accounts, made.Accounts...), append(all.Keys, made.Keys...)
	}
	return a.print(all, func() {
		rows := make([][]cell, 0, len(all.Keys))
		for _, k := range all.Keys {
			rows = append(rows, plain(k.Account, k.User, k.ID, k.Secret))
		}
		a.table("The scene is in place. It has no access keys.", []string{"Account", "User", "Access key", "Secret key"}, rows)
	})
}

type sandboxSettings struct {
	sandboxAt `embed:""`

	ClockOffset *time.Duration `help:"Set the clock so far ahead; negative is behind." placeholder:"SPAN"`
	Propagation *time.Duration `help:"How long a change takes until it counts." placeholder:"SPAN"`
	Rate        *float64       `help:"Requests a second of each account; 0 is no limit." placeholder:"N"`
	Burst       *int           `help:"How many may come at once." placeholder:"N"`
}

// Run changes what was given and prints what is.
func (cmd *sandboxSettings) Run(ctx context.Context, a *app) error {
	change := map[string]any{}
	if cmd.ClockOffset != nil {
		change["clockOffset"] = cmd.ClockOffset.String()
	}
	if cmd.Propagation != nil {
		change["propagation"] = cmd.Propagation.String()
	}
	if cmd.Rate != nil {
		change["rate"] = *cmd.Rate
	}
	if cmd.Burst != nil {
		change["burst"] = *cmd.Burst
	}
	method, body := http.MethodGet, []byte(nil)
	if len(change) > 0 {
		method = http.MethodPut
		var err error
		if body, err = json.Marshal(change); err != nil {
			return err
		}
	}
	var now sandbox.Settings
	if err := cmd.control(ctx, a, method, "settings", body, &now); err != nil {
		return err
	}
	return a.print(now, func() {
		a.fields([2]string{"Clock offset", time.Duration(now.ClockOffset).String()}, [2]string{"Propagation", time.Duration(now.Propagation).String()},
			[2]string{"Rate", strconv.FormatFloat(now.Rate, 'g', -1, 64)}, [2]string{"Burst", strconv.Itoa(now.Burst)})
	})
}

type sandboxToken struct {
	sandboxAt `embed:""`

	Issuer   string        `arg:"" help:"Name of the issuer."`
	Subject  string        `arg:"" help:"Subject, such as system:serviceaccount:default:app."`
	Audience string        `help:"Audience." default:"sts.amazonaws.com"`
	Life     time.Duration `help:"How long it is valid; negative makes one that has expired." default:"24h"`
}

// Run prints the token.
func (cmd *sandboxToken) Run(ctx context.Context, a *app) error {
	body, err := json.Marshal(sandbox.TokenRequest{Issuer: cmd.Issuer, Subject: cmd.Subject, Audience: cmd.Audience, Life: sandbox.Duration(cmd.Life)})
	if err != nil {
		return err
	}
	var made struct {
		Token string `json:"token"`
	}
	if err := cmd.control(ctx, a, http.MethodPost, "token", body, &made); err != nil {
		return err
	}
	a.line("%s", made.Token)
	return nil
}
