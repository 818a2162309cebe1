package transfer

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	pb "github.com/gray-runtime/gray/proto"
)

const (
	// maxIdle is how many connections to one node are kept for later, and
	// maxIdleAll to all together.
	maxIdle    = 4
	maxIdleAll = 256
	// linkIdle is how long one is kept. The other side waits longer (serverIdle),
	// so that a connection is seldom closed just when it's needed.
	linkIdle = 30 * time.Second
)

// errStale says that a connection that had been kept was of no use any more.
var errStale = errors.New("connection was closed while it was idle")

// A link is a connection to a node on which one request follows another. The end
// of the context for which it was opened interrupts it.
type link struct {
	net.Conn
	node   ids.NodeID
	used   bool // it has answered before
	settle func() bool
	expire *time.Timer // while it's idle
	moved  *atomic.Uint64
}

// ask sends a request.
func (l *link) ask(ctx context.Context, h *pb.StreamHeader, stall time.Duration) error {
	if err := deadline(ctx, l, stall); err != nil {
		return err
	}
	return l.failed(ctx, writeMessage(l, h))
}

// answer reads a reply.
func (l *link) answer(ctx context.Context, stall time.Duration) (*pb.StreamReply, error) {
	err := deadline(ctx, l, stall)
	if err != nil {
		return nil, err
	}
	reply, err := readReply(l)
	if err != nil {
		return nil, l.failed(ctx, err)
	}
	l.used = false
	return reply, nil
}

// failed says why the link is of no use, if err isn't nil.
func (l *link) failed(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var r *RemoteError
	if err = cause(ctx, noEOF(err)); l.used && ctx.Err() == nil && !errors.Is(err, errStalled) && !errors.As(err, &r) {
		return errStale
	}
	return err
}

// fill reads the bytes of a chunk.
func (l *link) fill(ctx context.Context, b []byte, stall time.Duration) error {
	for len(b) > 0 {
		if err := deadline(ctx, l, stall); err != nil {
			return err
		}
		for left := min(len(b), piece); left > 0; {
			n, err := l.Read(b[:left])
			if n > 0 {
				l.moved.Add(uint64(n))
			}
			left, b = left-n, b[n:]
			if err != nil && left > 0 {
				return cause(ctx, noEOF(err))
			}
		}
	}
	return nil
}

// A pool keeps connections that aren't in use.
type pool struct {
	dial  Dialer
	moved *atomic.Uint64 // bytes read of chunks

	mu     sync.Mutex
	closed bool
	idle   map[ids.NodeID][]*link // the one used last is the last
	count  int
}

func newPool(dial Dialer, moved *atomic.Uint64) *pool {
	return &pool{dial: dial, moved: moved, idle: map[ids.NodeID][]*link{}}
}

// get returns a connection to a node for the time of ctx.
func (p *pool) get(ctx context.Context, node ids.NodeID) (*link, error) {
	l := p.take(node)
	if l == nil {
		conn, err := p.dial(ctx, node)
		if err != nil {
			return nil, asBroken(err, false)
		}
		l = &link{Conn: conn, node: node, moved: p.moved}
	}
	l.settle = context.AfterFunc(ctx, func() { _ = l.SetDeadline(time.Unix(1, 0)) })
	return l, nil
}

func (p *pool) take(node ids.NodeID) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle[node])
	if n == 0 {
		return nil
	}
	l := p.idle[node][n-1]
	p.forget(l)
	l.expire.Stop()
	return l
}

// forget takes a connection out of those that are idle, and reports whether it
// was. Called with mu held.
func (p *pool) forget(l *link) bool {
	all := p.idle[l.node]
	i := slices.Index(all, l)
	if i < 0 {
		return false
	}
	p.count--
	if p.idle[l.node] = slices.Delete(all, i, i+1); len(all) == 1 {
		delete(p.idle, l.node)
	}
	return true
}

// put keeps a connection on which no answer is to come.
func (p *pool) put(l *link) {
	if !l.settle() || l.SetDeadline(time.Time{}) != nil || !p.keep(l) {
		hangUp(l.Conn)
	}
}

func (p *pool) keep(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle[l.node]) >= maxIdle || p.count >= maxIdleAll {
		return false
	}
	l.used = true
	p.idle[l.node] = append(p.idle[l.node], l)
	p.count++
	l.expire = time.AfterFunc(linkIdle, func() {
		p.mu.Lock()
		idle := p.forget(l)
		p.mu.Unlock()
		if idle {
			hangUp(l.Conn)
		}
	})
	return true
}

// drop closes a connection that failed.
func (p *pool) drop(l *link) {
	l.settle()
	hangUp(l.Conn)
}

func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	var idle []*link
	for _, all := range p.idle {
		idle = append(idle, all...)
	}
	clear(p.idle)
	p.count = 0
	p.mu.Unlock()
	for _, l := range idle {
		l.expire.Stop()
		hangUp(l.Conn)
	}
}
