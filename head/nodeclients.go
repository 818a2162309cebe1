package head

import (
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pki"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

// nodeClients are the connections to nodes, for what only they know.
type nodeClients struct {
	identity *pki.Identity

	mu     sync.Mutex
	conns  map[uint32]*nodeConn
	closed bool
}

type nodeConn struct {
	address string
	conn    *grpc.ClientConn
}

func newNodeClients(identity *pki.Identity) *nodeClients {
	return &nodeClients{identity: identity, conns: map[uint32]*nodeConn{}}
}

// get returns the Node service of a node at an address.
func (n *nodeClients) get(id uint32, address string) (proto.NodeClient, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, ErrClosed
	}
	c := n.conns[id]
	if c != nil && c.address == address {
		return proto.NewNodeClient(c.conn), nil
	}
	conn, err := rpc.Dial("passthrough:///"+address, n.identity.ClientTLS(rpc.Protocol), grpc.WithIdleTimeout(time.Minute))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", ids.NodeID(id), err)
	}
	if c != nil {
		c.conn.Close()
	}
	n.conns[id] = &nodeConn{address: address, conn: conn}
	return proto.NewNodeClient(conn), nil
}

func (n *nodeClients) drop(id uint32) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c := n.conns[id]; c != nil {
		c.conn.Close()
		delete(n.conns, id)
	}
}

func (n *nodeClients) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	for id, c := range n.conns {
		c.conn.Close()
		delete(n.conns, id)
	}
}
