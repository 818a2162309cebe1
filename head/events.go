package head

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/newest"
	"github.com/gray-runtime/gray/proto"
)

const (
	maxEvents = 10_000
	// maxHistory is how many events are kept of an actor, and maxHistories of how many
	// actors, whatever else has happened since.
	maxHistory   = 20
	maxHistories = 20_000
	maxEventText = 4 << 10
)

// events are what has happened to the cluster lately, for people. What the state machine
// applied every head has, since it started; of the rest each has its own.
type events struct {
	mu      sync.Mutex
	ring    newest.Ring[*proto.Event]
	byActor map[string][]*proto.Event
	actors  []string // keys of byActor, in the order in which they came
	oldest  int      // of actors, once they are maxHistories
}

func (h *events) add(e *proto.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(e.Message) > maxEventText {
		e.Message = validUTF8(e.Message[:maxEventText]) + "…"
	}
	e.Number = h.ring.Total() + 1
	h.ring.Add(e, maxEvents)
	if e.Actor != "" {
		h.remember(e)
	}
}

func (h *events) remember(e *proto.Event) {
	if h.byActor == nil {
		h.byActor = map[string][]*proto.Event{}
	}
	list, known := h.byActor[e.Actor]
	switch {
	case known:
	case len(h.actors) < maxHistories:
		h.actors = append(h.actors, e.Actor)
	default:
		delete(h.byActor, h.actors[h.oldest])
		h.actors[h.oldest] = e.Actor
		h.oldest = (h.oldest + 1) % maxHistories
	}
	if len(list) == maxHistory {
		list = slices.Delete(list, 0, 1)
	}
	h.byActor[e.Actor] = append(list, e)
}

// latest are the events, the newest first, and how many are forgotten.
func (h *events) latest() (list []*proto.Event, dropped uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	list, dropped = h.ring.All()
	slices.Reverse(list)
	return list, dropped
}

// ofActor are an actor's events, the oldest first.
func (h *events) ofActor(id string) []*proto.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.byActor[id])
}

// describe makes events for people of what a command at a time has done to the state.
func describe(s *fsm.State, c *fsm.Command, result *fsm.Result, happened []fsm.Event) []*proto.Event {
	var list []*proto.Event
	if _, is := c.Body.(*fsm.Command_RegisterDriver); is && result != nil && result.Error == nil && !result.Existed {
		if j := s.Job(result.Id); j != nil {
			list = append(list, jobEvent(j, proto.Event_INFO, "JOB_RUNNING", "its driver has connected: "+j.Spec.Entrypoint))
		}
	}
	for _, e := range happened {
		if x := eventOf(s, e); x != nil {
			list = append(list, x)
		}
	}
	for _, x := range list {
		x.TimeUnixMs = c.TimeMs
	}
	return list
}

// eventOf is what people are told of an event; nil: nothing.
func eventOf(s *fsm.State, e fsm.Event) *proto.Event {
	switch e.Kind {
	case fsm.NodeAdded, fsm.NodeGone, fsm.NodeDrains:
		return nodeEvent(s, e)
	case fsm.JobWaits, fsm.JobPlaced, fsm.JobStops, fsm.JobOver, fsm.JobChanged:
		if j := s.Job(e.Job); j != nil {
			return eventOfJob(j, e)
		}
	case fsm.ActorWaits, fsm.ActorPlaced, fsm.ActorChanged:
		if a := s.Actor(e.Actor); a != nil {
			return actorEvent(a, e)
		}
	case fsm.GroupWaits, fsm.GroupPlaced, fsm.GroupChanged:
		if g := s.Group(e.Group); g != nil {
			return groupEvent(g, e)
		}
	}
	return nil
}

func nodeEvent(s *fsm.State, e fsm.Event) *proto.Event {
	n := s.Node(e.Node)
	if n == nil {
		return nil
	}
	x := &proto.Event{Node: e.Node}
	switch {
	case e.Kind == fsm.NodeAdded:
		x.Kind, x.Message = "NODE_JOINED", fmt.Sprintf("%s at %s", n.Info.Hostname, n.Info.Address)
	case e.Kind == fsm.NodeDrains:
		x.Kind, x.Message = "NODE_DRAINING", n.Info.GetDraining().GetReason()
	case n.Info.Draining != nil:
		x.Kind, x.Message = "NODE_LEFT", e.Text
	default:
		x.Severity, x.Kind, x.Message = proto.Event_ERROR, "NODE_DIED", e.Text
	}
	return x
}

func jobEvent(j *fsm.Job, severity proto.Event_Severity, kind, message string) *proto.Event {
	return &proto.Event{Severity: severity, Kind: kind, Job: j.Spec.Id, Node: j.Node, Pid: j.PID, Message: message}
}

func eventOfJob(j *fsm.Job, e fsm.Event) *proto.Event {
	switch e.Kind {
	case fsm.JobWaits:
		return jobEvent(j, proto.Event_INFO, "JOB_PENDING", "its driver waits for a node: "+j.Spec.Entrypoint)
	case fsm.JobPlaced:
		return jobEvent(j, proto.Event_INFO, "JOB_PLACED", "its driver is to start on "+ids.NodeID(j.Node).String())
	case fsm.JobStops:
		return jobEvent(j, proto.Event_INFO, "JOB_STOPPING", "it was asked to end")
	case fsm.JobChanged:
		if j.Status == fsm.Running && !j.Stopping {
			return jobEvent(j, proto.Event_INFO, "JOB_RUNNING", j.Spec.Entrypoint)
		}
		return nil
	}
	severity := proto.Event_INFO
	if j.Status == fsm.Failed {
		severity = proto.Event_ERROR
	}
	return jobEvent(j, severity, "JOB_"+j.Status, j.Message)
}

func actorEvent(a *fsm.Actor, e fsm.Event) *proto.Event {
	x := &proto.Event{Actor: actorName(a.Spec.Id), Job: a.Spec.Job, Node: a.Node, Pid: a.PID, Incarnation: a.Incarnation}
	name := a.Spec.Class
	if a.Spec.Name != "" {
		name += " " + a.Spec.Name
	}
	cause := func() string { return strings.TrimSpace(a.Cause.GetKind().String() + ": " + a.Cause.GetMessage()) }
	switch {
	case e.Kind == fsm.ActorPlaced:
		x.Kind, x.Message = "ACTOR_PLACED", fmt.Sprintf("%s is to start on %s", name, ids.NodeID(e.Node))
	case e.Kind == fsm.ActorWaits && e.Text != "":
		x.Node = e.Node
		x.Kind, x.Message = "ACTOR_REFUSED", fmt.Sprintf("%s takes %s not: %s", ids.NodeID(e.Node), name, e.Text)
	case e.Kind == fsm.ActorWaits && a.Incarnation > 1:
		x.Severity, x.Kind = proto.Event_WARNING, "ACTOR_RESTARTING"
		x.Node, x.Pid = a.Cause.GetNode(), a.Cause.GetPid()
		x.Message = fmt.Sprintf("%s, restart %d: %s", name, a.Restarts, cause())
	case e.Kind == fsm.ActorWaits:
		x.Kind, x.Message = "ACTOR_PENDING", name+" waits for a node"
	case a.Alive():
		x.Kind, x.Message = "ACTOR_ALIVE", name
	case a.Dead():
		x.Kind, x.Message = "ACTOR_DEAD", name+": "+cause()
		if k := a.Cause.GetKind(); k != proto.Error_ACTOR_DIED && k != proto.Error_JOB_ENDED {
			x.Severity = proto.Event_ERROR
		}
	default:
		return nil // said by another event
	}
	return x
}

func groupEvent(g *fsm.Group, e fsm.Event) *proto.Event {
	x := &proto.Event{Group: actorName(g.Spec.Id), Job: g.Spec.Job, Message: g.Spec.Name}
	switch {
	case e.Kind == fsm.GroupPlaced:
		x.Kind = "GROUP_PLACED"
	case e.Kind == fsm.GroupWaits && g.Lost:
		x.Severity, x.Kind, x.Message = proto.Event_WARNING, "GROUP_RESCHEDULING", "a node with a bundle is gone or drains"
	case e.Kind == fsm.GroupWaits:
		x.Kind, x.Message = "GROUP_PENDING", e.Text
		x.Node = e.Node
	case g.Removed:
		x.Kind, x.Message = "GROUP_REMOVED", g.Cause.GetMessage()
	default:
		return nil
	}
	return x
}
