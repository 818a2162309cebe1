package refs

import (
	"fmt"

	"github.com/gray-runtime/gray/internal/ids"
)

// BorrowedBy notes at the home that node n borrows objects: what n's directory
// gave to Peers.Borrow. A repeated or late request (seq) changes nothing.
func (d *Directory) BorrowedBy(n ids.NodeID, seq uint64, objects ...ids.ObjectID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if fresh, err := d.hear(n, seq, objects); err != nil || !fresh {
		return err
	}
	for _, id := range objects {
		// Without an entry and an owner there is nothing to borrow; Resolve says so.
		if e := d.served(id); e != nil {
			e.home.borrowers.add(n)
			e.home.copies.add(n)
			d.want(e)
		}
	}
	return nil
}

// UnborrowedBy notes at the home that node n borrows objects no more.
func (d *Directory) UnborrowedBy(n ids.NodeID, seq uint64, objects ...ids.ObjectID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if fresh, err := d.hear(n, seq, objects); err != nil || !fresh {
		return err
	}
	for _, id := range objects {
		if e := d.entries[id]; e != nil && e.home != nil && e.home.borrowers.remove(n) {
			d.release(e)
		}
	}
	return nil
}

// hear checks a request of another node, and reports whether it is a new one.
func (d *Directory) hear(n ids.NodeID, seq uint64, objects []ids.ObjectID) (fresh bool, err error) {
	for _, id := range objects {
		if id.Cluster != d.cluster || !d.mayServe(id) {
			return false, fmt.Errorf("object %s asked of %s by %s: %w", id, d.self, n, ErrNotHome)
		}
	}
	p := d.peer(n)
	if p == nil || n == d.self {
		return false, fmt.Errorf("request by %s: %w", n, ErrNodeDead)
	}
	if seq <= p.heard {
		return false, nil
	}
	p.heard = seq
	return true, nil
}

// mayServe reports whether a request about an object can be answered here: this
// node is its home, or would be but has freed it. An heir that has yet to hear of
// a death can't say.
func (d *Directory) mayServe(id ids.ObjectID) bool {
	e := d.replicas[id]
	return id.Owner.Node == d.self || id.Replicated() && (e == nil || e.home != nil)
}

// NodeDied ends what n borrowed, unpublishes what was stored only there, and
// fails the objects whose home it was, or finds them another. Of the objects that
// processes of n owned it returns those that something here holds, or that are
// replicas: this node's store may delete all others.
func (d *Directory) NodeDied(n ids.NodeID) (except []ids.ObjectID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n == d.self {
		return nil
	}
	if _, again := d.dead[n]; !again {
		d.lostNode(n)
	}
	for id, e := range d.entries {
		if id.Owner.Node == n {
			except = append(except, e.id)
		}
	}
	return except
}

func (d *Directory) lostNode(n ids.NodeID) {
	d.dead[n] = struct{}{}
	close(d.died)
	d.died = make(chan struct{})
	if p := d.nodes[n]; p != nil {
		delete(d.nodes, n)
		p.cancel()
		p.borrows, p.unborrows, p.deletes = nil, nil, nil
	}
	touched := make([]*entry, 0, 64)
	var inherited []*entry
	for _, e := range d.entries {
		switch {
		case e.home != nil:
		case e.link.home != n:
			continue
		default: // all of them before any is settled: one may lead to another
			if d.rehome(e); e.home != nil {
				inherited = append(inherited, e)
				continue
			}
		}
		touched = append(touched, e)
	}
	for _, e := range touched {
		switch {
		case e.gone:
		case e.home != nil:
			d.loseNode(e, n)
		default:
			d.settle(e)
		}
	}
	d.settleBorrowers(inherited)
}

// loseNode takes a dead node out of an entry of this home.
func (d *Directory) loseNode(e *entry, n ids.NodeID) {
	e.home.copies.remove(n)
	e.home.borrowers.remove(n)
	d.lose(e, []ids.NodeID{n})
	if e.unheld() {
		d.release(e)
		return
	}
	d.askAgain(e)
}
