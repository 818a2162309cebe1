package refs

import (
	"slices"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// Moved notes that an object of this home is now on another node than one that is about to
// leave. It reports the owner's process, if that lives: it has to be told, and publishes
// anew if it had; and whether anybody may hold the object still.
func (d *Directory) Moved(id ids.ObjectID, from, to ids.NodeID) (owner ids.ProcessID, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.procs[id.Owner.Number] != nil && id.Owner.Node == d.self {
		owner, known = id.Owner, true
	}
	e := d.entries[id]
	if e == nil || e.home == nil || e.gone {
		return owner, known
	}
	h := e.home
	h.copies.add(to)
	stored := h.state.GetStored()
	if at := slices.Index(stored.GetNodes(), uint32(from)); at >= 0 {
		nodes := slices.DeleteFunc(slices.Clone(stored.Nodes), func(n uint32) bool { return n == uint32(to) })
		nodes[slices.Index(nodes, uint32(from))] = uint32(to)
		h.state = &proto.ObjectState{
			Id: h.state.GetId(), Contains: h.state.GetContains(),
			Body: &proto.ObjectState_Stored{Stored: &proto.Stored{Size: stored.GetSize(), Nodes: nodes}},
		}
	}
	return owner, true
}
