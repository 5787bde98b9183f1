// Package link is the server of the delegate protocol: what delegates call, as package protocol words it.
//
// # A call
//
//	Authorization: Delegate <JWE> ──► who (auth.go) ──► the call (join.go, poll.go, work.go) ──► answer (answer.go)
//
// Every call but the account's status proves itself with claims that are encrypted with the delegate's token. A delegate
// acts only under ids that were registered with the token that it proves: another id is 403. Errors are plain text, as
// clients of the protocol print them: 400, 401, 403, 404 "register again", 409 for a task or lease that is another's
// now, 413, and 503 with Retry-After and protocol.HeaderRetryAfter when the manager cannot serve now.
//
// # A parked poll
//
//	listen on the bell ─► look for offers ─► some: answer
//	         ▲                 │ none
//	         │                 ▼
//	         └── rung ──── wait, 22 s at most: rung · hung up · token revoked · manager stops · time is over: an empty list
//
// It costs the connection's own goroutine, one timer and one listener on the bell, so that ten thousand of them weigh
// little more than on a bare net/http server.
//
// # The listener
//
// Serve delegates over HTTP/1.1 only (http.Server.Protocols): with HTTP/2 each parked poll costs more. WriteTimeout must be 0 or more than the
// 22 s of a poll. Call Stop when the http.Server shuts down (RegisterOnShutdown): it ends the parked polls, each with a
// retry time of its own.
package link

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/task"
)

// maxBody is the longest request body, in bytes.
const maxBody = 1 << 20

// defaultJoins is how many delegates may register at once. Each is a durable write; the rest are told when to come back.
const defaultJoins = 128

type tokens interface {
	ActiveKeys(ctx context.Context, account string) ([]delegate.ActiveKey, error)
	StillActive(ctx context.Context, account, id string) (bool, error)
}

type registry interface {
	Register(ctx context.Context, d delegate.Delegate) (delegate.Delegate, error)
	Adopt(ctx context.Context, d delegate.Delegate) (delegate.Delegate, error)
	Seen(account string, id delegate.ID, report *delegate.Report) (delegate.Delegate, error)
	Delegate(account string, id delegate.ID) (delegate.Delegate, error)
	Forget(ctx context.Context, id delegate.ID) error
	CutOff(tokenID string) []delegate.ID
	Drop(at scope.Scope)
}

type queue interface {
	Offers(ctx context.Context, d delegate.Delegate) ([]task.Task, error)
	Acquire(ctx context.Context, account string, id task.ID, by delegate.ID) (task.Lease, []byte, error)
	Renew(ctx context.Context, by delegate.ID, ids []task.ID) error
	Finish(ctx context.Context, account string, id task.ID, by delegate.ID, r task.Report) error
	DelegateGone(ctx context.Context, by delegate.ID) error
}

type accounts interface {
	Accounts(ctx context.Context) ([]org.Account, error)
}

type bell interface {
	Ring(topic string)
	Listen(topic string) (rings <-chan struct{}, stop func())
}

// logs takes the lines that a delegate writes while it does a task.
type logs interface {
	Append(ctx context.Context, account string, id task.ID, by delegate.ID, lines []protocol.LogLine) error
}

// Server answers delegates. Fill the fields, then call Handler.
type Server struct {
	Tokens    tokens
	Delegates registry
	Queue     queue
	Accounts  accounts
	Bell      bell
	// Logs takes the log lines of tasks; nil writes them to Log at level debug.
	Logs logs
	Log  *slog.Logger
	Now  func() time.Time
	// Metrics is where the server's metrics are registered; nil leaves them unregistered.
	Metrics prometheus.Registerer
	// Held is how long a poll is held; 0 means delegate.PollHeld. Clients of the protocol give up after 30 s.
	Held time.Duration
	// Joins is how many delegates may register at once; 0 means 128.
	Joins int

	gate    gate
	visits  visits
	metrics *metrics
	joining chan struct{}
	once    sync.Once
	stopped chan struct{}
	stop    sync.Once
}

func (s *Server) prepare() {
	s.once.Do(func() {
		if s.Held == 0 {
			s.Held = delegate.PollHeld
		}
		if s.Joins == 0 {
			s.Joins = defaultJoins
		}
		s.joining = make(chan struct{}, s.Joins)
		s.stopped = make(chan struct{})
		s.metrics = newMetrics(s.Metrics)
	})
}

// Stop ends the parked polls, and every later one, with 503 and a time to come back that is spread by chance.
func (s *Server) Stop() {
	s.prepare()
	s.stop.Do(func() { close(s.stopped) })
}

// call is one call of the protocol. It returns what to answer as JSON; nil is 204.
type call func(r *http.Request, who caller) (any, error)

// caller is a delegate's token that was proved, and its account.
type caller struct {
	account string
	*credential
}

// route is a call of the protocol.
type route struct {
	method, path, name string
	call               call
	summary            string
}

func (s *Server) routes() []route {
	return []route{
		{http.MethodPost, protocol.PathRegister, "register", s.register, "A delegate comes"},
		{http.MethodPost, protocol.PathHeartbeat, "heartbeat", s.heartbeat, "A delegate is there"},
		{http.MethodGet, protocol.PathEvents, "events", s.events, "What a delegate may take; held until there is something"},
		{http.MethodPut, protocol.PathAcquire, "acquire", s.acquire, "Take a task by its id, with its secrets"},
		{http.MethodPost, protocol.PathResult, "result", s.result, "What came of a task"},
		{http.MethodPost, protocol.PathRunnerResult, "result", s.runnerResult, "What came of a task, as runners say it"},
		{http.MethodPost, protocol.PathRunnerResultV2, "result", s.runnerResult, "What came of a task, as newer runners say it"},
		{http.MethodPost, protocol.PathCapacity, "capacity", s.capacity, "How much a delegate can take"},
		{http.MethodPost, protocol.PathLogs, "logs", s.taskLogs, "Lines of a task's log"},
		{http.MethodDelete, protocol.PathUnregister, "unregister", s.unregister, "A delegate goes"},
		{http.MethodGet, protocol.PathUpgradeCheck, "upgrade-check", upgradeCheck, "Which version of the delegate suits, asked by its upgrader"},
	}
}

// Calls are the calls of the protocol with a sentence each, for the documentation.
func Calls() []Call {
	calls := []Call{{http.MethodGet, protocol.PathAccountStatus, "Is the account there"}}
	for _, r := range (&Server{}).routes() {
		calls = append(calls, Call{r.method, r.path, r.summary})
	}
	return calls
}

// Call is a call of the protocol.
type Call struct{ Method, Path, Summary string }

// Handler answers every path below /api/agent/, /api/executions/ and /api/account/; any other is 404 as text.
func (s *Server) Handler() http.Handler {
	s.prepare()
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.Handle(r.method+" "+r.path, s.handle(r.name, s.proved(r.call)))
	}
	mux.Handle("GET "+protocol.PathAccountStatus, s.handle("status", func(r *http.Request) (any, error) { return s.accountStatus(r) }))
	unknown := s.handle("unknown", func(r *http.Request) (any, error) {
		return nil, fault.New(fault.NotFound, "the delegate protocol has no %s %s", clean(r.Method, 10), clean(r.URL.Path, 200))
	})
	mux.Handle("/", unknown)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The mux would redirect a path with // or .., and delegates do not follow redirects.
		if r.Method == http.MethodConnect || path.Clean(r.URL.Path) != r.URL.Path {
			unknown.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// proved lets a call through when its caller proves a token of the account that it names.
func (s *Server) proved(do call) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		account := r.URL.Query().Get("accountId")
		if account == "" {
			return nil, fault.New(fault.Invalid, "the query accountId is required")
		}
		credential, err := s.authenticate(r.Context(), account, r.Header.Get("Authorization"))
		if err != nil {
			return nil, err
		}
		return do(r, caller{account, credential})
	}
}

// handle does a call, writes its answer and counts it.
func (s *Server) handle(name string, do func(*http.Request) (any, error)) http.Handler {
	seen := s.metrics.calls(name)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.recovered(w, r, name, seen)
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		answer, err := do(r)
		if err != nil {
			seen(s.refuse(r.Context(), w, err))
			return
		}
		seen(s.answer(r.Context(), w, answer))
	})
}

// recovered answers for a call that panicked. It must be deferred itself.
func (s *Server) recovered(w http.ResponseWriter, r *http.Request, name string, seen func(int)) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { //nolint:errorlint // panics carry this very value
		panic(p)
	}
	s.Log.ErrorContext(r.Context(), "call of a delegate panicked",
		slog.String("call", name), slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
	seen(s.refuse(r.Context(), w, errPanic))
}
