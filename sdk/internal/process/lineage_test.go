package process

import (
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// storeOn completes a task's object as stored on a node.
func storeOn(p *Process, t *Task, n ids.NodeID) *content {
	c := &content{stored: true, size: 1 << 20, nodes: []ids.NodeID{n}}
	p.finish(t, c)
	return c
}

func ended(p *Process, o *TaskOptions, arg []byte) (*Object, *content) {
	t := &Task{obj: p.newObject(), opts: o, arg: arg}
	t.obj.task = t
	return t.obj, storeOn(p, t, 2)
}

func lostFor(t *testing.T, p *Process, o *Object, c *content, why string) {
	t.Helper()
	p.recover(o, c)
	got := o.peek()
	if got == nil || got.err.GetKind() != proto.Error_OBJECT_LOST || !strings.Contains(got.err.GetMessage(), why) || !strings.Contains(got.err.GetMessage(), "n2") {
		t.Errorf("want it lost because %q, got %+v", why, got)
	}
}

// TestLineageLimit: what a process keeps to rebuild objects is bounded, the oldest is
// dropped, the error says so, and what isn't needed any more makes room.
func TestLineageLimit(t *testing.T) {
	p := testProcess(t)
	p.lineages.limit = 4 << 20
	o := &TaskOptions{Name: "f", MaxRetries: 3}
	oldest, c := ended(p, o, make([]byte, 1<<20))
	var objects []*Object
	for range 3 {
		later, _ := ended(p, o, make([]byte, 1<<20))
		objects = append(objects, later)
	}
	if got := p.lineages.bytes.Load(); got > p.lineages.limit || got < 3<<20 {
		t.Errorf("%d bytes are kept", got)
	}
	lostFor(t, p, oldest, c, "its lineage was dropped: over the limit of 4 MiB")
	runtime.KeepAlive(objects)
	clear(objects)
	for p.lineages.bytes.Load() != 0 {
		runtime.GC() // until its cleanups have run
		p.traces.Clear()
		p.reap.mu.Lock()
		p.reap.dead = nil
		p.reap.mu.Unlock()
	}
	kept, c := ended(p, o, make([]byte, 1<<20))
	p.recover(kept, c)
	if kept.peek() != nil || kept.task == nil || kept.task.attempt != 1 {
		t.Errorf("%+v isn't made again", kept.peek())
	}
}

// TestLineageRetries: each further run spends an attempt.
func TestLineageRetries(t *testing.T) {
	p := testProcess(t)
	p.lineages.limit = maxLineage
	o := &TaskOptions{Name: "f", MaxRetries: 2}
	made, c := ended(p, o, nil)
	for attempt := range uint16(2) {
		p.recover(made, c)
		p.recover(made, c) // one who is late
		task := made.task
		if task == nil || task.attempt != attempt+1 {
			t.Fatalf("attempt %d: %+v", attempt, task)
		}
		c = storeOn(p, task, 2)
	}
	lostFor(t, p, made, c, "its task f has no retries left (2 of 2)")

	put := p.newObject()
	c = &content{stored: true, nodes: []ids.NodeID{2}}
	put.complete(c)
	lostFor(t, p, put, c, "made by gray.Put")
}

// TestLineageOfAChain: however often an object is made from the one before, the last
// can be made again, from what is there.
func TestLineageOfAChain(t *testing.T) {
	p := testProcess(t)
	p.lineages.limit = 1 << 20
	o := &TaskOptions{Name: "f", MaxRetries: 3}
	last, c := ended(p, o, nil)
	for range 4000 {
		next := &Task{obj: p.newObject(), opts: o, deps: []input{{obj: last}}}
		last, c = next.obj, storeOn(p, next, 2)
	}
	if got := p.lineages.bytes.Load(); got > p.lineages.limit || got < p.lineages.limit/2 {
		t.Errorf("%d bytes are kept", got)
	}
	p.recover(last, c)
	if last.peek() != nil || last.task == nil {
		t.Errorf("%+v isn't made again", last.peek())
	}
}

// TestReviveWhatOthersHold: an input that its owner holds no more is where it was while
// others hold it, and isn't made again unless its nodes are dead.
func TestReviveWhatOthersHold(t *testing.T) {
	p := testProcess(t)
	p.lineages.limit = maxLineage
	lent := func() past {
		var n int64
		put := p.newObject()
		put.complete(&content{stored: true, size: 1 << 20, nodes: []ids.NodeID{2}})
		put.escape()
		return pastOf(put, pastDepth, &n)
	}
	in, lost := lent(), lent()
	for in.weak.Value() != nil || lost.weak.Value() != nil {
		runtime.GC()
	}
	o := p.revive(&in)
	if c := o.peek(); c == nil || !c.stored || !slices.Equal(c.nodes, []ids.NodeID{2}) {
		t.Errorf("what lives on n2 is %+v", c)
	}
	p.nodeDied(2)
	o = p.revive(&lost)
	if c := o.peek(); c == nil || c.err.GetKind() != proto.Error_OBJECT_LOST {
		t.Errorf("what died with n2 is %+v", c)
	}
}

// furtherRun is a stream's task that is to make its items again, up to some place.
func furtherRun(p *Process, items uint64) (*Task, *rebuild) {
	o := &TaskOptions{Name: "s", Streaming: true, MaxRetries: 3}
	r := newRebuild(1 << 40)
	for place := range items {
		r.items[place+1] = &Object{p: p, id: p.numbered(r.base + place + 1)}
	}
	t := &Task{obj: &Object{p: p, id: p.numbered(1 << 41)}, opts: o, rebuild: r}
	t.lineage.Store(&lineage{opts: o, base: r.base})
	return t, r
}

// TestRebuiltItemWithReferences: an item that has arrived isn't missed when the run ends
// before its references are borrowed, nor is it made or deleted as one that is.
func TestRebuiltItemWithReferences(t *testing.T) {
	p := testProcess(t)
	task, r := furtherRun(p, 2)
	foreign := ids.ObjectID{Cluster: 1, Owner: ids.ProcessID{Node: 5, Number: 5}, Number: 7}
	p.settle(p.node.conn, &outcome{task: task, reply: reply{
		kind: frameItemStored, number: task.obj.id.Number + 1, size: 1 << 20, node: 3, contains: []ids.ObjectID{foreign},
	}})
	task.attemptLost(3) // and the next is on the same node
	if w := r.wanted(); !slices.Equal(w, []uint64{2}) {
		t.Errorf("the next attempt makes items %v", w)
	}
	if s := r.strays(*task.strayed.Load()); len(s) != 1 || !slices.Equal(s[0].Id, r.items[2].id.Bytes()) {
		t.Errorf("deleted: %v", s)
	}
	p.settle(p.node.conn, &outcome{task: task, reply: reply{kind: frameEnd, number: task.obj.id.Number, items: 1}})
	if c := r.items[2].peek(); c == nil || c.err == nil {
		t.Errorf("the item that hasn't come is %+v", c)
	}
	if c := r.items[1].peek(); c != nil {
		t.Errorf("the item that has arrived is %+v", c)
	}
	answer(p)
	p.wg.Wait()
	if c := r.items[1].peek(); c == nil || !c.stored || len(c.contains) != 1 {
		t.Errorf("the item is %+v", c)
	}
}

// answer answers the only call of p's node, when it comes, with nothing.
func answer(p *Process) {
	for {
		p.node.mu.Lock()
		n := p.node.next
		called := p.node.calls[n] != nil
		p.node.mu.Unlock()
		if called {
			p.node.answer(&proto.ToProcess{Call: n})
			return
		}
		runtime.Gosched()
	}
}
