// Package docs carries the pages that the manager serves: one for each error code, as plain Markdown.
package docs

import (
	"embed"
	"io/fs"
)

//go:embed errors/*.md
var pages embed.FS

// Errors are the pages of the error codes, each under its name: BLY-2104.md. README.md is their index.
func Errors() fs.FS {
	sub, err := fs.Sub(pages, "errors")
	if err != nil { // only for a name that is no path
		panic(err)
	}
	return sub
}
