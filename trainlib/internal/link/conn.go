package link

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// Conn is a connection to another process, or to the other half of a Pair. One goroutine at a time sends over it, one
// receives.
type Conn struct {
	out, in   half
	transport string
	peer      string

	down   atomic.Bool   // broken is closed, or about to be
	broken chan struct{} // closed once err is set
	mu     sync.Mutex
	err    error
	close  func() error // releases what it holds, once nobody uses it
	closed bool
}

// ErrClosed is what a Conn that was closed on this side answers.
var ErrClosed = errors.New("the connection is closed")

// ErrPeerGone is why a Conn is broken when the other process has ended or closed it.
var ErrPeerGone = errors.New("the peer is gone")

// Error is a failed Run: the connections at fault, with why. At a context's end these are all that weren't done.
type Error struct {
	Conns []*Conn
	Err   error
}

func (e *Error) Error() string {
	if len(e.Conns) == 0 {
		return e.Err.Error()
	}
	s := "link to " + e.Conns[0].peer
	if n := len(e.Conns) - 1; n > 0 {
		s += fmt.Sprintf(" and %d others", n)
	}
	return s + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Send sends b, and returns when b may be changed.
func (c *Conn) Send(ctx context.Context, b []byte) error {
	return Run(ctx, Transfer{Conn: c, Out: b, send: true})
}

// Recv fills b.
func (c *Conn) Recv(ctx context.Context, b []byte) error {
	return Run(ctx, Transfer{Conn: c, In: b})
}

// Transport says how bytes travel: "memory" within a process, "shared memory", "tcp", "tls" or "grpc".
func (c *Conn) Transport() string { return c.transport }

// Broken is closed when the peer is gone, or the connection is of no more use for another reason: Err. What had arrived
// can still be received if the peer is gone.
func (c *Conn) Broken() <-chan struct{} { return c.broken }

// Err says why the connection is broken, nil while it isn't.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// fail breaks the connection: the first reason counts.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	c.down.Store(true)
	close(c.broken)
	c.mu.Unlock()
	c.out.wake()
	c.in.wake()
}

// Close ends the connection, and transfers under way. It's broken for the peer.
func (c *Conn) Close() error {
	c.fail(ErrClosed)
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	return c.close()
}
