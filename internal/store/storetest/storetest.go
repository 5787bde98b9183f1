// Package storetest is the contract of the store: what every database engine must do, as tests. Only tests import it.
package storetest

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/store"
)

// checks are tests by their sentence.
type checks map[string]func(t *testing.T, s *store.Store)

// Run runs the contract. open gives an empty store of its own to each test and closes it at the test's end.
func Run(t *testing.T, open func(*testing.T) *store.Store) {
	t.Helper()
	whole := checks{}
	for _, part := range []checks{
		organizations(), scopes(), audits(), issuers(), engines(),
		settled(secrets()), settled(identities()), settled(delegates()), settled(connectors()), settled(connectorLists()), settled(tests()), settled(summaries()), settled(preflights()), settled(definitions()), settled(firstGens()),
		settled(tasks()), settled(races()),
	} {
		maps.Copy(whole, part)
	}
	for sentence, check := range whole {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
}

// settled are checks whose store has the scopes of the tests.
func settled(list checks) checks {
	for sentence, check := range list {
		list[sentence] = func(t *testing.T, s *store.Store) {
			t.Helper()
			settle(t, s)
			check(t, s)
		}
	}
	return list
}

func settle(t *testing.T, s *store.Store) {
	t.Helper()
	for _, id := range []string{"org1", "org2"} {
		must(t, s.CreateOrganization(t.Context(), organization(id, id)))
	}
	for _, id := range []string{"prj1", "prj2"} {
		must(t, s.CreateProject(t.Context(), project("org1", id, id)))
	}
}

const acct = "kmpySmUISimoRrJL6NL73w"

// The scopes of the tests.
func account() scope.Scope { return scope.Scope{Account: acct} }
func org1() scope.Scope    { return scope.Scope{Account: acct, Org: "org1"} }
func prj1() scope.Scope    { return scope.Scope{Account: acct, Org: "org1", Project: "prj1"} }
func prj2() scope.Scope    { return scope.Scope{Account: acct, Org: "org1", Project: "prj2"} }
func org2() scope.Scope    { return scope.Scope{Account: acct, Org: "org2"} }

// everywhere is every scope, widest first.
func everywhere() []scope.Scope { return []scope.Scope{account(), org1(), prj1(), prj2(), org2()} }

// at is a moment with microseconds, n seconds after a fixed one.
func at(n int) time.Time {
	return time.Date(2026, time.March, 1, 12, 0, 0, 123_456_000, time.UTC).Add(time.Duration(n) * time.Second)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fails checks kind and sentence of an error: the sentence is for people, so it names the thing.
func fails(t *testing.T, err error, kind fault.Kind, words ...string) {
	t.Helper()
	if fault.KindOf(err) != kind {
		t.Fatalf("got kind %q of error %v, want %q", fault.KindOf(err), err, kind)
	}
	for _, word := range words {
		if !strings.Contains(fault.Sentence(err), word) {
			t.Fatalf("the sentence %q does not say %q", fault.Sentence(err), word)
		}
	}
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
}

// each is a list with one word for every element.
func each[T any](list []T, word func(T) string) []string {
	words := []string{}
	for _, one := range list {
		words = append(words, word(one))
	}
	return words
}

// together runs n functions at once and waits for all.
func together(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

func engines() checks {
	//nolint:thelper // these are the tests themselves
	return checks{
		"a fact that was never set is not found, and the last one set counts": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			_, err := s.Meta(ctx, "installation")
			fails(t, err, fault.NotFound, `"installation"`)
			must(t, s.SetMeta(ctx, "installation", "one"))
			must(t, s.SetMeta(ctx, "installation", "two"))
			got, err := s.Meta(ctx, "installation")
			must(t, err)
			same(t, got, "two")
		},
		"an open store answers a ping": func(t *testing.T, s *store.Store) { must(t, s.Ping(t.Context())) },
		"a closed store is unavailable": func(t *testing.T, s *store.Store) {
			must(t, s.Close())
			fails(t, s.SetMeta(t.Context(), "k", "v"), fault.Unavailable)
			_, err := s.Meta(t.Context(), "k")
			fails(t, err, fault.Unavailable)
			fails(t, s.Ping(t.Context()), fault.Unavailable)
		},
		"text that PostgreSQL cannot hold is invalid everywhere": func(t *testing.T, s *store.Store) {
			fails(t, s.SetMeta(t.Context(), "k", "a\x00b"), fault.Invalid, "NUL")
			fails(t, s.SetMeta(t.Context(), "k", "a\xffb"), fault.Invalid, "UTF-8")
		},
		"any other text comes back as it went": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for i, text := range []string{"", " ", "'; DROP TABLE meta; --", "$1 ? :a @b", "Zürich 東京 🧗", "a\nb\tc\r\n", `\`, "%_", "\u2028"} {
				k := fmt.Sprint("k", i)
				must(t, s.SetMeta(ctx, k, text))
				got, err := s.Meta(ctx, k)
				must(t, err)
				same(t, got, text)
			}
		},
		"a call whose context has ended changes nothing": func(t *testing.T, s *store.Store) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := s.SetMeta(ctx, "k", "v"); err == nil {
				t.Fatal("want an error")
			}
			_, err := s.Meta(t.Context(), "k")
			fails(t, err, fault.NotFound)
		},
	}
}
