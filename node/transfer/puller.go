package transfer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
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
	// MaxPulls is how many objects are pulled at once, up to half of them from one
	// node; others wait. 0: 16.
	MaxPulls int
	// MaxBytes is how many bytes of objects are under way at once; a larger object
	// goes alone. 0: 1 GiB.
	MaxBytes int64
	// OnPull, if set, is told of each object that was brought, or couldn't be.
	OnPull func(Pulled)
	// StallTimeout gives up on a connection on which nothing comes. 0: 30 s.
	StallTimeout time.Duration

	chunk   int64         // 0: chunkSize
	streams int           // 0: maxStreams
	rest    time.Duration // 0: restTime
}

// Pulled is an object that was brought here, or couldn't be.
type Pulled struct {
	Object ids.ObjectID
	Node   ids.NodeID // that was asked first; others may have given chunks
	Size   int64
	Asked  time.Time // when somebody wanted it
	Began  time.Time // when the first chunk was asked for
	Ended  time.Time
	Err    error
}

// A Puller brings objects of other nodes into the local store.
type Puller struct {
	cfg    PullerConfig
	slots  *line
	bytes  *line
	pool   *pool
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	moved  atomic.Uint64

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
	asked  time.Time
	began  time.Time // once it's being brought
	// It was looked for on other nodes; the pull's goroutine's.
	brought bool
	slot    turn
	bytes   turn

	// Under Puller.mu.
	waiting int   // callers; with the last, the fetch is given up
	part    *part // while chunks arrive
	sources sources
}

// NewPuller returns a puller that has nothing under way.
func NewPuller(cfg PullerConfig) *Puller {
	cfg.MaxPulls = or(cfg.MaxPulls, 16)
	cfg.MaxBytes = or(cfg.MaxBytes, 1<<30)
	cfg.StallTimeout = or(cfg.StallTimeout, defaultStallTimeout)
	cfg.chunk = or(cfg.chunk, chunkSize)
	cfg.streams = or(cfg.streams, maxStreams)
	cfg.rest = or(cfg.rest, restTime)
	p := &Puller{
		cfg:     cfg,
		slots:   newLine(int64(cfg.MaxPulls), int64(cfg.MaxPulls+1)/2),
		bytes:   newLine(cfg.MaxBytes, cfg.MaxBytes),
		fetches: map[ids.ObjectID]*fetch{},
	}
	p.pool = newPool(cfg.Dial, &p.moved)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Moved is how many bytes of objects have arrived.
func (p *Puller) Moved() uint64 { return p.moved.Load() }

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
	for {
		if p.has(id) {
			return nil
		}
		f, err := p.join(id, size, nodes)
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

// has reports whether the object is in memory here. One that is on disk Create
// finds.
func (p *Puller) has(id ids.ObjectID) bool {
	_, ok := p.cfg.Store.Get(id)
	if ok {
		p.cfg.Store.Release(id)
	}
	return ok
}

// join finds or begins the fetch of an object.
func (p *Puller) join(id ids.ObjectID, size int64, nodes []ids.NodeID) (*fetch, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	f := p.fetches[id]
	if f == nil {
		f = &fetch{id: id, size: max(size, 0), done: make(chan struct{}), asked: time.Now()}
		f.slot = turn{line: p.slots, weight: 1}
		f.bytes = turn{line: p.bytes, weight: min(f.size, p.cfg.MaxBytes)}
		f.ctx, f.cancel = context.WithCancel(p.ctx)
		p.fetches[id] = f
		f.sources.add(nodes)
		p.wg.Go(func() { p.run(f) })
	}
	f.waiting++
	f.sources.add(nodes)
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
