package web

import (
	"context"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/belay-dev/belay/docs"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/markdown"
)

// documentPage is a page of the documentation.
type documentPage struct {
	Title, HTML string
	Parents     []parent
}

// documents are all pages of the documentation by their path below /ui/docs. They are made when the first is asked for.
var documents = sync.OnceValue(func() map[string]documentPage { //nolint:gochecknoglobals // read-only, made once
	all := map[string]documentPage{}
	texts := map[string]string{}
	err := fs.WalkDir(docs.Pages(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(docs.Pages(), name)
		texts[name] = string(text)
		return err
	})
	if err != nil {
		panic(err) // they are embedded
	}
	for name, text := range texts {
		fences := 0
		page := markdown.Renderer{
			Link: func(target string) string { return documentLink(texts, path.Dir(name), target) },
			Code: func(language, code string) string {
				fences++
				var out strings.Builder
				caption := captionOf(language)
				if err := bareBox(caption, caption+", "+strconv.Itoa(fences), linesOf(code)).Render(context.Background(), &out); err != nil {
					panic(err) // a builder takes everything
				}
				return out.String()
			},
		}.Render(text)
		d := documentPage{Title: page.Title, HTML: page.HTML}
		switch folder := path.Dir(name); {
		case folder == ".":
		case path.Base(name) != "README.md":
			title := map[string]string{"errors": "Error codes", "lint": "Findings of lint"}[folder]
			d.Parents = []parent{{title, "/ui/docs/" + folder}}
		}
		all[documentPath(name)] = d
	}
	return all
})

// documentPath is where a file lies below /ui/docs.
func documentPath(name string) string {
	return strings.TrimSuffix(strings.TrimSuffix(name, ".md"), "/README")
}

// documentLink is where a link of a document leads: to another one, or to a public site. What the manager does not serve has
// no link.
func documentLink(texts map[string]string, folder, target string) string {
	if strings.HasPrefix(target, "https://") || strings.HasPrefix(target, "#") {
		return target
	}
	file, anchor, _ := strings.Cut(target, "#")
	name := path.Join(folder, file)
	if texts[name] == "" {
		return ""
	}
	to := "/ui/docs/" + documentPath(name)
	if anchor != "" {
		to += "#" + anchor
	}
	return to
}

func captionOf(language string) string {
	switch language {
	case "json":
		return "JSON"
	case "yaml":
		return "YAML"
	case "hcl", "terraform":
		return "Terraform"
	case "sh", "bash", "shell":
		return "Shell"
	case "go":
		return "Go"
	}
	return "Text"
}

// guides are the documents that the index lists, in the order in which they are needed.
func guides() []string {
	return []string{
		"install", "connectors", "preflight", "delegate", "upgrader", "oidc", "secrets", "policies", "trust", "iam", "iam-differences", "cli", "api", "web",
		"security", "operations", "metrics", "performance", "sandbox", "compatibility",
	}
}

// document answers a page of the documentation, to everybody: who cannot sign in may need it most.
func (s *Server) document(w http.ResponseWriter, r *http.Request) {
	v, err := s.visit(r)
	if err != nil {
		v = nil
	} else if v.locate(r.Context(), s.Organizations) != nil {
		v.at = v.widest()
	}
	name := r.PathValue("page")
	d, ok := documents()[name]
	body := documentView(d)
	if name == "" {
		d, ok = documentPage{Title: "Documentation"}, true
		body = documentIndex()
	}
	switch {
	case !ok:
		s.refuse(w, r, v, fault.New(fault.NotFound, "there is no such page in the documentation of this version"))
	case v != nil:
		s.write(w, r, http.StatusOK, layout(v, d.Title, "", body))
	default:
		s.write(w, r, http.StatusOK, openPage(themeOf(r), d.Title, body))
	}
}

// documentOf is the address of a document: errors/BLY-2104.
func documentOf(name string) string { return "/ui/docs/" + name }
