package manager

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/belay-dev/belay/internal/agent"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/task"
)

// platform does the tasks of connectors that are executed by the platform: in the manager, with the same code that a
// delegate runs.
type platform struct {
	Queue    *task.Queue
	Accounts interface {
		Accounts(ctx context.Context) ([]org.Account, error)
	}
	Bell interface {
		Listen(topic string) (<-chan struct{}, func())
	}
	Runners map[string]agent.Runner
	Log     *slog.Logger
}

const (
	platformAtOnce = 32
	platformReread = 20 * time.Second // a lost ring costs this much, never a task
	platformGrace  = 5 * time.Second
)

// Run takes tasks until ctx ends, and then waits for those it has.
func (p *platform) Run(ctx context.Context) error {
	rings, stop := p.Bell.Listen(task.DelegateTopic(delegate.PlatformID))
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, platformAtOnce)
	reread := time.NewTicker(platformReread)
	defer reread.Stop()
	for {
		if err := p.take(ctx, slots, &running); err != nil && ctx.Err() == nil {
			p.Log.ErrorContext(ctx, "platform tasks not taken", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-rings:
		case <-reread.C:
		}
	}
}

// take acquires what is on offer, each task in a goroutine of its own, and waits for a slot when all are busy.
func (p *platform) take(ctx context.Context, slots chan struct{}, running *sync.WaitGroup) error {
	accounts, err := p.Accounts.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		offers, err := p.Queue.PlatformOffers(ctx, a.ID)
		if err != nil {
			return err
		}
		for _, t := range offers {
			select {
			case <-ctx.Done():
				return nil
			case slots <- struct{}{}:
			}
			running.Go(func() {
				defer func() { <-slots }()
				p.do(ctx, a.ID, t.ID)
			})
		}
	}
	return nil
}

func (p *platform) do(ctx context.Context, account string, id task.ID) {
	// A task that was taken is finished and reported although the manager stops, if it can be in a few seconds; else its
	// lease ends and it is offered again.
	stopping := ctx
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(stopping, func() { time.AfterFunc(platformGrace, cancel) })()
	lease, payload, err := p.Queue.Acquire(ctx, account, id, delegate.PlatformID)
	if err != nil {
		return // another manager was quicker, or it was withdrawn and says so itself
	}
	ctx, done := context.WithDeadline(ctx, lease.Task.Deadline)
	defer done()
	report := task.Report{Fence: lease.Fence}
	if r, ok := p.Runners[lease.Task.Kind]; !ok {
		report.Message = "the manager does not do tasks of type " + lease.Task.Kind
	} else if result, err := r.Run(ctx, payload, said{p.Log, id}); err != nil {
		report.Message = err.Error()
	} else {
		report.OK, report.Result = true, result
	}
	if err := p.Queue.Finish(context.WithoutCancel(ctx), account, id, delegate.PlatformID, report); err != nil {
		p.Log.ErrorContext(ctx, "platform task not reported", slog.String("task", string(id)), slog.Any("error", err))
	}
}

// said writes what a task of the platform says into the manager's own log.
type said struct {
	log *slog.Logger
	id  task.ID
}

// Line takes one line.
func (s said) Line(level, message string) {
	s.log.Debug("platform task says", slog.String("task", string(s.id)), slog.String("line_level", level), slog.String("line", message))
}
