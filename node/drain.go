package node

import (
	"context"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

const (
	// drainPoll is how often a draining node looks whether it's empty.
	drainPoll = 50 * time.Millisecond
	// drainQuiet is how long it must be empty: an owner may be about to ask.
	drainQuiet = 200 * time.Millisecond
	// departLimit bounds its end.
	departLimit = 10 * time.Second
)

// startDraining is the head's order to leave: nothing new is begun here.
func (n *Node) startDraining(d *proto.Draining) {
	n.mu.Lock()
	first := n.draining == nil
	n.draining = d
	if first && !n.closing {
		n.log.Info("this node drains", "reason", d.GetReason())
		n.tellDrainingLocked(n.id)
		n.scheduleLocked()
	}
	n.mu.Unlock()
	if first {
		n.spawn(n.awaitEmpty)
	}
}

// tellDrainingLocked has processes here give back the leases of a node that drains.
func (n *Node) tellDrainingLocked(id ids.NodeID) {
	for _, p := range n.processes {
		if p.conn != nil && p.state != gone {
			p.push(&proto.ToProcess{Body: &proto.ToProcess_NodeDraining{NodeDraining: &proto.NodeDraining{Node: uint32(id)}}})
		}
	}
}

// showDrainingLocked follows a new view: those that drain, and weren't seen to, give
// their leases back.
func (n *Node) showDrainingLocked(before map[ids.NodeID]*proto.NodeInfo) {
	for id, i := range n.view.nodes {
		if i.Draining != nil && id != n.id && (before[id] == nil || before[id].Draining == nil) {
			n.tellDrainingLocked(id)
		}
	}
}

// awaitEmpty has the node leave once nothing runs here any more, or its time is over.
func (n *Node) awaitEmpty() {
	var since time.Time
	for n.pause(drainPoll) {
		n.mu.Lock()
		n.tellIdleLocked()
		busy := n.busyLocked()
		deadline := n.draining.GetDeadlineUnixMs()
		n.mu.Unlock()
		now := time.Now()
		late := deadline > 0 && now.UnixMilli() > deadline
		switch {
		case !busy && since.IsZero():
			since = now
		case busy:
			since = time.Time{}
		}
		if late || !busy && now.Sub(since) >= drainQuiet {
			ctx, cancel := n.ctx, context.CancelFunc(func() {})
			if late {
				ctx, cancel = context.WithTimeout(ctx, evacuateLate)
			}
			n.evacuate(ctx)
			cancel()
			n.depart(late)
			return
		}
	}
}

// busyLocked reports whether something runs here, or is about to, that doesn't end by
// itself when nobody needs it.
func (n *Node) busyLocked() bool {
	if len(n.actors)+len(n.bundles.held)+len(n.bundles.ending) > 0 {
		return true
	}
	for _, l := range n.leases {
		if l.worker != nil {
			return true
		}
	}
	for _, j := range n.jobs {
		if len(j.waiting) > 0 || !j.ended && (j.driver != nil || j.submitted != nil) {
			return true
		}
	}
	return false
}

// depart ends the node. Close waits for all goroutines of the node, so it's called by one
// that is none of them; whoever runs the node sees Done.
func (n *Node) depart(late bool) {
	n.log.Info("this node has drained and leaves", "deadline passed", late)
	n.mu.Lock()
	n.departure = "drained"
	if r := n.draining.GetReason(); r != "" {
		n.departure += ": " + r
	}
	n.mu.Unlock()
	time.AfterFunc(0, func() {
		ctx, cancel := context.WithTimeout(context.Background(), departLimit)
		defer cancel()
		if err := n.Close(ctx); err != nil {
			n.log.Warn("not left cleanly", "error", err)
		}
	})
}
