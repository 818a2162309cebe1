package refs

import "github.com/gray-runtime/gray/internal/ids"

// A letter is one message to the owner of an object.
type letter struct {
	object ids.ObjectID
	lostOn []ids.NodeID
	drop   bool // Drop; otherwise Wanted
}

// mail has a letter delivered after those before it.
func (d *Directory) mail(p *process, l letter) {
	p.letters = append(p.letters, l)
	if !p.mailing {
		p.mailing = d.start(func() { d.deliver(p) })
	}
}

// deliver hands a process's letters to Peers until there are none.
func (d *Directory) deliver(p *process) {
	for {
		d.mu.Lock()
		letters := p.letters
		p.letters = nil
		if len(letters) == 0 || d.closed {
			p.mailing = false
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		var drops []ids.ObjectID
		for _, l := range letters {
			if l.drop {
				drops = append(drops, l.object)
				continue
			}
			if len(drops) > 0 {
				d.peers.Drop(p.id, drops)
				drops = nil
			}
			if !d.peers.Wanted(p.id, l.object, l.lostOn) {
				d.ownerGone(l.object)
			}
		}
		if len(drops) > 0 {
			d.peers.Drop(p.id, drops)
		}
	}
}

// deleteStored has an object deleted from the stores of the living among nodes.
func (d *Directory) deleteStored(id ids.ObjectID, nodes []ids.NodeID) {
	for _, n := range nodes {
		d.deleteOn(n, id)
	}
}

func (d *Directory) deleteOn(n ids.NodeID, id ids.ObjectID) {
	p := d.peer(n)
	if p == nil {
		return
	}
	p.deletes = append(p.deletes, id)
	if !p.deleting {
		p.deleting = d.start(func() { d.deleter(p) })
	}
}

// unreferenced has an actor ended.
func (d *Directory) unreferenced(id ids.ObjectID) {
	d.ended = append(d.ended, ids.ActorID(id))
	if !d.ending {
		d.ending = d.start(d.tellEnded)
	}
}

func (d *Directory) tellEnded() {
	for {
		d.mu.Lock()
		actors := d.ended
		d.ended = nil
		if len(actors) == 0 || d.closed {
			d.ending = false
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		d.peers.Unreferenced(actors)
	}
}

// deleter hands a node's deletions to Peers until there are none.
func (d *Directory) deleter(p *peer) {
	for {
		d.mu.Lock()
		objects := p.deletes
		p.deletes = nil
		if len(objects) == 0 || p.ctx.Err() != nil {
			p.deleting = false
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		d.peers.DeleteStored(p.id, objects)
	}
}
