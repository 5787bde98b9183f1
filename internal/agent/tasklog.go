package agent

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/belay-dev/belay/internal/protocol"
)

// taskLog sends the lines of a task's log to the manager, about once a second. A task that writes none costs nothing.
// Lines that cannot be sent, and more than fit the buffer, are dropped with a line that says how many: a log must not
// hold a task up.
type taskLog struct {
	send func([]protocol.LogLine) error
	now  func() time.Time

	mu      sync.Mutex
	lines   []protocol.LogLine
	dropped int
	closed  bool

	start  sync.Once
	ended  chan struct{} // closed by close
	sender sync.WaitGroup
}

func (p *process) startLog(ctx context.Context, task string) *taskLog {
	return &taskLog{
		now: p.now, ended: make(chan struct{}),
		send: func(lines []protocol.LogLine) error {
			err := p.link.Log(ctx, p.name(), task, lines)
			if err != nil {
				p.Log.DebugContext(ctx, "log of a task not sent", slog.String("task", task), slog.Any("error", err))
			}
			return err
		},
	}
}

// Line adds a line.
func (l *taskLog) Line(level, message string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.lines) >= logBuffered {
		l.dropped++
		return
	}
	l.lines = append(l.lines, protocol.LogLine{Time: l.now().UnixMilli(), Level: level, Message: message[:min(len(message), maxReason)]})
	l.start.Do(func() { l.sender.Go(l.run) })
}

func (l *taskLog) run() {
	tick := time.NewTicker(logEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.ended:
			l.flush()
			return
		case <-tick.C:
			l.flush()
		}
	}
}

func (l *taskLog) flush() {
	for {
		l.mu.Lock()
		batch := slices.Clone(l.lines[:min(len(l.lines), logAtOnce)])
		l.lines = l.lines[len(batch):]
		if len(l.lines) == 0 && l.dropped > 0 {
			batch = append(batch, protocol.LogLine{Time: l.now().UnixMilli(), Level: LineWarn, Message: fmt.Sprintf("%d lines were left out", l.dropped)})
			l.dropped = 0
		}
		l.mu.Unlock()
		if len(batch) == 0 || l.send(batch) != nil {
			return
		}
	}
}

// close sends what is left and waits for it. Lines that come later are dropped.
func (l *taskLog) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	close(l.ended)
	l.sender.Wait()
}
