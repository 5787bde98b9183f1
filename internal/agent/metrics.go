package agent

import "github.com/prometheus/client_golang/prometheus"

// harness begins the names that dashboards of existing delegates read.
const harness = "io_harness_custom_metric_"

// metrics are what /api/metrics shows. All begin anew when the delegate restarts.
type metrics struct {
	executing prometheus.Gauge
	timeouts  prometheus.Counter
	completed prometheus.Counter
	failed    prometheus.Counter
	connected prometheus.Gauge
	took      *prometheus.GaugeVec // of the last task of each type
	seconds   *prometheus.HistogramVec
	calls     *prometheus.CounterVec

	// The two below are shown only when a threshold is set.
	rejected prometheus.Counter
	above    prometheus.Gauge
	cpu      prometheus.Gauge
	memory   prometheus.Gauge
}

func newMetrics(to prometheus.Registerer, thresholds bool) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		executing: gauge(harness+"tasks_currently_executing", "Tasks that the delegate does now."),
		timeouts:  counter(harness+"task_timeout_total", "Tasks that ran out of time."),
		completed: counter(harness+"task_completed_total", "Tasks that succeeded."),
		failed:    counter(harness+"task_failed_total", "Tasks that failed, those that ran out of time too."),
		connected: gauge(harness+"delegate_connected", "1 when the last call to the manager succeeded."),
		rejected:  counter(harness+"task_rejected_total", "Tasks on offer that were not taken because a threshold was exceeded."),
		above:     gauge(harness+"resource_consumption_above_threshold", "1 while CPU or memory is above its threshold."),
		took: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: harness + "task_execution_time", Help: "Seconds that the last task of a type took.",
		}, []string{"task_type"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "belay_delegate_task_seconds", Help: "How long tasks took.", Buckets: prometheus.ExponentialBuckets(0.01, 4, 9),
		}, []string{"task_type"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belay_delegate_link_failures_total", Help: "Calls to the manager that failed.",
		}, []string{"call"}),
		cpu:    gauge("belay_delegate_cpu_percent", "Use of the CPU that the delegate may use, at the last sample."),
		memory: gauge("belay_delegate_memory_percent", "Use of the memory that the delegate may use, at the last sample."),
	}
	for _, call := range []string{callRegister, callHeartbeat, callEvents, callAcquire, callReport} {
		m.calls.WithLabelValues(call)
	}
	to.MustRegister(m.executing, m.timeouts, m.completed, m.failed, m.connected, m.took, m.seconds, m.calls)
	if thresholds {
		to.MustRegister(m.rejected, m.above, m.cpu, m.memory)
	}
	return m
}

// Names of the calls in belay_delegate_link_failures_total.
const (
	callRegister  = "register"
	callHeartbeat = "heartbeat"
	callEvents    = "events"
	callAcquire   = "acquire"
	callReport    = "report"
)
