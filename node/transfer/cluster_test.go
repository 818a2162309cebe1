package transfer

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/objectstore"
)

// memory is a Store in maps. What it gives back to be used again it overwrites.
type memory struct {
	mu      sync.Mutex
	sealed  map[ids.ObjectID][]byte
	disk    map[ids.ObjectID]time.Duration // those that lie there, and how long reading takes
	making  map[ids.ObjectID]*making
	pins    map[ids.ObjectID]int
	full    error // of Create
	unread  error // of Acquire
	most    int64 // bytes of an object; 0: any
	creates int
	calls   chan struct{} // when not nil, gets a word for each Wait
}

type making struct {
	data []byte
	done chan struct{}
}

func newMemory() *memory {
	return &memory{
		sealed: map[ids.ObjectID][]byte{}, disk: map[ids.ObjectID]time.Duration{},
		making: map[ids.ObjectID]*making{}, pins: map[ids.ObjectID]int{},
	}
}

func (m *memory) Create(ctx context.Context, id ids.ObjectID, size int64) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sealed[id] != nil || m.making[id] != nil {
		return nil, ErrExists
	}
	if err := cmp.Or(m.full, ctx.Err()); err != nil {
		return nil, err
	}
	if m.most > 0 && size > m.most {
		return nil, errors.New("too large")
	}
	m.creates++
	m.making[id] = &making{make([]byte, size), make(chan struct{})}
	return m.making[id].data, nil
}

func (m *memory) finish(id ids.ObjectID, keep bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.making[id]
	if o == nil {
		return errors.New("not being made")
	}
	delete(m.making, id)
	if keep {
		m.sealed[id] = o.data
	} else {
		scribble(o.data)
	}
	close(o.done)
	return nil
}

func (m *memory) Seal(id ids.ObjectID) error  { return m.finish(id, true) }
func (m *memory) Abort(id ids.ObjectID) error { return m.finish(id, false) }

func (m *memory) Wait(ctx context.Context, id ids.ObjectID) error {
	m.mu.Lock()
	o := m.making[id]
	calls := m.calls
	m.mu.Unlock()
	if calls != nil {
		calls <- struct{}{}
	}
	if o != nil {
		select {
		case <-o.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sealed[id] == nil {
		return errors.New("nobody makes it")
	}
	return nil
}

func (m *memory) Get(id ids.ObjectID) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pin(id)
}

// pin is called with mu held.
func (m *memory) pin(id ids.ObjectID) ([]byte, bool) {
	b, ok := m.sealed[id]
	if _, away := m.disk[id]; !ok || away || m.unread != nil {
		return nil, false
	}
	m.pins[id]++
	return b, true
}

func (m *memory) Acquire(_ context.Context, id ids.ObjectID) ([]byte, error) {
	m.mu.Lock()
	takes := m.disk[id]
	m.mu.Unlock()
	if takes > 0 {
		<-time.After(takes)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.disk, id)
	if b, ok := m.pin(id); ok {
		return b, nil
	}
	return nil, cmp.Or(m.unread, objectstore.ErrNotFound)
}

// spill has the next Acquire of an object take long, unless it's pinned.
func (m *memory) spill(id ids.ObjectID, takes time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sealed[id] != nil && m.pins[id] == 0 {
		m.disk[id] = takes
	}
}

func (m *memory) Release(id ids.ObjectID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pins[id]--; m.pins[id] == 0 {
		delete(m.pins, id)
	}
}

// evict deletes a sealed object unless it's pinned.
func (m *memory) evict(id ids.ObjectID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pins[id] == 0 {
		scribble(m.sealed[id])
		delete(m.sealed, id)
		delete(m.disk, id)
	}
}

func scribble(b []byte) {
	for i := range b {
		b[i] = 0xEE
	}
}

func (m *memory) put(id ids.ObjectID, b []byte) { m.sealed[id] = b }

// idle fails the test unless nothing is pinned or being made.
func (m *memory) idle(t testing.TB) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.pins) != 0 || len(m.making) != 0 {
		t.Errorf("%v pinned, %d unsealed objects left", m.pins, len(m.making))
	}
}

// hosts is some nodes on loopback.
type hosts struct {
	t    testing.TB
	tls  *tls.Config // nil: plain
	addr map[ids.NodeID]string
	wg   sync.WaitGroup
}

// listen has f called with each connection made to node.
func (h *hosts) listen(node ids.NodeID, f func(net.Conn)) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	h.addr[node] = ln.Addr().String()
	h.accept(ln, f)
}

// accept has f called with each connection that is accepted.
func (h *hosts) accept(ln net.Listener, f func(net.Conn)) {
	h.t.Cleanup(func() { _ = ln.Close() })
	h.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if h.tls != nil {
				conn = tls.Server(conn, h.tls)
			}
			h.wg.Go(func() { f(conn) })
		}
	})
}

// serve starts a Server for node.
func (h *hosts) serve(node ids.NodeID, cfg ServerConfig) *Server {
	cfg.Node = node
	s := NewServer(cfg)
	h.listen(node, func(c net.Conn) { _ = s.Serve(c) })
	h.t.Cleanup(func() { _ = s.Close() })
	return s
}

// piped is a Dialer to a server without a network: for testing/synctest.
func piped(s *Server) Dialer {
	return func(context.Context, ids.NodeID) (net.Conn, error) {
		a, b := net.Pipe()
		go func() { _ = s.Serve(b) }()
		return a, nil
	}
}

func (h *hosts) dial(ctx context.Context, node ids.NodeID) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", h.addr[node])
	if err != nil {
		return nil, err
	}
	return h.client(conn), nil
}

func (h *hosts) client(conn net.Conn) net.Conn {
	if h.tls == nil {
		return conn
	}
	return tls.Client(conn, h.tls)
}

func newHosts(t testing.TB, secure bool) *hosts {
	h := &hosts{t: t, addr: map[ids.NodeID]string{}}
	t.Cleanup(h.wg.Wait) // the last, when no listener is open
	if secure {
		h.tls = mutual(t)
	}
	return h
}

// mutual is a configuration for both sides, each with the same certificate.
func mutual(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "node"}, DNSNames: []string{"node"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: "node", NextProtos: []string{"gray-stream"},
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}},
		RootCAs:      roots, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
	}
}

func objectN(n uint64) ids.ObjectID {
	return ids.ObjectID{Cluster: 7, Owner: ids.ProcessID{Node: 1, Number: 1}, Number: n}
}
