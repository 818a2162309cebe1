package process

import (
	"runtime"
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

// TestLineageLimit: what a process keeps to rebuild objects is bounded, the error says
// so, and what isn't needed any more makes room.
func TestLineageLimit(t *testing.T) {
	p := testProcess(t)
	p.maxLineage = 4 << 20
	o := &TaskOptions{Name: "f", MaxRetries: 3}
	var objects []*Object
	for range 3 {
		first, _ := ended(p, o, make([]byte, 1<<20))
		objects = append(objects, first)
	}
	over, c := ended(p, o, make([]byte, 1<<20))
	if got := p.counts.lineage.Load(); got > p.maxLineage || got < 3<<20 {
		t.Errorf("%d bytes are kept", got)
	}
	lostFor(t, p, over, c, "its lineage was dropped: over the limit of 4 MiB")
	runtime.KeepAlive(objects)
	clear(objects)
	for p.counts.lineage.Load() != 0 {
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
	p.maxLineage = maxLineage
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
