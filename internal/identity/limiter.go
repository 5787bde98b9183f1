package identity

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limiter bounds how often each key may call. The zero value allows DefaultRate a second with bursts of twice as many.
type Limiter struct {
	Rate  float64 // calls a second; 0 means DefaultRate, below 0 no limit
	Burst int     // 0 means twice the rate

	mu   sync.Mutex
	keys map[string]*rate.Limiter
}

// The limits unless others are set: far above what Terraform or a person does, far below what hurts the manager.
const (
	DefaultRate = 200
	mostKeys    = 10_000
)

// Allow reports whether a key may call now, and if not, after how long it may.
func (l *Limiter) Allow(key string, now time.Time) (bool, time.Duration) {
	if l.Rate < 0 {
		return true, 0
	}
	reservation := l.limiter(key).ReserveN(now, 1)
	if wait := reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
		return false, wait
	}
	return true, 0
}

func (l *Limiter) limiter(key string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one, ok := l.keys[key]; ok {
		return one
	}
	if l.keys == nil || len(l.keys) >= mostKeys {
		l.keys = map[string]*rate.Limiter{} // forgetting is harmless: everyone starts with a full burst again
	}
	limit, burst := l.Rate, l.Burst
	if limit == 0 {
		limit = DefaultRate
	}
	if burst == 0 {
		burst = int(2*limit) + 1
	}
	one := rate.NewLimiter(rate.Limit(limit), burst)
	l.keys[key] = one
	return one
}
