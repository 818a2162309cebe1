package head

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"github.com/gray-runtime/gray/internal/pki"
)

// protocolRaft is Raft's name in TLS (ALPN) on the control port.
const protocolRaft = "gray-raft"

// streams carries Raft between heads: TLS on the control port, certificates of
// heads only at both ends. Until open is called it dials nobody and accepts nothing.
type streams struct {
	address net.Addr
	broken  func() // called when a connection of another head ends

	opened   chan struct{}
	closed   chan struct{}
	once     sync.Once
	identity *pki.Identity
	listener net.Listener

	mu    sync.Mutex
	conns map[net.Conn]struct{} // accepted; nil once closed
}

var _ raft.StreamLayer = (*streams)(nil)

func newStreams(address net.Addr, broken func()) *streams {
	return &streams{address: address, broken: broken, opened: make(chan struct{}), closed: make(chan struct{}), conns: map[net.Conn]struct{}{}}
}

// open is called once, before close.
func (s *streams) open(identity *pki.Identity, listener net.Listener) {
	s.identity, s.listener = identity, listener
	close(s.opened)
}

func (s *streams) Accept() (net.Conn, error) {
	select {
	case <-s.opened:
	case <-s.closed:
		return nil, net.ErrClosed
	}
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			<-s.closed // Raft would try again, and again
			return nil, err
		}
		if t, ok := conn.(*tls.Conn); ok && isHead(t.ConnectionState()) && s.keep(conn) {
			return &headConn{Conn: conn, ended: sync.OnceFunc(func() { s.forget(conn) })}, nil
		}
		conn.Close()
	}
}

// keep has close end a connection: Raft doesn't end those that it has accepted.
func (s *streams) keep(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns != nil {
		s.conns[conn] = struct{}{}
	}
	return s.conns != nil
}

func (s *streams) forget(conn net.Conn) {
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
	s.broken()
}

func isHead(s tls.ConnectionState) bool {
	role, ok := pki.StateRole(s)
	return ok && role == pki.RoleHead
}

func (s *streams) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	select {
	case <-s.opened:
	default:
		return nil, ErrNoLeader
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	d := tls.Dialer{NetDialer: &net.Dialer{}, Config: s.identity.HeadTLS(protocolRaft)}
	conn, err := d.DialContext(ctx, "tcp", string(address))
	if err != nil {
		return nil, err
	}
	return conn, nil
}

func (s *streams) Close() error {
	s.once.Do(func() {
		close(s.closed)
		s.mu.Lock()
		defer s.mu.Unlock()
		for conn := range s.conns {
			conn.Close()
		}
		s.conns = nil
	})
	return nil
}

func (s *streams) Addr() net.Addr { return s.address }

// headConn tells when it ends.
type headConn struct {
	net.Conn
	ended func()
}

func (c *headConn) Close() error {
	err := c.Conn.Close()
	c.ended()
	return err
}

// transport is Raft's, but that a log entry which can't be delivered is an error only
// once the other head accepts connections again: Raft would let up to ten seconds
// pass before it tries again. And that a kept connection to a process which has
// ended since costs nobody a vote: Raft would wait for the next election.
type transport struct {
	*raft.NetworkTransport
	closed <-chan struct{}
	wanted func(raft.ServerID, raft.ServerAddress) bool // whether this head leads that one, and it's there
}

const (
	knockFirst = 20 * time.Millisecond
	knockMost  = 250 * time.Millisecond
	knockLimit = time.Second

	// answerLimit is how old an answer of another head may be. Raft takes any for a
	// word that this head leads still, also one that was given before it was asked for;
	// nobody can have been elected (heartbeat) since one that is so new.
	answerLimit = heartbeat / 2
)

var errOldAnswer = errors.New("the answer took too long to mean anything")

func (t *transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	sent := time.Now()
	err := t.NetworkTransport.AppendEntries(id, target, args, resp)
	if err == nil && time.Since(sent) > answerLimit {
		return errOldAnswer
	}
	for wait := knockFirst; err != nil && t.wanted(id, target); wait = min(2*wait, knockMost) {
		conn, knock := net.DialTimeout("tcp", string(target), knockLimit)
		if knock == nil {
			conn.Close()
			break
		}
		again := time.NewTimer(wait)
		select {
		case <-again.C:
		case <-t.closed:
			again.Stop()
			return err
		}
	}
	return err
}

// AppendEntriesPipeline isn't for us: answers in a pipeline have no age that Raft
// asks for.
func (t *transport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

func (t *transport) RequestVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return again(func() error { return t.NetworkTransport.RequestVote(id, target, args, resp) })
}

func (t *transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return again(func() error { return t.NetworkTransport.RequestPreVote(id, target, args, resp) })
}

func (t *transport) TimeoutNow(id raft.ServerID, target raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return again(func() error { return t.NetworkTransport.TimeoutNow(id, target, args, resp) })
}

// again makes a call, which is harmless to repeat, until no kept connection is left
// that may have been broken.
func again(call func() error) error {
	err := call()
	for range streamsKept {
		if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			break
		}
		err = call()
	}
	return err
}
