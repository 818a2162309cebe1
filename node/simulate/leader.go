package simulate

import (
	"slices"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/node/lend"
	"github.com/gray-runtime/gray/sched"
)

// leader makes views of what nodes report, and places groups.
type leader struct {
	c       *cluster
	nodes   []sched.Node // by number, less 1; number 0 if it isn't there
	used    []map[ids.JobID]sched.Resources
	waiting [][]lend.Rival
	dirty   bool
	sending bool
	sent    time.Duration
	shown   *view // the newest that nodes have
	last    uint64

	board  *sched.Snapshot // what it places groups by; nil: to be made
	groups []*group        // that wait, in order
	held   []map[*group]sched.Resources
}

type view struct {
	number  uint64
	cluster lend.Cluster
	own     map[ids.NodeID]map[ids.JobID]sched.Resources
}

func newLeader(c *cluster, nodes int) *leader {
	return &leader{
		c: c, nodes: make([]sched.Node, nodes), used: make([]map[ids.JobID]sched.Resources, nodes), waiting: make([][]lend.Rival, nodes),
		held: make([]map[*group]sched.Resources, nodes),
	}
}

// report takes what a node says of itself.
func (l *leader) report(n *node) {
	i := int(n.id) - 1
	if n.dead {
		return
	}
	l.nodes[i] = sched.Node{
		ID: sched.NodeID(n.id), Total: n.kind.total, Available: sched.FromUnits(n.book.Ledger.Available()), Labels: n.kind.labels,
	}
	byJob := n.book.Ledger.ByJob()
	l.used[i] = make(map[ids.JobID]sched.Resources, len(byJob))
	for job, used := range byJob {
		l.used[i][job] = sched.FromUnits(used)
	}
	l.waiting[i] = nil
	for _, d := range n.book.Queue.Waiting() {
		if !d.Never && len(l.waiting[i]) < maxPending {
			l.waiting[i] = append(l.waiting[i], lend.Rival{Node: n.id, Job: d.Job, Shape: d.Shape, Demand: d.Place, Count: d.Open()})
		}
	}
	l.change()
	l.board = nil
	l.placeGroups()
}

// lost forgets a dead node.
func (l *leader) lost(n *node) {
	i := int(n.id) - 1
	l.nodes[i], l.used[i], l.waiting[i] = sched.Node{}, nil, nil
	l.board = nil
	l.change()
}

// change has a view sent, not too soon after the last.
func (l *leader) change() {
	l.dirty = true
	if l.sending {
		return
	}
	l.sending = true
	delay := max(viewDelay, time.Duration(len(l.nodes))*viewPerNode)
	wait := delay - (l.c.now - l.sent)
	if l.sent == 0 {
		wait = viewDelay
	}
	l.c.after(wait, func() {
		l.sending, l.dirty, l.sent = false, false, l.c.now
		v := l.make()
		l.c.after(l.c.cfg.Delay, func() {
			l.shown = v
			for _, o := range l.c.owners {
				if o.node.book.Queue.HasWaiting() || len(v.cluster.Waiting) > 0 {
					o.node.schedule()
				}
			}
		})
	})
}

func (l *leader) make() *view {
	l.last++
	v := &view{number: l.last, own: make(map[ids.NodeID]map[ids.JobID]sched.Resources, len(l.nodes))}
	c := &v.cluster
	c.Nodes = sched.NewSnapshot(slices.Clone(l.nodes))
	c.Total, c.Used, c.Weights = l.c.total, map[ids.JobID]sched.Resources{}, l.c.weights
	for i := range l.nodes {
		if len(l.used[i]) > 0 {
			v.own[ids.NodeID(i+1)] = l.used[i]
		}
		for job, used := range l.used[i] {
			c.Used[job] = c.Used[job].Add(used)
		}
		c.Waiting = append(c.Waiting, l.waiting[i]...)
	}
	return v
}

// group is a placement group: bundles that live together for a while.
type group struct {
	came    time.Duration
	bundles []sched.Bundle
	kind    sched.BundleStrategy
	takes   time.Duration
	nodes   []sched.NodeID
	holds   []account.HoldID
	answers int
	refused bool
}

// placeGroups finds nodes for the groups that wait: decided here, confirmed by the nodes.
func (l *leader) placeGroups() {
	for len(l.groups) > 0 {
		g := l.groups[0]
		if l.board == nil {
			l.board = l.newBoard()
		}
		l.c.seed++
		began := time.Now()
		nodes, ok, _ := sched.PlaceBundles(l.board, g.bundles, g.kind, l.c.seed)
		l.c.groupTimes.add(time.Since(began))
		if !ok {
			return
		}
		l.groups = l.groups[1:]
		g.nodes, g.holds, g.answers, g.refused = nodes, make([]account.HoldID, len(nodes)), 0, false
		for i, at := range nodes {
			l.hold(at, g, g.bundles[i].Resources)
			l.c.after(l.c.cfg.Delay, func() { l.reserve(g, i) })
		}
	}
}

// newBoard is the nodes less what is on its way to them.
func (l *leader) newBoard() *sched.Snapshot {
	nodes := slices.Clone(l.nodes)
	for i := range nodes {
		for _, r := range l.held[i] {
			nodes[i].Available = nodes[i].Available.Sub(r)
		}
	}
	return sched.NewSnapshot(nodes)
}

func (l *leader) hold(at sched.NodeID, g *group, r sched.Resources) {
	if l.held[at-1] == nil {
		l.held[at-1] = map[*group]sched.Resources{}
	}
	l.held[at-1][g] = l.held[at-1][g].Add(r)
	n, _ := l.board.Node(at)
	n.Available = n.Available.Sub(r)
	l.board = l.board.With(n)
}

// reserve is a node's part: it holds a bundle, or refuses.
func (l *leader) reserve(g *group, i int) {
	n := l.c.node(ids.NodeID(g.nodes[i]))
	hold, ok := account.HoldID(0), !n.dead
	if ok {
		hold, ok = n.book.Ledger.TakeForLife(groupJob, g.bundles[i].Resources.ToUnits())
	}
	if g.holds[i] = hold; ok {
		n.changed()
	}
	l.c.after(l.c.cfg.Delay, func() { l.confirmed(g, ok) })
}

// groupJob is the job of all groups.
const groupJob = 1 << 20

// confirmed takes a node's answer: all hold their bundles, or none.
func (l *leader) confirmed(g *group, ok bool) {
	g.refused = g.refused || !ok
	if g.answers++; g.answers < len(g.nodes) {
		return
	}
	for _, at := range g.nodes {
		delete(l.held[at-1], g)
	}
	l.board = nil
	if g.refused {
		l.c.result.Refusals++
		g.release(l.c)
		l.groups = append(l.groups, g)
		return
	}
	l.c.waits.add(l.c.now - g.came)
	l.c.settle()
	l.c.inUse += float64(len(g.nodes))
	l.c.after(g.takes, func() {
		l.c.settle()
		l.c.inUse -= float64(len(g.nodes))
		g.release(l.c)
		l.c.left--
	})
}

func (g *group) release(c *cluster) {
	for i, at := range g.nodes {
		n := c.node(ids.NodeID(at))
		n.book.Ledger.Free(g.holds[i])
		n.changed()
	}
}
