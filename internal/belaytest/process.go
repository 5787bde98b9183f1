package belaytest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// supervisor runs a counterpart and ends it when its standard input closes. Only the test binary holds the other end,
// so the counterpart ends with the test binary even when that is killed, and its folder goes with it. Asking the kernel
// for a signal at the parent's death (Pdeathsig) would be Linux only, follows the parent's thread rather than the
// process, and leaves the folder behind.
const supervisor = `
signal=$1 folder=$2
shift 2
exec 3<&0
"$@" 3<&- </dev/null &
child=$!
{ cat <&3 >/dev/null; kill -s "$signal" "$child"; } 2>/dev/null &
watch=$!
wait "$child"
code=$?
kill "$watch" 2>/dev/null
rm -rf -- "$folder"
exit "$code"
`

// spec is a counterpart to start.
type spec struct {
	name   string
	signal string // the signal that ends it at once, by its name in a shell
	folder string // its home; removed when it ends
	env    []string
	user   *syscall.Credential // nil: the user who runs the tests
	args   func(port int) []string
	ready  func(ctx context.Context, port int) error // nil when it answers as itself
}

// process is a counterpart that is up. It ends when it is stopped, or when nothing refers to it any more: then the
// collector closes the lifeline.
type process struct {
	port     int
	folder   string
	cmd      *exec.Cmd
	lifeline *os.File // closing it ends the child
}

// start runs a counterpart on a free port of 127.0.0.1 until it answers, having checked that the listener is the child.
// A port can be taken between finding and using it, so a few are tried.
func start(ctx context.Context, s spec) (*process, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("%s was not ready in %s", s.name, startTimeout))
	defer cancel()
	var failures []error
	for range 3 {
		p, err := startOnce(ctx, s)
		if err == nil {
			return p, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("start %s: %w", s.name, errors.Join(failures...))
}

func startOnce(ctx context.Context, s spec) (_ *process, err error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	// The log stays outside the child's folder: it is wanted exactly when the child has ended.
	logFile, err := os.CreateTemp("", "belaytest-*.log")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, logFile.Close(), os.Remove(logFile.Name())) }()
	stdin, lifeline, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stdin.Close()) }()

	args := append([]string{"-c", supervisor, "belaytest", s.signal, s.folder}, s.args(port)...)
	cmd := exec.Command("/bin/sh", args...) //nolint:gosec,noctx // it outlives the call, and ends when its standard input closes
	cmd.Dir, cmd.Env = s.folder, s.env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, logFile, logFile
	// A group of its own: Ctrl-C at a terminal reaches the test binary only, so the supervisor lives to clean up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.user}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, lifeline.Close())
	}
	p := &process{port: port, folder: s.folder, cmd: cmd, lifeline: lifeline}

	err = eventually(ctx, p.ended, func(ctx context.Context) error {
		mine, err := listens(cmd.Process.Pid, port)
		if err != nil {
			return err
		}
		if !mine {
			return fmt.Errorf("port %d is not yet, or not, the child's", port)
		}
		return s.ready(ctx, port)
	})
	if err != nil {
		text, readErr := os.ReadFile(logFile.Name())
		return nil, errors.Join(err, p.stop(), readErr, fmt.Errorf("it printed: %s", strings.TrimSpace(string(text))))
	}
	return p, nil
}

// ended is an error when the child is no more. Nothing waits for a shared child, so that a test which looks for leaked
// goroutines finds none.
func (p *process) ended() error {
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(p.cmd.Process.Pid, &status, syscall.WNOHANG, nil)
	if err != nil || pid != 0 {
		return fmt.Errorf("it ended with status %d", status.ExitStatus())
	}
	return nil
}

// stop ends the child and waits until it and its folder are gone.
func (p *process) stop() error {
	err := p.lifeline.Close()
	kill := time.AfterFunc(10*time.Second, func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) })
	defer kill.Stop()
	_ = p.cmd.Wait() // it was told to end: with which status does not matter
	return errors.Join(err, os.RemoveAll(p.folder))
}

// address is where the child listens.
func (p *process) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)) }

// freePort is a port of 127.0.0.1 that nobody listens on now.
func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	_, text, err := net.SplitHostPort(l.Addr().String())
	if err = errors.Join(err, l.Close()); err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return strconv.Atoi(text)
}

// folderFor makes the folder of a counterpart. When root, it is under /tmp whatever TMPDIR says, since the user that a
// counterpart runs as may not enter a private one.
func folderFor(name string, user *syscall.Credential) (string, error) {
	base := ""
	if user != nil {
		base = "/tmp"
	}
	dir, err := os.MkdirTemp(base, "belaytest-"+name+"-")
	if err != nil {
		return "", err
	}
	if user != nil {
		if err := os.Chown(dir, int(user.Uid), int(user.Gid)); err != nil {
			return "", errors.Join(err, os.RemoveAll(dir))
		}
	}
	return filepath.Abs(dir)
}
