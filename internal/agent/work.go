package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/protocol"
)

const (
	reportFor   = 5 * time.Minute // how long a report is tried
	maxResult   = 900 << 10       // bytes; the manager takes 1 MiB with what is around it
	maxReason   = 4 << 10         // bytes of the reason of a failure
	logEvery    = time.Second
	logAtOnce   = 500 // lines in one call
	logBuffered = 5000
)

// poll asks for tasks and starts them, until taking ends. Tasks run under doing.
func (p *process) poll(taking, doing context.Context) {
	defer p.rest(callEvents)
	for failures := 0; p.room(taking); {
		p.round(callEvents)
		p.correct(taking)
		events, err := p.link.Events(taking, p.name())
		if taking.Err() != nil {
			return
		}
		if refusedWith(err, http.StatusNotFound) {
			// A heartbeat makes the manager know the delegate again.
			if known := p.beat(taking); known == nil && failures == 0 {
				failures++
				continue
			}
		}
		if err != nil {
			p.lost(taking, callEvents, err)
			if !sleep(taking, retry(failures, err)) {
				return
			}
			failures++
			continue
		}
		failures = 0
		p.found(taking)
		if p.take(taking, doing, events) == 0 && len(events) > 0 && !sleep(taking, lostRacesPause) {
			return
		}
	}
}

// room waits until another task may be taken; false means that ctx ended first.
func (p *process) room(ctx context.Context) bool {
	for ctx.Err() == nil {
		p.mu.Lock()
		free := p.capacity() - len(p.running)
		p.mu.Unlock()
		if free > 0 {
			return true
		}
		p.rest(callEvents)
		select {
		case <-ctx.Done():
		case <-p.freed:
		}
	}
	return false
}

// correct sends a heartbeat when the last one said that the delegate takes nothing, and that is not so any more: the
// manager would offer it nothing.
func (p *process) correct(ctx context.Context) {
	p.mu.Lock()
	stale := p.said != "" && p.busy == ""
	p.mu.Unlock()
	if stale {
		_ = p.beat(ctx) // it has told of its failure, and the next heartbeat says it too
	}
}

// take starts the tasks on offer that there is room for, waits until each was won or lost, and gives how many were won.
func (p *process) take(taking, doing context.Context, events []protocol.Event) int {
	var asking sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for _, e := range events {
		if taking.Err() != nil || !p.reserve(e.DelegateTaskID) {
			continue
		}
		asking.Add(1)
		p.tasks.Go(func() {
			defer p.release(e.DelegateTaskID)
			t, err := p.link.Acquire(doing, p.name(), e.DelegateTaskID)
			if err == nil {
				mu.Lock()
				won++
				mu.Unlock()
			}
			asking.Done()
			if err != nil {
				p.notWon(doing, e, err)
				return
			}
			p.do(doing, t)
		})
	}
	asking.Wait()
	return won
}

// reserve takes a place for a task, unless it runs already, there is no room, or a threshold is exceeded.
func (p *process) reserve(task string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.running[task]; ok || len(p.running) >= p.capacity() {
		return false
	}
	if p.busy != "" {
		p.metrics.rejected.Inc()
		return false
	}
	p.running[task] = struct{}{}
	return true
}

func (p *process) release(task string) {
	p.mu.Lock()
	delete(p.running, task)
	p.mu.Unlock()
	select {
	case p.freed <- struct{}{}:
	default:
	}
}

func (p *process) notWon(ctx context.Context, e protocol.Event, err error) {
	switch {
	case ctx.Err() != nil:
	case refusedWith(err, http.StatusConflict):
		p.Log.DebugContext(ctx, "another delegate took the task", slog.String("task", e.DelegateTaskID))
	default:
		p.metrics.calls.WithLabelValues(callAcquire).Inc()
		p.Log.WarnContext(ctx, "task not acquired", slog.String("task", e.DelegateTaskID), slog.Any("error", err))
	}
}

// do runs a task that was leased, and reports.
func (p *process) do(ctx context.Context, t protocol.Task) {
	p.metrics.executing.Inc()
	defer p.metrics.executing.Dec()
	began := time.Now()
	log := p.startLog(ctx, t.ID)
	defer log.close() // after the report, which is what others wait for
	result, err := p.run(ctx, t, log)
	took := time.Since(began)
	if ctx.Err() != nil {
		// Told to stop now: without a report the manager offers a task that may be repeated to another delegate.
		p.Log.WarnContext(ctx, "task given up", slog.String("task", t.ID), slog.Any("error", context.Cause(ctx)))
		return
	}
	if _, known := p.Runners[t.Type]; known {
		p.metrics.took.WithLabelValues(t.Type).Set(took.Seconds())
		p.metrics.seconds.WithLabelValues(t.Type).Observe(took.Seconds())
	}
	r := protocol.Result{ID: t.ID, Type: t.Type, Code: protocol.CodeOK, Data: result, Fence: t.Fence}
	if err == nil && len(result) > maxResult {
		err = fmt.Errorf("the result has %d bytes, and the manager takes %d", len(result), maxResult)
	}
	switch {
	case err == nil:
		p.metrics.completed.Inc()
	case errors.Is(err, errUnsupported):
		r.Code, r.Data, r.Error = protocol.CodeRetry, nil, err.Error()
	default:
		p.metrics.failed.Inc()
		r.Code, r.Data, r.Error = protocol.CodeFailed, nil, sentence(err)
	}
	p.Log.InfoContext(ctx, "task done", slog.String("task", t.ID), slog.String("type", t.Type), slog.String("code", r.Code), slog.Duration("took", took))
	p.report(ctx, r)
}

var errUnsupported = errors.New("this delegate does not do tasks of this type")

// run does the task within its time. A runner that panics fails its task and nothing else.
func (p *process) run(ctx context.Context, t protocol.Task, log LineWriter) (result []byte, err error) {
	runner, ok := p.Runners[t.Type]
	if !ok {
		return nil, fmt.Errorf("%w: %s", errUnsupported, t.Type)
	}
	limit := time.Duration(t.Timeout) * time.Millisecond
	if t.Timeout > 0 && limit/time.Millisecond == time.Duration(t.Timeout) {
		var cancel context.CancelFunc
		tooLong := fmt.Errorf("the task did not end within its time-out, %s", limit.Round(time.Millisecond))
		ctx, cancel = context.WithTimeoutCause(ctx, limit, tooLong)
		defer cancel()
		defer func() {
			if err != nil && errors.Is(context.Cause(ctx), tooLong) {
				p.metrics.timeouts.Inc()
				err = tooLong
			}
		}()
	}
	defer func() {
		if panicked := recover(); panicked != nil {
			// The value could quote the payload; the stack names the place.
			p.Log.ErrorContext(ctx, "runner panicked", slog.String("task", t.ID), slog.String("type", t.Type),
				slog.String("panic", fmt.Sprintf("%T", panicked)), slog.String("stack", string(debug.Stack())))
			result, err = nil, errors.New("the delegate's code for this type of task broke down; the delegate's log has the place")
		}
	}()
	result, err = runner.Run(ctx, t.Data, log)
	if err == nil && len(result) > 0 && !json.Valid(result) {
		err = errors.New("the delegate's code for this type of task gave a result that is not JSON")
	}
	return result, err
}

// sentence is what may be shown of a runner's error.
func sentence(err error) string {
	text := err.Error()
	if fault.KindOf(err) != "" {
		text = fault.Sentence(err)
	}
	return text[:min(len(text), maxReason)]
}

// report gives the result to the manager, however often it takes. The lease is kept meanwhile by the heartbeat, since the
// task still counts as running. Being told to stop does not end it: ctx goes on through the drain.
func (p *process) report(ctx context.Context, r protocol.Result) {
	ctx, cancel := context.WithTimeoutCause(ctx, reportFor, fmt.Errorf("it was tried for %s", reportFor))
	defer cancel()
	for failures := 0; ; failures++ {
		err := p.link.Report(ctx, p.name(), r)
		refusal, refused := errors.AsType[*Refusal](err)
		switch {
		case err == nil:
			return
		case refusedWith(err, http.StatusNotFound):
			_ = p.beat(ctx) // which makes the manager know the delegate again
		case refused && refusal.Status >= 400 && refusal.Status < 500 && refusal.Status != http.StatusUnauthorized &&
			refusal.Status != http.StatusRequestTimeout && refusal.Status != http.StatusTooManyRequests:
			p.Log.WarnContext(ctx, "the manager does not take the result", slog.String("task", r.ID), slog.Any("error", err))
			return
		}
		p.metrics.calls.WithLabelValues(callReport).Inc()
		if !sleep(ctx, retry(failures, err)) {
			p.Log.ErrorContext(ctx, "result of task lost", slog.String("task", r.ID), slog.Any("error", err), slog.Any("cause", context.Cause(ctx)))
			return
		}
	}
}

// drain says that nothing new is taken and waits for what runs. When its time is over, or on Abort, what still runs is
// told to stop.
func (p *process) drain(ctx context.Context, abort context.CancelCauseFunc) {
	p.mu.Lock()
	p.draining = true
	left := len(p.running)
	p.mu.Unlock()
	done := make(chan struct{})
	go func() { // ends with the last task
		defer close(done)
		p.tasks.Wait()
	}()
	if left > 0 {
		p.Log.InfoContext(ctx, "draining: nothing new is taken, running tasks go on", slog.Int("tasks", left))
		p.beatNow()
	}
	grace := p.Config.Drain
	if grace == 0 {
		grace = DefaultDrain
	}
	timer := time.NewTimer(max(grace, 0))
	defer timer.Stop()
	select {
	case <-done:
		return
	case <-timer.C:
	case <-p.Abort:
	case <-ctx.Done():
	}
	abort(errAborted)
	p.Log.WarnContext(ctx, "running tasks are ended now")
	timer.Reset(abortPatience)
	select {
	case <-done:
	case <-timer.C:
		p.Log.ErrorContext(ctx, "tasks do not end; the process does")
	}
}

// watchLoad samples CPU and memory until ctx ends.
func (p *process) watchLoad(ctx context.Context) error {
	m := &meter{root: p.root(), now: p.now}
	if cpu, memory := m.measurable(); !cpu && p.Config.CPUThreshold > 0 || !memory && p.Config.MemoryThreshold > 0 {
		p.Log.WarnContext(ctx, "CPU or memory cannot be measured on this machine; its threshold has no effect",
			slog.Bool("cpu", cpu), slog.Bool("memory", memory))
	}
	m.sample()
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		cpu, memory := m.sample()
		p.loaded(ctx, cpu, memory)
	}
}

func machine() fs.FS { return os.DirFS("/") }

// root is where CPU and memory are read from.
func (a *Agent) root() fs.FS {
	if a.Root != nil {
		return a.Root
	}
	return machine()
}

// loaded notes what was measured. The manager is told at once when it changes what the delegate takes.
func (p *process) loaded(ctx context.Context, cpu, memory float64) {
	busy := over(cpu, p.Config.CPUThreshold, memory, p.Config.MemoryThreshold)
	p.mu.Lock()
	was := p.busy
	p.busy = busy
	registered := p.id != ""
	p.mu.Unlock()
	p.metrics.cpu.Set(cpu)
	p.metrics.memory.Set(memory)
	p.metrics.above.Set(0)
	if busy != "" {
		p.metrics.above.Set(1)
	}
	if (was == "") == (busy == "") {
		return
	}
	if busy != "" {
		p.Log.WarnContext(ctx, "no new task is taken", slog.String("reason", busy))
	} else {
		p.Log.InfoContext(ctx, "new tasks are taken again")
	}
	if registered {
		p.beatNow()
	}
}
