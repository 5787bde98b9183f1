package apitest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/api/openapi"
)

// Replay calls every example of an API's documentation, in its order, and holds the table against the routes in both
// directions.
func (c *Client) Replay(key string, g openapi.Group) {
	c.tb.Helper()
	for _, r := range g.Routes {
		if !slices.ContainsFunc(g.Notes, func(n openapi.Note) bool { return n.Route == r.Method+" "+r.Path }) {
			c.tb.Errorf("the table has no line for %s %s", r.Method, r.Path)
		}
	}
	replayed := 0
	for _, n := range g.Notes {
		method, path, _ := strings.Cut(n.Route, " ")
		i := slices.IndexFunc(g.Routes, func(r api.Route) bool { return r.Method == method && r.Path == path })
		if i < 0 {
			c.tb.Errorf("the table has %s, which is not served", n.Route)
			continue
		}
		if n.Example == nil {
			continue
		}
		for name, value := range n.Example.Path {
			path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
		}
		q := url.Values{}
		for name, value := range n.Example.Query {
			q.Set(name, value)
			if !slices.ContainsFunc(n.Query, func(p openapi.Parameter) bool { return p.Name == name }) && !strings.HasSuffix(name, "Identifier") {
				c.tb.Errorf("%s: its example has %s, which is not among its parameters", n.Route, name)
			}
		}
		if a := c.Do(key, method, path+"?"+q.Encode(), n.Example.Body); a.Status < http.StatusOK || a.Status >= http.StatusMultipleChoices {
			c.tb.Errorf("the example of %s: %d %s", n.Route, a.Status, a.Body)
		}
		replayed++
	}
	if replayed == 0 {
		c.tb.Error("no example was replayed")
	}
}
