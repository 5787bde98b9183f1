package delegate_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/store"
)

// fleet is a registry on the real store, with the organization o and its project p.
func fleet(t *testing.T, now func() time.Time) (*delegate.Registry, func() *delegate.Registry) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: filepath.Join(t.TempDir(), "belay.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.CreateOrganization(t.Context(), org.Organization{Account: "a", ID: "o", Name: "o"}); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateProject(t.Context(), org.Project{Account: "a", Org: "o", ID: "p", Name: "p"}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	start := func() *delegate.Registry {
		r := &delegate.Registry{Store: s, Audit: &audit.Trail{Store: s, Log: log, Now: now}, Log: log, Now: now}
		if err := r.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		return r
	}
	return start(), start
}

func add(tags ...string) func([]string) []string {
	return func(before []string) []string { return append(before, tags...) }
}

func TestTagsOfAGroup(t *testing.T) {
	t.Parallel()
	r, restart := fleet(t, time.Now)
	ctx, who, at := t.Context(), audit.System("a", "test"), scope.Scope{Account: "a"}
	for _, host := range []string{"h1", "h2"} {
		if _, err := r.Register(ctx, delegate.Delegate{Scope: at, Name: "eks-1", HostName: host, Tags: []string{"Own"}}); err != nil {
			t.Fatal(err)
		}
	}
	inside := scope.Scope{Account: "a", Org: "o"}
	if _, err := r.Register(ctx, delegate.Delegate{Scope: inside, Name: "eks-1", HostName: "h3"}); err != nil {
		t.Fatal(err)
	}
	tags := func(r *delegate.Registry) string {
		var out []string
		for _, d := range r.InAccount("a") {
			out = append(out, d.HostName+":"+strings.Join(d.Tags, ","))
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	for _, step := range []struct {
		name, id string
		change   func([]string) []string
		given    string
		all      string
	}{
		{"some are added", "eks-1", add("gpu", "own", "GPU"), "[gpu own]", "h1:Own,gpu h2:Own,gpu h3:"},
		{"more, by another case", "EKS-1", add("a b"), "[gpu own a b]", "h1:Own,gpu,a b h2:Own,gpu,a b h3:"},
		{"others in their place, by the identifier", "eks_1", func([]string) []string { return []string{"x"} }, "[x]", "h1:Own,x h2:Own,x h3:"},
	} {
		g, err := r.Tag(ctx, who, at, step.id, step.change)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if g.Name != "eks-1" || fmt.Sprint(g.Given) != step.given || tags(r) != step.all {
			t.Errorf("%s: %+v, %s", step.name, g, tags(r))
		}
	}
	if got := tags(restart()); got != "h1:Own,x h2:Own,x h3:" {
		t.Errorf("after a restart: %s", got)
	}
	if got := r.Choose(delegate.Need{Scope: at, Selectors: []string{"own", "x"}}).Eligible(); len(got) != 2 {
		t.Errorf("%d may take work for both tags", len(got))
	}
	for _, one := range []struct {
		at   scope.Scope
		tags []string
		want string
	}{
		{at, nil, "eks-1@account eks-1@o"}, {at, []string{"X", "own", "eks-1"}, "eks-1@account"}, {at, []string{"y"}, ""}, {inside, nil, "eks-1@account eks-1@o"},
	} {
		list, err := r.Groups(ctx, who, one.at, one.tags)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, g := range list {
			got = append(got, g.Name+"@"+g.Scope.String())
		}
		if strings.Join(got, " ") != one.want {
			t.Errorf("groups with %v: %v", one.tags, got)
		}
	}
	if g, err := r.Tag(ctx, who, at, "eks-1", func([]string) []string { return nil }); err != nil || len(g.Given) != 0 || tags(r) != "h1:Own h2:Own h3:" {
		t.Errorf("%+v, %v, %s", g, err, tags(r))
	}
	if got := tags(restart()); got != "h1:Own h2:Own h3:" {
		t.Errorf("taken away, and after a restart: %s", got)
	}
}

func TestTagsThatCannotBeGiven(t *testing.T) {
	t.Parallel()
	r, _ := fleet(t, time.Now)
	ctx, who, at := t.Context(), audit.System("a", "test"), scope.Scope{Account: "a"}
	for _, name := range []string{"eks", "a b", "a-b"} {
		if _, err := r.Register(ctx, delegate.Delegate{Scope: at, Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprint("t", i)
	}
	viewer := audit.Caller{Account: "a", ID: "v", Name: "v", Grants: []audit.Grant{{Scope: at, Role: audit.Viewer}}}
	for name, tt := range map[string]struct {
		who  audit.Caller
		at   scope.Scope
		id   string
		tags []string
		kind fault.Kind
		says string
	}{
		"of no group":         {who, at, "none", []string{"x"}, fault.NotFound, "none"},
		"in another scope":    {who, scope.Scope{Account: "a", Org: "o"}, "eks", []string{"x"}, fault.NotFound, "at o"},
		"an ambiguous name":   {who, at, "a_b", []string{"x"}, fault.Invalid, "a b, a-b"},
		"an empty one":        {who, at, "eks", []string{"x", " "}, fault.Invalid, "tags[1]"},
		"one with a comma":    {who, at, "eks", []string{"x,y"}, fault.Invalid, "comma"},
		"one with a line end": {who, at, "eks", []string{"x\n"}, fault.Invalid, "control"},
		"too long a one":      {who, at, "eks", []string{strings.Repeat("ü", 129)}, fault.Invalid, "129 characters"},
		"too many":            {who, at, "eks", many, fault.Invalid, "at most 100"},
		"by a viewer":         {viewer, at, "eks", []string{"x"}, fault.Denied, "needs editor"},
	} {
		if _, err := r.Tag(ctx, tt.who, tt.at, tt.id, add(tt.tags...)); fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if g, err := r.Group(ctx, viewer, at, "eks"); err != nil || len(g.Given) != 0 {
		t.Errorf("%+v %v", g, err)
	}
	if _, err := r.Group(ctx, audit.Caller{Account: "b"}, at, "eks"); !errors.Is(err, fault.Denied) {
		t.Error(err)
	}
}

// The tags of a group are kept while it is away, and end with it.
func TestTagsOfAGroupEndWithIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{rows: map[delegate.ID]delegate.Delegate{}}
		r := registry(t, m)
		ctx, cancel := context.WithCancel(t.Context())
		r.Audit = &audit.Trail{Store: m, Log: r.Log, Now: time.Now}
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		who, at := audit.System("a", "test"), scope.Scope{Account: "a"}
		d, err := r.Register(ctx, delegate.Delegate{Scope: at, Name: "eks", HostName: "h"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Tag(ctx, who, at, "eks", add("x")); err != nil {
			t.Fatal(err)
		}
		if err := r.Forget(ctx, d.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(delegate.GroupGoneAfter - time.Hour)
		back, err := r.Register(ctx, delegate.Delegate{Scope: at, Name: "eks", HostName: "other"})
		if err != nil || !back.HasTag("x") {
			t.Fatalf("it came back with %v, %v", back.Tags, err)
		}
		if err := r.Forget(ctx, back.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(delegate.GroupGoneAfter + time.Hour)
		if _, err := r.Group(ctx, who, at, "eks"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("after it was gone for long: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// TestWhoFits: those who get work without a reason being asked for are those who are eligible where one is.
func TestWhoFits(t *testing.T) {
	t.Parallel()
	clock := time.Now()
	r, _ := fleet(t, func() time.Time { return clock })
	ctx, account := t.Context(), scope.Scope{Account: "a"}
	inside := scope.Scope{Account: "a", Org: "o"}
	made := map[string]delegate.ID{}
	for _, d := range []delegate.Delegate{
		{Name: "silent", Scope: account},
		{Name: "revoked", Scope: account, TokenID: "t"},
		{Name: "tagged", Scope: account, Tags: []string{"eks"}},
		{Name: "given", Scope: account},
		{Name: "inside", Scope: inside, Tags: []string{"eks"}},
		{Name: "other", Scope: account, Kinds: []string{"OTHER"}},
		{Name: "busy", Scope: account, Tags: []string{"eks"}},
		{Name: "draining", Scope: account, Tags: []string{"eks"}},
		{Name: "bare", Scope: account},
	} {
		registered, err := r.Register(ctx, d)
		if err != nil {
			t.Fatal(err)
		}
		made[d.Name] = registered.ID
	}
	if _, err := r.Tag(ctx, audit.System("a", "test"), account, "given", add("eks")); err != nil {
		t.Fatal(err)
	}
	r.CutOff("t")
	clock = clock.Add(delegate.SilentAfter + time.Second)
	for name, id := range made {
		if name == "silent" {
			continue
		}
		report := &delegate.Report{Draining: name == "draining"}
		if name == "busy" {
			report.Busy = "CPU at 93 %"
		}
		if _, err := r.Seen("a", id, report); err != nil {
			t.Fatal(err)
		}
	}
	names := func(all []delegate.Delegate) string {
		var out []string
		for _, d := range all {
			out = append(out, d.Name)
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	for _, tt := range []struct {
		need delegate.Need
		want string
	}{
		{delegate.Need{Scope: account}, "bare given other tagged"},
		{delegate.Need{Scope: account, Selectors: []string{"EKS"}}, "given tagged"},
		{delegate.Need{Scope: inside, Selectors: []string{"eks"}}, "given inside tagged"},
		{delegate.Need{Scope: account, Kind: "WORK"}, "bare given tagged"},
		{delegate.Need{Scope: account, Selectors: []string{"eks"}, Tried: []delegate.ID{made["tagged"]}}, "given"},
		{delegate.Need{Scope: account, MinVersion: delegate.OIDCSince(), MinReason: "OIDC"}, ""},
		{delegate.Need{Scope: scope.Scope{Account: "b"}}, ""},
	} {
		got, eligible := names(r.Fit(tt.need)), names(r.Choose(tt.need).Eligible())
		if got != eligible || got != tt.want {
			t.Errorf("%+v: %q fit, %q are eligible, want %q", tt.need, got, eligible, tt.want)
		}
	}
}
