package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

const spillPiece = 256 << 20 // bytes of an object

// benchSpill puts more than a store holds, and reads it back, beside plain writes
// and reads of a file on the same disk.
func benchSpill(ctx context.Context, b *bench) error {
	if err := onDisk(os.TempDir()); err != nil {
		return err
	}
	o := embed.Options{StoreBytes: 1 << 30}
	err := onCluster(ctx, o, func(ctx context.Context, _ *embed.Cluster) error {
		put, err := putPieces(ctx, 8, nil)
		if err != nil {
			return err
		}
		back, err := put.readBack(ctx)
		b.report(Metric{Metric: "spill_put_8x256MiB_into_1GiB_store", Value: put.rate, Unit: "GB/s"})
		b.report(Metric{Metric: "spill_get_8x256MiB_back", Value: back, Unit: "GB/s"})
		return err
	})
	if err != nil {
		return err
	}
	return onCluster(ctx, o, func(ctx context.Context, cluster *embed.Cluster) error {
		return b.spillAgainstDisk(ctx, cluster.Dir())
	})
}

// spillAgainstDisk puts four times the store. All that is written is on the disk
// before a time is taken, and nothing of it in the page cache before it's read.
func (b *bench) spillAgainstDisk(ctx context.Context, dir string) error {
	reps := 3
	if b.quick {
		reps = 1
	}
	var write, read, diskWrite, diskRead []float64
	for range reps {
		disk, err := measureDisk(os.TempDir(), 3<<30)
		if err != nil {
			return fmt.Errorf("measure the disk: %w", err)
		}
		var spilled int64
		put, err := putPieces(ctx, 16, func() (err error) {
			spilled, err = evict(dir)
			return err
		})
		if err != nil {
			return err
		}
		back, err := put.readBack(ctx)
		if err != nil {
			return err
		}
		write, read = append(write, gbps(int(spilled), put.took)), append(read, back)
		diskWrite, diskRead = append(diskWrite, disk.write), append(diskRead, disk.read)
		letGo()
	}
	b.spread("spill_sequential", "GB/s", write, "what was written when 4 GiB were put into 1 GiB")
	b.spread("restore_sequential", "GB/s", read, "what was in memory still included")
	b.spread("reference_disk_write", "GB/s", diskWrite, "a file of 3 GiB, written and synced")
	b.spread("reference_disk_read", "GB/s", diskRead, "none of it cached")
	b.ratio("spill_sequential_of_disk", write, diskWrite, "floor 0.7, goal 0.9")
	b.ratio("restore_sequential_of_disk", read, diskRead, "floor 0.7, goal 0.9")
	return nil
}

// pieces are objects that were put.
type pieces struct {
	refs []gray.Ref[[]byte]
	took time.Duration // then included
	rate float64       // GB/s
}

func putPieces(ctx context.Context, n int, then func() error) (*pieces, error) {
	data := warm(spillPiece)
	p := &pieces{}
	start := time.Now()
	for range n {
		ref, err := gray.Put(ctx, data)
		if err != nil {
			return nil, err
		}
		p.refs = append(p.refs, ref)
	}
	if then != nil {
		if err := then(); err != nil {
			return nil, err
		}
	}
	p.took = time.Since(start)
	p.rate = gbps(n*spillPiece, p.took)
	return p, nil
}

// readBack views them all and reads each page; in GB/s.
func (p *pieces) readBack(ctx context.Context) (float64, error) {
	start := time.Now()
	for i, ref := range p.refs {
		err := gray.View(ctx, ref, func(data []byte) error {
			sum := 0
			for j := 0; j < len(data); j += 4096 {
				sum += int(data[j])
			}
			if sum != len(data)/4096 {
				return fmt.Errorf("object %d isn't what was put", i)
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return gbps(len(p.refs)*spillPiece, time.Since(start)), nil
}

// evict has a folder's files on the disk and not in the page cache, and says how
// much of the disk they take.
func evict(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !d.Type().IsRegular() {
			return nil
		}
		if err != nil {
			return err
		}
		n, err := evictFile(path)
		bytes += n
		return err
	})
	return bytes, err
}

func evictFile(path string) (bytes int64, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	defer f.Close()
	if err := unix.Fdatasync(int(f.Fd())); err != nil {
		return 0, fmt.Errorf("sync %s: %w", path, err)
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return 0, fmt.Errorf("evict %s: %w", path, err)
	}
	var s unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &s); err != nil {
		return 0, fmt.Errorf("stat %s: %w", path, err)
	}
	return s.Blocks * 512, nil
}

// diskRates are a disk's, for one file that is written and read in order, in GB/s.
type diskRates struct{ write, read float64 }

func measureDisk(dir string, bytes int) (r diskRates, err error) {
	f, err := os.CreateTemp(dir, "graybench")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := warm(4 << 20)
	start := time.Now()
	for n := 0; n < bytes; n += len(block) {
		if _, err := f.Write(block); err != nil {
			return r, err
		}
	}
	if _, err := evictFile(f.Name()); err != nil {
		return r, err
	}
	r.write = gbps(bytes, time.Since(start))
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return r, err
	}
	start = time.Now()
	for n := 0; n < bytes; n += len(block) {
		if _, err := io.ReadFull(f, block); err != nil {
			return r, err
		}
	}
	r.read = gbps(bytes, time.Since(start))
	return r, nil
}
