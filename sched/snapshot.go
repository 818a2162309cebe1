package sched

import (
	"cmp"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// NodeID is a node's number. 0 is no node.
type NodeID uint32

func (n NodeID) String() string { return "n" + strconv.FormatUint(uint64(n), 10) }

// Node is a node as it's known at some moment.
type Node struct {
	ID        NodeID
	Total     Resources
	Available Resources
	Labels    map[string]string // must not change any more
	Draining  bool              // takes nothing new and is about to leave
	Queued    int               // leases that wait there
}

// Snapshot is a frozen view of nodes, ordered by ID.
type Snapshot struct {
	columns []string // names of resources that chunks hold as columns
	chunks  []*chunk // none empty
	n       int
}

// maxColumns bounds what a node costs where nodes have resources of their own names.
const maxColumns = 12

// NewSnapshot makes a Snapshot of nodes. Of several with one ID the last counts;
// ID 0 is left out.
func NewSnapshot(nodes []Node) *Snapshot {
	byID := slices.Clone(nodes)
	slices.SortStableFunc(byID, func(a, b Node) int { return cmp.Compare(a.ID, b.ID) })
	kept := byID[:0]
	for i, n := range byID {
		if n.ID != 0 && (i == len(byID)-1 || byID[i+1].ID != n.ID) {
			kept = append(kept, n)
		}
	}
	s := &Snapshot{columns: commonNames(kept), n: len(kept)}
	s.chunks = make([]*chunk, 0, (len(kept)+chunkNodes-1)/chunkNodes)
	for part := range slices.Chunk(kept, chunkNodes) {
		s.chunks = append(s.chunks, newChunk(slices.Clip(part), s.columns))
	}
	return s
}

// commonNames gives the names of resources that occur most, at most maxColumns.
func commonNames(nodes []Node) []string {
	type tally struct {
		name string
		n    int
	}
	var few []tally            // while there are few
	var rest map[string]*tally // those beyond
	count := func(name string) {
		for i := range few {
			if few[i].name == name {
				few[i].n++
				return
			}
		}
		if len(few) < maxColumns {
			few = append(few, tally{name, 1})
			return
		}
		if rest == nil {
			rest = map[string]*tally{}
		}
		if rest[name] == nil {
			rest[name] = &tally{name: name}
		}
		rest[name].n++
	}
	for i := range nodes {
		for _, it := range nodes[i].Total.items {
			count(it.name)
		}
	}
	for _, t := range rest {
		few = append(few, *t)
	}
	if len(rest) > 0 {
		slices.SortFunc(few, func(a, b tally) int {
			return cmp.Or(cmp.Compare(b.n, a.n), strings.Compare(a.name, b.name))
		})
	}
	names := make([]string, min(len(few), maxColumns))
	for i := range names {
		names[i] = few[i].name
	}
	return names
}

// With gives a Snapshot in which n takes the place of the node of its ID, or is
// added. It copies a small part of s.
func (s *Snapshot) With(n Node) *Snapshot {
	if n.ID == 0 {
		return s
	}
	at, i, found := s.find(n.ID)
	if found {
		next := *s
		next.chunks = slices.Clone(s.chunks)
		next.chunks[at] = s.chunks[at].replace(i, n, s.columns)
		return &next
	}
	if len(s.chunks) == 0 {
		return NewSnapshot([]Node{n})
	}
	nodes := slices.Insert(slices.Clone(s.chunks[at].nodes), i, n)
	switch half := len(nodes) / 2; {
	case len(nodes) <= chunkNodes:
		return s.splice(at, 1, nodes)
	case i == chunkNodes: // numbers grow, so this is where new nodes go
		return s.splice(at, 1, nodes[:i:i], nodes[i:])
	default:
		return s.splice(at, 1, nodes[:half:half], nodes[half:])
	}
}

// Without gives a Snapshot without a node.
func (s *Snapshot) Without(id NodeID) *Snapshot {
	at, i, found := s.find(id)
	if !found {
		return s
	}
	nodes := slices.Delete(slices.Clone(s.chunks[at].nodes), i, i+1)
	if len(nodes) == 0 {
		return s.splice(at, -1)
	}
	return s.splice(at, -1, nodes)
}

// splice puts chunks of the given nodes in the place of one chunk.
func (s *Snapshot) splice(at, more int, parts ...[]Node) *Snapshot {
	next := &Snapshot{columns: s.columns, n: s.n + more}
	next.chunks = append(make([]*chunk, 0, len(s.chunks)+1), s.chunks[:at]...)
	for _, nodes := range parts {
		next.chunks = append(next.chunks, newChunk(nodes, s.columns))
	}
	next.chunks = append(next.chunks, s.chunks[at+1:]...)
	return next
}

// Idle gives the same nodes with all that they have available: what fits there
// fits once what now runs has ended.
func (s *Snapshot) Idle() *Snapshot {
	nodes := make([]Node, 0, s.n)
	for n := range s.All() {
		n.Available, n.Queued = n.Total, 0
		nodes = append(nodes, n)
	}
	return NewSnapshot(nodes)
}

// find gives a node's chunk and index in it, or those at which it would be added.
func (s *Snapshot) find(id NodeID) (at, i int, found bool) {
	lo, hi := 0, len(s.chunks)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; s.chunks[mid].ids[0] <= id {
			lo = mid
		} else {
			hi = mid
		}
	}
	if hi == 0 {
		return 0, 0, false
	}
	i, found = slices.BinarySearch(s.chunks[lo].ids, id)
	return lo, i, found
}

// Node gives a node by its ID.
func (s *Snapshot) Node(id NodeID) (Node, bool) {
	at, i, found := s.find(id)
	if !found {
		return Node{}, false
	}
	return s.chunks[at].nodes[i], true
}

// Len is how many nodes there are.
func (s *Snapshot) Len() int { return s.n }

// All gives the nodes by ID.
func (s *Snapshot) All() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		for _, c := range s.chunks {
			for i := range c.nodes {
				if !yield(c.nodes[i]) {
					return
				}
			}
		}
	}
}
