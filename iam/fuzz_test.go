package iam_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/belay-dev/belay/iam"
)

// FuzzParse finds panics, places outside the text, and documents that do not survive printing.
func FuzzParse(f *testing.F) {
	bench, err := os.ReadFile("testdata/bench.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bench[:min(len(bench), 2000)])
	for _, seed := range []string{
		`{"Version":"2012-10-17","Id":"x","Statement":[{"Sid":"a","Effect":"Allow","Action":"s3:*","Resource":["*"],"Condition":{"ForAllValues:StringLikeIfExists":{"aws:TagKeys":["a",1,true,1e3]},"Null":{"x":false}}}]}`,
		`{"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":["*"],"Service":"ec2.amazonaws.com","Federated":[],"CanonicalUser":"c"},"NotAction":[],"NotResource":"\ud800"}}`,
		"{\"Statement\":[],\n \"Statement\":[{}]}", "\xef\xbb\xbf{}", `{"Statement":[]}x`, `[[[[[[[[[[[[[[[[[[`, "{\"Statement\":\"\xff\"}", `{"a":1`, `{"Statement":[],}`, `-01`, `"\u12"`,
	} {
		f.Add([]byte(seed))
	}
	noPlaces := cmpopts.IgnoreTypes(iam.Position{}, []iam.Position{})
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := iam.Parse(text)
		if err != nil {
			var all *iam.ParseError
			if broken := strings.Contains(err.Error(), "this is not JSON"); broken == json.Valid(text) && !strings.Contains(err.Error(), "nests deeper") {
				t.Fatalf("encoding/json does not agree with: %v", err)
			}
			if d != nil || !errors.As(err, &all) || len(all.Problems) == 0 {
				t.Fatalf("%v, %v", d, err)
			}
			for _, p := range all.Problems {
				within(t, text, p.Pos)
			}
			return
		}
		if !json.Valid(text) {
			t.Fatal("encoding/json does not take it for JSON")
		}
		for i := range d.Statements {
			s := &d.Statements[i]
			within(t, text, s.Pos)
			within(t, text, s.End)
			if text[s.Pos.Offset] != '{' || text[s.End.Offset-1] != '}' {
				t.Fatalf("statement %d is not at %+v to %+v", i, s.Pos, s.End)
			}
		}
		printed, err := d.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := iam.Parse(printed)
		if err != nil {
			t.Fatalf("%s: %v", printed, err)
		}
		if diff := cmp.Diff(d, again, noPlaces); diff != "" {
			t.Fatalf("%s: %s", printed, diff)
		}
		if _, err := iam.Compile(iam.Policies{Identity: []iam.Policy{{Document: d}}, Resource: &iam.Policy{Document: d}, SCP: []iam.Level{{Policies: []iam.Policy{{Document: d}}}}}, iam.Settings{RestrictPublicBuckets: true}); err != nil {
			t.Fatal(err)
		}
	})
}

// within checks that a place is one of the text: its line and column are those of its offset.
func within(t *testing.T, text []byte, at iam.Position) {
	t.Helper()
	if at.Offset < 0 || at.Offset > len(text) {
		t.Fatalf("%+v is outside of %d bytes", at, len(text))
	}
	before := string(text[:at.Offset])
	if at.Line != 1+strings.Count(before, "\n") || at.Column != len(before)-strings.LastIndex(before, "\n") {
		t.Fatalf("%+v has a wrong line or column", at)
	}
}

// globTwin matches by trying everything.
func globTwin(p, s []rune) bool {
	switch {
	case len(p) == 0:
		return len(s) == 0
	case p[0] == '*':
		return globTwin(p[1:], s) || len(s) > 0 && globTwin(p, s[1:])
	case len(s) == 0:
		return false
	}
	return (p[0] == '?' || p[0] == s[0]) && globTwin(p[1:], s[1:])
}

func FuzzGlob(f *testing.F) {
	for _, seed := range [][2]string{
		{"", ""}, {"*", "abc"}, {"a*b?c", "axxbyc"}, {"**a", "ba"}, {"?", "é"}, {"*?*", "日"}, {"a*", "a"}, {"ab", "ab"}, {"*a*a*b", "aaaaaaaa"}, {"é*", "éé"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(text) || len(pattern) > 12 || len(text) > 16 {
			return // the twin takes exponential time
		}
		if got, want := iam.MatchGlob(pattern, text), globTwin([]rune(pattern), []rune(text)); got != want {
			t.Fatalf("%q on %q: got %v, want %v", pattern, text, got, want)
		}
	})
}

// words are all texts of the letters up to a length.
func words(length int, letters ...string) []string {
	all, last := []string{""}, []string{""}
	for range length {
		var next []string
		for _, w := range last {
			for _, l := range letters {
				next = append(next, w+l)
			}
		}
		all, last = append(all, next...), next
	}
	return all
}

// requestTwin matches a request's pattern, whose ? is a plain character.
func requestTwin(p, s string) bool {
	return globTwin([]rune(strings.ReplaceAll(p, "?", "!")), []rune(strings.ReplaceAll(s, "?", "!")))
}

// TestOverlapAndCover compares with brute force over all short patterns and texts. The texts have a letter that no pattern
// has, and are longer than the patterns, so that each difference shows in one of them.
func TestOverlapAndCover(t *testing.T) {
	t.Parallel()
	const most = 3
	patterns, requests, texts := words(most, "a", "b", "*", "?"), words(most, "a", "b", "*"), words(2*most, "a", "b", "c")
	matched := func(match func(p, s string) bool, patterns []string) map[string][]bool {
		all := map[string][]bool{}
		for _, p := range patterns {
			row := make([]bool, len(texts))
			for i, s := range texts {
				row[i] = match(p, s)
			}
			all[p] = row
		}
		return all
	}
	byPattern := matched(func(p, s string) bool { return globTwin([]rune(p), []rune(s)) }, patterns)
	for p, these := range byPattern {
		for q, those := range byPattern {
			want := slices.ContainsFunc(indexes(these), func(i int) bool { return those[i] })
			if got := iam.OverlapGlob(p, q); got != want {
				t.Errorf("%q overlaps %q: got %v, want %v", p, q, got, want)
			}
		}
		for _, q := range requests {
			want := !slices.ContainsFunc(indexes(byPattern[q]), func(i int) bool { return !these[i] })
			if got := iam.CoversGlob(p, q); got != want {
				t.Errorf("%q covers %q: got %v, want %v", p, q, got, want)
			}
		}
	}
}

// indexes are those of what is true.
func indexes(row []bool) []int {
	var all []int
	for i, yes := range row {
		if yes {
			all = append(all, i)
		}
	}
	return all
}

// FuzzOverlap holds overlap and cover to what one text tells of them.
func FuzzOverlap(f *testing.F) {
	for _, seed := range [][3]string{{"a*", "*b", "ab"}, {"*", "a*?", "a?"}, {"a?c", "abc", "abc"}, {"a*b*c", "a*c", "abc"}, {"é?", "*", "éa"}, {"?*", "*?", "x"}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, p, q, text string) {
		if !utf8.ValidString(p+q+text) || !utf8.ValidString(p) || !utf8.ValidString(q) || len(p) > 10 || len(q) > 10 || len(text) > 14 {
			return
		}
		if iam.OverlapGlob(p, q) != iam.OverlapGlob(q, p) {
			t.Fatalf("%q and %q overlap in one direction only", p, q)
		}
		one, other := globTwin([]rune(p), []rune(text)), globTwin([]rune(q), []rune(text))
		if one && other && !iam.OverlapGlob(p, q) {
			t.Fatalf("%q and %q both match %q", p, q, text)
		}
		if requestTwin(q, text) && !one && iam.CoversGlob(p, q) {
			t.Fatalf("%q does not match %q, which %q stands for", p, text, q)
		}
		if !iam.CoversGlob(q, strings.ReplaceAll(q, "?", "*")) && !strings.Contains(q, "?") {
			t.Fatalf("%q does not cover itself", q)
		}
	})
}

func FuzzARN(f *testing.F) {
	for _, seed := range []string{"", "*", "arn:aws:s3:::b/x", "arn:aws:logs:eu-west-1:111111111111:log-group:a:*", "arn:aws:s3", "::::::", "arn:aws:s3:::${a:b}/c", "a:${b", "${a}:${b:c,'d:e'}:x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := strings.SplitN(s, ":", 6)
		got, whole := iam.CutARN(s)
		if whole != (len(want) == 6) || !slices.Equal(got[:len(want)], want) || strings.Join(got[len(want):], "") != "" {
			t.Fatalf("cut into %q, want %q", got, want)
		}
		split := iam.SplitARN(s)
		if strings.Join(split, ":") != s || len(split) > 6 {
			t.Fatalf("split into %q", split)
		}
		if !strings.Contains(s, "${") && !slices.Equal(split, want) {
			t.Fatalf("split into %q, want %q", split, want)
		}
		if _, err := iam.ParsePrincipal(s); err == nil && len(want) != 6 {
			t.Fatalf("%q is no ARN", s)
		}
		if utf8.ValidString(s) && whole && !strings.ContainsAny(s, "*?") && (!iam.MatchResource(s, s) || !iam.OverlapResource(s, s)) {
			t.Fatal("it does not match itself")
		}
		if !iam.MatchResource("*", s) || !strings.ContainsRune(s, '$') && iam.MatchResource("arn:*:*:*:*:*", s) != (whole && want[0] == "arn") {
			t.Fatal("stars do not match it")
		}
	})
}

// dateTwin reads dates by all layouts of the W3C's profile and by the number of seconds.
func dateTwin(s string) (time.Time, bool) {
	s = strings.TrimSpace(s)
	for _, layout := range []string{"2006", "2006-01", "2006-01-02", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z07:00"} {
		// Package time takes an hour of one digit.
		if at, err := time.Parse(layout, s); err == nil && (len(layout) < 13 || s[13] == ':') {
			return at, true
		}
	}
	whole, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if _, broken := strconv.ParseUint("0"+fraction, 10, 64); err != nil || broken != nil && strings.Trim(fraction, "0123456789") != "" || whole[0] == '+' || len(strings.TrimPrefix(whole, "-")) > 15 {
		return time.Time{}, false
	}
	return time.Unix(n, 0), true
}

func FuzzDate(f *testing.F) {
	for _, seed := range []string{
		"2026", "2026-01", "2026-01-01", "2026-01-01T00:00Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5+02:00", "1767225600", "-1", "1767225600.25", "0", "",
		"2026-13-01", "2026-02-30", " 2026 ", "20260101", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00", "9999999999999999", "1e9",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := iam.ParseDate(s)
		want, wantOK := dateTwin(s)
		if ok != wantOK || ok && !got.Equal(want) {
			t.Fatalf("%q: got %v %v, want %v %v", s, got, ok, want, wantOK)
		}
	})
}

func FuzzPrefix(f *testing.F) {
	for _, seed := range [][2]string{{"10.0.0.0/8", "10.1.2.3"}, {"10.0.0.1", "10.0.0.1"}, {"2001:db8::/32", "2001:db8::1"}, {"::ffff:10.0.0.0/104", "10.0.0.1"}, {"10.0.0.0/33", "10.0.0.1"}, {"fe80::1%eth0", "fe80::1"}, {"0.0.0.0/0", "::1"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, address string) {
		p, ok := iam.ParsePrefix(text)
		host, bits, ranged := strings.Cut(text, "/")
		a, err := netip.ParseAddr(host)
		if ok && (err != nil || p != p.Masked() || !ranged && p.Bits() != a.BitLen() || ranged && strconv.Itoa(p.Bits()) != bits) {
			t.Fatalf("%q was read as %s", text, p)
		}
		who, err := netip.ParseAddr(address)
		if !ok || err != nil {
			return
		}
		// The twin compares bit by bit.
		one, other := p.Addr().AsSlice(), who.AsSlice()
		want := len(one) == len(other)
		for i := 0; want && i < p.Bits(); i++ {
			want = one[i/8]>>(7-i%8)&1 == other[i/8]>>(7-i%8)&1
		}
		if got := decideCondition(t, "IpAddress", "aws:SourceIp", text, address); got != want {
			t.Fatalf("%s in %s: got %v, want %v", address, text, got, want)
		}
	})
}

// decideCondition asks a set whose only statement has one condition.
func decideCondition(t *testing.T, operator, key, wants, has string) bool {
	t.Helper()
	d := full(false)
	d.Statements[0].Conditions = []iam.Condition{{Operator: operator, Key: key, Values: []string{wants}}}
	set, err := iam.Compile(iam.Policies{Identity: []iam.Policy{{Document: d}}}, iam.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	r := iam.Request{Principal: mustPrincipal(user), Action: "s3:GetObject", Resource: "arn:aws:s3:::b/x", Context: iam.Keys(map[string]string{key: has})}
	return set.Decide(&r) == iam.Allowed
}

func FuzzNumber(f *testing.F) {
	for _, seed := range [][2]string{{"10", "10.0"}, {"1e3", "1000"}, {"-1", "0"}, {"x", "1"}, {"", "0"}, {"0x10", "16"}, {"1_0", "10"}, {"NaN", "NaN"}, {"Inf", "1"}, {" 1", "1"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, wants, has string) {
		w, err := strconv.ParseFloat(strings.TrimSpace(wants), 64)
		h, other := strconv.ParseFloat(strings.TrimSpace(has), 64)
		if !utf8.ValidString(has) || !utf8.ValidString(wants) {
			return
		}
		readable := err == nil && other == nil && decimal(wants) && decimal(has)
		for operator, want := range map[string]bool{
			"NumericEquals": h == w, "NumericNotEquals": h != w, "NumericLessThan": h < w, "NumericLessThanEquals": h <= w, "NumericGreaterThan": h > w, "NumericGreaterThanEquals": h >= w,
		} {
			if got := decideCondition(t, operator, "s3:max-keys", wants, has); got != (want && readable) {
				t.Fatalf("%s of %q and %q: got %v, want %v", operator, has, wants, got, want && readable)
			}
		}
	})
}

// decimal reports whether a text is a number as people write it: AWS takes integers and decimals, no NaN, no hexadecimal.
func decimal(s string) bool { return strings.Trim(strings.TrimSpace(s), "+-.0123456789eE") == "" }

// FuzzTemplate expands variables of one letter, which the twin replaces one by one.
func FuzzTemplate(f *testing.F) {
	for _, seed := range [][2]string{{"a${x}b", "1"}, {"${x}${x}", ""}, {"${*}${?}${$}", ""}, {"${y,'d'}", "2"}, {"${y, d}", "2"}, {"${x", "3"}, {"$${x}}", "*"}, {"${y}", ""}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		if !utf8.ValidString(text) || !utf8.ValidString(value) || strings.Contains(value, "${") {
			return
		}
		got, ok := iam.ExpandTemplate(text, iam.Keys(map[string]string{"x": value}))
		rest := text
		for _, known := range []string{"${x}", "${*}", "${?}", "${$}"} {
			rest = strings.ReplaceAll(rest, known, "")
		}
		if strings.Contains(rest, "${") || strings.Contains(text, "${${") {
			return // the twin knows no others
		}
		want := strings.NewReplacer("${x}", value, "${*}", "*", "${?}", "?", "${$}", "$").Replace(text)
		if !ok || got != want {
			t.Fatalf("%q with %q: got %q %v, want %q", text, value, got, ok, want)
		}
	})
}
