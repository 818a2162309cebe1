package node

import (
	"context"
	"crypto/rand"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// forwarded are the Control methods that processes may call.
var forwarded = map[string]string{
	"CreateActor": proto.Control_CreateActor_FullMethodName,
	"FindActor":   proto.Control_FindActor_FullMethodName,
	"WaitActor":   proto.Control_WaitActor_FullMethodName,
	"KillActor":   proto.Control_KillActor_FullMethodName,
	"PutKey":      proto.Control_PutKey_FullMethodName,
	"GetKey":      proto.Control_GetKey_FullMethodName,
	"DeleteKey":   proto.Control_DeleteKey_FullMethodName,
	"ListKeys":    proto.Control_ListKeys_FullMethodName,
	"ListNodes":   proto.Control_ListNodes_FullMethodName,
}

// headCall forwards a process's call. It waits while the head is away, as long
// as the process lives.
func (n *Node) headCall(ctx context.Context, p *process, h *proto.HeadCall) *proto.HeadResult {
	method := forwarded[h.Method]
	if method == "" {
		return &proto.HeadResult{Error: problem(proto.Error_INVALID, "%q is not a call for processes", h.Method)}
	}
	body := h.Body
	if h.Method == "CreateActor" {
		var err error
		if body, err = n.ownActor(p, body); err != nil {
			return &proto.HeadResult{Error: problem(proto.Error_INVALID, "CreateActor: %v", err)}
		}
	}
	// A retry after a lost answer has its effect once.
	ctx = metadata.AppendToOutgoingContext(ctx, proto.RequestKey, rand.Text())
	var reply rawMessage
	err := retry(ctx, func() error {
		return n.head.conn.Invoke(ctx, method, &rawMessage{body}, &reply, grpc.ForceCodecV2(rawCodec{}), grpc.WaitForReady(true))
	})
	if err != nil {
		return &proto.HeadResult{Error: asProblem(err)}
	}
	return &proto.HeadResult{Body: reply.b}
}

// ownActor sees to it that a process creates actors of its own job only.
func (n *Node) ownActor(p *process, body []byte) ([]byte, error) {
	var r proto.CreateActorRequest
	if err := protobuf.Unmarshal(body, &r); err != nil {
		return nil, err
	}
	if r.Spec == nil {
		return nil, ErrBadFrame
	}
	if _, err := ids.ActorIDFrom(r.Spec.Id); err != nil {
		return nil, err
	}
	r.Spec.Job, r.Spec.CreatorNode = uint32(p.job.id), uint32(n.id)
	n.mu.Lock()
	p.reach = true
	n.mu.Unlock()
	return protobuf.Marshal(&r)
}
