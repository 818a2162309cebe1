package head

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

func groupID(n uint64) []byte {
	return ids.GroupID{Cluster: 1, Owner: ids.ProcessID{Node: 1, Number: 2}, Number: n}.Bytes()
}

// groupOf is a group of bundles of so many CPUs.
func groupOf(n uint64, job uint32, s proto.GroupSpec_Strategy, amounts ...float64) *proto.GroupSpec {
	spec := &proto.GroupSpec{Id: groupID(n), Job: job, Strategy: s}
	for _, a := range amounts {
		spec.Bundles = append(spec.Bundles, &proto.Bundle{Resources: cpus(a)})
	}
	return spec
}

// createGroup answers what CreateGroup will.
func (n *fakeNode) createGroup(spec *proto.GroupSpec) <-chan *proto.GroupInfo {
	out := make(chan *proto.GroupInfo, 1)
	go func() {
		info, err := n.createNow(spec)
		if err != nil {
			n.t.Error(err)
		}
		out <- info
	}()
	return out
}

func (n *fakeNode) createNow(spec *proto.GroupSpec) (*proto.GroupInfo, error) {
	r, err := n.control.CreateGroups(n.t.Context(), &proto.CreateGroupsRequest{Specs: []*proto.GroupSpec{spec}})
	return r.GetGroups()[0].GetInfo(), err
}

func (n *fakeNode) reserve() *proto.ReserveBundle {
	n.t.Helper()
	return n.await("an order to reserve", func(o *proto.NodeOrder) bool { return o.GetReserveBundle() != nil }).GetReserveBundle()
}

func (n *fakeNode) release() *proto.ReleaseBundle {
	n.t.Helper()
	return n.await("an order to release", func(o *proto.NodeOrder) bool { return o.GetReleaseBundle() != nil }).GetReleaseBundle()
}

// holds says that the node holds what it was ordered to, or refuses it.
func (n *fakeNode) holds(o *proto.ReserveBundle, refused bool) {
	n.t.Helper()
	r := &proto.NodeReport{Node: n.id, Bundles: []*proto.BundleReport{{Bundle: o.Bundle, Refused: refused, Reason: "no room"}}}
	if err := n.stream.Send(r); err != nil {
		n.t.Fatal(err)
	}
}

func (n *fakeNode) findGroup(id uint64) *proto.GroupInfo {
	n.t.Helper()
	info, err := n.control.FindGroup(n.t.Context(), &proto.FindGroupRequest{Id: groupID(id)})
	if err != nil {
		n.t.Fatal(err)
	}
	return info
}

func (n *fakeNode) removeGroup(id uint64) {
	n.t.Helper()
	r, err := n.control.RemoveGroups(n.t.Context(), &proto.RemoveGroupsRequest{Ids: [][]byte{groupID(id)}})
	if err != nil || r.Groups[0].Error != nil {
		n.t.Fatal(r, err)
	}
}

func TestGroupIsCreatedWhenAllNodesHoldIt(t *testing.T) {
	h := startHead(t, t.TempDir())
	a, b := newNode(t, h, 1), newNode(t, h, 1)
	a.connect(nil)
	b.connect(nil)
	job := driverJob(t, a)
	created := a.createGroup(groupOf(1, job, proto.GroupSpec_STRICT_SPREAD, 1, 1))
	first, second := a.reserve(), b.reserve()
	a.holds(first, false)
	eventually(t, "one holds its bundle", func() bool {
		h.leader.mu.Lock()
		defer h.leader.mu.Unlock()
		return h.leader.groups.known[string(groupID(1))].held[first.Bundle.Bundle] == 1
	})
	if info := a.findGroup(1); info.State != proto.GroupInfo_PENDING {
		t.Errorf("of two nodes one holds its bundle, the group is %v", info.State)
	}
	b.holds(second, false)
	if info := <-created; info.State != proto.GroupInfo_CREATED || info.Nodes[first.Bundle.Bundle] != a.id {
		t.Errorf("group %v", info)
	}

	// The nodes' room is the group's, though they haven't reported it.
	info := <-a.createGroup(groupOf(2, job, proto.GroupSpec_PACK, 1))
	if info.State != proto.GroupInfo_PENDING {
		t.Errorf("in the room of another: %v", info)
	}
	s, err := client(t, h).Status(t.Context())
	if err != nil || len(s.Pending) != 1 || s.Pending[0].Infeasible || !strings.Contains(s.Pending[0].Reason, "bundle 0: n1: CPU busy") {
		t.Errorf("pending %+v, %v", s.Pending, err)
	}
	a.removeGroup(1)
	if o := a.release(); o.Bundle.Generation != 1 || o.Cause.GetKind() != proto.Error_GROUP_REMOVED {
		t.Errorf("order %v", o)
	}
	b.release()
	eventually(t, "the next has its room", func() bool { return a.findGroup(2).Nodes[0] != 0 })
	list, err := client(t, h).Groups(t.Context(), api.ListOptions{})
	if err != nil || len(list.Result) != 2 || list.Result[1].State != "REMOVED" || list.Result[0].State != "PENDING" || list.Result[0].Bundles[0].NodeID == nil {
		t.Errorf("list %+v, %v", list, err)
	}
	_, err = a.control.WaitGroup(t.Context(), &proto.WaitGroupRequest{Id: groupID(9)})
	if status.Code(err) != codes.NotFound {
		t.Errorf("unknown: %v", err)
	}
}

// TestGroupIsRefused: the other node's bundle is given up, too; the node that refused
// is asked again when it has reported anew.
func TestGroupIsRefused(t *testing.T) {
	h := startHead(t, t.TempDir())
	a, b := newNode(t, h, 1), newNode(t, h, 1)
	a.connect(nil)
	b.connect(nil)
	created := a.createGroup(groupOf(1, driverJob(t, a), proto.GroupSpec_STRICT_SPREAD, 1, 1))
	a.holds(a.reserve(), false)
	b.holds(b.reserve(), true)
	if info := <-created; info.State != proto.GroupInfo_PENDING {
		t.Errorf("refused: %v", info)
	}
	if o := a.release(); o.Bundle.Generation != 1 || o.Cause != nil {
		t.Errorf("order %v", o)
	}
	b.report(b.info)
	first, second := a.reserve(), b.reserve()
	if first.Bundle.Generation != 2 {
		t.Errorf("order %v", first)
	}
	a.holds(first, false)
	b.holds(second, false)
	info, err := a.control.WaitGroup(t.Context(), &proto.WaitGroupRequest{Id: groupID(1), After: 1})
	if err != nil || info.State != proto.GroupInfo_CREATED || info.Generation != 2 {
		t.Errorf("group %v, %v", info, err)
	}
}

// TestGroupAfterReconnection: what a node missed, or holds for nothing, is made up for.
func TestGroupAfterReconnection(t *testing.T) {
	h := startHead(t, t.TempDir())
	a, b := newNode(t, h, 1), newNode(t, h, 1)
	a.connect(nil)
	b.connect(nil)
	job := driverJob(t, a)
	created := a.createGroup(groupOf(1, job, proto.GroupSpec_STRICT_SPREAD, 1, 1))
	first := a.reserve()
	a.holds(first, false)
	b.reserve()
	b.hangUp()
	stray := &proto.BundleRef{Group: groupID(8), Bundle: 3, Generation: 5}
	b.err = nil
	b.connect(&proto.NodeReport{Bundles: []*proto.BundleReport{{Bundle: stray}}})
	if o := b.release(); o.Bundle.Bundle != 3 || o.Bundle.Generation != 5 {
		t.Errorf("order %v", o)
	}
	b.holds(b.reserve(), false) // again
	if info := <-created; info.State != proto.GroupInfo_CREATED {
		t.Errorf("group %v", info)
	}

	// A leader that has just begun knows of what nodes hold by what they report.
	h.leader.end(ErrNoLeader)
	h.leader.begin()
	for _, n := range []*fakeNode{a, b} {
		n.hangUp()
		n.err = nil
	}
	a.connect(&proto.NodeReport{Bundles: []*proto.BundleReport{{Bundle: first.Bundle}}})
	if info := a.findGroup(1); info.State == proto.GroupInfo_CREATED {
		t.Error("created before all nodes have reported")
	}
	b.connect(nil)
	b.holds(b.reserve(), false)
	if _, err := a.control.WaitGroup(t.Context(), &proto.WaitGroupRequest{Id: groupID(1)}); err != nil {
		t.Error(err)
	}
}

// TestGroupIsRescheduled: a dead node's bundle moves alone.
func TestGroupIsRescheduled(t *testing.T) {
	h := startHead(t, t.TempDir())
	a, b := newNode(t, h, 1), newNode(t, h, 1)
	a.connect(nil)
	b.connect(nil)
	job := driverJob(t, a)
	created := a.createGroup(groupOf(1, job, proto.GroupSpec_STRICT_SPREAD, 1, 1))
	first, second := a.reserve(), b.reserve()
	a.holds(first, false)
	b.holds(second, false)
	<-created
	create(t, a, &proto.ActorSpec{Id: actorID(1), Job: job, MaxRestarts: 1, Resources: cpus(1),
		Strategy: &proto.Strategy{Group: groupID(1), Bundle: second.Bundle.Bundle}})
	b.startActor()
	b.actorIs(actorID(1), 1, proto.ActorReport_ALIVE)
	b.kill()
	eventually(t, "it is to be placed anew", func() bool { return a.findGroup(1).State == proto.GroupInfo_RESCHEDULING })
	c := newNode(t, h, 1)
	c.connect(nil)
	o := c.reserve()
	if o.Bundle.Bundle != second.Bundle.Bundle || o.Bundle.Generation != 2 {
		t.Errorf("order %v", o)
	}
	c.holds(o, false)
	if o := c.startActor(); o.Incarnation != 2 {
		t.Errorf("order %v", o)
	}
	if info := a.findGroup(1); info.State != proto.GroupInfo_CREATED || info.Nodes[first.Bundle.Bundle] != a.id || info.Nodes[second.Bundle.Bundle] != c.id {
		t.Errorf("group %v", info)
	}
}

// TestActorsWaitForTheirBundle: no more of them are placed than it has room for.
func TestActorsWaitForTheirBundle(t *testing.T) {
	h := startHead(t, t.TempDir())
	a := newNode(t, h, 4)
	a.connect(nil)
	job := driverJob(t, a)
	created := a.createGroup(groupOf(1, job, proto.GroupSpec_PACK, 2))
	o := a.reserve()
	in := &proto.Strategy{Group: groupID(1)}
	create(t, a, &proto.ActorSpec{Id: actorID(1), Job: job, Resources: cpus(1), Strategy: in}) // before the group is created
	a.holds(o, false)
	<-created
	a.startActor()
	a.actorIs(actorID(1), 1, proto.ActorReport_ALIVE)
	for i := uint64(2); i < 4; i++ {
		create(t, a, &proto.ActorSpec{Id: actorID(i), Job: job, Resources: cpus(1), Strategy: in})
	}
	if o := a.startActor(); string(o.Actor.Id) != string(actorID(2)) {
		t.Errorf("order %v", o)
	}
	eventually(t, "the third waits, and says why", func() bool {
		info, err := a.control.FindActor(t.Context(), &proto.FindActorRequest{Id: actorID(3)})
		return err == nil && strings.Contains(info.PendingReason, "are full")
	})
	if s, err := client(t, h).Status(t.Context()); err != nil || len(s.Nodes) != 1 || s.Nodes[0].ResourcesAvailable["CPU"] != 4 {
		t.Errorf("%+v, %v", s, err)
	}
	a.removeGroup(1)
	for i := range uint64(3) {
		if got := a.wait(actorID(i+1), 9); got.State != proto.ActorInfo_DEAD || got.Cause.Kind != proto.Error_GROUP_REMOVED {
			t.Errorf("actor %d: %v", i+1, got)
		}
	}
}

// TestPlacingBesideOthers: what is placed anew goes to nodes of the group, if they have room.
func TestPlacingBesideOthers(t *testing.T) {
	for _, c := range []struct {
		strategy proto.GroupSpec_Strategy
		want     func(moved, other uint32) bool
	}{
		{proto.GroupSpec_PACK, func(moved, other uint32) bool { return moved == other }},
		{proto.GroupSpec_SPREAD, func(moved, other uint32) bool { return moved != other }},
		{proto.GroupSpec_STRICT_SPREAD, func(moved, other uint32) bool { return moved != other }},
	} {
		t.Run(c.strategy.String(), func(t *testing.T) {
			h := startHead(t, t.TempDir())
			a, b := newNode(t, h, 1), newNode(t, h, 1)
			a.connect(nil)
			b.connect(nil)
			created := a.createGroup(groupOf(1, driverJob(t, a), c.strategy, 1, 1))
			o := a.reserve()
			a.holds(o, false)
			b.holds(b.reserve(), false)
			<-created
			a.info.Total, a.info.Available = cpus(9), cpus(8)
			a.info.Bundled = cpus(1)
			a.report(a.info)
			d := newNode(t, h, 4)
			d.connect(nil)
			b.kill()
			eventually(t, "it is placed anew", func() bool {
				moved := a.findGroup(1).Nodes[1-o.Bundle.Bundle]
				return moved != 0 && moved != b.id
			})
			if moved := a.findGroup(1).Nodes[1-o.Bundle.Bundle]; !c.want(moved, a.id) {
				t.Errorf("beside n%d it went to n%d", a.id, moved)
			}
		})
	}
}

// BenchmarkGroups creates and removes groups of a bundle, 64 at a time.
func BenchmarkGroups(b *testing.B) {
	h := startHead(b, b.TempDir())
	n := newNode(b, h, 1000)
	n.connect(nil)
	job := driverJob(b, n)
	done := make(chan struct{})
	b.Cleanup(func() { <-done })
	go func() {
		defer close(done)
		for {
			n.mu.Lock()
			orders, arrived, err := n.orders, n.arrived, n.err
			n.orders = nil
			n.mu.Unlock()
			r := &proto.NodeReport{Node: n.id}
			for _, o := range orders {
				if o := o.GetReserveBundle(); o != nil {
					r.Bundles = append(r.Bundles, &proto.BundleReport{Bundle: o.Bundle})
				}
			}
			if len(r.Bundles) > 0 {
				_ = n.stream.Send(r)
			}
			if err != nil {
				return
			}
			<-arrived
		}
	}()
	b.ResetTimer()
	one := func(i int64) error {
		info, err := n.createNow(groupOf(uint64(i), job, proto.GroupSpec_PACK, 0.01))
		if err == nil && info.State != proto.GroupInfo_CREATED {
			err = fmt.Errorf("group %v", info)
		}
		if err == nil {
			n.removeGroup(uint64(i))
		}
		return err
	}
	b.Run("serial", func(b *testing.B) {
		for i := int64(1 << 40); b.Loop(); i++ {
			if err := one(i); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("64", func(b *testing.B) { by64(b, func(i int64) error { return one(i + n0.Add(1<<20)) }) })
	n.hangUp()
}

var n0 atomic.Int64 // apart: groups of a benchmark that runs again
