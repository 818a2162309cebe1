package node

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
)

const (
	maxGroups = 4096 // that a node keeps in mind
	// groupRetry is how long after a head's refusal a group is asked for again.
	groupRetry = time.Second
	// groupPatience is how long a head is asked for a group at a time: demands that
	// still name it ask again.
	groupPatience = 10 * time.Second
)

// group is what a node knows of a placement group that a demand named. Guarded by
// Node.mu.
type group struct {
	info   *proto.GroupInfo // when it was last created, or that it's removed; nil: not known yet
	asking bool
	after  uint32 // the generation that is over, at least
}

// hopeless is a shape of demands that can never be met any more.
type hopeless struct {
	shape string
	why   *proto.Error
}

// Bundle takes room in a bundle here that a demand may use, or finds another node that
// has such a bundle; neither: it waits, and why.
func (l lender) Bundle(d *account.Demand, refusing []sched.NodeID) (node ids.NodeID, hold account.HoldID, why string) {
	n := l.n
	s, _ := d.Strategy.(*proto.Strategy)
	id, err := ids.GroupIDFrom(s.GetGroup())
	if err != nil {
		n.hopeless = append(n.hopeless, &hopeless{d.Shape, problem(proto.Error_INVALID, "placement group: %v", err)})
		return 0, 0, ""
	}
	if n.draining == nil { // else no task is begun in its bundles
		if hold, ok := n.takeLocked(d.Job, d.Resources, s); ok {
			return n.id, hold, ""
		}
	}
	info := n.groupLocked(id).info
	switch {
	case info == nil:
		return 0, 0, fmt.Sprintf("waits for placement group %s to be created", id)
	case info.State == proto.GroupInfo_REMOVED:
		n.hopeless = append(n.hopeless, &hopeless{d.Shape, info.Cause})
		return 0, 0, info.Cause.GetMessage()
	}
	if why := info.Spec.Misfit(s, &proto.Resources{Quantity: d.Resources}); why != "" {
		n.hopeless = append(n.hopeless, &hopeless{d.Shape, problem(proto.Error_INVALID, "%s", why)})
		return 0, 0, why
	}
	nodes := info.Nodes
	if !s.AnyBundle {
		nodes = nodes[s.Bundle:][:1]
	}
	if !slices.ContainsFunc(nodes, func(to uint32) bool { return to != 0 }) {
		n.askGroupLocked(id, n.groups[id])
		return 0, 0, fmt.Sprintf("waits for placement group %s to be placed anew", id)
	}
	n.lastBundle++
	for i := range nodes {
		to := ids.NodeID(nodes[(i+n.lastBundle%len(nodes))%len(nodes)])
		if to != 0 && to != n.id && !slices.Contains(refusing, sched.NodeID(to)) {
			return to, 0, ""
		}
	}
	if s.AnyBundle {
		return 0, 0, fmt.Sprintf("the bundles of placement group %s are full", id)
	}
	return 0, 0, fmt.Sprintf("bundle %d of placement group %s, on %s, is full", s.Bundle, id, ids.NodeID(nodes[0]))
}

// failHopelessLocked ends demands that can never be met: who stated them hears why.
func (n *Node) failHopelessLocked() {
	for _, h := range n.hopeless {
		for _, d := range n.queue.Waiting() {
			if d.Shape == h.shape {
				n.failDemandLocked(d, h.why)
			}
		}
	}
	n.hopeless = nil
}

// groupLocked returns what is known of a group, and asks for it if nothing is.
func (n *Node) groupLocked(id ids.GroupID) *group {
	g := n.groups[id]
	if g == nil {
		g = &group{}
		for old := range n.groups {
			if len(n.groups) < maxGroups {
				break
			}
			delete(n.groups, old) // it's asked for again if it's needed
		}
		n.groups[id] = g
	}
	if g.info == nil {
		n.askGroupLocked(id, g)
	}
	return g
}

// askGroupLocked has the head say where a group is once it's created with a
// generation above the one that is over.
func (n *Node) askGroupLocked(id ids.GroupID, g *group) {
	if g.asking {
		return
	}
	g.asking = true
	after := g.after
	n.spawn(func() {
		r := &proto.WaitGroupRequest{Id: id.Bytes(), After: after, LimitMs: groupPatience.Milliseconds()}
		info, err := n.head.control.WaitGroup(n.ctx, r, grpc.WaitForReady(true))
		if status.Code(err) == codes.NotFound {
			info, err = &proto.GroupInfo{State: proto.GroupInfo_REMOVED, Cause: problem(proto.Error_GROUP_REMOVED, "placement group %s doesn't exist", id)}, nil
		}
		if err != nil && n.ctx.Err() == nil {
			n.log.Warn("where a placement group is", "group", id, "error", err)
			if !n.pause(groupRetry) {
				return
			}
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		g.asking = false
		switch s := info.GetState(); {
		case s == proto.GroupInfo_REMOVED, s == proto.GroupInfo_CREATED && info.Generation > g.after:
			g.info = info
		case s == proto.GroupInfo_RESCHEDULING && g.info == nil: // some of its bundles are there
			g.info = info
			g.info.Generation = max(1, info.Generation) - 1 // this one isn't over
		}
		n.scheduleLocked()
	})
}

// staleGroupLocked: node says that it doesn't hold what a strategy names.
func (n *Node) staleGroupLocked(s *proto.Strategy, node ids.NodeID) {
	id, err := ids.GroupIDFrom(s.GetGroup())
	if err != nil {
		return
	}
	if g := n.groups[id]; g != nil {
		n.leaveLocked(id, g, node)
	}
}

// leaveLocked: a node has none of a group's bundles any more. Those on others are used
// meanwhile.
func (n *Node) leaveLocked(id ids.GroupID, g *group, node ids.NodeID) {
	if !slices.Contains(g.info.GetNodes(), uint32(node)) {
		return
	}
	for i, at := range g.info.Nodes {
		if at == uint32(node) {
			g.info.Nodes[i] = 0
		}
	}
	g.after = max(g.after, g.info.Generation)
	n.askGroupLocked(id, g)
}

// loseGroupsOnLocked: bundles on a dead node will be elsewhere.
func (n *Node) loseGroupsOnLocked(node ids.NodeID) {
	for id, g := range n.groups {
		n.leaveLocked(id, g, node)
	}
}

// strangerLocked is the refusal of a strategy whose bundle isn't here; nil: it is,
// or none is named.
func (n *Node) strangerLocked(s *proto.Strategy) *proto.Error {
	if len(s.GetGroup()) == 0 {
		return nil
	}
	for range n.bundlesOfLocked(s) {
		return nil
	}
	return problem(proto.Error_GROUP_REMOVED, "%s holds no such bundle", n.id)
}
