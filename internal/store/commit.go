package store

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/belay-dev/belay/internal/fault"
)

const (
	// mostInGroup bounds how much is lost when a commit fails, and how long the first of a group waits for the last.
	mostInGroup = 256
	// changeLimit bounds one change from its beginning, whatever its caller's context says.
	changeLimit = 30 * time.Second
)

// The life of a change: its caller gives it up, or the committer begins it, never both.
const (
	waiting int32 = iota
	begun
	givenUp
)

// change is one caller's work on its way to the committer and back.
type change struct {
	ctx      context.Context //nolint:containedctx // the change is the call, carried to another goroutine
	do       func(ctx context.Context, tx *session) error
	state    atomic.Int32
	err      error
	panicked any
	done     chan struct{} // closed when err holds and, unless it is an error, the change is durable
}

// committer is SQLite's only writer.
type committer struct {
	conn    *sql.Conn
	tx      *session
	changes chan *change
	stop    chan struct{}
	stopped chan struct{}
}

func newCommitter(conn *sql.Conn) *committer {
	c := &committer{
		conn: conn, tx: &session{db: conn, prepared: newStatements(conn.PrepareContext)},
		changes: make(chan *change, mostInGroup), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go c.run()
	return c
}

// write hands a change over and waits for its commit.
func (c *committer) write(ctx context.Context, do func(ctx context.Context, tx *session) error) error {
	one := &change{ctx: ctx, do: do, done: make(chan struct{})}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.stop:
		return errClosed()
	case c.changes <- one:
	}
	select {
	case <-one.done:
	case <-c.stopped:
		select {
		case <-one.done:
		default:
			return errClosed() // it came after the last group
		}
	case <-ctx.Done():
		if one.state.CompareAndSwap(waiting, givenUp) {
			return context.Cause(ctx)
		}
		<-one.done // begun, so only its outcome is an answer
	}
	if one.panicked != nil {
		panic(one.panicked)
	}
	return one.err
}

// close commits what waits and ends the goroutine.
func (c *committer) close() error {
	close(c.stop)
	<-c.stopped
	return errors.Join(c.tx.prepared.close(), c.conn.Close())
}

func (c *committer) run() {
	defer close(c.stopped)
	group := make([]*change, 0, mostInGroup)
	for {
		select {
		case first := <-c.changes:
			group = append(group[:0], first)
		case <-c.stop:
			for len(c.changes) > 0 {
				c.commit(c.collect(group[:0]))
			}
			return
		}
		// Those who were answered a moment ago are about to come back: let them, so that they share this commit.
		runtime.Gosched()
		c.commit(c.collect(group))
	}
}

// collect adds the changes that wait.
func (c *committer) collect(group []*change) []*change {
	for len(group) < mostInGroup {
		select {
		case one := <-c.changes:
			group = append(group, one)
		default:
			return group
		}
	}
	return group
}

// commit runs a group in one transaction and answers it.
func (c *committer) commit(group []*change) {
	work := group[:0]
	for _, one := range group {
		if one.begin() {
			work = append(work, one)
		}
	}
	if len(work) == 0 {
		return
	}
	if err := c.attempt(work); err != nil {
		for _, one := range work {
			if one.err == nil {
				one.err = err
			}
		}
	}
	for _, one := range work {
		close(one.done)
	}
}

func (one *change) begin() bool {
	if !one.state.CompareAndSwap(waiting, begun) {
		return false
	}
	if one.ctx.Err() == nil {
		return true
	}
	one.err = context.Cause(one.ctx)
	close(one.done)
	return false
}

// attempt fails when none of the group was kept.
func (c *committer) attempt(group []*change) (err error) {
	ctx := context.Background() // nobody's context may end a transaction that many share; busy_timeout bounds the waits
	if _, err := c.tx.exec(ctx, `BEGIN IMMEDIATE`); err != nil {
		return err
	}
	for _, one := range group {
		if err := c.isolate(ctx, one); err != nil {
			_, _ = c.tx.exec(ctx, `ROLLBACK`) // fails when SQLite has done it by itself
			return unavailable(err)
		}
	}
	if _, err := c.tx.exec(ctx, `COMMIT`); err != nil {
		_, _ = c.tx.exec(ctx, `ROLLBACK`) // fails when the commit ended the transaction by failing
		return unavailable(err)
	}
	return nil
}

// isolate runs one change in a savepoint. It fails when the whole transaction is lost: SQLite ends it by itself when the
// disk is full or a statement was interrupted.
func (c *committer) isolate(shared context.Context, one *change) error {
	if _, err := c.tx.exec(shared, `SAVEPOINT one`); err != nil {
		return err
	}
	//nolint:contextcheck // the change has its caller's context in it
	if one.err = c.do(one); one.err != nil || one.panicked != nil {
		if _, err := c.tx.exec(shared, `ROLLBACK TO one`); err != nil {
			return errors.Join(one.err, err)
		}
	}
	_, err := c.tx.exec(shared, `RELEASE one`)
	return err
}

func (c *committer) do(one *change) (err error) {
	// The caller may hang up, but its change shares a transaction with others: it goes on under its own limit.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(one.ctx), changeLimit)
	defer cancel()
	defer func() { one.panicked = recover() }() // it belongs to the caller's goroutine
	return one.do(ctx, c.tx)
}

func errClosed() error {
	return fault.New(fault.Unavailable, "the database is closed: the manager is shutting down")
}
