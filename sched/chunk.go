package sched

import (
	"math"
	"slices"
	"strings"
)

// chunkNodes is how many nodes a chunk has at most: what Snapshot.With copies.
const chunkNodes = 64

// chunk holds some nodes of a Snapshot, and columns of what a search among them
// reads. A column has a quantity for each node. What has no column (names that
// few nodes have, or that came after the Snapshot was made) is read from nodes.
type chunk struct {
	ids   []NodeID
	base  []uint32   // utilisation of CPU or memory, whichever is higher; closed if it's draining
	low   uint32     // the least of base
	q     []Quantity // columns of what's available, then columns of totals
	nodes []Node
}

// scale is the utilisation of a resource that is all in use.
const scale = 1000

// closed is over any utilisation.
const closed = math.MaxUint32

func newChunk(nodes []Node, columns []string) *chunk {
	n := len(nodes)
	c := &chunk{
		ids: make([]NodeID, n), base: make([]uint32, n), q: make([]Quantity, 2*n*len(columns)), nodes: nodes,
	}
	for i := range nodes {
		c.fill(i, columns)
	}
	c.low = slices.Min(c.base)
	return c
}

// replace gives a chunk with another node at i, of the same ID.
func (c *chunk) replace(i int, n Node, columns []string) *chunk {
	next := &chunk{
		ids: c.ids, base: slices.Clone(c.base), q: slices.Clone(c.q), nodes: slices.Clone(c.nodes),
	}
	next.nodes[i] = n
	next.fill(i, columns)
	next.low = slices.Min(next.base)
	return next
}

// fill sets row i by its node.
func (c *chunk) fill(i int, columns []string) {
	n := &c.nodes[i]
	c.ids[i] = n.ID
	c.base[i] = max(utilisation(n, "CPU"), utilisation(n, "memory"))
	if n.Draining {
		c.base[i] = closed
	}
	rows := len(c.nodes)
	for col, name := range columns {
		c.q[col*rows+i] = n.Available.Get(name)
		c.q[(len(columns)+col)*rows+i] = n.Total.Get(name)
	}
}

// open reports whether a node isn't draining.
func (c *chunk) open(i int) bool { return c.base[i] != closed }

func utilisation(n *Node, name string) uint32 {
	return share(n.Available.Get(name), n.Total.Get(name))
}

// share is which part of a total is in use, in 1/scale.
func share(available, total Quantity) uint32 {
	if total <= 0 || available >= total {
		return 0
	}
	return uint32(min((1-float64(available)/float64(total))*scale, 1000*scale))
}

// ask is the resources of a demand, made ready for a search in one Snapshot.
type ask struct {
	dense   []denseAsk
	sparse  []item // what has no column
	columns int
}

type denseAsk struct {
	col  int
	q    Quantity
	more bool // counts for utilisation beyond what base says
}

// askFor makes r ready; dense is where to put it.
func (s *Snapshot) askFor(r Resources, dense []denseAsk) ask {
	a := ask{dense: dense, columns: len(s.columns)}
next:
	for _, it := range r.items {
		if it.q <= 0 {
			continue
		}
		for col, name := range s.columns {
			if name == it.name {
				a.dense = append(a.dense, denseAsk{col, it.q, name != "CPU" && name != "memory"})
				continue next
			}
		}
		a.sparse = append(a.sparse, it)
	}
	return a
}

// plain reports whether a demand is for one resource at most, that has a column
// and counts as base does. Then has says what it's about.
func (a *ask) plain() bool {
	return len(a.sparse) == 0 && (len(a.dense) == 0 || len(a.dense) == 1 && !a.dense[0].more)
}

// has gives the column of what the first resource that is asked has available in
// a chunk, and how much is asked.
func (a *ask) has(c *chunk) ([]Quantity, Quantity) {
	rows := len(c.nodes)
	if len(a.dense) == 0 {
		return nil, 0
	}
	from := a.dense[0].col * rows
	return c.q[from : from+rows], a.dense[0].q
}

// AvoidPrefix begins the names of resources of which each node has one without being given it.
const AvoidPrefix = "avoid/"

// implied is how much of a resource each node has beside what it was given.
func implied(name string) Quantity {
	if strings.HasPrefix(name, AvoidPrefix) {
		return Unit
	}
	return 0
}

// fits reports whether a node has what is asked available.
func (a *ask) fits(c *chunk, i int) bool {
	rows := len(c.nodes)
	for _, d := range a.dense {
		if c.q[d.col*rows+i] < d.q {
			return false
		}
	}
	for _, it := range a.sparse {
		if c.nodes[i].Available.Get(it.name)+implied(it.name) < it.q {
			return false
		}
	}
	return true
}

// ever reports whether a node has what is asked in all.
func (a *ask) ever(c *chunk, i int) bool {
	rows := len(c.nodes)
	for _, d := range a.dense {
		if c.q[(a.columns+d.col)*rows+i] < d.q {
			return false
		}
	}
	for _, it := range a.sparse {
		if c.nodes[i].Total.Get(it.name)+implied(it.name) < it.q {
			return false
		}
	}
	return true
}

// utilised is how far a node is utilised for one who asks this.
func (a *ask) utilised(c *chunk, i int) uint32 {
	u, rows := c.base[i], len(c.nodes)
	for _, d := range a.dense {
		if d.more {
			u = max(u, share(c.q[d.col*rows+i], c.q[(a.columns+d.col)*rows+i]))
		}
	}
	for _, it := range a.sparse {
		u = max(u, utilisation(&c.nodes[i], it.name))
	}
	return u
}
