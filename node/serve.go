package node

import (
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// served is a lease that another node holds here.
type served struct {
	owner   ids.ProcessID
	granted chan *process          // one worker
	gpus    []uint32               // that it has; before it's granted
	failed  chan *proto.Error      // or why there is none
	died    chan *proto.WorkerDied // its end

	mu   sync.Mutex
	over bool // the stream is gone
}

func (s *served) fail(why *proto.Error) { s.failed <- why }

func (s *served) end(died *proto.WorkerDied) { s.died <- died }

// giveUp ends the other node's interest: no worker is lent to it any more.
func (s *served) giveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

func (s *served) isOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// serveLeaseLocked lends p to the node that waits.
func (n *Node) serveLeaseLocked(t *ticket, p *process) bool {
	if t.served.isOver() {
		n.ledger.Free(t.hold)
		return false
	}
	l := n.newLeaseLocked()
	l.worker, l.served = p, t.served
	n.occupyLocked(p, l, t.hold)
	t.served.gpus = n.ledger.Devices(t.hold)
	t.served.granted <- p
	return true
}

// Lease serves one lease to another node: only what fits now.
func (s *service) Lease(stream grpc.BidiStreamingServer[proto.LeaseRequest, proto.LeaseReply]) error {
	n := s.n
	req, err := stream.Recv()
	if err != nil {
		return err
	}
	v := &served{
		owner:   ids.ProcessID{Node: ids.NodeID(req.OwnerNode), Number: req.OwnerProcess},
		granted: make(chan *process, 1), failed: make(chan *proto.Error, 1), died: make(chan *proto.WorkerDied, 1),
	}
	if refused := n.reserve(req, v); refused != nil {
		return stream.Send(&proto.LeaseReply{Body: &proto.LeaseReply_Refused{Refused: refused}})
	}
	defer v.giveUp()
	client := make(chan error, 1) // how the other side ended
	n.spawn(func() {
		_, err := stream.Recv()
		client <- err
	})
	var p *process
	select {
	case p = <-v.granted:
	case e := <-v.failed:
		return stream.Send(&proto.LeaseReply{Body: &proto.LeaseReply_Refused{Refused: n.refusal(e.Message, e)}})
	case <-client:
		n.takeBack(v, true)
		return nil
	case <-n.ctx.Done():
		return status.Error(codes.Unavailable, ErrClosed.Error())
	}
	err = stream.Send(&proto.LeaseReply{Body: &proto.LeaseReply_Granted{Granted: &proto.LeaseGranted{
		Node: uint32(n.id), Process: p.id.Number, Address: p.listen, Pid: int32(p.pid), Gpus: v.gpus,
	}}})
	if err != nil {
		n.takeBack(v, true)
		return err
	}
	select {
	case died := <-v.died:
		return stream.Send(&proto.LeaseReply{Body: &proto.LeaseReply_Died{Died: died}})
	case err := <-client:
		n.takeBack(v, errors.Is(err, io.EOF))
		return nil
	case <-n.ctx.Done():
		return status.Error(codes.Unavailable, ErrClosed.Error())
	}
}

// reserve takes what the request asks for and orders a worker, or refuses.
func (n *Node) reserve(req *proto.LeaseRequest, v *served) *proto.LeaseRefused {
	res := req.GetResources().GetQuantity()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closing {
		return n.refusalLocked(ErrClosed.Error(), nil)
	}
	if n.draining != nil {
		return n.refusalLocked(n.id.String()+" is draining", n.strangerLocked(req.GetStrategy()))
	}
	spec := req.GetSpec()
	if spec == nil {
		spec = &proto.JobSpec{Id: req.Job}
	}
	j, err := n.jobLocked(spec, req.DriverDir)
	if err != nil {
		return n.refusalLocked(err.Error(), asProblem(err))
	}
	for _, q := range res {
		if q < 0 || len(res) > maxAmounts {
			return n.refusalLocked("", asProblem(ErrBadFrame))
		}
	}
	if !j.hasIdle(req.GetEnvironment()) && len(n.processes) >= maxProcesses {
		return n.refusalLocked(ErrTooManyProcesses.Error(), nil)
	}
	hold, ok := n.takeLocked(j.id, res, req.GetStrategy())
	if !ok {
		return n.refusalLocked("no room", n.strangerLocked(req.GetStrategy()))
	}
	n.changed()
	n.awaitWorkerLocked(&ticket{job: j, env: req.GetEnvironment(), hold: hold, served: v})
	return nil
}

func (n *Node) refusal(reason string, e *proto.Error) *proto.LeaseRefused {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.refusalLocked(reason, e)
}

func (n *Node) refusalLocked(reason string, e *proto.Error) *proto.LeaseRefused {
	return &proto.LeaseRefused{Reason: reason, Error: e, Available: &proto.Resources{Quantity: n.ledger.Available()}}
}

// takeBack ends a served lease. In order, the worker is free for others;
// otherwise its owner is gone and it may be running a task of it: it's killed.
func (n *Node) takeBack(v *served, inOrder bool) {
	v.giveUp()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, j := range n.jobs {
		for i, t := range j.waiting {
			if t.served == v {
				n.ledger.Free(t.hold)
				j.waiting = append(j.waiting[:i:i], j.waiting[i+1:]...)
				n.scheduleLocked()
				return
			}
		}
	}
	for _, l := range n.leases {
		if l.served != v {
			continue
		}
		if inOrder {
			n.endLeaseLocked(l)
			n.scheduleLocked()
		} else {
			n.dismissLocked(l.worker, "its owner "+v.owner.String()+" has ended")
		}
		return
	}
}
