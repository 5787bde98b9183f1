package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/belay-dev/belay/iam"
	question "github.com/belay-dev/belay/iam/scenario"
	"github.com/belay-dev/belay/iam/service"
)

// Sizes of the policy engine's inputs.
const (
	manyDocuments = 50
	seed          = 20260926 // of the choice of managed policies
)

// speed is what a decision costs.
type speed struct{ ns, allocs float64 }

// measure times f over about a second.
func measure(f func()) speed {
	r := testing.Benchmark(func(b *testing.B) {
		b.Helper()
		b.ReportAllocs()
		for b.Loop() {
			f()
		}
	})
	return speed{float64(r.T.Nanoseconds()) / float64(r.N), float64(r.AllocsPerOp())}
}

// engine measures the policy engine in this process: on the scenarios of iam/testdata, and on larger inputs that it makes
// of the embedded managed policies and service data.
func engine(ctx context.Context, _ *bench) ([]row, error) {
	text, err := os.ReadFile("iam/testdata/bench.json")
	if err != nil {
		return nil, err
	}
	file, err := question.Parse(text)
	if err != nil {
		return nil, err
	}
	data, err := service.Load()
	if err != nil {
		return nil, err
	}
	more, err := managed(manyDocuments)
	if err != nil {
		return nil, err
	}
	var rows []row
	for i := range file.Scenarios {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		one, err := timed(&file.Scenarios[i], more)
		if err != nil {
			return nil, err
		}
		rows = append(rows, one...)
	}
	last, err := whole(file, data)
	return append(rows, last...), err
}

// managed are some of the managed policies, the same each time.
func managed(n int) ([]question.Policy, error) {
	embedded, err := service.LoadManaged()
	if err != nil {
		return nil, err
	}
	all := slices.Collect(embedded.All())
	r := rand.New(rand.NewPCG(seed, 0))
	var out []question.Policy
	for _, i := range r.Perm(len(all))[:n] {
		out = append(out, question.Policy{Name: all[i].Name, Document: all[i].Document})
	}
	return out, nil
}

// goal is how long the decision of a scenario may take, in nanoseconds.
func goal(id string) float64 {
	switch name, _, _ := strings.Cut(id, "-"); name {
	case "S1":
		return 350
	case "S3":
		return 1500
	case "S5":
		return 7000
	}
	return 600
}

// timed measures one scenario: deciding, explaining, and deciding with fifty documents if it has ten.
func timed(s *question.Scenario, more []question.Policy) ([]row, error) {
	q, failure := s.Question()
	if failure != nil {
		return nil, fmt.Errorf("%s: %s", s.ID, failure.Message)
	}
	decide := measure(func() { q.Set.Decide(&q.Request) })
	explain := measure(func() { q.Set.Explain(&q.Request) })
	rows := []row{
		{s.ID + ", decision", fmt.Sprintf("%.0f ns, %.0f allocations", decide.ns, decide.allocs), "", "", fmt.Sprintf("at most %.2f µs, none", goal(s.ID)/1000), met(decide.ns <= goal(s.ID) && decide.allocs == 0)},
		{s.ID + ", with explanation", fmt.Sprintf("%.0f ns, %.0f allocations", explain.ns, explain.allocs), fmt.Sprintf("decision %.0f ns", decide.ns), fmt.Sprintf("%.1f×", explain.ns/decide.ns), "at most 5×, 40 allocations", met(explain.ns <= 5*decide.ns && explain.allocs <= 40)},
	}
	if len(s.IdentityPolicies) < 10 {
		return rows, nil
	}
	larger := *s
	larger.IdentityPolicies = slices.Concat(s.IdentityPolicies, more)[:manyDocuments]
	many, failure := larger.Question()
	if failure != nil {
		return nil, fmt.Errorf("%s with more documents: %s", s.ID, failure.Message)
	}
	decideMany := measure(func() { many.Set.Decide(&many.Request) })
	return append(rows, row{
		fmt.Sprintf("%s, %d documents", s.ID, manyDocuments), fmt.Sprintf("%.0f ns", decideMany.ns), fmt.Sprintf("%d documents %.0f ns", len(s.IdentityPolicies), decide.ns),
		fmt.Sprintf("%.2f×", decideMany.ns/decide.ns), "at most 1.5×", met(decideMany.ns <= 1.5*decide.ns),
	}), nil
}

// whole measures what goes over more than one decision.
func whole(file *question.File, data *service.Reference) ([]row, error) {
	i := slices.IndexFunc(file.Scenarios, func(s question.Scenario) bool { return s.ID == "S2-managed10" })
	if i < 0 {
		return nil, errors.New("there is no scenario S2-managed10")
	}
	ten := &file.Scenarios[i]
	q, failure := ten.Question()
	if failure != nil {
		return nil, errors.New(failure.Message)
	}
	compile := measure(func() { _, _ = ten.Question() })
	ms := func(ns float64) string { return fmt.Sprintf("%.3f ms", ns/1e6) }
	rows := []row{{"ten documents, parsed and compiled", fmt.Sprintf("%s, %.0f allocations", ms(compile.ns), compile.allocs), "", "", "at most 1 ms", met(compile.ns <= 1e6)}}

	var names []string
	for _, a := range data.Actions("*") {
		names = append(names, a.String())
	}
	every := measure(func() {
		r := q.Request
		for _, name := range names {
			r.Action = name
			q.Set.Decide(&r)
		}
	})
	rows = append(rows, row{fmt.Sprintf("all %d actions for one role", len(names)), ms(every.ns), "", "", "at most 30 ms", met(every.ns <= 30e6)})

	pattern, arn := "arn:aws:s3:::"+strings.Repeat("a*", 30)+"b", "arn:aws:s3:::"+strings.Repeat("a", 2048)
	stars := measure(func() { iam.MatchResource(pattern, arn) })
	rows = append(rows, row{"a pattern of 30 stars on 2 kB", ms(stars.ns), "", "", "at most 1 ms", met(stars.ns <= 1e6)})

	alone, together := throughput(q, 1), throughput(q, 2)
	return append(rows, row{
		"two goroutines, decisions", fmt.Sprintf("%.1f million a second", together/1e6), fmt.Sprintf("one %.1f million a second", alone/1e6),
		fmt.Sprintf("%.2f×", together/alone), "at least 1.9×", met(together >= 1.9*alone),
	}), nil
}

// throughput is how many decisions a second goroutines make with one set.
func throughput(q *question.Question, goroutines int) float64 {
	r := testing.Benchmark(func(b *testing.B) {
		b.Helper()
		done := make(chan struct{})
		for range goroutines {
			go func() {
				for range b.N {
					q.Set.Decide(&q.Request)
				}
				done <- struct{}{}
			}()
		}
		for range goroutines {
			<-done
		}
	})
	return float64(goroutines) * float64(r.N) / r.T.Seconds()
}
