package node

import (
	"maps"
	"slices"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/lend"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
	"github.com/gray-runtime/gray/sched/demand"
)

// view is the cluster as the leader showed it last; what lending makes of it is the
// book's. Guarded by Node.mu.
type view struct {
	version uint64
	nodes   map[ids.NodeID]*proto.NodeInfo
	labels  map[ids.NodeID]map[string]string // for sched
}

// replace takes a newer view. It reports whether it is one.
func (v *view) replace(w *proto.View) bool {
	if w.GetVersion() < v.version {
		return false
	}
	v.version = w.GetVersion()
	labels := v.labels
	v.nodes = make(map[ids.NodeID]*proto.NodeInfo, len(w.GetNodes()))
	v.labels = make(map[ids.NodeID]map[string]string, len(w.GetNodes()))
	for _, i := range w.GetNodes() {
		if id := ids.NodeID(i.Id); i.Alive {
			v.nodes[id] = i
			v.labels[id] = labelsOf(i.Labels, i.Platform, labels[id])
		}
	}
	return true
}

// cluster is the view for lending.
func (v *view) cluster(self ids.NodeID, waiting []*proto.PendingDemand) lend.Cluster {
	c := lend.Cluster{Used: map[ids.JobID]sched.Resources{}, Own: map[ids.JobID]sched.Resources{}, Weights: map[ids.JobID]uint32{}}
	nodes := make([]sched.Node, 0, len(v.nodes))
	for _, id := range slices.Sorted(maps.Keys(v.nodes)) {
		i := v.nodes[id]
		n := sched.Node{
			ID: sched.NodeID(id), Total: sched.FromUnits(i.GetTotal().GetQuantity()),
			Available: sched.FromUnits(i.GetAvailable().GetQuantity()), Labels: v.labels[id], Draining: i.Draining != nil,
		}
		nodes = append(nodes, n)
		c.Total = c.Total.Add(n.Total)
		for _, u := range i.Jobs {
			job, used := ids.JobID(u.Job), sched.FromUnits(u.GetUsed().GetQuantity())
			c.Used[job] = c.Used[job].Add(used)
			if id == self {
				c.Own[job] = used
			}
		}
		addRivals(&c, id, i.Pending)
	}
	addRivals(&c, 0, waiting)
	c.Nodes = sched.NewSnapshot(nodes)
	return c
}

// addRivals adds what waits on a node, or at the leader (0).
func addRivals(c *lend.Cluster, at ids.NodeID, pending []*proto.PendingDemand) {
	for _, p := range pending {
		job := ids.JobID(p.Job)
		if p.Weight > 1 {
			c.Weights[job] = p.Weight
		}
		if !p.Infeasible && len(p.GetStrategy().GetGroup()) == 0 {
			res := p.GetResources().GetQuantity()
			c.Waiting = append(c.Waiting, lend.Rival{
				Node: at, Job: job, Shape: shapeOf(res, p.Strategy), Demand: demand.Of(res, p.Strategy), Count: int(p.Count),
			})
		}
	}
}

// learnLocked takes a view of the cluster from the leader.
func (n *Node) learnLocked(w *proto.View) {
	if n.view.replace(w) {
		n.book.Learn(n.view.cluster(n.id, w.Waiting))
	}
	n.scheduleLocked()
}
