package refs

import (
	"fmt"
	"slices"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// Publish takes the outcome of an object from its owner p, in answer to Wanted.
// It is served from now on; s belongs to the directory and must not be changed.
// The entry holds the references in it: the wait ends when their homes know, and
// until then the owner must keep its own. What is published of an object that
// has no entry (it was freed in the meantime) is deleted from the stores.
func (d *Directory) Publish(p ids.ProcessID, s *proto.ObjectState) (Wait, error) {
	id, contains, err := d.parse(s)
	if err != nil {
		return nil, fmt.Errorf("publish by %s: %w", p, err)
	}
	if id.Owner != p {
		return nil, fmt.Errorf("publish object %s by %s: %w", id, p, ErrNotOwner)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.Node != d.self || d.procs[p.Number] == nil {
		return nil, fmt.Errorf("publish object %s by %s: %w", id, p, ErrUnknownProcess)
	}
	e := d.entries[id]
	if e == nil || e.home.ended {
		d.deleteStored(id, nodesOf(s))
		return nil, nil
	}
	var wait pending
	d.publish(e, s, contains, &wait)
	return d.wait(&wait), nil
}

// parse reads the identifiers in a published state.
func (d *Directory) parse(s *proto.ObjectState) (id ids.ObjectID, contains []ids.ObjectID, err error) {
	if id, err = ids.ObjectIDFrom(s.GetId()); err != nil {
		return id, nil, err
	}
	if s.GetBody() == nil {
		return id, nil, fmt.Errorf("object %s: neither value, place nor error", id)
	}
	for _, b := range s.GetContains() {
		c, err := ids.ObjectIDFrom(b)
		if err != nil {
			return id, nil, fmt.Errorf("object %s: reference in its value: %w", id, err)
		}
		if c != id { // an object doesn't keep itself alive
			contains = append(contains, c)
		}
	}
	return id, contains, d.check(append(contains[:len(contains):len(contains)], id))
}

// publish sets the state of an entry.
func (d *Directory) publish(e *entry, s *proto.ObjectState, contains []ids.ObjectID, wait *pending) {
	h := e.home
	// A dead node that the owner names once it has only not heard of; one that it
	// was told of and names again it will name for ever.
	told := h.lostOn
	h.wanted, h.state, h.lostOn = false, s, nil
	var gone []ids.NodeID
	for _, n := range nodesOf(s) {
		if _, dead := d.dead[n]; dead {
			gone = append(gone, n)
		} else {
			h.copies.add(n)
		}
	}
	if s.GetStored() != nil {
		h.copies.add(d.self) // for whoever pulls it here
	}
	d.setContains(e, contains, wait)
	if e.gone { // only what it contained before held it
		return
	}
	d.lose(e, gone)
	if h.state == nil && !slices.ContainsFunc(gone, func(n ids.NodeID) bool { return !slices.Contains(told, n) }) {
		d.fail(e, proto.Error_OBJECT_LOST, fmt.Sprintf("object %s was published as stored on dead nodes", e.id))
	}
	if h.state == nil {
		d.askAgain(e)
		return
	}
	h.wake()
}

// setContains replaces the references that e holds.
func (d *Directory) setContains(e *entry, contains []ids.ObjectID, wait *pending) {
	old := e.home.contains
	var held []ids.ObjectID
	for _, id := range contains {
		if d.hold(id, holder{in: e.id}, wait) {
			held = append(held, id)
		}
	}
	e.home.contains = held
	if len(old) == 0 {
		return
	}
	kept := make(map[ids.ObjectID]bool, len(held))
	for _, id := range held {
		kept[id] = true
	}
	old = slices.DeleteFunc(old, func(id ids.ObjectID) bool { return kept[id] })
	for _, c := range d.unhold(e, old, nil) {
		d.release(c)
	}
}

// nodesOf returns where a state says that its object is stored.
func nodesOf(s *proto.ObjectState) []ids.NodeID {
	var nodes []ids.NodeID
	for _, n := range s.GetStored().GetNodes() {
		nodes = append(nodes, ids.NodeID(n))
	}
	return nodes
}

// lose takes nodes out of the places where e is stored. With the last, e is not
// published any more; what it contained it goes on holding until the next state.
func (d *Directory) lose(e *entry, nodes []ids.NodeID) {
	h := e.home
	stored := h.state.GetStored()
	if stored == nil || len(nodes) == 0 {
		return
	}
	var left []uint32
	for _, n := range stored.GetNodes() {
		if !slices.Contains(nodes, ids.NodeID(n)) {
			left = append(left, n)
		}
	}
	if len(left) == len(stored.GetNodes()) {
		return
	}
	for _, n := range nodes {
		if !slices.Contains(h.lostOn, n) {
			h.lostOn = append(h.lostOn, n)
		}
	}
	if len(left) == 0 {
		h.state = nil
		return
	}
	h.state = &proto.ObjectState{
		Id:       h.state.GetId(),
		Body:     &proto.ObjectState_Stored{Stored: &proto.Stored{Size: stored.GetSize(), Nodes: left}},
		Contains: h.state.GetContains(),
	}
}

// askAgain sees to it that a lost object is published once more, if anybody but
// its owner might want it.
func (d *Directory) askAgain(e *entry) {
	if e.home.state == nil && (e.shared() || e.home.changed != nil) {
		d.want(e)
	}
}

// want asks the owner to publish, unless it has been asked.
func (d *Directory) want(e *entry) {
	h := e.home
	switch {
	case h.state != nil || h.wanted:
	case h.owner == nil:
		d.fail(e, proto.Error_OBJECT_LOST, fmt.Sprintf("object %s was lost with %s, and its owner is gone", e.id, names(h.lostOn)))
	default:
		h.wanted = true
		d.mail(h.owner, letter{object: e.id, lostOn: slices.Clone(h.lostOn)})
	}
}

// fail gives an entry an error as its state.
func (d *Directory) fail(e *entry, kind proto.Error_Kind, message string) {
	e.home.state = failed(e.id, kind, message)
	e.home.wanted = false
	d.setContains(e, nil, nil)
	e.home.wake()
}

// failed is the state of an object that can't be had.
func failed(id ids.ObjectID, kind proto.Error_Kind, message string) *proto.ObjectState {
	return &proto.ObjectState{
		Id:   id.Bytes(),
		Body: &proto.ObjectState_Error{Error: &proto.Error{Kind: kind, Message: message, Node: uint32(id.Owner.Node)}},
	}
}

// ownerGone notes that the owner of an object didn't take Wanted.
func (d *Directory) ownerGone(id ids.ObjectID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.entries[id]; e != nil && e.home.state == nil && e.home.wanted {
		d.fail(e, proto.Error_OWNER_DIED, fmt.Sprintf("process %s, the owner of object %s, died before the object was handed over", id.Owner, id))
	}
}

// DropJob ends the objects of an ended job: of its processes here, which are dead
// or about to be, and those inherited or kept as replicas. They are deleted from
// the stores, let go of what they contain, and are JOB_ENDED for whoever holds them
// still.
func (d *Directory) DropJob(job ids.JobID, processes ...ids.ProcessID) {
	ended := make(map[ids.ProcessID]bool, len(processes))
	for _, p := range processes {
		ended[p] = true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var drop []*entry
	if len(ended) > 0 {
		for id, e := range d.entries {
			if e.home != nil && ended[id.Owner] {
				drop = append(drop, e)
			}
		}
	}
	for id, e := range d.replicas {
		switch {
		case e.home != nil && e.home.replica.Job == job:
			drop = append(drop, e)
		case e.link != nil && e.link.replica.Job == job:
			d.dismiss(e)
			d.deleteStored(id, []ids.NodeID{d.self})
		}
	}
	for _, e := range drop {
		if e.gone { // freed with one before it
			continue
		}
		h := e.home
		h.ended = true
		d.deleteStored(e.id, h.copies.all())
		h.copies = set[ids.NodeID]{}
		d.fail(e, proto.Error_JOB_ENDED, fmt.Sprintf("object %s belonged to a job that has ended", e.id))
	}
}
