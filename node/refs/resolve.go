package refs

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// Resolve returns the state of an object once it is complete. That the object
// failed or can't be had is a state too; an error means that ctx ended or the
// directory was closed. lostOn names nodes which were found not to have it any
// more. Resolve serves local processes, and at the home other nodes (for which
// Peers.Resolve asks). The state is shared and must not be changed.
func (d *Directory) Resolve(ctx context.Context, object ids.ObjectID, lostOn []ids.NodeID) (*proto.ObjectState, error) {
	if err := d.check([]ids.ObjectID{object}); err != nil {
		return nil, fmt.Errorf("resolve: %w", err)
	}
	if object.Owner.Node == d.self {
		return d.resolveHere(ctx, object, lostOn)
	}
	return d.resolveThere(ctx, object, lostOn)
}

func (d *Directory) resolveHere(ctx context.Context, id ids.ObjectID, lostOn []ids.NodeID) (*proto.ObjectState, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.homed(id)
	if e == nil {
		return failed(id, proto.Error_OWNER_DIED, fmt.Sprintf("process %s, the owner of object %s, is gone", id.Owner, id)), nil
	}
	d.lose(e, lostOn)
	for e.home.state == nil {
		if e.gone {
			return failed(id, proto.Error_OBJECT_LOST, fmt.Sprintf("object %s was freed: nothing held it any more", id)), nil
		}
		d.want(e)
		if e.home.state != nil {
			break
		}
		if e.home.changed == nil {
			e.home.changed = make(chan struct{})
		}
		if err := d.unlocked(ctx, e.home.changed); err != nil {
			return nil, fmt.Errorf("resolve object %s: %w", id, err)
		}
	}
	return e.home.state, nil
}

// unlocked waits for c without the lock.
func (d *Directory) unlocked(ctx context.Context, c <-chan struct{}) error {
	d.mu.Unlock()
	defer d.mu.Lock()
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-d.ctx.Done():
		return ErrClosed
	}
}

func (d *Directory) resolveThere(ctx context.Context, id ids.ObjectID, lostOn []ids.NodeID) (*proto.ObjectState, error) {
	home := id.Owner.Node
	d.mu.Lock()
	p := d.peer(home)
	d.mu.Unlock()
	if p == nil {
		return homeDied(id), nil
	}
	ask, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	for attempt := 0; ; attempt++ {
		s, err := d.peers.Resolve(ask, home, id, lostOn)
		switch {
		case err == nil:
			return s, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("resolve object %s: %w", id, context.Cause(ctx))
		case d.ctx.Err() != nil:
			return nil, fmt.Errorf("resolve object %s: %w", id, ErrClosed)
		case p.ctx.Err() != nil:
			return homeDied(id), nil
		case errors.Is(err, ErrNoNode):
			d.NodeDied(home)
			return homeDied(id), nil
		}
		pause(ask, attempt)
	}
}

func homeDied(id ids.ObjectID) *proto.ObjectState {
	return failed(id, proto.Error_OWNER_DIED, fmt.Sprintf("node %s died, and on it process %s, the owner of object %s", id.Owner.Node, id.Owner, id))
}

// names lists nodes for people.
func names(nodes []ids.NodeID) string {
	if len(nodes) == 0 {
		return "its node"
	}
	s := make([]string, len(nodes))
	for i, n := range nodes {
		s[i] = n.String()
	}
	return strings.Join(s, ", ")
}
