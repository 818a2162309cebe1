package spill

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/objectstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func object(n int) ids.ObjectID {
	return ids.ObjectID{Cluster: 7, Owner: process(1), Number: uint64(n)}
}

func process(n int) ids.ProcessID { return ids.ProcessID{Node: 3, Number: uint32(n)} }

func openStore(t testing.TB, capacity int64) *objectstore.Store {
	t.Helper()
	s, err := objectstore.Open(objectstore.Config{Capacity: capacity})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// content fills b with what belongs to n, and is reports whether it's there.
func content(b []byte, n int) {
	for i := range b {
		b[i] = byte(n + i*7 + i>>8)
	}
}

func is(b []byte, n int) bool {
	for i := range b {
		if b[i] != byte(n+i*7+i>>8) {
			return false
		}
	}
	return true
}

// faulty is a disk on which every operation may fail.
type faulty struct {
	disk
	mu     sync.Mutex
	random *rand.Rand
	odds   int // one in how many operations fails; 0: none
}

func (f *faulty) set(odds int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.odds = odds
}

// fails picks an error, and how much is done in spite of it.
func (f *faulty) fails(n int) (done int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.odds == 0 || f.random.IntN(f.odds) > 0 {
		return n, nil
	}
	err = []error{syscall.ENOSPC, syscall.EIO, io.ErrShortWrite}[f.random.IntN(3)]
	return f.random.IntN(n + 1), err
}

func (f *faulty) create(path string) (file, error) {
	if _, err := f.fails(0); err != nil {
		return nil, err
	}
	real, err := f.disk.create(path)
	return faultyFile{real, f}, err
}

func (f *faulty) remove(path string) error {
	if _, err := f.fails(0); err != nil {
		return err
	}
	return f.disk.remove(path)
}

type faultyFile struct {
	file
	f *faulty
}

func (f faultyFile) WriteAt(b []byte, at int64) (int, error) {
	n, err := f.f.fails(len(b))
	if n, real := f.file.WriteAt(b[:n], at); real != nil {
		return n, real
	}
	return n, err
}

func (f faultyFile) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.f.fails(len(b))
	if err != nil {
		return n, err
	}
	return f.file.ReadAt(b, at)
}

func (f faultyFile) punch(offset, n int64) error {
	if _, err := f.f.fails(0); err != nil {
		return err
	}
	return f.file.punch(offset, n)
}

func (f faultyFile) truncate(size int64) error {
	if _, err := f.f.fails(0); err != nil {
		return err
	}
	return f.file.truncate(size)
}

// spillFiles lists what lies below some directories.
func spillFiles(t testing.TB, dirs ...string) (paths []string) {
	t.Helper()
	for _, dir := range dirs {
		found, err := filepath.Glob(filepath.Join(dir, "gray-spill-*", "*.spill"))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	return paths
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, os.ErrNotExist)
}
