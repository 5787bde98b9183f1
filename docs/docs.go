// Package docs carries the documentation that the manager serves: its pages as plain Markdown, among them one for each error
// code and each rule of the linter.
package docs

import (
	"embed"
	"io/fs"
)

//go:embed *.md errors/*.md lint/*.md
var pages embed.FS

// Pages are all pages by their path: web.md, errors/BLY-2104.md, lint/BLP-301.md. A README.md is the index of its folder.
func Pages() fs.FS { return pages }

// Errors are the pages of the error codes, each under its name: BLY-2104.md. README.md is their index.
func Errors() fs.FS {
	sub, err := fs.Sub(pages, "errors")
	if err != nil { // only for a name that is no path
		panic(err)
	}
	return sub
}
