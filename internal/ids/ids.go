// Package ids defines the identifiers of a cluster's nodes, jobs, processes,
// objects and actors, and their binary and text forms.
//
// Every identifier is made where the thing is made, without asking anybody:
// the head numbers nodes and jobs once, a node numbers its processes, and a
// process numbers its objects and actors. No identifier is ever used twice
// within a cluster.
package ids

import (
	"encoding/binary"
	"fmt"
)

// ClusterID tags everything that belongs to one cluster. It is random.
type ClusterID uint32

// NodeID is a node's number, given by the head when the node registers; never
// reused. Zero is no node.
type NodeID uint32

// JobID is a job's number, given by the head. Zero is no job.
type JobID uint32

// ProcessID names a driver or worker process: a node, and the process's number
// on it. A node never reuses a number.
type ProcessID struct {
	Node   NodeID
	Number uint32
}

// ObjectID names an object: the process that made its reference (its owner)
// and the reference's number there. A task has the ID of its first result.
type ObjectID struct {
	Cluster ClusterID
	Owner   ProcessID
	Number  uint64
}

// TaskID is the ObjectID of the task's first result.
type TaskID = ObjectID

// ActorID names an actor, numbered like an object by the process that created
// it.
type ActorID ObjectID

// GroupID names a placement group, numbered like an object by the process that
// created it.
type GroupID ObjectID

// Size is the length of an ObjectID, ActorID or GroupID in binary form, in bytes.
const Size = 20

func (c ClusterID) String() string { return fmt.Sprintf("%08x", uint32(c)) }
func (n NodeID) String() string    { return fmt.Sprintf("n%d", uint32(n)) }
func (j JobID) String() string     { return fmt.Sprintf("j%d", uint32(j)) }
func (p ProcessID) String() string { return fmt.Sprintf("n%d.p%d", uint32(p.Node), p.Number) }

// IsZero reports whether p names no process.
func (p ProcessID) IsZero() bool { return p == ProcessID{} }

func (o ObjectID) String() string {
	return fmt.Sprintf("%08x-%x-%x-%x", uint32(o.Cluster), uint32(o.Owner.Node), o.Owner.Number, o.Number)
}

// replicated marks the number of an object that other nodes than its owner's have
// from the beginning: whoever meets its name knows that it may outlive its home.
const replicated = 1 << 63

// Replicated reports whether other nodes than the owner's were to have o.
func (o ObjectID) Replicated() bool { return o.Number&replicated != 0 }

// AsReplicated is the name of a replicated object with o's number.
func (o ObjectID) AsReplicated() ObjectID {
	o.Number |= replicated
	return o
}

// actor marks the number of an actor that the head knows: who holds no handle to it any
// more has the head end it.
const actor = 1 << 62

// Actor reports whether o stands for an actor that lives as long as it's held.
func (o ObjectID) Actor() bool { return o.Number&actor != 0 }

// AsActor is the name of an actor with o's number.
func (o ObjectID) AsActor() ActorID {
	o.Number |= actor
	return ActorID(o)
}

// IsZero reports whether o names no object.
func (o ObjectID) IsZero() bool { return o == ObjectID{} }

// Append adds the binary form of o, Size bytes, to b.
func (o ObjectID) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(o.Cluster))
	b = binary.LittleEndian.AppendUint32(b, uint32(o.Owner.Node))
	b = binary.LittleEndian.AppendUint32(b, o.Owner.Number)
	return binary.LittleEndian.AppendUint64(b, o.Number)
}

// Bytes returns the binary form of o.
func (o ObjectID) Bytes() []byte { return o.Append(make([]byte, 0, Size)) }

// ObjectIDFrom reads the binary form at the start of b.
func ObjectIDFrom(b []byte) (ObjectID, error) {
	if len(b) < Size {
		return ObjectID{}, fmt.Errorf("object id: %d bytes, want %d", len(b), Size)
	}
	le := binary.LittleEndian
	return ObjectID{
		Cluster: ClusterID(le.Uint32(b)),
		Owner:   ProcessID{Node: NodeID(le.Uint32(b[4:])), Number: le.Uint32(b[8:])},
		Number:  le.Uint64(b[12:]),
	}, nil
}

// ParseObjectID reads what String wrote.
func ParseObjectID(s string) (ObjectID, error) {
	var o ObjectID
	var c, n uint32
	if _, err := fmt.Sscanf(s, "%08x-%x-%x-%x", &c, &n, &o.Owner.Number, &o.Number); err != nil || s != (ObjectID{
		ClusterID(c), ProcessID{NodeID(n), o.Owner.Number}, o.Number,
	}).String() {
		return ObjectID{}, fmt.Errorf("object id %q: want CLUSTER-NODE-PROCESS-NUMBER in hexadecimal", s)
	}
	o.Cluster, o.Owner.Node = ClusterID(c), NodeID(n)
	return o, nil
}

func (a ActorID) String() string { return ObjectID(a).String() }

// IsZero reports whether a names no actor.
func (a ActorID) IsZero() bool { return a == ActorID{} }

// Bytes returns the binary form of a.
func (a ActorID) Bytes() []byte { return ObjectID(a).Bytes() }

// ActorIDFrom reads the binary form at the start of b.
func ActorIDFrom(b []byte) (ActorID, error) {
	o, err := ObjectIDFrom(b)
	return ActorID(o), err
}

func (g GroupID) String() string { return ObjectID(g).String() }

// IsZero reports whether g names no group.
func (g GroupID) IsZero() bool { return g == GroupID{} }

// Bytes returns the binary form of g.
func (g GroupID) Bytes() []byte { return ObjectID(g).Bytes() }

// GroupIDFrom reads the binary form at the start of b.
func GroupIDFrom(b []byte) (GroupID, error) {
	o, err := ObjectIDFrom(b)
	return GroupID(o), err
}

// Numbers are nodes as messages name them.
func Numbers(nodes []NodeID) []uint32 {
	out := make([]uint32, len(nodes))
	for i, n := range nodes {
		out[i] = uint32(n)
	}
	return out
}
