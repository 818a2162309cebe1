package folders

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/gray-runtime/gray/internal/archive"
)

// ErrFull is in the error for what there is no room for: the rest is in use.
var ErrFull = errors.New("no room for another working directory")

// MaxArchive is how many bytes an archive has at most: it may be a little larger than its contents.
const MaxArchive = archive.MaxBytes + 64<<20

// Cache is a node's working directories.
type Cache struct {
	dir   string
	limit int64

	mu      sync.Mutex
	clock   uint64
	bytes   int64 // of all entries, and of what is being made
	entries map[string]*entry
}

// entry is one archive and what is unpacked of it. Guarded by Cache.mu.
type entry struct {
	holds    int
	used     uint64 // Cache.clock when it was held last
	stored   bool   // the archive is here
	unpacked bool
	bytes    int64
	making   *making // nil: nobody stores or unpacks it
}

// making is what those who want the same wait for.
type making struct {
	done chan struct{}
	err  error
}

// Open makes the cache in the folder dir, which is emptied.
func Open(dir string, limit int64) (*Cache, error) {
	if err := archive.Remove(dir); err != nil {
		return nil, fmt.Errorf("empty the folder of working directories: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of working directories: %w", err)
	}
	return &Cache{dir: dir, limit: limit, entries: map[string]*entry{}}, nil
}

// Fetch writes an archive.
type Fetch func(ctx context.Context, w io.Writer) error

// Hold is somebody's use of an archive, and of its folder if that was asked for.
type Hold struct {
	c    *Cache
	sum  string
	once sync.Once
}

// Path is where the folder is.
func (h *Hold) Path() string { return h.c.folder(h.sum) }

// Release ends the use; nil is none.
func (h *Hold) Release() {
	if h != nil {
		h.once.Do(func() {
			h.c.mu.Lock()
			defer h.c.mu.Unlock()
			h.c.entries[h.sum].holds--
		})
	}
}

// Store makes sure that the archive is here, fetched if need be, and holds it.
func (c *Cache) Store(ctx context.Context, sum string, fetch Fetch) (*Hold, error) {
	return c.hold(ctx, sum, fetch, false)
}

// Use makes sure that the archive is here and unpacked, and holds it.
func (c *Cache) Use(ctx context.Context, sum string, fetch Fetch) (*Hold, error) {
	return c.hold(ctx, sum, fetch, true)
}

// Archive opens an archive that is here; false: it isn't.
func (c *Cache) Archive(sum string) (*os.File, bool) {
	c.mu.Lock()
	e := c.entries[sum]
	stored := e != nil && e.stored
	if stored {
		c.touch(e)
	}
	c.mu.Unlock()
	if !stored {
		return nil, false
	}
	f, err := os.Open(c.archive(sum)) // it may have gone meanwhile
	return f, err == nil
}

func (c *Cache) archive(sum string) string { return filepath.Join(c.dir, sum+".zip") }
func (c *Cache) folder(sum string) string  { return filepath.Join(c.dir, sum) }

func (c *Cache) touch(e *entry) {
	c.clock++
	e.used = c.clock
}

func (c *Cache) hold(ctx context.Context, sum string, fetch Fetch, unpack bool) (*Hold, error) {
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != sha256.Size || hex.EncodeToString(raw) != sum {
		return nil, fmt.Errorf("working directory %q: that is no SHA-256 sum", sum)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		e := c.entries[sum]
		if e == nil {
			e = &entry{}
			c.entries[sum] = e
		}
		if e.stored && (e.unpacked || !unpack) {
			e.holds++
			c.touch(e)
			return &Hold{c: c, sum: sum}, nil
		}
		if m := e.making; m != nil {
			c.mu.Unlock()
			var err error
			select {
			case <-m.done:
				err = m.err
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
			c.mu.Lock()
			if err != nil && (ctx.Err() != nil || !errors.Is(err, context.Canceled)) {
				return nil, err
			}
			continue
		}
		if err := c.make(ctx, sum, e, fetch, unpack); err != nil {
			return nil, err
		}
	}
}

// make fetches and unpacks an entry. Called with mu held, which it gives up meanwhile.
func (c *Cache) make(ctx context.Context, sum string, e *entry, fetch Fetch, unpack bool) (err error) {
	m := &making{done: make(chan struct{})}
	e.making = m
	stored := e.stored
	c.mu.Unlock()
	if !stored {
		err = c.store(ctx, sum, e, fetch)
	}
	if err == nil && unpack {
		err = c.unpack(sum, e)
	}
	c.mu.Lock()
	if err != nil {
		err = fmt.Errorf("working directory %.12s…: %w", sum, err)
	}
	m.err, e.making = err, nil
	close(m.done)
	if !e.stored {
		delete(c.entries, sum)
	}
	return err
}

// reserve makes room for more bytes of an entry.
func (c *Cache) reserve(e *entry, more int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.bytes+more > c.limit {
		oldest := ""
		for sum, other := range c.entries {
			if other.holds == 0 && other.making == nil && (oldest == "" || other.used < c.entries[oldest].used) {
				oldest = sum
			}
		}
		if oldest == "" {
			return fmt.Errorf("%w: %d bytes more, and of %d all others are in use", ErrFull, more, c.limit)
		}
		if err := c.remove(oldest); err != nil {
			return err
		}
	}
	c.bytes += more
	e.bytes += more
	return nil
}

// remove is called with mu held, so that nobody makes it meanwhile.
func (c *Cache) remove(sum string) error {
	err := errors.Join(os.RemoveAll(c.archive(sum)), archive.Remove(c.folder(sum)))
	if err != nil {
		return fmt.Errorf("remove working directory %.12s…, that isn't used: %w", sum, err)
	}
	c.bytes -= c.entries[sum].bytes
	delete(c.entries, sum)
	return nil
}

func (c *Cache) unreserve(e *entry, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes -= bytes
	e.bytes -= bytes
}

// store fetches the archive.
func (c *Cache) store(ctx context.Context, sum string, e *entry, fetch Fetch) (err error) {
	f, err := os.CreateTemp(c.dir, "fetching-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it was renamed
	defer f.Close()
	h := sha256.New()
	w := &counted{w: io.MultiWriter(f, h), left: MaxArchive}
	if err := fetch(ctx, w); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != sum {
		return fmt.Errorf("what was fetched has the sum %.12s…", got)
	}
	size := MaxArchive - w.left
	if err := c.reserve(e, size); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), c.archive(sum)); err != nil {
		c.unreserve(e, size)
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e.stored = true
	c.touch(e)
	return nil
}

// unpack makes the folder of a stored archive.
func (c *Cache) unpack(sum string, e *entry) error {
	f, err := os.Open(c.archive(sum))
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	size, err := archive.Contents(f, st.Size())
	if err != nil {
		return err
	}
	if err := c.reserve(e, size); err != nil {
		return err
	}
	half, err := os.MkdirTemp(c.dir, "unpacking-")
	if err == nil {
		if err = archive.Unpack(f, st.Size(), half); err == nil {
			err = os.Rename(half, c.folder(sum))
		}
		if err != nil {
			err = errors.Join(err, archive.Remove(half))
		}
	}
	if err != nil {
		c.unreserve(e, size)
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e.unpacked = true
	return nil
}

// counted refuses more than left bytes.
type counted struct {
	w    io.Writer
	left int64
}

func (c *counted) Write(b []byte) (int, error) {
	if c.left -= int64(len(b)); c.left < 0 {
		return 0, fmt.Errorf("the archive has over %d bytes", int64(MaxArchive))
	}
	return c.w.Write(b)
}
