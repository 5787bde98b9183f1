// Package agent is the delegate process: it registers with a manager, tells it every ten seconds that it lives, polls for
// tasks, does them and reports.
//
//	         ┌────────────── the manager is away: wait, with full jitter, up to 30 s ─────────────┐
//	         ▼                                                                                    │
//	start → INIT_SCRIPT → register → poll ─ events ─→ acquire → run → report                      │
//	         │ fails                 ▲ │ └───────────────────────────────────────────────────────┘
//	         ▼                       └─┘ nothing on offer
//	       error                       │ told to stop
//	                                   ▼
//	                                drain: takes nothing new, finishes what runs, says good-bye
//
// A token that was revoked does not end the process: it goes on asking, slowly, since a crash loop helps nobody and the
// next installation brings another token. Health says what is wrong.
//
// Goroutines of Run, all waited for: health and metrics; the sampler of CPU and memory where a threshold is set;
// heartbeats; the poll; and for each task one that acquires, runs and reports it, with one more while it writes a log.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/belay-dev/belay/internal/backoff"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/protocol"
)

const (
	retryBase      = 250 * time.Millisecond
	revokedUpTo    = 60 * time.Second // how slowly a refused token is tried again
	sampleEvery    = 5 * time.Second
	abortPatience  = 10 * time.Second      // for runners that were told to stop
	lostRacesPause = 10 * time.Millisecond // the manager slows down who is offered the same again and again
)

// Agent is a delegate. Fill the fields, then call Run once.
type Agent struct {
	Config Config
	// Runners do the tasks, by type: protocol.TypePing and so on. Their types are what the delegate says it supports.
	Runners map[string]Runner
	Log     *slog.Logger
	// Metrics is where metrics are registered and shown from; nil means a registry of its own.
	Metrics *prometheus.Registry
	// Abort, when it is closed, ends a drain at once: the second signal to stop. nil: none comes.
	Abort <-chan struct{}
	// Listening is told where health and metrics are served; nil: nobody asks.
	Listening func(addr string)
	// Transport takes the place of the network to the manager; nil means the network.
	Transport http.RoundTripper
	// Root is where CPU and memory are read from; nil means the machine's root folder.
	Root fs.FS
}

var (
	errDone    = errors.New("the delegate has stopped")
	errAborted = errors.New("the delegate was stopped before the task was done")
)

// process is a delegate that runs.
type process struct {
	*Agent
	link     *Link
	registry *prometheus.Registry
	metrics  *metrics
	now      func() time.Time
	ip       string
	kick     chan struct{} // a heartbeat is wanted now
	freed    chan struct{} // a task ended
	tasks    sync.WaitGroup
	beating  sync.Mutex // one heartbeat at a time
	meter    *meter     // for what heartbeats say; they come one at a time

	mu       sync.Mutex
	id       string
	running  map[string]struct{}
	every    time.Duration // between heartbeats
	busy     string        // why nothing new is taken, by the thresholds
	cpu, mem *int          // percent, as measured for the last heartbeat; nil where it cannot be
	said     string        // what the last heartbeat said of that
	draining bool
	failure  string // of the last call; empty when it succeeded
	contact  time.Time
	rounds   map[string]time.Time // when each loop came round
}

// Run is the delegate until ctx ends; then it drains, and returns nil. It fails when it cannot start: INIT_SCRIPT or the
// precheck failed, or the port for health is taken.
func (a *Agent) Run(ctx context.Context) error {
	link, err := newLink(a.Config, a.Transport, time.Now)
	if err != nil {
		return err
	}
	registry := a.Metrics
	if registry == nil {
		registry = prometheus.NewRegistry()
	}
	p := &process{
		Agent: a, link: link, registry: registry, now: time.Now, ip: localIP(),
		metrics: newMetrics(registry, a.Config.CPUThreshold > 0 || a.Config.MemoryThreshold > 0),
		kick:    make(chan struct{}, 1), freed: make(chan struct{}, 1), meter: &meter{root: a.root(), now: time.Now},
		running: map[string]struct{}{}, every: delegate.HeartbeatEvery, rounds: map[string]time.Time{},
	}
	for _, sentence := range a.Config.Warnings {
		a.Log.WarnContext(ctx, "setting ignored", slog.String("warning", sentence))
	}
	listener, err := a.listen(ctx)
	if err != nil {
		return err
	}
	// What was begun is finished after ctx ended: life ends when the drain is over, or when a part of the process fails.
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(errDone)
	group, life := errgroup.WithContext(life)
	if listener != nil {
		group.Go(func() error { return p.serve(life, listener) })
	}
	if a.Config.CPUThreshold > 0 || a.Config.MemoryThreshold > 0 {
		group.Go(func() error { return p.watchLoad(life) })
	}
	group.Go(func() error {
		defer end(errDone)
		taking, stop := context.WithCancelCause(ctx)
		defer stop(errDone)
		defer context.AfterFunc(life, func() { stop(context.Cause(life)) })()
		return p.work(taking, life)
	})
	return group.Wait()
}

// work is the delegate from INIT_SCRIPT to its good-bye. It takes tasks until taking ends.
func (p *process) work(taking, life context.Context) error {
	if err := p.prepare(taking); err != nil {
		return stopped(taking, err)
	}
	if p.Config.Precheck {
		if err := p.link.Precheck(taking); err != nil {
			return stopped(taking, fmt.Errorf("PRECHECK_CONN is set, and the way to the manager does not work: %w", err))
		}
	}
	if !p.join(taking) {
		return nil
	}
	doing, abort := context.WithCancelCause(life)
	defer abort(errAborted)
	beats, silence := context.WithCancelCause(life)
	var heart sync.WaitGroup
	heart.Go(func() { p.heartbeats(beats) })
	p.poll(taking, doing)
	p.drain(life, abort)
	silence(errDone)
	heart.Wait()
	bye, cancel := context.WithTimeout(life, callTimeout)
	defer cancel()
	if err := p.link.Unregister(bye, p.name()); err != nil {
		p.Log.WarnContext(bye, "the manager was not told of the stop; it will see the delegate fall silent", slog.Any("error", err))
	}
	p.Log.InfoContext(bye, "delegate stopped")
	return nil
}

// stopped drops an error that only says that the delegate was told to stop.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// join registers, however long it takes; false means that ctx ended first.
func (p *process) join(ctx context.Context) bool {
	defer p.rest(callRegister)
	for failures := 0; ; failures++ {
		p.round(callRegister)
		got, err := p.link.Register(ctx, p.registration())
		if err == nil {
			p.joined(ctx, got)
			return true
		}
		p.lost(ctx, callRegister, err)
		if !sleep(ctx, retry(failures, err)) {
			return false
		}
	}
}

func (p *process) joined(ctx context.Context, got protocol.Registered) {
	p.mu.Lock()
	p.id = got.Resource.DelegateID
	p.every = heartbeatEvery(got)
	p.mu.Unlock()
	p.found(ctx)
	p.Log.InfoContext(ctx, "registered with the manager", slog.String("delegate", got.Resource.DelegateID), slog.String("manager", p.Config.Manager.Redacted()))
	if newest, err := delegate.ParseVersion(got.Resource.Version); err == nil && delegate.Current().Before(newest) {
		p.Log.WarnContext(ctx, "this delegate is older than its manager; update it",
			slog.String("version", delegate.Current().String()), slog.String("newest", newest.String()))
	}
}

// heartbeatEvery is what the manager wants, within reason.
func heartbeatEvery(got protocol.Registered) time.Duration {
	const least, most = time.Second, delegate.SilentAfter / 3
	if got.Resource.HeartbeatEvery <= 0 {
		return delegate.HeartbeatEvery
	}
	return min(max(time.Duration(min(got.Resource.HeartbeatEvery, most.Milliseconds()))*time.Millisecond, least), most)
}

// heartbeats tells the manager that the delegate lives, until ctx ends.
func (p *process) heartbeats(ctx context.Context) {
	defer p.rest(callHeartbeat)
	timer := time.NewTimer(p.interval())
	defer timer.Stop()
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-p.kick:
		case <-timer.C:
		}
		p.round(callHeartbeat)
		err := p.beat(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			failures = 0
			timer.Reset(p.interval())
		default:
			// A heartbeat that failed is due again at its usual time, unless the manager wants more rest.
			timer.Reset(max(p.interval(), retry(failures, err)))
			failures++
		}
	}
}

// beat sends one heartbeat. A manager that does not know the delegate any more adopts it by its heartbeat; one that does
// not is registered with anew.
func (p *process) beat(ctx context.Context) error {
	p.beating.Lock()
	defer p.beating.Unlock()
	p.measure()
	said := p.registration()
	got, err := p.link.Heartbeat(ctx, said)
	if refusedWith(err, http.StatusNotFound) {
		p.Log.WarnContext(ctx, "the manager does not know this delegate any more; it registers again")
		if got, err = p.link.Register(ctx, said); err == nil {
			p.joined(ctx, got)
		}
	}
	if err != nil {
		p.lost(ctx, callHeartbeat, err)
		return err
	}
	p.mu.Lock()
	p.said, p.every = said.Busy, heartbeatEvery(got)
	p.mu.Unlock()
	p.found(ctx)
	return nil
}

// registration is what the delegate says of itself now. The token stays out of it: the proof of identity is enough.
func (p *process) registration() protocol.Registration {
	c := p.Config
	kinds := make([]string, 0, len(p.Runners))
	for kind := range p.Runners {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	host := c.HostName
	if host == "" {
		host, _ = os.Hostname() // empty is fine
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r := protocol.Registration{
		AccountID: c.Account, DelegateName: c.Name, LastHeartbeat: p.now().UnixMilli(), DelegateID: p.id, DelegateType: c.Type,
		NG: true, PollingModeEnabled: true, HostName: host, Connected: true, KeepAlivePacket: true, SequenceNum: 1, IP: p.ip,
		SupportedTaskTypes: kinds, Tags: c.Tags, HeartbeatAsObject: true, Version: delegate.Current().String(), Description: c.Description,
		Idle: len(p.running) == 0, Draining: p.draining, Busy: p.busy,
	}
	for id := range p.running {
		r.RunningTasks = append(r.RunningTasks, id)
	}
	if r.Busy == "" && len(p.running) >= p.capacity() {
		r.Busy = fmt.Sprintf("at its limit of %d tasks", p.capacity())
	}
	r.Load = &protocol.Load{CPU: p.cpu, Memory: p.mem, Tasks: len(p.running), Limit: p.capacity()}
	return r
}

// measure notes the use of CPU, since the heartbeat before, and of memory.
func (p *process) measure() {
	percent := func(of float64) *int {
		if math.IsNaN(of) {
			return nil
		}
		return new(int(math.Round(of)))
	}
	cpu, memory := p.meter.sample()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cpu, p.mem = percent(cpu), percent(memory)
}

func (p *process) capacity() int {
	if p.Config.Capacity == 0 {
		return DefaultCapacity
	}
	return p.Config.Capacity
}

func (p *process) name() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.id
}

func (p *process) interval() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.every
}

// beatNow asks for a heartbeat without waiting for it.
func (p *process) beatNow() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// found notes that the manager answered.
func (p *process) found(ctx context.Context) {
	p.mu.Lock()
	was := p.failure
	p.failure, p.contact = "", p.now()
	p.mu.Unlock()
	p.metrics.connected.Set(1)
	if was != "" {
		p.Log.InfoContext(ctx, "the manager answers again")
	}
}

// lost notes that a call failed. The log has it once, not at each try.
func (p *process) lost(ctx context.Context, call string, err error) {
	if ctx.Err() != nil {
		return
	}
	p.metrics.calls.WithLabelValues(call).Inc()
	p.metrics.connected.Set(0)
	text := err.Error()
	p.mu.Lock()
	was := p.failure
	p.failure = text
	p.mu.Unlock()
	if refusedWith(err, http.StatusUnauthorized) {
		if was != text {
			p.Log.ErrorContext(ctx, "the manager refuses the delegate's token; install the delegate again with a token that is active",
				slog.String("call", call), slog.Any("error", err))
		}
		return
	}
	if was == "" {
		p.Log.WarnContext(ctx, "no way to the manager; trying again", slog.String("call", call), slog.Any("error", err))
	}
}

// retry is how long to wait after a failure: what the manager tells, else full jitter over an exponential time.
func retry(failures int, err error) time.Duration {
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		switch {
		case refusal.RetryAfter > 0:
			return refusal.RetryAfter
		case refusal.Status == http.StatusUnauthorized:
			// From the first try: nothing heals by itself within a moment.
			return time.Second + backoff.FullJitter{Base: 4 * time.Second, Max: revokedUpTo - time.Second}.Delay(failures, false, rand.Float64)
		}
	}
	return backoff.FullJitter{Base: retryBase, Max: delegate.RetryUpTo}.Delay(failures, false, rand.Float64)
}

// sleep waits; false means that ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// localIP is an address of this machine, for people who look for it; empty when there is none.
func localIP() string {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	for _, one := range all {
		if n, ok := one.(*net.IPNet); ok && n.IP.IsGlobalUnicast() && n.IP.To4() != nil {
			return n.IP.String()
		}
	}
	return ""
}
