package node

import (
	"context"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/recorder"
	"github.com/gray-runtime/gray/internal/wire"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/node/folders"
	"github.com/gray-runtime/gray/proto"
)

// workerState is what a worker process is there for.
type workerState int

const (
	starting workerState = iota // hasn't said Hello
	idle
	leased
	hosting // an actor
	gone
)

func (s workerState) String() string {
	return [...]string{"STARTING", "IDLE", "LEASED", "ACTOR", "DEAD"}[s]
}

// process is a driver or worker of a job on this node.
type process struct {
	id      ids.ProcessID
	worker  bool
	job     *job
	env     *proto.Environment // a worker's; nil for its job's own
	folder  *folders.Hold      // that a worker was started in; its own goroutine's
	slot    int
	listen  string         // a worker's socket
	records *recorder.Ring // what became of its tasks; nil before its welcome, or if nothing is recorded
	child   *child         // nil: a driver that was started by somebody else
	spawned chan struct{}  // closed when child is set or can't be; nil as child is
	hello   chan struct{}  // closed when it said Hello

	// Set once, before hello is closed.
	conn      *wire.Conn
	pid       int
	functions map[uint64]string // names by hash; the map is constant, Node.mu guards which it is
	life      *lifeline         // of a driver that was started by somebody else; nil if there is none
	left      atomic.Bool       // it has ended the connection, and uses the store no more

	out      *outbox
	ctx      context.Context // ends with the process
	cancel   context.CancelFunc
	readDone chan struct{} // closed when its socket was read to the end

	// Guarded by Node.mu.
	state       workerState
	hold        account.HoldID // what it holds as leased worker, actor or driver
	lease       *lease         // that it's lent by
	actor       *actor         // that it hosts
	held        map[uint64]*lease
	blocked     bool
	reach       bool // may own objects in other nodes' stores
	finished    *proto.FinishDriver
	log         *workerLog                    // while it runs
	calls       map[uint64]chan *proto.ToNode // lists asked of it
	lastCall    uint64
	idleEnd     *time.Timer  // ends a worker that nobody needs
	killed      string       // why the node killed it, for the report
	traced      bool         // it has something to send when it's asked to end
	dismissed   bool         // it was asked to end, and will be killed if it doesn't
	startErr    *proto.Error // why it couldn't be started
	outOfMemory bool         // it was killed for want of memory
	cause       *proto.Error // of its end, for those that it served, if it's another than its death

	namesKept int  // how many of functions are known to the archive
	retired   bool // its records are closed, and in the archive: guarded by that
}

// name is how people call it: n1.p3.
func (p *process) name() string { return p.id.String() }

// push queues a frame; a process too far behind loses its connection.
func (p *process) push(m *proto.ToProcess) { p.out.push(m) }

// dismissLocked ends a worker that nobody needs any more: at once, unless it has traced
// something, which it's given time to send.
func (n *Node) dismissLocked(p *process, why string) {
	if p.child == nil || !p.traced {
		p.kill(why)
		return
	}
	if !p.dismissed && p.killed == "" {
		p.dismissed, p.killed = true, why
		n.spawn(func() { p.child.end(finishGrace) })
	}
}

// kill ends a worker at once, unless it was dismissed: then it has not long to go.
func (p *process) kill(why string) {
	if p.dismissed {
		return
	}
	if p.killed == "" {
		p.killed = why
	}
	switch {
	case p.child != nil:
		p.child.signal(syscall.SIGKILL)
	case p.conn != nil:
		p.out.close()
	default:
		p.cancel() // it's being started, or registered
	}
}

// runsLocked names the function that a worker runs now, or ran last.
func (n *Node) runsLocked(p *process) string { return p.functions[n.progress.function(p.slot)] }

// newProcessLocked gives a process its number and slot.
func (n *Node) newProcessLocked(j *job, worker bool) (*process, error) {
	if n.closing {
		return nil, ErrClosed
	}
	if j != nil && j.ended {
		return nil, ErrJobEnded
	}
	if len(n.processes) >= maxProcesses {
		return nil, ErrTooManyProcesses
	}
	for {
		n.lastProcess++
		if n.lastProcess != 0 && !n.slots[n.lastProcess%slotCount] {
			break
		}
	}
	number := n.lastProcess
	p := &process{
		id: ids.ProcessID{Node: n.id, Number: number}, worker: worker, job: j,
		slot: int(number % slotCount), hello: make(chan struct{}), readDone: make(chan struct{}),
		out: newOutbox(), held: map[uint64]*lease{}, calls: map[uint64]chan *proto.ToNode{},
	}
	p.ctx, p.cancel = context.WithCancel(n.ctx)
	n.slots[uint32(p.slot)] = true
	n.progress.zero(p.slot)
	n.processes[number] = p
	if j != nil {
		j.processes[number] = p
	}
	return p, nil
}

// attach gives p its connection and starts reading it. The caller has sent the
// welcome.
func (n *Node) attach(p *process) {
	n.refs.ProcessStarted(p.id)
	close(p.hello)
	n.spawn(func() { p.out.run(p.conn) })
	n.spawn(func() {
		defer close(p.readDone)
		n.read(p)
		p.out.close()
		n.disconnected(p)
	})
}

// exitGrace is how long a process whose socket closed may take to end.
const exitGrace = 200 * time.Millisecond

// disconnected follows the end of a process's socket.
func (n *Node) disconnected(p *process) {
	switch {
	case p.child == nil: // its socket is all that is known of it
		n.spawn(func() { n.ended(p) })
	case p.worker:
		n.spawn(func() {
			t := time.NewTimer(exitGrace)
			defer t.Stop()
			select {
			case <-p.child.dead:
			case <-t.C:
				p.child.signal(syscall.SIGKILL)
			}
		})
	default: // a submitted driver may go on without the cluster
		n.spawn(func() { n.stopWorkers(p.job, 0) })
	}
}

// watch waits for a started process's end.
func (n *Node) watch(p *process) {
	<-p.child.exited
	n.mu.Lock()
	conn := p.conn
	n.mu.Unlock()
	if conn != nil {
		t := time.NewTimer(time.Second)
		select {
		case <-p.readDone:
		case <-t.C: // a descendant outside of the group holds the socket
			conn.Close()
			<-p.readDone
		}
		t.Stop()
	}
	n.ended(p)
}

// causeOf says how a process ended.
func (n *Node) causeOf(p *process) *proto.Error {
	if p.startErr != nil {
		return p.startErr
	}
	kind := "driver"
	if p.worker {
		kind = "worker"
	}
	e := problem(proto.Error_WORKER_CRASHED, "%s %s (pid %d) closed its connection", kind, p.name(), p.pid)
	if p.child != nil {
		x := p.child.exit
		e.Message = problem(0, "%s %s (pid %d) %s", kind, p.name(), p.child.pid, x).Message
		e.ExitCode, e.Signal, e.LogTail, e.Pid = int32(x.code), x.signal, p.child.output.Tail(), int32(p.child.pid)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.killed != "" {
		e.Message += ": " + p.killed
	}
	if p.outOfMemory {
		e.Kind = proto.Error_OUT_OF_MEMORY
	}
	if p.cause != nil {
		e.Kind, e.Message = p.cause.Kind, p.cause.Message
	}
	e.Node = uint32(n.id)
	if e.Pid == 0 {
		e.Pid = int32(p.pid)
	}
	e.Function = n.runsLocked(p)
	return e
}

// ended is the one place where a process's end is dealt with.
func (n *Node) ended(p *process) {
	cause := n.causeOf(p)
	died := &proto.WorkerDied{Error: cause, LastStarted: n.progress.lastStarted(p.slot)}
	if died.LastStarted != 0 {
		began, _ := n.progress.began(p.slot)
		died.BeganUnixNs = int64(began)
	}
	n.ending.Add(1) // before the context ends: whoever waits for that may want the report, too
	defer n.ending.Add(-1)
	p.cancel()
	p.out.close()
	if p.conn != nil {
		p.conn.Close()
	}
	n.recordLostConstructor(p, cause)
	n.mu.Lock()
	n.keepNamesLocked(p)
	n.mu.Unlock()
	n.retireRecords(p) // before it's forgotten: who looks at records meanwhile finds them once
	n.mu.Lock()
	if p.state == gone {
		n.mu.Unlock()
		return
	}
	was := p.state
	p.state = gone
	if p.job != nil {
		n.past.put(p.id, n.workerInfoLocked(p))
		n.tellEndLocked(p, was, cause)
	}
	delete(n.processes, p.id.Number)
	delete(n.slots, uint32(p.slot))
	if p.job != nil {
		delete(p.job.processes, p.id.Number)
		p.job.past = append(p.job.past, p.id)
	}
	if p.idleEnd != nil {
		p.idleEnd.Stop()
	}
	for _, ch := range p.calls {
		close(ch)
	}
	p.calls = nil
	if !p.worker || p.job != nil && p.job.ended {
		n.endedOwners.put(p.id, struct{}{})
	}
	n.ledger.Free(p.hold)
	p.hold = 0
	n.ownerEndedLocked(p)
	if p.lease != nil {
		n.leaseGoneLocked(p.lease, died)
	}
	if p.actor != nil {
		n.actorEndedLocked(p.actor, cause)
	}
	if p.worker {
		n.workerEndedLocked(p, was, cause)
	}
	reach, isDriver := p.reach, !p.worker
	n.scheduleLocked()
	n.mu.Unlock()
	if p.job != nil {
		n.tally.Ended(p.job.id, p.id)
	}
	n.clean(p, reach)
	if isDriver {
		n.driverEnded(p, cause)
	}
}
