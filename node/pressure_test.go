package node

import (
	"context"
	"testing"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
)

// TestPressure: processes are asked to collect before the store is full, not for every object.
func TestPressure(t *testing.T) {
	n := lonely(t)
	capacity := n.store.Usage().Capacity
	j := join(t, n, 1).job
	n.mu.Lock()
	p, err := n.newProcessLocked(j, true) // whose frames nobody sends
	if p != nil {
		p.state = idle
	}
	n.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	asked := func() int {
		n.mu.Lock()
		defer n.mu.Unlock()
		count := 0
		for _, m := range p.out.frames {
			if _, ok := m.Body.(*proto.ToProcess_StorePressure); ok {
				count++
			}
		}
		return count
	}
	n.makeRoom(capacity / 2)
	if got := asked(); got != 0 {
		t.Errorf("asked %d times with half of the store free", got)
	}
	for i := range uint64(9) { // copies, which can be dropped
		id := ids.ObjectID{Cluster: 1, Owner: ids.ProcessID{Node: 5, Number: 1}, Number: i}
		node := ids.ProcessID{Node: 1}
		if _, err := n.store.CreateCopy(context.Background(), id, capacity/10, node); err != nil {
			t.Fatal(err)
		}
		if err := n.store.Seal(id, node); err != nil {
			t.Fatal(err)
		}
		if _, ok := n.store.Acquire(id, node); !ok {
			t.Fatal("not acquired")
		}
		n.store.Release(id, node)
	}
	n.makeRoom(capacity / 2)
	if got := asked(); got != 0 {
		t.Errorf("asked %d times with copies in most of the store", got)
	}
	id := ids.ObjectID{Cluster: 1, Owner: p.id, Number: 1}
	if _, err := n.store.Create(context.Background(), id, capacity/2, p.id); err != nil {
		t.Fatal(err)
	}
	n.makeRoom(capacity / 4)
	n.makeRoom(capacity)
	if got := asked(); got != 1 {
		t.Errorf("asked %d times", got)
	}
}

// TestDemandNearInputs: the node that has the inputs is taken while it has room.
func TestDemandNearInputs(t *testing.T) {
	n := lonely(t)
	p := join(t, n, 1)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.learnLocked(&proto.View{Version: 1, Nodes: []*proto.NodeInfo{other(2, 4, platform), other(3, 4, platform)}})
	for near, want := range map[ids.NodeID]ids.NodeID{0: 1, 1: 1, 2: 2, 3: 3, 9: 1} {
		if c := n.choose(p.job, 1, nil, near); c.Node != sched.NodeID(want) {
			t.Errorf("near n%d: %+v, want n%d", near, c, want)
		}
	}
	if c := n.choose(p.job, 4, nil, 1); !c.Fits || c.Node == 1 {
		t.Errorf("no room there: %+v", c)
	}
}
