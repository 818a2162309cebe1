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
	"github.com/gray-runtime/gray/proto"
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
		l.worker.kill("its owner " + p.name() + " has ended")
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
		Key: key, Job: p.job.id, Resources: res, Strategy: d.Strategy, Shape: shapeOf(res, d.Strategy), Near: ids.NodeID(d.Near),
		Workers: d.Environment, Want: int(min(d.Want, 1<<20)), Backlog: int(d.Backlog),
	})
	n.scheduleLocked()
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
	full := map[string]bool{} // shapes that found no place
	n.queue.Visit(func(d *account.Demand) bool {
		key := fmt.Sprintf("%d|%s", d.Job, d.Shape)
		if full[key] {
			return false
		}
		if n.placeLocked(d) {
			return true
		}
		full[key] = true
		return false
	})
	n.reclaimLocked()
}

// placeLocked begins or grants one lease of the demand, if there is a place.
func (n *Node) placeLocked(d *account.Demand) bool {
	j, owner := n.jobs[d.Job], n.processes[d.Process.Number]
	if j == nil || j.ended || owner == nil {
		return false
	}
	strategy, _ := d.Strategy.(*proto.Strategy)
	if n.ledger.Capped(d.Job, d.Resources) {
		d.Reason = "the job runs as many tasks without CPUs here as it may"
		return false
	}
	c := n.chooseLocked(j, d.Shape, d.Resources, strategy, d.Near)
	d.Reason, d.Never = c.reason, c.never
	switch c.node {
	case 0:
		return false
	case n.id:
		return n.grantHereLocked(j, owner, d)
	}
	return n.askLocked(j, owner, d, c.node)
}

func (n *Node) grantHereLocked(j *job, owner *process, d *account.Demand) bool {
	env, _ := d.Workers.(*proto.Environment)
	if !j.hasIdle(env) && len(n.processes) >= maxProcesses {
		d.Reason = ErrTooManyProcesses.Error()
		return false
	}
	hold, ok := n.ledger.Take(d.Job, d.Resources)
	if !ok {
		return false
	}
	if p := n.popIdleLocked(j, env); p != nil {
		n.queue.Granted(d)
		n.lendLocked(owner, d.Class, p, hold)
		return true
	}
	n.queue.Begin(d)
	n.awaitWorkerLocked(&ticket{job: j, env: env, hold: hold, key: d.Key})
	return true
}

// reclaimLocked asks processes for leases that they don't use when somebody
// else waits, now and again as long as that lasts.
func (n *Node) reclaimLocked() {
	if n.reclaiming || !n.queue.HasWaiting() {
		return
	}
	if wait := reclaimEvery - time.Since(n.reclaimed); wait > 0 {
		n.reclaimAfterLocked(wait)
		return
	}
	waiting := n.queue.Waiting()
	asked := false
	for _, p := range n.processes {
		if len(p.held) > 0 && waitsForOthers(p, waiting) {
			p.push(&proto.ToProcess{Body: &proto.ToProcess_ReclaimLeases{ReclaimLeases: &proto.ReclaimLeases{}}})
			asked = true
		}
	}
	n.reclaimed = time.Now()
	if asked {
		n.reclaimAfterLocked(reclaimEvery)
	}
}

// waitsForOthers reports whether a lease held by p could serve a demand other
// than the one it was granted for.
func waitsForOthers(p *process, waiting []*account.Demand) bool {
	for _, l := range p.held {
		for _, d := range waiting {
			if !d.Never && (d.Process != p.id || d.Class != l.class) {
				return true
			}
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
		if !n.closing {
			n.reclaimLocked()
		}
	})
}
