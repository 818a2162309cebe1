package refs

import (
	"fmt"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// A process is a living process of this node.
type process struct {
	id      ids.ProcessID
	held    map[ids.ObjectID]struct{} // other processes' objects
	owned   map[ids.ObjectID]*entry   // its own, that have an entry
	letters []letter                  // not yet handed to Peers
	mailing bool                      // a sender is at work
}

// ProcessStarted announces a process of this node, before its first message.
// Only announced processes can hold references or be asked for objects.
func (d *Directory) ProcessStarted(p ids.ProcessID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.Node == d.self && d.procs[p.Number] == nil {
		d.procs[p.Number] = &process{id: p, held: map[ids.ObjectID]struct{}{}, owned: map[ids.ObjectID]*entry{}}
	}
}

// ProcessDied ends all that p holds, and fails its unpublished objects with
// OWNER_DIED. It returns those of p's objects whose values live on because
// others hold them: everything else that p made may be deleted from the stores
// (DropProcess). Peers.Wanted must know already that p is gone.
func (d *Directory) ProcessDied(p ids.ProcessID) (except []ids.ObjectID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	pr := d.procs[p.Number]
	if p.Node != d.self || pr == nil {
		return nil
	}
	delete(d.procs, p.Number)
	pr.letters = nil
	for _, e := range pr.owned {
		e.home.owner, e.home.held = nil, false
	}
	for id := range pr.held {
		if e := d.entries[id]; e != nil && e.holders.remove(holder{process: p}) {
			d.release(e)
		}
	}
	for _, e := range pr.owned {
		if !e.gone && e.home.state == nil {
			d.fail(e, proto.Error_OWNER_DIED, fmt.Sprintf("process %s, the owner of object %s, died before the object was handed over", p, e.id))
		}
		d.release(e)
	}
	for id, e := range pr.owned {
		if !e.gone && e.home.state.GetError() == nil {
			except = append(except, id)
		}
	}
	return except
}

// BorrowBy notes that p holds objects; one hold an object, however often it is
// noted. The wait ends when the homes of the objects know of it, or are dead. An
// owner names its own objects to hold them again. On an error nothing is noted.
func (d *Directory) BorrowBy(p ids.ProcessID, objects ...ids.ObjectID) (Wait, error) {
	if err := d.check(objects); err != nil {
		return nil, fmt.Errorf("borrow by %s: %w", p, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	pr := d.procs[p.Number]
	if p.Node != d.self || pr == nil {
		return nil, fmt.Errorf("borrow by %s: %w", p, ErrUnknownProcess)
	}
	var wait pending
	for _, id := range objects {
		if id.Owner == p {
			d.homed(id).home.held = true
			continue
		}
		if _, ok := pr.held[id]; ok {
			// Noted before, perhaps not yet confirmed: the wait is the same.
			if e := d.entries[id]; e.link != nil && e.link.unconfirmed() {
				wait.await(e)
			}
			continue
		}
		if d.hold(id, holder{process: p}, &wait) {
			pr.held[id] = struct{}{}
		}
	}
	return d.wait(&wait), nil
}

// ReleaseBy ends p's holds: those of a borrower, or the owner's own. Drop of the
// owner's objects follows when they are freed, at once if nobody else holds them.
func (d *Directory) ReleaseBy(p ids.ProcessID, objects ...ids.ObjectID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	pr := d.procs[p.Number]
	if p.Node != d.self || pr == nil {
		return
	}
	for _, id := range objects {
		e := d.entries[id]
		switch {
		case id.Owner == p && e == nil:
			d.mail(pr, letter{object: id, drop: true})
		case id.Owner == p:
			e.home.held = false
			d.release(e)
		case e != nil && e.holders.remove(holder{process: p}):
			delete(pr.held, id)
			d.release(e)
		}
	}
}

// check refuses references that no home of this cluster can have made.
func (d *Directory) check(objects []ids.ObjectID) error {
	for _, id := range objects {
		if id.Cluster != d.cluster {
			return fmt.Errorf("object %s: %w", id, ErrOtherCluster)
		}
		if id.Owner.Node == 0 {
			return fmt.Errorf("object %s: %w", id, ErrNoNode)
		}
	}
	return nil
}
