package node

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

// refPeers is how the directory of references speaks to others (refs.Peers).
type refPeers struct{ n *Node }

const (
	peerTimeout = 10 * time.Second
	// dropFanout bounds how many nodes are told at once that a process is gone.
	dropFanout = 16
)

func (r refPeers) Borrow(ctx context.Context, home ids.NodeID, seq uint64, objects []ids.ObjectID) error {
	return r.request(ctx, home, seq, objects, proto.NodeClient.Borrow)
}

func (r refPeers) Unborrow(ctx context.Context, home ids.NodeID, seq uint64, objects []ids.ObjectID) error {
	return r.request(ctx, home, seq, objects, proto.NodeClient.Unborrow)
}

func (r refPeers) request(ctx context.Context, home ids.NodeID, seq uint64, objects []ids.ObjectID, call borrowCall) error {
	c, err := r.n.peers.client(home)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	_, err = call(c, ctx, &proto.BorrowRequest{Node: uint32(r.n.id), Seq: seq, Ids: rawIDs(objects)})
	return err
}

func (r refPeers) Resolve(ctx context.Context, home ids.NodeID, object ids.ObjectID, lostOn []ids.NodeID) (*proto.ObjectState, error) {
	c, err := r.n.peers.client(home)
	if err != nil {
		return nil, err
	}
	return c.Resolve(ctx, &proto.ResolveRequest{Id: object.Bytes(), LostOn: ids.Numbers(lostOn)})
}

func (r refPeers) Wanted(owner ids.ProcessID, object ids.ObjectID, lostOn []ids.NodeID) bool {
	p := r.n.living(owner)
	if p == nil {
		return false
	}
	p.push(&proto.ToProcess{Body: &proto.ToProcess_WantedObject{WantedObject: &proto.WantedObject{
		Id: object.Bytes(), LostOn: ids.Numbers(lostOn),
	}}})
	return true
}

func (r refPeers) Drop(owner ids.ProcessID, objects []ids.ObjectID) {
	if p := r.n.living(owner); p != nil {
		p.push(&proto.ToProcess{Body: &proto.ToProcess_DropObjects{DropObjects: &proto.DropObjects{Ids: rawIDs(objects)}}})
	}
}

func (r refPeers) DeleteStored(node ids.NodeID, objects []ids.ObjectID) {
	r.n.deleteStored(node, objects)
}

func (r refPeers) Unreferenced(actors []ids.ActorID) { r.n.releaseActors(actors) }

// living returns a process of this node, or nil when it is gone.
func (n *Node) living(id ids.ProcessID) *process {
	if id.Node != n.id {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.processes[id.Number]
}

// deleteStored deletes objects from a node's store, as long as it lives.
func (n *Node) deleteStored(node ids.NodeID, objects []ids.ObjectID) {
	if node == n.id {
		n.deleteHere(objects)
		return
	}
	n.tell(n.ctx, node, func(ctx context.Context, c proto.NodeClient) error {
		_, err := c.DeleteObjects(ctx, &proto.DeleteObjectsRequest{Ids: rawIDs(objects), From: uint32(n.id)})
		return err
	})
}

// tell calls another node until it answers or is dead.
func (n *Node) tell(ctx context.Context, node ids.NodeID, call func(context.Context, proto.NodeClient) error) {
	for wait := rpc.RetryFirst; ctx.Err() == nil; wait = min(2*wait, rpc.RetryMost) {
		c, err := n.peers.clientSoon(ctx, node)
		if err != nil {
			return
		}
		cctx, cancel := context.WithTimeout(ctx, peerTimeout)
		err = call(cctx, c)
		cancel()
		if err == nil || !mayRetry(err) {
			return
		}
		if !n.pause(wait) {
			return
		}
	}
}

// dropElsewhere tells the other nodes that a process has ended, so that they
// delete what it had in their stores.
func (n *Node) dropElsewhere(p ids.ProcessID, except []ids.ObjectID) {
	req := &proto.DropProcessRequest{Node: uint32(p.Node), Process: p.Number, Except: rawIDs(except)}
	room := make(chan struct{}, dropFanout)
	var all sync.WaitGroup
	for _, node := range n.peers.alive() {
		if node == n.id {
			continue
		}
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			ctx, cancel := context.WithTimeout(n.ctx, 30*time.Second)
			defer cancel()
			n.tell(ctx, node, func(ctx context.Context, c proto.NodeClient) error {
				_, err := c.DropProcess(ctx, req)
				return err
			})
		})
	}
	all.Wait()
}

type borrowCall = func(c proto.NodeClient, ctx context.Context, r *proto.BorrowRequest, opts ...grpc.CallOption) (*proto.Ack, error)
