package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/refs"
)

// weather is what may befall connections.
type weather struct {
	mu   sync.Mutex
	rand *rand.Rand
	calm bool
}

func (w *weather) n(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.IntN(n)
}

// chance is one in n, in bad weather.
func (w *weather) chance(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.calm && w.rand.IntN(n) == 0
}

// A frail connection breaks or stalls after some bytes were read.
type frail struct {
	net.Conn
	left   int64 // until it happens
	stalls bool
	silent net.Conn
}

func (w *weather) expose(c net.Conn) net.Conn {
	if !w.chance(3) {
		return c
	}
	silent, _ := net.Pipe()
	return &frail{c, int64(w.n(30_000)), w.chance(3), silent}
}

func (f *frail) SetDeadline(t time.Time) error {
	return errors.Join(f.Conn.SetDeadline(t), f.silent.SetDeadline(t))
}

func (f *frail) Close() error { return errors.Join(f.silent.Close(), f.Conn.Close()) }

func (f *frail) Read(b []byte) (int, error) {
	if f.left <= 0 {
		if f.stalls {
			return f.silent.Read(b)
		}
		_ = f.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	n, err := f.Conn.Read(b[:min(int64(len(b)), f.left)])
	f.left -= int64(n)
	return n, err
}

// chaos is a cluster of nodes in bad weather.
type chaos struct {
	*hosts
	weather
	stores  map[ids.NodeID]*memory
	servers map[ids.NodeID]*Server
	pullers map[ids.NodeID]*Puller
	dead    atomic.Uint32 // this node's
	objects [][]byte
	keepers []ids.NodeID // of each object: the node that always has it
}

const (
	chaosChunk = 1000
	chaosStall = 50 * time.Millisecond
)

func newChaos(t *testing.T, seed uint64, nodes int) *chaos {
	c := &chaos{
		hosts: newHosts(t, false), weather: weather{rand: rand.New(rand.NewPCG(seed, 1))},
		stores: map[ids.NodeID]*memory{}, servers: map[ids.NodeID]*Server{}, pullers: map[ids.NodeID]*Puller{},
	}
	for n := ids.NodeID(1); n <= ids.NodeID(nodes); n++ {
		c.stores[n] = newMemory()
		c.pullers[n] = NewPuller(PullerConfig{
			Node: n, Store: c.stores[n], Dial: c.dial, MaxPulls: 1 + c.n(4), MaxBytes: 40_000,
			StallTimeout: chaosStall, chunk: chaosChunk, streams: 1 + c.n(4), rest: 5 * time.Millisecond,
		})
		c.servers[n] = c.serve(n, ServerConfig{Store: c.stores[n], Puller: c.pullers[n], StallTimeout: chaosStall})
	}
	for i := range 12 {
		b := randomBytes(i * c.n(2500))
		c.objects = append(c.objects, b)
		for range 1 + c.n(2) {
			n := ids.NodeID(1 + c.n(nodes))
			c.stores[n].put(objectN(uint64(i)), bytes.Clone(b))
			c.keepers = append(c.keepers[:i], n)
		}
		c.spill(i, c.keepers[i])
	}
	return c
}

func (c *chaos) dial(ctx context.Context, node ids.NodeID) (net.Conn, error) {
	switch {
	case uint32(node) == c.dead.Load():
		return nil, fmt.Errorf("%s: %w", node, refs.ErrNoNode)
	case c.chance(6):
		return nil, errors.New("unreachable")
	}
	conn, err := c.hosts.dial(ctx, node)
	if err != nil {
		return nil, err
	}
	return c.expose(conn), nil
}

// spill has a node take some time, often more than StallTimeout, when it's asked for
// an object.
func (c *chaos) spill(object int, node ids.NodeID) {
	c.stores[node].spill(objectN(uint64(object)), time.Duration(c.n(int(4*chaosStall))))
}

// get has a node fetch an object as often as a process would: until it's there or
// lost, which it may not be while its keeper lives and is asked.
func (c *chaos) get(ctx context.Context, node ids.NodeID, object int, size int64, from []ids.NodeID) {
	keeper := c.keepers[object]
	for {
		var failed *FetchError
		err := c.fetch(ctx, node, object, size, from)
		if kept := slices.Contains(from, keeper) && uint32(keeper) != c.dead.Load(); !errors.As(err, &failed) || !kept {
			return
		}
		if failed.Lost() {
			c.t.Errorf("%s has it, but %s: %v", keeper, node, err)
			return
		}
	}
}

// fetch has a node fetch an object, and checks what comes of it.
func (c *chaos) fetch(ctx context.Context, node ids.NodeID, object int, size int64, from []ids.NodeID) error {
	p, id := c.pullers[node], objectN(uint64(object))
	err := p.Fetch(ctx, id, size, from)
	if b, err := c.stores[node].Acquire(ctx, id); err == nil {
		if !bytes.Equal(b, c.objects[object]) {
			c.t.Errorf("%s has other bytes of object %d", node, object)
		}
		c.stores[node].Release(id)
	}
	var failed *FetchError
	if err != nil && !errors.As(err, &failed) && !errors.Is(err, ErrClosed) && ctx.Err() == nil {
		c.t.Errorf("%s: %v", node, err)
	}
	return err
}

// TestChaos has nodes pull from each other while connections break and stall,
// nodes are not reached or read from slow disks, copies go and one node dies: a pull
// gives the right bytes or an error that says why not, and what a living node has is
// never lost: whoever asks again gets it.
func TestChaos(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 6
	}
	for range rounds {
		seed := rand.Uint64()
		if ok := t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { testChaos(t, seed) }); !ok {
			return
		}
	}
}

func testChaos(t *testing.T, seed uint64) {
	const nodes = 5
	c := newChaos(t, seed, nodes)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 15 {
				object, node := c.n(len(c.objects)), ids.NodeID(1+c.n(nodes))
				size := int64(len(c.objects[object]))
				if c.n(4) == 0 {
					size = int64(c.n(5000)) // nobody knows, or somebody is wrong
				}
				var from []ids.NodeID
				for range 1 + c.n(nodes) {
					if n := ids.NodeID(1 + c.n(nodes)); n != node {
						from = append(from, n)
					}
				}
				ctx, cancel := t.Context(), func() {}
				if c.n(5) == 0 {
					ctx, cancel = context.WithTimeout(ctx, time.Duration(c.n(20))*time.Millisecond)
				}
				c.get(ctx, node, object, size, from)
				cancel()
				object, node = c.n(len(c.objects)), ids.NodeID(1+c.n(nodes))
				if kept := c.keepers[object] == node; kept || c.n(3) == 0 {
					c.spill(object, node)
				} else if c.n(2) == 0 {
					c.stores[node].evict(objectN(uint64(object)))
				}
			}
		})
	}
	if c.n(2) == 0 {
		wg.Go(func() {
			n := ids.NodeID(1 + c.n(nodes))
			c.dead.Store(uint32(n))
			_ = c.servers[n].Close()
			_ = c.pullers[n].Close()
		})
	}
	wg.Wait()

	c.mu.Lock()
	c.calm = true
	c.mu.Unlock()
	for n, p := range c.pullers { // the connections that were kept are frail
		p.pool.close()
		p.pool.closed = uint32(n) == c.dead.Load()
	}
	for i := range c.objects {
		var have []ids.NodeID
		for n, s := range c.stores {
			if _, err := s.Acquire(t.Context(), objectN(uint64(i))); err == nil {
				if uint32(n) != c.dead.Load() {
					have = append(have, n)
				}
				s.Release(objectN(uint64(i)))
			}
		}
		for n := range c.stores {
			if len(have) == 0 || uint32(n) == c.dead.Load() {
				continue
			}
			for err := error(&FetchError{}); err != nil; { // a busy machine may stall once
				var failed *FetchError
				if err = c.fetch(t.Context(), n, i, int64(len(c.objects[i])), have); errors.As(err, &failed) && failed.Lost() {
					t.Fatalf("in calm weather: %v", err)
				}
			}
		}
	}
	for n, s := range c.stores {
		_ = c.pullers[n].Close()
		_ = c.servers[n].Close()
		s.idle(t)
		if p := c.pullers[n]; p.slots.free != int64(p.cfg.MaxPulls) || p.bytes.free != p.cfg.MaxBytes || len(p.fetches) != 0 {
			t.Errorf("%s: slots, bytes or fetches are left", n)
		}
	}
}
