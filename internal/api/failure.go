package api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/identity"
)

// Kinds of failure that only an edge has. Each API's table has a number for these too.
const (
	NoRoute     fault.Kind = "no route"     // nothing lives at the path
	WrongMethod fault.Kind = "wrong method" // something does, but it does not take the method
	TooLarge    fault.Kind = "too large"    // the body is longer than MaxBody
	TooMany     fault.Kind = "too many"     // the key calls too often
)

// Words are how an API dresses what its endpoints return.
type Words struct {
	// Answer dresses a value; a nil body is an empty answer.
	Answer func(value any, correlationID string) (status int, body any)
	// Refuse dresses a failure.
	Refuse func(f Failure) (status int, body any)
	// ErrorType is the content type of failures.
	ErrorType string
}

// Failure is why a request was not done, with nothing in it that may not be shown.
type Failure struct {
	Kind          fault.Kind // "" when it is internal
	Message       string
	Code          string         // BLY-nnnn, when it has a page of its own
	Problems      fault.Problems // of an invalid input, field by field
	CorrelationID string
}

var errPanic = errors.New("panic")

func missingKey() error {
	return fault.New(identity.ErrUnauthenticated, "no API key: send one in the header x-api-key")
}

func noRoute(req *http.Request) error {
	return fault.New(NoRoute, "there is nothing at %s", shown(req.URL.Path))
}

func wrongMethod(req *http.Request, allowed []string) error {
	return fault.New(WrongMethod, "%s does not take %s; it takes %s", shown(req.URL.Path), known(req.Method), strings.Join(allowed, ", "))
}

// shown is a path fit for an answer: of bounded length, and printable.
func shown(path string) string {
	const most = 200
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return '?'
		}
		return r
	}, path)
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// known is the method, or OTHER when it is none that HTTP commonly has: callers choose it, and labels must be few.
func known(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead:
		return http.MethodGet
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "OTHER"
}
