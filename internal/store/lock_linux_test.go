package store_test

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/belay-dev/belay/internal/store"
)

// A process that is being started has a copy of every descriptor for a moment, that of the lock too. It must not keep a
// manager that has ended from being started again.
func TestACopyOfTheLocksDescriptorKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "belay.db")
	s, err := store.Open(t.Context(), store.Config{URL: path})
	if err != nil {
		t.Fatal(err)
	}
	descriptors, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	copied := false
	for _, d := range descriptors {
		if target, err := os.Readlink(filepath.Join("/proc/self/fd", d.Name())); err != nil || target != path+".lock" {
			continue
		}
		n, err := strconv.Atoi(d.Name())
		if err != nil {
			t.Fatal(err)
		}
		twin, err := syscall.Dup(n)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Close(twin) })
		copied = true
	}
	if !copied {
		t.Fatal("the lock's descriptor was not found")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}
