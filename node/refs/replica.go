package refs

import (
	"context"
	"fmt"
	"slices"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// A Replica is an object of another node's process that lies in this node's store
// to outlive its home.
type Replica struct {
	Size     int64
	Job      ids.JobID      // with whose end it goes; 0: with its last reference only
	Heirs    []ids.NodeID   // the nodes with replicas: the first living one is home once the owner's node is dead
	Contains []ids.ObjectID // the references inside the value
}

// Enlist makes this node, whose store has the object, one of its heirs, as its
// home asks. It holds what the object contains: the wait ends when the homes of
// that know. A home that gave up (ctx) has perhaps dismissed the replica before it
// got here, so nothing is done then. Again, it only replaces the heirs.
func (d *Directory) Enlist(ctx context.Context, id ids.ObjectID, r Replica) (Wait, error) {
	if err := d.check(append(slices.Clone(r.Contains), id)); err != nil {
		return nil, fmt.Errorf("replica: %w", err)
	}
	if id.Owner.Node == d.self || !id.Replicated() || !slices.Contains(r.Heirs, d.self) {
		return nil, fmt.Errorf("replica of object %s: %w", id, ErrNotHeir)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, dead := d.dead[id.Owner.Node]; dead {
		return nil, fmt.Errorf("replica of object %s: %w", id, ErrNodeDead)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("replica of object %s: %w", id, err)
	}
	e := d.linked(id)
	e.link.replica = &r
	d.replicas[id] = e
	var wait pending
	for _, c := range r.Contains {
		if c != id {
			d.hold(c, holder{in: id}, &wait)
		}
	}
	return d.wait(&wait), nil
}

// Dismissed ends the replicas among objects, as node from, their home, says, and
// returns which of objects this node's store may delete: nothing at the word of a
// dead node, and nothing whose home is here.
func (d *Directory) Dismissed(from ids.NodeID, objects []ids.ObjectID) []ids.ObjectID {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, dead := d.dead[from]; dead {
		return nil
	}
	free := make([]ids.ObjectID, 0, len(objects))
	for _, id := range objects {
		switch e := d.replicas[id]; {
		case e == nil:
		case e.home != nil:
			continue
		default:
			d.dismiss(e)
		}
		free = append(free, id)
	}
	return free
}

// OwnerDied ends the replicas of process p's objects, as its node says, but for
// those that live on. It reports false, and does nothing, if that node is dead:
// this node is the one to decide then.
func (d *Directory) OwnerDied(p ids.ProcessID, except []ids.ObjectID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, dead := d.dead[p.Node]; dead {
		return false
	}
	for id, e := range d.replicas {
		if id.Owner == p && !slices.Contains(except, id) {
			d.dismiss(e)
		}
	}
	return true
}

// dismiss makes e an ordinary foreign entry.
func (d *Directory) dismiss(e *entry) {
	contains := e.link.replica.Contains
	e.link.replica = nil
	delete(d.replicas, e.id)
	d.settle(e)
	for _, c := range d.unhold(e, contains, nil) {
		d.release(c)
	}
}

// Heirs returns, for each of objects, its heirs if this node is one of them that
// has the object still. It waits until this node knows, as the one that asks does,
// that their owners' nodes are dead: from then on none of those can dismiss it.
func (d *Directory) Heirs(ctx context.Context, objects []ids.ObjectID) ([][]ids.NodeID, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range objects {
		if err := d.awaitDeath(ctx, id.Owner.Node); err != nil {
			return nil, err
		}
	}
	heirs := make([][]ids.NodeID, len(objects))
	for i, id := range objects {
		switch e := d.replicas[id]; {
		case e == nil:
		case e.home != nil:
			heirs[i] = e.home.replica.Heirs
		default:
			heirs[i] = e.link.replica.Heirs
		}
	}
	return heirs, nil
}

// Dead reports whether this directory knows that a node is dead.
func (d *Directory) Dead(n ids.NodeID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, dead := d.dead[n]
	return dead
}

// awaitDeath waits until it is known here that a node is dead.
func (d *Directory) awaitDeath(ctx context.Context, n ids.NodeID) error {
	for _, dead := d.dead[n]; !dead; _, dead = d.dead[n] {
		if err := d.unlocked(ctx, d.died); err != nil {
			return fmt.Errorf("hear of %s's death: %w", n, err)
		}
	}
	return nil
}

// rehome finds the new home, perhaps here, of a foreign entry whose home has died. It
// tells nobody of anything.
func (d *Directory) rehome(e *entry) {
	l := e.link
	l.known, l.busy, l.toBorrow, l.toUnborrow = false, false, false, false
	switch {
	case l.replica != nil:
		if l.home = d.firstLiving(l.replica.Heirs); l.home == d.self {
			d.inherit(e)
		} else {
			d.seek(e) // it may have been dismissed, when this node wasn't yet
		}
	case e.id.Replicated() && e.holders.len() > 0:
		l.seeking = true
		d.seek(e)
	default:
		l.dead = true
	}
}

// firstLiving returns 0 if all of nodes are dead.
func (d *Directory) firstLiving(nodes []ids.NodeID) ids.NodeID {
	for _, n := range nodes {
		if _, dead := d.dead[n]; !dead {
			return n
		}
	}
	return 0
}

// inherit makes this node the home of e, until its borrowers have told of
// themselves whether it has any or not.
func (d *Directory) inherit(e *entry) {
	l, r := e.link, e.link.replica
	h := &homeSide{replica: r, contains: r.Contains, unsettled: true}
	stored := &proto.Stored{Size: r.Size}
	for _, n := range r.Heirs {
		if _, dead := d.dead[n]; !dead {
			stored.Nodes = append(stored.Nodes, uint32(n))
			h.copies.add(n)
		}
	}
	h.state = &proto.ObjectState{Id: e.id.Bytes(), Body: &proto.ObjectState_Stored{Stored: stored}}
	for _, c := range r.Contains {
		h.state.Contains = append(h.state.Contains, c.Bytes())
	}
	e.home, e.link = h, nil
	l.confirm()
}

// settleBorrowers frees what of inherited nobody borrows, once every node has told
// of what it does.
func (d *Directory) settleBorrowers(inherited []*entry) {
	if len(inherited) == 0 {
		return
	}
	var dead []ids.NodeID
	add := func(n ids.NodeID) {
		if _, is := d.dead[n]; is && !slices.Contains(dead, n) {
			dead = append(dead, n)
		}
	}
	for _, e := range inherited {
		add(e.id.Owner.Node)
		for _, n := range e.home.replica.Heirs {
			add(n)
		}
	}
	d.start(func() {
		if d.peers.Settled(d.ctx, dead) != nil {
			return
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, e := range inherited {
			e.home.unsettled = false
			d.release(e)
		}
	})
}

// Settled returns once this directory knows that nodes are dead, and has told the
// new homes of their objects which of them it borrows.
func (d *Directory) Settled(ctx context.Context, dead []ids.NodeID) error {
	d.mu.Lock()
	for _, n := range dead {
		if err := d.awaitDeath(ctx, n); err != nil {
			d.mu.Unlock()
			return err
		}
	}
	var wait pending
	for id, e := range d.entries {
		if l := e.link; l != nil && slices.Contains(dead, id.Owner.Node) && l.unconfirmed() && e.holders.len() > 0 {
			wait.await(e)
		}
	}
	w := d.wait(&wait)
	d.mu.Unlock()
	return w.Wait(ctx)
}

// seek has the other heirs of an object be asked for whose owner's node is dead.
func (d *Directory) seek(e *entry) {
	d.sought = append(d.sought, e)
	if !d.seeking {
		d.seeking = d.start(d.seeker)
	}
}

// seeker asks the other nodes whether they have what is sought, until nothing is.
func (d *Directory) seeker() {
	for {
		d.mu.Lock()
		n := min(len(d.sought), batch)
		entries := d.sought[:n:n]
		if d.sought = d.sought[n:]; n == 0 || d.closed {
			d.sought, d.seeking = nil, false
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		objects := make([]ids.ObjectID, n)
		for i, e := range entries {
			objects[i] = e.id
		}
		heirs, err := d.peers.Seek(d.ctx, objects)
		if err != nil {
			continue // closed
		}
		d.mu.Lock()
		for i, e := range entries {
			d.found(e, heirs[i])
		}
		d.mu.Unlock()
	}
}

// found ends the search for e's other heirs: those that have the object, in order.
func (d *Directory) found(e *entry, heirs []ids.NodeID) {
	l := e.link
	switch {
	case l == nil: // inherited
	case l.replica != nil:
		if !slices.Contains(heirs, l.home) {
			d.dismiss(e)
		}
	case l.seeking:
		l.seeking = false
		if home := d.firstLiving(heirs); home != 0 {
			l.home = home
		} else {
			l.dead = true
		}
		d.settle(e)
	}
}
