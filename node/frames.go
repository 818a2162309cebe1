package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// maxCalls bounds a process's calls that wait for an answer.
const maxCalls = 65_536

// fewCalls may wait at once without their answers being gathered.
const fewCalls = 16

// read serves a process's frames until its socket ends.
func (n *Node) read(p *process) {
	r := &reader{n: n, p: p}
	for {
		m := &proto.ToNode{}
		err := p.conn.Receive(m)
		if err == nil {
			err = r.frame(m)
		}
		if err != nil {
			p.left.Store(errors.Is(err, io.EOF))
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				n.log.Info("a process's connection ends", "process", p.name(), "error", err)
			}
			p.conn.Close()
			return
		}
	}
}

// reader is what one process's frames are handled by, in order.
type reader struct {
	n     *Node
	p     *process
	calls atomic.Int32
}

// frame handles one frame. An error ends the connection.
func (r *reader) frame(m *proto.ToNode) error {
	n, p := r.n, r.p
	switch b := m.Body.(type) {
	case *proto.ToNode_LeaseDemand:
		return n.leaseDemand(p, b.LeaseDemand)
	case *proto.ToNode_LeaseReturn:
		n.leaseReturn(p, b.LeaseReturn)
	case *proto.ToNode_Blocked:
		n.blocked(p, b.Blocked.GetBlocked())
	case *proto.ToNode_HeadCall:
		r.call(m.Call, func(ctx context.Context) *proto.ToProcess {
			return &proto.ToProcess{Body: &proto.ToProcess_HeadResult{HeadResult: n.headCall(ctx, p, b.HeadCall)}}
		})
	case *proto.ToNode_ActorStarted:
		n.actorStarted(p, b.ActorStarted)
	case *proto.ToNode_ActorExit:
		n.actorExited(p, b.ActorExit)
	case *proto.ToNode_FinishDriver:
		if p.worker {
			return fmt.Errorf("%w: a worker's FinishDriver", ErrBadFrame)
		}
		return n.finishDriver(p, m.Call, b.FinishDriver)
	case *proto.ToNode_OfferArchive:
		r.call(m.Call, func(ctx context.Context) *proto.ToProcess { return n.offered(ctx, p, b.OfferArchive) })
	case *proto.ToNode_CancelTask:
		r.call(m.Call, func(ctx context.Context) *proto.ToProcess {
			if err := n.cancelTask(ctx, b.CancelTask); err != nil {
				return errorFrame(asProblem(err))
			}
			return ackFrame()
		})
	case *proto.ToNode_TaskList, *proto.ToNode_ObjectList, *proto.ToNode_CancelResult, *proto.ToNode_ProfileResult:
		n.answerList(p, m)
	case *proto.ToNode_UserMetrics:
		n.userMetrics(p, b.UserMetrics)
		n.answerList(p, m)
	case *proto.ToNode_RunReport:
		n.runReport(p, b.RunReport)
	case *proto.ToNode_Function:
		return n.named(p, b.Function)
	case *proto.ToNode_TaskFailure:
		n.keepFailure(p, b.TaskFailure)
	case nil, *proto.ToNode_Hello:
		return fmt.Errorf("%w: %T", ErrBadFrame, m.Body)
	default:
		return r.objectFrame(m)
	}
	return nil
}

// call runs do beside the reader and sends its answer.
func (r *reader) call(number uint64, do func(ctx context.Context) *proto.ToProcess) {
	if r.calls.Add(1) > maxCalls {
		r.calls.Add(-1)
		r.answer(number, errorFrame(problem(proto.Error_UNAVAILABLE, "over %d calls wait for an answer", maxCalls)))
		return
	}
	r.n.spawn(func() {
		defer r.calls.Add(-1)
		m := do(r.p.ctx)
		if m.Call = number; number == 0 {
			return
		}
		send := r.p.conn.Send
		if r.calls.Load() > fewCalls {
			send = r.p.conn.SendSoon
		}
		_ = send(m) // a broken connection shows in its reader
	})
}

// answer doesn't wait for the process to read: it may be waiting for this reader.
func (r *reader) answer(number uint64, m *proto.ToProcess) {
	if number == 0 {
		return
	}
	m.Call = number
	r.p.push(m)
}

func ackFrame() *proto.ToProcess {
	return &proto.ToProcess{Body: &proto.ToProcess_Ack{Ack: &proto.Ack{}}}
}

func errorFrame(e *proto.Error) *proto.ToProcess {
	return &proto.ToProcess{Body: &proto.ToProcess_Error{Error: e}}
}

// objectIDs parses the identifiers of a frame.
func objectIDs(raw [][]byte) ([]ids.ObjectID, error) {
	out := make([]ids.ObjectID, len(raw))
	for i, b := range raw {
		id, err := objectID(b)
		if err != nil {
			return nil, err
		}
		out[i] = id
	}
	return out, nil
}

func objectID(b []byte) (ids.ObjectID, error) {
	if len(b) != ids.Size {
		return ids.ObjectID{}, fmt.Errorf("%w: an object id of %d bytes", ErrBadFrame, len(b))
	}
	return ids.ObjectIDFrom(b)
}

func rawIDs(objects []ids.ObjectID) [][]byte {
	out := make([][]byte, len(objects))
	for i, o := range objects {
		out[i] = o.Bytes()
	}
	return out
}

func nodeIDs(raw []uint32) []ids.NodeID {
	out := make([]ids.NodeID, len(raw))
	for i, v := range raw {
		out[i] = ids.NodeID(v)
	}
	return out
}
