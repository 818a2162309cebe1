package lend

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/sched"
)

const (
	// RefusalLife is how long a node that refused a shape isn't asked for it again.
	RefusalLife = time.Second
	// MaxRemote bounds the leases of other nodes, those asked for among them.
	MaxRemote = 4096
	// MaxAsks bounds the requests to other nodes that aren't answered.
	MaxAsks = 64
	// maxClaimed is how many nodes with room that's left for others a demand looks at.
	maxClaimed = 4
	// maxReasons is how many nodes the reason of a wait names.
	maxReasons = 5
)

// Book is what one node knows for lending: what it has, who waits, and what the
// others are believed to have.
type Book struct {
	Ledger *account.Ledger
	Queue  *account.Queue

	self     sched.Node
	cluster  Cluster
	shares   shares
	view     *sched.Snapshot // of cluster; this node among them as of ledgerAt; less what is asked for
	ledgerAt uint64
	refusals map[string][]refusal // by shape
	asks     map[*Ask]struct{}    // not answered
	remote   int
	seed     uint64
}

// Cluster is all nodes as the leader shows them. It isn't changed any more.
type Cluster struct {
	Nodes   *sched.Snapshot
	Total   sched.Resources               // of all nodes
	Used    map[ids.JobID]sched.Resources // on all nodes
	Own     map[ids.JobID]sched.Resources // of it, on this node
	Weights map[ids.JobID]uint32          // of jobs with one other than 1
	Waiting []Rival
}

// refusal is a node's word that it has no room for a shape.
type refusal struct {
	node sched.NodeID
	at   time.Time
}

// Lender carries out what a Book decides.
type Lender interface {
	// Grant lends a worker of this node to the demand, for which hold was taken. The
	// lease counts as begun; whoever has a worker for it calls Queue.Settle. An error
	// says why there is none now.
	Grant(d *account.Demand, hold account.HoldID) error
	// Infeasible hears of each demand that no node could ever meet, whenever that shows.
	Infeasible(d *account.Demand)
	// Bundle takes room for a demand in a bundle of its placement group here, or finds
	// another node that has one and isn't refusing; neither: why it waits.
	Bundle(d *account.Demand, refusing []sched.NodeID) (node ids.NodeID, hold account.HoldID, why string)
	// Ask sends a request to a.Node. Its answer is for Book.Answered.
	Ask(d *account.Demand, a *Ask)
}

// Ask is a request for one lease of another node and, once granted, that lease.
type Ask struct {
	Node  ids.NodeID
	Key   account.Key
	job   ids.JobID
	shape string
	wants sched.Resources
}

// NewBook makes the book of a node that has total, and knows no other yet.
func NewBook(total account.Amounts, labels map[string]string) *Book {
	b := &Book{
		Ledger: account.NewLedger(total), Queue: account.NewQueue(),
		self: sched.Node{Total: sched.FromUnits(total), Labels: labels}, view: sched.NewSnapshot(nil),
		refusals: map[string][]refusal{}, asks: map[*Ask]struct{}{}, shares: newShares(),
	}
	b.cluster.Total = b.self.Total
	b.own()
	return b
}

// Is tells the node's number, once it has one.
func (b *Book) Is(id ids.NodeID) {
	b.view = b.view.Without(b.self.ID)
	b.self.ID = sched.NodeID(id)
	b.seed = uint64(id) << 32 // other than others', who decide by the same view
	b.own()
}

// Learn takes the leader's view of all nodes. This node knows better what it has itself,
// but not whether it is to take anything.
func (b *Book) Learn(c Cluster) {
	view := c.Nodes
	for shape, list := range b.refusals {
		b.keepRefusals(shape, list, func(r refusal) bool {
			was, known := b.view.Node(r.node)
			is, there := view.Node(r.node)
			return known && there && was.Available.Equal(is.Available) && was.Total.Equal(is.Total)
		})
	}
	if n, ok := view.Node(b.self.ID); ok {
		b.self.Draining = n.Draining
	}
	b.cluster, b.view = c, view
	b.own()
	for a := range b.asks {
		b.take(a)
	}
	b.shares.rivals = b.rivals()
}

// Bury forgets a dead node.
func (b *Book) Bury(node ids.NodeID) {
	id := sched.NodeID(node)
	if id == b.self.ID {
		return
	}
	b.view = b.view.Without(id)
	for shape, list := range b.refusals {
		b.keepRefusals(shape, list, func(r refusal) bool { return r.node != id })
	}
}

// own shows this node as the ledger has it.
func (b *Book) own() {
	b.self.Available, b.ledgerAt = sched.FromUnits(b.Ledger.Left()), b.Ledger.Version()
	b.view = b.view.With(b.self)
}

// take takes what is asked for off the node in the picture.
func (b *Book) take(a *Ask) {
	if n, ok := b.view.Node(sched.NodeID(a.Node)); ok {
		n.Available = n.Available.Sub(a.wants)
		b.view = b.view.With(n)
	}
}

// Nodes is the cluster as this node sees it.
func (b *Book) Nodes() *sched.Snapshot {
	if b.ledgerAt != b.Ledger.Version() {
		b.own()
	}
	return b.view
}

// Choose finds a node for one lease; shape is that of its demand.
func (b *Book) Choose(d sched.Demand, shape string, now time.Time) sched.Decision {
	b.seed++
	return sched.Place(b.Nodes(), b.asked(d, shape, now), b.seed)
}

func (b *Book) fit(d sched.Demand) sched.NodeID {
	b.seed++
	return sched.Fit(b.Nodes(), d, b.seed)
}

// asked is a demand as it is here and now.
func (b *Book) asked(d sched.Demand, shape string, now time.Time) sched.Demand {
	d.Local, d.Refused = b.self.ID, b.refusing(shape, now)
	return d
}

// refusing gives the nodes that aren't to be asked for a shape now.
func (b *Book) refusing(shape string, now time.Time) []sched.NodeID {
	list := b.refusals[shape]
	if len(list) == 0 {
		return nil
	}
	list = b.keepRefusals(shape, list, func(r refusal) bool { return now.Sub(r.at) < RefusalLife })
	nodes := make([]sched.NodeID, len(list))
	for i, r := range list {
		nodes[i] = r.node
	}
	return nodes
}

func (b *Book) keepRefusals(shape string, list []refusal, keep func(refusal) bool) []refusal {
	list = slices.DeleteFunc(list, func(r refusal) bool { return !keep(r) })
	if len(list) == 0 {
		delete(b.refusals, shape)
	} else {
		b.refusals[shape] = list
	}
	return list
}

// kind is what demands are that find a place, or none, together.
type kind struct {
	job   ids.JobID
	shape string
}

// Schedule gives what is free to those who wait, in turn.
func (b *Book) Schedule(now time.Time, l Lender) {
	b.compete(now)
	b.shares.contenders, b.shares.held = nil, time.Time{}
	var full map[kind]bool // found no place
	b.Queue.Visit(b.order, func(d *account.Demand) bool {
		k := kind{d.Job, d.Shape}
		if full[k] {
			return false
		}
		if b.place(d, now, l) {
			return true
		}
		if full == nil {
			full = map[kind]bool{}
		}
		full[k] = true
		return false
	})
}

// errAsks is why a demand waits though another node has room.
var errAsks = fmt.Errorf("the node asks for or holds as many leases on other nodes as it may: %d and %d", MaxAsks, MaxRemote)

// place begins one lease of a demand, or notes why there is none.
func (b *Book) place(d *account.Demand, now time.Time, l Lender) bool {
	d.Reason, d.Never = "", false
	if d.InGroup {
		return b.placeInGroup(d, now, l)
	}
	if b.Ledger.Capped(d.Job, d.Resources) {
		d.Reason = "the job runs as many tasks without CPUs here as it may"
		return false
	}
	place := b.asked(d.Place, d.Shape, now)
	if d.Resources[account.GPU] > 0 && !b.Ledger.Fits(d.Job, d.Resources) { // sched knows no devices: two halves of GPUs aren't a whole one
		place.Refused = append(place.Refused, b.self.ID)
	}
	at := b.fit(place)
	for taken := 0; at != 0 && b.claimed(at, d, now); taken++ {
		b.shares.held = now
		if taken == maxClaimed {
			at = 0
		} else {
			place.Refused = append(place.Refused, at)
			at = b.fit(place)
		}
		if at == 0 {
			d.Reason = "a job that has less than this one waits for the room that there is"
			return false
		}
	}
	switch at {
	case 0:
		if d.Never = !sched.Feasible(b.view, d.Place); d.Never {
			l.Infeasible(d)
		}
		return false
	case b.self.ID:
		hold, ok := b.Ledger.Take(d.Job, d.Resources)
		return ok && b.grant(d, hold, l)
	}
	return b.ask(d, ids.NodeID(at), d.Place.Resources, l)
}

// placeInGroup is place for a demand whose room is in bundles, which were taken off
// their nodes when they were reserved.
func (b *Book) placeInGroup(d *account.Demand, now time.Time, l Lender) bool {
	at, hold, why := l.Bundle(d, b.refusing(d.Shape, now))
	switch {
	case hold != 0:
		return b.grant(d, hold, l)
	case at == 0:
		d.Reason = why
		return false
	}
	return b.ask(d, at, sched.Resources{}, l)
}

// ask begins a lease of another node, which takes wants of what that has.
func (b *Book) ask(d *account.Demand, at ids.NodeID, wants sched.Resources, l Lender) bool {
	if len(b.asks) >= MaxAsks || b.remote >= MaxRemote {
		d.Reason = errAsks.Error()
		return false
	}
	a := &Ask{Node: at, Key: d.Key, job: d.Job, shape: d.Shape, wants: wants}
	b.asks[a] = struct{}{}
	b.borrow(a, 1)
	b.take(a)
	b.Queue.Begin(d)
	l.Ask(d, a)
	return true
}

// Why says why a demand waits.
func (b *Book) Why(d *account.Demand, now time.Time) string {
	if d.Reason != "" {
		return d.Reason
	}
	reasons := sched.Explain(b.Nodes(), b.asked(d.Place, d.Shape, now))
	return sched.Sentence(reasons[:min(len(reasons), maxReasons)])
}

// ErrNobody is for a Lender to turn down what is for nobody any more.
var ErrNobody = errors.New("its process has ended")

func (b *Book) grant(d *account.Demand, hold account.HoldID, l Lender) bool {
	key := d.Key
	b.Queue.Begin(d)
	if err := l.Grant(d, hold); err != nil {
		d.Reason = err.Error()
		b.Ledger.Free(hold)
		b.Queue.Settle(key, false)
		return false
	}
	return true
}

// Answered ends a request. It reports whether the lease, if granted, is still wanted; a
// lease that's granted, wanted or not, ends with Ended.
func (b *Book) Answered(a *Ask, granted bool) (wanted bool) {
	delete(b.asks, a)
	if !granted {
		b.borrow(a, -1)
	}
	return b.Queue.Settle(a.Key, granted)
}

// Ended ends a granted lease of another node.
func (b *Book) Ended(a *Ask) { b.borrow(a, -1) }

// Refused notes that a node had no room, or didn't answer. available is what it says that
// it has, nil if it hasn't said.
func (b *Book) Refused(a *Ask, available *sched.Resources, now time.Time) {
	n, ok := b.view.Node(sched.NodeID(a.Node))
	if !ok {
		return
	}
	if available != nil {
		n.Available = *available
		for other := range b.asks {
			if other.Node == a.Node {
				n.Available = n.Available.Sub(other.wants)
			}
		}
		b.view = b.view.With(n)
	}
	list := slices.DeleteFunc(b.refusals[a.shape], func(r refusal) bool { return r.node == n.ID })
	b.refusals[a.shape] = append(list, refusal{n.ID, now})
}
