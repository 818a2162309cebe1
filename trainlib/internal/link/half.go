package link

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wire moves the bytes of one direction, as far as it goes without waiting.
type wire interface {
	// begin says what moves next: the stream's next bytes are b's.
	begin(b []byte)
	// step moves what it can: how many of b's bytes, from its start, have moved in all. The rest may have moved in part.
	step() (int, error)
	// touched reports whether any byte of b has moved.
	touched() bool
	// await adds what to poll until step can move something; ready if it can already. awake ends it.
	await([]unix.PollFd) (fds []unix.PollFd, ready bool)
	awake()
	// cost is that of a step in vain: see patience.
	cost() int
}

// half is one direction of a Conn.
type half struct {
	conn *Conn
	wire wire
	bell bell
	mu   sync.Mutex // held by the Run that uses it

	// The transfer under way.
	want, have int // bytes
	size, done int // of the part of it that wire has now, of which done bytes were moved (and folded)
	some       bool
	fold       func([]byte)
	unit       int
	scratch    []byte
}

// scratchBytes is how much is received before it's folded, at most: it stays in the cache.
const scratchBytes = 512 << 10

func (h *half) begin(t *Transfer) error {
	if h.conn.closed {
		h.want, h.have = 0, 0
		return ErrClosed
	}
	h.some, h.have, h.done = false, 0, 0
	h.fold, h.unit = t.Fold, max(t.Unit, 1)
	switch {
	case t.send || t.Out != nil:
		h.want = len(t.Out)
		h.size = h.want
		h.wire.begin(t.Out)
	case t.Fold != nil:
		h.want = t.Bytes
		h.nextPart()
	default:
		h.want = len(t.In)
		h.size = h.want
		h.wire.begin(t.In)
	}
	if h.fold != nil && (h.unit > 8 || h.want%h.unit != 0) {
		return fmt.Errorf("receive %d bytes in units of %d", h.want, h.unit)
	}
	return nil
}

// nextPart has the wire receive the next bytes to fold.
func (h *half) nextPart() {
	if _, ok := h.wire.(*ringReader); ok {
		return // folded where they lie
	}
	if h.scratch == nil {
		h.scratch = aligned(scratchBytes)
	}
	h.size, h.done = min(h.want-h.have, len(h.scratch)), 0
	h.wire.begin(h.scratch[:h.size])
}

func (h *half) finished() bool { return h.have == h.want }
func (h *half) begun() bool    { return h.some || h.have > 0 || h.wire.touched() }

// end lets go of the caller's memory.
func (h *half) end() {
	if !h.conn.closed {
		h.wire.begin(nil)
	}
	h.fold = nil
	h.want, h.have = 0, 0
}

// step moves what it can, and reports whether that was something.
func (h *half) step() (bool, error) {
	if h.fold == nil {
		n, err := h.wire.step()
		moved := n > h.have
		h.have = n
		return moved, err
	}
	if r, ok := h.wire.(*ringReader); ok {
		return h.foldInPlace(r)
	}
	n, err := h.wire.step()
	whole := n - n%h.unit
	moved := whole > h.done
	if moved {
		h.fold(h.scratch[h.done:whole])
		h.have += whole - h.done
		h.done = whole
		if h.done == h.size && h.have < h.want {
			h.some = true
			h.nextPart()
		}
	}
	return moved, err
}

// foldInPlace has what lies in a ring folded without a copy, where it's aligned and not at the ring's end.
func (h *half) foldInPlace(r *ringReader) (bool, error) {
	piece, err := r.peek(h.want-h.have, h.unit)
	if len(piece) == 0 {
		return false, err
	}
	h.fold(piece)
	h.have += len(piece)
	r.skip(len(piece))
	return true, nil
}

func (h *half) wake() { h.bell.ring() }

// aligned is memory that begins at a cache line.
func aligned(n int) []byte {
	b := make([]byte, n+64)
	at := int(-uintptr(unsafe.Pointer(&b[0])) & 63)
	return b[at : at+n : at+n]
}

// bell wakes the Run that sleeps on a half.
type bell interface {
	ring()
	silence() // after it has rung
}

// chanBell is one within the process: the waiting Run's channel.
type chanBell struct{ waiter atomic.Pointer[chan struct{}] }

func (b *chanBell) ring() {
	if w := b.waiter.Load(); w != nil {
		select {
		case *w <- struct{}{}:
		default:
		}
	}
}

func (b *chanBell) silence() {}

// eventBell is an eventfd, which the peer may hold, too.
type eventBell struct{ fd int }

func newEventBell() (*eventBell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	return &eventBell{fd}, err
}

var one = [8]byte{1}

func (b *eventBell) ring() { _, _ = unix.Write(b.fd, one[:]) } // full is rung

func (b *eventBell) silence() {
	var n [8]byte
	_, _ = unix.Read(b.fd, n[:])
}

func (b *eventBell) close() error { return unix.Close(b.fd) }
