// Package task keeps work that a delegate is to do: durable rows, leases with fencing tokens, and the choice of a
// delegate.
//
//	            ┌──────────── the lease ends and the kind is retry-safe ───────────┐
//	            ▼                                                                  │
//	submit → queued ──── a delegate acquires it (fence+1) ────→ leased ────────────┤
//	            │                                                  │               │
//	            │ deadline, cancel                                 │ result        │ lease ends, kind is not retry-safe
//	            ▼                                                  ▼               ▼
//	     expired, cancelled                                succeeded, failed     failed
//
// SQL is the truth, the bell only wakes. Submit, acquire and finish are durable before they are acknowledged. A result
// counts only with the fence of the present lease, so a delegate that was given up cannot finish a task twice.
package task

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/scope"
)

// ID names a task.
type ID string

// NewID makes an id.
func NewID() ID { return ID("tsk_" + strings.ToLower(rand.Text())) }

// State is where a task stands.
type State string

// The states.
const (
	Queued    State = "queued"
	Leased    State = "leased"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Cancelled State = "cancelled"
	Expired   State = "expired"
)

// next is the state machine.
var next = map[State][]State{
	Queued: {Leased, Failed, Cancelled, Expired},
	Leased: {Queued, Succeeded, Failed, Cancelled, Expired},
}

// May reports whether a task can go from one state to another.
func (s State) May(to State) bool { return slices.Contains(next[s], to) }

// Done reports whether the state is final.
func (s State) Done() bool { return len(next[s]) == 0 }

// The numbers of tasks.
const (
	LeaseFor       = 60 * time.Second // renewed by heartbeat
	DefaultTimeout = 10 * time.Minute
	KeepFinished   = 7 * 24 * time.Hour
	mostAttempts   = 5 // leases of a retry-safe task before it is given up
	offersAtOnce   = 10
)

// Kind is a type of work.
type Kind struct {
	Name      string
	RetrySafe bool          // doing it twice does no harm
	Timeout   time.Duration // from submission; 0 means DefaultTimeout
	// Lease is how long a lease lasts unless it is renewed; 0 means LeaseFor. It must be shorter than Timeout, or a
	// delegate that is lost could not be replaced in time.
	Lease time.Duration
}

// Task is a piece of work. It holds references, never secret values.
type Task struct {
	ID         ID
	Scope      scope.Scope
	Kind       string
	Subject    string // what it is about, for people and for the handler: a connector's key
	Params     []byte // JSON, of the kind's own making
	Selectors  []string
	MinVersion delegate.Version
	MinReason  string
	Platform   bool // the manager itself does it
	RetrySafe  bool
	Lease      time.Duration // how long a lease lasts unless it is renewed

	State      State
	LeasedBy   delegate.ID
	LeaseUntil time.Time
	Fence      int64
	Attempts   int
	Tried      []delegate.ID // delegates that gave it back or were lost with it
	Result     []byte        // JSON, of a task that succeeded
	Failure    Failure       // of one that did not
	Settled    bool          // its kind's handler has dealt with the outcome

	CreatedAt  time.Time
	Deadline   time.Time
	FinishedAt time.Time
}

// Failure is why a task did not succeed.
type Failure struct {
	Cause   Cause
	Message string   // a sentence
	Reasons []string // evidence: every delegate with its reason
}

// Cause sorts the failures.
type Cause string

// The causes.
const (
	CauseNone         Cause = ""
	CauseNoDelegate   Cause = "no-delegate"   // nobody eligible when it was submitted
	CauseNotTaken     Cause = "not-taken"     // nobody took it in time
	CauseDelegateLost Cause = "delegate-lost" // its delegate stopped answering, and it cannot be repeated
	CauseTimeout      Cause = "timeout"       // it was taken, and not finished in time
	CausePrepare      Cause = "prepare"       // what it needs could not be resolved
	CauseReported     Cause = "reported"      // the delegate says so
	CauseCancelled    Cause = "cancelled"
)

// reported says whether the task ended with what its delegate reported, rather than by a deadline, a lost lease or a
// cancellation.
func (t Task) reported() bool {
	return t.State == Succeeded || t.State == Failed && t.Failure.Cause == CauseReported
}

// Need is what the task asks of a delegate.
func (t Task) Need() delegate.Need {
	return delegate.Need{
		Scope: t.Scope, Selectors: t.Selectors, Kind: t.Kind, MinVersion: t.MinVersion, MinReason: t.MinReason, Tried: t.Tried,
	}
}

// Lease is the right to do a task until a time. Its fence grows with every lease of the task.
type Lease struct {
	Task  Task
	Fence int64
	Until time.Time
}
