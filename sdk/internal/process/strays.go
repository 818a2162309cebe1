package process

import (
	"slices"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// stray says that a node may have, as an outcome of a task, what isn't it: stored by an
// attempt whose process ended before it had replied, or damaged since.
type stray struct {
	node  ids.NodeID
	items uint64 // of the task's stream that had arrived
}

// attemptLost notes an attempt that ended without a reply. Called with the class's or
// actor's lock held.
func (t *Task) attemptLost(n ids.NodeID) {
	a := stray{node: n}
	if t.stream != nil {
		a.items = t.stream.received()
	}
	t.goneAstray(a)
}

// damaged notes nodes whose copies of what t makes again are useless. Called before t is
// submitted.
func (t *Task) damaged(nodes []ids.NodeID) {
	for _, n := range nodes {
		t.goneAstray(stray{node: n})
	}
}

func (t *Task) goneAstray(a stray) {
	var all []stray
	if old := t.strayed.Load(); old != nil {
		all = slices.Clone(*old)
	}
	all = append(all, a)
	t.strayed.Store(&all)
}

// freeStrays deletes what nodes may have as t's outcome, which is c now, without
// being it. A later attempt on the same node has replaced it.
func (p *Process) freeStrays(t *Task, c *content) { p.free(t.strays(c)) }

func (t *Task) strays(c *content) (free []*proto.Location) {
	if t.rebuild != nil {
		var all []stray
		if p := t.strayed.Swap(nil); p != nil {
			all = *p
		}
		return t.rebuild.strays(all)
	}
	if t.strayed.Load() == nil {
		return nil // as of nearly every task
	}
	all := t.strayed.Swap(nil)
	if all == nil {
		return nil
	}
	for _, a := range *all {
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

func (r *rebuild) strays(all []stray) (free []*proto.Location) {
	r.mu.Lock()
	defer r.mu.Unlock()
	add := func(o *Object, n ids.NodeID) {
		if r.arrived[o.id.Number-r.base] != n {
			free = append(free, &proto.Location{Id: o.id.Bytes(), Nodes: []uint32{uint32(n)}})
		}
	}
	for _, a := range all {
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
	all := t.strayed.Load()
	if all == nil {
		return nil
	}
	for _, a := range *all {
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

// freeUnless deletes c, which was stored as o's outcome too late: another one stands.
func (p *Process) freeUnless(o *Object, c *content) {
	if !c.stored {
		return
	}
	stands := o.peek()
	switch {
	case stands == nil: // it's being made again, maybe there
	case !stands.stored:
		p.free([]*proto.Location{p.location(o.id, c)})
	case !slices.Contains(stands.nodes, c.nodes[0]):
		p.free([]*proto.Location{{Id: o.id.Bytes(), Nodes: ids.Numbers(c.nodes)}})
	}
}
