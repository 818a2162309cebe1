package node

import (
	"strings"
	"testing"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/proto"
)

var oneCPU = account.Amounts{account.CPU: account.Unit}

func bundleOrder(group ids.GroupID, index, generation uint32) *proto.ReserveBundle {
	return &proto.ReserveBundle{
		Bundle:    &proto.BundleRef{Group: group.Bytes(), Bundle: index, Generation: generation},
		Resources: &proto.Resources{Quantity: oneCPU},
	}
}

// inGroup is a demand for a CPU in a group's first bundle.
func inGroup(p *process, group ids.GroupID) *account.Demand {
	return &account.Demand{
		Key: account.Key{Process: p.id, Class: 1}, Job: p.job.id, Resources: oneCPU, InGroup: true,
		Strategy: &proto.Strategy{Group: group.Bytes()}, Shape: "in", Want: 1,
	}
}

func (n *Node) answersLocked(t *testing.T, want int) []*proto.BundleReport {
	t.Helper()
	got := n.takeBundleAnswersLocked()
	if len(got) != want {
		t.Fatalf("answers %v, want %d", got, want)
	}
	return got
}

// TestOwnBundleMoves: a node asks where a bundle is that it had itself.
func TestOwnBundleMoves(t *testing.T) {
	n := lonely(t)
	p := join(t, n, 1)
	id := ids.GroupID{Cluster: 1, Owner: p.id, Number: 1}
	n.reserveBundle(bundleOrder(id, 0, 1))
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answersLocked(t, 1)
	g := &group{info: &proto.GroupInfo{
		State: proto.GroupInfo_CREATED, Generation: 1, Nodes: []uint32{1},
		Spec: &proto.GroupSpec{Bundles: []*proto.Bundle{{Resources: &proto.Resources{Quantity: oneCPU}}}},
	}}
	n.groups[id] = g
	d := inGroup(p, id)
	_, hold, why := lender{n}.Bundle(d, nil)
	if hold == 0 {
		t.Fatal(why)
	}
	n.ledger.Free(hold)
	n.mu.Unlock()
	n.releaseBundle(&proto.ReleaseBundle{Bundle: bundleOrder(id, 0, 1).Bundle})
	n.mu.Lock()
	at, hold, why := lender{n}.Bundle(d, nil)
	if at != 0 || hold != 0 || !strings.Contains(why, "placed anew") || !g.asking || g.after != 1 {
		t.Errorf("n%d, hold %d, %q, %+v", at, hold, why, g)
	}
}

// TestDrainingNodesBundles: nothing more is begun in them, the head is told when no task runs
// in one, and the node isn't empty before they have gone.
func TestDrainingNodesBundles(t *testing.T) {
	n := lonely(t)
	p := join(t, n, 1)
	id := ids.GroupID{Cluster: 1, Owner: p.id, Number: 1}
	n.reserveBundle(bundleOrder(id, 0, 1))
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answersLocked(t, 1)
	w, err := n.newProcessLocked(p.job, true)
	if err != nil {
		t.Fatal(err)
	}
	s := &proto.Strategy{Group: id.Bytes()}
	w.state = leased
	w.hold, _ = n.takeLocked(p.job.id, oneCPU, s)
	n.draining = &proto.Draining{}
	n.tellIdleLocked()
	n.answersLocked(t, 0) // a task runs there
	n.ledger.Free(w.hold)
	w.state, w.hold = idle, 0
	if _, hold, _ := (lender{n}).Bundle(inGroup(p, id), nil); hold != 0 {
		t.Error("a task is begun in a bundle that is to move")
	}
	w.actor = &actor{} // which the head has leave
	w.hold, _ = n.takeForLifeLocked(p.job.id, oneCPU, s)
	n.tellIdleLocked()
	if r := n.answersLocked(t, 1)[0]; !r.Idle || r.Refused || r.Bundle.Generation != 1 {
		t.Errorf("answer %v", r)
	}
	n.tellIdleLocked()
	n.answersLocked(t, 0)
	if r := n.heldBundlesLocked(); len(r) != 1 || !r[0].Idle {
		t.Errorf("the next head hears %v", r)
	}
	n.ledger.Free(w.hold)
	w.actor, w.hold = nil, 0
	p.job.driver = nil
	if !n.busyLocked() {
		t.Error("it leaves with a bundle")
	}
	n.reserveBundleLocked(bundleOrder(id, 1, 1))
	if r := n.answersLocked(t, 1)[0]; !r.Refused {
		t.Errorf("answer %v", r)
	}
	n.mu.Unlock()
	r := n.reserve(&proto.LeaseRequest{Job: 1, Strategy: &proto.Strategy{Group: id.Bytes(), Bundle: 7}}, &served{})
	n.releaseBundle(&proto.ReleaseBundle{Bundle: bundleOrder(id, 0, 1).Bundle})
	n.mu.Lock()
	if r.GetError().GetKind() != proto.Error_GROUP_REMOVED {
		t.Errorf("who asks for a bundle that has moved hears %v", r)
	}
	if n.busyLocked() || n.ledger.Holds() != 0 {
		t.Error("it is busy though its bundle has gone")
	}
}
