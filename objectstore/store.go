package objectstore

import (
	"container/list"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gray-runtime/gray/internal/ids"
)

// Extent is a place in the arena, in bytes. Offset is a multiple of 64.
type Extent struct{ Offset, Size int64 }

// Config says what a store is like.
type Config struct {
	// Capacity is the size of the arena in bytes, rounded up to whole pages. No
	// physical memory is taken before it's used. More than the machine has is
	// refused.
	Capacity int64
	// OnEvict, if set, is told of each object whose memory is taken back for others: a
	// copy, or what is on disk. It's called with the store's lock held.
	OnEvict func(id ids.ObjectID, size int64)
}

// Store is a node's object store. Its methods may be called by many goroutines.
type Store struct {
	file     *os.File
	memory   []byte // the node's own view of the arena
	capacity int64
	onEvict  func(id ids.ObjectID, size int64) // or nil

	mu      sync.Mutex
	closed  bool
	arena   *arena
	table   *table
	holders map[ids.ProcessID]*holder
	dead    graveyard
	queue   list.List // *request, in the order they came
	waits   map[key][]chan error
	pins    int
	making  int

	idle     [classes]idleQueue
	writing  int64 // bytes of objects that the spiller is writing
	away     int64 // bytes of objects that lie on disk only
	passing  int64 // bytes of objects that are late
	freed    []Place
	moved    uint64
	pressure chan struct{}
}

// Open makes a store with an empty arena.
func Open(cfg Config) (*Store, error) {
	page := int64(os.Getpagesize())
	if cfg.Capacity <= 0 {
		return nil, fmt.Errorf("open object store: a capacity of %d bytes", cfg.Capacity)
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return nil, fmt.Errorf("open object store: read the size of the memory: %w", err)
	}
	if ram := info.Totalram * uint64(info.Unit); uint64(cfg.Capacity) > ram {
		return nil, fmt.Errorf("open object store: a capacity of %d bytes, but the machine has %d bytes of memory", cfg.Capacity, ram)
	}
	capacity := (cfg.Capacity + page - 1) &^ (page - 1)
	file, err := newFile(capacity)
	if err != nil {
		return nil, fmt.Errorf("open object store of %d bytes: %w", capacity, err)
	}
	memory, err := mmap(file, capacity, unix.PROT_READ|unix.PROT_WRITE)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open object store of %d bytes: %w", capacity, err), file.Close())
	}
	return &Store{
		file: file, memory: memory, capacity: capacity, arena: newArena(capacity), table: newTable(),
		holders: map[ids.ProcessID]*holder{}, dead: graveyard{}, waits: map[key][]chan error{},
		pressure: make(chan struct{}, 1), onEvict: cfg.OnEvict,
	}, nil
}

// newFile makes the arena's file: memory without a name, of a size that nobody
// can change any more, since touching a page that was cut off kills a process.
func newFile(capacity int64) (*os.File, error) {
	fd, err := unix.MemfdCreate("gray-objects", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "gray-objects")
	if err := f.Truncate(capacity); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW); err != nil {
		return nil, errors.Join(os.NewSyscallError("fcntl", err), f.Close())
	}
	return f, nil
}

// File returns the arena's file, to be handed to processes, which Map it. It is
// the store's, and closed with it.
func (s *Store) File() *os.File { return s.file }

// Bytes returns the node's own view of an extent that Create or Acquire gave. It
// is valid while the object is held, and until Close; only the object's creator
// may write to it, and only until it's sealed. It panics if the extent isn't in
// the arena.
func (s *Store) Bytes(e Extent) []byte { return s.memory[e.Offset:][:e.Size:e.Size] }

// Close ends all waiting with ErrClosed, unmaps the node's view and closes the
// file. Other processes' mappings stay valid. What Bytes returned must not be
// used any more. Closing again does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	for e := s.queue.Front(); e != nil; e = s.queue.Front() {
		s.answer(e, Extent{}, ErrClosed)
	}
	for k := range s.waits {
		s.wake(k, ErrClosed)
	}
	memory := s.memory
	s.memory = nil
	return errors.Join(unix.Munmap(memory), s.file.Close())
}
