package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/belay-dev/belay/internal/fault"
)

// drained is how much of a body that is too long is read all the same, so that a client which does not listen while it
// sends gets to hear why it is refused.
const drained = 32 << 20

// read decodes the body. What it says never quotes the body, which may hold a secret.
func (x *exchange) read(into any, required bool) error {
	text, err := x.text(MaxBody, required)
	if err != nil || len(text) == 0 {
		return err
	}
	return Decode(text, into)
}

// Decode reads JSON that an endpoint has as text. What it says never quotes the text.
func Decode(text []byte, into any) error { return explain(text, json.Unmarshal(text, into)) }

// text reads a body of at most limit bytes; it is empty when there is none.
func (x *exchange) text(limit int, required bool) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(x.request.Body, int64(limit)+1))
	if len(text) > limit {
		if !strings.EqualFold(x.request.Header.Get("Expect"), "100-continue") {
			_, _ = io.CopyN(io.Discard, x.request.Body, drained) // it ends when it ends
		}
		x.Header().Set("Connection", "close")
		return nil, fault.New(TooLarge, "the body is longer than the %d KiB that the manager takes", limit>>10)
	}
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, "the body ended before it was whole")
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(text)) == 0 {
		if required {
			return nil, fault.New(fault.Invalid, "the body is empty; JSON belongs there")
		}
		return nil, nil
	}
	if !utf8.Valid(text) {
		line, column := place(text, bytes.IndexRune(text, utf8.RuneError))
		return nil, fault.New(fault.Invalid, "the body is not UTF-8: line %d, column %d", line, column)
	}
	return text, nil
}

// explain says where and why text is not what was wanted.
func explain(text []byte, err error) error {
	var (
		syntax *json.SyntaxError
		kind   *json.UnmarshalTypeError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		line, column := place(text, int(syntax.Offset)-1)
		return fault.New(fault.Invalid, "the body is not JSON: line %d, column %d: %s", line, column, syntax.Error())
	case errors.As(err, &kind):
		got, _, _ := strings.Cut(kind.Value, " ") // behind a blank is the value itself
		message := fmt.Sprintf("is %s; %s belongs there", called(got), wanted(kind.Type))
		if kind.Field == "" {
			return fault.New(fault.Invalid, "the body %s", message)
		}
		return fault.Problems{{Path: kind.Field, Message: message}}
	}
	return fault.Because(fault.Invalid, err, "the body cannot be read as JSON")
}

// place is line and column of a byte, both from 1, the column in characters.
func place(text []byte, at int) (line, column int) {
	before := text[:min(max(at, 0), len(text))]
	line = 1 + bytes.Count(before, []byte("\n"))
	return line, 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
}

// called names a kind of JSON value.
func called(kind string) string {
	switch kind {
	case "array":
		return "a list"
	case "bool":
		return "true or false"
	case "object":
		return "an object"
	}
	return "a " + kind
}

// wanted names what a Go type takes.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64, reflect.Int32:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Pointer:
		return wanted(t.Elem())
	default:
		return "another kind of value"
	}
}
