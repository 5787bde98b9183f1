package apitest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/belay-dev/belay/internal/api/openapi"
)

// example is a call of an API's documentation, as it is sent.
type example struct {
	route, method, path, body, kind string
}

// examples are the calls of an API's documentation, in their order.
func examples(g openapi.Group) []example {
	var all []example
	for _, n := range g.Notes {
		if n.Example == nil {
			continue
		}
		method, path, _ := strings.Cut(n.Route, " ")
		for name, value := range n.Example.Path {
			path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
		}
		q := url.Values{}
		for name, value := range n.Example.Query {
			q.Set(name, value)
		}
		kind := n.Takes
		if kind == "" {
			kind = "application/json"
		}
		all = append(all, example{n.Route, method, path + "?" + q.Encode(), n.Example.Body, kind})
	}
	return all
}

// broken are bodies that are no JSON, or not that of any call.
func broken() []string {
	const deeper = 20_000 // than the decoder goes
	return []string{
		"{", "nonsense", "null", "[]", "{}", `"x"`, "0", "true", "[null]", `{"":null}`, "\xef\xbb\xbf{}", "{\"a\":\"\xff\"}", `{"a":"\ud800"}`, "\x00",
		`{"_":null,"_":{}}`, strings.Repeat("[", deeper), strings.Repeat(`{"a":`, deeper), `{"connector":{"connector":{}}}`, "{}{}", "{} x",
	}
}

// values are what stands in the place of another in turn.
func values() []any {
	return []any{nil, "", "a\x00b", strings.Repeat("ü", 5000), json.Number("-1"), json.Number("1e400"), json.Number("123456789012345678901234567890"), true, []any{}, []any{nil, map[string]any{}}, map[string]any{"": nil}}
}

// mutated are bodies that differ from a good one in one place each: another value, nothing, or a key too many.
func mutated(body string) []string {
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.UseNumber()
	var root any
	if decoder.Decode(&root) != nil {
		return nil
	}
	var all []string
	keep := func() {
		text, err := json.Marshal(root)
		if err == nil {
			all = append(all, string(text))
		}
	}
	var walk func(node any, put func(any))
	walk = func(node any, put func(any)) {
		for _, v := range values() {
			put(v)
			keep()
		}
		put(node)
		switch node := node.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(node)) {
				value := node[key]
				walk(value, func(v any) { node[key] = v })
				delete(node, key)
				keep()
				node[key] = value
			}
		case []any:
			for i, value := range node {
				walk(value, func(v any) { node[i] = v })
			}
		}
	}
	walk(root, func(v any) { root = v })
	return all
}

// Junk is what belongs in no body of a call: a good body with one thing wrong at a time, and bodies that are no JSON.
func Junk(good string) []string { return append(broken(), mutated(good)...) }

// Junk sends to every call that takes a body what belongs in none: each example of the documentation with one thing wrong
// at a time, and bodies that are no JSON. judge says what is wrong with an answer, or nothing.
func (c *Client) Junk(key string, g openapi.Group, judge func(a Answer) string) {
	c.tb.Helper()
	sent := 0
	for _, e := range examples(g) {
		c.Send(key, e.method, e.path, e.kind, e.body) // so that what the next ones are about is there
		if e.body == "" {
			continue
		}
		for _, body := range Junk(e.body) {
			sent++
			if wrong := judge(c.Send(key, e.method, e.path, e.kind, body)); wrong != "" {
				c.tb.Errorf("%s %.300q: %s", e.route, body, wrong)
			}
		}
	}
	c.tb.Logf("%d bodies were sent", sent)
	if sent < 100 {
		c.tb.Errorf("only %d bodies were sent", sent)
	}
}

// seasoned is a body with the keys that clients are known to send too many in each of its objects, but in those whose keys
// are the caller's own.
func seasoned(body string, junk map[string]any) string {
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.UseNumber()
	var root any
	if decoder.Decode(&root) != nil {
		return body
	}
	var walk func(node any)
	walk = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			for key, value := range node {
				if key != "tags" && key != "values" {
					walk(value)
				}
			}
			for key, value := range junk {
				if _, there := node[key]; !there {
					node[key] = value
				}
			}
		case []any:
			for _, value := range node {
				walk(value)
			}
		}
	}
	walk(root)
	text, err := json.Marshal(root)
	if err != nil {
		return body
	}
	return string(text)
}

// Seasoned compares what two worlds answer to the examples of an API's documentation: the other hears them with junk in
// every object. The answers may differ in what is new in each run, and in nothing else.
func (c *Client) Seasoned(other *Client, g openapi.Group, junk map[string]any) {
	c.tb.Helper()
	for _, e := range examples(g) {
		plain := c.Send(c.world.Admin, e.method, e.path, e.kind, e.body)
		with := other.Send(other.world.Admin, e.method, e.path, e.kind, seasoned(e.body, junk))
		if plain.Status != http.StatusOK || plain.Status != with.Status || c.fixed(plain.Body) != other.fixed(with.Body) {
			c.tb.Errorf("%s: %d %s\nwith junk: %d %s", e.route, plain.Status, plain.Body, with.Status, with.Body)
		}
	}
}

// fixed is a text without what is new in each run.
func (c *Client) fixed(text string) string {
	for _, m := range made {
		text = m.pattern.ReplaceAllString(text, m.name)
	}
	text = regexp.MustCompile(`tok_[a-z2-7]+`).ReplaceAllString(text, "TOKEN_ID")
	return strings.ReplaceAll(text, c.world.Account, "ACCOUNT")
}
