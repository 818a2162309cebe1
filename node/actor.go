package node

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/proto"
)

// actor is an actor's incarnation on this node. Guarded by Node.mu.
type actor struct {
	id          ids.ActorID
	incarnation uint32
	spec        *proto.ActorSpec
	process     *process // nil until it has a worker
	ready       bool     // its constructor has returned
	failed      *proto.Error
	stopped     string // why the head had it stopped
	exited      bool   // it has ended itself
	leaves      bool   // it was asked to end, and goes on elsewhere
	saved       []byte // what its constructor is followed by: the state to go on from; nil: none
	jobOver     bool   // it ends with its job, for good
	over        bool
}

// startActor is the head's order to start an actor's incarnation.
func (n *Node) startActor(o *proto.StartActor) {
	spec := o.GetActor()
	id, err := ids.ActorIDFrom(spec.GetId())
	if err != nil {
		n.log.Warn("order to start an actor", "error", err)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closing {
		return
	}
	if old := n.actors[id]; old != nil {
		if old.incarnation >= o.Incarnation {
			return // ordered before
		}
		n.stopActorLocked(old, "a newer incarnation was ordered")
	}
	if r, _ := n.endedActors.get(id); r != nil && r.Incarnation >= o.Incarnation {
		n.reportActorLocked(r) // the head hasn't heard
		return
	}
	a := &actor{id: id, incarnation: o.Incarnation, spec: spec, saved: o.Saved}
	j, err := n.jobForActorLocked(o)
	if err != nil {
		n.reportActorLocked(n.actorReport(a, proto.ActorReport_DIED, asProblem(err)))
		return
	}
	hold, ok := account.HoldID(0), n.draining == nil && (j.hasIdle(spec.GetEnvironment()) || len(n.processes) < maxProcesses)
	if ok {
		hold, ok = n.takeForLifeLocked(j.id, spec.GetResources().GetQuantity(), spec.GetStrategy())
	}
	if !ok {
		n.refuseInBundleLocked(spec)
		n.reportActorLocked(n.actorReport(a, proto.ActorReport_REFUSED, problem(proto.Error_UNAVAILABLE, "no room on %s", n.id)))
		return
	}
	n.actors[id] = a
	n.awaitWorkerLocked(&ticket{job: j, env: spec.GetEnvironment(), hold: hold, actor: a})
	n.changed()
}

// jobForActorLocked returns the actor's job; a detached actor's may have ended.
func (n *Node) jobForActorLocked(o *proto.StartActor) (*job, error) {
	spec := o.GetJob()
	id := ids.JobID(o.GetActor().GetJob())
	if spec == nil {
		spec = &proto.JobSpec{Id: uint32(id), Origin: o.GetActor().GetCreatorNode()}
	}
	if o.GetActor().GetDetached() {
		if j := n.jobs[id]; j != nil {
			return j, nil
		}
		if n.endedJobs.has(id) {
			j := &job{id: id, spec: spec, processes: map[uint32]*process{}, ended: true}
			j.argv = append([]string{argv0(spec)}, spec.GetArgs()...)
			n.jobs[id] = j
			return j, nil
		}
	}
	return n.jobLocked(spec, "")
}

// hostLocked gives an actor its process.
func (n *Node) hostLocked(t *ticket, p *process) bool {
	a := t.actor
	if a.over {
		n.ledger.Free(t.hold)
		return false
	}
	n.progress.zero(p.slot)
	a.process = p
	p.state, p.actor, p.hold, p.blocked, p.reach = hosting, a, t.hold, false, true
	n.fenceLocked(p) // before it hears of the actor
	p.push(&proto.ToProcess{Body: &proto.ToProcess_StartActor{StartActor: &proto.StartActor{
		Actor: a.spec, Incarnation: a.incarnation, Gpus: n.ledger.Devices(t.hold), Saved: a.saved,
	}}})
	a.saved = nil
	return true
}

// actorStarted is a worker's word on the constructor.
func (n *Node) actorStarted(p *process, s *proto.ActorStarted) {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := p.actor
	if a == nil || a.over || a.ready || string(a.id.Bytes()) != string(s.Id) || a.incarnation != s.Incarnation {
		return
	}
	if s.Error != nil {
		a.failed = s.Error
		p.kill("its actor's constructor failed")
		return
	}
	a.ready = true
	n.reportActorLocked(n.actorReport(a, proto.ActorReport_ALIVE, nil))
	n.changed()
	if j, env := p.job, a.spec.GetEnvironment(); a.spec.GetMaxRestarts() != 0 && !j.hasIdle(env) && !j.ended {
		n.startWorkersLocked(j, env, 1) // a spare one, by which a restart takes milliseconds
	}
}

// actorExited is a worker's word that its actor is over and its callers have their answers.
func (n *Node) actorExited(p *process, x *proto.ActorExit) {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := p.actor
	if a == nil || a.over || string(a.id.Bytes()) != string(x.Id) || a.incarnation != x.Incarnation {
		return
	}
	a.exited = !x.Leaves
	p.kill("its actor ended itself")
}

// unheld is why an actor ends that nobody can call any more.
const unheld = "no handle to it is left"

// releaseActors has the head end actors that nobody holds any more.
func (n *Node) releaseActors(actors []ids.ActorID) {
	for _, id := range actors {
		n.mu.Lock()
		over := n.endedOwners.has(ids.ObjectID(id).Owner)
		n.mu.Unlock()
		if over {
			continue // the actor ends with its job
		}
		r := &proto.KillActorRequest{Id: id.Bytes(), Reason: unheld, Released: true}
		n.enqueueReport(reportKey{actor: id}, func(ctx context.Context) error {
			_, err := n.head.control.KillActor(ctx, r, grpc.WaitForReady(true))
			return err
		})
	}
}

func (n *Node) actorReport(a *actor, state proto.ActorReport_State, cause *proto.Error) *proto.ActorReport {
	r := &proto.ActorReport{Id: a.id.Bytes(), Incarnation: a.incarnation, Node: uint32(n.id), State: state, Cause: cause}
	if p := a.process; p != nil {
		r.Process, r.Address, r.Pid = p.id.Number, p.listen, int32(p.pid)
	}
	return r
}

// actorEndedLocked follows the end of an actor's process.
func (n *Node) actorEndedLocked(a *actor, cause *proto.Error) {
	state := proto.ActorReport_DIED
	e := &proto.Error{Kind: proto.Error_ACTOR_DIED, Message: cause.Message, ExitCode: cause.ExitCode, Signal: cause.Signal,
		LogTail: cause.LogTail, Pid: cause.Pid, Node: cause.Node, Function: a.spec.GetClass(), Actor: a.id.Bytes(),
		Class: a.spec.GetClass(), AtUnixMs: time.Now().UnixMilli(), OutOfMemory: cause.Kind == proto.Error_OUT_OF_MEMORY}
	switch {
	case a.failed != nil:
		state, e = proto.ActorReport_CONSTRUCTOR_FAILED, a.failed
	case a.exited:
		state, e.Message = proto.ActorReport_EXITED, "it ended itself (gray.Exit)"
	case a.jobOver:
		e.Kind, e.Message = proto.Error_JOB_ENDED, "its job has ended"
	case a.stopped != "":
		e.Message = a.stopped
	}
	n.actorOverLocked(a, n.actorReport(a, state, e))
}

// actorFailedLocked ends an actor that never got a process.
func (n *Node) actorFailedLocked(a *actor, why *proto.Error) {
	n.actorOverLocked(a, n.actorReport(a, proto.ActorReport_DIED, why))
}

func (n *Node) actorOverLocked(a *actor, r *proto.ActorReport) {
	if a.over {
		return
	}
	a.over = true
	if n.actors[a.id] == a {
		delete(n.actors, a.id)
	}
	n.endedActors.put(a.id, r)
	n.reportActorLocked(r)
}

// stopActor is the head's order to end an actor.
func (n *Node) stopActor(o *proto.StopActor) {
	id, err := ids.ActorIDFrom(o.GetId())
	if err != nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.actors[id]
	switch {
	case a == nil || o.Incarnation != 0 && a.incarnation > o.Incarnation || o.Leave && a.leaves:
	case o.Leave && a.ready && !a.exited:
		a.leaves, a.stopped = true, o.Reason
		a.process.push(&proto.ToProcess{Body: &proto.ToProcess_LeaveActor{LeaveActor: &proto.LeaveActor{Id: o.Id, Incarnation: a.incarnation}}})
	default:
		n.stopActorLocked(a, o.Reason)
		n.scheduleLocked()
	}
}

func (n *Node) stopActorLocked(a *actor, why string) {
	if why == "" {
		why = "it was killed"
	}
	if a.process != nil {
		a.stopped = why
		a.process.kill(why)
		return
	}
	for _, j := range n.jobs {
		for i, t := range j.waiting {
			if t.actor == a {
				n.ledger.Free(t.hold)
				j.waiting = slices.Delete(j.waiting, i, i+1)
				break
			}
		}
	}
	n.actorFailedLocked(a, &proto.Error{Kind: proto.Error_ACTOR_DIED, Message: why, Actor: a.id.Bytes()})
}
