package process

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/internal/recorder"
	"github.com/gray-runtime/gray/internal/wire"
	graypb "github.com/gray-runtime/gray/proto"
)

// outcome is a reply matched with its task.
type outcome struct {
	task   *Task
	reply  reply
	ending ending
	failed *graypb.Error // what reply failed with, once it was read
}

// batchReplies bounds how many replies are handled under one lock.
const batchReplies = 512

// read handles the worker's frames until the connection ends.
func (l *lease) read() {
	c, conn := l.class, l.conn
	var batch []outcome
	var tally recorder.Tally
	for {
		frame, err := conn.Next()
		if err != nil {
			return
		}
		c.mu.Lock()
		batch, err = l.takeReplies(batch[:0], frame)
		l.requeue(batch)
		pushed := c.refill(l)
		if l.inflight.len() == 0 {
			l.idle = time.Now()
			c.returnSoon()
		}
		back := l.draining && l.inflight.len() == 0
		if back {
			c.drop(l)
		}
		c.announce()
		c.mu.Unlock()
		if pushed {
			_ = conn.Flush()
		}
		c.p.recordReplies(&tally, batch, l.process)
		for i := range batch {
			c.p.settle(conn, &batch[i])
			batch[i] = outcome{}
		}
		if back {
			c.p.leases.giveBack(l)
		}
		if err != nil {
			return
		}
	}
}

// takeReplies reads frame and those already received behind it. Values are
// copied off the connection's buffer.
func (l *lease) takeReplies(batch []outcome, frame []byte) ([]outcome, error) {
	for {
		r, err := parseReply(frame)
		if err != nil {
			return batch, err
		}
		var t *Task
		if r.kind == frameItem || r.kind == frameItemStored {
			t = findStream(&l.inflight, r.number)
		} else if t = l.inflight.take(r.number); t != nil {
			l.load = max(l.load-time.Duration(t.estimate), 0)
			if r.kind != frameReturned && r.kind != frameLost {
				t.opts.ran(r.run)
			}
			t.lease = nil
		}
		if t != nil {
			r.value = slices.Clone(r.value)
			batch = append(batch, outcome{task: t, reply: r, ending: t.ends(&r)})
		}
		if len(batch) >= batchReplies || !l.conn.More() {
			return batch, nil
		}
		if frame, err = l.conn.Next(); err != nil {
			return batch, err
		}
	}
}

// requeue puts what the worker handed back in front of the queue and pushes it
// to other leases. Called with class.mu held.
func (l *lease) requeue(batch []outcome) {
	c := l.class
	returned := 0
	for _, o := range slices.Backward(batch) {
		if o.reply.kind == frameReturned && !o.task.cancelled {
			c.queue.pushFront(o.task)
			c.queued(o.task)
			returned++
		}
	}
	l.stalled = returned > 0 && l.inflight.len() > 0
	if returned == 0 {
		return
	}
	for _, other := range c.leases {
		if other != l && c.refill(other) {
			other.flushSoon()
		}
	}
}

// drop takes l off the class's list. Called with mu held.
func (c *class) drop(l *lease) {
	if i := slices.Index(c.leases, l); i >= 0 {
		c.leases = slices.Delete(c.leases, i, i+1)
	}
}

// findStream returns the stream task whose item has this object number.
func findStream(q *taskQueue, item uint64) *Task {
	for i := range q.len() {
		t := q.peek(i)
		if n := t.obj.id.Number; (t.stream != nil || t.rebuild != nil) && item > n && item-n < streamNumbers {
			return t
		}
	}
	return nil
}

// failure is what a frameFailed says.
func (o *outcome) failure() *graypb.Error {
	if o.failed != nil {
		return o.failed
	}
	e := &graypb.Error{}
	if err := proto.Unmarshal(o.reply.value, e); err != nil {
		e = &graypb.Error{Message: fmt.Sprintf("the worker's error can't be read: %v", err)}
	}
	if o.task.actor == nil || e.Function == "" { // a worker doesn't know what gray.Name gives, a host of a dead actor nothing
		e.Function = o.task.opts.Name
	}
	o.failed = e
	return e
}

// settle completes what the reply is about. No lock is held.
func (p *Process) settle(conn *wire.Conn, o *outcome) {
	t, r := o.task, &o.reply
	switch r.kind {
	case frameReturned:
	case frameLost:
		p.inputsLost(t, r.contains)
	case frameFailed:
		e := o.failure()
		if e.Retry && p.retryLater(t, e) {
			return
		}
		p.finish(t, &content{err: e})
	case frameEnd:
		if t.stream != nil {
			t.stream.end(r.items)
		}
		p.finish(t, &content{value: []byte{}})
	default:
		made, deliver := t.obj, func(c *content) { p.finish(t, c) }
		if r.kind == frameItem || r.kind == frameItemStored {
			place := r.number - t.obj.id.Number // r is gone when this is called later
			item := t.item(place, r.node)       // now: the items' order is that of their frames
			if item == nil {
				return
			}
			made, deliver = item, func(c *content) { p.deliverItem(t, place, item, c) }
		}
		if len(r.contains) == 0 {
			deliver(p.replyContent(r, nil))
			return
		}
		out := *o
		p.spawn(func() { p.settleContaining(conn, out, made, deliver) })
	}
}

func (p *Process) replyContent(r *reply, contains []*Object) *content {
	if r.kind == frameStored || r.kind == frameItemStored {
		return &content{stored: true, size: r.size, nodes: []ids.NodeID{r.node}, contains: contains}
	}
	if r.value == nil {
		r.value = []byte{}
	}
	return &content{value: r.value, contains: contains}
}

// settleContaining registers the references inside a result before the worker
// may let go of them.
func (p *Process) settleContaining(conn *wire.Conn, o outcome, made *Object, deliver func(*content)) {
	raw := make([][]byte, len(o.reply.contains))
	for i, id := range o.reply.contains {
		raw[i] = id.Bytes()
	}
	objects, err := p.borrowIDs(raw)
	if err != nil {
		deliver(&content{err: asError(err)})
		p.freeUnless(made, p.replyContent(&o.reply, nil))
		return
	}
	deliver(p.replyContent(&o.reply, objects))
	_ = conn.Append(func(b []byte) []byte {
		return binary.LittleEndian.AppendUint64(append(b, frameAck), o.reply.number)
	})
	_ = conn.Flush()
}

// inputsLost rebuilds what a worker could not get and submits t again.
func (p *Process) inputsLost(t *Task, lost []ids.ObjectID) {
	for i := range t.deps {
		in := &t.deps[i]
		if in.lazy || !slices.Contains(lost, in.obj.id) {
			continue
		}
		if c := in.sent; c != nil { // if it was made again meanwhile, the next try gets that
			p.recover(in.obj, c)
		}
	}
	p.awaitInputs(t)
}

// readerEnded is called once, by l's own goroutine, when its connection is over.
func (l *lease) readerEnded() {
	c := l.class
	c.mu.Lock()
	l.ended = true
	c.mu.Unlock()
	l.bury()
	if !l.orphaned() || !pause.For(c.p.ctx, brokenGrace) {
		return
	}
	if l.orphaned() {
		c.p.node.send(&graypb.ToNode{Body: &graypb.ToNode_LeaseReturn{LeaseReturn: &graypb.LeaseReturn{Lease: l.id, Broken: true}}})
	}
}

// orphaned reports whether the connection ended and nobody has said why.
func (l *lease) orphaned() bool {
	l.class.mu.Lock()
	defer l.class.mu.Unlock()
	return l.ended && l.gone == nil && !l.returned
}

// brokenGrace is how long the node may take to say how a worker died whose
// connection has ended. After that the connection alone broke: the node ends the
// worker, which may be running what nobody would hear of.
const brokenGrace = time.Second

// gone is the node's word that a lease's worker has died.
func (lt *leaseTable) gone(g *graypb.LeaseGone) {
	lt.mu.Lock()
	l := lt.byID[g.GetLease()]
	lt.mu.Unlock()
	if l == nil {
		if g.GetLease() == 0 {
			lt.failDemand(g)
		}
		return
	}
	died := g.GetDied()
	if died == nil {
		died = &graypb.WorkerDied{Error: &graypb.Error{Kind: graypb.Error_WORKER_CRASHED, Message: "the worker died"}}
	}
	l.class.mu.Lock()
	l.gone = died
	conn, ended := l.conn, l.ended
	l.class.mu.Unlock()
	if conn != nil && !ended && died.GetError().GetKind() == graypb.Error_NODE_DIED {
		conn.Close() // a tunnel to a silent node would stay open
	}
	l.bury()
}

// unknownTask as the task that a worker had begun last says that it can't be told:
// any of those in flight may have been begun.
const unknownTask = math.MaxUint64

// bury settles the tasks of a dead worker, once the connection has been read to
// its end and the node has said how the worker died. Tasks up to the one that
// it had begun last spend an attempt; the others are pushed elsewhere.
func (l *lease) bury() {
	c := l.class
	c.mu.Lock()
	if !l.ended || l.gone == nil || l.returned {
		c.mu.Unlock()
		return
	}
	l.returned = true
	c.drop(l)
	begun := -1
	if l.gone.GetLastStarted() == unknownTask {
		begun = l.inflight.len() - 1
	}
	for i := range l.inflight.len() {
		if l.inflight.peek(i).obj.id.Number == l.gone.GetLastStarted() {
			begun = i
		}
	}
	var failed, again, cancelled, starved []*Task
	starves := l.gone.GetError().GetKind() == graypb.Error_OUT_OF_MEMORY
	removed := l.gone.GetError().GetKind() == graypb.Error_GROUP_REMOVED
	for i := 0; ; i++ {
		t := l.inflight.pop()
		if t == nil {
			break
		}
		t.lease = nil
		if i <= begun {
			t.attemptLost(l.node)
			c.p.recordCrash(t, l.process, l.gone, i == begun)
		}
		switch {
		case t.cancelled:
			cancelled = append(cancelled, t)
		case i > begun:
			t.unpushed()
			again = append(again, t)
		case removed:
			failed = append(failed, t)
		case starves && t.opts.MaxRetries != 0:
			t.again(true)
			starved = append(starved, t)
		case t.mayRetry() || t.opts.MaxRetries != 0 && c.p.leases.leaves(l.node):
			t.again(c.p.leases.leaves(l.node))
			again = append(again, t)
		default:
			failed = append(failed, t)
		}
	}
	for _, t := range slices.Backward(again) {
		c.queue.pushFront(t)
		c.queued(t)
	}
	for _, other := range c.leases {
		if c.refill(other) {
			other.flushSoon()
		}
	}
	c.announced = 0
	c.announce()
	for _, t := range starved {
		c.p.held.rest(c.p, t, afterStarving.before(t.spared), l.gone.GetError())
	}
	c.mu.Unlock()
	c.p.leases.mu.Lock()
	delete(c.p.leases.byID, l.id)
	c.p.leases.mu.Unlock()
	for _, t := range cancelled {
		c.p.recordEnd(t, &content{err: t.cancelledError()}) // those that hadn't begun
		c.p.freeStrays(t, &content{})
	}
	for _, t := range failed {
		e := proto.CloneOf(l.gone.GetError())
		e.Function, e.Attempt, e.Task = t.opts.Name, uint32(t.attempt), t.obj.id.String()
		c.p.finish(t, &content{err: e})
	}
}

// failDemand fails every queued task of a class or, without one, of an environment: the
// class's placement group is gone, or the node can't start workers.
func (lt *leaseTable) failDemand(g *graypb.LeaseGone) {
	e := g.GetDied().GetError()
	if e == nil {
		e = &graypb.Error{Kind: graypb.Error_WORKER_CRASHED, Message: "the node can't start workers for this job"}
	}
	for _, c := range lt.list() {
		if g.GetClass() != 0 && c.number != g.GetClass() || g.GetClass() == 0 && c.env.GetKey() != g.GetEnvironment() {
			continue
		}
		var failed []*Task
		c.mu.Lock()
		for t := c.next(); t != nil; t = c.next() {
			failed = append(failed, t)
		}
		c.announced = 0
		c.mu.Unlock()
		for _, t := range failed {
			e := proto.CloneOf(e)
			e.Function, e.Attempt, e.Task = t.opts.Name, uint32(t.attempt), t.obj.id.String()
			lt.p.finish(t, &content{err: e})
		}
	}
}
