package transfer

import (
	"context"
	"errors"
	"fmt"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/objectstore"
)

// Room is how a node waits for room in its store.
type Room struct {
	// Create makes an object that another node has, too.
	Create func(ctx context.Context, id ids.ObjectID, size int64, by ids.ProcessID) (objectstore.Extent, error)
	// Acquire pins an object that is in memory or on disk.
	Acquire func(ctx context.Context, id ids.ObjectID, by ids.ProcessID) (objectstore.Extent, error)
}

// Of adapts a node's object store. What streams hold in it is held in the name of
// the node: its process number 0.
func Of(s *objectstore.Store, room Room, node ids.NodeID) Store {
	return real{s: s, room: room, by: ids.ProcessID{Node: node}}
}

type real struct {
	s    *objectstore.Store
	room Room
	by   ids.ProcessID
}

func (r real) Create(ctx context.Context, id ids.ObjectID, size int64) ([]byte, error) {
	place, err := r.room.Create(ctx, id, size, r.by)
	if errors.Is(err, objectstore.ErrExists) {
		return nil, fmt.Errorf("%w: %w", ErrExists, err)
	}
	if err != nil {
		return nil, err
	}
	return r.s.Bytes(place), nil
}

func (r real) Seal(id ids.ObjectID) error { return r.s.Seal(id, r.by) }

func (r real) Abort(id ids.ObjectID) error {
	r.s.Abort(id, r.by)
	return nil
}

func (r real) Wait(ctx context.Context, id ids.ObjectID) error { return r.s.WaitMade(ctx, id) }

func (r real) Get(id ids.ObjectID) ([]byte, bool) {
	place, ok := r.s.Acquire(id, r.by)
	if !ok {
		return nil, false
	}
	return r.s.Bytes(place), true
}

func (r real) Acquire(ctx context.Context, id ids.ObjectID) ([]byte, error) {
	place, err := r.room.Acquire(ctx, id, r.by)
	if err != nil {
		return nil, err
	}
	return r.s.Bytes(place), nil
}

func (r real) Release(id ids.ObjectID) { r.s.Release(id, r.by) }
