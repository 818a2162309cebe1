package node

import (
	"time"

	"github.com/gray-runtime/gray/proto"
)

// What processes refer to no more is known only once their garbage collectors have
// run, and those know nothing of the store's room.
const (
	// pressShare is how full, in tenths, the store gets before processes are asked to
	// collect: before anything is written to disk.
	pressShare = 7
	// pressEvery is how often they are, as long as somebody waits.
	pressEvery = 250 * time.Millisecond
)

// makeRoom asks processes to let go of objects if another of size bytes fills the store.
func (n *Node) makeRoom(size int64) {
	if u := n.store.Usage(); u.Waiting > 0 || u.Used-u.Droppable+size > u.Capacity/10*pressShare {
		n.press()
	}
}

func (n *Node) press() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pressLocked()
}

// pressLocked sends StorePressure to all, unless it did so just now.
func (n *Node) pressLocked() {
	if n.pressing || n.closing {
		return
	}
	n.pressing = true
	for _, p := range n.processes {
		if p.state != starting && p.state != gone {
			p.push(&proto.ToProcess{Body: &proto.ToProcess_StorePressure{StorePressure: &proto.StorePressure{}}})
		}
	}
	time.AfterFunc(pressEvery, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.pressing = false
		if n.store.Usage().Waiting > 0 {
			n.pressLocked()
		}
	})
}
