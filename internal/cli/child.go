package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// child is a process that `belay up` keeps running. It is a group of its own, so that Ctrl-C at the terminal reaches
// only `up`, which then ends it in order.
type child struct {
	name  string        // as people read it: "The delegate"
	log   string        // file for all that it prints
	grace time.Duration // between asking it to end and ending it; 0: it is not asked
	// command is called before each start.
	command func() (*exec.Cmd, error)
}

// The times of restarts.
const (
	restartFirst  = time.Second
	restartMost   = 30 * time.Second
	restartForget = time.Minute // who ran so long starts again at restartFirst
	largestLog    = 10 << 20
)

// keep starts the process, and again whenever it ends, until ctx ends. Then it ends the process, and returns when it is
// gone.
func (c *child) keep(ctx context.Context, a *app) {
	// The kernel ends a child when the thread that started it ends (see adopt), so this one lives as long as the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	wait := restartFirst
	for {
		began := time.Now()
		err := c.once(ctx, a)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > restartForget {
			wait = restartFirst
		}
		why := "ended"
		if err != nil {
			why = "ended: " + err.Error()
		}
		a.note("%s %s. It starts again in %s. Its log: %s", c.name, why, span(wait), c.log)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, restartMost)
	}
}

// once runs the process to its end.
func (c *child) once(ctx context.Context, a *app) (err error) {
	log, err := openLog(c.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	cmd, err := c.command()
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = log, log
	if a.Debug {
		both := io.MultiWriter(log, a.Err)
		cmd.Stdout, cmd.Stderr = both, both
	}
	cmd.SysProcAttr = adopt()
	if err := cmd.Start(); err != nil {
		return err
	}
	var result error
	ended := make(chan struct{})
	go func() {
		result = cmd.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return result
	case <-ctx.Done():
	}
	if c.grace > 0 {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) // it may have ended just now
	}
	select {
	case <-ended: // how does not matter: it was told to
		return nil
	case <-time.After(c.grace):
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	<-ended
	return nil
}

// openLog appends to a log, and starts a new one when the old has grown.
func openLog(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if about, err := os.Stat(path); err == nil && about.Size() > largestLog {
		if err := os.Rename(path, path+".old"); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // a file of the data folder
	if err != nil {
		return nil, fmt.Errorf("the log cannot be opened: %w", err)
	}
	return f, nil
}
