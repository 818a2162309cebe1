package process

import "context"

// abort ends a running task before its time, and the tasks that it submitted; of
// one that has just ended they may be its result. The worker's lock may be held.
func (in *Invocation) abort(cause error) {
	if in.ctx.cancel(cause) {
		in.w.p.spawn(func() { in.w.p.cancelChildren(in.serial) })
	}
}

// parentOf returns the serial number of the task that ctx belongs to, 0 outside of
// tasks.
func (p *Process) parentOf(ctx context.Context) uint64 {
	if p.worker == nil {
		return 0
	}
	if in, ok := ctx.Value(taskKey).(*Invocation); ok {
		return in.serial
	}
	return 0
}

// cancelChildren cancels the tasks, queued or in flight, that a task of this
// process submitted. Those that wait for them fail with them; calls of actors are
// the actors' own business.
func (p *Process) cancelChildren(parent uint64) {
	var children []*Object
	add := func(q *taskQueue) {
		for i := range q.len() {
			if t := q.peek(i); t.parent == parent && !t.cancelled {
				children = append(children, t.obj)
			}
		}
	}
	for _, c := range p.leases.list() {
		c.mu.Lock()
		add(&c.queue)
		for _, l := range c.leases {
			add(&l.inflight)
		}
		c.mu.Unlock()
	}
	for _, o := range children {
		_ = p.Cancel(o) // its own object: there is no error
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
