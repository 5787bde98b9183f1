package iam_test

import (
	"os"
	"strings"
	"testing"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/scenario"
)

// timing are the scenarios that are timed.
func timing(tb testing.TB) *scenario.File {
	tb.Helper()
	text, err := os.ReadFile("testdata/bench.json")
	if err != nil {
		tb.Fatal(err)
	}
	f, err := scenario.Parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

//nolint:paralleltest // allocations are counted, which other tests would disturb
func TestTimingScenarios(t *testing.T) {
	f := timing(t)
	result, err := f.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range result.Results {
		if a.Error != nil || a.Pass == nil || !*a.Pass {
			t.Errorf("%s: %+v", a.ID, a)
		}
	}
	for i := range f.Scenarios {
		q, failure := f.Scenarios[i].Question()
		if failure != nil {
			t.Fatal(failure)
		}
		if n := testing.AllocsPerRun(100, func() { q.Set.Decide(&q.Request) }); n != 0 {
			t.Errorf("%s: a decision allocates %v times", f.Scenarios[i].ID, n)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	f := timing(b)
	for i := range f.Scenarios {
		q, failure := f.Scenarios[i].Question()
		if failure != nil {
			b.Fatal(failure)
		}
		b.Run(f.Scenarios[i].ID, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				q.Set.Decide(&q.Request)
			}
		})
		b.Run(f.Scenarios[i].ID+"/explained", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				q.Set.Explain(&q.Request)
			}
		})
		b.Run(f.Scenarios[i].ID+"/parallel", func(b *testing.B) {
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					q.Set.Decide(&q.Request)
				}
			})
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	f := timing(b)
	for i := range f.Scenarios {
		b.Run(f.Scenarios[i].ID, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, failure := f.Scenarios[i].Question(); failure != nil {
					b.Fatal(failure)
				}
			}
		})
	}
}

// A pattern of many stars must not take exponential time.
func BenchmarkManyStars(b *testing.B) {
	pattern, text := "arn:aws:s3:::"+strings.Repeat("a*", 30)+"b", "arn:aws:s3:::"+strings.Repeat("a", 2048)
	for b.Loop() {
		if iam.MatchResource(pattern, text) {
			b.Fatal("it matches")
		}
	}
}
