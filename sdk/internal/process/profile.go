package process

import (
	"errors"
	"time"

	"github.com/gray-runtime/gray/internal/profile"
	"github.com/gray-runtime/gray/proto"
)

// profile answers the node's question for a profile of this process.
func (p *Process) profile(call uint64, r *proto.ProfileRequest) {
	out := &proto.ProfileResult{}
	var err error
	if out.Data, err = profile.Take(p.ctx, r.GetKind(), time.Duration(r.GetDurationMs())*time.Millisecond); err != nil {
		out.Error = &proto.Error{Kind: proto.Error_INTERNAL, Message: err.Error()}
		switch {
		case errors.Is(err, profile.ErrKind):
			out.Error.Kind = proto.Error_INVALID
		case errors.Is(err, profile.ErrBusy):
			out.Error.Kind = proto.Error_CALLS_LIMIT
		}
	}
	p.node.send(&proto.ToNode{Call: call, Body: &proto.ToNode_ProfileResult{ProfileResult: out}})
}
