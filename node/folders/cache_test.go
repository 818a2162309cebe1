package folders

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gray-runtime/gray/internal/archive"
)

// made is an archive of one file of 1000 bytes, and its sum.
func made(t *testing.T, content string) (string, []byte) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte(content+strings.Repeat(".", 1000-len(content))), 0o600); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := archive.Pack(&b, dir); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:]), b.Bytes()
}

func of(b []byte) Fetch {
	return func(_ context.Context, w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
}

func opened(t *testing.T, limit int64) *Cache {
	t.Helper()
	c, err := Open(filepath.Join(t.TempDir(), "folders"), limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = archive.Remove(c.dir) })
	return c
}

// TestOnce: many who want the same at once fetch it once.
func TestOnce(t *testing.T) {
	c := opened(t, 1<<20)
	sum, b := made(t, "a")
	var fetches atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			h, err := c.Use(t.Context(), sum, func(ctx context.Context, w io.Writer) error {
				fetches.Add(1)
				return of(b)(ctx, w)
			})
			if err != nil {
				t.Error(err)
				return
			}
			defer h.Release()
			if got, err := os.ReadFile(filepath.Join(h.Path(), "file")); err != nil || got[0] != 'a' {
				t.Errorf("%.10s, %v", got, err)
			}
		})
	}
	all.Wait()
	if n := fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
	if f, ok := c.Archive(sum); !ok {
		t.Error("no archive to pass on")
	} else {
		f.Close()
	}
}

// TestRoom: the one that nobody uses, and was used longest ago, goes; none that is in use.
func TestRoom(t *testing.T) {
	c := opened(t, 4000) // three of them: each has 1000 bytes, and an archive of some 150
	var sums []string
	var holds []*Hold
	use := func(i int) error {
		sum, b := made(t, fmt.Sprint(i))
		h, err := c.Use(t.Context(), sum, of(b))
		sums, holds = append(sums, sum), append(holds, h)
		return err
	}
	for i := range 3 {
		if err := use(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := use(3); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	holds[2].Release()
	holds[1].Release()
	holds[1].Release() // once
	if h, err := c.Use(t.Context(), sums[2], nil); err != nil {
		t.Error(err)
	} else {
		h.Release()
	}
	if err := use(4); err != nil {
		t.Error(err)
	}
	for i, there := range map[int]bool{0: true, 1: false, 2: true, 3: false, 4: true} {
		if _, err := os.Stat(c.folder(sums[i])); err == nil != there {
			t.Errorf("%d: %v", i, err)
		}
	}
	var bytes int64
	for _, e := range c.entries {
		bytes += e.bytes
	}
	if bytes != c.bytes || bytes > 4000 {
		t.Errorf("%d bytes, counted as %d", bytes, c.bytes)
	}
}

// TestBadFetch: what isn't what it's named isn't kept, and the next who wants it may get it.
func TestBadFetch(t *testing.T) {
	c := opened(t, 1<<20)
	sum, b := made(t, "a")
	_, other := made(t, "b")
	broken := errors.New("broken")
	for _, fetch := range []Fetch{of(other), func(context.Context, io.Writer) error { return broken }} {
		if _, err := c.Use(t.Context(), sum, fetch); err == nil {
			t.Error("it's used")
		}
	}
	garbage := sha256.Sum256(other[:10])
	if _, err := c.Use(t.Context(), hex.EncodeToString(garbage[:]), of(other[:10])); !errors.Is(err, archive.ErrBad) {
		t.Error(err)
	}
	if _, err := c.Use(t.Context(), "../x", of(b)); err == nil {
		t.Error("a path is no sum")
	}
	h, err := c.Store(t.Context(), sum, of(b))
	if err != nil {
		t.Fatal(err)
	}
	h.Release()
	if h, err = c.Use(t.Context(), sum, nil); err != nil { // the archive is here
		t.Fatal(err)
	}
	h.Release()
	names, _ := filepath.Glob(filepath.Join(c.dir, "*ing-*"))
	if len(names) > 0 {
		t.Errorf("left: %q", names)
	}
}
