package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/protocol"
)

// status is the one place where a kind of failure becomes a number.
var status = []struct {
	kind fault.Kind
	code int
}{
	{fault.NotFound, http.StatusNotFound},
	{fault.Conflict, http.StatusConflict},
	{fault.InUse, http.StatusConflict},
	{fault.Invalid, http.StatusBadRequest},
	{fault.Denied, http.StatusForbidden},
	{fault.Unavailable, http.StatusServiceUnavailable},
}

// refusal is an error whose status follows from the protocol, not from its kind.
type refusal struct {
	status int
	text   string
}

func (e *refusal) Error() string { return e.text }

func refuse(status int, format string, args ...any) error {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

var (
	errPanic   = errors.New("panic")
	errHungUp  = errors.New("the client hung up")
	errStopped = fault.New(fault.Unavailable, "the manager is being restarted; come back in a moment")
	errJoins   = fault.New(fault.Unavailable, "the manager is registering many delegates now; come back in a moment")
)

// refuse writes an error as text and gives its status.
func (s *Server) refuse(ctx context.Context, w http.ResponseWriter, err error) int {
	if errors.Is(err, errHungUp) {
		return 499 // nobody reads it; the number is for the metric
	}
	code, text := http.StatusInternalServerError, ""
	if known, ok := errors.AsType[*refusal](err); ok {
		code, text = known.status, known.text
	} else {
		kind := fault.KindOf(err)
		for _, one := range status {
			if one.kind == kind {
				code, text = one.code, fault.Sentence(err)
			}
		}
	}
	h := w.Header()
	switch {
	case code == http.StatusServiceUnavailable:
		if !errors.Is(err, errStopped) && !errors.Is(err, errJoins) {
			s.Log.WarnContext(ctx, "call of a delegate put off", slog.Any("error", err))
		}
		wait := comeBack()
		h.Set(protocol.HeaderRetryAfter, strconv.FormatInt(wait.Milliseconds(), 10))
		h.Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	case text == "":
		text = "an internal error happened; the manager's log has the cause"
		if !errors.Is(err, errPanic) && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "call of a delegate failed", slog.Any("error", err))
		}
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text + "\n")) // the delegate may be gone
	return code
}

// comeBack spreads the next tries of many delegates: full jitter over delegate.RetryUpTo.
func comeBack() time.Duration {
	return time.Duration(rand.Int64N(int64(delegate.RetryUpTo))) //nolint:gosec // jitter needs no secrecy
}

// answer writes a body as JSON, or 204 when there is none, and gives the status.
func (s *Server) answer(ctx context.Context, w http.ResponseWriter, body any) int {
	if body == nil {
		w.WriteHeader(http.StatusNoContent)
		return http.StatusNoContent
	}
	text, err := json.Marshal(body)
	if err != nil {
		// The text of such an error can quote what it could not encode.
		return s.refuse(ctx, w, fmt.Errorf("the answer could not be written as JSON (%T)", err))
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(text) // the delegate may be gone
	return http.StatusOK
}

// read decodes the JSON body of a call. Its errors name the place and never quote the body, which may hold a token.
func read(r *http.Request, into any) error {
	err := json.NewDecoder(r.Body).Decode(into)
	var (
		long   *http.MaxBytesError
		syntax *json.SyntaxError
		kind   *json.UnmarshalTypeError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &long):
		return tooLong()
	case errors.As(err, &syntax):
		return fault.New(fault.Invalid, "the body is not JSON: it goes wrong at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		got, _, _ := strings.Cut(kind.Value, " ") // behind a blank is the value itself
		return fault.New(fault.Invalid, "field %q of the body must be %s, not %s", clean(kind.Field, 100), kind.Type.Kind(), clean(got, 20))
	case r.Context().Err() != nil:
		return errHungUp
	}
	return fault.New(fault.Invalid, "the body is not JSON: it is empty or ends too early")
}

func tooLong() error {
	return refuse(http.StatusRequestEntityTooLarge, "the body is longer than the %d KiB that the manager takes", maxBody>>10)
}

// clean makes a client's text fit to be kept and shown: without control characters, and of bounded length.
func clean(text string, most int) string {
	var out strings.Builder
	for _, r := range text {
		if out.Len()+len(string(r)) > most {
			break
		}
		if r >= ' ' && r != 0x7f && (r < 0x80 || r > 0x9f) {
			out.WriteRune(r)
		}
	}
	return strings.TrimSpace(out.String())
}
