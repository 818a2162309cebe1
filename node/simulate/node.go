package simulate

import (
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/node/lend"
	"github.com/gray-runtime/gray/sched"
)

// What surrounds the protocol, as in packages node and head.
const (
	localDelay  = 50 * time.Microsecond // between a process and its node
	reportDelay = 20 * time.Millisecond
	viewDelay   = 20 * time.Millisecond // at least, and so much a node
	viewPerNode = 500 * time.Microsecond
	reclaimEach = 100 * time.Millisecond
	maxPending  = 64 // shapes that a node reports
)

// node is a machine: its book, and the workers that it would have started.
type node struct {
	c      *cluster
	id     ids.NodeID
	kind   *machine
	book   *lend.Book
	idle   map[ids.JobID]int // workers
	owners []*owner
	leases map[*lease]struct{} // of this node's workers
	dead   bool
	life   int    // counts what it began anew as
	view   uint64 // the newest that its book has learned

	reporting  bool
	reclaiming bool
	reclaimed  time.Duration
}

func (c *cluster) addNode(id ids.NodeID, kind *machine) *node {
	n := &node{c: c, id: id, kind: kind}
	n.begin()
	return n
}

// begin makes the node one that has just joined.
func (n *node) begin() {
	n.book = lend.NewBook(n.kind.has, n.kind.labels)
	n.book.Is(n.id)
	n.idle, n.leases = map[ids.JobID]int{}, map[*lease]struct{}{}
	n.dead, n.view = false, 0
	n.life++
	n.changed()
}

// lease is a worker lent to an owner.
type lease struct {
	of       *class
	at       *node // whose worker it is
	hold     account.HoldID
	ask      *lend.Ask // if at isn't the owner's node
	since    time.Duration
	running  bool
	started  time.Duration // of what runs
	draining bool
	over     bool
	idle     time.Duration
}

// Grant lends a worker of this node.
func (n *node) Grant(d *account.Demand, hold account.HoldID) error {
	n.c.decided()
	key, class := d.Key, n.c.classes[d.Key]
	life := n.life
	n.withWorker(d.Job, func() {
		switch wanted := n.life == life && n.book.Queue.Settle(key, true); {
		case n.life != life:
		case !wanted:
			n.free(hold, class.owner.job)
		default:
			class.granted(n.lend(class, hold, nil))
		}
	})
	return nil
}

func (n *node) lend(class *class, hold account.HoldID, a *lend.Ask) *lease {
	l := &lease{of: class, at: n, hold: hold, ask: a, since: n.c.now}
	n.leases[l] = struct{}{}
	return l
}

// withWorker goes on when there's a worker: an idle one of the job's, or a new one.
func (n *node) withWorker(job ids.JobID, do func()) {
	if n.idle[job] > 0 {
		n.idle[job]--
		do()
		return
	}
	n.c.after(n.c.cfg.WorkerStart, do)
}

// free takes a worker back with what was held for it.
func (n *node) free(hold account.HoldID, job ids.JobID) {
	n.book.Ledger.Free(hold)
	if n.idle[job] < n.kind.cpus() {
		n.idle[job]++
	}
	n.schedule()
}

// Infeasible has nobody to tell.
func (n *node) Infeasible(*account.Demand) {}

// Bundle is for demands in placement groups: here what runs in a group is its own.
func (n *node) Bundle(*account.Demand, []sched.NodeID) (ids.NodeID, account.HoldID, string) {
	return 0, 0, "its group has no room"
}

// Ask asks another node, which grants what it has room for.
func (n *node) Ask(d *account.Demand, a *lend.Ask) {
	n.c.decided()
	other, class, job, res := n.c.node(a.Node), n.c.classes[d.Key], d.Job, d.Resources
	life := other.life
	answer := func(l *lease, available *sched.Resources) {
		n.c.after(n.c.cfg.Delay, func() { n.answered(a, l, available) })
	}
	n.c.after(n.c.cfg.Delay, func() {
		if other.dead || other.life != life {
			answer(nil, nil)
			return
		}
		hold, ok := other.book.Ledger.Take(job, res)
		if !ok {
			left := sched.FromUnits(other.book.Ledger.Available())
			n.c.result.Refusals++
			answer(nil, &left)
			return
		}
		other.changed()
		other.withWorker(job, func() {
			if other.life != life {
				answer(nil, nil)
				return
			}
			answer(other.lend(class, hold, a), nil)
		})
	})
}

// answered is another node's word on a request.
func (n *node) answered(a *lend.Ask, l *lease, available *sched.Resources) {
	wanted := n.book.Answered(a, l != nil)
	if l == nil {
		n.book.Refused(a, available, n.c.clock())
		n.schedule()
		n.c.after(lend.RefusalLife, func() {
			if n.book.Queue.HasWaiting() {
				n.schedule()
			}
		})
		return
	}
	if l.over { // its node has died meanwhile
		n.book.Ended(a)
		n.schedule()
		return
	}
	if !wanted {
		l.giveBack()
		return
	}
	l.of.granted(l)
	n.schedule() // another may be asked for instead
}

// giveBack returns the worker to its node.
func (l *lease) giveBack() {
	l.over = true
	if l.ask == nil {
		delete(l.at.leases, l)
		l.at.free(l.hold, l.of.owner.job)
		return
	}
	life := l.at.life
	l.of.owner.node.book.Ended(l.ask)
	l.of.c.after(l.of.c.cfg.Delay, func() {
		if l.at.life == life && !l.at.dead {
			delete(l.at.leases, l)
			l.at.free(l.hold, l.of.owner.job)
		}
	})
}

// schedule gives what is free to those who wait.
func (n *node) schedule() {
	n.changed()
	if n.dead {
		return
	}
	n.learn()
	if n.book.Queue.HasWaiting() {
		n.c.began = time.Now()
		n.book.Schedule(n.c.clock(), n)
	}
	n.reclaim()
}

// learn takes the leader's newest view that has arrived, when it's needed.
func (n *node) learn() {
	if v := n.c.leader.shown; v != nil && n.view < v.number {
		n.view = v.number
		seen := v.cluster
		seen.Own = v.own[n.id]
		n.book.Learn(seen)
	}
}

// reclaim asks owners here for leases while others wait, as node/lease.go does.
func (n *node) reclaim() {
	if n.reclaiming || len(n.owners) == 0 || !n.book.Queue.HasWaiting() && !n.book.Contended(0) {
		return
	}
	if wait := reclaimEach - (n.c.now - n.reclaimed); n.reclaimed > 0 && wait > 0 {
		n.reclaimAfter(wait)
		return
	}
	n.reclaimed = n.c.now
	waiting := n.book.Queue.Waiting()
	asked := false
	for _, o := range n.owners {
		all, idle := n.book.Yields(o.job, n.c.clock()), n.book.Contended(o.job)
		for _, d := range waiting {
			all = all || !d.Never && d.Job == o.job && o.holdsOther(d.Key)
			idle = idle || !d.Never && d.Job != o.job
		}
		if (all || idle) && o.held() {
			asked = true
			n.c.after(localDelay, func() { o.giveUp(all) })
		}
	}
	if asked || !n.book.Held().IsZero() {
		n.reclaimAfter(reclaimEach)
	}
}

func (n *node) reclaimAfter(wait time.Duration) {
	n.reclaiming = true
	n.c.after(wait, func() {
		n.reclaiming = false
		if held := n.book.Held(); !held.IsZero() && n.c.clock().Sub(held) >= lend.ClaimLife {
			n.schedule()
		} else {
			n.reclaim()
		}
	})
}

// changed has the node report soon.
func (n *node) changed() {
	if n.reporting {
		return
	}
	n.reporting = true
	n.c.after(reportDelay+n.c.cfg.Delay, func() {
		n.reporting = false
		n.c.leader.report(n)
	})
}
