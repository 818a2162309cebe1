package node

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/node/lend"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
)

const (
	maxClasses = 4096 // of one process with demand at once
	maxAmounts = 64   // resources named by one demand
	// reclaimEvery is how often processes are asked for leases without work
	// while others wait.
	reclaimEvery = 100 * time.Millisecond
)

// lease is a worker lent to a process. Guarded by Node.mu.
type lease struct {
	id     uint64
	owner  *process // of this node; nil when served or when the owner is dead
	class  uint32
	worker *process // of this node; nil when remote
	remote *remote  // the other node's stream
	served *served  // the stream that another node holds
}

// lendLocked gives worker p to owner.
func (n *Node) lendLocked(owner *process, class uint32, p *process, hold account.HoldID) {
	l := n.newLeaseLocked()
	l.owner, l.class, l.worker = owner, class, p
	n.occupyLocked(p, l, hold)
	owner.held[l.id] = l
	owner.push(&proto.ToProcess{Body: &proto.ToProcess_LeaseGrant{LeaseGrant: &proto.LeaseGrant{
		Class: class, Lease: l.id, Node: uint32(n.id), Process: p.id.Number, Address: p.listen, Pid: int32(p.pid),
		Gpus: n.ledger.Devices(hold),
	}}})
}

func (n *Node) newLeaseLocked() *lease {
	n.lastLease++
	l := &lease{id: n.lastLease}
	n.leases[l.id] = l
	return l
}

func (n *Node) occupyLocked(p *process, l *lease, hold account.HoldID) {
	n.progress.zero(p.slot)
	p.state, p.lease, p.hold, p.blocked = leased, l, hold, false
}

// endLeaseLocked takes a lease back whose worker, if it's here, is in order.
func (n *Node) endLeaseLocked(l *lease) {
	n.forgetLeaseLocked(l)
	if l.remote != nil {
		l.remote.giveBack()
		return
	}
	p := l.worker
	n.ledger.Free(p.hold)
	p.lease = nil
	n.readyLocked(p)
}

func (n *Node) forgetLeaseLocked(l *lease) {
	delete(n.leases, l.id)
	if l.owner != nil {
		delete(l.owner.held, l.id)
	}
}

// leaseGoneLocked ends a lease whose worker died, and tells its owner.
func (n *Node) leaseGoneLocked(l *lease, died *proto.WorkerDied) {
	n.forgetLeaseLocked(l)
	switch {
	case l.served != nil:
		l.served.end(died)
	case l.owner != nil:
		l.owner.push(&proto.ToProcess{Body: &proto.ToProcess_LeaseGone{LeaseGone: &proto.LeaseGone{Lease: l.id, Died: died}}})
	}
}

// ownerEndedLocked ends what a dead process had asked for and held. Its workers
// may be running its tasks: they are killed.
func (n *Node) ownerEndedLocked(p *process) {
	n.queue.RemoveProcess(p.id)
	if j := p.job; j != nil {
		kept := j.waiting[:0:0]
		for _, t := range j.waiting {
			if t.actor == nil && t.served == nil && t.key.Process == p.id {
				n.ledger.Free(t.hold)
				continue
			}
			kept = append(kept, t)
		}
		j.waiting = kept
	}
	for _, l := range p.held {
		l.owner = nil
		if l.remote != nil {
			delete(n.leases, l.id)
			l.remote.abandon()
			continue
		}
		n.dismissLocked(l.worker, "its owner "+p.name()+" has ended")
	}
	clear(p.held)
}

// leaseReturn is a process's LeaseReturn.
func (n *Node) leaseReturn(p *process, r *proto.LeaseReturn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := p.held[r.Lease]
	switch {
	case l == nil: // it went with its worker
	case r.Broken && l.remote != nil:
		l.remote.abandon()
	case r.Broken:
		l.worker.kill("its owner " + p.name() + " lost the connection to it")
	default:
		n.endLeaseLocked(l)
		n.scheduleLocked()
	}
}

// blocked is a process's Blocked: its CPUs are lent out, or taken again.
func (n *Node) blocked(p *process, on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.blocked == on || p.state == gone || p.hold == 0 {
		return
	}
	p.blocked = on
	if on {
		n.ledger.Lend(p.hold)
		n.scheduleLocked()
		return
	}
	n.ledger.Reclaim(p.hold)
	n.changed()
}

// leaseDemand is a process's LeaseDemand.
func (n *Node) leaseDemand(p *process, d *proto.LeaseDemand) error {
	res := d.GetResources().GetQuantity()
	if len(res) > maxAmounts {
		return fmt.Errorf("%w: a demand names %d resources", ErrBadFrame, len(res))
	}
	for name, q := range res {
		if q < 0 {
			return fmt.Errorf("%w: a demand for %d of %q", ErrBadFrame, q, name)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.state == gone || p.job.ended || n.closing {
		return nil
	}
	p.reach = true
	key := account.Key{Process: p.id, Class: d.Class}
	if n.queue.Get(key) == nil && n.queue.Len() >= maxClasses+n.demandsOfOthersLocked(p) {
		return fmt.Errorf("%w: demands of over %d classes", ErrBadFrame, maxClasses)
	}
	n.queue.Set(account.Demand{
		Key: key, Job: p.job.id, Resources: res, Strategy: d.Strategy, Shape: shapeOf(res, d.Strategy), InGroup: len(d.GetStrategy().GetGroup()) > 0,
		Place: placeOf(p.job, res, d.Strategy, ids.NodeID(d.Near)), Workers: d.Environment,
		Want: int(min(d.Want, 1<<20)), Backlog: int(d.Backlog),
	})
	n.scheduleLocked()
	if d.GetStrategy().GetKind() == proto.Strategy_AFFINITY {
		n.failLostLocked(0)
	}
	return nil
}

// demandsOfOthersLocked is only computed when the queue is long.
func (n *Node) demandsOfOthersLocked(p *process) int {
	if n.queue.Len() < maxClasses {
		return 0
	}
	others := 0
	for _, d := range n.queue.Waiting() {
		if d.Process != p.id {
			others++
		}
	}
	return others
}

// shapeOf is equal for demands that are placed alike.
func shapeOf(res account.Amounts, s *proto.Strategy) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(res)) {
		fmt.Fprintf(&b, "%q:%d,", name, res[name])
	}
	if s != nil {
		raw, _ := protobuf.MarshalOptions{Deterministic: true}.Marshal(s)
		b.Write(raw)
	}
	return b.String()
}

// scheduleLocked gives what is free to those who wait, in turn.
func (n *Node) scheduleLocked() {
	n.changed()
	if n.closing {
		return
	}
	n.reserveWaitingLocked()
	n.tellRoomLocked()
	n.book.Schedule(time.Now(), lender{n})
	n.failHopelessLocked()
	n.reclaimLocked()
}

// failLostLocked fails demands that must be on a node that isn't in the cluster. One that no
// view has shown yet may come with the next; but not late, which would have.
func (n *Node) failLostLocked(late ids.NodeID) {
	for _, d := range n.queue.Waiting() {
		at := ids.NodeID(d.Place.Node)
		if !d.Never || d.Place.Strategy != sched.Affinity || d.Place.Soft || len(d.Place.Fallback) > 0 || n.view.nodes[at] != nil || at == n.id {
			continue
		}
		if at != late && !n.peers.gone(at) {
			if late == 0 {
				n.failLateLocked(at)
			}
			continue
		}
		n.failDemandLocked(d, problem(proto.Error_UNSCHEDULABLE, "it must run on node %s, which is not in the cluster", at))
	}
}

// failDemandLocked ends a demand that can't be met: who stated it hears why.
func (n *Node) failDemandLocked(d *account.Demand, why *proto.Error) {
	n.queue.Remove(d.Key)
	if p := n.processes[d.Process.Number]; p != nil {
		p.push(&proto.ToProcess{Body: &proto.ToProcess_LeaseGone{LeaseGone: &proto.LeaseGone{Class: d.Class, Died: &proto.WorkerDied{Error: why}}}})
	}
}

// failLateLocked fails those that must be on a node which no view has shown in time.
func (n *Node) failLateLocked(node ids.NodeID) {
	time.AfterFunc(viewWait, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if !n.closing {
			n.failLostLocked(node)
		}
	})
}

// lender carries out what the book decides. Its methods are called under Node.mu.
type lender struct{ n *Node }

// Infeasible has people told.
func (l lender) Infeasible(d *account.Demand) { l.n.noteInfeasibleLocked(d) }

func (l lender) Grant(d *account.Demand, hold account.HoldID) error {
	j := l.n.jobs[d.Job]
	if j == nil || j.ended || l.n.processes[d.Process.Number] == nil {
		return lend.ErrNobody
	}
	env, _ := d.Workers.(*proto.Environment)
	if !j.hasIdle(env) && len(l.n.processes) >= maxProcesses {
		return ErrTooManyProcesses
	}
	l.n.awaitWorkerLocked(&ticket{job: j, env: env, hold: hold, key: d.Key})
	return nil
}

// reclaimLocked asks processes for leases when somebody else waits, now and again as
// long as that lasts: for those that they don't use, and for some that they use if the
// other's turn is before theirs.
func (n *Node) reclaimLocked() {
	if n.reclaiming || !n.queue.HasWaiting() && !n.book.Contended(0) {
		return
	}
	if wait := reclaimEvery - time.Since(n.reclaimed); wait > 0 {
		n.reclaimAfterLocked(wait)
		return
	}
	waiting := n.queue.Waiting()
	n.reclaimed = time.Now()
	yields := map[ids.JobID]bool{}
	asked := false
	for _, p := range n.processes {
		if len(p.held) == 0 {
			continue
		}
		job := p.job.id
		if _, known := yields[job]; !known {
			yields[job] = n.book.Yields(job, n.reclaimed)
		}
		all, idle := yields[job], n.book.Contended(job)
		for _, d := range waiting {
			all = all || !d.Never && d.Job == job && servesOther(p, d)
			idle = idle || !d.Never && d.Job != job
		}
		if all || idle {
			p.push(&proto.ToProcess{Body: &proto.ToProcess_ReclaimLeases{ReclaimLeases: &proto.ReclaimLeases{Idle: !all}}})
			asked = true
		}
	}
	if asked || !n.book.Held().IsZero() {
		n.reclaimAfterLocked(reclaimEvery)
	}
}

// servesOther reports whether a lease held by p could serve a demand of its job other
// than the one that it was granted for.
func servesOther(p *process, d *account.Demand) bool {
	for _, l := range p.held {
		if d.Process != p.id || d.Class != l.class {
			return true
		}
	}
	return false
}

func (n *Node) reclaimAfterLocked(wait time.Duration) {
	n.reclaiming = true
	time.AfterFunc(wait, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.reclaiming = false
		if n.closing {
			return
		}
		if held := n.book.Held(); !held.IsZero() && time.Since(held) >= lend.ClaimLife {
			n.scheduleLocked()
		} else {
			n.reclaimLocked()
		}
	})
}
