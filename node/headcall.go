package node

import (
	"context"
	"errors"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// forwarded are the Control methods that processes may call.
var forwarded = map[string]struct {
	name    string
	changes bool // it isn't only a read, and has its effect each time
}{
	"CreateActor":  {proto.Control_CreateActor_FullMethodName, true},
	"FindActor":    {proto.Control_FindActor_FullMethodName, false},
	"WaitActor":    {proto.Control_WaitActor_FullMethodName, false},
	"KillActor":    {proto.Control_KillActor_FullMethodName, true},
	"SaveActor":    {proto.Control_SaveActor_FullMethodName, true},
	"CreateGroups": {proto.Control_CreateGroups_FullMethodName, false},
	"FindGroup":    {proto.Control_FindGroup_FullMethodName, false},
	"WaitGroup":    {proto.Control_WaitGroup_FullMethodName, false},
	"RemoveGroups": {proto.Control_RemoveGroups_FullMethodName, false},
	"PutKey":       {proto.Control_PutKey_FullMethodName, true},
	"GetKey":       {proto.Control_GetKey_FullMethodName, false},
	"DeleteKey":    {proto.Control_DeleteKey_FullMethodName, true},
	"ListKeys":     {proto.Control_ListKeys_FullMethodName, false},
	"ListNodes":    {proto.Control_ListNodes_FullMethodName, false},
}

// headCall forwards a process's call. It waits while the head is away, and while
// the node is fenced, as long as the process lives.
func (n *Node) headCall(ctx context.Context, p *process, h *proto.HeadCall) *proto.HeadResult {
	method := forwarded[h.Method]
	if method.name == "" {
		return &proto.HeadResult{Error: problem(proto.Error_INVALID, "%q is not a call for processes", h.Method)}
	}
	body := h.Body
	var err error
	switch h.Method {
	case "CreateActor":
		body, err = n.ownActor(p, body)
	case "CreateGroups":
		body, err = ownGroups(p, body)
	}
	if err != nil {
		return &proto.HeadResult{Error: problem(proto.Error_INVALID, "%s: %v", h.Method, err)}
	}
	if err := n.awaitLease(ctx); err != nil {
		return &proto.HeadResult{Error: asProblem(err)}
	}
	ctx = metadata.AppendToOutgoingContext(ctx, proto.NodeKey, strconv.Itoa(int(n.id)))
	if method.changes {
		name, done, err := n.requests.begin(ctx)
		if err != nil {
			return &proto.HeadResult{Error: asProblem(err)}
		}
		defer done()
		ctx = metadata.AppendToOutgoingContext(ctx, proto.RequestKey, name)
	}
	var reply rawMessage
	err = n.head.Invoke(ctx, method.name, &rawMessage{body}, &reply, grpc.ForceCodecV2(rawCodec{}), grpc.WaitForReady(true))
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

// ownGroups sees to it that a process creates groups of its own job only.
func ownGroups(p *process, body []byte) ([]byte, error) {
	var r proto.CreateGroupsRequest
	if err := protobuf.Unmarshal(body, &r); err != nil {
		return nil, err
	}
	for _, spec := range r.Specs {
		spec.Job = uint32(p.job.id)
	}
	return protobuf.Marshal(&r)
}

// rawCodec passes messages through as bytes.
type rawCodec struct{}

type rawMessage struct{ b []byte }

var errNotRaw = errors.New("not a raw message")

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*rawMessage)
	if !ok {
		return nil, errNotRaw
	}
	return mem.BufferSlice{mem.SliceBuffer(m.b)}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*rawMessage)
	if !ok {
		return errNotRaw
	}
	m.b = data.Materialize()
	return nil
}

func (rawCodec) Name() string { return "proto" }

var _ encoding.CodecV2 = rawCodec{}
