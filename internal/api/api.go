// Package api is what every HTTP API of the manager shares: how a caller proves itself, how a request is bounded and read,
// how a failure becomes a number, and how an answer is written.
//
// # A request
//
//	find the route ─► who calls (x-api-key) ─► how often (429) ─► whose account, which scope ─► read the body (413, 400)
//	    │ 404, 405        │ 401                                        │ 403                         │
//	    ▼                 ▼                                            ▼                             ▼
//	every answer is JSON in the words of its API ◄── write ◄───────────────────────────────── the endpoint: one call of a service
//
// An endpoint is a function from a Call, and a body where there is one, to a value or an error. It never sees HTTP, and
// lets the service decide what the caller may. What an API says with that value or error is its Words: package ng keeps
// the envelopes that existing clients expect, package v1 uses RFC 9457.
//
// Nothing of a request is logged but its method, the pattern of its route, status, duration, the caller's id and the
// correlation id, because paths, queries and bodies may hold what must not be seen.
package api

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"path"
	"reflect"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/identity"
)

// MaxBody is the longest request body, in bytes.
const MaxBody = 1 << 20

// HeaderKey is the header that holds the API key.
const HeaderKey = "X-Api-Key"

// HeaderCorrelation is the header of an answer that names the request; the log has the same name.
const HeaderCorrelation = "X-Correlation-Id"

type keys interface {
	// Authenticate fails with identity.ErrUnauthenticated when the token is not good.
	Authenticate(ctx context.Context, token string) (audit.Caller, error)
}

// Edge is what stands before every endpoint. One Edge serves all APIs of a manager, so that a key has one rate limit.
type Edge struct {
	Keys    keys
	Limiter *identity.Limiter // nil: no limit
	Metrics *Metrics          // nil: none are kept
	Log     *slog.Logger
	Now     func() time.Time
}

// Router is the routes of one API. It is a handler for every path: those that it does not know are answered too, in the
// API's words and never by a redirect.
type Router struct {
	edge   *Edge
	words  Words
	mux    *http.ServeMux
	routes []Route
}

// Route is a route as its documentation needs it.
type Route struct {
	Method   string
	Path     string
	Open     bool         // for everybody
	In       reflect.Type // of the body; nil: it reads none
	Required bool         // the body must be there
	Out      reflect.Type // of the answer, without its envelope
}

// Routes are all routes, in the order in which they were added.
func (r *Router) Routes() []Route { return r.routes }

// NewRouter makes a router without routes.
func (e *Edge) NewRouter(w Words) *Router {
	return &Router{edge: e, words: w, mux: http.NewServeMux()}
}

// Handle adds a route for callers with a key. The pattern is one of net/http, with its method.
func (r *Router) Handle(pattern string, do Endpoint) { r.add(pattern, do, false) }

// HandleOpen adds a route for everybody.
func (r *Router) HandleOpen(pattern string, do Endpoint) { r.add(pattern, do, true) }

func (r *Router) add(pattern string, do Endpoint, open bool) {
	method, route, _ := strings.Cut(pattern, " ")
	r.routes = append(r.routes, Route{Method: method, Path: route, Open: open, In: do.in, Required: do.required, Out: do.out})
	r.mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) {
		x, ok := w.(*exchange)
		if !ok {
			panic("api: a route was called without its router")
		}
		x.route, x.request, x.open = route, req, open
		value, err := x.serve(req.Context(), do)
		if err != nil {
			x.refuse(err)
			return
		}
		x.answer(value)
	})
}

// ServeHTTP answers a request.
func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	ctx := req.Context()
	req = Rooted(req)
	x := &exchange{
		ResponseWriter: w, router: r, request: req, route: unmatched, began: time.Now(), id: "req_" + strings.ToLower(rand.Text()),
	}
	defer x.finish(ctx)
	header := w.Header()
	header.Set(HeaderCorrelation, x.id)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("Referrer-Policy", "no-referrer")
	if !clean(req.URL.Path) {
		x.refuse(noRoute(req))
		return
	}
	if _, pattern := r.mux.Handler(req); pattern != "" {
		r.mux.ServeHTTP(x, req)
		return
	}
	if allowed := r.methods(req); len(allowed) > 0 {
		header.Set("Allow", strings.Join(allowed, ", "))
		x.refuse(wrongMethod(req, allowed))
		return
	}
	x.refuse(noRoute(req))
}

// gateway is the prefix that clients of the system Belay stands in for put before every path; it means nothing.
const gateway = "/gateway"

// Rooted is a request without what clients put before every path: /gateway, and the second slash of those whose endpoint
// was set with one at its end. A 404 in answer to that slash would make them believe that all they keep is gone.
func Rooted(req *http.Request) *http.Request {
	p := rooted(req.URL.Path)
	if p == req.URL.Path {
		return req
	}
	u := *req.URL
	u.Path, u.RawPath = p, rooted(u.RawPath)
	clone := *req
	clone.URL = &u
	return &clone
}

func rooted(p string) string {
	once := func(p string) string {
		if strings.HasPrefix(p, "//") {
			return "/" + strings.TrimLeft(p, "/")
		}
		return p
	}
	p = once(p)
	if rest, found := strings.CutPrefix(p, gateway); found && strings.HasPrefix(rest, "/") {
		return once(rest)
	}
	return p
}

// clean reports whether a path is one that the mux would not redirect.
func clean(p string) bool { return strings.HasPrefix(p, "/") && path.Clean(p) == p }

// methods are those that the path of a request has a route for.
func (r *Router) methods(req *http.Request) []string {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		probe := *req
		probe.Method = method
		if _, pattern := r.mux.Handler(&probe); pattern != "" {
			allowed = append(allowed, method)
		}
	}
	return allowed
}
