package backoff_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/belay-dev/belay/internal/backoff"
)

// exponentialOf is the slow obvious twin of the product's formula.
func exponentialOf(base, limit time.Duration, retry int) time.Duration {
	return time.Duration(math.Min(float64(base)*math.Pow(2, float64(retry)), float64(limit)))
}

func TestDelaysStayInTheirBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base := time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "base"))
		limit := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "max"))
		retry := rapid.IntRange(0, 80).Draw(t, "retry")
		x := rapid.Float64Range(0, math.Nextafter(1, 0)).Draw(t, "random")
		random := func() float64 { return x }
		top := exponentialOf(base, limit, retry)
		const rounding = time.Microsecond

		full := backoff.FullJitter{Base: base, Max: limit}.Delay(retry, false, random)
		if full < 0 || full > top+rounding {
			t.Fatalf("full jitter waits %v, outside [0, %v]", full, top)
		}
		equal := backoff.EqualJitter{Base: base, Max: limit}.Delay(retry, false, random)
		if equal < top/2-rounding || equal > top+rounding {
			t.Fatalf("equal jitter waits %v, outside [%v, %v]", equal, top/2, top)
		}
		if fixed := (backoff.Fixed{Wait: base}).Delay(retry, true, random); fixed != base {
			t.Fatalf("fixed delay waits %v, want %v", fixed, base)
		}
	})
}

// A strategy is more than its bounds: the delays must also be spread evenly over them. The test compares the empirical
// distribution with the uniform one by the Kolmogorov-Smirnov distance; the seed is fixed, so it never flickers.
func TestJitterIsSpreadEvenly(t *testing.T) {
	t.Parallel()
	const samples = 20_000
	for name, tt := range map[string]struct {
		strategy backoff.Strategy
		low      time.Duration
		high     time.Duration
	}{
		"full jitter from nothing to the delay":  {backoff.FullJitter{Base: 100 * time.Millisecond, Max: time.Minute}, 0, 400 * time.Millisecond},
		"equal jitter over the upper half":       {backoff.EqualJitter{Base: 100 * time.Millisecond, Max: time.Minute}, 200 * time.Millisecond, 400 * time.Millisecond},
		"full jitter is cut off at the maximum":  {backoff.FullJitter{Base: 100 * time.Millisecond, Max: 250 * time.Millisecond}, 0, 250 * time.Millisecond},
		"equal jitter is cut off at the maximum": {backoff.EqualJitter{Base: 100 * time.Millisecond, Max: 250 * time.Millisecond}, 125 * time.Millisecond, 250 * time.Millisecond},
		"the default waits equal when throttled": {backoff.Default{}, time.Second, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(1, 2)).Float64
			buckets := make([]int, 50)
			for range samples {
				d := tt.strategy.Delay(2, true, random)
				if d < tt.low || d > tt.high {
					t.Fatalf("waits %v, outside [%v, %v]", d, tt.low, tt.high)
				}
				at := int(float64(d-tt.low) / float64(tt.high-tt.low) * float64(len(buckets)))
				buckets[min(at, len(buckets)-1)]++
			}
			sum, distance := 0, 0.0
			for i, n := range buckets {
				sum += n
				distance = math.Max(distance, math.Abs(float64(sum)/samples-float64(i+1)/float64(len(buckets))))
			}
			if distance > 1.63/math.Sqrt(samples) { // the 1 % point of the Kolmogorov-Smirnov statistic
				t.Fatalf("delays are not uniform: distance %.4f", distance)
			}
		})
	}
}

func TestDefaultIsFullJitterWhenNotThrottled(t *testing.T) {
	t.Parallel()
	top := func() float64 { return math.Nextafter(1, 0) }
	if d := (backoff.Default{}).Delay(0, false, top); d > backoff.DefaultBase || d < backoff.DefaultBase-time.Microsecond {
		t.Fatalf("waits up to %v, want %v", d, backoff.DefaultBase)
	}
	if d := (backoff.Default{}).Delay(60, true, top); d > backoff.DefaultMax || d < backoff.DefaultMax-time.Microsecond {
		t.Fatalf("waits up to %v, want %v", d, backoff.DefaultMax)
	}
}

func TestClassifyHoldsTheSeedsLists(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		code   string
		status int
		want   backoff.Class
	}{
		"throttling by its code":                  {"ThrottlingException", 400, backoff.RetrySlowly},
		"a code decides before the status":        {"RequestLimitExceeded", 503, backoff.RetrySlowly},
		"429 without a code":                      {"", 429, backoff.RetrySlowly},
		"a server error":                          {"InternalFailure", 500, backoff.Retry},
		"a lost transaction is no throttling":     {"TransactionInProgressException", 400, backoff.Retry},
		"an identity provider that was not there": {"IDPCommunicationError", 400, backoff.Retry},
		"no answer at all":                        {backoff.IOException, 0, backoff.Retry},
		"a refusal is final":                      {"AccessDenied", 403, backoff.Final},
		"an unknown key is final":                 {"InvalidClientTokenId", 403, backoff.Final},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := backoff.Classify(tt.code, tt.status); got != tt.want {
				t.Fatalf("got %v, want %v", got, tt.want)
			}
		})
	}
}
