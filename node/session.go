package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

const (
	// silenceLimit: a leader acknowledges reports, so one that says nothing for so
	// long hangs, or the network does.
	silenceLimit = 2 * time.Second
	reportEvery  = time.Second
	reportDelay  = 20 * time.Millisecond // changes that follow each other go together
	maxPending   = 64                    // shapes of waiting demand in a report
)

// changed has the next report sent soon.
func (n *Node) changed() {
	select {
	case n.report <- struct{}{}:
	default:
	}
}

// errElsewhere says that another head leads, and is known.
var errElsewhere = errors.New("another head leads")

// runSession keeps a session with the leader, for ever.
func (n *Node) runSession() {
	followed, said := false, "" // the last head's word on who leads; the last failure
	for wait := rpc.RetryFirst; ; {
		held, err := n.session()
		if n.ctx.Err() != nil {
			return
		}
		if isDeclaredDead(err) {
			n.die(ErrDeclaredDead)
			return
		}
		if followed = !followed && errors.Is(err, errElsewhere); followed {
			continue
		}
		if text := err.Error(); held || text != said {
			said = text
			n.log.Warn("session with the head ended", "error", err)
		}
		if held {
			wait = rpc.RetryFirst
		}
		if !n.pause(wait/2 + rand.N(wait/2)) {
			return
		}
		wait = min(2*wait, retryMost)
	}
}

// isDeclaredDead reports whether the head doesn't have this node among the
// living any more.
func isDeclaredDead(err error) bool {
	switch status.Code(err) {
	case codes.NotFound, codes.FailedPrecondition:
		return true
	}
	return false
}

// register gives the node its number, or confirms it.
func (n *Node) registerNode(ctx context.Context) (*proto.RegisterNodeReply, error) {
	n.mu.Lock()
	info := n.infoLocked()
	n.mu.Unlock()
	var reply *proto.RegisterNodeReply
	err := attempt(ctx, func(ctx context.Context) (err error) {
		reply, err = n.head.control.RegisterNode(ctx, &proto.RegisterNodeRequest{Instance: n.instance, Id: uint32(n.id), Node: info})
		return err
	})
	if err != nil {
		return nil, err
	}
	n.fence.measure(time.Duration(reply.LeaseMs) * time.Millisecond)
	n.learnHeads(reply.Heads)
	return reply, nil
}

// learnHeads takes the addresses of the cluster's heads.
func (n *Node) learnHeads(addresses []string) {
	if n.head.learn(addresses) && n.cfg.OnHeads != nil {
		n.cfg.OnHeads(n.head.heads())
	}
}

// session runs one session to its end. held: the head has acknowledged a report,
// so it was the leader.
func (n *Node) session() (held bool, err error) {
	if n.resume {
		reply, err := n.registerNode(n.ctx)
		if err != nil {
			return false, fmt.Errorf("register again: %w", err)
		}
		if reply.Id != uint32(n.id) {
			return false, status.Errorf(codes.NotFound, "the head gave the number %d instead of %d", reply.Id, n.id)
		}
	}
	n.resume = true
	l, err := n.head.take(nil)
	if err != nil {
		return false, err
	}
	defer n.head.release(l)
	ctx, cancel := l.bind(n.ctx)
	defer cancel()
	stream, err := proto.NewControlClient(l).Session(ctx)
	if err != nil {
		return false, err
	}
	silence := time.AfterFunc(silenceLimit, func() { n.head.abandon(l) })
	defer silence.Stop()
	sent := newSentReports()
	first := n.firstReport()
	first.Number = sent.next()
	if stream.Send(first) == nil { // else the receiving side has the reason
		done := make(chan struct{})
		n.spawn(func() {
			defer close(done)
			n.sendReports(ctx, stream, sent)
		})
		defer func() { cancel(); <-done }()
	}
	for {
		o, err := stream.Recv()
		if err != nil {
			return held, sessionError(n.ctx, l, stream.Trailer(), err)
		}
		silence.Reset(silenceLimit)
		if r := o.GetLeaseRenewed(); r != nil {
			if at, ok := sent.acknowledged(r.Report); ok {
				n.fence.renew(at)
				held = true
			}
			continue
		}
		n.order(o)
	}
}

// sessionError is why a session with a head has ended.
func sessionError(ctx context.Context, l *line, trailer metadata.MD, err error) error {
	if l.ctx.Err() != nil {
		return fmt.Errorf("the head at %s has said nothing for %v", l.address, silenceLimit)
	}
	err = l.heard(ctx, trailer, err)
	if leader := leaderIn(trailer); mayRetry(err) && leader != "" && leader != l.address {
		return fmt.Errorf("%w, at %s: %w", errElsewhere, leader, err)
	}
	return err
}

func (n *Node) sendReports(
	ctx context.Context, stream grpc.BidiStreamingClient[proto.NodeReport, proto.NodeOrder], sent *sentReports,
) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	delay := time.NewTimer(time.Hour)
	defer delay.Stop()
	var last *proto.NodeInfo
	changed := n.report // nil while a report is on its way
	for {
		due := false
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			due = true
		case <-changed:
			delay.Reset(reportDelay)
			changed = nil
			continue
		case <-delay.C:
			changed = n.report
		case <-n.bundles.answered: // at once: a placement group waits
			n.mu.Lock()
			r := &proto.NodeReport{Node: uint32(n.id), Bundles: n.takeBundleAnswersLocked()}
			n.mu.Unlock()
			r.Number = sent.next()
			if stream.Send(r) != nil {
				return
			}
			continue
		}
		n.mu.Lock()
		r := &proto.NodeReport{Node: uint32(n.id), Info: n.infoLocked()}
		n.mu.Unlock()
		if due {
			r.Load = n.load()
		}
		if !due && protobuf.Equal(last, r.Info) {
			continue
		}
		last = r.Info
		r.Number = sent.next()
		if stream.Send(r) != nil {
			return // the receiving side has the reason
		}
	}
}

// firstReport tells a leader what runs here.
func (n *Node) firstReport() *proto.NodeReport {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := &proto.NodeReport{Node: uint32(n.id), Info: n.infoLocked()}
	for id, j := range n.jobs {
		if (j.driver != nil || j.submitted != nil) && !j.ended {
			r.Jobs = append(r.Jobs, uint32(id))
		}
	}
	for id, a := range n.actors {
		r.Actors = append(r.Actors, &proto.ActorRef{Id: id.Bytes(), Incarnation: a.incarnation})
	}
	r.Bundles = n.heldBundlesLocked()
	return r
}

// infoLocked describes the node as it is now.
func (n *Node) infoLocked() *proto.NodeInfo {
	info := &proto.NodeInfo{
		Id: uint32(n.id), Address: n.address, Total: &proto.Resources{Quantity: n.ledger.Total()},
		Available: &proto.Resources{Quantity: n.ledger.Available()}, Labels: n.cfg.Labels, Hostname: n.hostname, Ip: n.cfg.IP,
		Alive: true, Head: n.cfg.IsHead, Platform: platform, ObjectStoreCapacity: n.cfg.StoreBytes,
		ObjectStoreUsed: n.store.Usage().Used, StartedUnixMs: n.started.UnixMilli(), Pid: int32(n.pid),
		Bundled: &proto.Resources{Quantity: n.ledger.Bundled()}, BundleRoom: n.bundles.room,
	}
	for _, p := range n.processes {
		if p.worker {
			info.Workers++
		}
	}
	for job, used := range n.ledger.ByJob() {
		info.Jobs = append(info.Jobs, &proto.JobUse{Job: uint32(job), Used: &proto.Resources{Quantity: maps.Clone(used)}})
	}
	slices.SortFunc(info.Jobs, func(a, b *proto.JobUse) int { return cmp.Compare(a.Job, b.Job) })
	byShape, now := map[string]*proto.PendingDemand{}, time.Now()
	for _, d := range n.queue.Waiting() {
		key := fmt.Sprintf("%d|%s", d.Job, d.Shape)
		if m := byShape[key]; m != nil {
			m.Count += uint32(d.Open())
			continue
		}
		if len(byShape) == maxPending {
			break
		}
		s, _ := d.Strategy.(*proto.Strategy)
		m := &proto.PendingDemand{
			Resources: &proto.Resources{Quantity: d.Resources}, Strategy: s, Count: uint32(d.Open()), Job: uint32(d.Job),
			Reason: n.book.Why(d, now), Infeasible: d.Never, What: "tasks", Weight: n.jobs[d.Job].weight(),
		}
		byShape[key] = m
		info.Pending = append(info.Pending, m)
	}
	return info
}

// order carries out what the head orders.
func (n *Node) order(o *proto.NodeOrder) {
	switch b := o.Body.(type) {
	case *proto.NodeOrder_View:
		n.learnHeads(b.View.GetHeads())
		n.mu.Lock()
		before := n.view.nodes
		n.peers.learn(b.View.GetNodes())
		n.learnLocked(b.View)
		n.showDrainingLocked(before)
		n.mu.Unlock()
	case *proto.NodeOrder_StartDriver:
		if b.StartDriver.GetJob() != nil {
			n.startDriver(b.StartDriver.Job)
		}
	case *proto.NodeOrder_StopDriver:
		n.stopDriver(ids.JobID(b.StopDriver.GetJob()), b.StopDriver.GetForce())
	case *proto.NodeOrder_JobEnded:
		n.endJob(ids.JobID(b.JobEnded.GetJob()), "its job has ended")
	case *proto.NodeOrder_StartActor:
		n.startActor(b.StartActor)
	case *proto.NodeOrder_StopActor:
		n.stopActor(b.StopActor)
	case *proto.NodeOrder_ReserveBundle:
		n.reserveBundle(b.ReserveBundle)
	case *proto.NodeOrder_ReleaseBundle:
		n.releaseBundle(b.ReleaseBundle)
	case *proto.NodeOrder_Drain:
		n.startDraining(b.Drain)
	case *proto.NodeOrder_Notice:
		n.noticeFor(b.Notice)
	case *proto.NodeOrder_NodeDead:
		n.nodeDead(ids.NodeID(b.NodeDead.GetNode()), b.NodeDead.GetCause())
	}
}
