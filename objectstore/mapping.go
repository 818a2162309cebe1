package objectstore

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Mapping is a process's two views of the arena: one that can only be read, for
// user code, so that a write faults the writer instead of changing an object that
// others see; and one that can be written, for objects that are being made. It
// guards against accidents, not against a hostile process, which could map the
// file as it likes.
//
// Its methods may be called by many goroutines, Close only once the others are
// done.
type Mapping struct{ readable, writable []byte }

// Map maps the arena in a process that was handed its file, which may be closed
// afterwards. No memory is touched.
func Map(f *os.File) (*Mapping, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("map object store: %w", err)
	}
	seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
	runtime.KeepAlive(f)
	if err != nil || seals&unix.F_SEAL_SHRINK == 0 {
		return nil, fmt.Errorf("map object store: %s is not a store's memory", f.Name())
	}
	readable, err := mmap(f, info.Size(), unix.PROT_READ)
	if err != nil {
		return nil, fmt.Errorf("map object store for reading: %w", err)
	}
	writable, err := mmap(f, info.Size(), unix.PROT_READ|unix.PROT_WRITE)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("map object store for writing: %w", err), unix.Munmap(readable))
	}
	return &Mapping{readable, writable}, nil
}

func mmap(f *os.File, size int64, protection int) ([]byte, error) {
	b, err := unix.Mmap(int(f.Fd()), 0, int(size), protection, unix.MAP_SHARED)
	runtime.KeepAlive(f)
	return b, os.NewSyscallError("mmap", err)
}

// Read returns the bytes of an object that this process has acquired, which are
// valid until it's released. Writing to them faults.
func (m *Mapping) Read(e Extent) ([]byte, error) { return slice(m.readable, e) }

// Write returns the memory of an object that this process is making. Once the
// object is sealed it must not be written any more.
func (m *Mapping) Write(e Extent) ([]byte, error) { return slice(m.writable, e) }

func slice(b []byte, e Extent) ([]byte, error) {
	if b == nil {
		return nil, ErrClosed
	}
	if n := int64(len(b)); e.Offset < 0 || e.Size < 0 || e.Offset > n || e.Size > n-e.Offset {
		return nil, fmt.Errorf("%w: %d bytes at %d of %d", ErrExtent, e.Size, e.Offset, n)
	}
	return b[e.Offset:][:e.Size:e.Size], nil
}

// Size is the arena's, in bytes.
func (m *Mapping) Size() int64 { return int64(len(m.readable)) }

// Close unmaps both views. What Read and Write returned must not be used any
// more. Closing again does nothing.
func (m *Mapping) Close() error {
	if m.readable == nil {
		return nil
	}
	err := errors.Join(unix.Munmap(m.readable), unix.Munmap(m.writable))
	m.readable, m.writable = nil, nil
	return err
}
