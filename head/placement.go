package head

import (
	"container/heap"
	"fmt"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
)

// unit is one of a resource, in the units of proto.Resources.
const unit = 10_000

// platformsOf are those that a job's processes can run on.
func (l *leader) platformsOf(spec *proto.JobSpec) []string {
	var out []string
	for _, b := range spec.GetBinaries() {
		out = append(out, b.Platform)
	}
	if origin := l.members[spec.GetOrigin()]; len(out) == 0 && origin != nil && origin.info.Platform != "" {
		out = append(out, origin.info.Platform)
	}
	return out
}

// chooseLocked finds a node for an actor that is about to be created, and holds
// its resources there; 0: it has to wait.
func (l *leader) chooseLocked(spec *proto.ActorSpec) uint32 {
	if !l.leads || l.actors.len() > 0 {
		return 0 // others wait longer
	}
	var job *fsm.Job
	l.h.replica.read(func(s *fsm.State) { job = s.Job(spec.GetJob()) })
	if job == nil {
		return 0
	}
	d := l.newBoard().place(wanted{resources: spec.Resources, strategy: spec.Strategy, platforms: l.platformsOf(job.Spec), local: spec.CreatorNode})
	if d.node != 0 {
		l.members[d.node].held[string(spec.Id)] = ofNode(spec)
		l.placed[string(spec.Id)] = d.node
	}
	return d.node
}

// holdLocked keeps resources for an actor that was placed.
func (l *leader) holdLocked(a *fsm.Actor) {
	id := string(a.Spec.Id)
	if m := l.members[a.Node]; m != nil {
		l.releaseLocked(id)
		m.held[id] = ofNode(a.Spec)
		l.placed[id] = a.Node
	}
}

// releaseLocked ends what holdLocked began.
func (l *leader) releaseLocked(id string) {
	if m := l.members[l.placed[id]]; m != nil {
		delete(m.held, id)
	}
	delete(l.placed, id)
}

// waitsLocked reports whether somebody waits for a place.
func (l *leader) waitsLocked() bool {
	return len(l.jobs) > 0 || l.actors.len() > 0 || len(l.groups.waiting) > 0
}

// placeActors tries to place all that wait, in order; those of one shape only
// until one of them finds no place.
func (l *leader) placeActors() {
	var chosen []*fsm.PlaceActor
	var lost []*fsm.KillActor
	l.mu.Lock()
	board := l.newBoard()
	total := l.total()
	l.actors.rank(l.levels(total))
	for queues := l.actors.inOrder(); queues.Len() > 0; {
		q := queues[0]
		id := q.first().id
		a, job := l.actorWithJob(id)
		if a == nil || a.Dead() || a.Node != 0 || job == nil {
			l.dropFirst(&queues)
			continue
		}
		d := board.place(q.want)
		if d.node == 0 && l.gone(q.want.strategy) {
			l.dropFirst(&queues)
			lost = append(lost, &fsm.KillActor{Id: []byte(id), Reason: fmt.Sprintf(
				"it must run on node %s, which is not in the cluster", ids.NodeID(q.want.strategy.Node))})
			continue
		}
		if d.node == 0 {
			q.reason, q.infeasible = d.reason, !d.feasible
			l.noteInfeasibleLocked(q, a, job)
			heap.Pop(&queues)
			continue
		}
		next := *a
		next.Node = d.node
		l.holdLocked(&next)
		board.take(d.node, ofNode(a.Spec))
		l.dropFirst(&queues)
		l.actors.served(&queues, q, largestPart(sched.FromUnits(q.want.resources.GetQuantity()), total))
		chosen = append(chosen, &fsm.PlaceActor{Id: []byte(id), Incarnation: a.Incarnation, Node: d.node})
	}
	l.mu.Unlock()
	commit(l.h, chosen, func(p *fsm.PlaceActor) fsm.Body { return &fsm.Command_PlaceActor{PlaceActor: p} },
		func(p *fsm.PlaceActor) { l.again(string(p.Id)) })
	commit(l.h, lost, func(k *fsm.KillActor) fsm.Body { return &fsm.Command_KillActor{KillActor: k} },
		func(k *fsm.KillActor) { l.again(string(k.Id)) })
}

// gone reports whether a strategy names a node, and no other will do, that isn't in the cluster.
func (l *leader) gone(s *proto.Strategy) (gone bool) {
	if s.GetKind() != proto.Strategy_AFFINITY || s.Soft || len(s.Fallback) > 0 {
		return false
	}
	l.h.replica.read(func(st *fsm.State) {
		n := st.Node(s.Node)
		gone = n == nil || !n.Info.Alive
	})
	return gone
}

// total is what all nodes have.
func (l *leader) total() sched.Resources {
	var sum sched.Resources
	for _, m := range l.members {
		sum = sum.Add(sched.FromUnits(m.info.GetTotal().GetQuantity()))
	}
	return sum
}

// largestPart is the largest part of a total that any of r is.
func largestPart(r, total sched.Resources) float64 {
	most := 0.0
	for name, q := range r.All() {
		if has := total.Get(name); has > 0 {
			most = max(most, float64(q)/float64(has))
		}
	}
	return most
}

// levels says how much of the cluster each job that waits has, by its weight.
func (l *leader) levels(total sched.Resources) map[uint32]jobLevel {
	used := map[uint32]sched.Resources{}
	for _, m := range l.members {
		for _, u := range m.info.Jobs {
			used[u.Job] = used[u.Job].Add(sched.FromUnits(u.GetUsed().GetQuantity()))
		}
	}
	levels := map[uint32]jobLevel{}
	l.h.replica.read(func(s *fsm.State) {
		for _, q := range l.actors.shapes {
			if _, done := levels[q.job]; done {
				continue
			}
			weight := 1.0
			if j := s.Job(q.job); j != nil {
				weight = float64(max(1, j.Spec.GetWeight()))
			}
			levels[q.job] = jobLevel{largestPart(used[q.job], total) / weight, weight}
		}
	})
	return levels
}

// waitingLocked tells nodes which actors wait for room that leases take.
func (l *leader) waitingLocked() []*proto.PendingDemand {
	var out []*proto.PendingDemand
	for q := l.actors.inOrder(); q.Len() > 0 && len(out) < maxWaiting; heap.Pop(&q) {
		out = append(out, &proto.PendingDemand{
			Resources: q[0].want.resources, Strategy: q[0].want.strategy, Count: uint32(q[0].order.Len()), Job: q[0].job,
			Infeasible: q[0].infeasible, What: "actors", Weight: uint32(q[0].level.weight),
		})
	}
	return out
}

// maxWaiting is how many shapes of waiting actors a view tells of.
const maxWaiting = 64

// dropFirst takes the first actor out of the first queue.
func (l *leader) dropFirst(queues *firstCome) {
	q := (*queues)[0]
	l.actors.drop(q.first().id)
	if q.order.Len() == 0 {
		heap.Pop(queues) // by place: an empty queue has no first
		return
	}
	heap.Fix(queues, 0)
}

// queueLocked has an actor wait for a place. refusedBy is a node that has just
// refused it, or 0.
func (l *leader) queueLocked(id string, refusedBy uint32) {
	a, job := l.actorWithJob(id)
	if a == nil || job == nil || a.Dead() || a.Node != 0 {
		return
	}
	w := wanted{resources: a.Spec.Resources, strategy: a.Spec.Strategy, platforms: l.platformsOf(job.Spec)}
	if m := l.members[refusedBy]; m != nil {
		w.refused = map[uint32]uint64{refusedBy: m.reports}
		if len(w.strategy.GetGroup()) > 0 {
			w.refused = l.groups.refuse(id, refusedBy, m.reports)
		}
	}
	l.actors.add(id, a.Spec.Job, w)
}

// commit proposes placements, all before it waits for the first. Those that
// weren't committed or had no effect are given to failed.
func commit[T any](h *Head, chosen []T, body func(T) fsm.Body, failed func(T)) {
	outcomes := make([]func() (*fsm.Result, error), len(chosen))
	for i, p := range chosen {
		outcomes[i] = h.consensus.begin(h.command(body(p)))
	}
	for i, p := range chosen {
		if r, err := outcomes[i](); err != nil || r.Error != nil {
			failed(p)
		}
	}
}

// again queues an actor whose placement wasn't committed.
func (l *leader) again(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.actorRecord(id); l.leads && a != nil && !a.Dead() && a.Node == 0 {
		l.releaseLocked(id)
		l.queueLocked(id, 0)
	}
}

func (l *leader) actorWithJob(id string) (a *fsm.Actor, j *fsm.Job) {
	l.h.replica.read(func(s *fsm.State) {
		if a = s.Actor(id); a != nil {
			j = s.Job(a.Spec.Job)
		}
	})
	return a, j
}

// placeJobs finds nodes for drivers.
func (l *leader) placeJobs() {
	var chosen []*fsm.PlaceJob
	l.mu.Lock()
	board := l.newBoard()
	var left []waitingJob
	for _, waits := range l.jobs {
		id := waits.id
		var j *fsm.Job
		l.h.replica.read(func(s *fsm.State) { j = s.Job(id) })
		if j == nil || j.Over() || j.Node != 0 {
			continue
		}
		d := l.placeDriver(board, j.Spec)
		if d.node == 0 {
			left = append(left, waitingJob{id: id, reason: d.reason, infeasible: !d.feasible})
			continue
		}
		board.take(d.node, j.Spec.DriverResources)
		chosen = append(chosen, &fsm.PlaceJob{Job: id, Node: d.node})
	}
	l.jobs = left
	l.mu.Unlock()
	commit(l.h, chosen, func(p *fsm.PlaceJob) fsm.Body { return &fsm.Command_PlaceJob{PlaceJob: p} }, func(p *fsm.PlaceJob) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.jobs = append(l.jobs, waitingJob{id: p.Job})
	})
}

// placeDriver finds a node for a driver: the head's own, if it asks for nothing.
func (l *leader) placeDriver(b *board, spec *proto.JobSpec) decision {
	w := wanted{resources: spec.DriverResources, platforms: l.platformsOf(spec)}
	if len(spec.GetDriverResources().GetQuantity()) == 0 {
		for n := range b.snapshot(w.platforms).All() {
			if l.members[uint32(n.ID)].info.Head && !n.Draining {
				return decision{node: uint32(n.ID), feasible: true}
			}
		}
	}
	return b.place(w)
}

// startActorLocked orders an actor's node to start it.
func (l *leader) startActorLocked(id string) {
	l.h.replica.read(func(s *fsm.State) {
		a := s.Actor(id)
		if a == nil || a.Dead() || a.Alive() || a.Node == 0 {
			return
		}
		l.holdLocked(a)
		l.orderLocked(a.Node, l.startActorOrder(s, a))
	})
}

func (l *leader) startActorOrder(s *fsm.State, a *fsm.Actor) *proto.NodeOrder {
	var spec *proto.JobSpec
	if j := s.Job(a.Spec.Job); j != nil {
		spec = j.Spec
	}
	return &proto.NodeOrder{Body: &proto.NodeOrder_StartActor{
		StartActor: &proto.StartActor{Actor: a.Spec, Incarnation: a.Incarnation, Job: spec, Saved: a.Saved},
	}}
}

// startDriverLocked orders a job's node to start its driver.
func (l *leader) startDriverLocked(id uint32) {
	var j *fsm.Job
	l.h.replica.read(func(s *fsm.State) { j = s.Job(id) })
	if j != nil && j.Status == fsm.Pending && j.Node != 0 {
		l.orderLocked(j.Node, &proto.NodeOrder{Body: &proto.NodeOrder_StartDriver{StartDriver: &proto.StartDriver{Job: j.Spec}}})
	}
}
