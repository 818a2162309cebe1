package checkpoint

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// DamagedError says that a file isn't what was written.
type DamagedError struct {
	File string
	Err  error
}

func (e *DamagedError) Error() string { return fmt.Sprintf("%s is damaged: %v", e.File, e.Err) }

// Unwrap returns what is wrong with it.
func (e *DamagedError) Unwrap() error { return e.Err }

// Durability is what a written file outlives.
type Durability bool

// A Synced file outlives the machine's crash, a Cached one the process' only.
const (
	Synced Durability = false
	Cached Durability = true
)

// chunk is what is written at once, between looks at the context.
const chunk = 16 << 20

// WriteFile makes path a file of the tensors, at once: whoever opens it finds what was there before, or all.
func WriteFile(ctx context.Context, path string, tensors []Tensor, meta map[string]string, d Durability) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if closed := f.Close(); err == nil && closed != nil {
			err = fmt.Errorf("write %s: %w", path, closed)
		}
		if err != nil {
			_ = os.Remove(f.Name())
			return
		}
		if err = os.Rename(f.Name(), path); err == nil && d == Synced {
			err = syncFolder(filepath.Dir(path))
		}
	}()
	if err := f.Chmod(0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := write(ctx, f, tensors, meta, d); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// write fills f. The sums are made beside the writing, so the header, whose length doesn't depend on them, is written last.
func write(ctx context.Context, f *os.File, tensors []Tensor, meta map[string]string, d Durability) error {
	sums := make([]uint32, len(tensors))
	h, err := header(tensors, meta, sums)
	if err != nil {
		return err
	}
	var summed sync.WaitGroup
	defer summed.Wait()
	summed.Go(func() {
		for i, t := range tensors {
			if ctx.Err() != nil {
				return
			}
			sums[i] = sum(t.Data)
		}
	})
	at := int64(len(h))
	for _, t := range tensors {
		for b := t.Data; len(b) > 0; {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			n, err := f.WriteAt(b[:min(len(b), chunk)], at)
			if err != nil {
				return err
			}
			if d == Synced { // the disk begins while memory is copied; it's a hint
				_ = unix.SyncFileRange(int(f.Fd()), at, int64(n), unix.SYNC_FILE_RANGE_WRITE)
			}
			b, at = b[n:], at+int64(n)
		}
	}
	summed.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if h, err = header(tensors, meta, sums); err != nil {
		return err
	}
	if _, err := f.WriteAt(h, 0); err != nil {
		return err
	}
	if d == Synced {
		return f.Sync()
	}
	return nil
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	defer func() { _ = f.Close() }()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}

// File is an open file of tensors.
type File struct {
	Path    string
	Tensors []Tensor // in the order in which they lie
	Meta    map[string]string
	mapped  []byte
}

// OpenFile maps a file, of gray's or another writer's. Its header is checked, its tensors not: see Verify.
func OpenFile(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open tensors: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open tensors: %w", err)
	}
	damaged := func(err error) error { return &DamagedError{path, err} }
	var prefix [8]byte
	if _, err := io.ReadFull(f, prefix[:]); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, damaged(fmt.Errorf("it has %d bytes", info.Size()))
	} else if err != nil {
		return nil, fmt.Errorf("open tensors of %s: %w", path, err)
	}
	n := binary.LittleEndian.Uint64(prefix[:])
	if n > maxHeader || int64(n) > info.Size()-8 {
		return nil, damaged(fmt.Errorf("a header of %d bytes in a file of %d", n, info.Size()))
	}
	mapped, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map tensors of %s: %w", path, err)
	}
	file := &File{Path: path, mapped: mapped}
	tensors, begins, meta, err := parseHeader(mapped[8:8+n], len(mapped))
	if err != nil {
		_ = file.Close()
		return nil, damaged(err)
	}
	for i := range tensors {
		n, _ := length(tensors[i].DType, tensors[i].Shape)
		tensors[i].Data = mapped[begins[i] : begins[i]+n : begins[i]+n]
	}
	file.Tensors, file.Meta = tensors, meta
	return file, nil
}

// Tensor finds a tensor by its name.
func (f *File) Tensor(name string) (Tensor, bool) {
	for _, t := range f.Tensors {
		if t.Name == name {
			return t, true
		}
	}
	return Tensor{}, false
}

// Verify compares the tensors with their sums, on all CPUs. Of a file that has none, as of another writer, it says nothing.
func (f *File) Verify(ctx context.Context) error {
	errs := make([]error, len(f.Tensors))
	next := make(chan int)
	var all sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(f.Tensors)) {
		all.Go(func() {
			for i := range next {
				t := f.Tensors[i]
				want, ok := f.Meta[tensorSum+t.Name]
				if got := hex(sum(t.Data)); ok && got != want {
					errs[i] = &DamagedError{f.Path, fmt.Errorf("tensor %s has sum %s, not %.8s", t.Name, got, want)}
				}
			}
		})
	}
	for i := range f.Tensors {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	all.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.Join(errs...)
}

// Close unmaps the file: its tensors' Data is gone.
func (f *File) Close() error {
	if f.mapped == nil {
		return nil
	}
	err := unix.Munmap(f.mapped)
	f.mapped, f.Tensors = nil, nil
	return err
}
