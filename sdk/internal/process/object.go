package process

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// content is the outcome of an object. Immutable once set.
type content struct {
	value    []byte // encoded; nil when stored or failed
	stored   bool
	size     int64
	nodes    []ids.NodeID // that have it, when stored
	err      *proto.Error // failed
	contains []*Object    // references inside the value; held as long as the object
	light    *lightweight // of the object that stands for a lightweight actor
}

func (c *content) setNodes(s *proto.Stored) {
	for _, n := range s.GetNodes() {
		c.nodes = append(c.nodes, ids.NodeID(n))
	}
}

// Object is a reference's target as this process knows it: its own object, or
// one that it borrows. Copies of a reference share one Object; when the last
// copy is gone the garbage collector tells (reap.go).
type Object struct {
	p        *Process
	id       ids.ObjectID
	borrowed bool

	mu       sync.Mutex
	content  *content // nil while pending
	waiters  *waiter
	task     *Task  // makes this object; nil once it's complete
	trace    *trace // what the reaper needs; nil while no other process or store knows the object
	resolver bool   // a goroutine asks the home for the outcome
}

// waiter is told of one object's completion.
type waiter struct {
	next *waiter
	w    wakeable
}

// wakeable is what may wait for an object. ready must not block.
type wakeable interface{ ready(*Object) }

// ID returns the object's name in the cluster.
func (o *Object) ID() ids.ObjectID { return o.id }

// Process returns the process whose object table o belongs to.
func (o *Object) Process() *Process { return o.p }

func (o *Object) owned() bool { return !o.borrowed }

// newObject makes a pending object of this process.
func (p *Process) newObject() *Object {
	return &Object{p: p, id: p.numbered(p.next.Add(1))}
}

func (p *Process) numbered(n uint64) ids.ObjectID {
	return ids.ObjectID{Cluster: p.cluster, Owner: p.self, Number: n}
}

// complete gives o its outcome and wakes who waits for it, unless there is one already.
func (o *Object) complete(c *content) { o.completeMade(c, nil) }

// completeMade is complete for what a task may have made so. It reports false when
// there was an outcome already.
func (o *Object) completeMade(c *content, made *lineage) bool {
	o.mu.Lock()
	if o.content != nil {
		o.mu.Unlock()
		return false
	}
	o.setContent(c, made)
	w := o.waiters
	o.waiters = nil
	o.mu.Unlock()
	for ; w != nil; w = w.next {
		w.w.ready(o)
	}
	return true
}

// setContent is called with mu held.
func (o *Object) setContent(c *content, made *lineage) {
	o.content = c
	if c.stored {
		o.p.reap.met(c.size)
	}
	if o.trace == nil && c.stored && o.owned() {
		o.watch()
	}
	o.task = nil
	if o.trace != nil {
		if made != nil {
			o.trace.setMade(made)
		}
		o.trace.setContent(c)
	}
}

// subscribe has w told when o is complete; it reports false, and w is not
// told, when o already is.
func (o *Object) subscribe(w wakeable) bool {
	o.mu.Lock()
	if o.content != nil {
		o.mu.Unlock()
		return false
	}
	o.waiters = &waiter{o.waiters, w}
	resolve := !o.owned() && !o.resolver
	if resolve {
		o.resolver = true
	}
	o.mu.Unlock()
	if resolve {
		o.p.ask(o) // here, so that many questions may share a write
	}
	return true
}

// unsubscribe forgets w.
func (o *Object) unsubscribe(w wakeable) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for at := &o.waiters; *at != nil; at = &(*at).next {
		if (*at).w == w {
			*at = (*at).next
			return
		}
	}
}

// peek returns the outcome, or nil while o is pending.
func (o *Object) peek() *content {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.content
}

// Complete reports whether the outcome is known.
func (o *Object) Complete() bool { return o.peek() != nil }

// gate waits for several objects.
type gate struct {
	remaining atomic.Int32
	open      chan struct{}
}

func (g *gate) ready(*Object) {
	if g.remaining.Add(-1) == 0 {
		close(g.open)
	}
}

// Wait returns when every object is complete or ctx ends. A task that waits
// lends its CPU out meanwhile.
func (p *Process) Wait(ctx context.Context, objects ...*Object) error {
	g := &gate{open: make(chan struct{})}
	g.remaining.Store(1)
	var subscribed []*Object
	if len(objects) > 1 {
		p.node.conn.Cork()
	}
	for _, o := range objects {
		if o.peek() != nil {
			continue
		}
		g.remaining.Add(1)
		if !o.subscribe(g) {
			g.remaining.Add(-1)
			continue
		}
		if len(objects) > 1 {
			subscribed = append(subscribed, o)
		}
	}
	if len(objects) > 1 {
		_ = p.node.conn.Uncork()
	}
	if g.remaining.Add(-1) == 0 {
		return nil
	}
	leave := p.enterWait()
	defer leave()
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		if len(objects) == 1 {
			objects[0].unsubscribe(g)
		}
		for _, o := range subscribed {
			o.unsubscribe(g)
		}
		return context.Cause(ctx)
	case <-p.done:
		return p.doneErr()
	}
}

// Arrivals tells of objects in the order in which they complete.
type Arrivals struct {
	mu    sync.Mutex
	queue []*Object
	wake  chan struct{}
	p     *Process
	left  int
}

// Arrive starts to watch objects. An object given twice arrives twice.
func (p *Process) Arrive(objects []*Object) *Arrivals {
	a := &Arrivals{wake: make(chan struct{}, 1), p: p, left: len(objects)}
	p.node.conn.Cork()
	for _, o := range objects {
		if !o.subscribe(a) {
			a.ready(o)
		}
	}
	_ = p.node.conn.Uncork()
	return a
}

func (a *Arrivals) ready(o *Object) {
	a.mu.Lock()
	a.queue = append(a.queue, o)
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Next returns the next complete object, nil when all have been returned.
func (a *Arrivals) Next(ctx context.Context) (*Object, error) {
	if a.left == 0 {
		return nil, nil
	}
	for first := true; ; first = false {
		a.mu.Lock()
		if len(a.queue) > 0 {
			o := a.queue[0]
			a.queue = a.queue[1:]
			a.mu.Unlock()
			a.left--
			return o, nil
		}
		a.mu.Unlock()
		if first && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := a.block(ctx); err != nil {
			return nil, err
		}
	}
}

func (a *Arrivals) block(ctx context.Context) error {
	select {
	case <-a.wake:
		return nil
	default:
	}
	leave := a.p.enterWait()
	defer leave()
	select {
	case <-a.wake:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-a.p.done:
		return a.p.doneErr()
	}
}

// Stop ends the watch over what has not arrived.
func (a *Arrivals) Stop(objects []*Object) {
	for _, o := range objects {
		if o.peek() == nil {
			o.unsubscribe(a)
		}
	}
}

// ask asks the home for a borrowed object's outcome, which completes o. It takes no
// goroutine for each of many objects unless the answer is one that has to be waited upon.
func (p *Process) ask(o *Object) {
	m := &proto.ToNode{Body: &proto.ToNode_ResolveObject{ResolveObject: &proto.ResolveObject{Id: o.id.Bytes()}}}
	err := p.node.ask(m, func(answer *proto.ToProcess) {
		if s := answer.GetObjectState(); s != nil && s.GetError() == nil && len(s.GetContains()) == 0 {
			c, err := p.contentOf(s)
			if err == nil {
				o.finishResolve(c)
				return
			}
		}
		q := question{number: m.Call, answer: make(chan *proto.ToProcess, 1)}
		q.answer <- answer
		p.spawn(func() { p.resolve(o, q) })
	})
	if err != nil && p.ctx.Err() == nil {
		o.finishResolve(&content{err: asError(err)})
	}
}

// question is a call of ResolveObject.
type question struct {
	lostOn []uint32
	number uint64
	answer chan *proto.ToProcess
	err    error
}

// askFor asks the home for a borrowed object's outcome.
func (p *Process) askFor(o *Object, lostOn []uint32) question {
	m := &proto.ToNode{Body: &proto.ToNode_ResolveObject{ResolveObject: &proto.ResolveObject{Id: o.id.Bytes(), LostOn: lostOn}}}
	ch, err := p.node.start(m)
	return question{lostOn, m.Call, ch, err}
}

// resolve waits for the answer to q, and asks again until there is an outcome.
func (p *Process) resolve(o *Object, q question) {
	for ; ; q = p.askFor(o, q.lostOn) {
		var answer *proto.ToProcess
		err := q.err
		if err == nil {
			answer, err = p.node.await(p.ctx, q.number, q.answer)
		}
		if p.ctx.Err() != nil {
			return
		}
		if err != nil {
			o.finishResolve(&content{err: asError(err)})
			return
		}
		c, err := p.contentOf(answer.GetObjectState())
		if err != nil {
			c = &content{err: &proto.Error{Kind: proto.Error_INTERNAL, Message: err.Error()}}
		}
		if c.err != nil && c.err.Kind == proto.Error_UNAVAILABLE {
			select {
			case <-time.After(100 * time.Millisecond): // the home is out of reach for the moment
				continue
			case <-p.ctx.Done():
				return
			}
		}
		o.finishResolve(c)
		return
	}
}

func (o *Object) finishResolve(c *content) {
	o.mu.Lock()
	o.resolver = false
	o.mu.Unlock()
	o.complete(c)
}

// contentOf turns what a node says of an object into its content.
func (p *Process) contentOf(s *proto.ObjectState) (*content, error) {
	c := &content{}
	switch b := s.GetBody().(type) {
	case *proto.ObjectState_Value:
		c.value = b.Value
		if c.value == nil {
			c.value = []byte{}
		}
	case *proto.ObjectState_Stored:
		c.stored, c.size = true, b.Stored.GetSize()
		c.setNodes(b.Stored)
	case *proto.ObjectState_Error:
		c.err = b.Error
		return c, nil
	default:
		c.err = &proto.Error{Kind: proto.Error_INTERNAL, Message: "object " + p.name() + " has no outcome"}
		return c, nil
	}
	var err error
	c.contains, err = p.borrowIDs(s.GetContains())
	return c, err
}
