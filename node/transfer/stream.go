package transfer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	pb "github.com/gray-runtime/gray/proto"
)

const (
	// maxHeader bounds a StreamHeader: sets of chunks (maxChunks bits) and of nodes.
	maxHeader = 4 << 10
	// maxReply bounds a StreamReply: an error with its text.
	maxReply = 64 << 10
	// piece is how much is read or written under one deadline. As it's written it
	// counts as moved: on a slow link that must not take long.
	piece = 256 << 10

	defaultHeaderTimeout = 5 * time.Second
	defaultStallTimeout  = 30 * time.Second
)

// A Dialer connects to another node for a stream. A TLS handshake may still be
// to come: the first write does it. The error of a node that is dead for good wraps
// refs.ErrNoNode.
type Dialer func(ctx context.Context, node ids.NodeID) (net.Conn, error)

// writeMessage sends m with its length before it, in one write.
func writeMessage(c net.Conn, m proto.Message) error {
	b, err := appendMessage(make([]byte, 0, 64), m)
	if err != nil {
		return err
	}
	_, err = c.Write(b)
	return err
}

// appendMessage appends m with its length before it to b, which is empty.
func appendMessage(b []byte, m proto.Message) ([]byte, error) {
	b, err := proto.MarshalOptions{}.MarshalAppend(append(b, 0, 0, 0, 0), m)
	if err != nil {
		return nil, err
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)-4))
	return b, nil
}

// readMessage reads one message of at most limit bytes, and not a byte more.
func readMessage(r io.Reader, m proto.Message, limit uint32) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	length := binary.LittleEndian.Uint32(head[:])
	if length > limit {
		return fmt.Errorf("%w: %d bytes announced, at most %d allowed", errMessageTooLong, length, limit)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return noEOF(err)
	}
	if err := proto.Unmarshal(body, m); err != nil {
		return fmt.Errorf("message of %d bytes: %w", length, err)
	}
	return nil
}

// noEOF makes an end in the middle of something an error.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// open connects to a node and exchanges header and reply. Until release is
// called, the end of ctx interrupts reads and writes of the connection.
func open(ctx context.Context, dial Dialer, node ids.NodeID, h *pb.StreamHeader) (_ net.Conn, _ *pb.StreamReply, release func() bool, err error) {
	conn, err := dial(ctx, node)
	if err != nil {
		return nil, nil, nil, err
	}
	release = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	reply, err := exchange(ctx, conn, h)
	if err != nil {
		release()
		hangUp(conn)
		return nil, nil, nil, err
	}
	return conn, reply, release, nil
}

func exchange(ctx context.Context, conn net.Conn, h *pb.StreamHeader) (*pb.StreamReply, error) {
	if err := deadline(ctx, conn, defaultStallTimeout); err != nil {
		return nil, err
	}
	if err := writeMessage(conn, h); err != nil {
		return nil, cause(ctx, err)
	}
	reply, err := readReply(conn)
	if err != nil {
		return nil, cause(ctx, noEOF(err))
	}
	return reply, nil
}

// readReply reads a reply; one that refuses is a *RemoteError.
func readReply(conn net.Conn) (*pb.StreamReply, error) {
	var reply pb.StreamReply
	if err := readMessage(conn, &reply, maxReply); err != nil {
		return nil, err
	}
	if e := reply.GetError(); e != nil {
		return nil, &RemoteError{Kind: e.GetKind(), Message: e.GetMessage()}
	}
	return &reply, nil
}

// deadline gives the connection d for what comes next, unless ctx has ended.
func deadline(ctx context.Context, conn net.Conn, d time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	// After, since ctx's end sets a deadline too, which this may have replaced.
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// cause says why a read or write failed: ctx's end, a stall, or err itself.
func cause(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errStalled
	}
	return err
}

// or is d, or def when d is zero.
func or[T int | int64 | time.Duration](d, def T) T {
	if d == 0 {
		return def
	}
	return d
}

// hangUp closes a connection without a farewell, for which TLS might wait for a
// peer that takes nothing any more.
func hangUp(conn net.Conn) {
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		_ = t.NetConn().Close()
	}
	_ = conn.Close()
}
