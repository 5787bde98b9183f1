package manager

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/task"
)

// pinger asks a delegate to answer, by a durable task like any other: it proves the whole path.
type pinger struct {
	Queue *task.Queue
	Fleet interface {
		InAccount(account string) []delegate.Delegate
	}
	Audit *audit.Trail
}

// known reports whether a delegate that serves the scope has the name, or the tag: those that are silent are known too.
func (p *pinger) known(at scope.Scope, name string) bool {
	now := time.Now()
	return slices.ContainsFunc(p.Fleet.InAccount(at.Account), func(d delegate.Delegate) bool {
		return d.Scope.Contains(at) && d.HasTag(name) && now.Sub(d.LastSeen) <= delegate.GoneAfter
	})
}

// pingKind is the task type of a ping. A delegate that dies with it is replaced soon.
func pingKind() task.Kind {
	return task.Kind{Name: protocol.TypePing, RetrySafe: true, Timeout: time.Minute, Lease: 10 * time.Second}
}

// Ping returns the delegate's answer and how long it took to come. It fails with NotFound when there is no such delegate.
func (p *pinger) Ping(ctx context.Context, who audit.Caller, at scope.Scope, name string) (protocol.Pong, time.Duration, error) {
	if err := p.Audit.Allow(ctx, who, audit.DelegatePing, at, "delegate/"+name); err != nil {
		return protocol.Pong{}, 0, err
	}
	if !p.known(at, name) {
		return protocol.Pong{}, 0, fault.New(fault.NotFound, "no delegate that serves %s has the name or tag %.128q; `belay delegate list` shows those that there are", at, name)
	}
	began := time.Now()
	t, err := p.Queue.Submit(ctx, task.Task{Scope: at, Kind: protocol.TypePing, Subject: name, Params: []byte(`{}`), Selectors: []string{name}})
	if err != nil {
		return protocol.Pong{}, 0, err
	}
	if t, err = p.Queue.Wait(ctx, t.ID); err != nil {
		return protocol.Pong{}, 0, fault.Because(fault.Unavailable, err, "delegate %q has not answered yet; task %s goes on", name, t.ID)
	}
	if t.State != task.Succeeded && t.Failure.Cause == task.CauseNoDelegate {
		return protocol.Pong{}, 0, fault.New(fault.Unavailable, "no delegate can answer for %q: %s", name, cmp.Or(strings.Join(t.Failure.Reasons, "; "), lower(t.Failure.Message)))
	}
	if t.State != task.Succeeded {
		return protocol.Pong{}, 0, fault.New(fault.Unavailable, "%s", strings.Join(append([]string{t.Failure.Message}, t.Failure.Reasons...), "; "))
	}
	var pong protocol.Pong
	if err := json.Unmarshal(t.Result, &pong); err != nil {
		return protocol.Pong{}, 0, fault.Because(fault.Unavailable, err, "delegate %q answered with something else than was asked for", name)
	}
	return pong, time.Since(began), nil
}

// lower is a sentence as it stands inside another.
func lower(sentence string) string {
	first, size := utf8.DecodeRuneInString(sentence)
	return string(unicode.ToLower(first)) + strings.TrimSuffix(sentence[size:], ".")
}
