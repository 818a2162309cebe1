package fsm

import (
	"bytes"
	"slices"
	"testing"

	"github.com/gray-runtime/gray/proto"
)

func groupSpec(n uint64, job uint32, bundles int) *proto.GroupSpec {
	spec := &proto.GroupSpec{Id: id(n), Job: job, Strategy: proto.GroupSpec_SPREAD}
	for range bundles {
		spec.Bundles = append(spec.Bundles, &proto.Bundle{Resources: &proto.Resources{Quantity: map[string]int64{"CPU": 10_000}}})
	}
	return spec
}

func (m *machine) group(spec *proto.GroupSpec, nodes ...uint32) *Group {
	m.t.Helper()
	m.must(&Command_CreateGroup{&CreateGroup{Spec: spec, Nodes: nodes}})
	return m.s.Group(string(spec.Id))
}

// placed checks where the bundles of a group are.
func (m *machine) placed(n uint64, generation uint32, places ...Place) {
	m.t.Helper()
	g := m.s.Group(string(id(n)))
	if g.Generation != generation || !slices.Equal(g.Bundles, places) {
		m.t.Errorf("group %d is of generation %d at %v, want %d at %v", n, g.Generation, g.Bundles, generation, places)
	}
}

func (m *machine) released() (out []Place) {
	for _, e := range m.event {
		if e.Kind == BundleReleased {
			out = append(out, Place{e.Node, e.Incarnation})
		}
	}
	return out
}

func TestGroupLife(t *testing.T) {
	m := newMachine(t)
	a, b, c := m.node("a"), m.node("b"), m.node("c")
	j := m.submit("job", a)
	m.group(groupSpec(1, j, 2))
	if _, ok := m.emitted(GroupWaits); !ok {
		t.Errorf("events %v", m.event)
	}
	m.must(&Command_PlaceGroup{&PlaceGroup{Id: id(1), Bundles: []uint32{0, 1}, Nodes: []uint32{a, b}}})
	m.placed(1, 1, Place{a, 1}, Place{b, 1})
	if _, ok := m.emitted(GroupPlaced); !ok {
		t.Errorf("events %v", m.event)
	}

	// One node refuses: the other's bundle is given up, too.
	m.must(&Command_BundleRefused{&BundleRefused{Id: id(1), Bundle: 1, Generation: 1, Node: b}})
	m.placed(1, 1, Place{}, Place{})
	if got := m.released(); !slices.Equal(got, []Place{{a, 1}, {b, 1}}) {
		t.Errorf("released %v", got)
	}
	m.must(&Command_BundleRefused{&BundleRefused{Id: id(1), Bundle: 0, Generation: 1, Node: a}}) // late
	m.fails(proto.Error_INVALID, "needs no such nodes", &Command_PlaceGroup{&PlaceGroup{Id: id(1), Bundles: []uint32{0, 1}, Nodes: []uint32{a, b}}})
	m.must(&Command_PlaceGroup{&PlaceGroup{Id: id(1), Generation: 1, Bundles: []uint32{0, 1}, Nodes: []uint32{a, b}}})
	m.placed(1, 2, Place{a, 2}, Place{b, 2})

	// A node dies: its bundle alone is placed anew, and refusals free that one alone.
	m.must(&Command_NodeDied{&NodeDied{Node: b, Cause: "c"}})
	m.placed(1, 2, Place{a, 2}, Place{})
	if g := m.s.Group(string(id(1))); !g.Lost || g.Placed() {
		t.Errorf("group %+v", g)
	}
	m.fails(proto.Error_NODE_DIED, "", &Command_PlaceGroup{&PlaceGroup{Id: id(1), Generation: 2, Bundles: []uint32{1}, Nodes: []uint32{b}}})
	m.must(&Command_PlaceGroup{&PlaceGroup{Id: id(1), Generation: 2, Bundles: []uint32{1}, Nodes: []uint32{c}}})
	m.must(&Command_BundleRefused{&BundleRefused{Id: id(1), Bundle: 1, Generation: 3, Node: c}})
	m.placed(1, 3, Place{a, 2}, Place{})
	m.must(&Command_PlaceGroup{&PlaceGroup{Id: id(1), Generation: 3, Bundles: []uint32{1}, Nodes: []uint32{c}}})
	m.placed(1, 4, Place{a, 2}, Place{c, 4})

	m.must(&Command_RemoveGroup{&RemoveGroup{Id: id(1)}})
	if got := m.released(); !slices.Equal(got, []Place{{a, 2}, {c, 4}}) {
		t.Errorf("released %v", got)
	}
	if r := m.must(&Command_RemoveGroup{&RemoveGroup{Id: id(1)}}); !r.Existed {
		t.Error("removed twice")
	}
	m.fails(proto.Error_NOT_FOUND, "doesn't exist", &Command_RemoveGroup{&RemoveGroup{Id: id(9)}})
}

func TestGroupTakesItsActorsAlong(t *testing.T) {
	m := newMachine(t)
	n := m.node("a")
	j := m.submit("job", n)
	spec := groupSpec(1, j, 2)
	spec.Name = "pair"
	m.group(spec, n, n)
	in := func(bundle uint32) func(*proto.ActorSpec) {
		return func(s *proto.ActorSpec) {
			s.MaxRestarts, s.Strategy = -1, &proto.Strategy{Group: id(1), Bundle: bundle}
		}
	}
	m.actor(2, j, n, in(0))
	m.started(2, 1, n)
	m.actor(3, j, 0, in(1))
	m.actor(4, j, 0, nil)
	m.fails(proto.Error_INVALID, "no bundle 2", &Command_CreateActor{&CreateActor{Spec: &proto.ActorSpec{
		Id: id(5), Job: j, Strategy: &proto.Strategy{Group: id(1), Bundle: 2},
	}}})
	m.fails(proto.Error_INVALID, "has the resources", &Command_CreateActor{&CreateActor{Spec: &proto.ActorSpec{
		Id: id(5), Job: j, Strategy: &proto.Strategy{Group: id(1), AnyBundle: true}, Resources: &proto.Resources{Quantity: map[string]int64{"CPU": 20_000}},
	}}})
	m.must(&Command_RemoveGroup{&RemoveGroup{Id: id(1)}})
	for _, dead := range []uint64{2, 3} {
		if a := m.s.Actor(string(id(dead))); !a.Dead() || a.Cause.Kind != proto.Error_GROUP_REMOVED || a.Cause.Message != `placement group "pair" was removed` {
			t.Errorf("actor %d: %v %v", dead, a.State, a.Cause)
		}
	}
	if m.s.Actor(string(id(4))).Dead() || len(m.s.actorsIn) != 0 {
		t.Errorf("an actor outside is dead, or the index has %v", m.s.actorsIn)
	}
	late := &proto.ActorSpec{Id: id(6), Job: j, Strategy: &proto.Strategy{Group: id(1)}}
	m.fails(proto.Error_GROUP_REMOVED, `"pair" was removed`, &Command_CreateActor{&CreateActor{Spec: late}})
	late = &proto.ActorSpec{Id: id(6), Job: j, Strategy: &proto.Strategy{Group: id(8)}}
	m.fails(proto.Error_GROUP_REMOVED, "doesn't exist", &Command_CreateActor{&CreateActor{Spec: late}})
}

func TestGroupsAndJobs(t *testing.T) {
	m := newMachine(t)
	n := m.node("a")
	j := m.submit("job", n)
	named := groupSpec(1, j, 1)
	named.Name, named.Namespace = "g", "ns"
	m.group(named, n)
	m.must(&Command_CreateGroup{&CreateGroup{Spec: named}}) // the same request
	other := groupSpec(2, j, 1)
	other.Name, other.Namespace, other.Detached = "g", "ns", true
	m.fails(proto.Error_ALREADY_EXISTS, `"g" exists in namespace "ns"`, &Command_CreateGroup{&CreateGroup{Spec: other}})
	other.Name = "h"
	m.group(other, n)
	m.must(&Command_DriverEnded{&DriverEnded{Job: j, Exited: true}})
	if g := m.s.Group(string(id(1))); !g.Removed || m.s.NamedGroup("ns", "g") != nil {
		t.Errorf("it outlives its job: %+v", g)
	}
	if g := m.s.NamedGroup("ns", "h"); g == nil || g.Removed {
		t.Errorf("detached: %+v", g)
	}
	m.fails(proto.Error_JOB_ENDED, "has ended", &Command_CreateGroup{&CreateGroup{Spec: groupSpec(3, j, 1)}})

	for what, spec := range map[string]*proto.GroupSpec{
		"no bundles": groupSpec(4, j, 0), "no id": {}, "an empty one": {Id: id(4), Bundles: []*proto.Bundle{{}}},
		"less than nothing": {Id: id(4), Bundles: []*proto.Bundle{{Resources: &proto.Resources{Quantity: map[string]int64{"CPU": -1}}}}},
	} {
		if r := m.do(&Command_CreateGroup{&CreateGroup{Spec: spec}}); r.GetError().GetKind() != proto.Error_INVALID {
			t.Errorf("%s: %v", what, r)
		}
	}
	old := newMachineOf(t, 2)
	old.fails(proto.Error_INVALID, "version 3", &Command_CreateGroup{&CreateGroup{Spec: groupSpec(1, j, 1)}})
}

func TestRemovedGroupsAreForgotten(t *testing.T) {
	m := newMachine(t)
	n := m.node("a")
	j := m.submit("job", n)
	for i := range uint64(keepGroups + 10) {
		m.s.Apply(&Command{Version: Version, TimeMs: 1, Body: &Command_CreateGroup{&CreateGroup{Spec: groupSpec(i+1, j, 1), Nodes: []uint32{n}}}})
		m.s.Apply(&Command{Version: Version, TimeMs: 1, Body: &Command_RemoveGroup{&RemoveGroup{Id: id(i + 1)}}})
	}
	if len(m.s.groups) != keepGroups || m.s.Group(string(id(10))) != nil || m.s.Group(string(id(11))) == nil {
		t.Errorf("%d groups are kept", len(m.s.groups))
	}
}

func TestGroupSnapshot(t *testing.T) {
	m := newMachine(t)
	a, b := m.node("a"), m.node("b")
	j := m.submit("job", a)
	named := groupSpec(1, j, 2)
	named.Name = "g"
	m.group(named, a, b)
	m.group(groupSpec(2, j, 1))
	m.group(groupSpec(3, j, 1), a)
	m.must(&Command_RemoveGroup{&RemoveGroup{Id: id(3)}})
	m.must(&Command_NodeDied{&NodeDied{Node: b}})
	m.actor(4, j, 0, func(s *proto.ActorSpec) { s.Strategy = &proto.Strategy{Group: id(1)} })
	whole := snapshotOf(t, m.s)
	s, err := Restore(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(snapshotOf(t, s), whole) {
		t.Error("read again, it differs")
	}
	holds(t, s)
	if g := s.NamedGroup("", "g"); g == nil || !g.Lost || !slices.Equal(g.Bundles, []Place{{a, 1}, {}}) || len(s.ActorsIn(string(id(1)))) != 1 {
		t.Errorf("group %+v, %d actors", g, len(s.ActorsIn(string(id(1)))))
	}
	if s.deadGroups.len() != 1 {
		t.Errorf("%d removed groups", s.deadGroups.len())
	}
}

// groupsHold checks the invariants of groups.
func groupsHold(t *testing.T, s *State) {
	t.Helper()
	names, removed := 0, 0
	for key, g := range s.groups {
		if g.Removed {
			removed++
			if len(s.actorsIn[key]) > 0 {
				t.Fatalf("removed group %x has actors", key)
			}
			continue
		}
		if j := s.jobs[g.Spec.Job]; j != nil && j.Over() && !g.Spec.Detached {
			t.Fatalf("group %x outlives its job", key)
		}
		if g.Spec.Name != "" {
			names++
			if s.groupNames[groupName{g.Spec.Namespace, g.Spec.Name}] != key {
				t.Fatalf("group %x doesn't have its name", key)
			}
		}
		for i, p := range g.Bundles {
			if n := s.nodes[p.Node]; p.Node != 0 && (n == nil || !n.Info.Alive) || p.Generation > g.Generation || (p.Node == 0) != (p.Generation == 0) {
				t.Fatalf("bundle %d of group %x of generation %d is at %v", i, key, g.Generation, p)
			}
		}
	}
	in := map[string]int{}
	for key, a := range s.actors {
		if group := string(a.Spec.GetStrategy().GetGroup()); group != "" && !a.Dead() {
			in[group]++
			if !s.actorsIn[group][key] {
				t.Fatalf("actor %x isn't known to its group", key)
			}
			if g := s.groups[group]; s.Version() >= 3 && g != nil && g.Removed {
				t.Fatalf("actor %x outlives its group", key)
			}
		}
	}
	if names != len(s.groupNames) || removed != s.deadGroups.len() || len(in) != len(s.actorsIn) {
		t.Fatalf("%d names, index has %d; %d removed, index has %d; %d with actors, index has %d",
			names, len(s.groupNames), removed, s.deadGroups.len(), len(in), len(s.actorsIn))
	}
}
