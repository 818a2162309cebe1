package head

import (
	"sync"
	"time"

	"google.golang.org/grpc"
	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// session is the line to one node, while it holds.
type session struct {
	node   uint32
	signal chan struct{} // something is to be sent
	done   chan struct{}

	mu       sync.Mutex
	orders   []*proto.NodeOrder
	view     *proto.NodeOrder // the newest, if it wasn't sent
	renewed  uint64           // the newest report to be answered, if it wasn't
	reported uint64           // the newest report that came; leader.mu
	answered uint64           // the newest that was answered; leader.mu
	err      error            // how it ended
	ended    bool
}

func newSession(node uint32) *session {
	return &session{node: node, signal: make(chan struct{}, 1), done: make(chan struct{})}
}

// push queues an order.
func (s *session) push(o *proto.NodeOrder) {
	s.mu.Lock()
	s.orders = append(s.orders, o)
	s.mu.Unlock()
	s.poke()
}

// show has a view sent, instead of an older one that is still queued.
func (s *session) show(view *proto.NodeOrder) {
	s.mu.Lock()
	s.view = view
	s.mu.Unlock()
	s.poke()
}

// renew has a report answered: the node's lease goes on.
func (s *session) renew(report uint64) {
	s.mu.Lock()
	s.renewed = report
	s.mu.Unlock()
	s.poke()
}

func (s *session) poke() { wake(s.signal) }

// take returns what is to be sent: the view first, so that a node knows those
// that an order speaks of.
func (s *session) take() []*proto.NodeOrder {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.orders
	if s.view != nil {
		out = append([]*proto.NodeOrder{s.view}, out...)
	}
	if s.renewed > 0 {
		out = append(out, &proto.NodeOrder{Body: &proto.NodeOrder_LeaseRenewed{LeaseRenewed: &proto.LeaseRenewed{Report: s.renewed}}})
	}
	s.orders, s.view, s.renewed = nil, nil, 0
	return out
}

// end ends the session with an error for the node.
func (s *session) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended, s.err = true, err
		close(s.done)
	}
}

func (s *session) cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Session is a node's line to the leader.
func (c *controlService) Session(stream grpc.BidiStreamingServer[proto.NodeReport, proto.NodeOrder]) error {
	if err := c.h.leading(stream.Context()); err != nil {
		return c.h.elsewhere(stream.Context(), err)
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	s := newSession(first.Node)
	if err := c.h.leader.attach(s, first); err != nil {
		return err
	}
	defer c.h.leader.detach(s)
	broken := make(chan error, 1)
	c.h.spawn(func() { broken <- c.receive(s, stream) })
	for {
		select {
		case <-s.signal:
			for _, o := range s.take() {
				if err := stream.Send(o); err != nil {
					return err
				}
			}
		case <-s.done:
			return s.cause()
		case err := <-broken:
			return err
		}
	}
}

// receive takes reports until the stream ends.
func (c *controlService) receive(s *session, stream grpc.BidiStreamingServer[proto.NodeReport, proto.NodeOrder]) error {
	for {
		r, err := stream.Recv()
		if err != nil {
			return err
		}
		c.h.leader.report(s, r)
	}
}

// attach makes s the session of its node, instead of an older one.
func (l *leader) attach(s *session, first *proto.NodeReport) error {
	var n *fsm.Node
	l.h.replica.read(func(st *fsm.State) { n = st.Node(s.node) })
	switch {
	case n == nil:
		return problem(proto.Error_NOT_FOUND, "node %s isn't one of this cluster", ids.NodeID(s.node))
	case !n.Info.Alive:
		return problem(proto.Error_NODE_DIED, "this node was declared dead: %s", n.Info.DeathCause)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.leads {
		return asStatus(ErrNoLeader)
	}
	l.nodeAddedLocked(s.node) // if its event is still on its way
	m := l.members[s.node]
	if m == nil {
		return problem(proto.Error_NODE_DIED, "this node was declared dead")
	}
	if m.session != nil {
		m.session.end(problem(proto.Error_UNAVAILABLE, "a newer session of this node took over"))
	}
	m.session = s
	l.reportLocked(m, first)
	s.show(l.viewOrderLocked())
	l.orderDrainLocked(m)
	l.reconcileLocked(m, first)
	l.poke()
	return nil
}

// detach ends a session; its node is asked at once whether it still lives.
func (l *leader) detach(s *session) {
	l.mu.Lock()
	m := l.members[s.node]
	current := m != nil && m.session == s
	address := ""
	if current {
		m.session = nil
		address = m.info.Address
	}
	l.mu.Unlock()
	s.end(nil)
	if current && l.h.ctx.Err() == nil {
		l.h.spawn(func() { l.probe(s.node, address) })
	}
}

// report takes what a node says of itself.
func (l *leader) report(s *session, r *proto.NodeReport) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.members[s.node]
	if m == nil || m.session != s {
		return
	}
	if l.reportLocked(m, r) {
		l.poke()
	}
	l.bundlesReportedLocked(m, r.Bundles)
}

// unanswered returns the sessions with reports that weren't answered, and the
// newest of each.
func (l *leader) unanswered() map[*session]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[*session]uint64{}
	for _, m := range l.members {
		if s := m.session; s != nil && !m.dying && s.reported > s.answered {
			out[s], s.answered = s.reported, s.reported
		}
	}
	return out
}

// reportLocked says whether anything is new.
func (l *leader) reportLocked(m *member, r *proto.NodeReport) bool {
	m.heard = time.Now()
	m.reports++
	m.session.reported = r.Number
	if r.Load != nil {
		m.load = r.Load
	}
	if r.Info == nil {
		return false
	}
	r.Info.Id, r.Info.Alive, r.Info.Draining = m.id, true, m.draining
	if r.Info.Address == "" {
		r.Info.Address = m.info.Address
	}
	changed := !protobuf.Equal(m.info, r.Info)
	m.info = r.Info
	l.dirty = l.dirty || changed
	return changed || l.waitsLocked()
}
