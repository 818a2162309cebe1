package process

import (
	"context"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/wire"
	"github.com/gray-runtime/gray/proto"
)

// testProcess is a process whose node is a pipe that discards.
func testProcess(t *testing.T) *Process {
	t.Helper()
	p := &Process{self: ids.ProcessID{Node: 1, Number: 1}, cluster: 1, borrowed: map[ids.ObjectID]*borrowing{}}
	p.node = &link{conn: discarding(t), calls: map[uint64]chan *proto.ToProcess{}}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	p.done = p.ctx.Done()
	p.leases.init(p)
	p.actors.init(p)
	return p
}

func testWorker() *worker {
	p := &Process{slot: make([]byte, slotSize)}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	p.worker = &worker{p: p, running: map[*Invocation]struct{}{}, peers: map[*peer]struct{}{}, monitor: make(chan struct{}, 1)}
	p.worker.work = sync.NewCond(&p.worker.mu)
	return p.worker
}

func discarding(t *testing.T) *wire.Conn {
	t.Helper()
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := wire.Dial(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1<<16)
		for {
			if _, err := other.Read(buf); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
		other.Close()
	})
	return conn
}

// lend gives c a lease, as if the node had.
func lend(t *testing.T, c *class, id uint64) *lease {
	l := &lease{id: id, class: c, conn: discarding(t), wake: make(chan struct{}, 1), since: time.Now()}
	c.p.leases.byID[id] = l
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leases = append(c.leases, l)
	c.refill(l)
	return l
}

func submitMany(p *Process, o *TaskOptions, n int) []*Object {
	objects := make([]*Object, n)
	for i := range objects {
		objects[i] = p.Submit(context.Background(), Submission{Options: o})
	}
	return objects
}

// answers are the worker's replies for the first tasks in flight.
func answers(l *lease, kind byte, n int) []outcome {
	var batch []outcome
	for range n {
		t := l.inflight.peek(0)
		l.inflight.pop()
		l.load -= time.Duration(t.estimate)
		t.lease = nil
		batch = append(batch, outcome{task: t, reply: reply{kind: kind, number: t.obj.id.Number}})
	}
	return batch
}

func TestFilling(t *testing.T) {
	p := testProcess(t)
	o := &TaskOptions{Name: "f", MaxRetries: 1}
	objects := submitMany(p, o, 10_000)
	c := p.leases.classOf(o)
	if c.queue.len() != 10_000 || c.announced < 5000 {
		t.Errorf("%d queued, %d leases asked for", c.queue.len(), c.announced)
	}
	unknown := lend(t, c, 1)
	if n := unknown.inflight.len(); n != 1 {
		t.Errorf("%d tasks of unknown length in flight", n)
	}
	o.mean.Store(int64(time.Microsecond))
	short := lend(t, c, 2)
	if n := short.inflight.len(); n < 1000 || n > pipelineTasks {
		t.Errorf("%d short tasks in flight", n)
	}
	o.mean.Store(int64(time.Second))
	long := lend(t, c, 3)
	if n := long.inflight.len(); n != 1 {
		t.Errorf("%d long tasks in flight", n)
	}
	if first := unknown.inflight.peek(0).obj; first != objects[0] {
		t.Error("the first task isn't the first pushed")
	}
}

// TestSpreadFilling: tasks that are to be spread don't share a lease, and no more leases are
// asked for than they can use, whichever grants are on their way.
func TestSpreadFilling(t *testing.T) {
	p := testProcess(t)
	o := &TaskOptions{Name: "f", Strategy: &proto.Strategy{Kind: proto.Strategy_SPREAD}}
	o.mean.Store(int64(time.Microsecond))
	submitMany(p, o, 3)
	c := p.leases.classOf(o)
	if c.announced != 1 {
		t.Errorf("%d leases are asked for while the first may be on its way", c.announced)
	}
	c.mu.Lock()
	granted := &lease{id: 1, class: c}
	c.announced, c.leases = 0, append(c.leases, granted) // its connection is being made
	c.announce()
	if c.announced != 2 {
		t.Errorf("%d leases are asked for beside one", c.announced)
	}
	c.leases = nil
	c.mu.Unlock()
	if n := lend(t, c, 2).inflight.len(); n != 1 {
		t.Errorf("%d tasks in one lease", n)
	}
}

// TestHandedBack: tasks handed back go to the front of the line, in their order, and
// their lease gets no more until its long task is done.
func TestHandedBack(t *testing.T) {
	p := testProcess(t)
	o := &TaskOptions{Name: "f", MaxRetries: 1}
	o.mean.Store(int64(100 * time.Microsecond))
	objects := submitMany(p, o, 100)
	c := p.leases.classOf(o)
	l := lend(t, c, 1)
	pushed := l.inflight.len()
	if pushed < 2 {
		t.Fatalf("%d in flight", pushed)
	}
	long := l.inflight.pop() // goes on
	batch := answers(l, frameReturned, pushed-1)
	c.mu.Lock()
	l.inflight.push(long)
	l.requeue(batch)
	if c.refill(l); l.inflight.len() != 1 || !l.stalled {
		t.Errorf("%d in flight behind a long task", l.inflight.len())
	}
	for i := range 20 {
		if c.queue.peek(i).obj != objects[i+1] {
			t.Fatalf("the %d-th in line is %s", i, c.queue.peek(i).obj.id)
		}
	}
	l.inflight.pop()
	l.requeue(nil)
	c.refill(l)
	c.mu.Unlock()
	if l.stalled || l.inflight.len() == 0 {
		t.Error("the lease stays stalled")
	}
}

// TestBury: of a dead worker's tasks, those that it had begun spend an attempt.
func TestBury(t *testing.T) {
	p := testProcess(t)
	o := &TaskOptions{Name: "f", MaxRetries: 1}
	o.mean.Store(int64(100 * time.Microsecond))
	objects := submitMany(p, o, 5)
	c := p.leases.classOf(o)
	l := lend(t, c, 1)
	if l.inflight.len() != 5 {
		t.Fatalf("%d in flight", l.inflight.len())
	}
	l.inflight.peek(0).attempt = 1 // its last
	if err := p.Cancel(objects[4], false); err != nil {
		t.Fatal(err)
	}
	l.ended = true
	p.leases.gone(&proto.LeaseGone{Lease: 1, Died: &proto.WorkerDied{
		LastStarted: objects[2].id.Number, Error: &proto.Error{Kind: proto.Error_WORKER_CRASHED, Message: "died"},
	}})
	if e := objects[0].peek().err; e.GetKind() != proto.Error_WORKER_CRASHED || e.GetFunction() != "f" || e.GetAttempt() != 1 {
		t.Errorf("the first: %v", e)
	}
	for i, attempt := range []uint16{1, 1, 0} {
		if q := c.queue.peek(i); q.obj != objects[i+1] || q.attempt != attempt {
			t.Errorf("%s is in line, attempt %d", q.obj.id, q.attempt)
		}
	}
	if c.backlog() != 3 || len(c.leases) != 0 || c.announced == 0 {
		t.Errorf("%d in line, %d leases, %d asked for", c.backlog(), len(c.leases), c.announced)
	}
}

// TestStrays: what an attempt may have stored before it died is known, until the
// task ends, unless a later one on the same node replaced it.
func TestStrays(t *testing.T) {
	p := testProcess(t)
	o := &TaskOptions{Name: "f", MaxRetries: 1}
	o.mean.Store(int64(100 * time.Microsecond))
	objects := submitMany(p, o, 3)
	c := p.leases.classOf(o)
	l := lend(t, c, 1)
	l.node, l.ended = 2, true
	p.leases.gone(&proto.LeaseGone{Lease: 1, Died: &proto.WorkerDied{LastStarted: objects[1].id.Number}})
	stray := func(task *Task, made ids.NodeID) []*proto.Location {
		return task.strays(&content{stored: true, nodes: []ids.NodeID{made}})
	}
	if s := stray(objects[0].task, 3); len(s) != 1 || !slices.Equal(s[0].Id, objects[0].id.Bytes()) || !slices.Equal(s[0].Nodes, []uint32{2}) {
		t.Errorf("made elsewhere: %v", s)
	}
	if s := stray(objects[0].task, 3); s != nil {
		t.Errorf("freed again: %v", s)
	}
	if s := stray(objects[1].task, 2); s != nil {
		t.Errorf("made on the same node: %v", s)
	}
	if s := stray(objects[2].task, 3); s != nil {
		t.Errorf("of a task that hadn't begun: %v", s)
	}

	st := p.SubmitStream(context.Background(), Submission{Options: &TaskOptions{Streaming: true}})
	st.item(st.task.obj.id.Number + 1)
	st.task.attemptLost(2)
	if s := st.task.strayItem(1, &content{}); s != nil {
		t.Errorf("an item that had arrived: %v", s)
	}
	if s := st.task.strayItem(2, &content{}); len(s) != 1 {
		t.Errorf("the next item: %v", s)
	}
	if s := st.task.strays(&content{}); len(s) != streamWindow {
		t.Errorf("%d items that may have been made, want %d", len(s), streamWindow)
	}
}

// TestClasses: tasks of one shape share leases.
func TestClasses(t *testing.T) {
	p := testProcess(t)
	one := p.leases.classOf(&TaskOptions{Name: "a", Resources: map[string]int64{"CPU": 1, "GPU": 2}})
	same := p.leases.classOf(&TaskOptions{Name: "b", Resources: map[string]int64{"GPU": 2, "CPU": 1}})
	other := p.leases.classOf(&TaskOptions{Name: "b", Resources: map[string]int64{"CPU": 1}})
	spread := p.leases.classOf(&TaskOptions{Resources: map[string]int64{"CPU": 1}, Strategy: &proto.Strategy{Kind: proto.Strategy_SPREAD}})
	if one != same || other == one || spread == other {
		t.Error("shapes are mixed up")
	}
}

// TestStreamItems: items come in order, once, whatever arrives.
func TestStreamItems(t *testing.T) {
	p := testProcess(t)
	o := &TaskOptions{Name: "s", Streaming: true, MaxRetries: 1}
	st := p.SubmitStream(context.Background(), Submission{Options: o})
	base := st.task.obj.id.Number
	first, second := st.item(base+1), st.item(base+2)
	if first == nil || second == nil || st.item(base+2) != nil || st.item(base+1) != nil || st.item(base+9) != nil {
		t.Fatal("items are taken twice, or out of order")
	}
	if c := st.task.callOf(0); c.skip != 2 || c.flags&flagStream == 0 {
		t.Errorf("the next attempt skips %d", c.skip)
	}
	second.complete(&content{value: []byte("2")})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := st.Next(ctx); err == nil {
		t.Error("an item came incomplete")
	}
	if got, err := st.Next(context.Background()); got != second || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

// TestManyInlined: values of inputs travel with a task up to a limit.
func TestManyInlined(t *testing.T) {
	p := testProcess(t)
	task := &Task{obj: p.newObject(), opts: &TaskOptions{}}
	for range 100 {
		o := p.newObject()
		o.complete(&content{value: make([]byte, InlineLimit)})
		task.deps = append(task.deps, input{obj: o})
	}
	c := task.callOf(0)
	b := appendCall(nil, &c)
	if len(b) > maxInlined+(100<<10) || len(b) < maxInlined/2 {
		t.Errorf("a frame of %d bytes", len(b))
	}
	if len(c.deps) != 100 || c.deps[0].kind != depValue || c.deps[99].kind != depLazy {
		t.Error("the wrong values travel")
	}
}
