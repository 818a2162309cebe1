package process

import (
	"slices"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// lostAttempt is one whose process ended before it had replied. What it had stored
// until then lies on its node, unheard of.
type lostAttempt struct {
	node  ids.NodeID
	items uint64 // of its stream that had arrived
}

// lostOn notes an attempt that ended without a reply. Called with the class's or
// actor's lock held.
func (t *Task) lostOn(n ids.NodeID) {
	a := lostAttempt{node: n}
	if t.stream != nil {
		a.items = t.stream.received()
	}
	var all []lostAttempt
	if old := t.lost.Load(); old != nil {
		all = slices.Clone(*old)
	}
	all = append(all, a)
	t.lost.Store(&all)
}

// freeStrays deletes what lost attempts of t may have stored as t's outcome, which
// is c now. A later attempt on the same node has replaced it.
func (p *Process) freeStrays(t *Task, c *content) { p.free(t.strays(c)) }

func (t *Task) strays(c *content) (free []*proto.Location) {
	if t.rebuild != nil {
		var lost []lostAttempt
		if all := t.lost.Swap(nil); all != nil {
			lost = *all
		}
		return t.rebuild.strays(lost)
	}
	if t.lost.Load() == nil {
		return nil // as of nearly every task
	}
	lost := t.lost.Swap(nil)
	if lost == nil {
		return nil
	}
	for _, a := range *lost {
		first, last := uint64(0), uint64(0)
		if t.stream != nil {
			first, last = t.stream.received()+1, a.items+streamWindow
		} else if slices.Contains(c.nodes, a.node) {
			continue
		}
		for i := first; i <= last; i++ {
			free = append(free, t.stray(i, a.node))
		}
	}
	return free
}

func (r *rebuild) strays(lost []lostAttempt) (free []*proto.Location) {
	add := func(o *Object, n ids.NodeID) {
		if c := o.peek(); c == nil || !slices.Contains(c.nodes, n) {
			free = append(free, &proto.Location{Id: o.id.Bytes(), Nodes: []uint32{uint32(n)}})
		}
	}
	for _, a := range lost {
		for _, o := range r.items {
			add(o, a.node)
		}
	}
	for _, i := range r.stale {
		for _, n := range i.nodes {
			add(i.o, n)
		}
	}
	return free
}

// strayItem is where lost attempts may have stored the i-th item, which is c now.
func (t *Task) strayItem(i uint64, c *content) (free []*proto.Location) {
	lost := t.lost.Load()
	if lost == nil {
		return nil
	}
	for _, a := range *lost {
		if i > a.items && i <= a.items+streamWindow && !slices.Contains(c.nodes, a.node) {
			free = append(free, t.stray(i, a.node))
		}
	}
	return free
}

func (t *Task) stray(i uint64, n ids.NodeID) *proto.Location {
	id := t.obj.id
	id.Number += i
	return &proto.Location{Id: id.Bytes(), Nodes: []uint32{uint32(n)}}
}
