package ng

import (
	"net/http"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/identity"
	"github.com/belay-dev/belay/internal/nextgen"
)

// status is the one place where a kind of failure becomes a number and a code of this API.
var status = []struct {
	kind fault.Kind
	http int
	code string
}{
	{fault.NotFound, http.StatusNotFound, nextgen.NotFoundCode},
	{fault.Conflict, http.StatusBadRequest, nextgen.DuplicateCode},
	{fault.InUse, http.StatusBadRequest, nextgen.InUseCode},
	{fault.Invalid, http.StatusBadRequest, nextgen.InvalidCode},
	{fault.Denied, http.StatusForbidden, nextgen.DeniedCode},
	{identity.ErrUnauthenticated, http.StatusUnauthorized, nextgen.UnauthenticatedCode},
	{fault.Unavailable, http.StatusServiceUnavailable, nextgen.UnavailableCode},
	{api.NoRoute, http.StatusNotFound, nextgen.NotFoundCode},
	{api.WrongMethod, http.StatusMethodNotAllowed, nextgen.NotFoundCode},
	{api.TooLarge, http.StatusRequestEntityTooLarge, nextgen.TooLargeCode},
	{api.TooMany, http.StatusTooManyRequests, nextgen.TooManyCode},
}

// rest is a value that is answered in the older envelope.
type rest struct{ resource any }

func words() api.Words {
	return api.Words{Answer: answer, Refuse: refuse, ErrorType: "application/json"}
}

func answer(value any, id string) (int, any) {
	if r, ok := value.(rest); ok {
		return http.StatusOK, nextgen.RestResponse[any]{MetaData: map[string]any{}, Resource: r.resource, ResponseMessages: []nextgen.Message{}}
	}
	return http.StatusOK, nextgen.Response[any]{Status: nextgen.StatusSuccess, Data: value, CorrelationID: id}
}

func refuse(f api.Failure) (int, any) {
	number, code := http.StatusInternalServerError, nextgen.InternalCode
	for _, one := range status {
		if one.kind == f.Kind {
			number, code = one.http, one.code
		}
	}
	body := nextgen.ErrorBody{
		Status: nextgen.StatusError, Code: code, Message: f.Message, CorrelationID: f.CorrelationID,
		ResponseMessages: []nextgen.Message{{Code: code, Level: "ERROR", Message: f.Message, FailureTypes: []string{}}},
	}
	for _, p := range f.Problems {
		body.Errors = append(body.Errors, nextgen.FieldError{FieldID: p.Path, Error: p.Message})
	}
	return number, body
}
