package process

import (
	"context"
	"fmt"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// CancelTask is Cancel of any object: for another process's it returns when that process has
// cancelled it.
func (p *Process) CancelTask(ctx context.Context, o *Object, force bool) error {
	if o.owned() {
		return p.Cancel(o, force)
	}
	_, err := p.node.call(ctx, &proto.ToNode{Body: &proto.ToNode_CancelTask{CancelTask: &proto.CancelTaskRequest{Id: o.id.Bytes(), Force: force}}})
	if err != nil {
		return fmt.Errorf("cancel %s, that %s has submitted: %w", o.id, o.id.Owner, err)
	}
	return nil
}

// cancelled is another process's wish to cancel a task of this one.
func (p *Process) cancelled(r *proto.CancelTaskRequest) *proto.CancelResult {
	id, err := ids.ObjectIDFrom(r.GetId())
	if err != nil {
		return &proto.CancelResult{Error: &proto.Error{Kind: proto.Error_INVALID, Message: err.Error()}}
	}
	t, ok := p.traces.Load(id.Number)
	if !ok {
		return &proto.CancelResult{}
	}
	o := t.(*trace).weak.Value()
	if o == nil { // complete: a task holds its object
		return &proto.CancelResult{}
	}
	if err := p.Cancel(o, r.GetForce()); err != nil {
		return &proto.CancelResult{Error: &proto.Error{Kind: proto.Error_INVALID, Message: err.Error()}}
	}
	return &proto.CancelResult{}
}
