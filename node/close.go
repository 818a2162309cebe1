package node

import (
	"cmp"
	"context"
	"errors"
	"os"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/proto"
)

// leaveTimeout bounds the farewell to the head.
const leaveTimeout = 2 * time.Second

// die ends a node that can't go on; Done tells.
func (n *Node) die(cause error) {
	n.log.Error("the node ends, and all that runs on it", "cause", cause)
	n.mu.Lock()
	n.closing = true
	for _, p := range n.processes {
		p.kill("its node ended: " + cause.Error())
	}
	n.mu.Unlock()
	n.cancel(cause)
	n.endReport()
	n.finish()
}

func (n *Node) finish() { n.doneOnce.Do(func() { close(n.done) }) }

// Close ends what runs here, gently first, tells the head that the node leaves,
// and releases everything. When ctx ends first, what is left is killed.
func (n *Node) Close(ctx context.Context) error {
	n.closeOnce.Do(func() {
		n.drain(ctx)
		n.leave()
		n.release()
		n.finish()
	})
	return n.closeErr
}

// drain ends drivers, then everything.
func (n *Node) drain(ctx context.Context) {
	n.mu.Lock()
	n.closing = true
	var drivers, all []*process
	for _, p := range n.processes {
		all = append(all, p)
		if !p.worker && p.child != nil {
			drivers = append(drivers, p)
			if p.killed == "" {
				p.killed = "its node was stopped"
			}
		}
	}
	n.mu.Unlock()
	for _, p := range drivers {
		n.spawn(func() { p.child.end(stopGrace) })
	}
	for _, p := range drivers {
		select {
		case <-p.ctx.Done():
		case <-ctx.Done():
			p.child.end(0)
		}
	}
	for _, p := range all {
		n.mu.Lock()
		p.kill("its node closes")
		n.mu.Unlock()
	}
	for _, p := range all {
		<-p.ctx.Done()
	}
	n.flushReports(ctx)
}

// flushReports waits for the head to know what ended, as long as ctx allows and
// there is a head.
func (n *Node) flushReports(ctx context.Context) {
	for {
		left := n.ending.Load() > 0
		n.mu.Lock()
		for _, j := range n.jobs {
			left = left || j.submitted != nil // its end will be reported
		}
		n.mu.Unlock()
		n.reportMu.Lock()
		left = left || len(n.reports) > 0
		n.reportMu.Unlock()
		if !left || n.head.away() || !pause.For(ctx, 5*time.Millisecond) || n.ctx.Err() != nil {
			return
		}
	}
}

func (n *Node) leave() {
	if n.ctx.Err() != nil || n.id == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	n.mu.Lock()
	reason := cmp.Or(n.departure, "stopped")
	n.mu.Unlock()
	if _, err := n.head.control.LeaveNode(ctx, &proto.LeaveNodeRequest{Id: uint32(n.id), Reason: reason}); err != nil {
		n.log.Warn("leave the cluster", "error", err)
	}
}

// release lets go of whatever there is, also of a node that never started.
func (n *Node) release() {
	n.cancel(ErrClosed)
	n.endReport()
	if n.local != nil {
		n.local.Close()
	}
	if n.grpc != nil {
		n.grpc.Stop()
	}
	if n.scrapes != nil {
		n.scrapes.server.Close()
	}
	switch {
	case n.mux != nil:
		n.mux.Close()
	case n.network != nil:
		n.network.Close()
	}
	if n.streams != nil {
		n.streams.Close()
	}
	if n.puller != nil {
		n.puller.Close()
	}
	if n.refs != nil {
		n.refs.Close()
	}
	if n.peers != nil {
		n.peers.close()
	}
	if n.head != nil {
		n.head.close()
	}
	n.wg.Wait()
	if n.progress != nil {
		n.progress.close()
	}
	if n.spill != nil {
		n.closeErr = n.spill.Close()
	}
	if n.store != nil {
		n.closeErr = errors.Join(n.closeErr, n.store.Close())
	}
	_ = os.Remove(n.Socket())
}

// nodeDead is the head's word that another node is gone.
func (n *Node) nodeDead(id ids.NodeID, cause string) {
	if id == n.id {
		n.die(ErrDeclaredDead)
		return
	}
	n.log.Info("node died", "node", id, "cause", cause)
	n.peers.bury(id)
	n.streams.Bury(id)
	n.mu.Lock()
	delete(n.view.nodes, id)
	n.book.Bury(id)
	n.loseGroupsOnLocked(id)
	for _, l := range n.leases {
		if l.remote != nil && l.remote.node == id {
			n.leaseGoneLocked(l, &proto.WorkerDied{LastStarted: unknownTask, Error: nodeDied(id, "node %s died: %s", id, cause)})
			l.remote.abandon()
		}
	}
	for _, p := range n.processes {
		if p.conn != nil {
			p.push(&proto.ToProcess{Body: &proto.ToProcess_NodeDead{NodeDead: &proto.NodeDead{Node: uint32(id), Cause: cause}}})
		}
	}
	n.scheduleLocked()
	n.failLostLocked(0)
	n.mu.Unlock()
	except := n.refs.NodeDied(id)
	n.dropNode(id, except)
}
