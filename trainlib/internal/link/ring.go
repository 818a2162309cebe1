package link

import (
	"errors"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring is a queue of bytes in memory, of one writer and one reader, which may be different processes.
type ring struct {
	head  *ringHead
	bytes []byte // a power of two
}

// ringHead is the part of a ring that both write. Positions only grow, and may wrap around.
type ringHead struct {
	written     atomic.Uint64
	writerSleep atomic.Uint32
	_           [52 + 64]byte // a line and its neighbour, which CPUs fetch together
	read        atomic.Uint64
	readerSleep atomic.Uint32
	_           [52 + 64]byte
}

const (
	ringHeadBytes = int(unsafe.Sizeof(ringHead{}))
	ringBytes     = 512 << 10
	// ringStep is how much is copied before the other side is told.
	ringStep = 64 << 10
)

// errDamaged is that the other process wrote nonsense into the memory.
var errDamaged = errors.New("the shared memory is damaged")

// ringIn is the ring in a piece of memory of ringHeadBytes more than a power of two.
func ringIn(memory []byte) ring {
	return ring{(*ringHead)(unsafe.Pointer(&memory[0])), memory[ringHeadBytes:]}
}

func (r ring) at(position uint64) int { return int(position & uint64(len(r.bytes)-1)) }

// ringWriter is the writer's end.
type ringWriter struct {
	ring
	conn *Conn
	peer bell // the reader's
	b    []byte
	n    int
	seen uint64 // what the reader had read when last looked: its line is fetched only when the ring seems full
}

func (w *ringWriter) begin(b []byte) { w.b, w.n = b, 0 }
func (w *ringWriter) touched() bool  { return w.n > 0 }
func (w *ringWriter) cost() int      { return 1 }

func (w *ringWriter) step() (int, error) {
	if w.conn.down.Load() {
		return w.n, w.conn.Err()
	}
	written := w.head.written.Load()
	room := len(w.bytes) - int(written-w.seen)
	if room < min(ringStep, len(w.b)-w.n) {
		w.seen = w.head.read.Load()
		room = len(w.bytes) - int(written-w.seen)
	}
	if room == 0 {
		return w.n, nil
	}
	if room < 0 || room > len(w.bytes) {
		w.conn.fail(errDamaged)
		return w.n, errDamaged
	}
	at := w.at(written)
	k := copy(w.bytes[at:min(len(w.bytes), at+room, at+ringStep)], w.b[w.n:])
	w.n += k
	w.head.written.Store(written + uint64(k))
	if w.head.readerSleep.Load() != 0 && w.head.readerSleep.CompareAndSwap(1, 0) {
		w.peer.ring()
	}
	return w.n, nil
}

func (w *ringWriter) await(fds []unix.PollFd) ([]unix.PollFd, bool) {
	w.head.writerSleep.Store(1)
	return fds, int(w.head.written.Load()-w.head.read.Load()) < len(w.bytes) || w.conn.down.Load()
}

func (w *ringWriter) awake() { w.head.writerSleep.Store(0) }

// ringReader is the reader's end.
type ringReader struct {
	ring
	conn *Conn
	peer bell // the writer's
	b    []byte
	n    int
	seen uint64  // what was written when last looked
	need int     // what must have come to go on
	odd  [8]byte // what peek copied
}

func (r *ringReader) begin(b []byte) { r.b, r.n, r.need = b, 0, 1 }
func (r *ringReader) touched() bool  { return r.n > 0 }
func (r *ringReader) cost() int      { return 1 }

func (r *ringReader) step() (int, error) {
	piece, err := r.next(len(r.b) - r.n)
	if len(piece) == 0 {
		return r.n, err
	}
	copy(r.b[r.n:], piece)
	r.n += len(piece)
	r.skip(len(piece))
	return r.n, nil
}

// next is what lies in the ring, up to its end or max bytes.
func (r *ringReader) next(most int) ([]byte, error) {
	read := r.head.read.Load()
	if have := int(r.seen - read); have < min(ringStep, most) {
		down := r.conn.down.Load() // before the look: what a peer wrote before it died counts
		r.seen = r.head.written.Load()
		if r.seen == read {
			if down {
				return nil, r.conn.Err()
			}
			return nil, nil
		}
	}
	if r.seen-read > uint64(len(r.bytes)) {
		r.conn.fail(errDamaged)
		return nil, errDamaged
	}
	at := r.at(read)
	return r.bytes[at:min(len(r.bytes), at+int(r.seen-read), at+min(most, ringStep))], nil
}

// peek is next in whole units, aligned; a unit that isn't is copied.
func (r *ringReader) peek(most, unit int) ([]byte, error) {
	piece, err := r.next(most)
	if len(piece) == 0 {
		return nil, err
	}
	read := r.head.read.Load()
	if at := r.at(read); at%unit == 0 && len(piece) >= unit {
		return piece[:len(piece)-len(piece)%unit], nil
	}
	r.need = unit
	if int(r.seen-read) < unit {
		if r.seen = r.head.written.Load(); int(r.seen-read) < unit {
			if r.conn.down.Load() {
				return nil, r.conn.Err()
			}
			return nil, nil
		}
	}
	for i := range unit {
		r.odd[i] = r.bytes[r.at(read+uint64(i))]
	}
	return r.odd[:unit], nil
}

// skip gives n bytes back to the writer.
func (r *ringReader) skip(n int) {
	r.head.read.Store(r.head.read.Load() + uint64(n))
	if r.head.writerSleep.Load() != 0 && r.head.writerSleep.CompareAndSwap(1, 0) {
		r.peer.ring()
	}
}

func (r *ringReader) await(fds []unix.PollFd) ([]unix.PollFd, bool) {
	r.head.readerSleep.Store(1)
	return fds, int(r.head.written.Load()-r.head.read.Load()) >= r.need || r.conn.down.Load()
}

func (r *ringReader) awake() { r.head.readerSleep.Store(0) }
