package fsm

import (
	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

func (s *State) registerNode(c *RegisterNode) *Result {
	if c.GetInstance() == "" || c.GetNode().GetAddress() == "" {
		return invalid("a node needs an instance and an address")
	}
	id, known := s.instances[c.Instance]
	switch {
	case known && !s.nodes[id].Info.Alive:
		return fail(proto.Error_NODE_DIED, "node %s was declared dead: %s", ids.NodeID(id), s.nodes[id].Info.DeathCause)
	case !known && c.Id != 0:
		return notFound("node %s isn't one of this cluster", ids.NodeID(c.Id))
	case known && c.Id != 0 && c.Id != id:
		return invalid("node %s isn't %s", ids.NodeID(id), ids.NodeID(c.Id))
	}
	if !known {
		m := s.changeMeta()
		m.LastNode++
		id = m.LastNode
		s.instances[c.Instance] = id
		s.emit(Event{Kind: NodeAdded, Node: id})
	}
	info := lasting(c.Node, id)
	if known {
		info.Draining = s.nodes[id].Info.Draining
	}
	s.nodes[id] = &Node{Instance: c.Instance, Info: info}
	return &Result{Id: id, Existed: known}
}

// lasting keeps of a node's description what doesn't change while it lives.
func lasting(i *proto.NodeInfo, id uint32) *proto.NodeInfo {
	out := protobuf.Clone(i).(*proto.NodeInfo)
	out.Id, out.Alive = id, true
	out.Available, out.Pending, out.Workers, out.ObjectStoreUsed = nil, nil, 0, 0
	out.EndedUnixMs, out.DeathCause, out.Draining = 0, "", nil
	return out
}

// fence refuses what a process of a dead node asks for: the node's actors and
// jobs may have gone on elsewhere.
func (s *State) fence(node uint32) *Result {
	if node == 0 || s.Version() < 2 {
		return nil
	}
	n := s.nodes[node]
	switch {
	case n == nil:
		return fail(proto.Error_NODE_DIED, "node %s isn't one of this cluster; what its processes ask for has no effect", ids.NodeID(node))
	case !n.Info.Alive:
		return fail(proto.Error_NODE_DIED, "node %s was declared dead: %s; what its processes ask for has no effect",
			ids.NodeID(node), n.Info.DeathCause)
	}
	return nil
}

func (s *State) nodeDied(c *NodeDied) *Result {
	n := s.nodes[c.GetNode()]
	if n == nil {
		return notFound("node %s isn't one of this cluster", ids.NodeID(c.GetNode()))
	}
	if !n.Info.Alive {
		return &Result{Existed: true}
	}
	info := protobuf.Clone(n.Info).(*proto.NodeInfo)
	info.Alive, info.EndedUnixMs, info.DeathCause = false, s.now, c.Cause
	s.nodes[c.Node] = &Node{Instance: n.Instance, Info: info, ended: s.nextEnd()}
	s.deadNodes.add(c.Node)
	s.emit(Event{Kind: NodeGone, Node: c.Node, Text: c.Cause})
	s.failJobsOn(c.Node, c.Cause)
	s.loseBundlesOn(c.Node)
	s.loseActorsOn(c.Node, c.Cause)
	for s.deadNodes.len() > keepNodes {
		old := s.deadNodes.pop()
		delete(s.instances, s.nodes[old].Instance)
		delete(s.nodes, old)
	}
	return nil
}
