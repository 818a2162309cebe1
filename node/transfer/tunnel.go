package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// OpenTunnel connects from a node to the socket of a worker on another. The connection
// is as if it were that socket; ctx bounds the opening only.
func OpenTunnel(ctx context.Context, dial Dialer, from, node ids.NodeID, process uint32) (net.Conn, error) {
	header := &proto.StreamHeader{Body: &proto.StreamHeader_Tunnel{Tunnel: process}, From: uint32(from)}
	conn, _, release, err := open(ctx, dial, node, header)
	if err != nil {
		return nil, fmt.Errorf("tunnel to %s: %w", ids.ProcessID{Node: node, Number: process}, err)
	}
	if !release() { // ctx has ended, and interrupts the connection
		return nil, errors.Join(context.Cause(ctx), conn.Close())
	}
	return conn, conn.SetDeadline(time.Time{})
}

// buffers are for the directions of tunnels that the kernel can't copy alone.
var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// Pipe passes bytes between a and b in both directions, until each side has
// ended its own or one of them fails. The end of one direction is passed on as
// such (CloseWrite) and leaves the other open. Pipe closes both connections. It
// returns the first failure; a peer that closed without reading is none.
func Pipe(a, b net.Conn) error {
	defer a.Close()
	defer b.Close()
	there := make(chan error, 1)
	go func() { there <- forward(a, b) }()
	back := forward(b, a)
	return errors.Join(back, <-there)
}

// forward copies src to dst until src ends, and then ends dst's direction. On a
// failure it closes both, so that the other direction ends as well.
func forward(dst, src net.Conn) error {
	buf := buffers.Get().(*[64 << 10]byte)
	_, err := io.CopyBuffer(dst, src, buf[:])
	buffers.Put(buf)
	if err == nil {
		half, ok := dst.(interface{ CloseWrite() error })
		if !ok {
			return dst.Close()
		}
		err = half.CloseWrite()
	}
	if err != nil {
		hangUp(dst)
		hangUp(src)
	}
	if hungUp(err) {
		return nil
	}
	return err
}

// hungUp reports whether err only says that a side went away, or that the other
// direction failed first.
func hungUp(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ENOTCONN)
}
