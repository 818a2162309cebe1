package transfer

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

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

// TestUrgentFirst: pulls that somebody waits for go before prefetches, also when
// they began as such.
func TestUrgentFirst(t *testing.T) {
	h := newHosts(t, false)
	from := newMemory()
	for n := range uint64(5) {
		from.put(objectN(n), randomBytes(10))
	}
	s := NewServer(ServerConfig{Store: from})
	t.Cleanup(func() { _ = s.Close() })
	begun, let := make(chan struct{}, 1), make(chan struct{})
	h.listen(2, func(c net.Conn) { begun <- struct{}{}; <-let; _ = s.Serve(c) })
	to := &ordered{memory: newMemory()}
	p := newPuller(t, PullerConfig{Store: to, Dial: h.dial, MaxPulls: 1})
	var wg sync.WaitGroup
	start := func(n uint64, get func(context.Context, ids.ObjectID, int64, []ids.NodeID) error, queued int) {
		wg.Go(func() {
			if err := get(t.Context(), objectN(n), 10, []ids.NodeID{2}); err != nil {
				t.Error(err)
			}
		})
		for p.slots.queued() != queued { // until it stands in line
			if t.Failed() {
				return
			}
		}
	}
	start(0, p.Fetch, 0)
	<-begun
	start(1, p.Prefetch, 1)
	start(2, p.Prefetch, 2)
	start(3, p.Fetch, 3)
	wg.Go(func() { _ = p.Fetch(t.Context(), objectN(2), 10, nil) })
	for !p.urgent(objectN(2)) {
	}
	close(let)
	wg.Wait()
	if want := []ids.ObjectID{objectN(0), objectN(3), objectN(2), objectN(1)}; !slices.Equal(to.order, want) {
		t.Errorf("came in order %v, want %v", to.order, want)
	}
}

func (l *line) queued() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting[0].Len() + l.waiting[1].Len()
}

func (p *Puller) urgent(id ids.ObjectID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.fetches[id]
	p.slots.mu.Lock()
	defer p.slots.mu.Unlock()
	return f != nil && f.slot.urgent
}

// ordered notes in which order objects are sealed.
type ordered struct {
	*memory
	order []ids.ObjectID
}

func (o *ordered) Seal(id ids.ObjectID) error {
	o.mu.Lock()
	o.order = append(o.order, id)
	o.mu.Unlock()
	return o.memory.Seal(id)
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

// tight has no room for one object.
type tight struct {
	*memory
	full  ids.ObjectID
	waits chan struct{}
}

func (s *tight) Create(ctx context.Context, id ids.ObjectID, size int64) ([]byte, error) {
	if id == s.full {
		close(s.waits)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.memory.Create(ctx, id, size)
}
