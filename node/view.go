package node

import (
	"maps"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/proto"
)

// view is the cluster as the leader showed it last, and what this node learned
// since. Guarded by Node.mu.
type view struct {
	version uint64
	nodes   map[ids.NodeID]*proto.NodeInfo // but this one; available is our own to change
	refusal map[refusalKey]time.Time       // nodes not to be asked for refusalLife or until they show anew
	asked   map[uint64]asked               // requests not answered yet
	last    uint64
}

// refusalLife is how long a node that refused a shape isn't asked for it again.
const refusalLife = time.Second

type refusalKey struct {
	node  ids.NodeID
	shape string
}

type asked struct {
	node ids.NodeID
	res  account.Amounts
}

func newView() *view {
	return &view{nodes: map[ids.NodeID]*proto.NodeInfo{}, refusal: map[refusalKey]time.Time{}, asked: map[uint64]asked{}}
}

// replace takes a newer view. What is being asked for is taken off it again:
// the leader doesn't know of it.
func (v *view) replace(w *proto.View) {
	if w.GetVersion() < v.version {
		return
	}
	v.version = w.GetVersion()
	old := v.nodes
	v.nodes = make(map[ids.NodeID]*proto.NodeInfo, len(w.GetNodes()))
	for _, i := range w.GetNodes() {
		id := ids.NodeID(i.Id)
		if !i.Alive {
			continue
		}
		if i.Available == nil {
			i.Available = &proto.Resources{}
		}
		if i.Available.Quantity == nil {
			i.Available.Quantity = map[string]int64{}
		}
		v.nodes[id] = i
	}
	for k := range v.refusal {
		if o, n := old[k.node], v.nodes[k.node]; n == nil || o == nil || !sameAmounts(o, n) {
			delete(v.refusal, k)
		}
	}
	for _, a := range v.asked {
		v.take(a.node, a.res)
	}
}

func (v *view) take(node ids.NodeID, res account.Amounts) {
	if i := v.nodes[node]; i != nil {
		for name, q := range res {
			i.Available.Quantity[name] -= q
		}
	}
}

// reserve takes what is asked of a node off the view, until release and the next
// view.
func (v *view) reserve(node ids.NodeID, res account.Amounts) (release func()) {
	v.last++
	number := v.last
	v.asked[number] = asked{node, res}
	v.take(node, res)
	return func() { delete(v.asked, number) }
}

// refused notes that a node has no room for a shape, or didn't answer (r is nil).
func (v *view) refused(node ids.NodeID, shape string, r *proto.LeaseRefused, at time.Time) {
	if i := v.nodes[node]; i != nil {
		if r.GetAvailable() != nil {
			i.Available = &proto.Resources{Quantity: maps.Clone(r.Available.Quantity)}
			for _, a := range v.asked {
				if a.node == node {
					v.take(node, a.res)
				}
			}
		}
		v.refusal[refusalKey{node, shape}] = at
	}
}

// refuses reports whether a node is not to be asked for a shape.
func (v *view) refuses(node ids.NodeID, shape string, at time.Time) bool {
	since, ok := v.refusal[refusalKey{node, shape}]
	if ok && at.Sub(since) >= refusalLife {
		delete(v.refusal, refusalKey{node, shape})
		return false
	}
	return ok
}

// bury forgets a dead node.
func (v *view) bury(node ids.NodeID) {
	delete(v.nodes, node)
	for k := range v.refusal {
		if k.node == node {
			delete(v.refusal, k)
		}
	}
}

func sameAmounts(a, b *proto.NodeInfo) bool {
	return maps.Equal(a.GetAvailable().GetQuantity(), b.GetAvailable().GetQuantity()) &&
		maps.Equal(a.GetTotal().GetQuantity(), b.GetTotal().GetQuantity())
}
