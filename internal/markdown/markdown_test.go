package markdown_test

import (
	"fmt"
	"html"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	parser "golang.org/x/net/html"

	"github.com/belay-dev/belay/internal/markdown"
)

func renderer() markdown.Renderer {
	return markdown.Renderer{
		Link: func(target string) string { return strings.Replace(target, ".md", "", 1) },
		Code: func(language, text string) string {
			return fmt.Sprintf("<pre class=%q>%s</pre>", html.EscapeString(language), html.EscapeString(text))
		},
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"paragraphs":            {"one\ntwo\n\nthree", "<p>one\ntwo</p>\n<p>three</p>\n"},
		"headings have anchors": {"## Mend it, now\ntext", "<h2 id=\"mend-it-now\">Mend it, now</h2>\n<p>text</p>\n"},
		"a second h1 is an h2":  {"text\n\n# Title", "<p>text</p>\n<h2 id=\"title\">Title</h2>\n"},
		"code spans":            {"a `b <c>` and ``x ` y``", "<p>a <code>b &lt;c&gt;</code> and <code>x ` y</code></p>\n"},
		"a span that is open":   {"a ` b", "<p>a ` b</p>\n"},
		"bold":                  {"**one** ** two", "<p><strong>one</strong> ** two</p>\n"},
		"stars are stars":       {"s3:* and `*`", "<p>s3:* and <code>*</code></p>\n"},
		"a link":                {"see [the `page`](x.md#y).", "<p>see <a href=\"x#y\">the <code>page</code></a>.</p>\n"},
		"a link by itself":      {"<https://example.com/?a=1&b=2>", "<p><a href=\"https://example.com/?a=1&amp;b=2\">https://example.com/?a=1&amp;b=2</a></p>\n"},
		"brackets are brackets": {"an array[0] (of)", "<p>an array[0] (of)</p>\n"},
		"pictures are left out": {"![a picture](x.png)\n\ntext", "<p>text</p>\n"},
		"a list":                {"- one\n  goes on\n- two", "<ul>\n<li>one\ngoes on\n</li>\n<li>two\n</li>\n</ul>\n"},
		"a list with code": {
			"1. First:\n\n   ```json\n   {\n     \"a\": 1\n   }\n   ```\n\n2. Then.\n\nEnd.",
			"<ol>\n<li>First:\n<pre class=\"json\">{\n  &#34;a&#34;: 1\n}</pre>\n</li>\n<li>Then.\n</li>\n</ol>\n<p>End.</p>\n",
		},
		"a list after its paragraph": {"text:\n- one", "<p>text:</p>\n<ul>\n<li>one\n</li>\n</ul>\n"},
		"a fence":                    {"```json trust ROLE\n# no heading\n```", "<pre class=\"json\"># no heading</pre>\n"},
		"a fence that is open":       {"```\na", "<pre class=\"\">a</pre>\n"},
		"a table": {
			"| a | b |\n| --- | --- |\n| `x \\| y` | 2 |\n| 3 |",
			"<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table 1\"><table><thead><tr><th scope=\"col\">a</th><th scope=\"col\">b</th></tr></thead><tbody>\n" +
				"<tr><td><code>x | y</code></td><td>2</td></tr>\n<tr><td>3</td><td></td></tr>\n</tbody></table></div>\n",
		},
		"markup is text": {"<script>alert(1)</script> <b>", "<p>&lt;script&gt;alert(1)&lt;/script&gt; &lt;b&gt;</p>\n"},
		"an escape":      {`\*\*not bold\*\* and \<`, "<p>**not bold** and &lt;</p>\n"},
		"nothing":        {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, renderer().Render(tt.text).HTML); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTitle(t *testing.T) {
	t.Parallel()
	p := renderer().Render("\n# Findings of `belay`\n\ntext\n")
	if diff := cmp.Diff(markdown.Page{Title: "Findings of belay", HTML: "<p>text</p>\n"}, p); diff != "" {
		t.Error(diff)
	}
	if p := (markdown.Renderer{}).Render("[a](b)\n\n```\n<x>\n```"); p.Title != "" || p.HTML != "<p>a</p>\n<pre><code>&lt;x&gt;</code></pre>\n" {
		t.Errorf("%+v", p)
	}
}

// Whatever stands in a text, the page is well formed and has no markup but that of the renderer.
func FuzzRender(f *testing.F) {
	for _, seed := range []string{"# a\n\n- b\n  - c\n    1. d", "| a |\n|-|\n| `|` |", "[x](javascript:alert(1)) **`a**`", "```\n- x", "1. - 2. - x", "<https://a\"b>"} {
		f.Add(seed)
	}
	allowed := strings.Fields("p h2 h3 h4 h5 h6 ul ol li pre code strong a div table thead tbody tr th td")
	f.Fuzz(func(t *testing.T, text string) {
		var open []string
		z := parser.NewTokenizer(strings.NewReader(renderer().Render(text).HTML))
		for {
			switch z.Next() {
			case parser.ErrorToken:
				if len(open) > 0 {
					t.Fatalf("%q leaves %v open", text, open)
				}
				return
			case parser.StartTagToken:
				name, _ := z.TagName()
				if !strings.Contains(" "+strings.Join(allowed, " ")+" ", " "+string(name)+" ") {
					t.Fatalf("%q makes <%s>", text, name)
				}
				open = append(open, string(name))
			case parser.EndTagToken:
				name, _ := z.TagName()
				if len(open) == 0 || open[len(open)-1] != string(name) {
					t.Fatalf("%q: </%s> in %v", text, name, open)
				}
				open = open[:len(open)-1]
			case parser.TextToken, parser.SelfClosingTagToken, parser.CommentToken, parser.DoctypeToken:
			}
		}
	})
}
