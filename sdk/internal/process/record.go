package process

import (
	"hash/fnv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/recorder"
	graypb "github.com/gray-runtime/gray/proto"
)

// records writes down what became of this process's attempts, for its node (package
// recorder). An attempt is recorded once, when this process has its answer or knows that
// none will come; what only the hosts of lightweight actors are told isn't.
type records struct {
	ring *recorder.Ring // nil: nothing is recorded
	rate submitRate
	tell failureTexts

	mu    sync.Mutex
	named map[uint64]bool // by hash: functions that the node was told the names of
}

const (
	// maxNames bounds the functions that the node is told of; all others are one.
	maxNames = 1000
	// slowCall is how long a call runs that is recorded at any rate.
	slowCall = 100 * time.Microsecond
)

// moments are when a task's present attempt came how far, in ns of the process's clock; 0:
// not yet. The class's or actor's lock guards all but submitted and readied.
type moments struct {
	submitted int64        // negative: at about that time
	readied   atomic.Int64 // its inputs were complete
	pushed    int64
	recorded  atomic.Bool
}

// begin starts the clock of another attempt.
func (m *moments) begin(now int64) {
	m.submitted, m.pushed = now, 0
	m.readied.Store(0)
	m.recorded.Store(false)
}

// unpushed notes that it waits again.
func (m *moments) unpushed() { m.pushed = 0 }

// now is the process's clock, for moments; 0 if nothing is recorded.
func (p *Process) now() int64 {
	if p.records.ring == nil {
		return 0
	}
	return int64(clock())
}

// submitRate decides whose submission looks at the clock, which costs as much as writing a
// record: everybody's, until there are so many that it would be felt; then that of some, and
// the others take the time of the last that looked.
type submitRate struct {
	mask  atomic.Uint64 // of numbers, that are 0 there
	last  atomic.Int64  // when one looked
	mark  atomic.Int64  // when one of a number that markEvery divides did
	timer atomic.Bool   // is set to notice that there are few again
}

const (
	markEvery = 1024
	lookEvery = 32 * time.Microsecond // on average, at high rates
	maxMask   = 63
	fewAgain  = 5 * time.Millisecond // after which everybody looks again
)

// submittedAt is moments.submitted of a task with a number.
func (p *Process) submittedAt(number uint64) int64 {
	if p.records.ring == nil {
		return 0
	}
	s := &p.records.rate
	if number&s.mask.Load() != 0 {
		return -s.last.Load()
	}
	now := int64(clock())
	s.last.Store(now)
	if number%markEvery == 0 {
		gap, mask := now-s.mark.Swap(now), uint64(0)
		for gap < int64(lookEvery)*markEvery/2 && mask < maxMask {
			mask, gap = mask<<1|1, gap*2
		}
		s.mask.Store(mask)
		if mask > 0 && !s.timer.Swap(true) {
			p.watchRate(number)
		}
	}
	return now
}

// watchRate has everybody look at the clock again once few tasks are submitted: so many that
// have come to a number.
func (p *Process) watchRate(number uint64) {
	time.AfterFunc(fewAgain, func() {
		s := &p.records.rate
		if reached := p.next.Load(); reached-number >= uint64(fewAgain/lookEvery) && p.ctx.Err() == nil {
			p.watchRate(reached)
			return
		}
		s.mask.Store(0)
		s.timer.Store(false)
	})
}

// enqueuedAt is when t, which nothing keeps any more, goes to a queue.
func (t *Task) enqueuedAt() int64 {
	if len(t.deps) == 0 && t.attempt == 0 {
		return max(t.submitted, -t.submitted)
	}
	return t.obj.p.now()
}

// function is the name under which o's tasks are recorded, which the node is told.
func (p *Process) function(o *TaskOptions) uint64 {
	if o.named.Load() != p {
		p.nameFunction(o)
	}
	return o.key.Load()
}

func (p *Process) nameFunction(o *TaskOptions) {
	h := fnv.New64a()
	h.Write([]byte(o.Name))
	key := h.Sum64()
	r := &p.records
	r.mu.Lock()
	known := r.named[key] || key == o.Function // which Hello names
	if !known && len(r.named) >= maxNames {
		known, key = true, 0
	}
	if !known {
		if r.named == nil {
			r.named = map[uint64]bool{}
		}
		r.named[key] = true
	}
	r.mu.Unlock()
	if !known {
		p.node.send(&graypb.ToNode{Body: &graypb.ToNode_Function{Function: &graypb.Function{Hash: key, Name: o.Name}}})
	}
	o.key.Store(key)
	o.named.Store(p)
}

// describe sets r to t's attempt, which ended now, without what only its worker knows. Field
// by field: a literal would be copied.
func (p *Process) describe(r *recorder.Record, t *Task, worker ids.ProcessID, now int64) {
	submitted := max(t.submitted, -t.submitted)
	r.Number, r.Function, r.Worker, r.Submitted = t.obj.id.Number, p.function(t.opts), worker, clockBase+submitted
	r.Parent, r.ParentOwner, r.Actor, r.ActorOwner = 0, ids.ProcessID{}, 0, ids.ProcessID{}
	r.Ready, r.Pushed, r.Began, r.Ended = recorder.Never, recorder.Never, recorder.Never, recorder.Never
	r.Done = time.Duration(max(now-submitted, 0))
	r.InBytes, r.OutBytes = t.inputBytes(), 0
	r.Attempt, r.Kind, r.Outcome, r.Error = t.attempt, t.kind(), recorder.Finished, 0
	if ready := t.readied.Load(); ready != 0 {
		r.Ready = time.Duration(max(ready-submitted, 0))
	} else if len(t.deps) == 0 {
		r.Ready = 0
	}
	if t.pushed != 0 {
		r.Pushed = max(time.Duration(t.pushed-submitted), r.Ready, 0)
	}
	if t.parent != nil && t.parent.number != 0 {
		r.Parent, r.ParentOwner = t.parent.number, t.parent.owner
	}
	if t.actor != nil {
		id := t.calls()
		r.Actor, r.ActorOwner = id.Number, id.Owner
	}
}

func (t *Task) kind() recorder.Kind {
	switch {
	case t.stream != nil || t.rebuild != nil:
		return recorder.Stream
	case t.light != nil:
		return recorder.LightCall
	case t.actor != nil:
		return recorder.ActorCall
	}
	return recorder.Task
}

func (t *Task) inputBytes() int64 {
	if !t.direct {
		return int64(len(t.arg))
	}
	switch c := t.deps[0].obj.peek(); {
	case c == nil:
		return 0
	case c.stored:
		return c.size
	default:
		return int64(len(c.value))
	}
}

// tell adds what is known of t's present attempt to what people are shown.
func (t *Task) tell(info *graypb.TaskInfo) {
	info.Kind = [...]string{"TASK", "ACTOR_CALL", "LIGHTWEIGHT_CALL", "STREAM"}[t.kind()]
	info.InputBytes = t.inputBytes()
	if o := t.parent; o != nil && o.number != 0 {
		info.Parent = ids.ObjectID{Cluster: t.obj.p.cluster, Owner: o.owner, Number: o.number}.String()
	}
	info.SubmittedUnixNs = unixNs(max(t.submitted, -t.submitted))
	info.ReadyUnixNs = unixNs(t.readied.Load())
	if len(t.deps) == 0 {
		info.ReadyUnixNs = info.SubmittedUnixNs
	}
	info.PushedUnixNs = unixNs(t.pushed)
}

// unixNs is a moment of the process's clock as others know it; 0 stays.
func unixNs(at int64) int64 {
	if at == 0 {
		return 0
	}
	return clockBase + at
}

// isOrder reports whether t is none that anybody submitted.
func (t *Task) isOrder() bool { return t.order != orderCall && t.order != orderMake }

// ending is what was found when a reply was matched with its task.
type ending struct {
	records   bool // the attempt, which has ended by this
	cancelled bool
}

// ends notes what a reply does to t's attempt. Called with the class's or actor's lock held.
func (t *Task) ends(r *reply) ending {
	switch r.kind {
	case frameItem, frameItemStored:
		t.yielded(r)
		return ending{}
	case frameReturned, frameLost:
		if !t.cancelled {
			t.unpushed()
			t.readied.Store(0)
			return ending{}
		}
	}
	return ending{records: t.close(), cancelled: t.cancelled}
}

// close reports whether the attempt is yet to be recorded; nobody else will.
func (t *Task) close() bool {
	return t.submitted != 0 && !t.isOrder() && t.recorded.CompareAndSwap(false, true)
}

func (r *reply) bytes() int64 {
	if r.kind == frameStored || r.kind == frameItemStored {
		return r.size
	}
	return int64(len(r.value))
}

// recordReplies records the attempts that a worker's replies end.
func (p *Process) recordReplies(tally *recorder.Tally, batch []outcome, worker ids.ProcessID) {
	ring := p.records.ring
	if ring == nil {
		return
	}
	n := 0
	for i := range batch {
		o := &batch[i]
		switch {
		case !o.ending.records:
		case o.task.submitted < 0 && o.task.actor != nil && !o.ending.cancelled && o.reply.run < slowCall && o.reply.kind != frameFailed:
			o.ending.records = false
			tally.Count(ring, p.function(o.task.opts), recorder.Finished, recorder.Never, o.reply.run)
		default:
			n++
		}
	}
	if n > 0 {
		now, at := int64(clock()), ring.Reserve(n)
		var r recorder.Record
		for i := range batch {
			if o := &batch[i]; o.ending.records {
				p.describeReply(&r, o, worker, now)
				ring.Put(at, &r)
				count(tally, ring, &r)
				at++
			}
		}
	}
	tally.Flush(ring)
}

func (p *Process) describeReply(r *recorder.Record, o *outcome, worker ids.ProcessID, now int64) {
	t := o.task
	p.describe(r, t, worker, now)
	r.OutBytes = o.reply.bytes()
	if o.reply.began != 0 {
		placeRun(r, o.reply.began, o.reply.run)
	}
	switch o.reply.kind {
	case frameEnd:
		r.OutBytes = t.itemBytes()
	case frameFailed:
		e := o.failure()
		r.OutBytes, r.Outcome, r.Error = 0, outcomeOf(e), e.GetKind()
		p.tellFailure(r.Number, r.Attempt, e)
	case frameReturned, frameLost:
		r.Worker = ids.ProcessID{} // it didn't begin
	}
	if o.ending.cancelled {
		r.Outcome, r.Error = recorder.Cancelled, graypb.Error_CANCELLED
	}
}

// count counts a record that was put into a ring.
func count(tally *recorder.Tally, ring *recorder.Ring, r *recorder.Record) {
	run := recorder.Never
	if r.Began >= 0 {
		run = r.Run()
	}
	tally.Count(ring, r.Function, r.Outcome, r.Wait(), run)
}

// placeRun sets when the function ran, as its worker's clock had it, into the time in which
// this process's clock knows that it did.
func placeRun(r *recorder.Record, began int64, run time.Duration) {
	r.Began = time.Duration(began - r.Submitted)
	r.Began = max(min(r.Began, r.Done-run), r.Pushed, 0)
	r.Ended = r.Began + run
	r.Done = max(r.Done, r.Ended)
}

// recordCrash records an attempt that ended with its worker; begun: it was running. Called with
// the class's or actor's lock held.
func (p *Process) recordCrash(t *Task, worker ids.ProcessID, died *graypb.WorkerDied, begun bool) {
	if !t.close() {
		return
	}
	var r recorder.Record
	p.describe(&r, t, worker, int64(clock()))
	r.Outcome, r.Error = recorder.Crashed, died.GetError().GetKind()
	if began := died.GetBeganUnixNs(); begun && began != 0 {
		placeRun(&r, began, 0)
		r.Ended = r.Done
	}
	if t.cancelled {
		r.Outcome, r.Error = recorder.Cancelled, graypb.Error_CANCELLED
	} else {
		p.tellFailure(r.Number, r.Attempt, died.GetError())
	}
	p.records.ring.Add(&r)
}

// recordEnd records an attempt whose task completes without a worker's answer to it.
func (p *Process) recordEnd(t *Task, c *content) {
	if !t.close() {
		return
	}
	var r recorder.Record
	p.describe(&r, t, ids.ProcessID{}, int64(clock()))
	if c.err != nil {
		r.Outcome, r.Error = outcomeOf(c.err), c.err.GetKind()
		p.tellFailure(r.Number, r.Attempt, c.err)
	}
	p.records.ring.Add(&r)
}

// outcomeOf is the outcome of an attempt that ended with an error.
func outcomeOf(e *graypb.Error) recorder.Outcome {
	switch {
	case e.GetOfInput():
		return recorder.Failed
	case e.GetKind() == graypb.Error_CANCELLED, e.GetKind() == graypb.Error_DEADLINE:
		return recorder.Cancelled
	}
	return recorder.Failed
}

// Records is where this process's attempts are recorded; nil: nowhere.
func (p *Process) Records() *recorder.Ring { return p.records.ring }
