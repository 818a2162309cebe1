package node

import (
	"context"

	"github.com/gray-runtime/gray/internal/errcode"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// service is the Node service, for other nodes and heads.
type service struct {
	proto.UnimplementedNodeServer
	n *Node
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
		return nil, errcode.Status(asProblem(err))
	}
	return &proto.Ack{}, nil
}

func (s *service) Resolve(ctx context.Context, r *proto.ResolveRequest) (*proto.ObjectState, error) {
	id, err := objectID(r.Id)
	if err != nil {
		return nil, errcode.Status(asProblem(err))
	}
	ctx, stop := s.n.endWith(ctx)
	defer stop()
	state, err := s.n.refs.ResolveHere(ctx, id, nodeIDs(r.LostOn))
	if err != nil {
		return nil, errcode.Status(asProblem(err))
	}
	return state, nil
}

func (s *service) DeleteObjects(_ context.Context, r *proto.DeleteObjectsRequest) (*proto.Ack, error) {
	objects, err := objectIDs(r.Ids)
	if err == nil {
		s.n.deleteHere(s.n.refs.Dismissed(ids.NodeID(r.From), objects))
	}
	return acked(err)
}

func (s *service) DropProcess(_ context.Context, r *proto.DropProcessRequest) (*proto.Ack, error) {
	except, err := objectIDs(r.Except)
	if owner := (ids.ProcessID{Node: ids.NodeID(r.Node), Number: r.Process}); err == nil && s.n.refs.OwnerDied(owner, except) {
		s.n.dropOwner(owner, except)
	}
	return acked(err)
}
