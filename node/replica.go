package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gray-runtime/gray/internal/errcode"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/node/refs"
	"github.com/gray-runtime/gray/proto"
)

const (
	// maxReplicas bounds on how many nodes an object can be.
	maxReplicas = 16
	// A node may take replicaTimeout to get a replica, and a second more for each
	// replicaPace bytes.
	replicaTimeout = 15 * time.Second
	replicaPace    = 8 << 20
)

// A tooFewError says that fewer nodes than asked for could take an object.
type tooFewError struct {
	object  ids.ObjectID
	asked   int
	nodes   []ids.NodeID // that could
	refused []string     // why others couldn't
}

func (e *tooFewError) Error() string {
	names := make([]string, len(e.nodes))
	for i, n := range e.nodes {
		names[i] = n.String()
	}
	s := fmt.Sprintf("object %s was to be on %d nodes, but only %d could have it: %s", e.object, e.asked, len(e.nodes), strings.Join(names, ", "))
	if len(e.refused) > 0 {
		s += "; not " + strings.Join(e.refused, ", nor ")
	}
	return s
}

// replicate answers a process that wants an object of its own to be on several nodes.
func (r *reader) replicate(call uint64, m *proto.ReplicateObject) error {
	n, p := r.n, r.p
	id, err := objectID(m.GetState().GetId())
	if err != nil {
		return err
	}
	if id.Owner != p.id || !id.Replicated() || m.State.GetStored() == nil || m.Nodes < 2 || m.Nodes > maxReplicas {
		return fmt.Errorf("%w: %s replicates object %s on %d nodes", ErrBadFrame, p.name(), id, m.Nodes)
	}
	// An entry from now on: should the process let go of the object before it's
	// published, the publication finds none and has it deleted.
	if _, err := n.refs.BorrowBy(p.id, id); err != nil {
		r.done(call, err)
		return nil
	}
	r.call(call, func(ctx context.Context) *proto.ToProcess {
		state, err := n.replicate(ctx, p, id, m.State, int(m.Nodes))
		if err != nil {
			return errorFrame(replicaProblem(err))
		}
		return &proto.ToProcess{Body: &proto.ToProcess_ObjectState{ObjectState: state}}
	})
	return nil
}

func replicaProblem(err error) *proto.Error {
	e := asProblem(err)
	var few *tooFewError
	if errors.As(err, &few) {
		e.Kind = proto.Error_NOT_REPLICATED
	}
	return e
}

// replicate has other nodes take an object that is in this node's store, and
// publishes it once they have.
func (n *Node) replicate(ctx context.Context, p *process, id ids.ObjectID, s *proto.ObjectState, nodes int) (*proto.ObjectState, error) {
	size := s.GetStored().GetSize()
	req := &proto.ReplicateRequest{Id: s.GetId(), Size: size, Job: n.jobOf(p), Contains: s.GetContains()}
	candidates := n.replicaNodes(ctx, size, nodes-1)
	failed := &tooFewError{object: id, asked: nodes}
	var heirs []ids.NodeID
	for missing := nodes - 1; missing > 0; missing = nodes - 1 - len(heirs) {
		if missing > len(candidates) || ctx.Err() != nil {
			failed.nodes = append(append([]ids.NodeID{n.id}, heirs...), candidates...)
			for _, h := range heirs {
				n.deletes.add(h, []ids.ObjectID{id})
			}
			return nil, failed
		}
		// All are asked, also who has it: each has to know the others.
		heirs = append(heirs, candidates[:missing]...)
		candidates = candidates[missing:]
		req.Heirs = ids.Numbers(heirs)
		errs := n.askHeirs(ctx, heirs, req)
		var have []ids.NodeID
		for i, h := range heirs {
			if errs[i] == nil {
				have = append(have, h)
				continue
			}
			n.deletes.add(h, []ids.ObjectID{id})
			failed.refused = append(failed.refused, fmt.Sprintf("%s: %s", h, asProblem(errs[i]).GetMessage()))
		}
		heirs = have
	}
	state := &proto.ObjectState{Id: s.GetId(), Contains: s.GetContains(), Body: &proto.ObjectState_Stored{
		Stored: &proto.Stored{Size: size, Nodes: ids.Numbers(append([]ids.NodeID{n.id}, heirs...))},
	}}
	wait, err := n.refs.Publish(p.id, state)
	if err == nil {
		err = wait.Wait(ctx)
	}
	if err != nil {
		return nil, err // the process is gone, and all that it had goes
	}
	return state, nil
}

// jobOf is the job with whose end p's objects go: none if p is a detached actor.
func (n *Node) jobOf(p *process) uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.job == nil || p.actor != nil && p.actor.spec.GetDetached() {
		return 0
	}
	return uint32(p.job.id)
}

// askHeirs asks nodes at once to take a replica, and returns the error of each.
func (n *Node) askHeirs(ctx context.Context, heirs []ids.NodeID, req *proto.ReplicateRequest) []error {
	ctx, cancel := context.WithTimeout(ctx, replicaTimeout+time.Duration(req.Size/replicaPace)*time.Second)
	defer cancel()
	errs := make([]error, len(heirs))
	var all sync.WaitGroup
	for i, h := range heirs {
		all.Go(func() {
			client, err := n.peers.client(h)
			if err == nil {
				_, err = client.Replicate(ctx, req)
			}
			errs[i] = err
		})
	}
	all.Wait()
	return errs
}

// replicaNodes returns the other nodes, those with the most room first; about
// equal ones in random order. It waits a little for as many as are needed: the
// view of a young cluster may lack some.
func (n *Node) replicaNodes(ctx context.Context, size int64, need int) []ids.NodeID {
	ctx, cancel := context.WithTimeout(ctx, viewWait)
	defer cancel()
	for {
		n.peers.mu.Lock()
		news := n.peers.news
		n.peers.mu.Unlock()
		nodes := n.byRoom(size)
		if len(nodes) >= need {
			return nodes
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nodes
		}
	}
}

func (n *Node) byRoom(size int64) []ids.NodeID {
	n.mu.Lock()
	defer n.mu.Unlock()
	var nodes []ids.NodeID
	room := map[ids.NodeID]int64{} // of its store, in sixteenths; -1 if there's too little
	for id, i := range n.view.nodes {
		if id == n.id {
			continue
		}
		nodes = append(nodes, id)
		free := i.GetObjectStoreCapacity() - i.GetObjectStoreUsed()
		if room[id] = -1; free >= size {
			room[id] = 16 * free / max(i.GetObjectStoreCapacity(), 1)
		}
	}
	rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	slices.SortStableFunc(nodes, func(a, b ids.NodeID) int { return cmp.Compare(room[b], room[a]) })
	return nodes
}

// Replicate takes a replica of another node's object.
func (s *service) Replicate(ctx context.Context, r *proto.ReplicateRequest) (*proto.Ack, error) {
	id, err := objectID(r.Id)
	if err != nil {
		return acked(err)
	}
	contains, err := objectIDs(r.Contains)
	if err != nil {
		return acked(err)
	}
	ctx, stop := s.n.endWith(ctx)
	defer stop()
	err = s.n.takeReplica(ctx, id, refs.Replica{Size: r.Size, Job: ids.JobID(r.Job), Heirs: nodeIDs(r.Heirs), Contains: contains})
	if err != nil {
		return nil, errcode.Status(storeProblem(err))
	}
	return &proto.Ack{}, nil
}

func (n *Node) takeReplica(ctx context.Context, id ids.ObjectID, r refs.Replica) error {
	home := id.Owner.Node
	if err := n.puller.Fetch(ctx, id, r.Size, []ids.NodeID{home}); err != nil {
		return err
	}
	wait, err := n.refs.Enlist(ctx, id, r)
	if err == nil {
		err = wait.Wait(ctx)
	}
	switch {
	case err != nil:
	case n.jobEnded(r.Job): // perhaps before the directory knew that it has something of the job's
		err = ErrJobEnded
	case !n.store.Keep(id):
		err = fmt.Errorf("object %s on %s: %w", id, n.id, errNotHere)
	}
	switch {
	case err == nil:
		n.changed()
	case errors.Is(err, refs.ErrNodeDead):
		n.store.Discard(id) // the node's death has been dealt with
	default:
		n.deleteHere(n.refs.Dismissed(home, []ids.ObjectID{id}))
	}
	return err
}

func (n *Node) jobEnded(id ids.JobID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return id != 0 && n.endedJobs.has(id)
}

func (s *service) Heirs(ctx context.Context, r *proto.HeirsRequest) (*proto.HeirsReply, error) {
	objects, err := objectIDs(r.Ids)
	if err != nil {
		return nil, errcode.Status(asProblem(err))
	}
	ctx, stop := s.n.endWith(ctx)
	defer stop()
	for _, id := range objects {
		s.n.hearOf(id.Owner.Node)
	}
	heirs, err := s.n.refs.Heirs(ctx, objects)
	if err != nil {
		return nil, errcode.Status(asProblem(err))
	}
	reply := &proto.HeirsReply{Objects: make([]*proto.Heirs, len(heirs))}
	for i, h := range heirs {
		reply.Objects[i] = &proto.Heirs{Nodes: ids.Numbers(h)}
	}
	return reply, nil
}

func (s *service) Settled(ctx context.Context, r *proto.SettledRequest) (*proto.Ack, error) {
	ctx, stop := s.n.endWith(ctx)
	defer stop()
	dead := nodeIDs(r.Dead)
	for _, d := range dead {
		s.n.hearOf(d)
	}
	return acked(s.n.refs.Settled(ctx, dead))
}

// hearOf takes it that a node is dead which died before this one joined: no order
// will say so.
func (n *Node) hearOf(node ids.NodeID) {
	if _, err := n.peers.address(node); errors.Is(err, refs.ErrNoNode) && !n.refs.Dead(node) {
		n.refs.NodeDied(node) // what it owned, this node never stored unheld
	}
}

func (r refPeers) Seek(ctx context.Context, objects []ids.ObjectID) ([][]ids.NodeID, error) {
	var mu sync.Mutex
	order, have := make([][]uint32, len(objects)), make([][]ids.NodeID, len(objects))
	err := r.n.everyone(ctx, func(ctx context.Context, node ids.NodeID, c proto.NodeClient) error {
		reply, err := c.Heirs(ctx, &proto.HeirsRequest{Ids: rawIDs(objects)})
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for i, h := range reply.Objects[:min(len(reply.Objects), len(objects))] {
			if len(h.GetNodes()) > 0 {
				order[i], have[i] = h.Nodes, append(have[i], node)
			}
		}
		return nil
	})
	for i, nodes := range have {
		slices.SortFunc(nodes, func(a, b ids.NodeID) int {
			return cmp.Compare(slices.Index(order[i], uint32(a)), slices.Index(order[i], uint32(b)))
		})
	}
	return have, err
}

func (r refPeers) Settled(ctx context.Context, dead []ids.NodeID) error {
	if !pause.For(ctx, viewWait) { // so that this node's view has every node that borrowed something of theirs
		return context.Cause(ctx)
	}
	return r.n.everyone(ctx, func(ctx context.Context, _ ids.NodeID, c proto.NodeClient) error {
		_, err := c.Settled(ctx, &proto.SettledRequest{Dead: ids.Numbers(dead)})
		return err
	})
}

// everyone calls each other living node until it has answered or is dead.
func (n *Node) everyone(ctx context.Context, call func(context.Context, ids.NodeID, proto.NodeClient) error) error {
	room := make(chan struct{}, dropFanout)
	var all sync.WaitGroup
	for _, node := range n.peers.alive() {
		if node == n.id {
			continue
		}
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			for ctx.Err() == nil {
				c, err := n.peers.client(node)
				if errors.Is(err, refs.ErrNoNode) {
					n.refs.NodeDied(node) // before the directory counts on everyone's answer
					return
				}
				if err == nil {
					cctx, cancel := context.WithTimeout(ctx, peerTimeout)
					err = call(cctx, node, c)
					cancel()
				}
				if err == nil || !pause.For(ctx, 100*time.Millisecond) {
					return
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}
