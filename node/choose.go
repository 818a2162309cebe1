package node

import (
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
)

// choice is the node for a lease, or why there is none.
type choice struct {
	node   ids.NodeID // 0: none now
	reason string
	never  bool // no node of the cluster could ever
}

// chooseLocked has sched pick a node for one lease of a job, the one near the inputs, if
// there is such, before others.
func (n *Node) chooseLocked(j *job, shape string, res account.Amounts, strategy *proto.Strategy, near ids.NodeID) choice {
	d := demandOf(res, strategy)
	if near != 0 {
		d.Inputs = []sched.Locality{{Node: sched.NodeID(near), Bytes: sched.LocalityBytes + 1}} // the process has decided that it's worth it
	}
	d.Local = sched.NodeID(n.id)
	nodes, refused := n.candidatesLocked(j, shape, res)
	n.lastSeed++
	c := sched.Place(sched.NewSnapshot(nodes), d, n.lastSeed)
	if c.Fits {
		return choice{node: ids.NodeID(c.Node)}
	}
	return choice{reason: sched.Sentence(c.Reasons[:min(len(c.Reasons), maxReasons)]), never: !c.Feasible && refused == 0}
}

// maxReasons is how many nodes the reason of a wait names.
const maxReasons = 5

func demandOf(res account.Amounts, s *proto.Strategy) sched.Demand {
	d := sched.Demand{Resources: sched.FromUnits(res)}
	switch s.GetKind() {
	case proto.Strategy_SPREAD:
		d.Strategy = sched.Spread
	case proto.Strategy_AFFINITY:
		d.Strategy, d.Node, d.Soft = sched.Affinity, sched.NodeID(s.Node), s.Soft
	}
	for _, l := range s.GetLabels() { // the operators' numbers are the same; one that's unknown is never met
		d.Selector = append(d.Selector, sched.Selector{Key: l.Key, Op: sched.SelectorOp(l.Op), Values: l.Values})
	}
	return d
}

// candidatesLocked are the nodes that could run the job, but those that refused
// the shape just now.
func (n *Node) candidatesLocked(j *job, shape string, res account.Amounts) (nodes []sched.Node, refused int) {
	runs := j.runsOn()
	if runs(platform) {
		nodes = append(nodes, sched.Node{
			ID: sched.NodeID(n.id), Total: n.totals, Labels: n.cfg.Labels, Available: sched.FromUnits(n.ledger.LeftFor(res)),
			Draining: n.draining != nil,
		})
	}
	at := time.Now()
	for id, i := range n.view.nodes {
		switch {
		case id == n.id || !runs(i.Platform):
		case n.view.refuses(id, shape, at):
			refused++
		default:
			nodes = append(nodes, sched.Node{
				ID: sched.NodeID(id), Total: sched.FromUnits(i.GetTotal().GetQuantity()), Labels: i.Labels,
				Available: sched.FromUnits(i.GetAvailable().GetQuantity()), Draining: i.Draining != nil,
			})
		}
	}
	return nodes, refused
}

// runsOn tells which platforms the job has a binary for.
func (j *job) runsOn() func(string) bool {
	if len(j.spec.GetBinaries()) == 0 { // its driver's own, which runs here or came from a node like this one
		return func(p string) bool { return p == platform }
	}
	return func(p string) bool {
		for _, b := range j.spec.Binaries {
			if b.Platform == p {
				return true
			}
		}
		return false
	}
}
