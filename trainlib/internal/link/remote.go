package link

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// goneAfter is when TCP gives up a host that doesn't answer, if nothing is on the way to it. No TCP_USER_TIMEOUT: it also
// ends connections whose peer lives, and only doesn't receive for a while.
const goneAfter = 30 * time.Second

// ownSocket takes a connection's socket out of Go's hands.
func ownSocket(c syscall.Conn) (socket, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	fd := -1
	if e := raw.Control(func(s uintptr) {
		fd, err = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0)
	}); e != nil {
		return 0, e
	}
	return socket(fd), err
}

// streamOf is the stream of a connection whose handshake is done. The connection is closed.
func streamOf(c net.Conn) (stream, error) {
	under := c
	t, secure := c.(*tls.Conn)
	if secure {
		under = t.NetConn().(*switched).Conn
	}
	if b, ok := under.(*begun); ok {
		under = b.Conn
	}
	defer under.Close()
	s, err := ownSocket(under.(syscall.Conn))
	if err != nil {
		return nil, fmt.Errorf("take over a connection: %w", err)
	}
	if secure {
		raw := t.NetConn().(*switched)
		raw.socket, raw.live = s, true
		return &secured{t, raw}, nil
	}
	return s, nil
}

// tune makes TCP send at once, and give up after a while.
func tune(conn net.Conn) {
	c, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	_ = c.SetNoDelay(true)
	_ = c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: goneAfter / 2, Interval: goneAfter / 6, Count: 3})
}

// newConn is a Conn whose halves have their bells, but no wires yet.
func newConn(transport, peer string, out, in bell) *Conn {
	c := &Conn{transport: transport, peer: peer, broken: make(chan struct{})}
	c.out = half{conn: c, bell: out}
	c.in = half{conn: c, bell: in}
	return c
}

// overStreams is a Conn of streams, which it owns, also when it fails.
func overStreams(transport, peer string, streams []stream) (*Conn, error) {
	out, err := newEventBell()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a connection: %w", err), closeAll(streams))
	}
	in, err := newEventBell()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a connection: %w", err), out.close(), closeAll(streams))
	}
	c := newConn(transport, peer, out, in)
	c.out.wire = &socketWriter{newStripes(c, streams)}
	c.in.wire = &socketReader{newStripes(c, streams)}
	fds := make([]int, len(streams))
	for i, s := range streams {
		fds[i] = s.fd()
	}
	w, err := watch(fds, func() { c.fail(ErrPeerGone) })
	if err != nil {
		return nil, errors.Join(err, out.close(), in.close(), closeAll(streams))
	}
	c.close = func() error {
		w.stop()
		return errors.Join(closeAll(streams), out.close(), in.close())
	}
	return c, nil
}

func closeAll(streams []stream) error {
	var errs []error
	for _, s := range streams {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}
