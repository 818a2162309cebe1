package transfer

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/gray-runtime/gray/internal/ids"
	pb "github.com/gray-runtime/gray/proto"
)

// TestConnectionsStay: later pulls use the connections of earlier ones, and one
// that the other side has closed meanwhile is replaced.
func TestConnectionsStay(t *testing.T) {
	h := newHosts(t, true)
	from, to := newMemory(), newMemory()
	var dials atomic.Int32
	dial := func(ctx context.Context, n ids.NodeID) (net.Conn, error) { dials.Add(1); return h.dial(ctx, n) }
	s := h.serve(2, ServerConfig{Store: from})
	p := newPuller(t, PullerConfig{Store: to, Dial: dial})
	pull := func(n uint64, size int) {
		from.put(objectN(n), randomBytes(size))
		if err := p.Fetch(t.Context(), objectN(n), int64(size), []ids.NodeID{2}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range uint64(20) {
		pull(n, 1000)
	}
	// A refusal leaves a connection usable.
	if err := p.Fetch(t.Context(), objectN(99), 5, []ids.NodeID{2}); err == nil {
		t.Error("an object that nobody has was pulled")
	}
	pull(20, 1000)
	if dials.Load() != 1 {
		t.Errorf("%d connections for 21 small objects, want 1", dials.Load())
	}
	pull(21, 5*chunkSize)
	pull(22, 5*chunkSize)
	if n := dials.Load(); n > maxStreams {
		t.Errorf("%d connections, want at most %d", n, maxStreams)
	}
	s.mu.Lock()
	for c := range s.conns {
		hangUp(c)
	}
	s.mu.Unlock()
	before := dials.Load()
	pull(23, 1000)
	if n := dials.Load(); n != before+1 {
		t.Errorf("%d new connections when all were closed, want 1", n-before)
	}
}

// TestBreaksCostTheirChunk: a source whose connections break after each chunk
// gives the object all the same, and one that goes for good leaves what it gave.
func TestBreaksCostTheirChunk(t *testing.T) {
	const chunk, size = 1000, 20_000
	want := randomBytes(size)
	var given atomic.Int64
	fickle := func(chunks int) func(net.Conn) {
		return func(c net.Conn) {
			defer c.Close()
			for range chunks {
				var h pb.StreamHeader
				if readMessage(c, &h, maxHeader) != nil {
					return
				}
				off := int64(h.GetPull().Index) * chunk
				_ = writeMessage(c, &pb.StreamReply{Size: size})
				given.Add(chunk)
				_, _ = c.Write(want[off : off+chunk])
			}
			// What the other side hasn't read yet would be lost with a request that this one hasn't.
			_ = readMessage(c, &pb.StreamHeader{}, maxHeader)
		}
	}
	h := newHosts(t, false)
	h.listen(2, fickle(1))
	to := newMemory()
	p := newPuller(t, PullerConfig{Store: to, Dial: h.dial, chunk: chunk})
	if err := p.Fetch(t.Context(), objectN(1), size, []ids.NodeID{2}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(to.sealed[objectN(1)], want) || given.Load() != size {
		t.Errorf("%d bytes were sent for %d, or others", given.Load(), size)
	}

	given.Store(0)
	var calls atomic.Int32
	h.listen(3, func(c net.Conn) {
		if calls.Add(1) > 2 {
			_ = c.Close()
			return
		}
		fickle(5)(c)
	})
	h.listen(4, fickle(1000))
	if err := p.Fetch(t.Context(), objectN(2), size, []ids.NodeID{3, 4}); err != nil {
		t.Fatal(err)
	}
	if given.Load() != size {
		t.Errorf("%d bytes were sent for %d", given.Load(), size)
	}
}

// TestSlowSourceLeavesSlots: however many objects are wanted from a node that doesn't
// answer, others give theirs; and then those that waited behind them do come.
func TestSlowSourceLeavesSlots(t *testing.T) {
	h := newHosts(t, false)
	from, to := newMemory(), newMemory()
	for n := range uint64(10) {
		from.put(objectN(n), randomBytes(10))
	}
	s := NewServer(ServerConfig{Store: from})
	t.Cleanup(func() { _ = s.Close() })
	begun, let := make(chan struct{}, 10), make(chan struct{})
	h.listen(2, func(c net.Conn) { begun <- struct{}{}; <-let; _ = s.Serve(c) })
	h.listen(3, func(c net.Conn) { _ = s.Serve(c) })
	p := newPuller(t, PullerConfig{Store: to, Dial: h.dial, MaxPulls: 4})
	var wg sync.WaitGroup
	for n := range uint64(8) {
		wg.Go(func() {
			if err := p.Fetch(t.Context(), objectN(n), 10, []ids.NodeID{2}); err != nil {
				t.Error(err)
			}
		})
	}
	<-begun
	<-begun
	for n := range uint64(2) {
		if err := p.Fetch(t.Context(), objectN(8+n), 10, []ids.NodeID{3}); err != nil {
			t.Error(err)
		}
	}
	if len(begun) > 0 {
		t.Errorf("%d of 4 slots are for one node", 2+len(begun))
	}
	close(let)
	wg.Wait()
	if len(to.sealed) != 10 || p.slots.free != 4 || len(p.slots.out) != 0 {
		t.Errorf("%d objects came, %d slots are free, %v are out", len(to.sealed), p.slots.free, p.slots.out)
	}
}

// TestLine: shares are kept, nobody is passed by who fits, and what is taken comes back.
func TestLine(t *testing.T) {
	l := newLine(4, 2)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	take := func(node ids.NodeID, weight int64) (*turn, bool) {
		x := &turn{line: l, weight: weight, node: node}
		l.mu.Lock()
		fits := weight <= l.free && (node == 0 || l.out[node]+weight <= l.share)
		l.mu.Unlock()
		if !fits {
			return x, x.acquire(over) == nil
		}
		return x, x.acquire(t.Context()) == nil
	}
	a, ok1 := take(2, 2)
	_, ok2 := take(2, 1)
	b, ok3 := take(3, 2)
	_, ok4 := take(0, 1)
	if !ok1 || ok2 || !ok3 || ok4 {
		t.Error(ok1, ok2, ok3, ok4)
	}
	a.release()
	b.release()
	if l.free != 4 || len(l.out) != 0 || l.waiting.Len() != 0 {
		t.Errorf("%d free, %v out, %d wait", l.free, l.out, l.waiting.Len())
	}
}

// TestNoRoomLendsBytes: a pull that waits long for room in the store lets others have
// its share of what may be under way.
func TestNoRoomLendsBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := newMemory()
		from.put(objectN(1), randomBytes(10))
		from.put(objectN(2), randomBytes(10))
		s := NewServer(ServerConfig{Store: from})
		to := &tight{memory: newMemory(), full: objectN(1), waits: make(chan struct{}), room: make(chan struct{})}
		p := NewPuller(PullerConfig{Store: to, Dial: piped(s), MaxBytes: 10})
		done := make(chan error, 1)
		go func() { done <- p.Fetch(t.Context(), objectN(1), 10, []ids.NodeID{2}) }()
		<-to.waits
		if err := p.Fetch(t.Context(), objectN(2), 10, []ids.NodeID{2}); err != nil {
			t.Error(err)
		}
		close(to.room)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if p.bytes.free != 10 {
			t.Errorf("%d bytes are free of 10", p.bytes.free)
		}
		_, _ = p.Close(), s.Close()
	})
}

// TestNoRoomTakesNoSlot: a pull that waits for room keeps no other from pulling.
func TestNoRoomTakesNoSlot(t *testing.T) {
	h := newHosts(t, false)
	from := newMemory()
	from.put(objectN(1), randomBytes(10))
	from.put(objectN(2), randomBytes(10))
	h.serve(2, ServerConfig{Store: from})
	to := &tight{memory: newMemory(), full: objectN(1), waits: make(chan struct{})}
	p := newPuller(t, PullerConfig{Store: to, Dial: h.dial, MaxPulls: 1})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Fetch(ctx, objectN(1), 10, []ids.NodeID{2}) }()
	<-to.waits
	if err := p.Fetch(t.Context(), objectN(2), 10, []ids.NodeID{2}); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// tight has no room yet for one object.
type tight struct {
	*memory
	full  ids.ObjectID
	waits chan struct{} // closed when it waits
	room  chan struct{} // closed when there is
}

func (s *tight) Create(ctx context.Context, id ids.ObjectID, size int64) ([]byte, error) {
	if id == s.full {
		close(s.waits)
		select {
		case <-s.room:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return s.memory.Create(ctx, id, size)
}
