package process

import (
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/recorder"
	graypb "github.com/gray-runtime/gray/proto"
)

// The constructor of an actor with a process of its own is run on a head's order: nobody
// pushes it, and nobody has its answer. So that process records it, as a task of its own.

// recordingConstructor gives a constructor a number, before it begins, and returns when.
func (p *Process) recordingConstructor(in *Invocation) (submitted int64) {
	in.origin.Store(&origin{serial: in.serial, owner: p.self, number: p.next.Add(1)})
	return p.now()
}

// recordConstructor records a constructor that has ended.
func (p *Process) recordConstructor(in *Invocation, actor []byte, incarnation uint32, submitted int64, e *graypb.Error) {
	if p.records.ring == nil || in.call.function == hostFunction {
		return
	}
	now := clock()
	r := recorder.Record{
		Number: in.origin.Load().number, Function: in.call.function, Worker: p.self, Submitted: clockBase + submitted,
		Began: in.began - time.Duration(submitted), Ended: now - time.Duration(submitted), Done: now - time.Duration(submitted),
		InBytes: int64(len(in.call.arg)), Attempt: uint16(max(incarnation, 1) - 1), Kind: recorder.ActorCall,
	}
	if id, err := ids.ActorIDFrom(actor); err == nil {
		r.Actor, r.ActorOwner = id.Number, id.Owner
	}
	if e != nil {
		r.Outcome, r.Error = outcomeOf(e), e.GetKind()
		p.tellFailure(r.Number, r.Attempt, e)
	}
	p.records.ring.Add(&r)
}
