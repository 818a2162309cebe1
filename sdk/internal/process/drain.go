package process

import (
	"slices"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// leaves reports whether a node is about to leave: what is lost on it spends no retries.
func (lt *leaseTable) leaves(n ids.NodeID) bool {
	_, yes := lt.leaving.Load(n)
	return yes
}

// nodeDrains gives the leases of a node back that is about to leave, once they are empty.
func (lt *leaseTable) nodeDrains(n ids.NodeID) {
	lt.leaving.Store(n, struct{}{})
	for _, c := range lt.list() {
		var back []*lease
		c.mu.Lock()
		for i := 0; i < len(c.leases); i++ {
			l := c.leases[i]
			if l.node != n {
				continue
			}
			l.draining = true
			if l.conn != nil && l.inflight.len() == 0 && l.gone == nil && !l.ended {
				c.drop(l)
				i--
				back = append(back, l)
			}
		}
		c.announce()
		c.mu.Unlock()
		for _, l := range back {
			lt.giveBack(l)
		}
	}
}

// moved is the word that a stored object of this process's own is on another node now. One
// that isn't known any more, or was made again meanwhile, isn't needed there.
func (p *Process) moved(m *proto.MovedRequest) {
	id, err := ids.ObjectIDFrom(m.GetId())
	if err != nil {
		return
	}
	from, to := ids.NodeID(m.From), ids.NodeID(m.To)
	if v, ok := p.traces.Load(id.Number); !ok || !v.(*trace).relocate(from, to) {
		p.node.send(&proto.ToNode{Body: &proto.ToNode_FreeObject{FreeObject: &proto.FreeObject{
			Objects: []*proto.Location{{Id: m.Id, Nodes: []uint32{m.To}}},
		}}})
	}
}

// relocate replaces a node that has the object by another; false: that is of no use.
func (t *trace) relocate(from, to ids.NodeID) bool {
	o := t.weak.Value()
	if o == nil { // others hold it
		t.mu.Lock()
		c := t.content
		t.mu.Unlock()
		next, ok := c.relocated(from, to)
		if ok {
			t.setContent(next)
		}
		return ok
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	next, ok := o.content.relocated(from, to)
	if ok {
		o.content = next
		t.setContent(next)
	}
	return ok
}

// relocated is c with another node instead of one that it's on.
func (c *content) relocated(from, to ids.NodeID) (*content, bool) {
	if c == nil || !c.stored || !slices.Contains(c.nodes, from) && !slices.Contains(c.nodes, to) {
		return c, false
	}
	next := *c
	next.nodes = []ids.NodeID{to}
	for _, n := range c.nodes {
		if n != from && n != to {
			next.nodes = append(next.nodes, n)
		}
	}
	return &next, true
}
