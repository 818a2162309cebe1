package process

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
	"weak"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/proto"
)

// lineage is how a stored object, or a stream's stored items, were made: what it
// takes to make them again. It keeps small inputs, and remembers stored ones, with
// how those were made, without keeping them. An object's trace has it.
type lineage struct {
	opts   *TaskOptions
	direct bool
	site   uintptr       // that submitted the task
	kept   *atomic.Int64 // bytes, as the process's lineages count them; nil if they don't

	mu    sync.Mutex
	arg   []byte
	deps  []past
	why   string // the task can't be run again
	tries        // of the latest run, unless of a stream

	// Of a stream.
	base  uint64                 // its number, after which its items are numbered
	items map[uint64]*storedItem // by their place, from 1
	lost  []lostItem             // to be made again by the next run
	prune int                    // how many there may be before dead ones are looked for
}

// storedItem is a stored item of a stream, which may be gone.
type storedItem struct {
	weak  weak.Pointer[Object]
	tries // of the run that made it, or is to
}

// past is an input of a task that has ended.
type past struct {
	id       ids.ObjectID
	lazy     bool
	weak     weak.Pointer[Object]
	lineage  *lineage // of an own stored one; nil if it was put
	stored   bool
	value    []byte  // of a small one
	contains []past  // of a small one
	kept     *Object // what is neither is kept: it failed, or is pending still
}

const (
	lineageAtLeast = 512 // bytes of a task, whatever its input
	pastDepth      = 4   // small values inside small values that are remembered, not kept
)

// made notes how the stored result, or item, of t came about.
func (p *Process) made(t *Task) *lineage {
	if l := t.lineage.Load(); l != nil { // this was a further run, or a further item
		l.mu.Lock()
		l.tries = l.latest(t.tries)
		l.mu.Unlock()
		return l
	}
	t.opts.sites.stores.Store(true)
	l := &lineage{opts: t.opts, site: t.site, tries: t.tries, base: t.obj.id.Number}
	switch {
	case t.actor != nil:
		l.why = fmt.Sprintf("it was made by a call of actor %s (%s)", t.actor.id, t.opts.Name)
	case t.opts.MaxRetries != 0:
		n := int64(lineageAtLeast + len(t.arg))
		deps := make([]past, len(t.deps))
		for i := range t.deps {
			in := &t.deps[i]
			deps[i] = pastOf(in.obj, pastDepth, &n)
			deps[i].lazy = in.lazy
		}
		l.arg, l.deps, l.direct = t.arg, deps, t.direct
		p.lineages.keep(l, n)
	}
	if !t.lineage.CompareAndSwap(nil, l) {
		return t.lineage.Load()
	}
	return l
}

// pastOf remembers o, and adds to n what that keeps, in bytes.
func pastOf(o *Object, depth int, n *int64) past {
	c := o.peek()
	*n += int64(unsafe.Sizeof(past{}))
	switch {
	case c != nil && c.stored:
		in := past{id: o.id, weak: weak.Make(o), stored: true}
		if t := o.tracing(); t != nil {
			in.lineage = t.made()
		}
		return in
	case c != nil && c.err == nil && depth > 0:
		*n += int64(len(c.value))
		in := past{id: o.id, weak: weak.Make(o), value: c.value}
		for _, inner := range c.contains {
			in.contains = append(in.contains, pastOf(inner, depth-1, n))
		}
		return in
	}
	return past{id: o.id, kept: o}
}

// spend takes one more attempt to make an object, or says why there is none.
func (l *lineage) spend(id ids.ObjectID) (n tries, why string) {
	if l == nil {
		return n, "it was made by gray.Put, or as a task's input"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.why != "" {
		return n, l.why
	}
	run := &l.tries
	if l.opts.Streaming {
		run = &l.item(id).tries
	}
	if limit := l.opts.MaxRetries; limit >= 0 && run.spent() >= limit {
		return n, fmt.Sprintf("its task %s has no retries left (%d of %d)", l.opts.Name, run.spent(), limit)
	}
	run.next(false)
	return *run, ""
}

// item returns what is known of a stream's item. Called with mu held.
func (l *lineage) item(id ids.ObjectID) *storedItem {
	place := id.Number - l.base
	i := l.items[place]
	if i == nil {
		i = &storedItem{tries: l.tries}
		if l.items == nil {
			l.items = map[uint64]*storedItem{}
		}
		l.items[place] = i
	}
	return i
}

// rerun makes a task of l that completes o, or says why it can't. The caller submits it.
func (p *Process) rerun(l *lineage, run tries, o *Object) (t *Task, why string) {
	l.mu.Lock()
	arg, deps, why := l.arg, l.deps, l.why
	l.mu.Unlock()
	if why != "" {
		return nil, why
	}
	t = &Task{obj: o, opts: l.opts, arg: arg, direct: l.direct, tries: run}
	t.submitted = p.now()
	t.lineage.Store(l)
	t.deps = make([]input, len(deps))
	for i := range deps {
		t.deps[i] = input{obj: p.revive(&deps[i]), lazy: deps[i].lazy}
	}
	return t, ""
}

// recover makes o pending again, its stored copies being lost, and runs its
// task once more; o fails when that can't be done.
func (p *Process) recover(o *Object, lost *content) {
	if o.borrowed {
		p.recoverBorrowed(o, lost)
		return
	}
	if !o.takeBack(lost) {
		return // somebody was faster
	}
	l := o.tracing().made()
	run, why := l.spend(o.id)
	if why != "" {
		o.complete(&content{err: lostError(o.id, lost.nodes, why)})
		return
	}
	if l.opts.Streaming {
		p.recoverItem(l, o, lost.nodes)
		return
	}
	t, why := p.rerun(l, run, o)
	if why != "" {
		o.complete(&content{err: lostError(o.id, lost.nodes, why)})
		return
	}
	t.damaged(lost.nodes)
	o.mu.Lock()
	o.task = t
	o.mu.Unlock()
	p.awaitInputs(t)
}

func (p *Process) recoverBorrowed(o *Object, lost *content) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.content != lost {
		return
	}
	o.content = nil
	if !o.resolver {
		o.resolver = true
		p.spawn(func() { p.resolve(o, p.askFor(o, ids.Numbers(lost.nodes))) })
	}
}

// takeBack makes an own object pending again; false when lost isn't its outcome
// any more.
func (o *Object) takeBack(lost *content) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.content != lost {
		return false
	}
	o.content = nil
	if t := o.trace; t != nil {
		t.mu.Lock()
		t.content = nil
		t.mu.Unlock()
	}
	return true
}

func (o *Object) tracing() *trace {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.trace
}

func lostError(id ids.ObjectID, nodes []ids.NodeID, why string) *proto.Error {
	where := "is gone"
	if len(nodes) > 0 {
		where = fmt.Sprintf("was lost with %v", nodes)
	}
	return &proto.Error{Kind: proto.Error_OBJECT_LOST, Message: fmt.Sprintf("object %s %s and can't be rebuilt: %s", id, where, why)}
}

// revive returns the object that an input of a task's earlier run stood for; if
// it's gone, a new one under the old name, made again if it was stored.
func (p *Process) revive(in *past) *Object {
	if in.kept != nil {
		return in.kept
	}
	if o := in.weak.Value(); o != nil {
		return o
	}
	var o *Object
	if in.id.Owner == p.self {
		if o = p.borrowing(in.id); o != nil { // it came back from others
			return o
		}
		o = p.ownAgain(in, false)
	} else {
		var isNew bool
		if o, isNew = p.borrow(in.id); !isNew {
			return o
		}
		p.borrows(in.id)
	}
	switch {
	case in.value != nil:
		c := &content{value: in.value}
		for i := range in.contains {
			c.contains = append(c.contains, p.revive(&in.contains[i]))
		}
		o.complete(c)
	case !o.borrowed:
		if c := o.peek(); c != nil && c.stored && p.allDead(c.nodes) {
			p.recover(o, c)
		}
	}
	return o
}

// borrows tells the home that this process holds an object again, without waiting.
func (p *Process) borrows(id ids.ObjectID) {
	p.node.send(&proto.ToNode{Body: &proto.ToNode_BorrowObjects{BorrowObjects: &proto.BorrowObjects{Ids: [][]byte{id.Bytes()}}}})
}

// ownAgain returns the Object that stands for an own input now. A new one that was stored
// is where it was, if others hold it still and it isn't lost; otherwise nowhere.
func (p *Process) ownAgain(in *past, lost bool) *Object {
	p.reviveMu.Lock()
	defer p.reviveMu.Unlock()
	c, atHome := &content{stored: true}, false
	if v, ok := p.traces.Load(in.id.Number); ok {
		t := v.(*trace)
		if o := t.weak.Value(); o != nil {
			return o
		}
		t.mu.Lock()
		if !lost && t.content != nil && t.content.stored {
			c = t.content
		}
		atHome = t.wanted
		t.mu.Unlock()
	}
	o := &Object{p: p, id: in.id}
	if in.stored {
		o.completeMade(c, in.lineage)
	}
	o.escape() // others may know it
	if atHome {
		o.tracing().atHome()
	}
	p.borrows(in.id)
	return o
}

// rebuild is a further run of a stream's task, for the items that were lost. Its
// own number differs from the stream's, which may be running, too.
type rebuild struct {
	base  uint64             // the stream's number
	items map[uint64]*Object // wanted, by their place in the stream, from 1; constant
	stale []lostItem         // damaged copies, unless the run replaces them; constant
	bytes int64              // of the items that have arrived; the class's lock guards it

	mu      sync.Mutex
	arrived map[uint64]ids.NodeID // the items' nodes, 0 of those by value; what they contain may be on its way yet
}

// How long a stream isn't run again for an item from a node that may be dying: when it
// has, all that was lost with it is made by one run.
const (
	deathPoll  = 10 * time.Millisecond
	deathPolls = 20
)

// recoverItem makes a stream's item, which has been taken back, again, and with it
// what else of the stream is lost.
func (p *Process) recoverItem(l *lineage, o *Object, lost []ids.NodeID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = append(l.lost, lostItem{o, lost})
	if len(l.lost) > 1 {
		return // to be gathered with the first
	}
	p.spawn(func() {
		for range deathPolls {
			if p.allDead(lost) || !pause.For(p.ctx, deathPoll) {
				break
			}
		}
		p.rebuildItems(l)
	})
}

// lostItem is an item of a stream that has been taken back, and where it was.
type lostItem struct {
	o     *Object
	nodes []ids.NodeID
}

// rebuildItems submits a task that makes a stream's lost items again.
func (p *Process) rebuildItems(l *lineage) {
	r := newRebuild(l.base)
	var run tries
	l.mu.Lock()
	lost := l.lost
	l.lost = nil
	for _, i := range lost {
		r.items[i.o.id.Number-l.base] = i.o
		run = run.latest(l.item(i.o.id).tries)
	}
	for place, i := range l.items {
		o := i.weak.Value()
		if o == nil || l.opts.MaxRetries >= 0 && i.spent() >= l.opts.MaxRetries {
			continue
		}
		if c := o.peek(); c != nil && c.stored && p.allDead(c.nodes) && o.takeBack(c) {
			i.next(false)
			run = run.latest(i.tries)
			r.items[place] = o
		}
	}
	l.mu.Unlock()
	last := p.next.Add(streamNumbers)
	t, why := p.rerun(l, run, &Object{p: p, id: p.numbered(last - streamNumbers + 1)})
	if why != "" {
		for _, o := range r.items {
			o.complete(&content{err: lostError(o.id, nil, why)})
		}
		return
	}
	t.rebuild = r
	r.stale = lost
	p.awaitInputs(t)
}

func newRebuild(base uint64) *rebuild {
	return &rebuild{base: base, items: map[uint64]*Object{}, arrived: map[uint64]ids.NodeID{}}
}

// item returns the object of an item that has arrived; nil if it's not wanted any more.
func (r *rebuild) item(place uint64, from ids.NodeID) *Object {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, again := r.arrived[place]; again || r.items[place] == nil {
		return nil
	}
	r.arrived[place] = from
	return r.items[place]
}

// wanted lists the places of the items that are still to come.
func (r *rebuild) wanted() []uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var places []uint64
	for place := range r.items {
		if _, arrived := r.arrived[place]; !arrived {
			places = append(places, place)
		}
	}
	slices.Sort(places)
	return places
}

// finish fails the items that a further run, which ended so, didn't yield.
func (r *rebuild) finish(t *Task, c *content) {
	for _, place := range r.wanted() {
		o, e := r.items[place], c.err
		if e == nil {
			e = lostError(o.id, nil, fmt.Sprintf("its stream %s, run again, ended before item %d", t.opts.Name, place-1))
		}
		o.complete(&content{err: e})
	}
}

// addItem notes an item of a stream that a run has stored.
func (l *lineage) addItem(o *Object, run tries) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.items) >= l.prune {
		for place, i := range l.items {
			if i.weak.Value() == nil {
				delete(l.items, place)
			}
		}
		l.prune = max(2*len(l.items), 2*streamWindow)
	}
	i := l.item(o.id)
	i.weak, i.tries = weak.Make(o), i.latest(run)
}
