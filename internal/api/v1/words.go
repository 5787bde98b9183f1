package v1

import (
	"net/http"
	"time"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/identity"
	"github.com/belay-dev/belay/internal/scope"
)

// status is the one place where a kind of failure becomes a number of this API.
var status = []struct {
	kind fault.Kind
	http int
}{
	{fault.NotFound, http.StatusNotFound},
	{fault.Conflict, http.StatusConflict},
	{fault.InUse, http.StatusConflict},
	{fault.Invalid, http.StatusBadRequest},
	{fault.Denied, http.StatusForbidden},
	{identity.ErrUnauthenticated, http.StatusUnauthorized},
	{fault.Unavailable, http.StatusServiceUnavailable},
	{api.NoRoute, http.StatusNotFound},
	{api.WrongMethod, http.StatusMethodNotAllowed},
	{api.TooLarge, http.StatusRequestEntityTooLarge},
	{api.TooMany, http.StatusTooManyRequests},
}

// Problem is a failure as RFC 9457 has it.
type Problem struct {
	Type     string         `json:"type"` // /docs/errors/BLY-nnnn, or about:blank
	Title    string         `json:"title"`
	Status   int            `json:"status"`
	Detail   string         `json:"detail"`
	Code     string         `json:"code,omitempty"` // BLY-nnnn
	Problems []FieldProblem `json:"problems,omitempty"`
}

// FieldProblem is what is wrong with one field.
type FieldProblem struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

// List is a list, or one page of it. Next is the cursor of the page after it, or empty.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// listed makes a list of what a service found.
func listed[From, To any](list []From, dress func(From) To) List[To] {
	items := make([]To, len(list))
	for i, one := range list {
		items[i] = dress(one)
	}
	return List[To]{Items: items}
}

// made is a value that is answered with 201 Created.
type made struct{ body any }

// nothing is answered with 204 No Content.
type nothing struct{}

func words() api.Words {
	return api.Words{Answer: answer, Refuse: refuse, ErrorType: "application/problem+json"}
}

func answer(value any, _ string) (int, any) {
	switch v := value.(type) {
	case made:
		return http.StatusCreated, v.body
	case nothing:
		return http.StatusNoContent, nil
	}
	return http.StatusOK, value
}

func refuse(f api.Failure) (int, any) {
	number := http.StatusInternalServerError
	for _, one := range status {
		if one.kind == f.Kind {
			number = one.http
		}
	}
	p := Problem{Type: "about:blank", Title: http.StatusText(number), Status: number, Detail: f.Message, Code: f.Code}
	if f.Code != "" {
		p.Type = "/docs/errors/" + f.Code
	}
	for _, one := range f.Problems {
		p.Problems = append(p.Problems, FieldProblem{Path: one.Path, Message: one.Message})
	}
	return number, p
}

// moment is a time, or nil for none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Place is a scope without its account.
type Place struct {
	Org     string `json:"org"`
	Project string `json:"project"`
}

func placeOf(at scope.Scope) Place { return Place{Org: at.Org, Project: at.Project} }
