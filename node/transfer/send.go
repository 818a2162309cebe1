package transfer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/objectstore"
	"github.com/gray-runtime/gray/objectstore/spill"
	"github.com/gray-runtime/gray/proto"
)

const (
	serverIdle = 60 * time.Second
	// sealWait is how long an object that is being made may take to be sealed: its
	// maker's word for it may be under way yet when a reference has come far. One
	// that is being pulled may take as long for its next chunk.
	sealWait = 5 * time.Second
	// swarmWait is how long a chunk is kept back because others are to pass it on.
	swarmWait = time.Second
)

// pull answers a request for a chunk. An error ends the connection.
func (s *Server) pull(conn net.Conn, from ids.NodeID, p *proto.Pull, g *grip) error {
	id, err := ids.ObjectIDFrom(p.GetObject())
	if err != nil || len(p.GetObject()) != ids.Size || p.GetChunk() < 0 {
		return refuse(conn, proto.Error_INVALID, "no such object or chunk can be")
	}
	data, part, refusal := s.find(id, p, g)
	if refusal != nil {
		return s.reply(conn, &proto.StreamReply{Error: refusal})
	}
	defer g.loosen(gripTime)
	if part != nil {
		data = part.data // its length only: read has its bytes
	}
	size := int64(len(data))
	if p.Chunk == 0 || int64(p.Index) >= chunksOf(size, p.Chunk) { // the latter was told another size
		return s.reply(conn, &proto.StreamReply{Size: size})
	}
	count := chunksOf(size, p.Chunk)
	if count > maxChunks {
		return refuse(conn, proto.Error_INVALID, fmt.Sprintf("object %s of %d bytes has too many chunks of %d bytes", id, size, p.Chunk))
	}
	if count == 1 {
		defer g.loosen(0)
	}
	var w *swarm
	if count > 1 && from != 0 && part == nil {
		w = s.swarms.get(id, p.Chunk, int(count), time.Now())
	}
	if w != nil {
		a, err := s.advise(w, from, p)
		if err != nil {
			return err
		}
		if a.node != 0 {
			return s.reply(conn, &proto.StreamReply{Size: size, Node: uint32(a.node), Index: uint32(a.index)})
		}
		if a.crowd {
			promptly(conn)
		}
	}
	off := int64(p.Index) * p.Chunk
	err = s.send(conn, id, data, part, off, min(off+p.Chunk, size), g)
	if w != nil {
		w.end(from, int(p.Index), err == nil)
	}
	if err != nil {
		return fmt.Errorf("object %s: %w", id, err)
	}
	return nil
}

// find returns an object's bytes, pinned; or that it's being pulled and has the
// wanted chunk; or why there's neither.
func (s *Server) find(id ids.ObjectID, p *proto.Pull, g *grip) ([]byte, *part, *proto.Error) {
	refuse := func(kind proto.Error_Kind, why error) ([]byte, *part, *proto.Error) {
		return nil, nil, &proto.Error{Kind: kind, Message: fmt.Sprintf("node %s: object %s: %v", s.cfg.Node, id, why)}
	}
	for waited := false; ; {
		data, err := g.take(id)
		var full *objectstore.FullError
		var unread *spill.ReadError
		switch {
		case err == nil:
			return data, nil, nil
		case errors.As(err, &full):
			return refuse(proto.Error_STORE_FULL, err)
		case !errors.Is(err, objectstore.ErrNotFound) && !errors.As(err, &unread):
			return refuse(proto.Error_UNAVAILABLE, err)
		}
		var part *part
		if s.cfg.Puller != nil {
			part = s.cfg.Puller.partOf(id)
		}
		if part != nil {
			if p.Chunk == 0 || int64(p.Index) >= int64(part.count) {
				if !part.begun() {
					return refuse(proto.Error_NOT_FOUND, errNotYet) // its size is hearsay
				}
				return nil, part, nil // to tell its size, or that there's no such chunk
			}
			if p.Chunk != part.chunk {
				return refuse(proto.Error_NOT_FOUND, errors.New("is coming, in other chunks"))
			}
			switch err := part.wait(s.ctx, int(p.Index), min(sealWait, s.patience())); {
			case err == nil:
				return nil, part, nil
			case !errors.Is(err, errClosed):
				return refuse(proto.Error_NOT_FOUND, err)
			}
			continue
		}
		if waited || s.awaitMade(id) != nil {
			return refuse(proto.Error_NOT_FOUND, err)
		}
		waited = true
	}
}

// awaitMade waits for a while for an object that is being made.
func (s *Server) awaitMade(id ids.ObjectID) error {
	ctx, cancel := context.WithTimeout(s.ctx, min(sealWait, s.patience()))
	defer cancel()
	return s.cfg.Store.Wait(ctx, id)
}

// advise decides who gives a chunk, with patience for a while.
func (s *Server) advise(w *swarm, from ids.NodeID, p *proto.Pull) (advice, error) {
	w.learn(from, p, time.Now())
	timer := time.NewTimer(swarmWait)
	defer timer.Stop()
	patience := true
	for {
		a := w.advise(s.cfg.Node, from, p, time.Now(), patience)
		if a.wait == nil {
			return a, nil
		}
		select {
		case <-a.wait:
		case <-timer.C:
			patience = false
		case <-s.ctx.Done():
			return advice{}, ErrClosed
		}
	}
}

// reply sends a message and nothing else.
func (s *Server) reply(conn net.Conn, r *proto.StreamReply) error {
	if err := deadline(s.ctx, conn, s.cfg.HeaderTimeout); err != nil {
		return err
	}
	return writeMessage(conn, r)
}

// send sends the object's size, and its bytes from off to end. The first of them go
// with the size, so that a small object is one write.
func (s *Server) send(conn net.Conn, id ids.ObjectID, data []byte, part *part, off, end int64, g *grip) error {
	buf := buffers.Get().(*[64 << 10]byte)
	defer buffers.Put(buf)
	b, err := appendMessage(buf[:0], &proto.StreamReply{Size: int64(len(data))})
	if err != nil {
		return err
	}
	for first := true; first || off < end; first = false {
		if first || part != nil {
			n := min(int64(len(buf)-len(b)), end-off)
			b = buf[:len(b)+int(n)]
			into := b[len(b)-int(n):]
			if part != nil && !part.read(into, off) {
				// It's sealed or gone: the same bytes, or none.
				if data, err = g.take(id); err != nil || int64(len(data)) < end {
					return errors.New("is gone")
				}
				part = nil
			}
			if part == nil {
				copy(into, data[off:])
			}
			off += n
		} else {
			b = data[off:min(off+piece, end)]
			off += int64(len(b))
		}
		if err := deadline(s.ctx, conn, s.cfg.StallTimeout); err != nil {
			return err
		}
		n, err := conn.Write(b)
		s.moved.Add(uint64(n))
		if err != nil {
			return err
		}
		b = b[:0]
	}
	return nil
}

// promptly has writes to a connection return when nearly all was sent, not when
// it lies in the kernel's buffer: others are pointed at who has received a chunk.
func promptly(conn net.Conn) {
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(syscall.Conn); ok {
		if raw, err := t.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) {
				_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, 128<<10)
			})
		}
	}
}
