package shared

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Region is memory that several processes have mapped. Close unmaps it: nobody may use Bytes after.
type Region struct {
	Bytes []byte
	fd    int
}

// Create makes a region of so many bytes, all 0. The maker's Path serves others until Close.
func Create(bytes int) (*Region, error) {
	fd, err := unix.MemfdCreate("gray-shared", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make %d bytes of shared memory: %w", bytes, err)
	}
	if err := unix.Ftruncate(fd, int64(bytes)); err != nil {
		_ = unix.Close(fd) // nothing was written
		return nil, fmt.Errorf("make %d bytes of shared memory: %w", bytes, err)
	}
	return mapped(fd, bytes)
}

// Path is where other processes of the node Open the region.
func (r *Region) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), r.fd) }

// FD is the region's file in this process, as Path names it.
func (r *Region) FD() int { return r.fd }

// Open maps a region that another process made.
func Open(path string) (*Region, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open shared memory %s: %w", path, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("open shared memory %s: %w", path, err)
	}
	return mapped(fd, int(st.Size))
}

func mapped(fd, bytes int) (*Region, error) {
	b, err := unix.Mmap(fd, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("map %d bytes of shared memory: %w", bytes, err)
	}
	return &Region{b, fd}, nil
}

// Close unmaps the region. Its memory is freed when all processes have. Closing it again does nothing.
func (r *Region) Close() error {
	if r.fd < 0 {
		return nil
	}
	fd := r.fd
	r.fd = -1
	err := unix.Munmap(r.Bytes)
	r.Bytes = nil
	if e := unix.Close(fd); err == nil {
		err = e
	}
	return err
}

// Slice is the part of a region from byte at, as n values of T. at must be a multiple of T's size.
func Slice[T any](r *Region, at, n int) []T {
	if n == 0 {
		return nil
	}
	size := int(unsafe.Sizeof(*new(T)))
	_ = r.Bytes[at : at+n*size]
	return unsafe.Slice((*T)(unsafe.Pointer(&r.Bytes[at])), n)
}
