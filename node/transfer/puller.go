package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/gray-runtime/gray/internal/ids"
)

// PullerConfig says where a Puller brings objects, and how many at once.
type PullerConfig struct {
	Store Store
	Dial  Dialer
	// MaxPulls is how many objects are pulled at once; others wait in order. 0: 8.
	MaxPulls int
	// MaxBytes is how many bytes of objects are under way at once; a larger object
	// goes alone. 0: 1 GiB.
	MaxBytes int64
	// StallTimeout gives up on a node that sends nothing. 0: 30 s.
	StallTimeout time.Duration
}

// A Puller brings objects of other nodes into the local store.
type Puller struct {
	cfg    PullerConfig
	slots  *semaphore.Weighted
	bytes  *semaphore.Weighted
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
	size   int64 // as announced; 0: unknown
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	err    error // after done

	// Under Puller.mu.
	nodes   []ids.NodeID // all that were named
	next    int          // the first of nodes that has yet to be tried
	waiting int          // callers; with the last, the fetch is given up
}

// NewPuller returns a puller that has nothing under way.
func NewPuller(cfg PullerConfig) *Puller {
	cfg.MaxPulls = or(cfg.MaxPulls, 8)
	cfg.MaxBytes = or(cfg.MaxBytes, 1<<30)
	cfg.StallTimeout = or(cfg.StallTimeout, defaultStallTimeout)
	p := &Puller{
		cfg:     cfg,
		slots:   semaphore.NewWeighted(int64(cfg.MaxPulls)),
		bytes:   semaphore.NewWeighted(cfg.MaxBytes),
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
	return nil
}

// Fetch returns when the object is sealed in the local store. If it isn't there
// and nobody here is making it, it is pulled from the first of nodes that can
// give it. Concurrent calls for one object share a pull, and their nodes. size is
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

// has reports whether the object is sealed here.
func (p *Puller) has(id ids.ObjectID) bool {
	_, ok := p.cfg.Store.Acquire(id)
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
		f = &fetch{id: id, size: size, done: make(chan struct{})}
		f.ctx, f.cancel = context.WithCancel(p.ctx)
		p.fetches[id] = f
		p.wg.Go(func() { p.run(f) })
	}
	f.waiting++
	for _, n := range nodes {
		if !slices.Contains(f.nodes, n) {
			f.nodes = append(f.nodes, n)
		}
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

// take returns the next node to try. When there is none, the fetch is over:
// whoever comes now begins another.
func (p *Puller) take(f *fetch) (ids.NodeID, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.next == len(f.nodes) {
		p.end(f)
		return 0, false
	}
	f.next++
	return f.nodes[f.next-1], true
}

// end takes a fetch out of the table. Called with mu held.
func (p *Puller) end(f *fetch) {
	if p.fetches[f.id] == f {
		delete(p.fetches, f.id)
	}
}
