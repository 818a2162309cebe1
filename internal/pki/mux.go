package pki

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

const (
	handshakeLimit = 5 * time.Second
	// maxHandshakes connections may be between their first byte and somebody's
	// Accept; one more, and the oldest is closed.
	maxHandshakes = 512
	acceptPause   = 5 * time.Millisecond

	silentProtocol = "http/1.1"
)

// Mux hands the connections of one listener to those who speak their protocol.
type Mux struct {
	ln        net.Listener
	cfg       *tls.Config
	listeners map[string]*listener
	ctx       context.Context
	cancel    context.CancelFunc
	wg        sync.WaitGroup
	closeOnce sync.Once
	closeErr  error

	mu      sync.Mutex
	closed  bool
	pending *list.List // of net.Conn, oldest first
}

// Split serves ln: it finishes the TLS handshake of each connection and hands
// it, a *tls.Conn, to the listener of the protocol that was negotiated.
// A client that names none is taken to speak http/1.1. Connections with another
// protocol than those of alpn are closed.
func Split(ln net.Listener, cfg *tls.Config, alpn ...string) *Mux {
	cfg = cfg.Clone()
	cfg.NextProtos = alpn
	m := &Mux{ln: ln, cfg: cfg, listeners: map[string]*listener{}, pending: list.New()}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	for _, name := range alpn {
		l := &listener{m: m, conns: make(chan net.Conn)}
		l.ctx, l.cancel = context.WithCancel(m.ctx)
		m.listeners[name] = l
	}
	m.wg.Go(m.accept)
	return m
}

// Listener returns the listener of one of the protocols given to Split; nil for
// another. Closing it closes connections that come later.
func (m *Mux) Listener(alpn string) net.Listener {
	if l := m.listeners[alpn]; l != nil {
		return l
	}
	return nil
}

// Addr is where the Mux listens.
func (m *Mux) Addr() net.Addr { return m.ln.Addr() }

// Close stops listening, drops connections that nobody has accepted, and waits
// for the goroutines. Accepted connections go on.
func (m *Mux) Close() error {
	m.closeOnce.Do(func() {
		m.cancel()
		m.closeErr = m.ln.Close()
		m.mu.Lock()
		m.closed = true
		for e := m.pending.Front(); e != nil; e = e.Next() {
			e.Value.(net.Conn).Close()
		}
		m.mu.Unlock()
		m.wg.Wait()
	})
	return m.closeErr
}

func (m *Mux) accept() {
	for {
		conn, err := m.ln.Accept()
		switch {
		case err == nil:
		case errors.Is(err, net.ErrClosed) || m.ctx.Err() != nil:
			return
		default: // too many open files, or a connection that was reset: it passes
			t := time.NewTimer(acceptPause)
			select {
			case <-t.C:
			case <-m.ctx.Done():
				t.Stop()
				return
			}
			continue
		}
		place, ok := m.admit(conn)
		if !ok {
			conn.Close()
			return
		}
		m.wg.Go(func() { m.serve(conn, place) })
	}
}

// admit gives the connection a place among those that wait.
func (m *Mux) admit(conn net.Conn) (*list.Element, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, false
	}
	if m.pending.Len() >= maxHandshakes {
		oldest := m.pending.Front()
		oldest.Value.(net.Conn).Close()
		m.pending.Remove(oldest)
	}
	return m.pending.PushBack(conn), true
}

func (m *Mux) serve(conn net.Conn, place *list.Element) {
	handed := false
	defer func() {
		m.mu.Lock()
		m.pending.Remove(place) // nothing, if it had to make room
		m.mu.Unlock()
		if !handed {
			conn.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(m.ctx, handshakeLimit)
	defer cancel()
	tlsConn := tls.Server(conn, m.cfg)
	if err := tlsConn.HandshakeContext(ctx); err != nil {
		return
	}
	name := tlsConn.ConnectionState().NegotiatedProtocol
	if name == "" {
		name = silentProtocol // of clients that name none, WebSockets of net/http among them
	}
	l := m.listeners[name]
	if l == nil {
		return
	}
	select {
	case l.conns <- tlsConn:
		handed = true
	case <-l.ctx.Done():
	}
}

// listener is the part of a Mux for one protocol.
type listener struct {
	m      *Mux
	conns  chan net.Conn
	ctx    context.Context
	cancel context.CancelFunc
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.cancel()
	return nil
}

func (l *listener) Addr() net.Addr { return l.m.ln.Addr() }
