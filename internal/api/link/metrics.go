package link

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the server's own; docs/metrics.md explains each.
type metrics struct {
	requests *prometheus.CounterVec
	proofs   *prometheus.CounterVec
	parked   prometheus.Gauge
	acquires *prometheus.CounterVec
}

// How a proof of identity was dealt with, and an acquire.
const (
	proofKnown, proofOpened, proofRefused = "known", "opened", "refused"
	acquireWon, acquireLost               = "won", "lost"
)

func newMetrics(to prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belay_link_requests_total", Help: "Calls of delegates, by call and status; 499 is a client that hung up.",
		}, []string{"call", "code"}),
		proofs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belay_link_proofs_total", Help: "Proofs of identity: known from before, opened with a token, or refused.",
		}, []string{"result"}),
		parked: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "belay_link_parked_polls", Help: "Long polls that wait for a task now.",
		}),
		acquires: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belay_link_acquires_total", Help: "Tasks that delegates asked for: won, or lost to another.",
		}, []string{"result"}),
	}
	for _, result := range []string{proofKnown, proofOpened, proofRefused} {
		m.proofs.WithLabelValues(result)
	}
	for _, result := range []string{acquireWon, acquireLost} {
		m.acquires.WithLabelValues(result)
	}
	if to != nil {
		to.MustRegister(m.requests, m.proofs, m.parked, m.acquires)
	}
	return m
}

// calls gives the function that counts one call's answers.
func (m *metrics) calls(name string) func(code int) {
	of := m.requests.MustCurryWith(prometheus.Labels{"call": name})
	return func(code int) { of.WithLabelValues(strconv.Itoa(code)).Inc() }
}
