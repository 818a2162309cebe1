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
}

// linkSide is what another node than the home keeps: what the home knows.
type linkSide struct {
	known      bool // the home counts this node as borrower, as of its last answer
	busy       bool // in a request under way
	toBorrow   bool // in peer.borrows
	toUnborrow bool // in peer.unborrows
	dead       bool // the home is dead: it needs to know nothing
	waiting    []*pending
}

// unheld reports whether nothing keeps an entry of the home alive.
func (e *entry) unheld() bool {
	return !e.home.held && e.holders.len() == 0 && e.home.borrowers.len() == 0
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

// linked returns the entry of a foreign object, and makes it if need be.
func (d *Directory) linked(id ids.ObjectID) *entry {
	if e := d.entries[id]; e != nil {
		return e
	}
	_, dead := d.dead[id.Owner.Node]
	e := &entry{id: id, link: &linkSide{dead: dead}}
	d.entries[id] = e
	return e
}

// hold adds a holder of an object, and to p what has to be waited for. It
// reports false if there is nothing left to hold.
func (d *Directory) hold(id ids.ObjectID, h holder, p *pending) bool {
	if id.Owner.Node == d.self {
		e := d.homed(id)
		if e == nil {
			return false
		}
		e.holders.add(h)
		d.want(e)
		return true
	}
	e := d.linked(id)
	e.holders.add(h)
	d.settle(e)
	if l := e.link; !l.dead && (!l.known || l.busy) {
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
	if h.state.GetValue() == nil || h.copies.has(d.self) {
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
}

// wake ends the waits for a state; they look again.
func (h *homeSide) wake() {
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}
