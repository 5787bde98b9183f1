package iam_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/belay-dev/belay/iam"
)

const requestsPerSet = 8

// documents are all documents of a set of policies, with whether their statements have principals.
func documents(p *iam.Policies) (all []*iam.Document, principal []bool) {
	add := func(policies []iam.Policy, who bool) {
		for _, one := range policies {
			all, principal = append(all, one.Document), append(principal, who)
		}
	}
	add(p.Identity, false)
	add(p.Boundary, false)
	add(p.Session, false)
	add(p.Endpoint, true)
	for _, l := range p.SCP {
		add(l.Policies, false)
	}
	for _, l := range p.RCP {
		add(l.Policies, true)
	}
	if p.Resource != nil {
		add([]iam.Policy{*p.Resource}, true)
	}
	return all, principal
}

// show prints policies as the documents that they are, for a failure to be read.
func show(p iam.Policies) string {
	var b strings.Builder
	layer := func(name string, policies []iam.Policy) {
		for _, one := range policies {
			text, _ := one.Document.MarshalJSON()
			fmt.Fprintf(&b, "\n%s: %s", name, text)
		}
	}
	layer("identity", p.Identity)
	layer("boundary", p.Boundary)
	layer("session", p.Session)
	layer("endpoint", p.Endpoint)
	for _, l := range p.SCP {
		layer("scp", l.Policies)
	}
	for _, l := range p.RCP {
		layer("rcp", l.Policies)
	}
	if p.Resource != nil {
		layer("resource", []iam.Policy{*p.Resource})
	}
	return b.String()
}

func drawSettings(t *rapid.T) iam.Settings {
	s := iam.Settings{Discover: pick(t, "discover", false, false, true), RestrictPublicBuckets: pick(t, "restrict", false, false, true)}
	if s.Discover {
		s.Knowledge = drawKnowledge(t)
	}
	return s
}

func drawKnowledge(t *rapid.T) []iam.Knowledge {
	var all []iam.Knowledge
	for _, k := range some(t, "known keys", 0, 3, keyNames...) {
		all = append(all, iam.Knowledge{Key: k, PresenceKnown: rapid.Bool().Draw(t, "presence known"), ValueKnown: rapid.Bool().Draw(t, "value known")})
	}
	return all
}

// insert adds a statement to one of the documents, at some place. It reports whether there was a document.
func insert(t *rapid.T, p *iam.Policies, effect iam.Effect) bool {
	all, principal := documents(p)
	if len(all) == 0 {
		return false
	}
	i := rapid.IntRange(0, len(all)-1).Draw(t, "document")
	d := all[i]
	at := rapid.IntRange(0, len(d.Statements)).Draw(t, "place")
	d.Statements = slices.Insert(slices.Clone(d.Statements), at, drawStatement(t, effect, principal[i]))
	return true
}

// decisions are the answers to several requests.
func decisions(s *iam.Set, requests []iam.Request) []iam.Decision {
	all := make([]iam.Decision, len(requests))
	for i := range requests {
		all[i] = s.Decide(&requests[i])
	}
	return all
}

// A public bucket policy under RestrictPublicBuckets grants less than one that is not public, so that there one Allow
// more can take away: that setting is left out here, and TestRestrictedBucketsAreTheException shows it.
func TestAddingAnAllowNeverMakesWorse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, settings, requests := drawLayers(t), drawSettings(t), drawRequests(t)
		settings.RestrictPublicBuckets = false
		before := decisions(compile(t, p, settings), requests)
		if !insert(t, &p, iam.Allow) {
			return
		}
		for i, after := range decisions(compile(t, p, settings), requests) {
			if rank(after) < rank(before[i]) {
				t.Fatalf("%s became %s: %+v%s", before[i], after, requests[i], show(p))
			}
		}
	})
}

func TestRestrictedBucketsAreTheException(t *testing.T) {
	t.Parallel()
	d := full(true)
	d.Statements[0].Principal = &iam.Principals{AWS: []string{abroad}}
	p := iam.Policies{Resource: &iam.Policy{Name: "bucket", Document: d}, Identity: []iam.Policy{{Name: "full", Document: full(false)}}}
	r := iam.Request{Principal: mustPrincipal("arn:aws:iam::" + abroad + ":user/x"), Action: "s3:GetObject", Resource: "arn:aws:s3:::b/x", ResourceAccount: home}
	for _, want := range []iam.Decision{iam.Allowed, iam.ImplicitlyDenied} {
		set, err := iam.Compile(p, iam.Settings{RestrictPublicBuckets: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := set.Decide(&r); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		d.Statements = append(d.Statements, full(true).Statements...)
	}
}

func TestAddingADenyNeverGrants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, settings, requests := drawLayers(t), drawSettings(t), drawRequests(t)
		before := decisions(compile(t, p, settings), requests)
		if !insert(t, &p, iam.Deny) {
			return
		}
		for i, after := range decisions(compile(t, p, settings), requests) {
			if rank(after) > rank(before[i]) {
				t.Fatalf("%s became %s: %+v%s", before[i], after, requests[i], show(p))
			}
		}
	})
}

// shuffled is the same in another order.
func shuffled[T any](t *rapid.T, values []T) []T {
	if values == nil {
		return nil
	}
	if len(values) < 2 {
		return slices.Clone(values)
	}
	return rapid.Permutation(values).Draw(t, "order")
}

func shuffledPolicies(t *rapid.T, policies []iam.Policy) []iam.Policy {
	out := shuffled(t, policies)
	for i := range out {
		d := *out[i].Document
		d.Statements = shuffled(t, d.Statements)
		for j := range d.Statements {
			s := &d.Statements[j]
			s.Action.Values = shuffled(t, s.Action.Values)
			s.Resource.Values = shuffled(t, s.Resource.Values)
			s.Conditions = shuffled(t, s.Conditions)
			for k := range s.Conditions {
				s.Conditions[k].Values = shuffled(t, s.Conditions[k].Values)
			}
			if s.Principal != nil {
				who := *s.Principal
				who.AWS, who.Service, who.Federated = shuffled(t, who.AWS), shuffled(t, who.Service), shuffled(t, who.Federated)
				s.Principal = &who
			}
		}
		out[i].Document = &d
	}
	return out
}

func shuffledLevels(t *rapid.T, levels []iam.Level) []iam.Level {
	out := shuffled(t, levels)
	for i := range out {
		out[i].Policies = shuffledPolicies(t, out[i].Policies)
	}
	return out
}

func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, settings, requests := drawLayers(t), drawSettings(t), drawRequests(t)
		q := iam.Policies{
			Identity: shuffledPolicies(t, p.Identity), Boundary: shuffledPolicies(t, p.Boundary), Session: shuffledPolicies(t, p.Session),
			Endpoint: shuffledPolicies(t, p.Endpoint), SCP: shuffledLevels(t, p.SCP), RCP: shuffledLevels(t, p.RCP), Resource: p.Resource,
		}
		if p.Resource != nil {
			q.Resource = &shuffledPolicies(t, []iam.Policy{*p.Resource})[0]
		}
		one, other := compile(t, p, settings), compile(t, q, settings)
		for i := range requests {
			x, y := one.Explain(&requests[i]), other.Explain(&requests[i])
			if x.Decision != y.Decision || !slices.Equal(x.BlockedBy, y.BlockedBy) || !slices.Equal(x.Missing, y.Missing) || len(x.Statements) != len(y.Statements) {
				t.Fatalf("%+v\nis %s %v %v: %s\nor %s %v %v: %s", requests[i], x.Decision, x.BlockedBy, x.Missing, show(p), y.Decision, y.BlockedBy, y.Missing, show(q))
			}
		}
	})
}

// narrower is a pattern that matches some of what the given one does.
func narrower(t *rapid.T, pattern string, letters ...string) string {
	var places []int
	for i := range len(pattern) {
		if pattern[i] == '*' || pattern[i] == '?' {
			places = append(places, i)
		}
	}
	if len(places) == 0 || strings.Contains(pattern, "${") {
		return pattern
	}
	i := pick(t, "wildcard", places...)
	with := pick(t, "letter", letters...)
	if pattern[i] == '*' {
		with = pick(t, "instead", "", "?", with, with+"*", "*"+with, "?*", "**")
	}
	return pattern[:i] + with + pattern[i+1:]
}

// narrow makes one Allow statement match less.
func narrow(t *rapid.T, p *iam.Policies) bool {
	all, _ := documents(p)
	for _, d := range rapid.Permutation(append([]*iam.Document{{}}, all...)).Draw(t, "documents") {
		d.Statements = slices.Clone(d.Statements)
		for i := range d.Statements {
			s := &d.Statements[i]
			if s.Effect != iam.Allow {
				continue
			}
			patterns, letters, least, more := &s.Resource, []string{"x", "y", "b", "/"}, "arn:*:*:*:*:*", "arn:aws:s3:::b/x"
			if rapid.Bool().Draw(t, "by action") {
				patterns, letters, least, more = &s.Action, []string{"G", "g", "s", "o"}, "*:*", "s3:GetObject"
			}
			patterns.Values = slices.Clone(patterns.Values)
			if patterns.Negated {
				patterns.Values = append(patterns.Values, more)
				return true
			}
			at := rapid.IntRange(0, len(patterns.Values)-1).Draw(t, "value")
			if patterns.Values[at] == "*" { // its wildcard crosses the colons, which no other does
				patterns.Values[at] = least
			}
			patterns.Values[at] = narrower(t, patterns.Values[at], letters...)
			// A policy variable without a value keeps its whole statement from matching, so to drop one may widen.
			if len(patterns.Values) > 1 && !strings.Contains(patterns.Values[at], "${") && rapid.Bool().Draw(t, "drop") {
				patterns.Values = slices.Delete(patterns.Values, at, at+1)
			}
			return true
		}
	}
	return false
}

func TestANarrowedStatementAllowsASubset(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, settings, requests := drawLayers(t), drawSettings(t), drawRequests(t)
		before, wide := decisions(compile(t, p, settings), requests), show(p)
		if !narrow(t, &p) {
			return
		}
		for i, after := range decisions(compile(t, p, settings), requests) {
			if rank(after) > rank(before[i]) {
				t.Fatalf("%s became %s: %+v%s\nnarrowed:%s", before[i], after, requests[i], wide, show(p))
			}
		}
	})
}

func TestTheExplanationAgreesWithTheDecision(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, settings, requests := drawLayers(t), drawSettings(t), drawRequests(t)
		set := compile(t, p, settings)
		for i := range requests {
			r := &requests[i]
			d, x := set.Decide(r), set.Explain(r)
			deny := slices.ContainsFunc(x.Statements, func(s iam.Reference) bool { return s.Effect == iam.Deny })
			allow := slices.ContainsFunc(x.Statements, func(s iam.Reference) bool { return s.Effect == iam.Allow })
			needsNone := r.Principal.Kind() == iam.KindRoot || r.Action == "sts:GetCallerIdentity"
			switch {
			case d != x.Decision:
				t.Fatalf("decided %s, explained %s: %+v%s", d, x.Decision, *r, show(p))
			case deny != (d == iam.ExplicitlyDenied), allow && deny:
				t.Fatalf("%s by %v: %+v%s", d, x.Statements, *r, show(p))
			case d == iam.Allowed && (len(x.BlockedBy) > 0 || len(x.Missing) > 0 || !allow && !needsNone):
				t.Fatalf("allowed, blocked by %v, missing %v, by %v: %+v%s", x.BlockedBy, x.Missing, x.Statements, *r, show(p))
			case len(x.Lines()) == 0 || x.Lines()[0] == "":
				t.Fatalf("nothing is said of %+v", *r)
			}
		}
	})
}

// What is unknown counts in favour of the request: no completion of the context, and no name of the session, does better
// than discovery.
func TestDiscoveryIsNeverWorseThanACompletion(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, requests := drawLayers(t), drawRequests(t)
		settings := iam.Settings{Discover: true, Knowledge: drawKnowledge(t)}
		strict, discover := compile(t, p, iam.Settings{}), compile(t, p, settings)
		for i := range requests {
			r := requests[i]
			best := discover.Decide(&r)
			if got := strict.Decide(&r); rank(got) > rank(best) {
				t.Fatalf("discovered %s, but strictly %s: %+v %v%s", best, got, r, settings.Knowledge, show(p))
			}
			completed := completion(t, r, settings.Knowledge)
			if got := strict.Decide(&completed); rank(got) > rank(best) {
				t.Fatalf("discovered %s, but %s with %+v: %+v %v%s", best, got, completed, r, settings.Knowledge, show(p))
			}
		}
	})
}

// completion is what a request may prove to be when all about it is known.
func completion(t *rapid.T, r iam.Request, known []iam.Knowledge) iam.Request {
	have := r.Context
	r.Context = iam.Context{}
	for _, k := range keyNames {
		v, list, present := have.Value(k)
		presenceKnown, valueKnown := present, present
		if i := slices.IndexFunc(known, func(one iam.Knowledge) bool { return one.Key == k }); i >= 0 {
			presenceKnown, valueKnown = known[i].PresenceKnown, known[i].ValueKnown
		}
		if !presenceKnown {
			present = pick(t, "present", false, true) && (!valueKnown || present)
		}
		switch {
		case !present:
		case !valueKnown:
			drawKey(t, &r.Context, k)
			if list != nil && pick(t, "one", true, false) {
				r.Context.SetList(k, some(t, k, 1, 2, keys[k]...))
			}
		case list != nil:
			r.Context.SetList(k, list)
		default:
			r.Context.Set(k, v)
		}
	}
	if r.Principal.String() == role && pick(t, "as a session", true, false) {
		p, err := mustPrincipal(session).WithRole(role)
		if err != nil {
			t.Fatal(err)
		}
		r.Principal = p
	}
	return r
}

// anyDocument has texts of all kinds, and nothing that only positions or empty lists would tell apart.
func anyDocument(t *rapid.T) *iam.Document {
	word := rapid.OneOf(rapid.StringN(0, 8, -1), rapid.SampledFrom([]string{"*", "${x}", "a<b>&", "\u2028\x00\"\\", "true", "10"}))
	words := rapid.SliceOfN(word, 0, 3)
	d := &iam.Document{Version: word.Draw(t, "version"), ID: word.Draw(t, "id"), Statements: []iam.Statement{}}
	for range rapid.IntRange(0, 3).Draw(t, "statements") {
		s := drawStatement(t, drawEffect(t), rapid.Bool().Draw(t, "principal"))
		s.SID = word.Draw(t, "sid")
		s.Action.Values = words.Draw(t, "action")
		if s.Resource.Values = words.Draw(t, "resource"); rapid.Bool().Draw(t, "no resource") {
			s.Resource = iam.Patterns{}
		}
		if s.Principal != nil && !s.Principal.Any {
			s.Principal.CanonicalUser = words.Draw(t, "canonical user")
		}
		for i := range s.Conditions {
			s.Conditions[i].Values = words.Draw(t, "values")
		}
		s.Conditions = grouped(s.Conditions)
		d.Statements = append(d.Statements, s)
	}
	return d
}

// grouped brings together what is under one operator, as a document does.
func grouped(all []iam.Condition) []iam.Condition {
	return slices.SortedStableFunc(slices.Values(all), func(a, b iam.Condition) int { return strings.Compare(a.Name(), b.Name()) })
}

func TestParsingWhatWasPrintedGivesTheSame(t *testing.T) {
	t.Parallel()
	noPlaces := cmpopts.IgnoreTypes(iam.Position{}, []iam.Position{})
	rapid.Check(t, func(t *rapid.T) {
		d := anyDocument(t)
		compact, err := d.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range [][]byte{compact, d.Indent()} {
			again, err := iam.Parse(text)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if diff := cmp.Diff(d, again, noPlaces, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%s: %s", text, diff)
			}
		}
	})
}
