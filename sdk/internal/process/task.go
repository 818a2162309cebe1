package process

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"
	"weak"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// InlineLimit is the largest encoded value that travels in a reply or a task
// frame, in bytes; larger ones go through the object store.
const InlineLimit = 100 << 10

// TaskOptions are what tasks of one declaration share. Constant once used.
type TaskOptions struct {
	Name       string
	Function   uint64
	Resources  map[string]int64 // units of 1/10,000
	Strategy   *proto.Strategy
	MaxRetries int           // after a crash; -1: without bound
	Timeout    time.Duration // of one attempt; 0: none
	Streaming  bool

	mean  atomic.Int64 // ns that a run takes, moving average; 0 while unknown
	class atomic.Pointer[class]
}

// Task is one submission: a function, its encoded input and the object that it
// will complete.
type Task struct {
	obj     *Object
	opts    *TaskOptions
	arg     []byte
	deps    []input
	actor   *actorClient // of an actor's call
	stream  *Stream
	parent  uint64       // serial of the task here that submitted it
	waiting atomic.Int32 // inputs that aren't complete, plus one while counting
	lost    atomic.Pointer[[]lostAttempt]

	// Guarded by the class's or actor's lock.
	lease     *lease
	class     *class // since it was enqueued, of a task
	estimate  uint32 // ns, as added to the lease's load
	attempt   uint16
	cancelled bool
	queued    bool // in its class's queue
	direct    bool // the argument is deps[0]'s value; constant
	kept      bool // as lineage
}

// input is a reference inside a task's input. Of a completed task kept as
// lineage, a stored input is remembered without keeping it alive.
type input struct {
	obj  *Object
	lazy bool
	past *past
}

type past struct {
	id   ids.ObjectID
	weak weak.Pointer[Object]
	task *Task
}

// Submission is what Submit needs.
type Submission struct {
	Options *TaskOptions
	Arg     []byte       // encoded input, aliased until the task is complete
	Refs    *Collector   // references in the input; nil for none
	Direct  *Object      // instead of Arg: the input is this object's value
	Err     *proto.Error // the input could not be encoded: the task fails with it
}

// Submit makes a task and returns its first result. It never waits.
// When ctx is a task's that is cancelled or times out, the new task is cancelled too.
func (p *Process) Submit(ctx context.Context, s Submission) *Object {
	t := &Task{obj: p.newObject(), opts: s.Options, arg: s.Arg, parent: p.parentOf(ctx)}
	return p.submit(t, s)
}

func (p *Process) submit(t *Task, s Submission) *Object {
	p.counts.submitted.Add(1)
	if s.Err != nil {
		p.finish(t, &content{err: s.Err})
		return t.obj
	}
	t.takeInputs(s)
	t.obj.task = t
	p.awaitInputs(t)
	return t.obj
}

// takeInputs takes the references of a submission: of a direct one the object
// itself comes first, then those inside, if known.
func (t *Task) takeInputs(s Submission) {
	var refs []input
	if s.Refs != nil {
		refs = s.Refs.inputs
	}
	if s.Direct != nil {
		t.direct = true
		refs = append([]input{{obj: s.Direct}}, refs...)
	}
	t.deps = refs
}

// awaitInputs dispatches t once its inputs are complete.
func (p *Process) awaitInputs(t *Task) {
	if len(t.deps) == 0 {
		p.dispatchTask(t)
		return
	}
	p.counts.waiting.Add(1)
	t.waiting.Store(1)
	for i := range t.deps {
		in := &t.deps[i]
		if !in.lazy && in.obj.peek() == nil {
			t.waiting.Add(1)
			if !in.obj.subscribe(t) {
				t.waiting.Add(-1)
			}
		}
	}
	t.ready(nil)
}

// ready is called as an input completes.
func (t *Task) ready(*Object) {
	if t.waiting.Add(-1) != 0 {
		return
	}
	p := t.obj.p
	p.counts.waiting.Add(-1)
	rebuilt := false
	for i := range t.deps {
		in := &t.deps[i]
		if in.lazy {
			continue
		}
		c := in.obj.peek()
		switch {
		case c == nil:
			rebuilt = true // lost since it completed
		case c.err != nil:
			p.failTask(t, c.err)
			return
		case c.stored && p.allDead(c.nodes):
			p.recover(in.obj, c)
			rebuilt = true
		}
	}
	if rebuilt {
		p.awaitInputs(t)
		return
	}
	p.dispatchTask(t)
}

func (p *Process) dispatchTask(t *Task) {
	if t.actor != nil {
		t.actor.dispatchable()
		return
	}
	c := p.leases.classOf(t.opts)
	if len(t.deps) > 0 {
		if node := p.nearest(t); node != 0 {
			c = p.leases.nearClass(c, node)
		}
	}
	c.enqueue(t)
}

// failTask completes t without running it. An actor's call keeps its place
// in line until then.
func (p *Process) failTask(t *Task, e *proto.Error) {
	p.finish(t, &content{err: e})
	if t.actor != nil {
		t.actor.dispatchable()
	}
}

// finish completes t's object and lets go of t's inputs, unless a stored
// result makes them lineage. Only the first outcome counts: a cancelled task's
// worker answers, too.
func (p *Process) finish(t *Task, c *content) {
	count := &p.counts.finished
	if c.err != nil {
		count = &p.counts.failed
	}
	count.Add(1) // before anyone who waits is told
	if t.stream != nil {
		t.stream.finish(c)
	}
	p.freeStrays(t, c)
	switch {
	case !c.stored: // the object lets go of the task by itself
	case t.actor == nil && t.opts.MaxRetries != 0 && p.keepLineage(t):
		t.weaken()
	default:
		t.obj.mu.Lock()
		t.obj.task = nil
		t.obj.mu.Unlock()
	}
	if t.obj.complete(c) {
		return
	}
	count.Add(-1)
	if c.stored {
		p.free([]*proto.Location{p.location(t.obj.id, c)})
	}
}

// weaken has t remember its stored inputs without keeping them alive.
func (t *Task) weaken() {
	t.deps = slices.Clone(t.deps)
	for i := range t.deps {
		in := &t.deps[i]
		if in.lazy || in.obj == nil {
			continue
		}
		if c := in.obj.peek(); c != nil && c.stored {
			in.past = &past{id: in.obj.id, weak: weak.Make(in.obj), task: in.obj.lineage()}
			in.obj = nil
		}
	}
}

// maxLineage bounds what is kept of completed tasks, to rebuild their results, in
// bytes.
const (
	maxLineage  = 256 << 20
	taskAtLeast = 512 // bytes of a task, whatever its input
)

// keepLineage counts t, until it's collected, among what is kept for rebuilding;
// false when that would be too much.
func (p *Process) keepLineage(t *Task) bool {
	if t.kept {
		return true // since an earlier run
	}
	n := int64(taskAtLeast + len(t.arg))
	for i := range t.deps {
		if o := t.deps[i].obj; o != nil {
			if c := o.peek(); c != nil {
				n += int64(len(c.value))
			}
		}
	}
	if p.counts.lineage.Add(n) > maxLineage {
		p.counts.lineage.Add(-n)
		return false
	}
	t.kept = true
	runtime.AddCleanup(t, func(n int64) { p.counts.lineage.Add(-n) }, n)
	return true
}

func (o *Object) lineage() *Task {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.task
}

// Cancel ends the task that makes o: one that hasn't begun never will, one
// that runs has its context cancelled. o fails with CANCELLED unless it is
// already complete.
func (p *Process) Cancel(o *Object) error {
	if !o.owned() {
		return fmt.Errorf("cancel %s: the task was submitted by %s, which alone can cancel it", o.id, o.id.Owner)
	}
	o.mu.Lock()
	t, done := o.task, o.content != nil
	o.mu.Unlock()
	if done || t == nil {
		return nil
	}
	e := &proto.Error{Kind: proto.Error_CANCELLED, Message: "the task was cancelled", Function: t.opts.Name}
	if t.actor != nil {
		t.actor.cancel(t)
	} else {
		p.leases.classOf(t.opts).cancel(t)
	}
	p.finish(t, &content{err: e})
	if t.actor != nil {
		t.actor.dispatchable() // the calls behind it need not wait for its inputs
	}
	return nil
}

// recover makes o pending again, its stored copies being lost, and runs its
// task once more; o fails when that can't be done.
func (p *Process) recover(o *Object, lost *content) {
	o.mu.Lock()
	if o.content != lost {
		o.mu.Unlock()
		return // somebody was faster
	}
	if o.borrowed {
		o.content = nil
		start := !o.resolver
		o.resolver = true
		o.mu.Unlock()
		if start {
			p.spawn(func() { p.resolve(o, p.askFor(o, nodeNumbers(lost.nodes))) })
		}
		return
	}
	t := o.task
	if t == nil || !t.mayRetry() {
		o.content = &content{err: p.lostError(o, lost, t)}
		if o.trace != nil {
			o.trace.setContent(o.content)
		}
		o.mu.Unlock()
		return
	}
	o.content = nil
	if tr := o.trace; tr != nil {
		tr.mu.Lock()
		tr.content = nil
		tr.mu.Unlock()
	}
	o.mu.Unlock()
	t.attempt++
	t.lease = nil
	for i := range t.deps {
		in := &t.deps[i]
		if in.past != nil {
			in.obj = p.revive(in.past)
			in.past = nil
		}
	}
	p.awaitInputs(t)
}

func (p *Process) lostError(o *Object, lost *content, t *Task) *proto.Error {
	why := "it is no task's result, or its task's input is kept no more"
	if t != nil {
		why = fmt.Sprintf("its task %s has no retries left", t.opts.Name)
	}
	return &proto.Error{
		Kind:    proto.Error_OBJECT_LOST,
		Message: fmt.Sprintf("object %s was lost with %v and can't be rebuilt: %s", o.id, lost.nodes, why),
	}
}

// revive returns the object that an input of kept lineage stood for; if it is
// gone, a new one under the old name, to be made again.
func (p *Process) revive(in *past) *Object {
	if o := in.weak.Value(); o != nil {
		return o
	}
	if in.id.Owner != p.self {
		o, _, err := p.reference(in.id)
		if err == nil {
			return o
		}
	}
	o := &Object{p: p, id: in.id}
	if in.task == nil {
		o.content = &content{err: &proto.Error{Kind: proto.Error_OBJECT_LOST, Message: fmt.Sprintf("object %s is gone and can't be rebuilt", in.id)}}
		return o
	}
	t := &Task{obj: o, opts: in.task.opts, arg: in.task.arg, deps: slices.Clone(in.task.deps), attempt: in.task.attempt, direct: in.task.direct}
	o.task = t
	lost := &content{stored: true}
	o.content = lost
	p.recover(o, lost)
	return o
}

// mayRetry reports whether t may be run once more.
func (t *Task) mayRetry() bool {
	return t.opts.MaxRetries < 0 || int(t.attempt) < t.opts.MaxRetries
}

// maxInlined is how many bytes of its inputs' values travel with a task. One
// value always may: see InlineLimit.
const maxInlined = 4 << 20

// callOf lays t out for the wire to a worker on a node, 0 when that isn't known.
func (t *Task) callOf(to ids.NodeID) call {
	c := call{number: t.obj.id.Number, function: t.opts.Function, attempt: t.attempt, timeout: t.opts.Timeout, arg: t.arg}
	if t.direct {
		c.flags |= flagDirect
	}
	if t.opts.MaxRetries == 0 {
		c.flags |= flagExact
	}
	if t.opts.Streaming {
		c.flags |= flagStream
		c.skip = t.stream.received()
	}
	if t.actor != nil {
		c.flags |= flagActor
	}
	if len(t.deps) > 0 {
		c.deps = make([]dependency, len(t.deps))
		inlined := 0
		for i := range t.deps {
			d := t.deps[i].dependency()
			if i == 0 && t.direct && d.kind == depStored && !slices.Contains(d.nodes, to) {
				t.deps[0].obj.escape() // it will be pulled there: its home has to know of the copy
			}
			if inlined += len(d.value); inlined > maxInlined && len(d.value) > 0 {
				inlined -= len(d.value)
				d = dependency{id: d.id} // the worker asks for it
			}
			c.deps[i] = d
		}
	}
	return c
}

func (in *input) dependency() dependency {
	d := dependency{id: in.obj.id}
	if in.lazy {
		return d
	}
	switch c := in.obj.peek(); {
	case c == nil || c.err != nil: // lost this instant; the worker will say so
		d.kind = depStored
	case c.stored:
		d.kind, d.size, d.nodes = depStored, c.size, c.nodes
	default:
		d.kind, d.value = depValue, c.value
	}
	return d
}

// nodeDied remembers that what n had in its store is lost.
func (p *Process) nodeDied(n ids.NodeID) { p.leases.dead.Store(n, struct{}{}) }

// allDead reports whether no living node has what these had.
func (p *Process) allDead(nodes []ids.NodeID) bool {
	for _, n := range nodes {
		if _, dead := p.leases.dead.Load(n); !dead {
			return false
		}
	}
	return true
}

// lost is the home's word that stored copies of an own object are gone.
func (p *Process) lost(t *trace, nodes []uint32) {
	t.mu.Lock()
	t.wanted = true
	c := t.content
	t.mu.Unlock()
	o := t.weak.Value()
	if o == nil {
		e := &proto.Error{Kind: proto.Error_OBJECT_LOST, Message: fmt.Sprintf("object %s was lost with its node and its owner holds it no more", t.id)}
		t.publish(&content{err: e})
		return
	}
	if c == nil {
		return // being rebuilt
	}
	if c.stored && slices.ContainsFunc(c.nodes, func(n ids.NodeID) bool { return slices.Contains(nodes, uint32(n)) }) {
		p.spawn(func() { p.recover(o, c) })
		return
	}
	t.publish(c)
}
