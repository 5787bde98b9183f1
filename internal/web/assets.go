package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed assets
var files embed.FS

// held is a file as it is served: its name in addresses has its sum, so that browsers may keep it for good.
type held struct {
	sum, kind string
	plain     []byte
	packed    []byte // gzip
}

// assets are the files by name. They are packed when the first is asked for.
var assets = sync.OnceValue(func() map[string]held { //nolint:gochecknoglobals // read-only, made once
	kinds := map[string]string{
		".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
	}
	all := map[string]held{}
	entries, err := fs.ReadDir(files, "assets")
	if err != nil {
		panic(err) // it is embedded
	}
	for _, entry := range entries {
		plain, err := files.ReadFile("assets/" + entry.Name())
		if err != nil {
			panic(err)
		}
		var packed bytes.Buffer
		z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		if err != nil {
			panic(err)
		}
		_, _ = z.Write(plain) // a buffer takes everything
		_ = z.Close()
		sum := sha256.Sum256(plain)
		all[entry.Name()] = held{hex.EncodeToString(sum[:6]), kinds[path.Ext(entry.Name())], plain, packed.Bytes()}
	}
	return all
})

// link is the address of an asset.
func link(name string) string { return "/ui/static/" + assets()[name].sum + "/" + name }

// sprite is the icons, which each page holds once.
func sprite() string { return string(assets()["sprite.svg"].plain) }

func asset(w http.ResponseWriter, r *http.Request) {
	a, ok := assets()[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Vary", "Accept-Encoding")
	if r.PathValue("sum") == a.sum { // an address from another version is answered, but not for good
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body := a.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = a.packed
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the browser may be gone
}
