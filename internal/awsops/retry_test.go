package awsops_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/backoff"
	"github.com/belay-dev/belay/internal/belaytest"
	"github.com/belay-dev/belay/internal/connector"
)

// late is how much later than its upper bound a try may come: the machine may be busy.
const late = 5 * time.Second

// Each strategy, as a throttling server sees it: the number of tries is exact, no try comes before its delay is over,
// and none much later.
func TestAServerSeesTheStrategy(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	throttled, broken := stsError(400, "ThrottlingException", "Rate exceeded"), stsError(500, "InternalFailure", "no")
	for name, tt := range map[string]struct {
		strategy backoff.Strategy
		answer   http.HandlerFunc
		low      []time.Duration
		high     []time.Duration
	}{
		"fixed delay":         {backoff.Fixed{Wait: 60 * ms, Count: 3}, throttled, []time.Duration{60 * ms, 60 * ms, 60 * ms}, []time.Duration{60 * ms, 60 * ms, 60 * ms}},
		"equal jitter":        {backoff.EqualJitter{Base: 80 * ms, Max: 200 * ms, Count: 4}, throttled, []time.Duration{40 * ms, 80 * ms, 100 * ms, 100 * ms}, []time.Duration{80 * ms, 160 * ms, 200 * ms, 200 * ms}},
		"full jitter":         {backoff.FullJitter{Base: 80 * ms, Max: 200 * ms, Count: 3}, throttled, []time.Duration{0, 0, 0}, []time.Duration{80 * ms, 160 * ms, 200 * ms}},
		"the default, broken": {backoff.Default{}, broken, []time.Duration{0, 0, 0}, []time.Duration{100 * ms, 200 * ms, 400 * ms}},
		"the default, throttled": {
			backoff.Default{},
			throttled,
			[]time.Duration{250 * ms, 500 * ms, 1000 * ms},
			[]time.Duration{500 * ms, 1000 * ms, 2000 * ms},
		},
		"no strategy is the default": {nil, throttled, []time.Duration{250 * ms, 500 * ms, 1000 * ms}, []time.Duration{500 * ms, 1000 * ms, 2000 * ms}},
		"no retry at all":            {backoff.Fixed{Wait: time.Hour}, throttled, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aws := newStub(t, answers{"GetCallerIdentity": tt.answer})
			one := check(keys())
			one.Access.Backoff = tt.strategy
			f := failed(t, sessions(aws.env(nil)), one)
			calls := aws.seen("GetCallerIdentity")
			if len(calls) != len(tt.low)+1 || f.Attempts != len(calls) {
				t.Fatalf("the server saw %d tries and the evidence %d, want %d", len(calls), f.Attempts, len(tt.low)+1)
			}
			for i := range tt.low {
				if waited := calls[i+1].at.Sub(calls[i].at); waited < tt.low[i] || waited > tt.high[i]+late {
					t.Errorf("try %d came after %v, want between %v and %v", i+2, waited, tt.low[i], tt.high[i])
				}
			}
		})
	}
}

// The jitter that the strategy is given decides, not one of the SDK's own.
func TestTheDelayIsExactlyTheStrategys(t *testing.T) {
	t.Parallel()
	aws := newStub(t, answers{"GetCallerIdentity": stsError(400, "Throttling", "Rate exceeded")})
	s := sessions(aws.env(nil))
	s.Random = func() float64 { return 0.5 }
	one := check(keys())
	one.Access.Backoff = backoff.FullJitter{Base: 400 * time.Millisecond, Max: time.Minute, Count: 1}
	failed(t, s, one)
	calls := aws.seen("GetCallerIdentity")
	if waited := calls[1].at.Sub(calls[0].at); waited < 200*time.Millisecond || waited > 200*time.Millisecond+late {
		t.Fatalf("the second try came after %v", waited)
	}
}

// AWS_NEW_RETRIES_2026 makes the SDK count the tries from 0 instead of 1.
func TestTheSDKsNewRetriesChangeNoDelay(t *testing.T) {
	t.Setenv("AWS_NEW_RETRIES_2026", "true")
	aws := newStub(t, answers{"GetCallerIdentity": stsError(400, "Throttling", "Rate exceeded")})
	s := sessions(aws.env(variables{"AWS_NEW_RETRIES_2026": "true"}))
	s.Random = func() float64 { return 0 }
	one := check(keys())
	one.Access.Backoff = backoff.EqualJitter{Base: 100 * time.Millisecond, Max: time.Minute, Count: 2}
	failed(t, s, one)
	calls := aws.seen("GetCallerIdentity")
	for i, low := range []time.Duration{50 * time.Millisecond, 100 * time.Millisecond} {
		if waited := calls[i+1].at.Sub(calls[i].at); waited < low || waited > low+late {
			t.Errorf("try %d came after %v, want %v", i+2, waited, low)
		}
	}
}

// The SDK's own bucket of retry tokens is empty after a hundred retries.
func TestManyRetriesAreAllMade(t *testing.T) {
	t.Parallel()
	const count = 150
	for name, tt := range map[string]struct {
		action string
		cross  bool
	}{
		"of a call":                              {"GetCallerIdentity", false},
		"of a call on the way to the credential": {"AssumeRole", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aws := newStub(t, answers{tt.action: stsError(400, "Throttling", "Rate exceeded")})
			one := check(keys())
			one.Access.Backoff = backoff.Fixed{Count: count}
			if tt.cross {
				one.Access.CrossAccount = &connector.CrossAccount{RoleARN: role}
			}
			f := failed(t, sessions(aws.env(nil)), one)
			if n := len(aws.seen(tt.action)); n != count+1 || f.Attempts != count+1 || f.Code != "Throttling" {
				t.Fatalf("the server saw %d tries, want %d: %+v", n, count+1, f)
			}
		})
	}
}

// A credential that cannot be had is not asked for again by the call that needs it: retries do not multiply.
func TestRetriesDoNotMultiply(t *testing.T) {
	t.Parallel()
	aws := newStub(t, answers{"AssumeRoleWithWebIdentity": stsError(503, "ServiceUnavailable", "no")})
	env := aws.env(variables{"AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": file(t, "token", "a.b.c")})
	one := check(connector.WebIdentityFile{})
	one.Access.CrossAccount = &connector.CrossAccount{RoleARN: role}
	one.Access.Backoff = backoff.Fixed{Count: 3}
	failed(t, sessions(env), one)
	if n := len(aws.seen("AssumeRoleWithWebIdentity")); n != 4 {
		t.Fatalf("STS was asked %d times, want 4", n)
	}
}

// What comes good within the retries is a success, behind a proxy that fails in AWS's ways before a real counterpart.
func TestFaultsThatPass(t *testing.T) {
	t.Parallel()
	moto := belaytest.SharedMoto(t)
	for _, fault := range []belaytest.Fault{
		belaytest.Throttling, belaytest.RequestLimitExceeded, belaytest.InternalError, belaytest.Unavailable,
		belaytest.HTMLBadGateway, belaytest.Reset, belaytest.SlowBody,
	} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			proxy := belaytest.FaultProxy(t, moto.URL)
			proxy.Slow = 100 * time.Millisecond
			proxy.Next(fault, fault)
			one := check(keys())
			one.Access.Backoff = backoff.Fixed{Wait: time.Millisecond, Count: 2}
			passed(t, sessions(variables{"AWS_ENDPOINT_URL": proxy.URL}), one)
			want := []string{"GetCallerIdentity", "GetCallerIdentity", "GetCallerIdentity", "DescribeRegions"}
			if fault == belaytest.SlowBody { // slow, but right
				want = []string{"GetCallerIdentity", "DescribeRegions"}
			}
			var got []string
			for _, r := range proxy.Requests() {
				got = append(got, r.Action)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("the proxy saw %v, want %v", got, want)
			}
		})
	}
	t.Run("a server that hangs ends with the check's time", func(t *testing.T) {
		t.Parallel()
		proxy := belaytest.FaultProxy(t, moto.URL)
		proxy.Next(belaytest.Forward, belaytest.Hang)
		one := check(keys())
		one.Timeout = 10 * time.Second
		began := time.Now()
		evidence := sessions(variables{"AWS_ENDPOINT_URL": proxy.URL}).Validate(t.Context(), one)
		f := evidence.Failure
		if f == nil || f.Reason != connector.ReasonTimeout || f.Step != connector.StepRegions || evidence.Identity == nil {
			t.Fatalf("got %+v", evidence)
		}
		if took := time.Since(began); took < one.Timeout || took > one.Timeout+late {
			t.Fatalf("it took %v", took)
		}
	})
}

// The SDK corrects a wrong clock and tries again. That is a success, with the difference in the evidence.
func TestAWrongClockIsCorrectedAndTold(t *testing.T) {
	t.Parallel()
	for name, skew := range map[string]time.Duration{"a clock that is behind": 20 * time.Minute, "a clock that is ahead": -20 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onTime := func(next http.HandlerFunc) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					now := time.Now().Add(skew)
					w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
					signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
					if err != nil || signed.Sub(now).Abs() > 5*time.Minute {
						stsError(403, "SignatureDoesNotMatch", fmt.Sprintf("Signature expired: %s is now earlier than …", r.Header.Get("X-Amz-Date")))(w, r)
						return
					}
					next(w, r)
				}
			}
			aws := newStub(t, answers{"GetCallerIdentity": onTime(page(200, "text/xml", identity(user)))})
			one := check(keys())
			one.IdentityOnly = true
			evidence := passed(t, sessions(aws.env(nil)), one)
			if off := (evidence.ClockSkew - skew).Abs(); off > late || len(aws.seen("GetCallerIdentity")) != 2 {
				t.Fatalf("the skew is %v after %d tries, want %v", evidence.ClockSkew, len(aws.seen("GetCallerIdentity")), skew)
			}
			if !evidence.RegionsSkipped || len(evidence.Regions) != 0 {
				t.Fatalf("got %+v", evidence)
			}

			// Without a retry it fails, and the difference is told all the same.
			one.Access.Backoff = backoff.Fixed{}
			evidence = sessions(aws.env(nil)).Validate(t.Context(), one)
			if f := evidence.Failure; f == nil || f.Code != "SignatureDoesNotMatch" || (evidence.ClockSkew-skew).Abs() > late {
				t.Fatalf("got %+v", evidence)
			}
		})
	}
	t.Run("a small difference is not told", func(t *testing.T) {
		t.Parallel()
		aws := newStub(t, answers{"GetCallerIdentity": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(2*time.Minute).UTC().Format(http.TimeFormat))
			_, _ = fmt.Fprint(w, identity(user))
		}})
		if evidence := passed(t, sessions(aws.env(nil)), check(keys())); evidence.ClockSkew != 0 {
			t.Fatalf("the skew is %v", evidence.ClockSkew)
		}
	})
}

// AWS takes a key of another partition for an unknown one; where it takes it, its ARN tells.
func TestAnIdentityOfAnotherPartition(t *testing.T) {
	t.Parallel()
	aws := newStub(t, answers{"GetCallerIdentity": page(200, "text/xml", identity("arn:aws-us-gov:iam::111111111111:user/belay"))})
	evidence := sessions(aws.env(nil)).Validate(t.Context(), check(keys()))
	f := evidence.Failure
	if f == nil || f.Reason != connector.ReasonPartition || f.Partition != "aws-us-gov" || f.Step != connector.StepIdentity || evidence.Identity == nil {
		t.Fatalf("got %+v", evidence)
	}
	if len(aws.seen("DescribeRegions")) > 0 {
		t.Fatal("DescribeRegions was called all the same")
	}
}
