package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Dial connects to another endpoint, and has it know hello, of 64 KiB at most.
func (e *Endpoint) Dial(ctx context.Context, to Address, hello []byte) (*Conn, error) {
	if len(hello) > maxHello {
		return nil, fmt.Errorf("dial: a hello of %d bytes, more than %d", len(hello), maxHello)
	}
	switch t := e.options.Transport; {
	case to.Local != "" && to.Host == e.address.Host && (t == Auto || t == SharedMemory):
		return e.dialMemory(ctx, to, hello)
	case to.Network == "":
		return nil, fmt.Errorf("dial process %d of %s: it can't be reached from %s", to.PID, to.Host, e.address.Host)
	case to.GRPC:
		return e.dialGRPC(ctx, to, hello)
	}
	return e.dialTCP(ctx, to, hello)
}

// during has a connection's reads and writes end with ctx, until stop. Its error is then the context's.
func during(ctx context.Context, c net.Conn) (stop func(err error) error) {
	end := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	return func(err error) error {
		if !end() && err != nil {
			return context.Cause(ctx)
		}
		return err
	}
}

func (e *Endpoint) dialMemory(ctx context.Context, to Address, hello []byte) (*Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", to.Local)
	if err != nil {
		return nil, fmt.Errorf("dial process %d: %w", to.PID, err)
	}
	defer c.Close() // its socket is taken over
	m, err := newMemory()
	if err != nil {
		return nil, err
	}
	stop := during(ctx, c)
	u := c.(*net.UnixConn)
	if err := stop(offerMemory(u, to, hello, m)); err != nil {
		return nil, errors.Join(fmt.Errorf("dial process %d: %w", to.PID, err), m.close())
	}
	s, err := ownSocket(u)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("dial process %d: %w", to.PID, err), m.close())
	}
	return m.conn(s, fmt.Sprintf("process %d", to.PID), true)
}

func offerMemory(c *net.UnixConn, to Address, hello []byte, m *memory) error {
	if _, err := sameUser(c); err != nil {
		return err
	}
	proved, err := offerTo(c, &offer{kind: kindMemory, count: 1, hello: hello}, to.Secret)
	if err != nil {
		return err
	}
	files, release, err := m.files()
	if err != nil {
		return err
	}
	defer release()
	if err := sendFiles(c, proved, files); err != nil {
		return err
	}
	return awaitReady(c)
}

func (e *Endpoint) dialTCP(ctx context.Context, to Address, hello []byte) (*Conn, error) {
	count := e.options.Streams
	streams := make([]stream, count)
	errs := make([]error, count)
	var transport string
	var id [16]byte
	copy(id[:], randomBytes(16))
	var all sync.WaitGroup
	for i := range count {
		all.Go(func() {
			c, err := e.dialStream(ctx, to, &offer{kind: kindStream, index: byte(i), count: byte(count), connection: id, hello: hello})
			if err != nil {
				errs[i] = err
				return
			}
			if i == 0 {
				transport = transportOf(c)
			}
			streams[i], errs[i] = streamOf(c)
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			for _, s := range streams {
				if s != nil {
					_ = s.close()
				}
			}
			return nil, fmt.Errorf("dial %s: %w", to.Network, err)
		}
	}
	return overStreams(transport, to.Network, streams)
}

// dialStream connects one stream.
func (e *Endpoint) dialStream(ctx context.Context, to Address, o *offer) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", to.Network)
	if err != nil {
		return nil, err
	}
	tune(c)
	stop := during(ctx, c)
	use := c
	if !e.options.NoEncryption && to.Host != e.address.Host {
		t := tls.Client(&switched{Conn: c}, tlsConfig(e.certificate, to.Fingerprint))
		if err = t.HandshakeContext(ctx); err == nil {
			use = t
		}
	}
	if err == nil {
		err = offerStream(use, o, to.Secret)
	}
	if err = stop(err); err != nil {
		_ = c.Close()
		return nil, err
	}
	return use, nil
}

// offerStream is the dialer's handshake.
func offerStream(c net.Conn, o *offer, secret []byte) error {
	proved, err := offerTo(c, o, secret)
	if err != nil {
		return err
	}
	if _, err := c.Write(proved); err != nil {
		return fmt.Errorf("send a proof: %w", err)
	}
	return awaitReady(c)
}
