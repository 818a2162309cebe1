package process

import (
	"encoding/binary"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/internal/wire"
	"github.com/gray-runtime/gray/proto"
)

// How leases are filled and kept.
const (
	pipelineTime  = 2 * time.Millisecond   // work pushed ahead to one worker
	pipelineTasks = 4096                   // and no more tasks than this
	maxDemand     = 10_000                 // leases asked for at once, per class
	leaseLinger   = time.Second            // a lease without work is kept so long
	leaseTurn     = 500 * time.Millisecond // a lease held longer is given up between tasks when others wait
)

// leaseTable has this process's classes and the leases that its node granted.
type leaseTable struct {
	p       *Process
	dead    sync.Map // NodeID → struct{}
	leaving sync.Map // NodeID → struct{}: those that drain

	mu      sync.Mutex
	classes map[string]*class
	byID    map[uint64]*lease
	numbers uint32
	closed  bool
}

func (lt *leaseTable) init(p *Process) {
	lt.p = p
	lt.classes = map[string]*class{}
	lt.byID = map[uint64]*lease{}
}

// class is the tasks that one shape of lease serves, and those leases.
type class struct {
	p         *Process
	number    uint32
	resources map[string]int64
	strategy  *proto.Strategy
	env       *proto.Environment
	near      ids.NodeID // that has most of the tasks' inputs; 0: none stands out
	key       string

	mu        *sync.Mutex // one for all classes that differ in near only
	queue     taskQueue
	withdrawn int           // of queue: cancelled since
	load      time.Duration // that the rest is estimated to take
	leases    []*lease
	announced int  // leases that the node was last asked for and has not granted
	returning bool // returnSoon is under way
}

// lease is a worker lent to this process.
type lease struct {
	id      uint64
	class   *class
	node    ids.NodeID
	process ids.ProcessID
	pid     int32
	gpus    []uint32 // devices of the node that it has
	since   time.Time

	// Guarded by class.mu.
	conn     *wire.Conn
	inflight taskQueue // in the order in which they were pushed
	load     time.Duration
	idle     time.Time // since when nothing is in flight
	draining bool      // gets no more tasks; returned when empty
	stalled  bool      // handed tasks back behind one that goes on
	gone     *proto.WorkerDied
	ended    bool // the reader has seen the connection's end
	returned bool

	wake chan struct{} // asks the flusher to flush
}

// classOf returns the class that serves tasks with these options.
func (lt *leaseTable) classOf(o *TaskOptions) *class {
	if c := o.class.Load(); c != nil && c.p == lt.p {
		return c
	}
	env := lt.p.environment(o)
	key := classKey(o, env)
	lt.mu.Lock()
	defer lt.mu.Unlock()
	c := lt.classes[key]
	if c == nil {
		lt.numbers++
		c = &class{p: lt.p, number: lt.numbers, resources: o.Resources, strategy: o.Strategy, env: env, key: key, mu: new(sync.Mutex)}
		lt.classes[key] = c
	}
	o.class.Store(c)
	return c
}

// nearClass returns the class like c for tasks whose inputs lie on a node.
func (lt *leaseTable) nearClass(c *class, node ids.NodeID) *class {
	key := fmt.Sprintf("%s@%d", c.key, node)
	lt.mu.Lock()
	defer lt.mu.Unlock()
	near := lt.classes[key]
	if near == nil {
		lt.numbers++
		near = &class{p: lt.p, number: lt.numbers, resources: c.resources, strategy: c.strategy, env: c.env, near: node, key: key, mu: c.mu}
		lt.classes[key] = near
	}
	return near
}

func classKey(o *TaskOptions, env *proto.Environment) string {
	names := make([]string, 0, len(o.Resources))
	for n := range o.Resources {
		names = append(names, n)
	}
	sort.Strings(names)
	var b strings.Builder
	b.WriteString(env.GetKey())
	for _, n := range names {
		fmt.Fprintf(&b, "%q:%d,", n, o.Resources[n])
	}
	if o.Strategy != nil {
		s, _ := marshal(o.Strategy)
		b.Write(s)
	}
	return b.String()
}

// estimate is how long a task is expected to run.
func (o *TaskOptions) estimate() uint32 {
	m := o.mean.Load()
	if m == 0 {
		return uint32(pipelineTime)
	}
	return uint32(min(max(m, 1000), int64(time.Second)))
}

// ran takes a run into the average.
func (o *TaskOptions) ran(d time.Duration) {
	m := o.mean.Load()
	if m == 0 {
		m = int64(d)
	}
	o.mean.Store(max(m+(int64(d)-m)/8, 1))
}

// enqueue pushes t to a lease with room, or queues it and asks for leases.
func (c *class) enqueue(t *Task) {
	c.mu.Lock()
	if t.cancelled {
		c.mu.Unlock()
		return
	}
	t.class = c
	t.estimate = t.opts.estimate()
	var l *lease
	if c.backlog() == 0 {
		l = c.roomiest()
	}
	if l == nil {
		c.queue.push(t)
		c.queued(t)
		c.announce()
		c.mu.Unlock()
		return
	}
	first := l.inflight.len() == 0
	l.push(t, t.enqueuedAt())
	c.mu.Unlock()
	if first {
		_ = l.conn.Flush() // its end shows in the reader
	} else {
		l.flushSoon()
	}
}

// backlog is how many tasks wait for a lease. It and what follows is called with
// mu held.
func (c *class) backlog() int { return c.queue.len() - c.withdrawn }

// queued notes that t is in the queue.
func (c *class) queued(t *Task) {
	t.queued = true
	c.load += time.Duration(t.estimate)
}

// next takes the first task that is still wanted, nil when there is none.
func (c *class) next() *Task {
	for t := c.queue.pop(); t != nil; t = c.queue.pop() {
		t.queued = false
		if !t.cancelled {
			c.load = max(c.load-time.Duration(t.estimate), 0)
			return t
		}
		c.withdrawn--
	}
	return nil
}

// withdraw takes a cancelled task off the demand, and the queue's cancelled tasks
// off its memory once they are the most of it.
func (c *class) withdraw(t *Task) {
	if !t.queued {
		return
	}
	c.withdrawn++
	c.load = max(c.load-time.Duration(t.estimate), 0)
	if 2*c.withdrawn > c.queue.len() {
		c.queue.keep(func(t *Task) bool { return !t.cancelled })
		c.withdrawn = 0
	}
	c.announce()
}

// roomiest returns the lease with the least to do, nil when all are full.
func (c *class) roomiest() *lease {
	var best *lease
	for _, l := range c.leases {
		if l.room() && (best == nil || l.load < best.load) {
			best = l
			if l.load == 0 {
				break
			}
		}
	}
	return best
}

func (l *lease) room() bool {
	return l.conn != nil && !l.ended && !l.draining && !l.stalled && l.gone == nil &&
		(l.inflight.len() == 0 || l.load < pipelineTime && l.inflight.len() < pipelineTasks && !l.class.spreads())
}

// push appends t to what will be written. Called with class.mu held.
func (l *lease) push(t *Task, now int64) {
	t.lease, t.pushed = l, now
	l.load += time.Duration(t.estimate)
	l.inflight.push(t)
	k := t.callOf(l.node)
	_ = l.conn.Append(func(b []byte) []byte { return appendCall(append(b, framePush), &k) })
}

func (l *lease) flushSoon() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// refill pushes queued tasks as far as l has room. Called with class.mu held.
func (c *class) refill(l *lease) (pushed bool) {
	now := int64(0)
	for l.room() {
		t := c.next()
		if t == nil {
			break
		}
		if !pushed {
			now = c.p.now()
		}
		t.estimate = t.opts.estimate()
		l.push(t, now)
		pushed = true
	}
	return pushed
}

// announce tells the node how many more leases would be of use, when that has
// changed enough. Called with mu held.
func (c *class) announce() {
	want := c.want()
	if c.spreads() && c.announced > 0 && want > c.announced {
		return // a grant may be on its way: with one too many, two tasks may come to one node
	}
	if want == c.announced || want > c.announced && c.announced > 0 && want < 2*c.announced || want < c.announced && want > c.announced/2 {
		return
	}
	c.announced = want
	c.p.node.send(&proto.ToNode{Body: &proto.ToNode_LeaseDemand{LeaseDemand: &proto.LeaseDemand{
		Class: c.number, Resources: &proto.Resources{Quantity: c.resources}, Strategy: c.strategy,
		Want: uint32(want), Backlog: uint32(c.backlog()), Near: uint32(c.near),
		Environment: c.env,
	}}})
}

// want is how many more leases would be of use.
func (c *class) want() int {
	n := c.backlog()
	if !c.spreads() {
		return min(int(c.load/pipelineTime)+1, n, maxDemand)
	}
	for _, l := range c.leases {
		if l.conn == nil {
			n-- // it will take one
		}
	}
	return min(max(n, 0), maxDemand)
}

// spreads reports whether tasks are to run on different nodes rather than soon: no lease
// takes a second one.
func (c *class) spreads() bool { return c.strategy.GetKind() == proto.Strategy_SPREAD }

// granted takes a lease from the node and connects to its worker.
func (lt *leaseTable) granted(g *proto.LeaseGrant) {
	lt.mu.Lock()
	var c *class
	for _, k := range lt.classes {
		if k.number == g.Class {
			c = k
		}
	}
	if c == nil || lt.closed {
		lt.mu.Unlock()
		lt.p.node.send(&proto.ToNode{Body: &proto.ToNode_LeaseReturn{LeaseReturn: &proto.LeaseReturn{Lease: g.Lease}}})
		return
	}
	l := &lease{
		id: g.Lease, class: c, node: ids.NodeID(g.Node), pid: g.Pid, gpus: g.Gpus, since: time.Now(), wake: make(chan struct{}, 1),
		process: ids.ProcessID{Node: ids.NodeID(g.Node), Number: g.Process},
	}
	lt.byID[l.id] = l
	lt.mu.Unlock()
	c.mu.Lock()
	c.announced = max(c.announced-1, 0)
	useless := c.backlog() == 0 || lt.leaves(l.node)
	if !useless {
		c.leases = append(c.leases, l)
	} else {
		c.announce()
	}
	c.mu.Unlock()
	if useless {
		lt.giveBack(l)
		return
	}
	lt.p.spawn(func() { lt.run(l, g.Address) })
}

// run owns l's connection.
func (lt *leaseTable) run(l *lease, address string) {
	conn, err := lt.p.dialWorker(l.process, address, opening{cpus: min(l.class.resources["CPU"], maxCPUs), gpus: l.gpus, in: membershipOf(l.class.strategy)})
	if err != nil {
		lt.unreachable(l)
		return
	}
	c := l.class
	c.mu.Lock()
	if lt.isClosed() {
		c.mu.Unlock()
		conn.Close()
		return
	}
	l.conn = conn
	_ = conn.Append(func(b []byte) []byte { return appendGrant(b, c.resources) })
	c.refill(l)
	if l.inflight.len() == 0 {
		l.idle = time.Now()
	}
	back := l.draining && l.inflight.len() == 0 // its node drains
	if back {
		c.drop(l)
	}
	c.announce()
	c.mu.Unlock()
	if back {
		lt.giveBack(l)
		return
	}
	_ = conn.Flush()
	stop := make(chan struct{})
	lt.p.spawn(func() {
		for {
			select {
			case <-l.wake:
				_ = conn.Flush()
			case <-stop:
				return
			}
		}
	})
	l.read()
	close(stop)
	conn.Close()
	l.readerEnded()
}

// redialDelay is how long a worker that can't be reached is left alone.
const redialDelay = 50 * time.Millisecond

// unreachable returns a lease whose worker took no connection, and asks for
// another after a while. If the worker is dead its node knows better, and drops
// the returned lease.
func (lt *leaseTable) unreachable(l *lease) {
	c := l.class
	c.mu.Lock()
	c.drop(l)
	c.mu.Unlock()
	lt.giveBack(l)
	if !pause.For(lt.p.ctx, redialDelay) {
		return
	}
	c.mu.Lock()
	c.announced = 0
	c.announce()
	c.mu.Unlock()
}

func (lt *leaseTable) isClosed() bool {
	lt.mu.Lock()
	defer lt.mu.Unlock()
	return lt.closed
}

// dialWorker connects to a worker's socket, through the nodes when it is on
// another one, and says who calls.
func (p *Process) dialWorker(w ids.ProcessID, address string, o opening) (*wire.Conn, error) {
	var conn *wire.Conn
	var err error
	if w.Node == p.self.Node {
		conn, err = wire.Dial(address)
	} else {
		conn, err = p.dialTunnel(w)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to worker %s: %w", w, err)
	}
	o.owner, o.cluster = p.self, p.cluster
	err = conn.Append(func(b []byte) []byte { return appendOpen(b, o) })
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to worker %s: %w", w, err)
	}
	return conn, nil
}

func (p *Process) dialTunnel(w ids.ProcessID) (*wire.Conn, error) {
	conn, err := wire.Dial(p.cfg.Socket)
	if err != nil {
		return nil, err
	}
	err = conn.Send(&proto.ToNode{Body: &proto.ToNode_Hello{Hello: &proto.Hello{
		Kind: proto.Hello_TUNNEL, Start: uint64(p.self.Number), TunnelNode: uint32(w.Node), TunnelProcess: w.Number,
	}}})
	var m proto.ToProcess
	if err == nil {
		err = conn.Receive(&m)
	}
	if err == nil && m.GetError() != nil {
		err = &RemoteError{m.GetError()}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// returnIdle gives back leases without work for at least the given time.
func (lt *leaseTable) returnIdle(idle time.Duration) { lt.giveBackIdle(lt.list(), idle, false) }

// giveUp gives back leases without work because others wait; if it's their turn, leases
// held for a turn are emptied, too.
func (lt *leaseTable) giveUp(turn bool) { lt.giveBackIdle(lt.list(), 0, turn) }

func (lt *leaseTable) giveBackIdle(classes []*class, idle time.Duration, turn bool) {
	now := time.Now()
	for _, c := range classes {
		c.mu.Lock()
		var back []*lease
		kept := c.leases[:0]
		drained := false
		for _, l := range c.leases {
			empty := l.conn != nil && l.inflight.len() == 0 && l.gone == nil && !l.ended
			switch {
			case empty && c.backlog() == 0 && now.Sub(l.idle) >= idle:
				back = append(back, l)
				continue
			case turn && !drained && now.Sub(l.since) > leaseTurn:
				l.draining, drained = true, true
			}
			kept = append(kept, l)
		}
		clear(c.leases[len(kept):])
		c.leases = kept
		c.mu.Unlock()
		for _, l := range back {
			lt.giveBack(l)
		}
	}
}

// giveBack returns l, which is in no class's list any more.
func (lt *leaseTable) giveBack(l *lease) {
	lt.mu.Lock()
	delete(lt.byID, l.id)
	lt.mu.Unlock()
	l.class.mu.Lock()
	l.returned = true
	conn := l.conn
	l.class.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
	lt.p.node.send(&proto.ToNode{Body: &proto.ToNode_LeaseReturn{LeaseReturn: &proto.LeaseReturn{Lease: l.id}}})
}

// runIdle returns leases that linger without work.
func (lt *leaseTable) runIdle() {
	tick := time.NewTicker(leaseLinger / 2)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			lt.returnIdle(leaseLinger)
		case <-lt.p.done:
			return
		}
	}
}

func (lt *leaseTable) close() {
	lt.mu.Lock()
	lt.closed = true
	leases := make([]*lease, 0, len(lt.byID))
	for _, l := range lt.byID {
		leases = append(leases, l)
	}
	lt.mu.Unlock()
	for _, l := range leases {
		l.class.mu.Lock()
		if l.conn != nil {
			l.conn.Close()
		}
		l.class.mu.Unlock()
	}
}

// cancel takes t, of this class or one that differs in near, out of the queue's way or
// tells its worker, which force ends, and reports that it is there. What t makes is the
// caller's to complete.
func (c *class) cancel(t *Task, force bool) (pushed bool) {
	c.mu.Lock()
	if t.class != nil {
		c = t.class
	}
	if !t.cancelled {
		t.cancelled = true
		c.withdraw(t)
	}
	l := t.lease
	var conn *wire.Conn
	if l != nil {
		conn = l.conn
	}
	c.mu.Unlock()
	switch {
	case conn == nil:
	case force:
		l.kill(conn, t)
	default:
		sendCancel(conn, t)
	}
	return l != nil
}

func sendCancel(conn *wire.Conn, t *Task) {
	_ = conn.Append(func(b []byte) []byte {
		return binary.LittleEndian.AppendUint64(append(b, frameCancel), t.obj.id.Number)
	})
	_ = conn.Flush()
}
