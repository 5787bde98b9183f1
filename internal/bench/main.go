// Bench measures what Belay promises and prints a table: each figure beside a baseline that was measured in the same run
// on the same machine, because only their ratio means anything elsewhere.
//
// It drives the built program as processes of their own. Nothing here is a test: a figure that misses its goal is
// printed as it is.
//
//	go run ./internal/bench -belay bin/belay [-only REGEXP] [-quick]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"text/tabwriter"
	"time"
)

// row is one line of the table.
type row struct{ figure, value, baseline, ratio, goal, met string }

// scenario measures some figures.
type scenario struct {
	name string
	run  func(ctx context.Context, b *bench) ([]row, error)
}

// bench is what the scenarios share.
type bench struct {
	belay  string
	folder string
	quick  bool
}

func main() {
	program := flag.String("belay", "bin/belay", "the built program")
	only := flag.String("only", "", "run the scenarios whose names match")
	quick := flag.Bool("quick", false, "fewer delegates and shorter windows, to see that it works")
	serve := flag.String("serve-longpoll", "", "internal: be the bare long-poll server, with this folder's certificate")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *serve != "" {
		exit(serveLongPoll(ctx, *serve))
	}
	exit(run(ctx, *program, *only, *quick))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, program, only string, quick bool) error {
	match, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "belay-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }() // the machine's own cleaning gets the rest
	b := &bench{belay: program, folder: folder, quick: quick}
	fmt.Printf("Belay's figures, %s, %s\n\n", time.Now().UTC().Format(time.DateOnly), machine())
	out := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(out, "figure\tmeasured\tbaseline of this run\tratio\tgoal\tmet")
	for _, s := range []scenario{
		{"iam", engine},
		{"round-trip-1", roundTrip(1)},
		{"round-trip-1000", roundTrip(1000)},
		{"commits", commits},
		{"parked-10000", parked},
		{"delegate", delegateFootprint},
		{"version", version},
		{"connectors-10000", connectors},
	} {
		if !match.MatchString(s.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring", s.name)
		rows, err := s.run(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		for _, r := range rows {
			_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", r.figure, r.value, r.baseline, r.ratio, r.goal, r.met)
		}
	}
	return out.Flush()
}

func met(ok bool) string {
	if ok {
		return "yes"
	}
	return "no"
}
