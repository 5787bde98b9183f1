package cli

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// credentials says where this machine's AWS credentials are, or "" when there are none.
func credentials(ctx context.Context, env func(string) string) string {
	home, _ := os.UserHomeDir() // without one there are no files in it
	file := func(variable, name string) string {
		if path := env(variable); path != "" {
			return path
		}
		return filepath.Join(home, ".aws", name)
	}
	switch {
	case env("AWS_ACCESS_KEY_ID") != "" && env("AWS_SECRET_ACCESS_KEY") != "":
		return "AWS_ACCESS_KEY_ID"
	case env("AWS_WEB_IDENTITY_TOKEN_FILE") != "":
		return "AWS_WEB_IDENTITY_TOKEN_FILE"
	case env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != "", env("AWS_CONTAINER_CREDENTIALS_FULL_URI") != "":
		return "the container's endpoint"
	case env("AWS_PROFILE") != "":
		return "AWS_PROFILE"
	case mentions(file("AWS_SHARED_CREDENTIALS_FILE", "credentials")), mentions(file("AWS_CONFIG_FILE", "config")):
		return "the files of ~/.aws"
	case instanceRole(ctx, env):
		return "the instance's role"
	}
	return ""
}

// mentions reports whether a file of the AWS SDK names a way to get credentials.
func mentions(path string) bool {
	text, err := os.ReadFile(path) //nolint:gosec // where the SDK reads too
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		key, _, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "aws_access_key_id", "role_arn", "credential_process", "sso_session", "sso_start_url", "web_identity_token_file", "login_session":
			return true
		}
	}
	return false
}

// instanceRole asks instance metadata for a role. Elsewhere than on EC2 nothing answers, so it waits 300 ms at most.
func instanceRole(ctx context.Context, env func(string) string) bool {
	if strings.EqualFold(env("AWS_EC2_METADATA_DISABLED"), "true") {
		return false
	}
	base := strings.TrimRight(env("AWS_EC2_METADATA_SERVICE_ENDPOINT"), "/")
	if base == "" {
		base = "http://169.254.169.254"
	}
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy: metadata is on the machine
	ask := func(method, path, header, value string) (string, bool) {
		req, err := http.NewRequestWithContext(ctx, method, base+path, http.NoBody)
		if err != nil {
			return "", false
		}
		req.Header.Set(header, value)
		res, err := client.Do(req)
		if err != nil {
			return "", false
		}
		defer func() { _ = res.Body.Close() }()
		text, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
		return strings.TrimSpace(string(text)), err == nil && res.StatusCode == http.StatusOK
	}
	token, ok := ask(http.MethodPut, "/latest/api/token", "X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "60")
	if !ok {
		return false
	}
	role, ok := ask(http.MethodGet, "/latest/meta-data/iam/security-credentials/", "X-Aws-Ec2-Metadata-Token", token)
	return ok && role != ""
}

// standIn is a moto_server in the place of AWS.
type standIn struct {
	program string
	data    string // data folder of `up`
	port    int
}

// motoRequirement is the version that Belay is tested with.
const motoRequirement = "moto[server]==5.2.*"

// findStandIn finds moto_server on PATH or in a virtual environment, or installs it into one.
func findStandIn(ctx context.Context, a *app, data string) (*standIn, error) {
	s := &standIn{data: data}
	if path, err := exec.LookPath("moto_server"); err == nil {
		s.program = path
		return s, nil
	}
	venvs := []string{filepath.Join(".tools", "venv"), filepath.Join(data, "venv")}
	for _, venv := range venvs {
		path, err := filepath.Abs(filepath.Join(venv, "bin", "moto_server"))
		if err != nil {
			return nil, err
		}
		if about, err := os.Stat(path); err == nil && !about.IsDir() {
			s.program = path
			return s, nil
		}
	}
	// In a checkout of the source, where make puts its tools; elsewhere, with the data.
	venv := venvs[1]
	if about, err := os.Stat(".tools"); err == nil && about.IsDir() {
		venv = venvs[0]
	}
	venv, err := filepath.Abs(venv)
	if err != nil {
		return nil, err
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		return nil, errors.New("it needs python3, which is not on PATH")
	}
	a.note("Installing moto_server, the stand-in for AWS, into %s. This is done once.", venv)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for _, args := range [][]string{
		{python, "-m", "venv", venv},
		{filepath.Join(venv, "bin", "pip"), "install", "--quiet", "--retries", "1", "--timeout", "20", "--disable-pip-version-check", motoRequirement},
	} {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // python and pip, with arguments of our own
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		cmd.WaitDelay = 5 * time.Second
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("`%s` fails: %w\n%s", strings.Join(args, " "), err, lastLines(string(out), 3))
		}
	}
	s.program = filepath.Join(venv, "bin", "moto_server")
	return s, nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// The identity that the stand-in's variables give to the delegate. None of it means anything outside of the stand-in.
const (
	standInKey    = "AKIASTANDIN0DELEGATE"
	standInSecret = "stand-in"
	standInRole   = "arn:aws:iam::123456789012:role/belay-delegate"
)

func (s *standIn) url() string { return "http://127.0.0.1:" + strconv.Itoa(s.port) }

// env is what makes AWS clients use the stand-in, with credentials of every kind that a delegate can have.
func (s *standIn) env() (map[string]string, error) {
	token := filepath.Join(s.data, "stand-in-token")
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	jwt := part(`{"alg":"none"}`) + "." + part(`{"iss":"https://stand-in.invalid","sub":"system:serviceaccount:belay:delegate","aud":"sts.amazonaws.com"}`) + "."
	if err := writeFile(token, []byte(jwt)); err != nil {
		return nil, err
	}
	return map[string]string{
		"AWS_ENDPOINT_URL": s.url(), "AWS_ACCESS_KEY_ID": standInKey, "AWS_SECRET_ACCESS_KEY": standInSecret,
		"AWS_ROLE_ARN": standInRole, "AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_EC2_METADATA_DISABLED": "true",
	}, nil
}

// command starts moto. Its environment is bare, so that a proxy or a profile of this machine does not change it.
func (s *standIn) command() (*exec.Cmd, error) {
	cmd := exec.Command(s.program, "-H", "127.0.0.1", "-p", strconv.Itoa(s.port)) //nolint:gosec,noctx // moto, which outlives the call; child ends it
	cmd.Dir = s.data
	for _, name := range []string{"PATH", "HOME", "LANG", "TMPDIR", "PYENV_VERSION", "PYENV_ROOT"} {
		if value := os.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	return cmd, nil
}

// wait waits until moto answers as itself.
func (s *standIn) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 60*time.Second, errors.New("it did not answer within 60 s"))
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url()+"/moto-api/data.json", http.NoBody)
		if err != nil {
			return err
		}
		if res, err := client.Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// freePort is a port of 127.0.0.1 that nobody listens on now.
func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	_, text, err := net.SplitHostPort(l.Addr().String())
	if err = errors.Join(err, l.Close()); err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// overlay is an environment with some variables set over it.
func overlay(base []string, over map[string]string) []string {
	over = maps.Clone(over)
	var env []string
	for _, e := range base {
		name, _, _ := strings.Cut(e, "=")
		if _, ok := over[name]; !ok {
			env = append(env, e)
		}
	}
	for _, name := range sorted(over) {
		env = append(env, name+"="+over[name])
	}
	return env
}
