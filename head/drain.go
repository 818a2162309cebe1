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
	// maxMoves is how many actors leave a draining node in one tick.
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

// movesLocked picks the actors that leave draining nodes now: those that can be restarted,
// and have a place elsewhere.
func (l *leader) movesLocked() []*fsm.MoveActor {
	var moves []*fsm.MoveActor
	var b *board
	for _, id := range slices.Sorted(maps.Keys(l.members)) {
		m := l.members[id]
		if m.draining == nil {
			continue
		}
		if b == nil {
			b = l.newBoard()
		}
		l.h.replica.read(func(s *fsm.State) {
			for _, a := range s.LiveActors(func(a *fsm.Actor) bool { return a.Node == id && (!a.Alive() || a.Spec.MaxRestarts != 0) }) {
				job := s.Job(a.Spec.Job)
				if job == nil || len(moves) == maxMoves {
					continue
				}
				d := b.place(wanted{resources: a.Spec.Resources, strategy: a.Spec.Strategy, platforms: l.platformsOf(job.Spec)})
				if d.node == 0 {
					continue
				}
				b.take(d.node, a.Spec.Resources)
				moves = append(moves, &fsm.MoveActor{
					Id: a.Spec.Id, Incarnation: a.Incarnation, Node: id, Reason: fmt.Sprintf("its node %s drains", ids.NodeID(id)),
				})
			}
		})
	}
	return moves
}

// moveActors has actors leave draining nodes, each second.
func (l *leader) moveActors(at time.Time) {
	l.mu.Lock()
	if !l.leads || at.Sub(l.moved) < time.Second {
		l.mu.Unlock()
		return
	}
	l.moved = at
	moves := l.movesLocked()
	l.mu.Unlock()
	commit(l.h, moves, func(m *fsm.MoveActor) fsm.Body { return &fsm.Command_MoveActor{MoveActor: m} }, func(*fsm.MoveActor) {})
}
