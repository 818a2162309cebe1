package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	grpcpeer "google.golang.org/grpc/peer"
)

// A connection over gRPC is a call whose messages are pieces of bytes. A pump moves them between it and a pair of
// sockets, so that a Run finds a socket like all others.

const (
	grpcService = "gray.trainlib.Link"
	grpcConnect = "Connect"
	grpcPiece   = 64 << 10
	// partTime is how long a connection that's closed waits until all that it sent has left.
	partTime = time.Second
)

var grpcCall = grpc.StreamDesc{StreamName: grpcConnect, ServerStreams: true, ClientStreams: true}

// grpcServer is the listening side. It ends with the last that uses it: the endpoint, and its connections.
type grpcServer struct {
	server *grpc.Server
	mu     sync.Mutex
	users  int
}

func (e *Endpoint) serveGRPC(l net.Listener) *grpcServer {
	s := &grpcServer{users: 1}
	s.server = grpc.NewServer(grpc.Creds(listenerCredentials{endpoint: e}), grpc.ForceServerCodecV2(pieces{}), grpc.WaitForHandlers(true),
		grpc.MaxConcurrentStreams(maxStreams), grpc.ConnectionTimeout(handshakeTime), grpc.MaxRecvMsgSize(2*grpcPiece),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: handshakeTime}))
	d := grpcCall
	d.Handler = func(_ any, call grpc.ServerStream) error { return e.serveCall(s, call) }
	s.server.RegisterService(&grpc.ServiceDesc{ServiceName: grpcService, HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{d}}, nil)
	e.listeners = append(e.listeners, l)
	e.work.Go(func() { _ = s.server.Serve(noted{l, e}) }) // ends with the listener
	return s
}

func (s *grpcServer) use() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users++
}

func (s *grpcServer) release() {
	s.mu.Lock()
	s.users--
	last := s.users == 0
	s.mu.Unlock()
	if last {
		late := time.AfterFunc(partTime, s.server.Stop)
		defer late.Stop()
		s.server.GracefulStop()
	}
}

// noted is a listener whose connections are handshakes of the endpoint, until a call on them has proved itself.
type noted struct {
	net.Listener
	e *Endpoint
}

func (l noted) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || l.e.began(c) {
			return c, err
		}
	}
}

// serveCall shakes hands over a call, and pumps until it ends.
func (e *Endpoint) serveCall(s *grpcServer, call grpc.ServerStream) error {
	from := "gRPC"
	if p, ok := grpcpeer.FromContext(call.Context()); ok {
		from = p.Addr.String()
	}
	near, far, err := socketPair()
	if err != nil {
		return err
	}
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		_, _ = near.Close(), far.Close()
		return net.ErrClosed
	}
	s.use() // beside the endpoint, which isn't closed
	pumped := make(chan struct{})
	e.work.Go(func() {
		// It's what a dialer's handshake waits for; the connection outlives it.
		if !e.admitCall(near, from, func() {
			<-pumped
			s.release()
		}) {
			_ = near.Close()
			<-pumped
			s.release()
		}
	})
	e.mu.Unlock()
	defer close(pumped)
	return pump(call, far, func() error { return nil })
}

func (e *Endpoint) admitCall(c *net.UnixConn, from string, release func()) bool {
	_ = c.SetDeadline(time.Now().Add(handshakeTime))
	stop := during(e.ctx, c)
	o, owed, err := answer(c, e.address.Secret)
	if err == nil && (o.kind != kindStream || o.count != 1) {
		err = errors.New("not one stream")
	}
	if err == nil {
		err = checkProof(c, owed)
	}
	if err == nil {
		e.proved(from)
		_, err = c.Write([]byte{ready})
	}
	if stop(err) != nil {
		return false
	}
	conn, err := overCall(c, from, release)
	if err != nil {
		return false
	}
	e.deliver(arrival{conn, o.hello})
	return true
}

// overCall is the Conn over a pumped socket, which is closed.
func overCall(c *net.UnixConn, peer string, release func()) (*Conn, error) {
	s, err := streamOf(c)
	if err != nil {
		return nil, err
	}
	conn, err := overStreams(string(GRPC), peer, []stream{s})
	if err != nil {
		return nil, err
	}
	end := conn.close
	conn.close = func() error {
		err := end()
		release()
		return err
	}
	return conn, nil
}

func (e *Endpoint) dialGRPC(ctx context.Context, to Address, hello []byte) (*Conn, error) {
	fail := func(err error) error { return fmt.Errorf("dial %s by gRPC: %w", to.Network, err) }
	creds := &dialerCredentials{}
	if !e.options.NoEncryption && to.Host != e.address.Host {
		creds.config = tlsConfig(e.certificate, to.Fingerprint)
	}
	client, err := grpc.NewClient("passthrough:///"+to.Network, grpc.WithTransportCredentials(creds), grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(pieces{}), grpc.MaxCallRecvMsgSize(2*grpcPiece)))
	if err != nil {
		return nil, fail(err)
	}
	callCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stopCall := context.AfterFunc(ctx, cancel) // while it's dialed
	defer stopCall()
	near, far, err := socketPair()
	if err != nil {
		cancel()
		return nil, errors.Join(fail(err), client.Close())
	}
	call, err := client.NewStream(callCtx, &grpcCall, "/"+grpcService+"/"+grpcConnect)
	if err != nil {
		cancel()
		_, _ = near.Close(), far.Close()
		return nil, errors.Join(fail(errors.Join(context.Cause(ctx), creds.failed(), err)), client.Close())
	}
	var pumping sync.WaitGroup
	pumping.Go(func() { _ = pump(call, far, call.CloseSend) })
	release := func() {
		late := time.AfterFunc(partTime, cancel)
		defer late.Stop()
		pumping.Wait()
		cancel()
		_ = client.Close()
	}
	stop := during(ctx, near)
	err = stop(offerStream(near, &offer{kind: kindStream, count: 1, hello: hello}, to.Secret))
	if err == nil && !stopCall() {
		err = context.Cause(ctx)
	}
	var conn *Conn
	if err == nil {
		conn, err = overCall(near, to.Network, release)
	}
	if err != nil {
		cancel()
		_ = near.Close()
		release()
		return nil, fail(err)
	}
	return conn, nil
}

// messages is either side of a call.
type messages interface {
	SendMsg(m any) error
	RecvMsg(m any) error
}

// pump moves bytes between a call and a socket, until either ends; end says so to the other side of the call. What a
// server's call receives it goes on to wait for until the handler has returned.
func pump(call messages, c *net.UnixConn, end func() error) error {
	var back sync.WaitGroup
	back.Go(func() {
		defer c.Close() // what came before can still be read
		for {
			var m piece
			if call.RecvMsg(&m) != nil {
				return
			}
			for _, b := range m.data {
				if _, err := c.Write(b.ReadOnlyData()); err != nil {
					return
				}
			}
			m.data.Free()
		}
	})
	b := make([]byte, grpcPiece)
	for {
		n, err := c.Read(b)
		if err == nil {
			err = call.SendMsg(&piece{sent: b[:n]})
		}
		if err != nil {
			break
		}
	}
	_ = c.Close()
	err := end()
	if _, serves := call.(grpc.ServerStream); !serves {
		back.Wait()
	}
	return err
}

// socketPair is two connected sockets.
func socketPair() (near, far *net.UnixConn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a pair of sockets: %w", err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "link")
		c, e := net.FileConn(f)
		_ = f.Close()
		if e != nil {
			err = e
			continue
		}
		ends[i] = c.(*net.UnixConn)
	}
	if err != nil {
		for _, c := range ends {
			if c != nil {
				_ = c.Close()
			}
		}
		return nil, nil, fmt.Errorf("make a pair of sockets: %w", err)
	}
	return ends[0], ends[1], nil
}

// piece is a message: bytes to send, or received.
type piece struct {
	sent []byte
	data mem.BufferSlice
}

// pieces is the codec: a message is its bytes.
type pieces struct{}

var _ encoding.CodecV2 = pieces{}

func (pieces) Name() string { return "gray-link" }

func (pieces) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.Copy(v.(*piece).sent, mem.DefaultBufferPool())}, nil
}

func (pieces) Unmarshal(data mem.BufferSlice, v any) error {
	data.Ref()
	v.(*piece).data = data
	return nil
}

// listenerCredentials have a gRPC server's connections secured as others are.
type listenerCredentials struct {
	credentials.TransportCredentials // the rest is the dialer's
	endpoint                         *Endpoint
}

func (c listenerCredentials) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, err := c.endpoint.secure(raw, 'P') // of HTTP/2's preface
	return conn, nil, err
}

func (listenerCredentials) Info() credentials.ProtocolInfo { return credentials.ProtocolInfo{} }

// dialerCredentials are for one client: TLS with one certificate, or none.
type dialerCredentials struct {
	credentials.TransportCredentials // the rest is the listener's
	config                           *tls.Config

	mu  sync.Mutex
	err error
}

func (c *dialerCredentials) ClientHandshake(ctx context.Context, _ string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	tune(raw)
	if c.config == nil {
		return raw, nil, nil
	}
	t := tls.Client(raw, c.config)
	if err := t.HandshakeContext(ctx); err != nil {
		c.mu.Lock()
		c.err = err
		c.mu.Unlock()
		return nil, nil, err
	}
	return t, nil, nil
}

func (c *dialerCredentials) Info() credentials.ProtocolInfo          { return credentials.ProtocolInfo{} }
func (c *dialerCredentials) Clone() credentials.TransportCredentials { return c }

// failed is why the handshake did, which gRPC makes a text.
func (c *dialerCredentials) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
