package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// written is standard output. It keeps the first failure, since most of what prints looks at none: a full disk must not
// pass for success, least of all with a key that is shown once.
type written struct {
	io.Writer
	failed error
}

// Write says that all went well, so that the failure is told once, at the end.
func (w *written) Write(p []byte) (int, error) {
	if w.failed == nil {
		_, w.failed = w.Writer.Write(p)
	}
	return len(p), nil
}

// settle is the exit code when the command has ended with code.
func (w *written) settle(code int, io Streams) int {
	if w.failed == nil {
		return code
	}
	_, _ = fmt.Fprintf(io.Err, "belay: the output could not be written: %s\n", printable(w.failed.Error()))
	return Failed
}

// terminal reports whether a stream is one.
func terminal(stream any) bool {
	if w, ok := stream.(*written); ok {
		stream = w.Writer
	}
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

var errInterrupted = errors.New("interrupted")

// await reads what may never come. A read cannot be called off, so when ctx ends it is left behind, and the process
// ends with it.
func await[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := read()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, errInterrupted
	}
}

// input is standard input that ends with ctx.
type input struct {
	ctx  context.Context //nolint:containedctx // io.Reader takes none
	from io.Reader
}

// Read reads into memory of its own: a read that was left behind must not write into what the caller has back.
func (i input) Read(p []byte) (int, error) {
	text, err := await(i.ctx, func() ([]byte, error) {
		own := make([]byte, len(p))
		n, err := i.from.Read(own)
		return own[:n], err
	})
	return copy(p, text), err
}

// password asks at the terminal without showing what is typed.
func password(ctx context.Context, f *os.File) ([]byte, error) {
	shown, err := term.GetState(int(f.Fd()))
	if err != nil {
		return nil, err
	}
	text, err := await(ctx, func() ([]byte, error) { return term.ReadPassword(int(f.Fd())) })
	if errors.Is(err, errInterrupted) { // the read that was left behind does not show it again
		err = errors.Join(err, term.Restore(int(f.Fd()), shown))
	}
	return text, err
}
