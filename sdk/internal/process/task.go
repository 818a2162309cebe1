package process

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

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
	EnvVars    map[string]string // beyond the process's own environment
	WorkingDir *WorkingDir       // nil: the process's own environment's
	MaxRetries int               // after a crash; -1: without bound
	Timeout    time.Duration     // of one attempt; 0: none
	Streaming  bool

	MaxConcurrency, MaxRestarts int // of a lightweight actor's constructor

	// Under which its attempts are recorded, as named's node knows.
	named atomic.Pointer[Process]
	key   atomic.Uint64

	sites sites
	mean  atomic.Int64 // ns that a run takes, moving average; 0 while unknown
	class atomic.Pointer[class]
	// Of tasks that a group captures: the same options in the group.
	captured atomic.Pointer[TaskOptions]
}

// Task is one submission: a function, its encoded input and the object that it
// will complete.
type Task struct {
	obj     *Object
	opts    *TaskOptions
	arg     []byte
	carried string // by its trace; empty: it has none
	deps    []input
	actor   *actorClient // of an actor's call
	light   *Object      // the lightweight actor that actor, its host, is to call
	stream  *Stream
	rebuild *rebuild                // of a stream's further run
	lineage atomic.Pointer[lineage] // of a further run, or once something of it is stored
	site    uintptr                 // in the program, that submitted it
	parent  *origin                 // the task here that submitted it; nil: none
	waiting atomic.Int32            // inputs that aren't complete, plus one while counting
	strayed atomic.Pointer[[]stray]

	// Guarded by the class's or actor's lock.
	lease *lease
	class *class // since it was enqueued, of a task
	moments
	estimate uint32 // ns, as added to the lease's load
	weight   uint32 // bytes, as the pacer counts it; constant
	tries
	cancelled bool
	queued    bool // in its class's queue
	direct    bool // the argument is deps[0]'s value; constant
	order     byte // what light is wanted for; constant
	known     bool // light is known to the head
	held      bool // waits for inputs, among Process.held; guarded by waiting
}

// input is a reference inside a task's input.
type input struct {
	obj  *Object
	lazy bool
	sent *content // that the worker was told of a stored one; guarded as Task.lease
}

// Submission is what Submit needs.
type Submission struct {
	Options *TaskOptions
	Arg     []byte       // encoded input, aliased until the task is complete
	Refs    *Collector   // references in the input; nil for none
	Direct  *Object      // instead of Arg: the input is this object's value
	Carried string       // what its trace carries to the worker; empty: it has none
	Err     *proto.Error // the input could not be encoded: the task fails with it
}

// Submit makes a task and returns its result. It waits while too many tasks of this
// process aren't done yet (pace.go). When ctx is a task's that is cancelled or times out, the new task is cancelled too.
func (p *Process) Submit(ctx context.Context, s Submission) *Object {
	s.Options = p.captured(ctx, s.Options)
	p.pace.await(ctx, p)
	t := &Task{obj: p.newObject(), opts: s.Options, arg: s.Arg, carried: s.Carried, parent: p.parentOf(ctx), site: s.Options.sites.here(1)}
	t.submitted = p.submittedAt(t.obj.id.Number)
	p.pace.submitted(t)
	p.submit(t, s)
	p.adopted(ctx, t)
	return t.obj
}

func (p *Process) submit(t *Task, s Submission) *Object {
	p.counts.submitted.Add(1)
	if s.Err != nil {
		p.finish(t, &content{err: s.Err})
		return t.obj
	}
	t.takeInputs(s)
	if s.Direct != nil {
		s.Direct.putAt(t.site) // a large input
	}
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
	if t.waiting.Load() > 1 {
		t.held = true // until it's ready, which isn't before the next line
		p.held.add(t, heldTask{why: heldForInputs})
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
	if t.held {
		t.held = false
		p.held.remove(t)
	}
	t.readied.Store(p.now())
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
			p.failTask(t, t.inputFailed(c.err))
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
		t.actor.dispatchable(t)
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
		t.actor.dispatchable(t)
	}
}

// finish completes t's object and lets go of t's inputs, of which a stored
// result's lineage remembers what it takes. Only the first outcome counts: a
// cancelled task's worker answers, too.
func (p *Process) finish(t *Task, c *content) {
	p.recordEnd(t, c)
	p.conclude(t, c)
}

// conclude is finish of a task whose attempt goes on for now.
func (p *Process) conclude(t *Task, c *content) {
	count := &p.counts.finished
	if c.err != nil {
		count = &p.counts.failed
		if t.obj.peek() == nil { // else what came of it is known: it was cancelled, say
			p.failed.add(t, c.err)
		}
	}
	count.Add(1) // before anyone who waits is told
	switch {
	case t.stream != nil:
		t.stream.finish(c)
	case t.rebuild != nil:
		t.rebuild.finish(t, c)
	}
	p.freeStrays(t, c)
	if t.obj.completeMade(c, p.madeOf(t, c)) {
		p.pace.done(t)
		return
	}
	count.Add(-1)
	p.freeUnless(t.obj, c)
}

func (p *Process) madeOf(t *Task, c *content) *lineage {
	if !c.stored {
		return nil
	}
	return p.made(t)
}

// Cancel ends the task that makes o, an object of this process's: one that hasn't begun never
// will, one that runs has its context cancelled, or with force its process killed. o fails with
// CANCELLED unless it is already complete.
func (p *Process) Cancel(o *Object, force bool) error {
	o.mu.Lock()
	t, done := o.task, o.content != nil
	o.mu.Unlock()
	if done || t == nil {
		return nil
	}
	if force && t.actor != nil {
		return fmt.Errorf("cancel %s by force: it is a call of actor %s, whose process isn't the call's alone; gray.Kill ends an actor",
			t.opts.Name, t.calls())
	}
	pushed := false
	if t.actor != nil {
		pushed = t.actor.cancel(t)
	} else {
		pushed = p.leases.classOf(t.opts).cancel(t, force)
	}
	p.held.remove(t)
	if c := (&content{err: t.cancelledError()}); pushed { // the worker answers, or dies
		p.conclude(t, c)
	} else {
		p.finish(t, c)
	}
	if t.actor != nil {
		t.actor.dispatchable(t) // the calls behind it need not wait for its inputs
	}
	return nil
}

func (t *Task) cancelledError() *proto.Error {
	return &proto.Error{Kind: proto.Error_CANCELLED, Message: "the task was cancelled", Function: t.opts.Name, Task: t.obj.id.String()}
}

// calls returns the actor that a call is of.
func (t *Task) calls() ids.ActorID {
	if t.light != nil {
		return ids.ActorID(t.light.id)
	}
	return t.actor.id
}

// mayRetry reports whether t may be run once more.
func (t *Task) mayRetry() bool {
	most := t.maxRetries()
	return most < 0 || t.spent() < most
}

// maxRetries of a call is its actor's. Called with the class's or actor's lock held.
func (t *Task) maxRetries() int {
	if t.actor != nil {
		return t.actor.retries
	}
	return t.opts.MaxRetries
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
	if t.maxRetries() == 0 {
		c.flags |= flagExact
	}
	switch {
	case t.rebuild != nil:
		c.flags |= flagStream | flagRebuild
		c.base, c.wanted = t.rebuild.base, t.rebuild.wanted()
	case t.stream != nil:
		c.flags |= flagStream
		c.skip = t.stream.received()
	}
	if t.actor != nil {
		c.flags |= flagActor
	}
	if t.light != nil {
		t.orderIn(&c)
	}
	if t.carried != "" {
		c.flags |= flagTraced
		c.carried = t.carried
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
	c := in.obj.peek()
	in.sent = nil
	switch {
	case c == nil || c.err != nil: // lost this instant; the worker will say so
		d.kind = depStored
	case c.stored:
		d.kind, d.size, d.nodes = depStored, c.size, c.nodes
		in.sent = c
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

// lost is the home's word that stored copies of an own object are gone. The object
// may be here no more, while others hold it.
func (p *Process) lost(t *trace, nodes []uint32) {
	o := t.weak.Value()
	if o == nil {
		o = p.ownAgain(&past{id: t.id, stored: true, lineage: t.made()}, true)
		t = o.tracing()
	}
	t.mu.Lock()
	t.wanted = true
	c := t.content
	t.mu.Unlock()
	switch {
	case c == nil: // being rebuilt
	case c.stored && (len(c.nodes) == 0 || slices.ContainsFunc(c.nodes, func(n ids.NodeID) bool { return slices.Contains(nodes, uint32(n)) })):
		p.recover(o, c)
	default:
		t.publish(c)
	}
}
