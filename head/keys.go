package head

import (
	"context"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/proto"
)

// PutKey stores a value.
func (c *controlService) PutKey(ctx context.Context, r *proto.PutKeyRequest) (*proto.PutKeyReply, error) {
	res, err := c.h.propose(ctx, &fsm.Command_PutKey{PutKey: &fsm.PutKey{
		Namespace: r.Namespace, Key: r.Key, Value: r.Value, Keep: r.Keep,
	}})
	if err != nil {
		return nil, err
	}
	return &proto.PutKeyReply{Existed: res.Existed}, nil
}

// GetKey returns a value.
func (c *controlService) GetKey(ctx context.Context, r *proto.GetKeyRequest) (*proto.GetKeyReply, error) {
	if err := c.h.leading(ctx); err != nil {
		return nil, err
	}
	out := &proto.GetKeyReply{}
	c.h.replica.read(func(s *fsm.State) { out.Value, out.Found = s.Key(r.Namespace, r.Key) })
	return out, nil
}

// DeleteKey removes a value.
func (c *controlService) DeleteKey(ctx context.Context, r *proto.DeleteKeyRequest) (*proto.DeleteKeyReply, error) {
	res, err := c.h.propose(ctx, &fsm.Command_DeleteKey{DeleteKey: &fsm.DeleteKey{Namespace: r.Namespace, Key: r.Key}})
	if err != nil {
		return nil, err
	}
	return &proto.DeleteKeyReply{Existed: res.Existed}, nil
}

// ListKeys lists a namespace's keys with a prefix.
func (c *controlService) ListKeys(ctx context.Context, r *proto.ListKeysRequest) (*proto.ListKeysReply, error) {
	if err := c.h.leading(ctx); err != nil {
		return nil, err
	}
	out := &proto.ListKeysReply{}
	c.h.replica.read(func(s *fsm.State) { out.Keys = s.Keys(r.Namespace, r.Prefix) })
	return out, nil
}
