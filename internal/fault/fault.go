// Package fault is the one error type of every layer: a kind that machines decide by, a sentence that is safe to show
// to people, and a cause that only the log sees.
//
// The kind decides the HTTP status and the exit code; each API keeps its own table from kind to number.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what sort of failure an error is. Match it with errors.Is, never by text.
type Kind string

// The kinds. A failure of any other sort is internal: it is logged and shown without its cause.
const (
	// NotFound: there is no such thing, or the caller may not know of it.
	NotFound Kind = "not found"
	// Conflict: something with that name is there already, or it changed since it was read.
	Conflict Kind = "conflict"
	// InUse: it cannot be removed, because something else refers to it.
	InUse Kind = "in use"
	// Invalid: the input breaks a rule; the sentence says which.
	Invalid Kind = "invalid"
	// Denied: the caller is known and may not do this.
	Denied Kind = "denied"
	// Unavailable: it would work at another time; trying again is right.
	Unavailable Kind = "unavailable"
)

// Error makes a kind usable with errors.Is.
func (k Kind) Error() string { return string(k) }

// Error is a failure of a known kind.
type Error struct {
	Kind    Kind   // decides status and exit code
	Code    string // a stable id such as BLY-1203 when the failure has a page of its own, else empty
	Message string // a sentence safe to show: what happened, to what, why, what to do
	Cause   error  // for the log only; never shown
}

// New makes an error of a kind from a sentence.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Because makes an error of a kind that keeps its cause for the log.
func Because(kind Kind, cause error, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Cause: cause}
}

// WithCode returns the error with a documented id.
func (e *Error) WithCode(code string) *Error {
	e.Code = code
	return e
}

// Error is the sentence with the cause behind it: text for the log.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Message
	}
	return e.Message + ": " + e.Cause.Error()
}

// Unwrap lets errors.Is and errors.As see the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

// Wrap says what was being tried when *err happened; it does nothing when *err is nil. It is meant for the first line
// of a method: defer fault.Wrap(&err, "save connector %q", id).
func Wrap(err *error, format string, args ...any) {
	if *err != nil {
		*err = fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), *err)
	}
}

// Sentence is what may be shown of err: the sentence of the outermost fault in its chain, the problems of an invalid
// input, or a fixed sentence when err is none of ours, since its text may hold anything.
func Sentence(err error) string {
	if err == nil {
		return ""
	}
	if problems, ok := errors.AsType[Problems](err); ok {
		return problems.Error()
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Message
	}
	return "an internal error happened; the manager's log has the cause"
}

// KindOf is the kind of err, or "" when it has none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	if _, ok := errors.AsType[Problems](err); ok {
		return Invalid
	}
	k, _ := errors.AsType[Kind](err)
	return k
}

// CodeOf is the documented id of err, or "" when it has none.
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}
