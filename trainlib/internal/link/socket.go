package link

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// stream is one connection's socket, which doesn't block: 0 bytes and no error say that it would.
type stream interface {
	read(b []byte) (int, error)
	write(b []byte) (int, error)
	// flush sends what write has taken and not sent, and reports whether all has gone.
	flush() (bool, error)
	unsent() bool
	fd() int
	close() error
}

// socket is a plain stream.
type socket int

// socketStep is how much a call of the kernel moves at most, so that both directions have their turns.
const socketStep = 1 << 20

func (s socket) read(b []byte) (int, error) {
	n, err := unix.Read(int(s), b[:min(len(b), socketStep)])
	if n == 0 && err == nil && len(b) > 0 {
		return 0, fmt.Errorf("%w: %w", ErrPeerGone, io.EOF)
	}
	return moved(n, err)
}

func (s socket) write(b []byte) (int, error) {
	return moved(unix.Write(int(s), b[:min(len(b), socketStep)]))
}

func moved(n int, err error) (int, error) {
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return 0, nil
	}
	return 0, fmt.Errorf("%w: %w", ErrPeerGone, err)
}

func (s socket) flush() (bool, error) { return true, nil }
func (s socket) unsent() bool         { return false }
func (s socket) fd() int              { return int(s) }
func (s socket) close() error         { return unix.Close(int(s)) }

// stripeBytes is how many bytes of a connection one of its streams carries in a row.
const stripeBytes = 64 << 10

// stripes is how one direction's bytes are dealt to streams: the place of a byte in all that's ever sent decides.
type stripes struct {
	conn    *Conn
	streams []stream
	next    []uint64 // of each stream: the place of the byte that it carries next
	b       []byte
	start   uint64 // b's place
	some    bool
	try     int // what a step in vain costs
}

func newStripes(c *Conn, streams []stream) stripes {
	s := stripes{conn: c, streams: streams, next: make([]uint64, len(streams)), try: socketTry}
	if _, ok := streams[0].(*secured); ok {
		s.try = secureTry
	}
	for i := range s.next {
		s.next[i] = uint64(i) * stripeBytes
	}
	return s
}

func (s *stripes) begin(b []byte) {
	s.start += uint64(s.moved()) // all or nothing of it, or the connection is broken
	s.b, s.some = b, false
}

func (s *stripes) touched() bool { return s.some }
func (s *stripes) cost() int     { return s.try }
func (s *stripes) awake()        {}

// part is what stream i carries next of b.
func (s *stripes) part(i int) []byte {
	at, end := s.next[i], s.start+uint64(len(s.b))
	if at >= end {
		return nil
	}
	if len(s.streams) > 1 {
		end = min(end, at-at%stripeBytes+stripeBytes)
	}
	return s.b[at-s.start : end-s.start]
}

func (s *stripes) advance(i, n int) {
	s.some = s.some || n > 0
	s.next[i] += uint64(n)
	if k := uint64(len(s.streams)); k > 1 && n > 0 && s.next[i]%stripeBytes == 0 {
		s.next[i] += (k - 1) * stripeBytes
	}
}

// moved is how much of b, from its start, all streams have moved.
func (s *stripes) moved() int {
	n := uint64(len(s.b))
	for _, at := range s.next {
		n = min(n, at-s.start)
	}
	return int(n)
}

// ended reports whether the connection is broken for another reason than that the peer is gone, whose bytes may still come.
func (s *stripes) ended() error {
	if s.conn.down.Load() {
		if err := s.conn.Err(); !errors.Is(err, ErrPeerGone) {
			return err
		}
	}
	return nil
}

// socketWriter sends over streams.
type socketWriter struct{ stripes }

func (w *socketWriter) step() (int, error) {
	if w.conn.down.Load() {
		return w.moved(), w.conn.Err()
	}
	left := false
	for i, x := range w.streams {
		if p := w.part(i); len(p) > 0 {
			n, err := x.write(p)
			if err != nil {
				w.conn.fail(err)
				return w.moved(), err
			}
			w.advance(i, n)
		}
		all, err := x.flush()
		if err != nil {
			w.conn.fail(err)
			return w.moved(), err
		}
		left = left || !all
	}
	n := w.moved()
	if left && n == len(w.b) {
		n-- // the last byte counts when all have left: nobody flushes after
	}
	return n, nil
}

func (w *socketWriter) await(fds []unix.PollFd) ([]unix.PollFd, bool) {
	for i, x := range w.streams {
		if x.unsent() || len(w.part(i)) > 0 {
			fds = append(fds, unix.PollFd{Fd: int32(x.fd()), Events: unix.POLLOUT})
		}
	}
	return fds, w.conn.down.Load()
}

// socketReader receives over streams.
type socketReader struct{ stripes }

func (r *socketReader) step() (int, error) {
	some := false
	err := r.ended()
	for i, x := range r.streams {
		p := r.part(i)
		if len(p) == 0 {
			continue
		}
		n, e := x.read(p)
		if e != nil {
			r.conn.fail(e)
			return r.moved(), e
		}
		r.advance(i, n)
		some = some || n > 0
	}
	if some {
		err = nil
	}
	return r.moved(), err
}

func (r *socketReader) await(fds []unix.PollFd) ([]unix.PollFd, bool) {
	for i, x := range r.streams {
		if len(r.part(i)) > 0 {
			fds = append(fds, unix.PollFd{Fd: int32(x.fd()), Events: unix.POLLIN})
		}
	}
	return fds, r.ended() != nil
}
