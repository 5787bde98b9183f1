package catalogue_test

import (
	"fmt"
	"testing"

	"github.com/belay-dev/belay/iam/catalogue"
)

// BenchmarkFor makes policies: for what a small team asks for, and for the largest input that is taken.
func BenchmarkFor(b *testing.B) {
	largest := catalogue.Narrowing{}
	for i := range 100 {
		largest.Buckets = append(largest.Buckets, fmt.Sprintf("bucket-%d-*", i))
		largest.Clusters = append(largest.Clusters, fmt.Sprintf("*-cluster-%d", i))
		largest.Repositories = append(largest.Repositories, fmt.Sprintf("*/repository-%d", i))
		largest.Functions = append(largest.Functions, fmt.Sprintf("function-?-%d", i))
		largest.Roles = append(largest.Roles, fmt.Sprintf("*role*%d*", i))
	}
	for name, ask := range map[string]struct {
		capabilities []string
		narrowing    catalogue.Narrowing
		placement    catalogue.Placement
	}{
		"three capabilities": {[]string{"s3-read-write", "ecr-pull", "ecs"}, catalogue.Narrowing{Buckets: []string{"b"}, Clusters: []string{"c"}}, catalogue.Placement{Expand: true}},
		"everything":         {everything(), catalogue.Narrowing{}, catalogue.Placement{Expand: true}},
		"the largest input":  {everything(), largest, catalogue.Placement{Expand: true, MaxAttached: 100}},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := catalogue.For(ask.capabilities, ask.narrowing, ask.placement); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
