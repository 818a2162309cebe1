package node

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// service is the Node service, for other nodes and heads.
type service struct {
	proto.UnimplementedNodeServer
	n *Node
}

// problemStatus makes a gRPC error of what travels; asProblem reads it.
func problemStatus(e *proto.Error) error {
	code := codes.Internal
	switch e.Kind {
	case proto.Error_NOT_FOUND:
		code = codes.NotFound
	case proto.Error_INVALID:
		code = codes.InvalidArgument
	case proto.Error_UNAVAILABLE:
		code = codes.Unavailable
	case proto.Error_CANCELLED:
		code = codes.Canceled
	case proto.Error_DEADLINE:
		code = codes.DeadlineExceeded
	}
	s := status.New(code, e.Message)
	if d, err := s.WithDetails(e); err == nil {
		s = d
	}
	return s.Err()
}

func (s *service) Borrow(_ context.Context, r *proto.BorrowRequest) (*proto.Ack, error) {
	objects, err := objectIDs(r.Ids)
	if err == nil {
		err = s.n.refs.BorrowedBy(ids.NodeID(r.Node), r.Seq, objects...)
	}
	return acked(err)
}

func (s *service) Unborrow(_ context.Context, r *proto.BorrowRequest) (*proto.Ack, error) {
	objects, err := objectIDs(r.Ids)
	if err == nil {
		err = s.n.refs.UnborrowedBy(ids.NodeID(r.Node), r.Seq, objects...)
	}
	return acked(err)
}

func acked(err error) (*proto.Ack, error) {
	if err != nil {
		return nil, problemStatus(asProblem(err))
	}
	return &proto.Ack{}, nil
}

func (s *service) Resolve(ctx context.Context, r *proto.ResolveRequest) (*proto.ObjectState, error) {
	id, err := objectID(r.Id)
	if err != nil {
		return nil, problemStatus(asProblem(err))
	}
	ctx, stop := s.n.endWith(ctx)
	defer stop()
	state, err := s.n.refs.Resolve(ctx, id, nodeIDs(r.LostOn))
	if err != nil {
		return nil, problemStatus(asProblem(err))
	}
	return state, nil
}

func (s *service) DeleteObjects(_ context.Context, r *proto.DeleteObjectsRequest) (*proto.Ack, error) {
	objects, err := objectIDs(r.Ids)
	if err == nil {
		s.n.deleteHere(objects)
	}
	return acked(err)
}

func (s *service) DropProcess(_ context.Context, r *proto.DropProcessRequest) (*proto.Ack, error) {
	except, err := objectIDs(r.Except)
	if err == nil {
		s.n.dropOwner(ids.ProcessID{Node: ids.NodeID(r.Node), Number: r.Process}, except)
	}
	return acked(err)
}
