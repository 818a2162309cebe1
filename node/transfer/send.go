package transfer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/objectstore"
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
	// gripTime is how long an object stays pinned after a chunk of it was sent. The
	// next is asked for soon, and shouldn't find the object on the disk again.
	gripTime = 500 * time.Millisecond
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
	if p.Chunk == 0 {
		return s.reply(conn, &proto.StreamReply{Size: size})
	}
	count := chunksOf(size, p.Chunk)
	if int64(p.Index) >= count || count > maxChunks {
		return refuse(conn, proto.Error_INVALID, fmt.Sprintf("object %s of %d bytes has no chunk %d of %d bytes", id, size, p.Index, p.Chunk))
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
	why := fmt.Errorf("node %s does not have object %s", s.cfg.Node, id)
	for {
		data, err := g.take(id)
		if err == nil {
			return data, nil, nil
		}
		if !errors.Is(err, objectstore.ErrNotFound) {
			why = err
		}
		if full := (*objectstore.FullError)(nil); errors.As(err, &full) {
			return nil, nil, &proto.Error{Kind: proto.Error_STORE_FULL, Message: err.Error()}
		}
		var part *part
		if s.cfg.Puller != nil {
			part = s.cfg.Puller.partOf(id)
		}
		if part == nil {
			break
		}
		if p.Chunk == 0 || int64(p.Index) >= int64(part.count) {
			return nil, part, nil // to tell its size, or that there's no such chunk
		}
		if p.Chunk != part.chunk {
			return nil, nil, &proto.Error{Kind: proto.Error_UNAVAILABLE, Message: fmt.Sprintf("node %s has object %s in other chunks", s.cfg.Node, id)}
		}
		switch err := part.wait(s.ctx, int(p.Index), sealWait); {
		case err == nil:
			return nil, part, nil
		case !errors.Is(err, errClosed):
			return nil, nil, &proto.Error{Kind: proto.Error_UNAVAILABLE, Message: fmt.Sprintf("node %s: object %s: %v", s.cfg.Node, id, err)}
		}
	}
	ctx, cancel := context.WithTimeout(s.ctx, sealWait)
	defer cancel()
	if s.cfg.Store.Wait(ctx, id) == nil {
		if data, err := g.take(id); err == nil {
			return data, nil, nil
		}
	}
	return nil, nil, &proto.Error{Kind: proto.Error_NOT_FOUND, Message: why.Error()}
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
		if _, err := conn.Write(b); err != nil {
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

// A grip is a connection's pin of the object that was last asked for on it.
type grip struct {
	store Store

	mu   sync.Mutex
	held bool
	id   ids.ObjectID
	data []byte
	uses int // calls of take
}

// take pins an object until loosen or release.
func (g *grip) take(id ids.ObjectID) ([]byte, error) {
	g.mu.Lock()
	g.uses++
	data, held := g.data, g.held && g.id == id
	g.mu.Unlock()
	if held {
		return data, nil
	}
	g.release()
	data, err := g.store.Acquire(id)
	if err == nil {
		g.mu.Lock()
		g.held, g.id, g.data = true, id, data
		g.mu.Unlock()
	}
	return data, err
}

// loosen ends the pin unless the object is taken again before d is over.
func (g *grip) loosen(d time.Duration) {
	g.mu.Lock()
	held, uses := g.held, g.uses
	g.mu.Unlock()
	switch {
	case d == 0:
		g.release()
	case held:
		time.AfterFunc(d, func() { g.end(func() bool { return g.uses == uses }) })
	}
}

// release ends the pin.
func (g *grip) release() { g.end(func() bool { return true }) }

// end ends the pin if due, which is called with mu held.
func (g *grip) end(due func() bool) {
	g.mu.Lock()
	held, id := g.held && due(), g.id
	if held {
		g.held, g.data = false, nil
	}
	g.mu.Unlock()
	if held {
		g.store.Release(id)
	}
}
