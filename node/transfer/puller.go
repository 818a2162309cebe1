package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
)

// PullerConfig says where a Puller brings objects, and how many at once.
type PullerConfig struct {
	// Node is this node: those that pull the same objects are pointed at it for the
	// chunks that it has. 0: none is.
	Node  ids.NodeID
	Store Store
	Dial  Dialer
	// MaxPulls is how many objects are pulled at once; others wait, urgent ones
	// before prefetches. 0: 8.
	MaxPulls int
	// MaxBytes is how many bytes of objects are under way at once; a larger object
	// goes alone. 0: 1 GiB.
	MaxBytes int64
	// StallTimeout gives up on a connection on which nothing comes. 0: 30 s.
	StallTimeout time.Duration

	chunk   int64 // 0: chunkSize
	streams int   // 0: maxStreams
}

// A Puller brings objects of other nodes into the local store.
type Puller struct {
	cfg    PullerConfig
	slots  *line
	bytes  *line
	pool   *pool
	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool
	fetches map[ids.ObjectID]*fetch
	wg      sync.WaitGroup // fetches
}

// A fetch is one object on its way, for all who asked for it.
type fetch struct {
	id     ids.ObjectID
	size   int64 // 0: unknown, unless sure
	sure   bool  // the size is a source's word
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	err    error // after done
	slot   place
	bytes  place

	// Under Puller.mu.
	waiting int   // callers; with the last, the fetch is given up
	part    *part // while chunks arrive
	sources sources
}

// NewPuller returns a puller that has nothing under way.
func NewPuller(cfg PullerConfig) *Puller {
	cfg.MaxPulls = or(cfg.MaxPulls, 8)
	cfg.MaxBytes = or(cfg.MaxBytes, 1<<30)
	cfg.StallTimeout = or(cfg.StallTimeout, defaultStallTimeout)
	cfg.chunk = or(cfg.chunk, chunkSize)
	cfg.streams = or(cfg.streams, maxStreams)
	p := &Puller{
		cfg:     cfg,
		slots:   newLine(int64(cfg.MaxPulls)),
		bytes:   newLine(cfg.MaxBytes),
		pool:    newPool(cfg.Dial),
		fetches: map[ids.ObjectID]*fetch{},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Close gives up all fetches, and returns when nothing of them is left.
func (p *Puller) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.wg.Wait()
	p.pool.close()
	return nil
}

// Fetch returns when the object is sealed in the local store. If it isn't there
// and nobody here is making it, it is pulled from those of nodes that can give
// it. Concurrent calls for one object share a pull, and their nodes. size is
// the object's if known, else 0. The error is a *FetchError when the nodes are to
// blame, or the store's, or ctx's.
func (p *Puller) Fetch(ctx context.Context, id ids.ObjectID, size int64, nodes []ids.NodeID) error {
	return p.fetch(ctx, id, size, nodes, true)
}

// Prefetch is Fetch for an object that nobody waits for yet: it lets all those
// go first that Fetch was called for.
func (p *Puller) Prefetch(ctx context.Context, id ids.ObjectID, size int64, nodes []ids.NodeID) error {
	return p.fetch(ctx, id, size, nodes, false)
}

func (p *Puller) fetch(ctx context.Context, id ids.ObjectID, size int64, nodes []ids.NodeID, urgent bool) error {
	for {
		if p.has(id) {
			return nil
		}
		f, err := p.join(id, size, nodes, urgent)
		if err != nil {
			return fmt.Errorf("fetch object %s: %w", id, err)
		}
		select {
		case <-f.done:
			p.leave(f)
			if f.err != nil && errors.Is(f.err, errGivenUp) {
				continue // by others, as we came
			}
			return f.err
		case <-ctx.Done():
			p.leave(f)
			return fmt.Errorf("fetch object %s: %w", id, context.Cause(ctx))
		}
	}
}

// has reports whether the object is sealed here.
func (p *Puller) has(id ids.ObjectID) bool {
	_, err := p.cfg.Store.Acquire(id)
	if err == nil {
		p.cfg.Store.Release(id)
	}
	return err == nil
}

// join finds or begins the fetch of an object.
func (p *Puller) join(id ids.ObjectID, size int64, nodes []ids.NodeID, urgent bool) (*fetch, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	f := p.fetches[id]
	if f == nil {
		f = &fetch{id: id, size: max(size, 0), done: make(chan struct{})}
		f.slot = place{line: p.slots, weight: 1, urgent: urgent}
		f.bytes = place{line: p.bytes, weight: min(f.size, p.cfg.MaxBytes), urgent: urgent}
		f.ctx, f.cancel = context.WithCancel(p.ctx)
		p.fetches[id] = f
		f.sources.add(nodes)
		p.wg.Go(func() { p.run(f) })
	}
	f.waiting++
	f.sources.add(nodes)
	if urgent {
		f.slot.hurry()
		f.bytes.hurry()
	}
	return f, nil
}

// leave ends one caller's interest.
func (p *Puller) leave(f *fetch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
	}
}

// end takes a fetch out of the table. Called with mu held.
func (p *Puller) end(f *fetch) {
	if p.fetches[f.id] == f {
		delete(p.fetches, f.id)
	}
}

// show lets the part of a fetch be served, or not any more (nil).
func (p *Puller) show(f *fetch, part *part) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.part = part
}

// partOf is what has arrived of an object that is being pulled, or nil.
func (p *Puller) partOf(id ids.ObjectID) *part {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.fetches[id]; f != nil {
		return f.part
	}
	return nil
}

// sources are the nodes that an object may come from.
type sources struct {
	named []ids.NodeID // by those who asked
	peers []ids.NodeID // that gave chunks, pointed at by others
	tried []NodeError  // given up, in that order
	fails map[ids.NodeID]int
}

func (s *sources) add(nodes []ids.NodeID) {
	for _, n := range nodes {
		if !slices.Contains(s.named, n) {
			s.named = append(s.named, n)
		}
	}
}

// peer notes a node that gave a chunk though nobody had named it.
func (s *sources) peer(n ids.NodeID) {
	if !slices.Contains(s.named, n) && !slices.Contains(s.peers, n) {
		s.peers = append(s.peers, n)
	}
}

func (s *sources) gone(n ids.NodeID) bool {
	return slices.ContainsFunc(s.tried, func(t NodeError) bool { return t.Node == n })
}

// nth returns the node that stream i pulls from: one of those that were named,
// or when they are gone, a peer.
func (s *sources) nth(i int) (ids.NodeID, bool) {
	for _, nodes := range [][]ids.NodeID{s.named, s.peers} {
		left := make([]ids.NodeID, 0, len(nodes))
		for _, n := range nodes {
			if !s.gone(n) {
				left = append(left, n)
			}
		}
		if len(left) > 0 {
			return left[i%len(left)], true
		}
	}
	return 0, false
}

// maxFails is how often in a row a connection to a source may break before
// anything has come of it.
const maxFails = 3

// fail notes what went wrong with a source. Unless it's a break that may pass,
// the source is given up.
func (s *sources) fail(n ids.NodeID, err error, passing bool) {
	if s.gone(n) {
		return
	}
	if s.fails == nil {
		s.fails = map[ids.NodeID]int{}
	}
	if s.fails[n]++; !passing || s.fails[n] >= maxFails {
		s.tried = append(s.tried, NodeError{Node: n, Err: err})
	}
}

// avoid is all that were given up.
func (s *sources) avoid() []uint32 {
	nodes := make([]uint32, 0, len(s.tried))
	for _, t := range s.tried[max(0, len(s.tried)-maxAvoid):] {
		nodes = append(nodes, uint32(t.Node))
	}
	return nodes
}
