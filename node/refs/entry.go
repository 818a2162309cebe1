package refs

import (
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// A holder is a local process, or an object whose entry here contains the
// reference. One of the two is zero.
type holder struct {
	process ids.ProcessID
	in      ids.ObjectID
}

// An entry is what this node knows of one object. Exactly one of home and link
// is set.
type entry struct {
	id      ids.ObjectID
	holders set[holder] // on this node, other than the owner
	gone    bool        // no longer in Directory.entries
	home    *homeSide
	link    *linkSide
}

// homeSide is what an object's home keeps.
type homeSide struct {
	owner     *process           // nil once it died
	held      bool               // the owner's process holds it
	wanted    bool               // the owner was asked and has not answered
	ended     bool               // by DropJob: nothing is published any more
	state     *proto.ObjectState // nil: not published
	contains  []ids.ObjectID     // the references held because of state
	borrowers set[ids.NodeID]
	copies    set[ids.NodeID] // may have the object: said to store it, or borrowed it once
	lostOn    []ids.NodeID    // since the last publication
	changed   chan struct{}   // made by who waits for state; closed when it's set, or the entry freed

	replica   *Replica // not nil: this node has inherited the object
	unsettled bool     // it may have borrowers that have not told yet
}

// linkSide is what another node than the home keeps: what the home knows.
type linkSide struct {
	home       ids.NodeID
	known      bool // the home counts this node as borrower, as of its last answer
	busy       bool // in a request under way
	toBorrow   bool // in peer.borrows
	toUnborrow bool // in peer.unborrows
	seeking    bool // the home is dead, and which node is it now has yet to be found
	dead       bool // there's no home any more that would need to know anything
	replica    *Replica
	waiting    []*pending
}

// unconfirmed reports whether the home doesn't count this node as borrower, or may
// be about not to.
func (l *linkSide) unconfirmed() bool { return !l.dead && (!l.known || l.busy) }

// unheld reports whether nothing keeps an entry of the home alive.
func (e *entry) unheld() bool {
	h := e.home
	return !h.held && !h.unsettled && e.holders.len() == 0 && h.borrowers.len() == 0
}

// shared reports whether anybody but the owner holds the object.
func (e *entry) shared() bool {
	return e.holders.len() > 0 || e.home.borrowers.len() > 0
}

// homed returns the home's entry of an object of this node. It makes one when
// there is none and the owner lives: the owner then holds the object, as it has
// not said otherwise. It returns nil when the object is gone with its owner.
func (d *Directory) homed(id ids.ObjectID) *entry {
	if e := d.entries[id]; e != nil {
		return e
	}
	owner := d.procs[id.Owner.Number]
	if owner == nil {
		return nil
	}
	e := &entry{id: id, home: &homeSide{owner: owner, held: true}}
	d.entries[id] = e
	owner.owned[id] = e
	return e
}

// served is homed for any object: nil, too, when its home isn't here.
func (d *Directory) served(id ids.ObjectID) *entry {
	if id.Owner.Node == d.self {
		return d.homed(id)
	}
	if e := d.entries[id]; e != nil && e.home != nil {
		return e
	}
	return nil
}

// linked returns the entry of an object whose home isn't here, and makes it if
// need be.
func (d *Directory) linked(id ids.ObjectID) *entry {
	if e := d.entries[id]; e != nil {
		return e
	}
	e := &entry{id: id, link: &linkSide{home: id.Owner.Node}}
	d.entries[id] = e
	switch _, dead := d.dead[id.Owner.Node]; {
	case dead && id.Replicated():
		e.link.seeking = true
		d.seek(e)
	case dead:
		e.link.dead = true
	}
	return e
}

// hold adds a holder of an object, and to p what has to be waited for. It
// reports false if there is nothing left to hold.
func (d *Directory) hold(id ids.ObjectID, h holder, p *pending) bool {
	if e := d.served(id); e != nil {
		e.holders.add(h)
		d.want(e)
		return true
	}
	if id.Owner.Node == d.self {
		return false
	}
	e := d.linked(id)
	e.holders.add(h)
	d.settle(e)
	if e.link.unconfirmed() {
		p.await(e)
	}
	return true
}

// release frees e if nothing holds it any more, and then what it contained, and
// so on. It has to be called after everything that may end a hold.
func (d *Directory) release(e *entry) {
	for work := []*entry{e}; len(work) > 0; {
		e := work[len(work)-1]
		work = work[:len(work)-1]
		switch {
		case e.gone:
		case e.link != nil:
			d.settle(e)
		case e.unheld():
			work = d.free(e, work)
		}
	}
}

// free forgets an entry of the home, and adds the entries that it contained,
// no longer held by it, to work.
func (d *Directory) free(e *entry, work []*entry) []*entry {
	h := e.home
	d.forget(e)
	h.wake()
	switch {
	case e.id.Actor():
		d.unreferenced(e.id)
	case h.state.GetValue() == nil || h.copies.has(d.self):
		d.deleteStored(e.id, h.copies.all())
	} // else it was never in any store
	if h.owner != nil {
		delete(h.owner.owned, e.id)
		d.mail(h.owner, letter{object: e.id, drop: true})
	}
	return d.unhold(e, h.contains, work)
}

// unhold ends e's holds of the objects it contains, and adds their entries to work.
func (d *Directory) unhold(e *entry, objects []ids.ObjectID, work []*entry) []*entry {
	for _, id := range objects {
		if c := d.entries[id]; c != nil && c.holders.remove(holder{in: e.id}) {
			work = append(work, c)
		}
	}
	return work
}

func (d *Directory) forget(e *entry) {
	e.gone = true
	delete(d.entries, e.id)
	delete(d.replicas, e.id)
}

// wake ends the waits for a state; they look again.
func (h *homeSide) wake() {
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}
