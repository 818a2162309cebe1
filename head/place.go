package head

import (
	"slices"
	"strings"

	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
	"github.com/gray-runtime/gray/sched/demand"
)

// maxReasons is how many nodes the reason of a wait names.
const maxReasons = 5

// wanted is what needs a node.
type wanted struct {
	resources *proto.Resources
	strategy  *proto.Strategy
	platforms []string          // that its binary is for; none: any
	refused   map[uint32]uint64 // nodes that refused it, and how many reports they had sent by then
	local     uint32            // node that is nearer than others
}

// decision is a node, or why there is none.
type decision struct {
	node     uint32
	feasible bool // some node could ever run it
	reason   string
}

// board is the leader's picture of the nodes while it places something; what
// it gives away is gone from it. It's used under leader.mu and then dropped.
type board struct {
	l         *leader
	snapshots map[string]*sched.Snapshot // by platforms
}

func (l *leader) newBoard() *board { return &board{l: l, snapshots: map[string]*sched.Snapshot{}} }

// snapshot holds the connected nodes that a binary can run on.
func (b *board) snapshot(platforms []string) *sched.Snapshot {
	key := strings.Join(platforms, ",")
	if s := b.snapshots[key]; s != nil {
		return s
	}
	var nodes []sched.Node
	for _, m := range b.l.members {
		if m.session != nil && (len(platforms) == 0 || slices.Contains(platforms, m.info.Platform)) {
			nodes = append(nodes, m.node())
		}
	}
	s := sched.NewSnapshot(nodes)
	b.snapshots[key] = s
	return s
}

// node is a member as sched sees it: what it reported, less what is on its way.
func (m *member) node() sched.Node {
	free := sched.FromUnits(m.info.GetAvailable().GetQuantity())
	free = free.Add(sched.FromUnits(m.info.GetBundled().GetQuantity())).Sub(m.bundled) // as ordered, whether it was done yet or not
	for _, r := range m.held {
		free = free.Sub(sched.FromUnits(r.GetQuantity()))
	}
	queued := 0
	for _, p := range m.info.Pending {
		queued += int(p.Count)
	}
	return sched.Node{
		ID: sched.NodeID(m.id), Total: sched.FromUnits(m.info.GetTotal().GetQuantity()), Available: free,
		Labels: m.info.Labels, Queued: queued, Draining: m.draining != nil,
	}
}

// place finds a node that has room now.
func (b *board) place(w wanted) decision {
	if len(w.strategy.GetGroup()) > 0 {
		return b.l.placeInGroupLocked(w)
	}
	s := b.snapshot(w.platforms)
	for id, at := range w.refused {
		if m := b.l.members[id]; m != nil && m.reports == at { // nothing has changed there since
			s = s.Without(sched.NodeID(id))
		}
	}
	b.l.seed++
	asked := demand.Of(w.resources.GetQuantity(), w.strategy)
	asked.Local = sched.NodeID(w.local)
	d := sched.Place(s, asked, b.l.seed)
	if d.Fits {
		return decision{node: uint32(d.Node), feasible: true}
	}
	return decision{feasible: d.Feasible || len(w.refused) > 0, reason: sentence(d.Reasons, w.platforms)}
}

// take gives a node's resources away.
func (b *board) take(node uint32, r *proto.Resources) {
	for key, s := range b.snapshots {
		if n, ok := s.Node(sched.NodeID(node)); ok {
			n.Available = n.Available.Sub(sched.FromUnits(r.GetQuantity()))
			b.snapshots[key] = s.With(n)
		}
	}
}

func sentence(reasons []sched.Reason, platforms []string) string {
	var parts []string
	for _, r := range reasons {
		if r.Kind == sched.NoNodes && len(platforms) > 0 {
			parts = append(parts, "no connected node runs "+strings.Join(platforms, " or "))
			continue
		}
		parts = append(parts, r.String())
	}
	if len(parts) > maxReasons {
		parts = append(parts[:maxReasons], "…")
	}
	return strings.Join(parts, "; ")
}
