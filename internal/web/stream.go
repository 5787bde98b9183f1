package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/identity"
)

const (
	proveEvery = 10 * time.Second // that the session still holds
	keepAlive  = 20 * time.Second
)

// teller makes the events of what is new since it was last asked; "" is nothing.
type teller func(ctx context.Context) (string, error)

// watched looks at what an open page shows: the events of what changed while the page came, and who tells what follows.
type watched func(ctx context.Context, v *visit) (missed string, next teller, err error)

// stream answers with events for as long as a page is open: what begin gives, and then what is new, looked for every so
// often. It ends with the browser, with the session and with the manager.
func (s *Server) stream(every time.Duration, begin watched) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		v, err := s.watch(r)
		if errors.Is(err, identity.ErrUnauthenticated) {
			http.Error(w, "the session is over", http.StatusNoContent) // 204 tells the browser not to try again
			return
		}
		var missed string
		var next teller
		if err == nil {
			missed, next, err = begin(ctx, v)
		}
		if err != nil {
			s.refuse(w, r, v, err)
			return
		}
		if !s.streams.join() {
			s.refuse(w, r, v, fault.New(fault.Unavailable, "too many pages are open; this one does not update itself"))
			return
		}
		defer s.streams.leave()
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("X-Accel-Buffering", "no")
		out := http.NewResponseController(w)
		send := func(text string) bool {
			_, err := fmt.Fprint(w, text)
			return err == nil && out.Flush() == nil
		}
		if send("retry: 2000\n\n" + missed) {
			s.tell(ctx, v, every, next, send)
		}
	}
}

// watch is the visit of one who opens a stream. It is no use of the session: browsers open again what was lost, and a page
// that somebody left open would keep the session for as long as the browser runs.
func (s *Server) watch(r *http.Request) (*visit, error) {
	v, err := s.visitOf(r, false)
	if err != nil {
		return nil, err
	}
	v.at = v.widest()
	if err := s.unhurried(v); err != nil {
		return v, err
	}
	return v, v.locate(r.Context(), s.Organizations)
}

// stillSees fails when the session of an open stream is over, or its key has no role any more in what the stream shows.
func (s *Server) stillSees(ctx context.Context, v *visit) error {
	who, _, err := s.caller(ctx, v.r, false)
	if err != nil {
		return err
	}
	if v.who = who; who.RoleAt(v.at) == "" {
		return fault.New(fault.Denied, "this key has no role any more in %s", v.at)
	}
	return nil
}

// tell sends what is new until something ends.
func (s *Server) tell(ctx context.Context, v *visit, every time.Duration, next teller, send func(text string) bool) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	proven, spoken := time.Now(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.streams.end:
			return
		case <-tick.C:
		}
		if time.Since(proven) >= proveEvery {
			if err := s.stillSees(ctx, v); err != nil {
				return
			}
			proven = time.Now()
		}
		text, err := next(ctx)
		if err != nil {
			return
		}
		if text == "" && time.Since(spoken) >= keepAlive {
			text = ": still here\n\n"
		}
		if text != "" {
			if !send(text) {
				return
			}
			spoken = time.Now()
		}
	}
}

// streams are the open streams of events.
type streams struct {
	mu   sync.Mutex
	end  chan struct{}
	over bool
	open int
}

const mostStreams = 500

// join reports whether one more may be opened; leave must be called when it closes.
func (s *streams) join() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.open >= mostStreams {
		return false
	}
	s.open++
	return true
}

func (s *streams) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

func (s *streams) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over && s.end != nil {
		close(s.end)
	}
	s.over = true
}
