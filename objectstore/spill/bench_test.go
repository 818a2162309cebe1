package spill

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gray-runtime/gray/objectstore"
)

// BenchmarkAgainstDisk spills 256 MiB of objects and restores them, and writes
// and reads the same bytes as one plain file in the same directory, with calls of
// 1 MiB; neither is synced, as spilling needs none. Reads come once from the
// disk, after the pages were written back and dropped, and once as they are in
// use: from the page cache. GRAY_SPILL_BENCH names a directory on the disk to be
// measured (default: the temporary one).
func BenchmarkAgainstDisk(b *testing.B) {
	const size, objects = 8 << 20, 32
	parent := os.Getenv("GRAY_SPILL_BENCH")
	if parent == "" {
		parent = b.TempDir()
	}
	source := make(memory, size*objects)
	content(source, 1)
	victims := make([]objectstore.Victim, objects)
	for i := range victims {
		victims[i] = objectstore.Victim{ID: object(i), Extent: objectstore.Extent{Offset: int64(i) * size, Size: size}}
	}
	target := make([]byte, size*objects)
	content(target, 2) // its pages are there
	bytes := float64(size * objects)

	var ours, plain [3]float64 // seconds: write, read, read from cache
	var oursCPU, plainCPU [3]float64
	clock := func(to, cpu *float64, do func() error) {
		b.Helper()
		began, used := time.Now(), cpuTime(b)
		if err := do(); err != nil {
			b.Fatal(err)
		}
		*to += time.Since(began).Seconds()
		*cpu += cpuTime(b) - used
	}
	spilling := func() {
		f, err := openFiles([]string{parent}, disk{})
		if err != nil {
			b.Fatal(err)
		}
		restore := func() error {
			for i := range victims {
				if err := f.read(object(i), victims[i].Disk, target[i*size:][:size]); err != nil {
					return err
				}
			}
			return nil
		}
		clock(&ours[0], &oursCPU[0], func() error {
			d := f.dirs[0]
			for rest := victims; len(rest) > 0; rest = rest[batch/size:] {
				if err := f.write(d, rest[:batch/size], source.at); err != nil {
					return err
				}
			}
			return nil
		})
		for _, path := range spillFiles(b, parent) {
			dropCache(b, path)
		}
		clock(&ours[1], &oursCPU[1], restore)
		clock(&ours[2], &oursCPU[2], restore)
		if err := f.close(); err != nil {
			b.Fatal(err)
		}
	}
	plainly := func() {
		path := filepath.Join(parent, "plain")
		file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
		if err != nil {
			b.Fatal(err)
		}
		read := func() error {
			for at := int64(0); at < size*objects; at += piece {
				if _, err := file.ReadAt(target[at:][:piece], at); err != nil {
					return err
				}
			}
			return nil
		}
		clock(&plain[0], &plainCPU[0], func() error {
			for at := int64(0); at < size*objects; at += piece {
				if _, err := file.WriteAt(source[at:][:piece], at); err != nil {
					return err
				}
			}
			return nil
		})
		dropCache(b, path)
		clock(&plain[1], &plainCPU[1], read)
		clock(&plain[2], &plainCPU[2], read)
		if err := errors.Join(file.Close(), os.Remove(path)); err != nil {
			b.Fatal(err)
		}
	}
	// What the machine gives out for the first time is slow.
	plainly()
	spilling()
	ours, plain, oursCPU, plainCPU = [3]float64{}, [3]float64{}, [3]float64{}, [3]float64{}
	for b.Loop() { // each goes first once
		spilling()
		plainly()
		plainly()
		spilling()
	}
	n := 2 * float64(b.N)
	for i, what := range []string{"write", "read", "cached-read"} {
		b.ReportMetric(n*bytes/ours[i]/1e6, what+"-MB/s")
		b.ReportMetric(plain[i]/ours[i], what+"-ratio")
		b.ReportMetric(plainCPU[i]/oursCPU[i], what+"-cpu-ratio")
	}
}

// cpuTime is what this process has used, which other processes disturb less than
// the time that it takes.
func cpuTime(b *testing.B) float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// dropCache has the next reads of a file come from its disk.
func dropCache(b *testing.B, path string) {
	b.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		err = errors.Join(f.Sync(), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED), f.Close())
	}
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSpillRestore is the whole way: objects go through a store that holds an
// eighth of them, out and back.
func BenchmarkSpillRestore(b *testing.B) {
	const size, objects = 8 << 20, 64
	s := openStore(b, size*objects/8)
	e := openEngine(b, s, disk{}, b.TempDir())
	ctx := context.Background()
	b.SetBytes(2 * size * objects)
	for b.Loop() {
		for n := range objects {
			if _, err := s.Create(ctx, object(n), size, process(1)); err != nil {
				b.Fatal(err)
			}
			if err := s.Seal(object(n), process(1)); err != nil {
				b.Fatal(err)
			}
		}
		for n := range objects {
			if _, err := e.Acquire(ctx, object(n), process(2)); err != nil {
				b.Fatal(err)
			}
			s.Release(object(n), process(2))
			s.Delete(object(n))
		}
	}
}
