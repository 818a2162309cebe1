package collective

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"unsafe"
)

// piece is how much of an array is sent, or combined, at once: it stays in a cache.
const piece = 256 << 10

// mesh is a member's streams to all others, for the operations.
type mesh struct {
	streams []stream // by rank; nil at the member's own
	sent    []uint32 // by rank, the last call of which it was sent something
	got     []uint32 // and received something
	n       uint32   // the call's number
	call    description
	frame   []byte // a header with what follows it, if that's short
	scratch []byte // a piece that was received
	own     []byte // a piece that mustn't be changed in place
	bytes   atomic.Uint64
}

// headerBytes: the call's number in 4 bytes, 4 that are 0, and its description in 8. It goes before the first bytes of a
// call that one member sends another.
const headerBytes = 16

// shortFrame is what surely fits into what lies between two members, so that both may send before either receives.
const shortFrame = 16 << 10

func newMesh(streams []stream) *mesh {
	return &mesh{streams: streams, sent: make([]uint32, len(streams)), got: make([]uint32, len(streams)), frame: aligned(headerBytes + shortFrame)}
}

// aligned makes bytes that may hold any type's values.
func aligned(n int) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(make([]uint64, n/8+1)))), n)
}

func (m *mesh) begin(n uint32, call description) { m.n, m.call = n, call }

// spare is a piece to receive into.
func (m *mesh) spare(n int) []byte {
	if m.scratch == nil {
		m.scratch = aligned(piece)
	}
	return m.scratch[:n]
}

func (m *mesh) close() {
	for _, s := range m.streams {
		if s != nil {
			_ = s.Close() // what was sent was received, or the group is broken
		}
	}
}

func (m *mesh) header() []byte {
	h := m.frame[:headerBytes]
	binary.LittleEndian.PutUint32(h, m.n)
	binary.LittleEndian.PutUint32(h[4:], 0)
	binary.LittleEndian.PutUint64(h[8:], uint64(m.call))
	return h
}

// framed is b, behind a header if it's the first that a rank is sent. It's one slice if that is short.
func (m *mesh) framed(to int, b []byte) (head, rest []byte) {
	if m.sent[to] == m.n {
		return nil, b
	}
	m.sent[to] = m.n
	head = m.header()
	if len(b) > shortFrame {
		return head, b
	}
	return m.frame[:headerBytes+copy(m.frame[headerBytes:], b)], nil
}

func (m *mesh) send(ctx context.Context, to int, b []byte) error {
	m.bytes.Add(uint64(len(b)))
	head, rest := m.framed(to, b)
	if len(head) > 0 {
		if err := m.streams[to].Send(ctx, head); err != nil {
			return &streamError{to, err}
		}
	}
	if len(rest) > 0 {
		if err := m.streams[to].Send(ctx, rest); err != nil {
			return &streamError{to, err}
		}
	}
	return nil
}

func (m *mesh) recv(ctx context.Context, from int, b []byte) error {
	if err := m.expect(ctx, from); err != nil {
		return err
	}
	if len(b) > 0 {
		if err := m.streams[from].Recv(ctx, b); err != nil {
			return &streamError{from, err}
		}
	}
	return nil
}

// expect reads and checks the header, if it's to come.
func (m *mesh) expect(ctx context.Context, from int) error {
	if m.got[from] == m.n {
		return nil
	}
	m.got[from] = m.n
	var h [headerBytes]byte
	if err := m.streams[from].Recv(ctx, h[:]); err != nil {
		return &streamError{from, err}
	}
	return checkCall(from, m.n, m.call, binary.LittleEndian.Uint32(h[:]), description(binary.LittleEndian.Uint64(h[8:])))
}

func checkCall(rank int, n uint32, call description, theirN uint32, theirs description) error {
	if n == theirN && call == theirs {
		return nil
	}
	return &mismatchError{rank, fmt.Sprintf("call %d: %v", n, call), fmt.Sprintf("call %d: %v", theirN, theirs)}
}

// exchange sends to one rank while it receives from another.
func (m *mesh) exchange(ctx context.Context, to int, out []byte, from int, in []byte) error {
	m.bytes.Add(uint64(len(out)))
	head, rest := m.framed(to, out)
	if len(head) > 0 {
		if err := m.streams[to].Send(ctx, head); err != nil {
			return &streamError{to, err}
		}
	} else if len(rest) <= shortFrame {
		return m.inTurn(ctx, to, rest, from, in)
	}
	if err := m.expect(ctx, from); err != nil {
		return err
	}
	if len(rest) == 0 && len(in) == 0 {
		return nil
	}
	return m.both(ctx, to, rest, from, in)
}

// inTurn sends what is short before it receives.
func (m *mesh) inTurn(ctx context.Context, to int, out []byte, from int, in []byte) error {
	if len(out) > 0 {
		if err := m.streams[to].Send(ctx, out); err != nil {
			return &streamError{to, err}
		}
	}
	return m.recv(ctx, from, in)
}

func (m *mesh) both(ctx context.Context, to int, out []byte, from int, in []byte) error {
	x, ok := m.streams[to].(exchanger)
	if !ok || len(out) == 0 || len(in) == 0 {
		return m.inTurn(ctx, to, out, from, in)
	}
	if err := x.exchange(ctx, out, m.streams[from], in); err != nil {
		return &streamError{from, err}
	}
	return nil
}

// exchangeInto is exchange, but what is received is combined into in.
func (m *mesh) exchangeInto(ctx context.Context, to int, out []byte, from int, in []byte, elem int, k kernel) error {
	if f, ok := m.streams[to].(folder); ok && len(out) > shortFrame && len(in) > shortFrame {
		return m.exchangeFold(ctx, f, to, out, from, in, elem, k)
	}
	for first := true; first || len(out)+len(in) > 0; first = false {
		o, i := min(len(out), piece), min(len(in), piece)
		spare := m.spare(i)
		if err := m.exchange(ctx, to, out[:o], from, spare); err != nil {
			return err
		}
		k.into(in[:i], spare)
		out, in = out[o:], in[i:]
	}
	return nil
}

// exchangeFold is exchangeInto where the stream can have what arrives combined while more does.
func (m *mesh) exchangeFold(ctx context.Context, f folder, to int, out []byte, from int, in []byte, elem int, k kernel) error {
	m.bytes.Add(uint64(len(out)))
	head, rest := m.framed(to, out)
	if len(head) > 0 {
		if err := m.streams[to].Send(ctx, head); err != nil {
			return &streamError{to, err}
		}
	}
	if err := m.expect(ctx, from); err != nil {
		return err
	}
	at := 0
	err := f.exchangeFold(ctx, rest, m.streams[from], len(in), elem, func(piece []byte) {
		k.into(in[at:at+len(piece)], piece)
		at += len(piece)
	})
	if err != nil {
		return &streamError{from, err}
	}
	return nil
}
