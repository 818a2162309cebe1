package spill

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// system is the file operations that may fail while the node runs.
type system interface {
	create(path string) (file, error)
	remove(path string) error
}

type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// punch frees what lies in a part of the file.
	punch(offset, n int64) error
	truncate(size int64) error
}

type disk struct{}

func (disk) create(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

func (disk) remove(path string) error { return os.Remove(path) }

type diskFile struct{ *os.File }

func (f diskFile) truncate(size int64) error { return f.Truncate(size) }

func (f diskFile) punch(offset, n int64) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var punched error
	err = raw.Control(func(fd uintptr) {
		punched = unix.Fallocate(int(fd), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, n)
	})
	if errors.Is(punched, unix.EOPNOTSUPP) {
		punched = nil // it goes with the file
	}
	return errors.Join(err, os.NewSyscallError("fallocate", punched))
}
