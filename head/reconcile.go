package head

import (
	"slices"
	"time"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/proto"
)

const (
	// missingGrace is how long the report of an end may be behind a session's
	// first report, which doesn't have what has ended any more.
	missingGrace = 2 * time.Second
	// settled is how old a start must be for its absence to mean its end.
	settled = 3 * time.Second
	// repeated is how many of the latest ends a node that comes back is told of.
	repeated = 200
)

// missing is something that a node should run and doesn't.
type missing struct {
	due         time.Time
	node        uint32
	job         uint32 // its driver; or
	actor       string
	incarnation uint32
}

// reconcileLocked compares what a node runs, as its session begins, with what
// it should: orders make up for those that it missed.
func (l *leader) reconcileLocked(m *member, first *proto.NodeReport) {
	l.h.replica.read(func(s *fsm.State) {
		l.reconcileJobsLocked(s, m, first)
		l.reconcileActorsLocked(s, m, first)
		l.repeatEndsLocked(s, m)
	})
	l.reconcileBundlesLocked(m, first)
}

func (l *leader) reconcileJobsLocked(s *fsm.State, m *member, first *proto.NodeReport) {
	due := time.Now().Add(missingGrace)
	for _, id := range first.Jobs {
		if j := s.Job(id); j == nil || j.Over() || j.Node != m.id {
			m.session.push(jobEnded(id))
		}
	}
	for _, j := range s.Jobs() {
		if j.Over() || j.Node != m.id {
			continue
		}
		runs := slices.Contains(first.Jobs, j.Spec.Id)
		switch {
		case !runs && j.Status == fsm.Pending:
			m.session.push(&proto.NodeOrder{Body: &proto.NodeOrder_StartDriver{StartDriver: &proto.StartDriver{Job: j.Spec}}})
		case !runs && old(j.StartedMs):
			l.missing = append(l.missing, missing{due: due, node: m.id, job: j.Spec.Id})
		}
		if j.Stopping {
			m.session.push(&proto.NodeOrder{Body: &proto.NodeOrder_StopDriver{StopDriver: &proto.StopDriver{Job: j.Spec.Id}}})
		}
	}
}

func old(startedMs int64) bool { return now()-startedMs > settled.Milliseconds() }

func (l *leader) reconcileActorsLocked(s *fsm.State, m *member, first *proto.NodeReport) {
	due := time.Now().Add(missingGrace)
	runs := map[string]uint32{}
	for _, r := range first.Actors {
		id := string(r.Id)
		runs[id] = r.Incarnation
		a := s.Actor(id)
		if a == nil || a.Dead() || a.Node != m.id || a.Incarnation != r.Incarnation {
			m.session.push(stopActor(id, r.Incarnation, "it isn't the actor's current process"))
		}
	}
	for _, a := range s.LiveActors(func(a *fsm.Actor) bool { return a.Node == m.id }) {
		id := string(a.Spec.Id)
		switch {
		case runs[id] == a.Incarnation:
		case !a.Alive():
			m.session.push(l.startActorOrder(s, a))
		case old(a.StartedMs):
			l.missing = append(l.missing, missing{due: due, node: m.id, actor: id, incarnation: a.Incarnation})
		}
	}
}

// repeatEndsLocked tells of jobs and nodes that ended while the node was away.
func (l *leader) repeatEndsLocked(s *fsm.State, m *member) {
	since := m.info.StartedUnixMs - 60_000 // clocks differ
	jobs := slices.DeleteFunc(s.Jobs(), func(j *fsm.Job) bool { return !j.Over() || j.EndedMs < since })
	slices.SortFunc(jobs, func(a, b *fsm.Job) int { return int(a.EndedMs - b.EndedMs) })
	for _, j := range jobs[max(0, len(jobs)-repeated):] {
		m.session.push(jobEnded(j.Spec.Id))
	}
	nodes := slices.DeleteFunc(s.Nodes(), func(n *fsm.Node) bool { return n.Info.Alive || n.Info.EndedUnixMs < since })
	slices.SortFunc(nodes, func(a, b *fsm.Node) int { return int(a.Info.EndedUnixMs - b.Info.EndedUnixMs) })
	for _, n := range nodes[max(0, len(nodes)-repeated):] {
		m.session.push(nodeDead(n.Info.Id, n.Info.DeathCause))
	}
}

// dueLocked takes out what has been missing for long enough.
func (l *leader) dueLocked(at time.Time) []missing {
	var due []missing
	l.missing = slices.DeleteFunc(l.missing, func(m missing) bool {
		if at.Before(m.due) {
			return false
		}
		due = append(due, m)
		return true
	})
	return due
}

// settle ends what a node doesn't run any more, unless its end was reported.
func (h *Head) settle(m missing) {
	var body fsm.Body
	if m.job != 0 {
		body = &fsm.Command_DriverEnded{DriverEnded: &fsm.DriverEnded{
			Job: m.job, Node: m.node, Message: "its node doesn't run its driver any more", ErrorType: api.ErrorTypeNodeDied,
		}}
	} else {
		body = &fsm.Command_ActorDied{ActorDied: &fsm.ActorDied{
			Id: []byte(m.actor), Node: m.node, Incarnation: m.incarnation,
			Cause: &proto.Error{Kind: proto.Error_ACTOR_DIED, Message: "its node doesn't run it any more", Node: m.node},
		}}
	}
	if _, err := h.consensus.apply(h.command(body)); err != nil {
		h.log.Warn("what is missing isn't settled", "node", m.node, "job", m.job, "error", err)
	}
}
