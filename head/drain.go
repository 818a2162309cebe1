package head

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

const (
	// drainVersion is that of the commands that drain nodes.
	drainVersion = 3
	// maxMoves is how many actors, and groups, leave draining nodes in one tick.
	maxMoves = 256
)

// drainNode begins a node's way out.
func (h *Head) drainNode(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	var req api.DrainRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		writeError(w, badRequest("the body isn't JSON: %w", err))
		return
	}
	id, err := strconv.ParseUint(strings.TrimPrefix(r.PathValue("id"), "n"), 10, 32)
	if err != nil {
		writeError(w, badRequest("node %q: want n and its number", r.PathValue("id")))
		return
	}
	if v := h.replica.version(); v < drainVersion {
		writeError(w, badRequest("the cluster's commands are of version %d: nodes drain once all its heads know version %d", v, drainVersion))
		return
	}
	d := &proto.Draining{Reason: req.Reason}
	if req.DeadlineMs > 0 {
		d.DeadlineUnixMs = now() + req.DeadlineMs
	}
	if _, err := h.proposeREST(r, &fsm.Command_DrainNode{DrainNode: &fsm.DrainNode{Node: uint32(id), Draining: d}}); err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, struct{}{})
}

// nodeDrainsLocked has a node's draining take effect.
func (l *leader) nodeDrainsLocked(id uint32) {
	m := l.members[id]
	if m == nil {
		return
	}
	l.h.replica.read(func(s *fsm.State) {
		if n := s.Node(id); n != nil {
			m.draining = n.Info.Draining
		}
	})
	info := protobuf.CloneOf(m.info)
	info.Draining = m.draining
	m.info, l.dirty = info, true
	l.orderDrainLocked(m)
	l.h.log.Info("node drains", "node", ids.NodeID(id), "reason", m.draining.GetReason())
}

// orderDrainLocked tells a node that it drains; it may have heard.
func (l *leader) orderDrainLocked(m *member) {
	if m.draining != nil && m.session != nil {
		m.session.push(&proto.NodeOrder{Body: &proto.NodeOrder_Drain{Drain: m.draining}})
	}
}

// movesLocked picks what leaves draining nodes now, having a place elsewhere: actors that can be
// restarted, and bundles of groups, once they are idle and those actors are gone. An actor
// that runs is asked to leave: it goes on elsewhere when it has ended.
func (l *leader) movesLocked() (actors []*fsm.MoveActor, bundles []*fsm.MoveBundles) {
	b := l.newBoard()
	for _, id := range slices.Sorted(maps.Keys(l.members)) {
		m := l.members[id]
		if m.draining == nil {
			continue
		}
		var here []*fsm.Actor
		var groups []*fsm.Group
		jobs := map[uint32]*fsm.Job{}
		l.h.replica.read(func(s *fsm.State) {
			here = s.LiveActors(func(a *fsm.Actor) bool { return a.Node == id })
			groups = s.LiveGroups(func(g *fsm.Group) bool { return g.On(id) })
			for _, a := range here {
				jobs[a.Spec.Job] = s.Job(a.Spec.Job)
			}
		})
		reason := fmt.Sprintf("its node %s drains", ids.NodeID(id))
		inGroup := map[string][]*fsm.Actor{}
		for _, a := range here {
			group := string(a.Spec.GetStrategy().GetGroup())
			if group != "" {
				inGroup[group] = append(inGroup[group], a)
				continue
			}
			if job := jobs[a.Spec.Job]; job != nil && moves(a) {
				d := b.place(wanted{resources: a.Spec.Resources, strategy: a.Spec.Strategy, platforms: l.platformsOf(job.Spec)})
				if d.node != 0 {
					b.take(d.node, a.Spec.Resources)
					actors = l.leaveLocked(a, reason, actors)
				}
			}
		}
		for _, g := range groups {
			in := inGroup[string(g.Spec.Id)]
			if !l.idleLocked(g, id) || !allMove(in) || !b.fitElsewhere(g, id) {
				continue
			}
			for _, a := range in {
				actors = l.leaveLocked(a, reason, actors)
			}
			if len(in) == 0 {
				bundles = append(bundles, &fsm.MoveBundles{Id: g.Spec.Id, Node: id})
			}
		}
	}
	return actors[:min(len(actors), maxMoves)], bundles[:min(len(bundles), maxMoves)]
}

// moves reports whether an actor may go on elsewhere.
func moves(a *fsm.Actor) bool { return !a.Alive() || a.Spec.MaxRestarts != 0 }

func allMove(actors []*fsm.Actor) bool {
	return !slices.ContainsFunc(actors, func(a *fsm.Actor) bool { return !moves(a) })
}

// leaveLocked asks an actor that is alive to leave, and adds one that isn't yet.
func (l *leader) leaveLocked(a *fsm.Actor, reason string, list []*fsm.MoveActor) []*fsm.MoveActor {
	if !a.Alive() {
		return append(list, &fsm.MoveActor{Id: a.Spec.Id, Incarnation: a.Incarnation, Node: a.Node, Reason: reason})
	}
	o := stopActor(string(a.Spec.Id), a.Incarnation, reason)
	o.GetStopActor().Leave = true
	l.orderLocked(a.Node, o)
	return list
}

// idleLocked reports whether no task runs in the bundles of a group on a draining node.
func (l *leader) idleLocked(g *fsm.Group, node uint32) bool {
	k := l.groups.known[string(g.Spec.Id)]
	for i, p := range g.Bundles {
		if p.Node == node && (k == nil || k.nodes[i] != node || k.held[i] != p.Generation || !k.idle[i]) {
			return false
		}
	}
	return true
}

// fitElsewhere reports whether the bundles of a group on a node have a place on others, and
// takes it.
func (b *board) fitElsewhere(g *fsm.Group, node uint32) bool {
	next := *g
	next.Bundles = slices.Clone(g.Bundles)
	for i, p := range g.Bundles {
		if p.Node == node {
			next.Bundles[i] = fsm.Place{}
		}
	}
	return b.placeBundles(&next, nil).nodes != nil
}

// leaveNodes has what can leave draining nodes, each second.
func (l *leader) leaveNodes(at time.Time) {
	l.mu.Lock()
	if !l.leads || at.Sub(l.moved) < time.Second {
		l.mu.Unlock()
		return
	}
	l.moved = at
	actors, bundles := l.movesLocked()
	l.mu.Unlock()
	commit(l.h, actors, func(m *fsm.MoveActor) fsm.Body { return &fsm.Command_MoveActor{MoveActor: m} }, func(*fsm.MoveActor) {})
	commit(l.h, bundles, func(m *fsm.MoveBundles) fsm.Body { return &fsm.Command_MoveBundles{MoveBundles: m} }, func(*fsm.MoveBundles) {})
}
