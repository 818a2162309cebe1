package fsm

import (
	"slices"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

func (s *State) createActor(c *CreateActor) *Result {
	spec := c.GetSpec()
	if bad := s.checkActor(spec); bad != nil {
		return bad
	}
	id := string(spec.Id)
	if s.actors[id] != nil {
		return nil // the same request, again
	}
	if bad := s.checkRuns(spec.Job); bad != nil {
		return bad
	}
	if bad := s.checkGroupOf(spec); bad != nil {
		return bad
	}
	name := actorName{spec.Namespace, spec.Name}
	if holder, taken := s.names[name]; taken {
		if c.GetIfExists {
			return &Result{Existed: true}
		}
		h := s.actors[holder]
		return exists("an actor named %q exists in namespace %q: %s %s of job %s (%s)", spec.Name, spec.Namespace,
			h.Spec.Class, actorText(holder), ids.JobID(h.Spec.Job), h.State)
	}
	if bad := s.checkHost(spec); bad != nil {
		return bad
	}
	a := &Actor{Spec: spec, State: proto.ActorInfo_PENDING, Incarnation: 1}
	s.actors[id] = a
	s.actorsOf[spec.Job]++
	s.enterGroup(a)
	if spec.Name != "" {
		s.names[name] = id
	}
	if len(spec.Host) > 0 { // its host sees to it, and says when it ends
		s.guests[string(spec.Host)]++
		a.State, a.StartedMs = proto.ActorInfo_ALIVE, s.now
		s.emit(Event{Kind: ActorChanged, Actor: id})
	} else if n := s.nodes[c.Node]; n != nil && n.Info.Alive {
		a.Node = c.Node
		s.emit(Event{Kind: ActorPlaced, Actor: id, Node: c.Node, Incarnation: 1})
	} else {
		s.emit(Event{Kind: ActorWaits, Actor: id})
	}
	return nil
}

// checkRuns says what's wrong with a job that is to have something new, if it isn't there or over.
func (s *State) checkRuns(job uint32) *Result {
	j := s.jobs[job]
	switch {
	case j == nil:
		return notFound("job %s doesn't exist", ids.JobID(job))
	case j.Over():
		return fail(proto.Error_JOB_ENDED, "job %s has ended", ids.JobID(job))
	}
	return nil
}

func (s *State) checkActor(spec *proto.ActorSpec) *Result {
	switch {
	case spec == nil:
		return invalid("an actor needs a specification")
	case len(spec.Id) != ids.Size:
		return invalid("an actor's id has %d bytes, got %d", ids.Size, len(spec.Id))
	case len(spec.Payload) > maxPayload:
		return invalid("the constructor's arguments have %d bytes, more than %d: put large values into the object store and pass references",
			len(spec.Payload), maxPayload)
	case len(spec.Name) > maxKey || len(spec.Namespace) > maxNamespace:
		return invalid("an actor's name has at most %d bytes, its namespace %d", maxKey, maxNamespace)
	}
	return nil
}

// checkHost refuses an actor in another's process that doesn't outlive it.
func (s *State) checkHost(spec *proto.ActorSpec) *Result {
	if len(spec.Host) == 0 {
		return nil
	}
	host := s.actors[string(spec.Host)]
	switch {
	case s.Version() < 3:
		return invalid("a head is too old for lightweight actors with a name")
	case host == nil || host.Dead():
		return fail(proto.Error_ACTOR_DIED, "the host %s of the actor is dead", actorText(string(spec.Host)))
	case len(host.Spec.Host) > 0:
		return invalid("the host %s has no process of its own", actorText(string(spec.Host)))
	case spec.Detached && !host.Spec.Detached:
		return invalid("a detached actor's host %s isn't detached", actorText(string(spec.Host)))
	}
	return nil
}

// loseGuests ends the actors that live in a dead one's process.
func (s *State) loseGuests(host string, cause *proto.Error) {
	if s.guests[host] == 0 {
		return
	}
	for _, a := range s.actorsWhere(func(a *Actor) bool { return string(a.Spec.Host) == host }) {
		s.buryActor(a, cause)
	}
}

// actorText is an id as people see it.
func actorText(id string) string {
	a, err := ids.ActorIDFrom([]byte(id))
	if err != nil {
		return "?"
	}
	return a.String()
}

// current finds an actor that is in this incarnation and not dead.
func (s *State) current(id []byte, incarnation uint32) *Actor {
	a := s.actors[string(id)]
	if a == nil || a.Dead() || a.Incarnation != incarnation {
		return nil
	}
	return a
}

func (s *State) placeActor(c *PlaceActor) *Result {
	a, n := s.current(c.GetId(), c.GetIncarnation()), s.nodes[c.GetNode()]
	switch {
	case a == nil || a.Alive() || a.Node != 0:
		return invalid("actor %s needs no node", actorText(string(c.GetId())))
	case n == nil || !n.Info.Alive:
		return fail(proto.Error_NODE_DIED, "node %s isn't alive", ids.NodeID(c.GetNode()))
	}
	next := *a
	next.Node = c.Node
	s.actors[string(c.Id)] = &next
	s.emit(Event{Kind: ActorPlaced, Actor: string(c.Id), Node: c.Node, Incarnation: a.Incarnation})
	return nil
}

func (s *State) actorRefused(c *ActorRefused) *Result {
	a := s.current(c.GetId(), c.GetIncarnation())
	if a == nil || a.Alive() || a.Node != c.Node {
		return nil
	}
	next := *a
	next.Node = 0
	s.actors[string(c.Id)] = &next
	s.emit(Event{Kind: ActorWaits, Actor: string(c.Id), Node: c.Node, Text: c.Reason})
	return nil
}

func (s *State) actorStarted(c *ActorStarted) *Result {
	id := string(c.GetId())
	a := s.current(c.GetId(), c.GetIncarnation())
	if a == nil || a.Node != c.Node || c.Node == 0 {
		s.emit(Event{Kind: ActorStops, Actor: id, Node: c.Node, Incarnation: c.Incarnation, Text: "it isn't the actor's current process"})
		return nil
	}
	if a.Alive() {
		return nil
	}
	next := *a
	next.State, next.Process, next.Address, next.PID, next.StartedMs = proto.ActorInfo_ALIVE, c.Process, c.Address, c.Pid, s.now
	s.actors[id] = &next
	s.emit(Event{Kind: ActorChanged, Actor: id})
	return nil
}

func (s *State) actorDied(c *ActorDied) *Result {
	a := s.current(c.GetId(), c.GetIncarnation())
	if a == nil || a.Node != c.Node || c.Node == 0 {
		return nil
	}
	cause := c.Cause
	if cause == nil {
		cause = &proto.Error{Kind: proto.Error_ACTOR_DIED, Message: "its process ended"}
	}
	if c.Final {
		s.buryActor(a, cause)
	} else {
		s.goOn(a, cause)
	}
	return nil
}

func (s *State) killActor(c *KillActor) *Result {
	a := s.actors[string(c.GetId())]
	switch {
	case a == nil:
		return notFound("actor %s doesn't exist", actorText(string(c.GetId())))
	case a.Dead(), c.Restart && a.Node == 0:
		return nil
	}
	reason := c.Reason
	if reason == "" {
		reason = "it was killed"
	}
	s.stopActor(a, reason)
	cause := &proto.Error{Kind: proto.Error_ACTOR_DIED, Message: reason, Node: a.Node, Pid: a.PID}
	if c.Restart {
		s.restartActor(a, cause)
	} else {
		s.buryActor(a, cause)
	}
	return nil
}

// saveActor keeps the state that the actor's current process has saved.
func (s *State) saveActor(c *SaveActor) *Result {
	a := s.current(c.GetId(), c.GetIncarnation())
	switch {
	case a == nil || a.Node == 0:
		return invalid("it isn't the current process of actor %s that saves its state", actorText(string(c.GetId())))
	case len(c.State) > maxSaved:
		return invalid("the saved state of an actor has %d bytes, more than %d: put large values into the object store", len(c.State), maxSaved)
	}
	next := *a
	if next.Saved = c.State; next.Saved == nil {
		next.Saved = []byte{} // saved, though empty
	}
	s.actors[string(c.Id)] = &next
	return nil
}

// stopActor has the actor's process end, if it has one.
func (s *State) stopActor(a *Actor, reason string) {
	if a.Node != 0 {
		s.emit(Event{Kind: ActorStops, Actor: string(a.Spec.Id), Node: a.Node, Incarnation: a.Incarnation, Text: reason})
	}
}

// restartActor gives a dead process a successor, if the actor has restarts left.
func (s *State) restartActor(a *Actor, cause *proto.Error) {
	if a.Spec.MaxRestarts >= 0 && a.Restarts >= uint32(a.Spec.MaxRestarts) {
		s.buryActor(a, cause)
		return
	}
	next := *a
	next.State, next.Cause = proto.ActorInfo_RESTARTING, cause
	next.Restarts++
	s.requeueActor(&next)
}

// requeueActor stores an actor that needs a new process.
func (s *State) requeueActor(a *Actor) {
	a.Incarnation++
	a.Node, a.Process, a.Address, a.PID = 0, 0, "", 0
	id := string(a.Spec.Id)
	s.actors[id] = a
	s.emit(Event{Kind: ActorWaits, Actor: id})
	s.emit(Event{Kind: ActorChanged, Actor: id})
}

// buryActor ends an actor: its name is free.
func (s *State) buryActor(a *Actor, cause *proto.Error) {
	id := string(a.Spec.Id)
	if now := s.actors[id]; now == nil || now.Dead() {
		return // with its host
	}
	next := *a
	next.Spec, next.Saved = WithoutPayload(a.Spec), nil
	next.State, next.Cause, next.EndedMs, next.ended = proto.ActorInfo_DEAD, cause, s.now, s.nextEnd()
	s.actors[id] = &next
	if name := (actorName{a.Spec.Namespace, a.Spec.Name}); s.names[name] == id {
		delete(s.names, name)
	}
	if s.actorsOf[a.Spec.Job]--; s.actorsOf[a.Spec.Job] == 0 {
		delete(s.actorsOf, a.Spec.Job)
	}
	s.leaveGroup(a)
	if host := string(a.Spec.Host); host != "" {
		if s.guests[host]--; s.guests[host] == 0 {
			delete(s.guests, host)
		}
	}
	s.loseGuests(id, cause)
	s.emit(Event{Kind: ActorChanged, Actor: id})
	s.deadActors.add(id)
	for s.deadActors.len() > keepActors {
		delete(s.actors, s.deadActors.pop())
	}
}

// WithoutPayload copies a spec but for its constructor call.
func WithoutPayload(spec *proto.ActorSpec) *proto.ActorSpec {
	return &proto.ActorSpec{
		Id: spec.Id, Job: spec.Job, Name: spec.Name, Namespace: spec.Namespace, Class: spec.Class, Resources: spec.Resources,
		Strategy: spec.Strategy, MaxRestarts: spec.MaxRestarts, MaxConcurrency: spec.MaxConcurrency, Detached: spec.Detached,
		CreatorNode: spec.CreatorNode, MaxTaskRetries: spec.MaxTaskRetries, MaxPendingCalls: spec.MaxPendingCalls, Host: spec.Host,
	}
}

// loseActorsOn deals with the actors that a dead node had. One that wasn't
// there yet gets another place without using up a restart.
func (s *State) loseActorsOn(node uint32, cause string) {
	for _, a := range s.actorsWhere(func(a *Actor) bool { return a.Node == node }) {
		if !a.Alive() {
			next := *a
			s.requeueActor(&next)
			continue
		}
		e := &proto.Error{Kind: proto.Error_NODE_DIED, Message: "its node died: " + cause, Node: node, Pid: a.PID}
		s.goOn(a, e)
	}
}

// goOn gives a dead process a successor; if its node drains, that is none of the restarts.
func (s *State) goOn(a *Actor, cause *proto.Error) {
	if n := s.nodes[a.Node]; n != nil && n.Info.Draining != nil && a.Spec.MaxRestarts != 0 {
		s.relocateActor(a, cause)
	} else {
		s.restartActor(a, cause)
	}
}

// actorsWhere returns those that aren't dead and fit, by id.
func (s *State) actorsWhere(fits func(*Actor) bool) []*Actor {
	var out []*Actor
	for _, a := range s.actors {
		if !a.Dead() && fits(a) {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, byActor)
	return out
}
