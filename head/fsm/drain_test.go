package fsm

import (
	"slices"
	"testing"

	"github.com/gray-runtime/gray/proto"
)

// TestDrain: actors that can be restarted leave a draining node, or are lost with it,
// without using up a restart; others aren't touched.
func TestDrain(t *testing.T) {
	m := newMachine(t)
	a, b := m.node("a"), m.node("b")
	job := m.must(&Command_RegisterDriver{&RegisterDriver{Request: &proto.RegisterDriverRequest{Node: b, Instance: "d"}}}).Id
	actor := func(n byte, restarts int32) []byte {
		id := make([]byte, 20)
		id[0] = n
		m.must(&Command_CreateActor{&CreateActor{Spec: &proto.ActorSpec{Id: id, Job: job, MaxRestarts: restarts}, Node: a}})
		m.must(&Command_ActorStarted{&ActorStarted{Id: id, Incarnation: 1, Node: a, Pid: 7}})
		return id
	}
	mortal, moves, stays := actor(1, 0), actor(2, 1), actor(3, 1)
	m.fails(proto.Error_NOT_FOUND, "n9", &Command_DrainNode{&DrainNode{Node: 9, Draining: &proto.Draining{}}})
	m.must(&Command_DrainNode{&DrainNode{Node: a, Draining: &proto.Draining{Reason: "kernel", DeadlineUnixMs: 99}}})
	if len(m.event) != 1 || m.event[0].Kind != NodeDrains || m.event[0].Node != a {
		t.Errorf("events %v", m.event)
	}
	if r := m.must(&Command_DrainNode{&DrainNode{Node: a, Draining: &proto.Draining{Reason: "again"}}}); !r.Existed {
		t.Error("it didn't drain before")
	}
	m.must(&Command_RegisterNode{&RegisterNode{Instance: "a", Id: a, Node: &proto.NodeInfo{Address: "there"}}})
	if d := m.s.Node(a).Info.Draining; d.GetReason() != "again" {
		t.Errorf("after it registered again: %v", d)
	}
	for _, id := range [][]byte{mortal, moves} {
		m.must(&Command_MoveActor{&MoveActor{Id: id, Incarnation: 1, Node: a, Reason: "its node drains"}})
	}
	if x := m.s.Actor(string(mortal)); !x.Alive() || x.Node != a {
		t.Errorf("an actor that can't be restarted was moved: %+v", x)
	}
	if x := m.s.Actor(string(moves)); x.State != proto.ActorInfo_RESTARTING || x.Incarnation != 2 || x.Restarts != 0 || x.Node != 0 {
		t.Errorf("moved: %+v", x)
	}
	m.must(&Command_NodeDied{&NodeDied{Node: a, Cause: "it left"}})
	if x := m.s.Actor(string(stays)); x.State != proto.ActorInfo_RESTARTING || x.Restarts != 0 {
		t.Errorf("lost with its node: %+v", x)
	}
	if x := m.s.Actor(string(mortal)); !x.Dead() {
		t.Errorf("it outlived its node: %+v", x)
	}
	m.fails(proto.Error_NODE_DIED, "it left", &Command_DrainNode{&DrainNode{Node: a, Draining: &proto.Draining{}}})
}

// TestBundlesLeaveADrainingNode: they are placed anew, those elsewhere stay; what dies there
// meanwhile spends no restart.
func TestBundlesLeaveADrainingNode(t *testing.T) {
	m := newMachine(t)
	a, b := m.node("a"), m.node("b")
	job := m.must(&Command_RegisterDriver{&RegisterDriver{Request: &proto.RegisterDriverRequest{Node: b, Instance: "d"}}}).Id
	m.group(groupSpec(1, job, 3), a, b, a)
	actor := &proto.ActorSpec{Id: id(9), Job: job, MaxRestarts: 1, Strategy: &proto.Strategy{Group: id(1)}}
	m.must(&Command_CreateActor{&CreateActor{Spec: actor, Node: a}})
	m.must(&Command_ActorStarted{&ActorStarted{Id: id(9), Incarnation: 1, Node: a, Pid: 7}})
	m.must(&Command_MoveBundles{&MoveBundles{Id: id(1), Node: a}})
	m.placed(1, 1, Place{a, 1}, Place{b, 1}, Place{a, 1}) // it doesn't drain
	m.must(&Command_DrainNode{&DrainNode{Node: a, Draining: &proto.Draining{}}})
	m.must(&Command_ActorDied{&ActorDied{Id: id(9), Incarnation: 1, Node: a}})
	if x := m.s.Actor(string(id(9))); x.State != proto.ActorInfo_RESTARTING || x.Restarts != 0 {
		t.Errorf("it left with its node's drain: %+v", x)
	}
	m.must(&Command_MoveBundles{&MoveBundles{Id: id(1), Node: a}})
	m.placed(1, 1, Place{}, Place{b, 1}, Place{})
	if got := m.released(); !slices.Equal(got, []Place{{a, 1}, {a, 1}}) {
		t.Errorf("released %v", got)
	}
	if _, ok := m.emitted(GroupWaits); !ok || !m.s.Group(string(id(1))).Lost {
		t.Errorf("events %v", m.event)
	}
}
