package fsm

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/gray-runtime/gray/proto"
)

// Identity returns what makes the cluster; a number of zero: there is none yet.
func (s *State) Identity() (cluster uint32, authority []byte, token string) {
	return s.meta.Cluster, s.meta.Authority, s.meta.Token
}

// Node returns a node, or nil.
func (s *State) Node(id uint32) *Node { return s.nodes[id] }

// Nodes returns all nodes by number, dead ones that aren't forgotten included.
func (s *State) Nodes() []*Node {
	return sorted(s.nodes, byNode)
}

// Job returns a job by its number, or nil.
func (s *State) Job(id uint32) *Job { return s.jobs[id] }

// Jobs returns all jobs by number.
func (s *State) Jobs() []*Job {
	return sorted(s.jobs, byJob)
}

// jobsWhere returns those that fit, by number.
func (s *State) jobsWhere(fits func(*Job) bool) []*Job {
	var out []*Job
	for _, j := range s.jobs {
		if fits(j) {
			out = append(out, j)
		}
	}
	slices.SortFunc(out, byJob)
	return out
}

// Actor returns an actor by the bytes of its id, or nil.
func (s *State) Actor(id string) *Actor { return s.actors[id] }

// Actors returns all actors by id.
func (s *State) Actors() []*Actor {
	return sorted(s.actors, byActor)
}

// LiveActors returns the actors that aren't dead and that fits says yes to, by id.
func (s *State) LiveActors(fits func(*Actor) bool) []*Actor { return s.actorsWhere(fits) }

// NamedActor returns the actor that holds a name, or nil.
func (s *State) NamedActor(namespace, name string) *Actor {
	if id, ok := s.names[actorName{namespace, name}]; ok {
		return s.actors[id]
	}
	return nil
}

// Key returns a value.
func (s *State) Key(namespace, key string) ([]byte, bool) {
	if k := s.keys[keyName{namespace, key}]; k != nil {
		return k.Value, true
	}
	return nil, false
}

// Keys returns a namespace's keys with a prefix, in order.
func (s *State) Keys(namespace, prefix string) []string {
	var out []string
	for k := range s.keys {
		if k.namespace == namespace && strings.HasPrefix(k.key, prefix) {
			out = append(out, k.key)
		}
	}
	slices.Sort(out)
	return out
}

// Package returns what is known of a stored package, or nil.
func (s *State) Package(name string) *PackageRecord { return s.packages[name] }

// Packages returns all packages by name.
func (s *State) Packages() []*PackageRecord {
	return sorted(s.packages, byPackage)
}

// The orders of lists and of snapshots.
func byNode(a, b *Node) int             { return cmp.Compare(a.Info.Id, b.Info.Id) }
func byJob(a, b *Job) int               { return cmp.Compare(a.Spec.Id, b.Spec.Id) }
func byActor(a, b *Actor) int           { return cmp.Compare(string(a.Spec.Id), string(b.Spec.Id)) }
func byGroup(a, b *Group) int           { return cmp.Compare(string(a.Spec.Id), string(b.Spec.Id)) }
func byPackage(a, b *PackageRecord) int { return cmp.Compare(a.Name, b.Name) }
func byKey(a, b *KeyRecord) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Key, b.Key))
}

func sorted[K comparable, V any](m map[K]V, by func(a, b V) int) []V {
	return slices.SortedFunc(maps.Values(m), by)
}

// Info describes the actor to those who call it.
func (a *Actor) Info() *proto.ActorInfo {
	return &proto.ActorInfo{
		Spec: WithoutPayload(a.Spec), State: a.State, Incarnation: a.Incarnation, Node: a.Node, Process: a.Process,
		Address: a.Address, Pid: a.PID, Cause: a.Cause, Restarts: a.Restarts, StartedUnixMs: a.StartedMs, EndedUnixMs: a.EndedMs,
	}
}
