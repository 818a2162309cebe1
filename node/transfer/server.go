package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// ServerConfig says what a Server serves.
type ServerConfig struct {
	Node  ids.NodeID // this node
	Store Store
	// Puller's unfinished objects are served as well, as far as they have come. nil: none.
	Puller *Puller
	// Socket returns the path of the unix socket on which a local worker listens.
	// An error refuses the tunnel, with its text.
	Socket func(process uint32) (path string, err error)
	// HeaderTimeout bounds TLS handshake, header and reply. 0: 5 s.
	HeaderTimeout time.Duration
	// StallTimeout ends a pull whose reader takes no bytes. It's the pullers' too:
	// what takes longer here they are told in time. 0: 30 s.
	StallTimeout time.Duration
	// IdleTimeout ends a connection on which nothing is asked for. 0: 60 s.
	IdleTimeout time.Duration
}

// A Server answers other nodes' streams.
type Server struct {
	cfg    ServerConfig
	swarms swarms
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	moved  atomic.Uint64

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]ids.NodeID // and who has opened a tunnel on it
	dead   map[ids.NodeID]bool
	reads  map[ids.ObjectID]*reading
	wg     sync.WaitGroup // calls of Serve, and readings
}

// NewServer returns a server that has no streams yet.
func NewServer(cfg ServerConfig) *Server {
	cfg.HeaderTimeout = or(cfg.HeaderTimeout, defaultHeaderTimeout)
	cfg.StallTimeout = or(cfg.StallTimeout, defaultStallTimeout)
	cfg.IdleTimeout = or(cfg.IdleTimeout, serverIdle)
	s := &Server{
		cfg: cfg, swarms: swarms{of: map[ids.ObjectID]*swarm{}}, conns: map[net.Conn]ids.NodeID{},
		dead: map[ids.NodeID]bool{}, reads: map[ids.ObjectID]*reading{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// patience is how long one thing may be waited for before a request is answered.
func (s *Server) patience() time.Duration { return s.cfg.StallTimeout / 4 }

// Moved is how many bytes of objects have left, with the few before each chunk.
func (s *Server) Moved() uint64 { return s.moved.Load() }

// Close ends all streams, and returns when they have ended.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.cancel()
	for c := range s.conns {
		_ = c.SetDeadline(time.Unix(1, 0))
	}
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}

// Bury ends the tunnels that a dead node has opened, and refuses more: what it
// sent before may arrive only now, when others do its work. Nobody is pointed at it
// any more.
func (s *Server) Bury(node ids.NodeID) {
	s.swarms.forget(node)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead[node] = true
	for conn, from := range s.conns {
		if from == node {
			hangUp(conn)
		}
	}
}

// belongs notes which node has opened a tunnel, unless that is dead.
func (s *Server) belongs(conn net.Conn, from ids.NodeID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[conn] = from
	return !s.dead[from]
}

// Serve answers what is asked for on one accepted connection, and closes it. It
// returns when the other side has ended it: nil if all went as that wanted, also
// when it was told that there's no such object or process.
func (s *Server) Serve(conn net.Conn) error {
	defer conn.Close()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.wg.Add(1)
	s.conns[conn] = 0
	s.mu.Unlock()
	defer s.wg.Done()
	defer s.forget(conn)

	held := &grip{server: s}
	defer held.release()
	patience := s.cfg.HeaderTimeout
	for first := true; ; first = false {
		if err := deadline(s.ctx, conn, patience); err != nil {
			return s.failed(conn, "header", err)
		}
		var h proto.StreamHeader
		if err := readMessage(conn, &h, maxHeader); err != nil {
			if !first && (errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded)) {
				err = nil // nothing more is wanted
			}
			return s.failed(conn, "header", err)
		}
		var err error
		switch b := h.GetBody().(type) {
		case *proto.StreamHeader_Pull:
			err = s.pull(conn, ids.NodeID(h.GetFrom()), b.Pull, held)
		case *proto.StreamHeader_Tunnel:
			held.release()
			return s.failed(conn, "tunnel", s.tunnel(conn, ids.NodeID(h.GetFrom()), b.Tunnel))
		default:
			return s.failed(conn, "header", refuse(conn, proto.Error_INVALID, "stream header asks for nothing that is known"))
		}
		if err != nil {
			return s.failed(conn, "pull", err)
		}
		patience = s.cfg.IdleTimeout
	}
}

// failed says what went wrong with a stream, and ends it at once.
func (s *Server) failed(conn net.Conn, what string, err error) error {
	if err == nil {
		return nil
	}
	hangUp(conn)
	if s.ctx.Err() != nil {
		return ErrClosed
	}
	return fmt.Errorf("serve %s: %w", what, cause(s.ctx, err))
}

func (s *Server) forget(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

func refuse(conn net.Conn, kind proto.Error_Kind, message string) error {
	return writeMessage(conn, &proto.StreamReply{Error: &proto.Error{Kind: kind, Message: message}})
}

// tunnel joins the connection with a worker's socket.
func (s *Server) tunnel(conn net.Conn, from ids.NodeID, process uint32) error {
	if !s.belongs(conn, from) {
		return refuse(conn, proto.Error_UNAVAILABLE, fmt.Sprintf("node %s was declared dead", from))
	}
	path, err := s.cfg.Socket(process)
	if err != nil {
		return refuse(conn, proto.Error_NOT_FOUND, err.Error())
	}
	dialer := net.Dialer{Timeout: s.cfg.HeaderTimeout}
	worker, err := dialer.DialContext(s.ctx, "unix", path)
	if err != nil {
		return refuse(conn, proto.Error_UNAVAILABLE, fmt.Sprintf("node %s: worker %d: %v", s.cfg.Node, process, err))
	}
	err = writeMessage(conn, &proto.StreamReply{})
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		return errors.Join(err, worker.Close())
	}
	defer context.AfterFunc(s.ctx, func() { hangUp(conn); hangUp(worker) })()
	return Pipe(conn, worker)
}
