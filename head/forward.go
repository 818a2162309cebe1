package head

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	protobuf "google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gray-runtime/gray/proto"
)

const (
	// forwardLimit is how long a request waits for a leader that answers.
	forwardLimit = 5 * time.Second
	// forwardPause is how long it waits at most before it tries the same leader again.
	forwardPause = 50 * time.Millisecond
)

// answeredHere are the calls that each head answers by itself.
var answeredHere = []string{
	proto.Control_Join_FullMethodName, proto.Control_JoinHead_FullMethodName, proto.Control_RenewCertificate_FullMethodName,
	proto.Heads_DescribeHead_FullMethodName,
}

// staleReads are those that a head may answer by itself if the caller allows it.
var staleReads = []string{
	proto.Control_FindActor_FullMethodName, proto.Control_GetKey_FullMethodName, proto.Control_ListKeys_FullMethodName,
	proto.Control_ListNodes_FullMethodName,
}

// forwardUnary has the leader answer a call, whichever head it came to, and waits
// for one while there is none. Calls may be repeated: their effects are idempotent,
// or they have a name (proto.RequestKey).
func (h *Head) forwardUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	method := info.FullMethod
	if slices.Contains(answeredHere, method) {
		return next(ctx, req)
	}
	if incoming(ctx, proto.StaleKey) == "1" && slices.Contains(staleReads, method) {
		return next(allowStale(ctx), req)
	}
	passedOn := incoming(ctx, proto.ForwardedKey) != ""
	w := retries{h: h}
	for {
		leads, leader, changed := h.standing.get()
		var reply any
		var err error
		switch {
		case leads:
			reply, err = next(ctx, req)
		case passedOn || leader == "" || leader == h.Address():
			err = asStatus(ErrNoLeader)
		default:
			if reply, err = h.passOn(ctx, leader, method, req); status.Code(err) != codes.Unavailable { // else it may hang
				_ = grpc.SetTrailer(ctx, metadata.Pairs(proto.LeaderKey, leader)) // fails after the answer only
			}
		}
		if status.Code(err) != codes.Unavailable || passedOn || leads && h.consensus.alone() || !w.wait(ctx, changed) {
			return reply, err
		}
	}
}

// retries bounds the time in which a request is tried again.
type retries struct {
	h     *Head
	until time.Time
}

// wait returns false when the time is over.
func (w *retries) wait(ctx context.Context, changed <-chan struct{}) bool {
	now := time.Now()
	if w.until.IsZero() {
		w.until = now.Add(forwardLimit)
	}
	if now.After(w.until) {
		return false
	}
	again := time.NewTimer(forwardPause)
	defer again.Stop()
	select {
	case <-changed:
	case <-again.C:
	case <-ctx.Done():
		return false
	case <-w.h.ctx.Done():
		return false
	}
	return true
}

// passOn makes a call at the leader. A leader that is replaced meanwhile won't answer.
func (h *Head) passOn(ctx context.Context, leader, method string, req any) (any, error) {
	conn, err := h.heads.get(leader, leader)
	if err != nil {
		return nil, asStatus(err)
	}
	reply, err := newReply(method)
	if err != nil {
		return nil, err
	}
	out := metadata.Pairs(proto.ForwardedKey, "1")
	for _, key := range []string{proto.RequestKey, proto.NodeKey} {
		if v := incoming(ctx, key); v != "" {
			out.Set(key, v)
		}
	}
	limited, cancel := h.standing.while(metadata.NewOutgoingContext(ctx, out), leader)
	defer cancel()
	if err = conn.Invoke(limited, method, req, reply); err == nil {
		return reply, nil
	}
	if limited.Err() != nil && ctx.Err() == nil {
		return nil, asStatus(ErrNoLeader)
	}
	return nil, err
}

// newReply makes an empty reply of a method.
func newReply(method string) (protobuf.Message, error) {
	m, err := protoregistry.GlobalFiles.FindDescriptorByName(methodName(method))
	if err != nil {
		return nil, status.Errorf(codes.Unimplemented, "%s: %v", method, err)
	}
	d, ok := m.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, status.Errorf(codes.Unimplemented, "%s isn't a method", method)
	}
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.Output().FullName())
	if err != nil {
		return nil, status.Errorf(codes.Unimplemented, "%s: %v", method, err)
	}
	return t.New().Interface(), nil
}

// methodName turns "/gray.v1.Control/GetKey" into gray.v1.Control.GetKey.
func methodName(method string) protoreflect.FullName {
	return protoreflect.FullName(strings.ReplaceAll(method[1:], "/", "."))
}

// elsewhere names the leader to who asked a head that isn't it.
func (h *Head) elsewhere(ctx context.Context, err error) error {
	if _, leader, _ := h.standing.get(); leader != "" && leader != h.Address() {
		_ = grpc.SetTrailer(ctx, metadata.Pairs(proto.LeaderKey, leader)) // it's before the answer
	}
	return err
}

type staleKey struct{}

// allowStale lets handlers answer from the state that this head has.
func allowStale(ctx context.Context) context.Context { return context.WithValue(ctx, staleKey{}, true) }

func takesStale(ctx context.Context) bool { return ctx.Value(staleKey{}) != nil }
