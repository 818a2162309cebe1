package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// handshakeTime is how long a handshake may take, and how long a connection's streams may be apart.
	handshakeTime = 10 * time.Second
	// maxHandshakes is how many are under way: one more ends the oldest.
	maxHandshakes = 128
	// maxGathering is how many connections of several streams are waited for, maxAccepted how many wait for Accept.
	maxGathering = 256
	maxAccepted  = 64
)

// Endpoint is where a process is reached, and from where it reaches others.
type Endpoint struct {
	options     Options
	address     Address
	certificate tls.Certificate

	listeners []net.Listener
	serve     *grpcServer
	accepted  chan arrival
	ctx       context.Context // ends with the endpoint
	end       context.CancelFunc
	work      sync.WaitGroup

	mu         sync.Mutex
	closed     bool
	handshakes []net.Conn // the oldest first
	gathering  map[[16]byte]*gathering
}

// arrival is a connection that waits for Accept.
type arrival struct {
	conn  *Conn
	hello []byte
}

// gathering is a connection of which some streams are here.
type gathering struct {
	streams []stream
	have    int
	expire  *time.Timer
}

// Listen makes an endpoint. ctx is for making it only.
func Listen(ctx context.Context, o Options) (*Endpoint, error) {
	o.Streams = max(o.Streams, 1)
	if o.Streams > maxStreams {
		return nil, fmt.Errorf("listen: %d streams, more than %d", o.Streams, maxStreams)
	}
	e, err := newEndpoint(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := e.listen(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// newEndpoint is one that doesn't listen yet.
func newEndpoint(ctx context.Context, o Options) (*Endpoint, error) {
	host, err := here()
	if err != nil {
		return nil, err
	}
	e := &Endpoint{options: o, accepted: make(chan arrival, maxAccepted), gathering: map[[16]byte]*gathering{}}
	e.ctx, e.end = context.WithCancel(context.WithoutCancel(ctx))
	e.address = Address{Host: host, PID: os.Getpid(), Secret: randomBytes(32)}
	e.certificate, e.address.Fingerprint, err = newCertificate()
	return e, err
}

func (e *Endpoint) listen(ctx context.Context) error {
	var config net.ListenConfig
	if t := e.options.Transport; t == Auto || t == SharedMemory {
		l, err := config.Listen(ctx, "unix", "@gray-link-"+randomName())
		if err != nil {
			return fmt.Errorf("listen on this host: %w", err)
		}
		e.address.Local = l.Addr().String()
		e.accept(l)
	}
	if e.options.Transport == SharedMemory || e.options.Transport == Auto && e.options.Host == "" {
		return nil
	}
	host := e.options.Host
	if host == "" {
		host = "127.0.0.1"
	}
	l, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return fmt.Errorf("listen on %s: %w", host, err)
	}
	e.address.Network = l.Addr().String()
	if e.options.Transport == GRPC {
		e.address.GRPC = true
		e.serve = e.serveGRPC(l)
		return nil
	}
	e.accept(l)
	return nil
}

// Address is where others reach the endpoint.
func (e *Endpoint) Address() Address { return e.address }

// Accept waits for a connection that another endpoint has dialed, and returns the hello that came with it.
func (e *Endpoint) Accept(ctx context.Context) (*Conn, []byte, error) {
	select {
	case a := <-e.accepted:
		return a.conn, a.hello, nil
	case <-e.ctx.Done():
		return nil, nil, fmt.Errorf("accept: %w", net.ErrClosed)
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("accept: %w", context.Cause(ctx))
	}
}

// Close ends listening. Connections go on, but for those that nobody has accepted.
func (e *Endpoint) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	e.end()
	var errs []error
	for _, l := range e.listeners {
		errs = append(errs, l.Close())
	}
	for _, c := range e.handshakes {
		_ = c.Close() // its handshake says so
	}
	for id := range e.gathering {
		e.forget(id)
	}
	e.mu.Unlock()
	if e.serve != nil {
		e.serve.release()
	}
	e.work.Wait()
	for {
		select {
		case a := <-e.accepted:
			_ = a.conn.Close() // nobody has seen it
		default:
			return errors.Join(errs...)
		}
	}
}

// accept has a listener's connections shake hands.
func (e *Endpoint) accept(l net.Listener) {
	e.listeners = append(e.listeners, l)
	e.work.Go(func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil { // a connection that ended, or no descriptors left
				select {
				case <-time.After(10 * time.Millisecond):
					continue
				case <-e.ctx.Done():
					return
				}
			}
			if e.began(c) {
				e.work.Go(func() { e.admit(c) })
			}
		}
	})
}

// began notes a handshake, unless the endpoint is closed: the connection is then.
func (e *Endpoint) began(c net.Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		_ = c.Close()
		return false
	}
	if len(e.handshakes) == maxHandshakes {
		_ = e.handshakes[0].Close() // who does nothing but connect can't keep others out
		e.handshakes = slices.Delete(e.handshakes, 0, 1)
	}
	e.handshakes = append(e.handshakes, c)
	return true
}

func (e *Endpoint) ended(c net.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if i := slices.Index(e.handshakes, c); i >= 0 {
		e.handshakes = slices.Delete(e.handshakes, i, i+1)
	}
}

// proved is ended for the connection from an address.
func (e *Endpoint) proved(from string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.handshakes = slices.DeleteFunc(e.handshakes, func(c net.Conn) bool { return c.RemoteAddr().String() == from })
}

// admit does a dialed connection's handshake. What fails in it is the dialer's to say: anybody may connect.
func (e *Endpoint) admit(c net.Conn) {
	defer e.ended(c)
	_ = c.SetDeadline(time.Now().Add(handshakeTime))
	if u, ok := c.(*net.UnixConn); ok {
		e.admitMemory(u)
		return
	}
	secure, err := e.secure(c, magic[0])
	if err != nil {
		_ = c.Close()
		return
	}
	o, owed, err := answer(secure, e.address.Secret)
	if err == nil && o.kind != kindStream {
		err = errors.New("shared memory over a network")
	}
	if err == nil {
		err = checkProof(secure, owed)
	}
	if err != nil {
		_ = c.Close()
		return
	}
	e.arrived(secure, o)
}

// arrived takes over a stream whose dialer has proved itself.
func (e *Endpoint) arrived(c net.Conn, o offer) {
	if _, err := c.Write([]byte{ready}); err != nil {
		_ = c.Close()
		return
	}
	transport, peer := transportOf(c), c.RemoteAddr().String()
	s, err := streamOf(c)
	if err != nil {
		return
	}
	streams := e.gather(o, s)
	if streams == nil {
		return
	}
	if conn, err := overStreams(transport, peer, streams); err == nil {
		e.deliver(arrival{conn, o.hello})
	}
}

func transportOf(c net.Conn) string {
	if _, ok := c.(*tls.Conn); ok {
		return "tls"
	}
	return string(TCP)
}

// gather adds a stream to its connection, and returns all once they're here.
func (e *Endpoint) gather(o offer, s stream) []stream {
	if o.count == 1 {
		return []stream{s}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	g := e.gathering[o.connection]
	if g == nil {
		if e.closed || len(e.gathering) == maxGathering {
			_ = s.close()
			return nil
		}
		g = &gathering{streams: make([]stream, o.count)}
		e.gathering[o.connection] = g
		g.expire = time.AfterFunc(handshakeTime, func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			if e.gathering[o.connection] == g {
				e.forget(o.connection)
			}
		})
	}
	if int(o.count) != len(g.streams) || g.streams[o.index] != nil {
		_ = s.close()
		return nil
	}
	g.streams[o.index] = s
	if g.have++; g.have < len(g.streams) {
		return nil
	}
	g.expire.Stop()
	delete(e.gathering, o.connection)
	return g.streams
}

// forget closes the streams of a connection that isn't whole. mu is held.
func (e *Endpoint) forget(id [16]byte) {
	g := e.gathering[id]
	g.expire.Stop()
	for _, s := range g.streams {
		if s != nil {
			_ = s.close()
		}
	}
	delete(e.gathering, id)
}

func (e *Endpoint) deliver(a arrival) {
	select {
	case e.accepted <- a:
	case <-e.ctx.Done():
		_ = a.conn.Close()
	}
}

// secure does the handshake of TLS, where there must be one: none on this host, or where both sides go without.
//
// Those that do without begin with the byte plain.
func (e *Endpoint) secure(c net.Conn, plain byte) (net.Conn, error) {
	tune(c)
	var first [1]byte
	if _, err := c.Read(first[:]); err != nil {
		return nil, err
	}
	again := &begun{Conn: c, first: first[:]}
	if first[0] == plain {
		if !e.options.NoEncryption && !ownHost(c) {
			return nil, errors.New("the peer doesn't encrypt")
		}
		return again, nil
	}
	t := tls.Server(&switched{Conn: again}, tlsConfig(e.certificate, nil))
	if err := t.HandshakeContext(e.ctx); err != nil {
		return nil, err
	}
	return t, nil
}

// ownHost reports whether a connection comes from this host.
func ownHost(c net.Conn) bool {
	from, ok := c.RemoteAddr().(*net.TCPAddr)
	to, also := c.LocalAddr().(*net.TCPAddr)
	return ok && also && (from.IP.IsLoopback() || from.IP.Equal(to.IP))
}

// begun is a connection whose first byte was looked at.
type begun struct {
	net.Conn
	first []byte
}

func (b *begun) Read(p []byte) (int, error) {
	if len(b.first) > 0 {
		n := copy(p, b.first)
		b.first = b.first[n:]
		return n, nil
	}
	return b.Conn.Read(p)
}

// admitMemory is admit for shared memory.
func (e *Endpoint) admitMemory(c *net.UnixConn) {
	defer c.Close() // its socket is taken over
	pid, err := sameUser(c)
	if err != nil {
		return
	}
	o, owed, err := answer(c, e.address.Secret)
	if err != nil || o.kind != kindMemory {
		return
	}
	files := &filesReader{c: c}
	defer files.close()
	if err := checkProof(files, owed); err != nil {
		return
	}
	m, err := memoryOf(files.files)
	files.files = nil
	if err != nil {
		return
	}
	if _, err := c.Write([]byte{ready}); err != nil {
		_ = m.close()
		return
	}
	s, err := ownSocket(c)
	if err != nil {
		_ = m.close()
		return
	}
	if conn, err := m.conn(s, fmt.Sprintf("process %d", pid), false); err == nil {
		e.deliver(arrival{conn, o.hello})
	}
}
