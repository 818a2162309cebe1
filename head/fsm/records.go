package fsm

import (
	"cmp"
	"fmt"
	"slices"

	protobuf "google.golang.org/protobuf/proto"
)

func (n *Node) record() *NodeRecord {
	return &NodeRecord{Instance: n.Instance, Info: n.Info, Ended: n.ended}
}

func (j *Job) record() *JobRecord {
	return &JobRecord{
		Spec: j.Spec, Driver: j.Driver, Instance: j.Instance, Status: j.Status, Message: j.Message, ErrorType: j.ErrorType,
		HasExitCode: j.HasExitCode, ExitCode: j.ExitCode, SubmittedMs: j.SubmittedMs, StartedMs: j.StartedMs, EndedMs: j.EndedMs,
		Node: j.Node, Pid: j.PID, Stopping: j.Stopping, Ended: j.ended, Process: j.Process,
	}
}

func jobOf(r *JobRecord) *Job {
	return &Job{
		Spec: r.Spec, Driver: r.Driver, Instance: r.Instance, Status: r.Status, Message: r.Message, ErrorType: r.ErrorType,
		HasExitCode: r.HasExitCode, ExitCode: r.ExitCode, SubmittedMs: r.SubmittedMs, StartedMs: r.StartedMs, EndedMs: r.EndedMs,
		Node: r.Node, PID: r.Pid, Stopping: r.Stopping, ended: r.Ended, Process: r.Process,
	}
}

func (a *Actor) record() *ActorRecord {
	return &ActorRecord{
		Spec: a.Spec, State: a.State, Incarnation: a.Incarnation, Node: a.Node, Process: a.Process, Address: a.Address, Pid: a.PID,
		Cause: a.Cause, Restarts: a.Restarts, StartedMs: a.StartedMs, EndedMs: a.EndedMs, Ended: a.ended, Saved: a.Saved,
	}
}

func actorOf(r *ActorRecord) *Actor {
	return &Actor{
		Spec: r.Spec, State: r.State, Incarnation: r.Incarnation, Node: r.Node, Process: r.Process, Address: r.Address, PID: r.Pid,
		Cause: r.Cause, Restarts: r.Restarts, StartedMs: r.StartedMs, EndedMs: r.EndedMs, ended: r.Ended, Saved: r.Saved,
	}
}

// load takes one record of a snapshot.
func (s *State) load(rec *Record) error {
	switch b := rec.Body.(type) {
	case *Record_Meta:
		if b.Meta.Version > Version {
			return fmt.Errorf("its state is of version %d, this gray knows up to %d: upgrade this head", b.Meta.Version, Version)
		}
		b.Meta.Version = max(1, b.Meta.Version)
		s.meta = b.Meta
	case *Record_Node:
		if b.Node.Info == nil {
			return errRecord
		}
		s.nodes[b.Node.Info.Id] = &Node{Instance: b.Node.Instance, Info: b.Node.Info, ended: b.Node.Ended}
	case *Record_Job:
		if b.Job.Spec == nil {
			return errRecord
		}
		s.jobs[b.Job.Spec.Id] = jobOf(b.Job)
	case *Record_Actor:
		if b.Actor.Spec == nil {
			return errRecord
		}
		s.actors[string(b.Actor.Spec.Id)] = actorOf(b.Actor)
	case *Record_Key:
		s.keys[keyName{b.Key.Namespace, b.Key.Key}] = b.Key
	case *Record_Package:
		s.packages[b.Package.Name] = b.Package
	case *Record_Group:
		if b.Group.Spec == nil {
			return errRecord
		}
		s.groups[string(b.Group.Spec.Id)] = groupOf(b.Group)
	case *Record_Client:
		k := s.sessions.latest(b.Client.Name)
		k.done, k.usedMs = b.Client.Done, b.Client.UsedMs
	case *Record_Reply:
		return s.loadReply(b.Reply)
	default:
		return errRecord
	}
	return nil
}

// loadReply takes a reply of version 1, or one of the client that came last.
func (s *State) loadReply(r *ReplyRecord) error {
	if r.Result == nil {
		r.Result = &Result{}
	}
	if s.Version() < 2 {
		s.replies.put(r.Client, r.Sequence, r.Result)
		return nil
	}
	last := s.sessions.order.Back()
	if last == nil || last.Value.(*session).name != r.Client {
		return errRecord
	}
	last.Value.(*session).keep(r.Sequence, r.Result)
	return nil
}

// index computes what follows from the records.
func (s *State) index() {
	for id, n := range s.nodes {
		s.instances[n.Instance] = id
		if !n.Info.Alive {
			s.deadNodes.add(id)
		}
	}
	for id, j := range s.jobs {
		s.submissions[j.Spec.SubmissionId] = id
		if j.Driver {
			s.drivers[j.Instance] = id
		}
		if j.Over() {
			s.endedJobs.add(id)
			s.jobBytes += protobuf.Size(j.Spec)
		}
	}
	for id, a := range s.actors {
		if a.Dead() {
			s.deadActors.add(id)
			continue
		}
		s.actorsOf[a.Spec.Job]++
		s.enterGroup(a)
		if len(a.Spec.Host) > 0 {
			s.guests[string(a.Spec.Host)]++
		}
		if a.Spec.Name != "" {
			s.names[actorName{a.Spec.Namespace, a.Spec.Name}] = id
		}
	}
	for id, g := range s.groups {
		switch {
		case g.Removed:
			s.deadGroups.add(id)
		case g.Spec.Name != "":
			s.groupNames[groupName{g.Spec.Namespace, g.Spec.Name}] = id
		}
	}
	for _, k := range s.keys {
		s.keyBytes += sizeOf(k.Namespace, k.Key, k.Value)
	}
	slices.SortFunc(s.deadNodes.keys, func(a, b uint32) int { return cmp.Compare(s.nodes[a].ended, s.nodes[b].ended) })
	slices.SortFunc(s.endedJobs.keys, func(a, b uint32) int { return cmp.Compare(s.jobs[a].ended, s.jobs[b].ended) })
	slices.SortFunc(s.deadGroups.keys, func(a, b string) int { return cmp.Compare(s.groups[a].ended, s.groups[b].ended) })
	slices.SortFunc(s.deadActors.keys, func(a, b string) int { return cmp.Compare(s.actors[a].ended, s.actors[b].ended) })
}
