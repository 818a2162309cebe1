package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(t *testing.T, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, resp *http.Response) []byte {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestEveryFileIsServed plain and packed, the same, with its type and the policy.
func TestEveryFileIsServed(t *testing.T) {
	for name, f := range load() {
		path := "/" + name
		plain := get(t, path)
		if b := body(t, plain); plain.StatusCode != http.StatusOK || !bytes.Equal(b, f.plain) {
			t.Errorf("%s: %d, %d bytes", path, plain.StatusCode, len(b))
		}
		if plain.Header.Get("Content-Type") == "" || plain.Header.Get("Content-Security-Policy") != Policy {
			t.Errorf("%s: %v", path, plain.Header)
		}
		packed := get(t, path, "Accept-Encoding", "br, gzip")
		if (packed.Header.Get("Content-Encoding") == "gzip") != (f.packed != nil) || f.packed == nil {
			continue
		}
		z, err := gzip.NewReader(packed.Body)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(z); err != nil || !bytes.Equal(b, f.plain) {
			t.Errorf("%s, packed: %d bytes, %v", path, len(b), err)
		}
		if packed.Header.Get("ETag") == plain.Header.Get("ETag") {
			t.Errorf("%s: both forms have one tag", path)
		}
	}
}

func TestWhatABrowserHasIsNotSentAgain(t *testing.T) {
	first := get(t, "/", "Accept-Encoding", "gzip")
	if kind := first.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/html") {
		t.Errorf("type %q", kind)
	}
	again := get(t, "/", "Accept-Encoding", "gzip", "If-None-Match", first.Header.Get("ETag"))
	if b := body(t, again); again.StatusCode != http.StatusNotModified || len(b) != 0 {
		t.Errorf("%d, %d bytes", again.StatusCode, len(b))
	}
	if changed := get(t, "/", "If-None-Match", `"another"`); changed.StatusCode != http.StatusOK {
		t.Errorf("%d", changed.StatusCode)
	}
}

func TestNothingElseIsServed(t *testing.T) {
	for _, path := range []string{"/web.go", "/assets", "/assets/", "/assets/../web.go", "/none", "//", "/assets/none.js"} {
		if resp := get(t, path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}
