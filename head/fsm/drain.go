package fsm

import (
	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// drainNode begins a node's way out: nothing new is placed there. It has no way back.
func (s *State) drainNode(c *DrainNode) *Result {
	n := s.nodes[c.GetNode()]
	switch {
	case n == nil:
		return notFound("node %s isn't one of this cluster", ids.NodeID(c.GetNode()))
	case !n.Info.Alive:
		return fail(proto.Error_NODE_DIED, "node %s has gone: %s", ids.NodeID(c.Node), n.Info.DeathCause)
	case c.Draining == nil || s.Version() < 3:
		return invalid("a drain needs a reason")
	}
	info := protobuf.Clone(n.Info).(*proto.NodeInfo)
	info.Draining = c.Draining
	s.nodes[c.Node] = &Node{Instance: n.Instance, Info: info}
	s.emit(Event{Kind: NodeDrains, Node: c.Node})
	return &Result{Id: c.Node, Existed: n.Info.Draining != nil}
}

// moveActor has an actor that can be restarted go on elsewhere.
func (s *State) moveActor(c *MoveActor) *Result {
	a := s.current(c.GetId(), c.GetIncarnation())
	if a == nil || a.Node != c.Node || c.Node == 0 || a.Alive() && a.Spec.MaxRestarts == 0 {
		return nil
	}
	s.stopActor(a, c.Reason)
	s.relocateActor(a, &proto.Error{Kind: proto.Error_ACTOR_DIED, Message: c.Reason, Node: a.Node, Pid: a.PID})
	return nil
}

// relocateActor gives an actor another process without using up a restart.
func (s *State) relocateActor(a *Actor, cause *proto.Error) {
	next := *a
	if a.Alive() {
		next.State, next.Cause = proto.ActorInfo_RESTARTING, cause
	}
	s.requeueActor(&next)
}
