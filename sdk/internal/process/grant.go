package process

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/gray-runtime/gray/internal/ids"
)

// maxGranted is how many resources a lease may name.
const maxGranted = 64

// appendGrant lays out what a lease's tasks hold, by resource, in units of 1/10,000.
func appendGrant(b []byte, resources map[string]int64) []byte {
	b = binary.AppendUvarint(append(b, frameGrant), uint64(len(resources)))
	for _, name := range slices.Sorted(maps.Keys(resources)) {
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = binary.AppendUvarint(append(b, name...), uint64(resources[name]))
	}
	return b
}

// grant reads what appendGrant laid out, behind the frame's kind.
func (r *reader) grant() map[string]int64 {
	n := min(r.count(2), maxGranted)
	resources := make(map[string]int64, n)
	for range n {
		name := string(r.bytes(r.uv()))
		resources[name] = int64(r.uv())
	}
	return resources
}

// resources are those that the task holds: its lease's, or its actor's.
func (in *Invocation) resources() map[string]int64 {
	in.w.mu.Lock()
	defer in.w.mu.Unlock()
	if in.peer == nil || in.w.actorID != nil {
		return in.w.held
	}
	return in.peer.resources
}

// id names the task, which another process owns.
func (in *Invocation) id() ids.TaskID {
	return ids.ObjectID{Cluster: in.w.p.cluster, Owner: in.peer.owner, Number: in.call.number}
}
