// Package web is gray's dashboard: static pages, as they are served, in the binary.
//
// It owns index.html and everything below assets: plain HTML, CSS and ES modules, with
// the libraries they use and their licences below assets/vendor. It never knows what
// the pages show: they ask the head's REST API, by URLs relative to their own, so they work
// below any path. There is no build step.
//
// Invariants: what is served was embedded; no file loads anything of another host, which
// Policy would forbid.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Policy is the Content-Security-Policy of the pages: nothing but their own files and
// server, no inline script, no text that becomes markup, no frame.
const Policy = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; " +
	"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

//go:embed index.html assets
var files embed.FS

// file is one that is served.
type file struct {
	kind          string // Content-Type
	tag           string // names the content
	plain, packed []byte // packed: by gzip, nil if that isn't shorter
}

var load = sync.OnceValue(func() map[string]*file {
	all := map[string]*file{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := files.ReadFile(name)
		all[name] = newFile(name, b)
		return err
	})
	if err != nil {
		panic("web: " + err.Error()) // embedded files can be read
	}
	return all
})

// kinds are told to the browser whatever the host's own table says.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".txt": "text/plain; charset=utf-8", ".md": "text/plain; charset=utf-8", ".svg": "image/svg+xml",
}

func newFile(name string, b []byte) *file {
	kind := kinds[path.Ext(name)]
	if kind == "" {
		kind = mime.TypeByExtension(path.Ext(name))
	}
	sum := sha256.Sum256(b)
	f := &file{kind: kind, tag: hex.EncodeToString(sum[:12]), plain: b}
	var packed bytes.Buffer
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // a level that exists
	_, _ = z.Write(b)                                          // to memory
	_ = z.Close()
	if packed.Len() < len(b) {
		f.packed = packed.Bytes()
	}
	return f
}

// Handler serves the pages: index.html at "/", the other files at their paths. Browsers
// keep them, and ask whether they're still the same.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		if name == "" {
			name = "index.html"
		}
		f := load()[name]
		if f == nil {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", Policy)
		h.Set("Content-Type", f.kind)
		h.Set("Cache-Control", "no-cache")
		h.Set("Vary", "Accept-Encoding")
		content, tag := f.plain, f.tag
		if f.packed != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			content, tag = f.packed, f.tag+"-gzip"
			h.Set("Content-Length", strconv.Itoa(len(content)))
		}
		h.Set("ETag", `"`+tag+`"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
}
