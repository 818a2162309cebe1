package process

import (
	"context"

	"github.com/gray-runtime/gray/internal/ids"
)

// abort ends a running task before its time, and the tasks that it submitted; of
// one that has just ended they may be its result. The worker's lock may be held.
func (in *Invocation) abort(cause error) {
	in.aborted.Store(true) // first: what is submitted from now on sees it, what was is found
	if in.ctx.cancel(cause) {
		in.w.p.spawn(func() { in.w.p.cancelChildren(in.serial) })
	}
}

// taskOf returns the task that ctx belongs to, nil outside of tasks.
func taskOf(ctx context.Context) *Invocation {
	in, _ := ctx.Value(taskKey).(*Invocation)
	return in
}

// parentOf returns the task that ctx belongs to, nil outside of tasks.
func (p *Process) parentOf(ctx context.Context) *origin {
	if p.worker == nil {
		return nil
	}
	in := taskOf(ctx)
	if in == nil {
		return nil
	}
	if o := in.origin.Load(); o != nil {
		return o
	}
	o := &origin{serial: in.serial}
	if in.peer != nil {
		o.owner, o.number = in.peer.owner, in.call.number
	}
	in.origin.CompareAndSwap(nil, o)
	return in.origin.Load()
}

// origin is a task of this process as those know it that it has submitted.
type origin struct {
	serial uint64 // of the invocation
	number uint64 // of its object; 0: it has none
	owner  ids.ProcessID
}

// is reports whether it is the invocation with a serial number.
func (o *origin) is(serial uint64) bool { return o != nil && o.serial == serial }

// adopted cancels a task that one has submitted which was cancelled, or timed out, before.
func (p *Process) adopted(ctx context.Context, t *Task) {
	if t.parent == nil {
		return
	}
	if in := taskOf(ctx); in.aborted.Load() && ctx.Err() != nil {
		_ = p.Cancel(t.obj, false) // its own object: there is no error
	}
}

// cancelChildren cancels the tasks that a task of this process submitted; calls of
// actors are the actors' own business.
func (p *Process) cancelChildren(parent uint64) {
	var children []*Object
	add := func(q *taskQueue) {
		for i := range q.len() {
			if t := q.peek(i); t.parent.is(parent) && !t.cancelled {
				children = append(children, t.obj)
			}
		}
	}
	held := func(t *Task, _ heldTask) {
		if t.parent.is(parent) && t.actor == nil {
			children = append(children, t.obj)
		}
	}
	p.held.each(held)
	for _, c := range p.leases.list() {
		c.mu.Lock()
		add(&c.queue)
		for _, l := range c.leases {
			add(&l.inflight)
		}
		c.mu.Unlock()
	}
	p.held.each(held) // again: what failed meanwhile may wait for another attempt
	for _, o := range children {
		_ = p.Cancel(o, false)
	}
}

// list returns the classes that there are.
func (lt *leaseTable) list() []*class {
	lt.mu.Lock()
	defer lt.mu.Unlock()
	classes := make([]*class, 0, len(lt.classes))
	for _, c := range lt.classes {
		classes = append(classes, c)
	}
	return classes
}
