package bell_test

import (
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/belay-dev/belay/internal/bell"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func rung(rings <-chan struct{}) bool {
	select {
	case <-rings:
		return true
	default:
		return false
	}
}

func TestRingWakesEveryListenerOfTheTopic(t *testing.T) {
	t.Parallel()
	var b bell.Local
	one, stopOne := b.Listen("a")
	defer stopOne()
	two, stopTwo := b.Listen("a")
	defer stopTwo()
	other, stopOther := b.Listen("b")
	defer stopOther()
	b.Ring("a")
	if !rung(one) || !rung(two) {
		t.Fatal("a listener was not woken")
	}
	if rung(other) {
		t.Fatal("a listener of another topic was woken")
	}
}

func TestRingsThatNobodyTookYetBecomeOne(t *testing.T) {
	t.Parallel()
	var b bell.Local
	rings, stop := b.Listen("a")
	defer stop()
	for range 100 {
		b.Ring("a") // would block here if rings were kept
	}
	if !rung(rings) || rung(rings) {
		t.Fatal("want exactly one ring")
	}
	b.Ring("a")
	if !rung(rings) {
		t.Fatal("a ring after the first was taken is lost")
	}
}

func TestRingBeforeListenIsForgotten(t *testing.T) {
	t.Parallel()
	var b bell.Local
	b.Ring("a")
	rings, stop := b.Listen("a")
	defer stop()
	if rung(rings) {
		t.Fatal("a ring was remembered")
	}
}

func TestStopEndsOneListenerOnly(t *testing.T) {
	t.Parallel()
	var b bell.Local
	one, stopOne := b.Listen("a")
	two, stopTwo := b.Listen("a")
	stopOne()
	stopOne()
	b.Ring("a")
	if rung(one) || !rung(two) {
		t.Fatal("stop ended the wrong listener")
	}
	stopTwo()
	b.Ring("a")
	if rung(two) {
		t.Fatal("a ring came after stop")
	}
}

func TestRingersAndListenersAtOnce(t *testing.T) {
	t.Parallel()
	var b bell.Local
	var work sync.WaitGroup
	for i := range 16 {
		topic := strconv.Itoa(i % 3)
		work.Go(func() {
			for range 500 {
				b.Ring(topic)
			}
		})
		work.Go(func() {
			for range 500 {
				rings, stop := b.Listen(topic)
				b.Ring(topic)
				<-rings // its own ring at the latest
				stop()
			}
		})
	}
	work.Wait()
}

// allocated is what the heap holds after a collection.
func allocated() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkTenThousandListeners shows what a parked poll's listener costs and that none is left after stop.
func BenchmarkTenThousandListeners(b *testing.B) {
	const listeners = 10_000
	topics := make([]string, listeners)
	for i := range topics {
		topics[i] = fmt.Sprintf("delegate/dlg_%022d", i)
	}
	var perListener, left float64
	for b.Loop() {
		var local bell.Local
		stops := make([]func(), 0, listeners)
		channels := make([]<-chan struct{}, 0, listeners)
		before := allocated()
		for _, topic := range topics {
			rings, stop := local.Listen(topic)
			stops, channels = append(stops, stop), append(channels, rings)
		}
		perListener = (float64(allocated()) - float64(before)) / listeners
		for _, topic := range topics {
			local.Ring(topic)
		}
		for i, rings := range channels {
			<-rings
			stops[i]()
		}
		clear(stops)
		clear(channels)
		left = (float64(allocated()) - float64(before)) / listeners
		runtime.KeepAlive(&local)
	}
	b.ReportMetric(perListener, "B/listener")
	b.ReportMetric(max(left, 0), "B/listener-after-stop")
}

func BenchmarkRing(b *testing.B) {
	var local bell.Local
	for i := range 10_000 {
		_, stop := local.Listen(fmt.Sprintf("delegate/%d", i))
		defer stop()
	}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			local.Ring("delegate/77")
		}
	})
}
