package link

import (
	"hash/maphash"
	"net/http"
	"sync"
	"time"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/task"
)

const (
	// repeatAfter is the least time between two answers to a delegate that offer the same: one that does not take what
	// it is offered, and asks again at once, must not spin.
	repeatAfter = 250 * time.Millisecond
	// renewEvery is how often all leases of a delegate that does not name its tasks are renewed: thrice in a lease.
	renewEvery = task.LeaseFor / 3
	// forgetAfter is when a delegate that was not heard is dropped from visits.
	forgetAfter = 10 * time.Minute
)

// events holds a delegate's poll until there is something that it may take.
func (s *Server) events(r *http.Request, who caller) (any, error) {
	ctx, id := r.Context(), delegate.ID(r.PathValue("delegate"))
	if _, err := s.own(who, id); err != nil {
		return nil, err
	}
	d, err := s.Delegates.Seen(who.account, id, nil)
	if err != nil {
		return nil, err
	}
	rings, stop := s.Bell.Listen(task.DelegateTopic(id)) // before the look: what comes after it rings
	defer stop()
	until := time.Now().Add(s.Held)
	timer := time.NewTimer(s.Held)
	defer timer.Stop()
	s.metrics.parked.Inc()
	defer s.metrics.parked.Dec()
	for {
		offers, wait, err := s.look(r, who, d, time.Until(until))
		if err != nil || wait <= 0 {
			return offers, err
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return nil, errHungUp
		case <-who.ended:
			return nil, s.tooLate(who)
		case <-s.stopped:
			return nil, errStopped
		case <-rings:
		case <-timer.C:
			if time.Now().Before(until) {
				break // only a pause is over
			}
			if who.over() {
				return nil, s.tooLate(who)
			}
			return protocol.Events{DelegateTaskEvents: []protocol.Event{}}, nil // the next poll begins with a look of its own
		}
		if d, err = s.own(who, id); err != nil {
			return nil, err
		}
	}
}

// look gives what a delegate may take, or how long to wait for it; a wait of 0 means answer.
func (s *Server) look(r *http.Request, who caller, d delegate.Delegate, left time.Duration) (protocol.Events, time.Duration, error) {
	events := protocol.Events{DelegateTaskEvents: []protocol.Event{}}
	if who.over() {
		return events, 0, s.tooLate(who)
	}
	offers, err := s.Queue.Offers(r.Context(), d)
	if err != nil {
		if r.Context().Err() != nil {
			return events, 0, errHungUp
		}
		return events, 0, notNow(err, "tasks cannot be looked up now")
	}
	if len(offers) == 0 {
		return events, max(left, 0), nil
	}
	if pause := s.visits.repeated(d.ID, offers); pause > 0 && left > 0 {
		return events, min(pause, left), nil
	}
	for _, t := range offers {
		events.DelegateTaskEvents = append(events.DelegateTaskEvents, protocol.Event{
			AccountID: who.account, DelegateTaskID: string(t.ID), TaskType: t.Kind,
		})
	}
	return events, 0, nil
}

// visits is what the server remembers of each delegate between its calls. Losing it costs a write or an answer, no more.
type visits struct {
	mu     sync.Mutex
	of     map[delegate.ID]visit
	pruned time.Time
	seed   maphash.Seed
}

type visit struct {
	offered   uint64 // hash of the ids that were offered last
	offeredAt time.Time
	renewedAt time.Time
}

func (v *visits) get(id delegate.ID, now time.Time) visit {
	if v.of == nil {
		v.of, v.seed, v.pruned = map[delegate.ID]visit{}, maphash.MakeSeed(), now
	}
	if now.Sub(v.pruned) > forgetAfter {
		v.pruned = now
		for one, last := range v.of {
			if now.Sub(last.offeredAt) > forgetAfter && now.Sub(last.renewedAt) > forgetAfter {
				delete(v.of, one)
			}
		}
	}
	return v.of[id]
}

// repeated says how long to wait before offers are made, because the same were made just now; 0 notes them as made.
func (v *visits) repeated(id delegate.ID, offers []task.Task) time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	last := v.get(id, now)
	var hash maphash.Hash
	hash.SetSeed(v.seed)
	for _, t := range offers {
		_, _ = hash.WriteString(string(t.ID)) // never fails
		_ = hash.WriteByte(0)
	}
	sum := hash.Sum64()
	if pause := repeatAfter - now.Sub(last.offeredAt); sum == last.offered && pause > 0 {
		return pause
	}
	last.offered, last.offeredAt = sum, now
	v.of[id] = last
	return 0
}

// renewDue reports whether it is time to renew all leases of a delegate, and notes that it is done.
func (v *visits) renewDue(id delegate.ID) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	last := v.get(id, now)
	if now.Sub(last.renewedAt) < renewEvery {
		return false
	}
	last.renewedAt = now
	v.of[id] = last
	return true
}

func (v *visits) forget(id delegate.ID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.of, id)
}
