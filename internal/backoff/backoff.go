// Package backoff computes how long to wait before a request is tried again, and holds the lists of errors that are
// worth another try.
//
// The strategies and both lists are those of the AWS connector settings reference of the system that Belay stands in for: fixed delay, equal
// jitter, full jitter, and the SDK default, which is full jitter for the non-throttled list and equal jitter for the
// throttled list. The formulas are those of the article "Exponential Backoff And Jitter" on the AWS architecture blog.
package backoff

import "time"

// Strategy is one way to wait. The zero value of a connector has none, which means Default.
//
//sumtype:decl
type Strategy interface {
	// Delay is how long to wait before try number retry+1; retry counts from 0. random gives numbers in [0, 1).
	Delay(retry int, throttled bool, random func() float64) time.Duration
	// Retries is how often a request is repeated after its first try.
	Retries() int
	isStrategy()
}

// Fixed always waits the same time.
type Fixed struct {
	Wait  time.Duration
	Count int
}

// EqualJitter waits half of the exponential delay and a random part of the other half.
type EqualJitter struct {
	Base, Max time.Duration
	Count     int
}

// FullJitter waits a random part of the exponential delay.
type FullJitter struct {
	Base, Max time.Duration
	Count     int
}

// Default is what applies when a connector names no strategy: full jitter from 100 ms for errors that are no
// throttling, equal jitter from 500 ms for those that are, both up to 20 s, three retries.
type Default struct{}

// The figures of Default.
const (
	DefaultRetries       = 3
	DefaultBase          = 100 * time.Millisecond
	DefaultThrottledBase = 500 * time.Millisecond
	DefaultMax           = 20 * time.Second
)

// Delay is the fixed wait.
func (f Fixed) Delay(int, bool, func() float64) time.Duration { return max(f.Wait, 0) }

// Retries is the count that was given.
func (f Fixed) Retries() int { return f.Count }

// Delay lies between half and the whole of the exponential delay.
func (e EqualJitter) Delay(retry int, _ bool, random func() float64) time.Duration {
	half := exponential(e.Base, e.Max, retry) / 2
	return half + time.Duration(random()*float64(half))
}

// Retries is the count that was given.
func (e EqualJitter) Retries() int { return e.Count }

// Delay lies between nothing and the exponential delay.
func (f FullJitter) Delay(retry int, _ bool, random func() float64) time.Duration {
	return time.Duration(random() * float64(exponential(f.Base, f.Max, retry)))
}

// Retries is the count that was given.
func (f FullJitter) Retries() int { return f.Count }

// Delay is that of equal jitter when the error is throttling and of full jitter otherwise.
func (d Default) Delay(retry int, throttled bool, random func() float64) time.Duration {
	if throttled {
		return EqualJitter{Base: DefaultThrottledBase, Max: DefaultMax}.Delay(retry, true, random)
	}
	return FullJitter{Base: DefaultBase, Max: DefaultMax}.Delay(retry, false, random)
}

// Retries is DefaultRetries.
func (Default) Retries() int { return DefaultRetries }

func (Fixed) isStrategy()       {}
func (EqualJitter) isStrategy() {}
func (FullJitter) isStrategy()  {}
func (Default) isStrategy()     {}

// exponential is base doubled retry times, never over limit and never overflowing.
func exponential(base, limit time.Duration, retry int) time.Duration {
	base, limit = max(base, 0), max(limit, 0)
	delay := min(base, limit)
	for range retry {
		if delay >= limit || delay == 0 {
			break
		}
		if delay > limit/2 {
			return limit
		}
		delay *= 2
	}
	return delay
}
