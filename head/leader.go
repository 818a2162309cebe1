package head

import (
	"context"
	"sync"
	"time"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
)

const (
	tickEvery = 250 * time.Millisecond
	// stalled: if this head didn't run for so long, silence says nothing about nodes.
	stalled = time.Second
)

// leader is what the leading head knows without Raft: who is connected, what
// nodes have free, what waits for a place. One goroutine (run) acts on events.
type leader struct {
	h    *Head
	wake chan struct{}

	mu       sync.Mutex
	leads    bool
	members  map[uint32]*member
	actors   actorQueue
	jobs     []waitingJob
	placed   map[string]uint32
	missing  []missing
	groups   groups
	seed     uint64 // of decisions
	version  uint64 // of the view
	dirty    bool   // the view has changed since it was sent
	viewSent time.Time
	lastTick time.Time
	moved    time.Time // when draining nodes were looked at last
}

// member is a node that isn't dead.
type member struct {
	id      uint32
	info    *proto.NodeInfo // as last reported
	heard   time.Time
	reports uint64
	dying   bool // its death is being committed: nothing renews its lease
	session *session
	held    map[string]*proto.Resources // for actors that were placed and aren't there yet
	load    *proto.NodeLoad             // nil: it hasn't said
	bundled sched.Resources             // of the bundles that are, or are to be, there

	draining *proto.Draining
}

func newLeader(h *Head) *leader {
	return &leader{h: h, wake: make(chan struct{}, 1), actors: newActorQueue(), groups: newGroups()}
}

// begin takes over: everybody who was alive has a lease to come back.
func (l *leader) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hangUpLocked(asStatus(ErrNoLeader)) // an end that came and went unnoticed
	start := time.Now()
	l.leads, l.members, l.placed = true, map[uint32]*member{}, map[string]uint32{}
	l.actors, l.jobs, l.missing, l.groups = newActorQueue(), nil, nil, newGroups()
	l.version, l.dirty, l.lastTick = uint64(start.UnixNano()), true, start
	l.h.replica.takeEvents() // the state has it all
	var waits []string
	l.h.replica.read(func(s *fsm.State) {
		for _, n := range s.Nodes() {
			if n.Info.Alive {
				l.members[n.Info.Id] = newMember(n.Info, start)
			}
		}
		for _, j := range s.Jobs() {
			if !j.Over() && j.Node == 0 {
				l.jobs = append(l.jobs, waitingJob{id: j.Spec.Id})
			}
		}
		for _, a := range s.LiveActors(func(a *fsm.Actor) bool { return !a.Alive() }) {
			if a.Node == 0 {
				waits = append(waits, string(a.Spec.Id))
			} else {
				l.holdLocked(a)
			}
		}
	})
	l.beginGroupsLocked()
	for _, id := range waits {
		l.queueLocked(id, 0)
	}
}

func newMember(info *proto.NodeInfo, heard time.Time) *member {
	return &member{id: info.Id, info: info, heard: heard, held: map[string]*proto.Resources{}, draining: info.Draining}
}

// end gives up: another head leads, or none.
func (l *leader) end(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leads = false
	l.h.replica.watch.notify(lead{})
	l.hangUpLocked(asStatus(why))
	l.members, l.jobs, l.missing, l.actors, l.groups = nil, nil, nil, newActorQueue(), newGroups()
}

// lead is the key of watchers who wait for the leader's end.
type lead struct{}

func (l *leader) isLeading() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leads
}

// hangUpLocked ends all sessions: their nodes come again.
func (l *leader) hangUpLocked(why error) {
	for _, m := range l.members {
		if m.session != nil {
			m.session.end(why)
		}
	}
}

// changed has the view sent: something has changed besides nodes.
func (l *leader) changed() {
	l.mu.Lock()
	l.dirty = true
	l.mu.Unlock()
	l.poke()
}

// poke has the leader look for work.
func (l *leader) poke() { wake(l.wake) }

// run acts on events, places what waits, sends the view, and watches leases.
func (l *leader) run(ctx context.Context) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	view := time.NewTimer(0)
	defer view.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.h.replica.signal:
		case <-l.wake:
		case <-view.C:
		case <-tick.C:
			l.tick(time.Now())
			l.leaveNodes(time.Now())
		}
		for _, e := range l.h.replica.takeEvents() {
			l.handle(e)
		}
		l.placeJobs()
		l.placeGroups()
		l.placeActors()
		if wait := l.sendView(time.Now()); wait > 0 {
			view.Reset(wait)
		}
	}
}

// handle acts on one event.
func (l *leader) handle(e fsm.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.leads {
		return
	}
	switch e.Kind {
	case fsm.NodeAdded:
		l.nodeAddedLocked(e.Node)
	case fsm.NodeGone:
		l.nodeGoneLocked(e)
	case fsm.NodeDrains:
		l.nodeDrainsLocked(e.Node)
	case fsm.JobWaits:
		l.jobs = append(l.jobs, waitingJob{id: e.Job})
	case fsm.JobPlaced:
		l.startDriverLocked(e.Job)
	case fsm.JobStops:
		l.orderLocked(e.Node, &proto.NodeOrder{Body: &proto.NodeOrder_StopDriver{StopDriver: &proto.StopDriver{Job: e.Job}}})
	case fsm.JobOver:
		l.broadcastLocked(jobEnded(e.Job))
	case fsm.JobStray:
		l.orderLocked(e.Node, jobEnded(e.Job))
	case fsm.ActorWaits, fsm.ActorPlaced, fsm.ActorStops, fsm.ActorChanged:
		l.handleActorLocked(e)
	case fsm.GroupWaits, fsm.GroupPlaced, fsm.BundleReleased, fsm.GroupChanged:
		l.handleGroupLocked(e)
	}
}

func (l *leader) handleActorLocked(e fsm.Event) {
	switch e.Kind {
	case fsm.ActorWaits:
		l.releaseLocked(e.Actor)
		l.queueLocked(e.Actor, e.Node)
	case fsm.ActorPlaced:
		l.startActorLocked(e.Actor)
	case fsm.ActorStops:
		l.orderLocked(e.Node, stopActor(e.Actor, e.Incarnation, e.Text))
	case fsm.ActorChanged:
		if a := l.actorRecord(e.Actor); a == nil || a.Alive() || a.Dead() {
			l.releaseLocked(e.Actor)
			l.actors.drop(e.Actor)
			delete(l.groups.refused, e.Actor)
		}
	}
}

func (l *leader) actorRecord(id string) *fsm.Actor {
	var a *fsm.Actor
	l.h.replica.read(func(s *fsm.State) { a = s.Actor(id) })
	return a
}

func (l *leader) nodeAddedLocked(id uint32) {
	var n *fsm.Node
	l.h.replica.read(func(s *fsm.State) { n = s.Node(id) })
	if n == nil || !n.Info.Alive || l.members[id] != nil {
		return
	}
	l.members[id] = newMember(n.Info, time.Now())
	l.dirty = true
}

func (l *leader) nodeGoneLocked(e fsm.Event) {
	m := l.members[e.Node]
	delete(l.members, e.Node)
	l.dirty = true
	l.broadcastLocked(nodeDead(e.Node, e.Text))
	if m != nil && m.session != nil {
		m.session.end(problem(proto.Error_NODE_DIED, "this node was declared dead: %s", e.Text))
	}
	l.h.nodes.drop(e.Node)
	l.h.log.Warn("node is dead", "node", ids.NodeID(e.Node), "cause", e.Text)
}

// orderLocked sends an order to a node, if it's connected; else it gets what
// matters when it is.
func (l *leader) orderLocked(node uint32, o *proto.NodeOrder) {
	if m := l.members[node]; m != nil && m.session != nil {
		m.session.push(o)
	}
}

func (l *leader) broadcastLocked(o *proto.NodeOrder) {
	for _, m := range l.members {
		if m.session != nil {
			m.session.push(o)
		}
	}
}

func nodeDead(id uint32, cause string) *proto.NodeOrder {
	return &proto.NodeOrder{Body: &proto.NodeOrder_NodeDead{NodeDead: &proto.NodeDead{Node: id, Cause: cause}}}
}

func jobEnded(id uint32) *proto.NodeOrder {
	return &proto.NodeOrder{Body: &proto.NodeOrder_JobEnded{JobEnded: &proto.JobEnded{Job: id}}}
}

func stopActor(id string, incarnation uint32, reason string) *proto.NodeOrder {
	return &proto.NodeOrder{Body: &proto.NodeOrder_StopActor{
		StopActor: &proto.StopActor{Id: []byte(id), Incarnation: incarnation, Reason: reason},
	}}
}
