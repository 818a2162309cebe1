package process

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// trace outlives an Object that a store, another process or a home knows of:
// it is what is needed to let go of it once the garbage collector has found
// the Object unreachable. It must not refer to the Object.
type trace struct {
	p    *Process
	id   ids.ObjectID
	weak weak.Pointer[Object]

	borrowed bool         // constant
	since    int64        // ms since 1970; constant
	opts     *TaskOptions // of the task that was to make it when it left; constant

	mu      sync.Mutex
	site    uintptr // in the program, that put it, or submitted the task
	escaped bool    // the reference has left this process, its owner
	wanted  bool    // the home asked for the outcome
	gone    bool    // the Object is collected
	content *content
	lineage *lineage // of a stored own one that a task made
}

// watch attaches the trace. Called with o.mu held, once.
func (o *Object) watch() {
	o.trace = &trace{p: o.p, id: o.id, weak: weak.Make(o), content: o.content, borrowed: o.borrowed}
	o.p.tracked.Add(1)
	o.p.moves.Add(1)
	if o.owned() {
		o.trace.since = time.Now().UnixMilli()
		if o.task != nil {
			o.trace.opts, o.trace.site = o.task.opts, o.task.site
		}
		o.p.traces.Store(o.id.Number, o.trace)
	}
	runtime.AddCleanup(o, func(t *trace) { t.p.reap.add(t) }, o.trace)
}

// escape notes that o's reference travels to another process.
func (o *Object) escape() {
	if !o.owned() {
		return
	}
	o.mu.Lock()
	if o.trace == nil {
		o.watch()
	}
	t := o.trace
	o.mu.Unlock()
	t.mu.Lock()
	t.escaped = true
	t.mu.Unlock()
}

func (t *trace) setMade(l *lineage) {
	t.mu.Lock()
	t.lineage = l
	t.mu.Unlock()
}

func (t *trace) made() *lineage {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lineage
}

func (t *trace) setContent(c *content) {
	t.mu.Lock()
	t.content = c
	publish := t.wanted
	t.mu.Unlock()
	if publish {
		t.publish(c)
	}
}

// want is the home's question for the outcome.
func (t *trace) want() {
	t.mu.Lock()
	t.wanted = true
	c, gone := t.content, t.gone
	t.mu.Unlock()
	if c != nil {
		t.publish(c)
	}
	if gone && c != nil {
		t.handedOver(c)
	}
}

// handedOver keeps, of an object that only others hold, what it takes to rebuild it.
func (t *trace) handedOver(c *content) {
	if c.light != nil {
		return // the home's last word of it ends the actor
	}
	if !c.stored {
		t.p.traces.CompareAndDelete(t.id.Number, t)
		return
	}
	t.mu.Lock()
	t.content = &content{stored: true, size: c.size, nodes: c.nodes}
	t.mu.Unlock()
}

// atHome notes that the home has the outcome: it's the one to delete it.
func (t *trace) atHome() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wanted = true
}

func (t *trace) publish(c *content) {
	t.p.node.send(&proto.ToNode{Body: &proto.ToNode_PublishObject{PublishObject: &proto.PublishObject{State: t.state(c)}}})
	runtime.KeepAlive(c) // what it contains is held until the home has been told
}

// state is what the home is told of an outcome.
func (t *trace) state(c *content) *proto.ObjectState {
	s := &proto.ObjectState{Id: t.id.Bytes()}
	switch {
	case c.err != nil:
		s.Body = &proto.ObjectState_Error{Error: c.err}
	case c.stored:
		s.Body = &proto.ObjectState_Stored{Stored: &proto.Stored{Size: c.size, Nodes: ids.Numbers(c.nodes)}}
	default:
		s.Body = &proto.ObjectState_Value{Value: c.value}
	}
	for _, o := range c.contains {
		o.escape()
		s.Contains = append(s.Contains, o.id.Bytes())
	}
	return s
}

// reaper lets go of objects that the garbage collector found unreachable, in
// batches, and runs the collector now and then while something depends on it.
type reaper struct {
	mu   sync.Mutex
	dead []*trace
	wake chan struct{}

	again bool // what has been let go held references: the next collection is due

	urgent chan struct{} // asks for a collection soon
	stored atomic.Int64  // bytes of stored objects met since the last collection
	enough int64         // of them, for another; constant
}

func (r *reaper) init(storeSize int64) {
	r.wake, r.urgent, r.enough = make(chan struct{}, 1), make(chan struct{}, 1), min(storeSize/storeShare, storeMost)
}

// hurry asks for a collection soon: a store is short of room.
func (r *reaper) hurry() {
	select {
	case r.urgent <- struct{}{}:
	default:
	}
}

// met counts an object's bytes in a store, which the garbage collector knows nothing of.
func (r *reaper) met(size int64) {
	if r.stored.Add(size) >= r.enough {
		r.hurry()
	}
}

func (r *reaper) add(t *trace) {
	r.mu.Lock()
	r.dead = append(r.dead, t)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// How long a tracked object outlives its last reference in a process that allocates
// too little to collect by itself: with no task made or ended and no object met or
// let go for idleTicks of collectEvery, every other tick collects. Before that, a collection
// is due when a storeShare-th of the store, or storeMost bytes, were met since the last:
// memory that was in use is faster than such that never was.
const (
	collectEvery = 500 * time.Millisecond
	idleTicks    = 4
	rareTicks    = 2
	storeShare   = 8
	storeMost    = 256 << 20
)

// Collections may take so much of the time, so that a heap of gigabytes costs no more:
// a restRatio-th, where a store is short of room a hurryRatio-th.
const (
	restRatio  = 20
	hurryRatio = 10
)

func (p *Process) runReaper() {
	tick := time.NewTicker(collectEvery)
	defer tick.Stop()
	var seen uint64
	var idle int
	var ended time.Time // the last collection, and what it took
	var took time.Duration
	collect := func() {
		p.reap.stored.Store(0)
		p.reap.mu.Lock()
		p.reap.again = false
		p.reap.mu.Unlock()
		start := time.Now()
		runtime.GC()
		ended = time.Now()
		took = ended.Sub(start)
	}
	var due <-chan time.Time // a collection that was asked for and has to wait
	for {
		select {
		case <-p.reap.wake:
			p.reap.mu.Lock()
			dead := p.reap.dead
			p.reap.dead = nil
			p.reap.mu.Unlock()
			p.letGo(dead)
			p.reap.mu.Lock()
			again := p.reap.again
			p.reap.mu.Unlock()
			if again && due == nil {
				due = time.After(restRatio*took - time.Since(ended))
			}
		case <-due:
			due = nil
			collect()
		case now := <-tick.C:
			if activity := p.next.Load() + p.moves.Load(); activity != seen {
				seen, idle = activity, 0
			} else {
				idle++
			}
			if p.tracked.Load() == 0 || now.Sub(ended) < restRatio*took || idle > idleTicks && idle%rareTicks != 0 {
				continue
			}
			collect()
		case <-p.reap.urgent:
			if p.tracked.Load() > 0 {
				due = time.After(hurryRatio*took - time.Since(ended))
			}
		case <-p.ctx.Done():
			return
		}
	}
}

// collectSoon has the next collection come at once: what c contained may be free.
func (r *reaper) collectSoon(c *content) {
	if c == nil || len(c.contains) == 0 {
		return
	}
	r.mu.Lock()
	r.again = true
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// letGo tells the node of objects whose last reference in this process is gone.
func (p *Process) letGo(dead []*trace) {
	var free []*proto.Location
	var release [][]byte
	var left []*trace // lightweight actors to which nobody has a handle
	for _, t := range dead {
		p.tracked.Add(-1)
		p.moves.Add(1)
		t.mu.Lock()
		t.gone = true
		escaped, c := t.escaped, t.content
		t.mu.Unlock()
		p.reap.collectSoon(c)
		switch {
		case t.borrowed:
			if p.dropBorrow(t.id) && !p.owns(t.id) {
				release = append(release, t.id.Bytes())
			}
		case p.replaced(t):
		case escaped:
			release = append(release, t.id.Bytes())
		default:
			p.traces.CompareAndDelete(t.id.Number, t)
			if c != nil && c.stored {
				free = append(free, p.location(t.id, c))
			}
			left = appendLight(left, t, c)
		}
		if t.id.Actor() {
			p.actors.forget(ids.ActorID(t.id))
		}
	}
	p.releaseLight(left)
	if len(release) > 0 {
		p.node.send(&proto.ToNode{Body: &proto.ToNode_ReleaseObjects{ReleaseObjects: &proto.ReleaseObjects{Ids: release}}})
	}
	p.free(free)
}

// location is where an own object may be: where it was made, and here, where this
// process may have read it.
func (p *Process) location(id ids.ObjectID, c *content) *proto.Location {
	nodes := c.nodes
	if !slices.Contains(nodes, p.self.Node) {
		nodes = append(slices.Clone(nodes), p.self.Node)
	}
	return &proto.Location{Id: id.Bytes(), Nodes: ids.Numbers(nodes)}
}

func (p *Process) free(objects []*proto.Location) {
	if len(objects) > 0 {
		p.node.send(&proto.ToNode{Body: &proto.ToNode_FreeObject{FreeObject: &proto.FreeObject{Objects: objects}}})
	}
}

// dropped is the home's answer to ReleaseObjects: nobody else holds these.
func (p *Process) dropped(list [][]byte) {
	var free []*proto.Location
	var left []*trace
	for _, b := range list {
		id, err := ids.ObjectIDFrom(b)
		if err != nil {
			continue
		}
		v, ok := p.traces.Load(id.Number)
		if !ok {
			continue
		}
		t := v.(*trace)
		t.mu.Lock()
		c, gone, wanted := t.content, t.gone, t.wanted
		t.mu.Unlock()
		if !gone || !p.traces.CompareAndDelete(id.Number, t) {
			continue // it's here again
		}
		p.reap.collectSoon(c)
		if c != nil && c.stored && !wanted {
			free = append(free, p.location(id, c))
		}
		left = appendLight(left, t, c)
	}
	p.releaseLight(left)
	p.free(free)
}

// A borrowing counts the Objects that stand for one borrowed object: a new one
// may be made while an older waits to be reaped.
type borrowing struct {
	count int
	weak  weak.Pointer[Object]
}

// borrow returns the Object for a reference that another process owns, and
// whether the node has yet to be told.
func (p *Process) borrow(id ids.ObjectID) (o *Object, tell bool) {
	p.borrowMu.Lock()
	defer p.borrowMu.Unlock()
	b := p.borrowed[id]
	if b == nil {
		b = &borrowing{}
		p.borrowed[id] = b
		tell = true
	} else if o := b.weak.Value(); o != nil {
		return o, false
	}
	o = &Object{p: p, id: id, borrowed: true}
	if id.Actor() {
		o.content = actorContent
	}
	o.mu.Lock()
	o.watch()
	o.mu.Unlock()
	b.count++
	b.weak = weak.Make(o)
	return o, tell
}

// replaced reports whether another Object stands for an own one by now, which
// will let go of it in turn.
func (p *Process) replaced(t *trace) bool {
	if v, ok := p.traces.Load(t.id.Number); ok && v != t {
		return true
	}
	p.borrowMu.Lock()
	defer p.borrowMu.Unlock()
	return p.borrowed[t.id] != nil
}

// owns reports whether an Object of this process's own stands for id.
func (p *Process) owns(id ids.ObjectID) bool {
	if id.Owner != p.self {
		return false
	}
	v, ok := p.traces.Load(id.Number)
	if !ok {
		return false
	}
	t := v.(*trace)
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.gone
}

// borrowing returns the Object for what this process borrows, nil if none.
func (p *Process) borrowing(id ids.ObjectID) *Object {
	p.borrowMu.Lock()
	defer p.borrowMu.Unlock()
	if b := p.borrowed[id]; b != nil {
		return b.weak.Value()
	}
	return nil
}

// dropBorrow reports whether this process holds id no more.
func (p *Process) dropBorrow(id ids.ObjectID) bool {
	p.borrowMu.Lock()
	defer p.borrowMu.Unlock()
	b := p.borrowed[id]
	if b == nil {
		return false
	}
	if b.count--; b.count == 0 {
		delete(p.borrowed, id)
		return true
	}
	return false
}

// reference returns the Object for an id that arrived from elsewhere. When
// tell is true the caller must see to BorrowObjects.
func (p *Process) reference(id ids.ObjectID) (o *Object, tell bool, err error) {
	if id.Cluster != p.cluster {
		return nil, false, fmt.Errorf("reference %s belongs to cluster %s, not to %s", id, id.Cluster, p.cluster)
	}
	if id.Owner != p.self {
		o, tell = p.borrow(id)
		return o, tell, nil
	}
	if v, ok := p.traces.Load(id.Number); ok {
		if o := v.(*trace).weak.Value(); o != nil {
			return o, false, nil
		}
	}
	// Its last reference here is gone, but others held it and it came back:
	// from now on this process borrows its own object from its home.
	o, tell = p.borrow(id)
	return o, tell, nil
}

// borrowIDs makes Objects of ids and waits until their homes know of it.
func (p *Process) borrowIDs(list [][]byte) ([]*Object, error) {
	var objects []*Object
	var tell [][]byte
	for _, b := range list {
		id, err := ids.ObjectIDFrom(b)
		if err != nil {
			return nil, err
		}
		o, isNew, err := p.reference(id)
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
		if isNew {
			tell = append(tell, b)
		}
	}
	if len(tell) == 0 {
		return objects, nil
	}
	_, err := p.node.call(p.ctx, &proto.ToNode{Body: &proto.ToNode_BorrowObjects{BorrowObjects: &proto.BorrowObjects{Ids: tell}}})
	return objects, err
}
