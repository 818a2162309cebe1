package refs

import (
	"context"
	"sync"

	"github.com/gray-runtime/gray/internal/ids"
)

// A Directory keeps the references of one node. Its methods may be called from
// any goroutine. Those that take no context never block.
//
// What processes say has to be handed over in the order in which each process
// said it: BorrowBy, ReleaseBy and Publish have their effect before they return,
// and give a Wait for the part that others must confirm.
type Directory struct {
	self    ids.NodeID
	cluster ids.ClusterID
	peers   Peers

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // senders

	mu      sync.Mutex
	closed  bool
	entries map[ids.ObjectID]*entry
	procs   map[uint32]*process     // living processes of this node, by number
	nodes   map[ids.NodeID]*peer    // living nodes spoken to or heard from; this one too
	dead    map[ids.NodeID]struct{} // for ever: numbers of nodes aren't used again
	died    chan struct{}           // closed, and another made, when a node has died

	replicas map[ids.ObjectID]*entry // that have a replica, or were inherited
	sought   []*entry                // whose home has to be found
	seeking  bool                    // somebody is at it

	ended  []ids.ActorID // that nobody holds, not yet handed to Peers
	ending bool          // a sender is at work
}

// New makes the directory of node self of a cluster.
func New(self ids.NodeID, cluster ids.ClusterID, p Peers) *Directory {
	ctx, cancel := context.WithCancel(context.Background())
	return &Directory{
		self: self, cluster: cluster, peers: p, ctx: ctx, cancel: cancel,
		entries: map[ids.ObjectID]*entry{},
		procs:   map[uint32]*process{},
		nodes:   map[ids.NodeID]*peer{},
		dead:    map[ids.NodeID]struct{}{}, died: make(chan struct{}),
		replicas: map[ids.ObjectID]*entry{},
	}
}

// Close ends all waits and senders, and returns when the senders have ended.
// What they had yet to send stays unsent: a node that closes its directory
// leaves the cluster, which ends its borrows.
func (d *Directory) Close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.cancel()
	d.wg.Wait()
}

// start runs f as a sender, unless the directory is closed. Called with mu held.
func (d *Directory) start(f func()) bool {
	if d.closed {
		return false
	}
	d.wg.Go(f)
	return true
}

// A Wait is the rest of a call whose effect on this node is done, but which
// others have yet to confirm. It returns nil when they have, ctx's error, or
// ErrClosed. Call it through Wait, since nil has nothing to wait for. It may be
// left unused.
type Wait func(ctx context.Context) error

// Wait calls w unless it is nil.
func (w Wait) Wait(ctx context.Context) error {
	if w == nil {
		return nil
	}
	return w(ctx)
}

// A pending call waits for several entries to be confirmed.
type pending struct {
	left int
	done chan struct{}
}

// await has p wait for e too.
func (p *pending) await(e *entry) {
	if p.done == nil {
		p.done = make(chan struct{})
	}
	p.left++
	e.link.waiting = append(e.link.waiting, p)
}

// wait returns what remains to be waited for.
func (d *Directory) wait(p *pending) Wait {
	if p.left == 0 {
		return nil
	}
	done := p.done
	return func(ctx context.Context) error {
		select {
		case <-done:
			return nil
		default:
		}
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-d.ctx.Done():
			return ErrClosed
		}
	}
}
