package store

import (
	"maps"
	"slices"
	"sync"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/identity"
)

// How much is remembered: every connector of an installation that has outgrown SQLite's ease, some 2 KiB each, and the
// pages that many readers of a list turn.
const (
	mostConnectors = 10_000
	mostPages      = 1_000
	mostKeys       = 1_000
	// mostInPage is the longest page that is remembered.
	mostInPage = 100
)

// memories are what was read of a SQLite file and has not changed since. Nobody else writes to that file (see lockFile),
// so what is remembered is the truth, and not merely recent; whoever changes a row forgets it before it answers. Of
// PostgreSQL nothing is remembered: other managers change it.
type memories struct {
	connectors *memory[key, *connector.Stored]
	// pages hold the keys of a page and how many there are on all. Only those that tests do not change, see lasting.
	pages *memory[string, keyPage]
	keys  *memory[accountKey, identity.Key]
}

type keyPage struct {
	keys  []key
	total int
}

type accountKey struct{ account, id string }

func newMemories() memories {
	return memories{
		connectors: newMemory[key, *connector.Stored](mostConnectors), pages: newMemory[string, keyPage](mostPages), keys: newMemory[accountKey, identity.Key](mostKeys),
	}
}

// changed forgets a connector and every list that it may be in.
func (m memories) changed(k key) {
	m.connectors.forget(k)
	m.pages.forgetAll()
}

// tested forgets a connector; the lists that are remembered stay as they are.
func (m memories) tested(k key) { m.connectors.forget(k) }

// forgetAll is for what reaches far: the end of an organization or a project.
func (m memories) forgetAll() {
	m.connectors.forgetAll()
	m.pages.forgetAll()
	m.keys.forgetAll()
}

// lasting reports whether a page stays the same until a connector is created, changed or deleted: it neither chooses nor
// sorts by what tests change.
func lasting(f connector.Filter) bool {
	return len(f.Statuses) == 0 && f.Reaches == "" && f.Sort != connector.ByActivity && f.Limit > 0 && f.Limit <= mostInPage
}

// own is a connector whose reader may change the lists in it, without changing what is remembered.
func own(remembered *connector.Stored) connector.Stored {
	s := *remembered
	s.Tags, s.Selectors = maps.Clone(s.Tags), slices.Clone(s.Selectors)
	if s.LastTest != nil {
		t := *s.LastTest
		s.LastTest = &t
	}
	return s
}

// memory keeps values by key until they are forgotten. A nil memory keeps nothing.
type memory[K comparable, V any] struct {
	most int

	mu     sync.RWMutex
	values map[K]V
	turn   uint64 // rises whenever something is forgotten
}

func newMemory[K comparable, V any](most int) *memory[K, V] {
	return &memory[K, V]{most: most, values: map[K]V{}}
}

// recall is what is remembered, or else what read reads. What was forgotten while it was being read is not remembered: it
// may have been read before it changed.
func (m *memory[K, V]) recall(k K, read func() (V, error)) (V, error) {
	if m == nil {
		return read()
	}
	m.mu.RLock()
	v, ok := m.values[k]
	turn := m.turn
	m.mu.RUnlock()
	if ok {
		return v, nil
	}
	v, err := read()
	if err == nil {
		m.keep(k, v, turn)
	}
	return v, err
}

// known is what is remembered, and the turn to give to keep for what is not.
func (m *memory[K, V]) known(keys []K) (found map[K]V, turn uint64) {
	found = make(map[K]V, len(keys))
	if m == nil {
		return found, 0
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, k := range keys {
		if v, ok := m.values[k]; ok {
			found[k] = v
		}
	}
	return found, m.turn
}

// keep remembers a value that was read since turn.
func (m *memory[K, V]) keep(k K, v V, turn uint64) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if turn != m.turn {
		return
	}
	if _, ok := m.values[k]; !ok && len(m.values) >= m.most {
		for old := range m.values { // any one: those that are read often come back
			delete(m.values, old)
			break
		}
	}
	m.values[k] = v
}

func (m *memory[K, V]) forget(k K) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn++
	delete(m.values, k)
}

func (m *memory[K, V]) forgetAll() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn++
	clear(m.values)
}
