// Package nextgen is the JSON of the NextGen API: connectors, secrets, organizations, projects, delegate tokens, delegates,
// and the envelopes around them, each with its translation to and from the domain.
//
// The server (internal/api/ng), the reader of files (internal/document) and the client (internal/cli) share these shapes,
// so the package stands beside no transport and imports none. Existing clients compare what they read with what they
// wrote, and some crash on what they do not expect. So a shape gives back what was sent: an optional block only when it
// was there, an empty list as an empty list, and credential.spec never for the types that have none.
package nextgen

import "time"

// Statuses of an envelope.
const (
	StatusSuccess = "SUCCESS"
	StatusError   = "ERROR"
)

// Response is the envelope of nearly every answer.
type Response[T any] struct {
	Status        string `json:"status"`
	Data          T      `json:"data"`
	MetaData      any    `json:"metaData"` // always null
	CorrelationID string `json:"correlationId"`
}

// RestResponse is the older envelope: delegate tokens and delegates are answered in it.
type RestResponse[T any] struct {
	MetaData         map[string]any `json:"metaData"` // always empty
	Resource         T              `json:"resource"`
	ResponseMessages []Message      `json:"responseMessages"` // always empty
}

// Page is one page of a list.
type Page[T any] struct {
	TotalPages    int  `json:"totalPages"`
	TotalItems    int  `json:"totalItems"`
	PageItemCount int  `json:"pageItemCount"`
	PageSize      int  `json:"pageSize"`
	Content       []T  `json:"content"`
	PageIndex     int  `json:"pageIndex"` // from 0
	Empty         bool `json:"empty"`
}

// NewPage makes a page of what was found. Past the end it is empty.
func NewPage[T any](content []T, total, index, size int) Page[T] {
	if content == nil {
		content = []T{}
	}
	pages := 0
	if size > 0 {
		pages = (total + size - 1) / size
	}
	return Page[T]{
		TotalPages: pages, TotalItems: total, PageItemCount: len(content), PageSize: size,
		Content: content, PageIndex: index, Empty: len(content) == 0,
	}
}

// ErrorBody answers everything that fails.
type ErrorBody struct {
	Status           string       `json:"status"` // ERROR
	Code             string       `json:"code"`
	Message          string       `json:"message"`
	CorrelationID    string       `json:"correlationId"`
	DetailedMessage  *string      `json:"detailedMessage"` // always null
	ResponseMessages []Message    `json:"responseMessages"`
	Metadata         any          `json:"metadata"` // always null
	Errors           []FieldError `json:"errors,omitempty"`
}

// Message is one line of a failure.
type Message struct {
	Code         string   `json:"code"`
	Level        string   `json:"level"`
	Message      string   `json:"message"`
	Exception    any      `json:"exception"` // always null
	FailureTypes []string `json:"failureTypes"`
}

// FieldError is what is wrong with one field.
type FieldError struct {
	FieldID string `json:"fieldId"`
	Error   string `json:"error"`
}

// The codes of failures. Clients drop an entity from their state on NotFoundCode, and crash on a 404 with another code.
const (
	NotFoundCode        = "RESOURCE_NOT_FOUND_EXCEPTION"
	DuplicateCode       = "DUPLICATE_FIELD"
	InvalidCode         = "INVALID_REQUEST"
	InUseCode           = "ENTITY_REFERENCE_EXCEPTION"
	DeniedCode          = "ACCESS_DENIED"
	UnauthenticatedCode = "INVALID_CREDENTIAL"
	TooManyCode         = "TOO_MANY_REQUESTS"
	TooLargeCode        = "PAYLOAD_TOO_LARGE"
	UnavailableCode     = "SERVICE_UNAVAILABLE"
	InternalCode        = "UNKNOWN_ERROR"
)

// millis is a time in milliseconds since 1970; none is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Time is milliseconds since 1970 as a time; 0 is none.
func Time(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis).UTC()
}
