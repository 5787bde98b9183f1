package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
)

// unmatched is the route of requests that have none.
const unmatched = "unmatched"

// exchange is one request and its answer. It is the ResponseWriter on the way through the mux.
type exchange struct {
	http.ResponseWriter
	router  *Router
	request *http.Request
	route   string // the pattern's path
	open    bool   // for everybody
	id      string // correlation id
	who     audit.Caller
	began   time.Time
	status  int   // 0: nothing was written yet
	cause   error // why it was refused, for the log
	cutOff  bool  // the client hung up, or the manager stops
}

// serve does what stands before the endpoint, then the endpoint.
func (x *exchange) serve(ctx context.Context, do Endpoint) (any, error) {
	// Names are kept in the audit log before a service can say that they are too long.
	const most = 256
	for segment := range strings.SplitSeq(x.request.URL.Path, "/") {
		if len(segment) > most {
			return nil, noRoute(x.request)
		}
	}
	if !x.open {
		if err := x.authenticate(ctx); err != nil {
			return nil, err
		}
	}
	return do.run(ctx, x)
}

func (x *exchange) authenticate(ctx context.Context) error {
	e := x.router.edge
	token := x.request.Header.Get(HeaderKey)
	if token == "" {
		return missingKey()
	}
	who, err := e.Keys.Authenticate(ctx, token)
	if err != nil {
		return err
	}
	x.who = who
	if e.Limiter == nil {
		return nil
	}
	if ok, wait := e.Limiter.Allow(who.Account+"/"+who.ID, e.Now()); !ok {
		seconds := int64(wait/time.Second) + 1
		x.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
		return fault.New(TooMany, "the key %q calls too often; call again in %d s, and slower from then on", who.Name, seconds)
	}
	return nil
}

// Text is an answer that is no JSON; every API writes it as it is.
type Text struct {
	Type   string // content type
	Text   []byte
	MaxAge time.Duration // how long everybody may keep it; 0: nobody may
}

// answer writes what an endpoint returned.
func (x *exchange) answer(value any) {
	if t, ok := value.(Text); ok {
		x.Header().Set("Content-Type", t.Type)
		if t.MaxAge > 0 {
			x.Header().Set("Cache-Control", "public, max-age="+strconv.FormatInt(int64(t.MaxAge/time.Second), 10))
		}
		x.send(http.StatusOK, t.Text)
		return
	}
	status, body := x.router.words.Answer(value, x.id)
	x.write(status, "application/json", body)
}

// refuse writes why a request was not done.
func (x *exchange) refuse(err error) {
	x.cause = err
	f := Failure{
		Kind: fault.KindOf(err), Message: fault.Sentence(err), Code: fault.CodeOf(err), CorrelationID: x.id,
	}
	if problems, ok := errors.AsType[fault.Problems](err); ok {
		f.Problems = problems
	}
	if x.request.Context().Err() != nil && (f.Kind == "" || f.Kind == fault.Unavailable) {
		x.cutOff = true
		f.Kind, f.Message = fault.Unavailable, "the request was cut off: the client hung up, or the manager is stopping"
	}
	if f.Kind == "" {
		f.Message = "an internal error happened; the manager's log has its cause under " + x.id
	}
	if f.Kind == fault.Unavailable {
		x.Header().Set("Retry-After", "1")
	}
	status, body := x.router.words.Refuse(f)
	x.write(status, x.router.words.ErrorType, body)
}

// write sends a body as JSON, or none when it is nil. It is encoded as a whole first, so that what cannot be encoded is
// an error and not half an answer.
func (x *exchange) write(status int, contentType string, body any) {
	var text bytes.Buffer
	if body != nil {
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(body); err != nil {
			x.cause = fmt.Errorf("encode the answer: %w", err)
			status, text = http.StatusInternalServerError, bytes.Buffer{}
			text.WriteString(`{"status":"ERROR","code":"UNKNOWN_ERROR","message":"the answer could not be written as JSON"}`)
		}
		x.Header().Set("Content-Type", contentType)
	}
	x.send(status, text.Bytes())
}

func (x *exchange) send(status int, text []byte) {
	x.status = status
	x.WriteHeader(status)
	if len(text) > 0 {
		_, _ = x.Write(text) // the client may be gone
	}
}

// finish deals with a panic, then logs and counts.
func (x *exchange) finish(ctx context.Context) {
	log := x.router.edge.Log
	if cause := recover(); cause != nil {
		if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(cause)
		}
		log.ErrorContext(ctx, "request panicked", slog.String("correlation_id", x.id), slog.String("route", x.route),
			slog.String("panic", fmt.Sprint(cause)), slog.String("stack", string(debug.Stack())))
		if x.status == 0 {
			x.refuse(errPanic)
		}
	}
	took := time.Since(x.began)
	if m := x.router.edge.Metrics; m != nil {
		m.observe(x.route, x.request.Method, x.status, took)
	}
	attrs := []slog.Attr{
		slog.String("method", known(x.request.Method)), slog.String("route", x.route), slog.Int("status", x.status),
		slog.Duration("took", took), slog.String("caller", x.who.ID), slog.String("correlation_id", x.id),
	}
	level := slog.LevelInfo
	switch {
	case x.cutOff:
	case x.status >= http.StatusInternalServerError:
		level = slog.LevelError
		attrs = append(attrs, slog.Any("error", x.cause))
	case known(x.request.Method) == http.MethodGet:
		level = slog.LevelDebug
	}
	log.LogAttrs(context.WithoutCancel(ctx), level, "request", attrs...)
}
