package node

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/refs"
	"github.com/gray-runtime/gray/node/transfer"
	"github.com/gray-runtime/gray/objectstore"
	"github.com/gray-runtime/gray/objectstore/spill"
	"github.com/gray-runtime/gray/proto"
)

// errNotHere says that an object isn't in this node's store.
var errNotHere = errors.New("not in the object store")

// objectFrame handles the frames about objects and references. What has its
// effect at once has it in the order of the frames; only waiting is done beside.
func (r *reader) objectFrame(m *proto.ToNode) error {
	n, p := r.n, r.p
	switch b := m.Body.(type) {
	case *proto.ToNode_CreateObject:
		return r.create(m.Call, b.CreateObject)
	case *proto.ToNode_SealObject:
		id, err := objectID(b.SealObject.GetId())
		if err != nil {
			return err
		}
		err = n.store.Trim(id, p.id, b.SealObject.Size)
		if err == nil {
			err = n.store.Seal(id, p.id)
		}
		r.done(m.Call, err)
	case *proto.ToNode_AbortObject:
		id, err := objectID(b.AbortObject.GetId())
		if err != nil {
			return err
		}
		n.store.Abort(id, p.id)
		r.done(m.Call, nil)
	case *proto.ToNode_FetchObject:
		return r.fetch(m.Call, b.FetchObject)
	case *proto.ToNode_UnpinObject:
		objects, err := objectIDs(b.UnpinObject.GetIds())
		if err != nil {
			return err
		}
		for _, id := range objects {
			n.store.Release(id, p.id)
		}
	case *proto.ToNode_FreeObject:
		return r.free(b.FreeObject)
	case *proto.ToNode_ReplicateObject:
		return r.replicate(m.Call, b.ReplicateObject)
	default:
		return r.referenceFrame(m)
	}
	return nil
}

// done answers a call that has ended.
func (r *reader) done(call uint64, err error) {
	if err != nil {
		r.answer(call, errorFrame(asProblem(err)))
		return
	}
	r.answer(call, ackFrame())
}

func (r *reader) referenceFrame(m *proto.ToNode) error {
	n, p := r.n, r.p
	switch b := m.Body.(type) {
	case *proto.ToNode_BorrowObjects:
		objects, err := objectIDs(b.BorrowObjects.GetIds())
		if err != nil {
			return err
		}
		wait, err := n.refs.BorrowBy(p.id, objects...)
		r.confirm(m.Call, wait, err)
	case *proto.ToNode_ReleaseObjects:
		objects, err := objectIDs(b.ReleaseObjects.GetIds())
		if err != nil {
			return err
		}
		n.refs.ReleaseBy(p.id, objects...)
	case *proto.ToNode_PublishObject:
		if b.PublishObject.GetState() == nil {
			return fmt.Errorf("%w: a publication of nothing", ErrBadFrame)
		}
		wait, err := n.refs.Publish(p.id, b.PublishObject.State)
		r.confirm(m.Call, wait, err)
	case *proto.ToNode_ResolveObject:
		id, err := objectID(b.ResolveObject.GetId())
		if err != nil {
			return err
		}
		lost := nodeIDs(b.ResolveObject.GetLostOn())
		r.call(m.Call, func(ctx context.Context) *proto.ToProcess {
			state, err := n.refs.Resolve(ctx, id, lost)
			if err != nil {
				return errorFrame(asProblem(err))
			}
			return &proto.ToProcess{Body: &proto.ToProcess_ObjectState{ObjectState: state}}
		})
	default:
		return fmt.Errorf("%w: %T", ErrBadFrame, m.Body)
	}
	return nil
}

// confirm answers a call once others have confirmed it.
func (r *reader) confirm(call uint64, wait refs.Wait, err error) {
	if err != nil || wait == nil || call == 0 {
		r.done(call, err)
		return
	}
	r.call(call, func(ctx context.Context) *proto.ToProcess {
		if err := wait(ctx); err != nil {
			return errorFrame(asProblem(err))
		}
		return ackFrame()
	})
}

func placeFrame(o objectstore.Extent) *proto.ToProcess {
	return &proto.ToProcess{Body: &proto.ToProcess_ObjectPlace{ObjectPlace: &proto.ObjectPlace{Offset: o.Offset, Size: o.Size}}}
}

func (r *reader) create(call uint64, c *proto.CreateObject) error {
	n, p := r.n, r.p
	id, err := objectID(c.GetId())
	if err != nil {
		return err
	}
	if id.Owner == p.id {
		n.mu.Lock()
		p.reach = true
		n.mu.Unlock()
	}
	r.call(call, func(ctx context.Context) *proto.ToProcess {
		n.makeRoom(c.Size)
		place, err := n.createResult(ctx, id, c.Size, p.id)
		if err != nil {
			return errorFrame(storeProblem(err))
		}
		n.changed()
		return placeFrame(place)
	})
	return nil
}

// createResult makes what a process has to offer. What is there under its name is of
// an attempt that died before it could tell, whose references would be of a dead
// process, or was pulled: it goes, unless somebody reads it.
func (n *Node) createResult(ctx context.Context, id ids.ObjectID, size int64, by ids.ProcessID) (objectstore.Extent, error) {
	for {
		place, err := n.create(ctx, id, size, by, false)
		if !errors.Is(err, objectstore.ErrExists) || id.Owner == by {
			return place, err
		}
		if n.store.Discard(id) {
			continue
		}
		if n.store.Keep(id) {
			return place, err
		}
		// A pull that may fail, since the object is made anew.
		err = n.store.WaitMade(ctx, id)
		if err != nil && !errors.Is(err, objectstore.ErrAborted) && !errors.Is(err, objectstore.ErrNotFound) {
			return place, err
		}
	}
}

// storeProblem gives the store's errors the kinds that processes know.
func storeProblem(err error) *proto.Error {
	e := asProblem(err)
	var unfetched *transfer.FetchError
	var full *objectstore.FullError
	var unread *spill.ReadError
	switch {
	case errors.As(err, &full), errors.As(err, &unfetched) && unfetched.Full():
		e.Kind = proto.Error_STORE_FULL
	case errors.Is(err, objectstore.ErrExists):
		e.Kind = proto.Error_ALREADY_EXISTS
	case errors.Is(err, errNotHere), unfetched != nil && unfetched.Lost(), errors.As(err, &unread):
		e.Kind = proto.Error_OBJECT_LOST
	case unfetched != nil: // a node that has it is slow, or out of reach for the moment
		e.Kind = proto.Error_UNAVAILABLE
	}
	return e
}

func (r *reader) fetch(call uint64, f *proto.FetchObject) error {
	n, p := r.n, r.p
	id, err := objectID(f.GetId())
	if err != nil {
		return err
	}
	nodes := nodeIDs(f.Nodes)
	n.discardStray(id, nodes)
	if place, ok := n.store.Acquire(id, p.id); ok {
		r.answer(call, placeFrame(place))
		return nil
	}
	r.call(call, func(ctx context.Context) *proto.ToProcess {
		place, err := n.bring(ctx, p.id, id, f.Size, nodes)
		if err != nil {
			return errorFrame(storeProblem(err))
		}
		return placeFrame(place)
	})
	return nil
}

// discardStray deletes what an attempt that died has made here of an object whose
// outcome, another attempt's, lies on other nodes. If none of those lives, it's
// rather that the object was made anew here since the process heard of it.
func (n *Node) discardStray(id ids.ObjectID, nodes []ids.NodeID) {
	if slices.Contains(nodes, n.id) || id.Replicated() {
		return
	}
	if slices.ContainsFunc(nodes, func(o ids.NodeID) bool {
		_, err := n.peers.address(o)
		return err == nil
	}) {
		n.store.DiscardMade(id)
	}
}

// bring pins an object for a process, read from disk or pulled from another node
// if need be.
func (n *Node) bring(ctx context.Context, p ids.ProcessID, id ids.ObjectID, size int64, nodes []ids.NodeID) (objectstore.Extent, error) {
	var unread *spill.ReadError // why it isn't here any more
	for {
		place, err := n.acquire(ctx, id, p)
		if err == nil || !errors.As(err, &unread) && !errors.Is(err, objectstore.ErrNotFound) {
			return place, err
		}
		if err := ctx.Err(); err != nil {
			return place, err
		}
		switch err := n.store.WaitMade(ctx, id); {
		case err == nil:
			continue // its maker's word that it's sealed came after the question for it
		case !errors.Is(err, objectstore.ErrNotFound) && !errors.Is(err, objectstore.ErrAborted):
			return place, err
		}
		elsewhere := make([]ids.NodeID, 0, len(nodes))
		for _, o := range nodes {
			if o != n.id {
				elsewhere = append(elsewhere, o)
			}
		}
		if len(elsewhere) == 0 && unread != nil {
			return place, unread
		}
		if len(elsewhere) == 0 {
			return place, fmt.Errorf("object %s on %s: %w", id, n.id, errNotHere)
		}
		if err := n.puller.Fetch(ctx, id, size, elsewhere); err != nil {
			return place, err
		}
	} // again only if it was deleted between the pull and the pin
}

// free deletes objects of the process that never left it.
func (r *reader) free(f *proto.FreeObject) error {
	n := r.n
	byNode := map[ids.NodeID][]ids.ObjectID{}
	for _, l := range f.GetObjects() {
		id, err := objectID(l.GetId())
		if err != nil {
			return err
		}
		if id.Owner != r.p.id {
			return fmt.Errorf("%w: %s frees object %s of another", ErrBadFrame, r.p.name(), id)
		}
		for _, node := range l.Nodes {
			byNode[ids.NodeID(node)] = append(byNode[ids.NodeID(node)], id)
		}
	}
	for node, objects := range byNode {
		if node == n.id {
			n.deleteHere(objects)
			continue
		}
		n.deletes.add(node, objects)
	}
	return nil
}

// deleteHere deletes objects from this node's store.
func (n *Node) deleteHere(objects []ids.ObjectID) {
	for _, id := range objects {
		n.store.Delete(id)
	}
	n.changed()
}

// dropOwner deletes what a process of this or another node had in the store.
func (n *Node) dropOwner(p ids.ProcessID, except []ids.ObjectID) {
	keep := make(map[ids.ObjectID]struct{}, len(except))
	for _, id := range except {
		keep[id] = struct{}{}
	}
	n.store.DeleteOwner(p, keep)
	n.changed()
}

// dropNode deletes what the processes of a dead node had in the store.
func (n *Node) dropNode(node ids.NodeID, except []ids.ObjectID) {
	keep := make(map[ids.ObjectID]struct{}, len(except))
	for _, id := range except {
		keep[id] = struct{}{}
	}
	for o := range n.store.List() {
		if _, kept := keep[o.ID]; o.ID.Owner.Node == node && !kept {
			n.store.Delete(o.ID)
		}
	}
	n.changed()
}

// letGo releases what a process held in the store. One whose connection this node has
// ended may be reading or writing: it keeps what it holds until it has ended.
func (n *Node) letGo(p *process) {
	holds := func(h objectstore.Holding) bool { return h.By == p.id }
	switch {
	case p.life == nil:
		n.store.ReleaseProcess(p.id)
	case p.left.Load() || !slices.ContainsFunc(n.store.Holdings(), holds):
		n.store.ReleaseProcess(p.id)
		p.life.close()
	default:
		n.spawn(func() {
			defer p.life.close()
			p.life.wait(n.ctx, lingerLimit)
			n.store.ReleaseProcess(p.id)
			n.changed()
		})
	}
}

// clean ends what a dead process had in the store and the directory.
func (n *Node) clean(p *process, reach bool) {
	if p.worker {
		removeSocket(p.listen)
	}
	n.letGo(p)
	select {
	case <-p.hello:
	default:
		return // it never had anything
	}
	except := n.refs.ProcessDied(p.id)
	n.dropOwner(p.id, except)
	if reach {
		n.spawn(func() { n.dropElsewhere(p.id, except) })
	}
}
