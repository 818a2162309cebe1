package transfer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/refs"
	"github.com/gray-runtime/gray/objectstore"
	"github.com/gray-runtime/gray/objectstore/spill"
	pb "github.com/gray-runtime/gray/proto"
)

func randomBytes(n int) []byte {
	b := make([]byte, n)
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(n))
	_, _ = rand.NewChaCha8(seed).Read(b)
	return b
}

func newPuller(t testing.TB, cfg PullerConfig) *Puller {
	p := NewPuller(cfg)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestPull(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, size := range []int{0, 1, chunkSize - 1, chunkSize, 64<<20 + 1} {
			t.Run(fmt.Sprintf("tls=%t/%d", secure, size), func(t *testing.T) {
				from, to := newMemory(), newMemory()
				want := randomBytes(size)
				from.put(objectN(1), want)
				h := newHosts(t, secure)
				s := h.serve(2, ServerConfig{Store: from})
				var told []Pulled
				p := newPuller(t, PullerConfig{Store: to, Dial: h.dial, OnPull: func(p Pulled) { told = append(told, p) }})
				for range 2 { // the second finds it
					if err := p.Fetch(t.Context(), objectN(1), int64(size), []ids.NodeID{2}); err != nil {
						t.Fatal(err)
					}
				}
				if !bytes.Equal(to.sealed[objectN(1)], want) || to.creates != 1 {
					t.Errorf("other bytes arrived, or more than once (%d)", to.creates)
				}
				if len(told) != 1 || told[0].Object != objectN(1) || told[0].Node != 2 || told[0].Size != int64(size) || told[0].Err != nil || told[0].Ended.Before(told[0].Began) || told[0].Began.Before(told[0].Asked) || told[0].Began.IsZero() {
					t.Errorf("told of %+v", told)
				}
				_ = s.Close()
				if p.Moved() != uint64(size) || s.Moved()-p.Moved() > 1024 {
					t.Errorf("moved %d here, %d there", p.Moved(), s.Moved())
				}
				from.idle(t)
				to.idle(t)
			})
		}
	}
}

// broken answers each request with a size and a part of the bytes, then hangs up.
func broken(size int64, part []byte) func(net.Conn) {
	return func(c net.Conn) {
		defer c.Close()
		for {
			var h pb.StreamHeader
			if readMessage(c, &h, maxHeader) != nil {
				return
			}
			_ = writeMessage(c, &pb.StreamReply{Size: size})
			if h.GetPull().GetChunk() > 0 {
				_, _ = c.Write(part)
				return
			}
		}
	}
}

func TestNextSource(t *testing.T) {
	h := newHosts(t, true)
	from, to := newMemory(), newMemory()
	want := randomBytes(9 << 20)
	from.put(objectN(1), want)
	h.listen(2, broken(9<<20, want[:1000]))
	h.serve(3, ServerConfig{Store: newMemory()})
	full, damaged := newMemory(), newMemory()
	full.unread, damaged.unread = &objectstore.FullError{}, &spill.ReadError{Err: errors.New("a damaged file")}
	h.serve(10, ServerConfig{Store: full})
	h.serve(11, ServerConfig{Store: damaged})
	h.listen(4, func(c net.Conn) { _ = c.Close() })
	h.listen(5, broken(-1, nil))
	h.addr[6] = "127.0.0.1:1"
	p := newPuller(t, PullerConfig{Store: to, Dial: h.dial})

	err := p.Fetch(t.Context(), objectN(1), 0, []ids.NodeID{2, 3, 4, 5, 6, 10, 11})
	var failed *FetchError
	if !errors.As(err, &failed) || len(failed.Tried) != 7 || !failed.Full() || failed.Lost() {
		t.Fatalf("got %v, want seven nodes' answers, one's that it's full", err)
	}
	for _, s := range []string{"n2: unexpected EOF", "n3: node n3: object 00000007-1-1-1: object not found", "n4:", "n5: announced -1 bytes", "n6:", "n10: ", ": a damaged file"} {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%q lacks %q", err, s)
		}
	}
	to.idle(t)

	h.serve(7, ServerConfig{Store: from})
	if err := p.Fetch(t.Context(), objectN(1), 0, []ids.NodeID{2, 3, 7}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(to.sealed[objectN(1)], want) {
		t.Error("other bytes arrived")
	}
}

// TestLost: an object is lost only if all nodes are dead or say that they haven't got it.
func TestLost(t *testing.T) {
	h := newHosts(t, false)
	damaged := newMemory()
	damaged.unread = &spill.ReadError{Err: errors.New("a damaged file")}
	h.serve(2, ServerConfig{Store: newMemory()})
	h.serve(3, ServerConfig{Store: damaged})
	h.addr[5] = "127.0.0.1:1"
	h.listen(6, func(c net.Conn) { _ = c.Close() })
	h.listen(7, broken(-1, nil))
	p := newPuller(t, PullerConfig{Store: newMemory(), rest: 1, Dial: func(ctx context.Context, n ids.NodeID) (net.Conn, error) {
		if n == 4 {
			return nil, fmt.Errorf("n4: %w", refs.ErrNoNode)
		}
		return h.dial(ctx, n)
	}})
	for _, test := range []struct {
		nodes []ids.NodeID
		lost  bool
	}{{nil, true}, {[]ids.NodeID{2, 3, 4}, true}, {[]ids.NodeID{2, 5}, false}, {[]ids.NodeID{4, 6}, false}, {[]ids.NodeID{3, 7}, false}} {
		for _, size := range []int64{0, 10} {
			var failed *FetchError
			if err := p.Fetch(t.Context(), objectN(1), size, test.nodes); !errors.As(err, &failed) || failed.Lost() != test.lost {
				t.Errorf("nodes %v: %v; lost: want %t", test.nodes, err, test.lost)
			}
		}
	}
}

// TestDialsFail: a node that isn't reached at first is tried again, also when several
// connections fail at once.
func TestDialsFail(t *testing.T) {
	h := newHosts(t, false)
	from, to := newMemory(), newMemory()
	from.put(objectN(1), randomBytes(10_000))
	h.serve(2, ServerConfig{Store: from})
	var dials atomic.Int32
	var together sync.WaitGroup
	together.Add(maxStreams)
	dial := func(ctx context.Context, n ids.NodeID) (net.Conn, error) {
		if dials.Add(1) <= maxStreams {
			together.Done()
			together.Wait()
			return nil, errors.New("timeout")
		}
		return h.dial(ctx, n)
	}
	p := newPuller(t, PullerConfig{Store: to, Dial: dial, chunk: 100})
	if err := p.Fetch(t.Context(), objectN(1), 10_000, []ids.NodeID{2}); err != nil {
		t.Error(err)
	}
}

// TestSlowDisk: a source that reads an object from its disk for longer than
// StallTimeout, or waits as long for room, is asked until it has it. Another that has
// it gives it at once.
func TestSlowDisk(t *testing.T) {
	for _, size := range []int64{0, 10} {
		synctest.Test(t, func(t *testing.T) {
			from, to := newMemory(), newMemory()
			from.put(objectN(1), randomBytes(10))
			from.spill(objectN(1), 5*time.Minute)
			s := NewServer(ServerConfig{Store: from})
			p := NewPuller(PullerConfig{Store: to, Dial: piped(s)})
			began := time.Now()
			if err := p.Fetch(t.Context(), objectN(1), size, []ids.NodeID{2}); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took < 5*time.Minute || took > 5*time.Minute+time.Second {
				t.Errorf("it took %s", took)
			}
			ready := newMemory()
			ready.put(objectN(2), randomBytes(10))
			from.put(objectN(2), randomBytes(10))
			from.spill(objectN(2), 5*time.Minute)
			other := NewServer(ServerConfig{Store: ready})
			p.pool.dial = func(ctx context.Context, n ids.NodeID) (net.Conn, error) {
				return piped(map[ids.NodeID]*Server{2: s, 3: other}[n])(ctx, n)
			}
			began = time.Now()
			if err := p.Fetch(t.Context(), objectN(2), size, []ids.NodeID{2, 3}); err != nil || time.Since(began) > time.Minute {
				t.Errorf("after %s: %v", time.Since(began), err)
			}
			_, _, _ = p.Close(), s.Close(), other.Close()
			from.idle(t)
		})
	}
}

func TestStalledSource(t *testing.T) {
	h := newHosts(t, false)
	to := newMemory()
	hold := make(chan struct{})
	h.listen(2, func(c net.Conn) {
		defer c.Close()
		var hd pb.StreamHeader
		_ = readMessage(c, &hd, maxHeader)
		_ = writeMessage(c, &pb.StreamReply{Size: 10})
		<-hold
	})
	defer close(hold)
	p := newPuller(t, PullerConfig{Store: to, Dial: h.dial, StallTimeout: 10 * time.Millisecond})
	if err := p.Fetch(t.Context(), objectN(1), 10, []ids.NodeID{2}); !errors.Is(err, errStalled) {
		t.Errorf("got %v, want %v", err, errStalled)
	}
	to.idle(t)
}

func TestReaderThatStopsLosesItsStream(t *testing.T) {
	from := newMemory()
	from.put(objectN(1), make([]byte, 64<<20))
	s := NewServer(ServerConfig{Store: from, StallTimeout: 10 * time.Millisecond})
	a, b := net.Pipe()
	defer a.Close()
	go func() {
		pull := &pb.Pull{Object: objectN(1).Bytes(), Chunk: 64 << 20}
		_ = writeMessage(a, &pb.StreamHeader{Body: &pb.StreamHeader_Pull{Pull: pull}})
	}()
	done := make(chan error, 1)
	go func() { done <- s.Serve(b) }()
	var r pb.StreamReply
	if err := readMessage(a, &r, maxReply); err != nil || r.Size != 64<<20 {
		t.Fatal(err, r.Size)
	}
	if err := <-done; !errors.Is(err, errStalled) {
		t.Errorf("got %v, want %v", err, errStalled)
	}
	from.idle(t)
}

func TestFetchesAreShared(t *testing.T) {
	h := newHosts(t, false)
	from, to := newMemory(), newMemory()
	from.put(objectN(1), randomBytes(1<<20))
	var dials atomic.Int32
	hold := make(chan struct{})
	s := NewServer(ServerConfig{Store: from})
	t.Cleanup(func() { _ = s.Close() })
	h.listen(2, func(c net.Conn) { dials.Add(1); <-hold; _ = s.Serve(c) })
	p := newPuller(t, PullerConfig{Store: to, Dial: h.dial})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := p.Fetch(t.Context(), objectN(1), 0, []ids.NodeID{2}); err != nil {
				t.Error(err)
			}
		})
	}
	// One of them gives up; the others aren't harmed.
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() {
		if err := p.Fetch(ctx, objectN(1), 0, []ids.NodeID{2}); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	cancel()
	close(hold)
	wg.Wait()
	if dials.Load() != 1 || to.creates != 1 {
		t.Errorf("%d connections, %d objects made for one object", dials.Load(), to.creates)
	}
}

func TestCancelInTheMiddle(t *testing.T) {
	h := newHosts(t, true)
	to := newMemory()
	hold, begun := make(chan struct{}), make(chan struct{})
	h.listen(2, func(c net.Conn) {
		broken(100, make([]byte, 50))(noClose{c})
		close(begun)
		<-hold
		hangUp(c)
	})
	p := newPuller(t, PullerConfig{Store: to, Dial: h.dial})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	if err := p.Fetch(ctx, objectN(1), 100, []ids.NodeID{2}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	_ = p.Close()
	to.idle(t)
	if len(p.fetches) > 0 || len(to.sealed) > 0 {
		t.Error("the fetch is still there, or left something")
	}
	if err := p.Fetch(t.Context(), objectN(1), 100, []ids.NodeID{2}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	close(hold)
}

// noClose keeps a connection open.
type noClose struct{ net.Conn }

func (noClose) Close() error { return nil }

func TestCloseEndsFetches(t *testing.T) {
	dial := func(ctx context.Context, _ ids.NodeID) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
	p := NewPuller(PullerConfig{Store: newMemory(), Dial: dial, MaxPulls: 1})
	var wg sync.WaitGroup
	for i := range uint64(3) {
		wg.Go(func() {
			if err := p.Fetch(t.Context(), objectN(i), 0, []ids.NodeID{2}); !errors.Is(err, ErrClosed) {
				t.Errorf("got %v, want %v", err, ErrClosed)
			}
		})
	}
	_ = p.Close()
	wg.Wait()
}

func TestAnObjectInTheMakingIsWaitedFor(t *testing.T) {
	for _, kept := range []bool{true, false} {
		h := newHosts(t, false)
		from, to := newMemory(), newMemory()
		from.put(objectN(1), []byte{1, 2, 3})
		h.serve(2, ServerConfig{Store: from})
		to.calls = make(chan struct{})
		if _, err := to.Create(t.Context(), objectN(1), 3); err != nil {
			t.Fatal(err)
		}
		go func() {
			<-to.calls
			_ = to.finish(objectN(1), kept)
		}()
		p := newPuller(t, PullerConfig{Store: to, Dial: h.dial})
		if err := p.Fetch(t.Context(), objectN(1), 3, []ids.NodeID{2}); err != nil {
			t.Fatal(err)
		}
		if made := map[bool]int{true: 1, false: 2}[kept]; to.creates != made || len(to.sealed[objectN(1)]) != 3 {
			t.Errorf("kept %t: made %d times, want %d", kept, to.creates, made)
		}
	}
}

func TestStoreFullBlamesNoNode(t *testing.T) {
	h := newHosts(t, false)
	from, to := newMemory(), newMemory()
	from.put(objectN(1), []byte{1})
	to.full = errors.New("store full")
	h.serve(2, ServerConfig{Store: from})
	p := newPuller(t, PullerConfig{Store: to, Dial: h.dial})
	err := p.Fetch(t.Context(), objectN(1), 1, []ids.NodeID{2, 2})
	var f *FetchError
	if !errors.Is(err, to.full) || errors.As(err, &f) {
		t.Errorf("got %v", err)
	}
}

// TestLimits pulls many objects whose announced sizes are wrong, within bounds.
func TestLimits(t *testing.T) {
	h := newHosts(t, false)
	from, to := newMemory(), newMemory()
	h.serve(2, ServerConfig{Store: from})
	const n = 40
	for i := range uint64(n) {
		from.put(objectN(i), randomBytes(int(i)*1000+1))
	}
	p := newPuller(t, PullerConfig{Store: to, Dial: h.dial, MaxPulls: 4, MaxBytes: 30000})
	var wg sync.WaitGroup
	for i := range uint64(n) {
		wg.Go(func() {
			if err := p.Fetch(t.Context(), objectN(i), int64(i%3)*10000, []ids.NodeID{2}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(to.sealed) != n {
		t.Errorf("%d objects arrived, want %d", len(to.sealed), n)
	}
	if p.slots.free != 4 || p.bytes.free != 30000 {
		t.Error("slots or bytes were not given back")
	}
	to.idle(t)
}
