package api

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are counts and durations of requests; docs/metrics.md explains each.
type Metrics struct {
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
}

// NewMetrics makes the metrics and registers them; nil leaves them unregistered.
func NewMetrics(to prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belay_api_requests_total",
			Help: "Requests to the HTTP APIs, by route, method and class of status.",
		}, []string{"route", "method", "status"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "belay_api_request_duration_seconds",
			Help:    "How long requests to the HTTP APIs took, by route.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30, 60},
		}, []string{"route"}),
	}
	if to != nil {
		to.MustRegister(m.requests, m.durations)
	}
	return m
}

func (m *Metrics) observe(route, method string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, known(method), strconv.Itoa(status/100)+"xx").Inc()
	m.durations.WithLabelValues(route).Observe(took.Seconds())
}
