package node

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gray-runtime/gray/internal/errcode"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/objectstore"
	"github.com/gray-runtime/gray/proto"
)

const (
	evacuators = 4 // objects that leave at once
	// evacuateLate bounds it once the deadline has passed.
	evacuateLate = 5 * time.Second
	// adoptTries is how many nodes are asked to take one object.
	adoptTries = 3
)

// evacuate has other nodes take what this one's store alone has of others' objects. What
// its own processes own goes with them, unless it has replicas.
func (n *Node) evacuate(ctx context.Context) {
	places := make(chan struct{}, evacuators)
	var all sync.WaitGroup
	var moved, failed atomic.Int64
	for o := range n.store.List() {
		if !o.Sealed || o.Deleted || o.Copy || o.ID.Owner.Node == n.id || o.ID.Replicated() || n.refs.Dead(o.ID.Owner.Node) {
			continue
		}
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			if err := n.handOver(ctx, o); err != nil {
				failed.Add(1)
				n.log.Warn("an object isn't moved", "object", o.ID, "error", err)
				return
			}
			moved.Add(1)
		})
	}
	all.Wait()
	if moved.Load()+failed.Load() > 0 {
		n.log.Info("objects have moved", "moved", moved.Load(), "failed", failed.Load())
	}
}

// handOver has another node take one object, and tells its home.
func (n *Node) handOver(ctx context.Context, o objectstore.Info) error {
	err := fmt.Errorf("object %s: no other node has room for it", o.ID)
	for _, to := range n.adopters(o.Size) {
		var c proto.NodeClient
		if c, err = n.peers.client(to); err != nil {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, replicaTimeout+time.Duration(o.Size/replicaPace)*time.Second)
		_, err = c.Adopt(limited, &proto.AdoptRequest{Id: o.ID.Bytes(), Size: o.Size, From: uint32(n.id)})
		cancel()
		if err == nil {
			return n.tellHome(ctx, o.ID, to)
		}
	}
	return err
}

// adopters are nodes to take an object, the best first.
func (n *Node) adopters(size int64) []ids.NodeID {
	var out []ids.NodeID
	nodes := n.byRoom(size)
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, id := range nodes {
		if i := n.view.nodes[id]; i != nil && i.Draining == nil && len(out) < adoptTries {
			out = append(out, id)
		}
	}
	return out
}

func (n *Node) tellHome(ctx context.Context, id ids.ObjectID, to ids.NodeID) error {
	limited, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	c, err := n.peers.client(id.Owner.Node)
	if err == nil {
		_, err = c.Moved(limited, &proto.MovedRequest{Id: id.Bytes(), From: uint32(n.id), To: uint32(to)})
	}
	if err != nil {
		n.deletes.add(to, []ids.ObjectID{id})
		return fmt.Errorf("tell the home of object %s: %w", id, err)
	}
	return nil
}

// Adopt takes an object that a draining node has; this node answers for it from now on.
func (s *service) Adopt(ctx context.Context, r *proto.AdoptRequest) (*proto.Ack, error) {
	id, err := objectID(r.Id)
	if err != nil {
		return acked(err)
	}
	n := s.n
	ctx, stop := n.endWith(ctx)
	defer stop()
	n.mu.Lock()
	if n.draining != nil {
		err = fmt.Errorf("object %s: %s drains, too", id, n.id)
	}
	n.mu.Unlock()
	if err == nil {
		err = n.puller.Fetch(ctx, id, r.Size, []ids.NodeID{ids.NodeID(r.From)})
	}
	if err == nil && !n.store.Keep(id) {
		err = fmt.Errorf("object %s on %s: %w", id, n.id, errNotHere)
	}
	if err != nil {
		return nil, errcode.Status(storeProblem(err))
	}
	n.changed()
	return &proto.Ack{}, nil
}

// Moved tells the owner of an object of this home where it is now. If nobody knows it any
// more, who has taken it lets it go.
func (s *service) Moved(_ context.Context, r *proto.MovedRequest) (*proto.Ack, error) {
	id, err := objectID(r.Id)
	if err != nil {
		return acked(err)
	}
	n := s.n
	owner, known := n.refs.Moved(id, ids.NodeID(r.From), ids.NodeID(r.To))
	if !known {
		n.deletes.add(ids.NodeID(r.To), []ids.ObjectID{id})
		return &proto.Ack{}, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.processes[owner.Number]; p != nil && !owner.IsZero() && p.conn != nil {
		p.reach = true
		p.push(&proto.ToProcess{Body: &proto.ToProcess_ObjectMoved{ObjectMoved: r}})
	}
	return &proto.Ack{}, nil
}
