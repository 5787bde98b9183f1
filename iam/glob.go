package iam

import (
	"strings"
	"unicode/utf8"
)

// In a compiled pattern the wildcards are bytes that no UTF-8 text holds, so that a star that is meant literally (from
// ${*}, or from the value of a policy variable) needs no escape.
const (
	anyRun = 0xFF // *: any run of characters, also none
	anyOne = 0xFE // ?: exactly one character
)

// encodeGlob turns the * and ? of a policy into wildcards.
func encodeGlob(s string) string {
	if strings.IndexByte(s, '*') < 0 && strings.IndexByte(s, '?') < 0 {
		return s
	}
	out := []byte(s)
	for i, c := range out {
		switch c {
		case '*':
			out[i] = anyRun
		case '?':
			out[i] = anyOne
		}
	}
	return string(out)
}

// encodeRequest turns the * of a requested resource into a wildcard; its ? stays a character.
func encodeRequest(s string) string { return strings.ReplaceAll(s, "*", "\xff") }

// globKind is how a glob can be matched fastest.
type globKind byte

const (
	literalGlob globKind = iota
	anyGlob              // * alone
	prefixGlob           // text*
	generalGlob
)

// glob is a compiled pattern without variables.
type glob struct {
	text string // encoded; of a prefixGlob without its star
	kind globKind
}

func newGlob(encoded string) glob {
	first := -1
	for i := range len(encoded) {
		if encoded[i] >= anyOne {
			first = i
			break
		}
	}
	switch {
	case first < 0:
		return glob{encoded, literalGlob}
	case onlyStars(encoded):
		return glob{encoded, anyGlob}
	case first == len(encoded)-1 && encoded[first] == anyRun:
		return glob{encoded[:first], prefixGlob}
	}
	return glob{encoded, generalGlob}
}

// onlyStars reports whether an encoded pattern is nothing but stars, and at least one.
func onlyStars(encoded string) bool {
	for i := range len(encoded) {
		if encoded[i] != anyRun {
			return false
		}
	}
	return encoded != ""
}

func (g *glob) match(s string) bool {
	switch g.kind {
	case literalGlob:
		return g.text == s
	case anyGlob:
		return true
	case prefixGlob:
		return strings.HasPrefix(s, g.text)
	case generalGlob:
		return matchGlob(g.text, s)
	}
	return false
}

// matchBytes is match for text that is no string yet.
func (g *glob) matchBytes(s []byte) bool {
	switch g.kind {
	case literalGlob:
		return g.text == string(s)
	case anyGlob:
		return true
	case prefixGlob:
		return len(s) >= len(g.text) && string(s[:len(g.text)]) == g.text
	case generalGlob:
		return matchGlob(g.text, s)
	}
	return false
}

// encoded is the whole pattern again.
func (g *glob) encoded() string {
	if g.kind == prefixGlob {
		return g.text + "\xff"
	}
	return g.text
}

// matchGlob matches greedily and goes back to the last star only, so that its time is bounded by the product of both
// lengths, whatever the pattern.
func matchGlob[P, S string | []byte](p P, s S) bool {
	pi, si, star, from := 0, 0, -1, 0
	for si < len(s) {
		switch {
		case pi < len(p) && p[pi] == anyRun:
			star, from = pi, si
			pi++
		case pi < len(p) && p[pi] == anyOne:
			pi++
			si += width(s, si)
		case pi < len(p) && p[pi] == s[si]:
			pi++
			si++
		case star >= 0:
			from += width(s, from)
			pi, si = star+1, from
		default:
			return false
		}
	}
	for pi < len(p) && p[pi] == anyRun {
		pi++
	}
	return pi == len(p)
}

// width is how many bytes the character at i has.
func width[S string | []byte](s S, i int) int {
	if s[i] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)]))
	return n
}

// symbols are the characters of an encoded pattern, with the wildcards as runes that no text has.
func symbols(p string) []rune {
	out := make([]rune, 0, len(p))
	for i := 0; i < len(p); {
		if p[i] >= anyOne {
			out = append(out, -rune(p[i]))
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(p[i:])
		out = append(out, r)
		i += n
	}
	return out
}

const (
	runSymbol = -rune(anyRun)
	oneSymbol = -rune(anyOne)
)

// overlapGlob reports whether some text matches both patterns.
func overlapGlob(pattern, other string) bool {
	p, q := symbols(pattern), symbols(other)
	// reach[j] tells whether the part of p so far and the first j characters of q have a text in common.
	reach := make([]bool, len(q)+1)
	reach[0] = true
	for j := range q {
		reach[j+1] = reach[j] && q[j] == runSymbol
	}
	for i := range p {
		diagonal := reach[0]
		reach[0] = reach[0] && p[i] == runSymbol
		for j := range q {
			up := reach[j+1]
			if p[i] == runSymbol || q[j] == runSymbol {
				reach[j+1] = up || reach[j] // the star is empty, or takes what stands on the other side
			} else {
				reach[j+1] = diagonal && (p[i] == q[j] || p[i] == oneSymbol || q[j] == oneSymbol)
			}
			diagonal = up
		}
	}
	return reach[len(q)]
}

// maxStates bounds what coversGlob follows.
const maxStates = 4096

// coversGlob reports whether every text that matches request also matches pattern. request has no ?.
//
// With many stars on both sides the places to follow may be too many; then the answer is false: covered is what could be
// shown to be.
//
// It follows the pattern's possible places through the request. For a star of the request any text must do; it suffices
// to look at characters that the pattern does not name, for a named one gives it more places, never fewer.
func coversGlob(pattern, request string) bool {
	p, q := symbols(pattern), symbols(request)
	type state struct {
		at     int
		places string // a byte for each place in p: 1 when it is possible
	}
	begin := make([]byte, len(p)+1)
	begin[0] = 1
	first := state{0, closure(p, begin)}
	seen, open := map[state]bool{first: true}, []state{first}
	push := func(at int, places string) {
		if next := (state{at, places}); !seen[next] {
			seen[next] = true
			open = append(open, next)
		}
	}
	for len(open) > 0 {
		if len(seen) > maxStates {
			return false
		}
		now := open[len(open)-1]
		open = open[:len(open)-1]
		switch {
		case now.at == len(q):
			if now.places[len(p)] == 0 {
				return false
			}
		case q[now.at] == runSymbol:
			push(now.at+1, now.places)
			push(now.at, step(p, now.places, runSymbol))
		default:
			push(now.at+1, step(p, now.places, q[now.at]))
		}
	}
	return true
}

// closure adds the places that are reached over stars without reading.
func closure(p []rune, places []byte) string {
	for i, r := range p {
		if places[i] == 1 && r == runSymbol {
			places[i+1] = 1
		}
	}
	return string(places)
}

// step reads one character; runSymbol stands for one that p does not name.
func step(p []rune, from string, c rune) string {
	to := make([]byte, len(p)+1)
	for i, r := range p {
		switch {
		case from[i] == 0:
		case r == runSymbol:
			to[i] = 1
		case r == oneSymbol, r == c:
			to[i+1] = 1
		}
	}
	return closure(p, to)
}

// lowerASCII is s in small letters, as far as they are of ASCII: names of actions and condition keys have no others.
func lowerASCII(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			out := []byte(s)
			for j := i; j < len(out); j++ {
				out[j] = lowerByte(out[j])
			}
			return string(out)
		}
	}
	return s
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
