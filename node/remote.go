package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/node/lend"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
)

const (
	// grantTimeout bounds the wait for another node's answer: it may have to
	// fetch the job's binary first.
	grantTimeout = startTimeout + 60*time.Second
	// returnTimeout is how long a stream of a returned lease may stay open.
	returnTimeout = 5 * time.Second
	// unknownTask as last_started says that the node can't tell what the lost
	// worker had begun: every task in flight may have been.
	unknownTask = math.MaxUint64
)

// remote is a lease of a worker on another node: a stream held there.
type remote struct {
	node   ids.NodeID
	cancel context.CancelFunc
	done   chan struct{} // closed when the stream has ended

	once     sync.Once
	returned chan struct{}
}

// giveBack ends the lease in order: the worker is free for others.
func (r *remote) giveBack() { r.once.Do(func() { close(r.returned) }) }

// abandon ends it because the owner died: the worker is killed.
func (r *remote) abandon() { r.cancel() }

// Ask asks another node for one lease of the demand.
func (l lender) Ask(d *account.Demand, a *lend.Ask) {
	n := l.n
	strategy, _ := d.Strategy.(*proto.Strategy)
	env, _ := d.Workers.(*proto.Environment)
	req := &proto.LeaseRequest{
		Job: uint32(d.Job), OwnerNode: uint32(n.id), OwnerProcess: d.Process.Number,
		Resources: &proto.Resources{Quantity: d.Resources}, Strategy: strategy,
		Environment: env,
	}
	if j := n.jobs[d.Job]; j != nil {
		req.Spec, req.DriverDir = n.specForLocked(j), j.dir
	}
	ctx, cancel := context.WithCancel(n.ctx)
	r := &remote{node: a.Node, cancel: cancel, done: make(chan struct{}), returned: make(chan struct{})}
	n.spawn(func() {
		defer close(r.done)
		defer cancel()
		(&ask{n: n, r: r, req: req, of: a}).run(ctx)
	})
}

// ask is one request for a lease and, when it was granted, its life.
type ask struct {
	n   *Node
	r   *remote
	req *proto.LeaseRequest
	of  *lend.Ask
}

type leaseStream = grpc.BidiStreamingClient[proto.LeaseRequest, proto.LeaseReply]

func (a *ask) run(ctx context.Context) {
	n := a.n
	stream, reply, err := a.open(ctx)
	granted := reply.GetGranted()
	n.mu.Lock()
	owner := n.processes[a.of.Key.Process.Number]
	wanted := n.book.Answered(a.of, granted != nil)
	if granted == nil {
		a.refusedLocked(reply.GetRefused(), err)
		n.mu.Unlock()
		return
	}
	defer func() {
		n.mu.Lock()
		n.book.Ended(a.of)
		n.mu.Unlock()
	}()
	if !wanted || owner == nil || n.closing {
		n.mu.Unlock()
		a.decline(stream)
		return
	}
	l := n.newLeaseLocked()
	l.owner, l.class, l.remote = owner, a.of.Key.Class, a.r
	owner.held[l.id] = l
	owner.push(&proto.ToProcess{Body: &proto.ToProcess_LeaseGrant{LeaseGrant: &proto.LeaseGrant{
		Class: l.class, Lease: l.id, Node: granted.Node, Process: granted.Process, Address: granted.Address, Pid: granted.Pid,
		Gpus: granted.Gpus,
	}}})
	n.scheduleLocked() // another may be asked for instead
	n.mu.Unlock()
	a.hold(stream, l)
}

// refusedLocked looks for another place, now and when the node may be asked
// again. Workers that don't start there end the demand: they wouldn't elsewhere.
func (a *ask) refusedLocked(r *proto.LeaseRefused, err error) {
	n := a.n
	var available *sched.Resources
	if r.GetAvailable() != nil {
		left := sched.FromUnits(r.Available.Quantity)
		available = &left
	}
	n.book.Refused(a.of, available, time.Now())
	if r.GetError().GetKind() == proto.Error_GROUP_REMOVED {
		n.staleGroupLocked(a.req.GetStrategy(), a.r.node)
	}
	if e := r.GetError(); err != nil || e != nil {
		n.log.Info("no lease on another node", "node", a.r.node, "error", cmp.Or(err, errors.New(e.GetMessage())))
		if owner := n.processes[a.of.Key.Process.Number]; owner != nil && e.GetKind() == proto.Error_WORKER_CRASHED {
			n.queue.Remove(a.of.Key)
			owner.push(&proto.ToProcess{Body: &proto.ToProcess_LeaseGone{LeaseGone: &proto.LeaseGone{
				Died: &proto.WorkerDied{Error: e}, Environment: a.req.GetEnvironment().GetKey(),
			}}})
		}
	} else {
		n.log.Debug("no lease on another node", "node", a.r.node, "reason", r.GetReason())
	}
	n.scheduleLocked()
	time.AfterFunc(lend.RefusalLife, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.queue.HasWaiting() {
			n.scheduleLocked()
		}
	})
}

// open sends the request and waits for the answer.
func (a *ask) open(ctx context.Context) (leaseStream, *proto.LeaseReply, error) {
	client, err := a.n.peers.client(a.r.node)
	if err != nil {
		return nil, nil, err
	}
	late := time.AfterFunc(grantTimeout, a.r.cancel)
	defer late.Stop()
	stream, err := client.Lease(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("ask %s for a lease: %w", a.r.node, err)
	}
	if err := stream.Send(a.req); err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("ask %s for a lease: %w", a.r.node, err)
	}
	reply, err := stream.Recv()
	if err != nil {
		return nil, nil, fmt.Errorf("ask %s for a lease: %w", a.r.node, err)
	}
	return stream, reply, nil
}

// hold keeps the stream until the lease is returned or the worker dies.
func (a *ask) hold(stream leaseStream, l *lease) {
	n := a.n
	ended := make(chan struct{})
	n.spawn(func() {
		select {
		case <-ended:
			return
		case <-a.r.returned:
		}
		_ = stream.CloseSend() // the other node takes its worker back and ends the stream
		late := time.NewTimer(returnTimeout)
		defer late.Stop()
		select {
		case <-ended:
		case <-late.C:
			a.r.cancel()
		}
	})
	reply, err := stream.Recv()
	close(ended)
	died := reply.GetDied()
	if died == nil {
		died = &proto.WorkerDied{LastStarted: unknownTask, Error: nodeDied(a.r.node, "the connection to %s, which ran it, is lost: %v", a.r.node, err)}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.leases[l.id] == l {
		n.leaseGoneLocked(l, died)
	}
}

// decline returns a lease that nobody wants any more, and waits, within limits,
// for the other node to have taken it.
func (a *ask) decline(stream leaseStream) {
	late := time.AfterFunc(returnTimeout, a.r.cancel)
	defer late.Stop()
	_ = stream.CloseSend()
	for {
		if _, err := stream.Recv(); err != nil {
			return
		}
	}
}
