package web_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// headers are those that every page has.
func headers(t *testing.T, path string, h http.Header) {
	t.Helper()
	const want = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	if got := h.Get("Content-Security-Policy"); got != want {
		t.Errorf("%s: Content-Security-Policy is %q", path, got)
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
		"Content-Type": "text/html; charset=utf-8",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %s is %q", path, name, got)
		}
	}
}

// faults reads a page strictly: parsers of browsers mend everything, which tells nothing.
func faults(page string) []string {
	var problems, open []string
	ids, named, wanted := map[string]bool{}, map[string]bool{}, map[string]string{}
	void := []string{"meta", "link", "input", "br", "hr", "img"}
	headings := 0
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		token := z.Token()
		attr := map[string]string{}
		for _, a := range token.Attr {
			if _, twice := attr[a.Key]; twice {
				problems = append(problems, "<"+token.Data+"> has "+a.Key+" twice")
			}
			attr[a.Key] = a.Val
			if strings.HasPrefix(a.Key, "on") || strings.HasPrefix(a.Key, "hx-on") || a.Key == "style" {
				problems = append(problems, "<"+token.Data+"> has inline code: "+a.Key)
			}
		}
		switch kind {
		case html.StartTagToken:
			if token.Data == "h1" {
				headings++
			}
			if token.Data == "style" || token.Data == "script" && attr["src"] == "" {
				problems = append(problems, "inline <"+token.Data+">")
			}
			if id, ok := attr["id"]; ok {
				if ids[id] {
					problems = append(problems, "the id "+id+" is there twice")
				}
				ids[id] = true
			}
			if token.Data == "label" {
				named[attr["for"]] = true
			}
			inLabel := slices.Contains(open, "label")
			if slices.Contains([]string{"input", "select", "textarea"}, token.Data) && attr["type"] != "hidden" && !inLabel {
				wanted[attr["id"]] = "<" + token.Data + " name=" + attr["name"] + ">"
			}
			if token.Data == "form" && attr["method"] == "post" && !strings.HasPrefix(attr["action"], "/ui/") {
				problems = append(problems, "a form posts to "+attr["action"])
			}
			if slices.Contains(void, token.Data) {
				continue
			}
			open = append(open, token.Data)
		case html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != token.Data {
				problems = append(problems, "</"+token.Data+"> closes "+strings.Join(open, " "))
				return problems
			}
			open = open[:len(open)-1]
		case html.ErrorToken, html.TextToken, html.SelfClosingTagToken, html.CommentToken, html.DoctypeToken:
		}
	}
	if len(open) > 0 {
		problems = append(problems, "not closed: "+strings.Join(open, " "))
	}
	if headings != 1 {
		problems = append(problems, "it has not one h1")
	}
	for id, what := range wanted {
		if !named[id] {
			problems = append(problems, what+" has no label")
		}
	}
	return problems
}

func links(page string) []string {
	var out []string
	z := html.NewTokenizer(strings.NewReader(page))
	for kind := z.Next(); kind != html.ErrorToken; kind = z.Next() {
		for _, a := range z.Token().Attr {
			if (a.Key == "href" || a.Key == "src") && strings.HasPrefix(a.Val, "/") {
				out = append(out, a.Val)
			}
		}
	}
	return out
}

func harmless(t *testing.T, what string, page answer) {
	t.Helper()
	for _, no := range []string{"<script>alert", "<img src=x"} {
		if strings.Contains(page.body, no) {
			t.Errorf("%s: %s is in the page as markup", what, no)
		}
	}
	if page.status >= 500 {
		t.Errorf("%s: %d %s", what, page.status, page.body)
	}
	if page.status != http.StatusSeeOther {
		for _, problem := range faults(page.body) {
			t.Errorf("%s: %s", what, problem)
		}
	}
}

func inOrder(t *testing.T, page string, words ...string) {
	t.Helper()
	rest := html.UnescapeString(page)
	for _, w := range words {
		_, after, ok := strings.Cut(rest, w)
		if !ok {
			t.Errorf("%q is not there, or not after what stands before it in %q", w, words)
			return
		}
		rest = after
	}
}
