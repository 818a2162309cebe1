package head

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

const (
	// nodeLease is how long a node may be silent.
	nodeLease = 4 * time.Second
	// probeTimeout is how long a node may take to accept a connection.
	probeTimeout = time.Second
	// A node without a session is probed so often before it has just its lease.
	probes     = 5
	probePause = 200 * time.Millisecond
)

// tick declares dead who was silent for too long, and settles what is missing.
func (l *leader) tick(at time.Time) {
	l.mu.Lock()
	if !l.leads {
		l.mu.Unlock()
		return
	}
	if at.Sub(l.lastTick) > stalled { // it was this head that didn't run
		for _, m := range l.members {
			m.heard = at
		}
	}
	l.lastTick = at
	var silent []uint32
	for id, m := range l.members {
		if at.Sub(m.heard) > nodeLease {
			m.dying = true
			silent = append(silent, id)
		}
	}
	due := l.dueLocked(at)
	l.mu.Unlock()
	for _, id := range silent {
		l.h.declareDead(id, fmt.Sprintf("it was silent for %v", nodeLease))
	}
	for _, m := range due {
		l.h.settle(m)
	}
}

// probe asks a node that lost its session whether its process lives: nobody
// listens at a dead one's address. It asks more than once: of a process that was
// killed the system may close the session first and the listener later.
func (l *leader) probe(id uint32, address string) {
	for range probes {
		refused := l.h.refuses(l.h.ctx, address)
		l.mu.Lock()
		m := l.members[id]
		back := m == nil || m.session != nil
		if !back && refused {
			m.dying = true
		}
		l.mu.Unlock()
		switch {
		case back:
			return
		case refused:
			l.h.declareDead(id, "its process has ended")
			return
		}
		select {
		case <-l.h.ctx.Done():
			return
		case <-time.After(probePause):
		}
	}
}

// refuses reports whether nobody listens at an address.
func (h *Head) refuses(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err == nil {
		conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// declareDead makes a node's death known to all.
func (h *Head) declareDead(id uint32, cause string) {
	_, err := h.consensus.apply(h.command(&fsm.Command_NodeDied{NodeDied: &fsm.NodeDied{Node: id, Cause: cause}}))
	if err != nil {
		h.leader.spare(id)
	}
	if err != nil && h.ctx.Err() == nil {
		h.log.Warn("a node's death isn't committed yet", "node", ids.NodeID(id), "error", err)
	}
}

// spare takes a node's death back, which wasn't committed.
func (l *leader) spare(id uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.members[id]; m != nil {
		m.dying = false
	}
}

// RegisterNode gives a node its number, the same to the same instance.
func (c *controlService) RegisterNode(ctx context.Context, r *proto.RegisterNodeRequest) (*proto.RegisterNodeReply, error) {
	res, err := c.h.propose(ctx, &fsm.Command_RegisterNode{RegisterNode: &fsm.RegisterNode{
		Instance: r.Instance, Node: r.Node, Id: r.Id,
	}})
	if err != nil {
		return nil, err
	}
	c.h.leader.heard(res.Id)
	if !res.Existed {
		c.h.log.Info("node registered", "node", ids.NodeID(res.Id), "address", r.Node.Address)
	}
	return &proto.RegisterNodeReply{
		Id: res.Id, Cluster: uint32(c.h.ClusterID()), Heads: c.h.consensus.addresses(), LeaseMs: nodeLease.Milliseconds(),
	}, nil
}

// heard notes a sign of life.
func (l *leader) heard(id uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.members[id]; m != nil {
		m.heard = time.Now()
	}
}

// LeaveNode is a node's farewell.
func (c *controlService) LeaveNode(ctx context.Context, r *proto.LeaveNodeRequest) (*proto.Ack, error) {
	cause := leftBy
	if r.Reason != "" {
		cause += ": " + r.Reason
	}
	_, err := c.h.propose(ctx, &fsm.Command_NodeDied{NodeDied: &fsm.NodeDied{Node: r.Id, Cause: cause}})
	return &proto.Ack{}, err
}

// ListNodes lists nodes as last reported, dead ones that aren't forgotten included.
func (c *controlService) ListNodes(ctx context.Context, _ *proto.ListNodesRequest) (*proto.ListNodesReply, error) {
	if err := c.h.leading(ctx); err != nil {
		return nil, err
	}
	return &proto.ListNodesReply{Nodes: c.h.allNodes()}, nil
}

// allNodes are all nodes by number.
func (h *Head) allNodes() []*proto.NodeInfo {
	fresh := map[uint32]*proto.NodeInfo{}
	for _, i := range h.leader.infos() {
		fresh[i.Id] = i
	}
	var out []*proto.NodeInfo
	h.replica.read(func(s *fsm.State) {
		for _, n := range s.Nodes() {
			if i := fresh[n.Info.Id]; i != nil && n.Info.Alive {
				out = append(out, i)
			} else {
				out = append(out, n.Info)
			}
		}
	})
	return out
}
