package web_test

import (
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/belay-dev/belay/iam/lint"
	"github.com/belay-dev/belay/internal/connector"
)

// Every page of the documentation is there for everybody, is well formed, holds no mark that was not understood, and leads
// to pages that there are.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.browser(t)
	queue := []string{"/ui/docs", "/ui/docs/errors", "/ui/docs/lint"}
	for _, code := range connector.Codes() {
		queue = append(queue, "/ui/docs/errors/"+code)
	}
	for _, rule := range lint.Rules() {
		queue = append(queue, "/ui/docs/lint/"+rule.ID)
	}
	seen := map[string]bool{}
	for ; len(queue) > 0; queue = queue[1:] {
		to, _, _ := strings.Cut(queue[0], "#")
		if seen[to] {
			continue
		}
		seen[to] = true
		got := b.get(to)
		if got.status != http.StatusOK {
			t.Errorf("%s: %d", to, got.status)
			continue
		}
		for _, problem := range faults(got.body) {
			t.Errorf("%s: %s", to, problem)
		}
		headers(t, to, got.header)
		for _, mark := range []string{"](", "**", "```", "| ---"} {
			if strings.Contains(outsideCode(got.body), mark) {
				t.Errorf("%s has %q in its text", to, mark)
			}
		}
		for _, next := range links(got.body) {
			if strings.HasPrefix(next, "/ui/docs") {
				queue = append(queue, next)
			}
		}
	}
	if len(seen) < 100 {
		t.Errorf("%d pages", len(seen))
	}
	for _, path := range []string{"/ui/docs/errors/BLY-9999", "/ui/docs/../manager.md", "/ui/docs/errors/README.md", "/ui/docs/%3Cscript%3Ealert(1)", "/ui/docs/errors/"} {
		got := b.get(path)
		if got.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.status)
		}
		harmless(t, path, got)
	}
}

// outsideCode is the text of a page but for its code.
func outsideCode(page string) string {
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(page))
	for depth := 0; ; {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			return b.String()
		case html.StartTagToken, html.EndTagToken:
			if name, _ := z.TagName(); string(name) == "code" {
				depth++
				if kind == html.EndTagToken {
					depth -= 2
				}
			}
		case html.TextToken:
			if depth == 0 {
				b.Write(z.Text())
			}
		case html.SelfClosingTagToken, html.CommentToken, html.DoctypeToken:
		}
	}
}

// Who is signed in keeps the navigation, and a diagnosis leads to the page of its code.
func TestDocumentationOfADiagnosis(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.test(t, p.add(t, connector.Connector{ID: "c1"}), p.breaks)
	b := p.signIn(t, p.Viewer)
	if page := b.get("/ui/connectors/c1").body; !strings.Contains(page, `href="/ui/docs/errors/BLY-2104"`) {
		t.Error("the diagnosis does not link to its page")
	}
	inOrder(t, b.get("/ui/docs/errors/BLY-2104").body, "Connectors", "Sign out", "Error codes", "BLY-2104: Permission missing", "Mend it", "aws iam put-role-policy")
	inOrder(t, p.browser(t).get("/ui/docs/errors/BLY-2104").body, "Sign in", "BLY-2104: Permission missing")
}
