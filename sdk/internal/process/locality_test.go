package process

import (
	"context"
	"testing"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

func storedOn(p *Process, size int64, nodes ...ids.NodeID) *Object {
	o := p.newObject()
	o.content = &content{stored: true, size: size, nodes: nodes}
	return o
}

func TestNearest(t *testing.T) {
	p := testProcess(t) // on node 1
	small := p.newObject()
	small.content = &content{value: make([]byte, 10)}
	for name, c := range map[string]struct {
		want   ids.NodeID
		inputs []*Object
		kind   proto.Strategy_Kind
	}{
		"none":             {},
		"in memory":        {inputs: []*Object{small}},
		"here":             {inputs: []*Object{storedOn(p, 9<<20, 1)}},
		"there":            {want: 2, inputs: []*Object{small, storedOn(p, 1<<20, 2)}},
		"too little":       {inputs: []*Object{storedOn(p, 1<<20-1, 2)}},
		"a copy here":      {inputs: []*Object{storedOn(p, 9<<20, 2, 1)}},
		"more here":        {inputs: []*Object{storedOn(p, 9<<20, 2), storedOn(p, 10<<20, 1)}},
		"hardly more":      {inputs: []*Object{storedOn(p, 9<<20, 2), storedOn(p, 8<<20+1, 1)}},
		"together":         {want: 3, inputs: []*Object{storedOn(p, 5<<20, 2), storedOn(p, 4<<20, 3), storedOn(p, 4<<20, 3)}},
		"a tie":            {want: 2, inputs: []*Object{storedOn(p, 5<<20, 3), storedOn(p, 5<<20, 2)}},
		"another strategy": {inputs: []*Object{storedOn(p, 9<<20, 2)}, kind: proto.Strategy_SPREAD},
	} {
		task := &Task{opts: &TaskOptions{Strategy: &proto.Strategy{Kind: c.kind}}}
		for _, o := range c.inputs {
			task.deps = append(task.deps, input{obj: o})
		}
		task.deps = append(task.deps, input{obj: storedOn(p, 99<<20, 4), lazy: true})
		if got := p.nearest(task); got != c.want {
			t.Errorf("%s: node %d, want %d", name, got, c.want)
		}
	}
}

// TestNearClasses: tasks with inputs elsewhere queue apart, and can be cancelled.
func TestNearClasses(t *testing.T) {
	p := testProcess(t)
	o := &TaskOptions{Name: "f"}
	submit := func(nodes ...ids.NodeID) *Object {
		refs := &Collector{p: p}
		for _, n := range nodes {
			refs.inputs = append(refs.inputs, input{obj: storedOn(p, 9<<20, n)})
		}
		return p.Submit(context.Background(), Submission{Options: o, Refs: refs})
	}
	objects := []*Object{submit(), submit(2), submit(2), submit(3), submit(1)}
	base := p.leases.classOf(o)
	two := p.leases.nearClass(base, 2)
	if base.queue.len() != 2 || two.queue.len() != 2 || two.near != 2 || two.number == base.number || len(p.leases.list()) != 3 {
		t.Errorf("%d tasks here, %d near node %d, %d classes", base.queue.len(), two.queue.len(), two.near, len(p.leases.list()))
	}
	if err := p.Cancel(objects[1], false); err != nil {
		t.Fatal(err)
	}
	if two.backlog() != 1 || base.backlog() != 2 {
		t.Errorf("after a cancellation %d and %d wait", two.backlog(), base.backlog())
	}
	l := lend(t, two, 1)
	if l.inflight.len() != 1 || l.inflight.peek(0).obj != objects[2] {
		t.Errorf("%d tasks on the lease", l.inflight.len())
	}
}
