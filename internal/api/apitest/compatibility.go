package apitest

import (
	"net/http"
	"os"
	"regexp"
	"strings"

	"github.com/belay-dev/belay/internal/api"
)

// Compatibility compares docs/compatibility.md with the routes: a call below prefix that is said to be served must be, the
// others must not, and every route must be on the page. path leads to the page.
func (c *Client) Compatibility(path, prefix string, routes []api.Route) {
	c.tb.Helper()
	text, err := os.ReadFile(path) //nolint:gosec // a page of the project
	if err != nil {
		c.tb.Fatal(err)
	}
	call := regexp.MustCompile("`(GET|POST|PUT|DELETE) ([^`?]+)`")
	word := regexp.MustCompile(`\{\w+\}`)
	compared, named := 0, map[string]bool{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 {
			continue // of the tables, those with four columns say what is served
		}
		served := strings.TrimSpace(cells[3]) == "yes"
		for _, found := range call.FindAllStringSubmatch(cells[2], -1) {
			if !strings.HasPrefix(found[2], prefix) {
				continue
			}
			compared++
			named[found[1]+" "+word.ReplaceAllString(found[2], "{}")] = true
			a := c.Do(c.world.Admin, found[1], word.ReplaceAllString(found[2], "x"), "")
			there := a.Status != http.StatusMethodNotAllowed && !strings.Contains(a.Body, "there is nothing at ")
			if there != served {
				c.tb.Errorf("%s %s: the page says served %t, the answer is %d %s", found[1], found[2], served, a.Status, a.Body)
			}
		}
	}
	for _, r := range routes {
		if !named[r.Method+" "+word.ReplaceAllString(r.Path, "{}")] {
			c.tb.Errorf("%s does not name %s %s, which is served", path, r.Method, r.Path)
		}
	}
	if compared == 0 {
		c.tb.Errorf("%s names no call below %s", path, prefix)
	}
}
