package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pki"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/node/refs"
	"github.com/gray-runtime/gray/proto"
)

// peers are the other nodes and the connections to them.
type peers struct {
	identity *pki.Identity

	mu        sync.Mutex
	self      ids.NodeID
	shown     time.Time // when a view first showed the cluster
	addresses map[ids.NodeID]string
	dead      map[ids.NodeID]bool
	conns     map[ids.NodeID]*grpc.ClientConn
	streams   map[ids.NodeID]map[*stream]struct{}
	closed    bool
	news      chan struct{} // closed, and another made, when any of this changes
}

func newPeers(identity *pki.Identity) *peers {
	return &peers{
		identity: identity, addresses: map[ids.NodeID]string{}, dead: map[ids.NodeID]bool{}, conns: map[ids.NodeID]*grpc.ClientConn{},
		streams: map[ids.NodeID]map[*stream]struct{}{}, news: make(chan struct{}),
	}
}

// stream is a connection to another node, which breaks when that is dead: nothing
// else tells of a node that hangs or is cut off.
type stream struct {
	*tls.Conn
	peers *peers
	node  ids.NodeID
}

// Close closes the connection.
func (s *stream) Close() error {
	s.peers.mu.Lock()
	delete(s.peers.streams[s.node], s)
	s.peers.mu.Unlock()
	return s.Conn.Close()
}

// learn takes the addresses of living nodes.
func (p *peers) learn(nodes []*proto.NodeInfo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown.IsZero() {
		p.shown = time.Now()
	}
	for _, i := range nodes {
		if i.Alive && i.Address != "" && !p.dead[ids.NodeID(i.Id)] {
			p.addresses[ids.NodeID(i.Id)] = i.Address
		}
	}
	p.tell()
}

// tell wakes who waits for news. It's called with mu held.
func (p *peers) tell() {
	close(p.news)
	p.news = make(chan struct{})
}

// viewWait is how long a node that another spoke of may take to show in a view:
// two that just joined may hear of each other by their work first.
const viewWait = 5 * time.Second

// known waits until a view has shown a node, or it's dead.
func (p *peers) known(ctx context.Context, id ids.NodeID) error {
	ctx, cancel := context.WithTimeout(ctx, viewWait)
	defer cancel()
	for {
		p.mu.Lock()
		ok, news := p.closed || p.dead[id] || p.addresses[id] != "" || p.before(id), p.news
		p.mu.Unlock()
		if ok {
			return nil // address says which
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("node %s isn't known here: %w", id, ctx.Err())
		}
	}
}

// bury drops the connections to a dead node.
func (p *peers) bury(id ids.NodeID) {
	p.mu.Lock()
	conn, streams := p.conns[id], p.streams[id]
	delete(p.conns, id)
	delete(p.streams, id)
	delete(p.addresses, id)
	p.dead[id] = true
	p.tell()
	p.mu.Unlock()
	for s := range streams {
		s.NetConn().Close() // a farewell might have to wait
	}
	if conn != nil {
		conn.Close()
	}
}

// address is where a node listens. A node that is dead has none (refs.ErrNoNode);
// one that no view has shown yet may come with the next.
func (p *peers) address(id ids.NodeID) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return "", ErrClosed
	case p.dead[id], p.addresses[id] == "" && p.before(id):
		return "", fmt.Errorf("%s: %w", id, refs.ErrNoNode)
	case p.addresses[id] == "":
		return "", fmt.Errorf("node %s isn't known here yet", id)
	}
	return p.addresses[id], nil
}

// gone reports whether a node is known to be dead.
func (p *peers) gone(id ids.NodeID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead[id] || p.addresses[id] == "" && p.before(id)
}

// before reports whether a node that no view has shown died before this one joined:
// it has a lower number, and would have shown by now.
func (p *peers) before(id ids.NodeID) bool {
	return id < p.self && !p.shown.IsZero() && time.Since(p.shown) > viewWait
}

// clientSoon is client of a node that need not have been shown yet.
func (p *peers) clientSoon(ctx context.Context, id ids.NodeID) (proto.NodeClient, error) {
	if err := p.known(ctx, id); err != nil {
		return nil, err
	}
	return p.client(id)
}

// client returns the Node service of another node.
func (p *peers) client(id ids.NodeID) (proto.NodeClient, error) {
	address, err := p.address(id)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	conn := p.conns[id]
	if conn == nil {
		conn, err = rpc.Dial("passthrough:///"+address, p.identity.ClientTLS(rpc.Protocol))
		if err != nil {
			return nil, fmt.Errorf("connect to %s: %w", id, err)
		}
		p.conns[id] = conn
	}
	return proto.NewNodeClient(conn), nil
}

// dial opens a connection for a stream (node/transfer).
func (p *peers) dial(ctx context.Context, id ids.NodeID) (net.Conn, error) {
	if err := p.known(ctx, id); err != nil {
		return nil, err
	}
	address, err := p.address(id)
	if err != nil {
		return nil, err
	}
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: p.identity.ClientTLS(protocolStream)}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", id, err)
	}
	s := &stream{conn.(*tls.Conn), p, id} // that's what a tls.Dialer returns
	if !p.add(s) {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", id, refs.ErrNoNode)
	}
	return s, nil
}

// add keeps a stream until it's closed, unless its node is dead.
func (p *peers) add(s *stream) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead[s.node] {
		return false
	}
	if p.streams[s.node] == nil {
		p.streams[s.node] = map[*stream]struct{}{}
	}
	p.streams[s.node][s] = struct{}{}
	return true
}

// alive returns the living nodes that are known.
func (p *peers) alive() []ids.NodeID {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]ids.NodeID, 0, len(p.addresses))
	for id := range p.addresses {
		out = append(out, id)
	}
	return out
}

func (p *peers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.tell()
	for id, c := range p.conns {
		c.Close()
		delete(p.conns, id)
	}
}
