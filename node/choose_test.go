package node

import (
	"strings"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/proto"
)

func amounts(cpu int64) *proto.Resources {
	return &proto.Resources{Quantity: map[string]int64{"CPU": cpu * account.Unit}}
}

// other is a node with 4 CPUs as a view shows it.
func other(id uint32, free int64, platform string) *proto.NodeInfo {
	return &proto.NodeInfo{Id: id, Alive: true, Platform: platform, Total: amounts(4), Available: amounts(free)}
}

func TestChoose(t *testing.T) {
	n := lonely(t)
	p := join(t, n, 1)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.view.replace(&proto.View{Version: 1, Nodes: []*proto.NodeInfo{
		other(2, 4, platform), other(3, 4, "plan9/mips"), {Id: 4, Platform: platform, Total: amounts(64), Available: amounts(64)},
	}})
	choose := func(cpu int64, s *proto.Strategy) choice {
		return n.chooseLocked(p.job, "shape", amounts(cpu).Quantity, s, 0)
	}
	if c := choose(1, nil); c.node != 1 {
		t.Errorf("an idle node gives away what it could run: %+v", c)
	}
	if c := choose(3, nil); c.node != 2 {
		t.Errorf("3 CPUs go to n2: %+v", c)
	}
	if c := choose(5, nil); c.node != 0 || !c.never || !strings.Contains(c.reason, "n2: lacks CPU") {
		t.Errorf("5 CPUs are nowhere, dead nodes and other platforms don't count: %+v", c)
	}
	if c := choose(1, &proto.Strategy{Kind: proto.Strategy_AFFINITY, Node: 2}); c.node != 2 {
		t.Errorf("affinity: %+v", c)
	}
	if c := choose(1, &proto.Strategy{Kind: proto.Strategy_AFFINITY, Node: 3}); c.node != 0 || !c.never {
		t.Errorf("affinity to a node of another platform: %+v", c)
	}
	labels := []*proto.LabelSelector{{Key: "disk", Op: proto.LabelSelector_EXISTS}}
	if c := choose(1, &proto.Strategy{Labels: labels}); c.node != 0 || !strings.Contains(c.reason, "disk") {
		t.Errorf("a label that no node has: %+v", c)
	}
	p.job.spec = &proto.JobSpec{Id: 1, Binaries: []*proto.Binary{{Platform: "plan9/mips"}}}
	if c := choose(1, nil); c.node != 3 {
		t.Errorf("a job for another platform: %+v", c)
	}
	n.ledger.Force(1, amounts(9).Quantity)
	p.job.spec = &proto.JobSpec{Id: 1}
	if c := choose(1, nil); c.node != 2 {
		t.Errorf("a node in debt offers nothing: %+v", c)
	}
}

func TestViewOfWhatIsAsked(t *testing.T) {
	v := newView()
	show := func(version uint64, free int64) {
		v.replace(&proto.View{Version: version, Nodes: []*proto.NodeInfo{other(2, free, platform)}})
	}
	left := func() int64 { return v.nodes[2].Available.Quantity["CPU"] / account.Unit }
	show(5, 4)
	release := v.reserve(2, amounts(3).Quantity)
	if left() != 1 {
		t.Errorf("%d CPUs are left of what isn't asked for, want 1", left())
	}
	show(6, 4)
	if left() != 1 {
		t.Errorf("a view that doesn't know of the request gives it away again: %d left", left())
	}
	show(4, 2)
	if left() != 1 {
		t.Error("an older view counts")
	}
	release()
	at := time.Unix(1000, 0)
	v.refused(2, "a", &proto.LeaseRefused{Available: amounts(0)}, at)
	if left() != 0 {
		t.Errorf("a refusal's word on what there is doesn't count: %d left", left())
	}
	if !v.refuses(2, "a", at) || v.refuses(2, "b", at) {
		t.Error("a refusal is of one shape")
	}
	show(7, 0)
	if !v.refuses(2, "a", at) {
		t.Error("a refusal is forgotten although the node shows as it was")
	}
	if v.refuses(2, "a", at.Add(refusalLife)) {
		t.Error("a refusal lasts for ever")
	}
	v.refused(2, "a", nil, at)
	show(8, 3)
	if v.refuses(2, "a", at) || left() != 3 {
		t.Error("a node that has changed isn't asked again")
	}
	v.refused(2, "a", nil, at)
	v.bury(2)
	if v.refuses(2, "a", at) || v.nodes[ids.NodeID(2)] != nil {
		t.Error("a dead node is remembered")
	}
}

func TestRecentForgetsTheOldest(t *testing.T) {
	var r recent[int, string]
	for i := range maxRecent + 10 {
		r.put(i, "x")
	}
	r.put(10, "y") // anew, but not newer
	if _, ok := r.get(9); ok || len(r.m) != maxRecent {
		t.Errorf("%d entries, the oldest among them", len(r.m))
	}
	if v, ok := r.get(10); !ok || v != "y" || !r.has(maxRecent+9) {
		t.Error("an entry is missing or old")
	}
}
