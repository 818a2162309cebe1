package recorder

import (
	"math"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// Kind is what was run.
type Kind uint8

// Kinds of tasks.
const (
	Task      Kind = iota
	ActorCall      // a method of a process actor
	LightCall      // a method of a lightweight actor
	Stream         // a task or call that yields items
	kinds          // how many there are
)

// Outcome is how an attempt ended.
type Outcome uint8

// Outcomes of attempts.
const (
	Finished  Outcome = iota
	Failed            // the function returned an error or panicked, or its input had failed
	Crashed           // its process, or its node, ended under it
	Cancelled         // by somebody, or by a timeout
	Outcomes          // how many there are
)

// Never is a moment that an attempt didn't come to.
const Never = time.Duration(-1)

// Record is an attempt of a task that has ended, as its owner knows it.
type Record struct {
	Number   uint64 // of the task, among its owner's: its object's
	Function uint64 // hash of the function's name
	Parent   uint64 // number of the task that submitted it, with ParentOwner; 0: none
	// ParentOwner owns Parent.
	ParentOwner ids.ProcessID
	Worker      ids.ProcessID // where it ran; zero: nowhere
	Actor       uint64        // number of the actor's object, with ActorOwner; 0: none
	ActorOwner  ids.ProcessID

	Submitted int64 // Unix time, ns
	// Moments after Submitted, or Never, in this order.
	Ready  time.Duration // its inputs were complete
	Pushed time.Duration // it was on its way to a worker
	Began  time.Duration // the function was called
	Ended  time.Duration // the function had returned
	Done   time.Duration // its owner had the answer

	InBytes, OutBytes int64 // encoded, of its input and its result; to 7 digits

	Attempt uint16
	Kind    Kind
	Outcome Outcome
	Error   proto.Error_Kind // if it hasn't finished
}

const (
	words      = 16
	recordSize = words * 8
)

// put writes all words but the first.
func (r *Record) put(w *[words]uint64) {
	w[1], w[2], w[3] = r.Number, r.Function, r.Parent
	w[4], w[5] = pack(r.ParentOwner), pack(r.Worker)
	w[6], w[7] = r.Actor, pack(r.ActorOwner)
	w[8] = uint64(r.Submitted)
	w[9], w[10], w[11], w[12], w[13] = uint64(r.Ready), uint64(r.Pushed), uint64(r.Began), uint64(r.Ended), uint64(r.Done)
	w[14] = uint64(math.Float32bits(float32(r.InBytes)))<<32 | uint64(math.Float32bits(float32(r.OutBytes)))
	w[15] = uint64(r.Attempt)<<32 | uint64(uint16(r.Error))<<16 | uint64(r.Kind)<<8 | uint64(r.Outcome)
}

// get reads what put wrote, or anything else.
func (r *Record) get(w *[words]uint64) {
	*r = Record{
		Number: w[1], Function: w[2], Parent: w[3], ParentOwner: unpack(w[4]), Worker: unpack(w[5]), Actor: w[6], ActorOwner: unpack(w[7]),
		Submitted: int64(w[8]), Ready: time.Duration(w[9]), Pushed: time.Duration(w[10]), Began: time.Duration(w[11]),
		Ended: time.Duration(w[12]), Done: time.Duration(w[13]),
		InBytes: size(uint32(w[14] >> 32)), OutBytes: size(uint32(w[14])),
		Attempt: uint16(w[15] >> 32), Error: proto.Error_Kind(uint16(w[15] >> 16)),
		Kind: min(Kind(w[15]>>8), kinds-1), Outcome: min(Outcome(w[15]), Outcomes-1),
	}
}

func size(bits uint32) int64 {
	f := math.Float32frombits(bits)
	if !(f >= 0 && f < 1<<62) { // NaN, too
		return 0
	}
	return int64(f)
}

func pack(p ids.ProcessID) uint64 { return uint64(p.Node)<<32 | uint64(p.Number) }

func unpack(w uint64) ids.ProcessID {
	return ids.ProcessID{Node: ids.NodeID(w >> 32), Number: uint32(w)}
}

// Wait is how long the attempt waited before its function was called; for one that
// wasn't, until its end.
func (r *Record) Wait() time.Duration {
	if r.Began >= 0 {
		return r.Began
	}
	return max(r.Done, 0)
}

// Run is how long the function ran; 0 if it wasn't called.
func (r *Record) Run() time.Duration {
	if r.Began < 0 || r.Ended < r.Began {
		return 0
	}
	return r.Ended - r.Began
}
