package node

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gray-runtime/gray/internal/ids"
)

// The progress page: a slot for each process, into which a worker writes the
// number of the task that it begins. It survives the worker.
const (
	slotSize  = 64
	slotCount = 65_536
)

type progress struct {
	file *os.File
	mem  []byte
}

func newProgress() (*progress, error) {
	fd, err := unix.MemfdCreate("gray-progress", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make progress page: %w", err)
	}
	f := os.NewFile(uintptr(fd), "gray-progress")
	if err := f.Truncate(slotSize * slotCount); err != nil {
		f.Close()
		return nil, fmt.Errorf("make progress page: %w", err)
	}
	mem, err := unix.Mmap(fd, 0, slotSize*slotCount, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("map progress page: %w", err)
	}
	return &progress{file: f, mem: mem}, nil
}

func (p *progress) word(slot, at int) *uint64 {
	return (*uint64)(unsafe.Pointer(&p.mem[slot*slotSize+at]))
}

// zero clears a slot that no process writes to.
func (p *progress) zero(slot int) {
	for at := 0; at < slotSize; at += 8 {
		atomic.StoreUint64(p.word(slot, at), 0)
	}
}

// lastStarted is the number of the task that the slot's worker began last.
func (p *progress) lastStarted(slot int) uint64 { return atomic.LoadUint64(p.word(slot, 0)) }

// function is the hash of the name of that task's function.
func (p *progress) function(slot int) uint64 { return atomic.LoadUint64(p.word(slot, 8)) }

// owner is the process whose task that is.
func (p *progress) owner(slot int) ids.ProcessID {
	word := atomic.LoadUint64(p.word(slot, 16))
	return ids.ProcessID{Node: ids.NodeID(word >> 32), Number: uint32(word)}
}

// began is when that task began, for comparison with others of this node, and whether it
// may be run again.
func (p *progress) began(slot int) (at uint64, retriable bool) {
	w := atomic.LoadUint64(p.word(slot, 24))
	return w >> 1, w&1 != 0
}

func (p *progress) close() {
	unix.Munmap(p.mem)
	p.file.Close()
}
