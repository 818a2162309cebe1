package node

import (
	"strings"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
)

func amounts(cpu int64) *proto.Resources {
	return &proto.Resources{Quantity: map[string]int64{"CPU": cpu * account.Unit}}
}

// other is a node with 4 CPUs as a view shows it.
func other(id uint32, free int64, platform string) *proto.NodeInfo {
	return &proto.NodeInfo{Id: id, Alive: true, Platform: platform, Total: amounts(4), Available: amounts(free)}
}

// choose has the node's book decide about one lease for a job.
func (n *Node) choose(j *job, cpu int64, s *proto.Strategy, near ids.NodeID) sched.Decision {
	return n.book.Choose(placeOf(j, amounts(cpu).Quantity, s, near), "shape", time.Now())
}

func TestChoose(t *testing.T) {
	n := lonely(t)
	p := join(t, n, 1)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.learnLocked(&proto.View{Version: 1, Nodes: []*proto.NodeInfo{
		other(2, 4, platform), other(3, 4, "plan9/mips"), {Id: 4, Platform: platform, Total: amounts(64), Available: amounts(64)},
	}})
	choose := func(cpu int64, s *proto.Strategy) sched.Decision { return n.choose(p.job, cpu, s, 0) }
	if c := choose(1, nil); c.Node != 1 {
		t.Errorf("an idle node gives away what it could run: %+v", c)
	}
	if c := choose(3, nil); c.Node != 2 {
		t.Errorf("3 CPUs go to n2: %+v", c)
	}
	if c := choose(5, nil); c.Feasible || !strings.Contains(sched.Sentence(c.Reasons), "n2: lacks CPU") {
		t.Errorf("5 CPUs are nowhere, dead nodes and other platforms don't count: %+v", c)
	}
	if c := choose(1, &proto.Strategy{Kind: proto.Strategy_AFFINITY, Node: 2}); c.Node != 2 {
		t.Errorf("affinity: %+v", c)
	}
	if c := choose(1, &proto.Strategy{Kind: proto.Strategy_AFFINITY, Node: 3}); c.Feasible {
		t.Errorf("affinity to a node of another platform: %+v", c)
	}
	labels := []*proto.LabelSelector{{Key: "disk", Op: proto.LabelSelector_EXISTS}}
	if c := choose(1, &proto.Strategy{Labels: labels}); c.Fits || !strings.Contains(sched.Sentence(c.Reasons), "disk") {
		t.Errorf("a label that no node has: %+v", c)
	}
	p.job.spec = &proto.JobSpec{Id: 1, Binaries: []*proto.Binary{{Platform: "plan9/mips"}}}
	if c := choose(1, nil); c.Node != 3 {
		t.Errorf("a job for another platform: %+v", c)
	}
	n.ledger.Force(1, amounts(9).Quantity)
	p.job.spec = &proto.JobSpec{Id: 1}
	if c := choose(1, nil); c.Node != 2 {
		t.Errorf("a node in debt offers nothing: %+v", c)
	}
	n.learnLocked(&proto.View{Version: 0})
	if c := choose(1, nil); c.Node != 2 {
		t.Errorf("an older view counts: %+v", c)
	}
}

// TestViewOfJobs: what jobs have and wait for on other nodes counts here.
func TestViewOfJobs(t *testing.T) {
	n := lonely(t)
	p := join(t, n, 1)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ledger.Force(1, amounts(2).Quantity)
	info := n.infoLocked()
	if len(info.Jobs) != 1 || info.Jobs[0].Job != 1 || info.Jobs[0].Used.Quantity["CPU"] != 2*account.Unit {
		t.Fatalf("it reports %v", info.Jobs)
	}
	info.Alive = true
	waits := other(2, 0, platform)
	waits.Pending = []*proto.PendingDemand{{Resources: amounts(1), Count: 3, Job: 9, Weight: 2}}
	waits.Jobs = []*proto.JobUse{{Job: 8, Used: amounts(4)}}
	n.learnLocked(&proto.View{Version: 1, Nodes: []*proto.NodeInfo{info, waits}})
	if !n.book.Contended(p.job.id) || !n.book.Yields(p.job.id, time.Now()) {
		t.Error("a job that waits on another node with nothing doesn't count")
	}
	waits.Pending[0].Infeasible = true
	n.learnLocked(&proto.View{Version: 2, Nodes: []*proto.NodeInfo{info, waits}})
	if n.book.Contended(p.job.id) {
		t.Error("a demand that can never be met counts")
	}
	n.learnLocked(&proto.View{Version: 3, Nodes: []*proto.NodeInfo{info}, Waiting: []*proto.PendingDemand{{Resources: amounts(1), Count: 1, Job: 9}}})
	if !n.book.Yields(p.job.id, time.Now()) {
		t.Error("an actor that waits at the leader doesn't count")
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
