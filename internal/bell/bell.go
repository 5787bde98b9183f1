// Package bell wakes those who wait: a delegate's parked poll, a caller who waits for a task.
//
// The bell only wakes. It carries no message, and a ring may be lost: what happened stands in the database, so whoever is
// woken reads it there, and whoever waits looks again now and then even when no bell rings. A ring that nobody listens to
// is forgotten, so a listener first listens and then reads, in this order.
package bell

import (
	"hash/maphash"
	"sync"
)

// Local rings within one process. Its zero value works. It is a map of topics in shards, so that ten thousand parked polls
// do not wait for one lock; a listener costs a channel and a map entry, some 250 bytes.
type Local struct {
	once   sync.Once
	seed   maphash.Seed
	shards [shards]shard
}

const shards = 32

type shard struct {
	mu sync.Mutex
	// Nearly every topic has one listener, so a list that is searched is smaller and faster than a set.
	listeners map[string][]chan struct{}
}

func (l *Local) shard(topic string) *shard {
	l.once.Do(func() { l.seed = maphash.MakeSeed() })
	return &l.shards[maphash.String(l.seed, topic)%shards]
}

// Ring wakes everyone who listens to the topic. It never waits: who was rung for and did not look yet is not rung for twice.
func (l *Local) Ring(topic string) {
	s := l.shard(topic)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rings := range s.listeners[topic] {
		select {
		case rings <- struct{}{}:
		default:
		}
	}
}

// Listen gives a channel that gets something once or more after each ring, until stop is called. The channel is never
// closed. stop may be called more than once.
func (l *Local) Listen(topic string) (rings <-chan struct{}, stop func()) {
	mine := make(chan struct{}, 1)
	s := l.shard(topic)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listeners == nil {
		s.listeners = map[string][]chan struct{}{}
	}
	s.listeners[topic] = append(s.listeners[topic], mine)
	return mine, func() { s.forget(topic, mine) }
}

func (s *shard) forget(topic string, mine chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.listeners[topic]
	for i, other := range list {
		if other != mine {
			continue
		}
		list[i] = list[len(list)-1]
		list[len(list)-1] = nil
		list = list[:len(list)-1]
		break
	}
	if len(list) == 0 {
		delete(s.listeners, topic)
		if len(s.listeners) == 0 {
			s.listeners = nil // a map keeps the room of its best days
		}
		return
	}
	s.listeners[topic] = list
}
