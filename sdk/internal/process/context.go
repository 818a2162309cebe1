package process

import (
	"context"
	"sync"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
)

type contextKey int

const (
	processKey contextKey = iota
	taskKey
)

// WithProcess returns a context that carries p.
func WithProcess(ctx context.Context, p *Process) context.Context {
	return context.WithValue(ctx, processKey, p)
}

// FromContext returns the process that ctx carries, nil if none.
func FromContext(ctx context.Context) *Process {
	p, _ := ctx.Value(processKey).(*Process)
	return p
}

// TaskInfo describes the task that a context belongs to.
type TaskInfo struct {
	ID       ids.TaskID
	Function string
	Attempt  int // 0 for the first
	Actor    ids.ActorID
	// Resources are what the task holds, or its actor, in units of 1/10,000.
	Resources map[string]int64
}

// TaskFromContext returns the task that ctx belongs to; false outside of tasks.
func TaskFromContext(ctx context.Context) (TaskInfo, bool) {
	in, ok := ctx.Value(taskKey).(*Invocation)
	if !ok {
		return TaskInfo{}, false
	}
	t := TaskInfo{Function: in.fn.Name, Attempt: int(in.call.attempt), Resources: in.resources()}
	if in.peer != nil {
		t.ID = in.id()
	}
	if in.light != nil {
		t.Actor = ids.ActorID(in.light.id.object(in.w.p.cluster))
	} else if in.w.actorID != nil {
		t.Actor, _ = ids.ActorIDFrom(in.w.actorID)
	}
	return t, true
}

// taskContext is a task's context: it costs nothing until somebody asks for
// Done, as most tasks never do.
type taskContext struct {
	in     *Invocation
	parent context.Context // the process's

	mu       sync.Mutex
	done     chan struct{}
	err      error
	after    map[*func()]struct{}
	deadline time.Time
	timer    *time.Timer
}

func (c *taskContext) Deadline() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deadline, !c.deadline.IsZero()
}

func (c *taskContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
	}
	return c.done
}

func (c *taskContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *taskContext) Value(key any) any {
	switch key {
	case taskKey:
		return c.in
	case processKey:
		return c.in.w.p
	}
	return nil
}

// AfterFunc lets package context derive contexts without a goroutine each.
func (c *taskContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	if c.after == nil {
		c.after = map[*func()]struct{}{}
	}
	key := &f
	c.after[key] = struct{}{}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, ok := c.after[key]
		delete(c.after, key)
		return ok
	}
}

func (c *taskContext) setTimeout(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = time.Now().Add(d)
	c.timer = time.AfterFunc(d, func() { c.in.abort(context.DeadlineExceeded) })
}

// cancel ends the context, and reports whether it hadn't ended: the first reason
// stays.
func (c *taskContext) cancel(err error) bool {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return false
	}
	c.err = err
	if c.done != nil {
		close(c.done)
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	after := c.after
	c.after = nil
	c.mu.Unlock()
	for f := range after {
		go (*f)()
	}
	return true
}
