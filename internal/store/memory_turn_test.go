package store //nolint:testpackage // the order of two goroutines cannot be told from outside

import "testing"

// TestWhatChangesWhileItIsReadIsNotRemembered: it may have been read before it changed.
func TestWhatChangesWhileItIsReadIsNotRemembered(t *testing.T) {
	t.Parallel()
	m := newMemory[string, int](10)
	for name, change := range map[string]func(){
		"itself":       func() { m.forget("k") },
		"another":      func() { m.forget("other") },
		"all together": m.forgetAll,
	} {
		stale, _ := m.recall("k", func() (int, error) { change(); return 1, nil })
		fresh, _ := m.recall("k", func() (int, error) { return 2, nil })
		if stale != 1 || fresh != 2 {
			t.Errorf("%s changes: %d, then %d", name, stale, fresh)
		}
		m.forgetAll()
	}
}

func TestAMemoryIsBounded(t *testing.T) {
	t.Parallel()
	m := newMemory[int, int](10)
	for i := range 1000 {
		if v, err := m.recall(i, func() (int, error) { return i, nil }); v != i || err != nil {
			t.Fatal(v, err)
		}
	}
	if len(m.values) != 10 {
		t.Errorf("%d are remembered", len(m.values))
	}
}
