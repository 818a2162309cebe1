package node

import (
	"context"
	"time"

	"github.com/gray-runtime/gray/internal/errcode"
	"github.com/gray-runtime/gray/proto"
)

// cancelTimeout is how long the owner of a task may take to cancel it.
const cancelTimeout = 10 * time.Second

// cancelTask has the owner of an object, wherever it is, cancel the task that makes it. One
// that has ended has nothing under way.
func (n *Node) cancelTask(ctx context.Context, r *proto.CancelTaskRequest) error {
	id, err := objectID(r.Id)
	if err != nil {
		return err
	}
	if id.Owner.Node != n.id {
		if n.peers.gone(id.Owner.Node) {
			return nil
		}
		c, err := n.peers.client(id.Owner.Node)
		if err == nil {
			_, err = c.CancelTask(ctx, r)
		}
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, cancelTimeout)
	defer cancel()
	n.mu.Lock()
	p := n.processes[id.Owner.Number]
	if p == nil || p.conn == nil || p.state == gone || p.state == starting {
		n.mu.Unlock()
		return nil
	}
	p.lastCall++
	call, answer := p.lastCall, make(chan *proto.ToNode, 1)
	p.calls[call] = answer
	p.push(&proto.ToProcess{Call: call, Body: &proto.ToProcess_CancelTask{CancelTask: r}})
	n.mu.Unlock()
	select {
	case m := <-answer: // nil: it has ended
		if e := m.GetCancelResult().GetError(); e != nil {
			return errcode.Status(e)
		}
		return nil
	case <-ctx.Done():
		n.mu.Lock()
		delete(p.calls, call)
		n.mu.Unlock()
		return context.Cause(ctx)
	}
}

// CancelTask is another node's word that one of its processes cancels a task of one here.
func (s *service) CancelTask(ctx context.Context, r *proto.CancelTaskRequest) (*proto.Ack, error) {
	return acked(s.n.cancelTask(ctx, r))
}
