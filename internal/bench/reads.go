package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// readers is how many clients ask at the same time.
const readers = 8

// rate asks as often as readers can within a window, and gives how often that was in a second and how long each took.
func (b *bench) rate(ctx context.Context, ask func(i int) error) (perSecond float64, took times, err error) {
	window := 3 * time.Second
	if b.quick {
		window = 300 * time.Millisecond
	}
	var mu sync.Mutex
	var wait sync.WaitGroup
	began := time.Now()
	for reader := range readers {
		wait.Go(func() {
			var mine times
			for i := reader; time.Since(began) < window && ctx.Err() == nil; i += readers {
				start := time.Now()
				if failed := ask(i); failed != nil {
					mu.Lock()
					err = failed
					mu.Unlock()
					return
				}
				mine = append(mine, time.Since(start))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	wait.Wait()
	return float64(len(took)) / time.Since(began).Seconds(), took, err
}

// reads measures how often connectors are read beside the cheapest answer that the manager has.
func (b *bench) reads(ctx context.Context, m *manager, count int) ([]row, error) {
	health, _, err := b.rate(ctx, func(int) error { return m.call(ctx, http.MethodGet, "/healthz", nil, nil) })
	if err != nil {
		return nil, err
	}
	one, oneTook, err := b.rate(ctx, func(i int) error {
		return m.call(ctx, http.MethodGet, fmt.Sprintf("/ng/api/connectors/connector_%05d", i*7919%count), nil, nil)
	})
	if err != nil {
		return nil, err
	}
	list, listTook, err := b.rate(ctx, func(i int) error {
		path := fmt.Sprintf("/ng/api/connectors/listV2?pageIndex=%d&pageSize=10", i%(count/10))
		return m.call(ctx, http.MethodPost, path, map[string]any{"filterType": "Connector"}, nil)
	})
	if err != nil {
		return nil, err
	}
	base := fmt.Sprintf("/healthz %.0f a second", health)
	name := fmt.Sprintf("%d connectors, %d clients, ", count, readers)
	line := func(what string, rate float64, took times) row {
		return row{
			name + what, fmt.Sprintf("%.0f a second, p99 %s", rate, ms(took.at(.99))), base, fmt.Sprintf("%.2f×", rate/health), "at least 0.5×", met(rate >= health/2),
		}
	}
	return []row{line("one is read", one, oneTook), line("listV2, page of 10", list, listTook)}, nil
}

// coldStart measures a second start on data that is there: from the process to the first answer with a connector in it.
func (b *bench) coldStart(ctx context.Context, m *manager, count int) (row, error) {
	const runs = 5
	var took times
	for range runs {
		m.stop()
		began := time.Now()
		p, err := startProcess(environment("BELAY_RATE_LIMIT=-1"), b.belay, "manager", "--data", m.data, "--listen", "127.0.0.1:0", "--test-every=0s")
		if err != nil {
			return row{}, err
		}
		m.process = p
		if m.url, err = p.find(`(https?://127\.0\.0\.1:\d+)`); err != nil {
			return row{}, err
		}
		if err := m.call(ctx, http.MethodGet, "/ng/api/connectors/connector_00007", nil, nil); err != nil {
			return row{}, err
		}
		took = append(took, time.Since(began))
	}
	return row{fmt.Sprintf("%d connectors, start to first answer, p50", count), ms(took.at(.5)), "", "", "under 300 ms", met(took.at(.5) < 300*time.Millisecond)}, nil
}
