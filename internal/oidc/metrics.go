package oidc

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are what the issuers count.
type Metrics struct {
	duration prometheus.Histogram
	failures prometheus.Counter
}

// NewMetrics registers them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "belay_oidc_mint_duration_seconds", Help: "How long it took to mint an OIDC token.",
			Buckets: []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5},
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belay_oidc_mint_failures_total", Help: "OIDC tokens that could not be minted.",
		}),
	}
	r.MustRegister(m.duration, m.failures)
	return m
}

func (m *Metrics) minted(took time.Duration, err error) {
	switch {
	case m == nil:
	case err != nil:
		m.failures.Inc()
	default:
		m.duration.Observe(took.Seconds())
	}
}
