package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// roundTrip measures a durable task that does nothing: submitted through the API (which writes an audit entry first),
// leased by a real delegate, answered, finished. Four commits lie on its way.
func roundTrip(delegates int) func(context.Context, *bench) ([]row, error) {
	return func(ctx context.Context, b *bench) ([]row, error) {
		count := 500
		if b.quick {
			count, delegates = 50, min(delegates, 50)
		}
		m, err := b.startManager(ctx, http.DefaultClient)
		if err != nil {
			return nil, err
		}
		defer m.stop()
		d, err := b.delegate(m, "bench")
		if err != nil {
			return nil, err
		}
		defer d.stop()
		if err := m.connected(ctx, "bench"); err != nil {
			return nil, err
		}
		c, err := b.gather(ctx, m.url, m.account, m.token, delegates-1)
		if err != nil {
			return nil, err
		}
		defer c.leave()
		var all times
		for i := range count + 20 {
			began := time.Now()
			if err := m.call(ctx, http.MethodPost, "/belay/v1/delegates/bench/ping", nil, nil); err != nil {
				return nil, err
			}
			if i >= 20 { // the first warm caches and connections
				all = append(all, time.Since(began))
			}
		}
		sync, err := fdatasync(b.folder, 300)
		if err != nil {
			return nil, err
		}
		bare, err := echo(ctx, 300)
		if err != nil {
			return nil, err
		}
		base := fmt.Sprintf("fdatasync p50 %s, p99 %s; HTTP echo p50 %s", ms(sync.at(.5)), ms(sync.at(.99)), ms(bare.at(.5)))
		goal := 4*sync.at(.5) + 2*time.Millisecond
		name := fmt.Sprintf("durable no-op task, %d parked", delegates)
		return []row{
			{name + ", p50", ms(all.at(.5)), base, fmt.Sprintf("%.1f fdatasyncs", float64(all.at(.5))/float64(sync.at(.5))), "at most 4 fdatasyncs + 2 ms = " + ms(goal), met(all.at(.5) <= goal)},
			{name + ", p99", ms(all.at(.99)), "", "", "under 50 ms", met(all.at(.99) < 50*time.Millisecond)},
		}, nil
	}
}

// parked compares ten thousand parked delegates over TLS with a bare net/http long-poll server under the same clients.
func parked(ctx context.Context, b *bench) ([]row, error) {
	count, window := 10_000, 60*time.Second
	if b.quick {
		count, window = 200, 25*time.Second
	}
	if err := raiseFiles(uint64(count + 1000)); err != nil {
		return nil, err
	}
	if err := makeCertificate(b.folder); err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(filepath.Join(b.folder, "cert.pem")) }() // the other scenarios speak plain HTTP
	trust, err := b.trust()
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trust}}
	m, err := b.startManager(ctx, client, "--tls-cert", filepath.Join(b.folder, "cert.pem"), "--tls-key", filepath.Join(b.folder, "key.pem"))
	if err != nil {
		return nil, err
	}
	ours, err := b.idle(ctx, m.process, m.url, m.account, m.token, count, window)
	m.stop()
	if err != nil {
		return nil, fmt.Errorf("manager: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	bare, err := startProcess(environment(), self, "-serve-longpoll", b.folder)
	if err != nil {
		return nil, err
	}
	defer bare.stop()
	url, err := bare.find(`(https://127\.0\.0\.1:\d+)`)
	if err != nil {
		return nil, err
	}
	theirs, err := b.idle(ctx, bare, url, m.account, m.token, count, window)
	if err != nil {
		return nil, fmt.Errorf("bare server: %w", err)
	}
	memory, processor := float64(ours.rss)/float64(theirs.rss), float64(ours.cpu)/float64(theirs.cpu)
	name := fmt.Sprintf("%d parked delegates over TLS, ", count)
	return []row{
		{name + "memory", mib(ours.rss), mib(theirs.rss) + " bare net/http", fmt.Sprintf("%.2f×", memory), "at most 1.5×", met(memory <= 1.5)},
		{name + "idle CPU", share(ours.cpu, window), share(theirs.cpu, window) + " bare net/http", fmt.Sprintf("%.2f×", processor), "at most 1.5×", met(processor <= 1.5)},
		{name + "failed calls", strconv.FormatInt(ours.failures, 10), strconv.FormatInt(theirs.failures, 10), "", "0", met(ours.failures == 0)},
	}, nil
}

type footprint struct {
	rss      int64
	cpu      time.Duration
	failures int64
}

// idle parks a crowd at a server and looks at the server for a while.
func (b *bench) idle(ctx context.Context, p *process, url, account, token string, count int, window time.Duration) (footprint, error) {
	c, err := b.gather(ctx, url, account, token, count)
	if err != nil {
		return footprint{}, err
	}
	defer c.leave()
	time.Sleep(window / 2) // what joining cost is over
	before, err := p.cpu()
	if err != nil {
		return footprint{}, err
	}
	time.Sleep(window)
	after, err := p.cpu()
	if err != nil {
		return footprint{}, err
	}
	rss, err := p.rss()
	return footprint{rss: rss, cpu: after - before, failures: c.failures.Load()}, err
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func share(cpu, window time.Duration) string {
	return fmt.Sprintf("%.1f %% of a core", 100*float64(cpu)/float64(window))
}

// raiseFiles lets this process and its children open so many files.
func raiseFiles(need uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Cur >= need {
		return nil
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: max(need, limit.Cur), Max: max(need, limit.Max)}); err != nil {
		return fmt.Errorf("%d open files are needed, %d are allowed, and the limit cannot be raised: %w", need, limit.Max, err)
	}
	return nil
}

// delegateFootprint measures a real delegate: how soon it is there, and how much memory it has when idle.
func delegateFootprint(ctx context.Context, b *bench) ([]row, error) {
	m, err := b.startManager(ctx, http.DefaultClient)
	if err != nil {
		return nil, err
	}
	defer m.stop()
	var starts times
	rounds := 10
	if b.quick {
		rounds = 3
	}
	var rss, rssAfter int64
	for i := range rounds {
		name := fmt.Sprintf("d%d", i)
		began := time.Now()
		d, err := b.delegate(m, name)
		if err != nil {
			return nil, err
		}
		if err := m.connected(ctx, name); err != nil {
			d.stop()
			return nil, err
		}
		starts = append(starts, time.Since(began))
		if i == rounds-1 {
			time.Sleep(5 * time.Second)
			if rss, err = d.rss(); err == nil {
				rssAfter, err = afterATest(ctx, m, d, name)
			}
		}
		d.stop()
		if err != nil {
			return nil, err
		}
	}
	return []row{
		{"delegate, start to registered, p50", ms(starts.at(.5)), "", "", "under 300 ms", met(starts.at(.5) < 300*time.Millisecond)},
		{"delegate, idle memory", mib(rss), "2048 MiB in the sample manifest", fmt.Sprintf("1/%d", (2048<<20)/rss), "at most 25 MiB", met(rss <= 25<<20)},
		{"delegate, memory after a connection test", mib(rssAfter), "", "", "", ""},
	}, nil
}

// afterATest lets the delegate load the AWS SDK by a test that fails at once, and waits until it is idle again.
func afterATest(ctx context.Context, m *manager, d *process, name string) (int64, error) {
	body := map[string]any{"connector": map[string]any{"name": "x", "identifier": "x", "type": "Aws", "spec": map[string]any{
		"credential": map[string]any{"type": "InheritFromDelegate"}, "delegateSelectors": []string{name}, "executeOnDelegate": true,
	}}}
	if err := m.call(ctx, http.MethodPost, "/ng/api/connectors", body, nil); err != nil {
		return 0, err
	}
	if err := m.call(ctx, http.MethodPost, "/belay/v1/connectors/x/test", nil, nil); err != nil {
		return 0, err
	}
	time.Sleep(5 * time.Second)
	return d.rss()
}

// version measures how long the smallest command takes.
func version(ctx context.Context, b *bench) ([]row, error) {
	measure := func(name string, args ...string) (times, error) {
		var all times
		for range 30 {
			began := time.Now()
			if err := exec.CommandContext(ctx, name, args...).Run(); err != nil {
				return nil, err
			}
			all = append(all, time.Since(began))
		}
		return all, nil
	}
	ours, err := measure(b.belay, "version")
	if err != nil {
		return nil, err
	}
	bare, err := measure("true")
	if err != nil {
		return nil, err
	}
	return []row{{"belay version, p50", ms(ours.at(.5)), ms(bare.at(.5)) + " for true(1)", fmt.Sprintf("%.1f×", float64(ours.at(.5))/float64(bare.at(.5))), "under 20 ms", met(ours.at(.5) < 20*time.Millisecond)}}, nil
}

// connectors measures pages of a long list.
func connectors(ctx context.Context, b *bench) ([]row, error) {
	count := 10_000
	if b.quick {
		count = 500
	}
	m, err := b.startManager(ctx, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}})
	if err != nil {
		return nil, err
	}
	defer func() { m.stop() }() // of the process that runs then
	work, failed := make(chan int), make(chan error, 1)
	var wait sync.WaitGroup
	began := time.Now()
	for range 32 {
		wait.Go(func() {
			for i := range work {
				body := map[string]any{"connector": map[string]any{
					"name": fmt.Sprintf("connector %05d", i), "identifier": fmt.Sprintf("connector_%05d", i), "type": "Aws", "tags": map[string]string{"team": fmt.Sprintf("t%d", i%50)},
					"spec": map[string]any{"credential": map[string]any{"type": "ManualConfig", "spec": map[string]any{"accessKey": "AKIA", "secretKeyRef": "account.sk"}}, "executeOnDelegate": true},
				}}
				if err := m.call(ctx, http.MethodPost, "/ng/api/connectors", body, nil); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			}
		})
	}
	for i := range count {
		work <- i
	}
	close(work)
	wait.Wait()
	select {
	case err := <-failed:
		return nil, err
	default:
	}
	created := time.Since(began)
	var plain, searched times
	for i := range 200 {
		began := time.Now()
		if err := m.call(ctx, http.MethodGet, fmt.Sprintf("/ng/api/connectors?pageIndex=%d&pageSize=50", i%(count/50)), nil, nil); err != nil {
			return nil, err
		}
		plain = append(plain, time.Since(began))
		began = time.Now()
		if err := m.call(ctx, http.MethodPost, "/ng/api/connectors/listV2?pageIndex=0&pageSize=50&searchTerm=9", map[string]any{"filterType": "Connector", "tags": map[string]string{"team": "t7"}}, nil); err != nil {
			return nil, err
		}
		searched = append(searched, time.Since(began))
	}
	bare, err := echo(ctx, 300)
	if err != nil {
		return nil, err
	}
	more, err := b.reads(ctx, m, count)
	if err != nil {
		return nil, err
	}
	cold, err := b.coldStart(ctx, m, count)
	if err != nil {
		return nil, err
	}
	base := "HTTP echo p50 " + ms(bare.at(.5))
	name := fmt.Sprintf("%d connectors, ", count)
	return append([]row{
		{name + "page of 50, p99", ms(plain.at(.99)), base, fmt.Sprintf("p50 %s", ms(plain.at(.5))), "under 20 ms", met(plain.at(.99) < 20*time.Millisecond)},
		{name + "search and tag, p99", ms(searched.at(.99)), base, fmt.Sprintf("p50 %s", ms(searched.at(.5))), "under 20 ms", met(searched.at(.99) < 20*time.Millisecond)},
		{name + "created through the API", fmt.Sprintf("%.0f a second", float64(count)/created.Seconds()), "", "", "", ""},
	}, append(more, cold)...), nil
}

// commits runs the store's own benchmark, which measures durable rows beside the disk's fdatasyncs in one process.
func commits(ctx context.Context, b *bench) ([]row, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "GroupCommit", "-benchtime", "2s", "github.com/belay-dev/belay/internal/store")
	cmd.Env = append(os.Environ(), "TMPDIR="+b.folder)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, errors.Join(err, errors.New(string(out)))
	}
	// A line is: name, count, then pairs of value and unit.
	rate := func(benchmark, unit string) float64 {
		for line := range strings.Lines(string(out)) {
			fields := strings.Fields(line)
			if len(fields) == 0 || !strings.HasPrefix(fields[0], "BenchmarkGroupCommit/"+benchmark) {
				continue
			}
			for i := 3; i < len(fields); i += 2 {
				if fields[i] == unit {
					value, err := strconv.ParseFloat(fields[i-1], 64)
					if err != nil {
						return 0
					}
					return value
				}
			}
		}
		return 0
	}
	syncs, one, many := rate("fdatasync", "fdatasyncs/s"), rate("one_at_a_time", "rows/s"), rate("128_outstanding", "rows/s")
	if syncs == 0 || many == 0 {
		return nil, fmt.Errorf("the benchmark's output was not understood: %s", out)
	}
	base := fmt.Sprintf("%.0f fdatasyncs a second", syncs)
	return []row{
		{"durable rows, one at a time", fmt.Sprintf("%.0f a second", one), base, fmt.Sprintf("%.2f×", one/syncs), "", ""},
		{"durable rows, 128 outstanding", fmt.Sprintf("%.0f a second", many), base, fmt.Sprintf("%.1f×", many/syncs), "at least 3×", met(many >= 3*syncs)},
	}, nil
}
