package fsm

import (
	"github.com/gray-runtime/gray/proto"
)

// State is the state machine. The zero value isn't ready: New.
type State struct {
	meta     *Meta
	nodes    map[uint32]*Node
	jobs     map[uint32]*Job
	actors   map[string]*Actor
	keys     map[keyName]*KeyRecord
	packages map[string]*PackageRecord
	groups   map[string]*Group
	replies  replies  // of version 1
	sessions sessions // since version 2

	// What follows can be computed from what is above.
	instances   map[string]uint32 // of nodes
	drivers     map[string]uint32 // jobs by instance of the driver that registered
	submissions map[string]uint32
	names       map[actorName]string
	actorsOf    map[uint32]int // actors that aren't dead, by job
	guests      map[string]int // of those, by the actor whose process they live in
	keyBytes    int
	deadNodes   history[uint32]
	endedJobs   history[uint32]
	jobBytes    int // of specs of ended jobs
	deadActors  history[string]
	groupNames  map[groupName]string
	actorsIn    map[string]map[string]bool // actors that aren't dead, by group
	deadGroups  history[string]

	events []Event
	now    int64 // of the command that is being applied
}

// A Node is a registered node. Info holds what doesn't change while it lives.
type Node struct {
	Instance string
	Info     *proto.NodeInfo
	ended    uint64
}

// A Job is a submitted job, or a driver that registered itself.
type Job struct {
	Spec        *proto.JobSpec
	Driver      bool // registered by itself
	Instance    string
	Status      string
	Message     string
	ErrorType   string
	HasExitCode bool
	ExitCode    int32
	SubmittedMs int64
	StartedMs   int64
	EndedMs     int64
	Node        uint32 // of its driver; 0: not placed yet
	PID         int32
	Process     uint32
	Stopping    bool
	ended       uint64
}

// Statuses of jobs.
const (
	Pending   = "PENDING"
	Running   = "RUNNING"
	Stopped   = "STOPPED"
	Succeeded = "SUCCEEDED"
	Failed    = "FAILED"
)

// Over reports whether the job has ended.
func (j *Job) Over() bool { return j.EndedMs != 0 }

// An Actor is an actor. A dead one's spec has no payload.
type Actor struct {
	Spec        *proto.ActorSpec
	State       proto.ActorInfo_State
	Incarnation uint32 // of its process, or of the next one
	Node        uint32 // of that process; 0: not placed yet
	Process     uint32
	Address     string
	PID         int32
	Cause       *proto.Error
	Restarts    uint32
	StartedMs   int64
	EndedMs     int64
	ended       uint64
	Saved       []byte // the state that it saved last; nil: none
}

// Dead reports whether the actor is gone for good.
func (a *Actor) Dead() bool { return a.State == proto.ActorInfo_DEAD }

// Alive reports whether the actor has a process that takes calls.
func (a *Actor) Alive() bool { return a.State == proto.ActorInfo_ALIVE }

type (
	keyName   struct{ namespace, key string }
	actorName struct{ namespace, name string }
)

// New returns the state before the first command.
func New() *State {
	return &State{
		meta:  &Meta{Version: 1},
		nodes: map[uint32]*Node{}, jobs: map[uint32]*Job{}, actors: map[string]*Actor{},
		keys: map[keyName]*KeyRecord{}, packages: map[string]*PackageRecord{},
		replies: newReplies(), sessions: newSessions(),
		instances: map[string]uint32{}, drivers: map[string]uint32{}, submissions: map[string]uint32{},
		names: map[actorName]string{}, actorsOf: map[uint32]int{}, guests: map[string]int{},
		groups: map[string]*Group{}, groupNames: map[groupName]string{}, actorsIn: map[string]map[string]bool{},
	}
}

// nextEnd numbers what ends.
func (s *State) nextEnd() uint64 {
	m := s.changeMeta()
	m.Ended++
	return m.Ended
}

// changeMeta returns a copy that is the current one.
func (s *State) changeMeta() *Meta {
	m := s.meta
	s.meta = &Meta{
		Cluster: m.Cluster, Authority: m.Authority, Token: m.Token, CreatedMs: m.CreatedMs,
		LastNode: m.LastNode, LastJob: m.LastJob, Ended: m.Ended, Version: m.Version,
	}
	return s.meta
}

// history is what ended, oldest first.
type history[K comparable] struct{ keys []K }

func (h *history[K]) add(k K) { h.keys = append(h.keys, k) }

// pop returns the oldest.
func (h *history[K]) pop() K {
	k := h.keys[0]
	h.keys = h.keys[1:]
	return k
}

func (h *history[K]) len() int { return len(h.keys) }

// drop removes k, wherever it is.
func (h *history[K]) drop(k K) {
	for i, have := range h.keys {
		if have == k {
			h.keys = append(h.keys[:i:i], h.keys[i+1:]...)
			return
		}
	}
}
