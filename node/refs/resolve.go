package refs

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/proto"
)

// Resolve returns the state of an object once it is complete. That the object
// failed or can't be had is a state too; an error means that ctx ended or the
// directory was closed. lostOn names nodes which were found not to have it any
// more. Resolve serves local processes. The state is shared and must not be changed.
func (d *Directory) Resolve(ctx context.Context, object ids.ObjectID, lostOn []ids.NodeID) (*proto.ObjectState, error) {
	if err := d.check([]ids.ObjectID{object}); err != nil {
		return nil, fmt.Errorf("resolve: %w", err)
	}
	if object.Owner.Node == d.self {
		return d.ResolveHere(ctx, object, lostOn)
	}
	return d.resolveThere(ctx, object, lostOn)
}

// ResolveHere is Resolve for other nodes (Peers.Resolve asks for them), which take
// this one for the object's home.
func (d *Directory) ResolveHere(ctx context.Context, id ids.ObjectID, lostOn []ids.NodeID) (*proto.ObjectState, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.served(id)
	switch {
	case e != nil:
		return d.resolve(ctx, e, lostOn)
	case id.Cluster != d.cluster || !d.mayServe(id):
		return nil, fmt.Errorf("resolve object %s at %s: %w", id, d.self, ErrNotHome)
	case id.Owner.Node != d.self:
		return homeDied(id), nil
	}
	return failed(id, proto.Error_OWNER_DIED, fmt.Sprintf("process %s, the owner of object %s, is gone", id.Owner, id)), nil
}

// resolve answers with the state of an entry of this home, once there is one.
func (d *Directory) resolve(ctx context.Context, e *entry, lostOn []ids.NodeID) (*proto.ObjectState, error) {
	id := e.id
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
	for attempt := 0; ; attempt++ {
		p, s, err := d.homeOf(ctx, id, lostOn)
		if p == nil {
			return s, err
		}
		s, err = d.ask(ctx, p, id, lostOn, attempt)
		switch {
		case err == nil:
			return s, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("resolve object %s: %w", id, context.Cause(ctx))
		case d.ctx.Err() != nil:
			return nil, fmt.Errorf("resolve object %s: %w", id, ErrClosed)
		case errors.Is(err, ErrNoNode):
			d.NodeDied(p.id)
		}
	}
}

// ask asks a home once, and pauses if that fails; both end with the node.
func (d *Directory) ask(ctx context.Context, p *peer, id ids.ObjectID, lostOn []ids.NodeID, attempt int) (*proto.ObjectState, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	s, err := d.peers.Resolve(ctx, p.id, id, lostOn)
	if err != nil && !errors.Is(err, ErrNoNode) {
		pause.For(ctx, pauseAfter(attempt))
	}
	return s, err
}

// homeOf returns the node to ask for an object, or the answer if there's none. It
// waits while the home has to be found.
func (d *Directory) homeOf(ctx context.Context, id ids.ObjectID, lostOn []ids.NodeID) (*peer, *proto.ObjectState, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for e := d.entries[id]; e != nil; e = d.entries[id] {
		switch {
		case e.home != nil:
			s, err := d.resolve(ctx, e, lostOn)
			return nil, s, err
		case e.link.dead:
			return nil, homeDied(id), nil
		case !e.link.seeking:
			return d.peer(e.link.home), nil, nil
		}
		var found pending
		found.await(e)
		if err := d.unlocked(ctx, found.done); err != nil {
			return nil, nil, fmt.Errorf("find the home of object %s: %w", id, err)
		}
	}
	if p := d.peer(id.Owner.Node); p != nil {
		return p, nil, nil
	}
	return nil, homeDied(id), nil
}

func homeDied(id ids.ObjectID) *proto.ObjectState {
	message := fmt.Sprintf("node %s died, and on it process %s, the owner of object %s", id.Owner.Node, id.Owner, id)
	if id.Replicated() {
		message += ", of which no other node has a replica any more"
	}
	return failed(id, proto.Error_OWNER_DIED, message)
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
