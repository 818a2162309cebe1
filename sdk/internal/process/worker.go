package process

import (
	"context"
	"errors"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/wire"
	graypb "github.com/gray-runtime/gray/proto"
)

// Function is what a worker can run: a task, an actor's constructor, or one of
// its methods.
type Function struct {
	Name string
	// Run decodes the input, calls the user's function and returns its result
	// through the invocation. It may panic as the user's function does.
	Run func(ctx context.Context, in *Invocation) error
}

// Instance is a living actor.
type Instance interface {
	// Method returns the method with this hash, which finds the actor by
	// Invocation.Actor: it's the same for all actors of a class.
	Method(hash uint64) (*Function, bool)
	// Self is the user's actor, a pointer.
	Self() any
}

// worker is the side of a process that runs what owners push to it.
type worker struct {
	p *Process

	mu       sync.Mutex
	work     *sync.Cond
	queue    []*Invocation
	head     int
	running  map[*Invocation]struct{}
	peers    map[*peer]struct{}
	dirty    []*peer // have replies that nobody has flushed
	flushed  time.Time
	instance Instance
	actorID  []byte
	in       membership       // of the actor; constant once it's called
	held     map[string]int64 // of the actor
	closed   bool

	incarnation uint32  // of the actor
	groups      *groups // of the actor; nil: none
	saving      saving
	leaving     bool // the actor begins no more calls
	moving      bool // the actor is to go on elsewhere
	before      int  // how many calls it begins before it leaves, if it's moving

	procs procs
	gpus  gpus
	host  atomic.Pointer[host] // of lightweight actors, once this process is one

	serials atomic.Uint64 // numbers of invocations
	began   atomic.Int64  // when the current run began, ns of the process clock; 0 while idle
	monitor chan struct{}
}

// Limits of how long a reply or a queued task waits for the task before it.
const (
	replyDelay    = 100 * time.Microsecond // between tasks
	monitorPeriod = time.Millisecond       // replies wait at most about two of these
	handBackAfter = 5 * time.Millisecond   // a task that runs longer loses what is queued behind it
	flushBytes    = 32 << 10
	exactCalls    = 16 // calls of an actor in line from which replies are batched
)

var (
	clockStart = time.Now()
	clockBase  = clockStart.UnixNano() // Unix time of the clock's zero
)

func clock() time.Duration { return time.Since(clockStart) }

// peer is an owner connected to this worker.
type peer struct {
	conn      *wire.Conn
	owner     ids.ProcessID
	cpus      int64 // of its lease, in units of 1/10,000
	in        membership
	gpus      []uint32
	dirty     bool             // guarded by worker.mu
	resources map[string]int64 // of its lease; guarded by worker.mu

	mu    sync.Mutex
	holds map[uint64][]*Object // references inside results that the owner has not taken over yet
}

func newWorker(p *Process) *worker {
	w := &worker{p: p, running: map[*Invocation]struct{}{}, peers: map[*peer]struct{}{}, monitor: make(chan struct{}, 1), procs: newProcs()}
	w.gpus = newGPUs(p.welcome.GetGpus())
	w.work = sync.NewCond(&w.mu)
	p.spawn(w.execute)
	p.spawn(w.runMonitor)
	return w
}

// accept serves owners until the listener is closed.
func (w *worker) accept(ln net.Listener) {
	w.p.spawn(func() {
		<-w.p.done
		ln.Close()
	})
	for {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		w.p.spawn(func() { w.serve(wire.New(nc)) })
	}
}

// serve reads an owner's frames until the connection ends; then the owner's
// tasks are cancelled.
func (w *worker) serve(conn *wire.Conn) {
	defer conn.Close()
	p := &peer{conn: conn, holds: map[uint64][]*Object{}}
	if !p.open(w.p.cluster) {
		return
	}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return
	}
	w.peers[p] = struct{}{}
	if w.leaving && w.moving {
		w.tellLeaving(p)
	}
	if w.actorID == nil {
		w.procs.fit(p.cpus)
		w.gpus.show(p.gpus)
	}
	if w.instance == nil {
		w.progress(ids.ProcessID{}, 0, 0) // a number of an earlier owner's must not be taken for one of this owner's
	}
	w.mu.Unlock()
	defer w.forget(p)
	for {
		frame, err := conn.Next()
		if err != nil {
			return
		}
		if err := w.handle(p, frame); err != nil {
			return
		}
	}
}

func (p *peer) open(cluster ids.ClusterID) bool {
	frame, err := p.conn.Next()
	if err != nil {
		return false
	}
	o, err := parseOpen(frame)
	p.owner, p.cpus, p.gpus, p.in = o.owner, o.cpus, o.gpus, o.in
	return err == nil && o.cluster == cluster
}

func (w *worker) handle(p *peer, frame []byte) error {
	r := reader{b: frame}
	switch kind := r.u8(); kind {
	case framePush:
		c, err := parseCall(slices.Clone(r.b))
		if err != nil {
			return err
		}
		if c.flags&flagLight != 0 {
			return w.order(newInvocation(w, p, c))
		}
		w.push(newInvocation(w, p, c))
	case frameCancel:
		number := r.u64()
		if h := w.host.Load(); h == nil || !h.cancel(p, number) {
			w.cancel(p, number)
		}
	case frameGrant:
		resources := r.grant()
		w.mu.Lock()
		p.resources = resources
		w.mu.Unlock()
	case frameKill:
		w.kill(p, r.u64())
	case frameCredit:
		number, items := r.u64(), r.uv()
		w.mu.Lock()
		for in := range w.running {
			if in.peer == p && in.call.number == number {
				in.credit.raise(items)
			}
		}
		w.mu.Unlock()
	case frameAck:
		p.mu.Lock()
		delete(p.holds, r.u64())
		p.mu.Unlock()
	default:
		return errors.New("unknown frame")
	}
	return r.err
}

func (w *worker) push(in *Invocation) {
	w.mu.Lock()
	if len(w.queue) == cap(w.queue) && w.head > len(w.queue)/2 || w.head == len(w.queue) {
		left := copy(w.queue, w.queue[w.head:]) // rather than grow
		clear(w.queue[left:])
		w.queue, w.head = w.queue[:left], 0
	}
	w.queue = append(w.queue, in)
	busy := w.began.Load() != 0
	w.mu.Unlock()
	w.work.Signal()
	if busy {
		w.wakeMonitor()
	}
}

func (w *worker) wakeMonitor() {
	select {
	case w.monitor <- struct{}{}:
	default:
	}
}

// cancel drops a queued task or cancels a running one's context.
func (w *worker) cancel(p *peer, number uint64) {
	w.mu.Lock()
	for i := w.head; i < len(w.queue); i++ {
		in := w.queue[i]
		if in.peer == p && in.call.number == number {
			w.queue = slices.Delete(w.queue, i, i+1)
			w.replyLocked(in, &reply{kind: frameReturned, number: number})
			w.move()
			w.mu.Unlock()
			_ = p.conn.Flush()
			return
		}
	}
	for in := range w.running {
		if in.peer == p && in.call.number == number {
			in.abort(context.Canceled)
		}
	}
	w.mu.Unlock()
}

// forget ends an owner's tasks here.
func (w *worker) forget(p *peer) {
	if h := w.host.Load(); h != nil {
		h.forget(p)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.peers, p)
	w.dirty = slices.DeleteFunc(w.dirty, func(d *peer) bool { return d == p })
	kept := w.queue[:0]
	for _, in := range w.queue[w.head:] {
		if in.peer != p {
			kept = append(kept, in)
		}
	}
	w.queue, w.head = kept, 0
	w.move()
	for in := range w.running {
		if in.peer == p {
			in.abort(context.Canceled)
		}
	}
}

// execute runs queued tasks one after another.
func (w *worker) execute() {
	for {
		w.mu.Lock()
		w.began.Store(0)
		in := w.next()
		for ; in == nil && !w.closed; in = w.next() {
			if len(w.dirty) > 0 {
				w.flushLocked()
				continue
			}
			w.work.Wait()
		}
		if w.closed {
			w.mu.Unlock()
			return
		}
		w.running[in] = struct{}{}
		exact := w.exact(in)
		if exact && len(w.dirty) > 0 {
			w.flushLocked()
		}
		more := w.head < len(w.queue) || len(w.dirty) > 0
		w.mu.Unlock()
		now := clock()
		in.began = now
		w.began.Store(int64(now))
		if more {
			w.wakeMonitor()
		}
		switch flags := in.call.flags; {
		case flags&(flagActor|flagCreation) == 0:
			w.progress(in.peer.owner, in.call.number, in.call.function)
			w.startedAt(now, flags&flagExact == 0)
		case flags&flagCreation != 0 && in.call.function != hostFunction:
			w.progress(w.p.self, in.origin.Load().number, in.call.function)
			w.startedAt(now, false)
		default:
			w.progress(ids.ProcessID{}, 0, in.call.function)
		}
		if !w.run(in) {
			return // the goroutine is ending (runtime.Goexit); another goes on
		}
		w.p.moves.Add(1) // what the task held may be garbage
		if clock()-now > replyDelay {
			w.awaitOutput()
		}
		w.mu.Lock()
		w.done(in)
		if exact || clock()-now > replyDelay || time.Since(w.flushed) > replyDelay {
			w.flushLocked()
		}
		w.mu.Unlock()
	}
}

// exact reports whether no reply may be kept back around a call: what isn't to be
// retried must not be taken for lost because the call behind it killed the
// process. Calls of an actor in a long line are not that exact: a write for each
// would cost more than the call.
func (w *worker) exact(in *Invocation) bool {
	if in.call.flags&flagExact == 0 {
		return false
	}
	return in.call.flags&flagActor == 0 || len(w.queue)-w.head < exactCalls
}

// progress tells the node what runs, in shared memory, which outlives this process.
func (w *worker) progress(owner ids.ProcessID, number, function uint64) {
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&w.p.slot[16])), uint64(owner.Node)<<32|uint64(owner.Number))
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&w.p.slot[0])), number)
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&w.p.slot[8])), function)
}

// startedAt tells the node when what runs began, and whether it may be run again.
func (w *worker) startedAt(at time.Duration, retriable bool) {
	word := uint64(clockBase+int64(at)) << 1
	if retriable {
		word |= 1
	}
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&w.p.slot[24])), word)
}

// replyLocked queues a frame to in's owner.
func (w *worker) replyLocked(in *Invocation, r *reply) {
	if in.peer == nil {
		return
	}
	_ = in.peer.conn.Append(func(b []byte) []byte { return appendReply(b, r) })
	if !in.peer.dirty {
		in.peer.dirty = true
		w.dirty = append(w.dirty, in.peer)
	}
}

func (w *worker) reply(in *Invocation, r *reply) {
	w.mu.Lock()
	w.replyLocked(in, r)
	w.mu.Unlock()
}

// flushLocked writes out what is queued; mu is released meanwhile.
func (w *worker) flushLocked() {
	dirty := w.dirty
	w.dirty = nil
	w.flushed = time.Now()
	for _, p := range dirty {
		p.dirty = false
	}
	w.mu.Unlock()
	for _, p := range dirty {
		_ = p.conn.Flush()
	}
	w.mu.Lock()
}

// runMonitor looks after replies and queued tasks while a task takes long.
func (w *worker) runMonitor() {
	tick := time.NewTimer(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-w.monitor:
		case <-w.p.done:
			return
		}
		for {
			tick.Reset(monitorPeriod)
			select {
			case <-tick.C:
			case <-w.p.done:
				return
			}
			w.mu.Lock()
			began := time.Duration(w.began.Load())
			if began == 0 {
				w.mu.Unlock()
				break
			}
			if len(w.dirty) > 0 {
				w.flushLocked()
			}
			waiting := w.head < len(w.queue)
			w.mu.Unlock()
			if !waiting {
				break // push wakes the monitor again
			}
			if clock()-began > handBackAfter {
				w.handBack()
			}
		}
	}
}

// handBack returns every task that has not begun to its owner. Calls of an
// actor stay: they can run nowhere else.
func (w *worker) handBack() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.instance != nil || w.actorID != nil {
		return
	}
	back := slices.Clone(w.queue[w.head:])
	w.queue, w.head = w.queue[:0], 0
	for _, in := range back {
		w.replyLocked(in, &reply{kind: frameReturned, number: in.call.number})
	}
	w.flushLocked()
}

// more executors serve an actor with concurrent calls.
func (w *worker) addExecutors(n int) {
	for range n {
		w.p.spawn(w.execute)
	}
}

// startActor runs the constructor that the node sends.
func (w *worker) startActor(m *graypb.StartActor) {
	spec := m.GetActor()
	c, err := parseCall(spec.GetPayload())
	if err != nil {
		w.actorStarted(m, &graypb.Error{Kind: graypb.Error_INVALID, Message: err.Error()})
		return
	}
	in := newInvocation(w, nil, c)
	in.saved = m.Saved
	groups, executors := newGroups(spec)
	submitted := w.p.recordingConstructor(in)
	in.started = func(e *graypb.Error) {
		if e == nil {
			w.addExecutors(executors - 1)
		}
		w.p.recordConstructor(in, spec.GetId(), m.GetIncarnation(), submitted, e)
		w.actorStarted(m, e)
	}
	w.mu.Lock()
	w.actorID, w.incarnation, w.groups, w.in = spec.GetId(), m.GetIncarnation(), groups, membershipOf(spec.GetStrategy())
	w.saving.every = int(spec.GetSaveEvery())
	w.held = spec.GetResources().GetQuantity()
	w.procs.fit(spec.GetResources().GetQuantity()["CPU"])
	w.gpus.show(m.GetGpus())
	w.mu.Unlock()
	w.push(in)
}

func (w *worker) actorStarted(m *graypb.StartActor, e *graypb.Error) {
	w.p.node.send(&graypb.ToNode{Body: &graypb.ToNode_ActorStarted{ActorStarted: &graypb.ActorStarted{
		Id: m.GetActor().GetId(), Incarnation: m.GetIncarnation(), Error: e,
	}}})
}

func (w *worker) close() {
	w.mu.Lock()
	w.closed = true
	for in := range w.running {
		in.ctx.cancel(context.Cause(w.p.ctx))
	}
	peers := make([]*peer, 0, len(w.peers))
	for p := range w.peers {
		peers = append(peers, p)
	}
	w.mu.Unlock()
	w.work.Broadcast()
	if h := w.host.Load(); h != nil {
		h.close()
	}
	for _, p := range peers {
		p.conn.Close()
	}
}

// hold keeps the references inside a result until the owner has them.
func (p *peer) hold(number uint64, objects []*Object) {
	p.mu.Lock()
	p.holds[number] = objects
	p.mu.Unlock()
}

// goexited reports whether the goroutine is ending without a panic.
func goexited(finished bool, recovered any) bool {
	return !finished && recovered == nil
}

func stack() string {
	b := make([]byte, 64<<10)
	return string(b[:runtime.Stack(b, false)])
}
