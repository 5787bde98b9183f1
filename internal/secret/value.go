package secret

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// Mask is what every way of printing a Value gives.
const Mask = "[secret]"

// Value is text that must not be seen. However it is printed, logged or encoded, it shows Mask; only Reveal gives the
// text, and the linter allows Reveal in few packages.
type Value struct{ plain string }

// NewValue hides text.
func NewValue(plain string) Value { return Value{plain} }

// Reveal gives the text.
func (v Value) Reveal() string { return v.plain }

// IsZero reports whether there is no text.
func (v Value) IsZero() bool { return v.plain == "" }

// Len is the length of the text in bytes.
func (v Value) Len() int { return len(v.plain) }

// Equal compares in a time that does not depend on where the two differ.
func (v Value) Equal(other Value) bool {
	return subtle.ConstantTimeCompare([]byte(v.plain), []byte(other.plain)) == 1
}

// Format masks the value under every verb; String alone would leak it under %d or %x.
func (Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Mask) }

// String is the mask.
func (Value) String() string { return Mask }

// GoString is the mask.
func (Value) GoString() string { return Mask }

// LogValue is the mask.
func (Value) LogValue() slog.Value { return slog.StringValue(Mask) }

// MarshalJSON writes the mask.
func (Value) MarshalJSON() ([]byte, error) { return json.Marshal(Mask) }

// MarshalText writes the mask.
func (Value) MarshalText() ([]byte, error) { return []byte(Mask), nil }

// MarshalYAML writes the mask.
func (Value) MarshalYAML() (any, error) { return Mask, nil }
