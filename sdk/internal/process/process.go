package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/recorder"
	"github.com/gray-runtime/gray/internal/wire"
	"github.com/gray-runtime/gray/objectstore"
	"github.com/gray-runtime/gray/proto"
)

// Config says how a process joins its node.
type Config struct {
	Socket    string       // the node's unix socket
	Hello     *proto.Hello // kind, start number, arguments, functions
	Listener  net.Listener // of a worker: where owners connect
	Functions func(hash uint64) (*Function, bool)
	OnLog     func(*proto.LogLines) // output of the job's workers, in the driver
}

// Process is this process's part in a job. Safe for concurrent use.
type Process struct {
	cfg     Config
	node    *link
	self    ids.ProcessID
	cluster ids.ClusterID
	job     ids.JobID
	welcome *proto.Welcome
	store   *objectstore.Mapping
	readers readers
	slot    []byte // this process's progress slot; nil in a driver without one
	pages   []byte

	ctx    context.Context // ends with the process's part; cause says why
	cancel context.CancelCauseFunc
	done   <-chan struct{}
	wg     sync.WaitGroup

	next    atomic.Uint64 // object and actor numbers
	moves   atomic.Uint64 // of what the reaper cares for
	tracked atomic.Int64
	traces  sync.Map // number → *trace: own objects that a store or another process knows
	reap    reaper

	reviveMu sync.Mutex
	lineages lineages

	borrowMu sync.Mutex
	borrowed map[ids.ObjectID]*borrowing

	leases  leaseTable
	actors  actorTable
	hosts   hostTable
	waiting waitCount
	held    heldTasks
	pace    pacer
	worker  *worker // nil in a driver
	counts  taskCounts
	records records
	failed  failures
	meter   meter

	ready               readyGroups
	creations, removals groupCalls
}

// helloTimeout bounds the handshake with the node.
const helloTimeout = 10 * time.Second

// Connect joins the node at cfg.Socket.
func Connect(ctx context.Context, cfg Config) (*Process, error) {
	conn, err := wire.Dial(cfg.Socket)
	if err != nil {
		return nil, fmt.Errorf("connect to the node at %s: %w", cfg.Socket, err)
	}
	p := &Process{
		cfg:      cfg,
		node:     &link{conn: conn, calls: map[uint64]chan *proto.ToProcess{}},
		borrowed: map[ids.ObjectID]*borrowing{},
		lineages: lineages{limit: maxLineage},
	}
	if err := p.handshake(ctx, conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to the node at %s: %w", cfg.Socket, err)
	}
	p.ctx, p.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	p.done = p.ctx.Done()
	p.pace.limit = paceLimit
	p.reap.init(p.store.Size())
	p.leases.init(p)
	p.actors.init(p)
	p.meter.init()
	if cfg.Listener != nil {
		p.worker = newWorker(p) // before the link: the node may have an actor for it at once
	}
	p.spawn(p.runLink)
	p.spawn(p.runReaper)
	p.spawn(p.leases.runIdle)
	p.spawn(p.runMeter)
	if cfg.Listener != nil {
		p.spawn(func() { p.worker.accept(cfg.Listener) })
	}
	return p, nil
}

func (p *Process) handshake(ctx context.Context, conn *wire.Conn) error {
	deadline := time.Now().Add(helloTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if err := conn.Send(&proto.ToNode{Body: &proto.ToNode_Hello{Hello: p.cfg.Hello}}); err != nil {
		return err
	}
	var m proto.ToProcess
	files, err := conn.ReceiveFiles(&m, 3)
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	if err != nil {
		return err
	}
	if e := m.GetError(); e != nil {
		return &RemoteError{e}
	}
	w := m.GetWelcome()
	if w == nil || len(files) < 2 {
		return errors.New("the node's welcome is incomplete")
	}
	p.welcome = w
	p.cluster, p.job = ids.ClusterID(w.Cluster), ids.JobID(w.Job)
	p.self = ids.ProcessID{Node: ids.NodeID(w.Node), Number: w.Process}
	if p.store, err = objectstore.Map(files[0]); err != nil {
		return fmt.Errorf("map the object store: %w", err)
	}
	if err := p.mapProgress(files[1]); err != nil {
		return fmt.Errorf("map the progress page: %w", err)
	}
	if len(files) > 2 { // else nothing is to be recorded
		if p.records.ring, err = recorder.Open(files[2]); err != nil {
			return err
		}
		runtime.AddCleanup(p, (*recorder.Ring).Close, p.records.ring) // not before: tasks are submitted after Close, and fail
	}
	return conn.SetDeadline(time.Time{})
}

const slotSize = 64

func (p *Process) mapProgress(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	at := int64(p.welcome.ProgressSlot) * slotSize
	page := at &^ int64(os.Getpagesize()-1)
	if at+slotSize > info.Size() {
		return fmt.Errorf("slot %d lies outside of it", p.welcome.ProgressSlot)
	}
	p.pages, err = unix.Mmap(int(f.Fd()), page, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	p.slot = p.pages[at-page:][:slotSize]
	return nil
}

// ID returns this process's identifier.
func (p *Process) ID() ids.ProcessID { return p.self }

// Job returns the job that this process belongs to.
func (p *Process) Job() ids.JobID { return p.job }

// Cluster returns the cluster that this process belongs to.
func (p *Process) Cluster() ids.ClusterID { return p.cluster }

// Welcome returns what the node said at the start.
func (p *Process) Welcome() *proto.Welcome { return p.welcome }

// Context ends when this process's part in the cluster ends.
func (p *Process) Context() context.Context { return p.ctx }

func (p *Process) name() string { return p.self.String() }

func (p *Process) doneErr() error { return context.Cause(p.ctx) }

// spawn runs f in a goroutine that Close waits for.
func (p *Process) spawn(f func()) {
	p.wg.Add(1)
	go func() {
		defer p.wg.Done()
		f()
	}()
}

// Finish tells the node that the driver is done and waits until the output of
// the job's workers has been passed on.
func (p *Process) Finish(ctx context.Context, exitCode int, message string) error {
	p.pushMetrics()
	_, err := p.node.call(ctx, &proto.ToNode{Body: &proto.ToNode_FinishDriver{
		FinishDriver: &proto.FinishDriver{ExitCode: int32(exitCode), Message: message},
	}})
	if err != nil {
		return fmt.Errorf("finish the job: %w", err)
	}
	return nil
}

// ErrClosed is the cause of what ends because the process left the cluster.
var ErrClosed = errors.New("this process has left the cluster")

// Close leaves the cluster. Pending objects fail.
func (p *Process) Close() error {
	p.end(ErrClosed)
	p.wg.Wait()
	err := p.readers.close(p.store, p.node.conn)
	if uerr := unix.Munmap(p.pages); err == nil {
		err = uerr
	}
	return err
}

func (p *Process) end(cause error) {
	p.cancel(cause)
	p.node.close(cause)
	p.held.close()
	p.leases.close()
	if p.worker != nil {
		p.worker.close()
	}
}

// runLink receives what the node says.
func (p *Process) runLink() {
	conn, corked := p.node.conn, false
	for {
		m := &proto.ToProcess{}
		if err := conn.Receive(m); err != nil {
			p.end(ErrNodeLost)
			return
		}
		if !corked && conn.More() {
			conn.Cork() // one write for what many frames bring about
			corked = true
		}
		p.dispatch(m)
		if corked && !conn.More() {
			_ = conn.Uncork()
			corked = false
		}
	}
}

func (p *Process) dispatch(m *proto.ToProcess) {
	switch b := m.Body.(type) {
	case *proto.ToProcess_LeaseGrant:
		p.leases.granted(b.LeaseGrant)
	case *proto.ToProcess_LeaseGone:
		p.leases.gone(b.LeaseGone)
	case *proto.ToProcess_ReclaimLeases:
		p.leases.giveUp(!b.ReclaimLeases.GetIdle())
	case *proto.ToProcess_WantedObject:
		p.wanted(b.WantedObject)
	case *proto.ToProcess_DropObjects:
		p.dropped(b.DropObjects.GetIds())
	case *proto.ToProcess_StartActor:
		if p.worker != nil {
			p.worker.startActor(b.StartActor)
		}
	case *proto.ToProcess_LeaveActor:
		if p.worker != nil {
			p.worker.leaveActor(b.LeaveActor)
		}
	case *proto.ToProcess_LogLines:
		if p.cfg.OnLog != nil {
			p.cfg.OnLog(b.LogLines)
		}
	case *proto.ToProcess_JobEnded:
		p.end(&RemoteError{&proto.Error{Kind: proto.Error_JOB_ENDED, Message: "the job has ended"}})
	case *proto.ToProcess_PushMetrics:
		p.spawn(func() { p.lastMetrics(m.Call) })
	case *proto.ToProcess_StorePressure:
		p.reap.hurry()
	case *proto.ToProcess_ObjectMoved:
		p.moved(b.ObjectMoved)
	case *proto.ToProcess_NodeDraining:
		p.leases.nodeDrains(ids.NodeID(b.NodeDraining.GetNode()))
	case *proto.ToProcess_NodeDead:
		p.nodeDied(ids.NodeID(b.NodeDead.GetNode()))
	case *proto.ToProcess_CancelTask:
		p.spawn(func() {
			p.node.send(&proto.ToNode{Call: m.Call, Body: &proto.ToNode_CancelResult{CancelResult: p.cancelled(b.CancelTask)}})
		})
	case *proto.ToProcess_ListTasks:
		if id := b.ListTasks.GetTask(); id != "" {
			p.spawn(func() {
				p.node.send(&proto.ToNode{Call: m.Call, Body: &proto.ToNode_TaskList{TaskList: p.explainTask(id)}})
			})
			return
		}
		p.spawn(func() {
			p.node.send(&proto.ToNode{Call: m.Call, Body: &proto.ToNode_TaskList{TaskList: p.listTasks(b.ListTasks)}})
		})
	case *proto.ToProcess_ListObjects:
		p.spawn(func() {
			p.node.send(&proto.ToNode{Call: m.Call, Body: &proto.ToNode_ObjectList{ObjectList: p.listObjects(b.ListObjects)}})
		})
	case *proto.ToProcess_Profile:
		p.spawn(func() { p.profile(m.Call, b.Profile) })
	default:
		p.node.answer(m)
	}
}

func (p *Process) wanted(w *proto.WantedObject) {
	id, err := ids.ObjectIDFrom(w.GetId())
	if err != nil {
		return
	}
	v, ok := p.traces.Load(id.Number)
	if !ok {
		e := &proto.Error{Kind: proto.Error_OBJECT_LOST, Message: fmt.Sprintf("object %s is not known to its owner %s any more", id, p.self)}
		p.node.send(&proto.ToNode{Body: &proto.ToNode_PublishObject{PublishObject: &proto.PublishObject{
			State: &proto.ObjectState{Id: w.GetId(), Body: &proto.ObjectState_Error{Error: e}},
		}}})
		if id.Actor() { // over, and named by somebody who didn't hold it
			p.node.send(&proto.ToNode{Body: &proto.ToNode_ReleaseObjects{ReleaseObjects: &proto.ReleaseObjects{Ids: [][]byte{w.GetId()}}}})
		}
		return
	}
	t := v.(*trace)
	if lost := w.GetLostOn(); len(lost) > 0 {
		p.spawn(func() { p.lost(t, lost) })
		return
	}
	if a := p.actors.uncreated(ids.ActorID(id)); a != nil {
		p.spawn(func() {
			if a.awaitCreation(p.ctx) == nil {
				t.want()
			}
		})
		return
	}
	t.want()
}

// HeadCall calls a Control method at the head, through the node.
func (p *Process) HeadCall(ctx context.Context, method string, request, answer protoMessage) error {
	body, err := marshal(request)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	m, err := p.node.call(ctx, &proto.ToNode{Body: &proto.ToNode_HeadCall{HeadCall: &proto.HeadCall{Method: method, Body: body}}})
	if err != nil {
		return err
	}
	r := m.GetHeadResult()
	if r.GetError() != nil {
		return &RemoteError{r.GetError()}
	}
	if err := unmarshal(r.GetBody(), answer); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

// waitCount tells the node when this worker's tasks wait, so that their CPUs
// can be lent out.
type waitCount struct {
	mu sync.Mutex
	n  int
}

// enterWait notes that a task is about to wait; the result ends it.
func (p *Process) enterWait() (leave func()) {
	if p.worker == nil {
		return func() {}
	}
	p.waiting.add(p, 1)
	return func() { p.waiting.add(p, -1) }
}

func (w *waitCount) add(p *Process, d int) {
	w.mu.Lock()
	before := w.n
	w.n += d
	changed := (before == 0) != (w.n == 0)
	if changed {
		p.node.send(&proto.ToNode{Body: &proto.ToNode_Blocked{Blocked: &proto.Blocked{Blocked: w.n > 0}}})
	}
	w.mu.Unlock()
	if changed && d > 0 {
		p.worker.handBack()
	}
}
