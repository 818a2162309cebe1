package head

import (
	"crypto/tls"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/internal/rpc"
)

// clients are the connections to nodes, by number, or to other heads, by address.
type clients[K comparable] struct {
	tls *tls.Config // of the other side's kind

	mu     sync.Mutex
	conns  map[K]*connection
	closed bool
}

type connection struct {
	address string
	conn    *grpc.ClientConn
}

func newClients[K comparable](cfg *tls.Config) *clients[K] {
	return &clients[K]{tls: cfg, conns: map[K]*connection{}}
}

// get returns the connection to k at an address. It's opened when it's used.
func (c *clients[K]) get(k K, address string) (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	old := c.conns[k]
	if old != nil && old.address == address {
		return old.conn, nil
	}
	conn, err := rpc.Dial("passthrough:///"+address, c.tls, grpc.WithIdleTimeout(time.Minute))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	if old != nil {
		old.conn.Close()
	}
	c.conns[k] = &connection{address: address, conn: conn}
	return conn, nil
}

func (c *clients[K]) drop(k K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.conns[k]; old != nil {
		old.conn.Close()
		delete(c.conns, k)
	}
}

func (c *clients[K]) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for k, old := range c.conns {
		old.conn.Close()
		delete(c.conns, k)
	}
}
