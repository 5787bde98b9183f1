package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// Endpoint answers one route. Bare, Body and MaybeBody make one from a function.
type Endpoint struct {
	run      func(ctx context.Context, x *exchange) (any, error)
	in, out  reflect.Type
	required bool // the body
}

// Call is what an endpoint gets beside a body: who calls, where, and the words in path and query.
type Call struct {
	Who audit.Caller
	At  scope.Scope // of the query: accountIdentifier, orgIdentifier, projectIdentifier
	x   *exchange
	q   url.Values
}

// Bare makes an endpoint that reads no body.
func Bare[Out any](do func(ctx context.Context, c Call) (Out, error)) Endpoint {
	return Endpoint{out: reflect.TypeFor[Out](), run: func(ctx context.Context, x *exchange) (any, error) {
		c, err := x.call()
		if err != nil {
			return nil, err
		}
		return do(ctx, c)
	}}
}

// Body makes an endpoint that needs a body. Fields that In does not know are ignored.
func Body[In, Out any](do func(ctx context.Context, c Call, in In) (Out, error)) Endpoint {
	return withBody(do, true)
}

// MaybeBody makes an endpoint that gets the zero In when there is no body.
func MaybeBody[In, Out any](do func(ctx context.Context, c Call, in In) (Out, error)) Endpoint {
	return withBody(do, false)
}

// Raw makes an endpoint that needs a body of at most limit bytes and reads it by itself.
func Raw[Out any](limit int, do func(ctx context.Context, c Call, text []byte) (Out, error)) Endpoint {
	return Endpoint{in: reflect.TypeFor[json.RawMessage](), required: true, out: reflect.TypeFor[Out](), run: func(ctx context.Context, x *exchange) (any, error) {
		c, err := x.call()
		if err != nil {
			return nil, err
		}
		text, err := x.text(limit, true)
		if err != nil {
			return nil, err
		}
		return do(ctx, c, text)
	}}
}

func withBody[In, Out any](do func(ctx context.Context, c Call, in In) (Out, error), required bool) Endpoint {
	return Endpoint{in: reflect.TypeFor[In](), required: required, out: reflect.TypeFor[Out](), run: func(ctx context.Context, x *exchange) (any, error) {
		c, err := x.call()
		if err != nil {
			return nil, err
		}
		var in In
		if err := x.read(&in, required); err != nil {
			return nil, err
		}
		return do(ctx, c, in)
	}}
}

// call reads account and scope from the query.
func (x *exchange) call() (Call, error) {
	q := x.request.URL.Query()
	account := q.Get("accountIdentifier")
	if account == "" {
		account = q.Get("accountId") // as FirstGen calls it
	}
	if account == "" {
		account = x.who.Account
	}
	c := Call{Who: x.who, At: scope.Scope{Account: account, Org: q.Get("orgIdentifier"), Project: q.Get("projectIdentifier")}, x: x, q: q}
	if account != x.who.Account && !x.open {
		return Call{}, fault.New(fault.Denied, "the key %q belongs to another account than %.60q", x.who.Name, account)
	}
	var problems fault.Problems
	for _, one := range []struct{ name, id string }{{"orgIdentifier", c.At.Org}, {"projectIdentifier", c.At.Project}} {
		if len(one.id) > scope.MaxIdentifier {
			problems.Add(one.name, fmt.Sprintf("has %d characters, at most %d are allowed", len(one.id), scope.MaxIdentifier))
		}
	}
	if c.At.Project != "" && c.At.Org == "" {
		problems.Add("orgIdentifier", fmt.Sprintf("is required: project %.60q belongs to an organization", c.At.Project))
	}
	return c, problems.Err()
}

// Path is a word of the path, by the name that the route gives it.
func (c Call) Path(name string) string { return c.x.request.PathValue(name) }

// Query is a word of the query, the first when there are several.
func (c Call) Query(name string) string { return c.q.Get(name) }

// Header is a header of the request.
func (c Call) Header(name string) string { return c.x.request.Header.Get(name) }

// QueryAll are the words of the query under a name, whether it is repeated or holds a list with commas.
func (c Call) QueryAll(name string) []string {
	var all []string
	for _, words := range c.q[name] {
		all = append(all, strings.Split(words, ",")...)
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

// Flag reports whether a word of the query is true.
func (c Call) Flag(name string) bool {
	on, err := strconv.ParseBool(c.q.Get(name))
	return err == nil && on
}

// Number reads a number of the query between least and most; what is more than most is most. It is otherwise when there
// is none.
func (c Call) Number(name string, otherwise, least, most int) (int, error) {
	text := c.q.Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 32) // what does not fit is the nearest that does, beside an error
	if err != nil && !errors.Is(err, strconv.ErrRange) || int(n) < least {
		return 0, fault.Problems{{Path: name, Message: fmt.Sprintf("%.20q is not a whole number from %d on", text, least)}}
	}
	return min(int(n), most), nil
}

// Time reads a time of the query, as RFC 3339; the zero time when there is none.
func (c Call) Time(name string) (time.Time, error) {
	text := c.q.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fault.Problems{{Path: name, Message: fmt.Sprintf("%.40q is not a time such as 2026-11-23T10:00:00Z", text)}}
	}
	return t.UTC(), nil
}
