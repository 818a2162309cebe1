package process

import (
	"cmp"
	"maps"
	"slices"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// nearBytes is how many bytes more of a task's stored inputs than here another node must
// have for the task to ask for leases of its own, there.
const nearBytes = 1 << 20

// nearest returns the node that has most of t's stored inputs; 0 when that is this one,
// whose leases are preferred anyway, or when it's not worth it.
func (p *Process) nearest(t *Task) ids.NodeID {
	if t.opts.Strategy.GetKind() != proto.Strategy_PACK {
		return 0
	}
	var has map[ids.NodeID]int64
	for i := range t.deps {
		in := &t.deps[i]
		if in.lazy || in.obj == nil {
			continue
		}
		c := in.obj.peek()
		if c == nil || !c.stored {
			continue
		}
		for _, n := range c.nodes {
			if has == nil {
				has = map[ids.NodeID]int64{}
			}
			has[n] += c.size
		}
	}
	if len(has) == 0 || len(has) == 1 && has[p.self.Node] > 0 {
		return 0
	}
	best := slices.MaxFunc(slices.Collect(maps.Keys(has)), func(a, b ids.NodeID) int {
		return cmp.Or(cmp.Compare(has[a], has[b]), cmp.Compare(b, a))
	})
	if has[best]-has[p.self.Node] < nearBytes {
		return 0
	}
	return best
}
