package head

import (
	"strings"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// TestBundlesAndActorsLeave: of a draining node, an actor in a bundle is asked to leave once no
// task runs in it and it has a place elsewhere; then the bundle goes, and the actor follows.
func TestBundlesAndActorsLeave(t *testing.T) {
	h := startHead(t, t.TempDir())
	a, b := newNode(t, h, 1), newNode(t, h, 0.5)
	b.connect(nil)
	job := driverJob(t, b)
	a.connect(nil)
	created := a.createGroup(groupOf(1, job, proto.GroupSpec_PACK, 1))
	o := a.reserve()
	a.holds(o, false)
	<-created
	create(t, a, &proto.ActorSpec{Id: actorID(1), Job: job, Resources: cpus(1), MaxRestarts: 1, Strategy: &proto.Strategy{Group: groupID(1)}})
	a.startActor()
	a.actorIs(actorID(1), 1, proto.ActorReport_ALIVE)
	if err := client(t, h).Drain(t.Context(), ids.NodeID(a.id).String(), "a test", time.Minute); err != nil {
		t.Fatal(err)
	}
	if r := a.await("the drain", func(o *proto.NodeOrder) bool { return o.GetDrain() != nil }); r.GetDrain().Reason != "a test" {
		t.Errorf("order %v", r)
	}
	idle := func() {
		r := &proto.NodeReport{Node: a.id, Bundles: []*proto.BundleReport{{Bundle: o.Bundle, Idle: true}}}
		if err := a.stream.Send(r); err != nil {
			t.Fatal(err)
		}
	}
	idle()
	moves := func() (bundles int) {
		h.leader.mu.Lock()
		defer h.leader.mu.Unlock()
		if _, m := h.leader.movesLocked(); len(m) > 0 {
			return len(m)
		}
		return 0
	}
	eventually(t, "the head knows", func() bool {
		h.leader.mu.Lock()
		defer h.leader.mu.Unlock()
		return h.leader.groups.known[string(groupID(1))].idle[0]
	})
	if moves() != 0 || a.findGroup(1).Nodes[0] != a.id {
		t.Error("it leaves though no other node has room")
	}
	c := newNode(t, h, 1)
	c.connect(nil)
	stop := a.await("the actor is asked", func(o *proto.NodeOrder) bool { return o.GetStopActor() != nil }).GetStopActor()
	if !stop.Leave || stop.Incarnation != 1 {
		t.Errorf("order %v", stop)
	}
	if moves() != 0 || a.findGroup(1).Nodes[0] != a.id {
		t.Error("the bundle leaves before the actor in it")
	}
	a.actorIs(actorID(1), 1, proto.ActorReport_DIED)
	if r := a.release(); r.Cause != nil {
		t.Errorf("order %v", r)
	}
	c.holds(c.reserve(), false)
	if s := c.startActor(); s.Incarnation != 2 {
		t.Errorf("order %v", s)
	}
	info, err := a.control.FindActor(t.Context(), &proto.FindActorRequest{Id: actorID(1)})
	if err != nil || info.Restarts != 0 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestWhyGroup: what a placement group waits for, by its id and by its name.
func TestWhyGroup(t *testing.T) {
	h := startHead(t, t.TempDir())
	a := newNode(t, h, 1)
	a.connect(nil)
	job := driverJob(t, a)
	spec := groupOf(1, job, proto.GroupSpec_PACK, 0.5, 2)
	spec.Name = "gang"
	<-a.createGroup(spec)
	for _, id := range []string{"gang", actorName(groupID(1))} {
		w, err := client(t, h).Why(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if w.Kind != api.WhyGroup || w.State != "PENDING" || !w.Infeasible || w.Resources["CPU"] != 2 || len(w.Nodes) != 1 || w.Nodes[0].Fits ||
			!strings.Contains(w.Summary, "bundle 1") {
			t.Errorf("%+v", w)
		}
	}
	created := a.createGroup(groupOf(2, job, proto.GroupSpec_PACK, 1))
	a.holds(a.reserve(), false)
	<-created
	if w, err := client(t, h).Why(t.Context(), actorName(groupID(2))); err != nil || w.State != "CREATED" || !strings.Contains(w.Summary, "held on n1") {
		t.Errorf("%+v, %v", w, err)
	}
	a.removeGroup(1)
	if w, err := client(t, h).Why(t.Context(), "gang"); err != nil || w.State != "REMOVED" || !strings.Contains(w.Cause, "was removed") {
		t.Errorf("%+v, %v", w, err)
	}
}
