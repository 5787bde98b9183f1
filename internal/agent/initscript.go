package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/secret"
)

// initTimeout is how long INIT_SCRIPT may take. Install forms give a pod some minutes to start.
const initTimeout = 10 * time.Minute

// prepare runs INIT_SCRIPT, its output going to the log line by line. Variables that it exports stay its own: it runs in
// a bash of its own, unlike the one of other delegates, which sources it.
func (a *Agent) prepare(ctx context.Context) error {
	if strings.TrimSpace(a.Config.InitScript) == "" {
		return nil
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		return errors.New("INIT_SCRIPT is set, and there is no bash on PATH to run it; use an image that has one, or leave INIT_SCRIPT empty")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, initTimeout, fmt.Errorf("it took longer than %s", initTimeout))
	defer cancel()
	began := time.Now()
	cmd := exec.CommandContext(ctx, bash, "-c", a.Config.InitScript) //nolint:gosec // running the operator's script is the purpose
	cmd.WaitDelay = 5 * time.Second                                  // for what the script left running with its output
	for name, value := range a.Config.Proxy.variables() {
		cmd.Env = append(cmd.Environ(), name+"="+value)
	}
	reader, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, writer
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.logLines(ctx, reader)
	}()
	err = cmd.Run()
	_ = writer.Close() // never fails
	<-done
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("INIT_SCRIPT was stopped, and the delegate does not start: %w", context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("INIT_SCRIPT failed, and the delegate does not start; its output is above: %w", err)
	}
	a.Log.InfoContext(ctx, "init script done", slog.Duration("took", time.Since(began)))
	return nil
}

// logLines logs what a script prints, without the delegate's own secrets.
func (a *Agent) logLines(ctx context.Context, from io.Reader) {
	const longest = 4 << 10
	hide := a.Config.redactor()
	reader := bufio.NewReaderSize(from, longest)
	for {
		line, err := reader.ReadSlice('\n') // a longer line comes in pieces
		if text := strings.TrimRight(string(line), "\r\n"); text != "" {
			a.Log.InfoContext(ctx, "init script says", slog.String("line", hide.Replace(text)))
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			_, _ = io.Copy(io.Discard, from)
			return
		}
	}
}

// redactor replaces the delegate's own secrets in text.
func (c Config) redactor() *strings.Replacer {
	hidden := []secret.Value{c.Token}
	for _, h := range []*hop{c.Proxy.https, c.Proxy.http} {
		if h != nil {
			hidden = append(hidden, h.password)
		}
	}
	var pairs []string
	for _, v := range hidden {
		if !v.IsZero() {
			pairs = append(pairs, v.Reveal(), secret.Mask) //nolint:forbidigo // to find it in text and hide it
		}
	}
	return strings.NewReplacer(pairs...)
}
